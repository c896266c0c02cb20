/*
 * reading: places, paths and findings. Every finding of this room is made here, so that each has file, document, line, column,
 * field and object, and an object with an error is known to be broken.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "manifest/manifest_internal.h"

enum { FINDING_TEXT_MAX_BYTES = 1024, PATH_TEXT_MAX_BYTES = 1024 };

struct path path_member(const struct path *up, const char *key, const struct tree *node)
{
    return (struct path){.up = up, .key = key, .node = node};
}

struct path path_item(const struct path *up, int index, const struct tree *node)
{
    return (struct path){.up = up, .index = index, .node = node};
}

struct place place_of(const struct reading *r, const struct tree *node)
{
    return (struct place){
        .file = r->manifest->file, .doc = r->doc, .line = node ? node->line : 0, .column = node ? node->column : 0};
}

/* Kubernetes writes keys that are no identifiers in brackets: metadata.annotations[weir.dev/mode]. */
static void add_step(struct text *out, const struct path *path)
{
    if (!path || !path->up)
        return;
    add_step(out, path->up);
    if (!path->key)
        text_printf(out, "[%d]", path->index);
    else if (strpbrk(path->key, "./ "))
        text_printf(out, "[%s]", path->key);
    else
        text_printf(out, "%s%s", out->length > 0 ? "." : "", path->key);
}

const char *path_text(struct reading *r, const struct path *path)
{
    struct text text;
    const char *copy;

    text_init(&text, PATH_TEXT_MAX_BYTES);
    add_step(&text, path);
    copy = arena_copy(r->arena, text.bytes);
    text_done(&text);
    return copy;
}

static void add_finding(struct reading *r, enum finding_severity severity, const char *code, const struct path *path,
                        bool at_key, const char *remedy, const char *format, va_list args)
{
    const struct path *known = path;
    struct finding about = {.severity = severity, .code = code, .object = r->object};
    char text[FINDING_TEXT_MAX_BYTES];

    if (severity == FINDING_ERROR)
        r->errors++;
    if (++r->findings > MANIFEST_FINDINGS_MAX)
        return;
    while (known && !known->node && known->up)
        known = known->up;
    about.place = place_of(r, known ? known->node : NULL);
    if (known && known->node && known->node->key_line > 0 && (at_key || known != path)) {
        about.place.line = known->node->key_line;
        about.place.column = known->node->key_column;
    }
    vsnprintf(text, sizeof(text), format, args);
    report_add(r->report, &about, arena_printf(r->arena, "%s%s", r->prefix, path_text(r, path)), remedy, "%s", text);
    if (r->findings == MANIFEST_FINDINGS_MAX)
        report_add(r->report, &(struct finding){.severity = FINDING_ERROR, .code = "limit", .place = about.place}, "",
                   "mend these first", "more than %d findings in one file: the rest is not shown",
                   MANIFEST_FINDINGS_MAX);
}

void complain(struct reading *r, enum finding_severity severity, const char *code, const struct path *path,
              const char *remedy, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_finding(r, severity, code, path, false, remedy, format, args);
    va_end(args);
}

void complain_key(struct reading *r, enum finding_severity severity, const char *code, const struct path *path,
                  const char *remedy, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_finding(r, severity, code, path, true, remedy, format, args);
    va_end(args);
}
