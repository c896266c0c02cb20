/* run_api: see run_api.h. */
#include "cli/run_api.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/cli.h"
#include "net/server.h"
#include "serve/guard.h"
#include "serve/serve.h"

struct run_api {
    struct server *server;
    struct serve_access *access; /* NULL: no cluster */
    struct serve_guard *guard;
    struct certificates *certificates; /* NULL: no TLS */
    struct serve_secure *secure;
};

const char *run_api_complaint(const struct run_api_options *o)
{
    if (!o->tls_cert != !o->tls_key)
        return "--tls-cert and --tls-key belong together: name both files";
    if (o->client_ca && !o->tls_cert)
        return "--client-ca needs TLS, or no certificate is shown: add --tls-cert and --tls-key";
    return NULL;
}

static bool make_guard(struct run_api *api, const struct run_api_options *o, struct loop *loop, struct kube *kube,
                       struct error *err)
{
    if (kube)
        api->access = serve_access_new(&(struct serve_access_options){.kube = kube, .tokens_only = true});
    return serve_guard_new(&(struct serve_guard_options){.loop = loop,
                                                         .token_file = o->token_file,
                                                         .certificates = o->client_ca != NULL,
                                                         .access = api->access,
                                                         .allow_actions = o->allow_actions},
                           &api->guard, err);
}

static bool listen_tls(struct run_api *api, const struct run_api_options *o, struct loop *loop, struct error *err)
{
    const struct certificates_options files = {
        .loop = loop, .certificate_file = o->tls_cert, .key_file = o->tls_key, .ca_file = o->client_ca};

    if (!certificates_new(&files, &api->certificates, err))
        return error_add_place(err, "--tls-cert");
    return serve_secure_new(api->server,
                            &(struct serve_secure_options){.loop = loop,
                                                           .certificates = api->certificates,
                                                           .clients_by_ca = o->client_ca != NULL,
                                                           .address = o->listen_at},
                            &api->secure, err);
}

static bool listen_tcp(struct run_api *api, const struct run_api_options *o, struct loop *loop, struct error *err)
{
    const char *bound;

    if (!(o->tls_cert ? listen_tls(api, o, loop, err) : server_listen_tcp(api->server, o->listen_at, err)))
        return error_add_place(err, "--listen %s", o->listen_at);
    bound = server_address(api->server);
    if (!serve_guard_listens(api->guard, o->listen_at, bound, err))
        return error_add_place(err, "--listen %s", o->listen_at);
    if (!o->tls_cert && (o->token_file || api->access) && !string_starts(bound, "127."))
        log_warning("tokens come in the clear: add --tls-cert and --tls-key, or let only a proxy with TLS reach it",
                    "listen", bound, NULL);
    return true;
}

static bool open_all(struct run_api *api, const struct run_api_options *o, struct loop *loop, struct kube *kube,
                     struct error *err)
{
    char socket[4200];

    if (!make_guard(api, o, loop, kube, err))
        return false;
    serve_guard_server(api->guard, api->server);
    data_dir_socket(o->data_dir, socket, sizeof(socket));
    if (!server_listen_unix(api->server, socket, err))
        return false;
    return strcmp(o->listen_at, "none") == 0 || listen_tcp(api, o, loop, err);
}

bool run_api_open(const struct run_api_options *options, struct loop *loop, struct server *server, struct kube *kube,
                  struct run_api **out, struct error *err)
{
    struct run_api *api = mem_alloc(sizeof(*api));

    api->server = server;
    *out = api; /* closed by the caller, also when it could not be opened as a whole */
    return open_all(api, options, loop, kube, err);
}

/* The order is serve.h's and guard.h's. */
void run_api_close(struct run_api *api)
{
    if (!api)
        return;
    serve_secure_free(api->secure);
    serve_access_free(api->access);
    server_free(api->server);
    serve_guard_free(api->guard);
    certificates_free(api->certificates);
    free(api);
}
