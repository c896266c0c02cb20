/*
 * builtin_text: strings, JSON and base64 (expr-language.md 8.7): glue between values and library.h, which does the
 * work on bytes.
 */
#include <string.h>

#include "base/text.h"
#include "base/tree.h"
#include "formula/vm.h"

static bool want_string(struct vm *vm, enum builtin id, const struct value *v)
{
    return v->tag == VALUE_STRING || vm_fail(vm, v->tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_TYPE_ASSERTION,
                                             "%s needs a string (got %s)", builtin_table[id].name, value_type_name(v));
}

static bool want_int(struct vm *vm, enum builtin id, const struct value *v)
{
    return value_is_integer(v) ||
           vm_fail(vm, v->tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_TYPE_ASSERTION,
                   "%s needs a whole number (got %s)", builtin_table[id].name, value_type_name(v));
}

/* Which of these functions take a number last, and after how many strings. */
static uint32_t strings_of(enum builtin id, uint32_t count)
{
    uint32_t strings = id == BUILTIN_REPEAT                               ? 1
                       : id == BUILTIN_REPLACE                            ? 3
                       : id == BUILTIN_SPLIT || id == BUILTIN_SPLIT_AFTER ? 2
                                                                          : 99;

    return count < strings ? count : strings;
}

static bool split(struct vm *vm, enum builtin id, const struct value *args, uint32_t count, struct value *out)
{
    int64_t n = count > 2 ? args[2].integer : -1;
    struct span s = value_span(&args[0]), separator = value_span(&args[1]), *parts;
    size_t found = lib_split(s, separator, n, id == BUILTIN_SPLIT_AFTER, NULL, 0);
    struct value *items;

    if (!vm_spend(vm, s.length) || !(parts = vm_alloc(vm, found * sizeof(*parts))) ||
        !(items = vm_alloc(vm, found * sizeof(*items))))
        return false;
    lib_split(s, separator, n, id == BUILTIN_SPLIT_AFTER, parts, found);
    for (size_t i = 0; i < found; i++)
        items[i] = value_string(parts[i]);
    *out = value_array(items, (uint32_t)found);
    out->kind = ARRAY_STRINGS;
    out->nil_array = n == 0;
    return true;
}

static bool join(struct vm *vm, const struct value *args, uint32_t count, struct value *out)
{
    const struct value *array = &args[0];
    struct span *parts, glue = count > 1 ? value_span(&args[1]) : (struct span){"", 0};
    struct text text;

    if (array->tag != VALUE_ARRAY || (array->kind != ARRAY_ANY && array->kind != ARRAY_STRINGS))
        return builtin_bad_argument(vm, BUILTIN_JOIN, array);
    if (!vm_spend(vm, array->length) || !(parts = vm_alloc(vm, array->length * sizeof(*parts))))
        return false;
    for (uint32_t i = 0; i < array->length; i++) {
        struct value item = value_item(array, i);

        if (!want_string(vm, BUILTIN_JOIN, &item))
            return false;
        parts[i] = value_span(&item);
    }
    text_init(&text, FORMULA_HEAP_MAX_BYTES);
    return value_from_text(vm, &text, lib_join(parts, array->length, glue, &text), out);
}

static bool repeat(struct vm *vm, const struct value *args, struct value *out)
{
    int64_t n = args[1].integer;
    struct text text;

    if (n < 0)
        return vm_fail(vm, FAULT_BAD_ARGUMENT, "repeat: the count is negative");
    if (n > FORMULA_BUDGET_MAX)
        return vm_fail(vm, FAULT_MEMORY_BUDGET, "memory budget exceeded: repeat takes counts up to %d",
                       FORMULA_BUDGET_MAX);
    if (!vm_charge(vm, (uint64_t)n * args[0].length))
        return false;
    text_init(&text, FORMULA_HEAP_MAX_BYTES);
    return value_from_text(vm, &text, lib_repeat(value_span(&args[0]), n, &text), out);
}

static bool case_of(struct vm *vm, enum builtin id, struct span s, struct value *out)
{
    struct text text;

    text_init(&text, FORMULA_HEAP_MAX_BYTES);
    return value_from_text(vm, &text, id == BUILTIN_UPPER ? lib_upper(s, &text) : lib_lower(s, &text), out);
}

static bool replace(struct vm *vm, const struct value *args, uint32_t count, struct value *out)
{
    struct text text;

    text_init(&text, FORMULA_HEAP_MAX_BYTES);
    return value_from_text(vm, &text,
                           lib_replace(value_span(&args[0]), value_span(&args[1]), value_span(&args[2]),
                                       count > 3 ? args[3].integer : -1, &text),
                           out);
}

static struct span trimmed(enum builtin id, const struct value *args, uint32_t count)
{
    struct span s = value_span(&args[0]), part = count > 1 ? value_span(&args[1]) : span_of(" ");

    switch (id) {
    case BUILTIN_TRIM:
        return count > 1 ? lib_trim(s, part) : lib_trim_space(s);
    case BUILTIN_TRIM_PREFIX:
        return lib_trim_prefix(s, part);
    default:
        return lib_trim_suffix(s, part);
    }
}

/* ---- JSON, base64 ---- */

static bool from_tree(struct vm *vm, const struct tree *node, struct value *out, int depth);

static bool from_list(struct vm *vm, const struct tree *node, struct value *out, int depth)
{
    struct value *items = vm_alloc(vm, node->count * sizeof(*items));
    uint32_t i = 0;

    if (!items)
        return false;
    for (const struct tree *child = node->first; child; child = child->next)
        if (!from_tree(vm, child, &items[i++], depth + 1))
            return false;
    *out = value_array(items, i);
    return true;
}

static bool from_map(struct vm *vm, const struct tree *node, struct value *out, int depth)
{
    struct table *t = table_new(vm, (uint32_t)node->count, TABLE_STRINGS);

    if (!t)
        return false;
    for (const struct tree *child = node->first; child; child = child->next) {
        size_t length = strlen(child->key);
        char *copy = vm_alloc(vm, length + 1);
        struct value key, value;

        if (!copy || !from_tree(vm, child, &value, depth + 1))
            return false;
        memcpy(copy, child->key, length);
        key = value_string((struct span){copy, length});
        if (!table_put(vm, t, &key, &value, true))
            return false;
    }
    *out = (struct value){.tag = VALUE_MAP, .table = t};
    return true;
}

static bool from_tree(struct vm *vm, const struct tree *node, struct value *out, int depth)
{
    double number;
    char *bytes;

    if (depth > FORMULA_DEPTH_MAX)
        return vm_fail_limit(vm, "nesting of a value", FORMULA_DEPTH_MAX);
    switch (node->type) {
    case TREE_BOOL:
        *out = value_bool(node->boolean);
        return true;
    case TREE_NUMBER:
        if (!tree_number(node, &number))
            return vm_fail(vm, FAULT_JSON, "a number in the JSON text is out of range");
        *out = value_float(number);
        return true;
    case TREE_STRING:
        if (!(bytes = vm_alloc(vm, node->length + 1)))
            return false;
        memcpy(bytes, node->text, node->length);
        *out = value_string((struct span){bytes, node->length});
        return true;
    case TREE_LIST:
        return from_list(vm, node, out, depth);
    case TREE_MAP:
        return from_map(vm, node, out, depth);
    default:
        *out = value_nil();
        return true;
    }
}

static bool from_json(struct vm *vm, struct span s, struct value *out)
{
    struct arena *arena;
    struct tree *node;
    struct error err;
    bool good;

    if (!vm_spend(vm, s.length))
        return false;
    arena = arena_new(ARENA_USUAL);
    good = lib_json_read(s, arena, &node, &err) ? from_tree(vm, node, out, 0)
                                                : vm_fail(vm, FAULT_JSON, "fromJSON: %s", err.text);
    arena_free(arena);
    return good;
}

static bool to_json(struct vm *vm, const struct value *v, struct value *out)
{
    struct text text;

    text_init(&text, FORMULA_HEAP_MAX_BYTES);
    return value_from_text(vm, &text, value_json(vm, v, &text), out);
}

static bool base64(struct vm *vm, enum builtin id, struct span s, struct value *out)
{
    struct text text;
    struct error err = {.kind = ERROR_NONE};
    bool good;

    text_init(&text, FORMULA_HEAP_MAX_BYTES);
    good = id == BUILTIN_TO_BASE64 ? lib_base64_encode(s, &text) : lib_base64_decode(s, &text, &err);
    if (!good && !text.overflowed)
        vm_fail(vm, FAULT_BASE64, "fromBase64: %s", err.text);
    return value_from_text(vm, &text, good, out);
}

bool builtin_text(struct vm *vm, enum builtin id, const struct value *args, uint32_t count, struct value *out)
{
    struct span s, part = {"", 0};

    if (id == BUILTIN_TO_JSON)
        return to_json(vm, args, out);
    for (uint32_t i = id == BUILTIN_JOIN; i < count; i++)
        if (i < strings_of(id, count) ? !want_string(vm, id, &args[i]) : !want_int(vm, id, &args[i]))
            return false;
    if (id == BUILTIN_JOIN)
        return join(vm, args, count, out);
    s = value_span(&args[0]);
    if (count > 1 && args[1].tag == VALUE_STRING)
        part = value_span(&args[1]);
    if (!vm_spend(vm, s.length / 8))
        return false;
    switch (id) {
    case BUILTIN_TRIM:
    case BUILTIN_TRIM_PREFIX:
    case BUILTIN_TRIM_SUFFIX:
        *out = value_string(trimmed(id, args, count));
        return true;
    case BUILTIN_UPPER:
    case BUILTIN_LOWER:
        return case_of(vm, id, s, out);
    case BUILTIN_SPLIT:
    case BUILTIN_SPLIT_AFTER:
        return split(vm, id, args, count, out);
    case BUILTIN_REPLACE:
        return replace(vm, args, count, out);
    case BUILTIN_REPEAT:
        return repeat(vm, args, out);
    case BUILTIN_INDEX_OF:
        *out = value_int(lib_index_of(s, part));
        return true;
    case BUILTIN_LAST_INDEX_OF:
        *out = value_int(lib_last_index_of(s, part));
        return true;
    case BUILTIN_HAS_PREFIX:
        *out = value_bool(lib_has_prefix(s, part));
        return true;
    case BUILTIN_HAS_SUFFIX:
        *out = value_bool(lib_has_suffix(s, part));
        return true;
    case BUILTIN_FROM_JSON:
        return from_json(vm, s, out);
    default:
        return base64(vm, id, s, out);
    }
}
