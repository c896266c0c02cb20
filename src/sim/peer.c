/*
 * peer: two rules, each a function of a window of what was read and of little memory.
 *
 *     knative, every 2 s     stable = mean over 60 s, panic = mean over 6 s, both divided by the target. Panic begins when the short one
 *                            asks for twice the ready replicas, ends 60 s after that was last so, and never shrinks meanwhile. A step goes
 *                            up to a thousandfold and down to half. The last replica stays until nothing was there for a whole stable window
 *                            and a grace period.
 *     aibrix (APA), 10 s     mean over 30 s per ready replica, against the target; acts beyond +10 % and -20 % (the tolerances of its sample),
 *                            at most doubles or halves, and goes down to the largest wish of the last 5 minutes.
 *
 * Windows are series; a wish that has to be remembered for a while too.
 */
#include "sim/peer.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "series/series.h"

#define S_MS INT64_C(1000)

#define KNATIVE_PERIOD_MS (2 * S_MS)
#define KNATIVE_STABLE_MS (60 * S_MS)
#define KNATIVE_PANIC_MS  (6 * S_MS) /* panic-window-percentage: 10 */
#define KNATIVE_GRACE_MS  (30 * S_MS)
#define KNATIVE_PANIC_AT  2.0    /* panic-threshold-percentage: 200 */
#define KNATIVE_UP_RATE   1000.0 /* max-scale-up-rate */
#define KNATIVE_DOWN_RATE 2.0    /* max-scale-down-rate */

#define AIBRIX_PERIOD_MS   (10 * S_MS)
#define AIBRIX_WINDOW_MS   (30 * S_MS)
#define AIBRIX_COOLDOWN_MS (300 * S_MS) /* scale-down-cooldown-window */
#define AIBRIX_UP          0.1          /* up-fluctuation-tolerance */
#define AIBRIX_DOWN        0.2          /* down-fluctuation-tolerance */
#define AIBRIX_RATE        2.0          /* max-scale-up-rate, max-scale-down-rate */

#define NEVER (-1)

enum { SAMPLES_MAX = 64 }; /* a window holds 31 at most */

struct peer {
    struct peer_options options;
    struct series *read;   /* what was read */
    struct series *wishes; /* aibrix */
    int64_t panic_at_ms;   /* knative: when it was last due; NEVER: no panic */
    int64_t idle_at_ms;    /* knative: since when nothing is wanted; NEVER: something is */
    double panic_replicas; /* the most it wanted in this panic */
};

struct peer *peer_new(const struct peer_options *options)
{
    struct peer *p = mem_alloc(sizeof(*p));

    p->options = *options;
    p->read = series_new(KNATIVE_STABLE_MS, SAMPLES_MAX);
    p->wishes = series_new(AIBRIX_COOLDOWN_MS, SAMPLES_MAX);
    p->panic_at_ms = p->idle_at_ms = NEVER;
    return p;
}

void peer_free(struct peer *p)
{
    if (!p)
        return;
    series_free(p->read);
    series_free(p->wishes);
    free(p);
}

int64_t peer_period_ms(const struct peer *p)
{
    return p->options.kind == PEER_KNATIVE ? KNATIVE_PERIOD_MS : AIBRIX_PERIOD_MS;
}

static void keep(struct series *series, int64_t now_ms, double value)
{
    series_add(series, &(struct sample){.state = SAMPLE_OK, .value = value, .at_ms = now_ms});
}

static double between(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* ------------------------------------------------------------------ knative */

static bool is_panic(struct peer *p, int64_t now_ms, double wanted, double ready)
{
    if (wanted / ready >= KNATIVE_PANIC_AT) {
        p->panic_at_ms = now_ms;
    } else if (p->panic_at_ms != NEVER && p->panic_at_ms + KNATIVE_STABLE_MS < now_ms) {
        p->panic_at_ms = NEVER;
        p->panic_replicas = 0;
    }
    return p->panic_at_ms != NEVER;
}

/* The last one waits for its grace. */
static double leave_slowly(struct peer *p, int64_t now_ms, double wanted, int32_t replicas)
{
    if (wanted > 0) {
        p->idle_at_ms = NEVER;
        return wanted;
    }
    if (p->idle_at_ms == NEVER)
        p->idle_at_ms = now_ms;
    return replicas > 0 && now_ms - p->idle_at_ms < KNATIVE_GRACE_MS ? 1 : 0;
}

static double knative(struct peer *p, int64_t now_ms, const struct peer_reading *reading)
{
    double ready = reading->ready > 0 ? reading->ready : 1;
    double least = floor(ready / KNATIVE_DOWN_RATE), most = ceil(ready * KNATIVE_UP_RATE);
    double stable, panic, wanted;

    keep(p->read, now_ms, reading->in_flight);
    stable = ceil(series_avg(p->read, now_ms, KNATIVE_STABLE_MS) / p->options.target);
    panic = ceil(series_avg(p->read, now_ms, KNATIVE_PANIC_MS) / p->options.target);
    wanted = between(stable, least, most);
    if (is_panic(p, now_ms, panic, ready)) {
        p->panic_replicas = fmax(p->panic_replicas, fmax(wanted, between(panic, least, most)));
        wanted = p->panic_replicas;
    }
    return leave_slowly(p, now_ms, wanted, reading->replicas);
}

/* ------------------------------------------------------------------ aibrix */

static double aibrix(struct peer *p, int64_t now_ms, const struct peer_reading *reading)
{
    double ready = reading->ready > 0 ? reading->ready : 1, wanted = reading->replicas, ratio;

    keep(p->read, now_ms, reading->kv_usage);
    ratio = series_avg(p->read, now_ms, AIBRIX_WINDOW_MS) / p->options.target;
    if (ratio > 1 + AIBRIX_UP)
        wanted = fmin(ceil(ready * ratio), ceil(ready * AIBRIX_RATE));
    else if (ratio < 1 - AIBRIX_DOWN)
        wanted = fmax(ceil(ready * ratio), floor(ready / AIBRIX_RATE));
    keep(p->wishes, now_ms, wanted);
    return wanted < reading->replicas ? fmin(series_max(p->wishes, now_ms, AIBRIX_COOLDOWN_MS), reading->replicas)
                                      : wanted;
}

int32_t peer_decide(struct peer *p, int64_t now_ms, const struct peer_reading *reading)
{
    double wanted = p->options.kind == PEER_KNATIVE ? knative(p, now_ms, reading) : aibrix(p, now_ms, reading);

    return (int32_t)between(wanted, p->options.min, p->options.max);
}
