/*
 * shown: a manifest's object as it may be shown to whoever may see its name: without what may be secret, and without what only the API
 * server has to say of it.
 *
 * Hidden ("***") is the value of a trigger's parameter or an annotation that is a credential by its name (policy_may_be_secret), the
 * value of every variable in the environment of a job's containers, and within any other text a password in an address, what is given to
 * a name like password or token, be it in a query, a header or a command line, and private keys and tokens that are known by their form.
 * Rather too much than too little: what stands here is kept for months, and read by others. Formulas are left alone, for they know only
 * names and numbers. Comments are gone with the text they stood in.
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

enum { DSN_MAX_BYTES = 256, USER_TOKEN_MIN_BYTES = 16 };

/* The length of a name at `at` that says that a secret follows ("api_key", "X-Auth-Token"), or 0. A name begins where a word does. */
static size_t secret_name(const char *at)
{
    static const char *const words[] = {"password",    "passwd",    "passphrase",    "pwd",        "token",
                                        "secret",      "apikey",    "api_key",       "api-key",    "access_key",
                                        "access-key",  "accesskey", "accountkey",    "privatekey", "private_key",
                                        "private-key", "signature", "authorization", "credential", "cookie"};
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

/* Names of a query's parameters that are words of every day elsewhere. */
static size_t query_name(const char *at)
{
    static const char *const words[] = {"key", "sig", "code", "auth", "sas", "pass"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strncasecmp(at, words[i], strlen(words[i])) == 0 && at[strlen(words[i])] == '=')
            return strlen(words[i]);
    return 0;
}

/* Behind a name: "=", " = ", ": ", "\": \"" and the like, also where JSON stands within JSON. 0: it is not given anything here. */
static size_t assignment(const char *at)
{
    size_t length = strspn(at, "\\\"'"), blanks = strspn(at + length, " ");

    if (at[length + blanks] == '=')
        return length + blanks + 1 + strspn(at + length + blanks + 1, " \\\"'");
    if (at[length] != ':' || at[length + 1] == '\0' || !strchr(" \t\r\n\\\"'", at[length + 1]))
        return 0;
    return length + 1 + strspn(at + length + 1, " \t\r\n\\\"'");
}

/* Up to the quote that ends it: one that has no more backslashes before it than the one it began with. */
static size_t quoted_length(const char *at, const char *begin)
{
    size_t escapes = 0, before = 0, length = 0;

    while (at - 2 - escapes >= begin && at[-2 - (ptrdiff_t)escapes] == '\\')
        escapes++;
    for (; at[length]; length++) {
        if (at[length] == at[-1] && before <= escapes)
            return length - before;
        before = at[length] == '\\' ? before + 1 : 0;
    }
    return length;
}

/* name: what it is given to; at: behind all that stands between. */
static size_t value_length(const char *name, size_t name_length, const char *at)
{
    static const char *const schemes[] = {"bearer ", "basic ", "token ", "apikey "};
    size_t length = 0;

    if ((at[-1] == '"' || at[-1] == '\'') && at > name + name_length)
        return quoted_length(at, name);
    if (at[-1] == '=' && *at == '{' && memchr(at, '}', strnlen(at, DSN_MAX_BYTES))) /* as ODBC has it */
        return strcspn(at, "}") + 1;
    for (size_t i = 0; i + 6 <= name_length; i++) /* a header of several words */
        if (strncasecmp(name + i, "cookie", 6) == 0 || strncasecmp(name + i, "authorization", 13) == 0)
            return strcspn(at, "\"'\r\n");
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strncasecmp(at, schemes[i], strlen(schemes[i])) == 0)
            length = strlen(schemes[i]);
    return length + strcspn(at + length, "&;,\"' \t\r\n");
}

/* "name:password" between "://" and "@"; the length of the name with its colon, or 0. A name alone that is as long as a token is one. A
   slash may stand in a password that nobody escaped; behind a port it begins the path. */
static size_t user_info(const char *at, size_t *password)
{
    size_t length = strcspn(at, "/?# \t\r\n\"'");
    const char *end = memrchr(at, '@', length), *colon = memchr(at, ':', end ? (size_t)(end - at) : length);

    if (!end && colon && strspn(colon + 1, "0123456789") < length - (size_t)(colon + 1 - at)) {
        for (length = 0; length < DSN_MAX_BYTES && at[length] && !strchr("? \t\r\n\"'", at[length]);)
            length++;
        end = memrchr(at, '@', length);
    }
    if (!end || (!colon && end - at < USER_TOKEN_MIN_BYTES))
        return 0;
    *password = (size_t)(end - (colon ? colon + 1 : at));
    return colon ? (size_t)(colon - at) + 1 : 0;
}

/* "name:password@tcp(host:3306)/db", as Go's drivers have it; the length of the name with its colon, or 0. */
static size_t dsn_user(const char *at, size_t *password)
{
    size_t length = strcspn(at, ": \t\r\n\"'/="), rest;

    if (at[length] != ':' || length > DSN_MAX_BYTES)
        return 0;
    rest = strnlen(at + length + 1, DSN_MAX_BYTES);
    for (size_t i = 0; i < rest && !strchr(" \t\r\n\"'", at[length + 1 + i]); i++)
        if (strncmp(at + length + 1 + i, "@tcp(", 5) == 0 || strncmp(at + length + 1 + i, "@unix(", 6) == 0) {
            *password = i;
            return length + 1;
        }
    return 0;
}

/* "-u name:password", as curl has it; the length up to the password, or 0. */
static size_t option_user(const char *at, size_t *password)
{
    static const char *const options[] = {"-u ", "--user ", "--proxy-user "};

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        size_t option = strlen(options[i]), name;

        if (strncmp(at, options[i], option) != 0)
            continue;
        option += strspn(at + option, " \"'");
        name = strcspn(at + option, ": \t\r\n\"'");
        if (at[option + name] != ':')
            return 0;
        *password = strcspn(at + option + name + 1, " \t\r\n\"'");
        return option + name + 1;
    }
    return 0;
}

/* What tells by itself that it is one: a private key, or a signed token (JWT). kept: how much of it may be shown. Returns what is gone. */
static size_t known_secret(const char *at, size_t *kept)
{
    static const char begin[] = "-----BEGIN ", what[] = "PRIVATE KEY-----";
    size_t length = 0, dots = 0, title = 0;

    *kept = 0;
    if (strncmp(at, begin, sizeof(begin) - 1) == 0) {
        title = sizeof(begin) - 1 + strcspn(at + sizeof(begin) - 1, "-") + 5;
        *kept = strnlen(at, title);
        if (*kept < title || strncmp(at + title - (sizeof(what) - 1), what, sizeof(what) - 1) != 0)
            return 0;
        const char *end = strstr(at + title, "-----END ");
        return end ? (size_t)(end - at) - title : strlen(at + title);
    }
    if (strncmp(at, "eyJ", 3) == 0)
        for (; isalnum((unsigned char)at[length]) || (at[length] && strchr("_-.", at[length])); length++)
            dots += at[length] == '.';
    return dots == 2 ? length : 0;
}

/* What is at `at` and may not be shown: *kept bytes of it may. false: nothing is. */
static bool find_secret(const char *at, bool in_word, char before, size_t *kept, size_t *gone)
{
    size_t name, given;

    if (strncmp(at, "://", 3) == 0) {
        *gone = 0;
        *kept = 3 + user_info(at + 3, gone);
        return *gone > 0;
    }
    if (in_word)
        return false;
    *gone = known_secret(at, kept);
    if (*gone > 0)
        return true;
    name = secret_name(at);
    if (name == 0 && (before == '?' || before == '&'))
        name = query_name(at);
    given = name ? assignment(at + name) : 0;
    if (given) {
        *kept = name + given;
        *gone = value_length(at, name, at + name + given);
        return true;
    }
    *kept = *at == '-' ? option_user(at, gone) : isalnum((unsigned char)*at) ? dsn_user(at, gone) : 0;
    return *kept > 0;
}

static void hide_in_text(const char *text, struct text *out)
{
    bool in_word = false;

    for (const char *at = text; *at;) {
        size_t kept = 0, gone = 0;

        if (find_secret(at, in_word, at > text ? at[-1] : '\0', &kept, &gone)) {
            text_append(out, at, kept);
            text_add(out, gone > 0 ? hidden : "");
            at += kept + gone;
            in_word = false;
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

/* The key of a text that is a secret wherever it stands, as in a volume's attributes; not one that says where a secret is. */
static bool is_secret_key(const char *key)
{
    static const char *const pointers[] = {"Name", "Namespace", "Ref", "Path", "File", "FromEnv"};

    for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++)
        if (string_ends(key, pointers[i]))
            return false;
    return secret_name(key) > 0;
}

static bool is_hidden(enum where where, const char *type, const struct tree *parent, const struct tree *node)
{
    if (!node->key || where == LITERALLY)
        return false;
    if (where == IN_PARAMETERS || where == IN_ANNOTATIONS)
        return policy_may_be_secret(where == IN_PARAMETERS ? type : NULL, node->key, NULL);
    if (strcmp(node->key, "value") == 0) { /* of a variable, or of a header */
        const char *name = tree_string(tree_get(parent, "name"));
        return where == IN_ENV || (name && secret_name(name) > 0);
    }
    return node->type == TREE_STRING && is_secret_key(node->key);
}

static void set_text(struct showing *s, struct tree *copy, const char *text)
{
    copy->type = TREE_STRING;
    copy->text = arena_copy(s->arena, text);
    copy->length = strlen(text);
}

/* In a list of words: what follows "--password" is one, and what follows "--user" may hold one. */
static bool follows_secret_option(const struct tree *before, const struct tree *node)
{
    const char *option = tree_string(before), *text = tree_string(node);

    if (!option || option[0] != '-' || strchr(option, '='))
        return false;
    if (strcmp(option, "-u") == 0 || strcmp(option, "--user") == 0)
        return text && strchr(text, ':');
    return secret_name(option + strspn(option, "-")) > 0;
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
        if (is_hidden(where, type, node, child) || (!child->key && follows_secret_option(before, child)))
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
