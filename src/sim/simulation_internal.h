/* What the files of a simulation share (simulation.h has the story). */
#ifndef WEIR_SIM_SIMULATION_INTERNAL_H
#define WEIR_SIM_SIMULATION_INTERNAL_H

#include "autoscaler/autoscaler.h"
#include "base/selector.h"
#include "manifest/manifest.h"
#include "net/loop.h"
#include "platform/platform.h"
#include "sim/simulation.h"

#define NS_PER_MS INT64_C(1000000)

struct text;
struct virtual_world;

enum feed_kind {
    FEED_NOTHING,
    FEED_COLUMN,    /* of the input */
    FEED_SIGNAL,    /* of the model, as a gateway reports it */
    FEED_INFERENCE, /* of the model, as the trigger `inference` reads it */
    FEED_PODS,      /* how many there are of the target */
    FEED_RECORD,    /* of the recording */
    FEED_CLOCK,     /* the trigger itself: it looks at the clock alone */
};
enum feed_nothing { NOTHING_IS_MISSING, NOTHING_IS_ZERO, NOTHING_IS_FAILURE }; /* what a source without a value means */
enum feed_share { SHARE_AS_IS, SHARE_PER_READY, SHARE_TIMES_READY };
struct feed { /* where one trigger's values come from */
    enum feed_kind kind;
    uint16_t column;
    bool resource; /* cpu, memory: the column is the utilization of its pods */
    bool not_finite_is_nothing;
    enum feed_nothing nothing;
    struct signal_query query;
    struct model_inference_query inference;
    enum feed_share share;
    struct sample last; /* of a column: the last value, which `stale` goes on saying */
};

struct sim_pods { /* of the target, without a model; by age */
    int64_t *created_ms;
    size_t count, size;
};

struct record;
struct record_version;

struct simulation {
    struct platform platform; /* first: the platform is the simulation */
    struct simulation_options options;
    struct virtual_world *world;
    struct loop *loop;
    struct trigger_engine *engine;
    struct autoscaler *autoscaler;
    struct autoscaler_hooks hooks;
    struct policy_settings settings;
    struct manifest *manifest;
    const struct scaled_object *object;
    char *key;
    struct policy *policy;
    struct decision_names names;
    struct feed *feeds;                                  /* one per trigger */
    int64_t start_ticks_ms, duration_ms, interval_ms[2]; /* between polls: at 0 replicas, and above */

    /* what runs */
    struct model *model; /* NULL: the pods below */
    int64_t model_at_ms;
    struct model_counts counts; /* of model_at_ms */
    bool counts_known, snapshot_taken;
    int32_t spec;
    struct sim_pods pods;
    const struct workload *workload; /* of the manifest; NULL */
    struct label *labels;            /* of its pods */
    size_t label_count;
    struct pod_view *views;
    struct record *record; /* of options.recording; NULL: none */
    struct {
        size_t at; /* the recorded decision that comes, or is being made */
        bool done; /* it is made */
        const struct record_version *version;
        size_t history_at;      /* samples of the history that were taken */
        struct sample *samples; /* of the decision that is being made, one per trigger; and so on */
        int64_t *good_at_ms, *sampled_at_ms;
        struct series **series;
    } replay;
    bool parted;           /* a decision was not the recorded one: what runs is the simulation's own from then on */
    struct timer *landing; /* of a write */
    platform_done *landed;
    void *landed_arg;

    /* what came of it */
    struct simulation_result result;
    struct serving_event *events; /* without a model */
    size_t event_count, event_size;
    int64_t counted_until_ms;     /* replica seconds */
    bool finished;                /* nobody looks or writes any more */
    struct series *const *series; /* of the decision that is told of; NULL: none is, or they are not known */
};

static inline int64_t simulation_now_ms(const struct simulation *s)
{
    return loop_ticks_ms(s->loop) - s->start_ticks_ms;
}

/* simulation_manifest.c */
const struct scaled_object *simulation_choose(const struct manifest *manifest, const char *name, struct error *err);
const struct workload *simulation_workload(const struct manifest *manifest, const struct scaled_object *object);
void simulation_write_one(const struct manifest *manifest, const struct object_meta *meta, const char *bytes,
                          size_t length, struct text *out);

/* simulation_platform.c */
extern const struct platform_ops simulation_platform_ops;
void simulation_start_pods(struct simulation *s, int32_t replicas);
void simulation_place(struct simulation *s, int32_t replicas, int32_t ready); /* so many run, whoever wrote that */
void simulation_look(struct simulation *s); /* lets the model catch up with the clock; counts are of this moment then */
void simulation_count_time(struct simulation *s, int64_t until_ms); /* what ran until then, in replica seconds */
void simulation_landed(void *simulation);                           /* the timer of a write */
void simulation_scale(struct simulation *s, int32_t replicas);

/* simulation.c */
void simulation_decided(struct simulation *s, const struct decision *decision, const struct sample *samples);

/* simulation_replay.c */
void simulation_replay_start(struct simulation *s); /* the policy is known */
void simulation_replay_end(struct simulation *s);
bool simulation_read_record(struct simulation *s, struct error *err);
void simulation_replay_facts(struct simulation *s, struct policy *policy, struct decide_facts *facts,
                             struct decide_memory **memory);
void simulation_replay_decided(struct simulation *s, const struct decision *decision);
int64_t simulation_replay_next_ms(struct simulation *s);  /* until the next recorded decision */
bool simulation_replay_fails(const struct simulation *s); /* the write of this decision failed when it was recorded */
bool simulation_replay_has(const struct simulation *s, const char *trigger);
void simulation_replay_sample(struct simulation *s, uint16_t trigger, struct sample *sample, struct error *why);

/* simulation_keda.c */
void simulation_run_keda(struct simulation *s);

/* simulation_feed.c */
/* false: a trigger is fed by nothing. */
bool simulation_find_feeds(struct simulation *s, struct error *err);
/* false: it answers itself. */
bool simulation_sample(struct simulation *s, uint16_t trigger, struct sample *sample, struct error *why);
/* The utilization of all pods as a share of their request; false: there are no metrics. */
bool simulation_usage(struct simulation *s, bool cpu, double *ratio);

#endif
