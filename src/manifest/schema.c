/*
 * schema: walks a mapping along its table of fields (manifest_internal.h). Unknown, misplaced, repeated and missing fields,
 * wrong types, ranges and words are found here and nowhere else, in the order of the file.
 *
 * Null counts as absent: the API server drops nulls of fields that are not nullable, and no field of ours is
 * (field cases "legal YAML null"). What is refused and what is only warned of follows the API server without strict
 * validation: a wrong type is refused, an unknown or repeated field is dropped in silence, which is what we warn of.
 */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/quantity.h"
#include "base/time.h"
#include "manifest/manifest_internal.h"

enum { WORDS_MAX = 64, SHOWN_MAX_BYTES = 60, WORD_LIST_MAX_BYTES = 400 };

/* ------------------------------------------------------------------ words for messages */

/* A value as a message quotes it: short, and nothing of a Secret. */
static const char *shown(struct reading *r, const struct tree *node)
{
    if (!node || r->hide_values)
        return "the value";
    if (node->type == TREE_BOOL)
        return node->text ? node->text : node->boolean ? "true" : "false";
    if (!node->text)
        return tree_type_name(node->type);
    if (node->length > SHOWN_MAX_BYTES)
        return arena_printf(r->arena, "%.*s...", (int)utf8_valid_prefix(node->text, SHOWN_MAX_BYTES), node->text);
    return node->text;
}

static const char *last_key(const struct path *path)
{
    while (path && !path->key)
        path = path->up;
    return path ? path->key : "the document";
}

static const char *list_words(struct reading *r, const char *const *words)
{
    struct text text;
    const char *copy;

    text_init(&text, WORD_LIST_MAX_BYTES);
    for (size_t i = 0; words[i]; i++)
        text_printf(&text, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i][0] ? words[i] : "\"\"");
    copy = arena_copy(r->arena, text.bytes);
    text_done(&text);
    return copy;
}

static size_t count_words(const char *const *words)
{
    size_t count = 0;

    while (words[count])
        count++;
    return count;
}

/* ------------------------------------------------------------------ scalars */

static bool is_given(const struct tree *node)
{
    return node && node->type != TREE_NULL;
}

/* [a, b] where a text is due: parameters take lists as one text with commas. NULL: not such a list. */
static const char *as_one_text(struct reading *r, const struct tree *list)
{
    struct text text;
    const char *remedy = NULL;
    bool scalars = list->type == TREE_LIST && list->first && !r->hide_values;

    text_init(&text, WORD_LIST_MAX_BYTES);
    for (const struct tree *item = list->first; item && scalars; item = item->next) {
        scalars = item->text != NULL;
        text_printf(&text, "%s%s", item == list->first ? "" : ",", item->text ? item->text : "");
    }
    if (scalars && !text.overflowed)
        remedy = arena_printf(r->arena, "write it as one text: \"%s\"", text.bytes);
    text_done(&text);
    return remedy;
}

/* The finding for a node that is no scalar where one is due: an unreplaced {placeholder} reads as a mapping. */
static void complain_no_scalar(struct reading *r, const struct path *path, const char *wanted)
{
    const struct tree *node = path->node;

    if (is_brace_placeholder(node))
        complain(r, FINDING_ERROR, "placeholder", path,
                 "put the value in its place; a text that really has braces needs quotes",
                 "%s holds the placeholder {%s}, which YAML reads as a mapping", last_key(path), node->first->key);
    else
        complain(r, FINDING_ERROR, "wrong-type", path, as_one_text(r, node), "%s must be %s, not %s", last_key(path),
                 wanted, tree_type_name(node->type));
}

/* metadata.name and metadata.namespace: the API server refuses what is no name. */
static bool is_own_name(const struct path *path)
{
    return path->key && path->up && path->up->key && strcmp(path->up->key, "metadata") == 0 && path->up->up &&
           !path->up->up->up && (strcmp(path->key, "name") == 0 || strcmp(path->key, "namespace") == 0);
}

static void warn_of_placeholder(struct reading *r, const struct path *path, bool literal)
{
    const char *found;

    if (!r->scan_placeholders || !(found = placeholder_in(r->arena, path->node->text, literal)))
        return;
    complain(r, is_own_name(path) ? FINDING_ERROR : FINDING_WARNING, "placeholder", path,
             "render the template (helm template, envsubst, kustomize) before using the file",
             "%s still holds the placeholder %s", last_key(path), found);
}

const char *read_text(struct reading *r, const struct path *path, bool literal)
{
    const struct tree *node = path->node;
    const char *meant;

    if (node->type == TREE_STRING) {
        warn_of_placeholder(r, path, literal);
        return node->text;
    }
    if (node->type != TREE_NUMBER && node->type != TREE_BOOL) {
        complain_no_scalar(r, path, "a string");
        return NULL;
    }
    meant = node->text ? node->text : node->boolean ? "true" : "false";
    complain(r, FINDING_ERROR, "wrong-type", path,
             r->hide_values ? "put it in quotes"
                            : arena_printf(r->arena, "put it in quotes: %s: \"%s\"", last_key(path), shown(r, node)),
             "%s must be a string, not %s: write \"%s\"", last_key(path), tree_type_name(node->type), shown(r, node));
    return meant;
}

/* "30s" where a count of seconds is due. */
static bool complain_duration(struct reading *r, const struct path *path)
{
    int64_t ns, seconds;

    if (path->node->type != TREE_STRING || !duration_parse_ns(path->node->text, path->node->length, &ns) || ns < 0)
        return false;
    seconds = ns / (1000 * 1000 * 1000);
    if (seconds * 1000 * 1000 * 1000 == ns)
        complain(r, FINDING_ERROR, "wrong-type", path,
                 arena_printf(r->arena, "write %s: %" PRId64, last_key(path), seconds),
                 "%s is a plain number of seconds: write %" PRId64 ", not \"%s\"", last_key(path), seconds,
                 shown(r, path->node));
    else
        complain(r, FINDING_ERROR, "wrong-type", path,
                 "round it to whole seconds; polls more often than every second are asked for with the annotation "
                 "weir.dev/polling-interval",
                 "%s is a whole number of seconds, without unit, not \"%s\"", last_key(path), shown(r, path->node));
    return true;
}

static void complain_no_number(struct reading *r, const struct path *path, const struct field *field)
{
    const struct tree *node = path->node;
    double value;
    const char *found;

    if (node->type == TREE_LIST || node->type == TREE_MAP) {
        complain_no_scalar(r, path, "a whole number");
    } else if (field->seconds && complain_duration(r, path)) {
        return;
    } else if (node->type == TREE_STRING && (found = placeholder_in(r->arena, node->text, false))) {
        complain(r, FINDING_ERROR, "placeholder", path, "render the template before using the file",
                 "%s must be a whole number, but still holds the placeholder %s", last_key(path), found);
    } else if (node->type == TREE_STRING && number_parse(node->text, node->length, &value) && value == floor(value)) {
        complain(r, FINDING_ERROR, "wrong-type", path,
                 arena_printf(r->arena, "write it without quotes: %s: %s", last_key(path), node->text),
                 "%s must be a number, not a string: write %s%s without quotes", last_key(path), node->text,
                 field->seconds ? " (seconds)" : "");
    } else {
        complain(r, FINDING_ERROR, "wrong-type", path, NULL, "%s must be a whole number%s, not %s %s", last_key(path),
                 field->seconds ? " of seconds" : "",
                 node->type == TREE_STRING   ? "the text"
                 : node->type == TREE_NUMBER ? ""
                                             : "the value",
                 shown(r, node));
    }
}

/* YAML's 5.0 and 5e1 are whole numbers once they are JSON, and the API server takes them. */
static bool whole_number(const struct tree *node, int64_t *value)
{
    double d;

    if (node->type != TREE_NUMBER)
        return false;
    if (tree_integer(node, value))
        return true;
    if (!tree_number(node, &d) || d != floor(d) || fabs(d) > 9e15)
        return false;
    *value = (int64_t)d;
    return true;
}

static bool in_range(struct reading *r, const struct field *field, const struct path *path, int64_t value)
{
    int64_t max = field->max ? field->max : field->type == TYPE_LONG ? INT64_MAX : INT32_MAX;

    if (value >= field->min && value <= max)
        return true;
    if (value < field->min)
        complain(r, FINDING_ERROR, "bad-range", path, field->remedy, "%s must be at least %" PRId64 ", not %" PRId64,
                 last_key(path), field->min, value);
    else
        complain(r, FINDING_ERROR, "bad-range", path, field->remedy, "%s must be at most %" PRId64 ", not %" PRId64,
                 last_key(path), max, value);
    return false;
}

static bool read_number(struct reading *r, const struct field *field, const struct path *path, int64_t *value)
{
    if (!whole_number(path->node, value)) {
        complain_no_number(r, path, field);
        return false;
    }
    return in_range(r, field, path, *value);
}

static void read_bool(struct reading *r, const struct path *path, bool *out)
{
    const struct tree *node = path->node;

    if (node->type == TREE_BOOL) {
        if (out)
            *out = node->boolean;
    } else if (node->type == TREE_LIST || node->type == TREE_MAP) {
        complain_no_scalar(r, path, "true or false");
    } else {
        complain(r, FINDING_ERROR, "wrong-type", path, "write true or false, without quotes",
                 "%s must be true or false, not %s", last_key(path),
                 node->type == TREE_STRING ? arena_printf(r->arena, "the text \"%s\"", shown(r, node))
                                           : shown(r, node));
    }
}

/* Quantities and ports may be numbers or strings. */
static const char *read_either(struct reading *r, const struct field *field, const struct path *path)
{
    const struct tree *node = path->node;
    int64_t milli;

    if (node->type != TREE_STRING && node->type != TREE_NUMBER) {
        complain_no_scalar(r, path, field->type == TYPE_PORT ? "a port's number or name" : "a quantity");
        return NULL;
    }
    if (field->type == TYPE_QUANTITY && !quantity_parse_milli(node->text, &milli)) {
        const char *found = placeholder_in(r->arena, node->text, false);

        complain(r, FINDING_ERROR, found ? "placeholder" : "bad-quantity", path,
                 "write a number with an optional unit, as 500m, 2, 1.5Gi", "%s is not a quantity: %s", last_key(path),
                 shown(r, node));
        return NULL;
    }
    return node->text;
}

static const char *read_word(struct reading *r, const struct field *field, const struct path *path)
{
    const char *text = read_text(r, path, field->literal);
    const char *near;

    if (!text)
        return NULL;
    if (field->filled && !text[0]) {
        complain(r, FINDING_ERROR, "missing-required", path, field->remedy, "%s must not be empty", last_key(path));
        return NULL;
    }
    if (!field->words)
        return text;
    for (size_t i = 0; field->words[i]; i++) {
        if (strcmp(field->words[i], text) == 0)
            return text;
    }
    near = string_nearest(text, field->words, count_words(field->words));
    complain(r, FINDING_ERROR, "unknown-value", path, near ? arena_printf(r->arena, "write %s", near) : field->remedy,
             "%s cannot be \"%s\": it is %s", last_key(path), shown(r, path->node), list_words(r, field->words));
    return NULL;
}

/* ------------------------------------------------------------------ lists and maps of strings */

static bool is_of_type(struct reading *r, const struct path *path, enum tree_type type)
{
    if (path->node->type == type)
        return true;
    if (type == TREE_MAP && path->node->type == TREE_STRING && path->node->text) {
        const char *found = placeholder_in(r->arena, path->node->text, false);

        if (found) {
            complain(r, FINDING_ERROR, "placeholder", path, "render the template before using the file",
                     "%s must be a mapping, but still is the placeholder %s", last_key(path), found);
            return false;
        }
    }
    complain(r, FINDING_ERROR, "wrong-type", path,
             type == TREE_LIST && path->node->type == TREE_MAP          ? "begin each item with a dash"
             : path->key && strcmp(path->key, "authenticationRef") == 0 ? "write authenticationRef: {name: ...}"
             : type == TREE_MAP && path->node->type == TREE_LIST        ? "write its members without dashes"
                                                                        : NULL,
             "%s must be %s, not %s", last_key(path), tree_type_name(type), tree_type_name(path->node->type));
    return false;
}

static const char *const *read_texts(struct reading *r, const struct path *path, size_t *count)
{
    const char **texts;
    int index = 0;

    *count = 0;
    if (!is_of_type(r, path, TREE_LIST))
        return NULL;
    texts = arena_array(r->arena, path->node->count + 1, sizeof(*texts));
    for (const struct tree *item = path->node->first; item; item = item->next, index++) {
        struct path at = path_item(path, index, item);
        const char *text = read_text(r, &at, true);

        if (text)
            texts[(*count)++] = text;
    }
    return texts;
}

/* Where a member of trigger metadata that really is a field of the object belongs, or NULL. What `external` does not know
   it hands to the scaler, so there every name may be right. */
static const char *misplaced(struct reading *r, const struct path *path)
{
    const struct path *map = path->up;
    const struct schema *root = r->root;
    const char *type, *place;

    if (!map->key || strcmp(map->key, "metadata") != 0 || !map->up || !map->up->up || !map->up->up->key ||
        strcmp(map->up->up->key, "triggers") != 0)
        return NULL;
    type = tree_string(tree_get(map->up->node, "type"));
    if (type && string_starts(type, "external"))
        return NULL;
    r->root = &scaled_object_schema; /* a job's template has many names that are parameters of some trigger */
    place = belongs_at(r, map, path->key, NULL);
    r->root = root;
    return place;
}

/* One member; the text it stands for, or NULL: it is left out, and *unclear says if that loses something. */
static const char *read_map_member(struct reading *r, const struct path *path, bool *unclear)
{
    const struct tree *node = path->node;
    const char *place = misplaced(r, path);
    bool scalar = node->type != TREE_LIST && node->type != TREE_MAP;

    if (place) {
        complain_key(r, scalar ? FINDING_WARNING : FINDING_ERROR, "misplaced-field", path,
                     arena_printf(r->arena, "move it to %s", place),
                     "%s is not a parameter of the trigger and %s here: it belongs to %s", path->key,
                     scalar ? "is ignored" : "not allowed", place);
        *unclear |= !scalar;
        return NULL;
    }
    if (!scalar) {
        complain_no_scalar(r, path, "a string");
        *unclear = true;
        return NULL;
    }
    return read_text(
        r, path, strcasestr(path->key, "query") || strcasestr(path->key, "template") || strcasestr(path->key, "body"));
}

static void warn_of_repetition(struct reading *r, const struct path *path)
{
    if (path->node->repeated_key)
        complain_key(r, FINDING_WARNING, "duplicate-key", path, "keep one of them",
                     "%s is there twice: only the last one counts, and strict readers refuse the file", path->key);
}

const struct tree *read_text_map(struct reading *r, const struct path *path, bool *unclear)
{
    struct tree *copy, **end;

    if (!is_of_type(r, path, TREE_MAP))
        return NULL;
    copy = arena_alloc(r->arena, sizeof(*copy));
    *copy = *path->node;
    copy->first = NULL;
    copy->count = 0;
    end = &copy->first;
    for (const struct tree *member = path->node->first; member; member = member->next) {
        struct path at = path_member(path, member->key, member);
        const char *text;

        warn_of_repetition(r, &at);
        if (!is_given(member) || !(text = read_map_member(r, &at, unclear)))
            continue;
        *end = arena_alloc(r->arena, sizeof(**end));
        **end = *member;
        (*end)->type = TREE_STRING;
        (*end)->text = text;
        (*end)->length = member->type == TREE_STRING ? member->length : strlen(text);
        (*end)->next = NULL;
        end = &(*end)->next;
        copy->count++;
    }
    return copy;
}

/* ------------------------------------------------------------------ unknown fields */

/* Steps from one path of keys to another: up to what they share, then down. */
static int distance(const char *const *a, int a_count, const char *const *b, int b_count)
{
    int shared = 0;

    while (shared < a_count && shared < b_count && strcmp(a[shared], b[shared]) == 0)
        shared++;
    return a_count - shared + b_count - shared;
}

enum { SCHEMA_DEPTH_MAX = 16 };

struct search {
    const char *name;
    const struct tree *value;           /* what is written there: only fields that can hold it are meant; NULL: any */
    const char *here[SCHEMA_DEPTH_MAX]; /* keys from the root to the mapping that has the unknown field */
    int here_count;
    const char *keys[SCHEMA_DEPTH_MAX]; /* of the table being looked at */
    int best;
    const char *found[SCHEMA_DEPTH_MAX];
    int found_count;
};

static bool can_hold(const struct field *f, const struct tree *value)
{
    bool map = f->type == TYPE_TEXT_MAP || f->type == TYPE_MAP || f->type == TYPE_TREE;
    bool list = f->type == TYPE_TEXTS || f->type == TYPE_LIST;

    if (!value || value->type == TREE_NULL || f->type == TYPE_ANY)
        return true;
    return value->type == TREE_MAP ? map : value->type == TREE_LIST ? list : !map && !list;
}

static void search_table(struct search *s, const struct schema *schema, int depth)
{
    for (const struct field *f = schema->fields; f->name; f++) {
        int steps;

        if (strcmp(f->name, s->name) == 0 && f->type != TYPE_RETIRED && can_hold(f, s->value)) {
            steps = distance(s->here, s->here_count, s->keys, depth);
            if (steps > 0 && steps < s->best) {
                s->best = steps;
                memcpy(s->found, s->keys, sizeof(s->keys));
                s->found_count = depth;
            }
        }
        if (f->schema && depth < SCHEMA_DEPTH_MAX) {
            s->keys[depth] = f->name;
            search_table(s, f->schema, depth + 1);
        }
    }
}

static void collect_keys(struct search *s, const struct path *path)
{
    if (!path || !path->up)
        return;
    collect_keys(s, path->up);
    if (path->key && s->here_count < SCHEMA_DEPTH_MAX)
        s->here[s->here_count++] = path->key;
}

static bool is_generic(const char *name)
{
    static const char *const generic[] = {
        "name",        "type",      "value",      "kind",       "key",        "target",    "metadata",
        "replicas",    "parameter", "apiVersion", "spec",       "status",     "namespace", "labels",
        "annotations", "selector",  "template",   "behavior",   "strategy",   "provider",  "credentials",
        "secrets",     "version",   "address",    "role",       "mount",      "path",      "scopes",
        "env",         "cloud",     "tolerance",  "generation", "credential", "region"};

    for (size_t i = 0; i < sizeof(generic) / sizeof(generic[0]); i++) {
        if (strcmp(generic[i], name) == 0)
            return true;
    }
    return false;
}

/* The found table's path; where it is an ancestor of `path`, with that one's indices. */
static const char *describe_place(struct reading *r, const struct search *s, const struct path *path)
{
    const struct path *up = path;
    int here = s->here_count;
    struct text text;
    const char *copy;

    if (s->found_count <= here && distance(s->here, s->found_count, s->found, s->found_count) == 0) {
        for (; here > s->found_count; up = up->up) {
            if (up->key)
                here--;
        }
        copy = path_text(r, up);
        return copy[0] ? arena_printf(r->arena, "%s.%s", copy, s->name) : s->name;
    }
    text_init(&text, WORD_LIST_MAX_BYTES);
    for (int i = 0; i < s->found_count; i++)
        text_printf(&text, "%s.", s->found[i]);
    copy = arena_printf(r->arena, "%s%s", text.bytes, s->name);
    text_done(&text);
    return copy;
}

const char *belongs_at(struct reading *r, const struct path *path, const char *name, const struct tree *value)
{
    struct search s = {.name = name, .value = value, .best = INT32_MAX};
    bool policies = value && value->type == TREE_MAP && strcmp(name, "behavior") == 0;

    if (!r->root)
        return NULL;
    collect_keys(&s, path);
    search_table(&s, r->root, 0);
    if (s.best == INT32_MAX) { /* the place may be meant although the value is wrong as well */
        s.value = NULL;
        search_table(&s, r->root, 0);
    }
    if (s.best == INT32_MAX)
        return NULL;
    /* Inside trigger metadata a generic word is some trigger's own parameter. */
    if (is_generic(name) && !policies &&
        (s.best > 1 || (path->key && strcmp(path->key, "metadata") == 0 && s.here_count > 1)))
        return NULL;
    return describe_place(r, &s, path);
}

/* Near by spelling, or by a long common beginning: minReplicas, cooldown. */
static const char *nearest_word(const char *name, const char *const *words, size_t count)
{
    const char *near = string_nearest(name, words, count);
    size_t length = strlen(name);

    for (size_t i = 0; !near && i < count; i++) {
        size_t shared = 0;

        while (name[shared] && name[shared] == words[i][shared])
            shared++;
        if (shared >= 6 && shared * 3 >= length * 2)
            near = words[i];
    }
    return near;
}

static const char *nearest_field(const struct schema *schema, const char *name)
{
    const char *names[WORDS_MAX];
    size_t count = 0;

    for (const struct field *f = schema->fields; f->name && count < WORDS_MAX; f++) {
        if (f->type != TYPE_RETIRED)
            names[count++] = f->name;
    }
    return nearest_word(name, names, count);
}

static void complain_unknown(struct reading *r, const struct schema *schema, const struct path *path)
{
    const char *place, *near;

    if (schema->open || r->findings >= MANIFEST_FINDINGS_MAX)
        return;
    if ((place = belongs_at(r, path->up, path->key, path->node))) {
        complain_key(r, FINDING_WARNING, "misplaced-field", path, arena_printf(r->arena, "move it to %s", place),
                     "%s does nothing here: it belongs to %s", path->key, place);
    } else if ((near = nearest_field(schema, path->key))) {
        complain_key(r, FINDING_WARNING, "unknown-field", path, arena_printf(r->arena, "write %s", near),
                     "there is no field %s here, so it does nothing: did you mean %s?", path->key, near);
    } else if (schema->inner) {
        place = arena_printf(r->arena, "%s.%s.%s", path_text(r, path->up), schema->inner, path->key);
        complain_key(r, FINDING_WARNING, "misplaced-field", path, arena_printf(r->arena, "move it to %s", place),
                     "%s does nothing here: a parameter belongs to %s", path->key, place);
    } else {
        complain_key(r, FINDING_WARNING, "unknown-field", path, "remove it",
                     "there is no field %s here, so it does nothing", path->key);
    }
}

/* ------------------------------------------------------------------ fields that are missing */

/* A word about what was perhaps meant: a key of this mapping that resembles the field and is unknown, or the field one level up. */
static const char *missing_hint(struct reading *r, const struct schema *schema, const struct path *path,
                                const struct field *field)
{
    const char *unknown[WORDS_MAX];
    size_t count = 0;
    const char *near;

    for (const struct tree *m = path->node ? path->node->first : NULL; m && count < WORDS_MAX; m = m->next) {
        const struct field *f = schema->fields;

        while (f->name && strcmp(f->name, m->key) != 0)
            f++;
        if (f->type == TYPE_RETIRED && f->name)
            return f->remedy;
        if (!f->name)
            unknown[count++] = m->key;
    }
    if ((near = nearest_word(field->name, unknown, count)))
        return arena_printf(r->arena, "%s is there: write %s instead", near, field->name);
    if (path->up && path->up->node && tree_get(path->up->node, field->name))
        return arena_printf(r->arena, "%s stands one level too far out: indent it under %s", field->name,
                            last_key(path));
    return field->remedy;
}

static void complain_missing(struct reading *r, const struct schema *schema, const struct path *path,
                             const struct field *field)
{
    struct path at = path_member(path, field->name, NULL);
    const char *hint = missing_hint(r, schema, path, field);
    const char *where = path_text(r, path);

    complain(r, FINDING_ERROR, "missing-required", &at, hint, "%s is required%s%s%s%s", field->name,
             where[0] ? " in " : "", where, hint ? "; " : "", hint ? hint : "");
}

/* ------------------------------------------------------------------ the walk */

static void *target_of(void *out, const struct field *field)
{
    return out && field->offset != NOWHERE ? (char *)out + field->offset : NULL;
}

static void set_unset(const struct schema *schema, void *out)
{
    for (const struct field *f = schema->fields; f->name; f++) {
        void *target = target_of(out, f);

        if (!target)
            continue;
        if (f->type == TYPE_INT)
            *(int32_t *)target = (int32_t)f->unset;
        else if (f->type == TYPE_LONG)
            *(int64_t *)target = f->unset;
        else if (f->type == TYPE_TEXT)
            *(const char **)target = f->unset_text;
        else if (f->type == TYPE_MAP)
            set_unset(f->schema, target);
    }
}

static void read_members(struct reading *r, const struct schema *schema, const struct path *path, void *out);

static void read_list(struct reading *r, const struct field *field, const struct path *path, void *out)
{
    char *elements = NULL;
    size_t count = 0;
    int index = 0;

    if (!is_of_type(r, path, TREE_LIST))
        return;
    if (out && field->offset != NOWHERE)
        elements = arena_array(r->arena, path->node->count + 1, field->schema->size);
    for (const struct tree *item = path->node->first; item; item = item->next, index++) {
        struct path at = path_item(path, index, item);
        void *element = elements ? elements + count * field->schema->size : NULL;

        if (item->type != TREE_MAP) {
            complain(r, FINDING_ERROR, "wrong-type", &at, NULL, "%s[%d] must be a mapping, not %s", last_key(path),
                     index, tree_type_name(item->type));
            continue;
        }
        schema_read(r, field->schema, &at, element);
        count++;
    }
    if (elements) {
        *(void **)target_of(out, field) = elements;
        *(size_t *)((char *)out + field->count_offset) = count;
    }
}

static void store_text(void *target, const char *text)
{
    if (target && text)
        *(const char **)target = text;
}

static void store_texts(struct reading *r, const struct field *field, const struct path *path, void *out)
{
    size_t count;
    void *target = target_of(out, field);
    const char *const *texts = read_texts(r, path, &count);

    if (!target)
        return;
    *(const char *const **)target = texts;
    if (field->count_offset != NOWHERE)
        *(size_t *)((char *)out + field->count_offset) = count;
}

/* Where a map of texts has a count, it is a flag: something in it is unclear. */
static void store_text_map(struct reading *r, const struct field *field, const struct path *path, void *out)
{
    bool unclear = false;
    void *target = target_of(out, field);
    const struct tree *map = read_text_map(r, path, &unclear);

    if (!target)
        return;
    *(const struct tree **)target = map;
    if (field->count_offset != NOWHERE)
        *(bool *)((char *)out + field->count_offset) |= unclear;
}

static void read_field(struct reading *r, const struct field *field, const struct path *path, void *out)
{
    void *target = target_of(out, field);
    int64_t value;

    switch (field->type) {
    case TYPE_ANY:
        if (target)
            *(const struct tree **)target = path->node;
        break;
    case TYPE_TEXT:
        store_text(target, read_word(r, field, path));
        break;
    case TYPE_QUANTITY:
    case TYPE_PORT:
        store_text(target, read_either(r, field, path));
        break;
    case TYPE_INT:
    case TYPE_LONG:
        if (!read_number(r, field, path, &value) || !target)
            break;
        if (field->type == TYPE_INT)
            *(int32_t *)target = (int32_t)value;
        else
            *(int64_t *)target = value;
        break;
    case TYPE_BOOL:
        read_bool(r, path, target);
        break;
    case TYPE_TEXTS:
        store_texts(r, field, path, out);
        break;
    case TYPE_TEXT_MAP:
        store_text_map(r, field, path, out);
        break;
    case TYPE_MAP:
        if (is_of_type(r, path, TREE_MAP))
            read_members(r, field->schema, path, target);
        break;
    case TYPE_TREE:
        if (!is_of_type(r, path, TREE_MAP))
            break;
        if (field->schema && !field->read_by_check)
            read_members(r, field->schema, path, NULL);
        if (target)
            *(const struct tree **)target = path->node;
        break;
    case TYPE_LIST:
        if (!field->read_by_check)
            read_list(r, field, path, out);
        break;
    case TYPE_RETIRED:
        complain_key(r, FINDING_WARNING, "deprecated-field", path, field->remedy,
                     "%s is a field of KEDA 1 and does nothing now", path->key);
        break;
    }
}

/* Index of a field in its table; the table's end if there is none of that name. */
static size_t find_field(const struct schema *schema, const char *name)
{
    size_t i = 0;

    while (schema->fields[i].name && strcmp(schema->fields[i].name, name) != 0)
        i++;
    assert(i < WORDS_MAX);
    return i;
}

/* Of a repeated key the last one counts, as it does for the API server; walking twice keeps this linear. */
static void read_present(struct reading *r, const struct schema *schema, const struct path *path, void *out)
{
    const struct tree *first = path->node ? path->node->first : NULL, *last[WORDS_MAX] = {NULL};

    for (const struct tree *member = first; member; member = member->next)
        last[find_field(schema, member->key)] = member;
    for (const struct tree *member = first; member; member = member->next) {
        struct path at = path_member(path, member->key, member);
        size_t index = find_field(schema, member->key);

        warn_of_repetition(r, &at);
        if (!schema->fields[index].name)
            complain_unknown(r, schema, &at);
        else if (is_given(member) && last[index] == member)
            read_field(r, &schema->fields[index], &at, out);
    }
}

static void read_members(struct reading *r, const struct schema *schema, const struct path *path, void *out)
{
    read_present(r, schema, path, out);
    for (const struct field *f = schema->fields; f->name; f++) {
        const struct tree *member = path->node ? tree_get(path->node, f->name) : NULL;
        struct path at = path_member(path, f->name, NULL);

        if (is_given(member))
            continue;
        if (f->implied)
            read_members(r, f->schema, &at, target_of(out, f));
        else if (f->required)
            complain_missing(r, schema, path, f);
    }
    if (schema->check)
        schema->check(r, path, out);
}

void schema_read(struct reading *r, const struct schema *schema, const struct path *path, void *out)
{
    if (out)
        set_unset(schema, out);
    read_members(r, schema, path, out);
}
