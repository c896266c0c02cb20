/* decisions: what was decided of one object, newest first, from the journal. */
#include "serve/serve_internal.h"

#include "journal/journal.h"
#include "net/loop.h"

enum { DECISIONS_SHOWN = 20, DECISIONS_SHOWN_MAX = 1000 };

static bool on_entry(void *arg, const struct journal_entry *entry)
{
    struct json *json = arg;
    size_t inputs = entry->decision ? entry->decision->input_count : entry->job_decision->input_count;

    json_put_open(json, NULL, '{');
    json_put_time(json, "at", entry->at_ms);
    json_put_decision(json, "decision", entry->decision, entry->job_decision, &entry->names);
    json_put_open(json, "notes", '[');
    for (size_t i = 0; i < inputs; i++)
        json_put_string(json, NULL, entry->notes[i]);
    json_put_close(json, ']');
    json_put_close(json, '}');
    return !json->out->overflowed;
}

void serve_decisions(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct autoscaler *a = arg;
    struct json json = {.out = answer->body};
    int64_t now_ms = loop_now_ms(autoscaler_loop(a)), since = 0, until = now_ms;
    long limit = DECISIONS_SHOWN;
    char key[QUERY_KEY_BYTES];

    if (!query_instant(request, "since", now_ms, &since, answer) ||
        !query_instant(request, "until", now_ms, &until, answer) ||
        !query_integer(request, "limit", 1, DECISIONS_SHOWN_MAX, &limit, answer) ||
        !query_object(a, request, key, answer))
        return;
    json_put_open(&json, NULL, '{');
    json_put_open(&json, "decisions", '[');
    if (autoscaler_journal(a))
        journal_decisions(autoscaler_journal(a), key, since, until, (size_t)limit, on_entry, &json);
    json_put_close(&json, ']');
    json_put_close(&json, '}');
}
