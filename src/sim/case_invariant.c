/*
 * case_invariant: what must hold over a whole run, as a line that reads like a sentence.
 *
 *     INVARIANT := CLAIM [while FORMULA] [from TIME] [to TIME]
 *     CLAIM     := never above N | never below N | never to zero | never FORMULA | always FORMULA
 *                | at most N scale events | at most N scale ups | at most N scale downs | at most N replica hours
 *                | at least N % in slo
 *
 * `while`, `from` and `to` are found from outside, for between them stand formulas of the user: two names beside each other are no formula, so
 * none of them can have ` while ` in it, nor end with ` to 5m`, but in a string.
 */
#include "sim/case.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"
#include "sim/case_internal.h"

#define CLAIMS                                                                                                         \
    "never above N, never below N, never to zero, never FORMULA, always FORMULA, at most N scale events (or ups, "     \
    "downs), at most N replica hours, at least N % in slo"

static char *trimmed(struct arena *arena, const char *text, size_t length)
{
    while (length > 0 && isspace((unsigned char)*text)) {
        text++;
        length--;
    }
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    return arena_copy_bytes(arena, text, length);
}

/* Takes " WORD TIME" off the end, if that is what stands there. */
static bool take_time(char *text, const char *word, int64_t *out)
{
    size_t length = strlen(text), end = length;
    int64_t time_ms;

    while (end > 0 && !isspace((unsigned char)text[end - 1]))
        end--;
    size_t word_end = end;
    while (word_end > 0 && isspace((unsigned char)text[word_end - 1]))
        word_end--;
    size_t word_length = strlen(word), begin = word_end - word_length;
    if (word_end <= word_length || strncmp(text + begin, word, word_length) != 0 ||
        !isspace((unsigned char)text[begin - 1]) || !case_time_parse(text + end, &time_ms))
        return false;
    *out = time_ms;
    while (begin > 0 && isspace((unsigned char)text[begin - 1]))
        begin--;
    text[begin] = '\0';
    return true;
}

/* The first " while " that is not within a string. */
static char *find_while(char *text)
{
    char quote = '\0';

    for (char *at = text; *at; at++) {
        if (quote) {
            if (*at == '\\' && at[1] && quote != '`')
                at++;
            else if (*at == quote)
                quote = '\0';
        } else if (strchr("\"'`", *at)) {
            quote = *at;
        } else if (isspace((unsigned char)*at) && strncmp(at + 1, "while", 5) == 0 &&
                   (isspace((unsigned char)at[6]) || at[6] == '\0')) {
            return at;
        }
    }
    return NULL;
}

/* What follows the words, which may have more than one blank between them; NULL: it begins otherwise. */
static const char *after_words(const char *text, const char *words)
{
    for (; *words; words++) {
        if (*words != ' ' && *text++ != *words)
            return NULL;
        if (*words == ' ' && !isspace((unsigned char)*text))
            return NULL;
        while (*words == ' ' && isspace((unsigned char)*text))
            text++;
    }
    if (*text && !isspace((unsigned char)*text))
        return NULL;
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

static bool read_number(const char *text, size_t length, bool whole, double *out, struct error *err)
{
    if (!number_parse(text, length, out) || !(*out >= 0) || *out > (double)REPLICAS_MAX ||
        (whole && *out != floor(*out)))
        return error_set(err, ERROR_INVALID, "'%.*s' is no %s from 0 to %d", (int)(length > 60 ? 60 : length), text,
                         whole ? "whole number" : "number", REPLICAS_MAX);
    return true;
}

static bool read_at_most(const char *text, struct case_invariant *out, struct error *err)
{
    static const struct {
        const char *words;
        enum invariant_kind kind;
    } counted[] = {
        {"scale events", INVARIANT_EVENTS},         {"scale event", INVARIANT_EVENTS}, {"scale ups", INVARIANT_UPS},
        {"scale downs", INVARIANT_DOWNS},           {"scale up", INVARIANT_UPS},       {"scale down", INVARIANT_DOWNS},
        {"replica hours", INVARIANT_REPLICA_HOURS},
    };
    size_t length = strcspn(text, " \t\n");

    for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
        const char *rest = after_words(text + length + strspn(text + length, " \t\n"), counted[i].words);

        if (rest && *rest == '\0') {
            out->kind = counted[i].kind;
            return read_number(text, length, out->kind != INVARIANT_REPLICA_HOURS, &out->limit, err);
        }
    }
    return error_set(err, ERROR_INVALID,
                     "what is counted is scale events, scale ups, scale downs or replica hours, "
                     "as in 'at most 4 scale events'");
}

static bool read_at_least(const char *text, struct case_invariant *out, struct error *err)
{
    size_t length = strcspn(text, " \t\n%");
    const char *rest = text + length + strspn(text + length, " \t\n");

    out->kind = INVARIANT_SLO;
    if (*rest != '%' || !(rest = after_words(rest, "% in slo")) || *rest)
        return error_set(err, ERROR_INVALID,
                         "what there may be at least is requests in their goals, as in 'at least 99 %% in slo'");
    return read_number(text, length, false, &out->limit, err) &&
           (out->limit <= 100 || error_set(err, ERROR_INVALID, "there are never more than 100 %% in slo"));
}

static bool read_claim(const char *text, struct case_invariant *out, struct error *err)
{
    const char *rest;

    if ((rest = after_words(text, "at most")))
        return read_at_most(rest, out, err);
    if ((rest = after_words(text, "at least")))
        return read_at_least(rest, out, err);
    if ((rest = after_words(text, "never above")) || (rest = after_words(text, "never below"))) {
        out->kind = strstr(text, "above") && strstr(text, "above") < rest ? INVARIANT_ABOVE : INVARIANT_BELOW;
        return read_number(rest, strlen(rest), true, &out->limit, err);
    }
    if ((rest = after_words(text, "never to zero")) && *rest == '\0') {
        out->kind = INVARIANT_TO_ZERO;
        return true;
    }
    bool always = after_words(text, "always") != NULL;
    out->kind = always ? INVARIANT_ALWAYS : INVARIANT_CONDITION;
    out->condition = always ? after_words(text, "always") : after_words(text, "never");
    if (!out->condition || !*out->condition)
        return error_set(err, ERROR_INVALID, "'%.80s' is no invariant; these are: %s", text, CLAIMS);
    return true;
}

bool case_invariant_parse(const char *text, struct arena *arena, struct case_invariant *out, struct error *err)
{
    char *claim = trimmed(arena, text, strlen(text));
    struct case_invariant read = {.text = arena_copy(arena, text), .from_ms = 0, .to_ms = INT64_MAX};
    bool has_to = take_time(claim, "to", &read.to_ms), has_from = take_time(claim, "from", &read.from_ms);

    if (!has_to && has_from) /* "to 10m from 5m" is as good */
        has_to = take_time(claim, "to", &read.to_ms);
    if (read.to_ms < read.from_ms)
        return error_set(err, ERROR_INVALID, "'%.80s' ends before it begins; write from the earlier time to the later",
                         text);
    char *guard = find_while(claim);
    if (guard) {
        read.guard = trimmed(arena, guard + 6, strlen(guard + 6));
        *guard = '\0';
        if (!*read.guard)
            return error_set(err, ERROR_INVALID, "a condition is missing after 'while'");
    }
    if (!read_claim(trimmed(arena, claim, strlen(claim)), &read, err))
        return false;
    if ((read.kind == INVARIANT_REPLICA_HOURS || read.kind == INVARIANT_SLO) && (read.guard || has_from || has_to))
        return error_set(err, ERROR_INVALID, "this is counted over the whole run: leave out while, from and to");
    struct place place = out->place;
    const char *field = out->field;
    *out = read;
    out->place = place;
    out->field = field;
    return true;
}
