/*
 * loop: the functions that call a predicate for each element (expr-language.md 8.4), as steps of the VM: it asks for
 * the next element, evaluates the predicate, hands its value to loop_take and at the end collects the result.
 */
#include <string.h>

#include "formula/vm.h"

static bool from_the_end(enum builtin id)
{
    return id == BUILTIN_FIND_LAST || id == BUILTIN_FIND_LAST_INDEX;
}

bool loop_begin(struct vm *vm, struct loop *l, enum builtin id, const struct value *array, uint32_t limit)
{
    *l = (struct loop){.id = (uint8_t)id, .limit = limit, .array = *array};
    if (array->tag == VALUE_STRING) { /* through an unknown type: its bytes */
        l->array = (struct value){
            .tag = VALUE_ARRAY, .kind = ARRAY_BYTES, .length = array->length, .octets = (const uint8_t *)array->bytes};
    } else if (array->tag != VALUE_ARRAY) {
        return vm_fail(vm, array->tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_BAD_ARGUMENT,
                       "%s takes an array (got %s)", builtin_table[id].name, value_type_name(array));
    }
    l->backwards = from_the_end(id);
    if (l->backwards && l->array.length > 0)
        l->at = l->array.length - 1;
    l->acc = id == BUILTIN_SUM ? value_int(0) : value_nil();
    if (id == BUILTIN_GROUP_BY)
        return (l->groups = table_new(vm, 8, TABLE_GROUPS)) != NULL;
    if (id == BUILTIN_SORT_BY && l->array.length > 0) {
        l->out = vm_alloc(vm, l->array.length * sizeof(*l->out));
        l->out2 = vm_alloc(vm, l->array.length * sizeof(*l->out2));
        return l->out && l->out2;
    }
    return true;
}

/* reduce without an initial value starts with the first element. */
bool loop_first(struct vm *vm, struct loop *l)
{
    if (l->array.length == 0)
        return vm_fail(vm, FAULT_EMPTY_REDUCE,
                       "reduce of an empty array with no initial value; give one as third argument");
    l->acc = value_item(&l->array, 0);
    l->at = 1;
    return true;
}

bool loop_start(struct vm *vm, struct loop *l, const struct value *v)
{
    if (l->id == BUILTIN_REDUCE) {
        l->acc = *v;
        return true;
    }
    if (v->tag != VALUE_STRING)
        return vm_fail(vm, v->tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_TYPE_ASSERTION,
                       "the order of sortBy is \"asc\" or \"desc\" (got %s)", value_type_name(v));
    l->descending = lib_equal(value_span(v), span_of("desc"));
    if (!l->descending && !lib_equal(value_span(v), span_of("asc")))
        return vm_fail(vm, FAULT_BAD_ORDER, "unknown order '%.*s', use \"asc\" or \"desc\"",
                       v->length > 40 ? 40 : (int)v->length, v->bytes);
    return true;
}

bool loop_has(const struct loop *l)
{
    return !l->done && l->at < l->array.length;
}

void loop_next(struct loop *l)
{
    l->at = l->backwards ? l->at - 1 : l->at + 1; /* wraps below 0 to something out of range */
}

bool loop_item(struct vm *vm, const struct loop *l, struct value *out)
{
    if (l->at >= l->array.length)
        return vm_fail(vm, FAULT_OUT_OF_RANGE, "index out of range: %u (array length is %u)", l->at, l->array.length);
    *out = value_item(&l->array, l->at);
    return true;
}

static bool collect(struct vm *vm, struct loop *l, const struct value *v)
{
    if (l->out_count == l->out_capacity) {
        uint32_t capacity = l->out_capacity ? l->out_capacity * 2 : l->array.length < 8 ? l->array.length : 8;
        struct value *bigger = vm_alloc(vm, capacity * sizeof(*bigger));

        if (!bigger)
            return false;
        if (l->out_count)
            memcpy(bigger, l->out, l->out_count * sizeof(*bigger));
        l->out = bigger;
        l->out_capacity = capacity;
    }
    l->out[l->out_count++] = *v;
    return true;
}

/* Adds the element to its group; a group's items grow in the array value of the table. */
static bool group(struct vm *vm, struct loop *l, const struct value *key)
{
    struct value empty = value_array(NULL, 0), item = value_item(&l->array, l->at), *old, *bigger;
    struct entry *entry;

    if (key->tag == VALUE_ARRAY || key->tag == VALUE_MAP || key->tag == VALUE_FUNCTION)
        return vm_fail(vm, FAULT_BAD_KEY, "groupBy cannot use %s as a key", value_type_name(key));
    if (!table_put(vm, l->groups, key, &empty, false))
        return false;
    entry = table_find(l->groups, key);
    if (!entry) /* NaN is never found again: each has a group of its own, the last one put */
        entry = &l->groups->entries[l->groups->count - 1];
    old = &entry->value;
    if ((old->length & (old->length - 1)) == 0) { /* full at every power of two */
        bigger = vm_alloc(vm, (old->length ? old->length * 2u : 1u) * sizeof(*bigger));
        if (!bigger)
            return false;
        if (old->length)
            memcpy(bigger, old->items, old->length * sizeof(*bigger));
        old->items = bigger;
    }
    memcpy((struct value *)&old->items[old->length], &item, sizeof(item));
    old->length++;
    return true;
}

static bool take_bool(struct vm *vm, struct loop *l, bool is)
{
    struct value item;

    switch (l->id) {
    case BUILTIN_ALL:
        l->done = !is;
        break;
    case BUILTIN_NONE:
    case BUILTIN_ANY:
        l->done = is;
        break;
    case BUILTIN_ONE:
        break;
    case BUILTIN_COUNT:
        l->done = is && l->limit && l->count + 1 >= (int64_t)l->limit;
        break;
    case BUILTIN_FILTER:
        item = value_item(&l->array, l->at);
        return !is || collect(vm, l, &item);
    default:
        l->done = is;
        l->found = l->at;
        break;
    }
    l->count += is;
    return true;
}

bool loop_take(struct vm *vm, struct loop *l, const struct value *v)
{
    bool good = true;
    struct value sum;

    switch (l->id) {
    case BUILTIN_MAP:
        good = collect(vm, l, v);
        break;
    case BUILTIN_REDUCE:
        l->acc = *v;
        break;
    case BUILTIN_SUM:
        good = value_add(vm, v, &l->acc, &sum);
        l->acc = good ? sum : l->acc;
        break;
    case BUILTIN_SORT_BY:
        l->out[l->at] = *v;
        l->out2[l->at] = value_item(&l->array, l->at);
        break;
    case BUILTIN_GROUP_BY:
        good = group(vm, l, v);
        break;
    default:
        if (v->tag != VALUE_BOOL)
            return vm_fail(vm, v->tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_TYPE_ASSERTION,
                           "%s needs conditions (got %s)", builtin_table[l->id].name, value_type_name(v));
        good = take_bool(vm, l, v->integer != 0);
        break;
    }
    if (good && !l->done)
        loop_next(l);
    return good;
}

static bool found(struct vm *vm, const struct loop *l, bool throws, struct value *out)
{
    bool is_index = l->id == BUILTIN_FIND_INDEX || l->id == BUILTIN_FIND_LAST_INDEX;

    *out = value_nil();
    if (l->done)
        *out = is_index ? value_int(l->found) : value_item(&l->array, l->found);
    else if (throws)
        return vm_fail(vm, FAULT_OUT_OF_RANGE, "index out of range: no element satisfies the filter");
    return true;
}

bool loop_end(struct vm *vm, struct loop *l, bool throws, struct value *out)
{
    switch (l->id) {
    case BUILTIN_ALL:
    case BUILTIN_NONE:
        *out = value_bool(!l->done);
        return true;
    case BUILTIN_ANY:
        *out = value_bool(l->done);
        return true;
    case BUILTIN_ONE:
        *out = value_bool(l->count == 1);
        return true;
    case BUILTIN_COUNT:
        *out = value_int(l->count);
        return true;
    case BUILTIN_SUM:
    case BUILTIN_REDUCE:
        *out = l->acc;
        return true;
    case BUILTIN_MAP:
    case BUILTIN_FILTER:
        *out = value_array(l->out, l->out_count);
        return vm_charge(vm, l->out_count);
    case BUILTIN_SORT_BY:
        *out = value_array(l->out2, l->array.length);
        return vm_charge(vm, l->array.length) && values_sort(vm, l->out, l->out2, l->array.length, l->descending);
    case BUILTIN_GROUP_BY:
        *out = (struct value){.tag = VALUE_MAP, .table = l->groups};
        return true;
    default:
        return found(vm, l, throws, out);
    }
}
