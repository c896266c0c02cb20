/*
 * lines: a file line by line, compressed by gzip or plain, or bytes that are there already.
 *
 *     struct lines *in = lines_open("trace.csv.gz", &err);
 *     while (lines_next(in, &line, &length, &err))       -- lines_number(in) counts from 1
 *         ...
 *     if (err.kind != ERROR_NONE) ...                    -- it did not end, it broke
 *     lines_close(in);
 *
 * A line comes without its end ("\n" or "\r\n"); one of more than LINE_MAX_BYTES is an error. So is a compressed file that ends in the
 * middle, unless lines_may_be_cut() was called: then it is read as far as it goes, as its writer may have been killed, and lines_whole()
 * says of the last line that its end is missing.
 * Blocks. Not for threads.
 */
#ifndef WEIR_BASE_LINES_H
#define WEIR_BASE_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct lines;

/* "-" is standard input. NULL: it cannot be opened (MISSING). */
struct lines *lines_open(const char *path, struct error *err);
struct lines *lines_of_bytes(const char *bytes, size_t length); /* borrowed */
void lines_close(struct lines *lines);                          /* NULL is fine */
void lines_may_be_cut(struct lines *lines);
/* The line is valid until the next call, and is followed by a 0 byte. false: the end, with err->kind ERROR_NONE, or why it cannot
   be read on. */
bool lines_next(struct lines *lines, const char **line, size_t *length, struct error *err);
size_t lines_number(const struct lines *lines); /* of the line last given */
bool lines_whole(const struct lines *lines);    /* it had an end */

#endif
