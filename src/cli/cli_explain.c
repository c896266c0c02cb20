/*
 * weir explain: why an object has the replicas it has. Asks a running Weir; where none runs, the journal in the data dir is read
 * (explain_view.c). What is shown is laid out in explain_output.c; this is the command, and `--watch`.
 *
 * Watching: the Weir rings when something of the object changes (client.h), and then everything is asked for anew; where it cannot ring,
 * every WATCH_MS. On a terminal the page is also drawn every second, for ages and countdowns go on without anybody's doing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/time.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/explain_output.h"
#include "cli/explain_view.h"
#include "cli/interrupt.h"
#include "cli/paper.h"
#include "cli/terminal.h"

static const char *data_dir, *output = "text", *at, *since, *color = "auto", *ns;
static bool watch;

static const struct option_row options[] = {
    {"at", 0, OPTION_TEXT, &at, "TIME", "the decision in force then: 2026-01-31T12:00:00Z, or 10m for ten minutes ago"},
    {"since", 0, OPTION_TEXT, &since, "TIME",
     "the decisions from then on instead of the last one: an instant, or 6h (up to --at, or now)"},
    {"watch", 'w', OPTION_FLAG, &watch, NULL, "show it anew whenever something changes, until interrupted"},
    {"namespace", 'n', OPTION_TEXT, &ns, "NAMESPACE", "namespace of a bare NAME (default)"},
    {"output", 'o', OPTION_CHOICE, &output, "text|json", "how to print (text)"},
    {"color", 0, OPTION_CHOICE, &color, "auto|always|never",
     "auto: on a terminal, unless NO_COLOR is set in the environment (auto)"},
    {"data-dir", 0, OPTION_TEXT, &data_dir, "DIR", "the data dir of the Weir to ask"},
    {0},
};

enum { WATCH_MS = 2000, DRAW_MS = 1000 };

static int64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * SECOND_MS + now.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------ printing */

static void print_json(const json_t *view)
{
    char *text = json_dumps(view, JSON_INDENT(2));

    printf("%s\n", text);
    free(text);
}

static void lay_out(struct paper *paper, const json_t *view)
{
    paper_clear(paper);
    paper->columns = terminal_columns();
    explain_put(paper, view, since != NULL, at ? 0 : clock_ms());
}

static void print_view(const json_t *view)
{
    struct paper paper;

    if (strcmp(output, "json") == 0) {
        print_json(view);
        return;
    }
    paper_init(&paper, 0, terminal_is_unicode());
    lay_out(&paper, view);
    paper_print(&paper, stdout, terminal_has_colours(color));
    paper_done(&paper);
}

/* ------------------------------------------------------------------ watching */

struct watching {
    const struct explain_wish *wish;
    struct client_bell *bell;
    json_t *view;  /* that is shown */
    char *printed; /* what of it was printed last, where nothing can be drawn anew */
    bool redraws;
    struct error error; /* why the newest cannot be had; kind ERROR_NONE: it can */
};

static void show(struct watching *w)
{
    struct paper paper;

    paper_init(&paper, 0, terminal_is_unicode());
    lay_out(&paper, w->view);
    if (w->error.kind != ERROR_NONE) {
        paper_end(&paper);
        paper_put(&paper, INK_BAD, "this is not the newest: %s", w->error.text);
        paper_end(&paper);
    }
    terminal_draw(&paper, terminal_has_colours(color));
    paper_done(&paper);
}

/* Ages would make every page another; so what is compared is the record without them. */
static bool is_new(struct watching *w)
{
    json_t *kept = json_object();
    static const char *const told[] = {"summary", "reason", "decisions", "formula", "steps"};

    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
        json_object_set(kept, told[i], json_object_get(w->view, told[i]));
    char *now = json_dumps(kept, JSON_SORT_KEYS);
    bool new = !w->printed || strcmp(now, w->printed) != 0;
    free(w->printed);
    w->printed = now;
    json_decref(kept);
    return new;
}

static void print_if_new(struct watching *w)
{
    if (!is_new(w))
        return;
    print_view(w->view);
    putchar('\n');
    fflush(stdout);
}

static void fetch(struct watching *w)
{
    json_t *view;

    w->error.kind = ERROR_NONE;
    if (explain_view(w->wish, &view, &w->error) != ASK_OK)
        return;
    json_decref(w->view);
    w->view = view;
}

/* The view knows which kind it is where the wish does not say. */
static struct client_bell *listen(const struct watching *w)
{
    const char *kind = view_text(json_object_get(w->view, "object"), "kind");

    return client_bell_open(w->wish->data_dir, *kind ? kind : w->wish->kind, w->wish->ns, w->wish->name);
}

/* true: something may have changed. A bell that is lost is hung up again when Weir is there again. */
static bool wait_for_change(struct watching *w, int64_t *asked_ms)
{
    enum bell rang = client_bell_wait(w->bell, -1, w->redraws ? DRAW_MS : WATCH_MS);

    if (rang == BELL_LOST) {
        client_bell_close(w->bell);
        w->bell = NULL;
    }
    if (!w->bell && w->error.kind == ERROR_NONE)
        w->bell = listen(w);
    return rang == BELL_RANG || clock_ms() - *asked_ms >= WATCH_MS * (w->bell ? 5 : 1);
}

static int watch_object(const struct explain_wish *wish, json_t *view)
{
    struct watching w = {.wish = wish, .view = view, .redraws = terminal_can_redraw() && strcmp(output, "text") == 0};
    int64_t asked_ms = clock_ms();

    interrupt_catch();
    if (w.redraws)
        terminal_enter();
    w.bell = listen(&w);
    while (!interrupted && !ferror(stdout)) {
        if (w.redraws)
            show(&w);
        else
            print_if_new(&w);
        if (wait_for_change(&w, &asked_ms) && !interrupted) {
            fetch(&w);
            asked_ms = clock_ms();
        }
    }
    if (w.redraws)
        terminal_leave();
    client_bell_close(w.bell);
    json_decref(w.view);
    free(w.printed);
    return EXIT_FINE;
}

/* ------------------------------------------------------------------ the command */

enum { SPAN_MS = 60 * 60 * 1000 }; /* of history, where nobody says */

static bool parse_time(const char *text, int64_t now_ms, int64_t *at_ms)
{
    int64_t ago_ms;

    if (instant_parse(text, at_ms))
        return true;
    if (!duration_parse_ms(text, &ago_ms) || ago_ms < 0)
        return false;
    *at_ms = now_ms - ago_ms;
    return true;
}

/* false: *status says so. */
static bool read_times(const struct command *self, struct explain_wish *wish, int *status)
{
    int64_t now_ms = clock_ms(), since_ms;

    wish->span_ms = SPAN_MS;
    if (at && !parse_time(at, now_ms, &wish->at_ms)) {
        *status = usage_error(self, "--at is an instant like 2026-01-31T12:00:00Z or a span like 10m, not '%s'", at);
        return false;
    }
    if (!since)
        return true;
    int64_t until_ms = at ? wish->at_ms : now_ms;
    if (!parse_time(since, until_ms, &since_ms) || since_ms >= until_ms) {
        *status = usage_error(self, "--since is a span like 6h, or an instant before %s, not '%s'", at ? "--at" : "now",
                              since);
        return false;
    }
    wish->all = true;
    wish->span_ms = until_ms - since_ms;
    return true;
}

static int run_explain(const struct command *self, int argc, char **argv)
{
    char kind[NAME_MAX_BYTES], space[NAME_MAX_BYTES], name[NAME_MAX_BYTES];
    struct explain_wish wish = {.kind = kind, .ns = space, .name = name};
    struct error err = {.kind = ERROR_NONE};
    json_t *view;
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (first + 1 != argc)
        return usage_error(self, "name one object");
    if (!read_times(self, &wish, &status))
        return status;
    if (watch && at)
        return usage_error(self, "--watch shows what is in force now: leave out --at");
    terminal_begin();
    wish.data_dir = data_dir ? data_dir : data_dir_default();
    wish.points = explain_points(terminal_columns());
    split_name(argv[first], ns ? ns : client_namespace(), kind, space, name, NAME_MAX_BYTES);
    if (explain_view(&wish, &view, &err) != ASK_OK) {
        fprintf(stderr, "%s %s: %s\n", program_name, self->name, err.text);
        return EXIT_FOUND;
    }
    if (watch)
        return watch_object(&wish, view);
    print_view(view);
    json_decref(view);
    return EXIT_FINE;
}

const struct command command_explain = {
    .name = "explain",
    .operands = "NAME",
    .summary = "say why an object has the replicas it has",
    .description =
        "NAME is checkout, shop/checkout or ScaledObject/shop/checkout. Shows how it went, inputs, the formula "
        "with the value\n"
        "of every part, each step of the decision, and what would change it. Where no Weir runs, the journal in "
        "the data dir\n"
        "is read.",
    .options = options,
    .run = run_explain,
};
