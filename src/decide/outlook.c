/*
 * outlook: the search for the values at which the decision becomes another one (outlook.h says what is searched for).
 *
 *     now      the facts as they are, and what time makes of them         --> at, then
 *     walk     one trigger, one direction:  x . . o . . . . . o . . . . . . . . . . o        steps that double
 *     bisect   between the last step that did not do it and the first that did:  o . x | x x
 *
 * A decision that is another one only later is followed to there: decide() says when time alone may change it (next_at_ms), and is asked
 * again at that instant, as if every source had just given the same answer once more.
 */
#include "decide/outlook.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "decide/decide_internal.h"

enum {
    WALK_MAX = 48,   /* steps of a walk: doubling, from a part of a small value to very many times a large one */
    BISECT_MAX = 32, /* halvings, where an edge is at 0; else 20 are enough for six digits */
    WAITS_MAX =
        8, /* instants that are waited for one after the other: a window, then a rate limit, then the cooldown ... */
    FIRST_STEP = 64 /* the first step is this part of the present value, or of the target */
};
static_assert((WALK_MAX + 2 * (BISECT_MAX + 1)) * (WAITS_MAX + 1) <= OUTLOOK_STEPS_MAX, "a walk is never cut short");
#define EDGE_PRECISION 1e-6

enum aim { MORE, FEWER, AIMS };

struct outcome { /* the first decision that is another one than now's; else the last that was asked for */
    int32_t replicas;
    int64_t after_ms; /* from now */
    enum step_kind why;
};

struct asking {
    const struct decide_rules *rules;
    const struct decide_facts *facts;
    const struct decide_memory *memory;
    uint32_t left, steps_left; /* decisions: in all, and of this trigger and direction */
    struct outlook *out;
    bool may[AIMS];     /* whether it can become more, or fewer, at all */
    bool in_time[AIMS]; /* it will, without any change of a value */

    /* the facts as they are imagined to be */
    struct sample samples[TRIGGERS_MAX];
    int64_t good_at_ms[TRIGGERS_MAX];
    struct series *series[TRIGGERS_MAX]; /* facts' own, or a copy */
    struct series *copies[TRIGGERS_MAX]; /* NULL: none yet */
    int64_t copied_until_ms[TRIGGERS_MAX];
    struct decision decision;
};

/* ------------------------------------------------------------------ facts that are imagined */

static void as_it_is(struct asking *a)
{
    static const struct sample nothing;
    const struct decide_facts *f = a->facts;

    for (uint16_t i = 0; i < a->rules->trigger_count; i++) {
        a->samples[i] = f->samples ? f->samples[i] : nothing;
        a->good_at_ms[i] = f->good_at_ms ? f->good_at_ms[i] : 0;
        a->series[i] = f->series ? f->series[i] : NULL;
    }
}

/* One more answer, in the trigger's history too. */
static void answer(struct asking *a, uint16_t i, double value, int64_t at_ms)
{
    struct series *own = a->facts->series ? a->facts->series[i] : NULL;

    a->samples[i] = (struct sample){.value = value, .at_ms = at_ms, .state = SAMPLE_OK};
    a->good_at_ms[i] = at_ms;
    if (!own)
        return;
    if (!a->copies[i] || a->copied_until_ms[i] > at_ms) {
        series_free(a->copies[i]);
        a->copies[i] = series_copy(own);
    }
    series_add(a->copies[i], &a->samples[i]); /* one of the same instant is replaced */
    a->copied_until_ms[i] = at_ms;
    a->series[i] = a->copies[i];
}

/* Everybody who has an answer gives it again. What is missing or failed stays so, and is not counted once more. */
static void answer_again(struct asking *a, int64_t at_ms)
{
    for (uint16_t i = 0; i < a->rules->trigger_count; i++)
        if (a->samples[i].state == SAMPLE_OK)
            answer(a, i, a->samples[i].value, at_ms);
}

/* ------------------------------------------------------------------ one question */

/* Which step named the instant that time has to reach. */
static enum step_kind waits_for(const struct decision *d)
{
    enum step_kind limited = STEP_CURRENT;

    for (uint16_t i = 0; i < d->step_count; i++) {
        const struct decision_step *s = &d->steps[i];
        bool named = fabs(s->limit * 1000 - (double)d->next_at_ms) < 2; /* it is the moment after */

        if ((s->kind == STEP_COOLDOWN || s->kind == STEP_HELD_MISSING) && named)
            return s->kind;
        if (s->kind == STEP_STABILIZED_DOWN || s->kind == STEP_STABILIZED_UP || s->kind == STEP_RATE_LIMITED_UP ||
            s->kind == STEP_RATE_LIMITED_DOWN)
            limited = s->kind;
    }
    return limited;
}

static bool spend(struct asking *a)
{
    if (a->left == 0 || a->steps_left == 0) {
        a->out->cut = true;
        return false;
    }
    a->left--;
    a->steps_left--;
    return true;
}

static void decide_at(struct asking *a, int64_t now_ms, struct decide_memory *memory)
{
    struct decide_facts facts = *a->facts;

    facts.now_ms = now_ms;
    facts.samples = a->samples;
    facts.good_at_ms = a->facts->good_at_ms ? a->good_at_ms : NULL;
    facts.series = a->series;
    decide(a->rules, &facts, memory, false, &a->decision);
}

/* Decides, and then waits as long as that may make another decision of it. first: this is the decision of now itself. */
static struct outcome follow(struct asking *a, bool first)
{
    struct decide_memory *memory = decide_memory_copy(a->memory);
    struct outcome outcome = {.replicas = a->out->now};
    int64_t now_ms = a->facts->now_ms;

    for (int waits = 0; spend(a); waits++) {
        decide_at(a, now_ms, memory);
        outcome.replicas = a->decision.after;
        outcome.after_ms = now_ms - a->facts->now_ms;
        if (first && waits == 0)
            a->out->now = outcome.replicas;
        if (outcome.replicas != a->out->now || a->decision.next_at_ms <= now_ms || waits == WAITS_MAX)
            break;
        outcome.why = waits_for(&a->decision);
        now_ms = a->decision.next_at_ms;
        answer_again(a, now_ms);
    }
    decide_memory_free(memory);
    return outcome;
}

static struct outcome ask(struct asking *a, uint16_t trigger, double value)
{
    as_it_is(a);
    answer(a, trigger, value, a->facts->now_ms);
    return follow(a, false);
}

static bool is_met(const struct asking *a, enum aim aim, const struct outcome *o)
{
    bool met = aim == MORE ? o->replicas > a->out->now : o->replicas < a->out->now;

    return met && (o->after_ms == 0 || !a->in_time[aim]);
}

/* ------------------------------------------------------------------ the edge between two values */

/* The shortest decimal in [a, b]: the one nearest to the middle, of as few digits as there is one. */
static double shortest_between(double a, double b)
{
    double low = fmin(a, b), high = fmax(a, b), middle = low + (high - low) / 2;

    if (low <= 0 && high >= 0)
        return 0;
    for (int digits = 1; digits < 17; digits++) {
        char text[40];
        double value;

        snprintf(text, sizeof(text), "%.*e", digits - 1, middle);
        value = strtod(text, NULL);
        if (value >= low && value <= high)
            return value;
    }
    return middle;
}

/* yes meets the aim (with this outcome), no does not. */
static void find_edge(struct asking *a, uint16_t trigger, enum aim aim, double no, double yes, struct outcome met,
                      struct outlook_edge *edge)
{
    struct outcome o;

    for (int i = 0; i < BISECT_MAX && fabs(yes - no) > EDGE_PRECISION * fmax(fabs(no), fabs(yes)); i++) {
        double middle = no + (yes - no) / 2;

        o = ask(a, trigger, middle);
        if (a->out->cut)
            return;
        if (is_met(a, aim, &o)) {
            yes = middle;
            met = o;
        } else {
            no = middle;
        }
    }
    double value = shortest_between(no, yes);
    o = ask(a, trigger, value);
    if (a->out->cut)
        return;
    bool at = is_met(a, aim, &o);
    *edge = (struct outlook_edge){.known = true,
                                  .value = value,
                                  .above = yes > no,
                                  .at = at,
                                  .replicas = at ? o.replicas : met.replicas,
                                  .after_ms = at ? o.after_ms : met.after_ms,
                                  .why = at ? o.why : met.why};
}

/* ------------------------------------------------------------------ one direction */

struct walk {
    uint16_t trigger;
    double from, sign, first, last; /* distances of the first and the last step */
    struct outcome start;           /* what `from` gives */
    bool met[AIMS];                 /* there already: then its edge is where that ends */
    struct outlook_edge edges[AIMS];
};

static bool is_wanted(const struct asking *a, const struct walk *w, enum aim aim)
{
    return a->may[aim] && !w->edges[aim].known;
}

/* The step that crosses an edge: between it and the step before. */
static void cross(struct asking *a, struct walk *w, double before, const struct outcome *was, double at,
                  const struct outcome *is)
{
    for (int aim = 0; aim < AIMS; aim++) {
        if (!is_wanted(a, w, aim) || is_met(a, aim, is) == w->met[aim])
            continue;
        if (w->met[aim])
            find_edge(a, w->trigger, aim, at, before, *was, &w->edges[aim]);
        else
            find_edge(a, w->trigger, aim, before, at, *is, &w->edges[aim]);
    }
}

static void walk(struct asking *a, struct walk *w)
{
    struct outcome was = w->start;
    double before = w->from, distance = w->first;
    bool ends = false;

    a->steps_left = OUTLOOK_STEPS_MAX;
    for (int i = 0; i < WALK_MAX && !ends && distance <= w->last; i++, distance *= 2) {
        double at = w->from + w->sign * distance;

        if (w->from >= 0 && at <= 0) { /* what counts gives nothing below 0 */
            at = 0;
            ends = true;
        }
        if (!isfinite(at) || at == before || (!is_wanted(a, w, MORE) && !is_wanted(a, w, FEWER)))
            return;
        struct outcome is = ask(a, w->trigger, at);
        if (a->out->cut)
            return;
        cross(a, w, before, &was, at, &is);
        before = at;
        was = is;
    }
}

/* ------------------------------------------------------------------ one trigger */

static bool is_asked(const struct decide_rules *rules, uint16_t i)
{
    const struct decide_trigger *t = &rules->triggers[i];

    if (t->kind != METRIC_EXTERNAL)
        return false;
    return !rules->formula || (t->formula_name >= 0 && formula_uses(rules->formula, (size_t)t->formula_name));
}

/* How near the first step is, and how far the last: from a part of the smallest number at hand to a multiple of the largest. */
static void set_distances(const struct asking *a, struct walk *w)
{
    const struct decide_trigger *t = &a->rules->triggers[w->trigger];
    double target = a->rules->formula ? a->rules->formula_target : t->target;
    double fleet = fabs(target) * fmax(1, a->out->now);
    double numbers[] = {fabs(w->from), fabs(target), fabs(t->activation), fleet};
    double least = INFINITY, most = 0;

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (numbers[i] == 0 || !isfinite(numbers[i]))
            continue;
        least = fmin(least, numbers[i]);
        most = fmax(most, numbers[i]);
    }
    if (most == 0)
        least = most = 1;
    w->last = most * OUTLOOK_FACTOR_MAX;
    w->first = fmax(least / FIRST_STEP, ldexp(w->last, 1 - WALK_MAX));
}

static void take_nearer(struct outlook_edge *to, const struct outlook_edge *edge, double from)
{
    if (edge->known && (!to->known || fabs(edge->value - from) < fabs(to->value - from)))
        *to = *edge;
}

/* It is met wherever it was looked for, and only of what has no value now. */
static void note_any(const struct walk *w, enum aim aim, struct outlook_edge *edge)
{
    if (edge->known || !w->met[aim])
        return;
    *edge = (struct outlook_edge){.known = true,
                                  .value = w->from,
                                  .above = true,
                                  .at = true,
                                  .any = true,
                                  .replicas = w->start.replicas,
                                  .after_ms = w->start.after_ms,
                                  .why = w->start.why};
}

/* A trigger that has no value is tried from 0 on. */
static void try_trigger(struct asking *a, uint16_t i)
{
    struct outlook_trigger *out = &a->out->triggers[i];
    const struct sample *s = a->facts->samples ? &a->facts->samples[i] : NULL;
    bool has_value = s && s->state == SAMPLE_OK && isfinite(s->value);
    struct walk w = {.trigger = i, .from = has_value ? s->value : 0};

    set_distances(a, &w);
    a->steps_left = OUTLOOK_STEPS_MAX;
    w.start = ask(a, i, w.from);
    for (int aim = 0; aim < AIMS; aim++)
        w.met[aim] = a->may[aim] && is_met(a, aim, &w.start);
    for (w.sign = 1; w.sign >= -1 && !a->out->cut; w.sign -= 2) {
        w.edges[MORE] = w.edges[FEWER] = (struct outlook_edge){.known = false};
        if (w.sign > 0 || w.from != 0)
            walk(a, &w);
        take_nearer(&out->up, &w.edges[MORE], w.from);
        take_nearer(&out->down, &w.edges[FEWER], w.from);
    }
    if (a->out->cut)
        return;
    note_any(&w, MORE, &out->up);
    note_any(&w, FEWER, &out->down);
}

/* ------------------------------------------------------------------ all of it */

static void note_bounds(struct asking *a)
{
    const struct decide_rules *rules = a->rules;
    struct outlook *out = a->out;
    int32_t least = rules->idle >= 0 && rules->idle < rules->min ? rules->idle : rules->min;

    out->left_to_hpa = rules->mode == DECIDE_HPA;
    out->at_max = !out->left_to_hpa && out->now >= rules->max;
    out->at_min = out->now > 0 && out->now <= least;
    a->may[MORE] = !out->at_max;
    a->may[FEWER] = out->now > 0 && !out->at_min;
}

static void look_at_now(struct asking *a)
{
    struct outlook *out = a->out;
    struct outcome o;

    a->steps_left = OUTLOOK_STEPS_MAX;
    as_it_is(a);
    o = follow(a, true);
    out->paused = a->decision.paused;
    if (o.replicas == out->now || out->now < 0)
        return;
    out->at_ms = a->facts->now_ms + o.after_ms;
    out->then = o.replicas;
    out->why = o.why;
    a->in_time[o.replicas > out->now ? MORE : FEWER] = true;
}

void decide_outlook(const struct decide_rules *rules, const struct decide_facts *facts,
                    const struct decide_memory *memory, uint32_t decisions_max, struct outlook *out)
{
    struct asking *a = mem_alloc(sizeof(*a));

    *out = (struct outlook){.now = -1, .trigger_count = rules->trigger_count};
    *a = (struct asking){.rules = rules, .facts = facts, .memory = memory, .left = decisions_max, .out = out};
    look_at_now(a);
    note_bounds(a);
    for (uint16_t i = 0; i < rules->trigger_count; i++)
        out->triggers[i].asked = is_asked(rules, i);
    for (uint16_t i = 0; i < rules->trigger_count && out->now >= 0 && !out->paused && !out->cut; i++)
        if (out->triggers[i].asked)
            try_trigger(a, i);
    for (uint16_t i = 0; i < rules->trigger_count; i++)
        series_free(a->copies[i]);
    free(a);
}
