/*
 * trace: reading and reshaping. A line is recognised by how it begins: `{` is Mooncake's, a date Azure's, a plain number a bucket's;
 * the first line of a file may be a heading. Digits are read by hand, since times with seven fractional digits have to stay exact.
 */
#include "sim/trace.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/time.h"
#include "base/tree.h"

#define NS_PER_S  INT64_C(1000000000)
#define BUCKET_NS (10 * NS_PER_S)

void trace_add(struct trace *trace, int64_t at_ns, int64_t prompt, int64_t generated)
{
    if (trace->count == trace->size) {
        trace->size = trace->size ? trace->size * 2 : 256;
        trace->requests = mem_grow(trace->requests, trace->size, sizeof(*trace->requests));
    }
    trace->requests[trace->count++] = (struct trace_request){at_ns, prompt, generated};
}

void trace_free(struct trace *trace)
{
    free(trace->requests);
    *trace = (struct trace){0};
}

/* ------------------------------------------------------------------ the places of a line */

struct cursor {
    const char *at, *end;
};

static bool take_char(struct cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

/* A number of at most `digits` digits. */
static bool take_integer(struct cursor *c, int digits, int64_t *out)
{
    const char *from = c->at;

    *out = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9' && c->at - from < digits; c->at++)
        *out = *out * 10 + (*c->at - '0');
    return c->at > from;
}

/* The digits after a decimal point as nanoseconds; those beyond the ninth are dropped. */
static int64_t take_fraction_ns(struct cursor *c)
{
    int64_t ns = 0, unit = NS_PER_S;

    if (!take_char(c, '.'))
        return 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        unit /= 10;
        ns += unit * (*c->at - '0');
    }
    return ns;
}

static bool at_end(const struct cursor *c)
{
    return c->at == c->end || (c->end - c->at == 1 && *c->at == '\r');
}

enum {
    TOKENS_DIGITS = 12,
    COUNT_DIGITS = 9,
    SECONDS_DIGITS = 9,
    YEAR_MIN = 1970,
    YEAR_MAX = 2199 /* nanoseconds of 64 bits */
};

/* ------------------------------------------------------------------ the three forms */

/* 2023-11-16 18:17:03.9799600,4808,10 */
static bool read_azure(struct trace *trace, struct cursor c)
{
    int64_t part[6], prompt, generated;
    static const char separators[] = "-- ::";

    for (int i = 0; i < 6; i++)
        if (!take_integer(&c, i == 0 ? 4 : 2, &part[i]) || (i < 5 && !take_char(&c, separators[i])))
            return false;
    int64_t ns = take_fraction_ns(&c);
    if (!take_char(&c, ',') || !take_integer(&c, TOKENS_DIGITS, &prompt) || !take_char(&c, ',') ||
        !take_integer(&c, TOKENS_DIGITS, &generated) || !at_end(&c) || part[0] < YEAR_MIN || part[0] > YEAR_MAX)
        return false;
    int64_t seconds =
        civil_to_seconds((int)part[0], (int)part[1], (int)part[2], (int)part[3], (int)part[4], (int)part[5]);
    trace_add(trace, seconds * NS_PER_S + ns, prompt, generated);
    return true;
}

/* {"timestamp": 27482, "input_length": 6955, "output_length": 52, ...} */
static bool read_mooncake(struct trace *trace, const char *line, size_t length)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *json;
    struct error err;
    double ms;
    int64_t prompt, generated;
    bool good = tree_read_json(line, length, false, arena, &json, &err) &&
                tree_number(tree_get(json, "timestamp"), &ms) && ms >= 0 && ms < 1e12 &&
                tree_integer(tree_get(json, "input_length"), &prompt) &&
                tree_integer(tree_get(json, "output_length"), &generated);

    if (good)
        trace_add(trace, (int64_t)(ms * 1e6), prompt, generated);
    arena_free(arena);
    return good;
}

void trace_add_bucket(struct trace *trace, int64_t at_ns, int64_t requests, int64_t prompt, int64_t generated)
{
    for (int64_t i = 0; i < requests; i++)
        trace_add(trace, at_ns + i * BUCKET_NS / requests, prompt / requests + (i < prompt % requests),
                  generated / requests + (i < generated % requests));
}

/* 40,83,96011,17518 */
static bool read_bucket(struct trace *trace, struct cursor c, bool *too_many)
{
    int64_t seconds, requests, prompt, generated;

    if (!take_integer(&c, SECONDS_DIGITS, &seconds))
        return false;
    int64_t ns = take_fraction_ns(&c);
    if (!take_char(&c, ',') || !take_integer(&c, COUNT_DIGITS, &requests) || !take_char(&c, ',') ||
        !take_integer(&c, TOKENS_DIGITS, &prompt) || !take_char(&c, ',') ||
        !take_integer(&c, TOKENS_DIGITS, &generated) || !at_end(&c))
        return false;
    *too_many = requests > SIM_TRACE_REQUESTS_MAX - (int64_t)trace->count;
    if (!*too_many)
        trace_add_bucket(trace, seconds * NS_PER_S + ns, requests, prompt, generated);
    return true;
}

bool trace_read_line(struct trace *trace, const char *line, size_t length, struct error *err)
{
    struct cursor c = {line, line + length};
    bool too_many = trace->count >= SIM_TRACE_REQUESTS_MAX;

    if (at_end(&c))
        return true;
    if (!too_many) {
        bool heading = trace->count == 0 && *line != '{' && !(*line >= '0' && *line <= '9');

        if (!heading && !(*line == '{' && read_mooncake(trace, line, length)) && !read_azure(trace, c) &&
            !read_bucket(trace, c, &too_many))
            return error_set(
                err, ERROR_INVALID,
                "this line is of no known form: TIMESTAMP,ContextTokens,GeneratedTokens (Azure), JSON with "
                "timestamp, input_length and output_length (Mooncake), or t_s,requests,prompt_tokens,"
                "generated_tokens");
    }
    if (too_many)
        return error_set(err, ERROR_LIMIT, "the trace has more than %d requests (SIM_TRACE_REQUESTS_MAX); cut it",
                         SIM_TRACE_REQUESTS_MAX);
    return true;
}

/* ------------------------------------------------------------------ order, and more of it */

struct ranked {
    struct trace_request request;
    size_t rank;
};

static int by_time(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;

    if (a->request.at_ns != b->request.at_ns)
        return a->request.at_ns < b->request.at_ns ? -1 : 1;
    return (a->rank > b->rank) - (a->rank < b->rank);
}

/* Equal times keep the order in which they stand. */
static void sort_by_time(struct trace *trace)
{
    struct ranked *ranked = mem_array(trace->count ? trace->count : 1, sizeof(*ranked));

    for (size_t i = 0; i < trace->count; i++)
        ranked[i] = (struct ranked){trace->requests[i], i};
    qsort(ranked, trace->count, sizeof(*ranked), by_time);
    for (size_t i = 0; i < trace->count; i++)
        trace->requests[i] = ranked[i].request;
    free(ranked);
}

void trace_finish(struct trace *trace)
{
    sort_by_time(trace);
    for (size_t i = trace->count; i-- > 0;)
        trace->requests[i].at_ns -= trace->requests[0].at_ns;
}

void trace_amplify(struct trace *trace, int64_t copies, int64_t spread_ns)
{
    struct trace more = {0};

    for (size_t i = 0; i < trace->count; i++)
        for (int64_t j = 0; j < copies; j++)
            trace_add(&more, trace->requests[i].at_ns + (int64_t)((__int128)j * spread_ns / copies),
                      trace->requests[i].prompt, trace->requests[i].generated);
    sort_by_time(&more);
    trace_free(trace);
    *trace = more;
}
