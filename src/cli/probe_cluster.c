/* probe_cluster: see probe_cluster.h. */
#include "cli/probe_cluster.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"
#include "manifest/manifest.h"
#include "net/loop.h"
#include "platform/kubernetes/client.h"

enum { LOOKUPS_MAX = 1000 }; /* one request each; nobody probes more at once */

struct lookup_of { /* one TriggerAuthentication */
    struct probe_cluster *cluster;
    char *name;           /* "Kind/ns/name" */
    struct kube_ask *ask; /* NULL: not under way */
    struct text json;
    struct error err;
};
struct probe_cluster {
    struct kube *kube;
    struct lookup_of *list[LOOKUPS_MAX];
    size_t count, open;
    struct timer *none; /* there is nothing to look up */
    void (*known)(void *arg);
    void *arg;
};

static bool is_cluster_kind(const char *kind)
{
    return string_equal(kind, "ClusterTriggerAuthentication");
}

static bool is_in_files(struct manifest *const *manifests, size_t count, const char *ns,
                        const struct trigger_spec *spec)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < manifests[i]->trigger_auth_count; j++) {
            const struct object_meta *meta = &manifests[i]->trigger_auths[j].meta;

            if (string_equal(meta->kind, spec->auth_kind) && string_equal(meta->name, spec->auth_name) &&
                (is_cluster_kind(meta->kind) || string_equal(meta->ns, ns)))
                return true;
        }
    return false;
}

static bool is_listed(const struct probe_cluster *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (string_equal(c->list[i]->name, name))
            return true;
    return false;
}

static void on_reply(void *arg, const struct kube_reply *reply)
{
    struct lookup_of *l = arg;
    struct probe_cluster *c = l->cluster;

    l->ask = NULL;
    l->err = reply->error;
    if (reply->error.kind == ERROR_NONE && reply->body)
        tree_write_json(reply->body, &l->json);
    if (--c->open == 0)
        c->known(c->arg);
}

static void look_up(struct probe_cluster *c, const char *ns, const struct trigger_spec *spec)
{
    bool cluster_kind = is_cluster_kind(spec->auth_kind);
    struct lookup_of *l;
    struct text name, path;

    text_init(&name, KUBE_PATH_MAX_BYTES);
    text_printf(&name, "%s/%s/%s", spec->auth_kind, cluster_kind ? "" : ns, spec->auth_name);
    if (!is_listed(c, name.bytes) && c->count < LOOKUPS_MAX) {
        l = c->list[c->count++] = mem_alloc(sizeof(*l));
        l->cluster = c;
        l->name = mem_copy(name.bytes);
        text_init(&l->json, MANIFEST_FILE_MAX_BYTES);
        text_init(&path, KUBE_PATH_MAX_BYTES);
        kube_path(&path, "keda.sh", "v1alpha1", cluster_kind ? NULL : ns,
                  cluster_kind ? "clustertriggerauthentications" : "triggerauthentications", spec->auth_name, NULL);
        c->open++;
        l->ask = kube_ask(c->kube, &(struct kube_request){.method = "GET", .path = path.bytes, .priority = KUBE_READ},
                          on_reply, l);
        text_done(&path);
    }
    text_done(&name);
}

static void look_up_all(struct probe_cluster *c, struct manifest *const *manifests, size_t count, const char *ns,
                        const struct trigger_spec *triggers, size_t trigger_count)
{
    for (size_t i = 0; i < trigger_count; i++)
        if (triggers[i].auth_name && !is_in_files(manifests, count, ns, &triggers[i]))
            look_up(c, ns, &triggers[i]);
}

struct probe_cluster *probe_cluster_new(struct kube *kube, struct manifest *const *manifests, size_t count,
                                        void (*known)(void *arg), void *arg)
{
    struct probe_cluster *c = mem_alloc(sizeof(*c));

    c->kube = kube;
    c->known = known;
    c->arg = arg;
    for (size_t i = 0; i < count; i++) {
        const struct manifest *m = manifests[i];

        for (size_t j = 0; j < m->scaled_object_count; j++)
            look_up_all(c, manifests, count, m->scaled_objects[j].meta.ns, m->scaled_objects[j].triggers,
                        m->scaled_objects[j].trigger_count);
        for (size_t j = 0; j < m->scaled_job_count; j++)
            look_up_all(c, manifests, count, m->scaled_jobs[j].meta.ns, m->scaled_jobs[j].triggers,
                        m->scaled_jobs[j].trigger_count);
    }
    if (c->open > 0)
        return c;
    c->none = loop_timer_new(kube_loop(kube), known, arg);
    loop_timer_set(c->none, 0);
    return c;
}

void probe_cluster_free(struct probe_cluster *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++) {
        if (c->list[i]->ask)
            kube_cancel(c->list[i]->ask);
        free(c->list[i]->name);
        text_done(&c->list[i]->json);
        free(c->list[i]);
    }
    loop_timer_free(c->none);
    free(c);
}

void probe_cluster_each(const struct probe_cluster *c,
                        void (*each)(void *arg, const char *name, const char *json, size_t length), void *arg)
{
    for (size_t i = 0; c && i < c->count; i++)
        if (c->list[i]->json.length > 0)
            each(arg, c->list[i]->name, c->list[i]->json.bytes, c->list[i]->json.length);
}

void probe_cluster_write_troubles(const struct probe_cluster *c, struct text *out)
{
    for (size_t i = 0; c && i < c->count; i++)
        if (c->list[i]->err.kind != ERROR_NONE && c->list[i]->err.kind != ERROR_MISSING)
            text_printf(out, "%s cannot be looked up: %s\n", c->list[i]->name, c->list[i]->err.text);
}
