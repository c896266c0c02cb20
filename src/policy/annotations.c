/*
 * annotations: what an object says beside its spec. One table of the names there are; KEDA's are read as KEDA reads them
 * (keda-operator/01 1.5: a boolean that is no boolean means true), ours strictly.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "platform/platform.h"
#include "policy/policy_internal.h"

enum { POLLING_INTERVAL_MIN_MS = 100 };

#define KEDA_PREFIX "autoscaling.keda.sh/"
#define WEIR_PREFIX "weir.dev/"

struct annotation {
    struct building *b;
    const struct tree *node;
    struct annotation_values *out;
};

void annotation_find(struct building *b, const struct tree *annotation, enum finding_severity severity,
                     const char *code, const char *remedy, const char *text)
{
    struct place place = b->meta->place;

    place.line = annotation->line;
    place.column = annotation->column;
    building_find(b, severity, code, &place, arena_printf(b->scratch, "metadata.annotations[%s]", annotation->key),
                  remedy, "%s %s: \"%.60s\"", annotation->key, text, annotation->text);
}

static void complain(const struct annotation *a, enum finding_severity severity, const char *code, const char *remedy,
                     const char *text)
{
    annotation_find(a->b, a->node, severity, code, remedy, text);
}

/* ------------------------------------------------------------------ KEDA's */

static bool keda_bool(const struct annotation *a)
{
    static const char *const words[] = {"1", "t", "T", "true",  "TRUE",  "True",
                                        "0", "f", "F", "false", "FALSE", "False"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(a->node->text, words[i]) == 0)
            return i < 6;
    }
    complain(a, FINDING_WARNING, "bad-annotation", "write \"true\" or \"false\"",
             "is no boolean, and then counts as true");
    return true;
}

static void read_paused(const struct annotation *a)
{
    a->out->paused = keda_bool(a);
}

static void read_scale_in(const struct annotation *a)
{
    a->out->paused_scale_in = keda_bool(a);
}

static void read_scale_out(const struct annotation *a)
{
    a->out->paused_scale_out = keda_bool(a);
}

static void read_force(const struct annotation *a)
{
    a->out->force_activation = keda_bool(a);
}

/* Being there is enough to pause (09-quirks R 2); a number that cannot be read leaves the replicas as they are. */
static void read_paused_replicas(const struct annotation *a)
{
    char *end;
    long value = strtol(a->node->text, &end, 10);

    if (a->node->text[0] == 0 || *end || value < 0 || value > INT32_MAX || strchr(" \t+", a->node->text[0])) {
        complain(a, FINDING_WARNING, "bad-annotation", "write a whole number in quotes",
                 "is no number of replicas, so the object is only paused");
        a->out->paused = true;
        a->out->paused_unreadable = true;
        return;
    }
    a->out->has_paused_replicas = true;
    a->out->paused_replicas = (int32_t)value;
}

/* ------------------------------------------------------------------ ours */

/* Left in force, it would keep one replica for ever: nobody else scales above that here. */
static bool is_refused(const struct annotation *a, enum decide_mode mode)
{
    const struct platform *platform = a->b->context->platform; /* NULL: lint, which cannot know where it will run */

    if (mode != DECIDE_HPA || a->b->policy->is_job || !platform || !platform->ops->no_hpa)
        return false;
    complain(a, FINDING_ERROR, "bad-annotation", "write direct or observe, or remove it", platform->ops->no_hpa);
    return true;
}

static void read_mode(const struct annotation *a)
{
    static const char *const words[] = {"direct", "hpa", "observe"};
    static const enum decide_mode modes[] = {DECIDE_DIRECT, DECIDE_HPA, DECIDE_OBSERVE};

    for (size_t i = 0; i < 3; i++) {
        if (strcmp(a->node->text, words[i]) == 0) {
            if (!is_refused(a, modes[i]))
                a->out->mode = modes[i];
            return;
        }
    }
    complain(a, FINDING_ERROR, "bad-annotation", "write direct, hpa or observe", "is no mode");
}

static void read_missing_hold(const struct annotation *a)
{
    int64_t ms;

    if (strcmp(a->node->text, "forever") == 0)
        a->out->missing_hold_ms = INT64_MAX;
    else if (duration_parse_ms(a->node->text, &ms) && ms >= 0)
        a->out->missing_hold_ms = ms;
    else
        complain(a, FINDING_ERROR, "bad-annotation", "write a duration like 30m, or forever", "is no duration");
}

static void read_strict(const struct annotation *a)
{
    if (strcmp(a->node->text, "true") == 0 || strcmp(a->node->text, "false") == 0)
        a->out->strict_activation = a->node->text[0] == 't';
    else
        complain(a, FINDING_ERROR, "bad-annotation", "write \"true\" or \"false\"", "is no boolean");
}

static void read_polling_interval(const struct annotation *a)
{
    int64_t ms;

    if (duration_parse_ms(a->node->text, &ms) && ms >= POLLING_INTERVAL_MIN_MS)
        a->out->polling_interval_ms = ms;
    else
        complain(a, FINDING_ERROR, "bad-annotation", "write a duration of at least 100ms, e.g. 500ms or 5s",
                 "is no interval");
}

static void read_slo(const struct annotation *a)
{
    a->out->slo = a->node;
}

static void read_cost(const struct annotation *a)
{
    double cost;

    if (number_parse(a->node->text, strlen(a->node->text), &cost) && isfinite(cost) && cost >= 0)
        a->out->cost_per_replica_hour = cost;
    else
        complain(a, FINDING_ERROR, "bad-annotation",
                 "write a decimal number in quotes that is not below 0, e.g. \"2.5\"", "is no price");
}

/* ------------------------------------------------------------------ the table */

static const struct {
    const char *name;
    void (*read)(const struct annotation *); /* NULL: known, and not for us */
    bool jobs;                               /* also means something on a ScaledJob */
} table[] = {
    {KEDA_PREFIX "paused", read_paused, .jobs = true},
    {KEDA_PREFIX "paused-replicas", read_paused_replicas},
    {KEDA_PREFIX "paused-scale-in", read_scale_in},
    {KEDA_PREFIX "paused-scale-out", read_scale_out},
    {KEDA_PREFIX "force-activation", read_force},
    {WEIR_PREFIX "mode", read_mode, .jobs = true},
    {WEIR_PREFIX "missing-hold", read_missing_hold},
    {WEIR_PREFIX "strict-activation", read_strict},
    {WEIR_PREFIX "polling-interval", read_polling_interval, .jobs = true},
    {WEIR_PREFIX "slo", read_slo, .jobs = true},
    {WEIR_PREFIX "cost-per-replica-hour", read_cost, .jobs = true},
};
enum { TABLE_ROWS = sizeof(table) / sizeof(table[0]) };

static void complain_unknown(const struct annotation *a)
{
    const char *names[TABLE_ROWS], *near;

    for (size_t i = 0; i < TABLE_ROWS; i++)
        names[i] = table[i].name;
    near = string_nearest(a->node->key, names, TABLE_ROWS);
    complain(a, FINDING_WARNING, "unknown-annotation",
             near ? arena_printf(a->b->scratch, "write %s", near) : "remove it",
             "is not an annotation of KEDA or Weir, so it does nothing");
}

void read_annotations(struct building *b, struct annotation_values *out)
{
    const struct tree *map = b->meta->annotations;

    for (const struct tree *node = map ? map->first : NULL; node; node = node->next) {
        struct annotation a = {.b = b, .node = node, .out = out};
        size_t row = 0;

        if (!string_starts(node->key, KEDA_PREFIX) && !string_starts(node->key, WEIR_PREFIX))
            continue;
        while (row < TABLE_ROWS && strcmp(table[row].name, node->key) != 0)
            row++;
        if (row == TABLE_ROWS)
            complain_unknown(&a);
        else if (b->context->settings->keda_parity && string_starts(node->key, WEIR_PREFIX))
            complain(&a, FINDING_ADVICE, "no-effect", NULL, "is Weir's own: KEDA does not read it");
        else if (b->policy->is_job && !table[row].jobs)
            complain(&a, FINDING_WARNING, "unknown-annotation", "remove it", "means nothing on a ScaledJob");
        else
            table[row].read(&a);
    }
}
