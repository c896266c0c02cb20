/* What the files of the judge share (judge.h has the story). */
#ifndef WEIR_SIM_JUDGE_INTERNAL_H
#define WEIR_SIM_JUDGE_INTERNAL_H

#include "base/limits.h"
#include "sim/judge.h"
#include "sim/simulation_internal.h"

enum { JUDGE_BINS = 4096, JUDGE_PROBES = 512, JUDGEMENTS_MAX = 8 };

struct judge_bin { /* a piece of the run; what is not a maximum is of its last decision */
    bool seen;
    int32_t replicas, ready, starting;
    int32_t wished;          /* the largest; -1: nothing was, for a value was not known */
    double demand;           /* tokens per second that came; NAN: not known */
    double open;             /* requests that are waiting or running, the most; 0: none, or not known */
    double requests, missed; /* that came in it */
    int64_t over_max_ms;     /* how long more was wished for than the maximum */
    bool faulty;             /* the formula had no finite value */
};

/* What the formula does when one of its inputs rises by a little. */
struct judge_effect {
    uint32_t probes, rises, falls;
    uint32_t begin, end; /* of the sub-expression that does it, as most probes say */
    uint32_t votes;
};

struct judge {
    const struct simulation *s;
    const struct policy *policy;
    struct judge_bin *bins;
    size_t count;
    int64_t width_ms, last_ms;
    int32_t last_over;            /* wished at the decision before, if over the maximum */
    double *signals;              /* per bin and trigger: what triggers from outside said; NAN: nothing */
    struct judge_effect *effects; /* per trigger; the last is the number of replicas */
    size_t probed_bin, probe_every;
    uint32_t fault_begin, fault_end;
    int32_t highest_wish;
    double misses, requests;
    struct arena *arena; /* of the judgements' texts */
    struct judgement judgements[JUDGEMENTS_MAX];
    size_t judgement_count;
};

/* judge_probe.c */
void judge_probe(struct judge *judge, const struct simulation_tick *tick);
/* The trigger is fed by the number of replicas itself. */
bool judge_follows_replicas(const struct judge *judge, size_t trigger);
/* Mostly rises (1), mostly falls (-1), or neither. */
int judge_direction(const struct judge_effect *effect);
/* The text of a sub-expression, in the arena; NULL where begin is end. */
const char *judge_term(struct judge *judge, uint32_t begin, uint32_t end);

/* judge_find.c */
void judge_find(struct judge *judge);

#endif
