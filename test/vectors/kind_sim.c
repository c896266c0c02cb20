/*
 * sim: the serving model against its hand-checked runs: requests, replicas, scale events, probes, score; the fluid model step by step; the
 * two engines on either; the oracle; and the small rules beside them (draws, start-up times, oscillation, copies of a trace).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "sim/engine.h"
#include "sim/fluid.h"
#include "sim_case.h"

enum { INITIAL_MAX = 10000 };

/* ------------------------------------------------------------------ outcomes */

static void compare_requests(struct decide_case *c, const struct serving *model, const struct score_goals *goals)
{
    const struct tree *list = tree_get(c->expect, "requests"), *row = first_of(list);
    const struct serving_request *requests;
    size_t count = serving_requests(model, &requests);

    if (!list || !same_count(c, "requests", list, count))
        return;
    for (size_t i = 0; i < count; i++, row = row->next) {
        const struct serving_request *q = &requests[i];

        compare_row(c, "requests", i, row,
                    (int64_t[]){q->replica, q->assigned_ns, q->admitted_ns, q->first_ns, q->finished_ns,
                                score_ttft_ok(q, goals), score_itl_ok(q, goals)},
                    7, true);
    }
}

static void compare_replicas(struct decide_case *c, const struct serving *model)
{
    const struct tree *list = tree_get(c->expect, "replicas"), *row = first_of(list);
    size_t count = serving_replica_count(model);

    if (!list || !same_count(c, "replicas", list, count))
        return;
    for (size_t i = 0; i < count; i++, row = row->next) {
        struct serving_replica r = serving_replica(model, i);

        compare_row(c, "replicas", i, row, (int64_t[]){(int64_t)i, r.created_ns, r.ready_ns, r.draining_ns, r.gone_ns},
                    5, true);
    }
}

static void compare_events(struct decide_case *c, const struct model *model)
{
    const struct tree *list = tree_get(c->expect, "events"), *row = first_of(list);
    const struct serving_event *events;
    size_t count = model_events(model, &events);

    if (!list || !same_count(c, "events", list, count))
        return;
    for (size_t i = 0; i < count; i++, row = row->next)
        compare_row(c, "events", i, row, (int64_t[]){events[i].at_ns, events[i].before, events[i].after}, 3, false);
}

static void compare_moves(struct decide_case *c, const struct tree *expect, const struct score_moves *m)
{
    compare_integer(c, expect, "events", m->events);
    compare_integer(c, expect, "ups", m->ups);
    compare_integer(c, expect, "downs", m->downs);
    compare_integer(c, expect, "oscillation", m->oscillation);
}

static void compare_score(struct decide_case *c, const struct score *s)
{
    const struct tree *expect = tree_get(c->expect, "score");

    compare_close(c, expect, "requests", true, s->requests);
    compare_close(c, expect, "in_slo", true, s->in_slo);
    compare_close(c, expect, "ttft_ok", true, s->ttft_ok);
    compare_close(c, expect, "itl_ok", true, s->itl_ok);
    compare_close(c, expect, "attainable", s->attainable >= 0, s->attainable);
    compare_close(c, expect, "replica_hours", true, s->replica_hours);
    compare_close(c, expect, "worst_waiting", true, s->worst.waiting);
    compare_close(c, expect, "worst_waiting_tokens", true, s->worst.waiting_tokens);
    compare_close(c, expect, "recovery_s", true, s->recovery_s);
    compare_close(c, expect, "ttft_p50_ns", s->ttft_p50_ns >= 0, (double)s->ttft_p50_ns);
    compare_close(c, expect, "ttft_p99_ns", s->ttft_p99_ns >= 0, (double)s->ttft_p99_ns);
    compare_moves(c, expect, &s->moves);
}

/* ------------------------------------------------------------------ probes */

struct probing {
    struct decide_case *c;
    const struct tree *expect; /* of the next probe */
    size_t count;
};

static void compare_ready(struct decide_case *c, const struct tree *list, const struct serving *model)
{
    size_t count = 0;

    if (!list)
        return;
    for (size_t id = 0; id < serving_replica_count(model); id++) {
        struct serving_replica r = serving_replica(model, id);

        if (r.state != REPLICA_READY)
            continue;
        compare_row(c, "per_replica", count, tree_index(list, count),
                    (int64_t[]){(int64_t)id, r.waiting, r.running, r.kv, r.outstanding}, 5, false);
        count++;
    }
    same_count(c, "per_replica", list, count);
}

static void compare_gauges(struct decide_case *c, const struct tree *expect, const struct serving_signals *now)
{
    const struct serving_counters *n = &now->counters;

    compare_integer(c, expect, "spec", now->replicas);
    compare_integer(c, expect, "ready", now->ready_replicas);
    compare_integer(c, expect, "pending", now->pending_replicas);
    compare_integer(c, expect, "draining", now->draining_replicas);
    compare_integer(c, expect, "router", now->router);
    compare_integer(c, expect, "waiting", now->waiting);
    compare_integer(c, expect, "running", now->running);
    compare_integer(c, expect, "inflight_tokens", now->inflight_tokens);
    compare_close(c, expect, "kv_usage", true, now->kv_usage);
    compare_close(c, expect, "kv_usage_max", true, now->kv_usage_max);
    if (tree_get(expect, "counters"))
        compare_row(
            c, "counters", 0, tree_get(expect, "counters"),
            (int64_t[]){n->prompt, n->generated, n->arrived, n->arriving_prompt, n->arriving_generated, n->finished}, 6,
            false);
}

static void compare_signals(struct probing *p, const struct model *model)
{
    for (const struct tree *s = first_of(tree_get(p->c->in, "signals")); s; s = s->next) {
        double value = 0, window_s = number_or(s, "window_s", 60);
        struct signal_query query = {.signal = sim_signal_named(string_or(s, "signal", "")),
                                     .window_ns = (int64_t)(window_s * (double)NS_PER_S),
                                     .quantile = number_or(s, "quantile", 90)};
        bool found = model_read(model, &query, &value);

        compare_close(p->c, p->expect, s->key, found, value);
    }
}

static void on_probe(void *arg, struct model *model)
{
    struct probing *p = arg;
    struct serving_signals now;

    model_snapshot(model);
    p->count++;
    if (!p->expect)
        return;
    serving_signals(model_serving(model), &now);
    compare_integer(p->c, p->expect, "t", serving_now_ns(model_serving(model)));
    compare_gauges(p->c, p->expect, &now);
    compare_ready(p->c, tree_get(p->expect, "per_replica"), model_serving(model));
    compare_signals(p, model);
    p->expect = p->expect->next;
}

static const int64_t *read_probes(struct decide_case *c, size_t *count)
{
    const struct tree *list = tree_get(c->in, "probes");
    int64_t *probes = arena_array(c->arena, tree_count(list) + 1, sizeof(*probes));

    *count = 0;
    for (const struct tree *p = first_of(list); p; p = p->next)
        tree_integer(p, &probes[(*count)++]);
    return probes;
}

/* ------------------------------------------------------------------ the models */

/* Plan, probes and policy of the case. false: its policy cannot be run. */
static bool run_case(struct decide_case *c, struct model *model, int64_t step_ms)
{
    const struct tree *probes = tree_get(c->expect, "probes"), *policy = tree_get(c->in, "policy");
    struct probing probing = {c, first_of(probes), 0};
    struct run run = {.on_probe = on_probe, .arg = &probing};
    struct policy_run *engine = policy ? policy_run_new(c, policy, model, step_ms) : NULL;

    if (policy && !engine)
        return false;
    run.plan = read_plan(c, &run.plan_count);
    run.probes_ns = read_probes(c, &run.probe_count);
    run.engine = engine ? policy_run_engine(engine) : NULL;
    run_model(&run, model);
    policy_run_free(engine);
    if (probes)
        same_count(c, "probes", probes, probing.count);
    return true;
}

static void compare_run(struct decide_case *c, const struct model *model, const struct score_goals *goals)
{
    struct score score;

    model_score(model, goals, &score);
    compare_events(c, model);
    compare_score(c, &score);
    if (!model_serving(model))
        return;
    compare_requests(c, model_serving(model), goals);
    compare_replicas(c, model_serving(model));
    compare_integer(c, c->expect, "end", model_duration_ns(model));
}

static struct model *make_model(struct decide_case *c, const struct model_options *options)
{
    struct error err;
    struct model *model = model_new(options, &err);

    if (!model)
        differ_text(c, "model", "a run", err.text);
    return model;
}

static void run_requests(struct decide_case *c)
{
    struct trace trace = read_requests(tree_get(c->in, "requests"));
    struct score_goals goals = read_goals(tree_get(c->in, "slo"));
    struct model_options options = {.startup = read_startup(c, tree_get(c->in, "startup")),
                                    .initial = count_or(c->in, "initial", 1),
                                    .requests = trace.requests,
                                    .request_count = trace.count,
                                    .duration_ns = integer_or(c->in, "duration_ns", -1),
                                    .warmup_ns = integer_or(c->in, "warmup_ns", 0)};
    struct model *model = read_profile(tree_get(c->in, "profile"), &options.profile) && options.initial <= INITIAL_MAX
                              ? make_model(c, &options)
                              : NULL;

    if (!model)
        differ_text(c, "profile", "a profile and a start this runner can read", "something else");
    else if (run_case(c, model, 0))
        compare_run(c, model, &goals);
    model_free(model);
    trace_free(&trace);
}

/* One row per `every` steps. */
static void compare_steps(struct decide_case *c, const struct fluid *fluid, const struct score_goals *goals)
{
    const struct fluid_step *steps;
    size_t count = fluid_steps(fluid, &steps), every = (size_t)integer_or(c->in, "every", 1), number = 0;

    compare_integer(c, c->expect, "steps", (int64_t)count);
    for (const struct tree *row = first_of(tree_get(c->expect, "rows")); row; row = row->next) {
        size_t k = every * number++;

        if (k >= count)
            return differ(c, "rows", (int64_t)k, (int64_t)count);
        const struct fluid_step *s = &steps[k];
        double got[] = {s->backlog, s->ttft_s, s->itl_s, s->utilization, fluid_share(fluid, k, goals)};
        compare_row(c, "rows", k, row, (int64_t[]){(int64_t)k, s->ready, s->replicas}, 3, false);
        for (size_t i = 0; i < sizeof(got) / sizeof(got[0]); i++) {
            char place[64];

            snprintf(place, sizeof(place), "rows[%zu][%zu]", k, 3 + i);
            compare_within(c, tree_index(row, 3 + i), place, got[i], CLOSE);
        }
    }
}

static void run_fluid(struct decide_case *c)
{
    struct score_goals goals = read_goals(tree_get(c->in, "slo"));
    struct model_options options;

    if (!read_fluid(c, &options))
        return;
    struct model *model = make_model(c, &options);
    if (model && run_case(c, model, options.step_ns / 1000000)) {
        compare_steps(c, model_fluid(model), &goals);
        compare_run(c, model, &goals);
    }
    model_free(model);
}

/* ------------------------------------------------------------------ the small rules */

static void run_draw(struct decide_case *c)
{
    const struct tree *value = first_of(tree_get(c->expect, "values"));
    int64_t count = integer_or(c->in, "count", 0);
    char got[32];

    same_count(c, "values", tree_get(c->expect, "values"), (size_t)count);
    for (int64_t k = 0; k < count && value; k++, value = value->next) {
        snprintf(got, sizeof(got), "%" PRIu64, serving_draw(read_seed(c->in), (uint64_t)k));
        if (!string_equal(value->text, got))
            differ_words(c, "values", value->text, got);
    }
}

static void run_startup(struct decide_case *c)
{
    struct serving_startup startup = read_startup(c, tree_get(c->in, "startup"));
    const struct tree *list = tree_get(c->expect, "ns");
    int64_t count = integer_or(c->in, "count", 0);

    if (!same_count(c, "ns", list, (size_t)count))
        return;
    for (int64_t id = 0; id < count; id++)
        compare_column(c, list, (size_t)id, "ns", serving_startup_ns(&startup, (uint64_t)id), false);
}

static void run_events(struct decide_case *c)
{
    const struct tree *list = tree_get(c->in, "events");
    struct serving_event *events = arena_array(c->arena, tree_count(list) + 1, sizeof(*events));
    struct score_moves moves;
    size_t count = 0;

    for (const struct tree *e = first_of(list); e; e = e->next)
        events[count++] =
            (struct serving_event){integer_at(e, 0), (int32_t)integer_at(e, 1), (int32_t)integer_at(e, 2)};
    score_moves(&moves, events, count,
                &(struct score_span){integer_or(c->in, "start_ns", 0), integer_or(c->in, "end_ns", SERVING_NEVER)});
    compare_moves(c, c->expect, &moves);
}

static void run_amplify(struct decide_case *c)
{
    struct trace trace = {0};
    const struct tree *list = tree_get(c->expect, "requests"), *row = first_of(list);

    for (const struct tree *r = first_of(tree_get(c->in, "requests")); r; r = r->next)
        trace_add(&trace, integer_at(r, 0), integer_at(r, 1), integer_at(r, 2));
    trace_amplify(&trace, integer_or(c->in, "copies", 1), integer_or(c->in, "spread_ns", NS_PER_S));
    if (same_count(c, "requests", list, trace.count))
        for (size_t i = 0; i < trace.count; i++, row = row->next)
            compare_row(c, "requests", i, row,
                        (int64_t[]){trace.requests[i].at_ns, trace.requests[i].prompt, trace.requests[i].generated}, 3,
                        false);
    trace_free(&trace);
}

enum vector_outcome vector_sim(const struct tree *tree, const char *path, struct vector_result *result)
{
    static const struct {
        const char *kind;
        void (*run)(struct decide_case *c);
    } kinds[] = {
        {"requests", run_requests}, {"fluid", run_fluid},    {"bound", run_bound}, {"bound-fluid", run_bound_fluid},
        {"plan", run_plan},         {"levels", run_levels},  {"draw", run_draw},   {"startup", run_startup},
        {"events", run_events},     {"amplify", run_amplify}};
    struct decide_case c = {
        .in = tree_get(tree, "in"), .expect = tree_get(tree, "expect"), .result = result, .same = true};
    const char *kind = string_or(tree, "kind", "");
    bool known = false;

    (void)path;
    c.arena = arena_new(ARENA_USUAL);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kind, kinds[i].kind) == 0) {
            known = true;
            kinds[i].run(&c);
        }
    arena_free(c.arena);
    if (!known) {
        text_printf(&result->expected, "a case of kind %s", kind);
        text_add(&result->got, "this kind is not built yet");
    }
    return known && c.same ? VECTOR_PASSED : VECTOR_FAILED;
}
