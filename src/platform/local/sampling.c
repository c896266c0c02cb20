/*
 * sampling: who is measured when: all process trees of the platform, every few seconds, as long as somebody asks for pods.
 * How it is measured stands in usage.c.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/map.h"
#include "net/loop.h"
#include "platform/local/local_internal.h"

enum {
    USAGE_PERIOD_MS = 5 * 1000,
    USAGE_FIRST_MS = 1000,       /* from the first walk to the second: cpu needs two */
    USAGE_WANTED_MS = 60 * 1000, /* after somebody asked: longer than most polling intervals */
};

struct measured {
    struct usage_tree *trees;
    struct usage_track **tracks;
    size_t count, capacity;
};

static void want_tree(struct measured *m, const struct run *run, struct usage_track *track)
{
    if (!run_lives(run))
        return;
    if (m->count == m->capacity) {
        m->capacity = m->capacity ? m->capacity * 2 : 32;
        m->trees = mem_grow(m->trees, m->capacity, sizeof *m->trees);
        m->tracks = mem_grow(m->tracks, m->capacity, sizeof *m->tracks);
    }
    m->trees[m->count] = (struct usage_tree){.root = run->shim.pid};
    m->tracks[m->count++] = track;
}

static void collect_replicas(struct local *local, struct measured *m)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(local->groups, &at, &key, &value);) {
        struct group *group = value;
        for (size_t i = 0; i < group->count; i++) {
            struct replica *r = group->list[i];
            if (r == NULL)
                continue;
            const struct spec *spec = r->spec ? r->spec : group->spec;
            want_tree(m, &r->run, &r->usage);
            if (spec != NULL)
                usage_track_requests(&r->usage, spec->cpu_request_milli, spec->memory_request_milli);
        }
    }
}

static void collect_jobs(struct local *local, struct measured *m)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(local->jobsets, &at, &key, &value);) {
        struct jobset *set = value;
        for (size_t i = 0; i < set->count; i++) {
            struct job_process *job = set->list[i];
            const struct spec *spec = job->spec ? job->spec : set->spec;
            want_tree(m, &job->run, &job->usage);
            if (spec != NULL)
                usage_track_requests(&job->usage, spec->cpu_request_milli, spec->memory_request_milli);
        }
    }
}

/* Returns whether some process was seen for the first time. */
static bool hand_out(struct local *local, struct measured *m, const pid_t *roots)
{
    bool fresh = false;

    for (size_t i = 0; i < m->count; i++) { /* the trees are sorted now; the tracks are not */
        for (size_t low = 0, high = m->count; low < high;) {
            size_t middle = low + (high - low) / 2;
            if (m->trees[middle].root == roots[i]) {
                usage_track_add(m->tracks[i], &m->trees[middle], local_now_ms(local), loop_ticks_ms(local->loop));
                fresh = fresh || !m->tracks[i]->cpu.has_usage;
                break;
            }
            if (m->trees[middle].root < roots[i])
                low = middle + 1;
            else
                high = middle;
        }
    }
    return fresh;
}

void local_on_usage(void *arg)
{
    struct local *local = arg;
    struct measured m = {0};

    local->usage_armed = false;
    if (loop_ticks_ms(local->loop) > local->usage_wanted_until_ms)
        return;
    collect_replicas(local, &m);
    collect_jobs(local, &m);
    pid_t *roots = mem_array(m.count + 1, sizeof *roots);
    for (size_t i = 0; i < m.count; i++)
        roots[i] = m.trees[i].root;
    if (m.count > 0)
        usage_measure(m.trees, m.count);
    bool fresh = hand_out(local, &m, roots);
    free(roots);
    free(m.trees);
    free(m.tracks);
    local->usage_armed = true;
    loop_timer_set(local->usage_timer, fresh ? USAGE_FIRST_MS : USAGE_PERIOD_MS);
}

void local_want_usage(struct local *local)
{
    local->usage_wanted_until_ms = loop_ticks_ms(local->loop) + USAGE_WANTED_MS;
    if (local->usage_armed)
        return;
    local->usage_armed = true;
    loop_timer_set(local->usage_timer, 0);
}
