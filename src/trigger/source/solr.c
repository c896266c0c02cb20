/*
 * solr: how many documents a query finds. Facts: triggers/solr.md. Only the number is asked for (rows=0); an answer without it is a
 * failure here, where KEDA has 0.
 */
#include <string.h>

#include "base/arena.h"
#include "base/tree.h"
#include "trigger/common/path.h"
#include "trigger/driver.h"

struct solr {
    struct trigger_config common;
    const char *host, *collection, *query, *username;
    const struct secret *password;
};

#define PARAM_STRUCT struct solr
static const struct param params[] = {
    {"host", PARAM_URL(host), .required = true, .help = "such as http://solr:8983"},
    {"collection", PARAM_TEXT(collection), .required = true, .help = "or core"},
    {"targetQueryValue", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .required = true,
     .help = "documents for one replica"},
    {"activationTargetQueryValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"query", PARAM_TEXT(query), .fallback = "*:*", .help = "what is counted"},
    {"username", PARAM_TEXT(username), .from = "AM", .required = true, .help = "also for a server that asks for none"},
    {"password", PARAM_SECRET(password), .from = "AM", .required = true, .help = "likewise"},
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    const struct solr *c = config;

    if (c->common.target == 0 && !check_input(check)->as_metric_source)
        return check_error(check, "targetQueryValue", "write the documents one replica should carry",
                           "targetQueryValue has to be given, and not 0");
    return true;
}

static enum poll_next on_answer(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct tree *found = tree_get_fold(tree_get_fold(reply->json, "response"), "numFound");
    int64_t count;

    (void)config;
    if (!tree_integer(found, &count))
        return poll_fail(poll, ERROR_NONSENSE, "the answer has no response.numFound: is this Solr's address?");
    return poll_value(poll, (double)count);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct solr *c = config;
    struct http_auth auth = {.username = c->username, .password = c->password, .modes = HTTP_AUTH_BASIC};
    struct request *r = request_get(
        poll, c->host, arena_printf(poll_arena(poll), "/solr/%s/select", path_tidy(poll_arena(poll), c->collection)));

    (void)none;
    request_query(r, "q", c->query);
    request_query(r, "wt", "json");
    request_query(r, "rows", "0");
    request_status(r, 200, 200);
    request_sign(r, &auth, HTTP_AUTH_BASIC, true, false);
    return poll_send(poll, r, on_answer);
}

TRIGGER(solr) = {
    .type = "solr",
    .summary = "the number of documents a Solr query finds",
    .about = "The value is `numFound` of the query. A collection that does not exist, a query that cannot be read and "
             "wrong credentials "
             "are failures.",
    .example = "triggers:\n"
               "  - type: solr\n"
               "    metadata:\n"
               "      host: http://solr:8983\n"
               "      collection: jobs\n"
               "      query: state:waiting\n"
               "      targetQueryValue: \"10\"\n"
               "    authenticationRef:\n"
               "      name: solr\n"
               "---\n"
               "kind: TriggerAuthentication\n"
               "metadata:\n"
               "  name: solr\n"
               "spec:\n"
               "  secretTargetRef:\n"
               "    - {parameter: username, name: solr, key: username}\n"
               "    - {parameter: password, name: solr, key: password}\n",
    .locally = "docker run -p 127.0.0.1:8983:8983 solr:9 solr-precreate jobs\n"
               "curl -H 'Content-Type: application/json' 'http://127.0.0.1:8983/solr/jobs/update?commit=true' -d "
               "'[{\"id\":\"1\",\"state\":\"waiting\"}]'\n"
               "weir probe scaledobject.yaml   # any username and password will do here\n",
    .metric = "solr",
    .params = params,
    .config_size = sizeof(struct solr),
    .prepare = prepare,
    .poll = ask,
};
