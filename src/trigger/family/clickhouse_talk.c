/*
 * clickhouse_talk: a query over ClickHouse's native protocol (trigger/family/clickhouse_native.h). See clickhouse.h.
 *
 *     hello -> on_hello -> SET limits -> SET options? -> query -> data ... end -> value
 *
 * A kept connection has been greeted and goes on with the query at once. An answer is read to its end, so that the connection can be
 * asked again; rows behind the first do not count.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "net/transport.h"
#include "trigger/common/sql.h"
#include "trigger/family/clickhouse.h"
#include "trigger/family/clickhouse_native.h"

enum {
    QUERY_TIMEOUT_S = 8,            /* what the server may take for the query, so that it does not go on alone */
    COMMAND_MAX_BYTES = 256 * 1024, /* of a query: the server's own bound (max_query_size) */
};

enum stage { STAGE_NEW, STAGE_HELLO, STAGE_LIMITS, STAGE_OPTIONS, STAGE_QUERY };
struct talk_place {
    enum stage stage;
    size_t needed; /* fewer bytes are not worth looking at */
    size_t columns;
    bool has_row, refused;
    double value;
    struct error error;
    enum sample_state state;
    struct tls_identity identity;
};
_Static_assert(sizeof(struct talk_place) <= CLICKHOUSE_SCRATCH_BYTES, "a conversation has room in the scratch");

static enum poll_next connect(const struct clickhouse *c, struct poll *poll)
{
    struct talk_place *at = poll_scratch(poll);
    struct clickhouse_server server = {.http = false};
    char *host = arena_alloc(poll_arena(poll), DSN_HOST_BYTES);
    struct talk_address address = {.host = host, .timeout_ms = CLICKHOUSE_TIMEOUT_MS, .identity = &at->identity};
    struct error err;
    const char *server_name;
    bool good = clickhouse_server(c, &server, &err);

    if (good && (!clickhouse_host(c, &server, host, &address.port) || *host == '/'))
        good = error_set(&err, ERROR_INVALID, "there is no host and port to ask");
    server_name = good ? dsn_option(&server.dsn, "tls_server_name") : NULL;
    address.tls = server.tls;
    at->identity = (struct tls_identity){.insecure = server.unsafe,
                                         .ca_pem = c->ca,
                                         .certificate_pem = c->certificate,
                                         .key_pem = c->key,
                                         .key_password = c->key_password,
                                         .server_name = arena_copy(poll_arena(poll), server_name)};
    dsn_done(&server.dsn);
    return good ? talk_open(poll, &address) : poll_fail_with(poll, &err);
}

static enum poll_next send(struct poll *poll, enum stage stage, struct text *packet)
{
    struct talk_place *at = poll_scratch(poll);

    talk_write(poll, packet->bytes, packet->length);
    explicit_bzero(packet->bytes, packet->length);
    text_done(packet);
    at->stage = stage;
    at->needed = 0;
    return talk_more(poll);
}

static enum poll_next send_query(struct poll *poll, enum stage stage, const char *sql)
{
    struct text packet;

    text_init(&packet, COMMAND_MAX_BYTES);
    clickhouse_query(&packet, sql);
    if (packet.overflowed) {
        text_done(&packet);
        return poll_fail(poll, ERROR_LIMIT, "the query is longer than %d bytes", COMMAND_MAX_BYTES);
    }
    return send(poll, stage, &packet);
}

static enum poll_next say_hello(const struct clickhouse *c, struct poll *poll)
{
    struct clickhouse_server server = {.http = false};
    struct text packet;
    struct error err;

    if (!clickhouse_server(c, &server, &err)) {
        dsn_done(&server.dsn);
        return poll_fail_with(poll, &err);
    }
    text_init(&packet, COMMAND_MAX_BYTES);
    clickhouse_hello(&packet, server.database, server.user, server.password);
    dsn_done(&server.dsn);
    return send(poll, STAGE_HELLO, &packet);
}

/* The options of the string that are settings of the server, as one command; "" where there are none. */
static void write_settings(const struct clickhouse *c, struct text *out)
{
    struct clickhouse_server server = {.http = false};
    size_t at = 0;

    if (clickhouse_server(c, &server, NULL))
        for (const struct dsn_option *option; (option = clickhouse_setting(&server, &at));) {
            text_printf(out, "%s%s = '", out->length == 0 ? "SET " : ", ", option->key);
            for (const char *s = option->value; *s; s++)
                text_printf(out, *s == '\'' || *s == '\\' ? "\\%c" : "%c", *s);
            text_add(out, "'");
        }
    dsn_done(&server.dsn);
}

/* By ErrorCodes.cpp. What is said against a query (no right on a table, too slow, too large) is about this query: others who ask on the
   connection have nothing to do with it. */
static enum error_kind kind_of(int32_t code, bool asked)
{
    static const int32_t denials[] = {192, 193, 194, 195, 291, 497, 516}; /* users, passwords, rights */
    static const int32_t limits[] = {159, 241};                           /* time, memory */
    static const int32_t passing[] = {202, 209, 210, 394};                /* sockets, too many at once */

    for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++)
        if (code == denials[i])
            return asked ? ERROR_NONSENSE : ERROR_DENIED;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        if (code == limits[i])
            return asked ? ERROR_LIMIT : ERROR_UNREACHABLE;
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        if (code == passing[i])
            return ERROR_UNREACHABLE;
    return ERROR_NONSENSE;
}

static enum poll_next refused(struct poll *poll, int32_t code, const char *message, size_t length, bool asked)
{
    if (asked)
        talk_keep(poll);
    return poll_fail(poll, kind_of(code, asked), "ClickHouse refuses us (code %d): %.*s", code,
                     (int)(length < 200 ? length : 200), message);
}

/* What the first row says is worked out when it comes; the answer still has to be read to its end. */
static enum poll_next on_data(struct poll *poll, const struct clickhouse_packet *packet)
{
    struct talk_place *at = poll_scratch(poll);
    struct sql_answer answer = {
        .columns = packet->columns, .row = true, .text = packet->text, .length = packet->text_length};

    if (packet->columns > 0)
        at->columns = packet->columns;
    if (packet->columns > 1)
        return sql_end(poll, &answer, SQL_EMPTY_MISSING);
    if (packet->rows > 0 && !at->has_row) {
        at->has_row = true;
        at->state = sql_number(&answer, SQL_EMPTY_MISSING, &at->value, &at->error);
    }
    return talk_more(poll);
}

static enum poll_next on_end(const struct clickhouse *c, struct poll *poll)
{
    struct talk_place *at = poll_scratch(poll);
    struct clickhouse_session *session = talk_session(poll);
    struct text settings;
    enum poll_next next;

    if (at->stage == STAGE_QUERY) {
        if (!at->has_row)
            return sql_end(poll, &(struct sql_answer){.columns = at->columns}, SQL_EMPTY_MISSING);
        if (at->state == SAMPLE_OK)
            return poll_value(poll, at->value);
        if (at->state == SAMPLE_MISSING)
            return poll_missing(poll, SWITCH_UNSET, "%s", at->error.text);
        talk_keep(poll);
        return poll_fail_with(poll, &at->error);
    }
    text_init(&settings, COMMAND_MAX_BYTES);
    if (at->stage == STAGE_LIMITS)
        write_settings(c, &settings);
    session->greeted = settings.length == 0;
    next = session->greeted ? send_query(poll, STAGE_QUERY, c->query) : send_query(poll, STAGE_OPTIONS, settings.bytes);
    text_done(&settings);
    return next;
}

static enum poll_next on_packet(const struct clickhouse *c, struct poll *poll, enum clickhouse_kind kind,
                                const struct clickhouse_packet *packet)
{
    struct talk_place *at = poll_scratch(poll);
    char limits[64];

    if (kind == CLICKHOUSE_EXCEPTION && at->stage == STAGE_LIMITS)
        return on_end(c, poll); /* a user who may only read cannot set anything: our own deadline still holds */
    if (kind == CLICKHOUSE_EXCEPTION)
        return refused(poll, packet->code, packet->message, packet->message_length, at->stage == STAGE_QUERY);
    if ((kind == CLICKHOUSE_HELLO) != (at->stage == STAGE_HELLO))
        return poll_fail(poll, ERROR_NONSENSE, "ClickHouse answers something else than was asked for");
    if (kind == CLICKHOUSE_HELLO) {
        snprintf(limits, sizeof(limits), "SET max_execution_time = %d", QUERY_TIMEOUT_S);
        return send_query(poll, STAGE_LIMITS, limits);
    }
    if (kind == CLICKHOUSE_DATA && at->stage == STAGE_QUERY)
        return on_data(poll, packet);
    return kind == CLICKHOUSE_END ? on_end(c, poll) : talk_more(poll);
}

enum poll_next clickhouse_talk(const void *config, struct poll *poll, const char *bytes, size_t length)
{
    const struct clickhouse *c = config;
    struct talk_place *at = poll_scratch(poll);
    enum poll_next next = POLL_WAITING;

    if (!bytes)
        return connect(c, poll);
    if (length == 0) { /* open, perhaps anew */
        at->has_row = false;
        at->columns = 0;
        return ((struct clickhouse_session *)talk_session(poll))->greeted ? send_query(poll, STAGE_QUERY, c->query)
                                                                          : say_hello(c, poll);
    }
    while (next == POLL_WAITING && length > 0 && length >= at->needed) {
        struct clickhouse_packet packet;
        struct error err;
        enum clickhouse_kind kind = clickhouse_read(bytes, length, &packet, &err);

        if (kind == CLICKHOUSE_BAD)
            return poll_fail_with(poll, &err);
        at->needed = packet.needed;
        if (kind == CLICKHOUSE_MORE)
            return talk_more(poll);
        next = on_packet(c, poll, kind, &packet);
        talk_taken(poll, packet.used);
        bytes += packet.used;
        length -= packet.used;
    }
    return next;
}
