/*
 * redis_talk: connecting, greeting and asking; see the header.
 *
 *     AUTH? SELECT? -> redis_hear -> TYPE key -> LLEN|SCARD|ZCARD|HLEN -> value
 *                                 -> XLEN stream -> value                              (mode length)
 *                                 -> XPENDING stream group -> value                    (mode pending)
 *                                 -> INFO server, once a connection -> XINFO GROUPS stream -> value | XLEN   (mode lag)
 */
#include "trigger/family/redis_talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"

enum { REDIS_PORT = 6379, HOST_MAX_BYTES = 255 };

/* ------------------------------------------------------------------ where the servers are */

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

struct redis_node redis_node_read(struct arena *arena, const char *address, int usual_port)
{
    const char *colon = strrchr(address, ':'), *bracket = *address == '[' ? strchr(address, ']') : NULL;
    size_t length = bracket ? (size_t)(bracket - address - 1) : colon ? (size_t)(colon - address) : strlen(address);

    if (bracket)
        colon = bracket[1] == ':' ? bracket + 1 : NULL;
    return (struct redis_node){arena_copy_bytes(arena, address + (bracket != NULL), length),
                               colon ? port_of(colon + 1) : usual_port};
}

static void add_nodes(struct redis *c, struct arena *arena, size_t pairs)
{
    size_t addresses = c->addresses ? c->addresses->count : 0;

    c->nodes = arena_array(arena, addresses + pairs, sizeof(*c->nodes));
    for (size_t i = 0; i < addresses; i++)
        if (*c->addresses->items[i])
            c->nodes[c->node_count++] = redis_node_read(arena, c->addresses->items[i], REDIS_PORT);
    for (size_t i = 0; i < pairs; i++)
        if (*c->hosts->items[i])
            c->nodes[c->node_count++] =
                (struct redis_node){arena_copy(arena, c->hosts->items[i]), port_of(c->ports->items[i])};
}

static bool check_nodes(struct redis *c, struct trigger_check *check)
{
    size_t pairs = c->hosts && c->ports ? c->hosts->count : 0;
    const char *first = c->addresses && c->addresses->count > 0 ? c->addresses->items[0]
                        : !c->addresses && pairs > 0            ? c->hosts->items[0]
                                                                : "";

    if (pairs > 0 && c->ports->count != pairs)
        return check_error(check, "port", "write one port for each host", "there are %zu hosts and %zu ports", pairs,
                           c->ports->count);
    if (*first)
        add_nodes(c, check_arena(check), pairs);
    else if (check_unknown(check, "address") || check_unknown(check, "host") || check_unknown(check, "port"))
        return true;
    else
        return check_error(check, "address", "write address: host:port, or host and port",
                           "there is neither an address nor host and port");
    for (size_t i = 0; i < c->node_count; i++)
        if (c->nodes[i].port <= 0)
            check_warning(check, c->addresses ? "address" : "port", "write host:port with a port between 1 and 65535",
                          "there is no such port: it cannot be asked");
    return true;
}

static bool prepare_server(struct redis *c, struct trigger_check *check)
{
    bool good = check_tls(c, check);

    return check_nodes(c, check) && good;
}

void redis_destinations(const void *config, struct destinations *out)
{
    const struct redis *c = config;

    for (size_t i = 0; i < c->node_count; i++)
        destinations_add(out, c->nodes[i].host, c->nodes[i].port);
}

/* ------------------------------------------------------------------ the talk */

struct redis_greeting redis_greeting_of(const struct redis *c)
{
    return (struct redis_greeting){c->username, c->password, c->database};
}

int64_t redis_patience_ms(size_t servers)
{
    int64_t share = REDIS_TIMEOUT_MS / ((int64_t)servers + 1);

    return share > REDIS_PATIENCE_MIN_MS ? share : REDIS_PATIENCE_MIN_MS;
}

enum poll_next redis_open(const struct redis *c, struct poll *poll, const struct redis_node *node,
                          const struct redis_greeting *greeting, int64_t patience_ms, redis_ask *ask)
{
    struct redis_place *place = poll_scratch(poll);
    struct talk_address address = {.host = node->host,
                                   .port = node->port,
                                   .tls = c->tls,
                                   .timeout_ms = REDIS_TIMEOUT_MS,
                                   .patience_ms = patience_ms};

    if (node->port <= 0 || !*node->host || strlen(node->host) > HOST_MAX_BYTES)
        return poll_fail(poll, ERROR_INVALID, "there is no host:port to ask");
    if (*node->host == '/')
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
    place->ask = ask;
    place->greeting = *greeting;
    place->node = *node;
    place->left = true;
    return talk_open(poll, &address);
}

enum error_kind redis_kind(const struct resp *answer)
{
    static const char *const denials[] = {"NOAUTH", "WRONGPASS", "NOPERM", "DENIED"};
    static const char *const passing[] = {"LOADING",  "READONLY",   "CLUSTERDOWN",
                                          "TRYAGAIN", "MASTERDOWN", "ERR max number of clients reached"};

    for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++)
        if (resp_is_error(answer, denials[i]))
            return ERROR_DENIED;
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        if (resp_is_error(answer, passing[i]))
            return ERROR_UNREACHABLE;
    return ERROR_NONSENSE;
}

enum poll_next redis_refused(struct poll *poll, const struct resp *answer)
{
    const struct redis_session *session = talk_session(poll);
    enum error_kind kind = redis_kind(answer);

    if (answer->type != RESP_ERROR)
        return poll_fail(poll, ERROR_NONSENSE, "Redis answers something else than was asked for");
    if (session->greeted && kind != ERROR_UNREACHABLE && !resp_is_error(answer, "NOAUTH"))
        talk_keep(poll); /* it is this question that is refused */
    return poll_fail(poll, kind, "%s: %.120s",
                     kind == ERROR_DENIED        ? "Redis refuses us"
                     : kind == ERROR_UNREACHABLE ? "Redis is not ready"
                                                 : "Redis says",
                     answer->text);
}

enum poll_next redis_say(struct poll *poll, redis_step *next, const char *command, const char *first,
                         const char *second)
{
    struct redis_place *place = poll_scratch(poll);
    struct text text;

    text_init(&text, STREAM_REPLY_MAX_BYTES);
    if (place->asking) { /* holds for the very next command */
        resp_command(&text, "ASKING", NULL);
        place->greetings++;
    }
    resp_command(&text, command, first, first ? second : NULL, NULL);
    talk_write(poll, text.bytes, text.length);
    text_done(&text);
    place->next = next;
    return talk_more(poll);
}

/* Writes what a new connection begins with; the answers are counted. */
static void greet(struct redis_place *place, struct poll *poll, bool is_new)
{
    const struct redis_greeting *g = &place->greeting;
    char number[32];
    struct text text;

    place->greetings = 0;
    text_init(&text, STREAM_REPLY_MAX_BYTES);
    if (is_new && g->password) {
        if (g->username)
            resp_command(&text, "AUTH", g->username, secret_reveal(g->password), NULL);
        else
            resp_command(&text, "AUTH", secret_reveal(g->password), NULL);
        place->greetings++;
    }
    if (is_new && g->database > 0) {
        snprintf(number, sizeof(number), "%lld", (long long)g->database);
        resp_command(&text, "SELECT", number, NULL);
        place->greetings++;
    }
    talk_write(poll, text.bytes, text.length);
    explicit_bzero(text.bytes, text.length);
    text_done(&text);
}

static enum poll_next begin(const void *config, struct poll *poll)
{
    struct redis_place *place = poll_scratch(poll);
    struct redis_session *session = talk_session(poll);

    greet(place, poll, !session->greeted);
    if (place->greetings == 0)
        session->greeted = true;
    return place->ask(config, poll);
}

static enum poll_next take_answer(const void *config, struct poll *poll, const struct resp *answer)
{
    struct redis_place *place = poll_scratch(poll);
    struct redis_session *session = talk_session(poll);

    if (answer->type == RESP_ERROR && place->on_error) {
        enum poll_next next = place->on_error(config, poll, answer);

        if (place->left || next == POLL_ENDED)
            return next;
    }
    if (place->greetings == 0)
        return place->next(config, poll, answer);
    if (answer->type != RESP_TEXT)
        return redis_refused(poll, answer);
    session->greeted = --place->greetings == 0;
    return talk_more(poll);
}

/* Reads the answers there are, one step for each. */
enum poll_next redis_hear(const void *config, struct poll *poll, const char *bytes, size_t length)
{
    struct redis_place *place = poll_scratch(poll);
    enum poll_next next = POLL_WAITING;

    place->left = false;
    if (length == 0) /* open: new, kept, or anew */
        return begin(config, poll);
    while (next == POLL_WAITING && length > 0 && !place->left) {
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
        next = take_answer(config, poll, answer);
    }
    return next;
}

static enum poll_next on_count(const void *config, struct poll *poll, const struct resp *answer)
{
    (void)config;
    return answer->type == RESP_INTEGER ? poll_value(poll, (double)answer->integer) : redis_refused(poll, answer);
}

/* ------------------------------------------------------------------ the length under a key */

/* The key became another type between the two questions: once more from the start. */
static enum poll_next on_length(const void *config, struct poll *poll, const struct resp *answer)
{
    struct redis_place *place = poll_scratch(poll);

    if (!resp_is_error(answer, "WRONGTYPE") || place->asked_again)
        return on_count(config, poll, answer);
    place->asked_again = true;
    return redis_ask_length(config, poll);
}

static enum poll_next on_type(const void *config, struct poll *poll, const struct resp *answer)
{
    static const char *const commands[][2] = {
        {"list", "LLEN"}, {"none", "LLEN"}, {"set", "SCARD"}, {"zset", "ZCARD"}, {"hash", "HLEN"}};
    const struct redis_list *c = config;

    if (answer->type != RESP_TEXT)
        return redis_refused(poll, answer);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(answer->text, commands[i][0]) == 0)
            return redis_say(poll, on_length, commands[i][1], c->key, NULL);
    talk_keep(poll);
    return poll_fail(poll, ERROR_NONSENSE, "the key %.60s is a %.40s; a list, set, sorted set or hash can be counted",
                     c->key, answer->text);
}

enum poll_next redis_ask_length(const void *config, struct poll *poll)
{
    const struct redis_list *c = config;

    return redis_say(poll, on_type, "TYPE", c->key, NULL);
}

/* ------------------------------------------------------------------ the numbers of a stream */

static enum poll_next ask_entries(const void *config, struct poll *poll)
{
    const struct redis_stream *c = config;

    return redis_say(poll, on_count, "XLEN", c->stream, NULL);
}

/* [count, lowest id, highest id, consumers] */
static enum poll_next on_pending(const void *config, struct poll *poll, const struct resp *answer)
{
    (void)config;
    if (answer->type != RESP_LIST || !answer->first || answer->first->type != RESP_INTEGER)
        return redis_refused(poll, answer);
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
        return redis_refused(poll, answer);
    for (const struct resp *group = answer->type == RESP_LIST ? answer->first : NULL; group; group = group->next) {
        const struct resp *name = field_of(group, "name"), *lag = field_of(group, "lag");

        if (!name || name->type != RESP_TEXT || strcmp(name->text, c->group) != 0)
            continue;
        if (lag && lag->type == RESP_INTEGER)
            return poll_value(poll, (double)lag->integer);
        return poll_missing(poll, SWITCH_UNSET, "Redis cannot tell the lag of group %.60s (entries were deleted)",
                            c->group);
    }
    return ask_entries(config, poll);
}

static enum poll_next ask_groups(const struct redis_stream *c, struct poll *poll)
{
    return redis_say(poll, on_groups, "XINFO", "GROUPS", c->stream);
}

static enum poll_next on_info(const void *config, struct poll *poll, const struct resp *answer)
{
    const char *line = answer->type == RESP_TEXT ? strstr(answer->text, "redis_version:") : NULL;
    long version = line ? strtol(line + strlen("redis_version:"), NULL, 10) : 0;

    if (answer->type != RESP_TEXT)
        return redis_refused(poll, answer);
    if (version < 7) {
        talk_keep(poll);
        return poll_fail(poll, ERROR_NONSENSE, "lagCount needs Redis 7: this one says %.30s",
                         line ? line : "no redis_version");
    }
    ((struct redis_session *)talk_session(poll))->knows_lag = true;
    return ask_groups(config, poll);
}

enum poll_next redis_ask_stream(const void *config, struct poll *poll)
{
    const struct redis_stream *c = config;

    if (c->mode == MODE_LENGTH)
        return ask_entries(config, poll);
    if (c->mode == MODE_PENDING)
        return redis_say(poll, on_pending, "XPENDING", c->stream, c->group);
    if (((const struct redis_session *)talk_session(poll))->knows_lag)
        return ask_groups(c, poll);
    return redis_say(poll, on_info, "INFO", "server", NULL);
}

/* ------------------------------------------------------------------ for the drivers' tables */

bool redis_prepare_list(void *config, struct trigger_check *check)
{
    struct redis_list *c = config;

    return prepare_server(&c->server, check);
}

bool redis_prepare_stream(void *config, struct trigger_check *check)
{
    struct redis_stream *c = config;

    c->mode = !c->group ? MODE_LENGTH : c->lag_target == 0 ? MODE_PENDING : MODE_LAG;
    if (c->mode != MODE_LENGTH) /* parameters of the other modes say nothing */
        c->length_target = 0;
    if (c->mode != MODE_PENDING)
        c->pending_target = 0;
    return prepare_server(&c->server, check);
}

void redis_stream_target(const void *config, struct trigger_metric *metric)
{
    const struct redis_stream *c = config;

    metric->target = c->mode == MODE_LENGTH    ? c->length_target
                     : c->mode == MODE_PENDING ? c->pending_target
                                               : c->lag_target;
}

void redis_stream_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct redis_stream *c = config;

    (void)input;
    text_printf(out, "redis-streams-%s", c->stream ? c->stream : "");
}

void redis_list_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct redis_list *c = config;

    (void)input;
    text_printf(out, "redis-%s", c->key ? c->key : "");
}
