/*
 * sarif: findings in the form that code review tools read (SARIF 2.1.0): one run, a rule per code, a result per finding. Those that a
 * comment in the file silences are results with a suppression.
 */
#ifndef WEIR_POLICY_SARIF_H
#define WEIR_POLICY_SARIF_H

struct report;
struct text;

void report_write_sarif(const struct report *report, struct text *out);

#endif
