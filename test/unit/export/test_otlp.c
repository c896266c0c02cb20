/* OpenTelemetry on virtual time: what a running system sends, and what becomes of it when the collector refuses it, slows it down, or is
   away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "base/wire.h"
#include "export/export_internal.h"
#include "sim/stage.h"
#include "sim/virtual.h"

#define START_MS (INT64_C(1767225600) * SECOND_MS) /* 2026-01-01 */

/* ------------------------------------------------------------------ a collector */

struct request { /* one that was taken */
    int64_t at_ms;
    char *body; /* unpacked */
    size_t length;
};
struct collector {
    struct virtual_world *world;
    int status; /* 0: refused connections */
    const char *retry_after, *answer;
    size_t answer_length;
    struct request taken[400];
    size_t count;
    unsigned asked;
    char headers[500]; /* of the last request */
};

static void unpack(const struct http_request *request, struct request *out)
{
    bool packed = false;

    for (size_t i = 0; i < request->header_count; i++)
        packed |= strcmp(request->headers[i].name, "Content-Encoding") == 0;
    out->body = malloc(4 * 1000 * 1000);
    if (packed) {
        z_stream z = {.next_in = (Bytef *)(uintptr_t)request->body,
                      .avail_in = (uInt)request->body_length,
                      .next_out = (Bytef *)out->body,
                      .avail_out = 4 * 1000 * 1000};

        inflateInit2(&z, 15 + 16);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        out->length = z.total_out;
        inflateEnd(&z);
    } else {
        memcpy(out->body, request->body, request->body_length);
        out->length = request->body_length;
    }
}

static void on_request(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static struct http_header header;
    struct collector *c = arg;
    size_t at = 0;

    c->asked++;
    for (size_t i = 0; i < request->header_count; i++)
        at += (size_t)snprintf(c->headers + at, sizeof(c->headers) - at, "%s: %s\n", request->headers[i].name,
                               request->headers[i].secret ? "(secret)" : request->headers[i].value);
    reply->status = c->status;
    reply->refused = c->status == 0;
    reply->body = c->answer;
    reply->length = c->answer_length;
    if (c->retry_after) {
        header = (struct http_header){.name = "retry-after", .value = c->retry_after};
        reply->headers = &header;
        reply->header_count = 1;
    }
    if (c->status != 200)
        return;
    assert_true(c->count < 400);
    c->taken[c->count].at_ms = loop_now_ms(virtual_loop(c->world)) - START_MS;
    unpack(request, &c->taken[c->count++]);
}

static void forget(struct collector *c)
{
    while (c->count > 0)
        free(c->taken[--c->count].body);
}

/* Counts the fields at a path of numbers ("1.2.2": all log records) in what was taken; the bytes of the last one go out. */
static size_t count_at(const uint8_t *bytes, size_t length, const char *path, struct wire_field *last)
{
    struct wire_reader in = {bytes, bytes + length, false};
    struct wire_field field;
    unsigned number = (unsigned)strtoul(path, NULL, 10);
    const char *rest = strchr(path, '.');
    size_t count = 0;

    while (wire_next(&in, &field)) {
        if (field.number != number)
            continue;
        if (rest) {
            count += count_at(field.bytes, field.length, rest + 1, last);
        } else {
            count++;
            *last = field;
        }
    }
    assert_false(in.broken);
    return count;
}

static size_t count_taken(const struct collector *c, const char *path, struct wire_field *last)
{
    size_t count = 0;

    for (size_t i = 0; i < c->count; i++)
        count += count_at((const uint8_t *)c->taken[i].body, c->taken[i].length, path, last);
    return count;
}

static bool has(const struct collector *c, const char *text)
{
    for (size_t i = 0; i < c->count; i++)
        if (memmem(c->taken[i].body, c->taken[i].length, text, strlen(text)))
            return true;
    return false;
}

/* ------------------------------------------------------------------ a running system */

struct running {
    struct stage *stage;
    struct collector collector;
    struct export *exporter;
    int load;
    bool down;
    char body[100];
};

static void on_load(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    struct running *r = arg;

    (void)request;
    snprintf(r->body, sizeof(r->body), "{\"value\": %d}", r->load);
    reply->status = r->down ? 500 : 200;
    reply->body = r->body;
    reply->after_ms = 40;
}

static const char object[] = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\n"
                             "  annotations: {weir.dev/polling-interval: 10s}\nspec:\n"
                             "  scaleTargetRef: {name: app}\n  minReplicaCount: 1\n  maxReplicaCount: 5\n"
                             "  advanced: {scalingModifiers: {formula: load * 2, target: \"10\"}}\n  triggers:\n"
                             "  - type: metrics-api\n    name: load\n"
                             "    metadata: {url: 'http://load/', valueLocation: value, targetValue: \"10\"}\n";

static void start(struct running *r, const char *signals, const char *const *environment)
{
    struct export_options options = {.otlp_endpoint = "http://otel:4318",
                                     .metrics = strstr(signals, "metrics"),
                                     .logs = strstr(signals, "logs"),
                                     .traces = strstr(signals, "traces")};
    struct error err = {0};

    *r = (struct running){.load = 10};
    clearenv();
    for (size_t i = 0; environment && environment[i]; i += 2)
        setenv(environment[i], environment[i + 1], 1);
    log_set_level(LOG_LEVEL_ERROR);
    r->stage = stage_new(&(struct stage_options){.seed = 1, .start_at_ms = START_MS, .write_takes_ms = 300});
    r->collector = (struct collector){.world = stage_world(r->stage), .status = 200};
    virtual_answer(r->collector.world, "http://otel:4318", on_request, &r->collector);
    virtual_answer(r->collector.world, "http://load", on_load, r);
    if (!export_new(&(struct export_parts){virtual_loop(r->collector.world), virtual_transport(r->collector.world),
                                           stage_platform(r->stage), stage_autoscaler(r->stage)},
                    &options, &r->exporter, &err))
        fail_msg("%s", err.text);
    stage_workload(r->stage, "default", "Deployment", "app", 1);
    stage_manifest(r->stage, "a.yaml", object, strlen(object));
}

static void stop(struct running *r)
{
    export_free(r->exporter);
    forget(&r->collector);
    stage_free(r->stage);
}

static uint64_t metric(const struct running *r, const char *line)
{
    struct text text;
    const char *found;
    uint64_t value;

    text_init(&text, 100 * 1000);
    export_write_metrics(r->exporter, &text);
    found = strstr(text.bytes, line);
    if (!found)
        fail_msg("no %s in\n%s", line, text.bytes);
    value = strtoull(found + strlen(line), NULL, 10);
    text_done(&text);
    return value;
}

static void until(struct running *r, int64_t s)
{
    stage_run_until(r->stage, s * SECOND_MS);
}

/* ------------------------------------------------------------------ what is sent */

static void metrics_come_every_interval(void **state)
{
    static const char *const names[] = {"keda.scaler.metrics.value",
                                        "keda.scaler.active",
                                        "keda.scaler.metrics.latency.seconds",
                                        "keda.build.info",
                                        "keda.scaled.object.paused",
                                        "keda.trigger.registered.count",
                                        "keda.resource.registered.count",
                                        "composite-metric",
                                        "scalerIndex",
                                        "weir.replicas.wanted",
                                        "weir.decision.duration",
                                        "weir.formula.value"};
    struct wire_field last;
    struct running r;

    (void)state;
    start(&r, "metrics", NULL);
    until(&r, 59);
    assert_int_equal(r.collector.count, 0);
    until(&r, 61);
    assert_int_equal(r.collector.count, 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!has(&r.collector, names[i]))
            fail_msg("no %s", names[i]);
    assert_int_equal(count_taken(&r.collector, "1.1", &last), 1); /* one resource */
    assert_true(count_taken(&r.collector, "1.2.2", &last) > 15);
    assert_string_equal(r.collector.headers, "Content-Type: application/x-protobuf\n");
    until(&r, 181);
    assert_int_equal(r.collector.count, 3);
    assert_true(metric(&r, "weir_export_sent_total{signal=\"metrics\"} ") > 60);
    assert_int_equal(metric(&r, "weir_export_queued_bytes{signal=\"metrics\"} "), 0);
    stop(&r);
}

static void a_log_record_for_each_new_outcome(void **state)
{
    struct wire_field last;
    struct running r;

    (void)state;
    start(&r, "logs", NULL);
    until(&r, 5);
    assert_int_equal(count_taken(&r.collector, "1.2.2", &last), 1);
    assert_true(has(&r.collector, "weir.decision"));
    assert_true(has(&r.collector, "ScaledObject/default/app"));
    until(&r, 9);
    size_t before = count_taken(&r.collector, "1.2.2", &last);
    until(&r, 300); /* nothing new */
    size_t steady = count_taken(&r.collector, "1.2.2", &last);
    assert_true(steady <= before + 4);
    r.down = true;
    until(&r, 330);
    assert_int_equal(count_taken(&r.collector, "1.2.2", &last), steady + 1);
    assert_int_equal(count_at(last.bytes, last.length, "2", &last), 1);
    assert_int_equal(last.value, 13); /* WARN */
    stop(&r);
}

static void a_trace_for_each_decision(void **state)
{
    static const char *const spans[] = {"decision", "poll metrics-api", "formula", "decide", "scale"};
    struct wire_field span, field, trace, root, parent;
    struct running r;

    (void)state;
    start(&r, "traces", NULL);
    until(&r, 8);
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
        if (!has(&r.collector, spans[i]))
            fail_msg("no span %s", spans[i]);
    assert_int_equal(r.collector.count, 1);
    count_taken(&r.collector, "1.2.2", &span); /* the last is a root */
    assert_int_equal(count_at(span.bytes, span.length, "4", &parent), 0);
    assert_int_equal(count_at(span.bytes, span.length, "1", &trace), 1);
    assert_int_equal(trace.length, 16);
    assert_int_equal(count_at(span.bytes, span.length, "2", &root), 1);
    assert_int_equal(root.length, 8);
    forget(&r.collector);
    r.load = 25;
    until(&r, 25);
    /* Poll (40 ms), decision, and the scale (300 ms): the root spans them all. */
    bool found = false;
    for (size_t i = 0; i < r.collector.count; i++) {
        struct wire_reader in = {(uint8_t *)r.collector.taken[i].body,
                                 (uint8_t *)r.collector.taken[i].body + r.collector.taken[i].length, false};
        while (wire_next(&in, &field)) {
            struct wire_reader scopes = {field.bytes, field.bytes + field.length, false};
            struct wire_field scope, one, name, begin, end;
            while (wire_next(&scopes, &scope)) {
                struct wire_reader parts = {scope.bytes, scope.bytes + scope.length, false};
                while (scope.number == 2 && wire_next(&parts, &one)) {
                    if (one.number != 2 || !count_at(one.bytes, one.length, "5", &name) || name.length != 8 ||
                        memcmp(name.bytes, "decision", 8) != 0)
                        continue;
                    count_at(one.bytes, one.length, "7", &begin);
                    count_at(one.bytes, one.length, "8", &end);
                    found |= end.value - begin.value == UINT64_C(340) * 1000 * 1000;
                }
            }
        }
    }
    assert_true(found);
    stop(&r);
}

static void logs_know_their_trace(void **state)
{
    static const char *const environment[] = {"OTEL_BSP_SCHEDULE_DELAY", "1000", "OTEL_EXPORTER_OTLP_HEADERS",
                                              "authorization=Bearer canary", NULL};
    struct wire_field record, span, trace, same;
    struct running r;

    (void)state;
    start(&r, "logs,traces", environment);
    until(&r, 5);
    assert_int_equal(r.collector.count, 2);
    count_at((uint8_t *)r.collector.taken[0].body, r.collector.taken[0].length, "1.2.2", &record);
    count_at((uint8_t *)r.collector.taken[1].body, r.collector.taken[1].length, "1.2.2", &span);
    assert_int_equal(count_at(record.bytes, record.length, "9", &trace), 1);
    assert_int_equal(count_at(span.bytes, span.length, "1", &same), 1);
    assert_memory_equal(trace.bytes, same.bytes, 16);
    assert_string_equal(r.collector.headers, "Content-Type: application/x-protobuf\nauthorization: (secret)\n");
    stop(&r);
}

static void a_share_of_the_traces_is_sent(void **state)
{
    static const struct {
        const char *sampler, *share;
        size_t least, most;
    } rows[] = {{"always_off", "", 0, 0},
                {"traceidratio", "0", 0, 0},
                {"traceidratio", "0.5", 20, 80},
                {"always_on", "", 100, 110}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *const environment[] = {"OTEL_TRACES_SAMPLER", rows[i].sampler, "OTEL_TRACES_SAMPLER_ARG",
                                           rows[i].share, NULL};
        struct wire_field last;
        struct running r;
        size_t roots;

        start(&r, "traces", environment);
        until(&r, 1010);
        roots = count_taken(&r.collector, "1.2.2", &last) - count_taken(&r.collector, "1.2.2.4", &last);
        if (roots < rows[i].least || roots > rows[i].most)
            fail_msg("%s %s: %zu traces", rows[i].sampler, rows[i].share, roots);
        stop(&r);
    }
}

static void bodies_are_packed_where_asked(void **state)
{
    static const char *const environment[] = {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", NULL};
    struct wire_field last;
    struct running r;

    (void)state;
    start(&r, "metrics", environment);
    until(&r, 61);
    assert_true(count_taken(&r.collector, "1.2.2", &last) > 15);
    assert_string_equal(r.collector.headers, "Content-Type: application/x-protobuf\nContent-Encoding: gzip\n");
    stop(&r);
}

/* ------------------------------------------------------------------ collectors that do not take it */

static void what_may_be_tried_again_is(void **state)
{
    static const int statuses[] = {0, 429, 502, 503, 504};

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        struct wire_field last;
        struct running r;

        start(&r, "logs", NULL);
        r.collector.status = statuses[i];
        until(&r, 100);
        if (r.collector.asked < 5 || r.collector.asked > 12)
            fail_msg("%d: asked %u times in 100 s", statuses[i], r.collector.asked);
        r.collector.status = 200;
        until(&r, 140);
        assert_true(count_taken(&r.collector, "1.2.2", &last) >= 1);
        assert_int_equal(metric(&r, "weir_export_rejected_total{signal=\"logs\"} "), 0);
        assert_int_equal(metric(&r, "weir_export_dropped_total{signal=\"logs\"} "), 0);
        stop(&r);
    }
}

static void what_is_refused_is_given_up(void **state)
{
    static const int statuses[] = {301, 400, 401, 404, 413, 500, 501};

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        struct running r;

        start(&r, "logs", NULL);
        r.collector.status = statuses[i];
        until(&r, 9);
        if (r.collector.asked > 3 || metric(&r, "weir_export_rejected_total{signal=\"logs\"} ") == 0)
            fail_msg("%d: asked %u times", statuses[i], r.collector.asked);
        stop(&r);
    }
}

static void retry_after_is_heard(void **state)
{
    struct running r;

    (void)state;
    start(&r, "logs", NULL);
    r.collector.status = 503;
    r.collector.retry_after = "60";
    until(&r, 55);
    assert_int_equal(r.collector.asked, 1);
    until(&r, 65);
    assert_int_equal(r.collector.asked, 2);
    stop(&r);
    start(&r, "logs", NULL);
    r.collector.status = 429;
    r.collector.retry_after = "Thu, 01 Jan 2026 00:00:30 GMT";
    until(&r, 29);
    assert_int_equal(r.collector.asked, 1);
    until(&r, 31);
    assert_int_equal(r.collector.asked, 2);
    stop(&r);
}

static void what_is_taken_in_part_is_counted(void **state)
{
    static const char answer[] = "\x0a\x09\x08\x01\x12\x05"
                                 "stale";
    struct running r;

    (void)state;
    start(&r, "logs", NULL);
    r.collector.answer = answer;
    r.collector.answer_length = sizeof(answer) - 1;
    until(&r, 9);
    assert_true(metric(&r, "weir_export_rejected_total{signal=\"logs\"} ") >= 1);
    assert_int_equal(r.collector.asked, r.collector.count); /* and not sent again */
    stop(&r);
}

/* A collector that is away: nothing grows without end, the oldest goes, and decisions are made as ever. */
static void nothing_grows_while_the_collector_is_away(void **state)
{
    static const char *const environment[] = {"OTEL_BSP_MAX_QUEUE_SIZE", "20", NULL};
    struct wire_field last;
    struct running r;

    (void)state;
    start(&r, "traces,metrics", environment);
    r.collector.status = 0;
    until(&r, 1000);
    assert_true(metric(&r, "weir_export_dropped_total{signal=\"traces\"} ") > 300);
    assert_true(metric(&r, "weir_export_dropped_total{signal=\"metrics\"} ") > 100);
    assert_true(metric(&r, "weir_export_queued_bytes{signal=\"traces\"} ") < 100 * 1000);
    r.load = 25;
    until(&r, 1030);
    assert_int_equal(stage_replicas(r.stage, "app"), 5);
    r.collector.status = 200;
    until(&r, 1100);
    size_t roots = count_taken(&r.collector, "1.2.2", &last);
    assert_true(roots > 20);
    stop(&r);
}

static void on_done(void *arg)
{
    *(bool *)arg = true;
}

static void the_last_words_are_said(void **state)
{
    struct wire_field last;
    struct running r;
    bool done = false;

    (void)state;
    start(&r, "metrics,logs,traces", NULL);
    stage_run_until(r.stage, 700);
    assert_int_equal(r.collector.count, 0);
    export_finish(r.exporter, on_done, &done);
    stage_run_until(r.stage, 900);
    assert_true(done);
    assert_int_equal(r.collector.count, 3);
    assert_true(count_taken(&r.collector, "1.2.2", &last) > 20);
    stop(&r);
    done = false;
    start(&r, "logs", NULL);
    r.collector.status = 0;
    until(&r, 2);
    export_finish(r.exporter, on_done, &done);
    stage_run_until(r.stage, 2000 + EXPORT_LAST_WORDS_MS - 500);
    assert_false(done);
    stage_run_until(r.stage, 2000 + EXPORT_LAST_WORDS_MS + 100);
    assert_true(done); /* it does not wait for ever */
    stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_come_every_interval),
        cmocka_unit_test(a_log_record_for_each_new_outcome),
        cmocka_unit_test(a_trace_for_each_decision),
        cmocka_unit_test(logs_know_their_trace),
        cmocka_unit_test(a_share_of_the_traces_is_sent),
        cmocka_unit_test(bodies_are_packed_where_asked),
        cmocka_unit_test(what_may_be_tried_again_is),
        cmocka_unit_test(what_is_refused_is_given_up),
        cmocka_unit_test(retry_after_is_heard),
        cmocka_unit_test(what_is_taken_in_part_is_counted),
        cmocka_unit_test(nothing_grows_while_the_collector_is_away),
        cmocka_unit_test(the_last_words_are_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
