/* terminal: see terminal.h. */
#include "cli/terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/paper.h"

enum { USUAL_COLUMNS = 80, USUAL_ROWS = 24, COLUMNS_MAX = 1000 };

void terminal_begin(void)
{
    setlocale(LC_CTYPE, "");
}

bool terminal_is_unicode(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static bool is_clever(void)
{
    const char *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

bool terminal_has_colours(const char *color)
{
    const char *refused = getenv("NO_COLOR");

    if (strcmp(color, "auto") != 0)
        return strcmp(color, "always") == 0;
    return is_clever() && (!refused || !*refused);
}

bool terminal_can_redraw(void)
{
    return is_clever();
}

static int said(const char *variable, int otherwise)
{
    const char *value = getenv(variable);
    long number = value ? strtol(value, NULL, 10) : 0;

    return number > 0 && number <= COLUMNS_MAX ? (int)number : otherwise;
}

int terminal_columns(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
    return said("COLUMNS", USUAL_COLUMNS);
}

int terminal_rows(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0)
        return size.ws_row;
    return said("LINES", USUAL_ROWS);
}

/* ------------------------------------------------------------------ the screen */

void terminal_enter(void)
{
    fputs("\033[?1049h\033[?25l", stdout); /* the other screen, without a cursor */
    fflush(stdout);
}

void terminal_leave(void)
{
    fputs("\033[0m\033[?25h\033[?1049l", stdout);
    fflush(stdout);
}

/* A line's rest is wiped rather than the whole screen before it: nothing flickers. */
static void end_row(bool last)
{
    fputs(last ? "\033[0m\033[K" : "\033[0m\033[K\r\n", stdout);
}

static void draw_span(const struct paper *paper, const struct paper_span *span, int columns, int *column, bool colours)
{
    int used;
    size_t length = paper_fit(paper->unicode, span->bytes, span->length, columns - *column, &used);

    if (colours)
        fputs(paper_ink_code(span->ink), stdout);
    fwrite(span->bytes, 1, length, stdout);
    *column += used;
}

void terminal_draw(const struct paper *paper, bool colours)
{
    struct paper_reader reader = paper_read(paper);
    struct paper_span span;
    int rows = terminal_rows(), columns = terminal_columns(), row = 0, column = 0;
    int lines = (int)paper_lines(paper), shown = lines <= rows ? lines : rows - 1;

    fputs("\033[H", stdout);
    while (row < shown && paper_next(&reader, &span)) {
        if (!paper_is_end(&span)) {
            draw_span(paper, &span, columns, &column, colours);
            continue;
        }
        row++;
        column = 0;
        end_row(row == rows);
    }
    if (shown < lines)
        printf("\033[K... %d lines more; make the window higher", lines - shown);
    fputs("\033[J", stdout);
    fflush(stdout);
}
