/*
 * trigger_case: building a trigger from the `in` of a triggers or responses vector, in hpa mode where nothing else is said.
 */
#ifndef WEIR_TEST_TRIGGER_CASE_H
#define WEIR_TEST_TRIGGER_CASE_H

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/report.h"
#include "base/secret.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "trigger/driver.h"
#include "vectors.h"

struct trigger_case {
    struct trigger_input input;
    struct credential *credential;
    struct report *report;
    struct trigger *trigger;
    struct trigger_metric metric;
    bool built;
};

static inline const char *case_env(void *arg, const char *name)
{
    return tree_string(tree_get(arg, name));
}

static inline bool case_bool(const struct tree *map, const char *key)
{
    bool value = false;

    return tree_bool(tree_get(map, key), &value) && value;
}

static inline struct credential *case_credential(const struct tree *in)
{
    const struct tree *params = tree_get(in, "authParams"), *identity = tree_get(in, "podIdentity");
    const char *provider = tree_string(tree_get(identity, "provider"));
    struct credential *credential;

    if (!params && !provider)
        return NULL;
    credential = credential_from_tree(params);
    if (provider)
        credential->pod_identity = arena_copy(credential->arena, provider);
    return credential;
}

/* metric: of a trigger with several. */
static inline void case_build_metric(struct trigger_case *c, const struct tree *in, const char *type, bool direct,
                                     struct trigger_engine *engine, size_t metric)
{
    int64_t index = 0;

    tree_integer(tree_get(in, "triggerIndex"), &index);
    memset(c, 0, sizeof(*c));
    c->credential = case_credential(in);
    c->report = report_new();
    c->input = (struct trigger_input){
        .type = type,
        .name = tree_string(tree_get(in, "triggerName")),
        .index = (int)index,
        .metric = metric,
        .metadata = tree_get(in, "triggerMetadata"),
        .credential = c->credential,
        .env = case_env,
        .env_arg = (void *)(uintptr_t)tree_get(in, "resolvedEnv"),
        .metric_type = tree_string(tree_get(in, "metricType")),
        .as_metric_source = case_bool(in, "asMetricSource"),
        .direct = direct,
        .ns = tree_string(tree_get(in, "namespace")) ? tree_string(tree_get(in, "namespace")) : "",
        .object_name = tree_string(tree_get(in, "name")),
        .interval_ms = 30000,
        .field = "spec.triggers[0]",
    };
    c->built = trigger_build(engine, &c->input, c->report, &c->trigger, &c->metric);
}

static inline void case_build(struct trigger_case *c, const struct tree *in, const char *type, bool direct,
                              struct trigger_engine *engine)
{
    case_build_metric(c, in, type, direct, engine, 0);
}

static inline void case_done(struct trigger_case *c)
{
    if (c->built) {
        trigger_metric_done(&c->metric);
        trigger_unref(c->trigger);
    }
    report_free(c->report);
    credential_unref(c->credential);
}

/* The first error of the report. */
static inline const char *case_error(const struct trigger_case *c)
{
    for (size_t i = 0; i < report_count(c->report); i++)
        if (report_at(c->report, i)->severity == FINDING_ERROR)
            return report_at(c->report, i)->text;
    return "no error";
}

#endif
