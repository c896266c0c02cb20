/*
 * fault: what is wrong with a formula, where in the user's text, and which name was probably meant.
 *
 * Three classes are kept apart while compiling, because the original finds them in three passes: syntax, then names
 * and types, then folding (expr-language.md 10). Within a class the first counts.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "formula/formula_internal.h"

static const struct {
    const char *name;
    bool compile;
} names[] = {
    [FAULT_NONE] = {"none", false},
    [FAULT_SYNTAX] = {"syntax", true},
    [FAULT_UNKNOWN_NAME] = {"unknown-name", true},
    [FAULT_UNKNOWN_POINTER] = {"unknown-pointer", true},
    [FAULT_TYPE_MISMATCH] = {"type-mismatch", true},
    [FAULT_BAD_ARGUMENT] = {"bad-argument", true},
    [FAULT_ARG_COUNT] = {"arg-count", true},
    [FAULT_BAD_PREDICATE] = {"bad-predicate", true},
    [FAULT_BAD_INDEX] = {"bad-index", true},
    [FAULT_NOT_CALLABLE] = {"not-callable", true},
    [FAULT_REDECLARE] = {"redeclare", true},
    [FAULT_DIVIDE_BY_ZERO] = {"divide-by-zero", true},
    [FAULT_BAD_REGEXP] = {"bad-regexp", true},
    [FAULT_NODE_LIMIT] = {"node-limit", true},
    [FAULT_NIL_OPERAND] = {"nil-operand", false},
    [FAULT_TYPE_ASSERTION] = {"type-assertion", false},
    [FAULT_BAD_CONVERSION] = {"bad-conversion", false},
    [FAULT_NEGATIVE_SHIFT] = {"negative-shift", false},
    [FAULT_OUT_OF_RANGE] = {"out-of-range", false},
    [FAULT_MEMORY_BUDGET] = {"memory-budget", false},
    [FAULT_EMPTY_REDUCE] = {"empty-reduce", false},
    [FAULT_BAD_ORDER] = {"bad-order", false},
    [FAULT_BAD_KEY] = {"bad-key", false},
    [FAULT_JSON] = {"json", false},
    [FAULT_BASE64] = {"base64", false},
    [FAULT_BAD_TIME] = {"bad-time", false},
    [FAULT_LIMIT] = {"limit", true},
    [FAULT_NOT_FINITE] = {"not-finite", false},
};

const char *formula_fault_name(enum formula_fault fault)
{
    return names[fault].name;
}
bool formula_fault_is_compile(enum formula_fault fault)
{
    return names[fault].compile;
}

void fault_place(struct formula_error *err, const char *text, uint32_t place)
{
    err->line = 1;
    err->column = 1;
    for (uint32_t i = 0; i < place && text[i]; i++) {
        if (text[i] == '\n') {
            err->line++;
            err->column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            err->column++;
        }
    }
}

static void note(struct compiler *c, struct formula_error *err, enum formula_fault fault, uint32_t begin, uint32_t end,
                 uint32_t place, const char *format, va_list args) __attribute__((format(printf, 7, 0)));

/* Positions in the wrapping are moved to the nearest end of the user's text. */
static uint32_t to_user(const struct compiler *c, uint32_t at)
{
    at = at < c->prefix_length ? 0 : at - c->prefix_length;
    return at > c->user_length ? c->user_length : at;
}

static void note(struct compiler *c, struct formula_error *err, enum formula_fault fault, uint32_t begin, uint32_t end,
                 uint32_t place, const char *format, va_list args)
{
    if (err->fault != FAULT_NONE)
        return;
    memset(err, 0, sizeof(*err));
    err->fault = fault;
    err->begin = to_user(c, begin);
    err->end = to_user(c, end);
    fault_place(err, c->lexer.text + c->prefix_length, to_user(c, place));
    vsnprintf(err->text, sizeof(err->text), format, args);
}

struct node *compile_syntax(struct compiler *c, uint32_t begin, uint32_t end, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    note(c, &c->syntax, FAULT_SYNTAX, begin, end, begin, format, args);
    va_end(args);
    c->failed = true;
    c->token = (struct token){TOKEN_END, OP_NONE, c->token.begin, c->token.begin};
    c->lexer.at = c->lexer.length;
    return &c->nothing;
}

void compile_fault(struct compiler *c, enum formula_fault fault, uint32_t begin, uint32_t end, uint32_t place,
                   const char *format, ...)
{
    va_list args;

    va_start(args, format);
    note(c, &c->semantic, fault, begin, end, place, format, args);
    va_end(args);
}

void compile_fold_fault(struct compiler *c, enum formula_fault fault, const struct node *at, const char *text)
{
    if (c->folding.fault != FAULT_NONE)
        return;
    memset(&c->folding, 0, sizeof(c->folding));
    c->folding.fault = fault;
    c->folding.begin = to_user(c, at->begin);
    c->folding.end = to_user(c, at->end);
    fault_place(&c->folding, c->lexer.text + c->prefix_length, to_user(c, at->place));
    snprintf(c->folding.text, sizeof(c->folding.text), "%s", text);
}

/* ---- nearest names ---- */

struct candidates {
    const char *words[600];
    size_t count;
};

static void add(struct candidates *all, const char *word)
{
    if (word && all->count < sizeof(all->words) / sizeof(all->words[0]))
        all->words[all->count++] = word;
}

static void gather(struct compiler *c, struct candidates *all, bool call)
{
    const struct formula_options *o = c->options;
    size_t count;
    const struct formula_function *functions = formula_functions(&count);

    all->count = 0;
    if (!call) {
        for (size_t i = 0; i < o->name_count; i++)
            add(all, o->names[i]);
        for (const struct variable *v = c->variables; v; v = v->outer)
            add(all, arena_copy_bytes(c->arena, v->name.bytes, v->name.length));
    }
    for (size_t i = 0; i < count; i++)
        if ((o->extensions || !functions[i].extension) && call == (strchr(functions[i].signature, '(') != NULL))
            add(all, functions[i].name);
}

void compile_unknown_name(struct compiler *c, struct span name, uint32_t begin, uint32_t end, bool call)
{
    struct candidates all;
    char word[128];
    size_t length = name.length < sizeof(word) - 1 ? name.length : sizeof(word) - 1;
    const char *nearest;

    if (c->semantic.fault != FAULT_NONE)
        return;
    length = utf8_valid_prefix(name.bytes, length);
    memcpy(word, name.bytes, length);
    word[length] = '\0';
    gather(c, &all, call);
    nearest = string_nearest(word, all.words, all.count);
    if (nearest)
        compile_fault(c, FAULT_UNKNOWN_NAME, begin, end, begin, "unknown name '%s', did you mean '%s'?", word, nearest);
    else
        compile_fault(c, FAULT_UNKNOWN_NAME, begin, end, begin, "unknown %s '%s'%s", call ? "function" : "name", word,
                      call ? "" : "; a formula sees triggers by their name");
}

/* ---- showing ---- */

void formula_error_write(const struct formula_error *err, const char *source, struct text *out)
{
    const char *line = source, *end;
    int number = 1;

    if (err->line == 0) {
        text_printf(out, "formula: %s\n", err->text);
        return;
    }
    while (number < err->line && (end = strchr(line, '\n'))) {
        line = end + 1;
        number++;
    }
    end = strchr(line, '\n');
    text_printf(out, "formula:%d:%d: %s\n | ", err->line, err->column, err->text);
    for (const char *at = line; *at && at != end; at++)
        text_add_char(out, *at == '\t' ? ' ' : *at);
    text_add(out, "\n | ");
    for (int i = 1; i < err->column; i++)
        text_add_char(out, '.');
    text_add(out, "^\n");
}
