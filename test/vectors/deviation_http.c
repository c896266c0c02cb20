/*
 * deviation_http: where sources asked over HTTP differ from the original on purpose. Each rule is about a kind of case, never about one
 * case (TRIGGERS-FORMAT.md).
 */
#include <math.h>

#include "deviation_http.h"

static bool type_is(const struct trigger_case *c, const char *type)
{
    return strcmp(c->input.type, type) == 0;
}

static const char *metadata(const struct trigger_case *c, const char *name)
{
    return tree_string(tree_get(c->input.metadata, name));
}

static bool any_status_outside_2xx(const struct tree *vector)
{
    const struct tree *exchanges = tree_get(vector, "exchanges");
    int64_t status;

    for (const struct tree *e = exchanges ? exchanges->first : NULL; e; e = e->next)
        if (tree_integer(tree_get(e, "status"), &status) && (status < 200 || status > 299))
            return true;
    return false;
}

static const char *body(const struct tree *vector)
{
    const char *text = tree_string(tree_get(tree_index(tree_get(vector, "exchanges"), 0), "body"));

    return text ? text : "";
}

const char *deviation_http(const struct trigger_case *c, const struct tree *vector, const struct sample *sample)
{
    bool failed = sample->state == SAMPLE_FAILED;

    if (failed && any_status_outside_2xx(vector) &&
        (type_is(c, "elasticsearch") || type_is(c, "graphite") || type_is(c, "splunk") || type_is(c, "nats-jetstream")))
        return "elasticsearch, graphite, nats-jetstream, splunk: an answer outside 2xx is a failure, whatever its body "
               "says";
    if (failed && type_is(c, "github-runner") && metadata(c, "repos") && any_status_outside_2xx(vector))
        return "github-runner: a repository that is named and answers 404 is a failure, not one without jobs";
    if (failed && type_is(c, "solr"))
        return "solr: an answer without numFound is a failure, not 0";
    if (failed && type_is(c, "selenium-grid") && !strstr(body(vector), "\"data\""))
        return "selenium-grid: an answer without data is a failure, not an empty grid";
    if (failed && type_is(c, "loki") &&
        (string_equal(metadata(c, "ignoreNullValues"), "false") || strstr(body(vector), "\"status\":\"error\"")))
        return "loki: an answer that calls itself an error is a failure; with ignoreNullValues false every way of "
               "having no "
               "value is one, a null included";
    if (sample->state == SAMPLE_MISSING && (type_is(c, "loki") || type_is(c, "kubernetes-resource")))
        return "loki, kubernetes-resource: an infinite value is missing, and nobody is active for it";
    if (type_is(c, "openstack-swift") && (metadata(c, "objectPrefix") || metadata(c, "objectDelimiter") ||
                                          metadata(c, "objectLimit") || metadata(c, "onlyFiles")))
        return "openstack-swift: with a filter the names that fit are counted, as its documentation says, not all "
               "objects";
    return NULL;
}
