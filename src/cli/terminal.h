/*
 * terminal: what standard output can show, and the screen of `--watch`.
 *
 * No curses: `explain` writes to pipes, logs and terminals alike. Of control sequences only those of ECMA-48 are used that every terminal
 * of today knows, and none where TERM is "dumb" or not set.
 */
#ifndef WEIR_CLI_TERMINAL_H
#define WEIR_CLI_TERMINAL_H

#include <stdbool.h>

struct paper;

/* Reads the locale of the environment for characters; call it once, before what depends on it. */
void terminal_begin(void);
bool terminal_is_unicode(void);
/* color: "auto", "always" or "never". auto: a terminal that is not dumb, and no NO_COLOR in the environment. */
bool terminal_has_colours(const char *color);
/* Of standard output; 0: it is no terminal, so lines are never broken. $COLUMNS where the terminal does not say. */
int terminal_columns(void);
int terminal_rows(void);
/* Can standard output be drawn anew? */
bool terminal_can_redraw(void);

/* The other screen of the terminal, as pagers use it: what stood there is there again after terminal_leave. */
void terminal_enter(void);
void terminal_leave(void);
/* What fits of it, from the top; the last line says how much does not. */
void terminal_draw(const struct paper *paper, bool colours);

#endif
