/*
 * read: from the bytes of a file to objects. Documents are found, Lists opened, kinds told apart and handed to their tables.
 *
 *     bytes -> documents -> (items of a List) -> kind -> schema_read -> kept in the manifest
 *
 * A file with one broken document is read again document by document, so that the others are checked, and live on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/map.h"
#include "manifest/manifest_internal.h"

/* ------------------------------------------------------------------ keeping objects */

/* One more element at the end; the array doubles, and its old place stays in the arena unused. */
static void *keep(struct arena *arena, void *array, size_t *count, size_t size, const void *element)
{
    if ((*count & (*count - 1)) == 0) {
        void *larger = arena_array(arena, *count ? *count * 2 : 1, size);

        if (*count)
            memcpy(larger, array, *count * size);
        array = larger;
    }
    memcpy((char *)array + (*count)++ * size, element, size);
    return array;
}

static void keep_scaled_object(struct manifest *m, const void *e)
{
    m->scaled_objects = keep(m->arena, m->scaled_objects, &m->scaled_object_count, sizeof(struct scaled_object), e);
}

static void keep_scaled_job(struct manifest *m, const void *e)
{
    m->scaled_jobs = keep(m->arena, m->scaled_jobs, &m->scaled_job_count, sizeof(struct scaled_job), e);
}

static void keep_trigger_auth(struct manifest *m, const void *e)
{
    m->trigger_auths = keep(m->arena, m->trigger_auths, &m->trigger_auth_count, sizeof(struct trigger_auth), e);
}

static void keep_workload(struct manifest *m, const void *e)
{
    m->workloads = keep(m->arena, m->workloads, &m->workload_count, sizeof(struct workload), e);
}

static void keep_config(struct manifest *m, const void *e)
{
    m->configs = keep(m->arena, m->configs, &m->config_count, sizeof(struct config_data), e);
}

static void keep_event_source(struct manifest *m, const void *e)
{
    m->event_sources = keep(m->arena, m->event_sources, &m->event_source_count, sizeof(struct event_source), e);
}

/* ------------------------------------------------------------------ kinds */

struct kind {
    const char *name, *api_version;
    const struct schema *schema;
    void (*keep)(struct manifest *, const void *element);
    size_t meta; /* where its struct object_meta is */
    bool keda, cluster;
};
static const struct kind kinds[] = {
    {"ScaledObject", "keda.sh/v1alpha1", &scaled_object_schema, keep_scaled_object,
     offsetof(struct scaled_object, meta), .keda = true},
    {"ScaledJob", "keda.sh/v1alpha1", &scaled_job_schema, keep_scaled_job, offsetof(struct scaled_job, meta),
     .keda = true},
    {"TriggerAuthentication", "keda.sh/v1alpha1", &trigger_auth_schema, keep_trigger_auth,
     offsetof(struct trigger_auth, meta), .keda = true},
    {"ClusterTriggerAuthentication", "keda.sh/v1alpha1", &trigger_auth_schema, keep_trigger_auth,
     offsetof(struct trigger_auth, meta), .keda = true, .cluster = true},
    {"CloudEventSource", "eventing.keda.sh/v1alpha1", &event_source_schema, keep_event_source,
     offsetof(struct event_source, meta), .keda = true},
    {"ClusterCloudEventSource", "eventing.keda.sh/v1alpha1", &event_source_schema, keep_event_source,
     offsetof(struct event_source, meta), .keda = true, .cluster = true},
    {"Deployment", "apps/v1", &deployment_schema, keep_workload, offsetof(struct workload, meta)},
    {"StatefulSet", "apps/v1", &stateful_set_schema, keep_workload, offsetof(struct workload, meta)},
    {"Secret", "v1", &secret_schema, keep_config, offsetof(struct config_data, meta)},
    {"ConfigMap", "v1", &config_map_schema, keep_config, offsetof(struct config_data, meta)},
};
enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]) };

static bool is_keda_group(const char *api_version)
{
    return string_starts(api_version, "keda.sh/") || string_starts(api_version, "keda.k8s.io/") ||
           string_starts(api_version, "eventing.keda.sh/");
}

/* The versions that were before: KEDA 1, and workloads before Kubernetes 1.16. */
static bool is_old(const struct kind *kind, const char *api_version)
{
    if (kind->keda)
        return string_starts(api_version, "keda.k8s.io/");
    return kind->schema == &deployment_schema || kind->schema == &stateful_set_schema
               ? strcmp(api_version, "extensions/v1beta1") == 0 || string_starts(api_version, "apps/v1beta")
               : false;
}

static void complain_unknown_kind(struct reading *r, const struct path *root, const char *kind, const char *api_version)
{
    const char *names[KIND_COUNT];
    struct path at = path_member(root, "kind", tree_get(root->node, "kind"));
    const char *near;
    size_t count = 0;

    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (kinds[i].keda)
            names[count++] = kinds[i].name;
    }
    near = string_nearest(kind, names, count);
    complain(r, FINDING_ERROR, "unknown-kind", &at, near ? arena_printf(r->arena, "write %s", near) : NULL,
             "there is no kind %s in %s%s%s%s", kind, api_version, near ? "; did you mean " : "", near ? near : "",
             near ? "?" : "");
}

/* The kind of a document, or NULL: not ours, or not known (then a finding says so). */
static const struct kind *find_kind(struct reading *r, const struct path *root, const char *kind,
                                    const char *api_version)
{
    struct path at = path_member(root, "apiVersion", tree_get(root->node, "apiVersion"));
    const struct kind *k = NULL;

    for (size_t i = 0; i < KIND_COUNT && !k; i++)
        k = strcmp(kinds[i].name, kind) == 0 ? &kinds[i] : NULL;
    if (!k) {
        if (is_keda_group(api_version))
            complain_unknown_kind(r, root, kind, api_version);
        return NULL;
    }
    if (strcmp(k->api_version, api_version) == 0)
        return k;
    if (is_old(k, api_version)) {
        complain(r, FINDING_ERROR, "deprecated-api", &at,
                 arena_printf(r->arena, "write apiVersion: %s", k->api_version),
                 "%s is no longer served: %s is in %s now", api_version, kind, k->api_version);
        return k;
    }
    if (k->keda) {
        complain(r, FINDING_ERROR, "unknown-api", &at, arena_printf(r->arena, "write apiVersion: %s", k->api_version),
                 "there is no %s in %s: it is in %s", kind, api_version, k->api_version);
        return k;
    }
    return NULL; /* somebody else's kind of that name */
}

/* ------------------------------------------------------------------ identity */

/* Depth is bounded by the reader (TREE_DEPTH_MAX). */
static uint64_t hash_tree(uint64_t seed, const struct tree *node)
{
    unsigned char type = node ? (unsigned char)node->type : 0;

    seed = hash_bytes(seed, &type, 1);
    if (!node)
        return seed;
    if (node->type == TREE_BOOL)
        return hash_bytes(seed, &node->boolean, sizeof(node->boolean));
    if (node->text)
        return hash_bytes(seed, node->text, node->length);
    for (const struct tree *child = node->first; child; child = child->next)
        seed = hash_tree(hash_string(seed, child->key ? child->key : ""), child);
    return seed;
}

uint64_t manifest_hash(const struct tree *node)
{
    return hash_tree(0, node);
}

/* Changes when what the object says does: spec and annotations; of a Secret or ConfigMap the data. */
static uint64_t generation_of(const struct tree *node, const struct object_meta *meta)
{
    static const char *const parts[] = {"spec", "data", "stringData", "binaryData"};
    uint64_t hash = hash_tree(0, meta->annotations);

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        hash = hash_tree(hash, tree_get(node, parts[i]));
    return hash;
}

/* DNS-1123: labels of lower-case letters, digits and dashes, divided by dots where `dots` allows. */
static bool is_dns_name(const char *name, bool dots, size_t max)
{
    char before = '.';

    if (!name[0] || strlen(name) > max)
        return false;
    for (const char *c = name; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9');

        if (!letter && *c != '-' && !(dots && *c == '.'))
            return false;
        if (!letter && (before == '.' || (*c == '.' && before == '-')))
            return false;
        before = *c;
    }
    return before != '-' && before != '.';
}

enum { NAME_MAX_BYTES = 253, NAMESPACE_MAX_BYTES = 63 };

static void check_name(struct reading *r, const struct path *root, const char *key, const char *name, bool dots,
                       size_t max)
{
    struct path metadata = path_member(root, "metadata", tree_get(root->node, "metadata"));
    struct path at = path_member(&metadata, key, tree_get(metadata.node, key));

    if (name && at.node && at.node->type == TREE_STRING && name[0] && !is_dns_name(name, dots, max) &&
        !placeholder_in(r->arena, name, false))
        complain(r, FINDING_ERROR, "invalid-name", &at, NULL,
                 "%s must be lower-case letters, digits and dashes%s, with a letter or digit at both ends, at most %zu "
                 "characters: %s",
                 key, dots ? " (and dots)" : "", max, name);
}

static const char *own_namespace(const struct reading *r, const struct kind *kind, const char *written)
{
    if (kind->cluster)
        return "";
    if (written && written[0])
        return written;
    return r->options->default_namespace ? r->options->default_namespace : "default";
}

/* What findings call the object, before it is read. */
static const char *object_title(struct reading *r, const struct kind *kind, const struct tree *node)
{
    const struct tree *metadata = tree_get(node, "metadata");
    const char *name = tree_string(tree_get(metadata, "name"));
    const char *ns = own_namespace(r, kind, tree_string(tree_get(metadata, "namespace")));

    if (!name)
        return kind->name;
    return arena_printf(r->arena, "%s %s%s%s", kind->name, ns, ns[0] ? "/" : "", name);
}

/* ------------------------------------------------------------------ one object */

static void read_object(struct reading *r, const struct kind *kind, const struct path *root, const char *api_version)
{
    void *object = arena_alloc(r->arena, kind->schema->size);
    struct object_meta *meta = (struct object_meta *)((char *)object + kind->meta);

    meta->kind = kind->name;
    meta->api_version = api_version;
    meta->place = place_of(r, root->node);
    meta->path_prefix = r->prefix;
    meta->tree = root->node;
    r->root = kind->schema;
    r->scan_placeholders = kind->keda;
    r->hide_values = kind->schema == &secret_schema;
    schema_read(r, kind->schema, root, object);
    meta->ns = own_namespace(r, kind, meta->ns);
    if (!meta->name)
        meta->name = "";
    check_name(r, root, "name", meta->name, true, NAME_MAX_BYTES);
    check_name(r, root, "namespace", meta->ns, false, NAMESPACE_MAX_BYTES);
    meta->generation = generation_of(root->node, meta);
    meta->broken = r->errors > 0;
    r->hide_values = false;
    r->scan_placeholders = false;
    kind->keep(r->manifest, object);
}

/* A document's own apiVersion or kind; NULL, and a finding where it is not a text. */
static const char *root_text(struct reading *r, const struct path *root, const char *name, const char *inherited)
{
    struct path at = path_member(root, name, tree_get(root->node, name));

    if (!at.node || at.node->type == TREE_NULL)
        return inherited;
    return read_text(r, &at, false);
}

static void complain_untyped(struct reading *r, const struct path *root, const char *api_version, const char *kind)
{
    struct path at = path_member(root, api_version ? "kind" : "apiVersion", NULL);
    bool ours = tree_get(root->node, "spec") || api_version || kind;

    if (ours && r->errors == 0)
        complain(r, FINDING_ERROR, "missing-required", &at, NULL, "%s is required",
                 api_version ? "kind"
                 : kind      ? "apiVersion"
                             : "apiVersion and kind");
    else if (r->errors == 0)
        complain(r, FINDING_WARNING, "not-a-manifest", root, "keep other YAML files out of the folder",
                 "this document has neither apiVersion nor kind: it is not a Kubernetes object, and is skipped");
}

static void read_document(struct reading *r, const struct tree *node, const char *prefix, const char *api_version,
                          const char *kind);

static void read_items(struct reading *r, const struct tree *items, const char *prefix, const char *api_version,
                       const char *kind)
{
    bool untyped = strcmp(kind, "List") == 0;
    const char *item_kind = untyped ? NULL : arena_copy_bytes(r->arena, kind, strlen(kind) - strlen("List"));
    int index = 0;

    for (const struct tree *item = items->first; item; item = item->next)
        read_document(r, item, arena_printf(r->arena, "%sitems[%d].", prefix, index++), untyped ? NULL : api_version,
                      item_kind);
}

/* Recursion is bounded by the depth of the tree. */
static void read_document(struct reading *r, const struct tree *node, const char *prefix, const char *api_version,
                          const char *kind)
{
    struct path root = {.node = node};
    const struct tree *items;
    const struct kind *k;

    r->prefix = prefix;
    r->object = NULL;
    r->errors = 0;
    r->root = NULL;
    r->scan_placeholders = r->hide_values = false;
    if (node->type != TREE_MAP) {
        complain(r, FINDING_ERROR, "not-a-manifest", &root, "write a mapping with apiVersion, kind, metadata and spec",
                 "a Kubernetes object is a mapping, not %s", tree_type_name(node->type));
        return;
    }
    api_version = root_text(r, &root, "apiVersion", api_version);
    kind = root_text(r, &root, "kind", kind);
    items = tree_get(node, "items");
    if (kind && string_ends(kind, "List") && items && items->type == TREE_LIST) {
        read_items(r, items, prefix, api_version, kind);
        return;
    }
    if (!kind || !api_version) {
        complain_untyped(r, &root, api_version, kind);
        for (size_t i = 0; kind && i < KIND_COUNT; i++) {
            if (kinds[i].keda && strcmp(kinds[i].name, kind) == 0) {
                r->object = object_title(r, &kinds[i], node);
                read_object(r, &kinds[i], &root, kinds[i].api_version);
            }
        }
        return;
    }
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strcmp(kinds[i].name, kind) == 0)
            r->object = object_title(r, &kinds[i], node);
    }
    k = find_kind(r, &root, kind, api_version);
    if (k)
        read_object(r, k, &root, api_version);
    else
        r->manifest->other_count++;
}

/* ------------------------------------------------------------------ files that are not YAML */

/* "file:12:7" -> 12, 7. */
static void parse_where(const char *where, int *line, int *column)
{
    const char *last = strrchr(where, ':'), *before = last;

    *line = *column = 0;
    if (!last)
        return;
    while (before > where && before[-1] != ':')
        before--;
    if (before == where)
        return;
    *line = (int)strtol(before, NULL, 10);
    *column = (int)strtol(last + 1, NULL, 10);
}

static const char *line_start(const char *bytes, size_t length, int line)
{
    const char *at = bytes, *end = bytes + length;

    for (int i = 1; i < line && at < end; i++) {
        const char *next = memchr(at, '\n', (size_t)(end - at));

        at = next ? next + 1 : end;
    }
    return at;
}

static bool line_has_tab(const char *bytes, size_t length, int line)
{
    const char *at = line_start(bytes, length, line);

    while (at < bytes + length && *at == ' ')
        at++;
    return at < bytes + length && *at == '\t';
}

/* The commonest reasons, in words for somebody who does not know the grammar of YAML. */
static const char *syntax_hint(struct reading *r, const char *bytes, size_t length, int line)
{
    int template = template_line(bytes, length);

    if (template)
        return arena_printf(
            r->arena,
            "line %d has a template expression {{ }}: render the template first (helm template) and check the result",
            template);
    if (line_has_tab(bytes, length, line))
        return "indent with blanks: YAML does not allow tabs there";
    return "look at the indentation and the quotes of this line and of the one before";
}

static void complain_syntax(struct reading *r, const struct error *err, const char *bytes, size_t length,
                            int lines_before)
{
    struct finding about = {.severity = FINDING_ERROR, .code = "yaml-syntax", .place = place_of(r, NULL)};
    const char *hint;

    parse_where(err->where, &about.place.line, &about.place.column);
    if (err->kind == ERROR_LIMIT)
        about.code = "limit";
    hint = syntax_hint(r, bytes, length, about.place.line);
    about.place.line += about.place.line ? lines_before : 0;
    report_add(r->report, &about, about.place.line ? arena_printf(r->arena, "line %d", about.place.line) : "",
               err->kind == ERROR_LIMIT ? NULL : hint, "line %d: %s", about.place.line, err->text);
    r->findings++;
}

/* ------------------------------------------------------------------ documents */

static void shift_lines(struct tree *node, int lines)
{
    node->line += lines;
    node->key_line += node->key_line ? lines : 0;
    for (struct tree *child = node->first; child; child = child->next)
        shift_lines(child, lines);
}

static void read_documents(struct reading *r, struct tree *documents, int lines_before)
{
    for (struct tree *document = documents->first; document; document = document->next, r->doc++) {
        if (lines_before)
            shift_lines(document, lines_before);
        read_document(r, document, "", NULL, NULL);
    }
}

static bool starts_document(const char *at, const char *end)
{
    return end - at >= 3 && memcmp(at, "---", 3) == 0 && (end - at == 3 || strchr(" \t\r\n", at[3]));
}

/* Some document is broken: each on its own. Block texts cannot hold a line that starts with ---, so this is how YAML divides. */
static void read_separately(struct reading *r, const char *bytes, size_t length)
{
    const char *end = bytes + length, *start = bytes, *at = bytes;
    int line = 0, start_line = 0;

    while (at < end) {
        const char *next = memchr(at, '\n', (size_t)(end - at));

        next = next ? next + 1 : end;
        line++;
        if (next == end || starts_document(next, end)) {
            struct tree *documents;
            struct error err;

            if (tree_read_yaml(r->manifest->file, start, (size_t)(next - start), r->arena, &documents, &err)) {
                read_documents(r, documents, start_line);
            } else if (r->findings < MANIFEST_FINDINGS_MAX) {
                complain_syntax(r, &err, start, (size_t)(next - start), start_line);
                r->doc++;
            }
            start = next;
            start_line = line;
        }
        at = next;
    }
}

static bool too_long(struct reading *r, size_t length)
{
    if (length <= MANIFEST_FILE_MAX_BYTES)
        return false;
    report_add(r->report, &(struct finding){.severity = FINDING_ERROR, .code = "limit", .place = place_of(r, NULL)}, "",
               "divide it into several files", "the file has %zu bytes; %d are allowed (MANIFEST_FILE_MAX_BYTES)",
               length, MANIFEST_FILE_MAX_BYTES);
    return true;
}

void manifest_read(const char *file, const char *bytes, size_t length, const struct manifest_options *options,
                   struct report *report, struct manifest **out)
{
    static const struct manifest_options usual = {0};
    struct arena *arena = arena_new(ARENA_USUAL);
    struct manifest *m = arena_alloc(arena, sizeof(*m));
    struct reading r = {
        .manifest = m, .arena = arena, .report = report, .options = options ? options : &usual, .prefix = ""};
    struct error err;

    m->arena = arena;
    m->file = arena_copy(arena, file);
    *out = m;
    if (too_long(&r, length))
        return;
    if (length >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        bytes += 3; /* a byte order mark, as editors on Windows write it */
        length -= 3;
    }
    if (tree_read_yaml(m->file, bytes, length, arena, &m->documents, &err))
        read_documents(&r, m->documents, 0);
    else
        read_separately(&r, bytes, length);
}

/* The object as the only document: a copy of its node alone, since a node knows what stands beside it. */
static struct tree *as_documents(struct arena *arena, const struct tree *object)
{
    struct tree *documents = arena_alloc(arena, sizeof(*documents)), *only = arena_alloc(arena, sizeof(*only));

    *only = *object;
    only->next = NULL;
    only->key = NULL;
    documents->type = TREE_LIST;
    documents->first = only;
    documents->count = 1;
    return documents;
}

void manifest_read_tree(const char *file, const struct tree *object, const struct manifest_options *options,
                        struct report *report, struct manifest **out)
{
    static const struct manifest_options usual = {0};
    struct arena *arena = arena_new(ARENA_USUAL);
    struct manifest *m = arena_alloc(arena, sizeof(*m));
    struct reading r = {
        .manifest = m, .arena = arena, .report = report, .options = options ? options : &usual, .prefix = ""};

    m->arena = arena;
    m->file = arena_copy(arena, file);
    m->documents = as_documents(arena, object);
    read_documents(&r, m->documents, 0);
    *out = m;
}

void manifest_free(struct manifest *manifest)
{
    if (manifest)
        arena_free(manifest->arena); /* the manifest itself is in it */
}
