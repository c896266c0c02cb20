/*
 * hpa: the autoscaler's algorithm piece by piece, and whole syncs of a HorizontalPodAutoscaler. Each kind of case
 * reads its inputs, calls the one function it is about, and compares the keys that the case names. Pods, times and
 * quantities are read in one place. Now is a fixed instant, so that ages become times; a sync's `t` counts from it.
 */
#include <stdio.h>
#include <string.h>

#include "decide/hpa_object.h"
#include "decide_case.h"

enum { PODS_MAX = 256, VALUES_MAX = 256, USAGES_MAX = 16 };

/* ------------------------------------------------------------------ reading */

static size_t read_values(const struct tree *list, int64_t *values)
{
    size_t count = 0;

    for (const struct tree *v = list ? list->first : NULL; v && count < VALUES_MAX; v = v->next)
        values[count++] = milli_of(v->type == TREE_MAP ? tree_get(v, "value") : v);
    return count;
}

static size_t read_moments(const struct tree *list, int64_t now_ms, struct hpa_moments *out)
{
    *out = (struct hpa_moments){0};
    for (const struct tree *m = list ? list->first : NULL; m; m = m->next)
        hpa_moments_add(out, now_ms - integer_or(m, "ageS", 0) * SECOND_MS,
                        (int32_t)integer_or(m, tree_get(m, "change") ? "change" : "replicas", 0));
    return out->count;
}

static struct hpa_tolerance read_tolerance(const struct tree *in)
{
    struct hpa_tolerance tolerance = {0.1, 0.1};
    const struct tree *given = tree_get(in, "tolerance");

    if (tree_get(given, "up"))
        quantity_parse_double(tree_get(given, "up")->text, &tolerance.up);
    if (tree_get(given, "down"))
        quantity_parse_double(tree_get(given, "down")->text, &tolerance.down);
    return tolerance;
}

/* scaleUp and scaleDown stand beside the other inputs, before defaulting; a missing window downwards is 300 s. */
static void read_rules(const struct tree *in, struct scaling_behavior *out)
{
    scaling_behavior_default(out);
    scaling_behavior_read(in, out);
    if (out->down.window_s < 0)
        out->down.window_s = 300;
}

static enum pod_ready read_ready(const struct tree *pod)
{
    const struct tree *ready = tree_get(pod, "ready");
    const char *word = tree_string(ready);

    if (!ready)
        return POD_READY_TRUE;
    if (!word)
        return POD_READY_NONE;
    return strcmp(word, "True") == 0    ? POD_READY_TRUE
           : strcmp(word, "False") == 0 ? POD_READY_FALSE
                                        : POD_READY_UNKNOWN;
}

static enum pod_phase read_phase(const struct tree *pod)
{
    static const char *const names[] = {"Pending", "Running", "Succeeded", "Failed", "Unknown"};
    const char *word = tree_string(tree_get(pod, "phase"));

    for (int i = 0; word && i < 5; i++)
        if (strcmp(word, names[i]) == 0)
            return (enum pod_phase)i;
    return POD_RUNNING;
}

/* Sums the containers, or takes the one that is named; a container without usage leaves the pod without sample. */
static void read_containers(const struct tree *pod, const char *container, struct pod_usage *out)
{
    const struct tree *list = tree_get(pod, "containers");
    bool found = false;

    out->has_usage = out->has_request = list && list->first;
    for (const struct tree *c = list ? list->first : NULL; c; c = c->next) {
        if (container && strcmp(tree_string(tree_get(c, "name")), container) != 0)
            continue;
        found = true;
        out->usage += milli_of(tree_get(c, "usage"));
        out->request += milli_of(tree_get(c, "request"));
        out->has_usage &= !is_null(tree_get(c, "usage"));
        out->has_request &= !is_null(tree_get(c, "request"));
    }
    if (!found)
        out->has_usage = out->has_request = false;
}

static struct pod_fact *read_pods(struct decide_case *c, size_t *count)
{
    const struct tree *list = tree_get(c->in, "pods");
    struct pod_fact *pods = arena_array(c->arena, PODS_MAX, sizeof(*pods));

    *count = 0;
    for (const struct tree *p = list ? list->first : NULL; p && *count < PODS_MAX; p = p->next) {
        struct pod_usage *usage = arena_alloc(c->arena, sizeof(*usage));
        const struct tree *start = tree_get(p, "startAgeS");

        if (tree_get(p, "containers"))
            read_containers(p, tree_string(tree_get(c->in, "container")), usage);
        else if ((usage->has_usage = tree_get(p, "metric") != NULL))
            usage->usage = milli_of(tree_get(p, "metric"));
        usage->has_usage &= !flag(p, "noMetrics");
        usage->at_ms = NOW_MS - integer_or(p, "metricAgeS", 0) * SECOND_MS;
        usage->window_ms = integer_or(p, "windowS", 60) * SECOND_MS;
        pods[(*count)++] = (struct pod_fact){
            .name = tree_string(tree_get(p, "name")),
            .phase = read_phase(p),
            .ready = read_ready(p),
            .deleted = flag(p, "deleted"),
            .start_at_ms =
                start && start->type == TREE_NULL ? 0 : NOW_MS - integer_or(p, "startAgeS", 3600) * SECOND_MS,
            .ready_at_ms = NOW_MS - integer_or(p, "readyAgeS", 3600) * SECOND_MS,
            .usage = usage,
        };
    }
    return pods;
}

/* ------------------------------------------------------------------ comparing */

static void compare_moments(struct decide_case *c, const struct tree *expect, const char *key,
                            const struct hpa_moments *got, int64_t now_ms)
{
    const struct tree *list = tree_get(expect, key);
    size_t i = 0;

    if (!list)
        return;
    if (list->count != got->count)
        differ(c, key, (int64_t)list->count, got->count);
    for (const struct tree *m = list->first; m && i < got->count; m = m->next, i++) {
        compare_integer(c, m, "ageS", (now_ms - got->items[i].at_ms) / SECOND_MS);
        compare_integer(c, m, "replicas", got->items[i].count);
        compare_integer(c, m, "change", got->items[i].count);
    }
}

static void compare_proposal(struct decide_case *c, const struct hpa_proposal *proposal)
{
    const struct tree *error = tree_get(c->expect, "error");

    if ((error != NULL) != (proposal->fault != HPA_OK)) {
        differ_text(c, "error", tree_string(error), hpa_fault_name(proposal->fault));
    } else if (!error) {
        compare_integer(c, c->expect, "replicas", proposal->replicas);
        compare_integer(c, c->expect, "usageMilli", proposal->usage);
        compare_integer(c, c->expect, "utilization", proposal->utilization);
    }
}

/* ------------------------------------------------------------------ proposals */

static void run_value(struct decide_case *c)
{
    struct hpa_tolerance tolerance = read_tolerance(c->in);
    int64_t values[VALUES_MAX];
    size_t count = read_values(tree_get(c->in, "values"), values);
    struct hpa_proposal proposal = {.fault = HPA_NO_METRICS};

    if (count > 0)
        hpa_propose_value(hpa_sum(values, count), milli_of(tree_get(c->in, "target")),
                          (int32_t)integer_or(c->in, "specReplicas", 0), (size_t)integer_or(c->in, "totalPods", 0),
                          (int32_t)integer_or(c->in, "readyPods", 0), &tolerance, &proposal);
    compare_proposal(c, &proposal);
}

static void run_average(struct decide_case *c, bool external)
{
    struct hpa_tolerance tolerance = read_tolerance(c->in);
    int64_t values[VALUES_MAX], sum;
    size_t count = read_values(tree_get(c->in, "values"), values);
    struct hpa_proposal proposal = {.fault = HPA_NO_METRICS};
    bool plausible = hpa_sum_average(values, count, &sum);

    if (!external)
        sum = hpa_sum(values, count);
    if (count > 0 && external && !plausible)
        hpa_propose_everything(&proposal);
    else if (count > 0)
        hpa_propose_average(sum, milli_of(tree_get(c->in, "target")), (int32_t)integer_or(c->in, "statusReplicas", 0),
                            &tolerance, &proposal);
    compare_proposal(c, &proposal);
}

static void read_metric(struct decide_case *c, int64_t *foreign, struct hpa_pods *out)
{
    const char *resource = tree_string(tree_get(c->in, "resource"));

    *out = (struct hpa_pods){
        .cpu = resource && strcmp(resource, "cpu") == 0,
        .utilization = tree_get(c->in, "targetUtilization") != NULL,
        .spec_replicas = (int32_t)integer_or(c->in, "specReplicas", 0),
        .now_ms = NOW_MS,
        .cpu_initialization_ms = integer_or(c->in, "cpuInitS", 300) * SECOND_MS,
        .readiness_delay_ms = integer_or(c->in, "readinessDelayS", 30) * SECOND_MS,
        .foreign = foreign,
        .foreign_count = read_values(tree_get(c->in, "extraMetrics"), foreign),
    };
    out->target = out->utilization ? integer_or(c->in, "targetUtilization", 0) : milli_of(tree_get(c->in, "target"));
    out->pods = read_pods(c, &out->pod_count);
}

static void run_pods(struct decide_case *c)
{
    struct hpa_tolerance tolerance = read_tolerance(c->in);
    int64_t foreign[VALUES_MAX];
    struct hpa_pods metric;
    struct hpa_proposal proposal;

    read_metric(c, foreign, &metric);
    hpa_propose_pods(&metric, &tolerance, &proposal);
    compare_proposal(c, &proposal);
}

static void compare_class(struct decide_case *c, const struct hpa_pods *metric, const char *key,
                          enum hpa_pod_class class)
{
    const struct tree *name = tree_get(c->expect, key) ? tree_get(c->expect, key)->first : NULL;

    for (size_t i = 0; i < metric->pod_count; i++) { /* the cases' names are sorted as their pods are */
        if (hpa_classify(metric, i) != class)
            continue;
        if (!name || strcmp(tree_string(name), metric->pods[i].name) != 0)
            differ_text(c, key, tree_string(name), metric->pods[i].name);
        name = name ? name->next : NULL;
    }
    if (name)
        differ_text(c, key, tree_string(name), NULL);
}

static void run_group(struct decide_case *c)
{
    int64_t foreign[VALUES_MAX], counted = 0;
    struct hpa_pods metric;

    read_metric(c, foreign, &metric);
    for (size_t i = 0; i < metric.pod_count; i++)
        counted += hpa_classify(&metric, i) == HPA_POD_COUNTED;
    compare_integer(c, c->expect, "ready", counted);
    compare_class(c, &metric, "unready", HPA_POD_UNREADY);
    compare_class(c, &metric, "missing", HPA_POD_MISSING);
    compare_class(c, &metric, "ignored", HPA_POD_IGNORED);
}

/* ------------------------------------------------------------------ stabilization and limits */

static void run_limits(struct decide_case *c)
{
    enum hpa_limit why;
    int32_t after = hpa_limit_plain((int32_t)integer_or(c->in, "current", 0), (int32_t)integer_or(c->in, "desired", 0),
                                    (int32_t)integer_or(c->in, "min", 0), (int32_t)integer_or(c->in, "max", 0), &why);

    compare_integer(c, c->expect, "replicas", after);
    compare_text(c, c->expect, "reason", hpa_limit_name(why));
}

static void run_policy(struct decide_case *c)
{
    struct scaling_behavior behavior;
    struct hpa_moments ups, downs;
    enum hpa_limit why;

    read_rules(c->in, &behavior);
    read_moments(tree_get(c->in, "upEvents"), NOW_MS, &ups);
    read_moments(tree_get(c->in, "downEvents"), NOW_MS, &downs);
    int32_t after = hpa_limit(&behavior, &ups, &downs, NOW_MS, (int32_t)integer_or(c->in, "current", 0),
                              (int32_t)integer_or(c->in, "desired", 0), (int32_t)integer_or(c->in, "min", 0),
                              (int32_t)integer_or(c->in, "max", 0), &why);
    compare_integer(c, c->expect, "replicas", after);
    compare_text(c, c->expect, "reason", hpa_limit_name(why));
    hpa_moments_done(&ups);
    hpa_moments_done(&downs);
}

static void run_stabilize(struct decide_case *c)
{
    int64_t window_ms = integer_or(c->in, "windowS", 0) * SECOND_MS;
    int32_t desired = (int32_t)integer_or(c->in, "desired", 0);
    struct hpa_moments wishes;

    read_moments(tree_get(c->in, "history"), NOW_MS, &wishes);
    compare_integer(c, c->expect, "replicas", hpa_stabilize_plain(&wishes, NOW_MS, window_ms, desired));
    hpa_moments_recycle(&wishes, NOW_MS, window_ms, desired);
    compare_moments(c, c->expect, "history", &wishes, NOW_MS);
    hpa_moments_done(&wishes);
}

static void compare_condition(struct decide_case *c, const struct hpa_state *state, enum hpa_condition_type type,
                              const char *status_key, const char *reason_key)
{
    const struct hpa_condition *condition = hpa_state_condition(state, type);

    if (status_key)
        compare_text(c, c->expect, status_key, condition->status ? "True" : "False");
    compare_text(c, c->expect, reason_key, hpa_reason_name(condition->reason));
}

/* normalize and stabilize-behavior: the whole of sections 8 and 9; the latter looks at the stabilized number alone. */
static void run_normalize(struct decide_case *c, bool stabilize_only)
{
    struct hpa_controller controller;
    struct scaling_behavior behavior;
    struct hpa_object object = {.min = (int32_t)integer_or(c->in, "min", 0),
                                .max = (int32_t)integer_or(c->in, "max", 0)};
    struct hpa_state state = {0};
    int32_t stable;

    hpa_controller_default(&controller);
    read_rules(c->in, &behavior);
    if (stabilize_only) {
        behavior.up.window_s = (int32_t)integer_or(c->in, "upWindowS", 0);
        behavior.down.window_s = (int32_t)integer_or(c->in, "downWindowS", 0);
    }
    if (!flag(c->in, "noBehavior"))
        object.behavior = &behavior;
    read_moments(tree_get(c->in, "history"), NOW_MS, &state.wishes);
    read_moments(tree_get(c->in, "upEvents"), NOW_MS, &state.ups);
    read_moments(tree_get(c->in, "downEvents"), NOW_MS, &state.downs);
    int32_t after = hpa_normalize(&object, &controller, NOW_MS, (int32_t)integer_or(c->in, "current", 0),
                                  (int32_t)integer_or(c->in, "desired", 0), &state, &stable);
    compare_integer(c, c->expect, "replicas", stabilize_only ? stable : after);
    compare_condition(c, &state, HPA_ABLE_TO_SCALE, NULL, stabilize_only ? "reason" : "able");
    compare_condition(c, &state, HPA_SCALING_LIMITED, "limited", "limitedReason");
    compare_moments(c, c->expect, "history", &state.wishes, NOW_MS);
    hpa_state_done(&state);
}

static void run_store_event(struct decide_case *c)
{
    struct scaling_behavior behavior;
    struct hpa_moments ups, downs;

    read_rules(c->in, &behavior);
    read_moments(tree_get(c->in, "upEvents"), NOW_MS, &ups);
    read_moments(tree_get(c->in, "downEvents"), NOW_MS, &downs);
    hpa_store_event(&behavior, &ups, &downs, NOW_MS, (int32_t)integer_or(c->in, "from", 0),
                    (int32_t)integer_or(c->in, "to", 0));
    compare_moments(c, c->expect, "upEvents", &ups, NOW_MS);
    compare_moments(c, c->expect, "downEvents", &downs, NOW_MS);
    hpa_moments_done(&ups);
    hpa_moments_done(&downs);
}

/* ------------------------------------------------------------------ quantities, defaults, validation */

static void run_quantity(struct decide_case *c)
{
    int64_t milli = 0;
    const struct tree *q = tree_get(c->in, "q");
    bool good = q && q->text && quantity_parse_milli(q->text, &milli);

    if (good == flag(c->expect, "error"))
        differ(c, "error", flag(c->expect, "error"), !good);
    else
        compare_integer(c, c->expect, "milli", milli);
}

static void compare_direction(struct decide_case *c, const struct tree *expect, const struct scaling_rules *got)
{
    static const char *const selects[] = {"Max", "Min", "Disabled"};
    const struct tree *policies = tree_get(expect, "policies");
    double tolerance = -1;
    size_t i = 0;

    compare_integer(c, expect, "stabilizationWindowSeconds", got->window_s);
    if (!tree_get(expect, "stabilizationWindowSeconds") && got->window_s != -1)
        differ(c, "stabilizationWindowSeconds", -1, got->window_s);
    compare_text(c, expect, "selectPolicy", selects[got->select]);
    if (tree_get(expect, "tolerance"))
        quantity_parse_double(tree_get(expect, "tolerance")->text, &tolerance);
    if (tolerance != got->tolerance)
        differ_text(c, "tolerance", "other", "");
    if (tree_count(policies) != got->policy_count)
        differ(c, "policies", (int64_t)tree_count(policies), got->policy_count);
    for (const struct tree *p = policies ? policies->first : NULL; p && i < got->policy_count; p = p->next, i++) {
        compare_text(c, p, "type", got->policies[i].percent ? "Percent" : "Pods");
        compare_integer(c, p, "value", got->policies[i].value);
        compare_integer(c, p, "periodSeconds", got->policies[i].period_s);
    }
}

static void run_defaults(struct decide_case *c)
{
    const struct tree *given = tree_get(c->in, "behavior"), *expect = tree_get(c->expect, "behavior");
    struct scaling_behavior behavior;

    if (is_null(given) != is_null(expect)) {
        differ_text(c, "behavior", is_null(expect) ? "absent" : "given", is_null(given) ? "absent" : "given");
    } else if (!is_null(given)) {
        scaling_behavior_read(given, &behavior);
        compare_direction(c, tree_get(expect, "scaleUp"), &behavior.up);
        compare_direction(c, tree_get(expect, "scaleDown"), &behavior.down);
    }
}

static void note_finding(void *arg, const char *path, enum hpa_finding_kind kind, const char *text)
{
    struct text *found = arg;
    char line[300];

    (void)text;
    snprintf(line, sizeof(line), "%s:%s\n", path, hpa_finding_name(kind));
    if (!strstr(found->bytes, line)) /* a set */
        text_add(found, line);
}

static void run_validate(struct decide_case *c)
{
    const struct tree *errors = tree_get(c->expect, "errors");
    struct text found;
    size_t lines = 0;

    text_init(&found, 64 * 1024);
    hpa_validate(tree_get(c->in, "spec"), flag(c->in, "scaleToZeroGate") || flag(c->in, "oldMinReplicasZero"),
                 note_finding, &found);
    for (const char *p = found.bytes; (p = strchr(p, '\n')); p++)
        lines++;
    for (const struct tree *e = errors->first; e; e = e->next) {
        char line[300];

        snprintf(line, sizeof(line), "%s\n", tree_string(e));
        if (!strstr(found.bytes, line))
            differ_text(c, "errors", tree_string(e), found.bytes);
    }
    if (lines != errors->count)
        differ_text(c, "errors", errors->count ? "the ones listed" : "none", found.bytes);
    text_done(&found);
}

/* ------------------------------------------------------------------ whole syncs */

static bool read_quantity_member(const struct tree *target, const char *key, int64_t *milli)
{
    if (is_null(tree_get(target, key)))
        return false;
    *milli = milli_of(tree_get(target, key));
    return true;
}

static void read_one_metric(const struct tree *m, struct hpa_metric *out)
{
    static const char *const members[] = {"external", "object", "pods", "resource", "containerResource"};
    const char *type = tree_string(tree_get(m, "type"));

    *out = (struct hpa_metric){0};
    for (int i = 0; i <= HPA_CONTAINER_RESOURCE; i++)
        if (strcmp(type, hpa_metric_type_name((enum hpa_metric_type)i)) == 0)
            out->type = (enum hpa_metric_type)i;
    const struct tree *source = tree_get(m, members[out->type]);
    const struct tree *target = tree_get(source, "target");
    out->has_value = read_quantity_member(target, "value", &out->value);
    out->has_average = read_quantity_member(target, "averageValue", &out->average);
    out->has_utilization = tree_get(target, "averageUtilization") != NULL;
    out->utilization = (int32_t)integer_or(target, "averageUtilization", 0);
    out->target_type =
        string_equal(tree_string(tree_get(target, "type")), "AverageValue") ? TARGET_AVERAGE_VALUE : TARGET_VALUE;
    out->cpu = string_equal(tree_string(tree_get(source, "name")), "cpu");
}

static void read_object(struct decide_case *c, const struct tree *spec, struct hpa_object *out)
{
    const struct tree *behavior = tree_get(spec, "behavior"), *metrics = tree_get(spec, "metrics");
    struct hpa_metric *list = arena_array(c->arena, TRIGGERS_MAX, sizeof(*list));

    *out = (struct hpa_object){.min = (int32_t)integer_or(spec, "minReplicas", 1),
                               .max = (int32_t)integer_or(spec, "maxReplicas", 0),
                               .metrics = list};
    for (const struct tree *m = metrics ? metrics->first : NULL; m && out->metric_count < USAGES_MAX; m = m->next)
        read_one_metric(m, &list[out->metric_count++]);
    if (out->metric_count == 0) /* defaulting: cpu at 80 percent */
        list[out->metric_count++] =
            (struct hpa_metric){.type = HPA_RESOURCE, .has_utilization = true, .utilization = 80, .cpu = true};
    if (!is_null(behavior)) {
        struct scaling_behavior *read = arena_alloc(c->arena, sizeof(*read));

        scaling_behavior_read(behavior, read);
        out->behavior = read;
    }
}

static void read_controller(const struct tree *in, struct hpa_controller *out)
{
    const struct tree *given = tree_get(in, "controller"), *gates = tree_get(given, "gates");

    hpa_controller_default(out);
    out->downscale_stabilization_ms = integer_or(given, "downscaleStabilizationS", 300) * SECOND_MS;
    out->cpu_initialization_ms = integer_or(given, "cpuInitS", 300) * SECOND_MS;
    out->readiness_delay_ms = integer_or(given, "readinessDelayS", 30) * SECOND_MS;
    tree_number(tree_get(given, "tolerance"), &out->tolerance);
    out->scale_to_zero = flag(gates, "HPAScaleToZero");
    if (tree_get(gates, "HPAConfigurableTolerance"))
        out->configurable_tolerance = flag(gates, "HPAConfigurableTolerance");
}

/* The last element of a metric's values is that of all further pods. */
static int64_t usage_of_pod(const struct tree *values, size_t pod)
{
    size_t last = values && values->count > 0 ? values->count - 1 : 0;

    return milli_of(tree_index(values, pod < last ? pod : last));
}

static struct pod_fact *make_pods(struct decide_case *c, const struct hpa_object *object, const struct tree *values,
                                  int64_t now_ms, size_t count, size_t ready)
{
    struct pod_fact *pods = arena_array(c->arena, count + 1, sizeof(*pods));

    for (size_t i = 0; i < count; i++) {
        struct pod_usage *usage = arena_array(c->arena, object->metric_count + 1, sizeof(*usage));

        for (size_t m = 0; m < object->metric_count; m++) {
            const struct tree *metric = tree_index(values, m);

            if (object->metrics[m].type == HPA_EXTERNAL || object->metrics[m].type == HPA_OBJECT)
                continue;
            usage[m] = (struct pod_usage){.has_usage = metric && metric->count > 0,
                                          .has_request = true,
                                          .usage = usage_of_pod(metric, i),
                                          .request = 1000,
                                          .at_ms = now_ms,
                                          .window_ms = MINUTE_MS};
        }
        pods[i] = (struct pod_fact){.phase = POD_RUNNING,
                                    .ready = i < ready ? POD_READY_TRUE : POD_READY_FALSE,
                                    .start_at_ms = now_ms - HOUR_MS,
                                    .ready_at_ms = now_ms - HOUR_MS,
                                    .usage = usage};
    }
    return pods;
}

static void read_samples(struct decide_case *c, const struct hpa_object *object, const struct tree *values,
                         struct hpa_samples *out)
{
    for (size_t i = 0; i < object->metric_count; i++) {
        const struct tree *metric = tree_index(values, i);
        int64_t *numbers = arena_array(c->arena, VALUES_MAX, sizeof(*numbers));

        out[i] = (struct hpa_samples){.failed = is_null(metric)};
        if (object->metrics[i].type == HPA_EXTERNAL || object->metrics[i].type == HPA_OBJECT)
            out[i] = (struct hpa_samples){is_null(metric), numbers, read_values(metric, numbers)};
    }
}

static enum hpa_selector read_selector(const struct tree *step)
{
    const char *selector = tree_string(tree_get(step, "selector"));

    if (selector)
        return *selector == '\0' ? HPA_SELECTOR_EMPTY : HPA_SELECTOR_INVALID;
    return flag(step, "ambiguous") ? HPA_SELECTOR_AMBIGUOUS : HPA_SELECTOR_GOOD;
}

static void compare_conditions(struct decide_case *c, const struct tree *list, const struct hpa_state *state)
{
    int i = 0;

    if (!list)
        return;
    if ((int64_t)list->count != state->condition_count)
        differ(c, "conditions", (int64_t)list->count, state->condition_count);
    for (const struct tree *e = list->first; e && i < state->condition_count; e = e->next, i++) {
        compare_text(c, e, "type", hpa_condition_name(state->conditions[i].type));
        compare_text(c, e, "status", state->conditions[i].status ? "True" : "False");
        compare_text(c, e, "reason", hpa_reason_name(state->conditions[i].reason));
    }
}

static void compare_events(struct decide_case *c, const struct tree *list, const struct hpa_outcome *out)
{
    size_t i = 0;

    if (!list)
        return;
    if (list->count != out->event_count)
        differ(c, "events", (int64_t)list->count, (int64_t)out->event_count);
    for (const struct tree *e = list->first; e && i < out->event_count; e = e->next, i++)
        if (!string_equal(tree_string(e), hpa_reason_name(out->events[i])))
            differ_text(c, "event", tree_string(e), hpa_reason_name(out->events[i]));
}

static void compare_metric_status(struct decide_case *c, const struct tree *expect, const struct hpa_metric *metric,
                                  const struct hpa_proposal *proposal)
{
    compare_text(c, expect, "type", proposal->fault ? "" : hpa_metric_type_name(metric->type));
    compare_integer(c, expect, "valueMilli", proposal->usage);
    compare_integer(c, expect, "averageValueMilli", proposal->usage);
    compare_integer(c, expect, "averageUtilization", proposal->utilization);
}

static void compare_status(struct decide_case *c, const struct tree *expect, const struct hpa_object *object,
                           int32_t before, const struct hpa_state *state, const struct hpa_outcome *out)
{
    const struct tree *metrics = tree_get(expect, "currentMetrics");
    size_t i = 0;

    if (!expect)
        return;
    compare_integer(c, expect, "currentReplicas", before);
    compare_integer(c, expect, "desiredReplicas", state->desired);
    if (metrics && is_null(metrics) == out->measured)
        differ(c, "currentMetrics", !is_null(metrics), out->measured);
    for (const struct tree *m = is_null(metrics) ? NULL : metrics->first; m && i < out->proposal_count;
         m = m->next, i++)
        compare_metric_status(c, m, &object->metrics[i], &out->proposals[i]);
}

static void compare_step(struct decide_case *c, const struct tree *expect, const struct hpa_object *object,
                         int32_t before, const struct hpa_state *state, const struct hpa_outcome *out)
{
    const struct hpa_condition *limited = hpa_state_condition(state, HPA_SCALING_LIMITED);
    const struct hpa_condition *able = hpa_state_condition(state, HPA_ABLE_TO_SCALE);
    char text[100];

    compare_integer(c, expect, "replicas", out->replicas);
    compare_flag(c, expect, "rescaled", out->rescaled);
    compare_flag(c, expect, "error", out->error);
    if (out->computed) {
        compare_integer(c, expect, "recommended", out->recommended);
        compare_integer(c, expect, "stabilized", out->stabilized);
    }
    compare_text(c, expect, "able", able ? hpa_reason_name(able->reason) : NULL);
    if (limited)
        snprintf(text, sizeof(text), "%s:%s", limited->status ? "True" : "False", hpa_reason_name(limited->reason));
    compare_text(c, expect, "limited", limited ? text : NULL);
    compare_conditions(c, tree_get(expect, "conditions"), state);
    compare_events(c, tree_get(expect, "events"), out);
    compare_status(c, tree_get(expect, "status"), object, before, state, out);
}

static void read_state(const struct tree *in, struct hpa_state *state)
{
    const struct tree *conditions = tree_get(in, "conditions");

    state->desired = (int32_t)integer_or(in, "statusDesired", 0);
    for (const struct tree *e = conditions ? conditions->first : NULL; e; e = e->next) {
        enum hpa_condition_type type;
        enum hpa_reason reason = HPA_REASON_SucceededGetScale;

        hpa_reason_find(tree_string(tree_get(e, "reason")), &reason);
        if (hpa_condition_find(tree_string(tree_get(e, "type")), &type))
            hpa_state_set(state, type, string_equal(tree_string(tree_get(e, "status")), "True"), reason);
    }
}

static int32_t run_step(struct decide_case *c, const struct tree *step, const struct tree *expect,
                        const struct hpa_object *object, const struct hpa_controller *controller, int32_t replicas,
                        struct hpa_state *state)
{
    struct hpa_samples samples[USAGES_MAX + 1];
    struct hpa_outcome out;
    int64_t now_ms = NOW_MS + integer_or(step, "t", 0) * SECOND_MS;
    int64_t status = integer_or(step, "status", replicas), total = integer_or(step, "totalPods", status);
    const struct tree *values = tree_get(step, "values");

    read_samples(c, object, values, samples);
    hpa_sync(
        object, controller,
        &(struct hpa_sync_facts){
            .now_ms = now_ms,
            .scale_get_failed = flag(step, "scaleGetError"),
            .scale_update_failed = flag(step, "scaleUpdateError"),
            .replicas = replicas,
            .status_replicas = (int32_t)status,
            .selector = read_selector(step),
            .pods = make_pods(c, object, values, now_ms, (size_t)total, (size_t)integer_or(step, "readyPods", total)),
            .pod_count = (size_t)total,
            .samples = samples,
        },
        state, &out);
    compare_step(c, expect, object, replicas, state, &out);
    return out.replicas;
}

static void run_sequence(struct decide_case *c)
{
    const struct tree *steps = tree_get(c->in, "steps"), *expected = tree_get(c->expect, "steps");
    const struct tree *expect = expected ? expected->first : NULL;
    int32_t replicas = (int32_t)integer_or(c->in, "replicas", 0);
    struct hpa_controller controller;
    struct hpa_object object;
    struct hpa_state state = {0};

    read_controller(c->in, &controller);
    read_object(c, tree_get(c->in, "spec"), &object);
    read_state(c->in, &state);
    for (const struct tree *step = steps ? steps->first : NULL; step && c->same; step = step->next) {
        replicas = (int32_t)integer_or(step, "replicas", replicas);
        if (tree_get(step, "spec"))
            read_object(c, tree_get(step, "spec"), &object);
        replicas = run_step(c, step, expect, &object, &controller, replicas, &state);
        if (!c->same)
            text_printf(&c->result->got, "at t=%lld", (long long)integer_or(step, "t", 0));
        expect = expect ? expect->next : NULL;
    }
    hpa_state_done(&state);
}

/* ------------------------------------------------------------------ kinds */

static void run_external_average(struct decide_case *c)
{
    run_average(c, true);
}

static void run_object_average(struct decide_case *c)
{
    run_average(c, false);
}

static void run_whole_normalize(struct decide_case *c)
{
    run_normalize(c, false);
}

static void run_stabilize_behavior(struct decide_case *c)
{
    run_normalize(c, true);
}

static const struct {
    const char *kind;
    void (*run)(struct decide_case *);
} kinds[] = {
    {"external-value", run_value},
    {"object-value", run_value},
    {"external-average", run_external_average},
    {"object-average", run_object_average},
    {"pods", run_pods},
    {"resource-utilization", run_pods},
    {"resource-average", run_pods},
    {"group-pods", run_group},
    {"limits", run_limits},
    {"policy", run_policy},
    {"stabilize", run_stabilize},
    {"stabilize-behavior", run_stabilize_behavior},
    {"normalize", run_whole_normalize},
    {"store-event", run_store_event},
    {"quantity", run_quantity},
    {"defaults", run_defaults},
    {"validate", run_validate},
    {"reconcile", run_sequence},
    {"sequence", run_sequence},
};

enum vector_outcome vector_hpa(const struct tree *c, const char *path, struct vector_result *result)
{
    struct decide_case one = {
        .in = tree_get(c, "in"), .expect = tree_get(c, "expect"), .result = result, .same = false};
    const char *kind = tree_string(tree_get(c, "kind"));

    (void)path;
    one.arena = arena_new(ARENA_USUAL);
    for (size_t i = 0; kind && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].kind, kind) == 0) {
            one.same = true;
            kinds[i].run(&one);
        }
    }
    arena_free(one.arena);
    if (!one.same && result->got.length == 0)
        text_printf(&result->got, "no kind of case called %s", kind ? kind : "nothing");
    return one.same ? VECTOR_PASSED : VECTOR_FAILED;
}
