/*
 * case_watch: the invariants of a test while it runs. What holds from a decision on holds until the next one, so a state is judged over that
 * stretch: a window that lies between two decisions sees it too. Events are judged at the decision that makes them.
 *
 * Formulas see what the decision saw: triggers by their names, and the state of the target after it. A formula that has no value (a trigger
 * without one, and no ?? for it) says nothing: the invariant is not broken by it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"
#include "formula/formula.h"
#include "sim/case_internal.h"

struct condition {
    struct formula *formula; /* NULL: there is none, it always holds */
    void *memory;
};
struct watched {
    const struct case_invariant *invariant;
    struct condition claim, guard;
    int64_t counted; /* events */
    bool over;       /* broken already: said once */
    bool suspect;    /* what holds now breaks it, if it holds within the window */
    char *got, *record;
};
struct case_watch {
    struct case_run *run;
    struct watched *rows;
    size_t count;
    int64_t since_ms; /* of what holds now; -1: nothing was decided yet */
    double values[TRIGGERS_MAX];
    bool nil[TRIGGERS_MAX], missing[TRIGGERS_MAX];
};

/* ------------------------------------------------------------------ formulas */

static bool compile(struct case_run *run, const struct case_invariant *invariant, const char *source,
                    struct condition *out)
{
    struct formula_options how = {.names = run->policy->names,
                                  .name_count = run->policy->policy->trigger_count,
                                  .extensions = true,
                                  .wrap = FORMULA_WRAP_NONE};
    struct formula_error err;

    if (!source)
        return true;
    out->formula = formula_compile(source, strlen(source), &how, &err);
    if (!out->formula) {
        case_complain(run->report, &invariant->place, invariant->field,
                      "formulas here know the triggers' names, replicas, ready_replicas, min_replicas, max_replicas",
                      "in '%.200s': %s (at %d:%d)", source, err.text, err.line, err.column);
        return false;
    }
    size_t bytes = formula_memory_bytes(out->formula);
    out->memory = bytes ? mem_alloc(bytes) : NULL;
    return true;
}

enum holds { HOLDS_NOT, HOLDS, HOLDS_UNKNOWN };

static enum holds evaluate(struct case_watch *watch, struct condition *condition, const struct case_moment *moment)
{
    struct formula_env env = {.values = watch->values,
                              .nil = watch->nil,
                              .missing = watch->missing,
                              .state = moment->state,
                              .now_ms = moment->at_ms,
                              .memory = condition->memory};
    struct formula_result result;

    if (!condition->formula)
        return HOLDS;
    formula_eval(condition->formula, &env, &result);
    if (result.value.type == FORMULA_BOOL || result.value.type == FORMULA_NUMBER)
        return isnan(result.value.number) ? HOLDS_UNKNOWN : result.value.number != 0 ? HOLDS : HOLDS_NOT;
    if (result.value.type == FORMULA_INT)
        return result.value.integer != 0 ? HOLDS : HOLDS_NOT;
    return HOLDS_UNKNOWN;
}

static void take_samples(struct case_watch *watch, const struct case_moment *moment)
{
    for (size_t i = 0; i < watch->run->policy->policy->trigger_count; i++) {
        const struct sample *sample = &moment->samples[i];

        watch->values[i] = sample->value;
        watch->nil[i] = sample->state != SAMPLE_OK;
        watch->missing[i] = sample->state == SAMPLE_MISSING;
    }
}

/* ------------------------------------------------------------------ one invariant */

static bool is_event(enum invariant_kind kind)
{
    return kind == INVARIANT_TO_ZERO || kind == INVARIANT_EVENTS || kind == INVARIANT_UPS || kind == INVARIANT_DOWNS;
}

static bool in_window(const struct case_invariant *invariant, int64_t at_ms)
{
    return at_ms >= invariant->from_ms && at_ms <= invariant->to_ms;
}

static bool state_breaks(struct case_watch *watch, struct watched *w, const struct case_moment *moment)
{
    switch (w->invariant->kind) {
    case INVARIANT_ABOVE:
        return moment->after > w->invariant->limit;
    case INVARIANT_BELOW:
        return moment->after < w->invariant->limit;
    case INVARIANT_CONDITION:
        return evaluate(watch, &w->claim, moment) == HOLDS;
    case INVARIANT_ALWAYS:
        return evaluate(watch, &w->claim, moment) == HOLDS_NOT;
    default:
        return false;
    }
}

static bool event_breaks(struct watched *w, const struct case_moment *moment)
{
    bool up = moment->after > moment->before, down = moment->after < moment->before;

    if (w->invariant->kind == INVARIANT_TO_ZERO)
        return down && moment->after == 0;
    w->counted += w->invariant->kind == INVARIANT_UPS ? up : w->invariant->kind == INVARIANT_DOWNS ? down : up || down;
    return (double)w->counted > w->invariant->limit;
}

static void set_got(struct watched *w, const struct case_moment *moment)
{
    char got[100];

    if (is_event(w->invariant->kind) && w->invariant->kind != INVARIANT_TO_ZERO)
        snprintf(got, sizeof(got), "one more, from %d to %d: that is %lld", moment->before, moment->after,
                 (long long)w->counted);
    else if (moment->before != moment->after)
        snprintf(got, sizeof(got), "from %d to %d", moment->before, moment->after);
    else
        snprintf(got, sizeof(got), "%d", moment->after);
    free(w->got);
    w->got = mem_copy(got);
}

static void broken(struct case_watch *watch, struct watched *w, int64_t at_ms)
{
    w->over = true;
    w->suspect = false;
    case_fail(watch->run, &w->invariant->place, w->invariant->field, at_ms, w->record, w->invariant->text, w->got);
}

/* What was decided at since_ms held until before end_ms. */
static void settle(struct case_watch *watch, struct watched *w, int64_t end_ms)
{
    if (w->suspect && watch->since_ms <= w->invariant->to_ms && end_ms > w->invariant->from_ms &&
        end_ms > watch->since_ms)
        broken(watch, w, watch->since_ms > w->invariant->from_ms ? watch->since_ms : w->invariant->from_ms);
    w->suspect = false;
}

static void see(struct case_watch *watch, struct watched *w, const struct case_moment *moment, case_record *record,
                void *arg)
{
    bool event = is_event(w->invariant->kind);

    settle(watch, w, moment->at_ms);
    if (w->over || w->invariant->kind == INVARIANT_REPLICA_HOURS || w->invariant->kind == INVARIANT_SLO)
        return;
    bool guarded = evaluate(watch, &w->guard, moment) == HOLDS; /* always, so that it remembers */
    bool breaks = event ? guarded && in_window(w->invariant, moment->at_ms) && event_breaks(w, moment)
                        : state_breaks(watch, w, moment) && guarded;
    if (!breaks)
        return;
    set_got(w, moment);
    free(w->record);
    w->record = mem_copy(record(arg));
    if (event)
        broken(watch, w, moment->at_ms);
    else
        w->suspect = true;
}

/* ------------------------------------------------------------------ all of them */

struct case_watch *case_watch_new(struct case_run *run)
{
    struct case_watch *watch = mem_alloc(sizeof(*watch));
    bool fine = true;

    watch->run = run;
    watch->since_ms = -1;
    watch->count = run->test->invariant_count;
    watch->rows = mem_array(watch->count ? watch->count : 1, sizeof(*watch->rows));
    for (size_t i = 0; i < watch->count; i++) {
        struct watched *w = &watch->rows[i];

        w->invariant = &run->test->invariants[i];
        fine = compile(run, w->invariant, w->invariant->condition, &w->claim) && fine;
        fine = compile(run, w->invariant, w->invariant->guard, &w->guard) && fine;
    }
    if (fine)
        return watch;
    case_watch_free(watch);
    return NULL;
}

static void condition_done(struct condition *condition)
{
    if (condition->formula)
        formula_unref(condition->formula);
    free(condition->memory);
}

void case_watch_free(struct case_watch *watch)
{
    if (!watch)
        return;
    for (size_t i = 0; i < watch->count; i++) {
        condition_done(&watch->rows[i].claim);
        condition_done(&watch->rows[i].guard);
        free(watch->rows[i].got);
        free(watch->rows[i].record);
    }
    free(watch->rows);
    free(watch);
}

void case_watch_see(struct case_watch *watch, const struct case_moment *moment, case_record *record, void *arg)
{
    take_samples(watch, moment);
    for (size_t i = 0; i < watch->count; i++)
        see(watch, &watch->rows[i], moment, record, arg);
    watch->since_ms = moment->at_ms;
}

/* What is counted over the whole run. */
static void judge_run(struct case_watch *watch, const struct watched *w, const struct simulation_result *result)
{
    double hours = result->replica_seconds / 3600, share = result->has_score ? 100 * result->score.in_slo : 0;
    char got[64];

    if (w->invariant->kind == INVARIANT_REPLICA_HOURS && hours > w->invariant->limit)
        snprintf(got, sizeof(got), "%.4g replica hours", hours);
    else if (w->invariant->kind == INVARIANT_SLO && share < w->invariant->limit)
        snprintf(got, sizeof(got), "%.4g %%", share);
    else
        return;
    case_fail(watch->run, &w->invariant->place, w->invariant->field, -1, NULL, w->invariant->text, got);
}

void case_watch_end(struct case_watch *watch, int64_t end_ms, const struct simulation_result *result)
{
    for (size_t i = 0; i < watch->count; i++) {
        settle(watch, &watch->rows[i], end_ms + 1);
        judge_run(watch, &watch->rows[i], result);
    }
}
