/*
 * timing: intervals, windows and cooldowns against each other. A window that is shorter than the time between two polls
 * holds one sample or none; a range in a query that is shorter leaves time that nobody looks at; a cooldown that is shorter is
 * over at the first quiet poll.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "policy/policy_internal.h"

struct pace {                        /* of one trigger */
    int64_t running_ms, sleeping_ms; /* between two polls above 0 replicas, and at 0 */
    bool sleeps;                     /* it can be at 0 */
};

static struct pace pace_of(const struct building *b, size_t trigger)
{
    const struct policy *p = b->policy;

    return (struct pace){.running_ms = policy_interval_ms(p, trigger, 1),
                         .sleeping_ms = policy_interval_ms(p, trigger, 0),
                         .sleeps = !p->is_job && (p->rules.min == 0 || p->rules.idle == 0)};
}

static const char *words(const struct building *b, int64_t ms)
{
    char *out = arena_alloc(b->scratch, 32);

    duration_format_words(ms, out, 32);
    return out;
}

/* ------------------------------------------------------------------ windows of the formula */

/* Slopes and growth take two samples. */
static bool needs_two(const char *function)
{
    static const char *const list[] = {"rate", "increase", "delta", "deriv", "predict_linear", "stddev_over"};

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        if (strcmp(list[i], function) == 0)
            return true;
    }
    return false;
}

/* These look for one sample, however old the window lets it be. */
static bool takes_any(const char *function)
{
    return strcmp(function, "recent") == 0 || strcmp(function, "ago") == 0;
}

static void check_window(struct modifiers *m, const struct range_window *w)
{
    struct pace pace = pace_of(m->b, m->owner[w->name]);
    int64_t least = needs_two(w->function) ? 2 : 1;
    const char *name = m->names[w->name], *window = words(m->b, w->window_ms);

    if (takes_any(w->function))
        return;
    if (w->window_ms < least * pace.running_ms)
        modifiers_say(m, FINDING_WARNING, "window-shorter-than-poll", "formula",
                      arena_printf(m->b->scratch, "widen the window to some polls, e.g. \"%dm\"",
                                   (int)(4 * pace.running_ms / MINUTE_MS) + 1),
                      "%s(%s) looks back %s, but %s is asked every %s: there %s", w->function, name, window, name,
                      words(m->b, pace.running_ms),
                      least == 2 ? "are not two samples in it to compare" : "is one sample in it, or none");
    else if (pace.sleeps && w->window_ms < least * pace.sleeping_ms)
        modifiers_say(m, FINDING_ADVICE, "window-shorter-than-poll", "formula",
                      "widen the window, or lower pollingInterval",
                      "at 0 replicas %s is asked every %s (pollingInterval), and %s looks back only %s", name,
                      words(m->b, pace.sleeping_ms), w->function, window);
}

/* ------------------------------------------------------------------ ranges of queries */

static void check_query_window(struct building *b, size_t i)
{
    const struct trigger_spec *spec = &b->specs[i];
    const struct tree *query = query_of(spec);
    struct pace pace = pace_of(b, i);
    struct query_shape shape;
    struct place place;
    bool always;

    if (!query)
        return;
    query_read(query->text, &shape);
    always = shape.window_ms < pace.running_ms;
    if (shape.window_ms == 0 || (!always && !(pace.sleeps && shape.window_ms < pace.sleeping_ms)))
        return;
    place = (struct place){
        .file = spec->place.file, .doc = spec->place.doc, .line = query->key_line, .column = query->key_column};
    building_find(b, always ? FINDING_WARNING : FINDING_ADVICE, "window-shorter-than-poll", &place,
                  arena_printf(b->scratch, "spec.triggers[%d].metadata.query", spec->index),
                  "widen the range of the query, or poll more often",
                  "the query looks back %s, but it is asked every %s%s: what happens in between is never seen",
                  words(b, shape.window_ms), words(b, always ? pace.running_ms : pace.sleeping_ms),
                  always ? "" : " while there are 0 replicas");
}

/* ------------------------------------------------------------------ cooldown */

/* 0 is said on purpose: off at the first quiet poll. */
static void check_cooldown(struct building *b, const struct scaled_object *o)
{
    const struct decide_rules *rules = &b->policy->rules;
    int64_t between = b->strict ? b->policy->polling_interval_ms : policy_interval_ms(b->policy, 0, 1);

    if (o->cooldown_period_s <= 0 || (rules->min > 0 && rules->idle < 0) || rules->cooldown_ms >= between)
        return;
    building_find(
        b, FINDING_ADVICE, "cooldown-shorter-than-poll", &b->meta->place, "spec.cooldownPeriod",
        "let the cooldown last some polls, so that one quiet moment does not stop everything",
        "the cooldown of %s is shorter than the %s between two polls: one poll without activity is enough to go "
        "to %d",
        words(b, rules->cooldown_ms), words(b, between), rules->idle >= 0 ? rules->idle : 0);
}

/* Who writes an hour expects it to hold the many, but it holds the last one: many become one after the window of scaleDown. */
static void check_last_step(struct building *b, const struct scaled_object *o)
{
    const struct decide_rules *rules = &b->policy->rules;

    if (o->cooldown_period_s < 0 || (rules->min > 0 && rules->idle < 0) || rules->behavior || rules->max <= 1 ||
        rules->cooldown_ms <= rules->downscale_stabilization_ms)
        return;
    building_find(
        b, FINDING_ADVICE, "cooldown-holds-the-last", &b->meta->place, "spec.cooldownPeriod",
        "set behavior.scaleDown.stabilizationWindowSeconds in horizontalPodAutoscalerConfig to hold more than that",
        "cooldownPeriod delays only the step to %d, by %s; before that, replicas that are not needed go after %s, "
        "the stabilization of scaleDown",
        rules->idle >= 0 ? rules->idle : 0, words(b, rules->cooldown_ms), words(b, rules->downscale_stabilization_ms));
}

void check_timing(struct building *b, struct modifiers *m)
{
    for (size_t i = 0; m && m->range.known && i < m->range.window_count; i++)
        check_window(m, &m->range.windows[i]);
    for (size_t i = 0; i < b->spec_count; i++)
        check_query_window(b, i);
    if (m) {
        check_cooldown(b, m->o);
        check_last_step(b, m->o);
    }
}
