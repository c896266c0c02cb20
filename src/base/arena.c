/*
 * arena: see arena.h. A list of blocks, the newest first; allocation moves a mark through the newest one.
 *
 *     arena -> [block 1024: used....|free] -> [block 512: full] -> [block 256: full]
 *
 * What is left of a block when the next request does not fit is given up: with doubling blocks that is at most half, in
 * practice a few percent, and no list of holes is needed.
 */
#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct block {
    struct block *older;
    size_t size, used; /* of bytes[] */
    alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct block *newest;
    size_t next_bytes; /* size of the next block */
    size_t held_bytes;
};

/* Ends the process without running handlers, which would need memory themselves. */
static _Noreturn void out_of_memory(void)
{
    static const char message[] = "weir: out of memory; the process ends and restarts from its journal\n";

    (void)!write(STDERR_FILENO, message, sizeof message - 1);
    _exit(71); /* EX_OSERR */
}

static size_t checked_product(size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        out_of_memory();
    return bytes;
}

void *mem_alloc(size_t size)
{
    return mem_array(1, size);
}

void *mem_array(size_t count, size_t size)
{
    void *bytes = calloc(count ? count : 1, size ? size : 1);

    if (!bytes)
        out_of_memory();
    return bytes;
}

void *mem_grow(void *old, size_t count, size_t size)
{
    size_t bytes = checked_product(count, size);
    void *grown = realloc(old, bytes ? bytes : 1);

    if (!grown)
        out_of_memory();
    return grown;
}

char *mem_copy(const char *string)
{
    char *copy = string ? strdup(string) : NULL;

    if (string && !copy)
        out_of_memory();
    return copy;
}

struct arena *arena_new(size_t first_bytes)
{
    struct arena *arena = mem_alloc(sizeof *arena);

    arena->next_bytes = first_bytes < ARENA_SMALL ? ARENA_SMALL : first_bytes;
    arena->held_bytes = sizeof *arena;
    return arena;
}

static void free_blocks(struct block *block)
{
    while (block) {
        struct block *older = block->older;
        free(block);
        block = older;
    }
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    free_blocks(arena->newest);
    free(arena);
}

static struct block *take_largest(struct arena *arena)
{
    struct block **at = &arena->newest, **largest = at;

    for (; *at; at = &(*at)->older)
        if ((*at)->size > (*largest)->size)
            largest = at;
    struct block *taken = *largest;
    *largest = taken->older;
    return taken;
}

void arena_reset(struct arena *arena)
{
    if (!arena->newest)
        return;
    struct block *kept = take_largest(arena);
    free_blocks(arena->newest);
    kept->older = NULL;
    kept->used = 0;
    arena->newest = kept;
    arena->held_bytes = sizeof *arena + sizeof *kept + kept->size;
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->held_bytes;
}

static void add_block(struct arena *arena, size_t needed)
{
    size_t size = arena->next_bytes > needed ? arena->next_bytes : needed;
    size_t whole;

    if (__builtin_add_overflow(sizeof(struct block), size, &whole))
        out_of_memory();
    struct block *block = malloc(whole);
    if (!block)
        out_of_memory();
    block->older = arena->newest;
    block->size = size;
    block->used = 0;
    arena->newest = block;
    arena->held_bytes += whole;
    arena->next_bytes *= 2;
}

/* Bytes as they come, for callers that fill all of them. */
static void *take(struct arena *arena, size_t size)
{
    size_t step;

    if (__builtin_add_overflow(size, alignof(max_align_t) - 1, &step))
        out_of_memory();
    step &= ~(alignof(max_align_t) - 1);
    if (!arena->newest || arena->newest->size - arena->newest->used < step)
        add_block(arena, step);
    struct block *block = arena->newest;
    void *bytes = block->bytes + block->used;
    block->used += step;
    assert(block->used <= block->size);
    return bytes;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    return memset(take(arena, size), 0, size);
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    return arena_alloc(arena, checked_product(count, size));
}

char *arena_copy_bytes(struct arena *arena, const void *bytes, size_t length)
{
    char *copy = take(arena, length + 1);

    if (length)
        memcpy(copy, bytes, length);
    copy[length] = 0;
    return copy;
}

char *arena_copy(struct arena *arena, const char *string)
{
    return string ? arena_copy_bytes(arena, string, strlen(string)) : NULL;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    assert(length >= 0); /* formats are ours; only a broken one fails */
    char *out = take(arena, (size_t)length + 1);
    vsnprintf(out, (size_t)length + 1, format, again);
    va_end(again);
    return out;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *out = arena_vprintf(arena, format, args);
    va_end(args);
    return out;
}
