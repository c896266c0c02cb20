/* Simulations against the model: decisions come back as what the triggers say, both engines, and what the judge finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "sim/judge.h"
#include "sim/simulation.h"

#define S   1000
#define NS  INT64_C(1000000000)
#define MIN (60 * NS)

enum { REQUESTS_MAX = 100000 };

static const char inference[] =
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: chat}\nspec:\n"
    "  scaleTargetRef: {name: chat}\n  minReplicaCount: %d\n  maxReplicaCount: %d\n  pollingInterval: 5\n  triggers:\n"
    "  - {type: inference, name: running, metadata: {signal: running}}\n"
    "  - {type: inference, name: waiting, metadata: {signal: waiting}}\n"
    "  advanced: {scalingModifiers: {formula: running + waiting, target: \"%s\"}}\n";
static const char as_written[] =
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: chat}\nspec:\n"
    "  scaleTargetRef: {name: chat}\n  minReplicaCount: 1\n  maxReplicaCount: 16\n  pollingInterval: 5\n  triggers:\n"
    "  - {type: prometheus, name: tokens_per_min, metadata: {serverAddress: http://10.0.0.1, query: q, threshold: "
    "\"1\"}}\n"
    "  - {type: kubernetes-workload, name: pod_count, metadata: {podSelector: app=chat, value: \"1\"}}\n"
    "  advanced:\n    scalingModifiers: {formula: 1 / (tokens_per_min / pod_count), target: \"0.001\"}\n"
    "    horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: 20}}}\n";

/* So many requests a second, minute by minute. */
static size_t spread(struct trace_request *requests, const int *per_s, size_t minutes)
{
    size_t count = 0;

    for (size_t m = 0; m < minutes; m++)
        for (int i = 0; i < 60 * per_s[m] && count < REQUESTS_MAX; i++)
            requests[count++] = (struct trace_request){(int64_t)m * MIN + (int64_t)i * MIN / (60 * per_s[m]), 800, 200};
    return count;
}

struct watching {
    struct judge *judge;
    int64_t stop_after; /* ticks; 0: never */
    bool stop;
    char log[65536];
    int64_t ticks;
};

static void on_tick(void *arg, const struct simulation_tick *tick)
{
    struct watching *w = arg;
    size_t length = strlen(w->log);

    w->ticks++;
    if (w->judge)
        judge_tick(w->judge, tick);
    w->stop = w->stop_after > 0 && w->ticks >= w->stop_after;
    if (tick->decision->write && length + 64 < sizeof(w->log))
        snprintf(w->log + length, 64, "%lld:%d>%d ", (long long)tick->at_ms / 1000, tick->decision->before,
                 tick->decision->after);
}

struct trial {
    const char *manifest;
    struct model_options model;
    enum simulation_engine engine;
    const struct simulation_map *maps;
    size_t map_count;
    int64_t stop_after;
    struct watching watching;
    struct simulation_result result;
    char found[8192]; /* the judge's JSON */
};

static void run(struct trial *t)
{
    struct score_goals goals = SCORE_GOALS_DEFAULT;
    struct error err = {.kind = ERROR_NONE};
    struct simulation *s = simulation_new(&(struct simulation_options){.manifest_name = "chat.yaml",
                                                                       .manifest = t->manifest,
                                                                       .manifest_length = strlen(t->manifest),
                                                                       .engine = t->engine,
                                                                       .model = &t->model,
                                                                       .maps = t->maps,
                                                                       .map_count = t->map_count,
                                                                       .duration_ms = -1,
                                                                       .initial = 1,
                                                                       .on_tick = on_tick,
                                                                       .arg = &t->watching,
                                                                       .stop = &t->watching.stop,
                                                                       .quick = true},
                                          NULL, &err);
    struct text text;

    if (!s)
        fail_msg("%s: %s", err.where, err.text);
    t->watching = (struct watching){.judge = judge_new(s), .stop_after = t->stop_after};
    simulation_run(s);
    judge_finish(t->watching.judge, &goals);
    simulation_result(s, &goals, &t->result);
    text_init(&text, sizeof(t->found));
    judge_write_json(t->watching.judge, &text);
    snprintf(t->found, sizeof(t->found), "%s", text.bytes);
    text_done(&text);
    judge_free(t->watching.judge);
    simulation_free(s);
}

static struct trace_request requests[REQUESTS_MAX];

static struct model_options model_of(size_t count, int64_t startup_ns)
{
    return (struct model_options){.profile = *serving_profile("h100-8b"),
                                  .startup = {.fixed_ns = startup_ns},
                                  .duration_ns = -1,
                                  .requests = requests,
                                  .request_count = count};
}

static void decisions_come_back_in_the_triggers(void **state)
{
    static const int load[] = {2, 2, 30, 30, 30, 30, 2, 2, 2, 2, 2, 2, 2, 2};
    static struct trial few, many;
    char one[1000], other[1000];

    (void)state;
    few.model = many.model = model_of(spread(requests, load, 14), 10 * NS);
    snprintf(one, sizeof(one), inference, 1, 1, "20");
    snprintf(other, sizeof(other), inference, 1, 10, "20");
    few.manifest = one;
    many.manifest = other;
    run(&few);
    run(&many);
    assert_true(few.result.has_score && many.result.has_score);
    assert_int_equal(few.result.highest, 1);
    assert_true(many.result.highest > 2);
    assert_int_equal(many.result.lowest, 1);
    assert_true(many.result.score.worst.waiting <= few.result.score.worst.waiting);
    assert_true(many.result.score.in_slo >= few.result.score.in_slo);
    assert_true(many.result.replica_seconds > few.result.replica_seconds);
    assert_true(few.result.replica_seconds == 14 * 60);
    assert_string_equal(few.watching.log, "");
}

static void the_engines_differ_in_their_times(void **state)
{
    static const int load[] = {2, 2, 40, 40, 40, 40, 2, 2};
    static struct trial weir, keda;
    char manifest[1000];
    long weir_at = -1, keda_at = -1;

    (void)state;
    snprintf(manifest, sizeof(manifest), inference, 1, 10, "20");
    weir.model = keda.model = model_of(spread(requests, load, 8), 10 * NS);
    weir.manifest = keda.manifest = manifest;
    keda.engine = ENGINE_KEDA_HPA;
    run(&weir);
    run(&keda);
    assert_int_equal(sscanf(weir.watching.log, "%ld:", &weir_at), 1);
    assert_int_equal(sscanf(keda.watching.log, "%ld:", &keda_at), 1);
    assert_true(weir_at >= 120 && weir_at <= 130);
    assert_true(keda_at > weir_at && keda_at % 15 == 0); /* a sync of the HPA */
    assert_true(weir.watching.ticks >= 8 * 12);
}

static void the_same_on_every_run(void **state)
{
    static const int load[] = {2, 20, 2, 20, 2, 2, 2, 2};
    static struct trial a, b;
    char manifest[1000];

    (void)state;
    snprintf(manifest, sizeof(manifest), inference, 0, 10, "10");
    for (int engine = 0; engine < 2; engine++) {
        a.model = b.model = model_of(spread(requests, load, 8), 30 * NS);
        a.manifest = b.manifest = manifest;
        a.engine = b.engine = engine ? ENGINE_KEDA_HPA : ENGINE_WEIR;
        run(&a);
        run(&b);
        assert_string_equal(a.watching.log, b.watching.log);
        assert_string_equal(a.found, b.found);
        assert_memory_equal(&a.result, &b.result, sizeof(a.result));
    }
}

/* ------------------------------------------------------------------ sums */

static void sums_drive_the_fluid_model(void **state)
{
    static struct model_bucket buckets[12];
    static struct trial t;
    char manifest[1000];

    (void)state;
    for (size_t i = 0; i < 12; i++)
        buckets[i] = (struct model_bucket){i < 6 ? 10 : 60, i < 6 ? 8000 : 48000, i < 6 ? 2000 : 12000};
    snprintf(manifest, sizeof(manifest), inference, 1, 20, "40");
    t.manifest = manifest;
    t.model = (struct model_options){.profile = *serving_profile("h100-8b"),
                                     .startup = {.fixed_ns = 60 * NS},
                                     .duration_ns = -1,
                                     .buckets = buckets,
                                     .bucket_count = 12,
                                     .bucket_ns = 600 * NS,
                                     .step_ns = 15 * NS};
    run(&t);
    assert_int_equal(t.result.duration_ms, 7200 * S);
    assert_true(t.result.highest > 1);
    assert_true(t.result.score.requests > 6 * 600 * 69);
}

static void what_is_stopped_counts_up_to_there(void **state)
{
    static const int load[] = {2, 2, 2, 2, 2, 2, 2, 2};
    static struct model_bucket buckets[4] = {{2, 1600, 400}, {2, 1600, 400}, {2, 1600, 400}, {2, 1600, 400}};
    static struct trial t = {.stop_after = 37};
    char manifest[1000];

    (void)state;
    snprintf(manifest, sizeof(manifest), inference, 1, 10, "20");
    t.manifest = manifest;
    for (int engine = 0; engine < 2; engine++) {
        t.engine = engine ? ENGINE_KEDA_HPA : ENGINE_WEIR;
        t.model = model_of(spread(requests, load, 8), 30 * NS);
        run(&t);
        assert_true(t.result.stopped);
        assert_int_equal(t.result.ticks, 37);
        assert_true(t.result.duration_ms < 8 * 60 * S);
        assert_true(t.result.replica_seconds * 1000 == (double)t.result.duration_ms);
        assert_true(t.result.score.requests == (double)(t.result.duration_ms / 500 + 1));
        assert_true(t.result.score.in_slo == 1);
    }
    t.engine = ENGINE_WEIR;
    t.model.request_count = 0;
    t.model.buckets = buckets;
    t.model.bucket_count = 4;
    t.model.bucket_ns = 600 * NS;
    run(&t);
    assert_true(t.result.stopped && t.result.duration_ms == 180 * S);
    assert_true(t.result.score.requests == 360);
    assert_true(t.result.replica_seconds == 180);
}

/* ------------------------------------------------------------------ the judge */

static const struct {
    const char *name, *codes; /* those that must be there; a minus before those that may not */
    const int load[20];
    int64_t startup_ns;
    int max;
    const char *target;
} judged[] = {
    {"follows the load",
     "-against-demand -runs-away -oscillates -max-too-low -content-in-need",
     {5, 10, 20, 40, 60, 60, 60, 40, 20, 10, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5},
     5 * NS,
     20,
     "10"},
    {"may not be what it has to be",
     "max-too-low -against-demand",
     {5, 200, 200, 200, 200, 200, 200, 200, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5},
     5 * NS,
     2,
     "20"},
    {"does not see the need",
     "content-in-need -max-too-low",
     {5, 60, 60, 60, 60, 60, 60, 60, 60, 60, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5},
     5 * NS,
     20,
     "100000"},
};

static void expect_codes(const char *name, const char *codes, const char *found)
{
    char copy[200], *rest = NULL, quoted[64];

    snprintf(copy, sizeof(copy), "%s", codes);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        snprintf(quoted, sizeof(quoted), "\"%s\"", word + (*word == '-'));
        if ((strstr(found, quoted) == NULL) != (*word == '-'))
            fail_msg("%s: %s in %s", name, word, found);
    }
}

static void the_judge_says_what_is_wrong(void **state)
{
    static struct trial t;
    char manifest[1000];

    (void)state;
    for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++) {
        snprintf(manifest, sizeof(manifest), inference, 1, judged[i].max, judged[i].target);
        t.manifest = manifest;
        t.model = model_of(spread(requests, judged[i].load, 20), judged[i].startup_ns);
        run(&t);
        expect_codes(judged[i].name, judged[i].codes, t.found);
    }
}

static void the_formula_as_written_moves_against_demand_and_runs_away(void **state)
{
    static const int load[] = {1, 1, 1, 90, 90, 90, 1, 1, 1, 1, 1}; /* quiet is one short request a second */
    static const struct simulation_map maps[] = {{"tokens_per_min", {SIM_SIGNAL_TOKENS_PER_MIN, MIN, 90}}};
    static struct trial t = {.manifest = as_written, .maps = maps, .map_count = 1};

    (void)state;
    t.model = model_of(spread(requests, load, 11), 3 * NS);
    for (size_t i = 0; i < t.model.request_count; i++)
        requests[i].prompt = requests[i].generated = 3;
    run(&t);
    expect_codes("as written", "against-demand runs-away", t.found);
    assert_non_null(strstr(t.found, "\"term\":\"1 / (tokens_per_min / pod_count)\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_come_back_in_the_triggers),
        cmocka_unit_test(the_engines_differ_in_their_times),
        cmocka_unit_test(the_same_on_every_run),
        cmocka_unit_test(sums_drive_the_fluid_model),
        cmocka_unit_test(what_is_stopped_counts_up_to_there),
        cmocka_unit_test(the_judge_says_what_is_wrong),
        cmocka_unit_test(the_formula_as_written_moves_against_demand_and_runs_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
