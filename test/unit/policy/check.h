/* For tests of policy/: lints a text and lists the findings as "severity code field", one a line. */
#ifndef WEIR_TEST_POLICY_CHECK_H
#define WEIR_TEST_POLICY_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/report.h"
#include "base/text.h"
#include "manifest/manifest.h"
#include "policy/policy.h"

enum check_how { AS_DIRECT, AS_HPA, AS_KEDA };

struct check_row {
    const char *name, *yaml, *findings, *says;
    enum check_how how;
};

static inline struct policy_settings check_settings(enum check_how how)
{
    struct policy_settings settings;

    policy_settings_default(&settings);
    settings.mode = how == AS_HPA ? DECIDE_HPA : DECIDE_DIRECT;
    settings.keda_parity = how == AS_KEDA;
    return settings;
}

static inline bool check_says(const struct report *report, const char *words)
{
    for (size_t i = 0; i < report_count(report); i++) {
        const struct finding *f = report_at(report, i);

        if (strstr(f->text, words) || (f->remedy && strstr(f->remedy, words)))
            return true;
    }
    return false;
}

static inline void check_row(const struct check_row *row)
{
    struct policy_settings settings = check_settings(row->how);
    struct policy_context context = {.settings = &settings};
    struct report *report = report_new();
    struct manifest *manifest;
    struct text text;

    manifest_read("t.yaml", row->yaml, strlen(row->yaml), NULL, report, &manifest);
    policy_lint((const struct manifest *const *)&manifest, 1, &context, report);
    report_sort(report);
    text_init(&text, 100 * 1000);
    for (size_t i = 0; i < report_count(report); i++) {
        const struct finding *f = report_at(report, i);

        text_printf(&text, "%s %s %s\n", finding_severity_name(f->severity), f->code, f->field);
    }
    if (strcmp(text.bytes, row->findings) != 0)
        fail_msg("%s: expected\n%sgot\n%s%s", row->name, row->findings, text.bytes,
                 report_count(report) ? report_at(report, 0)->text : "");
    if (row->says && !check_says(report, row->says))
        fail_msg("%s: nothing says \"%s\": %s", row->name, row->says,
                 report_count(report) ? report_at(report, 0)->text : "");
    text_done(&text);
    manifest_free(manifest);
    report_free(report);
}

#define HEAD(name)                                                                                                     \
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: " name                                         \
    "}\nspec:\n  scaleTargetRef: {name: " name "}\n"
#define PROM        "serverAddress: \"http://prom:9090\", query: sum(x)"
#define NAMED(name) "{type: metrics-api, name: " name ", metadata: {url: \"http://api/v\", valueLocation: v}}"
#define UNNAMED     "{type: metrics-api, metadata: {url: \"http://api/v\", valueLocation: v}}"

#endif
