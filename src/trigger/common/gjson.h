/*
 * gjson: the path language of metrics-api and kubernetes-resource ("a.b.0", "arr.#(n==\"y\").v", "items.#", "x|@reverse|0").
 * Works on a tree; what it makes lies in the arena. Facts: triggers/_common.md 9.
 */
#ifndef WEIR_TRIGGER_GJSON_H
#define WEIR_TRIGGER_GJSON_H

struct arena;
struct tree;

/* What the path leads to, or NULL. */
const struct tree *gjson_get(const struct tree *root, const char *path, struct arena *arena);

#endif
