/*
 * compare_output: see compare_output.h. The facts are those of weir simulate, collected for each run and joined by name; runs go by letters,
 * A, B ..., since names of files are long.
 */
#include "cli/compare_output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/time.h"
#include "sim/judge.h"
#include "sim/report.h"

enum { FACTS_MAX = 40, WORDS_COLUMNS_MIN = 8, DIFFERENCE_COLUMNS = 24 };

struct fact {
    const char *name; /* NULL: for machines only */
    const char *key;
    char *words;
    double number;
    int better;
};
struct facts {
    struct fact list[FACTS_MAX];
    size_t count;
};

void compare_pair_done(struct compare_pair *pair)
{
    for (size_t i = 0; i < pair->count; i++) {
        if (pair->words_a)
            free(pair->words_a[i]);
        if (pair->words_b)
            free(pair->words_b[i]);
    }
    free(pair->partings);
    free(pair->words_a);
    free(pair->words_b);
    *pair = (struct compare_pair){0};
}

/* ---- facts ---- */

static void take_fact(void *arg, const char *name, const char *key, const char *words, double number, int better)
{
    struct facts *facts = arg;

    if (facts->count < FACTS_MAX)
        facts->list[facts->count++] = (struct fact){name, key, mem_copy(words), number, better};
}

static void read_facts(const struct compare_shown *s, struct facts facts[SIM_REPORT_RUNS_MAX])
{
    for (size_t i = 0; i < s->count; i++) {
        facts[i].count = 0;
        if (s->figures[i])
            simulate_facts(s->figures[i], take_fact, &facts[i]);
    }
}

static void facts_done(struct facts *facts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < facts[i].count; k++)
            free(facts[i].list[k].words);
}

static const struct fact *find_fact(const struct facts *facts, const char *key)
{
    for (size_t i = 0; i < facts->count; i++)
        if (strcmp(facts->list[i].key, key) == 0)
            return &facts->list[i];
    return NULL;
}

static char letter_of(size_t run)
{
    return (char)('A' + run);
}

/* ---- text ---- */

/* "+0.52 points, better"; of a share in points, else in its own unit. */
static void write_difference(const struct fact *a, const struct fact *b, struct text *out)
{
    bool share = strcmp(a->key, "in_slo") == 0 || strcmp(a->key, "attainable") == 0;
    double difference = (b->number - a->number) * (share ? 100 : 1);
    bool more = a->better == SIM_REPORT_MORE_IS_BETTER;

    if (!isfinite(difference) || difference == 0) {
        text_add(out, difference == 0 ? "the same" : "");
        return;
    }
    text_printf(out, "%+.4g%s", difference, share ? " points" : "");
    if (a->better != SIM_REPORT_NEITHER)
        text_add(out, (difference > 0) == more ? ", better" : ", worse");
}

/* Side by side there is no place for what stands in parentheses, or after a comma. */
static int short_length(const char *words)
{
    const char *end = strstr(words, " (");

    return (int)(end ? (size_t)(end - words) : strcspn(words, ","));
}

static int words_width(const struct facts *facts)
{
    int width = WORDS_COLUMNS_MIN;

    for (size_t i = 0; i < facts->count; i++)
        if (facts->list[i].name && short_length(facts->list[i].words) > width)
            width = short_length(facts->list[i].words);
    return width;
}

static void write_row(const struct compare_shown *s, const struct facts *facts, const struct fact *first,
                      struct text *out)
{
    text_printf(out, "%-26s", first->name);
    for (size_t i = 0; i < s->count; i++) {
        const struct fact *fact = find_fact(&facts[i], first->key);

        text_printf(out, "  %-*.*s", words_width(&facts[i]), fact ? short_length(fact->words) : 1,
                    fact ? fact->words : "-");
    }
    for (size_t i = 1; i < s->count; i++) {
        const struct fact *fact = find_fact(&facts[i], first->key);

        size_t before = out->length;
        text_add(out, "  ");
        if (fact)
            write_difference(first, fact, out);
        while (out->length < before + DIFFERENCE_COLUMNS && i + 1 < s->count)
            text_add_char(out, ' ');
    }
    while (out->length > 0 && out->bytes[out->length - 1] == ' ')
        out->bytes[--out->length] = '\0';
    text_add_char(out, '\n');
}

static void write_head(const struct compare_shown *s, const struct facts *facts, struct text *out)
{
    for (size_t i = 0; i < s->count; i++)
        text_printf(out, "%c  %s%s\n", letter_of(i), s->names[i], s->figures[i] ? "" : " (did not run: interrupted)");
    text_printf(out, "\n%-26s", "");
    for (size_t i = 0; i < s->count; i++)
        text_printf(out, "  %-*c", words_width(&facts[i]), letter_of(i));
    for (size_t i = 1; i < s->count; i++)
        text_printf(out, "  %c - A%*s", letter_of(i), i + 1 < s->count ? DIFFERENCE_COLUMNS - 7 : 0, "");
    text_add_char(out, '\n');
}

/* "1d 02:15:30" since the start, and the wall clock where it is known. */
static void write_moment(const struct compare_shown *s, int64_t at_ms, struct text *out)
{
    int64_t seconds = at_ms / SECOND_MS, days = seconds / 86400;
    char clock[32];

    if (days > 0)
        text_printf(out, "%lldd ", (long long)days);
    text_printf(out, "%02lld:%02lld:%02lld", (long long)(seconds / 3600 % 24), (long long)(seconds / 60 % 60),
                (long long)(seconds % 60));
    if (s->start_at_ms > 0) {
        instant_format(s->start_at_ms + at_ms, clock, sizeof(clock));
        text_printf(out, " (%s)", clock);
    }
}

void compare_write_parting(const struct compare_shown *shown, size_t index, size_t parting, struct text *out)
{
    const struct compare_pair *pair = &shown->pairs[index];
    const struct parting *p = &pair->partings[parting];
    char span[32], b = letter_of(index);

    duration_format_words(p->until_ms - p->from_ms, span, sizeof(span));
    text_printf(out, "A wants %d and %c %d", p->a, b, p->b);
    if (p->widest_at_ms != p->from_ms) {
        text_printf(out, ", at most %d and %d at ", p->widest_a, p->widest_b);
        write_moment(&(struct compare_shown){0}, p->widest_at_ms, out);
    }
    text_printf(out, ", for %s; %c costs %.3g replica hours %s.", span, b, fabs(p->replica_seconds) / 3600,
                p->replica_seconds < 0 ? "less" : "more");
    if (pair->words_a && pair->words_a[parting][0])
        text_printf(out, " A: %s.", pair->words_a[parting]);
    if (pair->words_b && pair->words_b[parting][0])
        text_printf(out, " %c: %s.", b, pair->words_b[parting]);
}

static void write_partings(const struct compare_shown *s, size_t index, struct text *out)
{
    const struct compare_pair *pair = &s->pairs[index];

    if (!s->figures[index])
        return;
    text_printf(out, "\n%c and A %s\n", letter_of(index),
                pair->count ? "part ways, first and furthest:" : "never want different numbers of replicas");
    for (size_t i = 0; i < pair->count; i++) {
        text_add(out, "  ");
        write_moment(s, pair->partings[i].from_ms, out);
        text_add(out, "\n    ");
        compare_write_parting(s, index, i, out);
        text_add_char(out, '\n');
    }
}

static void write_judgements(const struct compare_shown *s, struct text *out)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct judge *judge = s->figures[i] ? s->figures[i]->judge : NULL;

        for (size_t k = 0; judge && k < judge_count(judge); k++)
            text_printf(out, "%s%c: %s [%s]\n", k == 0 ? "\n" : "", letter_of(i), judge_at(judge, k)->text,
                        judge_at(judge, k)->code);
    }
}

void compare_write_text(const struct compare_shown *shown, struct text *out)
{
    static struct facts facts[SIM_REPORT_RUNS_MAX];

    read_facts(shown, facts);
    if (shown->interrupted)
        text_add(out, "interrupted: this is what there was until then\n");
    write_head(shown, facts, out);
    for (size_t k = 0; k < facts[0].count; k++)
        if (facts[0].list[k].name)
            write_row(shown, facts, &facts[0].list[k], out);
    for (size_t i = 1; i < shown->count; i++)
        write_partings(shown, i, out);
    write_judgements(shown, out);
    facts_done(facts, shown->count);
}

/* ---- JSON ---- */

static void write_string(struct text *out, const char *name, const char *value)
{
    text_printf(out, "\"%s\":", name);
    text_add_json_string(out, value, strlen(value));
}

static void write_number(struct text *out, const char *name, double number)
{
    text_printf(out, "\"%s\":", name);
    if (isfinite(number))
        text_add_number(out, number);
    else
        text_add(out, "null");
}

static void write_facts(const struct facts *facts, const struct facts *less, struct text *out)
{
    for (size_t i = 0, written = 0; i < facts->count; i++) {
        const struct fact *fact = &facts->list[i], *other = less ? find_fact(less, fact->key) : NULL;

        if (less && !other)
            continue;
        text_add(out, written++ ? "," : "");
        write_number(out, fact->key, fact->number - (other ? other->number : 0));
    }
}

static void write_json_parting(const struct compare_pair *pair, size_t i, struct text *out)
{
    const struct parting *p = &pair->partings[i];

    text_printf(out,
                "%s\n{\"from_ms\":%lld,\"until_ms\":%lld,\"a\":%d,\"b\":%d,\"widest_at_ms\":%lld,\"widest_a\":%d,"
                "\"widest_b\":%d,",
                i ? "," : "", (long long)p->from_ms, (long long)p->until_ms, p->a, p->b, (long long)p->widest_at_ms,
                p->widest_a, p->widest_b);
    write_number(out, "replica_seconds", p->replica_seconds);
    text_add_char(out, ',');
    write_string(out, "a_said", pair->words_a ? pair->words_a[i] : "");
    text_add_char(out, ',');
    write_string(out, "b_said", pair->words_b ? pair->words_b[i] : "");
    text_add_char(out, '}');
}

static void write_json_run(const struct compare_shown *s, const struct facts *facts, size_t i, struct text *out)
{
    text_printf(out, "%s\n{", i ? "," : "");
    write_string(out, "name", s->names[i]);
    text_printf(out, ",\"ran\":%s,\"figures\":{", s->figures[i] ? "true" : "false");
    write_facts(&facts[i], NULL, out);
    text_add_char(out, '}');
    if (s->figures[i] && s->figures[i]->judge) {
        text_add(out, ",\"findings\":");
        judge_write_json(s->figures[i]->judge, out);
    }
    if (i > 0 && s->figures[i]) {
        text_add(out, ",\"difference\":{");
        write_facts(&facts[i], &facts[0], out);
        text_add(out, "},\"partings\":[");
        for (size_t k = 0; k < s->pairs[i].count; k++)
            write_json_parting(&s->pairs[i], k, out);
        text_add_char(out, ']');
    }
    text_add_char(out, '}');
}

void compare_write_json(const struct compare_shown *shown, struct text *out)
{
    static struct facts facts[SIM_REPORT_RUNS_MAX];

    read_facts(shown, facts);
    text_printf(out, "{\"interrupted\":%s,\"start_at_ms\":%lld,\"runs\":[", shown->interrupted ? "true" : "false",
                (long long)shown->start_at_ms);
    for (size_t i = 0; i < shown->count; i++)
        write_json_run(shown, facts, i, out);
    text_add(out, "\n]}\n");
    facts_done(facts, shown->count);
}
