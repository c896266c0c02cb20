/*
 * sim: the serving model against its hand-checked runs: requests, replicas, scale events, probes, score; and the small rules beside it
 * (draws, start-up times, oscillation, copies of a trace). Kinds and policies whose engine is not part of the build fail and say so.
 * Integers are exact; numbers with a point hold to 1e-9 relative.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide_case.h"
#include "sim/run.h"
#include "sim/signal.h"

#define NS_PER_S INT64_C(1000000000)
enum { INITIAL_MAX = 10000 };

/* ------------------------------------------------------------------ reading */

static const struct tree *first_of(const struct tree *list)
{
    return list ? list->first : NULL;
}

static int64_t integer_at(const struct tree *list, size_t index)
{
    int64_t value = 0;

    tree_integer(tree_index(list, index), &value);
    return value;
}

static bool read_profile(const struct tree *node, struct serving_profile *out)
{
    const char *name = tree_string(node);

    if (name) {
        const struct serving_profile *known = serving_profile(name);
        if (known)
            *out = *known;
        return known != NULL;
    }
    *out = (struct serving_profile){
        .prefill_tps = integer_or(node, "prefill_tps", 0),
        .itl_base_ns = integer_or(node, "itl_base_ns", 0),
        .itl_per_seq_ns = integer_or(node, "itl_per_seq_ns", 0),
        .max_batch = integer_or(node, "max_batch", 0),
        .kv_tokens = integer_or(node, "kv_tokens", 0),
        .chunk_tokens = integer_or(node, "chunk_tokens", 0),
        .gpus = (int)integer_or(node, "gpus", 1),
    };
    return out->prefill_tps >= 1 && out->itl_base_ns >= 1 && out->max_batch >= 1 && out->chunk_tokens >= 1;
}

static uint64_t read_seed(const struct tree *map)
{
    const struct tree *seed = tree_get(map, "seed");

    return seed && seed->text ? strtoull(seed->text, NULL, 10) : 0; /* seeds may exceed 2^63 */
}

static struct serving_startup read_startup(struct decide_case *c, const struct tree *map)
{
    const struct tree *uniform = tree_get(map, "uniform_ns"), *table = tree_get(map, "table_ns");
    struct serving_startup out = {
        .kind = STARTUP_FIXED, .fixed_ns = integer_or(map, "fixed_ns", 0), .seed = read_seed(map)};

    if (uniform) {
        out.kind = STARTUP_UNIFORM;
        out.low_ns = integer_at(uniform, 0);
        out.high_ns = integer_at(uniform, 1);
    } else if (table) {
        int64_t *values = arena_array(c->arena, tree_count(table) + 1, sizeof(*values));

        out.kind = STARTUP_TABLE;
        for (const struct tree *v = table->first; v; v = v->next)
            tree_integer(v, &values[out.table_count++]);
        out.table_ns = values;
    }
    return out;
}

static struct trace read_requests(const struct tree *list)
{
    struct trace trace = {0};

    for (const struct tree *r = first_of(list); r; r = r->next)
        trace_add(&trace, integer_at(r, 0), integer_at(r, 1), integer_at(r, 2));
    trace_amplify(&trace, 1, 0); /* one copy each: by time, else as written */
    return trace;
}

static const struct run_write *read_plan(struct decide_case *c, size_t *count)
{
    const struct tree *list = tree_get(c->in, "plan");
    struct run_write *plan = arena_array(c->arena, tree_count(list) + 1, sizeof(*plan));

    *count = 0;
    for (const struct tree *w = first_of(list); w; w = w->next)
        plan[(*count)++] = (struct run_write){integer_at(w, 0), (int32_t)integer_at(w, 1)};
    return plan;
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

static struct score_goals read_goals(const struct tree *slo)
{
    struct score_goals goals = SCORE_GOALS_DEFAULT;

    goals.ttft_ns = integer_or(slo, "ttft_ns", goals.ttft_ns);
    goals.ttft_per_token_ns = integer_or(slo, "ttft_per_token_ns", goals.ttft_per_token_ns);
    goals.itl_ns = integer_or(slo, "itl_ns", goals.itl_ns);
    return goals;
}

/* ------------------------------------------------------------------ comparing */

static void differ_words(struct decide_case *c, const char *place, const char *expected, const char *got)
{
    if (!c->same)
        return; /* the first difference says most */
    differ_text(c, place, expected, got);
}

/* got: -1 where there is nothing, for columns in which that can be. */
static void compare_column(struct decide_case *c, const struct tree *row, size_t column, const char *place, int64_t got,
                           bool nullable)
{
    const struct tree *node = tree_index(row, column);
    char words[32] = "null";
    int64_t expected;

    if (node && node->type == TREE_NULL ? nullable && got == -1 : tree_integer(node, &expected) && expected == got)
        return;
    if (!(nullable && got == -1))
        snprintf(words, sizeof(words), "%" PRId64, got);
    differ_words(c, place, node && node->text ? node->text : node ? "null" : "nothing", words);
}

static void compare_row(struct decide_case *c, const char *what, size_t index, const struct tree *row,
                        const int64_t *got, size_t count, bool nullable)
{
    for (size_t i = 0; i < count; i++) {
        char place[64];

        snprintf(place, sizeof(place), "%s[%zu][%zu]", what, index, i);
        compare_column(c, row, i, place, got[i], nullable);
    }
}

static bool same_count(struct decide_case *c, const char *what, const struct tree *list, size_t got)
{
    if (tree_count(list) == got)
        return true;
    differ(c, what, (int64_t)tree_count(list), (int64_t)got);
    return false;
}

static bool is_close(double expected, double got)
{
    return expected == got || fabs(expected - got) <= 1e-9 * fmax(fabs(expected), fabs(got));
}

static void compare_close(struct decide_case *c, const struct tree *map, const char *key, bool found, double got)
{
    const struct tree *node = tree_get(map, key);
    double expected;
    char words[40] = "null";

    if (!node || (node->type == TREE_NULL && !found) ||
        (found && tree_number(node, &expected) && is_close(expected, got)))
        return;
    if (found)
        snprintf(words, sizeof(words), "%.17g", got);
    differ_words(c, key, node->text ? node->text : "null", words);
}

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

static void compare_events(struct decide_case *c, const struct serving *model)
{
    const struct tree *list = tree_get(c->expect, "events"), *row = first_of(list);
    const struct serving_event *events;
    size_t count = serving_events(model, &events);

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

    compare_integer(c, expect, "requests", s->requests);
    compare_close(c, expect, "in_slo", true, s->in_slo);
    compare_close(c, expect, "ttft_ok", true, s->ttft_ok);
    compare_close(c, expect, "itl_ok", true, s->itl_ok);
    compare_close(c, expect, "attainable", true, s->attainable);
    compare_close(c, expect, "replica_hours", true, s->replica_hours);
    compare_integer(c, expect, "worst_waiting", s->worst.waiting);
    compare_integer(c, expect, "worst_waiting_tokens", s->worst.waiting_tokens);
    compare_integer(c, expect, "recovery_s", s->recovery_s);
    compare_close(c, expect, "ttft_p50_ns", s->ttft_p50_ns >= 0, (double)s->ttft_p50_ns);
    compare_close(c, expect, "ttft_p99_ns", s->ttft_p99_ns >= 0, (double)s->ttft_p99_ns);
    compare_moves(c, expect, &s->moves);
}

/* ------------------------------------------------------------------ probes */

struct probing {
    struct decide_case *c;
    const struct tree *expect; /* of the next probe */
    struct signal_history *history;
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

static void compare_signals(struct probing *p, const struct serving *model)
{
    for (const struct tree *s = first_of(tree_get(p->c->in, "signals")); s; s = s->next) {
        double value = 0, window_s = number_or(s, "window_s", 60);
        struct signal_query query = {.signal = sim_signal_named(string_or(s, "signal", "")),
                                     .window_ns = (int64_t)(window_s * (double)NS_PER_S),
                                     .quantile = number_or(s, "quantile", 90)};
        bool found = signal_read(p->history, model, &query, &value);

        compare_close(p->c, p->expect, s->key, found, value);
    }
}

static void on_probe(void *arg, const struct serving *model)
{
    struct probing *p = arg;
    struct serving_signals now;

    signal_snapshot(p->history, model);
    p->count++;
    if (!p->expect)
        return;
    serving_signals(model, &now);
    compare_integer(p->c, p->expect, "t", serving_now_ns(model));
    compare_gauges(p->c, p->expect, &now);
    compare_ready(p->c, tree_get(p->expect, "per_replica"), model);
    compare_signals(p, model);
    p->expect = p->expect->next;
}

/* ------------------------------------------------------------------ the kinds */

static void run_requests(struct decide_case *c)
{
    struct serving_profile profile;
    struct serving_startup startup = read_startup(c, tree_get(c->in, "startup"));
    struct score_goals goals = read_goals(tree_get(c->in, "slo"));
    int64_t initial = integer_or(c->in, "initial", 1);
    const struct tree *probes = tree_get(c->expect, "probes");

    if (tree_get(c->in, "policy"))
        return differ_text(c, "engine", "a run under a policy", "the engines of policies are not built yet");
    if (!read_profile(tree_get(c->in, "profile"), &profile) || initial < 0 || initial > INITIAL_MAX)
        return differ_text(c, "profile", "a profile and a start this runner can read",
                           "neither a known name nor six sound fields");
    struct trace trace = read_requests(tree_get(c->in, "requests"));
    struct serving *model = serving_new(&profile, &startup, (int32_t)initial);
    struct probing probing = {c, first_of(probes), signal_history_new(), 0};
    struct run run = {.requests = trace.requests,
                      .request_count = trace.count,
                      .on_probe = on_probe,
                      .arg = &probing,
                      .duration_ns = integer_or(c->in, "duration_ns", -1),
                      .warmup_ns = integer_or(c->in, "warmup_ns", 0)};
    struct score_peaks peaks;
    struct score score;

    run.plan = read_plan(c, &run.plan_count);
    run.probes_ns = read_probes(c, &run.probe_count);
    run_until_served(&run, model, &peaks);
    score_run(&score, model, &goals, &(struct score_span){run.warmup_ns, run_duration_ns(&run)}, &peaks);
    compare_requests(c, model, &goals);
    compare_replicas(c, model);
    compare_events(c, model);
    compare_score(c, &score);
    compare_integer(c, c->expect, "end", run_duration_ns(&run));
    if (probes)
        same_count(c, "probes", probes, probing.count);
    signal_history_free(probing.history);
    serving_free(model);
    trace_free(&trace);
}

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
    } kinds[] = {{"requests", run_requests},
                 {"draw", run_draw},
                 {"startup", run_startup},
                 {"events", run_events},
                 {"amplify", run_amplify}};
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
