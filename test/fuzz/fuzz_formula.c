/*
 * fuzz_formula: any bytes as a formula, compiled and evaluated both ways. The first byte chooses wrapping, extensions
 * and which triggers are nil. Beside crashes it looks for the fast path and the general path disagreeing.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "formula/formula.h"
#include "series/series.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REPR_MAX_BYTES = 64 * 1024, NAME_COUNT = 4, NOW_MS = 1000 * 1000 };

static const char *const names[NAME_COUNT] = {"a", "b", "n", "my-trigger"};
static const double values[NAME_COUNT] = {1.5, -2, 0, 7};
static const int64_t at_ms[NAME_COUNT] = {NOW_MS - 5000, NOW_MS, 0, NOW_MS - 60000};
static const struct formula_state state = {3, 2, 1, 1, 10, 5};

static void see(void *arg, size_t begin, size_t end, int depth, const struct formula_value *value, const char *repr)
{
    (void)value;
    (void)depth;
    if (begin > end || end > *(const size_t *)arg || !repr)
        abort();
}

static bool same(const struct formula_result *x, const struct formula_result *y)
{
    if (x->value.type != y->value.type)
        return false;
    if (x->value.type == FORMULA_NUMBER)
        return memcmp(&x->value.number, &y->value.number, sizeof(double)) == 0 ||
               (isnan(x->value.number) && isnan(y->value.number));
    return x->value.type != FORMULA_INT || x->value.integer == y->value.integer;
}

static void evaluate(const struct formula *f, uint8_t choice, size_t length)
{
    bool nil[NAME_COUNT] = {choice & 4, choice & 8, true, choice & 16};
    struct series *series[NAME_COUNT] = {series_new(600 * 1000, 16)};
    void *memory = calloc(1, formula_memory_bytes(f) + 1);
    struct formula_env env = {.values = values,
                              .nil = nil,
                              .at_ms = at_ms,
                              .series = series,
                              .state = choice & 32 ? &state : NULL,
                              .now_ms = NOW_MS,
                              .memory = memory,
                              .trace_arg = &length};
    struct formula_result r, printed;
    struct text repr;

    for (int i = 0; i < 10; i++)
        series_add(series[0], &(struct sample){.state = SAMPLE_OK, .value = i * i, .at_ms = NOW_MS - (10 - i) * 30000});
    text_init(&repr, REPR_MAX_BYTES);
    formula_eval(f, &env, &r);
    formula_eval_repr(f, &env, &printed, &repr);
    if (!same(&r, &printed))
        abort();
    env.trace = see;
    env.trace_repr = true;
    formula_eval(f, &env, &printed);
    if (!same(&r, &printed))
        abort();
    formula_check_finite(f, &env, &r);
    text_done(&repr);
    series_free(series[0]);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct formula_options options = {.names = names, .name_count = NAME_COUNT};
    struct formula_error err;
    struct formula *f;
    struct text shown;
    char *source;

    if (size < 1 || size > 4096)
        return 0;
    source = malloc(size);
    memcpy(source, data + 1, size - 1);
    source[size - 1] = '\0';
    options.wrap = data[0] & 1 ? FORMULA_WRAP_KEDA : FORMULA_WRAP_NONE;
    options.extensions = options.history = data[0] & 2;
    f = formula_compile(source, size - 1, &options, &err);
    if (f) {
        evaluate(f, data[0], size - 1);
        formula_unref(f);
    } else {
        text_init(&shown, REPR_MAX_BYTES);
        formula_error_write(&err, source, &shown);
        if (err.begin > err.end || err.end > size - 1 || err.text[0] == '\0')
            abort();
        text_done(&shown);
    }
    free(source);
    return 0;
}
