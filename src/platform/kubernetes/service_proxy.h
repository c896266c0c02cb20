/*
 * service_proxy: GETs of a service in a cluster, through the API server, for a program that does one thing at a time.
 *
 *     service_proxy_new(&(struct service_proxy_options){.ns = "weir", .service = "https:weir-api:api", .account = "weir-viewer"}, &proxy, &err)
 *     service_proxy_get(proxy, "/api/v1/objects", &body, &err)
 *
 * Who asks is known to the API server alone: it takes Authorization away and passes the request on in its own name. So that the service need
 * not let in whoever reaches its port, a token goes along in a header of its own (SERVICE_PROXY_HEADER): one that the API server makes for
 * the ServiceAccount `account`, for some minutes, if RBAC lets us have it. Our own credentials never leave for the service: with them it
 * could do in our name whatever we may.
 *
 * Has a loop of its own, which turns only inside of service_proxy_get.
 */
#ifndef WEIR_PLATFORM_KUBERNETES_SERVICE_PROXY_H
#define WEIR_PLATFORM_KUBERNETES_SERVICE_PROXY_H

#include <stdbool.h>

struct error;
struct text;
struct service_proxy;

#define SERVICE_PROXY_HEADER "X-Weir-Token"

struct service_proxy_options {        /* copied */
    const char *kubeconfig, *context; /* as kube_config_options */
    const char *ns, *service;         /* service: [https:]NAME[:PORT], as in the API's path */
    const char *account;              /* whose token goes along; "": none does */
    const bool *stop;                 /* true: what waits is given up; NULL */
};
bool service_proxy_new(const struct service_proxy_options *options, struct service_proxy **out, struct error *err);
void service_proxy_free(struct service_proxy *proxy); /* NULL is fine */
/* The namespace of the kubeconfig's context, "default" where it has none. */
const char *service_proxy_namespace(const struct service_proxy *proxy);
/* path: with its query, escaped. false: err says whether the way (ERROR_UNREACHABLE, ERROR_DENIED) or what was asked (ERROR_MISSING,
   ERROR_INVALID) is to blame, and what to do. */
bool service_proxy_get(struct service_proxy *proxy, const char *path, struct text *body, struct error *err);

#endif
