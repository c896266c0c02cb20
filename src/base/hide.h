/*
 * hide: takes a secret out of words of somebody else, who may have written it in another form: percent-encoded in part or as a whole, in
 * base64 (also behind something else, as in a basic sign-in; then all of that base64 goes), or as JSON has it. Words are cut where they get
 * long, so the beginning of a secret at their end counts too.
 *
 *     hide_secret_bytes(err.text, secret_reveal(password), secret_length(password));    -- "bad password ***"
 */
#ifndef WEIR_BASE_HIDE_H
#define WEIR_BASE_HIDE_H

#include <stddef.h>

/* The text never grows. What has fewer than four bytes is not hidden: to hide all "1" would garble the words, and show what it hides. */
void hide_secret_bytes(char *text, const char *secret, size_t length);
/* What an address holds beside host and path: a password, and values of its query. */
void hide_address_secrets(char *text, const char *url);
/* What a text of name=value pairs, as connection strings are, gives to a name like password. */
void hide_pair_secrets(char *text, const char *pairs);
/* Values of queries and headers are mostly no secrets, and shorter ones are words of every day. */
enum { HIDE_VALUE_MIN_BYTES = 6 };

#endif
