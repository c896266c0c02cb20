/*
 * trace: requests of the past, read from files in the forms in which they are published, and made into more.
 *
 *     struct trace trace = {0};
 *     for each line: trace_read_line(&trace, line, length, &err)      -- header and empty lines are skipped
 *     trace_finish(&trace);                                           -- by time, from 0
 *     trace_free(&trace);
 *
 * Three forms, told apart line by line: Azure's CSV (TIMESTAMP,ContextTokens,GeneratedTokens), Mooncake's JSON lines (timestamp in ms,
 * input_length, output_length), and CSV of 10-second sums (t_s,requests,prompt_tokens,generated_tokens). Rules: serving-model.md 8.
 * Times are nanoseconds. Pure. Not for threads.
 */
#ifndef WEIR_SIM_TRACE_H
#define WEIR_SIM_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

struct trace_request {
    int64_t at_ns, prompt, generated;
};
struct trace { /* all zero: empty */
    struct trace_request *requests;
    size_t count, size;
};

void trace_add(struct trace *trace, int64_t at_ns, int64_t prompt, int64_t generated);
/* One line without its line end. False: of no known form, or over a bound (SIM_TRACE_REQUESTS_MAX); err->where is left to the caller. */
bool trace_read_line(struct trace *trace, const char *line, size_t length, struct error *err);
/* Sorts by time (stable), and lets the first request be at 0. */
void trace_finish(struct trace *trace);
/* Sums of a bucket of 10 s as `requests` evenly spaced ones; tokens in equal parts, the remainder one each to the first. */
void trace_add_bucket(struct trace *trace, int64_t at_ns, int64_t requests, int64_t prompt, int64_t generated);
/* Every request `copies` times, copy j later by floor(j * spread / copies): the same shape in a larger fleet. */
void trace_amplify(struct trace *trace, int64_t copies, int64_t spread_ns);
void trace_free(struct trace *trace);

#endif
