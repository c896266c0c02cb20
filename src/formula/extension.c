/*
 * extension: Weir's own names (DESIGN.md 4): the state of the target, history and freshness of triggers, stability,
 * calendar.
 *
 * A nil argument gives nil and leaves the memory alone; so does a window without a good sample. What is constant in a
 * call (trigger, windows, zone, times of day) is decoded here when the formula is compiled; only numbers and
 * conditions are evaluated.
 *
 * Functions with memory keep one slot per call site, in memory of the caller. In a branch that is not taken the slot
 * is not touched. All four give the same answer when evaluated again at the same instant, so a formula may be
 * evaluated twice.
 *
 *     hysteresis(x, low, high)  becomes true at x >= high, false at x <= low, keeps in between; starts false
 *     held(cond, d)             true once cond was true at every evaluation for at least d
 *     cooldown(cond, d)         true while cond is, and until less than d has passed since it last was
 *     ema(x, halflife)          value + (x - value) * (1 - 2^(-elapsed / halflife)); starts as x; a NaN or infinity is skipped
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "formula/vm.h"
#include "series/series.h"

const struct extension_info extension_table[EXTENSION_COUNT_OF] = {
#define X(id, name, arguments, result, memory, ...) {name, arguments, TYPE_##result, memory},
    EXTENSIONS(X)
#undef X
};

int extension_find(const char *name, size_t length)
{
    for (int i = 0; i < EXTENSION_COUNT_OF; i++)
        if (strlen(extension_table[i].name) == length && memcmp(extension_table[i].name, name, length) == 0)
            return i;
    return -1;
}

int state_find(const char *name, size_t length)
{
    static const char *const names[] = {
#define S(field) #field,
        STATE_NAMES(S)
#undef S
    };

    for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++)
        if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
            return i;
    return -1;
}

/* ---- constant arguments ---- */

static bool read_span(const struct extension_info *x, const struct node *n, int64_t *ms, struct error *err)
{
    int64_t ns = 0;
    double seconds = n->kind == NODE_INT ? (double)n->integer : n->number;

    if (n->kind == NODE_STRING) {
        if (!duration_parse_ns(n->string.bytes, n->string.length, &ns))
            return error_set(err, ERROR_INVALID, "%s: '%.*s' is not a duration; write for example \"5m\" or \"1h30m\"",
                             x->name, (int)(n->string.length > 40 ? 40 : n->string.length), n->string.bytes);
        *ms = ns / 1000000;
    } else {
        *ms = seconds > 0 && seconds < 1e12 ? (int64_t)(seconds * 1000) : 0;
    }
    if (*ms <= 0)
        return error_set(err, ERROR_INVALID, "%s: a duration must be at least a millisecond", x->name);
    return true;
}

static bool read_clock(const struct extension_info *x, struct span s, int64_t *minutes, struct error *err)
{
    bool good = s.length == 5 && s.bytes[2] == ':';
    int hour, minute;

    for (size_t i = 0; good && i < 5; i++)
        good = i == 2 || (s.bytes[i] >= '0' && s.bytes[i] <= '9');
    if (good) {
        hour = (s.bytes[0] - '0') * 10 + s.bytes[1] - '0';
        minute = (s.bytes[3] - '0') * 10 + s.bytes[4] - '0';
        *minutes = hour * 60 + minute;
        if (*minutes <= 24 * 60 && minute < 60)
            return true;
    }
    return error_set(err, ERROR_INVALID, "%s: '%.*s' is not a time of day; write \"08:00\"", x->name,
                     (int)(s.length > 40 ? 40 : s.length), s.bytes);
}

static bool read_zone(const struct extension_info *x, struct span s, const struct zone **out, struct error *err)
{
    char name[128];

    if (s.length >= sizeof(name) || memchr(s.bytes, 0, s.length))
        return error_set(err, ERROR_INVALID, "%s: no such time zone", x->name);
    memcpy(name, s.bytes, s.length);
    name[s.length] = '\0';
    return zone_load(name, out, err);
}

static bool is_history(enum extension id)
{
    return id >= EXTENSION_RECENT;
}

static bool note_history(struct compiler *c, const struct extension_info *x, const struct extension_call *call,
                         struct error *err)
{
    if (!c->options->history)
        return error_set(err, ERROR_INVALID, "%s looks at the past, which is not known here", x->name);
    if (call->window_ms > HISTORY_SPAN_MAX_MS)
        return error_set(err, ERROR_LIMIT, "%s: a window may be at most %d days (HISTORY_SPAN_MAX_MS)", x->name,
                         (int)(HISTORY_SPAN_MAX_MS / (24 * 3600 * 1000)));
    if (!c->history_ms)
        c->history_ms = arena_array(c->arena, c->options->name_count, sizeof(*c->history_ms));
    if (c->history_ms[call->trigger] < call->window_ms)
        c->history_ms[call->trigger] = call->window_ms;
    return true;
}

bool extension_prepare(struct compiler *c, const struct node *n, struct extension_call *call, struct error *err)
{
    const struct extension_info *x = &extension_table[n->integer];
    const char *letter = x->arguments;
    bool first = true, good = true;

    *call = (struct extension_call){.id = (uint8_t)n->integer, .memory_slot = (uint8_t)n->slot};
    for (const struct node *a = n->list; a && good; a = a->next, letter++) {
        int64_t *span = first ? &call->window_ms : &call->second_ms;

        switch (*letter) {
        case 'n':
        case 'b':
            call->dynamic++;
            break;
        case 't':
            call->trigger = (uint16_t)a->integer;
            break;
        case 'q':
            call->quantile = a->kind == NODE_INT ? (double)a->integer : a->number;
            break;
        case 'z':
            good = read_zone(x, a->string, &call->zone, err);
            break;
        case 'c':
            good = read_clock(x, a->string, span, err);
            first = false;
            break;
        default:
            good = read_span(x, a, span, err);
            first = false;
            break;
        }
    }
    if (good && is_history((enum extension)n->integer))
        good = note_history(c, x, call, err);
    if (!good)
        extension_release(call);
    return good;
}

void extension_release(const struct extension_call *call)
{
    if (call->zone)
        zone_unref(call->zone);
}

/* ---- functions with memory ---- */

static int64_t elapsed_ms(const struct extension_slot *slot, int64_t now_ms)
{
    return now_ms > slot->at_ms ? now_ms - slot->at_ms : 0; /* a clock that went back stands still */
}

static bool hysteresis(struct extension_slot *slot, double x, double low, double high)
{
    if (x >= high)
        slot->on = 1;
    else if (x <= low)
        slot->on = 0;
    return slot->on;
}

static bool held(struct extension_slot *slot, bool condition, int64_t for_ms, int64_t now_ms)
{
    if (!condition) {
        slot->on = 0;
        return false;
    }
    if (!slot->on || now_ms < slot->at_ms)
        slot->at_ms = now_ms;
    slot->on = 1;
    return elapsed_ms(slot, now_ms) >= for_ms;
}

static bool cooldown(struct extension_slot *slot, bool condition, int64_t for_ms, int64_t now_ms)
{
    if (condition) {
        slot->set = 1;
        slot->at_ms = now_ms;
        return true;
    }
    return slot->set && elapsed_ms(slot, now_ms) < for_ms;
}

static double ema(struct extension_slot *slot, double x, int64_t halflife_ms, int64_t now_ms)
{
    if (!isfinite(x))
        return slot->set ? slot->value : x;
    if (slot->set)
        slot->value += (x - slot->value) * -expm1(-M_LN2 * (double)elapsed_ms(slot, now_ms) / (double)halflife_ms);
    else
        slot->value = x;
    slot->set = 1;
    slot->at_ms = now_ms;
    return slot->value;
}

static struct value with_memory(struct vm *vm, const struct extension_call *call, const struct value *args)
{
    struct extension_slot *slot = &vm->run->memory[call->memory_slot];
    int64_t now_ms = vm->env->now_ms;

    switch (call->id) {
    case EXTENSION_HYSTERESIS:
        return value_bool(hysteresis(slot, value_number(&args[0]), value_number(&args[1]), value_number(&args[2])));
    case EXTENSION_HELD:
        return value_bool(held(slot, args[0].integer != 0, call->window_ms, now_ms));
    case EXTENSION_COOLDOWN:
        return value_bool(cooldown(slot, args[0].integer != 0, call->window_ms, now_ms));
    default:
        return value_float(ema(slot, value_number(&args[0]), call->window_ms, now_ms));
    }
}

/* ---- calendar, freshness, history ---- */

static struct value calendar(const struct extension_call *call, int64_t now_ms)
{
    struct civil civil;
    int64_t minute;

    zone_civil(call->zone, now_ms / 1000 - (now_ms % 1000 < 0), &civil);
    minute = civil.hour * 60 + civil.minute;
    switch (call->id) {
    case EXTENSION_HOUR:
        return value_int(civil.hour);
    case EXTENSION_MINUTE:
        return value_int(civil.minute);
    case EXTENSION_WEEKDAY:
        return value_int(civil.weekday);
    default:
        break;
    }
    if (call->window_ms <= call->second_ms)
        return value_bool(minute >= call->window_ms && minute < call->second_ms);
    return value_bool(minute >= call->window_ms || minute < call->second_ms);
}

static struct value age(const struct formula_env *env, uint16_t trigger)
{
    int64_t age_ms;

    if (!env->at_ms || env->at_ms[trigger] <= 0)
        return value_nil();
    age_ms = env->now_ms - env->at_ms[trigger];
    return value_float(age_ms > 0 ? (double)age_ms / 1000 : 0);
}

static double history(const struct extension_call *call, const struct series *s, int64_t now_ms)
{
    int64_t w = call->window_ms;

    switch (call->id) {
    case EXTENSION_RECENT:
        return series_recent(s, now_ms, w);
    case EXTENSION_AVG_OVER:
        return series_avg(s, now_ms, w);
    case EXTENSION_MIN_OVER:
        return series_min(s, now_ms, w);
    case EXTENSION_MAX_OVER:
        return series_max(s, now_ms, w);
    case EXTENSION_SUM_OVER:
        return series_sum(s, now_ms, w);
    case EXTENSION_QUANTILE_OVER:
        return series_quantile(s, call->quantile, now_ms, w);
    case EXTENSION_STDDEV_OVER:
        return series_stddev(s, now_ms, w);
    case EXTENSION_RATE:
        return series_rate(s, now_ms, w);
    case EXTENSION_INCREASE:
        return series_increase(s, now_ms, w);
    case EXTENSION_DELTA:
        return series_delta(s, now_ms, w);
    case EXTENSION_DERIV:
        return series_deriv(s, now_ms, w);
    case EXTENSION_AGO:
        return series_ago(s, now_ms, w);
    default:
        return series_predict_linear(s, now_ms, w, call->second_ms);
    }
}

static bool arguments_fit(struct vm *vm, const struct extension_call *call, const struct value *args)
{
    const struct extension_info *x = &extension_table[call->id];

    for (uint32_t i = 0; i < call->dynamic; i++)
        if (x->arguments[i] == 'n' ? !value_is_number(&args[i]) : args[i].tag != VALUE_BOOL)
            return vm_fail(vm, FAULT_TYPE_ASSERTION, "%s: argument %u must be a %s (got %s)", x->name, i + 1,
                           x->arguments[i] == 'n' ? "number" : "condition", value_type_name(&args[i]));
    return true;
}

static struct value clamp(const struct value *args)
{
    double x = value_number(&args[0]), low = value_number(&args[1]), high = value_number(&args[2]);

    x = low > x ? low : x;
    return value_float(high < x ? high : x);
}

bool extension_run(struct vm *vm, const struct extension_call *call, const struct value *args, struct value *out)
{
    const struct formula_env *env = vm->env;
    const struct series *series;
    double x;

    *out = value_nil();
    for (uint32_t i = 0; i < call->dynamic; i++)
        if (args[i].tag == VALUE_NIL)
            return true;
    if (!arguments_fit(vm, call, args))
        return false;
    if (extension_table[call->id].memory) {
        *out = with_memory(vm, call, args);
        return true;
    }
    switch (call->id) {
    case EXTENSION_CLAMP:
        *out = clamp(args);
        return true;
    case EXTENSION_HOUR:
    case EXTENSION_MINUTE:
    case EXTENSION_WEEKDAY:
    case EXTENSION_BETWEEN:
        *out = calendar(call, env->now_ms);
        return true;
    case EXTENSION_AGE:
        *out = age(env, call->trigger);
        return true;
    case EXTENSION_MISSING:
        *out = value_bool(env->missing ? env->missing[call->trigger] : env->nil && env->nil[call->trigger]);
        return true;
    default:
        break;
    }
    series = env->series ? env->series[call->trigger] : NULL;
    if (!series)
        return true;
    if (!vm_spend(vm, series_count(series)))
        return false;
    x = history(call, series, env->now_ms);
    *out = isnan(x) ? value_nil() : value_float(x);
    return true;
}
