/* What a source says itself instead of the manifest: whether there is work, and what one replica should carry. */
#include "world.h"

static double targets[WORLD_TRIGGERS_MAX];

/* As world_poll, with the targets that the sources say. */
static const struct decision *poll(struct world *w)
{
    w->now_ms += 15 * SECOND_MS;
    if (!w->memory)
        w->memory = decide_memory_new(&w->rules);
    for (int i = 0; i < w->rules.trigger_count; i++)
        w->samples[i].at_ms = w->now_ms;
    decide(&w->rules,
           &(struct decide_facts){.now_ms = w->now_ms,
                                  .replicas = w->replicas,
                                  .status_replicas = w->replicas,
                                  .ready_replicas = w->replicas,
                                  .samples = w->samples,
                                  .targets = targets},
           w->memory, false, &w->d);
    assert_true(decision_is_closed(&w->d));
    w->replicas = w->d.after;
    return &w->d;
}

static bool has(const struct decision *d, enum step_kind kind)
{
    for (int i = 0; i < d->step_count; i++)
        if (d->steps[i].kind == kind)
            return true;
    return false;
}

static void a_target_that_is_said_counts(void **state)
{
    static const struct {
        double rule, said;
        int32_t expect;
    } rows[] = {{0, 5, 8}, {10, 5, 8}, {10, 0, 4}, {0, 0, 1}, {0, 0.5, 80}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w;

        world_init(&w, 1, 0); /* where no limit of rate is in the way */
        w.triggers[0].target = rows[i].rule;
        targets[0] = rows[i].said;
        w.samples[0] = (struct sample){.state = SAMPLE_OK, .value = 40, .activity = ACTIVITY_ON};
        assert_int_equal(poll(&w)->after, rows[i].expect);
        world_done(&w);
    }
}

static void work_that_is_pushed_wakes_whatever_the_value_is(void **state)
{
    static const enum sample_state states[] = {SAMPLE_NONE, SAMPLE_FAILED, SAMPLE_MISSING, SAMPLE_OK};
    static const enum decide_mode modes[] = {DECIDE_DIRECT, DECIDE_HPA};

    (void)state;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        for (size_t m = 0; m < 2; m++) {
            struct world w;

            world_init(&w, 1, 0);
            w.rules.mode = modes[m];
            targets[0] = 1;
            w.samples[0] = (struct sample){.state = states[i], .activity = ACTIVITY_ON};
            poll(&w);
            assert_int_equal(w.replicas, 1);
            assert_true(has(&w.d, STEP_SAID_ACTIVE));
            world_done(&w);
        }
    }
}

static void work_without_a_value_takes_nothing_away(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 7);
    w.samples[0] = (struct sample){.state = SAMPLE_FAILED, .activity = ACTIVITY_ON};
    assert_int_equal(poll(&w)->after, 7);
    world_done(&w);
}

static void a_value_whose_source_says_that_there_is_no_work_is_idle(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 0);
    targets[0] = 10;
    w.samples[0] = (struct sample){.state = SAMPLE_OK, .value = 1000, .activity = ACTIVITY_OFF};
    assert_int_equal(poll(&w)->after, 0);
    world_done(&w);
}

static void jobs_are_made_by_the_target_that_is_said(void **state)
{
    struct decide_trigger trigger = {.formula_name = -1};
    struct job_rules rules = {
        .min = 0, .max = 10, .trigger_count = 1, .triggers = &trigger, .custom_running_ratio = NAN};
    struct sample sample = {.state = SAMPLE_OK, .value = 12, .at_ms = 5, .activity = ACTIVITY_ON};
    struct job_facts facts = {.now_ms = 10, .samples = &sample, .targets = targets};
    struct job_decision d;

    (void)state;
    targets[0] = 4;
    decide_jobs(&rules, &facts, &d);
    assert_int_equal(d.create, 3);
    sample.activity = ACTIVITY_OFF;
    decide_jobs(&rules, &facts, &d);
    assert_int_equal(d.create, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_that_is_said_counts),
        cmocka_unit_test(work_that_is_pushed_wakes_whatever_the_value_is),
        cmocka_unit_test(work_without_a_value_takes_nothing_away),
        cmocka_unit_test(a_value_whose_source_says_that_there_is_no_work_is_idle),
        cmocka_unit_test(jobs_are_made_by_the_target_that_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
