/*
 * vm: runs the stack code of the general path. Its bounds: FORMULA_STEPS_MAX instructions (work inside one of them
 * counts too, vm_spend), FORMULA_HEAP_MAX_BYTES of values, and the language's own memory budget (expr-language.md 7).
 * The stack's height is known when compiled.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "formula/vm.h"

/* ---- faults and memory ---- */

bool vm_fail(struct vm *vm, enum formula_fault fault, const char *format, ...)
{
    va_list args;

    if (vm->fault == FAULT_NONE) {
        vm->fault = fault;
        va_start(args, format);
        vsnprintf(vm->text, sizeof(vm->text), format, args);
        va_end(args);
    }
    return false;
}

bool vm_fail_limit(struct vm *vm, const char *what, uint64_t limit)
{
    return vm_fail(vm, FAULT_LIMIT, "evaluation stopped: over the limit of %llu for %s", (unsigned long long)limit,
                   what);
}

void *vm_alloc(struct vm *vm, size_t size)
{
    if (size > FORMULA_HEAP_MAX_BYTES || vm->heap_bytes + size > FORMULA_HEAP_MAX_BYTES) {
        vm_fail_limit(vm, "bytes of memory", FORMULA_HEAP_MAX_BYTES);
        return NULL;
    }
    if (!vm->heap)
        vm->heap = arena_new(ARENA_USUAL);
    vm->heap_bytes += size;
    return arena_alloc(vm->heap, size ? size : 1);
}

bool vm_charge(struct vm *vm, uint64_t units)
{
    vm->budget += units;
    if (vm->budget >= FORMULA_BUDGET_MAX)
        return vm_fail(vm, FAULT_MEMORY_BUDGET,
                       "memory budget exceeded: the arrays of one evaluation may hold fewer than %d elements",
                       FORMULA_BUDGET_MAX);
    return true;
}

bool vm_spend(struct vm *vm, uint64_t items)
{
    vm->steps += items;
    return vm->steps <= FORMULA_STEPS_MAX || vm_fail_limit(vm, "steps", FORMULA_STEPS_MAX);
}

/* ---- what instructions do ---- */

static struct value trigger_value(const struct vm *vm, uint32_t index)
{
    return vm->env->nil && vm->env->nil[index] ? value_nil() : value_float(vm->env->values[index]);
}

static bool environment(struct vm *vm, struct value *out)
{
    const struct program_run *run = vm->run;
    struct table *t;

    if (!vm->environment_made) {
        t = table_new(vm, (uint32_t)run->name_count, TABLE_STRINGS);
        for (size_t i = 0; t && i < run->name_count; i++) {
            struct value key, value = trigger_value(vm, (uint32_t)i);

            if (!run->names[i])
                continue;
            key = value_string(span_of(run->names[i]));
            if (!table_put(vm, t, &key, &value, true))
                return false;
        }
        if (!t)
            return false;
        vm->environment = (struct value){.tag = VALUE_MAP, .table = t};
        vm->environment_made = true;
    }
    *out = vm->environment;
    return true;
}

static bool want_bool(struct vm *vm, const struct value *v)
{
    if (v->tag == VALUE_BOOL)
        return true;
    return vm_fail(vm, v->tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_TYPE_ASSERTION,
                   "a condition is needed here (got %s)", value_type_name(v));
}

static bool equal_typed(struct vm *vm, uint8_t tag, const struct value *x, const struct value *y, bool *out)
{
    if (x->tag != tag || y->tag != tag) {
        const struct value *wrong = x->tag != tag ? x : y;

        return vm_fail(
            vm, wrong->tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_TYPE_ASSERTION,
            "the two sides were taken for %ss when compiled, but one is %s; compare with a float, or use int(...)",
            tag == VALUE_INT ? "int" : "string", value_type_name(wrong));
    }
    *out = tag == VALUE_INT ? x->integer == y->integer : lib_equal(value_span(x), value_span(y));
    return true;
}

/* x in [1, 2, 3] with x statically int; in ["a", "b"]. Nil is looked up as 0 and "" (6.3). */
static bool in_typed(struct vm *vm, uint8_t tag, const struct value *x, const struct value *set, bool *out)
{
    struct value zero = tag == VALUE_INT ? value_int(0) : value_string((struct span){"", 0});

    if (x->tag == VALUE_NIL)
        x = &zero;
    if (x->tag != tag)
        return vm_fail(vm, FAULT_TYPE_MISMATCH, "the left side was taken for %s when compiled, but is %s",
                       tag == VALUE_INT ? "an int" : "a string", value_type_name(x));
    *out = false;
    for (uint32_t i = 0; i < set->length && !*out; i++)
        *out = tag == VALUE_INT ? set->items[i].integer == x->integer
                                : lib_equal(value_span(&set->items[i]), value_span(x));
    return vm_spend(vm, set->length / 8);
}

static bool in_interval(struct vm *vm, const struct value *x, const struct value *bounds, bool *out)
{
    bool above, below = false;

    if (!value_order(vm, VM_GE, x, &bounds[0], &above) || (above && !value_order(vm, VM_LE, x, &bounds[1], &below)))
        return false;
    *out = above && below;
    return true;
}

static bool matches(struct vm *vm, const struct lib_regex *regex, const struct value *subject, bool *out)
{
    struct span s = value_span(subject);
    struct error err;

    *out = false;
    if (subject->tag == VALUE_NIL)
        return true;
    if (subject->tag == VALUE_ARRAY && subject->kind == ARRAY_BYTES)
        s = (struct span){(const char *)subject->octets, subject->length};
    else if (subject->tag != VALUE_STRING)
        return vm_fail(vm, FAULT_TYPE_ASSERTION, "matches needs a string (got %s)", value_type_name(subject));
    return (vm_spend(vm, s.length) && lib_regex_match(regex, s, out, &err)) || vm_fail(vm, FAULT_LIMIT, "%s", err.text);
}

static bool matches_dynamic(struct vm *vm, const struct value *subject, const struct value *pattern, bool *out)
{
    struct lib_regex *regex;
    struct error err;
    bool good;

    *out = false;
    if (subject->tag == VALUE_NIL || pattern->tag == VALUE_NIL)
        return true;
    if (pattern->tag != VALUE_STRING)
        return vm_fail(vm, FAULT_TYPE_ASSERTION, "matches needs a string (got %s)", value_type_name(pattern));
    if (!vm_spend(vm, 1000 + pattern->length)) /* compiling is dear */
        return false;
    if (!lib_regex_compile(value_span(pattern), &regex, &err))
        return vm_fail(vm, err.kind == ERROR_LIMIT ? FAULT_LIMIT : FAULT_BAD_REGEXP, "%s", err.text);
    good = matches(vm, regex, subject, out);
    lib_regex_free(regex);
    return good;
}

static bool test_strings(struct vm *vm, enum vm_op op, const struct value *x, const struct value *y, bool *out)
{
    *out = false;
    if (x->tag == VALUE_NIL || y->tag == VALUE_NIL)
        return true;
    if (x->tag != VALUE_STRING || y->tag != VALUE_STRING)
        return vm_fail(vm, FAULT_TYPE_ASSERTION, "contains, startsWith and endsWith need strings (got %s and %s)",
                       value_type_name(x), value_type_name(y));
    *out = op == VM_CONTAINS      ? lib_contains(value_span(x), value_span(y))
           : op == VM_STARTS_WITH ? lib_has_prefix(value_span(x), value_span(y))
                                  : lib_has_suffix(value_span(x), value_span(y));
    return vm_spend(vm, x->length / 8);
}

/* The two-sided tests: x op y -> bool. */
static bool test(struct vm *vm, enum vm_op op, const struct value *x, const struct value *y, struct value *out)
{
    bool is = false, good;

    switch (op) {
    case VM_EQ:
    case VM_NE:
        is = value_equal(vm, x, y);
        good = vm->fault == FAULT_NONE;
        break;
    case VM_EQ_INT:
    case VM_NE_INT:
        good = equal_typed(vm, VALUE_INT, x, y, &is);
        break;
    case VM_EQ_STRING:
    case VM_NE_STRING:
        good = equal_typed(vm, VALUE_STRING, x, y, &is);
        break;
    case VM_LT:
    case VM_GT:
    case VM_LE:
    case VM_GE:
        good = value_order(vm, op, x, y, &is);
        break;
    case VM_IN:
        good = value_in(vm, x, y, &is);
        break;
    case VM_IN_INTS:
        good = in_typed(vm, VALUE_INT, x, y, &is);
        break;
    case VM_IN_STRINGS:
        good = in_typed(vm, VALUE_STRING, x, y, &is);
        break;
    case VM_IN_INTERVAL:
        good = in_interval(vm, x, y, &is);
        break;
    case VM_MATCHES:
        good = matches_dynamic(vm, x, y, &is);
        break;
    default:
        good = test_strings(vm, op, x, y, &is);
        break;
    }
    *out = value_bool(is != (op == VM_NE || op == VM_NE_INT || op == VM_NE_STRING));
    return good;
}

static bool make_array(struct vm *vm, struct value *items, uint32_t count, struct value *out)
{
    struct value *kept;

    if (!vm_charge(vm, count) || !(kept = vm_alloc(vm, count * sizeof(*kept))))
        return false;
    if (count)
        memcpy(kept, items, count * sizeof(*kept));
    *out = value_array(kept, count);
    return true;
}

static bool make_map(struct vm *vm, const struct value *pairs, uint32_t count, struct value *out)
{
    struct table *t;

    if (!vm_charge(vm, count) || !(t = table_new(vm, count, TABLE_STRINGS)))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (pairs[2 * i].tag != VALUE_STRING)
            return vm_fail(vm, pairs[2 * i].tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_TYPE_ASSERTION,
                           "the keys of a map are strings (got %s)", value_type_name(&pairs[2 * i]));
        if (!table_put(vm, t, &pairs[2 * i], &pairs[2 * i + 1], false)) /* the first of equal keys counts (8.6) */
            return false;
    }
    *out = (struct value){.tag = VALUE_MAP, .table = t};
    return true;
}

static bool field(struct vm *vm, const struct value *base, const struct value *name, bool method, struct value *out)
{
    if (method || (base->tag >= VALUE_TIME && base->tag != VALUE_FUNCTION)) {
        *out = (struct value){.tag = VALUE_FUNCTION};
        return true;
    }
    return value_index(vm, base, name, true, out);
}

static bool call_by_name(struct vm *vm, const struct value *name, struct value *receiver, uint32_t count,
                         struct value *out)
{
    static const uint8_t kinds[] = {[VALUE_TIME] = TYPE_TIME,
                                    [VALUE_DURATION] = TYPE_DURATION,
                                    [VALUE_MONTH] = TYPE_MONTH,
                                    [VALUE_WEEKDAY] = TYPE_WEEKDAY,
                                    [VALUE_ZONE] = TYPE_ZONE};
    int id = receiver->tag >= VALUE_TIME && receiver->tag <= VALUE_ZONE
                 ? method_find((enum type_kind)kinds[receiver->tag], name->bytes, name->length)
                 : -1;

    if (id < 0)
        return vm_fail(vm, receiver->tag == VALUE_NIL ? FAULT_NIL_OPERAND : FAULT_BAD_INDEX, "%s has no method %.*s",
                       value_type_name(receiver), name->length > 40 ? 40 : (int)name->length, name->bytes);
    if (count != strlen(method_table[id].arguments))
        return vm_fail(vm, FAULT_BAD_ARGUMENT, "wrong number of arguments in the call of %s", method_table[id].name);
    return method_call(vm, id, receiver, receiver + 1, count, out);
}

/* ---- traces ---- */

static void describe(const struct value *v, struct formula_value *out)
{
    *out = (struct formula_value){.type = FORMULA_OTHER};
    switch (v->tag) {
    case VALUE_NIL:
        out->type = FORMULA_NIL;
        break;
    case VALUE_BOOL:
        out->type = FORMULA_BOOL;
        out->number = v->integer ? 1 : 0;
        out->integer = v->integer;
        break;
    case VALUE_INT:
        out->type = FORMULA_INT;
        out->integer = v->integer;
        out->number = (double)v->integer;
        break;
    case VALUE_FLOAT:
        out->type = FORMULA_NUMBER;
        out->number = v->number;
        break;
    default:
        break;
    }
}

enum { TRACE_REPR_MAX = 256 };

static void trace(struct vm *vm, const struct vm_instruction *i, const struct vm_place *place, const struct value *v)
{
    uint32_t from = vm->run->prefix_length;
    struct formula_value value;
    struct text repr;
    struct vm apart = *vm; /* a value too long to show is no fault of the formula */

    if (vm->run->find_unfinite) {
        if (vm->run->unfinite_end == 0 && v->tag == VALUE_FLOAT && !isfinite(v->number)) {
            vm->run->unfinite_begin = place->begin - from;
            vm->run->unfinite_end = place->end - from;
            snprintf(vm->run->unfinite_why, sizeof(vm->run->unfinite_why), "%s",
                     i->n == OP_DIV && vm->zero_divisor ? "division by 0"
                     : isnan(v->number)                 ? "not a number"
                                                        : "too large for a number");
        }
        return;
    }
    if (!vm->env->trace)
        return;
    describe(v, &value);
    if (!vm->env->trace_repr) {
        vm->env->trace(vm->env->trace_arg, place->begin - from, place->end - from, i->m, &value, NULL);
        return;
    }
    text_init(&repr, TRACE_REPR_MAX);
    value_print(&apart, v, &repr);
    vm->heap = apart.heap;
    vm->heap_bytes = apart.heap_bytes;
    vm->env->trace(vm->env->trace_arg, place->begin - from, place->end - from, i->m, &value, repr.bytes);
    text_done(&repr);
}

/* ---- the loop ---- */

/* What most instructions of two operands come to: x op y, in the place of x. */
static bool two(struct vm *vm, enum vm_op op, struct value *x)
{
    struct value out;

    if (op == VM_DIV)
        vm->zero_divisor = value_is_number(&x[1]) && value_number(&x[1]) == 0;
    if (op >= VM_ADD && op <= VM_RANGE ? !value_binary(vm, op, &x[0], &x[1], &out) : !test(vm, op, &x[0], &x[1], &out))
        return false;
    x[0] = out;
    return true;
}

static bool execute(struct vm *vm, struct value *stack, struct value *locals, struct loop *loops, struct value *result)
{
    const struct program *p = vm->program;
    const struct vm_instruction *code = p->code, *i;
    struct value *sp = stack;  /* the next free place */
    struct loop *loop = loops; /* place 0 stays free: no loop under way */
    struct value out;
    uint32_t pc = 0;

    for (;;) {
        i = &code[pc];
        vm->at = pc++;
        if (++vm->steps > FORMULA_STEPS_MAX)
            return vm_fail_limit(vm, "steps", FORMULA_STEPS_MAX);
        switch ((enum vm_op)i->op) {
        case VM_CONSTANT:
            *sp++ = p->constants[i->n];
            break;
        case VM_NIL:
            *sp++ = value_nil();
            break;
        case VM_NAME:
            *sp++ = trigger_value(vm, i->n);
            break;
        case VM_STATE:
            *sp++ = vm->env->state ? value_float((&vm->env->state->replicas)[i->n]) : value_nil();
            break;
        case VM_ENV:
            if (!environment(vm, &out))
                return false;
            *sp++ = out;
            break;
        case VM_LOAD:
            *sp++ = locals[i->n];
            break;
        case VM_STORE:
            locals[i->n] = *--sp;
            break;
        case VM_POP:
            sp--;
            break;
        case VM_JUMP:
            pc = i->n;
            break;
        case VM_JUMP_FALSE:
        case VM_JUMP_TRUE:
            if (!want_bool(vm, &sp[-1]))
                return false;
            pc = (sp[-1].integer != 0) == (i->op == VM_JUMP_TRUE) ? i->n : pc;
            break;
        case VM_JUMP_NOT_NIL:
            pc = value_is_nil(&sp[-1]) ? pc : i->n;
            break;
        case VM_JUMP_NIL:
            if (value_is_nil(&sp[-1])) {
                sp[-1] = value_nil();
                pc = i->n;
            }
            break;
        case VM_BRANCH_FALSE:
            sp--;
            if (!want_bool(vm, sp))
                return false;
            pc = sp->integer ? pc : i->n;
            break;
        case VM_NOT:
            if (!want_bool(vm, &sp[-1]))
                return false;
            sp[-1].integer = !sp[-1].integer;
            break;
        case VM_NEG:
            if (!value_negate(vm, &sp[-1], &sp[-1]))
                return false;
            break;
        case VM_ADD:
        case VM_SUB:
        case VM_MUL:
        case VM_DIV:
        case VM_MOD:
        case VM_POW:
        case VM_RANGE:
        case VM_EQ:
        case VM_NE:
        case VM_EQ_INT:
        case VM_NE_INT:
        case VM_EQ_STRING:
        case VM_NE_STRING:
        case VM_LT:
        case VM_GT:
        case VM_LE:
        case VM_GE:
        case VM_IN:
        case VM_MATCHES:
        case VM_CONTAINS:
        case VM_STARTS_WITH:
        case VM_ENDS_WITH:
            sp--;
            if (!two(vm, (enum vm_op)i->op, sp - 1))
                return false;
            break;
        case VM_IN_INTS:
        case VM_IN_STRINGS:
        case VM_IN_INTERVAL:
            if (!test(vm, (enum vm_op)i->op, &sp[-1], &p->constants[i->n], &out))
                return false;
            sp[-1] = out;
            break;
        case VM_MATCHES_CONSTANT: {
            bool is;

            if (!matches(vm, p->regexes[i->n], &sp[-1], &is))
                return false;
            sp[-1] = value_bool(is);
            break;
        }
        case VM_INDEX:
            sp--;
            if (!value_index(vm, &sp[-1], sp, true, &out))
                return false;
            sp[-1] = out;
            break;
        case VM_FIELD:
            if (!field(vm, &sp[-1], &p->constants[i->n], i->m, &out))
                return false;
            sp[-1] = out;
            break;
        case VM_SLICE: {
            const struct value *from = i->n & 1 ? --sp : NULL, *to = i->n & 2 ? --sp : NULL;

            if (!value_slice(vm, &sp[-1], from, to, &out))
                return false;
            sp[-1] = out;
            break;
        }
        case VM_ARRAY:
            sp -= i->n;
            if (!make_array(vm, sp, i->n, &out))
                return false;
            *sp++ = out;
            break;
        case VM_MAP:
            sp -= 2 * i->n;
            if (!make_map(vm, sp, i->n, &out))
                return false;
            *sp++ = out;
            break;
        case VM_CALL:
            sp -= i->m;
            if (!builtin_call(vm, (enum builtin)i->n, sp, i->m, &out))
                return false;
            *sp++ = out;
            break;
        case VM_METHOD:
            sp -= i->m;
            if (!method_call(vm, (int)i->n, &sp[-1], sp, i->m, &out))
                return false;
            sp[-1] = out;
            break;
        case VM_METHOD_NAMED:
            sp -= i->m;
            if (!call_by_name(vm, &p->constants[i->n], &sp[-1], i->m, &out))
                return false;
            sp[-1] = out;
            break;
        case VM_EXTENSION:
            sp -= p->calls[i->n].dynamic;
            if (!extension_run(vm, &p->calls[i->n], sp, &out))
                return false;
            *sp++ = out;
            break;
        case VM_LOOP_BEGIN:
            if (!loop_begin(vm, ++loop, (enum builtin)i->m, --sp, i->n) ||
                (i->m == BUILTIN_REDUCE && !i->flag && !loop_first(vm, loop)))
                return false;
            break;
        case VM_LOOP_START:
            if (!loop_start(vm, loop, --sp))
                return false;
            break;
        case VM_LOOP_TEST:
            pc = loop_has(loop) ? pc : i->n;
            break;
        case VM_LOOP_FILTER:
            if (!want_bool(vm, --sp))
                return false;
            if (sp->integer) {
                pc++; /* over the jump to the end */
            } else {
                loop_next(loop);
                pc = loop_has(loop) ? i->n : pc;
            }
            break;
        case VM_LOOP_STEP:
            if (!loop_take(vm, loop, --sp))
                return false;
            pc = loop_has(loop) ? i->n : pc;
            break;
        case VM_LOOP_END:
            if (!loop_end(vm, loop--, i->m & FLAG_THROWS, &out))
                return false;
            *sp++ = out;
            break;
        case VM_ITEM:
            if (!loop_item(vm, loop, &out))
                return false;
            *sp++ = out;
            break;
        case VM_ITEM_INDEX:
            *sp++ = value_int(loop->at);
            break;
        case VM_ACC:
            *sp++ = loop->acc;
            break;
        case VM_TRACE:
            trace(vm, i, &p->places[vm->at], &sp[-1]);
            break;
        case VM_FAIL:
            return vm_fail(vm, FAULT_BAD_ARGUMENT, "wrong number or kind of arguments in this call");
        case VM_RETURN:
            *result = *--sp;
            return true;
        }
    }
}

/* ---- from outside ---- */

static void report(struct vm *vm, struct formula_result *result)
{
    const struct program_run *run = vm->run;
    const struct vm_place *place = &vm->program->places[vm->at];
    struct formula_error *err = &result->error;
    uint32_t from = run->prefix_length, end = from + run->user_length;

    *err = (struct formula_error){.fault = vm->fault};
    snprintf(err->text, sizeof(err->text), "%s", vm->text);
    if (place->place >= from && place->place <= end)
        fault_place(err, run->source, place->place - from);
    err->begin = place->begin < from ? 0 : place->begin - from;
    err->end = (place->end > end ? end : place->end) - from;
    result->value = (struct formula_value){.type = FORMULA_FAILED};
}

void program_execute(const struct program *program, struct program_run *run, struct formula_result *result)
{
    enum { USUAL_STACK = 48, USUAL_LOCALS = 8, USUAL_LOOPS = 4 };
    struct value usual_stack[USUAL_STACK], usual_locals[USUAL_LOCALS], value;
    struct loop usual_loops[USUAL_LOOPS];
    struct vm vm = {.program = program, .run = run, .env = run->env};
    struct value *stack =
        program->stack_max < USUAL_STACK ? usual_stack : mem_array(program->stack_max + 1, sizeof(*stack));
    struct value *locals = program->locals <= USUAL_LOCALS ? usual_locals : mem_array(program->locals, sizeof(*locals));
    struct loop *loops =
        program->loops_max < USUAL_LOOPS ? usual_loops : mem_array(program->loops_max + 1, sizeof(*loops));

    if (!execute(&vm, stack, locals, loops, &value)) {
        report(&vm, result);
    } else {
        describe(&value, &result->value);
        snprintf(result->other_type, sizeof(result->other_type), "%s", value_type_name(&value));
        if (run->repr && !value_print(&vm, &value, run->repr)) /* too long to show: no fault of the formula */
            run->repr->overflowed = true;
    }
    if (stack != usual_stack)
        free(stack);
    if (locals != usual_locals)
        free(locals);
    if (loops != usual_loops)
        free(loops);
    for (uint32_t i = 0; i < vm.zone_count; i++)
        zone_unref(vm.zones[i]);
    arena_free(vm.heap);
}
