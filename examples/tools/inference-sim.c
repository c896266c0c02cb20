/*
 * inference-sim: a model server without a model. One replica of the serving model (src/sim/serving.h: prefill, decode, batches, KV cache,
 * start-up) in real time, with the faces of a real one:
 *
 *     POST /v1/completions   {"prompt": "...", "max_tokens": 64, "stream": true}; answers after as long as the model takes
 *     GET  /metrics          in vLLM's names
 *     GET  /health           200 once the start-up time is over, 503 before
 *
 * Tokens are counted, not made: a prompt is a token per four bytes (or "prompt_tokens" in the request), and every generated token is the
 * word "token". --time-scale 10 makes model time run ten times as fast: rates seen from outside grow tenfold, latencies in /metrics
 * are in model time. The port is $PORT, as the local platform gives it.
 *
 * SIGTERM drains, as a model server does: /health turns 503, new requests are refused, and the process ends with its last request.
 * Every request is remembered to the end (about 100 bytes each).
 */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/time.h"
#include "sim/serving.h"

enum {
    BODY_MAX_BYTES = 8 * 1024 * 1024,
    BYTES_PER_TOKEN = 4,
    TOKENS_MAX = 1000 * 1000,
    STREAM_MS = 50,
    FLUSH_MS = 200
};

/* ------------------------------------------------------------------ histograms, with vLLM's bounds */

struct histogram {
    const char *name, *help;
    const double *bounds;
    size_t bound_count;
    uint64_t buckets[32];
    double sum;
    uint64_t count;
};

static const double latency_bounds[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,  0.25, 0.5,
                                        0.75,  1.0,   2.5,  5.0,  7.5,  10.0, 20.0, 40.0, 80.0, 160.0};
static const double token_bounds[] = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5};

#define BOUNDS(list) .bounds = (list), .bound_count = sizeof(list) / sizeof((list)[0])
static struct histogram ttft = {"vllm:time_to_first_token_seconds", "From arrival to the first token.",
                                BOUNDS(latency_bounds)};
static struct histogram itl = {"vllm:inter_token_latency_seconds", "Between two tokens of a request.",
                               BOUNDS(token_bounds)};
static struct histogram e2e = {"vllm:e2e_request_latency_seconds", "From arrival to the last token.",
                               BOUNDS(latency_bounds)};
static struct histogram waited = {"vllm:request_queue_time_seconds", "From arrival to admission.",
                                  BOUNDS(latency_bounds)};

static void observe(struct histogram *h, double value, uint64_t times)
{
    for (size_t i = 0; i < h->bound_count; i++)
        if (value <= h->bounds[i]) {
            h->buckets[i] += times;
            break;
        }
    h->sum += value * (double)times;
    h->count += times;
}

/* ------------------------------------------------------------------ the replica */

struct client { /* who waits for a request of the model */
    size_t request;
    struct evhttp_request *http;
    bool stream, gone, begun;
    bool admitted, started; /* counted in the histograms of queue and first token */
    int64_t sent;
    struct client *next;
};

static struct {
    struct event_base *base;
    struct event *wake;
    struct serving *model;
    double time_scale;
    int64_t started_ns, startup_ns;
    bool ready, draining;
    struct client *clients;
    const char *model_name;
} server;

static int64_t real_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t model_ns(void)
{
    return (int64_t)((double)(real_ns() - server.started_ns) * server.time_scale);
}

static const struct serving_request *request_of(const struct client *client)
{
    const struct serving_request *list;

    serving_requests(server.model, &list);
    return &list[client->request];
}

static void on_client_gone(struct evhttp_connection *connection, void *arg)
{
    struct client *client = arg;

    (void)connection;
    client->gone = true; /* the model goes on, as a real server's step does until it looks */
}

static void add_tokens(struct evbuffer *out, int64_t count, bool sse)
{
    if (sse)
        evbuffer_add_printf(out, "data: {\"choices\":[{\"index\":0,\"text\":\"");
    for (int64_t i = 0; i < count; i++)
        evbuffer_add_printf(out, "token ");
    if (sse)
        evbuffer_add_printf(out, "\"}]}\n\n");
}

static void stream_tokens(struct client *client)
{
    int64_t made = serving_generated(server.model, client->request);
    struct evbuffer *out;

    if (client->gone || !client->stream || made <= client->sent)
        return;
    out = evbuffer_new();
    if (!client->begun) {
        evhttp_add_header(evhttp_request_get_output_headers(client->http), "Content-Type", "text/event-stream");
        evhttp_send_reply_start(client->http, 200, "OK");
        client->begun = true;
    }
    add_tokens(out, made - client->sent, true);
    client->sent = made;
    evhttp_send_reply_chunk(client->http, out);
    evbuffer_free(out);
}

static void add_usage(struct evbuffer *out, const struct serving_request *q)
{
    evbuffer_add_printf(out, "\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld}",
                        (long long)q->prompt, (long long)q->generated, (long long)(q->prompt + q->generated));
}

static void answer(struct client *client, const struct serving_request *q)
{
    struct evbuffer *out = evbuffer_new();

    if (client->stream) {
        stream_tokens(client);
        evbuffer_add_printf(out, "data: {\"choices\":[],");
        add_usage(out, q);
        evbuffer_add_printf(out, "}\n\ndata: [DONE]\n\n");
        evhttp_send_reply_chunk(client->http, out);
        evhttp_send_reply_end(client->http);
    } else {
        evbuffer_add_printf(
            out,
            "{\"object\":\"text_completion\",\"model\":\"%s\",\"choices\":[{\"index\":0,\"finish_reason\":\"length\","
            "\"text\":\"",
            server.model_name);
        add_tokens(out, q->generated, false);
        evbuffer_add_printf(out, "\"}],");
        add_usage(out, q);
        evbuffer_add_printf(out, "}\n");
        evhttp_add_header(evhttp_request_get_output_headers(client->http), "Content-Type", "application/json");
        evhttp_send_reply(client->http, 200, "OK", out);
    }
    evbuffer_free(out);
}

/* Each is counted when it happens, not when the request is over: a quantile may not wait for the slow ones. */
static void count_progress(struct client *client, const struct serving_request *q)
{
    if (q->admitted_ns >= 0 && !client->admitted)
        observe(&waited, (double)(q->admitted_ns - q->arrival_ns) / 1e9, 1);
    if (q->first_ns >= 0 && !client->started)
        observe(&ttft, (double)(q->first_ns - q->arrival_ns) / 1e9, 1);
    client->admitted = q->admitted_ns >= 0;
    client->started = q->first_ns >= 0;
}

/* As an engine counts it: for each request of the batch the time of the step that made its token. */
static void on_step(void *arg, int64_t step_ns, int64_t tokens)
{
    (void)arg;
    observe(&itl, (double)step_ns / 1e9, (uint64_t)tokens);
}

/* A request whose connection broke off belongs to whoever still holds it: libevent has let go of it. */
static void close_client(struct client *client)
{
    if (client->gone)
        evhttp_request_free(client->http);
    else if (evhttp_request_get_connection(client->http))
        evhttp_connection_set_closecb(evhttp_request_get_connection(client->http), NULL, NULL);
    free(client);
}

static void serve_clients(void)
{
    for (struct client **at = &server.clients; *at;) {
        struct client *client = *at;
        const struct serving_request *q = request_of(client);

        count_progress(client, q);
        if (q->finished_ns < 0 && !(server.draining && client->gone)) {
            stream_tokens(client);
            at = &client->next;
            continue;
        }
        if (q->finished_ns >= 0)
            observe(&e2e, (double)(q->finished_ns - q->arrival_ns) / 1e9, 1);
        if (!client->gone)
            answer(client, q);
        *at = client->next;
        close_client(client);
    }
    if (server.draining && !server.clients)
        event_base_loopexit(server.base, &(struct timeval){0, FLUSH_MS * 1000});
}

/* Sleeps until the model does something by itself, and no longer than streams may wait for tokens. */
static void arrange_wake(void)
{
    int64_t next = serving_next_ns(server.model), wait_ns;
    struct timeval wait;

    if (next == SERVING_NEVER)
        return;
    wait_ns = (int64_t)((double)(next - model_ns()) / server.time_scale);
    if (wait_ns > STREAM_MS * 1000000LL)
        wait_ns = STREAM_MS * 1000000LL;
    if (wait_ns < 1000)
        wait_ns = 1000;
    wait = (struct timeval){wait_ns / 1000000000, wait_ns / 1000 % 1000000};
    evtimer_add(server.wake, &wait);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    serving_begin(server.model, model_ns());
    serving_end(server.model);
    serve_clients();
    arrange_wake();
}

/* ------------------------------------------------------------------ requests */

static void refuse(struct evhttp_request *http, int status, const char *text)
{
    struct evbuffer *out = evbuffer_new();

    evbuffer_add_printf(out, "{\"error\":{\"message\":\"%s\"}}\n", text);
    evhttp_add_header(evhttp_request_get_output_headers(http), "Content-Type", "application/json");
    evhttp_send_reply(http, status, NULL, out);
    evbuffer_free(out);
}

static int64_t prompt_tokens(const json_t *body)
{
    const json_t *given = json_object_get(body, "prompt_tokens"), *prompt = json_object_get(body, "prompt");

    if (json_is_integer(given))
        return json_integer_value(given);
    if (json_is_array(prompt))
        return (int64_t)json_array_size(prompt);
    return (int64_t)(json_string_length(prompt) + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
}

static void on_completion(struct evhttp_request *http, void *arg)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(http);
    json_t *body = json_loadb((const char *)evbuffer_pullup(in, -1), evbuffer_get_length(in), 0, NULL);
    const json_t *wanted = json_object_get(body, "max_tokens");
    int64_t prompt = prompt_tokens(body), generated = json_is_integer(wanted) ? json_integer_value(wanted) : 16;

    (void)arg;
    if (evhttp_request_get_command(http) != EVHTTP_REQ_POST) {
        refuse(http, 405, "POST a completion request");
    } else if (!server.ready || server.draining) {
        refuse(http, 503, server.draining ? "the server is going down" : "the model is being loaded");
    } else if (!json_is_object(body) || prompt < 1 || generated < 1 || prompt > TOKENS_MAX || generated > TOKENS_MAX) {
        refuse(http, 400, "the body is a JSON object with a prompt and max_tokens above 0");
    } else {
        struct client *client = mem_alloc(sizeof(*client));

        serving_begin(server.model, model_ns());
        client->request = serving_arrive(server.model, prompt, generated);
        serving_end(server.model);
        client->http = http;
        client->stream = json_is_true(json_object_get(body, "stream"));
        if (request_of(client)->rejected) {
            refuse(http, 400, "the request is longer than the KV cache");
            free(client);
        } else {
            evhttp_connection_set_closecb(evhttp_request_get_connection(http), on_client_gone, client);
            client->next = server.clients;
            server.clients = client;
        }
        serve_clients(); /* others may have been finished by now */
        arrange_wake();
    }
    json_decref(body);
}

static void on_health(struct evhttp_request *http, void *arg)
{
    (void)arg;
    evhttp_send_reply(http, server.ready && !server.draining ? 200 : 503, NULL, NULL);
}

/* ------------------------------------------------------------------ metrics */

static void add_single(struct evbuffer *out, const char *name, const char *type, const char *more, double value)
{
    evbuffer_add_printf(out, "# TYPE %s %s\n%s{model_name=\"%s\"%s} %.17g\n", name, type, name, server.model_name, more,
                        value);
}

static void add_histogram(struct evbuffer *out, const struct histogram *h)
{
    uint64_t below = 0;

    evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s histogram\n", h->name, h->help, h->name);
    for (size_t i = 0; i < h->bound_count; i++) {
        below += h->buckets[i];
        evbuffer_add_printf(out, "%s_bucket{le=\"%g\",model_name=\"%s\"} %llu\n", h->name, h->bounds[i],
                            server.model_name, (unsigned long long)below);
    }
    evbuffer_add_printf(out, "%s_bucket{le=\"+Inf\",model_name=\"%s\"} %llu\n", h->name, server.model_name,
                        (unsigned long long)h->count);
    evbuffer_add_printf(out, "%s_sum{model_name=\"%s\"} %.17g\n%s_count{model_name=\"%s\"} %llu\n", h->name,
                        server.model_name, h->sum, h->name, server.model_name, (unsigned long long)h->count);
}

static void on_metrics(struct evhttp_request *http, void *arg)
{
    struct evbuffer *out = evbuffer_new();
    struct serving_signals now;

    (void)arg;
    serving_begin(server.model, model_ns());
    serving_signals(server.model, &now);
    serving_end(server.model);
    serve_clients();
    add_single(out, "vllm:num_requests_waiting", "gauge", "", (double)now.waiting);
    add_single(out, "vllm:num_requests_running", "gauge", "", (double)now.running);
    add_single(out, "vllm:kv_cache_usage_perc", "gauge", "", now.kv_usage);
    add_single(out, "vllm:prompt_tokens_total", "counter", "", (double)now.counters.prompt);
    add_single(out, "vllm:generation_tokens_total", "counter", "", (double)now.counters.generated);
    add_single(out, "vllm:num_preemptions_total", "counter", "", 0);
    add_single(out, "vllm:request_success_total", "counter", ",finished_reason=\"length\"",
               (double)now.counters.finished);
    add_histogram(out, &ttft);
    add_histogram(out, &itl);
    add_histogram(out, &e2e);
    add_histogram(out, &waited);
    evhttp_add_header(evhttp_request_get_output_headers(http), "Content-Type",
                      "text/plain; version=0.0.4; charset=utf-8");
    evhttp_send_reply(http, 200, "OK", out);
    evbuffer_free(out);
    arrange_wake();
}

/* ------------------------------------------------------------------ start and end */

static void on_loaded(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    server.ready = true;
    fprintf(stderr, "inference-sim: ready\n");
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    server.draining = true;
    if (!server.clients)
        event_base_loopbreak(server.base);
}

static int usage(FILE *out)
{
    fprintf(out, "usage: inference-sim [OPTION...]\n"
                 "  --profile NAME       h100-8b (default) or h100x2-70b: how fast, how much cache\n"
                 "  --slow X             a machine X times slower than the profile, in prefill and decode (1)\n"
                 "  --startup DURATION   until /health says 200, in model time (0s)\n"
                 "  --time-scale X       model time runs X times as fast as the clock (1)\n"
                 "  --port N             on 127.0.0.1 ($PORT)\n"
                 "  --model NAME         model_name in /metrics (sim)\n");
    return out == stdout ? 0 : 2;
}

static bool listen_on(int port)
{
    struct evhttp *http = evhttp_new(server.base);

    evhttp_set_max_body_size(http, BODY_MAX_BYTES);
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
    evhttp_set_cb(http, "/v1/completions", on_completion, NULL);
    evhttp_set_cb(http, "/health", on_health, NULL);
    evhttp_set_cb(http, "/metrics", on_metrics, NULL);
    if (evhttp_bind_socket(http, "127.0.0.1", (uint16_t)port) == 0)
        return true;
    fprintf(stderr, "inference-sim: port %d of 127.0.0.1 cannot be listened on\n", port);
    return false;
}

struct settings {
    struct serving_profile profile;
    int64_t startup_ms;
    double slow;
    const char *port;
};

/* A number from `least` on; false: none. */
static bool read_number(const char *text, double least, double *out)
{
    char *end;

    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= least && *out <= 1e6;
}

/* Letters that need no escaping in JSON and labels. */
static bool is_plain(const char *name)
{
    return *name && strlen(name) < 100 && strpbrk(name, "\"\\\n\r\t") == NULL;
}

static bool read_option(struct settings *s, const char *name, const char *value)
{
    if (strcmp(name, "--profile") == 0 && serving_profile(value)) {
        s->profile = *serving_profile(value);
        return true;
    }
    if (strcmp(name, "--startup") == 0)
        return duration_parse_ms(value, &s->startup_ms) && s->startup_ms >= 0;
    if (strcmp(name, "--time-scale") == 0)
        return read_number(value, 0.001, &server.time_scale);
    if (strcmp(name, "--slow") == 0)
        return read_number(value, 1, &s->slow);
    if (strcmp(name, "--port") == 0)
        return (s->port = value) != NULL;
    if (strcmp(name, "--model") == 0)
        return is_plain(server.model_name = value);
    return false;
}

static void slow_down(struct serving_profile *profile, double times)
{
    int64_t tps = (int64_t)((double)profile->prefill_tps / times);

    profile->prefill_tps = tps > 0 ? tps : 1;
    profile->itl_base_ns = (int64_t)((double)profile->itl_base_ns * times);
    profile->itl_per_seq_ns = (int64_t)((double)profile->itl_per_seq_ns * times);
}

static int serve(const struct settings *settings, int port)
{
    int64_t wait_us = (int64_t)((double)settings->startup_ms * 1000 / server.time_scale);
    struct timeval wait = {wait_us / 1000000, wait_us % 1000000};

    signal(SIGPIPE, SIG_IGN);
    server.base = event_base_new();
    server.wake = evtimer_new(server.base, on_wake, NULL);
    server.model = serving_new(&settings->profile, &(struct serving_startup){.kind = STARTUP_FIXED}, 1);
    serving_watch(server.model, on_step, NULL);
    server.started_ns = real_ns();
    if (!listen_on(port))
        return 1;
    event_add(evsignal_new(server.base, SIGTERM, on_signal, NULL), NULL);
    event_add(evsignal_new(server.base, SIGINT, on_signal, NULL), NULL);
    event_base_once(server.base, -1, EV_TIMEOUT, on_loaded, NULL, &wait);
    event_base_dispatch(server.base);
    return 0;
}

int main(int argc, char **argv)
{
    struct settings settings = {.profile = *serving_profile("h100-8b"), .slow = 1, .port = getenv("PORT")};
    double port;

    server.time_scale = 1;
    server.model_name = "sim";
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !read_option(&settings, argv[i], argv[i + 1])) {
            fprintf(stderr, "inference-sim: %s%s%s\n", argv[i],
                    i + 1 < argc ? " is no option with a value of " : " needs a value",
                    i + 1 < argc ? argv[i + 1] : "");
            return usage(stderr);
        }
    if (!settings.port || !read_number(settings.port, 1, &port) || port > 65535) {
        fprintf(stderr, "inference-sim: no port: set PORT or --port\n");
        return 2;
    }
    slow_down(&settings.profile, settings.slow);
    return serve(&settings, (int)port);
}
