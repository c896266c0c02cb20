/*
 * inference_window: a track is a short list of points in time, each with a row of totals that only grow. What happened in a
 * window is the difference of two points. Points closer than a fraction of the window replace each other, so a track has a
 * bounded number of them however often one asks.
 *
 *     replica A: last reading --increase--> its own track (counters)
 *     replica B: last reading --increase--> one track for all (histograms: they are added before a quantile is taken)
 */
#include "trigger/family/inference_window.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/atom.h"
#include "base/limits.h"

enum { POINTS_MAX = 24, WIDTH_MAX = PAGE_SERIES_MAX * PAGE_BUCKETS_MAX };

struct track {
    size_t width, count;
    int64_t at_ms[POINTS_MAX];
    double *totals; /* POINTS_MAX rows of `width` */
};

struct replica {
    const char *name; /* an atom */
    int64_t seen_at_ms;
    size_t width;
    double *last, *totals;
    struct track track; /* counters only */
};

struct window {
    int64_t window_ms;
    struct replica *replicas;
    size_t replica_count, replica_room;
    /* histograms */
    size_t bucket_count[PAGE_SERIES_MAX];
    double limits[PAGE_SERIES_MAX][PAGE_BUCKETS_MAX];
    double *totals; /* of all replicas */
    size_t width;
    struct track track;
};

/* ------------------------------------------------------------------ tracks */

static void track_reset(struct track *track, size_t width)
{
    free(track->totals);
    track->totals = mem_array(POINTS_MAX * width, sizeof(double));
    track->width = width;
    track->count = 0;
}

static double *track_row(const struct track *track, size_t point)
{
    return track->totals + point * track->width;
}

static void track_drop_first(struct track *track)
{
    track->count--;
    memmove(track->at_ms, track->at_ms + 1, track->count * sizeof(track->at_ms[0]));
    memmove(track->totals, track->totals + track->width, track->count * track->width * sizeof(double));
}

static void track_add(struct track *track, int64_t window_ms, int64_t now_ms, const double *totals)
{
    int64_t spacing = window_ms / (POINTS_MAX / 2);

    if (track->count > 0 && now_ms < track->at_ms[track->count - 1])
        track->count = 0; /* the clock went back: start anew */
    while (track->count > 1 && track->at_ms[1] <= now_ms - 2 * window_ms)
        track_drop_first(track);
    if (track->count >= 2 && track->at_ms[track->count - 1] - track->at_ms[track->count - 2] < spacing)
        track->count--; /* the newest was only a stop-gap */
    if (track->count == POINTS_MAX)
        track_drop_first(track);
    track->at_ms[track->count] = now_ms;
    memcpy(track_row(track, track->count), totals, track->width * sizeof(double));
    track->count++;
}

/* The point to compare the newest with: the last one that is a window old, else the first there is. None: less than two, or
   it is older than two windows. */
static bool track_base(const struct track *track, int64_t window_ms, int64_t now_ms, size_t *base)
{
    *base = 0;
    if (track->count < 2)
        return false;
    for (size_t i = 0; i + 1 < track->count; i++)
        if (track->at_ms[i] <= now_ms - window_ms)
            *base = i;
    return track->at_ms[*base] > now_ms - 2 * window_ms && track->at_ms[track->count - 1] > track->at_ms[*base];
}

/* ------------------------------------------------------------------ replicas */

struct window *window_new(int64_t window_ms)
{
    struct window *window = mem_alloc(sizeof(*window));

    window->window_ms = window_ms > 0 ? window_ms : 1;
    return window;
}

static void replica_free(struct replica *replica)
{
    atom_unref(replica->name);
    free(replica->last);
    free(replica->totals);
    free(replica->track.totals);
}

void window_free(struct window *window)
{
    if (!window)
        return;
    for (size_t i = 0; i < window->replica_count; i++)
        replica_free(&window->replicas[i]);
    free(window->replicas);
    free(window->totals);
    free(window->track.totals);
    free(window);
}

/* Known: it was seen with the same number of values; else its reading is only noted. NULL: there are too many. */
static struct replica *find_replica(struct window *window, const char *name, size_t width, int64_t now_ms, bool *known)
{
    struct replica *replica = NULL;

    for (size_t i = 0; i < window->replica_count && !replica; i++)
        if (strcmp(window->replicas[i].name, name) == 0)
            replica = &window->replicas[i];
    *known = replica && replica->width == width && replica->seen_at_ms > now_ms - 2 * window->window_ms &&
             replica->seen_at_ms <= now_ms;
    if (!replica) {
        if (window->replica_count == POLL_FANOUT_MAX)
            return NULL;
        if (window->replica_count == window->replica_room) {
            window->replica_room = window->replica_room * 2 + 4;
            window->replicas = mem_grow(window->replicas, window->replica_room, sizeof(*window->replicas));
        }
        replica = &window->replicas[window->replica_count++];
        memset(replica, 0, sizeof(*replica));
        replica->name = atom_ref(name);
    }
    if (!*known) {
        free(replica->last);
        free(replica->totals);
        replica->last = mem_array(width, sizeof(double));
        replica->totals = mem_array(width, sizeof(double));
        replica->width = width;
    }
    replica->seen_at_ms = now_ms;
    return replica;
}

void window_prune(struct window *window, int64_t now_ms)
{
    for (size_t i = 0; i < window->replica_count;) {
        if (window->replicas[i].seen_at_ms > now_ms - 2 * window->window_ms) {
            i++;
            continue;
        }
        replica_free(&window->replicas[i]);
        window->replicas[i] = window->replicas[--window->replica_count];
    }
}

/* ------------------------------------------------------------------ counters */

bool window_counters(struct window *window, const char *name, int64_t now_ms, const struct page *page, double *rates)
{
    bool known;
    struct replica *replica = find_replica(window, name, page->count, now_ms, &known);
    size_t base;

    if (!replica)
        return false;
    if (!known)
        track_reset(&replica->track, page->count);
    for (size_t i = 0; i < page->count; i++) {
        double value = page->series[i].value;

        if (known)
            replica->totals[i] += value < replica->last[i] ? value : value - replica->last[i];
        replica->last[i] = value;
    }
    track_add(&replica->track, window->window_ms, now_ms, replica->totals);
    if (!track_base(&replica->track, window->window_ms, now_ms, &base))
        return false;
    for (size_t i = 0; i < page->count; i++)
        rates[i] = (track_row(&replica->track, replica->track.count - 1)[i] - track_row(&replica->track, base)[i]) *
                   1000 / (double)(now_ms - replica->track.at_ms[base]);
    return true;
}

/* ------------------------------------------------------------------ histograms */

/* Same limits as before? Another set (an upgrade changed them) starts everything anew. */
static bool same_limits(const struct window *window, const struct page *page)
{
    for (size_t s = 0; s < page->count; s++) {
        if (window->bucket_count[s] != page->series[s].bucket_count)
            return false;
        for (size_t b = 0; b < page->series[s].bucket_count; b++)
            if (window->limits[s][b] != page->series[s].buckets[b].limit)
                return false;
    }
    return true;
}

static void take_limits(struct window *window, const struct page *page)
{
    window->width = 0;
    memset(window->bucket_count, 0, sizeof(window->bucket_count));
    for (size_t s = 0; s < page->count; s++) {
        window->bucket_count[s] = page->series[s].bucket_count;
        for (size_t b = 0; b < page->series[s].bucket_count; b++)
            window->limits[s][b] = page->series[s].buckets[b].limit;
        window->width += page->series[s].bucket_count;
    }
    for (size_t i = 0; i < window->replica_count; i++)
        replica_free(&window->replicas[i]);
    window->replica_count = 0;
    free(window->totals);
    window->totals = mem_array(window->width, sizeof(double));
    track_reset(&window->track, window->width);
}

static void add_series(struct replica *replica, bool known, const struct page_series *series, size_t offset,
                       double *totals)
{
    bool fell = false;

    for (size_t b = 0; b < series->bucket_count && known; b++)
        fell |= series->buckets[b].count < replica->last[offset + b];
    for (size_t b = 0; b < series->bucket_count; b++) {
        if (known)
            totals[offset + b] += series->buckets[b].count - (fell ? 0 : replica->last[offset + b]);
        replica->last[offset + b] = series->buckets[b].count;
    }
}

void window_histograms(struct window *window, const char *name, int64_t now_ms, const struct page *page)
{
    struct replica *replica;
    size_t offset = 0;
    bool known;

    if (window->width == 0 || !same_limits(window, page))
        take_limits(window, page);
    replica = find_replica(window, name, window->width, now_ms, &known);
    for (size_t s = 0; replica && s < page->count; s++) {
        add_series(replica, known, &page->series[s], offset, window->totals);
        offset += page->series[s].bucket_count;
    }
}

void window_histograms_done(struct window *window, int64_t now_ms)
{
    if (window->width > 0)
        track_add(&window->track, window->window_ms, now_ms, window->totals);
}

bool window_buckets(const struct window *window, int64_t now_ms, size_t series, struct page_bucket *out, size_t *count)
{
    const struct track *track = &window->track;
    size_t base, offset = 0, n = window->bucket_count[series];
    const double *new_row, *old_row;

    if (window->width == 0 || n == 0 || !track_base(track, window->window_ms, now_ms, &base))
        return false;
    for (size_t s = 0; s < series; s++)
        offset += window->bucket_count[s];
    new_row = track_row(track, track->count - 1) + offset;
    old_row = track_row(track, base) + offset;
    for (size_t b = 0; b < n; b++)
        out[b] = (struct page_bucket){window->limits[series][b], new_row[b] - old_row[b]};
    *count = n;
    return out[n - 1].count > 0;
}
