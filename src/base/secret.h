/*
 * secret: bytes nobody may read by accident. It has no text of its own: secret_reveal() is the one way in, and grep shows
 * who uses it. Wiped when freed, compared without timing leaks, never logged, never part of an error or of the journal.
 */
#ifndef WEIR_BASE_SECRET_H
#define WEIR_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct secret;

struct secret *secret_new(const void *bytes, size_t length);
struct secret *secret_ref(struct secret *secret);
void secret_unref(struct secret *secret);               /* wipes with the last reference; NULL is fine */
const char *secret_reveal(const struct secret *secret); /* ends with a 0 byte; valid as long as the reference */
size_t secret_length(const struct secret *secret);
bool secret_equal(const struct secret *a, const struct secret *b);
/* A fingerprint that says nothing about the bytes outside this process: for identity of questions and of connections. */
uint64_t secret_fingerprint(const struct secret *secret);

#endif
