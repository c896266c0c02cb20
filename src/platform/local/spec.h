/*
 * spec: a pod template as this machine runs it, copied out of a manifest, with what is not possible here said in the report.
 *
 * Immutable and counted: replicas that still run an older template keep that one. What depends on the replica or on Secrets
 * and ConfigMaps (environment, arguments, volumes) is made from it at each start: environment.h, volume.h.
 *
 * PORT. Every replica gets a free port in PORT. Where the manifest says that its program listens on PORT (it sets PORT, or
 * mentions $(PORT), $PORT or ${PORT} in command, args or env), or declares no ports, that is the replica's address, and probes
 * that name the declared port mean it, just as a container's port is mapped. Else declared ports are taken as they are.
 */
#ifndef WEIR_PLATFORM_LOCAL_SPEC_H
#define WEIR_PLATFORM_LOCAL_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "manifest/manifest.h"

struct label;
struct arena;
struct report;

struct spec_probe {
    enum probe_kind kind;
    const char *path, *scheme, *port; /* port: number, port's name or "$PORT"; resolved by spec_port */
    struct spec_header {
        const char *name, *value;
    } * headers;
    size_t header_count;
    const char *const *command;
    int32_t initial_delay_s, period_s, timeout_s, success_threshold, failure_threshold, grace_period_s;
};
struct spec_port {
    const char *name; /* "" where unnamed */
    int number;
};
struct spec_volume {
    const char *name, *secret_name, *config_name; /* neither: an empty directory */
    struct spec_item {
        const char *key, *path;
    } * items; /* NULL: all keys, each as a file of its name */
    size_t item_count;
    bool optional;
};
struct spec_env { /* of one container */
    const char *container;
    const struct env_from *from;
    size_t from_count;
    const struct env_var *vars;
    size_t var_count;
};

struct spec {
    struct arena *arena;
    int references;
    uint64_t hash; /* of what a replica must be restarted for */
    const struct label *labels;
    size_t label_count;
    const char *const *command, *const *args; /* NULL-terminated */
    const char *cwd;                          /* absolute */
    struct spec_env env;                      /* of the first container */
    const struct spec_env *others;            /* of the others, for FromEnv of triggers that name one */
    size_t other_count;
    const struct spec_volume *volumes;
    size_t volume_count;
    const struct spec_port *ports;
    size_t port_count;
    bool port_is_mapped;
    int mapped_number; /* the declared number that means PORT; 0: none */
    struct spec_probe readiness, liveness, startup;
    int64_t grace_ms;
    bool restart_never;                              /* restartPolicy Never (jobs) */
    int64_t cpu_request_milli, memory_request_milli; /* -1: none */
};

/* Copies. field: where the template stands ("spec.template"); file_dir: what relative directories are relative to.
   NULL, with errors in the report, when it cannot run here. The caller unrefs. */
struct spec *spec_new(const struct pod_template *template, const struct object_meta *meta, const char *field,
                      const char *file_dir, struct report *report);
struct spec *spec_ref(struct spec *spec);
void spec_unref(struct spec *spec); /* NULL is fine */

/* What a port of a probe means for a replica that has `assigned`; NULL: the replica's address. 0: no such port. */
int spec_port(const struct spec *spec, const char *port, int assigned);

#endif
