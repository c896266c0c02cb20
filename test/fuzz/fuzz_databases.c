/*
 * fuzz_databases: whatever a database answers, a poll ends with one sample; and no connection string is too odd to be taken apart.
 * The first byte picks, modulo 16:
 *
 *     0 packets of ClickHouse   1 frames of Cassandra   2 a connection string, in its three ways   3 a number that a query gave
 *     4.. a whole poll: clickhouse, cassandra (what the server says to each of our writes, separated by "\n--\n"), clickhouse over HTTP,
 *         etcd, arangodb, couchdb (the answer to all of their requests)
 */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/report.h"
#include "base/text.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "sim/virtual.h"
#include "trigger/common/dsn.h"
#include "trigger/common/sql.h"
#include "trigger/driver.h"
#include "trigger/family/clickhouse_native.h"
#include "trigger/family/cql.h"

static const struct {
    const char *type, *metadata, *auth;
} polls[] = {
    {"clickhouse", "{\"host\":\"s\",\"port\":\"1\",\"query\":\"SELECT 1\",\"targetQueryValue\":\"1\"}", "{}"},
    {"cassandra",
     "{\"clusterIPAddress\":\"s:1\",\"keyspace\":\"k\",\"username\":\"u\",\"query\":\"SELECT "
     "1\",\"targetQueryValue\":\"1\"}",
     "{\"password\":\"p\"}"},
    {"clickhouse", "{\"query\":\"SELECT 1\",\"targetQueryValue\":\"1\"}", "{\"connectionString\":\"http://s:1/d\"}"},
    {"etcd", "{\"endpoints\":\"s:1\",\"watchKey\":\"k\",\"value\":\"1\"}", "{\"username\":\"u\",\"password\":\"p\"}"},
    {"arangodb",
     "{\"endpoints\":\"http://s:1\",\"dbName\":\"d\",\"collection\":\"c\",\"query\":\"q\",\"queryValue\":\"1\"}", "{}"},
    {"couchdb", "{\"query\":\"{\\\"selector\\\":{}}\",\"queryValue\":\"1\",\"dbName\":\"d\"}",
     "{\"connectionString\":\"http://s:1/\"}"},
};
enum { POLL_COUNT = sizeof(polls) / sizeof(polls[0]), STEPS_MAX = 10000, READERS = 4 };

static const char *rest;
static size_t rest_length;
static struct virtual_world *world;
static struct trigger *triggers[POLL_COUNT];
static struct trigger_engine *engine;
static int samples;

/* Each request gets all of it: what follows a first good answer is tried by making the input good for both. */
static void answer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static const struct http_header status[] = {{.name = "content-type", .value = "application/grpc"},
                                                {.name = "grpc-status", .value = "0"}};

    (void)arg;
    reply->status = strstr(request->url, "/cursor") ? 201 : 200;
    reply->body = rest;
    reply->length = rest_length;
    reply->headers = status;
    reply->header_count = request->http2 ? 2 : 0;
}

static void talk(void *arg, struct virtual_stream *stream, const char *bytes, size_t length, bool opened)
{
    static const char mark[] = "\n--\n";
    const char *end = memmem(rest, rest_length, mark, 4);
    size_t said = end ? (size_t)(end - rest) : rest_length;

    (void)arg;
    (void)bytes;
    if (opened || length == 0)
        return;
    virtual_stream_say(stream, rest, said / 2, 0);
    virtual_stream_say(stream, rest + said / 2, said - said / 2, 0);
    rest += end ? said + 4 : said;
    rest_length -= end ? said + 4 : said;
    if (!end)
        virtual_stream_hang_up(stream, 0);
}

static void on_sample(void *arg, const struct sample *sample, const struct error *why, int64_t took_ms)
{
    (void)arg;
    (void)took_ms;
    assert(sample->state != SAMPLE_NONE);
    assert(sample->value == sample->value);
    assert(sample->state == SAMPLE_OK || why->kind != ERROR_NONE);
    samples++;
}

static void set_up(void)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct report *report = report_new();

    world = virtual_world_new(1, INT64_C(1767225600000));
    engine = trigger_engine_new(virtual_loop(world), virtual_transport(world), NULL);
    virtual_answer(world, "http://s:1", answer, NULL);
    virtual_talk(world, "s:1", talk, NULL);
    for (size_t i = 0; i < POLL_COUNT; i++) {
        struct trigger_metric metric;
        struct tree *metadata, *auth;
        struct trigger_input input = {.type = polls[i].type, .direct = true, .ns = "n"};

        if (!tree_read_json(polls[i].metadata, strlen(polls[i].metadata), false, arena, &metadata, NULL) ||
            !tree_read_json(polls[i].auth, strlen(polls[i].auth), false, arena, &auth, NULL))
            abort();
        input.metadata = metadata;
        input.credential = credential_from_tree(auth);
        if (!trigger_build(engine, &input, report, &triggers[i], &metric))
            abort();
        trigger_metric_done(&metric);
        credential_unref((struct credential *)input.credential);
    }
    report_free(report);
    arena_free(arena);
}

static void read_packets(const char *bytes, size_t length)
{
    struct clickhouse_packet packet;
    struct error err;

    while (length > 0) {
        enum clickhouse_kind kind = clickhouse_read(bytes, length, &packet, &err);

        assert(packet.used <= length);
        assert(kind != CLICKHOUSE_MORE || packet.needed > length);
        assert(kind != CLICKHOUSE_BAD || err.kind != ERROR_NONE);
        if (kind == CLICKHOUSE_MORE || kind == CLICKHOUSE_BAD)
            return;
        assert(packet.used > 0);
        bytes += packet.used;
        length -= packet.used;
    }
}

static void read_frames(const char *bytes, size_t length)
{
    struct cql_frame frame;
    struct error err;

    while (length > 0) {
        enum cql_kind kind = cql_read(bytes, length, &frame, &err);

        if (kind == CQL_MORE || kind == CQL_BAD)
            return;
        assert(frame.used > 0 && frame.used <= length);
        bytes += frame.used;
        length -= frame.used;
    }
}

static void read_string(const char *text)
{
    struct dsn dsn;
    struct error err;
    char host[DSN_HOST_BYTES];
    int port;

    if (dsn_read_url(text, &dsn, &err))
        for (size_t i = 0; i < 3 && dsn_host(dsn.hosts, i, 1, host, sizeof(host), &port); i++)
            assert(port >= 0 && port <= 65535);
    (void)dsn_option(&dsn, "secure");
    dsn_done(&dsn);
    (void)dsn_read_pairs(text, '"', &dsn, &err);
    dsn_done(&dsn);
    (void)dsn_read_pairs(text, '{', &dsn, &err);
    dsn_done(&dsn);
}

static void read_number(const char *text, size_t length)
{
    struct sql_answer result = {.columns = 1, .row = true, .text = text, .length = length};
    struct error err;
    double value;

    if (sql_number(&result, SQL_EMPTY_FAILS, &value, &err) == SAMPLE_OK)
        assert(isfinite(value));
}

static void poll_once(size_t which, const char *bytes, size_t length)
{
    rest = bytes;
    rest_length = length;
    samples = 0;
    trigger_poll_start(engine, triggers[which % POLL_COUNT], on_sample, NULL);
    for (int i = 0; i < STEPS_MAX && samples == 0; i++)
        virtual_step(world);
    assert(samples == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes;

    if (size == 0)
        return 0;
    if (!world)
        set_up();
    bytes = mem_alloc(size); /* exactly as long: what reads behind it is seen */
    memcpy(bytes, data + 1, size - 1);
    switch (data[0] % 16) {
    case 0:
        read_packets(bytes, size - 1);
        break;
    case 1:
        read_frames(bytes, size - 1);
        break;
    case 2:
        read_string(bytes);
        break;
    case 3:
        read_number(bytes, size - 1);
        break;
    default:
        poll_once(data[0] % 16u - READERS, bytes, size - 1);
    }
    free(bytes);
    return 0;
}
