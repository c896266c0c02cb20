/*
 * tree_internal: what the two readers share.
 */
#ifndef WEIR_BASE_TREE_INTERNAL_H
#define WEIR_BASE_TREE_INTERNAL_H

#include "base/tree.h"

/* Sets repeated_key on members whose key stood there before. Linear in the size of the map. */
void tree_mark_repeated(struct tree *map);
/* A copy of a key in which each 0 byte is U+FFFD. */
const char *tree_key_without_zeros(struct arena *arena, const char *key, size_t length);
/* What a YAML number that is no JSON number means: 0x1f, 0o17, 017, 0b1, 1_000, +5. false: not an integer in range. */
bool yaml_integer(const char *text, size_t length, int64_t *value);
/* Any YAML number, .inf and .nan included. false: not a number, or out of range. */
bool yaml_number(const char *text, size_t length, double *value);

#endif
