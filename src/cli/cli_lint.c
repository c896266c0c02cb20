/* weir lint: everything that is wrong, or worth saying, about manifests. Touches nothing, asks nobody. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/report.h"
#include "cli/cli.h"
#include "cli/sources.h"
#include "manifest/manifest.h"
#include "policy/allow.h"
#include "policy/codes.h"
#include "policy/policy.h"
#include "policy/sarif.h"

static const char *output = "text", *fail_on = "warning", *mode = "direct", *for_whom = "weir", *explain = "";
static bool quiet, local;

enum { LINT_PAGE_MAX_BYTES = 1024 * 1024 }; /* the texts of all codes are some 30 KB */

static const struct option_row options[] = {
    {"output", 'o', OPTION_CHOICE, &output, "text|json|sarif", "how to print findings (text)"},
    {"fail-on", 0, OPTION_CHOICE, &fail_on, "error|warning",
     "the least severity that makes the exit status 1 (warning)"},
    {"mode", 0, OPTION_CHOICE, &mode, "direct|hpa|observe", "the mode of objects that name none (direct)"},
    {"for", 0, OPTION_CHOICE, &for_whom, "weir|keda", "keda: also refuse what only Weir accepts (weir)"},
    {"local", 0, OPTION_FLAG, &local, NULL, "also check what the local platform cannot do"},
    {"explain", 0, OPTION_TEXT, &explain, "CODE|all", "print what a code means, and stop"},
    {"quiet", 'q', OPTION_FLAG, &quiet, NULL, "leave out advice"},
    {0},
};

struct set { /* the manifests read so far */
    struct manifest **list;
    size_t count;
    struct allows *allows;
    struct report *report;
};

static bool lint_path(struct set *set, const char *path, struct error *err)
{
    struct manifest_options how = {.local = local};
    struct sources sources = {0};
    bool fine = sources_read(&sources, path, err);

    for (size_t i = 0; fine && i < sources.count; i++) {
        const struct source_file *file = &sources.files[i];

        set->list = mem_grow(set->list, set->count + 1, sizeof(struct manifest *));
        allows_read(set->allows, file->name, file->bytes.bytes, file->bytes.length);
        manifest_read(file->name, file->bytes.bytes, file->bytes.length, &how, set->report, &set->list[set->count++]);
    }
    sources_done(&sources);
    return fine;
}

static struct report *without_advice(const struct report *from)
{
    struct report *to = report_new();

    for (size_t i = 0; i < report_count(from); i++) {
        const struct finding *f = report_at(from, i);

        if (f->severity != FINDING_ADVICE)
            report_add(to, f, f->field, f->remedy, "%s", f->text);
    }
    return to;
}

static void print_counts(const struct report *report)
{
    size_t errors = report_count_of(report, FINDING_ERROR), warnings = report_count_of(report, FINDING_WARNING),
           advice = report_count_of(report, FINDING_ADVICE);

    printf("%zu error%s, %zu warning%s, %zu piece%s of advice", errors, errors == 1 ? "" : "s", warnings,
           warnings == 1 ? "" : "s", advice, advice == 1 ? "" : "s");
    if (report_count_silenced(report) > 0)
        printf(", %zu allowed by comments", report_count_silenced(report));
    putchar('\n');
}

static void print_report(const struct report *report)
{
    struct report *shown = quiet ? without_advice(report) : NULL;
    struct text text;

    text_init(&text, 256 * 1024 * 1024);
    if (strcmp(output, "json") == 0)
        report_write_json(shown ? shown : report, &text);
    else if (strcmp(output, "sarif") == 0)
        report_write_sarif(shown ? shown : report, &text);
    else
        report_write_text(shown ? shown : report, &text);
    if (strcmp(output, "text") == 0)
        text_tame(&text, true);
    fwrite(text.bytes, 1, text.length, stdout);
    if (text.length > 0 && text.bytes[text.length - 1] != '\n')
        putchar('\n');
    if (strcmp(output, "text") == 0)
        print_counts(report);
    text_done(&text);
    report_free(shown);
}

static int lint_all(const struct command *self, char **paths, int count)
{
    struct set set = {.report = report_new(), .allows = allows_new()};
    struct policy_settings settings;
    struct policy_context context = {.settings = &settings};
    struct error err;
    int status = EXIT_FINE;

    policy_settings_default(&settings);
    settings.keda_parity = strcmp(for_whom, "keda") == 0;
    settings.mode = strcmp(mode, "hpa") == 0       ? DECIDE_HPA
                    : strcmp(mode, "observe") == 0 ? DECIDE_OBSERVE
                                                   : DECIDE_DIRECT;
    for (int i = 0; i < count && status == EXIT_FINE; i++)
        if (!lint_path(&set, paths[i], &err)) {
            fprintf(stderr, "weir %s: %s\n", self->name, err.text);
            status = EXIT_USAGE;
        }
    if (status == EXIT_FINE && set.count == 0) { /* nothing looked at must not look like nothing found */
        fprintf(stderr,
                "weir %s: no *.yaml, *.yml or *.json file in %s%s; sub-folders are not looked into, as `weir run` "
                "does not look into them: name them, too\n",
                self->name, paths[0], count > 1 ? " and what else is named" : "");
        status = EXIT_USAGE;
    }
    if (status == EXIT_FINE) {
        policy_lint((const struct manifest *const *)set.list, set.count, &context, set.report);
        allows_apply(set.allows, set.report);
        report_sort(set.report);
        print_report(set.report);
        if (report_count_of(set.report, FINDING_ERROR) > 0 ||
            (strcmp(fail_on, "warning") == 0 && report_count_of(set.report, FINDING_WARNING) > 0))
            status = EXIT_FOUND;
    }
    for (size_t i = 0; i < set.count; i++)
        manifest_free(set.list[i]);
    free(set.list);
    allows_free(set.allows);
    report_free(set.report);
    return status;
}

static int print_explanation(const struct command *self, const char *name)
{
    const struct lint_code *code = lint_code_find(name);
    struct text text;

    if (!code && strcmp(name, "all") != 0) {
        const char *near = lint_code_nearest(name);

        return usage_error(self, "there is no code '%s'%s%s%s", name, near ? ", did you mean '" : "", near ? near : "",
                           near ? "'?" : "");
    }
    text_init(&text, LINT_PAGE_MAX_BYTES);
    if (code)
        lint_code_write(code, &text);
    else
        lint_codes_write(&text);
    fwrite(text.bytes, 1, text.length, stdout);
    text_done(&text);
    return EXIT_FINE;
}

static int run_lint(const struct command *self, int argc, char **argv)
{
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (*explain)
        return print_explanation(self, explain);
    if (first == argc)
        return usage_error(self, "name a file, a folder or - for standard input");
    return lint_all(self, argv + first, argc - first);
}

const struct command command_lint = {
    .name = "lint",
    .operands = "PATH...",
    .summary = "check manifests: schema, triggers, formulas",
    .description =
        "PATH is a file, a folder of *.yaml, *.yml and *.json files, - for standard input, or such of a revision\n"
        "of git: HEAD~1:deploy.\n\n"
        "Exit status: 0 clean or advice only; 1 errors or warnings (see --fail-on), invalid YAML included;\n"
        "2 bad usage or a path that cannot be opened. Codes are explained in docs/lint.md and by --explain.\n\n"
        "A comment `# weir:allow CODE reason` on the line of a finding, on the line before, or at the head of the\n"
        "document silences it.",
    .options = options,
    .run = run_lint,
};
