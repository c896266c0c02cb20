/*
 * usage: processor time and memory of process trees, for all trees in one walk through /proc.
 *
 * Processor time of a tree is what its living processes used and what ended children left to their parents, so it only grows
 * while processes come and go. Memory is what is resident: private pages of all, shared ones of the largest sharer once; the
 * exact figure (PSS) would cost a walk through every page table. The shim itself does not count as memory.
 */
#ifndef WEIR_PLATFORM_LOCAL_USAGE_H
#define WEIR_PLATFORM_LOCAL_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "decide/decide.h"

struct usage_tree {
    pid_t root; /* the shim */
    bool found;
    uint64_t cpu_ticks; /* of sysconf(_SC_CLK_TCK) */
    int64_t memory_bytes;
    int64_t shared_bytes; /* of the largest sharer; already part of memory_bytes */
};
/* Fills the trees in. Sorts them by root. */
void usage_measure(struct usage_tree *trees, size_t count);

struct usage_track { /* what is remembered of one process tree between two walks */
    pid_t root;
    uint64_t cpu_ticks;
    int64_t ticks_at_ms; /* monotonic */
    struct pod_usage cpu, memory;
};
/* Takes a walk's result over. now_ms: wall clock; monotonic_ms: of the loop's ticks. */
void usage_track_add(struct usage_track *track, const struct usage_tree *tree, int64_t now_ms, int64_t monotonic_ms);
void usage_track_requests(struct usage_track *track, int64_t cpu_request_milli, int64_t memory_request_milli);

#endif
