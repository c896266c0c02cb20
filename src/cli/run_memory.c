#include "cli/run_memory.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "net/loop.h"

enum {
    LOOK_MS = 15 * 1000,     /* bursts last for seconds */
    GROWN_PAGES_LEAST = 256, /* of 4 KiB: less is not worth a walk over the whole heap */
    ARENAS_MAX = 2           /* one more than the loop's own: what threads of a moment used is not kept for each */
};

struct run_memory {
    struct timer *timer;
    long pages; /* resident after the last time */
    bool again; /* the last time was perhaps in the middle of a burst */
};

/* Field 2 of /proc/self/statm (proc(5)); 0: not known. */
static long resident_pages(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    char line[128];
    char *end;
    long pages = 0;

    if (!file)
        return 0;
    if (fgets(line, sizeof(line), file)) {
        strtol(line, &end, 10);
        pages = strtol(end, NULL, 10);
    }
    fclose(file);
    return pages;
}

static void look(void *arg)
{
    struct run_memory *memory = arg;
    bool grown = resident_pages() >= memory->pages + GROWN_PAGES_LEAST;

    if (grown || memory->again) {
        memory->again = grown;
        malloc_trim(0);
        memory->pages = resident_pages();
    }
    loop_timer_set(memory->timer, LOOK_MS);
}

struct run_memory *run_memory_tend(struct loop *loop)
{
    struct run_memory *memory = mem_alloc(sizeof(*memory));

    mallopt(M_ARENA_MAX, ARENAS_MAX);
    memory->timer = loop_timer_new(loop, look, memory);
    loop_timer_set(memory->timer, LOOK_MS);
    return memory;
}

void run_memory_free(struct run_memory *memory)
{
    if (!memory)
        return;
    loop_timer_free(memory->timer);
    free(memory);
}
