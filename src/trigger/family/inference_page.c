/*
 * inference_page: a row says what an engine calls a thing and how to take it. A signal needs one thing or two; where the
 * first choice is not there (no engine but vLLM counts arrivals), the next is taken.
 *
 * Names that appear only after the first request (some engines do that) are not "unknown": whether an engine has a signal
 * is decided by the table, whether it has a value by the page.
 */
#include "trigger/family/inference_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/promtext.h"

enum thing {
    WAITING,
    RUNNING,
    KV,
    ARRIVED,
    FINISHED,
    PREEMPTED,
    PROMPT,
    GENERATED,
    TTFT,
    ITL,
    E2E,
    QUEUE,
    E2E_TOTAL,
    QUEUE_TOTAL,
    NOTHING
};

enum how { GAUGE, COUNTER /* with or without _total */, HISTOGRAM, SUM_OF /* a histogram's _sum, as a counter */ };

struct row {
    enum engine engine;
    enum thing thing;
    enum how how;
    const char *name, *former; /* former: an older name of the same */
    const char *label, *value; /* only series with this label, or NULL */
    double scale;              /* 0: 1 */
};

static const struct row rows[] = {
    {ENGINE_VLLM, WAITING, GAUGE, "vllm:num_requests_waiting"},
    {ENGINE_VLLM, RUNNING, GAUGE, "vllm:num_requests_running"},
    {ENGINE_VLLM, KV, GAUGE, "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"},
    {ENGINE_VLLM, FINISHED, COUNTER, "vllm:request_success"},
    {ENGINE_VLLM, PREEMPTED, COUNTER, "vllm:num_preemptions"},
    {ENGINE_VLLM, PROMPT, COUNTER, "vllm:prompt_tokens"},
    {ENGINE_VLLM, GENERATED, COUNTER, "vllm:generation_tokens"},
    {ENGINE_VLLM, TTFT, HISTOGRAM, "vllm:time_to_first_token_seconds"},
    {ENGINE_VLLM, ITL, HISTOGRAM, "vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"},
    {ENGINE_VLLM, E2E, HISTOGRAM, "vllm:e2e_request_latency_seconds"},
    {ENGINE_VLLM, QUEUE, HISTOGRAM, "vllm:request_queue_time_seconds"},

    {ENGINE_SGLANG, WAITING, GAUGE, "sglang_num_queue_reqs", "sglang:num_queue_reqs"},
    {ENGINE_SGLANG, RUNNING, GAUGE, "sglang_num_running_reqs", "sglang:num_running_reqs"},
    {ENGINE_SGLANG, KV, GAUGE, "sglang_token_usage", "sglang:token_usage"},
    {ENGINE_SGLANG, FINISHED, COUNTER, "sglang_num_requests", "sglang:num_requests"},
    {ENGINE_SGLANG, PROMPT, COUNTER, "sglang_prompt_tokens", "sglang:prompt_tokens"},
    {ENGINE_SGLANG, GENERATED, COUNTER, "sglang_generation_tokens", "sglang:generation_tokens"},
    {ENGINE_SGLANG, TTFT, HISTOGRAM, "sglang_time_to_first_token_seconds", "sglang:time_to_first_token_seconds"},
    {ENGINE_SGLANG, ITL, HISTOGRAM, "sglang_inter_token_latency_seconds", "sglang:inter_token_latency_seconds"},
    {ENGINE_SGLANG, E2E, HISTOGRAM, "sglang_e2e_request_latency_seconds", "sglang:e2e_request_latency_seconds"},

    {ENGINE_TGI, WAITING, GAUGE, "tgi_queue_size"},
    {ENGINE_TGI, RUNNING, GAUGE, "tgi_batch_current_size"},
    {ENGINE_TGI, FINISHED, COUNTER, "tgi_request_success"},
    {ENGINE_TGI, PROMPT, SUM_OF, "tgi_request_input_length"},
    {ENGINE_TGI, GENERATED, SUM_OF, "tgi_request_generated_tokens"},
    {ENGINE_TGI, ITL, HISTOGRAM, "tgi_request_mean_time_per_token_duration"},
    {ENGINE_TGI, E2E, HISTOGRAM, "tgi_request_duration"},
    {ENGINE_TGI, QUEUE, HISTOGRAM, "tgi_request_queue_duration"},

    {ENGINE_TRITON, WAITING, GAUGE, "nv_trt_llm_request_metrics", NULL, "request_type", "waiting"},
    {ENGINE_TRITON, RUNNING, GAUGE, "nv_trt_llm_request_metrics", NULL, "request_type", "active"},
    {ENGINE_TRITON, KV, GAUGE, "nv_trt_llm_kv_cache_block_metrics", NULL, "kv_cache_block_type", "fraction"},
    {ENGINE_TRITON, FINISHED, COUNTER, "nv_inference_request_success"},
    {ENGINE_TRITON, E2E_TOTAL, COUNTER, "nv_inference_request_duration_us", NULL, NULL, NULL, 1e-6},
    {ENGINE_TRITON, QUEUE_TOTAL, COUNTER, "nv_inference_queue_duration_us", NULL, NULL, NULL, 1e-6},

    {ENGINE_TRTLLM, WAITING, GAUGE, "trtllm_num_requests_waiting"},
    {ENGINE_TRTLLM, RUNNING, GAUGE, "trtllm_num_requests_running"},
    {ENGINE_TRTLLM, KV, GAUGE, "trtllm_kv_cache_utilization"},

    {ENGINE_DYNAMO, WAITING, GAUGE, "dynamo_frontend_queued_requests"},
    {ENGINE_DYNAMO, RUNNING, GAUGE, "dynamo_frontend_inflight_requests"},
    {ENGINE_DYNAMO, FINISHED, COUNTER, "dynamo_frontend_requests"},
    {ENGINE_DYNAMO, PROMPT, SUM_OF, "dynamo_frontend_input_sequence_tokens"},
    {ENGINE_DYNAMO, GENERATED, SUM_OF, "dynamo_frontend_output_sequence_tokens"},
    {ENGINE_DYNAMO, TTFT, HISTOGRAM, "dynamo_frontend_time_to_first_token_seconds"},
    {ENGINE_DYNAMO, ITL, HISTOGRAM, "dynamo_frontend_inter_token_latency_seconds"},
    {ENGINE_DYNAMO, E2E, HISTOGRAM, "dynamo_frontend_request_duration_seconds"},

    {ENGINE_LLAMACPP, WAITING, GAUGE, "llamacpp:requests_deferred"},
    {ENGINE_LLAMACPP, RUNNING, GAUGE, "llamacpp:requests_processing"},
    {ENGINE_LLAMACPP, PROMPT, COUNTER, "llamacpp:prompt_tokens"},
    {ENGINE_LLAMACPP, GENERATED, COUNTER, "llamacpp:tokens_predicted"},
};
enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

static const struct {
    const char *prefix;
    enum engine engine;
} prefixes[] = {
    {"vllm:", ENGINE_VLLM},     {"sglang:", ENGINE_SGLANG},          {"sglang_", ENGINE_SGLANG},
    {"tgi_", ENGINE_TGI},       {"nv_trt_llm_", ENGINE_TRITON},      {"nv_inference_", ENGINE_TRITON},
    {"trtllm_", ENGINE_TRTLLM}, {"dynamo_frontend_", ENGINE_DYNAMO}, {"llamacpp:", ENGINE_LLAMACPP},
};

/* What a signal needs: one thing, or two that are added, divided or multiplied by the driver; `or_else` where the engine has
   no row for the first choice. */
static const struct {
    const char *name;
    enum thing things[PAGE_SERIES_MAX], or_else[PAGE_SERIES_MAX];
} needs[SIGNAL_COUNT] = {
    [SIGNAL_WAITING] = {"waiting", {WAITING, NOTHING}, {NOTHING, NOTHING}},
    [SIGNAL_RUNNING] = {"running", {RUNNING, NOTHING}, {NOTHING, NOTHING}},
    [SIGNAL_KV_USAGE] = {"kv_usage", {KV, NOTHING}, {NOTHING, NOTHING}},
    [SIGNAL_REQUESTS_PER_S] = {"requests_per_s", {ARRIVED, NOTHING}, {FINISHED, NOTHING}},
    [SIGNAL_FINISHED_PER_S] = {"finished_per_s", {FINISHED, NOTHING}, {NOTHING, NOTHING}},
    [SIGNAL_PREEMPTED_PER_S] = {"preempted_per_s", {PREEMPTED, NOTHING}, {NOTHING, NOTHING}},
    [SIGNAL_TOKENS_PER_MIN] = {"tokens_per_min", {PROMPT, GENERATED}, {NOTHING, NOTHING}},
    [SIGNAL_PROMPT_TOKENS_PER_MIN] = {"prompt_tokens_per_min", {PROMPT, NOTHING}, {NOTHING, NOTHING}},
    [SIGNAL_GENERATED_TOKENS_PER_MIN] = {"generated_tokens_per_min", {GENERATED, NOTHING}, {NOTHING, NOTHING}},
    [SIGNAL_MEAN_PROMPT_TOKENS] = {"mean_prompt_tokens", {PROMPT, FINISHED}, {NOTHING, NOTHING}},
    [SIGNAL_TTFT] = {"ttft", {TTFT, NOTHING}, {NOTHING, NOTHING}},
    [SIGNAL_ITL] = {"itl", {ITL, NOTHING}, {NOTHING, NOTHING}},
    [SIGNAL_E2E] = {"e2e", {E2E, NOTHING}, {E2E_TOTAL, FINISHED}},
    [SIGNAL_QUEUE_TIME] = {"queue_time", {QUEUE, NOTHING}, {QUEUE_TOTAL, FINISHED}},
    [SIGNAL_GOODPUT] = {"goodput", {TTFT, ITL}, {NOTHING, NOTHING}},
};

/* ------------------------------------------------------------------ the tables */

static const struct row *row_of(enum engine engine, enum thing thing)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].engine == engine && rows[i].thing == thing)
            return &rows[i];
    return NULL;
}

static bool have_all(enum engine engine, const enum thing *things)
{
    if (things[0] == NOTHING)
        return false;
    for (size_t i = 0; i < PAGE_SERIES_MAX; i++)
        if (things[i] != NOTHING && !row_of(engine, things[i]))
            return false;
    return true;
}

static bool has_signal(enum engine engine, enum signal signal)
{
    return have_all(engine, needs[signal].things) || have_all(engine, needs[signal].or_else);
}

static bool no_signal(enum engine engine, enum signal signal, struct error *err)
{
    static const char *const engines[] = {"", "vLLM", "SGLang", "TGI", "Triton", "trtllm-serve", "Dynamo", "llama.cpp"};
    struct text list;

    text_init(&list, 300);
    for (int s = 0; s < SIGNAL_COUNT; s++)
        if (has_signal(engine, (enum signal)s))
            text_printf(&list, "%s%s", list.length > 0 ? ", " : "", needs[s].name);
    error_set(err, ERROR_INVALID, "%s does not tell %s; it has %s", engines[engine], needs[signal].name, list.bytes);
    text_done(&list);
    return false;
}

static bool choose(enum engine engine, enum signal signal, unsigned goodput, const struct row **out)
{
    const enum thing *things = have_all(engine, needs[signal].things) ? needs[signal].things : needs[signal].or_else;

    if (signal == SIGNAL_GOODPUT) {
        out[0] = goodput & 1 ? row_of(engine, TTFT) : row_of(engine, ITL);
        out[1] = goodput == 3 ? row_of(engine, ITL) : NULL;
        return out[0] && (goodput != 3 || out[1]);
    }
    if (!have_all(engine, things))
        return false;
    for (size_t i = 0; i < PAGE_SERIES_MAX; i++)
        out[i] = things[i] == NOTHING ? NULL : row_of(engine, things[i]);
    return true;
}

/* ------------------------------------------------------------------ reading */

struct digest {
    struct page *page;
    const struct row *rows[PAGE_SERIES_MAX];
    const char *model;
    enum signal signal;
    unsigned goodput;
    struct arena *arena;
    size_t samples;
    bool lacking; /* the engine does not have the signal */
};

static enum engine engine_of(const struct promtext_sample *sample)
{
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t length = strlen(prefixes[i].prefix);

        if (sample->name_length > length && memcmp(sample->name, prefixes[i].prefix, length) == 0)
            return prefixes[i].engine;
    }
    return ENGINE_AUTO;
}

static bool named(const struct promtext_sample *sample, const char *name, const char *suffix)
{
    size_t length = strlen(name), more = strlen(suffix);

    return sample->name_length == length + more && memcmp(sample->name, name, length) == 0 &&
           memcmp(sample->name + length, suffix, more) == 0;
}

static bool row_takes(const struct row *row, const struct promtext_sample *sample)
{
    const char *names[] = {row->name, row->former};

    for (size_t i = 0; i < 2 && names[i]; i++) {
        if (row->how == HISTOGRAM ? named(sample, names[i], "_bucket")
            : row->how == SUM_OF
                ? named(sample, names[i], "_sum")
                : named(sample, names[i], "") || (row->how == COUNTER && named(sample, names[i], "_total")))
            return true;
    }
    return false;
}

static bool label_is(const struct promtext_sample *sample, const char *name, const char *value)
{
    const struct promtext_label *label = promtext_label(sample, name);

    return label && promtext_label_equals(label, value);
}

static bool of_model(const struct promtext_sample *sample, const char *model)
{
    return !model || label_is(sample, "model_name", model) || label_is(sample, "model", model);
}

/* Buckets come in order within a series; another series adds to the same limits. */
static void add_bucket(struct digest *d, struct page_series *series, const struct promtext_sample *sample)
{
    const struct promtext_label *le = promtext_label(sample, "le");
    double limit;
    size_t at = series->bucket_count;

    if (!le || !number_parse(le->value, le->value_length, &limit) || isnan(limit) || isnan(sample->value))
        return;
    if (!series->buckets)
        series->buckets = arena_array(d->arena, PAGE_BUCKETS_MAX, sizeof(*series->buckets));
    while (at > 0 && series->buckets[at - 1].limit >= limit)
        at--;
    if (at < series->bucket_count && series->buckets[at].limit == limit) {
        series->buckets[at].count += sample->value;
        return;
    }
    if (series->bucket_count == PAGE_BUCKETS_MAX)
        return;
    memmove(&series->buckets[at + 1], &series->buckets[at], (series->bucket_count - at) * sizeof(*series->buckets));
    series->buckets[at] = (struct page_bucket){limit, sample->value};
    series->bucket_count++;
}

static void set_engine(struct digest *d, enum engine engine)
{
    d->page->engine = engine;
    d->lacking = !choose(engine, d->signal, d->goodput, d->rows);
    if (d->lacking)
        return;
    for (size_t i = 0; i < PAGE_SERIES_MAX && d->rows[i]; i++) {
        d->page->series[i].shape = d->rows[i]->how == GAUGE       ? PAGE_GAUGE
                                   : d->rows[i]->how == HISTOGRAM ? PAGE_HISTOGRAM
                                                                  : PAGE_COUNTER;
        d->page->count = i + 1;
    }
}

static bool on_sample(void *arg, const struct promtext_sample *sample)
{
    struct digest *d = arg;

    d->samples++;
    if (d->page->engine == ENGINE_AUTO) {
        enum engine engine = engine_of(sample);

        if (engine != ENGINE_AUTO)
            set_engine(d, engine);
    }
    for (size_t i = 0; i < d->page->count; i++) {
        const struct row *row = d->rows[i];
        struct page_series *series = &d->page->series[i];

        if (!row_takes(row, sample) || !of_model(sample, d->model) ||
            (row->label && !label_is(sample, row->label, row->value)))
            continue;
        if (row->how == HISTOGRAM) {
            add_bucket(d, series, sample);
            series->found++;
        } else if (isfinite(sample->value)) {
            series->value += sample->value * (row->scale > 0 ? row->scale : 1);
            series->found++;
        }
    }
    return !d->lacking;
}

bool page_read(const char *body, size_t length, enum engine engine, enum signal signal, unsigned goodput,
               const char *model, struct arena *arena, struct page *out, struct error *err)
{
    struct digest d = {.page = out, .model = model, .signal = signal, .goodput = goodput, .arena = arena};

    memset(out, 0, sizeof(*out));
    if (engine != ENGINE_AUTO)
        set_engine(&d, engine);
    if (!promtext_read(body, length, on_sample, &d, err))
        return false;
    if (d.lacking)
        return no_signal(out->engine, signal, err);
    if (out->engine == ENGINE_AUTO && d.samples > 0)
        return error_set(err, ERROR_NONSENSE,
                         "the metrics page has no names of a model server we know; is this the right port and path?");
    return true;
}
