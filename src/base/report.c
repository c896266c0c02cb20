/*
 * report: see report.h. Findings stand in one growing array; their texts in the report's arena.
 */
#include "base/report.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"

struct row {
    struct finding finding;
    size_t order; /* when it was added: makes the sort stable */
};

struct report {
    struct arena *arena;
    struct row *rows;
    size_t count, capacity;
    size_t count_of[FINDING_ERROR + 1], silenced;
};

struct report *report_new(void)
{
    struct report *report = mem_alloc(sizeof *report);

    report->arena = arena_new(ARENA_SMALL);
    return report;
}

void report_free(struct report *report)
{
    if (!report)
        return;
    arena_free(report->arena);
    free(report->rows);
    free(report);
}

void report_add(struct report *report, const struct finding *about, const char *field, const char *remedy,
                const char *format, ...)
{
    if (report->count == report->capacity) {
        report->capacity = report->capacity ? 2 * report->capacity : 8;
        report->rows = mem_grow(report->rows, report->capacity, sizeof *report->rows);
    }
    struct row *row = &report->rows[report->count];
    row->order = report->count++;
    row->finding = *about;
    assert(about->severity <= FINDING_ERROR && about->code);
    if (about->silenced)
        report->silenced++;
    else
        report->count_of[about->severity]++;
    row->finding.silenced = arena_copy(report->arena, about->silenced);
    row->finding.place.file = arena_copy(report->arena, about->place.file);
    row->finding.object = arena_copy(report->arena, about->object);
    row->finding.field = arena_copy(report->arena, field ? field : "");
    row->finding.remedy = arena_copy(report->arena, remedy);
    va_list args;
    va_start(args, format);
    row->finding.text = arena_vprintf(report->arena, format, args);
    va_end(args);
}

size_t report_count(const struct report *report)
{
    return report->count;
}

size_t report_count_of(const struct report *report, enum finding_severity severity)
{
    return report->count_of[severity];
}

const struct finding *report_at(const struct report *report, size_t index)
{
    return index < report->count ? &report->rows[index].finding : NULL;
}

void report_silence(struct report *report, size_t index, const char *why)
{
    struct finding *f = &report->rows[index].finding;

    assert(index < report->count && why && !f->silenced);
    f->silenced = arena_copy(report->arena, why);
    report->count_of[f->severity]--;
    report->silenced++;
}

size_t report_count_silenced(const struct report *report)
{
    return report->silenced;
}

static int compare_rows(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    const struct place *p = &a->finding.place, *q = &b->finding.place;
    int files = strcmp(p->file ? p->file : "", q->file ? q->file : "");

    if (files)
        return files;
    if (p->doc != q->doc)
        return p->doc < q->doc ? -1 : 1;
    if (p->line != q->line)
        return p->line < q->line ? -1 : 1;
    if (p->column != q->column)
        return p->column < q->column ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

void report_sort(struct report *report)
{
    if (report->count > 1)
        qsort(report->rows, report->count, sizeof *report->rows, compare_rows);
}

const char *finding_severity_name(enum finding_severity severity)
{
    static const char *const names[] = {"advice", "warning", "error"};

    assert(severity <= FINDING_ERROR);
    return names[severity];
}

static void write_place(const struct place *place, struct text *out)
{
    if (!place->file)
        return;
    text_add(out, place->file);
    if (place->line > 0)
        text_printf(out, ":%d", place->line);
    if (place->line > 0 && place->column > 0)
        text_printf(out, ":%d", place->column);
    text_add(out, ": ");
}

static void write_finding(const struct finding *f, struct text *out)
{
    write_place(&f->place, out);
    text_printf(out, "%s: %s [%s]\n", finding_severity_name(f->severity), f->text, f->code);
    if (f->object || f->field[0])
        text_printf(out, "    in %s%s%s\n", f->object ? f->object : "", f->object && f->field[0] ? ": " : "", f->field);
    if (f->remedy)
        text_printf(out, "    help: %s\n", f->remedy);
}

void report_write_text(const struct report *report, struct text *out)
{
    for (size_t i = 0; i < report->count; i++) {
        if (!report->rows[i].finding.silenced)
            write_finding(&report->rows[i].finding, out);
    }
}

static void write_member(struct text *out, const char *name, const char *value)
{
    if (!value || !value[0])
        return;
    text_printf(out, ",\"%s\":", name);
    text_add_json_string(out, value, strlen(value));
}

static void write_finding_json(const struct finding *f, struct text *out)
{
    text_printf(out, "{\"severity\":\"%s\"", finding_severity_name(f->severity));
    write_member(out, "code", f->code);
    write_member(out, "file", f->place.file);
    if (f->place.file)
        text_printf(out, ",\"document\":%d", f->place.doc);
    if (f->place.line > 0)
        text_printf(out, ",\"line\":%d", f->place.line);
    if (f->place.column > 0)
        text_printf(out, ",\"column\":%d", f->place.column);
    write_member(out, "object", f->object);
    write_member(out, "field", f->field);
    write_member(out, "text", f->text);
    write_member(out, "remedy", f->remedy);
    text_add_char(out, '}');
}

void report_write_json(const struct report *report, struct text *out)
{
    bool first = true;

    text_add_char(out, '[');
    for (size_t i = 0; i < report->count; i++) {
        if (report->rows[i].finding.silenced)
            continue;
        text_add(out, first ? "" : ",\n ");
        write_finding_json(&report->rows[i].finding, out);
        first = false;
    }
    text_add(out, "]\n");
}
