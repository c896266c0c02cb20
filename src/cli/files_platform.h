/*
 * files_platform: manifests as a platform on which nothing runs: their Secrets and ConfigMaps, the environment of their containers, and as
 * many replicas as they say. For commands that ask sources as the running system would, and touch nothing.
 *
 *     struct platform *platform = platform_new_files(&(struct files_platform_options){manifests, count, .replicas = -1});
 *     ...
 *     platform->ops->free(platform);
 *
 * A variable of a container whose workload is not among the manifests is looked up in the environment of this command, for whoever runs it
 * may have it there. Only the first container of a workload is known. Pods are known to nobody here, and nothing may be written.
 */
#ifndef WEIR_CLI_FILES_PLATFORM_H
#define WEIR_CLI_FILES_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

struct manifest;
struct platform;

struct files_platform_options {
    struct manifest *const *manifests; /* borrowed for the platform's life */
    size_t count;
    int64_t replicas; /* of every target; negative: as its workload says, else 0 */
};
struct platform *platform_new_files(const struct files_platform_options *options);

#endif
