/* histogram: see histogram.h. */
#include "base/histogram.h"

const int64_t histogram_bounds_ms[HISTOGRAM_BOUNDS] = {1,   5,    10,   25,   50,    100,   250,
                                                       500, 1000, 2500, 5000, 10000, 30000, 60000};

void histogram_add(struct histogram *histogram, int64_t took_ms)
{
    int i = 0;

    if (took_ms < 0)
        took_ms = 0;
    while (i < HISTOGRAM_BOUNDS && took_ms > histogram_bounds_ms[i])
        i++;
    histogram->counts[i]++;
    histogram->sum_ms += (uint64_t)took_ms;
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;

    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++)
        count += histogram->counts[i];
    return count;
}
