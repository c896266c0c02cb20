/*
 * oracle_bound: the lower bound for requests. Time is cut into cells, work into units of an eighth of a cell's replica time; a policy is
 * relaxed to a number of replicas per cell that serve any due work at full speed. The cheapest such row is found exactly, by a program over
 * (replicas, work outstanding), cell by cell:
 *
 *     cost(n, y) at cell i-1 --rises cost a start-up--> cost(n', y) --serve 8 n' units, give up what is overdue--> cost(n', y') at cell i
 *
 * Going from n to n' needs no second loop over n: the cheapest below is a running minimum from the left, the cheapest above one from the right.
 */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/limits.h"
#include "sim/oracle_internal.h"

#define NS_PER_S INT64_C(1000000000)

struct cell {
    int64_t arriving; /* units of work that come */
    int64_t allowed;  /* units that may be left at the end: not due yet */
    double missed;    /* requests that a unit given up stands for, at least */
};
struct bound {
    const struct bound_options *options;
    struct cell *cells;
    size_t count;
    int64_t units;        /* in a cell of one replica */
    int64_t requests;     /* all of them, rejected ones too */
    int64_t most_allowed; /* units left, at most */
    int32_t most;         /* replicas that can have work, at most */
    double cell_s, start_s;
    double *cost, *next; /* [units left][replicas] */
};

/* ------------------------------------------------------------------ work */

enum charge { BY_SLOT, BY_MEMORY, BY_CHUNK, CHARGES }; /* what a step's fixed cost is shared by */

struct work {
    int64_t prefill_ns, decode_ns;
};

static int64_t at_least_one(int64_t tokens)
{
    return tokens < 1 ? 1 : tokens;
}

static struct work least_work(const struct serving_profile *p, const struct trace_request *q, enum charge charge)
{
    int64_t prompt = at_least_one(q->prompt), generated = at_least_one(q->generated), base_ns = p->itl_base_ns;
    int64_t chunk_ns = charge == BY_CHUNK ? base_ns * prompt / p->chunk_tokens : 0;
    int64_t slot_ns = charge == BY_SLOT     ? base_ns / p->max_batch
                      : charge == BY_MEMORY ? base_ns * (prompt + generated) / p->kv_tokens
                                            : 0;

    return (struct work){prompt * NS_PER_S / p->prefill_tps + chunk_ns,
                         (generated - 1) * (p->itl_per_seq_ns + slot_ns)};
}

static bool counts(const struct bound_options *o, const struct trace_request *q)
{
    return q->at_ns >= o->start_ns && q->at_ns < o->end_ns &&
           at_least_one(q->prompt) + at_least_one(q->generated) <= o->profile.kv_tokens;
}

/* Each way of charging is a lower bound: the one that says most. */
static enum charge best_charge(const struct bound_options *o)
{
    int64_t total[CHARGES] = {0};
    enum charge best = BY_SLOT;

    for (size_t i = 0; i < o->request_count; i++)
        for (int c = 0; c < CHARGES && counts(o, &o->requests[i]); c++) {
            struct work w = least_work(&o->profile, &o->requests[i], (enum charge)c);

            total[c] += w.prefill_ns + w.decode_ns;
        }
    for (int c = 1; c < CHARGES; c++)
        if (total[c] > total[best])
            best = (enum charge)c;
    return best;
}

/* ------------------------------------------------------------------ cells */

struct sums { /* per cell, in ns */
    int64_t arriving, due, largest;
};

static size_t add_due(struct sums *sums, size_t count, size_t arrival, int64_t due_ns, int64_t cell_ns, int64_t work_ns)
{
    size_t cell = (size_t)(due_ns / cell_ns);

    if (cell < arrival)
        cell = arrival;
    if (cell < count)
        sums[cell].due += work_ns;
    return cell;
}

/* How many cells a request can stay, at most. */
static size_t fill_sums(const struct bound_options *o, struct sums *sums, size_t count)
{
    enum charge charge = best_charge(o);
    size_t reach = 0;

    for (size_t i = 0; i < o->request_count; i++) {
        const struct trace_request *q = &o->requests[i];
        struct work w = least_work(&o->profile, q, charge);
        int64_t at_ns = q->at_ns - o->start_ns;

        if (!counts(o, q))
            continue;
        int64_t first_ns =
            at_ns + score_allowed_ns(o->goals.ttft_ns, o->goals.ttft_per_token_ns, at_least_one(q->prompt));
        int64_t last_ns = first_ns + score_allowed_ns(0, o->goals.itl_ns, at_least_one(q->generated) - 1);
        size_t cell = (size_t)(at_ns / o->cell_ns);
        sums[cell].arriving += w.prefill_ns + w.decode_ns;
        if (w.prefill_ns + w.decode_ns > sums[cell].largest)
            sums[cell].largest = w.prefill_ns + w.decode_ns;
        add_due(sums, count, cell, first_ns, o->cell_ns, w.prefill_ns);
        size_t due = add_due(sums, count, cell, last_ns, o->cell_ns, w.decode_ns);
        reach = due - cell > reach ? due - cell : reach;
    }
    return reach;
}

static int64_t largest_of(const struct sums *sums, size_t cell, size_t reach)
{
    int64_t largest = 0;

    for (size_t i = cell > reach ? cell - reach : 0; i <= cell; i++)
        largest = sums[i].largest > largest ? sums[i].largest : largest;
    return largest > 0 ? largest : 1;
}

/* Floors of cumulative sums: the errors do not add up. */
static void fill_cells(struct bound *b, const struct sums *sums, size_t reach)
{
    int64_t unit_ns = b->options->cell_ns / b->units, arrived = 0, due = 0, left = 0;

    for (size_t i = 0; i < b->count; i++) {
        struct cell *cell = &b->cells[i];
        int64_t before = arrived / unit_ns;

        arrived += sums[i].arriving;
        due += sums[i].due;
        cell->arriving = arrived / unit_ns - before;
        cell->allowed = arrived / unit_ns - due / unit_ns;
        cell->missed = (double)unit_ns / (double)largest_of(sums, i, reach);
        int64_t most = (left + cell->arriving + b->units - 1) / b->units;
        b->most = most > b->most ? (int32_t)most : b->most;
        b->most_allowed = cell->allowed > b->most_allowed ? cell->allowed : b->most_allowed;
        left = cell->allowed;
    }
}

/* ------------------------------------------------------------------ the program */

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* Costs of having n replicas in the next cell, from those of having had any number. */
static void change_replicas(const struct bound *b, double *cost)
{
    double below = INFINITY, above = INFINITY;

    for (int32_t n = b->most; n >= 0; n--)
        cost[n] = above = least(above, cost[n]);
    for (int32_t n = 0; n <= b->most; n++) {
        cost[n] = below = least(below + b->start_s, cost[n]);
    }
}

static void serve_row(const struct bound *b, const struct cell *cell, double price, int64_t left, const double *cost)
{
    int64_t have = left + cell->arriving;

    for (int32_t n = 0; n <= b->most; n++) {
        int64_t rest = have - b->units * n;
        double paid = cost[n] + b->cell_s * n;

        rest = rest > 0 ? rest : 0;
        if (rest > cell->allowed) {
            paid += price * cell->missed * (double)(rest - cell->allowed);
            rest = cell->allowed;
        }
        double *best = &b->next[(size_t)rest * (size_t)(b->most + 1) + (size_t)n];
        *best = least(*best, paid);
    }
}

static void clear(double *row, size_t count, double value)
{
    for (size_t i = 0; i < count; i++)
        row[i] = value;
}

static double at_price(void *arg, double price)
{
    struct bound *b = arg;
    size_t width = (size_t)b->most + 1;
    int64_t allowed = 0;
    double best = INFINITY;

    clear(b->cost, width, 0); /* the first number is free, whatever it is */
    for (size_t i = 0; i < b->count; i++) {
        clear(b->next, width * (size_t)(b->cells[i].allowed + 1), INFINITY);
        for (int64_t left = 0; left <= allowed; left++) {
            double *row = b->cost + (size_t)left * width;

            if (i > 0)
                change_replicas(b, row);
            if (row[b->most] < INFINITY)
                serve_row(b, &b->cells[i], price, left, row);
        }
        double *swap = b->cost;
        b->cost = b->next;
        b->next = swap;
        allowed = b->cells[i].allowed;
    }
    for (size_t i = 0; i < width * (size_t)(allowed + 1); i++)
        best = least(best, b->cost[i]);
    return best - price * (1 - b->options->share) * (double)b->requests;
}

/* Units in which a large fleet's work would be too many states are made coarser: the bound stays one, and says less. */
static bool make_cells(struct bound *b, const struct sums *sums, size_t reach)
{
    for (b->units = b->options->units; b->units > 0; b->units /= 2) {
        b->most = 0;
        b->most_allowed = 0;
        fill_cells(b, sums, reach);
        if (((double)b->most + 1) * ((double)b->most_allowed + 1) <= SIM_BOUND_STATES_MAX)
            return true;
    }
    return false;
}

static double solve(struct bound *b)
{
    size_t states = ((size_t)b->most + 1) * (size_t)(b->most_allowed + 1);

    b->cost = mem_array(states, sizeof(double));
    b->next = mem_array(states, sizeof(double));
    double bound = oracle_search(at_price, b, -3, 6, b->options->stop);
    free(b->cost);
    free(b->next);
    return bound;
}

double bound_requests(const struct bound_options *o)
{
    struct bound b = {.options = o, .cell_s = (double)o->cell_ns / (double)NS_PER_S};
    double bound = 0;

    if (o->end_ns <= o->start_ns)
        return 0;
    b.start_s = fmax((double)o->startup_ns / (double)NS_PER_S - 2 * b.cell_s, 0);
    b.count = (size_t)((o->end_ns - o->start_ns + o->cell_ns - 1) / o->cell_ns);
    b.cells = mem_array(b.count, sizeof(*b.cells));
    struct sums *sums = mem_array(b.count, sizeof(*sums));
    for (size_t i = 0; i < o->request_count; i++)
        b.requests += o->requests[i].at_ns >= o->start_ns;
    if (make_cells(&b, sums, fill_sums(o, sums, b.count)))
        bound = solve(&b);
    free(sums);
    free(b.cells);
    return bound;
}
