/*
 * dotpath: "a.b.0.c" in a document read from YAML, for metrics-api and kubernetes-resource (triggers/_common.md 9).
 */
#ifndef WEIR_TRIGGER_DOTPATH_H
#define WEIR_TRIGGER_DOTPATH_H

struct arena;
struct tree;

/* What the path leads to, or NULL. A scalar before the end of the path is the answer already; lists are addressed by index. */
const struct tree *dotpath_get(const struct tree *root, const char *path, struct arena *arena);

#endif
