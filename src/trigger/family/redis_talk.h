/*
 * redis_talk: what the six types of Redis share. Where the server is differs (redis.c, redis_sentinel.c, redis_cluster.c), what it is asked
 * there does not: the length under a key, or one of the three numbers of a stream. Facts: triggers/redis.md, redis-streams.md.
 *
 *     static enum poll_next talk(const void *config, struct poll *poll, const char *bytes, size_t length)
 *     {
 *         return bytes ? redis_hear(config, poll, bytes, length) : redis_open(config, poll, &node, &greeting, redis_ask_length);
 *     }
 *
 * A talk is a row of questions. Those of the greeting (AUTH, SELECT) go out together with the first real one, on a new connection
 * only, and the answers come back in order.
 */
#ifndef WEIR_TRIGGER_REDIS_TALK_H
#define WEIR_TRIGGER_REDIS_TALK_H

#include "net/transport.h"
#include "trigger/driver.h"
#include "trigger/family/resp.h"

enum { REDIS_TIMEOUT_MS = 5000, REDIS_PATIENCE_MIN_MS = 500 };

struct redis_node {
    const char *host;
    int port;
};
struct redis { /* what all types of the family have */
    struct trigger_config common;
    const struct param_list *addresses, *hosts, *ports;
    const char *username, *tls_words, *certificate, *ca, *master, *sentinel_username;
    const struct secret *password, *key, *key_password, *sentinel_password;
    int64_t database;
    struct redis_node *nodes; /* those of the parameters, in their order; at least one, unless they are not known yet */
    size_t node_count;
    enum param_switch enable_tls;
    bool unsafe, tls;
};
struct redis_list {
    struct redis server;
    const char *key;
};
enum redis_stream_mode { MODE_LENGTH, MODE_PENDING, MODE_LAG };
struct redis_stream {
    struct redis server;
    const char *stream, *group;
    double pending_target, length_target;
    double
        lag_target; /* also chooses the question, so it is no ROLE_TARGET: two with another lagCount are not shared */
    int mode;
};

/* ------------------------------------------------------------------ parameters */

#define REDIS_ADDRESS_PARAMS(help_)                                                                                    \
    {"address", PARAM_LIST(server.addresses), .aliases = "addresses", .from = "MAE", .help = help_},                   \
        {"host", PARAM_LIST(server.hosts), .aliases = "hosts", .from = "MEA",                                          \
         .help = "instead of address, together with port"},                                                            \
    {                                                                                                                  \
        "port", PARAM_LIST(server.ports), .aliases = "ports", .from = "MEA", .help = "together with host"              \
    }
#define REDIS_ACCESS_PARAMS                                                                                            \
    {"username", PARAM_TEXT(server.username), .from = "MEA",                                                           \
     .help = "ACL user; without one the password is the default user's"},                                              \
        {"password", PARAM_SECRET(server.password), .from = "MEA", .help = "for AUTH"},                                \
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
#define REDIS_DATABASE_PARAM                                                                                           \
    {                                                                                                                  \
        "databaseIndex", PARAM_INTEGER(server.database), .fallback = "0", .help = "for SELECT"                         \
    }
#define REDIS_SENTINEL_PARAMS                                                                                          \
    {"sentinelMaster", PARAM_TEXT(server.master), .from = "MAE", .help = "name of the master that is watched"},        \
        {"sentinelUsername", PARAM_TEXT(server.sentinel_username), .from = "MAE", .help = "ACL user of Sentinel"},     \
    {                                                                                                                  \
        "sentinelPassword", PARAM_SECRET(server.sentinel_password), .from = "MAE", .help = "for AUTH at Sentinel"      \
    }
#define REDIS_LIST_PARAMS                                                                                              \
    {"listName", PARAM_TEXT(key), .required = true, .question = true,                                                  \
     .help = "key of the list, set, sorted set or hash"},                                                              \
        {"listLength", PARAM_WHOLE(server.common.target), .role = ROLE_TARGET, .fallback = "5",                        \
         .help = "elements one replica should carry"},                                                                 \
    {                                                                                                                  \
        "activationListLength", PARAM_WHOLE(server.common.activation), .role = ROLE_ACTIVATION, .fallback = "0",       \
                                                                       .help = "above it the object is active"         \
    }
#define REDIS_STREAM_PARAMS                                                                                            \
    {"stream", PARAM_TEXT(stream), .required = true, .question = true, .help = "key of the stream"},                   \
        {"consumerGroup", PARAM_TEXT(group), .question = true, .help = "without it the length of the stream counts"},  \
        {"pendingEntriesCount", PARAM_WHOLE(pending_target), .role = ROLE_TARGET, .fallback = "5",                     \
         .help = "with consumerGroup: entries delivered and not acknowledged, per replica"},                           \
        {"streamLength", PARAM_WHOLE(length_target), .role = ROLE_TARGET, .fallback = "5",                             \
         .help = "without consumerGroup: entries per replica"},                                                        \
        {"lagCount", PARAM_WHOLE(lag_target), .question = true,                                                        \
         .help = "with consumerGroup: entries not yet delivered, per replica (Redis 7)"},                              \
    {                                                                                                                  \
        "activationLagCount", PARAM_WHOLE(server.common.activation),                                                   \
            .role = ROLE_ACTIVATION, .fallback = "0", .help = "above it the object is active, in all three modes"      \
    }

/* For the driver's table. */
bool redis_prepare_list(void *config, struct trigger_check *check);
bool redis_prepare_stream(void *config, struct trigger_check *check);
void redis_destinations(const void *config, struct destinations *out);
void redis_list_name(const void *config, const struct trigger_input *input, struct text *out);
void redis_stream_name(const void *config, const struct trigger_input *input, struct text *out);
void redis_stream_target(const void *config, struct trigger_metric *metric);

/* ------------------------------------------------------------------ the talk */

typedef enum poll_next redis_ask(const void *config, struct poll *poll);
typedef enum poll_next redis_step(const void *config, struct poll *poll, const struct resp *answer);

struct redis_greeting { /* what a new connection begins with */
    const char *username;
    const struct secret *password;
    int64_t database;
};
struct redis_session {
    bool greeted;
    bool knows_lag; /* it said that it is Redis 7 or later */
};
struct redis_place { /* scratch of a poll */
    redis_ask *ask;  /* what this server is asked first */
    redis_step *next;
    redis_step *on_error; /* sees an error before the step does, and may go elsewhere; NULL: nobody does */
    struct redis_greeting greeting;
    struct redis_node node; /* that is talked to */
    int greetings;          /* answers to AUTH, SELECT and ASKING still due, before that of the question */
    bool asked_again;
    bool asking; /* cluster: say ASKING before each command */
    bool left;   /* another connection was asked for: what else came on this one is not read */
    size_t tried, redirects;
    struct tls_identity identity;
};

/* host:port as a server tells it, or as it stands in parameters; without a port the usual one. */
struct redis_node redis_node_read(struct arena *arena, const char *address, int usual_port);
/* With one of several servers, so that time is left for the others. */
int64_t redis_patience_ms(size_t servers);
/* Goes on with this server; patience_ms: see talk_address. */
enum poll_next redis_open(const struct redis *c, struct poll *poll, const struct redis_node *node,
                          const struct redis_greeting *greeting, int64_t patience_ms, redis_ask *ask);
enum poll_next redis_hear(const void *config, struct poll *poll, const char *bytes, size_t length);
enum poll_next redis_say(struct poll *poll, redis_step *next, const char *command, const char *first,
                         const char *second);
enum error_kind redis_kind(const struct resp *answer); /* of an error reply */
/* Ends the poll with an error reply, or with one of a type that was not asked for. */
enum poll_next redis_refused(struct poll *poll, const struct resp *answer);
struct redis_greeting redis_greeting_of(const struct redis *c);

/* The two questions. */
enum poll_next redis_ask_length(const void *config, struct poll *poll);
enum poll_next redis_ask_stream(const void *config, struct poll *poll);

#endif
