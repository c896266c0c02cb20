/*
 * weir top: all objects on the whole screen, live, and each as `weir explain` shows it.
 *
 *     table --Enter--> object --q, Esc--> table --q--> the end
 *       |  /, n: a line to type in (prompt), the table following with every key
 *
 * What is shown is made on paper (top_table.c, explain_output.c); here are the screen and the keys. Questions wait for their answer, at most
 * some seconds when Weir hangs, and Ctrl-C ends that. The table is asked for every LIST_MS, the object when Weir rings (client.h).
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NCURSES_NOMACROS /* and only the functions with w: others have names like move, of which other rooms have their own */
#include <curses.h>

#include "base/error.h"
#include "base/time.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/explain_output.h"
#include "cli/explain_view.h"
#include "cli/interrupt.h"
#include "cli/paper.h"
#include "cli/terminal.h"
#include "cli/top_table.h"

static const char *data_dir, *ns = "", *color = "auto", *name_filter = "";
static bool attention;

static const struct option_row options[] = {
    {"namespace", 'n', OPTION_TEXT, &ns, "NAMESPACE", "only this namespace, at first (all)"},
    {"filter", 0, OPTION_TEXT, &name_filter, "TEXT", "only names that contain this, at first"},
    {"attention", 0, OPTION_FLAG, &attention, NULL, "only objects that need attention, at first"},
    {"color", 0, OPTION_CHOICE, &color, "auto|always|never",
     "auto: unless NO_COLOR is set in the environment (auto)"},
    {"data-dir", 0, OPTION_TEXT, &data_dir, "DIR", "the data dir of the Weir to ask"},
    {0},
};

enum {
    LIST_MS = 1000,
    FAR_MS = 2000, /* through an API server: others use it too */
    DRAW_MS = 1000,
    ESCAPE_MS = 25, /* a lone Escape is one after this */
    GONE_AFTER = 20,
    EDGE_ROWS = 3,  /* title, headings and keys around the table */
    KEY_ESCAPE = 27,
    KEY_RUBOUT = 127,
};

enum page { PAGE_TABLE, PAGE_OBJECT, PAGE_HELP };

struct top {
    struct top_table table;
    enum page page;
    bool quits;
    struct paper paper;
    int64_t asked_ms; /* when what is shown was asked for */
    /* the object */
    char kind[NAME_MAX_BYTES], space[NAME_MAX_BYTES], name[NAME_MAX_BYTES];
    struct client_bell *bell;
    json_t *view; /* NULL: not yet */
    struct error error;
    int scrolled; /* lines above the screen */
    /* the line to type in */
    char *typed; /* the field of the table that it changes; NULL: none is being typed */
    const char *prompt;
    char before[NAME_MAX_BYTES]; /* what stood in it: Escape brings it back */
};

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * SECOND_MS + now.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------ the screen */

static bool has_inks;

static bool open_screen(struct error *err)
{
    const char *term = getenv("TERM");

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return error_set(err, ERROR_INVALID,
                         "it needs a terminal, as standard input and as standard output; '%s get' prints the same table, "
                         "'%s get -w' again whenever something changes",
                         program_name, program_name);
    if (!term || !newterm(NULL, stdout, stdin))
        return error_set(err, ERROR_INVALID,
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

static void prepare_screen(void)
{
    static const short colours[INKS] = {[INK_PLAIN] = -1,         [INK_STRONG] = -1,          [INK_FAINT] = -1,
                                        [INK_GOOD] = COLOR_GREEN, [INK_WARN] = COLOR_YELLOW,  [INK_BAD] = COLOR_RED,
                                        [INK_HEAD] = COLOR_CYAN};

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
    static const chtype without[INKS] = {[INK_STRONG] = A_BOLD, [INK_FAINT] = A_DIM,  [INK_WARN] = A_BOLD,
                                         [INK_BAD] = A_BOLD,    [INK_HEAD] = A_BOLD};

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

/* Lines of the paper from `from` on, into the rows from `top` to `bottom`; the line `chosen` stands out. */
static void draw_lines(const struct paper *paper, int from, int top, int bottom, int chosen)
{
    struct paper_reader reader = paper_read(paper);
    struct paper_span span;
    int line = 0, column = 0;

    while (top + line - from < bottom && paper_next(&reader, &span)) {
        if (paper_is_end(&span)) {
            line++;
            column = 0;
            continue;
        }
        if (line < from || column >= COLS)
            continue;
        wmove(stdscr, top + line - from, column);
        draw_span(paper, &span, &column, line == chosen);
    }
}

static void draw_bar(int row, chtype attributes, const char *text)
{
    int used;
    size_t length = paper_fit(terminal_is_unicode(), text, strlen(text), COLS, &used);

    if (row < 0)
        return;
    wmove(stdscr, row, 0);
    wattrset(stdscr, (int)attributes);
    waddnstr(stdscr, text, (int)length);
    for (; used < COLS - 1; used++)
        waddch(stdscr, ' ');
}

/* ------------------------------------------------------------------ pages */

static const char *const help[] = {
    "up, down, PgUp, PgDn, Home, End   move",
    "Enter                             the object as 'weir explain' shows it; q or Escape: back",
    "/                                 only names that contain what is typed",
    "n                                 only one namespace; empty: all",
    "a                                 only what needs attention, or everything",
    "s                                 another order: attention, name, replicas, changed",
    "r                                 ask now",
    "q                                 the end",
    "",
    "REPLICAS are ready/wanted. STATE is the worst that is true of an object.",
};

static void lay_out_help(struct top *t)
{
    paper_put(&t->paper, INK_HEAD, "keys");
    paper_end(&t->paper);
    for (size_t i = 0; i < sizeof(help) / sizeof(help[0]); i++) {
        paper_put(&t->paper, INK_PLAIN, "%s", help[i]);
        paper_end(&t->paper);
    }
}

static void lay_out_object(struct top *t)
{
    if (t->view)
        explain_put(&t->paper, t->view, false, clock_ms(CLOCK_REALTIME));
    else
        paper_put(&t->paper, INK_PLAIN, "%s/%s", t->space, t->name);
    if (!t->view)
        paper_end(&t->paper);
}

static void draw_table(struct top *t)
{
    top_table_set_rows(&t->table, LINES - EDGE_ROWS);
    if (top_table_is_short(&t->table) && t->table.error.kind == ERROR_NONE)
        top_table_fetch(&t->table);
    top_table_put_title(&t->table, &t->paper);
    top_table_put(&t->table, &t->paper);
    draw_lines(&t->paper, 0, 0, LINES - 1, (int)(t->table.chosen - t->table.first) + 2);
}

static void draw_scrolled(struct top *t)
{
    int most = (int)paper_lines(&t->paper) - (LINES - 1);

    if (t->scrolled > most)
        t->scrolled = most;
    if (t->scrolled < 0)
        t->scrolled = 0;
    draw_lines(&t->paper, t->scrolled, 0, LINES - 1, -1);
}

static void draw_foot(const struct top *t)
{
    const struct error *err = t->page == PAGE_OBJECT ? &t->error : &t->table.error;
    char line[sizeof(err->text) + 32];

    if (t->typed) {
        snprintf(line, sizeof(line), "%s: %.200s", t->prompt, t->typed);
        draw_bar(LINES - 1, A_BOLD, line);
        curs_set(1);
        wmove(stdscr, LINES - 1, (int)strlen(line) < COLS ? (int)strlen(line) : COLS - 1);
        return;
    }
    curs_set(0);
    if (err->kind != ERROR_NONE && t->page != PAGE_HELP) {
        snprintf(line, sizeof(line), "not the newest: %s", err->text);
        draw_bar(LINES - 1, attributes_of(INK_BAD) | A_REVERSE, line);
    } else {
        draw_bar(LINES - 1, A_REVERSE,
                 t->page == PAGE_TABLE    ? "q end  Enter explain  / name  n namespace  s order  a attention  ? help"
                 : t->page == PAGE_OBJECT ? "q back  up, down, PgUp, PgDn  r ask now"
                                          : "q back");
    }
}

static void draw(struct top *t)
{
    werase(stdscr);
    paper_clear(&t->paper);
    t->paper.columns = COLS;
    if (t->page == PAGE_TABLE) {
        draw_table(t);
    } else {
        if (t->page == PAGE_OBJECT)
            lay_out_object(t);
        else
            lay_out_help(t);
        draw_scrolled(t);
    }
    draw_foot(t);
    wrefresh(stdscr);
}

/* ------------------------------------------------------------------ asking */

static void fetch_object(struct top *t)
{
    struct explain_wish wish = {.data_dir = t->table.data_dir,
                                .kind = t->kind,
                                .ns = t->space,
                                .name = t->name,
                                .span_ms = HOUR_MS,
                                .points = explain_points(COLS)};
    json_t *view;

    t->error.kind = ERROR_NONE;
    if (explain_view(&wish, &view, &t->error) != ASK_OK)
        return;
    json_decref(t->view);
    t->view = view;
}

static void ask_now(struct top *t)
{
    if (t->page == PAGE_OBJECT)
        fetch_object(t);
    else if (t->page == PAGE_TABLE)
        top_table_fetch(&t->table);
    t->asked_ms = clock_ms(CLOCK_MONOTONIC);
}

static void ask_if_due(struct top *t, enum bell rang)
{
    int64_t age_ms = clock_ms(CLOCK_MONOTONIC) - t->asked_ms;

    if (rang == BELL_LOST) {
        client_bell_close(t->bell);
        t->bell = NULL;
    }
    if (rang == BELL_RANG || age_ms >= (client_is_cluster() || t->page == PAGE_OBJECT ? FAR_MS : LIST_MS))
        ask_now(t);
}

/* ------------------------------------------------------------------ from page to page */

static void leave_object(struct top *t)
{
    client_bell_close(t->bell);
    json_decref(t->view);
    t->bell = NULL;
    t->view = NULL;
    t->page = PAGE_TABLE;
}

static void enter_object(struct top *t)
{
    const json_t *chosen = top_table_chosen(&t->table);

    if (!chosen)
        return;
    snprintf(t->kind, sizeof(t->kind), "%s", view_text(chosen, "kind"));
    snprintf(t->space, sizeof(t->space), "%s", view_text(chosen, "namespace"));
    snprintf(t->name, sizeof(t->name), "%s", view_text(chosen, "name"));
    t->page = PAGE_OBJECT;
    t->scrolled = 0;
    ask_now(t);
    t->bell = client_bell_open(t->table.data_dir, t->kind, t->space, t->name);
}

static void begin_typing(struct top *t, char *field, const char *prompt)
{
    t->typed = field;
    t->prompt = prompt;
    snprintf(t->before, sizeof(t->before), "%s", field);
}

static void look_anew(struct top *t)
{
    top_table_restart(&t->table);
    ask_now(t);
}

/* ------------------------------------------------------------------ keys */

static void type(struct top *t, int key)
{
    size_t length = strlen(t->typed);

    if (key == '\r' || key == '\n' || key == KEY_ENTER) {
        t->typed = NULL;
        return;
    }
    if (key == KEY_ESCAPE) {
        snprintf(t->typed, NAME_MAX_BYTES, "%s", t->before);
        look_anew(t);
        t->typed = NULL;
        return;
    }
    if ((key == KEY_BACKSPACE || key == KEY_RUBOUT || key == '\b') && length > 0)
        t->typed[length - 1] = '\0';
    else if (key < KEY_RUBOUT && isgraph(key) && length + 1 < NAME_MAX_BYTES)
        t->typed[length] = (char)key, t->typed[length + 1] = '\0';
    else
        return;
    look_anew(t);
}

/* How far a key goes; 0: it is no such key. */
static long way_of(int key, long page, long all)
{
    switch (key) {
    case KEY_UP:
    case 'k':
        return -1;
    case KEY_DOWN:
    case 'j':
        return 1;
    case KEY_PPAGE:
        return -page;
    case KEY_NPAGE:
    case ' ':
        return page;
    case KEY_HOME:
    case 'g':
        return -all;
    case KEY_END:
    case 'G':
        return all;
    default:
        return 0;
    }
}

static void take_table_key(struct top *t, int key)
{
    struct top_table *table = &t->table;

    switch (key) {
    case 'q':
        t->quits = true;
        return;
    case '\r':
    case '\n':
    case KEY_ENTER:
        enter_object(t);
        return;
    case '/':
        begin_typing(t, table->filter, "name has");
        return;
    case 'n':
        begin_typing(t, table->ns, "namespace");
        return;
    case 's':
        table->sort = (table->sort + 1) % TABLE_SORTS;
        look_anew(t);
        return;
    case 'a':
        table->attention = !table->attention;
        look_anew(t);
        return;
    default:
        top_table_move(table, way_of(key, table->rows, table->matched));
    }
}

static void take_key(struct top *t, int key)
{
    if (t->typed)
        type(t, key);
    else if (key == 'r')
        ask_now(t);
    else if (key == '?' && t->page == PAGE_TABLE)
        t->page = PAGE_HELP;
    else if (t->page == PAGE_TABLE)
        take_table_key(t, key);
    else if (key == 'q' || key == KEY_ESCAPE || key == KEY_LEFT || key == KEY_BACKSPACE)
        leave_object(t);
    else
        t->scrolled += (int)way_of(key, LINES - 2, (long)paper_lines(&t->paper));
}

/* ------------------------------------------------------------------ the command */

/* How many keys there were. */
static int take_keys(struct top *t)
{
    int count = 0;

    for (int key; !t->quits && (key = wgetch(stdscr)) != ERR; count++)
        take_key(t, key);
    return count;
}

static void run_screen(struct top *t)
{
    int nothing = 0; /* times in a row that there was something to read and no key: the terminal has gone */

    while (!t->quits && !interrupted && nothing < GONE_AFTER) {
        draw(t);
        enum bell rang = client_bell_wait(t->page == PAGE_OBJECT ? t->bell : NULL, STDIN_FILENO, DRAW_MS);
        nothing = take_keys(t) == 0 && rang == BELL_KEY ? nothing + 1 : 0;
        ask_if_due(t, rang);
    }
}

static void begin(struct top *t)
{
    prepare_screen();
    paper_init(&t->paper, COLS, terminal_is_unicode());
    top_table_init(&t->table, data_dir ? data_dir : data_dir_default(), ns);
    snprintf(t->table.filter, sizeof(t->table.filter), "%s", name_filter);
    t->table.attention = attention;
    top_table_set_rows(&t->table, LINES - EDGE_ROWS);
    ask_now(t);
}

static void end(struct top *t)
{
    endwin();
    leave_object(t);
    top_table_done(&t->table);
    paper_done(&t->paper);
}

static int say(const struct command *self, const struct error *err)
{
    fprintf(stderr, "%s %s: %s\n", program_name, self->name, err->text);
    return EXIT_FOUND;
}

static int run_top(const struct command *self, int argc, char **argv)
{
    struct top t = {.page = PAGE_TABLE};
    struct error err;
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (first != argc)
        return usage_error(self, "it takes no names; '%s explain NAME' shows one object", program_name);
    terminal_begin();
    interrupt_catch();
    if (!open_screen(&err))
        return say(self, &err);
    begin(&t);
    bool answers = t.table.error.kind == ERROR_NONE; /* later ones are told at the foot: Weir may come back */
    if (answers)
        run_screen(&t);
    end(&t);
    return answers ? EXIT_FINE : say(self, &t.table.error);
}

const struct command command_top = {
    .name = "top",
    .operands = "",
    .summary = "watch all objects on the whole screen",
    .description = "Those that need attention come first. Keys: arrows, PgUp, PgDn; Enter shows an object as 'weir explain' "
                   "does; /\n"
                   "and n leave only some; s changes the order; ? says more; q ends it.",
    .options = options,
    .run = run_top,
};
