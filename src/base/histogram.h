/*
 * histogram: how often something took how long, in a fixed number of steps; the form in which Prometheus and OpenTelemetry want it.
 *
 *     struct histogram h = {0};
 *     histogram_add(&h, 12);                        -- milliseconds
 *     h.counts[i]                                   -- took at most histogram_bounds_ms[i], and more than the bound before
 *
 * The steps are those of KEDA's keda_scaler_http_request_duration_seconds, with 1 ms below them and a minute above: 15 numbers, so that one
 * may be kept for each trigger type and status. Plain data: zeroed, it is empty; it may be copied.
 */
#ifndef WEIR_BASE_HISTOGRAM_H
#define WEIR_BASE_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 14 };
extern const int64_t histogram_bounds_ms[HISTOGRAM_BOUNDS];

struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* the last: above all bounds */
    uint64_t sum_ms;
};
void histogram_add(struct histogram *histogram, int64_t took_ms); /* negative: 0 */
uint64_t histogram_count(const struct histogram *histogram);

#endif
