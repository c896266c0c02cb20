/*
 * path: names as parts of a URL's path.
 *
 *     arena_printf(arena, "/repos/%s/%s", path_part(arena, owner), path_part(arena, repo))
 */
#ifndef WEIR_TRIGGER_PATH_H
#define WEIR_TRIGGER_PATH_H

struct arena;

/* One segment, whatever it holds: "a/b" is "a%2Fb". */
const char *path_part(struct arena *arena, const char *name);
/* A piece that its author may have escaped already, '/' and %XX included: only what no path can hold is escaped. */
const char *path_tidy(struct arena *arena, const char *piece);

#endif
