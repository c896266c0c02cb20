/*
 * builtin_aggregate: min, max, mean and median of numbers and arrays of them (expr-language.md 8.2), and sorting.
 *
 * Elements of arrays that are arguments are taken one by one; an array inside an array is first reduced on its own,
 * which shows only in the last bit of a mean, with NaN and with ties.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "formula/vm.h"

static bool too_deep(struct vm *vm, int depth)
{
    return depth > FORMULA_DEPTH_MAX && !vm_fail_limit(vm, "nesting of a value", FORMULA_DEPTH_MAX);
}

static bool extreme(struct vm *vm, enum builtin id, const struct value *v, struct value *winner, bool *any, int depth);

static bool extreme_of_items(struct vm *vm, enum builtin id, const struct value *array, struct value *winner, bool *any,
                             int depth)
{
    if (too_deep(vm, depth) || !vm_spend(vm, array->length))
        return false;
    for (uint32_t i = 0; i < array->length; i++) {
        struct value item = value_item(array, i), inner;
        bool inner_any = false;

        if (item.tag == VALUE_ARRAY) {
            if (!extreme_of_items(vm, id, &item, &inner, &inner_any, depth + 1))
                return false;
            if (!inner_any)
                continue;
            item = inner;
        }
        if (!extreme(vm, id, &item, winner, any, depth))
            return false;
    }
    return true;
}

static bool extreme(struct vm *vm, enum builtin id, const struct value *v, struct value *winner, bool *any, int depth)
{
    bool better = !*any;

    if (v->tag == VALUE_ARRAY)
        return extreme_of_items(vm, id, v, winner, any, depth + 1);
    if (!value_is_number(v))
        return builtin_bad_argument(vm, id, v);
    if (*any && !value_order(vm, id == BUILTIN_MAX ? VM_GT : VM_LT, v, winner, &better))
        return false;
    if (better)
        *winner = *v;
    *any = true;
    return true;
}

static bool min_max(struct vm *vm, enum builtin id, const struct value *args, uint32_t count, struct value *out)
{
    bool any = false;

    *out = value_nil();
    if (count == 1 && args[0].tag != VALUE_ARRAY) { /* whatever it is, nil included */
        *out = args[0];
        return true;
    }
    for (uint32_t i = 0; i < count; i++)
        if (!extreme(vm, id, &args[i], out, &any, 0))
            return false;
    return true;
}

/* mean and median take what Go counts as numbers: durations, months and weekdays too, by their integers. */
static bool counts_as_number(const struct value *v)
{
    return value_is_number(v) || v->tag == VALUE_DURATION || v->tag == VALUE_MONTH || v->tag == VALUE_WEEKDAY;
}

static bool add_up(struct vm *vm, const struct value *v, double *sum, uint64_t *count, int depth)
{
    if (counts_as_number(v)) {
        *sum += value_number(v);
        ++*count;
        return true;
    }
    if (v->tag != VALUE_ARRAY)
        return builtin_bad_argument(vm, BUILTIN_MEAN, v);
    if (too_deep(vm, depth) || !vm_spend(vm, v->length))
        return false;
    for (uint32_t i = 0; i < v->length; i++) {
        struct value item = value_item(v, i);
        double own = 0, *into = item.tag == VALUE_ARRAY ? &own : sum;

        if (!add_up(vm, &item, into, count, depth + 1))
            return false;
        if (into == &own)
            *sum += own;
    }
    return true;
}

static bool mean(struct vm *vm, const struct value *args, uint32_t argument_count, struct value *out)
{
    double sum = 0;
    uint64_t count = 0;

    for (uint32_t i = 0; i < argument_count; i++)
        if (!add_up(vm, &args[i], &sum, &count, 0))
            return false;
    *out = value_float(count ? sum / (double)count : 0);
    return true;
}

static bool gather(struct vm *vm, const struct value *v, double *numbers, uint64_t *count, int depth)
{
    if (counts_as_number(v)) {
        if (numbers)
            numbers[*count] = value_number(v);
        ++*count;
        return true;
    }
    if (v->tag != VALUE_ARRAY)
        return builtin_bad_argument(vm, BUILTIN_MEDIAN, v);
    if (too_deep(vm, depth) || !vm_spend(vm, v->length))
        return false;
    for (uint32_t i = 0; i < v->length; i++) {
        struct value item = value_item(v, i);

        if (!gather(vm, &item, numbers, count, depth + 1))
            return false;
    }
    return true;
}

static int compare_numbers(const void *a, const void *b) /* NaNs first */
{
    double x = *(const double *)a, y = *(const double *)b;

    if (isnan(x) || isnan(y))
        return isnan(y) - isnan(x);
    return x < y ? -1 : x > y;
}

static bool median(struct vm *vm, const struct value *args, uint32_t argument_count, struct value *out)
{
    uint64_t count = 0, filled = 0;
    double *numbers;

    for (uint32_t i = 0; i < argument_count; i++)
        if (!gather(vm, &args[i], NULL, &count, 0))
            return false;
    if (!vm_spend(vm, count * 4) || !(numbers = vm_alloc(vm, count * sizeof(*numbers))))
        return false;
    for (uint32_t i = 0; i < argument_count; i++)
        gather(vm, &args[i], numbers, &filled, 0);
    qsort(numbers, count, sizeof(*numbers), compare_numbers);
    *out = value_float(count == 0  ? 0
                       : count % 2 ? numbers[count / 2]
                                   : (numbers[count / 2 - 1] + numbers[count / 2]) / 2);
    return true;
}

bool builtin_aggregate(struct vm *vm, enum builtin id, const struct value *args, uint32_t count, struct value *out)
{
    switch (id) {
    case BUILTIN_MEAN:
        return mean(vm, args, count, out);
    case BUILTIN_MEDIAN:
        return median(vm, args, count, out);
    default:
        return min_max(vm, id, args, count, out);
    }
}

/* ---- sorting: stable, so that runs of up to 12 come out as the original's insertion sort leaves them (8.3) ---- */

struct sorter {
    struct vm *vm;
    struct value *keys, *values; /* may be the same array */
    bool descending;
};

static bool precedes(const struct sorter *s, const struct value *x, const struct value *y, bool *is)
{
    return s->descending ? value_order(s->vm, VM_LT, y, x, is) : value_order(s->vm, VM_LT, x, y, is);
}

static bool insertion_sort(const struct sorter *s, uint32_t from, uint32_t to)
{
    for (uint32_t i = from + 1; i < to; i++)
        for (uint32_t j = i; j > from; j--) {
            struct value key, value;
            bool is;

            if (!precedes(s, &s->keys[j], &s->keys[j - 1], &is))
                return false;
            if (!is)
                break;
            key = s->keys[j];
            s->keys[j] = s->keys[j - 1];
            s->keys[j - 1] = key;
            if (s->values != s->keys) {
                value = s->values[j];
                s->values[j] = s->values[j - 1];
                s->values[j - 1] = value;
            }
        }
    return true;
}

/* Merges [from, middle) and [middle, to); the left run is moved to `room` first. */
static bool merge(const struct sorter *s, struct value *room, struct value *value_room, uint32_t from, uint32_t middle,
                  uint32_t to)
{
    uint32_t left = 0, left_end = middle - from, right = middle;

    memcpy(room, s->keys + from, left_end * sizeof(*room));
    memcpy(value_room, s->values + from, left_end * sizeof(*room));
    for (uint32_t at = from; left < left_end; at++) {
        bool right_first = false;

        if (right < to && !precedes(s, &s->keys[right], &room[left], &right_first))
            return false;
        s->keys[at] = right_first ? s->keys[right] : room[left];
        if (s->values != s->keys)
            s->values[at] = right_first ? s->values[right] : value_room[left];
        if (right_first)
            right++;
        else
            left++;
    }
    return true;
}

bool values_sort(struct vm *vm, struct value *keys, struct value *values, uint32_t count, bool descending)
{
    enum { RUN = 12 };
    struct sorter s = {vm, keys, values, descending};
    struct value *room, *value_room;

    for (uint32_t from = 0; from < count; from += RUN)
        if (!insertion_sort(&s, from, from + RUN < count ? from + RUN : count))
            return false;
    if (count <= RUN)
        return true;
    room = vm_alloc(vm, count * sizeof(*room));
    value_room = vm_alloc(vm, count * sizeof(*room));
    if (!room || !value_room)
        return false;
    for (uint64_t run = RUN; run < count; run *= 2)
        for (uint64_t from = 0; from + run < count; from += 2 * run)
            if (!vm_spend(vm, run) || !merge(&s, room, value_room, (uint32_t)from, (uint32_t)(from + run),
                                             (uint32_t)(from + 2 * run < count ? from + 2 * run : count)))
                return false;
    return true;
}
