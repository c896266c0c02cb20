/*
 * nearest: the word somebody probably meant. Edit distance that counts a swap of neighbours as one (Damerau), letters
 * compared without case: most slips are one or two keys away, and "maxReplicacount" is no slip in spelling at all.
 */
#include <ctype.h>
#include <string.h>

#include "base/text.h"

enum { WORD_MAX = 64 }; /* longer ones are not names somebody mistyped */

static int least(int a, int b)
{
    return a < b ? a : b;
}

static int letter(char c)
{
    return tolower((unsigned char)c);
}

/* Three rows of the table are enough: this one, the one above, and the one above that for swaps. */
static int distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int rows[3][WORD_MAX + 1];

    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= a_length; i++) {
        int *now = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= b_length; j++) {
            int change = letter(a[i - 1]) != letter(b[j - 1]);
            now[j] = least(least(above[j], now[j - 1]) + 1, above[j - 1] + change);
            if (i > 1 && j > 1 && letter(a[i - 1]) == letter(b[j - 2]) && letter(a[i - 2]) == letter(b[j - 1]))
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

const char *string_nearest(const char *word, const char *const *words, size_t count)
{
    size_t length = strlen(word);
    const char *nearest = NULL;
    int best = length < 3 ? 1 : (int)(length + 2) / 3; /* a third of a word may be wrong */

    if (length == 0 || length > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(words[i]);
        if (other > WORD_MAX || other > length + (size_t)best || length > other + (size_t)best)
            continue; /* so many letters more or less are already too many slips */
        int d = distance(word, length, words[i], other);
        if (d < (int)length && (d < best || (d == best && !nearest))) {
            best = d;
            nearest = words[i];
        }
    }
    return nearest;
}
