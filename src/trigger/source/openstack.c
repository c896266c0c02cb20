/*
 * openstack-metric, openstack-swift: the last measure of a Gnocchi metric, and how many objects a container of the object store
 * holds. Signing in is keystone.c's. Facts: triggers/openstack-metric.md, openstack-swift.md.
 *
 * Of a container KEDA reads the total alone. The filters that its documentation promises work here: with one of them the names are listed,
 * page after page, and counted. A metric without measures is `missing`, where KEDA has 0.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "trigger/common/path.h"
#include "trigger/driver.h"
#include "trigger/family/keystone.h"
#include "trigger/trigger_internal.h"

enum { NAMES_OF_PAGE = 2000, PAGES_MAX = POLL_REQUESTS_MAX };

/* ------------------------------------------------------------------ openstack-metric */

struct metric {
    struct trigger_config common;
    struct keystone account;
    const char *url, *id, *aggregation;
    int64_t granularity_s;
};

#define PARAM_STRUCT struct metric
static const struct param metric_params[] = {
    {"metricsURL", PARAM_URL(url), .required = true, .help = "of Gnocchi, such as http://gnocchi:8041/v1/metric"},
    {"metricID", PARAM_TEXT(id), .required = true, .question = true, .help = "of the metric"},
    {"aggregationMethod", PARAM_TEXT(aggregation), .required = true, .question = true,
     .help = "mean, min, max, std, sum, count ..."},
    {"granularity", PARAM_INTEGER(granularity_s), .required = true, .question = true,
     .help = "of the measures, seconds"},
    {"threshold", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .help = "value one replica should carry"},
    {"activationThreshold", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION,
     .help = "above it the object is active; 0 unless given"},
    {"timeout", PARAM_INTEGER(account.timeout_s), .fallback = "30", .help = "of each request, seconds"},
    {"authURL", PARAM_TEXT(account.url), .from = "A", .address = true, .help = "of Keystone: http://keystone:5000/v3"},
    {"userID", PARAM_TEXT(account.user), .from = "A", .help = "with password"},
    {"password", PARAM_SECRET(account.password), .from = "A", .help = "with userID"},
    {"projectID", PARAM_TEXT(account.project), .from = "A", .help = "with userID: whose metrics are seen"},
    {"appCredentialID", PARAM_TEXT(account.app), .from = "A", .help = "instead of a user"},
    {"appCredentialSecret", PARAM_SECRET(account.app_secret), .from = "A", .help = "likewise"},
    {0},
};
#undef PARAM_STRUCT

/* What is missing for signing in; the original finds it out when it first asks. NULL: nothing. */
static const char *metric_lacks(const struct metric *c)
{
    const struct keystone *a = &c->account;

    if (!a->url)
        return "authURL is not there";
    if (a->user)
        return a->password ? NULL : "userID needs a password";
    if (!a->app && !a->app_secret)
        return "there is neither userID and password nor appCredentialID and appCredentialSecret";
    return a->app && a->app_secret ? NULL : "appCredentialID and appCredentialSecret go together";
}

static bool prepare_metric(void *config, struct trigger_check *check)
{
    struct metric *c = config;
    bool good = keystone_check_url(&c->account, check);

    c->account.by_password = c->account.user != NULL;
    if (metric_lacks(c) && !check_unknown(check, "authURL"))
        check_warning(check, "authURL", "put it into the Secret that the TriggerAuthentication names",
                      "%s: every poll fails", metric_lacks(c));
    if (c->granularity_s < 1)
        check_warning(check, "granularity", "write the seconds of the metric's archive policy",
                      "granularity has to be at least 1: every poll fails");
    return good;
}

static void metric_metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct metric *c = config;

    (void)input;
    text_printf(out, "openstack-metric-%s", c->id);
}

/* From the beginning of the minute so far back that one measure is sure to be within. */
static const char *start_text(const struct metric *c, struct poll *poll)
{
    int64_t back_minutes = c->granularity_s / 60 > 1 ? c->granularity_s / 60 - 1 : 0;
    int64_t longest = poll_now_ms(poll) / MINUTE_MS; /* the epoch */
    char text[32];

    if (back_minutes > longest)
        back_minutes = longest;
    instant_format((longest - back_minutes) * MINUTE_MS, text, sizeof(text));
    text[strcspn(text, "Z")] = '\0'; /* Gnocchi takes a time without zone for UTC */
    return arena_copy(poll_arena(poll), text);
}

static struct request *make_metric(const void *config, struct poll *poll)
{
    const struct metric *c = config;
    struct arena *arena = poll_arena(poll);
    size_t length = strcspn(c->url, "?#");
    const char *query = c->url[length] == '?' ? c->url + length : "";
    struct request *r =
        request_get(poll, arena_copy_bytes(arena, c->url, length),
                    arena_printf(arena, "/%s/measures%.*s", path_part(arena, c->id), (int)strcspn(query, "#"), query));

    request_query(r, "aggregation", c->aggregation);
    request_query(r, "granularity", arena_printf(arena, "%lld", (long long)c->granularity_s));
    request_query(r, "start", start_text(c, poll));
    request_status(r, 200, 200);
    return r;
}

static enum poll_next on_measures(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct tree *measures = reply->json, *last;
    double value;

    (void)config;
    if (measures->type != TREE_LIST)
        return poll_fail(poll, ERROR_NONSENSE, "the answer is %s, not a list of measures",
                         tree_type_name(measures->type));
    if (tree_count(measures) == 0)
        return poll_missing(poll, SWITCH_UNSET, "the metric has no measures in this time");
    last = tree_index(measures, tree_count(measures) - 1);
    if (last->type != TREE_LIST || tree_count(last) != 3 || tree_index(last, 2)->type != TREE_NUMBER ||
        !tree_number(tree_index(last, 2), &value))
        return poll_fail(poll, ERROR_NONSENSE, "the last measure is not [time, granularity, number]");
    return poll_value(poll, value);
}

static enum poll_next ask_metric(const void *config, struct poll *poll, const struct reply *none)
{
    const struct metric *c = config;

    (void)none;
    if (c->granularity_s < 1)
        return poll_fail(poll, ERROR_INVALID, "granularity has to be at least 1 second");
    if (metric_lacks(c))
        return poll_fail(poll, ERROR_INVALID, "%s: put it into the TriggerAuthentication's Secret", metric_lacks(c));
    return keystone_send(config, poll, &c->account, make_metric, on_measures);
}

/* ------------------------------------------------------------------ openstack-swift */

struct swift {
    struct trigger_config common;
    struct keystone account;
    const char *url, *container, *prefix, *delimiter;
    int64_t limit;
    bool only_files;
};
struct swift_scratch {
    struct keystone_walk walk; /* first: keystone.c finds its own there */
    const char *marker;        /* the last name of the page before */
    int64_t names, listed;
    int pages;
};

#define PARAM_STRUCT struct swift
static const struct param swift_params[] = {
    {"containerName", PARAM_TEXT(container), .required = true, .question = true, .help = "whose objects are counted"},
    {"swiftURL", PARAM_URL(url), .help = "of the account; from Keystone's catalogue unless given"},
    {"objectCount", PARAM_WHOLE(common.target), .role = ROLE_TARGET, .fallback = "2",
     .help = "objects for one replica"},
    {"activationObjectCount", PARAM_WHOLE(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"objectPrefix", PARAM_TEXT(prefix), .question = true, .help = "only names that begin so"},
    {"objectDelimiter", PARAM_TEXT(delimiter), .question = true, .help = "names that are equal up to it count as one"},
    {"objectLimit", PARAM_INTEGER(limit), .question = true, .help = "counts no further than this"},
    {"onlyFiles", PARAM_BOOL(only_files), .question = true, .help = "names that end with / do not count"},
    {"timeout", PARAM_INTEGER(account.timeout_s), .fallback = "30", .help = "of each request, seconds"},
    {"authURL", PARAM_TEXT(account.url), .from = "A", .address = true, .required = true,
     .help = "of Keystone: http://keystone:5000/v3"},
    {"userID", PARAM_TEXT(account.user), .from = "A", .help = "with password and projectID"},
    {"password", PARAM_SECRET(account.password), .from = "A", .help = "with userID"},
    {"projectID", PARAM_TEXT(account.project), .from = "A", .help = "with userID"},
    {"appCredentialID", PARAM_TEXT(account.app), .from = "A", .help = "instead of a user"},
    {"appCredentialSecret", PARAM_SECRET(account.app_secret), .from = "A", .help = "likewise"},
    {"regionName", PARAM_TEXT(account.region), .from = "A", .help = "of the catalogue; any unless given"},
    {0},
};
#undef PARAM_STRUCT

static bool needs(struct trigger_check *check, const char *with, const char *name, bool given)
{
    if (given || check_unknown(check, name))
        return true;
    return check_error(check, name, "put it into the Secret that the TriggerAuthentication names", "%s needs %s", with,
                       name);
}

static bool prepare_swift(void *config, struct trigger_check *check)
{
    struct swift *c = config;
    struct keystone *a = &c->account;
    bool good = keystone_check_url(a, check);

    a->by_password = !(a->app && a->app_secret);
    a->wants_storage = !c->url;
    if (c->limit < 0)
        good = check_error(check, "objectLimit", "write a number greater than 0", "objectLimit is below 0");
    if (a->user)
        return needs(check, "userID", "password", a->password) && needs(check, "userID", "projectID", a->project) &&
               good;
    if (a->app)
        return needs(check, "appCredentialID", "appCredentialSecret", a->app_secret) && good;
    if (check_unknown(check, "userID"))
        return good;
    return check_error(check, "userID", "put one of them into the Secret that the TriggerAuthentication names",
                       "there is neither a userID nor an appCredentialID");
}

static void swift_metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct swift *c = config;

    (void)input;
    text_printf(out, "openstack-swift-%s%s%s", c->container, c->prefix ? "-" : "", c->prefix ? c->prefix : "");
}

static bool swift_destination(const void *config, char *out, size_t size)
{
    const struct swift *c = config;

    return url_destination(c->url ? c->url : c->account.url ? c->account.url : "", out, size);
}

static bool is_filtered(const struct swift *c)
{
    return c->prefix || c->delimiter || c->limit > 0 || c->only_files;
}

static struct request *make_swift(const void *config, struct poll *poll)
{
    const struct swift *c = config;
    const struct swift_scratch *scratch = poll_scratch(poll);
    const char *base = c->url ? c->url : keystone_storage(poll);
    const char *path = arena_printf(poll_arena(poll), "/%s", path_tidy(poll_arena(poll), c->container));
    struct request *r;

    if (!base) {
        poll_fail(poll, ERROR_MISSING, "Keystone's catalogue has no public object store%s%s: give swiftURL",
                  c->account.region ? " in region " : "", c->account.region ? c->account.region : "");
        return NULL;
    }
    r = is_filtered(c) ? request_get(poll, base, path) : request_head(poll, base, path);
    request_raw(r);
    request_status(r, 200, 204);
    if (!is_filtered(c))
        return r;
    request_query(r, "format", "plain");
    request_query(r, "limit", arena_printf(poll_arena(poll), "%d", NAMES_OF_PAGE));
    request_query(r, "prefix", c->prefix);
    request_query(r, "delimiter", c->delimiter);
    request_query(r, "marker", scratch->marker);
    return r;
}

static enum poll_next on_total(struct poll *poll, const struct reply *reply)
{
    const char *text = reply_header(reply, "x-container-object-count");
    struct tree number = {.type = TREE_NUMBER, .text = text};
    int64_t count;

    if (!text)
        return poll_fail(poll, ERROR_NONSENSE, "the answer has no X-Container-Object-Count: is this an object store?");
    number.length = strlen(text);
    if (!tree_integer(&number, &count))
        return poll_fail(poll, ERROR_NONSENSE, "X-Container-Object-Count is not a number");
    return poll_value(poll, (double)count);
}

/* A name a line. */
static void count_names(const struct swift *c, struct poll *poll, const struct reply *reply)
{
    struct swift_scratch *scratch = poll_scratch(poll);
    char *save = NULL;

    scratch->listed = 0;
    for (char *name = strtok_r(arena_copy_bytes(poll_arena(poll), reply->body, reply->length), "\n", &save); name;
         name = strtok_r(NULL, "\n", &save)) {
        scratch->listed++;
        scratch->marker = name;
        scratch->names += !c->only_files || !string_ends(name, "/");
    }
}

static enum poll_next on_swift(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct swift *c = config;
    struct swift_scratch *scratch = poll_scratch(poll);

    if (!is_filtered(c))
        return on_total(poll, reply);
    count_names(c, poll, reply);
    if (c->limit > 0 && scratch->names >= c->limit)
        return poll_value(poll, (double)c->limit);
    if (scratch->listed < NAMES_OF_PAGE)
        return poll_value(poll, (double)scratch->names);
    if (++scratch->pages == PAGES_MAX)
        return poll_fail(poll, ERROR_LIMIT, "more than %d objects fit (NAMES_OF_PAGE, PAGES_MAX): give objectLimit",
                         PAGES_MAX * NAMES_OF_PAGE);
    return keystone_send(config, poll, &c->account, make_swift, on_swift);
}

static enum poll_next ask_swift(const void *config, struct poll *poll, const struct reply *none)
{
    const struct swift *c = config;

    (void)none;
    if (strchr(c->container, '/') || strcasestr(c->container, "%2f"))
        return poll_fail(poll, ERROR_INVALID, "containerName is the name of one container: it has no /");
    return keystone_send(config, poll, &c->account, make_swift, on_swift);
}

/* ------------------------------------------------------------------ the triggers */

#define ACCOUNT_EXAMPLE                                                                                                \
    "    authenticationRef:\n"                                                                                         \
    "      name: openstack\n"                                                                                          \
    "---\n"                                                                                                            \
    "kind: TriggerAuthentication\n"                                                                                    \
    "metadata:\n"                                                                                                      \
    "  name: openstack\n"                                                                                              \
    "spec:\n"                                                                                                          \
    "  secretTargetRef:\n"                                                                                             \
    "    - {parameter: authURL, name: openstack, key: auth-url}\n"                                                     \
    "    - {parameter: appCredentialID, name: openstack, key: id}\n"                                                   \
    "    - {parameter: appCredentialSecret, name: openstack, key: secret}\n"

TRIGGER(openstack_metric) = {
    .type = "openstack-metric",
    .summary = "the newest measure of a Gnocchi metric",
    .about = "The value is the last measure of the metric, aggregated as `aggregationMethod` says over `granularity` "
             "seconds. No "
             "measures in that time are missing. Signing in is Keystone's: by user and password, or by an application "
             "credential.",
    .example = "triggers:\n"
               "  - type: openstack-metric\n"
               "    metadata:\n"
               "      metricsURL: http://gnocchi:8041/v1/metric\n"
               "      metricID: 003bb589-883d-439d-8c31-573d0db356fa\n"
               "      aggregationMethod: mean\n"
               "      granularity: \"300\"\n"
               "      threshold: \"70\"\n" ACCOUNT_EXAMPLE,
    .locally = "# devstack with its Gnocchi plug-in, or any Gnocchi with Keystone; then:\n"
               "openstack metric measures show --aggregation mean --granularity 300 METRIC\n"
               "weir probe scaledobject.yaml\n",
    .params = metric_params,
    .config_size = sizeof(struct metric),
    .memory_size = sizeof(struct keystone_memory),
    .account_size = sizeof(struct keystone_account),
    .scratch_size = sizeof(struct keystone_walk),
    .prepare = prepare_metric,
    .metric_name = metric_metric_name,
    .forget = keystone_forget,
    .forget_account = keystone_forget_account,
    .poll = ask_metric,
};

TRIGGER(openstack_swift) = {
    .type = "openstack-swift",
    .summary = "the number of objects in a Swift container",
    .about = "The value is the number of objects in the container; with `objectPrefix`, `objectDelimiter`, "
             "`objectLimit` or `onlyFiles` "
             "that of the names which fit, listed page by page. A container that does not exist is a failure.",
    .example = "triggers:\n"
               "  - type: openstack-swift\n"
               "    metadata:\n"
               "      containerName: uploads\n"
               "      objectPrefix: new/\n"
               "      objectCount: \"10\"\n" ACCOUNT_EXAMPLE,
    .locally = "# apt install swift-proxy swift-account swift-container swift-object keystone, or devstack; then:\n"
               "openstack container create uploads && openstack object create uploads new/a\n"
               "weir probe scaledobject.yaml\n",
    .params = swift_params,
    .config_size = sizeof(struct swift),
    .memory_size = sizeof(struct keystone_memory),
    .account_size = sizeof(struct keystone_account),
    .scratch_size = sizeof(struct swift_scratch),
    .prepare = prepare_swift,
    .metric_name = swift_metric_name,
    .destination = swift_destination,
    .forget = keystone_forget,
    .forget_account = keystone_forget_account,
    .poll = ask_swift,
};
