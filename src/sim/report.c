/*
 * report: what a page is fed. Values go to the grid of their run, a decision that says something new becomes a record, one that says the
 * same as the one before is counted there.
 *
 * When a run has SIM_REPORT_RECORDS_MAX records, neighbours that moved nothing are folded into one, and where that gains too little,
 * every second record into the one before it. So a long run loses first what was decided between its scale events.
 */
#include "sim/report.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "sim/report_internal.h"

enum { FIRST_MOVES = 64 };

/* ------------------------------------------------------------------ the page and its runs */

struct sim_report *sim_report_new(const char *title, const char *subtitle)
{
    struct sim_report *report = mem_alloc(sizeof(*report));

    report->arena = arena_new(ARENA_SMALL);
    report->title = arena_copy(report->arena, title);
    report->subtitle = arena_copy(report->arena, subtitle);
    return report;
}

static void run_free(struct sim_report_run *run)
{
    for (size_t i = 0; i < run->record_count; i++)
        free(run->records[i].details);
    free(run->records);
    free(run->moves);
    free(run->last);
    grid_done(&run->grid);
    words_done(&run->words);
    arena_free(run->arena);
    free(run);
}

void sim_report_free(struct sim_report *report)
{
    if (!report)
        return;
    for (size_t i = 0; i < report->run_count; i++)
        run_free(report->runs[i]);
    arena_free(report->arena);
    free(report);
}

struct sim_report_run *sim_report_run(struct sim_report *report, const struct sim_report_run_options *options)
{
    if (report->run_count == SIM_REPORT_RUNS_MAX)
        return NULL;

    struct sim_report_run *run = mem_alloc(sizeof(*run));
    run->arena = arena_new(ARENA_USUAL);
    run->about = *options;
    run->about.name = arena_copy(run->arena, options->name ? options->name : "");
    run->about.currency = arena_copy(run->arena, options->currency);
    run->records = mem_array(SIM_REPORT_RECORDS_MAX, sizeof(*run->records));
    run->last = mem_alloc(sizeof(*run->last));
    grid_init(&run->grid);
    words_init(&run->words);
    run->wanted = grid_add_column(&run->grid);
    run->ready = grid_add_column(&run->grid);
    run->pending = grid_add_column(&run->grid);
    run->value = grid_add_column(&run->grid);
    report->runs[report->run_count++] = run;
    return run;
}

/* ------------------------------------------------------------------ what the first tick tells once */

static void run_begin_triggers(struct sim_report_run *run, const struct simulation_tick *tick)
{
    const struct policy *policy = tick->policy;

    run->trigger_count = policy->trigger_count;
    run->triggers = arena_array(run->arena, policy->trigger_count, sizeof(*run->triggers));
    run->first_trigger = run->grid.column_count;
    for (size_t i = 0; i < policy->trigger_count; i++) {
        struct trigger_about *about = &run->triggers[i];

        about->name = arena_copy(run->arena, policy->triggers[i].name);
        about->type = arena_copy(run->arena, policy->triggers[i].type);
        if (i < policy->rules.trigger_count) {
            about->target = policy->rules.triggers[i].target;
            about->target_type = policy->rules.triggers[i].target_type;
        }
        grid_add_column(&run->grid);
    }
}

static void run_begin(struct sim_report_run *run, const struct simulation_tick *tick)
{
    const struct policy *policy = tick->policy;

    run->begun = true;
    run->object = arena_printf(run->arena, "%s %s/%s", policy->kind, policy->ns, policy->name);
    run->formula = arena_copy(run->arena, tick->names ? tick->names->formula : NULL);
    run->formula_target = policy->rules.formula_target;
    run->formula_type = policy->rules.formula_type;
    run->min = policy->rules.min;
    run->max = policy->rules.max;
    run->last_wanted = tick->replicas;
    run_begin_triggers(run, tick);
}

/* ------------------------------------------------------------------ scale events */

static void add_move(struct sim_report_run *run, int64_t at_ms, int32_t before, int32_t after)
{
    run->last_wanted = after;
    if (run->move_count == SIM_REPORT_EVENTS_MAX) {
        run->moves_left_out++;
        return;
    }
    if (run->move_count == run->move_capacity) {
        run->move_capacity = run->move_capacity ? 2 * run->move_capacity : FIRST_MOVES;
        run->moves = mem_grow(run->moves, run->move_capacity, sizeof(*run->moves));
    }
    run->moves[run->move_count++] = (struct moved){at_ms, before, after};
}

/* Moves by the decision, or, seen afterwards, by somebody else. A write that is still under way is decided again at each tick. */
static bool note_moves(struct sim_report_run *run, const struct simulation_tick *tick)
{
    const struct decision *d = tick->decision;

    if (d->write && d->after == run->last_wanted)
        return false;
    if (tick->replicas != run->last_wanted && tick->replicas >= 0)
        add_move(run, tick->at_ms, run->last_wanted, tick->replicas);
    if (d->write)
        add_move(run, tick->at_ms, d->before, d->after);
    return d->write;
}

/* ------------------------------------------------------------------ records */

static void record_fold(struct record *into, struct record *next)
{
    into->until_ms = next->until_ms;
    into->decisions += next->decisions;
    into->others += 1 + next->others;
    into->moves += next->moves;
    free(next->details);
}

static void fold_idle_neighbours(struct sim_report_run *run)
{
    size_t kept = 0;

    for (size_t i = 0; i < run->record_count; i++) {
        if (kept > 0 && run->records[i].moves == 0 && run->records[kept - 1].moves == 0)
            record_fold(&run->records[kept - 1], &run->records[i]);
        else
            run->records[kept++] = run->records[i];
    }
    run->record_count = kept;
}

static void fold_pairs(struct sim_report_run *run)
{
    size_t kept = 0;

    for (size_t i = 0; i < run->record_count; i += 2) {
        run->records[kept] = run->records[i];
        if (i + 1 < run->record_count)
            record_fold(&run->records[kept], &run->records[i + 1]);
        kept++;
    }
    run->record_count = kept;
}

void run_fold(struct sim_report_run *run, size_t records_max)
{
    if (run->record_count > records_max)
        fold_idle_neighbours(run);
    while (run->record_count > records_max)
        fold_pairs(run);
}

static void add_record(struct sim_report_run *run, const struct simulation_tick *tick, bool moves)
{
    struct text details;

    if (run->record_count == SIM_REPORT_RECORDS_MAX)
        run_fold(run, SIM_REPORT_RECORDS_MAX - SIM_REPORT_RECORDS_MAX / 4); /* not again at the next one */
    text_init(&details, SIM_REPORT_PAGE_MAX_BYTES);
    data_details(run, tick, &details);
    run->records[run->record_count++] = (struct record){
        .at_ms = tick->at_ms, .until_ms = tick->at_ms, .decisions = 1, .moves = moves, .details = text_take(&details)};
    *run->last = *tick->decision;
}

static void note_decision(struct sim_report_run *run, const struct simulation_tick *tick, bool moves)
{
    if (moves || run->record_count == 0 || !decision_same_outcome(run->last, tick->decision)) {
        add_record(run, tick, moves);
        return;
    }
    struct record *newest = &run->records[run->record_count - 1];
    newest->until_ms = tick->at_ms;
    newest->decisions++;
}

/* ------------------------------------------------------------------ values */

static double sample_value(const struct simulation_tick *tick, size_t trigger)
{
    const struct sample *sample = tick->samples ? &tick->samples[trigger] : NULL;

    if (sample && sample->state != SAMPLE_NONE)
        return sample->state == SAMPLE_OK ? sample->value : NAN;
    if (trigger < tick->decision->input_count && tick->decision->inputs[trigger].state == SAMPLE_OK)
        return tick->decision->inputs[trigger].value; /* cpu and memory: from pods */
    return NAN;
}

static double number_of(uint8_t type, double number)
{
    return type == FORMULA_NUMBER || type == FORMULA_INT || type == FORMULA_BOOL ? number : NAN;
}

/* The sub-expression of a trace; a new one while there is room, else NULL. */
static struct part *find_part(struct sim_report_run *run, const struct decision_trace *trace)
{
    for (size_t i = 0; i < run->part_count; i++)
        if (run->parts[i].begin == trace->begin && run->parts[i].end == trace->end)
            return &run->parts[i];
    if (run->part_count == DECISION_TRACE_MAX)
        return NULL;
    run->parts[run->part_count] = (struct part){
        .begin = trace->begin, .end = trace->end, .depth = trace->depth, .column = grid_add_column(&run->grid)};
    return &run->parts[run->part_count++];
}

/* Those in a branch that was not taken have no value now. Depth 0 is the formula itself. */
static void note_parts(struct sim_report_run *run, const struct simulation_tick *tick)
{
    const struct decision *d = tick->decision;

    for (uint16_t i = 0; i < d->trace_count; i++) {
        struct part *part = d->trace[i].depth > 0 ? find_part(run, &d->trace[i]) : NULL;

        if (!part)
            continue;
        part->seen = run->ticks;
        grid_put(&run->grid, part->column, tick->at_ms, number_of(d->trace[i].type, d->trace[i].number));
    }
    for (size_t i = 0; i < run->part_count; i++)
        if (run->parts[i].seen != run->ticks)
            grid_put(&run->grid, run->parts[i].column, tick->at_ms, NAN);
}

static void note_values(struct sim_report_run *run, const struct simulation_tick *tick)
{
    const struct decision *d = tick->decision;
    struct grid *grid = &run->grid;

    grid_put(grid, run->wanted, tick->at_ms, d->after >= 0 ? (double)d->after : NAN);
    grid_put(grid, run->ready, tick->at_ms, tick->ready);
    grid_put(grid, run->pending, tick->at_ms, tick->pending);
    for (size_t i = 0; i < run->trigger_count; i++)
        grid_put(grid, run->first_trigger + i, tick->at_ms, i < tick->trigger_count ? sample_value(tick, i) : NAN);
    if (d->has_formula)
        grid_put(grid, run->value, tick->at_ms, number_of((uint8_t)d->formula.type, d->formula.number));
    note_parts(run, tick);
}

void sim_report_tick(void *arg, const struct simulation_tick *tick)
{
    struct sim_report_run *run = arg;

    if (!run->begun)
        run_begin(run, tick);
    run->ticks++;
    run->end_ms = tick->at_ms > run->end_ms ? tick->at_ms : run->end_ms;
    note_values(run, tick);
    note_decision(run, tick, note_moves(run, tick));
}

/* ------------------------------------------------------------------ measures */

uint16_t sim_report_measure(struct sim_report_run *run, enum sim_report_chart chart, const char *name, const char *unit)
{
    if (run->measure_count == SIM_REPORT_MEASURES_MAX)
        return UINT16_MAX;
    run->measures[run->measure_count] = (struct measure){.chart = chart,
                                                         .name = arena_copy(run->arena, name),
                                                         .unit = arena_copy(run->arena, unit ? unit : ""),
                                                         .goal = NAN,
                                                         .column = grid_add_column(&run->grid)};
    return (uint16_t)run->measure_count++;
}

void sim_report_value(struct sim_report_run *run, uint16_t measure, int64_t at_ms, double value)
{
    if (measure >= run->measure_count)
        return;
    run->end_ms = at_ms > run->end_ms ? at_ms : run->end_ms;
    grid_put(&run->grid, run->measures[measure].column, at_ms, value);
}

void sim_report_goal(struct sim_report_run *run, uint16_t measure, double goal)
{
    if (measure < run->measure_count)
        run->measures[measure].goal = goal;
}

/* ------------------------------------------------------------------ what stands on top */

void sim_report_fact(struct sim_report_run *run, const char *name, const char *words, double number,
                     enum sim_report_better better)
{
    if (run->fact_count < SIM_REPORT_LINES_MAX)
        run->facts[run->fact_count++] =
            (struct fact){arena_copy(run->arena, name), arena_copy(run->arena, words), number, better};
}

void sim_report_finding(struct sim_report_run *run, enum finding_severity severity, const char *code,
                        const char *sentence, const char *remedy)
{
    if (run->verdict_count < SIM_REPORT_LINES_MAX)
        run->verdicts[run->verdict_count++] = (struct verdict){
            severity, arena_copy(run->arena, code), arena_copy(run->arena, sentence), arena_copy(run->arena, remedy)};
}

void sim_report_parting(struct sim_report *report, int64_t from_ms, int64_t until_ms, const char *sentence)
{
    if (report->parting_count < SIM_REPORT_LINES_MAX)
        report->partings[report->parting_count++] =
            (struct parting){from_ms, until_ms, arena_copy(report->arena, sentence)};
}
