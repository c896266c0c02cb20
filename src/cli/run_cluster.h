/*
 * run_cluster: the parts of `weir run` that only a cluster has: the platform, and what the cluster asks over TLS (external metrics,
 * admission). Options and their meaning stand in cli_run.c.
 */
#ifndef WEIR_CLI_RUN_CLUSTER_H
#define WEIR_CLI_RUN_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

struct autoscaler;
struct egress;
struct error;
struct kube;
struct loop;
struct platform;
struct policy_settings;
struct text;
struct transport;

struct run_cluster_options {
    const char *kubeconfig, *context;
    const char *namespaces; /* "a,b"; NULL: $WATCH_NAMESPACE, or all */
    const char *selector;   /* NULL: $WATCH_LABEL_SELECTOR */
    bool leader_elect;
    const char *lease_name;
    int64_t shards; /* 0: none */
    bool write;
    const char *external_at, *webhook_at; /* HOST:PORT, or NULL */
    const char *cert_dir, *cert_secret;
    const char *service, *webhook_service; /* names of the Services in front of the two, for the certificate */
    const char *cluster_domain;
    const char *webhook_configuration; /* NULL: its caBundle is not written */
    bool patch_apiservice;
    const char *data_dir;
    struct egress *egress; /* gets the rules that only a cluster has; NULL: none */
};

struct run_cluster;                                                             /* what was opened */
struct run_cluster *run_cluster_new(const struct run_cluster_options *options); /* options are borrowed for its life */
bool run_cluster_platform(struct run_cluster *cluster, struct loop *loop, struct transport *transport,
                          struct platform **out, struct error *err);
const char *run_cluster_namespace(const struct run_cluster *cluster); /* Weir's own; after run_cluster_platform */
/* How long a service account's token lasts, by KEDA_BOUND_SERVICE_ACCOUNT_TOKEN_EXPIRY; 0: as usual. After run_cluster_platform. */
int64_t run_cluster_account_token_ms(const struct run_cluster *cluster);
struct kube *run_cluster_kube(const struct run_cluster *cluster); /* likewise; the platform's */
/* After the autoscaler was made. false: an address cannot be used. */
bool run_cluster_serve(struct run_cluster *cluster, struct loop *loop, struct autoscaler *autoscaler,
                       const struct policy_settings *settings, struct error *err);
/* "external-metrics=127.0.0.1:6443 webhook=..." for the first line of the log. */
void run_cluster_addresses(const struct run_cluster *cluster, struct text *out);
void run_cluster_stop_serving(struct run_cluster *cluster); /* before the autoscaler ends */
void run_cluster_free(struct run_cluster *cluster);         /* NULL is fine */

#endif
