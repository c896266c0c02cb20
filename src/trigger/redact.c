/*
 * redact: no credential of a trigger gets into what its poll says. A server that refuses us may well repeat what we sent, and its
 * words go into errors, logs, the journal and the dashboard.
 *
 * Hidden, in whatever form (base/hide.h), are the values of all secret parameters and of headers, what an address holds beside host and path,
 * what a connection string says of a password, and every secret that went into a request: tokens that the poll itself was given
 * (etcd, Keystone, GitHub, OAuth2) are in no parameter.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hide.h"
#include "base/secret.h"
#include "trigger/trigger_internal.h"

static void hide_secret(char *text, const struct secret *secret)
{
    hide_secret_bytes(text, secret_reveal(secret), secret_length(secret));
    hide_address_secrets(text, secret_reveal(secret));
    hide_pair_secrets(text, secret_reveal(secret));
}

static void hide_text(char *text, const char *value)
{
    hide_address_secrets(text, value);
    hide_pair_secrets(text, value);
}

static void hide_map(char *text, const struct param_map *map)
{
    for (size_t i = 0; i < map->count; i++)
        if (strlen(map->pairs[i].value) >= HIDE_VALUE_MIN_BYTES)
            hide_secret_bytes(text, map->pairs[i].value, strlen(map->pairs[i].value));
}

static void hide_list(char *text, const struct param_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        hide_address_secrets(text, list->items[i]);
}

static bool holds_pointer(enum param_kind kind)
{
    return kind == PARAM_KIND_SECRET || kind == PARAM_KIND_URL || kind == PARAM_KIND_TEXT || kind == PARAM_KIND_MAP ||
           kind == PARAM_KIND_LIST || kind == PARAM_KIND_BLOCK;
}

static void hide_config(char *text, const struct param *params, const void *config)
{
    for (const struct param *p = params; p->name; p++) {
        const void *value;

        if (!holds_pointer(p->kind))
            continue;
        memcpy(&value, (const char *)config + p->offset, sizeof(value));
        if (!value)
            continue;
        if (p->kind == PARAM_KIND_SECRET)
            hide_secret(text, value);
        else if (p->kind == PARAM_KIND_MAP)
            hide_map(text, value);
        else if (p->kind == PARAM_KIND_LIST)
            hide_list(text, value);
        else if (p->kind == PARAM_KIND_BLOCK)
            hide_config(text, p->block->params, value);
        else
            hide_text(text, value);
    }
}

/* ------------------------------------------------------------------ what was sent */

struct sent {
    struct sent *next;
    struct secret *secret; /* a reference */
};

/* Requests of one poll share their secrets: there are one or two. */
void poll_note_sent(struct poll *poll, const struct secret *secret)
{
    struct sent *sent = poll->sent;

    while (sent && sent->secret != secret)
        sent = sent->next;
    if (sent)
        return;
    sent = arena_alloc(poll->arena, sizeof(*sent));
    sent->secret = secret_ref((struct secret *)secret);
    sent->next = poll->sent;
    poll->sent = sent;
}

void poll_forget_sent(struct poll *poll)
{
    for (; poll->sent; poll->sent = poll->sent->next)
        secret_unref(poll->sent->secret);
}

struct sent *sent_copy(const struct sent *sent)
{
    struct sent *copies = NULL;

    for (; sent; sent = sent->next) {
        struct sent *copy = mem_alloc(sizeof(*copy));

        copy->secret = secret_ref(sent->secret);
        copy->next = copies;
        copies = copy;
    }
    return copies;
}

void sent_free(struct sent *copies)
{
    for (struct sent *next; copies; copies = next) {
        next = copies->next;
        secret_unref(copies->secret);
        free(copies);
    }
}

/* A source's words come to terminals, and into JSON. */
static void tame(struct error *why)
{
    struct text text = {.bytes = why->text, .length = strlen(why->text), .capacity = sizeof(why->text)};

    text_tame(&text, false);
}

void redact(struct error *why, const struct trigger_driver *driver, const void *config, const struct sent *sent)
{
    if (why->text[0] == '\0')
        return;
    for (; sent; sent = sent->next)
        hide_secret_bytes(why->text, secret_reveal(sent->secret), secret_length(sent->secret));
    hide_config(why->text, driver->params, config);
    tame(why);
}
