/*
 * engine: who decides, and at which moments (serving-model.md 7). Two of them, with one face:
 *     weir      one task, in every interval: what the sources say now -> decide()
 *     keda-hpa  KEDA with a HorizontalPodAutoscaler: scrapes, polls of the operator between 0 and the minimum, syncs of the HPA above it;
 *               values in milli, a formula's result cut, what is no number counts as 0
 *
 *     struct sim_engine *e = sim_engine_new(&(struct sim_engine_options){.kind = SIM_ENGINE_KEDA_HPA, .rules = &rules, ...});
 *     while ((at_ms = sim_engine_next_ms(e)) < end_ms)
 *         sim_engine_play(e, at_ms);                    -- every task of that instant, in the order of its phases
 *
 * The caller says what the sources say, how many run, and carries out what is decided (struct sim_engine_world): the serving model, columns
 * of a trace, anything. Every decision is a struct decision, those of KEDA and of the HPA too, told in our words. The production decide() and
 * the production HPA algorithm do the work. Times are milliseconds since the start. Pure. Not for threads.
 */
#ifndef WEIR_SIM_ENGINE_H
#define WEIR_SIM_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "decide/decide.h"

struct sim_engine_counts {
    int32_t replicas, status, ready; /* asked for, existing, ready */
};
struct sim_engine_world {
    void *arg;
    /* What every trigger says at that moment, one sample each; at_ms is filled in by the engine. Of cpu and memory: utilization in percent. */
    void (*read)(void *arg, int64_t at_ms, struct sample *samples);
    void (*counts)(void *arg, struct sim_engine_counts *out);
    /* Of each decision, before the next task of that instant: to be carried out if decision->write. samples: what it was made from. */
    void (*decided)(void *arg, const struct decision *decision, const struct sample *samples);
};

enum sim_engine_kind { SIM_ENGINE_WEIR, SIM_ENGINE_KEDA_HPA };
struct sim_engine_options {
    enum sim_engine_kind kind;
    const struct decide_rules *rules; /* as for direct mode, of any manifest; borrowed */
    struct sim_engine_world world;
    int64_t start_at_ms; /* wall clock at time 0; rules->created_at_ms counts on it */
    int64_t step_ms;     /* periods and offsets are rounded up to whole steps; 0: they are not */
    bool trace;          /* decisions carry their formula's derivation */
    /* weir */
    int64_t interval_ms; /* 5 s */
    /* keda-hpa */
    int64_t polling_ms, sync_ms; /* 30 s, 15 s */
    int64_t scrape_ms,
        scrape_offset_ms; /* who scrapes the sources: at 0, then in every period from the offset. scrape_ms 0: nobody, they
                                            are asked at each poll and sync */
};
#define SIM_ENGINE_INTERVAL_MS      5000
#define SIM_ENGINE_POLLING_MS       30000
#define SIM_ENGINE_SYNC_MS          15000
#define SIM_ENGINE_SCRAPE_MS        15000
#define SIM_ENGINE_SCRAPE_OFFSET_MS 7000

struct sim_engine;
struct sim_engine *sim_engine_new(const struct sim_engine_options *options);
void sim_engine_free(struct sim_engine *engine); /* NULL is fine */
int64_t sim_engine_next_ms(const struct sim_engine *engine);
/* The three phases of an instant, for those who have something to do between them; sim_engine_play does all. */
void sim_engine_scrape(struct sim_engine *engine, int64_t now_ms);
void sim_engine_poll(struct sim_engine *engine, int64_t now_ms); /* KEDA's poll, or Weir's tick */
void sim_engine_sync(struct sim_engine *engine, int64_t now_ms);
void sim_engine_play(struct sim_engine *engine, int64_t now_ms);

#endif
