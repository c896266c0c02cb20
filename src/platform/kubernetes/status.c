/*
 * status: what is written into the status of KEDA's objects, as little as possible.
 *
 *     status_merge ──> wanted (one patch, put together) ──100 ms──> differs from what is there? ──> PATCH .../status
 *                          ▲                                                                            │
 *                          └─────── comes while one is under way; or what failed, older beneath newer ──┘
 *
 * Of each object the status in the cluster is known by the hashes of its members (patch.h), taken from lists, watches and answers,
 * the newest by resourceVersion: after a restart, when every object's whole status is put, hardly anything is sent. An object
 * has at most one write under way, all of them KUBE_STATUS_WRITES_MAX. Writes wait a little, so that what a poll and a decision say
 * one after the other is one write. What fails is tried again with back-off, always with the newest content; what the API server
 * finds invalid is said once and dropped, and so is what concerns an object that is gone or no longer ours.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/atom.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/kubernetes_internal.h"
#include "platform/kubernetes/patch.h"

enum {
    DELAY_MS = 100,
    RETRY_FIRST_MS = 1000,
    RETRY_MAX_MS = 60 * 1000,
    DENIED_RETRY_MS = 5 * 60 * 1000, /* RBAC is mended by people */
    SAID_MAX = 20,   /* objects of each trouble: one that has it must not hide others, nor a thousand fill the log */
    LATER_MS = 1000, /* ours, but not certainly enough to write: renewed by then, or lost */
};

/* The API server need not look for members that its CRD does not know: it would only warn of them, and nobody reads that. */
#define UNSEEN "?fieldValidation=Ignore"

struct write { /* an object with something to be written; exists only so long */
    struct statuses *statuses;
    struct status *status;
    enum resource_kind kind;
    const char *ns, *name; /* atoms */
    char *wanted;          /* a patch of the status, JSON; NULL: nothing since the one under way */
    size_t wanted_length;
    char *sent; /* the one under way; NULL: none */
    size_t sent_length;
    struct kube_ask *ask;
    int64_t due_ticks;
    int failures;
    struct write_list *list; /* the one it is in */
    struct write *next, **link;
};
struct write_list {
    struct write *first, **tail;
};

enum trouble { DENIED, INVALID, TROUBLES };

struct status { /* of one object, while it is looked after */
    struct leaves *leaves;
    uint64_t version; /* resourceVersion they were seen in */
    bool said[TROUBLES];
    struct write *write;
};

struct statuses {
    struct kubernetes *k;
    struct timer *timer;
    int64_t timer_ticks;     /* it is set for then; INT64_MAX: not set */
    struct write_list fresh; /* in the order in which they are due: all wait equally long */
    struct write_list late;  /* put off for longer, in no order */
    struct write_list sent;
    size_t under_way;
    int said_count[TROUBLES];
};

/* ------------------------------------------------------------------ what is there */

/* Versions are counted up in one sequence; should one not be a number, the object is taken as newer. */
static uint64_t version_of(const struct tree *object)
{
    const char *text = tree_string(tree_at(object, "metadata.resourceVersion"));

    return text ? strtoull(text, NULL, 10) : 0;
}

void kubernetes_status_seen(struct statuses *statuses, struct status **status, const struct tree *object)
{
    uint64_t version = version_of(object);
    struct leaves_draft draft = {0};

    (void)statuses;
    if (*status == NULL)
        *status = mem_alloc(sizeof **status);
    if (version != 0 && version < (*status)->version)
        return;
    leaves_add(&draft, "", tree_get(object, "status"), 0);
    free((*status)->leaves);
    (*status)->leaves = leaves_take(&draft);
    (*status)->version = version;
}

/* ------------------------------------------------------------------ writes */

static void list_init(struct write_list *list)
{
    list->first = NULL;
    list->tail = &list->first;
}

static void take_off(struct write *write)
{
    *write->link = write->next;
    if (write->next != NULL)
        write->next->link = write->link;
    else
        write->list->tail = write->link;
}

static void put_on(struct write_list *list, struct write *write)
{
    write->list = list;
    write->next = NULL;
    write->link = list->tail;
    *list->tail = write;
    list->tail = &write->next;
}

static void move_to(struct write_list *list, struct write *write)
{
    take_off(write);
    put_on(list, write);
}

static void write_free(struct write *write)
{
    take_off(write);
    if (write->ask != NULL) {
        kube_cancel(write->ask);
        write->statuses->under_way--;
    }
    write->status->write = NULL;
    atom_unref(write->ns);
    atom_unref(write->name);
    free(write->wanted);
    free(write->sent);
    free(write);
}

void kubernetes_status_gone(struct statuses *statuses, struct status *status)
{
    (void)statuses;
    if (status == NULL)
        return;
    if (status->write != NULL)
        write_free(status->write);
    free(status->leaves);
    free(status);
}

static void arm(struct statuses *s, int64_t at_ticks)
{
    int64_t now = loop_ticks_ms(s->k->loop);

    if (s->timer_ticks <= at_ticks)
        return;
    s->timer_ticks = at_ticks;
    loop_timer_set(s->timer, at_ticks > now ? at_ticks - now : 0);
}

static void put_off(struct write *write, int64_t by_ms)
{
    write->due_ticks = loop_ticks_ms(write->statuses->k->loop) + by_ms;
    move_to(by_ms == DELAY_MS ? &write->statuses->fresh : &write->statuses->late, write);
    arm(write->statuses, write->due_ticks);
}

static const struct tree *read_patch(struct arena *arena, const char *json, size_t length)
{
    struct tree *tree = NULL;

    return json != NULL && tree_read_json(json, length, false, arena, &tree, NULL) ? tree : NULL;
}

/* wanted := first, then second, in one patch. Over the bound the newer one alone counts. */
static void want(struct write *write, const char *first, size_t first_length, const char *second, size_t second_length)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    const struct tree *a = read_patch(arena, first, first_length), *b = read_patch(arena, second, second_length);
    struct text out;

    text_init(&out, KUBE_PATCH_MAX_BYTES);
    if (a == NULL || b == NULL || !patch_compose(a, b, &out)) {
        text_clear(&out);
        tree_write_json(b ? b : a, &out);
    }
    size_t length = out.length;
    char *merged = text_take(&out);
    text_done(&out);
    arena_free(arena);
    free(write->wanted);
    write->wanted = merged;
    write->wanted_length = length;
}

static bool makes_a_difference(const struct write *write)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    const struct tree *patch = read_patch(arena, write->wanted, write->wanted_length);
    bool yes = patch != NULL && patch_changes(patch, write->status->leaves);

    arena_free(arena);
    return yes;
}

static int64_t backoff_ms(int failures)
{
    int64_t wait = RETRY_FIRST_MS;

    for (int i = 1; i < failures && wait < RETRY_MAX_MS; i++)
        wait *= 2;
    return wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS;
}

static void say_once(const struct write *write, enum trouble trouble, const struct kube_reply *reply)
{
    static const char *const what[TROUBLES] = {"may not be written", "is refused by the CRD that is installed"};
    bool *said = &write->status->said[trouble];
    int *count = &write->statuses->said_count[trouble];

    if (*said || *count == SAID_MAX)
        return;
    *said = true;
    ++*count;
    kubernetes_say(write->statuses->k, true, "the status of %s %s/%s %s%s: %s", kubernetes_kind(write->kind), write->ns,
                   write->name, what[trouble], *count == SAID_MAX ? " (of others it is not said any more)" : "",
                   reply->error.text);
}

/* What was sent did not land. */
static void again(struct write *write, const struct kube_reply *reply)
{
    if (write->wanted == NULL) {
        write->wanted = write->sent;
        write->wanted_length = write->sent_length;
        write->sent = NULL;
    } else {
        char *newer = write->wanted;
        write->wanted = NULL;
        want(write, write->sent, write->sent_length, newer, write->wanted_length);
        free(newer);
    }
    write->failures++;
    if (reply->status == 403) {
        say_once(write, DENIED, reply);
        put_off(write, DENIED_RETRY_MS);
    } else {
        put_off(write, backoff_ms(write->failures));
    }
}

static void on_written(void *arg, const struct kube_reply *reply)
{
    struct write *write = arg;
    struct statuses *s = write->statuses;

    write->ask = NULL;
    s->under_way--;
    if (reply->error.kind == ERROR_NONE) {
        s->k->stats.status_writes++;
        if (reply->body != NULL)
            kubernetes_status_seen(s, &write->status, reply->body);
        write->failures = 0;
    } else if (reply->status == 400 || reply->status == 422) {
        say_once(write, INVALID, reply);
    } else if (reply->error.kind == ERROR_MISSING) {
        write_free(write);
        write = NULL;
    } else {
        again(write, reply);
    }
    if (write != NULL) {
        free(write->sent);
        write->sent = NULL;
        if (write->wanted == NULL)
            write_free(write);
        else if (write->list == &s->sent)
            put_off(write, DELAY_MS);
    }
    arm(s, loop_ticks_ms(s->k->loop));
}

static void send(struct write *write)
{
    struct statuses *s = write->statuses;
    struct text path, body;

    write->sent = write->wanted;
    write->sent_length = write->wanted_length;
    write->wanted = NULL;
    text_init(&path, HTTP_URL_MAX_BYTES);
    text_init(&body, KUBE_PATCH_MAX_BYTES + 64);
    kubernetes_resource_path(&path, write->kind, write->ns, write->name, "status");
    text_add(&path, UNSEEN);
    text_printf(&body, "{\"status\":");
    text_append(&body, write->sent, write->sent_length);
    text_add_char(&body, '}');
    write->ask = kube_ask(s->k->kube,
                          &(struct kube_request){.method = "PATCH",
                                                 .path = path.bytes,
                                                 .content_type = "application/merge-patch+json",
                                                 .body = body.bytes,
                                                 .body_length = body.length,
                                                 .priority = KUBE_WRITE,
                                                 .fenced = true},
                          on_written, write);
    s->under_way++;
    move_to(&s->sent, write);
    text_done(&path);
    text_done(&body);
}

static void serve(struct write *write)
{
    struct kubernetes *k = write->statuses->k;

    if (!kubernetes_is_ours(k, write->ns, write->name) || !makes_a_difference(write))
        write_free(write);
    else if (!kubernetes_may_write(k, write->ns, write->name))
        put_off(write, LATER_MS);
    else
        send(write);
}

static void on_timer(void *arg)
{
    struct statuses *s = arg;
    int64_t now = loop_ticks_ms(s->k->loop);

    s->timer_ticks = INT64_MAX;
    for (struct write *write = s->late.first, *next; write != NULL; write = next) {
        next = write->next;
        if (write->due_ticks <= now)
            move_to(&s->fresh, write);
        else
            arm(s, write->due_ticks);
    }
    while (s->fresh.first != NULL && s->under_way < KUBE_STATUS_WRITES_MAX) {
        struct write *write = s->fresh.first;
        if (write->due_ticks > now) {
            arm(s, write->due_ticks);
            break;
        }
        serve(write);
    }
}

static struct write *write_new(struct statuses *s, struct status *status, enum resource_kind kind, const char *ns,
                               const char *name)
{
    struct write *write = mem_alloc(sizeof *write);

    *write = (struct write){.statuses = s, .status = status, .kind = kind, .ns = atom_ref(ns), .name = atom_ref(name)};
    put_on(&s->fresh, write);
    status->write = write;
    put_off(write, DELAY_MS);
    return write;
}

void kubernetes_status_merge(struct platform *platform, enum resource_kind kind, const char *ns, const char *name,
                             const char *patch_json, size_t length)
{
    struct kubernetes *k = kubernetes_of(platform);
    struct status **status = k->write ? kubernetes_resource_status(k, kind, ns, name) : NULL;

    if (status == NULL || *status == NULL)
        return; /* gone or moved; or nothing is written at all */
    struct write *write = (*status)->write;
    if (write == NULL)
        write = write_new(k->statuses, *status, kind, ns, name);
    else
        k->stats.status_merged++;
    char *before = write->wanted;
    size_t before_length = write->wanted_length;
    write->wanted = NULL;
    want(write, before, before_length, patch_json, length);
    free(before);
}

bool kubernetes_statuses_busy(const struct statuses *s)
{
    return s->fresh.first != NULL || s->sent.first != NULL;
}

bool kubernetes_statuses_jammed(const struct statuses *s)
{
    return s->under_way >= KUBE_STATUS_WRITES_MAX;
}

/* ------------------------------------------------------------------ its life */

struct statuses *kubernetes_statuses_new(struct kubernetes *k)
{
    struct statuses *s = mem_alloc(sizeof *s);

    s->k = k;
    s->timer_ticks = INT64_MAX;
    list_init(&s->fresh);
    list_init(&s->late);
    list_init(&s->sent);
    s->timer = loop_timer_new(k->loop, on_timer, s);
    return s;
}

/* After the resources, with which the last of them went. */
void kubernetes_statuses_free(struct statuses *s)
{
    if (s == NULL)
        return;
    loop_timer_free(s->timer);
    free(s);
}
