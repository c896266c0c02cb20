/*
 * cassandra: the whole number that a CQL query gives. Facts: triggers/cassandra.md.
 *
 *     STARTUP -> READY -> QUERY -> rows -> value
 *        `-> AUTHENTICATE -> password -> AUTH_SUCCESS -> QUERY ...
 *
 * One node is enough for us: the one the manifest names coordinates the query. A kept connection goes on with the query at once.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "net/transport.h"
#include "trigger/common/dsn.h"
#include "trigger/common/sql.h"
#include "trigger/driver.h"
#include "trigger/family/cql.h"

enum { CASSANDRA_TIMEOUT_MS = 11 * 1000 /* the original's */, QUERY_MAX_BYTES = 256 * 1024 };

struct cassandra {
    struct trigger_config common;
    const char *address, *keyspace, *query, *user, *consistency_word, *certificate, *ca;
    const struct secret *password, *key;
    const char *host; /* of address */
    int64_t port, version;
    int tls; /* 0 enable, 1 disable */
    int consistency;
};

#define PARAM_STRUCT struct cassandra
static const struct param params[] = {
    {"clusterIPAddress", PARAM_TEXT(address), .required = true, .help = "host, or host:port, of one node"},
    {"port", PARAM_INTEGER(port), .help = "its port, unless it stands in clusterIPAddress"},
    {"keyspace", PARAM_TEXT(keyspace), .required = true, .question = true,
     .help = "for the metric's name alone: write keyspace.table in the query"},
    {"query", PARAM_TEXT(query), .required = true, .question = true,
     .help = "CQL that yields one whole number, such as SELECT count(*) FROM shop.jobs"},
    {"targetQueryValue", PARAM_WHOLE(common.target), .role = ROLE_TARGET, .required = true,
     .help = "value one replica should carry"},
    {"activationTargetQueryValue", PARAM_WHOLE(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"username", PARAM_TEXT(user), .required = true, .help = "role"},
    {"password", PARAM_SECRET(password), .from = "A", .required = true, .help = "of the role"},
    {"consistency", PARAM_TEXT(consistency_word), .fallback = "one", .question = true,
     .help = "any, one, two, three, quorum, all, local_quorum, each_quorum or local_one"},
    {"protocolVersion", PARAM_INTEGER(version), .fallback = "4",
     .help = "of the native protocol: 3, or 4 for all above"},
    {"tls", PARAM_CHOICE(tls, "enable,disable"), .from = "A", .fallback = "disable", .help = "enable or disable"},
    {"cert", PARAM_TEXT(certificate), .from = "A", .help = "client certificate, PEM; needed with tls"},
    {"key", PARAM_SECRET(key), .from = "A", .help = "its key, PEM; needed with tls"},
    {"ca", PARAM_TEXT(ca), .from = "A",
     .help = "who may have signed the server's certificate, PEM; without it nobody looks"},
    {0},
};
#undef PARAM_STRUCT

/* ------------------------------------------------------------------ rules between parameters */

static bool check_consistency(struct cassandra *c, struct trigger_check *check)
{
    static const struct {
        const char *word;
        int number;
    } levels[] = {{"any", 0}, {"one", 1},          {"two", 2},         {"three", 3},     {"quorum", 4},
                  {"all", 5}, {"local_quorum", 6}, {"each_quorum", 7}, {"local_one", 10}};

    for (size_t i = 0; c->consistency_word && i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcasecmp(levels[i].word, c->consistency_word) == 0) {
            c->consistency = levels[i].number;
            return true;
        }
    return check_error(check, "consistency",
                       "write one of any, one, two, three, quorum, all, local_quorum, each_quorum, local_one",
                       "consistency: a query cannot be asked with that");
}

/* One ':' with digits behind it is a port; more of them are an IPv6 address. */
static bool check_address(struct cassandra *c, struct trigger_check *check)
{
    const char *colon = strchr(c->address, ':'), *host = c->address;
    size_t length = strlen(host);

    if (colon && !strchr(colon + 1, ':') && strspn(colon + 1, "0123456789") == strlen(colon + 1) && colon[1]) {
        c->port = dsn_port(colon + 1);
        length = (size_t)(colon - host);
    } else if (*host == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    }
    c->host = arena_copy_bytes(check_arena(check), host, length);
    if (c->port == 0)
        return check_error(check, "port", "write clusterIPAddress: host:port, or port", "there is no port");
    if (c->port < 0 || c->port > 65535 || !*c->host || *c->host == '/')
        check_warning(check, "clusterIPAddress", "write host:port with a port between 1 and 65535",
                      "there is no such host and port: every poll fails");
    return true;
}

static bool check_tls(const struct cassandra *c, struct trigger_check *check)
{
    if (c->tls != 0 || check_input(check)->credential_unknown)
        return true;
    if (!c->certificate || !c->key)
        return check_error(check, "tls", "put cert and key into the Secret", "tls: enable needs cert and key");
    if (!c->ca)
        check_warning(check, "ca", "give ca", "without ca nobody looks at the server's certificate");
    return true;
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct cassandra *c = config;
    bool good = check_consistency(c, check);

    good = (!c->address || check_address(c, check)) && good;
    if (check_input(check)->as_metric_source)
        c->common.target = 0;
    return check_tls(c, check) && good;
}

static bool destination(const void *config, char *out, size_t size)
{
    const struct cassandra *c = config;

    return c->host && (size_t)snprintf(out, size, "%s:%lld", c->host, (long long)c->port) < size;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    (void)input;
    text_printf(out, "cassandra-%s", ((const struct cassandra *)config)->keyspace);
}

/* ------------------------------------------------------------------ the talk */

struct session {
    bool greeted;
};
struct talk_place {
    bool asked; /* the query, not the greeting */
    struct tls_identity identity;
};

static enum poll_next connect(const struct cassandra *c, struct poll *poll)
{
    struct talk_place *at = poll_scratch(poll);
    struct talk_address address = {
        .host = c->host, .port = (int)c->port, .tls = c->tls == 0, .timeout_ms = CASSANDRA_TIMEOUT_MS};

    if (!c->host || !*c->host || *c->host == '/' || c->port <= 0 || c->port > 65535)
        return poll_fail(poll, ERROR_INVALID, "there is no host:port to ask");
    at->identity = (struct tls_identity){
        .insecure = !c->ca, .ca_pem = c->ca, .certificate_pem = c->certificate, .key_pem = c->key};
    address.identity = address.tls ? &at->identity : NULL;
    return talk_open(poll, &address);
}

static int version_of(const struct cassandra *c)
{
    return c->version == 3 ? 3 : 4;
}

static enum poll_next send(struct poll *poll, struct text *frame)
{
    bool fits = !frame->overflowed;

    if (fits)
        talk_write(poll, frame->bytes, frame->length);
    explicit_bzero(frame->bytes, frame->length);
    text_done(frame);
    return fits ? talk_more(poll) : poll_fail(poll, ERROR_LIMIT, "the query is longer than %d bytes", QUERY_MAX_BYTES);
}

static enum poll_next send_query(const struct cassandra *c, struct poll *poll)
{
    struct talk_place *at = poll_scratch(poll);
    struct session *session = talk_session(poll);
    struct text frame;

    text_init(&frame, QUERY_MAX_BYTES);
    cql_query(&frame, version_of(c), c->query, c->consistency);
    session->greeted = at->asked = true;
    return send(poll, &frame);
}

static enum poll_next greet(const struct cassandra *c, struct poll *poll)
{
    struct talk_place *at = poll_scratch(poll);
    struct text frame;

    text_init(&frame, QUERY_MAX_BYTES);
    cql_startup(&frame, version_of(c));
    at->asked = false;
    return send(poll, &frame);
}

/* The password is not for whoever asks for one: these take it in this form. */
static enum poll_next sign_in(const struct cassandra *c, struct poll *poll, const struct cql_frame *asks)
{
    static const char *const classes[] = {
        "org.apache.cassandra.auth.PasswordAuthenticator",
        "com.instaclustr.cassandra.auth.SharedSecretAuthenticator",
        "com.instaclustr.cassandra.auth.InstaclustrPasswordAuthenticator",
        "com.datastax.bdp.cassandra.auth.DseAuthenticator",
        "io.aiven.cassandra.auth.AivenAuthenticator",
        "com.ericsson.bss.cassandra.ecaudit.auth.AuditPasswordAuthenticator",
        "com.ericsson.bss.cassandra.ecaudit.auth.AuditAuthenticator",
        "com.amazon.helenus.auth.HelenusAuthenticator",
        "com.scylladb.auth.SaslauthdAuthenticator",
        "com.scylladb.auth.TransitionalAuthenticator",
    };
    struct text frame;

    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strlen(classes[i]) != asks->text_length || memcmp(classes[i], asks->text, asks->text_length) != 0)
            continue;
        text_init(&frame, QUERY_MAX_BYTES);
        cql_password(&frame, version_of(c), c->user, secret_reveal(c->password));
        return send(poll, &frame);
    }
    return poll_fail(poll, ERROR_NONSENSE, "Cassandra wants to be signed in to by %.*s, which is not built in",
                     (int)(asks->text_length < 100 ? asks->text_length : 100), asks->text);
}

/* What is said against a query (no right on a table, too slow) is about this query: others who ask on the connection have nothing to do
   with it. */
static enum error_kind kind_of(unsigned code, bool asked)
{
    enum { SERVER_ERROR = 0x0000, BAD_CREDENTIALS = 0x0100, READ_TIMEOUT = 0x1200, UNAUTHORIZED = 0x2100 };

    if (code == BAD_CREDENTIALS || (code == UNAUTHORIZED && !asked))
        return ERROR_DENIED;
    if (code == READ_TIMEOUT && asked)
        return ERROR_LIMIT;
    return code == SERVER_ERROR || (code >= 0x1000 && code < 0x2000) ? ERROR_UNREACHABLE : ERROR_NONSENSE;
}

static enum poll_next refused(struct poll *poll, const struct cql_frame *frame)
{
    const struct talk_place *at = poll_scratch(poll);

    if (at->asked)
        talk_keep(poll);
    return poll_fail(poll, kind_of((unsigned)frame->code, at->asked), "Cassandra refuses us (0x%04x): %.*s",
                     (unsigned)frame->code, (int)(frame->text_length < 200 ? frame->text_length : 200), frame->text);
}

static enum poll_next on_rows(struct poll *poll, const struct cql_frame *frame)
{
    struct sql_answer answer = {.columns = frame->columns, .row = frame->rows > 0};

    if (answer.row && !frame->is_null) {
        answer.text = frame->number;
        answer.length = strlen(frame->number);
    }
    talk_keep(poll);
    return sql_end(poll, &answer, SQL_NULL_MISSING_TOO);
}

static enum poll_next on_frame(const struct cassandra *c, struct poll *poll, enum cql_kind kind,
                               const struct cql_frame *frame)
{
    const struct talk_place *at = poll_scratch(poll);

    if (kind == CQL_ERROR)
        return refused(poll, frame);
    if (!at->asked && (kind == CQL_READY || kind == CQL_AUTHENTICATED))
        return send_query(c, poll);
    if (!at->asked && kind == CQL_AUTHENTICATE)
        return sign_in(c, poll, frame);
    if (at->asked && kind == CQL_ROWS)
        return on_rows(poll, frame);
    return poll_fail(poll, ERROR_NONSENSE,
                     at->asked && kind == CQL_VOID ? "the query gives no result; it has to be a SELECT"
                                                   : "Cassandra answers something else than was asked for");
}

static enum poll_next talk(const void *config, struct poll *poll, const char *bytes, size_t length)
{
    const struct cassandra *c = config;
    enum poll_next next = POLL_WAITING;

    if (!bytes)
        return connect(c, poll);
    if (length == 0) /* open, perhaps anew */
        return ((struct session *)talk_session(poll))->greeted ? send_query(c, poll) : greet(c, poll);
    while (next == POLL_WAITING && length > 0) {
        struct cql_frame frame;
        struct error err;
        enum cql_kind kind = cql_read(bytes, length, &frame, &err);

        if (kind == CQL_BAD)
            return poll_fail_with(poll, &err);
        if (kind == CQL_MORE)
            return talk_more(poll);
        next = on_frame(c, poll, kind, &frame);
        talk_taken(poll, frame.used);
        bytes += frame.used;
        length -= frame.used;
    }
    return next;
}

TRIGGER(cassandra) = {
    .type = "cassandra",
    .summary = "a whole number read from Cassandra by a CQL query",
    .about = "The first row of a query with one column of whole numbers, such as count(*). A query without a row, or a "
             "NULL in it, is "
             "missing, and counts as 0 when the hold is over; several columns and other types are failures. With TLS "
             "the server's "
             "certificate is looked at where ca says who may have signed it.",
    .example = "metadata:\n"
               "  clusterIPAddress: cassandra.shop.svc:9042\n"
               "  keyspace: shop\n"
               "  username: weir\n"
               "  query: SELECT count(*) FROM shop.jobs WHERE state = 'waiting'\n"
               "  targetQueryValue: \"10\"\n"
               "authentication:\n"
               "  password: s3cret\n",
    .locally =
        "docker run -p 127.0.0.1:9042:9042 cassandra:5\n"
        "cqlsh -e \"CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}; "
        "CREATE TABLE shop.jobs (id int PRIMARY KEY); INSERT INTO shop.jobs (id) VALUES (1)\"\n",
    .params = params,
    .config_size = sizeof(struct cassandra),
    .scratch_size = sizeof(struct talk_place),
    .session_size = sizeof(struct session),
    .prepare = prepare,
    .metric_name = metric_name,
    .destination = destination,
    .talk = talk,
};
