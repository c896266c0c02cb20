/*
 * engine: the moments of the tasks, what is read at them, and Weir's own loop: read, decide, carry out.
 */
#include "sim/engine.h"

#include <stdlib.h>

#include "base/arena.h"
#include "sim/engine_internal.h"

#define NEVER INT64_MAX

/* A period or an offset in whole steps of the model. */
static int64_t in_steps(const struct sim_engine *e, int64_t span_ms)
{
    int64_t step_ms = e->options.step_ms;

    return step_ms > 0 ? (span_ms + step_ms - 1) / step_ms * step_ms : span_ms;
}

static int64_t or_usual(int64_t given_ms, int64_t usual_ms)
{
    return given_ms > 0 ? given_ms : usual_ms;
}

struct sim_engine *sim_engine_new(const struct sim_engine_options *options)
{
    struct sim_engine *e = mem_alloc(sizeof(*e));
    size_t triggers = options->rules->trigger_count ? options->rules->trigger_count : 1;

    e->options = *options;
    e->rules = *options->rules;
    e->samples = mem_array(triggers, sizeof(*e->samples));
    e->good_at_ms = mem_array(triggers, sizeof(*e->good_at_ms));
    e->next_scrape_ms = e->next_sync_ms = NEVER;
    if (options->kind == SIM_ENGINE_KEDA_HPA) {
        keda_engine_init(e);
        e->options.polling_ms = in_steps(e, or_usual(options->polling_ms, SIM_ENGINE_POLLING_MS));
        e->options.sync_ms = in_steps(e, or_usual(options->sync_ms, SIM_ENGINE_SYNC_MS));
        e->options.scrape_ms = in_steps(e, options->scrape_ms);
        e->options.scrape_offset_ms = in_steps(e, options->scrape_offset_ms);
        e->next_sync_ms = 0;
        if (options->scrape_ms > 0)
            e->next_scrape_ms = 0;
    } else {
        e->rules.mode = DECIDE_DIRECT;
        e->options.polling_ms = in_steps(e, or_usual(options->interval_ms, SIM_ENGINE_INTERVAL_MS));
    }
    e->memory = decide_memory_new(&e->rules);
    return e;
}

void sim_engine_free(struct sim_engine *e)
{
    if (!e)
        return;
    keda_engine_done(e);
    decide_memory_free(e->memory);
    free(e->samples);
    free(e->good_at_ms);
    free(e);
}

/* ------------------------------------------------------------------ what is known */

void sim_engine_read(struct sim_engine *e, int64_t now_ms)
{
    int64_t at_ms = e->options.start_at_ms + now_ms;

    e->options.world.read(e->options.world.arg, now_ms, e->samples);
    for (uint16_t i = 0; i < e->rules.trigger_count; i++) {
        e->samples[i].at_ms = at_ms;
        if (e->samples[i].state == SAMPLE_OK)
            e->good_at_ms[i] = at_ms;
    }
}

void sim_engine_facts(const struct sim_engine *e, int64_t now_ms, struct decide_facts *out)
{
    struct sim_engine_counts counts;

    e->options.world.counts(e->options.world.arg, &counts);
    *out = (struct decide_facts){.now_ms = e->options.start_at_ms + now_ms,
                                 .replicas = counts.replicas,
                                 .status_replicas = counts.status,
                                 .ready_replicas = counts.ready,
                                 .samples = e->samples,
                                 .good_at_ms = e->good_at_ms};
}

/* ------------------------------------------------------------------ Weir */

static void weir_tick(struct sim_engine *e, int64_t now_ms)
{
    struct decide_facts facts;

    sim_engine_read(e, now_ms);
    sim_engine_facts(e, now_ms, &facts);
    decide(&e->rules, &facts, e->memory, e->options.trace, &e->decision);
    e->options.world.decided(e->options.world.arg, &e->decision, e->samples);
    if (e->decision.write)
        decide_applied(&e->rules, e->memory, &e->decision);
}

/* ------------------------------------------------------------------ moments */

int64_t sim_engine_next_ms(const struct sim_engine *e)
{
    int64_t next = e->next_poll_ms;

    next = e->next_sync_ms < next ? e->next_sync_ms : next;
    return e->next_scrape_ms < next ? e->next_scrape_ms : next;
}

void sim_engine_scrape(struct sim_engine *e, int64_t now_ms)
{
    if (now_ms < e->next_scrape_ms)
        return;
    sim_engine_read(e, now_ms);
    e->next_scrape_ms = now_ms == 0 && e->options.scrape_offset_ms > 0 ? e->options.scrape_offset_ms
                                                                       : e->next_scrape_ms + e->options.scrape_ms;
}

void sim_engine_poll(struct sim_engine *e, int64_t now_ms)
{
    if (now_ms < e->next_poll_ms)
        return;
    if (e->options.kind == SIM_ENGINE_KEDA_HPA)
        keda_engine_poll(e, now_ms);
    else
        weir_tick(e, now_ms);
    e->next_poll_ms += e->options.polling_ms;
}

void sim_engine_sync(struct sim_engine *e, int64_t now_ms)
{
    if (now_ms < e->next_sync_ms)
        return;
    keda_engine_sync(e, now_ms);
    e->next_sync_ms += e->options.sync_ms;
}

void sim_engine_play(struct sim_engine *e, int64_t now_ms)
{
    sim_engine_scrape(e, now_ms);
    sim_engine_poll(e, now_ms);
    sim_engine_sync(e, now_ms);
}
