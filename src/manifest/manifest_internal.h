/*
 * What the files of manifest/ share: the reading of one file, paths, findings, and the tables of fields.
 *
 * A table of fields says of one struct which names there are, what type each has, its range or words, whether it must be
 * there and where its value goes. schema_read() walks a node along such a table. So unknown and misplaced fields, wrong
 * types, ranges, words and duplicate keys are found in one place, and a new field is one row.
 *
 *     #define SCHEMA_STRUCT struct target_ref
 *     static const struct field target_fields[] = {
 *         {"name", FIELD_TEXT(name), .required = true, .filled = true},
 *         {"kind", FIELD_TEXT(kind), .unset_text = "Deployment"},
 *         {0},
 *     };
 *     static const struct schema target_schema = {.fields = target_fields};
 *     #undef SCHEMA_STRUCT
 */
#ifndef WEIR_MANIFEST_INTERNAL_H
#define WEIR_MANIFEST_INTERNAL_H

#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "base/tree.h"
#include "manifest/manifest.h"

/* ---- where we are ---- */

/* A step on the way from the document's root to a node; lives on the stack of the reader, the root step has no key. */
struct path {
    const struct path *up;
    const char *key; /* of a map's member, or NULL: an item of a list */
    int index;
    const struct tree *node; /* NULL: absent */
};

struct schema;

/* One file being read; `object` and what follows it belong to the document at hand. */
struct reading {
    struct manifest *manifest;
    struct arena *arena;
    struct report *report;
    const struct manifest_options *options;
    const char *object; /* "ScaledObject shop/checkout" */
    const char *prefix; /* of all paths: "" or "items[1]." */
    int doc;
    const struct schema *root; /* of this kind: where misplaced fields are looked for */
    size_t errors;             /* found in this object so far */
    size_t findings;           /* in the whole file, up to MANIFEST_FINDINGS_MAX */
    bool scan_placeholders;    /* off inside pod templates, where ${X} is the shell's */
    bool hide_values;          /* a Secret: no finding may quote a value */
};

/* Adds a finding about the node at the end of a path; where that is absent, line and column are the nearest step's. */
void complain(struct reading *r, enum finding_severity severity, const char *code, const struct path *path,
              const char *remedy, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* The same, pointing at the member's key instead of its value. */
void complain_key(struct reading *r, enum finding_severity severity, const char *code, const struct path *path,
                  const char *remedy, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* "spec.triggers[1].metadata.query", without the prefix; in the arena. */
const char *path_text(struct reading *r, const struct path *path);
struct place place_of(const struct reading *r, const struct tree *node);
struct path path_member(const struct path *up, const char *key, const struct tree *node);
struct path path_item(const struct path *up, int index, const struct tree *node);

/* ---- tables of fields ---- */

enum field_type {
    TYPE_ANY, /* known, and not looked at; the node may be kept */
    TYPE_TEXT,
    TYPE_INT,  /* int32 */
    TYPE_LONG, /* int64 */
    TYPE_BOOL,
    TYPE_QUANTITY, /* "500m" or a number; kept as text */
    TYPE_PORT,     /* a number or a name; kept as text */
    TYPE_TEXTS,    /* a list of strings, NULL-terminated */
    TYPE_TEXT_MAP, /* the map itself is kept, without what is not a string */
    TYPE_MAP,      /* read along `schema` into the struct at `offset` */
    TYPE_TREE,     /* checked along `schema` (NULL: any mapping), the node itself is kept */
    TYPE_LIST,     /* a list of maps; an array of structs is made */
    TYPE_RETIRED,  /* of an older KEDA; `remedy` says what became of it */
};

struct field {
    const char *name;
    enum field_type type;
    size_t offset, count_offset; /* NOWHERE: only checked. count_offset of a TYPE_TEXT_MAP: a bool for `unclear` */
    bool required, filled;       /* filled: the empty text is refused */
    bool implied;                /* TYPE_MAP: absence is an empty mapping, so that its required fields are asked for */
    bool
        read_by_check; /* TYPE_TREE, TYPE_LIST: the struct's check reads it; the table serves the search for misplaced fields */
    bool seconds;             /* a count of seconds: "2m" is answered with 120 */
    bool literal;             /* text in a language of its own: fewer guesses about placeholders */
    int64_t min, max;         /* of numbers; max 0: the type's */
    int64_t unset;            /* numbers: the value that stands for absence */
    const char *unset_text;   /* TYPE_TEXT likewise */
    const char *const *words; /* TYPE_TEXT: the only values allowed, NULL-terminated */
    const struct schema *schema;
    const char *remedy;
};

/* Rules between fields, and conclusions; called after the fields were read, out as given to schema_read. */
typedef void schema_check(struct reading *r, const struct path *path, void *out);

struct schema {
    const struct field *fields; /* ends with {0} */
    bool open;                  /* other fields exist and are none of our business */
    const char *inner;          /* the member to which an unknown field probably belongs */
    size_t size;                /* of a list's element */
    schema_check *check;
};

#define NOWHERE ((size_t)-1)
/* A member of another type than the row says does not compile without a warning. */
#define FIELD_AT(member, kind)                                                                                         \
    (offsetof(SCHEMA_STRUCT, member) + 0 * sizeof((kind *)0 == &((SCHEMA_STRUCT *)0)->member))
#define FIELD_ANY()         .type = TYPE_ANY, .offset = NOWHERE
#define FIELD_NODE(member)  .type = TYPE_ANY, .offset = FIELD_AT(member, const struct tree *)
#define FIELD_TEXT(member)  .type = TYPE_TEXT, .offset = FIELD_AT(member, const char *)
#define FIELD_INT(member)   .type = TYPE_INT, .offset = FIELD_AT(member, int32_t)
#define FIELD_LONG(member)  .type = TYPE_LONG, .offset = FIELD_AT(member, int64_t)
#define FIELD_BOOL(member)  .type = TYPE_BOOL, .offset = FIELD_AT(member, bool)
#define FIELD_PORT(member)  .type = TYPE_PORT, .offset = FIELD_AT(member, const char *)
#define FIELD_TEXTS(member) .type = TYPE_TEXTS, .offset = FIELD_AT(member, const char *const *), .count_offset = NOWHERE
#define FIELD_COUNTED_TEXTS(member, count)                                                                             \
    .type = TYPE_TEXTS, .offset = FIELD_AT(member, const char *const *), .count_offset = FIELD_AT(count, size_t)
#define FIELD_TEXT_MAP(member)                                                                                         \
    .type = TYPE_TEXT_MAP, .offset = FIELD_AT(member, const struct tree *), .count_offset = NOWHERE
#define FIELD_CLEAR_TEXT_MAP(member, unclear)                                                                          \
    .type = TYPE_TEXT_MAP, .offset = FIELD_AT(member, const struct tree *), .count_offset = FIELD_AT(unclear, bool)
#define FIELD_TREE(member, table)   .type = TYPE_TREE, .offset = FIELD_AT(member, const struct tree *), .schema = (table)
#define FIELD_STRUCT(member, table) .type = TYPE_MAP, .offset = offsetof(SCHEMA_STRUCT, member), .schema = (table)
#define FIELD_GROUP(table)          .type = TYPE_MAP, .offset = 0, .schema = (table) /* its fields go into this struct */
#define FIELD_LIST(member, count, table)                                                                               \
    .type = TYPE_LIST, .offset = offsetof(SCHEMA_STRUCT, member), .count_offset = FIELD_AT(count, size_t),             \
    .schema = (table)
/* Only checked: */
#define CHECK_TEXT()      .type = TYPE_TEXT, .offset = NOWHERE
#define CHECK_INT()       .type = TYPE_INT, .offset = NOWHERE
#define CHECK_BOOL()      .type = TYPE_BOOL, .offset = NOWHERE
#define CHECK_QUANTITY()  .type = TYPE_QUANTITY, .offset = NOWHERE
#define CHECK_TEXTS()     .type = TYPE_TEXTS, .offset = NOWHERE, .count_offset = NOWHERE
#define CHECK_TEXT_MAP()  .type = TYPE_TEXT_MAP, .offset = NOWHERE, .count_offset = NOWHERE
#define CHECK_MAP(table)  .type = TYPE_MAP, .offset = NOWHERE, .schema = (table)
#define CHECK_LIST(table) .type = TYPE_LIST, .offset = NOWHERE, .count_offset = NOWHERE, .schema = (table)

/* Reads a mapping (NULL: an empty one) along its table. out NULL: only checks. */
void schema_read(struct reading *r, const struct schema *schema, const struct path *path, void *out);
/* A mapping of strings, cleaned of members that are null or not strings (which are findings). Numbers and booleans are kept
   as the text that was probably meant, so that one missing pair of quotes does not hide other faults. *unclear: some member
   was left out that had a value. */
const struct tree *read_text_map(struct reading *r, const struct path *path, bool *unclear);
/* What a scalar should have been: the text for it, or NULL and a finding. */
const char *read_text(struct reading *r, const struct path *path, bool literal);
/* The path at which a field of that name belongs, nearest to `path`, e.g. "spec.triggers[0].metricType"; NULL: nowhere.
   generic names (name, type ...) only count one step away. value: what is written there, or NULL; a field that can hold it is
   preferred. */
const char *belongs_at(struct reading *r, const struct path *path, const char *name, const struct tree *value);

/* ---- placeholders.c ---- */
/* The first thing in a text that a template engine or a shell should have replaced, or NULL: "${REGION}", in the arena. */
const char *placeholder_in(struct arena *arena, const char *text, bool literal);
/* Does a line of the file hold a template expression? Answers with its number, 0: no. */
int template_line(const char *bytes, size_t length);
/* {name} in YAML: a mapping with one member without value. */
bool is_brace_placeholder(const struct tree *node);

/* ---- the kinds ---- */
extern const struct schema scaled_object_schema, scaled_job_schema, trigger_auth_schema, behavior_schema,
    event_source_schema;
extern const struct schema deployment_schema, stateful_set_schema, job_spec_schema, secret_schema, config_map_schema;

/* The rows every kind begins with: apiVersion, kind, metadata, status. */
extern const struct schema metadata_schema;
#define ROOT_FIELDS(struct_type)                                                                                       \
    {"apiVersion", FIELD_ANY()}, {"kind", FIELD_ANY()},                                                                \
        {"metadata", .type = TYPE_MAP, .offset = offsetof(struct_type, meta), .schema = &metadata_schema,              \
         .implied = true},                                                                                             \
    {                                                                                                                  \
        "status", FIELD_ANY()                                                                                          \
    }

/* admission.c: KEDA's rules between the fields of one object. */
void admit_scaled_object(struct reading *r, const struct path *root, const struct scaled_object *object);
void admit_scaled_job(struct reading *r, const struct path *root, const struct scaled_job *job);
/* local.c: what a workload asks for that one machine without containers cannot give. */
void check_local_template(struct reading *r, const struct path *template_path, const struct pod_template *template);
void check_local_volume_claims(struct reading *r, const struct path *spec_path, const struct pod_template *template);
void check_local_target(struct reading *r, const struct path *target_path, const struct target_ref *target);

#endif
