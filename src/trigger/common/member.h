/*
 * member: whole numbers that are members of an answer, found as Go's decoder finds them: the case of names does not count, null is
 * as good as nothing, and a fraction or a text is no whole number.
 */
#ifndef WEIR_TRIGGER_MEMBER_H
#define WEIR_TRIGGER_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

struct tree;

enum member { MEMBER_GIVEN, MEMBER_ABSENT, MEMBER_WRONG };

/* *value is 0 unless it is given. */
enum member member_integer(const struct tree *map, const char *name, int64_t *value);
/* The text, "" where it is absent, null or something else. */
const char *member_text(const struct tree *map, const char *name);

#endif
