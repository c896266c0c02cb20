/*
 * load-generator: users of a model service. Replays a trace or a ramp of completion requests, sends each to the least loaded ready replica
 * of a Weir object, holds them while there are none, and serves what a gateway would know:
 *
 *     GET /totals    {"tokens_per_min": ..., "request_rate": ..., "queue_length": ..., ...}   for metrics-api triggers
 *     GET /metrics   the same as Prometheus text
 *
 *     load-generator --object default/chat --ramp 0:1,60:12,120:1 --prompt 400 --generated 100
 *     load-generator --object default/chat --trace examples/traces/AzureLLMInferenceTrace_conv.csv --speed 10
 *
 * Traces: Azure's CSV (TIMESTAMP,ContextTokens,GeneratedTokens), Mooncake's JSON lines, CSV of 10-second sums (t_s,requests,
 * prompt_tokens,generated_tokens). Replicas' addresses come from Weir's API (replicaList[].address).
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "net/loop.h"
#include "net/server.h"
#include "net/transport.h"

enum {
    REPLICAS_MAX_KNOWN = 256,
    HELD_MAX = 100000,      /* more than that waits for nobody: the oldest give up */
    TRIES_MAX = 3,
    DISCOVER_MS = 500,
    TICK_MS = 20,
    BUCKETS = 600,          /* one-second sums for the rates: ten minutes */
    REQUEST_TIMEOUT_MS = 10 * 60 * 1000,
};

struct row {
    double at_s;
    int64_t prompt, generated;
};

struct replica {
    char address[128];
    int64_t outstanding; /* tokens */
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
    const char *weir, *object;
    double speed;
    struct row *rows;          /* of the trace, or made of the ramp */
    size_t row_count, next_row;
    bool repeat;
    double span_s;             /* of one round */
    int64_t started_ms, round_ms, duration_ms;
    int64_t window_s;
    struct replica replicas[REPLICAS_MAX_KNOWN];
    size_t replica_count;
    bool discovering;
    char discover_error[200];
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
    return (struct totals){.request_rate = (double)arrived / (double)span, .finished_rate = (double)finished / (double)span,
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

static void send_held(void);

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
    if (call->replica < (int)load.replica_count)
        load.replicas[call->replica].outstanding -= call->prompt + call->generated;
    if (!reply->failed && reply->status == 200) {
        load.finished++;
        load.buckets[i].finished++;
        load.buckets[i].tokens += call->prompt + call->generated;
        load.buckets[i].generated += call->generated;
        load.buckets[i].latency_ms += now_ms() - call->arrived_ms;
        free(call);
    } else if (++call->tries < TRIES_MAX) {
        hold(call, true); /* its replica went away: another will do */
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
    int length = snprintf(body, sizeof(body), "{\"model\":\"sim\",\"prompt\":\"x\",\"prompt_tokens\":%lld,\"max_tokens\":%lld}",
                          (long long)call->prompt, (long long)call->generated);

    snprintf(url, sizeof(url), "http://%s/v1/completions", load.replicas[replica].address);
    call->replica = replica;
    load.replicas[replica].outstanding += call->prompt + call->generated;
    load.flying++;
    load.sent++;
    load.transport->ops->http(load.transport,
                              &(struct http_request){.method = "POST", .url = url, .headers = headers, .header_count = 1,
                                                     .body = body, .body_length = (size_t)length, .timeout_ms = REQUEST_TIMEOUT_MS},
                              on_reply, call);
}

static void send_held(void)
{
    while (load.held > HELD_MAX) {
        free(take_held());
        load.given_up++;
    }
    while (load.held > 0) {
        int replica = least_loaded();

        if (replica < 0)
            return;
        send_call(take_held(), replica);
    }
}

/* ------------------------------------------------------------------ replicas, from Weir */

static void know_replica(const char *address)
{
    for (size_t i = 0; i < load.replica_count; i++)
        if (strcmp(load.replicas[i].address, address) == 0) {
            load.replicas[i].seen = true;
            return;
        }
    if (load.replica_count == REPLICAS_MAX_KNOWN)
        return;
    struct replica *r = &load.replicas[load.replica_count++];
    snprintf(r->address, sizeof(r->address), "%s", address);
    r->outstanding = 0;
    r->seen = true;
}

static void on_object(void *arg, const struct http_reply *reply)
{
    json_t *answer = reply->failed || reply->status != 200 ? NULL : json_loadb(reply->body, reply->body_length, 0, NULL);
    size_t i;
    json_t *entry;

    (void)arg;
    load.discovering = false;
    for (size_t r = 0; r < load.replica_count; r++)
        load.replicas[r].seen = false;
    json_array_foreach(json_object_get(answer, "replicaList"), i, entry) {
        const char *address = json_string_value(json_object_get(entry, "address"));

        if (address && json_is_true(json_object_get(entry, "ready")) && !json_is_true(json_object_get(entry, "terminating")))
            know_replica(address);
    }
    snprintf(load.discover_error, sizeof(load.discover_error), "%s", reply->failed ? reply->error.text : answer ? "" : "no such object");
    json_decref(answer);
    send_held();
}

static void on_discover(void *arg)
{
    char url[400];

    (void)arg;
    loop_timer_set(load.discover, DISCOVER_MS);
    if (load.discovering)
        return;
    load.discovering = true;
    snprintf(url, sizeof(url), "%s/api/v1/objects/%s", load.weir, load.object);
    load.transport->ops->http(load.transport, &(struct http_request){.method = "GET", .url = url}, on_object, NULL);
}

/* ------------------------------------------------------------------ time */

static void on_tick(void *arg)
{
    double t_s = (double)(now_ms() - load.round_ms) / 1000 * load.speed;

    (void)arg;
    while (load.next_row < load.row_count && load.rows[load.next_row].at_s <= t_s) {
        const struct row *row = &load.rows[load.next_row++];
        struct call *call = mem_alloc(sizeof(*call));

        call->prompt = row->prompt;
        call->generated = row->generated;
        call->arrived_ms = now_ms();
        load.buckets[bucket_now()].arrived++;
        hold(call, false);
    }
    if (load.next_row == load.row_count && load.repeat && t_s >= load.span_s) {
        load.next_row = 0;
        load.round_ms = now_ms();
    }
    send_held();
    bool over = load.next_row == load.row_count && !load.repeat && load.held + load.flying == 0;
    if (over || (load.duration_ms > 0 && now_ms() - load.started_ms >= load.duration_ms))
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

static void on_progress(void *arg)
{
    struct totals t = totals_now();

    (void)arg;
    fprintf(stderr, "\r\033[K%4lld s  %6.1f req/s in  %6.1f out  %9.0f tokens/min  %4zu in flight  %4zu held  %2zu ready  %.1f s  %s",
            (long long)(now_ms() - load.started_ms) / 1000, t.request_rate, t.finished_rate, t.tokens_per_min, load.flying, load.held,
            ready_count(), t.mean_latency_s, load.discover_error);
    loop_timer_set(load.progress, 1000);
}

/* ------------------------------------------------------------------ what to send */

static void add_row(double at_s, int64_t prompt, int64_t generated)
{
    if ((load.row_count & (load.row_count + 1)) == 0 || load.row_count == 0)
        load.rows = mem_grow(load.rows, load.row_count * 2 + 16, sizeof(struct row));
    load.rows[load.row_count++] = (struct row){at_s, prompt > 0 ? prompt : 1, generated > 0 ? generated : 1};
}

/* "0:1,60:12,120:1": requests a second at these seconds, straight lines in between. Requests are spaced evenly. */
static bool read_ramp(const char *text, int64_t prompt, int64_t generated)
{
    double t0 = 0, r0 = 0, due = 0;
    bool first = true;

    for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        double t1, r1;

        if (sscanf(at, "%lf:%lf", &t1, &r1) != 2 || (!first && t1 <= t0) || r1 < 0 || t1 < 0 || r1 > 10000 || t1 > 1e6)
            return false;
        for (double t = t0; !first && t < t1; t += 0.01) {
            due += (r0 + (r1 - r0) * (t - t0) / (t1 - t0)) * 0.01;
            for (; due >= 1; due -= 1)
                add_row(t, prompt, generated);
        }
        t0 = t1;
        r0 = r1;
        first = false;
    }
    load.span_s = t0;
    return t0 > 0;
}

/* "2023-11-16 18:17:03.9799600" */
static bool azure_time(const char *line, double *at_s)
{
    struct tm tm = {.tm_isdst = 0};
    double seconds;

    if (sscanf(line, "%d-%d-%d %d:%d:%lf", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &seconds) != 6)
        return false;
    *at_s = (double)civil_to_seconds(tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, 0) + seconds;
    return true;
}

static void add_sums(double at_s, long long requests, long long prompt, long long generated)
{
    for (long long i = 0; i < requests; i++)
        add_row(at_s + 10.0 * (double)i / (double)requests, prompt / requests, generated / requests);
}

static bool read_line(const char *line, double *first_s)
{
    long long a, b, c;
    double at_s;

    if (line[0] == '{') {
        json_t *json = json_loads(line, 0, NULL);
        bool fine = json_is_object(json);

        if (fine)
            add_row(json_number_value(json_object_get(json, "timestamp")) / 1000, json_integer_value(json_object_get(json, "input_length")),
                    json_integer_value(json_object_get(json, "output_length")));
        json_decref(json);
        return fine;
    }
    const char *comma = strchr(line, ',');
    if (azure_time(line, &at_s) && comma && sscanf(comma, ",%lld,%lld", &a, &b) == 2) {
        if (*first_s < 0)
            *first_s = at_s;
        add_row(at_s - *first_s, a, b);
        return true;
    }
    if (sscanf(line, "%lf,%lld,%lld,%lld", &at_s, &a, &b, &c) == 4) {
        add_sums(at_s, a, b, c);
        return true;
    }
    return false;
}

static bool read_trace(const char *path)
{
    FILE *in = fopen(path, "r");
    char line[4096];
    double first_s = -1;
    long number = 0;

    if (!in) {
        perror(path);
        return false;
    }
    while (fgets(line, sizeof(line), in)) {
        number++;
        if (line[0] == '\n' || line[0] == '\r' || (number == 1 && line[0] != '{' && strchr("0123456789", line[0]) == NULL))
            continue;
        if (!read_line(line, &first_s)) {
            fprintf(stderr, "load-generator: %s:%ld: this line is of no known trace format\n", path, number);
            fclose(in);
            return false;
        }
    }
    fclose(in);
    if (load.row_count > 0)
        load.span_s = load.rows[load.row_count - 1].at_s + 1;
    return load.row_count > 0;
}

/* ------------------------------------------------------------------ the program */

static int usage(void)
{
    fprintf(stderr, "usage: load-generator --object NS/NAME (--trace FILE [--speed X] | --ramp T:RATE,... [--prompt N] [--generated N])\n"
                    "  --weir URL        API of the Weir to ask for replicas (http://127.0.0.1:8642)\n"
                    "  --listen ADDR     serve totals here (127.0.0.1:9100)\n"
                    "  --window DURATION over which rates are taken (30s)\n"
                    "  --duration D      stop after this long; --repeat yes: begin again at the end\n");
    return 2;
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
        !transport_new_real(load.loop, &(struct transport_options){.user_agent = "load-generator"}, &load.transport, &err) ||
        !server_new(load.loop, &load.server, &err) || !server_listen_tcp(load.server, listen, &err)) {
        fprintf(stderr, "load-generator: %s\n", err.text);
        return 1;
    }
    server_route(load.server, "GET", "/totals", on_totals, NULL);
    server_route(load.server, "GET", "/metrics", on_metrics, NULL);
    loop_on_signal(load.loop, SIGTERM, on_signal, NULL);
    loop_on_signal(load.loop, SIGINT, on_signal, NULL);
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
    server_free(load.server);
    transport_free(load.transport);
    loop_free(load.loop);
    return 0;
}

int main(int argc, char **argv)
{
    const char *trace = NULL, *ramp = NULL, *listen = "127.0.0.1:9100";
    int64_t prompt = 400, generated = 100, window_ms = 30000;

    load.weir = "http://127.0.0.1:8642";
    load.speed = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];

        if (strcmp(name, "--object") == 0)
            load.object = value;
        else if (strcmp(name, "--weir") == 0)
            load.weir = value;
        else if (strcmp(name, "--trace") == 0)
            trace = value;
        else if (strcmp(name, "--ramp") == 0)
            ramp = value;
        else if (strcmp(name, "--listen") == 0)
            listen = value;
        else if (strcmp(name, "--speed") == 0 && atof(value) > 0)
            load.speed = atof(value);
        else if (strcmp(name, "--prompt") == 0 && atoll(value) > 0)
            prompt = atoll(value);
        else if (strcmp(name, "--generated") == 0 && atoll(value) > 0)
            generated = atoll(value);
        else if (strcmp(name, "--repeat") == 0)
            load.repeat = strcmp(value, "yes") == 0;
        else if (!(strcmp(name, "--window") == 0 && duration_parse_ms(value, &window_ms)) &&
                 !(strcmp(name, "--duration") == 0 && duration_parse_ms(value, &load.duration_ms)))
            return usage();
    }
    load.window_s = window_ms / 1000;
    if (argc % 2 == 0 || !load.object || !!trace == !!ramp || load.window_s < 1 || load.window_s > BUCKETS - 2)
        return usage();
    if (ramp ? !read_ramp(ramp, prompt, generated) : !read_trace(trace)) {
        fprintf(stderr, "load-generator: %s\n", ramp ? "--ramp is SECOND:RATE,... with rising seconds, like 0:1,60:12" : "no requests in the trace");
        return 2;
    }
    return serve(listen);
}
