/* job_internal: what job.c (which Jobs there are) and job_create.c (new ones) share. */
#ifndef WEIR_PLATFORM_KUBERNETES_JOB_INTERNAL_H
#define WEIR_PLATFORM_KUBERNETES_JOB_INTERNAL_H

#include "base/limits.h"
#include "platform/kubernetes/job_body.h"
#include "platform/kubernetes/pod.h"

struct job_creation;

struct job_record {
    struct job_set *set;
    char *name;
    bool finished, succeeded;
    bool idle;     /* by its status no pod of it is ready or has succeeded */
    bool seen;     /* the watch has shown it */
    bool deleting; /* we asked for it */
    bool old;      /* and it is one of the roll-out's */
    bool has_pod;  /* while views are made */
    int64_t created_at_ms, finished_at_ms, made_ms /* of the loop's ticks: confirmed by the API server */;
    uint64_t generation, sequence, round;
    struct kube_ask *deletion;
};

struct job_owner { /* who watches a set */
    struct kube_notice notice;
    struct job_set *set;
    uint64_t generation;
    struct pod_selection *pods; /* NULL: pending is not needed exactly */
    char **conditions;
    size_t condition_count;
    struct job_owner *next;
};

struct job_batch { /* creations asked for by one call */
    uint64_t generation;
    int32_t left; /* neither made nor failed, those under way included */
    int32_t under_way, created, failed;
    int names_tried;    /* that belong to other Jobs */
    bool given_up;      /* no more is sent: see job_create.c */
    struct error first; /* of those that failed */
    platform_done *done;
    void *arg;
    struct job_batch *next;
};

struct job_set { /* the Jobs of one ScaledJob */
    struct job_sets *sets;
    char *ns, *name, *prefix;
    struct map *jobs; /* by name */
    struct job_owner *owners;
    struct job_batch *batches;        /* the first is under way */
    struct job_body *body;            /* of the batch under way */
    struct job_creation *creations;   /* of the batch under way */
    struct kube_ask *ask;             /* the ScaledJob is being read for the batch under way */
    uint64_t sequence;                /* the highest number that was given or seen */
    uint64_t open[JOB_CREATIONS_MAX]; /* numbers that were given, and whose Jobs are not known to be there; ascending */
    uint32_t open_count;
    bool numbered;            /* sequence and open are right: nobody else has made Jobs of this set meanwhile */
    int64_t left_ticks_ms;    /* the last owner went */
    struct kube_ask *reading; /* how earlier generations are to be deleted */
    uint32_t old_left, old_asked, old_failed; /* of Jobs of earlier generations that are being deleted */
    struct job_view *views;
};

struct job_watch {
    struct job_sets *sets;
    const char *ns; /* NULL: all */
    struct reflector *reflector;
    bool synced;
    bool unsure; /* something of the list could not be read: what is not in it may be there */
    uint64_t round;
    struct error trouble;
};

struct job_sets {
    struct kubernetes *k;
    struct map *sets; /* "ns/scaledjob" */
    size_t owners;
    struct job_watch *watches; /* NULL: not watched */
    size_t watch_count;
    uint64_t rounds;
    struct timer *linger;
};

/* job.c */
void job_set_changed(struct job_set *set); /* its owners are told, in a later turn */
void job_set_release(struct job_set *set); /* it goes when nobody needs it */
struct job_watch *job_set_watch(const struct job_set *set);
struct job_record *job_record_get(struct job_set *set, const char *name); /* there is one afterwards */
void job_record_read(struct job_record *job, const struct tree *object);
uint64_t job_number(const struct tree *node);
struct kube_ask *job_ask(struct job_set *set, const char *method, const char *name, const struct text *body,
                         kube_done *done, void *arg);
/* Reads the ScaledJob; done is called with the set. */
struct kube_ask *job_ask_scaled_job(struct job_set *set, kube_done *done);

/* job_create.c */
void job_number_seen(struct job_set *set, uint64_t sequence); /* a Job of this number is there */
void job_creations_abandon(struct job_set *set);              /* at the end: nobody hears of them */

#endif
