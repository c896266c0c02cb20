/*
 * judge_probe: what the formula would say if one of its inputs were a little higher, and which sub-expression turns the change around.
 *
 *     values as they are      ->  t/p = 5     1/(t/p) = 0.2
 *     t a little higher       ->  t/p = 5.5   1/(t/p) = 0.18      the first that falls where its input rose: 1/(t/p)
 *
 * Sub-expressions come in the order in which they are done, operands before what they are operands of, so the first that answers is the
 * innermost. What functions remember starts anew in both runs.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "sim/judge_internal.h"

#define RISE 1.1 /* beyond the rounding of whole numbers, within what a policy sees any day */

enum { NODES_MAX = 128 };

struct node {
    uint32_t begin, end;
    double value;
};
struct run {
    struct node nodes[NODES_MAX];
    size_t count;
    bool good; /* it has a finite value */
    double value;
};
struct inputs {
    double values[TRIGGERS_MAX];
    bool nil[TRIGGERS_MAX];
    struct series *series[TRIGGERS_MAX];
    struct formula_state state;
};

bool judge_follows_replicas(const struct judge *judge, size_t trigger)
{
    return judge->s->feeds[trigger].kind == FEED_PODS;
}

static bool number_of(const struct formula_value *value, double *out)
{
    if (value->type != FORMULA_NUMBER && value->type != FORMULA_INT && value->type != FORMULA_BOOL)
        return false;
    *out = value->type == FORMULA_INT ? (double)value->integer : value->number;
    return isfinite(*out);
}

static void on_node(void *arg, size_t begin, size_t end, int depth, const struct formula_value *value, const char *repr)
{
    struct run *run = arg;
    double number = NAN;

    (void)depth, (void)repr;
    if (run->count == NODES_MAX)
        return;
    if (!number_of(value, &number))
        number = NAN;
    run->nodes[run->count++] = (struct node){(uint32_t)begin, (uint32_t)end, number};
}

static void evaluate(const struct judge *judge, const struct inputs *in, int64_t now_ms, struct run *run)
{
    struct formula_env env = {.values = in->values,
                              .nil = in->nil,
                              .series = in->series,
                              .state = &in->state,
                              .now_ms = now_ms,
                              .trace = on_node,
                              .trace_arg = run};
    struct formula_result result;

    run->count = 0;
    formula_eval(judge->policy->formula, &env, &result);
    run->good = result.value.type != FORMULA_FAILED && number_of(&result.value, &run->value);
}

static void fill(const struct judge *judge, const struct simulation_tick *tick, struct inputs *in)
{
    const struct decide_rules *rules = &judge->policy->rules;

    for (size_t i = 0; i < TRIGGERS_MAX; i++) {
        in->values[i] = 0;
        in->nil[i] = true;
        in->series[i] = NULL;
    }
    for (size_t i = 0; i < tick->trigger_count; i++) {
        int32_t name = rules->triggers[i].formula_name;

        if (name < 0)
            continue;
        in->nil[name] = tick->samples[i].state != SAMPLE_OK;
        in->values[name] = in->nil[name] ? 0 : tick->samples[i].value;
        in->series[name] = judge->s->series ? judge->s->series[i] : NULL;
    }
    in->state = (struct formula_state){.replicas = tick->replicas,
                                       .ready_replicas = tick->ready,
                                       .pending_replicas = tick->pending,
                                       .min_replicas = rules->min,
                                       .max_replicas = rules->max,
                                       .target = rules->formula_target};
}

static void raise_trigger(const struct judge *judge, size_t trigger, struct inputs *in)
{
    int32_t name = judge->policy->rules.triggers[trigger].formula_name;

    if (name >= 0)
        in->values[name] *= RISE;
}

static void change_replicas(const struct judge *judge, double factor, struct inputs *in)
{
    in->state.replicas *= factor;
    in->state.ready_replicas *= factor;
    for (size_t i = 0; i < judge->policy->trigger_count; i++)
        if (judge_follows_replicas(judge, i) && judge->policy->rules.triggers[i].formula_name >= 0)
            in->values[judge->policy->rules.triggers[i].formula_name] *= factor;
}

/* A name alone is no term. */
static bool is_name(const struct judge *judge, const struct node *node)
{
    const char *source = formula_source(judge->policy->formula);

    for (uint32_t i = node->begin; i < node->end; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$", source[i]))
            return false;
    return true;
}

/* The innermost sub-expression that goes where the whole goes; where the two took different ways through the formula, the condition that
   parted them. */
static const struct node *find_term(const struct judge *judge, const struct run *before, const struct run *after)
{
    bool up = after->value > before->value;

    for (size_t i = 0; i < before->count && i < after->count; i++) {
        const struct node *a = &before->nodes[i], *b = &after->nodes[i];

        if (a->begin != b->begin || a->end != b->end)
            return i > 0 ? a - 1 : NULL;
        if (!is_name(judge, a) && (up ? b->value > a->value : b->value < a->value))
            return a;
    }
    return NULL;
}

/* The place that most probes name, by majority vote. */
static void vote(struct judge_effect *effect, const struct node *term)
{
    if (!term)
        return;
    if (effect->votes == 0) {
        effect->begin = term->begin;
        effect->end = term->end;
    }
    effect->votes = effect->begin == term->begin && effect->end == term->end ? effect->votes + 1 : effect->votes - 1;
}

static void note(struct judge *judge, struct judge_effect *effect, const struct run *before, const struct run *after)
{
    if (!after->good || !before->good)
        return;
    effect->probes++;
    effect->rises += after->value > before->value;
    effect->falls += after->value < before->value;
    if (after->value != before->value)
        vote(effect, find_term(judge, before, after));
}

/* A little more of them; where that does nothing, twice as many, then half: formulas have steps. */
static void probe_replicas(struct judge *judge, const struct inputs *base, const struct run *before, int64_t now_ms)
{
    static const double factors[] = {RISE, 2, 0.5};
    struct judge_effect *effect = &judge->effects[judge->policy->trigger_count];
    struct run after = {.good = false};

    for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++) {
        struct inputs changed = *base;

        change_replicas(judge, factors[i], &changed);
        evaluate(judge, &changed, now_ms, &after);
        if (!after.good || after.value == before->value)
            continue;
        if (factors[i] > 1)
            note(judge, effect, before, &after);
        else
            note(judge, effect, &after, before);
        return;
    }
    note(judge, effect, before, &after);
}

void judge_probe(struct judge *judge, const struct simulation_tick *tick)
{
    struct inputs base, raised;
    struct run before, after;
    int64_t now_ms = tick->decision->at_ms;

    fill(judge, tick, &base);
    evaluate(judge, &base, now_ms, &before);
    if (!before.good)
        return;
    for (size_t i = 0; i <= judge->policy->trigger_count; i++) {
        bool replicas = i == judge->policy->trigger_count;

        if (!replicas && judge_follows_replicas(judge, i))
            continue;
        if (replicas) {
            probe_replicas(judge, &base, &before, now_ms);
            continue;
        }
        raised = base;
        raise_trigger(judge, i, &raised);
        evaluate(judge, &raised, now_ms, &after);
        note(judge, &judge->effects[i], &before, &after);
    }
}

int judge_direction(const struct judge_effect *effect)
{
    uint32_t moved = effect->rises + effect->falls;

    if (moved == 0)
        return 0;
    return effect->rises * 10 >= moved * 9 ? 1 : effect->falls * 10 >= moved * 9 ? -1 : 0;
}

const char *judge_term(struct judge *judge, uint32_t begin, uint32_t end)
{
    const char *source = judge->policy->formula ? formula_source(judge->policy->formula) : NULL;

    if (!source || begin >= end || end > strlen(source))
        return NULL;
    return arena_printf(judge->arena, "%.*s", (int)(end - begin), source + begin);
}
