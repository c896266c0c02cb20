/*
 * couchdb: how many documents a Mango query finds. Facts: triggers/couchdb.md.
 *
 *     POST /DATABASE/_find {"selector", "fields", "limit"} -> {"docs": [...]}
 *
 * Without a limit of its own CouchDB gives 25 documents at most, and so counts no further: that is said in a note, and the manifest's
 * `limit` is passed on, which the original drops. The documents are counted; what is in them does not matter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/dsn.h"
#include "trigger/common/path.h"
#include "trigger/driver.h"

enum { QUERY_MAX_BYTES = 256 * 1024, LIMIT_USUAL = 25 /* CouchDB's */ };

struct couchdb {
    struct trigger_config common;
    const struct secret *connection, *password;
    const char *host, *port, *user, *database, *query, *ca;
};

#define PARAM_STRUCT struct couchdb
static const struct param params[] = {
    {"query", PARAM_TEXT(query), .question = true,
     .help = "JSON object; its selector says which documents count, its limit how many at most (25 unless said)"},
    {"queryValue", PARAM_WHOLE(common.target), .role = ROLE_TARGET,
     .help = "documents one replica should carry; required unless a formula uses the trigger"},
    {"activationQueryValue", PARAM_WHOLE(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"dbName", PARAM_TEXT(database), .from = "AM", .question = true, .help = "database"},
    {"connectionString", PARAM_SECRET(connection), .from = "AME",
     .help = "http(s)://user:password@host:5984/; then host, port, username and password are not needed"},
    {"host", PARAM_TEXT(host), .from = "AM", .help = "name or address of the server"},
    {"port", PARAM_TEXT(port), .from = "AM", .help = "its port"},
    {"username", PARAM_TEXT(user), .from = "AM", .help = "user; with a connection string the one in it, else admin"},
    {"password", PARAM_SECRET(password), .from = "AME", .help = "of the user"},
    {"ca", PARAM_TEXT(ca), .from = "A", .help = "certificates trusted besides the system's, PEM"},
    {0},
};
#undef PARAM_STRUCT

static bool check_parts(const struct couchdb *c, struct trigger_check *check)
{
    const struct {
        const char *name;
        bool given;
    } parts[] = {{"host", c->host},
                 {"port", c->port},
                 {"username", c->user},
                 {"password", c->password},
                 {"dbName", c->database}};
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

static bool prepare(void *config, struct trigger_check *check)
{
    struct couchdb *c = config;
    bool good = check_parts(c, check);

    if (check_input(check)->as_metric_source)
        c->common.target = 0;
    else if (c->common.target == 0)
        good = check_error(check, "queryValue", "write the documents one replica should carry",
                           "queryValue has to be given, and not 0");
    if (!c->query)
        check_warning(check, "query", "write {\"selector\": {...}}", "without a query every poll fails");
    if (!c->database)
        check_warning(check, "dbName", "name the database", "without a database every poll fails");
    return good;
}

/* ------------------------------------------------------------------ where the server is */

struct server {
    struct dsn dsn;
    char base[DSN_HOST_BYTES + 600];
    const char *user;
};

static bool find_server(const struct couchdb *c, struct server *server, struct error *err)
{
    const char *text = c->connection ? secret_reveal(c->connection) : NULL, *path;
    int length;

    memset(server, 0, sizeof(*server));
    if (!text) {
        server->user = c->user;
        length = snprintf(server->base, sizeof(server->base), "http://%s:%s", c->host ? c->host : "",
                          c->port ? c->port : "");
    } else {
        char *with_scheme = mem_alloc(strlen(text) + sizeof("http://"));
        bool good;

        sprintf(with_scheme, "%s%s", strstr(text, "://") ? "" : "http://", text);
        good = dsn_read_url(with_scheme, &server->dsn, err);
        explicit_bzero(with_scheme, strlen(with_scheme));
        free(with_scheme);
        if (!good)
            return false;
        path = server->dsn.path ? server->dsn.path : "";
        server->user = c->user ? c->user : server->dsn.user ? server->dsn.user : "admin";
        length = snprintf(server->base, sizeof(server->base), "%s://%s%s%s", server->dsn.scheme, server->dsn.hosts,
                          *path ? "/" : "", path);
    }
    if ((size_t)length >= sizeof(server->base))
        return error_set(err, ERROR_INVALID, "the server's address is too long");
    return true;
}

static bool destination(const void *config, char *out, size_t size)
{
    struct server server;
    char host[DSN_HOST_BYTES];
    int port;
    const char *at;
    bool good = find_server(config, &server, NULL) && (at = strstr(server.base, "://")) != NULL;

    if (good) {
        server.base[(size_t)(at - server.base) + 3 + strcspn(at + 3, "/")] = '\0';
        good = dsn_host(at + 3, 0, string_starts(server.base, "https") ? 443 : 80, host, sizeof(host), &port) &&
               (size_t)snprintf(out, size, "%s:%d", host, port) < size;
    }
    dsn_done(&server.dsn);
    return good;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct couchdb *c = config;

    (void)input;
    text_printf(out, "coucdb-%s", c->database ? c->database : ""); /* KEDA's spelling, in everybody's HPAs */
}

/* ------------------------------------------------------------------ the poll */

/* Members that mean nothing for a count are dropped, as the original does; an absent one is left out. NULL: this is no query. */
static const char *write_query(struct poll *poll, const char *query, int64_t *limit)
{
    static const char *const members[] = {"selector", "fields", "limit"};
    struct tree *tree;
    struct text out;
    const char *copy;

    if (!query || !tree_read_json(query, strlen(query), false, poll_arena(poll), &tree, NULL) ||
        tree->type != TREE_MAP || !tree_get(tree, "selector"))
        return NULL;
    *limit = LIMIT_USUAL;
    tree_integer(tree_get(tree, "limit"), limit);
    text_init(&out, QUERY_MAX_BYTES);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const struct tree *member = tree_get(tree, members[i]);

        if (!member)
            continue;
        text_printf(&out, "%s\"%s\":", out.length > 0 ? "," : "{", members[i]);
        tree_write_json(member, &out);
    }
    text_add(&out, "}");
    copy = out.overflowed ? NULL : arena_copy(poll_arena(poll), out.bytes);
    text_done(&out);
    return copy;
}

static enum poll_next on_found(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct tree *documents = tree_get_fold(reply->json, "docs");
    const int64_t *limit = poll_scratch(poll);
    size_t count = tree_count(documents);

    (void)config;
    if (!documents || documents->type != TREE_LIST)
        return poll_fail(poll, ERROR_NONSENSE, "the answer has no docs: this is not CouchDB's _find");
    if (*limit > 0 && count >= (size_t)*limit)
        poll_note(poll, "there may be more: the query stops at %lld; a limit in it moves that", (long long)*limit);
    return poll_value(poll, (double)count);
}

static void sign(const struct couchdb *c, struct poll *poll, struct request *request, const struct server *server)
{
    struct http_auth *auth = arena_alloc(poll_arena(poll), sizeof(*auth));
    const char *password = c->password ? secret_reveal(c->password) : server->dsn.password ? server->dsn.password : "";
    struct secret *secret = secret_new(password, strlen(password));

    *auth = (struct http_auth){.username = server->user, .password = secret, .ca = c->ca, .modes = HTTP_AUTH_BASIC};
    request_sign(request, auth, HTTP_AUTH_BASIC, true, false);
    auth->username = NULL; /* lives no longer than the connection string; both are in the signature now */
    auth->password = NULL;
    secret_unref(secret);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct couchdb *c = config;
    const char *body = write_query(poll, c->query, poll_scratch(poll));
    struct server server;
    struct request *request;
    struct error err;

    (void)none; /* nothing was asked yet */
    if (!body)
        return poll_fail(poll, ERROR_INVALID, "query is not a JSON object with a selector");
    if (!c->database)
        return poll_fail(poll, ERROR_INVALID, "there is no database to ask: dbName is not given");
    if (!find_server(c, &server, &err)) {
        dsn_done(&server.dsn);
        return poll_fail_with(poll, &err);
    }
    request = request_post(poll, server.base,
                           arena_printf(poll_arena(poll), "/%s/_find", path_part(poll_arena(poll), c->database)));
    request_header(request, "Accept", "application/json");
    request_body(request, "application/json", body, strlen(body));
    sign(c, poll, request, &server);
    dsn_done(&server.dsn);
    return poll_send(poll, request, on_found);
}

TRIGGER(couchdb) = {
    .type = "couchdb",
    .summary = "how many documents a CouchDB query finds",
    .about = "The number of documents that _find gives. CouchDB stops at 25 unless the query has a limit: write one "
             "above what you want "
             "to see. A database that does not exist is a failure.",
    .example = "metadata:\n"
               "  host: couchdb.shop.svc\n"
               "  port: \"5984\"\n"
               "  username: weir\n"
               "  dbName: jobs\n"
               "  query: '{\"selector\": {\"state\": \"waiting\"}, \"fields\": [\"_id\"], \"limit\": 1000}'\n"
               "  queryValue: \"10\"\n"
               "authentication:\n"
               "  password: s3cret\n",
    .locally = "docker run -p 127.0.0.1:5984:5984 -e COUCHDB_USER=weir -e COUCHDB_PASSWORD=s3cret couchdb:3\n"
               "curl -u weir:s3cret -X PUT http://127.0.0.1:5984/jobs\n"
               "curl -u weir:s3cret -H 'Content-Type: application/json' http://127.0.0.1:5984/jobs -d '{\"state\": "
               "\"waiting\"}'\n",
    .params = params,
    .config_size = sizeof(struct couchdb),
    .scratch_size = sizeof(int64_t),
    .prepare = prepare,
    .metric_name = metric_name,
    .destination = destination,
    .poll = ask,
};
