/*
 * kafka_lag: see kafka_lag.h. The order of what is added, bounded and rounded up is that of the reference pages, because targets and
 * partition counts are small and a replica more or less shows.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"
#include "base/text.h"
#include "trigger/family/kafka_lag.h"

/* ------------------------------------------------------------------ what a call remembers for the next */

static uint64_t key_of(const struct kafka_partition *partition)
{
    return hash_bytes(hash_string(0, partition->topic), &partition->id, sizeof(partition->id));
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = ((const struct kafka_seen *)a)->key, y = ((const struct kafka_seen *)b)->key;

    return (x > y) - (x < y);
}

static bool is_stuck(const struct kafka_memory *memory, const struct kafka_partition *partition)
{
    struct kafka_seen wanted = {.key = key_of(partition)};
    const struct kafka_seen *seen =
        memory->count ? bsearch(&wanted, memory->seen, memory->count, sizeof(wanted), by_key) : NULL;

    return seen && seen->committed == partition->committed;
}

static void remember(struct kafka_memory *memory, const struct kafka_partition *partitions, size_t count)
{
    memory->seen = mem_grow(memory->seen, count ? count : 1, sizeof(*memory->seen));
    memory->count = count;
    for (size_t i = 0; i < count; i++)
        memory->seen[i] = (struct kafka_seen){key_of(&partitions[i]), partitions[i].committed};
    qsort(memory->seen, count, sizeof(*memory->seen), by_key);
}

void kafka_memory_done(struct kafka_memory *memory)
{
    free(memory->seen);
    memset(memory, 0, sizeof(*memory));
}

/* ------------------------------------------------------------------ one partition */

/* What a group that never committed there will find. */
static double lag_of_newcomer(const struct kafka_rules *rules, const struct kafka_partition *partition)
{
    if (rules->zero_on_never)
        return 0;
    return rules->earliest ? (double)partition->end
                           : 1; /* one message is enough to start a consumer, which then commits */
}

static double lag_of(const struct kafka_rules *rules, const struct kafka_partition *partition)
{
    if (partition->committed == KAFKA_NEVER)
        return lag_of_newcomer(rules, partition);
    if (partition->committed == KAFKA_ABSENT)
        return (double)partition->end;
    return (double)partition->end - (double)partition->committed;
}

/* ------------------------------------------------------------------ all of them */

int64_t kafka_even_consumers(int64_t partitions, double lag, double target)
{
    for (int64_t consumers = 1; consumers < partitions; consumers++)
        if (partitions % consumers == 0 && (double)consumers * target >= lag)
            return consumers;
    return partitions;
}

static double bounded(const struct kafka_rules *rules, double lag, size_t present, size_t lagging)
{
    double target = (double)rules->target, most = (double)(rules->lagging_only ? lagging : present);

    if (rules->allow_idle && !rules->even)
        return lag;
    if (rules->even)
        lag = (double)kafka_even_consumers((int64_t)present, lag, target) * target;
    return floor(lag / target) > most ? most * target : lag;
}

bool kafka_lag(const struct kafka_rules *rules, struct kafka_memory *memory, const struct kafka_partition *partitions,
               size_t count, struct kafka_sum *sum, struct error *err)
{
    double counted = 0, waiting = 0;
    size_t present = 0, lagging = 0;

    for (size_t i = 0; i < count; i++) {
        const struct kafka_partition *p = &partitions[i];
        double lag = lag_of(rules, p);

        if (p->end == KAFKA_ABSENT) /* Azure Event Hubs leaves out what is empty */
            continue;
        if (p->committed == KAFKA_ABSENT && !rules->absent_is_all)
            return error_set(err, ERROR_NONSENSE, "the group's offsets leave out partition %d of topic %s", (int)p->id,
                             p->topic);
        present++;
        waiting += lag;
        if (rules->skip_stuck && p->committed >= 0 && is_stuck(memory, p))
            continue;
        counted += lag;
        lagging += lag > 0;
    }
    if (rules->skip_stuck)
        remember(memory, partitions, count);
    sum->value = bounded(rules, counted, present, lagging);
    sum->waiting = waiting;
    return true;
}

/* ------------------------------------------------------------------ partitionLimitation */

/* Digits up to `end`, blanks around them. */
static bool read_id(const char *text, const char *end, int32_t *out)
{
    int64_t number = 0;
    bool some = false;

    while (text < end && strchr(" \t\r\n", *text))
        text++;
    while (end > text && strchr(" \t\r\n", end[-1]))
        end--;
    for (; text < end; text++, some = true) {
        if (*text < '0' || *text > '9' || (number = number * 10 + (*text - '0')) > INT32_MAX)
            return false;
    }
    *out = (int32_t)number;
    return some;
}

const struct kafka_limits *kafka_limits_read(const char *text, struct arena *arena, const char **bad)
{
    size_t pieces = 1;
    struct kafka_limits *limits;

    for (const char *c = text; *c; c++)
        pieces += *c == ',';
    limits = arena_alloc(arena, sizeof(*limits) + pieces * sizeof(limits->ranges[0]));
    for (; limits->count < pieces; limits->count++) {
        const char *end = text + strcspn(text, ","), *dash = memchr(text, '-', (size_t)(end - text));
        int32_t *from = &limits->ranges[limits->count].from, *to = &limits->ranges[limits->count].to;

        if (!read_id(text, dash ? dash : end, from) || !read_id(dash ? dash + 1 : text, end, to)) {
            *bad = arena_copy_bytes(arena, text, (size_t)(end - text));
            return NULL;
        }
        text = *end ? end + 1 : end;
    }
    return limits;
}

bool kafka_limits_allow(const struct kafka_limits *limits, int32_t partition)
{
    bool allowed = !limits;

    for (size_t i = 0; limits && i < limits->count && !allowed; i++)
        allowed = partition >= limits->ranges[i].from && partition <= limits->ranges[i].to;
    return allowed;
}
