/* sql: see sql.h. */
#include "trigger/common/sql.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/tree.h"

enum sample_state sql_number(const struct sql_answer *answer, enum sql_empty empty, double *value, struct error *err)
{
    *value = 0;
    if (answer->columns != 1) {
        error_set(err, ERROR_NONSENSE, "the query gives %zu columns; it has to give one", answer->columns);
        return SAMPLE_FAILED;
    }
    if (!answer->row) {
        error_set(err, empty == SQL_EMPTY_FAILS ? ERROR_NONSENSE : ERROR_MISSING,
                  "the query gives no row; count(*) or coalesce(..., 0) always gives one");
        return empty == SQL_EMPTY_FAILS ? SAMPLE_FAILED : SAMPLE_MISSING;
    }
    if (!answer->text) {
        error_set(err, empty == SQL_NULL_MISSING_TOO ? ERROR_MISSING : ERROR_NONSENSE,
                  "the query gives NULL; write coalesce(..., 0) if that means nothing to do");
        return empty == SQL_NULL_MISSING_TOO ? SAMPLE_MISSING : SAMPLE_FAILED;
    }
    if (!number_parse(answer->text, answer->length, value)) {
        error_set(err, ERROR_NONSENSE, "the query gives something that is not a number");
        return SAMPLE_FAILED;
    }
    if (!isfinite(*value)) {
        *value = 0;
        error_set(err, ERROR_MISSING, "the query gives NaN or an infinity");
        return SAMPLE_MISSING;
    }
    return SAMPLE_OK;
}

void sql_answer(struct query *query, const struct sql_answer *answer, enum sql_empty empty)
{
    query->state = sql_number(answer, empty, &query->value, &query->error);
}

enum poll_next sql_end(struct poll *poll, const struct sql_answer *answer, enum sql_empty empty)
{
    struct error err;
    double value;

    switch (sql_number(answer, empty, &value, &err)) {
    case SAMPLE_OK:
        return poll_value(poll, value);
    case SAMPLE_MISSING:
        return poll_missing(poll, SWITCH_UNSET, "%s", err.text);
    default:
        return poll_fail_with(poll, &err);
    }
}

bool query_fail(struct query *query, enum error_kind kind, const char *what, const char *why)
{
    size_t length = strcspn(why, "\r\n");

    query->state = SAMPLE_FAILED;
    return error_set(&query->error, kind, "%s%s%.*s", what, length > 0 ? ": " : "", (int)(length < 240 ? length : 240),
                     why);
}

bool query_may_retry(const struct query *query)
{
    return query_left_ms(query) >= query->timeout_ms * 3 / 4;
}

int64_t query_ticks_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
