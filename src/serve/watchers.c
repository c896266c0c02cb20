/* watchers: a short list of those who want to know that something changed. Told in the order in which they came. */
#include "serve/cluster_internal.h"

#include <stdlib.h>

#include "base/arena.h"

struct watcher {
    struct watcher *next;
    watcher_changed *changed;
    void *arg;
};

void watchers_add(struct watchers *watchers, watcher_changed *changed, void *arg)
{
    struct watcher *watcher = mem_alloc(sizeof(*watcher)), **link = &watchers->first;

    watcher->changed = changed;
    watcher->arg = arg;
    while (*link)
        link = &(*link)->next;
    *link = watcher;
}

void watchers_remove(struct watchers *watchers, void *arg)
{
    for (struct watcher **link = &watchers->first; *link;) {
        struct watcher *watcher = *link;

        if (watcher->arg != arg) {
            link = &watcher->next;
            continue;
        }
        *link = watcher->next;
        free(watcher);
    }
}

void watchers_tell(const struct watchers *watchers)
{
    for (const struct watcher *watcher = watchers->first; watcher; watcher = watcher->next)
        watcher->changed(watcher->arg);
}

void watchers_done(struct watchers *watchers)
{
    while (watchers->first)
        watchers_remove(watchers, watchers->first->arg);
}
