/*
 * modes: one test for each line of what goes wrong in production (failure-modes M1, F1 ...), on the whole running system. A manifest is
 * put together from what differs; queries of `http://prom` are answered as struct prometheus_says says.
 */
#ifndef WEIR_TEST_MODES_H
#define WEIR_TEST_MODES_H

#include "../unit/autoscaler/running.h"

enum { MODES_YAML_BYTES = 8192 };

/* A ScaledObject `app` on the Deployment `app`: lines of its spec (two blanks deep), and its triggers. */
static inline const char *object_yaml(const char *spec, const char *triggers)
{
    static char yaml[MODES_YAML_BYTES];

    snprintf(yaml, sizeof(yaml),
             "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app}\nspec:\n  scaleTargetRef: {name: "
             "app}\n%s"
             "  triggers:\n%s",
             spec, triggers);
    return yaml;
}

/* A trigger that asks Prometheus for `query`; more: further lines of the trigger. */
#define PROM(name, query, threshold, more)                                                                             \
    "  - type: prometheus\n    name: " name "\n" more                                                                  \
    "    metadata: {serverAddress: 'http://prom:9090', query: " query ", threshold: '" threshold "'}\n"

#define APP "ScaledObject/default/app"

static inline void begin(struct running *r, int32_t replicas, const char *spec, const char *triggers)
{
    running_start(r, NULL);
    stage_workload(r->stage, "default", "Deployment", "app", replicas);
    running_manifest(r, "app.yaml", object_yaml(spec, triggers));
}

static inline int32_t replicas(struct running *r)
{
    return stage_replicas(r->stage, "app");
}

/* Runs until `s` and looks every second: the replicas are always within [low, high]. */
static inline void always_within(struct running *r, int64_t s, int32_t low, int32_t high)
{
    for (int64_t at = stage_now_ms(r->stage) / SECOND_MS; at <= s; at++) {
        running_until(r, at);
        assert_in_range(replicas(r), low, high);
    }
}

#endif
