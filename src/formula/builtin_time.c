/*
 * builtin_time: instants, durations and zones, and their methods (expr-language.md 8.8). now() is the instant of the
 * evaluation, the same all through it; the clock is the caller's.
 */
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "formula/vm.h"

/* A zone by name, kept until the evaluation ends. */
static bool load_zone(struct vm *vm, const char *name, size_t length, const struct zone **out)
{
    char copy[128];
    struct error err;

    if (length >= sizeof(copy) || memchr(name, 0, length))
        return vm_fail(vm, FAULT_BAD_TIME, "unknown time zone '%.60s'", name);
    if (vm->zone_count == FORMULA_ZONES_MAX)
        return vm_fail_limit(vm, "time zones", FORMULA_ZONES_MAX);
    memcpy(copy, name, length);
    copy[length] = '\0';
    if (!zone_load(copy, out, &err))
        return vm_fail(vm, FAULT_BAD_TIME, "%s", err.text);
    for (uint32_t i = 0; i < vm->zone_count; i++)
        if (vm->zones[i] == *out) {
            zone_unref(*out);
            return true;
        }
    vm->zones[vm->zone_count++] = *out;
    return true;
}

static bool give(struct vm *vm, struct go_time t, struct value *out)
{
    struct go_time *kept = vm_alloc(vm, sizeof(*kept));

    if (!kept)
        return false;
    *kept = t;
    *out = (struct value){.tag = VALUE_TIME, .time = kept};
    return true;
}

static bool local_zone(struct vm *vm, const struct zone **out)
{
    if (load_zone(vm, "Local", 5, out))
        return true;
    vm->fault = FAULT_NONE; /* a machine without zone files lives in UTC */
    *out = zone_utc();
    return true;
}

static bool now(struct vm *vm, struct value *out)
{
    const struct zone *local;

    return local_zone(vm, &local) && give(vm, lib_time_from_ms(vm->env->now_ms, local), out);
}

static bool want_string(struct vm *vm, const struct value *v, const char *what)
{
    return v->tag == VALUE_STRING || vm_fail(vm, v->tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_TYPE_ASSERTION,
                                             "%s is a string (got %s)", what, value_type_name(v));
}

static bool duration(struct vm *vm, const struct value *v, struct value *out)
{
    int64_t ns;

    if (!want_string(vm, v, "the argument of duration"))
        return false;
    if (!duration_parse_ns(v->bytes, v->length, &ns))
        return vm_fail(vm, FAULT_BAD_TIME, "invalid duration '%.*s'; write for example \"1h30m\"",
                       v->length > 60 ? 60 : (int)v->length, v->bytes);
    *out = value_of(VALUE_DURATION, ns);
    return true;
}

/* date([zone,] text [, layout [, zone name]]) */
static bool date(struct vm *vm, const struct value *args, uint32_t count, struct value *out)
{
    const struct zone *in = NULL, *local;
    struct go_time t;
    struct error err;

    if (args[0].tag == VALUE_ZONE) {
        in = args[0].zone;
        args++;
        if (--count == 0)
            return vm_fail(vm, FAULT_BAD_ARGUMENT, "date needs a text after the zone");
    }
    for (uint32_t i = 0; i < count; i++)
        if (!want_string(vm, &args[i],
                         i == 0   ? "the text of date"
                         : i == 1 ? "the layout of date"
                                  : "the zone of date"))
            return false;
    if (count > 2 && !load_zone(vm, args[2].bytes, args[2].length, &in))
        return false;
    if (!local_zone(vm, &local))
        return false;
    if (count > 1 ? !lib_time_parse(value_span(&args[1]), value_span(&args[0]), in, local, &t, &err)
                  : !lib_date(value_span(&args[0]), in, local, &t, &err))
        return vm_fail(vm, FAULT_BAD_TIME, "%s", err.text);
    return give(vm, t, out);
}

bool builtin_time(struct vm *vm, enum builtin id, const struct value *args, uint32_t count, struct value *out)
{
    const struct zone *zone;

    switch (id) {
    case BUILTIN_NOW:
        return now(vm, out);
    case BUILTIN_DURATION:
        return duration(vm, args, out);
    case BUILTIN_DATE:
        return date(vm, args, count, out);
    default:
        if (!want_string(vm, args, "the argument of timezone") || !load_zone(vm, args->bytes, args->length, &zone))
            return false;
        *out = (struct value){.tag = VALUE_ZONE, .zone = zone};
        return true;
    }
}

/* ---- methods ---- */

/* The arguments that were of unknown type when compiled are judged here. */
static bool arguments_fit(struct vm *vm, const struct method_info *m, const struct value *args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct value *v = &args[i];
        char letter = m->arguments[i];
        bool fits = letter == 'd'   ? v->tag == VALUE_DURATION
                    : letter == 't' ? v->tag == VALUE_TIME
                    : letter == 'i' ? value_is_integer(v)
                    : letter == 's' ? v->tag == VALUE_STRING
                                    : v->tag == VALUE_ZONE;

        if (!fits)
            return vm_fail(vm, v->tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_BAD_ARGUMENT,
                           "invalid argument %u of %s (%s)", i + 1, m->name, value_type_name(v));
    }
    return true;
}

static bool format(struct vm *vm, int id, const struct value *receiver, const struct value *args, struct value *out)
{
    struct text text;
    bool good;

    text_init(&text, FORMULA_HEAP_MAX_BYTES);
    good = id == METHOD_FORMAT ? lib_time_format(receiver->time, value_span(&args[0]), &text)
                               : value_print(vm, receiver, &text);
    return value_from_text(vm, &text, good, out);
}

static bool time_field(int id, const struct go_time *t, struct value *out)
{
    static const uint8_t fields[METHOD_COUNT_OF] = {
        [METHOD_YEAR] = LIB_TIME_YEAR,
        [METHOD_DAY] = LIB_TIME_DAY,
        [METHOD_HOUR] = LIB_TIME_HOUR,
        [METHOD_MINUTE] = LIB_TIME_MINUTE,
        [METHOD_SECOND] = LIB_TIME_SECOND,
        [METHOD_NANOSECOND] = LIB_TIME_NANOSECOND,
        [METHOD_YEAR_DAY] = LIB_TIME_YEAR_DAY,
        [METHOD_UNIX] = LIB_TIME_UNIX,
        [METHOD_UNIX_MILLI] = LIB_TIME_UNIX_MILLI,
        [METHOD_UNIX_MICRO] = LIB_TIME_UNIX_MICRO,
        [METHOD_UNIX_NANO] = LIB_TIME_UNIX_NANO,
        [METHOD_WEEKDAY] = LIB_TIME_WEEKDAY,
        [METHOD_MONTH] = LIB_TIME_MONTH,
        [METHOD_ISO_WEEK] = LIB_TIME_ISO_YEAR,
    };

    *out = value_of(id == METHOD_WEEKDAY ? VALUE_WEEKDAY
                    : id == METHOD_MONTH ? VALUE_MONTH
                                         : VALUE_INT,
                    lib_time_field(t, (enum lib_time_field)fields[id]));
    return true;
}

static bool time_method(struct vm *vm, int id, const struct go_time *t, const struct value *args, struct value *out)
{
    const struct zone *zone = NULL;

    switch (id) {
    case METHOD_ADD:
        return give(vm, lib_time_add(t, args[0].integer), out);
    case METHOD_ADD_DATE:
        return give(vm, lib_time_add_date(t, args[0].integer, args[1].integer, args[2].integer), out);
    case METHOD_SUB:
        *out = value_of(VALUE_DURATION, lib_time_sub(t, args[0].time));
        return true;
    case METHOD_AFTER:
        *out = value_bool(lib_time_compare(t, args[0].time) > 0);
        return true;
    case METHOD_BEFORE:
        *out = value_bool(lib_time_compare(t, args[0].time) < 0);
        return true;
    case METHOD_EQUAL:
        *out = value_bool(lib_time_compare(t, args[0].time) == 0);
        return true;
    case METHOD_COMPARE: {
        int sign = lib_time_compare(t, args[0].time);

        *out = value_int(sign < 0 ? -1 : sign > 0);
        return true;
    }
    case METHOD_IN:
        return give(vm, lib_time_in(t, args[0].zone), out);
    case METHOD_UTC:
        return give(vm, lib_time_in(t, zone_utc()), out);
    case METHOD_LOCAL:
        return local_zone(vm, &zone) && give(vm, lib_time_in(t, zone), out);
    case METHOD_TRUNCATE:
        return give(vm, lib_time_truncate(t, args[0].integer), out);
    case METHOD_ROUND:
        return give(vm, lib_time_round(t, args[0].integer), out);
    case METHOD_IS_ZERO:
        *out = value_bool(lib_time_is_zero(t));
        return true;
    default:
        return time_field(id, t, out);
    }
}

static bool duration_method(int id, int64_t ns, const struct value *args, struct value *out)
{
    switch (id) {
    case METHOD_HOURS:
        *out = value_float(lib_duration_hours(ns));
        break;
    case METHOD_MINUTES:
        *out = value_float(lib_duration_minutes(ns));
        break;
    case METHOD_SECONDS:
        *out = value_float(lib_duration_seconds(ns));
        break;
    case METHOD_MILLISECONDS:
        *out = value_int(ns / 1000000);
        break;
    case METHOD_MICROSECONDS:
        *out = value_int(ns / 1000);
        break;
    case METHOD_NANOSECONDS:
        *out = value_int(ns);
        break;
    case METHOD_D_TRUNCATE:
        *out = value_of(VALUE_DURATION, lib_duration_truncate(ns, args[0].integer));
        break;
    case METHOD_D_ROUND:
        *out = value_of(VALUE_DURATION, lib_duration_round(ns, args[0].integer));
        break;
    default:
        *out = value_of(VALUE_DURATION, lib_duration_abs(ns));
        break;
    }
    return true;
}

bool method_call(struct vm *vm, int id, const struct value *receiver, const struct value *args, uint32_t count,
                 struct value *out)
{
    const struct method_info *m = &method_table[id];
    static const uint8_t tags[] = {[TYPE_TIME] = VALUE_TIME,
                                   [TYPE_DURATION] = VALUE_DURATION,
                                   [TYPE_MONTH] = VALUE_MONTH,
                                   [TYPE_WEEKDAY] = VALUE_WEEKDAY,
                                   [TYPE_ZONE] = VALUE_ZONE};

    if (receiver->tag != tags[m->receiver])
        return vm_fail(vm, receiver->tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_BAD_INDEX, "%s has no method %s",
                       value_type_name(receiver), m->name);
    if (!arguments_fit(vm, m, args, count))
        return false;
    if (m->result == TYPE_STRING)
        return format(vm, id, receiver, args, out);
    if (m->receiver == TYPE_TIME)
        return time_method(vm, id, receiver->time, args, out);
    return duration_method(id, receiver->integer, args, out);
}
