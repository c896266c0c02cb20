/*
 * play: one run. A manifest goes through the simulation with its engine; the others act on the model themselves, in phase 5 of each instant.
 * Everybody begins with what the plan begins with.
 */
#include "quality.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/report.h"
#include "base/text.h"

#define NS_PER_MS    INT64_C(1000000)
#define FLUID_STEP_S 15 /* nothing changes in between, so nobody looks in between */

static void fill(const struct demand *w, double knob, const struct score *score, struct outcome *out)
{
    *out = (struct outcome){.knob = knob,
                            .in_slo = score->in_slo,
                            .replica_hours = score->replica_hours,
                            .ratio = score->replica_hours / w->plan.score.replica_hours,
                            .events = score->moves.events,
                            .oscillation = score->moves.oscillation};
}

/* ------------------------------------------------------------------ manifests */

/* The number between two texts is replaced. false: they are not there. */
static bool set_number(struct text *manifest, const char *after, const char *until, double value)
{
    char *from = strstr(manifest->bytes, after), *to = from ? strstr(from + strlen(after), until) : NULL;
    struct text changed;

    if (!to)
        return false;
    text_init(&changed, manifest->limit);
    text_append(&changed, manifest->bytes, (size_t)(from - manifest->bytes) + strlen(after));
    text_printf(&changed, "%.12g", value);
    text_add(&changed, to);
    text_done(manifest);
    *manifest = changed;
    return true;
}

/* What a user measures once for an engine and promises to others, as the shipped manifest names it. */
static bool set_engine(struct text *manifest, const struct demand *w)
{
    const struct serving_profile *p = &w->model.profile;
    const struct {
        const char *after;
        double value;
    } numbers[] = {
        {"let prefill = ", (double)p->prefill_tps},
        {"let step = ", (double)p->itl_base_ns / 1e9},
        {"let sequence = ", (double)p->itl_per_seq_ns / 1e9},
        {"let batch = ", (double)p->max_batch},
        {"let cache = ", (double)p->kv_tokens},
        {"let chunk = ", (double)p->chunk_tokens},
        {"let ttft_goal = ", (double)w->goals.ttft_ns / 1e9},
        {"let ttft_token = ", (double)w->goals.ttft_per_token_ns / 1e9},
        {"let startup = ", (double)w->model.startup.fixed_ns / 1e9},
        {"let itl_goal = ", (double)w->goals.itl_ns / 1e9},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (!set_number(manifest, numbers[i].after, ";", numbers[i].value))
            return false;
    return true;
}

static double mean_prompt(const struct demand *w)
{
    double tokens = 0, requests = 0;

    for (size_t i = 0; i < w->model.request_count; i++, requests++)
        tokens += (double)w->model.requests[i].prompt;
    return requests > 0 ? tokens / requests : 0;
}

/* A law that knows goals is told those of the mean request. */
static void set_goals(struct text *manifest, const struct demand *w)
{
    double ttft_ns = (double)w->goals.ttft_ns + (double)w->goals.ttft_per_token_ns * mean_prompt(w);

    set_number(manifest, "let ttft_goal = ", ";", ttft_ns / 1e9);
    set_number(manifest, "let itl_goal = ", ";", (double)w->goals.itl_ns / 1e9);
}

static bool write_manifest(const struct contender *c, const struct demand *w, double knob, struct text *out,
                           struct error *err)
{
    bool good;

    if (!file_read(c->file, out, err))
        return false;
    if (c->is_ours)
        good = set_engine(out, w) &&
               (!demand_is_fluid(w) || set_number(out, "weir.dev/polling-interval: ", "s\n", FLUID_STEP_S));
    else {
        set_goals(out, w);
        good = !c->knob_after || set_number(out, c->knob_after, c->knob_until, knob);
    }
    return good || error_set(err, ERROR_INVALID, "%s has not the numbers that are set here", c->file);
}

/* What a gateway would say of them. */
static const struct simulation_map gateway[] = {
    {"running", {SIM_SIGNAL_RUNNING, 60 * NS_PER_S, 90}},
    {"waiting", {SIM_SIGNAL_WAITING, 60 * NS_PER_S, 90}},
    {"tokens_per_min", {SIM_SIGNAL_TOKENS_PER_MIN, 60 * NS_PER_S, 90}},
    {"pod_count", {SIM_SIGNAL_REPLICAS, 60 * NS_PER_S, 90}},
    {"replicas_now", {SIM_SIGNAL_REPLICAS, 60 * NS_PER_S, 90}},
    {"pending", {SIM_SIGNAL_PENDING_REPLICAS, 60 * NS_PER_S, 90}},
    {"ready", {SIM_SIGNAL_READY_REPLICAS, 60 * NS_PER_S, 90}},
    {"ttft", {SIM_SIGNAL_TTFT, 60 * NS_PER_S, 90}},
    {"itl", {SIM_SIGNAL_ITL, 60 * NS_PER_S, 90}},
};

static bool play_manifest(const struct contender *c, const struct demand *w, double knob, struct score *score,
                          struct error *err)
{
    struct model_options model = w->model;
    struct simulation_result result;
    struct simulation *simulation = NULL;
    struct text manifest;

    model.initial = w->plan.initial;
    text_init(&manifest, MANIFEST_FILE_MAX_BYTES);
    if (write_manifest(c, w, knob, &manifest, err))
        simulation = simulation_new(
            &(struct simulation_options){.manifest_name = c->file,
                                         .manifest = manifest.bytes,
                                         .manifest_length = manifest.length,
                                         .engine = c->engine,
                                         .model = &model,
                                         .maps = gateway,
                                         .map_count = c->is_ours ? 0 : sizeof(gateway) / sizeof(gateway[0]),
                                         .duration_ms = -1,
                                         .initial = w->plan.initial,
                                         .quick = true},
            NULL, err);
    text_done(&manifest);
    if (!simulation)
        return false;
    simulation_run(simulation);
    simulation_result(simulation, &w->goals, &result);
    simulation_free(simulation);
    *score = result.score;
    return true;
}

/* ------------------------------------------------------------------ rules of others, fixed fleets */

static double signal_now(const struct model *model, enum sim_signal signal)
{
    double value = 0;

    model_read(model, &(struct signal_query){.signal = signal, .window_ns = 60 * NS_PER_S}, &value);
    return value;
}

static void act(struct peer *peer, struct model *model, int64_t now_ns)
{
    struct model_counts counts;
    struct peer_reading reading;

    model_counts(model, &counts);
    reading = (struct peer_reading){.in_flight =
                                        signal_now(model, SIM_SIGNAL_WAITING) + signal_now(model, SIM_SIGNAL_RUNNING),
                                    .kv_usage = signal_now(model, SIM_SIGNAL_KV_USAGE),
                                    .replicas = counts.replicas,
                                    .ready = counts.ready};
    model_scale(model, peer_decide(peer, now_ns / NS_PER_MS, &reading));
}

/* In the fluid model a period is whole steps. */
static int64_t period_ns(const struct peer *peer, const struct demand *w)
{
    int64_t period = peer_period_ms(peer) * NS_PER_MS, step = FLUID_STEP_S * NS_PER_S;

    return demand_is_fluid(w) ? (period + step - 1) / step * step : period;
}

static bool play_model(const struct contender *c, const struct demand *w, double knob, bool tuned, struct score *score,
                       struct error *err)
{
    bool fixed = c->kind == CONTENDER_FIXED;
    struct peer_options options = {
        .kind = c->peer, .target = knob, .min = tuned && c->keeps_last ? 1 : 0, .max = REPLICAS_MAX_TRIED};
    struct model_options model_options = w->model;
    struct peer *peer = fixed ? NULL : peer_new(&options);
    struct model *model;

    model_options.initial = fixed ? (int32_t)knob : w->plan.initial;
    model = model_new(&model_options, err);
    for (int64_t now_ns = 0; model && peer && now_ns < model_duration_ns(model) && model_until(model, now_ns);
         now_ns += period_ns(peer, w))
        act(peer, model, now_ns);
    if (model) {
        model_finish(model);
        model_score(model, &w->goals, score);
    }
    model_free(model);
    peer_free(peer);
    return model != NULL;
}

bool play(const struct contender *c, const struct demand *w, double knob, bool tuned, struct outcome *out,
          struct error *err)
{
    struct score score;

    if (!(c->kind == CONTENDER_MANIFEST ? play_manifest(c, w, knob, &score, err)
                                        : play_model(c, w, knob, tuned, &score, err)))
        return false;
    fill(w, knob, &score, out);
    return true;
}
