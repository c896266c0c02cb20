/*
 * trace_file: traces in whole files. The first line tells requests one by one from sums in buckets. Sums are read in full before they
 * become anything, because only the distance of their rows says how long a bucket is: those of 10 s become requests, the others means for
 * the fluid model.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/lines.h"
#include "base/tree.h"
#include "sim/cells.h"
#include "sim/model.h"

#define NS_PER_S          INT64_C(1000000000)
#define REQUESTS_EVERY_NS (10 * NS_PER_S)
#define SECONDS_MAX       1e9  /* 30 years: nanoseconds fit into 64 bits */
#define CELL_MAX          1e12 /* nothing is asked so often; and integers stay exact */

/* ------------------------------------------------------------------ headings */

enum column {
    AT,
    REQUESTS,
    PROMPT,
    GENERATED,
    PER_SECOND,
    PER_MINUTE,
    PROMPT_PER_SECOND,
    GENERATED_PER_SECOND,
    NOT_READ
};
enum { COLUMNS_MAX = 32 };

static const struct {
    const char *name;
    enum column column;
} columns[] = {
    {"t_s", AT},
    {"requests", REQUESTS},
    {"prompt_tokens", PROMPT},
    {"generated_tokens", GENERATED},
    {"req_per_s", PER_SECOND},
    {"req_per_min", PER_MINUTE},
    {"req_per_min_mid", PER_MINUTE},
    {"prompt_tokens_per_s", PROMPT_PER_SECOND},
    {"generated_tokens_per_s", GENERATED_PER_SECOND},
    {"req_per_min_low", NOT_READ},
    {"req_per_min_high", NOT_READ},
    {"active_clients", NOT_READ},
    {"rate_weighted_cv", NOT_READ},
    {"token_coverage", NOT_READ},
};

struct heading {
    enum column columns[COLUMNS_MAX];
    size_t count;
    bool has[NOT_READ + 1];
};

static bool find_column(const struct cells *cells, enum column *out)
{
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        if (strlen(columns[i].name) == cells->length && memcmp(columns[i].name, cells->cell, cells->length) == 0) {
            *out = columns[i].column;
            return true;
        }
    return false;
}

/* Sums need all three, rates the requests and both kinds of tokens or none. */
static bool is_complete(const struct heading *h)
{
    const bool *has = h->has;
    bool sums = has[REQUESTS] && has[PROMPT] && has[GENERATED] && !has[PER_SECOND] && !has[PER_MINUTE];
    bool rates = has[PER_SECOND] != has[PER_MINUTE] && !has[REQUESTS] && !has[PROMPT] && !has[GENERATED] &&
                 has[PROMPT_PER_SECOND] == has[GENERATED_PER_SECOND];

    return has[AT] && sums != rates;
}

static bool read_heading(struct heading *h, struct cells *cells, struct error *err)
{
    *h = (struct heading){.count = 0};
    while (cells->more) {
        enum column column;

        if (h->count == COLUMNS_MAX)
            return error_set(err, ERROR_LIMIT, "there are more than %d columns", COLUMNS_MAX);
        if (!cells_next(cells, err))
            return false;
        if (!find_column(cells, &column))
            return error_set(err, ERROR_INVALID, "the column '%.*s' is none of a trace of sums or rates: take it out",
                             (int)(cells->length < 60 ? cells->length : 60), cells->cell);
        if (h->has[column] && column != NOT_READ)
            return error_set(err, ERROR_INVALID, "this column is there twice: take one out");
        h->has[column] = true;
        h->columns[h->count++] = column;
    }
    if (!is_complete(h))
        return error_set(
            err, ERROR_INVALID,
            "columns are missing: t_s,requests,prompt_tokens,generated_tokens for sums, or t_s,req_per_s with "
            "prompt_tokens_per_s,generated_tokens_per_s or neither for rates");
    return true;
}

/* ------------------------------------------------------------------ rows */

struct sums {
    const char *path;
    struct heading heading;
    struct cells cells;
    double (*rows)[NOT_READ + 1];
    size_t count, size;
    const struct trace_shape *shape;
};

static bool read_cell(struct cells *cells, double most, double *out, struct error *err)
{
    if (!number_parse(cells->cell, cells->length, out) || !(*out >= 0 && *out <= most))
        return error_set(err, ERROR_INVALID, "'%.*s' is no number from 0 to %g",
                         (int)(cells->length < 60 ? cells->length : 60), cells->cell, most);
    return true;
}

static bool read_row(struct sums *s, const char *line, size_t length, struct error *err)
{
    double *row = s->rows[s->count];
    size_t i = 0;

    cells_of_line(&s->cells, line, length);
    for (; s->cells.more; i++) {
        if (!cells_next(&s->cells, err))
            return false;
        if (i == s->heading.count)
            return error_set(err, ERROR_INVALID, "the heading has %zu columns, this row more: is a comma too much?", i);
        enum column column = s->heading.columns[i];
        if (!read_cell(&s->cells, column == AT ? SECONDS_MAX : CELL_MAX, &row[column], err))
            return false;
    }
    if (i < s->heading.count)
        return error_set(err, ERROR_INVALID, "the heading has %zu columns, this row fewer: write all of them",
                         s->heading.count);
    return true;
}

/* Rows follow each other at one distance: that is the bucket. */
static bool check_distance(const struct sums *s, struct error *err)
{
    double at = s->rows[s->count][AT], last = s->count > 0 ? s->rows[s->count - 1][AT] : 0;
    double distance = s->count > 1 ? s->rows[1][AT] - s->rows[0][AT] : 0;

    if (s->count == 0)
        return true;
    if (at <= last)
        return error_set(err, ERROR_INVALID, "t_s is %.10g after %.10g: it must rise from row to row", at, last);
    if (s->count > 1 && fabs(at - last - distance) > 1e-6)
        return error_set(
            err, ERROR_INVALID,
            "rows are %.10g s apart, but this one is %.10g s after the one before: add rows of zeros for time "
            "without requests",
            distance, at - last);
    return true;
}

static bool add_row(struct sums *s, const char *line, size_t length, struct error *err)
{
    if (s->count >= SIM_TRACE_BUCKETS_MAX)
        return error_set(err, ERROR_LIMIT, "there are more than %d rows (SIM_TRACE_BUCKETS_MAX): cut the span",
                         SIM_TRACE_BUCKETS_MAX);
    if (s->count == s->size) {
        s->size = s->size ? s->size * 2 : 256;
        s->rows = mem_grow(s->rows, s->size, sizeof(*s->rows));
    }
    memset(s->rows[s->count], 0, sizeof(s->rows[0]));
    if (!read_row(s, line, length, err) || !check_distance(s, err))
        return false;
    s->count++;
    return true;
}

/* ------------------------------------------------------------------ sums into requests or buckets */

static bool check_whole(const struct sums *s, size_t row, struct error *err)
{
    for (enum column i = REQUESTS; i <= GENERATED; i++)
        if (s->rows[row][i] != floor(s->rows[row][i]))
            return error_set(err, ERROR_INVALID, "row %zu: %s is %g, but requests and tokens are whole numbers",
                             row + 1, columns[i].name, s->rows[row][i]);
    return true;
}

static bool make_requests(const struct sums *s, struct trace *out, struct error *err)
{
    for (size_t i = 0; i < s->count; i++) {
        const double *row = s->rows[i];

        if (!check_whole(s, i, err))
            return false;
        if (row[REQUESTS] > SIM_TRACE_REQUESTS_MAX - (double)out->count)
            return error_set(err, ERROR_LIMIT, "the trace has more than %d requests (SIM_TRACE_REQUESTS_MAX); cut it",
                             SIM_TRACE_REQUESTS_MAX);
        trace_add_bucket(out, llround(row[AT] * 1e9), (int64_t)row[REQUESTS], (int64_t)row[PROMPT],
                         (int64_t)row[GENERATED]);
    }
    trace_finish(out);
    return true;
}

static struct model_bucket bucket_of(const struct sums *s, const double *row, double seconds)
{
    const bool *has = s->heading.has;

    if (has[REQUESTS])
        return (struct model_bucket){row[REQUESTS] / seconds, row[PROMPT] / seconds, row[GENERATED] / seconds};
    double requests = has[PER_SECOND] ? row[PER_SECOND] : row[PER_MINUTE] / 60;
    if (has[PROMPT_PER_SECOND])
        return (struct model_bucket){requests, row[PROMPT_PER_SECOND], row[GENERATED_PER_SECOND]};
    return (struct model_bucket){requests, requests * s->shape->prompt, requests * s->shape->generated};
}

static bool make_demand(const struct sums *s, struct trace_file *out, struct error *err)
{
    const bool *has = s->heading.has;

    if (s->count < 2)
        return error_set(err, ERROR_INVALID, "it needs two rows at least: their distance is the length of a bucket");
    if (!has[REQUESTS] && !has[PROMPT_PER_SECOND] && !(s->shape && s->shape->prompt > 0 && s->shape->generated > 0))
        return error_set(
            err, ERROR_INVALID,
            "it counts requests but not their tokens: say how many a mean request has, prompt and generated, "
            "as 2048/28 for code or 1155/211 for conversations");
    out->bucket_ns = llround((s->rows[1][AT] - s->rows[0][AT]) * 1e9);
    if (has[REQUESTS] && out->bucket_ns == REQUESTS_EVERY_NS)
        return make_requests(s, &out->requests, err);
    out->buckets = mem_array(s->count, sizeof(*out->buckets));
    out->bucket_count = s->count;
    for (size_t i = 0; i < s->count; i++)
        out->buckets[i] = bucket_of(s, s->rows[i], (double)out->bucket_ns / 1e9);
    return true;
}

/* ------------------------------------------------------------------ files */

void trace_file_free(struct trace_file *file)
{
    trace_free(&file->requests);
    free(file->buckets);
    *file = (struct trace_file){0};
}

/* Sums and rates begin with t_s in their heading, as nothing else does that is a trace. */
static bool begins_sums(const char *line, size_t length)
{
    return length >= 4 && memcmp(line, "t_s,", 4) == 0;
}

static bool read_sums(struct sums *s, struct lines *in, const char *line, size_t length, struct trace_file *out,
                      struct error *err)
{
    struct error ended = {.kind = ERROR_NONE};

    cells_of_line(&s->cells, line, length);
    bool fine = read_heading(&s->heading, &s->cells, err);
    while (fine && lines_next(in, &line, &length, &ended))
        fine = length == 0 || add_row(s, line, length, err);
    if (!fine)
        return error_add_place(err, "%s:%zu:%zu", s->path, lines_number(in), s->cells.column);
    if (ended.kind != ERROR_NONE && err)
        *err = ended;
    return (ended.kind == ERROR_NONE && make_demand(s, out, err)) || error_add_place(err, "%s", s->path);
}

/* A heading is the first line or none. */
static bool is_in_place(const char *line, size_t length, size_t number, struct error *err)
{
    return number == 1 || length == 0 || *line == '{' || *line == '\r' || (*line >= '0' && *line <= '9') ||
           error_set(err, ERROR_INVALID, "this line is neither a request nor the first, which may be a heading");
}

/* The last one, where this line has added one. */
static bool is_in_order(const struct trace *trace, size_t before, struct error *err)
{
    if (before == 0 || trace->count == before)
        return true;
    int64_t back_ns = trace->requests[before - 1].at_ns - trace->requests[before].at_ns;
    return back_ns <= 0 ||
           error_set(err, ERROR_INVALID, "the time goes back by %.3f s from the request before: sort the lines by time",
                     (double)back_ns / 1e9);
}

static bool read_requests(struct trace *trace, const char *path, struct lines *in, const char *line, size_t length,
                          struct error *err)
{
    struct error ended = {.kind = ERROR_NONE};

    do {
        size_t before = trace->count;

        if (!is_in_place(line, length, lines_number(in), err) || !trace_read_line(trace, line, length, err) ||
            !is_in_order(trace, before, err))
            return error_add_place(err, "%s:%zu", path, lines_number(in));
    } while (lines_next(in, &line, &length, &ended));
    if (ended.kind == ERROR_NONE && trace->count == 0)
        error_set(&ended, ERROR_INVALID, "there is no request in it");
    if (ended.kind != ERROR_NONE) {
        if (err)
            *err = ended;
        return error_add_place(err, "%s", path);
    }
    trace_finish(trace);
    return true;
}

static bool read_demand(struct lines *in, const char *path, const struct trace_shape *shape, struct trace_file *out,
                        struct error *err)
{
    struct sums sums = {.path = path, .shape = shape};
    struct error ended;
    const char *line;
    size_t length;
    bool fine;

    if (!lines_next(in, &line, &length, &ended)) {
        if (ended.kind == ERROR_NONE)
            error_set(&ended, ERROR_INVALID, "the file is empty");
        if (err)
            *err = ended;
        return error_add_place(err, "%s", path);
    }
    if (!begins_sums(line, length))
        return read_requests(&out->requests, path, in, line, length, err);
    cells_init(&sums.cells);
    fine = read_sums(&sums, in, line, length, out, err);
    cells_done(&sums.cells);
    free(sums.rows);
    return fine;
}

bool trace_read_file(const char *path, const struct trace_shape *shape, struct trace_file *out, struct error *err)
{
    struct lines *in = lines_open(path, err);
    struct trace_file file = {.buckets = NULL};

    if (!in)
        return false;
    bool fine = read_demand(in, path, shape, &file, err);
    lines_close(in);
    if (fine)
        *out = file;
    else
        trace_file_free(&file);
    return fine;
}

/* ------------------------------------------------------------------ is it one? */

static bool is_sums_heading(const char *line, size_t length)
{
    struct heading heading;
    struct cells cells;

    cells_init(&cells);
    cells_of_line(&cells, line, length);
    bool fine = begins_sums(line, length) && read_heading(&heading, &cells, NULL);
    cells_done(&cells);
    return fine;
}

static bool is_request(const char *line, size_t length)
{
    static const char azure[] = "TIMESTAMP,ContextTokens,GeneratedTokens";
    struct trace trace = {.count = 0};

    if (length == strlen(azure) && strncasecmp(line, azure, length) == 0)
        return true;
    bool fine = (*line == '{' || (*line >= '0' && *line <= '9')) && trace_read_line(&trace, line, length, NULL);
    trace_free(&trace);
    return fine;
}

bool trace_is_file(const char *path)
{
    struct lines *in = lines_open(path, NULL);
    const char *line;
    size_t length;
    bool fine =
        in && lines_next(in, &line, &length, NULL) && (is_sums_heading(line, length) || is_request(line, length));

    lines_close(in);
    return fine;
}
