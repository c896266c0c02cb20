/*
 * credential: parameters that a TriggerAuthentication supplies, resolved to secrets.
 *
 * Sources built in: env, secretTargetRef, configMapTargetRef. The others (filePath, vaults, cloud secret managers, bound
 * tokens, oauth2, pod identity) are refused by name, so that no trigger runs without the credential its author meant.
 */
#ifndef WEIR_CREDENTIAL_CREDENTIAL_H
#define WEIR_CREDENTIAL_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/platform.h"

struct credential_param {
    const char *name; /* borrowed from the set */
    struct secret *value;
    const char *kind,
        *source; /* where it comes from, for people: "Secret" "db-password", "ConfigMap", "Environment" (of the target's
                                  container); NULL: from plain pairs */
};
/* What one trigger gets. Immutable, counted. */
struct credential {
    struct arena *arena;
    struct credential_param *params;
    size_t param_count;
    const char *pod_identity; /* provider, or NULL */
    int references;
};

struct credential *credential_ref(struct credential *credential);
void credential_unref(struct credential *credential); /* NULL is fine */
const struct secret *credential_get(const struct credential *credential, const char *param);

/* spec: the `spec` of the TriggerAuthentication. ns: where its secrets are looked up. target: for `env`.
   LOOKUP_FOUND: *out is set. LOOKUP_PENDING: ask again when the platform says so. Else *err says which source lacks what. */
struct tree;
enum lookup credential_resolve(struct platform *platform, const char *ns, const struct tree *spec,
                               const struct target_key *target, const char *container, struct credential **out,
                               struct error *err);
/* From plain pairs, for tests and vectors. */
struct credential *credential_from_tree(const struct tree *map_of_strings);

#endif
