/*
 * apply: from what a manifest says of one object to the object that runs. TriggerAuthentications are kept, policies are built with
 * them, and what changed is put; whatever is wrong is the object's problem and nobody else's.
 *
 *     auth_keep / auth_drop      what others refer to, by "Kind/ns/name"
 *     apply_object               manifest -> policy -> object_put, or object_set_problem
 *
 * Where a manifest comes from is not known here: files.c reads it from disk, cluster.c is told by the platform. `file` is the
 * name of that place, and what stands in one place is that place's to change.
 */
#include "autoscaler/autoscaler_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atom.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "manifest/manifest.h"

void object_key(char *out, size_t size, const struct object_meta *meta)
{
    snprintf(out, size, "%s/%s/%s", meta->kind, meta->ns ? meta->ns : "", meta->name ? meta->name : "");
}

/* ------------------------------------------------------------------ TriggerAuthentications */

struct auth_entry { /* a TriggerAuthentication, kept as JSON: small, and rarely read */
    const char *file;
    char *json;
    char kind[32], ns[256], name[256];
};

void auth_key(char *out, size_t size, const char *kind, const char *ns, const char *name)
{
    snprintf(out, size, "%s/%s/%s", kind, strcmp(kind, "ClusterTriggerAuthentication") == 0 ? "" : ns, name);
}

static void auth_free(struct auth_entry *entry)
{
    if (!entry)
        return;
    atom_unref(entry->file);
    free(entry->json);
    free(entry);
}

static bool manifest_has_auth(const struct manifest *manifest, const struct auth_entry *entry)
{
    for (size_t i = 0; manifest && i < manifest->trigger_auth_count; i++) {
        const struct object_meta *meta = &manifest->trigger_auths[i].meta;

        if (string_equal(meta->kind, entry->kind) && string_equal(meta->ns ? meta->ns : "", entry->ns) &&
            string_equal(meta->name, entry->name))
            return true;
    }
    return false;
}

void auths_forget(struct autoscaler *a, const char *file, const struct manifest *manifest)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(a->auths, &at, &key, &value);) {
        struct auth_entry *entry = value;

        if (strcmp(entry->file, file) == 0 && !manifest_has_auth(manifest, entry)) {
            map_remove(a->auths, key);
            auth_free(entry);
        }
    }
}

const char *auth_file(const struct autoscaler *a, const char *key)
{
    const struct auth_entry *entry = map_get(a->auths, key);

    return entry ? entry->file : NULL;
}

/* Of the annotations only what begins so: others may be long, and nobody looks at them. */
static void write_annotations(const struct tree *annotations, struct text *json)
{
    size_t written = 0;

    text_add_char(json, '{');
    for (const struct tree *m = annotations ? annotations->first : NULL; m; m = m->next) {
        if (!string_starts(m->key, "weir.dev/") || !tree_string(m))
            continue;
        text_add(json, written++ ? "," : "");
        text_add_json_string(json, m->key, strlen(m->key));
        text_add_char(json, ':');
        text_add_json_string(json, m->text, m->length);
    }
    text_add_char(json, '}');
}

void auth_keep(struct autoscaler *a, const char *file, const struct trigger_auth *auth)
{
    const struct object_meta *meta = &auth->meta;
    struct auth_entry *entry = mem_alloc(sizeof(*entry));
    struct text json;
    char key[OBJECT_KEY_BYTES];

    auth_key(key, sizeof(key), meta->kind, meta->ns ? meta->ns : "", meta->name);
    text_init(&json, MANIFEST_FILE_MAX_BYTES);
    text_add(&json, "{\"spec\":");
    tree_write_json(auth->spec, &json);
    text_add(&json, ",\"annotations\":");
    write_annotations(meta->annotations, &json);
    text_add_char(&json, '}');
    entry->json = text_take(&json);
    entry->file = atom_ref(file);
    snprintf(entry->kind, sizeof(entry->kind), "%s", meta->kind);
    snprintf(entry->ns, sizeof(entry->ns), "%s", meta->ns ? meta->ns : "");
    snprintf(entry->name, sizeof(entry->name), "%s", meta->name);
    auth_free(map_put(a->auths, key, entry));
}

bool auth_drop(struct autoscaler *a, const char *key)
{
    struct auth_entry *entry = map_remove(a->auths, key);
    bool was_there = entry != NULL;

    auth_free(entry);
    return was_there;
}

void auths_free(struct autoscaler *a)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(a->auths, &at, &key, &value);)
        auth_free(value);
    map_free(a->auths);
}

struct finding_auth { /* what one building looks up lives in its arena */
    struct autoscaler *a;
    struct arena *arena;
};

static const struct trigger_auth *find_auth(void *arg, const char *ns, const char *kind, const char *name)
{
    struct finding_auth *on = arg;
    struct auth_entry *entry;
    struct trigger_auth *auth;
    struct tree *whole;
    struct error err;
    char key[OBJECT_KEY_BYTES];

    auth_key(key, sizeof(key), kind, ns, name);
    entry = map_get(on->a->auths, key);
    if (!entry || !tree_read_json(entry->json, strlen(entry->json), false, on->arena, &whole, &err))
        return NULL;
    auth = arena_alloc(on->arena, sizeof(*auth));
    auth->meta = (struct object_meta){
        .kind = entry->kind, .ns = entry->ns, .name = entry->name, .annotations = tree_get(whole, "annotations")};
    auth->spec = tree_get(whole, "spec");
    return auth;
}

/* ------------------------------------------------------------------ what is wrong, in words */

void report_copy(struct report *to, const struct finding *finding)
{
    report_add(to, finding, finding->field, finding->remedy, "%s", finding->text);
}

/* Only a file has lines that somebody could look up. */
static const char *finding_words(const struct finding *f, struct arena *arena)
{
    const char *colon = *f->field ? ": " : "";

    if (f->place.line == 0)
        return arena_printf(arena, "%s%s%s", f->field, colon, f->text);
    return arena_printf(arena, "%s:%d: %s%s%s", f->place.file, f->place.line, f->field, colon, f->text);
}

/* The first error of this document (doc < 0: of any) in words, or NULL. */
static const char *first_error(const struct report *report, int doc, struct arena *arena)
{
    for (size_t i = 0; i < report_count(report); i++) {
        const struct finding *f = report_at(report, i);

        if (f->severity == FINDING_ERROR && (doc < 0 || f->place.doc == doc))
            return finding_words(f, arena);
    }
    return NULL;
}

/* ------------------------------------------------------------------ one object */

/* What was fetched for them, and is kept as long as they are. */
static bool same_fetched(const struct policy_trigger *a, const struct policy_trigger *b)
{
    size_t count = a->credential ? a->credential->held_count : 0;

    if (count != (b->credential ? b->credential->held_count : 0))
        return false;
    for (size_t i = 0; i < count; i++)
        if (a->credential->held[i] != b->credential->held[i])
            return false;
    return true;
}

/* What there is instead of a trigger says why. */
static bool same_error(const struct policy_trigger *a, const struct policy_trigger *b)
{
    if (!a->error || !b->error)
        return a->error == b->error;
    return a->waits == b->waits && a->error->kind == b->error->kind && strcmp(a->error->text, b->error->text) == 0;
}

/* Built again only because something it refers to may have changed, and did not. */
static bool same_questions(const struct policy *a, const struct policy *b)
{
    if (a->generation != b->generation || a->trigger_count != b->trigger_count ||
        a->job_generation != b->job_generation)
        return false;
    for (size_t i = 0; i < a->trigger_count; i++)
        if (a->triggers[i].trigger != b->triggers[i].trigger || !same_error(&a->triggers[i], &b->triggers[i]) ||
            !same_fetched(&a->triggers[i], &b->triggers[i]))
            return false;
    return true;
}

static void put_policy(struct autoscaler *a, const char *key, const struct application *on, struct policy *policy,
                       int64_t now_ms)
{
    object_put(a, key, on->file, policy, now_ms);
    history_keep_manifest(a, key, on->meta);
}

/* Puts the policy in force, or what is wrong instead; it is the object's from then on. */
static void put(struct autoscaler *a, const char *key, const struct application *on, struct policy *policy,
                const char *problem, int64_t now_ms)
{
    struct object *object = object_find(a, key);

    if (policy && object && object->policy && !object->problem && same_questions(object->policy, policy))
        policy_unref(policy);
    else if (policy)
        put_policy(a, key, on, policy, now_ms);
    else
        object_set_problem(a, key, on->file, problem ? problem : "no policy could be made of it");
}

static bool build(struct autoscaler *a, const char *key, const struct application *on, struct arena *arena)
{
    struct finding_auth finding = {a, arena};
    struct policy_context context = {.settings = &a->settings,
                                     .engine = a->parts.engine,
                                     .platform = is_rehearsal(a) ? NULL : a->parts.platform,
                                     .find_auth = find_auth,
                                     .find_auth_arg = &finding,
                                     .now_ms = loop_now_ms(a->parts.loop),
                                     .job_generation = on->job_generation};
    struct report *report = report_new();
    struct policy *policy = on->scaled_object ? policy_build_object(on->scaled_object, &context, report)
                                              : policy_build_job(on->scaled_job, &context, report);
    const char *refused = policy && on->built ? on->built(on->arg, policy, arena) : NULL;
    bool waits = policy && !refused && on->built && policy_waits_for_data(policy);

    if (waits || refused)
        policy_unref(policy);
    if (refused)
        object_set_problem(a, key, on->file, refused);
    else if (!waits)
        put(a, key, on, policy, first_error(report, -1, arena), context.now_ms);
    for (size_t i = 0; i < report_count(report); i++)
        report_copy(on->report, report_at(report, i));
    report_free(report);
    return !waits;
}

static bool is_in_force(const struct object *object, const struct application *on)
{
    return object && object->policy && !object->problem && object->policy->generation == on->meta->generation &&
           (!on->scaled_job || !on->job_generation || object->policy->job_generation == on->job_generation);
}

bool apply_object(struct autoscaler *a, const char *key, const struct application *on)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    bool done = true;

    if (on->meta->broken) {
        const char *problem = first_error(on->report, on->meta->place.doc, arena);

        object_set_problem(a, key, on->file, problem ? problem : "the manifest has an error");
    } else if (on->again || !is_in_force(object_find(a, key), on)) {
        done = build(a, key, on, arena);
    }
    arena_free(arena);
    return done;
}
