/*
 * parser: tokens to nodes, by precedence climbing (expr-language.md 4). Every node is typed (check.c), rewritten
 * where the original's optimizer would (rewrite.c) and judged for the fast path (numeric.c) the moment it is complete.
 *
 * After a syntax fault the current token is the end of the text: every loop stops at it, and functions return
 * c->nothing, so no caller has to test. Recursion is bounded by FORMULA_DEPTH_MAX; chains such as a + b + c + ... are
 * loops here, and the walks over the tree follow first children in loops as well.
 */
#include <stdio.h>
#include <string.h>

#include "formula/formula_internal.h"

static struct node *parse_expression(struct compiler *c);
static struct node *parse_binary(struct compiler *c, int least);

/* ---- tokens ---- */

static void advance(struct compiler *c)
{
    c->last_end = c->token.end;
    lexer_next(&c->lexer, &c->token);
    if (c->lexer.fault && c->token.kind == TOKEN_END && !c->failed) {
        uint32_t at = c->lexer.fault_at;

        compile_syntax(c, at, at, "%s", c->lexer.fault);
    }
}

static bool is_op(const struct compiler *c, enum op op)
{
    return c->token.op == op && c->token.kind == TOKEN_OPERATOR;
}

static struct node *unexpected(struct compiler *c)
{
    int length = (int)(c->token.end - c->token.begin);

    if (c->token.kind == TOKEN_END || c->token.begin >= c->prefix_length + c->user_length) /* or in the wrapping */
        return compile_syntax(c, c->token.begin, c->token.end, "the formula ends too early");
    return compile_syntax(c, c->token.begin, c->token.end, "unexpected '%.*s'", length > 40 ? 40 : length,
                          c->lexer.text + c->token.begin);
}

static bool expect(struct compiler *c, enum op op)
{
    if (!is_op(c, op)) {
        unexpected(c);
        return false;
    }
    advance(c);
    return true;
}

static bool accept(struct compiler *c, enum op op)
{
    if (!is_op(c, op))
        return false;
    advance(c);
    return true;
}

static struct span token_text(const struct compiler *c, const struct token *token)
{
    return (struct span){c->lexer.text + token->begin, token->end - token->begin};
}

static bool span_is(struct span s, const char *word)
{
    return strlen(word) == s.length && memcmp(s.bytes, word, s.length) == 0;
}

/* ---- nodes ---- */

struct node *node_new(struct compiler *c, enum node_kind kind, uint32_t begin, uint32_t end)
{
    struct node *n;

    if (++c->nodes > FORMULA_NODES_MAX && !c->failed) {
        compile_syntax(c, 0, 0, "the formula has more than %d parts; split it over several triggers or objects",
                       FORMULA_NODES_MAX);
        c->syntax.fault = FAULT_NODE_LIMIT;
    }
    n = arena_alloc(c->arena, sizeof(*n));
    n->kind = (uint8_t)kind;
    n->begin = n->place = begin;
    n->end = end;
    return n;
}

static struct node *finish(struct node *n)
{
    numeric_judge(n);
    return n;
}

static void link_child(struct node *parent, struct node **tail, struct node *child)
{
    /* A node that already is somebody's sibling cannot happen: comparison chains share operands, never list members. */
    if (*tail)
        (*tail)->next = child;
    else
        parent->list = child;
    *tail = child;
    parent->count++;
}

/* c->nothing may be added to many lists; a copy keeps its `next` out of trouble. */
static struct node *own(struct compiler *c, struct node *n)
{
    if (n != &c->nothing)
        return n;
    struct node *copy = arena_alloc(c->arena, sizeof(*copy));
    *copy = *n;
    return copy;
}

/* ---- names ---- */

static int find_trigger(const struct compiler *c, struct span name)
{
    const struct formula_options *o = c->options;

    for (size_t i = 0; i < o->name_count; i++)
        if (o->names[i] && strlen(o->names[i]) == name.length && memcmp(o->names[i], name.bytes, name.length) == 0)
            return (int)i; /* a name in the text may have 0 bytes in it */
    return -1;
}

static struct variable *find_variable(const struct compiler *c, struct span name)
{
    for (struct variable *v = c->variables; v; v = v->outer)
        if (v->name.length == name.length && memcmp(v->name.bytes, name.bytes, name.length) == 0)
            return v;
    return NULL;
}

static struct node *make_trigger(struct compiler *c, struct node *n, int index)
{
    n->kind = NODE_NAME;
    n->integer = index;
    n->type = TYPE_OF(FLOAT);
    c->used[index / 64] |= UINT64_C(1) << (index % 64);
    return n;
}

static struct node *resolve_name(struct compiler *c, struct token token)
{
    struct span name = token_text(c, &token);
    struct node *n = node_new(c, NODE_NIL, token.begin, token.end);
    const struct variable *v = find_variable(c, name);
    int index;

    if (v) {
        n->kind = NODE_LOCAL;
        n->integer = v->slot;
        n->b = v->value;
        n->type = v->type;
    } else if ((index = find_trigger(c, name)) >= 0) {
        make_trigger(c, n, index);
    } else if (span_is(name, "$env")) {
        n->kind = NODE_ENV;
        n->type = TYPE_OF(UNKNOWN);
    } else if (builtin_find(name.bytes, name.length) >= 0) {
        n->kind = NODE_BUILTIN_VALUE;
        n->type = TYPE_OF(FUNCTION);
    } else if (c->options->extensions && (index = state_find(name.bytes, name.length)) >= 0) {
        n->kind = NODE_STATE;
        n->integer = index;
        n->type = TYPE_OF(FLOAT);
    } else {
        compile_unknown_name(c, name, token.begin, token.end, false);
    }
    return finish(n);
}

/* `$env.name` and `$env["name"]` are the trigger; n is the member node, a is $env. */
static bool resolve_env_member(struct compiler *c, struct node *n, struct span name, bool lenient)
{
    int index = find_trigger(c, name);

    if (index >= 0) {
        make_trigger(c, n, index);
        n->a = n->b = NULL;
        return true;
    }
    n->type = TYPE_OF(UNKNOWN);
    if (!lenient)
        compile_unknown_name(c, name, n->begin, n->end, false);
    return false;
}

/* ---- calls ---- */

static void parse_arguments(struct compiler *c, struct node *call, struct node *first)
{
    struct node *tail = NULL;

    expect(c, OP_OPEN);
    if (first)
        link_child(call, &tail, own(c, first));
    for (bool again = false; !c->failed && !is_op(c, OP_CLOSE); again = true) {
        if (again && !expect(c, OP_COMMA))
            return;
        if (is_op(c, OP_CLOSE))
            break;
        link_child(call, &tail, own(c, parse_expression(c)));
    }
    expect(c, OP_CLOSE);
}

static struct node *parse_sequence(struct compiler *c)
{
    uint32_t begin = c->token.begin;
    struct node *first = parse_expression(c), *sequence, *tail = NULL;

    if (!is_op(c, OP_SEMICOLON))
        return first;
    sequence = arena_alloc(c->arena, sizeof(*sequence));
    link_child(sequence, &tail, own(c, first));
    while (!c->failed && accept(c, OP_SEMICOLON)) {
        if (c->token.kind == TOKEN_END)
            break;
        link_child(sequence, &tail, own(c, parse_expression(c)));
    }
    if (sequence->count == 1) {
        first->next = NULL;
        return first;
    }
    struct node *n = node_new(c, NODE_SEQUENCE, begin, c->last_end);
    n->list = sequence->list;
    n->count = sequence->count;
    n->type = tail->type;
    return finish(n);
}

static struct node *parse_predicate(struct compiler *c, enum builtin id, struct type item, struct node *loop)
{
    struct scope scope = {.item = item, .builtin = (uint8_t)id, .outer = c->scopes};
    struct node *n;
    bool braced = accept(c, OP_OPEN_BRACE);

    c->scopes = &scope;
    n = braced ? parse_sequence(c) : parse_expression(c);
    if (!braced && is_op(c, OP_SEMICOLON))
        compile_syntax(c, c->token.begin, c->token.end, "wrap the predicate in braces { and } to use ';' in it");
    c->scopes = scope.outer;
    loop->flags |= scope.uses_index ? FLAG_USES_INDEX : 0;
    c->nodes++; /* the predicate itself */
    if (braced)
        expect(c, OP_CLOSE_BRACE);
    return n;
}

/* The fixed shape of the functions that loop: (array [, predicate [, initial or order]]). */
static struct node *parse_loop(struct compiler *c, enum builtin id, uint32_t begin, struct node *piped)
{
    struct node *n = node_new(c, NODE_LOOP, begin, begin);
    uint8_t least = builtin_table[id].least, most = builtin_table[id].most;
    struct type item;

    n->integer = id;
    expect(c, OP_OPEN);
    n->a = piped ? piped : parse_expression(c);
    check_loop_array(c, id, n->a, &item);
    if (least > 1 || !is_op(c, OP_CLOSE)) {
        if (!piped)
            expect(c, OP_COMMA);
        n->b = parse_predicate(c, id, item, n);
    }
    if (n->b && most > 2 && !is_op(c, OP_CLOSE)) {
        expect(c, OP_COMMA);
        n->c = parse_expression(c);
    }
    if ((n->c || most == 2) && n->b)
        accept(c, OP_COMMA);
    expect(c, OP_CLOSE);
    n->end = c->last_end;
    if (c->failed)
        return &c->nothing;
    check_loop(c, n);
    return finish(rewrite_loop(c, n));
}

static struct node *parse_extension(struct compiler *c, enum extension id, struct token name, struct node *piped)
{
    struct node *n = node_new(c, NODE_EXTENSION, name.begin, name.end);

    n->integer = id;
    parse_arguments(c, n, piped);
    n->end = c->last_end;
    if (c->failed)
        return &c->nothing;
    check_extension(c, n);
    return finish(n);
}

/* What cannot be called: a trigger, a let variable, $env, a name nobody knows. */
static struct node *parse_wrong_call(struct compiler *c, struct token token, struct node *piped)
{
    struct span name = token_text(c, &token);
    struct node *n = node_new(c, NODE_NIL, token.begin, token.end);
    int trigger = find_trigger(c, name);
    const struct variable *variable = find_variable(c, name);
    char buffer[80];

    c->nodes++; /* the callee */
    if (variable)
        compile_fault(c, FAULT_NOT_CALLABLE, token.begin, token.end, token.begin,
                      "'%.*s' is a variable of type %s, not a function", (int)name.length, name.bytes,
                      type_name(variable->type, buffer, sizeof(buffer)));
    else if (trigger >= 0)
        compile_fault(c, FAULT_NOT_CALLABLE, token.begin, token.end, token.begin,
                      "'%.*s' is a trigger here, not a function%s", (int)name.length, name.bytes,
                      builtin_find(name.bytes, name.length) >= 0 ? "; rename the trigger, or write ::name(...)" : "");
    else if (span_is(name, "$env"))
        compile_fault(c, FAULT_NOT_CALLABLE, token.begin, token.end, token.begin, "$env is not a function");
    else
        compile_unknown_name(c, name, token.begin, token.end, true);
    parse_arguments(c, n, piped);
    n->type = TYPE_OF(UNKNOWN);
    n->list = NULL;
    return finish(n);
}

/* The current token is "(" behind `token`. */
static struct node *parse_call(struct compiler *c, struct token token, struct node *piped, bool names_win)
{
    struct span name = token_text(c, &token);
    bool taken = names_win && (find_trigger(c, name) >= 0 || find_variable(c, name));
    int id = taken ? -1 : builtin_find(name.bytes, name.length);
    uint32_t begin = piped ? piped->begin : token.begin;
    struct node *n;

    if (id >= 0 && builtin_table[id].shape == SHAPE_LOOP) {
        n = parse_loop(c, (enum builtin)id, begin, piped);
        return n;
    }
    if (id < 0 && !taken && c->options->extensions && (id = extension_find(name.bytes, name.length)) >= 0)
        return parse_extension(c, (enum extension)id, token, piped);
    if (id < 0)
        return parse_wrong_call(c, token, piped);
    n = node_new(c, NODE_CALL, begin, token.end);
    n->place = token.begin;
    n->integer = id;
    parse_arguments(c, n, piped);
    n->end = c->last_end;
    if (c->failed)
        return &c->nothing;
    if (id == BUILTIN_GET && n->count == 2 && n->list->kind == NODE_ENV && n->list->next->kind == NODE_STRING &&
        !(n->list->next->flags & FLAG_FOLDED)) {
        if (resolve_env_member(c, n, n->list->next->string, true)) {
            n->list = NULL;
        } else {
            n->kind = NODE_NIL; /* no such trigger: nil at every poll */
            n->list = NULL;
        }
        return finish(n);
    }
    check_call(c, n);
    return finish(rewrite_call(c, n));
}

/* ---- what follows an operand ---- */

static struct node *make_chain(struct compiler *c, struct node *inner)
{
    struct node *n = node_new(c, NODE_CHAIN, inner->begin, inner->end);

    n->place = inner->place;
    n->a = inner;
    n->type = inner->type;
    return finish(n);
}

static bool is_word(const struct compiler *c)
{
    const char *at = c->lexer.text + c->token.begin;

    if (c->token.kind == TOKEN_NAME)
        return true;
    return c->token.kind == TOKEN_OPERATOR && ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z'));
}

/* $env.name(...): a trigger is no function; with `?.` a name nobody knows is left to run time. */
static void wrong_env_call(struct compiler *c, struct node *n, struct span name)
{
    if (find_trigger(c, name) >= 0)
        compile_fault(c, FAULT_NOT_CALLABLE, n->begin, n->end, n->place, "'%.*s' is a trigger, not a function",
                      (int)name.length, name.bytes);
    else
        compile_unknown_name(c, name, n->place, n->place + (uint32_t)name.length, true);
}

static struct node *parse_field(struct compiler *c, struct node *left, bool optional)
{
    struct token name = c->token;
    bool in_chain = left->kind == NODE_CHAIN;
    struct node *n;

    if (!is_word(c))
        return unexpected(c);
    advance(c);
    if (in_chain)
        left = left->a;
    n = node_new(c, NODE_FIELD, left->begin, name.end);
    n->place = name.begin;
    c->nodes++; /* the name */
    n->a = left;
    n->string = token_text(c, &name);
    n->flags = optional ? FLAG_OPTIONAL : 0;
    if (is_op(c, OP_OPEN)) {
        bool judged = c->semantic.fault != FAULT_NONE;

        n->kind = NODE_METHOD;
        c->nodes++; /* the callee */
        parse_arguments(c, n, NULL);
        if (!judged && (type_is_open(left->type) || type_is(left->type, TYPE_MAP) || type_is(left->type, TYPE_GROUPS)))
            c->semantic.fault =
                FAULT_NONE; /* the original does not look at the arguments of a function it does not know */
        n->end = c->last_end;
        if (left->kind == NODE_ENV && (find_trigger(c, n->string) >= 0 || !optional))
            wrong_env_call(c, n, n->string);
        check_method(c, n, n->string);
    } else if (left->kind == NODE_ENV) {
        resolve_env_member(c, n, n->string, optional);
    } else {
        check_field(c, n);
    }
    finish(n);
    return in_chain || optional ? make_chain(c, n) : n;
}

static struct node *parse_index(struct compiler *c, struct node *left, bool optional)
{
    uint32_t place = c->token.begin;
    struct node *n, *from = NULL, *to = NULL;
    bool slice = false, judged = c->semantic.fault != FAULT_NONE;

    advance(c);
    if (!is_op(c, OP_COLON))
        from = parse_expression(c);
    if (left->kind == NODE_ENV && !is_op(c, OP_COLON) && !judged)
        c->semantic.fault = FAULT_NONE; /* the original does not look at what stands in $env[...] */
    if (accept(c, OP_COLON)) {
        slice = true;
        if (!is_op(c, OP_CLOSE_BRACKET))
            to = parse_expression(c);
    }
    expect(c, OP_CLOSE_BRACKET);
    if (c->failed)
        return &c->nothing;
    n = node_new(c, slice ? NODE_SLICE : NODE_INDEX, left->begin, c->last_end);
    n->place = place;
    n->a = left;
    n->b = from;
    n->c = to;
    if (slice) {
        check_slice(c, n);
        return finish(n);
    }
    n->flags = optional ? FLAG_OPTIONAL : 0;
    if (left->kind == NODE_ENV && from->kind == NODE_STRING && !(from->flags & FLAG_FOLDED)) {
        resolve_env_member(c, n, from->string, optional);
    } else {
        check_index(c, n);
        n = rewrite_index(c, n);
    }
    finish(n);
    return optional ? make_chain(c, n) : n;
}

static struct node *parse_postfix(struct compiler *c, struct node *n)
{
    while (!c->failed) {
        if (accept(c, OP_DOT)) {
            n = parse_field(c, n, false);
        } else if (accept(c, OP_QUESTION_DOT)) {
            n = is_op(c, OP_OPEN_BRACKET) ? parse_index(c, n, true) : parse_field(c, n, true);
        } else if (is_op(c, OP_OPEN_BRACKET)) {
            n = parse_index(c, n, false);
        } else {
            break;
        }
    }
    return c->failed ? &c->nothing : n;
}

/* ---- literals ---- */

static struct node *bad_number(struct compiler *c, const struct token *token, const char *why)
{
    return compile_syntax(c, token->begin, token->end, "%s: '%.*s'", why, (int)(token->end - token->begin),
                          c->lexer.text + token->begin);
}

static bool read_integer(const char *digits, size_t length, unsigned base, int64_t *out)
{
    uint64_t value = 0;

    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        char d = digits[i];
        unsigned digit = (unsigned)(d <= '9' ? d - '0' : (d | 0x20) - 'a' + 10);

        if (digit >= base || value > ((uint64_t)INT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    *out = (int64_t)value;
    return true;
}

static struct node *parse_number(struct compiler *c)
{
    struct token token = c->token;
    struct span raw = token_text(c, &token);
    struct node *n = node_new(c, NODE_INT, token.begin, token.end);
    const char *text = raw.bytes;
    size_t length = raw.length;
    char second;

    advance(c);
    if (memchr(raw.bytes, '_', raw.length)) {
        char *plain = arena_alloc(c->arena, raw.length + 1);

        length = 0;
        for (size_t i = 0; i < raw.length; i++)
            if (raw.bytes[i] != '_')
                plain[length++] = raw.bytes[i];
        text = plain;
    }
    second = length > 1 && text[0] == '0' ? (char)(text[1] | 0x20) : '\0';
    n->type = TYPE_OF(INT);
    if (second == 'x' || (second == 'o' && !memchr(text, '.', length)) ||
        (second == 'b' && !memchr(text, '.', length))) {
        unsigned base = second == 'x' ? 16 : second == 'o' ? 8 : 2;

        if (!read_integer(text + 2, length - 2, base, &n->integer))
            return bad_number(c, &token, "not a number of that base, or too large");
    } else if (memchr(text, '.', length) || memchr(text, 'e', length) || memchr(text, 'E', length)) {
        double value;

        if (!lib_parse_float((struct span){text, length}, &value))
            return bad_number(c, &token, "not a number, or too large");
        n->kind = NODE_FLOAT;
        n->number = value;
        n->type = TYPE_OF(FLOAT);
    } else if (!read_integer(text, length, 10, &n->integer)) {
        return bad_number(c, &token, "whole numbers end at 9223372036854775807; write it with a point");
    }
    return finish(n);
}

static struct node *parse_string(struct compiler *c)
{
    struct token token = c->token;
    struct node *n = node_new(c, token.kind == TOKEN_BYTES ? NODE_BYTES : NODE_STRING, token.begin, token.end);

    advance(c);
    n->type = token.kind == TOKEN_BYTES ? (struct type){TYPE_UINT8, 1} : TYPE_OF(STRING);
    if (!lexer_unquote(c->lexer.text, &token, c->arena, &n->string))
        return compile_syntax(c, token.begin, token.end, "an escape in this string stands for no character");
    return finish(n);
}

static struct node *parse_array(struct compiler *c)
{
    uint32_t begin = c->token.begin;
    struct node *n = node_new(c, NODE_ARRAY, begin, begin), *tail = NULL;

    advance(c);
    while (!c->failed && !is_op(c, OP_CLOSE_BRACKET)) {
        if (n->count > 0) {
            expect(c, OP_COMMA);
            if (is_op(c, OP_CLOSE_BRACKET))
                break;
        }
        link_child(n, &tail, own(c, parse_expression(c)));
    }
    expect(c, OP_CLOSE_BRACKET);
    n->end = c->last_end;
    if (c->failed)
        return &c->nothing;
    check_array(c, n);
    return finish(rewrite_array(c, n));
}

static struct node *parse_key(struct compiler *c)
{
    struct token token = c->token;
    struct node *n;

    if (is_op(c, OP_OPEN))
        return parse_expression(c);
    if (token.kind != TOKEN_NUMBER && token.kind != TOKEN_STRING && token.kind != TOKEN_NAME)
        return unexpected(c);
    if (token.kind == TOKEN_STRING)
        return parse_string(c);
    advance(c);
    n = node_new(c, NODE_STRING, token.begin, token.end);
    n->string = token_text(c, &token);
    n->type = TYPE_OF(STRING);
    return n;
}

static struct node *parse_map(struct compiler *c)
{
    uint32_t begin = c->token.begin;
    struct node *n = node_new(c, NODE_MAP, begin, begin), *tail = NULL;

    advance(c);
    while (!c->failed && !is_op(c, OP_CLOSE_BRACE)) {
        if (n->count > 0) {
            expect(c, OP_COMMA);
            if (is_op(c, OP_CLOSE_BRACE))
                break;
        }
        link_child(n, &tail, own(c, parse_key(c)));
        expect(c, OP_COLON);
        link_child(n, &tail, own(c, parse_expression(c)));
        c->nodes++; /* the pair */
    }
    expect(c, OP_CLOSE_BRACE);
    n->end = c->last_end;
    n->type = TYPE_OF(MAP);
    return finish(n);
}

/* ---- operands ---- */

static struct node *parse_pointer(struct compiler *c)
{
    struct token token = c->token;
    struct node *n = node_new(c, NODE_POINTER, token.begin, token.end);
    struct span name = {"", 0};
    enum builtin id = (enum builtin)c->scopes->builtin;

    if (is_op(c, OP_HASH)) {
        advance(c);
        if (c->token.kind == TOKEN_NAME) {
            name = token_text(c, &c->token);
            n->end = c->token.end;
            advance(c);
        }
    }
    n->type = c->scopes->item;
    if (name.length == 0) {
        n->op = POINTER_ITEM;
    } else if (span_is(name, "index") && (id == BUILTIN_MAP || id == BUILTIN_REDUCE)) {
        n->op = POINTER_INDEX;
        c->scopes->uses_index = true;
        n->type = TYPE_OF(INT);
    } else if (span_is(name, "acc") && id == BUILTIN_REDUCE) {
        n->op = POINTER_ACC;
        n->type = TYPE_OF(UNKNOWN);
    } else {
        n->type = TYPE_OF(UNKNOWN);
        compile_fault(c, FAULT_UNKNOWN_POINTER, n->begin, n->end, n->begin,
                      "unknown pointer #%.*s; #index exists in map and reduce, #acc in reduce", (int)name.length,
                      name.bytes);
    }
    return finish(n);
}

static struct node *parse_literal_or_name(struct compiler *c)
{
    struct token token = c->token;
    struct span name = token_text(c, &token);
    struct node *n;

    advance(c);
    if (span_is(name, "true") || span_is(name, "false")) {
        n = node_new(c, NODE_BOOL, token.begin, token.end);
        n->integer = name.bytes[0] == 't';
        n->type = TYPE_OF(BOOL);
        return finish(n);
    }
    if (span_is(name, "nil")) {
        n = node_new(c, NODE_NIL, token.begin, token.end);
        n->type = TYPE_OF(NIL);
        return finish(n);
    }
    n = is_op(c, OP_OPEN) ? parse_call(c, token, NULL, true) : resolve_name(c, token);
    return parse_postfix(c, n);
}

static struct node *parse_unary(struct compiler *c)
{
    struct token token = c->token;
    enum op op = token.op == OP_ADD ? OP_PLUS : token.op == OP_SUB ? OP_NEG : OP_NOT;
    struct node *n, *operand;

    advance(c);
    operand = parse_binary(c, op == OP_NOT ? 50 : 90);
    if (c->failed)
        return &c->nothing;
    n = node_new(c, NODE_UNARY, token.begin, c->last_end);
    n->op = (uint8_t)op;
    n->a = operand;
    check_unary(c, n);
    return parse_postfix(c, finish(rewrite_unary(c, n)));
}

static struct node *parse_primary(struct compiler *c)
{
    struct token token = c->token;

    switch (token.kind) {
    case TOKEN_NAME:
        return parse_literal_or_name(c);
    case TOKEN_NUMBER:
        return parse_number(c);
    case TOKEN_STRING:
    case TOKEN_BYTES:
        return parse_postfix(c, parse_string(c));
    default:
        break;
    }
    switch (token.kind == TOKEN_OPERATOR ? token.op : OP_NONE) {
    case OP_NOT:
    case OP_ADD:
    case OP_SUB:
        return parse_unary(c);
    case OP_OPEN: {
        advance(c);
        struct node *n = parse_sequence(c);
        expect(c, OP_CLOSE);
        return parse_postfix(c, n);
    }
    case OP_HASH:
    case OP_DOT:
        if (!c->scopes)
            return unexpected(c);
        return parse_postfix(c, parse_pointer(c));
    case OP_COLON_COLON:
        advance(c);
        token = c->token;
        if (token.kind != TOKEN_NAME)
            return unexpected(c);
        advance(c);
        return parse_postfix(c, parse_call(c, token, NULL, false));
    case OP_OPEN_BRACKET:
        return parse_postfix(c, parse_array(c));
    case OP_OPEN_BRACE:
        return parse_postfix(c, parse_map(c));
    default:
        return unexpected(c);
    }
}

/* ---- operators ---- */

static const struct {
    uint8_t level;
    bool right;
} binary_table[OP_BINARY_LAST + 1] = {
    [OP_OR] = {10},        [OP_AND] = {15},         [OP_EQ] = {20},        [OP_NE] = {20},    [OP_LT] = {20},
    [OP_GT] = {20},        [OP_LE] = {20},          [OP_GE] = {20},        [OP_IN] = {20},    [OP_MATCHES] = {20},
    [OP_CONTAINS] = {20},  [OP_STARTS_WITH] = {20}, [OP_ENDS_WITH] = {20}, [OP_RANGE] = {25}, [OP_ADD] = {30},
    [OP_SUB] = {30},       [OP_MUL] = {60},         [OP_DIV] = {60},       [OP_MOD] = {60},   [OP_POW] = {100, true},
    [OP_COALESCE] = {250}, /* 500 in the original: above all others is all that counts */
};

static bool is_ordering(enum op op)
{
    return op == OP_LT || op == OP_GT || op == OP_LE || op == OP_GE;
}

static struct node *make_binary(struct compiler *c, enum op op, uint32_t begin, uint32_t place, struct node *left,
                                struct node *right)
{
    struct node *n;

    if (c->failed)
        return &c->nothing;
    n = node_new(c, NODE_BINARY, begin, c->last_end);
    n->op = (uint8_t)op;
    n->place = place;
    n->a = left;
    n->b = right;
    check_binary(c, n);
    return finish(rewrite_binary(c, n));
}

static struct node *make_not(struct compiler *c, struct node *operand, uint32_t place)
{
    struct node *n;

    if (c->failed)
        return &c->nothing;
    n = node_new(c, NODE_UNARY, operand->begin, operand->end);
    n->op = OP_NOT;
    n->place = place;
    n->a = operand;
    check_unary(c, n);
    return finish(rewrite_unary(c, n));
}

/* a < b <= c: (a < b) && (b <= c), b standing in both. */
static struct node *parse_comparison(struct compiler *c, struct node *left, uint32_t begin)
{
    struct node *all = NULL;

    while (c->token.kind == TOKEN_OPERATOR && is_ordering((enum op)c->token.op) && !c->failed) {
        struct token token = c->token;
        struct node *right, *one;
        uint32_t right_begin;

        advance(c);
        right_begin = c->token.begin;
        right = parse_binary(c, 21);
        one = make_binary(c, (enum op)token.op, begin, token.begin, left, right);
        all = all ? make_binary(c, OP_AND, all->begin, token.begin, all, one) : one;
        left = right;
        begin = right_begin;
    }
    return c->failed ? &c->nothing : all;
}

/* `not` before in, matches ... as infix: looks at what follows without taking it. The word counts even as a string. */
static enum op peek_negated(struct compiler *c)
{
    struct compiler saved = *c;
    enum op op = OP_NONE;
    struct span word;

    advance(c);
    word = token_text(c, &c->token);
    if (c->token.kind == TOKEN_OPERATOR)
        op = (enum op)c->token.op;
    if (c->token.kind == TOKEN_STRING && word.length > 2) {
        struct lexer inner = {.text = word.bytes + 1, .length = (uint32_t)word.length - 2};
        struct token token;

        lexer_next(&inner, &token);
        if (token.kind == TOKEN_OPERATOR && token.begin == 0 && token.end == inner.length)
            op = (enum op)token.op;
    }
    if (op != OP_IN && op != OP_MATCHES && op != OP_CONTAINS && op != OP_STARTS_WITH && op != OP_ENDS_WITH) {
        unexpected(c);
        return OP_NONE;
    }
    *c = saved;
    return op;
}

/* After `x ?? y` only `??` and the pipe may follow at the same level (4.3). */
static bool may_follow(struct compiler *c, enum op previous, enum op op)
{
    if (previous != OP_COALESCE || op == OP_COALESCE)
        return true;
    compile_syntax(c, c->token.begin, c->token.end,
                   "'?"
                   "?' cannot be mixed with other operators; put parentheses around one of them");
    return false;
}

static struct node *parse_operators(struct compiler *c, int least)
{
    uint32_t begin = c->token.begin;
    struct node *left = parse_primary(c);
    enum op previous = OP_NONE;

    while (c->token.kind == TOKEN_OPERATOR && !c->failed) {
        struct token token = c->token;
        bool negate = token.op == OP_NOT;
        enum op op = negate ? peek_negated(c) : (enum op)token.op;

        if (op == OP_NONE || op > OP_BINARY_LAST || binary_table[op].level < least)
            break;
        if (op == OP_PIPE) {
            struct token name;

            advance(c);
            name = c->token;
            if (name.kind != TOKEN_NAME)
                return unexpected(c);
            advance(c);
            left = parse_call(c, name, left, true);
            previous = op;
            continue;
        }
        if (!may_follow(c, previous, op))
            break;
        if (negate)
            advance(c);
        if (is_ordering(op)) {
            left = parse_comparison(c, left, begin);
        } else {
            uint32_t place = c->token.begin;

            advance(c);
            struct node *right =
                parse_binary(c, binary_table[op].right ? binary_table[op].level : binary_table[op].level + 1);
            left = make_binary(c, op, begin, place, left, right);
            if (negate)
                left = make_not(c, left, token.begin);
        }
        previous = op;
    }
    return c->failed ? &c->nothing : left;
}

static bool enter(struct compiler *c)
{
    if (++c->depth <= FORMULA_DEPTH_MAX)
        return true;
    if (!c->failed) {
        compile_syntax(c, c->token.begin, c->token.end, "nested deeper than %d levels", FORMULA_DEPTH_MAX);
        c->syntax.fault = FAULT_LIMIT;
    }
    return false;
}

static struct node *parse_binary(struct compiler *c, int least)
{
    struct node *n = enter(c) ? parse_operators(c, least) : &c->nothing;

    c->depth--;
    return n;
}

/* ---- expressions ---- */

static struct node *make_conditional(struct compiler *c, struct node *condition, struct node *yes, struct node *no,
                                     uint32_t place)
{
    struct node *n;

    if (c->failed)
        return &c->nothing;
    n = node_new(c, NODE_CONDITIONAL, condition->begin, c->last_end);
    n->place = place;
    n->a = condition;
    n->b = yes;
    n->c = no;
    check_conditional(c, n);
    return finish(n);
}

static struct node *parse_braced(struct compiler *c)
{
    struct node *n;

    expect(c, OP_OPEN_BRACE);
    n = parse_sequence(c);
    expect(c, OP_CLOSE_BRACE);
    return n;
}

static struct node *parse_if(struct compiler *c)
{
    struct node *n = &c->nothing;

    if (enter(c)) {
        uint32_t begin = c->token.begin;
        struct node *condition, *yes, *no;

        advance(c);
        condition = parse_expression(c);
        check_condition(c, condition);
        yes = parse_braced(c);
        expect(c, OP_ELSE);
        no = is_op(c, OP_IF) ? parse_if(c) : parse_braced(c);
        n = make_conditional(c, condition, yes, no, begin);
        if (!c->failed)
            n->begin = begin;
        c->nodes--; /* unlike the ternary, `if` is not counted (7) */
    }
    c->depth--;
    return n;
}

static struct node *parse_let(struct compiler *c)
{
    uint32_t begin = c->token.begin;
    struct variable *variable = arena_alloc(c->arena, sizeof(*variable));
    struct node *value, *body, *n;
    struct token name;

    advance(c);
    name = c->token;
    if (name.kind != TOKEN_NAME)
        return unexpected(c);
    variable->name = token_text(c, &name);
    advance(c);
    if (!expect(c, OP_ASSIGN))
        return &c->nothing;
    if (find_trigger(c, variable->name) >= 0 || find_variable(c, variable->name) ||
        builtin_find(variable->name.bytes, variable->name.length) >= 0)
        compile_fault(c, FAULT_REDECLARE, name.begin, name.end, name.begin,
                      "cannot redeclare '%.*s': it is already a %s; choose another name", (int)variable->name.length,
                      variable->name.bytes,
                      find_trigger(c, variable->name) >= 0 ? "trigger"
                      : find_variable(c, variable->name)   ? "variable"
                                                           : "builtin function");
    value = parse_expression(c);
    if (!expect(c, OP_SEMICOLON))
        return &c->nothing;
    variable->type = value->type;
    variable->value = value;
    variable->slot = c->slots++;
    variable->outer = c->variables;
    c->variables = variable;
    body = parse_sequence(c);
    c->variables = variable->outer;
    if (c->failed)
        return &c->nothing;
    n = node_new(c, NODE_LET, begin, c->last_end);
    n->slot = variable->slot;
    n->a = value;
    n->b = body;
    n->type = body->type;
    return finish(n);
}

static struct node *parse_ternaries(struct compiler *c)
{
    struct node *n = parse_operators(c, 0);

    while (is_op(c, OP_QUESTION) && !c->failed) {
        uint32_t place = c->token.begin;
        struct node *yes = n, *no;

        advance(c);
        check_condition(c, n);
        if (!is_op(c, OP_COLON))
            yes = parse_expression(c);
        expect(c, OP_COLON);
        no = parse_expression(c);
        n = make_conditional(c, n, yes, no, place);
    }
    return c->failed ? &c->nothing : n;
}

static struct node *parse_expression(struct compiler *c)
{
    struct node *n;

    if (is_op(c, OP_IF))
        return parse_if(c);
    n = !enter(c) ? &c->nothing : is_op(c, OP_LET) ? parse_let(c) : parse_ternaries(c);
    c->depth--;
    return n;
}

struct node *parse_formula(struct compiler *c)
{
    struct node *n;

    advance(c);
    n = parse_sequence(c);
    if (!c->failed && c->token.kind != TOKEN_END)
        unexpected(c);
    return n;
}
