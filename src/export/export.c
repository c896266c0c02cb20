/*
 * export: puts together what leaves by itself, and takes it apart. One listener for all of it: what it is told is noted here and sent
 * later (sender.c, sink.c).
 */
#include "export/export.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "export/export_internal.h"
#include "net/loop.h"
#include "platform/platform.h"

struct export
{
    struct export_parts parts;
    struct otlp_config *config; /* NULL: no OpenTelemetry */
    struct sender *senders[OTLP_SIGNALS];
    struct collect *collect;
    struct story *story;
    struct sources *sources; /* NULL: the platform knows of none */
    struct autoscaler_listener listener;
    bool listening;
    struct timer *timer; /* of the last words */
    int64_t deadline_ticks_ms;
    void (*done)(void *arg);
    void *arg;
};

/* ------------------------------------------------------------------ what is told */

static void on_decided(void *arg, const struct autoscaler_decided *decided)
{
    story_decided(((struct export *)arg)->story, decided);
}

static void on_written(void *arg, const char *key, const struct error *err)
{
    story_written(((struct export *)arg)->story, key, err);
}

static void on_gone(void *arg, const char *key)
{
    story_gone(((struct export *)arg)->story, key);
}

static void on_event(void *arg, const struct autoscaler_event *event)
{
    sources_event(((struct export *)arg)->sources, event);
}

static void listen(struct export *e)
{
    e->listener.arg = e;
    if (e->story) {
        e->listener.decided = on_decided;
        e->listener.written = on_written;
        e->listener.gone = on_gone;
    }
    if (e->sources)
        e->listener.event = on_event;
    e->listening = e->story || e->sources;
    if (e->listening)
        autoscaler_listen(e->parts.autoscaler, &e->listener);
}

static void unlisten(struct export *e)
{
    if (e->listening)
        autoscaler_unlisten(e->parts.autoscaler, &e->listener);
    e->listening = false;
}

/* ------------------------------------------------------------------ life */

static void make_senders(struct export *e)
{
    static const char *const scopes[OTLP_SIGNALS] = {
        [OTLP_METRICS] = "keda-open-telemetry-metrics", /* KEDA's meter */
        [OTLP_LOGS] = "weir.decisions",
        [OTLP_TRACES] = "weir.decisions",
    };

    for (int i = 0; i < OTLP_SIGNALS; i++) {
        if (e->config->targets[i].url)
            e->senders[i] = sender_new(&(struct sender_parts){.loop = e->parts.loop,
                                                              .transport = e->parts.transport,
                                                              .target = &e->config->targets[i],
                                                              .resource = &e->config->resource,
                                                              .signal = otlp_signal_name((enum otlp_signal)i),
                                                              .scope = scopes[i]});
    }
    if (e->senders[OTLP_METRICS]) {
        e->collect = collect_new(&e->parts, e->config, e->senders[OTLP_METRICS]);
        collect_sources(e->collect, e->sources);
    }
    if (e->senders[OTLP_LOGS] || (e->senders[OTLP_TRACES] && e->config->trace_ratio > 0))
        e->story = story_new(&e->parts, e->config, e->senders[OTLP_LOGS],
                             e->config->trace_ratio > 0 ? e->senders[OTLP_TRACES] : NULL);
}

static void on_last_words(void *arg);

bool export_new(const struct export_parts *parts, const struct export_options *options, struct export **out,
                struct error *err)
{
    struct export *e;
    struct otlp_config *config;

    if (!otlp_config_read(options, &config, err))
        return false;
    e = mem_alloc(sizeof(*e));
    e->parts = *parts;
    e->config = config;
    e->timer = loop_timer_new(parts->loop, on_last_words, e);
    if (parts->platform->ops->event_sources_watch)
        e->sources = sources_new(parts, options);
    if (config)
        make_senders(e);
    listen(e);
    *out = e;
    return true;
}

void export_free(struct export *e)
{
    if (!e)
        return;
    unlisten(e);
    loop_timer_free(e->timer);
    collect_free(e->collect);
    story_free(e->story);
    sources_free(e->sources);
    for (int i = 0; i < OTLP_SIGNALS; i++)
        sender_free(e->senders[i]);
    otlp_config_free(e->config);
    free(e);
}

/* ------------------------------------------------------------------ the last words */

enum { LOOK_MS = 20 };

static bool is_idle(const struct export *e)
{
    for (int i = 0; i < OTLP_SIGNALS; i++) {
        if (e->senders[i] && !sender_is_idle(e->senders[i]))
            return false;
    }
    return !e->sources || sources_are_idle(e->sources);
}

static void on_last_words(void *arg)
{
    struct export *e = arg;

    if (!is_idle(e) && loop_ticks_ms(e->parts.loop) < e->deadline_ticks_ms)
        loop_timer_set(e->timer, LOOK_MS);
    else
        e->done(e->arg);
}

void export_finish(struct export *e, void (*done)(void *arg), void *arg)
{
    e->done = done;
    e->arg = arg;
    e->deadline_ticks_ms = loop_ticks_ms(e->parts.loop) + EXPORT_LAST_WORDS_MS;
    if (e->collect)
        collect_now(e->collect);
    if (e->story)
        story_finish(e->story);
    unlisten(e);
    for (int i = 0; i < OTLP_SIGNALS; i++) {
        if (e->senders[i])
            sender_hurry(e->senders[i]);
    }
    if (e->sources)
        sources_hurry(e->sources);
    loop_timer_set(e->timer, 0);
}

/* ------------------------------------------------------------------ /metrics */

static void write_family(const struct export *e, const char *name, const char *type, const char *help, int which,
                         struct text *out)
{
    text_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    for (int i = 0; i < OTLP_SIGNALS; i++) {
        struct sender_stats stats;
        uint64_t values[5];

        if (!e->senders[i])
            continue;
        sender_stats(e->senders[i], &stats);
        values[0] = stats.sent;
        values[1] = stats.dropped + (e->story && i != OTLP_METRICS ? story_dropped(e->story, i == OTLP_TRACES) : 0);
        values[2] = stats.rejected;
        values[3] = stats.failures;
        values[4] = stats.queued_bytes;
        text_printf(out, "%s{signal=\"%s\"} %llu\n", name, otlp_signal_name((enum otlp_signal)i),
                    (unsigned long long)values[which]);
    }
}

void export_write_metrics(const struct export *e, struct text *out)
{
    if (e->config) {
        write_family(e, "weir_export_sent_total", "counter", "Metric points, log records and spans delivered.", 0, out);
        write_family(e, "weir_export_dropped_total", "counter",
                     "Those given up because the receiver was away too long.", 1, out);
        write_family(e, "weir_export_rejected_total", "counter", "Those the receiver did not take.", 2, out);
        write_family(e, "weir_export_failures_total", "counter", "Requests that failed; most are tried again.", 3, out);
        write_family(e, "weir_export_queued_bytes", "gauge", "What waits to be delivered.", 4, out);
    }
    if (e->sources)
        sources_write_metrics(e->sources, out);
}
