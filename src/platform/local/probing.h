/*
 * probing: readiness, liveness and startup of one running process, as the kubelet judges them.
 *
 *     p = probing_start(&context, on_news, replica);
 *     ... probing_ready(p) ...
 *     probing_stop(p);
 *
 * Until the startup probe has succeeded once the others wait. Without a readiness probe a process is ready when it has started.
 * One difference: a process that was never ready is asked every second, so that a short start is not stretched to a period.
 */
#ifndef WEIR_PLATFORM_LOCAL_PROBING_H
#define WEIR_PLATFORM_LOCAL_PROBING_H

#include <stdbool.h>

struct event_base;
struct loop;
struct probing;
struct process_image;
struct spec;
struct transport;

struct
    probing_context { /* spec is referenced; image and shim are borrowed for the call; the rest as long as the probing lives */
    struct loop *loop;
    struct event_base *base;
    struct transport *transport;
    const char *shim;
    struct spec *spec;
    int port; /* the replica's */
    char *const *envp;
    bool adopted;   /* it runs for a while: no startup probe, no initial delays */
    bool was_ready; /* with adopted: it stays ready until its probe says otherwise */
};
enum probing_news {
    PROBING_CHANGED,   /* probing_ready() or the note */
    PROBING_UNHEALTHY, /* liveness or startup failed too often: end it; no more news afterwards */
};
typedef void probing_told(void *arg, enum probing_news news);

/* Never calls told inside. */
struct probing *probing_start(const struct probing_context *context, probing_told *told, void *arg);
void probing_stop(struct probing *probing); /* NULL is fine; allowed inside told */
bool probing_ready(const struct probing *probing);
const char *probing_note(const struct probing *probing); /* why it is not ready, or "" */
/* The grace period when it is unhealthy, or -1: the pod's. */
int probing_grace_s(const struct probing *probing);

#endif
