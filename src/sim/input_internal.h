/* input, inside: columns being filled by the readers of the several forms. */
#ifndef WEIR_SIM_INPUT_INTERNAL_H
#define WEIR_SIM_INPUT_INTERNAL_H

#include "sim/input.h"

struct lines;

/* What times count from. Values written by the notation or input_add count from wherever the others begin. */
enum input_clock { CLOCK_START, CLOCK_RELATIVE, CLOCK_WALL };

struct input_column {
    char *name;
    struct input_value *values;
    size_t count, size;
    bool from_start; /* stays where it is when the start moves */
};
struct input {
    struct input_column *columns;
    size_t column_count, column_size;
    size_t value_count;
    enum input_clock clock;
    int64_t origin_ms; /* of the clock: where the start is */
    int64_t end_ms;
};

/* A new column; the caller has looked that there is none of that name. false: SIM_INPUT_COLUMNS_MAX. */
bool input_new_column(struct input *input, const char *name, uint16_t *column, struct error *err);
/* false: SIM_INPUT_VALUES_MAX. */
bool input_push(struct input *input, uint16_t column, const struct input_value *value, struct error *err);
/* Readers fill a part with times of the clock (at_ms since whatever it counts from) and hand it over whole: its columns move into the input,
   laid by their times beside what is there. The part is empty then. false: a column of that name is there, or clocks differ; nothing moved. */
bool input_take(struct input *input, struct input *part, struct error *err);

/* A word that says something: a number, `_`, null, nothing, `failed`, `stale`. of: the column, for what is stale. */
bool input_parse_word(const char *word, size_t length, const struct input_column *of, struct input_value *out,
                      struct error *err);
/* What is stale goes on saying the last value, whatever came between. false: there was none. */
bool input_make_stale(const struct input_column *of, struct input_value *out, struct error *err);

/* ---- rows: what CSV and JSON lines share ---- */
enum time_form { TIME_UNKNOWN, TIME_RELATIVE, TIME_SECONDS, TIME_MILLISECONDS, TIME_RFC3339 };
struct table_row {
    int64_t at_ms;
    size_t line;
    bool says; /* some cell is a value, which would hold over a gap */
};
struct table {
    struct input *part;
    const char *name; /* of the file */
    bool t_s;         /* the time column's name says seconds */
    enum time_form form;
    struct table_row *rows;
    size_t count, size;
};
bool table_is_time_name(const char *name, size_t length);
bool table_begin_row(struct table *table, size_t line, const char *time, size_t length, struct error *err);
bool table_add(struct table *table, uint16_t column, struct input_value *value, struct error *err);
/* After the last row: gaps are looked for, the end is known. */
bool table_finish(struct table *table, struct error *err);
void table_done(struct table *table);

/* ---- input_json.c: fills a part, line being the first that is not empty ---- */
bool input_read_json(struct input *part, const char *name, struct lines *in, const char *line, size_t length,
                     const char *column, struct error *err);

#endif
