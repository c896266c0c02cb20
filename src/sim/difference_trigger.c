/*
 * difference_trigger: what two versions of one object ask of the world differently. Triggers are matched by name, else by type and place among
 * those of the type. Targets and activations are compared as the numbers that decide; other parameters as they are written.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "sim/difference_internal.h"

struct pair { /* one trigger in both versions */
    struct differences *d;
    const struct object_meta *meta;
    const struct trigger_spec *before, *after;
    const struct decide_trigger *was, *is; /* as rules */
    const struct policy_trigger *was_slot, *is_slot;
    bool formula;              /* it only feeds one: its own target does not count */
    const char *title, *field; /* "prometheus 'queue'", "spec.triggers[1]" */
};

const char *trigger_title(struct arena *arena, const struct trigger_spec *spec)
{
    const char *type = spec->type ? spec->type : "a trigger";

    return spec->name ? arena_printf(arena, "%s '%s'", type, spec->name) : type;
}

static bool same_trigger(const struct side *a, size_t i, const struct side *b, size_t j)
{
    const struct trigger_spec *x = &a->triggers[i], *y = &b->triggers[j];
    size_t before_x = 0, before_y = 0;

    if (x->name || y->name)
        return string_equal(x->name, y->name);
    for (size_t k = 0; k < i; k++)
        before_x += !a->triggers[k].name && string_equal(a->triggers[k].type, x->type);
    for (size_t k = 0; k < j; k++)
        before_y += !b->triggers[k].name && string_equal(b->triggers[k].type, y->type);
    return string_equal(x->type, y->type) && before_x == before_y;
}

/* SIZE_MAX: the other version has none. */
static size_t find_trigger(const struct side *in, const struct side *of, size_t index)
{
    for (size_t i = 0; i < in->trigger_count; i++)
        if (same_trigger(in, i, of, index))
            return i;
    return SIZE_MAX;
}

/* ---- what changed of one ---- */

static void say(const struct pair *p, const char *part, const char *before, const char *after, const char *sentence)
{
    if (!string_equal(before, after))
        difference_add(p->d, DIFFERENCE_CHANGED, p->meta, arena_printf(p->d->arena, "%s%s", p->field, part), before,
                       after, arena_printf(p->d->arena, "%s %s", p->title, sentence));
}

static void compare_target(const struct pair *p)
{
    struct arena *arena = p->d->arena;
    const char *consequence =
        p->was->target_type == p->is->target_type ? target_consequence(arena, p->was->target, p->is->target) : "";

    if (!p->is_slot->trigger || !p->was_slot->trigger || p->formula)
        return; /* a type that is not built in has no target that is known; under a formula none counts */
    say(p, ".metadata", target_words(arena, p->was->target, p->was->target_type),
        target_words(arena, p->is->target, p->is->target_type),
        arena_printf(arena, "asks for {after}, was {before}%s", consequence));
    say(p, ".metadata", number_words(arena, p->was->activation), number_words(arena, p->is->activation),
        "is active above {after}, was above {before}");
}

/* It was told as a target or an activation already. */
static bool is_told(const struct pair *p, const struct tree *was, const struct tree *is)
{
    double before, after;

    if (p->formula || !tree_number(was, &before) || !tree_number(is, &after))
        return false;
    return (before == p->was->target && after == p->is->target) ||
           (before == p->was->activation && after == p->is->activation);
}

static const char *shown(struct arena *arena, const struct tree *value)
{
    return value ? arena_printf(arena, "'%s'", tree_string(value)) : "not there";
}

static void compare_parameter(const struct pair *p, const char *key)
{
    const struct tree *was = tree_get(p->before->metadata, key), *is = tree_get(p->after->metadata, key);
    const char *field = arena_printf(p->d->arena, ".metadata.%s", key);

    if (string_equal(tree_string(was), tree_string(is)) || is_told(p, was, is))
        return;
    if (policy_may_be_secret(p->after->type, key, was) || policy_may_be_secret(p->after->type, key, is))
        say(p, field, was ? "a value" : "not there", is ? "another value" : "not there",
            arena_printf(p->d->arena, "is asked with another %s", key));
    else
        say(p, field, shown(p->d->arena, was), shown(p->d->arena, is),
            arena_printf(p->d->arena, "is asked with %s {after}, was {before}", key));
}

static void compare_parameters(const struct pair *p)
{
    const struct tree *was = p->before->metadata, *is = p->after->metadata;

    for (const struct tree *m = is ? is->first : NULL; m; m = m->next)
        compare_parameter(p, m->key);
    for (const struct tree *m = was ? was->first : NULL; m; m = m->next)
        if (!tree_get(is, m->key))
            compare_parameter(p, m->key);
}

static const char *auth_words(struct arena *arena, const struct trigger_spec *spec)
{
    return spec->auth_name ? arena_printf(arena, "%s %s", spec->auth_kind, spec->auth_name) : "nothing";
}

static void compare_one(const struct pair *p)
{
    struct arena *arena = p->d->arena;

    say(p, ".type", p->before->type, p->after->type, "is of type {after}, was {before}");
    compare_target(p);
    compare_parameters(p);
    say(p, ".authenticationRef", auth_words(arena, p->before), auth_words(arena, p->after),
        "takes its credentials from {after}, was {before}");
    say(p, ".useCachedMetrics", p->before->use_cached_metrics ? "pollingInterval only" : "above 0 replicas too",
        p->after->use_cached_metrics ? "pollingInterval only" : "above 0 replicas too",
        "is asked anew every {after}, was {before}");
}

/* ---- all of them ---- */

static const struct decide_trigger *rule_of(const struct policy *policy, size_t index)
{
    return policy->is_job ? &policy->job_rules.triggers[index] : &policy->rules.triggers[index];
}

static void compare_both(struct differences *d, const struct side *before, size_t i, const struct side *after, size_t j)
{
    struct pair p = {.d = d,
                     .meta = after->meta,
                     .before = &before->triggers[i],
                     .after = &after->triggers[j],
                     .was = rule_of(before->policy, i),
                     .is = rule_of(after->policy, j),
                     .was_slot = &before->policy->triggers[i],
                     .is_slot = &after->policy->triggers[j],
                     .formula = after->policy->formula != NULL,
                     .title = trigger_title(d->arena, &after->triggers[j]),
                     .field = arena_printf(d->arena, "spec.triggers[%zu]", j)};

    compare_one(&p);
}

static void say_new(struct differences *d, const struct side *after, size_t i)
{
    const struct policy *policy = after->policy;
    const struct decide_trigger *rule = rule_of(policy, i);
    const char *what = "";

    if (policy->formula)
        what = formula_uses(policy->formula, i) ? ", which the formula uses" : ", which the formula does not use";
    else if (policy->triggers[i].trigger)
        what = arena_printf(d->arena, ", which asks for %s", target_words(d->arena, rule->target, rule->target_type));
    difference_add(d, DIFFERENCE_CHANGED, after->meta, arena_printf(d->arena, "spec.triggers[%zu]", i), NULL,
                   trigger_title(d->arena, &after->triggers[i]), arena_printf(d->arena, "asks {after} too%s", what));
}

static size_t compared(const struct side *side) /* a policy keeps so many */
{
    return side->trigger_count < side->policy->trigger_count ? side->trigger_count : side->policy->trigger_count;
}

void difference_of_triggers(struct differences *d, const struct side *before, const struct side *after)
{
    for (size_t j = 0; j < compared(after); j++) {
        size_t i = find_trigger(before, after, j);

        if (i == SIZE_MAX)
            say_new(d, after, j);
        else if (i < compared(before))
            compare_both(d, before, i, after, j);
    }
    for (size_t i = 0; i < compared(before); i++)
        if (find_trigger(after, before, i) == SIZE_MAX)
            difference_add(d, DIFFERENCE_CHANGED, after->meta, arena_printf(d->arena, "spec.triggers[%zu]", i),
                           trigger_title(d->arena, &before->triggers[i]), NULL, "no longer asks {before}");
}
