/*
 * modifiers: the formula of an object. Its names are the triggers' names; cpu and memory triggers have no value that a formula
 * could read (keda-operator/03 7). KEDA refuses a formula without target; in direct and observe mode it decides activation only
 * (DESIGN.md 5).
 *
 * Most of this file is words: the commonest mistakes of the field get an answer that says what to do, instead of "unknown name".
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"
#include "policy/policy_internal.h"

#define MODIFIERS "spec.advanced.scalingModifiers"

void modifiers_say(struct modifiers *m, enum finding_severity severity, const char *code, const char *part,
                   const char *remedy, const char *format, ...)
{
    struct text text;
    va_list args;

    va_start(args, format);
    text_init(&text, 2000);
    text_vprintf(&text, format, args);
    va_end(args);
    building_find(m->b, severity, code, &m->o->formula_place, arena_printf(m->b->scratch, MODIFIERS ".%s", part),
                  remedy, "%s", text.bytes);
    text_done(&text);
}

/* ------------------------------------------------------------------ numbers */

/* Go's ParseFloat, as KEDA reads them; infinities are no bounds. */
static bool read_number(struct modifiers *m, const char *text, const char *part, double *value)
{
    if (number_parse(text, strlen(text), value) && isfinite(*value))
        return true;
    modifiers_say(m, FINDING_ERROR, "bad-number", part,
                  "write a decimal number in quotes, without a unit, e.g. \"0.5\"",
                  "%s must be a number, not \"%.60s\"", part, text);
    return false;
}

static void read_target(struct modifiers *m)
{
    double target;

    if (!m->o->formula_target) {
        if (m->b->strict)
            modifiers_say(m, FINDING_ERROR, "formula-target", "target", "add target: the value one replica may carry",
                          "a formula without target is refused by KEDA, and so in hpa mode");
        return;
    }
    if (!read_number(m, m->o->formula_target, "target", &target))
        return;
    if (target <= 0)
        modifiers_say(m, FINDING_ERROR, "formula-target", "target", "write the value one replica may carry",
                      "target must be more than 0, not %s", m->o->formula_target);
    else
        m->b->policy->rules.formula_target = target;
}

static void read_activation(struct modifiers *m, bool strict_activation)
{
    struct decide_rules *rules = &m->b->policy->rules;
    double value;

    if (!m->o->formula_activation || !read_number(m, m->o->formula_activation, "activationTarget", &value))
        return;
    rules->formula_activation = value;
    rules->formula_activation_inclusive = value != 0 && !strict_activation && !m->b->strict;
}

/* ------------------------------------------------------------------ names */

static bool is_identifier(const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_' && name[0] != '$')
        return false;
    for (const char *c = name; *c; c++) {
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '$')
            return false;
    }
    return true;
}

static void collect_names(struct modifiers *m)
{
    for (size_t i = 0; i < m->b->spec_count; i++) {
        const struct trigger_spec *spec = &m->b->specs[i];

        if (!spec->name || is_resource_type(spec->type))
            continue;
        m->b->rules[i].formula_name = (int32_t)m->name_count;
        m->owner[m->name_count] = i;
        m->names[m->name_count++] = spec->name;
    }
}

/* "triggers[0] and triggers[2] have"; "" if all others have a name. */
static const char *unnamed_triggers(struct modifiers *m)
{
    size_t count = 0, shown = 0;
    struct text text;
    const char *copy;

    for (size_t i = 0; i < m->b->spec_count; i++)
        count += !m->b->specs[i].name && !is_resource_type(m->b->specs[i].type);
    text_init(&text, 1000);
    for (size_t i = 0; i < m->b->spec_count && count > 0; i++) {
        if (m->b->specs[i].name || is_resource_type(m->b->specs[i].type))
            continue;
        text_printf(&text, "%striggers[%d]",
                    shown == 0           ? ""
                    : shown + 1 == count ? " and "
                                         : ", ",
                    m->b->specs[i].index);
        shown++;
    }
    if (count > 0)
        text_add(&text, count == 1 ? " has" : " have");
    copy = arena_copy(m->b->scratch, text.bytes);
    text_done(&text);
    return copy;
}

static const struct trigger_spec *resource_of(struct modifiers *m, const char *name)
{
    for (size_t i = 0; i < m->b->spec_count; i++) {
        const struct trigger_spec *spec = &m->b->specs[i];

        if (is_resource_type(spec->type) &&
            (string_equal(spec->name, name) || (!spec->name && string_equal(spec->type, name))))
            return spec;
    }
    return NULL;
}

/* The trigger whose name is no identifier, stands in the formula and has the unknown name as one of its pieces. */
static const struct trigger_spec *split_name(struct modifiers *m, const char *piece)
{
    for (size_t i = 0; i < m->b->spec_count; i++) {
        const struct trigger_spec *spec = &m->b->specs[i];

        if (spec->name && !is_identifier(spec->name) && strstr(spec->name, piece) && strstr(m->o->formula, spec->name))
            return spec;
    }
    return NULL;
}

static const char *underscored(struct modifiers *m, const char *name)
{
    char *copy = arena_copy(m->b->scratch, name);

    for (char *c = copy; *c; c++) {
        if (!isalnum((unsigned char)*c))
            *c = '_';
    }
    return copy;
}

static const char *at_column(struct modifiers *m, const struct formula_error *err)
{
    return err->line > 0 ? arena_printf(m->b->scratch, " (formula %d:%d)", err->line, err->column) : "";
}

static void explain_unknown_name(struct modifiers *m, const struct formula_error *err)
{
    const char *name = arena_copy_bytes(m->b->scratch, m->o->formula + err->begin, err->end - err->begin);
    const struct trigger_spec *resource = resource_of(m, name), *split = split_name(m, name);
    const char *unnamed = unnamed_triggers(m), *where = at_column(m, err);

    if (resource)
        modifiers_say(m, FINDING_ERROR, "formula-resource-trigger", "formula",
                      "leave it out of the formula: the trigger keeps its own target beside the formula",
                      "%s is a %s trigger, and those have no value a formula can use%s", name, resource->type, where);
    else if (split)
        modifiers_say(
            m, FINDING_ERROR, "formula-unknown-name", "formula",
            arena_printf(m->b->scratch, "rename the trigger to %s, or write $env[\"%s\"]", underscored(m, split->name),
                         split->name),
            "%s is not one name in a formula: it is read as arithmetic, and %s is unknown%s; rename the trigger to %s, "
            "or write $env[\"%s\"]",
            split->name, name, where, underscored(m, split->name), split->name);
    else if (unnamed[0])
        modifiers_say(m, FINDING_ERROR, "formula-unnamed-trigger", "formula",
                      arena_printf(m->b->scratch, "add name: %s to the trigger that is meant", name),
                      "unknown name %s%s: a formula knows triggers by their name, and %s no name", name, where,
                      unnamed);
    else
        modifiers_say(m, FINDING_ERROR, "formula-unknown-name", "formula", "use the names of the triggers", "%s%s",
                      err->text, where);
}

static void explain(struct modifiers *m, const struct formula_error *err)
{
    if (err->fault == FAULT_UNKNOWN_NAME && err->end > err->begin && err->end <= strlen(m->o->formula))
        explain_unknown_name(m, err);
    else if (err->fault == FAULT_LIMIT || err->fault == FAULT_NODE_LIMIT)
        modifiers_say(m, FINDING_ERROR, "limit", "formula", "divide it, or let the source compute a part", "%s%s",
                      err->text, at_column(m, err));
    else
        modifiers_say(m, FINDING_ERROR, err->fault == FAULT_SYNTAX ? "formula-syntax" : "formula-type", "formula", NULL,
                      "%s%s", err->text, at_column(m, err));
}

/* ------------------------------------------------------------------ the program */

/* With every trigger at -1, as KEDA tries it (keda-operator/03 7). */
static void try_once(struct modifiers *m, const struct formula *formula)
{
    double values[TRIGGERS_MAX];
    const struct decide_rules *rules = &m->b->policy->rules;
    struct formula_state target = {.replicas = 1,
                                   .ready_replicas = 1,
                                   .min_replicas = rules->min,
                                   .max_replicas = rules->max,
                                   .target = rules->formula_target};
    struct formula_env env = {.values = values, .state = &target, .now_ms = m->b->context->now_ms};
    struct formula_result result;

    for (size_t i = 0; i < m->name_count; i++)
        values[i] = -1;
    formula_eval(formula, &env, &result);
    if (result.value.type == FORMULA_FAILED && result.error.fault == FAULT_NIL_OPERAND && !m->b->strict)
        return; /* there is no history yet, which is no fault of the formula */
    if (result.value.type == FORMULA_FAILED)
        modifiers_say(m, m->b->strict ? FINDING_ERROR : FINDING_WARNING, "formula-fails", "formula",
                      "make it work for every value, -1 included", "with every trigger at -1 the formula fails: %s",
                      result.error.text);
    else if (result.value.type == FORMULA_OTHER)
        modifiers_say(m, FINDING_ERROR, "formula-type", "formula", "let it end in a number",
                      "the formula gives %s, which is no number of anything", result.other_type);
}

static bool compile(struct modifiers *m)
{
    struct formula_options options = {.names = m->names,
                                      .name_count = m->name_count,
                                      .wrap = FORMULA_WRAP_KEDA,
                                      .extensions = !m->b->context->settings->keda_parity,
                                      .history = true};
    struct formula_error err;
    struct formula *formula = formula_compile(m->o->formula, strlen(m->o->formula), &options, &err);

    if (!formula) {
        explain(m, &err);
        return false;
    }
    m->b->policy->formula = formula;
    m->b->policy->rules.formula = formula;
    for (size_t i = 0; i < m->name_count; i++)
        m->b->policy->triggers[m->owner[i]].history_ms = formula_history_ms(formula, i);
    try_once(m, formula);
    return true;
}

/* ------------------------------------------------------------------ what the formula does not do */

/* false: it follows nothing, and there is no more to say. */
static bool check_triggers_used(struct modifiers *m)
{
    const struct formula *formula = m->b->policy->formula;
    const char *unnamed = unnamed_triggers(m);
    size_t used = 0;

    for (size_t i = 0; i < m->name_count; i++)
        used += formula_uses(formula, i);
    if (used == 0 && !m->range.uses_clock && !m->range.uses_replicas) {
        bool target = m->range.uses_target;

        modifiers_say(m, FINDING_ERROR, "formula-ignores-triggers", "formula", "use the names of the triggers in it",
                      "the formula reads no trigger, so it cannot follow the load%s%s%s%s",
                      target ? ": target is the target value of scalingModifiers, not a metric" : "",
                      unnamed[0] ? "; " : "", unnamed, unnamed[0] ? " no name" : "");
        return false;
    }
    for (size_t i = 0; i < m->b->spec_count; i++) {
        const struct trigger_spec *spec = &m->b->specs[i];
        const char *field = arena_printf(m->b->scratch, "spec.triggers[%d]", spec->index);

        if (!spec->name && !is_resource_type(spec->type))
            building_find(
                m->b, FINDING_WARNING, "formula-unnamed-trigger", &spec->place, field,
                "give it a name and use it in the formula, or remove it",
                "the trigger has no name, so the formula cannot use it, and beside a formula it does nothing");
        else if (m->b->rules[i].formula_name >= 0 && !formula_uses(formula, (size_t)m->b->rules[i].formula_name))
            building_find(m->b, FINDING_ADVICE, "formula-unused-trigger", &spec->place, field,
                          "use it in the formula, or remove it", "the formula does not use %s: it is asked for nothing",
                          spec->name);
    }
    return true;
}

/* ------------------------------------------------------------------ what its settings mean */

/* A trigger's name wins over Weir's own of the same text, and over a function's. */
static void advise_names(struct modifiers *m)
{
    size_t count;
    const struct formula_function *functions = formula_functions(&count);

    for (size_t i = 0; i < m->name_count; i++) {
        const struct trigger_spec *spec = &m->b->specs[m->owner[i]];

        if (!formula_uses(m->b->policy->formula, i))
            continue;
        for (size_t k = 0; k < count; k++) {
            if (strcmp(functions[k].name, m->names[i]) != 0)
                continue;
            building_find(m->b, FINDING_ADVICE, "formula-shadowed-name", &spec->place,
                          arena_printf(m->b->scratch, "spec.triggers[%d].name", spec->index),
                          "give the trigger a name of its own", "the trigger %s hides %s, which Weir has too: %s",
                          m->names[i], functions[k].signature, functions[k].summary);
            break;
        }
    }
}

static void advise_no_target(struct modifiers *m)
{
    int32_t on = m->b->policy->rules.min > 0 ? m->b->policy->rules.min : 1;

    if (!m->o->formula_target && !m->b->strict)
        modifiers_say(m, FINDING_ADVICE, "formula-without-target", "target",
                      "add target to let the size follow the formula; KEDA itself refuses a formula without one",
                      "without target the formula only switches on and off: while it is active, %d replica%s", on,
                      on == 1 ? " runs" : "s run");
    if (!m->o->formula_target && m->range.uses_target)
        modifiers_say(m, FINDING_WARNING, "formula-target", "formula",
                      "set scalingModifiers.target, or use a trigger's name",
                      "target in the formula is the target value of scalingModifiers, which is not set");
}

/* The names that targets go by among the trigger types; most have "threshold" in them. */
static bool is_threshold(const char *key)
{
    static const char *const others[] = {"targetValue",         "listLength",       "queueLength",
                                         "messageCount",        "targetQueryValue", "value",
                                         "pendingEntriesCount", "queueSize",        "targetMetricValue",
                                         "targetQueueLength",   "blobCount",        "shardCount"};
    const char *rest = string_starts(key, "activation") ? key + strlen("activation") : key;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcasecmp(rest, others[i]) == 0)
            return true;
    }
    return strcasestr(rest, "threshold") != NULL;
}

/* Thresholds that a formula makes void; one that says the same as the formula's own misleads nobody. */
static void advise_thresholds(struct modifiers *m)
{
    const struct decide_rules *rules = &m->b->policy->rules;

    for (size_t i = 0; i < m->b->spec_count; i++) {
        const struct trigger_spec *spec = &m->b->specs[i];

        if (is_resource_type(spec->type))
            continue;
        for (const struct tree *node = spec->metadata ? spec->metadata->first : NULL; node; node = node->next) {
            bool activation = string_starts(node->key, "activation");
            struct place place = {
                .file = spec->place.file, .doc = spec->place.doc, .line = node->key_line, .column = node->key_column};
            double value;

            if (!is_threshold(node->key) || !tree_number(node, &value) ||
                value == (activation ? rules->formula_activation : rules->formula_target))
                continue;
            building_find(m->b, FINDING_ADVICE, "threshold-ignored", &place,
                          arena_printf(m->b->scratch, "spec.triggers[%d].metadata.%s", spec->index, node->key),
                          "keep it only where the trigger demands it",
                          "%s %s does not count beside a formula: scalingModifiers.%s does", node->key, node->text,
                          activation ? "activationTarget" : "target");
        }
    }
}

void build_modifiers(struct building *b, const struct scaled_object *object, bool strict_activation,
                     struct modifiers *m)
{
    *m = (struct modifiers){.b = b, .o = object, .range.sole = -1};
    if (!object->has_modifiers)
        return;
    b->policy->rules.formula_type =
        string_equal(object->formula_metric_type, "Value") ? TARGET_VALUE : TARGET_AVERAGE_VALUE;
    if (!object->formula) {
        modifiers_say(m, FINDING_ERROR, "formula-missing", "formula", "add a formula, or remove scalingModifiers",
                      "scalingModifiers needs a formula: the names of the triggers, combined");
        return;
    }
    read_target(m);
    read_activation(m, strict_activation);
    collect_names(m);
    if (!compile(m))
        return;
    find_values(m);
    if (!check_triggers_used(m))
        return;
    advise_names(m);
    check_values(m);
    advise_no_target(m);
    advise_thresholds(m);
}
