/*
 * fuzz_case: any bytes as a test of policies. Reading ends within its bounds with findings that have a place; what can be read and has its policy
 * inside is run up to its first decision, and shown.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/report.h"
#include "base/text.h"
#include "sim/case.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TESTS_MAX = 4, SHOWN_MAX_BYTES = 16 * 1024 * 1024 };

static void look(const struct case_file *file, const struct report *report)
{
    if (file->broken != (report_count_of(report, FINDING_ERROR) > 0))
        abort();
    for (size_t i = 0; i < report_count(report); i++)
        if (report_at(report, i)->place.line < 1 || !report_at(report, i)->text[0])
            abort();
    if (report_count(report) > MANIFEST_FINDINGS_MAX ||
        (!file->broken && (file->test_count == 0 || !file->policy_name)))
        abort();
}

static bool reads_files(const struct case_test *test)
{
    for (size_t i = 0; i < test->input_count; i++)
        if (test->inputs[i].path)
            return true;
    return false;
}

static void run(const struct case_file *file, struct report *report, enum case_form form)
{
    static const bool stop = true;
    struct text out;
    struct case_writer writer = {.form = form, .out = &out};

    text_init(&out, SHOWN_MAX_BYTES);
    case_write_open(&writer);
    case_write_file(&writer, file->name);
    for (size_t i = 0; i < file->test_count && i < TESTS_MAX; i++) {
        struct case_result result;

        if (reads_files(&file->tests[i]))
            continue;
        case_run(file, i, &(struct case_options){.engine = ENGINE_WEIR, .stop = &stop}, report, &result);
        case_write_line(&writer, &(struct case_line){.file = file->name,
                                                     .name = file->tests[i].name,
                                                     .place = file->tests[i].place,
                                                     .result = &result});
        case_result_done(&result);
    }
    case_write_file_end(&writer, report);
    case_write_close(&writer);
    text_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct report *report = report_new();
    struct case_file *file = case_file_read("fuzz.test.yaml", (const char *)data, size, report);

    log_set_level(LOG_LEVEL_ERROR);
    look(file, report);
    if (!file->broken && file->policy_inline && case_file_load(file, report))
        run(file, report, (enum case_form)(size % 4));
    case_file_free(file);
    report_free(report);
    return 0;
}
