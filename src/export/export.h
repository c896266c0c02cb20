/*
 * export: what leaves by itself, whether anybody asks or not: OpenTelemetry (OTLP over HTTP), and CloudEvents.
 *
 *     export_new(&(struct export_parts){loop, transport, platform, autoscaler}, &options, &e, &err);
 *     ... autoscaler_watch_paths, loop_run ...
 *     export_finish(e, done, arg);        -- before the autoscaler goes: what waits is sent, as far as EXPORT_LAST_WORDS_MS allow
 *     export_free(e);
 *
 * Both listen to the autoscaler (struct autoscaler_listener), keep a bounded queue each, and send outside of turns. A receiver that is
 * away delays no decision and grows nothing: what does not fit is dropped, oldest first, counted, and said once. Loop thread only.
 */
#ifndef WEIR_EXPORT_EXPORT_H
#define WEIR_EXPORT_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

struct autoscaler;
struct error;
struct export;
struct loop;
struct platform;
struct secret;
struct text;
struct transport;

struct export_parts { /* borrowed for the exporter's life; the autoscaler until export_finish */
    struct loop *loop;
    struct transport *transport;
    struct platform *platform;
    struct autoscaler *autoscaler;
};
struct export_options { /* copied */
    /* OTLP/HTTP, protobuf. endpoint: "http://127.0.0.1:4318" (/v1/metrics, /v1/logs, /v1/traces are added), NULL: nothing is exported.
       The environment that SDKs read (OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS, _METRICS_ENDPOINT ..., OTEL_METRIC_EXPORT_INTERVAL,
       OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) fills in what is not given; a wrong value there is an error of export_new. */
    const char *otlp_endpoint;
    bool metrics, logs, traces; /* none: all, but for those that OTEL_METRICS_EXPORTER and the like say none of */
    /* CloudEvents: of CloudEventSource and ClusterCloudEventSource, from files or from the cluster. */
    const char *cluster_name;  /* --k8s-cluster-name: in `source` and `subject`; NULL: "kubernetes-default" */
    const char *own_namespace; /* Weir's, in a cluster; NULL: elsewhere */
};
/* Before anything is asked for (autoscaler_watch_...), so that nothing is missed. */
bool export_new(const struct export_parts *parts, const struct export_options *options, struct export **out,
                struct error *err);
/* Listens no more, and says what there is to say. done is called once, in a later turn. */
void export_finish(struct export *exporter, void (*done)(void *arg), void *arg);
void export_free(struct export *exporter); /* what waits is lost; NULL is fine */
/* keda_cloudeventsource_* and weir_export_*, for /metrics. */
void export_write_metrics(const struct export *exporter, struct text *out);

#endif
