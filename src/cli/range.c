/* range: see range.h. */
#include "cli/range.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hide.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "net/loop.h"
#include "sim/input.h"

struct range_client {
    struct loop *loop;
    struct transport *transport;
    struct timer *pause;
    struct text body;
    bool failed;
    struct error error;
    int status;
};

static void on_pause(void *arg)
{
    loop_stop(((struct range_client *)arg)->loop);
}

struct range_client *range_client_new(struct error *err)
{
    struct range_client *client = mem_alloc(sizeof(*client));
    struct transport_options options = {.user_agent = NULL};

    text_init(&client->body, RECORD_BODY_MAX_BYTES);
    if (!loop_new_real(&client->loop, err) || !transport_new_real(client->loop, &options, &client->transport, err)) {
        range_client_free(client);
        return NULL;
    }
    client->pause = loop_timer_new(client->loop, on_pause, client);
    return client;
}

void range_client_free(struct range_client *client)
{
    if (!client)
        return;
    loop_timer_free(client->pause);
    transport_free(client->transport);
    if (client->loop)
        loop_free(client->loop);
    text_done(&client->body);
    free(client);
}

/* ------------------------------------------------------------------ one question, once */

static void on_reply(void *arg, const struct http_reply *reply)
{
    struct range_client *client = arg;

    client->failed = reply->failed;
    client->error = reply->error;
    client->status = reply->status;
    text_clear(&client->body);
    if (!reply->failed)
        text_append(&client->body, reply->body, reply->body_length);
    loop_stop(client->loop);
}

static void write_url(const struct range_server *server, const struct range_question *q, struct text *url)
{
    size_t length = strlen(server->url);
    int64_t to_ms = q->from_ms + (int64_t)(q->steps - 1) * q->step_ms;

    while (length > 0 && server->url[length - 1] == '/')
        length--;
    text_append(url, server->url, length);
    text_printf(url, "/api/v1/query_range?%s&start=%lld.%03lld&end=%lld.%03lld&step=%lld.%03lld", q->parameters,
                (long long)(q->from_ms / 1000), (long long)(q->from_ms % 1000), (long long)(to_ms / 1000),
                (long long)(to_ms % 1000), (long long)(q->step_ms / 1000), (long long)(q->step_ms % 1000));
}

static void ask_once(struct range_client *client, const struct range_server *server, const char *url)
{
    transport_http(client->transport,
                   &(struct http_request){.method = "GET",
                                          .url = url,
                                          .headers = server->headers,
                                          .header_count = server->header_count,
                                          .tls = server->tls,
                                          .timeout_ms = RECORD_TIMEOUT_MS,
                                          .body_max_bytes = RECORD_BODY_MAX_BYTES,
                                          .body_bound = "RECORD_BODY_MAX_BYTES"},
                   on_reply, client);
    loop_run(client->loop);
}

/* ------------------------------------------------------------------ what it said */

static bool may_pass(const struct range_client *client)
{
    return client->failed ? client->error.kind == ERROR_UNREACHABLE : client->status == 429 || client->status >= 500;
}

static bool refuse_status(const struct range_client *client, struct error *err)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *tree;
    const char *why = NULL;

    if (tree_read_json(client->body.bytes, client->body.length, false, arena, &tree, NULL))
        why = tree_string(tree_get(tree, "error"));
    if (client->status == 401 || client->status == 403)
        error_set(err, ERROR_DENIED,
                  "it refuses us (status %d): give --bearer-token-file or --header, or a manifest with the credentials",
                  client->status);
    else
        error_set(err, ERROR_NONSENSE, "it answers with status %d%s%.200s", client->status, why ? ": " : "",
                  why ? why : "; is that the base URL of a Prometheus?");
    arena_free(arena);
    return false;
}

static bool is_empty(const struct range_client *client)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *tree;
    const struct tree *result = NULL;

    if (tree_read_json(client->body.bytes, client->body.length, false, arena, &tree, NULL))
        result = tree_at(tree, "data.result");
    bool empty = result && result->type == TREE_LIST && result->count == 0;
    arena_free(arena);
    return empty;
}

/* Points stand at the steps that were asked for. */
static void take_points(const struct input *input, const struct range_question *q, struct range_value *values)
{
    const struct input_value *points;
    size_t count = input_values(input, 0, &points);

    for (size_t i = 0; i < count; i++) {
        int64_t at = input_start_ms(input) + points[i].at_ms - q->from_ms;
        int64_t step = (at + q->step_ms / 2) / q->step_ms;

        if (points[i].kind == INPUT_OK && at >= 0 && step < (int64_t)q->steps)
            values[step] = (struct range_value){.value = points[i].value, .there = true};
    }
}

static bool read_answer(const struct range_client *client, const struct range_question *q, struct range_value *values,
                        struct error *err)
{
    struct input *input;
    bool fine;

    memset(values, 0, q->steps * sizeof(*values));
    if (client->failed) {
        *err = client->error;
        return false;
    }
    if (client->status != 200)
        return refuse_status(client, err);
    if (is_empty(client))
        return true;
    input = input_new();
    fine = input_read(input, "its answer", client->body.bytes, client->body.length, "query", err);
    if (fine)
        take_points(input, q, values);
    input_free(input);
    return fine;
}

/* ------------------------------------------------------------------ the whole span */

/* Of "user:password" in base64. */
static void hide_password(const char *pair, struct error *err)
{
    size_t length = strlen(pair);
    char *plain = mem_array(length + 4, 1);
    const char *colon = EVP_DecodeBlock((unsigned char *)plain, (const unsigned char *)pair, (int)length) < 0
                            ? NULL
                            : strchr(plain, ':');

    if (colon)
        hide_secret_bytes(err->text, colon + 1, strlen(colon + 1));
    explicit_bzero(plain, length);
    free(plain);
}

/* It may well repeat what it was asked with. */
static void hide_credentials(const struct range_server *server, struct error *err)
{
    hide_address_secrets(err->text, server->url);
    for (size_t i = 0; i < server->header_count; i++) {
        const struct http_header *header = &server->headers[i];
        const char *value = header->secret ? secret_reveal(header->secret) : header->value;

        if (value && strlen(value) >= HIDE_VALUE_MIN_BYTES)
            hide_secret_bytes(err->text, value, strlen(value));
        if (header->secret && value && string_starts(header->value ? header->value : "", "Basic "))
            hide_password(value, err);
    }
}

static bool ask_part(struct range_client *client, const struct range_server *server, const struct range_question *q,
                     struct range_value *values, struct error *err)
{
    struct text url;
    int64_t pause_ms = SECOND_MS;

    text_init(&url, HTTP_URL_MAX_BYTES);
    write_url(server, q, &url);
    if (url.overflowed) {
        text_done(&url);
        return error_set(err, ERROR_LIMIT, "the query makes a URL of more than %d bytes (HTTP_URL_MAX_BYTES)",
                         HTTP_URL_MAX_BYTES);
    }
    for (int attempt = 1;; attempt++) {
        ask_once(client, server, url.bytes);
        if (!may_pass(client) || attempt == RECORD_ATTEMPTS_MAX)
            break;
        loop_timer_set(client->pause, pause_ms);
        loop_run(client->loop);
        pause_ms *= 2;
    }
    text_done(&url);
    if (read_answer(client, q, values, err))
        return true;
    hide_credentials(server, err);
    return false;
}

bool range_ask(struct range_client *client, const struct range_server *server, const struct range_question *question,
               struct range_value *values, struct error *err)
{
    for (size_t done = 0; done < question->steps; done += RECORD_RANGE_STEPS) {
        struct range_question part = *question;

        part.from_ms += (int64_t)done * question->step_ms;
        part.steps = question->steps - done < RECORD_RANGE_STEPS ? question->steps - done : RECORD_RANGE_STEPS;
        if (!ask_part(client, server, &part, values + done, err))
            return false;
    }
    return true;
}
