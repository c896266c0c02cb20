/*
 * kafka_lag: from the offsets of a consumer group to the lag that counts. Facts: triggers/kafka.md, triggers/apache-kafka.md.
 *
 *     struct kafka_memory memory = {0};
 *     if (kafka_lag(&rules, &memory, partitions, count, &lag, &err)) ...
 *     kafka_memory_done(&memory);
 *
 * Lag has two sums. `value` is what replicas are worked out from: bounded, so that there are no more replicas than partitions that can
 * feed them. `waiting` is all that is not consumed, partitions that are stuck included: it alone says whether there is work.
 * Pure; one memory for one trigger. Numbers of messages are doubles: whole up to 2^53.
 */
#ifndef WEIR_TRIGGER_KAFKA_LAG_H
#define WEIR_TRIGGER_KAFKA_LAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;

/* Instead of an offset. */
enum {
    KAFKA_NEVER = -1,  /* the group has not committed anything there */
    KAFKA_ABSENT = -2, /* the answer leaves the partition out */
};
struct kafka_partition {
    const char *topic;
    int32_t id;
    int64_t committed, end;
};

struct kafka_rules {
    int64_t target;     /* lagThreshold */
    bool earliest;      /* offsetResetPolicy: where a group that never committed will begin */
    bool zero_on_never; /* scaleToZeroOnInvalidOffset: such a partition has no lag */
    bool allow_idle;    /* allowIdleConsumers: more replicas than partitions */
    bool skip_stuck;    /* excludePersistentLag: what a group does not get past is no reason for more replicas */
    bool lagging_only;  /* limitToPartitionsWithLag */
    bool even;          /* ensureEvenDistributionOfPartitions */
    bool absent_is_all; /* apache-kafka: a partition that the group's answer leaves out has not been read at all */
};

struct kafka_memory { /* commits of the call before, for skip_stuck */
    struct kafka_seen {
        uint64_t key; /* of topic and partition */
        int64_t committed;
    } * seen;
    size_t count;
};
void kafka_memory_done(struct kafka_memory *memory);

struct kafka_sum {
    double value, waiting;
};
/* false: *err says which partition lacks what. */
bool kafka_lag(const struct kafka_rules *rules, struct kafka_memory *memory, const struct kafka_partition *partitions,
               size_t count, struct kafka_sum *sum, struct error *err);
/* The least number of consumers that share so many partitions evenly and have no more than target each; else one for each. */
int64_t kafka_even_consumers(int64_t partitions, double lag, double target);

/* partitionLimitation: "1-4,8,10-12". */
struct kafka_limits {
    size_t count;
    struct {
        int32_t from, to;
    } ranges[];
};
/* NULL: not such a list; *bad is then its first piece that is none. */
const struct kafka_limits *kafka_limits_read(const char *text, struct arena *arena, const char **bad);
bool kafka_limits_allow(const struct kafka_limits *limits, int32_t partition); /* NULL: all */

#endif
