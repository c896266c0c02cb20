/*
 * case_run: one test from its policy to its result. What it is about decides how it runs: a ScaledJob's polls stand each for itself
 * (case_jobs.c), an object runs against its inputs (case_play.c).
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "sim/case_internal.h"

void case_fail(struct case_run *run, const struct place *place, const char *field, int64_t at_ms, const char *record,
               const char *expected, const char *got)
{
    struct case_result *result = run->result;

    if (result->failure_total++ >= CASE_FAILURES_MAX)
        return;
    run->failures[result->failure_count++] =
        (struct case_failure){.place = *place,
                              .field = field,
                              .at_ms = at_ms,
                              .expected = arena_copy(result->arena, expected),
                              .got = arena_copy(result->arena, got),
                              .record = arena_copy(result->arena, record ? record : "")};
}

static bool fits(struct case_run *run)
{
    bool job = run->policy->policy->is_job, polls = run->test->poll_count > 0;

    if (job == polls)
        return true;
    case_complain(run->report, &run->test->place, "",
                  job ? "write polls: [{running: 0, values: {queue: 12}, create: 3}]" : "write inputs and expect",
                  job ? "%s is a ScaledJob: its polls are tested one by one" : "%s is no ScaledJob, so it has no polls",
                  run->policy->object.bytes);
    return false;
}

void case_run(const struct case_file *file, size_t test, const struct case_options *options, struct report *report,
              struct case_result *out)
{
    struct case_run run = {
        .file = file, .test = &file->tests[test], .options = options, .report = report, .result = out};
    size_t errors = report_count_of(report, FINDING_ERROR);

    *out = (struct case_result){.arena = arena_new(ARENA_USUAL)};
    out->failures = run.failures = arena_array(out->arena, CASE_FAILURES_MAX, sizeof(*run.failures));
    out->outcome = CASE_BROKEN;
    run.policy = case_policy_new(file, run.test, options->settings, report);
    if (run.policy && fits(&run)) {
        out->outcome = CASE_PASSED;
        if (run.policy->policy->is_job)
            case_run_polls(&run);
        else
            case_play(&run);
        if (report_count_of(report, FINDING_ERROR) > errors)
            out->outcome = CASE_BROKEN;
        else if (out->outcome == CASE_PASSED && out->failure_total > 0)
            out->outcome = CASE_FAILED;
    }
    case_policy_free(run.policy);
}

void case_result_done(struct case_result *result)
{
    arena_free(result->arena);
    result->arena = NULL;
}
