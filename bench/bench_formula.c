/*
 * bench_formula: what a formula costs. Prints one JSON line per formula: evaluation and compilation in nanoseconds
 * (the best of many short rounds, so that a busy machine shows little), and the bytes its program holds.
 *
 *     bench_formula [NAME...]        without names: all formulas below
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "formula/formula.h"

static const struct {
    const char *name, *text;
} formulas[] = {
    {"retraining", "validation_drift > 0.1 && available_gpus >= 2 && request_queue_length < 1000 ? 1 : 0"},
    {"token-latency", "1 / (tokens_per_min / pod_count)"},
    {"model-rebalancing", "tokens_per_min >= 5000 ? request_rate : 0"},
    {"aggregates", "sum([a,b,c,d]) > 10 ? max(a,b,c) : mean([a,b,c,d])"},
    {"coalesce", "(a ?? 5) + (b ?? 6)"},
    {"general", "sum(map([a, b, c, d], # * 2)) / len(filter([a, b, c, d], # > 1))"},
};

static const char *const names[] = {"validation_drift",
                                    "available_gpus",
                                    "request_queue_length",
                                    "tokens_per_min",
                                    "pod_count",
                                    "request_rate",
                                    "a",
                                    "b",
                                    "c",
                                    "d"};
static const double values[] = {0.3, 4, 120, 7200, 3, 41, 1, 2, 3, 4};
enum { NAME_COUNT = sizeof(names) / sizeof(names[0]), ROUNDS = 200 };

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double time_eval(const struct formula *f, int times)
{
    struct formula_env env = {.values = values};
    struct formula_result r;
    double start = now_ns();

    for (int i = 0; i < times; i++) {
        formula_eval(f, &env, &r);
        __asm__ volatile("" : : "r"(&r) : "memory"); /* the result counts as looked at */
    }
    return (now_ns() - start) / times;
}

static double time_compile(const char *text, const struct formula_options *options, int times)
{
    size_t length = strlen(text);
    double start = now_ns();

    for (int i = 0; i < times; i++)
        formula_unref(formula_compile(text, length, options, NULL));
    return (now_ns() - start) / times;
}

static void measure(const char *name, const char *text)
{
    struct formula_options options = {.names = names, .name_count = NAME_COUNT, .wrap = FORMULA_WRAP_KEDA};
    struct formula *f = formula_compile(text, strlen(text), &options, NULL);
    double eval_ns = 1e18, compile_ns = 1e18;

    if (!f) {
        fprintf(stderr, "%s does not compile\n", name);
        exit(1);
    }
    for (int i = 0; i < ROUNDS; i++) {
        double e = time_eval(f, 5000), c = time_compile(text, &options, 100);

        eval_ns = e < eval_ns ? e : eval_ns;
        compile_ns = c < compile_ns ? c : compile_ns;
    }
    printf("{\"formula\":\"%s\",\"eval_ns\":%.1f,\"compile_ns\":%.0f,\"bytes\":%zu}\n", name, eval_ns, compile_ns,
           formula_bytes(f));
    formula_unref(f);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(formulas) / sizeof(formulas[0]); i++) {
        bool wanted = argc < 2;

        for (int a = 1; a < argc; a++)
            wanted |= strcmp(argv[a], formulas[i].name) == 0;
        if (wanted)
            measure(formulas[i].name, formulas[i].text);
    }
    return 0;
}
