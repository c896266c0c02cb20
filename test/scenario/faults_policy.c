/*
 * faults_policy: a random ScaledObject. The triggers of an object stay the same through all its versions, as sources are bound to them;
 * everything else is thrown anew.
 */
#include "faults.h"

#include <stdio.h>
#include <string.h>

uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t z = a * UINT64_C(0x9E3779B97F4A7C15) + b + UINT64_C(0xD1B54A32D192ED03);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint64_t roll(struct dice *dice, uint64_t sides)
{
    dice->state = mix(dice->state, 1);
    return dice->state % sides;
}

bool chance(struct dice *dice, unsigned percent)
{
    return roll(dice, 100) < percent;
}

/* ------------------------------------------------------------------ the object */

static void write_annotations(struct dice *d, struct text *yaml)
{
    static const char *const some[] = {
        "autoscaling.keda.sh/paused: 'true'",
        "autoscaling.keda.sh/paused-replicas: '2'",
        "autoscaling.keda.sh/paused-scale-in: 'true'",
        "autoscaling.keda.sh/paused-scale-out: 'true'",
        "autoscaling.keda.sh/force-activation: 'true'",
        "weir.dev/missing-hold: 5m",
        "weir.dev/missing-hold: forever",
        "weir.dev/polling-interval: 700ms",
        "weir.dev/polling-interval: 40s",
        "weir.dev/strict-activation: 'true'",
        "weir.dev/mode: observe",
    };

    text_add(yaml, "  annotations:\n    example.com/team: core\n");
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
        if (chance(d, 3))
            text_printf(yaml, "    %s\n", some[i]);
}

static void write_bounds(struct dice *d, struct text *yaml)
{
    unsigned min = (unsigned)roll(d, 4), max = min + 1 + (unsigned)roll(d, 16);

    text_printf(yaml, "  minReplicaCount: %u\n  maxReplicaCount: %u\n", min, max);
    if (min > 0 && chance(d, 30))
        text_printf(yaml, "  idleReplicaCount: %u\n", (unsigned)roll(d, min));
    text_printf(yaml, "  pollingInterval: %u\n  cooldownPeriod: %u\n", 1 + (unsigned)roll(d, 40),
                (unsigned)roll(d, 200));
    if (chance(d, 20))
        text_printf(yaml, "  initialCooldownPeriod: %u\n", (unsigned)roll(d, 300));
}

static void write_fallback(struct dice *d, struct text *yaml)
{
    static const char *const kinds[] = {"static", "currentReplicas", "currentReplicasIfHigher",
                                        "currentReplicasIfLower"};

    if (!chance(d, 40))
        return;
    text_printf(yaml, "  fallback:\n    failureThreshold: %u\n    replicas: %u\n", (unsigned)roll(d, 6),
                (unsigned)roll(d, 10));
    if (chance(d, 60))
        text_printf(yaml, "    behavior: %s\n", kinds[roll(d, 4)]);
}

static void write_direction(struct dice *d, const char *name, struct text *yaml)
{
    static const char *const selects[] = {"Max", "Min", "Disabled"};

    text_printf(yaml, "        %s:\n          stabilizationWindowSeconds: %u\n", name, (unsigned)roll(d, 3) * 60);
    if (chance(d, 30))
        text_printf(yaml, "          tolerance: '0.%02u'\n", (unsigned)roll(d, 30));
    if (chance(d, 30))
        text_printf(yaml, "          selectPolicy: %s\n", selects[roll(d, 8) % 3]);
    if (!chance(d, 60))
        return;
    text_printf(yaml, "          policies:\n          - {type: Pods, value: %u, periodSeconds: %u}\n",
                1 + (unsigned)roll(d, 4), 15 + (unsigned)roll(d, 30));
    if (chance(d, 50))
        text_printf(yaml, "          - {type: Percent, value: %u, periodSeconds: %u}\n", 30 + (unsigned)roll(d, 100),
                    15 + (unsigned)roll(d, 30));
}

static void write_formula(struct dice *d, size_t sources, struct written *out, struct text *yaml)
{
    static const char *const one[] = {"t0",
                                      "t0 / 2 + 1",
                                      "1 / t0",
                                      "t0 > 20 ? t0 : 0",
                                      "t0 ?? 3",
                                      "max(t0, 5)",
                                      "ceil(t0 / 7)",
                                      "missing(t0) ? 4 : t0",
                                      "recent(t0, '2m') ?? 1",
                                      "avg_over(t0, '3m')",
                                      "-t0",
                                      "t0 - t0 / t0",
                                      "hysteresis(t0, 10, 30) ? 30 : 0",
                                      "held(t0 > 10, '1m') ? 40 : 1",
                                      "ema(t0, '1m')"};
    static const char *const two[] = {"t0 + t1",
                                      "t0 / t1",
                                      "max(t0, t1)",
                                      "t0 > 10 && t1 > 10 ? t0 : 0",
                                      "(t0 ?? 1) + (t1 ?? 1)",
                                      "t1 == 0 ? 0 : t0 / t1",
                                      "rate(t0, '2m') + t1"};
    static const char *const looped[] = {"t0 / ready_replicas", "replicas + (t0 > 20 ? 1 : 0)",
                                         "hour('UTC') > 6 ? t0 : 1"};

    const char *formula = one[roll(d, sizeof(one) / sizeof(one[0]))];

    if (sources > 1 && chance(d, 60))
        formula = two[roll(d, sizeof(two) / sizeof(two[0]))];
    out->clockwork = chance(d, 8);
    if (out->clockwork)
        formula = looped[roll(d, 3)];
    out->remembers = strchr(formula, '\'') != NULL; /* a window is a text */
    text_printf(yaml, "    scalingModifiers:\n      formula: \"%s\"\n", formula);
    if (chance(d, 85))
        text_printf(yaml, "      target: \"%s\"\n", chance(d, 50) ? "10" : chance(d, 50) ? "0.5" : "3");
    if (chance(d, 40))
        text_printf(yaml, "      activationTarget: \"%u\"\n", (unsigned)roll(d, 15));
    if (chance(d, 40))
        text_printf(yaml, "      metricType: %s\n", chance(d, 50) ? "Value" : "AverageValue");
}

static void write_advanced(struct dice *d, size_t sources, struct written *out, struct text *yaml)
{
    bool formula = sources > 0 && chance(d, 45), behavior = chance(d, 45);

    if (!formula && !behavior)
        return;
    text_add(yaml, "  advanced:\n");
    if (formula)
        write_formula(d, sources, out, yaml);
    if (!behavior)
        return;
    text_add(yaml, "    horizontalPodAutoscalerConfig:\n      behavior:\n");
    write_direction(d, "scaleUp", yaml);
    write_direction(d, "scaleDown", yaml);
}

/* ------------------------------------------------------------------ triggers */

/* of: the same in every version; d: what may be edited. */
static void write_source(struct dice *d, struct dice *of, unsigned index, size_t i, struct written *out,
                         struct text *yaml)
{
    enum source_type type = (enum source_type)roll(of, 3);
    unsigned threshold = 5 + (unsigned)roll(d, 10), activation = chance(d, 30) ? (unsigned)roll(d, 20) : 0;

    out->types[i] = type;
    text_printf(yaml, "  - name: t%zu\n", i);
    if (chance(d, 25))
        text_add(yaml, "    metricType: Value\n");
    if (chance(d, 10))
        text_add(yaml, "    useCachedMetrics: true\n");
    if (type == SOURCE_PROMETHEUS) {
        text_printf(yaml,
                    "    type: prometheus\n    metadata: {serverAddress: 'http://src-%u-%zu.local', query: load, "
                    "threshold: '%u'",
                    index, i, threshold);
        text_printf(yaml, ", activationThreshold: '%u'%s}\n", activation,
                    chance(d, 15)   ? ", ignoreNullValues: 'true'"
                    : chance(d, 15) ? ", ignoreNullValues: 'false'"
                                    : "");
    } else if (type == SOURCE_API) {
        text_printf(yaml,
                    "    type: metrics-api\n    metadata: {url: 'http://src-%u-%zu.local/stats', valueLocation: a.b, "
                    "targetValue: '%u'"
                    ", activationTargetValue: '%u'}\n",
                    index, i, threshold, activation);
    } else {
        text_printf(yaml,
                    "    type: redis\n    metadata: {address: 'src-%u-%zu.local:6379', listName: work, listLength: '%u'"
                    ", activationListLength: '%u'}\n",
                    index, i, threshold, activation);
    }
}

/* Utilisation that does not fall when replicas come is a loop too: it takes an hour of five-minute windows to its end. */
static void write_local(struct dice *d, struct written *out, struct text *yaml)
{
    out->clockwork = true;
    switch (roll(d, 3)) {
    case 0:
        text_printf(yaml, "  - type: cpu\n    metricType: Utilization\n    metadata: {value: '%u'}\n",
                    40 + (unsigned)roll(d, 40));
        break;
    case 1:
        text_add(yaml, "  - type: memory\n    metricType: Utilization\n    metadata: {value: '70'}\n");
        break;
    default:
        text_printf(yaml,
                    "  - type: cron\n    metadata: {timezone: Europe/Paris, start: '%u * * * *', end: '%u * * * *', "
                    "desiredReplicas: '%u'}\n",
                    (unsigned)roll(d, 25), 30 + (unsigned)roll(d, 25), 1 + (unsigned)roll(d, 9));
        break;
    }
}

void write_policy(uint64_t seed, unsigned index, unsigned version, struct text *yaml, struct written *out)
{
    struct dice of = {mix(seed, index)}, d = {mix(mix(seed, index), 1000 + version)};
    size_t sources = 1 + roll(&of, 3);

    *out = (struct written){.source_count = sources};
    text_printf(yaml, "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app-%u\n", index);
    write_annotations(&d, yaml);
    text_printf(yaml, "spec:\n  scaleTargetRef: {name: app-%u}\n", index);
    write_bounds(&d, yaml);
    write_fallback(&d, yaml);
    write_advanced(&d, sources, out, yaml);
    text_add(yaml, "  triggers:\n");
    for (size_t i = 0; i < sources; i++)
        write_source(&d, &of, index, i, out, yaml);
    if (chance(&d, 25))
        write_local(&d, out, yaml);
}
