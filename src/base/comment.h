/*
 * comment: the comments of a YAML text, which libyaml reads over.
 *
 *     struct comment list[100];
 *     size_t count = comments_find(bytes, length, "weir:allow", list, 100);
 *
 * Only comments that begin with the word asked for, so that a text without it costs one search. A # within a string or a
 * block is no comment. Behind a mistake in the YAML everything that looks like a comment counts as one.
 */
#ifndef WEIR_BASE_COMMENT_H
#define WEIR_BASE_COMMENT_H

#include <stdbool.h>
#include <stddef.h>

struct comment {
    int line, column; /* where its # stands, 1-based */
    const char *text; /* behind the word, up to the end of the line; borrowed from the text, not terminated */
    size_t length;
    int about;        /* the line it is about: its own, or the next one that holds something; 0: there is none */
    int doc;          /* its document, counted as in struct place */
    bool head;        /* it stands before everything else of its document ... */
    int document_end; /* ... whose last line this is; INT_MAX: it goes to the end of the file */
};

/* In the order written; at most max. */
size_t comments_find(const char *bytes, size_t length, const char *word, struct comment *out, size_t max);

#endif
