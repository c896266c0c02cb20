/*
 * vm: boxed values and the stack code of the general path; shared by emit.c, vm.c, value.c, builtin*.c, extension.c.
 *
 * A value is 16 bytes. What does not fit (items of arrays, maps, bytes of strings) lies in the heap of the
 * evaluation, an arena that counts what it gives and ends with it. Values are immutable once made: slices and
 * constants share their items.
 */
#ifndef WEIR_FORMULA_VM_H
#define WEIR_FORMULA_VM_H

#include "formula/formula_internal.h"

enum value_tag {
    VALUE_NIL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_UINT8,
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_ARRAY,
    VALUE_MAP,
    VALUE_TIME,
    VALUE_DURATION,
    VALUE_MONTH,
    VALUE_WEEKDAY,
    VALUE_ZONE,
    VALUE_FUNCTION,
};

/* The Go type of an array, as far as deep equality of maps can tell. */
enum array_kind { ARRAY_ANY, ARRAY_INTS, ARRAY_STRINGS, ARRAY_BYTES };

struct value {
    uint8_t tag;
    uint8_t kind;    /* VALUE_ARRAY: enum array_kind */
    bool nil_array;  /* VALUE_ARRAY: counts as nil for == nil and ?? (5.2) */
    uint32_t length; /* VALUE_STRING: bytes; VALUE_ARRAY: items */
    union {
        int64_t integer; /* BOOL, INT, UINT8, DURATION, MONTH, WEEKDAY */
        double number;
        const char *bytes;
        const struct value *items; /* ARRAY_ANY, ARRAY_STRINGS */
        int64_t first;             /* ARRAY_INTS: a range, not stored: first, first + 1, ... */
        const uint8_t *octets;     /* ARRAY_BYTES */
        struct table *table;
        const struct go_time *time;
        const struct zone *zone;
    };
};

struct entry {
    struct value key, value;
};

/* The Go type of a map: string keys; groupBy's, keys of any type to arrays; fromPairs', anything to anything. */
enum table_kind { TABLE_STRINGS, TABLE_GROUPS, TABLE_PAIRS };

/* A map: entries in the order of insertion, an index of hashes beside them. */
struct table {
    uint32_t count, capacity, index_size; /* index_size: a power of two, twice the capacity */
    uint8_t kind;                         /* enum table_kind */
    struct entry *entries;
    uint32_t *index; /* entry number + 1; 0: free */
};

static inline struct value value_nil(void)
{
    return (struct value){.tag = VALUE_NIL};
}
static inline struct value value_bool(bool b)
{
    return (struct value){.tag = VALUE_BOOL, .integer = b};
}
static inline struct value value_int(int64_t i)
{
    return (struct value){.tag = VALUE_INT, .integer = i};
}
static inline struct value value_float(double f)
{
    return (struct value){.tag = VALUE_FLOAT, .number = f};
}
static inline struct value value_of(enum value_tag tag, int64_t i)
{
    return (struct value){.tag = (uint8_t)tag, .integer = i};
}
static inline struct value value_string(struct span s)
{
    return (struct value){.tag = VALUE_STRING, .length = (uint32_t)s.length, .bytes = s.bytes};
}
static inline struct value value_array(const struct value *items, uint32_t length)
{
    return (struct value){.tag = VALUE_ARRAY, .length = length, .items = items};
}
static inline struct span value_span(const struct value *v)
{
    return (struct span){v->bytes, v->length};
}
static inline bool value_is_integer(const struct value *v)
{
    return v->tag == VALUE_INT || v->tag == VALUE_UINT8;
}
static inline bool value_is_number(const struct value *v)
{
    return v->tag >= VALUE_INT && v->tag <= VALUE_FLOAT;
}
static inline double value_number(const struct value *v)
{
    return v->tag == VALUE_FLOAT ? v->number : (double)v->integer;
}
static inline struct value value_item(const struct value *array, uint32_t i)
{
    switch (array->kind) {
    case ARRAY_INTS:
        return value_int((int64_t)((uint64_t)array->first + i));
    case ARRAY_BYTES:
        return value_of(VALUE_UINT8, array->octets[i]);
    default:
        return array->items[i];
    }
}

/* ---- code ---- */

/* name, what it does to the stack (top right); n: operand of the instruction */
#define VM_OPS(O)                                                                                                      \
    O(CONSTANT) /* -> constants[n] */                                                                                  \
    O(NIL)                                                                                                             \
    O(NAME)                                                                                                            \
    /* -> trigger n */ O(STATE) /* -> field n of the state */ O(ENV) /* -> map of all triggers */                      \
        O(LOAD) O(STORE) /* let variable n; STORE takes the value */ O(POP) O(JUMP)                                    \
            O(JUMP_FALSE) /* keep; && */ O(JUMP_TRUE) /* keep; || */ O(JUMP_NOT_NIL) /* keep; ?? */                    \
        O(JUMP_NIL) /* keep; ?. */ O(BRANCH_FALSE)                                   /* take; ?: */                    \
        O(NOT) O(NEG) O(ADD) O(SUB) O(MUL) O(DIV) O(MOD) O(POW) O(RANGE) O(EQ) O(NE) O(EQ_INT) O(NE_INT) O(EQ_STRING)  \
            O(NE_STRING) /* the last four: both sides statically that type */                                          \
        O(LT) O(GT) O(LE) O(GE) O(IN) O(IN_INTS) O(IN_STRINGS) O(IN_INTERVAL) /* x, constant -> bool */                \
        O(MATCHES) O(MATCHES_CONSTANT) /* regexes[n] */ O(CONTAINS) O(STARTS_WITH) O(ENDS_WITH) O(INDEX)               \
            O(FIELD) /* a -> a.constants[n] */ O(SLICE) /* a, to, from -> a[from:to]; n: bit 0 from, bit 1 to given */ \
        O(ARRAY) /* n items -> array */ O(MAP)          /* n pairs -> map */                                           \
        O(CALL) /* m arguments -> builtin n */ O(METHOD) /* receiver, m arguments -> method n */                       \
        O(METHOD_NAMED) /* receiver, m arguments -> method constants[n], found by the receiver's type */               \
        O(EXTENSION)    /* arguments -> calls[n] */                                                                    \
        O(LOOP_BEGIN) /* array -> ; a loop of builtin n begins */ O(LOOP_TEST) /* to n if there is no element */       \
        O(LOOP_FILTER) /* bool -> ; false: next element, to n + 1, or on */ O(                                         \
            LOOP_STEP)                                            /* predicate's value -> ; to n */                    \
        O(LOOP_END) /* -> result; m: FLAG_THROWS */ O(LOOP_START) /* initial value or order -> */                      \
        O(ITEM) O(ITEM_INDEX) O(ACC)                                                                                   \
            O(TRACE) /* keep; n: the operator, m: depth */ O(FAIL) /* a call that cannot be made */ O(RETURN)

enum vm_op {
#define O(name) VM_##name,
    VM_OPS(O)
#undef O
};

struct vm_instruction {
    uint8_t op;
    uint8_t flag;
    uint16_t m;
    uint32_t n;
};

struct vm_place {
    uint32_t begin, end, place;
};

struct program {
    struct arena *arena;
    const struct vm_instruction *code;
    const struct vm_place *places; /* one per instruction */
    const struct value *constants;
    struct lib_regex **regexes;
    const struct extension_call *calls;
    uint32_t code_count, constant_count, regex_count, call_count, stack_max, loops_max;
    uint16_t locals;
};

/* ---- running ---- */

struct loop {
    struct value array, acc, last; /* last: the value the predicate gave, of a map's item */
    uint32_t at, found;
    uint8_t id, backwards, descending, done;
    int64_t count;
    uint32_t limit;
    struct value *out; /* map, filter: what was collected; sortBy: keys */
    struct value *out2;
    uint32_t out_count, out_capacity;
    struct table *groups;
};

struct vm {
    const struct program *program;
    struct program_run *run;
    const struct formula_env *env;
    struct arena *heap;
    size_t heap_bytes;
    uint64_t steps;
    uint64_t budget;
    uint32_t at; /* the instruction under way: where an error is */
    enum formula_fault fault;
    char text[200];
    struct value environment; /* $env, once made */
    bool environment_made;
    const struct zone *zones[FORMULA_ZONES_MAX]; /* loaded while running, released at the end */
    uint32_t zone_count;
    bool zero_divisor; /* of the last division, to explain an infinity */
};

/* All return false, so that failing is one line. */
bool vm_fail(struct vm *vm, enum formula_fault fault, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool vm_fail_limit(struct vm *vm, const char *what, uint64_t limit);
/* NULL: over FORMULA_HEAP_MAX_BYTES, and the fault is set. Zeroed. */
void *vm_alloc(struct vm *vm, size_t size);
bool vm_charge(struct vm *vm, uint64_t units); /* the memory budget of section 7 */
bool vm_spend(struct vm *vm, uint64_t items);  /* work done inside one instruction counts as steps */

/* value.c */
const char *value_type_name(const struct value *v);                            /* as the `type` builtin has it */
bool value_is_nil(const struct value *v);                                      /* nil, or an array that counts as nil */
bool value_equal(struct vm *vm, const struct value *x, const struct value *y); /* 5.2; may set the vm's fault */
bool value_print(struct vm *vm, const struct value *v, struct text *out);      /* section 9; false: fault set */
bool value_json(struct vm *vm, const struct value *v, struct text *out);
bool value_from_text(struct vm *vm, struct text *text, bool good, struct value *out); /* copies, and ends the text */

struct table *table_new(struct vm *vm, uint32_t capacity, enum table_kind kind);
struct entry *table_find(const struct table *table, const struct value *key);
bool table_put(struct vm *vm, struct table *table, const struct value *key, const struct value *value, bool replace);

/* arithmetic.c */
bool value_add(struct vm *vm, const struct value *x, const struct value *y, struct value *out);
bool value_binary(struct vm *vm, enum vm_op op, const struct value *x, const struct value *y, struct value *out);
bool value_negate(struct vm *vm, const struct value *x, struct value *out);
bool value_order(struct vm *vm, enum vm_op op, const struct value *x, const struct value *y, bool *out);
bool value_in(struct vm *vm, const struct value *x, const struct value *set, bool *out);
bool value_to_index(struct vm *vm, const struct value *v, int64_t *out);
bool value_index(struct vm *vm, const struct value *base, const struct value *index, bool strict, struct value *out);
bool value_slice(struct vm *vm, const struct value *base, const struct value *from, const struct value *to,
                 struct value *out);

/* builtin.c, builtin_aggregate.c, builtin_array.c, builtin_text.c, builtin_time.c */
bool builtin_call(struct vm *vm, enum builtin id, const struct value *args, uint32_t count, struct value *out);
bool builtin_aggregate(struct vm *vm, enum builtin id, const struct value *args, uint32_t count, struct value *out);
bool builtin_array(struct vm *vm, enum builtin id, const struct value *args, uint32_t count, struct value *out);
bool builtin_text(struct vm *vm, enum builtin id, const struct value *args, uint32_t count, struct value *out);
bool builtin_time(struct vm *vm, enum builtin id, const struct value *args, uint32_t count, struct value *out);
bool builtin_bad_argument(struct vm *vm, enum builtin id, const struct value *v);
bool method_call(struct vm *vm, int id, const struct value *receiver, const struct value *args, uint32_t count,
                 struct value *out);
/* Sorts by keys (the values themselves when keys == values); false: keys that cannot be ordered. */
bool values_sort(struct vm *vm, struct value *keys, struct value *values, uint32_t count, bool descending);

/* loop.c */
bool loop_begin(struct vm *vm, struct loop *loop, enum builtin id, const struct value *array, uint32_t limit);
bool loop_start(struct vm *vm, struct loop *loop, const struct value *v); /* the initial value, or the order */
bool loop_first(struct vm *vm, struct loop *loop);                        /* reduce without an initial value */
bool loop_has(const struct loop *loop);
void loop_next(struct loop *loop);
bool loop_take(struct vm *vm, struct loop *loop, const struct value *v); /* the predicate's value for this element */
bool loop_item(struct vm *vm, const struct loop *loop, struct value *out);
bool loop_end(struct vm *vm, struct loop *loop, bool throws, struct value *out);

/* extension.c */
bool extension_prepare(struct compiler *c, const struct node *n, struct extension_call *call, struct error *err);
void extension_release(const struct extension_call *call);
bool extension_run(struct vm *vm, const struct extension_call *call, const struct value *args, struct value *out);

#endif
