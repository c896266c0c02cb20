/* Deployments, StatefulSets, JobSpecs, Secrets and ConfigMaps, and what one machine cannot run. */
#include "check.h"

#define DEPLOYMENT(pod)                                                                                                \
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n"     \
    "  template:\n    metadata: {labels: {app: web}}\n    spec: {" pod "}\n"
#define RUNS "{name: c, image: i, command: [serve]}"

static const struct check_row anywhere[] = {
    {"plain", DEPLOYMENT("containers: [{name: c, image: i}]"), ""},
    {"much that only a cluster reads",
     DEPLOYMENT("serviceAccountName: s, nodeSelector: {a: b}, tolerations: [], volumes: [{name: v, "
                "persistentVolumeClaim: {claimName: x}}], "
                "initContainers: [{name: i}], containers: [{name: c, volumeMounts: [{name: v, mountPath: /v}], "
                "lifecycle: {preStop: {}}}]"),
     ""},
    {"misspelt", DEPLOYMENT("containers: [{name: c, comand: [x]}]"),
     "warning unknown-field spec.template.spec.containers[0].comand\n", "command"},
    {"no containers", DEPLOYMENT("containers: []"), "error missing-required spec.template.spec.containers\n"},
    {"number in env", DEPLOYMENT("containers: [{name: c, env: [{name: A, value: 5}]}]"),
     "error wrong-type spec.template.spec.containers[0].env[0].value\n"},
    {"bad quantity", DEPLOYMENT("containers: [{name: c, resources: {requests: {cpu: 1 core}}}]"),
     "error bad-quantity spec.template.spec.containers[0].resources.requests.cpu\n"},
    {"probe of two kinds",
     DEPLOYMENT("containers: [{name: c, readinessProbe: {httpGet: {port: 80}, tcpSocket: {port: 80}}}]"),
     "error conflict spec.template.spec.containers[0].readinessProbe\n"},
    {"labels that do not match",
     "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {selector: {matchLabels: {a: b}}, template: "
     "{metadata: {labels: {a: c}}, spec: {containers: [{name: c}]}}}\n",
     "error selector-mismatch spec.selector\n"},
    {"restart policy", DEPLOYMENT("restartPolicy: Never, containers: [{name: c}]"),
     "error unknown-value spec.template.spec.restartPolicy\n"},
    {"secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: aGVsbG8=, b: 'no!'}\nstringData: {c: 5}\n",
     "error bad-base64 data.b\nerror wrong-type stringData.c\n"},
    {"config", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s}\ndata: {a: 5}\nbinaryData: {b: AAE=}\n",
     "error wrong-type data.a\n", "\"5\""},
};

static const struct check_row local[] = {
    {"plain", DEPLOYMENT("containers: [" RUNS "]"), ""},
    {"image without command", DEPLOYMENT("containers: [{name: c, image: i, args: [x]}]"),
     "error local-no-command spec.template.spec.containers[0].command\n", "images are not run"},
    {"volumes",
     DEPLOYMENT(
         "volumes: [{name: s, secret: {secretName: x}}, {name: h, hostPath: {path: /x}}, {name: u, nfs: {}}], "
         "containers: [{name: c, command: [x], volumeMounts: [{name: s, mountPath: /s}, {name: h, mountPath: /h}]}]"),
     "advice local-volume spec.template.spec.volumes[0]\nerror local-unsupported spec.template.spec.volumes[1]\n",
     "$WEIR_VOLUMES/s"},
    {"init container", DEPLOYMENT("initContainers: [{name: i}], containers: [" RUNS "]"),
     "error local-unsupported spec.template.spec.initContainers\n"},
    {"second container", DEPLOYMENT("containers: [" RUNS ", {name: d}]"),
     "warning local-ignored spec.template.spec.containers[1]\n"},
    {"gRPC probe", DEPLOYMENT("containers: [{name: c, command: [x], livenessProbe: {grpc: {port: 1}}}]"),
     "error local-unsupported spec.template.spec.containers[0].livenessProbe.grpc\n"},
    {"the host's network", DEPLOYMENT("hostNetwork: true, containers: [" RUNS "]"), ""},
    {"hooks", DEPLOYMENT("containers: [{name: c, command: [x], lifecycle: {preStop: {exec: {}}}}]"),
     "warning local-ignored spec.template.spec.containers[0].lifecycle\n"},
    {"another kind of target",
     HEAD "spec:\n  scaleTargetRef: {apiVersion: example.com/v1, kind: Pool, name: a}\n  triggers: [" CRON "]\n",
     "error local-unsupported spec.scaleTargetRef.kind\n", "Pool"},
    {"claims",
     "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: w}\nspec: {selector: {matchLabels: {a: b}}, "
     "volumeClaimTemplates: [{}], template: {metadata: {labels: {a: b}}, spec: {containers: [" RUNS "]}}}\n",
     "error local-unsupported spec.volumeClaimTemplates\n"},
    {"job", JOB "spec:\n" TEMPLATE "  triggers: [" CRON "]\n",
     "error local-no-command spec.jobTargetRef.template.spec.containers[0].command\n"},
};

static void test_anywhere(void **state)
{
    (void)state;
    check_rows(anywhere, sizeof(anywhere) / sizeof(anywhere[0]), false);
}

static void test_local(void **state)
{
    (void)state;
    check_rows(local, sizeof(local) / sizeof(local[0]), true);
}

static void test_values(void **state)
{
    struct checked c;
    const struct workload *w;
    const struct container *main;

    (void)state;
    check_read(
        &c,
        DEPLOYMENT(
            "terminationGracePeriodSeconds: 5, volumes: [{name: v, configMap: {name: m, items: [{key: k, path: p}]}}, "
            "{name: e, emptyDir: {}}], "
            "containers: [{name: c, command: [python3], args: [-m, x], workingDir: /srv, "
            "env: [{name: A, value: b}, {name: B, valueFrom: {secretKeyRef: {name: s, key: k, optional: true}}}, "
            "{name: C, valueFrom: {fieldRef: {fieldPath: metadata.name}}}], envFrom: [{prefix: P_, configMapRef: "
            "{name: m}}], "
            "ports: [{containerPort: 8080}], readinessProbe: {httpGet: {path: /h, port: http}, periodSeconds: 0}, "
            "startupProbe: {exec: {command: [true-ish]}, failureThreshold: 30}, resources: {requests: {cpu: 0.5}, "
            "limits: {cpu: 2, memory: 1Gi}}}]"),
        false);
    assert_string_equal(c.findings.bytes, "");
    w = &c.manifest->workloads[0];
    main = &w->template.main;
    assert_int_equal(w->replicas, -1);
    assert_non_null(w->selector);
    assert_int_equal(w->template.grace_period_s, 5);
    assert_string_equal(w->template.restart_policy, "Always");
    assert_string_equal(main->command[0], "python3");
    assert_null(main->command[1]);
    assert_string_equal(main->args[1], "x");
    assert_string_equal(main->working_dir, "/srv");
    assert_int_equal(main->env_count, 3);
    assert_string_equal(main->env[1].secret_name, "s");
    assert_true(main->env[1].optional);
    assert_string_equal(main->env[2].field_path, "metadata.name");
    assert_string_equal(main->env_from[0].prefix, "P_");
    assert_string_equal(main->first_port, "8080");
    assert_int_equal(main->readiness.kind, PROBE_HTTP);
    assert_string_equal(main->readiness.port, "http");
    assert_int_equal(main->readiness.period_s, 10);
    assert_int_equal(main->readiness.failure_threshold, 3);
    assert_int_equal(main->startup.kind, PROBE_EXEC);
    assert_int_equal(main->startup.failure_threshold, 30);
    assert_int_equal(main->liveness.kind, PROBE_NONE);
    assert_int_equal(main->cpu_request_milli, 500);
    assert_true(main->memory_request_milli == INT64_C(1073741824000));
    assert_string_equal(w->template.volumes[0].config_name, "m");
    assert_int_equal(tree_count(w->template.volumes[0].items), 1);
    assert_true(w->template.volumes[1].empty_dir);
    check_done(&c);
}

static void test_secret_values(void **state)
{
    struct checked c;
    const struct config_data *s;

    (void)state;
    check_read(&c,
               "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: aGVsbG8=, b: AAECAw==, c: "
               "\"\"}\nstringData: {a: other}\n",
               false);
    assert_string_equal(c.findings.bytes, "");
    s = &c.manifest->configs[0];
    assert_true(s->secret);
    assert_int_equal(s->entry_count, 3);
    assert_string_equal(s->entries[0].bytes, "other");
    assert_int_equal(s->entries[1].length, 4);
    assert_memory_equal(s->entries[1].bytes, "\0\1\2\3", 4);
    assert_int_equal(s->entries[2].length, 0);
    check_done(&c);
}

/* What is in a Secret may not get into a finding, whatever is wrong with it. */
static void test_secrets_stay_secret(void **state)
{
    struct checked c;

    (void)state;
    check_read(&c,
               "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: 4711, b: 'geheim!'}\nstringData: {c: "
               "0815, d: {x: ~}}\n",
               false);
    assert_true(report_count(c.report) >= 4);
    assert_false(check_says(c.report, "4711"));
    assert_false(check_says(c.report, "geheim"));
    assert_false(check_says(c.report, "815"));
    check_done(&c);
}

static void test_job_spec(void **state)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *docs;
    struct job_spec spec;
    struct error err;
    const char *good = "{backoffLimit: 4, template: {spec: {containers: [" RUNS "]}}}",
               *bad = "{backoffLimit: x, template: {spec: {containers: [" RUNS "]}}}";

    (void)state;
    assert_true(tree_read_yaml("j", good, strlen(good), arena, &docs, &err));
    assert_true(manifest_read_job_spec(tree_index(docs, 0), arena, &spec, &err));
    assert_int_equal(spec.backoff_limit, 4);
    assert_int_equal(spec.parallelism, -1);
    assert_string_equal(spec.template.restart_policy, "OnFailure");
    assert_true(tree_read_yaml("j", bad, strlen(bad), arena, &docs, &err));
    assert_false(manifest_read_job_spec(tree_index(docs, 0), arena, &spec, &err));
    assert_string_equal(err.where, "backoffLimit");
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_anywhere),
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_secret_values),
        cmocka_unit_test(test_secrets_stay_secret),
        cmocka_unit_test(test_job_spec),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
