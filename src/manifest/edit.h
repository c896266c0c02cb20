/*
 * edit: one value of a YAML or JSON file set anew, everything else byte for byte as it was: comments, layout, quotes, anchors, line ends.
 *
 *     struct edit edit = {.document = 0, .path = "spec.cooldownPeriod", .value = "120", .type = TREE_NUMBER};
 *     if (!edit_apply("policy.yaml", bytes, length, &edit, &out, &err)) ...
 *
 * A value that is there is replaced where it stands, in its quotes. A key that is missing is written into the map where KEDA's pages have it,
 * with the indentation of its neighbours; what lies between on the path is made too. What comes by a merge (<<) is overridden, not changed.
 *
 * Every edit is proven before it is handed out: the new text is read again and must say what the old one said, the path apart. What cannot be
 * changed alone (a value that others share by an alias) is an error that says so, never a file that means something else. Pure.
 */
#ifndef WEIR_MANIFEST_EDIT_H
#define WEIR_MANIFEST_EDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/tree.h"

struct error;
struct text;

struct edit {
    size_t document; /* of the file's non-empty ones, from 0, as in struct place */
    const char
        *path; /* as findings name fields: spec.triggers[0].metadata.threshold, metadata.annotations[weir.dev/mode] */
    const char *value;
    enum tree_type type; /* what it must be read as: TREE_NUMBER, TREE_STRING or TREE_BOOL (true, false) */
};

/* The node at a path of a document's tree; NULL: there is none. */
const struct tree *edit_find(const struct tree *document, const char *path);

/* Appends the edited file to out. INVALID: not YAML, no such document, a path through a scalar or past a list's end, or not to be changed
   alone. LIMIT: too long for out. */
bool edit_apply(const char *file, const char *bytes, size_t length, const struct edit *edit, struct text *out,
                struct error *err);
/* One after the other; all or nothing. */
bool edit_apply_all(const char *file, const char *bytes, size_t length, const struct edit *edits, size_t count,
                    struct text *out, struct error *err);

#endif
