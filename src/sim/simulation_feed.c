/*
 * simulation_feed: where each trigger's values come from, and what they are at this moment.
 *
 *     a column with its name  >  what the maps say  >  its own way (inference, kubernetes-workload, cron)  >  an error
 *
 * What a source without a value means is the trigger's: prometheus has a switch for it, for the others it is missing.
 */
#include "sim/simulation_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"

#define INFERENCE_WINDOW_NS (60 * INT64_C(1000000000)) /* defaults of the trigger's own table */
#define INFERENCE_QUANTILE  0.9

static const char *parameter(const struct trigger_spec *spec, const char *name)
{
    return tree_string(tree_get(spec->metadata, name));
}

/* ------------------------------------------------------------------ columns */

/* A trigger without a name is s0, s1 ... or called as its metric is. */
static uint16_t find_column(const struct simulation *s, size_t trigger)
{
    uint16_t column = INPUT_NONE;
    char number[24];

    if (!s->options.input)
        return INPUT_NONE;
    column = input_column(s->options.input, s->policy->names[trigger]);
    if (column != INPUT_NONE || s->policy->triggers[trigger].named)
        return column;
    snprintf(number, sizeof(number), "s%zu", trigger);
    return input_column(s->options.input, number);
}

static void read_switch(const struct trigger_spec *spec, struct feed *feed)
{
    const char *text = parameter(spec, "ignoreNullValues");

    feed->not_finite_is_nothing = string_equal(spec->type, "prometheus");
    if (!feed->not_finite_is_nothing || !text)
        return;
    feed->nothing = strcmp(text, "false") == 0 ? NOTHING_IS_FAILURE : NOTHING_IS_ZERO;
}

/* ------------------------------------------------------------------ the model */

static bool find_map(const struct simulation *s, size_t trigger, struct feed *feed)
{
    for (size_t i = 0; s->model && i < s->options.map_count; i++) {
        if (!string_equal(s->options.maps[i].trigger, s->policy->names[trigger]))
            continue;
        feed->kind = FEED_SIGNAL;
        feed->query = s->options.maps[i].query;
        return true;
    }
    return false;
}

/* Over the replicas it adds up; else it is a mean or a quantile of what all of them did. */
static bool adds_up(enum model_inference signal)
{
    return signal != MODEL_KV_USAGE && signal < MODEL_MEAN_PROMPT_TOKENS;
}

/* What the model has is the sum, or of kv_usage the mean; the other of the two follows. */
static bool find_share(const char *aggregate, struct feed *feed, struct error *err)
{
    bool sum = adds_up(feed->inference.signal);

    if (!aggregate || feed->inference.signal >= MODEL_MEAN_PROMPT_TOKENS || strcmp(aggregate, sum ? "sum" : "avg") == 0)
        return true;
    if (strcmp(aggregate, "sum") == 0 || strcmp(aggregate, "avg") == 0) {
        feed->share = sum ? SHARE_PER_READY : SHARE_TIMES_READY;
        return true;
    }
    return error_set(
        err, ERROR_INVALID,
        "aggregate %s is not in the model, which knows sum and avg over the replicas; give the trigger a column",
        aggregate);
}

static bool find_span(const struct trigger_spec *spec, const char *name, int64_t *ns, struct error *err)
{
    const char *text = parameter(spec, name);

    return !text || duration_parse_ns(text, strlen(text), ns) ||
           error_set(err, ERROR_INVALID, "its %s %s is no duration", name, text);
}

static bool find_inference(const struct trigger_spec *spec, struct feed *feed, struct error *err)
{
    const char *name = parameter(spec, "signal"), *quantile = parameter(spec, "quantile");

    feed->kind = FEED_INFERENCE;
    feed->inference =
        (struct model_inference_query){.signal = name ? model_inference_named(name) : MODEL_INFERENCE_COUNT,
                                       .window_ns = INFERENCE_WINDOW_NS,
                                       .quantile = INFERENCE_QUANTILE};
    if (feed->inference.signal == MODEL_INFERENCE_COUNT)
        return error_set(err, ERROR_INVALID, "the signal %s is not in the model; give the trigger a column",
                         name ? name : "(none)");
    if (quantile && !number_parse(quantile, strlen(quantile), &feed->inference.quantile))
        return error_set(err, ERROR_INVALID, "its quantile %s is no number", quantile);
    return find_span(spec, "window", &feed->inference.window_ns, err) &&
           find_span(spec, "ttft", &feed->inference.ttft_ns, err) &&
           find_span(spec, "itl", &feed->inference.itl_ns, err) && find_share(parameter(spec, "aggregate"), feed, err);
}

static bool selects_target(const struct simulation *s, const struct trigger_spec *spec)
{
    const char *text = parameter(spec, "podSelector");
    struct selector *selector;

    return text && selector_parse(text, s->manifest->arena, &selector, NULL) &&
           selector_matches(selector, s->labels, s->label_count);
}

/* ------------------------------------------------------------------ what feeds a trigger */

static void list_columns(const struct simulation *s, struct text *out)
{
    size_t count = s->options.input ? input_columns(s->options.input) : 0;

    for (size_t i = 0; i < count; i++)
        text_printf(out, "%s%s", i ? ", " : "", input_name(s->options.input, (uint16_t)i));
    if (count == 0)
        text_add(out, "none");
}

static bool refuse(const struct simulation *s, size_t trigger, struct error *err)
{
    const char *name = s->policy->names[trigger], *type = s->policy->triggers[trigger].type;
    struct text columns;

    text_init(&columns, sizeof(err->text) / 3);
    list_columns(s, &columns);
    if (strcmp(type, "kubernetes-workload") == 0)
        error_set(err, ERROR_INVALID,
                  "nothing says how many pods %s counts: its selector does not match the pods of %s/%s, and there is "
                  "no column of "
                  "that name (there are: %s)",
                  name, s->object->target.kind, s->object->target.name, columns.bytes);
    else
        error_set(err, ERROR_INVALID, "nothing feeds %s (%s): there is no column of that name (there are: %s); %s",
                  name, type, columns.bytes,
                  s->model ? "add one, or map the trigger to a signal of the model"
                           : "add one, or give a model of the workload");
    text_done(&columns);
    return false;
}

static bool find_feed(struct simulation *s, size_t trigger, struct error *err)
{
    const struct trigger_spec *spec = &s->object->triggers[trigger];
    struct feed *feed = &s->feeds[trigger];

    read_switch(spec, feed);
    feed->column = find_column(s, trigger);
    feed->resource = string_equal(spec->type, "cpu") || string_equal(spec->type, "memory");
    if (feed->column != INPUT_NONE)
        feed->kind = FEED_COLUMN;
    else if (simulation_replay_has(s, s->policy->names[trigger]))
        feed->kind = FEED_RECORD;
    else if (find_map(s, trigger, feed))
        return !feed->resource ||
               error_set(err, ERROR_INVALID,
                         "%s is utilization of pods, of which the model knows nothing; give it a column",
                         s->policy->names[trigger]);
    else if (s->model && string_equal(spec->type, "inference"))
        return find_inference(spec, feed, err) || error_add_place(err, "trigger %s", s->policy->names[trigger]);
    else if (string_equal(spec->type, "kubernetes-workload") && selects_target(s, spec))
        feed->kind = FEED_PODS;
    else if (string_equal(spec->type, "cron"))
        feed->kind = FEED_CLOCK;
    else
        return refuse(s, trigger, err);
    return true;
}

bool simulation_find_feeds(struct simulation *s, struct error *err)
{
    s->feeds = mem_array(s->policy->trigger_count + 1, sizeof(*s->feeds));
    for (size_t i = 0; i < s->policy->trigger_count; i++)
        if (!find_feed(s, i, err))
            return error_add_place(err, "%s:%d spec.triggers[%zu]", s->options.manifest_name,
                                   s->object->triggers[i].place.line, i);
    return true;
}

bool simulation_reads_column(const struct simulation *s, uint16_t column)
{
    for (size_t i = 0; i < s->policy->trigger_count; i++)
        if (s->feeds[i].kind == FEED_COLUMN && s->feeds[i].column == column)
            return true;
    return false;
}

bool simulation_reads_map(const struct simulation *s, size_t map)
{
    for (size_t i = 0; i < s->policy->trigger_count; i++)
        if (s->feeds[i].kind == FEED_SIGNAL && string_equal(s->options.maps[map].trigger, s->policy->names[i]))
            return true;
    return false;
}

/* ------------------------------------------------------------------ values */

static void say_nothing(const struct feed *feed, const char *words, struct sample *sample, struct error *why)
{
    sample->value = 0;
    sample->stand_in = feed->nothing == NOTHING_IS_ZERO;
    sample->state = feed->nothing == NOTHING_IS_ZERO      ? SAMPLE_OK
                    : feed->nothing == NOTHING_IS_FAILURE ? SAMPLE_FAILED
                                                          : SAMPLE_MISSING;
    if (feed->nothing != NOTHING_IS_ZERO)
        error_set(why, feed->nothing == NOTHING_IS_FAILURE ? ERROR_NONSENSE : ERROR_MISSING, "%s", words);
}

static void say_failed(struct sample *sample, struct error *why, const char *words)
{
    sample->state = SAMPLE_FAILED;
    error_set(why, ERROR_UNREACHABLE, "%s", words);
}

static void say_number(const struct feed *feed, double value, struct sample *sample, struct error *why)
{
    if (!isfinite(value)) {
        say_nothing(feed, isnan(value) ? "the value is not a number (NaN)" : "the value is infinite", sample, why);
        if (!feed->not_finite_is_nothing)
            sample->state = SAMPLE_MISSING;
        return;
    }
    sample->state = SAMPLE_OK;
    sample->value = value;
}

static bool column_at(struct simulation *s, uint16_t trigger, struct input_value *value)
{
    if (!input_at(s->options.input, s->feeds[trigger].column, simulation_now_ms(s), value))
        return false;
    if (s->options.adjust) {
        simulation_look(s);
        s->options.adjust(s->options.arg, trigger, s->counts.replicas, s->counts.ready, value);
    }
    return true;
}

static void say_column(struct simulation *s, uint16_t trigger, struct sample *sample, struct error *why)
{
    struct feed *feed = &s->feeds[trigger];
    struct input_value value = {.kind = INPUT_MISSING};

    if (!column_at(s, trigger, &value))
        say_nothing(feed, "the input has not begun to say anything yet", sample, why);
    else if (value.kind == INPUT_OK)
        say_number(feed, value.value, sample, why);
    else if (value.kind == INPUT_MISSING)
        say_nothing(feed, "the source answered without a value", sample, why);
    else if (value.kind == INPUT_FAILED || feed->last.state == SAMPLE_NONE)
        say_failed(sample, why, "the source did not answer");
    else
        *sample = feed->last;
    if (value.kind == INPUT_OK)
        feed->last = *sample;
}

static void say_model(struct simulation *s, struct feed *feed, struct sample *sample, struct error *why)
{
    double value = 0;
    bool there;

    simulation_look(s);
    if (!s->snapshot_taken)
        model_snapshot(s->model);
    s->snapshot_taken = true;
    if (feed->kind == FEED_SIGNAL)
        there = model_read(s->model, &feed->query, &value);
    else
        there = model_inference(s->model, &feed->inference, &value);
    if (!there) {
        say_nothing(feed, "no replica is ready, or nothing happened within the window", sample, why);
        return;
    }
    if (feed->share == SHARE_PER_READY && s->counts.ready > 0)
        value /= s->counts.ready;
    else if (feed->share == SHARE_TIMES_READY)
        value *= s->counts.ready;
    say_number(feed, value, sample, why);
}

static void say_pods(struct simulation *s, struct sample *sample)
{
    simulation_look(s);
    sample->state = SAMPLE_OK;
    sample->value = (double)s->counts.ready + (double)s->counts.pending + (double)s->counts.draining;
}

bool simulation_sample(struct simulation *s, uint16_t trigger, struct sample *sample, struct error *why)
{
    struct feed *feed = &s->feeds[trigger];

    switch (feed->kind) {
    case FEED_COLUMN:
        say_column(s, trigger, sample, why);
        return true;
    case FEED_SIGNAL:
    case FEED_INFERENCE:
        say_model(s, feed, sample, why);
        return true;
    case FEED_PODS:
        say_pods(s, sample);
        return true;
    case FEED_RECORD:
        simulation_replay_sample(s, trigger, sample, why);
        return true;
    case FEED_NOTHING:
    case FEED_CLOCK:
        break;
    }
    return false;
}

bool simulation_usage(struct simulation *s, bool cpu, double *ratio)
{
    struct input_value value;

    for (size_t i = 0; i < s->policy->trigger_count; i++) {
        if (!s->feeds[i].resource || s->feeds[i].kind != FEED_COLUMN ||
            string_equal(s->policy->triggers[i].type, "cpu") != cpu)
            continue;
        if (!column_at(s, (uint16_t)i, &value) || value.kind != INPUT_OK || !isfinite(value.value))
            return false;
        *ratio = value.value / 100;
        return true;
    }
    return false;
}
