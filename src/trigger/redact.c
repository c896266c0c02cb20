/*
 * redact: no credential of a trigger gets into what its poll says. A server that refuses us may well repeat what we sent, and its
 * words go into errors, logs, the journal and the dashboard.
 *
 * Hidden are the values of all secret parameters, as they are and as a URL writes them, the password of an address, and the
 * encoded pair of a basic sign-in. Words are cut where they get long, so the beginning of a secret at their end counts too.
 */
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "trigger/trigger_internal.h"

enum {
    SECRET_MIN_BYTES = 4,      /* to hide all "1" would garble the words, and show what it hides */
    SECRET_PART_MIN_BYTES = 6, /* of a secret cut off by the end of the words */
};

static const char hidden[] = "***";

static void hide(char *text, const char *secret, size_t length)
{
    size_t text_length = strlen(text), mark = sizeof(hidden) - 1;

    if (length < SECRET_MIN_BYTES)
        return;
    for (size_t i = 0; i < text_length; i++) {
        size_t same = 0;

        while (same < length && text[i + same] == secret[same] && text[i + same] != '\0')
            same++;
        if (same < length && (text[i + same] != '\0' || same < SECRET_PART_MIN_BYTES))
            continue;
        memcpy(text + i, hidden, mark);
        memmove(text + i + mark, text + i + same, text_length - i - same + 1);
        text_length -= same - mark;
        i += mark - 1;
    }
}

static void hide_both_ways(struct poll *poll, const char *secret, size_t length)
{
    struct text escaped;

    hide(poll->why.text, secret, length);
    text_init(&escaped, HTTP_URL_MAX_BYTES);
    url_escape(&escaped, secret);
    if (escaped.length != length)
        hide(poll->why.text, escaped.bytes, escaped.length);
    explicit_bzero(escaped.bytes, escaped.length);
    text_done(&escaped);
}

/* scheme://user:password@host */
static void hide_password(struct poll *poll, const char *url)
{
    const char *begin = strstr(url, "://");

    if (!begin)
        return;
    size_t length = strcspn(begin + 3, "/?#");
    const char *at = memrchr(begin + 3, '@', length),
               *colon = at ? memchr(begin + 3, ':', (size_t)(at - begin - 3)) : NULL;
    if (colon)
        hide(poll->why.text, colon + 1, (size_t)(at - colon - 1));
}

static void hide_config(struct poll *poll, const struct param *params, const void *config)
{
    for (const struct param *p = params; p->name; p++) {
        const void *value;

        if (p->kind != PARAM_KIND_SECRET && p->kind != PARAM_KIND_URL && p->kind != PARAM_KIND_BLOCK)
            continue;
        memcpy(&value, (const char *)config + p->offset, sizeof(value));
        if (!value)
            continue;
        if (p->kind == PARAM_KIND_SECRET)
            hide_both_ways(poll, secret_reveal(value), secret_length(value));
        else if (p->kind == PARAM_KIND_URL)
            hide_password(poll, value);
        else
            hide_config(poll, p->block->params, value);
    }
}

void poll_redact(struct poll *poll, const struct trigger_driver *driver)
{
    if (poll->why.text[0] == '\0')
        return;
    if (poll->basic)
        hide(poll->why.text, secret_reveal(poll->basic), secret_length(poll->basic));
    hide_config(poll, driver->params, poll->config);
}
