/*
 * weir compare: policies, versions of one, or engines, against the same trace: the figures side by side, and the moments at which they part
 * ways. Each contender is run twice: first for what it wants when, then, once it is known which moments matter, for what it said there.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/cli.h"
#include "cli/compare_output.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/simulate_output.h"
#include "cli/simulate_report.h"
#include "cli/simulate_setup.h"
#include "cli/sources.h"
#include "journal/recording.h"
#include "sim/compare.h"
#include "sim/judge.h"
#include "sim/report.h"

static struct simulate_words words = SIMULATE_WORDS;
static const char *output = "text", *engines = "weir", *page;
static int64_t shown = 5;

static const struct option_row options[] = {
    {"output", 'o', OPTION_CHOICE, &output, "text|json", "how to print (text)"},
    SIMULATE_OPTIONS(words),
    {"engines", 0, OPTION_TEXT, &engines, "weir,keda-hpa",
     "who scales: one engine for all, or each policy by each (weir)"},
    {"partings", 0, OPTION_NUMBER, &shown, "N",
     "moments at which they part ways: the first, and the furthest apart (5)"},
    {"report", 0, OPTION_TEXT, &page, "FILE.html", "also write a page with charts and every decision"},
    {0},
};

enum { OUT_MAX_BYTES = 1024 * 1024 * 1024, PARTINGS_MAX = 100 };

/* ------------------------------------------------------------------ contenders */

struct contender {
    char *name;
    const struct source_file *file;
    enum simulation_engine engine;
    struct compare_path *path;          /* of the first run */
    struct compare_witness **witnesses; /* of the second run: one, or of the first contender one for each other */
    size_t witness_count;
    struct simulate_report *report; /* of the second run; NULL: no page */
    struct judge *judge;
    struct simulate_figures figures;
    int64_t duration_ms;
};

struct contest {
    struct sources sources;
    struct simulate_setup setup;
    struct contender list[SIM_REPORT_RUNS_MAX];
    size_t count;
    struct compare_pair pairs[SIM_REPORT_RUNS_MAX]; /* the first against contender i */
    struct sim_report *page;
    struct progress progress;
    size_t runs, run; /* in all, and the one going on */
};

static bool add_contender(struct contest *c, const struct source_file *file, enum simulation_engine engine,
                          bool several, struct error *err)
{
    static const char *const names[] = {"weir", "keda-hpa"};
    struct text name;

    if (c->count == SIM_REPORT_RUNS_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d runs cannot be compared (SIM_REPORT_RUNS_MAX)",
                         SIM_REPORT_RUNS_MAX);
    text_init(&name, SIZE_MAX);
    text_printf(&name, "%s%s%s", file->name, several ? " as " : "", several ? names[engine] : "");
    c->list[c->count++] = (struct contender){.name = text_take(&name), .file = file, .engine = engine};
    text_done(&name);
    return true;
}

static bool read_engines(enum simulation_engine list[2], size_t *count, struct error *err)
{
    *count = 0;
    for (const char *at = engines; *at;) {
        size_t length = strcspn(at, ",");
        bool keda = length == strlen("keda-hpa") && strncmp(at, "keda-hpa", length) == 0;

        if (!keda && !(length == strlen("weir") && strncmp(at, "weir", length) == 0))
            return error_set(err, ERROR_INVALID, "--engines: '%.*s' is neither weir nor keda-hpa", (int)length, at);
        if (*count == 2)
            return error_set(err, ERROR_INVALID, "--engines: there are two, weir and keda-hpa");
        list[(*count)++] = keda ? ENGINE_KEDA_HPA : ENGINE_WEIR;
        at += length + (at[length] == ',');
    }
    return *count > 0 || error_set(err, ERROR_INVALID, "--engines is weir, keda-hpa or both with a comma");
}

/* Each operand is one file: a folder has several, and nobody knows which of them is meant. */
static bool read_policies(struct contest *c, char **operands, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!sources_read(&c->sources, operands[i], err))
            return false;
        if (c->sources.count != i + 1)
            return error_set(err, ERROR_INVALID, "%s is a folder; name one file, or a file of a revision", operands[i]);
    }
    return true;
}

static bool make_contenders(struct contest *c, char **operands, size_t count, struct error *err)
{
    enum simulation_engine list[2];
    size_t engine_count;

    if (!read_engines(list, &engine_count, err) || !read_policies(c, operands, count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        for (size_t e = 0; e < engine_count; e++)
            if (!add_contender(c, &c->sources.files[i], list[e], engine_count > 1, err))
                return false;
    return c->count > 1 || error_set(err, ERROR_INVALID,
                                     "there is nothing to compare %s with; name a second policy, or "
                                     "--engines weir,keda-hpa",
                                     operands[0]);
}

static void contender_done(struct contender *one)
{
    free(one->name);
    compare_path_free(one->path);
    for (size_t i = 0; i < one->witness_count; i++)
        compare_witness_free(one->witnesses[i]);
    free(one->witnesses);
    judge_free(one->judge);
}

static void contest_done(struct contest *c)
{
    for (size_t i = 0; i < c->count; i++) {
        contender_done(&c->list[i]);
        compare_pair_done(&c->pairs[i]);
    }
    sim_report_free(c->page);
    simulate_setup_done(&c->setup);
    sources_done(&c->sources);
}

/* ------------------------------------------------------------------ a run */

struct watching {
    struct contest *contest;
    struct contender *one;
    bool first; /* run of the two */
};

static void on_tick(void *arg, const struct simulation_tick *tick)
{
    struct watching *w = arg;
    struct contest *c = w->contest;
    double part = w->one->duration_ms > 0 ? (double)tick->at_ms / (double)w->one->duration_ms : 0;

    if (w->first) {
        compare_path_tick(w->one->path, tick);
        judge_tick(w->one->judge, tick);
    }
    for (size_t i = 0; !w->first && i < w->one->witness_count; i++)
        compare_witness_tick(w->one->witnesses[i], tick);
    if (!w->first && w->one->report)
        simulate_report_tick(w->one->report, tick);
    progress_show(&c->progress, ((double)c->run + part) / (double)c->runs);
}

static struct simulation *make_simulation(struct contest *c, struct watching *watching, struct recording **recording,
                                          struct error *err)
{
    struct contender *one = watching->one;
    struct simulation_options o = {.manifest_name = one->file->name,
                                   .manifest = one->file->bytes.bytes,
                                   .manifest_length = one->file->bytes.length,
                                   .engine = one->engine,
                                   .on_tick = on_tick,
                                   .arg = watching,
                                   .stop = &interrupted};

    simulate_setup_fill(&c->setup, &o);
    *recording = NULL;
    if (c->setup.recording && !(o.recording = *recording = recording_open(c->setup.recording, err)))
        return NULL;
    return simulation_new(&o, NULL, err);
}

static void play_first(struct contest *c, struct contender *one, struct simulation *simulation)
{
    one->path = compare_path_new();
    one->judge = judge_new(simulation);
    simulation_run(simulation);
    judge_finish(one->judge, &c->setup.goals);
    one->figures = (struct simulate_figures){.goals = c->setup.goals, .price = c->setup.price, .judge = one->judge};
    simulation_result(simulation, &c->setup.goals, &one->figures.result);
}

static void play_second(struct contest *c, struct contender *one, struct simulation *simulation)
{
    if (c->page)
        one->report = simulate_report_join(c->page, one->name, simulation, &c->setup);
    simulation_run(simulation);
    if (c->page)
        simulate_report_finish(one->report, &one->figures);
    simulate_report_free(one->report);
    one->report = NULL;
}

static bool run_one(struct contest *c, struct contender *one, bool first, struct error *err)
{
    struct watching watching = {c, one, first};
    struct recording *recording;
    struct simulation *simulation = make_simulation(c, &watching, &recording, err);

    if (simulation) {
        simulate_setup_note(&c->setup, simulation);
        one->duration_ms = simulation_duration_ms(simulation);
        (first ? play_first : play_second)(c, one, simulation);
        c->run++;
    }
    simulation_free(simulation);
    recording_close(recording);
    return simulation != NULL;
}

static bool run_first(struct contest *c, struct error *err)
{
    for (size_t i = 0; i < c->count && !interrupted; i++)
        if (!run_one(c, &c->list[i], true, err))
            return false;
    return interrupted || simulate_setup_all_read(&c->setup, err);
}

/* ------------------------------------------------------------------ where they part */

static int64_t common_end_ms(const struct contender *a, const struct contender *b)
{
    int64_t ends[] = {a->figures.result.duration_ms, b->figures.result.duration_ms, compare_path_end_ms(a->path),
                      compare_path_end_ms(b->path)};
    int64_t least = INT64_MAX;

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        least = ends[i] < least ? ends[i] : least;
    return least;
}

static struct compare_witness *witness_for(const struct compare_pair *pair)
{
    int64_t moments[PARTINGS_MAX];

    for (size_t i = 0; i < pair->count; i++)
        moments[i] = pair->partings[i].from_ms;
    return compare_witness_new(moments, pair->count);
}

static void add_witness(struct contender *one, struct compare_witness *witness)
{
    one->witnesses = mem_grow(one->witnesses, one->witness_count + 1, sizeof(struct compare_witness *));
    one->witnesses[one->witness_count++] = witness;
}

/* The first against each other one that has run. */
static void find_partings(struct contest *c)
{
    for (size_t i = 1; i < c->count && c->list[i].path; i++) {
        struct compare_pair *pair = &c->pairs[i];

        pair->partings = mem_array((size_t)shown + 1, sizeof(*pair->partings));
        pair->count = compare_partings(c->list[0].path, c->list[i].path, common_end_ms(&c->list[0], &c->list[i]),
                                       pair->partings, (size_t)shown);
        add_witness(&c->list[0], witness_for(pair));
        add_witness(&c->list[i], witness_for(pair));
    }
}

static void take_words(struct contest *c)
{
    for (size_t i = 1; i < c->count && c->list[i].witness_count > 0; i++) {
        struct compare_pair *pair = &c->pairs[i];

        pair->words_a = mem_array(pair->count ? pair->count : 1, sizeof(char *));
        pair->words_b = mem_array(pair->count ? pair->count : 1, sizeof(char *));
        for (size_t k = 0; k < pair->count; k++) {
            pair->words_a[k] = mem_copy(compare_witness_words(c->list[0].witnesses[i - 1], k));
            pair->words_b[k] = mem_copy(compare_witness_words(c->list[i].witnesses[0], k));
        }
    }
}

static bool run_second(struct contest *c, struct error *err)
{
    for (size_t i = 0; i < c->count && !interrupted; i++)
        if (!run_one(c, &c->list[i], false, err))
            return false;
    return true;
}

/* ------------------------------------------------------------------ the page */

static void make_page(struct contest *c)
{
    char line[300];

    snprintf(line, sizeof(line), "%zu runs against %s", c->count, words.trace ? words.trace : "time alone");
    c->page = sim_report_new("weir compare", line);
}

static bool write_page(struct contest *c, const struct compare_shown *s, struct error *err)
{
    struct text sentence;

    for (size_t i = 1; i < c->count; i++)
        for (size_t k = 0; k < c->pairs[i].count; k++) {
            text_init(&sentence, SIM_COMPARE_WORDS_BYTES);
            compare_write_parting(s, i, k, &sentence);
            sim_report_parting(c->page, c->pairs[i].partings[k].from_ms, c->pairs[i].partings[k].until_ms,
                               sentence.bytes);
            text_done(&sentence);
        }
    return sim_report_write_file(c->page, page, err);
}

/* ------------------------------------------------------------------ all */

static bool show(struct contest *c, struct error *err)
{
    struct compare_shown s = {.count = c->count,
                              .pairs = c->pairs,
                              .trace = words.trace,
                              .start_at_ms = c->setup.start_at_ms,
                              .interrupted = interrupted};
    struct text out;

    for (size_t i = 0; i < c->count; i++) {
        s.names[i] = c->list[i].name;
        s.figures[i] = c->list[i].path ? &c->list[i].figures : NULL;
    }
    text_init(&out, OUT_MAX_BYTES);
    if (strcmp(output, "json") == 0)
        compare_write_json(&s, &out);
    else
        compare_write_text(&s, &out);
    fwrite(out.bytes, 1, out.length, stdout);
    text_done(&out);
    return !page || interrupted || write_page(c, &s, err);
}

static bool run_all(struct contest *c, char **operands, size_t count, struct error *err)
{
    if ((page && !sim_report_available(err)) || !make_contenders(c, operands, count, err) ||
        !simulate_setup(&words, &c->setup, err))
        return false;
    if (page)
        make_page(c);
    c->runs = 2 * c->count;
    c->progress = progress_new("comparing");
    bool fine = run_first(c, err);
    if (fine) {
        find_partings(c);
        fine = run_second(c, err);
    }
    progress_end(&c->progress);
    take_words(c);
    return fine && show(c, err);
}

static int run_compare(const struct command *self, int argc, char **argv)
{
    static struct contest contest;
    struct error err = {.kind = ERROR_NONE};
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (first == argc)
        return usage_error(self, "name policies to compare, or one and --engines weir,keda-hpa");
    if (shown < 0 || shown > PARTINGS_MAX)
        return usage_error(self, "--partings is a number from 0 to %d", PARTINGS_MAX);
    interrupt_catch();
    bool fine = run_all(&contest, argv + first, (size_t)(argc - first), &err);
    contest_done(&contest);
    if (!fine)
        fprintf(stderr, "weir %s: %s%s%s\n", self->name, err.where, err.where[0] ? ": " : "", err.text);
    return fine && !interrupted ? EXIT_FINE : EXIT_FOUND;
}

const struct command command_compare = {
    .name = "compare",
    .operands = "POLICY...",
    .summary = "try policies or engines against the same past, side by side",
    .description =
        "A POLICY is a file with a ScaledObject, or one of a revision of git: HEAD~1:deploy/policy.yaml. The first is "
        "what\n"
        "the others are compared with. Traces and models are those of weir simulate.\n\n"
        "  weir compare HEAD:policy.yaml policy.yaml --trace AzureLLMInferenceTrace_conv.csv\n"
        "  weir compare policy.yaml --engines weir,keda-hpa --trace signals.csv --report page.html\n\n"
        "Exit status: 0; 1 for a policy or trace that cannot be used, or when it was interrupted (what there is, is\n"
        "printed); 2 for bad usage.",
    .options = options,
    .run = run_compare,
};
