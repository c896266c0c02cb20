/*
 * demand: the traces, and what they run on. Prompts and answers of those with a request per row are served one by one; weeks of sums go through
 * the fluid model, with noise of a tenth from minute to minute, which the sums have lost.
 */
#include "quality.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define AMPLIFY_SPREAD_NS NS_PER_S
#define FLUID_NOISE       0.1
#define FLUID_SEED        1

/* The 8B engine where prompts are long against the two seconds there are, the 70B one where they are not. */
const struct demand_source demand_sources[] = {
    {"azure-code", "Azure code, 8 times", "AzureLLMInferenceTrace_code.csv", "h100-8b", {0, 0}, 8, 0},
    {"azure-conv", "Azure conversation, 8 times", "AzureLLMInferenceTrace_conv.csv", "h100x2-70b", {0, 0}, 8, 0},
    {"mooncake", "Mooncake, synthetic", "mooncake_synthetic_trace.jsonl", "h100-8b", {0, 0}, 1, 125e-6},
    {"azure-week",
     "Azure code, week of 2024 (digitised)",
     "azure2024_code_digitised_week_600s.csv",
     "h100-8b",
     {2048, 28},
     1,
     0},
    {"m-large", "ServeGen m-large", "servegen_m-large_600s.csv", "h100x2-70b", {0, 0}, 1, 0},
    {"m-mid", "ServeGen m-mid", "servegen_m-mid_600s.csv", "h100x2-70b", {0, 0}, 1, 0},
    {"deepseek-r1", "ServeGen deepseek-r1", "servegen_deepseek-r1_600s.csv", "h100-8b", {0, 0}, 1, 0},
};
const size_t demand_count = sizeof(demand_sources) / sizeof(demand_sources[0]);

bool demand_is_fluid(const struct demand *w)
{
    return w->trace.bucket_count > 0;
}

bool demand_open(struct demand *w, const struct demand_source *source, int64_t startup_s, struct error *err)
{
    struct oracle_options oracle = {.share = SHARE};
    char path[256];

    *w = (struct demand){.source = source, .goals = SCORE_GOALS_DEFAULT};
    snprintf(path, sizeof(path), "examples/traces/%s", source->file);
    if (!trace_read_file(path, &source->shape, &w->trace, err))
        return false;
    if (source->copies > 1)
        trace_amplify(&w->trace.requests, source->copies, AMPLIFY_SPREAD_NS);
    w->goals.ttft_per_token_ns = (int64_t)(source->ttft_per_token_s * 1e9 + 0.5);
    w->model = (struct model_options){.profile = *serving_profile(source->profile),
                                      .startup = {.fixed_ns = startup_s * NS_PER_S},
                                      .duration_ns = -1,
                                      .warmup_ns = WARMUP_S * NS_PER_S,
                                      .requests = w->trace.requests.requests,
                                      .request_count = w->trace.requests.count,
                                      .buckets = w->trace.buckets,
                                      .bucket_count = w->trace.bucket_count,
                                      .bucket_ns = w->trace.bucket_ns};
    if (demand_is_fluid(w)) {
        w->model.noise = FLUID_NOISE;
        w->model.seed = FLUID_SEED;
    }
    oracle.goals = w->goals;
    oracle_plan(&w->model, &oracle, &w->plan);
    return true;
}

void demand_close(struct demand *w)
{
    oracle_plan_free(&w->plan);
    trace_file_free(&w->trace);
}
