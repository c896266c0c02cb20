/* Failure modes of metric sources: M1 to M12. M11 (names and addresses) needs a resolver and is no matter of a stage. */
#include "modes.h"

#include <malloc.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/limits.h"

/* M1: an answer without a value is no data: nothing is taken away, never 0. */
static void m1_no_value_is_not_zero(void **state)
{
    const enum prometheus_mode modes[] = {PROM_EMPTY, PROM_NAN};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct running r = {.prom = {{.query = "load", .value = 80}}, .prom_count = 1};

        begin(&r, 8, "  minReplicaCount: 0\n  cooldownPeriod: 30\n", PROM("a", "load", "10", ""));
        running_until(&r, 60);
        r.prom[0].mode = modes[i];
        always_within(&r, 1800, 8, 8);
        assert_string_equal(look(&r, APP).reason, "held");
        assert_non_null(strstr(look(&r, APP).summary, "missing"));
        running_stop(&r);
    }
}

/* ---- M2 ---- */
struct bad_answer {
    const char *name;
    int status;
    const char *body;
    size_t fill; /* bytes of body made of 'x' */
    const char *why;
};
static const struct bad_answer bad_answers[] = {
    {"denied", 401, "token s3cret is bad", 0, "credentials"},
    {"forbidden", 403, "no", 0, "403"},
    {"not found", 404, "no", 0, "404"},
    {"too many", 429, "", 0, "429"},
    {"error", 500, "oops", 0, "500"},
    {"unavailable", 503, "", 0, "503"},
    {"html", 200, "<html>Sign in</html>", 0, "JSON"},
    {"truncated", 200, "{\"data\":{\"result\":[{\"va", 0, "JSON"},
    {"empty", 200, "", 0, ""},
    {"10 MB", 200, NULL, 10 * 1024 * 1024, "HTTP_BODY_MAX_BYTES"},
    {"deep", 200, NULL, 0, ""},
};
static const struct bad_answer *bad_now;

static void answer_badly(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static char *filled;

    if (!bad_now) {
        running_answer(arg, request, reply);
        return;
    }
    reply->status = bad_now->status;
    reply->body = bad_now->body;
    if (bad_now->fill > 0) {
        free(filled);
        filled = malloc(bad_now->fill);
        memset(filled, 'x', bad_now->fill);
        reply->body = filled;
        reply->length = bad_now->fill;
    }
}

/* M2: what is no good answer is an error with its reason; it holds. */
static void m2_bad_answers_hold_with_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_answers) / sizeof(bad_answers[0]); i++) {
        struct running r = {.prom = {{.query = "load", .value = 50}}, .prom_count = 1};

        bad_now = NULL;
        begin(&r, 5, "  minReplicaCount: 0\n  cooldownPeriod: 10\n", PROM("a", "load", "10", ""));
        virtual_answer(stage_world(r.stage), "http://prom", answer_badly, &r);
        running_until(&r, 60);
        bad_now = &bad_answers[i];
        always_within(&r, 900, 5, 5);
        struct looked seen = look(&r, APP);
        if (!strstr(seen.why, bad_answers[i].why) || seen.why[0] == '\0')
            fail_msg("%s: the reason is \"%s\"", bad_answers[i].name, seen.why);
        assert_string_equal(seen.ready, "False");
        running_stop(&r);
    }
}

/* M2, A5: the token that was sent is in no message. */
static void m2_no_secret_is_repeated(void **state)
{
    static const char auth[] =
        "\n---\napiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: token}\nspec:\n"
        "  secretTargetRef: [{parameter: bearerToken, name: s, key: verysecret}]\n";
    struct running r = {.prom = {{.query = "load", .mode = PROM_DENIES}}, .prom_count = 1};
    struct text yaml;

    (void)state;
    running_start(&r, &(struct stage_options){.start_at_ms = START_MS, .invent = true});
    stage_workload(r.stage, "default", "Deployment", "app", 5);
    text_init(&yaml, 10000);
    text_add(&yaml, object_yaml(
                        "", "  - type: prometheus\n    authenticationRef: {name: token}\n    metadata: {serverAddress: "
                            "'http://prom:9090', query: load, threshold: '10', authModes: bearer}\n"));
    text_add(&yaml, auth);
    running_manifest(&r, "app.yaml", yaml.bytes);
    running_until(&r, 60);
    assert_non_null(strstr(look(&r, APP).why, "401"));
    assert_null(strstr(look(&r, APP).why, "invented"));
    text_done(&yaml);
    running_stop(&r);
}

/* M3: a source that hangs costs a deadline, and no other object anything. */
static void m3_a_hanging_source_harms_itself_only(void **state)
{
    struct running r = {.prom = {{.query = "load", .value = 50}, {.query = "stuck", .mode = PROM_HANGS}},
                        .prom_count = 2};

    (void)state;
    begin(&r, 1, "  minReplicaCount: 1\n", PROM("a", "load", "10", ""));
    stage_workload(r.stage, "default", "Deployment", "other", 3);
    running_manifest(
        &r, "other.yaml",
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: other}\nspec:\n"
        "  scaleTargetRef: {name: other}\n  pollingInterval: 1\n  triggers:\n" PROM("b", "stuck", "10", ""));
    running_until(&r, 5);
    assert_int_equal(replicas(&r), 4);
    running_until(&r, 600);
    assert_int_equal(stage_replicas(r.stage, "other"), 3);
    assert_in_range(look(&r, APP).polls, 40, 42);
    assert_in_range(look(&r, "ScaledObject/default/other").polls, 600 / 5, 600 / 2);
    assert_non_null(strstr(look(&r, "ScaledObject/default/other").why, "prom"));
    assert_int_equal(virtual_pending(stage_world(r.stage)) <= 1, 1);
    running_stop(&r);
}

/* ---- many objects ---- */
static void put_many(struct running *r, int count, const char *query, int interval_s, const char *more)
{
    for (int i = 0; i < count; i++) {
        char name[40], yaml[2000];

        snprintf(name, sizeof(name), "app%d", i);
        stage_workload(r->stage, "default", "Deployment", name, 5);
        snprintf(yaml, sizeof(yaml),
                 "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: %s}\nspec:\n  scaleTargetRef: "
                 "{name: %s}\n"
                 "  pollingInterval: %d\n%s  triggers:\n  - {type: prometheus, metadata: {serverAddress: "
                 "'http://prom:9090', "
                 "query: '%s', threshold: '10'}}\n",
                 name, name, interval_s, more, query);
        if (strstr(query, "%d"))
            for (char *at = strstr(yaml, "%d"); at; at = NULL) {
                char number[8];

                snprintf(number, sizeof(number), "%02d", i % 100);
                memcpy(at, number, 2);
            }
        running_manifest(r, name, yaml);
    }
}

static uint64_t polls_of_all(struct running *r)
{
    struct autoscaler_stats stats;

    autoscaler_stats(stage_autoscaler(r->stage), &stats);
    return stats.polls;
}

/* M5: a source that is away with hundreds attached is asked at most twice a poll, and no poll is lost. */
static void m5_a_source_away_is_not_stormed(void **state)
{
    struct running r = {.prom = {{.query = "load", .value = 50}}, .prom_count = 1};

    (void)state;
    running_start(&r, NULL);
    put_many(&r, 100, "load%d", 15, "");
    running_until(&r, 60);
    unsigned before = r.prom[0].asked;
    uint64_t polls = polls_of_all(&r);
    r.prom[0].mode = PROM_DOWN;
    running_until(&r, 360);
    assert_in_range(r.prom[0].asked - before, 20 * 100, 2 * 21 * 100);
    assert_in_range(polls_of_all(&r) - polls, 20 * 100, 21 * 100);
    r.prom[0].mode = PROM_VALUE;
    running_until(&r, 376);
    for (int i = 0; i < 100; i++) {
        char key[64];

        snprintf(key, sizeof(key), "ScaledObject/default/app%d", i);
        assert_string_equal(look(&r, key).ready, "True");
    }
    running_stop(&r);
}

/* What is held now, the journal's page cache apart: that fills up to its bound first. */
static size_t held_bytes(void)
{
    return mallinfo2().uordblks - (size_t)sqlite3_memory_used();
}

/* M6: a week with an outage every hour leaves nothing behind. */
static void m6_a_week_of_errors_leaves_nothing(void **state)
{
    char path[] = "/tmp/weir-soak-XXXXXX", journal[64];
    struct running r = {.prom = {{.query = "load", .value = 50}}, .prom_count = 1};
    size_t after_a_day = 0;

    (void)state;
    assert_non_null(mkdtemp(path));
    snprintf(journal, sizeof(journal), "%s/journal.db", path);
    running_start(&r, &(struct stage_options){.start_at_ms = START_MS, .journal = journal});
    stage_workload(r.stage, "default", "Deployment", "app", 5);
    running_manifest(&r, "app.yaml", object_yaml("  pollingInterval: 15\n", PROM("a", "load", "10", "")));
    for (int hour = 0; hour < 7 * 24; hour++) {
        r.prom[0].mode = hour % 3 == 0 ? PROM_HANGS : hour % 3 == 1 ? PROM_DOWN : PROM_NAN;
        running_until(&r, hour * 3600 + 120);
        r.prom[0].mode = PROM_VALUE;
        running_until(&r, (hour + 1) * 3600);
        assert_int_equal(replicas(&r), 5);
        assert_int_equal(virtual_pending(stage_world(r.stage)), 0);
        if (hour == 24)
            after_a_day = held_bytes();
    }
    assert_in_range(held_bytes(), 0, after_a_day + 32 * 1024);
    running_stop(&r);
    unlink(journal);
    strcat(journal, "-wal"), unlink(journal);
    strcpy(journal + strlen(journal) - 4, "-shm"), unlink(journal);
    rmdir(path);
}

/* ---- M7 ---- */
static void answer_429(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static const struct http_header later = {.name = "Retry-After", .value = "120"};

    (void)request;
    ++*(int *)arg;
    reply->status = 429;
    reply->headers = &later;
    reply->header_count = 1;
}

/* M7: 429 with Retry-After is obeyed, holds, and each poll that was not sent counts for fallback. */
static void m7_retry_after_is_obeyed(void **state)
{
    struct running r = {.prom = {{.query = "load", .value = 50}}, .prom_count = 1};
    int asked = 0;

    (void)state;
    begin(&r, 5, "  minReplicaCount: 1\n  fallback: {failureThreshold: 3, replicas: 7}\n", PROM("a", "load", "10", ""));
    running_until(&r, 30);
    virtual_answer(stage_world(r.stage), "http://prom", answer_429, &asked);
    always_within(&r, 70, 5, 5);
    assert_non_null(strstr(look(&r, APP).why, "alone"));
    running_until(&r, 150);
    assert_int_equal(replicas(&r), 7);
    assert_in_range(asked, 1, 2);
    running_until(&r, 630);
    assert_in_range(asked, 4, 6);
    running_stop(&r);
}

static void answer_nogroup(void *arg, struct virtual_stream *stream, const char *bytes, size_t length, bool opened)
{
    static const char answer[] = "-NOGROUP No such key 'work' or consumer group 'g'\r\n";

    (void)arg, (void)bytes, (void)length;
    if (!opened)
        virtual_stream_say(stream, answer, strlen(answer), 0);
}

/* M8: a consumer group that does not exist is an error: not 0, and not the maximum. */
static void m8_what_does_not_exist_is_an_error(void **state)
{
    struct running r = {.prom_count = 0};

    (void)state;
    begin(&r, 4, "  minReplicaCount: 0\n  cooldownPeriod: 5\n",
          "  - type: redis-streams\n    metadata: {address: 'redis:6379', stream: work, consumerGroup: g, "
          "pendingEntriesCount: '5'}\n");
    virtual_talk(stage_world(r.stage), "redis:6379", answer_nogroup, NULL);
    always_within(&r, 900, 4, 4);
    assert_non_null(strstr(look(&r, APP).why, "NOGROUP"));
    running_stop(&r);
}

/* M10: counters that begin anew and clocks that step give sane rates. */
static void m10_resets_and_clock_steps(void **state)
{
    struct running r = {.prom = {{.query = "total"}}, .prom_count = 1};

    (void)state;
    begin(&r, 3,
          "  minReplicaCount: 1\n  maxReplicaCount: 50\n  advanced:\n    scalingModifiers: {formula: \"rate(total, "
          "'2m')\", target: '10'}\n",
          PROM("total", "total", "1", ""));
    for (int64_t s = 0; s < 3000; s++) { /* 30 a second, so 3 replicas; every ten minutes the counter begins anew */
        r.prom[0].value = (double)(s % 600) * 30;
        running_until(&r, s);
        if (s == 1000)
            virtual_jump(stage_world(r.stage), -HOUR_MS);
        if (s == 1700)
            virtual_jump(stage_world(r.stage), 3 * HOUR_MS);
        if (s > 200)
            assert_in_range(replicas(&r), 3, 4);
    }
    running_stop(&r);
}

/* M12: a thousand objects with one question ask it once an interval. */
static void m12_one_question_is_asked_once(void **state)
{
    struct running r = {.prom = {{.query = "load", .value = 50}}, .prom_count = 1};
    struct autoscaler_stats stats;

    (void)state;
    running_start(&r, NULL);
    put_many(&r, 1000, "load", 15, "");
    running_until(&r, 60);
    unsigned before = r.prom[0].asked;
    running_until(&r, 60 + 600);
    assert_in_range(r.prom[0].asked - before, 40, 41);
    autoscaler_stats(stage_autoscaler(r.stage), &stats);
    assert_int_equal(stats.questions, 1);
    assert_true(stats.polls >= 1000 * 43);
    running_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(m1_no_value_is_not_zero),         cmocka_unit_test(m2_bad_answers_hold_with_a_reason),
        cmocka_unit_test(m2_no_secret_is_repeated),        cmocka_unit_test(m3_a_hanging_source_harms_itself_only),
        cmocka_unit_test(m5_a_source_away_is_not_stormed), cmocka_unit_test(m6_a_week_of_errors_leaves_nothing),
        cmocka_unit_test(m7_retry_after_is_obeyed),        cmocka_unit_test(m8_what_does_not_exist_is_an_error),
        cmocka_unit_test(m10_resets_and_clock_steps),      cmocka_unit_test(m12_one_question_is_asked_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
