/*
 * weir explain: why an object has the replicas it has. Asks a running Weir; where none runs, or for an earlier instant, the journal in
 * the data dir is read. Both give the same record, which is printed here.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/time.h"
#include "cli/cli.h"
#include "journal/journal.h"

static const char *data_dir, *output = "text", *at, *ns = "default";

static const struct option_row options[] = {
    {"at", 0, OPTION_TEXT, &at, "TIME", "the decision in force then: 2026-01-31T12:00:00Z, or 10m for ten minutes ago"},
    {"namespace", 'n', OPTION_TEXT, &ns, "NAMESPACE", "namespace of a bare NAME (default)"},
    {"output", 'o', OPTION_CHOICE, &output, "text|json", "how to print (text)"},
    {"data-dir", 0, OPTION_TEXT, &data_dir, "DIR", "the data dir of the Weir to ask"},
    {0},
};

enum { RECORD_MAX_BYTES = 16 * 1024 * 1024 };

/* ------------------------------------------------------------------ printing */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static void value_of(const json_t *value, char *out, size_t size)
{
    if (json_is_integer(value))
        snprintf(out, size, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(out, size, "%.10g", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(out, size, "%s", json_is_true(value) ? "true" : "false");
    else
        snprintf(out, size, "-");
}

static void print_inputs(const json_t *decision, const json_t *notes)
{
    size_t i;
    json_t *input;

    if (json_array_size(json_object_get(decision, "inputs")) > 0)
        printf("\ninputs\n");
    json_array_foreach(json_object_get(decision, "inputs"), i, input)
    {
        const char *note = json_string_value(json_array_get(notes, i));
        char value[64];

        value_of(json_object_get(input, "value"), value, sizeof(value));
        printf("  %-28s %-14s %s", text_of(input, "name"), strcmp(text_of(input, "state"), "ok") == 0 ? value : "-",
               text_of(input, "state"));
        if (json_object_get(input, "age_s"))
            printf(", %.1f s old", json_number_value(json_object_get(input, "age_s")));
        if (json_is_true(json_object_get(input, "active")))
            printf(", active");
        if (json_integer_value(json_object_get(input, "failures")) > 0)
            printf(", %lld failures in a row", (long long)json_integer_value(json_object_get(input, "failures")));
        printf("%s%s\n", note ? ": " : "", note ? note : "");
    }
}

static void print_formula(const json_t *decision)
{
    const json_t *formula = json_object_get(decision, "formula");
    size_t i;
    json_t *part;
    char value[64];

    if (!formula)
        return;
    value_of(json_object_get(formula, "value"), value, sizeof(value));
    printf("\nformula\n  %s = %s\n", text_of(formula, "text"),
           *text_of(formula, "fault") ? text_of(formula, "fault") : value);
    if (*text_of(formula, "place"))
        printf("  because of: %s\n", text_of(formula, "place"));
    json_array_foreach(json_object_get(decision, "trace"), i, part)
    {
        if (json_integer_value(json_object_get(part, "depth")) == 0)
            continue;
        value_of(json_object_get(part, "value"), value, sizeof(value));
        printf("  %*s%s = %s\n", 2 * (int)json_integer_value(json_object_get(part, "depth")), "", text_of(part, "text"),
               value);
    }
}

static void print_steps(const json_t *decision)
{
    size_t i;
    json_t *step;

    if (json_array_size(json_object_get(decision, "steps")) > 0)
        printf("\nsteps\n");
    json_array_foreach(json_object_get(decision, "steps"), i, step)
        printf("  %2zu. %s\n", i + 1, text_of(step, "text"));
}

/* The record as it is; each input without a value also says why. */
static void print_json(const json_t *decision, const json_t *notes)
{
    json_t *record = json_deep_copy(decision), *input;
    size_t i;

    json_array_foreach(json_object_get(record, "inputs"), i, input)
    {
        if (json_is_string(json_array_get(notes, i)))
            json_object_set(input, "why", json_array_get(notes, i));
    }
    char *text = json_dumps(record, JSON_INDENT(2));
    printf("%s\n", text);
    free(text);
    json_decref(record);
}

static void print_record(const char *name, const json_t *decision, const json_t *notes)
{
    if (strcmp(output, "json") == 0) {
        print_json(decision, notes);
        return;
    }
    printf("%s at %s\n  %s\n", name, text_of(decision, "at"), text_of(decision, "summary"));
    print_inputs(decision, notes);
    print_formula(decision);
    print_steps(decision);
}

/* ------------------------------------------------------------------ from a running Weir */

static enum ask_result ask_running(const char *kind, const char *space, const char *name, int64_t at_ms,
                                   struct error *err)
{
    struct text body;
    char path[PATH_MAX_BYTES], until[32];
    enum ask_result result;

    instant_format_ms(at_ms, until, sizeof(until));
    object_path(kind, space, name, at ? "/decisions" : "", path, sizeof(path));
    if (at)
        snprintf(path + strlen(path), sizeof(path) - strlen(path), "%climit=1&until=%s", *kind ? '&' : '?', until);
    text_init(&body, RECORD_MAX_BYTES);
    result = client_get(data_dir, path, &body, err);
    if (result == ASK_OK) {
        json_t *answer = json_loads(body.bytes, 0, NULL);
        const json_t *entry = at ? json_array_get(json_object_get(answer, "decisions"), 0) : answer;
        const json_t *decision = json_object_get(entry, "decision");
        json_t *notes = json_array();
        char label[2 * NAME_MAX_BYTES];
        size_t i;
        json_t *trigger;

        json_array_foreach(json_object_get(answer, "triggers"), i, trigger)
            json_array_append_new(notes, *text_of(trigger, "why") ? json_string(text_of(trigger, "why")) : json_null());
        snprintf(label, sizeof(label), "%s/%s", space, name);
        if (*text_of(answer, "problem") && strcmp(output, "text") == 0)
            printf("problem: %s\n", text_of(answer, "problem"));
        if (json_is_object(decision))
            print_record(label, decision, at ? json_object_get(entry, "notes") : notes);
        else
            result = error_set(err, ERROR_MISSING, "there is no decision about %s yet", label) ? ASK_OK : ASK_FAILED;
        json_decref(notes);
        json_decref(answer);
    }
    text_done(&body);
    return result;
}

/* ------------------------------------------------------------------ from the journal */

struct found {
    json_t *decision, *notes;
};

static bool on_entry(void *arg, const struct journal_entry *entry)
{
    struct found *found = arg;
    struct text record;
    size_t inputs = entry->decision ? entry->decision->input_count : entry->job_decision->input_count;

    text_init(&record, RECORD_MAX_BYTES);
    if (entry->decision)
        decision_write_json(entry->decision, &entry->names, &record);
    else
        job_decision_write_json(entry->job_decision, &entry->names, &record);
    found->decision = json_loads(record.bytes, 0, NULL);
    found->notes = json_array();
    for (size_t i = 0; i < inputs; i++)
        json_array_append_new(found->notes, entry->notes[i] ? json_string(entry->notes[i]) : json_null());
    text_done(&record);
    return false;
}

static bool ask_journal(const char *kind, const char *space, const char *name, int64_t at_ms, struct error *err)
{
    static const char *const kinds[] = {"ScaledObject", "ScaledJob"};
    struct found found = {NULL, NULL};
    struct journal *journal;
    char path[4200], key[3 * NAME_MAX_BYTES];

    snprintf(path, sizeof(path), "%s/journal.db", data_dir);
    if (access(path, R_OK) != 0)
        return error_set(err, ERROR_MISSING, "no Weir is running and there is no journal at %s; name the --data-dir",
                         path);
    if (!journal_open(path, &journal, err))
        return false;
    for (size_t i = 0; i < 2 && !found.decision; i++) {
        if (*kind && strcmp(kind, kinds[i]) != 0)
            continue;
        snprintf(key, sizeof(key), "%s/%s/%s", kinds[i], space, name);
        journal_decisions(journal, key, 0, at_ms, 1, on_entry, &found);
    }
    journal_close(journal);
    if (!found.decision)
        return error_set(err, ERROR_MISSING, "the journal %s knows no decision about %s/%s until then", path, space,
                         name);
    snprintf(key, sizeof(key), "%s/%s", space, name);
    print_record(key, found.decision, found.notes);
    json_decref(found.decision);
    json_decref(found.notes);
    return true;
}

/* ------------------------------------------------------------------ the command */

static bool parse_at(int64_t *at_ms)
{
    int64_t ago_ms;

    *at_ms = (int64_t)time(NULL) * 1000 + 999;
    if (!at || instant_parse(at, at_ms))
        return true;
    if (!duration_parse_ms(at, &ago_ms) || ago_ms < 0)
        return false;
    *at_ms -= ago_ms;
    return true;
}

static int run_explain(const struct command *self, int argc, char **argv)
{
    char kind[NAME_MAX_BYTES], space[NAME_MAX_BYTES], name[NAME_MAX_BYTES];
    struct error err = {.kind = ERROR_NONE};
    int64_t at_ms;
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (first + 1 != argc)
        return usage_error(self, "name one object");
    if (!parse_at(&at_ms))
        return usage_error(self, "--at is an instant like 2026-01-31T12:00:00Z or a span like 10m, not '%s'", at);
    if (!data_dir)
        data_dir = data_dir_default();
    split_name(argv[first], ns, kind, space, name, NAME_MAX_BYTES);
    enum ask_result result = ask_running(kind, space, name, at_ms, &err);
    if (result == ASK_OK || (result == ASK_NOT_RUNNING && ask_journal(kind, space, name, at_ms, &err)))
        return EXIT_FINE;
    fprintf(stderr, "weir %s: %s\n", self->name, err.text);
    return EXIT_FOUND;
}

const struct command command_explain = {
    .name = "explain",
    .operands = "NAME",
    .summary = "say why an object has the replicas it has",
    .description = "NAME is checkout, shop/checkout or ScaledObject/shop/checkout. Shows inputs, the formula with the "
                   "value of every\n"
                   "part, and each step of the decision. Where no Weir runs, the journal in the data dir is read.",
    .options = options,
    .run = run_explain,
};
