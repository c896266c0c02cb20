/*
 * history: how an object went, in as many spans as a chart has room for, every scale event, and its manifest with the versions before it.
 *
 * What differs between two versions is found here, by the code of `weir diff`, each time they are shown: the journal keeps texts, and words are
 * made where they are read, as those of decisions are.
 */
#include "journal/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/time.h"
#include "journal/journal.h"
#include "manifest/manifest.h"
#include "net/loop.h"
#include "serve/serve_internal.h"
#include "sim/difference.h"

enum { HISTORY_POINTS = 300, HISTORY_SPAN_MS = 6 * HOUR_MS };

/* ------------------------------------------------------------------ lists with one item per span */

struct list {
    struct text text;
    struct json json;
};

static void list_begin(struct list *list)
{
    text_init(&list->text, SERVER_ANSWER_MAX_BYTES);
    list->json = (struct json){.out = &list->text};
    json_put_open(&list->json, NULL, '[');
}

static void list_end(struct list *list, struct json *json, const char *key)
{
    json_put_close(&list->json, ']');
    json_put_raw(json, key, &list->text);
    text_done(&list->text);
}

/* As many digits as are kept. */
static void put_rounded(struct json *json, double value)
{
    char digits[32];

    snprintf(digits, sizeof(digits), "%.7g", value);
    json_put_number(json, NULL, strtod(digits, NULL));
}

static void put_range(struct list *list, const struct history_range *range)
{
    json_put_open(&list->json, NULL, '[');
    put_rounded(&list->json, range->min);
    put_rounded(&list->json, range->mean);
    put_rounded(&list->json, range->max);
    json_put_close(&list->json, ']');
}

/* ------------------------------------------------------------------ the chart */

struct column { /* of a trigger */
    const char *name;
    struct list values, missing, failed;
};
struct chart {
    struct arena *arena;
    struct list times, wanted, ready, slo;
    bool has_slo;
    size_t spans, column_count;
    struct column *columns; /* made with the first span */
};

static void begin_columns(struct chart *chart, const struct history_point *point)
{
    chart->column_count = point->trigger_count;
    chart->columns = arena_array(chart->arena, point->trigger_count + 1, sizeof(*chart->columns));
    for (size_t i = 0; i < point->trigger_count; i++) {
        struct column *column = &chart->columns[i];

        column->name = arena_copy(chart->arena, point->triggers[i].name);
        list_begin(&column->values);
        list_begin(&column->missing);
        list_begin(&column->failed);
    }
}

static bool on_point(void *arg, const struct history_point *point)
{
    struct chart *chart = arg;

    if (chart->spans++ == 0)
        begin_columns(chart, point);
    json_put_integer(&chart->times.json, NULL, point->begin_ms / SECOND_MS);
    put_range(&chart->wanted, &point->wanted);
    put_range(&chart->ready, &point->ready);
    put_rounded(&chart->slo.json, point->slo);
    chart->has_slo |= !isnan(point->slo);
    for (size_t i = 0; i < chart->column_count; i++) {
        put_range(&chart->columns[i].values, &point->triggers[i].value);
        put_rounded(&chart->columns[i].missing.json, point->triggers[i].missing);
        put_rounded(&chart->columns[i].failed.json, point->triggers[i].failed);
    }
    return true;
}

/* Its target, where it has one of its own. */
static void put_target(struct json *json, const struct policy *policy, const char *name)
{
    const struct decide_trigger *rules = !policy          ? NULL
                                         : policy->is_job ? policy->job_rules.triggers
                                                          : policy->rules.triggers;

    for (size_t i = 0; policy && i < policy->trigger_count; i++)
        if (strcmp(policy->names[i], name) == 0 && rules[i].target != 0) {
            json_put_number(json, "target", rules[i].target);
            return;
        }
}

static void put_column(struct json *json, struct column *column, const struct policy *policy)
{
    json_put_open(json, NULL, '{');
    json_put_string(json, "name", column->name);
    put_target(json, policy, column->name);
    list_end(&column->values, json, "values");
    list_end(&column->missing, json, "missing");
    list_end(&column->failed, json, "failed");
    json_put_close(json, '}');
    column->name = NULL;
}

/* Those it has now in their order, then those it had. */
static void put_columns(struct json *json, struct chart *chart, const struct policy *policy)
{
    json_put_open(json, "triggers", '[');
    for (size_t i = 0; policy && i < policy->trigger_count; i++)
        for (size_t k = 0; k < chart->column_count; k++)
            if (chart->columns[k].name && strcmp(chart->columns[k].name, policy->names[i]) == 0)
                put_column(json, &chart->columns[k], policy);
    for (size_t k = 0; k < chart->column_count; k++)
        if (chart->columns[k].name)
            put_column(json, &chart->columns[k], policy);
    json_put_close(json, ']');
}

/* ------------------------------------------------------------------ scale events */

struct scale_event {
    int64_t at_ms;
    int32_t from, to;
    enum decision_reason reason;
    const char *summary;
};
struct events { /* newest first */
    struct arena *arena;
    struct scale_event *list;
    size_t count;
};

static void keep_event(struct events *events, const struct journal_entry *entry, struct scale_event event)
{
    struct text summary;

    text_init(&summary, LOG_LINE_MAX_BYTES);
    if (entry->decision)
        decision_write_summary(entry->decision, &entry->names, &summary);
    else
        job_decision_write_summary(entry->job_decision, &summary);
    event.at_ms = entry->at_ms;
    event.summary = arena_copy(events->arena, summary.bytes);
    events->list[events->count++] = event;
    text_done(&summary);
}

static bool on_entry(void *arg, const struct journal_entry *entry)
{
    const struct decision *d = entry->decision;
    const struct job_decision *job = entry->job_decision;
    struct events *events = arg;

    if (d && d->write && d->before >= 0 && d->before != d->after)
        keep_event(events, entry, (struct scale_event){.from = d->before, .to = d->after, .reason = d->reason});
    else if (job && job->create > 0)
        keep_event(events, entry,
                   (struct scale_event){.from = job->running,
                                        .to = job->running + job->create,
                                        .reason = job->running > 0 ? REASON_ABOVE_TARGET : REASON_ACTIVATED});
    return events->count < HISTORY_EVENTS_MAX;
}

static void put_events(struct json *json, struct journal *journal, const char *key, int64_t since_ms, int64_t until_ms,
                       struct arena *arena)
{
    struct events events = {.arena = arena};

    events.list = arena_array(arena, HISTORY_EVENTS_MAX, sizeof(*events.list));
    if (journal)
        journal_decisions(journal, key, since_ms, until_ms, HISTORY_EVENTS_SCANNED_MAX, on_entry, &events);
    json_put_open(json, "events", '[');
    while (events.count-- > 0) {
        const struct scale_event *event = &events.list[events.count];

        json_put_open(json, NULL, '{');
        json_put_time(json, "at", event->at_ms);
        json_put_integer(json, "from", event->from);
        json_put_integer(json, "to", event->to);
        json_put_string(json, "reason", decision_reason_name(event->reason));
        json_put_string(json, "summary", event->summary);
        json_put_close(json, '}');
    }
    json_put_close(json, ']');
}

/* ------------------------------------------------------------------ GET .../history */

struct asked {
    struct json json;
    struct journal *journal;
    int64_t since_ms, until_ms;
    size_t points;
};

static void put_chart(struct asked *asked, const struct object_status *status, struct chart *chart)
{
    struct list *lists[] = {&chart->times, &chart->wanted, &chart->ready, &chart->slo};
    int64_t span_ms = 0;

    for (size_t i = 0; i < 4; i++)
        list_begin(lists[i]);
    if (asked->journal)
        span_ms =
            history_read(asked->journal, status->key, asked->since_ms, asked->until_ms, asked->points, on_point, chart);
    json_put_number(&asked->json, "spanSeconds", (double)span_ms / SECOND_MS);
    list_end(&chart->times, &asked->json, "times");
    list_end(&chart->wanted, &asked->json, "wanted");
    list_end(&chart->ready, &asked->json, "ready");
    if (chart->has_slo)
        list_end(&chart->slo, &asked->json, "slo");
    else
        text_done(&chart->slo.text);
    put_columns(&asked->json, chart, status->policy);
}

static bool on_history(void *arg, const struct object_status *status)
{
    struct asked *asked = arg;
    struct chart chart = {.arena = arena_new(ARENA_USUAL)};

    json_put_open(&asked->json, NULL, '{');
    put_chart(asked, status, &chart);
    put_events(&asked->json, asked->journal, status->key, asked->since_ms, asked->until_ms, chart.arena);
    json_put_close(&asked->json, '}');
    arena_free(chart.arena);
    return true;
}

void serve_history(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct autoscaler *a = arg;
    int64_t now_ms = loop_now_ms(autoscaler_loop(a));
    struct asked asked = {.json = {.out = answer->body},
                          .journal = autoscaler_journal(a),
                          .since_ms = now_ms > HISTORY_SPAN_MS ? now_ms - HISTORY_SPAN_MS : 0,
                          .until_ms = now_ms};
    long points = HISTORY_POINTS;
    char key[QUERY_KEY_BYTES];

    if (!query_instant(request, "since", now_ms, &asked.since_ms, answer) ||
        !query_instant(request, "until", now_ms, &asked.until_ms, answer) ||
        !query_integer(request, "points", 1, HISTORY_POINTS_MAX, &points, answer) ||
        !query_object(a, request, key, answer))
        return;
    asked.points = (size_t)points;
    autoscaler_object(a, key, on_history, &asked);
}

/* ------------------------------------------------------------------ GET .../manifests */

struct version {
    int64_t at_ms;
    const char *yaml;
    struct manifest *read;
};
struct versions { /* newest first */
    struct arena *arena;
    struct version list[HISTORY_MANIFESTS_MAX];
    size_t count;
};

static bool on_manifest(void *arg, const struct history_manifest *manifest)
{
    struct versions *versions = arg;

    versions->list[versions->count++] =
        (struct version){.at_ms = manifest->at_ms, .yaml = arena_copy(versions->arena, manifest->yaml)};
    return versions->count < HISTORY_MANIFESTS_MAX;
}

static bool is_readable(const struct manifest *m)
{
    return (m->scaled_object_count == 1 && !m->scaled_objects[0].meta.broken) ||
           (m->scaled_job_count == 1 && !m->scaled_jobs[0].meta.broken);
}

static void put_changes(struct json *json, const struct version *before, const struct version *after)
{
    const struct manifest *was = before->read, *is = after->read;
    struct policy_settings settings;

    if (!is_readable(was) || !is_readable(is)) {
        json_put_string(json, NULL, "the two versions cannot be compared: one of them could not be kept whole");
        return;
    }
    policy_settings_default(&settings);
    struct differences *differences = differences_new(&was, 1, &is, 1, &settings);
    for (size_t i = 0; i < differences_count(differences); i++)
        json_put_string(json, NULL, differences_sentence(differences, i));
    if (differences_count(differences) == 0)
        json_put_string(json, NULL,
                        strcmp(before->yaml, after->yaml) == 0 ? "what differs is not shown here, for it may be secret"
                                                               : "nothing that decides differs");
    differences_free(differences);
}

static void put_versions(struct json *json, struct versions *versions)
{
    struct report *report = report_new();

    for (size_t i = 0; i < versions->count; i++)
        manifest_read("kept", versions->list[i].yaml, strlen(versions->list[i].yaml), NULL, report,
                      &versions->list[i].read);
    for (size_t i = 0; i < versions->count; i++) {
        const struct version *version = &versions->list[i];

        json_put_open(json, NULL, '{');
        json_put_time(json, "at", version->at_ms);
        json_put_string(json, "yaml", version->yaml);
        json_put_open(json, "changes", '[');
        if (i + 1 < versions->count)
            put_changes(json, version + 1, version);
        json_put_close(json, ']');
        json_put_close(json, '}');
    }
    for (size_t i = 0; i < versions->count; i++)
        manifest_free(versions->list[i].read);
    report_free(report);
}

void serve_manifests(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct autoscaler *a = arg;
    struct json json = {.out = answer->body};
    struct versions versions = {.count = 0};
    char key[QUERY_KEY_BYTES];

    if (!query_object(a, request, key, answer))
        return;
    versions.arena = arena_new(ARENA_USUAL);
    if (autoscaler_journal(a))
        history_manifests(autoscaler_journal(a), key, on_manifest, &versions);
    json_put_open(&json, NULL, '{');
    json_put_open(&json, "manifests", '[');
    put_versions(&json, &versions);
    json_put_close(&json, ']');
    json_put_close(&json, '}');
    arena_free(versions.arena);
}
