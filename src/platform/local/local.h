/*
 * local: Deployments and StatefulSets as processes on this machine (ARCHITECTURE.md, "The local platform").
 *
 * Each replica runs under a weir-shim, so that it outlives a crash of Weir and is adopted by the next one:
 *
 *     data_dir/local/.lock, events.log
 *     data_dir/local/<namespace>/<kind>.<name>/workload              the file it comes from, the count it was scaled to
 *     data_dir/local/<namespace>/<kind>.<name>/<ordinal>/            process, exit, log, log.1 (written by the shim), lock (held
 *                                                                    by the shim while it lives), replica, volumes/
 *     data_dir/local/<namespace>/ScaledJob.<name>/<job>/             the same, with `job` for `replica`
 */
#ifndef WEIR_PLATFORM_LOCAL_LOCAL_H
#define WEIR_PLATFORM_LOCAL_LOCAL_H

#include <stdbool.h>

struct error;
struct loop;
struct platform;
struct transport;

struct local_options {
    const char *data_dir;
    const char *shim; /* path of weir-shim; NULL: beside this executable */
    const char
        *base_dir; /* what a relative workingDir or command is relative to when the manifest has no file; NULL: cwd */
};
bool platform_new_local(struct loop *real, struct transport *transport, const struct local_options *options,
                        struct platform **out, struct error *err);

#endif
