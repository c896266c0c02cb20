/*
 * selector: Kubernetes label selectors ("app=a,tier in (b,c),!canary").
 */
#ifndef WEIR_BASE_SELECTOR_H
#define WEIR_BASE_SELECTOR_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;
struct selector;
struct tree;

struct label {
    const char *key, *value;
};

/* Grammar of triggers/kubernetes-workload.md. The empty text selects everything. */
bool selector_parse(const char *string, struct arena *arena, struct selector **out, struct error *err);
/* From {matchLabels, matchExpressions}. As in Kubernetes NULL (or null) selects nothing, an empty map everything. */
bool selector_from_tree(const struct tree *node, struct arena *arena, struct selector **out, struct error *err);
bool selector_matches(const struct selector *selector, const struct label *labels, size_t count);

#endif
