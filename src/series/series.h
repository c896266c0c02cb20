/*
 * series: what a trigger reported lately, and questions about it.
 *
 *     struct series *s = series_new(10 * MINUTE_MS, 600);
 *     series_add(s, &(struct sample){.state = SAMPLE_OK, .value = 12, .at_ms = now_ms});
 *     double mean = series_avg(s, now_ms, 5 * MINUTE_MS);
 *     series_free(s);
 *
 * A series forgets: samples older than its span go (but for the good one that was current when the span begins), and when
 * more arrive than it holds, neighbours are merged, the oldest first, so that the span stays covered evenly: the later one
 * stays and stands for both in means, sums, deviations, quantiles and slopes. Windows are half open, (now - window, now]. A sample that is not ok takes up time but has
 * no value. Samples with the same instant replace each other; one older than the newest is dropped (a clock that went back:
 * after more than a minute of that, the series starts anew). No good sample in a window: NaN. A value that is not finite is
 * not good, whatever its state says.
 * Reads no clock and does no input or output. Not for threads: one owner at a time.
 */
#ifndef WEIR_SERIES_SERIES_H
#define WEIR_SERIES_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No data is not zero (DESIGN.md 3.5). */
enum sample_state {
    SAMPLE_NONE,    /* nobody asked yet */
    SAMPLE_OK,      /* value is the value */
    SAMPLE_MISSING, /* the source answered, without a value; value is what KEDA would use, counted when the hold ends */
    SAMPLE_FAILED,  /* no answer, or one that cannot be used */
};

/* Whether there is work to do where that does not follow from value and threshold: what the source says about it. */
enum sample_activity { ACTIVITY_BY_VALUE, ACTIVITY_ON, ACTIVITY_OFF };

struct sample {
    double value;
    int64_t at_ms; /* when the answer came, wall clock */
    enum sample_state state;
    bool stand_in;    /* SAMPLE_OK only: there was no value, but the manifest says in so many words which one to use */
    uint8_t activity; /* enum sample_activity; but for ON, which a source may push at any time, SAMPLE_OK only */
    uint16_t weight;  /* how many samples this one stands for; set by the series */
};

static inline bool sample_is_active(const struct sample *sample, double value, double activation)
{
    if (sample->activity == ACTIVITY_ON || (sample->activity == ACTIVITY_OFF && sample->state == SAMPLE_OK))
        return sample->activity == ACTIVITY_ON;
    return value > activation;
}

struct series;

/* At most samples_max samples are kept, 24 bytes each; memory grows with what is there. */
struct series *series_new(int64_t span_ms, size_t samples_max);
struct series *series_copy(const struct series *series);
void series_free(struct series *series); /* NULL is fine */
void series_add(struct series *series, const struct sample *sample);
/* The same with the weight it has (0: 1): so a series that was written down becomes what it was. */
void series_restore(struct series *series, const struct sample *sample);
size_t series_count(const struct series *series);
size_t series_bytes(const struct series *series);
/* index 0 is the oldest. */
const struct sample *series_at(const struct series *series, size_t index);

double series_avg(const struct series *series, int64_t now_ms, int64_t window_ms);
double series_min(const struct series *series, int64_t now_ms, int64_t window_ms);
double series_max(const struct series *series, int64_t now_ms, int64_t window_ms);
double series_sum(const struct series *series, int64_t now_ms, int64_t window_ms);
double series_stddev(const struct series *series, int64_t now_ms, int64_t window_ms); /* of the population */
/* Linear interpolation between ranks, as PromQL's quantile_over_time; q outside 0..1 gives -Inf or +Inf. */
double series_quantile(const struct series *series, double q, int64_t now_ms, int64_t window_ms);
/* Of a counter: falls are resets. Not extrapolated beyond the first and last good sample. increase / span of them. */
double series_rate(const struct series *series, int64_t now_ms, int64_t window_ms); /* per second */
double series_increase(const struct series *series, int64_t now_ms, int64_t window_ms);
/* Of a gauge: last - first good sample; slope per second by least squares. Fewer than two: NaN. */
double series_delta(const struct series *series, int64_t now_ms, int64_t window_ms);
double series_deriv(const struct series *series, int64_t now_ms, int64_t window_ms);
double series_predict_linear(const struct series *series, int64_t now_ms, int64_t window_ms, int64_t ahead_ms);
/* The good sample that was current `ago_ms` before now: the last one at or before that instant, not older than two spans. */
double series_ago(const struct series *series, int64_t now_ms, int64_t ago_ms);
/* The newest good sample if it is not older than window_ms. */
double series_recent(const struct series *series, int64_t now_ms, int64_t window_ms);

#endif
