/*
 * arangodb: the number in the one document that an AQL query returns. Facts: triggers/arangodb.md.
 *
 *     GET database/current -> GET collection/NAME -> POST cursor -> {"result": [{"value": 12.5}], "count": 1}
 *
 * Of several coordinators the next one is asked while one cannot be reached. A query may return one document; that it can have no
 * more than BATCH_ROWS at once, and its cursor a life of some seconds, keeps the server from holding what nobody fetches.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/jwt.h"
#include "trigger/common/nodes.h"
#include "trigger/common/path.h"
#include "trigger/driver.h"

enum { QUERY_MAX_BYTES = 256 * 1024, BATCH_ROWS = 2, CURSOR_LIFE_S = 5 };

struct arangodb {
    struct trigger_config common;
    const char *endpoints, *database, *collection, *query, *server_id;
    const struct http_auth *auth;
    int64_t connection_limit;
    bool unsafe;
    const char **urls; /* of endpoints, sorted, in the trigger's arena */
    size_t url_count;
    struct secret *token; /* made from the server's secret; NULL: the bearer token is one already */
};
struct walk {
    struct nodes_walk nodes; /* first */
    const char *body;
};

#define PARAM_STRUCT struct arangodb
static const struct param params[] = {
    {"endpoints", PARAM_TEXT(endpoints), .from = "AM", .required = true,
     .help = "URLs of the coordinators, with commas: http://arangodb:8529"},
    {"dbName", PARAM_TEXT(database), .from = "MA", .required = true, .help = "database"},
    {"collection", PARAM_TEXT(collection), .required = true, .question = true,
     .help = "has to exist, or the poll fails"},
    {"query", PARAM_TEXT(query), .required = true, .question = true,
     .help = "AQL that returns one document with a number as value: ... RETURN {\"value\": n}"},
    {"queryValue", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .fallback = "0",
     .help = "value one replica should carry; required unless a formula uses the trigger"},
    {"activationQueryValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"unsafeSsl", PARAM_BOOL(unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {"connectionLimit", PARAM_INTEGER(connection_limit), .help = "no effect: connections are shared by all objects"},
    {"serverID", PARAM_TEXT(server_id), .from = "MA",
     .help = "for authModes: bearer, where bearerToken is the server's JWT secret: who signs"},
    {"authModes", PARAM_HTTP_AUTH(auth)},
    {0},
};
#undef PARAM_STRUCT

enum { MODES = HTTP_AUTH_BASIC | HTTP_AUTH_BEARER | HTTP_AUTH_TLS };

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* tcp:// and ssl:// are the older names. Asked in the order of the alphabet, as the original does. */
static void split_endpoints(struct arangodb *c, struct arena *arena)
{
    size_t count = 1;

    for (const char *s = c->endpoints; *s; s++)
        count += *s == ',';
    c->urls = arena_array(arena, count, sizeof(*c->urls));
    for (const char *s = c->endpoints, *end; s; s = *end ? end + 1 : NULL) {
        const char *rest = s, *scheme = "";

        end = s + strcspn(s, ",");
        if (string_starts(s, "tcp://") || string_starts(s, "ssl://")) {
            scheme = *s == 't' ? "http://" : "https://";
            rest = s + strlen("tcp://");
        }
        c->urls[c->url_count++] = arena_printf(arena, "%s%.*s", scheme, (int)(end - rest), rest);
    }
    qsort(c->urls, c->url_count, sizeof(*c->urls), by_text);
}

static bool sign_token(struct arangodb *c, struct trigger_check *check)
{
    struct arena *arena = arena_new(ARENA_SMALL);
    struct text claims;
    const char *token;
    struct error err;
    bool good;

    text_init(&claims, QUERY_MAX_BYTES);
    text_add(&claims, "{\"iss\":\"arangodb\",\"server_id\":");
    text_add_json_string(&claims, c->server_id, strlen(c->server_id));
    text_add(&claims, "}");
    good = jwt_sign_hs256(arena, c->auth->bearer, claims.bytes, &token, &err);
    if (good)
        c->token = secret_new(token, strlen(token));
    else
        check_error(check, "serverID", "check bearerToken", "%s", err.text);
    text_done(&claims);
    arena_free(arena);
    return good;
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct arangodb *c = config;
    bool good = true;

    if (c->endpoints)
        split_endpoints(c, check_arena(check));
    if (c->common.target == 0 && !check_input(check)->as_metric_source)
        good = check_error(check, "queryValue", "write the value one replica should carry",
                           "queryValue has to be given, and not 0");
    if (c->server_id && c->auth && c->auth->modes & HTTP_AUTH_BEARER && c->auth->bearer)
        good = sign_token(c, check) && good;
    return good;
}

static void release(void *config)
{
    secret_unref(((struct arangodb *)config)->token);
}

static void destinations(const void *config, struct destinations *out)
{
    const struct arangodb *c = config;

    for (size_t i = 0; i < c->url_count; i++)
        destinations_add_url(out, c->urls[i]);
}

/* ------------------------------------------------------------------ the three questions */

static const char *path_of(const struct arangodb *c, struct poll *poll, const char *what)
{
    return arena_printf(poll_arena(poll), "/_db/%s/_api/%s", path_part(poll_arena(poll), c->database), what);
}

static struct request *sign(const struct arangodb *c, struct request *request)
{
    if (c->token)
        request_header_secret(request, "Authorization", "bearer ", c->token);
    request_sign(request, c->auth, c->token ? HTTP_AUTH_TLS : MODES, false, c->unsafe);
    return request;
}

static struct request *ask_database(const void *config, struct poll *poll, size_t node)
{
    const struct arangodb *c = config;

    return sign(c, request_get(poll, c->urls[node], path_of(c, poll, "database/current")));
}

static struct request *ask_collection(const void *config, struct poll *poll, size_t node)
{
    const struct arangodb *c = config;
    const char *name = path_part(poll_arena(poll), c->collection);

    return sign(
        c, request_get(poll, c->urls[node], path_of(c, poll, arena_printf(poll_arena(poll), "collection/%s", name))));
}

static struct request *ask_cursor(const void *config, struct poll *poll, size_t node)
{
    const struct arangodb *c = config;
    const struct walk *walk = poll_scratch(poll);
    struct request *request = request_post(poll, c->urls[node], path_of(c, poll, "cursor"));

    request_body(request, "application/json", walk->body, strlen(walk->body));
    request_status(request, 201, 201);
    return sign(c, request);
}

static enum poll_next failed(struct poll *poll, const struct reply *reply, const char *what, const char *name)
{
    if (reply->status == 404)
        return poll_fail(poll, ERROR_NONSENSE, "there is no %s %.100s", what, name);
    return poll_fail_with(poll, &reply->error);
}

static enum poll_next read_value(struct poll *poll, const struct tree *document)
{
    const struct tree *value = tree_get_fold(document, "value");
    double number;

    if (!document || document->type == TREE_NULL ||
        (document->type == TREE_MAP && (!value || value->type == TREE_NULL)))
        return poll_missing(poll, SWITCH_UNSET, "the document has no value; write RETURN {\"value\": ...}");
    if (document->type != TREE_MAP)
        return poll_fail(poll, ERROR_NONSENSE, "the query returns %s, not a document; write RETURN {\"value\": ...}",
                         tree_type_name(document->type));
    if (value->type != TREE_NUMBER || !tree_number(value, &number))
        return poll_fail(poll, ERROR_NONSENSE, "the document's value is not a number");
    return poll_value(poll, number);
}

static enum poll_next on_cursor(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct tree *result = tree_get_fold(reply->json, "result");
    int64_t count = 0;

    (void)config;
    if (reply->failed)
        return poll_fail_with(poll, &reply->error);
    tree_integer(tree_get_fold(reply->json, "count"), &count);
    if (count != 1 || !result || result->type != TREE_LIST || tree_count(result) != 1)
        return poll_fail(poll, ERROR_NONSENSE, "the query returns %lld documents; it has to be one", (long long)count);
    return read_value(poll, tree_index(result, 0));
}

static enum poll_next on_collection(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct arangodb *c = config;
    struct walk *walk = poll_scratch(poll);
    struct text body;

    if (reply->failed)
        return failed(poll, reply, "collection", c->collection);
    text_init(&body, QUERY_MAX_BYTES);
    text_add(&body, "{\"query\":");
    text_add_json_string(&body, c->query, strlen(c->query));
    text_printf(&body, ",\"count\":true,\"batchSize\":%d,\"ttl\":%d}", BATCH_ROWS, CURSOR_LIFE_S);
    walk->body = arena_copy(poll_arena(poll), body.bytes);
    text_done(&body);
    return nodes_send(c, poll, c->url_count, ask_cursor, on_cursor);
}

static enum poll_next on_database(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct arangodb *c = config;

    if (reply->failed)
        return failed(poll, reply, "database", c->database);
    return nodes_send(c, poll, c->url_count, ask_collection, on_collection);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct arangodb *c = config;

    (void)none; /* nothing was asked yet */
    return nodes_send(c, poll, c->url_count, ask_database, on_database);
}

TRIGGER(arangodb) = {
    .type = "arangodb",
    .summary = "the number in the document that an AQL query returns",
    .about = "The query has to return one document whose value is a number. A document without a value is missing, and "
             "counts as 0 when "
             "the hold is over; no document, several, or a bare number are failures, as are a database or collection "
             "that do not exist.",
    .example =
        "metadata:\n"
        "  endpoints: http://arangodb.shop.svc:8529\n"
        "  dbName: shop\n"
        "  collection: jobs\n"
        "  query: 'FOR j IN jobs FILTER j.state == \"waiting\" COLLECT WITH COUNT INTO n RETURN {\"value\": n}'\n"
        "  queryValue: \"10\"\n"
        "  authModes: basic\n"
        "authentication:\n"
        "  username: weir\n"
        "  password: s3cret\n",
    .locally = "docker run -p 127.0.0.1:8529:8529 -e ARANGO_ROOT_PASSWORD=s3cret arangodb:3.12\n"
               "curl -u root:s3cret http://127.0.0.1:8529/_db/_system/_api/collection -d '{\"name\": \"jobs\"}'\n",
    .metric = "arangodb",
    .params = params,
    .config_size = sizeof(struct arangodb),
    .memory_size = sizeof(struct nodes_memory),
    .scratch_size = sizeof(struct walk),
    .prepare = prepare,
    .release = release,
    .destinations = destinations,
    .poll = ask,
};
