/*
 * difference: what a change of manifests will change, in words: objects that come and go, and of those that stay every rule that becomes
 * another. It compares policies, the numbers that decide, not texts: a default that is written out is no difference, a quote neither.
 *
 *     struct differences *d = differences_new(old, old_count, new, new_count, &settings);
 *     differences_write_text(d, &text);                      -- or differences_count(d) == 0: nothing changes
 *     differences_free(d);
 *
 * Objects are the same if kind, namespace and name are; triggers if their names are, or, without a name, type and place among those. What
 * may be a secret is never shown, only that it changes. Pure.
 */
#ifndef WEIR_SIM_DIFFERENCE_H
#define WEIR_SIM_DIFFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "manifest/manifest.h"
#include "policy/policy.h"

struct text;

struct differences;

/* Manifests without errors; they may go when this returns. Objects in the order of `after`, then those that are gone. */
struct differences *differences_new(const struct manifest *const *before, size_t before_count,
                                    const struct manifest *const *after, size_t after_count,
                                    const struct policy_settings *settings);
void differences_free(struct differences *differences);
size_t differences_count(const struct differences *differences);
/* "scales to zero 5 min after the last activity, was 1 min" */
const char *differences_sentence(const struct differences *differences, size_t index);

/* For people, grouped by object, and as a JSON array. */
void differences_write_text(const struct differences *differences, struct text *out);
void differences_write_json(const struct differences *differences, struct text *out);

#endif
