/*
 * top_table: see top_table.h.
 *
 *     list      0 ........ loaded ......... first ......... first + rows ......... loaded + N ........ matched
 *                          |<- a screen above ->|<- shown ->|<- a screen below ->|
 *
 * Moving within what is loaded asks nobody. Rows change places while one looks at them: the chosen object is followed as long as it stays
 * on the screen.
 */
#include "cli/top_table.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli/client.h"
#include "cli/explain_view.h"
#include "cli/paper.h"

enum { SCREENS = 3, NAME_MIN = 12, REPLICAS_WIDTH = 9, BOUNDS_WIDTH = 9, STATE_WIDTH = 9, REASON_WIDTH = 14, GAP = 1 };

static const char *const sorts[TABLE_SORTS] = {"attention", "name", "replicas", "changed"};

const char *top_table_sort_name(int sort)
{
    return sorts[sort];
}

void top_table_init(struct top_table *table, const char *data_dir, const char *ns)
{
    *table = (struct top_table){.data_dir = data_dir, .rows = 1};
    snprintf(table->ns, sizeof(table->ns), "%s", ns);
}

void top_table_done(struct top_table *table)
{
    json_decref(table->answer);
}

/* ------------------------------------------------------------------ moving */

static long clamp(long value, long least, long most)
{
    return value > most ? (most < least ? least : most) : value < least ? least : value;
}

static void keep_in_view(struct top_table *table)
{
    table->chosen = clamp(table->chosen, 0, table->matched - 1);
    if (table->first > table->chosen)
        table->first = table->chosen;
    if (table->first < table->chosen - table->rows + 1)
        table->first = table->chosen - table->rows + 1;
    table->first = clamp(table->first, 0, table->matched - table->rows);
}

void top_table_set_rows(struct top_table *table, long rows)
{
    table->rows = clamp(rows, 1, TOP_ROWS_MAX / SCREENS);
    keep_in_view(table);
}

void top_table_move(struct top_table *table, long by)
{
    table->chosen = clamp(table->chosen + by, 0, table->matched - 1);
    keep_in_view(table);
}

void top_table_restart(struct top_table *table)
{
    table->first = table->chosen = 0;
    json_decref(table->answer);
    table->answer = NULL;
}

static long loaded_count(const struct top_table *table)
{
    return (long)json_array_size(json_object_get(table->answer, "objects"));
}

static const json_t *object_at(const struct top_table *table, long place)
{
    if (place < table->loaded)
        return NULL;
    return json_array_get(json_object_get(table->answer, "objects"), (size_t)(place - table->loaded));
}

const json_t *top_table_chosen(const struct top_table *table)
{
    return object_at(table, table->chosen);
}

bool top_table_is_short(const struct top_table *table)
{
    long end = clamp(table->first + table->rows, 0, table->matched);

    return !table->answer || table->first < table->loaded || end > table->loaded + loaded_count(table);
}

/* ------------------------------------------------------------------ asking */

static void list_path(const struct top_table *table, long from, char *out, size_t size)
{
    char ns[3 * NAME_MAX_BYTES], filter[3 * NAME_MAX_BYTES];

    percent_encode(table->ns, ns, sizeof(ns));
    percent_encode(table->filter, filter, sizeof(filter));
    snprintf(out, size, "/api/v1/objects?sort=%s&limit=%ld&offset=%ld%s%s%s%s%s", sorts[table->sort],
             SCREENS * table->rows, from, *ns ? "&namespace=" : "", ns, *filter ? "&q=" : "", filter,
             table->attention ? "&state=attention" : "");
}

static bool is_same(const json_t *a, const json_t *b)
{
    return a && b && strcmp(view_text(a, "kind"), view_text(b, "kind")) == 0 &&
           strcmp(view_text(a, "namespace"), view_text(b, "namespace")) == 0 &&
           strcmp(view_text(a, "name"), view_text(b, "name")) == 0;
}

static void follow(struct top_table *table, const json_t *chosen)
{
    for (long place = table->first; chosen && place < table->first + table->rows; place++)
        if (is_same(object_at(table, place), chosen)) {
            table->chosen = place;
            return;
        }
}

static void take(struct top_table *table, json_t *answer, long from)
{
    json_t *before = table->answer;
    json_t *chosen = json_incref((json_t *)top_table_chosen(table));

    table->answer = answer;
    table->loaded = from;
    table->total = (long)view_number(answer, "total");
    table->matched = (long)view_number(answer, "matched");
    follow(table, chosen);
    keep_in_view(table);
    json_decref(chosen);
    json_decref(before);
}

void top_table_fetch(struct top_table *table)
{
    char path[PATH_MAX_BYTES];
    struct text body;
    json_t *answer;
    long from = table->first > table->rows ? table->first - table->rows : 0;

    list_path(table, from, path, sizeof(path));
    text_init(&body, EXPLAIN_ANSWER_MAX_BYTES);
    table->error.kind = ERROR_NONE;
    if (client_get(table->data_dir, path, &body, &table->error) == ASK_OK) {
        answer = json_loads(body.bytes, 0, NULL);
        if (answer)
            take(table, answer, from);
        else
            error_set(&table->error, ERROR_NONSENSE, "the list is no JSON");
    }
    text_done(&body);
}

/* ------------------------------------------------------------------ what is shown */

struct columns { /* widths; 0: there is no room for it */
    int name, replicas, bounds, state, reason, why;
};

/* A narrow screen loses the least important first: the sentence, the reason, the bounds. */
static struct columns columns_of(int width)
{
    struct columns c = {.name = NAME_MIN, .replicas = REPLICAS_WIDTH, .state = STATE_WIDTH};
    int left = width - c.name - c.replicas - c.state - 2 * GAP;

    if (left >= BOUNDS_WIDTH + GAP) {
        c.bounds = BOUNDS_WIDTH;
        left -= BOUNDS_WIDTH + GAP;
    }
    if (left >= REASON_WIDTH + GAP) {
        c.reason = REASON_WIDTH;
        left -= REASON_WIDTH + GAP;
    }
    int for_name = left > 2 * NAME_MIN ? left / 3 : left > 0 ? left : 0;
    c.name += for_name;
    left -= for_name;
    c.why = left > NAME_MIN ? left - GAP : 0;
    return c;
}

/* As much of it as there is room for; blanks make it as wide as the column. */
static void put_cell(struct paper *paper, enum ink ink, const char *text, int width, bool right)
{
    int used;
    size_t length = paper_fit(paper->unicode, text, strlen(text), width, &used);

    if (width <= 0)
        return;
    paper_put(paper, ink, "%*s%.*s%*s", right ? width - used : 0, "", (int)length, text, right ? 0 : width - used, "");
    paper_put(paper, INK_PLAIN, "%*s", GAP, "");
}

static void put_headings(struct paper *paper, const struct columns *c)
{
    put_cell(paper, INK_HEAD, "NAME", c->name, false);
    put_cell(paper, INK_HEAD, "REPLICAS", c->replicas, true);
    put_cell(paper, INK_HEAD, "BOUNDS", c->bounds, true);
    put_cell(paper, INK_HEAD, "STATE", c->state, false);
    put_cell(paper, INK_HEAD, "REASON", c->reason, false);
    put_cell(paper, INK_HEAD, "WHY", c->why, false);
    paper_end(paper);
}

static enum ink ink_of(const json_t *object)
{
    double attention = view_number(object, "attention");
    const char *state = view_text(object, "state");

    if (strcmp(state, "bad") == 0 || strcmp(state, "failed") == 0)
        return INK_BAD;
    return attention > 0 ? INK_WARN : strcmp(state, "active") == 0 ? INK_GOOD : INK_FAINT;
}

static void put_row(struct paper *paper, const struct columns *c, const json_t *object)
{
    char name[2 * NAME_MAX_BYTES], replicas[48] = "?", bounds[48] = "";
    const char *problem = view_text(object, "problem");
    const json_t *ready = json_object_get(object, "readyReplicas"), *wanted = json_object_get(object, "wantedReplicas");

    snprintf(name, sizeof(name), "%s/%s", view_text(object, "namespace"), view_text(object, "name"));
    if (json_object_get(object, "running"))
        snprintf(replicas, sizeof(replicas), "%.0f jobs", view_number(object, "running"));
    else if (ready && wanted)
        snprintf(replicas, sizeof(replicas), "%.0f/%.0f", json_number_value(ready), json_number_value(wanted));
    if (json_object_get(object, "maxReplicas"))
        snprintf(bounds, sizeof(bounds), "%.0f..%.0f", view_number(object, "minReplicas"),
                 view_number(object, "maxReplicas"));
    put_cell(paper, INK_PLAIN, name, c->name, false);
    put_cell(paper, INK_STRONG, replicas, c->replicas, true);
    put_cell(paper, INK_FAINT, bounds, c->bounds, true);
    put_cell(paper, ink_of(object), view_text(object, "state"), c->state, false);
    put_cell(paper, INK_PLAIN, view_text(object, "reason"), c->reason, false);
    put_cell(paper, *problem ? INK_BAD : INK_PLAIN, *problem ? problem : view_text(object, "summary"), c->why, false);
    paper_end(paper);
}

void top_table_put_title(const struct top_table *table, struct paper *paper)
{
    paper_put(paper, INK_STRONG, "%ld objects", table->total);
    if (table->matched != table->total)
        paper_put(paper, INK_WARN, ", %ld of them shown", table->matched);
    if (table->matched > table->rows)
        paper_put(paper, INK_PLAIN, ", %ld to %ld", table->first + 1,
                  clamp(table->first + table->rows, 0, table->matched));
    paper_put(paper, INK_PLAIN, "; by %s", sorts[table->sort]);
    if (table->attention)
        paper_put(paper, INK_WARN, "; only what needs attention");
    if (*table->ns)
        paper_put(paper, INK_WARN, "; namespace %s", table->ns);
    if (*table->filter)
        paper_put(paper, INK_WARN, "; name has '%s'", table->filter);
    paper_end(paper);
}

void top_table_put(const struct top_table *table, struct paper *paper)
{
    struct columns columns = columns_of(paper->columns);

    put_headings(paper, &columns);
    for (long place = table->first; place < table->first + table->rows && object_at(table, place); place++)
        put_row(paper, &columns, object_at(table, place));
    if (table->answer && table->matched == 0) {
        paper_put(paper, INK_FAINT, "%s", table->total == 0 ? "there are no objects" : "no object is like that");
        paper_end(paper);
    }
}
