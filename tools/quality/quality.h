/*
 * quality: how good are the decisions of Weir and of others, in one number: replica hours over those of a plan that knew the demand
 * beforehand, where at least 99 % of the requests got what they were promised (serving-model.md 5, 6). What its files share.
 *
 *     demand.c   the demand: which trace on which engine, and the plan for it
 *     contender.c  who is compared: manifests and rules, each with its one knob
 *     play.c       one run: a contender with a knob against a demand
 *     tune.c       the cheapest knob that keeps the promise
 *     main.c       runs, tables, the page
 */
#ifndef WEIR_TOOLS_QUALITY_H
#define WEIR_TOOLS_QUALITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/model.h"
#include "sim/oracle.h"
#include "sim/peer.h"
#include "sim/simulation.h"
#include "sim/trace.h"

#define NS_PER_S           INT64_C(1000000000)
#define SHARE              0.99 /* of the requests within their goals: the promise */
#define WARMUP_S           300  /* not scored: nobody knows the load before */
#define REPLICAS_MAX_TRIED 1000

/* ------------------------------------------------------------------ demand.c */

struct demand_source {
    const char *name, *title, *file; /* below examples/traces */
    const char *profile;
    struct trace_shape shape; /* tokens of a request, where the trace does not say */
    int64_t copies;           /* of every request, within a second */
    double ttft_per_token_s;  /* of the goal: long prompts may take longer */
};
struct demand {
    const struct demand_source *source;
    struct trace_file trace;
    struct model_options model; /* without initial */
    struct score_goals goals;
    struct oracle_plan plan;
};

extern const struct demand_source demand_sources[];
extern const size_t demand_count;
/* The trace is read, the plan made. false: err says why. */
bool demand_open(struct demand *demand, const struct demand_source *source, int64_t startup_s, struct error *err);
void demand_close(struct demand *demand);
bool demand_is_fluid(const struct demand *demand);

/* ------------------------------------------------------------------ contender.c */

enum contender_kind { CONTENDER_FIXED, CONTENDER_MANIFEST, CONTENDER_PEER };

struct contender {
    const char *name; /* in the table */
    enum contender_kind kind;
    /* a manifest */
    const char *file; /* from the root of the source */
    enum simulation_engine engine;
    const char *knob_after, *knob_until; /* the knob's number stands between these texts; NULL: there is none */
    bool is_ours; /* its triggers are read as they are, and it is told what the engine measures */
    /* a peer */
    enum peer_kind peer;
    /* the knob */
    const char *knob;    /* what it is */
    double as_published; /* 0: nothing is */
    const double *knobs; /* to be tried, ends with 0 */
    bool keeps_last;     /* tried with at least one replica; as published down to zero */
};

extern const struct contender contenders[];
extern const size_t contender_count;

/* ------------------------------------------------------------------ play.c */

struct outcome {
    double knob, in_slo, replica_hours, ratio; /* ratio: to the plan */
    int64_t events, oscillation;
};
/* false: err says why. */
bool play(const struct contender *contender, const struct demand *demand, double knob, bool tuned, struct outcome *out,
          struct error *err);

/* ------------------------------------------------------------------ tune.c */

/* The cheapest knob that keeps the promise; else the one with the largest share. */
bool tune(const struct contender *contender, const struct demand *demand, struct outcome *out, struct error *err);
bool is_kept(const struct outcome *outcome);

#endif
