/*
 * placeholders: what a template engine, envsubst or kustomize should have replaced before the file got here. Such texts are
 * legal strings, so nobody else complains: the queue is simply never found.
 *
 * ${NAME} and ${NAME:-x}, $(NAME), $NAME in capitals, {{ ... }}, <your-name>. In texts that are a language of their own
 * (queries, formulas: `literal`) only what such a language cannot mean: PromQL has `$` at the end of patterns, log queries
 * have {{.field}}, comparisons have < and >.
 *
 * The end of one is looked for nearby: a megabyte of beginnings would else be read as often as it is long.
 */
#include <ctype.h>
#include <string.h>

#include "manifest/manifest_internal.h"

enum { PLACEHOLDER_MAX_BYTES = 512 /* a default or a pipeline has some ten words */ };

static bool starts_name(char c)
{
    return isalpha((unsigned char)c) || c == '_';
}

static size_t name_length(const char *s)
{
    size_t n = 0;

    if (!starts_name(s[0]))
        return 0;
    while (isalnum((unsigned char)s[n]) || s[n] == '_')
        n++;
    return n;
}

static bool is_upper_name(const char *s, size_t n)
{
    bool letter = false;

    for (size_t i = 0; i < n; i++) {
        if (islower((unsigned char)s[i]))
            return false;
        letter |= isupper((unsigned char)s[i]) != 0;
    }
    return letter && n >= 2;
}

/* Length of a shell's or kustomize's variable at s, which is a '$'; 0: none. */
static size_t variable_length(const char *s)
{
    size_t n;
    const char *end;

    if (s[1] == '{' || s[1] == '(') {
        n = name_length(s + 2);
        end = n ? memchr(s + 2 + n, s[1] == '{' ? '}' : ')', strnlen(s + 2 + n, PLACEHOLDER_MAX_BYTES)) : NULL;
        if (!end || (s[1] == '(' && end != s + 2 + n))
            return 0;
        if (s[1] == '{' && end != s + 2 + n && !strchr(":-=?+%#/^,", s[2 + n]))
            return 0;
        return (size_t)(end - s) + 1;
    }
    n = name_length(s + 1);
    return is_upper_name(s + 1, n) && s[1 + n] != '$' ? n + 1 : 0;
}

/* {{ ... }}; in a literal text only with words of Helm. *plain: what begins before it and ends where this one ends has none of them. */
static size_t template_length(const char *s, bool literal, const char **plain)
{
    static const char *const helm[] = {".Values", ".Release", ".Chart", ".Capabilities", "include ", "template "};
    const char *end = s[1] == '{' ? memmem(s + 2, strnlen(s + 2, PLACEHOLDER_MAX_BYTES), "}}", 2) : NULL;

    if (!end)
        return 0;
    for (size_t i = 0; literal && i < sizeof(helm) / sizeof(helm[0]); i++)
        if (memmem(s, (size_t)(end - s), helm[i], strlen(helm[i])))
            return (size_t)(end - s) + 2;
    if (literal)
        *plain = end;
    return literal ? 0 : (size_t)(end - s) + 2;
}

/* <your-account>: letters, digits, dashes and blanks between angle brackets. */
static size_t angle_length(const char *s)
{
    size_t n = 1;

    if (!starts_name(s[1]))
        return 0;
    while (isalnum((unsigned char)s[n]) || strchr("_- .", s[n])) {
        if (s[n] == 0)
            return 0;
        n++;
    }
    return s[n] == '>' && s[n - 1] != ' ' ? n + 1 : 0;
}

const char *placeholder_in(struct arena *arena, const char *text, bool literal)
{
    const char *plain = text;

    for (const char *s = text; s && *s; s++) {
        size_t length = 0;

        if (*s == '$')
            length = variable_length(s);
        else if (*s == '{' && s >= plain)
            length = template_length(s, literal, &plain);
        else if (*s == '<' && !literal)
            length = angle_length(s);
        if (length > 0)
            return arena_copy_bytes(arena, s, length);
    }
    return NULL;
}

int template_line(const char *bytes, size_t length)
{
    int line = 1;

    for (size_t i = 0; i + 1 < length; i++) {
        if (bytes[i] == '\n')
            line++;
        else if (bytes[i] == '{' && bytes[i + 1] == '{')
            return line;
    }
    return 0;
}

bool is_brace_placeholder(const struct tree *node)
{
    return node && node->type == TREE_MAP && node->count == 1 && node->first->type == TREE_NULL && node->first->key &&
           node->first->key[0];
}
