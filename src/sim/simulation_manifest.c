/*
 * simulation_manifest: which object of a file is tried, and the file with nothing else in it. What stands beside it (other objects, secrets,
 * the workload) is blanked out line by line, so that findings keep their places.
 */
#include "sim/simulation_internal.h"

#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"

static bool is_named(const struct object_meta *meta, const char *name)
{
    const char *slash = strchr(name, '/');

    if (!slash)
        return string_equal(meta->name, name);
    return strncmp(meta->ns, name, (size_t)(slash - name)) == 0 && meta->ns[slash - name] == '\0' &&
           string_equal(meta->name, slash + 1);
}

static void list_names(const struct manifest *manifest, struct text *out)
{
    for (size_t i = 0; i < manifest->scaled_object_count; i++)
        text_printf(out, "%s%s/%s", i ? ", " : "", manifest->scaled_objects[i].meta.ns,
                    manifest->scaled_objects[i].meta.name);
}

static bool refuse_choice(const struct manifest *manifest, const char *name, struct error *err)
{
    struct text names;

    text_init(&names, sizeof(err->text) / 2);
    list_names(manifest, &names);
    if (manifest->scaled_object_count == 0)
        error_set(err, ERROR_INVALID, "there is no ScaledObject in it%s",
                  manifest->scaled_job_count ? "; ScaledJobs are not simulated" : "");
    else if (name)
        error_set(err, ERROR_INVALID, "there is no ScaledObject %s in it; there are %s", name, names.bytes);
    else
        error_set(err, ERROR_INVALID, "there are several ScaledObjects in it (%s); say which one", names.bytes);
    text_done(&names);
    return error_add_place(err, "%s", manifest->file);
}

const struct scaled_object *simulation_choose(const struct manifest *manifest, const char *name, struct error *err)
{
    const struct scaled_object *chosen = NULL;
    size_t fit = 0;

    for (size_t i = 0; i < manifest->scaled_object_count; i++)
        if (!name || is_named(&manifest->scaled_objects[i].meta, name)) {
            chosen = &manifest->scaled_objects[i];
            fit++;
        }
    if (fit != 1) {
        refuse_choice(manifest, name, err);
        return NULL;
    }
    return chosen;
}

/* ------------------------------------------------------------------ the file with one object in it */

static const struct tree *tree_of(const struct manifest *manifest, const struct place *place)
{
    const struct tree *document = tree_index(manifest->documents, (size_t)place->doc);
    const struct tree *items = tree_get(document, "items");

    for (const struct tree *item = items ? items->first : NULL; item; item = item->next)
        if (item->line == place->line && item->column == place->column)
            return item;
    return document;
}

static bool is_separator(const char *line, size_t length)
{
    return length >= 3 && memcmp(line, "---", 3) == 0;
}

/* The document in which a line stands: lines first..last, of which the separator is none. */
static void document_lines(const char *bytes, size_t length, int line, int *first, int *last)
{
    int at = 1;

    *first = 1;
    *last = INT32_MAX;
    for (const char *here = bytes, *end = bytes + length; here < end; at++) {
        const char *newline = memchr(here, '\n', (size_t)(end - here));
        size_t width = (size_t)((newline ? newline : end) - here);

        if (is_separator(here, width) && at <= line)
            *first = at;
        else if (is_separator(here, width) && *last == INT32_MAX)
            *last = at - 1;
        here += width + 1;
    }
}

static void keep_lines(const char *bytes, size_t length, int first, int last, struct text *out)
{
    int at = 1;

    for (const char *here = bytes, *end = bytes + length; here < end; at++) {
        const char *newline = memchr(here, '\n', (size_t)(end - here));
        size_t width = (size_t)((newline ? newline : end) - here);

        if (at >= first && at <= last)
            text_append(out, here, width);
        text_add_char(out, '\n');
        here += width + 1;
    }
}

void simulation_write_one(const struct manifest *manifest, const struct object_meta *meta, const char *bytes,
                          size_t length, struct text *out)
{
    int first, last;

    if (*meta->path_prefix) { /* an item of a List: its lines do not stand alone */
        tree_write_json(tree_of(manifest, &meta->place), out);
        return;
    }
    document_lines(bytes, length, meta->place.line, &first, &last);
    keep_lines(bytes, length, first, last, out);
}

/* ------------------------------------------------------------------ the workload beside it */

const struct workload *simulation_workload(const struct manifest *manifest, const struct scaled_object *object)
{
    for (size_t i = 0; i < manifest->workload_count; i++) {
        const struct workload *w = &manifest->workloads[i];

        if (string_equal(w->meta.kind, object->target.kind) && string_equal(w->meta.name, object->target.name) &&
            string_equal(w->meta.ns, object->meta.ns))
            return w;
    }
    return NULL;
}
