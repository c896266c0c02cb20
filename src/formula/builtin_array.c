/*
 * builtin_array: parts and rearrangements of arrays and maps (expr-language.md 8.3, 8.6).
 */
#include <string.h>

#include "formula/vm.h"

static struct value *new_items(struct vm *vm, uint64_t count)
{
    return count > UINT32_MAX ? (vm_fail_limit(vm, "elements of an array", UINT32_MAX), NULL)
                              : vm_alloc(vm, count * sizeof(struct value));
}

static bool want_array(struct vm *vm, enum builtin id, const struct value *v)
{
    return v->tag == VALUE_ARRAY || builtin_bad_argument(vm, id, v);
}

static bool want_map(struct vm *vm, enum builtin id, const struct value *v)
{
    return v->tag == VALUE_MAP || builtin_bad_argument(vm, id, v);
}

static bool end_of(enum builtin id, const struct value *v, struct value *out)
{
    if (v->tag == VALUE_STRING) { /* through an unknown type: a byte of it */
        *out = v->length == 0 ? value_nil()
                              : value_of(VALUE_UINT8, (uint8_t)v->bytes[id == BUILTIN_FIRST ? 0 : v->length - 1]);
        return true;
    }
    if (v->tag == VALUE_ARRAY && v->length > 0)
        *out = value_item(v, id == BUILTIN_FIRST ? 0 : v->length - 1);
    else
        *out = value_nil();
    return true;
}

static bool take(struct vm *vm, const struct value *array, const struct value *n, struct value *out)
{
    if (!want_array(vm, BUILTIN_TAKE, array))
        return false;
    if (n->tag != VALUE_INT)
        return builtin_bad_argument(vm, BUILTIN_TAKE, n);
    if (n->integer < 0)
        return vm_fail(vm, FAULT_OUT_OF_RANGE, "take: cannot take %lld elements", (long long)n->integer);
    *out = *array;
    out->nil_array = false;
    if (n->integer < (int64_t)out->length)
        out->length = (uint32_t)n->integer;
    return true;
}

static bool copy_reversed(struct vm *vm, const struct value *array, struct value *out)
{
    struct value *items;

    if (!want_array(vm, BUILTIN_REVERSE, array) || !vm_charge(vm, array->length) ||
        !(items = new_items(vm, array->length)))
        return false;
    for (uint32_t i = 0; i < array->length; i++)
        items[i] = value_item(array, array->length - 1 - i);
    *out = value_array(items, array->length);
    return vm_spend(vm, array->length);
}

static bool uniq(struct vm *vm, const struct value *array, struct value *out)
{
    struct value *items;
    uint32_t count = 0;

    if (!want_array(vm, BUILTIN_UNIQ, array) || !(items = new_items(vm, array->length)))
        return false;
    for (uint32_t i = 0; i < array->length; i++) {
        struct value item = value_item(array, i);
        bool seen = false;

        for (uint32_t j = 0; j < count && !seen; j++)
            seen = value_equal(vm, &items[j], &item);
        if (vm->fault != FAULT_NONE || !vm_spend(vm, count / 8 + 1))
            return false;
        if (!seen)
            items[count++] = item;
    }
    *out = value_array(items, count);
    return true;
}

static bool concat(struct vm *vm, const struct value *args, uint32_t count, struct value *out)
{
    uint64_t total = 0;
    uint32_t at = 0;
    struct value *items;

    for (uint32_t i = 0; i < count; i++) {
        if (!want_array(vm, BUILTIN_CONCAT, &args[i]))
            return false;
        total += args[i].length;
    }
    if (!vm_charge(vm, total) || !vm_spend(vm, total) || !(items = new_items(vm, total)))
        return false;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < args[i].length; j++)
            items[at++] = value_item(&args[i], j);
    *out = value_array(items, at);
    out->nil_array = at == 0; /* nothing was appended to Go's nil slice */
    return true;
}

/* Counts with items == NULL, then fills. */
static bool flatten_into(struct vm *vm, const struct value *array, struct value *items, uint64_t *count, int depth)
{
    if (depth > FORMULA_DEPTH_MAX)
        return vm_fail_limit(vm, "nesting of a value", FORMULA_DEPTH_MAX);
    if (!vm_spend(vm, array->length))
        return false;
    for (uint32_t i = 0; i < array->length; i++) {
        struct value item = value_item(array, i);

        if (item.tag == VALUE_ARRAY) {
            if (!flatten_into(vm, &item, items, count, depth + 1))
                return false;
        } else {
            if (items)
                items[*count] = item;
            ++*count;
        }
    }
    return true;
}

static bool flatten(struct vm *vm, const struct value *array, struct value *out)
{
    uint64_t count = 0, filled = 0;
    struct value *items;

    if (!want_array(vm, BUILTIN_FLATTEN, array) || !flatten_into(vm, array, NULL, &count, 0) || !vm_charge(vm, count) ||
        !(items = new_items(vm, count)) || !flatten_into(vm, array, items, &filled, 0))
        return false;
    *out = value_array(items, (uint32_t)count);
    return true;
}

static bool sort(struct vm *vm, const struct value *args, uint32_t count, struct value *out)
{
    const struct value *array = &args[0];
    bool descending = false;
    struct value *items;

    if (!want_array(vm, BUILTIN_SORT, array))
        return false;
    if (count > 1) {
        if (args[1].tag != VALUE_STRING)
            return builtin_bad_argument(vm, BUILTIN_SORT, &args[1]);
        descending = lib_equal(value_span(&args[1]), span_of("desc"));
        if (!descending && !lib_equal(value_span(&args[1]), span_of("asc")))
            return vm_fail(vm, FAULT_BAD_ORDER, "invalid order '%.*s', expected \"asc\" or \"desc\"",
                           args[1].length > 40 ? 40 : (int)args[1].length, args[1].bytes);
    }
    if (!vm_charge(vm, array->length) || !vm_spend(vm, array->length) || !(items = new_items(vm, array->length)))
        return false;
    for (uint32_t i = 0; i < array->length; i++)
        items[i] = value_item(array, i);
    *out = value_array(items, array->length);
    return values_sort(vm, items, items, array->length, descending);
}

/* ---- maps ---- */

static bool pair_of(struct vm *vm, const struct entry *entry, struct value *out)
{
    struct value *pair = new_items(vm, 2);

    if (!pair)
        return false;
    pair[0] = entry->key;
    pair[1] = entry->value;
    *out = value_array(pair, 2);
    return true;
}

static bool list_map(struct vm *vm, enum builtin id, const struct value *map, struct value *out)
{
    struct value *items;

    if (!want_map(vm, id, map) || !(items = new_items(vm, map->table->count)) || !vm_spend(vm, map->table->count))
        return false;
    for (uint32_t i = 0; i < map->table->count; i++) {
        const struct entry *entry = &map->table->entries[i];

        if (id == BUILTIN_TO_PAIRS && !pair_of(vm, entry, &items[i]))
            return false;
        if (id != BUILTIN_TO_PAIRS)
            items[i] = id == BUILTIN_KEYS ? entry->key : entry->value;
    }
    *out = value_array(items, map->table->count);
    return true;
}

static bool from_pairs(struct vm *vm, const struct value *array, struct value *out)
{
    struct table *t;

    if (!want_array(vm, BUILTIN_FROM_PAIRS, array) || !vm_spend(vm, array->length) ||
        !(t = table_new(vm, array->length, TABLE_PAIRS)))
        return false;
    for (uint32_t i = 0; i < array->length; i++) {
        struct value pair = value_item(array, i), key, value;

        if (pair.tag != VALUE_ARRAY || pair.length != 2)
            return vm_fail(vm, pair.tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_BAD_ARGUMENT,
                           "fromPairs needs pairs [key, value]");
        key = value_item(&pair, 0);
        value = value_item(&pair, 1);
        if (key.tag == VALUE_ARRAY || key.tag == VALUE_MAP || key.tag == VALUE_FUNCTION)
            return vm_fail(vm, FAULT_BAD_KEY, "fromPairs cannot use %s as a key", value_type_name(&key));
        if (!table_put(vm, t, &key, &value, true))
            return false;
    }
    *out = (struct value){.tag = VALUE_MAP, .table = t};
    return true;
}

bool builtin_array(struct vm *vm, enum builtin id, const struct value *args, uint32_t count, struct value *out)
{
    switch (id) {
    case BUILTIN_FIRST:
    case BUILTIN_LAST:
        return end_of(id, args, out);
    case BUILTIN_GET:
        return value_index(vm, &args[0], &args[1], false, out);
    case BUILTIN_TAKE:
        return take(vm, &args[0], &args[1], out);
    case BUILTIN_REVERSE:
        return copy_reversed(vm, args, out);
    case BUILTIN_UNIQ:
        return uniq(vm, args, out);
    case BUILTIN_CONCAT:
        return concat(vm, args, count, out);
    case BUILTIN_FLATTEN:
        return flatten(vm, args, out);
    case BUILTIN_SORT:
        return sort(vm, args, count, out);
    case BUILTIN_FROM_PAIRS:
        return from_pairs(vm, args, out);
    default:
        return list_map(vm, id, args, out);
    }
}
