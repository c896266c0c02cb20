/*
 * fuzz_answers: whatever a source answers, a poll ends with one sample. The first byte picks the reader:
 *
 *     0 metrics page   1 GJSON: path, 0 byte, JSON   2 RESP   3 XML: path, 0 byte, document
 *     4..13 the answer to a whole poll: prometheus, metrics-api in four formats, three signals of inference; redis, redis-streams
 *     16.. the answer to all requests of one, by its place in `polls`
 *
 * Whole polls run on the production engine in the virtual world, so status rules, limits and the drivers are under test too.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/report.h"
#include "base/text.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "net/transport.h"
#include "sim/virtual.h"
#include "trigger/common/gjson.h"
#include "trigger/common/promtext.h"
#include "trigger/common/xmlpath.h"
#include "trigger/driver.h"
#include "trigger/family/resp.h"

static const struct {
    const char *type, *metadata, *auth;
} polls[] = {
    {"prometheus", "{\"serverAddress\":\"http://s:1\",\"query\":\"up\",\"threshold\":\"1\"}"},
    {"metrics-api", "{\"url\":\"http://s:1\",\"valueLocation\":\"a.#(b>1)#.c|@reverse|0\",\"targetValue\":\"1\"}"},
    {"metrics-api", "{\"url\":\"http://s:1\",\"valueLocation\":\"a.b.0\",\"targetValue\":\"1\",\"format\":\"yaml\"}"},
    {"metrics-api", "{\"url\":\"http://s:1\",\"valueLocation\":\"a.b.1\",\"targetValue\":\"1\",\"format\":\"xml\"}"},
    {"metrics-api",
     "{\"url\":\"http://s:1\",\"valueLocation\":\"a{b=\\\"c\\\"}\",\"targetValue\":\"1\",\"format\":\"prometheus\"}"},
    {"inference", "{\"url\":\"http://s:1\",\"signal\":\"kv_usage\",\"target\":\"1\"}"},
    {"inference", "{\"url\":\"http://s:1\",\"signal\":\"tokens_per_min\",\"target\":\"1\"}"},
    {"inference", "{\"url\":\"http://s:1\",\"signal\":\"goodput\",\"ttft\":\"1s\",\"itl\":\"50ms\",\"target\":\"1\"}"},
    {"redis", "{\"address\":\"s:1\",\"listName\":\"l\"}"},
    {"redis-streams", "{\"address\":\"s:1\",\"stream\":\"s\",\"consumerGroup\":\"g\",\"lagCount\":\"1\"}"},
    {"elasticsearch",
     "{\"addresses\":\"http://s:1,http://s:1\",\"username\":\"u\",\"password\":\"p\",\"index\":\"i\",\"query\":\"{}\","
     "\"valueLocation\":\"hits.total.value\",\"targetValue\":\"1\"}"},
    {"elastic-forecast",
     "{\"addresses\":\"http://s:1\",\"username\":\"u\",\"password\":\"p\",\"jobID\":\"j\",\"targetValue\":\"1\"}"},
    {"graphite", "{\"serverAddress\":\"http://s:1\",\"query\":\"a\",\"queryTime\":\"-1m\"}"},
    {"influxdb", "{\"serverURL\":\"http://s:1\",\"organizationName\":\"o\",\"query\":\"q\",\"thresholdValue\":\"1\"}"},
    {"influxdb", "{\"serverURL\":\"http://s:1\",\"influxVersion\":\"3\",\"database\":\"d\",\"metricKey\":\"k\","
                 "\"query\":\"q\",\"thresholdValue\":\"1\"}"},
    {"selenium-grid", "{\"url\":\"http://s:1\",\"browserName\":\"chrome\",\"capabilities\":\"{\\\"a\\\":[1]}\"}"},
    {"solr",
     "{\"host\":\"http://s:1\",\"collection\":\"c\",\"targetQueryValue\":\"1\",\"username\":\"u\",\"password\":\"p\"}"},
    {"splunk",
     "{\"host\":\"http://s:1\",\"savedSearchName\":\"s\",\"valueField\":\"n\",\"targetValue\":\"1\","
     "\"activationValue\":\"0\"}",
     "{\"username\":\"u\"}"},
    {"github-runner",
     "{\"githubApiURL\":\"http://s:1\",\"owner\":\"o\",\"runnerScope\":\"org\",\"enableEtags\":\"true\"}",
     "{\"personalAccessToken\":\"t\"}"},
    {"forgejo-runner", "{\"address\":\"http://s:1\",\"labels\":\"l\"}", "{\"token\":\"t\"}"},
    {"openstack-metric",
     "{\"metricsURL\":\"http://s:1\",\"metricID\":\"m\",\"aggregationMethod\":\"mean\",\"granularity\":\"60\"}",
     "{\"authURL\":\"http://s:1\",\"userID\":\"u\",\"password\":\"p\"}"},
    {"openstack-swift", "{\"swiftURL\":\"http://s:1\",\"containerName\":\"c\",\"onlyFiles\":\"true\"}",
     "{\"authURL\":\"http://s:1\",\"userID\":\"u\",\"password\":\"p\",\"projectID\":\"r\"}"},
    {"rabbitmq",
     "{\"host\":\"http://s:1/v\",\"queueName\":\"q\",\"mode\":\"ExpectedQueueConsumptionTime\",\"value\":\"1\"}"},
    {"rabbitmq", "{\"host\":\"http://s:1/v\",\"queueName\":\"q\",\"useRegex\":\"true\",\"operation\":\"avg\"}"},
    {"activemq", "{\"managementEndpoint\":\"s:1\",\"brokerName\":\"b\",\"destinationName\":\"q\"}",
     "{\"username\":\"u\",\"password\":\"p\"}"},
    {"beanstalkd", "{\"server\":\"s:1\",\"tube\":\"t\",\"value\":\"1\"}"},
    {"ibmmq", "{\"host\":\"http://s:1\",\"queueName\":\"a,b\"}", "{\"username\":\"u\",\"password\":\"p\"}"},
    {"nats-jetstream",
     "{\"natsServerMonitoringEndpoint\":\"s:1\",\"account\":\"a\",\"stream\":\"s\",\"consumer\":\"c\"}"},
    {"nsq", "{\"nsqLookupdHTTPAddresses\":\"s:1,s:1\",\"topic\":\"t\",\"channel\":\"c\"}"},
    {"pulsar", "{\"adminURL\":\"http://s:1\",\"topic\":\"persistent://a/b/c\",\"subscription\":\"s\"}"},
    {"solace-event-queue",
     "{\"solaceSempBaseURL\":\"http://s:1,http://"
     "s:1\",\"messageVpn\":\"v\",\"queueName\":\"q\",\"messageCountTarget\":\"1\"}",
     "{\"username\":\"u\",\"password\":\"p\"}"},
    {"solace-direct-messaging",
     "{\"solaceSempBaseURL\":\"http://s:1\",\"messageVpn\":\"v\",\"clientNamePattern\":\"c\","
     "\"aggregatedClientTxMsgRateTarget\":\"1\"}",
     "{\"username\":\"u\",\"password\":\"p\"}"},
    {"redis-sentinel", "{\"address\":\"s:1\",\"sentinelMaster\":\"m\",\"listName\":\"l\"}"},
    {"redis-cluster-streams", "{\"address\":\"s:1\",\"stream\":\"s\",\"consumerGroup\":\"g\",\"lagCount\":\"1\"}"},
};
enum { POLL_COUNT = sizeof(polls) / sizeof(polls[0]), STEPS_MAX = 10000 };

static const char *body;
static size_t body_length;
static struct virtual_world *world;
static struct trigger *triggers[POLL_COUNT];
static struct trigger_engine *engine;
static int samples;

static void answer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    (void)arg;
    (void)request;
    static const struct http_header headers[] = {{.name = "x-subject-token", .value = "t"},
                                                 {.name = "etag", .value = "\"e\""}};

    reply->status = 200;
    reply->body = body;
    reply->length = body_length;
    reply->headers = headers;
    reply->header_count = sizeof(headers) / sizeof(headers[0]);
}

static void talk(void *arg, struct virtual_stream *stream, const char *bytes, size_t length, bool opened)
{
    (void)arg;
    (void)bytes;
    (void)length;
    if (!opened || body_length == 0)
        return;
    virtual_stream_say(stream, body, body_length / 2, 0);
    virtual_stream_say(stream, body + body_length / 2, body_length - body_length / 2, 0);
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

        if (!tree_read_json(polls[i].metadata, strlen(polls[i].metadata), false, arena, &metadata, NULL))
            abort();
        input.metadata = metadata;
        if (polls[i].auth && !tree_read_json(polls[i].auth, strlen(polls[i].auth), false, arena, &auth, NULL))
            abort();
        input.credential = polls[i].auth ? credential_from_tree(auth) : NULL;
        if (!trigger_build(engine, &input, report, &triggers[i], &metric))
            abort();
        trigger_metric_done(&metric);
        credential_unref((struct credential *)(uintptr_t)input.credential);
    }
    report_free(report);
    arena_free(arena);
}

static bool count(void *arg, const struct promtext_sample *sample)
{
    (void)arg;
    return sample->name_length > 0;
}

static void read_json_path(const char *bytes, size_t length, struct arena *arena)
{
    const char *end = memchr(bytes, '\0', length);
    struct tree *root;

    if (end && tree_read_json(end + 1, length - (size_t)(end + 1 - bytes), true, arena, &root, NULL))
        (void)gjson_get(root, bytes, arena);
}

static void read_xml_path(const char *bytes, size_t length, struct arena *arena)
{
    const char *end = memchr(bytes, '\0', length), *text;

    if (end)
        (void)xmlpath_get(end + 1, length - (size_t)(end + 1 - bytes), bytes, arena, &text, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena;
    const char *bytes;
    struct resp *reply;
    size_t used;

    if (size == 0)
        return 0;
    if (!world)
        set_up();
    arena = arena_new(ARENA_USUAL);
    bytes = arena_copy_bytes(arena, data + 1, size - 1);
    size--;
    if (data[0] == 0) {
        (void)promtext_read(bytes, size, count, NULL, NULL);
    } else if (data[0] == 1) {
        read_json_path(bytes, size, arena);
    } else if (data[0] == 2) {
        (void)resp_read(bytes, size, arena, &reply, &used, NULL);
    } else if (data[0] == 3) {
        read_xml_path(bytes, size, arena);
    } else {
        body = bytes;
        body_length = size;
        samples = 0;
        trigger_poll_start(engine, triggers[(size_t)(data[0] < 16 ? data[0] - 4 : data[0] - 16) % POLL_COUNT],
                           on_sample, NULL);
        for (int i = 0; i < STEPS_MAX && samples == 0; i++)
            virtual_step(world);
        assert(samples == 1);
        virtual_run_until(world,
                          loop_ticks_ms(virtual_loop(world)) + CONNECTION_IDLE_MS); /* the next one connects anew */
    }
    arena_free(arena);
    return 0;
}
