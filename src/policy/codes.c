/*
 * codes: see codes.h. One row per code: what `weir lint --explain` and docs/lint.md say, and the rules of SARIF. A test proves
 * that each has an example in test/lint/ that produces it, and that no finding has a code that is not here.
 */
#include "policy/codes.h"

#include <string.h>

#include "base/text.h"

/* clang-format off */
static const struct lint_code codes[] = {
    /* Files and documents */
    {"yaml-syntax", FINDING_ERROR, "Files and documents", "the document is not YAML",
     "A document is not YAML. The message names the line, and says so when a tab or a template "
     "expression (`{{ }}`) is the reason. The other documents of the file are checked all the same."},
    {"placeholder", FINDING_ERROR, "Files and documents", "a template's placeholder was not replaced",
     "Something that a template engine, `envsubst` or kustomize should have replaced is still there: "
     "`${REGION}`, `$(NAME)`, `$NAME`, `{{ .Values.x }}`, `<your-account>`, or `{name}`, which YAML "
     "reads as a mapping. A warning where the text is legal, an error where it is not. Formulas and "
     "queries are left alone unless the text can mean nothing else."},
    {"not-a-manifest", FINDING_ERROR, "Files and documents", "the document is no Kubernetes object",
     "A document without `apiVersion` and `kind` (a warning: it is skipped), or one that is no mapping "
     "at all (an error)."},
    {"duplicate-key", FINDING_WARNING, "Files and documents", "a mapping has a key twice",
     "A mapping has the same key twice. The last one counts; strict readers refuse the file."},
    {"limit", FINDING_ERROR, "Files and documents", "a bound of Weir's is hit",
     "A bound of Weir's is hit; the message names it. Files, findings, objects, triggers, scaling "
     "policies, replicas and formulas have bounds."},
    {"deprecated-api", FINDING_ERROR, "Files and documents", "an API group or version of the past",
     "The API group or version is of the past: `keda.k8s.io` (KEDA 1), workloads before `apps/v1`. The "
     "remedy names the present one."},
    {"unknown-api", FINDING_ERROR, "Files and documents", "an apiVersion that KEDA's kinds do not have",
     "The kind is KEDA's, the `apiVersion` is not. Write `keda.sh/v1alpha1`."},
    {"unknown-kind", FINDING_ERROR, "Files and documents", "a kind that KEDA does not have",
     "There is no such kind in KEDA's group. The nearest one is named."},
    {"generated-name", FINDING_WARNING, "Files and documents", "generateName in place of a name",
     "`metadata.generateName` without a name: the API server would make one, here the object goes by "
     "the prefix."},
    {"invalid-name", FINDING_ERROR, "Files and documents", "a name that Kubernetes does not allow",
     "A name or namespace that Kubernetes does not allow."},
    {"name-too-long", FINDING_ERROR, "Files and documents", "a name that is too long for what is made of it",
     "The name of a ScaledObject becomes a label, and part of its autoscaler's name: 63 characters "
     "each."},
    {"duplicate-object", FINDING_WARNING, "Files and documents", "an object is there twice",
     "The same object is in two places of the files given. The one read last counts."},
    /* Fields */
    {"unknown-field", FINDING_WARNING, "Fields", "a field that does not exist",
     "There is no such field, so it does nothing: the API server drops it in silence. A near name is "
     "suggested."},
    {"misplaced-field", FINDING_WARNING, "Fields", "a field in the wrong place",
     "The field exists, elsewhere: `triggers` outside of `spec`, `behavior` beside "
     "`horizontalPodAutoscalerConfig`, `metricType` or `minReplicaCount` inside a trigger's "
     "`metadata`. The message names the right place. A warning, or an error where the value has the "
     "wrong type for its place."},
    {"deprecated-field", FINDING_WARNING, "Fields", "a field of KEDA 1",
     "A field of KEDA 1, such as `deploymentName`. It does nothing now; the remedy says what became of "
     "it."},
    {"missing-required", FINDING_ERROR, "Fields", "a required field is absent",
     "A required field is absent or empty. The message mentions a key that may be a slip of the pen, "
     "or the field one level further out."},
    {"empty-value", FINDING_ADVICE, "Fields", "a field without a value",
     "A field or parameter is there, with nothing behind it: it counts as absent. Most often a template was "
     "rendered without the value it needed (`maxReplicaCount: {{ .Values.max }}`)."},
    {"wrong-type", FINDING_ERROR, "Fields", "a value of the wrong type",
     "A number where a string is due (`value: 50` in `metadata`: write `\"50\"`), a string where a "
     "number is due, a duration where a count of seconds is due (`30s`: write `30`), a mapping where a "
     "list is due."},
    {"bad-range", FINDING_ERROR, "Fields", "a number out of its range",
     "A number below or above what its field allows."},
    {"unknown-value", FINDING_ERROR, "Fields", "a word that the field does not take",
     "A word that is not among those the field takes. All of them are listed."},
    {"bad-quantity", FINDING_ERROR, "Fields", "not a Kubernetes quantity",
     "Not a Kubernetes quantity (`500m`, `2`, `1.5Gi`)."},
    {"bad-number", FINDING_ERROR, "Fields", "not a decimal number",
     "A text that should hold a decimal number does not: `target`, `activationTarget`, "
     "`customScalingRunningJobPercentage`."},
    {"bad-url", FINDING_ERROR, "Fields", "not an absolute address",
     "Not an absolute http or https address: it begins with a scheme (`http://prom:9090`, not `prom:9090`)."},
    {"bad-base64", FINDING_ERROR, "Fields", "not base64",
     "`data` of a Secret or `binaryData` of a ConfigMap is not base64. The value is not quoted."},
    {"bad-selector", FINDING_ERROR, "Fields", "not a label selector",
     "A label selector that cannot be read: the operators are In, NotIn, Exists and DoesNotExist."},
    {"conflict", FINDING_ERROR, "Fields", "two fields that exclude each other",
     "Two fields that exclude each other are both there."},
    /* Replicas, triggers, fallback */
    {"min-max", FINDING_ERROR, "Replicas, triggers, fallback", "the minimum is above the maximum",
     "`minReplicaCount` is above `maxReplicaCount` (for a ScaledJob a warning: the maximum counts for "
     "both)."},
    {"idle", FINDING_ERROR, "Replicas, triggers, fallback", "idleReplicaCount is not below the minimum",
     "`idleReplicaCount` must be less than `minReplicaCount`. If both are equal, leave it out."},
    {"scale-to-zero", FINDING_ERROR, "Replicas, triggers, fallback", "cpu and memory cannot wake an object from 0",
     "With only `cpu` and `memory` triggers the minimum must be at least 1: neither can be measured at "
     "0 replicas."},
    {"cached-metrics", FINDING_ERROR, "Replicas, triggers, fallback", "useCachedMetrics where there is nothing to cache",
     "`useCachedMetrics` is not possible for `cpu`, `memory` and `cron`."},
    {"duplicate-trigger-name", FINDING_ERROR, "Replicas, triggers, fallback", "two triggers of one name",
     "Two triggers have the same name: a formula could not tell them apart."},
    {"fallback-unusable", FINDING_ERROR, "Replicas, triggers, fallback", "a fallback that no trigger can use",
     "`fallback` needs a trigger that is not `cpu` or `memory`."},
    {"fallback-formula", FINDING_ERROR, "Replicas, triggers, fallback", "a fallback by formula without one",
     "`fallback.behavior: scalingModifiers` needs a formula."},
    {"no-effect", FINDING_ADVICE, "Replicas, triggers, fallback", "a setting without effect",
     "A setting that has no effect here: `cooldownPeriod` with a minimum above 0, `metricType` in a "
     "ScaledJob. Advice."},
    {"two-owners", FINDING_ERROR, "Replicas, triggers, fallback", "two owners of one target",
     "Two ScaledObjects scale the same target, or would own the same autoscaler. Put the triggers of "
     "both into one object."},
    {"unknown-target", FINDING_WARNING, "Replicas, triggers, fallback", "a kind of target that cannot be found",
     "`scaleTargetRef` names a kind of Kubernetes in the wrong spelling (`deployment` for `Deployment`), or in an "
     "API version that is gone (`extensions/v1beta1`): the target is not found, and KEDA's admission refuses it."},
    {"missing-target", FINDING_ADVICE, "Replicas, triggers, fallback", "the scale target is not in the files",
     "The scale target is not in the files given, although other workloads are. Advice."},
    {"missing-authentication", FINDING_WARNING, "Replicas, triggers, fallback", "the TriggerAuthentication is not in the files",
     "The TriggerAuthentication is not in the files given: a warning where others are, advice where "
     "none is. While running: the credential cannot be resolved, and the trigger counts as failed "
     "until it can."},
    {"host-not-allowed", FINDING_ERROR, "Replicas, triggers, fallback", "a credential for other hosts",
     "`weir.dev/allowed-hosts` of the TriggerAuthentication or ClusterTriggerAuthentication names the hosts that its "
     "credential may be sent to, and the trigger asks another one: it is refused before anything is sent."},
    {"missing-requests", FINDING_WARNING, "Replicas, triggers, fallback", "a share of a request that is not there",
     "Utilization is a share of what the container requests, and it requests nothing. KEDA refuses it."},
    {"bad-annotation", FINDING_ERROR, "Replicas, triggers, fallback", "an annotation that cannot be read",
     "The value of an annotation of Weir or KEDA cannot be read, or (when it is run) not be had here: "
     "`hpa` on one machine. For KEDA's booleans a warning, because KEDA takes any other text for true."},
    {"bad-slo", FINDING_ERROR, "Replicas, triggers, fallback", "an SLO that cannot be judged",
     "The formula of `weir.dev/slo` cannot be compiled, gives a text or a list, or has a function that remembers "
     "(`ema`, `held` ...): an SLO is judged by what is known at the moment of a decision, and by the history of the "
     "triggers. It may use their names, those of the state of the target, and every other function."},
    {"unknown-annotation", FINDING_WARNING, "Replicas, triggers, fallback", "an annotation that means nothing",
     "The annotation begins with `weir.dev/` or `autoscaling.keda.sh/`, but there is none of that name "
     "(or it means nothing on this kind)."},
    {"mean-as-total", FINDING_ADVICE, "Replicas, triggers, fallback", "a mean taken for a total",
     "`AverageValue`, the default, takes a total and asks for ceil(value / threshold). `avg(...)` and "
     "quantiles do not grow with the fleet: four replicas with 12 waiting each and a threshold of 5 "
     "become three. Take the sum, or write `metricType: Value`, which multiplies by the replicas that "
     "are ready."},
    {"ratio-as-total", FINDING_WARNING, "Replicas, triggers, fallback", "a ratio taken for a total",
     "The same with a ratio: a share is never above 1, so `AverageValue` never asks for more than "
     "ceil(1 / threshold) replicas. A warning where the query is bounded by its own form (a part of a "
     "metric divided by the whole), advice where it only looks like a ratio or is cut off by "
     "`clamp_max`."},
    {"total-under-value", FINDING_ADVICE, "Replicas, triggers, fallback", "a total under metricType Value",
     "`Value` multiplies by the replicas that are ready, so it needs a measure that sinks when "
     "replicas are added. A total (`sum(...)`, `count(...)`) does not: above the threshold it asks for "
     "more with every replica, up to the maximum."},
    {"counts-itself", FINDING_WARNING, "Replicas, triggers, fallback", "a trigger that counts the pods it scales",
     "The `podSelector` of a `kubernetes-workload` trigger finds the pods of the scale target itself, so that the "
     "number of replicas follows the number of replicas: with `value: \"1\"` nothing is ever taken away, below that it "
     "runs up to the maximum."},
    {"window-shorter-than-poll", FINDING_WARNING, "Replicas, triggers, fallback", "a window that is shorter than the time between polls",
     "A window of the formula (`avg_over(x, \"10s\")`) that holds one sample or none, because x is asked "
     "less often; functions that compare need two. Or a range in a PromQL query (`rate(x[1m])`) that "
     "ends before the previous poll, so that what happens in between is never seen. Above 0 replicas a "
     "trigger is asked every 15 s or `pollingInterval`, whichever is less; at 0, with "
     "`useCachedMetrics` and in a ScaledJob every `pollingInterval`. Advice where it only concerns 0 "
     "replicas."},
    {"cooldown-shorter-than-poll", FINDING_ADVICE, "Replicas, triggers, fallback", "a cooldown that is over at the first quiet poll",
     "`cooldownPeriod` is shorter than the time between two polls, so that one poll without activity "
     "takes the last replica away. `cooldownPeriod: 0` says that on purpose and is not mentioned. From "
     "many replicas to one it has no say in any case: that is `stabilizationWindowSeconds`."},
    /* Trigger parameters */
    {"cooldown-holds-the-last", FINDING_ADVICE, "Replicas, triggers, fallback", "a cooldown that holds only the last replica",
     "`cooldownPeriod` delays the step to 0 (or to `idleReplicaCount`) and no other. While the object is active, "
     "replicas that are not needed go after the stabilization of `scaleDown`, 5 minutes where `behavior` says "
     "nothing. A cooldown that is longer than that, without `behavior`, often was meant for all of them."},
    {"unknown-trigger-type", FINDING_ERROR, "Trigger parameters", "a trigger type that does not exist",
     "There is no such trigger type. `weir triggers` lists all."},
    {"negative-target", FINDING_ERROR, "Trigger parameters", "a target below 0",
     "No number of replicas reaches a target below 0; the trigger counts as failed."},
    {"parameters-not-checked", FINDING_ADVICE, "Trigger parameters", "parameters of a type that is not built in",
     "The trigger type is KEDA's, but Weir cannot ask it (when it is run, the trigger counts as failed). "
     "Only its required parameters, the words some take, and removed ones were looked at."},
    {"missing-parameter", FINDING_ERROR, "Trigger parameters", "a required parameter is absent",
     "A required parameter is absent. The message mentions a key that resembles it, or another type "
     "that has these parameters."},
    {"unknown-parameter", FINDING_WARNING, "Trigger parameters", "a parameter that the type does not have",
     "The type has no such parameter, so it does nothing. A near name is suggested."},
    {"bad-parameter", FINDING_ERROR, "Trigger parameters", "a value that the parameter cannot take",
     "A value that the parameter cannot take: a number with a unit (`5ms`, `80%`), a word that is not among "
     "those it knows, a schedule or address that cannot be read."},
    {"suspicious-parameter", FINDING_WARNING, "Trigger parameters", "a value that is hardly meant",
     "A value that is accepted but is hardly meant."},
    {"removed-parameter", FINDING_ERROR, "Trigger parameters", "a parameter that KEDA has removed",
     "KEDA has removed the parameter; the remedy says what took its place."},
    {"ignored-parameter", FINDING_ADVICE, "Trigger parameters", "a parameter without effect",
     "The parameter is accepted without effect (`metricName`). Advice."},
    {"metric-type", FINDING_ERROR, "Trigger parameters", "a metricType that does not fit",
     "`metricType` does not fit: `AverageValue` or `Value` for external types, `Utilization` or "
     "`AverageValue` (required) for `cpu` and `memory`."},
    /* Formulas */
    {"formula-missing", FINDING_ERROR, "Formulas", "scalingModifiers without a formula",
     "`scalingModifiers` is there without a formula. An empty mapping is fine: it means off."},
    {"formula-syntax", FINDING_ERROR, "Formulas", "the formula cannot be parsed",
     "The formula cannot be parsed. Line and column refer to the formula."},
    {"formula-type", FINDING_ERROR, "Formulas", "the formula gives no number",
     "A part of the formula has the wrong type, or its result is no number. `a > 5` alone is a "
     "boolean: write `a > 5 ? 1 : 0`."},
    {"formula-unknown-name", FINDING_ERROR, "Formulas", "a name in the formula that no trigger has",
     "A name that no trigger has. Names with dashes are read as subtraction: rename the trigger, or "
     "write `$env[\"queue-size\"]`."},
    {"formula-unnamed-trigger", FINDING_ERROR, "Formulas", "triggers without the names a formula needs",
     "A formula knows triggers by their `name`; these have none. As a warning: the other names "
     "suffice, but the nameless trigger does nothing."},
    {"formula-resource-trigger", FINDING_ERROR, "Formulas", "a cpu or memory trigger in the formula",
     "`cpu` and `memory` triggers have no value that a formula could use; they keep their own target "
     "beside it."},
    {"formula-ignores-triggers", FINDING_ERROR, "Formulas", "the formula reads no trigger",
     "The formula reads no trigger (nor the calendar, nor the state of the target), so it cannot "
     "follow the load. `target` is the target value, not a metric."},
    {"formula-unused-trigger", FINDING_ADVICE, "Formulas", "a trigger that the formula does not use",
     "The formula does not use this trigger. Advice."},
    {"formula-target", FINDING_ERROR, "Formulas", "a formula's target is missing or not above 0",
     "`target` is missing where it is required (`--mode hpa`, `--for keda`), is not above 0, or is "
     "used in the formula without being set."},
    {"formula-without-target", FINDING_ADVICE, "Formulas", "a formula that only switches",
     "Without `target` the formula decides activation only. KEDA refuses it; Weir keeps max(1, "
     "minimum) replicas while it is active. Advice."},
    {"formula-fails", FINDING_WARNING, "Formulas", "the formula fails when it is tried",
     "With every trigger at -1, which is how KEDA tries a formula, it fails."},
    {"formula-division-by-zero", FINDING_WARNING, "Formulas", "a division by a value that can be 0",
     "A divisor can be 0, and no condition around it says otherwise. The result is then no number: "
     "nothing is decided from it until it is one again."},
    {"formula-never-active", FINDING_WARNING, "Formulas", "the object can never become active",
     "The largest value the formula can have does not reach the activation value: the object never "
     "leaves 0. Without `weir.dev/strict-activation`, an explicit `activationTarget` is reached when "
     "the value equals it; in `hpa` mode it must be above."},
    {"formula-always-active", FINDING_ADVICE, "Formulas", "the object is always active",
     "The least value is above the activation value: the object never returns to 0. Advice."},
    {"formula-needs-replicas", FINDING_WARNING, "Formulas", "a division by a number of pods",
     "The formula divides by a number of pods. At 0 replicas that is 0: a warning where the object may "
     "scale to zero; advice, that says what `minReplicaCount` is good for, where it may not."},
    {"average-value", FINDING_ADVICE, "Formulas", "a value per pod taken for a total",
     "With `AverageValue` the answer is ceil(value / target), however many replicas run. A value that "
     "was divided by the pods is per replica already, and usually `metricType: Value` is meant: "
     "ceil(ready replicas x value / target). Advice."},
    {"threshold-ignored", FINDING_ADVICE, "Formulas", "a threshold that does not count beside a formula",
     "A trigger's own threshold does not count beside a formula. Advice, where it differs from the "
     "formula's target."},
    {"formula-positive-feedback", FINDING_WARNING, "Formulas", "a value that rises when replicas are added",
     "The value rises with the number of pods: each new replica raises it, and it asks for the next "
     "one, up to the maximum. So it is with what is divided by work and multiplied by pods (`1 / "
     "(tokens_per_min / pods)`: more pods, fewer tokens for each), and under `metricType: Value` with "
     "everything that grows with the pods, because `Value` multiplies by them once more. Follow the "
     "load itself: a total does not change when pods are added. `replicas + step` and `mean * "
     "replicas` under `AverageValue` are no feedback."},
    {"formula-below-target", FINDING_WARNING, "Formulas", "the result cannot reach the target",
     "The largest value the formula can have does not ask for more than the minimum (or one replica): "
     "the object never grows, whatever `maxReplicaCount` says. Advice where the formula is a switch, 0 "
     "or 1, for then it may be meant."},
    {"formula-saturates", FINDING_ADVICE, "Formulas", "the result stays below the maximum",
     "The largest value the formula can have asks for fewer replicas than `maxReplicaCount` allows, so "
     "that the maximum is never reached."},
    {"formula-missing-value", FINDING_ADVICE, "Formulas", "a missing value would be the best case",
     "When a source answers without a value, nothing is taken away for `weir.dev/missing-hold`; after "
     "that, or at once with `ignoreNullValues: \"true\"` and in KEDA, the value counts as 0. Here the "
     "formula is at its largest at 0 (`queue < 1000 ? 1 : 0`), so a source that is down looks like the "
     "best case. Say what no value means: `(queue ?? 1000000) < 1000 ? 1 : 0`, `missing(queue)`, or "
     "`ignoreNullValues: \"false\"`."},
    {"formula-shadowed-name", FINDING_ADVICE, "Formulas", "a trigger's name hides one of Weir's",
     "A trigger is called like a function or like a name for the state of the target (`replicas`, "
     "`target`, `rate`): the trigger wins, and the other cannot be reached."},
    {"divided-twice", FINDING_WARNING, "Formulas", "the capacity of a replica is divided by twice",
     "`target` (or `threshold`) says what one replica carries, and the value is divided by it. A "
     "formula or query that divides by the same number once more makes that number its square: "
     "`ceil(queue / 10)` with `target: \"10\"` is one replica for 100. A warning where `ceil()` shows "
     "that replicas were counted, else advice."},
    {"spare-within-tolerance", FINDING_ADVICE, "Formulas", "a spare that the tolerance swallows",
     "`busy + 1` asks for one replica more than are busy. But nothing moves while the ratio of value "
     "to target is within the tolerance, 0.1 by default: with ten or more replicas at work, one more "
     "is within it. Set `scaleUp.tolerance: \"0\"` in `behavior`."},
    /* Silencing */
    {"unused-allow", FINDING_WARNING, "Silencing", "a comment that silences nothing",
     "A `# weir:allow` that no finding answers to: the fault is gone, or the comment stands on the "
     "wrong line. Remove it, so that it does not hide the next fault."},
    {"bad-allow", FINDING_WARNING, "Silencing", "a comment that cannot be read",
     "`# weir:allow` without a code, with a code that does not exist, or without a reason."},
    /* The local platform */
    {"local-no-command", FINDING_ERROR, "The local platform", "a container without a command",
     "Images are not run on a single machine, so the container needs a `command`."},
    {"local-unsupported", FINDING_ERROR, "The local platform", "a field that has no meaning on one machine",
     "A field that has no meaning here and would change what the workload does: init containers, "
     "volumes other than Secret, ConfigMap and emptyDir, volume claims, gRPC probes, targets other "
     "than Deployment and StatefulSet."},
    {"local-ignored", FINDING_WARNING, "The local platform", "something that does not happen on one machine",
     "Something that does not happen here, without which the workload still runs: further containers, "
     "lifecycle hooks. A warning."},
    {"local-volume", FINDING_ADVICE, "The local platform", "a volume without a mount point",
     "There are no mount points: the files of the volume are in `$WEIR_VOLUMES/<name>`. Advice."},
    {"selector-mismatch", FINDING_ERROR, "The local platform", "a selector that does not select its own pods",
     "The selector of a workload does not match the labels of its template."},
};
/* clang-format on */
enum { CODES = sizeof(codes) / sizeof(codes[0]) };

const struct lint_code *lint_codes(size_t *count)
{
    *count = CODES;
    return codes;
}

const struct lint_code *lint_code_find(const char *code)
{
    for (size_t i = 0; i < CODES; i++) {
        if (strcmp(codes[i].code, code) == 0)
            return &codes[i];
    }
    return NULL;
}

const char *lint_code_nearest(const char *code)
{
    const char *names[CODES];

    for (size_t i = 0; i < CODES; i++)
        names[i] = codes[i].code;
    return string_nearest(code, names, CODES);
}

/* Broken into lines of the page's width. */
static void write_paragraph(const char *text, struct text *out)
{
    size_t column = 0;

    while (*text) {
        size_t length = strcspn(text, " ");

        if (column > 0 && column + 1 + length > LINT_PAGE_COLUMNS) {
            text_add_char(out, '\n');
            column = 0;
        } else if (column > 0) {
            text_add_char(out, ' ');
            column++;
        }
        text_printf(out, "%.*s", (int)length, text);
        column += length;
        text += length + strspn(text + length, " ");
    }
    text_add_char(out, '\n');
}

void lint_code_write(const struct lint_code *code, struct text *out)
{
    text_printf(out, "### %s\n*%s*: %s.\n\n", code->code, finding_severity_name(code->severity), code->title);
    write_paragraph(code->text, out);
}

void lint_codes_write(struct text *out)
{
    const char *group = "";

    for (size_t i = 0; i < CODES; i++) {
        if (strcmp(group, codes[i].group) != 0)
            text_printf(out, "%s## %s\n", i ? "\n" : "", codes[i].group);
        group = codes[i].group;
        text_add_char(out, '\n');
        lint_code_write(&codes[i], out);
    }
}
