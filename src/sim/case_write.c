/*
 * case_write: results of tests as text for people, JUnit's XML, TAP (version 14) and JSON. In each of them a failure says where it was
 * expected, what came instead, and shows the decision in force.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"
#include "base/utf8.h"
#include "sim/case.h"

enum { OUT_MAX_BYTES = 256 * 1024 * 1024 };

static const char *const outcome_names[] = {"passed", "failed", "broken", "stopped"};

/* ------------------------------------------------------------------ parts */

/* "5m0s" as people write it: "5m". */
static void write_time(int64_t ms, struct text *out)
{
    char words[64];
    size_t length;

    duration_format_ns(ms * 1000000, words, sizeof(words));
    length = strlen(words);
    if (string_ends(words, "m0s"))
        words[length -= 2] = '\0';
    if (string_ends(words, "h0m"))
        words[length -= 2] = '\0';
    text_add(out, words);
}

static void write_place(const struct place *place, struct text *out)
{
    text_add(out, place->file);
    if (place->line > 0)
        text_printf(out, ":%d:%d", place->line, place->column);
}

/* "at 5m: expected replicas: 3, got 2" */
static void write_what(const struct case_failure *f, struct text *out)
{
    if (f->at_ms >= 0) {
        text_add(out, "at ");
        write_time(f->at_ms, out);
        text_add(out, ": ");
    }
    text_printf(out, "expected %s, got %s", f->expected, f->got);
}

static void write_indented(const char *lines, const char *indent, struct text *out)
{
    for (const char *at = lines + (*lines == '\n'); *at;) {
        size_t length = strcspn(at, "\n");

        text_add(out, indent);
        text_append(out, at, length);
        text_add_char(out, '\n');
        at += length + (at[length] == '\n');
    }
}

static void write_more(const struct case_result *result, const char *indent, struct text *out)
{
    if (result->failure_total > result->failure_count)
        text_printf(out, "%sand %zu more (CASE_FAILURES_MAX)\n", indent, result->failure_total - result->failure_count);
}

/* The decision in force, unless it stands there already. */
static void write_record(const struct case_failure *f, const struct case_failure *before, struct text *out)
{
    size_t first = strcspn(f->record, "\n");

    if (!f->record[0] || (before && before->at_ms == f->at_ms && strcmp(before->record, f->record) == 0))
        return;
    text_printf(out, "\n  decision: %.*s\n", (int)first, f->record);
    write_indented(f->record + first, "    ", out);
}

/* All failures of a test as lines. */
static void write_failures(const struct case_result *result, const char *indent, struct text *out)
{
    struct text what;

    text_init(&what, OUT_MAX_BYTES);
    for (size_t i = 0; i < result->failure_count; i++) {
        const struct case_failure *f = &result->failures[i];

        text_clear(&what);
        write_place(&f->place, &what);
        text_add(&what, ": ");
        write_what(f, &what);
        write_record(f, i > 0 ? f - 1 : NULL, &what);
        write_indented(what.bytes, indent, out);
    }
    write_more(result, indent, out);
    text_done(&what);
}

/* ------------------------------------------------------------------ text */

static void text_line(struct case_writer *w, const struct case_line *line)
{
    static const char *const words[] = {"ok    ", "FAILED", "BROKEN", "stopped"};

    if (w->quiet && line->result->outcome == CASE_PASSED)
        return;
    text_printf(w->out, "%s %s: %s\n", words[line->result->outcome], line->file, line->name);
    if (line->result->outcome == CASE_FAILED)
        write_failures(line->result, "  ", w->out);
}

static void text_close(struct case_writer *w)
{
    text_printf(w->out, "%zu passed, %zu failed", w->counts[CASE_PASSED], w->counts[CASE_FAILED]);
    if (w->counts[CASE_BROKEN] > 0)
        text_printf(w->out, ", %zu broken", w->counts[CASE_BROKEN]);
    if (w->stopped)
        text_add(w->out, ", interrupted before the rest");
    text_add_char(w->out, '\n');
}

/* ------------------------------------------------------------------ JUnit */

/* What XML cannot hold, control characters and broken UTF-8, becomes U+FFFD. */
static void write_xml(const char *string, struct text *out)
{
    size_t length = strlen(string);

    while (length > 0) {
        uint32_t rune = 0;
        size_t size = utf8_decode(string, length, &rune);
        bool fits = size > 0 && (rune >= 0x20 || rune == '\n' || rune == '\t') && rune != 0xFFFE && rune != 0xFFFF;

        if (!fits)
            text_add(out, UTF8_REPLACEMENT);
        else if (rune == '&')
            text_add(out, "&amp;");
        else if (rune == '<')
            text_add(out, "&lt;");
        else if (rune == '>')
            text_add(out, "&gt;");
        else if (rune == '"')
            text_add(out, "&quot;");
        else if (rune == '\n')
            text_add(out, "&#10;");
        else
            text_append(out, string, size);
        size = size > 0 ? size : 1;
        string += size;
        length -= size;
    }
}

static void junit_element(const char *element, const char *message, const char *body, struct text *out)
{
    text_printf(out, "      <%s message=\"", element);
    write_xml(message, out);
    text_add(out, "\">");
    write_xml(body, out);
    text_printf(out, "</%s>\n", element);
}

static void junit_open_case(struct case_writer *w, const char *name, int line, double took_s)
{
    text_add(w->suite, "    <testcase classname=\"");
    write_xml(w->file, w->suite);
    text_add(w->suite, "\" name=\"");
    write_xml(name, w->suite);
    text_add(w->suite, "\" file=\"");
    write_xml(w->file, w->suite);
    text_printf(w->suite, "\" line=\"%d\" time=\"%.3f\">\n", line, took_s);
}

static void junit_line(struct case_writer *w, const struct case_line *line)
{
    struct text body, message;

    junit_open_case(w, line->name, line->place.line, line->took_s);
    text_init(&body, OUT_MAX_BYTES);
    text_init(&message, OUT_MAX_BYTES);
    if (line->result->failure_count > 0)
        write_what(&line->result->failures[0], &message);
    write_failures(line->result, "", &body);
    if (line->result->outcome == CASE_FAILED)
        junit_element("failure", message.bytes, body.bytes, w->suite);
    else if (line->result->outcome == CASE_BROKEN)
        junit_element("error", "it could not be run", "see system-err of the suite", w->suite);
    else if (line->result->outcome == CASE_STOPPED)
        text_add(w->suite, "      <skipped message=\"interrupted\"/>\n");
    text_done(&message);
    text_done(&body);
    text_add(w->suite, "    </testcase>\n");
}

static void junit_file_end(struct case_writer *w, const char *findings)
{
    size_t *n = w->in_file;

    text_add(w->out, "  <testsuite name=\"");
    write_xml(w->file, w->out);
    text_printf(w->out, "\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\">\n",
                n[CASE_PASSED] + n[CASE_FAILED] + n[CASE_BROKEN] + n[CASE_STOPPED], n[CASE_FAILED], n[CASE_BROKEN],
                n[CASE_STOPPED], w->took_s);
    text_append(w->out, w->suite->bytes, w->suite->length);
    if (*findings) {
        text_add(w->out, "    <system-err>");
        write_xml(findings, w->out);
        text_add(w->out, "</system-err>\n");
    }
    text_add(w->out, "  </testsuite>\n");
}

/* ------------------------------------------------------------------ TAP */

/* A description ends at a line's end, and an unescaped # would begin a directive. */
static void write_description(const char *string, struct text *out)
{
    for (; *string; string++) {
        if (*string == '#' || *string == '\\')
            text_add_char(out, '\\');
        text_add_char(out, (unsigned char)*string < ' ' ? ' ' : *string);
    }
}

static void tap_point(struct case_writer *w, bool ok, const char *name)
{
    text_printf(w->out, "%sok %zu - ", ok ? "" : "not ", ++w->number);
    write_description(w->file, w->out);
    text_add(w->out, ": ");
    write_description(name, w->out);
}

static void tap_block(struct case_writer *w, const char *message, const char *lines)
{
    text_add(w->out, "  ---\n  message: ");
    text_add_json_string(w->out, message, strlen(message)); /* a JSON string is a YAML one */
    text_add(w->out, "\n");
    if (*lines) {
        text_add(w->out, "  details: |\n");
        write_indented(lines, "    ", w->out);
    }
    text_add(w->out, "  ...\n");
}

static void tap_line(struct case_writer *w, const struct case_line *line)
{
    const struct case_result *result = line->result;
    struct text message, lines;

    tap_point(w, result->outcome == CASE_PASSED || result->outcome == CASE_STOPPED, line->name);
    text_add(w->out, result->outcome == CASE_STOPPED ? " # SKIP interrupted\n" : "\n");
    if (result->outcome != CASE_FAILED && result->outcome != CASE_BROKEN)
        return;
    text_init(&message, OUT_MAX_BYTES);
    text_init(&lines, OUT_MAX_BYTES);
    if (result->outcome == CASE_BROKEN)
        text_add(&message, "it could not be run");
    else
        write_what(&result->failures[0], &message);
    write_failures(result, "", &lines);
    tap_block(w, message.bytes, lines.bytes);
    text_done(&lines);
    text_done(&message);
}

/* ------------------------------------------------------------------ JSON */

static void json_member(const char *name, const char *value, struct text *out)
{
    text_printf(out, "\"%s\":", name);
    text_add_json_string(out, value, strlen(value));
}

static void json_failure(const struct case_failure *f, struct text *out)
{
    text_printf(out, "{\"line\":%d,\"column\":%d,", f->place.line, f->place.column);
    json_member("field", f->field, out);
    if (f->at_ms >= 0) {
        text_add(out, ",\"at_s\":");
        text_add_number(out, (double)f->at_ms / 1000);
    }
    text_add_char(out, ',');
    json_member("expected", f->expected, out);
    text_add_char(out, ',');
    json_member("got", f->got, out);
    text_add_char(out, ',');
    json_member("decision", f->record, out);
    text_add_char(out, '}');
}

static void json_line(struct case_writer *w, const struct case_line *line)
{
    const struct case_result *r = line->result;

    text_add(w->out, w->number++ > 0 ? ",\n  {" : "\n  {");
    json_member("file", line->file, w->out);
    text_printf(w->out, ",\"line\":%d,", line->place.line);
    json_member("name", line->name, w->out);
    text_add_char(w->out, ',');
    json_member("result", outcome_names[r->outcome], w->out);
    text_printf(w->out, ",\"decisions\":%lld,\"scale_events\":%lld,\"failures\":[", (long long)r->decisions,
                (long long)r->events);
    for (size_t i = 0; i < r->failure_count; i++) {
        text_add(w->out, i ? "," : "");
        json_failure(&r->failures[i], w->out);
    }
    text_add(w->out, "]}");
}

static void json_file_end(struct case_writer *w, const struct report *findings)
{
    text_add(w->out, w->number++ > 0 ? ",\n  {" : "\n  {");
    json_member("file", w->file, w->out);
    text_add(w->out, ",\"findings\":");
    report_write_json(findings, w->out);
    text_add_char(w->out, '}');
}

static void json_close(struct case_writer *w)
{
    text_add(w->out, "\n ]");
    for (int i = CASE_PASSED; i <= CASE_STOPPED; i++)
        text_printf(w->out, ",\n \"%s\":%zu", outcome_names[i], w->counts[i]);
    text_printf(w->out, ",\n \"interrupted\":%s}\n", w->stopped ? "true" : "false");
}

/* ------------------------------------------------------------------ all forms */

void case_write_open(struct case_writer *w)
{
    w->suite = mem_alloc(sizeof(*w->suite));
    text_init(w->suite, OUT_MAX_BYTES);
    if (w->form == CASE_JUNIT)
        text_add(w->out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"weir test\">\n");
    else if (w->form == CASE_TAP)
        text_add(w->out, "TAP version 14\n");
    else if (w->form == CASE_JSON)
        text_add(w->out, "{\"tests\":[");
}

void case_write_file(struct case_writer *w, const char *file)
{
    w->file = file;
    w->took_s = 0;
    memset(w->in_file, 0, sizeof(w->in_file));
    text_clear(w->suite);
}

void case_write_line(struct case_writer *w, const struct case_line *line)
{
    static void (*const forms[])(struct case_writer *, const struct case_line *) = {text_line, junit_line, tap_line,
                                                                                    json_line};

    w->counts[line->result->outcome]++;
    w->in_file[line->result->outcome]++;
    w->took_s += line->took_s;
    forms[w->form](w, line);
}

/* Nothing of it could be run. */
static void write_broken_file(struct case_writer *w, const char *findings)
{
    w->counts[CASE_BROKEN]++;
    w->in_file[CASE_BROKEN]++;
    if (w->form == CASE_TEXT) {
        text_printf(w->out, "BROKEN %s\n", w->file);
    } else if (w->form == CASE_JUNIT) {
        junit_open_case(w, "(the file)", 1, 0);
        junit_element("error", "the file cannot be used", findings, w->suite);
        text_add(w->suite, "    </testcase>\n");
    } else if (w->form == CASE_TAP) {
        tap_point(w, false, "the file cannot be used");
        text_add_char(w->out, '\n');
        tap_block(w, "it could not be run", "");
    }
}

void case_write_file_end(struct case_writer *w, const struct report *findings)
{
    bool errors = report_count_of(findings, FINDING_ERROR) > 0;
    struct text words;

    text_init(&words, OUT_MAX_BYTES);
    report_write_text(findings, &words);
    if (errors && w->in_file[CASE_BROKEN] == 0)
        write_broken_file(w, words.bytes);
    if (errors && w->form == CASE_TEXT)
        write_indented(words.bytes, "  ", w->out);
    else if (errors && w->form == CASE_TAP)
        write_indented(words.bytes, "# ", w->out);
    else if (errors && w->form == CASE_JSON)
        json_file_end(w, findings);
    if (w->form == CASE_JUNIT)
        junit_file_end(w, words.bytes);
    text_done(&words);
}

void case_write_close(struct case_writer *w)
{
    if (w->form == CASE_TEXT)
        text_close(w);
    else if (w->form == CASE_JUNIT)
        text_add(w->out, "</testsuites>\n");
    else if (w->form == CASE_TAP)
        text_printf(w->out, "1..%zu\n", w->number);
    else
        json_close(w);
    text_done(w->suite);
    free(w->suite);
}
