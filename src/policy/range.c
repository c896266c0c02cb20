/*
 * range: which values a formula can take, and which of its divisors can be 0, read off its text by interval arithmetic.
 *
 * Triggers give anything from their least value up. The parser knows what people write (numbers, names, arithmetic, comparisons,
 * conditions, the functions of DESIGN.md 4); at the first thing beyond that (arrays, closures, strings in arithmetic) it gives
 * up and says nothing, so a finding is never a guess. A divisor counts as guarded where a condition around it looks at
 * one of its names: whoever wrote `x > 0 ? a / x : 0` has thought of it.
 *
 *     ternary -> coalesce -> or -> and -> comparison -> sum -> product -> power -> unary -> primary
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "policy/policy_internal.h"

enum { DEPTH_MAX = 64, GUARDS_MAX = 32, NAME_MAX_BYTES = 128 };

struct interval {
    double low, high;
};
static const struct interval anything = {-INFINITY, INFINITY}, boolean = {0, 1};

/* A condition in force: the text of it. */
struct guard {
    const char *begin, *end;
};
struct parser {
    const char *at;
    const struct range_name *names;
    size_t name_count;
    struct range_result *result;
    struct guard guards[GUARDS_MAX];
    size_t guard_count;
    int depth;
    bool gave_up;
};

/* ------------------------------------------------------------------ text */

static const char *skip_string(const char *at)
{
    char quote = *at++;

    while (*at && *at != quote)
        at += at[0] == '\\' && at[1] && quote != '`' ? 2 : 1;
    return *at ? at + 1 : at;
}

static const char *skip_blanks(const char *at)
{
    for (;;) {
        if (isspace((unsigned char)*at)) {
            at++;
        } else if (at[0] == '/' && at[1] == '/') {
            at += strcspn(at, "\n");
        } else if (at[0] == '/' && at[1] == '*') {
            const char *end = strstr(at + 2, "*/");

            at = end ? end + 2 : at + strlen(at);
        } else {
            return at;
        }
    }
}

static size_t identifier_length(const char *at)
{
    size_t n = 0;

    if (!isalpha((unsigned char)*at) && *at != '_' && *at != '$')
        return 0;
    while (isalnum((unsigned char)at[n]) || at[n] == '_' || at[n] == '$')
        n++;
    return n;
}

/* The next identifier in [at, end) outside strings and comments; members (.name) are skipped. NULL: no more. */
static const char *next_identifier(const char *at, const char *end, size_t *length)
{
    char before = 0;

    while (at < end && *at) {
        const char *next = skip_blanks(at);

        if (next != at) {
            at = next;
            continue;
        }
        if (*at == '"' || *at == '\'' || *at == '`') {
            at = skip_string(at);
            before = '"';
            continue;
        }
        *length = identifier_length(at);
        if (*length == 0) {
            before = *at++;
            if (isdigit((unsigned char)before))
                at += strspn(at, "0123456789abcdefABCDEFxXoO_."); /* 1e3 is no name */
        } else if (before == '.') {
            at += *length;
            before = 0;
        } else {
            return at < end ? at : NULL;
        }
    }
    return NULL;
}

static bool uses(const char *begin, const char *end, const char *identifier)
{
    size_t length;

    for (const char *at = begin; (at = next_identifier(at, end, &length)); at += length) {
        if (strlen(identifier) == length && memcmp(at, identifier, length) == 0)
            return true;
    }
    return false;
}

bool source_uses(const char *source, const char *identifier)
{
    return uses(source, source + strlen(source), identifier);
}

static bool take(struct parser *p, const char *token)
{
    size_t length = strlen(token);

    p->at = skip_blanks(p->at);
    if (strncmp(p->at, token, length) != 0)
        return false;
    if (isalpha((unsigned char)token[0]) && identifier_length(p->at) != length)
        return false;
    p->at += length;
    return true;
}

static struct interval give_up(struct parser *p)
{
    p->gave_up = true;
    p->at += strlen(p->at); /* nothing more is read */
    return anything;
}

/* ------------------------------------------------------------------ arithmetic */

static struct interval join(struct interval a, struct interval b)
{
    return (struct interval){fmin(a.low, b.low), fmax(a.high, b.high)};
}

/* Of the four corners; 0 times infinity is 0 here: the 0 is exact. */
static struct interval multiply(struct interval a, struct interval b)
{
    double corners[4] = {a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high};
    struct interval r = {INFINITY, -INFINITY};

    for (int i = 0; i < 4; i++) {
        double c = isnan(corners[i]) ? 0 : corners[i];

        r = join(r, (struct interval){c, c});
    }
    return r;
}

static struct interval divide(struct interval a, struct interval b)
{
    if (b.low > 0 || b.high < 0)
        return multiply(a, (struct interval){1 / b.high, 1 / b.low});
    return a.low >= 0 && b.low >= 0 ? (struct interval){0, INFINITY} : anything;
}

/* ------------------------------------------------------------------ divisors */

static bool is_guarded(const struct parser *p, const char *name)
{
    for (size_t i = 0; i < p->guard_count; i++) {
        if (uses(p->guards[i].begin, p->guards[i].end, name))
            return true;
    }
    return false;
}

static bool counts_pods(const char *name)
{
    return strcmp(name, "replicas") == 0 || strcmp(name, "ready_replicas") == 0;
}

static void note_divisor(struct parser *p, const char *begin, const char *end, struct interval value)
{
    struct range_result *r = p->result;
    struct range_divisor *d;
    bool guarded = false;
    size_t length;

    if (r->divisor_count == RANGE_DIVISORS_MAX || p->gave_up)
        return;
    d = &r->divisors[r->divisor_count++];
    while (end > begin && isspace((unsigned char)end[-1]))
        end--;
    snprintf(d->text, sizeof(d->text), "%.*s", (int)(end - begin), begin);
    for (const char *at = begin; (at = next_identifier(at, end, &length)); at += length) {
        char name[NAME_MAX_BYTES];

        if (length >= sizeof(name))
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)length, at);
        guarded |= is_guarded(p, name);
        d->pods |= counts_pods(name);
        for (size_t i = 0; i < p->name_count; i++) {
            if (strcmp(p->names[i].name, name) != 0)
                continue;
            d->pods |= p->names[i].pods;
            if (!d->name && p->names[i].low <= 0)
                d->name = p->names[i].name;
        }
    }
    d->zero = value.low <= 0 && value.high >= 0 && !guarded;
}

/* ------------------------------------------------------------------ the grammar */

static struct interval ternary(struct parser *p);

static void push_guard(struct parser *p, const char *begin)
{
    if (p->guard_count == GUARDS_MAX)
        give_up(p);
    else
        p->guards[p->guard_count++] = (struct guard){begin, p->at};
}

static struct interval number(struct parser *p)
{
    char *end;
    double value = strtod(p->at, &end);

    if (end == p->at || *end == '_' || isalpha((unsigned char)*end))
        return give_up(p);
    p->at = end;
    return (struct interval){value, value};
}

static struct interval of_name(struct parser *p, const char *name)
{
    static const char *const state[] = {"replicas",     "ready_replicas", "pending_replicas",
                                        "min_replicas", "max_replicas",   "target"};

    for (size_t i = 0; i < p->name_count; i++) {
        if (strcmp(p->names[i].name, name) == 0)
            return (struct interval){p->names[i].low, INFINITY};
    }
    if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0)
        return boolean;
    for (size_t i = 0; i < sizeof(state) / sizeof(state[0]); i++) {
        if (strcmp(state[i], name) == 0)
            return (struct interval){0, INFINITY};
    }
    return give_up(p);
}

enum { ARGUMENTS_MAX = 16 };

static struct interval extreme(const struct interval *args, int count, bool max)
{
    struct interval r = args[0];

    for (int i = 1; i < count; i++) {
        r.low = max ? fmax(r.low, args[i].low) : fmin(r.low, args[i].low);
        r.high = max ? fmax(r.high, args[i].high) : fmin(r.high, args[i].high);
    }
    return r;
}

static struct interval of_function(const char *name, const struct interval *args, int count)
{
    static const char *const same[] = {"float", "avg_over", "min_over", "max_over", "ago", "ema", "recent"};
    static const char *const from_zero[] = {"stddev_over", "rate", "increase", "age"};
    static const char *const booleans[] = {"hysteresis", "held", "cooldown", "missing", "between"};
    struct interval a = count > 0 ? args[0] : anything;

    if (count > 0 && (strcmp(name, "max") == 0 || strcmp(name, "min") == 0))
        return extreme(args, count, name[1] == 'a');
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        if (strcmp(same[i], name) == 0)
            return a;
    }
    for (size_t i = 0; i < sizeof(from_zero) / sizeof(from_zero[0]); i++) {
        if (strcmp(from_zero[i], name) == 0)
            return (struct interval){0, INFINITY};
    }
    for (size_t i = 0; i < sizeof(booleans) / sizeof(booleans[0]); i++) {
        if (strcmp(booleans[i], name) == 0)
            return boolean;
    }
    if (strcmp(name, "ceil") == 0)
        return (struct interval){ceil(a.low), ceil(a.high)};
    if (strcmp(name, "floor") == 0)
        return (struct interval){floor(a.low), floor(a.high)};
    if (strcmp(name, "round") == 0)
        return (struct interval){round(a.low), round(a.high)};
    if (strcmp(name, "int") == 0)
        return (struct interval){trunc(a.low), trunc(a.high)};
    if (strcmp(name, "abs") == 0)
        return a.low >= 0 ? a : (struct interval){a.high < 0 ? -a.high : 0, fmax(-a.low, fabs(a.high))};
    if (strcmp(name, "clamp") == 0 && count == 3)
        return (struct interval){fmax(args[1].low, fmin(a.low, args[2].low)),
                                 fmin(args[2].high, fmax(a.high, args[1].high))};
    return anything;
}

static struct interval call(struct parser *p, const char *name)
{
    struct interval args[ARGUMENTS_MAX];
    int count = 0;

    while (!p->gave_up && !take(p, ")")) {
        if (count == ARGUMENTS_MAX)
            return give_up(p);
        p->at = skip_blanks(p->at);
        if (*p->at == '"' || *p->at == '\'') {
            p->at = skip_string(p->at);
            args[count++] = anything;
        } else {
            args[count++] = ternary(p);
        }
        if (!take(p, ",") && *skip_blanks(p->at) != ')')
            return give_up(p);
    }
    return p->gave_up ? anything : of_function(name, args, count);
}

static struct interval primary(struct parser *p)
{
    char name[NAME_MAX_BYTES];
    struct interval value;
    size_t length;

    p->at = skip_blanks(p->at);
    length = identifier_length(p->at);
    if (take(p, "(")) {
        value = ternary(p);
        if (!take(p, ")"))
            return give_up(p);
    } else if (isdigit((unsigned char)*p->at) || *p->at == '.') {
        value = number(p);
    } else if (length > 0 && length < sizeof(name)) {
        snprintf(name, sizeof(name), "%.*s", (int)length, p->at);
        p->at += length;
        value = take(p, "(") ? call(p, name) : of_name(p, name);
    } else {
        return give_up(p);
    }
    p->at = skip_blanks(p->at);
    if (*p->at == '.' || *p->at == '[' || (p->at[0] == '|' && p->at[1] != '|') || (p->at[0] == '?' && p->at[1] == '.'))
        return give_up(p);
    return value;
}

static struct interval unary(struct parser *p)
{
    if (++p->depth > DEPTH_MAX)
        return give_up(p);
    struct interval value;
    p->at = skip_blanks(p->at);
    if (take(p, "-")) {
        value = unary(p);
        value = (struct interval){-value.high, -value.low};
    } else if (take(p, "+")) {
        value = unary(p);
    } else if ((p->at[0] == '!' && p->at[1] != '=' && take(p, "!")) || take(p, "not")) {
        unary(p);
        value = boolean;
    } else {
        value = primary(p);
    }
    p->depth--;
    return value;
}

static struct interval power(struct parser *p)
{
    struct interval base = unary(p);

    if (!take(p, "**") && !take(p, "^"))
        return base;
    unary(p);
    return base.low >= 0 ? (struct interval){0, INFINITY} : anything;
}

static struct interval product(struct parser *p)
{
    struct interval value = power(p);

    while (!p->gave_up) {
        const char *begin;
        struct interval right;
        bool rest;

        p->at = skip_blanks(p->at);
        if (take(p, "*")) {
            value = multiply(value, power(p));
            continue;
        }
        rest = *p->at == '%';
        if (!take(p, "/") && !take(p, "%"))
            return value;
        p->at = begin = skip_blanks(p->at);
        right = power(p);
        note_divisor(p, begin, p->at, right);
        value = rest ? anything : divide(value, right);
    }
    return value;
}

static struct interval sum(struct parser *p)
{
    struct interval value = product(p);

    while (!p->gave_up) {
        bool minus;
        struct interval right;

        p->at = skip_blanks(p->at);
        minus = *p->at == '-';
        if (!take(p, "+") && !take(p, "-"))
            return value;
        right = product(p);
        value = minus ? (struct interval){value.low - right.high, value.high - right.low}
                      : (struct interval){value.low + right.low, value.high + right.high};
        if (isnan(value.low))
            value.low = -INFINITY;
        if (isnan(value.high))
            value.high = INFINITY;
    }
    return value;
}

static struct interval comparison(struct parser *p)
{
    static const char *const operators[] = {"==", "!=", "<=", ">=", "<", ">"};
    struct interval value = sum(p);

    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]) && !p->gave_up; i++) {
        if (!take(p, operators[i]))
            continue;
        sum(p);
        return boolean;
    }
    return take(p, "in") || take(p, "not") || take(p, "matches") || take(p, "contains") ? give_up(p) : value;
}

static struct interval logical(struct parser *p, const char *sign, const char *word,
                               struct interval (*next)(struct parser *))
{
    const char *begin = p->at;
    size_t guards = p->guard_count;
    struct interval value = next(p);

    while (!p->gave_up && (take(p, sign) || take(p, word))) {
        push_guard(p, begin);
        next(p);
        value = boolean;
    }
    p->guard_count = guards;
    return value;
}

static struct interval conjunction(struct parser *p)
{
    return logical(p, "&&", "and", comparison);
}

static struct interval disjunction(struct parser *p)
{
    return logical(p, "||", "or", conjunction);
}

static struct interval coalesce(struct parser *p)
{
    struct interval value = disjunction(p);

    while (!p->gave_up && take(p, "??"))
        value = join(value, disjunction(p));
    return value;
}

static struct interval ternary(struct parser *p)
{
    const char *begin = p->at;
    size_t guards = p->guard_count;
    struct interval value, other;

    if (++p->depth > DEPTH_MAX)
        return give_up(p);
    value = coalesce(p);
    p->at = skip_blanks(p->at);
    if (!p->gave_up && p->at[0] == '?' && p->at[1] != '?' && p->at[1] != '.') {
        push_guard(p, begin);
        take(p, "?");
        value = ternary(p);
        other = take(p, ":") ? ternary(p) : give_up(p);
        value = join(value, other);
        p->guard_count = guards;
    }
    p->depth--;
    return value;
}

void formula_range(const char *source, const struct range_name *names, size_t name_count, struct range_result *out)
{
    struct parser p = {.at = source, .names = names, .name_count = name_count, .result = out};
    struct interval value;

    memset(out, 0, sizeof(*out));
    value = ternary(&p);
    if (p.gave_up || *skip_blanks(p.at)) {
        memset(out, 0, sizeof(*out));
        return;
    }
    out->known = true;
    out->low = value.low;
    out->high = value.high;
}
