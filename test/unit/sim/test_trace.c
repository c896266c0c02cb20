/* Traces: the three forms, what is refused, and copies that keep the shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "sim/trace.h"

static const struct {
    const char *line;
    bool good;
    struct trace_request last; /* only if good and a request was added */
    size_t count;
} lines[] = {
    {"TIMESTAMP,ContextTokens,GeneratedTokens", true, {0, 0, 0}, 0},
    {"", true, {0, 0, 0}, 0},
    {"\r", true, {0, 0, 0}, 0},
    {"1970-01-01 00:00:03.9799600,4808,10", true, {3979960000, 4808, 10}, 1},
    {"1970-01-01 00:01:00,1,2\r", true, {60000000000, 1, 2}, 1},
    {"{\"timestamp\": 1500, \"input_length\": 6955, \"output_length\": 52, \"hash_ids\": [1]}",
     true,
     {1500000000, 6955, 52},
     1},
    {"40,3,10,7", true, {46666666666, 3, 2}, 3},
    {"40,0,0,0", true, {0, 0, 0}, 0},
    {"7016-11-16 18:17:03.9799600,4808,10", false, {0, 0, 0}, 0},
    {"1078-11-16 18:17:03.9799600,4808,10", false, {0, 0, 0}, 0},
    {"1970-01-01 00:00:03.9799600,4808", false, {0, 0, 0}, 0},
    {"1970-01-01 00:00:03.9799600,4808,10,1", false, {0, 0, 0}, 0},
    {"{\"timestamp\": 1500, \"input_length\": 6955}", false, {0, 0, 0}, 0},
    {"{\"timestamp\": ", false, {0, 0, 0}, 0},
    {"40,3,10", false, {0, 0, 0}, 0},
    {"40,999999999,10,7", false, {0, 0, 0}, 0}, /* over the bound */
    {"40,3,99999999999999999999,7", false, {0, 0, 0}, 0},
};

static void lines_are_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct trace trace = {0};
        struct error err;

        if (trace_read_line(&trace, lines[i].line, strlen(lines[i].line), &err) != lines[i].good ||
            trace.count != lines[i].count)
            fail_msg("%s: %zu requests", lines[i].line, trace.count);
        if (trace.count > 0)
            assert_memory_equal(&trace.requests[trace.count - 1], &lines[i].last, sizeof(lines[i].last));
        trace_free(&trace);
    }
}

static void a_heading_is_only_first(void **state)
{
    struct trace trace = {0};
    struct error err;

    (void)state;
    assert_true(trace_read_line(&trace, "1970-01-01 00:01:00,1,2", 23, &err));
    assert_false(trace_read_line(&trace, "TIMESTAMP,A,B", 13, &err));
    assert_non_null(strstr(err.text, "no known form"));
    trace_free(&trace);
}

static void times_begin_at_zero_in_order(void **state)
{
    struct trace trace = {0};

    (void)state;
    trace_add(&trace, 9, 1, 1);
    trace_add(&trace, 5, 2, 1);
    trace_add(&trace, 9, 3, 1);
    trace_finish(&trace);
    assert_memory_equal(trace.requests, ((struct trace_request[]){{0, 2, 1}, {4, 1, 1}, {4, 3, 1}}),
                        3 * sizeof(struct trace_request));
    trace_amplify(&trace, 2, 7);
    assert_memory_equal(trace.requests,
                        ((struct trace_request[]){{0, 2, 1}, {3, 2, 1}, {4, 1, 1}, {4, 3, 1}, {7, 1, 1}, {7, 3, 1}}),
                        6 * sizeof(struct trace_request));
    trace_free(&trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_or_refused),
        cmocka_unit_test(a_heading_is_only_first),
        cmocka_unit_test(times_begin_at_zero_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
