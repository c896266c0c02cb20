/*
 * dsn: a connection string taken apart. Databases write them in several ways; what they say is the same: where the server is, who
 * asks, which database, and options.
 *
 *     struct dsn dsn;
 *     if (!dsn_read_url("clickhouse://me:pw@db:9000/jobs?secure=true", &dsn, &err)) ...
 *     dsn_host(&dsn, 0, 9000, host, sizeof(host), &port);
 *     dsn_done(&dsn);                              -- the parts are wiped: one of them is a password
 *
 * The parts lie in one copy of the string, decoded in place. Errors never show a piece of it. Also for worker threads.
 */
#ifndef WEIR_TRIGGER_DSN_H
#define WEIR_TRIGGER_DSN_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct text;

enum { DSN_OPTIONS_MAX = 48, DSN_HOST_BYTES = 256 }; /* the longest list of options in use has some 30 words */

struct dsn {
    const char *scheme, *user, *password, *hosts, *path; /* NULL: not there; path without its first '/' */
    struct dsn_option {
        const char *key, *value;
    } options[DSN_OPTIONS_MAX];
    size_t option_count;
    char *copy;
    size_t copy_bytes;
};

/* scheme://user:password@hosts/path?key=value&key=value, percent-encoded */
bool dsn_read_url(const char *text, struct dsn *out, struct error *err);
/* Where the path of such a text begins, undecoded: at a '/', or at what ends it where there is none. */
const char *dsn_url_path(const char *text);
/* key=value;key=value. quotes: '"' as ADO has it, '{' as ODBC (a value may hold what ends its quotes, doubled). */
bool dsn_read_pairs(const char *text, char quotes, struct dsn *out, struct error *err);
/* For other grammars: a copy to cut, and key=value&key=value cut out of it, as it stands or decoded. */
char *dsn_copy(struct dsn *dsn, const char *text);
bool dsn_read_options(struct dsn *dsn, char *text, char separator, bool decoded, struct error *err);
void dsn_decode(char *text);                         /* %41 -> A, in place; what is no such thing stays */
void dsn_escape(struct text *out, const char *part); /* as a part of a URL has to be written */
void dsn_done(struct dsn *dsn);

/* The last option of that name, whatever its case, or NULL. */
const char *dsn_option(const struct dsn *dsn, const char *key);
/* The options that are none of these words, one after the other: a driver keeps its own to itself, the others are the server's. *at
   begins at 0; NULL: there are no more. */
const struct dsn_option *dsn_option_but(const struct dsn *dsn, const char *words, size_t *at);
/* Is it one of these, "a,b,c"? Whatever its case. */
bool dsn_word_in(const char *words, const char *word);
/* The index-th of the comma separated hosts: "name:port", "[v6]:port" or without a port. false: there is no such host. */
bool dsn_host(const char *hosts, size_t index, int default_port, char *host, size_t size, int *port);
/* "name", "name:port" or "[v6]:port", and nothing that a library would take for more than that. */
bool dsn_is_place(const char *place);
/* 1 to 65535, digits alone; else 0. */
int dsn_port(const char *digits);

#endif
