/* What is shown of a manifest: all of it but what may be secret. And what an object is to achieve, and costs. */
#include "check.h"

#include "base/arena.h"
#include "base/tree.h"

/* ------------------------------------------------------------------ shown */

static const struct {
    const char *name, *yaml, *shown;
} shown_rows[] = {
    {"a plain one",
     "# ours\napiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app, labels: {\"on\": 'no'}}\n"
     "spec:\n  scaleTargetRef: {name: app}\n  minReplicaCount: 0\n  triggers: []\n",
     "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\n  labels:\n    \"on\": \"no\"\n"
     "spec:\n  scaleTargetRef:\n    name: app\n  minReplicaCount: 0\n  triggers: []\n"},
    {"what only the API server says",
     "{\"apiVersion\": \"keda.sh/v1alpha1\", \"kind\": \"ScaledObject\", \"metadata\": {\"name\": \"app\", \"uid\": "
     "\"1\", "
     "\"generation\": 3, \"annotations\": {\"kubectl.kubernetes.io/last-applied-configuration\": \"CANARY\", \"team\": "
     "\"a\"}, \"managedFields\": [1]}, \"status\": {\"x\": \"CANARY\"}, \"spec\": {}}",
     "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\n  annotations:\n    team: a\nspec: "
     "{}\n"},
    {"parameters that are credentials by the table of their type, or by their name",
     "spec:\n  triggers:\n  - type: redis\n    metadata: {address: 'r:6379', password: CANARY, passwordFromEnv: PW, "
     "listLength: "
     "'5', databaseIndex: '1'}\n"
     "  - type: rabbitmq\n    metadata: {host: 'amqp://me:CANARY@mq/vhost', queueName: jobs}\n"
     "  - type: azure-queue\n    metadata: {connection: CANARY, connectionFromEnv: C, accountKey: CANARY, name: q}\n"
     "  - type: prometheus\n    metadata: {customHeaders: 'X-Scope=CANARY', threshold: '5', serverAddress: http://p}\n",
     "spec:\n  triggers:\n  - type: redis\n    metadata:\n      address: r:6379\n      password: \"***\"\n      "
     "passwordFromEnv: PW\n      listLength: \"5\"\n      databaseIndex: \"1\"\n"
     "  - type: rabbitmq\n    metadata:\n      host: amqp://me:***@mq/vhost\n      queueName: jobs\n"
     "  - type: azure-queue\n    metadata:\n      connection: \"***\"\n      connectionFromEnv: C\n      accountKey: "
     "\"***\"\n      name: q\n"
     "  - type: prometheus\n    metadata:\n      customHeaders: \"***\"\n      threshold: \"5\"\n      serverAddress: "
     "http://p\n"},
    {"what is given to a name within a text",
     "spec:\n  triggers:\n  - type: metrics-api\n    metadata:\n      url: "
     "'https://h/x?api_key=CANARY&name=ok&sig-token=CANARY'\n"
     "  - type: postgresql\n    metadata: {query: \"select 1 where password='CANARY' and tokens > 5\"}\n"
     "  - type: prometheus\n    metadata: {query: 'sum(llm_tokens:rate5m{model=\"a\"}) by (token)'}\n",
     "spec:\n  triggers:\n  - type: metrics-api\n    metadata:\n      url: "
     "https://h/x?api_key=***&name=ok&sig-token=***\n"
     "  - type: postgresql\n    metadata:\n      query: select 1 where password='***' and tokens > 5\n"
     "  - type: prometheus\n    metadata:\n      query: sum(llm_tokens:rate5m{model=\"a\"}) by (token)\n"},
    {"a job's containers",
     "kind: ScaledJob\nspec:\n  jobTargetRef:\n    template:\n      spec:\n        containers:\n"
     "        - name: main\n          env: [{name: PW, value: CANARY}, {name: KEY, valueFrom: {secretKeyRef: {name: s, "
     "key: "
     "password}}}]\n"
     "          args: [--token, CANARY, --password=CANARY, --user, me, '-H', 'Authorization: Bearer CANARY']\n"
     "          command: [sh, -c, 'curl -u me --header \"X-Api-Key: CANARY\" http://a:CANARY@h/']\n",
     "kind: ScaledJob\nspec:\n  jobTargetRef:\n    template:\n      spec:\n        containers:\n"
     "        - name: main\n          env:\n          - name: PW\n            value: \"***\"\n          - name: KEY\n"
     "            valueFrom:\n              secretKeyRef:\n                name: s\n                key: password\n"
     "          args:\n          - \"--token\"\n          - \"***\"\n          - \"--password=***\"\n          - "
     "\"--user\"\n"
     "          - me\n          - \"-H\"\n          - 'Authorization: ***'\n"
     "          command:\n          - sh\n          - \"-c\"\n"
     "          - 'curl -u me --header \"X-Api-Key: ***\" http://a:***@h/'\n"},
    {"names of credentials in connection strings, queries and headers",
     "metadata:\n  annotations:\n"
     "    a: Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=CANARY==\n"
     "    b: host=db password = CANARY dbname=x\n"
     "    c: \"Authorization: GenieKey CANARY\"\n"
     "    d: https://maps/api?key=CANARY&x=1&sig=CANARY\n"
     "    e: \"Cookie: a=CANARY; b=CANARY\"\n"
     "    f: Server=x;Pwd={CANARY;CANARY};Uid=a\n"
     "    g: AccountName=x;AccountKey=CANARY==;EndpointSuffix=core\n",
     "metadata:\n  annotations:\n"
     "    a: Endpoint=sb://x/;SharedAccessKeyName=***;SharedAccessKey=***\n"
     "    b: host=db password = *** dbname=x\n"
     "    c: 'Authorization: ***'\n"
     "    d: https://maps/api?key=***&x=1&sig=***\n"
     "    e: 'Cookie: ***'\n"
     "    f: Server=x;Pwd=***;Uid=a\n"
     "    g: AccountName=x;AccountKey=***;EndpointSuffix=core\n"},
    {"quotes, and JSON within JSON",
     "metadata:\n  annotations:\n"
     "    a: \"password: 'CANARY two CANARY' and more\"\n"
     "    b: PASSWORD=\"CANARY \\\"CANARY\\\" CANARY\" x\n"
     "    c: '{\"a\":\"{\\\"password\\\":\\\"CANARY b\\\",\\\"user\\\":\\\"me\\\"}\"}'\n",
     "metadata:\n  annotations:\n"
     "    a: 'password: ''***'' and more'\n"
     "    b: PASSWORD=\"***\" x\n"
     "    c: "
     "\"{\\\"a\\\":\\\"{\\\\\\\"password\\\\\\\":\\\\\\\"***\\\\\\\",\\\\\\\"user\\\\\\\":\\\\\\\"me\\\\\\\"}\\\"}"
     "\"\n"},
    {"passwords and tokens before hosts",
     "metadata:\n  annotations:\n    a: https://CANARY0123456789abcdef@sentry.io/1\n    b: "
     "amqp://guest:CANARY/x@mq/vh\n"
     "    c: me:CANARY@tcp(db:3306)/x\n    d: curl -u me:CANARY http://x:80/a@b\n    e: amqp://guest@mq/vh\n",
     "metadata:\n  annotations:\n    a: https://***@sentry.io/1\n    b: amqp://guest:***@mq/vh\n"
     "    c: me:***@tcp(db:3306)/x\n    d: curl -u me:*** http://x:80/a@b\n    e: amqp://guest@mq/vh\n"},
    {"what is known by its form",
     "metadata:\n  annotations:\n    a: '{\"private_key\":\"CANARY\",\"x\":1}'\n    b: eyJCANARY.eyJCANARY.CANARY\n"
     "    c: |\n      -----BEGIN PRIVATE KEY-----\n      CANARY\n      -----END PRIVATE KEY-----\n"
     "    d: |\n      -----BEGIN CERTIFICATE-----\n      x\n      -----END CERTIFICATE-----\n",
     "metadata:\n  annotations:\n    a: \"{\\\"private_key\\\":\\\"***\\\",\\\"x\\\":1}\"\n    b: \"***\"\n"
     "    c: |\n      -----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----\n"
     "    d: |\n      -----BEGIN CERTIFICATE-----\n      x\n      -----END CERTIFICATE-----\n"},
    {"a job's probes and volumes",
     "spec:\n  probe:\n    httpHeaders: [{name: Authorization, value: CANARY}, {name: Host, value: h}]\n"
     "  volumes: [{attributes: {password: CANARY, secretName: s}}]\n  args: [-u, 'me:CANARY', -u, me]\n",
     "spec:\n  probe:\n    httpHeaders:\n    - name: Authorization\n      value: \"***\"\n    - name: Host\n      "
     "value: h\n"
     "  volumes:\n  - attributes:\n      password: \"***\"\n      secretName: s\n"
     "  args:\n  - \"-u\"\n  - \"***\"\n  - \"-u\"\n  - me\n"},
    {"formulas are left alone",
     "metadata:\n  annotations: {weir.dev/slo: 'token==5', apikey: CANARY}\n"
     "spec: {advanced: {scalingModifiers: {formula: \"token==5 ? 1 : 0\\n\", target: '5'}}}\n",
     "metadata:\n  annotations:\n    weir.dev/slo: token==5\n    apikey: \"***\"\nspec:\n  advanced:\n    "
     "scalingModifiers:\n      formula: |\n        token==5 ? 1 : 0\n      target: \"5\"\n"},
};

static const struct tree *read_one(struct arena *arena, const char *yaml)
{
    struct tree *documents;
    struct error err;

    if (!tree_read_yaml("t.yaml", yaml, strlen(yaml), arena, &documents, &err))
        fail_msg("%s: %s\n%s", err.where, err.text, yaml);
    return documents->first;
}

static void what_may_be_secret_is_not_shown(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(shown_rows) / sizeof(shown_rows[0]); i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        struct text out;

        text_init(&out, 10000);
        assert_true(policy_write_shown(read_one(arena, shown_rows[i].yaml), &out));
        if (strcmp(out.bytes, shown_rows[i].shown) != 0)
            fail_msg("%s: expected\n%sgot\n%s", shown_rows[i].name, shown_rows[i].shown, out.bytes);
        assert_null(strstr(out.bytes, "CANARY"));
        text_done(&out);
        arena_free(arena);
    }
}

static void what_is_too_large_is_refused(void **state)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    const struct tree *tree = read_one(arena, shown_rows[0].yaml);
    struct text out;

    (void)state;
    text_init(&out, 50);
    assert_false(policy_write_shown(tree, &out));
    text_done(&out);
    arena_free(arena);
}

/* A text of many words is gone over once, whatever its words are. */
static void long_texts_take_no_long_time(void **state)
{
    enum { LENGTH = 500 * 1000 };
    static const char *const pieces[] = {"a-",    "password.",   "://a:", "token=", "a",    "://",
                                         "pwd={", "-----BEGIN ", "-u a",  "eyJ.",   "a:b@", "token=\"\\"};
    struct arena *arena = arena_new(ARENA_USUAL);

    (void)state;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        char *text = arena_alloc(arena, LENGTH + 20);
        struct text out;

        for (size_t at = 0; at < LENGTH; at += strlen(pieces[i]))
            strcpy(text + at, pieces[i]);
        struct tree member = {.type = TREE_STRING, .key = "x", .text = text, .length = strlen(text)};
        struct tree spec = {.type = TREE_MAP, .key = "spec", .first = &member, .count = 1};
        text_init(&out, 4 * LENGTH);
        assert_true(policy_write_shown(&(struct tree){.type = TREE_MAP, .first = &spec, .count = 1}, &out));
        text_done(&out);
    }
    arena_free(arena);
}

/* ------------------------------------------------------------------ objectives */

#define ANNOTATED(annotations, triggers)                                                                               \
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app, annotations: {" annotations               \
    "}}\nspec:\n  scaleTargetRef: {name: app}\n  triggers: [" triggers "]\n"
#define OF_A "{type: metrics-api, name: a, metadata: {url: \"http://api/v\", valueLocation: v, targetValue: \"5\"}}"
#define SLO  "metadata.annotations[weir.dev/slo]\n"
#define COST "metadata.annotations[weir.dev/cost-per-replica-hour]\n"

static const struct check_row objective_rows[] = {
    {"true or false", ANNOTATED("weir.dev/slo: a < 5 && ready_replicas > 0", OF_A), ""},
    {"history", ANNOTATED("weir.dev/slo: '(avg_over(a, \"5m\") ?? 9) < 5'", OF_A), ""},
    {"unknown", ANNOTATED("weir.dev/slo: b < 5", OF_A), "error bad-slo " SLO, "unknown name 'b'"},
    {"syntax", ANNOTATED("weir.dev/slo: a <", OF_A), "error bad-slo " SLO},
    {"a text", ANNOTATED("weir.dev/slo: '\"a\"'", OF_A), "error bad-slo " SLO, "neither holds nor does not"},
    {"memory", ANNOTATED("weir.dev/slo: 'held(a > 5, \"5m\")'", OF_A), "error bad-slo " SLO, "avg_over"},
    {"a cost", ANNOTATED("weir.dev/cost-per-replica-hour: '0'", OF_A), ""},
    {"a negative cost", ANNOTATED("weir.dev/cost-per-replica-hour: '-1'", OF_A), "error bad-annotation " COST,
     "no price"},
    {"no cost", ANNOTATED("weir.dev/cost-per-replica-hour: 2 dollars", OF_A), "error bad-annotation " COST},
    {"infinite cost", ANNOTATED("weir.dev/cost-per-replica-hour: Inf", OF_A), "error bad-annotation " COST},
    {"for KEDA", ANNOTATED("weir.dev/slo: b <", OF_A), "advice no-effect " SLO, NULL, AS_KEDA},
    {"a job",
     "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: app, annotations: {weir.dev/slo: a <}}\n"
     "spec:\n  jobTargetRef: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}\n"
     "  triggers: [" OF_A "]\n",
     "error bad-slo " SLO},
};

static void objectives_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(objective_rows) / sizeof(objective_rows[0]); i++)
        check_row(&objective_rows[i]);
}

static void objectives_are_built(void **state)
{
    static const char yaml[] = ANNOTATED(
        "weir.dev/slo: '(avg_over(a, \"5m\") ?? 9) < 5', weir.dev/cost-per-replica-hour: '2.5'", UNNAMED ", " OF_A);
    struct policy_settings settings = check_settings(AS_DIRECT);
    struct report *report = report_new();
    struct manifest *manifest;

    (void)state;
    manifest_read("t.yaml", yaml, strlen(yaml), NULL, report, &manifest);
    struct policy *policy =
        policy_build_object(manifest->scaled_objects, &(struct policy_context){.settings = &settings}, report);
    assert_non_null(policy);
    assert_non_null(policy->slo);
    assert_true(policy->has_cost && policy->cost_per_replica_hour == 2.5);
    assert_int_equal(policy->triggers[0].history_ms, 0);
    assert_int_equal(policy->triggers[1].history_ms, 5 * 60 * 1000);
    policy_unref(policy);
    manifest_free(manifest);
    report_free(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_be_secret_is_not_shown),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(long_texts_take_no_long_time),
        cmocka_unit_test(objectives_are_checked),
        cmocka_unit_test(objectives_are_built),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
