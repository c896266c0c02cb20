/*
 * compare: see compare.h. A path is a list of moves; two lists are walked like a zip. Stretches in which the two differ are many where polls
 * fall on other moments, and short: what counts is the area between the lines, so the furthest apart are kept.
 */
#include "sim/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"

struct move {
    int64_t at_ms;
    int32_t replicas;
};
struct compare_path {
    struct move *moves;
    size_t count, size;
    int64_t end_ms;
};

/* ---- paths ---- */

struct compare_path *compare_path_new(void)
{
    struct compare_path *path = mem_alloc(sizeof(*path));

    path->end_ms = INT64_MAX;
    return path;
}

void compare_path_free(struct compare_path *path)
{
    if (path)
        free(path->moves);
    free(path);
}

/* What is wanted from here on: the decision, or what stands where it must not be written. */
static int32_t wish_of(const struct simulation_tick *tick)
{
    return tick->decision->write && tick->decision->after >= 0 ? tick->decision->after : tick->replicas;
}

void compare_path_tick(struct compare_path *path, const struct simulation_tick *tick)
{
    int32_t wish = wish_of(tick);

    if ((path->count > 0 && path->moves[path->count - 1].replicas == wish) || path->end_ms != INT64_MAX)
        return;
    if (path->count == SIM_COMPARE_MOVES_MAX) {
        path->end_ms = tick->at_ms;
        return;
    }
    if (path->count == path->size) {
        path->size = path->size ? 2 * path->size : 64;
        path->moves = mem_grow(path->moves, path->size, sizeof(*path->moves));
    }
    path->moves[path->count++] = (struct move){tick->at_ms, wish};
}

int32_t compare_path_at(const struct compare_path *path, int64_t at_ms)
{
    size_t low = 0, high = path->count; /* moves before low are not later, those from high on are */

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (path->moves[middle].at_ms <= at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? path->moves[low - 1].replicas : -1;
}

int64_t compare_path_end_ms(const struct compare_path *path)
{
    return path->end_ms;
}

/* ---- partings ---- */

struct walk { /* over the moves of both, by time */
    const struct compare_path *a, *b;
    size_t next_a, next_b;
    int32_t wish_a, wish_b;
};

static bool walk_next(struct walk *w, int64_t *at_ms)
{
    int64_t a = w->next_a < w->a->count ? w->a->moves[w->next_a].at_ms : INT64_MAX;
    int64_t b = w->next_b < w->b->count ? w->b->moves[w->next_b].at_ms : INT64_MAX;

    *at_ms = a < b ? a : b;
    if (*at_ms == INT64_MAX)
        return false;
    if (a == *at_ms)
        w->wish_a = w->a->moves[w->next_a++].replicas;
    if (b == *at_ms)
        w->wish_b = w->b->moves[w->next_b++].replicas;
    return true;
}

/* Until now the two differed as w says. */
static void extend(struct parting *p, const struct walk *w, int64_t since_ms, int64_t now_ms)
{
    double difference = w->wish_b - w->wish_a, seconds = (double)(now_ms - since_ms) / 1000;

    p->replica_seconds += difference * seconds;
    p->apart += fabs(difference) * seconds;
    if (abs(w->wish_b - w->wish_a) > abs(p->widest_b - p->widest_a)) {
        p->widest_at_ms = since_ms;
        p->widest_a = w->wish_a;
        p->widest_b = w->wish_b;
    }
    p->until_ms = now_ms;
}

/* The place for one more: the end, or that of the one least apart, the first one of all excepted. */
static struct parting *find_place(struct parting *list, size_t *count, size_t most, const struct parting *new)
{
    struct parting *least = NULL;

    if (*count < most)
        return &list[(*count)++];
    for (size_t i = 1; i < *count; i++)
        if (!least || list[i].apart < least->apart)
            least = &list[i];
    return least && least->apart < new->apart ? least : NULL;
}

static int by_time(const void *x, const void *y)
{
    const struct parting *a = x, *b = y;

    return (a->from_ms > b->from_ms) - (a->from_ms < b->from_ms);
}

size_t compare_partings(const struct compare_path *a, const struct compare_path *b, int64_t end_ms, struct parting *out,
                        size_t most)
{
    struct walk w = {.a = a, .b = b, .wish_a = -1, .wish_b = -1};
    struct parting now = {0}, *place;
    int64_t since_ms = 0, at_ms;
    bool apart = false, more = true;
    size_t count = 0;

    while (more) {
        struct walk before = w;

        more = walk_next(&w, &at_ms) && at_ms < end_ms;
        at_ms = more ? at_ms : end_ms;
        if (apart)
            extend(&now, &before, since_ms, at_ms);
        since_ms = at_ms;
        bool differ = more && w.wish_a >= 0 && w.wish_b >= 0 && w.wish_a != w.wish_b;
        if (apart && !differ && (place = find_place(out, &count, most, &now)))
            *place = now;
        if (differ && !apart)
            now = (struct parting){.from_ms = at_ms, .until_ms = at_ms, .a = w.wish_a, .b = w.wish_b};
        apart = differ;
    }
    if (out && count > 0)
        qsort(out, count, sizeof(*out), by_time);
    return count;
}

/* ---- witnesses ---- */

struct compare_witness {
    int64_t *moments_ms;
    char **words;
    size_t count, next;
};

struct compare_witness *compare_witness_new(const int64_t *moments_ms, size_t count)
{
    struct compare_witness *w = mem_alloc(sizeof(*w));

    w->count = count;
    w->moments_ms = mem_array(count ? count : 1, sizeof(*w->moments_ms));
    w->words = mem_array(count ? count : 1, sizeof(*w->words));
    if (count > 0)
        memcpy(w->moments_ms, moments_ms, count * sizeof(*moments_ms));
    return w;
}

void compare_witness_free(struct compare_witness *witness)
{
    if (!witness)
        return;
    for (size_t i = 0; i < witness->count; i++)
        free(witness->words[i]);
    free(witness->words);
    free(witness->moments_ms);
    free(witness);
}

/* Words are dear, so they are made only of decisions that may be the last before a moment: no object is asked more seldom than that. */
#define SPEAKS_BEFORE_MS (2 * HOUR_MS)

void compare_witness_tick(struct compare_witness *witness, const struct simulation_tick *tick)
{
    struct text text;

    while (witness->next < witness->count && witness->moments_ms[witness->next] < tick->at_ms) {
        size_t next = witness->next++;

        if (witness->next < witness->count && !witness->words[witness->next] && witness->words[next])
            witness->words[witness->next] = mem_copy(witness->words[next]); /* no decision between the two */
    }
    if (witness->next == witness->count || witness->moments_ms[witness->next] - tick->at_ms > SPEAKS_BEFORE_MS)
        return;
    text_init(&text, SIM_COMPARE_WORDS_BYTES);
    decision_write_summary(tick->decision, tick->names, &text);
    free(witness->words[witness->next]);
    witness->words[witness->next] = text_take(&text);
    text_done(&text);
}

const char *compare_witness_words(const struct compare_witness *witness, size_t index)
{
    while (index > 0 && !witness->words[index] && index > witness->next)
        index--; /* the run ended before */
    return witness->words[index] ? witness->words[index] : "";
}
