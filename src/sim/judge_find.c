/*
 * judge_find: from the bins of a run to sentences. Each finder looks for one thing, says it once, and is silent where the run shows too little.
 *
 * Demand is what came into the model; without a model it is not known, and triggers from outside stand in for it: idle is then where all of
 * them are near zero, and calm where none of them moved.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/time.h"
#include "sim/judge_internal.h"

#define AGAINST_CORRELATION (-0.3) /* of wish and demand, below which the one goes against the other */
#define WITH_CORRELATION    0.3    /* of a trigger and demand, above which it tells of demand */
#define VARIES              0.1    /* standard deviation of the logarithm, from which something changes at all */
#define IDLE_SHARE          0.02   /* of the highest demand */
#define BACK_SHARE          0.1  /* of the fleet that moves and moves back in an hour, from which that is worth words */
#define CALM_RATIO          1.25 /* highest to lowest demand that is no reason to move */
#define MISSES_SHARE        0.01 /* of requests out of their goals, from which that is worth words */

enum {
    CORRELATION_MIN = 8,             /* pairs */
    IDLE_SETTLE_MS = 10 * 60 * 1000, /* after that long nothing of before keeps replicas up: two default windows */
    BACK_WITHIN_MS = 10 * 60 * 1000, /* as in the score's oscillation */
    BACK_EVENTS_MIN = 3,
    OVER_MAX_MIN_MS = 5 * 60 * 1000,
};

static void conclude(struct judge *judge, enum finding_severity severity, const char *code, const char *term,
                     const char *remedy, const char *format, ...) __attribute__((format(printf, 6, 7)));
static void conclude(struct judge *judge, enum finding_severity severity, const char *code, const char *term,
                     const char *remedy, const char *format, ...)
{
    struct text text;
    va_list args;

    if (judge->judgement_count == JUDGEMENTS_MAX)
        return;
    text_init(&text, 4096);
    va_start(args, format);
    text_vprintf(&text, format, args);
    va_end(args);
    judge->judgements[judge->judgement_count++] = (struct judgement){.severity = severity,
                                                                     .code = code,
                                                                     .term = term,
                                                                     .remedy = remedy,
                                                                     .text = arena_copy(judge->arena, text.bytes)};
    text_done(&text);
}

static const char *words(struct judge *judge, int64_t ms)
{
    char span[32];

    duration_format_words(ms, span, sizeof(span));
    return arena_copy(judge->arena, span);
}

/* ------------------------------------------------------------------ how two things go together */

struct correlation {
    double n, x, y, xx, yy, xy;
};

static void correlate(struct correlation *c, double x, double y)
{
    if (!isfinite(x) || !isfinite(y))
        return;
    c->n++;
    c->x += x;
    c->y += y;
    c->xx += x * x;
    c->yy += y * y;
    c->xy += x * y;
}

/* 0 where one of them does not change. */
static double correlation_of(const struct correlation *c)
{
    double xx = c->xx - c->x * c->x / c->n, yy = c->yy - c->y * c->y / c->n, xy = c->xy - c->x * c->y / c->n;

    if (c->n < CORRELATION_MIN || !(xx / c->n >= VARIES * VARIES) || !(yy / c->n >= VARIES * VARIES))
        return 0; /* rounding can make a sum of squares negative */
    return xy / sqrt(xx * yy);
}

/* Ratios count, not differences. */
static double level(double amount)
{
    return log(1 + fmax(amount, 0));
}

static double wish_correlation(const struct judge *judge)
{
    struct correlation c = {0};

    for (size_t i = 0; i < judge->count; i++)
        if (judge->bins[i].seen && judge->bins[i].wished >= 0)
            correlate(&c, level(judge->bins[i].demand), level(judge->bins[i].wished));
    return correlation_of(&c);
}

static double signal_of(const struct judge *judge, size_t bin, size_t trigger)
{
    return judge->signals[bin * judge->policy->trigger_count + trigger];
}

static double signal_correlation(const struct judge *judge, size_t trigger)
{
    struct correlation c = {0};

    for (size_t i = 0; i < judge->count; i++)
        if (judge->bins[i].seen)
            correlate(&c, level(judge->bins[i].demand), level(signal_of(judge, i, trigger)));
    return correlation_of(&c);
}

static bool knows_demand(const struct judge *judge)
{
    return judge->s->options.model != NULL;
}

/* ------------------------------------------------------------------ against demand */

/* A trigger that tells of demand and lets the formula fall; without a model, one that does while no other lets it rise. */
static bool finds_inverse(const struct judge *judge, size_t *out)
{
    size_t triggers = judge->policy->trigger_count;
    bool found = false;

    for (size_t i = 0; i < triggers; i++) {
        int direction = judge_follows_replicas(judge, i) ? 0 : judge_direction(&judge->effects[i]);

        if (!knows_demand(judge) && direction > 0)
            return false;
        if (direction < 0 && !found && (!knows_demand(judge) || signal_correlation(judge, i) > WITH_CORRELATION)) {
            *out = i;
            found = true;
        }
    }
    return found;
}

static void find_against(struct judge *judge)
{
    double together = knows_demand(judge) ? wish_correlation(judge) : 0;
    size_t trigger = 0;
    bool inverse = judge->policy->formula && finds_inverse(judge, &trigger);
    const struct judge_effect *effect = &judge->effects[trigger];

    if (knows_demand(judge) && together >= AGAINST_CORRELATION)
        return;
    if (inverse)
        conclude(judge, FINDING_WARNING, "against-demand", judge_term(judge, effect->begin, effect->end),
                 "divide what is asked for by what one replica carries, so that the result rises with demand",
                 "replicas move against demand: when %s rises, the formula falls%s", judge->policy->names[trigger],
                 knows_demand(judge) ? "" : ", and nothing lets it rise; that is right only if it counts what is free");
    else if (knows_demand(judge))
        conclude(
            judge, FINDING_WARNING, "against-demand", NULL,
            "look which trigger falls while requests rise, and whether that is what it is for",
            "replicas move against demand: the more tokens came, the fewer replicas were wished for (correlation %.2f)",
            together);
}

/* ------------------------------------------------------------------ idle */

static double peak_of(const struct judge *judge, size_t trigger, bool demand)
{
    double peak = 0;

    for (size_t i = 0; i < judge->count; i++) {
        double value = demand ? judge->bins[i].demand : fabs(signal_of(judge, i, trigger));

        if (isfinite(value) && value > peak)
            peak = value;
    }
    return peak;
}

static double most_open(const struct judge *judge)
{
    double most = 0;

    for (size_t i = 0; i < judge->count; i++)
        most = fmax(most, judge->bins[i].open);
    return most;
}

/* Near zero: by demand and what is left of it, or by all that came from outside. */
static void mark_idle(const struct judge *judge, bool *idle)
{
    size_t triggers = judge->policy->trigger_count;
    bool outside = false;

    for (size_t i = 0; i < judge->count; i++)
        idle[i] = judge->bins[i].seen;
    if (knows_demand(judge)) {
        double limit = IDLE_SHARE * peak_of(judge, 0, true), open = fmax(1, IDLE_SHARE * most_open(judge));

        for (size_t i = 0; i < judge->count; i++)
            idle[i] &= judge->bins[i].demand <= limit && judge->bins[i].open <= open;
        return;
    }
    for (size_t t = 0; t < triggers; t++) {
        double limit = IDLE_SHARE * peak_of(judge, t, false);

        outside |= limit > 0;
        for (size_t i = 0; limit > 0 && i < judge->count; i++)
            idle[i] &= fabs(signal_of(judge, i, t)) <= limit;
    }
    for (size_t i = 0; !outside && i < judge->count; i++)
        idle[i] = false;
}

struct stretch { /* of idle bins: what replicas did in it */
    size_t first, last;
    int32_t from, to;
};

/* What was wished for before it became idle may still be on its way: replicas only rise from there on. */
static int32_t rises_from(const struct judge *judge, size_t first)
{
    int32_t before = first > 0 ? judge->bins[first - 1].wished : -1, now = judge->bins[first].replicas;

    if (before > judge->policy->rules.max)
        before = judge->policy->rules.max;
    return before > now ? before : now;
}

static bool next_stretch(const struct judge *judge, const bool *idle, size_t *at, struct stretch *out)
{
    while (*at < judge->count && !idle[*at])
        ++*at;
    out->first = *at;
    while (*at < judge->count && idle[*at])
        ++*at;
    out->last = *at - 1;
    if (out->first >= judge->count)
        return false;
    out->from = rises_from(judge, out->first);
    out->to = out->from;
    for (size_t i = out->first; i <= out->last; i++)
        if (judge->bins[i].replicas > out->to)
            out->to = judge->bins[i].replicas;
    return true;
}

static bool stays_up(const struct judge *judge, const struct stretch *s)
{
    return (int64_t)(s->last - s->first) * judge->width_ms >= IDLE_SETTLE_MS &&
           judge->bins[s->last].replicas >= s->from && s->from > judge->policy->rules.min && s->from > 1;
}

static void find_runaway(struct judge *judge)
{
    const struct judge_effect *replicas = &judge->effects[judge->policy->trigger_count];
    bool *idle = mem_array(judge->count, sizeof(*idle)), feeds_back = judge_direction(replicas) > 0;
    struct stretch s, worst = {.to = 0}, stuck = {.to = 0};

    mark_idle(judge, idle);
    for (size_t at = 0; next_stretch(judge, idle, &at, &s);) {
        if (s.to > s.from && s.to - s.from > worst.to - worst.from)
            worst = s;
        if (stays_up(judge, &s) && s.from > stuck.from)
            stuck = s;
    }
    free(idle);
    if (worst.to > worst.from)
        conclude(judge, FINDING_WARNING, "runs-away",
                 feeds_back ? judge_term(judge, replicas->begin, replicas->end) : NULL,
                 feeds_back ? "take the number of replicas out of the term, or divide by it"
                            : "let the formula be 0 where nothing is asked for",
                 "replicas run away at idle: from %d to %d within %s from %s on, while next to nothing was asked for%s",
                 worst.from, worst.to, words(judge, (int64_t)(worst.last - worst.first + 1) * judge->width_ms),
                 words(judge, (int64_t)worst.first * judge->width_ms),
                 feeds_back ? "; every replica that is added makes the formula ask for more" : "");
    else if (stuck.from > 0)
        conclude(judge, FINDING_WARNING, "runs-away",
                 judge->bins[stuck.last].faulty ? judge_term(judge, judge->fault_begin, judge->fault_end) : NULL,
                 judge->bins[stuck.last].faulty ? "say what the formula is without load, as in tokens > 0 ? ... : 0"
                                                : "let the formula be 0 where nothing is asked for",
                 "%d replicas stay up at idle: next to nothing was asked for during %s from %s on, and they did not "
                 "come down%s",
                 stuck.from, words(judge, (int64_t)(stuck.last - stuck.first + 1) * judge->width_ms),
                 words(judge, (int64_t)stuck.first * judge->width_ms),
                 judge->bins[stuck.last].faulty ? ", for the formula has no value then" : "");
}

/* ------------------------------------------------------------------ oscillation */

/* Did anything that comes from outside move between the two? */
static bool is_calm(const struct judge *judge, size_t first, size_t last, size_t trigger, bool demand)
{
    double low = INFINITY, high = 0;

    for (size_t i = first; i <= last; i++) {
        double value = demand ? judge->bins[i].demand : fabs(signal_of(judge, i, trigger));

        if (!isfinite(value))
            continue;
        low = fmin(low, value);
        high = fmax(high, value);
    }
    return !isfinite(low) || high <= low * CALM_RATIO;
}

static bool was_calm(const struct judge *judge, int64_t from_ms, int64_t to_ms)
{
    int64_t before = from_ms - 60000;
    size_t first = (size_t)((before > 0 ? before : 0) / judge->width_ms), last = (size_t)(to_ms / judge->width_ms);

    if (last >= judge->count)
        last = judge->count - 1;
    if (knows_demand(judge))
        return is_calm(judge, first, last, 0, true);
    for (size_t t = 0; t < judge->policy->trigger_count; t++)
        if (!judge_follows_replicas(judge, t) && !is_calm(judge, first, last, t, false))
            return false;
    return true;
}

static int64_t calm_reversals(const struct judge *judge, int64_t *moved)
{
    const struct serving_event *events;
    size_t count = simulation_events(judge->s, &events);
    int64_t reversals = 0;

    for (size_t i = 1; i < count; i++) {
        int32_t one = events[i - 1].after - events[i - 1].before, two = events[i].after - events[i].before;
        int64_t from = events[i - 1].at_ns / NS_PER_MS, to = events[i].at_ns / NS_PER_MS;

        if ((one > 0) == (two > 0) || to - from > BACK_WITHIN_MS || to >= judge->s->result.duration_ms ||
            !was_calm(judge, from, to))
            continue;
        reversals++;
        *moved += abs(one) < abs(two) ? abs(one) : abs(two);
    }
    return reversals;
}

static void find_oscillation(struct judge *judge)
{
    const struct judge_effect *replicas = &judge->effects[judge->policy->trigger_count];
    bool follows = replicas->rises + replicas->falls > 0;
    int64_t moved = 0, reversals = calm_reversals(judge, &moved);

    if (reversals < BACK_EVENTS_MIN || (double)moved < BACK_SHARE * judge->s->result.replica_seconds / 3600)
        return;
    conclude(
        judge, FINDING_WARNING, "oscillates", follows ? judge_term(judge, replicas->begin, replicas->end) : NULL,
        "widen the tolerance or scaleDown.stabilizationWindowSeconds, or smooth the signal, as with avg_over(x, "
        "\"2m\")",
        "replicas oscillate: %lld times they moved and moved back (%lld replicas in all) although demand was calm%s",
        (long long)reversals, (long long)moved,
        follows ? "; the formula depends on the number of replicas it asks for" : "");
}

/* ------------------------------------------------------------------ out of reach */

static void find_maximum(struct judge *judge)
{
    int64_t total = 0, longest = 0, now = 0;
    bool harms = !knows_demand(judge) || judge->misses > MISSES_SHARE * judge->requests;

    for (size_t i = 0; i < judge->count; i++) {
        total += judge->bins[i].over_max_ms;
        now = judge->bins[i].over_max_ms > 0 ? now + judge->bins[i].over_max_ms : 0;
        if (now > longest)
            longest = now;
    }
    if (longest < OVER_MAX_MIN_MS || !harms)
        return;
    conclude(
        judge, FINDING_WARNING, "max-too-low", NULL,
        arena_printf(judge->arena, "raise maxReplicaCount towards %d, or see why so many are wished for",
                     judge->highest_wish),
        "maxReplicaCount %d is less than what the load asks for: up to %d were wished for, %s in all, %s at a time",
        judge->policy->rules.max, judge->highest_wish, words(judge, total), words(judge, longest));
}

static void find_misses(struct judge *judge)
{
    double content = 0, late = 0;
    char share[32];

    if (judge->misses <= MISSES_SHARE * judge->requests)
        return;
    for (size_t i = 0; i < judge->count; i++) {
        const struct judge_bin *bin = &judge->bins[i];

        if (bin->starting > 0)
            late += bin->missed;
        else if (bin->wished <= bin->ready)
            content += bin->missed;
    }
    snprintf(share, sizeof(share), "%.1f %%", 100 * judge->misses / judge->requests);
    if (content > judge->misses / 2)
        conclude(judge, FINDING_WARNING, "content-in-need", NULL,
                 "lower the target, or add a trigger that sees the wait: waiting requests, ttft, itl",
                 "%s of the requests miss their goals, %.0f %% of those while the policy has all the replicas it "
                 "wishes for: what it "
                 "looks at does not tell it",
                 share, 100 * content / judge->misses);
    if (late > judge->misses / 2)
        conclude(
            judge, FINDING_WARNING, "too-late", NULL,
            "ask sooner: a lower target, work that came instead of work that is done, or a forecast",
            "%s of the requests miss their goals, %.0f %% of those while replicas that were asked for are starting",
            share, 100 * late / judge->misses);
}

void judge_find(struct judge *judge)
{
    find_against(judge);
    find_runaway(judge);
    find_oscillation(judge);
    find_maximum(judge);
    find_misses(judge);
}
