/*
 * paper: styled text, written once, shown by a pipe, a terminal with colours, or curses.
 *
 *     struct paper paper;
 *     paper_init(&paper, terminal_columns(), terminal_is_unicode());
 *     paper_put(&paper, INK_BAD, "%s", why);
 *     paper_end(&paper);
 *     paper_print(&paper, stdout, colours);
 *     paper_done(&paper);
 *
 * What it is given may come from anywhere (an error of a source, a name, a formula): control characters, which a terminal would obey, and
 * bytes that are no UTF-8 are never passed on. Where the locale is not UTF-8, everything beyond ASCII becomes '?'.
 */
#ifndef WEIR_CLI_PAPER_H
#define WEIR_CLI_PAPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/text.h"

enum ink { INK_PLAIN, INK_STRONG, INK_FAINT, INK_GOOD, INK_WARN, INK_BAD, INK_HEAD, INKS };

struct paper {
    struct text text; /* an ink is a byte of its own before what is written with it */
    int columns;      /* where lines are broken; 0: nowhere */
    bool unicode;
    int column; /* of the line that is being written */
    enum ink ink;
};

void paper_init(struct paper *paper, int columns, bool unicode);
void paper_done(struct paper *paper);
void paper_clear(struct paper *paper);
/* A line end in what is given is a blank: only paper_end ends a line. */
void paper_put(struct paper *paper, enum ink ink, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* One more piece of an enumeration (", 3 ready"): on a line of its own, indented, where it does not fit on this one any more. */
void paper_join(struct paper *paper, enum ink ink, int indent, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void paper_end(struct paper *paper);
/* Blanks up to a column (from 0); at least one, unless the line is empty. */
void paper_to(struct paper *paper, int column);
/* Words, broken at blanks where a line is full; what follows the first line begins at `indent`. Ends the line. */
void paper_wrap(struct paper *paper, enum ink ink, int indent, const char *string);
/* The columns that string takes. */
int paper_width(const struct paper *paper, const char *string);
/* How many bytes fit into so many columns. */
size_t paper_fit(bool unicode, const char *bytes, size_t length, int columns, int *used);

/* Reading it again: spans of one ink, none of them longer than a line; a line's end is the one character \n. */
struct paper_span {
    enum ink ink;
    const char *bytes;
    size_t length;
};
struct paper_reader {
    const char *at, *end;
    enum ink ink;
};
struct paper_reader paper_read(const struct paper *paper);
bool paper_next(struct paper_reader *reader, struct paper_span *span);
bool paper_is_end(const struct paper_span *span);
size_t paper_lines(const struct paper *paper);

/* Whole, however wide. */
void paper_print(const struct paper *paper, FILE *to, bool colours);
/* What switches an ink on in a terminal that knows ECMA-48 ("\033[31m"). */
const char *paper_ink_code(enum ink ink);

#endif
