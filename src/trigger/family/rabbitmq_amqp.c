/*
 * rabbitmq_amqp: how many messages wait in one queue, by AMQP (trigger/family/amqp.h), as `host` and the credentials say it.
 */
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/secret.h"
#include "net/transport.h"
#include "trigger/family/amqp.h"
#include "trigger/family/rabbitmq.h"

/* What a URL may ask for and this does not do: said, instead of quietly left out. */
static bool check_options(const struct dsn *dsn, struct error *err)
{
    static const char *const refused[] = {"certfile", "keyfile", "cacertfile", "server_name_indication"};
    const char *mechanism = dsn_option(dsn, "auth_mechanism");

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (dsn_option(dsn, refused[i]))
            return error_set(
                err, ERROR_INVALID,
                "host has the option %s; give certificates as ca, cert and key in the TriggerAuthentication",
                refused[i]);
    if (mechanism && strcasecmp(mechanism, "plain") != 0 && strcasecmp(mechanism, "external") != 0)
        return error_set(err, ERROR_INVALID, "host has auth_mechanism=%.30s; plain and external are built in",
                         mechanism);
    return true;
}

static void fill_server(const struct rabbitmq *c, const struct dsn *dsn, struct tls_identity *tls,
                        struct amqp_server *out)
{
    const char *mechanism = dsn_option(dsn, "auth_mechanism");
    bool secure = strcmp(dsn->scheme, "amqps") == 0;

    out->vhost = c->vhost ? c->vhost : dsn->path && *dsn->path ? dsn->path : "/";
    out->user = c->auth.username ? c->auth.username : dsn->user ? dsn->user : "guest";
    out->password = c->auth.username ? secret_reveal(c->auth.password)
                    : dsn->user      ? (dsn->password ? dsn->password : "")
                                     : "guest";
    tls->insecure = c->unsafe;
    if (c->tls) {
        tls->ca_pem = c->auth.ca;
        tls->certificate_pem = c->auth.key ? c->auth.certificate : NULL;
        tls->key_pem = c->auth.key;
        tls->key_password = c->auth.key_password;
    }
    out->tls = secure ? tls : NULL;
    out->external = secure && tls->certificate_pem && !c->auth.username &&
                    (!dsn->user || (mechanism && strcasecmp(mechanism, "external") == 0));
}

void rabbitmq_amqp_query(const void *config, struct query *query)
{
    const struct rabbitmq *c = config;
    struct tls_identity tls = {.insecure = false};
    struct amqp_server server = {.external = false};
    char host[DSN_HOST_BYTES];
    uint32_t count = 0;
    struct dsn dsn;
    bool good = dsn_read_url(secret_reveal(c->host), &dsn, &query->error) && check_options(&dsn, &query->error);

    if (good && strcmp(dsn.scheme, "amqp") != 0 && strcmp(dsn.scheme, "amqps") != 0)
        good = error_set(&query->error, ERROR_INVALID,
                         "protocol is amqp, and host does not begin with amqp:// or amqps://");
    if (good) {
        int port = strcmp(dsn.scheme, "amqps") == 0 ? AMQPS_PORT : AMQP_PORT;

        if (!dsn_host(dsn.hosts && *dsn.hosts ? dsn.hosts : "localhost", 0, port, host, sizeof(host), &server.port) ||
            server.port == 0)
            good = error_set(&query->error, ERROR_INVALID, "host names no server that can be asked");
    }
    if (good) {
        server.host = host;
        fill_server(c, &dsn, &tls, &server);
        good = amqp_count(&server, c->queue, query, &count);
    }
    query->state = good ? SAMPLE_OK : SAMPLE_FAILED;
    query->value = (double)count;
    dsn_done(&dsn);
}
