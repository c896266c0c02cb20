/* leader_label: see leader_label.h. One request at a time; what failed is asked for again. */
#include "platform/kubernetes/leader_label.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/loop.h"
#include "platform/kubernetes/kubernetes_internal.h"

enum {
    RETRY_MS = 2 * 1000, /* of what may pass: nobody answers */
    REFUSED_RETRY_MS = 60 * 1000,
};

struct leader_label {
    struct kubernetes *k;
    char *pod;
    bool wanted, known, told; /* known: the label is as told says */
    bool sent;                /* what is under way says */
    bool said;
    struct kube_ask *ask;
    struct timer *retry;
};

static void on_patched(void *arg, const struct kube_reply *reply);

static void send(struct leader_label *label)
{
    static const char on[] = "{\"metadata\":{\"labels\":{\"" LEADER_LABEL "\":\"true\"}}}";
    static const char off[] = "{\"metadata\":{\"labels\":{\"" LEADER_LABEL "\":null}}}";
    struct text path;

    if (label->ask != NULL || (label->known && label->told == label->wanted))
        return;
    label->sent = label->wanted;
    loop_timer_stop(label->retry);
    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, "", "v1", label->k->own_namespace, "pods", label->pod, NULL);
    label->ask = kube_ask(label->k->kube,
                          &(struct kube_request){.method = "PATCH",
                                                 .path = path.bytes,
                                                 .content_type = "application/merge-patch+json",
                                                 .body = label->sent ? on : off,
                                                 .body_length = strlen(label->sent ? on : off),
                                                 .priority = KUBE_WRITE},
                          on_patched, label);
    text_done(&path);
}

static void on_patched(void *arg, const struct kube_reply *reply)
{
    struct leader_label *label = arg;
    bool refused = reply->error.kind == ERROR_DENIED || reply->error.kind == ERROR_MISSING;

    label->ask = NULL;
    label->known = reply->error.kind == ERROR_NONE;
    label->told = label->sent;
    if (label->known) {
        label->said = false;
        send(label);
        return;
    }
    if (!label->said)
        kubernetes_say(label->k, true, "Pod %s cannot be labelled as the leader's, so a Service may not find it: %s",
                       label->pod, reply->error.text);
    label->said = true;
    loop_timer_set(label->retry, refused ? REFUSED_RETRY_MS : RETRY_MS);
}

static void on_retry(void *arg)
{
    send(arg);
}

struct leader_label *leader_label_new(struct kubernetes *k, const char *pod)
{
    struct leader_label *label = mem_alloc(sizeof *label);

    label->k = k;
    label->pod = mem_copy(pod);
    label->retry = loop_timer_new(k->loop, on_retry, label);
    send(label);
    return label;
}

void leader_label_set(struct leader_label *label, bool leads)
{
    if (label == NULL)
        return;
    label->wanted = leads;
    send(label);
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
    free(label);
}
