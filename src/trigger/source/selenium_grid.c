/*
 * selenium-grid: how many nodes of one kind of browser a Selenium Grid 4 needs: those for requests that wait in its queue and
 * that no node there could take, and one for each session that runs. Facts: triggers/selenium-grid.md.
 *
 * The grid tells capabilities as JSON within JSON. Each is read once; what cannot be read matches nothing. A request is given
 * a free place of a node that could take it, else one of a node to be added (with nodeMaxSessions places).
 */
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/driver.h"
#include "trigger/family/selenium_platform.h"

enum {
    PLACES_MAX = 1000 * 1000,      /* of one node: more is a mistake, and their sum must stay a number */
    CAPABILITIES_MAX_BYTES = 4096, /* they are looked for in each request and node; real ones have some hundred bytes */
};

struct grid {
    struct trigger_config common;
    const char *url, *auth_type, *username, *browser, *session_browser, *version, *platform, *capabilities;
    const struct secret *password, *access_token;
    const struct tree *extras; /* capabilities, read; in the trigger's arena; NULL: none */
    int64_t places;            /* of a node to be added */
    bool unsafe, downloads;
};

#define PARAM_STRUCT struct grid
static const struct param params[] = {
    {"url", PARAM_URL(url), .from = "AM", .required = true,
     .help = "GraphQL address of the grid, such as http://selenium-hub:4444/graphql"},
    {"authType", PARAM_TEXT(auth_type), .from = "AE",
     .help = "Basic, or what goes before accessToken (Bearer, OAuth2)"},
    {"username", PARAM_TEXT(username), .from = "AE", .help = "for Basic"},
    {"password", PARAM_SECRET(password), .from = "AE", .help = "for Basic"},
    {"accessToken", PARAM_SECRET(access_token), .from = "AE", .help = "for any other authType"},
    {"browserName", PARAM_TEXT(browser), .help = "as clients ask for it: chrome, firefox, MicrosoftEdge"},
    {"sessionBrowserName", PARAM_TEXT(session_browser),
     .help = "as a node calls it (msedge), where it differs from browserName"},
    {"browserVersion", PARAM_TEXT(version), .help = "where clients ask for one"},
    {"platformName", PARAM_TEXT(platform), .help = "where clients ask for one: linux, Windows 11"},
    {"activationThreshold", PARAM_WHOLE(common.activation), .role = ROLE_ACTIVATION,
     .help = "above it the object is active; 0 unless given"},
    {"unsafeSsl", PARAM_BOOL(unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {"nodeMaxSessions", PARAM_INTEGER(places), .fallback = "1", .help = "sessions one node can take"},
    {"enableManagedDownloads", PARAM_BOOL(downloads), .fallback = "true",
     .help = "the nodes have SE_NODE_ENABLE_MANAGED_DOWNLOADS"},
    {"capabilities", PARAM_TEXT(capabilities), .help = "others that a request has to have, a JSON object"},
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    struct grid *c = config;
    struct tree *extras;

    if (!c->session_browser)
        c->session_browser = c->browser;
    if (!c->capabilities)
        return true;
    if (strlen(c->capabilities) > CAPABILITIES_MAX_BYTES)
        return check_error(check, "capabilities", "name those that tell your nodes from others",
                           "capabilities is longer than %d bytes", CAPABILITIES_MAX_BYTES);
    if (tree_read_json(c->capabilities, strlen(c->capabilities), false, check_arena(check), &extras, NULL) &&
        extras->type == TREE_MAP)
        c->extras = extras;
    else
        check_warning(check, "capabilities", "write an object like {\"myApp:version\": \"beta\"}",
                      "capabilities is no JSON object, and has no effect");
    return true;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct grid *c = config;

    (void)input;
    text_add(out, "selenium-grid");
    text_printf(out, "%s%s", c->browser ? "-" : "", c->browser ? c->browser : "");
    text_printf(out, "%s%s", c->version ? "-" : "", c->version ? c->version : "");
    text_printf(out, "%s%s", c->platform ? "-" : "", c->platform ? c->platform : "");
}

static void target(const void *config, struct trigger_metric *metric)
{
    (void)config;
    metric->target = 1; /* the value is a number of nodes already */
}

/* ------------------------------------------------------------------ does it match? */

static const char *word(const struct tree *capabilities, const char *name)
{
    const char *text = tree_string(tree_get(capabilities, name));

    return text ? text : "";
}

static const char *given(const char *text)
{
    return text ? text : "";
}

/* As deep as the reader lets them be (TREE_DEPTH_MAX). */
static bool equal(const struct tree *a, const struct tree *b)
{
    double one = 0, other = 0;

    if (!a || !b || a->type != b->type || tree_count(a) != tree_count(b))
        return false;
    switch (a->type) {
    case TREE_NULL:
        return true;
    case TREE_BOOL:
        return a->boolean == b->boolean;
    case TREE_NUMBER:
        return tree_number(a, &one) && tree_number(b, &other) && one == other;
    case TREE_STRING:
        return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
    case TREE_LIST:
        for (const struct tree *x = a->first, *y = b->first; x && y; x = x->next, y = y->next)
            if (!equal(x, y))
                return false;
        return true;
    case TREE_MAP:
        for (const struct tree *x = a->first; x; x = x->next)
            if (!equal(x, tree_get(b, x->key)))
                return false;
        return true;
    }
    return false;
}

/* Of a browser's own, and of the grid's own: they choose no node. */
static bool is_private(const char *name)
{
    return string_starts(name, "goog:") || string_starts(name, "moz:") || string_starts(name, "ms:") ||
           string_starts(name, "se:");
}

static bool extras_match(const struct grid *c, const struct tree *x)
{
    for (const struct tree *extra = c->extras ? c->extras->first : NULL; extra; extra = extra->next)
        if (!is_private(extra->key) && !equal(extra, tree_get(x, extra->key)))
            return false;
    return true;
}

static bool downloads_match(const struct grid *c, const struct tree *x)
{
    bool wanted = false, own = false;

    if (!tree_bool(tree_get(x, "se:downloadsEnabled"), &wanted) || !wanted)
        return true;
    return c->downloads || (tree_bool(tree_get(c->extras, "se:downloadsEnabled"), &own) && own);
}

static bool matches(const struct grid *c, const struct tree *x, bool of_node)
{
    const char *browser = word(x, "browserName"), *version = word(x, "browserVersion");

    if (!x || x->type != TREE_MAP)
        return false;
    if (strcasecmp(browser, given(c->browser)) != 0 &&
        (!of_node || strcasecmp(browser, given(c->session_browser)) != 0))
        return false;
    if (*given(c->version) ? !*version || !string_starts(c->version, version) : *version != '\0')
        return false;
    return selenium_platforms_match(given(c->platform), word(x, "platformName")) && downloads_match(c, x) &&
           extras_match(c, x);
}

/* ------------------------------------------------------------------ the grid */

/* What the answer comes to. Requests are all alike for us, so it is enough to know how many there are and how many places. */
struct tally {
    int64_t places;   /* free ones, of nodes that could take a request */
    int64_t sessions; /* that run, of the kind we look for */
    int64_t requests; /* that wait, likewise */
};

static const struct tree *inner(struct poll *poll, const struct tree *text)
{
    struct tree *json;

    if (!tree_string(text) || !tree_read_json(text->text, text->length, false, poll_arena(poll), &json, NULL))
        return NULL;
    return json;
}

static int64_t whole(const struct tree *number)
{
    int64_t value = 0;

    return tree_integer(number, &value) && value > 0 ? (value < PLACES_MAX ? value : PLACES_MAX) : 0;
}

/* A node that is up takes requests while it runs fewer sessions of their kind than it has places for it; how many more, is said by its
   places of any kind. */
static void add_node(const struct grid *c, struct poll *poll, const struct tree *node, struct tally *tally)
{
    const struct tree *stereotypes = inner(poll, tree_get_fold(node, "stereotypes"));
    const struct tree *sessions = tree_get_fold(node, "sessions");
    const char *status = tree_string(tree_get_fold(node, "status"));
    int64_t left = whole(tree_get_fold(node, "maxSession")) - whole(tree_get_fold(node, "sessionCount"));
    int64_t places = 0, running = 0;

    for (const struct tree *s = stereotypes ? stereotypes->first : NULL; s; s = s->next)
        if (matches(c, tree_get_fold(s, "stereotype"), true))
            places += whole(tree_get_fold(s, "slots"));
    for (const struct tree *s = sessions ? sessions->first : NULL; s; s = s->next)
        running += matches(c, inner(poll, tree_get_fold(tree_get_fold(s, "slot"), "stereotype")), true);
    tally->sessions += running;
    if (status && strcasecmp(status, "UP") == 0 && left > 0 && places > running)
        tally->places += left;
}

/* All of a new node's places are filled before the next one is added. */
static int64_t nodes_needed(const struct grid *c, const struct tally *tally)
{
    int64_t left_over = tally->requests > tally->places ? tally->requests - tally->places : 0;
    int64_t places = c->places > 1 ? c->places : 1;

    return left_over / places + (left_over % places != 0) + tally->sessions;
}

static enum poll_next on_answer(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct grid *c = config;
    const struct tree *data = tree_get_fold(reply->json, "data");
    const struct tree *nodes = tree_get_fold(tree_get_fold(data, "nodesInfo"), "nodes");
    const struct tree *requests = tree_get_fold(tree_get_fold(data, "sessionsInfo"), "sessionQueueRequests");
    const char *why = tree_string(tree_get_fold(tree_index(tree_get_fold(reply->json, "errors"), 0), "message"));
    struct tally tally = {.places = 0};

    if (!data || data->type != TREE_MAP)
        return poll_fail(poll, ERROR_NONSENSE, "the grid answered without data%s%.200s", why ? ": " : "", given(why));
    if (!nodes || nodes->type != TREE_LIST || !requests || requests->type != TREE_LIST)
        return poll_fail(poll, ERROR_NONSENSE, "the grid answered without a list of its %s%s%.200s",
                         nodes && nodes->type == TREE_LIST ? "requests" : "nodes", why ? ": " : "", given(why));
    for (const struct tree *node = nodes->first; node; node = node->next)
        add_node(c, poll, node, &tally);
    for (const struct tree *request = requests->first; request; request = request->next)
        tally.requests += matches(c, inner(poll, request), false);
    return poll_value(poll, (double)nodes_needed(c, &tally));
}

static void sign(struct request *r, const struct grid *c, struct poll *poll)
{
    bool basic = !c->auth_type || strcasecmp(c->auth_type, "basic") == 0;
    struct http_auth auth = {.username = c->username, .password = c->password};

    if (basic && c->username && c->password)
        auth.modes = HTTP_AUTH_BASIC;
    request_sign(r, &auth, HTTP_AUTH_BASIC, true, c->unsafe);
    if (!auth.modes && c->access_token && (!basic || !c->auth_type))
        request_header_secret(r, "Authorization",
                              c->auth_type ? arena_printf(poll_arena(poll), "%s ", c->auth_type) : "", c->access_token);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    static const char question[] =
        "{\"query\":\"{ grid { sessionCount, maxSession, totalSlots }, nodesInfo { nodes { id, status, sessionCount, "
        "maxSession, slotCount, stereotypes, sessions { id, capabilities, slot { id, stereotype } } } }, sessionsInfo "
        "{ "
        "sessionQueueRequests } }\"}";
    const struct grid *c = config;
    struct request *r = request_post(poll, c->url, "");

    (void)none;
    request_body(r, "application/json", question, strlen(question));
    request_status(r, 200, 200);
    sign(r, c, poll);
    return poll_send(poll, r, on_answer);
}

TRIGGER(selenium_grid) = {
    .type = "selenium-grid",
    .summary = "nodes that a Selenium Grid needs for one kind of browser",
    .about = "The value is a number of nodes: those that waiting requests need beyond what idle nodes can take, and "
             "one for each "
             "session that runs. A request counts when its browser, version, platform and capabilities are those given "
             "here; a "
             "version that is given never fits a request without one. The target is always 1.",
    .example = "triggers:\n"
               "  - type: selenium-grid\n"
               "    metadata:\n"
               "      url: http://selenium-hub:4444/graphql\n"
               "      browserName: chrome\n"
               "      platformName: linux\n",
    .locally = "docker run -p 127.0.0.1:4444:4444 selenium/hub:4.25.0\n"
               "# a session that waits: the hub has no node\n"
               "curl -m 5 -X POST http://127.0.0.1:4444/session -d "
               "'{\"capabilities\":{\"alwaysMatch\":{\"browserName\":\"chrome\",\"platformName\":\"linux\"}}}' &\n"
               "weir probe scaledobject.yaml\n",
    .params = params,
    .config_size = sizeof(struct grid),
    .prepare = prepare,
    .metric_name = metric_name,
    .target = target,
    .poll = ask,
};
