/*
 * report_page: the file. The shell (web/report.html) has {{places}}; style, Chart.js, our script and the data go there. Its content security
 * policy names the digests of exactly these scripts and this style, so nothing else runs on the page, whatever the data say; nothing is
 * loaded from anywhere. The data stand in a script element that is no script, with every character that could end it written as \uXXXX.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "sim/report_internal.h"

bool sim_report_available(struct error *err)
{
    if (asset_chart.length > 0)
        return true;
    return error_set(
        err, ERROR_MISSING,
        "this weir was built without Chart.js, which --report needs; install Debian's libjs-chart.js (or name the file "
        "with meson's option chart_js) and build again");
}

/* ------------------------------------------------------------------ escaping */

/* JSON has these characters in strings only, so each may stand as its number. U+2028 and U+2029 end a line where they are read as code. */
static void add_harmless(struct text *out, const struct text *json)
{
    const char *at = json->bytes, *end = json->bytes + json->length;

    while (at < end) {
        size_t plain = strcspn(at, "<>&\xe2");

        text_append(out, at, plain);
        at += plain;
        if (at >= end)
            break;
        if ((unsigned char)*at != 0xe2) {
            text_printf(out, "\\u%04x", (unsigned)*at++);
        } else if (end - at >= 3 && (memcmp(at, "\xe2\x80\xa8", 3) == 0 || memcmp(at, "\xe2\x80\xa9", 3) == 0)) {
            text_add(out, (unsigned char)at[2] == 0xa8 ? "\\u2028" : "\\u2029");
            at += 3;
        } else {
            text_add_char(out, *at++);
        }
    }
}

/* ------------------------------------------------------------------ places */

static void add_asset(struct text *out, const struct asset *asset)
{
    text_append(out, (const char *)asset->bytes, asset->length);
}

static void add_policy(struct text *out)
{
    text_printf(out,
                "default-src 'none'; script-src 'sha256-%s' 'sha256-%s'; style-src 'sha256-%s'; img-src data:; "
                "base-uri 'none'; "
                "form-action 'none'",
                asset_chart.digest, asset_script.digest, asset_style.digest);
}

static void add_data(struct text *out, struct sim_report *report)
{
    struct text json;

    text_init(&json, SIM_REPORT_PAGE_MAX_BYTES);
    sim_report_data(report, &json);
    add_harmless(out, &json);
    out->overflowed |= json.overflowed;
    text_done(&json);
}

static bool is_place(const char *name, size_t length, const char *expected)
{
    return strlen(expected) == length && memcmp(name, expected, length) == 0;
}

static void add_place(struct text *out, struct sim_report *report, const char *name, size_t length)
{
    if (is_place(name, length, "policy"))
        add_policy(out);
    else if (is_place(name, length, "title"))
        text_add_html(out, report->title);
    else if (is_place(name, length, "version"))
        text_add_html(out, WEIR_VERSION);
    else if (is_place(name, length, "style"))
        add_asset(out, &asset_style);
    else if (is_place(name, length, "chart"))
        add_asset(out, &asset_chart);
    else if (is_place(name, length, "script"))
        add_asset(out, &asset_script);
    else if (is_place(name, length, "data"))
        add_data(out, report);
}

void sim_report_write(struct sim_report *report, struct text *out)
{
    const char *at = (const char *)asset_shell.bytes; /* ends with a 0 byte */

    for (const char *open = strstr(at, "{{"); open; open = strstr(at, "{{")) {
        const char *close = strstr(open, "}}");

        text_append(out, at, (size_t)(open - at));
        add_place(out, report, open + 2, (size_t)(close - open - 2));
        at = close + 2;
    }
    text_add(out, at);
}

/* ------------------------------------------------------------------ the file */

static bool write_page(const char *path, const struct text *page, struct error *err)
{
    if (file_replace(path, page->bytes, page->length))
        return true;
    error_set(err, ERROR_MISSING, "the page cannot be written: %s; is the folder there, and may you write to it?",
              strerror(errno));
    return error_add_place(err, "%s", path);
}

bool sim_report_write_file(struct sim_report *report, const char *path, struct error *err)
{
    struct text page;
    bool ok = sim_report_available(err);

    if (!ok)
        return false;
    text_init(&page, SIM_REPORT_PAGE_MAX_BYTES);
    sim_report_write(report, &page);
    if (page.overflowed)
        ok = error_set(err, ERROR_LIMIT,
                       "the page has more than %d bytes (SIM_REPORT_PAGE_MAX_BYTES); compare fewer runs",
                       SIM_REPORT_PAGE_MAX_BYTES);
    else
        ok = write_page(path, &page, err);
    text_done(&page);
    return ok;
}
