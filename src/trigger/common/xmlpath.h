/*
 * xmlpath: the text of one element of an XML document, found by a dotted path ("queue.length", "r.q.len.1"), or the whole document as
 * a tree. Pure.
 */
#ifndef WEIR_TRIGGER_XMLPATH_H
#define WEIR_TRIGGER_XMLPATH_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;
struct tree;

/* The path may begin with the root's name or leave it out. A number picks one of several elements of the same name, from 0.
   The element found must hold text alone. */
bool xmlpath_get(const char *body, size_t length, const char *path, struct arena *arena, const char **text,
                 struct error *err);
/* The document as a map of its root's name to the root: elements with elements in them are maps, in which a name may be repeated; others
   are strings, trimmed. Attributes are left out. */
bool xmlpath_tree(const char *body, size_t length, struct arena *arena, const struct tree **out, struct error *err);

#endif
