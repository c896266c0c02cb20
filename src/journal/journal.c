/*
 * journal: seven small tables in SQLite.
 *
 *     objects(id, name)                                  names are stored once
 *     versions(object, generation, names)                what a decision's numbers are called: JSON, once per generation
 *     decisions(id, object, at_ms, generation, job, packed, notes)
 *     samples(object, trigger, at_ms, state, value)
 *     states(object, generation, created_at_ms, original, memory)
 *     history(level, begin_ms, object, packed)           what became of samples and decisions when they got old (history_age.c)
 *     manifests(object, at_ms, generation, current, yaml) (history_manifest.c)
 *
 * One transaction a turn, begun by the first write. The WAL is folded back by a worker with a connection of its own, so that the
 * loop never waits for fsync. A file that is not a database any more is moved aside and a new one begun: what was
 * written is kept for people, and Weir goes on deciding.
 *
 * What goes when there is no more space: decisions, samples and manifests of before, whichever is the oldest, as long as they reach back
 * more than RAW_KEPT_MS; then the oldest spans of the history, which say in a hundredth of the space how it was.
 */
#include "journal/journal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "base/time.h"
#include "journal/journal_internal.h"

enum {
    CHECKPOINT_PAGES = 1000,                     /* 4 MiB of WAL: SQLite's own habit */
    CHECKPOINT_PAGES_OWN = 8 * CHECKPOINT_PAGES, /* without a worker the loop must fold it back itself */
    PRUNE_ROWS = 2000,                           /* per call: a few ms */
    PRUNE_SPANS_ROWS = 100,                      /* of the history, which are larger: 40 KB */
    RAW_KEPT_MS = HOUR_MS,                       /* what explain and a restart look back to first */
    BUSY_MS = 200,                               /* another process (weir explain) reads */
    ASIDE_MAX = 100,
};

static const char *const statement_texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [OBJECT_ADD] = "INSERT OR IGNORE INTO objects(name) VALUES(?1)",
    [OBJECT_GET] = "SELECT id FROM objects WHERE name = ?1",
    [VERSION_ADD] = "INSERT OR REPLACE INTO versions(object, generation, names) VALUES(?1, ?2, ?3)",
    [VERSION_GET] = "SELECT names FROM versions WHERE object = ?1 AND generation = ?2",
    [DECISION_ADD] =
        "INSERT INTO decisions(object, at_ms, generation, job, packed, notes) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [DECISIONS] = "SELECT id, at_ms, generation, job, packed, notes FROM decisions"
                  " WHERE object = ?1 AND at_ms > ?2 AND at_ms <= ?3 ORDER BY at_ms DESC, id DESC LIMIT ?4",
    [SAMPLE_ADD] = "INSERT INTO samples(object, trigger, at_ms, state, value) VALUES(?1, ?2, ?3, ?4, ?5)",
    [SAMPLES] = "SELECT trigger, at_ms, state, value FROM samples WHERE object = ?1 AND at_ms > ?2 AND at_ms <= ?3 "
                "ORDER BY at_ms",
    [STATE_PUT] =
        "INSERT OR REPLACE INTO states(object, generation, created_at_ms, original, memory) VALUES(?1, ?2, ?3, ?4, ?5)",
    [STATE_GET] = "SELECT generation, created_at_ms, original, memory FROM states WHERE object = ?1",
    [STATE_DELETE] = "DELETE FROM states WHERE object = ?1",
    [OVERRIDE_PUT] = "INSERT OR REPLACE INTO overrides(object, paused, said) VALUES(?1, ?2, ?3)",
    [OVERRIDE_GET] = "SELECT paused, said FROM overrides WHERE object = ?1",
    [OVERRIDE_DELETE] = "DELETE FROM overrides WHERE object = ?1",
    [PRUNE_DECISIONS] =
        "DELETE FROM decisions WHERE id IN (SELECT id FROM decisions WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2)",
    [PRUNE_SAMPLES] =
        "DELETE FROM samples WHERE rowid IN (SELECT rowid FROM samples WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2)",
    [PRUNE_MANIFESTS] = "DELETE FROM manifests WHERE id IN (SELECT id FROM manifests WHERE current = 0 AND at_ms < ?1 "
                        "ORDER BY at_ms LIMIT ?2)",
    [OLDEST_DECISION] = "SELECT min(at_ms) FROM decisions",
    [OLDEST_SAMPLE] = "SELECT min(at_ms) FROM samples",
    [OLDEST_MANIFEST] = "SELECT min(at_ms) FROM manifests WHERE current = 0",
    [HISTORY_PUT] = "INSERT INTO history(level, begin_ms, object, packed) VALUES(?1, ?2, ?3, ?4) "
                    "ON CONFLICT(level, begin_ms, object) DO UPDATE SET packed = excluded.packed",
    [HISTORY_GET] = "SELECT packed FROM history WHERE level = ?1 AND begin_ms = ?2 AND object = ?3",
    [HISTORY_DELETE] = "DELETE FROM history WHERE level = ?1 AND begin_ms = ?2 AND object = ?3",
    [HISTORY_OLD] =
        "SELECT object, begin_ms FROM history WHERE level = ?1 AND begin_ms < ?2 ORDER BY begin_ms, object LIMIT ?3",
    [HISTORY_OLDEST] = "SELECT min(begin_ms) FROM history WHERE level = ?1",
    [HISTORY_PRUNE] =
        "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE level = ?1 ORDER BY begin_ms, object LIMIT ?2)",
    [MANIFEST_PUT] = "INSERT INTO manifests(object, at_ms, generation, current, yaml) VALUES(?1, ?2, ?3, 1, ?4)",
    [MANIFEST_NEWEST] = "SELECT generation, current FROM manifests WHERE object = ?1 ORDER BY id DESC LIMIT 1",
    [MANIFEST_RENEW] = "UPDATE manifests SET current = 1 WHERE id = (SELECT max(id) FROM manifests WHERE object = ?1)",
    [MANIFESTS_RETIRE] = "UPDATE manifests SET current = 0 WHERE object = ?1 AND current = 1",
    [MANIFESTS_TRIM] = "DELETE FROM manifests WHERE object = ?1 AND id <= "
                       "(SELECT id FROM manifests WHERE object = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    [MANIFESTS] = "SELECT at_ms, generation, yaml FROM manifests WHERE object = ?1 ORDER BY id DESC",
};

static const char schema[] =
    "PRAGMA auto_vacuum = INCREMENTAL;"
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = NORMAL;"
    "PRAGMA wal_autocheckpoint = 0;"
    "PRAGMA cache_size = -256;" /* KiB; of 2,000 unless told. What is written is mostly appended, and the system keeps the file at hand */
    "CREATE TABLE IF NOT EXISTS objects(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE IF NOT EXISTS versions(object INTEGER, generation INTEGER, names TEXT, PRIMARY KEY(object, "
    "generation)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS decisions(id INTEGER PRIMARY KEY, object INTEGER, at_ms INTEGER, generation INTEGER, "
    "job INTEGER,"
    " packed BLOB, notes TEXT);"
    "CREATE INDEX IF NOT EXISTS decisions_by_object ON decisions(object, at_ms);"
    "CREATE INDEX IF NOT EXISTS decisions_by_age ON decisions(at_ms);"
    "CREATE TABLE IF NOT EXISTS samples(object INTEGER, trigger TEXT, at_ms INTEGER, state INTEGER, value REAL);"
    "CREATE INDEX IF NOT EXISTS samples_by_object ON samples(object, at_ms);"
    "CREATE INDEX IF NOT EXISTS samples_by_age ON samples(at_ms);"
    "CREATE TABLE IF NOT EXISTS states(object INTEGER PRIMARY KEY, generation INTEGER, created_at_ms INTEGER, original "
    "INTEGER,"
    " memory BLOB);"
    "CREATE TABLE IF NOT EXISTS overrides(object INTEGER PRIMARY KEY, paused INTEGER, said INTEGER);"
    "CREATE TABLE IF NOT EXISTS history(id INTEGER PRIMARY KEY, level INTEGER, begin_ms INTEGER, object INTEGER, "
    "packed "
    "BLOB);"
    "CREATE UNIQUE INDEX IF NOT EXISTS history_by_time ON history(level, begin_ms, object);"
    "CREATE TABLE IF NOT EXISTS manifests(id INTEGER PRIMARY KEY, object INTEGER, at_ms INTEGER, generation INTEGER, "
    "current INTEGER, yaml TEXT);"
    "CREATE INDEX IF NOT EXISTS manifests_by_object ON manifests(object);"
    "CREATE INDEX IF NOT EXISTS manifests_of_before ON manifests(at_ms) WHERE current = 0;";

/* ------------------------------------------------------------------ small things of SQLite */

static bool is_ruined(int code)
{
    return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

bool journal_note_failure(struct journal *j, const char *doing)
{
    j->failed = true;
    j->ruined |= is_ruined(sqlite3_errcode(j->db));
    return error_set(&j->problem, ERROR_INTERNAL, "%s: %s failed: %s", j->path ? j->path : "the journal in memory",
                     doing, sqlite3_errmsg(j->db));
}

sqlite3_stmt *journal_prepared(struct journal *j, enum statement which)
{
    if (!j->statements[which] && sqlite3_prepare_v3(j->db, statement_texts[which], -1, SQLITE_PREPARE_PERSISTENT,
                                                    &j->statements[which], NULL) != SQLITE_OK)
        journal_note_failure(j, "preparing a statement");
    return j->statements[which];
}

bool journal_run(struct journal *j, enum statement which)
{
    sqlite3_stmt *statement = journal_prepared(j, which);

    if (!statement)
        return false;
    int result = sqlite3_step(statement);
    sqlite3_reset(statement);
    return result == SQLITE_DONE ? true : journal_note_failure(j, "writing");
}

static int on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct journal *j = arg;

    (void)db, (void)name;
    j->wal_pages = pages;
    return SQLITE_OK;
}

/* ------------------------------------------------------------------ opening */

/* What is gathered of them stays. */
static void forget_ids(struct journal *j)
{
    const char *name;
    void *value;

    for (size_t at = 0; map_next(j->known, &at, &name, &value);) {
        struct known *known = value;

        known->id = 0;
        known->generation = 0;
    }
}

static void forget_all(struct journal *j)
{
    const char *name;
    void *value;

    for (size_t at = 0; map_next(j->known, &at, &name, &value);) {
        map_remove(j->known, name);
        history_now_free(((struct known *)value)->now);
        free(value);
    }
}

static void close_db(struct journal *j)
{
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(j->statements[i]);
        j->statements[i] = NULL;
    }
    sqlite3_close(j->db);
    j->db = NULL;
    j->open = false;
    forget_ids(j);
}

static const char *remedy_of(int code)
{
    switch (code) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "; another program holds it: end that one, or choose another with --data-dir";
    case SQLITE_FULL:
        return "; free space on that disk, or choose another with --data-dir";
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
        return "; it must be a file that this user may write, or choose another with --data-dir";
    default:
        return "";
    }
}

static bool open_db(struct journal *j, struct error *err)
{
    char *message = NULL;

    if (sqlite3_open_v2(j->path ? j->path : ":memory:", &j->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK) {
        sqlite3_busy_timeout(j->db, BUSY_MS);
        if (sqlite3_exec(j->db, schema, NULL, NULL, &message) == SQLITE_OK) {
            sqlite3_wal_hook(j->db, on_wal, j);
            return true;
        }
    }
    error_set(err, ERROR_INTERNAL, "%s cannot be opened as a journal: %s%s",
              j->path ? j->path : ":memory:", message ? message : sqlite3_errmsg(j->db),
              remedy_of(sqlite3_errcode(j->db)));
    sqlite3_free(message);
    return false;
}

static void move_aside(struct journal *j)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    const char *path = j->path;
    char to[4200], from[4200];

    for (int n = 1; n <= ASIDE_MAX; n++) {
        snprintf(to, sizeof(to), "%s.bad-%d", path, n);
        if (access(to, F_OK) == 0 && n < ASIDE_MAX)
            continue;
        free(j->aside);
        j->aside = mem_copy(to);
        for (size_t i = 0; i < 3; i++) {
            snprintf(from, sizeof(from), "%s%s", path, parts[i]);
            snprintf(to, sizeof(to), "%s.bad-%d%s", path, n, parts[i]);
            rename(from, to);
        }
        return;
    }
}

bool journal_open(const char *path, struct journal **out, struct error *err)
{
    struct journal *j = mem_alloc(sizeof(*j));

    j->path = mem_copy(path);
    j->known = map_new();
    j->max_bytes = JOURNAL_MAX_BYTES;
    if (!open_db(j, err)) {
        bool ruined = path && is_ruined(sqlite3_errcode(j->db));

        close_db(j);
        if (ruined)
            move_aside(j);
        if (!ruined || !open_db(j, err)) {
            journal_close(j);
            return false;
        }
    }
    *out = j;
    return true;
}

const char *journal_moved_aside(const struct journal *j)
{
    return j->aside;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    if (j->db) {
        history_settle_all(j);
        journal_commit(j, NULL);
    }
    if (j->db && j->path)
        sqlite3_wal_checkpoint_v2(j->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    close_db(j);
    forget_all(j);
    map_free(j->known);
    free(j->path);
    free(j->aside);
    free(j);
}

/* ------------------------------------------------------------------ writing */

bool journal_begin(struct journal *j)
{
    if (j->open)
        return !j->failed;
    j->failed = j->ruined = false;
    j->open = journal_run(j, BEGIN);
    return j->open;
}

int64_t journal_find(struct journal *j, const char *name)
{
    sqlite3_stmt *get = journal_prepared(j, OBJECT_GET);
    int64_t id = 0;

    if (!get)
        return 0;
    sqlite3_bind_text(get, 1, name, -1, SQLITE_STATIC);
    if (sqlite3_step(get) == SQLITE_ROW)
        id = sqlite3_column_int64(get, 0);
    sqlite3_reset(get);
    return id;
}

struct known *journal_known(struct journal *j, const char *name)
{
    struct known *known = map_get(j->known, name);

    if (!known) {
        known = mem_alloc(sizeof(*known));
        map_put(j->known, name, known);
    }
    return known;
}

int64_t journal_id(struct journal *j, struct known *known, const char *name)
{
    sqlite3_stmt *add = known->id ? NULL : journal_prepared(j, OBJECT_ADD);

    if (add) {
        sqlite3_bind_text(add, 1, name, -1, SQLITE_STATIC);
        known->id = journal_run(j, OBJECT_ADD) ? journal_find(j, name) : 0;
    }
    return known->id;
}

/* Begins to write something of the object; 0: it cannot be stored. */
static int64_t begin_object(struct journal *j, const char *name)
{
    return journal_begin(j) ? journal_id(j, journal_known(j, name), name) : 0;
}

static void put_version(struct journal *j, struct known *object, uint64_t generation,
                        const struct decision_names *names)
{
    sqlite3_stmt *add = journal_prepared(j, VERSION_ADD);

    if (!add || object->generation == generation)
        return;
    json_t *json = json_object(), *list = json_array();
    for (size_t i = 0; i < names->trigger_count; i++)
        json_array_append_new(list,
                              names->triggers && names->triggers[i] ? json_string(names->triggers[i]) : json_null());
    json_object_set_new(json, "triggers", list);
    if (names->formula)
        json_object_set_new(json, "formula", json_string(names->formula));
    char *text = json_dumps(json, JSON_COMPACT);
    sqlite3_bind_int64(add, 1, object->id);
    sqlite3_bind_int64(add, 2, (sqlite3_int64)generation);
    sqlite3_bind_text(add, 3, text, -1, SQLITE_STATIC);
    if (journal_run(j, VERSION_ADD))
        object->generation = generation;
    free(text);
    json_decref(json);
}

/* {"2": "connection refused"}: only inputs that have a note. NULL: none has. */
static char *notes_json(const char *const *notes, size_t count)
{
    json_t *json = NULL;
    char *text = NULL;

    for (size_t i = 0; notes && i < count; i++) {
        char key[16];

        if (!notes[i])
            continue;
        if (!json)
            json = json_object();
        snprintf(key, sizeof(key), "%zu", i);
        json_object_set_new(json, key, json_string(notes[i]));
    }
    if (json)
        text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static void put_decision(struct journal *j, const char *name, uint64_t generation, int64_t at_ms, bool job,
                         const void *packed, size_t length, const struct decision_names *names, char *notes)
{
    int64_t object = begin_object(j, name);
    sqlite3_stmt *add = object ? journal_prepared(j, DECISION_ADD) : NULL;

    if (add) {
        put_version(j, journal_known(j, name), generation, names);
        sqlite3_bind_int64(add, 1, object);
        sqlite3_bind_int64(add, 2, at_ms);
        sqlite3_bind_int64(add, 3, (sqlite3_int64)generation);
        sqlite3_bind_int(add, 4, job);
        sqlite3_bind_blob(add, 5, packed, (int)length, SQLITE_STATIC);
        sqlite3_bind_text(add, 6, notes, -1, SQLITE_STATIC);
        if (journal_run(j, DECISION_ADD))
            j->stats.decisions++;
        sqlite3_clear_bindings(add);
    }
    free(notes);
}

void journal_decision(struct journal *j, const char *object, uint64_t generation, const struct decision *decision,
                      const struct decision_names *names, const char *const *notes)
{
    size_t length;
    void *packed = decision_pack(decision, &length);

    put_decision(j, object, generation, decision->at_ms, false, packed, length, names,
                 notes_json(notes, decision->input_count));
    free(packed);
}

/* A job's decision is plain data: the struct as it is, cut behind its last input. */
static size_t job_decision_bytes(uint16_t inputs)
{
    return offsetof(struct job_decision, inputs) + inputs * sizeof(struct decision_input);
}

void journal_job_decision(struct journal *j, const char *object, uint64_t generation,
                          const struct job_decision *decision, const struct decision_names *names,
                          const char *const *notes)
{
    put_decision(j, object, generation, decision->at_ms, true, decision, job_decision_bytes(decision->input_count),
                 names, notes_json(notes, decision->input_count));
}

void journal_sample(struct journal *j, const char *name, const char *trigger, const struct sample *sample)
{
    int64_t object = begin_object(j, name);
    sqlite3_stmt *add = object ? journal_prepared(j, SAMPLE_ADD) : NULL;

    if (!add)
        return;
    sqlite3_bind_int64(add, 1, object);
    sqlite3_bind_text(add, 2, trigger, -1, SQLITE_STATIC);
    sqlite3_bind_int64(add, 3, sample->at_ms);
    sqlite3_bind_int(add, 4, (int)sample->state);
    sqlite3_bind_double(add, 5, sample->value);
    if (journal_run(j, SAMPLE_ADD))
        j->stats.samples++;
}

void journal_put_state(struct journal *j, const char *name, uint64_t generation, int64_t created_at_ms,
                       int32_t original_replicas, const void *memory, size_t length)
{
    int64_t object = begin_object(j, name);
    sqlite3_stmt *put = object ? journal_prepared(j, STATE_PUT) : NULL;

    if (!put)
        return;
    sqlite3_bind_int64(put, 1, object);
    sqlite3_bind_int64(put, 2, (sqlite3_int64)generation);
    sqlite3_bind_int64(put, 3, created_at_ms);
    sqlite3_bind_int(put, 4, original_replicas);
    sqlite3_bind_blob(put, 5, memory ? memory : "", (int)length, SQLITE_STATIC);
    journal_run(j, STATE_PUT);
    sqlite3_clear_bindings(put);
}

void journal_delete_state(struct journal *j, const char *name)
{
    int64_t object = begin_object(j, name);
    sqlite3_stmt *remove = object ? journal_prepared(j, STATE_DELETE) : NULL;

    if (!remove)
        return;
    sqlite3_bind_int64(remove, 1, object);
    journal_run(j, STATE_DELETE);
    journal_delete_override(j, name);
    history_forget(j, name, journal_known(j, name));
    history_retire_manifests(j, object);
}

/* ------------------------------------------------------------------ check-points */

void journal_checkpoint(const char *path)
{
    sqlite3 *db = NULL;

    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK)
        sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    sqlite3_close(db);
}

const char *journal_checkpoint_due(struct journal *j)
{
    if (!j->path || j->wal_pages < CHECKPOINT_PAGES)
        return NULL;
    j->wal_pages = 0;
    return j->path;
}

/* ------------------------------------------------------------------ commit */

static bool begin_anew(struct journal *j, struct error *err)
{
    close_db(j);
    move_aside(j);
    if (!open_db(j, err))
        close_db(j);
    return j->db != NULL;
}

bool journal_commit(struct journal *j, struct error *err)
{
    if (!j->db && !open_db(j, err)) { /* an earlier new beginning failed, say for lack of space */
        close_db(j);
        return false;
    }
    if (!j->open && !j->failed)
        return true;
    bool fine = j->open && !j->failed && journal_run(j, COMMIT);
    if (!fine) {
        if (j->open)
            sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
        forget_ids(j); /* those that were rolled back are not there */
        j->stats.failures++;
        if (err)
            *err = j->problem;
        if (j->path && j->ruined)
            begin_anew(j, err);
    } else {
        j->stats.commits++;
    }
    j->open = j->failed = j->ruined = false;
    if (fine && j->path && j->wal_pages > CHECKPOINT_PAGES_OWN) /* nobody else does it */
        sqlite3_wal_checkpoint_v2(j->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return fine;
}

static int64_t pragma_number(struct journal *j, const char *pragma)
{
    sqlite3_stmt *statement;
    int64_t value = 0;

    if (sqlite3_prepare_v2(j->db, pragma, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static int64_t used_bytes(struct journal *j)
{
    return (pragma_number(j, "PRAGMA page_count") - pragma_number(j, "PRAGMA freelist_count")) *
           pragma_number(j, "PRAGMA page_size");
}

/* true: there may be more of them. */
static bool prune_with(struct journal *j, enum statement which, int64_t before_ms)
{
    sqlite3_stmt *statement = journal_prepared(j, which);

    if (!statement)
        return false;
    sqlite3_bind_int64(statement, 1, before_ms);
    sqlite3_bind_int(statement, 2, PRUNE_ROWS);
    return journal_run(j, which) && sqlite3_changes(j->db) == PRUNE_ROWS;
}

/* INT64_MAX: there is none. */
static int64_t oldest_at_ms(struct journal *j, enum statement which)
{
    sqlite3_stmt *oldest = journal_prepared(j, which);
    int64_t at_ms = INT64_MAX;

    if (!oldest)
        return at_ms;
    if (sqlite3_step(oldest) == SQLITE_ROW && sqlite3_column_type(oldest, 0) != SQLITE_NULL)
        at_ms = sqlite3_column_int64(oldest, 0);
    sqlite3_reset(oldest);
    return at_ms;
}

/* There is no more space. */
static bool prune_oldest(struct journal *j, int64_t now_ms)
{
    static const enum statement raw[][2] = {
        {OLDEST_DECISION, PRUNE_DECISIONS}, {OLDEST_SAMPLE, PRUNE_SAMPLES}, {OLDEST_MANIFEST, PRUNE_MANIFESTS}};
    int64_t oldest_ms = INT64_MAX;
    size_t which = 0;

    for (size_t i = 0; i < 3; i++) {
        int64_t at_ms = oldest_at_ms(j, raw[i][0]);

        if (at_ms < oldest_ms) {
            oldest_ms = at_ms;
            which = i;
        }
    }
    if (oldest_ms > now_ms - RAW_KEPT_MS && history_prune_oldest(j, PRUNE_SPANS_ROWS))
        return true;
    prune_with(j, raw[which][1], INT64_MAX);
    return oldest_ms != INT64_MAX;
}

bool journal_prune(struct journal *j, int64_t now_ms)
{
    int64_t before_ms = now_ms - (int64_t)JOURNAL_AGE_MAX_S * 1000;
    bool more;

    if (!j->db || !journal_begin(j))
        return false;
    more = prune_with(j, PRUNE_DECISIONS, before_ms);
    more |= prune_with(j, PRUNE_SAMPLES, before_ms);
    more |= history_age(j, now_ms);
    if (used_bytes(j) > j->max_bytes)
        more |= prune_oldest(j, now_ms);
    if (!journal_commit(j, NULL))
        return false;
    sqlite3_exec(j->db, "PRAGMA incremental_vacuum(256)", NULL, NULL, NULL);
    return more;
}

void journal_set_max_bytes(struct journal *j, int64_t bytes)
{
    j->max_bytes = bytes;
}

/* ------------------------------------------------------------------ reading */

sqlite3_stmt *journal_row_of(struct journal *j, enum statement which, const char *object)
{
    sqlite3_stmt *get = j->db ? journal_prepared(j, which) : NULL;
    int64_t id = get ? journal_find(j, object) : 0;

    if (id == 0)
        return NULL;
    sqlite3_bind_int64(get, 1, id);
    if (sqlite3_step(get) == SQLITE_ROW)
        return get;
    sqlite3_reset(get);
    return NULL;
}

bool journal_get_state(struct journal *j, const char *name, struct journal_state *out)
{
    sqlite3_stmt *row = journal_row_of(j, STATE_GET, name);

    if (!row)
        return false;
    out->generation = (uint64_t)sqlite3_column_int64(row, 0);
    out->created_at_ms = sqlite3_column_int64(row, 1);
    out->original_replicas = sqlite3_column_int(row, 2);
    out->length = (size_t)sqlite3_column_bytes(row, 3);
    out->memory = mem_alloc(out->length + 1);
    if (out->length > 0)
        memcpy(out->memory, sqlite3_column_blob(row, 3), out->length);
    sqlite3_reset(row);
    return true;
}

struct version_names { /* of the generation read last: rows beside each other mostly have the same */
    struct arena *arena;
    bool known;
    uint64_t generation;
    struct decision_names names;
};

static void read_names(struct journal *j, int64_t object, uint64_t generation, struct version_names *version)
{
    sqlite3_stmt *get = journal_prepared(j, VERSION_GET);
    struct arena *arena = version->arena;
    struct decision_names *names = &version->names;

    if (version->known && version->generation == generation)
        return;
    version->known = true;
    version->generation = generation;
    *names = (struct decision_names){.triggers = NULL};
    arena_reset(arena);
    if (!get)
        return;
    sqlite3_bind_int64(get, 1, object);
    sqlite3_bind_int64(get, 2, (sqlite3_int64)generation);
    if (sqlite3_step(get) == SQLITE_ROW) {
        json_t *json = json_loads((const char *)sqlite3_column_text(get, 0), 0, NULL);
        json_t *list = json_object_get(json, "triggers");
        const char **triggers = arena_array(arena, json_array_size(list) + 1, sizeof(*triggers));

        for (size_t i = 0; i < json_array_size(list); i++)
            triggers[i] = arena_copy(arena, json_string_value(json_array_get(list, i)));
        names->triggers = triggers;
        names->trigger_count = json_array_size(list);
        names->formula = arena_copy(arena, json_string_value(json_object_get(json, "formula")));
        json_decref(json);
    }
    sqlite3_reset(get);
}

static const char *const *read_notes(const char *text, size_t count, struct arena *arena)
{
    const char **notes = arena_array(arena, count + 1, sizeof(*notes));
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;

    for (size_t i = 0; json && i < count; i++) {
        char key[16];

        snprintf(key, sizeof(key), "%zu", i);
        notes[i] = arena_copy(arena, json_string_value(json_object_get(json, key)));
    }
    json_decref(json);
    return notes;
}

static bool read_job(const void *packed, size_t length, struct job_decision *out)
{
    if (length < offsetof(struct job_decision, inputs) || length > sizeof(*out))
        return false;
    memcpy(out, packed, length);
    return out->input_count <= TRIGGERS_MAX && length == job_decision_bytes(out->input_count);
}

/* One row to the visitor; a row that cannot be read (another version wrote it) is passed over. */
static bool visit_row(struct journal *j, int64_t object, sqlite3_stmt *row, struct version_names *version,
                      journal_visit *visit, void *arg)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct decision *decision = arena_alloc(arena, sizeof(*decision));
    struct job_decision *job = arena_alloc(arena, sizeof(*job));
    struct journal_entry entry = {.id = sqlite3_column_int64(row, 0),
                                  .at_ms = sqlite3_column_int64(row, 1),
                                  .generation = (uint64_t)sqlite3_column_int64(row, 2)};
    const void *packed = sqlite3_column_blob(row, 4);
    size_t length = (size_t)sqlite3_column_bytes(row, 4), inputs = 0;
    bool more = true;

    if (sqlite3_column_int(row, 3) == 0 && decision_unpack(packed, length, decision)) {
        entry.decision = decision;
        inputs = decision->input_count;
    } else if (sqlite3_column_int(row, 3) == 1 && read_job(packed, length, job)) {
        entry.job_decision = job;
        inputs = job->input_count;
    }
    if (entry.decision || entry.job_decision) {
        entry.notes = read_notes((const char *)sqlite3_column_text(row, 5), inputs, arena);
        read_names(j, object, entry.generation, version);
        entry.names = version->names;
        more = visit(arg, &entry);
    }
    arena_free(arena);
    return more;
}

void journal_decisions(struct journal *j, const char *name, int64_t since_at_ms, int64_t until_at_ms, size_t limit,
                       journal_visit *visit, void *arg)
{
    sqlite3_stmt *rows = j->db ? journal_prepared(j, DECISIONS) : NULL;
    int64_t object = rows ? journal_find(j, name) : 0;

    if (object == 0)
        return;
    sqlite3_bind_int64(rows, 1, object);
    sqlite3_bind_int64(rows, 2, since_at_ms);
    sqlite3_bind_int64(rows, 3, until_at_ms);
    sqlite3_bind_int64(rows, 4, (sqlite3_int64)limit);
    struct version_names version = {.arena = arena_new(ARENA_SMALL)};
    while (sqlite3_step(rows) == SQLITE_ROW && visit_row(j, object, rows, &version, visit, arg))
        ;
    arena_free(version.arena);
    sqlite3_reset(rows);
}

void journal_samples(struct journal *j, const char *name, int64_t since_at_ms, journal_visit_sample *visit, void *arg)
{
    sqlite3_stmt *rows = j->db ? journal_prepared(j, SAMPLES) : NULL;
    int64_t object = rows ? journal_find(j, name) : 0;

    if (object == 0)
        return;
    sqlite3_bind_int64(rows, 1, object);
    sqlite3_bind_int64(rows, 2, since_at_ms);
    sqlite3_bind_int64(rows, 3, INT64_MAX);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        struct sample sample = {.at_ms = sqlite3_column_int64(rows, 1),
                                .state = (enum sample_state)sqlite3_column_int(rows, 2),
                                .value = sqlite3_column_double(rows, 3)};

        if (sample.state <= SAMPLE_FAILED)
            visit(arg, (const char *)sqlite3_column_text(rows, 0), &sample);
    }
    sqlite3_reset(rows);
}

void journal_stats(const struct journal *j, struct journal_stats *out)
{
    *out = j->stats;
    if (j->db)
        out->bytes = used_bytes((struct journal *)j);
}
