/*
 * params: from the maps of strings a manifest has to the typed fields of a driver's config.
 *
 * A value is looked for in up to three maps, in the order a parameter's `from` names them: M the trigger's metadata, E the
 * environment of the scale target's container (through the key <name>FromEnv, whose value is the name of a variable), A
 * what the TriggerAuthentication gave. Within a map the aliases follow the name. What is blank counts as absent, and the
 * search goes on (triggers/_common.md 1). Then the text is parsed by the rules of its type (section 2), which are those of
 * Go's JSON decoder rather than anybody's common sense: "1_000", "+5" and ".5" are no numbers.
 *
 * Nothing stops at the first fault: a person mends all of them at once.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/time.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "trigger/trigger_internal.h"

/* ------------------------------------------------------------------ findings */

static void say(struct trigger_check *check, enum finding_severity severity, const char *code, const char *name,
                const struct tree *node, const char *remedy, const char *format, va_list args)
{
    const struct trigger_input *input = check->input;
    struct finding about = {.severity = severity, .code = code, .place = input->place, .object = input->object};
    const char *text = arena_vprintf(check->scratch, format, args);
    const char *field = input->field ? input->field : "";

    if (node && node->line > 0) {
        about.place.line = node->key_line > 0 ? node->key_line : node->line;
        about.place.column = node->key_line > 0 ? node->key_column : node->column;
    }
    if (name)
        field = arena_printf(check->scratch, "%s%smetadata.%s", field, *field ? "." : "", name);
    if (severity == FINDING_ERROR)
        check->errors++;
    report_add(check->report, &about, field, remedy, "%s", text);
}

__attribute__((format(printf, 7, 8))) static void finding(struct trigger_check *check, enum finding_severity severity,
                                                          const char *code, const char *name, const struct tree *node,
                                                          const char *remedy, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(check, severity, code, name, node, remedy, format, args);
    va_end(args);
}

bool check_error(struct trigger_check *check, const char *name, const char *remedy, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(check, FINDING_ERROR, "bad-parameter", name, name ? tree_get(check->input->metadata, name) : NULL, remedy,
        format, args);
    va_end(args);
    return false;
}

void check_warning(struct trigger_check *check, const char *name, const char *remedy, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(check, FINDING_WARNING, "suspicious-parameter", name, name ? tree_get(check->input->metadata, name) : NULL,
        remedy, format, args);
    va_end(args);
}

const struct trigger_input *check_input(const struct trigger_check *check)
{
    return check->input;
}

struct arena *check_arena(struct trigger_check *check)
{
    if (!check->kept)
        check->kept = arena_new(ARENA_SMALL);
    return check->kept;
}

struct arena *check_scratch(struct trigger_check *check)
{
    return check->scratch;
}

const char *check_pod_identity(const struct trigger_check *check)
{
    const struct credential *credential = check->input->credential;
    const char *provider = credential ? credential->pod_identity : NULL;

    return provider && *provider && strcmp(provider, "none") != 0 ? provider : NULL;
}

/* ------------------------------------------------------------------ words in lists like "a,b,c" */

/* The next piece of a list, without the blanks around it; false at the end. */
static bool next_piece(const char **rest, char separator, const char **word, size_t *length)
{
    const char *begin = *rest, *end;

    if (!begin)
        return false;
    end = strchr(begin, separator);
    *rest = end ? end + 1 : NULL;
    if (!end)
        end = begin + strlen(begin);
    while (begin < end && (*begin == ' ' || *begin == '\t' || *begin == '\n' || *begin == '\r'))
        begin++;
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\n' || end[-1] == '\r'))
        end--;
    *word = begin;
    *length = (size_t)(end - begin);
    return true;
}

static bool next_word(const char **rest, const char **word, size_t *length)
{
    return next_piece(rest, ',', word, length);
}

static int word_index(const char *words, const char *text, size_t length)
{
    const char *word;
    size_t word_length;

    for (int i = 0; next_word(&words, &word, &word_length); i++)
        if (word_length == length && memcmp(word, text, length) == 0)
            return i;
    return -1;
}

/* ------------------------------------------------------------------ finding the text */

enum raw_source { RAW_ABSENT, RAW_METADATA, RAW_ENV, RAW_AUTH, RAW_DEFAULT, RAW_UNKNOWN };

struct raw {
    enum raw_source source;
    const char *text;
    const struct secret *secret; /* where it came as one */
    const struct tree *node;
    const char *key;      /* under which it was found */
    const char *variable; /* of the environment, named but not set */
};

/* Length of the white space character at s as Go's unicode.IsSpace has it, or 0. */
static size_t space_length(const char *s, const char *end)
{
    static const char *const wide[] = {"\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\xa8",
                                       "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};

    if (s >= end)
        return 0;
    if (*s == ' ' || (*s >= '\t' && *s <= '\r'))
        return 1;
    if (end - s >= 3 && memcmp(s, "\xe2\x80", 2) == 0 && (unsigned char)s[2] >= 0x80 && (unsigned char)s[2] <= 0x8a)
        return 3;
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
        if ((size_t)(end - s) >= strlen(wide[i]) && memcmp(s, wide[i], strlen(wide[i])) == 0)
            return strlen(wide[i]);
    return 0;
}

static const char *trimmed(struct arena *arena, const char *text)
{
    const char *end = text + strlen(text), *begin = text;
    size_t n;

    while ((n = space_length(begin, end)) > 0)
        begin += n;
    for (bool again = true; again;) {
        again = false;
        for (size_t width = 1; width <= 3 && (size_t)(end - begin) >= width; width++)
            if (space_length(end - width, end) == width) {
                end -= width;
                again = true;
                break;
            }
    }
    if (begin == text && *end == '\0')
        return text;
    return arena_copy_bytes(arena, begin, (size_t)(end - begin));
}

static bool found(struct trigger_check *check, struct raw *raw, enum raw_source source, const char *key,
                  const char *text)
{
    text = text ? trimmed(check->scratch, text) : NULL;
    if (!text || *text == '\0')
        return false;
    raw->source = source;
    raw->key = key;
    raw->text = text;
    return true;
}

static bool look_in_metadata(struct trigger_check *check, const char *name, struct raw *raw)
{
    const struct tree *node = tree_get(check->input->metadata, name);

    /* A number or a bool that is not quoted was already refused by the reader of manifests; its text still serves. */
    if (!node || (node->type != TREE_STRING && node->type != TREE_NUMBER))
        return false;
    if (!found(check, raw, RAW_METADATA, name, node->text))
        return false;
    raw->node = node;
    return true;
}

static bool look_in_env(struct trigger_check *check, const char *name, struct raw *raw)
{
    const char *key = arena_printf(check->scratch, "%sFromEnv", name);
    const struct tree *node = tree_get(check->input->metadata, key);
    const char *variable = tree_string(node);

    if (!variable || *variable == '\0')
        return false;
    raw->node = node;
    if (!check->input->env) {
        raw->source = RAW_UNKNOWN;
        raw->key = key;
        return true;
    }
    variable = trimmed(check->scratch, variable);
    if (found(check, raw, RAW_ENV, key, check->input->env(check->input->env_arg, variable)))
        return true;
    raw->variable = variable;
    return false;
}

static bool look_in_auth(struct trigger_check *check, const char *name, struct raw *raw)
{
    const struct secret *secret = credential_get(check->input->credential, name);

    if (!secret || !found(check, raw, RAW_AUTH, name, secret_reveal(secret)))
        return false;
    raw->secret = secret;
    return true;
}

static bool look(struct trigger_check *check, char map, const char *name, struct raw *raw)
{
    return map == 'M'   ? look_in_metadata(check, name, raw)
           : map == 'E' ? look_in_env(check, name, raw)
                        : look_in_auth(check, name, raw);
}

static struct raw find_raw(struct trigger_check *check, const struct param *param)
{
    struct raw raw = {.key = param->name};
    const char *from = param->from ? param->from : "M";

    for (const char *map = from; *map; map++) {
        const char *rest = param->aliases, *word;
        size_t length;

        if (look(check, *map, param->name, &raw))
            return raw;
        while (next_word(&rest, &word, &length))
            if (look(check, *map, arena_copy_bytes(check->scratch, word, length), &raw))
                return raw;
        if (*map == 'A' && check->input->credential_unknown) {
            raw.source = RAW_UNKNOWN;
            return raw;
        }
    }
    if (param->fallback) {
        raw.source = RAW_DEFAULT;
        raw.text = param->fallback;
    }
    return raw;
}

bool check_unknown(const struct trigger_check *check, const char *name)
{
    for (const struct param *p = check->driver->params; p->name; p++) {
        const char *from = p->from ? p->from : "M";

        if (strcmp(p->name, name) != 0)
            continue;
        if (check->input->credential_unknown && strchr(from, 'A'))
            return true;
        if (check->input->env || !strchr(from, 'E'))
            return false;
        return tree_get(check->input->metadata, arena_printf(check->scratch, "%sFromEnv", name)) != NULL;
    }
    return false;
}

/* ------------------------------------------------------------------ parsing a text */

static bool is_digits(const char **s)
{
    const char *begin = *s;

    while (**s >= '0' && **s <= '9')
        (*s)++;
    return *s > begin;
}

/* A JSON number literal; whole: without fraction and exponent. */
static bool is_json_number(const char *s, bool whole)
{
    if (*s == '-')
        s++;
    if (*s == '0')
        s++;
    else if (!is_digits(&s))
        return false;
    if (whole)
        return *s == '\0';
    if (*s == '.' && (s++, !is_digits(&s)))
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '+' || *s == '-')
            s++;
        if (!is_digits(&s))
            return false;
    }
    return *s == '\0';
}

static bool parse_number(const char *text, double *value)
{
    return is_json_number(text, false) && number_parse(text, strlen(text), value) && isfinite(*value);
}

static bool parse_integer(const char *text, int64_t *value)
{
    const char *digits = text + (*text == '-');
    uint64_t limit = (uint64_t)INT64_MAX + (*text == '-'), magnitude = 0;

    if (!is_json_number(text, true))
        return false;
    for (; *digits; digits++) {
        unsigned digit = (unsigned)(*digits - '0');

        if (magnitude > (limit - digit) / 10)
            return false;
        magnitude = magnitude * 10 + digit;
    }
    *value = *text == '-' ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

static bool parse_bool(const char *text, bool *value)
{
    if (word_index("1,t,T,true,TRUE,True", text, strlen(text)) >= 0) {
        *value = true;
        return true;
    }
    *value = false;
    return word_index("0,f,F,false,FALSE,False", text, strlen(text)) >= 0;
}

/* Whole milliseconds, up: a nanosecond is still more than nothing. plain: a number alone is milliseconds. */
static bool parse_duration(const char *text, bool plain, int64_t *ms)
{
    int64_t ns;

    if (duration_parse_ns(text, strlen(text), &ns)) {
        *ms = ns / 1000000 + (ns % 1000000 > 0);
        return ns >= 0;
    }
    return plain && parse_integer(*text == '+' ? text + 1 : text, ms) && *ms >= 0;
}

static const struct param_list *parse_list(struct arena *arena, const char *text, char separator)
{
    const char *rest = text, *word;
    size_t length, count = 0;
    struct param_list *list;

    while (next_piece(&rest, separator, &word, &length))
        count++;
    list = arena_alloc(arena, sizeof(*list) + count * sizeof(list->items[0]));
    for (rest = text; next_piece(&rest, separator, &word, &length);)
        list->items[list->count++] = arena_copy_bytes(arena, word, length);
    return list;
}

/* Each piece must hold exactly one '='; both sides trimmed. bad: the piece that does not. */
static const struct param_map *parse_map(struct arena *arena, const char *text, const char **bad)
{
    const struct param_list *pieces = parse_list(arena, text, ',');
    struct param_map *map = arena_alloc(arena, sizeof(*map) + pieces->count * sizeof(map->pairs[0]));

    for (size_t i = 0; i < pieces->count; i++) {
        const char *equals = strchr(pieces->items[i], '=');

        if (!equals || strchr(equals + 1, '=')) {
            *bad = pieces->items[i];
            return NULL;
        }
        map->pairs[i].key =
            trimmed(arena, arena_copy_bytes(arena, pieces->items[i], (size_t)(equals - pieces->items[i])));
        map->pairs[i].value = trimmed(arena, equals + 1);
        map->count++;
    }
    return map;
}

/* ------------------------------------------------------------------ from text to field */

/* The value as it may be shown: what a person wrote into the manifest, but nothing from a secret or the environment. */
static const char *shown(struct trigger_check *check, const struct param *param, const struct raw *raw)
{
    /* '@': a password in an address */
    if (raw->source == RAW_METADATA && param->kind != PARAM_KIND_SECRET && !strchr(raw->text, '@'))
        return arena_printf(check->scratch, "\"%.80s\"", raw->text);
    return raw->source == RAW_ENV ? "the variable's value" : "the value given";
}

static void bad_value(struct trigger_check *check, const struct param *param, const struct raw *raw, const char *what,
                      const char *remedy)
{
    finding(check, FINDING_ERROR, "bad-parameter", raw->key, raw->node, remedy, "%s: %s is not %s", param->name,
            shown(check, param, raw), what);
}

/* "10s", "80%", "5 req" where a number is due: the number can be named. */
static const char *number_remedy(struct trigger_check *check, const struct raw *raw, bool whole)
{
    const char *s = raw->text;
    size_t length;

    if (raw->source == RAW_METADATA) {
        s += *s == '-' || *s == '+';
        length = strspn(s, "0123456789");
        if (length > 0 && s[length] == '.' && !whole)
            length += 1 + strspn(s + length + 1, "0123456789");
        if (length > 0 && s[length] != '\0' && (unsigned char)s[length] > ' ' && !strchr("xXeE_.,", s[length]))
            return arena_printf(check->scratch, "write the number alone, without a unit: \"%s%.*s\"",
                                *raw->text == '-' ? "-" : "", (int)length, s);
    }
    return whole ? "write a whole number such as \"5\"" : "write a number such as \"5\" or \"0.5\"";
}

/* KEDA tests each comma separated piece, also of a scalar: "json,xml" passes the enumeration of a scalar. */
static bool words_allowed(struct trigger_check *check, const struct param *param, const struct raw *raw)
{
    const char *rest = raw->text, *word;
    size_t length;

    while (next_word(&rest, &word, &length))
        if (word_index(param->choices, word, length) < 0) {
            finding(check, FINDING_ERROR, "unknown-value", raw->key, raw->node,
                    arena_printf(check->scratch, "write one of %s (lower and upper case count)", param->choices),
                    "%s: %s is not among %s", param->name, shown(check, param, raw), param->choices);
            return false;
        }
    return true;
}

static bool words_exclusive(struct trigger_check *check, const struct param *param, const struct raw *raw)
{
    const char *rest = raw->text, *word;
    size_t length;
    int seen = 0;

    while (next_word(&rest, &word, &length))
        seen += word_index(param->exclusive, word, length) >= 0;
    if (seen > 1)
        finding(check, FINDING_ERROR, "bad-parameter", raw->key, raw->node, "leave one of them",
                "%s: at most one of %s may be given", param->name, param->exclusive);
    return seen <= 1;
}

static void set_choice(struct trigger_check *check, const struct param *param, const struct raw *raw, int *field)
{
    *field = word_index(param->choices, raw->text, strlen(raw->text));
    if (*field < 0)
        finding(check, FINDING_WARNING, "unknown-value", raw->key, raw->node,
                arena_printf(check->scratch, "write one of %s", param->choices),
                "%s takes one word; with %s every poll fails", param->name, shown(check, param, raw));
}

static void set_url(struct trigger_check *check, const struct param *param, const struct raw *raw, const char **field)
{
    char destination[300];

    *field = raw->text;
    if (!url_destination(raw->text, destination, sizeof(destination)))
        finding(check, FINDING_WARNING, "bad-url", raw->key, raw->node, "write it like http://host:port/path",
                "%s: %s is not an absolute http or https address, every poll will fail", param->name,
                shown(check, param, raw));
}

static void set_secret(const struct param *param, const struct raw *raw, const struct secret **field)
{
    if (raw->secret && (param->bytes || secret_length(raw->secret) == strlen(raw->text)))
        *field = secret_ref((struct secret *)(uintptr_t)raw->secret);
    else
        *field = secret_new(raw->text, strlen(raw->text));
}

static void set_map(struct trigger_check *check, const struct param *param, const struct raw *raw,
                    const struct param_map **field)
{
    const char *bad = NULL;

    *field = parse_map(check->scratch, raw->text, &bad);
    if (!*field)
        finding(check, FINDING_ERROR, "bad-parameter", raw->key, raw->node,
                "write name=value,name=value; a value can hold neither '=' nor ','", "%s: %s has no or several '='",
                param->name,
                raw->source == RAW_METADATA && bad && strchr(bad, '=') /* the value may be a secret */
                    ? arena_printf(check->scratch, "\"%.*s=...\"", (int)strcspn(bad, "="), bad)
                    : "a piece");
}

static void set_field(struct trigger_check *check, const struct param *param, const struct raw *raw, void *field)
{
    int64_t whole = 0;
    bool truth = false;

    switch (param->kind) {
    case PARAM_KIND_TEXT:
        *(const char **)field = raw->text;
        return;
    case PARAM_KIND_URL:
        set_url(check, param, raw, field);
        return;
    case PARAM_KIND_SECRET:
        set_secret(param, raw, field);
        return;
    case PARAM_KIND_NUMBER:
        if (!parse_number(raw->text, field))
            bad_value(check, param, raw, "a number", number_remedy(check, raw, false));
        return;
    case PARAM_KIND_WHOLE:
    case PARAM_KIND_INTEGER:
        if (!parse_integer(raw->text, &whole))
            bad_value(check, param, raw, "a whole number", number_remedy(check, raw, true));
        else if (param->kind == PARAM_KIND_WHOLE)
            *(double *)field = (double)whole;
        else
            *(int64_t *)field = whole;
        return;
    case PARAM_KIND_BOOL:
    case PARAM_KIND_SWITCH:
        if (!parse_bool(raw->text, &truth))
            bad_value(check, param, raw, "true or false", "write \"true\" or \"false\"");
        else if (param->kind == PARAM_KIND_BOOL)
            *(bool *)field = truth;
        else
            *(enum param_switch *)field = truth ? SWITCH_TRUE : SWITCH_FALSE;
        return;
    case PARAM_KIND_DURATION:
    case PARAM_KIND_SPAN:
        if (!parse_duration(raw->text, param->kind == PARAM_KIND_DURATION, field))
            bad_value(check, param, raw, "a duration that is not negative",
                      param->kind == PARAM_KIND_DURATION
                          ? "write it like \"30s\", \"1m30s\" or \"250ms\"; a number alone is milliseconds"
                          : "write it with its unit, like \"60s\" or \"5m\"");
        return;
    case PARAM_KIND_CHOICE:
        set_choice(check, param, raw, field);
        return;
    case PARAM_KIND_LIST:
        *(const struct param_list **)field =
            parse_list(check->scratch, raw->text, param->separator ? param->separator : ',');
        return;
    case PARAM_KIND_MAP:
        set_map(check, param, raw, field);
        return;
    case PARAM_KIND_BLOCK:
    case PARAM_KIND_REMOVED:
    case PARAM_KIND_IGNORED:
        return;
    }
}

/* ------------------------------------------------------------------ what is missing, what is too much */

bool params_is_declared(const struct param *params, const char *key)
{
    size_t length = strlen(key), suffix = strlen("FromEnv");

    for (int round = 0; round < 2; round++) {
        for (const struct param *p = params; p->name; p++) {
            if (p->kind == PARAM_KIND_BLOCK) {
                if (params_is_declared(p->block->params, key))
                    return true;
                continue;
            }
            if (strchr(p->from ? p->from : "M", round == 0 ? 'M' : 'E') &&
                ((strlen(p->name) == length && memcmp(p->name, key, length) == 0) ||
                 (p->aliases && word_index(p->aliases, key, length) >= 0)))
                return true;
        }
        if (length <= suffix || strcmp(key + length - suffix, "FromEnv") != 0)
            return false;
        key = strndupa(key, length - suffix);
        length -= suffix;
    }
    return false;
}

/* The built-in type whose table knows most of the keys that ours does not; NULL unless it is at least two and most. */
static const char *neighbour_type(const struct trigger_check *check)
{
    const char *best = NULL;
    size_t best_count = 1, strangers = 0;

    for (const struct tree *node = check->input->metadata ? check->input->metadata->first : NULL; node;
         node = node->next)
        strangers += !params_is_declared(check->driver->params, node->key);
    for (size_t i = 0; i < trigger_driver_count; i++) {
        size_t count = 0;

        for (const struct tree *node = check->input->metadata ? check->input->metadata->first : NULL; node;
             node = node->next)
            count += !params_is_declared(check->driver->params, node->key) &&
                     params_is_declared(trigger_drivers[i]->params, node->key);
        if (count > best_count && 2 * count > strangers) {
            best = trigger_drivers[i]->type;
            best_count = count;
        }
    }
    return best;
}

/* A key of the metadata that nobody declared and that looks like this name. */
static const char *misspelt_key(const struct trigger_check *check, const char *name)
{
    for (const struct tree *node = check->input->metadata ? check->input->metadata->first : NULL; node;
         node = node->next)
        if (!params_is_declared(check->driver->params, node->key) &&
            (string_nearest(node->key, &name, 1) || strcasestr(name, node->key) || strcasestr(node->key, name)))
            return node->key;
    return NULL;
}

static void missing(struct trigger_check *check, const struct param *param, const struct raw *raw)
{
    const char *near = misspelt_key(check, param->name), *type = neighbour_type(check), *remedy;

    if (raw->variable)
        remedy = arena_printf(check->scratch, "the container has no variable %s, which %sFromEnv names: set it there",
                              raw->variable, param->name);
    else if (tree_get(check->input->metadata, param->name))
        remedy =
            arena_printf(check->scratch, "%s is there but empty: did a template leave its value out?", param->name);
    else if (near)
        remedy = arena_printf(check->scratch, "you wrote %s: the name is %s", near, param->name);
    else if (type)
        remedy = arena_printf(check->scratch, "most of these parameters belong to another type: did you mean type: %s?",
                              type);
    else
        remedy =
            arena_printf(check->scratch, "add %s: %s", param->name, param->help ? param->help : "it has no default");
    finding(check, FINDING_ERROR, "missing-parameter", param->name, NULL, remedy, "%s needs %s%s", check->driver->type,
            param->name, param->from && strchr(param->from, 'A') ? " (here or in the TriggerAuthentication)" : "");
}

/* Fields of the trigger and of the object that people put one level too deep. */
static const char *right_place(struct trigger_check *check, const char *key)
{
    static const char *const of_trigger = "metricType,useCachedMetrics,authenticationRef,name";
    static const char *const of_spec =
        "minReplicaCount,maxReplicaCount,idleReplicaCount,pollingInterval,cooldownPeriod,"
        "initialCooldownPeriod,fallback,advanced,scaleTargetRef";

    if (word_index(of_trigger, key, strlen(key)) >= 0)
        return arena_printf(check->scratch, "%s.%s", check->input->field ? check->input->field : "spec.triggers[]",
                            key);
    if (word_index(of_spec, key, strlen(key)) >= 0)
        return arena_printf(check->scratch, "spec.%s", key);
    return NULL;
}

/* A parameter of this name that only a TriggerAuthentication may give. */
static bool only_in_auth(const struct param *params, const char *key)
{
    for (const struct param *p = params; p->name; p++) {
        if (p->kind == PARAM_KIND_BLOCK
                ? only_in_auth(p->block->params, key)
                : p->from && strchr(p->from, 'A') && !strchr(p->from, 'M') &&
                      (strcmp(p->name, key) == 0 || (p->aliases && word_index(p->aliases, key, strlen(key)) >= 0)))
            return true;
    }
    return false;
}

static const char *nearest_param(struct trigger_check *check, const char *key)
{
    const char *names[64];
    size_t count = 0;

    for (const struct param *p = check->driver->params; p->name && count < 64; p++)
        if (p->kind != PARAM_KIND_BLOCK && p->kind != PARAM_KIND_REMOVED && p->kind != PARAM_KIND_IGNORED && !p->hidden)
            names[count++] = p->name;
    return string_nearest(key, names, count);
}

static void unknown_key(struct trigger_check *check, const struct tree *node)
{
    size_t length = strlen(node->key), suffix = strlen("FromEnv");
    const char *place = right_place(check, node->key), *near = nearest_param(check, node->key);

    if (strcmp(node->key, "metricName") == 0) {
        finding(check, FINDING_ADVICE, "ignored-parameter", node->key, node, "leave it out",
                "metricName has no effect");
        return;
    }
    if (place) {
        finding(check, FINDING_WARNING, "misplaced-field", node->key, node,
                arena_printf(check->scratch, "move it to %s", place),
                "%s has no effect inside metadata, it belongs to %s", node->key, place);
        return;
    }
    if (only_in_auth(check->driver->params, node->key)) {
        finding(check, FINDING_WARNING, "misplaced-field", node->key, node,
                "put it into a Secret and name that in a TriggerAuthentication",
                "%s has no effect inside metadata: it is taken from the TriggerAuthentication alone", node->key);
        return;
    }
    if (length > suffix && strcmp(node->key + length - suffix, "FromEnv") == 0) {
        const char *name = arena_copy_bytes(check->scratch, node->key, length - suffix);

        if (params_is_declared(check->driver->params, name)) {
            finding(check, FINDING_WARNING, "unknown-parameter", node->key, node,
                    arena_printf(check->scratch, "write the value itself as %s", name),
                    "%s has no effect: %s cannot come from the environment", node->key, name);
            return;
        }
    }
    finding(check, FINDING_WARNING, "unknown-parameter", node->key, node,
            near ? arena_printf(check->scratch, "did you mean %s?", near) : "leave it out",
            "%s has no parameter %s: it has no effect", check->driver->type, node->key);
}

void params_check_unknown(struct trigger_check *check)
{
    if (check->driver->any_parameter)
        return;
    for (const struct tree *node = check->input->metadata ? check->input->metadata->first : NULL; node;
         node = node->next)
        if (node->key && !params_is_declared(check->driver->params, node->key))
            unknown_key(check, node);
}

/* ------------------------------------------------------------------ all of a table */

static void read_table(struct trigger_check *check, const struct param *params, void *config, bool optional);

static void read_block(struct trigger_check *check, const struct param *param, void *config)
{
    void *block = arena_alloc(check->scratch, param->block->size);

    read_table(check, param->block->params, block, !param->required);
    if (!param->block->check || param->block->check(block, check))
        *(void **)((char *)config + param->offset) = block;
    else
        config_release(param->block->params, block, false);
}

static void read_special(struct trigger_check *check, const struct param *param)
{
    const struct tree *node = tree_get(check->input->metadata, param->name);

    if (!node)
        return;
    if (param->kind == PARAM_KIND_REMOVED)
        finding(check, FINDING_ERROR, "removed-parameter", param->name, node, param->help, "%s of %s was removed: %s",
                param->name, check->driver->type, param->help);
    else
        finding(check, FINDING_ADVICE, "ignored-parameter", param->name, node, "leave it out", "%s has no effect: %s",
                param->name, param->help);
}

static void read_param(struct trigger_check *check, const struct param *param, void *config, bool optional)
{
    struct raw raw;

    if (param->kind == PARAM_KIND_REMOVED || param->kind == PARAM_KIND_IGNORED) {
        read_special(check, param);
        return;
    }
    if (param->kind == PARAM_KIND_BLOCK) {
        read_block(check, param, config);
        return;
    }
    raw = find_raw(check, param);
    if (raw.source == RAW_UNKNOWN)
        return;
    if (raw.source == RAW_ABSENT) {
        if (param->required && !optional)
            missing(check, param, &raw);
        return;
    }
    if (param->choices && !words_allowed(check, param, &raw))
        return;
    if (param->exclusive && !words_exclusive(check, param, &raw))
        return;
    set_field(check, param, &raw, (char *)config + param->offset);
}

static void read_table(struct trigger_check *check, const struct param *params, void *config, bool optional)
{
    for (const struct param *p = params; p->name; p++)
        read_param(check, p, config, optional);
}

void params_read(struct trigger_check *check, void *config)
{
    read_table(check, check->driver->params, config, false);
}
