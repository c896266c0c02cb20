/*
 * allow: see allow.h. One entry per code of a comment; each remembers whether a finding answered to it.
 */
#include "policy/allow.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/comment.h"
#include "base/limits.h"
#include "base/report.h"
#include "base/text.h"
#include "policy/codes.h"

struct allow {
    const char *file, *code, *reason;
    int line, column, doc;     /* of the comment */
    int first_line, last_line; /* findings there */
    bool used;
};

struct allows {
    struct arena *arena;
    struct allow *list;
    size_t count, capacity;
};

struct allows *allows_new(void)
{
    struct allows *allows = mem_alloc(sizeof(*allows));

    allows->arena = arena_new(ARENA_SMALL);
    return allows;
}

void allows_free(struct allows *allows)
{
    if (!allows)
        return;
    arena_free(allows->arena);
    free(allows->list);
    free(allows);
}

/* ------------------------------------------------------------------ reading */

static size_t span_of(const struct comment *c, size_t from, const char *set)
{
    size_t n = from;

    while (n < c->length && strchr(set, c->text[n]))
        n++;
    return n;
}

#define CODE_BYTES "abcdefghijklmnopqrstuvwxyz0123456789-"
#define BLANKS     " \t"

static void add(struct allows *allows, const char *file, const struct comment *c, size_t begin, size_t end,
                const char *reason)
{
    if (allows->count == allows->capacity) {
        allows->capacity = allows->capacity ? 2 * allows->capacity : 8;
        allows->list = mem_grow(allows->list, allows->capacity, sizeof(*allows->list));
    }
    allows->list[allows->count++] =
        (struct allow){.file = file,
                       .code = arena_copy_bytes(allows->arena, c->text + begin, end - begin),
                       .reason = reason,
                       .line = c->line,
                       .column = c->column,
                       .doc = c->doc,
                       .first_line = c->head ? c->line : c->about,
                       .last_line = c->head ? c->document_end : c->about};
}

static void read_comment(struct allows *allows, const char *file, const struct comment *c)
{
    size_t at = span_of(c, 0, BLANKS), codes_end = span_of(c, at, CODE_BYTES ","),
           reason = span_of(c, codes_end, BLANKS);
    const char *text = arena_copy_bytes(allows->arena, c->text + reason, c->length - reason);

    do {
        size_t end = span_of(c, at, CODE_BYTES);

        add(allows, file, c, at, end, text);
        at = end + 1;
    } while (at < codes_end);
}

void allows_read(struct allows *allows, const char *file, const char *bytes, size_t length)
{
    struct comment *comments;
    size_t count;

    if (!memmem(bytes, length, "weir:allow", strlen("weir:allow")))
        return;
    comments = mem_array(LINT_ALLOWS_MAX, sizeof(*comments));
    count = comments_find(bytes, length, "weir:allow", comments, LINT_ALLOWS_MAX);
    file = arena_copy(allows->arena, file);
    for (size_t i = 0; i < count; i++)
        read_comment(allows, file, &comments[i]);
    free(comments);
}

/* ------------------------------------------------------------------ applying */

static bool answers(const struct allow *a, const struct finding *f)
{
    return f->place.line >= a->first_line && f->place.line <= a->last_line && a->first_line > 0 &&
           string_equal(a->code, f->code) && string_equal(a->file, f->place.file);
}

static void silence(struct allows *allows, struct report *report, size_t from)
{
    for (size_t i = from; i < report_count(report); i++) {
        const struct finding *f = report_at(report, i);

        for (size_t k = 0; k < allows->count; k++) {
            struct allow *a = &allows->list[k];

            if (!answers(a, f))
                continue;
            a->used = true;
            if (!f->silenced)
                report_silence(report, i, a->reason[0] ? a->reason : "no reason given");
        }
    }
}

static void complain(const struct allow *a, struct report *report, const char *code, const char *remedy,
                     const char *text)
{
    struct finding about = {.severity = FINDING_WARNING,
                            .code = code,
                            .place = {.file = a->file, .line = a->line, .column = a->column, .doc = a->doc}};

    report_add(report, &about, "", remedy, "%s", text);
}

static void judge(struct allows *allows, const struct allow *a, struct report *report)
{
    const char *near;

    if (!a->code[0]) {
        complain(a, report, "bad-allow", "write # weir:allow CODE reason", "weir:allow names no code to allow");
    } else if (!lint_code_find(a->code)) {
        near = lint_code_nearest(a->code);
        complain(a, report, "bad-allow",
                 near ? arena_printf(allows->arena, "write %s", near) : "see weir lint --explain all",
                 arena_printf(allows->arena, "there is no code %s to allow", a->code));
    } else if (!a->used) {
        complain(a, report, "unused-allow", "remove it, or put it on the line of the finding or before it",
                 arena_printf(allows->arena, "nothing here is found that %s could allow", a->code));
    } else if (!a->reason[0]) {
        complain(a, report, "bad-allow", "say why behind the code",
                 arena_printf(allows->arena, "%s is allowed without a reason", a->code));
    }
}

/* Findings about comments can be silenced themselves, but that is the end of it: an unused one of those is reported. */
void allows_apply(struct allows *allows, struct report *report)
{
    size_t before;

    silence(allows, report, 0);
    before = report_count(report);
    for (size_t i = 0; i < allows->count; i++) {
        if (!string_equal(allows->list[i].code, "unused-allow") && !string_equal(allows->list[i].code, "bad-allow"))
            judge(allows, &allows->list[i], report);
    }
    silence(allows, report, before);
    for (size_t i = 0; i < allows->count; i++) {
        if (string_equal(allows->list[i].code, "unused-allow") || string_equal(allows->list[i].code, "bad-allow"))
            judge(allows, &allows->list[i], report);
    }
}
