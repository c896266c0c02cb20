/*
 * arena: holds what is born and dies together. Three kinds exist: an object's, a poll's, a turn's.
 *
 *     struct arena *arena = arena_new(ARENA_SMALL);
 *     char *name = arena_copy(arena, "checkout");
 *     arena_free(arena);                          -- everything in it is gone
 *
 * Blocks double in size as the arena grows, the first being `first_bytes`. Allocation never returns NULL: a machine out
 * of memory ends the process, which restarts from the journal (DESIGN.md 3.8). Not for threads.
 */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena;

enum { ARENA_SMALL = 256, ARENA_USUAL = 4096 };

struct arena *arena_new(size_t first_bytes);
void arena_free(struct arena *arena); /* NULL is fine */
/* Forgets everything but keeps the largest block, for a turn's or poll's arena that is used again and again. */
void arena_reset(struct arena *arena);
size_t arena_bytes(const struct arena *arena); /* what the arena holds from malloc, for memory figures */

void *arena_alloc(struct arena *arena, size_t size); /* zeroed, aligned for any type */
void *arena_array(struct arena *arena, size_t count, size_t size);
char *arena_copy(struct arena *arena, const char *string);                     /* NULL in, NULL out */
char *arena_copy_bytes(struct arena *arena, const void *bytes, size_t length); /* a 0 byte is added */
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull)); /* out of memory ends the process */
char *arena_vprintf(struct arena *arena, const char *format, va_list args)
    __attribute__((format(printf, 2, 0), nonnull));

/* The same promise for memory with a life of its own: never NULL, zeroed; freed with free(). */
void *mem_alloc(size_t size);
void *mem_array(size_t count, size_t size);
void *mem_grow(void *old, size_t count, size_t size); /* realloc of an array; new part NOT zeroed */
char *mem_copy(const char *string);

#endif
