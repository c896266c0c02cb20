/*
 * exchanges FOLDER: plays the files FOLDER/<type>/NAME.txt, each a trigger with what it asks and what it is answered, and says
 * where one came out otherwise. Words of a file, one a line ('#' begins a comment):
 *
 *     trigger TYPE              with NAME VALUE            auth NAME VALUE           env NAME VALUE
 *     metric-type TYPE          mode hpa                   formula                   now 2026-01-01T00:00:00Z
 *     which N                   of a trigger with several metrics, from 0
 *     pod NAME LABELS PHASE ready|unready HOST:PORT NODE   (labels: a=b,c=d; "-" for none)
 *     data KIND NAME KEY VALUE  of a Secret or ConfigMap (without KEY and VALUE: there is none such any more)
 *     ask METHOD URL            then  header NAME: VALUE   and  body TEXT  that the request must have
 *     answer STATUS BODY        answer STATUS <<           then the body's lines up to one with a single '.'
 *     answer refused            answer never               answer-header NAME: VALUE
 *     answer grpc MESSAGE       answer grpc-status NUMBER TEXT        message MESSAGE, that a request of gRPC must have: 1="text" 2=17
 *                               3=0.5 (a double) 4={1="inner"}, by field numbers; without "=": bytes in hex that are no message
 *     answer-bytes STATUS TEXT  a body with any bytes
 *     stream HOST:PORT          hear TEXT                  reply TEXT                hang-up        (\r \n \x00 in TEXT)
 *     wait 15s                  time passes before the next poll
 *     expect ok VALUE           expect stand-in VALUE      expect missing "TEXT"     expect fail "TEXT"    (part of the reason)
 *     expect denied "TEXT"      expect note "TEXT"         expect metric NAME TARGET expect refused "TEXT"
 *     expect active             expect inactive            what the last poll means for the object
 *
 * Each `expect ok|stand-in|missing|fail|denied` is one poll; what was asked since the last one must have been asked, and
 * nothing else. No network, no waiting: the virtual world.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/report.h"
#include "base/secret.h"
#include "base/selector.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "base/wire.h"
#include "credential/credential.h"
#include "net/loop.h"
#include "platform/platform.h"
#include "sim/virtual.h"
#include "trigger/driver.h"

enum {
    LINES_MAX = 2000,
    ASKS_MAX = 64,
    PODS_MAX = 16,
    DATA_MAX = 16,
    SCRIPT_MAX = 32,
    STEPS_MAX = 100000,
    GOODBYE_STEPS = 8
};

struct ask {
    const char *method, *url, *headers[8], *answer_headers[8];
    size_t header_count, answer_header_count;
    bool has_answer, refused, never, used;
    int status;
    size_t body_length, sent_length; /* 0: up to its end */
    const char *body, *sent;         /* the answer's; the request's, or NULL: any */
};
struct data {
    const char *kind, *name, *key, *value;
};
struct line_said {
    const char *text;
    size_t length;
    const char *shown; /* as the file has it */
    enum { HEAR, REPLY, HANG_UP } what;
};
struct scene {
    struct platform base; /* first: the engine's platform */
    const char *file;
    int line;
    struct arena *arena;
    struct virtual_world *world;
    struct trigger_engine *engine;
    struct tree *metadata, *auth, *env;
    struct trigger_input input;
    struct report *report;
    struct credential *credential;
    struct trigger *trigger;
    struct trigger_metric metric;
    bool built, tried;
    struct ask asks[ASKS_MAX];
    size_t ask_count;
    struct pod_view pods[PODS_MAX];
    size_t pod_count;
    struct data data[DATA_MAX];
    size_t data_count;
    struct line_said script[SCRIPT_MAX];
    size_t script_count, script_at;
    struct text heard;
    bool done;
    struct sample sample;
    struct error why;
    int64_t now_ms;
    int faults;
};

static void complain(struct scene *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(struct scene *s, const char *format, ...)
{
    va_list args;

    printf("%s:%d: ", s->file, s->line);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    s->faults++;
}

/* ------------------------------------------------------------------ the platform */

static const struct target_key scene_target = {"shop", "apps/v1", "Deployment", "server"};

static struct target *target_watch(struct platform *platform, const struct target_key *key, platform_changed *changed,
                                   void *arg)
{
    (void)key;
    (void)changed;
    (void)arg;
    return (struct target *)platform;
}

static void target_unwatch(struct target *target)
{
    (void)target;
}

static size_t target_pods(struct target *target, const struct pod_view **out)
{
    struct scene *s = (struct scene *)target;

    *out = s->pods;
    return s->pod_count;
}

static size_t pods(struct platform *platform, const char *ns, const struct selector *selector, struct arena *arena,
                   const struct pod_view ***out)
{
    struct scene *s = (struct scene *)platform;
    const struct pod_view **list = arena_array(arena, s->pod_count + 1, sizeof(*list));
    size_t count = 0;

    (void)ns;
    for (size_t i = 0; i < s->pod_count; i++)
        if (selector_matches(selector, s->pods[i].labels, s->pods[i].label_count))
            list[count++] = &s->pods[i];
    *out = list;
    return count;
}

static enum lookup find_data(struct platform *platform, const char *kind, const char *name, const char *key,
                             struct secret **out)
{
    const struct scene *s = (struct scene *)platform;

    for (size_t i = 0; i < s->data_count; i++)
        if (strcmp(s->data[i].kind, kind) == 0 && strcmp(s->data[i].name, name) == 0 &&
            strcmp(s->data[i].key, key) == 0) {
            *out = secret_new(s->data[i].value, strlen(s->data[i].value));
            return LOOKUP_FOUND;
        }
    return LOOKUP_ABSENT;
}

static enum lookup secret_get(struct platform *platform, const char *ns, const char *name, const char *key,
                              struct secret **out)
{
    (void)ns;
    return find_data(platform, "Secret", name, key, out);
}

static enum lookup config_get(struct platform *platform, const char *ns, const char *name, const char *key,
                              struct secret **out)
{
    (void)ns;
    return find_data(platform, "ConfigMap", name, key, out);
}

static const struct platform_ops scene_ops = {.name = "exchange",
                                              .target_watch = target_watch,
                                              .target_unwatch = target_unwatch,
                                              .target_pods = target_pods,
                                              .pods = pods,
                                              .secret_get = secret_get,
                                              .config_get = config_get};

static const char *word(struct scene *s, char **rest)
{
    char *begin = *rest + strspn(*rest, " \t");
    size_t length = strcspn(begin, " \t");

    *rest = begin + length;
    return arena_copy_bytes(s->arena, begin, length);
}

static void add_pod(struct scene *s, char *rest)
{
    static const char *const phases[] = {"Pending", "Running", "Succeeded", "Failed", "Unknown"};
    struct pod_view *pod = &s->pods[s->pod_count++];
    const char *labels, *phase, *ready, *host, *colon;
    struct label *list = arena_array(s->arena, 8, sizeof(*list));

    pod->name = word(s, &rest);
    labels = word(s, &rest);
    phase = word(s, &rest);
    ready = word(s, &rest);
    host = word(s, &rest);
    pod->node = word(s, &rest);
    for (int i = 0; i < 5; i++)
        if (strcmp(phases[i], phase) == 0)
            pod->phase = (enum pod_phase)i;
    pod->ready = strcmp(ready, "ready") == 0 ? POD_READY_TRUE : POD_READY_FALSE;
    colon = strrchr(host, ':');
    pod->host = colon ? arena_copy_bytes(s->arena, host, (size_t)(colon - host)) : "";
    pod->port = colon ? atoi(colon + 1) : 0;
    for (char *save = NULL, *piece = strtok_r(arena_copy(s->arena, labels), ",", &save); piece && strchr(piece, '=');
         piece = strtok_r(NULL, ",", &save)) {
        *strchr(piece, '=') = '\0';
        list[pod->label_count++] = (struct label){piece, piece + strlen(piece) + 1};
    }
    pod->labels = list;
}

/* ------------------------------------------------------------------ the sources */

static bool has_header(const struct http_request *request, const char *wanted)
{
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *h = &request->headers[i];
        size_t length = strlen(h->name);
        char value[1000];

        snprintf(value, sizeof(value), "%s%s", h->value ? h->value : "", h->secret ? secret_reveal(h->secret) : "");
        if (strncasecmp(wanted, h->name, length) == 0 && wanted[length] == ':' &&
            strcmp(wanted + length + 1 + strspn(wanted + length + 1, " "), value) == 0)
            return true;
    }
    return false;
}

static void answer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    struct scene *s = arg;
    struct ask *ask = NULL;
    struct http_header *headers = arena_array(s->arena, 8, sizeof(*headers));

    for (size_t i = 0; i < s->ask_count && !ask; i++)
        if (!s->asks[i].used && strcmp(s->asks[i].url, request->url) == 0 &&
            strcmp(s->asks[i].method, request->method) == 0)
            ask = &s->asks[i];
    if (!ask) {
        complain(s, "asked without being expected: %s %s", request->method, request->url);
        reply->status = 404;
        return;
    }
    ask->used = true;
    for (size_t i = 0; i < ask->header_count; i++)
        if (!has_header(request, ask->headers[i]))
            complain(s, "the request lacks the header %s", ask->headers[i]);
    if (ask->sent && (request->body_length != (ask->sent_length > 0 ? ask->sent_length : strlen(ask->sent)) ||
                      memcmp(request->body ? request->body : "", ask->sent, request->body_length) != 0))
        complain(s, "the request's body is %.*s", (int)request->body_length,
                 request->body ? (const char *)request->body : "");
    reply->refused = ask->refused;
    reply->never = ask->never;
    reply->status = ask->status;
    reply->body = ask->body;
    reply->length = ask->body_length;
    for (size_t i = 0; i < ask->answer_header_count; i++) {
        char *name = arena_copy(s->arena, ask->answer_headers[i]), *colon = strchr(name, ':');

        *colon = '\0';
        headers[reply->header_count++] =
            (struct http_header){.name = name, .value = colon + 1 + strspn(colon + 1, " ")};
    }
    reply->headers = headers;
}

static void talk(void *arg, struct virtual_stream *stream, const char *bytes, size_t length, bool opened)
{
    struct scene *s = arg;

    (void)opened;
    text_append(&s->heard, bytes, length);
    while (s->script_at < s->script_count) {
        const struct line_said *next = &s->script[s->script_at];
        size_t due = next->what == HEAR ? next->length : 0;

        if (next->what == HEAR && s->heard.length < due)
            return;
        if (next->what == HEAR && memcmp(s->heard.bytes, next->text, due) != 0) {
            complain(s, "heard something else than: %s", next->shown);
            s->script_at = s->script_count;
            return;
        }
        s->script_at++;
        memmove(s->heard.bytes, s->heard.bytes + due, s->heard.length - due + 1);
        s->heard.length -= due;
        if (next->what == REPLY)
            virtual_stream_say(stream, next->text, next->length, 0);
        else if (next->what == HANG_UP)
            virtual_stream_hang_up(stream, 0);
    }
}

/* ------------------------------------------------------------------ building and polling */

static struct tree *add_member(struct scene *s, struct tree *map, const char *key, const char *value)
{
    struct tree *node = arena_alloc(s->arena, sizeof(*node)), **link = &map->first;

    *node = (struct tree){.type = TREE_STRING, .key = key, .text = value, .length = strlen(value), .quoted = true};
    while (*link)
        link = &(*link)->next;
    *link = node;
    map->count++;
    return map;
}

static const char *env_value(void *arg, const char *name)
{
    return tree_string(tree_get(((struct scene *)arg)->env, name));
}

static void build(struct scene *s)
{
    if (s->tried)
        return;
    s->tried = true;
    s->world = virtual_world_new(1, s->now_ms);
    s->engine = trigger_engine_new(virtual_loop(s->world), virtual_transport(s->world), &s->base);
    virtual_answer(s->world, "http", answer, s);
    s->credential = s->auth->count > 0 ? credential_from_tree(s->auth) : NULL;
    s->input.metadata = s->metadata;
    s->input.credential = s->credential;
    s->input.env = env_value;
    s->input.env_arg = s;
    s->input.ns = "shop";
    s->input.object_name = "server";
    s->input.target = &scene_target;
    s->input.field = "spec.triggers[0]";
    s->built = trigger_build(s->engine, &s->input, s->report, &s->trigger, &s->metric);
}

static const char *first_error(const struct scene *s)
{
    for (size_t i = 0; i < report_count(s->report); i++)
        if (report_at(s->report, i)->severity == FINDING_ERROR)
            return report_at(s->report, i)->text;
    return "";
}

static void on_sample(void *arg, const struct sample *sample, const struct error *why, int64_t took_ms)
{
    struct scene *s = arg;

    (void)took_ms;
    s->done = true;
    s->sample = *sample;
    s->why = *why;
}

static bool poll_once(struct scene *s)
{
    build(s);
    if (!s->built) {
        complain(s, "refused: %s", first_error(s));
        return false;
    }
    s->done = false;
    trigger_poll_start(s->engine, s->trigger, on_sample, s);
    if (s->done)
        complain(s, "ended inside the call that started it");
    for (int i = 0; i < STEPS_MAX && !s->done && virtual_step(s->world); i++)
        ;
    for (size_t i = 0; i < s->ask_count; i++)
        if (!s->asks[i].used)
            complain(s, "was not asked: %s %s", s->asks[i].method, s->asks[i].url);
    if (s->script_at < s->script_count)
        complain(s, "the stream did not come to: %s",
                 s->script[s->script_at].shown ? s->script[s->script_at].shown : "hang-up");
    if (!s->done)
        complain(s, "the poll does not end");
    s->ask_count = s->script_count = s->script_at = 0;
    text_clear(&s->heard);
    return s->done;
}

/* The text in quotes, or what is there. */
static const char *quoted(struct scene *s, const char *rest)
{
    const char *begin = strchr(rest, '"'), *end = begin ? strrchr(rest, '"') : NULL;

    return end > begin ? arena_copy_bytes(s->arena, begin + 1, (size_t)(end - begin - 1)) : "";
}

static void expect_outcome(struct scene *s, const char *what, char *rest)
{
    static const char *const states[] = {"none", "ok", "missing", "fail"};
    bool value_due = strcmp(what, "ok") == 0 || strcmp(what, "stand-in") == 0;
    const char *got = s->sample.stand_in            ? "stand-in"
                      : s->why.kind == ERROR_DENIED ? "denied"
                                                    : states[s->sample.state];

    if (strcmp(got, what) != 0)
        complain(s, "expected %s, got %s %.17g: %s", what, got, s->sample.value, s->why.text);
    else if (value_due && fabs(s->sample.value - strtod(rest, NULL)) > 1e-9 * (1 + fabs(s->sample.value)))
        complain(s, "expected %s, got %.17g", rest, s->sample.value);
    else if (!value_due && !strstr(s->why.text, quoted(s, rest)))
        complain(s, "expected a reason with %s, got: %s", rest, s->why.text);
}

static void expect(struct scene *s, char *rest)
{
    const char *what = word(s, &rest);

    rest += strspn(rest, " ");
    if (strcmp(what, "refused") == 0) {
        build(s);
        if (s->built || !strstr(first_error(s), quoted(s, rest)))
            complain(s, "expected to be refused with %s, got: %s", rest, s->built ? "no error" : first_error(s));
    } else if (strcmp(what, "metric") == 0) {
        const char *name = word(s, &rest);

        build(s);
        if (!s->built || strcmp(s->metric.name, name) != 0 || fabs(s->metric.target - strtod(rest, NULL)) > 1e-9)
            complain(s, "expected metric %s%s, got %s %g", name, rest, s->built ? s->metric.name : first_error(s),
                     s->metric.target);
    } else if (strcmp(what, "active") == 0 || strcmp(what, "inactive") == 0) {
        if (sample_is_active(&s->sample, s->sample.value, s->metric.activation) != (*what == 'a'))
            complain(s, "expected to be %s with %g", what, s->sample.value);
    } else if (strcmp(what, "note") == 0) {
        if (!strstr(s->why.text, quoted(s, rest)))
            complain(s, "expected a note with %s, got: %s", rest, s->why.text);
    } else if (poll_once(s)) {
        expect_outcome(s, what, rest);
    }
}

/* ------------------------------------------------------------------ the words of a file */

/* \r, \n, \x1f for a byte, and a backslash before anything else. */
static const char *unescaped_bytes(struct scene *s, const char *text, size_t *length)
{
    char *out = arena_alloc(s->arena, strlen(text) + 1);
    size_t n = 0;

    for (; *text; text++) {
        if (text[0] == '\\' && text[1] == 'x' && hex_digit(text[2]) >= 0 && hex_digit(text[3]) >= 0) {
            out[n++] = (char)(hex_digit(text[2]) * 16 + hex_digit(text[3]));
            text += 3;
        } else if (*text == '\\' && text[1]) {
            text++;
            out[n++] = *text == 'r' ? '\r' : *text == 'n' ? '\n' : *text;
        } else {
            out[n++] = *text;
        }
    }
    *length = n;
    return out;
}

static const char *unescaped(struct scene *s, const char *text)
{
    size_t length;

    return unescaped_bytes(s, text, &length);
}

/* 1="text" 2=17 3=0.5 4={...}; '}' or the end ends it. */
static void write_fields(struct scene *s, const char **at, struct text *out)
{
    for (; **at && **at != '}'; *at += strspn(*at, " ")) {
        char *end;
        unsigned field = (unsigned)strtoul(*at, &end, 10);
        size_t mark, length;

        *at = end + (*end == '=');
        if (*end != '=' || field == 0) {
            complain(s, "a message is written as 1=\"text\" 2=17 3=0.5 4={1=1}, not: %s", end);
            *at += strlen(*at);
        } else if (**at == '{') {
            ++*at;
            mark = wire_begin(out, field);
            write_fields(s, at, out);
            wire_end(out, mark);
            *at += **at == '}';
        } else if (**at == '"') {
            length = strcspn(*at + 1, "\"");
            wire_bytes(out, field, *at + 1, length);
            *at += length + 2;
        } else {
            length = strcspn(*at, " }");
            if (memchr(*at, '.', length))
                wire_double(out, field, strtod(*at, NULL));
            else
                wire_varint(out, field, (uint64_t)strtoll(*at, NULL, 10));
            *at += length;
        }
    }
}

/* With its frame; what has no "=" are bytes in hex instead. */
static const char *framed(struct scene *s, const char *rest, size_t *length)
{
    struct text message, out;
    const char *bytes;

    text_init(&message, 1024 * 1024);
    text_init(&out, 1024 * 1024);
    if (strchr(rest, '=') || !*rest)
        write_fields(s, &rest, &message);
    for (; !strchr(rest, '=') && rest[0] && rest[1]; rest += 2)
        text_add_char(&message, (char)(hex_digit(rest[0]) << 4 | hex_digit(rest[1])));
    text_append(&out, "\0\0", 2);
    text_append(&out, (const char[]){(char)(message.length >> 16), (char)(message.length >> 8), (char)message.length},
                3);
    text_append(&out, message.bytes, message.length);
    *length = out.length;
    bytes = arena_copy_bytes(s->arena, out.bytes, out.length);
    text_done(&message);
    text_done(&out);
    return bytes;
}

static void answer_by_grpc(struct scene *s, struct ask *ask, const char *word_said, char *rest)
{
    bool message = strcmp(word_said, "grpc") == 0;
    const char *status = message ? "0" : word(s, &rest);

    rest += strspn(rest, " ");
    ask->has_answer = true;
    ask->status = 200;
    ask->body = message ? framed(s, rest, &ask->body_length) : "";
    ask->answer_headers[ask->answer_header_count++] = "content-type: application/grpc";
    ask->answer_headers[ask->answer_header_count++] = arena_printf(s->arena, "grpc-status: %s", status);
    if (!message)
        ask->answer_headers[ask->answer_header_count++] = arena_printf(s->arena, "grpc-message: %s", rest);
}

static void read_answer(struct scene *s, char *rest, char **lines, size_t count, size_t *at)
{
    struct ask *ask = &s->asks[s->ask_count - 1];
    const char *status = word(s, &rest);
    struct text body;

    ask->has_answer = true;
    ask->refused = strcmp(status, "refused") == 0;
    ask->never = strcmp(status, "never") == 0;
    ask->status = atoi(status);
    rest += *rest == ' ';
    ask->body = rest;
    if (string_starts(status, "grpc")) {
        answer_by_grpc(s, ask, status, rest);
        return;
    }
    if (strcmp(rest, "<<") != 0)
        return;
    text_init(&body, 1024 * 1024);
    while (++*at < count && strcmp(lines[*at], ".") != 0) {
        text_add(&body, lines[*at]);
        text_add_char(&body, '\n');
    }
    ask->body = arena_copy(s->arena, body.bytes);
    text_done(&body);
}

static void wait_for(struct scene *s, const char *span)
{
    int64_t ms = 0;

    build(s);
    if (!duration_parse_ms(span, &ms))
        complain(s, "wait needs a duration");
    virtual_run_until(s->world, loop_ticks_ms(virtual_loop(s->world)) + ms);
}

static void add_said(struct scene *s, int what, const char *text)
{
    struct line_said *said = &s->script[s->script_count++];

    *said = (struct line_said){.shown = text, .what = (unsigned)what};
    if (text)
        said->text = unescaped_bytes(s, text, &said->length);
}

static void add_data(struct scene *s, char *rest)
{
    struct data data = {.kind = word(s, &rest)};

    data.name = word(s, &rest);
    data.key = word(s, &rest);
    data.value = unescaped(s, rest + (*rest == ' '));
    for (size_t i = 0; i < s->data_count; i++)
        if (strcmp(s->data[i].name, data.name) == 0 && strcmp(s->data[i].kind, data.kind) == 0 &&
            (*data.key == '\0' || strcmp(s->data[i].key, data.key) == 0))
            s->data[i--] = s->data[--s->data_count];
    if (*data.key)
        s->data[s->data_count++] = data;
}

static void read_line(struct scene *s, char **lines, size_t count, size_t *at)
{
    char *rest = lines[*at];
    const char *verb = word(s, &rest), *name;
    struct ask *ask = s->ask_count > 0 ? &s->asks[s->ask_count - 1] : NULL;

    rest += strspn(rest, " \t");
    if (*verb == '\0' || *verb == '#')
        return;
    if (strcmp(verb, "trigger") == 0)
        s->input.type = rest;
    else if (strcmp(verb, "with") == 0 || strcmp(verb, "auth") == 0 || strcmp(verb, "env") == 0) {
        name = word(s, &rest);
        add_member(s, *verb == 'w' ? s->metadata : *verb == 'a' ? s->auth : s->env, name, rest + strspn(rest, " \t"));
    } else if (strcmp(verb, "metric-type") == 0)
        s->input.metric_type = rest;
    else if (strcmp(verb, "mode") == 0)
        s->input.direct = strcmp(rest, "hpa") != 0;
    else if (strcmp(verb, "formula") == 0)
        s->input.as_metric_source = true;
    else if (strcmp(verb, "which") == 0)
        s->input.metric = strtoul(rest, NULL, 10);
    else if (strcmp(verb, "now") == 0)
        instant_parse(rest, &s->now_ms);
    else if (strcmp(verb, "pod") == 0 && s->pod_count < PODS_MAX)
        add_pod(s, rest);
    else if (strcmp(verb, "no-pods") == 0)
        s->pod_count = 0;
    else if (strcmp(verb, "ask") == 0 && s->ask_count < ASKS_MAX) {
        ask = &s->asks[s->ask_count++];
        *ask = (struct ask){.method = word(s, &rest)};
        ask->url = rest + strspn(rest, " ");
    } else if (strcmp(verb, "header") == 0 && ask && ask->header_count < 8)
        ask->headers[ask->header_count++] = rest;
    else if (strcmp(verb, "body") == 0 && ask)
        ask->sent = rest;
    else if (strcmp(verb, "data") == 0 && s->data_count < DATA_MAX)
        add_data(s, rest);
    else if (strcmp(verb, "answer") == 0 && ask)
        read_answer(s, rest, lines, count, at);
    else if (strcmp(verb, "message") == 0 && ask)
        ask->sent = framed(s, rest, &ask->sent_length);
    else if (strcmp(verb, "answer-bytes") == 0 && ask) {
        ask->has_answer = true;
        ask->status = atoi(word(s, &rest));
        ask->body = unescaped_bytes(s, rest + (*rest == ' '), &ask->body_length);
    } else if (strcmp(verb, "answer-header") == 0 && ask && ask->answer_header_count < 8)
        ask->answer_headers[ask->answer_header_count++] = rest;
    else if (strcmp(verb, "stream") == 0) {
        build(s);
        virtual_talk(s->world, rest, talk, s);
    } else if (strcmp(verb, "hear") == 0 && s->script_count < SCRIPT_MAX)
        add_said(s, HEAR, rest);
    else if (strcmp(verb, "reply") == 0 && s->script_count < SCRIPT_MAX)
        add_said(s, REPLY, rest);
    else if (strcmp(verb, "hang-up") == 0 && s->script_count < SCRIPT_MAX)
        add_said(s, HANG_UP, NULL);
    else if (strcmp(verb, "wait") == 0)
        wait_for(s, rest);
    else if (strcmp(verb, "expect") == 0)
        expect(s, rest);
    else
        complain(s, "a word nobody knows, or too many of them: %s", verb);
}

static size_t split_lines(char *bytes, char **lines)
{
    size_t count = 0;

    for (char *end; bytes && *bytes && count < LINES_MAX; bytes = end) {
        end = strchr(bytes, '\n');
        if (end)
            *end++ = '\0';
        lines[count++] = bytes;
    }
    return count;
}

static int play(const char *file, char *bytes)
{
    static char *lines[LINES_MAX];
    struct scene *s = calloc(1, sizeof(*s));
    size_t count = split_lines(bytes, lines);
    int faults;

    s->base.ops = &scene_ops;
    s->file = file;
    s->arena = arena_new(ARENA_USUAL);
    s->report = report_new();
    s->metadata = arena_alloc(s->arena, sizeof(*s->metadata));
    s->auth = arena_alloc(s->arena, sizeof(*s->auth));
    s->env = arena_alloc(s->arena, sizeof(*s->env));
    s->metadata->type = s->auth->type = s->env->type = TREE_MAP;
    s->input.direct = true;
    instant_parse("2026-01-01T00:00:00Z", &s->now_ms);
    text_init(&s->heard, 1024 * 1024);
    for (size_t at = 0; at < count; at++) {
        s->line = (int)at + 1;
        read_line(s, lines, count, &at);
    }
    if (!s->tried)
        complain(s, "it expects nothing");
    if (s->built) {
        trigger_metric_done(&s->metric);
        trigger_unref(s->trigger);
    }
    trigger_engine_free(s->engine);
    for (int i = 0; i < GOODBYE_STEPS && s->world && virtual_pending(s->world) > 0; i++)
        virtual_step(s->world); /* a library's connections are closed on a thread */
    if (s->world && virtual_pending(s->world) > 0)
        complain(s, "something is still under way");
    virtual_world_free(s->world);
    credential_unref(s->credential);
    report_free(s->report);
    text_done(&s->heard);
    arena_free(s->arena);
    faults = s->faults;
    free(s);
    return faults;
}

static int play_file(const char *path)
{
    FILE *in = fopen(path, "r");
    struct text text;
    int faults;

    if (!in) {
        printf("%s: %s\n", path, strerror(errno));
        return 1;
    }
    text_init(&text, 4 * 1024 * 1024);
    for (char buffer[8192]; !feof(in) && !ferror(in);)
        text_append(&text, buffer, fread(buffer, 1, sizeof(buffer), in));
    fclose(in);
    faults = play(path, text.bytes);
    text_done(&text);
    return faults;
}

/* Of a type that this build has no library for. */
static int skip_folder(const char *folder, const char *type)
{
    struct dirent **names;
    int count = scandir(folder, &names, NULL, NULL), files = 0;

    for (int i = 0; i < count; i++) {
        files += string_ends(names[i]->d_name, ".txt");
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    printf("trigger type %s is not built in: %d skipped\n", type, files);
    return files;
}

static void play_folder(const char *folder, int depth, int *played, int *failed, int *skipped)
{
    struct dirent **names;
    int count = scandir(folder, &names, NULL, alphasort);

    for (int i = 0; i < count; i++) {
        char path[4096];
        struct stat status;

        snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && stat(path, &status) == 0) {
            if (S_ISDIR(status.st_mode) && depth == 0 && trigger_support(names[i]->d_name) == TRIGGER_KNOWN) {
                *skipped += skip_folder(path, names[i]->d_name);
            } else if (S_ISDIR(status.st_mode) && depth == 0) {
                play_folder(path, 1, played, failed, skipped);
            } else if (depth == 1 && string_ends(path, ".txt")) {
                ++*played;
                *failed += play_file(path) > 0;
            }
        }
        free(names[i]);
    }
    if (count >= 0)
        free(names);
}

int main(int argc, char **argv)
{
    const char *source = getenv("WEIR_SOURCE_DIR");
    char folder[4096];
    int played = 0, failed = 0, skipped = 0;

    for (int i = 1; i < argc; i++) {
        played++;
        failed += play_file(argv[i]) > 0;
    }
    if (argc < 2) {
        snprintf(folder, sizeof(folder), "%s/test/exchange", source ? source : ".");
        play_folder(folder, 0, &played, &failed, &skipped);
    }
    printf("%d exchanges, %d failed", played, failed);
    if (skipped > 0)
        printf(", %d skipped", skipped);
    printf("\n");
    return failed > 0 || played == 0;
}
