/*
 * rabbitmq_http: RabbitMQ's management API: counts and rates, of one queue or of all whose names match a pattern.
 *
 *     rabbitmq_http_ask -> on_queue | on_queues -> figures -> conclude -> value
 *
 * The API tells a queue's counts some seconds after its declaration only: until then the value is missing, not 0.
 */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/path.h"
#include "trigger/family/rabbitmq.h"

/* ------------------------------------------------------------------ what is asked, and of whom */

/* Of http://host:port/[prefix/]vhost: where the API is, and the path of the queue there. What is no host with a port has no address: a
   piece of a password that nobody has escaped could be in it. */
void rabbitmq_http_address(struct rabbitmq *c, const struct dsn *dsn, struct arena *arena)
{
    const char *path = dsn_url_path(secret_reveal(c->host)), *vhost = "", *prefix = "";
    char host[DSN_HOST_BYTES];
    int port;

    if (!dsn_host(dsn->hosts, 0, 80, host, sizeof(host), &port) || port == 0)
        return;
    if (*path == '/') {
        const char *last;

        path = arena_copy_bytes(arena, path, strcspn(path, "?#"));
        last = strrchr(path, '/');
        vhost = path_tidy(arena, last + 1);
        prefix = path_tidy(arena, arena_copy_bytes(arena, path, (size_t)(last - path)));
    }
    if (c->vhost)
        vhost = path_part(arena, c->vhost);
    c->base = arena_printf(arena, "%s://%s%s", dsn->scheme, dsn->hosts, prefix);
    c->path = arena_printf(arena, "/api/queues/%s%s%s", *vhost ? vhost : "%2F", c->use_regex ? "" : "/",
                           c->use_regex ? "" : path_part(arena, c->queue ? c->queue : ""));
}

/* ------------------------------------------------------------------ what it answers */

struct figures {
    double messages, published, delivered; /* a count, and rates per second */
    bool uncounted, unrated;               /* some queue has none (yet) */
};

static bool take_rate(const struct tree *stats, const char *total, const char *details, double *rate, bool *unrated)
{
    const struct tree *value = tree_get_fold(tree_get_fold(stats, details), "rate");

    *rate = 0;
    if (!value || value->type == TREE_NULL) {
        *unrated |= tree_get_fold(stats, total) != NULL; /* they are counted, but not as rates */
        return true;
    }
    return value->type == TREE_NUMBER && tree_number(value, rate);
}

static bool take_queue(const struct rabbitmq *c, const struct tree *queue, struct figures *out)
{
    const struct tree *count = tree_get_fold(queue, c->exclude_unacknowledged ? "messages_ready" : "messages");
    const struct tree *stats = tree_get_fold(queue, "message_stats");
    int64_t messages = 0;

    *out = (struct figures){.uncounted = !count || count->type == TREE_NULL};
    if (!queue || queue->type != TREE_MAP || (!out->uncounted && !tree_integer(count, &messages)))
        return false;
    out->messages = (double)messages;
    return take_rate(stats, "publish", "publish_details", &out->published, &out->unrated) &&
           take_rate(stats, "deliver_get", "deliver_get_details", &out->delivered, &out->unrated);
}

/* a: the threshold. Where nothing is taken out, a ratio has no value: then the threshold itself stands for it, and work is there. */
static enum poll_next conclude(const struct rabbitmq *c, struct poll *poll, const struct figures *f)
{
    double a = c->activation, m = f->messages, p = f->published, d = f->delivered;
    bool by_rate = c->mode != MODE_LENGTH, by_count = c->mode == MODE_LENGTH || c->mode == MODE_TIME;

    if (by_count && f->uncounted)
        return poll_missing(poll, SWITCH_UNSET, "RabbitMQ has no count of the messages yet, or its statistics are off");
    if (by_rate && f->unrated)
        return poll_missing(poll, SWITCH_UNSET, "RabbitMQ tells no rates (management.rates_mode is none)");
    switch (c->mode) {
    case MODE_LENGTH:
        return poll_value(poll, m);
    case MODE_MESSAGE_RATE:
        poll_activity(poll, p > a || m > a);
        return poll_value(poll, p);
    case MODE_DELIVER_RATE:
        return poll_value(poll, d);
    case MODE_RATIO:
        if (p > 0 && d == 0)
            poll_activity(poll, true);
        return poll_value(poll, p > 0 && d == 0 ? a : p > 0 && d > 0 ? p / d : 0);
    case MODE_TIME:
        if (m > 0 && d == 0)
            poll_activity(poll, true);
        return poll_value(poll, m == 0 ? 0 : d == 0 ? a : (p - d) / d + m / d);
    }
    return poll_fail(poll, ERROR_INTERNAL, "no such mode");
}

static enum poll_next on_queue(const void *config, struct poll *poll, const struct reply *reply)
{
    struct figures figures;

    if (!take_queue(config, reply->json, &figures))
        return poll_fail(poll, ERROR_NONSENSE, "the answer is no queue of RabbitMQ's management API");
    return conclude(config, poll, &figures);
}

static void join(const char *operation, struct figures *sum, const struct figures *one)
{
    bool max = strcmp(operation, "max") == 0;

    sum->uncounted |= one->uncounted;
    sum->unrated |= one->unrated;
    sum->messages = !max                            ? sum->messages + one->messages
                    : one->messages > sum->messages ? one->messages
                                                    : sum->messages;
    sum->published = !max                              ? sum->published + one->published
                     : one->published > sum->published ? one->published
                                                       : sum->published;
    sum->delivered = !max                              ? sum->delivered + one->delivered
                     : one->delivered > sum->delivered ? one->delivered
                                                       : sum->delivered;
}

static enum poll_next on_queues(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct rabbitmq *c = config;
    const struct tree *items = tree_get_fold(reply->json, "items");
    struct figures sum = {0}, one;
    double pages = 0, count = (double)tree_count(items);

    if (reply->json->type != TREE_MAP || !items || items->type != TREE_LIST)
        return poll_fail(poll, ERROR_NONSENSE, "the answer is no list of queues of RabbitMQ's management API");
    if (tree_number(tree_get_fold(reply->json, "page_count"), &pages) && pages > 1)
        return poll_fail(poll, ERROR_LIMIT, "more queues match than pageSize %lld: raise it (RabbitMQ takes up to 500)",
                         (long long)c->page_size);
    if (count == 0)
        return poll_missing(poll, SWITCH_UNSET, "no queue matches %.100s", c->queue);
    for (const struct tree *queue = items->first; queue; queue = queue->next) {
        if (!take_queue(c, queue, &one))
            return poll_fail(poll, ERROR_NONSENSE, "the answer's list holds something that is no queue");
        join(c->operation, &sum, &one);
    }
    if (strcmp(c->operation, "avg") == 0) {
        sum.messages = trunc(sum.messages / (double)count); /* whole messages, as in the original */
        sum.published /= count;
        sum.delivered /= count;
    } else if (strcmp(c->operation, "sum") != 0 && strcmp(c->operation, "max") != 0) {
        return poll_fail(poll, ERROR_INVALID, "operation has to be sum, avg or max, not \"%.40s\"", c->operation);
    }
    return conclude(c, poll, &sum);
}

enum poll_next rabbitmq_http_ask(const struct rabbitmq *c, struct poll *poll)
{
    struct request *r;

    if (c->identity)
        return poll_fail(poll, ERROR_INVALID, "signing in with Azure's workload identity is not built in");
    if (!c->base)
        return poll_fail(poll, ERROR_INVALID,
                         "protocol is http, and host does not begin with http:// or https://, or has no port");
    r = request_get(poll, c->base, c->path);
    if (c->use_regex) {
        request_query(r, "page", "1");
        request_query(r, "use_regex", "true");
        request_query(r, "pagination", "false");
        request_query(r, "name", c->queue);
        request_query(r, "page_size", arena_printf(poll_arena(poll), "%lld", (long long)c->page_size));
    }
    request_status(r, 200, 200);
    request_timeout(r, c->timeout_ms);
    request_sign(r, &c->auth, HTTP_AUTH_BASIC | HTTP_AUTH_TLS | HTTP_AUTH_OAUTH, false, c->unsafe);
    return poll_send(poll, r, c->use_regex ? on_queues : on_queue);
}
