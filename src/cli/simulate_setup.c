/* simulate_setup: see simulate_setup.h. Every option is read before the trace is, for that may take long. */
#include "cli/simulate_setup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "journal/recording.h"
#include "sim/input.h"

#define NS_PER_MS INT64_C(1000000)
#define MONDAY_MS INT64_C(1767571200000) /* 2026-01-05, midnight UTC */

enum { STARTUP_TABLE_MAX = 1000, DEFAULT_STARTUP_MS = 60 * 1000 };

/* ------------------------------------------------------------------ words */

/* The next of words with commas between them; false: there is none. */
static bool next_word(const char **at, const char **word, size_t *length)
{
    if (!*at || !**at)
        return false;
    *word = *at;
    *length = strcspn(*at, ",");
    *at += *length + ((*at)[*length] == ',');
    return true;
}

static bool read_duration(const char *option, const char *word, size_t length, int64_t *ns, struct error *err)
{
    if (!duration_parse_ns(word, length, ns) || *ns < 0)
        return error_set(err, ERROR_INVALID, "--%s: '%.*s' is no duration like 30s or 1m30s", option, (int)length,
                         word);
    return *ns / NS_PER_MS / 1000 <= SIM_DURATION_MAX_S ||
           error_set(err, ERROR_LIMIT, "--%s: '%.*s' is longer than %d days (SIM_DURATION_MAX_S)", option, (int)length,
                     word, SIM_DURATION_MAX_S / 86400);
}

static bool read_number(const char *option, const char *word, double *out, struct error *err)
{
    return (number_parse(word, strlen(word), out) && isfinite(*out) && *out >= 0) ||
           error_set(err, ERROR_INVALID, "--%s is a number from 0 on, not '%s'", option, word);
}

static bool read_goals(const char *text, struct score_goals *goals, struct error *err)
{
    const char *word;
    size_t length;

    *goals = SCORE_GOALS_DEFAULT;
    while (next_word(&text, &word, &length)) {
        const struct {
            const char *name;
            int64_t *ns;
        } known[] = {
            {"ttft=", &goals->ttft_ns}, {"itl=", &goals->itl_ns}, {"ttft_per_token=", &goals->ttft_per_token_ns}};
        bool fits = false;

        for (size_t i = 0; !fits && i < 3; i++) {
            size_t name = strlen(known[i].name);

            fits = length > name && strncmp(word, known[i].name, name) == 0;
            if (fits && !read_duration("slo", word + name, length - name, known[i].ns, err))
                return false;
        }
        if (!fits)
            return error_set(err, ERROR_INVALID,
                             "--slo: '%.*s' is none of ttft=DURATION, itl=DURATION and ttft_per_token=DURATION",
                             (int)length, word);
    }
    return true;
}

static bool read_tokens(const char *text, struct trace_shape *shape, struct error *err)
{
    const char *slash = text ? strchr(text, '/') : NULL;

    *shape = (struct trace_shape){0, 0};
    if (!text)
        return true;
    return (slash && number_parse(text, (size_t)(slash - text), &shape->prompt) &&
            number_parse(slash + 1, strlen(slash + 1), &shape->generated) && shape->prompt >= 1 &&
            shape->generated >= 1) ||
           error_set(err, ERROR_INVALID, "--tokens is PROMPT/GENERATED, both from 1 on, as in 2048/28; not '%s'", text);
}

/* ------------------------------------------------------------------ how long a start takes */

static bool read_uniform(const char *text, const char *dots, struct serving_startup *out, struct error *err)
{
    out->kind = STARTUP_UNIFORM;
    if (!read_duration("startup", text, (size_t)(dots - text), &out->low_ns, err) ||
        !read_duration("startup", dots + 2, strlen(dots + 2), &out->high_ns, err))
        return false;
    return out->low_ns <= out->high_ns || error_set(err, ERROR_INVALID, "--startup: %s ends before it begins", text);
}

static bool read_table(const char *text, struct simulate_setup *setup, struct error *err)
{
    struct serving_startup *out = &setup->model_options.startup;
    const char *word;
    size_t length;

    out->kind = STARTUP_TABLE;
    setup->startup_table_ns = mem_array(STARTUP_TABLE_MAX, sizeof(*setup->startup_table_ns));
    while (next_word(&text, &word, &length)) {
        if (out->table_count == STARTUP_TABLE_MAX)
            return error_set(err, ERROR_LIMIT, "--startup has more than %d durations (STARTUP_TABLE_MAX)",
                             STARTUP_TABLE_MAX);
        if (!read_duration("startup", word, length, &setup->startup_table_ns[out->table_count++], err))
            return false;
    }
    out->table_ns = setup->startup_table_ns;
    return true;
}

static bool read_startup(const char *text, struct simulate_setup *setup, struct error *err)
{
    struct serving_startup *out = &setup->model_options.startup;
    const char *dots = text ? strstr(text, "..") : NULL;

    *out = (struct serving_startup){
        .kind = STARTUP_FIXED, .fixed_ns = DEFAULT_STARTUP_MS * NS_PER_MS, .seed = setup->seed};
    if (!text)
        return true;
    if (dots)
        return read_uniform(text, dots, out, err);
    if (strchr(text, ','))
        return read_table(text, setup, err);
    if (!read_duration("startup", text, strlen(text), &out->fixed_ns, err))
        return false;
    setup->ready_after_ms = out->fixed_ns / NS_PER_MS;
    return true;
}

/* ------------------------------------------------------------------ the profile */

static bool read_field(const struct tree *map, const char *name, int64_t *out, struct error *err)
{
    const struct tree *node = tree_get(map, name);

    return (node && tree_integer(node, out) && *out >= 0 && *out <= INT64_C(1000000000000)) ||
           error_set(err, ERROR_INVALID, "%s has to be a whole number from 0 on", name);
}

static bool know_fields(const struct tree *map, struct error *err)
{
    static const char *const known[] = {"prefill_tps",  "itl_base_ns", "itl_per_seq_ns", "max_batch", "kv_tokens",
                                        "chunk_tokens", "gpus"};
    enum { KNOWN = sizeof(known) / sizeof(known[0]) };

    for (const struct tree *field = map && map->type == TREE_MAP ? map->first : NULL; field; field = field->next) {
        const char *near = string_nearest(field->key, known, KNOWN);
        bool fits = false;

        for (size_t i = 0; i < KNOWN; i++)
            fits |= strcmp(field->key, known[i]) == 0;
        if (!fits)
            return error_set(err, ERROR_INVALID, "a profile has no field %.80s%s%s%s", field->key,
                             near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    return true;
}

static bool read_profile_tree(const struct tree *map, struct serving_profile *out, struct error *err)
{
    int64_t gpus = 1;

    if (!know_fields(map, err))
        return false;
    if (tree_get(map, "gpus") && !read_field(map, "gpus", &gpus, err))
        return false;
    out->gpus = (int)gpus;
    return read_field(map, "prefill_tps", &out->prefill_tps, err) &&
           read_field(map, "itl_base_ns", &out->itl_base_ns, err) &&
           read_field(map, "itl_per_seq_ns", &out->itl_per_seq_ns, err) &&
           read_field(map, "max_batch", &out->max_batch, err) && read_field(map, "kv_tokens", &out->kv_tokens, err) &&
           read_field(map, "chunk_tokens", &out->chunk_tokens, err);
}

static bool read_profile_file(const char *path, struct serving_profile *out, struct error *err)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *documents;
    struct text bytes;

    text_init(&bytes, MANIFEST_FILE_MAX_BYTES);
    bool fine = file_read(path, &bytes, err);
    if (!fine && err->kind == ERROR_MISSING)
        error_set(err, ERROR_MISSING, "--profile: %s is neither h100-8b nor h100x2-70b nor a file", path);
    else
        fine = fine && tree_read_yaml(path, bytes.bytes, bytes.length, arena, &documents, err) &&
               (read_profile_tree(tree_index(documents, 0), out, err) || error_add_place(err, "%s", path));
    text_done(&bytes);
    arena_free(arena);
    return fine;
}

static bool read_profile(const char *name, struct serving_profile *out, struct error *err)
{
    const struct serving_profile *known = serving_profile(name);

    if (known)
        *out = *known;
    return known || read_profile_file(name, out, err);
}

/* ------------------------------------------------------------------ maps */

static bool refuse_signal(const char *name, struct error *err)
{
    struct text names;

    text_init(&names, sizeof(err->text) / 2);
#define SIGNAL(id, word) text_printf(&names, "%s%s", names.length ? ", " : "", word);
    SIM_SIGNALS(SIGNAL)
#undef SIGNAL
    error_set(err, ERROR_INVALID, "--map: the model has no signal %s; it has %s", name, names.bytes);
    text_done(&names);
    return false;
}

/* SIGNAL[:WINDOW[:QUANTILE]]; cuts at the colons. */
static bool read_query(char *text, struct signal_query *query, struct error *err)
{
    char *window = strchr(text, ':'), *quantile = window ? strchr(window + 1, ':') : NULL;

    if (window)
        *window++ = '\0';
    if (quantile)
        *quantile++ = '\0';
    *query = (struct signal_query){sim_signal_named(text), 60000 * NS_PER_MS, 90};
    if (query->signal == SIM_SIGNAL_COUNT)
        return refuse_signal(text, err);
    if (window && !read_duration("map", window, strlen(window), &query->window_ns, err))
        return false;
    return !quantile || (read_number("map", quantile, &query->quantile, err) &&
                         (query->quantile <= 100 ||
                          error_set(err, ERROR_INVALID, "--map: the quantile %s is a percentage, 0 to 100", quantile)));
}

static bool read_maps(const char *text, struct simulate_setup *setup, struct error *err)
{
    char *rest = NULL;

    if (!text)
        return true;
    setup->map_names = mem_copy(text);
    for (char *word = strtok_r(setup->map_names, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(word, '=');

        if (!equals || equals == word)
            return error_set(err, ERROR_INVALID, "--map: '%s' is not TRIGGER=SIGNAL, as in load=tokens_per_min:30s",
                             word);
        *equals = '\0';
        for (size_t i = 0; i < setup->map_count; i++)
            if (strcmp(setup->maps[i].trigger, word) == 0)
                return error_set(err, ERROR_INVALID, "--map: the trigger %s is mapped twice; leave one out", word);
        setup->maps = mem_grow(setup->maps, setup->map_count + 1, sizeof(*setup->maps));
        setup->maps[setup->map_count] = (struct simulation_map){.trigger = word};
        if (!read_query(equals + 1, &setup->maps[setup->map_count].query, err))
            return false;
        setup->map_count++;
    }
    return true;
}

/* ------------------------------------------------------------------ the trace */

static bool amplify(struct simulate_setup *setup, int64_t times, struct error *err)
{
    if ((int64_t)setup->demand.requests.count > SIM_TRACE_REQUESTS_MAX / times)
        return error_set(
            err, ERROR_LIMIT,
            "--amplify %lld makes more than %d of %zu requests (SIM_TRACE_REQUESTS_MAX); cut the trace, or "
            "amplify less",
            (long long)times, SIM_TRACE_REQUESTS_MAX, setup->demand.requests.count);
    if (times > 1)
        trace_amplify(&setup->demand.requests, times, 1000 * NS_PER_MS);
    for (size_t i = 0; i < setup->demand.bucket_count; i++) {
        struct model_bucket *b = &setup->demand.buckets[i];

        b->requests_per_s *= (double)times;
        b->prompt_tokens_per_s *= (double)times;
        b->generated_tokens_per_s *= (double)times;
    }
    return true;
}

static void take_demand(struct simulate_setup *setup)
{
    struct model_options *m = &setup->model_options;

    m->requests = setup->demand.requests.requests;
    m->request_count = setup->demand.requests.count;
    m->buckets = setup->demand.buckets;
    m->bucket_count = setup->demand.bucket_count;
    m->bucket_ns = setup->demand.bucket_ns;
    setup->model = m;
}

/* What kind of trace it is, its first line tells; then it is read from the beginning again. */
static bool can_be_read_again(const char *path, struct error *err)
{
    struct stat status;

    if (strcmp(path, "-") != 0 && (stat(path, &status) != 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
        return true;
    return error_set(err, ERROR_INVALID,
                     "the trace %s is a pipe or a device, which cannot be read twice: write it to a file first", path);
}

static bool read_trace(const struct simulate_words *words, struct simulate_setup *setup,
                       const struct trace_shape *shape, struct error *err)
{
    if (!words->trace)
        return true;
    if (!can_be_read_again(words->trace, err))
        return false;
    if (trace_is_file(words->trace)) {
        if (!trace_read_file(words->trace, shape->prompt > 0 ? shape : NULL, &setup->demand, err) ||
            !amplify(setup, words->amplify, err))
            return false;
        take_demand(setup);
        return true;
    }
    setup->input = input_new();
    if (recording_is(words->trace))
        setup->recording = words->trace;
    if (!input_read_file(setup->input, words->trace, words->column, err))
        return false;
    if (input_start_ms(setup->input) > 0 && !words->start)
        setup->start_at_ms = input_start_ms(setup->input);
    return true;
}

/* Without requests nothing would read them. */
static bool check_fit(const struct simulate_words *words, const struct simulate_setup *setup, struct error *err)
{
    static const char needs[] =
        "is about requests, of which this trace has none: leave it out, or give a trace of requests";

    if (setup->model)
        return !words->column || error_set(err, ERROR_INVALID,
                                           "--column names a series of columns over time, and this trace is of "
                                           "requests: leave it out");
    if (words->map)
        return error_set(err, ERROR_INVALID, "--map %s", needs);
    if (words->tokens)
        return error_set(err, ERROR_INVALID, "--tokens %s", needs);
    return words->amplify == 1 || error_set(err, ERROR_INVALID, "--amplify %s", needs);
}

/* ------------------------------------------------------------------ all */

static bool read_numbers(const struct simulate_words *words, struct simulate_setup *setup, struct error *err)
{
    if (words->amplify < 1 || words->amplify > SIM_TRACE_REQUESTS_MAX)
        return error_set(err, ERROR_INVALID, "--amplify is a number from 1 on, not %lld", (long long)words->amplify);
    if (words->initial < -1 || words->initial > INT32_MAX)
        return error_set(err, ERROR_INVALID, "--initial is a number of replicas, not %lld", (long long)words->initial);
    if (words->start && (!instant_parse(words->start, &setup->start_at_ms) || setup->start_at_ms < 0))
        return error_set(err, ERROR_INVALID, "--start is a time from 1970 on like 2026-01-05T08:00:00Z, not '%s'",
                         words->start);
    if (words->price && !read_number("price", words->price, &setup->price, err))
        return false;
    setup->initial = (int32_t)words->initial;
    setup->duration_ms = words->duration_ms;
    setup->seed = (uint64_t)words->seed;
    setup->object = words->object;
    return true;
}

static bool read_all(const struct simulate_words *words, struct simulate_setup *setup, struct error *err)
{
    struct model_options *m = &setup->model_options;
    struct trace_shape shape;

    if (!read_numbers(words, setup, err) || !read_goals(words->slo, &setup->goals, err) ||
        !read_tokens(words->tokens, &shape, err) || !read_startup(words->startup, setup, err) ||
        !read_profile(words->profile, &m->profile, err) || !read_maps(words->map, setup, err) ||
        !read_trace(words, setup, &shape, err) || !check_fit(words, setup, err))
        return false;
    m->duration_ns = words->duration_ms < 0 ? -1 : words->duration_ms * NS_PER_MS;
    m->warmup_ns = words->warmup_ms * NS_PER_MS;
    m->step_ns = words->step_ms * NS_PER_MS;
    m->seed = setup->seed;
    if (setup->model)
        setup->price *= m->profile.gpus;
    return true;
}

bool simulate_setup(const struct simulate_words *words, struct simulate_setup *setup, struct error *err)
{
    *setup = (struct simulate_setup){.trace = words->trace, .start_at_ms = MONDAY_MS};
    if (read_all(words, setup, err))
        return true;
    simulate_setup_done(setup);
    return false;
}

void simulate_setup_done(struct simulate_setup *setup)
{
    input_free(setup->input);
    trace_file_free(&setup->demand);
    free(setup->startup_table_ns);
    free(setup->maps);
    free(setup->map_names);
    free(setup->columns_read);
    free(setup->maps_read);
    *setup = (struct simulate_setup){.model = NULL};
}

/* ------------------------------------------------------------------ what nobody reads */

/* A recording has what its own policy read, which this one need not. */
static size_t columns_of(const struct simulate_setup *setup)
{
    return setup->input && !setup->recording ? input_columns(setup->input) : 0;
}

void simulate_setup_note(struct simulate_setup *setup, const struct simulation *simulation)
{
    if (!setup->columns_read) {
        setup->columns_read = mem_array(columns_of(setup) + 1, sizeof(bool));
        setup->maps_read = mem_array(setup->map_count + 1, sizeof(bool));
    }
    for (size_t i = 0; i < columns_of(setup); i++)
        setup->columns_read[i] |= simulation_reads_column(simulation, (uint16_t)i);
    for (size_t i = 0; i < setup->map_count; i++)
        setup->maps_read[i] |= simulation_reads_map(simulation, i);
}

bool simulate_setup_all_read(const struct simulate_setup *setup, struct error *err)
{
    for (size_t i = 0; setup->columns_read && i < columns_of(setup); i++)
        if (!setup->columns_read[i]) {
            error_set(err, ERROR_INVALID,
                      "no trigger is called '%s', as this column is: take it out, or call it as a trigger is called",
                      input_name(setup->input, (uint16_t)i));
            return error_add_place(err, "%s", setup->trace);
        }
    for (size_t i = 0; setup->maps_read && i < setup->map_count; i++)
        if (!setup->maps_read[i])
            return error_set(err, ERROR_INVALID, "--map: there is no trigger %s", setup->maps[i].trigger);
    return true;
}

void simulate_setup_fill(const struct simulate_setup *setup, struct simulation_options *options)
{
    options->input = setup->input;
    options->model = setup->model;
    options->maps = setup->maps;
    options->map_count = setup->map_count;
    options->start_at_ms = setup->start_at_ms;
    options->duration_ms = setup->duration_ms;
    options->initial = setup->initial;
    options->ready_after_ms = setup->ready_after_ms;
    options->seed = setup->seed;
    options->object = setup->object;
}
