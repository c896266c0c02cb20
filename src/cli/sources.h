/*
 * sources: the manifests that an operand names, as they are on disk or as they were in git.
 *
 *     policy.yaml                 a file; - is standard input
 *     deploy/                     a folder: its *.yaml, *.yml and *.json files, not its sub-folders
 *     HEAD~1:deploy/policy.yaml   a file or a folder of a revision, as `git show` names it: from the top of the repository
 *     main:./policy.yaml          ... or from here
 *
 * What exists on disk under that very name wins. Blocks.
 */
#ifndef WEIR_CLI_SOURCES_H
#define WEIR_CLI_SOURCES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct error;
struct manifest;
struct report;

struct source_file {
    char *name; /* for messages: the path, or REV:PATH */
    struct text bytes;
};
struct sources {
    struct source_file *files;
    size_t count;
};

/* Adds what the operand names, in the order of names. false: it cannot be read; what was added before stays. */
bool sources_read(struct sources *sources, const char *operand, struct error *err);
void sources_done(struct sources *sources);
/* All of them read as manifests: an array as long as the sources, free each with manifest_free and the array with free. */
struct manifest **sources_manifests(const struct sources *sources, struct report *report);

#endif
