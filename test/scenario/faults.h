/*
 * faults: random policies over sources that lie, on the whole running system. What the four files of the program share.
 *
 *     faults_policy.c   a random ScaledObject as its author would write it
 *     faults_jobs.c     a random ScaledJob and its jobs
 *     faults_source.c   sources that tell the truth, or something else
 *     test_faults.c     a run: what happens when, and what must hold after every turn
 *
 * Everything is a function of the seed and of the instant, never of the order in which things are asked. So the same world with
 * one more object in it is the same for the others, and can be compared.
 */
#ifndef WEIR_TEST_FAULTS_H
#define WEIR_TEST_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "sim/stage.h"
#include "sim/virtual.h"

/* ---- chance ---- */
uint64_t mix(uint64_t a, uint64_t b); /* a stateless hash */
struct dice {
    uint64_t state;
};
uint64_t roll(struct dice *dice, uint64_t sides); /* 0..sides-1 */
bool chance(struct dice *dice, unsigned percent);

/* ---- sources ---- */
enum source_type { SOURCE_PROMETHEUS, SOURCE_API, SOURCE_REDIS };
/* What a source does for a while: truths first, then ways of having no value, then lies and silence. */
enum manner {
    MANNER_TRUE,
    MANNER_SLOW,
    MANNER_EMPTY,
    MANNER_NAN,
    MANNER_INFINITE,
    MANNER_HTML,
    MANNER_CUT,
    MANNER_NO_BYTES,
    MANNER_NESTED,
    MANNER_WRONG_SHAPE,
    MANNER_TWO,
    MANNER_HUGE,
    MANNER_DENIES,
    MANNER_NOT_FOUND,
    MANNER_TOO_MANY,
    MANNER_ERROR,
    MANNER_LOOP,
    MANNER_REFUSES,
    MANNER_HANGS,
    MANNER_LATE,
    MANNERS,
};
enum { TRUTHS_KEPT = 8 };
struct source {
    struct stage *stage;
    uint64_t seed;
    enum source_type type;
    char host[64];              /* "src-0-1.local" */
    int64_t calm_from_ms;       /* since the start: from then on the truth, and always the same */
    double truths[TRUTHS_KEPT]; /* said lately */
    unsigned truth_count, asked;
};
void source_begin(struct source *source);                    /* joins its stage's world */
double source_truth(const struct source *source);            /* what it would say now */
bool source_said(const struct source *source, double value); /* lately */

/* ---- policies ---- */
enum { TRIGGERS_OF_POLICY_MAX = 4 };
struct written { /* what was written; what it means is asked of the running system */
    size_t source_count;
    enum source_type types[TRIGGERS_OF_POLICY_MAX]; /* of trigger i < source_count; further ones are local */
    bool clockwork; /* the calendar, usage or the number of replicas is part of it: constant input need not settle */
    bool remembers; /* the formula looks back: a step of the wall clock leaves it without history for a while */
};
/* Sources are called src-<index>-<trigger>. version: another edit of the same object. */
void write_policy(uint64_t seed, unsigned index, unsigned version, struct text *yaml, struct written *out);

/* ---- jobs ---- */
struct jobs { /* one ScaledJob, "work" */
    struct stage *stage;
    uint64_t seed;
    unsigned version;
    struct source source;
    int32_t max[4];       /* of the newest versions: what is on its way may still be of an earlier one */
    int64_t killed_ms;    /* Weir was; what was on its way then it cannot know of */
    size_t seen, settled; /* unfinished jobs, at the last look and when the last part of the calm began */
};
void jobs_begin(struct jobs *jobs, struct stage *stage, uint64_t seed, int64_t calm_from_ms);
void jobs_happen(struct jobs *jobs, struct dice *dice); /* some begin to run, some end, the manifest is edited */
void jobs_calm(struct jobs *jobs);
/* NULL, or what is wrong. */
const char *jobs_examine(struct jobs *jobs);

#endif
