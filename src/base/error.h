/*
 * error: why something failed, in words for people and a kind for code.
 *
 *     struct error err;
 *     if (!tree_read_json(bytes, length, arena, &tree, &err))
 *         return error_add_place(&err, "shop/checkout");
 *
 * A plain value in the caller's frame: it owns nothing, may be copied, and is never freed. Code decides by `kind`,
 * people read `text`, nothing parses `text`. A function that can fail returns bool; on false its outputs are as they
 * were and *err is set. Passing NULL for err is allowed everywhere: the caller only wants the bool.
 */
#ifndef WEIR_BASE_ERROR_H
#define WEIR_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

enum error_kind {
    ERROR_NONE = 0,
    ERROR_INVALID,     /* the input is wrong: mend the manifest or the command line */
    ERROR_DENIED,      /* the other side refuses us: resolve the credential anew, then ask once more */
    ERROR_UNREACHABLE, /* nobody answers, or not in time: ask again later */
    ERROR_NONSENSE,    /* an answer that cannot be read */
    ERROR_LIMIT,       /* a bound of ours (base/limits.h), named in the text */
    ERROR_MISSING,     /* what was named does not exist: a file, a Secret, a target */
    ERROR_INTERNAL,    /* a bug of ours, or the machine's fault (disk full); the text says which */
};

struct error {
    enum error_kind kind;
    char where[128]; /* "shop/checkout spec.triggers[2].metadata.query", or "" */
    char text[384];  /* one sentence: what is wrong, and what to do about it; never a secret */
};

/* Sets kind and text, clears where. Cuts what does not fit at a UTF-8 boundary. Returns false: failing is one line. */
bool error_set(struct error *err, enum error_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool error_setv(struct error *err, enum error_kind kind, const char *format, va_list args);
/* Puts a place in front of the one already there ("a.yaml:3" + "spec.x" -> "a.yaml:3 spec.x"). Returns false. */
bool error_add_place(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "unreachable", "denied" ...: the word used in metrics and JSON. */
const char *error_kind_name(enum error_kind kind);

#endif
