/* The oracle: what a bound and a plan must be for whatever trace, and the search for them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim/oracle_internal.h"

#define S INT64_C(1000000000)

static uint64_t seed_now;
static uint64_t drawn;

static int64_t dice(int64_t low, int64_t high)
{
    return low + (int64_t)(serving_draw(seed_now, drawn++) % (uint64_t)(high - low + 1));
}

enum { REQUESTS = 400 };

static void make_requests(struct trace_request *requests)
{
    int64_t at = 0;

    drawn = 0;
    for (int i = 0; i < REQUESTS; i++) {
        at += dice(0, i / 100 % 2 ? 200 : 900) * S / 1000;
        requests[i] = (struct trace_request){at, dice(10, 3000), dice(1, 300)};
    }
}

static struct model_options options_of(const struct trace_request *requests)
{
    return (struct model_options){.profile = *serving_profile("h100x2-70b"),
                                  .startup = {.fixed_ns = dice(0, 40) * S},
                                  .duration_ns = -1,
                                  .requests = requests,
                                  .request_count = REQUESTS};
}

/* The share that a fixed fleet or a random row of writes reaches is never had for less than its bound. */
static void nothing_costs_less_than_the_bound(void **state)
{
    (void)state;
    for (seed_now = 1; seed_now <= 12; seed_now++) {
        struct trace_request requests[REQUESTS];
        struct run_write writes[40];
        size_t count = seed_now % 3 == 0 ? 0 : 40;

        make_requests(requests);
        struct model_options options = options_of(requests);
        options.initial = (int32_t)dice(1, 4);
        for (int i = 0; i < 40; i++)
            writes[i] = (struct run_write){i * 5 * S, (int32_t)dice(0, 6)};
        struct model *model = model_new(&options, NULL);
        struct score score;
        run_model(&(struct run){.plan = writes, .plan_count = count}, model);
        model_score(model, &SCORE_GOALS_DEFAULT, &score);
        double bound =
            oracle_bound(&options, &(struct oracle_options){.goals = SCORE_GOALS_DEFAULT, .share = score.in_slo});
        if (bound > score.replica_hours * 3600 * (1 + 1e-9))
            fail_msg("seed %llu: %g replica seconds at a share of %g, and the bound is %g",
                     (unsigned long long)seed_now, score.replica_hours * 3600, score.in_slo, bound);
        model_free(model);
    }
}

static void the_same_holds_for_amounts(void **state)
{
    (void)state;
    for (seed_now = 1; seed_now <= 12; seed_now++) {
        struct model_bucket buckets[8];
        struct run_write writes[40];

        drawn = 0;
        for (int i = 0; i < 8; i++) {
            double r = (double)dice(0, 60);
            buckets[i] = (struct model_bucket){r, r * (double)dice(500, 2000), r * (double)dice(20, 300)};
        }
        for (int i = 0; i < 40; i++)
            writes[i] = (struct run_write){i * 60 * S, (int32_t)dice(0, 40)};
        struct model_options options = {.profile = *serving_profile("h100x2-70b"),
                                        .startup = {.fixed_ns = 60 * S},
                                        .initial = 10,
                                        .duration_ns = -1,
                                        .buckets = buckets,
                                        .bucket_count = 8,
                                        .bucket_ns = 300 * S,
                                        .noise = 0.1,
                                        .seed = seed_now};
        struct model *model = model_new(&options, NULL);
        struct score score;
        run_model(&(struct run){.plan = writes, .plan_count = 40}, model);
        model_score(model, &SCORE_GOALS_DEFAULT, &score);
        double bound =
            oracle_bound(&options, &(struct oracle_options){.goals = SCORE_GOALS_DEFAULT, .share = score.in_slo});
        if (bound > score.replica_hours * 3600 * (1 + 1e-9))
            fail_msg("seed %llu: %g replica seconds at a share of %g, and the bound is %g",
                     (unsigned long long)seed_now, score.replica_hours * 3600, score.in_slo, bound);
        model_free(model);
    }
}

static void a_plan_reaches_its_share_above_the_bound(void **state)
{
    (void)state;
    for (seed_now = 20; seed_now < 25; seed_now++) {
        struct oracle_options lax = {.goals = SCORE_GOALS_DEFAULT, .share = 0.90},
                              strict = {.goals = SCORE_GOALS_DEFAULT, .share = 0.99};
        struct trace_request requests[REQUESTS];
        struct oracle_plan plan, other;

        make_requests(requests);
        struct model_options options = options_of(requests);
        oracle_plan(&options, &strict, &plan);
        oracle_plan(&options, &lax, &other);
        assert_true(plan.reached && plan.score.in_slo >= 0.99 && other.reached);
        assert_true(other.score.replica_hours <= plan.score.replica_hours);
        assert_true(oracle_bound(&options, &lax) <= oracle_bound(&options, &strict));
        assert_true(oracle_bound(&options, &strict) <= plan.score.replica_hours * 3600);

        /* it is a plan: written down and run again it costs the same */
        options.initial = plan.initial;
        struct model *model = model_new(&options, NULL);
        struct score score;
        run_model(&(struct run){.plan = plan.writes, .plan_count = plan.count}, model);
        model_score(model, &SCORE_GOALS_DEFAULT, &score);
        assert_true(score.replica_hours == plan.score.replica_hours && score.in_slo == plan.score.in_slo);
        model_free(model);
        oracle_plan_free(&plan);
        oracle_plan_free(&other);
    }
}

/* A stop that is there from the start leaves what one look gives, and is no error. */
static void a_search_can_be_stopped(void **state)
{
    bool stop = true;
    struct oracle_options oracle = {.goals = SCORE_GOALS_DEFAULT, .share = 0.99, .stop = &stop};
    struct trace_request requests[REQUESTS];
    struct oracle_plan plan;

    (void)state;
    seed_now = 3;
    make_requests(requests);
    struct model_options options = options_of(requests);
    oracle_plan(&options, &oracle, &plan);
    assert_false(plan.reached);
    assert_int_equal(plan.count, 0);
    double some = oracle_bound(&options, &oracle);
    oracle.stop = NULL;
    assert_true(some >= 0 && some <= oracle_bound(&options, &oracle));
    oracle_plan_free(&plan);
}

static double tent(void *arg, double price)
{
    return -fabs(log10(price) - *(double *)arg);
}

static void the_search_finds_the_top(void **state)
{
    (void)state;
    for (int i = 0; i < 25; i++) {
        double top = -2.9 + 0.37 * i;

        assert_true(oracle_search(tent, &top, -3, 6, NULL) > -0.001);
    }
}

static void writes_come_a_startup_early_and_never_lower_too_soon(void **state)
{
    int32_t need[] = {1, 1, 1, 4, 4, 1, 1, 2, 1, 1}, initial;
    struct run_write writes[10];

    (void)state;
    size_t count = plan_writes(need, 10, 2, 5 * S, &initial, writes);
    assert_int_equal(initial, 1);
    assert_int_equal(count, 3);
    assert_true(writes[0].at_ns == 5 * S && writes[0].replicas == 4);
    assert_true(writes[1].at_ns == 25 * S && writes[1].replicas == 2);
    assert_true(writes[2].at_ns == 40 * S && writes[2].replicas == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_costs_less_than_the_bound),
        cmocka_unit_test(the_same_holds_for_amounts),
        cmocka_unit_test(a_plan_reaches_its_share_above_the_bound),
        cmocka_unit_test(a_search_can_be_stopped),
        cmocka_unit_test(the_search_finds_the_top),
        cmocka_unit_test(writes_come_a_startup_early_and_never_lower_too_soon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
