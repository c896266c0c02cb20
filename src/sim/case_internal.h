/* What the files case*.c share. */
#ifndef WEIR_SIM_CASE_INTERNAL_H
#define WEIR_SIM_CASE_INTERNAL_H

#include "base/text.h"
#include "sim/case.h"

struct input_value;

#define CASE_START_AT_S INT64_C(1767571200) /* 2026-01-05T00:00:00Z, a Monday: where a test says nothing of it */

/* "5m", or a plain number of seconds; not negative. */
bool case_time_parse(const char *text, int64_t *ms);
/* What a source says, as it stands in a series or beside a trigger: a number, null or "_" for no value, "failed", "stale". */
bool case_value_read(const struct tree *node, struct input_value *out);
/* Adds a finding, an error, at a node of the file. */
void case_complain(struct report *report, const struct place *place, const char *field, const char *remedy,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* What the policy under test is made of, without asking anybody. NULL: the report says why. */
struct case_policy {
    struct manifest *manifest;
    struct policy *policy;
    const struct trigger_spec *specs; /* of the manifest */
    const char *names[TRIGGERS_MAX];  /* of triggers as tests call them: their name, or s0, s1 ... */
    struct text object;               /* "NAMESPACE/NAME" */
};
struct case_policy *case_policy_new(const struct case_file *file, const struct case_test *test,
                                    const struct policy_settings *settings, struct report *report);
void case_policy_free(struct case_policy *policy);
/* The trigger of that name, or TRIGGERS_MAX with a finding that says which there are. */
size_t case_policy_trigger(const struct case_policy *policy, const char *name, const struct place *place,
                           const char *field, struct report *report);

/* One test while it runs. */
struct case_run {
    const struct case_file *file;
    const struct case_test *test;
    const struct case_options *options;
    struct report *report;
    struct case_policy *policy;
    struct case_result *result;
    struct case_failure *failures; /* result->failures, to write to */
};
/* expected and got are copied; record is the decision in words, or NULL. */
void case_fail(struct case_run *run, const struct place *place, const char *field, int64_t at_ms, const char *record,
               const char *expected, const char *got);

/* case_jobs.c: the polls of a ScaledJob. */
void case_run_polls(struct case_run *run);
/* case_play.c: an object against its inputs. */
void case_play(struct case_run *run);

/* case_watch.c: invariants while a run goes on. NULL: one of their formulas cannot be used; the report says why. */
struct case_watch;
struct case_moment { /* what holds from a decision on, until the next */
    int64_t at_ms;
    int32_t before, after; /* replicas */
    const struct formula_state *state;
    const struct sample *samples;
};
struct case_watch *case_watch_new(struct case_run *run);
void case_watch_free(struct case_watch *watch);
/* record: asked for only when something is broken. */
typedef const char *case_record(void *arg);
void case_watch_see(struct case_watch *watch, const struct case_moment *moment, case_record *record, void *arg);
void case_watch_end(struct case_watch *watch, int64_t end_ms, const struct simulation_result *result);

#endif
