/*
 * explain_journal: see explain_journal.h. Entries are read into the JSON that the API gives for them, so that whoever shows a view need
 * not know where it is from.
 */
#include "cli/explain_journal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/time.h"
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
