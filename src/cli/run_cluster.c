/* run_cluster: see run_cluster.h. Each of the two faces has a server of its own; certificate and access are shared. */
#include "cli/run_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "net/egress.h"
#include "net/server.h"
#include "platform/kubernetes/client.h"
#include "platform/kubernetes/kubernetes.h"
#include "serve/admission.h"
#include "serve/serve.h"

struct face { /* one TLS listener */
    struct server *server;
    struct serve_secure *secure;
};

struct run_cluster {
    const struct run_cluster_options *options;
    char *namespace_list; /* what the pointers below point into */
    const char *namespaces[NAMESPACES_MAX];
    size_t namespace_count;
    char *own_namespace;
    int64_t account_token_ms;
    struct platform *platform;
    struct certificates *certificates;
    struct serve_access *access;
    struct face metrics, webhook;
    struct serve_external *external;
    struct serve_admission *admission;
};

/* A variable that KEDA reads; as there, nothing and the two characters "" mean nothing. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && *value && strcmp(value, "\"\"") != 0 ? value : NULL;
}

static bool duration_variable(const char *name, int64_t *ms, struct error *err)
{
    const char *value = variable(name);

    if (value && (!duration_parse_ms(value, ms) || *ms <= 0))
        return error_set(err, ERROR_INVALID, "$%s is '%s'; write a duration like 15s", name, value);
    return true;
}

struct run_cluster *run_cluster_new(const struct run_cluster_options *options)
{
    struct run_cluster *cluster = mem_alloc(sizeof(*cluster));

    cluster->options = options;
    return cluster;
}

/* No manifest may have Weir speak to the API server, nor in a pod to what listens there for the pod alone; whatever Weir signs in with: a
   pod may have a kubeconfig, and then there are two names for the server. */
static void protect(struct egress *rules, const struct kube_config *config)
{
    char pod_server[KUBE_POD_SERVER_BYTES];

    if (!rules)
        return;
    egress_protect_server(rules, kube_config_server(config));
    if (!kube_config_is_pod(pod_server))
        return;
    egress_protect_loopback(rules);
    if (*pod_server)
        egress_protect_server(rules, pod_server);
}

/* ------------------------------------------------------------------ the platform */

static bool split_namespaces(struct run_cluster *cluster, struct error *err)
{
    const char *list = cluster->options->namespaces ? cluster->options->namespaces : variable("WATCH_NAMESPACE");
    char *rest, *part;

    if (!list)
        return true;
    rest = cluster->namespace_list = mem_copy(list);
    while ((part = strsep(&rest, ","))) {
        if (!*part)
            continue;
        if (cluster->namespace_count == NAMESPACES_MAX)
            return error_set(err, ERROR_LIMIT, "more than %d namespaces (NAMESPACES_MAX) are named; watch all instead",
                             NAMESPACES_MAX);
        cluster->namespaces[cluster->namespace_count++] = part;
    }
    return true;
}

static void on_said(void *arg, bool warning, const char *text)
{
    (void)arg;
    log_at(warning ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, text, NULL);
}

static bool lease_times(struct kubernetes_options *k, struct error *err)
{
    return duration_variable("KEDA_OPERATOR_LEADER_ELECTION_LEASE_DURATION", &k->lease_duration_ms, err) &&
           duration_variable("KEDA_OPERATOR_LEADER_ELECTION_RENEW_DEADLINE", &k->lease_renew_deadline_ms, err) &&
           duration_variable("KEDA_OPERATOR_LEADER_ELECTION_RETRY_PERIOD", &k->lease_retry_ms, err);
}

/* The bounds are KEDA's. */
static bool account_token_time(struct run_cluster *cluster, struct error *err)
{
    static const char name[] = "KEDA_BOUND_SERVICE_ACCOUNT_TOKEN_EXPIRY";

    if (!duration_variable(name, &cluster->account_token_ms, err))
        return false;
    if (cluster->account_token_ms != 0 &&
        (cluster->account_token_ms < HOUR_MS || cluster->account_token_ms > 6 * HOUR_MS))
        return error_set(err, ERROR_INVALID, "$%s has to be from 1h to 6h", name);
    return true;
}

bool run_cluster_platform(struct run_cluster *cluster, struct loop *loop, struct transport *transport,
                          struct platform **out, struct error *err)
{
    const struct run_cluster_options *o = cluster->options;
    struct kube_config *config;
    struct kubernetes_options k = {
        .object_selector = o->selector ? o->selector : variable("WATCH_LABEL_SELECTOR"),
        .identity = variable("POD_NAME"),
        .leader_elect = o->leader_elect,
        .lease_name = o->lease_name,
        /* Who stands by cannot answer for metrics: the Service must find the leader. */
        .leader_pod = o->external_at && variable("POD_NAMESPACE") ? variable("POD_NAME") : NULL,
        .shard_group = o->shards > 0 ? "weir" : NULL,
        .write = o->write,
        .say = on_said,
    };

    if (!split_namespaces(cluster, err) || !lease_times(&k, err) || !account_token_time(cluster, err) ||
        !kube_config_load(&(struct kube_config_options){.path = o->kubeconfig, .context = o->context}, &config, err))
        return false;
    protect(o->egress, config);
    cluster->own_namespace =
        mem_copy(variable("POD_NAMESPACE") ? variable("POD_NAMESPACE") : kube_config_namespace(config));
    k.namespaces = cluster->namespaces;
    k.namespace_count = cluster->namespace_count;
    k.own_namespace = cluster->own_namespace;
    if (!platform_new_kubernetes(loop, transport, config, &k, &cluster->platform, err))
        return false;
    serve_cluster_metrics(cluster->platform);
    *out = cluster->platform;
    return true;
}

const char *run_cluster_namespace(const struct run_cluster *cluster)
{
    return cluster->own_namespace;
}

int64_t run_cluster_account_token_ms(const struct run_cluster *cluster)
{
    return cluster->account_token_ms;
}

struct kube *run_cluster_kube(const struct run_cluster *cluster)
{
    return platform_kube(cluster->platform);
}

/* ------------------------------------------------------------------ what is asked over TLS */

static bool make_certificates(struct run_cluster *cluster, struct loop *loop, struct error *err)
{
    static const char *const names[] = {"localhost", "127.0.0.1"};
    const struct run_cluster_options *o = cluster->options;
    const char *services[] = {o->service, o->webhook_service};
    char folder[4200];
    struct certificates_options c = {
        .loop = loop,
        .directory = o->cert_dir,
        .kube = o->write ? platform_kube(cluster->platform) : NULL,
        .ns = cluster->own_namespace,
        .secret = o->cert_secret,
        .kept_in = folder,
        .services = services,
        .service_count = 2,
        .cluster_domain = o->cluster_domain,
        .names = names,
        .name_count = 2,
        .api_service = o->external_at && o->patch_apiservice ? "v1beta1.external.metrics.k8s.io" : NULL,
        .webhook_configuration = o->webhook_at ? o->webhook_configuration : NULL,
    };

    snprintf(folder, sizeof(folder), "%s/tls", o->data_dir);
    return certificates_new(&c, &cluster->certificates, err);
}

static bool face_open(struct run_cluster *cluster, struct loop *loop, struct face *face, const char *address,
                      const char *option, struct error *err)
{
    struct serve_secure_options options = {.loop = loop,
                                           .certificates = cluster->certificates,
                                           .access = face == &cluster->metrics ? cluster->access : NULL,
                                           .address = address};

    if (!serve_secure_new(face->server, &options, &face->secure, err))
        return error_add_place(err, "%s %s", option, address);
    return true;
}

static bool serve_webhook(struct run_cluster *cluster, struct loop *loop, const struct policy_settings *settings,
                          struct error *err)
{
    struct serve_admission_options options = {.loop = loop,
                                              .kube = platform_kube(cluster->platform),
                                              .settings = settings,
                                              .namespaces = cluster->namespaces,
                                              .namespace_count = cluster->namespace_count};

    if (!cluster->options->webhook_at)
        return true;
    if (!server_new(loop, &cluster->webhook.server, err))
        return false;
    cluster->admission = serve_admission_new(cluster->webhook.server, &options);
    return face_open(cluster, loop, &cluster->webhook, cluster->options->webhook_at, "--webhook", err);
}

static bool serve_metrics_api(struct run_cluster *cluster, struct loop *loop, struct autoscaler *autoscaler,
                              struct error *err)
{
    if (!cluster->options->external_at)
        return true;
    if (!server_new(loop, &cluster->metrics.server, err))
        return false;
    cluster->access = serve_access_new(&(struct serve_access_options){.kube = platform_kube(cluster->platform)});
    cluster->external = serve_external_new(cluster->metrics.server, autoscaler, cluster->access);
    return face_open(cluster, loop, &cluster->metrics, cluster->options->external_at, "--external-metrics", err);
}

bool run_cluster_serve(struct run_cluster *cluster, struct loop *loop, struct autoscaler *autoscaler,
                       const struct policy_settings *settings, struct error *err)
{
    if (!cluster->options->external_at && !cluster->options->webhook_at)
        return true;
    return make_certificates(cluster, loop, err) && serve_metrics_api(cluster, loop, autoscaler, err) &&
           serve_webhook(cluster, loop, settings, err);
}

static void add_address(const struct face *face, const char *name, const char *asked, struct text *out)
{
    const char *bound = face->server ? server_address_at(face->server, 0) : NULL;

    if (face->server)
        text_printf(out, "%s%s=%s", out->length > 0 ? " " : "", name, bound ? bound : asked);
}

void run_cluster_addresses(const struct run_cluster *cluster, struct text *out)
{
    add_address(&cluster->metrics, "external-metrics", cluster->options->external_at, out);
    add_address(&cluster->webhook, "webhook", cluster->options->webhook_at, out);
}

/* The order is serve.h's. */
void run_cluster_stop_serving(struct run_cluster *cluster)
{
    serve_secure_free(cluster->metrics.secure);
    serve_secure_free(cluster->webhook.secure);
    serve_access_free(cluster->access);
    serve_admission_free(cluster->admission);
    if (cluster->metrics.server)
        server_free(cluster->metrics.server);
    if (cluster->webhook.server)
        server_free(cluster->webhook.server);
    serve_external_free(cluster->external);
    certificates_free(cluster->certificates);
    cluster->metrics = cluster->webhook = (struct face){NULL, NULL};
    cluster->access = NULL;
    cluster->admission = NULL;
    cluster->external = NULL;
    cluster->certificates = NULL;
}

void run_cluster_free(struct run_cluster *cluster)
{
    if (!cluster)
        return;
    run_cluster_stop_serving(cluster);
    serve_cluster_metrics_end(cluster->platform);
    free(cluster->namespace_list);
    free(cluster->own_namespace);
    free(cluster);
}
