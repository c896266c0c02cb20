/* hide: see hide.h. A form at a time is looked for, at every place of the words: both are short. */
#include "base/hide.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "base/arena.h"
#include "base/text.h"

enum {
    SECRET_MIN_BYTES = 4,
    SECRET_PART_MIN_BYTES = 6, /* of a secret cut off by the end of the words */
    BASE64_CORE_MIN_BYTES = 8, /* what stands there by chance, does so once in 10^14 places */
    BASE64_SECRET_MAX_BYTES = 4096,
};

static const char hidden[] = "***";

/* ------------------------------------------------------------------ one form of a secret */

static void cut_out(char *text, size_t at, size_t length)
{
    size_t mark = sizeof(hidden) - 1, rest = strlen(text + at + length) + 1;

    if (length < mark) { /* nothing this short is hidden */
        memset(text + at, '*', length);
        return;
    }
    memcpy(text + at, hidden, mark);
    memmove(text + at + mark, text + at + length, rest);
}

/* The byte at `at`, as it stands there or as "%2b"; returns how many characters it takes there. */
static size_t percent_read(const char *at, char *byte)
{
    int high = *at == '%' ? hex_digit(at[1]) : -1, low = high >= 0 ? hex_digit(at[2]) : -1;

    *byte = low >= 0 ? (char)(high * 16 + low) : *at;
    return low >= 0 ? 3 : 1;
}

/* The same for what JSON's writers need not escape, and some do for HTML's sake: "\u0026", "\/". */
static size_t escape_read(const char *at, char *byte)
{
    int code = 0;

    if (at[0] != '\\')
        return percent_read(at, byte);
    if (at[1] == '/') {
        *byte = '/';
        return 2;
    }
    if (at[1] != 'u')
        return percent_read(at, byte);
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(at[i]);

        if (digit < 0)
            return percent_read(at, byte);
        code = code * 16 + digit;
    }
    *byte = (char)(code < 0x80 ? code : 0);
    return 6;
}

/* How much of the text at `at` is the secret, whichever of its bytes a writer of URLs or JSON has escaped; 0: it does not stand there. */
static size_t match(const char *at, const char *secret, size_t length)
{
    size_t used = 0, same = 0;
    char byte = 0;

    while (same < length && at[used]) {
        size_t takes = at[used] == secret[same] ? 1 : escape_read(at + used, &byte);

        if (at[used] != secret[same] && byte != secret[same] && !(at[used] == '+' && secret[same] == ' '))
            break;
        used += takes;
        same++;
    }
    bool ended = !at[used] || (at[used] == '%' && strlen(at + used) < 3);
    if (same == length)
        return used;
    return ended && same >= SECRET_PART_MIN_BYTES ? used + strlen(at + used) : 0;
}

static void hide(char *text, const char *secret, size_t length)
{
    if (length < SECRET_MIN_BYTES)
        return;
    for (size_t i = 0; text[i]; i++) {
        size_t used = match(text + i, secret, length);

        if (used == 0)
            continue;
        cut_out(text, i, used);
        i += sizeof(hidden) - 2;
    }
}

/* ------------------------------------------------------------------ base64 */

static bool is_base64(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("+/-_", c));
}

static bool is_same_base64(char a, char b)
{
    return a == b || (a == '-' && b == '+') || (a == '_' && b == '/');
}

/* All of the base64 around it is taken: what stands before and behind the secret says nothing by itself. Returns where its mark ends. */
static size_t hide_run(char *text, size_t at)
{
    size_t from = at, to = at;

    while (from > 0 && is_base64(text[from - 1]))
        from--;
    while (is_base64(text[to]) || text[to] == '=')
        to++;
    cut_out(text, from, to - from);
    return from + sizeof(hidden) - 2;
}

static void hide_core(char *text, const char *core, size_t length)
{
    for (size_t i = 0; text[i]; i++) {
        size_t same = 0;

        while (same < length && text[i + same] && is_same_base64(text[i + same], core[same]))
            same++;
        if (same == length || (!text[i + same] && same >= BASE64_CORE_MIN_BYTES))
            i = hide_run(text, i);
    }
}

/* What does not depend on how many bytes stand before it (modulo 3) or what they are, nor on what comes behind. */
static void hide_base64(char *text, const char *secret, size_t length)
{
    size_t plain_size = length + 3, encoded_size = plain_size / 3 * 4 + 8;

    if (length < SECRET_PART_MIN_BYTES || length > BASE64_SECRET_MAX_BYTES)
        return;
    char *plain = mem_array(plain_size, 1), *encoded = mem_array(encoded_size, 1);
    for (size_t before = 0; before < 3; before++) {
        size_t from = (before * 8 + 5) / 6, to = (before + length) * 8 / 6;

        memcpy(plain + before, secret, length);
        EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)plain, (int)(before + length));
        if (to >= from + BASE64_CORE_MIN_BYTES)
            hide_core(text, encoded + from, to - from);
        plain[before] = 0;
    }
    explicit_bzero(plain, plain_size);
    explicit_bzero(encoded, encoded_size);
    free(plain);
    free(encoded);
}

static void hide_quoted(char *text, const char *secret, size_t length)
{
    struct text quoted;

    text_init(&quoted, length * 6 + 2);
    text_add_json_string(&quoted, secret, length);
    if (quoted.length > length + 2)
        hide(text, quoted.bytes + 1, quoted.length - 2);
    explicit_bzero(quoted.bytes, quoted.length);
    text_done(&quoted);
}

void hide_secret_bytes(char *text, const char *secret, size_t length)
{
    if (length < SECRET_MIN_BYTES)
        return;
    hide(text, secret, length);
    hide_quoted(text, secret, length);
    hide_base64(text, secret, length);
}

/* ------------------------------------------------------------------ addresses */

/* As it is written, and what it means. */
static void hide_piece(char *text, const char *piece, size_t length)
{
    char *plain = mem_array(length + 1, 1);
    size_t at = 0;

    memcpy(plain, piece, length);
    hide_secret_bytes(text, plain, length);
    for (size_t i = 0; i < length; at++)
        i += percent_read(plain + i, &plain[at]);
    plain[at] = '\0';
    if (at != length)
        hide_secret_bytes(text, plain, at);
    explicit_bzero(plain, length);
    free(plain);
}

/* name=value&name=value */
static void hide_query(char *text, const char *query)
{
    size_t pair;

    for (; *query && *query != '#'; query += pair + (query[pair] == '&')) {
        size_t name = strcspn(query, "=&#");

        pair = strcspn(query, "&#");
        if (pair > name + HIDE_VALUE_MIN_BYTES)
            hide_piece(text, query + name + 1, pair - name - 1);
    }
}

void hide_address_secrets(char *text, const char *url)
{
    const char *begin = strstr(url, "://");

    if (!begin)
        return;
    size_t length = strcspn(begin + 3, "/?#");
    const char *at = memrchr(begin + 3, '@', length),
               *colon = at ? memchr(begin + 3, ':', (size_t)(at - begin - 3)) : NULL, *query = strchr(begin, '?');
    if (colon)
        hide_piece(text, colon + 1, (size_t)(at - colon - 1));
    if (query)
        hide_query(text, query + 1);
}

void hide_pair_secrets(char *text, const char *pairs)
{
    static const char *const names[] = {"password",        "pwd",        "passwd", "secret",
                                        "sharedaccesskey", "accountkey", "token"};

    for (const char *equals = strchr(pairs, '='); equals; equals = strchr(equals + 1, '=')) {
        const char *end = equals, *value = equals + 1 + strspn(equals + 1, " ");

        while (end > pairs && end[-1] == ' ')
            end--;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            size_t name = strlen(names[i]);

            if ((size_t)(end - pairs) < name || strncasecmp(end - name, names[i], name) != 0)
                continue;
            bool quoted = *value == '\'' || *value == '"';
            hide_piece(text, value + quoted,
                       quoted ? strcspn(value + 1, (char[]){*value, '\0'}) : strcspn(value, " ;&"));
        }
    }
}
