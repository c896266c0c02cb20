/*
 * fuzz_lint: any bytes as a file for `weir lint`, its comments included; and as a PromQL query. It ends, whatever it finds has a code
 * that is in the table, and a SARIF of it can be written.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/report.h"
#include "base/text.h"
#include "manifest/manifest.h"
#include "policy/allow.h"
#include "policy/codes.h"
#include "policy/policy_internal.h"
#include "policy/sarif.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_query(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(ARENA_SMALL);
    struct query_shape shape;

    query_read(arena_copy_bytes(arena, data, size), &shape);
    if (!(shape.low <= shape.high) || shape.window_ms < 0)
        abort();
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy_settings settings;
    struct policy_context context = {.settings = &settings};
    struct report *report = report_new();
    struct allows *allows = allows_new();
    struct manifest *manifest;
    struct text text;

    read_query(data, size);
    policy_settings_default(&settings);
    settings.keda_parity = size > 0 && data[0] == '#';
    manifest_read("fuzz.yaml", (const char *)data, size, NULL, report, &manifest);
    allows_read(allows, "fuzz.yaml", (const char *)data, size);
    policy_lint((const struct manifest *const *)&manifest, 1, &context, report);
    allows_apply(allows, report);
    report_sort(report);
    for (size_t i = 0; i < report_count(report); i++) {
        if (!lint_code_find(report_at(report, i)->code))
            abort();
    }
    text_init(&text, 64 * 1024 * 1024);
    report_write_sarif(report, &text);
    text_done(&text);
    allows_free(allows);
    manifest_free(manifest);
    report_free(report);
    return 0;
}
