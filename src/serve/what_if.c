/*
 * what_if: "what would be decided if", and "what would it take", asked over HTTP (docs/openapi.yaml: whatIf, getOutlook). Here a request is
 * read and an answer written; the autoscaler decides (autoscaler.h).
 */
#include "serve/serve_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/time.h"
#include "base/tree.h"
#include "decide/outlook.h"

/* ------------------------------------------------------------------ the body */

static bool read_number(const struct tree *node, const char *name, double least, double most, double *out,
                        struct error *err)
{
    if (node->type == TREE_NUMBER && tree_number(node, out) && *out >= least && *out <= most)
        return true;
    return error_set(err, ERROR_INVALID, "%s is a number from %.15g to %.15g", name, least, most);
}

static size_t count_characters(const char *text)
{
    size_t count = 0;

    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static bool read_formula(const struct tree *node, struct what_if *out, struct error *err)
{
    if (node->type != TREE_STRING)
        return error_set(err, ERROR_INVALID, "formula is a text");
    if (strlen(node->text) != node->length)
        return error_set(err, ERROR_INVALID, "there is a 0 byte in the formula");
    if (count_characters(node->text) > WHAT_IF_FORMULA_MAX_CHARACTERS)
        return error_set(err, ERROR_LIMIT, "the formula has more than %d characters (WHAT_IF_FORMULA_MAX_CHARACTERS)",
                         WHAT_IF_FORMULA_MAX_CHARACTERS);
    out->formula = node->text;
    return true;
}

static bool read_value(const struct tree *node, struct what_if_value *out, struct error *err)
{
    const char *word = tree_string(node);

    out->trigger = node->key;
    if (word && strcmp(word, "missing") == 0)
        out->state = SAMPLE_MISSING;
    else if (word && strcmp(word, "failed") == 0)
        out->state = SAMPLE_FAILED;
    else if (node->type == TREE_NUMBER && tree_number(node, &out->value) && isfinite(out->value))
        out->state = SAMPLE_OK;
    else
        return error_set(err, ERROR_INVALID, "values.%.100s is a number, \"missing\" or \"failed\"", node->key);
    return !node->repeated_key || error_set(err, ERROR_INVALID, "values.%.100s is there twice", node->key);
}

static bool read_values(const struct tree *node, struct what_if *out, struct error *err)
{
    if (node->type != TREE_MAP)
        return error_set(err, ERROR_INVALID, "values is an object: a value by each trigger's name");
    if (node->count > WHAT_IF_VALUES_MAX)
        return error_set(err, ERROR_LIMIT, "there are %zu values; %d are allowed (WHAT_IF_VALUES_MAX)", node->count,
                         WHAT_IF_VALUES_MAX);
    for (const struct tree *value = node->first; value; value = value->next)
        if (!read_value(value, &out->values[out->value_count++], err))
            return false;
    return true;
}

static bool read_replicas(const struct tree *node, struct what_if *out, struct error *err)
{
    double replicas = 0;

    if (!read_number(node, "replicas", 0, INT32_MAX, &replicas, err))
        return false;
    if (replicas != trunc(replicas))
        return error_set(err, ERROR_INVALID, "replicas is a whole number");
    out->has_replicas = true;
    out->replicas = (int32_t)replicas;
    return true;
}

static bool read_later(const struct tree *node, struct what_if *out, struct error *err)
{
    double seconds = 0;

    if (!read_number(node, "laterSeconds", 0, WHAT_IF_LATER_MAX_S, &seconds, err))
        return false;
    out->later_ms = (int64_t)(seconds * SECOND_MS);
    return true;
}

static bool read_target(const struct tree *node, struct what_if *out, struct error *err)
{
    if (node->type == TREE_NUMBER && tree_number(node, &out->target) && isfinite(out->target) && out->target > 0)
        return true;
    return error_set(err, ERROR_INVALID, "target is a number above 0: what one replica may carry");
}

static bool read_member(const struct tree *node, struct what_if *out, struct error *err)
{
    static const struct {
        const char *key;
        bool (*read)(const struct tree *node, struct what_if *out, struct error *err);
    } members[] = {{"formula", read_formula},
                   {"target", read_target},
                   {"values", read_values},
                   {"replicas", read_replicas},
                   {"laterSeconds", read_later}};

    if (node->repeated_key)
        return error_set(err, ERROR_INVALID, "%.100s is there twice", node->key);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        if (strcmp(members[i].key, node->key) == 0)
            return members[i].read(node, out, err);
    return error_set(err, ERROR_INVALID,
                     "%.100s is not known; there are formula, target, values, replicas and laterSeconds", node->key);
}

bool what_if_read(const char *body, size_t length, struct arena *arena, struct what_if *out, struct error *err)
{
    struct what_if change = {.formula = NULL};
    struct tree *root;
    struct error why;

    if (!tree_read_json(body, length, false, arena, &root, &why))
        return error_set(err, ERROR_INVALID, "the body is not JSON: %.300s", why.text);
    if (root->type != TREE_MAP)
        return error_set(err, ERROR_INVALID, "the body is %s, and not an object; {} changes nothing",
                         tree_type_name(root->type));
    for (const struct tree *node = root->first; node; node = node->next)
        if (!read_member(node, &change, err))
            return false;
    *out = change;
    return true;
}

/* ------------------------------------------------------------------ what if */

/* "application/json", with or without a charset. */
static bool is_json(const struct server_request *request)
{
    static const char json[] = "application/json";
    const char *type = server_header(request, "Content-Type");

    if (!type || strncasecmp(type, json, strlen(json)) != 0)
        return false;
    type += strlen(json);
    return type[strspn(type, " \t")] == '\0' || type[strspn(type, " \t")] == ';';
}

static int status_of(const struct error *err)
{
    switch (err->kind) {
    case ERROR_MISSING:
        return 404;
    case ERROR_UNREACHABLE:
        return 409;
    case ERROR_LIMIT:
        return 429;
    default:
        return 400;
    }
}

static void write_decision(void *arg, const struct decision *decision, const struct decision_names *names)
{
    struct json *json = arg;

    json_put_open(json, NULL, '{');
    json_put_decision(json, "decision", decision, NULL, names);
    json_put_close(json, '}');
}

void serve_what_if(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct json json = {.out = answer->body};
    char key[QUERY_KEY_BYTES];
    struct what_if change;
    struct error err;

    if (!query_object(arg, request, key, answer))
        return;
    if (!is_json(request)) {
        answer_refuse(answer, 415, "send JSON, with the header Content-Type: application/json");
        return;
    }
    struct arena *arena = arena_new(ARENA_USUAL);
    if (!what_if_read(request->body, request->body_length, arena, &change, &err))
        answer_refuse(answer, 400, "%s", err.text);
    else if (!autoscaler_what_if(arg, key, &change, write_decision, &json, &err))
        answer_refuse(answer, status_of(&err), "%s", err.text);
    arena_free(arena);
}

/* ------------------------------------------------------------------ the outlook */

struct outlook_answer {
    struct json json;
    const struct outlook *outlook;
};

static void write_edge(struct json *json, const char *key, const struct outlook_edge *edge)
{
    if (!edge->known) {
        json_put_string(json, key, NULL);
        return;
    }
    json_put_open(json, key, '{');
    json_put_number(json, "value", edge->value);
    json_put_bool(json, "above", edge->above);
    json_put_bool(json, "inclusive", edge->at);
    json_put_integer(json, "replicas", edge->replicas);
    json_put_number(json, "afterSeconds", (double)edge->after_ms / 1000);
    json_put_close(json, '}');
}

static void write_sentence(void *arg, const char *sentence)
{
    json_put_string(arg, NULL, sentence);
}

static bool write_outlook(void *arg, const struct object_status *s)
{
    struct outlook_answer *to = arg;
    const struct outlook *o = to->outlook;
    struct json *json = &to->json;

    json_put_open(json, NULL, '{');
    json_put_integer(json, "now", o->now);
    json_put_time(json, "at", o->at_ms);
    if (o->at_ms != 0)
        json_put_integer(json, "then", o->then);
    json_put_open(json, "triggers", '[');
    for (size_t i = 0; i < o->trigger_count && i < s->trigger_count; i++) {
        if (!o->triggers[i].asked)
            continue;
        json_put_open(json, NULL, '{');
        json_put_string(json, "name", s->triggers[i].name);
        write_edge(json, "up", &o->triggers[i].up);
        write_edge(json, "down", &o->triggers[i].down);
        json_put_close(json, '}');
    }
    json_put_close(json, ']');
    json_put_open(json, "sentences", '[');
    outlook_write_sentences(o, &s->names, write_sentence, json);
    json_put_close(json, ']');
    json_put_close(json, '}');
    return true;
}

void serve_outlook(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct outlook *outlook = mem_alloc(sizeof(*outlook));
    struct outlook_answer to = {.json = {.out = answer->body}, .outlook = outlook};
    char key[QUERY_KEY_BYTES];
    struct error err;

    if (query_object(arg, request, key, answer)) {
        if (autoscaler_outlook(arg, key, outlook, &err))
            autoscaler_object(arg, key, write_outlook, &to);
        else
            answer_refuse(answer, status_of(&err), "%s", err.text);
    }
    free(outlook);
}
