/*
 * pg_words: all that libpq is told about one connection. A word that is left out, libpq looks for by itself: in the environment, in
 * ~/.pgpass, ~/.postgresql and service files. Those are Weir's, not the manifest's, so here every word is told, and a connection text
 * may say only what is about the server.
 *
 *     PQconninfoOption *words = pg_words_read(text, &err);                  -- NULL: it says something it may not
 *     pg_words_set(words, "host", "db");
 *     char *told = pg_words_write(words, &files);                           -- for PQconnectStart(); wiped and freed by the caller
 *     pg_words_free(words);
 *
 * Errors name words of libpq's, never a piece of the text: a password with a blank in it would look like a word. Also for worker threads.
 */
#ifndef WEIR_TRIGGER_PG_WORDS_H
#define WEIR_TRIGGER_PG_WORDS_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "trigger/common/lazy.h"

struct error;

/* clang-format off */
#define LIBPQ_FUNCTIONS(X) \
    X(PQclear) X(PQconnectPoll) X(PQconnectStart) X(PQconninfoFree) X(PQconninfoParse) X(PQconsumeInput) \
    X(PQerrorMessage) X(PQfinish) X(PQgetResult) X(PQgetisnull) X(PQgetlength) X(PQgetvalue) X(PQisBusy) \
    X(PQnfields) X(PQntuples) X(PQresultErrorField) X(PQresultErrorMessage) X(PQresultStatus) \
    X(PQsendQuery) X(PQsendQueryParams) X(PQsetSingleRowMode) X(PQsocket) X(PQstatus) \
    X(PQtransactionStatus)
/* clang-format on */
extern struct libpq {
    LIBPQ_FUNCTIONS(LAZY_POINTER)
} libpq;
extern struct lazy libpq_library; /* for TRIGGER() */

struct pg_files {              /* what of it libpq reads from files: their names, or NULL */
    const char *ca, *identity; /* certificates that are trusted instead of the system's; a certificate and its key */
    const char *key_password;
};

PQconninfoOption *pg_words_read(const char *text, struct error *err);
PQconninfoOption *pg_words_none(void);
/* Of a list by commas an empty piece, or all of it, is a socket of this machine to libpq. */
bool pg_words_name_hosts(const PQconninfoOption *words, struct error *err);
void pg_words_set(PQconninfoOption *words, const char *word, const char *value); /* value NULL: left as it is */
const char *pg_words_get(const PQconninfoOption *words, const char *word);       /* NULL: not said */
/* NULL: it would be longer than anything that can be meant. */
char *pg_words_write(const PQconninfoOption *words, const struct pg_files *files);
void pg_words_free(PQconninfoOption *words); /* wiped; NULL is fine */

#endif
