/*
 * utf8: characters in and out of bytes. Strict: overlong forms, surrogates and anything above U+10FFFF are invalid.
 */
#ifndef WEIR_BASE_UTF8_H
#define WEIR_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, stands for each byte that is not part of a character, as in Go */

/* Bytes of the character at the start of bytes[0..length), 0 if there is none. rune may be NULL. */
size_t utf8_decode(const char *bytes, size_t length, uint32_t *rune);
/* Writes 1..4 bytes and returns how many; what is no character is written as U+FFFD. */
size_t utf8_encode(uint32_t rune, char out[4]);
/* What a terminal would obey rather than show: controls of both sets, and those that turn the direction of writing. */
bool utf8_is_control(uint32_t rune);

#endif
