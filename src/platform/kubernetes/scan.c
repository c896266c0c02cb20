/*
 * scan: objects one by one out of a stream of bytes, so that a list of 10,000 costs the memory of the largest of them.
 *
 *     watch:  {"type":"ADDED","object":{...}}\n{...}\n            each line is a piece
 *     list:   {"kind":"PodList","metadata":{...},"items":[ {...} , {...} ]}
 *              ------------------ envelope -------------  piece   piece  -
 *
 * Of a list only brackets, strings and the key "items" of the outermost object are looked at; whether a piece is JSON is for its
 * reader to find. Every byte is met once.
 */
#include <string.h>

#include "base/limits.h"
#include "platform/kubernetes/client_internal.h"

static const char items_key[] = "\"items\"";

void kube_scan_init(struct kube_scan *scan, bool lines, bool (*item)(void *arg, const char *json, size_t length),
                    void *arg)
{
    *scan = (struct kube_scan){.item = item, .arg = arg, .lines = lines};
    text_init(&scan->piece, KUBE_OBJECT_MAX_BYTES);
    text_init(&scan->envelope, KUBE_ENVELOPE_MAX_BYTES);
}

static void wipe_piece(struct kube_scan *scan)
{
    if (scan->is_secret && scan->piece.capacity > 0)
        explicit_bzero(scan->piece.bytes, scan->piece.capacity);
}

void kube_scan_done(struct kube_scan *scan)
{
    wipe_piece(scan);
    text_done(&scan->piece);
    text_done(&scan->envelope);
}

/* A large object leaves a large buffer behind: what most objects need is kept. */
static void forget_piece(struct kube_scan *scan)
{
    enum { KEPT_BYTES = 64 * 1024 };

    wipe_piece(scan);
    if (scan->piece.capacity > KEPT_BYTES) {
        text_done(&scan->piece);
        text_init(&scan->piece, KUBE_OBJECT_MAX_BYTES);
    } else {
        text_clear(&scan->piece);
    }
}

static enum kube_scan_end hand_over(struct kube_scan *scan, const char *json, size_t length)
{
    return scan->item(scan->arg, json, length) ? KUBE_SCAN_FINE : KUBE_SCAN_STOPPED;
}

/* ---- a watch ---- */
static bool is_blank(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!strchr(" \t\r", line[i]) || line[i] == 0)
            return false;
    return true;
}

static enum kube_scan_end feed_lines(struct kube_scan *scan, const char *bytes, size_t length)
{
    while (length > 0) {
        const char *end = memchr(bytes, '\n', length);
        size_t part = end ? (size_t)(end - bytes) : length;
        bool whole = end && scan->piece.length == 0; /* needs no copy */
        enum kube_scan_end how = KUBE_SCAN_FINE;

        if (whole ? part > KUBE_OBJECT_MAX_BYTES : !text_append(&scan->piece, bytes, part))
            return KUBE_SCAN_TOO_LONG;
        if (whole && !is_blank(bytes, part))
            how = hand_over(scan, bytes, part);
        else if (end && !whole && !is_blank(scan->piece.bytes, scan->piece.length))
            how = hand_over(scan, scan->piece.bytes, scan->piece.length);
        if (how != KUBE_SCAN_FINE)
            return how;
        if (end)
            forget_piece(scan);
        part += end ? 1 : 0;
        bytes += part;
        length -= part;
    }
    return KUBE_SCAN_FINE;
}

enum kube_scan_end kube_scan_finish(struct kube_scan *scan)
{
    if (!scan->lines || is_blank(scan->piece.bytes, scan->piece.length))
        return KUBE_SCAN_FINE;
    return hand_over(scan, scan->piece.bytes, scan->piece.length);
}

/* ---- a list ---- */
enum { OUTERMOST = 1, IN_ITEMS = 2 }; /* depths */

static enum kube_scan_end keep(struct kube_scan *scan, char c)
{
    return text_add_char(scan->items_depth ? &scan->piece : &scan->envelope, c) ? KUBE_SCAN_FINE : KUBE_SCAN_TOO_LONG;
}

static void string_ended(struct kube_scan *scan)
{
    size_t length = scan->envelope.length - scan->key_begin;

    scan->in_string = false;
    if (scan->depth == OUTERMOST)
        scan->key_is_items =
            length == sizeof items_key - 1 && memcmp(scan->envelope.bytes + scan->key_begin, items_key, length) == 0;
}

static enum kube_scan_end in_string(struct kube_scan *scan, char c)
{
    enum kube_scan_end how = keep(scan, c);

    if (scan->escaped)
        scan->escaped = false;
    else if (c == '\\')
        scan->escaped = true;
    else if (c == '"')
        string_ended(scan);
    return how;
}

static enum kube_scan_end piece_ended(struct kube_scan *scan)
{
    enum kube_scan_end how = KUBE_SCAN_FINE;

    if (!is_blank(scan->piece.bytes, scan->piece.length))
        how = hand_over(scan, scan->piece.bytes, scan->piece.length);
    if (how == KUBE_SCAN_FINE)
        forget_piece(scan);
    return how;
}

static enum kube_scan_end opened(struct kube_scan *scan, char c)
{
    bool begins_items = c == '[' && scan->depth == OUTERMOST && scan->key_is_items;
    enum kube_scan_end how = keep(scan, c);

    scan->depth++;
    if (begins_items)
        scan->items_depth = scan->depth;
    return how;
}

static enum kube_scan_end closed(struct kube_scan *scan, char c)
{
    enum kube_scan_end how = KUBE_SCAN_FINE;

    if (scan->depth == 0)
        return KUBE_SCAN_NONSENSE;
    if (scan->items_depth == scan->depth) {
        how = piece_ended(scan); /* the last item */
        if (how != KUBE_SCAN_FINE)
            return how;
        scan->items_depth = 0;
        scan->key_is_items = false;
    }
    scan->depth--;
    how = keep(scan, c);
    scan->ended = scan->depth == 0;
    return how;
}

/* What began as something else than an object goes on until there is enough of it to be shown. */
static enum kube_scan_end keep_nonsense(struct kube_scan *scan, char c)
{
    enum { ENOUGH = 80 };

    return keep(scan, c) == KUBE_SCAN_FINE && scan->envelope.length < ENOUGH ? KUBE_SCAN_FINE : KUBE_SCAN_NONSENSE;
}

static enum kube_scan_end feed_char(struct kube_scan *scan, char c)
{
    if (scan->is_nonsense)
        return keep_nonsense(scan, c);
    if (scan->in_string)
        return in_string(scan, c);
    if (scan->ended)
        return strchr(" \t\r\n", c) && c ? KUBE_SCAN_FINE : KUBE_SCAN_NONSENSE;
    switch (c) {
    case '"':
        scan->in_string = true;
        scan->key_begin = scan->envelope.length;
        return keep(scan, c);
    case '{':
    case '[':
        return opened(scan, c);
    case '}':
    case ']':
        return closed(scan, c);
    case ',':
        if (scan->items_depth && scan->depth == IN_ITEMS)
            return piece_ended(scan);
        return keep(scan, c);
    case '\n':
        c = ' ';
        break;
    default:
        break;
    }
    if (scan->depth == 0 && !strchr(" \t\r", c))
        scan->is_nonsense = true;
    return keep(scan, c);
}

static bool is_plain(char c, bool in_string)
{
    if (in_string)
        return c != '"' && c != '\\';
    return c != '"' && c != '{' && c != '}' && c != '[' && c != ']' && c != ',' && c != '\n';
}

/* Bytes of an item that need no look, copied at once: most of a list. */
static size_t plain_run(const struct kube_scan *scan, const char *bytes, size_t length)
{
    size_t run = 0;

    if (!scan->items_depth || scan->escaped)
        return 0;
    while (run < length && is_plain(bytes[run], scan->in_string))
        run++;
    return run;
}

static enum kube_scan_end feed_list(struct kube_scan *scan, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        size_t run = plain_run(scan, bytes + i, length - i);
        enum kube_scan_end how;

        if (run > 0 && !text_append(&scan->piece, bytes + i, run))
            return KUBE_SCAN_TOO_LONG;
        i += run;
        if (i == length)
            break;
        how = feed_char(scan, bytes[i++]);
        if (how != KUBE_SCAN_FINE)
            return how;
    }
    return KUBE_SCAN_FINE;
}

const struct text *kube_scan_envelope(const struct kube_scan *scan)
{
    return scan->ended ? &scan->envelope : NULL;
}

enum kube_scan_end kube_scan_feed(struct kube_scan *scan, const char *bytes, size_t length)
{
    return scan->lines ? feed_lines(scan, bytes, length) : feed_list(scan, bytes, length);
}

/* ---- a part of what is too large as a whole ---- */
const char *kube_scan_member(const char *json, size_t length, const char *key, size_t *value_length)
{
    const char *value = NULL;
    size_t begin = 0, key_length = strlen(key);
    bool in_string = false, in_key = false, found = false;
    int depth = 0;

    for (size_t i = 0; i < length; i++) {
        char c = json[i];

        if (in_string) {
            if (c == '\\')
                i++;
            in_string = c != '"';
            if (!in_string && depth == 1 && in_key)
                found = i - begin == key_length && memcmp(json + begin, key, key_length) == 0;
        } else if (c == '"') {
            in_string = true;
            begin = i + 1;
        } else if (c == '{' || c == '[') {
            in_key = ++depth == 1;
        } else if (depth == 1 && c == ':') {
            in_key = false;
            value = found ? json + i + 1 : NULL;
        } else if (depth == 1 && value && (c == ',' || c == '}')) {
            *value_length = (size_t)(json + i - value);
            return value;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (depth == 1 && c == ',') {
            in_key = true;
        }
    }
    return NULL;
}
