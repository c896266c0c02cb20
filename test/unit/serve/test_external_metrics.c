/* external.metrics.k8s.io: documents, values of decisions as they are really made, and the texts KEDA's users know. */
#include "../decide/world.h"
#include "fake_server.h"

#include "autoscaler/autoscaler.h"
#include "base/tree.h"
#include "serve/cluster_internal.h"
#include "serve/serve.h"

#define METRICS "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/"
#define OF_WEB  "?labelSelector=scaledobject.keda.sh/name=web"
#define FAILED  "rpc error: code = Unknown desc = error when getting metric values "

/* ------------------------------------------------------------------ an autoscaler with one object */

static struct object_status status;
static const char *cannot_decide;

bool autoscaler_object(struct autoscaler *a, const char *key, autoscaler_visit *visit, void *arg)
{
    (void)a;
    return strcmp(key, "ScaledObject/shop/web") == 0 && (visit(arg, &status), true);
}

bool autoscaler_can_decide(const struct autoscaler *a, const char **why)
{
    (void)a;
    *why = cannot_decide;
    return !cannot_decide;
}

struct stage {
    struct world world;
    struct policy policy;
    struct policy_trigger policy_triggers[WORLD_TRIGGERS_MAX];
    struct trigger_status triggers[WORLD_TRIGGERS_MAX];
    struct server server;
    struct serve_external *external;
    struct server_pending reply;
};

static void stage_init(struct stage *s, uint16_t triggers)
{
    static const char *const names[] = {"s0-prometheus", "s1-redis", "s2-cpu"};

    *s = (struct stage){0};
    world_init(&s->world, triggers, 2);
    s->world.rules.mode = DECIDE_HPA;
    s->external = serve_external_new(&s->server, NULL, NULL);
    for (uint16_t i = 0; i < triggers; i++) {
        s->policy_triggers[i].metric_name = names[i];
        s->triggers[i].why = "";
    }
    status = (struct object_status){.policy = &s->policy, .triggers = s->triggers, .trigger_count = triggers};
    cannot_decide = NULL;
}

static void stage_done(struct stage *s)
{
    serve_external_free(s->external);
    world_done(&s->world);
}

static void decide_now(struct stage *s)
{
    s->policy.rules = s->world.rules;
    s->policy.triggers = s->policy_triggers;
    s->policy.trigger_count = s->world.rules.trigger_count;
    status.decision = world_poll(&s->world, 15000);
    for (int i = 0; i < s->world.rules.trigger_count; i++)
        s->triggers[i].sample = s->world.samples[i];
}

static void get(struct stage *s, const char *path)
{
    fake_send(&s->server, &(struct fake_request){.path = path}, &s->reply);
}

#define assert_answer(s, path, wanted_status, part)                                                                    \
    do {                                                                                                               \
        get((s), (path));                                                                                              \
        if ((s)->reply.status != (wanted_status) || !strstr((s)->reply.body, (part)))                                  \
            fail_msg("%s: %d %s, wanted %s", (path), (s)->reply.status, (s)->reply.body, (part));                      \
    } while (0)

/* ------------------------------------------------------------------ values */

static void the_whole_answer(void **state)
{
    struct stage s;

    (void)state;
    stage_init(&s, 1);
    world_say(&s.world, 0, 16.1);
    decide_now(&s);
    get(&s, METRICS "s0-prometheus" OF_WEB);
    assert_int_equal(s.reply.status, 200);
    assert_string_equal(s.reply.type, "application/json");
    assert_string_equal(s.reply.body,
                        "{\"kind\":\"ExternalMetricValueList\",\"apiVersion\":\"external.metrics.k8s.io/v1beta1\","
                        "\"metadata\":{},\"items\":[{\"metricName\":\"s0-prometheus\",\"metricLabels\":null,"
                        "\"timestamp\":\"2026-01-01T00:00:15Z\",\"value\":\"16100m\"}]}");
    stage_done(&s);
}

static void quantities(void **state)
{
    static const struct {
        double target, value;
        const char *text;
    } rows[] = {
        {10, 0, "0"},
        {10, 5, "5"},
        {10, 0.5, "500m"},
        {10, 1000, "1k"},
        {10, 0.0004, "0"},
        {10, 0.0006, "1m"},
        {10, -3, "0"},
        {10, 1234.5678, "1234568m"},
        {10, 1e6, "1M"},
        {0.1, 0.25, "250m"},
        {0.05, 0.025, "2500m"},
        {0.001, 0.0025, "2500m"},
        {0.001, 0.000001, "1m"},
        {0.000001, 0.000002, "2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stage s;
        char wanted[64];

        stage_init(&s, 1);
        s.world.triggers[0].target = rows[i].target;
        world_say(&s.world, 0, rows[i].value);
        decide_now(&s);
        snprintf(wanted, sizeof(wanted), "\"value\":\"%s\"", rows[i].text);
        assert_answer(&s, METRICS "s0-prometheus" OF_WEB, 200, wanted);
        stage_done(&s);
    }
}

static void names_of_metrics(void **state)
{
    struct stage s;

    (void)state;
    stage_init(&s, 3);
    s.world.triggers[2].kind = METRIC_CPU;
    world_say(&s.world, 0, 1);
    world_say(&s.world, 1, 2);
    decide_now(&s);
    assert_answer(&s, METRICS "s1-redis" OF_WEB, 200, "\"value\":\"2\"");
    assert_answer(&s, METRICS "S1-Redis" OF_WEB, 200, "\"metricName\":\"s1-redis\"");
    assert_answer(&s, METRICS "s2-cpu" OF_WEB, 500, FAILED "no matching metrics found for s2-cpu");
    assert_answer(&s, METRICS "s9-x" OF_WEB, 500, FAILED "no matching metrics found for s9-x");
    stage_done(&s);
}

static void no_value(void **state)
{
    struct stage s;

    (void)state;
    stage_init(&s, 2);
    world_say(&s.world, 0, 1);
    world_lose(&s.world, 1, SAMPLE_FAILED);
    decide_now(&s);
    s.triggers[1].why = "connection refused";
    assert_answer(&s, METRICS "s0-prometheus" OF_WEB, 200, "\"value\":\"1\"");
    assert_answer(&s, METRICS "s1-redis" OF_WEB, 500, FAILED "metric:s1-redis encountered error: connection refused\"");
    assert_non_null(
        strstr(s.reply.body, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\""));
    assert_non_null(strstr(s.reply.body, "\"code\":500}"));
    assert_null(strstr(s.reply.body, "\"reason\""));
    world_lose(&s.world, 1, SAMPLE_MISSING);
    decide_now(&s);
    s.triggers[1].why = "";
    assert_answer(&s, METRICS "s1-redis" OF_WEB, 500, FAILED "metric:s1-redis encountered error\"");
    stage_done(&s);
}

static void fallback(void **state)
{
    struct stage s;

    (void)state;
    stage_init(&s, 1);
    s.world.rules.has_fallback = true;
    s.world.rules.fallback_replicas = 6;
    world_lose(&s.world, 0, SAMPLE_FAILED);
    decide_now(&s);
    assert_answer(&s, METRICS "s0-prometheus" OF_WEB, 200, "\"value\":\"60\"");
    s.world.triggers[0].target = 0.002; /* in the HPA's unit both are a thousand times that */
    decide_now(&s);
    assert_answer(&s, METRICS "s0-prometheus" OF_WEB, 200, "\"value\":\"12\"");
    stage_done(&s);
}

/* Per ready replica, of those that are ready when it is asked. */
static void fallback_per_ready_replica(void **state)
{
    struct stage s;

    (void)state;
    stage_init(&s, 1);
    s.world.rules.has_fallback = true;
    s.world.rules.fallback_replicas = 6;
    s.world.triggers[0].target_type = TARGET_VALUE;
    world_lose(&s.world, 0, SAMPLE_FAILED);
    decide_now(&s);
    for (int32_t ready = 1; ready <= 3; ready++) {
        char part[32];

        status.target = (struct target_view){.known = true, .ready_replicas = ready};
        snprintf(part, sizeof(part), "\"value\":\"%d\"", 60 / ready);
        assert_answer(&s, METRICS "s0-prometheus" OF_WEB, 200, part);
    }
    stage_done(&s);
}

/* ------------------------------------------------------------------ formulas */

static const char *const formula_names[] = {"a", "b"};

static void the_composite(void **state)
{
    static const struct {
        double target, a, b;
        const char *text;
    } rows[] = {
        {5, 1, 1.5, "2500e-3"},
        {5, 2, 3, "5"},
        {5, 400, 600, "1e3"},
        {5, -1, -2, "-3"},
        {5, 0, 0, "0"},
        {5, 1e6, 5e5, "1500e3"},
        {0.001, 0.001, 0.0015, "2500e-3"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stage s;
        char wanted[192];

        stage_init(&s, 2);
        world_formula(&s.world, "a + b", formula_names);
        s.world.rules.formula_target = rows[i].target;
        /* KEDA takes negative values of triggers as 0, so the negative result comes of the formula */
        if (rows[i].a < 0) {
            formula_unref(s.world.rules.formula);
            world_formula(&s.world, "a + b - 3", formula_names);
        }
        world_say(&s.world, 0, rows[i].a);
        world_say(&s.world, 1, rows[i].b);
        decide_now(&s);
        snprintf(wanted, sizeof(wanted),
                 "\"metricName\":\"composite-metric\",\"metricLabels\":null,"
                 "\"timestamp\":\"2026-01-01T00:00:15Z\",\"value\":\"%s\"",
                 rows[i].text);
        assert_answer(&s, METRICS "composite-metric" OF_WEB, 200, wanted);
        assert_answer(&s, METRICS "s0-prometheus" OF_WEB, 200, wanted);
        assert_answer(&s, METRICS "whatever" OF_WEB, 200, wanted);
        stage_done(&s);
    }
}

static void a_formula_without_result(void **state)
{
    struct stage s;

    (void)state;
    stage_init(&s, 2);
    world_formula(&s.world, "[a, b][int(a)]", formula_names);
    s.world.rules.formula_target = 5;
    world_say(&s.world, 0, 7); /* there is no such index */
    world_say(&s.world, 1, 1);
    decide_now(&s);
    assert_answer(&s, METRICS "composite-metric" OF_WEB, 200, "\"items\":[]}");
    world_lose(&s.world, 1, SAMPLE_FAILED);
    decide_now(&s);
    assert_answer(&s, METRICS "composite-metric" OF_WEB, 500, FAILED "metric:composite-metric encountered error");
    stage_done(&s);

    stage_init(&s, 2);
    world_formula(&s.world, "a / b", formula_names);
    s.world.rules.formula_target = 5;
    world_say(&s.world, 0, 7);
    world_say(&s.world, 1, 0);
    decide_now(&s);
    assert_answer(&s, METRICS "composite-metric" OF_WEB, 500, "no finite number");
    stage_done(&s);
}

static void the_fallback_of_a_formula_is_no_formula(void **state)
{
    struct stage s;

    (void)state;
    stage_init(&s, 2);
    world_formula(&s.world, "a + b", formula_names);
    s.world.rules.formula_target = 500;
    s.world.rules.has_fallback = true;
    s.world.rules.fallback_replicas = 4;
    world_say(&s.world, 0, 7);
    world_lose(&s.world, 1, SAMPLE_FAILED);
    decide_now(&s);
    assert_answer(&s, METRICS "composite-metric" OF_WEB, 200, "\"value\":\"2k\"");
    stage_done(&s);
}

/* ------------------------------------------------------------------ what cannot be answered */

static void refusals(void **state)
{
    static const struct {
        const char *path;
        int status;
        const char *part;
    } rows[] = {
        {METRICS "s0-prometheus", 500, "scaledObject name is not specified"},
        {METRICS "s0-prometheus?labelSelector=type=x", 500, "scaledObject name is not specified"},
        {METRICS "s0-prometheus?labelSelector=scaledobject.keda.sh/name", 500, "invalid selector: ["},
        {METRICS "s0-prometheus?labelSelector=a in (", 400, "\"reason\":\"BadRequest\""},
        {METRICS "s0-prometheus?labelSelector=scaledobject.keda.sh/name=api", 500,
         FAILED "error getting scalers ScaledObject.keda.sh \\\"api\\\" not found"},
        {"/apis/external.metrics.k8s.io/v1beta1/namespaces/other/s0-prometheus" OF_WEB, 500, "\\\"web\\\" not found"},
        {METRICS "s0-prometheus" OF_WEB "&watch=true", 405, "\"reason\":\"MethodNotAllowed\""},
    };
    struct stage s;

    (void)state;
    stage_init(&s, 1);
    world_say(&s.world, 0, 1);
    decide_now(&s);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_answer(&s, rows[i].path, rows[i].status, rows[i].part);
    s.policy.rules.mode = DECIDE_DIRECT;
    assert_answer(&s, METRICS "s0-prometheus" OF_WEB, 500, "weir.dev/mode: hpa");
    s.policy.rules.mode = DECIDE_HPA;
    status.decision = NULL;
    assert_answer(&s, METRICS "s0-prometheus" OF_WEB, 500, "encountered error: it has not been asked yet");
    status.policy = NULL;
    assert_answer(&s, METRICS "s0-prometheus" OF_WEB, 500, "not in force");
    stage_done(&s);
}

/* ------------------------------------------------------------------ documents */

static const struct tree *read_json(const char *bytes, struct arena *arena)
{
    struct tree *tree;
    struct error err;

    if (!tree_read_json(bytes, strlen(bytes), false, arena, &tree, &err))
        fail_msg("%s: %s", err.text, bytes);
    return tree;
}

static void documents(void **state)
{
    static const struct {
        const char *path, *accept, *at, *value;
    } rows[] = {
        {"/apis", NULL, "kind", "APIGroupList"},
        {"/apis", "application/json", "groups.0.name", "external.metrics.k8s.io"},
        {"/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json", "kind",
         "APIGroupDiscoveryList"},
        {"/apis", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList", "kind", "APIGroupList"},
        {"/apis/external.metrics.k8s.io", NULL, "preferredVersion.version", "v1beta1"},
        {"/apis/external.metrics.k8s.io/v1beta1", NULL, "resources.0.name", "externalmetrics"},
        {"/apis/external.metrics.k8s.io/v1beta1", NULL, "resources.0.kind", "ExternalMetricValueList"},
        {"/openapi/v2", NULL, "swagger", "2.0"},
        {"/version", NULL, "gitVersion", "v" WEIR_VERSION},
        {"/openapi/v3/apis/external.metrics.k8s.io/v1beta1", NULL, "openapi", "3.0.0"},
    };
    struct stage s;

    (void)state;
    stage_init(&s, 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena *arena = arena_new(ARENA_USUAL);

        fake_send(&s.server, &(struct fake_request){.path = rows[i].path, .headers = {{"Accept", rows[i].accept}}},
                  &s.reply);
        assert_int_equal(s.reply.status, 200);
        const char *found = tree_string(tree_at(read_json(s.reply.body, arena), rows[i].at));
        if (!found || strcmp(found, rows[i].value) != 0)
            fail_msg("%s %s: %s", rows[i].path, rows[i].at, s.reply.body);
        assert_true(strstr(s.reply.body, "APIGroupDiscoveryList") ? strstr(s.reply.type, "v=v2;as=") != NULL
                                                                  : strcmp(s.reply.type, "application/json") == 0);
        arena_free(arena);
    }
    stage_done(&s);
}

/* Every $ref of both documents leads somewhere, and the index names the one there is. */
static void check_references(const struct tree *document, const struct tree *node, const char *models, int *count)
{
    const char *ref = tree_string(tree_get(node, "$ref"));

    if (ref) {
        char path[64], dotted[64];

        snprintf(path, sizeof(path), "#/%s/", models);
        snprintf(dotted, sizeof(dotted), "%s", models);
        if (strchr(dotted, '/'))
            *strchr(dotted, '/') = '.';
        assert_true(string_starts(ref, path));
        assert_non_null(tree_get(tree_at(document, dotted), ref + strlen(path)));
        ++*count;
    }
    for (const struct tree *child = node->first; child; child = child->next)
        check_references(document, child, models, count);
}

static void openapi_refers_to_what_it_has(void **state)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    const struct tree *v2 = read_json(external_openapi_v2, arena), *v3 = read_json(external_openapi_v3_group, arena),
                      *index = read_json(external_openapi_v3, arena);
    int count = 0;

    (void)state;
    check_references(v2, v2, "definitions", &count);
    check_references(v3, v3, "components/schemas", &count);
    assert_int_equal(count, 4);
    assert_string_equal(tree_string(tree_get(tree_get(tree_get(index, "paths"), "apis/external.metrics.k8s.io/v1beta1"),
                                             "serverRelativeURL")),
                        "/openapi/v3/apis/external.metrics.k8s.io/v1beta1");
    arena_free(arena);
}

static void health(void **state)
{
    struct stage s;

    (void)state;
    stage_init(&s, 1);
    assert_answer(&s, "/healthz", 200, "ok");
    assert_answer(&s, "/livez", 200, "ok");
    assert_answer(&s, "/readyz", 200, "ok");
    cannot_decide = "the journal is broken";
    assert_answer(&s, "/readyz", 503, "the journal is broken");
    assert_answer(&s, "/livez", 200, "ok");
    stage_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_answer),
        cmocka_unit_test(quantities),
        cmocka_unit_test(names_of_metrics),
        cmocka_unit_test(no_value),
        cmocka_unit_test(fallback),
        cmocka_unit_test(fallback_per_ready_replica),
        cmocka_unit_test(the_composite),
        cmocka_unit_test(a_formula_without_result),
        cmocka_unit_test(the_fallback_of_a_formula_is_no_formula),
        cmocka_unit_test(refusals),
        cmocka_unit_test(documents),
        cmocka_unit_test(openapi_refers_to_what_it_has),
        cmocka_unit_test(health),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
