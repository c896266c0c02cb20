/*
 * policy: from one object to rules that decide() can be given. The parts are annotations.c (what stands beside the spec),
 * triggers.c (credentials, environment, parameters) and modifiers.c (the formula); defaults are filled in here.
 */
#include "policy/policy_internal.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atom.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "decide/hpa_object.h"

enum {
    ACTIVE_INTERVAL_MS = 15 * 1000, /* above 0 replicas nobody waits longer: the HPA's own period (DESIGN.md 3.1) */
    MISSING_HOLD_MS = 30 * 60 * 1000,
    DOWNSCALE_STABILIZATION_MS = 5 * 60 * 1000,
    CPU_INITIALIZATION_MS = 300 * 1000,
    READINESS_DELAY_MS = 30 * 1000,
};
#define TOLERANCE 0.1 /* horizontal-pod-autoscaler-tolerance */

void policy_settings_default(struct policy_settings *settings)
{
    *settings = (struct policy_settings){.mode = DECIDE_DIRECT,
                                         .missing_hold_ms = MISSING_HOLD_MS,
                                         .downscale_stabilization_ms = DOWNSCALE_STABILIZATION_MS};
}

void building_find(struct building *b, enum finding_severity severity, const char *code, const struct place *place,
                   const char *field, const char *remedy, const char *format, ...)
{
    struct finding about = {.severity = severity, .code = code, .place = *place, .object = b->title};
    struct text text;
    va_list args;

    va_start(args, format);
    text_init(&text, 2000);
    text_vprintf(&text, format, args);
    va_end(args);
    report_add(b->report, &about, arena_printf(b->scratch, "%s%s", b->meta->path_prefix, field), remedy, "%s",
               text.bytes);
    text_done(&text);
    if (severity == FINDING_ERROR)
        b->errors++;
}

void building_refers(struct building *b, const char *format, ...)
{
    struct reference *reference;
    const char *name;
    va_list args;

    va_start(args, format);
    name = atom_ref(arena_vprintf(b->scratch, format, args));
    va_end(args);
    for (reference = b->references; reference; reference = reference->next) {
        if (reference->name == name) {
            atom_unref(name);
            return;
        }
    }
    reference = arena_alloc(b->scratch, sizeof(*reference));
    *reference = (struct reference){name, b->references};
    b->references = reference;
    b->reference_count++;
}

/* ------------------------------------------------------------------ what ScaledObjects and ScaledJobs share */

enum { LABEL_VALUE_MAX_BYTES = 63 };     /* Kubernetes' */
enum { POLICY_ROUNDING_BYTES = 4 * 16 }; /* four things, each aligned */

/* One block that fits: thousands of policies are kept. */
static struct policy *policy_new(const struct object_meta *meta, size_t triggers)
{
    size_t per_trigger = sizeof(struct policy_trigger) + sizeof(struct decide_trigger) + sizeof(char *);
    struct arena *arena =
        arena_new(sizeof(struct policy) + (triggers ? triggers : 1) * per_trigger + POLICY_ROUNDING_BYTES);
    struct policy *p = arena_alloc(arena, sizeof(*p));

    p->arena = arena;
    p->references = 1;
    p->kind = atom_ref(meta->kind);
    p->ns = atom_ref(meta->ns);
    p->name = atom_ref(meta->name);
    p->generation = meta->generation;
    return p;
}

static void begin(struct building *b, const struct object_meta *meta, size_t triggers,
                  const struct policy_context *context, struct report *report)
{
    *b = (struct building){.context = context, .meta = meta, .report = report, .scratch = arena_new(ARENA_USUAL)};
    b->title = arena_printf(b->scratch, "%s %s%s%s", meta->kind, meta->ns, meta->ns[0] ? "/" : "", meta->name);
    b->policy = policy_new(meta, triggers);
}

static void set_interval(struct building *b, int32_t seconds, const struct annotation_values *said)
{
    b->policy->polling_interval_ms = SECOND_MS * (seconds < 0 ? DEFAULT_POLLING_INTERVAL_S : seconds);
    b->policy->polling_interval_fixed = said->polling_interval_ms > 0;
    if (said->polling_interval_ms > 0)
        b->policy->polling_interval_ms = said->polling_interval_ms;
}

static void set_names(struct policy *p)
{
    const char **names = arena_array(p->arena, p->trigger_count ? p->trigger_count : 1, sizeof(*names));

    for (size_t i = 0; i < p->trigger_count; i++)
        names[i] = p->triggers[i].name;
    p->names = names;
}

/* The policy, or NULL where an error makes it useless. */
/* A HorizontalPodAutoscaler is made in hpa mode only, and by KEDA; its name becomes a label's value. */
static void check_autoscaler_name(struct building *b, const struct scaled_object *o)
{
    size_t length = strlen("keda-hpa-") + strlen(o->meta.name);

    if (b->strict && !(o->hpa_name && o->hpa_name[0]) && length > LABEL_VALUE_MAX_BYTES)
        building_find(b, FINDING_ERROR, "name-too-long", &o->meta.place, "metadata.name",
                      "shorten it, or set spec.advanced.horizontalPodAutoscalerConfig.name to a shorter name",
                      "the autoscaler's name would be keda-hpa-%s, with %zu characters; %d are allowed", o->meta.name,
                      length, LABEL_VALUE_MAX_BYTES);
}

static void set_references(struct building *b)
{
    struct policy *p = b->policy;

    if (b->reference_count == 0)
        return;
    p->references_to = arena_array(p->arena, b->reference_count, sizeof(*p->references_to));
    p->reference_count = (uint32_t)b->reference_count;
    for (const struct reference *r = b->references; r; r = r->next)
        p->references_to[--b->reference_count] = r->name;
}

static struct policy *finish(struct building *b)
{
    struct policy *p = b->policy;

    set_names(p);
    set_references(b);
    arena_free(b->scratch);
    if (b->errors == 0)
        return p;
    policy_unref(p);
    return NULL;
}

static struct annotation_values settings_of(const struct policy_context *context)
{
    return (struct annotation_values){.mode = context->settings->mode,
                                      .missing_hold_ms = context->settings->missing_hold_ms,
                                      .strict_activation = context->settings->strict_activation,
                                      .cost_per_replica_hour = -1};
}

static void set_mode(struct building *b, enum decide_mode mode)
{
    b->mode = mode;
    b->strict = mode == DECIDE_HPA || b->context->settings->keda_parity;
    b->policy->rules.mode = mode;
}

/* ------------------------------------------------------------------ ScaledObject */

static int32_t bounded_replicas(struct building *b, int32_t value, const char *field)
{
    if (value <= REPLICAS_MAX)
        return value;
    building_find(b, FINDING_WARNING, "limit", &b->meta->place, field, "write a number that can be meant",
                  "%d replicas are more than Weir keeps: %d counts (REPLICAS_MAX)", value, REPLICAS_MAX);
    return REPLICAS_MAX;
}

static void set_bounds(struct building *b, const struct scaled_object *o)
{
    struct decide_rules *rules = &b->policy->rules;

    rules->min =
        bounded_replicas(b, o->min_replicas < 0 ? DEFAULT_MIN_REPLICAS : o->min_replicas, "spec.minReplicaCount");
    rules->max =
        bounded_replicas(b, o->max_replicas < 0 ? DEFAULT_MAX_REPLICAS : o->max_replicas, "spec.maxReplicaCount");
    rules->idle = o->idle_replicas;
    rules->cooldown_ms = SECOND_MS * (o->cooldown_period_s < 0 ? DEFAULT_COOLDOWN_PERIOD_S : o->cooldown_period_s);
    rules->initial_cooldown_ms = SECOND_MS * (o->initial_cooldown_period_s < 0 ? DEFAULT_INITIAL_COOLDOWN_PERIOD_S
                                                                               : o->initial_cooldown_period_s);
    rules->created_at_ms = b->context->now_ms;
}

static void set_fallback(struct building *b, const struct scaled_object *o)
{
    static const char *const words[] = {"static", "currentReplicas", "currentReplicasIfHigher",
                                        "currentReplicasIfLower", "scalingModifiers"};
    struct decide_rules *rules = &b->policy->rules;

    rules->has_fallback = o->has_fallback;
    rules->fallback_threshold = o->fallback_threshold;
    rules->fallback_replicas = o->fallback_replicas;
    for (size_t i = 0; o->fallback_behavior && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i], o->fallback_behavior) == 0)
            rules->fallback_behavior = (enum fallback_behavior)(FALLBACK_STATIC + (int)i);
    }
}

static void set_behavior(struct building *b, const struct scaled_object *o)
{
    struct scaling_behavior *behavior;

    if (!o->behavior || o->meta.broken)
        return;
    behavior = arena_alloc(b->policy->arena, sizeof(*behavior));
    if (scaling_behavior_read(o->behavior, behavior)) {
        b->policy->rules.behavior = behavior;
        return;
    }
    struct place place = {.file = b->meta->place.file,
                          .doc = b->meta->place.doc,
                          .line = o->behavior->line,
                          .column = o->behavior->column};
    building_find(b, FINDING_ERROR, "limit", &place, "spec.advanced.horizontalPodAutoscalerConfig.behavior",
                  "keep the policies that matter",
                  "a direction of behavior may have %d policies (SCALING_POLICIES_MAX)", SCALING_POLICIES_MAX);
}

static void set_annotated(struct building *b, const struct annotation_values *said)
{
    struct decide_rules *rules = &b->policy->rules;

    rules->missing_hold_ms = said->missing_hold_ms;
    rules->paused = said->paused;
    rules->paused_scale_in = said->paused_scale_in;
    rules->paused_scale_out = said->paused_scale_out;
    rules->force_activation = said->force_activation;
    rules->has_paused_replicas = said->has_paused_replicas;
    b->policy->paused_unreadable = said->paused_unreadable;
    rules->paused_replicas = said->paused_replicas;
}

static void set_target(struct building *b, const struct target_ref *target)
{
    b->policy->target = (struct target_key){.ns = atom_ref(b->meta->ns),
                                            .api_version = atom_ref(target->api_version ? target->api_version : ""),
                                            .kind = atom_ref(target->kind ? target->kind : ""),
                                            .name = atom_ref(target->name ? target->name : "")};
}

/* Kinds are spelt as they are, and the versions of the past have gone. Of other kinds nothing is known here. */
static void check_target_kind(struct building *b, const struct target_ref *target)
{
    static const char *const kinds[] = {"Deployment", "StatefulSet", "ReplicaSet"};
    static const char *const gone[] = {"extensions/v1beta1", "apps/v1beta1", "apps/v1beta2"};
    const char *kind = target->kind ? target->kind : "", *api = target->api_version ? target->api_version : "";

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcasecmp(kinds[i], kind) == 0 && strcmp(kinds[i], kind) != 0 && string_equal(api, "apps/v1"))
            building_find(b, FINDING_WARNING, "unknown-target", &target->place, "spec.scaleTargetRef.kind",
                          arena_printf(b->scratch, "write kind: %s", kinds[i]),
                          "there is no kind %s in apps/v1: the target cannot be found", kind);
    }
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        if (string_equal(api, gone[i]))
            building_find(b, FINDING_WARNING, "unknown-target", &target->place, "spec.scaleTargetRef.apiVersion",
                          "write apiVersion: apps/v1", "%s is gone from Kubernetes: the target cannot be found", api);
    }
}

/* KEDA's own warning; in direct mode the interval counts at every size. */
static void advise_interval(struct building *b, const struct scaled_object *o)
{
    bool cached = false;

    for (size_t i = 0; i < b->spec_count; i++)
        cached |= b->specs[i].use_cached_metrics;
    if (b->mode == DECIDE_HPA && o->polling_interval_s >= 0 && o->min_replicas > 0 && o->idle_replicas < 0 && !cached)
        building_find(b, FINDING_ADVICE, "no-effect", &b->meta->place, "spec.pollingInterval",
                      "remove it, or lower minReplicaCount to 0",
                      "in hpa mode pollingInterval counts only while there are no replicas, and minReplicaCount is %d",
                      o->min_replicas);
}

struct policy *build_object(const struct scaled_object *o, const struct policy_context *context, struct report *report)
{
    struct annotation_values said = settings_of(context);
    struct decide_rules *rules;
    struct modifiers modifiers;
    struct building b;

    begin(&b, &o->meta, o->trigger_count, context, report);
    spread_metrics(&b, o->triggers, o->trigger_count, o->has_modifiers);
    b.container = o->target.env_container;
    rules = &b.policy->rules;
    read_annotations(&b, &said);
    set_mode(&b, said.mode);
    set_target(&b, &o->target);
    check_target_kind(&b, &o->target);
    set_interval(&b, o->polling_interval_s, &said);
    set_bounds(&b, o);
    set_fallback(&b, o);
    set_behavior(&b, o);
    set_annotated(&b, &said);
    rules->tolerance = TOLERANCE;
    rules->downscale_stabilization_ms = context->settings->downscale_stabilization_ms;
    rules->cpu_initialization_ms = CPU_INITIALIZATION_MS;
    rules->readiness_delay_ms = READINESS_DELAY_MS;
    b.policy->restore_to_original = o->restore_to_original;
    check_autoscaler_name(&b, o);
    build_triggers(&b, o->has_modifiers, false);
    rules->triggers = b.rules;
    rules->trigger_count = (uint16_t)b.spec_count;
    build_modifiers(&b, o, said.strict_activation, &modifiers);
    build_objective(&b, &said);
    advise_interval(&b, o);
    check_totals(&modifiers);
    check_timing(&b, &modifiers);
    return finish(&b);
}

struct policy *policy_build_object(const struct scaled_object *object, const struct policy_context *context,
                                   struct report *report)
{
    return object->meta.broken ? NULL : build_object(object, context, report);
}

/* ------------------------------------------------------------------ ScaledJob */

static int word_index(const char *word, const char *const *words, int count)
{
    for (int i = 0; i < count; i++) {
        if (word && strcmp(word, words[i]) == 0)
            return i;
    }
    return 0;
}

/* A share of the running jobs; KEDA takes the default strategy where it cannot be read (keda-operator/04 5). */
static double running_ratio(struct building *b, const struct scaled_job *job)
{
    const char *text = job->custom_running_percentage;
    bool custom = job->strategy && strcmp(job->strategy, "custom") == 0;
    double value;

    if (text && number_parse(text, strlen(text), &value) && isfinite(value))
        return value;
    if (text || custom)
        building_find(b, FINDING_WARNING, "bad-number", &b->meta->place,
                      "spec.scalingStrategy.customScalingRunningJobPercentage",
                      "write a decimal number in quotes, e.g. \"0.5\"",
                      "customScalingRunningJobPercentage is %s%s%s: the custom strategy then works like default",
                      text ? "no number: \"" : "not given", text ? text : "", text ? "\"" : "");
    return NAN;
}

static void take_pending_conditions(struct building *b, const struct scaled_job *job)
{
    size_t count = job->pending_condition_count;
    const char **list = arena_array(b->policy->arena, count ? count : 1, sizeof(*list));

    for (size_t i = 0; i < count; i++)
        list[i] = arena_copy(b->policy->arena, job->pending_conditions[i]);
    b->policy->pending_conditions = list;
    b->policy->pending_condition_count = (uint32_t)count;
}

static void set_job_rules(struct building *b, const struct scaled_job *job, bool paused)
{
    static const char *const strategies[] = {"default", "custom", "accurate", "eager"};
    static const char *const combinations[] = {"max", "min", "avg", "sum"};

    b->policy->job_rules = (struct job_rules){
        .min = job->min_replicas < 0 ? -1 : bounded_replicas(b, job->min_replicas, "spec.minReplicaCount"),
        .max = job->max_replicas < 0 ? -1 : bounded_replicas(b, job->max_replicas, "spec.maxReplicaCount"),
        .strategy = (enum job_strategy)(JOB_DEFAULT + word_index(job->strategy, strategies, 4)),
        .combination = (enum job_combination)(JOB_COMBINE_MAX + word_index(job->combination, combinations, 4)),
        .custom_deduction = job->custom_deduction,
        .custom_running_ratio = running_ratio(b, job),
        .paused = paused,
    };
    b->policy->job_generation =
        b->context->job_generation ? b->context->job_generation : manifest_hash(job->job_template);
    b->policy->successful_history = job->successful_history < 0 ? DEFAULT_JOBS_HISTORY_LIMIT : job->successful_history;
    b->policy->failed_history = job->failed_history < 0 ? DEFAULT_JOBS_HISTORY_LIMIT : job->failed_history;
    b->policy->rollout_gradual = job->rollout_strategy && strcmp(job->rollout_strategy, "gradual") == 0;
    if (job->pending_condition_count > 0)
        take_pending_conditions(b, job);
}

struct policy *build_job(const struct scaled_job *job, const struct policy_context *context, struct report *report)
{
    struct annotation_values said = settings_of(context);
    struct building b;

    begin(&b, &job->meta, job->trigger_count, context, report);
    spread_metrics(&b, job->triggers, job->trigger_count, false);
    b.container = job->env_container;
    b.policy->is_job = true;
    read_annotations(&b, &said);
    set_mode(&b, said.mode);
    set_interval(&b, job->polling_interval_s, &said);
    set_job_rules(&b, job, said.paused);
    build_triggers(&b, false, true);
    b.policy->job_rules.triggers = b.rules;
    b.policy->job_rules.trigger_count = (uint16_t)b.spec_count;
    build_objective(&b, &said);
    check_timing(&b, NULL);
    return finish(&b);
}

struct policy *policy_build_job(const struct scaled_job *job, const struct policy_context *context,
                                struct report *report)
{
    return job->meta.broken ? NULL : build_job(job, context, report);
}

/* ------------------------------------------------------------------ life */

bool policy_waits_for_data(const struct policy *policy)
{
    for (size_t i = 0; i < policy->trigger_count; i++)
        if (policy->triggers[i].waits)
            return true;
    return false;
}

struct policy *policy_ref(struct policy *policy)
{
    assert(policy->references > 0);
    policy->references++;
    return policy;
}

static void trigger_slot_done(struct policy_trigger *slot)
{
    trigger_unref(slot->trigger);
    credential_unref(slot->credential);
    atom_unref(slot->name);
    atom_unref(slot->metric_name);
    atom_unref(slot->type);
    free(slot->error);
}

void policy_unref(struct policy *policy)
{
    if (!policy)
        return;
    assert(policy->references > 0);
    if (--policy->references > 0)
        return;
    for (size_t i = 0; i < policy->trigger_count; i++)
        trigger_slot_done(&policy->triggers[i]);
    formula_unref(policy->formula);
    formula_unref(policy->slo);
    atom_unref(policy->target.ns);
    atom_unref(policy->target.api_version);
    atom_unref(policy->target.kind);
    atom_unref(policy->target.name);
    for (size_t i = 0; i < policy->reference_count; i++)
        atom_unref(policy->references_to[i]);
    atom_unref(policy->kind);
    atom_unref(policy->ns);
    atom_unref(policy->name);
    arena_free(policy->arena); /* the policy itself is in it */
}

size_t policy_bytes(const struct policy *policy)
{
    size_t bytes = arena_bytes(policy->arena) + (policy->formula ? formula_bytes(policy->formula) : 0) +
                   (policy->slo ? formula_bytes(policy->slo) : 0);

    for (size_t i = 0; i < policy->trigger_count; i++)
        bytes += policy->triggers[i].error ? sizeof(struct error) : 0;
    return bytes;
}

int64_t policy_interval_ms(const struct policy *policy, size_t trigger, int32_t replicas)
{
    bool slow = policy->polling_interval_fixed || policy->is_job || replicas <= 0 ||
                (trigger < policy->trigger_count && policy->triggers && policy->triggers[trigger].use_cached_metrics);

    return slow || policy->polling_interval_ms < ACTIVE_INTERVAL_MS ? policy->polling_interval_ms : ACTIVE_INTERVAL_MS;
}