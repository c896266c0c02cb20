/*
 * history: see history.h. What was noted last is held against the time until the next note, span by span:
 *
 *     notes      |a        |b   |c                     |d             a counts until b, b until c, c no longer than its hold
 *     spans    [     5 min     |     5 min     |     5 min     ]      a span that is over is added to its row in the journal
 *
 * A clock that goes back ends what is held; what comes then is added to spans that may be there already.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/time.h"
#include "journal/history_chunk.h"
#include "journal/journal_internal.h"

enum { SPAN_MS = 5 * 60 * 1000 }; /* the shortest there is */

struct held_value {
    double value;
    enum sample_state state;
};
struct history_now {   /* of one object: 100 bytes, and some 60 per trigger */
    struct chunk span; /* one; its names are the triggers' */
    int64_t at_ms;     /* of the last note */
    int32_t hold_ms, wanted, ready;
    bool has_slo, slo_held;
    uint64_t triggers_hash;    /* of their names */
    struct held_value *values; /* of each trigger */
};

/* ------------------------------------------------------------------ the span of now */

static int64_t span_of(int64_t at_ms)
{
    return at_ms - (at_ms % SPAN_MS + SPAN_MS) % SPAN_MS;
}

static uint64_t hash_triggers(const struct history_facts *facts)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < facts->trigger_count; i++)
        hash = hash_string(hash, facts->triggers[i]);
    return hash;
}

static struct history_now *now_new(const struct history_facts *facts)
{
    struct history_now *now = mem_alloc(sizeof(*now));

    chunk_init(&now->span, span_of(facts->at_ms), SPAN_MS, 1);
    for (size_t i = 0; i < facts->trigger_count; i++)
        chunk_trigger(&now->span, facts->triggers[i]);
    now->values = mem_array(now->span.name_count + 1, sizeof(*now->values));
    now->triggers_hash = hash_triggers(facts);
    now->wanted = now->ready = -1;
    now->at_ms = facts->at_ms;
    return now;
}

void history_now_free(struct history_now *now)
{
    if (!now)
        return;
    chunk_done(&now->span);
    free(now->values);
    free(now);
}

static void begin_span(struct history_now *now, int64_t begin_ms)
{
    now->span.begin_ms = begin_ms;
    now->span.slots[0] = (struct slot){.used = false};
    memset(now->span.tracks, 0, (TRACK_TRIGGERS + now->span.name_count) * sizeof(*now->span.tracks));
}

static void settle(struct journal *j, const char *object, struct known *known)
{
    struct history_now *now = known->now;
    int64_t id = now->span.slots[0].used && journal_begin(j) ? journal_id(j, known, object) : 0;

    if (id != 0)
        history_store(j, id, 0, &now->span);
    begin_span(now, now->span.begin_ms);
}

void history_settle_all(struct journal *j)
{
    const char *object;
    void *value;

    for (size_t at = 0; map_next(j->known, &at, &object, &value);)
        if (((struct known *)value)->now)
            settle(j, object, value);
}

void history_forget(struct journal *j, const char *object, struct known *known)
{
    if (!known->now)
        return;
    settle(j, object, known);
    history_now_free(known->now);
    known->now = NULL;
}

/* ------------------------------------------------------------------ noting */

#define VALUE_MAX 3e38 /* below what a float holds, and so are its roundings */

static float as_float(double value)
{
    return (float)(value > VALUE_MAX ? VALUE_MAX : value < -VALUE_MAX ? -VALUE_MAX : value);
}

static void count_value(struct track *t, double value, uint32_t ms)
{
    float rounded = as_float(value);

    t->min = t->known_ms > 0 && t->min < rounded ? t->min : rounded;
    t->max = t->known_ms > 0 && t->max > rounded ? t->max : rounded;
    t->sum += (double)rounded * ms;
    t->known_ms += ms;
}

/* What is held was so for ms more of this span. */
static void count(struct history_now *now, uint32_t ms)
{
    struct slot *slot = &now->span.slots[0];

    slot->used = true;
    slot->slo_known_ms += now->has_slo ? ms : 0;
    slot->slo_held_ms += now->has_slo && now->slo_held ? ms : 0;
    if (now->wanted >= 0)
        count_value(chunk_track(&now->span, TRACK_WANTED, 0), now->wanted, ms);
    if (now->ready >= 0)
        count_value(chunk_track(&now->span, TRACK_READY, 0), now->ready, ms);
    for (size_t i = 0; i < now->span.name_count; i++) {
        struct track *t = chunk_track(&now->span, TRACK_TRIGGERS + i, 0);

        if (now->values[i].state == SAMPLE_OK)
            count_value(t, now->values[i].value, ms);
        t->missing_ms += now->values[i].state == SAMPLE_MISSING ? ms : 0;
        t->failed_ms += now->values[i].state == SAMPLE_FAILED ? ms : 0;
    }
}

/* What is held counts until at_ms, or as long as it may; the span of at_ms is then the one of now. */
static void advance(struct journal *j, const char *object, struct known *known, int64_t at_ms)
{
    struct history_now *now = known->now;
    int64_t from_ms = now->at_ms, until_ms = from_ms + now->hold_ms;

    if (at_ms < until_ms)
        until_ms = at_ms;
    while (from_ms < until_ms) {
        int64_t end_ms = now->span.begin_ms + SPAN_MS;

        if (end_ms <= from_ms) {
            settle(j, object, known);
            begin_span(now, span_of(from_ms));
            continue;
        }
        end_ms = end_ms < until_ms ? end_ms : until_ms;
        count(now, (uint32_t)(end_ms - from_ms));
        from_ms = end_ms;
    }
    if (span_of(at_ms) != now->span.begin_ms) {
        settle(j, object, known);
        begin_span(now, span_of(at_ms));
    }
}

/* The triggers are others: what was gathered goes into its row, and a new span begins that may be of the same time. */
static void change_triggers(struct journal *j, const char *object, struct known *known,
                            const struct history_facts *facts)
{
    int32_t wanted = known->now->wanted;

    history_forget(j, object, known);
    known->now = now_new(facts);
    known->now->wanted = wanted;
}

static void hold(struct history_now *now, const struct history_facts *facts)
{
    bool scaled = now->wanted >= 0 && facts->wanted >= 0 && now->wanted != facts->wanted;

    if (scaled) {
        now->span.slots[0].scale_events++;
        now->span.slots[0].used = true;
    }
    now->at_ms = facts->at_ms;
    now->hold_ms = (int32_t)(facts->hold_ms < 0                     ? 0
                             : facts->hold_ms < HISTORY_HOLD_MAX_MS ? facts->hold_ms
                                                                    : HISTORY_HOLD_MAX_MS);
    now->wanted = facts->wanted;
    now->ready = facts->ready;
    now->has_slo = facts->has_slo;
    now->slo_held = facts->slo_held;
    for (size_t i = 0; i < facts->trigger_count; i++) {
        const struct sample *sample = &facts->samples[i];
        size_t track = chunk_trigger(&now->span, facts->triggers[i]);
        bool bad = sample->state == SAMPLE_OK && !isfinite(sample->value);

        if (track != SIZE_MAX)
            now->values[track - TRACK_TRIGGERS] =
                (struct held_value){sample->value, bad ? SAMPLE_FAILED : sample->state};
    }
}

void history_note(struct journal *j, const char *object, const struct history_facts *facts)
{
    struct known *known = journal_known(j, object);

    if (!known->now) {
        known->now = now_new(facts);
    } else {
        advance(j, object, known, facts->at_ms);
        if (known->now->triggers_hash != hash_triggers(facts))
            change_triggers(j, object, known, facts);
    }
    hold(known->now, facts);
}

/* ------------------------------------------------------------------ reading */

/* Of the time of `into`, what is stored and what is gathered now. */
static void read_into(struct journal *j, const char *object, struct chunk *into)
{
    struct known *known = map_get(j->known, object);
    int64_t id = j->db ? known && known->id ? known->id : journal_find(j, object) : 0;

    if (id != 0)
        history_gather(j, id, into);
    if (known && known->now && known->now->span.slots[0].used)
        chunk_merge(into, &known->now->span);
}

static struct history_range range_of(const struct track *t)
{
    if (t->known_ms == 0)
        return (struct history_range){NAN, NAN, NAN};
    return (struct history_range){t->min, t->sum / t->known_ms, t->max};
}

static struct history_trigger trigger_of(const char *name, const struct track *t)
{
    double asked = (double)t->known_ms + t->missing_ms + t->failed_ms;

    return (struct history_trigger){.name = name,
                                    .value = range_of(t),
                                    .missing = asked > 0 ? t->missing_ms / asked : 0,
                                    .failed = asked > 0 ? t->failed_ms / asked : 0};
}

static bool visit_span(const struct chunk *chunk, size_t span, struct history_trigger *triggers, history_visit *visit,
                       void *arg)
{
    const struct slot *slot = &chunk->slots[span];
    int64_t begin_ms = chunk->begin_ms + (int64_t)span * chunk->span_ms;

    for (size_t i = 0; i < chunk->name_count; i++)
        triggers[i] = trigger_of(chunk->names[i], chunk_track(chunk, TRACK_TRIGGERS + i, span));
    return visit(arg, &(struct history_point){
                          .begin_ms = begin_ms,
                          .end_ms = begin_ms + chunk->span_ms,
                          .wanted = range_of(chunk_track(chunk, TRACK_WANTED, span)),
                          .ready = range_of(chunk_track(chunk, TRACK_READY, span)),
                          .trigger_count = chunk->name_count,
                          .triggers = triggers,
                          .slo = slot->slo_known_ms > 0 ? (double)slot->slo_held_ms / slot->slo_known_ms : NAN,
                          .scale_events = (double)slot->scale_events});
}

/* The shortest spans of a usual length of which no more than `points` are needed, on the grid of that length; where so few are asked for
   that there are none, such that begin with the range. */
static size_t choose_grid(int64_t since_ms, int64_t until_ms, int64_t points, int64_t *begin_ms, int64_t *span_ms)
{
    static const int16_t minutes[] = {5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440, 2880, 5760};
    int64_t count;

    for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
        *span_ms = minutes[i] * MINUTE_MS;
        *begin_ms = since_ms - since_ms % *span_ms;
        count = (until_ms - *begin_ms + *span_ms - 1) / *span_ms;
        if (count <= points)
            return (size_t)count;
    }
    *begin_ms = since_ms - since_ms % SPAN_MS;
    *span_ms = ((until_ms - *begin_ms) / points / SPAN_MS + 1) * SPAN_MS;
    if ((until_ms - *begin_ms) % (points * SPAN_MS) == 0)
        *span_ms -= SPAN_MS;
    return (size_t)((until_ms - *begin_ms + *span_ms - 1) / *span_ms);
}

/* Both within what a calendar holds, and not farther apart than what is kept; false: nothing is between them. */
static bool cut_range(int64_t *since_ms, int64_t *until_ms)
{
    const int64_t most_ms = HISTORY_READ_DAYS_MAX * DAY_MS, far_ms = INT64_C(1) << 53;

    *until_ms = *until_ms > far_ms ? far_ms : *until_ms;
    *since_ms = *since_ms < 0 ? 0 : *since_ms;
    if (*until_ms <= *since_ms)
        return false;
    if (*until_ms - *since_ms > most_ms)
        *since_ms = *until_ms - most_ms;
    return true;
}

int64_t history_read(struct journal *j, const char *object, int64_t since_ms, int64_t until_ms, size_t points,
                     history_visit *visit, void *arg)
{
    struct chunk chunk;
    int64_t begin_ms, span_ms;

    if (!cut_range(&since_ms, &until_ms))
        return SPAN_MS;
    points = points < 1 ? 1 : points > HISTORY_POINTS_MAX ? HISTORY_POINTS_MAX : points;
    size_t count = choose_grid(since_ms, until_ms, (int64_t)points, &begin_ms, &span_ms);
    chunk_init(&chunk, begin_ms, span_ms, count);
    read_into(j, object, &chunk);
    struct history_trigger *triggers = mem_array((size_t)chunk.name_count + 1, sizeof(*triggers));
    for (size_t i = 0; i < count; i++)
        if (chunk.slots[i].used && !visit_span(&chunk, i, triggers, visit, arg))
            break;
    free(triggers);
    chunk_done(&chunk);
    return span_ms;
}

void history_totals(struct journal *j, const char *object, int64_t since_ms, int64_t until_ms,
                    struct history_totals *out)
{
    struct chunk chunk;

    *out = (struct history_totals){.replica_s = 0};
    if (!cut_range(&since_ms, &until_ms))
        return;
    chunk_init(&chunk, since_ms, until_ms - since_ms, 1);
    read_into(j, object, &chunk);
    const struct slot *slot = &chunk.slots[0];
    *out = (struct history_totals){.replica_s = chunk_track(&chunk, TRACK_READY, 0)->sum / SECOND_MS,
                                   .slo_held_s = (double)slot->slo_held_ms / SECOND_MS,
                                   .slo_known_s = (double)slot->slo_known_ms / SECOND_MS,
                                   .scale_events = (uint64_t)llround((double)slot->scale_events)};
    chunk_done(&chunk);
}
