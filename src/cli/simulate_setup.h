/*
 * simulate_setup: what commands that simulate are told on their command line, once for all of them: a trace, a model of the workload, goals.
 *
 *     static struct simulate_words words = SIMULATE_WORDS;
 *     static const struct option_row options[] = {SIMULATE_OPTIONS(words), ..., {0}};
 *     ...
 *     if (!simulate_setup(&words, &setup, &err)) ...
 *     struct simulation_options o = {.manifest = ...};
 *     simulate_setup_fill(&setup, &o);                        -- borrows from the setup, which is only looked at from then on
 *     simulate_setup_note(&setup, simulation);                -- after simulation_new, for each of them
 *     if (!simulate_setup_all_read(&setup, &err)) ...
 *     simulate_setup_done(&setup);
 */
#ifndef WEIR_CLI_SIMULATE_SETUP_H
#define WEIR_CLI_SIMULATE_SETUP_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/options.h"
#include "sim/simulation.h"

struct error;

struct simulate_words { /* as written */
    const char *trace, *column, *profile, *startup, *map, *tokens, *slo, *price, *object, *start;
    int64_t initial, step_ms, amplify, duration_ms, warmup_ms, seed;
};
/* clang-format off */
#define SIMULATE_WORDS {.profile = "h100-8b", .slo = "", .initial = -1, .step_ms = 15000, .amplify = 1, .duration_ms = -1}
#define SIMULATE_OPTIONS(words)                                                                                        \
    {"trace", 't', OPTION_TEXT, &(words).trace, "FILE",                                                                \
     "what happened: columns over time named as triggers, requests one by one, or sums of requests"},                  \
    {"column", 0, OPTION_TEXT, &(words).column, "NAME", "the trigger that a trace with one series without a name is"}, \
    {"profile", 0, OPTION_TEXT, &(words).profile, "h100-8b|h100x2-70b|FILE",                                           \
     "how fast a replica of the model is (h100-8b)"},                                                                  \
    {"startup", 0, OPTION_TEXT, &(words).startup, "DURATION",                                                          \
     "until a new replica is ready: 60s, 30s..90s, or 30s,45s,90s, each as likely (60s; without requests 0s)"},        \
    {"map", 0, OPTION_TEXT, &(words).map, "TRIGGER=SIGNAL[:WINDOW[:QUANTILE]]",                                        \
     "a trigger reads a signal of the model; several with commas"},                                                    \
    {"tokens", 0, OPTION_TEXT, &(words).tokens, "PROMPT/GENERATED",                                                    \
     "of each request, where the trace only counts them, as in 2048/28"},                                              \
    {"amplify", 0, OPTION_NUMBER, &(words).amplify, "N", "every request N times within its second (1)"},               \
    {"step", 0, OPTION_DURATION, &(words).step_ms, "DURATION", "of the model of sums (15s)"},                          \
    {"initial", 0, OPTION_NUMBER, &(words).initial, "REPLICAS", "ready at the start (minReplicaCount)"},               \
    {"start", 0, OPTION_TEXT, &(words).start, "TIME",                                                                  \
     "the wall clock at the start, RFC 3339 (the trace's, or a Monday at midnight, UTC)"},                             \
    {"duration", 0, OPTION_DURATION, &(words).duration_ms, "DURATION", "how long (to the end of the trace)"},          \
    {"warmup", 0, OPTION_DURATION, &(words).warmup_ms, "DURATION", "not scored (0s)"},                                 \
    {"seed", 0, OPTION_NUMBER, &(words).seed, "NUMBER", "of what is left to chance (0)"},                              \
    {"slo", 0, OPTION_TEXT, &(words).slo, "ttft=2s,itl=100ms",                                                         \
     "goals of a request; ttft_per_token=125us adds to ttft by its prompt (ttft=2s,itl=100ms)"},                       \
    {"price", 0, OPTION_TEXT, &(words).price, "MONEY", "of an hour of a GPU (without a model: of a replica)"},         \
    {"object", 0, OPTION_TEXT, &(words).object, "[NAMESPACE/]NAME", "which ScaledObject of the file"}
/* clang-format on */

struct simulate_setup {
    const char *trace;        /* its file; NULL: there is none */
    struct input *input;      /* NULL: the trace is demand */
    const char *recording;    /* the trace is one: input has its samples, and simulation_options.recording more; NULL */
    struct trace_file demand; /* borrowed by model */
    const struct model_options *model; /* NULL: no demand */
    struct model_options model_options;
    int64_t *startup_table_ns;
    struct simulation_map *maps;
    size_t map_count;
    char *map_names;
    bool *columns_read, *maps_read; /* by a simulation that was noted; NULL: none was */
    struct score_goals goals;
    double price; /* of a replica's hour; 0: not asked for */
    int64_t start_at_ms, duration_ms, ready_after_ms;
    int32_t initial;
    uint64_t seed;
    const char *object;
};

/* false: err says which option or file is wrong, and what it may be. */
bool simulate_setup(const struct simulate_words *words, struct simulate_setup *setup, struct error *err);
void simulate_setup_done(struct simulate_setup *setup);
void simulate_setup_fill(const struct simulate_setup *setup, struct simulation_options *options);
/* Notes what this simulation reads of the trace's columns and of the maps. */
void simulate_setup_note(struct simulate_setup *setup, const struct simulation *simulation);
/* false: there is a column or a map that none of those noted reads. */
bool simulate_setup_all_read(const struct simulate_setup *setup, struct error *err);

#endif
