/*
 * history_chunk: spans of equal length side by side, each with what is known of it. The span of now, a row of the journal, and the answer to
 * a question are all chunks, and one merges into another: finer spans into coarser ones, the same ones into one, a coarse one into several
 * finer ones, to each its share.
 */
#ifndef WEIR_JOURNAL_HISTORY_CHUNK_H
#define WEIR_JOURNAL_HISTORY_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct coder;

struct track {                                /* of one span: replicas wanted, ready ones, or the value of a trigger */
    double sum;                               /* of value x ms, while it had a value */
    float min, max;                           /* where known_ms is not 0 */
    uint32_t known_ms, missing_ms, failed_ms; /* with a value; without one */
};
struct slot { /* of one span: the rest */
    uint32_t slo_known_ms, slo_held_ms;
    float scale_events;
    bool used; /* something is known of it */
};
enum { TRACK_WANTED, TRACK_READY, TRACK_TRIGGERS };

struct chunk { /* zeroed but for the first three: nothing is known */
    int64_t begin_ms, span_ms;
    uint32_t spans;
    uint32_t name_count;
    const char **names;   /* atoms: of the triggers */
    struct slot *slots;   /* spans of them */
    struct track *tracks; /* TRACK_TRIGGERS + name_count times `spans` */
};

void chunk_init(struct chunk *chunk, int64_t begin_ms, int64_t span_ms, size_t spans);
void chunk_done(struct chunk *chunk);
static inline struct track *chunk_track(const struct chunk *chunk, size_t which, size_t span)
{
    return &chunk->tracks[which * chunk->spans + span];
}
/* Which track a trigger of that name has, made if need be; SIZE_MAX: there are TRIGGERS_MAX others, or its name is longer
   than TRIGGER_NAME_MAX_BYTES. */
size_t chunk_trigger(struct chunk *chunk, const char *name);
void chunk_merge(struct chunk *into, const struct chunk *from);

/* As bytes: see pack.h. Begin and length of the spans are not in them. */
void chunk_write(const struct chunk *chunk, struct coder *out);
bool chunk_read(struct chunk *chunk, const void *bytes,
                size_t length); /* chunk: initialized and empty; false: not ours */

#endif
