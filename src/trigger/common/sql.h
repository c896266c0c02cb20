/*
 * sql: what a database answers to a query, made a number; the same rules for all databases that are asked with one.
 *
 *     struct sql_answer answer = {.columns = 1, .row = true, .text = "12.5", .length = 4};
 *     sql_answer(query, &answer, SQL_EMPTY_FAILS);
 *
 * One row with one column is a number, or a text that is one. Anything else is a failure that says what to write instead. Whether
 * a query without a row, or a NULL, fails differs: where the original takes it for 0, the sample is missing, and that 0 counts when
 * the hold is over (DESIGN.md 3.5). Pure; also for worker threads.
 */
#ifndef WEIR_TRIGGER_SQL_H
#define WEIR_TRIGGER_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "series/series.h"
#include "trigger/driver.h"

struct sql_answer {
    size_t columns;
    bool row;         /* there is one at least; the others do not count */
    const char *text; /* its first column; NULL: a NULL. Need not end with a 0 byte */
    size_t length;
};
enum sql_empty {
    SQL_EMPTY_FAILS,
    SQL_EMPTY_MISSING,    /* no row */
    SQL_NULL_MISSING_TOO, /* neither a row nor a value in it */
};

/* OK with a finite value; MISSING with *value 0 and *err why; FAILED with *err. */
enum sample_state sql_number(const struct sql_answer *answer, enum sql_empty empty, double *value, struct error *err);

/* The outcome of a query on a worker thread, and of a poll. */
void sql_answer(struct query *query, const struct sql_answer *answer, enum sql_empty empty);
enum poll_next sql_end(struct poll *poll, const struct sql_answer *answer, enum sql_empty empty);

/* Fails the query: "what: first line of why". Returns false. */
bool query_fail(struct query *query, enum error_kind kind, const char *what, const char *why);

/* Of a kept connection that turned out to be dead: whether there is time for another one. A server that let most of it pass does not
   answer, and would not answer that one either. */
bool query_may_retry(const struct query *query);

/* A clock that only goes forward, for what is left of a query's time. */
int64_t query_ticks_ms(void);

#endif
