/* Both models behind their one face: figures of the page, what always holds, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "sim/fluid.h"
#include "sim/model.h"
#include "sim/run.h"

#define S INT64_C(1000000000)

static uint64_t seed_now;
static uint64_t drawn;

static int64_t dice(int64_t low, int64_t high)
{
    return low + (int64_t)(serving_draw(seed_now, drawn++) % (uint64_t)(high - low + 1));
}

static struct model *made(const struct model_options *options)
{
    struct error err;
    struct model *model = model_new(options, &err);

    if (!model)
        fail_msg("%s", err.text);
    return model;
}

static struct model_options fluid_options(const struct model_bucket *buckets, size_t count)
{
    return (struct model_options){.profile = *serving_profile("h100x2-70b"),
                                  .startup = {.fixed_ns = 60 * S},
                                  .initial = 8,
                                  .duration_ns = -1,
                                  .buckets = buckets,
                                  .bucket_count = count,
                                  .bucket_ns = 600 * S};
}

/* ------------------------------------------------------------------ figures */

/* serving-model.md 4.2: 8 replicas, requests of 1155 and 211 tokens. */
static void the_fluid_model_has_the_figures_of_the_page(void **state)
{
    static const struct {
        double utilization, ttft_s, itl_s, share;
    } rows[] = {{0.40, 0.254, 0.0282, 1.00},
                {0.60, 0.337, 0.0392, 1.00},
                {0.75, 0.515, 0.0557, 0.98},
                {0.85, 0.852, 0.0772, 0.79},
                {0.92, 1.61, 0.1059, 0.31}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double batch = floor(220000.0 / (1155 + 211)), share = 1155.0 / (1155 + 211);
        double cost_s = share / 7000 + (1 - share) * (0.00025 + 0.018 / batch);
        double tokens = rows[i].utilization * 8 / cost_s, requests = tokens / (1155 + 211);
        struct model_bucket bucket = {requests, requests * 1155, requests * 211};
        struct model_options options = fluid_options(&bucket, 1);
        struct model *model = made(&options);
        const struct fluid_step *steps;

        model_finish(model);
        assert_int_equal(fluid_steps(model_fluid(model), &steps), 40);
        assert_true(fabs(steps[0].utilization - rows[i].utilization) < 1e-9);
        assert_true(fabs(steps[0].ttft_s - rows[i].ttft_s) < 0.006);
        assert_true(fabs(steps[0].itl_s - rows[i].itl_s) < 0.0001);
        assert_true(fabs(fluid_share(model_fluid(model), 0, &SCORE_GOALS_DEFAULT) - rows[i].share) < 0.006);
        model_free(model);
    }
}

static double exponential(double mean)
{
    return -mean * log(1 - (double)(serving_draw(seed_now, drawn++) >> 11) * 0x1p-53);
}

/* The fluid model's batch is the request model's own stationary one: exponential arrivals and lengths, at 60 % of 8 replicas. */
static void both_models_agree(void **state)
{
    enum { COUNT = 40000 };
    double rate = 0.6 * 8 / (1155.0 / 7000 + 211 * (0.00025 + 0.018 / 161)), at_s = 0, itl_s = 0;
    struct trace_request *requests = calloc(COUNT, sizeof(*requests));
    int64_t tokens = 0;

    (void)state;
    seed_now = 11;
    drawn = 0;
    for (int i = 0; i < COUNT; i++) {
        at_s += exponential(1 / rate);
        requests[i] =
            (struct trace_request){llround(at_s * 1e9), llround(exponential(1155)), llround(exponential(211))};
    }
    struct model *model = made(&(struct model_options){.profile = *serving_profile("h100x2-70b"),
                                                       .initial = 8,
                                                       .duration_ns = -1,
                                                       .requests = requests,
                                                       .request_count = COUNT});
    const struct serving_request *served;
    model_finish(model);
    serving_requests(model_serving(model), &served);
    for (size_t i = COUNT / 10; i < COUNT; i++) {
        itl_s += (double)(served[i].finished_ns - served[i].first_ns) / 1e9;
        tokens += served[i].generated - 1;
    }
    itl_s /= (double)tokens;
    if (fabs(itl_s - 0.0392) > 0.002)
        fail_msg("%g s from token to token, and the page says 0.0393 (0.0392 in the fluid model)", itl_s);
    model_free(model);
    free(requests);
}

static void constant_demand_and_replicas_give_constant_figures(void **state)
{
    struct model_bucket buckets[3] = {{30, 30000, 6000}, {30, 30000, 6000}, {30, 30000, 6000}};
    struct model_options options = fluid_options(buckets, 3);
    struct model *model = made(&options);
    const struct fluid_step *steps;
    struct score score;

    (void)state;
    model_finish(model);
    size_t count = fluid_steps(model_fluid(model), &steps);
    assert_int_equal(count, 120);
    for (size_t k = 1; k < count; k++) {
        assert_true(steps[k].ttft_s == steps[0].ttft_s && steps[k].itl_s == steps[0].itl_s);
        assert_true(steps[k].backlog == 0 && steps[k].utilization == steps[0].utilization);
    }
    model_score(model, &SCORE_GOALS_DEFAULT, &score);
    assert_true(score.replica_hours == 4 && score.worst.waiting == 0 && score.moves.events == 0);
    assert_true(fabs(score.requests - 54000) < 1e-6);
    assert_true(score.attainable == -1);
    model_free(model);
}

/* ------------------------------------------------------------------ windows */

static struct model_bucket some_bucket(void)
{
    double requests = dice(0, 5) == 0 ? 0 : (double)dice(1, 90);

    return (struct model_bucket){requests, requests * (double)dice(200, 3000), requests * (double)dice(1, 600)};
}

/* A mean over the window the long way. false: a wait in it has no end. */
static bool mean_by_hand(const struct fluid_step *steps, size_t count, size_t window, double q, double *out)
{
    double sum = 0;
    size_t n = window < count ? window : count;

    for (size_t k = count - n; k < count; k++) {
        if (steps[k].stuck)
            return false;
        sum += steps[k].wait_s - (steps[k].base_s > 0 ? steps[k].base_s * log(1 - q / 100) : 0);
    }
    *out = sum / (double)n;
    return true;
}

/* Whatever happened before a window does not show in it, an endless wait of thousands of seconds neither. */
static void windows_are_what_their_steps_are(void **state)
{
    (void)state;
    for (seed_now = 1; seed_now <= 20; seed_now++) {
        struct model_bucket buckets[6];

        drawn = 0;
        for (int i = 0; i < 6; i++)
            buckets[i] = some_bucket();
        struct model_options options = fluid_options(buckets, 6);
        options.noise = 0.2;
        options.seed = seed_now;
        struct model *model = made(&options);
        for (int64_t at = 0; at < model_duration_ns(model); at += 15 * S) {
            const struct fluid_step *steps;
            struct signal_query query = {SIM_SIGNAL_TTFT, dice(1, 900) * S, (double)dice(0, 99)};
            double by_hand = 0, value = 0;

            model_until(model, at);
            if (dice(0, 9) == 0)
                model_scale(model, (int32_t)dice(0, 20));
            size_t count = fluid_steps(model_fluid(model), &steps);
            size_t window = query.window_ns < 15 * S ? 1 : (size_t)(query.window_ns / (15 * S));
            assert_int_equal(model_read(model, &query, &value), count > 0);
            if (count == 0)
                continue;
            if (mean_by_hand(steps, count, window, query.quantile, &by_hand))
                assert_true(fabs(value - by_hand) <= 1e-9 * fmax(1, by_hand));
            else
                assert_true(isinf(value));
        }
        model_free(model);
    }
}

/* ------------------------------------------------------------------ luck */

/* The n-th replica takes as long to start whatever was written before, and a step's demand is what it is. */
static void the_same_seed_is_the_same_luck(void **state)
{
    struct trace_request request = {0, 100, 10};
    struct model_options options = {.profile = *serving_profile("h100-8b"),
                                    .startup = {.kind = STARTUP_UNIFORM, .low_ns = S, .high_ns = 90 * S, .seed = 7},
                                    .initial = 1,
                                    .duration_ns = 600 * S,
                                    .requests = &request,
                                    .request_count = 1};
    struct run_write slowly[] = {{S, 2}, {2 * S, 3}, {3 * S, 4}}, at_once[] = {{300 * S, 4}};
    struct model *a = made(&options), *b = made(&options);

    (void)state;
    run_model(&(struct run){.plan = slowly, .plan_count = 3}, a);
    run_model(&(struct run){.plan = at_once, .plan_count = 1}, b);
    assert_int_equal(serving_replica_count(model_serving(a)), 4);
    for (size_t id = 1; id < 4; id++) {
        struct serving_replica left = serving_replica(model_serving(a), id),
                               right = serving_replica(model_serving(b), id);

        assert_int_equal(left.ready_ns - left.created_ns, right.ready_ns - right.created_ns);
    }
    model_free(a);
    model_free(b);
}

/* ------------------------------------------------------------------ the face */

static void a_run_is_over_when_all_is_served(void **state)
{
    struct trace_request requests[] = {{0, 100, 10}, {59 * S, 100, 100}};
    struct model_options options = {.profile = *serving_profile("h100-8b"),
                                    .initial = 1,
                                    .duration_ns = 59 * S,
                                    .requests = requests,
                                    .request_count = 2};
    struct model *model = made(&options);
    struct model_counts counts;

    (void)state;
    assert_true(model_until(model, 0));
    assert_true(model_until(model, 0));
    model_scale(model, 2);
    assert_true(model_until(model, 59 * S + S / 2)); /* the second request is under way */
    model_counts(model, &counts);
    assert_int_equal(counts.ready, 2);
    assert_false(model_until(model, 90 * S));
    model_scale(model, 5); /* nobody is there to see it */
    model_finish(model);
    model_counts(model, &counts);
    assert_int_equal(counts.replicas, 2);
    model_free(model);
}

/* Nobody serves it: the run ends an hour after its end all the same. */
static void a_run_without_replicas_ends(void **state)
{
    struct trace_request request = {0, 100, 10};
    struct model_options options = {
        .profile = *serving_profile("h100-8b"), .duration_ns = 60 * S, .requests = &request, .request_count = 1};
    struct model *model = made(&options);
    struct score score;

    (void)state;
    assert_true(model_until(model, 3660 * S));
    assert_false(model_until(model, 3661 * S));
    model_finish(model);
    model_score(model, &SCORE_GOALS_DEFAULT, &score);
    assert_true(score.in_slo == 0 && score.worst.waiting == 1 && score.replica_hours == 0);
    model_free(model);
}

/* However often somebody looks, and wherever that cuts a leap of steps or a step of the fluid model. */
static void looking_changes_nothing(void **state)
{
    (void)state;
    for (seed_now = 1; seed_now <= 30; seed_now++) {
        struct trace_request requests[100];
        struct model_bucket buckets[] = {some_bucket(), some_bucket()};
        int64_t at = 0;
        double value;

        drawn = 0;
        for (int i = 0; i < 100; i++)
            requests[i] = (struct trace_request){at += dice(0, 2 * S), dice(1, 2000), dice(1, 300)};
        struct model_options options = fluid_options(buckets, seed_now % 2 ? 2 : 0);
        if (seed_now % 2 == 0) {
            options.requests = requests;
            options.request_count = 100;
            options.initial = 1;
        }
        struct model *watched = made(&options), *alone = made(&options);
        for (at = 0; model_until(watched, at); at += dice(0, 3 * S)) {
            model_snapshot(watched);
            model_read(watched, &(struct signal_query){SIM_SIGNAL_TTFT, 30 * S, 90}, &value);
            model_inference(watched, &(struct model_inference_query){.signal = MODEL_E2E, .window_ns = 30 * S}, &value);
        }
        struct score a, b;
        model_finish(watched);
        model_finish(alone);
        model_score(watched, &SCORE_GOALS_DEFAULT, &a);
        model_score(alone, &SCORE_GOALS_DEFAULT, &b);
        assert_true(a.in_slo == b.in_slo && a.requests == b.requests && a.replica_hours == b.replica_hours);
        assert_int_equal(a.ttft_p99_ns, b.ttft_p99_ns);
        assert_true(a.worst.waiting_tokens == b.worst.waiting_tokens && a.recovery_s == b.recovery_s);
        model_free(watched);
        model_free(alone);
    }
}

static void servers_report_what_they_did(void **state)
{
    struct trace_request requests[200];
    struct model_options options = {.profile = *serving_profile("h100-8b"),
                                    .startup = {.fixed_ns = 10 * S},
                                    .duration_ns = 60 * S,
                                    .requests = requests,
                                    .request_count = 200};
    struct model_inference_query tokens = {.signal = MODEL_PROMPT_TOKENS_PER_MIN, .window_ns = 10 * S},
                                 waiting = {.signal = MODEL_WAITING},
                                 ttft = {.signal = MODEL_TTFT, .window_ns = 10 * S, .quantile = 0.5},
                                 good = {.signal = MODEL_GOODPUT, .window_ns = 10 * S, .ttft_ns = S, .itl_ns = S};
    double value = -1, gateway = -1;

    (void)state;
    for (int i = 0; i < 200; i++)
        requests[i] = (struct trace_request){i * S / 5, 100, 10};
    struct model *model = made(&options);
    for (int64_t at = 0; at <= 30; at++) {
        model_until(model, at * S);
        model_snapshot(model);
        if (at < 10) {
            assert_false(model_inference(model, &waiting, &value)); /* no replica, no value */
            assert_false(model_inference(model, &tokens, &value));
        }
        if (at == 0)
            model_scale(model, 2);
        if (at == 10)
            assert_false(model_inference(model, &tokens, &value)); /* the first look at a counter */
    }
    assert_true(model_inference(model, &tokens, &value));
    assert_true(fabs(value - 5 * 100 * 60) < 600);
    assert_true(model_inference(model, &ttft, &value));
    assert_true(model_read(model, &(struct signal_query){SIM_SIGNAL_TTFT, 10 * S, 50}, &gateway));
    assert_true(value == gateway); /* requests are given to a replica as they arrive */
    assert_true(model_inference(model, &good, &value) && value == 1);
    assert_int_equal(model_inference_named("queue_time"), MODEL_QUEUE_TIME);
    assert_int_equal(model_inference_named("queued"), MODEL_INFERENCE_COUNT);
    model_free(model);
}

/* ------------------------------------------------------------------ what is refused */

static void what_has_no_meaning_is_refused(void **state)
{
    struct model_bucket good = {10, 10000, 2000}, bad = {10, NAN, 2000};
    struct trace_request backwards[] = {{5, 1, 1}, {4, 1, 1}};
    struct model_options base = fluid_options(&good, 1), o;
    static const char *const words[] = {"15 s", "start-up", "0 to", "rates", "sort", "at least 1", "SIM_STEPS_MAX"};
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        o = base;
        switch (i) {
        case 0:
            o.bucket_ns = 100 * S;
            break;
        case 1:
            o.startup = (struct serving_startup){.kind = STARTUP_UNIFORM, .low_ns = S, .high_ns = 2 * S};
            break;
        case 2:
            o.initial = -1;
            break;
        case 3:
            o.buckets = &bad;
            break;
        case 4:
            o = (struct model_options){
                .profile = base.profile, .requests = backwards, .request_count = 2, .duration_ns = -1};
            break;
        case 5:
            o.profile.prefill_tps = 0;
            break;
        case 6:
            o.step_ns = 1000;
            o.bucket_ns = 600 * S;
            break;
        }
        assert_null(model_new(&o, &err));
        if (!strstr(err.text, words[i]))
            fail_msg("case %zu says \"%s\", not \"%s\"", i, err.text, words[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fluid_model_has_the_figures_of_the_page),
        cmocka_unit_test(both_models_agree),
        cmocka_unit_test(constant_demand_and_replicas_give_constant_figures),
        cmocka_unit_test(windows_are_what_their_steps_are),
        cmocka_unit_test(the_same_seed_is_the_same_luck),
        cmocka_unit_test(a_run_is_over_when_all_is_served),
        cmocka_unit_test(a_run_without_replicas_ends),
        cmocka_unit_test(looking_changes_nothing),
        cmocka_unit_test(servers_report_what_they_did),
        cmocka_unit_test(what_has_no_meaning_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
