/* metrics_cluster: what /metrics says about our part in a cluster: who acts, and what the API server is asked. */
#include "serve/serve.h"

#include <inttypes.h>

#include "base/text.h"
#include "platform/kubernetes/client.h"
#include "platform/kubernetes/kubernetes.h"

static void number(struct text *out, const char *name, const char *type, const char *help, uint64_t value)
{
    text_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type, name, value);
}

static void write_cluster(void *arg, struct text *out)
{
    struct kubernetes_stats platform;
    struct kube_stats kube;

    platform_kubernetes_stats(arg, &platform);
    kube_stats(platform_kube(arg), &kube);
    number(out, "weir_leader", "gauge", "1: this one acts; 0: it stands by.", platform.leader);
    number(out, "weir_members", "gauge", "Live members of the group that share the objects; 1: not shared.",
           platform.members);
    number(out, "weir_kubernetes_requests_total", "counter", "Requests to the API server.", kube.requests);
    number(out, "weir_kubernetes_request_failures_total", "counter", "Those that failed.", kube.failures);
    number(out, "weir_kubernetes_request_retries_total", "counter", "Those asked once more.", kube.retries);
    number(out, "weir_kubernetes_throttled_total", "counter", "Answers that sent us away for a while.", kube.throttled);
    number(out, "weir_kubernetes_lists_total", "counter", "Lists begun.", kube.lists);
    number(out, "weir_kubernetes_watches_total", "counter", "Watches begun.", kube.watches);
    number(out, "weir_kubernetes_waiting", "gauge", "Requests that wait for their turn.", kube.waiting_now);
    number(out, "weir_kubernetes_status_writes_total", "counter", "Status patches sent.", platform.status_writes);
    number(out, "weir_kubernetes_status_merged_total", "counter", "Status patches that became one with another.",
           platform.status_merged);
    number(out, "weir_kubernetes_events_total", "counter", "Events sent.", platform.events);
    number(out, "weir_kubernetes_scales_total", "counter", "Counts written to /scale.", platform.scales);
    number(out, "weir_kubernetes_conflicts_total", "counter", "Writes that lost to somebody else's.",
           platform.conflicts);
}

void serve_cluster_metrics(struct platform *kubernetes)
{
    metrics_writer_add(write_cluster, kubernetes);
}

void serve_cluster_metrics_end(struct platform *kubernetes)
{
    metrics_writer_remove(kubernetes);
}
