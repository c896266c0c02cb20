/* ScaledJobs: the tables of keda-operator/04, the field's cases, and samples that were already answered with jobs. */
#include "world.h"

#include "decide/jobs.h"

static void strategies(void **state)
{
    static const struct {
        enum job_strategy strategy;
        int32_t deduction;
        double ratio;
        int32_t max_scale, running, pending, max, effective;
    } rows[] = {
        {JOB_DEFAULT, 0, NAN, 3, 2, 0, 5, 1},      {JOB_DEFAULT, 0, NAN, 2, 0, 0, 5, 2},
        {JOB_CUSTOM, 1, 0.5, 3, 2, 0, 5, 1},       {JOB_CUSTOM, 1, 0.5, 10, 0, 0, 10, 9},
        {JOB_CUSTOM, -2, 0, 3, 2, 0, 4, 4},        {JOB_CUSTOM, 1, NAN, 3, 2, 0, 5, 1},
        {JOB_ACCURATE, 0, NAN, 3, 2, 0, 5, 3},     {JOB_ACCURATE, 0, NAN, 5, 2, 0, 5, 3},
        {JOB_ACCURATE, 0, NAN, 3, 4, 2, 10, 1},    {JOB_ACCURATE, 0, NAN, 15, 15, 15, 20, 0},
        {JOB_ACCURATE, 0, NAN, 20, 15, 10, 20, 5}, {JOB_EAGER, 0, NAN, 4, 3, 0, 10, 4},
        {JOB_EAGER, 0, NAN, 4, 7, 0, 10, 3},       {JOB_EAGER, 0, NAN, 4, 1, 6, 10, 3},
        {JOB_EAGER, 0, NAN, 15, 0, 0, 10, 10},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct job_rules rules = {.min = -1,
                                  .max = rows[i].max,
                                  .strategy = rows[i].strategy,
                                  .custom_deduction = rows[i].deduction,
                                  .custom_running_ratio = rows[i].ratio};
        int32_t scale_to = 1;

        assert_int_equal(job_effective(&rules, rows[i].running, rows[i].pending, rows[i].max_scale, &scale_to),
                         rows[i].effective);
        assert_int_equal(scale_to, rows[i].strategy == JOB_EAGER ? rows[i].max : 1);
    }
}

static const struct decide_trigger one = {.target = 1, .formula_name = -1};

static int32_t created(const struct job_rules *rules, int32_t running, int32_t pending, double value)
{
    struct sample sample = {.state = SAMPLE_OK, .value = value, .at_ms = WORLD_START_MS};
    struct job_decision d;

    decide_jobs(
        rules,
        &(struct job_facts){.now_ms = WORLD_START_MS, .running = running, .pending = pending, .samples = &sample}, &d);
    return d.create;
}

static void whole_decisions(void **state)
{
    static const struct decide_trigger five = {.target = 5, .formula_name = -1};
    struct job_rules rules = {.min = -1, .max = 30, .trigger_count = 1, .triggers = &five};

    (void)state;
    assert_int_equal(created(&rules, 0, 0, 12), 3);
    assert_int_equal(created(&rules, 2, 0, 12), 1);
    assert_int_equal(created(&rules, 0, 0, 0), 0);
    rules = (struct job_rules){.min = 20, .max = 350, .trigger_count = 1, .triggers = &one};
    assert_int_equal(created(&rules, 220, 0, 400), 130);
    assert_int_equal(created(&rules, 5, 0, 400), 15);
    assert_int_equal(created(&rules, 350, 0, 400), 0);
    rules = (struct job_rules){.min = -1, .max = 20, .trigger_count = 1, .triggers = &one, .strategy = JOB_ACCURATE};
    assert_int_equal(created(&rules, 5, 0, 5), 5);
    assert_int_equal(created(&rules, 5, 2, 5), 3);
    assert_int_equal(created(&rules, 18, 0, 5), 2);
    rules.paused = true;
    assert_int_equal(created(&rules, 0, 0, 5), 0);
}

/* J1: 42 messages are 42 jobs, however late the platform counts them. */
static void a_sample_creates_once(void **state)
{
    struct job_rules rules = {.min = -1, .max = 100, .trigger_count = 1, .triggers = &one};
    struct sample sample = {.state = SAMPLE_OK, .value = 42, .at_ms = WORLD_START_MS};
    struct job_facts facts = {.now_ms = WORLD_START_MS, .samples = &sample};
    struct job_decision d;

    (void)state;
    decide_jobs(&rules, &facts, &d);
    assert_int_equal(d.create, 42);
    facts.created_last_at_ms = facts.now_ms; /* running is still 0 in the platform's eyes */
    facts.now_ms += 2000;
    decide_jobs(&rules, &facts, &d);
    assert_int_equal(d.create, 0);
    sample.at_ms = facts.now_ms;
    facts.running = facts.pending = 42;
    decide_jobs(&rules, &facts, &d);
    assert_int_equal(d.create, 0);
}

static void no_data_creates_nothing(void **state)
{
    static const enum sample_state states[] = {SAMPLE_NONE, SAMPLE_MISSING, SAMPLE_FAILED};
    struct job_rules rules = {.min = -1, .max = 100, .trigger_count = 1, .triggers = &one};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct sample sample = {.state = states[i], .value = 42, .at_ms = WORLD_START_MS};
        struct job_decision d;

        decide_jobs(&rules, &(struct job_facts){.now_ms = WORLD_START_MS, .samples = &sample}, &d);
        assert_int_equal(d.create, 0);
        assert_int_equal(d.error, states[i] == SAMPLE_FAILED);
    }
    assert_int_equal(created(&rules, 0, 0, NAN), 0);
    assert_int_equal(created(&rules, 0, 0, INFINITY), 0);
    assert_int_equal(created(&rules, 0, 0, -5), 0);
    assert_int_equal(created(&rules, 0, 0, 1e300), 100);
}

static void history_drops_the_oldest(void **state)
{
    static const struct job_finished jobs[] = {{true, 30}, {true, 20}, {true, 10}, {false, 0}, {false, 5}, {true, 40}};
    bool remove[6];

    (void)state;
    job_history(jobs, 6, 2, 1, remove);
    static const bool expect[] = {false, true, true, true, false, false};
    assert_memory_equal(remove, expect, sizeof(expect));
    job_history(jobs, 6, 0, -3, remove);
    for (int i = 0; i < 6; i++)
        assert_true(remove[i]);
}

static void in_words(void **state)
{
    struct job_decision d = {
        .running = 2, .queue_length = 12, .max_scale = 3, .effective = 1, .create = 1, .active = true};
    struct text out;

    (void)state;
    text_init(&out, 1000);
    job_decision_write_summary(&d, &out);
    assert_string_equal(out.bytes, "2 running, 0 pending; queue 12 asks for 3, room for 1: 1 job is created");
    text_clear(&out);
    job_decision_write_json(&d, NULL, &out);
    assert_non_null(strstr(out.bytes, "\"create\":1,\"inputs\":[]}"));
    text_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strategies),
        cmocka_unit_test(whole_decisions),
        cmocka_unit_test(a_sample_creates_once),
        cmocka_unit_test(no_data_creates_nothing),
        cmocka_unit_test(history_drops_the_oldest),
        cmocka_unit_test(in_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
