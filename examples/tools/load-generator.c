/*
 * load-generator: users of a model service, and the gateway in front of it. Replays a trace or a ramp of completion requests, sends each to
 * the least loaded ready replica of one or several Weir objects, holds them while there are none, and serves what a gateway would know:
 *
 *     GET /totals    {"tokens_per_min": ..., "request_rate": ..., "queue_length": ..., ...}   for metrics-api triggers
 *     GET /metrics   the same as Prometheus text
 *
 *     load-generator --object default/chat --ramp 0:1,60:12,120:1 --prompt 400 --generated 100
 *     load-generator --object default/chat --trace examples/traces/AzureLLMInferenceTrace_conv.csv --speed 10
 *
 * The forms of traces are those of src/sim/trace.h. Replicas' addresses come from Weir's API (replicas[].address), twice a second. A
 * replica that refuses or breaks off is left alone until the API is asked again, and its request goes to another.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"
#include "net/loop.h"
#include "net/server.h"
#include "net/transport.h"
#include "sim/trace.h"

enum {
    REPLICAS_MAX_KNOWN = 256,
    HELD_MAX = 100000, /* more than that waits for nobody: the oldest give up */
    FLYING_MAX = 512,  /* a connection each: file descriptors, well under the usual 1024. What is over it is held */
    TRIES_MAX = 20,    /* half a second apart at least */
    OBJECTS_MAX_SERVED = 8,
    TRACE_LINE_MAX_BYTES = 1024 * 1024, /* Mooncake's lines list the blocks of a prompt */
    DISCOVER_MS = 500,
    TICK_MS = 20,
    BUCKETS = 600, /* one-second sums for the rates: ten minutes */
    REQUEST_TIMEOUT_MS = 10 * 60 * 1000,
};

struct replica {
    char address[128];
    int64_t outstanding; /* tokens */
    size_t object;
    bool seen;
};

struct call {
    int64_t prompt, generated, arrived_ms;
    int tries, replica;
    struct call *next;
};

static struct {
    struct loop *loop;
    struct transport *transport;
    struct server *server;
    struct timer *tick, *discover, *progress;
    const char *weir;
    struct object {
        const char *name; /* namespace/name */
        bool asked;
        char error[200];
    } objects[OBJECTS_MAX_SERVED];
    size_t object_count;
    double speed;
    struct trace trace; /* as read, or made of the ramp */
    size_t next_row;
    bool repeat;
    int64_t span_ns; /* of one round */
    int64_t started_ms, round_ms, duration_ms;
    int64_t window_s;
    struct replica replicas[REPLICAS_MAX_KNOWN];
    size_t replica_count;
    struct call *held_first, *held_last;
    size_t held, flying;
    uint64_t sent, finished, failed, given_up;
    struct {
        int64_t second, arrived, finished, tokens, generated;
        int64_t latency_ms;
    } buckets[BUCKETS];
} load;

/* ------------------------------------------------------------------ what is counted */

static int64_t now_ms(void)
{
    return loop_ticks_ms(load.loop);
}

static size_t bucket_now(void)
{
    int64_t second = now_ms() / 1000;
    size_t i = (size_t)(second % BUCKETS);

    if (load.buckets[i].second != second) {
        memset(&load.buckets[i], 0, sizeof(load.buckets[i]));
        load.buckets[i].second = second;
    }
    return i;
}

struct totals {
    double request_rate, finished_rate, tokens_per_min, generated_per_min, mean_latency_s;
};

/* Over the last whole seconds of the window; at the start over as many as there are. */
static struct totals totals_now(void)
{
    int64_t end = now_ms() / 1000, age = (now_ms() - load.started_ms) / 1000;
    int64_t span = age < load.window_s ? (age > 0 ? age : 1) : load.window_s;
    int64_t arrived = 0, finished = 0, tokens = 0, generated = 0, latency = 0;

    for (size_t i = 0; i < BUCKETS; i++) {
        if (load.buckets[i].second < end - span || load.buckets[i].second >= end)
            continue;
        arrived += load.buckets[i].arrived;
        finished += load.buckets[i].finished;
        tokens += load.buckets[i].tokens;
        generated += load.buckets[i].generated;
        latency += load.buckets[i].latency_ms;
    }
    return (struct totals){.request_rate = (double)arrived / (double)span,
                           .finished_rate = (double)finished / (double)span,
                           .tokens_per_min = (double)tokens * 60 / (double)span,
                           .generated_per_min = (double)generated * 60 / (double)span,
                           .mean_latency_s = finished ? (double)latency / (double)finished / 1000 : 0};
}

static void add_figure(struct text *out, bool json, const char *name, double value, bool last)
{
    if (json) {
        text_printf(out, "  \"%s\": ", name);
        text_add_number(out, value);
        text_add(out, last ? "\n" : ",\n");
    } else {
        text_printf(out, "# TYPE load_%s gauge\nload_%s ", name, name);
        text_add_number(out, value);
        text_add_char(out, '\n');
    }
}

static void add_figures(struct text *out, bool json)
{
    struct totals t = totals_now();

    add_figure(out, json, "tokens_per_min", t.tokens_per_min, false);
    add_figure(out, json, "generated_tokens_per_min", t.generated_per_min, false);
    add_figure(out, json, "request_rate", t.request_rate, false);
    add_figure(out, json, "requests_per_min", t.request_rate * 60, false);
    add_figure(out, json, "finished_rate", t.finished_rate, false);
    add_figure(out, json, "queue_length", (double)(load.held + load.flying), false);
    add_figure(out, json, "held", (double)load.held, false);
    add_figure(out, json, "in_flight", (double)load.flying, false);
    add_figure(out, json, "mean_latency_s", t.mean_latency_s, false);
    add_figure(out, json, "finished", (double)load.finished, false);
    add_figure(out, json, "failed", (double)(load.failed + load.given_up), true);
}

static void on_totals(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg, (void)request;
    text_add(answer->body, "{\n");
    add_figures(answer->body, true);
    text_add(answer->body, "}\n");
}

static void on_metrics(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg, (void)request;
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    add_figures(answer->body, false);
}

/* ------------------------------------------------------------------ sending */

static void hold(struct call *call, bool first)
{
    if (first) {
        call->next = load.held_first;
        load.held_first = call;
        if (!load.held_last)
            load.held_last = call;
    } else {
        call->next = NULL;
        *(load.held_last ? &load.held_last->next : &load.held_first) = call;
        load.held_last = call;
    }
    load.held++;
}

static struct call *take_held(void)
{
    struct call *call = load.held_first;

    load.held_first = call->next;
    if (!load.held_first)
        load.held_last = NULL;
    load.held--;
    return call;
}

static void on_reply(void *arg, const struct http_reply *reply)
{
    struct call *call = arg;
    size_t i = bucket_now();

    load.flying--;
    load.replicas[call->replica].outstanding -= call->prompt + call->generated;
    if (!reply->failed && reply->status == 200) {
        load.finished++;
        load.buckets[i].finished++;
        load.buckets[i].tokens += call->prompt + call->generated;
        load.buckets[i].generated += call->generated;
        load.buckets[i].latency_ms += now_ms() - call->arrived_ms;
        free(call);
    } else if (++call->tries < TRIES_MAX) {
        load.replicas[call->replica].seen = false; /* it goes away, or is not there yet */
        hold(call, true);
    } else {
        load.failed++;
        free(call);
    }
}

/* The seen replica with the least outstanding tokens, or -1. */
static int least_loaded(void)
{
    int best = -1;

    for (size_t i = 0; i < load.replica_count; i++)
        if (load.replicas[i].seen && (best < 0 || load.replicas[i].outstanding < load.replicas[best].outstanding))
            best = (int)i;
    return best;
}

static void send_call(struct call *call, int replica)
{
    static const struct http_header headers[] = {{.name = "Content-Type", .value = "application/json"}};
    char url[200], body[200];
    int length =
        snprintf(body, sizeof(body), "{\"model\":\"sim\",\"prompt\":\"x\",\"prompt_tokens\":%lld,\"max_tokens\":%lld}",
                 (long long)call->prompt, (long long)call->generated);

    snprintf(url, sizeof(url), "http://%s/v1/completions", load.replicas[replica].address);
    call->replica = replica;
    load.replicas[replica].outstanding += call->prompt + call->generated;
    load.flying++;
    load.sent++;
    load.transport->ops->http(load.transport,
                              &(struct http_request){.method = "POST",
                                                     .url = url,
                                                     .headers = headers,
                                                     .header_count = 1,
                                                     .body = body,
                                                     .body_length = (size_t)length,
                                                     .timeout_ms = REQUEST_TIMEOUT_MS,
                                                     .uncounted = true}, /* users are no polls: FLYING_MAX */
                              on_reply, call);
}

static void send_held(void)
{
    while (load.held > HELD_MAX) {
        free(take_held());
        load.given_up++;
    }
    while (load.held > 0 && load.flying < FLYING_MAX) {
        int replica = least_loaded();

        if (replica < 0)
            return;
        send_call(take_held(), replica);
    }
}

/* ------------------------------------------------------------------ replicas, from Weir */

/* A place that nobody uses, or a new one; NULL: there is none. */
static struct replica *free_place(void)
{
    for (size_t i = 0; i < load.replica_count; i++)
        if (!load.replicas[i].seen && load.replicas[i].outstanding == 0)
            return &load.replicas[i];
    return load.replica_count < REPLICAS_MAX_KNOWN ? &load.replicas[load.replica_count++] : NULL;
}

static void know_replica(size_t object, const char *address)
{
    struct replica *r;

    for (size_t i = 0; i < load.replica_count; i++)
        if (load.replicas[i].object == object && strcmp(load.replicas[i].address, address) == 0) {
            load.replicas[i].seen = true;
            return;
        }
    if ((r = free_place()) == NULL)
        return;
    snprintf(r->address, sizeof(r->address), "%s", address);
    r->object = object;
    r->seen = true;
}

static void on_object(void *arg, const struct http_reply *reply)
{
    struct object *object = arg;
    size_t index = (size_t)(object - load.objects), i;
    json_t *answer =
               reply->failed || reply->status != 200 ? NULL : json_loadb(reply->body, reply->body_length, 0, NULL),
           *entry;

    object->asked = false;
    for (size_t r = 0; r < load.replica_count; r++)
        load.replicas[r].seen &= load.replicas[r].object != index;
    json_array_foreach(json_object_get(answer, "replicas"), i, entry)
    {
        const char *address = json_string_value(json_object_get(entry, "address"));

        if (address && json_is_true(json_object_get(entry, "ready")) &&
            !json_is_true(json_object_get(entry, "terminating")))
            know_replica(index, address);
    }
    if (reply->failed)
        snprintf(object->error, sizeof(object->error), "%.150s", reply->error.text);
    else
        snprintf(object->error, sizeof(object->error), "%s%.100s", answer ? "" : "Weir has no object ",
                 answer ? "" : object->name);
    json_decref(answer);
    send_held();
}

static void on_discover(void *arg)
{
    char url[400];

    (void)arg;
    loop_timer_set(load.discover, DISCOVER_MS);
    for (size_t i = 0; i < load.object_count; i++) {
        struct object *object = &load.objects[i];

        if (object->asked)
            continue;
        object->asked = true;
        snprintf(url, sizeof(url), "%s/api/v1/objects/%s", load.weir, object->name);
        load.transport->ops->http(load.transport, &(struct http_request){.method = "GET", .url = url}, on_object,
                                  object);
    }
}

/* ------------------------------------------------------------------ time */

static void arrive(const struct trace_request *request)
{
    struct call *call = mem_alloc(sizeof(*call));

    call->prompt = request->prompt > 0 ? request->prompt : 1;
    call->generated = request->generated > 0 ? request->generated : 1;
    call->arrived_ms = now_ms();
    load.buckets[bucket_now()].arrived++;
    hold(call, false);
}

static bool is_over(void)
{
    bool served = load.next_row == load.trace.count && !load.repeat && load.held + load.flying == 0;

    return served || (load.duration_ms > 0 && now_ms() - load.started_ms >= load.duration_ms);
}

static void on_tick(void *arg)
{
    int64_t t_ns = (int64_t)((double)(now_ms() - load.round_ms) * 1e6 * load.speed);

    (void)arg;
    while (load.next_row < load.trace.count && load.trace.requests[load.next_row].at_ns <= t_ns)
        arrive(&load.trace.requests[load.next_row++]);
    if (load.next_row == load.trace.count && load.repeat && t_ns >= load.span_ns) {
        load.next_row = 0;
        load.round_ms = now_ms();
    }
    send_held();
    if (is_over())
        loop_stop(load.loop);
    else
        loop_timer_set(load.tick, TICK_MS);
}

static size_t ready_count(void)
{
    size_t count = 0;

    for (size_t i = 0; i < load.replica_count; i++)
        count += load.replicas[i].seen;
    return count;
}

static const char *first_error(void)
{
    for (size_t i = 0; i < load.object_count; i++)
        if (load.objects[i].error[0])
            return load.objects[i].error;
    return "";
}

static void on_progress(void *arg)
{
    struct totals t = totals_now();

    (void)arg;
    fprintf(stderr,
            "\r\033[K%4lld s  %6.1f req/s in  %6.1f out  %9.0f tokens/min  %4zu in flight  %4zu held  %2zu ready  %.1f "
            "s  %s",
            (long long)(now_ms() - load.started_ms) / 1000, t.request_rate, t.finished_rate, t.tokens_per_min,
            load.flying, load.held, ready_count(), t.mean_latency_s, first_error());
    loop_timer_set(load.progress, 1000);
}

/* ------------------------------------------------------------------ what to send */

enum { RAMP_STEPS_PER_S = 100, RAMP_SPAN_MAX_S = 1000 * 1000, RAMP_RATE_MAX = 10000 };

/* "0:1,60:12,120:1": requests a second at these seconds, straight lines in between. Requests are spaced evenly. */
static bool read_ramp(const char *text, int64_t prompt, int64_t generated)
{
    double t0 = 0, r0 = 0, due = 0;
    bool first = true;

    for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        double t1, r1;

        if (sscanf(at, "%lf:%lf", &t1, &r1) != 2 || !(first ? t1 >= 0 : t1 > t0) || !(r1 >= 0 && r1 <= RAMP_RATE_MAX) ||
            t1 > RAMP_SPAN_MAX_S)
            return false;
        for (double t = t0; !first && t < t1 && load.trace.count < SIM_TRACE_REQUESTS_MAX;
             t += 1.0 / RAMP_STEPS_PER_S) {
            due += (r0 + (r1 - r0) * (t - t0) / (t1 - t0)) / RAMP_STEPS_PER_S;
            for (; due >= 1; due -= 1)
                trace_add(&load.trace, (int64_t)(t * 1e9), prompt, generated);
        }
        t0 = t1;
        r0 = r1;
        first = false;
    }
    load.span_ns = (int64_t)(t0 * 1e9);
    return load.trace.count > 0;
}

static bool read_lines(FILE *in, const char *path)
{
    char *line = mem_alloc(TRACE_LINE_MAX_BYTES);
    long number = 0;
    bool good = true;

    while (good && fgets(line, TRACE_LINE_MAX_BYTES, in)) {
        struct error err;

        number++;
        good = trace_read_line(&load.trace, line, strcspn(line, "\n"), &err);
        if (!good)
            fprintf(stderr, "load-generator: %s:%ld: %s\n", path, number, err.text);
    }
    free(line);
    return good;
}

static bool read_trace(const char *path)
{
    FILE *in = fopen(path, "r");

    if (!in) {
        fprintf(stderr, "load-generator: %s: %s\n", path, strerror(errno));
        return false;
    }
    bool good = read_lines(in, path);
    fclose(in);
    trace_finish(&load.trace);
    if (good && load.trace.count == 0)
        fprintf(stderr, "load-generator: %s: there are no requests in it\n", path);
    if (load.trace.count > 0)
        load.span_ns = load.trace.requests[load.trace.count - 1].at_ns + 1000000000;
    return good && load.trace.count > 0;
}

/* ------------------------------------------------------------------ the program */

static int usage(FILE *out)
{
    fprintf(out, "usage: load-generator --object NS/NAME (--trace FILE | --ramp SECOND:RATE,...) [OPTION...]\n"
                 "  --object NS/NAME     of Weir, whose ready replicas get the requests; may be given several times\n"
                 "  --trace FILE         requests of the past: Azure's CSV, Mooncake's JSON lines, sums of 10 seconds\n"
                 "  --ramp SECOND:RATE,...  requests a second at these seconds, like 0:1,60:12\n"
                 "  --prompt N, --generated N  tokens of a ramp's requests (400, 100)\n"
                 "  --speed X            of trace or ramp (1)\n"
                 "  --repeat yes         begin again at the end\n"
                 "  --duration DURATION  stop after this long\n"
                 "  --weir URL           whom to ask for replicas (http://127.0.0.1:8642)\n"
                 "  --listen HOST:PORT   serve totals here (127.0.0.1:9100)\n"
                 "  --window DURATION    over which rates are taken (30s)\n");
    return out == stdout ? 0 : 2;
}

static void on_signal(void *arg)
{
    (void)arg;
    loop_stop(load.loop);
}

static int serve(const char *listen)
{
    struct error err;

    if (!loop_new_real(&load.loop, &err) ||
        !transport_new_real(load.loop, &(struct transport_options){.user_agent = "load-generator"}, &load.transport,
                            &err) ||
        !server_new(load.loop, &load.server, &err) || !server_listen_tcp(load.server, listen, &err)) {
        fprintf(stderr, "load-generator: %s\n", err.text);
        return 1;
    }
    server_route(load.server, "GET", "/totals", on_totals, NULL);
    server_route(load.server, "GET", "/metrics", on_metrics, NULL);
    struct signal_watch *terminate = loop_on_signal(load.loop, SIGTERM, on_signal, NULL);
    struct signal_watch *interrupt = loop_on_signal(load.loop, SIGINT, on_signal, NULL);
    load.started_ms = load.round_ms = now_ms();
    load.tick = loop_timer_new(load.loop, on_tick, NULL);
    load.discover = loop_timer_new(load.loop, on_discover, NULL);
    load.progress = loop_timer_new(load.loop, on_progress, NULL);
    loop_timer_set(load.tick, 0);
    loop_timer_set(load.discover, 0);
    if (isatty(STDERR_FILENO))
        loop_timer_set(load.progress, 1000);
    loop_run(load.loop);
    fprintf(stderr, "\n%llu sent, %llu finished, %llu failed, %llu given up\n", (unsigned long long)load.sent,
            (unsigned long long)load.finished, (unsigned long long)load.failed, (unsigned long long)load.given_up);
    loop_signal_free(terminate);
    loop_signal_free(interrupt);
    server_free(load.server);
    transport_free(load.transport);
    loop_free(load.loop);
    trace_free(&load.trace);
    return 0;
}

struct settings {
    const char *trace, *ramp, *listen;
    int64_t prompt, generated, window_ms;
};

static bool read_count(const char *text, int64_t *out)
{
    char *end;

    *out = strtoll(text, &end, 10);
    return end != text && *end == '\0' && *out > 0 && *out <= 1000000;
}

static bool read_speed(const char *text)
{
    char *end;

    load.speed = strtod(text, &end);
    return end != text && *end == '\0' && load.speed > 0 && load.speed <= 1e6;
}

static bool read_option(struct settings *s, const char *name, const char *value)
{
    if (strcmp(name, "--object") == 0) {
        if (load.object_count == OBJECTS_MAX_SERVED || !strchr(value, '/') || strlen(value) > 300)
            return false;
        load.objects[load.object_count++].name = value;
        return true;
    }
    if (strcmp(name, "--weir") == 0)
        return strlen(load.weir = value) < 80;
    if (strcmp(name, "--trace") == 0)
        return (s->trace = value) != NULL;
    if (strcmp(name, "--ramp") == 0)
        return (s->ramp = value) != NULL;
    if (strcmp(name, "--listen") == 0)
        return (s->listen = value) != NULL;
    if (strcmp(name, "--speed") == 0)
        return read_speed(value);
    if (strcmp(name, "--prompt") == 0)
        return read_count(value, &s->prompt);
    if (strcmp(name, "--generated") == 0)
        return read_count(value, &s->generated);
    if (strcmp(name, "--repeat") == 0)
        return (load.repeat = strcmp(value, "yes") == 0) || strcmp(value, "no") == 0;
    if (strcmp(name, "--window") == 0)
        return duration_parse_ms(value, &s->window_ms) && s->window_ms >= 1000 && s->window_ms / 1000 <= BUCKETS - 2;
    if (strcmp(name, "--duration") == 0)
        return duration_parse_ms(value, &load.duration_ms) && load.duration_ms > 0;
    return false;
}

static bool read_options(struct settings *s, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !read_option(s, argv[i], argv[i + 1])) {
            fprintf(stderr, "load-generator: %s%s%s\n", argv[i],
                    i + 1 < argc ? " is no option with a value of " : " needs a value",
                    i + 1 < argc ? argv[i + 1] : "");
            return false;
        }
    if (load.object_count == 0 || !s->trace == !s->ramp) {
        fprintf(stderr, "load-generator: name an --object, and either a --trace or a --ramp\n");
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct settings s = {.listen = "127.0.0.1:9100", .prompt = 400, .generated = 100, .window_ms = 30000};

    load.weir = "http://127.0.0.1:8642";
    load.speed = 1;
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    if (!read_options(&s, argc, argv))
        return usage(stderr);
    load.window_s = s.window_ms / 1000;
    if (s.ramp && !read_ramp(s.ramp, s.prompt, s.generated)) {
        fprintf(stderr,
                "load-generator: --ramp is SECOND:RATE,... with rising seconds and a rate above 0, like 0:1,60:12\n");
        return 2;
    }
    if (s.trace && !read_trace(s.trace))
        return 2;
    return serve(s.listen);
}
