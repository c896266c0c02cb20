/*
 * environment: what a process is started with: its variables, and its arguments with $(VAR) replaced, as Kubernetes does it.
 *
 * First a few variables of Weir's own environment that a program cannot do without (PATH, HOME, LANG ...; nothing else: Weir may
 * hold credentials), then envFrom, then env, whose values may name earlier ones; at last PORT, WEIR_REPLICA, WEIR_POD_NAME,
 * WEIR_NAMESPACE and WEIR_VOLUMES, which a manifest may use but not set.
 * $(VAR) that is not known stays as it is; $$(VAR) becomes $(VAR).
 */
#ifndef WEIR_PLATFORM_LOCAL_ENVIRONMENT_H
#define WEIR_PLATFORM_LOCAL_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct config_store;
struct error;
struct secret;
struct spec;
struct spec_env;

struct replica_identity {
    const char *ns, *pod_name, *ordinal /* "0", or a job's name */, *volumes_dir;
    int port; /* 0: none */
};
struct process_image {
    char **argv, **envp; /* NULL-terminated, in the arena */
};
/* Fails with MISSING when a Secret, ConfigMap or key that is not optional is not there (yet). */
bool environment_make(const struct spec *spec, const struct replica_identity *who, const struct config_store *configs,
                      struct arena *arena, struct process_image *out, struct error *err);
/* Replaces the $(VAR) of a probe's command. */
bool environment_expand(const char *const *strings, char *const *envp, struct arena *arena, char ***out,
                        struct error *err);
/* One variable as every replica has it; false with MISSING: there is none, or what it refers to is not there. */
bool environment_value(const struct spec_env *env, const char *ns, const struct config_store *configs, const char *name,
                       struct secret **out, struct error *err);

#endif
