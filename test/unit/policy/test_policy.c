/* Rules, defaults, annotations, triggers whose errors stay theirs, intervals, life. */
#include "check.h"

#include <math.h>

#include "base/limits.h"
#include "base/secret.h"

/* ------------------------------------------------------------------ a platform that knows one variable and one secret */

static enum lookup get_env(struct platform *p, const struct target_key *key, const char *container, const char *name,
                           struct secret **out)
{
    (void)p;
    if (strcmp(name, "ADDRESS") != 0 || strcmp(key->name, "app") != 0 || container)
        return LOOKUP_ABSENT;
    *out = secret_new("from-env:6379", 13);
    return LOOKUP_FOUND;
}

static enum lookup get_secret(struct platform *p, const char *ns, const char *name, const char *key,
                              struct secret **out)
{
    (void)p;
    if (strcmp(ns, "default") != 0 || strcmp(name, "s") != 0 || strcmp(key, "k") != 0)
        return LOOKUP_ABSENT;
    *out = secret_new("geheim", 6);
    return LOOKUP_FOUND;
}

static const struct platform_ops ops = {
    .name = "test", .target_env = get_env, .secret_get = get_secret, .config_get = get_secret};

static const struct trigger_auth *find_auth(void *arg, const char *ns, const char *kind, const char *name)
{
    const struct manifest *m = arg;

    (void)ns;
    for (size_t i = 0; i < m->trigger_auth_count; i++) {
        if (strcmp(m->trigger_auths[i].meta.name, name) == 0 && strcmp(m->trigger_auths[i].meta.kind, kind) == 0)
            return &m->trigger_auths[i];
    }
    return NULL;
}

struct built {
    struct report *report;
    struct manifest *manifest;
    struct policy *policy;
};

static void build(struct built *b, const char *yaml, bool running, enum check_how how)
{
    static struct platform platform = {.ops = &ops};
    struct policy_settings settings = check_settings(how);
    struct policy_context context = {
        .settings = &settings, .platform = running ? &platform : NULL, .find_auth = find_auth, .now_ms = 1000};

    b->report = report_new();
    manifest_read("t.yaml", yaml, strlen(yaml), NULL, b->report, &b->manifest);
    context.find_auth_arg = b->manifest;
    b->policy = b->manifest->scaled_object_count
                    ? policy_build_object(&b->manifest->scaled_objects[0], &context, b->report)
                    : policy_build_job(&b->manifest->scaled_jobs[0], &context, b->report);
}

static void done(struct built *b)
{
    policy_unref(b->policy);
    manifest_free(b->manifest);
    report_free(b->report);
}

/* ------------------------------------------------------------------ */

static void test_defaults(void **state)
{
    struct built b;
    const struct decide_rules *r;

    (void)state;
    build(&b,
          HEAD("app") "  triggers: [{type: prometheus, metricType: Value, metadata: {" PROM
                      ", threshold: \"5\", activationThreshold: \"2\"}}]\n",
          false, AS_DIRECT);
    assert_non_null(b.policy);
    manifest_free(b.manifest); /* nothing of it may be kept */
    r = &b.policy->rules;
    assert_int_equal(r->mode, DECIDE_DIRECT);
    assert_int_equal(r->min, 0);
    assert_int_equal(r->max, 100);
    assert_int_equal(r->idle, -1);
    assert_int_equal(r->cooldown_ms, 300000);
    assert_int_equal(r->initial_cooldown_ms, 0);
    assert_int_equal(r->created_at_ms, 1000);
    assert_int_equal(r->missing_hold_ms, 1800000);
    assert_int_equal(r->downscale_stabilization_ms, 300000);
    assert_null(r->behavior);
    assert_false(r->has_fallback);
    assert_int_equal(r->trigger_count, 1);
    assert_int_equal(r->triggers[0].target_type, TARGET_VALUE);
    assert_true(r->triggers[0].target == 5 && r->triggers[0].activation == 2);
    assert_int_equal(r->triggers[0].formula_name, -1);
    assert_string_equal(b.policy->target.kind, "Deployment");
    assert_string_equal(b.policy->triggers[0].metric_name, "s0-prometheus");
    assert_string_equal(b.policy->names[0], "s0-prometheus");
    assert_null(b.policy->triggers[0].error);
    assert_int_equal(policy_interval_ms(b.policy, 0, 0), 30000);
    assert_int_equal(policy_interval_ms(b.policy, 0, 1), 15000);
    assert_true(policy_bytes(b.policy) > 0);
    policy_unref(policy_ref(b.policy));
    policy_unref(b.policy);
    report_free(b.report);
}

static void test_everything(void **state)
{
    struct built b;
    const struct decide_rules *r;

    (void)state;
    build(&b,
          "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\n  annotations:\n"
          "    {weir.dev/mode: observe, weir.dev/missing-hold: forever, weir.dev/polling-interval: 500ms, "
          "autoscaling.keda.sh/paused-scale-in: \"true\",\n"
          "     autoscaling.keda.sh/paused-replicas: \"0\"}\n"
          "spec:\n  scaleTargetRef: {name: app, kind: StatefulSet}\n  pollingInterval: 60\n  minReplicaCount: 2\n  "
          "maxReplicaCount: 9\n  idleReplicaCount: 1\n"
          "  cooldownPeriod: 7\n  initialCooldownPeriod: 8\n  fallback: {failureThreshold: 3, replicas: 4, behavior: "
          "currentReplicasIfLower}\n"
          "  advanced:\n    restoreToOriginalReplicaCount: true\n"
          "    horizontalPodAutoscalerConfig: {behavior: {scaleUp: {stabilizationWindowSeconds: 5, policies: [{type: "
          "Pods, value: 1, periodSeconds: 60}]}}}\n"
          "    scalingModifiers: {formula: \"avg_over(a, '5m') + b\", target: \"0.5\", activationTarget: \"2\", "
          "metricType: Value}\n"
          "  triggers: [{type: cpu, metricType: Utilization, metadata: {value: \"60\"}}, " NAMED("a") ", " NAMED(
              "b") "]\n",
          false, AS_DIRECT);
    assert_non_null(b.policy);
    r = &b.policy->rules;
    assert_int_equal(r->mode, DECIDE_OBSERVE);
    assert_true(r->missing_hold_ms == INT64_MAX);
    assert_true(r->paused_scale_in && r->has_paused_replicas && !r->paused);
    assert_int_equal(r->paused_replicas, 0);
    assert_int_equal(r->idle, 1);
    assert_int_equal(r->cooldown_ms, 7000);
    assert_int_equal(r->fallback_behavior, FALLBACK_CURRENT_IF_LOWER);
    assert_int_equal(r->fallback_replicas, 4);
    assert_int_equal(r->behavior->up.window_s, 5);
    assert_int_equal(r->behavior->up.policy_count, 1);
    assert_int_equal(r->behavior->down.window_s, -1);
    assert_true(b.policy->restore_to_original);
    assert_int_equal(policy_interval_ms(b.policy, 1, 5), 500);
    assert_int_equal(r->triggers[0].kind, METRIC_CPU);
    assert_int_equal(r->triggers[0].formula_name, -1);
    assert_int_equal(r->triggers[1].formula_name, 0);
    assert_int_equal(r->triggers[2].formula_name, 1);
    assert_true(r->formula != NULL && r->formula_target == 0.5 && r->formula_activation == 2 &&
                r->formula_activation_inclusive);
    assert_int_equal(r->formula_type, TARGET_VALUE);
    assert_int_equal(b.policy->triggers[1].history_ms, 300000);
    assert_int_equal(b.policy->triggers[2].history_ms, 0);
    assert_string_equal(b.policy->names[1], "a");
    done(&b);
}

static void test_inclusive_only_where_weir_decides(void **state)
{
    const char *yaml = HEAD("app") "  advanced: {scalingModifiers: {formula: a, target: \"1\", activationTarget: "
                                   "\"1\"}}\n  triggers: [" NAMED("a") "]\n";
    struct built b;

    (void)state;
    build(&b, yaml, false, AS_HPA);
    assert_false(b.policy->rules.formula_activation_inclusive);
    done(&b);
    build(&b, yaml, false, AS_DIRECT);
    assert_true(b.policy->rules.formula_activation_inclusive);
    done(&b);
}

static const struct check_row annotation_rows[] = {
#define ANNOTATED(a)                                                                                                   \
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app, annotations: {" a                         \
    "}}\nspec:\n  scaleTargetRef: {name: app}\n  triggers: ["                                                          \
    "{type: prometheus, metadata: {" PROM ", threshold: \"5\"}}]\n"
    {"foreign", ANNOTATED("a: b, meta.helm.sh/release-name: x"), ""},
    {"mode", ANNOTATED("weir.dev/mode: fast"), "error bad-annotation metadata.annotations[weir.dev/mode]\n",
     "direct, hpa or observe"},
    {"interval", ANNOTATED("weir.dev/polling-interval: 10ms"),
     "error bad-annotation metadata.annotations[weir.dev/polling-interval]\n", "100ms"},
    {"hold", ANNOTATED("weir.dev/missing-hold: soon"),
     "error bad-annotation metadata.annotations[weir.dev/missing-hold]\n"},
    {"misspelt", ANNOTATED("weir.dev/missinghold: 5m"),
     "warning unknown-annotation metadata.annotations[weir.dev/missinghold]\n", "weir.dev/missing-hold"},
    {"misspelt, KEDA's", ANNOTATED("autoscaling.keda.sh/pause: \"true\""),
     "warning unknown-annotation metadata.annotations[autoscaling.keda.sh/pause]\n"},
    {"odd boolean", ANNOTATED("autoscaling.keda.sh/paused: \"yes\""),
     "warning bad-annotation metadata.annotations[autoscaling.keda.sh/paused]\n", "counts as true"},
    {"odd number", ANNOTATED("autoscaling.keda.sh/paused-replicas: two"),
     "warning bad-annotation metadata.annotations[autoscaling.keda.sh/paused-replicas]\n"},
};

static void test_annotations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(annotation_rows) / sizeof(annotation_rows[0]); i++)
        check_row(&annotation_rows[i]);
}

/* One trigger that cannot be built leaves the others as they are. */
static void test_errors_stay_with_their_trigger(void **state)
{
    struct built b;

    (void)state;
    build(&b,
          HEAD("app") "  triggers:\n"
                      "  - {type: redis, metadata: {addressFromEnv: ADDRESS, listName: l, listLength: \"1\"}}\n"
                      "  - {type: redis, metadata: {addressFromEnv: GONE, listName: l, listLength: \"1\"}}\n"
                      "  - {type: prometheus, metadata: {" PROM
                      ", threshold: \"1\", authModes: bearer}, authenticationRef: {name: good}}\n"
                      "  - {type: prometheus, metadata: {" PROM ", threshold: \"1\"}, authenticationRef: {name: bad}}\n"
                      "  - {type: prometheus, metadata: {" PROM
                      ", threshold: \"1\"}, authenticationRef: {name: missing}}\n"
                      "  - {type: kafka, metadata: {}}\n"
                      "---\napiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: good}\nspec: "
                      "{secretTargetRef: [{parameter: bearerToken, name: s, key: k}]}\n"
                      "---\napiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: bad}\nspec: "
                      "{secretTargetRef: [{parameter: bearerToken, name: s, key: gone}]}\n",
          true, AS_DIRECT);
    assert_non_null(b.policy);
    assert_non_null(b.policy->triggers[0].trigger);
    assert_null(b.policy->triggers[1].trigger);
    assert_int_equal(b.policy->triggers[1].error->kind, ERROR_INVALID);
    assert_non_null(b.policy->triggers[2].trigger);
    assert_null(b.policy->triggers[3].trigger);
    assert_non_null(strstr(b.policy->triggers[3].error->text, "gone"));
    assert_int_equal(b.policy->triggers[4].error->kind, ERROR_MISSING);
    assert_non_null(strstr(b.policy->triggers[5].error->text, "kafka"));
    assert_string_equal(b.policy->names[5], "s5-kafka");
    assert_false(check_says(b.report, "geheim"));
    done(&b);
}

static void test_useless_objects(void **state)
{
    static const char *const yaml[] = {
        HEAD("app") "  minReplicaCount: 5\n  maxReplicaCount: 4\n  triggers: [" NAMED("a") "]\n",
        HEAD("app") "  advanced: {scalingModifiers: {formula: nobody}}\n  triggers: [" NAMED("a") "]\n",
        HEAD("app") "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {policies: [{type: Pods, value: "
                    "1, periodSeconds: 1}, "
                    "{type: Pods, value: 1, periodSeconds: 1}, {type: Pods, value: 1, periodSeconds: 1}, {type: Pods, "
                    "value: 1, periodSeconds: 1}, "
                    "{type: Pods, value: 1, periodSeconds: 1}, {type: Pods, value: 1, periodSeconds: 1}, {type: Pods, "
                    "value: 1, periodSeconds: 1}, "
                    "{type: Pods, value: 1, periodSeconds: 1}, {type: Pods, value: 1, periodSeconds: 1}]}}}}\n  "
                    "triggers: [" NAMED("a") "]\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(yaml) / sizeof(yaml[0]); i++) {
        struct built b;

        build(&b, yaml[i], false, AS_DIRECT);
        assert_null(b.policy);
        assert_true(report_count_of(b.report, FINDING_ERROR) > 0);
        done(&b);
    }
}

static void test_jobs(void **state)
{
    struct built b;

    (void)state;
    build(&b,
          "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: job, annotations: "
          "{autoscaling.keda.sh/paused: \"true\"}}\nspec:\n"
          "  jobTargetRef: {template: {spec: {containers: [{name: c}]}}}\n  pollingInterval: 5\n  maxReplicaCount: 7\n "
          " rollout: {strategy: gradual}\n"
          "  successfulJobsHistoryLimit: 0\n"
          "  scalingStrategy: {strategy: custom, customScalingQueueLengthDeduction: -2, "
          "customScalingRunningJobPercentage: \"0.5\", multipleScalersCalculation: sum}\n"
          "  triggers: [{type: redis, metadata: {address: 'r:6379', listName: l, listLength: \"3\"}}]\n",
          false, AS_DIRECT);
    assert_non_null(b.policy);
    assert_true(b.policy->is_job && b.policy->rollout_gradual && b.policy->job_rules.paused);
    assert_int_equal(b.policy->job_rules.min, -1);
    assert_int_equal(b.policy->job_rules.max, 7);
    assert_int_equal(b.policy->job_rules.strategy, JOB_CUSTOM);
    assert_int_equal(b.policy->job_rules.combination, JOB_COMBINE_SUM);
    assert_int_equal(b.policy->job_rules.custom_deduction, -2);
    assert_true(b.policy->job_rules.custom_running_ratio == 0.5);
    assert_int_equal(b.policy->job_rules.trigger_count, 1);
    assert_true(b.policy->job_rules.triggers[0].target == 3);
    assert_int_equal(b.policy->successful_history, 0);
    assert_int_equal(b.policy->failed_history, 100);
    assert_int_equal(policy_interval_ms(b.policy, 0, 5), 5000);
    done(&b);
}

/* Only a change of the template makes running jobs old. */
static void test_job_generation(void **state)
{
#define JOB_WITH(image, interval)                                                                                      \
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: job}\nspec:\n  jobTargetRef: {template: {spec: "  \
    "{containers: [{name: c, image: " image "}]}}}\n"                                                                  \
    "  pollingInterval: " interval "\n  triggers: [" NAMED("a") "]\n"
    struct built a, b, c;

    (void)state;
    build(&a, JOB_WITH("x", "5"), false, AS_DIRECT);
    build(&b, JOB_WITH("x", "6"), false, AS_DIRECT);
    build(&c, JOB_WITH("z", "5"), false, AS_DIRECT);
    assert_non_null(a.policy);
    assert_true(a.policy->generation != b.policy->generation);
    assert_true(a.policy->job_generation == b.policy->job_generation);
    assert_true(a.policy->job_generation != c.policy->job_generation);
    done(&a);
    done(&b);
    done(&c);
}

#define SOLACE                                                                                                         \
    "solaceSempBaseURL: \"http://a:1\", messageVpn: v, queueName: q, username: u, password: p, messageCountTarget: "   \
    "\"10\", messageSpoolUsageTarget: \"2\""

/* Each target of the entry is a trigger of its own, in its place; beside a formula the entry is one value. */
static void test_several_metrics(void **state)
{
    struct built b;

    (void)state;
    build(&b,
          HEAD("app") "  triggers:\n  - {type: solace-event-queue, name: mq, metadata: {" SOLACE "}}\n"
                      "  - {type: prometheus, metadata: {" PROM ", threshold: \"5\"}}\n",
          false, AS_DIRECT);
    assert_non_null(b.policy);
    assert_int_equal(b.policy->rules.trigger_count, 3);
    assert_int_equal(b.policy->trigger_count, 3);
    assert_string_equal(b.policy->triggers[0].metric_name, "s0-solace-q-msgcount");
    assert_string_equal(b.policy->triggers[1].metric_name, "s0-solace-q-msgspoolusage");
    assert_string_equal(b.policy->triggers[2].metric_name, "s1-prometheus");
    assert_string_equal(b.policy->names[0], "mq");
    assert_string_equal(b.policy->names[1], "s0-solace-q-msgspoolusage");
    assert_true(b.policy->rules.triggers[0].target == 10);
    assert_true(b.policy->rules.triggers[1].target == 2 * 1024 * 1024);
    assert_true(b.policy->rules.triggers[2].target == 5);
    done(&b);
    build(&b,
          HEAD("app") "  advanced: {scalingModifiers: {formula: \"mq * 2\", target: \"5\"}}\n"
                      "  triggers:\n  - {type: solace-event-queue, name: mq, metadata: {" SOLACE "}}\n",
          false, AS_DIRECT);
    assert_non_null(b.policy);
    assert_int_equal(b.policy->rules.trigger_count, 1);
    assert_true(check_says(b.report, "a formula knows one value of it"));
    done(&b);
}

/* Two metrics of each trigger: what is too much in the end is refused, not left out. */
static void test_too_many_metrics(void **state)
{
    struct text text;

    (void)state;
    for (int count = 50; count <= 51; count++) {
        struct built b;

        text_init(&text, 100 * 1000);
        text_add(&text, HEAD("app") "  triggers:\n");
        for (int i = 0; i < count; i++)
            text_add(&text, "  - {type: solace-event-queue, metadata: {" SOLACE "}}\n");
        build(&b, text.bytes, false, AS_DIRECT);
        assert_int_equal(b.policy != NULL, count == 50);
        assert_int_equal(check_says(b.report, "102 metrics; 100 are allowed (TRIGGERS_MAX)"), count == 51);
        if (b.policy)
            assert_int_equal(b.policy->trigger_count, TRIGGERS_MAX);
        done(&b);
        text_done(&text);
    }
}

#define ASKS_GOOD                                                                                                      \
    "type: prometheus, metadata: {serverAddress: 'http://good', query: up, threshold: '1', authModes: bearer}"

/* Where a credential may go is known without its secrets: lint says so, too. */
static void test_bound_credential(void **state)
{
    static const struct {
        const char *annotation, *trigger, *code, *says;
    } rows[] = {
        {"weir.dev/allowed-hosts: good", ASKS_GOOD, NULL, NULL},
        {"weir.dev/allowed-hosts: elsewhere", ASKS_GOOD, "host-not-allowed", "good:80 is not among the hosts"},
        {"weir.dev/allowed-hosts: '*'", ASKS_GOOD, "missing-authentication", "'*' is no host"},
        {"weir.dev/allowed-namespaces: 'other'", ASKS_GOOD, "missing-authentication", "it is not for namespace shop"},
        /* its address is one of the secrets, or a variable of the container */
        {"weir.dev/allowed-hosts: good", "type: mysql, metadata: {query: q, queryValue: '1'}", NULL, NULL},
        {"weir.dev/allowed-hosts: good",
         "type: mysql, metadata: {connectionStringFromEnv: DB, query: q, queryValue: '1'}", NULL, NULL},
        {"weir.dev/allowed-hosts: good", "type: mysql, metadata: {host: evil, port: '1', query: q, queryValue: '1'}",
         "host-not-allowed", "evil:1 is not among the hosts"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char yaml[1000];
        struct built b;
        bool found = rows[i].code == NULL;

        if (strstr(rows[i].trigger, "type: mysql") && trigger_support("mysql") != TRIGGER_BUILT_IN)
            continue;
        snprintf(yaml, sizeof(yaml),
                 "{apiVersion: keda.sh/v1alpha1, kind: ClusterTriggerAuthentication, metadata: {name: a, annotations: "
                 "{%s}}, "
                 "spec: {secretTargetRef: [{parameter: bearerToken, name: s, key: k}]}}\n---\n"
                 "{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: o, namespace: shop}, spec: "
                 "{scaleTargetRef: "
                 "{name: w}, triggers: [{%s, authenticationRef: {name: a, kind: ClusterTriggerAuthentication}}]}}\n",
                 rows[i].annotation, rows[i].trigger);
        build(&b, yaml, false, AS_DIRECT);
        for (size_t k = 0; k < report_count(b.report); k++) {
            const struct finding *f = report_at(b.report, k);

            if (!rows[i].code &&
                (strcmp(f->code, "host-not-allowed") == 0 || strcmp(f->code, "missing-authentication") == 0))
                fail_msg("row %zu: %s", i, f->text);
            found = found || (strcmp(f->code, rows[i].code) == 0 && strstr(f->text, rows[i].says));
        }
        if (!found)
            fail_msg("row %zu: nothing says \"%s\"", i, rows[i].says);
        done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_inclusive_only_where_weir_decides),
        cmocka_unit_test(test_annotations),
        cmocka_unit_test(test_errors_stay_with_their_trigger),
        cmocka_unit_test(test_useless_objects),
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_job_generation),
        cmocka_unit_test(test_several_metrics),
        cmocka_unit_test(test_too_many_metrics),
        cmocka_unit_test(test_bound_credential),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
