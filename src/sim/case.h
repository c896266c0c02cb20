/*
 * case: unit tests of policies: a YAML file (docs/testing.md) names a policy, what its sources say over time, and what must come of it.
 *
 *     struct case_file *file = case_file_read("shop.test.yaml", bytes, length, report);
 *     if (case_file_load(file, report))                                 -- reads the policy it names
 *         for (size_t i = 0; i < file->test_count; i++) {
 *             case_run(file, i, &options, report, &result);
 *             ...
 *             case_result_done(&result);
 *         }
 *     case_file_free(file);
 *
 * Whatever is wrong with a test file, with the policy, or with a file that they name goes into the report with file, line and remedy; a
 * test that cannot be run is BROKEN, which is not the same as FAILED. An expectation sees the last decision at or before its instant, and
 * the replicas there are once that is carried out. Times are milliseconds since the start of the run. Not for threads.
 */
#ifndef WEIR_SIM_CASE_H
#define WEIR_SIM_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/report.h"
#include "policy/policy.h"
#include "sim/simulation.h"

struct arena;
struct text;
struct tree;

/* ------------------------------------------------------------------ a test file, as it is written */

struct case_range { /* min <= x <= max */
    bool given;
    double min, max;
};
enum case_truth { CASE_EITHER, CASE_YES, CASE_NO };

struct case_expect {
    struct place place;
    const char *field;
    int64_t at_ms; /* -1: at some decision of the run; only of words and reasons */
    struct case_range replicas, value;
    enum case_truth active;
    const char *reason; /* NULL: any */
    const char *const *says;
    size_t say_count;
};

enum case_share { CASE_WHOLE, CASE_PER_REPLICA, CASE_PER_READY };
struct case_input {
    struct place place;
    const char *field;
    const char *trigger; /* NULL: columns of the file have the names of triggers */
    const char *values;  /* notation of input.h, one value every step_ms; or */
    int64_t step_ms;
    const struct tree *series; /* [[time, value], ...]; or */
    const char *path;          /* a file, relative to the test file */
    enum case_share share;     /* the value is a total, of which the source tells the mean */
};

struct
    case_workload { /* a model of what runs, under the demand of a trace (serving-model.md); as written, NULL or -1 where it is not */
    bool given;
    struct place place;
    const char *field;
    const char *trace; /* relative to the test file */
    const char *profile, *startup, *map, *tokens, *slo;
    int64_t amplify, step_ms, warmup_ms, seed;
};

struct case_poll { /* one poll of a ScaledJob, on its own */
    struct place place;
    const char *field;
    int32_t running, pending;  /* pending ones are among those that run */
    const struct tree *values; /* trigger -> what its source says */
    struct case_range create;
};

enum invariant_kind {
    INVARIANT_ABOVE,     /* never above N */
    INVARIANT_BELOW,     /* never below N */
    INVARIANT_TO_ZERO,   /* never to zero */
    INVARIANT_CONDITION, /* never EXPR */
    INVARIANT_ALWAYS,    /* always EXPR */
    INVARIANT_EVENTS,    /* at most N scale events */
    INVARIANT_UPS,
    INVARIANT_DOWNS,
    INVARIANT_REPLICA_HOURS, /* at most N replica hours */
    INVARIANT_SLO,           /* at least N % in slo: of a workload's requests */
};
struct case_invariant {
    struct place place;
    const char *field;
    const char *text; /* as written */
    enum invariant_kind kind;
    double limit;
    const char *condition;  /* of CONDITION and ALWAYS: a formula */
    const char *guard;      /* holds only while this formula does; NULL: all the time */
    int64_t from_ms, to_ms; /* both inclusive; INT64_MAX: to the end */
};

struct case_start {
    int32_t replicas; /* -1: minReplicaCount */
    int64_t at_ms;    /* wall clock at time 0; -1: that of an input that has one, else CASE_START_AT_S */
    int64_t ready_after_ms;
};

struct case_test {
    const char *name;
    struct place place;
    const char *object; /* NULL: the only one there is */
    struct case_start start;
    int64_t duration_ms; /* -1: to the end of the inputs, and past the last expectation */
    const struct case_input *inputs;
    size_t input_count;
    const struct case_expect *expects;
    size_t expect_count;
    struct case_workload workload;
    const struct case_poll *polls;
    size_t poll_count;
    const struct case_invariant *invariants;
    size_t invariant_count;
};

struct case_file {
    struct arena *arena;
    const char *name;        /* as given */
    const char *policy_name; /* path of the manifests, seen from here, or the test file's own where they stand in it */
    struct place policy_place; /* where the test file says so */
    bool policy_inline;
    const char *manifest; /* its bytes; NULL until case_file_load */
    size_t manifest_length;
    bool broken; /* the report has errors: not to be run */
    const struct case_test *tests;
    size_t test_count;
};

/* Never NULL; what is wrong is in the report and makes it `broken`. Reads no other file. */
struct case_file *case_file_read(const char *name, const char *bytes, size_t length, struct report *report);
void case_file_free(struct case_file *file);
/* Reads the policy's file. False: broken now, if it was not before. */
bool case_file_load(struct case_file *file, struct report *report);

/* "never above 8 while queue < 5 from 10m" in its parts; texts go into the arena. False: err says what is possible. Its place is left. */
bool case_invariant_parse(const char *text, struct arena *arena, struct case_invariant *out, struct error *err);

/* ------------------------------------------------------------------ running it */

enum case_outcome {
    CASE_PASSED,
    CASE_FAILED,
    CASE_BROKEN,  /* it could not be run; the report says why */
    CASE_STOPPED, /* interrupted before its end */
};
struct case_failure {
    struct place place; /* of what was expected */
    const char *field;
    int64_t at_ms;        /* when it was not so; -1: the run as a whole */
    const char *expected; /* "replicas: 3" */
    const char *got;      /* "2" */
    const char *record;   /* the decision in force, in lines; "" if there is none */
};
struct case_result {
    struct arena *arena;
    enum case_outcome outcome;
    const struct case_failure *failures; /* at most CASE_FAILURES_MAX of them */
    size_t failure_count, failure_total;
    int64_t decisions, events, duration_ms;
};
struct case_model { /* what a workload became; of whoever makes it */
    const struct model_options *model;
    const struct simulation_map *maps;
    size_t map_count;
    struct score_goals goals;
    int64_t start_at_ms; /* the trace's */
    void *owner;
};
/* duration_ms: -1, to the end of the demand. false: err says which word of it is wrong. */
typedef bool case_model_make(const struct case_workload *workload, int64_t duration_ms, struct case_model *out,
                             struct error *err);
struct case_options {
    enum simulation_engine engine;
    case_model_make *make_model; /* NULL: tests with a workload cannot be run */
    void (*free_model)(struct case_model *model);
    const struct policy_settings *settings; /* NULL: defaults */
    const bool *stop;                       /* true ends the run; NULL */
};
void case_run(const struct case_file *file, size_t test, const struct case_options *options, struct report *report,
              struct case_result *out);
void case_result_done(struct case_result *result);

/* ------------------------------------------------------------------ showing it */

struct case_line { /* one test that was run */
    const char *file, *name;
    struct place place;
    const struct case_result *result;
    double took_s;
};
enum case_form { CASE_TEXT, CASE_JUNIT, CASE_TAP, CASE_JSON };
/*
 * The results of one call of `weir test`, in one of the forms that CI systems read.
 *
 *     struct case_writer writer = {.form = CASE_TAP, .out = &text};
 *     case_write_open(&writer);
 *     for each file: case_write_file(&writer, name), case_write_line(&writer, &line) ..., case_write_file_end(&writer, findings);
 *     case_write_close(&writer);
 *
 * What stands in `out` after each call is complete lines, so it may be printed and cleared at any time.
 */
struct case_writer {
    enum case_form form;
    struct text *out;
    bool quiet;   /* of text: what passed goes without saying */
    bool stopped; /* set before close: not all tests were run */
    size_t counts[CASE_STOPPED + 1];
    /* inside */
    const char *file;
    struct text *suite; /* of JUnit: its tests, until their number is known */
    size_t in_file[CASE_STOPPED + 1], number;
    double took_s;
};
void case_write_open(struct case_writer *writer);
void case_write_file(struct case_writer *writer, const char *file);
void case_write_line(struct case_writer *writer, const struct case_line *line);
/* findings: why the file or tests of it are broken. A file with errors and without a broken test counts as one. */
void case_write_file_end(struct case_writer *writer, const struct report *findings);
void case_write_close(struct case_writer *writer);

#endif
