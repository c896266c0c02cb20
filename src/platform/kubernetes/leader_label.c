/*
 * leader_label: see leader_label.h. One request at a time; what failed is asked for again.
 *
 *     on our Pod --> who else has it? --nobody--> done
 *                        ^    |
 *                        |    v
 *                        off one of them
 */
#include "platform/kubernetes/leader_label.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/client_internal.h"
#include "platform/kubernetes/kubernetes_internal.h"

enum {
    RETRY_MS = 2 * 1000, /* of what may pass: nobody answers */
    REFUSED_RETRY_MS = 60 * 1000,
};

struct leader_label {
    struct kubernetes *k;
    char *pod;
    char *release;            /* escaped selector of the Pods beside ours; NULL: it is not known, or there is none */
    bool wanted, known, told; /* known: the label is as told says */
    bool sent;                /* what is under way says */
    bool alone;               /* nobody else has it */
    bool said;
    struct kube_ask *ask;
    struct timer *retry;
};

static const char unlabelled[] = "the Pod of the leader cannot be labelled, so a Service may not find it";
static const char labelled[] =
    "other Pods may still have the label of the leader, so a Service may find one that stands by";

static void go_on(struct leader_label *label);

static void again(struct leader_label *label, const char *what, const struct kube_reply *reply)
{
    bool refused = reply->error.kind == ERROR_DENIED || reply->error.kind == ERROR_MISSING;

    if (!label->said)
        kubernetes_say(label->k, true, "%s: %s", what, reply->error.text);
    label->said = true;
    loop_timer_set(label->retry, refused ? REFUSED_RETRY_MS : RETRY_MS);
}

/* Our own label is not fenced: it has to go where nothing may be written any more. */
static void patch(struct leader_label *label, const char *pod, bool on, bool fenced, kube_done *done)
{
    static const char with[] = "{\"metadata\":{\"labels\":{\"" LEADER_LABEL "\":\"true\"}}}";
    static const char without[] = "{\"metadata\":{\"labels\":{\"" LEADER_LABEL "\":null}}}";
    struct text path;

    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, "", "v1", label->k->own_namespace, "pods", pod, NULL);
    label->ask = kube_ask(label->k->kube,
                          &(struct kube_request){.method = "PATCH",
                                                 .path = path.bytes,
                                                 .content_type = "application/merge-patch+json",
                                                 .body = on ? with : without,
                                                 .body_length = strlen(on ? with : without),
                                                 .priority = KUBE_WRITE,
                                                 .fenced = fenced},
                          done, label);
    text_done(&path);
}

/* ---- those of others ---- */
static void on_taken(void *arg, const struct kube_reply *reply)
{
    struct leader_label *label = arg;

    label->ask = NULL;
    if (reply->error.kind == ERROR_NONE || reply->error.kind == ERROR_MISSING)
        go_on(label);
    else
        again(label, labelled, reply);
}

static const char *other_of(const struct leader_label *label, const struct tree *list)
{
    const struct tree *items = tree_get(list, "items");

    for (const struct tree *one = items ? items->first : NULL; one != NULL; one = one->next) {
        const char *name = tree_string(tree_at(one, "metadata.name"));
        if (name != NULL && strcmp(name, label->pod) != 0)
            return name;
    }
    return NULL;
}

static void on_listed(void *arg, const struct kube_reply *reply)
{
    struct leader_label *label = arg;
    const char *other = other_of(label, reply->body);

    label->ask = NULL;
    if (reply->error.kind != ERROR_NONE) {
        again(label, labelled, reply);
        return;
    }
    label->alone = other == NULL;
    if (other != NULL && label->wanted)
        patch(label, other, false, true, on_taken);
    else
        go_on(label);
}

static void look_for_others(struct leader_label *label)
{
    struct text path;

    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, "", "v1", label->k->own_namespace, "pods", NULL, NULL);
    text_printf(&path, "?labelSelector=%s", label->release);
    label->ask =
        kube_ask(label->k->kube, &(struct kube_request){.method = "GET", .path = path.bytes, .priority = KUBE_WRITE},
                 on_listed, label);
    text_done(&path);
}

/* What a Service selects besides the label. Without both nobody knows whose a Pod is that has it. */
static void learn_release(struct leader_label *label, const struct tree *pod)
{
    const struct tree *labels = tree_at(pod, "metadata.labels");
    const char *name = tree_string(tree_get(labels, "app.kubernetes.io/name"));
    const char *instance = tree_string(tree_get(labels, "app.kubernetes.io/instance"));
    struct text selector, escaped;

    if (name == NULL || instance == NULL || label->release != NULL)
        return;
    text_init(&selector, KUBE_PATH_MAX_BYTES);
    text_init(&escaped, KUBE_PATH_MAX_BYTES);
    text_printf(&selector, LEADER_LABEL "=true,app.kubernetes.io/name=%s,app.kubernetes.io/instance=%s", name,
                instance);
    kube_escape(&escaped, selector.bytes);
    label->release = text_take(&escaped);
    text_done(&selector);
}

/* ---- our own ---- */
static void on_patched(void *arg, const struct kube_reply *reply)
{
    struct leader_label *label = arg;

    label->ask = NULL;
    label->known = reply->error.kind == ERROR_NONE;
    label->told = label->sent;
    if (!label->known) {
        again(label, unlabelled, reply);
        return;
    }
    label->said = false;
    learn_release(label, reply->body);
    go_on(label);
}

static void go_on(struct leader_label *label)
{
    if (label->ask != NULL)
        return;
    loop_timer_stop(label->retry);
    if (!label->known || label->told != label->wanted) {
        label->sent = label->wanted;
        patch(label, label->pod, label->wanted, false, on_patched);
    } else if (label->wanted && !label->alone && label->release != NULL) {
        look_for_others(label);
    }
}

static void on_retry(void *arg)
{
    go_on(arg);
}

struct leader_label *leader_label_new(struct kubernetes *k, const char *pod)
{
    struct leader_label *label = mem_alloc(sizeof *label);

    label->k = k;
    label->pod = mem_copy(pod);
    label->retry = loop_timer_new(k->loop, on_retry, label);
    go_on(label);
    return label;
}

void leader_label_set(struct leader_label *label, bool leads)
{
    if (label == NULL)
        return;
    label->alone = label->alone && leads && label->wanted;
    label->wanted = leads;
    go_on(label);
}

bool leader_label_busy(const struct leader_label *label)
{
    return label != NULL && label->ask != NULL;
}

void leader_label_free(struct leader_label *label)
{
    if (label == NULL)
        return;
    if (label->ask != NULL)
        kube_cancel(label->ask);
    loop_timer_free(label->retry);
    free(label->pod);
    free(label->release);
    free(label);
}
