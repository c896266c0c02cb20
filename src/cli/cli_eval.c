/* weir eval: one formula with values given on the command line. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "cli/cli.h"
#include "formula/formula.h"

static const char *wrap = "keda";
static bool trace, no_extensions;

static const struct option_row options[] = {
    {"trace", 't', OPTION_FLAG, &trace, NULL, "print the value of every sub-expression"},
    {"wrap", 0, OPTION_CHOICE, &wrap, "keda|none", "compile as KEDA does, a number being due, or as it stands (keda)"},
    {"no-extensions", 0, OPTION_FLAG, &no_extensions, NULL, "only what KEDA knows"},
    {0},
};

enum { NAMES_MAX = 1000 };

/* The names of the target's state may be given like triggers; then they are not names of triggers. */
static const char *const state_names[] = {"replicas",     "ready_replicas", "pending_replicas",
                                          "min_replicas", "max_replicas",   "target"};

struct values {
    const char *names[NAMES_MAX];
    double numbers[NAMES_MAX];
    bool nil[NAMES_MAX];
    size_t count;
    struct formula_state state;
    bool has_state;
};

static bool put_state(struct values *values, const char *name, double number)
{
    double *slots[] = {&values->state.replicas,     &values->state.ready_replicas, &values->state.pending_replicas,
                       &values->state.min_replicas, &values->state.max_replicas,   &values->state.target};

    for (size_t i = 0; !no_extensions && i < 6; i++)
        if (strcmp(name, state_names[i]) == 0) {
            *slots[i] = number;
            values->has_state = true;
            return true;
        }
    return false;
}

static int take_value(const struct command *self, struct values *values, char *argument)
{
    char *equals = strchr(argument, '=');
    double number = NAN;
    bool nil;

    if (!equals || equals == argument)
        return usage_error(self, "'%s' is not name=value; quote the formula if it has blanks", argument);
    *equals = '\0';
    nil = strcmp(equals + 1, "nil") == 0 || strcmp(equals + 1, "missing") == 0;
    if (!nil && !number_parse(equals + 1, strlen(equals + 1), &number))
        return usage_error(self, "'%s' is no number for %s; nil stands for a trigger without a value", equals + 1,
                           argument);
    if (!nil && put_state(values, argument, number))
        return EXIT_FINE;
    if (values->count == NAMES_MAX)
        return usage_error(self, "more than %d values", NAMES_MAX);
    values->names[values->count] = argument;
    values->numbers[values->count] = number;
    values->nil[values->count++] = nil;
    return EXIT_FINE;
}

static void print_step(void *arg, size_t begin, size_t end, int depth, const struct formula_value *value,
                       const char *repr)
{
    const char *source = arg;

    (void)value;
    printf("%*s%.*s = %s\n", depth * 2, "", (int)(end - begin), source + begin, repr);
}

static int print_error(const struct formula_error *err, const char *source)
{
    struct text text;

    text_init(&text, 64 * 1024);
    formula_error_write(err, source, &text);
    fprintf(stderr, "%s%s", text.bytes, text.length > 0 && text.bytes[text.length - 1] == '\n' ? "" : "\n");
    text_done(&text);
    return EXIT_FOUND;
}

static int evaluate(const struct formula *formula, struct values *values, const char *source)
{
    struct formula_env env = {.values = values->numbers,
                              .nil = values->nil,
                              .missing = values->nil,
                              .state = values->has_state ? &values->state : NULL,
                              .now_ms = (int64_t)time(NULL) * 1000};
    size_t bytes = formula_memory_bytes(formula);
    void *memory = bytes ? mem_alloc(bytes) : NULL;
    struct formula_result result;
    struct text repr;
    int status = EXIT_FINE;

    env.memory = memory;
    if (trace) {
        env.trace = print_step;
        env.trace_arg = (void *)source;
        env.trace_repr = true;
    }
    text_init(&repr, 1024 * 1024);
    formula_eval_repr(formula, &env, &result, &repr);
    if (result.value.type == FORMULA_NUMBER && !isfinite(result.value.number)) {
        env.trace = NULL;
        formula_check_finite(formula, &env, &result);
    }
    if (result.value.type == FORMULA_FAILED)
        status = print_error(&result.error, source);
    else if (!trace)
        printf("%s%s\n", repr.bytes, repr.overflowed ? " ... (cut: too long to print)" : "");
    text_done(&repr);
    free(memory);
    return status;
}

static int run_eval(const struct command *self, int argc, char **argv)
{
    static struct values values;
    struct formula_error err;
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (first == argc)
        return usage_error(self, "a formula is missing");
    const char *source = argv[first];
    for (int i = first + 1; i < argc; i++)
        if ((status = take_value(self, &values, argv[i])) != EXIT_FINE)
            return status;
    struct formula_options how = {.names = values.names,
                                  .name_count = values.count,
                                  .extensions = !no_extensions,
                                  .history = false,
                                  .wrap = strcmp(wrap, "keda") == 0 ? FORMULA_WRAP_KEDA : FORMULA_WRAP_NONE};
    struct formula *formula = formula_compile(source, strlen(source), &how, &err);
    if (!formula)
        return print_error(&err, source);
    status = evaluate(formula, &values, source);
    formula_unref(formula);
    return status;
}

const struct command command_eval = {
    .name = "eval",
    .operands = "FORMULA [NAME=VALUE...]",
    .summary = "evaluate a scaling-modifier formula",
    .description = "NAME=nil gives a trigger without a value. Names of the target's state (replicas, ready_replicas,\n"
                   "pending_replicas, min_replicas, max_replicas, target) can be given too.\n\n"
                   "  weir eval 'drift > 0.1 && gpus >= 2 ? 1 : 0' drift=0.3 gpus=4\n\n"
                   "Exit status: 0, or 1 for a formula that does not compile or has no finite value, 2 for bad usage.",
    .options = options,
    .run = run_eval,
};
