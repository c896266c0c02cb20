/*
 * serve: what the running system shows over HTTP. Reads views of the autoscaler and the journal; never asks a source, never decides.
 *
 *     GET /                                         a read-only status page
 *     GET /healthz, /readyz                         "ok", or 503 and why
 *     GET /metrics                                  Prometheus text: KEDA's names and labels, plus weir_*
 *     GET /api/v1/objects[?namespace=&kind=]        all objects, in short
 *     GET /api/v1/objects/NS/NAME[?kind=]           one object: samples, the last decision, replicas and their addresses
 *     GET /api/v1/objects/NS/NAME/decisions[?since=&until=&limit=]   newest first
 *     GET /api/v1/findings                          what is wrong with the manifests
 *     GET /api/v1/version
 *
 * The JSON is described in docs/api.md.
 */
#ifndef WEIR_SERVE_SERVE_H
#define WEIR_SERVE_SERVE_H

struct autoscaler;
struct server;
struct text;

/* Registers all routes; server and autoscaler must outlive each other's callbacks: free the server first. */
void serve_routes(struct server *server, struct autoscaler *autoscaler);
/* Only /metrics, /healthz and /readyz: what others in a cluster may ask without being asked who they are. */
void serve_metrics_routes(struct server *server, struct autoscaler *autoscaler);

#endif
