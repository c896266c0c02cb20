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
 * Whole files may also hold rates per bucket of some minutes, for the fluid model:
 *
 *     struct trace_file file;
 *     if (!trace_read_file("week.csv", &(struct trace_shape){2048, 28}, &file, &err)) ...   -- err->where: file, line, column
 *     ... file.requests, or file.buckets ...
 *     trace_file_free(&file);
 *
 * Times are nanoseconds. Only whole files do input. Not for threads.
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

/* ---- whole files, gzip or plain ---- */
struct model_bucket; /* sim/model.h */

struct
    trace_shape { /* tokens of a mean request, for files that only count requests (serving-model.md 8); 0: not known */
    double prompt, generated;
};
struct trace_file {        /* either requests or buckets */
    struct trace requests; /* sorted, from 0 */
    struct model_bucket *buckets;
    size_t bucket_count;
    int64_t bucket_ns;
};
/* Whether the file's first line is one of a trace; else it may be columns over time (input.h). A file that cannot be read is none. */
bool trace_is_file(const char *path);
/* Besides the three forms: sums of other buckets than 10 s (t_s,requests,prompt_tokens,generated_tokens), and rates (t_s, then req_per_s,
   req_per_min or req_per_min_mid, then prompt_tokens_per_s and generated_tokens_per_s or none). Where there are no tokens, those of shape;
   NULL: then it is an error. Columns about rates that need no reading are known by name, others are refused, and so is a time that goes back. */
bool trace_read_file(const char *path, const struct trace_shape *shape, struct trace_file *out, struct error *err);
void trace_file_free(struct trace_file *file);

#endif
