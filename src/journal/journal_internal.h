/*
 * What the files of the journal share: the connection, its statements, and what is known of each object. Not for others.
 *
 *   journal.c            the connection, transactions, decisions, samples, states, what goes when it is old
 *   history.c            what is noted of an object, and read back          history_chunk.c   spans side by side, and as bytes
 *   history_age.c        rows of spans: stored, made coarser, taken away    history_manifest.c
 */
#ifndef WEIR_JOURNAL_INTERNAL_H
#define WEIR_JOURNAL_INTERNAL_H

#include <sqlite3.h>

#include "base/error.h"
#include "base/map.h"
#include "journal/history.h"
#include "journal/journal.h"

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    OBJECT_ADD,
    OBJECT_GET,
    VERSION_ADD,
    VERSION_GET,
    DECISION_ADD,
    DECISIONS,
    SAMPLE_ADD,
    SAMPLES,
    STATE_PUT,
    STATE_GET,
    STATE_DELETE,
    OVERRIDE_PUT,
    OVERRIDE_GET,
    OVERRIDE_DELETE,
    PRUNE_DECISIONS,
    PRUNE_SAMPLES,
    PRUNE_MANIFESTS,
    OLDEST_DECISION,
    OLDEST_SAMPLE,
    OLDEST_MANIFEST,
    HISTORY_PUT,
    HISTORY_GET,
    HISTORY_DELETE,
    HISTORY_OLD,
    HISTORY_OLDEST,
    HISTORY_PRUNE,
    MANIFEST_PUT,
    MANIFEST_NEWEST,
    MANIFEST_RENEW,
    MANIFESTS_RETIRE,
    MANIFESTS_TRIM,
    MANIFESTS,
    STATEMENTS
};

struct history_now;

struct known {               /* of an object; what is stored already need not be looked up */
    int64_t id;              /* 0: not looked up yet */
    uint64_t generation;     /* whose names are stored; 0: none */
    struct history_now *now; /* what is gathered of it; NULL: nothing */
};

struct journal {
    sqlite3 *db;
    char *path;  /* NULL: in memory */
    char *aside; /* where a ruined one was put; NULL: none was */
    sqlite3_stmt *statements[STATEMENTS];
    struct map *known; /* object name -> struct known */
    bool open, failed; /* a transaction is open; something in it failed */
    bool ruined;       /* and that because the file is damaged */
    struct error problem;
    int wal_pages;
    int64_t max_bytes;
    struct journal_stats stats;
};

/* Returns false. Nothing of this transaction will stand. */
bool journal_note_failure(struct journal *j, const char *doing);
sqlite3_stmt *journal_prepared(struct journal *j, enum statement which); /* NULL: it is noted that it failed */
/* A statement with one parameter, the object, at its first row; sqlite3_reset() it. NULL: there is no row. */
sqlite3_stmt *journal_row_of(struct journal *j, enum statement which, const char *object);
bool journal_run(struct journal *j, enum statement which); /* a statement without rows */
bool journal_begin(struct journal *j); /* a transaction, where none is open; false: nothing may be written */
int64_t journal_find(struct journal *j, const char *object);        /* 0: never heard of */
struct known *journal_known(struct journal *j, const char *object); /* there is one; its id may be 0 */
int64_t journal_id(struct journal *j, struct known *known,
                   const char *object); /* stored, if need be; 0: it cannot be */

/* history.c: what is gathered, written down. */
void history_settle_all(struct journal *j);
void history_forget(struct journal *j, const char *object, struct known *known); /* the object is gone */
void history_now_free(struct history_now *now);

/* history_age.c */
struct chunk;
void history_store(struct journal *j, int64_t object, int level,
                   const struct chunk *spans);                              /* spans of one row, added to it */
void history_gather(struct journal *j, int64_t object, struct chunk *into); /* what is stored of its time */
bool history_age(struct journal *j, int64_t now_ms);                        /* a part of it; true: there is more */
bool history_prune_oldest(struct journal *j, int rows);                     /* true: some went */

/* history_manifest.c: an object that is gone; its versions go when space is needed. */
void history_retire_manifests(struct journal *j, int64_t object);

#endif
