/*
 * autoscaler: the running system. Objects, their poll schedule, the questions they share, one bounded turn that decides what is
 * due, ScaledJobs, files that change while it runs.
 *
 *     struct autoscaler *a = autoscaler_new(&(struct autoscaler_parts){loop, transport, platform, engine, journal}, &settings);
 *     autoscaler_watch_paths(a, paths, count, &err);      -- or autoscaler_apply() for manifests from elsewhere
 *     loop_run(loop);
 *     autoscaler_free(a);
 *
 * The way of a value: schedule.c asks (ask.c shares equal questions) -> the sample is stored and the object marked due ->
 * turn.c gathers facts, decides, journals, applies and schedules the next poll. Nobody decides in a callback.
 * Runs unchanged on the real and on the virtual loop. Loop thread only.
 */
#ifndef WEIR_AUTOSCALER_AUTOSCALER_H
#define WEIR_AUTOSCALER_AUTOSCALER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/report.h"
#include "decide/decide.h"
#include "platform/platform.h"
#include "policy/policy.h"
#include "trigger/trigger.h"

struct autoscaler;
struct journal;
struct loop;
struct manifest;
struct text;
struct transport;
struct trigger_engine;

/* What was decided of, and what came of it; valid during the call. */
struct autoscaler_decided {
    const char *key; /* "ScaledObject/shop/checkout" */
    const struct policy *policy;
    int64_t at_ms;
    /* of an object; NULL of a job */
    const struct decide_facts *facts;
    const struct decide_memory *memory; /* after the decision */
    const struct decision *decision;
    /* of a job; NULL of an object */
    const struct job_facts *job_facts;
    const struct job_decision *job_decision;
};
struct autoscaler_loaded { /* what an object begins with; valid during the call */
    const char *key, *file;
    const struct policy *policy;
    int64_t created_at_ms;
    const struct decide_memory *memory; /* NULL: of a job */
    struct series *const *series;       /* one per trigger; NULL where the formula needs no history */
};
/* Who looks on while it decides, and may stand in for the sources: recordings and simulation. Each function may be NULL. */
struct autoscaler_hooks {
    void *arg;
    /* Nothing is real: no source is asked, so credentials and environments are not looked up, and a trigger that could not be built is
       asked by `sample` like the others; observe mode is carried out. */
    bool rehearsal;
    bool untraced; /* nobody looks at what the sub-expressions of a formula were: it is evaluated once */
    /* Instead of asking the source. false: it is asked. sample->at_ms is set already; why is to be filled for what is missing or failed. */
    bool (*sample)(void *arg, const char *key, const struct policy *policy, uint16_t trigger, struct sample *sample,
                   struct error *why);
    /* In how many ms the object is polled next; negative: as its intervals say. */
    int64_t (*next_poll_ms)(void *arg, const char *key, const struct policy *policy);
    /* What was gathered may be changed before it is decided on, history too; and what is remembered replaced (a new *memory; the old one
       is then the hook's to free), with the time from which the policy counts. */
    void (*facts)(void *arg, struct policy *policy, struct decide_facts *facts, struct decide_memory **memory);
    void (*loaded)(void *arg, const struct autoscaler_loaded *loaded);    /* an object was made or has a new policy */
    void (*decided)(void *arg, const struct autoscaler_decided *decided); /* before anything is written */
    void (*applied)(void *arg, const char *key); /* what was last decided of it is carried out, and its memory knows */
};

/* Those who only look on while it runs (live views, exporters); any number, told in the order in which they came. Told within a turn:
   they only note what they need, and neither call back into the autoscaler nor send anything before the turn is over. Each function may be
   NULL. */
struct autoscaler_event { /* valid during the call */
    const char *ns, *kind,
        *name; /* kind: ScaledObject, ScaledJob, TriggerAuthentication, ClusterTriggerAuthentication */
    bool warning;
    const char *reason, *text; /* KEDA's reason words: ScaledObjectReady */
    int64_t at_ms;
};
struct autoscaler_listener {
    void *arg;
    /* Something of what object_status shows may be different: decided, a new policy, a problem, a scale that came or went. Once per object
       and turn at most; a poll whose decision changed nothing counts too. */
    void (*changed)(void *arg, const char *key);
    void (*gone)(void *arg, const char *key);
    void (*decided)(void *arg, const struct autoscaler_decided *decided); /* as of the hooks */
    /* What was last decided of it is carried out; err: it could not be. Not within a turn. */
    void (*written)(void *arg, const char *key, const struct error *err);
    void (*event)(void *arg, const struct autoscaler_event *event); /* also where no cluster is there to keep it */
    struct autoscaler_listener *next;                               /* the autoscaler's */
};
void autoscaler_listen(struct autoscaler *a, struct autoscaler_listener *listener); /* borrowed until unlisten */
void autoscaler_unlisten(struct autoscaler *a, struct autoscaler_listener *listener);

/* Borrowed for the autoscaler's life; journal may be NULL (nothing is written down), hooks too. */
struct autoscaler_parts {
    struct loop *loop;
    struct transport *transport;
    struct platform *platform;
    struct trigger_engine *engine;
    struct journal *journal;
    const struct autoscaler_hooks *hooks;
};

struct autoscaler *autoscaler_new(const struct autoscaler_parts *parts, const struct policy_settings *settings);
/* Stops asking and deciding, writes the state down; does not touch replicas (platform_stop does). */
void autoscaler_free(struct autoscaler *a);

/* The same without a last word to the journal, as a kill -9 would leave it; for tests of restarts. */
void autoscaler_abandon(struct autoscaler *a);

/* ---- what is asked for ---- */
/* Files, or folders of *.yaml, *.yml and *.json files (not their sub-folders). Reads them now and looks for changes from
   then on. false: a path cannot be opened. Findings of bad manifests are logged and shown, not an error here. */
bool autoscaler_watch_paths(struct autoscaler *a, const char *const *paths, size_t count, struct error *err);
/* What the platform itself has been asked for (platform_ops.resources_watch), from now on. */
void autoscaler_watch_cluster(struct autoscaler *a);
/* Looks for changes now (SIGHUP, tests). */
void autoscaler_reload(struct autoscaler *a);
/* What a file says from now on; bytes NULL: the file is gone. For paths above, simulation and tests. */
void autoscaler_apply(struct autoscaler *a, const char *file, const char *bytes, size_t length);

/* ---- what is shown (views; valid until the next turn) ---- */
struct credential_status { /* where parameters come from, beside the manifest: "Secret" "redis-password" (policy.h) */
    const char *kind, *name;
    int64_t age_ms; /* since what it supplies was first used, or changed; never the value */
};
struct request_count { /* HTTP requests made for a trigger */
    int16_t status;    /* as of trigger_http_stats */
    uint32_t count;
};
struct trigger_status {
    const char *name, *metric_name, *type;
    const char *destination;
    struct sample sample;
    int64_t age_ms; /* -1: no sample yet */
    enum error_kind why_kind;
    const char *why;      /* of a missing or failed sample, or ""; never a secret */
    const char *note;     /* worth knowing about a good one, or ""; likewise */
    int64_t took_ms;      /* the last poll */
    uint32_t failures;    /* answers that were none, since it was loaded */
    bool resource;        /* cpu, memory: read from pods */
    uint32_t shared_with; /* other triggers, mostly of other objects, that ask the same and get this one answer */
    const struct credential_status *credentials;
    size_t credential_count;
    /* Since it was loaded, too. A request made for several objects is counted at one of them, the one whose poll it was. */
    const struct request_count *requests;
    size_t request_count;
    enum trigger_nulls nulls;
    uint32_t empties; /* answers without a value */
};
enum slo_state { SLO_UNKNOWN /* none, or it cannot be told */, SLO_HELD, SLO_BROKEN };
struct object_status {
    const char *key; /* "ScaledObject/shop/checkout" */
    const char *file;
    const struct policy *policy; /* NULL: it never was valid; see problem */
    const char *problem;         /* why the newest version of the manifest is not in force, or NULL */
    int64_t created_at_ms, next_poll_in_ms;
    bool has_decision;
    const struct decision *decision;         /* of an object */
    const struct job_decision *job_decision; /* of a job */
    int64_t changed_at_ms;                   /* when the outcome last changed; 0: never */
    int64_t last_active_at_ms;
    struct target_view target;
    const struct pod_view *pods;
    size_t pod_count;
    const struct job_view *jobs;
    size_t job_count;
    const struct trigger_status *triggers;
    size_t trigger_count;
    uint32_t late_ms; /* of the last poll */
    uint64_t polls, decisions, errors;
    enum slo_state slo; /* weir.dev/slo, at the last decision */
    struct decision_names names;
    const char *ready, *ready_reason; /* "True" | "False" | "Unknown"; KEDA's reason words */
};
/* In the order of their keys. false ends the walk. */
typedef bool autoscaler_visit(void *arg, const struct object_status *status);
void autoscaler_objects(struct autoscaler *a, autoscaler_visit *visit, void *arg);
/* key as above. false: there is no such object. */
bool autoscaler_object(struct autoscaler *a, const char *key, autoscaler_visit *visit, void *arg);
bool autoscaler_has_object(struct autoscaler *a, const char *key);
/* Of each of these that is there, in this order. Cheaper than one by one. */
void autoscaler_some_objects(struct autoscaler *a, const char *const *keys, size_t count, autoscaler_visit *visit,
                             void *arg);
/* All keys in no order, each ended by a 0 byte: for a walk that takes several turns, whose objects may go meanwhile. */
void autoscaler_keys(const struct autoscaler *a, struct text *out);
/* Every TriggerAuthentication and ClusterTriggerAuthentication (ns ""). */
void autoscaler_authentications(const struct autoscaler *a, void (*visit)(void *arg, const char *kind, const char *ns),
                                void *arg);
/* Findings of the newest version of every file. */
const struct report *autoscaler_report(const struct autoscaler *a);
struct journal *autoscaler_journal(const struct autoscaler *a);
struct trigger_engine *autoscaler_engine(const struct autoscaler *a);
struct loop *autoscaler_loop(const struct autoscaler *a);
const char *autoscaler_platform(const struct autoscaler *a); /* its name: "local", "kubernetes" */

/* ---- what if (what_if.c): the same decide(), on a copy of the facts and the memory of now ---- */
enum { WHAT_IF_VALUES_MAX = 64 };
struct what_if {         /* what differs from now; zeroed: nothing does */
    const char *formula; /* another text, or NULL */
    double target;       /* of the formula; 0: as it is */
    size_t value_count;
    struct what_if_value {
        const char *trigger;     /* its name, or sN */
        enum sample_state state; /* SAMPLE_OK, SAMPLE_MISSING, SAMPLE_FAILED */
        double value;
    } values[WHAT_IF_VALUES_MAX];
    bool has_replicas;
    int32_t replicas; /* as if so many ran, all ready */
    int64_t later_ms; /* as if so long from now, with the samples as old as they then are */
};
/* false and why: no such object (ERROR_MISSING); a job, or no version of it is in force (ERROR_UNREACHABLE); no such trigger, a formula
   that does not compile (ERROR_INVALID); the loop's time is needed for decisions (ERROR_LIMIT). The decision is written nowhere and nothing
   is asked. Pods are as they are, whatever replicas says. names: valid during visit. */
typedef void what_if_visit(void *arg, const struct decision *decision, const struct decision_names *names);
bool autoscaler_what_if(struct autoscaler *a, const char *key, const struct what_if *change, what_if_visit *visit,
                        void *arg, struct error *err);
/* Which change of one value alone would scale it up or down next (decide/outlook.h), now. false: as above; or the scale of the target
   cannot be read (ERROR_UNREACHABLE). */
struct outlook;
bool autoscaler_outlook(struct autoscaler *a, const char *key, struct outlook *out, struct error *err);

/* ---- actions (action.c): only for those who were let (serve); each leaves an audit line in the log and, in a cluster, an event ---- */
enum autoscaler_action { ACTION_PAUSE, ACTION_RESUME, ACTION_REFRESH /* asks its triggers now */ };
/* who, and from where: for the audit line. In a cluster pausing sets KEDA's annotation autoscaling.keda.sh/paused, and resuming takes it away; on this
   machine, where the file is the user's, it is kept in the journal, survives a restart, and ends when the manifest says so itself.
   false: there is no such object (ERROR_MISSING), or it cannot be written or is not possible; done is not called then. Else it is,
   exactly once, perhaps before this returns. done may be NULL. */
bool autoscaler_act(struct autoscaler *a, const char *key, enum autoscaler_action action, const char *who,
                    const char *from, platform_done *done, void *arg, struct error *err);

struct autoscaler_stats {
    uint64_t objects, jobs_objects, questions;
    uint64_t polls, polls_shared, polls_late, polls_skipped; /* late: by more than 10 % of the interval */
    uint64_t decisions, turns, scales, scale_failures, journal_failures;
    uint64_t by_reason[REASON_COUNT];
    int64_t started_at_ms;
    int64_t first_decisions_done_at_ms; /* when every object loaded at the start had decided once; 0: not yet */
    struct histogram
        decided; /* from when an object was due, by its schedule or because something changed, to its decision */
    struct histogram written; /* from the last answer a decision waited for until its scale was written */
};
void autoscaler_stats(const struct autoscaler *a, struct autoscaler_stats *out);
/* false and why: no decision can be made now (journal broken, turns stuck, files unreadable). */
bool autoscaler_can_decide(const struct autoscaler *a, const char **why);

#endif
