/*
 * run_viewers: see run_viewers.h. A server and a guard of its own, which is never told where it listens: so it takes nobody for somebody
 * on this machine, also where the address is a loopback one, and everybody has to show a token.
 */
#include "cli/run_viewers.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "net/server.h"
#include "serve/guard.h"
#include "serve/serve.h"

struct run_viewers {
    struct server *server;
    struct serve_access *access;
    struct serve_guard *guard;
    struct certificates *certificates;
    struct serve_secure *secure;
};

static bool make_guard(struct run_viewers *v, const struct run_viewers_options *o, struct error *err)
{
    v->access = serve_access_new(&(struct serve_access_options){.kube = o->kube, .tokens_only = true});
    if (!serve_guard_new(&(struct serve_guard_options){.loop = o->loop, .access = v->access}, &v->guard, err))
        return false;
    serve_guard_server(v->guard, v->server);
    return true;
}

static bool listen_tls(struct run_viewers *v, const struct run_viewers_options *o, struct error *err)
{
    static const char *const names[] = {"localhost", "127.0.0.1"};
    char folder[4200];
    struct certificates_options own = {
        .loop = o->loop, .kept_in = folder, .names = names, .name_count = sizeof(names) / sizeof(names[0])};

    snprintf(folder, sizeof(folder), "%s/tls-api", o->data_dir);
    return certificates_new(&own, &v->certificates, err) &&
           serve_secure_new(
               v->server,
               &(struct serve_secure_options){.loop = o->loop, .certificates = v->certificates, .address = o->address},
               &v->secure, err);
}

static bool open_all(struct run_viewers *v, const struct run_viewers_options *o, struct error *err)
{
    if (!server_new(o->loop, &v->server, err))
        return false;
    serve_routes(v->server, o->autoscaler);
    serve_live_lists(o->live, v->server);
    return make_guard(v, o, err) && listen_tls(v, o, err);
}

bool run_viewers_open(const struct run_viewers_options *options, struct run_viewers **out, struct error *err)
{
    struct run_viewers *v = mem_alloc(sizeof(*v));

    *out = v; /* closed by the caller, also when it could not be opened as a whole */
    return open_all(v, options, err) || error_add_place(err, "--api-listen %s", options->address);
}

/* The order is serve.h's and guard.h's. */
void run_viewers_close(struct run_viewers *v)
{
    if (!v)
        return;
    serve_secure_free(v->secure);
    serve_access_free(v->access);
    if (v->server)
        server_free(v->server);
    serve_guard_free(v->guard);
    certificates_free(v->certificates);
    free(v);
}
