/*
 * inference_page: what the metrics page of one model server says about one signal. Knows the engines and how they call
 * things, renames included (triggers/inference.md). Pure.
 */
#ifndef WEIR_TRIGGER_INFERENCE_PAGE_H
#define WEIR_TRIGGER_INFERENCE_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct arena;
struct text;

enum engine {
    ENGINE_AUTO,
    ENGINE_VLLM,
    ENGINE_SGLANG,
    ENGINE_TGI,
    ENGINE_TRITON,
    ENGINE_TRTLLM,
    ENGINE_DYNAMO,
    ENGINE_LLAMACPP,
    ENGINE_COUNT
};
#define ENGINE_WORDS "auto,vllm,sglang,tgi,triton,trtllm,dynamo,llamacpp"

enum signal {
    SIGNAL_WAITING,
    SIGNAL_RUNNING,
    SIGNAL_KV_USAGE,
    SIGNAL_REQUESTS_PER_S,
    SIGNAL_FINISHED_PER_S,
    SIGNAL_PREEMPTED_PER_S,
    SIGNAL_TOKENS_PER_MIN,
    SIGNAL_PROMPT_TOKENS_PER_MIN,
    SIGNAL_GENERATED_TOKENS_PER_MIN,
    SIGNAL_MEAN_PROMPT_TOKENS,
    SIGNAL_TTFT,
    SIGNAL_ITL,
    SIGNAL_E2E,
    SIGNAL_QUEUE_TIME,
    SIGNAL_GOODPUT,
    SIGNAL_COUNT
};
#define SIGNAL_WORDS                                                                                                   \
    "waiting,running,kv_usage,requests_per_s,finished_per_s,preempted_per_s,tokens_per_min,prompt_tokens_per_min,"     \
    "generated_tokens_per_min,mean_prompt_tokens,ttft,itl,e2e,queue_time,goodput"

enum { PAGE_SERIES_MAX = 2, PAGE_BUCKETS_MAX = 128 };

enum page_shape { PAGE_GAUGE, PAGE_COUNTER, PAGE_HISTOGRAM };

struct page_bucket {
    double limit, count; /* cumulative, as exposed */
};
struct page_series { /* all series of one name, added up */
    enum page_shape shape;
    size_t found;                /* series that matched (and had the model asked for) */
    double value;                /* sum */
    struct page_bucket *buckets; /* by limit, ascending */
    size_t bucket_count;
};
struct page {
    enum engine engine;
    size_t count; /* of series: most signals need one */
    struct page_series series[PAGE_SERIES_MAX];
};

/* engine: ENGINE_AUTO finds out by the names. model: NULL, or only series of this model. goodput: bit 0 ttft, bit 1 itl.
   true with engine ENGINE_AUTO: the page is empty. false: it is no metrics page, of no engine we know, or the engine does not have
   this signal (the error lists those it has). */
bool page_read(const char *body, size_t length, enum engine engine, enum signal signal, unsigned goodput,
               const char *model, struct arena *arena, struct page *out, struct error *err);

#endif
