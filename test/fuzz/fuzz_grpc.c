/*
 * fuzz_grpc: whatever a gRPC server answers, a poll ends with one sample, and a stream is either understood or opened anew. The first byte
 * picks who asks, the rest is what is answered, one after the other, the last again and again:
 *
 *     answer: kind (bit 0: in a frame of its own; bits 1..5: grpc-status), length (2 bytes), that many bytes
 *
 * or, for the last of them, the bytes of a stream: whatever its pieces are, the same messages come out of it.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/report.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/transport.h"
#include "sim/virtual.h"
#include "trigger/driver.h"
#include "trigger/grpc.h"

static const struct {
    const char *type, *metadata;
} polls[] = {
    {"external", "{\"scalerAddress\":\"s:1\",\"queue\":\"q\"}"},
    {"liiklus", "{\"address\":\"s:1\",\"topic\":\"t\",\"group\":\"g\"}"},
    {"temporal", "{\"endpoint\":\"s:1\",\"taskQueue\":\"t\",\"includeRunningWorkflowCount\":\"true\"}"},
    {"temporal", "{\"endpoint\":\"s:1\",\"taskQueue\":\"t\",\"selectAllActive\":\"true\"}"},
    {"temporal",
     "{\"endpoint\":\"s:1\",\"taskQueue\":\"t\",\"workerDeploymentName\":\"d\",\"workerDeploymentBuildId\":\"b\","
     "\"includeRunningWorkflowCount\":\"true\"}"},
    {"external-push", "{\"scalerAddress\":\"s:1\"}"},
};
enum { POLL_COUNT = sizeof(polls) / sizeof(polls[0]), STEPS_MAX = 10000, PUSHES_MAX = 64 };

static struct virtual_world *world;
static struct trigger_engine *engine;
static struct trigger *triggers[POLL_COUNT];
static const uint8_t *said, *said_end;
static int samples;

/* The next answer, or the last once more. */
static void answer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static struct http_header headers[2];
    static char body[70000], status[16];
    size_t length, room = (size_t)(said_end - said), at = 0;

    (void)arg;
    (void)request;
    if (room < 3)
        return;
    length = (size_t)said[1] << 8 | said[2];
    length = length < room - 3 ? length : room - 3;
    if (said[0] & 1) {
        memcpy(body, (const char[]){0, 0, 0, (char)(length >> 8), (char)length}, 5);
        at = 5;
    }
    memcpy(body + at, said + 3, length);
    snprintf(status, sizeof(status), "%d", said[0] >> 1 & 31);
    headers[0] = (struct http_header){.name = "content-type", .value = "application/grpc"};
    headers[1] = (struct http_header){.name = "grpc-status", .value = status};
    *reply = (struct virtual_reply){
        .status = 200, .body = body, .length = at + length, .headers = headers, .header_count = 2};
    if (room - 3 - length >= 3)
        said += 3 + length;
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
    for (size_t i = 0; i < POLL_COUNT; i++) {
        struct trigger_input input = {.type = polls[i].type, .direct = true, .ns = "n", .object_name = "o"};
        struct trigger_metric metric;
        struct tree *metadata;

        if (!tree_read_json(polls[i].metadata, strlen(polls[i].metadata), false, arena, &metadata, NULL))
            abort();
        input.metadata = metadata;
        if (!trigger_build(engine, &input, report, &triggers[i], &metric))
            abort();
        trigger_metric_done(&metric);
    }
    report_free(report);
    arena_free(arena);
}

/* What comes out of a stream, as one text: each message with its length in front. */
static bool note_message(void *arg, const char *message, size_t length)
{
    struct text *out = arg;

    text_printf(out, "%zu:", length);
    text_append(out, message, length);
    return length != 13; /* one that the reader does not take */
}

static bool take_in_pieces(const uint8_t *data, size_t size, size_t piece, struct text *out)
{
    struct text held;
    struct error err = {0};
    bool good = true;

    text_init(&held, 4096);
    for (size_t at = 0; at < size && good; at += piece)
        good = grpc_take(&held, (const char *)data + at, size - at < piece ? size - at : piece, "s:1", note_message,
                         out, &err);
    assert(good == (err.kind == ERROR_NONE));
    text_done(&held);
    return good;
}

static void compare_pieces(const uint8_t *data, size_t size)
{
    struct text one, other;
    bool good, again;

    text_init(&one, 1024 * 1024);
    text_init(&other, 1024 * 1024);
    good = take_in_pieces(data, size, 1, &one);
    again = take_in_pieces(data, size, 7, &other);
    assert(good == again && one.length == other.length && memcmp(one.bytes, other.bytes, one.length) == 0);
    text_done(&one);
    text_done(&other);
}

static void on_push(void *arg, const struct trigger_push *push)
{
    (void)arg;
    assert(push->active || push->changed);
}

static void listen_for_a_while(void)
{
    struct trigger_listening *listening = trigger_listen(engine, triggers[POLL_COUNT - 1], on_push, NULL);

    for (int i = 0; i < PUSHES_MAX; i++)
        virtual_step(world);
    trigger_listen_stop(listening);
    assert(virtual_pending(world) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (!world)
        set_up();
    said = data + 1;
    said_end = data + size;
    samples = 0;
    if (data[0] >= POLL_COUNT)
        compare_pieces(said, size - 1);
    if (data[0] >= POLL_COUNT)
        return 0;
    trigger_poll_start(engine, triggers[data[0]], on_sample, NULL);
    for (int i = 0; i < STEPS_MAX && samples == 0; i++)
        virtual_step(world);
    assert(samples == 1);
    listen_for_a_while();
    return 0;
}
