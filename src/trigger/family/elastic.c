/*
 * elastic: the nodes of a search cluster. Facts: triggers/elasticsearch.md, opensearch.md.
 *
 * There is no check of the product before the first question: whoever answers a search with the number asked for will do.
 */
#include "trigger/family/elastic.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/gjson.h"
#include "trigger/trigger_internal.h"

enum { CLOUD_ID_MAX_BYTES = 1024 /* a real one has about 150 */ };

/* ------------------------------------------------------------------ parameters */

/* NAME:base64 of HOST$UUID[$KIBANA] is https://UUID.HOST. */
static const char *decode_cloud_id(struct arena *arena, const char *id)
{
    const char *encoded = strchr(id, ':');
    size_t length = encoded ? strlen(++encoded) : 0;
    char *plain, *uuid;

    if (length == 0 || length > CLOUD_ID_MAX_BYTES || length % 4 != 0 || strchr(encoded, ':'))
        return NULL;
    plain = arena_alloc(arena, length + 1);
    if (EVP_DecodeBlock((unsigned char *)plain, (const unsigned char *)encoded, (int)length) < 0)
        return NULL;
    uuid = strchr(plain, '$');
    if (!uuid || uuid == plain)
        return NULL;
    *uuid++ = '\0';
    uuid[strcspn(uuid, "$")] = '\0';
    return *uuid ? arena_printf(arena, "https://%s.%s", uuid, plain) : NULL;
}

static bool check_cloud(struct elastic *c, struct trigger_check *check)
{
    if (c->addresses || c->username || c->password)
        return check_error(check, c->addresses ? "addresses" : "cloudID", "leave out one of the two",
                           "cloudID and apiKey exclude addresses, username and password");
    if ((!c->cloud_id && !check_unknown(check, "cloudID")) || (!c->api_key && !check_unknown(check, "apiKey")))
        return check_error(check, c->cloud_id ? "apiKey" : "cloudID", "give both", "cloudID and apiKey go together");
    c->cloud_url = c->cloud_id ? decode_cloud_id(check_arena(check), c->cloud_id) : NULL;
    if (c->cloud_id && !c->cloud_url)
        return check_error(check, "cloudID", "copy it from the cloud's console", "this is no cloud ID");
    return true;
}

bool elastic_check(struct elastic *c, struct trigger_check *check)
{
    if (c->cloud_id || c->api_key)
        return check_cloud(c, check);
    if (!c->addresses && !check_unknown(check, "addresses") && !check_unknown(check, "cloudID"))
        return check_error(check, "addresses", "write addresses: http://elasticsearch:9200, or a cloudID",
                           "there is neither an address nor a cloudID");
    if ((!c->username && !check_unknown(check, "username")) || (!c->password && !check_unknown(check, "password")))
        return check_error(check, c->username ? "password" : "username",
                           "give both, best in a Secret that a TriggerAuthentication names",
                           "addresses need a username and a password");
    return true;
}

static size_t node_count(const struct elastic *c)
{
    return c->addresses ? c->addresses->count : 1;
}

static const char *node_url(const struct elastic *c, size_t node)
{
    return c->addresses ? c->addresses->items[node % c->addresses->count] : c->cloud_url;
}

void elastic_destinations(const struct elastic *c, struct destinations *out)
{
    for (size_t i = 0; i < node_count(c) && (c->addresses || c->cloud_url); i++)
        destinations_add_url(out, node_url(c, i));
}

/* ------------------------------------------------------------------ asking */

/* A name and password in an address count for that node alone. */
static bool signs_itself(const char *url)
{
    const char *host = strstr(url, "://");

    return host && memchr(host + 3, '@', strcspn(host + 3, "/?#")) != NULL;
}

static void sign(struct request *request, const struct elastic *c, const char *url)
{
    struct http_auth auth = {.username = c->username,
                             .password = c->password,
                             .ca = c->ca,
                             .certificate = c->certificate,
                             .key = c->key,
                             .modes = c->by_certificate ? HTTP_AUTH_TLS : 0};

    if (!c->by_certificate && c->username && !signs_itself(url))
        auth.modes |= HTTP_AUTH_BASIC;
    request_sign(request, &auth, HTTP_AUTH_BASIC | HTTP_AUTH_TLS, false, c->unsafe);
    if (c->api_key)
        request_header_secret(request, "Authorization", "APIKey ", c->api_key);
}

static struct request *ask_node(const void *config, struct poll *poll, size_t node)
{
    const struct elastic_walk *walk = poll_scratch(poll);
    const char *url = node_url(walk->cluster, node);
    struct request *request = request_post(poll, url, walk->path);

    (void)config;
    request_body(request, "application/json", walk->body, strlen(walk->body));
    sign(request, walk->cluster, url);
    return request;
}

static enum poll_next on_node(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct elastic_walk *walk = poll_scratch(poll);

    if (reply->failed && !walk->failures_too)
        return poll_fail_with(poll, &reply->error);
    return walk->then(config, poll, reply);
}

static enum poll_next begin(struct poll *poll, const struct elastic_walk *first)
{
    struct elastic_walk *walk = poll_scratch(poll);

    *walk = *first;
    return nodes_send(poll->config, poll, node_count(walk->cluster), ask_node, on_node);
}

enum poll_next elastic_send(struct poll *poll, const struct elastic *cluster, const char *path, const char *body,
                            poll_step *then)
{
    return begin(poll, &(struct elastic_walk){.cluster = cluster, .path = path, .body = body, .then = then});
}

enum poll_next elastic_try(struct poll *poll, const struct elastic *cluster, const char *path, const char *body,
                           poll_step *then)
{
    return begin(poll, &(struct elastic_walk){
                           .cluster = cluster, .path = path, .body = body, .then = then, .failures_too = true});
}

/* ------------------------------------------------------------------ the number */

enum poll_next elastic_value(struct poll *poll, const struct tree *answer, const char *location, enum param_switch said)
{
    const struct tree *node = gjson_get(answer, location, poll_arena(poll));
    double value;

    if (!node || node->type == TREE_NULL)
        return poll_missing(poll, said, "the answer has %s at %.100s", node ? "null" : "nothing", location);
    if (node->type != TREE_NUMBER && node->type != TREE_STRING)
        return poll_fail(poll, ERROR_NONSENSE, "%.100s leads to %s, not to a number", location,
                         tree_type_name(node->type));
    if (!tree_number(node, &value))
        return poll_fail(poll, ERROR_NONSENSE, "%.100s leads to %s that is not a number", location,
                         tree_type_name(node->type));
    return poll_value(poll, value);
}
