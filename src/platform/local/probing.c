/*
 * probing: see probing.h. Each probe is a timer and at most one question under way: an HTTP exchange, a connection, or
 * a command under `weir-shim --probe`, which keeps the time limit and leaves nothing behind.
 */
#include "platform/local/probing.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "net/loop.h"
#include "net/transport.h"
#include "platform/local/environment.h"
#include "platform/local/run.h"
#include "platform/local/spec.h"

enum { EAGER_MS = 1000, HEADERS_MAX = 64, STATUS_TIMEOUT = 124 };

struct one_probe {
    struct probing *owner;
    const char *name; /* "readiness" */
    const struct spec_probe *spec;
    struct timer *timer;
    struct exchange *exchange;
    struct stream *stream;
    struct event *exec_event;
    int exec_pidfd;
    int successes, failures; /* in a row */
    bool passed;             /* its threshold of successes was reached, and not that of failures since */
    bool ever_passed;
};

struct probing {
    struct loop *loop;
    struct event_base *base;
    struct transport *transport;
    char *shim;
    struct spec *spec;
    struct arena *arena; /* envp */
    char **envp;
    int port, grace_s;
    bool adopted;
    struct one_probe startup, liveness, readiness;
    char note[200];
    probing_told *told;
    void *arg;
};

/* ------------------------------------------------------------------ outcome */

static void arm(struct one_probe *p, int64_t after_ms)
{
    loop_timer_set(p->timer, after_ms);
}

/* Delays count from the start of the process; one that was adopted has them behind it. */
static void begin(struct one_probe *p)
{
    if (p->spec->kind != PROBE_NONE)
        arm(p, p->owner->adopted ? 0 : p->spec->initial_delay_s * INT64_C(1000));
}

static void start_others(struct probing *g)
{
    begin(&g->liveness);
    begin(&g->readiness);
}

static void rearm(struct one_probe *p)
{
    int64_t period_ms = p->spec->period_s * INT64_C(1000);
    bool eager = p == &p->owner->readiness && !p->ever_passed && period_ms > EAGER_MS;

    arm(p, eager ? EAGER_MS : period_ms);
}

static void on_success(struct one_probe *p)
{
    struct probing *g = p->owner;

    p->failures = 0;
    if (++p->successes < p->spec->success_threshold || p->passed) {
        rearm(p);
        return;
    }
    p->passed = p->ever_passed = true;
    g->note[0] = 0;
    if (p == &g->startup)
        start_others(g);
    else
        rearm(p);
    g->told(g->arg, PROBING_CHANGED);
}

static void on_failure(struct one_probe *p, const char *why)
{
    struct probing *g = p->owner;
    bool was_passed = p->passed;

    p->successes = 0;
    snprintf(g->note, sizeof g->note, "%s probe: %.160s", p->name, why);
    if (++p->failures < p->spec->failure_threshold) {
        rearm(p);
        return;
    }
    p->passed = false;
    if (p != &g->readiness) {
        g->grace_s = p->spec->grace_period_s;
        g->told(g->arg, PROBING_UNHEALTHY);
        return;
    }
    rearm(p);
    if (was_passed || p->failures == p->spec->failure_threshold)
        g->told(g->arg, PROBING_CHANGED);
}

/* ------------------------------------------------------------------ HTTP */

static void on_reply(void *arg, const struct http_reply *reply)
{
    struct one_probe *p = arg;
    char why[150];

    p->exchange = NULL;
    if (!reply->failed && reply->status >= 200 && reply->status < 400) {
        on_success(p);
        return;
    }
    if (reply->failed)
        snprintf(why, sizeof why, "%.140s", reply->error.text);
    else
        snprintf(why, sizeof why, "status %d", reply->status);
    on_failure(p, why);
}

static void ask_http(struct one_probe *p, int port)
{
    static const struct tls_identity trusting = {.insecure =
                                                     true}; /* as the kubelet: a probe verifies no certificate */
    struct http_header headers[HEADERS_MAX];
    bool tls = p->spec->scheme != NULL && strcasecmp(p->spec->scheme, "HTTPS") == 0;
    const char *path = p->spec->path ? p->spec->path : "/";
    size_t count = p->spec->header_count < HEADERS_MAX ? p->spec->header_count : HEADERS_MAX;

    for (size_t i = 0; i < count; i++)
        headers[i] = (struct http_header){.name = p->spec->headers[i].name, .value = p->spec->headers[i].value};
    char *url = mem_alloc(strlen(path) + 64);
    sprintf(url, "%s://127.0.0.1:%d%s%s", tls ? "https" : "http", port, path[0] == '/' ? "" : "/", path);
    struct http_request request = {.method = "GET",
                                   .url = url,
                                   .headers = headers,
                                   .header_count = count,
                                   .tls = tls ? &trusting : NULL,
                                   .timeout_ms = p->spec->timeout_s * INT64_C(1000),
                                   .no_redirects = true,
                                   .trusted = true};
    p->exchange = p->owner->transport->ops->http(p->owner->transport, &request, on_reply, p);
    free(url);
}

/* ------------------------------------------------------------------ TCP */

static void on_connected(void *arg, struct stream *stream)
{
    struct one_probe *p = arg;

    p->owner->transport->ops->stream_close(stream);
    p->stream = NULL;
    on_success(p);
}

static void on_bytes(void *arg, struct stream *stream, const char *bytes, size_t length)
{
    (void)arg;
    (void)stream;
    (void)bytes;
    (void)length; /* that somebody answers is all we want to know */
}

static void on_not_connected(void *arg, struct stream *stream, enum stream_end why, const struct error *error)
{
    struct one_probe *p = arg;

    (void)stream;
    p->stream = NULL;
    on_failure(p, error != NULL ? error->text : why == STREAM_TIMED_OUT ? "no connection in time" : "no connection");
}

static void ask_tcp(struct one_probe *p, int port)
{
    struct stream_request request = {.host = "127.0.0.1",
                                     .port = port,
                                     .connect_timeout_ms = p->spec->timeout_s * INT64_C(1000),
                                     .on_open = on_connected,
                                     .on_bytes = on_bytes,
                                     .on_end = on_not_connected,
                                     .arg = p,
                                     .trusted = true};

    p->stream = p->owner->transport->ops->stream_open(p->owner->transport, &request);
}

/* ------------------------------------------------------------------ exec */

static void drop_exec(struct one_probe *p)
{
    if (p->exec_event == NULL)
        return;
    event_free(p->exec_event);
    close(p->exec_pidfd);
    p->exec_event = NULL;
    p->exec_pidfd = -1;
}

static void on_command_over(evutil_socket_t fd, short what, void *arg)
{
    struct one_probe *p = arg;
    char why[64];
    int status = run_reap((int)fd);

    (void)what;
    drop_exec(p);
    if (status == 0) {
        on_success(p);
        return;
    }
    if (status == STATUS_TIMEOUT)
        snprintf(why, sizeof why, "the command took longer than %d s", p->spec->timeout_s);
    else
        snprintf(why, sizeof why, "the command ended with status %d", status);
    on_failure(p, why);
}

static void ask_exec(struct one_probe *p)
{
    struct probing *g = p->owner;
    struct arena *arena = arena_new(ARENA_USUAL);
    struct error err;
    char **argv;
    struct run_command command = {.shim = g->shim, .envp = g->envp, .cwd = g->spec->cwd};

    bool good = environment_expand(p->spec->command, g->envp, arena, &argv, &err);
    command.argv = good ? argv : NULL;
    good = good && run_probe(&command, p->spec->timeout_s * INT64_C(1000), &p->exec_pidfd, &err);
    arena_free(arena);
    if (!good) {
        on_failure(p, err.text);
        return;
    }
    p->exec_event = event_new(g->base, p->exec_pidfd, EV_READ, on_command_over, p);
    event_add(p->exec_event, NULL);
}

/* ------------------------------------------------------------------ start, stop */

static void on_due(void *arg)
{
    struct one_probe *p = arg;
    struct probing *g = p->owner;
    int port = spec_port(g->spec, p->spec->port, g->port);

    if (p->spec->kind == PROBE_EXEC)
        ask_exec(p);
    else if (port == 0)
        on_failure(p, "its port is not among the container's ports");
    else if (p->spec->kind == PROBE_HTTP)
        ask_http(p, port);
    else
        ask_tcp(p, port);
}

static void init_probe(struct probing *g, struct one_probe *p, const char *name, const struct spec_probe *spec)
{
    *p = (struct one_probe){.owner = g, .name = name, .spec = spec, .exec_pidfd = -1};
    if (spec->kind != PROBE_NONE)
        p->timer = loop_timer_new(g->loop, on_due, p);
}

static char **copy_envp(struct arena *arena, char *const *envp)
{
    size_t count = 0;

    while (envp[count] != NULL)
        count++;
    char **copy = arena_array(arena, count + 1, sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = arena_copy(arena, envp[i]);
    return copy;
}

struct probing *probing_start(const struct probing_context *c, probing_told *told, void *arg)
{
    struct probing *g = mem_alloc(sizeof *g);

    *g = (struct probing){.loop = c->loop,
                          .base = c->base,
                          .transport = c->transport,
                          .shim = mem_copy(c->shim),
                          .spec = spec_ref(c->spec),
                          .arena = arena_new(ARENA_SMALL),
                          .port = c->port,
                          .grace_s = -1,
                          .adopted = c->adopted,
                          .told = told,
                          .arg = arg};
    bool exec = c->spec->readiness.kind == PROBE_EXEC || c->spec->liveness.kind == PROBE_EXEC ||
                c->spec->startup.kind == PROBE_EXEC;
    if (exec)
        g->envp = copy_envp(g->arena, c->envp); /* may hold secrets: kept only where a command needs them */
    init_probe(g, &g->startup, "startup", &g->spec->startup);
    init_probe(g, &g->liveness, "liveness", &g->spec->liveness);
    init_probe(g, &g->readiness, "readiness", &g->spec->readiness);
    g->readiness.passed = g->readiness.ever_passed = c->was_ready;
    if (g->startup.spec->kind != PROBE_NONE && !c->adopted) {
        begin(&g->startup);
    } else {
        g->startup.passed = true;
        start_others(g);
    }
    return g;
}

static void done_probe(struct one_probe *p)
{
    struct transport *transport = p->owner->transport;

    loop_timer_free(p->timer);
    if (p->exchange != NULL)
        transport->ops->http_cancel(p->exchange);
    if (p->stream != NULL)
        transport->ops->stream_close(p->stream);
    drop_exec(p); /* the command ends by its own time limit */
}

void probing_stop(struct probing *g)
{
    if (g == NULL)
        return;
    done_probe(&g->startup);
    done_probe(&g->liveness);
    done_probe(&g->readiness);
    spec_unref(g->spec);
    arena_free(g->arena);
    free(g->shim);
    free(g);
}

bool probing_ready(const struct probing *g)
{
    return g->startup.passed && (g->readiness.spec->kind == PROBE_NONE || g->readiness.passed);
}

const char *probing_note(const struct probing *g)
{
    return g->note;
}

int probing_grace_s(const struct probing *g)
{
    return g->grace_s;
}
