/*
 * series_internal: what the ring (series.c) and the questions about it (series_window.c) share.
 */
#ifndef WEIR_SERIES_SERIES_INTERNAL_H
#define WEIR_SERIES_SERIES_INTERNAL_H

#include "series/series.h"

struct series {
    struct sample *ring; /* of `room` places, the oldest sample at `start` */
    size_t room, start, count, samples_max;
    int64_t span_ms;
    int64_t back_since_ms; /* the first sample since the clock went back, if it did */
    bool went_back;
};

bool sample_is_good(const struct sample *sample);
int64_t instant_before(int64_t at_ms, int64_t span_ms); /* stays in range */
/* Index of the first sample after the instant; the count if there is none. */
size_t series_after(const struct series *series, int64_t at_ms);

#endif
