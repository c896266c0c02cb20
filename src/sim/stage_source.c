/*
 * stage_source: sources of the virtual world, by trigger type. All that share an address are asked through one answerer, which finds
 * the one that was meant by the question itself: the PromQL text, the URL, the key.
 */
#include "sim/stage_source.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/selector.h"
#include "base/text.h"
#include "base/tree.h"
#include "sim/stage_internal.h"
#include "trigger/family/resp.h"

enum { LOCATION_MAX_BYTES = 256 }; /* each part of it nests the answer once more */

/* ------------------------------------------------------------------ what is asked for */

static const char *parameter(const struct tree *metadata, const char *name)
{
    return tree_string(tree_get(metadata, name));
}

/* The parameter itself, or the address that stands for `<name>FromEnv`. */
static const char *address_of(const struct tree *metadata, const char *name)
{
    const char *value = parameter(metadata, name);
    char from_env[64];

    if (value && *value)
        return value;
    snprintf(from_env, sizeof(from_env), "%sFromEnv", name);
    value = parameter(metadata, from_env);
    return value ? stage_invented(value) : NULL;
}

const char *stage_invented(const char *name)
{
    if (strcasestr(name, "port"))
        return "6379";
    if (strcasestr(name, "url") || strcasestr(name, "server"))
        return "http://invented.local:8080";
    if (strcasestr(name, "addr") || strcasestr(name, "endpoint"))
        return "invented.local:6379";
    if (strcasestr(name, "host"))
        return "invented.local";
    return "invented";
}

static struct stage_source *find_source(struct stage *stage, const char *place, const char *asks)
{
    struct stage_source *only = NULL;
    size_t count = 0;

    for (struct stage_source *s = stage->sources; s; s = s->next) {
        if (strcmp(s->place, place) != 0)
            continue;
        if (strcmp(s->asks, asks) == 0)
            return s;
        only = s;
        count++;
    }
    return count == 1 ? only : NULL; /* spelled differently than written, but nobody else can be meant */
}

static void set_text(char **slot, const char *text)
{
    free(*slot);
    *slot = mem_copy(text);
}

static struct stage_answer ask(const struct stage_source *source)
{
    struct stage_answer answer = {.says = STAGE_NOTHING};

    source->say(source->arg, &answer);
    return answer;
}

/* ------------------------------------------------------------------ HTTP */

/* "https://host:port" of a URL, in lower case. */
static void origin_of(const char *url, char *out, size_t size)
{
    const char *host = strstr(url, "://");
    size_t length = host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
    size_t used = 0;

    for (size_t i = 0; i < length && used + 1 < size; i++)
        out[used++] = (char)tolower((unsigned char)url[i]);
    out[used] = '\0';
}

static int hex_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The value of query=... with its escapes undone. */
static void query_of(const char *url, struct text *out)
{
    const char *at = strchr(url, '?');

    while (at && strncmp(at + 1, "query=", 6) != 0)
        at = strchr(at + 1, '&');
    for (const char *c = at ? at + 7 : ""; *c && *c != '&' && *c != '#'; c++) {
        if (*c == '%' && hex_of(c[1]) >= 0 && hex_of(c[2]) >= 0) {
            text_add_char(out, (char)(hex_of(c[1]) * 16 + hex_of(c[2])));
            c += 2;
        } else {
            text_add_char(out, *c == '+' ? ' ' : *c);
        }
    }
}

static void write_prometheus(const struct stage_answer *answer, struct text *out)
{
    text_add(out, "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[");
    if (answer->says == STAGE_VALUE) {
        text_add(out, "{\"metric\":{},\"value\":[0,\"");
        text_add_number(out, answer->value);
        text_add(out, "\"]}");
    }
    text_add(out, "]}}");
}

static void write_number(const struct stage_answer *answer, bool json, struct text *out)
{
    if (answer->says == STAGE_NOTHING)
        text_add(out, json ? "null" : "");
    else if (isfinite(answer->value))
        text_add_number(out, answer->value);
    else
        text_add(out, json ? "\"NaN\"" : "NaN");
}

/* a.b.2.c as nested maps and lists; what stands before an index is null. YAML is read from JSON as well. */
static void write_json(const char *path, const struct stage_answer *answer, struct text *out)
{
    size_t length = strcspn(path, ".");
    bool index = length > 0 && strspn(path, "0123456789") >= length;

    text_add_char(out, index ? '[' : '{');
    for (long i = index ? strtol(path, NULL, 10) : 0; i > 0; i--)
        text_add(out, "null,");
    if (!index) {
        text_add_json_string(out, path, length);
        text_add_char(out, ':');
    }
    if (path[length] == '.')
        write_json(path + length + 1, answer, out);
    else
        write_number(answer, true, out);
    text_add_char(out, index ? ']' : '}');
}

static void write_xml(const char *path, const struct stage_answer *answer, struct text *out)
{
    size_t length = strcspn(path, ".");

    text_add_char(out, '<');
    text_append(out, path, length);
    text_add_char(out, '>');
    if (path[length] == '.')
        write_xml(path + length + 1, answer, out);
    else
        write_number(answer, false, out);
    text_add(out, "</");
    text_append(out, path, length);
    text_add_char(out, '>');
}

static void write_api(const struct stage_source *source, const struct stage_answer *answer, struct text *out)
{
    if (strcmp(source->format, "xml") == 0) {
        write_xml(source->location, answer, out);
    } else if (strcmp(source->format, "prometheus") == 0) {
        text_add(out, answer->says == STAGE_NOTHING ? "# " : "");
        text_printf(out, "%s ", source->location);
        write_number(answer, false, out);
        text_add_char(out, '\n');
    } else {
        write_json(source->location, answer, out);
    }
}

static void on_request(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    struct stage *stage = arg;
    char origin[300];
    struct text query;
    const struct stage_source *source;

    origin_of(request->url, origin, sizeof(origin));
    text_init(&query, HTTP_URL_MAX_BYTES);
    query_of(request->url, &query);
    source = find_source(stage, origin, query.bytes);
    if (!source || source->location)
        source = find_source(stage, origin, request->url) ? find_source(stage, origin, request->url) : source;
    text_done(&query);
    text_clear(&stage->said);
    if (!source) {
        reply->status = 404;
        return;
    }
    struct stage_answer answer = ask(source);
    if (answer.says == STAGE_FAILURE)
        reply->status = 503;
    else if (source->location)
        write_api(source, &answer, &stage->said);
    else
        write_prometheus(&answer, &stage->said);
    reply->body = stage->said.bytes;
    reply->length = stage->said.length;
}

/* ------------------------------------------------------------------ Redis */

static void write_groups(const struct stage_source *source, const struct stage_answer *answer, struct text *out)
{
    const char *group = source->location ? source->location : "";

    text_printf(out, "*1\r\n*4\r\n$4\r\nname\r\n$%zu\r\n%s\r\n$3\r\nlag\r\n", strlen(group), group);
    if (answer->says == STAGE_VALUE)
        text_printf(out, ":%.0f\r\n", answer->value);
    else
        text_add(out, "$-1\r\n");
}

static void answer_command(struct stage *stage, const char *place, const struct resp *command, struct text *out)
{
    const struct resp *word = command->first, *key = word ? word->next : NULL;
    const char *name = word && word->text ? word->text : "";
    const struct resp *last = key && strcmp(name, "XINFO") == 0 ? key->next : key;
    const struct stage_source *source = find_source(stage, place, last && last->text ? last->text : "");
    struct stage_answer answer = {.says = STAGE_NOTHING};

    if (strcmp(name, "AUTH") == 0 || strcmp(name, "SELECT") == 0) {
        text_add(out, "+OK\r\n");
        return;
    }
    if (strcmp(name, "INFO") == 0) {
        text_add(out, "$19\r\nredis_version:7.2.4\r\n");
        return;
    }
    if (source)
        answer = ask(source);
    double count = answer.says == STAGE_VALUE && isfinite(answer.value) ? answer.value : 0;
    if (answer.says == STAGE_FAILURE || !source)
        text_add(out,
                 source ? "-LOADING Redis is loading the dataset in memory\r\n" : "-ERR nobody knows that key\r\n");
    else if (strcmp(name, "TYPE") == 0)
        text_add(out, "+list\r\n");
    else if (strcmp(name, "XPENDING") == 0)
        text_printf(out, "*4\r\n:%.0f\r\n$-1\r\n$-1\r\n$-1\r\n", count);
    else if (strcmp(name, "XINFO") == 0)
        write_groups(source, &answer, out);
    else
        text_printf(out, ":%.0f\r\n", count);
}

static void on_talk(void *arg, struct virtual_stream *stream, const char *bytes, size_t length, bool opened)
{
    struct stage_source *first = arg;
    struct arena *arena = arena_new(ARENA_USUAL);
    struct text out;
    struct resp *command;
    size_t used;

    (void)opened;
    text_init(&out, STREAM_REPLY_MAX_BYTES);
    while (length > 0 && resp_read(bytes, length, arena, &command, &used, NULL) == RESP_DONE) {
        answer_command(first->stage, first->place, command, &out);
        bytes += used;
        length -= used;
    }
    virtual_stream_say(stream, out.bytes, out.length, 0);
    text_done(&out);
    arena_free(arena);
}

/* ------------------------------------------------------------------ pods */

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/* One requirement of a selector to a label that fulfils it. */
static void label_for(const char *requirement, size_t length, struct stage_target *target, struct arena *arena)
{
    const char *text = skip_blanks(arena_copy_bytes(arena, requirement, length));
    size_t key_length = strcspn(text, " =!<>,");
    const char *rest = skip_blanks(text + key_length), *value = "";

    if (key_length == 0 || strncmp(rest, "!=", 2) == 0 || strncmp(rest, "notin", 5) == 0 ||
        target->label_count == STAGE_LABELS_MAX)
        return; /* fulfilled where the label is not there */
    if (strncmp(rest, "in", 2) == 0)
        value = skip_blanks(rest + strcspn(rest, "(") + 1);
    else if (*rest == '=')
        value = skip_blanks(rest + strspn(rest, "="));
    struct label *label = &target->labels[target->label_count++];
    label->key = mem_copy(arena_copy_bytes(arena, text, key_length));
    label->value = mem_copy(arena_copy_bytes(arena, value, strcspn(value, " ,)")));
}

static void labels_for(const char *selector, struct stage_target *target, struct arena *arena)
{
    const char *from = selector;
    int depth = 0;

    for (const char *at = selector;; at++) {
        depth += *at == '(' ? 1 : *at == ')' ? -1 : 0;
        if (*at != '\0' && (*at != ',' || depth > 0))
            continue;
        label_for(from, (size_t)(at - from), target, arena);
        if (*at == '\0')
            return;
        from = at + 1;
    }
}

static bool add_pods(struct stage *stage, struct stage_source *source, const struct stage_source_options *o,
                     struct error *err)
{
    const char *selector = parameter(o->metadata, "podSelector");
    struct arena *arena = arena_new(ARENA_USUAL);
    struct stage_target *target;
    struct selector *parsed;
    char name[64];
    bool good;

    snprintf(name, sizeof(name), "pods-of-source-%zu", stage->source_count);
    target = stage_find(stage, o->ns, "Pods", name, true);
    target->exists = true;
    target->own_nodes = true;
    target->count = source;
    labels_for(selector ? selector : "", target, arena);
    good = selector && selector_parse(selector, arena, &parsed, err) &&
           selector_matches(parsed, target->labels, target->label_count);
    arena_free(arena);
    return good ||
           error_set(err, ERROR_INVALID, "no pods can be thought up for the selector \"%s\"", selector ? selector : "");
}

/* ------------------------------------------------------------------ by type */

static bool add_http(struct stage *stage, struct stage_source *source, const char *url, const char *asks,
                     struct error *err)
{
    char origin[300];

    if (!url || !asks)
        return error_set(err, ERROR_INVALID, "the trigger does not say what to ask whom");
    origin_of(url, origin, sizeof(origin));
    set_text(&source->place, origin);
    set_text(&source->asks, asks);
    virtual_answer(stage->world, source->place, on_request, stage);
    return true;
}

static bool add_redis(struct stage *stage, struct stage_source *source, const struct tree *metadata, struct error *err)
{
    const char *address = address_of(metadata, "address"), *host = address_of(metadata, "host"),
               *port = address_of(metadata, "port");
    const char *key = parameter(metadata, "stream") ? parameter(metadata, "stream") : address_of(metadata, "listName");
    char place[300];

    if (!address)
        address = address_of(metadata, "addresses");
    if (!key || (!address && !host))
        return error_set(err, ERROR_INVALID, "the trigger does not say which key of which server");
    if (address)
        snprintf(place, sizeof(place), "%.*s%s", (int)strcspn(address, ","), address,
                 strchr(address, ':') ? "" : ":6379");
    else
        snprintf(place, sizeof(place), "%s:%s", host, port ? port : "6379");
    set_text(&source->place, place);
    set_text(&source->asks, key);
    if (parameter(metadata, "consumerGroup"))
        set_text(&source->location, parameter(metadata, "consumerGroup"));
    virtual_talk(stage->world, place, on_talk, source);
    return true;
}

bool stage_source_exists(const char *type)
{
    static const char *const types[] = {"prometheus",          "metrics-api", "redis", "redis-streams",
                                        "kubernetes-workload", "cron",        "cpu",   "memory"};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i], type) == 0)
            return true;
    return false;
}

static bool add_by_type(struct stage *stage, struct stage_source *source, const struct stage_source_options *o,
                        struct error *err)
{
    const struct tree *metadata = o->metadata;
    struct stage_target *target = stage_named(stage, o->target ? o->target : "");

    if (strcmp(o->type, "prometheus") == 0)
        return add_http(stage, source, address_of(metadata, "serverAddress"), parameter(metadata, "query"), err);
    if (strcmp(o->type, "metrics-api") == 0) {
        const char *format = parameter(metadata, "format"), *location = parameter(metadata, "valueLocation");

        set_text(&source->format, format ? format : "json");
        if (location && (strlen(location) > LOCATION_MAX_BYTES || (!format && strpbrk(location, "#|@(*?\\"))))
            return error_set(err, ERROR_INVALID, "valueLocation %.60s is no plain path: no answer to it can be made up",
                             location);
        set_text(&source->location, location ? location : "");
        return add_http(stage, source, address_of(metadata, "url"), address_of(metadata, "url"), err);
    }
    if (strcmp(o->type, "redis") == 0 || strcmp(o->type, "redis-streams") == 0)
        return add_redis(stage, source, metadata, err);
    if (strcmp(o->type, "kubernetes-workload") == 0)
        return add_pods(stage, source, o, err);
    if (strcmp(o->type, "cron") == 0)
        return true;
    if ((strcmp(o->type, "cpu") == 0 || strcmp(o->type, "memory") == 0) && target) {
        *(strcmp(o->type, "cpu") == 0 ? &target->cpu_source : &target->memory_source) = source;
        return true;
    }
    return error_set(err, ERROR_INVALID, "there is no source of the type %s on a stage", o->type);
}

bool stage_source(struct stage *stage, const struct stage_source_options *options, struct error *err)
{
    struct stage_source *source = mem_alloc(sizeof(*source));

    source->stage = stage;
    source->say = options->say;
    source->arg = options->arg;
    set_text(&source->place, "");
    set_text(&source->asks, "");
    source->next = stage->sources;
    stage->sources = source;
    stage->source_count++;
    return add_by_type(stage, source, options, err);
}

double stage_source_ratio(const struct stage_source *source)
{
    struct stage_answer answer = ask(source);

    return answer.says == STAGE_VALUE && isfinite(answer.value) ? answer.value / 100 : -1;
}

int32_t stage_source_count(const struct stage_source *source)
{
    struct stage_answer answer = ask(source);

    return answer.says == STAGE_VALUE && answer.value > 0 && answer.value <= REPLICAS_MAX ? (int32_t)answer.value : 0;
}

void stage_sources_free(struct stage *stage)
{
    for (struct stage_source *s = stage->sources, *next; s; s = next) {
        next = s->next;
        free(s->place);
        free(s->asks);
        free(s->format);
        free(s->location);
        free(s);
    }
}
