/* What kind of number a PromQL query gives. */
#include "check.h"

#include <math.h>

#include "base/time.h"
#include "policy/policy_internal.h"

static const struct {
    const char *query;
    enum query_kind kind;
    double low, high, divided_by, added;
    int window_s;
} rows[] = {
    {"queue", QUERY_OTHER, 0, INFINITY, 0, 0, 0},
    {"queue{a=\"1\", b=~\"x|y\"}", QUERY_OTHER, 0, INFINITY, 0, 0, 0},
    {"sum(queue)", QUERY_TOTAL, 0, INFINITY, 0, 0, 0},
    {" ( sum by (app) (queue{x=\"(\"}) ) ", QUERY_TOTAL, 0, INFINITY, 0, 0, 0},
    {"sum(queue) by (app)", QUERY_TOTAL, 0, INFINITY, 0, 0, 0},
    {"SUM (queue)", QUERY_TOTAL, 0, INFINITY, 0, 0, 0},
    {"count(up)", QUERY_TOTAL, 0, INFINITY, 0, 0, 0},
    {"avg(queue)", QUERY_MEAN, 0, INFINITY, 0, 0, 0},
    {"avg without (pod) (queue)", QUERY_MEAN, 0, INFINITY, 0, 0, 0},
    {"quantile(0.9, queue)", QUERY_MEAN, 0, INFINITY, 0, 0, 0},
    {"max(avg(queue))", QUERY_MEAN, 0, INFINITY, 0, 0, 0},
    {"histogram_quantile(0.95,\n  sum(rate(l_bucket[1m])) by (le)\n)", QUERY_MEAN, -INFINITY, INFINITY, 0, 0, 60},
    {"sum(rate(r[5m]))", QUERY_TOTAL, 0, INFINITY, 0, 0, 300},
    {"sum(rate(r[5m])) + sum(rate(s[90s]))", QUERY_TOTAL, 0, INFINITY, 0, 0, 90},
    {"sum(rate(r[$__rate_interval]))", QUERY_TOTAL, 0, INFINITY, 0, 0, 0},
    {"sum(rate(r{x=\"[5s]\"}[5m])) # not [1s]", QUERY_TOTAL, 0, INFINITY, 0, 0, 300},
    {"max_over_time(sum(q)[10m:30s])", QUERY_OTHER, 0, INFINITY, 0, 0, 0},
    {"sum(a) / sum(b)", QUERY_RATIO, 0, INFINITY, 0, 0, 0},
    {"sum(a) / on(x) group_left(y) sum(b)", QUERY_RATIO, 0, INFINITY, 0, 0, 0},
    {"sum(a) / count(up{app=\"a\"})", QUERY_PER_POD, 0, INFINITY, 0, 0, 0},
    {"sum(a) / sum(kube_deployment_status_replicas{d=\"x\"})", QUERY_PER_POD, 0, INFINITY, 0, 0, 0},
    {"sum(rate(r{code=~\"5..\", app=\"x\"}[1m])) / sum(rate(r{app=\"x\"}[1m]))", QUERY_RATIO, 0, 1, 0, 0, 60},
    {"100 * sum(r{c=\"5\"}) / sum(r)", QUERY_RATIO, 0, INFINITY, 0, 0, 0},
    {"100 * (sum(r{c=\"5\"}) / sum(r))", QUERY_RATIO, 0, 100, 0, 0, 0},
    {"sum(r{app=\"x\"}) / sum(r{app=\"y\"})", QUERY_RATIO, 0, INFINITY, 0, 0, 0},
    {"avg(r{app=\"x\"}) / avg(r)", QUERY_RATIO, 0, INFINITY, 0, 0, 0},
    {"1 - sum(r{c=\"5\"}) / sum(r)", QUERY_RATIO, 0, 1, 0, 0, 0},
    {"sum(q) / 10", QUERY_TOTAL, 0, INFINITY, 10, 0, 0},
    {"sum(q) / 1e-3", QUERY_TOTAL, 0, INFINITY, 0.001, 0, 0},
    {"sum(q) + 2", QUERY_TOTAL, 2, INFINITY, 0, 2, 0},
    {"3 + sum(q)", QUERY_TOTAL, 3, INFINITY, 0, 3, 0},
    {"sum(q) - 2", QUERY_TOTAL, -2, INFINITY, 0, -2, 0},
    {"sum(q) - sum(p)", QUERY_OTHER, -INFINITY, INFINITY, 0, 0, 0},
    {"sum(q) or vector(0)", QUERY_TOTAL, 0, INFINITY, 0, 0, 0},
    {"sum(q) > 5", QUERY_TOTAL, 0, INFINITY, 0, 0, 0},
    {"sum(q) > bool 5", QUERY_OTHER, 0, 1, 0, 0, 0},
    {"sum(q) and on() sum(p) > 3", QUERY_TOTAL, 0, INFINITY, 0, 0, 0},
    {"clamp_max(sum(q), 8)", QUERY_TOTAL, 0, 8, 0, 0, 0},
    {"clamp(q, 2, 8)", QUERY_OTHER, 2, 8, 0, 0, 0},
    {"vector(3)", QUERY_NUMBER, 3, 3, 0, 0, 0},
    {"7", QUERY_NUMBER, 7, 7, 0, 0, 0},
    {"deriv(q[5m])", QUERY_OTHER, -INFINITY, INFINITY, 0, 0, 300},
    {"sum(deriv(q[5m]))", QUERY_TOTAL, -INFINITY, INFINITY, 0, 0, 300},
    {"-q", QUERY_OTHER, -INFINITY, INFINITY, 0, 0, 0},
    {"q offset -5m", QUERY_OTHER, 0, INFINITY, 0, 0, 0},
    {"q ^ 2", QUERY_OTHER, 0, INFINITY, 0, 0, 0},
    {"", QUERY_OTHER, -INFINITY, INFINITY, 0, 0, 0},
    {"sum(", QUERY_OTHER, 0, INFINITY, 0, 0, 0},
    {"\"open", QUERY_OTHER, 0, INFINITY, 0, 0, 0},
    {"((((((((((((((((((((a)", QUERY_OTHER, 0, INFINITY, 0, 0, 0},
};

static void test_queries(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct query_shape s;

        query_read(rows[i].query, &s);
        if (s.kind != rows[i].kind || s.low != rows[i].low || s.high != rows[i].high ||
            s.divided_by != rows[i].divided_by || s.added != rows[i].added ||
            s.window_ms != rows[i].window_s * SECOND_MS)
            fail_msg("%s: kind %d, %g..%g, / %g, + %g, window %lld", rows[i].query, s.kind, s.low, s.high, s.divided_by,
                     s.added, (long long)s.window_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_queries)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
