/*
 * history_chunk: see history_chunk.h. As bytes, of each span that is used only what cannot be told from the one before it:
 *
 *     version, names, number of spans used, { spans passed over, slot, track wanted, track ready, track of each trigger }
 *
 * A track begins with a byte of flags, and where nothing happens nothing else follows.
 */
#include "journal/history_chunk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/atom.h"
#include "base/limits.h"
#include "base/pack.h"
#include "base/text.h"

enum { CHUNK_VERSION = 1, MEAN_STEPS = 65535 };
#define WHOLE_MAX 16777216.0F /* a float holds every whole number up to here */

/* ------------------------------------------------------------------ life */

void chunk_init(struct chunk *chunk, int64_t begin_ms, int64_t span_ms, size_t spans)
{
    *chunk = (struct chunk){.begin_ms = begin_ms, .span_ms = span_ms, .spans = (uint32_t)spans};
    chunk->slots = mem_array(spans, sizeof(*chunk->slots));
    chunk->tracks = mem_array(spans * TRACK_TRIGGERS, sizeof(*chunk->tracks));
}

void chunk_done(struct chunk *chunk)
{
    for (size_t i = 0; i < chunk->name_count; i++)
        atom_unref(chunk->names[i]);
    free(chunk->names);
    free(chunk->slots);
    free(chunk->tracks);
    *chunk = (struct chunk){.spans = 0};
}

size_t chunk_trigger(struct chunk *chunk, const char *name)
{
    size_t old = (size_t)(TRACK_TRIGGERS + chunk->name_count) * chunk->spans;

    for (size_t i = 0; i < chunk->name_count; i++)
        if (chunk->names[i] == name || strcmp(chunk->names[i], name) == 0)
            return TRACK_TRIGGERS + i;
    if (chunk->name_count == TRIGGERS_MAX || strlen(name) > TRIGGER_NAME_MAX_BYTES)
        return SIZE_MAX;
    chunk->names = mem_grow(chunk->names, chunk->name_count + 1, sizeof(*chunk->names));
    chunk->names[chunk->name_count] = atom_ref(name);
    chunk->tracks = mem_grow(chunk->tracks, old + chunk->spans, sizeof(*chunk->tracks));
    memset(chunk->tracks + old, 0, chunk->spans * sizeof(*chunk->tracks));
    return TRACK_TRIGGERS + chunk->name_count++;
}

/* ------------------------------------------------------------------ merging */

static uint32_t add_ms(uint32_t a, uint32_t b, double share)
{
    return a + (uint32_t)lround(b * share);
}

static void merge_track(struct track *into, const struct track *from, double share)
{
    if (from->known_ms > 0) {
        into->min = into->known_ms > 0 && into->min < from->min ? into->min : from->min;
        into->max = into->known_ms > 0 && into->max > from->max ? into->max : from->max;
        into->sum += from->sum * share;
        into->known_ms = add_ms(into->known_ms, from->known_ms, share);
    }
    into->missing_ms = add_ms(into->missing_ms, from->missing_ms, share);
    into->failed_ms = add_ms(into->failed_ms, from->failed_ms, share);
}

static void merge_slot(struct slot *into, const struct slot *from, double share)
{
    into->used = true;
    into->slo_known_ms = add_ms(into->slo_known_ms, from->slo_known_ms, share);
    into->slo_held_ms = add_ms(into->slo_held_ms, from->slo_held_ms, share);
    into->scale_events += from->scale_events * (float)share;
}

/* One span of `from` into one of `into`, of which it covers `share` of itself. which: the tracks of from in into. */
static void merge_span(struct chunk *into, size_t to, const struct chunk *from, size_t span, const size_t *which,
                       double share)
{
    merge_slot(&into->slots[to], &from->slots[span], share);
    for (size_t i = 0; i < TRACK_TRIGGERS + from->name_count; i++)
        if (which[i] != SIZE_MAX)
            merge_track(chunk_track(into, which[i], to), chunk_track(from, i, span), share);
}

/* One span of `from` into all that it overlaps. */
static void spread_span(struct chunk *into, const struct chunk *from, size_t span, const size_t *which)
{
    int64_t begin = from->begin_ms + (int64_t)span * from->span_ms, end = begin + from->span_ms;
    int64_t first = begin > into->begin_ms ? (begin - into->begin_ms) / into->span_ms : 0;

    for (int64_t to = first; to < into->spans; to++) {
        int64_t to_begin = into->begin_ms + to * into->span_ms, to_end = to_begin + into->span_ms;
        int64_t overlap = (end < to_end ? end : to_end) - (begin > to_begin ? begin : to_begin);

        if (overlap <= 0)
            break;
        merge_span(into, (size_t)to, from, span, which, (double)overlap / (double)from->span_ms);
    }
}

void chunk_merge(struct chunk *into, const struct chunk *from)
{
    size_t which[TRACK_TRIGGERS + TRIGGERS_MAX] = {TRACK_WANTED, TRACK_READY};

    for (size_t i = 0; i < from->name_count; i++)
        which[TRACK_TRIGGERS + i] = chunk_trigger(into, from->names[i]);
    for (size_t i = 0; i < from->spans; i++)
        if (from->slots[i].used)
            spread_span(into, from, i, which);
}

/* ------------------------------------------------------------------ one track as bytes */

enum track_flag {
    TRACK_VALUE = 1,     /* known_ms is not 0 */
    TRACK_FULL = 2,      /* known_ms is the whole span */
    TRACK_FLAT = 4,      /* all the same: no greatest, no mean */
    TRACK_SAME = 8,      /* least and greatest as in the span before */
    TRACK_FRACTION = 16, /* they are floats, not whole numbers */
    TRACK_MISSING = 32,  /* missing_ms is not 0 */
    TRACK_FAILED = 64,
};

static bool is_whole(float value)
{
    return value == truncf(value) && fabsf(value) <= WHOLE_MAX && !(value == 0 && signbit(value));
}

/* As it is stored: whole, or with its 16 leading binary digits. */
static float stored(float value)
{
    uint32_t bits;

    if (is_whole(value))
        return value;
    memcpy(&bits, &value, sizeof(bits));
    bits = (bits + 0x80) & ~UINT32_C(0xff);
    memcpy(&value, &bits, sizeof(bits));
    return value;
}

/* A clock that went back may have counted a time twice: then all of it weighs less. */
static struct track fitted(struct track t, double span_ms)
{
    t.min = stored(t.min);
    t.max = stored(t.max);
    double total = (double)t.known_ms + t.missing_ms + t.failed_ms, share = total > span_ms ? span_ms / total : 1;

    if (share < 1) {
        t.known_ms = (uint32_t)(t.known_ms * share);
        t.missing_ms = (uint32_t)(t.missing_ms * share);
        t.failed_ms = (uint32_t)(t.failed_ms * share);
        t.sum *= share;
    }
    return t;
}

static unsigned char flags_of(const struct track *t, const struct track *before, int64_t span_ms)
{
    unsigned flags = 0;

    flags |= t->missing_ms > 0 ? TRACK_MISSING : 0;
    flags |= t->failed_ms > 0 ? TRACK_FAILED : 0;
    if (t->known_ms == 0)
        return (unsigned char)flags;
    flags |= TRACK_VALUE;
    flags |= t->known_ms == span_ms ? TRACK_FULL : 0;
    flags |= t->min == t->max ? TRACK_FLAT : 0;
    flags |= before->known_ms > 0 && t->min == before->min && t->max == before->max ? TRACK_SAME : 0;
    flags |= is_whole(t->min) && is_whole(t->max) ? 0 : TRACK_FRACTION;
    return (unsigned char)flags;
}

static void code_ms(struct coder *c, uint32_t *ms, int64_t most)
{
    CODE(c, *ms);
    if (*ms > most)
        c->broken = true;
}

static void code_fraction(struct coder *c, float *value)
{
    uint32_t bits = 0;
    unsigned char bytes[3];

    memcpy(&bits, value, sizeof(bits));
    for (int i = 0; i < 3; i++)
        bytes[i] = (unsigned char)(bits >> (24 - 8 * i));
    code_bytes(c, bytes, sizeof(bytes));
    bits = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8;
    memcpy(value, &bits, sizeof(bits));
}

static void code_bound(struct coder *c, float *value, bool fraction)
{
    if (fraction)
        code_fraction(c, value);
    else
        CODE(c, *value);
    if (!isfinite(*value)) {
        c->broken = true;
        *value = 0;
    }
}

/* As the way from the least to the greatest. */
static void code_mean(struct coder *c, struct track *t)
{
    double width = (double)t->max - (double)t->min;
    double mean = t->known_ms > 0 ? t->sum / t->known_ms : 0;
    double way = width > 0 && isfinite(mean) ? (mean - (double)t->min) / width : 0;
    uint16_t steps = (uint16_t)lround((way < 0 ? 0 : way > 1 ? 1 : way) * MEAN_STEPS);

    code_bytes(c, &steps, sizeof(steps));
    if (!c->writing)
        t->sum = ((double)t->min + width * steps / MEAN_STEPS) * t->known_ms;
}

static void code_track(struct coder *c, struct track *t, struct track *before, int64_t span_ms)
{
    unsigned char flags = c->writing ? flags_of(t, before, span_ms) : 0;

    code_bytes(c, &flags, 1);
    if (flags & TRACK_MISSING)
        code_ms(c, &t->missing_ms, span_ms);
    if (flags & TRACK_FAILED)
        code_ms(c, &t->failed_ms, span_ms);
    if (flags & TRACK_VALUE) {
        if (flags & TRACK_FULL)
            t->known_ms = (uint32_t)span_ms;
        else
            code_ms(c, &t->known_ms, span_ms);
        if (flags & TRACK_SAME) {
            t->min = before->min;
            t->max = before->max;
        } else {
            code_bound(c, &t->min, flags & TRACK_FRACTION);
            t->max = flags & TRACK_FLAT ? t->min : t->max;
            if (!(flags & TRACK_FLAT))
                code_bound(c, &t->max, flags & TRACK_FRACTION);
        }
        if (t->min > t->max)
            c->broken = true;
        else if (flags & TRACK_FLAT)
            t->sum = (double)t->min * t->known_ms;
        else
            code_mean(c, t);
        *before = *t;
    }
}

/* ------------------------------------------------------------------ one span as bytes */

enum slot_flag { SLOT_SLO = 1, SLOT_HELD = 2 /* the whole span, and known in all of it */, SLOT_EVENTS = 4 };

static void code_slot(struct coder *c, struct slot *s, int64_t span_ms)
{
    unsigned char flags = 0;

    if (s->slo_known_ms > 0)
        flags |= s->slo_held_ms >= span_ms ? SLOT_SLO | SLOT_HELD : SLOT_SLO;
    if (s->scale_events >= 0.5F)
        flags |= SLOT_EVENTS;
    code_bytes(c, &flags, 1);
    if (flags & SLOT_HELD) {
        s->slo_known_ms = s->slo_held_ms = (uint32_t)span_ms;
    } else if (flags & SLOT_SLO) {
        code_ms(c, &s->slo_known_ms, span_ms);
        code_ms(c, &s->slo_held_ms, s->slo_known_ms);
    }
    if (flags & SLOT_EVENTS) {
        int64_t events = lroundf(s->scale_events);

        code_integer(c, &events);
        s->scale_events = (float)events;
        if (events < 0)
            c->broken = true;
    }
}

static struct slot fitted_slot(struct slot s, int64_t span_ms)
{
    double share = s.slo_known_ms > span_ms ? (double)span_ms / s.slo_known_ms : 1;

    s.slo_known_ms = (uint32_t)(s.slo_known_ms * share);
    s.slo_held_ms = (uint32_t)(s.slo_held_ms * share);
    return s;
}

/* ------------------------------------------------------------------ a chunk as bytes */

static size_t count_used(const struct chunk *chunk)
{
    size_t used = 0;

    for (size_t i = 0; i < chunk->spans; i++)
        used += chunk->slots[i].used;
    return used;
}

static void write_count(struct coder *out, size_t count)
{
    int64_t value = (int64_t)count;

    code_integer(out, &value);
}

static void write_names(const struct chunk *chunk, struct coder *out)
{
    write_count(out, chunk->name_count);
    for (size_t i = 0; i < chunk->name_count; i++) {
        size_t length = strlen(chunk->names[i]);

        write_count(out, length);
        code_bytes(out, (char *)chunk->names[i], length);
    }
}

void chunk_write(const struct chunk *chunk, struct coder *out)
{
    struct track before[TRACK_TRIGGERS + TRIGGERS_MAX] = {{.sum = 0}};
    unsigned char version = CHUNK_VERSION;
    size_t next = 0, used = count_used(chunk);

    code_bytes(out, &version, 1);
    write_names(chunk, out);
    write_count(out, used);
    for (size_t i = 0; i < chunk->spans; i++) {
        struct slot slot = fitted_slot(chunk->slots[i], chunk->span_ms);

        if (!slot.used)
            continue;
        write_count(out, i - next);
        next = i + 1;
        code_slot(out, &slot, chunk->span_ms);
        for (size_t k = 0; k < TRACK_TRIGGERS + chunk->name_count; k++) {
            struct track track = fitted(*chunk_track(chunk, k, i), (double)chunk->span_ms);

            code_track(out, &track, &before[k], chunk->span_ms);
        }
    }
}

static size_t read_count(struct coder *c, size_t most)
{
    int64_t count = 0;

    code_integer(c, &count);
    if (count < 0 || (uint64_t)count > most) {
        c->broken = true;
        return 0;
    }
    return (size_t)count;
}

static void read_names(struct chunk *chunk, struct coder *c)
{
    size_t count = read_count(c, TRIGGERS_MAX);

    for (size_t i = 0; i < count && !c->broken; i++) {
        size_t length = read_count(c, TRIGGER_NAME_MAX_BYTES);
        char *name = mem_alloc(length + 1);

        code_bytes(c, name, length);
        if (!c->broken && chunk_trigger(chunk, name) != TRACK_TRIGGERS + i)
            c->broken = true; /* there twice */
        free(name);
    }
}

bool chunk_read(struct chunk *chunk, const void *bytes, size_t length)
{
    struct coder c = {.bytes = (unsigned char *)bytes, .size = length};
    struct track before[TRACK_TRIGGERS + TRIGGERS_MAX] = {{.sum = 0}};
    unsigned char version = 0;
    size_t at = 0;

    code_bytes(&c, &version, 1);
    if (version != CHUNK_VERSION)
        return false;
    read_names(chunk, &c);
    size_t used = read_count(&c, chunk->spans);
    for (size_t i = 0; i < used && !c.broken; i++, at++) {
        at += read_count(&c, chunk->spans);
        if (c.broken || at >= chunk->spans)
            return false;
        chunk->slots[at].used = true;
        code_slot(&c, &chunk->slots[at], chunk->span_ms);
        for (size_t k = 0; k < TRACK_TRIGGERS + chunk->name_count; k++)
            code_track(&c, chunk_track(chunk, k, at), &before[k], chunk->span_ms);
    }
    return !c.broken;
}
