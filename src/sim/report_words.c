/*
 * report_words: sentences that differ in their numbers only. A page has thousands of them; without their numbers there are some dozens. What
 * is written is enough to put each together again, byte for byte: a number that a script would print otherwise ("07", "1.50") stands as text.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "sim/report_internal.h"

enum {
    SKELETONS_MAX =
        4096,        /* of a run: beyond that, sentences are so unlike that keeping their skeletons saves nothing */
    DIGITS_MAX = 15, /* what a double keeps of any decimal number */
    PLACE = '\1',    /* where a number stands; no text from a manifest has it */
};

void words_init(struct words *words)
{
    *words = (struct words){.indices = map_new(),
                            .skeletons = mem_array(SKELETONS_MAX, sizeof(*words->skeletons)),
                            .arena = arena_new(ARENA_USUAL)};
}

void words_done(struct words *words)
{
    map_free(words->indices);
    free(words->skeletons);
    arena_free(words->arena);
}

/* Length of the number that begins here: digits, and a fraction where there is one. */
static size_t number_length(const char *at)
{
    size_t length = strspn(at, "0123456789");

    if (length > 0 && at[length] == '.' && isdigit((unsigned char)at[length + 1]))
        length += 1 + strspn(at + length + 1, "0123456789");
    return length;
}

/* Whether a script that reads this number prints it the same way. */
static bool prints_the_same(const char *number, size_t length)
{
    const char *point = memchr(number, '.', length);

    if (length > DIGITS_MAX)
        return false;
    if (number[0] == '0' && length > 1 && (!point || point != number + 1))
        return false;
    return !point || (number[length - 1] != '0' && strncmp(number, "0.00000", 7) != 0);
}

static void add_numbers(const char *sentence, struct text *out)
{
    for (const char *at = sentence; *at;) {
        size_t length = number_length(at);

        if (length > 0) {
            bool plain = prints_the_same(at, length);

            text_add(out, plain ? "," : ",\"");
            text_append(out, at, length);
            text_add(out, plain ? "" : "\"");
        }
        at += length > 0 ? length : 1;
    }
}

/* The skeleton's index, or -1: there is no room for one more. */
static int64_t skeleton_index(struct words *words, const char *sentence)
{
    struct text skeleton;
    const char **found;

    text_init(&skeleton, SENTENCE_MAX_BYTES);
    for (const char *at = sentence; *at;) {
        size_t length = number_length(at);

        text_add_char(&skeleton, length > 0 ? PLACE : *at);
        at += length > 0 ? length : 1;
    }
    found = map_get(words->indices, skeleton.bytes);
    if (!found && words->count < SKELETONS_MAX && !skeleton.overflowed) {
        found = &words->skeletons[words->count++];
        *found = arena_copy(words->arena, skeleton.bytes);
        map_put(words->indices, skeleton.bytes, found);
    }
    text_done(&skeleton);
    return found ? found - words->skeletons : -1;
}

void words_add(struct words *words, const char *sentence, struct text *out)
{
    int64_t index = strchr(sentence, PLACE) ? -1 : skeleton_index(words, sentence);

    if (index < 0) {
        data_string(out, sentence);
        return;
    }
    text_printf(out, "[%lld", (long long)index);
    add_numbers(sentence, out);
    text_add_char(out, ']');
}
