/*
 * triggers: each trigger of the object with its credential and its environment. What is wrong with one trigger stays with it: its
 * slot has the error and no trigger, it counts as failed, and the others go on (09-quirks B 2).
 *
 * In lint nothing is at hand that only the place knows (secrets, the container's environment), so what those would supply is
 * not missed there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atom.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "policy/policy_internal.h"

/* Where the secrets of a ClusterTriggerAuthentication are looked up. KEDA: its own namespace; here there is none of that kind. */
#define CLUSTER_OBJECT_NAMESPACE "default"

enum { VARIABLES_MAX = 64 }; /* <param>FromEnv keys of one trigger: no type has as many parameters */

bool is_resource_type(const char *type)
{
    return type && (strcmp(type, "cpu") == 0 || strcmp(type, "memory") == 0);
}

/* ------------------------------------------------------------------ the environment of the target's container */

struct environment {
    struct building *b;
    struct target_key key;
    struct secret *values[VARIABLES_MAX]; /* live until the trigger has been built */
    size_t count;
    bool pending;
};

static const char *environment_get(void *arg, const char *name)
{
    struct environment *e = arg;
    struct platform *platform = e->b->context->platform;
    struct secret *value = NULL;
    enum lookup found;

    if (e->count == VARIABLES_MAX)
        return NULL;
    building_refers(e->b, "data/%s/%s", e->key.ns, e->key.name);
    found = platform->ops->target_env(platform, &e->key, e->b->container, name, &value);
    e->pending |= found == LOOKUP_PENDING;
    if (found != LOOKUP_FOUND)
        return NULL;
    e->values[e->count++] = value;
    return secret_reveal(value);
}

static void environment_done(struct environment *e)
{
    for (size_t i = 0; i < e->count; i++)
        secret_unref(e->values[i]);
}

/* Whose containers: the scale target's, or the job template of the ScaledJob itself. */
static struct target_key environment_key(const struct building *b)
{
    if (!b->policy->is_job)
        return b->policy->target;
    return (struct target_key){
        .ns = b->policy->ns, .api_version = "keda.sh/v1alpha1", .kind = "ScaledJob", .name = b->policy->name};
}

/* ------------------------------------------------------------------ the credential */

static const struct trigger_auth *find_auth(const struct building *b, const struct trigger_spec *spec)
{
    if (!b->context->find_auth)
        return NULL;
    return b->context->find_auth(b->context->find_auth_arg, b->meta->ns, spec->auth_kind, spec->auth_name);
}

/* The Secrets and ConfigMaps that it names. */
static void refer_to_data(struct building *b, const char *ns, const struct tree *spec, const struct target_key *target)
{
    static const char *const sources[] = {"secretTargetRef", "configMapTargetRef"};

    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        const struct tree *list = tree_get(spec, sources[i]);

        for (const struct tree *item = list && list->type == TREE_LIST ? list->first : NULL; item; item = item->next)
            if (tree_string(tree_get(item, "name")))
                building_refers(b, "data/%s/%s", ns, tree_string(tree_get(item, "name")));
    }
    if (tree_count(tree_get(spec, "env")) > 0)
        building_refers(b, "data/%s/%s", target->ns, target->name);
}

/* Perhaps it is there, and Weir may not read it. */
static bool refuse_missing(const struct building *b, const struct trigger_spec *spec, bool cluster, struct error *err)
{
    const struct platform_ops *ops = b->context->platform->ops;
    struct error why;

    if (ops->resources_readable &&
        !ops->resources_readable(b->context->platform, cluster ? RESOURCE_CLUSTER_TRIGGER_AUTH : RESOURCE_TRIGGER_AUTH,
                                 &why))
        return error_set(err, why.kind, "%s %s cannot be looked up: %s", spec->auth_kind, spec->auth_name, why.text);
    return error_set(err, ERROR_MISSING, "there is no %s %s%s%s", spec->auth_kind, cluster ? "" : b->meta->ns,
                     cluster ? "" : "/", spec->auth_name);
}

static const char *secrets_namespace(const struct building *b, bool cluster)
{
    if (!cluster)
        return b->meta->ns;
    return b->context->settings->cluster_namespace ? b->context->settings->cluster_namespace : CLUSTER_OBJECT_NAMESPACE;
}

/* What has to be fetched is so by the engine's store, which tells by the name that the policy refers to. */
static enum lookup resolve(struct building *b, const struct trigger_spec *spec,
                           const struct credential_request *request, struct credential **out, struct error *err)
{
    struct credential_request asked = *request;

    if (!b->context->engine)
        return credential_resolve(b->context->platform, request, out, err);
    asked.key = arena_printf(b->scratch, "%s/%s/%s", spec->auth_kind, request->cluster_kind ? "" : b->meta->ns,
                             spec->auth_name);
    return credential_store_resolve(trigger_engine_credentials(b->context->engine), &asked, out, err);
}

/* What lint can know: it is there or not (set.c says so), and whom it is for. */
static bool look_at_binding(const struct building *b, const struct trigger_spec *spec, struct credential **out,
                            struct error *err)
{
    const struct trigger_auth *auth = find_auth(b, spec);

    if (!auth || !auth->meta.annotations)
        return true;
    return credential_of_whom(
               &(struct credential_request){.annotations = auth->meta.annotations, .object_ns = b->meta->ns}, out,
               err) ||
           error_add_place(err, "%s %s", spec->auth_kind, spec->auth_name);
}

/* true: *out is set, or the trigger needs none. *waits: it will be known later. */
static bool get_credential(struct building *b, const struct trigger_spec *spec, const struct environment *e,
                           struct credential **out, bool *waits, struct error *err)
{
    const struct trigger_auth *auth;
    const char *ns;
    bool cluster;
    enum lookup found;

    *out = NULL;
    if (!spec->auth_name)
        return true;
    if (!b->context->platform)
        return look_at_binding(b, spec, out, err);
    cluster = strcmp(spec->auth_kind, "ClusterTriggerAuthentication") == 0;
    ns = secrets_namespace(b, cluster);
    building_refers(b, "%s/%s/%s", spec->auth_kind, cluster ? "" : b->meta->ns, spec->auth_name);
    auth = find_auth(b, spec);
    if (auth)
        refer_to_data(b, ns, auth->spec, &e->key);
    if (!auth)
        return refuse_missing(b, spec, cluster, err);
    found = resolve(b, spec,
                    &(struct credential_request){.spec = auth->spec,
                                                 .annotations = auth->meta.annotations,
                                                 .cluster_kind = cluster,
                                                 .ns = ns,
                                                 .object_ns = b->meta->ns,
                                                 .target = &e->key},
                    out, err);
    if (found == LOOKUP_FOUND)
        return true;
    *waits = found == LOOKUP_PENDING;
    if (found == LOOKUP_PENDING)
        return error_set(err, ERROR_UNREACHABLE, "the secrets of %s %s are not known yet", spec->auth_kind,
                         spec->auth_name);
    return error_add_place(err, "%s %s", spec->auth_kind, spec->auth_name);
}

/* ------------------------------------------------------------------ one trigger */

static const char *trigger_field(const struct building *b, const struct trigger_spec *spec)
{
    return arena_printf(b->scratch, "%sspec.triggers[%d]", b->meta->path_prefix, spec->index);
}

static void find_at(struct building *b, enum finding_severity severity, const char *code,
                    const struct trigger_spec *spec, const char *part, const char *remedy, const char *text)
{
    struct finding about = {.severity = severity, .code = code, .place = spec->place, .object = b->title};

    report_add(b->report, &about, arena_printf(b->scratch, "%s%s%s", trigger_field(b, spec), part[0] ? "." : "", part),
               remedy, "%s", text);
}

static void fail_trigger(struct policy_trigger *slot, const struct error *err)
{
    slot->error = mem_alloc(sizeof(*slot->error));
    *slot->error = *err;
}

/* The first error that building added to the report, as the slot's own. */
static void error_from_report(struct building *b, size_t before, struct error *err)
{
    error_set(err, ERROR_INVALID, "the trigger cannot be built");
    for (size_t i = before; i < report_count(b->report); i++) {
        const struct finding *f = report_at(b->report, i);

        if (f->severity != FINDING_ERROR)
            continue;
        error_set(err, ERROR_INVALID, "%s", f->text);
        error_add_place(err, "%s", f->field);
        return;
    }
}

static void take_metric(struct building *b, struct policy_trigger *slot, struct decide_trigger *rule,
                        struct trigger_metric *metric)
{
    slot->metric_name = atom_ref(metric->name);
    rule->kind = metric->kind;
    rule->target_type = metric->target_type;
    rule->target = metric->target;
    rule->activation = metric->activation;
    rule->container = arena_copy(b->policy->arena, metric->container);
    trigger_metric_done(metric);
}

/* KEDA lets it be, and the HPA it makes of it is refused; no number of replicas could ever answer it. */
static void refuse_negative(struct building *b, const struct trigger_spec *spec, struct policy_trigger *slot,
                            struct decide_trigger *rule)
{
    struct error err;

    error_set(&err, ERROR_INVALID, "the target has to be more than 0, not %g", rule->target);
    find_at(b, FINDING_ERROR, "negative-target", spec, "metadata", "write the value one replica should carry",
            err.text);
    error_add_place(&err, "%s", trigger_field(b, spec));
    fail_trigger(slot, &err);
    trigger_unref(slot->trigger);
    slot->trigger = NULL;
    rule->target = 0;
}

static struct trigger_input input_of(struct building *b, const struct trigger_spec *spec, size_t slot,
                                     struct environment *e, bool as_metric_source)
{
    return (struct trigger_input){
        .type = spec->type,
        .name = spec->name,
        .index = spec->index,
        .metric = spec->metric,
        .metadata = spec->metadata,
        .credential_unknown = spec->auth_name && !b->context->platform,
        .env = b->context->platform ? environment_get : NULL,
        .env_arg = e,
        .metric_type = spec->metric_type,
        .as_metric_source = as_metric_source,
        .scaled_job = b->policy->is_job,
        .direct = b->mode != DECIDE_HPA,
        .ns = b->meta->ns,
        .object_name = b->meta->name,
        .target = b->policy->is_job ? NULL : &b->policy->target,
        .interval_ms = policy_interval_ms(b->policy, slot, 1),
        .place = spec->place,
        .object = b->title,
        .field = trigger_field(b, spec),
    };
}

static void build_one(struct building *b, const struct trigger_spec *spec, struct policy_trigger *slot,
                      struct decide_trigger *rule, bool as_metric_source)
{
    struct environment e = {.b = b, .key = environment_key(b)};
    struct trigger_input input = input_of(b, spec, (size_t)(slot - b->policy->triggers), &e, as_metric_source);
    struct credential *credential;
    struct trigger_metric metric;
    size_t before = report_count(b->report);
    struct error err;

    if (b->context->settings->keda_parity && strcmp(spec->type, "inference") == 0) {
        find_at(b, FINDING_ERROR, "unknown-trigger-type", spec, "type",
                "ask a Prometheus that scrapes the model servers",
                "KEDA has no trigger type inference; it is Weir's own");
        error_set(&err, ERROR_INVALID, "KEDA has no trigger type inference");
        fail_trigger(slot, &err);
        return;
    }
    if (!get_credential(b, spec, &e, &credential, &slot->waits, &err)) {
        find_at(b, FINDING_WARNING, "missing-authentication", spec, "authenticationRef",
                "until it can be resolved the trigger counts as failed", err.text);
        fail_trigger(slot, &err);
        return;
    }
    input.credential = credential;
    if (trigger_build(b->context->engine, &input, b->report, &slot->trigger, &metric)) {
        take_metric(b, slot, rule, &metric);
        if (rule->target < 0 && !as_metric_source && !b->policy->is_job)
            refuse_negative(b, spec, slot, rule);
    } else {
        error_from_report(b, before, &err);
        slot->waits = e.pending;
        if (e.pending)
            error_set(&err, ERROR_UNREACHABLE, "the environment of the target's container is not known yet");
        fail_trigger(slot, &err);
    }
    note_credentials(b, spec, credential, e.values, e.count, slot);
    if (credential && credential->held_count > 0)
        slot->credential = credential_ref(credential);
    credential_unref(credential);
    environment_done(&e);
}

/* A type that KEDA has and we do not: no mistake, but little can be said about its parameters, and nothing asked. */
static void skip_known(struct building *b, const struct trigger_spec *spec, struct policy_trigger *slot,
                       struct decide_trigger *rule, bool as_metric_source)
{
    struct error err;

    known_target(spec, rule);
    if (!b->context->engine)
        check_known_type(b, spec, as_metric_source);
    error_set(&err, ERROR_INVALID, "trigger type %s is not built in", spec->type);
    fail_trigger(slot, &err);
    find_at(
        b, b->context->engine ? FINDING_WARNING : FINDING_ADVICE, "parameters-not-checked", spec, "type",
        "`weir triggers` lists what is built in",
        arena_printf(b->scratch,
                     "trigger type %s is not built in: its parameters were not checked, but for the required ones%s",
                     spec->type, b->context->engine ? ", and it counts as failed" : ""));
}

static void name_slot(struct building *b, const struct trigger_spec *spec, struct policy_trigger *slot)
{
    if (!slot->metric_name)
        slot->metric_name =
            atom_ref(arena_printf(b->scratch, "s%d-%s", spec->index, spec->type ? spec->type : "trigger"));
    slot->named = spec->name != NULL;
    slot->name = slot->named ? atom_ref(spec->name) : atom_again(slot->metric_name);
}

void build_triggers(struct building *b, bool as_metric_source, bool job)
{
    struct policy *p = b->policy;

    p->triggers = arena_array(p->arena, b->spec_count ? b->spec_count : 1, sizeof(*p->triggers));
    p->trigger_count = (uint32_t)b->spec_count;
    b->rules = arena_array(p->arena, b->spec_count ? b->spec_count : 1, sizeof(*b->rules));
    for (size_t i = 0; i < b->spec_count; i++) {
        const struct trigger_spec *spec = &b->specs[i];
        struct policy_trigger *slot = &p->triggers[i];

        slot->use_cached_metrics = spec->use_cached_metrics;
        slot->type = atom_ref(spec->type ? spec->type : "");
        b->rules[i].formula_name = -1;
        if (spec->unclear || !spec->type)
            fail_trigger(slot, &(struct error){.kind = ERROR_INVALID, .text = "its manifest has an error"});
        else if (trigger_support(spec->type) == TRIGGER_KNOWN)
            skip_known(b, spec, slot, &b->rules[i], as_metric_source);
        else
            build_one(b, spec, slot, &b->rules[i], as_metric_source);
        if (job && is_resource_type(spec->type))
            find_at(b, FINDING_ADVICE, "no-effect", spec, "type", "remove the trigger",
                    "cpu and memory triggers do nothing in a ScaledJob");
        name_slot(b, spec, slot);
    }
}
