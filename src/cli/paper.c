/* paper: see paper.h. An ink is written as the byte INK_BASE + ink; bytes below a blank never come from outside, so they are free for that. */
#include "cli/paper.h"

#include <stdarg.h>
#include <string.h>
#include <wchar.h>

#include "base/limits.h"
#include "base/utf8.h"

enum { INK_BASE = 1, REPLACED = '?' };

_Static_assert((int)INK_BASE + (int)INKS <= '\n', "an ink is no line end");

void paper_init(struct paper *paper, int columns, bool unicode)
{
    *paper = (struct paper){.columns = columns, .unicode = unicode};
    text_init(&paper->text, PAPER_MAX_BYTES);
}

void paper_done(struct paper *paper)
{
    text_done(&paper->text);
}

void paper_clear(struct paper *paper)
{
    text_clear(&paper->text);
    paper->column = 0;
    paper->ink = INK_PLAIN;
}

/* ------------------------------------------------------------------ characters */

static bool is_blank(uint32_t rune)
{
    return rune == '\n' || rune == '\t' || rune == '\r';
}

/* Columns of a character that was let in. */
static int rune_width(uint32_t rune)
{
    int width = rune < 0x80 ? 1 : wcwidth((wchar_t)rune);

    return width < 0 ? 1 : width;
}

/* One character of what is given, as it is shown. Returns the bytes it took. */
static size_t clean(const struct paper *paper, const char *bytes, size_t length, char out[5], int *width)
{
    uint32_t rune;
    size_t taken = utf8_decode(bytes, length, &rune);

    *width = 1;
    if (taken == 0 || utf8_is_control(rune) || (rune >= 0x80 && !paper->unicode)) {
        out[0] = taken > 0 && is_blank(rune) ? ' ' : REPLACED;
        out[1] = '\0';
        return taken > 0 ? taken : 1;
    }
    memcpy(out, bytes, taken);
    out[taken] = '\0';
    *width = rune_width(rune);
    return taken;
}

int paper_width(const struct paper *paper, const char *string)
{
    size_t length = strlen(string);
    int columns = 0, width;
    char shown[5];

    for (size_t at = 0; at < length; columns += width)
        at += clean(paper, string + at, length - at, shown, &width);
    return columns;
}

size_t paper_fit(bool unicode, const char *bytes, size_t length, int columns, int *used)
{
    size_t at = 0;

    *used = 0;
    while (at < length) {
        uint32_t rune = 0;
        size_t taken = unicode ? utf8_decode(bytes + at, length - at, &rune) : 1;
        int width = unicode && taken > 0 ? rune_width(rune) : 1;

        if (*used + width > columns)
            break;
        *used += width;
        at += taken > 0 ? taken : 1;
    }
    return at;
}

/* ------------------------------------------------------------------ writing */

static void change_ink(struct paper *paper, enum ink ink)
{
    if (paper->ink == ink)
        return;
    text_add_char(&paper->text, (char)(INK_BASE + (int)ink));
    paper->ink = ink;
}

static void put(struct paper *paper, enum ink ink, const char *bytes, size_t length)
{
    char shown[5];
    int width;

    change_ink(paper, ink);
    for (size_t at = 0; at < length; paper->column += width) {
        at += clean(paper, bytes + at, length - at, shown, &width);
        text_add(&paper->text, shown);
    }
}

void paper_put(struct paper *paper, enum ink ink, const char *format, ...)
{
    struct text words;
    va_list args;

    text_init(&words, PAPER_MAX_BYTES);
    va_start(args, format);
    text_vprintf(&words, format, args);
    va_end(args);
    put(paper, ink, words.bytes, words.length);
    text_done(&words);
}

void paper_end(struct paper *paper)
{
    change_ink(paper, INK_PLAIN);
    text_add_char(&paper->text, '\n');
    paper->column = 0;
}

void paper_to(struct paper *paper, int column)
{
    int blanks = column > paper->column ? column - paper->column : paper->column > 0;

    for (int i = 0; i < blanks; i++)
        put(paper, paper->ink, " ", 1);
}

/* How much of a line fits, up to a blank; a word that is longer than a line is cut through. */
static size_t line_of(const struct paper *paper, const char *bytes, size_t length, int columns)
{
    size_t at = 0, blank = 0;
    int used = 0, width;
    char shown[5];

    while (at < length) {
        size_t taken = clean(paper, bytes + at, length - at, shown, &width);

        if (used + width > columns)
            return blank > 0 ? blank : at > 0 ? at : taken;
        if (shown[0] == ' ' && at > 0)
            blank = at;
        used += width;
        at += taken;
    }
    return length;
}

static void wrap_on(struct paper *paper, enum ink ink, int indent, const char *string)
{
    size_t left = strlen(string);

    while (left > 0) {
        size_t length = left;

        if (paper->columns > indent + 1 && paper->columns > paper->column)
            length = line_of(paper, string, left, paper->columns - paper->column);
        put(paper, ink, string, length);
        string += length;
        left -= length;
        while (left > 0 && (*string == ' ' || *string == '\n'))
            string++, left--;
        if (left > 0) {
            paper_end(paper);
            paper_to(paper, indent);
        }
    }
}

void paper_wrap(struct paper *paper, enum ink ink, int indent, const char *string)
{
    wrap_on(paper, ink, indent, string);
    paper_end(paper);
}

void paper_join(struct paper *paper, enum ink ink, int indent, const char *format, ...)
{
    const char *piece;
    struct text words;
    va_list args;

    text_init(&words, PAPER_MAX_BYTES);
    va_start(args, format);
    text_vprintf(&words, format, args);
    va_end(args);
    piece = words.bytes;
    if (paper->columns > 0 && paper->column > indent && paper->column + paper_width(paper, piece) > paper->columns) {
        size_t joint = strcspn(piece, " "); /* what joins them stays behind */

        put(paper, ink, piece, joint);
        paper_end(paper);
        paper_to(paper, indent);
        piece += joint + strspn(piece + joint, " ");
    }
    wrap_on(paper, ink, indent, piece);
    text_done(&words);
}

/* ------------------------------------------------------------------ reading */

struct paper_reader paper_read(const struct paper *paper)
{
    return (struct paper_reader){paper->text.bytes, paper->text.bytes + paper->text.length, INK_PLAIN};
}

static bool is_ink(char c)
{
    return c >= INK_BASE && c < INK_BASE + INKS;
}

bool paper_next(struct paper_reader *reader, struct paper_span *span)
{
    const char *at = reader->at;

    for (; at < reader->end && is_ink(*at); at++)
        reader->ink = (enum ink)(*at - INK_BASE);
    *span = (struct paper_span){reader->ink, at, 0};
    if (at == reader->end)
        return false;
    if (*at == '\n') {
        at++;
    } else {
        while (at < reader->end && *at != '\n' && !is_ink(*at))
            at++;
    }
    span->length = (size_t)(at - span->bytes);
    reader->at = at;
    return true;
}

bool paper_is_end(const struct paper_span *span)
{
    return span->bytes[0] == '\n';
}

size_t paper_lines(const struct paper *paper)
{
    size_t lines = 0;

    for (const char *at = paper->text.bytes; (at = strchr(at, '\n')); at++)
        lines++;
    return lines;
}

const char *paper_ink_code(enum ink ink)
{
    static const char *const codes[INKS] = {
        [INK_PLAIN] = "\033[0m",   [INK_STRONG] = "\033[0;1m", [INK_FAINT] = "\033[0;2m",   [INK_GOOD] = "\033[0;32m",
        [INK_WARN] = "\033[0;33m", [INK_BAD] = "\033[0;31m",   [INK_HEAD] = "\033[0;1;36m",
    };

    return codes[ink];
}

void paper_print(const struct paper *paper, FILE *to, bool colours)
{
    struct paper_reader reader = paper_read(paper);
    struct paper_span span;
    enum ink ink = INK_PLAIN;

    while (paper_next(&reader, &span)) {
        if (colours && span.ink != ink && !paper_is_end(&span))
            fputs(paper_ink_code(ink = span.ink), to);
        if (colours && paper_is_end(&span) && ink != INK_PLAIN)
            fputs(paper_ink_code(ink = INK_PLAIN), to);
        fwrite(span.bytes, 1, span.length, to);
    }
}
