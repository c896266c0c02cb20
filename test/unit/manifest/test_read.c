/* Files, documents, Lists and kinds; what is not YAML; placeholders. */
#include "check.h"

#define GOOD     SPEC
#define HUNDRED  "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
#define HUNDREDS HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED
static const struct check_row rows[] = {
    {"nothing", "", ""},
    {"only comments", "# a\n---\n# b\n", ""},
    {"documents", GOOD "---\n" GOOD, ""},
    {"JSON",
     "{\"apiVersion\":\"keda.sh/"
     "v1alpha1\",\"kind\":\"ScaledObject\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"scaleTargetRef\":{\"name\":\"a\"},"
     "\"minReplicaCount\":\"1\",\"triggers\":[{\"type\":\"cron\",\"metadata\":{}}]}}",
     "error wrong-type spec.minReplicaCount\n"},
    {"byte order mark and Windows line ends",
     "\xEF\xBB\xBF"
     "apiVersion: v1\r\nkind: Service\r\nmetadata:\r\n  name: a\r\n",
     ""},
    {"foreign kinds",
     "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nzebra: 1\n---\napiVersion: example.com/v1\nkind: "
     "Deployment\nspec: 5\n",
     ""},
    {"a tab", HEAD "spec:\n\tscaleTargetRef: {name: a}\n", "error yaml-syntax line 5\n", "tabs"},
    {"Helm", HEAD "spec:\n  {{- if .Values.x }}\n  a: b\n  {{- end }}\n", "error yaml-syntax line 5\n",
     "helm template"},
    {"one broken document of three", GOOD "---\na: b: c\n---\n" GOOD "  zebra: 1\n",
     "error yaml-syntax line 8\nwarning unknown-field spec.zebra\n"},
    {"a list", "- a\n", "error not-a-manifest \n"},
    {"values of a chart", "replicas: 5\nimage: x\n", "warning not-a-manifest \n"},
    {"no kind", "apiVersion: keda.sh/v1alpha1\nmetadata: {name: a}\n", "error missing-required kind\n"},
    {"no version",
     "kind: ScaledObject\nmetadata: {name: a}\nspec:\n  scaleTargetRef: {name: app}\n  triggers: [" CRON "]\n",
     "error missing-required apiVersion\n"},
    {"KEDA 1",
     "apiVersion: keda.k8s.io/v1alpha1\nkind: ScaledObject\nmetadata: {name: a}\nspec:\n  scaleTargetRef: "
     "{deploymentName: a, containerName: c}\n  triggers: [" CRON "]\n",
     "error deprecated-api apiVersion\nerror missing-required spec.scaleTargetRef.name\nwarning deprecated-field "
     "spec.scaleTargetRef.deploymentName\n"
     "warning deprecated-field spec.scaleTargetRef.containerName\n",
     "keda.sh/v1alpha1"},
    {"old authentication",
     "apiVersion: keda.k8s.io/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: a}\nspec: {}\n",
     "error deprecated-api apiVersion\n"},
    {"no such version", "apiVersion: keda.sh/v1\nkind: TriggerAuthentication\nmetadata: {name: a}\nspec: {}\n",
     "error unknown-api apiVersion\n", "keda.sh/v1alpha1"},
    {"misspelt kind", "apiVersion: keda.sh/v1alpha1\nkind: ScaleObject\nmetadata: {name: a}\n",
     "error unknown-kind kind\n", "ScaledObject"},
    {"old Deployment",
     "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: a}\nspec: {selector: {matchLabels: {a: b}}, "
     "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c}]}}}\n",
     "error deprecated-api apiVersion\n", "apps/v1"},
    {"List",
     "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service}\n- {apiVersion: keda.sh/v1alpha1, kind: "
     "ScaledObject, metadata: {name: a}, spec: {scaleTargetRef: {name: a}, maxReplicaCount: 0, triggers: [" CRON
     "]}}\n",
     "error bad-range items[1].spec.maxReplicaCount\n"},
    {"typed list",
     "apiVersion: keda.sh/v1alpha1\nkind: ScaledObjectList\nitems:\n- {metadata: {name: a}, spec: {scaleTargetRef: "
     "{name: a}, maxReplicaCount: 0, triggers: [" CRON "]}}\n",
     "error bad-range items[0].spec.maxReplicaCount\n"},
    {"server fields",
     "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: a, uid: u, resourceVersion: \"1\", "
     "managedFields: [], generation: 3, creationTimestamp: null}\n"
     "spec:\n  scaleTargetRef: {name: a}\n  triggers: [" CRON "]\nstatus: {anything: 5}\n",
     ""},
    {"name", "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: My_Auth}\nspec: {}\n",
     "error invalid-name metadata.name\n"},
    {"no name", "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nspec: {}\n",
     "error missing-required metadata.name\n"},
    {"generated name",
     "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {generateName: a-}\nspec: {}\n",
     "warning generated-name metadata.name\n"},
    {"braces",
     "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: {name}}\nspec: {secretTargetRef: "
     "[{parameter: {p}, name: a, key: b}]}\n",
     "error placeholder metadata.name\nerror placeholder spec.secretTargetRef[0].parameter\n", "{name}"},
    {"variables",
     HEAD "spec:\n  scaleTargetRef: {name: \"${APP}\"}\n  minReplicaCount: ${MIN}\n  triggers: [{type: x, metadata: "
          "{url: \"http://$HOST/$(path)\", region: <your-region>, query: 'a <b and c> d$', x: '{{ .Values.x }}'}}]\n",
     "warning placeholder spec.scaleTargetRef.name\nerror placeholder spec.minReplicaCount\nwarning placeholder "
     "spec.triggers[0].metadata.url\n"
     "warning placeholder spec.triggers[0].metadata.region\nwarning placeholder spec.triggers[0].metadata.x\n",
     "${APP}"},
    {"no end nearby",
     HEAD "spec:\n  scaleTargetRef: {name: a}\n  triggers: [{type: x, metadata: {x: '{{ " HUNDREDS
          " }}', y: '${A:-" HUNDREDS "}', z: '{{ 1 }}'}}]\n",
     "warning placeholder spec.triggers[0].metadata.z\n"},
    {"a variable as the own name",
     "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: \"${NAME}\"}\nspec: {}\n",
     "error placeholder metadata.name\n"},
    {"dollars that belong there",
     HEAD "spec:\n  scaleTargetRef: {name: a}\n  triggers: [{type: x, metadata: {query: 'rate(a{b=~\"x.*$\"}[1m])', "
          "filter: '{\"a\": {\"$gte\": 1}}', sql: 'select $1'}}]\n",
     ""},
    {"the shell's variables",
     "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {selector: {matchLabels: {a: b}}, template: "
     "{metadata: {labels: {a: b}}, spec: {containers: [{name: c, command: [sh, -c, 'echo ${HOME} $USER']}]}}}\n",
     ""},
};

static void test_read(void **state)
{
    (void)state;
    check_rows(rows, sizeof(rows) / sizeof(rows[0]), false);
}

static void test_values(void **state)
{
    struct checked c;
    const struct scaled_object *o;

    (void)state;
    check_read(&c,
               HEAD "spec:\n"
                    "  scaleTargetRef: {name: web}\n  pollingInterval: 5\n  cooldownPeriod: 0\n  maxReplicaCount: 7\n"
                    "  fallback: {failureThreshold: 2, replicas: 3}\n"
                    "  advanced: {scalingModifiers: {formula: a, target: \"\", metricType: Value}}\n"
                    "  triggers: [{type: x, name: a, metadata: {k: v}, authenticationRef: {name: s}, useCachedMetrics: "
                    "true}, {type: z, name: \"\", metadata: {}}]\n",
               false);
    assert_string_equal(c.findings.bytes, "");
    o = &c.manifest->scaled_objects[0];
    assert_string_equal(o->meta.ns, "shop");
    assert_string_equal(o->target.kind, "Deployment");
    assert_string_equal(o->target.api_version, "apps/v1");
    assert_int_equal(o->polling_interval_s, 5);
    assert_int_equal(o->cooldown_period_s, 0);
    assert_int_equal(o->initial_cooldown_period_s, -1);
    assert_int_equal(o->idle_replicas, -1);
    assert_int_equal(o->min_replicas, -1);
    assert_int_equal(o->max_replicas, 7);
    assert_true(o->has_fallback);
    assert_string_equal(o->fallback_behavior, "static");
    assert_true(o->has_modifiers);
    assert_null(o->formula_target);
    assert_string_equal(o->formula_metric_type, "Value");
    assert_int_equal(o->trigger_count, 2);
    assert_string_equal(o->triggers[0].auth_kind, "TriggerAuthentication");
    assert_true(o->triggers[0].use_cached_metrics);
    assert_null(o->triggers[1].name);
    assert_int_equal(o->triggers[1].index, 1);
    check_done(&c);
}

static void test_generation(void **state)
{
    struct checked a, b, c;

    (void)state;
    check_read(&a, SPEC, false);
    check_read(&b, "# moved down\n\n" SPEC "status: {x: 1}\n", false);
    check_read(&c, SPEC "  minReplicaCount: 1\n", false);
    assert_true(a.manifest->scaled_objects[0].meta.generation == b.manifest->scaled_objects[0].meta.generation);
    assert_true(a.manifest->scaled_objects[0].meta.generation != c.manifest->scaled_objects[0].meta.generation);
    check_done(&a);
    check_done(&b);
    check_done(&c);
}

static void test_a_broken_document_leaves_the_others(void **state)
{
    struct checked c;

    (void)state;
    check_read(&c, "a: b: c\n---\n" SPEC "---\nx: [\n", false);
    assert_string_equal(c.findings.bytes, "error yaml-syntax line 1\nerror yaml-syntax line 11\n");
    assert_int_equal(c.manifest->scaled_object_count, 1);
    assert_false(c.manifest->scaled_objects[0].meta.broken);
    assert_int_equal(c.manifest->scaled_objects[0].meta.place.doc, 1);
    assert_int_equal(c.manifest->scaled_objects[0].meta.place.line, 3);
    assert_null(c.manifest->documents);
    check_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_generation),
        cmocka_unit_test(test_a_broken_document_leaves_the_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
