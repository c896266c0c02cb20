/*
 * world: one object and its triggers, polled step by step; what was decided is applied at once, as the local platform
 * does.
 */
#ifndef WEIR_TEST_DECIDE_WORLD_H
#define WEIR_TEST_DECIDE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "decide/decide.h"

enum { WORLD_TRIGGERS_MAX = 8 };
#define WORLD_START_MS (INT64_C(1767225600) * SECOND_MS) /* 2026-01-01 */

struct world {
    struct decide_rules rules;
    struct decide_trigger triggers[WORLD_TRIGGERS_MAX];
    struct sample samples[WORLD_TRIGGERS_MAX];
    int64_t good_at_ms[WORLD_TRIGGERS_MAX];
    struct scaling_behavior behavior;
    struct decide_memory *memory;
    struct pod_fact *pods;
    size_t pod_count;
    int64_t now_ms;
    int32_t replicas, ready; /* ready -1: all */
    struct decision d;
};

/* AverageValue with target 10 and activation 0 for each trigger; no formula, no fallback, no behavior. */
static inline void world_init(struct world *w, uint16_t trigger_count, int32_t replicas)
{
    *w = (struct world){.now_ms = WORLD_START_MS, .replicas = replicas, .ready = -1};
    w->rules = (struct decide_rules){
        .max = 100,
        .idle = -1,
        .cooldown_ms = 300 * SECOND_MS,
        .created_at_ms = WORLD_START_MS,
        .trigger_count = trigger_count,
        .triggers = w->triggers,
        .tolerance = 0.1,
        .downscale_stabilization_ms = 5 * MINUTE_MS,
        .missing_hold_ms = 30 * MINUTE_MS,
        .cpu_initialization_ms = 5 * MINUTE_MS,
        .readiness_delay_ms = 30 * SECOND_MS,
    };
    for (uint16_t i = 0; i < trigger_count; i++)
        w->triggers[i] = (struct decide_trigger){.target = 10, .formula_name = i};
}

static inline void world_done(struct world *w)
{
    decide_memory_free(w->memory);
    formula_unref(w->rules.formula);
}

static inline void world_say(struct world *w, int trigger, double value)
{
    w->samples[trigger] = (struct sample){.state = SAMPLE_OK, .value = value};
}

static inline void world_lose(struct world *w, int trigger, enum sample_state state)
{
    w->samples[trigger] = (struct sample){.state = state};
}

static inline void world_formula(struct world *w, const char *source, const char *const *names)
{
    struct formula_error err = {.fault = FAULT_NONE};

    w->rules.formula = formula_compile(source, strlen(source),
                                       &(struct formula_options){.names = names,
                                                                 .name_count = w->rules.trigger_count,
                                                                 .wrap = FORMULA_WRAP_KEDA,
                                                                 .extensions = true,
                                                                 .history = true},
                                       &err);
    if (!w->rules.formula)
        fail_msg("%s: %s", source, err.text);
}

/* Time passes, every trigger is asked anew, one decision is made and applied. */
static inline const struct decision *world_poll(struct world *w, int64_t after_ms)
{
    w->now_ms += after_ms;
    if (!w->memory)
        w->memory = decide_memory_new(&w->rules);
    for (int i = 0; i < w->rules.trigger_count; i++) {
        w->samples[i].at_ms = w->now_ms;
        if (w->samples[i].state == SAMPLE_OK)
            w->good_at_ms[i] = w->now_ms;
    }
    decide(&w->rules,
           &(struct decide_facts){.now_ms = w->now_ms,
                                  .replicas = w->replicas,
                                  .status_replicas = w->replicas,
                                  .ready_replicas = w->ready < 0 ? w->replicas : w->ready,
                                  .samples = w->samples,
                                  .good_at_ms = w->good_at_ms,
                                  .pods = w->pods,
                                  .pod_count = w->pod_count},
           w->memory, false, &w->d);
    assert_true(decision_is_closed(&w->d));
    if (w->d.write) {
        w->replicas = w->d.after;
        decide_applied(&w->rules, w->memory, &w->d);
    }
    return &w->d;
}

static inline void world_poll_for(struct world *w, int64_t span_ms, int64_t interval_ms)
{
    for (int64_t t = 0; t < span_ms; t += interval_ms)
        world_poll(w, interval_ms);
}

static inline const struct decision_step *find_step(const struct decision *d, enum step_kind kind)
{
    for (uint16_t i = 0; i < d->step_count; i++)
        if (d->steps[i].kind == kind)
            return &d->steps[i];
    return NULL;
}

static inline void assert_reason(const struct decision *d, enum decision_reason reason)
{
    assert_string_equal(decision_reason_name(d->reason), decision_reason_name(reason));
}

#endif
