/*
 * splunk: one field of the first result of a saved search. Facts: triggers/splunk.md.
 *
 * The answer is a JSON object for each result, one after the other; only the first one is read. The search is sent as a form has it, so
 * that names may hold any character; a name with blanks is to be put in quotes, for it becomes part of a search.
 */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/form.h"
#include "trigger/common/path.h"
#include "trigger/driver.h"

struct splunk {
    struct trigger_config common;
    const char *host, *search, *field, *username;
    const struct secret *token, *password;
    bool unsafe;
};

#define PARAM_STRUCT struct splunk
static const struct param params[] = {
    {"host", PARAM_URL(host), .required = true, .help = "management API, such as https://splunk:8089"},
    {"unsafeSsl", PARAM_BOOL(unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {"savedSearchName", PARAM_TEXT(search), .required = true, .help = "in quotes if it has blanks"},
    {"valueField", PARAM_TEXT(field), .required = true, .help = "of the first result"},
    {"targetValue", PARAM_WHOLE(common.target), .role = ROLE_TARGET, .required = true,
     .help = "value one replica should carry"},
    {"activationValue", PARAM_WHOLE(common.activation), .role = ROLE_ACTIVATION, .required = true,
     .help = "active from the next whole number on"},
    {"username", PARAM_TEXT(username), .from = "A", .required = true, .help = "whose search it is"},
    {"apiToken", PARAM_SECRET(token), .from = "A", .help = "or password"},
    {"password", PARAM_SECRET(password), .from = "A", .help = "or apiToken"},
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    const struct splunk *c = config;

    if (c->token && c->password)
        return check_error(check, "apiToken", "leave out one of the two", "apiToken and password exclude each other");
    return true;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct splunk *c = config;

    (void)input;
    text_printf(out, "splunk-%s", c->search);
}

/* The value is cut to a whole number before it is compared: 10.9 is not above 10. */
static void target(const void *config, struct trigger_metric *metric)
{
    const struct splunk *c = config;

    if (c->common.activation >= 0)
        metric->activation = nextafter(metric->activation + 1, 0);
}

static enum poll_next on_answer(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct splunk *c = config;
    const struct tree *field;
    struct tree *first;
    struct error err;
    double value;

    if (!tree_read_json(reply->body, reply->length, true, poll_arena(poll), &first, &err))
        return poll_fail(poll, ERROR_NONSENSE, "the answer is not JSON: %s",
                         reply->length > 0 ? err.text : "it is empty");
    field = tree_get(tree_get_fold(first, "result"), c->field);
    if (!field)
        return poll_fail(poll, ERROR_NONSENSE, "the search gave no result with a field %.100s", c->field);
    if (field->type != TREE_STRING || !tree_number(field, &value))
        return poll_fail(poll, ERROR_NONSENSE, "field %.100s of the first result is not the text of a number",
                         c->field);
    return poll_value(poll, value);
}

static const char *form(const struct splunk *c, struct poll *poll)
{
    struct text out;
    const char *body;

    text_init(&out, REQUEST_BODY_MAX_BYTES);
    text_add(&out, "search=");
    form_add(&out, arena_printf(poll_arena(poll), "savedsearch %s", c->search));
    body = out.overflowed ? NULL : arena_copy(poll_arena(poll), out.bytes);
    text_done(&out);
    return body;
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct splunk *c = config;
    struct http_auth auth = {.username = c->username,
                             .password = c->password,
                             .bearer = c->token,
                             .modes = c->token ? HTTP_AUTH_BEARER : HTTP_AUTH_BASIC};
    struct request *r = request_post(poll, c->host,
                                     arena_printf(poll_arena(poll), "/servicesNS/%s/search/search/jobs/export",
                                                  path_part(poll_arena(poll), c->username)));
    const char *body = form(c, poll);

    (void)none;
    if (!body)
        return poll_fail(poll, ERROR_LIMIT, "savedSearchName is longer than REQUEST_BODY_MAX_BYTES");
    request_query(r, "output_mode", "json");
    request_body(r, "application/x-www-form-urlencoded", body, strlen(body));
    request_raw(r);
    request_sign(r, &auth, HTTP_AUTH_BASIC | HTTP_AUTH_BEARER, true, c->unsafe);
    return poll_send(poll, r, on_answer);
}

TRIGGER(splunk) = {
    .type = "splunk",
    .summary = "a field of the first result of a Splunk saved search",
    .about = "The value is the field `valueField` of the first result. A search without results, a field that is not "
             "there, or is not a "
             "number, is a failure. For activation the fraction is cut: 10.9 is not above 10.",
    .example = "triggers:\n"
               "  - type: splunk\n"
               "    metadata:\n"
               "      host: https://splunk:8089\n"
               "      savedSearchName: waiting_jobs\n"
               "      valueField: count\n"
               "      targetValue: \"10\"\n"
               "      activationValue: \"0\"\n"
               "    authenticationRef:\n"
               "      name: splunk\n"
               "---\n"
               "kind: TriggerAuthentication\n"
               "metadata:\n"
               "  name: splunk\n"
               "spec:\n"
               "  secretTargetRef:\n"
               "    - {parameter: username, name: splunk, key: username}\n"
               "    - {parameter: apiToken, name: splunk, key: token}\n",
    .locally =
        "docker run -p 127.0.0.1:8089:8089 -e SPLUNK_START_ARGS=--accept-license -e SPLUNK_PASSWORD=changeme1 "
        "splunk/splunk\n"
        "curl -k -u admin:changeme1 https://127.0.0.1:8089/servicesNS/admin/search/saved/searches -d name=waiting_jobs "
        "--data-urlencode 'search=| makeresults count=3 | stats count'\n"
        "weir probe scaledobject.yaml   # with unsafeSsl: \"true\"\n",
    .params = params,
    .config_size = sizeof(struct splunk),
    .prepare = prepare,
    .metric_name = metric_name,
    .target = target,
    .poll = ask,
};
