/*
 * clickhouse_http: a query over ClickHouse's HTTP interface. See clickhouse.h.
 *
 *     POST /?database=... -> on_json -> value
 */
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/sql.h"
#include "trigger/family/clickhouse.h"

/* {"meta":[{"name","type"}],"data":[["12"]]}: whole numbers of 64 bits come as texts. */
static enum poll_next on_json(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct tree *meta = tree_get(reply->json, "meta"), *data = tree_get(reply->json, "data");
    const struct tree *cell = tree_index(tree_index(data, 0), 0);
    struct sql_answer answer = {.columns = tree_count(meta), .row = tree_count(data) > 0};

    (void)config;
    if (!meta || !data)
        return poll_fail(poll, ERROR_NONSENSE, "the answer is not one of ClickHouse's (a FORMAT in the query?)");
    if (cell && cell->type != TREE_NULL) {
        answer.text = cell->type == TREE_NUMBER || cell->type == TREE_STRING ? cell->text : "";
        answer.length = cell->type == TREE_NUMBER || cell->type == TREE_STRING ? cell->length : 0;
    }
    return sql_end(poll, &answer, SQL_EMPTY_MISSING);
}

enum poll_next clickhouse_http_ask(const struct clickhouse *c, struct poll *poll,
                                   const struct clickhouse_server *server)
{
    struct http_auth *auth = arena_alloc(poll_arena(poll), sizeof(*auth));
    struct secret *password = secret_new(server->password, strlen(server->password));
    const char *path = dsn_option(&server->dsn, "http_path");
    char host[DSN_HOST_BYTES] = "";
    struct request *r;
    size_t at = 0;
    int port = 0;

    clickhouse_host(c, server, host, &port);
    r = request_post(poll,
                     arena_printf(poll_arena(poll), strchr(host, ':') ? "%s://[%s]:%d" : "%s://%s:%d",
                                  server->dsn.scheme, host, port),
                     arena_printf(poll_arena(poll), "%s%s", path && *path == '/' ? "" : "/", path ? path : ""));
    request_query(r, "database", server->database);
    request_query(r, "default_format", "JSONCompact");
    for (const struct dsn_option *option; (option = clickhouse_setting(server, &at));)
        request_query(r, option->key, option->value);
    request_body(r, "text/plain", c->query, strlen(c->query));
    request_timeout(r, CLICKHOUSE_TIMEOUT_MS);
    *auth = (struct http_auth){.username = server->user,
                               .password = password,
                               .ca = c->ca,
                               .certificate = c->certificate,
                               .key = c->key,
                               .key_password = c->key_password,
                               .modes = HTTP_AUTH_BASIC | (c->certificate && c->key ? HTTP_AUTH_TLS : 0)};
    request_sign(r, auth, auth->modes, false, server->unsafe);
    auth->username = NULL; /* lives no longer than the connection string; both are in the signature now */
    auth->password = NULL;
    secret_unref(password);
    return poll_send(poll, r, on_json);
}
