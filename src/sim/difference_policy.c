/*
 * difference_policy: what two versions of a ScaledObject or ScaledJob decide differently. One table: each row is an aspect of a policy, with the
 * words for it. Where the words of two versions differ, the aspect has changed, and the row's sentence says what that means.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "decide/decide.h"
#include "sim/difference_internal.h"

typedef const char *aspect_words(struct arena *arena, const struct side *side);
typedef bool aspect_applies(const struct side *side);

struct aspect {
    const char *field, *sentence;
    aspect_words *words;
    aspect_applies *applies; /* of the new version; NULL: always */
};

/* ---- words for numbers ---- */

const char *number_words(struct arena *arena, double number)
{
    struct text text;
    const char *words;

    text_init(&text, 64);
    text_add_number(&text, number);
    words = arena_copy(arena, text.bytes);
    text_done(&text);
    return words;
}

static const char *duration_words(struct arena *arena, int64_t ms)
{
    char words[32];

    if (ms == INT64_MAX)
        return "ever";
    duration_format_words(ms, words, sizeof(words));
    return arena_copy(arena, words);
}

static const char *replicas_words(struct arena *arena, int32_t count)
{
    return arena_printf(arena, "%d replica%s", count, count == 1 ? "" : "s");
}

/* Formulas are written over several lines; here they stand in a sentence. */
static const char *one_line(struct arena *arena, const char *source)
{
    char *line = arena_copy(arena, source), *to = line;

    for (const char *from = line; *from; from++) {
        bool blank = *from == ' ' || *from == '\n' || *from == '\t' || *from == '\r';

        if (!blank)
            *to++ = *from;
        else if (to > line && to[-1] != ' ')
            *to++ = ' ';
    }
    while (to > line && to[-1] == ' ')
        to--;
    *to = '\0';
    return line;
}

const char *target_words(struct arena *arena, double target, enum target_type type)
{
    const char *number = number_words(arena, target);

    if (target == 0)
        return "no count";
    if (type == TARGET_AVERAGE_VALUE)
        return arena_printf(arena, "one replica for every %s", number);
    if (type == TARGET_UTILIZATION)
        return arena_printf(arena, "replicas that hold it at %s %% of what is requested", number);
    return arena_printf(arena, "replicas that hold it at %s", number);
}

const char *target_consequence(struct arena *arena, double before, double after)
{
    double factor = before / after;

    if (!(before > 0) || !(after > 0))
        return "";
    if (factor == 2 || factor == 0.5)
        return factor == 2 ? ": twice as many for the same value" : ": half as many for the same value";
    return arena_printf(arena, ": %s times as many for the same value", number_words(arena, round(factor * 100) / 100));
}

/* ---- ScaledObjects ---- */

static const char *words_target(struct arena *arena, const struct side *s)
{
    return arena_printf(arena, "%s %s", s->policy->target.kind, s->policy->target.name);
}

static const char *words_mode(struct arena *arena, const struct side *s)
{
    (void)arena;
    return s->policy->rules.mode == DECIDE_HPA       ? "a HorizontalPodAutoscaler decides, fed by Weir (mode hpa)"
           : s->policy->rules.mode == DECIDE_OBSERVE ? "Weir decides and records, and writes nothing (mode observe)"
                                                     : "Weir decides and scales (mode direct)";
}

static const char *words_paused(struct arena *arena, const struct side *s)
{
    const struct decide_rules *r = &s->policy->rules;

    if (r->has_paused_replicas)
        return arena_printf(arena, "paused at %s", replicas_words(arena, r->paused_replicas));
    return r->paused ? "paused, as it stands" : "not paused";
}

static const char *words_paused_in(struct arena *arena, const struct side *s)
{
    (void)arena;
    return s->policy->rules.paused_scale_in ? "may not take replicas away (paused-scale-in)" : "may take replicas away";
}

static const char *words_paused_out(struct arena *arena, const struct side *s)
{
    (void)arena;
    return s->policy->rules.paused_scale_out ? "may not add replicas (paused-scale-out)" : "may add replicas";
}

static const char *words_forced(struct arena *arena, const struct side *s)
{
    (void)arena;
    return s->policy->rules.force_activation ? "always (force-activation)" : "while a trigger or the formula is";
}

static const char *words_min(struct arena *arena, const struct side *s)
{
    int32_t min = s->policy->rules.min;

    return min > 0 ? arena_printf(arena, "at least %s", replicas_words(arena, min))
                   : "nothing while nothing is active (0 replicas)";
}

static const char *words_max(struct arena *arena, const struct side *s)
{
    return replicas_words(arena, s->policy->rules.max);
}

static const char *words_idle(struct arena *arena, const struct side *s)
{
    int32_t idle = s->policy->rules.idle;

    return idle >= 0 ? replicas_words(arena, idle) : "its minimum";
}

static const char *words_cooldown(struct arena *arena, const struct side *s)
{
    return duration_words(arena, s->policy->rules.cooldown_ms);
}

static bool rests_at_zero(const struct side *s)
{
    return s->policy->rules.min == 0 && s->policy->rules.idle < 0;
}

static bool rests_idle(const struct side *s)
{
    return s->policy->rules.idle >= 0;
}

static bool never_rests(const struct side *s)
{
    return !rests_at_zero(s) && !rests_idle(s);
}

static const char *words_initial_cooldown(struct arena *arena, const struct side *s)
{
    return duration_words(arena, s->policy->rules.initial_cooldown_ms);
}

static const char *words_interval(struct arena *arena, const struct side *s)
{
    int64_t at_zero = s->policy->polling_interval_ms, above = policy_interval_ms(s->policy, SIZE_MAX, 1);

    if (at_zero == above)
        return duration_words(arena, at_zero);
    return arena_printf(arena, "%s at 0 replicas and every %s above", duration_words(arena, at_zero),
                        duration_words(arena, above));
}

static const char *words_hold(struct arena *arena, const struct side *s)
{
    return duration_words(arena, s->policy->rules.missing_hold_ms);
}

static const char *words_fallback(struct arena *arena, const struct side *s)
{
    static const char *const words[] = {"%s run", "what runs is kept (%s are not used)",
                                        "what runs is kept, at least %s", "what runs is kept, at most %s",
                                        "the formula counts with what is known, and %s if it cannot"};
    const struct decide_rules *r = &s->policy->rules;

    if (!r->has_fallback)
        return "nothing is taken away, for as long as that lasts (no fallback)";
    const char *count = replicas_words(arena, r->fallback_replicas), *form = words[r->fallback_behavior];
    const char *place = strstr(form, "%s");
    return arena_printf(arena, "after more than %d failures %.*s%s%s", r->fallback_threshold, (int)(place - form), form,
                        count, place + 2);
}

static const char *words_restore(struct arena *arena, const struct side *s)
{
    (void)arena;
    return s->policy->restore_to_original ? "gets back the replicas it had at first" : "keeps what runs";
}

/* ---- behaviour ---- */

static const struct scaling_rules *direction(const struct side *s, bool up)
{
    const struct scaling_behavior *b = s->policy->rules.behavior;

    return b ? up ? &b->up : &b->down : NULL;
}

static const char *period_words(struct arena *arena, int32_t period_s)
{
    return period_s == 60     ? "a minute"
           : period_s == 1    ? "a second"
           : period_s == 3600 ? "an hour"
                              : arena_printf(arena, "in %s", duration_words(arena, period_s * SECOND_MS));
}

static bool all_at_once(const struct scaling_rules *r)
{
    for (size_t i = 0; i < r->policy_count; i++)
        if (r->policies[i].percent && r->policies[i].value >= 100 && (r->select == SELECT_MAX || r->policy_count == 1))
            return true;
    return false;
}

static const char *rate_words(struct arena *arena, const struct scaling_rules *r)
{
    const char *words = "at most ";

    for (size_t i = 0; i < r->policy_count; i++) {
        const struct scaling_policy *p = &r->policies[i];

        words = arena_printf(arena, "%s%s%d %s%s %s", words, i ? " or " : "", p->value, p->percent ? "%" : "replica",
                             p->percent || p->value == 1 ? "" : "s", period_words(arena, p->period_s));
    }
    return r->policy_count < 2
               ? words
               : arena_printf(arena, "%s, whichever is %s", words, r->select == SELECT_MIN ? "less" : "more");
}

static const char *words_rate_up(struct arena *arena, const struct side *s)
{
    const struct scaling_rules *r = direction(s, true);

    if (!r)
        return "as many as there are, or up to 4, at a time";
    return r->select == SELECT_DISABLED ? "nothing" : rate_words(arena, r);
}

static const char *words_rate_down(struct arena *arena, const struct side *s)
{
    const struct scaling_rules *r = direction(s, false);

    if (!r || (r->select != SELECT_DISABLED && all_at_once(r)))
        return "all at once";
    return r->select == SELECT_DISABLED ? "nothing" : rate_words(arena, r);
}

static const char *words_window_up(struct arena *arena, const struct side *s)
{
    const struct scaling_rules *r = direction(s, true);

    return r && r->window_s > 0
               ? arena_printf(arena, "when they were needed for %s", duration_words(arena, r->window_s * SECOND_MS))
               : "as soon as they are needed";
}

static const char *words_window_down(struct arena *arena, const struct side *s)
{
    const struct scaling_rules *r = direction(s, false);
    int64_t ms = r && r->window_s >= 0 ? r->window_s * SECOND_MS : s->policy->rules.downscale_stabilization_ms;

    return ms > 0 ? arena_printf(arena, "when they were not needed for %s", duration_words(arena, ms))
                  : "as soon as they are not needed";
}

static const char *tolerance_words(struct arena *arena, const struct side *s, bool up)
{
    const struct scaling_rules *r = direction(s, up);
    double tolerance = r && r->tolerance >= 0 ? r->tolerance : s->policy->rules.tolerance;

    return arena_printf(arena, "%s %%", number_words(arena, round(tolerance * 1e8) / 1e6));
}

static const char *words_tolerance_up(struct arena *arena, const struct side *s)
{
    return tolerance_words(arena, s, true);
}

static const char *words_tolerance_down(struct arena *arena, const struct side *s)
{
    return tolerance_words(arena, s, false);
}

/* ---- the formula ---- */

static const char *words_formula(struct arena *arena, const struct side *s)
{
    return s->policy->formula ? one_line(arena, formula_source(s->policy->formula))
                              : "the largest wish of its triggers (no formula)";
}

static bool has_formula(const struct side *s)
{
    return s->policy->formula != NULL;
}

static const char *words_formula_target(struct arena *arena, const struct side *s)
{
    const struct decide_rules *r = &s->policy->rules;

    if (!r->formula)
        return "not there";
    return r->formula_target > 0 ? target_words(arena, r->formula_target, r->formula_type)
                                 : "no count (it only switches on and off)";
}

static const char *words_formula_activation(struct arena *arena, const struct side *s)
{
    const struct decide_rules *r = &s->policy->rules;

    return arena_printf(arena, r->formula_activation_inclusive ? "from %s on" : "above %s",
                        number_words(arena, r->formula_activation));
}

/* ---- ScaledJobs ---- */

static const char *words_job_max(struct arena *arena, const struct side *s)
{
    const struct job_rules *r = &s->policy->job_rules;

    return arena_printf(arena, "%d", r->max >= 0 ? r->max : (r->min > 0 ? r->min : 0) + DEFAULT_MAX_REPLICAS);
}

static const char *words_job_min(struct arena *arena, const struct side *s)
{
    const struct job_rules *r = &s->policy->job_rules;

    return arena_printf(arena, "%d", r->min > 0 ? r->min : 0);
}

static const char *words_job_strategy(struct arena *arena, const struct side *s)
{
    static const char *const words[] = {"default", "custom", "accurate", "eager"};
    const struct job_rules *r = &s->policy->job_rules;

    if (r->strategy != JOB_CUSTOM)
        return words[r->strategy];
    return arena_printf(arena, "custom, %d less and %s of what runs", r->custom_deduction,
                        isnan(r->custom_running_ratio) ? "none" : number_words(arena, r->custom_running_ratio));
}

static const char *words_job_combination(struct arena *arena, const struct side *s)
{
    static const char *const words[] = {"largest", "smallest", "mean", "sum"};

    (void)arena;
    return words[s->policy->job_rules.combination];
}

static const char *words_job_paused(struct arena *arena, const struct side *s)
{
    (void)arena;
    return s->policy->job_rules.paused ? "paused: no jobs are made" : "not paused";
}

static const char *words_job_rollout(struct arena *arena, const struct side *s)
{
    (void)arena;
    return s->policy->rollout_gradual ? "go on" : "are deleted";
}

static const char *words_job_history(struct arena *arena, const struct side *s)
{
    return arena_printf(arena, "%d successful and %d failed", s->policy->successful_history, s->policy->failed_history);
}

static const char *words_job_template(struct arena *arena, const struct side *s)
{
    return arena_printf(arena, "%016llx", (unsigned long long)s->policy->job_generation);
}

/* ---- the tables ---- */

#define BEHAVIOR "spec.advanced.horizontalPodAutoscalerConfig.behavior."
#define FORMULA  "spec.advanced.scalingModifiers."

/* clang-format off */
static const struct aspect object_aspects[] = {
    {"spec.scaleTargetRef", "scales {after}, was {before}, which keeps what runs", words_target, NULL},
    {"metadata.annotations[weir.dev/mode]", "{after}, was: {before}", words_mode, NULL},
    {"metadata.annotations[autoscaling.keda.sh/paused]", "is {after}, was {before}", words_paused, NULL},
    {"metadata.annotations[autoscaling.keda.sh/paused-scale-in]", "{after}; {before} until now", words_paused_in, NULL},
    {"metadata.annotations[autoscaling.keda.sh/paused-scale-out]", "{after}; {before} until now", words_paused_out, NULL},
    {"metadata.annotations[autoscaling.keda.sh/force-activation]", "is active {after}, was {before}", words_forced, NULL},
    {"spec.minReplicaCount", "keeps {after}, was {before}", words_min, NULL},
    {"spec.maxReplicaCount", "runs at most {after}, was {before}", words_max, NULL},
    {"spec.idleReplicaCount", "rests at {after} while nothing is active, was {before}", words_idle, NULL},
    {"spec.cooldownPeriod", "scales to zero {after} after the last activity, was {before}", words_cooldown, rests_at_zero},
    {"spec.cooldownPeriod", "rests {after} after the last activity, was {before}", words_cooldown, rests_idle},
    {"spec.cooldownPeriod", "would rest {after} after the last activity, was {before}: without effect, it never goes below its minimum",
     words_cooldown, never_rests},
    {"spec.initialCooldownPeriod", "is not scaled to zero within {after} of its creation, was {before}", words_initial_cooldown, NULL},
    {"spec.pollingInterval", "asks its sources every {after}, was {before}", words_interval, NULL},
    {"metadata.annotations[weir.dev/missing-hold]", "takes nothing away for {after} while a value is missing, was {before}",
     words_hold, NULL},
    {"spec.fallback", "when sources fail, {after}; was: {before}", words_fallback, NULL},
    {FORMULA "formula", "computes {after}, was {before}", words_formula, NULL},
    {FORMULA "activationTarget", "is active {after} of the formula, was {before}", words_formula_activation, has_formula},
    {BEHAVIOR "scaleUp.policies", "may add {after}, was {before}", words_rate_up, NULL},
    {BEHAVIOR "scaleDown.policies", "may take away {after}, was {before}", words_rate_down, NULL},
    {BEHAVIOR "scaleUp.stabilizationWindowSeconds", "adds replicas {after}, was {before}", words_window_up, NULL},
    {BEHAVIOR "scaleDown.stabilizationWindowSeconds", "takes replicas away {after}, was {before}", words_window_down, NULL},
    {BEHAVIOR "scaleUp.tolerance", "adds nothing while a value is within {after} of its target, was {before}", words_tolerance_up, NULL},
    {BEHAVIOR "scaleDown.tolerance", "takes nothing away while a value is within {after} of its target, was {before}",
     words_tolerance_down, NULL},
    {"spec.advanced.restoreToOriginalReplicaCount", "when it is deleted, its target {after}; was: {before}", words_restore, NULL},
};
static const struct aspect job_aspects[] = {
    {"metadata.annotations[autoscaling.keda.sh/paused]", "is {after}, was {before}", words_job_paused, NULL},
    {"spec.minReplicaCount", "keeps at least {after} jobs, was {before}", words_job_min, NULL},
    {"spec.maxReplicaCount", "runs at most {after} jobs, was {before}", words_job_max, NULL},
    {"spec.pollingInterval", "asks its sources every {after}, was {before}", words_interval, NULL},
    {"spec.scalingStrategy.strategy", "counts jobs that run and wait by the strategy {after}, was {before}", words_job_strategy, NULL},
    {"spec.scalingStrategy.multipleScalersCalculation", "takes the {after} of its triggers, was {before}", words_job_combination, NULL},
    {"spec.rollout.strategy", "jobs that run {after} when the object changes; {before} until now", words_job_rollout, NULL},
    {"spec.successfulJobsHistoryLimit", "keeps {after} jobs that have ended, was {before}", words_job_history, NULL},
    {"spec.jobTargetRef", "makes its jobs from another template", words_job_template, NULL},
};
/* clang-format on */

static void compare_aspects(struct differences *d, const struct side *before, const struct side *after,
                            const struct aspect *aspects, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct aspect *a = &aspects[i];
        const char *was, *is;

        if (a->applies && !a->applies(after))
            continue;
        was = a->words(d->arena, before);
        is = a->words(d->arena, after);
        if (strcmp(was, is) != 0)
            difference_add(d, DIFFERENCE_CHANGED, after->meta, a->field, was, is, a->sentence);
    }
}

static void compare_formula_target(struct differences *d, const struct side *before, const struct side *after)
{
    const char *was = words_formula_target(d->arena, before), *is = words_formula_target(d->arena, after);
    const struct decide_rules *b = &before->policy->rules, *a = &after->policy->rules;
    const char *consequence = a->formula_type == b->formula_type && b->formula
                                  ? target_consequence(d->arena, b->formula_target, a->formula_target)
                                  : "";

    if (a->formula && strcmp(was, is) != 0)
        difference_add(d, DIFFERENCE_CHANGED, after->meta, FORMULA "target", was, is,
                       arena_printf(d->arena, "its formula asks for {after}, was {before}%s", consequence));
}

void difference_of_policies(struct differences *d, const struct side *before, const struct side *after)
{
    if (after->policy->is_job) {
        compare_aspects(d, before, after, job_aspects, sizeof(job_aspects) / sizeof(job_aspects[0]));
    } else {
        compare_aspects(d, before, after, object_aspects, sizeof(object_aspects) / sizeof(object_aspects[0]));
        compare_formula_target(d, before, after);
    }
    difference_of_triggers(d, before, after);
}
