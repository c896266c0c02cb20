/* serve: the routes, in one place. */
#include "serve/serve.h"

#include "serve/serve_internal.h"

static void serve_health(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg, (void)request;
    answer->content_type = "text/plain; charset=utf-8";
    text_add(answer->body, "ok\n");
}

static void serve_readiness(void *arg, const struct server_request *request, struct server_answer *answer)
{
    const char *why;

    (void)request;
    answer->content_type = "text/plain; charset=utf-8";
    if (autoscaler_can_decide(arg, &why)) {
        text_add(answer->body, "ok\n");
        return;
    }
    answer->status = 503;
    text_printf(answer->body, "%s\n", why);
}

void serve_metrics_routes(struct server *server, struct autoscaler *autoscaler, struct serve_metrics *metrics)
{
    server_route(server, "GET", "/healthz", serve_health, autoscaler);
    server_route(server, "GET", "/readyz", serve_readiness, autoscaler);
    serve_metrics_route(metrics, server);
}

void serve_routes(struct server *server, struct autoscaler *autoscaler)
{
    static const struct {
        const char *pattern;
        server_handler *handler;
    } routes[] = {
        {"/", serve_dashboard},
        {"/assets/@", serve_asset},
        {"/healthz", serve_health},
        {"/readyz", serve_readiness},
        {"/api/v1/objects/@/@", serve_object},
        {"/api/v1/objects/@/@/decisions", serve_decisions},
        {"/api/v1/objects/@/@/outlook", serve_outlook},
        {"/api/v1/objects/@/@/history", serve_history},
        {"/api/v1/objects/@/@/manifests", serve_manifests},
        {"/api/v1/findings", serve_findings},
        {"/api/v1/session", serve_session},
        {"/api/v1/version", serve_version},
        {"/api/v1/openapi.yaml", serve_openapi},
        {"/api/v1/log-levels", serve_log_levels},
    };

    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        server_route(server, "GET", routes[i].pattern, routes[i].handler, autoscaler);
    server_route(server, "POST", "/api/v1/objects/@/@/actions/@", serve_action, autoscaler);
    server_route(server, "POST", "/api/v1/objects/@/@/what-if", serve_what_if, autoscaler);
    server_route(server, "PUT", "/api/v1/log-levels", serve_set_log_levels, autoscaler);
}
