/*
 * sources: CloudEventSources and ClusterCloudEventSources, and which event goes to which of them.
 *
 *     platform -> source: filter, sink -+
 *     event -> its type -> for each source that hears of its namespace and wants the type -> sink
 *
 * A CloudEventSource hears of its own namespace. KEDA sends it those of all namespaces (09-quirks B19), which tells whoever may make one
 * what everybody else runs; who wants all makes a ClusterCloudEventSource, or puts the source into Weir's own namespace, where
 * only the operator may write: so KEDA's usual installation goes on as it was.
 *
 * Some sinks try at a time, the others wait in line; so a thousand receivers that hang hold neither sockets nor each other for longer
 * than a few time-outs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "export/export_internal.h"
#include "manifest/manifest.h"
#include "net/loop.h"
#include "platform/platform.h"

enum { KEY_BYTES = 520 };

struct source {
    struct sources *sources;
    char *ns, *name; /* ns "": of the cluster */
    uint32_t wanted; /* a bit for each of event_types */
    char *url, *cluster;
    struct sink *sink; /* NULL: it has no receiver that could be sent to */
    bool works;
    uint64_t dropped;   /* by sinks it had before */
    struct map *counts; /* namespace of the objects -> struct source_count, in the arena */
    struct arena *arena;
};

struct sources {
    struct export_parts parts;
    char *cluster, *own_ns; /* own_ns NULL: not in a cluster */
    struct map *list;       /* "ns/name" -> struct source */
    struct event_source_listener listener;
    struct sink *first, *last; /* in line */
    size_t under_way;
};

static const char *const default_ns = "keda"; /* KEDA's own, where there is no pod to tell (keda-operator/07 2) */

/* ------------------------------------------------------------------ filters */

static uint32_t bit_of(const char *type)
{
    int index = event_type_index(type);

    return index >= 0 ? UINT32_C(1) << index : 0;
}

static uint32_t bits_of(const char *const *types)
{
    uint32_t bits = 0;

    for (size_t i = 0; types && types[i]; i++)
        bits |= bit_of(types[i]);
    return bits;
}

/* An empty list is none. */
static uint32_t wanted_types(const struct event_source *source)
{
    if (source->included && source->included[0])
        return bits_of(source->included);
    return ~bits_of(source->excluded);
}

static bool hears_of(const struct source *source, const char *ns)
{
    const char *own_ns = source->sources->own_ns;

    return !source->ns[0] || strcmp(source->ns, ns) == 0 || (own_ns && strcmp(source->ns, own_ns) == 0);
}

/* ------------------------------------------------------------------ whether it works */

static void set_active(struct source *source, bool active, const char *message)
{
    struct platform *platform = source->sources->parts.platform;

    source->works = active;
    if (platform->ops->event_source_active)
        platform->ops->event_source_active(platform, source->ns, source->name, active,
                                           active ? "CloudEventSourceActive" : "CloudEventSourceFailed", message);
}

/* The address is not said: there may be a token in it. */
static void on_told(void *arg, bool works, const char *why)
{
    struct source *source = arg;
    char message[400];

    if (works) {
        if (!source->works)
            log_info("events are delivered again", "source", source->name, "namespace", source->ns, NULL);
        set_active(source, true, "events are delivered");
        return;
    }
    log_warning("events cannot be delivered; they wait, and are tried again", "source", source->name, "namespace",
                source->ns, "why", why, NULL);
    snprintf(message, sizeof(message), "%s; events wait, and are tried again", why);
    set_active(source, false, message);
}

/* ------------------------------------------------------------------ whose turn it is */

static bool on_enter(void *arg, struct sink *sink)
{
    struct sources *s = ((struct source *)arg)->sources;

    if (s->under_way < EVENT_SINKS_UNDER_WAY_MAX) {
        s->under_way++;
        return true;
    }
    *sink_place_in_line(sink) = NULL;
    if (s->last)
        *sink_place_in_line(s->last) = sink;
    else
        s->first = sink;
    s->last = sink;
    return false;
}

static void on_left(void *arg, struct sink *sink)
{
    struct sources *s = ((struct source *)arg)->sources;
    struct sink *next = s->first;

    (void)sink;
    s->under_way--;
    if (!next)
        return;
    s->first = *sink_place_in_line(next);
    if (!s->first)
        s->last = NULL;
    s->under_way++;
    sink_go(next);
}

static void leave_line(struct sources *s, const struct sink *sink)
{
    struct sink *before = NULL;

    for (struct sink **at = &s->first; *at; before = *at, at = sink_place_in_line(*at)) {
        if (*at != sink)
            continue;
        *at = *sink_place_in_line(*at);
        if (s->last == sink)
            s->last = before;
        return;
    }
}

/* ------------------------------------------------------------------ counting */

static void on_counted(void *arg, const char *ns, bool emitted)
{
    struct source *source = arg;
    struct source_count *count = map_get(source->counts, ns);

    if (!count && map_count(source->counts) >= EVENT_NAMESPACES_MAX)
        ns = ""; /* counted together */
    count = map_get(source->counts, ns);
    if (!count) {
        count = arena_alloc(source->arena, sizeof(*count));
        map_put(source->counts, ns, count);
        *count = (struct source_count){.ns = map_key(source->counts, ns), .source = source->name};
    }
    if (emitted)
        count->emitted++;
    else
        count->failed++;
}

/* ------------------------------------------------------------------ one source */

static void drop_sink(struct source *source)
{
    if (!source->sink)
        return;
    leave_line(source->sources, source->sink);
    source->dropped += sink_dropped(source->sink);
    sink_free(source->sink);
    source->sink = NULL;
}

static void source_free(struct source *source)
{
    drop_sink(source);
    map_free(source->counts);
    arena_free(source->arena);
    free(source->ns);
    free(source->name);
    free(source->url);
    free(source->cluster);
    free(source);
}

static struct source *source_new(struct sources *s, const char *ns, const char *name)
{
    struct source *source = mem_alloc(sizeof(*source));

    source->sources = s;
    source->ns = mem_copy(ns);
    source->name = mem_copy(name);
    source->counts = map_new();
    source->arena = arena_new(ARENA_SMALL);
    return source;
}

/* Why nothing can be sent to it; NULL: it can. */
static const char *unusable(const struct event_source *source)
{
    const char *url = source->http_uri;

    if (url && (string_starts(url, "http://") || string_starts(url, "https://")))
        return NULL;
    if (url && *url)
        return "destination.http.uri is no address to send to; write it as https://host/path";
    if (source->topic_endpoint)
        return "destination.azureEventGridTopic is not built in: events are not sent; give it destination.http";
    return "there is no destination: events are not sent; give it destination.http";
}

static void give_sink(struct source *source, const char *url, const char *cluster)
{
    struct sources *s = source->sources;
    bool same = source->sink && string_equal(source->url, url) && string_equal(source->cluster, cluster);

    if (same)
        return;
    if (source->sink)
        sink_change(source->sink, url, cluster);
    else
        source->sink = sink_new(&(struct sink_options){.loop = s->parts.loop,
                                                       .transport = s->parts.transport,
                                                       .url = url,
                                                       .cluster = cluster,
                                                       .own_ns = s->own_ns ? s->own_ns : default_ns,
                                                       .ns = *source->ns ? source->ns : NULL,
                                                       .told = on_told,
                                                       .enter = on_enter,
                                                       .left = on_left,
                                                       .counted = on_counted,
                                                       .arg = source});
    free(source->url);
    free(source->cluster);
    source->url = mem_copy(url);
    source->cluster = mem_copy(cluster);
    set_active(source, true, "events are sent as they come");
}

static void on_source(void *arg, const char *ns, const char *name, const struct event_source *is)
{
    struct sources *s = arg;
    struct source *source;
    const char *why;
    char key[KEY_BYTES];

    snprintf(key, sizeof(key), "%s/%s", ns, name);
    source = map_get(s->list, key);
    if (!is) {
        map_remove(s->list, key);
        if (source)
            source_free(source);
        return;
    }
    if (!source) {
        source = source_new(s, ns, name);
        map_put(s->list, key, source);
    }
    source->wanted = wanted_types(is);
    why = map_count(s->list) > EVENT_SOURCES_MAX && !source->sink
              ? "there are too many sources of events (EVENT_SOURCES_MAX): this one is left out"
              : unusable(is);
    if (!why) {
        give_sink(source, is->http_uri, is->cluster_name && *is->cluster_name ? is->cluster_name : s->cluster);
        return;
    }
    drop_sink(source);
    log_warning("a source of events has no receiver", "source", name, "namespace", ns, "why", why, NULL);
    set_active(source, false, why);
}

/* ------------------------------------------------------------------ events */

void sources_event(struct sources *s, const struct autoscaler_event *event)
{
    const char *type = cloud_event_type(event->kind, event->reason), *key;
    struct cloud_event *made = NULL;
    void *value;

    for (size_t at = 0; type && map_next(s->list, &at, &key, &value);) {
        struct source *source = value;

        if (!source->sink || !(source->wanted & bit_of(type)) || !hears_of(source, event->ns))
            continue;
        if (!made)
            made = cloud_event_new(event, type);
        sink_add(source->sink, made);
    }
    cloud_event_unref(made);
}

static void on_platform_event(void *arg, const char *ns, const char *kind, const char *name, bool warning,
                              const char *reason, const char *text)
{
    struct sources *s = arg;

    sources_event(s, &(struct autoscaler_event){.ns = ns,
                                                .kind = kind,
                                                .name = name,
                                                .warning = warning,
                                                .reason = reason,
                                                .text = text,
                                                .at_ms = loop_now_ms(s->parts.loop)});
}

/* ------------------------------------------------------------------ what is shown */

void sources_each_count(const struct sources *s, void (*each)(void *arg, const struct source_count *count), void *arg)
{
    const char *key, *ns;
    void *value, *count;

    for (size_t at = 0; map_next(s->list, &at, &key, &value);) {
        const struct source *source = value;

        for (size_t i = 0; map_next(source->counts, &i, &ns, &count);)
            each(arg, count);
    }
}

struct queued { /* by namespace of the objects */
    struct map *counts;
    struct arena *arena;
};

static void count_queued(void *arg, const struct cloud_event *event)
{
    struct queued *queued = arg;
    size_t *count = map_get(queued->counts, event->ns);

    if (!count) {
        count = arena_alloc(queued->arena, sizeof(*count));
        map_put(queued->counts, event->ns, count);
    }
    ++*count;
}

void sources_each_queued(const struct sources *s, void (*each)(void *arg, const char *ns, size_t count), void *arg)
{
    struct queued queued = {.counts = map_new(), .arena = arena_new(ARENA_USUAL)};
    const char *key;
    void *value;

    for (size_t at = 0; map_next(s->list, &at, &key, &value);) {
        const struct source *source = value;

        if (source->sink)
            sink_each(source->sink, count_queued, &queued);
        for (size_t i = 0; map_next(source->counts, &i, &key, &value);) { /* what waited once is 0 now, not gone */
            if (!map_get(queued.counts, key))
                map_put(queued.counts, key, arena_alloc(queued.arena, sizeof(size_t)));
        }
    }
    for (size_t at = 0; map_next(queued.counts, &at, &key, &value);)
        each(arg, key, *(size_t *)value);
    map_free(queued.counts);
    arena_free(queued.arena);
}

void sources_each(const struct sources *s, void (*each)(void *arg, const char *ns), void *arg)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(s->list, &at, &key, &value);)
        each(arg, ((const struct source *)value)->ns);
}

static void add_label(struct text *out, const char *name, const char *value, const char *before)
{
    text_printf(out, "%s%s=\"", before, name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            text_add_char(out, '\\');
        text_add_char(out, *value == '\n' ? ' ' : *value);
    }
    text_add_char(out, '"');
}

static void write_count(void *arg, const struct source_count *count)
{
    static const char *const states[] = {"emitted", "failed"};
    struct text *out = arg;

    for (int i = 0; i < 2; i++) {
        text_add(out, "keda_cloudeventsource_events_emitted_total");
        add_label(out, "namespace", count->ns, "{");
        add_label(out, "cloudeventsource", count->source, ",");
        add_label(out, "eventsink", "http", ",");
        add_label(out, "state", states[i], ",");
        text_printf(out, "} %llu\n", (unsigned long long)(i == 0 ? count->emitted : count->failed));
    }
}

static void write_queued(void *arg, const char *ns, size_t count)
{
    struct text *out = arg;

    text_add(out, "keda_cloudeventsource_events_queued");
    add_label(out, "namespace", ns, "{");
    text_printf(out, "} %zu\n", count);
}

static void write_each(const struct sources *s, const char *name, uint64_t (*value_of)(const struct source *),
                       struct text *out)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(s->list, &at, &key, &value);) {
        const struct source *source = value;

        text_add(out, name);
        add_label(out, "namespace", source->ns, "{");
        add_label(out, "cloudeventsource", source->name, ",");
        text_printf(out, "} %llu\n", (unsigned long long)value_of(source));
    }
}

static uint64_t is_active(const struct source *source)
{
    return source->works;
}

static uint64_t dropped_of(const struct source *source)
{
    return source->dropped + (source->sink ? sink_dropped(source->sink) : 0);
}

void sources_write_metrics(const struct sources *s, struct text *out)
{
    if (map_count(s->list) == 0)
        return;
    text_add(out, "# HELP keda_cloudeventsource_events_emitted_total CloudEvents delivered, and attempts that failed.\n"
                  "# TYPE keda_cloudeventsource_events_emitted_total counter\n");
    sources_each_count(s, write_count, out);
    text_add(out, "# HELP keda_cloudeventsource_events_queued CloudEvents that wait for a receiver.\n"
                  "# TYPE keda_cloudeventsource_events_queued gauge\n");
    sources_each_queued(s, write_queued, out);
    text_add(out, "# HELP weir_cloudeventsource_active Whether the receiver took what it was sent last.\n"
                  "# TYPE weir_cloudeventsource_active gauge\n");
    write_each(s, "weir_cloudeventsource_active", is_active, out);
    text_add(
        out,
        "# HELP weir_cloudeventsource_events_dropped_total CloudEvents that were given up: the queue was full, or the "
        "receiver found them wrong.\n"
        "# TYPE weir_cloudeventsource_events_dropped_total counter\n");
    write_each(s, "weir_cloudeventsource_events_dropped_total", dropped_of, out);
}

/* ------------------------------------------------------------------ life */

void sources_hurry(struct sources *s)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(s->list, &at, &key, &value);) {
        struct source *source = value;

        if (source->sink)
            sink_hurry(source->sink);
    }
}

bool sources_are_idle(const struct sources *s)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(s->list, &at, &key, &value);) {
        const struct source *source = value;

        if (source->sink && !sink_is_idle(source->sink))
            return false;
    }
    return true;
}

struct sources *sources_new(const struct export_parts *parts, const struct export_options *options)
{
    struct sources *s = mem_alloc(sizeof(*s));

    s->parts = *parts;
    s->cluster = mem_copy(options->cluster_name ? options->cluster_name : "kubernetes-default");
    s->own_ns = mem_copy(options->own_namespace);
    s->list = map_new();
    s->listener = (struct event_source_listener){.arg = s, .changed = on_source, .event = on_platform_event};
    parts->platform->ops->event_sources_watch(parts->platform, &s->listener);
    return s;
}

/* Nobody is told any more that a source does not work: it is not tried. */
void sources_free(struct sources *s)
{
    const char *key;
    void *value;

    if (!s)
        return;
    s->parts.platform->ops->event_sources_watch(s->parts.platform, NULL);
    s->first = s->last = NULL;
    for (size_t at = 0; map_next(s->list, &at, &key, &value);)
        source_free(value);
    map_free(s->list);
    free(s->cluster);
    free(s->own_ns);
    free(s);
}
