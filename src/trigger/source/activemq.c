/*
 * activemq, artemis-queue: messages in one queue of ActiveMQ Classic or Artemis, read through Jolokia, which answers the brokers'
 * management questions over HTTP. Facts: triggers/activemq.md, artemis-queue.md.
 *
 * The two differ in the address alone, which is a template: a default one with the names filled in, or one the manifest gives
 * finished, out of which the names are read back.
 *
 * Jolokia answers 200 whatever happened; what happened is `status` in the answer. A queue that is not there is 404 there: a failure.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/dsn.h"
#include "trigger/common/member.h"
#include "trigger/common/path.h"
#include "trigger/driver.h"

struct jolokia { /* what both have */
    struct trigger_config common;
    struct http_auth auth;
    const char *endpoint, *template, *origin, *queue, *broker, *address;
    bool unsafe;
    const char *url; /* the finished template, in the trigger's arena; NULL: it cannot be used */
};

#define CREDENTIALS(order)                                                                                             \
    {"username", PARAM_TEXT(auth.username), .from = order, .required = true, .help = "of the management console"},     \
    {                                                                                                                  \
        "password", PARAM_SECRET(auth.password), .from = order, .required = true, .help = "its password"               \
    }

#define PARAM_STRUCT struct jolokia
static const struct param classic_params[] = {
    {"managementEndpoint", PARAM_TEXT(endpoint), .help = "host:port of the web console, without http://"},
    {"brokerName", PARAM_TEXT(broker), .help = "name of the broker"},
    {"destinationName", PARAM_TEXT(queue), .help = "name of the queue"},
    {"restAPITemplate", PARAM_TEXT(template),
     .help = "instead of the three above: the whole address of QueueSize at Jolokia"},
    {"targetQueueSize", PARAM_WHOLE(common.target), .role = ROLE_TARGET, .fallback = "10",
     .help = "messages one replica should carry"},
    {"activationTargetQueueSize", PARAM_WHOLE(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"corsHeader", PARAM_TEXT(origin), .help = "sent as Origin; http://<managementEndpoint> unless given"},
    CREDENTIALS("AEM"),
    {0},
};
static const struct param artemis_params[] = {
    {"managementEndpoint", PARAM_TEXT(endpoint), .help = "host:port of the web console, without http://"},
    {"brokerName", PARAM_TEXT(broker), .help = "name of the broker"},
    {"brokerAddress", PARAM_TEXT(address), .help = "address the queue is bound to, often its own name"},
    {"queueName", PARAM_TEXT(queue), .help = "name of the queue (anycast)"},
    {"restApiTemplate", PARAM_TEXT(template),
     .help = "instead of the four above: the whole address of MessageCount at Jolokia"},
    {"queueLength", PARAM_WHOLE(common.target), .role = ROLE_TARGET, .fallback = "10",
     .help = "messages one replica should carry"},
    {"activationQueueLength", PARAM_WHOLE(common.activation), .role = ROLE_ACTIVATION, .fallback = "10",
     .help = "above it the object is active"},
    {"corsHeader", PARAM_TEXT(origin), .help = "sent as Origin; http://<managementEndpoint> unless given"},
    CREDENTIALS("AME"),
    {"unsafeSsl", PARAM_BOOL(unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {"ca", PARAM_TEXT(auth.ca), .from = "A", .help = "certificates trusted besides the system's, PEM"},
    {"cert", PARAM_TEXT(auth.certificate), .from = "A", .help = "the client's certificate, PEM"},
    {"key", PARAM_SECRET(auth.key), .from = "A", .help = "its key, PEM"},
    {"keyPassword", PARAM_SECRET(auth.key_password), .from = "A", .help = "of an encrypted key"},
    {0},
};
#undef PARAM_STRUCT

static const char classic_template[] =
    "http://{{.ManagementEndpoint}}/api/jolokia/read/org.apache.activemq:type=Broker,brokerName={{.BrokerName}},"
    "destinationType=Queue,destinationName={{.DestinationName}}/QueueSize";
static const char artemis_template[] =
    "http://<<managementEndpoint>>/console/jolokia/read/org.apache.activemq.artemis:broker=\"<<brokerName>>\","
    "component=addresses,address=\"<<brokerAddress>>\",subcomponent=queues,routing-type=\"anycast\","
    "queue=\"<<queueName>>\"/MessageCount";

/* ------------------------------------------------------------------ the address */

struct field { /* of a template, and the part of a finished one that says it */
    const char *name, *key, *parameter;
    const char **value;
};
struct grammar {
    const char *open, *close, *parameter, *usual;
    struct field fields[4]; /* the first one: host and port */
    size_t count;
};

static const char *not_empty(struct arena *arena, const char *value)
{
    return value && *value && strcmp(value, "\"\"") != 0 ? arena_copy(arena, value) : NULL;
}

/* Out of a finished template: its host, and between the first ':' of the path and the next '/' the names (a=b,c=d). */
static bool read_template(const struct grammar *g, struct jolokia *c, struct trigger_check *check)
{
    const char *host = strstr(c->template, "://"), *path, *names;
    char destination[DSN_HOST_BYTES];
    struct arena *arena = check_arena(check);
    struct dsn dsn;
    struct error err;
    bool good = true;

    if (!host || !url_destination(c->template, destination, sizeof(destination)))
        return check_error(check, g->parameter, "write it like http://host:port/...", "this is no absolute address");
    host += 3;
    path = host + strcspn(host, "/?#");
    *g->fields[0].value = arena_copy_bytes(arena, host, (size_t)(path - host));
    names = strchr(path, ':');
    names = names ? names + 1 : path + strlen(path);
    dsn_read_options(&dsn, dsn_copy(&dsn, arena_copy_bytes(arena, names, strcspn(names, "/"))), ',', true, &err);
    for (size_t i = 1; i < g->count; i++) {
        *g->fields[i].value = not_empty(arena, dsn_option(&dsn, g->fields[i].key));
        if (!*g->fields[i].value)
            good = check_error(check, g->parameter, "copy the whole address", "the address has no %s=...",
                               g->fields[i].key);
    }
    dsn_done(&dsn);
    return good;
}

/* The value of the field named at `*at` (behind the opening); moves behind the closing. NULL: there is none of that name. */
static const char *field_at(const struct grammar *g, const char **at)
{
    const char *end = strstr(*at, g->close), *name = *at + strspn(*at, " ");
    size_t length = end ? (size_t)(end - name) : 0;

    while (length > 0 && name[length - 1] == ' ')
        length--;
    for (size_t i = 0; end && i < g->count; i++)
        if (strlen(g->fields[i].name) == length && memcmp(g->fields[i].name, name, length) == 0) {
            *at = end + strlen(g->close);
            return *g->fields[i].value;
        }
    return NULL;
}

static const char *fill_template(const struct grammar *g, const char *template, struct arena *arena)
{
    struct text out;
    const char *path, *query, *url = NULL, *open;
    bool good = true;

    text_init(&out, HTTP_URL_MAX_BYTES);
    while (good && (open = strstr(template, g->open))) {
        const char *at = open + strlen(g->open), *value = field_at(g, &at);

        good = value != NULL && text_append(&out, template, (size_t)(open - template)) && text_add(&out, value);
        template = at;
    }
    good = good && text_add(&out, template) && strstr(out.bytes, "://");
    if (good) { /* a path may hold quotes and blanks as people write them, a request may not */
        path = strstr(out.bytes, "://") + 3;
        path += strcspn(path, "/?");
        query = path + strcspn(path, "?");
        url = arena_printf(arena, "%.*s%s%s", (int)(path - out.bytes), out.bytes,
                           path_tidy(arena, arena_copy_bytes(arena, path, (size_t)(query - path))), query);
    }
    text_done(&out);
    return url;
}

static bool prepare_address(const struct grammar *g, struct jolokia *c, struct trigger_check *check)
{
    struct arena *arena = check_arena(check);
    bool good = true;

    if (c->template) {
        good = read_template(g, c, check);
    } else {
        c->template = g->usual;
        for (size_t i = 0; i < g->count; i++)
            if (!*g->fields[i].value && !check_unknown(check, g->fields[i].parameter))
                good = check_error(check, g->fields[i].parameter, "write it, or the whole address", "%s is needed",
                                   g->fields[i].parameter);
    }
    if (good && c->endpoint) {
        char destination[DSN_HOST_BYTES];

        if (!c->origin)
            c->origin = arena_printf(arena, "http://%s", c->endpoint);
        c->url = fill_template(g, c->template, arena);
        if (!c->url || !url_destination(c->url, destination, sizeof(destination))) {
            c->url = NULL;
            check_warning(check, c->template == g->usual ? "managementEndpoint" : g->parameter,
                          "write host:port, and no other fields than those the page names",
                          "no address can be made of this: every poll fails");
        }
    }
    c->auth.modes = HTTP_AUTH_BASIC;
    return good;
}

static bool prepare_classic(void *config, struct trigger_check *check)
{
    struct jolokia *c = config;
    const struct grammar g = {"{{",
                              "}}",
                              "restAPITemplate",
                              classic_template,
                              {{".ManagementEndpoint", "", "managementEndpoint", &c->endpoint},
                               {".DestinationName", "destinationName", "destinationName", &c->queue},
                               {".BrokerName", "brokerName", "brokerName", &c->broker}},
                              3};

    return prepare_address(&g, c, check);
}

static bool prepare_artemis(void *config, struct trigger_check *check)
{
    struct jolokia *c = config;
    const struct grammar g = {"<<",
                              ">>",
                              "restApiTemplate",
                              artemis_template,
                              {{"managementEndpoint", "", "managementEndpoint", &c->endpoint},
                               {"queueName", "queue", "queueName", &c->queue},
                               {"brokerName", "broker", "brokerName", &c->broker},
                               {"brokerAddress", "address", "brokerAddress", &c->address}},
                              4};
    bool good = prepare_address(&g, c, check);

    if ((c->auth.certificate != NULL) != (c->auth.key != NULL))
        good = check_error(check, "cert", "give both, or neither", "cert and key belong together");
    if (c->auth.certificate && c->auth.key)
        c->auth.modes |= HTTP_AUTH_TLS;
    return good;
}

static bool destination(const void *config, char *out, size_t size)
{
    const struct jolokia *c = config;

    return c->url && url_destination(c->url, out, size);
}

/* ------------------------------------------------------------------ asking */

static enum poll_next refused(const struct jolokia *c, struct poll *poll, const struct reply *reply, int64_t status)
{
    const char *why = member_text(reply->json, "error");

    if (status == 404)
        return poll_fail(poll, ERROR_NONSENSE, "there is no queue %.80s at broker %.80s (Jolokia says 404)", c->queue,
                         c->broker);
    if (status == 403)
        return poll_fail(poll, ERROR_DENIED,
                         "Jolokia refuses us (403): is Origin %.80s one it allows (corsHeader; jolokia-access.xml)?",
                         c->origin);
    return poll_fail(poll, ERROR_NONSENSE, "Jolokia reports status %lld%s%.120s", (long long)status, *why ? ": " : "",
                     why);
}

static enum poll_next on_answer(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct jolokia *c = config;
    int64_t status, value;
    enum member given = member_integer(reply->json, "value", &value);

    if (reply->json->type != TREE_MAP || member_integer(reply->json, "status", &status) != MEMBER_GIVEN)
        return poll_fail(poll, ERROR_NONSENSE, "the answer is not one of Jolokia: it has no status");
    if (status != 200)
        return refused(c, poll, reply, status);
    if (given == MEMBER_WRONG)
        return poll_fail(poll, ERROR_NONSENSE, "the queue's size is not a whole number");
    if (given == MEMBER_ABSENT)
        return poll_missing(poll, SWITCH_UNSET, "Jolokia answers without a value");
    return poll_value(poll, (double)value);
}

static enum poll_next send_question(const struct jolokia *c, struct poll *poll, bool typed)
{
    struct request *r;

    if (!c->url)
        return poll_fail(poll, ERROR_INVALID, "no address can be made of managementEndpoint or the template");
    r = request_get(poll, c->url, "");
    if (typed)
        request_header(r, "Content-Type", "application/json");
    request_header(r, "Origin", c->origin);
    request_status(r, 200, 200);
    request_sign(r, &c->auth, HTTP_AUTH_BASIC | HTTP_AUTH_TLS, false, c->unsafe);
    return poll_send(poll, r, on_answer);
}

static enum poll_next ask_classic(const void *config, struct poll *poll, const struct reply *none)
{
    (void)none;
    return send_question(config, poll, true);
}

static enum poll_next ask_artemis(const void *config, struct poll *poll, const struct reply *none)
{
    (void)none;
    return send_question(config, poll, false);
}

static void classic_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct jolokia *c = config;

    (void)input;
    text_printf(out, "activemq-%s", c->queue ? c->queue : "");
}

static void artemis_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct jolokia *c = config;

    (void)input;
    text_printf(out, "artemis-%s", c->queue ? c->queue : "");
}

TRIGGER(activemq) = {
    .type = "activemq",
    .summary = "messages in an ActiveMQ Classic queue",
    .about = "The queue's size as the broker's management (Jolokia, part of its web console) reports it. A queue that "
             "does not exist "
             "is a failure.",
    .example = "metadata:\n"
               "  managementEndpoint: activemq.mq.svc:8161\n"
               "  brokerName: localhost\n"
               "  destinationName: orders\n"
               "  targetQueueSize: \"50\"\n"
               "authentication:          # a TriggerAuthentication's secretTargetRef\n"
               "  username: admin\n"
               "  password: secret\n",
    .locally = "bin/activemq start        # an unpacked apache-activemq; its console listens on port 8161\n"
               "bin/activemq producer --destination queue://orders --messageCount 3\n"
               "weir probe orders.yaml    # managementEndpoint: localhost:8161\n",
    .params = classic_params,
    .config_size = sizeof(struct jolokia),
    .prepare = prepare_classic,
    .metric_name = classic_name,
    .destination = destination,
    .poll = ask_classic,
};

TRIGGER(artemis_queue) = {
    .type = "artemis-queue",
    .summary = "messages in an ActiveMQ Artemis queue",
    .about = "The queue's message count as the broker's management (Jolokia, part of its web console) reports it. A "
             "queue that does "
             "not exist is a failure, and so is an Origin the console does not allow: set corsHeader.",
    .example = "metadata:\n"
               "  managementEndpoint: artemis.mq.svc:8161\n"
               "  brokerName: broker-1\n"
               "  brokerAddress: orders\n"
               "  queueName: orders\n"
               "  queueLength: \"50\"\n"
               "  corsHeader: http://artemis.mq.svc:8161\n"
               "authentication:          # a TriggerAuthentication's secretTargetRef\n"
               "  username: admin\n"
               "  password: secret\n",
    .locally = "bin/artemis create b --user admin --password secret --require-login --queues orders:anycast --silent "
               "&& b/bin/artemis run &\n"
               "b/bin/artemis producer --destination queue://orders --message-count 3 --user admin --password secret\n"
               "weir probe orders.yaml    # managementEndpoint: localhost:8161, brokerName: 0.0.0.0\n",
    .params = artemis_params,
    .config_size = sizeof(struct jolokia),
    .prepare = prepare_artemis,
    .metric_name = artemis_name,
    .destination = destination,
    .poll = ask_artemis,
};
