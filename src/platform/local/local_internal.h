/*
 * local_internal: what the files of the local platform share.
 *
 *     local.c      the platform's table, notices to those who watch, start and stop of the whole
 *     sampling.c   usage of all processes, while somebody asks
 *     group.c      a Deployment or StatefulSet: which ordinals there are (plan_replicas decides)
 *     replica.c    one of them: does what lifecycle.h says
 *     event_source.c  where events are sent
 *     jobset.c     the jobs of a ScaledJob
 *     job.c        one of them
 *     scan.c       what an earlier Weir left in the data directory
 *
 * Below them, knowing nothing of the platform: run (a process under its shim), probing, spec, environment, volume, config, port,
 * usage, files; and lifecycle, which is pure.
 */
#ifndef WEIR_PLATFORM_LOCAL_INTERNAL_H
#define WEIR_PLATFORM_LOCAL_INTERNAL_H

#include "base/error.h"
#include "base/selector.h"
#include "manifest/manifest.h"
#include "platform/local/config.h"
#include "platform/local/environment.h"
#include "platform/local/lifecycle.h"
#include "platform/local/local.h"
#include "platform/local/port.h"
#include "platform/local/probing.h"
#include "platform/local/run.h"
#include "platform/local/spec.h"
#include "platform/local/usage.h"
#include "platform/platform.h"

struct local;
struct timer;

enum {
    STARTS_PER_TURN_MAX = 16, /* a start costs about a millisecond of the loop */
    UNSURE_RETRY_MS = 200,    /* until a shim that was just being started says who it is */
    STOP_SLACK_MS = 5 * 1000, /* a shim that has not ended so long after the grace period is itself killed */
};

/* ------------------------------------------------------------------ notices */

struct notice { /* one who watches; told in a later turn, once for any number of changes */
    platform_changed *changed;
    void *arg;
    bool due;
    struct notice *next_due;
};
void notice_mark(struct local *local, struct notice *notice);
void notice_forget(struct local *local, struct notice *notice);

/* ------------------------------------------------------------------ replicas of a workload */

struct replica {
    struct group *group;
    int ordinal;
    char *name, *dir;
    enum replica_state state;
    struct run run;
    bool unsure;             /* somebody holds the directory; asked again by the timer */
    struct spec *spec;       /* what it runs with; NULL: adopted, and not known */
    uint64_t hash;           /* of the template it runs with */
    int64_t number, counted; /* of the last run; of the last run whose end was counted */
    int restarts, backoff_level, port;
    int64_t grace_ms;
    int64_t start_at_ms, ready_at_ms, next_start_at_ms; /* wall clock */
    bool ready;
    struct probing *probing;
    struct timer *timer; /* back-off, unsure, or overdue end, by state */
    struct usage_track usage;
    char note[400];
};

struct target { /* who watches a group */
    struct notice notice;
    struct group *group;
    struct target *next;
};

struct group {
    struct local *local;
    char *kind, *ns, *name, *file, *dir; /* file NULL: no manifest yet */
    bool ordered;                        /* StatefulSet */
    bool claimed;                        /* a manifest of this run names it */
    bool released;                       /* its file is being read again: another may claim it, else it goes */
    struct spec *spec;                   /* newest; NULL: none yet */
    int32_t replicas;                    /* wanted; -1: no manifest yet */
    bool removed;                        /* its manifest is gone: everything goes */
    struct replica **list;               /* by ordinal; NULL where there is none */
    size_t count;                        /* of list */
    struct target *targets;
    struct pod_view *views;
    bool due; /* to be reconciled */
    struct group *next_due;
};

struct group *group_find(struct local *local, const char *kind, const char *ns, const char *name);
/* Finds or makes. */
struct group *group_get(struct local *local, const char *kind, const char *ns, const char *name);
/* Takes over what a manifest says of it. file_dir: for relative directories. */
void group_set(struct group *group, const char *file, const char *file_dir, const struct workload *workload,
               struct report *report);
void group_remove(struct group *group);
void group_reconcile(struct group *group, int *starts_left);
void group_changed(struct group *group); /* tells those who watch, and reconciles in a later turn */
void group_changed_data(struct group *group, const char *name); /* a Secret or ConfigMap of this name */
void group_view(const struct group *group, struct target_view *out);
size_t group_pods(struct group *group, const struct pod_view **out);
bool group_scale(struct group *group, int32_t replicas, struct error *err);
void group_adopt(struct group *group); /* from its directory */
size_t group_living(const struct group *group);
void group_free(struct group *group);
/* What has neither manifest, process nor watcher any more is gone after this. */
void group_forget_if_unused(struct group *group);

struct replica *replica_new(struct group *group, int ordinal);
void replica_free(struct replica *replica); /* the process goes on living */
void replica_event(struct replica *replica, enum replica_event event);
void replica_adopt(struct replica *replica);
/* A manifest was read: an adopted one of the same template can be probed, one that waits knows what to start. */
void replica_recognize(struct replica *replica);
void replica_view(const struct replica *replica, struct pod_view *out);
void replica_write_volumes(struct replica *replica);
bool replica_is_current(const struct replica *replica);
void replica_unready(struct replica *replica);
/* Its end has been carried out: the group takes it from its list. */
void group_drop(struct group *group, struct replica *replica);

/* ------------------------------------------------------------------ jobs of a ScaledJob */

enum job_phase { JOB_WAITING, JOB_STARTING, JOB_RUNNING, JOB_STOPPING /* its deadline is over */, JOB_DONE };

struct job_process {
    struct jobset *set;
    char *name, *dir;
    enum job_phase phase;
    bool deleted; /* not shown any more; gone when its process is */
    bool succeeded, unsure, overdue, backing_off;
    bool refused;       /* the last start was not possible: no Secret, no disk */
    bool restart_never; /* these four as they stood when it was made: a Job's spec does not change */
    int32_t backoff_limit;
    int64_t active_deadline_s, ttl_s; /* -1: none */
    struct run run;
    struct spec *spec; /* NULL: adopted; restarts take the newest */
    uint64_t generation;
    int64_t created_at_ms, started_at_ms, finished_at_ms;
    int64_t number, counted, grace_ms;
    int failures, backoff_level, port;
    struct timer *timer; /* back-off, unsure, overdue end, or ttl, by phase */
    struct timer *deadline;
    struct usage_track usage;
    char note[400];
    struct label *labels; /* the template's and two of its own */
    size_t label_count;
};

struct job_owner { /* who watches a set */
    struct notice notice;
    struct jobset *set;
    uint64_t generation;
    struct job_owner *next;
};

struct jobset {
    struct local *local;
    char *ns, *name, *file, *dir;
    bool claimed, released; /* as a group's */
    struct spec *spec;
    int32_t backoff_limit;
    int64_t active_deadline_s, ttl_s; /* -1: none */
    bool removed;
    struct job_process **list; /* by creation */
    size_t count, capacity;
    struct job_owner *owners;
    struct job_view *views;
    bool due;
    struct jobset *next_due;
};

struct jobset *jobset_find(struct local *local, const char *ns, const char *name);
struct jobset *jobset_get(struct local *local, const char *ns, const char *name);
void jobset_set(struct jobset *set, const char *file, const char *file_dir, const struct scaled_job *scaled_job,
                struct report *report);
void jobset_remove(struct jobset *set);
void jobset_reconcile(struct jobset *set, int *starts_left);
void jobset_changed(struct jobset *set);
size_t jobset_views(struct jobset *set, const struct job_view **out);
bool jobset_create(struct jobset *set, int32_t count, uint64_t generation, struct error *err);
void jobset_changed_data(struct jobset *set, const char *name);
void jobset_delete(struct jobset *set, const char *job_name);
void jobset_adopt(struct jobset *set);
size_t jobset_living(const struct jobset *set);
void jobset_free(struct jobset *set);

struct job_process *job_new(struct jobset *set, const char *name);
bool job_write(const struct job_process *job, struct error *err);
void job_start(struct job_process *job);
void job_delete(struct job_process *job); /* gone from the views at once, in a later turn for good */
void job_stop(struct job_process *job);   /* Weir stops: the job is not over, and goes on when Weir is back */
void job_adopt(struct job_process *job);
void job_take_spec(struct job_process *job, struct spec *spec); /* references it */
void job_write_volumes(struct job_process *job);
void job_view(const struct job_process *job, struct pod_view *out);
void job_free(struct job_process *job);
void jobset_drop(struct jobset *set, struct job_process *job);

/* ------------------------------------------------------------------ where events go (event_source.c) */

struct event_sources *event_sources_new(void);
void event_sources_free(struct event_sources *sources); /* NULL is fine */
void event_sources_listen(struct event_sources *sources, const struct event_source_listener *listener);
/* What a file says now; NULL: it is gone. */
void event_sources_set(struct event_sources *sources, const char *file, const struct manifest *manifest);
void event_sources_hold(struct event_sources *sources, bool held); /* true: nothing is told until it is false again */

/* ------------------------------------------------------------------ the platform */

struct data_watch {
    void (*changed)(void *arg, const char *ns, const char *name);
    void *arg;
};

struct local {
    struct platform platform; /* first */
    struct loop *loop;
    struct event_base *base;
    struct transport *transport;
    char *root, *shim, *base_dir;
    int lock_fd;
    struct config_store *configs;
    struct event_sources *event_sources;
    struct map *groups;  /* "Deployment ns/name" */
    struct map *jobsets; /* "ns/name" */
    struct port_set ports;
    struct notice *due, *telling;
    struct group *due_groups;
    struct jobset *due_jobsets;
    struct timer *flush_timer, *usage_timer, *orphan_timer;
    int64_t usage_wanted_until_ms; /* of the loop's ticks */
    bool usage_armed;
    struct data_watch *data_watches;
    size_t data_watch_count;
    bool stopping;
    platform_done *stop_done;
    void *stop_arg;
};

int64_t local_now_ms(const struct local *local);
void local_due_group(struct local *local, struct group *group);
void local_due_jobset(struct local *local, struct jobset *set);
/* Usage is measured for a while after somebody asked. */
void local_want_usage(struct local *local);
void local_on_usage(void *arg); /* the timer's callback; arg is the local */
void local_event(struct local *local, const char *ns, const char *kind, const char *name, bool warning,
                 const char *reason, const char *text);
/* A process ended while the platform stops: perhaps it was the last. */
void local_check_stopped(struct local *local);
/* Adopts what the data directory holds. */
void local_scan(struct local *local);
/* Whether a name can be a directory's. */
bool local_name_is_good(const char *name);
/* The names a directory was made for, from its `workload` record. */
bool local_read_workload(const char *dir, char *kind, size_t kind_size, char *file, size_t file_size,
                         int32_t *replicas);

#endif
