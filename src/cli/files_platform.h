/*
 * files_platform: manifests as a platform on which nothing runs: their Secrets and ConfigMaps, the environment of their containers, and as
 * many replicas as they say. For commands that ask sources as the running system would, and touch nothing.
 *
 *     struct platform *platform = platform_new_files(&(struct files_platform_options){manifests, count, .replicas = -1});
 *     ...
 *     platform->ops->free(platform);
 *
 * A variable of a container whose workload is not among the manifests is looked up in the environment of this command, if whoever runs it
 * named that variable: what a manifest reads it also sends, to servers that it names itself. Only the first container of a workload is known.
 * Pods are known to nobody here, and nothing may be written.
 */
#ifndef WEIR_CLI_FILES_PLATFORM_H
#define WEIR_CLI_FILES_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct manifest;
struct platform;

struct files_platform_options {
    struct manifest *const *manifests; /* borrowed for the platform's life */
    size_t count;
    int64_t replicas;          /* of every target; negative: as its workload says, else 0 */
    const char *own_variables; /* of this command's environment that they may have: names with commas; NULL: none */
};
struct platform *platform_new_files(const struct files_platform_options *options);
/* Is it one of own_variables? */
bool variable_is_named(const char *own_variables, const char *name);

#endif
