/*
 * memory: what is kept of an object between two decisions, and how it is written down.
 *
 * Of the wishes (recommendations) only those are kept that can still matter. A wish holds the size up as long as no
 * later one asked for at least as much; so the highs are a falling staircase, and likewise the lows a rising one. A
 * steady object keeps one step of each. The greatest and the least of any window are those of the full list: what was
 * dropped was never the extreme of a window that ends now.
 *
 *     wishes   3 7 5 2 4 1          highs   7 . 5 . 4 1        lows   . . . . . 1
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "decide/decide_internal.h"

enum { FORMAT_VERSION = 1 };

/* ------------------------------------------------------------------ life */

static const struct trigger_memory untouched = {.missing_since_ms = NEVER_MS};

static struct decide_memory *make(uint16_t trigger_count, size_t formula_bytes)
{
    struct decide_memory *memory = mem_alloc(sizeof(*memory) + trigger_count * sizeof(memory->triggers[0]));

    memory->last_active_at_ms = NEVER_MS;
    memory->trigger_count = trigger_count;
    memory->formula = untouched;
    for (uint16_t i = 0; i < trigger_count; i++)
        memory->triggers[i] = untouched;
    memory->formula_bytes = (uint32_t)formula_bytes;
    if (formula_bytes > 0)
        memory->formula_memory = mem_alloc(formula_bytes);
    return memory;
}

/* What a formula remembers belongs to its text: the memory of another one would be read as nonsense (FNV-1a). */
static uint32_t formula_mark(const struct decide_rules *rules)
{
    uint32_t mark = 2166136261u;

    for (const char *p = rules->formula ? formula_source(rules->formula) : ""; *p; p++)
        mark = (mark ^ (unsigned char)*p) * 16777619u;
    return mark;
}

struct decide_memory *decide_memory_new(const struct decide_rules *rules)
{
    struct decide_memory *memory =
        make(rules->trigger_count, rules->formula ? formula_memory_bytes(rules->formula) : 0);

    memory->formula_mark = formula_mark(rules);
    return memory;
}

void decide_memory_free(struct decide_memory *memory)
{
    if (!memory)
        return;
    memory_forget_wishes(memory);
    free(memory->formula_memory);
    free(memory);
}

static void copy_lists(struct decide_memory *to, const struct decide_memory *from)
{
    hpa_moments_copy(&to->highs, &from->highs);
    hpa_moments_copy(&to->lows, &from->lows);
    hpa_moments_copy(&to->ups, &from->ups);
    hpa_moments_copy(&to->downs, &from->downs);
}

struct decide_memory *decide_memory_copy(const struct decide_memory *memory)
{
    struct decide_memory *copy = make(memory->trigger_count, memory->formula_bytes);

    copy->last_active_at_ms = memory->last_active_at_ms;
    copy->formula_mark = memory->formula_mark;
    copy->formula = memory->formula;
    memcpy(copy->triggers, memory->triggers, memory->trigger_count * sizeof(memory->triggers[0]));
    if (memory->formula_bytes > 0)
        memcpy(copy->formula_memory, memory->formula_memory, memory->formula_bytes);
    copy_lists(copy, memory);
    return copy;
}

size_t decide_memory_bytes(const struct decide_memory *memory)
{
    size_t moments =
        (size_t)memory->highs.capacity + memory->lows.capacity + memory->ups.capacity + memory->downs.capacity;

    return sizeof(*memory) + memory->trigger_count * sizeof(memory->triggers[0]) + memory->formula_bytes +
           moments * sizeof(struct hpa_moment);
}

struct decide_memory *decide_memory_adapt(const struct decide_memory *old, const struct decide_rules *old_rules,
                                          const char *const *old_names, const struct decide_rules *rules,
                                          const char *const *names)
{
    struct decide_memory *memory = decide_memory_new(rules);
    const char *text = rules->formula ? formula_source(rules->formula) : NULL;
    const char *old_text = old_rules->formula ? formula_source(old_rules->formula) : NULL;

    memory->last_active_at_ms = old->last_active_at_ms;
    copy_lists(memory, old);
    for (uint16_t i = 0; i < memory->trigger_count; i++)
        for (uint16_t j = 0; j < old->trigger_count; j++)
            if (string_equal(names[i], old_names[j]))
                memory->triggers[i] = old->triggers[j];
    if (string_equal(text, old_text) && memory->formula_bytes == old->formula_bytes) {
        memory->formula = old->formula;
        if (memory->formula_bytes > 0)
            memcpy(memory->formula_memory, old->formula_memory, memory->formula_bytes);
    }
    return memory;
}

/* ------------------------------------------------------------------ questions */

int64_t decide_memory_last_active_at_ms(const struct decide_memory *memory)
{
    if (memory->last_active_at_ms == NEVER_MS)
        return 0;
    return memory->last_active_at_ms == 0 ? 1 : memory->last_active_at_ms; /* 0 says never */
}

void decide_memory_set_last_active(struct decide_memory *memory, int64_t at_ms)
{
    memory->last_active_at_ms = at_ms == 0 ? NEVER_MS : at_ms;
}

int decide_memory_failures(const struct decide_memory *memory, size_t trigger)
{
    assert(trigger < memory->trigger_count);
    return memory->triggers[trigger].failures;
}

void decide_memory_set_failures(struct decide_memory *memory, size_t trigger, int failures)
{
    assert(trigger < memory->trigger_count);
    memory->triggers[trigger].failures = failures;
}

/* ------------------------------------------------------------------ wishes */

void memory_forget_wishes(struct decide_memory *memory)
{
    hpa_moments_done(&memory->highs);
    hpa_moments_done(&memory->lows);
    hpa_moments_done(&memory->ups);
    hpa_moments_done(&memory->downs);
}

static void drop_first(struct hpa_moments *moments, uint16_t count)
{
    moments->count = (uint16_t)(moments->count - count);
    memmove(moments->items, moments->items + count, moments->count * sizeof(moments->items[0]));
}

/* A staircase with too many steps: the two nearest in time become one, which lasts as long as the later and reaches
   as far as the earlier, so that it never holds for less. */
static void merge_nearest(struct hpa_moments *stairs)
{
    uint16_t nearest = 0;

    for (uint16_t i = 1; i + 1 < stairs->count; i++)
        if (stairs->items[i + 1].at_ms - stairs->items[i].at_ms <
            stairs->items[nearest + 1].at_ms - stairs->items[nearest].at_ms)
            nearest = i;
    stairs->items[nearest].at_ms = stairs->items[nearest + 1].at_ms;
    stairs->count--;
    memmove(&stairs->items[nearest + 1], &stairs->items[nearest + 2],
            (stairs->count - nearest - 1u) * sizeof(stairs->items[0]));
}

static void climb(struct hpa_moments *stairs, bool falling, int64_t now_ms, int64_t window_ms, int32_t wish)
{
    uint16_t stale = 0;

    while (stale < stairs->count && stairs->items[stale].at_ms < now_ms - window_ms)
        stale++;
    if (stale > 0)
        drop_first(stairs, stale);
    while (stairs->count > 0) {
        int32_t last = stairs->items[stairs->count - 1].count;

        if (falling ? last > wish : last < wish)
            break;
        stairs->count--;
    }
    if (stairs->count == HPA_MOMENTS_MAX)
        merge_nearest(stairs);
    hpa_moments_add(stairs, now_ms, wish);
}

void memory_wish(struct decide_memory *memory, int64_t now_ms, int64_t window_ms, int32_t wish)
{
    climb(&memory->highs, true, now_ms, window_ms, wish);
    climb(&memory->lows, false, now_ms, window_ms, wish);
}

/* ------------------------------------------------------------------ clocks that go back */

static void not_after(int64_t *at_ms, int64_t now_ms)
{
    if (*at_ms > now_ms)
        *at_ms = now_ms;
}

static void list_not_after(struct hpa_moments *moments, int64_t now_ms)
{
    for (uint16_t i = 0; i < moments->count; i++)
        not_after(&moments->items[i].at_ms, now_ms);
}

void memory_tidy(struct decide_memory *memory, int64_t now_ms)
{
    not_after(&memory->last_active_at_ms, now_ms);
    not_after(&memory->formula.missing_since_ms, now_ms);
    for (uint16_t i = 0; i < memory->trigger_count; i++)
        not_after(&memory->triggers[i].missing_since_ms, now_ms);
    list_not_after(&memory->highs, now_ms);
    list_not_after(&memory->lows, now_ms);
    list_not_after(&memory->ups, now_ms);
    list_not_after(&memory->downs, now_ms);
}

/* ------------------------------------------------------------------ written down */

static void code_moments(struct coder *c, struct hpa_moments *moments)
{
    int64_t count = moments->count;

    code_integer(c, &count);
    if (count < 0 || count > HPA_MOMENTS_MAX)
        c->broken = true;
    for (int64_t i = 0; i < count && !c->broken; i++) {
        struct hpa_moment moment = c->writing ? moments->items[i] : (struct hpa_moment){0};

        CODE(c, moment.at_ms);
        CODE(c, moment.count);
        c->broken |= moment.at_ms < 0;
        if (!c->writing && !c->broken)
            hpa_moments_add(moments, moment.at_ms, moment.count);
    }
}

static void code_trigger(struct coder *c, struct trigger_memory *trigger)
{
    CODE(c, trigger->missing_since_ms);
    CODE(c, trigger->counted_at_ms);
    CODE(c, trigger->failures);
    c->broken |= trigger->failures < 0 || (trigger->missing_since_ms < 0 && trigger->missing_since_ms != NEVER_MS);
}

static void code_memory(struct coder *c, struct decide_memory *memory)
{
    CODE(c, memory->last_active_at_ms);
    c->broken |= memory->last_active_at_ms < 0 && memory->last_active_at_ms != NEVER_MS;
    code_moments(c, &memory->highs);
    code_moments(c, &memory->lows);
    code_moments(c, &memory->ups);
    code_moments(c, &memory->downs);
    code_trigger(c, &memory->formula);
    for (uint16_t i = 0; i < memory->trigger_count; i++)
        code_trigger(c, &memory->triggers[i]);
    if (memory->formula_bytes > 0)
        code_bytes(c, memory->formula_memory, memory->formula_bytes);
}

static void code_head(struct coder *c, int64_t *version, int64_t *triggers, int64_t *formula_bytes, int64_t *mark)
{
    code_integer(c, version);
    code_integer(c, triggers);
    code_integer(c, formula_bytes);
    code_integer(c, mark);
}

void decide_memory_write(const struct decide_memory *memory, struct text *out)
{
    struct coder c = {.writing = true};
    int64_t version = FORMAT_VERSION, triggers = memory->trigger_count, formula_bytes = memory->formula_bytes;
    int64_t mark = memory->formula_mark;

    code_head(&c, &version, &triggers, &formula_bytes, &mark);
    code_memory(&c, (struct decide_memory *)memory); /* writing only reads it */
    text_append(out, (const char *)c.bytes, c.at);
    free(c.bytes);
}

bool decide_memory_read(const struct decide_rules *rules, const char *bytes, size_t length, struct decide_memory **out)
{
    struct coder c = {.bytes = (unsigned char *)bytes, .size = length}; /* reading leaves the bytes alone */
    int64_t version = 0, triggers = 0, formula_bytes = 0, mark = 0;
    struct decide_memory *memory = decide_memory_new(rules);

    code_head(&c, &version, &triggers, &formula_bytes, &mark);
    if (c.broken || version != FORMAT_VERSION || triggers != memory->trigger_count ||
        formula_bytes != memory->formula_bytes || mark != memory->formula_mark) {
        decide_memory_free(memory);
        return false;
    }
    code_memory(&c, memory);
    if (c.broken || c.at != c.size) {
        decide_memory_free(memory);
        return false;
    }
    *out = memory;
    return true;
}
