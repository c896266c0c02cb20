/*
 * run: the next instant is the earliest at which anybody outside the model looks or acts.
 */
#include "sim/run.h"

#include <stdbool.h>

#include "sim/engine.h"

#define NS_PER_MS INT64_C(1000000)

struct place { /* how far the lists have been worked off */
    size_t probe, write;
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t next_instant(const struct run *run, const struct place *p)
{
    int64_t next = run->engine ? sim_engine_next_ms(run->engine) * NS_PER_MS : SERVING_NEVER;

    if (p->probe < run->probe_count)
        next = least(next, run->probes_ns[p->probe]);
    if (p->write < run->plan_count)
        next = least(next, run->plan[p->write].at_ns);
    return next;
}

static void play_instant(const struct run *run, struct model *model, struct place *p, int64_t now_ns)
{
    bool engine = run->engine && now_ns % NS_PER_MS == 0;

    for (; p->probe < run->probe_count && run->probes_ns[p->probe] <= now_ns; p->probe++)
        run->on_probe(run->arg, model);
    if (engine)
        sim_engine_scrape(run->engine, now_ns / NS_PER_MS);
    for (; p->write < run->plan_count && run->plan[p->write].at_ns <= now_ns; p->write++)
        model_scale(model, run->plan[p->write].replicas);
    if (engine) {
        sim_engine_poll(run->engine, now_ns / NS_PER_MS);
        sim_engine_sync(run->engine, now_ns / NS_PER_MS);
    }
}

void run_model(const struct run *run, struct model *model)
{
    struct place place = {0};

    for (int64_t next; (next = next_instant(run, &place)) != SERVING_NEVER && model_until(model, next);)
        play_instant(run, model, &place, next);
    model_finish(model);
}
