/*
 * codes: every code that lint knows, with what it means. One table for `weir lint --explain`, docs/lint.md, SARIF and the
 * comments that silence findings.
 */
#ifndef WEIR_POLICY_CODES_H
#define WEIR_POLICY_CODES_H

#include <stddef.h>

#include "base/report.h"

struct text;

enum { LINT_PAGE_COLUMNS = 150 }; /* of docs/lint.md */

struct lint_code {
    const char *code;               /* "formula-division-by-zero" */
    enum finding_severity severity; /* the gravest it can have */
    const char *group;              /* heading of the page */
    const char *title;              /* "a division by a value that can be 0" */
    const char *text;               /* a paragraph of Markdown */
};

const struct lint_code *lint_codes(size_t *count);
const struct lint_code *lint_code_find(const char *code); /* NULL: there is none */
const char *lint_code_nearest(const char *code);          /* NULL: nothing near */
/* Markdown: one code's section; the sections of all, under the headings of their groups. */
void lint_code_write(const struct lint_code *code, struct text *out);
void lint_codes_write(struct text *out);

#endif
