/*
 * explain_view: see explain_view.h. Each part is asked for on its own; what a Weir does not know (an older one has no history, an object
 * without a decision has no outlook) is left out rather than a reason to fail. Only the decision itself must be there.
 */
#include "cli/explain_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/time.h"
#include "cli/client.h"
#include "cli/explain_journal.h"

enum { RECENT = 5, SPAN_DECISIONS_MAX = 1000 /* what the API gives at once */ };

/* ------------------------------------------------------------------ asking */

struct asking {
    const struct explain_wish *wish;
    json_t *view;
};

static enum ask_result ask(const struct asking *a, const char *tail, const char *query, json_t **out, struct error *err)
{
    const struct explain_wish *w = a->wish;
    char path[PATH_MAX_BYTES];
    struct text body;
    json_error_t fault;

    object_path(w->kind, w->ns, w->name, tail, path, sizeof(path));
    if (*query)
        snprintf(path + strlen(path), sizeof(path) - strlen(path), "%c%s", *w->kind ? '&' : '?', query);
    text_init(&body, EXPLAIN_ANSWER_MAX_BYTES);
    enum ask_result result = client_get(w->data_dir, path, &body, err);
    if (result == ASK_OK && !(*out = json_loads(body.bytes, 0, &fault))) {
        error_set(err, ERROR_NONSENSE, "the answer to %.100s is no JSON: %s", path, fault.text);
        result = ASK_FAILED;
    }
    text_done(&body);
    return result;
}

/* The span in the words of the API; what ends now is left to Weir's own clock. */
static void span_query(const struct explain_wish *w, bool since, char *out, size_t size)
{
    char begin[32], end[32];

    out[0] = '\0';
    if (w->at_ms == 0) {
        if (since)
            snprintf(out, size, "since=%llds", (long long)(w->span_ms / SECOND_MS));
        return;
    }
    instant_format_ms(w->at_ms, end, sizeof(end));
    instant_format_ms(w->at_ms - w->span_ms, begin, sizeof(begin));
    snprintf(out, size, since ? "until=%s&since=%s" : "until=%s", end, begin);
}

/* ------------------------------------------------------------------ the parts */

/* The record's members become the view's; each input without a value says why. */
static void take_decision(json_t *view, const json_t *decision, const json_t *notes)
{
    json_t *copy = json_deep_copy(decision), *input;
    size_t i;

    json_array_foreach(json_object_get(copy, "inputs"), i, input)
    {
        if (json_is_string(json_array_get(notes, i)))
            json_object_set(input, "why", json_array_get(notes, i));
    }
    json_object_update(view, copy);
    json_decref(copy);
}

static json_t *notes_of_triggers(const json_t *object)
{
    json_t *notes = json_array(), *trigger;
    size_t i;

    json_array_foreach(json_object_get(object, "triggers"), i, trigger)
        json_array_append_new(notes, *view_text(trigger, "why") ? json_string(view_text(trigger, "why")) : json_null());
    return notes;
}

static json_t *short_form(const json_t *entry)
{
    static const char *const kept[] = {"before", "after", "write", "reason", "create", "running", "pending", "summary"};
    const json_t *decision = json_object_get(entry, "decision");
    json_t *line = json_object();

    json_object_set(line, "at", json_object_get(entry, "at"));
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        if (json_object_get(decision, kept[i]))
            json_object_set(line, kept[i], json_object_get(decision, kept[i]));
    return line;
}

void view_take_decisions(json_t *view, const json_t *entries)
{
    json_t *list = json_array(), *entry;
    size_t i;

    json_array_foreach(entries, i, entry) json_array_append_new(list, short_form(entry));
    json_object_set_new(view, "decisions", list);
}

void view_take_entry(json_t *view, const json_t *entry)
{
    take_decision(view, json_object_get(entry, "decision"), json_object_get(entry, "notes"));
}

void view_take_history(json_t *view, json_t *history, const struct explain_wish *wish)
{
    int64_t until_s = wish->at_ms > 0 ? wish->at_ms / 1000 : (int64_t)time(NULL);

    json_object_set_new(history, "since", json_integer(until_s - wish->span_ms / 1000));
    json_object_set_new(history, "until", json_integer(until_s));
    json_object_set_new(view, "history", history);
}

static enum ask_result ask_object(struct asking *a, struct error *err)
{
    json_t *object = NULL;
    enum ask_result result = ask(a, "", "", &object, err);

    if (result == ASK_FAILED && err->kind == ERROR_MISSING)
        error_set(err, ERROR_MISSING, "there is no object %s/%s; '%s get' lists them", a->wish->ns, a->wish->name,
                  program_name);
    if (result != ASK_OK)
        return result;
    if (json_is_object(json_object_get(object, "decision"))) {
        json_t *notes = notes_of_triggers(object);

        take_decision(a->view, json_object_get(object, "decision"), notes);
        json_decref(notes);
    }
    json_object_del(object, "decision");
    json_object_set_new(a->view, "object", object);
    return ASK_OK;
}

/* decided: the newest of them is the decision that is asked about. */
static enum ask_result ask_decisions(struct asking *a, bool decided, struct error *err)
{
    char span[128], query[192];
    json_t *answer = NULL;

    span_query(a->wish, a->wish->all, span, sizeof(span));
    snprintf(query, sizeof(query), "limit=%d%s%s", a->wish->all ? SPAN_DECISIONS_MAX : RECENT, *span ? "&" : "", span);
    enum ask_result result = ask(a, "/decisions", query, &answer, err);
    if (result != ASK_OK)
        return result;
    const json_t *entries = json_object_get(answer, "decisions");
    if (decided && json_array_size(entries) > 0)
        view_take_entry(a->view, json_array_get(entries, 0));
    view_take_decisions(a->view, entries);
    json_decref(answer);
    return ASK_OK;
}

static void ask_history(struct asking *a)
{
    char span[128], query[192];
    json_t *history = NULL;
    struct error ignored;

    span_query(a->wish, true, span, sizeof(span));
    snprintf(query, sizeof(query), "%s&points=%d", span, a->wish->points);
    if (ask(a, "/history", query, &history, &ignored) == ASK_OK)
        view_take_history(a->view, history, a->wish);
}

static void ask_outlook(struct asking *a)
{
    json_t *outlook = NULL;
    struct error ignored;

    if (ask(a, "/outlook", "", &outlook, &ignored) == ASK_OK)
        json_object_set_new(a->view, "outlook", outlook);
}

static enum ask_result ask_running(struct asking *a, struct error *err)
{
    bool now = a->wish->at_ms == 0;
    enum ask_result result = now ? ask_object(a, err) : ASK_OK;

    if (result == ASK_OK)
        result = ask_decisions(a, !now, err);
    if (result != ASK_OK)
        return result;
    ask_history(a);
    if (now)
        ask_outlook(a);
    return ASK_OK;
}

/* ------------------------------------------------------------------ the view */

/* --since of a time without a decision has a list that is empty, which is an answer; else there is nothing to explain. */
static bool is_something(const struct explain_wish *w, const json_t *view, struct error *err)
{
    const char *problem = view_text(json_object_get(view, "object"), "problem");

    if (*view_text(view, "at") || w->all)
        return true;
    if (*problem)
        return error_set(err, ERROR_INVALID, "there is no decision about %s/%s: %s", w->ns, w->name, problem);
    return error_set(err, ERROR_MISSING, "there is no decision about %s/%s%s", w->ns, w->name,
                     w->at_ms > 0 ? " until then" : " yet");
}

enum ask_result explain_view(const struct explain_wish *wish, json_t **out, struct error *err)
{
    struct asking a = {wish, json_object()};
    enum ask_result result;

    json_object_set_new(a.view, "from", json_string("weir"));
    json_object_set_new(a.view, "name", json_string(wish->name));
    json_object_set_new(a.view, "namespace", json_string(wish->ns));
    json_object_set_new(a.view, "history", json_null());
    json_object_set_new(a.view, "outlook", json_null());
    result = ask_running(&a, err);
    if (result == ASK_NOT_RUNNING && !client_is_cluster()) {
        json_object_set_new(a.view, "from", json_string("journal"));
        result = explain_journal(wish, a.view, err) ? ASK_OK : ASK_FAILED;
    }
    if (result == ASK_OK && !is_something(wish, a.view, err))
        result = ASK_FAILED;
    if (result == ASK_OK)
        *out = a.view;
    else
        json_decref(a.view);
    return result;
}
