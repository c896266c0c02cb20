/*
 * kubernetes-workload: how many pods of the own namespace a selector matches, or how many nodes carry them. Pods that have
 * ended do not count; those that terminate do. Facts: triggers/kubernetes-workload.md.
 */
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/selector.h"
#include "base/text.h"
#include "platform/platform.h"
#include "trigger/driver.h"

struct workload {
    struct trigger_config common;
    const char *text;
    struct selector *selector; /* parsed; in the trigger's arena */
    bool by_node;
};

#define PARAM_STRUCT struct workload
static const struct param params[] = {
    {"podSelector", PARAM_TEXT(text), .required = true,
     .help = "label selector of the pods to count, such as app=worker"},
    {"value", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .fallback = "0",
     .help = "pods (or nodes) for one replica; required unless a formula uses the trigger"},
    {"activationValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"groupByNode", PARAM_BOOL(by_node), .fallback = "false", .help = "count the nodes that carry them instead"},
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    struct workload *c = config;
    struct error err;

    if (c->text && !selector_parse(c->text, check_arena(check), &c->selector, &err))
        return check_error(check, "podSelector", "write it like app=worker,tier in (a,b),!canary", "podSelector: %s",
                           err.text);
    if (c->common.target <= 0 && !check_input(check)->as_metric_source)
        return check_error(check, "value", "write a number greater than 0", "value has to be greater than 0");
    return true;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    (void)config;
    text_printf(out, "workload-%s", input->ns ? input->ns : "");
}

static enum poll_next look(const void *config, struct poll *poll)
{
    const struct workload *c = config;
    const struct pod_view *const *pods;
    struct map *nodes = c->by_node ? map_new() : NULL;
    size_t count, pods_alive = 0, nodes_used;
    struct error err;

    if (!poll_pods(poll, c->selector, &pods, &count, &err)) {
        map_free(nodes);
        return poll_fail_with(poll, &err);
    }
    for (size_t i = 0; i < count; i++) {
        if (pods[i]->phase == POD_SUCCEEDED || pods[i]->phase == POD_FAILED)
            continue;
        pods_alive++;
        if (nodes && pods[i]->node && *pods[i]->node)
            map_put(nodes, pods[i]->node, poll);
    }
    nodes_used = nodes ? map_count(nodes) : 0;
    map_free(nodes);
    return poll_value(poll, (double)(c->by_node ? nodes_used : pods_alive));
}

TRIGGER(kubernetes_workload) = {
    .type = "kubernetes-workload",
    .summary = "the number of pods that a selector matches",
    .about = "The pods of the object's namespace that match and have not ended; with groupByNode the nodes they are "
             "on. No pod is 0. Where pods "
             "may not be listed it is a failure.",
    .example = "metadata:\n"
               "  podSelector: app=backend\n"
               "  value: \"0.5\"       # one replica for two of them\n",
    .locally = "weir run shop.yaml       # the Deployments of both, with commands, and the ScaledObject\n"
               "weir probe shop.yaml --kubeconfig ~/.kube/config\n",
    .params = params,
    .config_size = sizeof(struct workload),
    .scope = SCOPE_NAMESPACE,
    .prepare = prepare,
    .metric_name = metric_name,
    .read = look,
};
