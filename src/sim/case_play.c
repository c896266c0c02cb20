/*
 * case_play: an object against its inputs, on the simulation.
 *
 *     inputs -> struct input -> simulation -> decisions, one after the other:  case_watch (invariants)  and  expectations by time
 *
 * An expectation at an instant sees the last decision at or before it, so it is judged when the first one after it comes, or at the end.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "journal/recording.h"
#include "sim/case_internal.h"
#include "sim/input.h"

enum { RECORD_MAX_BYTES = 256 * 1024, VALUE_DIGITS = 9 };

struct play {
    struct case_run *run;
    struct case_watch *watch;
    struct input *input;
    enum case_share shares[TRIGGERS_MAX];
    struct case_model model;
    int64_t duration_ms;                /* -1: to the end of the workload's demand */
    const struct case_expect **by_time; /* those with an instant */
    size_t timed, next;
    bool *seen; /* one per expectation; of those without an instant */
    /* what holds now */
    bool decided;
    int32_t replicas;
    struct decision decision;
    struct text record; /* of it, once somebody asked */
};

/* ------------------------------------------------------------------ inputs */

static bool fail_input(struct play *play, const struct case_input *in, const struct error *err)
{
    case_complain(play->run->report, &in->place, in->field, NULL, "%s%s%s", err->where, err->where[0] ? ": " : "",
                  err->text);
    return false;
}

static void add_series(struct play *play, const char *column, const struct tree *series)
{
    for (const struct tree *point = series->first; point; point = point->next) {
        struct input_value value;
        int64_t at_ms = 0;

        case_value_read(tree_index(point, 1), &value);
        case_time_parse(point->first->text, &at_ms);
        value.at_ms = at_ms;
        input_add(play->input, column, &value);
    }
}

static const char *path_of(struct play *play, const char *path)
{
    const char *file = play->run->file->name, *slash = strrchr(file, '/');

    if (*path == '/' || !slash)
        return path;
    return arena_printf(play->run->result->arena, "%.*s%s", (int)(slash + 1 - file), file, path);
}

/* Of a recording, what this object was told. */
static bool read_file(struct play *play, const char *path, const char *column, struct error *err)
{
    if (!recording_is(path))
        return input_read_file(play->input, path, column, err);
    return input_read_recording(
        play->input, path, arena_printf(play->run->result->arena, "ScaledObject/%s", play->run->policy->object.bytes),
        err);
}

/* Each of its columns has to be somebody's. */
static bool add_file(struct play *play, const struct case_input *in, const char *column)
{
    size_t before = input_columns(play->input);
    struct error err;
    bool fine = true;

    if (!read_file(play, path_of(play, in->path), column, &err))
        return fail_input(play, in, &err);
    if (column && input_column(play->input, column) == INPUT_NONE) {
        case_complain(play->run->report, &in->place, in->field,
                      "leave out trigger, and call the column as the trigger is", "%s has no column '%s'", in->path,
                      column);
        return false;
    }
    for (size_t i = before; i < input_columns(play->input); i++)
        fine = case_policy_trigger(play->run->policy, input_name(play->input, (uint16_t)i), &in->place, in->field,
                                   play->run->report) < TRIGGERS_MAX &&
               fine;
    return fine;
}

static bool add_input(struct play *play, const struct case_input *in)
{
    struct case_run *run = play->run;
    struct error err;
    size_t trigger;

    if (!in->trigger)
        return add_file(play, in, NULL);
    trigger = case_policy_trigger(run->policy, in->trigger, &in->place, in->field, run->report);
    if (trigger == TRIGGERS_MAX)
        return false;
    const char *column = run->policy->names[trigger];
    if (input_column(play->input, column) != INPUT_NONE) {
        case_complain(run->report, &in->place, in->field, "leave one of them", "the trigger %s has an input already",
                      column);
        return false;
    }
    play->shares[trigger] = in->share;
    if (in->path)
        return add_file(play, in, column);
    if (in->series)
        add_series(play, column, in->series);
    else if (!input_read_notation(play->input, column, in->values, in->step_ms, &err))
        return fail_input(play, in, &err);
    return true;
}

/* A source that gives the mean over the pods: their number is part of what it says. */
static void on_adjust(void *arg, uint16_t trigger, int32_t replicas, int32_t ready, struct input_value *value)
{
    struct play *play = arg;

    if (play->shares[trigger] != CASE_WHOLE)
        value->value /= play->shares[trigger] == CASE_PER_READY ? ready : replicas;
}

/* ------------------------------------------------------------------ the record in words */

static void write_inputs(const struct decision *d, const struct decision_names *names, struct text *out)
{
    for (size_t i = 0; i < d->input_count && i < names->trigger_count; i++) {
        const struct decision_input *input = &d->inputs[i];

        text_printf(out, "\n%s%s", names->triggers[i], input->state == SAMPLE_OK ? " = " : ": ");
        if (input->state == SAMPLE_OK)
            text_add_number(out, input->value);
        else
            text_add(out, sample_state_name(input->state));
        if (input->failures > 0)
            text_printf(out, ", %d failures in a row", input->failures);
    }
}

/* The value of one part of the formula, further in the deeper it stands. */
static void write_part(const struct decision_trace *part, const char *formula, struct text *out)
{
    bool number = part->type == FORMULA_NUMBER || part->type == FORMULA_INT;

    if (!formula || part->depth == 0 || part->end > strlen(formula) || (!number && part->type != FORMULA_BOOL))
        return;
    text_printf(out, "\n%*s%.*s = ", 2 * part->depth, "", (int)(part->end - part->begin), formula + part->begin);
    if (number)
        text_add_number(out, part->number);
    else
        text_add(out, part->number != 0 ? "true" : "false");
}

static void write_formula(const struct decision *d, const struct decision_names *names, struct text *out)
{
    if (!d->has_formula)
        return;
    text_printf(out, "\nformula %s = ", names->formula);
    if (d->formula.type == FORMULA_FAILED)
        text_add(out, formula_fault_name(d->formula_fault));
    else if (d->formula.type == FORMULA_NIL)
        text_add(out, "nil");
    else
        text_add_number(out, d->formula.number);
    for (size_t i = 0; i < d->trace_count; i++)
        write_part(&d->trace[i], names->formula, out);
}

static const char *record_of(void *arg)
{
    struct play *play = arg;
    const struct policy *policy = play->run->policy->policy;
    const struct decision *d = &play->decision;
    struct decision_names names = {.triggers = policy->names,
                                   .trigger_count = policy->trigger_count,
                                   .formula = policy->formula ? formula_source(policy->formula) : NULL};

    if (!play->decided || play->record.length > 0)
        return play->record.bytes;
    decision_write_summary(d, &names, &play->record);
    write_inputs(d, &names, &play->record);
    write_formula(d, &names, &play->record);
    for (size_t i = 0; i < d->step_count; i++) {
        text_printf(&play->record, "\n%2zu. ", i + 1);
        decision_write_step(d, i, &names, &play->record);
    }
    return play->record.bytes;
}

/* ------------------------------------------------------------------ expectations */

static void write_range(const char *what, const struct case_range *range, char *out, size_t size)
{
    if (range->min == range->max)
        snprintf(out, size, "%s: %.*g", what, VALUE_DIGITS, range->min);
    else if (isinf(range->max))
        snprintf(out, size, "%s: at least %.*g", what, VALUE_DIGITS, range->min);
    else if (isinf(range->min))
        snprintf(out, size, "%s: at most %.*g", what, VALUE_DIGITS, range->max);
    else
        snprintf(out, size, "%s: %.*g to %.*g", what, VALUE_DIGITS, range->min, VALUE_DIGITS, range->max);
}

static void fail_expect(struct play *play, const struct case_expect *e, const char *expected, const char *got)
{
    case_fail(play->run, &e->place, e->field, e->at_ms, record_of(play), expected, got);
}

/* Nobody writes more than some digits of a formula's value. */
static bool is_within(double value, const struct case_range *range)
{
    double slack = 1e-6 * fmax(fabs(range->min), fabs(range->max));

    if (isinf(slack))
        slack = 0;
    return value >= range->min - slack && value <= range->max + slack;
}

static void judge_value(struct play *play, const struct case_expect *e)
{
    const struct decision *d = &play->decision;
    char expected[100], got[64] = "no value: the policy has no formula";
    bool number =
        play->decided && d->has_formula && d->formula.type != FORMULA_FAILED && d->formula.type != FORMULA_NIL;

    if (!e->value.given || (number && is_within(d->formula.number, &e->value)))
        return;
    if (number)
        snprintf(got, sizeof(got), "%.*g", VALUE_DIGITS, d->formula.number);
    else if (play->decided && d->has_formula)
        snprintf(got, sizeof(got), "no value (%s)",
                 d->formula.type == FORMULA_NIL ? "nil" : formula_fault_name(d->formula_fault));
    write_range("value", &e->value, expected, sizeof(expected));
    fail_expect(play, e, expected, got);
}

static void judge_replicas(struct play *play, const struct case_expect *e)
{
    char expected[100], got[32];

    if (!e->replicas.given || (play->replicas >= e->replicas.min && play->replicas <= e->replicas.max))
        return;
    write_range("replicas", &e->replicas, expected, sizeof(expected));
    snprintf(got, sizeof(got), "%d", play->replicas);
    fail_expect(play, e, expected, got);
}

static bool says(struct play *play, const char *words)
{
    const char *record = record_of(play);

    return strcasestr(record, words) ||
           (play->decided && strcasestr(decision_reason_name(play->decision.reason), words));
}

static void judge_words(struct play *play, const struct case_expect *e)
{
    const char *reason = play->decided ? decision_reason_name(play->decision.reason) : "no decision yet";
    struct text expected;

    text_init(&expected, RECORD_MAX_BYTES);
    if (e->reason && strcmp(e->reason, reason) != 0) {
        text_printf(&expected, "reason: %s", e->reason);
        fail_expect(play, e, expected.bytes, reason);
    }
    for (size_t i = 0; i < e->say_count; i++) {
        if (says(play, e->says[i]))
            continue;
        text_clear(&expected);
        text_printf(&expected, "says: \"%s\"", e->says[i]);
        fail_expect(play, e, expected.bytes, "no such words");
    }
    text_done(&expected);
}

static void judge(struct play *play, const struct case_expect *e)
{
    judge_replicas(play, e);
    judge_value(play, e);
    if (e->active != CASE_EITHER && (!play->decided || play->decision.active != (e->active == CASE_YES)))
        fail_expect(play, e, e->active == CASE_YES ? "active: true" : "active: false",
                    !play->decided          ? "no decision yet"
                    : play->decision.active ? "true"
                                            : "false");
    judge_words(play, e);
}

/* Those before this instant are of what held until now. */
static void settle(struct play *play, int64_t now_ms)
{
    while (play->next < play->timed && play->by_time[play->next]->at_ms < now_ms)
        judge(play, play->by_time[play->next++]);
}

/* Of those that may be fulfilled by any decision. */
static void look_for_words(struct play *play)
{
    for (size_t i = 0; i < play->run->test->expect_count; i++) {
        const struct case_expect *e = &play->run->test->expects[i];
        bool all = !e->reason || strcmp(e->reason, decision_reason_name(play->decision.reason)) == 0;

        if (e->at_ms >= 0 || play->seen[i])
            continue;
        for (size_t w = 0; all && w < e->say_count; w++)
            all = says(play, e->says[w]);
        play->seen[i] = all;
    }
}

static void fail_unseen(struct play *play)
{
    for (size_t i = 0; i < play->run->test->expect_count; i++) {
        const struct case_expect *e = &play->run->test->expects[i];
        struct text expected;

        if (e->at_ms >= 0 || play->seen[i])
            continue;
        text_init(&expected, RECORD_MAX_BYTES);
        if (e->reason)
            text_printf(&expected, "reason: %s ", e->reason);
        for (size_t w = 0; w < e->say_count; w++)
            text_printf(&expected, "says: \"%s\" ", e->says[w]);
        text_add(&expected, "at some decision");
        case_fail(play->run, &e->place, e->field, -1, record_of(play), expected.bytes, "none like that");
        text_done(&expected);
    }
}

/* ------------------------------------------------------------------ the run */

static void on_tick(void *arg, const struct simulation_tick *tick)
{
    struct play *play = arg;
    struct formula_state state = {.ready_replicas = tick->ready,
                                  .pending_replicas = tick->pending,
                                  .min_replicas = tick->policy->rules.min,
                                  .max_replicas = tick->policy->rules.max,
                                  .target = tick->policy->rules.formula_target};

    settle(play, tick->at_ms);
    play->decision = *tick->decision;
    play->decided = true;
    play->replicas = tick->decision->write ? tick->decision->after : tick->replicas;
    state.replicas = play->replicas;
    text_clear(&play->record);
    play->run->result->decisions++;
    case_watch_see(play->watch,
                   &(struct case_moment){.at_ms = tick->at_ms,
                                         .before = tick->replicas,
                                         .after = play->replicas,
                                         .state = &state,
                                         .samples = tick->samples},
                   record_of, play);
    look_for_words(play);
}

static int by_instant(const void *left, const void *right)
{
    const struct case_expect *a = *(const struct case_expect *const *)left,
                             *b = *(const struct case_expect *const *)right;

    return a->at_ms != b->at_ms ? (a->at_ms < b->at_ms ? -1 : 1) : a < b ? -1 : a > b;
}

static void sort_expects(struct play *play)
{
    const struct case_test *test = play->run->test;

    play->by_time = mem_array(test->expect_count + 1, sizeof(struct case_expect *));
    play->seen = mem_array(test->expect_count + 1, sizeof(bool));
    for (size_t i = 0; i < test->expect_count; i++)
        if (test->expects[i].at_ms >= 0)
            play->by_time[play->timed++] = &test->expects[i];
    qsort(play->by_time, play->timed, sizeof(struct case_expect *), by_instant);
}

/* As long as is said; else to the end of the inputs, and past what is expected or windows speak of. */
static int64_t duration_of(const struct play *play)
{
    const struct case_test *test = play->run->test;
    int64_t ms = test->duration_ms >= 0 ? test->duration_ms : input_end_ms(play->input);

    if (test->workload.given && test->duration_ms < 0)
        return -1;
    for (size_t i = 0; i < test->expect_count; i++)
        if (test->expects[i].at_ms > ms)
            ms = test->expects[i].at_ms;
    for (size_t i = 0; i < test->invariant_count && test->duration_ms < 0; i++)
        if (test->invariants[i].to_ms != INT64_MAX && test->invariants[i].to_ms > ms)
            ms = test->invariants[i].to_ms;
    return ms < CASE_DURATION_MAX_S * SECOND_MS ? ms : CASE_DURATION_MAX_S * SECOND_MS;
}

static int64_t start_of(const struct play *play)
{
    if (play->run->test->start.at_ms >= 0)
        return play->run->test->start.at_ms;
    if (input_start_ms(play->input) > 0)
        return input_start_ms(play->input);
    return play->model.start_at_ms > 0 ? play->model.start_at_ms : CASE_START_AT_S * SECOND_MS;
}

/* Its trace, and a profile that is a file, are beside the test file. */
static bool make_model(struct play *play)
{
    struct case_run *run = play->run;
    struct case_workload workload = run->test->workload;
    struct error err;

    if (!workload.given)
        return true;
    if (workload.profile && !serving_profile(workload.profile))
        workload.profile = path_of(play, workload.profile);
    workload.trace = path_of(play, workload.trace);
    if (!run->options->make_model)
        error_set(&err, ERROR_INVALID, "there are no models of workloads here");
    else if (run->options->make_model(&workload, play->duration_ms, &play->model, &err))
        return true;
    case_complain(run->report, &workload.place, workload.field, NULL, "%s%s%s", err.where, err.where[0] ? ": " : "",
                  err.text);
    return false;
}

static struct simulation_options options_of(struct play *play)
{
    const struct case_run *run = play->run;
    const struct case_start *start = &run->test->start;

    return (struct simulation_options){
        .manifest_name = run->file->policy_name,
        .manifest = run->file->manifest,
        .manifest_length = run->file->manifest_length,
        .object = run->policy->object.bytes,
        .settings = run->options->settings,
        .engine = run->options->engine,
        .input = play->input,
        .model = play->model.model,
        .maps = play->model.maps,
        .map_count = play->model.map_count,
        .start_at_ms = start_of(play),
        .duration_ms = play->model.model ? play->duration_ms : play->duration_ms + 1, /* the end is not part of a run */
        .initial = start->replicas,
        .ready_after_ms = start->ready_after_ms,
        .seed = run->test->workload.seed > 0 ? (uint64_t)run->test->workload.seed : 0,
        .on_tick = on_tick,
        .adjust = on_adjust,
        .arg = play,
        .stop = run->options->stop,
    };
}

/* What is expected after the end of a workload's demand cannot be told. */
static void refuse_late(struct play *play, int64_t end_ms)
{
    for (; play->next < play->timed; play->next++) {
        const struct case_expect *e = play->by_time[play->next];
        char words[64];

        duration_format_words(end_ms, words, sizeof(words));
        case_complain(play->run->report, &e->place, e->field, "write duration: beside workload, or expect it earlier",
                      "this is after the end of the run, which lasts %s", words);
    }
}

static void judge_end(struct play *play, const struct simulation_result *result)
{
    settle(play, play->model.model ? result->duration_ms + 1 : INT64_MAX);
    refuse_late(play, result->duration_ms);
    fail_unseen(play);
    case_watch_end(play->watch, result->duration_ms, result);
}

static void simulate(struct play *play)
{
    struct case_run *run = play->run;
    struct simulation_options options = options_of(play);
    struct simulation_result result;
    struct error err;
    struct simulation *simulation = simulation_new(&options, NULL, &err);

    if (!simulation) {
        case_complain(run->report, &run->test->place, "", NULL, "%s%s%s", err.where, err.where[0] ? ": " : "",
                      err.text);
        return;
    }
    play->replicas = options.initial >= 0 ? options.initial : run->policy->policy->rules.min;
    simulation_run(simulation);
    simulation_result(simulation, play->model.model ? &play->model.goals : &SCORE_GOALS_DEFAULT, &result);
    run->result->events = result.moves.events;
    run->result->duration_ms = result.duration_ms;
    if (result.stopped)
        run->result->outcome = CASE_STOPPED;
    else
        judge_end(play, &result);
    simulation_free(simulation);
}

void case_play(struct case_run *run)
{
    struct play *play = mem_alloc(sizeof(*play));
    bool fine = true;

    play->run = run;
    play->input = input_new();
    text_init(&play->record, RECORD_MAX_BYTES);
    for (size_t i = 0; i < run->test->input_count; i++)
        fine = add_input(play, &run->test->inputs[i]) && fine;
    play->watch = case_watch_new(run);
    if (fine && play->watch) {
        sort_expects(play);
        play->duration_ms = duration_of(play);
        if (make_model(play))
            simulate(play);
        if (play->model.owner)
            run->options->free_model(&play->model);
    }
    case_watch_free(play->watch);
    input_free(play->input);
    text_done(&play->record);
    free(play->by_time);
    free(play->seen);
    free(play);
}
