/*
 * run: the next instant is the earliest of what the model does by itself, arrivals, probes and writes.
 */
#include "sim/run.h"

#include <stdbool.h>

#define MINUTE_NS INT64_C(60000000000)

struct place { /* how far the lists have been worked off */
    size_t request, probe, write;
};

int64_t run_duration_ns(const struct run *run)
{
    if (run->duration_ns >= 0)
        return run->duration_ns;
    if (run->request_count == 0)
        return 0;
    return (run->requests[run->request_count - 1].at_ns + 1 + MINUTE_NS - 1) / MINUTE_NS * MINUTE_NS;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t next_instant(const struct run *run, const struct serving *model, const struct place *p)
{
    int64_t next = serving_next_ns(model);

    if (p->request < run->request_count)
        next = least(next, run->requests[p->request].at_ns);
    if (p->probe < run->probe_count)
        next = least(next, run->probes_ns[p->probe]);
    if (p->write < run->plan_count)
        next = least(next, run->plan[p->write].at_ns);
    return next;
}

static void play_instant(const struct run *run, struct serving *model, struct place *p, int64_t now_ns)
{
    serving_begin(model, now_ns);
    for (; p->request < run->request_count && run->requests[p->request].at_ns <= now_ns; p->request++)
        serving_arrive(model, run->requests[p->request].prompt, run->requests[p->request].generated);
    for (; p->probe < run->probe_count && run->probes_ns[p->probe] <= now_ns; p->probe++)
        run->on_probe(run->arg, model);
    for (; p->write < run->plan_count && run->plan[p->write].at_ns <= now_ns; p->write++)
        serving_scale(model, run->plan[p->write].replicas);
    serving_end(model);
}

/* Nothing but overtime is left, and nobody waits for it. */
static bool is_over(const struct run *run, const struct serving *model, const struct place *p, int64_t next_ns,
                    int64_t end_ns)
{
    if (next_ns == SERVING_NEVER || next_ns > end_ns + RUN_OVERTIME_NS)
        return true;
    return next_ns > end_ns && serving_open_requests(model) == 0 && p->request == run->request_count;
}

void run_until_served(const struct run *run, struct serving *model, struct score_peaks *peaks)
{
    int64_t end_ns = run_duration_ns(run);
    struct place place = {0};
    bool warm = run->warmup_ns <= 0;

    *peaks = (struct score_peaks){0};
    for (int64_t next; !is_over(run, model, &place, next = next_instant(run, model, &place), end_ns);) {
        /* The backlog counts from the first step boundary of the scored span on, were it in the middle of a leap. */
        if (!warm && next >= run->warmup_ns) {
            next = least(next, serving_boundary_ns(model, run->warmup_ns));
            warm = true;
        }
        play_instant(run, model, &place, next);
        if (warm)
            score_watch(peaks, model);
    }
}
