/*
 * decide: rules + facts + memory -> decision. The only place where a replica count is computed.
 *
 *     struct decision d;
 *     decide(&rules, &facts, memory, &d);
 *     if (d.write)
 *         platform_scale(..., d.after);
 *
 * decide() is total: every fact, however bad, leads to a decision. It is plain: same rules, facts and memory give the
 * same decision, bit for bit. No clock, no input or output, no globals. A decision is plain data without pointers and
 * words: a closed chain of steps, each from `before` to `after` replicas; sentences are made where it is shown
 * (decision_write_step), from the one table DECISION_STEPS.
 *
 * Order of a decision (DESIGN.md 3; keda-operator 03; hpa-algorithm.md):
 *   paused? -> values (fallback, holds, formula) -> active? -> to zero / idle / from zero -> proposals per trigger ->
 *   combined (tolerance inside) -> stabilized -> rate limited -> min, max -> paused-scale-in/out.
 * In hpa mode only the part up to "from zero" is decided here; keda.h shows what the HorizontalPodAutoscaler is fed.
 *
 * A failed evaluation is counted once per sample: one with the same at_ms as at the last decision was counted then
 * (at_ms 0 always counts). So deciding again between two polls changes nothing.
 */
#ifndef WEIR_DECIDE_DECIDE_H
#define WEIR_DECIDE_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "formula/formula.h"
#include "series/series.h"

struct decision;
struct text;

/* ------------------------------------------------------------------ rules: numbers, not manifest structs */

enum decide_mode { DECIDE_DIRECT, DECIDE_HPA, DECIDE_OBSERVE /* decides as direct; the caller never writes */ };
enum target_type { TARGET_AVERAGE_VALUE, TARGET_VALUE, TARGET_UTILIZATION };
enum metric_kind { METRIC_EXTERNAL, METRIC_CPU, METRIC_MEMORY };
enum fallback_behavior {
    FALLBACK_STATIC,
    FALLBACK_CURRENT,
    FALLBACK_CURRENT_IF_HIGHER,
    FALLBACK_CURRENT_IF_LOWER,
    FALLBACK_SCALING_MODIFIERS,
};
enum select_policy { SELECT_MAX, SELECT_MIN, SELECT_DISABLED };

enum { SCALING_POLICIES_MAX = 8 }; /* per direction; the API names no bound, the field knows three at most */

struct scaling_policy {
    bool percent; /* else pods */
    int32_t value, period_s;
};
struct scaling_rules { /* one direction of `behavior`, after defaulting (hpa-algorithm.md 12) */
    enum select_policy select;
    int32_t window_s; /* stabilizationWindowSeconds; -1: the downscale-stabilization setting */
    double tolerance; /* -1: the controller's (0.1) */
    uint8_t policy_count;
    struct scaling_policy policies[SCALING_POLICIES_MAX];
};
struct scaling_behavior {
    struct scaling_rules up, down;
};
/* The defaults of `behavior: {}`. */
void scaling_behavior_default(struct scaling_behavior *behavior);

struct decide_trigger {
    enum metric_kind kind;
    enum target_type target_type;
    double target;     /* Utilization: percent. cpu AverageValue: cores; memory: bytes. 0: none (a formula uses it) */
    double activation; /* active when value > activation */
    int32_t formula_name;  /* its index among the formula's names, or -1: not reachable from the formula */
    const char *container; /* resource metrics of one container, or NULL */
};

struct decide_rules {
    enum decide_mode mode;
    int32_t min, max; /* minReplicaCount (0 if unset), maxReplicaCount (100) */
    int32_t idle;     /* idleReplicaCount, or -1 */
    int64_t cooldown_ms, initial_cooldown_ms;
    int64_t created_at_ms; /* of the object: initialCooldownPeriod counts from here */

    const struct decide_trigger *triggers;
    uint16_t trigger_count;

    bool paused, paused_scale_in, paused_scale_out, force_activation; /* annotations */
    bool has_paused_replicas;
    int32_t paused_replicas;

    struct formula *formula;           /* borrowed; NULL: no scaling modifiers */
    double formula_target;             /* 0: none given; the formula then decides activation only */
    double formula_activation;         /* 0 or unset: strict */
    enum target_type formula_type;     /* AverageValue or Value */
    bool formula_activation_inclusive; /* explicit, non-zero, not weir.dev/strict-activation, direct and observe mode */
    /* hpa mode: the result is what KEDA hands on, cut to milli, and 0 where it is no number or does not fit; for the simulator's keda-hpa
       engine (serving-model.md 7.1). */
    bool formula_as_keda;

    bool has_fallback;
    enum fallback_behavior fallback_behavior;
    int32_t fallback_threshold, fallback_replicas;

    const struct scaling_behavior *behavior;           /* NULL: hpa-algorithm.md section 8 */
    double tolerance;                                  /* 0.1 */
    int64_t downscale_stabilization_ms;                /* 5 min */
    int64_t missing_hold_ms;                           /* 30 min; INT64_MAX: forever */
    int64_t cpu_initialization_ms, readiness_delay_ms; /* 300 s, 30 s */
};

/* ------------------------------------------------------------------ facts: what is known at this moment */

enum pod_phase { POD_PENDING, POD_RUNNING, POD_SUCCEEDED, POD_FAILED, POD_UNKNOWN };
enum pod_ready { POD_READY_NONE /* no such condition */, POD_READY_TRUE, POD_READY_FALSE, POD_READY_UNKNOWN };

struct pod_usage { /* per container where rules name one; else the sum over containers */
    bool has_usage, has_request;
    int64_t usage, request;   /* cpu: milli cores; memory: bytes x 1000 */
    int64_t at_ms, window_ms; /* of the usage sample */
};
struct pod_fact {
    const char *name;
    enum pod_phase phase;
    enum pod_ready ready;
    bool deleted;
    int64_t start_at_ms;           /* 0: not started */
    int64_t ready_at_ms;           /* last change of the Ready condition */
    const struct pod_usage *usage; /* one per resource trigger, in the order of the triggers that are cpu or memory */
};

struct decide_facts {
    int64_t now_ms;
    int32_t replicas;        /* spec.replicas of the scale; -1: could not be read */
    int32_t status_replicas; /* status.replicas */
    int32_t ready_replicas;
    const struct sample *samples; /* one per trigger (ignored for cpu and memory); NULL: nobody was asked yet */
    struct series *const *series; /* one per trigger; NULL entries where the formula needs no history; NULL: none */
    const int64_t *good_at_ms;    /* one per trigger: when its last good value was taken, 0 = never; NULL: unknown */
    const double *targets;        /* one per trigger: what its source itself says one replica should carry, instead of
                                     the rules' target; 0: nothing; NULL: none does */
    const struct pod_fact *pods;  /* only when a trigger is cpu or memory */
    size_t pod_count;
    bool pods_failed; /* pods or their metrics could not be read */
};

/* ------------------------------------------------------------------ memory: kept by the caller, written by decide() */

struct decide_memory; /* opaque; one per object */

struct decide_memory *decide_memory_new(const struct decide_rules *rules);
void decide_memory_free(struct decide_memory *memory);
struct decide_memory *decide_memory_copy(const struct decide_memory *memory); /* for what-if */
size_t decide_memory_bytes(const struct decide_memory *memory);
/* After the manifest changed: what still has a meaning is kept (last activity, stabilization, failures by trigger name,
   function memory only if the formula's text is the same). names: trigger names or sN texts, old and new. */
struct decide_memory *decide_memory_adapt(const struct decide_memory *old, const struct decide_rules *old_rules,
                                          const char *const *old_names, const struct decide_rules *rules,
                                          const char *const *names);
/* For the journal: bytes that only this version reads (a version byte leads). false: not ours, start anew. */
void decide_memory_write(const struct decide_memory *memory, struct text *out);
bool decide_memory_read(const struct decide_rules *rules, const char *bytes, size_t length, struct decide_memory **out);
int64_t decide_memory_last_active_at_ms(const struct decide_memory *memory); /* 0: never */
void decide_memory_set_last_active(struct decide_memory *memory, int64_t at_ms);
int decide_memory_failures(const struct decide_memory *memory, size_t trigger); /* failed evaluations in a row */
void decide_memory_set_failures(struct decide_memory *memory, size_t trigger, int failures); /* from status.health */
/* Somebody else decided until now, and this many run: as a new HorizontalPodAutoscaler does, takes that for the wish of this moment,
   so that the hand-over alone takes nothing away. */
void decide_memory_take_over(const struct decide_rules *rules, struct decide_memory *memory, int64_t now_ms,
                             int32_t replicas);
/* The caller applied the decision: scale events count only then (hpa-algorithm.md 9.4). */
void decide_applied(const struct decide_rules *rules, struct decide_memory *memory, const struct decision *decision);

/* ------------------------------------------------------------------ the decision */

/* Placeholders in a sentence: {cause} the trigger's name, "formula" or "" ; {before} {after} replicas; {measured}
   {limit} numbers; {measured:duration} a span in seconds; {limit:time} an instant in seconds since the epoch (0:
   "it has one again"); {limit:percent} a ratio. The table is complete: enum, JSON names, `weir explain`, status
   page and docs/decisions.md all come from it. */
#define DECISION_STEPS(STEP)                                                                                           \
    STEP(CURRENT, "current", "running now: {after}")                                                                   \
    STEP(PAUSED, "paused", "the object is paused: nothing is changed")                                                 \
    STEP(PAUSED_AT, "paused-at", "the object is paused, and paused-replicas asks for {after}")                         \
    STEP(UNREADABLE, "target-unreadable", "the scale of the target could not be read: nothing is changed")             \
    STEP(NOT_ASKED, "not-asked", "{cause} has not answered yet: nothing is taken away")                                \
    STEP(HELD_MISSING, "held-missing",                                                                                 \
         "{cause} is missing: no value for {measured:duration}, so nothing is taken away before {limit:time}")         \
    STEP(HELD_FAILED, "held-failed", "{cause} failed ({measured} in a row): nothing is taken away")                    \
    STEP(HOLD_ENDED, "hold-ended",                                                                                     \
         "{cause} is missing for {measured:duration}, longer than that is held: {limit} counts from now on")           \
    STEP(FALLBACK, "fallback", "{cause} failed {measured} times in a row, more than {limit}: its fallback applies")    \
    STEP(FALLBACK_WAITS, "fallback-waits",                                                                             \
         "{cause} failed {measured} times in a row: nothing is taken away, and fallback waits until it is more than "  \
         "{limit}")                                                                                                    \
    STEP(RESOURCE_FAILED, "resource-metric-failed", "{cause} could not be computed: nothing is taken away")            \
    STEP(NO_PODS, "no-pods",                                                                                           \
         "{cause} at {measured} counts per ready replica, and none exists yet: nothing is taken away")                 \
    STEP(FORCED, "forced", "force-activation keeps the object active: at least {after}")                               \
    STEP(ALWAYS_ACTIVE, "always-active", "an object scaled by cpu or memory alone is always active: at least {after}") \
    STEP(ACTIVATED, "activated",                                                                                       \
         "{cause} at {measured} switches on (activation {limit}): from {before} to at least {after}")                  \
    STEP(FALLBACK_ACTIVE, "fallback-active", "the fallback of {cause} keeps the object active: at least {after}")      \
    STEP(INACTIVE, "inactive", "no trigger is active")                                                                 \
    STEP(COOLDOWN, "cooldown", "inactive for {measured:duration}: the cooldown lasts until {limit:time}")              \
    STEP(DEACTIVATED, "deactivated",                                                                                   \
         "inactive for {measured:duration}, longer than the cooldown: from {before} to {after}")                       \
    STEP(PROPOSED, "proposed", "{cause} at {measured} against a target of {limit} asks for {after}")                   \
    STEP(FALLBACK_ASKS, "fallback-asks", "the fallback of {cause} asks for {after}")                                   \
    STEP(WITHIN_TOLERANCE, "within-tolerance",                                                                         \
         "{cause} at {measured} is within the tolerance of its target {limit}: {after} will do")                       \
    STEP(NO_TARGET, "formula-without-target",                                                                          \
         "{cause} is {measured}: without a target it only switches on and off, so {after} will do")                    \
    STEP(NEGATIVE, "negative-result", "{cause} is {measured}, below zero: it asks for the minimum")                    \
    STEP(OUTBID, "outbid", "{cause} at {measured} asks for {limit}, which is no more")                                 \
    STEP(HELD, "held", "what is known asks for {before}, but not all is known: {after} is kept")                       \
    STEP(STABILIZED_DOWN, "stabilized-down", "{after} was wished for within the last {limit:duration}")                \
    STEP(STABILIZED_UP, "stabilized-up", "no more than {after} was wished for within the last {limit:duration}")       \
    STEP(RATE_LIMITED_UP, "rate-limited-up", "at most {after} may run now: scaling up is limited")                     \
    STEP(RATE_LIMITED_DOWN, "rate-limited-down", "at least {after} must run now: scaling down is limited")             \
    STEP(AT_MIN, "at-min", "the minimum is {after}")                                                                   \
    STEP(AT_MAX, "at-max", "the maximum is {after}")                                                                   \
    STEP(SCALE_IN_PAUSED, "scale-in-paused", "paused-scale-in keeps {after}")                                          \
    STEP(SCALE_OUT_PAUSED, "scale-out-paused", "paused-scale-out keeps {after}")                                       \
    STEP(LEFT_TO_HPA, "left-to-hpa", "how many run is left to the HorizontalPodAutoscaler")                            \
    STEP(SAID_ACTIVE, "said-active", "{cause} says itself that there is work: from {before} to at least {after}")

enum step_kind {
#define STEP(name, text, sentence) STEP_##name,
    DECISION_STEPS(STEP)
#undef STEP
        STEP_KINDS
};

struct decision_step {
    enum step_kind kind;
    int32_t cause;         /* index into inputs; CAUSE_FORMULA; or CAUSE_OBJECT: the object as a whole */
    int32_t before, after; /* replicas; before is the previous step's after: no replica changes without a cause */
    double measured, limit;
};
enum { CAUSE_OBJECT = -1, CAUSE_FORMULA = -2 };

/* Why the result is what it is, one word: the step that decided. For metrics, log lines and `get`. */
#define DECISION_REASONS(REASON)                                                                                       \
    REASON(STEADY, "steady")             /* the wish is what runs */                                                   \
    REASON(ABOVE_TARGET, "above-target") /* up, by a trigger or the formula */                                         \
    REASON(BELOW_TARGET, "below-target") /* down, likewise */                                                          \
    REASON(ACTIVATED, "activated")       /* from zero or idle */                                                       \
    REASON(DEACTIVATED, "deactivated")   /* to zero or idle */                                                         \
    REASON(COOLDOWN, "cooldown")                                                                                       \
    REASON(INACTIVE, "inactive") /* at zero or idle, and stays */                                                      \
    REASON(HELD, "held")         /* a value is missing or failed */                                                    \
    REASON(FALLBACK, "fallback")                                                                                       \
    REASON(STABILIZED, "stabilized")                                                                                   \
    REASON(RATE_LIMITED, "rate-limited")                                                                               \
    REASON(AT_MIN, "at-min")                                                                                           \
    REASON(AT_MAX, "at-max")                                                                                           \
    REASON(PAUSED, "paused")                                                                                           \
    REASON(UNREADABLE, "target-unreadable")

enum decision_reason {
#define REASON(name, text) REASON_##name,
    DECISION_REASONS(REASON)
#undef REASON
        REASON_COUNT
};

struct decision_input {
    enum sample_state state;
    bool stand_in, active, fallback;
    bool held; /* its value is not known: nothing is taken away because of it */
    double value;
    int64_t age_ms;   /* of the sample; -1: none */
    int32_t proposal; /* replicas; -1: none */
    int32_t failures; /* in a row */
};

struct decision_trace {  /* one sub-expression's value */
    uint32_t begin, end; /* bytes of the formula's text */
    uint8_t type, depth; /* enum formula_type */
    double number;
};

struct decision {
    int64_t at_ms;
    int32_t before, after; /* replicas that run (spec; -1: not readable), and that shall run */
    int32_t ready;         /* ready replicas at that moment */
    bool write;            /* after is to be written (differs from before, and nothing forbids it) */
    bool active, held, fallback, paused;
    bool error; /* some trigger or the formula failed (not converted by fallback) */
    enum decision_reason reason;
    int32_t wished;     /* the combined proposal before stabilization and limits; -1: none */
    int64_t next_at_ms; /* when time alone may change the result (cooldown, hold, window ends); 0: never */

    bool has_formula;
    struct formula_value formula; /* the result; type FORMULA_FAILED: see formula_fault */
    enum formula_fault formula_fault;
    uint32_t fault_begin, fault_end; /* the sub-expression that made it */
    enum sample_state formula_state;

    uint16_t step_count, input_count, trace_count;
    struct decision_step steps[DECISION_STEPS_MAX];
    struct decision_input inputs[TRIGGERS_MAX];
    struct decision_trace trace[DECISION_TRACE_MAX];
};

/* trace: also fill out->trace (costs a second, slower evaluation). */
void decide(const struct decide_rules *rules, const struct decide_facts *facts, struct decide_memory *memory,
            bool trace, struct decision *out);

/* Every step's before is the previous one's after, the first starts at `before`, the last ends at `after`, all
   finite. */
bool decision_is_closed(const struct decision *decision);
/* Same result, reason and state: nothing a person would call a change (values and ages may differ). */
bool decision_same_outcome(const struct decision *a, const struct decision *b);

/* The last decision is kept packed: only the steps, inputs and trace there are. malloc'ed; free(). */
void *decision_pack(const struct decision *decision, size_t *bytes);
bool decision_unpack(const void *packed, size_t bytes, struct decision *out);

/* ------------------------------------------------------------------ words (made where a decision is shown) */

struct decision_names {          /* what a decision's numbers are called */
    const char *const *triggers; /* names or sN texts, one per input; may be NULL */
    size_t trigger_count;
    const char *formula; /* its text, or NULL */
};
const char *step_kind_name(enum step_kind kind);
const char *decision_reason_name(enum decision_reason reason);
const char *sample_state_name(enum sample_state state);
/* One step in a sentence. */
void decision_write_step(const struct decision *decision, size_t step, const struct decision_names *names,
                         struct text *out);
/* The one line that says what happened and why: "1 -> 3: formula at 2.5 against a target of 1 asks for 3". */
void decision_write_summary(const struct decision *decision, const struct decision_names *names, struct text *out);
/* The whole record as JSON (docs/decisions.md). */
void decision_write_json(const struct decision *decision, const struct decision_names *names, struct text *out);

/* ------------------------------------------------------------------ ScaledJob (keda-operator/04-scaledjob.md) */

enum job_strategy { JOB_DEFAULT, JOB_CUSTOM, JOB_ACCURATE, JOB_EAGER };
enum job_combination { JOB_COMBINE_MAX, JOB_COMBINE_MIN, JOB_COMBINE_AVG, JOB_COMBINE_SUM };

struct job_rules {
    int32_t min,
        max; /* raw minReplicaCount and maxReplicaCount, -1: unset. An unset maximum is 100 above the minimum */
    enum job_strategy strategy;
    enum job_combination combination;
    int32_t custom_deduction;
    double custom_running_ratio; /* NaN: unparsable or unset */
    uint16_t trigger_count;
    bool paused;
    const struct decide_trigger *triggers;
};
struct job_facts {
    int64_t now_ms;
    int32_t running, pending;
    const struct sample *samples; /* one per trigger. A sample taken before the last creation does not create again */
    const double *targets;        /* as of decide_facts */
    int64_t created_last_at_ms;   /* when jobs were last created; 0: never */
};
struct job_decision {
    int64_t at_ms;
    bool active, error;
    int32_t running, pending;
    double queue_length, max_value;
    int32_t scale_to, max_scale, effective, create; /* create: jobs to create now */
    uint16_t input_count;
    struct decision_input inputs[TRIGGERS_MAX];
};
/* Why, in the words of an object's decisions. */
enum decision_reason job_decision_reason(const struct job_rules *rules, const struct job_decision *decision);
void decide_jobs(const struct job_rules *rules, const struct job_facts *facts, struct job_decision *out);
void job_decision_write_summary(const struct job_decision *decision, struct text *out);
void job_decision_write_json(const struct job_decision *decision, const struct decision_names *names, struct text *out);

#endif
