/*
 * redis, redis-streams: the length of a list, set, sorted set or hash; entries of a stream. Facts: triggers/redis.md,
 * redis-streams.md. The relatives that find their server by sentinel or cluster will differ only in how they connect.
 *
 * A talk is a row of questions: those of the greeting (AUTH, SELECT) go out together with the first real one, and the
 * answers come back in order.
 *
 *     AUTH? SELECT? -> on_greeting -> TYPE key -> LLEN|SCARD|ZCARD|HLEN -> value
 *                                  -> XLEN stream -> value                              (mode length)
 *                                  -> XPENDING stream group -> value                    (mode pending)
 *                                  -> INFO server -> XINFO GROUPS stream -> value | XLEN (mode lag)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "net/transport.h"
#include "trigger/driver.h"
#include "trigger/resp.h"

enum { REDIS_TIMEOUT_MS = 5000 };

struct redis { /* what all types of the family have */
    struct trigger_config common;
    const struct param_list *addresses, *hosts, *ports;
    const char *username, *tls_words, *certificate, *ca, *host;
    const struct secret *password, *key, *key_password;
    int64_t database;
    int port;
    enum param_switch enable_tls;
    bool unsafe, tls;
};
struct redis_list {
    struct redis server;
    const char *key;
};
enum stream_mode { MODE_LENGTH, MODE_PENDING, MODE_LAG };
struct redis_stream {
    struct redis server;
    const char *stream, *group;
    double pending_target, length_target;
    double
        lag_target; /* also chooses the question, so it is no ROLE_TARGET: two with another lagCount are not shared */
    int mode;
};

#define CONNECTION_PARAMS                                                                                              \
    {"address", PARAM_LIST(server.addresses), .aliases = "addresses", .from = "MAE",                                   \
     .help = "host:port; only the first of several counts"},                                                           \
        {"host", PARAM_LIST(server.hosts), .aliases = "hosts", .from = "MEA",                                          \
         .help = "instead of address, together with port"},                                                            \
        {"port", PARAM_LIST(server.ports), .aliases = "ports", .from = "MEA", .help = "together with host"},           \
        {"username", PARAM_TEXT(server.username), .from = "MEA",                                                       \
         .help = "ACL user; without one the password is the default user's"},                                          \
        {"password", PARAM_SECRET(server.password), .from = "MEA", .help = "for AUTH"},                                \
        {"databaseIndex", PARAM_INTEGER(server.database), .fallback = "0", .help = "for SELECT"},                      \
        {"enableTLS", PARAM_SWITCH(server.enable_tls), .help = "speak TLS"},                                           \
        {"tls", PARAM_TEXT(server.tls_words), .from = "A", .choices = "enable,disable",                                \
         .help = "the same, from the TriggerAuthentication: enable or disable"},                                       \
        {"unsafeSsl", PARAM_BOOL(server.unsafe), .fallback = "false",                                                  \
         .help = "do not verify the server's certificate"},                                                            \
        {"cert", PARAM_TEXT(server.certificate), .aliases = "Cert", .from = "A", .help = "client certificate, PEM"},   \
        {"key", PARAM_SECRET(server.key), .from = "A", .help = "its key, PEM"},                                        \
        {"keyPassword", PARAM_SECRET(server.key_password), .from = "A", .help = "of an encrypted key"},                \
    {                                                                                                                  \
        "ca", PARAM_TEXT(server.ca), .from = "A", .help = "certificates trusted besides the system's, PEM"             \
    }

#define PARAM_STRUCT struct redis_list
static const struct param list_params[] = {
    CONNECTION_PARAMS,
    {"listName", PARAM_TEXT(key), .required = true, .help = "key of the list, set, sorted set or hash"},
    {"listLength", PARAM_WHOLE(server.common.target), .role = ROLE_TARGET, .fallback = "5",
     .help = "elements one replica should carry"},
    {"activationListLength", PARAM_WHOLE(server.common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {0},
};
#undef PARAM_STRUCT
#define PARAM_STRUCT struct redis_stream
static const struct param stream_params[] = {
    CONNECTION_PARAMS,
    {"stream", PARAM_TEXT(stream), .required = true, .help = "key of the stream"},
    {"consumerGroup", PARAM_TEXT(group), .help = "without it the length of the stream counts"},
    {"pendingEntriesCount", PARAM_WHOLE(pending_target), .role = ROLE_TARGET, .fallback = "5",
     .help = "with consumerGroup: entries delivered and not acknowledged, per replica"},
    {"streamLength", PARAM_WHOLE(length_target), .role = ROLE_TARGET, .fallback = "5",
     .help = "without consumerGroup: entries per replica"},
    {"lagCount", PARAM_WHOLE(lag_target),
     .help = "with consumerGroup: entries not yet delivered, per replica (Redis 7)"},
    {"activationLagCount", PARAM_WHOLE(server.common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active, in all three modes"},
    {0},
};
#undef PARAM_STRUCT

/* ------------------------------------------------------------------ where the server is */

static bool check_tls(struct redis *c, struct trigger_check *check)
{
    if (c->enable_tls != SWITCH_UNSET && c->tls_words)
        return check_error(check, "enableTLS", "leave one of the two out",
                           "enableTLS here and tls in the TriggerAuthentication exclude each other");
    c->tls = c->enable_tls == SWITCH_TRUE || string_equal(c->tls_words, "enable");
    if (c->tls && c->ca && !strstr(c->ca, "-----BEGIN CERTIFICATE-----"))
        check_warning(check, "ca", "put the PEM text of a certificate there",
                      "ca holds no certificate: every poll fails");
    return true;
}

/* 0: none, or out of range. */
static int port_of(const char *digits)
{
    long port = strtol(digits, NULL, 10);

    return port > 0 && port <= 65535 ? (int)port : 0;
}

/* "host:port" or "[v6]:port"; without a port 6379. */
static void split_address(struct redis *c, struct arena *arena, const char *address)
{
    const char *colon = strrchr(address, ':'), *bracket = *address == '[' ? strchr(address, ']') : NULL;

    if (bracket) {
        c->host = arena_copy_bytes(arena, address + 1, (size_t)(bracket - address - 1));
        c->port = bracket[1] == ':' ? port_of(bracket + 2) : 6379;
    } else {
        c->host = colon ? arena_copy_bytes(arena, address, (size_t)(colon - address)) : arena_copy(arena, address);
        c->port = colon ? port_of(colon + 1) : 6379;
    }
}

static bool check_address(struct redis *c, struct trigger_check *check)
{
    const char *address = c->addresses && c->addresses->count > 0 ? c->addresses->items[0] : "";
    size_t pairs = c->hosts && c->ports ? c->hosts->count : 0;

    if (pairs > 0 && c->ports->count != pairs)
        return check_error(check, "port", "write one port for each host", "there are %zu hosts and %zu ports", pairs,
                           c->ports->count);
    if (c->addresses && *address)
        split_address(c, check_arena(check), address);
    else if (!c->addresses && pairs > 0 && *c->hosts->items[0]) {
        c->host = arena_copy(check_arena(check), c->hosts->items[0]);
        c->port = port_of(c->ports->items[0]);
    } else if (check_unknown(check, "address") || check_unknown(check, "host") || check_unknown(check, "port"))
        return true;
    else
        return check_error(check, "address", "write address: host:port, or host and port",
                           "there is neither an address nor host and port");
    if (c->port <= 0 || c->port > 65535)
        check_warning(check, c->addresses ? "address" : "port", "write host:port with a port between 1 and 65535",
                      "there is no such port: every poll fails");
    return true;
}

static bool prepare_server(struct redis *c, struct trigger_check *check)
{
    bool good = check_tls(c, check);

    return check_address(c, check) && good;
}

static bool destination(const void *config, char *out, size_t size)
{
    const struct redis *c = config;

    return c->host && (size_t)snprintf(out, size, "%s:%d", c->host, c->port) < size;
}

/* ------------------------------------------------------------------ the talk */

typedef enum poll_next answer_step(const void *config, struct poll *poll, const struct resp *answer);

struct talk_place {
    bool greeted;
    int greetings; /* answers to AUTH and SELECT still due */
    bool asked_again;
    answer_step *next;
    struct tls_identity identity;
};

static enum poll_next refused(struct poll *poll, const struct resp *answer)
{
    static const char *const denials[] = {"NOAUTH", "WRONGPASS", "NOPERM", "DENIED"};
    static const char *const passing[] = {"LOADING", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN"};

    for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++)
        if (resp_is_error(answer, denials[i]))
            return poll_fail(poll, ERROR_DENIED, "Redis refuses us: %.120s", answer->text);
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        if (resp_is_error(answer, passing[i]))
            return poll_fail(poll, ERROR_UNREACHABLE, "Redis is not ready: %.120s", answer->text);
    if (answer->type == RESP_ERROR)
        return poll_fail(poll, ERROR_NONSENSE, "Redis says: %.120s", answer->text);
    return poll_fail(poll, ERROR_NONSENSE, "Redis answers something else than was asked for");
}

static enum poll_next say(struct poll *poll, answer_step *next, const char *command, const char *first,
                          const char *second)
{
    struct talk_place *place = poll_scratch(poll);
    struct text text;

    text_init(&text, STREAM_REPLY_MAX_BYTES);
    resp_command(&text, command, first, first ? second : NULL, NULL);
    talk_write(poll, text.bytes, text.length);
    text_done(&text);
    place->next = next;
    return talk_more(poll);
}

static void greet(const struct redis *c, struct poll *poll)
{
    struct talk_place *place = poll_scratch(poll);
    struct text text;
    char number[32];

    text_init(&text, STREAM_REPLY_MAX_BYTES);
    if (c->password && c->username)
        resp_command(&text, "AUTH", c->username, secret_reveal(c->password), NULL);
    else if (c->password)
        resp_command(&text, "AUTH", secret_reveal(c->password), NULL);
    place->greetings = c->password != NULL;
    if (c->database > 0) {
        snprintf(number, sizeof(number), "%lld", (long long)c->database);
        resp_command(&text, "SELECT", number, NULL);
        place->greetings++;
    }
    talk_write(poll, text.bytes, text.length);
    explicit_bzero(text.bytes, text.length);
    text_done(&text);
}

static enum poll_next connect(const struct redis *c, struct poll *poll)
{
    struct talk_place *place = poll_scratch(poll);
    struct talk_address address = {.host = c->host, .port = c->port, .tls = c->tls, .timeout_ms = REDIS_TIMEOUT_MS};

    if (!c->host || c->port <= 0 || c->port > 65535)
        return poll_fail(poll, ERROR_INVALID, "there is no host:port to ask");
    if (*c->host == '/')
        return poll_fail(poll, ERROR_INVALID, "a socket of this machine is no address for a trigger");
    if (c->tls) {
        place->identity.insecure = c->unsafe;
        place->identity.ca_pem = c->ca;
        if (c->certificate && c->key) {
            place->identity.certificate_pem = c->certificate;
            place->identity.key_pem = c->key;
            place->identity.key_password = c->key_password;
        }
        address.identity = &place->identity;
    }
    return talk_open(poll, &address);
}

/* Reads the answers there are, one step for each; `first` asks the first real question. */
static enum poll_next converse(const void *config, struct poll *poll, const char *bytes, size_t length,
                               enum poll_next (*first)(const void *config, struct poll *poll))
{
    struct talk_place *place = poll_scratch(poll);
    enum poll_next next = POLL_WAITING;

    if (!bytes)
        return connect(config, poll);
    if (length == 0) { /* open, perhaps anew */
        greet(config, poll);
        return first(config, poll);
    }
    while (next == POLL_WAITING && length > 0) {
        struct resp *answer;
        struct error err;
        size_t used;
        enum resp_progress progress = resp_read(bytes, length, poll_arena(poll), &answer, &used, &err);

        if (progress == RESP_BAD)
            return poll_fail_with(poll, &err);
        if (progress == RESP_MORE)
            return talk_more(poll);
        talk_taken(poll, used);
        bytes += used;
        length -= used;
        if (place->greetings > 0) {
            place->greetings--;
            next = answer->type == RESP_TEXT ? talk_more(poll) : refused(poll, answer);
        } else {
            next = place->next(config, poll, answer);
        }
    }
    return next;
}

static enum poll_next on_count(const void *config, struct poll *poll, const struct resp *answer)
{
    (void)config;
    return answer->type == RESP_INTEGER ? poll_value(poll, (double)answer->integer) : refused(poll, answer);
}

/* ------------------------------------------------------------------ redis */

static enum poll_next ask_type(const void *config, struct poll *poll);

/* The key became another type between the two questions: once more from the start. */
static enum poll_next on_length(const void *config, struct poll *poll, const struct resp *answer)
{
    struct talk_place *place = poll_scratch(poll);

    if (!resp_is_error(answer, "WRONGTYPE") || place->asked_again)
        return on_count(config, poll, answer);
    place->asked_again = true;
    return ask_type(config, poll);
}

static enum poll_next on_type(const void *config, struct poll *poll, const struct resp *answer)
{
    static const char *const commands[][2] = {
        {"list", "LLEN"}, {"none", "LLEN"}, {"set", "SCARD"}, {"zset", "ZCARD"}, {"hash", "HLEN"}};
    const struct redis_list *c = config;

    if (answer->type != RESP_TEXT)
        return refused(poll, answer);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(answer->text, commands[i][0]) == 0)
            return say(poll, on_length, commands[i][1], c->key, NULL);
    return poll_fail(poll, ERROR_NONSENSE, "the key %.60s is a %.40s; a list, set, sorted set or hash can be counted",
                     c->key, answer->text);
}

static enum poll_next ask_type(const void *config, struct poll *poll)
{
    const struct redis_list *c = config;

    return say(poll, on_type, "TYPE", c->key, NULL);
}

static enum poll_next talk_list(const void *config, struct poll *poll, const char *bytes, size_t length)
{
    return converse(config, poll, bytes, length, ask_type);
}

static bool prepare_list(void *config, struct trigger_check *check)
{
    return prepare_server(config, check);
}

static void list_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct redis_list *c = config;

    (void)input;
    text_printf(out, "redis-%s", c->key ? c->key : "");
}

TRIGGER(redis) = {
    .type = "redis",
    .summary = "elements of a Redis list, set, sorted set or hash",
    .params = list_params,
    .config_size = sizeof(struct redis_list),
    .scratch_size = sizeof(struct talk_place),
    .prepare = prepare_list,
    .metric_name = list_name,
    .destination = destination,
    .talk = talk_list,
};

/* ------------------------------------------------------------------ redis-streams */

static enum poll_next ask_length(const void *config, struct poll *poll)
{
    const struct redis_stream *c = config;

    return say(poll, on_count, "XLEN", c->stream, NULL);
}

/* [count, lowest id, highest id, consumers] */
static enum poll_next on_pending(const void *config, struct poll *poll, const struct resp *answer)
{
    (void)config;
    if (answer->type != RESP_LIST || !answer->first || answer->first->type != RESP_INTEGER)
        return refused(poll, answer);
    return poll_value(poll, (double)answer->first->integer);
}

static const struct resp *field_of(const struct resp *pairs, const char *name)
{
    for (const struct resp *key = pairs->first; key && key->next; key = key->next->next)
        if (key->type == RESP_TEXT && strcmp(key->text, name) == 0)
            return key->next;
    return NULL;
}

/* Each group is a list of names and values. A lag that Redis cannot tell (entries were deleted in the middle) counts as 0 in
   KEDA; here it is a missing value. */
static enum poll_next on_groups(const void *config, struct poll *poll, const struct resp *answer)
{
    const struct redis_stream *c = config;

    if (answer->type == RESP_ERROR && strstr(answer->text, "no such key"))
        return poll_value(poll, 0);
    if (resp_is_error(answer, "NOAUTH") || resp_is_error(answer, "NOPERM"))
        return refused(poll, answer);
    for (const struct resp *group = answer->type == RESP_LIST ? answer->first : NULL; group; group = group->next) {
        const struct resp *name = field_of(group, "name"), *lag = field_of(group, "lag");

        if (!name || name->type != RESP_TEXT || strcmp(name->text, c->group) != 0)
            continue;
        if (lag && lag->type == RESP_INTEGER)
            return poll_value(poll, (double)lag->integer);
        return poll_missing(poll, SWITCH_UNSET, "Redis cannot tell the lag of group %.60s (entries were deleted)",
                            c->group);
    }
    return ask_length(config, poll);
}

static enum poll_next on_info(const void *config, struct poll *poll, const struct resp *answer)
{
    const struct redis_stream *c = config;
    const char *line = answer->type == RESP_TEXT ? strstr(answer->text, "redis_version:") : NULL;

    if (answer->type != RESP_TEXT)
        return refused(poll, answer);
    if (!line || strtol(line + strlen("redis_version:"), NULL, 10) < 7)
        return poll_fail(poll, ERROR_NONSENSE, "lagCount needs Redis 7: this one says %.30s",
                         line ? line : "no redis_version");
    return say(poll, on_groups, "XINFO", "GROUPS", c->stream);
}

static enum poll_next ask_stream(const void *config, struct poll *poll)
{
    const struct redis_stream *c = config;

    if (c->mode == MODE_LENGTH)
        return ask_length(config, poll);
    if (c->mode == MODE_PENDING)
        return say(poll, on_pending, "XPENDING", c->stream, c->group);
    return say(poll, on_info, "INFO", "server", NULL);
}

static enum poll_next talk_stream(const void *config, struct poll *poll, const char *bytes, size_t length)
{
    return converse(config, poll, bytes, length, ask_stream);
}

static bool prepare_stream(void *config, struct trigger_check *check)
{
    struct redis_stream *c = config;

    c->mode = !c->group ? MODE_LENGTH : c->lag_target == 0 ? MODE_PENDING : MODE_LAG;
    if (c->mode != MODE_LENGTH) /* parameters of the other modes say nothing */
        c->length_target = 0;
    if (c->mode != MODE_PENDING)
        c->pending_target = 0;
    if (c->mode != MODE_LAG)
        c->lag_target = 0;
    return prepare_server(&c->server, check);
}

static void stream_target(const void *config, struct trigger_metric *metric)
{
    const struct redis_stream *c = config;

    metric->target = c->mode == MODE_LENGTH    ? c->length_target
                     : c->mode == MODE_PENDING ? c->pending_target
                                               : c->lag_target;
}

static void stream_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct redis_stream *c = config;

    (void)input;
    text_printf(out, "redis-streams-%s", c->stream ? c->stream : "");
}

TRIGGER(redis_streams) = {
    .type = "redis-streams",
    .summary = "entries of a Redis stream: its length, what is pending, or a group's lag",
    .params = stream_params,
    .config_size = sizeof(struct redis_stream),
    .scratch_size = sizeof(struct talk_place),
    .prepare = prepare_stream,
    .metric_name = stream_name,
    .target = stream_target,
    .destination = destination,
    .talk = talk_stream,
};
