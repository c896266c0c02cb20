/*
 * tune_search: see tune.h. NSGA-II as it was published, with the one order of constraint domination: a generation of parents has as many
 * children; of both together the better half goes on, by fronts, and within the last front that fits by how lonely a candidate is.
 *
 *     Latin hypercube -> [ tournament -> crossover -> mutation -> evaluate -> sort -> cut ] ... -> the front of all that were ever seen
 *
 * Candidates whose values are written alike are the same: the one before lends its outcome, so nothing is run twice.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/text.h"
#include "sim/tune.h"

enum { GENERATION = 40, VALUE_BYTES = 64 };
#define CROSSOVER_ETA  15.0 /* how near children stay to their parents */
#define MUTATION_ETA   20.0
#define CROSSOVER_RATE 0.9

struct search {
    const struct tune_space *space;
    const struct tune_options *options;
    uint64_t chance;
    struct tune_result *out;
    size_t parents[2 * GENERATION]; /* indices into out->list */
    size_t parent_count;
};

/* ---- chance (splitmix64) ---- */

static uint64_t chance_bits(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double chance(struct search *s) /* [0, 1) */
{
    return (double)(chance_bits(&s->chance) >> 11) * 0x1p-53;
}

static size_t chance_below(struct search *s, size_t bound)
{
    return (size_t)(chance(s) * (double)bound);
}

/* ---- who is better ---- */

static double violation(const struct tune_outcome *o, double share)
{
    if (o->failed)
        return 2; /* more than any share can miss */
    return o->in_slo < share ? share - o->in_slo : 0;
}

bool tune_dominates(const struct tune_outcome *a, const struct tune_outcome *b, double share)
{
    double miss_a = violation(a, share), miss_b = violation(b, share);

    if (miss_a > 0 || miss_b > 0)
        return miss_a < miss_b;
    if (a->in_slo < b->in_slo || a->replica_hours > b->replica_hours || a->events > b->events)
        return false;
    return a->in_slo > b->in_slo || a->replica_hours < b->replica_hours || a->events < b->events;
}

static struct tune_candidate *at(const struct search *s, size_t index)
{
    return &s->out->list[index];
}

/* Ranks of `count` candidates: 0 for those that nobody dominates, 1 for those that only these do ... */
static void sort_fronts(struct search *s, const size_t *who, size_t count)
{
    size_t left = count;

    for (size_t i = 0; i < count; i++)
        at(s, who[i])->rank = SIZE_MAX;
    for (size_t rank = 0; left > 0; rank++) {
        size_t placed[4 * GENERATION], found = 0;

        for (size_t i = 0; i < count; i++) {
            bool dominated = at(s, who[i])->rank != SIZE_MAX;

            for (size_t k = 0; k < count && !dominated; k++)
                dominated = at(s, who[k])->rank == SIZE_MAX &&
                            tune_dominates(&at(s, who[k])->outcome, &at(s, who[i])->outcome, s->options->share);
            if (!dominated)
                placed[found++] = who[i];
        }
        for (size_t i = 0; i < found; i++)
            at(s, placed[i])->rank = rank;
        left -= found;
    }
}

static double objective(const struct tune_candidate *c, int which)
{
    return which == 0 ? -c->outcome.in_slo : which == 1 ? c->outcome.replica_hours : c->outcome.events;
}

/* Insertion: at most 2 * GENERATION of them; equal ones stay in their order. */
static void sort_by(struct search *s, size_t *who, size_t count, int which)
{
    for (size_t i = 1; i < count; i++) {
        size_t moved = who[i], k = i;

        for (; k > 0 && objective(at(s, who[k - 1]), which) > objective(at(s, moved), which); k--)
            who[k] = who[k - 1];
        who[k] = moved;
    }
}

/* How far the neighbours of each are, in all three directions together; those at the edges are kept at any rate. */
static void crowd(struct search *s, const size_t *front, size_t count)
{
    size_t order[2 * GENERATION];

    memcpy(order, front, count * sizeof(*front));
    for (size_t i = 0; i < count; i++)
        at(s, front[i])->crowding = 0;
    for (int which = 0; which < 3; which++) {
        sort_by(s, order, count, which);
        double span = objective(at(s, order[count - 1]), which) - objective(at(s, order[0]), which);

        at(s, order[0])->crowding = at(s, order[count - 1])->crowding = INFINITY;
        for (size_t i = 1; span > 0 && i + 1 < count; i++)
            at(s, order[i])->crowding +=
                (objective(at(s, order[i + 1]), which) - objective(at(s, order[i - 1]), which)) / span;
    }
}

static bool beats(const struct tune_candidate *a, const struct tune_candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->crowding > b->crowding;
}

/* ---- a generation survives ---- */

static void sort_crowding(struct search *s, size_t *who, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        size_t moved = who[i], k = i;

        for (; k > 0 && at(s, who[k - 1])->crowding < at(s, moved)->crowding; k--)
            who[k] = who[k - 1];
        who[k] = moved;
    }
}

/* Of parents and children the better GENERATION become parents. */
static void select_parents(struct search *s, size_t first_child, size_t children)
{
    size_t all[2 * GENERATION], count = s->parent_count, kept = 0;

    memcpy(all, s->parents, count * sizeof(*all));
    for (size_t i = 0; i < children; i++)
        all[count++] = first_child + i;
    sort_fronts(s, all, count);
    for (size_t rank = 0; kept < GENERATION && kept < count; rank++) {
        size_t front[2 * GENERATION], size = 0;

        for (size_t i = 0; i < count; i++)
            if (at(s, all[i])->rank == rank)
                front[size++] = all[i];
        crowd(s, front, size);
        sort_crowding(s, front, size);
        for (size_t i = 0; i < size && kept < GENERATION; i++)
            s->parents[kept++] = front[i];
    }
    s->parent_count = kept;
}

/* ---- children ---- */

static const struct tune_candidate *tournament(struct search *s)
{
    const struct tune_candidate *a = at(s, s->parents[chance_below(s, s->parent_count)]);
    const struct tune_candidate *b = at(s, s->parents[chance_below(s, s->parent_count)]);

    return beats(b, a) ? b : a;
}

static double within(double place)
{
    return place < 0 ? 0 : place > 1 ? 1 : place;
}

/* Simulated binary crossover of one coordinate: children spread around the parents as wide as these are apart. */
static double cross(struct search *s, double a, double b)
{
    double u = chance(s);
    double beta = u < 0.5 ? pow(2 * u, 1 / (CROSSOVER_ETA + 1)) : pow(1 / (2 * (1 - u)), 1 / (CROSSOVER_ETA + 1));

    return within(0.5 * ((1 + beta) * a + (1 - beta) * b));
}

static double mutate(struct search *s, double place)
{
    double u = chance(s);
    double delta = u < 0.5 ? pow(2 * u, 1 / (MUTATION_ETA + 1)) - 1 : 1 - pow(2 * (1 - u), 1 / (MUTATION_ETA + 1));

    return within(place + delta);
}

static void breed(struct search *s, struct tune_candidate *child)
{
    const struct tune_candidate *a = tournament(s), *b = tournament(s);
    bool crossing = chance(s) < CROSSOVER_RATE;
    double rate = 1 / (double)s->space->count;

    *child = (struct tune_candidate){.as_written = false};
    for (size_t i = 0; i < s->space->count; i++) {
        bool swapped = chance(s) < 0.5; /* which parent it takes after */

        child->point[i] =
            crossing ? cross(s, swapped ? b->point[i] : a->point[i], swapped ? a->point[i] : b->point[i]) : a->point[i];
        if (chance(s) < rate)
            child->point[i] = mutate(s, child->point[i]);
    }
}

/* ---- the first generation ---- */

/* Each parameter's range in as many strata as there are candidates, each stratum used once, in an order of its own. */
static void latin_hypercube(struct search *s, struct tune_candidate *candidates, size_t count)
{
    size_t order[GENERATION];

    for (size_t i = 0; i < s->space->count; i++) {
        for (size_t k = 0; k < count; k++)
            order[k] = k;
        for (size_t k = count; k > 1; k--) {
            size_t other = chance_below(s, k), swap = order[k - 1];

            order[k - 1] = order[other];
            order[other] = swap;
        }
        for (size_t k = 0; k < count; k++)
            candidates[k].point[i] = ((double)order[k] + chance(s)) / (double)count;
    }
}

/* Where the value in force lies in its range, for its descendants. */
static double place_of(const struct tune_parameter *p)
{
    if (!(p->high > p->low))
        return 0;
    if (p->log)
        return within((log(p->now > p->low ? p->now : p->low) - log(p->low)) / (log(p->high) - log(p->low)));
    return within((p->now - p->low) / (p->high - p->low));
}

static void start(struct search *s, size_t count)
{
    struct tune_candidate *first = s->out->list;

    first->as_written = true;
    for (size_t i = 0; i < s->space->count; i++)
        first->point[i] = place_of(&s->space->list[i]);
    if (count > 1)
        latin_hypercube(s, first + 1, count - 1);
}

/* ---- evaluating ---- */

static const char *key_of(const struct search *s, const struct tune_candidate *c, struct text *key)
{
    text_clear(key);
    text_add(key, c->as_written ? "as written" : "");
    for (size_t i = 0; i < s->space->count && !c->as_written; i++) {
        text_add_char(key, '/');
        tune_write_value(&s->space->list[i], c->point[i], key);
    }
    return key->bytes;
}

/* Runs those of the new ones that nobody is like; the others borrow. */
static bool evaluate_new(struct search *s, struct map *seen, size_t first, size_t count, tune_evaluate *evaluate,
                         void *arg)
{
    struct tune_candidate fresh[GENERATION];
    size_t from[GENERATION], fresh_count = 0;
    struct text key;

    text_init(&key, TUNE_PARAMETERS_MAX * VALUE_BYTES);
    for (size_t i = first; i < first + count; i++) {
        if (map_get(seen, key_of(s, at(s, i), &key)))
            continue;
        map_put(seen, key.bytes, (void *)(uintptr_t)(i + 1));
        from[fresh_count] = i;
        fresh[fresh_count++] = *at(s, i);
    }
    bool fine = fresh_count == 0 || evaluate(arg, fresh, fresh_count);
    for (size_t i = 0; fine && i < fresh_count; i++)
        at(s, from[i])->outcome = fresh[i].outcome;
    for (size_t i = first; fine && i < first + count; i++) {
        size_t twin = (size_t)(uintptr_t)map_get(seen, key_of(s, at(s, i), &key)) - 1;

        at(s, i)->outcome = at(s, twin)->outcome;
    }
    text_done(&key);
    return fine;
}

/* ---- the front of all ---- */

static int by_cost(const void *x, const void *y, void *arg)
{
    const struct search *s = arg;
    size_t i = *(const size_t *)x, k = *(const size_t *)y;
    const struct tune_outcome *a = &at(s, i)->outcome, *b = &at(s, k)->outcome;

    if (a->replica_hours != b->replica_hours)
        return a->replica_hours < b->replica_hours ? -1 : 1;
    if (a->events != b->events)
        return a->events < b->events ? -1 : 1;
    return (i > k) - (i < k);
}

static bool same_outcome(const struct tune_outcome *a, const struct tune_outcome *b)
{
    return a->in_slo == b->in_slo && a->replica_hours == b->replica_hours && a->events == b->events;
}

/* Of several that come to the same, the first that was tried. */
static bool is_on_front(const struct search *s, size_t index)
{
    const struct tune_outcome *o = &at(s, index)->outcome;

    if (o->failed)
        return false;
    for (size_t k = 0; k < s->out->count; k++)
        if (tune_dominates(&at(s, k)->outcome, o, s->options->share) ||
            (k < index && same_outcome(&at(s, k)->outcome, o)))
            return false;
    return true;
}

static void find_front(struct search *s)
{
    struct tune_result *out = s->out;

    out->front = mem_array(out->count ? out->count : 1, sizeof(*out->front));
    for (size_t i = 0; i < out->count; i++)
        if (is_on_front(s, i))
            out->front[out->front_count++] = i;
    qsort_r(out->front, out->front_count, sizeof(*out->front), by_cost, s);
}

/* ---- the search ---- */

static size_t make_children(struct search *s, size_t done)
{
    size_t left = s->options->candidates - done, count = left < GENERATION ? left : GENERATION;

    if (done == 0)
        start(s, count);
    else
        for (size_t i = 0; i < count; i++)
            breed(s, at(s, done + i));
    return count;
}

void tune_search(const struct tune_space *space, const struct tune_options *options, tune_evaluate *evaluate, void *arg,
                 struct tune_result *out)
{
    struct search s = {.space = space, .options = options, .chance = options->seed, .out = out};
    struct map *seen = map_new();

    *out = (struct tune_result){.list = mem_array(options->candidates ? options->candidates : 1, sizeof(*out->list))};
    while (out->count < options->candidates && !out->stopped) {
        size_t count = make_children(&s, out->count);

        out->stopped = !evaluate_new(&s, seen, out->count, count, evaluate, arg);
        if (!out->stopped) {
            select_parents(&s, out->count, count);
            out->count += count;
        }
    }
    map_free(seen);
    find_front(&s);
}

void tune_result_free(struct tune_result *result)
{
    free(result->list);
    free(result->front);
    *result = (struct tune_result){0};
}
