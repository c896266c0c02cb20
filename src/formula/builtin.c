/*
 * builtin: the table of builtins and methods by name, and the functions of one number or any value (expr-language.md
 * 8.1, 8.5).
 * The others are in builtin_aggregate.c, builtin_array.c, builtin_text.c and builtin_time.c.
 */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "formula/vm.h"

const struct builtin_info builtin_table[BUILTIN_COUNT_OF] = {
#define B(id, name, least, most, shape, ...) {name, sizeof(name) - 1, least, most, shape},
    BUILTINS(B)
#undef B
};

const struct method_info method_table[METHOD_COUNT_OF] = {
#define M(id, name, receiver, arguments, result) {name, arguments, TYPE_##receiver, TYPE_##result},
    METHODS(M)
#undef M
};

int builtin_find(const char *name, size_t length)
{
    for (int i = 0; i < BUILTIN_COUNT_OF; i++)
        if (builtin_table[i].name_length == length && builtin_table[i].name[0] == name[0] &&
            memcmp(builtin_table[i].name, name, length) == 0)
            return i;
    return -1;
}

int method_find(enum type_kind receiver, const char *name, size_t length)
{
    for (int i = 0; i < METHOD_COUNT_OF; i++)
        if (method_table[i].receiver == receiver && strlen(method_table[i].name) == length &&
            memcmp(method_table[i].name, name, length) == 0)
            return i;
    return -1;
}

bool builtin_bad_argument(struct vm *vm, enum builtin id, const struct value *v)
{
    return vm_fail(vm, v->tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_BAD_ARGUMENT, "invalid argument for %s (%s)%s",
                   builtin_table[id].name, value_type_name(v),
                   v->tag == VALUE_NIL ? "; a value is missing, say what counts instead: (x ?? 0)" : "");
}

static bool length_of(struct vm *vm, const struct value *v, struct value *out)
{
    switch (v->tag) {
    case VALUE_ARRAY:
        *out = value_int(v->length);
        return true;
    case VALUE_MAP:
        *out = value_int(v->table->count);
        return true;
    case VALUE_STRING:
        *out = value_int((int64_t)lib_count_points(value_span(v)));
        return vm_spend(vm, v->length / 8);
    default:
        return builtin_bad_argument(vm, BUILTIN_LEN, v);
    }
}

static bool round_to(struct vm *vm, enum builtin id, const struct value *v, struct value *out)
{
    double x;

    if (!value_is_number(v))
        return builtin_bad_argument(vm, id, v);
    x = value_number(v);
    if (v->tag == VALUE_FLOAT)
        x = id == BUILTIN_CEIL ? ceil(x) : id == BUILTIN_FLOOR ? floor(x) : lib_round(x);
    *out = value_float(x);
    return true;
}

static bool absolute(struct vm *vm, const struct value *v, struct value *out)
{
    if (!value_is_number(v))
        return builtin_bad_argument(vm, BUILTIN_ABS, v);
    *out = *v;
    return v->tag == VALUE_FLOAT ? v->number >= 0 || isnan(v->number) || v->number == 0 || value_negate(vm, v, out)
                                 : v->integer >= 0 || value_negate(vm, v, out);
}

static bool bad_conversion(struct vm *vm, enum builtin id, const struct value *v)
{
    if (v->tag == VALUE_STRING)
        return vm_fail(vm, FAULT_BAD_CONVERSION, "invalid operation: %s(\"%.*s\") is not a number",
                       builtin_table[id].name, v->length > 60 ? 60 : (int)v->length, v->bytes);
    return vm_fail(vm, v->tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_BAD_CONVERSION, "invalid operation: %s(%s)%s",
                   builtin_table[id].name, v->tag == VALUE_NIL ? "<nil>" : value_type_name(v),
                   v->tag == VALUE_NIL ? "; a value is missing, say what counts instead: (x ?? 0)" : "");
}

static bool to_int(struct vm *vm, const struct value *v, struct value *out)
{
    int64_t i;

    if (v->tag == VALUE_FLOAT)
        i = lib_float_to_int(v->number);
    else if (value_is_integer(v) || v->tag == VALUE_DURATION || v->tag == VALUE_MONTH || v->tag == VALUE_WEEKDAY)
        i = v->integer;
    else if (v->tag != VALUE_STRING || !lib_parse_int(value_span(v), &i))
        return bad_conversion(vm, BUILTIN_INT, v);
    *out = value_int(i);
    return true;
}

static bool to_float(struct vm *vm, const struct value *v, struct value *out)
{
    double x;

    if (value_is_number(v))
        x = value_number(v);
    else if (v->tag != VALUE_STRING || !lib_parse_float(value_span(v), &x))
        return bad_conversion(vm, BUILTIN_FLOAT, v);
    *out = value_float(x);
    return true;
}

static bool to_string(struct vm *vm, const struct value *v, struct value *out)
{
    struct text text;

    if (v->tag == VALUE_STRING) {
        *out = *v;
        return true;
    }
    text_init(&text, FORMULA_HEAP_MAX_BYTES);
    return value_from_text(vm, &text, value_print(vm, v, &text), out);
}

static bool shift(struct vm *vm, enum builtin id, int64_t x, int64_t count, int64_t *out)
{
    if (count < 0)
        return vm_fail(vm, FAULT_NEGATIVE_SHIFT, "%s: the count is negative", builtin_table[id].name);
    if (id == BUILTIN_BITSHL)
        *out = count > 63 ? 0 : (int64_t)((uint64_t)x << count);
    else if (id == BUILTIN_BITUSHR)
        *out = count > 63 ? 0 : (int64_t)((uint64_t)x >> count);
    else
        *out = x < 0 ? ~(int64_t)(~(uint64_t)x >> (count > 63 ? 63 : count)) : x >> (count > 63 ? 63 : count);
    return true;
}

static bool bits(struct vm *vm, enum builtin id, const struct value *args, uint32_t count, struct value *out)
{
    int64_t x, y = 0, result = 0;

    for (uint32_t i = 0; i < count; i++)
        if (!value_is_integer(&args[i]))
            return builtin_bad_argument(vm, id, &args[i]);
    x = args[0].integer;
    if (count > 1)
        y = args[1].integer;
    switch (id) {
    case BUILTIN_BITAND:
        result = x & y;
        break;
    case BUILTIN_BITOR:
        result = x | y;
        break;
    case BUILTIN_BITXOR:
        result = x ^ y;
        break;
    case BUILTIN_BITNAND:
        result = x & ~y;
        break;
    case BUILTIN_BITNOT:
        result = ~x;
        break;
    default:
        if (!shift(vm, id, x, y, &result))
            return false;
        break;
    }
    *out = value_int(result);
    return true;
}

bool builtin_call(struct vm *vm, enum builtin id, const struct value *args, uint32_t count, struct value *out)
{
    switch (id) {
    case BUILTIN_LEN:
        return length_of(vm, args, out);
    case BUILTIN_TYPE:
        *out = value_string(span_of(value_type_name(args)));
        return true;
    case BUILTIN_ABS:
        return absolute(vm, args, out);
    case BUILTIN_CEIL:
    case BUILTIN_FLOOR:
    case BUILTIN_ROUND:
        return round_to(vm, id, args, out);
    case BUILTIN_INT:
        return to_int(vm, args, out);
    case BUILTIN_FLOAT:
        return to_float(vm, args, out);
    case BUILTIN_STRING:
        return to_string(vm, args, out);
    case BUILTIN_MAX:
    case BUILTIN_MIN:
    case BUILTIN_MEAN:
    case BUILTIN_MEDIAN:
        return builtin_aggregate(vm, id, args, count, out);
    case BUILTIN_NOW:
    case BUILTIN_DURATION:
    case BUILTIN_DATE:
    case BUILTIN_TIMEZONE:
        return builtin_time(vm, id, args, count, out);
    case BUILTIN_FIRST:
    case BUILTIN_LAST:
    case BUILTIN_GET:
    case BUILTIN_TAKE:
    case BUILTIN_KEYS:
    case BUILTIN_VALUES:
    case BUILTIN_TO_PAIRS:
    case BUILTIN_FROM_PAIRS:
    case BUILTIN_REVERSE:
    case BUILTIN_UNIQ:
    case BUILTIN_CONCAT:
    case BUILTIN_FLATTEN:
    case BUILTIN_SORT:
        return builtin_array(vm, id, args, count, out);
    case BUILTIN_BITAND:
    case BUILTIN_BITOR:
    case BUILTIN_BITXOR:
    case BUILTIN_BITNAND:
    case BUILTIN_BITNOT:
    case BUILTIN_BITSHL:
    case BUILTIN_BITSHR:
    case BUILTIN_BITUSHR:
        return bits(vm, id, args, count, out);
    default:
        return builtin_text(vm, id, args, count, out);
    }
}
