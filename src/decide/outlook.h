/*
 * outlook: what it would take to scale up or down next. Asks decide() itself, on copies of the memory, with one value changed at a time,
 * until it knows the nearest value of each trigger that gives more replicas, and the nearest that gives fewer.
 *
 *     struct outlook o;
 *     decide_outlook(&rules, &facts, memory, OUTLOOK_DECISIONS_MAX, &o);
 *     o.triggers[i].up.known, o.triggers[i].up.value       -- "requests above 240 would make it 5"
 *     outlook_write_sentences(&o, &names, say, arg);
 *
 * How: from the present value outwards in both directions (a formula may fall where its trigger rises), each step twice as far as the one
 * before; between the last step that did not do it and the first that did, by halves. So what is found is an edge: on one side of it the
 * outcome is the one told, on the other it is not. Of a formula that goes up and down within one step, an edge nearer by may be passed over.
 * Values beyond OUTLOOK_FACTOR_MAX times the present one (or the target, where that is more) are not tried, nor, of a trigger that is at 0
 * or more, values below 0. A changed value counts as an answer of this moment, in the history of a formula too.
 *
 * What a value does is often seen only later: a stabilization window, a cooldown or a rate limit is waited for, with all values as they are
 * then, and after_ms says how long that is. The same with the values of now tells what time alone changes (at_ms, then).
 *
 * Pure, and bounded: OUTLOOK_STEPS_MAX decisions per trigger and direction, and as many in all as the caller says.
 */
#ifndef WEIR_DECIDE_OUTLOOK_H
#define WEIR_DECIDE_OUTLOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "decide/decide.h"

struct outlook_edge {
    bool known;
    double value;       /* the edge, as short a number as lies there; exact to six digits */
    bool above;         /* values above `value` do it; else those below */
    bool at;            /* and `value` itself */
    bool any;           /* every value that was tried does it: only of a trigger that has none now */
    int32_t replicas;   /* what it then is, right behind the edge */
    int64_t after_ms;   /* when the value has stayed there for so long; 0: at once */
    enum step_kind why; /* what is waited for meanwhile, as below */
};
struct outlook {
    int32_t
        now; /* what is decided with the facts as they are; -1: the scale of the target cannot be read, and nothing is known */
    int64_t at_ms;      /* when time alone changes it; 0: never, as far as is known */
    int32_t then;       /* to what */
    enum step_kind why; /* what ends then: STEP_COOLDOWN, STEP_HELD_MISSING, STEP_STABILIZED_*, STEP_RATE_LIMITED_* */
    bool paused;        /* no value changes anything */
    bool at_min, at_max;
    bool left_to_hpa; /* hpa mode: only switching on and off is decided here */
    bool cut;         /* not all was tried: decisions_max was too little */
    uint16_t trigger_count;
    struct outlook_trigger {
        bool asked; /* false: cpu, memory, or a value that a formula does not look at */
        struct outlook_edge up, down;
    } triggers[TRIGGERS_MAX];
};
/* memory is not changed. */
void decide_outlook(const struct decide_rules *rules, const struct decide_facts *facts,
                    const struct decide_memory *memory, uint32_t decisions_max, struct outlook *out);
/* The same for people, one sentence after the other (outlook_words.c): what time does, what each trigger would have to be, and what
   nothing does. */
typedef void outlook_say(void *arg, const char *sentence);
void outlook_write_sentences(const struct outlook *outlook, const struct decision_names *names, outlook_say *say,
                             void *arg);

#endif
