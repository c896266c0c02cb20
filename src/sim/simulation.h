/*
 * simulation: a policy against the past, or against a model. The real autoscaler, formulas and decisions on virtual time; samples enter below
 * the network: from columns of an input (input.h), or from a model of the workload (model.h), which the policy's decisions act on.
 *
 *     struct simulation *s = simulation_new(&options, &err);       -- options.manifest: the policy's file
 *     simulation_run(s);                                           -- to its end; options.on_tick sees every decision
 *     simulation_result(s, &result);
 *     simulation_free(s);
 *
 * Engines: `weir` is the production code as it runs; `keda-hpa` is KEDA with the HorizontalPodAutoscaler (serving-model.md 7.1): polls every 30 s
 * or as the manifest says, syncs every 15 s, values in milli.
 *
 * Which trigger reads what: a column with the trigger's name; else, with a model, the signal that `map` names for it, an `inference` trigger its
 * own, a kubernetes-workload trigger the pods it selects; cron reads the virtual clock; cpu and memory take a column as utilization in percent. A trigger that
 * nothing feeds is an error that names it, never a guess. Same options, same results, bit for bit. Not for threads; threads may each run
 * their own (making and freeing them takes turns, for policies share texts).
 */
#ifndef WEIR_SIM_SIMULATION_H
#define WEIR_SIM_SIMULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/decide.h"
#include "policy/policy.h"
#include "sim/input.h"
#include "sim/model.h"

struct error;
struct recording;
struct simulation;

enum simulation_engine { ENGINE_WEIR, ENGINE_KEDA_HPA };

struct simulation_map { /* a trigger of whatever type reads a signal of the model */
    const char *trigger;
    struct signal_query query;
};

struct simulation_tick {             /* one decision; valid during the call */
    int64_t at_ms;                   /* since the start */
    const struct decision *decision; /* of engine keda-hpa: what it would be called in our words */
    const struct decision_names *names;
    const struct sample *samples; /* one per trigger */
    size_t trigger_count;
    int32_t replicas, ready, pending; /* before it is carried out */
    const struct policy *policy;
};
typedef void simulation_on_tick(void *arg, const struct simulation_tick *tick);

/* What an input says may depend on the pods there are (a mean per replica): called with what the column of that trigger says at this moment,
   before it becomes a sample. */
typedef void simulation_adjust(void *arg, uint16_t trigger, int32_t replicas, int32_t ready, struct input_value *value);

struct simulation_options {
    /* what is tried */
    const char *manifest_name, *manifest; /* the bytes of the file */
    size_t manifest_length;
    const char *object;                     /* "NAMESPACE/NAME" or "NAME"; NULL: the only one there is */
    const struct policy_settings *settings; /* NULL: defaults */
    enum simulation_engine engine;
    /* against what; borrowed */
    const struct input *input;         /* NULL: none */
    const struct model_options *model; /* NULL: none */
    const struct simulation_map *maps;
    size_t map_count;
    /* NULL: none. Else read to its end: polls are at its times, replicas as recorded until a decision differs, and start and initial its. */
    struct recording *recording;
    /* how */
    int64_t start_at_ms;    /* wall clock at time 0 (cron, calendars) */
    int64_t duration_ms;    /* -1: to the end of the input or the demand */
    int32_t initial;        /* ready replicas at the start; -1: minReplicaCount */
    int64_t ready_after_ms; /* of new pods, without a model */
    uint64_t seed;
    simulation_on_tick *on_tick; /* NULL: nobody */
    simulation_adjust *adjust;   /* NULL: as they stand */
    void *arg;
    const bool *stop; /* looked at after every tick: true ends the run with what there is; NULL */
    bool quick;       /* nobody looks at derivations: formulas are evaluated once, without their trace */
};

struct simulation_result {
    int64_t ticks, duration_ms;
    bool stopped;
    bool has_score; /* there was a model */
    struct score score;
    struct score_moves moves; /* scale events, with or without a model */
    double replica_seconds;   /* with or without a model */
    int32_t highest, lowest;  /* replicas */
    int64_t parted_ms;        /* when a decision first was not the recorded one; -1: never, or there is no recording */
};

/* NULL: the manifest cannot be used, or a trigger is fed by nothing. Findings of the manifest go to report if that is not NULL. */
struct simulation *simulation_new(const struct simulation_options *options, struct report *report, struct error *err);
void simulation_free(struct simulation *simulation);
void simulation_run(struct simulation *simulation);
void simulation_result(const struct simulation *simulation, const struct score_goals *goals,
                       struct simulation_result *out);
/* Scale events so far. */
size_t simulation_events(const struct simulation *simulation, const struct serving_event **out);
const struct policy *simulation_policy(const struct simulation *simulation);
int64_t simulation_duration_ms(const struct simulation *simulation);
int32_t simulation_initial(const struct simulation *simulation); /* replicas it begins with */
/* Whether a trigger reads that column of the input, or that map. Who gave them should hear of those that no trigger reads. */
bool simulation_reads_column(const struct simulation *simulation, uint16_t column);
bool simulation_reads_map(const struct simulation *simulation, size_t map);
struct model *simulation_model(const struct simulation *simulation); /* to look at; NULL: there is none */

#endif
