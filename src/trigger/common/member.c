/* member: see member.h. */
#include "trigger/common/member.h"

#include <stddef.h>

#include "base/tree.h"

enum member member_integer(const struct tree *map, const char *name, int64_t *value)
{
    const struct tree *node = tree_get_fold(map, name);

    *value = 0;
    if (!node || node->type == TREE_NULL)
        return MEMBER_ABSENT;
    return node->type == TREE_NUMBER && tree_integer(node, value) ? MEMBER_GIVEN : MEMBER_WRONG;
}

const char *member_text(const struct tree *map, const char *name)
{
    const char *text = tree_string(tree_get_fold(map, name));

    return text ? text : "";
}
