/*
 * sim_case: inputs of simulation cases, and comparing.
 */
#include "sim_case.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ reading */

const struct tree *first_of(const struct tree *list)
{
    return list ? list->first : NULL;
}

int64_t integer_at(const struct tree *list, size_t index)
{
    int64_t value = 0;

    tree_integer(tree_index(list, index), &value);
    return value;
}

double number_at(const struct tree *list, size_t index)
{
    double value = 0;

    tree_number(tree_index(list, index), &value);
    return value;
}

int64_t seconds_or(const struct tree *map, const char *key, double unset_s)
{
    return llround(number_or(map, key, unset_s) * (double)NS_PER_S);
}

bool read_profile(const struct tree *node, struct serving_profile *out)
{
    const char *name = tree_string(node);

    if (name) {
        const struct serving_profile *known = serving_profile(name);
        if (known)
            *out = *known;
        return known != NULL;
    }
    *out = (struct serving_profile){
        .prefill_tps = integer_or(node, "prefill_tps", 0),
        .itl_base_ns = integer_or(node, "itl_base_ns", 0),
        .itl_per_seq_ns = integer_or(node, "itl_per_seq_ns", 0),
        .max_batch = integer_or(node, "max_batch", 0),
        .kv_tokens = integer_or(node, "kv_tokens", 0),
        .chunk_tokens = integer_or(node, "chunk_tokens", 0),
        .gpus = (int)integer_or(node, "gpus", 1),
    };
    return out->prefill_tps >= 1 && out->itl_base_ns >= 1 && out->max_batch >= 1 && out->chunk_tokens >= 1;
}

uint64_t read_seed(const struct tree *map)
{
    const struct tree *seed = tree_get(map, "seed");

    return seed && seed->text ? strtoull(seed->text, NULL, 10) : 0; /* seeds may exceed 2^63 */
}

struct serving_startup read_startup(struct decide_case *c, const struct tree *map)
{
    const struct tree *uniform = tree_get(map, "uniform_ns"), *table = tree_get(map, "table_ns");
    struct serving_startup out = {
        .kind = STARTUP_FIXED, .fixed_ns = integer_or(map, "fixed_ns", 0), .seed = read_seed(map)};

    if (uniform) {
        out.kind = STARTUP_UNIFORM;
        out.low_ns = integer_at(uniform, 0);
        out.high_ns = integer_at(uniform, 1);
    } else if (table) {
        int64_t *values = arena_array(c->arena, tree_count(table) + 1, sizeof(*values));

        out.kind = STARTUP_TABLE;
        for (const struct tree *v = table->first; v; v = v->next)
            tree_integer(v, &values[out.table_count++]);
        out.table_ns = values;
    }
    return out;
}

struct trace read_requests(const struct tree *list)
{
    struct trace trace = {0};

    for (const struct tree *r = first_of(list); r; r = r->next)
        trace_add(&trace, integer_at(r, 0), integer_at(r, 1), integer_at(r, 2));
    trace_amplify(&trace, 1, 0); /* one copy each: by time, else as written */
    return trace;
}

const struct run_write *read_plan(struct decide_case *c, size_t *count)
{
    const struct tree *list = tree_get(c->in, "plan");
    struct run_write *plan = arena_array(c->arena, tree_count(list) + 1, sizeof(*plan));

    *count = 0;
    for (const struct tree *w = first_of(list); w; w = w->next)
        plan[(*count)++] = (struct run_write){integer_at(w, 0), (int32_t)integer_at(w, 1)};
    return plan;
}

struct score_goals read_goals(const struct tree *slo)
{
    struct score_goals goals = SCORE_GOALS_DEFAULT;

    goals.ttft_ns = integer_or(slo, "ttft_ns", goals.ttft_ns);
    goals.ttft_per_token_ns = integer_or(slo, "ttft_per_token_ns", goals.ttft_per_token_ns);
    goals.itl_ns = integer_or(slo, "itl_ns", goals.itl_ns);
    return goals;
}

bool read_fluid(struct decide_case *c, struct model_options *out)
{
    const struct tree *list = tree_get(c->in, "buckets");
    struct model_bucket *buckets = arena_array(c->arena, tree_count(list) + 1, sizeof(*buckets));
    struct serving_profile profile;
    size_t count = 0;

    if (!read_profile(tree_get(c->in, "profile"), &profile)) {
        differ_text(c, "profile", "a profile this runner can read", "neither a known name nor six sound fields");
        return false;
    }
    for (const struct tree *b = first_of(list); b; b = b->next)
        buckets[count++] = (struct model_bucket){number_at(b, 0), number_at(b, 1), number_at(b, 2)};
    *out = (struct model_options){.profile = profile,
                                  .startup = {.kind = STARTUP_FIXED, .fixed_ns = seconds_or(c->in, "startup_s", 0)},
                                  .initial = count_or(c->in, "initial", 1),
                                  .duration_ns = -1,
                                  .buckets = buckets,
                                  .bucket_count = count,
                                  .bucket_ns = seconds_or(c->in, "bucket_s", 0),
                                  .step_ns = seconds_or(c->in, "step_s", 15),
                                  .noise = number_or(c->in, "noise", 0),
                                  .seed = read_seed(c->in)};
    return true;
}

/* ------------------------------------------------------------------ comparing */

void differ_words(struct decide_case *c, const char *place, const char *expected, const char *got)
{
    if (!c->same)
        return; /* the first difference says most */
    differ_text(c, place, expected, got);
}

void compare_column(struct decide_case *c, const struct tree *row, size_t column, const char *place, int64_t got,
                    bool nullable)
{
    const struct tree *node = tree_index(row, column);
    char words[32] = "null";
    int64_t expected;

    if (node && node->type == TREE_NULL ? nullable && got == -1 : tree_integer(node, &expected) && expected == got)
        return;
    if (!(nullable && got == -1))
        snprintf(words, sizeof(words), "%" PRId64, got);
    differ_words(c, place, node && node->text ? node->text : node ? "null" : "nothing", words);
}

void compare_row(struct decide_case *c, const char *what, size_t index, const struct tree *row, const int64_t *got,
                 size_t count, bool nullable)
{
    for (size_t i = 0; i < count; i++) {
        char place[64];

        snprintf(place, sizeof(place), "%s[%zu][%zu]", what, index, i);
        compare_column(c, row, i, place, got[i], nullable);
    }
}

bool same_count(struct decide_case *c, const char *what, const struct tree *list, size_t got)
{
    if (tree_count(list) == got)
        return true;
    differ(c, what, (int64_t)tree_count(list), (int64_t)got);
    return false;
}

static bool is_within(double expected, double got, double tolerance)
{
    return expected == got || fabs(expected - got) <= tolerance * fmax(fabs(expected), fabs(got));
}

void compare_within(struct decide_case *c, const struct tree *node, const char *place, double got, double tolerance)
{
    double expected = 0;
    char words[40];

    if (string_equal(tree_string(node), "inf") ? isinf(got) && got > 0
                                               : tree_number(node, &expected) && is_within(expected, got, tolerance))
        return;
    snprintf(words, sizeof(words), "%.17g", got);
    differ_words(c, place, node && node->text ? node->text : "nothing", words);
}

void compare_close(struct decide_case *c, const struct tree *map, const char *key, bool found, double got)
{
    const struct tree *node = tree_get(map, key);

    if (!node || (node->type == TREE_NULL && !found))
        return;
    if (found)
        compare_within(c, node, key, got, CLOSE);
    else
        differ_words(c, key, node->text ? node->text : "something", "null");
}
