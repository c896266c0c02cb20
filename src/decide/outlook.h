/*
 * outlook: what it would take to scale up or down next. Asks decide() itself, on copies of the memory, with one value changed at a time,
 * until it knows the nearest value of each trigger that gives more replicas, and the nearest that gives fewer.
 *
 *     struct outlook o;
 *     decide_outlook(&rules, &facts, memory, &o);
 *     o.triggers[i].up.known, o.triggers[i].up.value       -- "requests above 240 would make it 5"
 *
 * Pure, and bounded: OUTLOOK_STEPS_MAX decisions per trigger and direction. Values beyond OUTLOOK_FACTOR_MAX times the present one (or the
 * target, where it is 0) are not tried: "no value of this trigger alone". A decision that time alone changes (a stabilization window or a
 * cooldown that ends) is found by deciding at decision.next_at_ms with the values of now.
 */
#ifndef WEIR_DECIDE_OUTLOOK_H
#define WEIR_DECIDE_OUTLOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "decide/decide.h"

struct outlook_edge {
    bool known;
    double value;     /* from here on, in that direction of the trigger's values; to three significant digits at least */
    bool above;       /* values above `value` do it; else those below */
    int32_t replicas; /* what it then is */
};
struct outlook {
    int32_t now;           /* what is decided with the facts as they are */
    int64_t at_ms;         /* when time alone changes it; 0: never, as far as is known */
    int32_t then;          /* to what */
    uint16_t trigger_count;
    struct outlook_trigger {
        bool asked; /* false: cpu, memory, or a value that a formula does not look at */
        struct outlook_edge up, down;
    } triggers[TRIGGERS_MAX];
};
/* memory is not changed. */
void decide_outlook(const struct decide_rules *rules, const struct decide_facts *facts,
                    const struct decide_memory *memory, struct outlook *out);

#endif
