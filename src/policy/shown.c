/*
 * shown: a manifest's object as it may be shown to whoever may see its name: without what may be secret, and without what only the API
 * server has to say of it.
 *
 * Hidden ("***") is the value of a trigger's parameter or an annotation that is a credential by its name (policy_may_be_secret), the value
 * of every variable in the environment of a job's containers, and within any other text a password in an address and what is given to a
 * name like password or token, be it in a query, a header or a command line. Rather too much than too little: what stands here is kept for
 * months, and read by others. Formulas are left alone, for they know only names and numbers. Comments are gone with the text they stood in.
 */
#include <ctype.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"
#include "policy/policy_internal.h"

enum { SHOWN_NODES_MAX = 20 * 1000 }; /* more are more than HISTORY_MANIFEST_MAX_BYTES in any case */

static const char hidden[] = "***";

/* ------------------------------------------------------------------ names */

bool policy_may_be_secret(const char *type, const char *key, const struct tree *value)
{
    static const char *const words[] = {"password", "passwd",     "token",      "secret",
                                        "key",      "credential", "connection", "headers"};
    enum trigger_secrecy known = trigger_secrecy(type, key);
    const char *text = tree_string(value);

    if (known != TRIGGER_PERHAPS)
        return known == TRIGGER_SECRET;
    if (string_ends(key, "FromEnv")) /* the name of a variable */
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasestr(key, words[i]))
            return true;
    return text && strstr(text, "://") && strchr(text, '@'); /* an address with a name and a password in it */
}

/* ------------------------------------------------------------------ within a text */

/* The length of a name at `at` that says that a secret follows ("api_key", "X-Auth-Token"), or 0. A name begins where a word does. */
static size_t secret_name(const char *at)
{
    static const char *const words[] = {"password",  "passwd",        "pwd",       "token",      "secret",
                                        "apikey",    "api_key",       "api-key",   "access_key", "access-key",
                                        "signature", "authorization", "credential"};
    size_t length = 0;

    while (isalnum((unsigned char)at[length]) || (at[length] && strchr("_-.", at[length])))
        length++;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t word = strlen(words[i]);

        for (size_t from = 0; from + word <= length; from++)
            if (strncasecmp(at + from, words[i], word) == 0)
                return length;
    }
    return 0;
}

/* Behind a name: "=", ": ", "\": \"" and the like. 0: it is not given anything here. */
static size_t assignment(const char *at)
{
    size_t length = strspn(at, "\"'");

    if (at[length] == '=')
        return length + 1 + strspn(at + length + 1, "\"'");
    if (at[length] != ':' || !strchr(" \"'", at[length + 1]) || at[length + 1] == '\0')
        return 0;
    return length + 1 + strspn(at + length + 1, " \"'");
}

static size_t value_length(const char *at)
{
    static const char *const schemes[] = {"bearer ", "basic ", "token ", "apikey "};
    size_t length = 0;

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strncasecmp(at, schemes[i], strlen(schemes[i])) == 0)
            length = strlen(schemes[i]);
    return length + strcspn(at + length, "&;,\"' \t\r\n");
}

/* "name:password" between "://" and "@"; the length of the name with its colon, or 0. */
static size_t user_info(const char *at, size_t *password)
{
    size_t length = strcspn(at, "/?# \t\r\n\"'");
    const char *end = memrchr(at, '@', length), *colon = end ? memchr(at, ':', (size_t)(end - at)) : NULL;

    if (!colon)
        return 0;
    *password = (size_t)(end - colon) - 1;
    return (size_t)(colon - at) + 1;
}

static void hide_in_text(const char *text, struct text *out)
{
    bool in_word = false;

    for (const char *at = text; *at;) {
        size_t name = in_word ? 0 : secret_name(at), given = name ? assignment(at + name) : 0, password = 0;
        size_t user = strncmp(at, "://", 3) == 0 ? user_info(at + 3, &password) : 0;

        if (given || user) {
            size_t kept = given ? name + given : 3 + user, gone = given ? value_length(at + kept) : password;

            text_append(out, at, kept);
            text_add(out, gone > 0 ? hidden : "");
            at += kept + gone;
        } else {
            in_word = isalnum((unsigned char)*at) || strchr("_-.", *at);
            text_add_char(out, *at++);
        }
    }
}

/* ------------------------------------------------------------------ the copy */

struct showing {
    struct arena *arena;
    size_t nodes;
};

enum where { ANYWHERE, LITERALLY, IN_METADATA, IN_ANNOTATIONS, IN_TRIGGER, IN_PARAMETERS, IN_ENV };

static bool is_dropped(enum where where, const char *key)
{
    static const char *const of_the_server[] = {"managedFields",     "uid",      "resourceVersion", "generation",
                                                "creationTimestamp", "selfLink", "finalizers"};

    if (where == IN_ANNOTATIONS) /* the whole manifest once more */
        return strcmp(key, "kubectl.kubernetes.io/last-applied-configuration") == 0;
    for (size_t i = 0; where == IN_METADATA && i < sizeof(of_the_server) / sizeof(of_the_server[0]); i++)
        if (strcmp(key, of_the_server[i]) == 0)
            return true;
    return false;
}

static enum where where_in(enum where where, const char *key)
{
    if (where == LITERALLY)
        return LITERALLY;
    if (where == IN_METADATA)
        return strcmp(key, "annotations") == 0 ? IN_ANNOTATIONS : ANYWHERE;
    if (where == IN_TRIGGER && strcmp(key, "metadata") == 0)
        return IN_PARAMETERS;
    if (strcmp(key, "triggers") == 0)
        return IN_TRIGGER;
    if (strcmp(key, "env") == 0)
        return IN_ENV;
    return strcmp(key, "formula") == 0 || strcmp(key, "weir.dev/slo") == 0 ? LITERALLY : ANYWHERE;
}

static bool is_hidden(enum where where, const char *type, const struct tree *node)
{
    if (where == IN_PARAMETERS || where == IN_ANNOTATIONS)
        return policy_may_be_secret(where == IN_PARAMETERS ? type : NULL, node->key, NULL);
    return where == IN_ENV && node->key && strcmp(node->key, "value") == 0;
}

static void set_text(struct showing *s, struct tree *copy, const char *text)
{
    copy->type = TREE_STRING;
    copy->text = arena_copy(s->arena, text);
    copy->length = strlen(text);
}

/* In a list of words: what follows "--password" is one. */
static bool follows_secret_option(const struct tree *before)
{
    const char *option = tree_string(before);

    return option && option[0] == '-' && !strchr(option, '=') && secret_name(option + strspn(option, "-")) > 0;
}

static struct tree *copy_node(struct showing *s, const struct tree *node, enum where where, const char *type);

/* Depth is bounded by the tree's. */
static void copy_children(struct showing *s, const struct tree *node, struct tree *copy, enum where where,
                          const char *type)
{
    struct tree **last = &copy->first;
    const struct tree *before = NULL;

    copy->first = NULL;
    copy->count = 0;
    if (where == IN_TRIGGER && node->type == TREE_MAP)
        type = tree_string(tree_get(node, "type"));
    for (const struct tree *child = node->first; child; before = child, child = child->next) {
        enum where inside = child->key ? where_in(where, child->key) : where;

        if (child->key && is_dropped(where, child->key))
            continue;
        *last = copy_node(s, child, inside, type);
        if (is_hidden(where, type, child) || (!child->key && follows_secret_option(before)))
            set_text(s, *last, hidden);
        last = &(*last)->next;
        copy->count++;
    }
}

static struct tree *copy_node(struct showing *s, const struct tree *node, enum where where, const char *type)
{
    struct tree *copy = arena_alloc(s->arena, sizeof(*copy));

    *copy = *node;
    copy->next = NULL;
    if (++s->nodes > SHOWN_NODES_MAX) {
        copy->type = TREE_NULL;
        copy->first = NULL;
    } else if (node->type == TREE_LIST || node->type == TREE_MAP) {
        copy_children(s, node, copy, where, type);
    } else if (node->type == TREE_STRING && where != LITERALLY) {
        struct text text;

        text_init(&text, SIZE_MAX);
        hide_in_text(node->text, &text);
        set_text(s, copy, text.bytes);
        text_done(&text);
    }
    return copy;
}

bool policy_write_shown(const struct tree *object, struct text *out)
{
    static const struct {
        const char *key;
        enum where where;
    } parts[] = {{"apiVersion", LITERALLY}, {"kind", LITERALLY}, {"metadata", IN_METADATA}, {"spec", ANYWHERE}};
    struct showing s = {.arena = arena_new(ARENA_USUAL)};
    struct tree root = {.type = TREE_MAP}, **last = &root.first;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const struct tree *part = tree_get(object, parts[i].key);

        if (!part)
            continue;
        *last = copy_node(&s, part, parts[i].where, NULL);
        last = &(*last)->next;
        root.count++;
    }
    bool fine = s.nodes <= SHOWN_NODES_MAX && tree_write_yaml(&root, out);
    arena_free(s.arena);
    return fine;
}
