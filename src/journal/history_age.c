/*
 * history_age: rows of spans, and how they age.
 *
 *     history(level, begin_ms, object, packed)          one row: the spans of an hour, of a day, or of four days
 *
 * A row whose spans are too old for their length is merged into the row of the next level, which may have to be made, and is gone; on the
 * last level it just goes. That is all there is to it: whatever was written late, by a clock that went back or a Weir that was away for
 * days, is found by its age. The index begins with level and begin, so that rows written at about the same time lie side by side, and what is
 * old is found without a look at the rest; an object's rows are found one by one, for their begins are known.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/pack.h"
#include "base/time.h"
#include "journal/history_chunk.h"
#include "journal/journal_internal.h"

enum { AGE_ROWS = 200 }; /* merged per call: some ms */

static const struct level {
    int64_t span_ms, row_ms, keep_ms; /* keep: since the end of the row */
} levels[] = {
    {5 * MINUTE_MS, HOUR_MS, DAY_MS},
    {HOUR_MS, DAY_MS, 8 * DAY_MS},
    {4 * HOUR_MS, 4 * DAY_MS, HISTORY_DAYS *DAY_MS},
};
enum { LEVELS = sizeof(levels) / sizeof(levels[0]) };

static int64_t floor_to(int64_t at_ms, int64_t step_ms)
{
    return at_ms - (at_ms % step_ms + step_ms) % step_ms;
}

static void row_init(struct chunk *row, int level, int64_t begin_ms)
{
    const struct level *l = &levels[level];

    chunk_init(row, begin_ms, l->span_ms, (size_t)(l->row_ms / l->span_ms));
}

/* ------------------------------------------------------------------ one row */

static sqlite3_stmt *about_row(struct journal *j, enum statement which, int level, int64_t begin_ms, int64_t object)
{
    sqlite3_stmt *statement = journal_prepared(j, which);

    if (!statement)
        return NULL;
    sqlite3_bind_int(statement, 1, level);
    sqlite3_bind_int64(statement, 2, begin_ms);
    sqlite3_bind_int64(statement, 3, object);
    return statement;
}

/* Into a row that was initialized; one that cannot be read is as good as none. false: there is nothing. */
static bool row_load(struct journal *j, int level, int64_t object, struct chunk *row)
{
    sqlite3_stmt *get = about_row(j, HISTORY_GET, level, row->begin_ms, object);
    int result = get ? sqlite3_step(get) : SQLITE_DONE;
    bool there = result == SQLITE_ROW;

    if (!there && result != SQLITE_DONE && j->open) /* what may be there must not be written over */
        journal_note_failure(j, "reading the history");
    if (there && !chunk_read(row, sqlite3_column_blob(get, 0), (size_t)sqlite3_column_bytes(get, 0))) {
        int64_t begin_ms = row->begin_ms;

        chunk_done(row);
        row_init(row, level, begin_ms);
        there = false;
    }
    if (get)
        sqlite3_reset(get);
    return there;
}

void history_store(struct journal *j, int64_t object, int level, const struct chunk *spans)
{
    struct coder packed = {.writing = true};
    struct chunk row;

    row_init(&row, level, floor_to(spans->begin_ms, levels[level].row_ms));
    row_load(j, level, object, &row);
    chunk_merge(&row, spans);
    chunk_write(&row, &packed);
    sqlite3_stmt *put = about_row(j, HISTORY_PUT, level, row.begin_ms, object);
    if (put) {
        sqlite3_bind_blob(put, 4, packed.bytes, (int)packed.at, SQLITE_STATIC);
        journal_run(j, HISTORY_PUT);
        sqlite3_clear_bindings(put);
    }
    free(packed.bytes);
    chunk_done(&row);
}

void history_gather(struct journal *j, int64_t object, struct chunk *into)
{
    int64_t end_ms = into->begin_ms + into->span_ms * into->spans;

    for (int level = 0; level < LEVELS; level++) {
        int64_t step_ms = levels[level].row_ms;

        for (int64_t begin_ms = floor_to(into->begin_ms, step_ms); begin_ms < end_ms; begin_ms += step_ms) {
            struct chunk row;

            row_init(&row, level, begin_ms);
            if (row_load(j, level, object, &row))
                chunk_merge(into, &row);
            chunk_done(&row);
        }
    }
}

/* ------------------------------------------------------------------ aging */

struct old_row {
    int64_t object, begin_ms;
};

static size_t find_old(struct journal *j, int level, int64_t before_ms, struct old_row *rows)
{
    sqlite3_stmt *old = about_row(j, HISTORY_OLD, level, before_ms, AGE_ROWS);
    size_t count = 0;

    while (old && count < AGE_ROWS && sqlite3_step(old) == SQLITE_ROW)
        rows[count++] = (struct old_row){sqlite3_column_int64(old, 0), sqlite3_column_int64(old, 1)};
    if (old)
        sqlite3_reset(old);
    return count;
}

static void age_row(struct journal *j, int level, const struct old_row *old)
{
    if (level + 1 < LEVELS) {
        struct chunk row;

        row_init(&row, level, old->begin_ms);
        if (row_load(j, level, old->object, &row))
            history_store(j, old->object, level + 1, &row);
        chunk_done(&row);
    }
    if (about_row(j, HISTORY_DELETE, level, old->begin_ms, old->object))
        journal_run(j, HISTORY_DELETE);
}

bool history_age(struct journal *j, int64_t now_ms)
{
    struct old_row *rows = mem_array(AGE_ROWS, sizeof(*rows));
    bool more = false;

    for (int level = 0; level < LEVELS; level++) {
        size_t count = find_old(j, level, now_ms - levels[level].keep_ms - levels[level].row_ms + 1, rows);

        for (size_t i = 0; i < count; i++)
            age_row(j, level, &rows[i]);
        more |= count == AGE_ROWS;
    }
    free(rows);
    return more;
}

bool history_prune_oldest(struct journal *j, int rows)
{
    int64_t oldest_ms = INT64_MAX;
    int from = -1;

    for (int level = 0; level < LEVELS; level++) {
        sqlite3_stmt *oldest = journal_prepared(j, HISTORY_OLDEST);

        if (!oldest)
            return false;
        sqlite3_bind_int(oldest, 1, level);
        if (sqlite3_step(oldest) == SQLITE_ROW && sqlite3_column_type(oldest, 0) != SQLITE_NULL &&
            sqlite3_column_int64(oldest, 0) < oldest_ms) {
            oldest_ms = sqlite3_column_int64(oldest, 0);
            from = level;
        }
        sqlite3_reset(oldest);
    }
    sqlite3_stmt *prune = from < 0 ? NULL : journal_prepared(j, HISTORY_PRUNE);
    if (!prune)
        return false;
    sqlite3_bind_int(prune, 1, from);
    sqlite3_bind_int(prune, 2, rows);
    return journal_run(j, HISTORY_PRUNE) && sqlite3_changes(j->db) > 0;
}
