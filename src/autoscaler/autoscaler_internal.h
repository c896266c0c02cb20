/*
 * What the files of this room share. Not for others.
 *
 *     files.c     what is asked for: paths -> manifests
 *     cluster.c   what is asked for in a cluster: resources -> manifests, a bounded number a turn
 *     refer.c     who refers to which TriggerAuthentication, Secret, ConfigMap
 *     apply.c     a manifest's object -> policy -> object_put, object_set_problem
 *     object.c    objects: birth, new version, end
 *     schedule.c  when each object is asked next (a heap of due times, one timer)
 *     ask.c       questions shared by objects; answers stored, objects marked due
 *     action.c    what somebody asked for by hand: pause, resume, refresh
 *     turn.c      the thinking: what is due is decided, journaled, applied
 *     job.c       the same for ScaledJobs
 *     status.c    what is said of an object in the cluster: its status and events, on change only (standing.c, status_*.c)
 *     history.c   what is told to the history
 *     hpa.c       its HorizontalPodAutoscaler in hpa mode, and the one KEDA left
 *     leave.c     the end of an object in a cluster
 *     gather.c    what is known of an object now: for the turn and for what-if
 *     what_if.c   the same decision with something changed, and what would change it
 *     credentials.c  how long credentials have been in use
 *     view.c      what is shown
 *     listener.c  who only looks on
 */
#ifndef WEIR_AUTOSCALER_INTERNAL_H
#define WEIR_AUTOSCALER_INTERNAL_H

#include "autoscaler/autoscaler.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "base/time.h"
#include "decide/keda.h"
#include "journal/journal.h"
#include "net/loop.h"
#include "series/series.h"
#include "trigger/trigger.h"

enum {
    FIRST_POLL_STEP_MS = 1,        /* apart, so that thousands of new objects do not ask at once */
    POLL_GRID_MS = 100,            /* polls are due at multiples of it */
    POLL_GRID_FROM_MS = 10 * 1000, /* where the interval is so long: a hundredth of it at most */
    SAMPLE_JOURNAL_MS = 60 * 1000, /* one sample a minute is kept for history */
    STATE_JOURNAL_MS = 60 * 1000,  /* memory is written down at each change of outcome, and at least this often */
    COMMIT_LATER_MS = 1000, /* samples and the like, which nothing is done for: a commit costs more than a poll */
    PRUNE_MS = 60 * 1000,
    PRUNE_MORE_MS = 1000,         /* thousands of rows a second, where OBJECTS_MAX objects write under two thousand */
    LEAVING_POLL_MS = 1000,       /* while an autoscaler of before is on its way out */
    DENIED_RELOAD_MS = 30 * 1000, /* a denied request makes credentials be resolved anew, but not more often */
};

/* ---- what is said of an object in a cluster ---- */
enum condition_type {
    CONDITION_READY,
    CONDITION_ACTIVE,
    CONDITION_FALLBACK,
    CONDITION_PAUSED,
    CONDITION_HPA,
    CONDITIONS
};
struct condition {
    enum keda_status status; /* KEDA_UNTOUCHED: not among them */
    const char *reason;      /* an atom */
};
struct names { /* atoms, malloc'ed list */
    const char **list;
    size_t count;
};
enum hpa_state {
    HPA_NONE,
    HPA_PUT,     /* hpa mode: it is as it should be, as far as is known */
    HPA_LEAVING, /* somebody else's from before, or of hpa mode: to be deleted before anything is scaled */
};
struct standing { /* of an object that comes from a cluster; as small as can be, for there are many */
    enum resource_kind kind;
    int32_t original_replicas; /* of the status it came with; -1: none */
    char *uid;
    int64_t created_at_ms, last_active_at_ms; /* last_active: likewise; 0: none */
    struct condition conditions[CONDITIONS];  /* as told last */
    uint64_t told;                            /* of the status told last; 0: none yet */
    int64_t last_active_told_at_ms;
    struct names old_names; /* of metrics that stand in the status and may have to go */
    struct names failing;   /* health it came with: names of metrics, and below the counts */
    int32_t *failing_counts;
    char *hpa_name; /* ours, or to be deleted; NULL: none */
    char *hpa_message;
    enum hpa_state hpa;
    uint32_t others_seen;  /* writes of somebody else to the target's replicas */
    uint16_t version;      /* counts new versions of the policy */
    bool seen_before;      /* it had a status: Weir was restarted, or another has looked after it until now */
    bool take_over;        /* what runs now is the wish of this moment, at the next decision */
    bool started;          /* its triggers were said to be built */
    bool target_seen;      /* the scale could be read since the policy is in force */
    bool hpa_busy;         /* a write about its HPA is under way */
    bool silent;           /* observe mode: nothing of it is written */
    uint64_t problem_said; /* hash of the failed check that was said; 0: none */
    uint64_t infos_said;   /* hash of what status_infos said; 0: nothing */
    char *hpa_error;       /* why its HPA could not be put; NULL */
    char *jobs_error;      /* why no Job could be created the last time; NULL */
    int64_t hpa_retry_ticks_ms;
    uint64_t hpa_targets;                          /* hash of the targets that sources said when it was put */
    int64_t others_ticks_ms, others_said_ticks_ms; /* the last of them; when it was said, 0: never */
    char *rival_said;                              /* the HorizontalPodAutoscaler that does it; NULL: none was said */
    uint8_t failed_said[(TRIGGERS_MAX + 7) / 8];   /* triggers whose failure was said */
};

struct question; /* one trigger that is asked for one or more objects (ask.c) */

enum override { OVERRIDE_NONE, OVERRIDE_PAUSED, OVERRIDE_RUNS };

struct object_trigger {
    struct question *question; /* NULL: cpu, memory, or a trigger that could not be built */
    struct sample sample;
    int64_t good_at_ms; /* when the last good value was taken; 0: never */
    int64_t journaled_at_ms;
    int64_t asked_ticks_ms;        /* when it was asked last; 0: never */
    int64_t *credentials_since_ms; /* one for each credential of the policy's trigger; NULL: it has none */
    struct series *series;         /* NULL: the formula needs no history of it */
    bool waiting;                  /* this poll has not got its answer yet */
    uint8_t request_count;
    uint8_t nulls;     /* enum trigger_nulls */
    uint32_t failures; /* answers that were none, since it was loaded */
    uint32_t empties;
    struct request_count *requests; /* by status; NULL: none */
};

struct object {
    struct autoscaler *a;
    const char *key;           /* "ScaledObject/shop/checkout": the map's own copy */
    const char *file;          /* atom */
    struct policy *policy;     /* the version in force */
    const char *problem;       /* malloc'ed: why the newest version is not in force; NULL */
    struct standing *standing; /* NULL: it comes from a file */
    struct standing *told;     /* of one from a file: what was said of it, where somebody listens; NULL: nobody did */
    struct target *target;
    struct job_owner *jobs;
    struct decide_memory *memory;
    struct object_trigger *triggers;
    int64_t created_at_ms;
    int32_t original_replicas; /* -1: not seen yet */

    uint64_t phase;                                /* where in the interval it is asked (hash of its first question) */
    int64_t due_ticks_ms;                          /* next poll */
    int64_t polled_ticks_ms;                       /* the last poll began; 0: none yet */
    int64_t due_since_ticks_ms, answered_ticks_ms; /* of what is decided next; 0: not due, no answer */
    uint32_t heap_index;                           /* in the schedule; UINT32_MAX: not in it */
    uint16_t waiting;                              /* answers this poll still waits for */
    bool poll_now; /* its source spoke up: the next poll stays where it is, whatever is decided meanwhile */
    bool due, decided_once, counted_first, removed, mark;
    bool said_paused; /* by its manifest, whatever was asked for by hand */
    bool say;         /* the decision of this turn is one to be logged, once it is known what becomes of it */
    bool held_back;   /* the last decision wanted a write that could not be begun */
    bool put_off;     /* it was due before the platform knew its jobs, or for the first time the usage of its pods */
    bool unreadable;  /* the target's scale, at the last decision */
    bool carried_out; /* the last decision written down has been carried out: another write needs a record of its own */
    enum override override; /* of pausing by hand: which counts instead of its manifest (action.c) */
    uint32_t late_ms;       /* of the last poll */
    uint32_t changed_at;    /* its place among those that changed, from 1; 0: it is not among them */
    enum slo_state slo;
    struct write *write; /* under way to the platform; NULL: none */

    void *last; /* packed decision, or NULL */
    size_t last_bytes;
    struct job_decision *last_job;
    int64_t changed_at_ms, stated_at_ms, jobs_created_at_ms;
    uint64_t polls, decisions, errors;
    struct object *due_next;
};

struct due_object { /* the time stands beside the pointer: ordering the heap touches no object */
    int64_t due_ticks_ms;
    struct object *object;
};

struct autoscaler {
    struct autoscaler_parts parts;
    struct policy_settings settings;
    struct map *objects; /* key -> object */
    struct timer *turn_timer, *poll_timer, *file_timer, *prune_timer;
    struct due_object *heap;
    size_t heap_count, heap_size;
    struct object *due_first, *due_last;
    bool turn_set, stopping;
    struct write *writes; /* under way to the platform */
    struct arena *turn;
    struct decision *decisions; /* DUE_PER_TURN_MAX of them, for one turn, and one to compare with */
    struct timer *commit_timer; /* of what is written down, but nobody waits for */
    bool commit_set, commit_now;
    size_t first_pending;        /* objects loaded that have not decided yet */
    int64_t first_poll_ticks_ms; /* when the next new object may be asked for the first time */
    struct autoscaler_stats stats;
    struct files *files;
    struct map *auths;       /* "Kind/ns/name" -> auth_entry (apply.c) */
    struct cluster *cluster; /* NULL: nothing is asked for in a cluster */
    struct leaving *leavings;
    struct hpa_write *hpa_writes; /* under way */
    struct report *report;
    const char *journal_problem;
    int64_t denied_reload_ticks_ms;
    int64_t questions_again_ticks_ms; /* before this nobody may ask what if (what_if.c) */
    struct autoscaler_listener *listeners;
    struct object **changed; /* to be told to them at the end of the turn; each stands in it once */
    size_t changed_count, changed_size;
};

/* object.c */
/* A span of the wall clock is over, or the clock went back behind its start. */
static inline bool wall_elapsed(int64_t since_ms, int64_t now_ms, int64_t span_ms)
{
    return now_ms < since_ms || now_ms - since_ms >= span_ms;
}

struct object *object_find(struct autoscaler *a, const char *key);
struct object *object_get(struct autoscaler *a, const char *key, const char *file); /* there is one afterwards */
/* Another looks after it from now on: nothing of it is touched. */
void object_forget(struct object *object);
/* A new version of an object's policy (owned by the object afterwards), or its first. */
void object_put(struct autoscaler *a, const char *key, const char *file, struct policy *policy, int64_t now_ms);
void object_set_problem(struct autoscaler *a, const char *key, const char *file, const char *problem);
void object_remove(struct object *object);
struct decision_names object_names(const struct object *object);
void object_log_put(const struct object *object, const struct policy *before); /* object_change.c; NULL: it is new */

static inline bool is_rehearsal(const struct autoscaler *a)
{
    return a->parts.hooks && a->parts.hooks->rehearsal;
}

static inline bool object_may_write(const struct object *object)
{
    struct platform *platform = object->a->parts.platform;

    return !platform->ops->may_write || platform->ops->may_write(platform, object->policy->ns, object->policy->name);
}

/* apply.c */
enum { OBJECT_KEY_BYTES = 600 }; /* a kind, a namespace and a name, the longest Kubernetes has */
void object_key(char *out, size_t size, const struct object_meta *meta);
void auth_key(char *out, size_t size, const char *kind, const char *ns, const char *name);
const char *auth_file(const struct autoscaler *a, const char *key); /* where it stands, or NULL: there is none */
void auth_keep(struct autoscaler *a, const char *file, const struct trigger_auth *auth);
bool auth_drop(struct autoscaler *a, const char *key); /* false: it was not there */
/* What the file does not name any more; one with an error stays as it was. manifest NULL: the file is gone. */
void auths_forget(struct autoscaler *a, const char *file, const struct manifest *manifest);
void auths_free(struct autoscaler *a);
void report_copy(struct report *to, const struct finding *finding);
struct application {  /* one object of a manifest; one of scaled_object and scaled_job is set */
    const char *file; /* an atom: where it stands */
    const struct object_meta *meta;
    const struct scaled_object *scaled_object;
    const struct scaled_job *scaled_job;
    bool again;            /* what it refers to may have changed: built even where it is the version in force */
    struct report *report; /* has the findings of its manifest, gets those of its policy */
    /* In a cluster: */
    uint64_t job_generation;
    /* Before it is put: NULL, or why it may not be, in words of the arena. NULL itself: nobody wants to know. */
    const char *(*built)(void *arg, const struct policy *policy, struct arena *arena);
    void *arg;
};
/* false: it waits for data that is being looked up, and nothing has changed. */
bool apply_object(struct autoscaler *a, const char *key, const struct application *application);

/* action.c: a policy was put: what was asked for by hand goes on, or ends. is_new: the object was not there before. */
void action_put(struct object *object, bool is_new);

/* refer.c: index maps "TriggerAuthentication/ns/name" and the like (policy.h) to who was built with it */
struct referrer {
    struct referral *places; /* one for each thing */
    size_t count;
};
void refer_set(struct map *index, struct referrer *who, const char *const *names, size_t count); /* count 0: leaves */
const char *refer_name(const struct referrer *who, size_t i);
/* In the order in which they came. Who is called may not change what is referred to. */
void refer_each(struct map *index, const char *name, void (*each)(void *arg, struct referrer *who), void *arg);

/* cluster.c */
void cluster_again(struct object *object); /* what it says is needed once more: it is read again, and applied */
void cluster_referred_changed(struct cluster *cluster,
                              const char *name); /* as of refer.c; who refers to it is built again */
/* Its objects are not known yet, or none is known and they cannot be read. */
bool cluster_is_unread(const struct cluster *cluster);
void cluster_free(struct cluster *cluster); /* NULL is fine */

/* leave.c: not for what is only observed */
void leave_begin(struct autoscaler *a, enum resource_kind kind, const char *ns, const char *name,
                 const struct object *object, const struct tree *document); /* both may be NULL */
void leavings_abandon(struct autoscaler *a);

/* standing.c, status.c, status_event.c: all do nothing for objects that do not come from a cluster, but for events, if somebody listens
   to those; and write nothing where that is not allowed */
struct standing *standing_new(enum resource_kind kind, const struct tree *document);
void standing_free(struct standing *standing);
/* What is remembered of what was said of it; NULL: nothing is to be said of it. */
struct standing *standing_of(struct object *object);
void standing_renew(struct object *object,
                    const struct policy *old); /* a new version is in force; object->policy is it */
/* After a decision, or when something else changed: what differs from what was told last is told. */
void status_tell(struct object *object, const struct decision *decision);
/* Jobs were asked for; err: of the first that was refused. */
void status_jobs_created(struct object *object, const struct error *err);
void status_scaled(struct object *object, const struct decision *decision, const struct error *err);
/* Parameters and fields of it that do nothing; once for each time they are others. quiet: they were there before. */
void status_infos(struct object *object, const struct report *report, bool quiet);
void status_stopped(struct object *object); /* its triggers are not asked any more: it is paused, or ends */
void status_event(struct object *object, bool warning, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* hpa.c */
/* Its HorizontalPodAutoscaler as the object now says; in other modes the one there was goes. */
void hpa_arrange(struct object *object, const struct scaled_object *manifest);
void hpa_writes_abandon(struct autoscaler *a);
/* Once a decision; false: an HPA of before is not gone yet, so nothing may be scaled. */
bool hpa_look(struct object *object);

/* schedule.c */
void schedule_start(struct object *object);  /* its first poll: soon */
void schedule_next(struct object *object);   /* the poll after this one */
void schedule_sooner(struct object *object); /* what runs has changed, and with it how often it is asked */
void schedule_now(struct object *object);    /* its source spoke up: as soon as PUSH_LOOK_MS allow */
void schedule_remove(struct object *object);
void schedule_on_timer(void *autoscaler);

/* ask.c */
struct question *question_get(struct autoscaler *a, struct trigger *trigger); /* counted */
void question_put(struct question *question, struct object *object);
/* What its source tells by itself is for this object, too, until question_put. Nothing, where it does not. */
void question_listen(struct question *question, struct object *object);
bool question_ask(struct question *question, struct object *object, uint16_t index,
                  int64_t interval_ms);                                       /* false: answered at once */
void question_forget(struct question *question, const struct object *object); /* does not wait any longer */
/* The same of a trigger that could not be built: true, if somebody stands in for its source. */
bool question_stand_in(struct object *object, uint16_t index);
const struct error *question_why(const struct question *question);
const char *question_note(const struct question *question); /* worth knowing about a good value, or "" */
void question_expire(struct question *question);            /* its answer counts as old: who asks next asks anew */
int64_t question_took_ms(const struct question *question);
uint32_t question_users(const struct question *question); /* how many triggers of objects ask it */
void questions_observe(struct autoscaler *a); /* requests and answers without a value are counted from now on */

/* turn.c */
struct
    write { /* a change under way to the platform; the object, or the autoscaler itself, may be gone when it is back */
    struct autoscaler *a; /* NULL: gone */
    char *key;
    struct policy *policy;
    struct decision *decision; /* NULL: jobs were created */
    int64_t answered_ticks_ms; /* the last answer it waited for; 0: none */
    struct write *next;
};
struct write *write_begin(struct object *object, const struct decision *decision);
void write_done(void *write, const struct error *err); /* a platform_done */
void writes_abandon(struct autoscaler *a);
void turn_arrange(struct autoscaler *a); /* there is something to do: a turn, soon */
void turn_serve(void *autoscaler);
void turn_commit(void *autoscaler);
void commit_later(struct autoscaler *a); /* what was written down, within COMMIT_LATER_MS */
void object_mark_due(struct object *object);
void object_answered(struct object *object, uint16_t index, const struct sample *sample); /* from ask.c */
void object_pushed(struct object *object, const struct question *question, const struct trigger_push *push);
void due_remove(struct object *object);
void object_count_first(struct object *object, int64_t now_ms);
void tell_decided(const struct autoscaler *a, const struct autoscaler_decided *decided); /* to whom looks on */
void object_tell_loaded(
    const struct object *object); /* the same: what it remembers was not the outcome of a decision */
const char **object_notes(const struct object *object, struct arena *arena);

/* listener.c */
void object_mark_changed(struct object *object); /* of what is shown of it, something may be different */
void changed_remove(struct object *object);
void listeners_tell_changed(struct autoscaler *a);
void listeners_tell_gone(const struct autoscaler *a, const char *key);
void listeners_tell_decided(const struct autoscaler *a, const struct autoscaler_decided *decided);
void listeners_tell_written(const struct autoscaler *a, const char *key, const struct error *err);
bool listeners_want_events(const struct autoscaler *a);
void listeners_tell_event(const struct autoscaler *a, const struct autoscaler_event *event);

/* gather.c */
size_t gather_resources(const struct policy *policy);  /* triggers that are read from pods */
enum lookup gather_usage(const struct object *object); /* whether usage of the pods is known */
const double *gather_targets(const struct object *object,
                             struct arena *arena); /* what sources say of targets; NULL: none does */
void object_gather(const struct object *object, int64_t now_ms, struct arena *arena, struct decide_facts *out);

/* credentials.c */
void credentials_start(struct autoscaler *a);
void credentials_stop(struct autoscaler *a);
void credentials_denied(const struct object *object, size_t trigger); /* its source refused us */
/* After make_triggers; old and from: the version before, NULL: none. view fills in credentials of one trigger. */
void credentials_note(struct object *object, const struct policy *old, const struct object_trigger *from,
                      int64_t now_ms);
void credentials_view(const struct object *object, size_t trigger, struct arena *arena, int64_t now_ms,
                      struct trigger_status *out);

/* job.c */
/* In the words of objects: what a ScaledJob does now, and why. */
enum decision_reason job_reason(const struct object *object);
void job_decide(struct object *object, int64_t now_ms);
void job_apply(struct object *object, int64_t now_ms); /* after the commit */

/* history.c: what a decision saw, and each new version of a manifest, for the journal to keep */
void history_tell(struct object *object, const struct decide_facts *facts, const struct decision *decision);
void history_tell_job(struct object *object, const struct job_facts *facts, const struct job_decision *decision);
void history_keep_manifest(struct autoscaler *a, const char *key, const struct object_meta *meta);

/* files.c */
struct files *files_new(struct autoscaler *a);
void files_free(struct files *files);
void files_credentials_denied(struct autoscaler *a);
void files_referred_changed(struct files *files, const char *name); /* as of cluster_referred_changed */

#endif
