/*
 * xmlpath: the text of one element of an XML document, found by a dotted path ("queue.length", "r.q.len.1"). Pure.
 */
#ifndef WEIR_TRIGGER_XMLPATH_H
#define WEIR_TRIGGER_XMLPATH_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;

/* The path may begin with the root's name or leave it out. A number picks one of several elements of the same name, from 0.
   The element found must hold text alone. */
bool xmlpath_get(const char *body, size_t length, const char *path, struct arena *arena, const char **text,
                 struct error *err);

#endif
