/* The serving model: figures worked out by hand, what always holds, and leaps that change nothing against a model without them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/run.h"
#include "sim/signal.h"

#define S  INT64_C(1000000000)
#define MS INT64_C(1000000)

static const struct serving_startup at_once = {.kind = STARTUP_FIXED};

static const struct serving_request *request(const struct serving *model, size_t i)
{
    const struct serving_request *list;

    serving_requests(model, &list);
    return &list[i];
}

/* serving-model.md 2.5: p = 100, g = 3 on an idle h100-8b. */
static void a_request_alone(void **state)
{
    struct serving *model = serving_new(serving_profile("h100-8b"), &at_once, 1);

    (void)state;
    serving_begin(model, 0);
    serving_arrive(model, 100, 3);
    serving_end(model);
    serving_run_until(model, S);
    assert_int_equal(request(model, 0)->first_ns, 13250000);
    assert_int_equal(request(model, 0)->finished_ns, 13250000 + 2 * 7080000);
    assert_int_equal(serving_open_requests(model), 0);
    serving_free(model);
}

static void add_step(void *arg, int64_t step_ns, int64_t tokens)
{
    int64_t *told = arg; /* nanoseconds, tokens */

    told[0] += step_ns * tokens;
    told[1] += tokens;
}

/* What a watcher is told of the time between tokens is what the requests waited for theirs. */
static void steps_are_told(void **state)
{
    struct serving *model = serving_new(serving_profile("h100-8b"), &at_once, 1);
    int64_t told[2] = {0, 0}, waited = 0;

    (void)state;
    serving_watch(model, add_step, told);
    for (int64_t i = 0; i < 5; i++) {
        serving_begin(model, i * 50 * MS);
        serving_arrive(model, 100 + 400 * i, 3 + i);
        serving_end(model);
    }
    serving_run_until(model, 60 * S);
    for (size_t i = 0; i < 5; i++)
        waited += request(model, i)->finished_ns - request(model, i)->first_ns;
    assert_int_equal(told[0], waited);
    assert_int_equal(told[1], 2 + 3 + 4 + 5 + 6);
    serving_free(model);
}

/* Tokens of a leap are seen one by one, though the model works them off at once. */
static void tokens_show_within_a_leap(void **state)
{
    struct serving *model = serving_new(serving_profile("h100-8b"), &at_once, 1);
    struct serving_signals now;

    (void)state;
    serving_begin(model, 0);
    serving_arrive(model, 100, 101);
    serving_end(model);
    for (int64_t tokens = 1; tokens <= 100; tokens += 33) {
        serving_begin(model, 13250000 + (tokens - 1) * 7080000);
        assert_int_equal(serving_generated(model, 0), tokens);
        serving_signals(model, &now);
        assert_int_equal(now.counters.generated, tokens);
        serving_end(model);
    }
    serving_free(model);
}

static void a_request_larger_than_the_cache_is_rejected(void **state)
{
    struct serving *model = serving_new(serving_profile("h100-8b"), &at_once, 1);

    (void)state;
    serving_begin(model, 0);
    serving_arrive(model, 399999, 2);
    serving_arrive(model, 399999, 1);
    serving_end(model);
    assert_true(request(model, 0)->rejected);
    assert_false(request(model, 1)->rejected);
    assert_int_equal(serving_open_requests(model), 1);
    serving_free(model);
}

/* Starting ones go first, a busy one drains, and what comes back is a new replica. */
static void scaling_down_drains(void **state)
{
    struct serving *model = serving_new(serving_profile("h100-8b"), &(struct serving_startup){.fixed_ns = 10 * S}, 1);

    (void)state;
    serving_begin(model, 0);
    serving_arrive(model, 100, 1000);
    serving_scale(model, 2);
    serving_end(model);
    serving_begin(model, S);
    serving_scale(model, 0);
    serving_end(model);
    assert_int_equal(serving_replica(model, 1).state, REPLICA_GONE);
    assert_int_equal(serving_replica(model, 0).state, REPLICA_DRAINING);
    serving_begin(model, 2 * S);
    serving_scale(model, 1);
    serving_arrive(model, 100, 1);
    serving_end(model);
    serving_run_until(model, 60 * S);
    assert_int_equal(serving_replica(model, 0).gone_ns, request(model, 0)->finished_ns);
    assert_int_equal(request(model, 1)->replica, 2);
    assert_int_equal(request(model, 1)->assigned_ns, 12 * S);
    serving_free(model);
}

/* ------------------------------------------------------------------ against single steps */

enum { REQUESTS = 60 };

struct plain { /* one replica, straight from serving-model.md 2.5, a step at a time */
    int64_t p, g, at, admitted, first, finished, prompt_done, made;
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void plain_step(struct plain *q, const struct serving_profile *f, int64_t *now)
{
    int64_t decoding = 0, pre = 0, kv = 0, chunk = 0;

    for (int i = 0; i < REQUESTS; i++) {
        bool active = q[i].admitted >= 0 && q[i].finished < 0;
        decoding += active && q[i].first >= 0;
        pre += active && q[i].first < 0;
        kv += active ? q[i].p + q[i].g : 0;
        if (active && q[i].first < 0)
            chunk = least(f->chunk_tokens, q[i].p - q[i].prompt_done);
    }
    bool was_decoding[REQUESTS];
    for (int i = 0; i < REQUESTS; i++)
        was_decoding[i] = q[i].first >= 0 && q[i].finished < 0;
    for (int i = 0; i < REQUESTS && q[i].at <= *now; i++) {
        if (q[i].admitted >= 0)
            continue;
        if (chunk >= f->chunk_tokens || pre + decoding >= f->max_batch || kv + q[i].p + q[i].g > f->kv_tokens)
            break;
        q[i].admitted = *now;
        kv += q[i].p + q[i].g;
        pre++;
        chunk += least(f->chunk_tokens - chunk, q[i].p);
    }
    if (decoding == 0 && chunk == 0) { /* idle until the next arrival */
        for (int i = REQUESTS - 1; i >= 0; i--)
            if (q[i].at > *now && (i == 0 || q[i - 1].at <= *now)) {
                *now = q[i].at;
                return;
            }
    }
    *now += f->itl_base_ns + f->itl_per_seq_ns * decoding + (chunk * S + f->prefill_tps - 1) / f->prefill_tps;
    for (int i = 0; i < REQUESTS; i++) {
        if (q[i].admitted < 0 || q[i].finished >= 0)
            continue;
        if (was_decoding[i]) {
            q[i].made++;
        } else {
            int64_t part = least(chunk, q[i].p - q[i].prompt_done);

            chunk -= part;
            q[i].prompt_done += part;
            if (q[i].prompt_done == q[i].p) {
                q[i].first = *now;
                q[i].made = 1;
            }
        }
        if (q[i].made == q[i].g)
            q[i].finished = *now;
    }
}

static uint64_t seed_now;

static int64_t dice(int64_t low, int64_t high)
{
    static uint64_t k;

    return low + (int64_t)(serving_draw(seed_now, k++) % (uint64_t)(high - low + 1));
}

static void make_requests(struct plain *q, struct trace *trace)
{
    int64_t at = 0;

    for (int i = 0; i < REQUESTS; i++) {
        /* on the grid of steps, so that arrivals meet boundaries; sometimes together */
        at += dice(0, 3) == 0 ? 0 : dice(0, 40) * 10 * MS;
        q[i] =
            (struct plain){.p = dice(1, 600), .g = dice(1, 60), .at = at, .admitted = -1, .first = -1, .finished = -1};
        trace_add(trace, at, q[i].p, q[i].g);
    }
}

static void leaps_change_nothing(void **state)
{
    (void)state;
    for (seed_now = 0; seed_now < 200; seed_now++) {
        struct serving_profile profile = {1000,         20 * MS, dice(0, 1) * 10 * MS, dice(1, 6), dice(700, 2000),
                                          dice(1, 300), 1};
        struct plain plain[REQUESTS];
        struct trace trace = {0};
        int64_t now = 0;

        make_requests(plain, &trace);
        struct model *model = model_new(&(struct model_options){.profile = profile,
                                                                .startup = at_once,
                                                                .initial = 1,
                                                                .requests = trace.requests,
                                                                .request_count = trace.count,
                                                                .duration_ns = -1},
                                        NULL);
        run_model(&(struct run){0}, model);
        for (int left = 1; left > 0;) {
            plain_step(plain, &profile, &now);
            left = 0;
            for (int i = 0; i < REQUESTS; i++)
                left += plain[i].finished < 0;
        }
        for (int i = 0; i < REQUESTS; i++) {
            const struct serving_request *q = request(model_serving(model), (size_t)i);

            if (q->admitted_ns != plain[i].admitted || q->first_ns != plain[i].first ||
                q->finished_ns != plain[i].finished)
                fail_msg("seed %llu request %d: admitted %lld first %lld finished %lld, by single steps %lld %lld %lld",
                         (unsigned long long)seed_now, i, (long long)q->admitted_ns, (long long)q->first_ns,
                         (long long)q->finished_ns, (long long)plain[i].admitted, (long long)plain[i].first,
                         (long long)plain[i].finished);
        }
        trace_free(&trace);
        model_free(model);
    }
}

/* ------------------------------------------------------------------ what always holds */

static void check_books(void *arg, struct model *looked_at)
{
    const struct serving *model = model_serving(looked_at);
    struct serving_signals now;
    int64_t backlog, tokens;

    (void)arg;
    serving_signals(model, &now);
    serving_backlog(model, &backlog, &tokens);
    assert_true(now.waiting <= backlog);
    assert_true(now.ready_replicas + now.pending_replicas == now.replicas);
    assert_true(now.kv_usage <= now.kv_usage_max && now.kv_usage_max <= 1);
    assert_int_equal(now.counters.arrived - now.counters.finished, serving_open_requests(model));
}

static void books_balance_under_random_scaling(void **state)
{
    (void)state;
    for (seed_now = 1000; seed_now < 1100; seed_now++) {
        struct serving_profile profile = {1000, 20 * MS, MS, 4, 2000, 256, 1};
        struct serving_startup startup = {.fixed_ns = dice(0, 3) * S};
        int32_t initial = (int32_t)dice(0, 3);
        struct plain plain[REQUESTS];
        struct trace trace = {0};
        struct run_write plan[20];
        int64_t probes[100];
        struct serving_signals end;

        make_requests(plain, &trace);
        struct model *model = model_new(&(struct model_options){.profile = profile,
                                                                .startup = startup,
                                                                .initial = initial,
                                                                .requests = trace.requests,
                                                                .request_count = trace.count,
                                                                .duration_ns = -1},
                                        NULL);
        for (int i = 0; i < 20; i++)
            plan[i] = (struct run_write){i * S, i == 19 ? 1 : (int32_t)dice(0, 4)};
        for (int i = 0; i < 100; i++)
            probes[i] = i * 200 * MS;
        run_model(
            &(struct run){
                .plan = plan, .plan_count = 20, .probes_ns = probes, .probe_count = 100, .on_probe = check_books},
            model);
        serving_signals(model_serving(model), &end);
        assert_int_equal(serving_open_requests(model_serving(model)), 0);
        assert_int_equal(end.counters.prompt, end.counters.arriving_prompt);
        assert_int_equal(end.counters.generated, end.counters.arriving_generated);
        assert_int_equal(end.inflight_tokens, 0);
        trace_free(&trace);
        model_free(model);
    }
}

/* ------------------------------------------------------------------ signals and score */

static void latencies_are_missing_when_nothing_happened(void **state)
{
    struct serving *model = serving_new(serving_profile("h100-8b"), &at_once, 1);
    struct signal_history *history = signal_history_new();
    double value;

    (void)state;
    serving_begin(model, 0);
    serving_arrive(model, 100, 3);
    serving_end(model);
    serving_begin(model, S);
    signal_snapshot(history, model);
    assert_true(signal_read(history, model, &(struct signal_query){SIM_SIGNAL_TTFT, S, 90}, &value));
    assert_true(value == 0.01325);
    assert_true(signal_read(history, model, &(struct signal_query){SIM_SIGNAL_TOKENS_PER_MIN, 60 * S, 90}, &value));
    assert_true(value == 103 * 60);
    serving_end(model);
    serving_begin(model, 3 * S);
    signal_snapshot(history, model);
    assert_false(signal_read(history, model, &(struct signal_query){SIM_SIGNAL_ITL, S, 90}, &value));
    assert_true(signal_read(history, model, &(struct signal_query){SIM_SIGNAL_TOKENS_PER_MIN, S, 90}, &value));
    assert_true(value == 0);
    assert_int_equal(sim_signal_named("wating"), SIM_SIGNAL_COUNT);
    signal_history_free(history);
    serving_free(model);
}

static void a_bad_stretch_goes_on_through_silence(void **state)
{
    struct trace_request requests[] = {{0, 10, 1}, {50 * S, 10, 1}};
    struct run_write plan[] = {{5 * S, 1}};
    struct model *model = model_new(&(struct model_options){.profile = *serving_profile("h100-8b"),
                                                            .startup = at_once,
                                                            .requests = requests,
                                                            .request_count = 2,
                                                            .duration_ns = 60 * S},
                                    NULL);
    struct score score;

    (void)state;
    run_model(&(struct run){.plan = plan, .plan_count = 1}, model);
    model_score(model, &SCORE_GOALS_DEFAULT, &score);
    assert_int_equal(score.recovery_s, 45); /* 0-15 is bad, 15-45 empty, 45-60 good */
    assert_true(score.in_slo == 0.5 && score.ttft_ok == 0.5 && score.itl_ok == 1);
    assert_true(score.replica_hours == 55.0 / 3600);
    assert_int_equal(score.worst.waiting, 1);
    assert_int_equal(score.worst.waiting_tokens, 11);
    assert_int_equal(score.moves.ups, 1);
    model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_alone),
        cmocka_unit_test(steps_are_told),
        cmocka_unit_test(tokens_show_within_a_leap),
        cmocka_unit_test(a_request_larger_than_the_cache_is_rejected),
        cmocka_unit_test(scaling_down_drains),
        cmocka_unit_test(leaps_change_nothing),
        cmocka_unit_test(books_balance_under_random_scaling),
        cmocka_unit_test(latencies_are_missing_when_nothing_happened),
        cmocka_unit_test(a_bad_stretch_goes_on_through_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
