/*
 * metrics_process: what /metrics says of this Weir as a whole: what it knows, what it asked and how long that took, what it decided and how
 * soon, what it wrote, what it needs.
 */
#include "serve/metrics_internal.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/map.h"
#include "journal/journal.h"
#include "trigger/trigger.h"

/* ------------------------------------------------------------------ what is known */

enum resource { SCALED_OBJECT, SCALED_JOB, TRIGGER_AUTH, CLUSTER_TRIGGER_AUTH, RESOURCES };
static const char *const resource_names[RESOURCES] = {"scaled_object", "scaled_job", "trigger_authentication",
                                                      "cluster_trigger_authentication"};

struct namespace_counts {
    uint64_t resources[RESOURCES];
};
struct metrics_totals {
    struct map *namespaces; /* -> struct namespace_counts */
    struct map *types;      /* of triggers -> uint64_t */
};

struct metrics_totals *metrics_totals_new(void)
{
    struct metrics_totals *totals = mem_alloc(sizeof(*totals));

    totals->namespaces = map_new();
    totals->types = map_new();
    return totals;
}

static void free_counts(struct map *map)
{
    const char *key;
    void *value;

    for (size_t cursor = 0; map_next(map, &cursor, &key, &value);)
        free(value);
    map_free(map);
}

void metrics_totals_free(struct metrics_totals *totals)
{
    if (!totals)
        return;
    free_counts(totals->namespaces);
    free_counts(totals->types);
    free(totals);
}

/* What cannot be found under the name is made, zeroed. */
static void *counts_of(struct map *map, const char *name, size_t size)
{
    void *counts = map_get(map, name);

    if (!counts) {
        counts = mem_alloc(size);
        map_put(map, name, counts);
    }
    return counts;
}

static void count_resource(struct metrics_totals *totals, enum resource resource, const char *ns)
{
    struct namespace_counts *counts = counts_of(totals->namespaces, ns, sizeof(*counts));

    counts->resources[resource]++;
}

void metrics_totals_add(struct metrics_totals *totals, const struct object_status *s)
{
    const char *ns = strchr(s->key, '/') + 1;
    char name[256];

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(ns, "/"), ns);
    count_resource(totals, string_starts(s->key, "ScaledJob/") ? SCALED_JOB : SCALED_OBJECT, name);
    for (size_t i = 0; i < s->trigger_count; i++) {
        uint64_t *count = counts_of(totals->types, s->triggers[i].type, sizeof(*count));

        (*count)++;
    }
}

static void on_authentication(void *arg, const char *kind, const char *ns)
{
    bool cluster = strcmp(kind, "ClusterTriggerAuthentication") == 0;

    count_resource(arg, cluster ? CLUSTER_TRIGGER_AUTH : TRIGGER_AUTH, cluster ? "default" : ns);
}

static void write_resources(const struct metrics_totals *totals, struct text *out)
{
    const char *ns;
    void *value;

    metrics_head(out, "keda_resource_registered_total", "gauge", "Resources known, by type and namespace.");
    for (size_t cursor = 0; map_next(totals->namespaces, &cursor, &ns, &value);) {
        const struct namespace_counts *counts = value;

        for (int i = 0; i < RESOURCES; i++) {
            if (counts->resources[i] == 0)
                continue;
            text_printf(out, "keda_resource_registered_total{type=\"%s\",", resource_names[i]);
            metrics_label(out, "namespace", ns, true);
            text_printf(out, "} %" PRIu64 "\n", counts->resources[i]);
        }
    }
}

static void write_types(const struct metrics_totals *totals, struct text *out)
{
    const char *type;
    void *value;

    metrics_head(out, "keda_trigger_registered_total", "gauge", "Triggers known, by type.");
    for (size_t cursor = 0; map_next(totals->types, &cursor, &type, &value);) {
        text_add(out, "keda_trigger_registered_total{");
        metrics_label(out, "type", type, true);
        text_printf(out, "} %" PRIu64 "\n", *(const uint64_t *)value);
    }
}

static const char *architecture(void)
{
#if defined(__x86_64__)
    return "amd64";
#elif defined(__aarch64__)
    return "arm64";
#else
    return "";
#endif
}

/* KEDA's labels; there is no Go here, and what is built is known by its version. */
static void write_build(struct text *out)
{
    metrics_head(out, "keda_build_info", "gauge", "Version of this process.");
    text_printf(out,
                "keda_build_info{version=\"" WEIR_VERSION
                "\",git_commit=\"\",goversion=\"\",goos=\"linux\",goarch=\"%s\"} 1\n",
                architecture());
}

/* ------------------------------------------------------------------ sources */

static void write_polls(const struct trigger_stats *list, size_t count, struct text *out)
{
    metrics_head(out, "weir_polls_total", "counter", "Polls by trigger type and how they ended.");
    for (size_t i = 0; i < count; i++) {
        const uint64_t ends[] = {list[i].ok, list[i].missing, list[i].failed};
        static const char *const words[] = {"ok", "missing", "failed"};

        for (int j = 0; j < 3; j++)
            text_printf(out, "weir_polls_total{type=\"%s\",result=\"%s\"} %" PRIu64 "\n", list[i].type, words[j],
                        ends[j]);
    }
    metrics_head(out, "weir_poll_requests_total", "counter",
                 "What was sent to sources, by trigger type: requests, connections, queries of a client library.");
    for (size_t i = 0; i < count; i++)
        text_printf(out, "weir_poll_requests_total{type=\"%s\"} %" PRIu64 "\n", list[i].type, list[i].requests);
}

static void write_poll_durations(const struct trigger_stats *list, size_t count, struct text *out)
{
    char labels[128];

    metrics_head(out, "weir_poll_duration_seconds", "histogram",
                 "How long polls took, from the first request to their end, by trigger type.");
    for (size_t i = 0; i < count; i++) {
        if (histogram_count(&list[i].took) == 0)
            continue;
        snprintf(labels, sizeof(labels), "type=\"%s\"", list[i].type);
        metrics_histogram(out, "weir_poll_duration_seconds", labels, &list[i].took, 1, 60000);
    }
}

/* With KEDA's bounds. */
static void write_request_durations(const struct trigger_stats *list, size_t count, struct text *out)
{
    char labels[160], buffer[16];

    metrics_head(out, "keda_scaler_http_request_duration_seconds", "histogram",
                 "How long HTTP requests to sources took, by trigger type and status.");
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < list[i].http_count; j++) {
            snprintf(labels, sizeof(labels), "scaler=\"%s\",status_code=\"%s\"", list[i].type,
                     metrics_status_code(list[i].http[j].status, buffer));
            metrics_histogram(out, "keda_scaler_http_request_duration_seconds", labels, &list[i].http[j].took, 5,
                              10000);
        }
    }
}

static void write_sources(struct autoscaler *a, struct text *out)
{
    const struct trigger_stats *list;
    size_t count = trigger_engine_stats(autoscaler_engine(a), &list);

    write_polls(list, count, out);
    write_poll_durations(list, count, out);
    write_request_durations(list, count, out);
}

/* ------------------------------------------------------------------ decisions, and what they cost */

static void write_decisions(const struct autoscaler_stats *stats, struct text *out)
{
    metrics_head(out, "weir_decisions_total", "counter", "Decisions by reason.");
    for (int i = 0; i < REASON_COUNT; i++)
        text_printf(out, "weir_decisions_total{reason=\"%s\"} %" PRIu64 "\n",
                    decision_reason_name((enum decision_reason)i), stats->by_reason[i]);
    metrics_head(out, "weir_decision_delay_seconds", "histogram",
                 "From when an object was due, by its schedule or because something changed, to its decision.");
    metrics_histogram(out, "weir_decision_delay_seconds", "", &stats->decided, 1, 60000);
    metrics_head(out, "weir_scale_delay_seconds", "histogram",
                 "From the last answer that a decision waited for until its scale was written.");
    metrics_histogram(out, "weir_scale_delay_seconds", "", &stats->written, 1, 60000);
}

static void write_counters(const struct autoscaler_stats *stats, struct text *out)
{
    const struct {
        const char *name, *type, *help;
        double value;
    } rows[] = {
        {"weir_object_polls_total", "counter", "Times an object was due.", (double)stats->polls},
        {"weir_polls_shared_total", "counter", "Questions answered by another object's poll: queries saved.",
         (double)stats->polls_shared},
        {"weir_polls_late_total", "counter", "Polls later than a tenth of their interval.", (double)stats->polls_late},
        {"weir_polls_skipped_total", "counter", "Polls left out because the one before still waited.",
         (double)stats->polls_skipped},
        {"weir_questions", "gauge", "Different questions asked of sources.", (double)stats->questions},
        {"weir_scales_total", "counter", "Replica counts and jobs written.", (double)stats->scales},
        {"weir_scale_failures_total", "counter", "Writes that failed.", (double)stats->scale_failures},
        {"weir_turns_total", "counter", "Turns of the loop that decided something.", (double)stats->turns},
        {"weir_journal_failures_total", "counter", "Turns whose journal write failed.",
         (double)stats->journal_failures},
        {"weir_first_decisions_done_seconds", "gauge",
         "From the start until every object had decided once; 0: not yet.",
         stats->first_decisions_done_at_ms ? (double)(stats->first_decisions_done_at_ms - stats->started_at_ms) / 1000
                                           : 0},
        {"weir_start_time_seconds", "gauge", "When this process began to decide.", (double)stats->started_at_ms / 1000},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        metrics_single(out, rows[i].name, rows[i].type, rows[i].help, rows[i].value);
}

static void write_journal(struct autoscaler *a, struct text *out)
{
    struct journal_stats journal = {.decisions = 0};

    if (autoscaler_journal(a))
        journal_stats(autoscaler_journal(a), &journal);
    metrics_single(out, "weir_journal_bytes", "gauge", "Size of the journal.", (double)journal.bytes);
    metrics_single(out, "weir_journal_decisions_total", "counter", "Decisions written down.",
                   (double)journal.decisions);
}

static void write_log_lines(struct text *out)
{
    metrics_head(out, "weir_log_lines_total", "counter", "Log lines by level.");
    for (int i = 0; i < LOG_LEVELS; i++)
        text_printf(out, "weir_log_lines_total{level=\"%s\"} %lu\n", log_level_name((enum log_level)i),
                    log_count((enum log_level)i));
}

double metrics_heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return (double)info.uordblks + (double)info.hblkhd;
}

/* The name by which dashboards of processes know it. */
static double cpu_seconds(void)
{
    struct timespec used = {0};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

void metrics_write_process(struct autoscaler *a, struct metrics_totals *totals, double heap_bytes, struct text *out)
{
    struct autoscaler_stats stats;

    autoscaler_stats(a, &stats);
    autoscaler_authentications(a, on_authentication, totals);
    write_resources(totals, out);
    write_types(totals, out);
    write_build(out);
    write_sources(a, out);
    write_decisions(&stats, out);
    write_counters(&stats, out);
    write_journal(a, out);
    write_log_lines(out);
    metrics_single(out, "weir_heap_bytes", "gauge", "Memory allocated and in use.", heap_bytes);
    metrics_single(out, "process_cpu_seconds_total", "counter", "Processor time used.", cpu_seconds());
}
