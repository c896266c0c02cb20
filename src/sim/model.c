/*
 * model: one face for both models. For requests it keeps the instants: it plays those at which something happens by itself, and leaves
 * the one asked for open, so that questions and writes come between its arrivals and the planning of its steps.
 *
 *     model_until(t)  --> [instants before t, each begun and ended] --> t begun ... reads, writes ... --> ended by the next call
 */
#include "sim/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "sim/fluid.h"
#include "sim/inference.h"

#define NS_PER_S    INT64_C(1000000000)
#define MINUTE_NS   (60 * NS_PER_S)
#define OVERTIME_NS (3600 * NS_PER_S) /* what is not served an hour after the end is a miss */

struct model {
    struct model_options options;
    int64_t duration_ns;
    struct fluid *fluid; /* NULL: requests one by one */
    struct serving *serving;
    struct signal_history *history;
    struct inference_history *inference; /* NULL until its signals are asked for */
    struct score_peaks peaks;
    size_t arrived;
    int64_t now_ns;
    bool open; /* the instant now_ns is begun and not ended */
    bool warm; /* the backlog counts */
    bool over;
};

/* ------------------------------------------------------------------ making one */

static int64_t duration_of(const struct model_options *o)
{
    if (o->duration_ns >= 0)
        return o->duration_ns;
    if (o->request_count == 0)
        return 0;
    return (o->requests[o->request_count - 1].at_ns + 1 + MINUTE_NS - 1) / MINUTE_NS * MINUTE_NS;
}

static bool sound_profile(const struct serving_profile *p, struct error *err)
{
    if (p->prefill_tps < 1 || p->itl_base_ns < 1 || p->max_batch < 1 || p->chunk_tokens < 1)
        return error_set(err, ERROR_INVALID,
                         "prefill rate, step time, batch and chunk of a profile are whole numbers of at least 1");
    if (p->itl_per_seq_ns < 0 || p->kv_tokens < 0)
        return error_set(err, ERROR_INVALID,
                         "the time per sequence and the KV cache of a profile are numbers of at least 0");
    return true;
}

static bool sound_startup(const struct serving_startup *s, struct error *err)
{
    bool sound = s->kind == STARTUP_FIXED     ? s->fixed_ns >= 0
                 : s->kind == STARTUP_UNIFORM ? s->low_ns >= 0 && s->low_ns <= s->high_ns
                                              : s->table_count > 0;

    for (size_t i = 0; sound && s->kind == STARTUP_TABLE && i < s->table_count; i++)
        sound = s->table_ns[i] >= 0;
    return sound || error_set(err, ERROR_INVALID,
                              "start-up times are numbers of at least 0, and the lowest of a range comes first");
}

static bool sound_requests(const struct model_options *o, struct error *err)
{
    for (size_t i = 0; i < o->request_count; i++)
        if (o->requests[i].at_ns < (i > 0 ? o->requests[i - 1].at_ns : 0))
            return error_set(err, ERROR_INVALID,
                             "request %zu comes before the one in front of it; sort the trace by time", i);
    return true;
}

struct model *model_new(const struct model_options *options, struct error *err)
{
    struct fluid *fluid = NULL;

    if (options->initial < 0 || options->initial > REPLICAS_MAX) {
        error_set(err, ERROR_INVALID, "a run starts with 0 to %d replicas (REPLICAS_MAX), not with %d", REPLICAS_MAX,
                  (int)options->initial);
        return NULL;
    }
    if (!sound_profile(&options->profile, err) || !sound_startup(&options->startup, err) ||
        !sound_requests(options, err))
        return NULL;
    if (options->bucket_count > 0 && !(fluid = fluid_new(options, err)))
        return NULL;
    struct model *m = mem_alloc(sizeof(*m));
    m->options = *options;
    m->fluid = fluid;
    m->warm = options->warmup_ns <= 0;
    if (fluid) {
        m->duration_ns = (int64_t)fluid_grid_of(fluid)->count * fluid_grid_of(fluid)->step_ns;
        return m;
    }
    m->duration_ns = duration_of(options);
    m->serving = serving_new(&options->profile, &options->startup, options->initial);
    m->history = signal_history_new();
    return m;
}

void model_free(struct model *m)
{
    if (!m)
        return;
    fluid_free(m->fluid);
    serving_free(m->serving);
    signal_history_free(m->history);
    inference_history_free(m->inference);
    free(m);
}

int64_t model_duration_ns(const struct model *m)
{
    return m->duration_ns;
}

const struct serving *model_serving(const struct model *m)
{
    return m->serving;
}

const struct fluid *model_fluid(const struct model *m)
{
    return m->fluid;
}

/* ------------------------------------------------------------------ instants of the request model */

static void begin(struct model *m, int64_t at_ns)
{
    const struct model_options *o = &m->options;

    serving_begin(m->serving, at_ns);
    for (; m->arrived < o->request_count && o->requests[m->arrived].at_ns <= at_ns; m->arrived++)
        serving_arrive(m->serving, o->requests[m->arrived].prompt, o->requests[m->arrived].generated);
    m->now_ns = at_ns;
    m->open = true;
}

static void end(struct model *m)
{
    if (!m->open)
        return;
    serving_end(m->serving);
    if (m->warm)
        score_watch(&m->peaks, m->serving);
    m->open = false;
}

static int64_t next_ns(const struct model *m)
{
    int64_t next = serving_next_ns(m->serving);

    if (m->arrived < m->options.request_count && m->options.requests[m->arrived].at_ns < next)
        next = m->options.requests[m->arrived].at_ns;
    return next;
}

/* Nothing but overtime is left, and nobody waits for it. */
static bool is_over_before(const struct model *m, int64_t at_ns)
{
    if (at_ns > m->duration_ns + OVERTIME_NS)
        return true;
    return at_ns > m->duration_ns && serving_open_requests(m->serving) == 0 && m->arrived == m->options.request_count;
}

/* The backlog counts from the first step boundary of the scored span on, were it in the middle of a leap. */
static int64_t warm_up(struct model *m, int64_t at_ns)
{
    if (m->warm || at_ns < m->options.warmup_ns)
        return at_ns;
    int64_t boundary_ns = serving_boundary_ns(m->serving, m->options.warmup_ns);
    m->warm = true;
    return boundary_ns < at_ns ? boundary_ns : at_ns;
}

/* Ends the run, or plays all instants before at_ns and begins it; INT64_MAX: all there are. */
static bool play_until(struct model *m, int64_t at_ns)
{
    while (!m->over) {
        int64_t next = next_ns(m);
        bool asked = next >= at_ns;

        next = asked ? at_ns : next;
        m->over = next == SERVING_NEVER || is_over_before(m, next);
        if (m->over)
            break;
        int64_t warm = warm_up(m, next);
        begin(m, warm);
        if (asked && warm == at_ns)
            return true;
        end(m);
    }
    return false;
}

bool model_until(struct model *m, int64_t now_ns)
{
    if (m->fluid) {
        size_t step = (size_t)(now_ns / fluid_grid_of(m->fluid)->step_ns);

        fluid_begin(m->fluid, step);
        return step < fluid_grid_of(m->fluid)->count;
    }
    if (m->open && now_ns == m->now_ns)
        return true;
    end(m);
    return play_until(m, now_ns);
}

void model_cut(struct model *m)
{
    if (m->fluid) {
        fluid_cut(m->fluid);
        m->duration_ns = (int64_t)fluid_grid_of(m->fluid)->count * fluid_grid_of(m->fluid)->step_ns;
        return;
    }
    m->options.request_count = m->arrived;
    if (m->now_ns < m->duration_ns)
        m->duration_ns = m->now_ns;
}

void model_finish(struct model *m)
{
    if (m->fluid) {
        fluid_begin(m->fluid, fluid_grid_of(m->fluid)->count);
        return;
    }
    end(m);
    play_until(m, SERVING_NEVER);
}

/* ------------------------------------------------------------------ questions and writes */

void model_counts(const struct model *m, struct model_counts *out)
{
    struct serving_signals now;

    if (m->fluid) {
        fluid_counts(m->fluid, out);
        return;
    }
    serving_signals(m->serving, &now);
    *out = (struct model_counts){now.replicas, now.ready_replicas, now.pending_replicas, now.draining_replicas};
}

void model_scale(struct model *m, int32_t replicas)
{
    if (m->fluid)
        fluid_scale(m->fluid, replicas);
    else if (m->open)
        serving_scale(m->serving, replicas);
}

void model_snapshot(struct model *m)
{
    if (m->fluid)
        return;
    signal_snapshot(m->history, m->serving);
    if (m->inference)
        inference_snapshot(m->inference, m->serving);
}

bool model_read(const struct model *m, const struct signal_query *query, double *value)
{
    return m->fluid ? fluid_read(m->fluid, query, value) : signal_read(m->history, m->serving, query, value);
}

/* ------------------------------------------------------------------ the end */

void model_score(const struct model *m, const struct score_goals *goals, struct score *out)
{
    if (m->fluid)
        fluid_score(m->fluid, goals, m->options.warmup_ns, out);
    else
        score_run(out, m->serving, goals, &(struct score_span){m->options.warmup_ns, m->duration_ns}, &m->peaks);
}

size_t model_events(const struct model *m, const struct serving_event **out)
{
    return m->fluid ? fluid_events(m->fluid, out) : serving_events(m->serving, out);
}

/* ------------------------------------------------------------------ the trigger `inference` */

enum model_inference model_inference_named(const char *name)
{
    static const char *const names[] = {
#define SIGNAL(id, name) name,
        MODEL_INFERENCE(SIGNAL)
#undef SIGNAL
    };
    int i = 0;

    while (i < MODEL_INFERENCE_COUNT && strcmp(names[i], name) != 0)
        i++;
    return (enum model_inference)i;
}

bool model_inference(struct model *m, const struct model_inference_query *query, double *value)
{
    if (m->fluid)
        return fluid_inference(m->fluid, query, value);
    if (!m->inference) {
        m->inference = inference_history_new();
        inference_snapshot(m->inference, m->serving);
    }
    return inference_read(m->inference, m->serving, query, value);
}
