/*
 * What the files of the page share: the grid of values, sentences kept small, and what a run has gathered.
 *
 * report_grid.c    values over time, bounded         report_data.c    all of it as JSON
 * report_words.c   sentences and their numbers       report_page.c    the file: policy, style, scripts, data
 * report.c         what is fed
 */
#ifndef WEIR_SIM_REPORT_INTERNAL_H
#define WEIR_SIM_REPORT_INTERNAL_H

#include "sim/report.h"

struct arena;
struct map;

/* ------------------------------------------------------------------ report_grid.c
   row       0        1        2          a row is width_ms long; when one beyond the last is needed, neighbours are joined
   first_ms  0        60000    -          and rows are twice as long
   column a  [1 .. 4] [2 .. 2] nothing    lowest and highest, and which came first */
struct cell {
    double low, high;
    bool known;      /* there is a value */
    bool gap;        /* the row has a moment without one */
    bool high_first; /* the highest came before the lowest */
};
struct column {
    struct cell *cells; /* cells from `used` on have nothing */
    size_t used, capacity;
};
struct grid {
    int64_t width_ms;
    int64_t *first_ms; /* when the first value of the row came; -1: the row has none */
    size_t used, capacity;
    struct column *columns;
    size_t column_count, column_capacity;
};
void grid_init(struct grid *grid);
void grid_done(struct grid *grid);
size_t grid_add_column(struct grid *grid);
void grid_put(struct grid *grid, size_t column, int64_t at_ms, double value); /* not finite: a gap */
/* Joins neighbours until there are no more rows than that. */
void grid_narrow(struct grid *grid, size_t rows_max);

enum { SENTENCE_MAX_BYTES = 64 * 1024 }; /* names have up to 4 KB each, and a summary some of them */

/* ------------------------------------------------------------------ report_words.c
   "formula at 2.5 asks for 3" is kept as the skeleton "formula at \1 asks for \1", once, and [its index,2.5,3]. */
struct words {
    struct map *indices; /* skeleton -> its place in `skeletons` */
    const char **skeletons;
    size_t count;
    struct arena *arena;
};
void words_init(struct words *words);
void words_done(struct words *words);
void words_add(struct words *words, const char *sentence, struct text *out);

/* ------------------------------------------------------------------ JSON, small enough to be written by hand */
void data_string(struct text *out, const char *string); /* NULL: null */

/* ------------------------------------------------------------------ report.c */
struct record { /* decisions in a row with the same outcome, or folded neighbours of those */
    int64_t at_ms, until_ms;
    int64_t decisions; /* how many */
    int64_t others;    /* of them, how many outcomes are not shown */
    int64_t moves;     /* scale events among them */
    char *details;     /* JSON of the first decision */
};
struct moved {
    int64_t at_ms;
    int32_t before, after;
};
struct part { /* a sub-expression of the formula */
    uint32_t begin, end;
    uint8_t depth;
    size_t column;
    int64_t seen; /* the newest tick that evaluated it */
};
struct measure {
    enum sim_report_chart chart;
    const char *name, *unit;
    double goal; /* NaN: none */
    size_t column;
};
struct fact {
    const char *name, *words;
    double number;
    enum sim_report_better better;
};
struct verdict {
    enum finding_severity severity;
    const char *code, *sentence, *remedy;
};
struct parting {
    int64_t from_ms, until_ms;
    const char *sentence;
};
struct trigger_about {
    const char *name, *type;
    double target;
    enum target_type target_type;
};

struct sim_report_run {
    struct arena *arena; /* texts and what there is once */
    struct sim_report_run_options about;
    /* from the first tick */
    bool begun;
    const char *object, *formula;
    double formula_target;
    enum target_type formula_type;
    int32_t min, max;
    struct trigger_about *triggers;
    size_t trigger_count;
    /* values */
    struct grid grid;
    size_t wanted, ready, pending, value; /* columns; triggers' begin at first_trigger */
    size_t first_trigger;
    struct part parts[DECISION_TRACE_MAX];
    size_t part_count;
    struct measure measures[SIM_REPORT_MEASURES_MAX];
    size_t measure_count;
    /* what happened */
    int64_t ticks, end_ms;
    int32_t last_wanted;
    struct moved *moves;
    size_t move_count, move_capacity;
    int64_t moves_left_out;
    struct record *records;
    size_t record_count;
    struct decision *last; /* the first of the newest record */
    struct words words;
    struct fact facts[SIM_REPORT_LINES_MAX];
    size_t fact_count;
    struct verdict verdicts[SIM_REPORT_LINES_MAX];
    size_t verdict_count;
};

struct sim_report {
    struct arena *arena;
    const char *title, *subtitle;
    struct sim_report_run *runs[SIM_REPORT_RUNS_MAX];
    size_t run_count;
    struct parting partings[SIM_REPORT_LINES_MAX];
    size_t parting_count;
};

/* Folds records until there are no more than that. */
void run_fold(struct sim_report_run *run, size_t records_max);

/* report_data.c: what a record keeps of its decision. */
void data_details(struct sim_report_run *run, const struct simulation_tick *tick, struct text *out);

/* The embedded files, made by tools/embed; Chart.js is in sim/report.h. */
extern const struct asset asset_shell, asset_style, asset_script;

#endif
