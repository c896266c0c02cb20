/*
 * history: what is told to the journal's history: at each decision what it saw and whether the SLO held (weir.dev/slo), and each new version
 * of a manifest, without what may be secret. Nothing here has a say in a decision.
 */
#include "autoscaler/autoscaler_internal.h"

#include <math.h>

#include "journal/history.h"
#include "manifest/manifest.h"

enum { HOLD_MARGIN_MS = 5 * 1000 }; /* an answer may take so long */

/* ------------------------------------------------------------------ the SLO */

struct seen { /* what an SLO may look at; arrays have an entry per trigger */
    const struct sample *samples;
    struct series *const *series;
    const int64_t *good_at_ms;
    struct formula_state state;
    int64_t now_ms;
};

/* false: it cannot be told, for a value is not known or the formula fails. */
static bool judge(const struct policy *policy, const struct seen *seen, struct arena *arena, bool *held)
{
    size_t count = policy->trigger_count ? policy->trigger_count : 1;
    double *values = arena_array(arena, count, sizeof(*values));
    bool *nil = arena_array(arena, count, sizeof(*nil)), *missing = arena_array(arena, count, sizeof(*missing));
    struct formula_env env = {.values = values,
                              .nil = nil,
                              .missing = missing,
                              .at_ms = seen->good_at_ms,
                              .series = seen->series,
                              .state = &seen->state,
                              .now_ms = seen->now_ms};
    struct formula_result result;

    for (size_t i = 0; i < policy->trigger_count; i++) {
        nil[i] = seen->samples[i].state != SAMPLE_OK || !isfinite(seen->samples[i].value);
        missing[i] = seen->samples[i].state == SAMPLE_MISSING;
        values[i] = nil[i] ? 0 : seen->samples[i].value;
    }
    formula_eval(policy->slo, &env, &result);
    if (result.value.type == FORMULA_INT)
        *held = result.value.integer != 0;
    else if (result.value.type == FORMULA_BOOL || result.value.type == FORMULA_NUMBER)
        *held = result.value.number != 0 && !isnan(result.value.number);
    else
        return false;
    return result.value.type != FORMULA_NUMBER || !isnan(result.value.number);
}

/* ------------------------------------------------------------------ what is noted */

/* Until the next poll but one: then it is too old to say anything. */
static int64_t hold_of(const struct policy *policy, int32_t replicas)
{
    int64_t longest_ms = policy_interval_ms(policy, SIZE_MAX, replicas);

    for (size_t i = 0; i < policy->trigger_count; i++) {
        int64_t interval_ms = policy_interval_ms(policy, i, replicas);

        longest_ms = interval_ms > longest_ms ? interval_ms : longest_ms;
    }
    return 2 * longest_ms + HOLD_MARGIN_MS;
}

static void note(struct object *object, const struct seen *seen, int32_t wanted, int32_t ready)
{
    const struct policy *policy = object->policy;
    struct history_facts facts = {.at_ms = seen->now_ms,
                                  .hold_ms = hold_of(policy, wanted),
                                  .wanted = wanted,
                                  .ready = ready,
                                  .samples = seen->samples,
                                  .triggers = policy->names,
                                  .trigger_count = policy->trigger_count};

    facts.has_slo = policy->slo && judge(policy, seen, object->a->turn, &facts.slo_held);
    object->slo = !facts.has_slo ? SLO_UNKNOWN : facts.slo_held ? SLO_HELD : SLO_BROKEN;
    history_note(object->a->parts.journal, object->key, &facts);
}

void history_tell(struct object *object, const struct decide_facts *facts, const struct decision *decision)
{
    const struct decide_rules *rules = &object->policy->rules;
    bool known = facts->replicas >= 0;
    int32_t pending = facts->status_replicas - facts->ready_replicas;

    if (!object->a->parts.journal)
        return;
    note(object,
         &(struct seen){.samples = facts->samples,
                        .series = facts->series,
                        .good_at_ms = facts->good_at_ms,
                        .state = {.replicas = known ? facts->replicas : 0,
                                  .ready_replicas = facts->ready_replicas,
                                  .pending_replicas = pending > 0 ? pending : 0,
                                  .min_replicas = rules->min,
                                  .max_replicas = rules->max,
                                  .target = rules->formula_target},
                        .now_ms = facts->now_ms},
         known ? decision->after : -1, known ? facts->ready_replicas : -1);
}

/* A job that runs is a replica, and one that is not pending a ready one. */
void history_tell_job(struct object *object, const struct job_facts *facts, const struct job_decision *decision)
{
    const struct job_rules *rules = &object->policy->job_rules;
    size_t count = object->policy->trigger_count;
    struct arena *arena = object->a->turn;

    if (!object->a->parts.journal)
        return;
    struct series **series = arena_array(arena, count ? count : 1, sizeof(*series));
    int64_t *good = arena_array(arena, count ? count : 1, sizeof(*good));
    for (size_t i = 0; i < count; i++) {
        series[i] = object->triggers[i].series;
        good[i] = object->triggers[i].good_at_ms;
    }
    note(object,
         &(struct seen){.samples = facts->samples,
                        .series = series,
                        .good_at_ms = good,
                        .state = {.replicas = facts->running,
                                  .ready_replicas = facts->running - facts->pending,
                                  .pending_replicas = facts->pending,
                                  .min_replicas = rules->min > 0 ? rules->min : 0,
                                  .max_replicas = rules->max >= 0 ? rules->max : DEFAULT_MAX_REPLICAS},
                        .now_ms = facts->now_ms},
         decision->running + decision->create, facts->running - facts->pending);
}

/* ------------------------------------------------------------------ manifests */

void history_keep_manifest(struct autoscaler *a, const char *key, const struct object_meta *meta)
{
    struct journal *journal = a->parts.journal;
    struct text yaml;

    if (!journal || !meta->tree || history_has_manifest(journal, key, meta->generation))
        return;
    text_init(&yaml, HISTORY_MANIFEST_MAX_BYTES);
    if (!policy_write_shown(meta->tree, &yaml)) {
        text_clear(&yaml);
        text_add(&yaml, "# This version is too large to be kept (HISTORY_MANIFEST_MAX_BYTES).\n");
    }
    history_put_manifest(journal, key,
                         &(struct history_manifest){
                             .at_ms = loop_now_ms(a->parts.loop), .generation = meta->generation, .yaml = yaml.bytes});
    text_done(&yaml);
    commit_later(a);
}
