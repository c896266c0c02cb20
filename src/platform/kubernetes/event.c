/*
 * event: what happened, for `kubectl get events` and `kubectl describe`.
 *
 *     event ──> said before, within 6 min? ── yes ──> its series counts on, written again at most once a minute
 *                      │ no
 *                      └──> object and all have something left in their buckets? ──> queue ──> POST
 *
 * A thousand objects that are installed at once would say three thousand times that all is well, each a write as expensive as
 * the status it tells of. So what is normal is left out where the bucket of all would run dry, and the last of it is for warnings,
 * which wait in the queue instead; and while there is a jam of statuses, events go one at a time.
 *
 * Events are events.k8s.io/v1, or core v1 where that group is refused. Reasons, types and notes are KEDA's (keda-operator/07 5);
 * the reporting controller is Weir itself. action is the reason, always short enough: KEDA puts the note there, and the API refuses
 * those over 128 characters, the most interesting ones (09-quirks B18). So equal means equal in type, reason, note and object.
 *
 * Nothing waits for an event: the queue is bounded, what does not fit is dropped and said in the log once; an event
 * that fails is not tried again. Nothing is sent by a Weir that does not write, or not certainly. Events about what has no
 * namespace go into `default`, where kubectl looks for them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/atom.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "base/time.h"
#include "net/loop.h"
#include "platform/kubernetes/kubernetes_internal.h"

#define CONTROLLER "weir"

enum {
    SERIES_MS = 6 * 60 * 1000,   /* as the events library of Kubernetes: equal ones within are one series */
    SERIES_WRITE_MS = 60 * 1000, /* between two writes of one series */
    LOOK_EVERY_MS = 10 * 1000,
    OBJECT_BURST = 20, /* of one object; the library's own filter allows 25 */
    OBJECT_REFILL_MS = 30 * 1000,
    ALL_BURST = 500,   /* all there is to say of a hundred new objects, and half of it of a thousand */
    ALL_RESERVE = 100, /* of it for warnings */
    ALL_REFILL_MS = 40,
    NAME_MAX_BYTES = 253,
    ACTION_MAX_BYTES = 128,
};

struct bucket {
    int left;
    int64_t filled_ticks;
};

struct saying { /* one event, and how often it was said */
    struct events *events;
    uint64_t id;
    char *name;     /* of the Event object; NULL: it has not been sent */
    bool live;      /* it is queued, or was sent and not refused */
    const char *ns; /* atom */
    int64_t last_at_ms, last_ticks, written_ticks;
    int32_t count, written_count;
};

struct subject { /* what it happened to */
    const char *api_version, *kind, *ns, *name, *uid;
};

struct event { /* one that waits to be sent, or is */
    struct events *events;
    uint64_t series;                            /* its id */
    const char *ns, *api_version, *kind, *name; /* atoms; ns "" for what has none */
    const char *uid, *reason;                   /* atoms */
    bool warning, core;                         /* core: the group events.k8s.io was refused */
    bool is_update;                             /* only counts a series on */
    char *note;
    int64_t at_ms;
    struct kube_ask *ask;
    struct event *next, **link;
};

struct events {
    struct kubernetes *k;
    struct map *sayings; /* id -> struct saying */
    struct map *objects; /* "ns/kind/name" -> struct bucket */
    struct bucket all;
    struct event *queue, **queue_end, *sent;
    size_t queued, under_way;
    uint64_t serial;
    bool core, dropped_said, left_out_said;
    struct timer *timer;
    bool timer_on;
};

/* ------------------------------------------------------------------ buckets */

static void bucket_fill(struct bucket *bucket, int64_t now, int burst, int64_t refill_ms)
{
    int64_t more = (now - bucket->filled_ticks) / refill_ms;

    if (more <= 0)
        return;
    bucket->left = more > burst - bucket->left ? burst : bucket->left + (int)more;
    bucket->filled_ticks += more * refill_ms;
}

static bool bucket_take(struct bucket *bucket, int64_t now, int burst, int64_t refill_ms)
{
    bucket_fill(bucket, now, burst, refill_ms);
    if (bucket->left == 0)
        return false;
    bucket->left--;
    return true;
}

/* Something normal, which is nothing that somebody has to see: only where it would not wait. */
static bool has_room(struct events *e, int64_t now)
{
    bucket_fill(&e->all, now, ALL_BURST, ALL_REFILL_MS);
    if (e->all.left > ALL_RESERVE + (int)e->queued)
        return true;
    if (!e->left_out_said)
        kubernetes_say(e->k, false, "more happens than events can tell: some that are not warnings are left out");
    e->left_out_said = true;
    return false;
}

static bool object_may_speak(struct events *e, const char *key, int64_t now)
{
    struct bucket *bucket = map_get(e->objects, key);

    if (bucket == NULL) {
        if (map_count(e->objects) >= KUBE_EVENT_SERIES_MAX)
            return false;
        bucket = mem_alloc(sizeof *bucket);
        *bucket = (struct bucket){OBJECT_BURST, now};
        map_put(e->objects, key, bucket);
    }
    return bucket_take(bucket, now, OBJECT_BURST, OBJECT_REFILL_MS);
}

/* ------------------------------------------------------------------ series */

static void saying_key(char out[32], uint64_t id)
{
    snprintf(out, 32, "%016llx", (unsigned long long)id);
}

static struct saying *saying_find(const struct events *e, uint64_t id)
{
    char key[32];

    saying_key(key, id);
    return map_get(e->sayings, key);
}

static void saying_free(struct saying *saying)
{
    atom_unref(saying->ns);
    free(saying->name);
    free(saying);
}

static struct saying *saying_new(struct events *e, uint64_t id, const char *ns)
{
    struct saying *saying = mem_alloc(sizeof *saying);
    char key[32];

    *saying = (struct saying){.events = e, .id = id, .ns = atom_ref(ns)};
    saying_key(key, id);
    map_put(e->sayings, key, saying);
    return saying;
}

/* ------------------------------------------------------------------ sending */

static void event_free(struct event *event)
{
    atom_unref(event->ns);
    atom_unref(event->api_version);
    atom_unref(event->kind);
    atom_unref(event->name);
    atom_unref(event->uid);
    atom_unref(event->reason);
    free(event->note);
    free(event);
}

static void take_off(struct event *event)
{
    *event->link = event->next;
    if (event->next != NULL)
        event->next->link = event->link;
}

static void add_text(struct text *out, const char *before, const char *string)
{
    text_add(out, before);
    text_add_json_string(out, string, strlen(string));
}

static void add_time(struct text *out, const char *before, int64_t at_ms, bool micro)
{
    char time[40];

    if (micro) { /* MicroTime wants six digits */
        instant_format(at_ms, time, sizeof time);
        size_t end = strlen(time) - 1;
        snprintf(time + end, sizeof time - end, ".%03d000Z", (int)(at_ms % 1000));
    } else {
        instant_format(at_ms, time, sizeof time);
    }
    add_text(out, before, time);
}

static void add_object(struct text *out, const struct event *event)
{
    add_text(out, "{\"apiVersion\":", event->api_version);
    add_text(out, ",\"kind\":", event->kind);
    add_text(out, ",\"name\":", event->name);
    if (event->ns[0] != 0)
        add_text(out, ",\"namespace\":", event->ns);
    if (event->uid[0] != 0)
        add_text(out, ",\"uid\":", event->uid);
    text_add_char(out, '}');
}

static const char *namespace_of(const struct event *event)
{
    return event->ns[0] != 0 ? event->ns : "default";
}

static void add_body(struct text *out, const struct event *event, const char *name)
{
    const char *identity = event->events->k->identity, *type = event->warning ? "Warning" : "Normal";

    add_text(out, "{\"apiVersion\":", event->core ? "v1" : "events.k8s.io/v1");
    add_text(out, ",\"kind\":\"Event\",\"metadata\":{\"name\":", name);
    add_text(out, ",\"namespace\":", namespace_of(event));
    add_text(out, "},\"type\":", type);
    add_text(out, ",\"reason\":", event->reason);
    add_text(out, event->core ? ",\"message\":" : ",\"note\":", event->note);
    text_add(out, event->core ? ",\"involvedObject\":" : ",\"regarding\":");
    add_object(out, event);
    if (event->core) {
        add_text(out, ",\"source\":{\"component\":", CONTROLLER);
        add_time(out, "},\"firstTimestamp\":", event->at_ms, false);
        add_time(out, ",\"lastTimestamp\":", event->at_ms, false);
        text_add(out, ",\"count\":1}");
        return;
    }
    add_text(out, ",\"action\":", event->reason);
    add_text(out, ",\"reportingController\":", CONTROLLER);
    add_text(out, ",\"reportingInstance\":", identity);
    add_time(out, ",\"eventTime\":", event->at_ms, true);
    text_add_char(out, '}');
}

static void add_series(struct text *out, const struct event *event, const struct saying *saying)
{
    if (event->core) {
        text_printf(out, "{\"count\":%d", (int)saying->count);
        add_time(out, ",\"lastTimestamp\":", saying->last_at_ms, false);
        text_add_char(out, '}');
    } else {
        text_printf(out, "{\"series\":{\"count\":%d", (int)saying->count);
        add_time(out, ",\"lastObservedTime\":", saying->last_at_ms, true);
        text_add(out, "}}");
    }
}

static void go_on(struct events *e);

static void on_sent(void *arg, const struct kube_reply *reply)
{
    struct event *event = arg;
    struct events *e = event->events;
    struct saying *saying = saying_find(e, event->series);

    e->under_way--;
    take_off(event);
    if (!event->is_update && !event->core && (reply->status == 403 || reply->status == 404)) {
        event->core = true; /* the group is not served, or not allowed; else core refuses it too, and that is that */
        event->ask = NULL;
        event->next = e->queue;
        event->link = &e->queue;
        if (e->queue != NULL)
            e->queue->link = &event->next;
        else
            e->queue_end = &event->next;
        e->queue = event;
        e->queued++;
    } else {
        if (reply->error.kind == ERROR_NONE)
            e->k->stats.events++;
        if (reply->error.kind == ERROR_NONE && event->core)
            e->core = true;
        if (reply->error.kind != ERROR_NONE && saying != NULL && !event->is_update) {
            saying->live = false; /* there is nothing to count on: the next of its kind is a first one */
        }
        event_free(event);
    }
    go_on(e);
}

static void name_event(struct events *e, const struct event *event, char *out, size_t size)
{
    uint64_t mark = hash_string((uint64_t)event->at_ms, e->k->identity) + e->serial++;
    char tail[20];
    int length = snprintf(tail, sizeof tail, ".%016llx", (unsigned long long)mark);

    snprintf(out, size, "%.*s%s", (int)size - 1 - length, event->name, tail);
}

static void send(struct event *event)
{
    struct events *e = event->events;
    struct saying *saying = saying_find(e, event->series);
    const char *group = event->core ? "" : "events.k8s.io", *name = NULL;
    struct text path, body;

    text_init(&path, HTTP_URL_MAX_BYTES);
    text_init(&body, KUBE_PATCH_MAX_BYTES);
    if (event->is_update) {
        name = saying->name;
        add_series(&body, event, saying);
        saying->written_count = saying->count;
    } else {
        char made[NAME_MAX_BYTES + 1];
        name_event(e, event, made, sizeof made);
        add_body(&body, event, made);
        if (saying != NULL) {
            free(saying->name);
            saying->name = mem_copy(made);
        }
    }
    kube_path(&path, group, "v1", namespace_of(event), "events", name, NULL);
    event->ask =
        kube_ask(e->k->kube,
                 &(struct kube_request){.method = event->is_update ? "PATCH" : "POST",
                                        .path = path.bytes,
                                        .content_type = event->is_update ? "application/merge-patch+json" : NULL,
                                        .body = body.bytes,
                                        .body_length = body.length,
                                        .priority = KUBE_READ, /* behind every other write */
                                        .fenced = true,
                                        .no_retry = true},
                 on_sent, event);
    text_done(&body);
    text_done(&path);
}

static void set_timer(struct events *e, int64_t after_ms)
{
    e->timer_on = true;
    loop_timer_set(e->timer, after_ms);
}

/* An update whose series has gone, or was never created, says nothing any more. */
static bool is_moot(const struct event *event)
{
    const struct saying *saying = event->is_update ? saying_find(event->events, event->series) : NULL;

    return event->is_update && (saying == NULL || !saying->live);
}

static size_t ways(const struct events *e)
{
    return kubernetes_statuses_jammed(e->k->statuses) ? 1 : KUBE_EVENTS_MAX;
}

static void go_on(struct events *e)
{
    while (e->queue != NULL && e->under_way < ways(e)) {
        struct event *event = e->queue;
        bool moot = is_moot(event) || !kube_may_write(e->k->kube);
        if (!moot && !bucket_take(&e->all, loop_ticks_ms(e->k->loop), ALL_BURST, ALL_REFILL_MS)) {
            set_timer(e, ALL_REFILL_MS);
            return;
        }
        take_off(event);
        if (e->queue == NULL)
            e->queue_end = &e->queue;
        e->queued--;
        if (moot) {
            event_free(event);
            continue;
        }
        event->next = e->sent;
        event->link = &e->sent;
        if (e->sent != NULL)
            e->sent->link = &event->next;
        e->sent = event;
        e->under_way++;
        send(event);
    }
}

static bool enqueue(struct events *e, struct event *event)
{
    if (e->queued >= KUBE_EVENTS_QUEUED_MAX) {
        if (!e->dropped_said)
            kubernetes_say(e->k, true, "more events than can be written: some are dropped (KUBE_EVENTS_QUEUED_MAX)");
        e->dropped_said = true;
        event_free(event);
        return false;
    }
    event->next = NULL;
    event->link = e->queue_end;
    *e->queue_end = event;
    e->queue_end = &event->next;
    e->queued++;
    go_on(e);
    return true;
}

/* ------------------------------------------------------------------ looking after series */

static void write_series(struct saying *saying)
{
    struct events *e = saying->events;
    struct event *event = mem_alloc(sizeof *event);

    *event = (struct event){
        .events = e, .series = saying->id, .ns = atom_again(saying->ns), .is_update = true, .core = e->core};
    saying->written_ticks = loop_ticks_ms(e->k->loop);
    enqueue(e, event);
}

static void forget_old(struct events *e, int64_t now)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(e->sayings, &at, &key, &value);) {
        struct saying *saying = value;
        if (now - saying->last_ticks < SERIES_MS)
            continue;
        map_remove(e->sayings, key);
        saying_free(saying);
    }
    for (size_t at = 0; map_next(e->objects, &at, &key, &value);) {
        struct bucket *bucket = value;
        if (now - bucket->filled_ticks < (int64_t)OBJECT_BURST * OBJECT_REFILL_MS)
            continue;
        map_remove(e->objects, key);
        free(bucket);
    }
}

static void on_timer(void *arg)
{
    struct events *e = arg;
    int64_t now = loop_ticks_ms(e->k->loop);
    const char *key;
    void *value;

    e->timer_on = false;
    for (size_t at = 0; map_next(e->sayings, &at, &key, &value);) {
        struct saying *saying = value;
        bool rested = now - saying->written_ticks >= SERIES_WRITE_MS || now - saying->last_ticks >= LOOK_EVERY_MS;
        if (saying->live && saying->name != NULL && saying->count > saying->written_count && rested)
            write_series(saying);
    }
    forget_old(e, now);
    go_on(e);
    if (!e->timer_on && (map_count(e->sayings) > 0 || map_count(e->objects) > 0))
        set_timer(e, LOOK_EVERY_MS);
}

/* ------------------------------------------------------------------ what is said */

static const char *api_version_of(const char *kind)
{
    enum resource_kind resource;

    if (kubernetes_kind_of(kind, &resource))
        return KEDA_GROUP "/" KEDA_VERSION;
    if (strcmp(kind, "Job") == 0)
        return "batch/v1";
    if (strcmp(kind, "Pod") == 0)
        return "v1";
    return "apps/v1";
}

static size_t cut(const char *text, size_t limit)
{
    size_t length = strlen(text);

    return utf8_valid_prefix(text, length < limit ? length : limit);
}

static uint64_t identity_of(const char *const *parts, size_t count)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < count; i++)
        hash = hash_string(hash, parts[i]);
    return hash;
}

static struct event *event_new(struct events *e, const struct saying *saying, const struct subject *about, bool warning,
                               const char *reason, const char *text)
{
    struct event *event = mem_alloc(sizeof *event);
    char short_reason[ACTION_MAX_BYTES + 1];
    size_t length = cut(text, KUBE_EVENT_NOTE_MAX_BYTES);

    snprintf(short_reason, sizeof short_reason, "%.*s", (int)cut(reason, ACTION_MAX_BYTES), reason);
    *event = (struct event){.events = e,
                            .series = saying->id,
                            .ns = atom_ref(about->ns),
                            .api_version = atom_ref(about->api_version),
                            .kind = atom_ref(about->kind),
                            .name = atom_ref(about->name),
                            .uid = atom_ref(about->uid),
                            .reason = atom_ref(short_reason),
                            .warning = warning,
                            .core = e->core,
                            .at_ms = saying->last_at_ms};
    event->note = mem_alloc(length + 1);
    memcpy(event->note, text, length);
    return event;
}

static void say(struct events *e, const struct subject *about, bool warning, const char *reason, const char *text)
{
    const char *same[] = {about->kind, about->ns, about->name, about->uid, warning ? "Warning" : "Normal",
                          reason,      text};
    uint64_t id = identity_of(same, sizeof same / sizeof same[0]);
    int64_t now = loop_ticks_ms(e->k->loop);
    struct saying *saying = saying_find(e, id);
    char key[600];

    if (saying != NULL && saying->live) {
        saying->count++;
        saying->last_ticks = now;
        saying->last_at_ms = loop_now_ms(e->k->loop);
        return; /* the timer writes it */
    }
    if (!warning && !has_room(e, now))
        return;
    snprintf(key, sizeof key, "%s/%s/%s", about->ns, about->kind, about->name);
    if (!object_may_speak(e, key, now) || (saying == NULL && map_count(e->sayings) >= KUBE_EVENT_SERIES_MAX))
        return;
    if (saying == NULL)
        saying = saying_new(e, id, about->ns);
    saying->count = saying->written_count = 1;
    saying->last_ticks = saying->written_ticks = now;
    saying->last_at_ms = loop_now_ms(e->k->loop);
    saying->live = enqueue(e, event_new(e, saying, about, warning, reason, text));
    if (!e->timer_on)
        set_timer(e, LOOK_EVERY_MS);
}

void kubernetes_event_about(struct kubernetes *k, const char *api_version, const char *kind, const char *ns,
                            const char *name, const char *uid, bool warning, const char *reason, const char *text)
{
    struct subject about = {api_version, kind, ns ? ns : "", name, uid ? uid : ""};

    if (k->write && kube_may_write(k->kube))
        say(k->events, &about, warning, reason, text ? text : "");
}

void kubernetes_event(struct platform *platform, const char *ns, const char *kind, const char *name, bool warning,
                      const char *reason, const char *text)
{
    struct kubernetes *k = kubernetes_of(platform);
    enum resource_kind resource;
    char uid[KUBE_UID_BYTES] = "";

    if (kubernetes_kind_of(kind, &resource))
        kubernetes_resource_uid(k, resource, ns ? ns : "", name, uid);
    kubernetes_event_about(k, api_version_of(kind), kind, ns, name, uid, warning, reason, text);
}

bool kubernetes_events_busy(const struct events *e)
{
    return e->queue != NULL || e->under_way > 0;
}

/* ------------------------------------------------------------------ its life */

struct events *kubernetes_events_new(struct kubernetes *k)
{
    struct events *e = mem_alloc(sizeof *e);

    e->k = k;
    e->sayings = map_new();
    e->objects = map_new();
    e->queue_end = &e->queue;
    e->all = (struct bucket){ALL_BURST, loop_ticks_ms(k->loop)};
    e->timer = loop_timer_new(k->loop, on_timer, e);
    return e;
}

static void free_list(struct event *event)
{
    for (struct event *next; event != NULL; event = next) {
        next = event->next;
        if (event->ask != NULL)
            kube_cancel(event->ask);
        event_free(event);
    }
}

void kubernetes_events_free(struct events *e)
{
    const char *key;
    void *value;

    if (e == NULL)
        return;
    free_list(e->queue);
    free_list(e->sent);
    for (size_t at = 0; map_next(e->sayings, &at, &key, &value);)
        saying_free(value);
    for (size_t at = 0; map_next(e->objects, &at, &key, &value);)
        free(value);
    map_free(e->sayings);
    map_free(e->objects);
    loop_timer_free(e->timer);
    free(e);
}
