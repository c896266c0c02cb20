/*
 * dotpath: a name after the other, with no way to write a dot that is part of a name.
 */
#include "trigger/common/dotpath.h"

#include <string.h>

#include "base/arena.h"
#include "base/tree.h"

const struct tree *dotpath_get(const struct tree *root, const char *path, struct arena *arena)
{
    const struct tree *node = root;

    while (node && (node->type == TREE_MAP || node->type == TREE_LIST)) {
        size_t length = strcspn(path, ".");
        const char *name = arena_copy_bytes(arena, path, length);

        if (node->type == TREE_MAP)
            node = tree_get(node, name);
        else if (length > 0 && length < 10 && strspn(name, "0123456789") == length)
            node = tree_at(node, name);
        else
            node = NULL;
        path += length;
        if (*path == '\0')
            break;
        path++;
    }
    return node;
}
