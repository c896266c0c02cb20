/*
 * tree: JSON and YAML as nodes that know where they were written.
 *
 *     struct tree *docs;
 *     if (!tree_read_yaml("a.yaml", bytes, length, arena, &docs, &err)) ...
 *     const struct tree *query = tree_at(docs, "0.spec.triggers.0.metadata.query");
 *
 * Manifests, JSON ones included, are read by libyaml (lines are kept); answers of sources by a strict JSON reader (no line
 * numbers). Nodes live in the arena given and are immutable. Numbers keep their raw text, so that 64-bit integers and
 * "1.50" survive. Every function takes NULL for a node and answers "nothing".
 *
 * Bounds: MANIFEST_FILE_MAX_BYTES, TREE_DEPTH_MAX and TREE_NODES_MAX, the last two with aliases expanded. Children of an
 * alias are shared with what it names, so a node may be met twice while walking.
 */
#ifndef WEIR_BASE_TREE_H
#define WEIR_BASE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
struct text;

enum tree_type { TREE_NULL, TREE_BOOL, TREE_NUMBER, TREE_STRING, TREE_LIST, TREE_MAP };

struct tree {
    enum tree_type type;
    bool quoted; /* YAML: the scalar was in quotes or a block; a plain 5 is a number, "5" a string */
    bool boolean;
    int line, column;         /* 1-based; 0 for JSON answers. For a map's value: where the value starts */
    int key_line, key_column; /* where this member's key starts; 0 if not a member */
    const char *key;          /* of a map's member; NULL elsewhere */
    const char *text;         /* TREE_STRING: the string; TREE_NUMBER: as written; may contain 0 bytes, see length */
    size_t length;
    struct tree *first; /* children of a list or map, in the order written */
    struct tree *next;
    size_t count;
    bool repeated_key; /* this member's key was already there; the reader keeps both, tree_get finds the last. Not set
                            where a merge and a member written out have the same key: then only one is left */
};

/* The result is a TREE_LIST of the non-empty documents. Anchors, aliases and merge keys (<<) are resolved, within
   TREE_NODES_MAX. err->where is "file:line:column", kind INVALID or LIMIT. YAML 1.1 core as Kubernetes' reader has it:
   y/n/yes/no/on/off are bools, 0o17 and 017 are octal, ~ and empty are null, what overflows (1e400) is a string; keys become
   strings (on: is "true"). A merge counts where it stands: it replaces members above it, members below replace it. */
bool tree_read_yaml(const char *file, const char *bytes, size_t length, struct arena *arena, struct tree **documents,
                    struct error *err);
/* One JSON value, as Go's encoding/json takes it; kind NONSENSE or LIMIT. trailing: bytes after it are ignored instead of an
   error (Go's stream decoder). */
bool tree_read_json(const char *bytes, size_t length, bool trailing, struct arena *arena, struct tree **out,
                    struct error *err);

const struct tree *tree_get(const struct tree *map, const char *key); /* exact key, or NULL */
const struct tree *tree_get_fold(const struct tree *map,
                                 const char *key); /* as Go's encoding/json: case (of ASCII) ignored */
const struct tree *tree_index(const struct tree *list, size_t index);
const struct tree *tree_at(const struct tree *node, const char *path); /* "data.result.0.value.1" */
size_t tree_count(const struct tree *node);
const char *tree_string(const struct tree *node);         /* of a TREE_STRING, or NULL */
bool tree_number(const struct tree *node, double *value); /* TREE_NUMBER, or TREE_STRING with Go's ParseFloat syntax */
/* TREE_NUMBER with an integer literal in range; in YAML also 5.0 and 1e3, which Kubernetes takes for integers there. */
bool tree_integer(const struct tree *node, int64_t *value);
bool tree_bool(const struct tree *node, bool *value);
const char *tree_type_name(enum tree_type type); /* "a number", "a list" ... for messages */

/* Go's strconv.ParseFloat: also Inf, NaN, hex floats with p, 1_000; whole string, no blanks; false when out of range. */
bool number_parse(const char *string, size_t length, double *value);

/* Compact, in the order written, repeated keys included; YAML's other number forms as JSON numbers, .inf and .nan as null. */
void tree_write_json(const struct tree *node, struct text *out);
/* Overwrites what a tree of tree_read_json says, for it lies in memory that is used again; NULL is fine. */
void tree_wipe(const struct tree *node);
/* In blocks, so that it reads back as the same tree. false: it does not fit, or is no Unicode, and what was written is of no use. */
bool tree_write_yaml(const struct tree *node, struct text *out);

#endif
