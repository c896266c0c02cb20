/*
 * what_if: the same decide() on a copy of what is known and remembered now, with something changed; and the search for what would change it
 * (decide/outlook.h). Nothing is asked, written or remembered.
 *
 *     facts of now (gather.c) --> other values, replicas, time --> decide() on a copy of the memory --> shown
 *     the object's rules      --> another formula, target
 *
 * Both run on the loop's thread, where decisions are made, and a formula may take FORMULA_STEPS_MAX. So what they take is measured: after
 * a question that took long nobody may ask another one for some times as long, and an outlook tries only what it has time for.
 */
#include "autoscaler/autoscaler_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "decide/outlook.h"

enum {
    FREE_US = 5000,          /* a question this short holds up nobody */
    PAUSE_FACTOR = 4,        /* after a longer one: at most a fifth of the loop's time goes into questions */
    OUTLOOK_US_MAX = 100000, /* of one outlook */
    QUICK_US = 10,           /* of one decision: there is time for more than are needed */
    MEASURES = 3,
};

struct supposing {
    const struct object *object;
    int64_t now_ms;
    struct arena *arena;
    struct decide_rules rules;
    struct decide_facts facts;
    struct decide_memory *memory;
    struct formula *formula; /* another one than the object's; NULL: none */
    struct sample *samples;  /* facts' own, to be changed */
    int64_t *good_at_ms;
    struct series **series, **copies;
};

/* ------------------------------------------------------------------ the loop's time */

/* Of this thread alone: a busy machine makes nothing long that is short. */
static int64_t clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool may_ask(const struct autoscaler *a, struct error *err)
{
    int64_t left_ms = a->questions_again_ticks_ms - loop_ticks_ms(a->parts.loop);

    return left_ms <= 0 ||
           error_set(err, ERROR_LIMIT,
                     "the question before this one took so long that decisions come first now: ask again in %lld ms",
                     (long long)left_ms);
}

static void note_time(struct autoscaler *a, int64_t since_us)
{
    int64_t took_us = clock_us() - since_us;

    if (took_us > FREE_US)
        a->questions_again_ticks_ms = loop_ticks_ms(a->parts.loop) + (1 + PAUSE_FACTOR) * took_us / 1000;
}

/* ------------------------------------------------------------------ what is known */

/* NULL and why: there is nothing to decide with. */
static const struct object *find_object(struct autoscaler *a, const char *key, struct error *err)
{
    const struct object *object = object_find(a, key);

    if (!object)
        error_set(err, ERROR_MISSING, "there is no object %s", key);
    else if (!object->policy)
        error_set(err, ERROR_UNREACHABLE, "no version of its manifest is in force%s%s", object->problem ? ": " : "",
                  object->problem ? object->problem : "");
    else if (object->policy->is_job)
        error_set(err, ERROR_UNREACHABLE,
                  "a ScaledJob has no replicas to decide on: it makes jobs for what its triggers say");
    else
        return object;
    return NULL;
}

static void suppose_begin(struct supposing *s, const struct object *object, int64_t now_ms)
{
    size_t count = object->policy->trigger_count;

    *s = (struct supposing){
        .object = object, .now_ms = now_ms, .arena = arena_new(ARENA_USUAL), .rules = object->policy->rules};
    object_gather(object, now_ms, s->arena, &s->facts);
    s->samples = arena_array(s->arena, count, sizeof(*s->samples));
    s->good_at_ms = arena_array(s->arena, count, sizeof(*s->good_at_ms));
    s->series = arena_array(s->arena, count, sizeof(struct series *));
    s->copies = arena_array(s->arena, count, sizeof(struct series *));
    for (size_t i = 0; i < count; i++) {
        s->samples[i] = s->facts.samples[i];
        s->good_at_ms[i] = s->facts.good_at_ms[i];
        s->series[i] = s->facts.series[i];
    }
    s->facts.samples = s->samples;
    s->facts.good_at_ms = s->good_at_ms;
    s->facts.series = s->series;
}

static void suppose_end(struct supposing *s)
{
    for (size_t i = 0; i < s->object->policy->trigger_count; i++)
        series_free(s->copies[i]);
    decide_memory_free(s->memory);
    formula_unref(s->formula);
    arena_free(s->arena);
}

/* ------------------------------------------------------------------ another formula */

/* Of an object that has no formula, the triggers with a name that a formula could read (policy/modifiers.c). */
static void name_triggers(struct supposing *s)
{
    const struct policy *policy = s->object->policy;
    struct decide_trigger *triggers = arena_array(s->arena, policy->trigger_count, sizeof(*triggers));
    int32_t next = 0;

    for (size_t i = 0; i < policy->trigger_count; i++) {
        triggers[i] = policy->rules.triggers[i];
        if (!policy->formula && policy->triggers[i].named && triggers[i].kind == METRIC_EXTERNAL)
            triggers[i].formula_name = next++;
    }
    s->rules.triggers = triggers;
}

static size_t collect_names(const struct supposing *s, const char **names)
{
    size_t count = 0;

    for (size_t i = 0; i < s->rules.trigger_count; i++) {
        int32_t name = s->rules.triggers[i].formula_name;

        if (name < 0)
            continue;
        names[name] = s->object->policy->names[i];
        count = (size_t)name + 1 > count ? (size_t)name + 1 : count;
    }
    return count;
}

static bool compile(struct supposing *s, const char *source, struct error *err)
{
    const char *names[TRIGGERS_MAX] = {0};
    struct formula_options options = {.names = names,
                                      .name_count = collect_names(s, names),
                                      .wrap = FORMULA_WRAP_KEDA,
                                      .extensions = !s->object->a->settings.keda_parity,
                                      .history = true};
    struct formula_error fault;

    s->formula = formula_compile(source, strlen(source), &options, &fault);
    if (s->formula)
        return true;
    if (fault.line > 0)
        return error_set(err, ERROR_INVALID, "%s (formula %d:%d)", fault.text, fault.line, fault.column);
    return error_set(err, ERROR_INVALID, "%s", fault.text);
}

struct preloading {
    struct series *series;
    const char *trigger;
    int64_t until_ms;
};

static void preload(void *arg, const char *trigger, const struct sample *sample)
{
    struct preloading *p = arg;

    if (sample->at_ms < p->until_ms && strcmp(trigger, p->trigger) == 0)
        series_add(p->series, sample);
}

/* It looks back farther than is kept in memory: what the journal has, a sample a minute, and then what is in memory. */
static struct series *longer_series(const struct supposing *s, size_t i, int64_t history_ms)
{
    struct journal *journal = s->object->a->parts.journal;
    const struct series *kept = s->series[i];
    int64_t interval_ms = policy_interval_ms(s->object->policy, i, 1);
    int64_t places = history_ms / (interval_ms > 0 ? interval_ms : SECOND_MS) + 16;
    struct preloading p = {
        .series = series_new(history_ms, places > HISTORY_SAMPLES_MAX ? HISTORY_SAMPLES_MAX : (size_t)places),
        .trigger = s->object->policy->names[i],
        .until_ms = kept && series_count(kept) > 0 ? series_at(kept, 0)->at_ms : s->now_ms};

    if (journal)
        journal_samples(journal, s->object->key, s->now_ms - history_ms, preload, &p);
    for (size_t k = 0; kept && k < series_count(kept); k++)
        series_add(p.series, series_at(kept, k));
    if (!kept && s->samples[i].state != SAMPLE_NONE)
        series_add(p.series, &s->samples[i]);
    return p.series;
}

static void take_history(struct supposing *s)
{
    for (size_t i = 0; i < s->rules.trigger_count; i++) {
        int32_t name = s->rules.triggers[i].formula_name;
        int64_t history_ms = name < 0 ? 0 : formula_history_ms(s->formula, (size_t)name);

        if (history_ms <= s->object->policy->triggers[i].history_ms)
            continue;
        s->copies[i] = longer_series(s, i, history_ms);
        s->series[i] = s->copies[i];
    }
}

static bool suppose_formula(struct supposing *s, const char *source, struct error *err)
{
    name_triggers(s);
    if (!compile(s, source, err))
        return false;
    s->rules.formula = s->formula;
    take_history(s);
    return true;
}

static bool suppose_target(struct supposing *s, double target, struct error *err)
{
    if (target > 0 && !s->rules.formula)
        return error_set(err, ERROR_INVALID, "target is that of a formula, and there is none: give one");
    if (target > 0)
        s->rules.formula_target = target;
    if (s->rules.formula && s->rules.mode == DECIDE_HPA && s->rules.formula_target <= 0)
        return error_set(err, ERROR_INVALID, "in hpa mode a formula needs a target: give one");
    return true;
}

/* ------------------------------------------------------------------ other values */

/* Its name, or sN: its place, or the name of its metric. */
static bool is_called(const struct policy *policy, size_t i, const char *name)
{
    char place[24];

    snprintf(place, sizeof(place), "s%zu", i);
    return string_equal(policy->names[i], name) || string_equal(policy->triggers[i].metric_name, name) ||
           string_equal(place, name);
}

static bool find_trigger(const struct supposing *s, const char *name, size_t *index, struct error *err)
{
    const struct policy *policy = s->object->policy;
    size_t i = 0;

    while (i < policy->trigger_count && !string_equal(policy->names[i], name))
        i++;
    for (size_t k = 0; i == policy->trigger_count && k < policy->trigger_count; k++)
        if (is_called(policy, k, name))
            i = k;
    if (i == policy->trigger_count) {
        const char *near = string_nearest(name, policy->names, policy->trigger_count);

        return error_set(err, ERROR_INVALID, "there is no trigger %.100s%s%.100s%s", name, near ? "; is " : "",
                         near ? near : "", near ? " meant?" : "");
    }
    if (policy->rules.triggers[i].kind != METRIC_EXTERNAL)
        return error_set(err, ERROR_INVALID, "%s is read from the replicas: it cannot be given a value",
                         policy->names[i]);
    *index = i;
    return true;
}

/* An answer of this very moment, which goes into the history as well. */
static bool suppose_value(struct supposing *s, const struct what_if_value *value, struct error *err)
{
    struct sample sample = {.state = value->state, .value = value->value, .at_ms = s->facts.now_ms};
    size_t i = 0;

    if (!find_trigger(s, value->trigger, &i, err))
        return false;
    s->samples[i] = sample;
    if (sample.state == SAMPLE_OK)
        s->good_at_ms[i] = sample.at_ms;
    if (s->series[i] && !s->copies[i])
        s->copies[i] = series_copy(s->series[i]);
    if (s->copies[i]) {
        series_add(s->copies[i], &sample);
        s->series[i] = s->copies[i];
    }
    return true;
}

static bool suppose_values(struct supposing *s, const struct what_if *change, struct error *err)
{
    for (size_t i = 0; i < change->value_count; i++)
        if (!suppose_value(s, &change->values[i], err))
            return false;
    return true;
}

/* ------------------------------------------------------------------ the two questions */

static bool suppose(struct supposing *s, const struct what_if *change, struct error *err)
{
    const struct policy *policy = s->object->policy;

    if (change->has_replicas)
        s->facts.replicas = s->facts.status_replicas = s->facts.ready_replicas = change->replicas;
    s->facts.now_ms += change->later_ms;
    if ((change->formula && !suppose_formula(s, change->formula, err)) || !suppose_target(s, change->target, err) ||
        !suppose_values(s, change, err))
        return false;
    s->memory = decide_memory_adapt(s->object->memory, &policy->rules, policy->names, &s->rules, policy->names);
    return true;
}

static void show(const struct supposing *s, what_if_visit *visit, void *arg)
{
    struct decision *decision = arena_alloc(s->arena, sizeof(*decision));
    struct decision_names names = object_names(s->object);

    if (s->formula)
        names.formula = formula_source(s->formula);
    decide(&s->rules, &s->facts, s->memory, s->rules.formula != NULL, decision);
    visit(arg, decision, &names);
}

bool autoscaler_what_if(struct autoscaler *a, const char *key, const struct what_if *change, what_if_visit *visit,
                        void *arg, struct error *err)
{
    const struct object *object = may_ask(a, err) ? find_object(a, key, err) : NULL;
    struct supposing s;
    int64_t since_us = clock_us();
    bool good;

    if (!object)
        return false;
    suppose_begin(&s, object, loop_now_ms(a->parts.loop));
    good = suppose(&s, change, err);
    if (good)
        show(&s, visit, arg);
    suppose_end(&s);
    note_time(a, since_us);
    return good;
}

/* What one decision takes: the least of some, for the first finds nothing in the caches. */
static int64_t measure(const struct supposing *s)
{
    struct decision *decision = arena_alloc(s->arena, sizeof(*decision));
    int64_t least_us = INT64_MAX;

    for (int i = 0; i < MEASURES && least_us > QUICK_US; i++) {
        struct decide_memory *memory = decide_memory_copy(s->memory);
        int64_t since_us = clock_us(), took_us;

        decide(&s->rules, &s->facts, memory, false, decision);
        took_us = clock_us() - since_us;
        decide_memory_free(memory);
        least_us = took_us < least_us ? took_us : least_us;
        if (took_us > OUTLOOK_US_MAX)
            break;
    }
    return least_us > 0 ? least_us : 1;
}

/* How many decisions there is time for. */
static uint32_t afford(const struct supposing *s)
{
    int64_t decisions = OUTLOOK_US_MAX / measure(s);

    return decisions < OUTLOOK_DECISIONS_MAX ? (uint32_t)decisions : OUTLOOK_DECISIONS_MAX;
}

/* Nobody's load changes what the clock says. */
static void leave_out_clocks(const struct policy *policy, struct outlook *out)
{
    for (size_t i = 0; i < policy->trigger_count; i++)
        if (strcmp(policy->triggers[i].type, "cron") == 0)
            out->triggers[i] = (struct outlook_trigger){.asked = false};
}

bool autoscaler_outlook(struct autoscaler *a, const char *key, struct outlook *out, struct error *err)
{
    const struct object *object = may_ask(a, err) ? find_object(a, key, err) : NULL;
    struct supposing s;
    int64_t since_us = clock_us();
    bool readable;

    if (!object)
        return false;
    suppose_begin(&s, object, loop_now_ms(a->parts.loop));
    s.memory = decide_memory_copy(object->memory);
    readable =
        s.facts.replicas >= 0 || s.rules.paused ||
        error_set(err, ERROR_UNREACHABLE, "the scale of its target cannot be read: nothing changes before it can");
    if (readable) {
        decide_outlook(&s.rules, &s.facts, s.memory, afford(&s), out);
        leave_out_clocks(object->policy, out);
    }
    suppose_end(&s);
    note_time(a, since_us);
    return readable;
}
