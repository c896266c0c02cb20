/*
 * kind_webhook: what KEDA's admission webhook allows (TRIGGERS-FORMAT, "webhook"). The cases go through policy/admission in hpa mode with
 * KEDA's language; what exists already becomes the facts of the cluster.
 *
 * The format's world is simpler than a cluster: all objects are of one namespace, and the kinds that exist are the built-in ones.
 */
#include "vectors.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/tree.h"
#include "policy/admission.h"
#include "policy/policy.h"

enum { EXISTING_MAX = 64 };

struct world {
    struct arena *arena;
    struct admission_review review;
    struct admission_facts facts;
    struct admission_scaler scalers[EXISTING_MAX];
    struct admission_other others[EXISTING_MAX];
    bool foreign_kind; /* some autoscaler is on a kind that is not known */
};

/* ------------------------------------------------------------------ facts */

static const char *text_at(const struct tree *node, const char *path, const char *otherwise)
{
    const char *text = tree_string(tree_at(node, path));

    return text && text[0] ? text : otherwise;
}

/* Every kind of a plain cluster, by its group. */
static bool is_built_in(const struct admission_target *target)
{
    static const struct {
        const char *group, *kinds;
    } groups[] = {
        {"", " Binding ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod "
             "PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount "},
        {"apps", " ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet "},
        {"autoscaling", " HorizontalPodAutoscaler Scale "},
        {"batch", " CronJob Job "},
        {"networking.k8s.io", " Ingress IngressClass NetworkPolicy "},
        {"policy", " PodDisruptionBudget "},
    };
    size_t length = strchr(target->api_version, '/') ? strcspn(target->api_version, "/") : 0;
    char word[128];

    snprintf(word, sizeof(word), " %s ", target->kind);
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (strlen(groups[i].group) == length && memcmp(groups[i].group, target->api_version, length) == 0 &&
            strstr(groups[i].kinds, word))
            return true;
    }
    return false;
}

static struct admission_target target_of(const struct tree *object)
{
    return (struct admission_target){text_at(object, "spec.scaleTargetRef.apiVersion", "apps/v1"),
                                     text_at(object, "spec.scaleTargetRef.kind", "Deployment"),
                                     text_at(object, "spec.scaleTargetRef.name", "")};
}

static bool is_released(const struct tree *object)
{
    const struct tree *annotations = tree_at(object, "metadata.annotations");

    return string_equal(tree_string(tree_get(annotations, "validations.keda.sh/hpa-ownership")), "false");
}

static void add_scaler(struct world *w, const struct tree *object)
{
    const struct tree *owners = tree_at(object, "metadata.ownerReferences");
    struct admission_scaler *s = &w->scalers[w->facts.scaler_count++];

    *s = (struct admission_scaler){.name = text_at(object, "metadata.name", ""), .target = target_of(object)};
    s->released = is_released(object);
    for (const struct tree *o = owners ? owners->first : NULL; o; o = o->next) {
        if (strcmp(text_at(o, "kind", ""), "ScaledObject") == 0)
            s->owner = text_at(o, "name", "");
    }
    w->foreign_kind |= !is_built_in(&s->target);
}

static void add_other(struct world *w, const struct tree *object)
{
    w->others[w->facts.other_count++] =
        (struct admission_other){.name = text_at(object, "metadata.name", ""),
                                 .target = target_of(object),
                                 .hpa_name = text_at(object, "spec.advanced.horizontalPodAutoscalerConfig.name", NULL)};
}

static void add_existing(struct world *w, const struct admission *a, const struct tree *object)
{
    const char *kind = text_at(object, "kind", "");

    if (strcmp(kind, "HorizontalPodAutoscaler") == 0 && w->facts.scaler_count < EXISTING_MAX) {
        add_scaler(w, object);
    } else if (strcmp(kind, "ScaledObject") == 0 && w->facts.other_count < EXISTING_MAX) {
        add_other(w, object);
    } else if (strcmp(kind, "LimitRange") == 0) {
        admission_read_limits(object, &w->facts);
    } else if (strcmp(kind, a->target.kind) == 0 && strcmp(text_at(object, "metadata.name", ""), a->target.name) == 0) {
        w->facts.workload_missing = false;
        admission_read_workload(object, w->arena, &w->facts);
    }
}

static void gather(struct world *w, const struct admission *a, const struct tree *existing)
{
    w->facts.scalers = w->scalers;
    w->facts.others = w->others;
    w->facts.kind_missing = !is_built_in(&a->target);
    w->facts.workload_missing = true;
    for (const struct tree *o = existing ? existing->first : NULL; o; o = o->next)
        add_existing(w, a, o);
}

/* ------------------------------------------------------------------ the review */

/* A `check` case has only a part of a ScaledObject; a list of triggers gets a target into whose containers nobody looks. */
static const struct tree *object_of_part(struct world *w, const struct tree *in)
{
    const struct tree *spec = tree_at(in, "object.spec");
    struct text text;
    struct tree *out;

    text_init(&text, 1024 * 1024);
    text_add(&text, spec ? "{\"spec\":" : "{\"spec\":{\"scaleTargetRef\":{\"kind\":\"ReplicaSet\"},\"triggers\":");
    tree_write_json(spec ? spec : tree_get(in, "triggers"), &text);
    text_add(&text, spec ? "}" : "}}");
    if (!tree_read_json(text.bytes, text.length, false, w->arena, &out, NULL))
        out = NULL;
    text_done(&text);
    return out;
}

static enum admission_kind kind_of(const char *name)
{
    for (int kind = 0; kind < ADMIT_KINDS; kind++) {
        if (strcmp(admission_kind_name((enum admission_kind)kind), name) == 0)
            return (enum admission_kind)kind;
    }
    return ADMIT_SCALED_OBJECT; /* of a part */
}

static void read_review(struct world *w, const struct tree *c)
{
    const struct tree *in = tree_get(c, "in");
    bool part = strcmp(text_at(c, "kind", ""), "check") == 0;

    w->review.kind = kind_of(text_at(c, "type", ""));
    w->review.update = strcmp(text_at(in, "operation", ""), "update") == 0;
    tree_bool(tree_get(in, "dryRun"), &w->review.dry_run);
    w->review.object = part ? object_of_part(w, in) : tree_get(in, "object");
    w->review.old_object = tree_get(in, "oldObject");
}

/* ------------------------------------------------------------------ judging */

/* Which rules a part is about; the others may refuse it for what it lacks. */
static bool is_about(const char *part, const struct admission_answer *answer)
{
    const char *label = answer->label ? answer->label : "";

    if (strcmp(part, "replicaBounds") == 0)
        return strcmp(label, "incorrect-replicas") == 0;
    if (strcmp(part, "fallback") == 0)
        return strcmp(label, "incorrect-fallback") == 0 || strcmp(label, "scaling-modifiers-fallback") == 0;
    return strcmp(label, "incorrect-triggers") == 0;
}

static enum vector_outcome judge(const struct tree *c, const struct world *w, const struct admission_answer *answer,
                                 struct vector_result *result)
{
    const struct tree *expect = tree_get(c, "expect");
    const char *part = strcmp(text_at(c, "kind", ""), "check") == 0 ? text_at(c, "type", "") : NULL;
    bool wanted = false, allowed = answer->allowed || (part && !is_about(part, answer));
    int64_t warnings;

    tree_bool(tree_get(expect, "allowed"), &wanted);
    text_printf(&result->expected, "%s", wanted ? "allowed" : "refused");
    text_printf(&result->got, "%s%s", allowed ? "allowed" : "refused: ", allowed ? "" : answer->message);
    if (allowed != wanted) {
        if (!wanted && w->foreign_kind) {
            result->rule = "an autoscaler on a kind that is not there harms no object on another target";
            return VECTOR_DEVIATING;
        }
        if (!wanted && is_released(w->review.object)) {
            result->rule =
                "the opt-out of HPA ownership counts on the ScaledObject too, as documented (09-quirks B 20)";
            return VECTOR_DEVIATING;
        }
        return VECTOR_FAILED;
    }
    if (wanted && tree_integer(tree_get(expect, "warnings"), &warnings) &&
        warnings != (int64_t)answer->keda_warning_count) {
        text_printf(&result->expected, " with %d warnings", (int)warnings);
        text_printf(&result->got, " with %zu warnings", answer->keda_warning_count);
        return VECTOR_FAILED;
    }
    return VECTOR_PASSED;
}

enum vector_outcome vector_webhook(const struct tree *c, const char *path, struct vector_result *result)
{
    struct world w = {.arena = arena_new(ARENA_USUAL)};
    struct admission_answer answer;
    struct policy_settings settings;
    const struct admission *admission;
    enum vector_outcome outcome;

    (void)path; /* all is in the line */
    policy_settings_default(&settings);
    settings.mode = DECIDE_HPA;
    settings.keda_parity = true;
    read_review(&w, c);
    admission = admission_begin(w.arena, &w.review, &settings);
    gather(&w, admission, tree_at(c, "in.existing"));
    admission_decide(admission, &w.facts, &answer);
    outcome = judge(c, &w, &answer, result);
    arena_free(w.arena);
    return outcome;
}
