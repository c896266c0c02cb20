/*
 * journal: decisions and samples written down before anything is done, and read back. SQLite, WAL, bounded by age and size.
 *
 * Written in one transaction a turn; synchronous=NORMAL: a crash of the machine may lose the last turns, never corrupt.
 * A journal that cannot be opened or written is moved aside (journal.db.bad-N) and a new one is begun: Weir must decide.
 * path NULL: in memory (simulation, tests). Loop thread only, except journal_checkpoint.
 */
#ifndef WEIR_JOURNAL_JOURNAL_H
#define WEIR_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/decide.h"

struct error;
struct journal;

bool journal_open(const char *path, struct journal **out, struct error *err);
void journal_close(struct journal *journal);
/* Where journal_open put what was no journal any more; NULL: it found a good one, or none. */
const char *journal_moved_aside(const struct journal *journal);
/* The path when the WAL has grown enough to be folded back (asked after a commit), else NULL; then call journal_checkpoint with a
   copy of it on a worker thread. When nobody does, a commit does it itself, later. */
const char *journal_checkpoint_due(struct journal *journal);
void journal_checkpoint(const char *path); /* any thread: opens a connection of its own */

/* ---- writing (a transaction begins with the first call after a commit) ---- */
/* object: "ScaledObject/shop/checkout". names: trigger names and formula text; stored once per generation. notes: per
   input, the error text of missing and failed ones, or NULL. */
void journal_decision(struct journal *journal, const char *object, uint64_t generation, const struct decision *decision,
                      const struct decision_names *names, const char *const *notes);
void journal_job_decision(struct journal *journal, const char *object, uint64_t generation,
                          const struct job_decision *decision, const struct decision_names *names,
                          const char *const *notes);
void journal_sample(struct journal *journal, const char *object, const char *trigger, const struct sample *sample);
/* What a restart needs: memory of decide (bytes), the generation, when the object was first seen. */
void journal_put_state(struct journal *journal, const char *object, uint64_t generation, int64_t created_at_ms,
                       int32_t original_replicas, const void *memory, size_t length);
void journal_delete_state(struct journal *journal, const char *object); /* and its override */
struct journal_override { /* asked for by hand, against what the manifest says */
    bool paused;
    bool said_paused; /* by the manifest, when it was asked for */
};
void journal_put_override(struct journal *journal, const char *object, const struct journal_override *override);
void journal_delete_override(struct journal *journal, const char *object);
bool journal_get_override(struct journal *journal, const char *object, struct journal_override *out);
bool journal_commit(struct journal *journal, struct error *err); /* nothing to write: true */
/* Makes history coarser as it ages (history.h), deletes what is older than JOURNAL_AGE_MAX_S, and beyond the bound (JOURNAL_MAX_BYTES
   where nobody set another) what is oldest. Bounded work per call; true: call again soon, for there is more. */
void journal_set_max_bytes(struct journal *journal, int64_t bytes);
bool journal_prune(struct journal *journal, int64_t now_ms);

/* ---- reading ---- */
struct journal_state {
    uint64_t generation;
    int64_t created_at_ms;
    int32_t original_replicas;
    void *memory; /* free() */
    size_t length;
};
bool journal_get_state(struct journal *journal, const char *object, struct journal_state *out);

struct journal_entry { /* valid during the call */
    int64_t id, at_ms;
    uint64_t generation;
    const struct decision *decision;         /* NULL for a job's */
    const struct job_decision *job_decision; /* NULL for an object's */
    struct decision_names names;
    const char *const *notes; /* one per input */
};
typedef bool journal_visit(void *arg, const struct journal_entry *entry); /* false: stop */
/* Newest first, at_ms in (since, until]. */
void journal_decisions(struct journal *journal, const char *object, int64_t since_at_ms, int64_t until_at_ms,
                       size_t limit, journal_visit *visit, void *arg);
typedef void journal_visit_sample(void *arg, const char *trigger, const struct sample *sample);
void journal_samples(struct journal *journal, const char *object, int64_t since_at_ms, journal_visit_sample *visit,
                     void *arg);

struct journal_stats {
    uint64_t decisions, samples, commits, failures;
    int64_t bytes;
};
void journal_stats(const struct journal *journal, struct journal_stats *out);

#endif
