/*
 * kubernetes: the platform that is a cluster. Scale targets are everything with a /scale subresource; what is asked for are KEDA's
 * objects in the cluster itself.
 */
#ifndef WEIR_PLATFORM_KUBERNETES_KUBERNETES_H
#define WEIR_PLATFORM_KUBERNETES_KUBERNETES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct kube;
struct kube_config;
struct loop;
struct platform;
struct transport;

struct kubernetes_options { /* copied */
    const char *const
        *namespaces; /* only these are looked at (a Role in each will do); none: all, which needs ClusterRoles */
    size_t namespace_count;
    const char
        *object_selector; /* label selector on ScaledObjects and ScaledJobs (sharding as KEDA 2.21 has it), or NULL */
    const char *own_namespace; /* for Leases, and for secrets of ClusterTriggerAuthentications; NULL: of the config */
    const char *identity;      /* NULL: host name and a random part */
    bool leader_elect;         /* else this is the only one */
    const char *lease_name;    /* NULL: "weir-leader" */
    const char *leader_pod;    /* our Pod in own_namespace: labelled weir.dev/leader while we lead. NULL: none is */
    int64_t lease_duration_ms, lease_renew_deadline_ms, lease_retry_ms; /* 0: 15, 10 and 2 s */
    const char
        *shard_group; /* objects are spread over all with the same group; then no leader is elected. NULL: none */
    bool write;       /* false (--read-only): nothing in the cluster is ever written, not even Leases or events */
    /* For the log: what does not work (a kind that is not installed, a right that is missing), said once when it begins, and when it
       works again. NULL: nobody wants to know. */
    void (*say)(void *arg, bool warning, const char *text);
    void *say_arg;
};
bool platform_new_kubernetes(struct loop *loop, struct transport *transport, struct kube_config *config,
                             const struct kubernetes_options *options, struct platform **out, struct error *err);
/* For serve/: access reviews, certificates in Secrets, caBundles. */
struct kube *platform_kube(struct platform *kubernetes);

struct kubernetes_stats { /* for /metrics */
    bool leader;
    uint32_t members;
    uint64_t status_writes, status_merged, events, scales, conflicts;
};
void platform_kubernetes_stats(struct platform *kubernetes, struct kubernetes_stats *out);

#endif
