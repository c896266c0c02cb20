/*
 * report: everything that is wrong, or worth saying, with what a person wrote. `lint`, the admission webhook and the status
 * condition show it. A finding owns its texts through the report's arena.
 *
 *     report_add(report, &(struct finding){.severity = FINDING_ERROR, .code = "missing-required", .place = place},
 *                "metadata.query", "say which query to ask, e.g. sum(rate(requests[1m]))", "query is required");
 */
#ifndef WEIR_BASE_REPORT_H
#define WEIR_BASE_REPORT_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct text;

enum finding_severity { FINDING_ADVICE, FINDING_WARNING, FINDING_ERROR };

/* Where in a file; line and column are 1-based, 0 = not known. doc counts the non-empty documents of the file from 0. */
struct place {
    const char *file;
    int line, column, doc;
};

struct finding {
    enum finding_severity severity;
    const char *code; /* "unknown-field": a page of docs/lint.md, static text */
    struct place place;
    const char *object;   /* "ScaledObject shop/checkout", or NULL */
    const char *field;    /* "spec.triggers[1].metadata.threshold", or "" */
    const char *text;     /* one sentence */
    const char *remedy;   /* what to do, or NULL */
    const char *silenced; /* NULL; or why it does not count: a comment in the file says so. Not written, not counted */
};

struct report;

struct report *report_new(void);
void report_free(struct report *report);
/* Copies all texts. `about` gives severity, code and place; format makes the sentence. */
void report_add(struct report *report, const struct finding *about, const char *field, const char *remedy,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
size_t report_count(const struct report *report);
size_t report_count_of(const struct report *report, enum finding_severity severity);
const struct finding *report_at(const struct report *report, size_t index);
void report_silence(struct report *report, size_t index, const char *why); /* copies why */
size_t report_count_silenced(const struct report *report);
/* By file, document, line, column; stable. */
void report_sort(struct report *report);
/* As compilers do it:
       a.yaml:12:7: error: query is required [missing-required]
           in ScaledObject shop/checkout: spec.triggers[1].metadata.query
           help: say which query to ask, e.g. sum(rate(requests[1m]))
   The place, "in" and "help" are left out where not known. JSON: an array of objects with severity, code, file, document,
   line, column, object, field, text, remedy; what is not known is left out. */
void report_write_text(const struct report *report, struct text *out);
void report_write_json(const struct report *report, struct text *out);
const char *finding_severity_name(enum finding_severity severity);

#endif
