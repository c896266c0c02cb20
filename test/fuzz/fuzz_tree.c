/*
 * Fuzzing of the two readers of trees. The first byte chooses: even JSON, odd YAML. What is read must be writable as JSON,
 * and that JSON must read back as the same JSON: a reader and a writer that disagree are a bug, as is any crash.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_written(const struct tree *tree, struct arena *arena)
{
    enum { MOST_BYTES = 1 << 20 }; /* an alias bomb within its bounds still writes a lot */
    struct text once, twice;
    struct tree *again;
    struct error err = {0};

    text_init(&once, MOST_BYTES);
    text_init(&twice, MOST_BYTES);
    tree_write_json(tree, &once);
    if (!once.overflowed) {
        if (!tree_read_json(once.bytes, once.length, false, arena, &again, &err) && err.kind != ERROR_LIMIT)
            abort();
        if (err.kind != ERROR_LIMIT) {
            tree_write_json(again, &twice);
            if (once.length != twice.length || memcmp(once.bytes, twice.bytes, once.length) != 0)
                abort();
        }
    }
    text_done(&once);
    text_done(&twice);
}

/* Visits every node; its own arithmetic is the check that counts and lists agree. */
static void check_nodes(const struct tree *node, int depth, size_t *budget)
{
    size_t count = 0;
    double number;
    int64_t integer;

    if (depth > TREE_DEPTH_MAX + 1)
        abort();
    if (node->type == TREE_NUMBER && tree_integer(node, &integer) && !tree_number(node, &number))
        abort();
    for (const struct tree *child = node->first; child && *budget > 0; child = child->next) {
        if ((node->type == TREE_MAP) != (child->key != NULL))
            abort();
        count++;
        --*budget;
        check_nodes(child, depth + 1, budget);
    }
    if (*budget > 0 && count != node->count)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *tree = NULL;
    struct error err = {0};
    size_t budget = 100000;

    if (size > 0) {
        const char *bytes = (const char *)data + 1;
        bool good = data[0] % 2 ? tree_read_yaml("fuzz", bytes, size - 1, arena, &tree, &err)
                                : tree_read_json(bytes, size - 1, false, arena, &tree, &err);
        if (good != (tree != NULL) || good != (err.kind == ERROR_NONE))
            abort();
        if (good) {
            check_nodes(tree, 0, &budget);
            check_written(tree, arena);
        }
    }
    arena_free(arena);
    return 0;
}
