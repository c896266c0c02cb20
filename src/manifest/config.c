/*
 * config: Secret and ConfigMap, as keys and bytes. `data` of a Secret is base64, `stringData` plain and stronger; a ConfigMap
 * has text in `data` and base64 in `binaryData`. No finding quotes a value of a Secret.
 */
#include <string.h>

#include "base/map.h"
#include "manifest/manifest_internal.h"

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Go's standard decoder: line ends are skipped, padding is due, nothing else is let through. */
static bool decode_base64(struct arena *arena, const char *text, size_t length, const char **out, size_t *out_length)
{
    char *bytes = arena_alloc(arena, length / 4 * 3 + 4);
    size_t filled = 0, digits = 0, padding = 0;
    unsigned bits = 0;

    for (size_t i = 0; i < length; i++) {
        int value = base64_value(text[i]);

        if (text[i] == '\n' || text[i] == '\r')
            continue;
        if (text[i] == '=') {
            padding++;
            continue;
        }
        if (value < 0 || padding > 0)
            return false;
        bits = bits << 6 | (unsigned)value;
        if (++digits % 4 == 0) {
            bytes[filled++] = (char)(bits >> 16);
            bytes[filled++] = (char)(bits >> 8);
            bytes[filled++] = (char)bits;
        }
    }
    if (digits % 4 == 1 || padding != (4 - digits % 4) % 4)
        return false;
    if (digits % 4 >= 2)
        bytes[filled++] = (char)(digits % 4 == 2 ? bits >> 4 : bits >> 10);
    if (digits % 4 == 3)
        bytes[filled++] = (char)(bits >> 2);
    bytes[filled] = 0;
    *out = bytes;
    *out_length = filled;
    return true;
}

/* Of equal keys the later counts: stringData over data, as the API server has it. */
static void put_entry(struct config_data *config, struct map *known, const struct config_entry *entry)
{
    struct config_entry *old = map_get(known, entry->key);

    if (old) {
        *old = *entry;
        return;
    }
    config->entries[config->entry_count] = *entry;
    map_put(known, entry->key, &config->entries[config->entry_count++]);
}

static void read_entries(struct reading *r, const struct path *root, struct config_data *config, struct map *known,
                         const char *name, bool encoded)
{
    struct path map = path_member(root, name, tree_get(root->node, name));

    for (const struct tree *m = map.node && map.node->type == TREE_MAP ? map.node->first : NULL; m; m = m->next) {
        struct path at = path_member(&map, m->key, m);
        struct config_entry entry = {.key = m->key, .bytes = m->text, .length = m->length};

        if (m->type != TREE_STRING)
            continue; /* the table has said so */
        if (encoded && !decode_base64(r->arena, m->text, m->length, &entry.bytes, &entry.length))
            complain(r, FINDING_ERROR, "bad-base64", &at,
                     config->secret ? "put plain text under stringData" : "put plain text under data",
                     "%s under %s must be base64, and is not", m->key, name);
        else
            put_entry(config, known, &entry);
    }
}

static size_t entries_in(const struct path *root, const char *name)
{
    return tree_count(tree_get(root->node, name));
}

static void read_both(struct reading *r, const struct path *root, struct config_data *config, const char *first,
                      bool first_encoded, const char *second, bool second_encoded)
{
    struct map *known = map_new();

    config->entries =
        arena_array(r->arena, entries_in(root, first) + entries_in(root, second) + 1, sizeof(*config->entries));
    read_entries(r, root, config, known, first, first_encoded);
    read_entries(r, root, config, known, second, second_encoded);
    map_free(known);
}

static void check_secret(struct reading *r, const struct path *root, void *out)
{
    struct config_data *config = out;

    config->secret = true;
    read_both(r, root, config, "data", true, "stringData", false);
}

static void check_config_map(struct reading *r, const struct path *root, void *out)
{
    read_both(r, root, out, "data", false, "binaryData", true);
}

static const struct field secret_fields[] = {
    ROOT_FIELDS(struct config_data), {"data", CHECK_TEXT_MAP()},  {"stringData", CHECK_TEXT_MAP()},
    {"type", CHECK_TEXT()},          {"immutable", CHECK_BOOL()}, {0},
};
const struct schema secret_schema = {
    .fields = secret_fields, .size = sizeof(struct config_data), .check = check_secret};

static const struct field config_map_fields[] = {ROOT_FIELDS(struct config_data),
                                                 {"data", CHECK_TEXT_MAP()},
                                                 {"binaryData", CHECK_TEXT_MAP()},
                                                 {"immutable", CHECK_BOOL()},
                                                 {0}};
const struct schema config_map_schema = {
    .fields = config_map_fields, .size = sizeof(struct config_data), .check = check_config_map};
