/*
 * promtext: one line is a comment (# TYPE and # HELP have a meaning) or a sample:
 *
 *     name {label="value", ...} number [timestamp]
 *
 * The parts of a histogram (name_bucket, name_sum, name_count) belong to the family that a TYPE line named before; so whoever
 * looks for a plain sample must be able to tell that h_count is none (metrics-api.md).
 */
#include "trigger/common/promtext.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/tree.h"

struct family {
    const char *name;
    size_t length;
    enum promtext_type type;
};

struct reader {
    const char *s, *end;
    unsigned long line;
    struct family *compound; /* histograms and summaries */
    size_t compound_count, compound_room;
    struct family last; /* of the last TYPE line */
    struct promtext_label labels[PROMTEXT_LABELS_MAX];
    struct error *err;
};

static bool fault(struct reader *r, const char *what)
{
    return error_set(r->err, ERROR_NONSENSE, "line %lu of the metrics page: %s", r->line, what);
}

static void skip_blanks(struct reader *r)
{
    while (r->s < r->end && (*r->s == ' ' || *r->s == '\t'))
        r->s++;
}

static bool at_line_end(const struct reader *r)
{
    return r->s == r->end || *r->s == '\n' || (*r->s == '\r' && (r->s + 1 == r->end || r->s[1] == '\n'));
}

static void skip_line(struct reader *r)
{
    const char *newline = memchr(r->s, '\n', (size_t)(r->end - r->s));

    r->s = newline ? newline : r->end;
}

static bool name_char(char c, bool first, bool colon)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':') ||
           (!first && c >= '0' && c <= '9');
}

static size_t take_name(struct reader *r, bool colon)
{
    const char *begin = r->s;

    while (r->s < r->end && name_char(*r->s, r->s == begin, colon))
        r->s++;
    return (size_t)(r->s - begin);
}

static bool same(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(text, word, length) == 0;
}

/* ------------------------------------------------------------------ families */

static bool remember(struct reader *r, const struct family *family)
{
    if (r->compound_count == PROMTEXT_FAMILIES_MAX)
        return error_set(r->err, ERROR_LIMIT, "the metrics page has more than %d histograms (PROMTEXT_FAMILIES_MAX)",
                         PROMTEXT_FAMILIES_MAX);
    if (r->compound_count == r->compound_room) {
        struct family *more = realloc(r->compound, (r->compound_room * 2 + 16) * sizeof(*more));

        if (!more)
            abort();
        r->compound = more;
        r->compound_room = r->compound_room * 2 + 16;
    }
    r->compound[r->compound_count++] = *family;
    return true;
}

static bool read_type(struct reader *r)
{
    static const char *const words[] = {"untyped", "counter", "gauge", "histogram", "summary"};
    struct family family = {.name = r->s};
    const char *word;
    size_t length;

    family.length = take_name(r, true);
    if (family.length == 0)
        return fault(r, "TYPE without a metric's name");
    skip_blanks(r);
    word = r->s;
    while (!at_line_end(r) && *r->s != ' ' && *r->s != '\t')
        r->s++;
    length = (size_t)(r->s - word);
    skip_line(r);
    r->last = family;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i]) == length && strncasecmp(words[i], word, length) == 0) {
            r->last.type = (enum promtext_type)i;
            return i < PROMTEXT_HISTOGRAM || remember(r, &r->last);
        }
    }
    return same(word, length, "unknown") || fault(r, "a type that does not exist");
}

static bool read_comment(struct reader *r)
{
    const char *word;

    r->s++;
    skip_blanks(r);
    word = r->s;
    while (!at_line_end(r) && *r->s != ' ' && *r->s != '\t')
        r->s++;
    if (same(word, (size_t)(r->s - word), "TYPE")) {
        skip_blanks(r);
        return read_type(r);
    }
    skip_line(r);
    return true;
}

/* Is name the family's name and one of the suffixes its parts have? */
static bool part_of(const struct family *family, const char *name, size_t length)
{
    size_t rest = length - family->length;

    if (length < family->length || memcmp(family->name, name, family->length) != 0)
        return false;
    name += family->length;
    return rest == 0 || same(name, rest, "_sum") || same(name, rest, "_count") ||
           (family->type == PROMTEXT_HISTOGRAM && same(name, rest, "_bucket"));
}

static enum promtext_type type_of(const struct reader *r, const char *name, size_t length)
{
    if (r->last.length > 0 && r->last.type >= PROMTEXT_HISTOGRAM && part_of(&r->last, name, length))
        return r->last.type;
    if (same(name, length, "") || r->compound_count == 0)
        return r->last.length == length && memcmp(r->last.name, name, length) == 0 ? r->last.type : PROMTEXT_UNTYPED;
    for (size_t i = r->compound_count; i-- > 0;)
        if (part_of(&r->compound[i], name, length))
            return r->compound[i].type;
    return r->last.length == length && memcmp(r->last.name, name, length) == 0 ? r->last.type : PROMTEXT_UNTYPED;
}

/* ------------------------------------------------------------------ samples */

static bool read_label(struct reader *r, struct promtext_label *label)
{
    label->name = r->s;
    label->name_length = take_name(r, false);
    if (label->name_length == 0)
        return fault(r, "a label without a name");
    skip_blanks(r);
    if (r->s == r->end || *r->s++ != '=')
        return fault(r, "'=' is due after a label's name");
    skip_blanks(r);
    if (r->s == r->end || *r->s++ != '"')
        return fault(r, "a label's value has to stand in quotes");
    label->value = r->s;
    while (r->s < r->end && *r->s != '"' && *r->s != '\n') {
        if (*r->s == '\\') {
            if (r->s + 1 == r->end || !strchr("\\n\"", r->s[1]))
                return fault(r, "a backslash that escapes nothing");
            r->s++;
        }
        r->s++;
    }
    if (r->s == r->end || *r->s != '"')
        return fault(r, "a label's value does not end");
    label->value_length = (size_t)(r->s++ - label->value);
    return true;
}

static bool read_labels(struct reader *r, size_t *count)
{
    *count = 0;
    if (r->s == r->end || *r->s != '{')
        return true;
    r->s++;
    for (;;) {
        skip_blanks(r);
        if (r->s < r->end && *r->s == '}')
            break;
        if (*count == PROMTEXT_LABELS_MAX)
            return fault(r, "more labels than PROMTEXT_LABELS_MAX");
        if (!read_label(r, &r->labels[*count]))
            return false;
        ++*count;
        skip_blanks(r);
        if (r->s < r->end && *r->s == ',')
            r->s++;
        else if (r->s == r->end || *r->s != '}')
            return fault(r, "',' or '}' is due after a label");
    }
    r->s++;
    return true;
}

static bool read_value(struct reader *r, double *value)
{
    const char *begin;
    bool negative = false;
    double whole = 0;

    skip_blanks(r);
    begin = r->s;
    while (!at_line_end(r) && *r->s != ' ' && *r->s != '\t')
        r->s++;
    /* Most samples are small whole numbers: no need for the exact and slower way. */
    if (r->s - begin > 0 && r->s - begin <= 15) {
        const char *c = begin;

        negative = *c == '-' && c + 1 < r->s;
        for (c += negative; c < r->s && *c >= '0' && *c <= '9'; c++)
            whole = whole * 10 + (*c - '0');
        if (c == r->s) {
            *value = negative ? -whole : whole;
            return true;
        }
    }
    return (r->s > begin && number_parse(begin, (size_t)(r->s - begin), value)) ||
           fault(r, "a value that is no number");
}

static bool read_timestamp(struct reader *r)
{
    skip_blanks(r);
    if (at_line_end(r))
        return true;
    if (*r->s == '#') { /* OpenMetrics: an exemplar */
        skip_line(r);
        return true;
    }
    if (*r->s == '-')
        r->s++;
    while (r->s < r->end && ((*r->s >= '0' && *r->s <= '9') || *r->s == '.'))
        r->s++;
    skip_blanks(r);
    if (at_line_end(r) || *r->s == '#') {
        skip_line(r);
        return true;
    }
    return fault(r, "more text after the value");
}

static bool read_sample(struct reader *r, promtext_each *each, void *arg, bool *enough)
{
    struct promtext_sample sample = {.name = r->s, .labels = r->labels};

    sample.name_length = take_name(r, true);
    if (sample.name_length == 0)
        return fault(r, "a metric's name is due");
    skip_blanks(r);
    if (!read_labels(r, &sample.label_count) || !read_value(r, &sample.value) || !read_timestamp(r))
        return false;
    if (*enough)
        return true;
    sample.type = type_of(r, sample.name, sample.name_length);
    *enough = !each(arg, &sample);
    return true;
}

bool promtext_read(const char *body, size_t length, promtext_each *each, void *arg, struct error *err)
{
    struct reader r = {.s = body, .end = body + length, .line = 1, .err = err};
    bool good = true, enough = false;

    while (good && r.s < r.end) {
        skip_blanks(&r);
        if (at_line_end(&r))
            skip_line(&r);
        else if (*r.s == '#')
            good = read_comment(&r);
        else
            good = read_sample(&r, each, arg, &enough);
        if (good && r.s < r.end && *r.s == '\r')
            r.s++;
        if (good && r.s < r.end && *r.s == '\n') {
            r.s++;
            r.line++;
        }
    }
    free(r.compound);
    return good;
}

bool promtext_named(const struct promtext_sample *sample, const char *name)
{
    return same(sample->name, sample->name_length, name);
}

const struct promtext_label *promtext_label(const struct promtext_sample *sample, const char *name)
{
    for (size_t i = 0; i < sample->label_count; i++)
        if (same(sample->labels[i].name, sample->labels[i].name_length, name))
            return &sample->labels[i];
    return NULL;
}

bool promtext_label_equals(const struct promtext_label *label, const char *value)
{
    const char *s = label->value, *end = s + label->value_length;

    for (; s < end && *value; value++) {
        char c = *s++;

        if (c == '\\' && s < end) {
            c = *s++;
            c = c == 'n' ? '\n' : c;
        }
        if (c != *value)
            return false;
    }
    return s == end && *value == '\0';
}
