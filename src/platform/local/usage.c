/* usage: see usage.h. */
#include "platform/local/usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "platform/local/files.h"

enum { DEPTH_MAX = 64 }; /* generations between a process and its shim; what is deeper is left out */

struct seen {
    pid_t pid, parent;
    uint64_t cpu_ticks;
};
struct walk {
    struct seen *items; /* by ascending pid, as /proc lists them */
    size_t count, capacity;
};

static bool read_seen(pid_t pid, struct seen *out)
{
    int64_t fields[PROCESS_WAITED_SYSTEM_TICKS - PROCESS_PARENT + 1];

    if (!process_fields(pid, fields, sizeof fields / sizeof fields[0]))
        return false;
    *out = (struct seen){.pid = pid, .parent = (pid_t)fields[0]};
    for (int i = PROCESS_USER_TICKS; i <= PROCESS_WAITED_SYSTEM_TICKS; i++)
        out->cpu_ticks += (uint64_t)fields[i - PROCESS_PARENT];
    return true;
}

static void walk_processes(struct walk *walk)
{
    DIR *proc = opendir("/proc");

    if (proc == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        if (pid <= 0 || *end != 0)
            continue;
        if (walk->count == walk->capacity) {
            walk->capacity = walk->capacity ? walk->capacity * 2 : 256;
            walk->items = mem_grow(walk->items, walk->capacity, sizeof *walk->items);
        }
        if (read_seen((pid_t)pid, &walk->items[walk->count]))
            walk->count++;
    }
    closedir(proc);
}

static int compare_seen(const void *key, const void *item)
{
    pid_t pid = *(const pid_t *)key, other = ((const struct seen *)item)->pid;

    return (pid > other) - (pid < other);
}

static int compare_trees(const void *a, const void *b)
{
    pid_t x = ((const struct usage_tree *)a)->root, y = ((const struct usage_tree *)b)->root;

    return (x > y) - (x < y);
}

static struct usage_tree *tree_of(const struct walk *walk, const struct seen *process, struct usage_tree *trees,
                                  size_t count)
{
    for (int depth = 0; process != NULL && depth < DEPTH_MAX; depth++) {
        struct usage_tree key = {.root = process->pid};
        struct usage_tree *tree = bsearch(&key, trees, count, sizeof *trees, compare_trees);
        if (tree != NULL)
            return tree;
        process = bsearch(&process->parent, walk->items, walk->count, sizeof *walk->items, compare_seen);
    }
    return NULL;
}

/* Pages resident and shared (fields 2 and 3 of statm). */
static bool read_pages(pid_t pid, int64_t *resident, int64_t *shared)
{
    char path[64], line[256];
    int64_t fields[3];

    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, line, sizeof line - 1);
    close(fd);
    line[n > 0 ? n : 0] = 0;
    if (numbers_read(line, fields, 3) != 3)
        return false;
    *resident = fields[1];
    *shared = fields[2];
    return true;
}

static void add_memory(struct usage_tree *tree, pid_t pid, int64_t page_bytes)
{
    int64_t resident, shared;

    if (pid == tree->root || !read_pages(pid, &resident, &shared))
        return;
    int64_t shared_bytes = shared * page_bytes;
    tree->memory_bytes += (resident - shared) * page_bytes;
    if (shared_bytes > tree->shared_bytes) {
        tree->memory_bytes += shared_bytes - tree->shared_bytes;
        tree->shared_bytes = shared_bytes;
    }
}

void usage_measure(struct usage_tree *trees, size_t count)
{
    struct walk walk = {0};
    int64_t page_bytes = sysconf(_SC_PAGESIZE);

    qsort(trees, count, sizeof *trees, compare_trees);
    walk_processes(&walk);
    for (size_t i = 0; i < walk.count; i++) {
        struct usage_tree *tree = tree_of(&walk, &walk.items[i], trees, count);
        if (tree == NULL)
            continue;
        tree->found = true;
        tree->cpu_ticks += walk.items[i].cpu_ticks;
        add_memory(tree, walk.items[i].pid, page_bytes);
    }
    free(walk.items);
}

/* ------------------------------------------------------------------ from walk to walk */

static void add_cpu(struct usage_track *track, const struct usage_tree *tree, int64_t now_ms, int64_t window_ms)
{
    uint64_t used = tree->cpu_ticks >= track->cpu_ticks ? tree->cpu_ticks - track->cpu_ticks : 0;
    int64_t per_second = sysconf(_SC_CLK_TCK);

    track->cpu.has_usage = true;
    track->cpu.usage = (int64_t)used * 1000 * 1000 / (per_second * window_ms);
    track->cpu.at_ms = now_ms;
    track->cpu.window_ms = window_ms;
}

void usage_track_add(struct usage_track *track, const struct usage_tree *tree, int64_t now_ms, int64_t monotonic_ms)
{
    bool same = track->root == tree->root;

    if (!tree->found) {
        track->root = 0;
        track->cpu.has_usage = track->memory.has_usage = false;
        return;
    }
    if (same && monotonic_ms > track->ticks_at_ms)
        add_cpu(track, tree, now_ms, monotonic_ms - track->ticks_at_ms);
    else if (!same)
        track->cpu.has_usage = false; /* a new process: usage is known after the next walk */
    track->root = tree->root;
    track->cpu_ticks = tree->cpu_ticks;
    track->ticks_at_ms = monotonic_ms;
    track->memory.has_usage = true;
    track->memory.usage = tree->memory_bytes * 1000;
    track->memory.at_ms = now_ms;
    track->memory.window_ms = 0;
}

void usage_track_requests(struct usage_track *track, int64_t cpu_request_milli, int64_t memory_request_milli)
{
    track->cpu.has_request = cpu_request_milli >= 0;
    track->cpu.request = cpu_request_milli >= 0 ? cpu_request_milli : 0;
    track->memory.has_request = memory_request_milli >= 0;
    track->memory.request = memory_request_milli >= 0 ? memory_request_milli : 0;
}
