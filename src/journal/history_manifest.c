/*
 * history_manifest: the versions of each object's manifest.
 *
 *     manifests(object, at_ms, generation, current, yaml)
 *
 * In the order in which they were put, whatever a clock said. A version that is not the current one of an object that is there may go when
 * space is needed (journal.c); beyond HISTORY_MANIFESTS_MAX it goes at once.
 */
#include "base/limits.h"
#include "journal/journal_internal.h"

static sqlite3_stmt *about(struct journal *j, enum statement which, int64_t object)
{
    sqlite3_stmt *statement = journal_prepared(j, which);

    if (statement)
        sqlite3_bind_int64(statement, 1, object);
    return statement;
}

void history_retire_manifests(struct journal *j, int64_t object)
{
    if (about(j, MANIFESTS_RETIRE, object))
        journal_run(j, MANIFESTS_RETIRE);
}

bool history_has_manifest(struct journal *j, const char *object, uint64_t generation)
{
    int64_t id = j->db ? journal_find(j, object) : 0;
    sqlite3_stmt *newest = id ? about(j, MANIFEST_NEWEST, id) : NULL;
    bool same = false, retired = false;

    if (!newest)
        return false;
    if (sqlite3_step(newest) == SQLITE_ROW) {
        same = (uint64_t)sqlite3_column_int64(newest, 0) == generation;
        retired = sqlite3_column_int(newest, 1) == 0;
    }
    sqlite3_reset(newest);
    if (same && retired && journal_begin(j) && about(j, MANIFEST_RENEW, id)) /* it was gone, and is back */
        journal_run(j, MANIFEST_RENEW);
    return same;
}

void history_put_manifest(struct journal *j, const char *object, const struct history_manifest *manifest)
{
    int64_t id = journal_begin(j) ? journal_id(j, journal_known(j, object), object) : 0;
    sqlite3_stmt *put = id ? about(j, MANIFEST_PUT, id) : NULL;

    if (!put)
        return;
    history_retire_manifests(j, id);
    sqlite3_bind_int64(put, 2, manifest->at_ms);
    sqlite3_bind_int64(put, 3, (sqlite3_int64)manifest->generation);
    sqlite3_bind_text(put, 4, manifest->yaml, -1, SQLITE_STATIC);
    journal_run(j, MANIFEST_PUT);
    sqlite3_clear_bindings(put);
    sqlite3_stmt *trim = about(j, MANIFESTS_TRIM, id);
    if (trim) {
        sqlite3_bind_int(trim, 2, HISTORY_MANIFESTS_MAX);
        journal_run(j, MANIFESTS_TRIM);
    }
}

void history_manifests(struct journal *j, const char *object, history_visit_manifest *visit, void *arg)
{
    int64_t id = j->db ? journal_find(j, object) : 0;
    sqlite3_stmt *rows = id ? about(j, MANIFESTS, id) : NULL;

    if (!rows)
        return;
    while (sqlite3_step(rows) == SQLITE_ROW) {
        struct history_manifest manifest = {.at_ms = sqlite3_column_int64(rows, 0),
                                            .generation = (uint64_t)sqlite3_column_int64(rows, 1),
                                            .yaml = (const char *)sqlite3_column_text(rows, 2)};

        if (!visit(arg, &manifest))
            break;
    }
    sqlite3_reset(rows);
}
