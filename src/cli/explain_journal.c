/*
 * explain_journal: see explain_journal.h. Entries are read into the JSON that the API gives for them, so that whoever shows a view need
 * not know where it is from.
 */
#include "cli/explain_journal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/time.h"
#include "journal/history.h"
#include "journal/journal.h"

enum { RECENT = 5, SPAN_DECISIONS_MAX = 1000 };

static json_t *entry_json(const struct journal_entry *entry)
{
    size_t inputs = entry->decision ? entry->decision->input_count : entry->job_decision->input_count;
    json_t *made = json_object(), *notes = json_array();
    struct text record;
    char at[32];

    text_init(&record, EXPLAIN_ANSWER_MAX_BYTES);
    if (entry->decision)
        decision_write_json(entry->decision, &entry->names, &record);
    else
        job_decision_write_json(entry->job_decision, &entry->names, &record);
    for (size_t i = 0; i < inputs; i++)
        json_array_append_new(notes, entry->notes[i] ? json_string(entry->notes[i]) : json_null());
    instant_format_ms(entry->at_ms, at, sizeof(at));
    json_object_set_new(made, "at", json_string(at));
    json_object_set_new(made, "decision", json_loads(record.bytes, 0, NULL));
    json_object_set_new(made, "notes", notes);
    text_done(&record);
    return made;
}

static bool on_entry(void *arg, const struct journal_entry *entry)
{
    return json_array_append_new(arg, entry_json(entry)) == 0;
}

/* ------------------------------------------------------------------ history, in the form of GET .../history */

struct chart {
    json_t *times, *wanted, *ready, *triggers;
};

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *range_json(const struct history_range *range)
{
    json_t *list = json_array();

    json_array_append_new(list, number(range->min));
    json_array_append_new(list, number(range->mean));
    json_array_append_new(list, number(range->max));
    return list;
}

/* The column of a trigger; one that comes later is filled up from the begin. */
static json_t *column_of(struct chart *chart, const char *name)
{
    static const char *const lists[] = {"values", "missing", "failed"};
    json_t *column;
    size_t i;

    json_array_foreach(chart->triggers, i, column) if (strcmp(view_text(column, "name"), name) == 0) return column;
    column = json_object();
    json_object_set_new(column, "name", json_string(name));
    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        json_object_set_new(column, lists[i], json_array());
    json_array_append_new(chart->triggers, column);
    return column;
}

/* So many items as there are spans before this one. */
static json_t *list_of(json_t *column, const char *key, size_t spans)
{
    json_t *list = json_object_get(column, key);

    while (json_array_size(list) < spans)
        json_array_append_new(list, json_null());
    return list;
}

static bool on_point(void *arg, const struct history_point *point)
{
    struct chart *chart = arg;
    size_t spans = json_array_size(chart->times);

    json_array_append_new(chart->times, json_integer(point->begin_ms / SECOND_MS));
    json_array_append_new(chart->wanted, range_json(&point->wanted));
    json_array_append_new(chart->ready, range_json(&point->ready));
    for (size_t i = 0; i < point->trigger_count; i++) {
        const struct history_trigger *trigger = &point->triggers[i];
        json_t *column = column_of(chart, trigger->name);

        json_array_append_new(list_of(column, "values", spans), range_json(&trigger->value));
        json_array_append_new(list_of(column, "missing", spans), number(trigger->missing));
        json_array_append_new(list_of(column, "failed", spans), number(trigger->failed));
    }
    return true;
}

static void read_history(struct journal *journal, const char *key, const struct explain_wish *wish, int64_t until_ms,
                         json_t *view)
{
    struct chart chart = {json_array(), json_array(), json_array(), json_array()};
    json_t *history = json_object();

    int64_t length_ms =
        history_read(journal, key, until_ms - wish->span_ms, until_ms, (size_t)wish->points, on_point, &chart);
    json_object_set_new(history, "spanSeconds", json_real((double)length_ms / SECOND_MS));
    json_object_set_new(history, "times", chart.times);
    json_object_set_new(history, "wanted", chart.wanted);
    json_object_set_new(history, "ready", chart.ready);
    json_object_set_new(history, "triggers", chart.triggers);
    view_take_history(view, history, wish);
}

/* ------------------------------------------------------------------ the journal */

static bool read_object(struct journal *journal, const char *key, const struct explain_wish *wish, json_t *view)
{
    int64_t until_ms = wish->at_ms > 0 ? wish->at_ms : (int64_t)time(NULL) * SECOND_MS + SECOND_MS - 1;
    int64_t since_ms = wish->all ? until_ms - wish->span_ms : 0;
    json_t *entries = json_array();

    journal_decisions(journal, key, since_ms, until_ms, wish->all ? SPAN_DECISIONS_MAX : RECENT, on_entry, entries);
    bool found = json_array_size(entries) > 0;
    if (found)
        view_take_entry(view, json_array_get(entries, 0));
    view_take_decisions(view, entries);
    json_decref(entries);
    if (found)
        read_history(journal, key, wish, until_ms, view);
    return found;
}

bool explain_journal(const struct explain_wish *wish, json_t *view, struct error *err)
{
    static const char *const kinds[] = {"ScaledObject", "ScaledJob"};
    struct journal *journal;
    char path[4200], key[3 * NAME_MAX_BYTES];
    bool found = false;

    snprintf(path, sizeof(path), "%s/journal.db", wish->data_dir);
    if (access(path, R_OK) != 0)
        return error_set(err, ERROR_MISSING, "no Weir is running and there is no journal at %s; name the --data-dir",
                         path);
    if (!journal_open(path, &journal, err))
        return false;
    for (size_t i = 0; i < 2 && !found; i++) {
        if (*wish->kind && strcmp(wish->kind, kinds[i]) != 0)
            continue;
        snprintf(key, sizeof(key), "%s/%s/%s", kinds[i], wish->ns, wish->name);
        found = read_object(journal, key, wish, view);
    }
    journal_close(journal);
    return found || error_set(err, ERROR_MISSING, "the journal %s knows no decision about %s/%s until then", path,
                              wish->ns, wish->name);
}
