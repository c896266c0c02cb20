/*
 * weir tune: searches for the numbers of a policy that serve a trace best, and writes those that were chosen as a minimal edit. The trace is
 * divided: candidates are tried on its first part, and what was found is judged on the rest, which the search has not seen.
 *
 *     |<------- tuned on ------->|<-- held out -->|
 *     0                        cut_ns           duration       the held-out run plays all of it, and scores from cut_ns on
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/simulate_setup.h"
#include "cli/sources.h"
#include "cli/tune_output.h"
#include "cli/workers.h"
#include "sim/tune.h"

static struct simulate_words words = SIMULATE_WORDS;
static const char *output = "text", *engine = "weir", *share = "0.99", *holdout = "0.3", *write_to;
static int64_t candidates = 1000, choose = 1, processes;

static const struct option_row options[] = {
    {"output", 'o', OPTION_CHOICE, &output, "text|json", "how to print (text)"},
    SIMULATE_OPTIONS(words),
    {"share", 0, OPTION_TEXT, &share, "SHARE", "of requests in their goals that is wanted (0.99)"},
    {"holdout", 0, OPTION_TEXT, &holdout, "SHARE", "of the trace, its end, that is not tuned on (0.3)"},
    {"candidates", 0, OPTION_NUMBER, &candidates, "N", "how many to try (1000)"},
    {"engine", 0, OPTION_CHOICE, &engine, "weir|keda-hpa", "who scales (weir)"},
    {"choose", 0, OPTION_NUMBER, &choose, "N", "which of the front --write writes (1: the cheapest)"},
    {"write", 'w', OPTION_TEXT, &write_to, "FILE",
     "write the chosen manifest; - is standard output instead of the table"},
    {"workers", 0, OPTION_NUMBER, &processes, "N", "processes at the same time (as many as there are processors)"},
    {0},
};

#define NS_PER_MS     INT64_C(1000000)
#define NS_PER_MINUTE (60 * INT64_C(1000000000))

enum { OUT_MAX_BYTES = 64 * 1024 * 1024 };

/* ------------------------------------------------------------------ what is tuned on what */

struct part { /* of the trace */
    struct model_options model;
    int64_t duration_ms;
};
struct tuning {
    struct sources sources;
    const struct source_file *policy;
    struct simulate_setup setup;
    struct tune_space space;
    struct part tuned_on, held_out;
    double share, holdout;
    struct tune_result result;
    struct tune_held *held; /* one for each of the front, and one more: the manifest as written */
    struct progress progress;
    size_t done, all; /* of the progress */
    struct error error;
};
struct batch { /* what workers look at */
    struct tuning *tuning;
    const struct part *part;
    const struct tune_candidate *candidates;
};

static struct simulation *make_simulation(const struct tuning *t, const struct part *part, const struct text *manifest,
                                          struct error *err)
{
    struct simulation_options o = {.manifest_name = t->policy->name,
                                   .manifest = manifest->bytes,
                                   .manifest_length = manifest->length,
                                   .engine = strcmp(engine, "weir") == 0 ? ENGINE_WEIR : ENGINE_KEDA_HPA,
                                   .stop = &interrupted,
                                   .quick = true};

    simulate_setup_fill(&t->setup, &o);
    if (part) {
        o.model = &part->model;
        o.duration_ms = part->duration_ms;
    }
    return simulation_new(&o, NULL, err);
}

static void take_outcome(const struct simulation *simulation, const struct score_goals *goals, struct tune_outcome *out)
{
    struct simulation_result result;

    simulation_result(simulation, goals, &result);
    *out =
        (struct tune_outcome){.in_slo = result.score.in_slo,
                              .replica_hours = result.score.replica_hours,
                              .events = (double)result.score.moves.events,
                              .oscillation = (double)result.score.moves.oscillation,
                              .recovery_s = result.score.recovery_s,
                              .ttft_p99_s = result.score.ttft_p99_ns < 0 ? -1 : (double)result.score.ttft_p99_ns / 1e9};
}

static void work(void *arg, size_t index, void *result)
{
    const struct batch *batch = arg;
    struct tuning *t = batch->tuning;
    struct simulation *simulation = NULL;
    struct tune_outcome *out = result;
    struct error err;
    struct text manifest;

    *out = (struct tune_outcome){.failed = true};
    text_init(&manifest, MANIFEST_FILE_MAX_BYTES);
    if (tune_manifest(&t->space, t->policy->name, t->policy->bytes.bytes, t->policy->bytes.length,
                      &batch->candidates[index], &manifest, &err))
        simulation = make_simulation(t, batch->part, &manifest, &err);
    if (simulation) {
        simulation_run(simulation);
        take_outcome(simulation, &t->setup.goals, out);
    }
    simulation_free(simulation);
    text_done(&manifest);
}

static void on_done(void *arg, size_t count)
{
    struct tuning *t = ((struct batch *)arg)->tuning;

    progress_show(&t->progress, (double)(t->done + count) / (double)t->all);
}

static bool run_batch(struct tuning *t, const struct part *part, const struct tune_candidate *list, size_t count,
                      struct tune_outcome *outcomes)
{
    struct batch batch = {t, part, list};
    struct workers workers = {.processes = (size_t)processes,
                              .result_bytes = sizeof(struct tune_outcome),
                              .work = work,
                              .done = on_done,
                              .stop = &interrupted,
                              .arg = &batch};

    if (!workers_run(&workers, count, outcomes, &t->error))
        return false;
    t->done += count;
    return true;
}

static bool evaluate(void *arg, struct tune_candidate *list, size_t count)
{
    struct tuning *t = arg;
    struct tune_outcome *outcomes = mem_array(count, sizeof(*outcomes));
    bool fine = run_batch(t, &t->tuned_on, list, count, outcomes);

    for (size_t i = 0; i < count && fine; i++)
        list[i].outcome = outcomes[i];
    free(outcomes);
    return fine;
}

/* ------------------------------------------------------------------ the two parts */

static void divide(struct tuning *t, int64_t duration_ms)
{
    int64_t all_ns = duration_ms * NS_PER_MS, warmup_ns = t->setup.model_options.warmup_ns;
    int64_t cut_ns = (int64_t)((double)all_ns * (1 - t->holdout)) / NS_PER_MINUTE * NS_PER_MINUTE;

    t->tuned_on.model = t->held_out.model = *t->setup.model;
    t->tuned_on.model.duration_ns = cut_ns;
    t->tuned_on.duration_ms = cut_ns / NS_PER_MS;
    t->held_out.model.duration_ns = all_ns;
    t->held_out.model.warmup_ns = cut_ns > warmup_ns ? cut_ns : warmup_ns;
    t->held_out.duration_ms = duration_ms;
}

/* The manifest as it is must run at all, and says how long the whole is. */
static bool try_original(struct tuning *t, struct error *err)
{
    struct simulation *simulation = make_simulation(t, NULL, &t->policy->bytes, err);

    if (!simulation)
        return false;
    simulate_setup_note(&t->setup, simulation);
    divide(t, simulation_duration_ms(simulation));
    simulation_free(simulation);
    if (!simulate_setup_all_read(&t->setup, err))
        return false;
    if (t->tuned_on.model.duration_ns > t->tuned_on.model.warmup_ns)
        return true;
    return error_set(err, ERROR_INVALID,
                     "what is left of the trace to tune on is shorter than a minute, or than the "
                     "warm-up; give a longer one, or a smaller --holdout");
}

static bool judge_front(struct tuning *t)
{
    size_t count = t->result.front_count + 1;
    struct tune_candidate *list = mem_array(count, sizeof(*list));
    struct tune_outcome *outcomes = mem_array(count, sizeof(*outcomes));

    list[0] = t->result.list[0];
    for (size_t i = 0; i + 1 < count; i++)
        list[i + 1] = t->result.list[t->result.front[i]];
    t->all = t->done + count;
    bool fine =
        t->result.count > 0 && t->holdout > 0 && !interrupted && run_batch(t, &t->held_out, list, count, outcomes);
    t->held = mem_array(count, sizeof(*t->held));
    for (size_t i = 0; i < count; i++)
        t->held[i] = (struct tune_held){.known = fine, .outcome = outcomes[i]};
    free(list);
    free(outcomes);
    return fine || t->error.kind == ERROR_NONE;
}

/* ------------------------------------------------------------------ the chosen one */

static bool write_whole(const char *path, const struct text *text, struct error *err)
{
    return file_replace(path, text->bytes, text->length) ||
           error_set(err, ERROR_INTERNAL, "%s cannot be written: %s; name another file with --write", path,
                     strerror(errno));
}

static bool write_chosen(struct tuning *t, struct error *err)
{
    struct text text;
    bool fine;

    if (choose < 1 || (size_t)choose > t->result.front_count)
        return error_set(err, ERROR_INVALID, "--choose %lld: the front has %zu", (long long)choose,
                         t->result.front_count);
    text_init(&text, MANIFEST_FILE_MAX_BYTES);
    fine = tune_manifest(&t->space, t->policy->name, t->policy->bytes.bytes, t->policy->bytes.length,
                         &t->result.list[t->result.front[choose - 1]], &text, err);
    if (fine && strcmp(write_to, "-") == 0)
        fwrite(text.bytes, 1, text.length, stdout);
    else if (fine)
        fine = write_whole(write_to, &text, err);
    if (fine && strcmp(output, "text") == 0 && strcmp(write_to, "-") != 0)
        printf("\ncandidate %lld is written to %s\n", (long long)choose, write_to);
    text_done(&text);
    return fine;
}

/* ------------------------------------------------------------------ all */

static void print(const struct tuning *t)
{
    struct tune_shown shown = {.policy = t->policy->name,
                               .space = &t->space,
                               .result = &t->result,
                               .held = t->held,
                               .share = t->share,
                               .tuned_on_ms = t->tuned_on.duration_ms,
                               .duration_ms = t->held_out.duration_ms,
                               .price = t->setup.price,
                               .seed = t->setup.seed};
    struct text out;

    text_init(&out, OUT_MAX_BYTES);
    if (strcmp(output, "json") == 0)
        tune_write_json(&shown, &out);
    else
        tune_write_text(&shown, &out);
    fwrite(out.bytes, 1, out.length, stdout);
    text_done(&out);
}

static bool read_share(const char *option, const char *word, double most, double *out, struct error *err)
{
    return (number_parse(word, strlen(word), out) && *out >= 0 && *out <= most) ||
           error_set(err, ERROR_INVALID, "--%s is a share from 0 to %g, like 0.3, not '%s'", option, most, word);
}

static bool read_all(struct tuning *t, const char *operand, struct error *err)
{
    if (!read_share("share", share, 1, &t->share, err) || !read_share("holdout", holdout, 0.9, &t->holdout, err) ||
        !sources_read(&t->sources, operand, err))
        return false;
    if (t->sources.count != 1)
        return error_set(err, ERROR_INVALID, "%s is a folder; name one file", operand);
    t->policy = &t->sources.files[0];
    if (!tune_find(t->policy->name, t->policy->bytes.bytes, t->policy->bytes.length, words.object, &t->space, err) ||
        !simulate_setup(&words, &t->setup, err))
        return false;
    return t->setup.model ||
           error_set(
               err, ERROR_INVALID,
               "tuning needs a workload that answers to replicas: a --trace of requests, or of sums of requests; what "
               "was measured once stays as it was, however many replicas there are");
}

static bool tune(struct tuning *t, const char *operand, struct error *err)
{
    struct tune_options how = {.candidates = (size_t)candidates};

    if (!read_all(t, operand, err) || !try_original(t, err))
        return false;
    how.seed = t->setup.seed;
    how.share = t->share;
    t->all = how.candidates;
    t->progress = progress_new("tuning");
    tune_search(&t->space, &how, evaluate, t, &t->result);
    bool fine = t->error.kind == ERROR_NONE && judge_front(t);
    progress_end(&t->progress);
    if (!fine)
        *err = t->error;
    else if (!write_to || strcmp(write_to, "-") != 0)
        print(t);
    return fine && (!write_to || interrupted || write_chosen(t, err));
}

static int check_numbers(const struct command *self)
{
    if (candidates < 1 || candidates > TUNE_CANDIDATES_MAX)
        return usage_error(self, "--candidates is a number from 1 to %d", TUNE_CANDIDATES_MAX);
    if (processes < 0 || processes > WORKERS_MAX)
        return usage_error(self, "--workers is a number from 1 to %d", WORKERS_MAX);
    if (!words.trace)
        return usage_error(self, "a trace to tune on is missing: --trace FILE");
    return EXIT_FINE;
}

static int run_tune(const struct command *self, int argc, char **argv)
{
    static struct tuning tuning;
    struct error err = {.kind = ERROR_NONE};
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (argc - first != 1)
        return usage_error(self, "name one policy: the file of a ScaledObject");
    if ((status = check_numbers(self)) != EXIT_FINE)
        return status;
    processes = processes ? processes : (int64_t)workers_usual();
    interrupt_catch();
    bool fine = tune(&tuning, argv[first], &err);
    tune_result_free(&tuning.result);
    free(tuning.held);
    if (tuning.space.arena)
        tune_space_done(&tuning.space);
    simulate_setup_done(&tuning.setup);
    sources_done(&tuning.sources);
    if (!fine)
        fprintf(stderr, "weir %s: %s%s%s\n", self->name, err.where, err.where[0] ? ": " : "", err.text);
    return fine && !interrupted ? EXIT_FINE : EXIT_FOUND;
}

const struct command command_tune = {
    .name = "tune",
    .operands = "POLICY",
    .summary = "search for the numbers of a policy that serve a trace best",
    .description =
        "What is searched: the values with a comment `# weir:tune LOW..HIGH` on their line; without any, the targets, "
        "the\n"
        "minimum, the intervals, windows and tolerances. What is wanted: a share of requests in their goals, few "
        "replica\n"
        "hours, few scale events; what is printed are the candidates that nothing is better than in all three. The end "
        "of\n"
        "the trace is held out: it is judged there, and not tuned on.\n\n"
        "  weir tune policy.yaml --trace week.csv --slo ttft=2s,itl=100ms --share 0.99\n"
        "  weir tune policy.yaml --trace week.csv --choose 2 --write tuned.yaml\n\n"
        "Exit status: 0; 1 for a policy or trace that cannot be used, or when it was interrupted (what there is, is\n"
        "printed); 2 for bad usage.",
    .options = options,
    .run = run_tune,
};
