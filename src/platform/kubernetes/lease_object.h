/* lease_object: a Lease of coordination.k8s.io, written and read; for lease.c and shards.c. */
#ifndef WEIR_PLATFORM_KUBERNETES_LEASE_OBJECT_H
#define WEIR_PLATFORM_KUBERNETES_LEASE_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct tree;

enum { LEASE_VERSION_BYTES = 64, LEASE_NONCE_BYTES = 24, LEASE_BODY_MAX_BYTES = 64 * 1024 };

/* Who wrote a Lease is told by a nonce of the process beside the holder's name: names may come again, in a pod that was restarted. */
#define LEASE_NONCE_ANNOTATION  "weir.dev/holder"
/* Of a member of a group: the membership by which it owns objects (shards.c). */
#define LEASE_CLAIMS_ANNOTATION "weir.dev/shards-claims"
#define LEASE_GROUP_LABEL       "weir.dev/shards"

struct lease_write {
    const char *name, *ns, *version; /* version NULL: it is created */
    const char *holder, *nonce;
    const char *group, *claims; /* or NULL */
    int64_t duration_ms, acquired_at_ms, renewed_at_ms;
    int64_t transitions;
};
/* The whole object to create it, else a merge patch that is only taken where the version still is this one. */
void lease_write(const struct lease_write *lease, struct text *out);

struct lease_read { /* borrowed from the tree */
    const char *name, *version, *uid, *holder, *nonce;
    const char *claims;  /* NULL: it says nothing */
    int64_t duration_ms; /* `otherwise` where it says nothing believable */
    int64_t transitions;
};
/* False: it is no Lease. */
bool lease_read(const struct tree *object, int64_t otherwise_ms, struct lease_read *out);

/* A nonce nobody else has. */
void lease_nonce(char out[LEASE_NONCE_BYTES]);

#endif
