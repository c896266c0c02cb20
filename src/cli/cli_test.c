/*
 * weir test: unit tests of policies. Finds the test files, runs each of their tests on virtual time, and prints what came of them in the form
 * that is asked for. Ctrl-C ends the test that runs and prints what there is.
 */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/simulate_setup.h"
#include "sim/case.h"

static const char *output = "text", *engine = "weir", *chosen;
static bool quiet, list_only;

static const struct option_row options[] = {
    {"output", 'o', OPTION_CHOICE, &output, "text|junit|tap|json", "how to print results (text)"},
    {"run", 0, OPTION_TEXT, &chosen, "NAME", "only tests whose name has this in it; * and ? stand for any text"},
    {"engine", 0, OPTION_CHOICE, &engine, "weir|keda-hpa",
     "who scales: Weir, or KEDA with the HorizontalPodAutoscaler (weir)"},
    {"list", 0, OPTION_FLAG, &list_only, NULL, "print the tests there are, and run none"},
    {"quiet", 'q', OPTION_FLAG, &quiet, NULL, "of text: leave out what passed"},
    {0},
};

enum { OUT_MAX_BYTES = 256 * 1024 * 1024 };

/* ------------------------------------------------------------------ which files */

struct paths {
    char **list;
    size_t count;
};

static void add_path(struct paths *paths, const char *path)
{
    paths->list = mem_grow(paths->list, paths->count + 1, sizeof(char *));
    paths->list[paths->count++] = mem_copy(path);
}

static bool look_into(struct paths *paths, const char *folder, int depth, struct error *err);

static bool take_entry(struct paths *paths, const char *folder, const char *entry, int depth, struct error *err)
{
    char path[PATH_MAX];
    struct stat status;

    if (entry[0] == '.')
        return true;
    if (snprintf(path, sizeof(path), "%s%s%s", folder, string_ends(folder, "/") ? "" : "/", entry) >= (int)sizeof(path))
        return error_set(err, ERROR_LIMIT, "the path of %s in %.80s... is longer than PATH_MAX", entry, folder);
    if (lstat(path, &status) != 0) /* gone meanwhile. A link to a folder could lead around for ever */
        return true;
    if (S_ISDIR(status.st_mode))
        return look_into(paths, path, depth + 1, err);
    if (file_is_test(entry) && stat(path, &status) == 0 && S_ISREG(status.st_mode))
        add_path(paths, path);
    return true;
}

static bool look_into(struct paths *paths, const char *folder, int depth, struct error *err)
{
    struct dirent **names;
    bool fine = true;

    if (depth > CASE_FOLDERS_MAX)
        return error_set(err, ERROR_LIMIT, "%.100s is %d folders deep (CASE_FOLDERS_MAX); name a folder further down",
                         folder, depth);
    int count = scandir(folder, &names, NULL, alphasort);
    if (count < 0)
        return error_set(err, ERROR_MISSING, "%.200s cannot be listed: %s", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        fine = fine && take_entry(paths, folder, names[i]->d_name, depth, err);
        free(names[i]);
    }
    free(names);
    return fine;
}

static bool find_files(struct paths *paths, char **operands, int count, struct error *err)
{
    struct stat status;

    for (int i = 0; i < count; i++) {
        size_t before = paths->count;

        if (strcmp(operands[i], "-") == 0) {
            add_path(paths, operands[i]);
            continue;
        }
        if (stat(operands[i], &status) != 0)
            return error_set(err, ERROR_MISSING, "%.200s cannot be opened: %s", operands[i], strerror(errno));
        if (!S_ISDIR(status.st_mode))
            add_path(paths, operands[i]);
        else if (!look_into(paths, operands[i], 1, err))
            return false;
        else if (paths->count == before)
            return error_set(err, ERROR_MISSING, "there is no test in %.200s: test files are called *.test.yaml",
                             operands[i]);
    }
    return true;
}

/* ------------------------------------------------------------------ workloads */

/* A test says what `weir simulate` is told by options of the same names. */
static bool make_model(const struct case_workload *workload, int64_t duration_ms, struct case_model *out,
                       struct error *err)
{
    struct simulate_words words = SIMULATE_WORDS;
    struct simulate_setup *setup = mem_alloc(sizeof(*setup));

    words.trace = workload->trace;
    words.profile = workload->profile ? workload->profile : words.profile;
    words.startup = workload->startup;
    words.map = workload->map;
    words.tokens = workload->tokens;
    words.slo = workload->slo ? workload->slo : words.slo;
    words.amplify = workload->amplify >= 0 ? workload->amplify : words.amplify;
    words.step_ms = workload->step_ms >= 0 ? workload->step_ms : words.step_ms;
    words.warmup_ms = workload->warmup_ms >= 0 ? workload->warmup_ms : words.warmup_ms;
    words.seed = workload->seed >= 0 ? workload->seed : words.seed;
    words.duration_ms = duration_ms;
    bool fine = simulate_setup(&words, setup, err);
    if (fine && !setup->model) {
        simulate_setup_done(setup);
        fine = error_set(err, ERROR_INVALID, "%.200s has no requests, only values: make it an input, with file: %.100s",
                         workload->trace, workload->trace);
    }
    if (!fine) {
        free(setup);
        return false;
    }
    *out = (struct case_model){.model = setup->model,
                               .maps = setup->maps,
                               .map_count = setup->map_count,
                               .goals = setup->goals,
                               .start_at_ms = setup->start_at_ms,
                               .owner = setup};
    return true;
}

static void free_model(struct case_model *model)
{
    simulate_setup_done(model->owner);
    free(model->owner);
}

/* ------------------------------------------------------------------ running them */

static bool is_chosen(const char *name)
{
    struct text pattern;

    if (!chosen)
        return true;
    text_init(&pattern, PATH_MAX);
    text_printf(&pattern, "*%s*", chosen);
    bool fits = fnmatch(pattern.bytes, name, 0) == 0;
    text_done(&pattern);
    return fits;
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print(struct text *out)
{
    fwrite(out->bytes, 1, out->length, stdout);
    text_clear(out);
}

static void run_one(const struct case_file *file, size_t index, const struct case_options *how, struct report *report,
                    struct case_writer *writer)
{
    const struct case_test *test = &file->tests[index];
    double before_s = now_s();
    struct case_result result;

    if (list_only) {
        text_printf(writer->out, "%s: %s\n", file->name, test->name);
        return;
    }
    case_run(file, index, how, report, &result);
    case_write_line(writer, &(struct case_line){.file = file->name,
                                                .name = test->name,
                                                .place = test->place,
                                                .result = &result,
                                                .took_s = now_s() - before_s});
    case_result_done(&result);
}

static void run_tests(struct case_file *file, const struct case_options *how, struct report *report,
                      struct case_writer *writer, size_t *count)
{
    if (!case_file_load(file, report))
        return;
    for (size_t i = 0; i < file->test_count && !interrupted; i++) {
        if (!is_chosen(file->tests[i].name))
            continue;
        ++*count;
        run_one(file, i, how, report, writer);
        print(writer->out);
    }
}

static void run_file(const char *path, const struct case_options *how, struct case_writer *writer, size_t *count)
{
    struct report *report = report_new();
    struct case_file *file = NULL;
    struct text bytes;
    struct error err;

    text_init(&bytes, MANIFEST_FILE_MAX_BYTES);
    case_write_file(writer, path);
    if (file_read(path, &bytes, &err)) {
        file = case_file_read(path, bytes.bytes, bytes.length, report);
        run_tests(file, how, report, writer, count);
    } else {
        report_add(report, &(struct finding){.severity = FINDING_ERROR, .code = "test-file", .place = {.file = path}},
                   "", NULL, "%s", err.text);
    }
    if (!list_only || report_count_of(report, FINDING_ERROR) > 0)
        case_write_file_end(writer, report);
    print(writer->out);
    case_file_free(file);
    text_done(&bytes);
    report_free(report);
}

static enum case_form form_of(const char *name)
{
    return strcmp(name, "junit") == 0  ? CASE_JUNIT
           : strcmp(name, "tap") == 0  ? CASE_TAP
           : strcmp(name, "json") == 0 ? CASE_JSON
                                       : CASE_TEXT;
}

static int run_files(const struct command *self, const struct paths *paths)
{
    struct text out;
    struct case_options how = {.engine = strcmp(engine, "weir") == 0 ? ENGINE_WEIR : ENGINE_KEDA_HPA,
                               .make_model = make_model,
                               .free_model = free_model,
                               .stop = &interrupted};
    struct case_writer writer = {.form = list_only ? CASE_TEXT : form_of(output), .out = &out, .quiet = quiet};
    size_t count = 0;

    text_init(&out, OUT_MAX_BYTES);
    case_write_open(&writer);
    for (size_t i = 0; i < paths->count && !interrupted; i++)
        run_file(paths->list[i], &how, &writer, &count);
    writer.stopped = interrupted;
    bool none = count == 0 && writer.counts[CASE_BROKEN] == 0 && !interrupted;
    case_write_close(&writer);
    if (!list_only && !none)
        print(&out);
    text_done(&out);
    if (none)
        return usage_error(self, "no test is called *%s*; 'weir test --list' shows their names", chosen ? chosen : "");
    if (writer.counts[CASE_BROKEN] > 0)
        return EXIT_USAGE;
    return writer.counts[CASE_FAILED] > 0 || interrupted ? EXIT_FOUND : EXIT_FINE;
}

static int run_test(const struct command *self, int argc, char **argv)
{
    struct paths paths = {NULL, 0};
    struct error err;
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (first == argc)
        return usage_error(self, "name test files, or folders with *.test.yaml in them");
    interrupt_catch();
    if (find_files(&paths, argv + first, argc - first, &err)) {
        status = run_files(self, &paths);
    } else {
        fprintf(stderr, "weir %s: %s\n", self->name, err.text);
        status = EXIT_USAGE;
    }
    for (size_t i = 0; i < paths.count; i++)
        free(paths.list[i]);
    free(paths.list);
    return status;
}

const struct command command_test = {
    .name = "test",
    .operands = "PATH...",
    .summary = "run unit tests of policies, on virtual time",
    .description =
        "PATH is a test file, a folder in which files called *.test.yaml are looked for, its sub-folders "
        "included, or - for standard input.\n"
        "docs/testing.md is the format: a policy, what its sources say over time, and what must come of it.\n\n"
        "Exit status: 0 all passed; 1 some failed, or it was interrupted; 2 bad usage, or a file or test that "
        "cannot be run.",
    .options = options,
    .run = run_test,
};
