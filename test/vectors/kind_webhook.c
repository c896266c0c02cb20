/*
 * kind_webhook: what KEDA's admission webhook allows (TRIGGERS-FORMAT, "webhook"). The object is read and judged as `weir lint
 * --mode hpa --for keda` does; what exists already is read as further manifests.
 *
 * The webhook does not look into trigger parameters, so findings of the trigger tables do not count. Rules that ask a live
 * cluster (a target that does not exist, kinds without mapping, foreign autoscalers, updates) come with the webhook itself.
 */
#include "vectors.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/report.h"
#include "base/tree.h"
#include "manifest/manifest.h"
#include "policy/policy.h"

enum { OBJECT_MAX_BYTES = 1024 * 1024, EXISTING_MAX = 64 };

struct set {
    struct manifest *manifests[EXISTING_MAX];
    size_t count;
    struct report *report;
};

/* ------------------------------------------------------------------ reading */

static void add_json(struct set *set, const char *file, const char *bytes, size_t length, struct report *report)
{
    if (set->count < EXISTING_MAX)
        manifest_read(file, bytes, length, NULL, report, &set->manifests[set->count++]);
}

static void add_tree(struct set *set, const char *file, const struct tree *object, struct report *report)
{
    struct text text;

    text_init(&text, OBJECT_MAX_BYTES);
    tree_write_json(object, &text);
    add_json(set, file, text.bytes, text.length, report);
    text_done(&text);
}

/* A `check` case has only a part of a ScaledObject. */
static void add_part(struct set *set, const struct tree *in, struct report *report)
{
    static const char head[] =
        "{\"apiVersion\":\"keda.sh/v1alpha1\",\"kind\":\"ScaledObject\",\"metadata\":{\"name\":\"so\"},\"spec\":";
    const struct tree *spec = tree_at(in, "object.spec"), *triggers = tree_get(in, "triggers");
    struct text text;

    text_init(&text, OBJECT_MAX_BYTES);
    text_add(&text, head);
    if (spec) {
        tree_write_json(spec, &text);
    } else {
        text_add(&text, "{\"triggers\":");
        tree_write_json(triggers, &text);
        text_add(&text, "}");
    }
    text_add(&text, "}");
    add_json(set, "object", text.bytes, text.length, report);
    text_done(&text);
}

/* ------------------------------------------------------------------ judging */

/* Of the trigger's own table: nothing the webhook looks at. */
static bool is_about_parameters(const struct finding *f)
{
    static const char *const codes[] = {"metric-type",   "unknown-trigger-type", "missing-parameter",
                                        "bad-parameter", "removed-parameter",    "trigger-not-built-in"};

    if (!strncmp(f->field, "spec.triggers[", 14) && strstr(f->field, "].metadata"))
        return true;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (strcmp(f->code, codes[i]) == 0)
            return true;
    }
    return false;
}

/* The CRD's schema, which the API server applies before any webhook. */
static bool is_of_schema(const struct finding *f)
{
    static const char *const codes[] = {"bad-range",    "wrong-type",       "unknown-value",
                                        "invalid-name", "missing-required", "unknown-kind"};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (strcmp(f->code, codes[i]) == 0)
            return true;
    }
    return false;
}

static bool is_refusal(const struct finding *f)
{
    return f->severity == FINDING_ERROR && f->place.file && strcmp(f->place.file, "object") == 0 &&
           !is_about_parameters(f);
}

/* A part of an object lacks what its schema demands; that is not what the case asks. */
static bool is_of_part(const struct finding *f, const char *type)
{
    bool bounds = strstr(f->field, "ReplicaCount") != NULL && strcmp(f->code, "scale-to-zero") != 0;

    if (strcmp(type, "replicaBounds") == 0)
        return bounds;
    if (strcmp(type, "fallback") == 0)
        return strstr(f->field, "fallback") != NULL;
    return strcmp(f->code, "cached-metrics") == 0 || strcmp(f->code, "duplicate-trigger-name") == 0 ||
           (strcmp(f->field, "spec.triggers") == 0 && strcmp(f->code, "missing-required") == 0);
}

static const struct finding *first_refusal(const struct report *report, const char *part, bool schema)
{
    for (size_t i = 0; i < report_count(report); i++) {
        const struct finding *f = report_at(report, i);

        if (is_refusal(f) && is_of_schema(f) == schema && (!part || is_of_part(f, part)))
            return f;
    }
    return NULL;
}

static int64_t count_warnings(const struct report *report)
{
    int64_t count = 0;

    for (size_t i = 0; i < report_count(report); i++) {
        const struct finding *f = report_at(report, i);

        count += strcmp(f->code, "no-effect") == 0 &&
                 (strcmp(f->field, "spec.pollingInterval") == 0 || strcmp(f->field, "spec.cooldownPeriod") == 0);
    }
    return count;
}

static enum vector_outcome judge(const struct tree *expect, const struct report *report, const char *part,
                                 struct vector_result *result)
{
    const struct finding *rule = first_refusal(report, part, false), *schema = first_refusal(report, part, true);
    bool allowed = false;
    int64_t warnings;

    tree_bool(tree_get(expect, "allowed"), &allowed);
    text_printf(&result->expected, "%s", allowed ? "allowed" : "refused");
    text_printf(&result->got, "%s%s%s", rule || schema ? "refused: " : "allowed",
                rule     ? rule->text
                : schema ? schema->text
                         : "",
                rule || schema ? "" : ", for nothing we check");
    if (allowed != !(rule || schema)) {
        if (allowed && !rule) {
            result->rule = "the CRD's schema refuses it before the webhook sees it";
            return VECTOR_DEVIATING;
        }
        if (allowed && strstr(rule->field, "activationTarget")) {
            result->rule = "an activationTarget that is no number is refused when it is written, not at every poll "
                           "(09-quirks B 16)";
            return VECTOR_DEVIATING;
        }
        return VECTOR_FAILED;
    }
    if (allowed && tree_integer(tree_get(expect, "warnings"), &warnings) && warnings != count_warnings(report)) {
        text_printf(&result->expected, " with %d warnings", (int)warnings);
        text_printf(&result->got, " with %d warnings", (int)count_warnings(report));
        return VECTOR_FAILED;
    }
    return VECTOR_PASSED;
}

enum vector_outcome vector_webhook(const struct tree *c, const char *path, struct vector_result *result)
{
    const struct tree *in = tree_get(c, "in"), *existing = tree_get(in, "existing");
    bool part = string_equal(tree_string(tree_get(c, "kind")), "check"), dry = false;
    struct set set = {.report = report_new()};
    struct report *unheard = report_new();
    struct policy_settings settings;
    struct policy_context context = {.settings = &settings};
    enum vector_outcome outcome;

    (void)path; /* all is in the line */
    tree_bool(tree_get(in, "dryRun"), &dry);
    for (const struct tree *o = existing ? existing->first : NULL; o; o = o->next) {
        if (!dry || !tree_at(o, "spec.template")) /* on a dry run the webhook does not look at workloads */
            add_tree(&set, "existing", o, unheard);
    }
    if (part)
        add_part(&set, in, set.report);
    else
        add_tree(&set, "object", tree_get(in, "object"), set.report);
    policy_settings_default(&settings);
    settings.mode = DECIDE_HPA;
    settings.keda_parity = true;
    policy_lint((const struct manifest *const *)set.manifests, set.count, &context, set.report);
    outcome = judge(tree_get(c, "expect"), set.report, part ? tree_string(tree_get(c, "type")) : NULL, result);
    for (size_t i = 0; i < set.count; i++)
        manifest_free(set.manifests[i]);
    report_free(set.report);
    report_free(unheard);
    return outcome;
}
