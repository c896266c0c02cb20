/* override: what somebody asked for by hand against an object's manifest: that it is paused, or that it is not. Kept until it ends. */
#include "journal/journal_internal.h"

void journal_put_override(struct journal *j, const char *name, const struct journal_override *override)
{
    int64_t object = journal_begin(j) ? journal_id(j, journal_known(j, name), name) : 0;
    sqlite3_stmt *put = object ? journal_prepared(j, OVERRIDE_PUT) : NULL;

    if (!put)
        return;
    sqlite3_bind_int64(put, 1, object);
    sqlite3_bind_int(put, 2, override->paused);
    sqlite3_bind_int(put, 3, override->said_paused);
    journal_run(j, OVERRIDE_PUT);
}

void journal_delete_override(struct journal *j, const char *name)
{
    int64_t object = journal_begin(j) ? journal_find(j, name) : 0;
    sqlite3_stmt *remove = object ? journal_prepared(j, OVERRIDE_DELETE) : NULL;

    if (!remove)
        return;
    sqlite3_bind_int64(remove, 1, object);
    journal_run(j, OVERRIDE_DELETE);
}

bool journal_get_override(struct journal *j, const char *name, struct journal_override *out)
{
    sqlite3_stmt *row = journal_row_of(j, OVERRIDE_GET, name);

    if (!row)
        return false;
    out->paused = sqlite3_column_int(row, 0) != 0;
    out->said_paused = sqlite3_column_int(row, 1) != 0;
    sqlite3_reset(row);
    return true;
}
