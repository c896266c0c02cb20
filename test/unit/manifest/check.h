/* For tests of manifest/: reads a text and lists its findings as "severity code field", one a line. */
#ifndef WEIR_TEST_MANIFEST_CHECK_H
#define WEIR_TEST_MANIFEST_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/report.h"
#include "base/text.h"
#include "base/tree.h"
#include "manifest/manifest.h"

struct checked {
    struct report *report;
    struct manifest *manifest;
    struct text findings;
};

static inline void check_read(struct checked *c, const char *yaml, bool local)
{
    c->report = report_new();
    manifest_read("t.yaml", yaml, strlen(yaml), &(struct manifest_options){.local = local}, c->report, &c->manifest);
    report_sort(c->report);
    text_init(&c->findings, 100 * 1000);
    for (size_t i = 0; i < report_count(c->report); i++) {
        const struct finding *f = report_at(c->report, i);

        text_printf(&c->findings, "%s %s %s\n", finding_severity_name(f->severity), f->code, f->field);
    }
}

static inline void check_done(struct checked *c)
{
    text_done(&c->findings);
    report_free(c->report);
    manifest_free(c->manifest);
}

/* One row: a text, and all that must be found in it ("" nothing). says: must stand in some finding's text or remedy. */
struct check_row {
    const char *name, *yaml, *findings, *says;
};

static inline bool check_says(const struct report *report, const char *words)
{
    for (size_t i = 0; i < report_count(report); i++) {
        const struct finding *f = report_at(report, i);

        if (strstr(f->text, words) || (f->remedy && strstr(f->remedy, words)))
            return true;
    }
    return false;
}

static inline void check_rows(const struct check_row *rows, size_t count, bool local)
{
    for (size_t i = 0; i < count; i++) {
        struct checked c;

        check_read(&c, rows[i].yaml, local);
        if (strcmp(c.findings.bytes, rows[i].findings) != 0)
            fail_msg("%s: expected\n%sgot\n%s", rows[i].name, rows[i].findings, c.findings.bytes);
        if (rows[i].says && !check_says(c.report, rows[i].says))
            fail_msg("%s: nothing says \"%s\": %s", rows[i].name, rows[i].says,
                     report_count(c.report) ? report_at(c.report, 0)->text : "");
        check_done(&c);
    }
}

#define HEAD     "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app, namespace: shop}\n"
#define CRON     "{type: cron, metadata: {timezone: UTC, start: 0 8 * * *, end: 0 18 * * *, desiredReplicas: \"2\"}}"
#define SPEC     HEAD "spec:\n  scaleTargetRef: {name: app}\n  triggers: [" CRON "]\n"
#define JOB      "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: job}\n"
#define TEMPLATE "  jobTargetRef: {template: {spec: {containers: [{name: c, image: i}]}}}\n"

#endif
