/* What stage.c, stage_platform.c and stage_source.c share. */
#ifndef WEIR_SIM_STAGE_INTERNAL_H
#define WEIR_SIM_STAGE_INTERNAL_H

#include "sim/stage.h"

#include "base/selector.h"
#include "base/text.h"
#include "platform/platform.h"
#include "sim/stage_source.h"
#include "sim/virtual.h"

enum { STAGE_LABELS_MAX = 8 };

struct stage_pod {
    char name[80];
    int64_t created_ticks_ms, ready_ticks_ms; /* ready from then on */
};
struct stage_target { /* one workload, watched or not */
    struct stage *stage;
    char ns[64], kind[64], name[128];
    bool exists, without_scale;
    const char *rival; /* static text: the HorizontalPodAutoscaler that scales it, too; NULL: none */
    bool rival_asked;
    uint32_t others_writes;
    int32_t replicas;
    struct stage_pod *pods;
    size_t pod_count;
    uint32_t next_pod;
    int64_t cpu_request, memory_request;
    double cpu_ratio, memory_ratio;
    struct stage_source *cpu_source, *memory_source; /* instead of the ratios, when set */
    struct stage_source *count;                      /* how many pods there are; NULL: as many as replicas */
    struct label labels[STAGE_LABELS_MAX];           /* of its pods; none: app=<name> */
    size_t label_count;
    bool own_nodes;         /* each pod on a node of its own */
    struct pod_view *views; /* of the last question */
    platform_changed *changed;
    void *changed_arg;
    struct stage_target *next;
};
struct stage_job {
    char name[160];
    bool finished, succeeded, pending;
    int64_t created_at_ms, finished_at_ms;
    uint64_t generation;
    struct stage_job *next;
};
struct stage_owner {
    struct stage *stage;
    char name[128];
    uint64_t generation;
    struct stage_job *jobs; /* oldest first */
    struct job_view *views;
    uint32_t next_job;
    platform_changed *changed;
    void *arg;
    char *pending_conditions; /* as asked for, with commas; NULL: pending is not needed exactly */
    struct stage_owner *next;
};
struct stage_source {
    struct stage *stage;
    char *place;    /* "http://prom:9090" or "redis:6379"; "" where there is none */
    char *asks;     /* the query, the URL, the key */
    char *location; /* metrics-api: valueLocation; redis-streams: the group */
    char *format;
    stage_say *say;
    void *arg;
    struct stage_source *next;
};
struct stage_write { /* on its way */
    struct stage *stage;
    struct stage_target *target; /* or owner */
    struct stage_owner *owner;
    int32_t count;
    bool fails;
    platform_done *done;
    void *arg;
    struct timer *timer;
};

struct stage {
    struct platform platform; /* first: the platform is the stage */
    struct virtual_world *world;
    struct loop *loop;
    struct trigger_engine *engine;
    struct journal *journal;
    struct autoscaler *autoscaler;
    struct policy_settings settings;
    struct stage_options options;
    int64_t start_ticks_ms;
    struct stage_target *targets;
    struct stage_owner *owners;
    int fail_writes;
    bool looking; /* nothing is known yet: stage_known */
    uint64_t writes;
    struct stage_source *sources;
    size_t source_count;
    struct text said; /* the answer of a source, until it is copied */
    stage_obstruct *obstruct;
    void *obstruct_arg;
    stage_wrote *wrote;
    void *wrote_arg;
    struct stage_cluster *cluster; /* NULL: objects come from files */
    struct stage_file *files;      /* what stage_manifest said, for a restart */
};

extern const struct platform_ops stage_platform_ops;
struct stage_target *stage_find(struct stage *stage, const char *ns, const char *kind, const char *name, bool make);
struct stage_target *stage_named(struct stage *stage, const char *name);
struct stage_owner *stage_owner_named(struct stage *stage, const char *name, bool make);
void stage_set_pods(struct stage_target *target, int32_t count, bool ready);

/* stage_cluster.c: entries of the platform's table */
void stage_on_resources_watch(struct platform *platform, resource_changed *changed, void (*synced)(void *arg),
                              void *arg);
void stage_on_resource_again(struct platform *platform, enum resource_kind kind, const char *ns, const char *name);
void stage_on_status_merge(struct platform *platform, enum resource_kind kind, const char *ns, const char *name,
                           const char *patch, size_t length);
void stage_on_resource_merge(struct platform *platform, enum resource_kind kind, const char *ns, const char *name,
                             const char *patch, size_t length, platform_done *done, void *arg);
bool stage_on_may_write(struct platform *platform, const char *ns, const char *name);
void stage_on_hpa_put(struct platform *platform, const char *ns, const char *name, const char *json, size_t length,
                      platform_done *done, void *arg);
void stage_on_hpa_delete(struct platform *platform, const char *ns, const char *name, const char *owner_uid,
                         platform_done *done, void *arg);
enum lookup stage_on_hpa_view(struct platform *platform, const char *ns, const char *name, struct hpa_view *out);
void stage_on_event(struct platform *platform, const char *ns, const char *kind, const char *name, bool warning,
                    const char *reason, const char *text);
void stage_on_data_change(struct platform *platform, void (*changed)(void *arg, const char *ns, const char *name),
                          void *arg);
bool stage_datum_find(struct platform *platform, const char *ns, const char *name, const char *key, enum lookup *found,
                      struct secret **out); /* false: nobody said anything of it */
void stage_cluster_free(struct stage *stage);

double stage_source_ratio(const struct stage_source *source); /* negative: there are no metrics */
int32_t stage_source_count(const struct stage_source *source);
void stage_sources_free(struct stage *stage);

#endif
