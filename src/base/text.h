/*
 * text: bytes that grow up to a limit. The only way bytes from outside get into memory.
 *
 *     struct text body;
 *     text_init(&body, HTTP_BODY_MAX_BYTES);
 *     if (!text_append(&body, bytes, length))      -- over the limit, and unchanged
 *         ...
 *     text_done(&body);
 *
 * Always ends with a 0 byte that does not count. Storage of the caller; moves when it grows.
 */
#ifndef WEIR_BASE_TEXT_H
#define WEIR_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
    char *bytes; /* never NULL after text_init */
    size_t length, capacity, limit;
    bool overflowed; /* something did not fit since text_init or text_clear */
};

void text_init(struct text *text, size_t limit_bytes);
void text_done(struct text *text);
void text_clear(struct text *text);
bool text_append(struct text *text, const char *bytes, size_t length);
bool text_add(struct text *text, const char *string); /* NULL adds nothing */
bool text_add_char(struct text *text, char c);
bool text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool text_vprintf(struct text *text, const char *format, va_list args);
/* Appends a number the shortest way that reads back as the same double ("0.1", "1e+21", "NaN", "+Inf"). */
bool text_add_number(struct text *text, double value);
/* The fewest digits that read back as |value| (finite): "15" and exponent 0 for 1.5. Returns the decimal exponent. */
enum { NUMBER_DIGITS_BYTES = 20 };
int number_digits(double value, char digits[NUMBER_DIGITS_BYTES]);
/* Appends a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
bool text_add_json_string(struct text *text, const char *string, size_t length);
bool text_add_html(struct text *text, const char *string); /* as text or in a quoted attribute; NULL adds nothing */
/* Percent-encoded but for letters, digits and what is kept; a blank becomes `blank` ("+" in forms and queries, "%20" in paths). */
bool text_add_escaped(struct text *text, const char *bytes, size_t length, const char *kept, const char *blank);
/* For a terminal, in place: each byte of what it would obey (utf8_is_control), or that is no character, becomes '?'; line ends and tabs stay
   where `lines` says so. */
void text_tame(struct text *text, bool lines);
/* Hands the bytes over (free() them) and leaves an empty text. */
char *text_take(struct text *text);

/* ---- small questions about C strings ---- */
bool string_equal(const char *a, const char *b); /* NULL equals NULL only */
bool string_starts(const char *string, const char *prefix);
/* Cuts what is of `blanks` off both ends, in place; returns where the rest begins. */
char *string_trim(char *string, const char *blanks);
bool string_ends(const char *string, const char *suffix);
int hex_digit(char c); /* 0..15, or -1 */
/* The nearest of `count` words to `word` by edit distance, or NULL when none is near enough to suggest. */
const char *string_nearest(const char *word, const char *const *words, size_t count);
/* Length of the valid UTF-8 prefix of bytes[0..length). */
size_t utf8_valid_prefix(const char *bytes, size_t length);

#endif
