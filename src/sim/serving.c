/*
 * serving: the request model. One event list is not needed: the next instant is the least of the replicas' step ends and readiness, which
 * stand side by side for those that are not gone. Only replicas that something happened to plan a step at the end of an instant.
 *
 *     starting --ready_ns--> ready --scaled down, work left--> draining --last request done--> gone
 *         \------------------scaled down, no work------------------------------------------> gone
 *
 * While a replica has no prompt in work and can admit nothing, its equal decode steps are taken in one leap; an arrival at that replica cuts
 * the leap at the next step boundary (a boundary at exactly the arrival counts). Results do not differ from single steps.
 */
#include "sim/serving.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define NS_PER_S INT64_C(1000000000)

static const struct {
    const char *name;
    struct serving_profile profile;
} profiles[] = {
    {"h100-8b", {16000, 7000000, 80000, 256, 400000, 1024, 1}},
    {"h100x2-70b", {7000, 18000000, 250000, 256, 220000, 512, 2}},
};

const struct serving_profile *serving_profile(const char *name)
{
    for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++)
        if (strcmp(profiles[i].name, name) == 0)
            return &profiles[i].profile;
    return NULL;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    x ^= x >> 27;
    x *= UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

uint64_t serving_draw(uint64_t seed, uint64_t k)
{
    return mix(seed + (k + 1) * UINT64_C(0x9E3779B97F4A7C15));
}

/* floor(u * n / 2^64) */
static int64_t share_of(uint64_t u, uint64_t n)
{
    return (int64_t)(uint64_t)(((unsigned __int128)u * n) >> 64);
}

int64_t serving_startup_ns(const struct serving_startup *s, uint64_t replica)
{
    uint64_t u = serving_draw(s->seed, replica);

    switch (s->kind) {
    case STARTUP_UNIFORM:
        return s->low_ns + share_of(u, (uint64_t)(s->high_ns - s->low_ns + 1));
    case STARTUP_TABLE:
        return s->table_count ? s->table_ns[share_of(u, s->table_count)] : 0;
    case STARTUP_FIXED:
        break;
    }
    return s->fixed_ns;
}

/* ------------------------------------------------------------------ state */

struct list { /* indices of requests; taken from the front */
    size_t *items;
    size_t first, count, size;
};

struct replica {
    enum replica_state state;
    int64_t created_ns, ready_ns, draining_ns, gone_ns;
    struct list queue;      /* assigned, not admitted */
    struct list prefilling; /* admitted, prompt not finished */
    struct list decoding;
    int64_t kv, outstanding;
    int64_t prompt, generated, finished; /* its share of the counters */
    /* the step under way, or leap of equal steps */
    bool stepping;
    bool touched;                         /* it may have a step to plan at the end of this instant */
    size_t slot;                          /* among those that are not gone */
    int64_t step_from_ns, step_ns, steps; /* start, length of one, how many */
    int64_t chunk;                        /* prompt tokens of this step (0 in a leap) */
};

struct request { /* what the public struct does not show */
    int64_t prompt_done, generated_done;
};

struct serving {
    struct serving_profile profile;
    struct serving_startup startup;
    int64_t now_ns;
    int32_t spec;
    struct replica *replicas;
    size_t replica_count, replica_size;
    size_t *live;     /* ids of those that are not gone, rising */
    int64_t *wake_ns; /* of each of them: the end of its step, or when it is ready; SERVING_NEVER */
    size_t live_count, live_size, starting;
    size_t *touched, *due; /* ids; scratch of an instant */
    size_t touched_count, touched_size;
    struct serving_request *requests;
    struct request *progress;
    size_t request_count, request_size, open;
    int64_t backlog, backlog_tokens; /* arrived, not admitted */
    struct list router;
    struct serving_event *events;
    size_t event_count, event_size;
    struct serving_counters counters;
    struct list firsts, finishes; /* in the order they happened, for quantiles */
    serving_stepped *stepped;
    void *stepped_arg;
};

static void list_push(struct list *list, size_t item)
{
    if (list->first + list->count == list->size) {
        if (list->first > list->size / 2) {
            memmove(list->items, list->items + list->first, list->count * sizeof(size_t));
            list->first = 0;
        } else {
            list->size = list->size ? list->size * 2 : 8;
            list->items = mem_grow(list->items, list->size, sizeof(size_t));
        }
    }
    list->items[list->first + list->count++] = item;
}

static size_t list_at(const struct list *list, size_t i)
{
    return list->items[list->first + i];
}

static size_t list_take(struct list *list)
{
    size_t item = list->items[list->first++];

    list->count--;
    return item;
}

/* ------------------------------------------------------------------ who is there */

static void grow_live(struct serving *s)
{
    s->live_size = s->live_size ? s->live_size * 2 : 16;
    s->live = mem_grow(s->live, s->live_size, sizeof(*s->live));
    s->wake_ns = mem_grow(s->wake_ns, s->live_size, sizeof(*s->wake_ns));
    s->due = mem_grow(s->due, s->live_size, sizeof(*s->due));
}

static struct replica *add_replica(struct serving *s, enum replica_state state, int64_t ready_ns)
{
    size_t id = s->replica_count++;

    if (s->replica_count > s->replica_size) {
        s->replica_size = s->replica_size ? s->replica_size * 2 : 16;
        s->replicas = mem_grow(s->replicas, s->replica_size, sizeof(struct replica));
    }
    if (s->live_count == s->live_size)
        grow_live(s);
    s->replicas[id] = (struct replica){.state = state,
                                       .created_ns = s->now_ns,
                                       .ready_ns = ready_ns,
                                       .draining_ns = -1,
                                       .gone_ns = -1,
                                       .slot = s->live_count};
    s->live[s->live_count] = id;
    s->wake_ns[s->live_count++] = state == REPLICA_STARTING ? ready_ns : SERVING_NEVER;
    s->starting += state == REPLICA_STARTING;
    return &s->replicas[id];
}

static void replica_leaves(struct serving *s, struct replica *r)
{
    s->starting -= r->state == REPLICA_STARTING;
    r->state = REPLICA_GONE;
    r->gone_ns = s->now_ns;
    r->stepping = false;
    s->live_count--;
    memmove(s->live + r->slot, s->live + r->slot + 1, (s->live_count - r->slot) * sizeof(*s->live));
    memmove(s->wake_ns + r->slot, s->wake_ns + r->slot + 1, (s->live_count - r->slot) * sizeof(*s->wake_ns));
    for (size_t i = r->slot; i < s->live_count; i++)
        s->replicas[s->live[i]].slot = i;
}

static void touch(struct serving *s, struct replica *r)
{
    if (r->touched)
        return;
    r->touched = true;
    if (s->touched_count == s->touched_size) {
        s->touched_size = s->touched_size ? s->touched_size * 2 : 16;
        s->touched = mem_grow(s->touched, s->touched_size, sizeof(*s->touched));
    }
    s->touched[s->touched_count++] = (size_t)(r - s->replicas);
}

struct serving *serving_new(const struct serving_profile *profile, const struct serving_startup *startup,
                            int32_t initial)
{
    struct serving *s = mem_alloc(sizeof(*s));

    s->profile = *profile;
    s->startup = *startup;
    s->spec = initial;
    for (int32_t i = 0; i < initial; i++)
        add_replica(s, REPLICA_READY, 0);
    return s;
}

void serving_free(struct serving *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->replica_count; i++) {
        free(s->replicas[i].queue.items);
        free(s->replicas[i].prefilling.items);
        free(s->replicas[i].decoding.items);
    }
    free(s->replicas);
    free(s->live);
    free(s->wake_ns);
    free(s->touched);
    free(s->due);
    free(s->requests);
    free(s->progress);
    free(s->router.items);
    free(s->events);
    free(s->firsts.items);
    free(s->finishes.items);
    free(s);
}

void serving_watch(struct serving *s, serving_stepped *stepped, void *arg)
{
    s->stepped = stepped;
    s->stepped_arg = arg;
}

/* ------------------------------------------------------------------ the router */

static int64_t size_of(const struct serving *s, size_t request)
{
    return s->requests[request].prompt + s->requests[request].generated;
}

static void cut_leap(struct serving *s, struct replica *r);

static void assign(struct serving *s, size_t request, size_t id)
{
    struct replica *r = &s->replicas[id];

    s->requests[request].replica = (int64_t)id;
    s->requests[request].assigned_ns = s->now_ns;
    list_push(&r->queue, request);
    r->outstanding += size_of(s, request);
    touch(s, r);
    cut_leap(s, r);
}

/* The ready replica with the least outstanding work, the lowest id first; none: replica_count. */
static size_t least_loaded(const struct serving *s)
{
    size_t best = s->replica_count;

    for (size_t i = 0; i < s->live_count; i++) {
        size_t id = s->live[i];

        if (s->replicas[id].state == REPLICA_READY &&
            (best == s->replica_count || s->replicas[id].outstanding < s->replicas[best].outstanding))
            best = id;
    }
    return best;
}

static void route_waiting(struct serving *s)
{
    while (s->router.count > 0) {
        size_t id = least_loaded(s);

        if (id == s->replica_count)
            return;
        assign(s, list_take(&s->router), id);
    }
}

/* ------------------------------------------------------------------ the end of a step */

static void finish_request(struct serving *s, struct replica *r, size_t request)
{
    s->requests[request].finished_ns = s->now_ns;
    r->kv -= size_of(s, request);
    r->outstanding -= size_of(s, request);
    s->counters.finished++;
    r->finished++;
    s->open--;
    list_push(&s->finishes, request);
}

/* Every decoding request has `steps` more tokens; those with all of them leave. */
static void decode(struct serving *s, struct replica *r, int64_t steps)
{
    size_t kept = 0;

    if (s->stepped && r->decoding.count > 0)
        s->stepped(s->stepped_arg, r->step_ns, (int64_t)r->decoding.count * steps);
    for (size_t i = 0; i < r->decoding.count; i++) {
        size_t request = list_at(&r->decoding, i);

        s->progress[request].generated_done += steps;
        if (s->progress[request].generated_done >= s->requests[request].generated)
            finish_request(s, r, request);
        else
            r->decoding.items[r->decoding.first + kept++] = request;
    }
    s->counters.generated += (int64_t)r->decoding.count * steps;
    r->generated += (int64_t)r->decoding.count * steps;
    r->decoding.count = kept;
}

/* The prompt whose last token was in this step's chunk has its first token now. */
static void first_token(struct serving *s, struct replica *r, size_t request)
{
    s->requests[request].first_ns = s->now_ns;
    s->progress[request].generated_done = 1;
    s->counters.generated++;
    r->generated++;
    list_push(&s->firsts, request);
    if (s->requests[request].generated > 1)
        list_push(&r->decoding, request);
    else
        finish_request(s, r, request);
}

static void prefill(struct serving *s, struct replica *r)
{
    int64_t left = r->chunk;
    size_t done = 0;

    s->counters.prompt += r->chunk;
    r->prompt += r->chunk;
    for (size_t i = 0; i < r->prefilling.count && left > 0; i++) {
        size_t request = list_at(&r->prefilling, i);
        int64_t lacking = s->requests[request].prompt - s->progress[request].prompt_done;
        int64_t part = lacking < left ? lacking : left;

        s->progress[request].prompt_done += part;
        left -= part;
        done += part == lacking;
    }
    for (; done > 0; done--)
        first_token(s, r, list_take(&r->prefilling));
}

static void leave_if_drained(struct serving *s, struct replica *r)
{
    if (r->state == REPLICA_DRAINING && r->outstanding == 0)
        replica_leaves(s, r);
}

static void end_step(struct serving *s, struct replica *r)
{
    r->stepping = false;
    s->wake_ns[r->slot] = SERVING_NEVER;
    touch(s, r);
    decode(s, r, r->steps);
    prefill(s, r);
    leave_if_drained(s, r);
}

static int64_t step_end_ns(const struct replica *r)
{
    return r->step_from_ns + r->steps * r->step_ns;
}

/* Something arrived: the leap ends at the next boundary, which may be now. */
static void cut_leap(struct serving *s, struct replica *r)
{
    if (!r->stepping || r->steps <= 1)
        return;
    int64_t steps = (s->now_ns - r->step_from_ns + r->step_ns - 1) / r->step_ns;
    if (steps < 1)
        steps = 1;
    if (steps < r->steps)
        r->steps = steps;
    s->wake_ns[r->slot] = step_end_ns(r);
    if (step_end_ns(r) == s->now_ns)
        end_step(s, r);
}

/* ------------------------------------------------------------------ planning a step */

static bool may_admit(const struct serving *s, const struct replica *r)
{
    return r->queue.count > 0 && (int64_t)(r->prefilling.count + r->decoding.count) < s->profile.max_batch &&
           r->kv + size_of(s, list_at(&r->queue, 0)) <= s->profile.kv_tokens;
}

static int64_t plan_prefill(struct serving *s, struct replica *r)
{
    int64_t chunk = 0;

    if (r->prefilling.count > 0) {
        size_t head = list_at(&r->prefilling, 0);
        int64_t lacking = s->requests[head].prompt - s->progress[head].prompt_done;

        chunk = lacking < s->profile.chunk_tokens ? lacking : s->profile.chunk_tokens;
    }
    while (chunk < s->profile.chunk_tokens && may_admit(s, r)) {
        size_t request = list_take(&r->queue);
        int64_t room = s->profile.chunk_tokens - chunk, prompt = s->requests[request].prompt;

        r->kv += size_of(s, request);
        s->backlog--;
        s->backlog_tokens -= size_of(s, request);
        s->requests[request].admitted_ns = s->now_ns;
        list_push(&r->prefilling, request);
        chunk += room < prompt ? room : prompt;
    }
    return chunk;
}

/* How many equal decode steps until a request finishes. */
static int64_t leap_steps(const struct serving *s, const struct replica *r)
{
    int64_t least = INT64_MAX;

    for (size_t i = 0; i < r->decoding.count; i++) {
        size_t request = list_at(&r->decoding, i);
        int64_t left = s->requests[request].generated - s->progress[request].generated_done;

        if (left < least)
            least = left;
    }
    return least;
}

static void plan_step(struct serving *s, struct replica *r)
{
    int64_t batch = (int64_t)r->decoding.count;

    r->chunk = plan_prefill(s, r);
    if (batch == 0 && r->chunk == 0)
        return;
    r->stepping = true;
    r->step_from_ns = s->now_ns;
    r->step_ns = s->profile.itl_base_ns + s->profile.itl_per_seq_ns * batch +
                 (r->chunk * NS_PER_S + s->profile.prefill_tps - 1) / s->profile.prefill_tps;
    r->steps = r->chunk == 0 ? leap_steps(s, r) : 1;
    s->wake_ns[r->slot] = step_end_ns(r);
}

/* ------------------------------------------------------------------ time */

int64_t serving_next_ns(const struct serving *s)
{
    int64_t next = SERVING_NEVER;

    for (size_t i = 0; i < s->live_count; i++)
        next = s->wake_ns[i] < next ? s->wake_ns[i] : next;
    return next;
}

/* Those whose step ends, or whose time to be ready has come; by id. */
static size_t find_due(struct serving *s)
{
    size_t count = 0;

    for (size_t i = 0; i < s->live_count; i++) {
        s->due[count] = s->live[i];
        count += s->wake_ns[i] <= s->now_ns;
    }
    return count;
}

static void become_ready(struct serving *s, size_t due)
{
    for (size_t i = 0; i < due; i++) {
        struct replica *r = &s->replicas[s->due[i]];

        if (r->state != REPLICA_STARTING)
            continue;
        r->state = REPLICA_READY;
        s->starting--;
        s->wake_ns[r->slot] = SERVING_NEVER;
        route_waiting(s);
    }
}

static void begin_instant(struct serving *s, int64_t now_ns)
{
    s->now_ns = now_ns;
    size_t due = find_due(s);
    for (size_t i = 0; i < due; i++)
        if (s->replicas[s->due[i]].stepping)
            end_step(s, &s->replicas[s->due[i]]);
    become_ready(s, due);
}

void serving_end(struct serving *s)
{
    if (s->starting > 0)
        become_ready(s, find_due(s)); /* created at this instant with a start-up of 0 */
    for (size_t i = 0; i < s->touched_count; i++) {
        struct replica *r = &s->replicas[s->touched[i]];

        r->touched = false;
        if (!r->stepping && (r->state == REPLICA_READY || r->state == REPLICA_DRAINING))
            plan_step(s, r);
    }
    s->touched_count = 0;
}

void serving_run_until(struct serving *s, int64_t until_ns)
{
    for (int64_t next; (next = serving_next_ns(s)) < until_ns;) {
        begin_instant(s, next);
        serving_end(s);
    }
}

void serving_begin(struct serving *s, int64_t now_ns)
{
    assert(now_ns >= s->now_ns);
    serving_run_until(s, now_ns);
    begin_instant(s, now_ns);
}

/* ------------------------------------------------------------------ arrivals and writes */

size_t serving_arrive(struct serving *s, int64_t prompt, int64_t generated)
{
    size_t request = s->request_count++;

    if (s->request_count > s->request_size) {
        s->request_size = s->request_size ? s->request_size * 2 : 64;
        s->requests = mem_grow(s->requests, s->request_size, sizeof(struct serving_request));
        s->progress = mem_grow(s->progress, s->request_size, sizeof(struct request));
    }
    s->requests[request] = (struct serving_request){.arrival_ns = s->now_ns,
                                                    .prompt = prompt < 1 ? 1 : prompt,
                                                    .generated = generated < 1 ? 1 : generated,
                                                    .replica = -1,
                                                    .assigned_ns = -1,
                                                    .admitted_ns = -1,
                                                    .first_ns = -1,
                                                    .finished_ns = -1};
    s->progress[request] = (struct request){0, 0};
    s->counters.arrived++;
    s->counters.arriving_prompt += s->requests[request].prompt;
    s->counters.arriving_generated += s->requests[request].generated;
    if (size_of(s, request) > s->profile.kv_tokens) {
        s->requests[request].rejected = true;
        return request;
    }
    s->open++;
    s->backlog++;
    s->backlog_tokens += size_of(s, request);
    size_t id = least_loaded(s);
    if (id < s->replica_count)
        assign(s, request, id);
    else
        list_push(&s->router, request);
    return request;
}

static void create_replica(struct serving *s)
{
    add_replica(s, REPLICA_STARTING, s->now_ns + serving_startup_ns(&s->startup, s->replica_count));
}

static void remove_replica(struct serving *s, struct replica *r)
{
    if (r->state == REPLICA_STARTING || r->outstanding == 0) {
        replica_leaves(s, r);
        return;
    }
    r->state = REPLICA_DRAINING;
    r->draining_ns = s->now_ns;
}

/* Starting ones first, then ready ones; in each class the highest id first. */
static void remove_some(struct serving *s, int32_t count)
{
    static const enum replica_state order[] = {REPLICA_STARTING, REPLICA_READY};

    for (size_t class = 0; class < 2; class ++)
        for (size_t i = s->live_count; i-- > 0 && count > 0;)
            if (s->replicas[s->live[i]].state == order[class]) {
                remove_replica(s, &s->replicas[s->live[i]]);
                count--;
            }
}

void serving_scale(struct serving *s, int32_t replicas)
{
    int32_t have = 0;

    if (replicas == s->spec)
        return;
    if (s->event_count == s->event_size) {
        s->event_size = s->event_size ? s->event_size * 2 : 64;
        s->events = mem_grow(s->events, s->event_size, sizeof(struct serving_event));
    }
    s->events[s->event_count++] = (struct serving_event){s->now_ns, s->spec, replicas};
    s->spec = replicas;
    for (size_t i = 0; i < s->live_count; i++)
        have += s->replicas[s->live[i]].state != REPLICA_DRAINING;
    for (; have < replicas; have++)
        create_replica(s);
    remove_some(s, have - replicas);
}

/* ------------------------------------------------------------------ questions */

const struct serving_profile *serving_profile_of(const struct serving *s)
{
    return &s->profile;
}

int64_t serving_now_ns(const struct serving *s)
{
    return s->now_ns;
}

size_t serving_requests(const struct serving *s, const struct serving_request **out)
{
    *out = s->requests;
    return s->request_count;
}

int64_t serving_generated(const struct serving *s, size_t request)
{
    const struct serving_request *q = &s->requests[request];
    int64_t done = s->progress[request].generated_done;

    if (q->first_ns >= 0 && q->finished_ns < 0 && s->replicas[q->replica].stepping && s->replicas[q->replica].steps > 1)
        done += (s->now_ns - s->replicas[q->replica].step_from_ns) / s->replicas[q->replica].step_ns;
    return done;
}

size_t serving_live(const struct serving *s, const size_t **out)
{
    *out = s->live;
    return s->live_count;
}

size_t serving_replica_count(const struct serving *s)
{
    return s->replica_count;
}

/* Tokens of whole steps of a leap that are done by now but not yet counted. */
static int64_t leap_tokens(const struct serving *s, const struct replica *r)
{
    if (!r->stepping || r->steps <= 1)
        return 0;
    return (s->now_ns - r->step_from_ns) / r->step_ns * (int64_t)r->decoding.count;
}

struct serving_replica serving_replica(const struct serving *s, size_t id)
{
    const struct replica *r = &s->replicas[id];

    return (struct serving_replica){.state = r->state,
                                    .created_ns = r->created_ns,
                                    .ready_ns = r->ready_ns,
                                    .draining_ns = r->draining_ns,
                                    .gone_ns = r->gone_ns,
                                    .waiting = (int64_t)r->queue.count,
                                    .running = (int64_t)(r->prefilling.count + r->decoding.count),
                                    .kv = r->kv,
                                    .outstanding = r->outstanding,
                                    .prompt = r->prompt,
                                    .generated = r->generated + leap_tokens(s, r),
                                    .finished = r->finished};
}

size_t serving_events(const struct serving *s, const struct serving_event **out)
{
    *out = s->events;
    return s->event_count;
}

size_t serving_open_requests(const struct serving *s)
{
    return s->open;
}

void serving_backlog(const struct serving *s, int64_t *requests, int64_t *tokens)
{
    *requests = s->backlog;
    *tokens = s->backlog_tokens;
}

int64_t serving_boundary_ns(const struct serving *s, int64_t from_ns)
{
    int64_t first = SERVING_NEVER;

    for (size_t i = 0; i < s->live_count; i++) {
        const struct replica *r = &s->replicas[s->live[i]];

        if (!r->stepping || step_end_ns(r) < from_ns)
            continue;
        int64_t steps = from_ns > r->step_from_ns ? (from_ns - r->step_from_ns + r->step_ns - 1) / r->step_ns : 1;
        int64_t at_ns = r->step_from_ns + steps * r->step_ns;
        if (at_ns < first)
            first = at_ns;
    }
    return first;
}

void serving_signals(const struct serving *s, struct serving_signals *out)
{
    double kv_sum = 0;

    *out = (struct serving_signals){.replicas = s->spec,
                                    .router = (int64_t)s->router.count,
                                    .waiting = (int64_t)s->router.count,
                                    .counters = s->counters};
    for (size_t i = 0; i < s->router.count; i++)
        out->inflight_tokens += size_of(s, list_at(&s->router, i));
    for (size_t i = 0; i < s->live_count; i++) {
        const struct replica *r = &s->replicas[s->live[i]];
        double kv = (double)r->kv / (double)s->profile.kv_tokens;

        out->counters.generated += leap_tokens(s, r);
        out->pending_replicas += r->state == REPLICA_STARTING;
        out->draining_replicas += r->state == REPLICA_DRAINING;
        if (r->state != REPLICA_READY)
            continue;
        out->ready_replicas++;
        out->waiting += (int64_t)r->queue.count;
        out->running += (int64_t)(r->prefilling.count + r->decoding.count);
        out->inflight_tokens += r->outstanding;
        kv_sum += kv;
        if (kv > out->kv_usage_max)
            out->kv_usage_max = kv;
    }
    if (out->ready_replicas > 0)
        out->kv_usage = kv_sum / out->ready_replicas;
}

static void swap(double *a, double *b)
{
    double held = *a;

    *a = *b;
    *b = held;
}

/* The value that would stand at this place if they were sorted: the part it lies in is split again and again. */
static double value_at(double *values, size_t count, size_t place)
{
    size_t low = 0, high = count - 1;

    while (low < high) {
        double pivot = values[low + (high - low) / 2];
        size_t i = low, j = high;

        for (;;) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i >= j)
                break;
            swap(&values[i++], &values[j--]);
        }
        if (place <= j)
            high = j;
        else
            low = j + 1;
    }
    return values[place];
}

/* Nearest rank: element max(1, ceil(q * n / 100)) of the sorted values. */
static bool nearest_rank(double *values, size_t count, double quantile, double *out)
{
    if (count == 0)
        return false;
    double rank = ceil(quantile * (double)count / 100);
    size_t index = rank < 1 ? 0 : rank > (double)count ? count - 1 : (size_t)rank - 1;
    *out = value_at(values, count, index);
    return true;
}

struct measuring {
    enum serving_span span;
    bool by_servers; /* else by the gateway */
    int64_t window_ns;
};

static int64_t ends_ns(const struct serving_request *q, enum serving_span span)
{
    return span == SERVING_TTFT || span == SERVING_QUEUED ? q->first_ns : q->finished_ns;
}

/* Whether this request tells, and what. */
static bool measure(const struct serving *s, const struct serving_request *q, const struct measuring *m, double *out)
{
    int64_t begins_ns = m->by_servers ? q->assigned_ns : q->arrival_ns;

    if (m->by_servers && s->replicas[q->replica].state != REPLICA_READY)
        return false;
    switch (m->span) {
    case SERVING_TTFT:
        *out = (double)(q->first_ns - begins_ns);
        return true;
    case SERVING_ITL:
        *out = q->generated > 1 ? (double)(q->finished_ns - q->first_ns) / (double)(q->generated - 1) : 0;
        return q->generated > 1;
    case SERVING_E2E:
        *out = (double)(q->finished_ns - begins_ns);
        return true;
    case SERVING_QUEUED:
        *out = (double)(q->admitted_ns - begins_ns);
        return true;
    }
    return false;
}

/* What the requests of the window tell; malloc'ed. The list is in order of time, so the window is its tail. */
static double *measured(const struct serving *s, const struct measuring *m, size_t *count)
{
    const struct list *list = m->span == SERVING_TTFT || m->span == SERVING_QUEUED ? &s->firsts : &s->finishes;
    size_t first = list->count;

    while (first > 0 && ends_ns(&s->requests[list_at(list, first - 1)], m->span) > s->now_ns - m->window_ns)
        first--;
    double *values = mem_array(list->count - first + 1, sizeof(double));
    *count = 0;
    for (size_t i = first; i < list->count; i++)
        *count += measure(s, &s->requests[list_at(list, i)], m, &values[*count]);
    return values;
}

static bool quantile_of(const struct serving *s, const struct measuring *m, double quantile, double *out)
{
    size_t count;
    double *values = measured(s, m, &count);
    bool found = nearest_rank(values, count, quantile, out);

    free(values);
    return found;
}

bool serving_ttft_ns(const struct serving *s, int64_t window_ns, double quantile, double *out)
{
    return quantile_of(s, &(struct measuring){SERVING_TTFT, false, window_ns}, quantile, out);
}

bool serving_itl_ns(const struct serving *s, int64_t window_ns, double quantile, double *out)
{
    return quantile_of(s, &(struct measuring){SERVING_ITL, false, window_ns}, quantile, out);
}

bool serving_span_ns(const struct serving *s, enum serving_span span, int64_t window_ns, double quantile, double *out)
{
    return quantile_of(s, &(struct measuring){span, true, window_ns}, quantile, out);
}

bool serving_share_within(const struct serving *s, enum serving_span span, int64_t window_ns, int64_t limit_ns,
                          double *out)
{
    size_t count, within = 0;
    double *values = measured(s, &(struct measuring){span, true, window_ns}, &count);

    for (size_t i = 0; i < count; i++)
        within += values[i] <= (double)limit_ns;
    free(values);
    if (count > 0)
        *out = (double)within / (double)count;
    return count > 0;
}
