/* weir diff: what a change of manifests will change, in words. Touches nothing, asks nobody. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/report.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/sources.h"
#include "manifest/manifest.h"
#include "policy/policy.h"
#include "sim/difference.h"

enum { DIFF_OUTPUT_BYTES = 64 * 1024 * 1024 };

static const char *output = "text", *mode = "direct";

static const struct option_row options[] = {
    {"output", 'o', OPTION_CHOICE, &output, "text|json", "how to print (text)"},
    {"mode", 0, OPTION_CHOICE, &mode, "direct|hpa|observe", "the mode of objects that name none (direct)"},
    {0},
};

struct version { /* one of the two */
    struct sources sources;
    struct manifest **manifests;
};

static void version_done(struct version *version)
{
    for (size_t i = 0; version->manifests && i < version->sources.count; i++)
        manifest_free(version->manifests[i]);
    free(version->manifests);
    sources_done(&version->sources);
}

/* What is wrong with a version is said; with an error in it nobody knows what it would do. */
static bool version_read(const struct command *self, struct version *version, const char *operand,
                         const struct policy_settings *settings)
{
    struct policy_context context = {.settings = settings};
    struct report *report = report_new();
    struct error err;
    size_t errors = 0;

    if (!sources_read(&version->sources, operand, &err)) {
        fprintf(stderr, "weir %s: %s\n", self->name, err.text);
        report_free(report);
        return false;
    }
    version->manifests = sources_manifests(&version->sources, report);
    policy_lint((const struct manifest *const *)version->manifests, version->sources.count, &context, report);
    report_sort(report);
    for (size_t i = 0; i < report_count(report); i++) {
        const struct finding *f = report_at(report, i);

        if (f->severity == FINDING_ERROR && errors++ == 0)
            fprintf(stderr, "weir %s: %s:%d:%d: %s [%s]\n", self->name, f->place.file, f->place.line, f->place.column,
                    f->text, f->code);
    }
    if (errors > 0)
        fprintf(stderr, "weir %s: %s has %zu error%s, so it cannot be said what it does; see `weir lint`\n", self->name,
                operand, errors, errors == 1 ? "" : "s");
    report_free(report);
    return errors == 0;
}

static int print_differences(const struct version *before, const struct version *after,
                             const struct policy_settings *settings)
{
    struct differences *d =
        differences_new((const struct manifest *const *)before->manifests, before->sources.count,
                        (const struct manifest *const *)after->manifests, after->sources.count, settings);
    int status = differences_count(d) > 0 ? EXIT_FOUND : EXIT_FINE;
    struct text text;

    text_init(&text, DIFF_OUTPUT_BYTES);
    if (strcmp(output, "json") == 0)
        differences_write_json(d, &text);
    else if (status == EXIT_FINE)
        text_add(&text, "nothing that Weir does will change\n");
    else
        differences_write_text(d, &text);
    fwrite(text.bytes, 1, text.length, stdout);
    text_done(&text);
    differences_free(d);
    return status;
}

static int run_diff(const struct command *self, int argc, char **argv)
{
    struct version before = {0}, after = {0};
    struct policy_settings settings;
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (argc - first != 2)
        return usage_error(self, "name two: what is in force, and what shall be");
    policy_settings_default(&settings);
    settings.mode = strcmp(mode, "hpa") == 0       ? DECIDE_HPA
                    : strcmp(mode, "observe") == 0 ? DECIDE_OBSERVE
                                                   : DECIDE_DIRECT;
    status = EXIT_USAGE;
    if (version_read(self, &before, argv[first], &settings) && version_read(self, &after, argv[first + 1], &settings))
        status = print_differences(&before, &after, &settings);
    version_done(&before);
    version_done(&after);
    return status;
}

const struct command command_diff = {
    .name = "diff",
    .operands = "OLD NEW",
    .summary = "say in words what a change of manifests will change",
    .description =
        "OLD and NEW are files, folders of *.yaml, *.yml and *.json files, - for standard input, or such of a\n"
        "revision of git: HEAD~1:deploy/policy.yaml, main:./policy.yaml, v1.2:deploy.\n\n"
        "What decides is compared, not texts: writing out a default changes nothing.\n\n"
        "Exit status: 0 nothing changes; 1 something does; 2 bad usage, or manifests with errors.",
    .options = options,
    .run = run_diff,
};
