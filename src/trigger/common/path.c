/*
 * path: escaping for the path of a URL (RFC 3986, 3.3). Queries are escaped otherwise, see form.h.
 */
#include "trigger/common/path.h"

#include <string.h>

#include "base/arena.h"
#include "base/text.h"

static const char *escaped(struct arena *arena, const char *text, const char *kept)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_alloc(arena, 3 * strlen(text) + 1), *end = out;

    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                     strchr(kept, *c) ||
                     (*c == '%' && strchr(kept, '/') && hex_digit((char)c[1]) >= 0 && hex_digit((char)c[2]) >= 0);

        if (plain) {
            *end++ = (char)*c;
            continue;
        }
        *end++ = '%';
        *end++ = digits[*c >> 4];
        *end++ = digits[*c & 15];
    }
    return out;
}

const char *path_part(struct arena *arena, const char *name)
{
    return escaped(arena, name, "-_.~!$&'()*+,;=:@");
}

const char *path_tidy(struct arena *arena, const char *piece)
{
    return escaped(arena, piece, "-_.~!$&'()*+,;=:@/");
}
