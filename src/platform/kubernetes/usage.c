/*
 * usage: see usage.h. PodMetrics of metrics.k8s.io/v1beta1 (hpa-algorithm.md 6.1, 15).
 *
 * Where a few selectors of a namespace are asked for, each is a request of its own; above QUESTIONS_PER_NAMESPACE_MAX one request for
 * all pods of the namespace serves them together. A request is made when somebody looks and the last one is old enough; who looks is
 * shown the last answer, with the time at which it was measured. A pod that an answer lacks has no usage ("missing", not 0).
 */
#include "platform/kubernetes/usage.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/client_internal.h"

enum {
    USAGE_PERIOD_MS = 14 * 1000, /* the HPA's 15 s, and some room for polls that come early */
    QUESTIONS_PER_NAMESPACE_MAX = 4,
    NEEDED_MS = 10 * 60 * 1000,
    SWEEP_PERIOD_MS = 60 * 1000,
    WINDOW_DEFAULT_MS = 60 * 1000, /* where an answer names none */
};

struct question {
    struct usages *usages;
    char *ns;
    struct pod_selection *selection; /* NULL: all pods of the namespace */
    struct kube_ask *ask;
    bool asked, answered;
    int64_t asked_ms, needed_until_ms; /* of the loop's ticks */
    struct error *error;               /* of the last answer; NULL: it was good */
    struct question *next;
};

struct usages {
    struct kubernetes *k;
    struct map *namespaces; /* to the first question of each */
    struct timer *sweep;
    bool sweeping;
};

/* ------------------------------------------------------------------ an answer */

static void take_item(const struct question *q, const struct tree *item)
{
    const char *at = tree_string(tree_get(item, "timestamp")), *window = tree_string(tree_get(item, "window"));
    struct pod_usage_item usage = {.name = tree_string(tree_at(item, "metadata.name")),
                                   .window_ms = WINDOW_DEFAULT_MS,
                                   .containers = tree_get(item, "containers")};

    if (usage.name == NULL)
        return;
    if (at == NULL || !instant_parse(at, &usage.at_ms))
        usage.at_ms = loop_now_ms(q->usages->k->loop);
    if (window != NULL)
        duration_parse_ms(window, &usage.window_ms);
    pods_usage_set(q->usages->k, q->ns, &usage);
}

static void set_error(struct question *q, const struct kube_reply *reply)
{
    const struct error *err = &reply->error;
    struct error said;

    free(q->error);
    q->error = NULL;
    if (err->kind == ERROR_NONE)
        return;
    said = *err;
    if (reply->status == 404)
        error_set(
            &said, ERROR_MISSING,
            "this cluster serves no metrics.k8s.io, where cpu and memory of pods come from; install metrics-server");
    q->error = mem_alloc(sizeof *q->error);
    *q->error = said;
}

static void on_reply(void *arg, const struct kube_reply *reply)
{
    struct question *q = arg;
    struct kubernetes *k = q->usages->k;
    const struct tree *items = tree_get(reply->body, "items");
    bool was_good = q->answered && q->error == NULL;

    q->ask = NULL;
    q->answered = true;
    set_error(q, reply);
    if (q->error == NULL) {
        pods_usage_clear(k, q->ns, q->selection);
        for (const struct tree *item = items ? items->first : NULL; item != NULL; item = item->next)
            take_item(q, item);
    }
    if (was_good != (q->error == NULL))
        pods_tell(k, q->ns);
}

/* ------------------------------------------------------------------ asking */

static void ask(struct question *q)
{
    struct text path;

    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, "metrics.k8s.io", "v1beta1", q->ns, "pods", NULL, NULL);
    if (q->selection != NULL) {
        text_add(&path, "?labelSelector=");
        kube_escape(&path, pod_selection_text(q->selection));
    }
    q->asked = true;
    q->asked_ms = loop_ticks_ms(q->usages->k->loop);
    q->ask = kube_ask(q->usages->k->kube,
                      &(struct kube_request){.method = "GET", .path = path.bytes, .priority = KUBE_READ}, on_reply, q);
    text_done(&path);
}

/* The question that answers for this selector, or NULL; *count: how many of single selectors there are. */
static struct question *find(struct question *first, const char *selector, size_t *count)
{
    struct question *found = NULL;

    for (struct question *q = first; q != NULL; q = q->next) {
        if (q->selection == NULL || strcmp(pod_selection_text(q->selection), selector) == 0)
            found = found != NULL && found->selection == NULL ? found : q; /* that of all pods goes before */
        *count += q->selection != NULL;
    }
    return found;
}

static struct question *question_get(struct usages *u, const char *ns, const char *selector)
{
    struct question *first = map_get(u->namespaces, ns), *q;
    size_t count = 0;

    q = find(first, selector, &count);
    if (q != NULL)
        return q;
    q = mem_alloc(sizeof *q);
    *q = (struct question){.usages = u, .ns = mem_copy(ns), .next = first};
    if (count < QUESTIONS_PER_NAMESPACE_MAX)
        q->selection = pod_selection_new(u->k, ns, selector, NULL, NULL);
    map_put(u->namespaces, ns, q);
    return q;
}

static enum lookup tell(const struct question *q, struct error *err)
{
    if (!q->answered) {
        error_set(err, ERROR_UNREACHABLE, "cpu and memory of the pods of namespace %s are being asked for", q->ns);
        return LOOKUP_PENDING;
    }
    if (q->error == NULL)
        return LOOKUP_FOUND;
    if (err != NULL)
        *err = *q->error;
    return q->error->kind == ERROR_DENIED ? LOOKUP_DENIED : LOOKUP_ABSENT;
}

enum lookup usage_known(struct kubernetes *k, const struct pod_selection *selection, struct error *err)
{
    struct usages *u = k->usages;
    struct question *q = question_get(u, pod_selection_namespace(selection), pod_selection_text(selection));
    int64_t now_ms = loop_ticks_ms(k->loop);

    q->needed_until_ms = now_ms + NEEDED_MS;
    if (q->ask == NULL && (!q->asked || now_ms - q->asked_ms >= USAGE_PERIOD_MS))
        ask(q);
    if (!u->sweeping)
        loop_timer_set(u->sweep, SWEEP_PERIOD_MS);
    u->sweeping = true;
    return tell(q, err);
}

/* ------------------------------------------------------------------ the end of need */

static void question_free(struct question *q)
{
    if (q->ask != NULL)
        kube_cancel(q->ask);
    pod_selection_free(q->selection);
    free(q->error);
    free(q->ns);
    free(q);
}

static void sweep_namespace(struct usages *u, const char *ns, struct question *first, int64_t now_ms)
{
    struct question *kept = NULL;

    while (first != NULL) {
        struct question *q = first;
        first = q->next;
        if (q->needed_until_ms < now_ms) {
            question_free(q);
            continue;
        }
        q->next = kept;
        kept = q;
    }
    if (kept != NULL)
        map_put(u->namespaces, ns, kept);
    else
        map_remove(u->namespaces, ns);
}

static void on_sweep(void *arg)
{
    struct usages *u = arg;
    const char *ns;
    void *value;

    for (size_t at = 0; map_next(u->namespaces, &at, &ns, &value);)
        sweep_namespace(u, ns, value, loop_ticks_ms(u->k->loop));
    u->sweeping = map_count(u->namespaces) > 0;
    if (u->sweeping)
        loop_timer_set(u->sweep, SWEEP_PERIOD_MS);
}

struct usages *kubernetes_usages_new(struct kubernetes *k)
{
    struct usages *u = mem_alloc(sizeof *u);

    u->k = k;
    u->namespaces = map_new();
    u->sweep = loop_timer_new(k->loop, on_sweep, u);
    return u;
}

void kubernetes_usages_free(struct usages *u)
{
    const char *ns;
    void *value;

    if (u == NULL)
        return;
    for (size_t at = 0; map_next(u->namespaces, &at, &ns, &value);)
        sweep_namespace(u, ns, value, INT64_MAX);
    map_free(u->namespaces);
    loop_timer_free(u->sweep);
    free(u);
}
