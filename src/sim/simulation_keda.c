/*
 * simulation_keda: the same policy, input and model under KEDA with its HorizontalPodAutoscaler (engine.h, serving-model.md 7.1). The engine has
 * its own tasks; the virtual world is only the clock, and cron's.
 */
#include "sim/simulation_internal.h"

#include "base/arena.h"
#include "base/error.h"
#include "sim/engine.h"
#include "sim/virtual.h"
#include "trigger/trigger.h"

static void set_clock(struct simulation *s, int64_t at_ms)
{
    virtual_run_until(s->world, s->start_ticks_ms + at_ms);
    simulation_look(s);
}

static void on_answer(void *arg, const struct sample *sample, const struct error *why, int64_t took_ms)
{
    (void)why, (void)took_ms;
    *(struct sample *)arg = *sample;
}

/* The trigger looks at the clock alone: its answer is there within this instant. */
static void ask_clock(struct simulation *s, size_t trigger, struct sample *sample)
{
    struct trigger *question = s->policy->triggers[trigger].trigger;

    if (!question) {
        sample->state = SAMPLE_FAILED;
        return;
    }
    trigger_poll_start(s->engine, question, on_answer, sample);
    virtual_run_until(s->world, loop_ticks_ms(s->loop));
}

/* cpu and memory have a column too: utilization in percent. */
static void on_read(void *arg, int64_t at_ms, struct sample *samples)
{
    struct simulation *s = arg;
    struct error why;

    set_clock(s, at_ms);
    for (size_t i = 0; i < s->policy->trigger_count; i++) {
        samples[i] = (struct sample){.at_ms = loop_now_ms(s->loop)};
        if (!simulation_sample(s, (uint16_t)i, &samples[i], &why))
            ask_clock(s, i, &samples[i]);
    }
}

static void on_counts(void *arg, struct sim_engine_counts *out)
{
    struct simulation *s = arg;

    simulation_look(s);
    *out = (struct sim_engine_counts){
        .replicas = s->counts.replicas, .status = s->counts.ready + s->counts.pending, .ready = s->counts.ready};
}

static void on_decided(void *arg, const struct decision *decision, const struct sample *samples)
{
    struct simulation *s = arg;

    simulation_decided(s, decision, samples);
    if (decision->write)
        simulation_scale(s, decision->after);
}

static struct sim_engine *start(struct simulation *s)
{
    const struct model_options *model = s->options.model;

    return sim_engine_new(
        &(struct sim_engine_options){.kind = SIM_ENGINE_KEDA_HPA,
                                     .rules = &s->policy->rules,
                                     .world = {.arg = s, .read = on_read, .counts = on_counts, .decided = on_decided},
                                     .start_at_ms = s->options.start_at_ms,
                                     .step_ms = model && model->bucket_count > 0 ? model->step_ns / NS_PER_MS : 0,
                                     .trace = !s->options.quick,
                                     .polling_ms = s->policy->polling_interval_ms,
                                     .sync_ms = SIM_ENGINE_SYNC_MS,
                                     .scrape_ms = SIM_ENGINE_SCRAPE_MS,
                                     .scrape_offset_ms = SIM_ENGINE_SCRAPE_OFFSET_MS});
}

/* After the end only what is open in the model keeps it going. */
static bool goes_on(const struct simulation *s, int64_t at_ms)
{
    return !s->result.stopped && !s->finished && at_ms < INT64_MAX && (at_ms < s->duration_ms || s->model);
}

void simulation_run_keda(struct simulation *s)
{
    struct sim_engine *engine = start(s);

    for (int64_t at_ms; goes_on(s, at_ms = sim_engine_next_ms(engine));) {
        set_clock(s, at_ms);
        if (!s->finished)
            sim_engine_play(engine, at_ms);
    }
    sim_engine_free(engine);
}
