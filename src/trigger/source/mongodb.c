/*
 * mongodb: how many documents of a collection match a filter. Facts: triggers/mongodb.md.
 *
 * libmongoc blocks, so all of this runs on a worker thread, with a client of one thread that is a session. Connect, selection and
 * socket time-outs are always set, and the server is told how long it may take. The library reads certificates from files: they are
 * memory files (pem_file.h), open as long as the client, for it reads them again with each connection.
 *
 * What a connection string may not ask for: the machine's own identity (MONGODB-AWS, GSSAPI), and files of ours.
 */
#include <mongoc/mongoc.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/dsn.h"
#include "trigger/common/lazy.h"
#include "trigger/common/pem_file.h"
#include "trigger/common/sql.h"
#include "trigger/driver.h"

enum {
    QUERY_TIMEOUT_MS = 10 * 1000, /* KEDA's */
    MONGODB_PORT = 27017,
    URI_MAX_BYTES = 16 * 1024,
};

struct mongodb {
    struct trigger_config common;
    const struct secret *connection, *password, *key, *key_password;
    const char *scheme, *host, *port, *user, *database, *collection, *query, *certificate, *ca;
    int tls; /* 0 enable, 1 disable */
};
struct kept { /* a session; the files mean something while there is a client */
    mongoc_client_t *client;
    struct pem_file ca, identity;
};

/* ------------------------------------------------------------------ the library */

/* clang-format off */
#define FUNCTIONS(X) \
    X(bson_destroy) X(bson_new_from_json) X(mongoc_client_destroy) X(mongoc_client_get_collection) \
    X(mongoc_client_new_from_uri_with_error) X(mongoc_client_set_error_api) X(mongoc_client_set_ssl_opts) \
    X(mongoc_collection_count_documents) X(mongoc_collection_destroy) X(mongoc_init) X(mongoc_log_set_handler) \
    X(mongoc_ssl_opt_get_default) X(mongoc_uri_destroy) X(mongoc_uri_get_auth_mechanism) X(mongoc_uri_get_hosts) \
    X(mongoc_uri_get_option_as_int32) X(mongoc_uri_get_srv_hostname) X(mongoc_uri_has_option) \
    X(mongoc_uri_new_with_error) X(mongoc_uri_set_appname) X(mongoc_uri_set_option_as_bool) \
    X(mongoc_uri_set_option_as_int32)
/* clang-format on */
static struct {
    FUNCTIONS(LAZY_POINTER)
} lib;

static void keep_quiet(mongoc_log_level_t level, const char *domain, const char *message, void *data)
{
    (void)level;
    (void)domain;
    (void)message;
    (void)data;
}

static void begin(void)
{
    lib.mongoc_log_set_handler(keep_quiet, NULL); /* what is wrong is in the errors, too */
    lib.mongoc_init();
}

static struct lazy library = LAZY(FUNCTIONS, "libmongoc-1.0.so.0", "libmongoc-1.0-0", &lib, begin);

#define PARAM_STRUCT struct mongodb
static const struct param params[] = {
    {"collection", PARAM_TEXT(collection), .required = true, .question = true, .help = "whose documents are counted"},
    {"query", PARAM_TEXT(query), .required = true, .question = true,
     .help = "filter, extended JSON with one key at least, such as {\"state\": \"waiting\"}"},
    {"queryValue", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .required = true,
     .help = "documents one replica should carry"},
    {"activationQueryValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"dbName", PARAM_TEXT(database), .from = "AM", .required = true, .help = "database, with a connection string too"},
    {"connectionString", PARAM_SECRET(connection), .from = "AME",
     .help = "mongodb://user:password@host:27017/...; then host, port, username and password are not needed"},
    {"scheme", PARAM_TEXT(scheme), .from = "AM", .fallback = "mongodb",
     .help = "mongodb, or mongodb+srv, where the DNS says which servers and ports there are"},
    {"host", PARAM_TEXT(host), .from = "AM", .help = "name or address of the server"},
    {"port", PARAM_TEXT(port), .from = "AM", .help = "its port"},
    {"username", PARAM_TEXT(user), .from = "AM", .help = "user of the database dbName"},
    {"password", PARAM_SECRET(password), .from = "AME", .help = "of the user"},
    {"tls", PARAM_CHOICE(tls, "enable,disable"), .from = "A", .fallback = "disable", .help = "enable or disable"},
    {"cert", PARAM_TEXT(certificate), .from = "A", .help = "client certificate, PEM"},
    {"key", PARAM_SECRET(key), .from = "A", .help = "its key, PEM"},
    {"keyPassword", PARAM_SECRET(key_password), .from = "A", .help = "of an encrypted key"},
    {"ca", PARAM_TEXT(ca), .from = "A", .help = "certificates trusted besides the system's, PEM"},
    {0},
};
#undef PARAM_STRUCT

/* ------------------------------------------------------------------ rules between parameters */

static bool check_parts(const struct mongodb *c, struct trigger_check *check)
{
    const struct {
        const char *name;
        bool given;
    } parts[] = {{"host", c->host},
                 {"port", c->port || string_equal(c->scheme, "mongodb+srv")},
                 {"username", c->user},
                 {"password", c->password}};
    bool good = true;

    if (c->connection || check_unknown(check, "connectionString"))
        return true;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!parts[i].given && !check_unknown(check, parts[i].name))
            good = check_error(check, parts[i].name,
                               "give it here or in the TriggerAuthentication, or give connectionString",
                               "%s is needed where there is no connectionString", parts[i].name);
    return good;
}

static bool check_tls(const struct mongodb *c, struct trigger_check *check)
{
    if (c->tls != 0 || check_input(check)->credential_unknown)
        return true;
    if (!c->certificate && !c->key && !c->ca)
        return check_error(check, "tls", "put ca, or cert and key, into the Secret",
                           "tls: enable needs one of cert, key and ca at least");
    return !c->certificate == !c->key ||
           check_error(check, "cert", "give both, or none", "of cert and key only one is given");
}

static bool prepare(void *config, struct trigger_check *check)
{
    bool good = check_parts(config, check);

    return check_tls(config, check) && good;
}

/* ------------------------------------------------------------------ where the servers are */

static void write_uri(const struct mongodb *c, struct text *out)
{
    if (c->connection) {
        text_add(out, secret_reveal(c->connection));
        return;
    }
    text_printf(out, "%s://", c->scheme);
    dsn_escape(out, c->user ? c->user : "");
    text_add(out, ":");
    dsn_escape(out, c->password ? secret_reveal(c->password) : "");
    text_printf(out, "@%s", c->host ? c->host : "");
    if (c->port && strcmp(c->scheme, "mongodb+srv") != 0)
        text_printf(out, ":%s", c->port);
    text_add(out, "/");
    dsn_escape(out, c->database ? c->database : "");
}

/* As the library reads it, which will dial what it finds there. NULL: *why. */
static mongoc_uri_t *parse_uri(const struct mongodb *c, bson_error_t *why)
{
    struct text text;
    mongoc_uri_t *uri;

    text_init(&text, URI_MAX_BYTES);
    write_uri(c, &text);
    uri = lib.mongoc_uri_new_with_error(text.bytes, why);
    explicit_bzero(text.bytes, text.length);
    text_done(&text);
    return uri;
}

static void destinations(const void *config, struct destinations *out)
{
    bson_error_t why;
    mongoc_uri_t *uri = parse_uri(config, &why);
    const char *found_by_name = uri ? lib.mongoc_uri_get_srv_hostname(uri) : NULL;

    if (found_by_name)
        destinations_add(out, found_by_name, MONGODB_PORT);
    for (const mongoc_host_list_t *at = uri ? lib.mongoc_uri_get_hosts(uri) : NULL; at; at = at->next)
        destinations_add(out, at->host, at->family == AF_UNIX ? 0 : at->port);
    lib.mongoc_uri_destroy(uri);
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    (void)input;
    text_printf(out, "mongodb-%s", ((const struct mongodb *)config)->collection);
}

/* ------------------------------------------------------------------ on the worker thread */

static void hang_up(void *session)
{
    struct kept *kept = session;

    if (!kept->client)
        return;
    lib.mongoc_client_destroy(kept->client);
    pem_file_close(&kept->ca);
    pem_file_close(&kept->identity);
    kept->client = NULL;
}

static bool uri_is_allowed(const mongoc_uri_t *uri, struct query *query)
{
    static const char *const files[] = {MONGOC_URI_TLSCAFILE, MONGOC_URI_TLSCERTIFICATEKEYFILE,
                                        MONGOC_URI_SSLCERTIFICATEAUTHORITYFILE, MONGOC_URI_SSLCLIENTCERTIFICATEKEYFILE};
    const char *mechanism = lib.mongoc_uri_get_auth_mechanism(uri);

    if (mechanism && (strcasecmp(mechanism, "MONGODB-AWS") == 0 || strcasecmp(mechanism, "GSSAPI") == 0))
        return query_fail(query, ERROR_INVALID,
                          "signing in with the identity of the machine is not built in; use a user and password", "");
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (lib.mongoc_uri_has_option(uri, files[i]))
            return query_fail(
                query, ERROR_INVALID,
                "connectionString may not name files of the machine that Weir runs on: put ca, cert and key into the "
                "TriggerAuthentication, with tls: enable, instead of the option",
                files[i]);
    return true;
}

static void bound(mongoc_uri_t *uri, const char *option, int64_t most_ms)
{
    int32_t said = lib.mongoc_uri_get_option_as_int32(uri, option, (int32_t)most_ms);

    lib.mongoc_uri_set_option_as_int32(uri, option, said > 0 && said < most_ms ? said : (int32_t)most_ms);
}

static mongoc_uri_t *make_uri(const struct mongodb *c, struct query *query)
{
    bson_error_t why;
    mongoc_uri_t *uri = parse_uri(c, &why);
    int64_t left_ms = query_left_ms(query);

    if (!uri) {
        query_fail(query, ERROR_INVALID, "this is no connection string for MongoDB", why.message);
        return NULL;
    }
    if (!uri_is_allowed(uri, query)) {
        lib.mongoc_uri_destroy(uri);
        return NULL;
    }
    bound(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
          left_ms * 3 / 10);                                   /* connecting is a part of it; with an answer they */
    bound(uri, MONGOC_URI_CONNECTTIMEOUTMS, left_ms * 2 / 10); /* fit into the time that is left */
    bound(uri, MONGOC_URI_SOCKETTIMEOUTMS, left_ms / 2);
    if (!lib.mongoc_uri_has_option(uri, MONGOC_URI_APPNAME))
        lib.mongoc_uri_set_appname(uri, "weir");
    if (c->tls == 0)
        lib.mongoc_uri_set_option_as_bool(uri, MONGOC_URI_TLS, true);
    return uri;
}

/* A CA of ours replaces the system's in the library, unless their folder is named as well. */
static bool set_tls(const struct mongodb *c, struct kept *kept, struct query *query)
{
    mongoc_ssl_opt_t options = *lib.mongoc_ssl_opt_get_default();

    if (c->ca) {
        if (!pem_file_open(&kept->ca, (const char *const[]){c->ca, NULL}, &query->error))
            return false;
        options.ca_file = kept->ca.path;
        options.ca_dir = X509_get_default_cert_dir();
    }
    if (c->certificate && c->key) {
        if (!pem_file_open(&kept->identity, (const char *const[]){c->certificate, secret_reveal(c->key), NULL},
                           &query->error))
            return false;
        options.pem_file = kept->identity.path;
        options.pem_pwd = c->key_password ? secret_reveal(c->key_password) : NULL;
    }
    lib.mongoc_client_set_ssl_opts(kept->client, &options);
    return true;
}

static bool open_client(const struct mongodb *c, struct kept *kept, struct query *query)
{
    mongoc_uri_t *uri;
    bson_error_t why;

    uri = make_uri(c, query);
    if (!uri)
        return false;
    kept->client = lib.mongoc_client_new_from_uri_with_error(uri, &why);
    lib.mongoc_uri_destroy(uri);
    if (!kept->client)
        return query_fail(query, ERROR_UNREACHABLE, "MongoDB's servers cannot be found", why.message);
    kept->ca.fd = kept->identity.fd = -1;
    lib.mongoc_client_set_error_api(kept->client, MONGOC_ERROR_API_VERSION_2);
    if (c->tls == 0 && !set_tls(c, kept, query)) {
        hang_up(kept);
        return false;
    }
    return true;
}

/* What the server says against a question (no right on the collection, too slow) is about this question: others who ask on the connection
   have nothing to do with it. */
static enum error_kind kind_of(const bson_error_t *why)
{
    enum { AUTHENTICATION_FAILED = 18, MAX_TIME_EXPIRED = 50, ATLAS_DENIES = 8000 };
    static const uint32_t passing[] = {6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436};

    if (why->domain == MONGOC_ERROR_CLIENT && why->code == MONGOC_ERROR_CLIENT_AUTHENTICATE)
        return ERROR_DENIED;
    if (why->domain == MONGOC_ERROR_SCRAM || why->domain == MONGOC_ERROR_SASL)
        return ERROR_DENIED;
    if (why->domain != MONGOC_ERROR_SERVER)
        return why->domain == MONGOC_ERROR_BSON || why->domain == MONGOC_ERROR_COMMAND ? ERROR_NONSENSE
                                                                                       : ERROR_UNREACHABLE;
    if (why->code == AUTHENTICATION_FAILED || why->code == ATLAS_DENIES)
        return ERROR_DENIED;
    if (why->code == MAX_TIME_EXPIRED)
        return ERROR_LIMIT;
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        if (why->code == passing[i])
            return ERROR_UNREACHABLE;
    return ERROR_NONSENSE;
}

/* {"$date": "2026-..."} is the relaxed form; the original reads the canonical one alone. */
static bool has_relaxed_date(const struct tree *node)
{
    for (const struct tree *child = node->first; child; child = child->next)
        if ((child->key && strcmp(child->key, "$date") == 0 && child->type == TREE_STRING) || has_relaxed_date(child))
            return true;
    return false;
}

static bson_t *read_filter(const char *text, struct query *query)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *tree;
    bson_error_t why;
    bson_t *filter = NULL;

    if (!tree_read_json(text, strlen(text), false, arena, &tree, NULL) || tree->type != TREE_MAP || tree->count == 0)
        query_fail(query, ERROR_INVALID,
                   "query is not a JSON object with a key at least; {\"_id\": {\"$exists\": true}} counts all", "");
    else if (has_relaxed_date(tree))
        query_fail(query, ERROR_INVALID, "query: write a date as {\"$date\": {\"$numberLong\": \"milliseconds\"}}", "");
    else if (!(filter = lib.bson_new_from_json((const uint8_t *)text, (ssize_t)strlen(text), &why)))
        query_fail(query, ERROR_INVALID, "query is not MongoDB's extended JSON", why.message);
    arena_free(arena);
    return filter;
}

static bson_t *read_options(int64_t most_ms)
{
    char json[64];
    int length = snprintf(json, sizeof(json), "{\"maxTimeMS\":{\"$numberLong\":\"%lld\"}}", (long long)most_ms);

    return lib.bson_new_from_json((const uint8_t *)json, length, NULL);
}

static bool ask_once(const struct mongodb *c, struct kept *kept, const bson_t *filter, struct query *query)
{
    mongoc_collection_t *collection = lib.mongoc_client_get_collection(kept->client, c->database, c->collection);
    bson_t *options = read_options(query_left_ms(query) * 4 / 10 + 1); /* before the socket's time is over */
    bson_error_t why = {0};
    int64_t count = lib.mongoc_collection_count_documents(collection, filter, options, NULL, NULL, &why);
    enum error_kind kind = kind_of(&why);

    lib.bson_destroy(options);
    lib.mongoc_collection_destroy(collection);
    if (count >= 0) {
        query->state = SAMPLE_OK;
        query->value = (double)count;
        return true;
    }
    query_fail(query, kind, kind == ERROR_DENIED ? "MongoDB lets us not in" : "MongoDB gives no count", why.message);
    /* a client that failed waits before it looks for servers again: a new one does not */
    if (kind == ERROR_UNREACHABLE || kind == ERROR_DENIED)
        hang_up(kept);
    return kind != ERROR_UNREACHABLE;
}

static void run(const void *config, struct query *query)
{
    const struct mongodb *c = config;
    struct kept *kept = query->memory;
    bool was_kept = kept->client != NULL;
    bson_t *filter;

    query->state = SAMPLE_FAILED;
    filter = read_filter(c->query, query);
    if (!filter)
        return;
    if ((kept->client || open_client(c, kept, query)) && !ask_once(c, kept, filter, query) && was_kept &&
        query_may_retry(query) && open_client(c, kept, query))
        ask_once(c, kept, filter, query);
    lib.bson_destroy(filter);
}

TRIGGER(mongodb) = {
    .type = "mongodb",
    .summary = "how many documents of a MongoDB collection match a filter",
    .about = "An exact count, as an aggregation gives it. A collection that is not there counts 0: MongoDB makes "
             "collections with their "
             "first document. The filter is canonical extended JSON.",
    .example = "metadata:\n"
               "  host: mongodb.shop.svc\n"
               "  port: \"27017\"\n"
               "  username: weir\n"
               "  dbName: jobs\n"
               "  collection: jobs\n"
               "  query: '{\"state\": \"waiting\"}'\n"
               "  queryValue: \"10\"\n"
               "authentication:\n"
               "  password: s3cret\n",
    .locally = "docker run -p 127.0.0.1:27017:27017 mongo:7\n"
               "mongosh jobs --eval 'db.jobs.insertOne({state: \"waiting\"})'\n",
    .params = params,
    .config_size = sizeof(struct mongodb),
    .session_size = sizeof(struct kept),
    .timeout_ms = QUERY_TIMEOUT_MS,
    .library = &library,
    .prepare = prepare,
    .metric_name = metric_name,
    .destinations = destinations,
    .hang_up = hang_up,
    .query = run,
};
