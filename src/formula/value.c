/*
 * value: comparing, printing and keeping boxed values (expr-language.md 5.2, 8.3, 8.6, 9).
 *
 * Values nest as deep as a formula can make them (reduce may wrap its accumulator a million times), so every walk
 * counts its depth and gives up at FORMULA_DEPTH_MAX with an error.
 */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/text.h"
#include "base/time.h"
#include "formula/vm.h"

const char *value_type_name(const struct value *v)
{
    static const char *const names[] = {"nil",        "bool",         "int",     "uint",      "float",
                                        "string",     "array",        "map",     "time.Time", "time.Duration",
                                        "time.Month", "time.Weekday", "unknown", "func"};

    return v->tag == VALUE_ARRAY && v->nil_array ? "array" : names[v->tag];
}

bool value_is_nil(const struct value *v)
{
    return v->tag == VALUE_NIL || (v->tag == VALUE_ARRAY && v->nil_array);
}

/* ---- maps ---- */

static uint64_t key_hash(const struct value *key)
{
    uint64_t bits = (uint64_t)key->integer;

    if (key->tag == VALUE_STRING)
        return hash_bytes(1, key->bytes, key->length);
    if (key->tag == VALUE_FLOAT && key->number == 0)
        bits = 0; /* -0.0 and 0.0 are the same key */
    return hash_bytes(2u + key->tag, &bits, sizeof(bits));
}

/* Keys agree in type and value; NaN agrees with nothing. */
static bool key_equal(const struct value *x, const struct value *y)
{
    if (x->tag != y->tag)
        return false;
    if (x->tag == VALUE_STRING)
        return lib_equal(value_span(x), value_span(y));
    if (x->tag == VALUE_FLOAT)
        return x->number == y->number;
    return x->tag == VALUE_NIL || x->integer == y->integer;
}

struct table *table_new(struct vm *vm, uint32_t capacity, enum table_kind kind)
{
    struct table *t = vm_alloc(vm, sizeof(*t));

    if (!t)
        return NULL;
    t->kind = (uint8_t)kind;
    t->capacity = capacity < 4 ? 4 : capacity;
    for (t->index_size = 8; t->index_size < t->capacity * 2; t->index_size *= 2)
        ;
    t->entries = vm_alloc(vm, t->capacity * sizeof(*t->entries));
    t->index = vm_alloc(vm, t->index_size * sizeof(*t->index));
    return t->entries && t->index ? t : NULL;
}

static uint32_t *table_place(const struct table *t, const struct value *key)
{
    uint32_t mask = t->index_size - 1, at = (uint32_t)key_hash(key) & mask;

    while (t->index[at] && !key_equal(&t->entries[t->index[at] - 1].key, key))
        at = (at + 1) & mask;
    return &t->index[at];
}

struct entry *table_find(const struct table *t, const struct value *key)
{
    uint32_t entry = *table_place(t, key);

    return entry ? &t->entries[entry - 1] : NULL;
}

static bool table_grow(struct vm *vm, struct table *t)
{
    struct table *bigger = table_new(vm, t->capacity * 2, (enum table_kind)t->kind);

    if (!bigger)
        return false;
    for (uint32_t i = 0; i < t->count; i++) {
        bigger->entries[i] = t->entries[i];
        *table_place(bigger, &t->entries[i].key) = i + 1;
    }
    bigger->count = t->count;
    *t = *bigger;
    return true;
}

bool table_put(struct vm *vm, struct table *t, const struct value *key, const struct value *value, bool replace)
{
    uint32_t *place = table_place(t, key);

    if (*place) {
        if (replace)
            t->entries[*place - 1].value = *value;
        return true;
    }
    if (t->count == t->capacity) {
        if (!table_grow(vm, t))
            return false;
        place = table_place(t, key);
    }
    t->entries[t->count] = (struct entry){*key, *value};
    *place = ++t->count;
    return true;
}

/* ---- equality ---- */

static bool too_deep(struct vm *vm, int depth)
{
    return depth > FORMULA_DEPTH_MAX && !vm_fail_limit(vm, "nesting of a value", FORMULA_DEPTH_MAX);
}

static bool scalar_identical(const struct value *x, const struct value *y)
{
    switch (x->tag) {
    case VALUE_NIL:
        return true;
    case VALUE_FLOAT:
        return x->number == y->number;
    case VALUE_STRING:
        return lib_equal(value_span(x), value_span(y));
    case VALUE_TIME:
        return lib_time_compare(x->time, y->time) == 0;
    case VALUE_ZONE:
        return x->zone == y->zone;
    case VALUE_FUNCTION:
        return false;
    default:
        return x->integer == y->integer;
    }
}

static bool equal_at(struct vm *vm, const struct value *x, const struct value *y, bool exact, int depth);

static bool arrays_equal(struct vm *vm, const struct value *x, const struct value *y, bool exact, int depth)
{
    if (x->length != y->length || (exact && (x->kind != y->kind || x->nil_array != y->nil_array)) ||
        !vm_spend(vm, x->length))
        return false;
    if (x->kind == ARRAY_INTS && y->kind == ARRAY_INTS)
        return x->length == 0 || x->first == y->first;
    for (uint32_t i = 0; i < x->length; i++) {
        struct value a = value_item(x, i), b = value_item(y, i);

        if (!equal_at(vm, &a, &b, exact, depth + 1))
            return false;
    }
    return true;
}

static bool maps_equal(struct vm *vm, const struct value *x, const struct value *y, int depth)
{
    const struct table *a = x->table, *b = y->table;

    if (a->count != b->count || a->kind != b->kind || !vm_spend(vm, a->count))
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct entry *other = table_find(b, &a->entries[i].key);

        if (!other || !equal_at(vm, &a->entries[i].value, &other->value, true, depth + 1))
            return false;
    }
    return true;
}

static bool equal_at(struct vm *vm, const struct value *x, const struct value *y, bool exact, int depth)
{
    if (too_deep(vm, depth))
        return false;
    if (!exact && value_is_number(x) && value_is_number(y)) {
        if (x->tag == VALUE_FLOAT || y->tag == VALUE_FLOAT)
            return value_number(x) == value_number(y);
        return x->integer == y->integer;
    }
    if (!exact && (value_is_nil(x) || value_is_nil(y)))
        return value_is_nil(x) && value_is_nil(y);
    if (x->tag != y->tag)
        return false;
    if (x->tag == VALUE_ARRAY)
        return arrays_equal(vm, x, y, exact, depth);
    if (x->tag == VALUE_MAP)
        return maps_equal(vm, x, y, depth);
    return scalar_identical(x, y);
}

bool value_equal(struct vm *vm, const struct value *x, const struct value *y)
{
    return equal_at(vm, x, y, false, 0);
}

/* ---- texts ---- */

bool value_from_text(struct vm *vm, struct text *text, bool good, struct value *out)
{
    char *bytes = NULL;

    if (good && !text->overflowed && (bytes = vm_alloc(vm, text->length + 1))) {
        memcpy(bytes, text->bytes, text->length);
        *out = value_string((struct span){bytes, text->length});
    } else if (text->overflowed) {
        vm_fail_limit(vm, "bytes of a string", FORMULA_HEAP_MAX_BYTES);
    }
    text_done(text);
    return bytes != NULL;
}

static int compare_keys(const void *a, const void *b)
{
    const struct value *x = &(*(const struct entry *const *)a)->key, *y = &(*(const struct entry *const *)b)->key;

    if (x->tag != y->tag)
        return x->tag < y->tag ? -1 : 1;
    if (x->tag == VALUE_STRING)
        return lib_compare(value_span(x), value_span(y));
    if (x->tag == VALUE_FLOAT)
        return x->number < y->number ? -1 : x->number > y->number;
    return x->integer < y->integer ? -1 : x->integer > y->integer;
}

/* Maps print with their keys sorted. NULL: no memory left, or nothing to sort. */
static const struct entry **sorted_entries(struct vm *vm, const struct table *t)
{
    const struct entry **sorted = vm_alloc(vm, (t->count + 1) * sizeof(*sorted));

    if (!sorted)
        return NULL;
    for (uint32_t i = 0; i < t->count; i++)
        sorted[i] = &t->entries[i];
    qsort(sorted, t->count, sizeof(*sorted), compare_keys);
    return sorted;
}

static bool print_at(struct vm *vm, const struct value *v, struct text *out, int depth);

static bool print_array(struct vm *vm, const struct value *v, struct text *out, int depth)
{
    bool good = vm_spend(vm, v->length) && text_add_char(out, '[');

    for (uint32_t i = 0; i < v->length && good; i++) {
        struct value item = value_item(v, i);

        good = (i == 0 || text_add_char(out, ' ')) && print_at(vm, &item, out, depth + 1);
    }
    return good && text_add_char(out, ']');
}

static bool print_map(struct vm *vm, const struct value *v, struct text *out, int depth)
{
    const struct entry **sorted = sorted_entries(vm, v->table);
    bool good = sorted && text_add(out, "map[");

    for (uint32_t i = 0; good && i < v->table->count; i++)
        good = (i == 0 || text_add_char(out, ' ')) && print_at(vm, &sorted[i]->key, out, depth + 1) &&
               text_add_char(out, ':') && print_at(vm, &sorted[i]->value, out, depth + 1);
    return good && text_add_char(out, ']');
}

static bool print_at(struct vm *vm, const struct value *v, struct text *out, int depth)
{
    if (too_deep(vm, depth))
        return false;
    switch (v->tag) {
    case VALUE_NIL:
        return text_add(out, "<nil>");
    case VALUE_BOOL:
        return text_add(out, v->integer ? "true" : "false");
    case VALUE_INT:
    case VALUE_UINT8:
        return lib_add_int(out, v->integer);
    case VALUE_FLOAT:
        return lib_add_float(out, v->number);
    case VALUE_STRING:
        return text_append(out, v->bytes, v->length);
    case VALUE_ARRAY:
        return print_array(vm, v, out, depth);
    case VALUE_MAP:
        return print_map(vm, v, out, depth);
    case VALUE_TIME:
        return lib_add_time(out, v->time);
    case VALUE_DURATION:
        return lib_add_duration(out, v->integer);
    case VALUE_MONTH:
        return lib_add_month(out, v->integer);
    case VALUE_WEEKDAY:
        return lib_add_weekday(out, v->integer);
    case VALUE_ZONE:
        return text_add(out, zone_name(v->zone));
    default:
        return text_add(out, "func");
    }
}

bool value_print(struct vm *vm, const struct value *v, struct text *out)
{
    if (print_at(vm, v, out, 0))
        return true;
    return vm->fault != FAULT_NONE ? false : vm_fail_limit(vm, "bytes of a string", FORMULA_HEAP_MAX_BYTES);
}

/* ---- JSON ---- */

static bool json_at(struct vm *vm, const struct value *v, struct text *out, int depth);

static bool json_array(struct vm *vm, const struct value *v, struct text *out, int depth)
{
    bool good;

    if (v->nil_array)
        return text_add(out, "null");
    if (v->kind == ARRAY_BYTES)
        return lib_json_add_bytes(out, (struct span){(const char *)v->octets, v->length});
    if (v->length == 0)
        return text_add(out, "[]");
    good = vm_spend(vm, v->length) && text_add_char(out, '[');
    for (uint32_t i = 0; i < v->length && good; i++) {
        struct value item = value_item(v, i);

        good = (i == 0 || text_add_char(out, ',')) && lib_json_add_line(out, depth + 1) &&
               json_at(vm, &item, out, depth + 1);
    }
    return good && lib_json_add_line(out, depth) && text_add_char(out, ']');
}

static bool json_map(struct vm *vm, const struct value *v, struct text *out, int depth)
{
    const struct entry **sorted;
    bool good;

    if (v->table->kind != TABLE_STRINGS)
        return vm_fail(vm, FAULT_JSON, "json: unsupported type: a map whose keys are not all strings");
    if (v->table->count == 0)
        return text_add(out, "{}");
    sorted = sorted_entries(vm, v->table);
    good = sorted && text_add_char(out, '{');
    for (uint32_t i = 0; good && i < v->table->count; i++)
        good = (i == 0 || text_add_char(out, ',')) && lib_json_add_line(out, depth + 1) &&
               lib_json_add_string(out, value_span(&sorted[i]->key)) && text_add(out, ": ") &&
               json_at(vm, &sorted[i]->value, out, depth + 1);
    return good && lib_json_add_line(out, depth) && text_add_char(out, '}');
}

static bool json_at(struct vm *vm, const struct value *v, struct text *out, int depth)
{
    struct error err = {.kind = ERROR_NONE};

    if (too_deep(vm, depth))
        return false;
    switch (v->tag) {
    case VALUE_NIL:
        return text_add(out, "null");
    case VALUE_BOOL:
        return text_add(out, v->integer ? "true" : "false");
    case VALUE_FLOAT:
        return lib_json_add_float(out, v->number, &err) || out->overflowed || vm_fail(vm, FAULT_JSON, "%s", err.text);
    case VALUE_STRING:
        return lib_json_add_string(out, value_span(v));
    case VALUE_ARRAY:
        return json_array(vm, v, out, depth);
    case VALUE_MAP:
        return json_map(vm, v, out, depth);
    case VALUE_TIME:
        return lib_json_add_time(out, v->time, &err) || out->overflowed || vm_fail(vm, FAULT_JSON, "%s", err.text);
    case VALUE_ZONE:
        return text_add(out, "{}");
    case VALUE_FUNCTION:
        return vm_fail(vm, FAULT_JSON, "json: unsupported type: func");
    default:
        return lib_add_int(out, v->integer);
    }
}

bool value_json(struct vm *vm, const struct value *v, struct text *out)
{
    if (json_at(vm, v, out, 0) && !out->overflowed)
        return true;
    return vm->fault != FAULT_NONE ? false : vm_fail_limit(vm, "bytes of a string", FORMULA_HEAP_MAX_BYTES);
}
