/*
 * top_screen: see top_screen.h. Only functions of curses with a w in front: the others have names like move, of which other rooms of this
 * program have their own.
 */
#include "cli/top_screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NCURSES_NOMACROS
#include <curses.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/paper.h"
#include "cli/terminal.h"

enum { ESCAPE_MS = 25 /* a lone Escape is one after this */ };

static bool has_inks;

static bool open_terminal(struct error *err)
{
    const char *term = getenv("TERM");

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return error_set(err, ERROR_INVALID,
                         "it needs a terminal, as standard input and as standard output; '%s get' prints the same "
                         "table, '%s get -w' again whenever something changes",
                         program_name, program_name);
    if (!term || !newterm(NULL, stdout, stdin))
        return error_set(
            err, ERROR_INVALID,
            "the terminal type '%s' ($TERM) is not known on this machine; set one that is, as in TERM=xterm, "
            "or use '%s get'",
            term ? term : "", program_name);
    if (!tigetstr("cup")) {
        endwin();
        return error_set(err, ERROR_INVALID,
                         "a terminal of the type '%s' ($TERM) cannot move its cursor; use '%s get' there", term,
                         program_name);
    }
    return true;
}

static void prepare(const char *color)
{
    static const short colours[INKS] = {
        [INK_PLAIN] = -1,          [INK_STRONG] = -1,     [INK_FAINT] = -1,       [INK_GOOD] = COLOR_GREEN,
        [INK_WARN] = COLOR_YELLOW, [INK_BAD] = COLOR_RED, [INK_HEAD] = COLOR_CYAN};

    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(ESCAPE_MS);
    curs_set(0);
    has_inks = terminal_has_colours(color) && has_colors() && start_color() == OK && use_default_colors() == OK;
    for (short ink = 0; has_inks && ink < INKS; ink++)
        init_pair((short)(ink + 1), colours[ink], -1);
}

/* Every ink means something that stands there in words too, so a terminal without colours loses nothing. */
static chtype attributes_of(enum ink ink)
{
    static const chtype without[INKS] = {
        [INK_STRONG] = A_BOLD, [INK_FAINT] = A_DIM, [INK_WARN] = A_BOLD, [INK_BAD] = A_BOLD, [INK_HEAD] = A_BOLD};

    if (!has_inks)
        return without[ink];
    return (chtype)COLOR_PAIR(ink + 1) | (ink == INK_STRONG || ink == INK_HEAD ? A_BOLD : 0) |
           (ink == INK_FAINT ? A_DIM : 0);
}

static void draw_span(const struct paper *paper, const struct paper_span *span, int *column, bool chosen)
{
    int used;
    size_t length = paper_fit(paper->unicode, span->bytes, span->length, COLS - *column, &used);

    wattrset(stdscr, (int)(chosen ? A_REVERSE : attributes_of(span->ink)));
    waddnstr(stdscr, span->bytes, (int)length);
    *column += used;
}

static void draw_lines(const struct paper *paper, int from, int chosen)
{
    struct paper_reader reader = paper_read(paper);
    struct paper_span span;
    int line = 0, column = 0;

    while (line - from < LINES - 1 && paper_next(&reader, &span)) {
        if (paper_is_end(&span)) {
            line++;
            column = 0;
            continue;
        }
        if (line < from || column >= COLS)
            continue;
        wmove(stdscr, line - from, column);
        draw_span(paper, &span, &column, line == chosen);
    }
}

/* The last cell of a screen is left alone: writing there makes some terminals scroll. */
static void draw_bar(enum top_bar bar, const char *text)
{
    static const chtype attributes[] = {
        [TOP_BAR_KEYS] = A_REVERSE, [TOP_BAR_BAD] = A_REVERSE | A_BOLD, [TOP_BAR_PROMPT] = A_BOLD};
    int used;
    size_t length = paper_fit(terminal_is_unicode(), text, strlen(text), COLS - 1, &used);

    wmove(stdscr, LINES - 1, 0);
    wattrset(stdscr, (int)attributes[bar]);
    waddnstr(stdscr, text, (int)length);
    for (int column = used; column < COLS - 1; column++)
        waddch(stdscr, ' ');
    curs_set(bar == TOP_BAR_PROMPT);
    wmove(stdscr, LINES - 1, used);
}

void top_screen_draw(const struct paper *paper, int from, int chosen, enum top_bar bar, const char *text)
{
    werase(stdscr);
    draw_lines(paper, from, chosen);
    draw_bar(bar, text);
    wrefresh(stdscr);
}

bool top_screen_open(const char *color, struct error *err)
{
    if (!open_terminal(err))
        return false;
    prepare(color);
    return true;
}

void top_screen_close(void)
{
    endwin();
}
