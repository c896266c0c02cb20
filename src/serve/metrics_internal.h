/*
 * What the files of /metrics share. metrics.c makes the page, metrics_object.c what is said of each object, metrics_process.c what is said
 * of the process, metrics_text.c the lines. Names and labels of keda_* are keda-operator/07 4; docs/metrics.md lists all.
 */
#ifndef WEIR_SERVE_METRICS_INTERNAL_H
#define WEIR_SERVE_METRICS_INTERNAL_H

#include "autoscaler/autoscaler.h"
#include "base/histogram.h"
#include "base/text.h"

/* ---- metrics_writers.c ---- */
void metrics_writers_write(struct text *out);

/* ---- metrics_text.c ---- */
void metrics_head(struct text *out, const char *name, const char *type, const char *help);
/* name="value", escaped; with a comma in front of it unless it is the first. */
void metrics_label(struct text *out, const char *name, const char *value, bool first);
void metrics_value(struct text *out, double value); /* ends the line */
void metrics_single(struct text *out, const char *name, const char *type, const char *help, double value);
/* Lines of one histogram with those labels ("" or "type=\"redis\""), bounds from `least_ms` to `most_ms` apart. */
void metrics_histogram(struct text *out, const char *name, const char *labels, const struct histogram *histogram,
                       int64_t least_ms, int64_t most_ms);

/* Of struct trigger_http_stats: a number, "error" or "other". */
const char *metrics_status_code(int status, char buffer[16]);
/* Whether a family was asked for: `only` is a list of beginnings of names, with commas; "": all. */
bool metrics_chosen(const char *only, const char *name);

/* ---- metrics_object.c: lines about objects, a text for each family, since a family must stand together ---- */
struct metrics_families;
struct metrics_families *metrics_families_new(const char *only);
void metrics_families_free(struct metrics_families *families); /* NULL is fine */
void metrics_families_add(struct metrics_families *families, const struct object_status *s);
size_t metrics_families_bytes(const struct metrics_families *families);
/* The next family goes to the page; false: there is none left. */
bool metrics_families_take(struct metrics_families *families, struct text *out);

/* ---- metrics_process.c ---- */
struct metrics_totals;
struct metrics_totals *metrics_totals_new(void);
void metrics_totals_free(struct metrics_totals *totals);
void metrics_totals_add(struct metrics_totals *totals, const struct object_status *s);
void metrics_write_process(struct autoscaler *a, struct metrics_totals *totals, double heap_bytes, struct text *out);
double metrics_heap_bytes(void);

#endif
