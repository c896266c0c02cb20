/*
 * ibmmq: current depth of IBM MQ queues, from the queue manager's administrative REST API. Facts: triggers/ibmmq.md.
 *
 *     each queue: POST an MQSC command (display qlocal, CURDEPTH) -> depth ; then max, avg or sum of them
 *
 * One queue that cannot be read makes the poll fail. MQ says most of what goes wrong in an answer of status 200.
 */
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/member.h"
#include "trigger/driver.h"

enum { QUEUES_MAX = 64 }; /* all of them are asked one by one, within one poll */

struct ibmmq {
    struct trigger_config common;
    struct http_auth auth;
    const char *host, *operation;
    const struct param_list *queues;
    bool unsafe;
};
struct walk {
    bool failed;
    struct error error; /* of the first queue that could not be read */
    size_t failed_index;
    double sum, max;
};

#define PARAM_STRUCT struct ibmmq
static const struct param params[] = {
    {"host", PARAM_URL(host), .required = true,
     .help = "the whole address of the MQSC resource: https://mq:9443/ibmmq/rest/v2/admin/action/qmgr/QM1/mqsc"},
    {"queueName", PARAM_LIST(queues), .aliases = "queueNames", .required = true,
     .help = "the queue; several with commas"},
    {"operation", PARAM_TEXT(operation), .fallback = "max", .help = "over several queues: max, avg, sum"},
    {"queueDepth", PARAM_WHOLE(common.target), .role = ROLE_TARGET, .fallback = "20",
     .help = "messages one replica should carry"},
    {"activationQueueDepth", PARAM_WHOLE(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"username", PARAM_TEXT(auth.username), .from = "AEM", .required = true, .help = "of the REST API"},
    {"password", PARAM_SECRET(auth.password), .from = "AEM", .required = true, .help = "its password"},
    {"unsafeSsl", PARAM_BOOL(unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {"ca", PARAM_TEXT(auth.ca), .from = "A", .help = "certificates trusted besides the system's, PEM"},
    {"cert", PARAM_TEXT(auth.certificate), .from = "A", .help = "the client's certificate, PEM"},
    {"key", PARAM_SECRET(auth.key), .from = "A", .help = "its key, PEM"},
    {"keyPassword", PARAM_SECRET(auth.key_password), .from = "A", .help = "of an encrypted key"},
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    struct ibmmq *c = config;
    bool good = true;

    if (c->host && !strstr(c->host, "://") && *c->host != '/')
        good = check_error(check, "host", "write the whole address, https:// included", "host is no absolute address");
    if ((c->auth.certificate != NULL) != (c->auth.key != NULL))
        good = check_error(check, "cert", "give both, or neither", "cert and key belong together");
    if (c->queues && c->queues->count > QUEUES_MAX)
        good = check_error(check, "queueName", "name fewer, or use several triggers", "more than %d queues are named",
                           QUEUES_MAX);
    if (strcmp(c->operation, "max") != 0 && strcmp(c->operation, "avg") != 0 && strcmp(c->operation, "sum") != 0)
        good =
            check_error(check, "operation", "write max, avg or sum", "there is no operation \"%.40s\"", c->operation);
    c->auth.modes = HTTP_AUTH_BASIC | (c->auth.certificate && c->auth.key ? HTTP_AUTH_TLS : 0u);
    return good;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct ibmmq *c = config;

    (void)input;
    text_printf(out, "ibmmq-%s", c->queues && c->queues->count > 0 ? c->queues->items[0] : "");
}

/* ------------------------------------------------------------------ the answers */

/* Any other status than 200 has the reason in its body, if it is one of MQ and not of something in between. */
static bool refused(const struct reply *reply, const struct tree *answer, struct error *err)
{
    const char *why = member_text(tree_index(tree_get_fold(answer, "error"), 0), "message");

    return error_set(err, reply->status == 401 || reply->status == 403 ? ERROR_DENIED : ERROR_NONSENSE,
                     "the REST API answers %d: %.200s", reply->status,
                     *why                   ? why
                     : reply->status == 401 ? "check username and password"
                                            : "without saying why; is the address that of a queue manager's MQSC?");
}

static bool read_depth(const struct reply *reply, const char *queue, struct arena *arena, double *depth,
                       struct error *err)
{
    struct tree *answer = NULL;
    const struct tree *response, *message, *parameters;
    struct error why;
    int64_t value;

    if (!tree_read_json(reply->body, reply->length, true, arena, &answer, &why) && reply->status == 200)
        return error_set(err, ERROR_NONSENSE, "queue %.60s: the answer is not JSON (%.100s)", queue, why.text);
    if (reply->status != 200)
        return refused(reply, answer, err);
    response = tree_index(tree_get_fold(answer, "commandResponse"), 0);
    message = tree_index(tree_get_fold(response, "message"), 0);
    parameters = tree_get_fold(response, "parameters");
    if (message)
        return error_set(err, ERROR_NONSENSE, "queue %.60s: %.200s", queue,
                         tree_string(message) ? tree_string(message) : "MQ reports an error");
    if (!parameters || parameters->type != TREE_MAP)
        return error_set(err, ERROR_NONSENSE, "queue %.60s: the answer holds no parameters of a queue", queue);
    if (member_integer(parameters, "curdepth", &value) != MEMBER_GIVEN)
        return error_set(err, ERROR_NONSENSE, "queue %.60s: the answer holds no current depth", queue);
    *depth = (double)value;
    return true;
}

static void each_queue(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct ibmmq *c = config;
    struct walk *walk = poll_scratch(poll);
    struct error err = reply->error;
    double depth = 0;

    if (reply->failed || !read_depth(reply, c->queues->items[reply->index], poll_arena(poll), &depth, &err)) {
        if (!walk->failed || reply->index < walk->failed_index) {
            walk->error = err;
            walk->failed_index = reply->index;
        }
        walk->failed = true;
    }
    walk->sum += depth;
    walk->max = depth > walk->max ? depth : walk->max;
}

static enum poll_next on_queues(const void *config, struct poll *poll, const struct reply *none)
{
    const struct ibmmq *c = config;
    struct walk *walk = poll_scratch(poll);
    int64_t whole;

    (void)none;
    if (walk->failed)
        return poll_fail_with(poll, &walk->error);
    if (strcmp(c->operation, "avg") == 0) { /* whole messages, as in the original */
        whole = (int64_t)walk->sum / (int64_t)c->queues->count;
        return poll_value(poll, (double)whole);
    }
    return poll_value(poll, strcmp(c->operation, "sum") == 0 ? walk->sum : walk->max);
}

static struct request *display(const struct ibmmq *c, struct poll *poll, const char *queue)
{
    struct request *r = request_post(poll, c->host, "");
    struct text body;

    text_init(&body, HTTP_BODY_MAX_BYTES);
    text_add(&body, "{\"type\": \"runCommandJSON\", \"command\": \"display\", \"qualifier\": \"qlocal\", \"name\": ");
    text_add_json_string(&body, queue, strlen(queue));
    text_add(&body, ", \"responseParameters\": [\"CURDEPTH\"]}");
    request_body(r, "application/json", arena_copy_bytes(poll_arena(poll), body.bytes, body.length), body.length);
    text_done(&body);
    request_header(r, "ibm-mq-rest-csrf-token", "value");
    request_raw(r);
    request_status(r, 200, 404);
    request_sign(r, &c->auth, HTTP_AUTH_BASIC | HTTP_AUTH_TLS, false, c->unsafe);
    return r;
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct ibmmq *c = config;
    struct request *requests[QUEUES_MAX];

    (void)none;
    if (c->queues->count == 0)
        return poll_fail(poll, ERROR_INVALID, "queueName names no queue");
    for (size_t i = 0; i < c->queues->count; i++)
        requests[i] = display(c, poll, c->queues->items[i]);
    return poll_send_all(poll, requests, c->queues->count, each_queue, on_queues);
}

TRIGGER(ibmmq) = {
    .type = "ibmmq",
    .summary = "messages in IBM MQ queues",
    .about = "The current depth of a local queue; of several queues the maximum, mean or sum. A queue or queue manager "
             "that does not "
             "exist is a failure, and one bad queue of several makes the whole poll fail.",
    .example = "metadata:\n"
               "  host: https://mq.mq.svc:9443/ibmmq/rest/v2/admin/action/qmgr/QM1/mqsc\n"
               "  queueName: ORDERS\n"
               "  queueDepth: \"50\"\n"
               "authentication:          # a TriggerAuthentication's secretTargetRef\n"
               "  username: admin\n"
               "  password: secret\n",
    .locally =
        "docker run -e LICENSE=accept -e MQ_QMGR_NAME=QM1 -e MQ_ADMIN_PASSWORD=secret -p 9443:9443 "
        "icr.io/ibm-messaging/mq\n"
        "weir probe orders.yaml    # host: https://localhost:9443/..., queueName: DEV.QUEUE.1, unsafeSsl: \"true\"\n",
    .params = params,
    .config_size = sizeof(struct ibmmq),
    .scratch_size = sizeof(struct walk),
    .prepare = prepare,
    .metric_name = metric_name,
    .poll = ask,
};
