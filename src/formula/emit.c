/*
 * emit: nodes to the stack code of the general path (the instructions are listed in vm.h).
 *
 * Each node leaves exactly one value. A loop over an array is
 *
 *         <array>  LOOP_BEGIN  [<initial> LOOP_START]  LOOP_TEST end
 *   body: [<filter> LOOP_FILTER body, JUMP end]  <predicate>  LOOP_STEP body
 *   end:  LOOP_END
 *
 * When tracing, a TRACE follows every node of the user's text that is not a literal. Every instruction knows the
 * bytes of the text it came from, for errors.
 */
#include <string.h>

#include "formula/vm.h"

struct emitter {
    struct compiler *c;
    struct arena *out; /* the program's */
    struct vm_instruction *code;
    struct vm_place *places;
    struct value *constants;
    struct lib_regex **regexes;
    struct extension_call *calls;
    uint32_t count, capacity, constant_count, constant_capacity, regex_count, call_count;
    uint32_t stack, stack_max, loops, loops_max;
    uint32_t *chain; /* jumps to the end of the chain around, linked through n */
    struct formula_error *err;
    bool failed;
};

enum { NO_JUMP = UINT32_MAX, REGEXES_MAX = 256 };

static void fail(struct emitter *e, enum formula_fault fault, const struct node *n, const char *text)
{
    if (e->failed)
        return;
    e->failed = true;
    compile_fault(e->c, fault, n->begin, n->end, n->place, "%s", text);
    *e->err = e->c->semantic;
}

static void *grown(struct emitter *e, const void *old, uint32_t count, uint32_t capacity, size_t size)
{
    void *bigger = arena_alloc(e->c->arena, capacity * size);

    if (count)
        memcpy(bigger, old, count * size);
    return bigger;
}

/* `grows`: by how much the stack is higher afterwards. */
static uint32_t put(struct emitter *e, const struct node *n, enum vm_op op, uint32_t m, uint32_t operand, int grows)
{
    if (e->count == e->capacity) {
        e->capacity = e->capacity ? e->capacity * 2 : 64;
        e->code = grown(e, e->code, e->count, e->capacity, sizeof(*e->code));
        e->places = grown(e, e->places, e->count, e->capacity, sizeof(*e->places));
    }
    if (e->count >= FORMULA_CODE_MAX) {
        fail(e, FAULT_LIMIT, n, "the formula needs more instructions than a program may have; split it");
        e->count = 0;
    }
    e->stack += (uint32_t)grows;
    if (e->stack > e->stack_max)
        e->stack_max = e->stack;
    e->code[e->count] = (struct vm_instruction){(uint8_t)op, 0, (uint16_t)m, operand};
    e->places[e->count] = (struct vm_place){n->begin, n->end, n->place};
    return e->count++;
}

static void aim_here(struct emitter *e, uint32_t list)
{
    while (list != NO_JUMP && !e->failed) {
        uint32_t next = e->code[list].n;

        e->code[list].n = e->count;
        list = next;
    }
}

static uint32_t add_constant(struct emitter *e, struct value v)
{
    if (e->constant_count == e->constant_capacity) {
        e->constant_capacity = e->constant_capacity ? e->constant_capacity * 2 : 16;
        e->constants = grown(e, e->constants, e->constant_count, e->constant_capacity, sizeof(v));
    }
    e->constants[e->constant_count] = v;
    return e->constant_count++;
}

static struct value string_constant(struct emitter *e, struct span s)
{
    return value_string((struct span){arena_copy_bytes(e->out, s.bytes, s.length), s.length});
}

static struct value constant_of(struct emitter *e, const struct node *n)
{
    switch (n->kind) {
    case NODE_BOOL:
        return value_bool(n->integer != 0);
    case NODE_INT:
        return value_int(n->integer);
    case NODE_FLOAT:
        return value_float(n->number);
    case NODE_BYTES: {
        struct value v = string_constant(e, n->string);

        v.tag = VALUE_ARRAY;
        v.kind = ARRAY_BYTES;
        return v;
    }
    default:
        return string_constant(e, n->string);
    }
}

static struct value list_constant(struct emitter *e, const struct node *n)
{
    struct value *items = arena_array(e->out, n->count ? n->count : 1, sizeof(*items));
    uint32_t i = 0;

    for (const struct node *item = n->list; item; item = item->next)
        items[i++] = constant_of(e, item);
    return value_array(items, n->count);
}

static void emit(struct emitter *e, const struct node *n, int depth);

static int emit_list(struct emitter *e, const struct node *n, int depth)
{
    int count = 0;

    for (const struct node *item = n->list; item; item = item->next, count++)
        emit(e, item, depth);
    return count;
}

/* ---- operators ---- */

static void emit_short_circuit(struct emitter *e, const struct node *n, enum vm_op jump, int depth)
{
    uint32_t at;

    emit(e, n->a, depth);
    at = put(e, n, jump, 0, NO_JUMP, 0);
    put(e, n, VM_POP, 0, 0, -1);
    emit(e, n->b, depth);
    aim_here(e, at);
}

static void emit_matches(struct emitter *e, const struct node *n, int depth)
{
    struct error err;

    emit(e, n->a, depth);
    if (n->b->kind != NODE_STRING) {
        emit(e, n->b, depth);
        put(e, n, VM_MATCHES, 0, 0, -1);
        return;
    }
    if (e->regex_count >= REGEXES_MAX) {
        fail(e, FAULT_LIMIT, n, "too many patterns in one formula");
        return;
    }
    if (!e->regexes)
        e->regexes = arena_array(e->c->arena, REGEXES_MAX, sizeof(*e->regexes));
    if (lib_regex_compile(n->b->string, &e->regexes[e->regex_count], &err))
        put(e, n, VM_MATCHES_CONSTANT, 0, e->regex_count++, 0);
    else
        fail(e, err.kind == ERROR_LIMIT ? FAULT_LIMIT : FAULT_BAD_REGEXP, n->b, err.text);
}

static void emit_in(struct emitter *e, const struct node *n, int depth)
{
    uint32_t first;

    emit(e, n->a, depth);
    switch (n->slot) {
    case IN_INTS:
        put(e, n, VM_IN_INTS, 0, add_constant(e, list_constant(e, n->b)), 0);
        break;
    case IN_STRINGS:
        put(e, n, VM_IN_STRINGS, 0, add_constant(e, list_constant(e, n->b)), 0);
        break;
    case IN_INTERVAL:
        first = add_constant(e, value_int(n->b->a->integer));
        add_constant(e, value_int(n->b->b->integer));
        put(e, n, VM_IN_INTERVAL, 0, first, 0);
        break;
    default:
        emit(e, n->b, depth);
        put(e, n, VM_IN, 0, 0, -1);
        break;
    }
}

static enum vm_op equality_of(const struct node *n)
{
    bool ints = type_is(n->a->type, TYPE_INT) && type_is(n->b->type, TYPE_INT);
    bool strings = type_is(n->a->type, TYPE_STRING) && type_is(n->b->type, TYPE_STRING);

    if (n->op == OP_EQ)
        return ints ? VM_EQ_INT : strings ? VM_EQ_STRING : VM_EQ;
    return ints ? VM_NE_INT : strings ? VM_NE_STRING : VM_NE;
}

static enum vm_op binary_op_of(const struct node *n)
{
    static const uint8_t ops[OP_BINARY_LAST + 1] = {
        [OP_LT] = VM_LT,
        [OP_GT] = VM_GT,
        [OP_LE] = VM_LE,
        [OP_GE] = VM_GE,
        [OP_CONTAINS] = VM_CONTAINS,
        [OP_STARTS_WITH] = VM_STARTS_WITH,
        [OP_ENDS_WITH] = VM_ENDS_WITH,
        [OP_RANGE] = VM_RANGE,
        [OP_ADD] = VM_ADD,
        [OP_SUB] = VM_SUB,
        [OP_MUL] = VM_MUL,
        [OP_DIV] = VM_DIV,
        [OP_MOD] = VM_MOD,
        [OP_POW] = VM_POW,
    };

    return n->op == OP_EQ || n->op == OP_NE ? equality_of(n) : (enum vm_op)ops[n->op];
}

static void emit_binary(struct emitter *e, const struct node *n, int depth)
{
    switch (n->op) {
    case OP_AND:
        emit_short_circuit(e, n, VM_JUMP_FALSE, depth);
        break;
    case OP_OR:
        emit_short_circuit(e, n, VM_JUMP_TRUE, depth);
        break;
    case OP_COALESCE:
        emit_short_circuit(e, n, VM_JUMP_NOT_NIL, depth);
        break;
    case OP_IN:
        emit_in(e, n, depth);
        break;
    case OP_MATCHES:
        emit_matches(e, n, depth);
        break;
    default:
        emit(e, n->a, depth);
        emit(e, n->b, depth);
        put(e, n, binary_op_of(n), 0, 0, -1);
        break;
    }
}

static void emit_conditional(struct emitter *e, const struct node *n, int depth)
{
    uint32_t no, end;

    emit(e, n->a, depth);
    no = put(e, n->a, VM_BRANCH_FALSE, 0, NO_JUMP, -1);
    emit(e, n->b, depth);
    end = put(e, n, VM_JUMP, 0, NO_JUMP, -1);
    aim_here(e, no);
    emit(e, n->c, depth);
    aim_here(e, end);
}

/* ---- parts ---- */

static void guard(struct emitter *e, const struct node *n)
{
    if ((n->flags & FLAG_OPTIONAL) && e->chain)
        *e->chain = put(e, n, VM_JUMP_NIL, 0, *e->chain, 0);
}

static void emit_chain(struct emitter *e, const struct node *n, int depth)
{
    uint32_t jumps = NO_JUMP, *outer = e->chain;

    e->chain = &jumps;
    emit(e, n->a, depth);
    e->chain = outer;
    aim_here(e, jumps);
}

static void emit_method(struct emitter *e, const struct node *n, int depth)
{
    emit(e, n->a, depth);
    guard(e, n);
    for (const struct node *a = n->list; a; a = a->next)
        emit(e, a, depth);
    if (n->integer >= 0)
        put(e, n, VM_METHOD, n->count, (uint32_t)n->integer, -(int)n->count);
    else
        put(e, n, VM_METHOD_NAMED, n->count, add_constant(e, string_constant(e, n->string)), -(int)n->count);
}

static void emit_slice(struct emitter *e, const struct node *n, int depth)
{
    emit(e, n->a, depth);
    if (n->c)
        emit(e, n->c, depth);
    if (n->b)
        emit(e, n->b, depth);
    put(e, n, VM_SLICE, 0, (n->b ? 1u : 0) | (n->c ? 2u : 0), -(n->b != NULL) - (n->c != NULL));
}

/* ---- calls and loops ---- */

static bool is_list_sum(const struct node *n)
{
    return n->integer == BUILTIN_SUM && !n->b && n->a->kind == NODE_ARRAY && n->a->count >= 2;
}

static void emit_loop(struct emitter *e, const struct node *n, int depth)
{
    uint32_t test, body, skip = NO_JUMP;
    int added;

    if (is_list_sum(n)) {
        added = emit_list(e, n->a, depth);
        for (int i = 1; i < added; i++)
            put(e, n, VM_ADD, 0, 0, -1);
        return;
    }
    emit(e, n->a, depth);
    put(e, n, VM_LOOP_BEGIN, (uint32_t)n->integer, (uint32_t)n->bound, -1);
    e->code[e->count - 1].flag = n->c != NULL;
    if (++e->loops > e->loops_max)
        e->loops_max = e->loops;
    if (n->c) {
        emit(e, n->c, depth);
        put(e, n, VM_LOOP_START, 0, 0, -1);
    }
    test = put(e, n, VM_LOOP_TEST, 0, NO_JUMP, 0);
    body = e->count;
    if (n->list) {
        emit(e, n->list, depth);
        put(e, n->list, VM_LOOP_FILTER, 0, body, -1);
        skip = put(e, n, VM_JUMP, 0, NO_JUMP, 0);
    }
    if (n->b)
        emit(e, n->b, depth);
    else
        put(e, n, VM_ITEM, 0, 0, 1);
    put(e, n, VM_LOOP_STEP, 0, body, -1);
    aim_here(e, test);
    aim_here(e, skip);
    put(e, n, VM_LOOP_END, n->flags & FLAG_THROWS, 0, 1);
    e->loops--;
}

static void emit_extension(struct emitter *e, const struct node *n, int depth)
{
    const char *letter = extension_table[n->integer].arguments;
    struct error err;
    int pushed = 0;

    for (const struct node *a = n->list; a; a = a->next, letter++)
        if (*letter == 'n' || *letter == 'b') {
            emit(e, a, depth);
            pushed++;
        }
    if (e->call_count >= FORMULA_EXTENSION_CALLS_MAX) {
        fail(e, FAULT_LIMIT, n, "too many calls of Weir's own functions in one formula");
        return;
    }
    if (!e->calls)
        e->calls = arena_array(e->c->arena, FORMULA_EXTENSION_CALLS_MAX, sizeof(*e->calls));
    if (extension_prepare(e->c, n, &e->calls[e->call_count], &err))
        put(e, n, VM_EXTENSION, 0, e->call_count++, 1 - pushed);
    else
        fail(e, err.kind == ERROR_LIMIT ? FAULT_LIMIT : FAULT_BAD_ARGUMENT, n, err.text);
}

static void emit_let(struct emitter *e, const struct node *n, int depth)
{
    emit(e, n->a, depth);
    put(e, n, VM_STORE, 0, n->slot, -1);
    emit(e, n->b, depth);
}

static void emit_sequence(struct emitter *e, const struct node *n, int depth)
{
    for (const struct node *item = n->list; item; item = item->next) {
        emit(e, item, depth);
        if (item->next)
            put(e, item, VM_POP, 0, 0, -1);
    }
}

static void emit_value(struct emitter *e, const struct node *n, int depth)
{
    int count;

    if (n->flags & FLAG_FAULTY) {
        put(e, n, VM_FAIL, 0, 0, 1);
        return;
    }
    switch (n->kind) {
    case NODE_NIL:
    case NODE_BUILTIN_VALUE:
        put(e, n, VM_NIL, 0, 0, 1);
        break;
    case NODE_CONST:
        put(e, n, VM_CONSTANT, 0, add_constant(e, list_constant(e, n)), 1);
        break;
    case NODE_NAME:
        put(e, n, VM_NAME, 0, (uint32_t)n->integer, 1);
        break;
    case NODE_LOCAL:
        put(e, n, VM_LOAD, 0, (uint32_t)n->integer, 1);
        break;
    case NODE_ENV:
        e->c->env_used = true;
        put(e, n, VM_ENV, 0, 0, 1);
        break;
    case NODE_STATE:
        put(e, n, VM_STATE, 0, (uint32_t)n->integer, 1);
        break;
    case NODE_POINTER:
        put(e, n, (enum vm_op)(VM_ITEM + n->op), 0, 0, 1);
        break;
    case NODE_UNARY:
        emit(e, n->a, depth);
        put(e, n, n->op == OP_NOT ? VM_NOT : VM_NEG, 0, 0, 0);
        break;
    case NODE_BINARY:
        emit_binary(e, n, depth);
        break;
    case NODE_CONDITIONAL:
        emit_conditional(e, n, depth);
        break;
    case NODE_INDEX:
        emit(e, n->a, depth);
        guard(e, n);
        emit(e, n->b, depth);
        put(e, n, VM_INDEX, 0, 0, -1);
        break;
    case NODE_FIELD:
        emit(e, n->a, depth);
        guard(e, n);
        put(e, n, VM_FIELD, type_is(n->type, TYPE_FUNCTION), add_constant(e, string_constant(e, n->string)), 0);
        break;
    case NODE_METHOD:
        emit_method(e, n, depth);
        break;
    case NODE_SLICE:
        emit_slice(e, n, depth);
        break;
    case NODE_CHAIN:
        emit_chain(e, n, depth);
        break;
    case NODE_CALL:
        count = emit_list(e, n, depth);
        put(e, n, VM_CALL, n->count, (uint32_t)n->integer, 1 - count);
        break;
    case NODE_LOOP:
        emit_loop(e, n, depth);
        break;
    case NODE_EXTENSION:
        emit_extension(e, n, depth);
        break;
    case NODE_ARRAY:
        count = emit_list(e, n, depth);
        put(e, n, VM_ARRAY, 0, n->count, 1 - count);
        break;
    case NODE_MAP:
        count = emit_list(e, n, depth);
        put(e, n, VM_MAP, 0, n->count / 2, 1 - count);
        break;
    case NODE_LET:
        emit_let(e, n, depth);
        break;
    case NODE_SEQUENCE:
        emit_sequence(e, n, depth);
        break;
    default:
        put(e, n, VM_CONSTANT, 0, add_constant(e, constant_of(e, n)), 1);
        break;
    }
}

/* What the user wrote and might ask the value of. */
static bool is_traced(const struct emitter *e, const struct node *n)
{
    uint32_t from = e->c->prefix_length;
    bool literal = n->kind <= NODE_BYTES || n->kind == NODE_CONST;

    return e->c->tracing && n->begin >= from && n->end <= from + e->c->user_length && n->end > n->begin &&
           (!literal || (n->flags & FLAG_FOLDED)) && n->kind != NODE_CHAIN;
}

static void emit(struct emitter *e, const struct node *n, int depth)
{
    bool traced = is_traced(e, n);

    if (e->failed)
        return;
    emit_value(e, n, depth + traced);
    if (traced) {
        put(e, n, VM_TRACE, (uint32_t)depth, n->kind == NODE_BINARY ? n->op : OP_NONE, 0);
    }
}

/* ---- the program ---- */

static void *settled(struct arena *out, const void *from, uint32_t count, size_t size)
{
    void *to = arena_alloc(out, count * size + 1);

    if (count)
        memcpy(to, from, count * size);
    return to;
}

struct program *emit_program(struct compiler *c, struct node *root, struct formula_error *err)
{
    struct arena *out = arena_new(ARENA_SMALL);
    struct emitter e = {.c = c, .out = out, .err = err};
    struct program *p = arena_alloc(out, sizeof(*p));

    emit(&e, root, 0);
    put(&e, root, VM_RETURN, 0, 0, -1);
    p->arena = out;
    p->regexes = settled(out, e.regexes, e.regex_count, sizeof(*e.regexes));
    p->regex_count = e.regex_count;
    p->calls = settled(out, e.calls, e.call_count, sizeof(*e.calls));
    p->call_count = e.call_count;
    if (e.failed) {
        program_free(p);
        return NULL;
    }
    p->code = settled(out, e.code, e.count, sizeof(*e.code));
    p->places = settled(out, e.places, e.count, sizeof(*e.places));
    p->code_count = e.count;
    p->constants = settled(out, e.constants, e.constant_count, sizeof(*e.constants));
    p->constant_count = e.constant_count;
    p->stack_max = e.stack_max;
    p->loops_max = e.loops_max;
    p->locals = c->slots;
    return p;
}

void program_free(struct program *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < p->regex_count; i++)
        lib_regex_free(p->regexes[i]);
    for (uint32_t i = 0; i < p->call_count; i++)
        extension_release(&p->calls[i]);
    arena_free(p->arena);
}

size_t program_bytes(const struct program *p)
{
    size_t bytes = arena_bytes(p->arena);

    for (uint32_t i = 0; i < p->regex_count; i++)
        bytes += lib_regex_bytes(p->regexes[i]);
    return bytes;
}
