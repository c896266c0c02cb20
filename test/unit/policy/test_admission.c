/* What is admitted and what is refused, in KEDA's words and in which mode; what could not be looked at; warnings and their bounds. */
#include "check.h"

#include "base/arena.h"
#include "base/tree.h"
#include "policy/admission.h"

enum row_mode { IN_HPA, IN_DIRECT, IN_KEDA };

struct row {
    const char *name, *yaml;
    enum admission_kind kind;
    enum row_mode mode;
    const char *refusal; /* words of it; NULL: admitted */
    const char *label;   /* NULL: not looked at */
    int code;            /* 0: 403 where refused */
    const char *warning; /* words of one; NULL: not looked at */
    struct admission_facts facts;
    bool dry_run;
    const char *old; /* an update */
};

#define SO(rest) "metadata: {name: so, namespace: ns}\nspec: {scaleTargetRef: {name: app}, " rest "}"
#define CRON                                                                                                           \
    "triggers: [{type: cron, name: c, metadata: {timezone: UTC, start: 0 * * * *, end: 1 * * * *, desiredReplicas: "   \
    "'1'}}]"
#define CPU(type)     "triggers: [{type: cpu, metricType: " type ", metadata: {value: '50'}}]"
#define FORMULA(rest) "advanced: {scalingModifiers: {" rest "}}, " CRON
#define FIFTY         "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"

static const struct admission_scaler foreign = {.name = "h", .target = {"apps/v1", "Deployment", "app"}};
static const struct admission_scaler own = {.name = "h", .target = {"apps/v1", "Deployment", "app"}, .owner = "so"};
static const struct admission_scaler released = {
    .name = "h", .target = {"apps/v1", "Deployment", "app"}, .released = true};
static const struct admission_scaler elsewhere = {.name = "h", .target = {"apps/v1", "StatefulSet", "app"}};
static const struct admission_scaler namesake = {.name = "h", .target = {"example.com/v1", "Deployment", "app"}};
static const struct admission_scaler older = {.name = "h", .target = {"apps/v1beta1", "Deployment", "app"}};
static const struct admission_other rival = {.name = "r", .target = {"apps/v1", "Deployment", "app"}};
static const struct admission_other myself = {.name = "so", .target = {"apps/v1", "Deployment", "app"}};
static const struct admission_other same_scaler = {
    .name = "r", .target = {"apps/v1", "Deployment", "b"}, .hpa_name = "keda-hpa-so"};
static const struct admission_other made_scaler = {.name = "x", .target = {"apps/v1", "Deployment", "b"}};
static const struct admission_container bare[] = {{.name = "c"}};
static const struct admission_container sidecar[] = {{.name = "c", .cpu = true}, {.name = "proxy"}};

#define SCALER(s)     .facts = {.scalers = &(s), .scaler_count = 1}
#define OTHER(o)      .facts = {.others = &(o), .other_count = 1}
#define CONTAINERS(c) .containers = (c), .container_count = sizeof(c) / sizeof((c)[0])

static const struct row rows[] = {
    /* ---- the object alone ---- */
    {"good", SO(CRON)},
    {"an explicit 0 counts as 1", SO("minReplicaCount: 0, idleReplicaCount: 0, " CRON)},
    {"an absent minimum as 0", SO("idleReplicaCount: 0, " CRON),
     .refusal = "IdleReplicaCount=0 must be less than MinReplicaCount=0", .label = "incorrect-replicas"},
    {"min over the default", SO("minReplicaCount: 101, " CRON),
     .refusal = "MinReplicaCount=101 must be less than MaxReplicaCount=100"},
    {"min over max", SO("minReplicaCount: 3, maxReplicaCount: 2, " CRON),
     .refusal = "MinReplicaCount=3 must be less than MaxReplicaCount=2"},
    {"a negative minimum is none", SO("minReplicaCount: -5, maxReplicaCount: 1, " CRON)},
    {"negative fallback", SO("fallback: {failureThreshold: 1, replicas: -2}, " CRON),
     .refusal = "FailureThreshold=1 & Replicas=-2 must both be greater than or equal to 0",
     .label = "incorrect-fallback"},
    {"fallback of formulas", SO("fallback: {failureThreshold: 1, replicas: 2, behavior: scalingModifiers}, " CRON),
     .refusal = "requires scalingModifiers.formula", .label = "scaling-modifiers-fallback"},
    {"name", "metadata: {name: " FIFTY "fffffffffffffff}\nspec: {scaleTargetRef: {name: a}, " CRON "}",
     .refusal = "is 65 characters long; must be no more than 63 characters because", .label = "name-too-long"},
    {"autoscaler's name", "metadata: {name: " FIFTY "fffff}\nspec: {scaleTargetRef: {name: a}, " CRON "}",
     .refusal = "HPA name \"keda-hpa-" FIFTY "fffff\" derived from scaledobject is 64", .label = "hpa-name-too-long"},
    {"no autoscaler in direct mode", "metadata: {name: " FIFTY "fffff}\nspec: {scaleTargetRef: {name: a}, " CRON "}",
     .mode = IN_DIRECT, .warning = "metadata.name: in hpa mode"},
    {"no triggers", SO("triggers: []"), .refusal = "no triggers defined", .label = "incorrect-triggers"},
    {"cached cron", SO("triggers: [{type: cron, useCachedMetrics: true, metadata: {}}]"),
     .refusal = "property \"useCachedMetrics\" is not supported for \"cron\" scaler"},
    {"a name twice", SO("triggers: [{type: kafka, name: k, metadata: {}}, {type: cron, name: k, metadata: {}}]"),
     .refusal = "triggerName \"k\" is defined multiple times"},
    {"bad parameters are admitted", SO("triggers: [{type: prometheus, metadata: {}}]"), .warning = "serverAddress"},
    {"an unknown type too", SO("triggers: [{type: prometeus, metadata: {}}]"), .warning = "spec.triggers[0].type: "},
    /* ---- formulas ---- */
    {"formula", SO(FORMULA("formula: c + 1, target: '2'"))},
    {"no formula", SO(FORMULA("target: '2'")), .refusal = "error ScalingModifiers.Formula is mandatory"},
    {"no target", SO(FORMULA("formula: c + 1")), .refusal = "formula is given but target is empty",
     .label = "scaling-modifiers"},
    {"no target in direct mode", SO(FORMULA("formula: c + 1, activationTarget: '1'")), .mode = IN_DIRECT},
    {"no target, by annotation",
     "metadata: {name: so, annotations: {weir.dev/mode: direct}}\nspec: {scaleTargetRef: {name: a}, " FORMULA(
         "formula: c") "}"},
    {"hpa by annotation",
     "metadata: {name: so, annotations: {weir.dev/mode: hpa}}\nspec: {scaleTargetRef: {name: a}, " FORMULA(
         "formula: c") "}",
     .mode = IN_DIRECT, .refusal = "target is empty"},
    {"a mode there is not",
     "metadata: {name: so, annotations: {weir.dev/mode: x}}\nspec: {scaleTargetRef: {name: a}, " CRON "}",
     .warning = "weir.dev/mode"},
    {"target 0", SO(FORMULA("formula: c, target: '0'")), .refusal = "error validating target in ScalingModifiers\n"},
    {"target NaN", SO(FORMULA("formula: c, target: nan")), .warning = "spec.advanced.scalingModifiers.target: "},
    {"target with a blank", SO(FORMULA("formula: c, target: '1 '")), .refusal = "\"1 \" is no number"},
    {"unknown name", SO(FORMULA("formula: c + nope, target: '2'")),
     .refusal = "error validating formula in ScalingModifiers\n", .label = "scaling-modifiers"},
    {"our functions", SO(FORMULA("formula: 'avg_over(c, \"5m\") + 1', target: '2'"))},
    {"but not KEDA's", SO(FORMULA("formula: 'avg_over(c, \"5m\")', target: '2'")), .mode = IN_KEDA,
     .refusal = "error validating formula"},
    {"an activation that is no number", SO(FORMULA("formula: c, target: '2', activationTarget: x")),
     .warning = "activationTarget"},
    /* ---- what others have ---- */
    {"a foreign autoscaler", SO(CRON),
     .refusal = "the workload 'app' of type 'apps/v1.Deployment' is already managed by the hpa 'h'",
     .label = "other-hpa", SCALER(foreign)},
    {"in direct mode as well", SO(CRON), .mode = IN_DIRECT, .refusal = "by the hpa 'h'", SCALER(foreign)},
    {"its own", SO(CRON), SCALER(own)},
    {"released", SO(CRON), SCALER(released)},
    {"of another kind", SO(CRON), SCALER(elsewhere)},
    {"of another group", SO(CRON), SCALER(namesake)},
    {"of another version", SO(CRON), .refusal = "by the hpa 'h'", SCALER(older)},
    {"released on the object",
     "metadata: {name: so, annotations: {validations.keda.sh/hpa-ownership: 'false'}}\nspec: {scaleTargetRef: {name: "
     "app}, " CRON "}",
     SCALER(foreign)},
    {"a transfer needs the name",
     "metadata: {name: so, annotations: {scaledobject.keda.sh/transfer-hpa-ownership: 'true'}}\nspec: {scaleTargetRef: "
     "{name: app}, " CRON "}",
     .refusal = "spec.advanced.horizontalPodAutoscalerConfig.name", .label = "transfer-ownership-missing-hpa-name",
     SCALER(foreign)},
    {"a transfer",
     "metadata: {name: so, annotations: {scaledobject.keda.sh/transfer-hpa-ownership: 'true'}}\nspec: {scaleTargetRef: "
     "{name: app}, "
     "advanced: {horizontalPodAutoscalerConfig: {name: h}}, " CRON "}",
     SCALER(foreign)},
    {"a rival", SO(CRON), .refusal = "is already managed by the ScaledObject 'r'", .label = "other-scaled-object",
     OTHER(rival)},
    {"itself", SO(CRON), OTHER(myself)},
    {"the same autoscaler", SO(CRON), .refusal = "the HPA 'keda-hpa-so' is already managed by the ScaledObject 'r'",
     .label = "other-scaled-object-hpa", OTHER(same_scaler)},
    {"an autoscaler that would be made", SO("advanced: {horizontalPodAutoscalerConfig: {name: keda-hpa-x}}, " CRON),
     .refusal = "the HPA 'keda-hpa-x' is already managed by the ScaledObject 'x'", OTHER(made_scaler)},
    {"a kind there is not",
     "metadata: {name: so}\nspec: {scaleTargetRef: {name: app, kind: K, apiVersion: x/v1}, " CRON "}",
     .refusal = "no matches for kind \"K\" in version \"x/v1\"", .facts = {.kind_missing = true}},
    {"a Deployment of elsewhere",
     "metadata: {name: so}\nspec: {scaleTargetRef: {name: app, apiVersion: x/v1}, " CRON "}",
     .warning = "no kind Deployment in x/v1", .facts = {.kind_missing = true}},
    {"a version of three parts",
     "metadata: {name: so}\nspec: {scaleTargetRef: {name: app, kind: K, apiVersion: a/b/c}, " CRON "}",
     .refusal = "unexpected GroupVersion string: a/b/c"},
    /* ---- requests ---- */
    {"no request", SO("minReplicaCount: 1, " CPU("Utilization")), .label = "missing-requests",
     .refusal = "the scaledobject has a cpu trigger but the container c doesn't have the cpu request defined",
     .facts = {CONTAINERS(bare)}},
    {"none in the second", SO("minReplicaCount: 1, " CPU("AverageValue")), .refusal = "the container proxy",
     .facts = {CONTAINERS(sidecar)}},
    {"only one is looked at",
     SO("minReplicaCount: 1, triggers: [{type: cpu, metricType: Utilization, metadata: {value: '50', containerName: "
        "c}}]"),
     .facts = {CONTAINERS(sidecar)}},
    {"a default of the namespace", SO("minReplicaCount: 1, " CPU("Utilization")),
     .facts = {CONTAINERS(bare), .default_cpu = true}},
    {"of the other resource", SO("minReplicaCount: 1, " CPU("Utilization")), .refusal = "the container c",
     .facts = {CONTAINERS(bare), .default_memory = true}},
    {"direct mode needs no request for a value", SO("minReplicaCount: 1, " CPU("AverageValue")), .mode = IN_DIRECT,
     .facts = {CONTAINERS(bare)}},
    {"but for a share", SO("minReplicaCount: 1, " CPU("Utilization")), .mode = IN_DIRECT, .refusal = "cpu request",
     .facts = {CONTAINERS(bare)}},
    {"no target", SO("minReplicaCount: 1, " CPU("Utilization")), .refusal = "deployments.apps \"app\" not found",
     .code = 404, .facts = {.workload_missing = true}},
    {"nobody asks on a dry run", SO(CPU("Utilization")), .facts = {.workload_missing = true}, .dry_run = true},
    {"to zero", SO(CPU("Utilization")), .refusal = "AND minReplica is 0",
     .label = "scale-to-zero-requirements-not-met"},
    {"to zero, said", SO("minReplicaCount: 0, " CPU("Utilization")), .mode = IN_DIRECT,
     .refusal = "AND minReplica is 0"},
    {"cpu beside another",
     SO("triggers: [{type: cpu, metricType: Utilization, metadata: {value: '50'}}, {type: kafka, metadata: {}}]")},
    /* ---- what is not known ---- */
    {"others", SO(CRON), .warning = "not checked: other ScaledObjects (the list failed)",
     .facts = {.unknown = ADMISSION_OBJECTS, .why = {[2] = "the list failed"}, .others = &rival, .other_count = 1}},
    {"the workload", SO("minReplicaCount: 1, " CPU("Utilization")),
     .warning = "not checked: the containers of the target",
     .facts = {.unknown = ADMISSION_WORKLOAD, .workload_missing = true}},
    {"limits", SO("minReplicaCount: 1, " CPU("Utilization")), .warning = "not checked: the LimitRanges",
     .facts = {.unknown = ADMISSION_LIMITS, CONTAINERS(bare)}},
    {"kinds", "metadata: {name: so}\nspec: {scaleTargetRef: {name: app, kind: K, apiVersion: x/v1}, " CRON "}",
     .warning = "not checked: whether the kind", .facts = {.unknown = ADMISSION_KIND, .kind_missing = true}},
    /* ---- KEDA's warnings ---- */
    {"polling", SO("minReplicaCount: 2, pollingInterval: 9, " CRON), .warning = "spec.pollingInterval has no effect"},
    {"cooldown", SO("minReplicaCount: 2, cooldownPeriod: 9, " CRON), .mode = IN_DIRECT,
     .warning = "spec.cooldownPeriod has no effect"},
    /* ---- what cannot be read ---- */
    {"a text for a number", SO("minReplicaCount: three, " CRON), .code = 400,
     .refusal = "spec.minReplicaCount must be a whole number, not a string"},
    {"a fraction", SO("minReplicaCount: 1.5, " CRON), .code = 400, .refusal = "spec.minReplicaCount"},
    {"a number for a text", SO("triggers: [{type: cron, metadata: {start: 5}}]"), .code = 400,
     .refusal = "spec.triggers[].metadata.start must be a string (in quotes), not a number"},
    {"no mapping", "5", .code = 400, .refusal = "the review has no object"},
    {"null is absent", SO("minReplicaCount: null, fallback: null, advanced: null, " CRON)},
    {"nothing at all", "{}", .refusal = "no triggers defined"},
    /* ---- updates ---- */
    {"a finalizer goes", "metadata: {name: so}\nspec: {idleReplicaCount: 5}",
     .old = "metadata: {name: so, finalizers: [x]}\nspec: {idleReplicaCount: 5}"},
    {"with a change", "metadata: {name: so}\nspec: {idleReplicaCount: 5}", .refusal = "IdleReplicaCount=5",
     .old = "metadata: {name: so, finalizers: [x]}\nspec: {idleReplicaCount: 4}"},
    {"no finalizer goes", "metadata: {name: so, finalizers: [x]}\nspec: {idleReplicaCount: 5}",
     .refusal = "IdleReplicaCount=5", .old = "metadata: {name: so, finalizers: [x]}\nspec: {idleReplicaCount: 5}"},
    {"of two finalizers one",
     "metadata: {name: t, finalizers: [x]}\nspec: {podIdentity: {provider: azure-workload, identityId: ''}}",
     .kind = ADMIT_TRIGGER_AUTHENTICATION, .refusal = "identityId",
     .old = "metadata: {name: t, finalizers: [x, y]}\nspec: {podIdentity: {provider: azure-workload, identityId: ''}}"},
    /* ---- other kinds ---- */
    {"job", "metadata: {name: j}\nspec: {triggers: [{type: memory, useCachedMetrics: true, metadata: {}}]}",
     .kind = ADMIT_SCALED_JOB, .refusal = "not supported for \"memory\" scaler", .label = "incorrect-triggers"},
    {"a job's own bounds",
     "metadata: {name: j}\nspec: {minReplicaCount: 9, maxReplicaCount: 1, jobTargetRef: {template: {spec: {containers: "
     "[{name: c, image: i}]}}}, triggers: [{type: kafka, metadata: {}}]}",
     .kind = ADMIT_SCALED_JOB},
    {"azure", "metadata: {name: t}\nspec: {podIdentity: {provider: azure-workload, identityTenantId: ''}}",
     .kind = ADMIT_TRIGGER_AUTHENTICATION, .refusal = "identityTenantId of PodIdentity should not be empty"},
    {"azure host", "metadata: {name: t}\nspec: {podIdentity: {provider: azure-workload, identityAuthorityHost: h}}",
     .kind = ADMIT_CLUSTER_TRIGGER_AUTHENTICATION, .refusal = "identityTenantID of PodIdentity should not be nil"},
    {"aws", "metadata: {name: t}\nspec: {podIdentity: {provider: aws, roleArn: r, identityOwner: workload}}",
     .kind = ADMIT_TRIGGER_AUTHENTICATION, .refusal = "roleArn of PodIdentity can't be set"},
    {"oauth2", "metadata: {name: t}\nspec: {oauth2: {type: clientCredentials, clientId: c, tokenUrl: 'ftp://x'}}",
     .kind = ADMIT_TRIGGER_AUTHENTICATION, .refusal = "oauth2.tokenUrl must be a valid http or https URL"},
    {"oauth2 without a host",
     "metadata: {name: t}\nspec: {oauth2: {type: clientCredentials, clientId: c, tokenUrl: 'http:///x'}}",
     .kind = ADMIT_TRIGGER_AUTHENTICATION, .refusal = "oauth2.tokenUrl must be"},
    {"where KEDA looks away lint does not",
     "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: t}\nspec: {podIdentity: {provider: "
     "gcp}, oauth2: {type: "
     "clientCredentials, clientId: c, tokenUrl: 'ftp://x'}}",
     .kind = ADMIT_TRIGGER_AUTHENTICATION, .warning = "spec.oauth2.tokenUrl: "},
    {"both lists", "spec: {eventSubscription: {includedEventTypes: [], excludedEventTypes: []}}",
     .kind = ADMIT_CLOUD_EVENT_SOURCE,
     .refusal = "setting included types and excluded types at the same time is not supported"},
    {"one list", "spec: {eventSubscription: {includedEventTypes: [keda.scaledobject.ready.v1]}}",
     .kind = ADMIT_CLOUD_EVENT_SOURCE},
    {"authentication's events",
     "spec: {eventSubscription: {excludedEventTypes: [keda.authentication.triggerauthentication.created.v1]}}",
     .kind = ADMIT_CLUSTER_CLOUD_EVENT_SOURCE,
     .refusal =
         "keda.authentication.triggerauthentication.created.v1 in clustercloudeventsource spec is not supported"},
};

/* ------------------------------------------------------------------ */

static const struct tree *read(struct arena *arena, const char *kind, const char *yaml)
{
    const char *whole = yaml;
    struct tree *documents;
    struct error err;

    if (yaml[0] != '5' && yaml[0] != '{' && !strstr(yaml, "apiVersion: keda.sh"))
        whole = arena_printf(arena, "apiVersion: keda.sh/v1alpha1\nkind: %s\n%s", kind, yaml);
    if (!tree_read_yaml("t.yaml", whole, strlen(whole), arena, &documents, &err))
        fail_msg("%s", err.text);
    return documents->first;
}

static bool warns(const struct admission_answer *answer, const char *words)
{
    for (size_t i = 0; i < answer->warning_count; i++) {
        if (strstr(answer->warnings[i], words))
            return true;
    }
    return false;
}

static void check_answer(const struct row *row, const struct admission_answer *answer)
{
    bool refused = row->refusal != NULL;

    if (answer->allowed == refused)
        fail_msg("%s: %s", row->name, refused ? "admitted" : answer->message);
    if (refused && !strstr(answer->message, row->refusal))
        fail_msg("%s: refused with \"%s\", not with \"%s\"", row->name, answer->message, row->refusal);
    if (refused && answer->code != (row->code ? row->code : 403))
        fail_msg("%s: code %d", row->name, answer->code);
    if (row->label && !string_equal(answer->label, row->label))
        fail_msg("%s: label %s", row->name, answer->label ? answer->label : "(none)");
    if (row->warning && !warns(answer, row->warning))
        fail_msg("%s: no warning says \"%s\"; first: %s", row->name, row->warning,
                 answer->warning_count ? answer->warnings[0] : "(none)");
    for (size_t i = 0; i < answer->warning_count; i++) {
        assert_true(strlen(answer->warnings[i]) <= ADMISSION_WARNING_MAX_BYTES);
        assert_null(strpbrk(answer->warnings[i], "\n\r\t"));
    }
}

/* A million comparisons would be one request's. */
static void test_triggers_beyond_the_bound(void **state)
{
    static const struct {
        int before;
        bool refused;
    } cases[] = {{TRIGGERS_MAX - 1, true}, {TRIGGERS_MAX, false}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        struct policy_settings settings = check_settings(AS_HPA);
        struct admission_facts facts = {CONTAINERS(bare)};
        struct admission_answer answer;
        struct text yaml;

        text_init(&yaml, 1024 * 1024);
        text_add(&yaml, "metadata: {name: so, namespace: ns}\nspec: {scaleTargetRef: {name: app}, triggers: [");
        for (int k = 0; k < cases[i].before; k++)
            text_add(&yaml, "{type: kafka, metadata: {}}, ");
        text_add(&yaml, "{type: cpu, metricType: Utilization, metadata: {value: '50'}}]}");
        struct admission_review review = {.kind = ADMIT_SCALED_OBJECT,
                                          .object = read(arena, "ScaledObject", yaml.bytes)};
        admission_decide(admission_begin(arena, &review, &settings), &facts, &answer);
        assert_int_equal(answer.allowed, !cases[i].refused);
        text_done(&yaml);
        arena_free(arena);
    }
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct arena *arena = arena_new(ARENA_USUAL);
        const char *kind = admission_kind_name(row->kind);
        struct policy_settings settings = check_settings(AS_HPA);
        struct admission_review review = {.kind = row->kind,
                                          .update = row->old != NULL,
                                          .dry_run = row->dry_run,
                                          .object = read(arena, kind, row->yaml),
                                          .old_object = row->old ? read(arena, kind, row->old) : NULL};
        struct admission_answer answer;

        if (row->mode == IN_DIRECT)
            settings.mode = DECIDE_DIRECT;
        settings.keda_parity = row->mode == IN_KEDA;
        admission_decide(admission_begin(arena, &review, &settings), &row->facts, &answer);
        check_answer(row, &answer);
        arena_free(arena);
    }
}

/* ------------------------------------------------------------------ what must be known */

static void test_needs(void **state)
{
    static const struct {
        const char *yaml;
        unsigned needs;
        enum decide_mode mode;
        bool dry_run;
    } cases[] = {
        {SO(CRON), ADMISSION_SCALERS | ADMISSION_OBJECTS, DECIDE_HPA},
        {SO(CPU("AverageValue")), ADMISSION_SCALERS | ADMISSION_OBJECTS | ADMISSION_WORKLOAD, DECIDE_HPA},
        {SO(CPU("AverageValue")), ADMISSION_SCALERS | ADMISSION_OBJECTS, DECIDE_DIRECT},
        {SO(CPU("Utilization")), ADMISSION_SCALERS | ADMISSION_OBJECTS | ADMISSION_WORKLOAD, DECIDE_OBSERVE},
        {SO(CPU("Utilization")), ADMISSION_SCALERS | ADMISSION_OBJECTS, DECIDE_HPA, true},
        {"spec: {scaleTargetRef: {name: a, kind: Rollout, apiVersion: argoproj.io/v1alpha1}, " CPU("Utilization") "}",
         ADMISSION_SCALERS | ADMISSION_OBJECTS | ADMISSION_KIND, DECIDE_HPA},
        {SO("minReplicaCount: x, " CRON), 0, DECIDE_HPA},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        struct policy_settings settings = check_settings(AS_HPA);
        struct admission_review review = {.dry_run = cases[i].dry_run,
                                          .object = read(arena, "ScaledObject", cases[i].yaml)};

        settings.mode = cases[i].mode;
        assert_int_equal(admission_begin(arena, &review, &settings)->needs, cases[i].needs);
        arena_free(arena);
    }
}

static void test_workloads(void **state)
{
    static const char workload[] = "spec: {template: {spec: {initContainers: [{name: i}], containers: [{name: a, "
                                   "resources: {requests: {cpu: 100m}, limits: {memory: 1Gi}}},"
                                   " {name: b, resources: {requests: {cpu: '0', memory: x}}}, {name: c}]}}}";
    static const char limits[] = "spec: {limits: [{type: Pod, default: {cpu: 1}}, {type: Container, defaultRequest: "
                                 "{memory: 1Mi}, default: {cpu: 0}}]}";
    struct arena *arena = arena_new(ARENA_USUAL);
    struct admission_facts facts = {0};

    (void)state;
    admission_read_workload(read(arena, "Deployment", workload), arena, &facts);
    assert_int_equal(facts.container_count, 3);
    assert_true(facts.containers[0].cpu && facts.containers[0].memory);
    assert_false(facts.containers[1].cpu || facts.containers[1].memory);
    assert_string_equal(facts.containers[2].name, "c");
    admission_read_limits(read(arena, "LimitRange", limits), &facts);
    assert_false(facts.default_cpu);
    assert_true(facts.default_memory);
    arena_free(arena);
}

/* ------------------------------------------------------------------ bounds */

static void test_many_findings(void **state)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct policy_settings settings = check_settings(AS_HPA);
    struct admission_review review = {0};
    struct admission_facts facts = {0};
    struct admission_answer answer;
    struct text yaml;

    (void)state;
    text_init(&yaml, 1024 * 1024);
    text_add(&yaml, "metadata: {name: so}\nspec:\n  scaleTargetRef: {name: a}\n  triggers:\n");
    for (int i = 0; i < 60; i++)
        text_printf(&yaml, "  - {type: prometheus, name: t%d, metadata: {threshold: viel}}\n", i);
    review.object = read(arena, "ScaledObject", yaml.bytes);
    admission_decide(admission_begin(arena, &review, &settings), &facts, &answer);
    assert_true(answer.allowed);
    assert_int_equal(answer.warning_count, ADMISSION_WARNINGS_MAX);
    assert_non_null(strstr(answer.warnings[ADMISSION_WARNINGS_MAX - 1], "more findings"));
    text_done(&yaml);
    arena_free(arena);
}

/* Forty thousand triggers with names are looked at in one walk. */
static void test_many_triggers(void **state)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct policy_settings settings = check_settings(AS_HPA);
    struct admission_review review = {0};
    struct admission_facts facts = {0};
    struct admission_answer answer;
    struct tree *object;
    struct text json;

    (void)state;
    text_init(&json, 8 * 1024 * 1024);
    text_add(&json, "{\"spec\":{\"scaleTargetRef\":{\"name\":\"a\"},\"triggers\":[");
    for (int i = 0; i < 40000; i++)
        text_printf(&json, "%s{\"type\":\"kafka\",\"name\":\"t%d\",\"metadata\":{}}", i ? "," : "", i % 39999);
    text_add(&json, "]}}");
    assert_true(tree_read_json(json.bytes, json.length, false, arena, &object, NULL));
    review.object = object;
    admission_decide(admission_begin(arena, &review, &settings), &facts, &answer);
    assert_false(answer.allowed);
    assert_non_null(strstr(answer.message, "triggerName \"t0\""));
    text_done(&json);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_triggers_beyond_the_bound),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_needs),
        cmocka_unit_test(test_workloads),
        cmocka_unit_test(test_many_findings),
        cmocka_unit_test(test_many_triggers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
