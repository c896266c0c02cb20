/*
 * What the files of this room share: a decision in the making, the memory's layout, and the chain of steps.
 *
 *   decide.c       the order of a decision            values.c    samples -> readings: holds, failures, fallback
 *   evaluate.c     the formula as one more reading    direct.c    activation, proposals, stabilization, limits
 *   keda_loop.c    hpa mode: KEDA's operator loop     memory.c    what is kept between decisions
 *   words.c        decisions in sentences             outlook.c   what would change it (outlook_words.c: in sentences)
 */
#ifndef WEIR_DECIDE_DECIDE_INTERNAL_H
#define WEIR_DECIDE_DECIDE_INTERNAL_H

#include "base/pack.h"
#include "decide/hpa.h"

#define NEVER_MS INT64_MIN

struct trigger_memory {
    int64_t missing_since_ms; /* NEVER_MS: not missing */
    int64_t counted_at_ms;    /* of the sample counted last */
    int32_t failures;
};
struct decide_memory {
    int64_t last_active_at_ms; /* NEVER_MS: never */
    struct hpa_moments highs;  /* wishes that may still hold the size up: falling, newest last */
    struct hpa_moments lows;   /* wishes that may still hold it down: rising, newest last */
    struct hpa_moments ups, downs;
    void *formula_memory;                 /* formula_memory_bytes; NULL where the formula keeps nothing */
    uint32_t formula_bytes, formula_mark; /* mark: of the formula's text */
    uint16_t trigger_count;
    struct trigger_memory formula;
    struct trigger_memory triggers[];
};

enum reading_kind {
    READING_VALUE,    /* value counts */
    READING_HELD,     /* missing, failed or not asked: nothing may be taken away */
    READING_FALLBACK, /* replicas are asked for directly */
    READING_RESOURCE, /* cpu, memory: computed from the pods */
    READING_UNUSED,   /* the formula speaks for it */
};
struct reading {
    enum reading_kind kind;
    bool failed, active;
    double value;
    int32_t replicas;
};

struct making { /* a decision being made */
    const struct decide_rules *rules;
    struct decide_facts facts; /* with impossible counts and times put right */
    struct decide_memory *memory;
    struct decision *out;
    int32_t now_count;      /* where the chain of steps stands */
    int32_t low, high;      /* max(min, 1) and max, low <= high */
    bool held;              /* some reading is held */
    struct reading formula; /* kind READING_UNUSED: there is no formula */
    struct reading readings[TRIGGERS_MAX];
};

/* Steps beyond these are kept for what comes after the proposals of the triggers. */
enum { STEPS_FOR_TRIGGERS_MAX = DECISION_STEPS_MAX - 16 };

static inline int64_t later_ms(int64_t at_ms, int64_t span_ms)
{
    int64_t sum;

    return __builtin_add_overflow(at_ms, span_ms, &sum) ? (span_ms > 0 ? INT64_MAX : INT64_MIN) : sum;
}

/* ---- decide.c ---- */
void say(struct making *m, enum step_kind kind, int32_t cause, double measured, double limit); /* changes nothing */
void move(struct making *m, enum step_kind kind, int32_t cause, int32_t after, double measured, double limit);
void wake_up_at(struct making *m, int64_t at_ms); /* time alone may change the result then */

/* ---- values.c ---- */
void read_values(struct making *m); /* fills readings, formula, held, and the inputs of the decision */
bool only_resources(const struct decide_rules *rules);
/* A result without a value: holds while it may, counts failures, falls back. Says what it does. */
void read_missing(struct making *m, struct trigger_memory *memory, int32_t cause, double stand_in, struct reading *out);
void read_failed(struct making *m, struct trigger_memory *memory, int32_t cause, int64_t at_ms, struct reading *out);
void read_good(struct trigger_memory *memory, int64_t at_ms);

/* ---- evaluate.c ---- */
void read_formula(struct making *m, bool trace);

/* ---- direct.c, keda_loop.c ---- */
void decide_direct(struct making *m);
void decide_keda(struct making *m);
bool cooldown_is_over(const struct making *m, double *inactive_s, int64_t *until_ms);
bool note_activity(struct making *m, int32_t *cause, double *measured, double *limit); /* the first that is active */
enum step_kind step_of_activity(const struct making *m, int32_t cause);                /* in what words */

/* ---- memory.c ---- */
void memory_tidy(struct decide_memory *memory, int64_t now_ms); /* nothing was in the future, whatever clock said so */
void memory_forget_wishes(struct decide_memory *memory);
void memory_wish(struct decide_memory *memory, int64_t now_ms, int64_t window_ms, int32_t wish);

/* ---- words.c: the words that sentences have in common ---- */
void words_cause(int32_t cause, const struct decision_names *names, struct text *out);
void words_number(double value, struct text *out);     /* with about four digits */
void words_duration(double seconds, struct text *out); /* "2m30s" */
void words_time(double seconds, struct text *out);     /* since the epoch */

#endif
