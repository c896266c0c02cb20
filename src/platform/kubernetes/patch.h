/*
 * patch: merge patches (RFC 7396) put together, and compared with what is there already, of which only hashes are kept.
 *
 *     struct leaves_draft draft = {0};
 *     leaves_add(&draft, "", tree_get(object, "status"), 0);
 *     struct leaves *now = leaves_take(&draft);       -- 8 bytes for each member of the status, at any depth
 *     if (!patch_changes(patch, now)) ...             -- nothing to send
 *
 * A leaf is whatever is not a map: a text, a number, a whole list. Its word is a hash of the path to it and a hash of what it says,
 * 32 bits each; a map has a word of its own, which says that it is there. Order in a map does not matter, in a list it does. null
 * is as if it were not there, as the API has it. Pure.
 */
#ifndef WEIR_PLATFORM_KUBERNETES_PATCH_H
#define WEIR_PLATFORM_KUBERNETES_PATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text;
struct tree;

enum {
    LEAVES_QUANTITIES = 1, /* texts named value and averageValue are quantities: 1000m is 1, and 1000 is 1k */
};

struct leaves { /* sorted; free() ends it */
    uint32_t count;
    uint64_t words[];
};
struct leaves_draft { /* starts as {0} */
    uint64_t *words;
    size_t count, capacity;
};
/* path: where node stands, "" the top; members add ".key" to it. NULL adds nothing. */
void leaves_add(struct leaves_draft *draft, const char *path, const struct tree *node, int flags);
void leaves_add_word(struct leaves_draft *draft, uint64_t word);
struct leaves *leaves_take(struct leaves_draft *draft); /* the draft is empty afterwards */

bool leaves_have(const struct leaves *leaves, uint64_t word); /* leaves NULL: there are none */
bool leaves_equal(const struct leaves *a, const struct leaves *b);
bool leaves_word_is_map(uint64_t word);

/* Would the patch make a difference to what leaves stand for? */
bool patch_changes(const struct tree *patch, const struct leaves *now);
/* One patch that does what first and then second do, appended to out. (Where first takes a map away and second puts members into
   it, members from before first stay: a patch cannot say otherwise.) false: over the limit of out. */
bool patch_compose(const struct tree *first, const struct tree *second, struct text *out);

/* A hash of all that node says, maps in any order; 0 for NULL. */
uint64_t tree_hash(const struct tree *node, int flags);

#endif
