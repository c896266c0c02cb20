/* What the files of edit share: a file as libyaml's events cover it, and the way along a path. */
#ifndef WEIR_MANIFEST_EDIT_INTERNAL_H
#define WEIR_MANIFEST_EDIT_INTERNAL_H

#include <yaml.h>

#include "base/limits.h"
#include "manifest/edit.h"

struct arena;

struct span {
    yaml_event_type_t type;
    bool flow;                 /* a list or map in brackets, a scalar or alias within one */
    yaml_scalar_style_t style; /* of a scalar */
    int line, column;          /* 1-based, as in a tree */
    size_t begin, end;         /* bytes of the text */
    const char *text;          /* of a scalar that may be a key, else NULL */
};

struct step { /* of a path */
    const char *name;
    size_t length;
    bool bracket; /* [0] or [weir.dev/mode] */
};

struct editing {
    const char *file, *bytes;
    size_t length;
    struct span *spans;
    size_t count;
    struct step steps[TREE_DEPTH_MAX];
    size_t step_count;
    const struct edit *edit;
    struct arena *arena;
    struct text *out;
    struct error *err;
};

/* edit_walk.c */
bool edit_read_path(struct editing *e);
/* [3] -> 3. false: it is no place in a list. */
bool edit_step_index(const struct step *step, size_t *index);
/* e->spans from e->bytes, which a tree was read from before, so they are YAML within all bounds. */
void edit_read_spans(struct editing *e);
bool span_opens(yaml_event_type_t type);
bool span_closes(yaml_event_type_t type);
/* Its marks are bytes of its own. A list or map in block style has none: it ends where the next thing begins. */
bool span_is_visible(const struct span *span);
/* The span behind the node that begins at i; *end: where the last visible byte of it ends. */
size_t span_next(const struct editing *e, size_t i, size_t *end);
bool edit_find_root(struct editing *e, const struct tree *documents, size_t *root);
/* As far as the path goes: *node the last node on it, *steps how many steps lead there. */
bool edit_walk(struct editing *e, size_t root, size_t *node, size_t *steps);
/* "the part c of a.b.c <what>", at the place of a span. Returns false. */
bool edit_fail_step(struct editing *e, size_t at, size_t step, const char *what);

#endif
