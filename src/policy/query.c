/*
 * query: what kind of number a PromQL query gives, read off its text. Not a parser of PromQL: it knows how the outermost
 * parts are put together (operators by precedence, aggregations, a few functions) and says "other" at everything else,
 * so that what it does say can be relied on.
 *
 *     sum(rate(x[1m])) / count(up{app="a"})     a ratio; the right side counts: a value per pod; window 1 minute
 *     avg(queue) + 1                            a mean, with 1 added
 *     sum(x{code="500"}) / sum(x)               a ratio of a part to its whole: never above 1
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "policy/policy_internal.h"

enum {
    QUERY_DEPTH_MAX = 12,       /* of expressions in each other; what is deeper is "other" */
    QUERY_MATCHERS_MAX = 512,   /* bytes of a metric's matchers that are compared */
    QUERY_MAX_BYTES = 8 * 1024, /* people write under 1 KB; what is longer is "other", for each level is read again */
};

struct piece { /* of the query */
    const char *begin, *end;
};

/* ------------------------------------------------------------------ pieces of text */

static const char *skip_quoted(const char *at, const char *end)
{
    char quote = *at++;

    while (at < end && *at != quote)
        at += *at == '\\' && quote != '`' && at + 1 < end ? 2 : 1;
    return at < end ? at + 1 : end;
}

static const char *skip_comment(const char *at, const char *end)
{
    const char *line = memchr(at, '\n', (size_t)(end - at));

    return line ? line + 1 : end;
}

/* Behind one character, or behind a whole text, comment or bracketed part. */
static const char *skip_unit(const char *at, const char *end)
{
    int depth = 0;

    do {
        if (*at == '"' || *at == '\'' || *at == '`') {
            at = skip_quoted(at, end);
            continue;
        }
        if (*at == '#') {
            at = skip_comment(at, end);
            continue;
        }
        depth += *at == '(' || *at == '{' || *at == '[';
        depth -= *at == ')' || *at == '}' || *at == ']';
        at++;
    } while (depth > 0 && at < end);
    return at;
}

static struct piece trimmed(struct piece p)
{
    while (p.begin < p.end && (isspace((unsigned char)*p.begin) || *p.begin == '#'))
        p.begin = *p.begin == '#' ? skip_comment(p.begin, p.end) : p.begin + 1;
    while (p.end > p.begin && isspace((unsigned char)p.end[-1]))
        p.end--;
    return p;
}

static struct piece bare(struct piece p) /* without brackets around the whole */
{
    p = trimmed(p);
    while (p.end - p.begin >= 2 && *p.begin == '(' && skip_unit(p.begin, p.end) == p.end && p.end[-1] == ')')
        p = trimmed((struct piece){p.begin + 1, p.end - 1});
    return p;
}

static bool is_word_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == ':';
}

static size_t word_length(struct piece p)
{
    size_t n = 0;

    while (p.begin + n < p.end && is_word_byte(p.begin[n]))
        n++;
    return n;
}

static bool word_is(struct piece p, const char *word)
{
    size_t n = word_length(p);

    return n == strlen(word) && strncasecmp(p.begin, word, n) == 0;
}

static bool word_in(struct piece p, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (word_is(p, words[i]))
            return true;
    }
    return false;
}
#define WORD_IN(p, ...)                                                                                                \
    word_in(p, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static bool read_number(struct piece p, double *value)
{
    return p.end > p.begin && number_parse(p.begin, (size_t)(p.end - p.begin), value) && isfinite(*value);
}

/* ------------------------------------------------------------------ operators */

struct operator_at {
    const char *at; /* NULL: none */
    size_t length;
};

/* The operator of this level that stands at `at`; levels from the weakest binding. */
static size_t operator_length(struct piece at, int level)
{
    static const char *const comparisons[] = {"==", "!=", "<=", ">=", "<", ">"};

    if (level == 0)
        return word_is(at, "or") ? 2 : 0;
    if (level == 1)
        return word_is(at, "and") ? 3 : word_is(at, "unless") ? 6 : 0;
    for (size_t i = 0; level == 2 && i < sizeof(comparisons) / sizeof(comparisons[0]); i++) {
        size_t n = strlen(comparisons[i]);

        if ((size_t)(at.end - at.begin) >= n && memcmp(at.begin, comparisons[i], n) == 0)
            return n;
    }
    if (level == 3)
        return *at.begin == '+' || *at.begin == '-';
    return level == 4 && (*at.begin == '*' || *at.begin == '/' || *at.begin == '%');
}

/* The last one outside of brackets; a sign is no operator (at the start, behind an operator, behind "offset", in 1e-3). */
static struct operator_at last_operator(struct piece p, int level)
{
    struct operator_at found = {NULL, 0};
    bool operand = false; /* something stands before */

    for (const char *at = p.begin; at < p.end;) {
        struct piece here = {at, p.end};
        size_t word = word_length(here), length = 0;

        if (isspace((unsigned char)*at)) {
            at++;
            continue;
        }
        length = operand ? operator_length(here, level) : 0;
        if (length > 0)
            found = (struct operator_at){at, length};
        if (word > 0) {
            bool number = isdigit((unsigned char)*at);

            operand = !WORD_IN(here, "or", "and", "unless", "offset", "bool");
            at += word;
            if (number && (at[-1] == 'e' || at[-1] == 'E') && at < p.end && (*at == '+' || *at == '-'))
                at++;
            continue;
        }
        operand = !strchr("+-*/%^<>=!@", *at);
        at = length > 1 ? at + length : skip_unit(at, p.end);
        operand = length > 1 ? false : operand;
    }
    return found;
}

/* The right side of an operator, without bool, on(...), ignoring(...), group_left(...). */
static struct piece right_side(struct piece p, bool *is_bool)
{
    p = trimmed(p);
    *is_bool = false;
    while (WORD_IN(p, "bool", "on", "ignoring", "group_left", "group_right")) {
        *is_bool |= word_is(p, "bool");
        p.begin += word_length(p);
        p = trimmed(p);
        if (p.begin < p.end && *p.begin == '(' && skip_unit(p.begin, p.end) < p.end)
            p.begin = skip_unit(p.begin, p.end);
        p = trimmed(p);
    }
    return p;
}

/* ------------------------------------------------------------------ a part and its whole */

/* Copies without blanks and matchers; the matchers go to `matchers`. false: more than one metric, or too long. */
static bool split_matchers(struct piece p, char *skeleton, char *matchers)
{
    size_t s = 0, m = 0;
    int metrics = 0;

    while (p.begin < p.end) {
        const char *next = *p.begin == '{' ? skip_unit(p.begin, p.end) : p.begin + 1;

        if ((size_t)(next - p.begin) + s + m + 2 > QUERY_MATCHERS_MAX)
            return false;
        if (*p.begin == '{') {
            metrics++;
            for (const char *c = p.begin + 1; c < next - 1; c++)
                matchers[m++] = *c;
        } else if (!isspace((unsigned char)*p.begin)) {
            skeleton[s++] = *p.begin;
        }
        p.begin = next;
    }
    skeleton[s] = matchers[m] = '\0';
    return metrics <= 1;
}

/* Every matcher of the whole is one of the part too. */
static bool narrows(const char *part, const char *whole)
{
    for (const char *at = whole; *at;) {
        const char *end = at;
        struct piece one;
        char matcher[QUERY_MATCHERS_MAX];

        while (*end && *end != ',')
            end = skip_unit(end, end + strlen(end));
        one = trimmed((struct piece){at, end});
        memcpy(matcher, one.begin, (size_t)(one.end - one.begin));
        matcher[one.end - one.begin] = '\0';
        if (!strstr(part, matcher))
            return false;
        at = *end ? end + 1 : end;
    }
    return true;
}

/* The same metric, added up in the same way, of fewer series: at most 1. */
static bool is_part_of(struct piece part, struct piece whole)
{
    char part_skeleton[QUERY_MATCHERS_MAX], whole_skeleton[QUERY_MATCHERS_MAX];
    char part_matchers[QUERY_MATCHERS_MAX], whole_matchers[QUERY_MATCHERS_MAX];

    return (WORD_IN(part, "sum", "count")) && split_matchers(part, part_skeleton, part_matchers) &&
           split_matchers(whole, whole_skeleton, whole_matchers) && strcmp(part_skeleton, whole_skeleton) == 0 &&
           narrows(part_matchers, whole_matchers);
}

/* ------------------------------------------------------------------ the expression */

static const struct query_shape other = {.kind = QUERY_OTHER, .low = -INFINITY, .high = INFINITY};
static const struct query_shape gauge = {.kind = QUERY_OTHER, .low = 0, .high = INFINITY};

static struct query_shape read_expression(struct piece p, int depth);

/* The argument with this index, or an empty piece. */
static struct piece argument(struct piece arguments, int index)
{
    const char *begin = arguments.begin, *at = begin;

    while (at < arguments.end) {
        if (*at == ',' && index-- == 0)
            return (struct piece){begin, at};
        if (*at == ',') {
            begin = ++at;
            continue;
        }
        at = skip_unit(at, arguments.end);
    }
    return index == 0 ? (struct piece){begin, arguments.end} : (struct piece){at, at};
}

static struct query_shape clamped(struct piece name, struct piece arguments, int depth)
{
    struct query_shape r = read_expression(argument(arguments, 0), depth);
    double first = 0, second = 0;
    bool has_first = read_number(trimmed(argument(arguments, 1)), &first);
    bool has_second = read_number(trimmed(argument(arguments, 2)), &second);

    r.divided_by = r.added = 0;
    if (word_is(name, "clamp_min") && has_first) {
        r.low = fmax(r.low, first);
    } else if (word_is(name, "clamp_max") && has_first) {
        r.high = fmin(r.high, first);
    } else if (word_is(name, "clamp") && has_first && has_second) {
        r.low = fmax(r.low, first);
        r.high = fmin(r.high, second);
    }
    return r;
}

/* Behind `name` comes [by (...)] (arguments) [by (...)]; false: the expression does not end there. */
static bool call_of(struct piece p, struct piece *arguments)
{
    struct piece rest = p;

    rest.begin += word_length(p);
    rest = trimmed(rest);
    if (WORD_IN(rest, "by", "without")) {
        rest.begin += word_length(rest);
        rest = trimmed(rest);
        if (rest.begin == rest.end || *rest.begin != '(')
            return false;
        rest.begin = skip_unit(rest.begin, rest.end);
        rest = trimmed(rest);
    }
    if (rest.begin == rest.end || *rest.begin != '(')
        return false;
    *arguments = (struct piece){rest.begin + 1, skip_unit(rest.begin, rest.end) - 1};
    rest.begin = skip_unit(rest.begin, rest.end);
    rest = trimmed(rest);
    if (WORD_IN(rest, "by", "without")) {
        rest.begin += word_length(rest);
        rest = trimmed(rest);
        if (rest.begin < rest.end && *rest.begin == '(')
            rest.begin = skip_unit(rest.begin, rest.end);
        rest = trimmed(rest);
    }
    return rest.begin == rest.end && arguments->end >= arguments->begin;
}

static struct query_shape read_call(struct piece p, int depth)
{
    struct query_shape inner;
    struct piece arguments;

    if (!call_of(p, &arguments)) /* a selector, or an offset or the like behind it */
        return *p.begin == '-' ? other : gauge;
    if (WORD_IN(p, "clamp", "clamp_min", "clamp_max"))
        return clamped(p, arguments, depth);
    if (WORD_IN(p, "max", "min", "scalar", "vector", "ceil", "floor", "round", "sort", "sort_desc", "label_replace")) {
        inner = read_expression(argument(arguments, 0), depth);
        inner.low = floor(inner.low);
        inner.high = ceil(inner.high);
        inner.divided_by = inner.added = 0;
        return inner;
    }
    if (WORD_IN(p, "deriv", "delta", "idelta", "predict_linear", "ln", "log2", "log10", "double_exponential_smoothing"))
        return other;
    if (WORD_IN(p, "sum", "count", "count_values", "avg", "quantile")) {
        bool number_first = word_is(p, "quantile");

        inner = read_expression(argument(arguments, number_first), depth);
        if (WORD_IN(p, "avg", "quantile"))
            return (struct query_shape){.kind = QUERY_MEAN, .low = inner.low, .high = inner.high};
        return (struct query_shape){
            .kind = QUERY_TOTAL, .low = inner.low >= 0 || !word_is(p, "sum") ? 0 : -INFINITY, .high = INFINITY};
    }
    if (word_is(p, "histogram_quantile"))
        return (struct query_shape){.kind = QUERY_MEAN, .low = -INFINITY, .high = INFINITY};
    return gauge;
}

static struct query_shape scaled(struct query_shape s, double factor)
{
    double a = s.low * factor, b = s.high * factor;

    s.low = fmin(a, b);
    s.high = fmax(a, b);
    s.added *= factor;
    return s;
}

static bool counts_pods(struct piece p)
{
    char text[QUERY_MATCHERS_MAX];
    size_t length = (size_t)(p.end - p.begin);

    if (length >= sizeof(text))
        return false;
    memcpy(text, p.begin, length);
    text[length] = '\0';
    return word_is(p, "count") || strstr(text, "_replicas") || strstr(text, "kube_pod_");
}

static struct query_shape read_quotient(struct piece left, struct piece right, int depth)
{
    struct query_shape a, b;
    double number;

    left = bare(left);
    right = bare(right);
    a = read_expression(left, depth);
    if (read_number(right, &number) && number != 0) {
        a = scaled(a, 1 / number);
        a.divided_by = number;
        return a;
    }
    b = read_expression(right, depth);
    return (struct query_shape){.kind = a.kind == QUERY_NUMBER ? QUERY_OTHER
                                        : counts_pods(right)   ? QUERY_PER_POD
                                                               : QUERY_RATIO,
                                .low = a.low >= 0 && b.low >= 0 ? 0 : -INFINITY,
                                .high = is_part_of(left, right) ? 1 : INFINITY};
}

static struct query_shape read_product(struct piece left, struct piece right, int depth)
{
    struct query_shape a = read_expression(left, depth), b = read_expression(right, depth);

    a.divided_by = b.divided_by = 0;
    if (b.kind == QUERY_NUMBER)
        return scaled(a, b.low);
    if (a.kind == QUERY_NUMBER)
        return scaled(b, a.low);
    return a.low >= 0 && b.low >= 0 ? gauge : other;
}

static struct query_shape read_sum(struct piece left, struct piece right, bool minus, int depth)
{
    struct query_shape a = read_expression(left, depth), b = read_expression(right, depth), r = other;

    if (!minus && a.kind == QUERY_NUMBER && b.kind != QUERY_NUMBER) {
        struct query_shape swap = a;

        a = b;
        b = swap;
    }
    if (b.kind == QUERY_NUMBER) {
        double by = minus ? -b.low : b.low;

        a.low += by;
        a.high += by;
        a.added += by;
        a.divided_by = 0;
        return a;
    }
    r.kind = !minus && a.kind == b.kind ? a.kind : QUERY_OTHER;
    r.low = minus ? -INFINITY : a.low + b.low;
    r.high = minus ? INFINITY : a.high + b.high;
    if (minus && a.kind == QUERY_NUMBER) /* 1 - ratio */
        r = (struct query_shape){.kind = b.kind, .low = a.low - b.high, .high = a.low - b.low};
    return r;
}

static struct query_shape read_alternatives(struct piece left, struct piece right, int depth)
{
    struct query_shape a = read_expression(left, depth), b = read_expression(right, depth);

    a.low = fmin(a.low, b.low);
    a.high = fmax(a.high, b.high);
    return a;
}

static struct query_shape read_operator(struct piece left, struct piece op, struct piece right, int level, int depth)
{
    bool is_bool;

    right = right_side(right, &is_bool);
    if (level == 0)
        return read_alternatives(left, right, depth);
    if (level == 2 && is_bool)
        return (struct query_shape){.kind = QUERY_OTHER, .low = 0, .high = 1};
    if (level <= 2) /* a filter */
        return read_expression(left, depth);
    if (level == 3)
        return read_sum(left, right, *op.begin == '-', depth);
    return *op.begin == '/'   ? read_quotient(left, right, depth)
           : *op.begin == '*' ? read_product(left, right, depth)
                              : other;
}

static struct query_shape read_expression(struct piece p, int depth)
{
    double number;

    p = bare(p);
    if (p.begin == p.end || depth == QUERY_DEPTH_MAX)
        return other;
    if (read_number(p, &number))
        return (struct query_shape){.kind = QUERY_NUMBER, .low = number, .high = number};
    for (int level = 0; level <= 4; level++) {
        struct operator_at op = last_operator(p, level);

        if (op.at)
            return read_operator((struct piece){p.begin, op.at}, (struct piece){op.at, op.at + op.length},
                                 (struct piece){op.at + op.length, p.end}, level, depth + 1);
    }
    return read_call(p, depth + 1);
}

/* ------------------------------------------------------------------ windows */

/* The shortest of the range selectors; 0 where a subquery looks back further anyway, or a variable stands in one. */
static int64_t shortest_window(const char *promql)
{
    const char *end = promql + strlen(promql), *at = promql;
    int64_t shortest = 0, window;

    while (at < end) {
        if (*at == '"' || *at == '\'' || *at == '`') {
            at = skip_quoted(at, end);
        } else if (*at == '#') {
            at = skip_comment(at, end);
        } else if (*at == '{') {
            at = skip_unit(at, end);
        } else if (*at == '[') {
            const char *close = skip_unit(at, end);
            size_t length = close > at + 2 ? (size_t)(close - at) - 2 : 0;
            char text[32];

            if (length == 0 || length >= sizeof(text))
                return 0;
            memcpy(text, at + 1, length);
            text[length] = '\0';
            if (!duration_parse_ms(text, &window) || window <= 0)
                return 0;
            shortest = shortest == 0 || window < shortest ? window : shortest;
            at = close;
        } else {
            at++;
        }
    }
    return shortest;
}

void query_read(const char *promql, struct query_shape *out)
{
    size_t length = strlen(promql);

    *out = length > QUERY_MAX_BYTES ? other : read_expression((struct piece){promql, promql + length}, 0);
    out->window_ms = length > QUERY_MAX_BYTES ? 0 : shortest_window(promql);
}

const struct tree *query_of(const struct trigger_spec *spec)
{
    const struct tree *query;

    if (!spec->type || strcmp(spec->type, "prometheus") != 0)
        return NULL;
    query = tree_get(spec->metadata, "query");
    return tree_string(query) ? query : NULL;
}
