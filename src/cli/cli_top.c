/*
 * weir top: all objects on the whole screen, live, and each as `weir explain` shows it.
 *
 *     table --Enter--> object --q, Esc--> table --q--> the end
 *       |  /, n: a line to type in (prompt), the table following with every key
 *
 * What is shown is made on paper (top_table.c, explain_output.c) and drawn by top_screen.c; here are the pages and the keys. Questions wait for their answer, at most
 * some seconds when Weir hangs, and Ctrl-C ends that. The table is asked for every LIST_MS, the object when Weir rings (client.h).
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NCURSES_NOMACROS
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
#include "cli/top_screen.h"
#include "cli/top_table.h"

static const char *data_dir, *ns = "", *color = "auto", *name_filter = "";
static bool attention;

static const struct option_row options[] = {
    {"namespace", 'n', OPTION_TEXT, &ns, "NAMESPACE", "only this namespace, at first (all)"},
    {"filter", 0, OPTION_TEXT, &name_filter, "TEXT", "only names that contain this, at first"},
    {"attention", 0, OPTION_FLAG, &attention, NULL, "only objects that need attention, at first"},
    {"color", 0, OPTION_CHOICE, &color, "auto|always|never", "auto: unless NO_COLOR is set in the environment (auto)"},
    {"data-dir", 0, OPTION_TEXT, &data_dir, "DIR", "the data dir of the Weir to ask"},
    {0},
};

enum {
    LIST_MS = 1000,
    FAR_MS = 2000, /* through an API server: others use it too */
    DRAW_MS = 1000,
    GONE_AFTER = 20,
    EDGE_ROWS = 3, /* title, headings and keys around the table */
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

static void lay_out_table(struct top *t)
{
    top_table_set_rows(&t->table, LINES - EDGE_ROWS);
    if (top_table_is_short(&t->table) && t->table.error.kind == ERROR_NONE)
        top_table_fetch(&t->table);
    top_table_put_title(&t->table, &t->paper);
    top_table_put(&t->table, &t->paper);
}

static void lay_out(struct top *t)
{
    paper_clear(&t->paper);
    t->paper.columns = COLS;
    if (t->page == PAGE_TABLE)
        lay_out_table(t);
    else if (t->page == PAGE_OBJECT)
        lay_out_object(t);
    else
        lay_out_help(t);
}

/* As far as there is something below. */
static void keep_in_view(struct top *t)
{
    int most = (int)paper_lines(&t->paper) - (LINES - 1);

    if (t->page == PAGE_TABLE || t->scrolled > most)
        t->scrolled = t->page == PAGE_TABLE ? 0 : most;
    if (t->scrolled < 0)
        t->scrolled = 0;
}

static enum top_bar bar_of(const struct top *t, char *out, size_t size)
{
    static const char *const keys[] = {
        [PAGE_TABLE] = "q end  Enter explain  / name  n namespace  s order  a attention  ? help",
        [PAGE_OBJECT] = "q back  up, down, PgUp, PgDn  r ask now",
        [PAGE_HELP] = "q back",
    };
    const struct error *err = t->page == PAGE_OBJECT ? &t->error : &t->table.error;

    if (t->typed) {
        snprintf(out, size, "%s: %.200s", t->prompt, t->typed);
        return TOP_BAR_PROMPT;
    }
    if (err->kind != ERROR_NONE && t->page != PAGE_HELP) {
        snprintf(out, size, "not the newest: %s", err->text);
        return TOP_BAR_BAD;
    }
    snprintf(out, size, "%s", keys[t->page]);
    return TOP_BAR_KEYS;
}

static void draw(struct top *t)
{
    char line[sizeof(t->error.text) + 32];

    lay_out(t);
    keep_in_view(t);
    enum top_bar bar = bar_of(t, line, sizeof(line));
    top_screen_draw(&t->paper, t->scrolled, t->page == PAGE_TABLE ? (int)(t->table.chosen - t->table.first) + 2 : -1,
                    bar, line);
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
    paper_init(&t->paper, COLS, terminal_is_unicode());
    top_table_init(&t->table, data_dir ? data_dir : data_dir_default(), ns);
    snprintf(t->table.filter, sizeof(t->table.filter), "%s", name_filter);
    t->table.attention = attention;
    top_table_set_rows(&t->table, LINES - EDGE_ROWS);
    ask_now(t);
}

static void end(struct top *t)
{
    top_screen_close();
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
    if (!top_screen_open(color, &err))
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
    .description =
        "Those that need attention come first. Keys: arrows, PgUp, PgDn; Enter shows an object as 'weir explain' "
        "does; /\n"
        "and n leave only some; s changes the order; ? says more; q ends it.",
    .options = options,
    .run = run_top,
};
