/*
 * job_body: see job_body.h.
 *
 * Labels and annotations of the ScaledJob are copied and go before KEDA's own, but not before those by which its Jobs are found and
 * told apart: KEDA lets them be overridden, and loses count. kubectl's record of what was applied stays behind: it describes the
 * ScaledJob, and kubectl would believe it.
 */
#include "platform/kubernetes/job_body.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "base/tree.h"

enum {
    PREFIX_MAX_BYTES = 58, /* the API server cuts generateName so, for 5 letters to fit into a label's 63 */
    LETTERS = 5,
};

#define EXCLUDED_LABELS "scaledjob.keda.sh/job-excluded-labels"
#define LAST_APPLIED    "kubectl.kubernetes.io/last-applied-configuration"

/* ------------------------------------------------------------------ writing members */

static void add_key(struct text *out, const char *key)
{
    if (out->length > 0 && out->bytes[out->length - 1] != '{')
        text_add_char(out, ',');
    text_add_json_string(out, key, strlen(key));
    text_add_char(out, ':');
}

static void add_string(struct text *out, const char *key, const char *value)
{
    add_key(out, key);
    text_add_json_string(out, value, strlen(value));
}

/* All members but those named; a key that is there twice counts as the last. */
static void add_members(struct text *out, const struct tree *map, const char *but, const char *but_too)
{
    for (const struct tree *m = map && map->type == TREE_MAP ? map->first : NULL; m != NULL; m = m->next) {
        if (string_equal(m->key, but) || string_equal(m->key, but_too) || tree_get(map, m->key) != m)
            continue;
        add_key(out, m->key);
        tree_write_json(m, out);
    }
}

/* ------------------------------------------------------------------ labels and annotations */

static bool is_listed(const char *list, const char *word)
{
    size_t length = strlen(word);

    while (list != NULL && *list != 0) {
        size_t begin = strspn(list, ", "), end = begin + strcspn(list + begin, ",");
        while (end > begin && list[end - 1] == ' ')
            end--;
        if (end - begin == length && strncmp(list + begin, word, length) == 0)
            return true;
        list += begin + strcspn(list + begin, ",");
    }
    return false;
}

static void add_labels(struct text *out, const struct tree *meta, const char *name)
{
    const struct tree *labels = tree_get(meta, "labels");
    const char *excluded = tree_string(tree_get(tree_get(meta, "annotations"), EXCLUDED_LABELS));
    const char *const own[][2] = {{"app.kubernetes.io/name", name},
                                  {"app.kubernetes.io/version", WEIR_VERSION},
                                  {"app.kubernetes.io/part-of", name},
                                  {"app.kubernetes.io/managed-by", "keda-operator"}};

    add_key(out, "labels");
    text_add_char(out, '{');
    add_string(out, JOB_NAME_LABEL, name);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (tree_get(labels, own[i][0]) == NULL || is_listed(excluded, own[i][0]))
            add_string(out, own[i][0], own[i][1]);
    for (const struct tree *l = labels ? labels->first : NULL; l != NULL; l = l->next)
        if (tree_string(l) != NULL && strcmp(l->key, JOB_NAME_LABEL) != 0 && !is_listed(excluded, l->key))
            add_string(out, l->key, tree_string(l));
    text_add_char(out, '}');
}

static void add_owner(struct text *out, const char *name, const char *uid)
{
    add_key(out, "ownerReferences");
    text_add(out, "[{\"apiVersion\":\"keda.sh/v1alpha1\",\"kind\":\"ScaledJob\"");
    add_string(out, "name", name);
    add_string(out, "uid", uid);
    text_add(out, ",\"controller\":true,\"blockOwnerDeletion\":true}]");
}

static void add_annotations(struct text *out, const struct tree *meta, int64_t generation)
{
    const struct tree *list = tree_get(meta, "annotations");

    text_printf(out, "\"" JOB_GENERATION_ANNOTATION "\":\"%" PRId64 "\"", generation);
    for (const struct tree *a = list ? list->first : NULL; a != NULL; a = a->next)
        if (tree_string(a) != NULL && strcmp(a->key, JOB_GENERATION_ANNOTATION) != 0 &&
            strcmp(a->key, JOB_SEQUENCE_ANNOTATION) != 0 && strcmp(a->key, LAST_APPLIED) != 0)
            add_string(out, a->key, tree_string(a));
    text_add_char(out, ',');
}

/* ------------------------------------------------------------------ the spec */

static void add_template_metadata(struct text *out, const struct tree *meta, const char *name, const char *prefix)
{
    add_key(out, "metadata");
    text_add_char(out, '{');
    add_members(out, meta, "labels", "generateName");
    add_string(out, "generateName", prefix);
    add_key(out, "labels");
    text_add_char(out, '{');
    add_members(out, tree_get(meta, "labels"), JOB_NAME_LABEL, NULL);
    add_string(out, JOB_NAME_LABEL, name);
    text_add(out, "}}");
}

static void add_spec(struct text *out, const struct tree *job, const char *name, const char *prefix)
{
    const struct tree *template = tree_get(job, "template"), *pod = tree_get(template, "spec");
    const char *restart = tree_string(tree_get(pod, "restartPolicy"));

    text_add_char(out, '{');
    add_members(out, job, "template", NULL);
    add_key(out, "template");
    text_add_char(out, '{');
    add_members(out, template, "metadata", "spec");
    add_template_metadata(out, tree_get(template, "metadata"), name, prefix);
    add_key(out, "spec");
    text_add_char(out, '{');
    add_members(out, pod, "restartPolicy", NULL);
    add_string(out, "restartPolicy", restart && restart[0] ? restart : "OnFailure");
    text_add(out, "}}}");
}

/* ------------------------------------------------------------------ the whole */

static bool take_texts(struct job_body *body, const struct tree *scaled_job, const char *name)
{
    const struct tree *meta = tree_get(scaled_job, "metadata");
    struct text metadata, annotations, spec;

    text_init(&metadata, KUBE_PATCH_MAX_BYTES);
    text_init(&annotations, KUBE_PATCH_MAX_BYTES);
    text_init(&spec, KUBE_PATCH_MAX_BYTES);
    add_labels(&metadata, meta, name);
    add_owner(&metadata, name, body->uid);
    add_annotations(&annotations, meta, body->generation);
    add_spec(&spec, tree_at(scaled_job, "spec.jobTargetRef"), name, body->prefix);
    bool fits = !metadata.overflowed && !annotations.overflowed && !spec.overflowed;
    body->metadata = text_take(&metadata);
    body->annotations = text_take(&annotations);
    body->spec = text_take(&spec);
    text_done(&metadata);
    text_done(&annotations);
    text_done(&spec);
    return fits;
}

bool job_body_read(const struct tree *scaled_job, struct job_body **out, struct error *err)
{
    const struct tree *meta = tree_get(scaled_job, "metadata");
    const char *name = tree_string(tree_get(meta, "name")), *uid = tree_string(tree_get(meta, "uid"));
    char prefix[JOB_NAME_BYTES];

    if (name == NULL || uid == NULL)
        return error_set(err, ERROR_NONSENSE, "the API server gave a ScaledJob without name or uid");
    if (tree_get(meta, "deletionTimestamp") != NULL)
        return error_set(err, ERROR_MISSING, "the ScaledJob is being deleted");
    if (tree_at(scaled_job, "spec.jobTargetRef") == NULL)
        return error_set(err, ERROR_INVALID, "ScaledJob.spec.jobTargetRef not found");
    snprintf(prefix, sizeof prefix, "%.*s-", PREFIX_MAX_BYTES - 1, name);
    struct job_body *body = mem_alloc(sizeof *body);
    body->uid = mem_copy(uid);
    body->prefix = mem_copy(prefix);
    tree_integer(tree_get(meta, "generation"), &body->generation);
    body->foreground = string_equal(tree_string(tree_at(scaled_job, "spec.rollout.propagationPolicy")), "foreground");
    if (take_texts(body, scaled_job, name)) {
        *out = body;
        return true;
    }
    job_body_free(body);
    return error_set(err, ERROR_LIMIT, "a Job of this ScaledJob would be larger than %d bytes (KUBE_PATCH_MAX_BYTES)",
                     KUBE_PATCH_MAX_BYTES);
}

void job_body_free(struct job_body *body)
{
    if (body == NULL)
        return;
    free(body->uid);
    free(body->prefix);
    free(body->metadata);
    free(body->annotations);
    free(body->spec);
    free(body);
}

void job_body_name(const struct job_body *body, uint64_t sequence, char out[JOB_NAME_BYTES])
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789"; /* Kubernetes': no words by accident */
    uint64_t hash = hash_string(sequence, body->uid);
    size_t n = strlen(body->prefix);

    memcpy(out, body->prefix, n);
    for (int i = 0; i < LETTERS; i++, hash /= sizeof letters - 1)
        out[n++] = letters[hash % (sizeof letters - 1)];
    out[n] = 0;
}

bool job_body_write(const struct job_body *body, const char *name, uint64_t sequence, struct text *out)
{
    text_add(out, "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{");
    add_string(out, "name", name);
    text_add_char(out, ',');
    text_add(out, body->metadata);
    text_add(out, ",\"annotations\":{");
    text_add(out, body->annotations);
    text_printf(out, "\"" JOB_SEQUENCE_ANNOTATION "\":\"%" PRIu64 "\"}},\"spec\":", sequence);
    text_add(out, body->spec);
    text_add_char(out, '}');
    return !out->overflowed;
}
