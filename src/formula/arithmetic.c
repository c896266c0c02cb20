/*
 * arithmetic: the operators on boxed values at run time (expr-language.md 2.3, 5). Where the static type was
 * "unknown" this is where operands are judged; what does not fit is an error of class type-mismatch, or nil-operand
 * when nil is to blame.
 */
#include <stdlib.h>
#include <string.h>

#include "formula/vm.h"

static const char *type_word(const struct value *v)
{
    switch (v->tag) {
    case VALUE_NIL:
        return "<nil>";
    case VALUE_FLOAT:
        return "float64";
    case VALUE_UINT8:
        return "uint8";
    case VALUE_ARRAY:
        return "[]interface {}";
    case VALUE_MAP:
        return "map[string]interface {}";
    default:
        return value_type_name(v);
    }
}

static bool mismatch(struct vm *vm, const char *op, const struct value *x, const struct value *y)
{
    bool nil = x->tag == VALUE_NIL || y->tag == VALUE_NIL;

    return vm_fail(vm, nil ? FAULT_NIL_OPERAND : FAULT_TYPE_MISMATCH, "invalid operation: %s %s %s%s", type_word(x), op,
                   type_word(y), nil ? "; a value is missing, say what counts instead: (x ?? 0)" : "");
}

static bool give_time(struct vm *vm, struct go_time t, struct value *out)
{
    struct go_time *kept = vm_alloc(vm, sizeof(*kept));

    if (!kept)
        return false;
    *kept = t;
    *out = (struct value){.tag = VALUE_TIME, .time = kept};
    return true;
}

static bool concatenate(struct vm *vm, const struct value *x, const struct value *y, struct value *out)
{
    size_t length = (size_t)x->length + y->length;
    char *bytes = vm_alloc(vm, length + 1);

    if (!bytes)
        return false;
    memcpy(bytes, x->bytes, x->length);
    memcpy(bytes + x->length, y->bytes, y->length);
    *out = value_string((struct span){bytes, length});
    return true;
}

bool value_add(struct vm *vm, const struct value *x, const struct value *y, struct value *out)
{
    if (value_is_number(x) && value_is_number(y)) {
        *out = value_is_integer(x) && value_is_integer(y)
                   ? value_int((int64_t)((uint64_t)x->integer + (uint64_t)y->integer))
                   : value_float(value_number(x) + value_number(y));
        return true;
    }
    if (x->tag == VALUE_STRING && y->tag == VALUE_STRING)
        return concatenate(vm, x, y, out);
    if (x->tag == VALUE_TIME && y->tag == VALUE_DURATION)
        return give_time(vm, lib_time_add(x->time, y->integer), out);
    if (x->tag == VALUE_DURATION && y->tag == VALUE_TIME)
        return give_time(vm, lib_time_add(y->time, x->integer), out);
    if (x->tag == VALUE_DURATION && y->tag == VALUE_DURATION) {
        *out = value_of(VALUE_DURATION, (int64_t)((uint64_t)x->integer + (uint64_t)y->integer));
        return true;
    }
    return mismatch(vm, "+", x, y);
}

static bool subtract(struct vm *vm, const struct value *x, const struct value *y, struct value *out)
{
    if (value_is_number(x) && value_is_number(y)) {
        *out = value_is_integer(x) && value_is_integer(y)
                   ? value_int((int64_t)((uint64_t)x->integer - (uint64_t)y->integer))
                   : value_float(value_number(x) - value_number(y));
        return true;
    }
    if (x->tag == VALUE_TIME && y->tag == VALUE_TIME) {
        *out = value_of(VALUE_DURATION, lib_time_sub(x->time, y->time));
        return true;
    }
    if (x->tag == VALUE_TIME && y->tag == VALUE_DURATION)
        return give_time(vm, lib_time_add(x->time, (int64_t)(0 - (uint64_t)y->integer)), out);
    if (x->tag == VALUE_DURATION && y->tag == VALUE_DURATION) {
        *out = value_of(VALUE_DURATION, (int64_t)((uint64_t)x->integer - (uint64_t)y->integer));
        return true;
    }
    return mismatch(vm, "-", x, y);
}

static bool multiply(struct vm *vm, const struct value *x, const struct value *y, struct value *out)
{
    bool spans = x->tag == VALUE_DURATION || y->tag == VALUE_DURATION;

    if ((!value_is_number(x) && x->tag != VALUE_DURATION) || (!value_is_number(y) && y->tag != VALUE_DURATION))
        return mismatch(vm, "*", x, y);
    if (x->tag == VALUE_FLOAT || y->tag == VALUE_FLOAT)
        *out = value_float(value_number(x) * value_number(y));
    else
        *out = value_of(spans ? VALUE_DURATION : VALUE_INT, (int64_t)((uint64_t)x->integer * (uint64_t)y->integer));
    return true;
}

static bool remainder_of(struct vm *vm, const struct value *x, const struct value *y, struct value *out)
{
    if (!value_is_integer(x) || !value_is_integer(y))
        return mismatch(vm, "%", x, y);
    if (y->integer == 0)
        return vm_fail(vm, FAULT_DIVIDE_BY_ZERO, "integer divide by zero");
    *out = value_int(y->integer == -1 ? 0 : x->integer % y->integer);
    return true;
}

static bool power_of(struct vm *vm, const struct value *x, const struct value *y, struct value *out)
{
    if (x->tag == VALUE_NIL || y->tag == VALUE_NIL)
        return mismatch(vm, "**", x, y);
    if (!value_is_number(x) || !value_is_number(y))
        return vm_fail(vm, FAULT_BAD_CONVERSION, "** takes numbers (got %s ** %s)", type_word(x), type_word(y));
    *out = value_float(lib_pow(value_number(x), value_number(y)));
    return true;
}

/* Any number, truncated; for bounds and indices that were not known to be ints. */
bool value_to_index(struct vm *vm, const struct value *v, int64_t *out)
{
    if (v->tag == VALUE_NIL)
        return vm_fail(vm, FAULT_NIL_OPERAND, "nil cannot be used as a whole number");
    if (v->tag == VALUE_FLOAT)
        *out = lib_float_to_int(v->number);
    else if (value_is_integer(v) || v->tag >= VALUE_DURATION)
        *out = v->integer;
    else
        return vm_fail(vm, FAULT_BAD_CONVERSION, "a whole number is needed here (got %s)", type_word(v));
    return true;
}

static bool range(struct vm *vm, const struct value *x, const struct value *y, struct value *out)
{
    int64_t from = 0, to = 0, size;

    if (!value_to_index(vm, x, &from) || !value_to_index(vm, y, &to))
        return false;
    size = (int64_t)((uint64_t)to - (uint64_t)from + 1);
    *out = (struct value){.tag = VALUE_ARRAY, .kind = ARRAY_INTS, .first = from};
    if (size <= 0)
        return true;
    if (!vm_charge(vm, (uint64_t)size))
        return false;
    out->length = (uint32_t)size;
    return true;
}

bool value_binary(struct vm *vm, enum vm_op op, const struct value *x, const struct value *y, struct value *out)
{
    switch (op) {
    case VM_ADD:
        return value_add(vm, x, y, out);
    case VM_SUB:
        return subtract(vm, x, y, out);
    case VM_MUL:
        return multiply(vm, x, y, out);
    case VM_DIV:
        if (!value_is_number(x) || !value_is_number(y))
            return mismatch(vm, "/", x, y);
        *out = value_float(value_number(x) / value_number(y));
        return true;
    case VM_MOD:
        return remainder_of(vm, x, y, out);
    case VM_POW:
        return power_of(vm, x, y, out);
    default:
        return range(vm, x, y, out);
    }
}

bool value_negate(struct vm *vm, const struct value *x, struct value *out)
{
    if (x->tag == VALUE_NIL)
        return vm_fail(vm, FAULT_NIL_OPERAND,
                       "invalid operation: - <nil>; a value is missing, say what counts instead: (x ?? 0)");
    if (x->tag == VALUE_FLOAT)
        *out = value_float(-x->number);
    else if (x->tag == VALUE_INT)
        *out = value_int((int64_t)(0 - (uint64_t)x->integer));
    else if (x->tag == VALUE_UINT8)
        *out = value_of(VALUE_UINT8, (uint8_t)-x->integer);
    else
        return vm_fail(vm, FAULT_TYPE_MISMATCH, "invalid operation: - %s", type_word(x));
    return true;
}

static bool ordered(enum vm_op op, int sign)
{
    return op == VM_LT ? sign < 0 : op == VM_GT ? sign > 0 : op == VM_LE ? sign <= 0 : sign >= 0;
}

bool value_order(struct vm *vm, enum vm_op op, const struct value *x, const struct value *y, bool *out)
{
    if (value_is_number(x) && value_is_number(y) && (x->tag == VALUE_FLOAT || y->tag == VALUE_FLOAT)) {
        double a = value_number(x), b = value_number(y);

        *out = op == VM_LT ? a < b : op == VM_GT ? a > b : op == VM_LE ? a <= b : a >= b;
    } else if ((value_is_number(x) && value_is_number(y)) || (x->tag == VALUE_DURATION && y->tag == VALUE_DURATION)) {
        *out = ordered(op, x->integer < y->integer ? -1 : x->integer > y->integer);
    } else if (x->tag == VALUE_STRING && y->tag == VALUE_STRING) {
        *out = ordered(op, lib_compare(value_span(x), value_span(y)));
    } else if (x->tag == VALUE_TIME && y->tag == VALUE_TIME) {
        *out = ordered(op, lib_time_compare(x->time, y->time));
    } else {
        static const char *const symbols[] = {"<", ">", "<=", ">="};

        return mismatch(vm, symbols[op - VM_LT], x, y);
    }
    return true;
}

/* ---- membership, parts ---- */

bool value_in(struct vm *vm, const struct value *x, const struct value *set, bool *out)
{
    *out = false;
    if (set->tag == VALUE_NIL)
        return true;
    if (set->tag == VALUE_ARRAY) {
        for (uint32_t i = 0; i < set->length && !*out && vm->fault == FAULT_NONE; i++) {
            struct value item = value_item(set, i);

            *out = value_equal(vm, &item, x);
        }
        return vm->fault == FAULT_NONE && vm_spend(vm, set->length);
    }
    if (set->tag == VALUE_MAP) {
        struct value empty = value_string((struct span){"", 0});
        const struct value *key = x->tag == VALUE_NIL && set->table->kind == TABLE_STRINGS ? &empty : x;

        if (set->table->kind == TABLE_STRINGS && key->tag != VALUE_STRING)
            return vm_fail(vm, FAULT_TYPE_MISMATCH, "cannot use %s as a key of a map", type_word(x));
        *out = table_find(set->table, key) != NULL;
        return true;
    }
    return vm_fail(vm, FAULT_TYPE_MISMATCH, "operator \"in\" not defined on %s", type_word(set));
}

static bool not_there(struct vm *vm, bool strict, int64_t index, uint32_t length, struct value *out)
{
    *out = value_nil();
    return !strict ||
           vm_fail(vm, FAULT_OUT_OF_RANGE, "index out of range: %lld (array length is %u)", (long long)index, length);
}

static bool item_at(struct vm *vm, const struct value *base, const struct value *index, bool strict, struct value *out)
{
    int64_t at = 0, i;

    if (!value_to_index(vm, index, &at))
        return false;
    i = at < 0 ? at + (int64_t)base->length : at;
    if (i < 0 || i >= (int64_t)base->length)
        return not_there(vm, strict, at, base->length, out);
    *out = base->tag == VALUE_STRING ? value_of(VALUE_UINT8, (uint8_t)base->bytes[i]) : value_item(base, (uint32_t)i);
    return true;
}

static bool entry_of(struct vm *vm, const struct value *base, const struct value *key, bool strict, struct value *out)
{
    const struct entry *entry;
    struct value empty = value_string((struct span){"", 0});

    if (key->tag == VALUE_NIL && base->table->kind == TABLE_STRINGS)
        key = &empty;
    if (base->table->kind == TABLE_STRINGS && key->tag != VALUE_STRING)
        return vm_fail(vm, FAULT_TYPE_MISMATCH, "cannot use %s as a key of a map", type_word(key));
    entry = table_find(base->table, key);
    if (entry)
        *out = entry->value;
    else if (base->table->kind == TABLE_GROUPS && strict)
        *out = (struct value){.tag = VALUE_ARRAY, .nil_array = true};
    else
        *out = value_nil();
    return true;
}

bool value_index(struct vm *vm, const struct value *base, const struct value *index, bool strict, struct value *out)
{
    if (base->tag == VALUE_ARRAY || base->tag == VALUE_STRING)
        return item_at(vm, base, index, strict, out);
    if (base->tag == VALUE_MAP)
        return entry_of(vm, base, index, strict, out);
    if (!strict) {
        *out = value_nil();
        return true;
    }
    if (base->tag == VALUE_NIL)
        return vm_fail(vm, FAULT_NIL_OPERAND, "cannot take a part of nil; use ?. where it may be nil");
    return vm_fail(vm, FAULT_BAD_INDEX, "cannot take a part of %s", type_word(base));
}

static int64_t clamp_bound(int64_t bound, uint32_t length)
{
    if (bound < 0)
        bound = bound + (int64_t)length < 0 ? 0 : bound + (int64_t)length;
    return bound > (int64_t)length ? (int64_t)length : bound;
}

bool value_slice(struct vm *vm, const struct value *base, const struct value *from, const struct value *to,
                 struct value *out)
{
    int64_t low = 0, high = base->length;

    if (base->tag == VALUE_NIL)
        return vm_fail(vm, FAULT_NIL_OPERAND, "cannot slice nil");
    if (base->tag != VALUE_ARRAY && base->tag != VALUE_STRING)
        return vm_fail(vm, FAULT_BAD_INDEX, "cannot slice %s", type_word(base));
    if ((to && !value_to_index(vm, to, &high)) || (from && !value_to_index(vm, from, &low)))
        return false;
    low = clamp_bound(low, base->length);
    high = clamp_bound(high, base->length);
    if (low > high)
        low = high;
    *out = *base;
    out->nil_array = false;
    out->length = (uint32_t)(high - low);
    if (base->tag == VALUE_STRING)
        out->bytes += low;
    else if (base->kind == ARRAY_INTS)
        out->first = (int64_t)((uint64_t)out->first + (uint64_t)low);
    else if (base->kind == ARRAY_BYTES)
        out->octets += low;
    else
        out->items += low;
    return true;
}
