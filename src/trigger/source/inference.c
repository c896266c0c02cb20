/*
 * inference: signals of model servers, read from their own /metrics, in one vocabulary whatever the engine. No Prometheus is
 * needed. Facts: triggers/inference.md.
 *
 *     who (url | urls | selector | the target's ready replicas) -> all asked at once -> each page digested as it comes
 *     -> gauges are aggregated; counters become rates, and histograms quantiles, over a window kept in the memory
 *
 * No replica, the first look at a counter, an empty window: missing. Some replicas fail: the others count, and the sample says
 * how many. More than half fail: failed.
 */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/selector.h"
#include "base/text.h"
#include "platform/platform.h"
#include "trigger/driver.h"
#include "trigger/family/inference_page.h"
#include "trigger/family/inference_window.h"

enum aggregate { AGGREGATE_DEFAULT, AGGREGATE_SUM, AGGREGATE_AVG, AGGREGATE_MAX, AGGREGATE_MIN, AGGREGATE_QUANTILE };

struct inference {
    struct trigger_config common;
    const char *url, *selector_text, *port_text, *path, *model, *aggregate_text;
    const struct param_list *urls;
    const struct http_auth *auth;
    struct selector *selector;
    int64_t window_ms, ttft_ms, itl_ms;
    double quantile, aggregate_quantile;
    int engine, signal, scheme, port;
    enum aggregate aggregate;
};

struct inference_memory {
    struct window *window;
};

#define PARAM_STRUCT struct inference
static const struct param params[] = {
    {"signal", PARAM_CHOICE(signal, SIGNAL_WORDS), .required = true, .help = "what to read"},
    {"target", PARAM_NUMBER(common.target), .role = ROLE_TARGET,
     .help = "value one replica should carry; required unless a formula uses the trigger"},
    {"activation", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"url", PARAM_URL(url), .help = "one metrics address; or"},
    {"urls", PARAM_LIST(urls), .help = "several; or"},
    {"selector", PARAM_TEXT(selector_text),
     .help = "label selector: all ready replicas that match; or none of the three: those of the scale target"},
    {"port", PARAM_TEXT(port_text), .help = "of the replicas; default: their first port"},
    {"path", PARAM_TEXT(path), .fallback = "/metrics", .help = "of the metrics page of the replicas"},
    {"scheme", PARAM_CHOICE(scheme, "http,https"), .fallback = "http", .help = "http or https"},
    {"engine", PARAM_CHOICE(engine, ENGINE_WORDS), .fallback = "auto",
     .help = "auto finds out by the names on the page"},
    {"model", PARAM_TEXT(model), .help = "only series of this model"},
    {"window", PARAM_SPAN(window_ms), .fallback = "60s", .help = "rates, quantiles and shares over this"},
    {"quantile", PARAM_NUMBER(quantile), .fallback = "0.9", .help = "0..1, for ttft, itl, e2e, queue_time"},
    {"ttft", PARAM_SPAN(ttft_ms), .help = "for goodput: limit of the time to the first token"},
    {"itl", PARAM_SPAN(itl_ms), .help = "for goodput: limit of the time between tokens"},
    {"aggregate", PARAM_TEXT(aggregate_text), .help = "over the replicas: sum, avg, max, min, p50 to p99"},
    {"authModes", PARAM_HTTP_AUTH(auth)},
    {0},
};
#undef PARAM_STRUCT

enum { MODES = HTTP_AUTH_API_KEY | HTTP_AUTH_BASIC | HTTP_AUTH_BEARER | HTTP_AUTH_CUSTOM | HTTP_AUTH_TLS };

/* ------------------------------------------------------------------ rules between parameters */

static bool check_sources(struct inference *c, struct trigger_check *check)
{
    struct error err;

    if ((c->url != NULL) + (c->urls != NULL) + (c->selector_text != NULL) > 1)
        return check_error(check, c->selector_text ? "selector" : "urls", "leave one of them",
                           "url, urls and selector exclude each other");
    if (c->selector_text && !selector_parse(c->selector_text, check_arena(check), &c->selector, &err))
        return check_error(check, "selector", "write it like app=vllm", "selector: %s", err.text);
    if (c->urls && c->urls->count > POLL_FANOUT_MAX)
        return check_error(check, "urls", "use a selector, or two triggers", "more than %d addresses (POLL_FANOUT_MAX)",
                           POLL_FANOUT_MAX);
    return true;
}

static bool check_port(struct inference *c, struct trigger_check *check)
{
    if (!c->port_text)
        return true;
    if (strspn(c->port_text, "0123456789") == strlen(c->port_text) && strlen(c->port_text) < 6)
        c->port = (int)strtol(c->port_text, NULL, 10);
    if (c->port < 1 || c->port > 65535)
        return check_error(check, "port", "write its number, such as \"8000\"",
                           "port: \"%.40s\" is no port's number; names of ports are not known here", c->port_text);
    return true;
}

static bool check_aggregate(struct inference *c, struct trigger_check *check)
{
    static const char *const words[] = {"", "sum", "avg", "max", "min"};
    const char *word = c->aggregate_text;

    if (!word)
        return true;
    for (int i = AGGREGATE_SUM; i <= AGGREGATE_MIN; i++)
        if (strcmp(word, words[i]) == 0)
            c->aggregate = (enum aggregate)i;
    if (word[0] == 'p' && strlen(word) == 3 && strspn(word + 1, "0123456789") == 2) {
        c->aggregate = AGGREGATE_QUANTILE;
        c->aggregate_quantile = (double)strtol(word + 1, NULL, 10) / 100;
    }
    if (c->aggregate == AGGREGATE_DEFAULT || (c->aggregate == AGGREGATE_QUANTILE && c->aggregate_quantile < 0.5))
        return check_error(check, "aggregate", "write sum, avg, max, min, or p50 to p99",
                           "aggregate: there is no \"%.40s\"", word);
    if (c->signal >= SIGNAL_MEAN_PROMPT_TOKENS)
        check_warning(check, "aggregate", "leave it out",
                      "aggregate has no effect on this signal: it is computed over all replicas together");
    return true;
}

static bool check_signal(struct inference *c, struct trigger_check *check)
{
    if (c->quantile < 0 || c->quantile > 1)
        return check_error(check, "quantile", "write a number such as \"0.9\"", "quantile has to lie between 0 and 1");
    if (c->window_ms < 1000 || c->window_ms > HISTORY_SPAN_MAX_MS)
        return check_error(check, "window", "write a duration such as \"60s\"",
                           "window has to lie between 1s and 7 days");
    if (c->signal == SIGNAL_GOODPUT && c->ttft_ms == 0 && c->itl_ms == 0)
        return check_error(check, "ttft", "give the limits the answers shall keep, such as ttft: \"2s\"",
                           "goodput needs ttft, itl or both");
    if (c->signal < 0 || c->engine < 0 || c->scheme < 0)
        return check_error(check, "signal", "write one word", "signal, engine and scheme take one word each");
    return true;
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct inference *c = config;
    bool good = check_sources(c, check);

    good = check_port(c, check) && good;
    good = check_aggregate(c, check) && good;
    good = check_signal(c, check) && good;
    if (c->common.target == 0 && !check_input(check)->as_metric_source)
        good = check_error(check, "target", "write the value one replica should carry",
                           "target has to be given, and not 0");
    return good;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    static const char words[] = SIGNAL_WORDS;
    const struct inference *c = config;
    const char *word = words;

    (void)input;
    for (int i = 0; i < c->signal; i++)
        word = strchr(word, ',') + 1;
    text_printf(out, "inference-%.*s", (int)strcspn(word, ","), word);
}

/* ------------------------------------------------------------------ one poll */

enum replica_state { REPLICA_FAILED, REPLICA_EMPTY, REPLICA_VALUE };

struct replica {
    const char *url;
    enum replica_state state;
    double values[PAGE_SERIES_MAX]; /* gauges, or rates per second */
};

struct scrape {
    struct replica *replicas;
    size_t count;
    struct error first_error;
    enum page_shape shape;
    size_t series; /* how many the signal needs */
};

static struct window *window_of(const struct inference *c, struct poll *poll)
{
    struct inference_memory *memory = poll_memory(poll);

    if (!memory->window)
        memory->window = window_new(c->window_ms);
    return memory->window;
}

static void forget(void *memory)
{
    struct inference_memory *m = memory;

    window_free(m->window);
}

static void digest(const struct inference *c, struct poll *poll, struct replica *replica, const struct page *page)
{
    struct scrape *scrape = poll_scratch(poll);
    size_t found = 0;

    for (size_t i = 0; i < page->count; i++)
        found += page->series[i].found > 0;
    if (page->count == 0 || found < page->count)
        return; /* no request was served yet, or not with this model */
    scrape->shape = page->series[0].shape;
    scrape->series = page->count;
    if (scrape->shape == PAGE_HISTOGRAM) {
        window_histograms(window_of(c, poll), replica->url, poll_now_ms(poll), page);
        replica->state = REPLICA_VALUE;
    } else if (scrape->shape == PAGE_COUNTER) {
        if (window_counters(window_of(c, poll), replica->url, poll_now_ms(poll), page, replica->values))
            replica->state = REPLICA_VALUE;
    } else {
        replica->values[0] = page->series[0].value / (c->signal == SIGNAL_KV_USAGE ? (double)page->series[0].found : 1);
        replica->state = REPLICA_VALUE;
    }
}

static void on_page(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct inference *c = config;
    struct scrape *scrape = poll_scratch(poll);
    struct replica *replica = &scrape->replicas[reply->index];
    struct error err = reply->error;
    unsigned goodput = (c->ttft_ms > 0) | (unsigned)(c->itl_ms > 0) << 1;
    struct page page;

    if (!reply->failed && page_read(reply->body, reply->length, (enum engine)c->engine, (enum signal)c->signal, goodput,
                                    c->model, poll_arena(poll), &page, &err)) {
        replica->state = REPLICA_EMPTY;
        digest(c, poll, replica, &page);
        return;
    }
    if (scrape->first_error.kind == ERROR_NONE)
        scrape->first_error = err;
}

/* ------------------------------------------------------------------ from many to one */

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

/* Linear between ranks, as everywhere else. */
static double quantile_of(double *values, size_t count, double q)
{
    double rank = q * (double)(count - 1);
    size_t below = (size_t)rank;

    qsort(values, count, sizeof(*values), by_size);
    if (below + 1 >= count)
        return values[count - 1];
    return values[below] + (values[below + 1] - values[below]) * (rank - (double)below);
}

static double aggregate_of(const struct inference *c, double *values, size_t count)
{
    enum aggregate how = c->aggregate != AGGREGATE_DEFAULT ? c->aggregate
                         : c->signal == SIGNAL_KV_USAGE    ? AGGREGATE_AVG
                                                           : AGGREGATE_SUM;
    double result = how == AGGREGATE_SUM || how == AGGREGATE_AVG ? 0 : values[0];

    if (how == AGGREGATE_QUANTILE)
        return quantile_of(values, count, c->aggregate_quantile);
    for (size_t i = 0; i < count; i++) {
        if (how == AGGREGATE_MAX)
            result = values[i] > result ? values[i] : result;
        else if (how == AGGREGATE_MIN)
            result = values[i] < result ? values[i] : result;
        else
            result += values[i];
    }
    return how == AGGREGATE_AVG ? result / (double)count : result;
}

/* As PromQL's histogram_quantile: linear within a bucket; beyond the last finite limit that limit is all we know. */
static double histogram_quantile(const struct page_bucket *buckets, size_t count, double q)
{
    double rank = q * buckets[count - 1].count, low = 0, before = 0;

    for (size_t b = 0; b < count; b++) {
        if (buckets[b].count >= rank) {
            double inside = buckets[b].count - before;

            if (isinf(buckets[b].limit) || inside <= 0)
                return b > 0 ? low : buckets[b].limit;
            if (b == 0 && buckets[b].limit <= 0)
                return buckets[b].limit;
            return low + (buckets[b].limit - low) * (rank - before) / inside;
        }
        low = buckets[b].limit;
        before = buckets[b].count;
    }
    return low;
}

/* How many stayed within the limit; within a bucket they are taken as spread evenly. */
static double share_within(const struct page_bucket *buckets, size_t count, double limit)
{
    double total = buckets[count - 1].count, low = 0, before = 0;

    for (size_t b = 0; b < count; b++) {
        if (buckets[b].limit >= limit) {
            double inside = buckets[b].count - before;

            if (isinf(buckets[b].limit))
                return before / total;
            return (before + inside * (limit - low) / (buckets[b].limit - low)) / total;
        }
        low = buckets[b].limit;
        before = buckets[b].count;
    }
    return 1;
}

static enum poll_next finish_histograms(const struct inference *c, struct poll *poll)
{
    const struct scrape *scrape = poll_scratch(poll);
    struct window *window = window_of(c, poll);
    struct page_bucket buckets[PAGE_BUCKETS_MAX];
    double limits[PAGE_SERIES_MAX] = {(double)(c->ttft_ms > 0 ? c->ttft_ms : c->itl_ms) / 1000,
                                      (double)c->itl_ms / 1000};
    double share = 1;
    size_t count = 0;

    assert(scrape->series <= PAGE_SERIES_MAX);
    window_histograms_done(window, poll_now_ms(poll));
    window_prune(window, poll_now_ms(poll));
    for (size_t s = 0; s < scrape->series; s++) {
        if (!window_buckets(window, poll_now_ms(poll), s, buckets, &count))
            return poll_missing(poll, SWITCH_UNSET, "nothing was observed within the window yet");
        if (c->signal != SIGNAL_GOODPUT)
            return poll_value(poll, histogram_quantile(buckets, count, c->quantile));
        share *= share_within(buckets, count, limits[s]);
    }
    return poll_value(poll, share);
}

/* Requests, tokens a minute, or a quotient of two rates. */
static enum poll_next finish_rates(const struct inference *c, struct poll *poll, double *first, double *second,
                                   size_t count)
{
    double above = 0, below = 0;

    if (c->signal == SIGNAL_MEAN_PROMPT_TOKENS || c->signal == SIGNAL_E2E || c->signal == SIGNAL_QUEUE_TIME) {
        for (size_t i = 0; i < count; i++) {
            above += first[i];
            below += second[i];
        }
        return below > 0 ? poll_value(poll, above / below)
                         : poll_missing(poll, SWITCH_UNSET, "no request was finished within the window");
    }
    if (c->signal >= SIGNAL_TOKENS_PER_MIN && c->signal <= SIGNAL_GENERATED_TOKENS_PER_MIN)
        for (size_t i = 0; i < count; i++)
            first[i] = (first[i] + second[i]) * 60;
    return poll_value(poll, aggregate_of(c, first, count));
}

static enum poll_next finish(const void *config, struct poll *poll, const struct reply *none)
{
    const struct inference *c = config;
    struct scrape *scrape = poll_scratch(poll);
    double *first = arena_array(poll_arena(poll), scrape->count, sizeof(double)),
           *second = arena_array(poll_arena(poll), scrape->count, sizeof(double));
    size_t failed = 0, good = 0;

    (void)none;
    for (size_t i = 0; i < scrape->count; i++) {
        failed += scrape->replicas[i].state == REPLICA_FAILED;
        if (scrape->replicas[i].state != REPLICA_VALUE)
            continue;
        first[good] = scrape->replicas[i].values[0];
        second[good++] = scrape->replicas[i].values[1];
    }
    if (2 * failed > scrape->count)
        return poll_fail(poll, scrape->first_error.kind, "%zu of %zu replicas failed: %.250s", failed, scrape->count,
                         scrape->first_error.text);
    if (failed > 0)
        poll_note(poll, "%zu of %zu replicas answered: %.250s", scrape->count - failed, scrape->count,
                  scrape->first_error.text);
    if (good == 0)
        return poll_missing(poll, SWITCH_UNSET,
                            "no replica has a value yet (first look at a counter, or nothing served)");
    if (scrape->shape == PAGE_HISTOGRAM)
        return finish_histograms(c, poll);
    if (scrape->shape == PAGE_COUNTER) {
        window_prune(window_of(c, poll), poll_now_ms(poll));
        return finish_rates(c, poll, first, second, good);
    }
    return poll_value(poll, aggregate_of(c, first, good));
}

/* ------------------------------------------------------------------ whom to ask */

static const char *pod_url(const struct inference *c, struct poll *poll, const struct pod_view *pod)
{
    bool v6 = strchr(pod->host, ':') != NULL;

    return arena_printf(poll_arena(poll), "%s://%s%s%s:%d%s%s", c->scheme == 1 ? "https" : "http", v6 ? "[" : "",
                        pod->host, v6 ? "]" : "", c->port > 0 ? c->port : pod->port, *c->path == '/' ? "" : "/",
                        c->path);
}

static bool is_ready(const struct pod_view *pod)
{
    return pod->phase == POD_RUNNING && pod->ready == POD_READY_TRUE && !pod->deleted && pod->host && *pod->host;
}

static bool add_pod(const struct inference *c, struct poll *poll, const struct pod_view *pod, struct error *err)
{
    struct scrape *scrape = poll_scratch(poll);

    if (!is_ready(pod))
        return true;
    if (scrape->count == POLL_FANOUT_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d replicas (POLL_FANOUT_MAX)", POLL_FANOUT_MAX);
    if (c->port == 0 && pod->port == 0)
        return error_set(err, ERROR_INVALID, "replica %.60s has no port; say which with port", pod->name);
    scrape->replicas[scrape->count++].url = pod_url(c, poll, pod);
    return true;
}

static bool find_pods(const struct inference *c, struct poll *poll, struct error *err)
{
    struct scrape *scrape = poll_scratch(poll);
    const struct pod_view *const *selected = NULL, *all = NULL;
    size_t count;

    if (c->selector ? !poll_pods(poll, c->selector, &selected, &count, err)
                    : !poll_target_pods(poll, &all, &count, err))
        return false;
    scrape->replicas = arena_array(poll_arena(poll), count + 1, sizeof(*scrape->replicas));
    for (size_t i = 0; i < count; i++) {
        const struct pod_view *pod = selected ? selected[i] : &all[i];

        assert(pod);
        if (!add_pod(c, poll, pod, err))
            return false;
    }
    return true;
}

static bool find_replicas(const struct inference *c, struct poll *poll, struct error *err)
{
    struct scrape *scrape = poll_scratch(poll);

    if (!c->url && !c->urls)
        return find_pods(c, poll, err);
    scrape->count = c->url ? 1 : c->urls->count;
    scrape->replicas = arena_array(poll_arena(poll), scrape->count, sizeof(*scrape->replicas));
    for (size_t i = 0; i < scrape->count; i++)
        scrape->replicas[i].url = c->url ? c->url : c->urls->items[i];
    return true;
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct inference *c = config;
    struct scrape *scrape = poll_scratch(poll);
    struct request **requests;
    struct error err;

    (void)none;
    if (!find_replicas(c, poll, &err))
        return poll_fail_with(poll, &err);
    if (scrape->count == 0)
        return poll_missing(poll, SWITCH_UNSET, "no replica is ready");
    requests = arena_array(poll_arena(poll), scrape->count, sizeof(*requests));
    for (size_t i = 0; i < scrape->count; i++) {
        requests[i] = request_get(poll, scrape->replicas[i].url, "");
        request_raw(requests[i]);
        request_status(requests[i], 200, 200);
        request_sign(requests[i], c->auth, MODES, false, false);
    }
    return poll_send_all(poll, requests, scrape->count, on_page, finish);
}

TRIGGER(inference) = {
    .type = "inference",
    .summary = "signals of model servers (vLLM, SGLang, TGI, Triton, TensorRT-LLM, Dynamo, llama.cpp), read from their "
               "/metrics",
    .about = "One signal of the replicas' own metrics pages, whatever the engine calls it: how many requests wait or "
             "run, how full the key-value "
             "cache is, latencies to the first token or between tokens, goodput. Rates and quantiles need two looks, "
             "so at first there is no "
             "value. Replicas that do not answer are left out, with a note; where none answers it is a failure.",
    .example = "metadata:\n"
               "  signal: waiting\n"
               "  target: \"4\"\n"
               "  selector: app=llm\n"
               "  port: \"8000\"\n",
    .locally = "inference-sim --port 8000 &        # examples/tools: speaks like vLLM and its like\n"
               "weir probe llm.yaml                # url: http://localhost:8000/metrics instead of selector and port\n",
    .params = params,
    .config_size = sizeof(struct inference),
    .memory_size = sizeof(struct inference_memory),
    .scratch_size = sizeof(struct scrape),
    .scope = SCOPE_NAMESPACE | SCOPE_TARGET,
    .prepare = prepare,
    .metric_name = metric_name,
    .forget = forget,
    .poll = ask,
};
