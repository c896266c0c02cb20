/* rival: see rival.h. */
#include "platform/kubernetes/rival.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/kubernetes_internal.h"

enum {
    AGAIN_MS = 30 * 1000, /* while there is one: whoever deletes it should soon read that all is well */
    LISTED_MAX = 500,     /* of a namespace, which has a few: 2 MB */
};

struct rival {
    struct kubernetes *k;
    struct rival_target target;
    char *name; /* NULL: none is known */
    void (*changed)(void *arg);
    void *arg;
    struct kube_ask *ask;
    struct timer *timer;
};

/* A version of the API is another way to the same thing. */
static bool is_of_group(const char *api_version, const char *group)
{
    const char *slash = strchr(api_version, '/');
    size_t length = slash ? (size_t)(slash - api_version) : 0;

    return strlen(group) == length && strncmp(api_version, group, length) == 0;
}

static bool scales(const struct tree *hpa, const struct rival_target *target)
{
    const struct tree *to = tree_at(hpa, "spec.scaleTargetRef");
    const char *version = tree_string(tree_get(to, "apiVersion"));

    return string_equal(tree_string(tree_get(to, "name")), target->name) &&
           string_equal(tree_string(tree_get(to, "kind")), target->kind) &&
           is_of_group(version ? version : "", target->group);
}

static const char *find(const struct rival_target *target, const struct tree *list)
{
    const struct tree *items = tree_get(list, "items");

    for (const struct tree *one = items ? items->first : NULL; one != NULL; one = one->next) {
        if (scales(one, target))
            return tree_string(tree_at(one, "metadata.name"));
    }
    return NULL;
}

static void know(struct rival *rival, const char *name)
{
    bool same = string_equal(rival->name, name);

    if (!same) {
        free(rival->name);
        rival->name = name ? mem_copy(name) : NULL;
    }
    if (name != NULL)
        loop_timer_set(rival->timer, AGAIN_MS);
    if (!same)
        rival->changed(rival->arg);
}

/* Where it may not be listed, what the target says of its writer is all there is. */
static void on_listed(void *arg, const struct kube_reply *reply)
{
    struct rival *rival = arg;

    rival->ask = NULL;
    if (reply->error.kind == ERROR_NONE)
        know(rival, find(&rival->target, reply->body));
}

/* The one we know. Should there be a second, its next write has us list. */
static void on_got(void *arg, const struct kube_reply *reply)
{
    struct rival *rival = arg;

    rival->ask = NULL;
    if (reply->error.kind == ERROR_MISSING || (reply->error.kind == ERROR_NONE && !scales(reply->body, &rival->target)))
        know(rival, NULL);
    else
        loop_timer_set(rival->timer, AGAIN_MS);
}

static void look(void *arg)
{
    struct rival *rival = arg;
    struct text path;

    if (rival->ask != NULL)
        return;
    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, "autoscaling", "v2", rival->target.ns, "horizontalpodautoscalers", rival->name, NULL);
    if (rival->name == NULL)
        text_printf(&path, "?limit=%d", LISTED_MAX);
    rival->ask =
        kube_ask(rival->k->kube, &(struct kube_request){.method = "GET", .path = path.bytes, .priority = KUBE_READ},
                 rival->name != NULL ? on_got : on_listed, rival);
    text_done(&path);
}

struct rival *rival_new(struct kubernetes *k, const struct rival_target *target, void (*changed)(void *arg), void *arg)
{
    struct rival *rival = mem_alloc(sizeof *rival);

    *rival = (struct rival){.k = k, .target = *target, .changed = changed, .arg = arg};
    rival->timer = loop_timer_new(k->loop, look, rival);
    return rival;
}

void rival_look(struct rival *rival)
{
    look(rival);
}

const char *rival_name(const struct rival *rival)
{
    return rival ? rival->name : NULL;
}

void rival_free(struct rival *rival)
{
    if (rival == NULL)
        return;
    if (rival->ask != NULL)
        kube_cancel(rival->ask);
    loop_timer_free(rival->timer);
    free(rival->name);
    free(rival);
}
