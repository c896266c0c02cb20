/*
 * rabbitmq: how many messages wait in a queue, or how fast they come and go. Facts: triggers/rabbitmq.md.
 *
 * Two protocols, and a file for each: the management API (trigger/family/rabbitmq_http.c) knows counts and rates, of one queue or of all whose names
 * match a pattern. AMQP knows the count of one queue only (trigger/family/rabbitmq_amqp.c). Here is what parameters mean to both.
 *
 * User and password in `host` are taken out of it: they go where credentials go, and never stand in a URL.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "trigger/common/form.h"
#include "trigger/driver.h"
#include "trigger/family/amqp.h"
#include "trigger/family/rabbitmq.h"

enum { AMQP_TIMEOUT_MS = 10 * 1000, USUAL_LENGTH = 20 };

static const char *const mode_names[] = {"QueueLength", "MessageRate", "DeliverGetRate", "PublishedToDeliveredRatio",
                                         "ExpectedQueueConsumptionTime"};

#define PARAM_STRUCT struct rabbitmq
static const struct param params[] = {
    {"host", PARAM_SECRET(host), .from = "MAE", .required = true, .address = true,
     .help =
         "amqp://user:password@host:5672/vhost, or http://user:password@host:15672/vhost; amqps and https with TLS"},
    {"protocol", PARAM_CHOICE(protocol, "auto,amqp,http"), .from = "MA", .fallback = "auto",
     .help = "amqp, http, or auto: as host says"},
    {"queueName", PARAM_TEXT(queue), .required = true, .question = true, .help = "a queue, or a pattern with useRegex"},
    {"mode", PARAM_TEXT(mode_name), .question = true,
     .help =
         "QueueLength, MessageRate, DeliverGetRate, PublishedToDeliveredRatio, ExpectedQueueConsumptionTime; all but "
         "the first need http"},
    {"value", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .question = true,
     .help = "what one replica should carry, together with mode; 20 messages where nothing is said"},
    {"queueLength", PARAM_NUMBER(queue_length), .question = true,
     .help = "the older form: mode QueueLength with this value"},
    {"activationValue", PARAM_NUMBER(activation), .fallback = "0", .question = true,
     .help = "above it the object is active"},
    {"vhostName", PARAM_TEXT(vhost), .from = "MA", .help = "instead of the one in host"},
    {"useRegex", PARAM_BOOL(use_regex), .fallback = "false", .question = true,
     .help = "queueName is a regular expression (http)"},
    {"operation", PARAM_TEXT(operation), .fallback = "sum", .question = true,
     .help = "over the queues that match: sum, avg, max"},
    {"pageSize", PARAM_INTEGER(page_size), .fallback = "100", .question = true,
     .help = "queues asked for at once with useRegex; all of them have to fit"},
    {"excludeUnacknowledged", PARAM_BOOL(exclude_unacknowledged), .fallback = "false", .question = true,
     .help = "count only what was not delivered yet (http; amqp never counts the rest)"},
    {"timeout", PARAM_DURATION(timeout_ms), .question = true, .help = "of the whole request (http)"},
    {"unsafeSsl", PARAM_BOOL(unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {"username", PARAM_TEXT(auth.username), .from = "AE", .help = "instead of the one in host, together with password"},
    {"password", PARAM_SECRET(auth.password), .from = "AE", .help = "instead of the one in host"},
    {"tls", PARAM_CHOICE(tls, "disable,enable"), .from = "A", .fallback = "disable",
     .help = "enable: the certificates below count"},
    {"ca", PARAM_TEXT(auth.ca), .from = "A", .help = "certificates trusted besides the system's, PEM"},
    {"cert", PARAM_TEXT(auth.certificate), .from = "A", .help = "the client's certificate, PEM"},
    {"key", PARAM_SECRET(auth.key), .from = "A", .help = "its key, PEM"},
    {"keyPassword", PARAM_SECRET(auth.key_password), .from = "A", .help = "of an encrypted key"},
    {"oauthTokenURI", PARAM_TEXT(auth.token_url), .from = "A", .address = true,
     .help = "OAuth2 client credentials for the management API, with clientID and clientSecret"},
    {"clientID", PARAM_TEXT(auth.client_id), .from = "A", .help = "for OAuth2"},
    {"clientSecret", PARAM_SECRET(auth.client_secret), .from = "A", .help = "for OAuth2"},
    {"scopes", PARAM_LIST(auth.scopes), .from = "A", .help = "for OAuth2"},
    {"endpointParams", PARAM_TEXT(auth.endpoint_params), .from = "A", .help = "for OAuth2: name=value&name=value"},
    {"workloadIdentityResource", PARAM_TEXT(identity_resource), .from = "A",
     .help = "Azure's workload identity (not built in yet)"},
    {0},
};
#undef PARAM_STRUCT

/* ------------------------------------------------------------------ what is asked, and of whom */

static void take_credentials(struct rabbitmq *c, const struct dsn *dsn, struct arena *arena)
{
    const char *password = dsn->password ? dsn->password : "";

    if (c->auth.username || !dsn->user)
        return;
    c->auth.username = arena_copy(arena, dsn->user);
    c->auth.password = secret_new(password, strlen(password));
}

/* The parts of host that are no secret, and its credentials as such. */
static bool take_host(struct rabbitmq *c, struct trigger_check *check)
{
    struct dsn dsn;
    struct error err;
    bool good = dsn_read_url(secret_reveal(c->host), &dsn, &err);
    bool amqp = good && (strcmp(dsn.scheme, "amqp") == 0 || strcmp(dsn.scheme, "amqps") == 0);

    c->http_host = good && (strcmp(dsn.scheme, "http") == 0 || strcmp(dsn.scheme, "https") == 0);
    if (c->protocol == PROTOCOL_AUTO && (amqp || c->http_host))
        c->protocol = amqp ? PROTOCOL_AMQP : PROTOCOL_HTTP;
    if (c->protocol == PROTOCOL_HTTP && c->http_host) {
        rabbitmq_http_address(c, &dsn, check_arena(check));
        take_credentials(c, &dsn, check_arena(check));
    }
    dsn_done(&dsn);
    if (c->protocol == PROTOCOL_AUTO && !good)
        return check_error(check, "host", "begin it with amqp://, amqps://, http:// or https://", "%s", err.text);
    return c->protocol != PROTOCOL_AUTO ||
           check_error(check, "host", "begin it with amqp://, amqps://, http:// or https://",
                       "host begins with none of the schemes that say how to ask");
}

/* What is asked for, and how much of it one replica carries: in the older words or in the newer ones. */
static bool take_mode(struct rabbitmq *c, struct trigger_check *check)
{
    bool said = c->mode_name || c->common.target != 0;

    if (c->queue_length != 0 && said)
        return check_error(check, "queueLength", "leave it out", "queueLength and mode with value exclude each other");
    if (said && !c->mode_name)
        return check_error(check, "mode", "write mode: QueueLength for a number of messages",
                           "value needs mode, which says what is counted");
    if (said && c->common.target == 0)
        return check_error(check, "value", "write what one replica should carry", "mode needs value, and not 0");
    if (said && c->timeout_ms > 0 && c->protocol == PROTOCOL_AMQP)
        return check_error(check, "timeout", "leave it out, or use http", "AMQP has no timeout of its own here");
    if (!said)
        c->common.target = c->queue_length != 0 ? c->queue_length : USUAL_LENGTH;
    if (!c->mode_name)
        c->mode_name = mode_names[MODE_LENGTH];
    for (size_t i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++) {
        if (strcmp(mode_names[i], c->mode_name) != 0)
            continue;
        c->mode = (enum rabbitmq_mode)i;
        if (c->mode == MODE_LENGTH || c->protocol != PROTOCOL_AMQP)
            return true;
        return check_error(check, "mode", "let host begin with http://, and name the port of the management API",
                           "AMQP does not tell what mode %s needs", c->mode_name);
    }
    return check_error(check, "mode",
                       "write QueueLength, MessageRate, DeliverGetRate, PublishedToDeliveredRatio or "
                       "ExpectedQueueConsumptionTime",
                       "there is no mode \"%.40s\"", c->mode_name);
}

static bool check_http_only(struct rabbitmq *c, struct trigger_check *check)
{
    const struct {
        const char *name;
        bool given;
    } parts[] = {{"useRegex", c->use_regex},
                 {"excludeUnacknowledged", c->exclude_unacknowledged},
                 {"oauthTokenURI", c->auth.modes & HTTP_AUTH_OAUTH},
                 {"workloadIdentityResource", c->identity_resource != NULL}};
    bool good = true;

    for (size_t i = 0; c->protocol == PROTOCOL_AMQP && i < sizeof(parts) / sizeof(parts[0]); i++)
        if (parts[i].given)
            good = check_error(check, parts[i].name,
                               "let host begin with http://, and name the port of the management API",
                               "%s needs the management API (http)", parts[i].name);
    return good;
}

static bool check_sign_in(struct rabbitmq *c, struct trigger_check *check)
{
    const struct http_auth *auth = &c->auth;
    bool good = true, oauth = auth->token_url || auth->client_id || auth->client_secret;

    if (check_input(check)->credential_unknown)
        return true;
    if ((auth->username != NULL) != (auth->password != NULL))
        good = check_error(check, "username", "give both, or neither", "username and password belong together");
    if ((auth->certificate != NULL) != (auth->key != NULL))
        good = check_error(check, "cert", "give both, or neither", "cert and key belong together");
    if (oauth && !(auth->token_url && auth->client_id && auth->client_secret))
        good = check_error(check, "oauthTokenURI", "put all three into the TriggerAuthentication",
                           "OAuth2 needs oauthTokenURI, clientID and clientSecret");
    if (oauth && (auth->username || c->identity_resource))
        good = check_error(check, "oauthTokenURI", "keep one way to sign in",
                           "OAuth2 and another way to sign in exclude each other");
    if (oauth)
        c->auth.modes |= HTTP_AUTH_OAUTH;
    return good;
}

static void check_words(struct rabbitmq *c, struct trigger_check *check)
{
    const char *provider = check_pod_identity(check);

    c->identity = c->identity_resource && provider && strcmp(provider, "azure-workload") == 0;
    if (c->identity)
        check_warning(check, "workloadIdentityResource", "use a password, or OAuth2 client credentials",
                      "signing in with Azure's workload identity is not built in: every poll fails");
    if (c->use_regex && strcmp(c->operation, "sum") != 0 && strcmp(c->operation, "avg") != 0 &&
        strcmp(c->operation, "max") != 0)
        check_warning(check, "operation", "write sum, avg or max", "there is no operation \"%.40s\": every poll fails",
                      c->operation);
    if (c->protocol == PROTOCOL_HTTP && c->host && !c->http_host)
        check_warning(check, "host", "let it begin with http:// or https://",
                      "protocol is http and host is not: every poll fails");
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct rabbitmq *c = config;
    bool good = check_sign_in(c, check);

    if (c->page_size < 1)
        good = check_error(check, "pageSize", "leave it out", "pageSize has to be 1 or more");
    if (c->host)
        good = take_host(c, check) && good;
    if (c->auth.username && !(c->auth.modes & HTTP_AUTH_OAUTH))
        c->auth.modes |= HTTP_AUTH_BASIC;
    if (c->tls && c->auth.certificate && c->auth.key)
        c->auth.modes |= HTTP_AUTH_TLS;
    good = take_mode(c, check) && good;
    good = check_http_only(c, check) && good;
    check_words(c, check);
    return good;
}

static bool destination(const void *config, char *out, size_t size)
{
    const struct rabbitmq *c = config;
    struct dsn dsn;
    struct error err;
    char host[DSN_HOST_BYTES];
    int port = 0;
    bool good = c->host && dsn_read_url(secret_reveal(c->host), &dsn, &err);

    if (!c->host)
        return false;
    if (good)
        good = dsn_host(dsn.hosts, 0,
                        strcmp(dsn.scheme, "amqp") == 0    ? AMQP_PORT
                        : strcmp(dsn.scheme, "amqps") == 0 ? AMQPS_PORT
                        : strcmp(dsn.scheme, "https") == 0 ? 443
                                                           : 80,
                        host, sizeof(host), &port) &&
               *host && (size_t)snprintf(out, size, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port) < size;
    dsn_done(&dsn);
    return good;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct rabbitmq *c = config;

    (void)input;
    text_add(out, "rabbitmq-");
    form_add(out, c->queue ? c->queue : "");
}

/* The threshold takes part in what is asked (activity and stand-ins depend on it), so it has no role of its own. */
static void target(const void *config, struct trigger_metric *metric)
{
    metric->activation = ((const struct rabbitmq *)config)->activation;
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct rabbitmq *c = config;

    (void)none; /* nothing was asked yet */
    return c->protocol == PROTOCOL_AMQP ? poll_query(poll) : rabbitmq_http_ask(c, poll);
}

static void hang_up(void *session)
{
    amqp_hang_up(session);
}

TRIGGER(rabbitmq) = {
    .type = "rabbitmq",
    .summary = "messages in RabbitMQ queues, or how fast they come and go",
    .about =
        "The number of messages in a queue: by AMQP those that are ready, by the management API also those delivered "
        "and "
        "not yet acknowledged. By the management API also rates, and the sum, mean or maximum over queues whose names "
        "match. There is no value while RabbitMQ's statistics do not know the queue (some seconds after its "
        "declaration), or when no queue matches; a queue that does not exist is a failure.",
    .example = "metadata:\n"
               "  queueName: orders\n"
               "  mode: QueueLength\n"
               "  value: \"50\"\n"
               "authentication:          # a TriggerAuthentication's secretTargetRef\n"
               "  host: amqp://worker:secret@rabbitmq.shop.svc:5672/shop\n",
    .locally =
        "apt-get install rabbitmq-server && rabbitmq-plugins enable rabbitmq_management\n"
        "curl -u guest:guest -X PUT localhost:15672/api/queues/%2F/orders -d '{}'\n"
        "curl -u guest:guest -X POST localhost:15672/api/exchanges/%2F/amq.default/publish \\\n"
        "  -d '{\"properties\":{},\"routing_key\":\"orders\",\"payload\":\"1\",\"payload_encoding\":\"string\"}'\n"
        "weir probe orders.yaml   # host: amqp://guest:guest@localhost:5672/ or http://guest:guest@localhost:15672/\n",
    .params = params,
    .config_size = sizeof(struct rabbitmq),
    .session_size = sizeof(struct amqp_session),
    .timeout_ms = AMQP_TIMEOUT_MS,
    .library = &amqp_library,
    .prepare = prepare,
    .metric_name = metric_name,
    .target = target,
    .destination = destination,
    .hang_up = hang_up,
    .poll = ask,
    .query = rabbitmq_amqp_query,
};
