/*
 * top_screen: paper on the whole screen, by curses: everything of `weir top` that a terminal is asked for but its keys.
 *
 *     if (!top_screen_open("auto", &err))
 *         ...
 *     top_screen_draw(&paper, from, chosen, TOP_BAR_KEYS, "q end");
 *     top_screen_close();
 *
 * All rows but the last are the paper's, which must be as wide as COLS or is cut off there; the last one is the bar.
 */
#ifndef WEIR_CLI_TOP_SCREEN_H
#define WEIR_CLI_TOP_SCREEN_H

#include <stdbool.h>

struct error;
struct paper;

/* color: as terminal_has_colours. false: this is no terminal that will do; what stands there is as it was. */
bool top_screen_open(const char *color, struct error *err);
void top_screen_close(void);

enum top_bar { TOP_BAR_KEYS, TOP_BAR_BAD, TOP_BAR_PROMPT /* has the cursor at its end */ };
/* Lines of the paper from `from` on; the line `chosen` stands out, -1: none does. */
void top_screen_draw(const struct paper *paper, int from, int chosen, enum top_bar bar, const char *text);

#endif
