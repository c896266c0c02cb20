/*
 * weir simulate: a policy against a trace: what it would have done, how well, and what is wrong with its loop. Ctrl-C ends the run and shows
 * what there is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/simulate_output.h"
#include "cli/simulate_report.h"
#include "cli/simulate_setup.h"
#include "journal/recording.h"
#include "sim/oracle.h"

static struct simulate_words words = SIMULATE_WORDS;
static const char *output = "text", *engine = "weir", *page, *profile_shown;
static bool no_oracle, all;

static const struct option_row options[] = {
    {"output", 'o', OPTION_CHOICE, &output, "text|json", "how to print (text)"},
    SIMULATE_OPTIONS(words),
    {"engine", 0, OPTION_CHOICE, &engine, "weir|keda-hpa",
     "who scales: Weir, or KEDA with the HorizontalPodAutoscaler (weir)"},
    {"report", 0, OPTION_TEXT, &page, "FILE.html", "also write a page with charts and every decision"},
    {"no-oracle", 0, OPTION_FLAG, &no_oracle, NULL, "leave out what an all-knowing plan would have cost"},
    {"all", 0, OPTION_FLAG, &all, NULL, "of text: every moment, also where there are many"},
    {0},
};

enum { OUT_MAX_BYTES = 1024 * 1024 * 1024 };
#define ORACLE_SHARE 0.99 /* of requests in their goals, as in the published figures (serving-model.md 6) */

/* ------------------------------------------------------------------ while it runs */

struct watching {
    struct simulate_output *output;
    struct simulate_report *report; /* NULL: no page */
    struct judge *judge;
    int64_t duration_ms;
    struct progress progress;
};

static void on_tick(void *arg, const struct simulation_tick *tick)
{
    struct watching *w = arg;

    simulate_output_tick(w->output, tick);
    judge_tick(w->judge, tick);
    if (w->report)
        simulate_report_tick(w->report, tick);
    progress_show(&w->progress, (double)tick->at_ms / (double)w->duration_ms);
}

/* ------------------------------------------------------------------ afterwards */

static void ask_oracle(const struct simulate_setup *setup, int32_t initial, struct simulate_figures *figures)
{
    struct oracle_options how = {.goals = setup->goals, .share = ORACLE_SHARE, .stop = &interrupted};
    struct model_options model;
    struct oracle_plan plan;

    if (no_oracle || !setup->model || interrupted)
        return;
    model = *setup->model;
    model.initial = initial;
    figures->bound_hours = oracle_bound(&model, &how) / 3600;
    figures->has_oracle = !interrupted;
    oracle_plan(&model, &how, &plan);
    figures->plan = plan.score;
    figures->has_plan = plan.reached && !interrupted;
    oracle_plan_free(&plan);
}

static void print(const struct simulate_output *shown, const struct simulate_figures *figures)
{
    struct text out;

    text_init(&out, OUT_MAX_BYTES);
    if (strcmp(output, "json") == 0)
        simulate_output_json(shown, figures, &out);
    else
        simulate_output_text(shown, figures, all, &out);
    fwrite(out.bytes, 1, out.length, stdout);
    text_done(&out);
}

static int fail(const struct error *err)
{
    fprintf(stderr, "weir simulate: %s%s%s\n", err->where, *err->where ? ": " : "", err->text);
    return EXIT_FOUND;
}

/* ------------------------------------------------------------------ one run */

struct job {
    const char *path;
    struct text manifest;
    struct simulate_setup setup;
    struct recording *recording; /* NULL: the trace is none */
    struct simulation *simulation;
    struct watching watching;
};

static bool make(struct job *job, struct error *err)
{
    struct simulation_options o = {.manifest_name = job->path,
                                   .manifest = job->manifest.bytes,
                                   .manifest_length = job->manifest.length,
                                   .engine = strcmp(engine, "weir") == 0 ? ENGINE_WEIR : ENGINE_KEDA_HPA,
                                   .on_tick = on_tick,
                                   .arg = &job->watching,
                                   .stop = &interrupted,
                                   .quick = !page}; /* only the page shows derivations */

    simulate_setup_fill(&job->setup, &o);
    if (job->setup.recording) {
        o.input = NULL;
        o.recording = job->recording = recording_open(job->setup.recording, err);
        if (!o.recording)
            return false;
    }
    job->simulation = simulation_new(&o, NULL, err);
    if (!job->simulation)
        return false;
    simulate_setup_note(&job->setup, job->simulation);
    return simulate_setup_all_read(&job->setup, err);
}

static bool read_all(struct job *job, struct error *err)
{
    if (!file_read(job->path, &job->manifest, err) || !simulate_setup(&words, &job->setup, err))
        return false;
    return !page || simulate_report_available(err);
}

static bool show(struct job *job, struct error *err)
{
    struct simulate_figures figures = {
        .goals = job->setup.goals, .price = job->setup.price, .judge = job->watching.judge};
    bool fine = true;

    judge_finish(job->watching.judge, &job->setup.goals);
    simulation_result(job->simulation, &job->setup.goals, &figures.result);
    ask_oracle(&job->setup, simulation_initial(job->simulation), &figures);
    progress_end(&job->watching.progress);
    print(job->watching.output, &figures);
    if (page)
        fine = simulate_report_write(job->watching.report, &figures, page, err);
    return fine;
}

static bool run(struct job *job, struct error *err)
{
    struct watching *w = &job->watching;
    char object[600];

    if (!make(job, err))
        return false;
    const struct policy *policy = simulation_policy(job->simulation);
    snprintf(object, sizeof(object), "%s/%s", policy->ns, policy->name);
    struct simulate_subject subject = {.policy = job->path,
                                       .object = object,
                                       .engine = engine,
                                       .trace = words.trace,
                                       .model = job->setup.model ? profile_shown : NULL,
                                       .start_at_ms = job->setup.start_at_ms,
                                       .recorded = job->recording && strcmp(engine, "weir") == 0};
    w->output = simulate_output_new(&subject);
    w->judge = judge_new(job->simulation);
    w->duration_ms = simulation_duration_ms(job->simulation);
    w->progress = progress_new("simulating");
    w->report = page ? simulate_report_new(job->simulation, &subject, &job->setup) : NULL;
    simulation_run(job->simulation);
    bool fine = show(job, err);
    simulate_report_free(w->report);
    judge_free(w->judge);
    simulate_output_free(w->output);
    return fine;
}

static int run_simulate(const struct command *self, int argc, char **argv)
{
    struct job job = {.path = NULL};
    struct error err = {.kind = ERROR_NONE};
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (argc - first != 1)
        return usage_error(self, first == argc ? "a policy is missing: the file of a ScaledObject"
                                               : "one policy at a time; weir compare takes two");
    job.path = argv[first];
    profile_shown = words.profile;
    interrupt_catch();
    text_init(&job.manifest, MANIFEST_FILE_MAX_BYTES);
    bool fine = read_all(&job, &err) && run(&job, &err);
    simulation_free(job.simulation);
    recording_close(job.recording);
    simulate_setup_done(&job.setup);
    text_done(&job.manifest);
    if (!fine)
        return fail(&err);
    return interrupted ? EXIT_FOUND : EXIT_FINE;
}

const struct command command_simulate = {
    .name = "simulate",
    .operands = "POLICY",
    .summary = "try a policy against the past, or a model of its workload",
    .description =
        "The autoscaler as it runs, on virtual time: nothing is scaled and nobody is asked. A trace with one column "
        "for\n"
        "each trigger feeds the triggers; one of requests, or of sums of requests, drives a model of model servers, "
        "which\n"
        "the policy's decisions act on.\n\n"
        "  weir simulate policy.yaml --trace signals.csv\n"
        "  weir simulate policy.yaml --trace AzureLLMInferenceTrace_conv.csv --startup 60s --price 4\n"
        "  weir simulate policy.yaml --trace week.csv --engine keda-hpa --map load=requests_per_s\n\n"
        "Exit status: 0; 1 for a policy or trace that cannot be used, or when it was interrupted (what there is, is\n"
        "printed); 2 for bad usage.",
    .options = options,
    .run = run_simulate,
};
