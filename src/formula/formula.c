/*
 * formula: compiling and evaluating, as the rest of Weir sees it (formula.h). See formula_internal.h for the way of a
 * formula.
 *
 * A program holds the user's text, the names it uses and one of two codes: numeric for the fast path, or general.
 * When a numeric formula needs the general path (a nil that matters, a trace, the printed result), its text is
 * compiled again for that one evaluation.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "formula/formula_internal.h"

struct used_name {
    const char *name; /* in the formula's own memory */
    int64_t history_ms;
    uint32_t index;
};

struct formula {
    atomic_uint references;
    uint32_t source_length, prefix_length;
    uint16_t used_count, memory_slots;
    uint8_t wrap;
    bool extensions, history, env_used;
    uint32_t name_count;     /* of the options it was compiled with */
    struct numeric *numeric; /* one of the two is NULL */
    struct program *program;
    struct program **traced; /* where the code that traces is kept; NULL: it is compiled for each evaluation */
    size_t bytes;
    const char *source;
    struct used_name used[]; /* then the names and the source */
};

/* ---- the wrapping (expr-language.md 1.1): textual, with all its consequences ---- */

#define KEDA_VARIABLE "let _kedaCompositeResult = "

struct wrapping {
    const char *prefix, *suffix;
};

static struct wrapping wrapping_of(const char *source, size_t length, enum formula_wrap wrap)
{
    static const char variable[] = KEDA_VARIABLE;
    bool coalesces = memmem(source, length,
                            "?"
                            "?",
                            2) != NULL;

    if (wrap == FORMULA_WRAP_NONE)
        return (struct wrapping){"", ""};
    if (coalesces && !(length >= sizeof(variable) - 1 && memcmp(source, variable, sizeof(variable) - 1) == 0))
        return (struct wrapping){KEDA_VARIABLE "(",
                                 "); _kedaCompositeResult == nil ? nil : float(_kedaCompositeResult)"};
    if (!coalesces && !(length >= 6 && memcmp(source, "float(", 6) == 0))
        return (struct wrapping){"float(", ")"};
    return (struct wrapping){"", ""};
}

/* ---- compiling ---- */

static void begin_compiler(struct compiler *c, const char *source, size_t length, const struct formula_options *options)
{
    struct wrapping w = wrapping_of(source, length, options->wrap);
    size_t prefix = strlen(w.prefix), suffix = strlen(w.suffix), total = prefix + length + suffix;
    char *text;

    memset(c, 0, offsetof(struct compiler, syntax));
    c->syntax.fault = c->semantic.fault = c->folding.fault = FAULT_NONE;
    memset(&c->nothing, 0, sizeof(c->nothing));
    c->history_ms = NULL;
    c->arena = arena_new(ARENA_USUAL);
    text = arena_alloc(c->arena, total + 1);
    memcpy(text, w.prefix, prefix);
    memcpy(text + prefix, source, length);
    memcpy(text + prefix + length, w.suffix, suffix);
    c->options = options;
    c->prefix_length = (uint32_t)prefix;
    c->user_length = (uint32_t)length;
    c->lexer.text = text;
    c->lexer.length = (uint32_t)total;
    c->used = arena_array(c->arena, options->name_count / 64 + 1, sizeof(*c->used));
    c->nothing.kind = NODE_NIL;
    c->nothing.type = TYPE_OF(UNKNOWN);
}

/* NULL: the first fault of the strongest class is in *err. */
static struct node *parse(struct compiler *c, struct formula_error *err)
{
    struct node *root = parse_formula(c);
    const struct formula_error *worst = c->syntax.fault     ? &c->syntax
                                        : c->semantic.fault ? &c->semantic
                                        : c->folding.fault  ? &c->folding
                                                            : NULL;

    if (!worst)
        return root;
    *err = *worst;
    return NULL;
}

static bool too_long(size_t length, struct formula_error *err)
{
    if (length <= FORMULA_SOURCE_MAX_BYTES)
        return false;
    *err = (struct formula_error){.fault = FAULT_LIMIT};
    snprintf(err->text, sizeof(err->text), "the formula is longer than %d bytes", FORMULA_SOURCE_MAX_BYTES);
    return true;
}

const struct node *formula_parse(struct compiler *c, const char *source, size_t length,
                                 const struct formula_options *options, struct formula_error *err)
{
    memset(c, 0, sizeof(*c));
    if (too_long(length, err))
        return NULL;
    begin_compiler(c, source, length, options);
    return parse(c, err);
}

void formula_parse_done(struct compiler *c)
{
    arena_free(c->arena);
}

static bool uses(const struct compiler *c, size_t i)
{
    return c->env_used || (c->used[i / 64] >> (i % 64) & 1);
}

/* One block: the formula, its names, its source. */
static struct formula *keep(const struct compiler *c, const char *source, size_t length)
{
    const struct formula_options *o = c->options;
    size_t count = 0, text = length + 1, bytes;
    struct formula *f;
    char *at;

    for (size_t i = 0; i < o->name_count; i++)
        if (o->names[i] && uses(c, i)) {
            count++;
            text += strlen(o->names[i]) + 1;
        }
    bytes = sizeof(*f) + count * sizeof(f->used[0]) + text;
    f = mem_alloc(bytes);
    at = (char *)&f->used[count];
    for (size_t i = 0; i < o->name_count; i++)
        if (o->names[i] && uses(c, i)) {
            size_t size = strlen(o->names[i]) + 1;

            f->used[f->used_count++] = (struct used_name){at, c->history_ms ? c->history_ms[i] : 0, (uint32_t)i};
            memcpy(at, o->names[i], size);
            at += size;
        }
    memcpy(at, source, length);
    f->source = at;
    f->source_length = (uint32_t)length;
    f->prefix_length = c->prefix_length;
    f->memory_slots = c->memory_slots;
    f->wrap = (uint8_t)o->wrap;
    f->extensions = o->extensions;
    f->history = o->history;
    f->env_used = c->env_used;
    f->name_count = (uint32_t)o->name_count;
    f->bytes = bytes;
    atomic_init(&f->references, 1);
    return f;
}

struct formula *formula_compile(const char *source, size_t length, const struct formula_options *options,
                                struct formula_error *err)
{
    struct compiler c;
    struct formula_error ignored;
    struct formula *f = NULL;
    struct program *program = NULL;
    struct numeric *numeric = NULL;
    struct node *root;
    size_t bytes = 0;

    err = err ? err : &ignored;
    if (too_long(length, err))
        return NULL;
    begin_compiler(&c, source, length, options);
    root = parse(&c, err);
    if (root) {
        numeric = numeric_compile(&c, root, &bytes);
        if (!numeric)
            program = emit_program(&c, root, err);
        if (numeric || program) {
            f = keep(&c, source, length);
            f->numeric = numeric;
            f->program = program;
            f->bytes += bytes;
        }
    }
    arena_free(c.arena);
    return f;
}

struct formula *formula_ref(struct formula *f)
{
    atomic_fetch_add_explicit(&f->references, 1, memory_order_relaxed);
    return f;
}

void formula_unref(struct formula *f)
{
    if (!f || atomic_fetch_sub_explicit(&f->references, 1, memory_order_acq_rel) != 1)
        return;
    free(f->numeric);
    program_free(f->program);
    if (f->traced)
        program_free(*f->traced);
    free(f->traced);
    free(f);
}

void formula_keep_traced(struct formula *f)
{
    if (!f->traced)
        f->traced = mem_alloc(sizeof(struct program *));
}

const char *formula_source(const struct formula *f)
{
    return f->source;
}
size_t formula_bytes(const struct formula *f)
{
    return f->bytes + (f->program ? program_bytes(f->program) : 0);
}
size_t formula_memory_bytes(const struct formula *f)
{
    return f->memory_slots * sizeof(struct extension_slot);
}

static const struct used_name *find_used(const struct formula *f, size_t name)
{
    for (uint16_t i = 0; i < f->used_count; i++)
        if (f->used[i].index == name)
            return &f->used[i];
    return NULL;
}

bool formula_uses(const struct formula *f, size_t name)
{
    return find_used(f, name) != NULL;
}

int64_t formula_history_ms(const struct formula *f, size_t name)
{
    const struct used_name *used = find_used(f, name);

    return used ? used->history_ms : 0;
}

/* ---- evaluating ---- */

/* The names it uses, at their places; the others are NULL. Free it. */
static const char **names_of(const struct formula *f)
{
    const char **names = mem_array(f->name_count + 1, sizeof(*names));

    for (uint16_t i = 0; i < f->used_count; i++)
        names[f->used[i].index] = f->used[i].name;
    return names;
}

/* The general code for one evaluation. It compiled before, so that it fails now is a zone file that went away. */
static struct program *compile_again(const struct formula *f, const char *const *names, bool tracing,
                                     struct formula_error *err)
{
    struct formula_options options = {.names = names,
                                      .name_count = f->name_count,
                                      .wrap = (enum formula_wrap)f->wrap,
                                      .extensions = f->extensions,
                                      .history = f->history};
    struct compiler c;
    struct program *program = NULL;
    struct node *root;

    begin_compiler(&c, f->source, f->source_length, &options);
    c.tracing = tracing;
    root = parse(&c, err);
    if (root)
        program = emit_program(&c, root, err);
    arena_free(c.arena);
    return program;
}

/* The code that runs this time. *ours: it is to be freed. */
static struct program *program_for(const struct formula *f, const char *const *names, bool tracing, bool *ours,
                                   struct formula_error *err)
{
    struct program *again;

    *ours = false;
    if (f->program && !tracing)
        return f->program;
    if (tracing && f->traced && *f->traced)
        return *f->traced;
    again = compile_again(f, names, tracing, err);
    if (tracing && f->traced)
        *f->traced = again;
    else
        *ours = true;
    return again;
}

/* run: what is asked for beside the result. */
static void run_general(const struct formula *f, const struct formula_env *env, struct program_run *run,
                        struct formula_result *result)
{
    struct extension_slot fresh[FORMULA_MEMORY_SLOTS_MAX];
    bool tracing = env->trace || run->find_unfinite;
    const char **names = f->env_used || !f->program || tracing ? names_of(f) : NULL;
    struct program *program;
    bool ours;

    run->env = env;
    run->names = names;
    run->name_count = f->name_count;
    run->source = f->source;
    run->prefix_length = f->prefix_length;
    run->user_length = f->source_length;
    if (!run->memory) {
        run->memory = fresh;
        memset(fresh, 0, f->memory_slots * sizeof(fresh[0]));
    }
    program = program_for(f, names, tracing, &ours, &result->error);
    if (program)
        program_execute(program, run, result);
    else
        result->value = (struct formula_value){.type = FORMULA_FAILED};
    if (run->memory == fresh)
        run->memory = NULL;
    if (ours)
        program_free(program);
    free(names);
}

static __attribute__((noinline)) void eval_general(const struct formula *f, const struct formula_env *env,
                                                   struct formula_result *result)
{
    struct program_run run = {.memory = env->memory};

    run_general(f, env, &run, result);
}

void formula_eval(const struct formula *f, const struct formula_env *env, struct formula_result *result)
{
    if (!f->numeric || env->trace || !numeric_run(f->numeric, env, result))
        eval_general(f, env, result);
}

void formula_eval_repr(const struct formula *f, const struct formula_env *env, struct formula_result *result,
                       struct text *repr)
{
    struct program_run run = {.memory = env->memory, .repr = repr};

    run_general(f, env, &run, result);
}

void formula_check_finite(const struct formula *f, const struct formula_env *env, struct formula_result *result)
{
    struct extension_slot memory[FORMULA_MEMORY_SLOTS_MAX];
    struct program_run run = {.find_unfinite = true};
    struct formula_result again;
    struct formula_error *err = &result->error;
    struct formula_env apart = *env;
    size_t length;

    if (result->value.type != FORMULA_NUMBER || isfinite(result->value.number))
        return;
    apart.trace = NULL;
    if (env->memory) { /* what functions remember must not see this evaluation */
        memcpy(memory, env->memory, formula_memory_bytes(f));
        run.memory = memory;
    }
    run_general(f, &apart, &run, &again);
    *err = (struct formula_error){.fault = FAULT_NOT_FINITE};
    length = run.unfinite_end - run.unfinite_begin;
    if (length > 0) {
        err->begin = run.unfinite_begin;
        err->end = run.unfinite_end;
        fault_place(err, f->source, run.unfinite_begin);
        snprintf(err->text, sizeof(err->text), "%.*s%s: %s",
                 (int)utf8_valid_prefix(f->source + err->begin, length > 200 ? 200 : length), f->source + err->begin,
                 length > 200 ? "..." : "", run.unfinite_why);
    } else {
        snprintf(err->text, sizeof(err->text), "the result is %s",
                 isnan(result->value.number) ? "not a number" : "infinite");
    }
    result->value = (struct formula_value){.type = FORMULA_FAILED};
}

/* ---- the table of all names ---- */

const struct formula_function *formula_functions(size_t *count)
{
    static const struct formula_function functions[] = {
#define B(id, name, least, most, shape, signature, summary) {name, signature, summary, false},
        BUILTINS(B)
#undef B
#define X(id, name, arguments, result, memory, signature, summary) {name, signature, summary, true},
            EXTENSIONS(X)
#undef X
                {"replicas", "replicas", "replicas the target has now", true},
        {"ready_replicas", "ready_replicas", "replicas that are ready", true},
        {"pending_replicas", "pending_replicas", "replicas that are not ready yet", true},
        {"min_replicas", "min_replicas", "the object's lower bound", true},
        {"max_replicas", "max_replicas", "the object's upper bound", true},
        {"target", "target", "the formula's target value", true},
    };

    *count = sizeof(functions) / sizeof(functions[0]);
    return functions;
}
