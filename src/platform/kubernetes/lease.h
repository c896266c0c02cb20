/*
 * lease: who may write. One Lease object of coordination.k8s.io, held by one Weir at a time; and the members of a group, each with
 * a Lease of its own.
 *
 *     lease_new(kube, &(struct lease_options){.ns = "weir", .name = "weir-leader", .identity = pod, ...});
 *
 * Times and their flags are KEDA's: duration 15 s, renew deadline 10 s, retry 2 s (keda-operator/07). While it is held, the fence of
 * the kube (kube_set_fence) stands at the last renewal that was answered, counted from when it was asked, plus the lease's duration minus
 * LEASE_MARGIN_MS: what a lost leader still sends cannot land after the next one has begun. Others' expiry is judged by our own clock:
 * so long without a change as their Lease says, whatever the times written in it.
 */
#ifndef WEIR_PLATFORM_KUBERNETES_LEASE_H
#define WEIR_PLATFORM_KUBERNETES_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kube;

struct lease_options { /* copied */
    const char *ns, *name, *identity;
    int64_t duration_ms, renew_deadline_ms, retry_ms; /* 0: 15, 10 and 2 s */
    void (*changed)(void *arg, bool held);
    void *arg;
};
struct lease;
struct lease *lease_new(struct kube *kube, const struct lease_options *options);
bool lease_held(const struct lease *lease);
const char *lease_holder(const struct lease *lease); /* as last seen, or "" */
/* Gives it up (holderIdentity becomes empty), so that the next one need not wait; done may be NULL. */
void lease_release(struct lease *lease, void (*done)(void *arg), void *arg);
void lease_free(struct lease *lease);

/* ---- shards: objects spread over the live members of a group by rendezvous hashing ---- */
struct shards_options {
    const char *ns, *group, *identity; /* members are Leases labelled weir.dev/shards=<group> */
    int64_t duration_ms, retry_ms;
    void (*changed)(void *arg); /* who owns what may be otherwise now */
    void *arg;
};
struct shards;
struct shards *shards_new(struct kube *kube, const struct shards_options *options);
/* Is the object ours, now and certainly? Between two owners there is a time in which nobody is: an object that comes to us counts
   only after its former owner has either given it up (its Lease says which membership it has seen) or its Lease has run out. */
bool shards_own(const struct shards *shards, const char *ns, const char *name);
size_t shards_members(const struct shards *shards); /* live ones, ourselves included */
/* Gives everything up: hears what is under way to its end (3 s at most), then says so in our Lease, so that the others take over at
   their next look; they delete it later. done may be NULL. The kube must live until then. */
void shards_leave(struct shards *shards, void (*done)(void *arg), void *arg);
/* Without shards_leave our Lease is only deleted, best effort, and the others wait until it would have run out. */
void shards_free(struct shards *shards);

#endif
