/*
 * metrics_text: lines of Prometheus' text format, version 0.0.4. Values are mostly whole numbers, and a page has hundreds of thousands of
 * them: those are written digit by digit.
 */
#include "serve/metrics_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void metrics_head(struct text *out, const char *name, const char *type, const char *help)
{
    text_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_label(struct text *out, const char *name, const char *value, bool first)
{
    size_t plain = strcspn(value, "\n\"\\");

    text_add(out, first ? "" : ",");
    text_add(out, name);
    text_append(out, "=\"", 2);
    text_append(out, value, plain);
    for (value += plain; *value; value++) {
        if (*value == '\n')
            text_append(out, "\\n", 2);
        else if (*value == '"' || *value == '\\')
            text_append(out, (char[]){'\\', *value}, 2);
        else
            text_add_char(out, *value);
    }
    text_add_char(out, '"');
}

static void add_whole(struct text *out, int64_t value)
{
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    text_append(out, digits + at, sizeof(digits) - at);
}

void metrics_value(struct text *out, double value)
{
    text_add_char(out, ' ');
    if (fabs(value) < 1e15 && value == trunc(value))
        add_whole(out, (int64_t)value);
    else
        text_add_number(out, value);
    text_add_char(out, '\n');
}

const char *metrics_status_code(int status, char buffer[16])
{
    if (status == STATUS_NO_ANSWER)
        return "error";
    if (status == STATUS_OTHER)
        return "other";
    snprintf(buffer, 16, "%d", status);
    return buffer;
}

bool metrics_chosen(const char *only, const char *name)
{
    if (!*only)
        return true;
    while (*only) {
        size_t length = strcspn(only, ",");

        if (length > 0 && strncmp(name, only, length) == 0)
            return true;
        only += length + (only[length] == ',');
    }
    return false;
}

void metrics_single(struct text *out, const char *name, const char *type, const char *help, double value)
{
    metrics_head(out, name, type, help);
    text_add(out, name);
    metrics_value(out, value);
}

/* "name_bucket{labels,le=" */
static void begin_bucket(struct text *out, const char *name, const char *labels)
{
    text_printf(out, "%s_bucket{%s%sle=\"", name, labels, *labels ? "," : "");
}

void metrics_histogram(struct text *out, const char *name, const char *labels, const struct histogram *histogram,
                       int64_t least_ms, int64_t most_ms)
{
    const char *open = *labels ? "{" : "", *close = *labels ? "}" : "";
    uint64_t count = 0;

    for (int i = 0; i < HISTOGRAM_BOUNDS; i++) {
        count += histogram->counts[i];
        if (histogram_bounds_ms[i] < least_ms || histogram_bounds_ms[i] > most_ms)
            continue;
        begin_bucket(out, name, labels);
        text_add_number(out, (double)histogram_bounds_ms[i] / 1000);
        text_printf(out, "\"} %" PRIu64 "\n", count);
    }
    count += histogram->counts[HISTOGRAM_BOUNDS];
    begin_bucket(out, name, labels);
    text_printf(out, "+Inf\"} %" PRIu64 "\n%s_sum%s%s%s ", count, name, open, labels, close);
    text_add_number(out, (double)histogram->sum_ms / 1000);
    text_printf(out, "\n%s_count%s%s%s %" PRIu64 "\n", name, open, labels, close, count);
}
