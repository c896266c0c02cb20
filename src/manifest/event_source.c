/*
 * event_source: the tables of CloudEventSource and ClusterCloudEventSource (keda-operator/01 4): where events are sent, and which.
 *
 * A destination that is not there, or that cannot be used, is no error of the manifest, for KEDA takes it as well: whoever sends says so
 * in the condition of the source. What an address must look like is checked here, where it is written.
 */
#include <string.h>

#include "base/text.h"
#include "manifest/manifest_internal.h"

const char *const event_types[] = {
    "keda.scaledobject.ready.v1",
    "keda.scaledobject.failed.v1",
    "keda.scaledobject.removed.v1",
    "keda.scaledobject.paused.v1",
    "keda.scaledobject.unpaused.v1",
    "keda.scaledjob.ready.v1",
    "keda.scaledjob.failed.v1",
    "keda.scaledjob.removed.v1",
    "keda.scaledjob.paused.v1",
    "keda.scaledjob.unpaused.v1",
    "keda.scaledjob.rolloutcleanup.started.v1",
    "keda.scaledjob.rolloutcleanup.completed.v1",
    "keda.scaledjob.rolloutcleanup.failed.v1",
    "keda.authentication.triggerauthentication.created.v1",
    "keda.authentication.triggerauthentication.updated.v1",
    "keda.authentication.triggerauthentication.removed.v1",
    "keda.authentication.clustertriggerauthentication.created.v1",
    "keda.authentication.clustertriggerauthentication.updated.v1",
    "keda.authentication.clustertriggerauthentication.removed.v1",
    NULL,
};

/* ------------------------------------------------------------------ destination */

static bool is_http_url(const char *url)
{
    const char *host = string_starts(url, "https://") ? url + 8 : string_starts(url, "http://") ? url + 7 : "";

    return host[0] && host[0] != '/' && host[0] != '?' && host[0] != '#' && !strpbrk(url, " \t\r\n\x7f");
}

static void check_http(struct reading *r, const struct path *path, void *out)
{
    const char *uri = tree_string(tree_get(path->node, "uri"));
    struct path at = path_member(path, "uri", tree_get(path->node, "uri"));

    (void)out; /* the struct of the whole: its table keeps the text */
    if (uri && uri[0] && !is_http_url(uri) && !placeholder_in(r->arena, uri, false))
        complain(r, FINDING_ERROR, "bad-url", &at, "write it as https://host/path",
                 "events are sent to an absolute http or https URL");
}

#define SCHEMA_STRUCT struct event_source
static const struct field http_fields[] = {{"uri", FIELD_TEXT(http_uri), .required = true, .filled = true}, {0}};
static const struct schema http_schema = {.fields = http_fields, .check = check_http};

static const struct field topic_fields[] = {{"endpoint", FIELD_TEXT(topic_endpoint), .required = true}, {0}};
static const struct schema topic_schema = {.fields = topic_fields};

static const struct field destination_fields[] = {
    {"http", FIELD_GROUP(&http_schema)}, {"azureEventGridTopic", FIELD_GROUP(&topic_schema)}, {0}};
static const struct schema destination_schema = {.fields = destination_fields};

/* ------------------------------------------------------------------ which */

int event_type_index(const char *type)
{
    for (int i = 0; event_types[i]; i++)
        if (strcmp(event_types[i], type) == 0)
            return i;
    return -1;
}

static void check_types(struct reading *r, const struct path *path, const char *name)
{
    struct path list = path_member(path, name, tree_get(path->node, name));
    int index = 0;

    for (const struct tree *item = list.node && list.node->type == TREE_LIST ? list.node->first : NULL; item;
         item = item->next, index++) {
        struct path at = path_item(&list, index, item);
        const char *type = tree_string(item), *near;
        size_t count = sizeof(event_types) / sizeof(event_types[0]) - 1;

        if (!type || event_type_index(type) >= 0 || placeholder_in(r->arena, type, false))
            continue; /* what is no text the table has said */
        near = string_nearest(type, event_types, count);
        complain(r, FINDING_ERROR, "unknown-value", &at, near ? arena_printf(r->arena, "write %s", near) : NULL,
                 "there is no type of events %s", type);
    }
}

static void check_subscription(struct reading *r, const struct path *path, void *out)
{
    const struct event_source *source = out;
    struct path excluded = path_member(path, "excludedEventTypes", tree_get(path->node, "excludedEventTypes"));

    check_types(r, path, "includedEventTypes");
    check_types(r, path, "excludedEventTypes");
    if (source->included && source->excluded)
        complain(r, FINDING_ERROR, "conflict", &excluded, "keep one of the two",
                 "includedEventTypes and excludedEventTypes exclude each other");
}

static const struct field subscription_fields[] = {
    {"includedEventTypes", FIELD_TEXTS(included)}, {"excludedEventTypes", FIELD_TEXTS(excluded)}, {0}};
static const struct schema subscription_schema = {.fields = subscription_fields, .check = check_subscription};

/* ------------------------------------------------------------------ the kind */

static const char *const auth_kinds[] = {"TriggerAuthentication", "ClusterTriggerAuthentication", NULL};
static const struct field auth_fields[] = {
    {"name", CHECK_TEXT(), .required = true}, {"kind", CHECK_TEXT(), .words = auth_kinds}, {0}};
static const struct schema auth_schema = {.fields = auth_fields};

static const struct field source_spec_fields[] = {
    {"clusterName", FIELD_TEXT(cluster_name)},
    {"destination", FIELD_GROUP(&destination_schema), .required = true},
    {"authenticationRef", CHECK_MAP(&auth_schema)},
    {"eventSubscription", FIELD_GROUP(&subscription_schema)},
    {0},
};
static const struct schema source_spec_schema = {.fields = source_spec_fields};

static const struct field event_source_fields[] = {
    ROOT_FIELDS(struct event_source),
    {"spec", FIELD_GROUP(&source_spec_schema), .required = true},
    {0},
};
const struct schema event_source_schema = {.fields = event_source_fields, .size = sizeof(struct event_source)};
#undef SCHEMA_STRUCT
