/*
 * etcd: the number that one key holds. Facts: triggers/etcd.md. The messages are those of etcd's rpc.proto and kv.proto.
 *
 *     Auth/Authenticate? -> on_token -> KV/Range -> on_range -> value
 *                                          `- the token is not valid any more: Authenticate once more
 *
 * A token is kept until it is refused, for all triggers with the same user: the server makes it from the password with much work on
 * purpose. The key is watched as well, and asked for at once when it changes. A user's watch goes out with the token that the polls have got;
 * until there is one, or when it is over, the server ends the watch, and it is opened anew.
 */
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "base/wire.h"
#include "net/transport.h"
#include "trigger/common/nodes.h"
#include "trigger/driver.h"
#include "trigger/grpc.h"

enum { ETCD_TIMEOUT_MS = 5000, VALUE_MAX_BYTES = 400 /* of a number, however it is written */ };

struct etcd {
    struct trigger_config common;
    const struct param_list *endpoints;
    const char *key, *user, *certificate, *ca;
    const struct secret *password, *client_key, *key_password;
    int64_t progress_s;
    int tls; /* 0 enable, 1 disable */
};
struct memory {
    struct nodes_memory nodes; /* first */
    struct secret *token;      /* that this poll goes out with */
};
struct account { /* of all triggers with the same user on the same members */
    struct secret *token;
};
struct calls {
    struct nodes_walk walk; /* first */
    bool asked_again;
};

#define PARAM_STRUCT struct etcd
static const struct param params[] = {
    {"endpoints", PARAM_LIST(endpoints), .required = true, .help = "members of the cluster: host:port, with commas"},
    {"watchKey", PARAM_TEXT(key), .required = true, .question = true, .help = "the key whose value is a number"},
    {"value", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .required = true,
     .help = "value one replica should carry"},
    {"activationValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"watchProgressNotifyInterval", PARAM_INTEGER(progress_s), .fallback = "600", .question = true,
     .help = "seconds; without effect, as a watch that died is found out by the system"},
    {"username", PARAM_TEXT(user), .from = "AE", .help = "user, together with password"},
    {"password", PARAM_SECRET(password), .from = "AE", .help = "together with username"},
    {"tls", PARAM_CHOICE(tls, "enable,disable"), .from = "A", .fallback = "disable", .help = "enable or disable"},
    {"cert", PARAM_TEXT(certificate), .from = "A", .help = "client certificate, PEM"},
    {"key", PARAM_SECRET(client_key), .from = "A", .help = "its key, PEM"},
    {"keyPassword", PARAM_SECRET(key_password), .from = "A", .help = "of an encrypted key"},
    {"ca", PARAM_TEXT(ca), .from = "A", .help = "certificates trusted besides the system's, PEM"},
    {0},
};
#undef PARAM_STRUCT

static bool check_pair(struct trigger_check *check, const char *name, bool has, const char *other, bool has_other)
{
    if (has == has_other || check_input(check)->credential_unknown)
        return true;
    return check_error(check, has ? other : name, "give both, or none", "%s goes together with %s", has ? name : other,
                       has ? other : name);
}

static bool prepare(void *config, struct trigger_check *check)
{
    const struct etcd *c = config;
    bool good = check_pair(check, "cert", c->certificate, "key", c->client_key);

    good = check_pair(check, "username", c->user, "password", c->password) && good;
    if (c->progress_s <= 0)
        good = check_error(check, "watchProgressNotifyInterval", "write the seconds that the server is set to",
                           "watchProgressNotifyInterval has to be above 0");
    return good;
}

/* "http://host:port/" and "host:port" are the same to etcd's clients; https speaks TLS whatever else is said. */
static const char *without_scheme(const char *endpoint, bool *tls)
{
    const char *rest = strstr(endpoint, "://");

    *tls = *tls || string_starts(endpoint, "https://");
    return rest ? rest + 3 : endpoint;
}

static void destinations(const void *config, struct destinations *out)
{
    const struct etcd *c = config;
    char place[TRIGGER_NAME_MAX_BYTES];
    bool tls = false;

    for (size_t i = 0; c->endpoints && i < c->endpoints->count; i++)
        if (grpc_destination(without_scheme(c->endpoints->items[i], &tls), place, sizeof(place)))
            destinations_add_list(out, place, 0);
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    (void)input;
    text_printf(out, "etcd-%s", ((const struct etcd *)config)->key);
}

/* ------------------------------------------------------------------ calls */

static struct request *call(const struct etcd *c, struct poll *poll, size_t node, const char *method,
                            struct text *message)
{
    struct grpc_peer peer = {.tls = c->tls == 0};
    struct tls_identity *identity = arena_alloc(poll_arena(poll), sizeof(*identity));
    const char *address = without_scheme(c->endpoints->items[node], &peer.tls);
    struct request *request;

    *identity = (struct tls_identity){
        .ca_pem = c->ca, .certificate_pem = c->certificate, .key_pem = c->client_key, .key_password = c->key_password};
    peer.address = arena_copy_bytes(poll_arena(poll), address, strcspn(address, "/"));
    peer.identity = peer.tls ? identity : NULL;
    request = grpc_request(poll, &peer, method, message);
    request_timeout(request, ETCD_TIMEOUT_MS);
    return request;
}

static struct request *ask_range(const void *config, struct poll *poll, size_t node)
{
    const struct etcd *c = config;
    const struct memory *memory = poll_memory(poll);
    const struct calls *calls = poll_scratch(poll);
    struct text message;
    struct request *request;

    text_init(&message, GRPC_REQUEST_MAX_BYTES);
    wire_bytes(&message, 1, c->key, strlen(c->key));
    request = call(c, poll, node, "/etcdserverpb.KV/Range", &message);
    request_header_secret(request, "token", "", memory->token);
    if (c->user && !calls->asked_again) {
        grpc_allow(request, GRPC_UNAUTHENTICATED);  /* the token is over */
        grpc_allow(request, GRPC_INVALID_ARGUMENT); /* it is from before rights were changed */
    }
    return request;
}

static struct request *ask_token(const void *config, struct poll *poll, size_t node)
{
    const struct etcd *c = config;
    struct text message;
    struct request *request;

    text_init(&message, GRPC_REQUEST_MAX_BYTES);
    wire_text(&message, 1, c->user);
    wire_bytes(&message, 2, secret_reveal(c->password), secret_length(c->password));
    request = call(c, poll, node, "/etcdserverpb.Auth/Authenticate", &message);
    grpc_allow(request, GRPC_INVALID_ARGUMENT);
    request_secret(request);
    return request;
}

/* The first field of this number and type; false: it is not there, or the message is broken. */
static bool find_field(const void *bytes, size_t length, unsigned number, enum wire_type type, struct wire_field *out)
{
    struct wire_reader in = {bytes, (const uint8_t *)bytes + length, false};
    struct wire_field field;
    bool found = false;

    while (wire_next(&in, &field))
        if (!found && field.number == number && field.type == type) {
            *out = field;
            found = true;
        }
    return found && !in.broken;
}

static bool is_message(const void *bytes, size_t length)
{
    struct wire_reader in = {bytes, (const uint8_t *)bytes + length, false};
    struct wire_field field;

    while (wire_next(&in, &field))
        ;
    return !in.broken;
}

static enum poll_next on_range(const void *config, struct poll *poll, const struct reply *reply);

/* The poll keeps the token that it goes out with, whatever others get meanwhile. */
static enum poll_next ask_with(const struct etcd *c, struct poll *poll, struct secret *token)
{
    struct memory *memory = poll_memory(poll);

    secret_unref(memory->token);
    memory->token = secret_ref(token);
    return nodes_send(c, poll, c->endpoints->count, ask_range, on_range);
}

static enum poll_next on_token(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct etcd *c = config;
    struct account *account = poll_account(poll);
    struct wire_field token;

    if (reply->failed)
        return poll_fail_with(poll, &reply->error);
    if (grpc_status_of(reply) == GRPC_INVALID_ARGUMENT) /* its word for a wrong name or password */
        return poll_fail(poll, ERROR_DENIED, "etcd does not know this user, or the password is another");
    if (!find_field(reply->body, reply->length, 2, WIRE_BYTES, &token) || token.length == 0)
        return poll_fail(poll, ERROR_NONSENSE, "etcd signs us in and gives no token");
    secret_unref(account->token);
    account->token = secret_new(token.bytes, token.length);
    return ask_with(c, poll, account->token);
}

static enum poll_next sign_in(const struct etcd *c, struct poll *poll)
{
    struct calls *calls = poll_scratch(poll);

    calls->asked_again = true;
    return nodes_send(c, poll, c->endpoints->count, ask_token, on_token);
}

/* Another trigger's poll may have got a new one since this one went out. */
static enum poll_next token_is_refused(const struct etcd *c, struct poll *poll)
{
    const struct memory *memory = poll_memory(poll);
    const struct account *account = poll_account(poll);
    struct calls *calls = poll_scratch(poll);

    if (!account->token || account->token == memory->token)
        return sign_in(c, poll);
    calls->asked_again = true;
    return ask_with(c, poll, account->token);
}

static enum poll_next read_value(struct poll *poll, const struct wire_field *value)
{
    char text[VALUE_MAX_BYTES];
    double number;

    if (value->length >= sizeof(text) || !number_parse((const char *)value->bytes, value->length, &number))
        return poll_fail(poll, ERROR_NONSENSE, "the key's value is not a number");
    return poll_value(poll, number);
}

/* RangeResponse{kvs = 2: KeyValue{value = 5}}; a value of no bytes may be left out. */
static enum poll_next on_range(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct etcd *c = config;
    struct wire_field pair, value;

    if (reply->failed)
        return poll_fail_with(poll, &reply->error);
    if (grpc_status_of(reply) != GRPC_OK)
        return token_is_refused(c, poll);
    if (!is_message(reply->body, reply->length))
        return poll_fail(poll, ERROR_NONSENSE, "the answer is not a message of etcd's");
    if (!find_field(reply->body, reply->length, 2, WIRE_BYTES, &pair))
        return poll_fail(poll, ERROR_NONSENSE, "there is no key %.100s", c->key);
    if (!find_field(pair.bytes, pair.length, 5, WIRE_BYTES, &value))
        return poll_fail(poll, ERROR_NONSENSE, "the key %.100s is empty", c->key);
    return read_value(poll, &value);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct etcd *c = config;
    struct account *account = poll_account(poll);

    (void)none; /* nothing was asked yet */
    return c->user && c->password && !account->token ? sign_in(c, poll) : ask_with(c, poll, account->token);
}

static void forget(void *memory)
{
    secret_unref(((struct memory *)memory)->token);
}

static void forget_account(void *account)
{
    secret_unref(((struct account *)account)->token);
}

/* ------------------------------------------------------------------ the watch */

/* WatchRequest{create_request = 1: {key = 1, progress_notify = 4}}; the header: not from a member that has lost its leader. */
static struct request *open_watch(const void *config, struct poll *poll, size_t stream)
{
    const struct etcd *c = config;
    struct text message;
    struct request *request;
    size_t create;

    if (stream > 0)
        return NULL;
    text_init(&message, GRPC_REQUEST_MAX_BYTES);
    create = wire_begin(&message, 1);
    wire_bytes(&message, 1, c->key, strlen(c->key));
    wire_varint(&message, 4, 1);
    wire_end(&message, create);
    request = call(c, poll, 0, "/etcdserverpb.Watch/Watch", &message);
    request_header(request, "hasleader", "true");
    if (c->user)
        request_header_secret(request, "token", "", ((struct account *)poll_account(poll))->token);
    return request;
}

/* WatchResponse{canceled = 4, events = 11}: whatever happened to the key, it is asked for. */
static bool heard(const void *config, size_t stream, const char *message, size_t length, struct trigger_push *push)
{
    struct wire_reader in = {(const uint8_t *)message, (const uint8_t *)message + length, false};
    struct wire_field field;
    bool cancelled = false;

    (void)config;
    (void)stream;
    while (wire_next(&in, &field)) {
        cancelled |= field.number == 4 && field.type == WIRE_VARINT && field.value != 0;
        push->changed |= field.number == 11 && field.type == WIRE_BYTES;
    }
    return !in.broken && !cancelled;
}

TRIGGER(etcd) = {
    .type = "etcd",
    .summary = "the number that a key of etcd holds",
    .about = "The value of the key, read as a number. A key that is not there, is empty or holds something else is a "
             "failure. The key is watched as well, so that a change counts at once and not with the next poll.",
    .example = "metadata:\n"
               "  endpoints: etcd-0.etcd:2379,etcd-1.etcd:2379\n"
               "  watchKey: /jobs/waiting\n"
               "  value: \"10\"\n",
    .locally = "etcd --data-dir /tmp/etcd &\n"
               "ETCDCTL_API=3 etcdctl put /jobs/waiting 25\n",
    .params = params,
    .config_size = sizeof(struct etcd),
    .memory_size = sizeof(struct memory),
    .scratch_size = sizeof(struct calls),
    .account_size = sizeof(struct account),
    .prepare = prepare,
    .metric_name = metric_name,
    .destinations = destinations,
    .forget = forget,
    .forget_account = forget_account,
    .poll = ask,
    .listen = open_watch,
    .heard = heard,
};
