/*
 * serve: what the running system shows over HTTP. Reads views of the autoscaler and the journal; never asks a source, never decides.
 *
 *     GET /, /assets/NAME                           the dashboard
 *     GET /healthz, /readyz                         "ok", or 503 and why
 *     GET /metrics                                  Prometheus text: KEDA's names and labels, plus weir_*
 *     GET /api/v1/objects[?namespace=&state=...]    objects in short, filtered, sorted, by pages
 *     GET /api/v1/objects/NS/NAME[?kind=]           one object: samples, the last decision, replicas and their addresses
 *     GET /api/v1/objects/NS/NAME/decisions[?since=&until=&limit=]   newest first
 *     GET /api/v1/objects/NS/NAME/outlook, POST .../what-if          what it would take; what would be decided if
 *     GET /api/v1/overview                          all objects in numbers, sources that fail, sources that are slow
 *     GET /api/v1/stream[?object=]                  changes as they happen (server-sent events)
 *     GET /api/v1/findings                          what is wrong with the manifests
 *     GET /api/v1/version, /api/v1/openapi.yaml
 *
 * The JSON is described in docs/openapi.yaml, which is served too.
 */
#ifndef WEIR_SERVE_SERVE_H
#define WEIR_SERVE_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct autoscaler;
struct error;
struct kube;
struct loop;
struct platform;
struct secret;
struct serve_metrics;
struct server;
struct server_answer;
struct server_request;
struct text;

/* Registers all routes; server and autoscaler must outlive each other's callbacks: free the server first. */
void serve_routes(struct server *server, struct autoscaler *autoscaler);
/* Lists, the overview and the stream (live.c): what is kept up to date for them, and their routes. Free the server first, then, without a
   turn of the loop between them, this, and then the autoscaler. */
struct serve_live;
struct serve_live *serve_live_new(struct server *server, struct autoscaler *autoscaler);
void serve_live_free(struct serve_live *live);                         /* NULL is fine */
void serve_live_lists(struct serve_live *live, struct server *server); /* lists and overview on one more server */
/* Only /metrics, /healthz and /readyz: what others in a cluster may ask without being asked who they are. */
void serve_metrics_routes(struct server *server, struct autoscaler *autoscaler, struct serve_metrics *metrics);

/* ---- /metrics (metrics.c) ---- */
struct serve_metrics *serve_metrics_new(struct autoscaler *autoscaler);
void serve_metrics_route(struct serve_metrics *metrics, struct server *server); /* GET /metrics; of many servers */
void serve_metrics_free(struct serve_metrics *metrics); /* after those, before the loop turns again; NULL is fine */
/* Who adds families of its own to every page of this process, until it says that it goes: each begins with its HELP. */
typedef void metrics_writer(void *arg, struct text *out);
void metrics_writer_add(metrics_writer *write, void *arg);
void metrics_writer_remove(void *arg);

/* Adds our part in a cluster to every /metrics of this process: leader, members, what the API server is asked. */
void serve_cluster_metrics(struct platform *kubernetes);
void serve_cluster_metrics_end(struct platform *kubernetes);

/*
 * ---- what a cluster asks over TLS: external.metrics.k8s.io, and admission ----
 *
 *     struct serve_access *access = serve_access_new(&(struct serve_access_options){.kube = kube});
 *     certificates_new(&(struct certificates_options){.loop = loop, .kube = kube, .ns = "weir", ...}, &certificates, &err);
 *     server_new(loop, &server, &err);
 *     struct serve_external *external = serve_external_new(server, autoscaler, access);
 *     admission = serve_admission_new(server, &(struct serve_admission_options){.kube = kube, ...});  -- serve/admission.h
 *     serve_secure_new(server, &(struct serve_secure_options){.address = "0.0.0.0:6443", ...}, &secure, &err);
 *     ...
 *     serve_secure_free(secure);        -- then, in this order, without a turn of the loop between them:
 *     serve_access_free(access);        -- ends what waits for a review
 *     serve_admission_free(admission);  -- answers what waits for facts
 *     server_free(server);
 *     serve_external_free(external);
 *     certificates_free(certificates);  -- then the autoscaler, the platform (and its kube)
 */

/* ---- who asks, and may they (access.c): delegated to the API server, as its own aggregated servers do it ---- */
struct serve_access;
struct serve_access_options {  /* copied */
    struct kube *kube;         /* asked for TokenReviews and SubjectAccessReviews; outlives the access */
    const char *client_ca_pem; /* instead of the client CA the API server names, or NULL */
    bool tokens_only;          /* nobody is known by a certificate or a proxy's headers: those are not looked at */
};
struct serve_access *serve_access_new(const struct serve_access_options *options);
void serve_access_free(struct serve_access *access); /* what waits is answered as refused; NULL is fine */

struct access_attributes { /* what is to be done; NULL: none. Copied where it has to wait */
    const char *verb;      /* "get", "list" ... */
    const char *group, *version, *ns, *resource, *name; /* of a resource; or */
    const char *path;                                   /* of anything else, where resource is NULL */
};
enum access_verdict { ACCESS_ALLOWED, ACCESS_REFUSED, ACCESS_PENDING };
/* refusal: status and body to answer with (401, 403, or 500: the API server could not be asked), valid during the call. */
typedef void access_done(void *arg, enum access_verdict verdict, const struct server_answer *refusal);
/* May whoever sent this request do that? REFUSED: *refusal is filled in. PENDING: done is called later, exactly once; the
   handler defers its answer. Verdicts are kept for ACCESS_CACHE_MS; equal questions are asked once. */
enum access_verdict serve_access_check(struct serve_access *access, const struct server_request *request,
                                       const struct access_attributes *attributes, struct server_answer *refusal,
                                       access_done *done, void *arg);
/* The same for whoever a token belongs to, and with who that is: "" where nobody was found. *user is that at once, where it is known. */
typedef void access_named_done(void *arg, enum access_verdict verdict, const char *user,
                               const struct server_answer *refusal);
enum access_verdict serve_access_check_token(struct serve_access *access, const char *token,
                                             const struct access_attributes *attributes, struct text *user,
                                             struct server_answer *refusal, access_named_done *done, void *arg);
/* For handlers that only read: called last, with the answer made. It goes out when the one who asked may have it, else a refusal. */
void serve_access_release(struct serve_access *access, const struct server_request *request,
                          const struct access_attributes *attributes, struct server_answer *answer);

/* ---- external.metrics.k8s.io/v1beta1 (external_metrics.c), with discovery, OpenAPI, /version and health ---- */
/* Values come from the last decision of objects in hpa mode. access NULL: everybody may ask (tests). All three outlive it, and it
   the server's last request. */
struct serve_external;
struct serve_external *serve_external_new(struct server *server, struct autoscaler *autoscaler,
                                          struct serve_access *access);
void serve_external_free(struct serve_external *external); /* NULL is fine */

/* ---- certificates (certificate.c) ---- */
/*
 * Where the server's certificate comes from, the first that is given:
 *   files      a certificate, its key and a CA by their paths, which have to be there; read again when they change
 *   directory  files tls.crt, tls.key and ca.crt that somebody else makes (cert-manager), read again when they change
 *   kube       made and renewed here, kept in a Secret that all Weirs share: who comes second uses what the first made
 *   kept_in    made and renewed here, kept in a folder of this machine
 *   else       made here for this process
 * ca.crt goes as caBundle into the APIService and all webhooks named below, where it differs, as long as kube is given; not what was
 * made only because the Secret may not be used. An APIService with insecureSkipTLSVerify is left alone.
 */
struct certificates;
struct certificates_options { /* copied */
    struct loop *loop;
    const char *certificate_file, *key_file, *ca_file; /* the CA may be left out */
    const char *directory;
    struct kube *kube;  /* outlives the certificates; NULL: nothing in a cluster is read or written */
    const char *ns;     /* Weir's own */
    const char *secret; /* NULL: "weir-certs" */
    const char *kept_in;
    const char *const
        *services; /* in ns; each becomes <svc>, <svc>.<ns>, <svc>.<ns>.svc, <svc>.<ns>.svc.<cluster_domain> */
    size_t service_count;
    const char *cluster_domain; /* NULL: "cluster.local" */
    const char *const *names;   /* more, as they are; addresses too ("localhost", "127.0.0.1") */
    size_t name_count;
    const char *api_service;           /* "v1beta1.external.metrics.k8s.io", or NULL */
    const char *webhook_configuration; /* name of a ValidatingWebhookConfiguration, or NULL */
};
/* false: too many names, a folder or files that cannot be used, or a folder that belongs to somebody else. Files of `directory` that are not
   there yet are waited for. */
bool certificates_new(const struct certificates_options *options, struct certificates **out, struct error *err);
void certificates_free(struct certificates *certificates); /* NULL is fine */
struct certificates_view {                                 /* valid until the next turn */
    const char *certificate_pem;                           /* with its chain */
    const struct secret *key_pem;
    const char *ca_pem; /* "" where nobody gave one */
    int64_t expires_at_ms;
};
bool certificates_view(const struct certificates *certificates, struct certificates_view *out); /* false: none yet */

/* ---- the listener (secure.c): certificate and client CAs as they are now, without a restart ---- */
struct serve_secure;
struct serve_secure_options { /* copied; the three outlive it */
    struct loop *loop;
    struct certificates *certificates;
    struct serve_access *access; /* NULL: no client is known by a certificate; but see below */
    bool clients_by_ca;          /* known are those whom the CA beside the certificate vouches for (client_cas[1]) */
    const char *address;         /* "0.0.0.0:6443" */
    const char *min_version;     /* "TLS12", "TLS13"; NULL: TLS13 */
};
/* Listens as soon as there is a certificate: now, where there is one. false: the address cannot be used; when that shows later, it is
   logged, and tried again. */
bool serve_secure_new(struct server *server, const struct serve_secure_options *options, struct serve_secure **out,
                      struct error *err);
bool serve_secure_listens(const struct serve_secure *secure);
void serve_secure_free(struct serve_secure *secure); /* NULL is fine */

#endif
