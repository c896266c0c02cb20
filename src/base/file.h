/*
 * file: the whole of a file that somebody named, or all of some bytes.
 *
 *     struct text bytes;
 *     text_init(&bytes, MANIFEST_FILE_MAX_BYTES);
 *     if (!file_read("policy.yaml", &bytes, err))
 *         ...
 *     text_done(&bytes);
 *
 * Blocks; not for files that may be pipes, "-" apart. Any thread.
 */
#ifndef WEIR_BASE_FILE_H
#define WEIR_BASE_FILE_H

#include <stdbool.h>

#include "base/text.h"

struct error;

/* Appends the bytes of the file, "-" standing for standard input. MISSING: it cannot be opened. LIMIT: it is larger than `out` may be,
   which is MANIFEST_FILE_MAX_BYTES. INTERNAL: it cannot be read. Then `out` has what was read so far. */
bool file_read(const char *path, struct text *out, struct error *err);
/* The same of a path that is looked at while decisions are made: INVALID is one that could keep them waiting, a pipe or a device. */
bool file_read_plain(const char *path, struct text *out, struct error *err);
/* All of the bytes into a descriptor that blocks. false: errno says why. */
bool file_write_all(int fd, const void *bytes, size_t length);
/* The file holds these bytes, or what it held before: they are written beside it first. A link is followed; a pipe or a device is written
   into, for put in its place a file would take it from all others. false: errno says why. */
bool file_replace(const char *path, const void *bytes, size_t length);
/* Whether a folder's entry of this name is a test of policies: *.test.yaml, *.test.yml, and not hidden. */
bool file_is_test(const char *name);
/* Whether a folder's entry of this name is a manifest: *.yaml, *.yml, *.json, not hidden and no test. */
bool file_is_manifest(const char *name);

#endif
