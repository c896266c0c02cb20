/* The state of an object is the worst that is true of it, and attention puts first what needs somebody most. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/text.h"
#include "serve/serve_internal.h"

struct facts {
    const char *problem;
    bool no_policy, job, undecided, lost, error, fallback, held, paused, active, paused_rules;
    int32_t wished, running; /* the maximum is 5 */
};

static const struct {
    const char *name;
    struct facts facts;
    const char *state;
    int attention;
} cases[] = {
    {"a bad manifest, whatever else", {.problem = "no", .error = true, .fallback = true}, "bad", 100},
    {"it never was valid", {.problem = "no", .no_policy = true}, "bad", 100},
    {"it waits for data", {.no_policy = true}, "unknown", 0},
    {"nothing was decided yet", {.undecided = true}, "unknown", 0},
    {"a failed trigger comes before fallback", {.error = true, .fallback = true, .held = true}, "failed", 80},
    {"its target is lost", {.lost = true, .active = true}, "failed", 80},
    {"its target is lost, and it has not decided", {.lost = true, .undecided = true}, "failed", 80},
    {"fallback comes before a hold", {.fallback = true, .held = true, .active = true}, "fallback", 60},
    {"a value is held", {.held = true, .active = true}, "held", 50},
    {"at its maximum, and it wants more", {.active = true, .wished = 6}, "active", 40},
    {"at its maximum, and that is enough", {.active = true, .wished = 5}, "active", 0},
    {"held, and it wants more", {.held = true, .wished = 6}, "held", 50},
    {"paused, whatever it wants", {.paused = true, .wished = 9}, "paused", 20},
    {"paused before it decided", {.undecided = true, .paused_rules = true}, "paused", 20},
    {"active", {.active = true}, "active", 0},
    {"idle", {0}, "idle", 0},
    {"a job that failed", {.job = true, .error = true}, "failed", 80},
    {"as many jobs as may be, and more are wanted",
     {.job = true, .active = true, .running = 5, .wished = 5},
     "active",
     40},
    {"as many jobs as are wanted", {.job = true, .active = true, .running = 5, .wished = 2}, "active", 0},
    {"a paused job", {.job = true, .paused_rules = true}, "paused", 20},
    {"no job", {.job = true}, "idle", 0},
};

static struct policy policy;
static struct decision decision;
static struct job_decision jobs;

static struct object_status status_of(const struct facts *f)
{
    struct object_status s = {.key = f->job ? "ScaledJob/shop/mail" : "ScaledObject/shop/web",
                              .policy = f->no_policy ? NULL : &policy,
                              .problem = f->problem,
                              .ready = "True",
                              .ready_reason = "",
                              .has_decision = !f->undecided};

    policy = (struct policy){.is_job = f->job};
    policy.rules = (struct decide_rules){.max = 5, .paused = f->paused_rules};
    policy.job_rules = (struct job_rules){.min = -1, .max = 5, .paused = f->paused_rules};
    decision = (struct decision){.error = f->error,
                                 .fallback = f->fallback,
                                 .held = f->held,
                                 .paused = f->paused,
                                 .active = f->active,
                                 .wished = f->wished};
    jobs = (struct job_decision){.error = f->error, .active = f->active, .running = f->running, .max_scale = f->wished};
    if (!f->undecided && f->job)
        s.job_decision = &jobs;
    else if (!f->undecided)
        s.decision = &decision;
    s.target.known = !f->lost;
    s.target.error.kind = f->lost ? ERROR_MISSING : ERROR_NONE;
    return s;
}

static void test_states(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct object_status s = status_of(&cases[i].facts);

        if (strcmp(row_state_name(row_state(&s)), cases[i].state) != 0 || row_attention(&s) != cases[i].attention)
            fail_msg("%s: %s %d", cases[i].name, row_state_name(row_state(&s)), row_attention(&s));
    }
}

static void test_row(void **state)
{
    struct trigger_status triggers[] = {{.type = "cron"}, {.type = "redis"}, {.type = "cron"}};
    struct object_status s = status_of(&(struct facts){.no_policy = true, .problem = "say \"no\""});
    struct json json;
    struct text out;

    (void)state;
    s.triggers = triggers;
    s.trigger_count = 3;
    text_init(&out, 4096);
    json = (struct json){.out = &out};
    json_put_open(&json, NULL, '{');
    row_write_members(&json, &s);
    json_put_close(&json, '}');
    assert_string_equal(
        out.bytes,
        "{\"kind\":\"ScaledObject\",\"namespace\":\"shop\",\"name\":\"web\",\"file\":null,\"ready\":\"True\","
        "\"readyReason\":\"\",\"problem\":\"say \\\"no\\\"\",\"state\":\"bad\",\"attention\":100,"
        "\"triggerTypes\":[\"cron\",\"redis\"]}");
    text_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
