/*
 * explain_output: a view (explain_view.h) as text. What it says is in the view; here it only gets its place, its width and its colour.
 */
#ifndef WEIR_CLI_EXPLAIN_OUTPUT_H
#define WEIR_CLI_EXPLAIN_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct paper;

/* A number for people: whole ones in full, others with about four digits. */
void explain_number(double value, char *out, size_t size);
/* How many points of history a row has where it is that wide (0: no terminal). */
int explain_points(int columns);

/* explain_history.c: replicas and every trigger's value over the span. Nothing where there is no history. */
void explain_put_history(struct paper *paper, const json_t *view);
/* explain_formula.c: the formula with the value of every part. */
void explain_put_formula(struct paper *paper, const json_t *view);

/* The page of one decision; of decisions of a span where `list`. now_ms: what ages and countdowns are reckoned from; 0: they are left
   out, for the decision is not the one in force. */
void explain_put(struct paper *paper, const json_t *view, bool list, int64_t now_ms);

#endif
