/*
 * input: what sources said over time: one column per trigger, each a list of moments at which it began to say something else. Read from
 * CSV, JSON lines, answers of Prometheus' query_range, recordings, or written in the notation of policy tests.
 *
 *     struct input *input = input_new();
 *     if (!input_read_file(input, "trace.csv", &options, &err)) ...     -- err->where: file and line
 *     uint16_t column = input_column(input, "queue");                   -- INPUT_NONE: there is none
 *     input_at(input, column, at_ms, &sample);
 *
 * A value holds until the next one of its column (a step function). What each row may say: a number; `_`, an empty cell or null: the source
 * answered without a value; `failed`: it did not answer; `stale`: it goes on saying what it said last, and its age grows. NaN and infinities
 * stand as the source would write them, and mean what the trigger makes of them. Times go up; one that goes back is an error, two rows of one
 * time too. Nothing is guessed: a gap, a row too short, a cell that says nothing known is an error with file, line and remedy, and then the
 * input is as it was. Memory is bounded (SIM_INPUT_VALUES_MAX). docs/recording.md shows the forms. Not for threads while it is read; from then
 * on it is only looked at.
 */
#ifndef WEIR_SIM_INPUT_H
#define WEIR_SIM_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "series/series.h"

struct error;
struct input;

#define INPUT_NONE UINT16_MAX

enum input_kind { INPUT_OK, INPUT_MISSING, INPUT_FAILED, INPUT_STALE };
struct input_value {
    int64_t at_ms; /* since the start of the input: when it began to say so */
    double value;  /* of INPUT_OK; of INPUT_STALE what it said last */
    enum input_kind kind;
};

struct input *input_new(void);
void input_free(struct input *input);

/* The form is told by what stands in the file, not by its name; gzip is fine. Times: RFC 3339, or numbers: below 10^8 seconds since
   whatever, below 10^11 seconds since the epoch, above milliseconds since it (a column `t_s` is seconds at any size). The first is the
   start; several files are laid over each other by their times. column: what the one series of a query_range answer is called; else NULL:
   as its labels say. false: err says where and why. */
bool input_read_file(struct input *input, const char *path, const char *column, struct error *err);
bool input_read(struct input *input, const char *name, const char *bytes, size_t length, const char *column,
                struct error *err);
/* "0x10 5+1x20 _x3 failed stale", as promtool has it: a+bxn is a, a+b, ... a+b*n; one value every step_ms. */
bool input_read_notation(struct input *input, const char *column, const char *values, int64_t step_ms,
                         struct error *err);
/* The samples of one object of a recording (a folder or a file), a column per trigger; key: "ScaledObject/shop/checkout", NULL: the only one there is. */
bool input_read_recording(struct input *input, const char *path, const char *key, struct error *err);
/* Later than what the column has; the caller keeps SIM_INPUT_VALUES_MAX. */
void input_add(struct input *input, const char *column, const struct input_value *value);

size_t input_columns(const struct input *input);
const char *input_name(const struct input *input, uint16_t column);
uint16_t input_column(const struct input *input, const char *name);
size_t input_values(const struct input *input, uint16_t column, const struct input_value **out);
int64_t input_start_ms(const struct input *input); /* wall clock; 0: its times are relative */
int64_t input_end_ms(const struct input *input);   /* since the start: the last value's time plus the step before it */
/* What a source says at that moment. false: nothing yet. */
bool input_at(const struct input *input, uint16_t column, int64_t at_ms, struct input_value *out);

#endif
