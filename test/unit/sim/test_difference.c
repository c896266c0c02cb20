/* What a change of manifests is said to change: the sentences, and that what means the same is no change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/report.h"
#include "base/text.h"
#include "sim/difference.h"

#define HEAD           "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app, namespace: shop"
#define SPEC           "}\nspec:\n  scaleTargetRef: {name: web}\n"
#define PROM           "{type: prometheus, name: q, metadata: {serverAddress: http://p, query: up, threshold: '5'}}"
#define TRIGGERS       "  triggers: [" PROM "]\n"
#define BASE           HEAD SPEC TRIGGERS
#define BEHAVIOR(text) HEAD SPEC "  advanced: {horizontalPodAutoscalerConfig: {behavior: {" text "}}}\n" TRIGGERS
#define FORMULA(text)  HEAD SPEC "  advanced: {scalingModifiers: {" text "}}\n" TRIGGERS
#define JOB(text)                                                                                                      \
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: job}\nspec:\n"                                    \
    "  jobTargetRef: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}\n" text TRIGGERS

struct row {
    const char *name, *before, *after;
    const char *says; /* parts that must be there, divided by |; "": nothing changes */
};

static const struct row rows[] = {
    {"the same", BASE, BASE, ""},
    {"defaults written out", BASE,
     HEAD SPEC "  minReplicaCount: 0\n  maxReplicaCount: 100\n  cooldownPeriod: 300\n  pollingInterval: 30\n" TRIGGERS,
     ""},
    {"another quote", BASE,
     HEAD SPEC "  triggers:\n  - type: prometheus\n    name: q\n    metadata:\n"
               "      serverAddress: http://p\n      query: \"up\"\n      threshold: \"5\"\n",
     ""},
    {"cooldown", BASE, HEAD SPEC "  cooldownPeriod: 60\n" TRIGGERS,
     "scales to zero 1 min after the last activity, was 5 min|spec.cooldownPeriod"},
    {"cooldown that waits for nothing", HEAD SPEC "  minReplicaCount: 1\n" TRIGGERS,
     HEAD SPEC "  minReplicaCount: 1\n  cooldownPeriod: 60\n" TRIGGERS, "without effect"},
    {"min", BASE, HEAD SPEC "  minReplicaCount: 2\n" TRIGGERS,
     "keeps at least 2 replicas, was nothing while nothing is active (0 replicas)"},
    {"max", BASE, HEAD SPEC "  maxReplicaCount: 1\n" TRIGGERS, "runs at most 1 replica, was 100 replicas"},
    {"idle", HEAD SPEC "  minReplicaCount: 2\n" TRIGGERS,
     HEAD SPEC "  minReplicaCount: 2\n  idleReplicaCount: 0\n" TRIGGERS,
     "rests at 0 replicas while nothing is active, was its minimum"},
    {"interval", BASE, HEAD SPEC "  pollingInterval: 5\n" TRIGGERS,
     "asks its sources every 5 s, was 30 s at 0 replicas and every 15 s above"},
    {"interval by annotation", BASE, HEAD ", annotations: {weir.dev/polling-interval: 500ms}" SPEC TRIGGERS,
     "asks its sources every 500 ms"},
    {"mode", BASE, HEAD ", annotations: {weir.dev/mode: observe}" SPEC TRIGGERS, "writes nothing (mode observe)"},
    {"paused", BASE, HEAD ", annotations: {autoscaling.keda.sh/paused-replicas: '3'}" SPEC TRIGGERS,
     "is paused at 3 replicas, was not paused"},
    {"target of the object", BASE, HEAD "}\nspec:\n  scaleTargetRef: {name: other}\n" TRIGGERS,
     "scales Deployment other, was Deployment web"},
    {"rates", BASE, BEHAVIOR("scaleDown: {policies: [{type: Percent, value: 10, periodSeconds: 60}]}"),
     "may take away at most 10 % a minute, was all at once|may add at most 4 replicas in 15 s or 100 % in 15 s, "
     "whichever is more, was as many"},
    {"rates as they were", BEHAVIOR("scaleDown: {}"),
     BEHAVIOR("scaleDown: {policies: [{type: Percent, value: 100, periodSeconds: 15}]}"), ""},
    {"window", BEHAVIOR("scaleDown: {}"), BEHAVIOR("scaleDown: {stabilizationWindowSeconds: 0}"),
     "takes replicas away as soon as they are not needed, was when they were not needed for 5 min"},
    {"direction off", BEHAVIOR("scaleDown: {}"), BEHAVIOR("scaleDown: {selectPolicy: Disabled}"),
     "may take away nothing, was all at once"},
    {"fallback", BASE, HEAD SPEC "  fallback: {failureThreshold: 3, replicas: 6}\n" TRIGGERS,
     "when sources fail, after more than 3 failures 6 replicas run; was: nothing is taken away"},
    {"target", BASE,
     HEAD SPEC
     "  triggers: [{type: prometheus, name: q, metadata: {serverAddress: http://p, query: up, threshold: '10'}}]\n",
     "prometheus 'q' asks for one replica for every 10, was one replica for every 5: half as many"},
    {"query", BASE,
     HEAD SPEC
     "  triggers: [{type: prometheus, name: q, metadata: {serverAddress: http://p, query: down, threshold: '5'}}]\n",
     "prometheus 'q' is asked with query 'down', was 'up'"},
    {"trigger added", BASE,
     HEAD SPEC "  triggers: [" PROM
               ", {type: prometheus, name: r, metadata: {serverAddress: http://p, query: up, threshold: '7'}}]\n",
     "asks prometheus 'r' too, which asks for one replica for every 7"},
    {"trigger gone",
     HEAD SPEC "  triggers: [" PROM
               ", {type: cron, metadata: {timezone: UTC, start: 0 8 * * *, end: 0 9 * * *, desiredReplicas: '3'}}]\n",
     BASE, "no longer asks cron"},
    {"formula", FORMULA("formula: q + 1, target: '5'"), FORMULA("formula: q * 2, target: '10'"),
     "computes q * 2, was q + 1|its formula asks for one replica for every 10, was one replica for every 5: "
     "half"},
    {"formula's activation", FORMULA("formula: q, target: '5'"),
     FORMULA("formula: q, target: '5', activationTarget: '2'"), "is active from 2 on of the formula, was above 0"},
    {"object added", "", BASE,
     "ScaledObject shop/app is new: it scales Deployment web between 0 and 100 replicas by prometheus 'q'"},
    {"object gone", BASE, "", "ScaledObject shop/app is gone: nobody scales Deployment web any more"},
    {"jobs", JOB(""), JOB("  maxReplicaCount: 5\n  rollout: {strategy: gradual}\n"),
     "runs at most 5 jobs, was 100|jobs that run go on when the object changes"},
    {"a secret is not shown", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: hush1}\n",
     "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: hush2}\n", "holds other data"},
    {"a password in a URL is not shown", BASE,
     HEAD SPEC "  triggers: [{type: prometheus, name: q, metadata: {serverAddress: 'http://u:hush@p', query: up, "
               "threshold: '5'}}]\n",
     "is asked with another serverAddress"},
};

static void read(const char *yaml, struct report *report, struct manifest **out)
{
    manifest_read("t.yaml", yaml, strlen(yaml), NULL, report, out);
}

static void check_says(const struct row *row, const char *text)
{
    char part[300];

    if (!row->says[0] && text[0])
        fail_msg("%s: nothing changes, but:\n%s", row->name, text);
    for (const char *at = row->says; *at;) {
        size_t length = strcspn(at, "|");

        snprintf(part, sizeof(part), "%.*s", (int)length, at);
        if (!strstr(text, part))
            fail_msg("%s: '%s' is not in:\n%s", row->name, part, text);
        at += length + (at[length] == '|');
    }
    if (strstr(text, "hush"))
        fail_msg("%s: a secret is shown:\n%s", row->name, text);
}

static void check_row(const struct row *row)
{
    struct report *report = report_new();
    struct policy_settings settings;
    struct manifest *before, *after;
    struct differences *d;
    struct text text;

    policy_settings_default(&settings);
    read(row->before, report, &before);
    read(row->after, report, &after);
    if (report_count_of(report, FINDING_ERROR) > 0)
        fail_msg("%s: the row itself is wrong: %s", row->name, report_at(report, 0)->text);
    d = differences_new((const struct manifest *const *)&before, 1, (const struct manifest *const *)&after, 1,
                        &settings);
    text_init(&text, 100000);
    differences_write_text(d, &text);
    check_says(row, text.bytes);
    text_clear(&text);
    differences_write_json(d, &text);
    assert_null(strstr(text.bytes, "hush"));
    text_done(&text);
    differences_free(d);
    manifest_free(before);
    manifest_free(after);
    report_free(report);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(&rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
