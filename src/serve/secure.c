/*
 * secure: the listener on TLS. Certificate (certificate.c) and the authorities of clients (access.c) come and change on their own; each
 * change is handed to the server, whose next connections use it. It listens from the first certificate on.
 */
#include "serve/serve.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "net/loop.h"
#include "net/server.h"
#include "serve/cluster_internal.h"

enum { RETRY_MS = 10 * 1000 };

struct serve_secure {
    struct server *server;
    struct certificates *certificates;
    struct serve_access *access;
    bool clients_by_ca;
    char *address, *min_version;
    struct timer *retry;
    bool listens;
};

/* false: err; without a certificate there is nothing to do yet. */
static bool apply(struct serve_secure *secure, struct error *err)
{
    struct certificates_view view;
    struct server_tls tls = {.min_version = secure->min_version};

    if (!certificates_view(secure->certificates, &view))
        return true;
    tls.certificate_pem = view.certificate_pem;
    tls.key_pem = view.key_pem;
    if (secure->access) /* their places are what access_user.c knows them by */
        access_client_cas(secure->access, &tls.client_cas[0], &tls.client_cas[1]);
    else if (secure->clients_by_ca && *view.ca_pem)
        tls.client_cas[1] = view.ca_pem;
    if (!server_set_tls(secure->server, &tls, err))
        return false;
    if (!secure->listens)
        secure->listens = server_listen_tls(secure->server, secure->address, err);
    return secure->listens;
}

static void on_change(void *arg)
{
    struct serve_secure *secure = arg;
    bool listened = secure->listens;
    struct error err;

    if (!apply(secure, &err)) {
        log_error(listened ? "TLS goes on as before" : "nobody is served over TLS yet", "address", secure->address,
                  "error", err.text, NULL);
        loop_timer_set(secure->retry, RETRY_MS);
    } else if (secure->listens && !listened) {
        log_info("listening over TLS", "address", server_address_at(secure->server, 0), NULL);
    }
}

bool serve_secure_new(struct server *server, const struct serve_secure_options *options, struct serve_secure **out,
                      struct error *err)
{
    struct serve_secure *secure = mem_alloc(sizeof(*secure));

    secure->server = server;
    secure->certificates = options->certificates;
    secure->access = options->access;
    secure->clients_by_ca = options->clients_by_ca;
    secure->address = mem_copy(options->address);
    secure->min_version = options->min_version ? mem_copy(options->min_version) : NULL;
    secure->retry = loop_timer_new(options->loop, on_change, secure);
    watchers_add(certificates_watchers(secure->certificates), on_change, secure);
    if (secure->access)
        watchers_add(access_watchers(secure->access), on_change, secure);
    if (!apply(secure, err)) {
        serve_secure_free(secure);
        return false;
    }
    *out = secure;
    return true;
}

bool serve_secure_listens(const struct serve_secure *secure)
{
    return secure->listens;
}

void serve_secure_free(struct serve_secure *secure)
{
    if (!secure)
        return;
    watchers_remove(certificates_watchers(secure->certificates), secure);
    if (secure->access)
        watchers_remove(access_watchers(secure->access), secure);
    loop_timer_free(secure->retry);
    free(secure->address);
    free(secure->min_version);
    free(secure);
}
