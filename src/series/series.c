/*
 * series: the ring of samples: taking one in, forgetting, thinning.
 *
 *     start                              newest
 *       v                                  v
 *     [ a | b . . c . . d . . e . f.g.h.i.j ]        a: the good one that was current when the span begins
 *         |<------- span ------------------>|
 *           merged to even gaps | as they came
 *
 * A full ring is thinned from its old end: of every stretch of twice the even distance (span / samples_max) one sample stays,
 * until a quarter of the ring is free. So the old part is even, the new part as fine as memory allows, and a sample costs
 * constant time on the average. Merging keeps a value that was measured (a mean would be no reading of a counter) and counts
 * for how many it stands, so that an average does not lean towards the part that is still fine.
 *
 * The wall clock may jump (failure-modes.md M10). Ahead: what falls out of the span is forgotten. Back: samples are dropped
 * until the clock has caught up, or for a minute; then what was taken under the wrong clock is worth less than a new start.
 */
#include "series/series_internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/time.h"

enum { ROOM_FIRST = 8 };

static_assert(sizeof(struct sample) == 24, "memory per sample is a promise of series.h");

struct series *series_new(int64_t span_ms, size_t samples_max)
{
    struct series *series = mem_alloc(sizeof(*series));

    series->span_ms = span_ms > 0 ? span_ms : 1;
    series->samples_max = samples_max > 0 ? samples_max : 1;
    return series;
}

struct series *series_copy(const struct series *series)
{
    struct series *copy = mem_alloc(sizeof(*copy));

    *copy = *series;
    copy->ring = mem_array(series->room ? series->room : 1, sizeof(*copy->ring));
    if (series->room > 0)
        memcpy(copy->ring, series->ring, series->room * sizeof(*copy->ring));
    return copy;
}

void series_free(struct series *series)
{
    if (!series)
        return;
    free(series->ring);
    free(series);
}

size_t series_count(const struct series *series)
{
    return series->count;
}

size_t series_bytes(const struct series *series)
{
    return sizeof(*series) + series->room * sizeof(*series->ring);
}

static struct sample *slot(const struct series *series, size_t index)
{
    size_t at = series->start + index;

    return &series->ring[at < series->room ? at : at - series->room];
}

const struct sample *series_at(const struct series *series, size_t index)
{
    assert(index < series->count);
    return slot(series, index);
}

bool sample_is_good(const struct sample *sample)
{
    return sample->state == SAMPLE_OK && isfinite(sample->value);
}

int64_t instant_before(int64_t at_ms, int64_t span_ms)
{
    int64_t before;

    return __builtin_sub_overflow(at_ms, span_ms, &before) ? INT64_MIN : before;
}

size_t series_after(const struct series *series, int64_t at_ms)
{
    size_t low = 0, high = series->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (slot(series, middle)->at_ms <= at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void drop_first(struct series *series, size_t count)
{
    series->start += count;
    if (series->start >= series->room)
        series->start -= series->room;
    series->count -= count;
}

/* Drops what lies before the span, except the last good sample there, which is still current when the span begins. */
static void forget(struct series *series)
{
    int64_t newest_ms = slot(series, series->count - 1)->at_ms;
    int64_t begin_ms = instant_before(newest_ms, series->span_ms);
    int64_t oldest_ms = instant_before(begin_ms, series->span_ms);
    size_t inside = series_after(series, begin_ms), good = inside;

    while (good > 0 && !sample_is_good(slot(series, good - 1)))
        good--;
    if (good > 0 && slot(series, good - 1)->at_ms > oldest_ms) {
        *slot(series, inside - 1) = *slot(series, good - 1);
        inside--;
    }
    drop_first(series, inside);
}

/* Two neighbours become one. A good one stays in place of one that is not. */
static struct sample merged(const struct sample *earlier, const struct sample *later)
{
    struct sample kept = *later;
    unsigned weight = (unsigned)earlier->weight + later->weight;

    if (sample_is_good(earlier) != sample_is_good(later))
        return sample_is_good(earlier) ? *earlier : *later;
    kept.weight = (uint16_t)(weight < UINT16_MAX ? weight : UINT16_MAX);
    return kept;
}

/* Merges from the old end, one sample for each stretch of gap_ms, until `enough` places are free; returns how many are.
   The stretches are those of the clock, so that what was merged once is not merged again with the next thinning. */
static size_t merge_neighbours(struct series *series, int64_t gap_ms, size_t enough)
{
    size_t kept = 1, i = 1;

    for (; i < series->count && i - kept < enough; i++) {
        struct sample *last = slot(series, kept - 1), *sample = slot(series, i);

        if (sample->at_ms / gap_ms == last->at_ms / gap_ms)
            *last = merged(last, sample);
        else
            *slot(series, kept++) = *sample;
    }
    for (; i < series->count; i++)
        *slot(series, kept++) = *slot(series, i);
    i -= kept;
    series->count = kept;
    return i;
}

static void thin(struct series *series)
{
    assert(series->samples_max > 0);
    int64_t gap_ms = series->span_ms / (int64_t)series->samples_max * 2;
    size_t enough = series->samples_max / 4;

    if (merge_neighbours(series, gap_ms > 0 ? gap_ms : 1, enough > 0 ? enough : 1) == 0)
        drop_first(series, 1); /* a ring of so few that each has a stretch of its own */
}

/* A ring of twice the size, with the oldest sample first. */
static void grow(struct series *series)
{
    size_t room = series->room ? 2 * series->room : ROOM_FIRST;
    struct sample *ring;

    if (room > series->samples_max)
        room = series->samples_max;
    ring = mem_array(room, sizeof(*ring));
    for (size_t i = 0; i < series->count; i++)
        ring[i] = *slot(series, i);
    free(series->ring);
    series->ring = ring;
    series->room = room;
    series->start = 0;
}

static void append(struct series *series, const struct sample *sample)
{
    if (series->count == series->room && series->room == series->samples_max)
        thin(series);
    if (series->count == series->room)
        grow(series);
    *slot(series, series->count) = *sample;
    slot(series, series->count++)->weight = 1;
}

/* The clock went back: wait for it to catch up, but not for long. true: the series starts anew with this sample. */
static bool gives_up_on(struct series *series, int64_t at_ms)
{
    if (!series->went_back || at_ms < series->back_since_ms) {
        series->went_back = true;
        series->back_since_ms = at_ms;
    }
    if (at_ms - series->back_since_ms <= MINUTE_MS)
        return false;
    series->count = 0;
    series->start = 0;
    return true;
}

void series_add(struct series *series, const struct sample *sample)
{
    struct sample *newest = series->count > 0 ? slot(series, series->count - 1) : NULL;

    if (newest && sample->at_ms < newest->at_ms && !gives_up_on(series, sample->at_ms))
        return;
    series->went_back = false;
    if (newest && series->count > 0 && sample->at_ms == newest->at_ms) {
        uint16_t weight = newest->weight;

        *newest = *sample;
        newest->weight = weight;
        return;
    }
    append(series, sample);
    forget(series);
}

void series_restore(struct series *series, const struct sample *sample)
{
    series_add(series, sample);
    if (sample->weight > 0 && slot(series, series->count - 1)->at_ms == sample->at_ms)
        slot(series, series->count - 1)->weight = sample->weight;
}
