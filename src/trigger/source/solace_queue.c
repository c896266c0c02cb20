/*
 * solace-event-queue: messages of a Solace queue, the space they take, and how fast they come, from the broker's monitoring API (SEMP v2).
 * Facts: triggers/solace-event-queue.md.
 *
 * Each target above 0 makes a metric of its own, and so a trigger of its own here. All of them ask the same, and whether there is work is
 * said by all three figures together.
 *
 *     host -> state of the VPN -> figures of the queue -> value
 *       ^__ next host after any failure, once round, beginning with the one that worked last
 */
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/member.h"
#include "trigger/common/path.h"
#include "trigger/driver.h"
#include "trigger/family/solace.h"

enum figure { FIGURE_COUNT, FIGURE_SPOOL, FIGURE_RATE, FIGURES };
static const char *const suffixes[FIGURES] = {"msgcount", "msgspoolusage", "msgrcvrate"};
enum { MEGABYTE = 1024 * 1024 };

struct queue {
    struct solace solace;
    const char *name;
    double targets[FIGURES], activations[FIGURES];
    const char *vpn_path, *queue_path; /* in the trigger's arena */
};
#define PARAM_STRUCT struct queue
static const struct param params[] = {
    {"solaceSempBaseURL", PARAM_TEXT(solace.urls), .required = true,
     .help = "https://broker:943; several with commas are tried in turn"},
    {"messageVpn", PARAM_TEXT(solace.vpn), .required = true, .help = "the message VPN"},
    {"queueName", PARAM_TEXT(name), .required = true, .help = "the queue"},
    {"messageCountTarget", PARAM_WHOLE(targets[FIGURE_COUNT]), .fallback = "0",
     .help = "messages one replica should carry"},
    {"messageSpoolUsageTarget", PARAM_WHOLE(targets[FIGURE_SPOOL]), .fallback = "0",
     .help = "megabytes one replica should carry"},
    {"messageReceiveRateTarget", PARAM_WHOLE(targets[FIGURE_RATE]), .fallback = "0",
     .help = "messages a second one replica should carry"},
    {"activationMessageCountTarget", PARAM_WHOLE(activations[FIGURE_COUNT]), .fallback = "0",
     .help = "above it the object is active, whatever the targets are"},
    {"activationMessageSpoolUsageTarget", PARAM_WHOLE(activations[FIGURE_SPOOL]), .fallback = "0",
     .help = "the same, megabytes"},
    {"activationMessageReceiveRateTarget", PARAM_WHOLE(activations[FIGURE_RATE]), .fallback = "0",
     .help = "the same, messages a second"},
    {"username", PARAM_TEXT(solace.auth.username), .from = "AME", .required = true, .help = "of the management API"},
    {"password", PARAM_SECRET(solace.auth.password), .from = "AME", .required = true, .help = "its password"},
    {".metric", PARAM_INTEGER(solace.which), .hidden = true}, /* tells the triggers of one manifest entry apart */
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    struct queue *c = config;
    struct arena *arena = check_arena(check);
    bool good = solace_prepare(&c->solace, check);

    if (c->targets[FIGURE_COUNT] < 1 && c->targets[FIGURE_SPOOL] < 1 && c->targets[FIGURE_RATE] < 1)
        good = check_error(check, "messageCountTarget", "write one of the three targets",
                           "there is no target: neither messages, nor megabytes, nor messages a second");
    c->targets[FIGURE_SPOOL] *= MEGABYTE;
    c->activations[FIGURE_SPOOL] *= MEGABYTE;
    if (c->solace.vpn && c->name) {
        c->vpn_path = arena_printf(arena, "/SEMP/v2/monitor/msgVpns/%s", path_part(arena, c->solace.vpn));
        c->queue_path = arena_printf(arena, "%s/queues/%s", c->vpn_path, path_part(arena, c->name));
    }
    return good;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct queue *c = config;

    (void)input;
    text_printf(out, "solace-%s-%s", c->name ? c->name : "", suffixes[c->solace.which % FIGURES]);
}

static void target(const void *config, struct trigger_metric *metric)
{
    const struct queue *c = config;

    metric->target = c->targets[c->solace.which % FIGURES];
    metric->activation = c->activations[c->solace.which % FIGURES];
}

/* ------------------------------------------------------------------ the answers */

/* The API's own word on how it went, beside HTTP's. */
static bool is_good(const struct reply *reply, struct error *err)
{
    int64_t code;

    if (reply->failed) {
        *err = reply->error;
        return false;
    }
    if (member_integer(tree_get_fold(reply->json, "meta"), "responseCode", &code) != MEMBER_GIVEN)
        return error_set(err, ERROR_NONSENSE, "the answer is not one of SEMP v2: it has no responseCode");
    return (code >= 200 && code <= 299) ||
           error_set(err, ERROR_NONSENSE, "the broker reports %lld; check VPN and queue", (long long)code);
}

static bool is_up(const struct queue *c, const struct reply *reply, struct error *err)
{
    const char *state = member_text(tree_get_fold(reply->json, "data"), "state");

    return strcmp(state, "up") == 0 ||
           error_set(err, ERROR_UNREACHABLE, "the message VPN %.80s is not up but \"%.40s\"", c->solace.vpn, state);
}

static bool read_figures(const struct reply *reply, double figures[FIGURES], struct error *err)
{
    const struct tree *data = tree_get_fold(reply->json, "data");
    const struct tree *messages = tree_get_fold(tree_get_fold(reply->json, "collections"), "msgs");
    int64_t values[FIGURES];

    if (member_integer(messages, "count", &values[FIGURE_COUNT]) != MEMBER_GIVEN ||
        member_integer(data, "msgSpoolUsage", &values[FIGURE_SPOOL]) != MEMBER_GIVEN ||
        member_integer(data, "averageRxMsgRate", &values[FIGURE_RATE]) != MEMBER_GIVEN) {
        error_set(err, ERROR_NONSENSE, "the answer holds no figures of a queue");
        return false;
    }
    for (size_t i = 0; i < FIGURES; i++)
        figures[i] = (double)values[i];
    return true;
}

/* ------------------------------------------------------------------ asking */

static struct request *get(const struct queue *c, struct poll *poll, size_t host, const char *path, const char *select)
{
    struct request *r =
        request_get(poll, c->solace.hosts[host], arena_printf(poll_arena(poll), "%s?select=%s", path, select));

    request_header(r, "Content-Type", "application/json");
    request_sign(r, &c->solace.auth, HTTP_AUTH_BASIC, false, false);
    return r;
}

static struct request *ask_state(const void *config, struct poll *poll, size_t host)
{
    return get(config, poll, host, ((const struct queue *)config)->vpn_path, "state");
}

static struct request *ask_queue(const void *config, struct poll *poll, size_t host)
{
    return get(config, poll, host, ((const struct queue *)config)->queue_path, "msgs,msgSpoolUsage,averageRxMsgRate");
}

static enum poll_next on_queue(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct queue *c = config;
    double figures[FIGURES];
    struct error why;
    bool active = false;

    if (!is_good(reply, &why) || !read_figures(reply, figures, &why))
        return nodes_next(c, poll, &why);
    for (size_t i = 0; i < FIGURES; i++)
        active |= figures[i] > c->activations[i];
    poll_activity(poll, active);
    return poll_value(poll, figures[c->solace.which % FIGURES]);
}

static enum poll_next on_state(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct queue *c = config;
    struct error why;

    if (!is_good(reply, &why) || !is_up(c, reply, &why))
        return nodes_next(c, poll, &why);
    return nodes_ask(c, poll, ask_queue, on_queue);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct queue *c = config;

    (void)none;
    return nodes_send(c, poll, c->solace.host_count, ask_state, on_state);
}

TRIGGER(solace_event_queue) = {
    .type = "solace-event-queue",
    .summary = "messages of a Solace queue, the space they take, how fast they come",
    .about = "Each target above 0 makes a metric of its own: the number of messages, the bytes they take in the "
             "broker's spool, the mean "
             "number that came a second within the last minute. The object is active when any of the three is above "
             "its activation "
             "target, also those without a target. A VPN that is not up and a queue that does not exist are failures.",
    .example = "metadata:\n"
               "  solaceSempBaseURL: https://broker-a.solace.svc:943,https://broker-b.solace.svc:943\n"
               "  messageVpn: shop\n"
               "  queueName: orders\n"
               "  messageCountTarget: \"50\"\n"
               "authentication:          # a TriggerAuthentication's secretTargetRef\n"
               "  username: admin\n"
               "  password: secret\n",
    .locally = "docker run -p 8080:8080 --shm-size=1g -e username_admin_globalaccesslevel=admin -e "
               "username_admin_password=secret \\\n"
               "  solace/solace-pubsub-standard\n"
               "weir probe orders.yaml    # solaceSempBaseURL: http://localhost:8080, messageVpn: default\n",
    .targets = "messageCountTarget,messageSpoolUsageTarget,messageReceiveRateTarget",
    .params = params,
    .config_size = sizeof(struct queue),
    .memory_size = sizeof(struct nodes_memory),
    .scratch_size = sizeof(struct nodes_walk),
    .prepare = prepare,
    .metric_name = metric_name,
    .target = target,
    .destinations = solace_destinations,
    .poll = ask,
};
