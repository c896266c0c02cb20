/*
 * responses: what a source answers -> value and activity. Kinds http and tcp are played back in a virtual world, clock is its
 * wall clock, kube a platform that knows the given pods; redis is a real redis-server on a loopback port, started once and
 * stopped by its process number. The value is compared as KEDA would publish it, activity on the value before that.
 *
 * A sample that is missing passes where the original gives the value it would use (TRIGGERS-FORMAT.md).
 */
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/quantity.h"
#include "base/selector.h"
#include "base/time.h"
#include "deviation_http.h"
#include "kafka_case.h"
#include "net/loop.h"
#include "platform/platform.h"
#include "sim/virtual.h"
#include "trigger/family/temporal.h"
#include "trigger_case.h"

enum { STEPS_MAX = 10000, START_S = 1767225600 }; /* 2026-01-01, in seconds */

struct polled {
    bool done;
    struct sample sample;
    struct error why;
    struct loop *loop; /* to be stopped; NULL: virtual */
};

static void on_sample(void *arg, const struct sample *sample, const struct error *why, int64_t took_ms)
{
    struct polled *polled = arg;

    (void)took_ms;
    polled->done = true;
    polled->sample = *sample;
    polled->why = *why;
    if (polled->loop)
        loop_stop(polled->loop);
}

/* ------------------------------------------------------------------ {{server}} */

static char *replace_all(const char *text, const char *from, const char *to)
{
    struct text out;
    const char *hit;

    text_init(&out, 4 * 1024 * 1024);
    for (; (hit = strstr(text, from)); text = hit + strlen(from)) {
        text_append(&out, text, (size_t)(hit - text));
        text_add(&out, to);
    }
    text_add(&out, text);
    return text_take(&out);
}

/* The case with the placeholders filled in. */
static const struct tree *place_server(const struct tree *vector, const char *url, const char *host_port,
                                       struct arena *arena)
{
    struct text json;
    struct tree *out = NULL;
    char *one, *two, *three;

    text_init(&json, 4 * 1024 * 1024);
    tree_write_json(vector, &json);
    one = replace_all(json.bytes, "{{server}}", url);
    two = replace_all(one, "{{serverAddr}}", host_port);
    three = replace_all(two, "{{serverPort}}", strrchr(host_port, ':') + 1);
    if (!tree_read_json(three, strlen(three), false, arena, &out, NULL))
        out = NULL;
    free(one);
    free(two);
    free(three);
    text_done(&json);
    return out;
}

/* ------------------------------------------------------------------ a source played back */

struct playback {
    const struct tree *exchanges;
    struct arena *arena;
    bool used[256];
};

static const char *decoded(struct arena *arena, const char *text, size_t length)
{
    char *out = arena_alloc(arena, length + 1);
    size_t n = 0;

    for (size_t i = 0; i < length; i++) {
        unsigned code;

        if (text[i] == '%' && i + 2 < length && sscanf(text + i + 1, "%2x", &code) == 1) {
            out[n++] = (char)code;
            i += 2;
        } else {
            out[n++] = text[i];
        }
    }
    return out;
}

static bool is_volatile(const char *piece)
{
    static const char *const names[] = {"time=", "start=", "end=", "from=", "to="};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (string_starts(piece, names[i]))
            return true;
    return false;
}

static const char *stable_query(struct arena *arena, const char *query)
{
    char *copy = arena_copy(arena, query), *save = NULL;
    const char *out = "";

    for (char *piece = strtok_r(copy, "&", &save); piece; piece = strtok_r(NULL, "&", &save))
        if (!is_volatile(piece))
            out = arena_printf(arena, "%s%s%s", out, *out ? "&" : "", piece);
    return out;
}

/* Of those that fit: an equal query first, then one not used yet, in order; the last used one again. */
static const struct tree *choose(struct playback *p, const char *method, const char *path, const char *query)
{
    const struct tree *best = NULL;
    int best_score = -1;
    size_t index = 0, best_index = 0;

    for (const struct tree *e = p->exchanges ? p->exchanges->first : NULL; e && index < 256; e = e->next, index++) {
        const char *wanted = tree_string(tree_get(e, "path")), *wanted_query = tree_string(tree_get(e, "query"));
        int score = (string_equal(wanted_query ? wanted_query : "", query) ? 2 : 0) + !p->used[index];

        if (!string_equal(tree_string(tree_get(e, "method")), method) ||
            !string_equal(decoded(p->arena, wanted, strlen(wanted)), path))
            continue;
        if (score > best_score || (score == best_score && p->used[index])) {
            best = e;
            best_score = score;
            best_index = index;
        }
    }
    if (best)
        p->used[best_index] = true;
    return best;
}

static void decode_base64(const char *text, struct arena *arena, struct virtual_reply *reply)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = arena_alloc(arena, strlen(text) + 4);
    unsigned bits = 0, held = 0;

    for (; *text && *text != '='; text++) {
        const char *digit = strchr(digits, *text);

        if (!digit)
            continue;
        bits = bits << 6 | (unsigned)(digit - digits);
        held += 6;
        if (held >= 8)
            out[reply->length++] = (char)(bits >> (held -= 8) & 255);
    }
    reply->body = out;
}

static void answer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    struct playback *p = arg;
    const char *path = strchr(strstr(request->url, "://") + 3, '/'), *question = path ? strchr(path, '?') : NULL;
    const char *base64;
    const struct tree *e, *headers;
    int64_t status = 200;
    struct http_header *list;

    if (!path)
        path = "/";
    e = choose(p, request->method, decoded(p->arena, path, question ? (size_t)(question - path) : strlen(path)),
               question ? stable_query(p->arena, question + 1) : "");
    if (!e) {
        reply->status = 404;
        return;
    }
    tree_integer(tree_get(e, "status"), &status);
    reply->status = (int)status;
    base64 = tree_string(tree_get(e, "bodyBase64"));
    reply->body = tree_string(tree_get(e, "body"));
    if (base64)
        decode_base64(base64, p->arena, reply);
    headers = tree_get(e, "headers");
    list = arena_array(p->arena, tree_count(headers) + 1, sizeof(*list));
    for (const struct tree *h = headers ? headers->first : NULL; h; h = h->next)
        list[reply->header_count++] = (struct http_header){.name = h->key, .value = tree_string(h)};
    reply->headers = list;
}

/* ------------------------------------------------------------------ a platform with pods and nothing else */

struct kube {
    struct platform base;
    const struct tree *objects;
};

static enum pod_phase phase_of(const struct tree *object)
{
    static const char *const names[] = {"Pending", "Running", "Succeeded", "Failed", "Unknown"};
    const char *phase = tree_string(tree_at(object, "status.phase"));

    for (int i = 0; phase && i < 5; i++)
        if (strcmp(names[i], phase) == 0)
            return (enum pod_phase)i;
    return POD_UNKNOWN;
}

static void read_pod(const struct tree *object, struct arena *arena, struct pod_view *pod)
{
    const struct tree *labels = tree_at(object, "metadata.labels");
    struct label *list = arena_array(arena, tree_count(labels) + 1, sizeof(*list));
    const char *node = tree_string(tree_at(object, "spec.nodeName"));

    for (const struct tree *l = labels ? labels->first : NULL; l; l = l->next)
        list[pod->label_count++] = (struct label){l->key, tree_string(l)};
    pod->labels = list;
    pod->name = tree_string(tree_at(object, "metadata.name"));
    pod->phase = phase_of(object);
    pod->node = node ? node : "";
}

static size_t kube_pods(struct platform *platform, const char *ns, const struct selector *selector, struct arena *arena,
                        const struct pod_view ***out)
{
    const struct tree *objects = ((struct kube *)platform)->objects;
    const struct pod_view **list = arena_array(arena, tree_count(objects) + 1, sizeof(*list));
    size_t count = 0;

    for (const struct tree *o = objects ? objects->first : NULL; o; o = o->next) {
        struct pod_view *pod = arena_alloc(arena, sizeof(*pod));
        const char *own = tree_string(tree_at(o, "metadata.namespace"));

        if (!string_equal(tree_string(tree_get(o, "kind")), "Pod") || !string_equal(own ? own : "", ns))
            continue;
        read_pod(o, arena, pod);
        if (selector_matches(selector, pod->labels, pod->label_count))
            list[count++] = pod;
    }
    *out = list;
    return count;
}

/* A value of the data of a ConfigMap, or, out of base64, of a Secret. */
static enum lookup kube_data(struct platform *platform, const char *kind, const char *ns, const char *name,
                             const char *key, struct secret **out)
{
    const struct tree *objects = ((struct kube *)platform)->objects;

    for (const struct tree *o = objects ? objects->first : NULL; o; o = o->next) {
        const char *own = tree_string(tree_at(o, "metadata.namespace")), *text;
        struct virtual_reply plain = {.length = 0};
        struct arena *arena;

        if (!string_equal(tree_string(tree_get(o, "kind")), kind) || !string_equal(own ? own : "", ns) ||
            !string_equal(tree_string(tree_at(o, "metadata.name")), name) ||
            !(text = tree_string(tree_get(tree_get(o, "data"), key))))
            continue;
        arena = arena_new(ARENA_USUAL);
        plain.body = text;
        plain.length = strlen(text);
        if (strcmp(kind, "Secret") == 0) {
            plain.length = 0;
            decode_base64(text, arena, &plain);
        }
        *out = secret_new(plain.body, plain.length);
        arena_free(arena);
        return LOOKUP_FOUND;
    }
    return LOOKUP_ABSENT;
}

static enum lookup kube_secret(struct platform *platform, const char *ns, const char *name, const char *key,
                               struct secret **out)
{
    return kube_data(platform, "Secret", ns, name, key, out);
}

static enum lookup kube_config(struct platform *platform, const char *ns, const char *name, const char *key,
                               struct secret **out)
{
    return kube_data(platform, "ConfigMap", ns, name, key, out);
}

static const struct platform_ops kube_ops = {
    .name = "vectors", .pods = kube_pods, .secret_get = kube_secret, .config_get = kube_config};

/* ------------------------------------------------------------------ a real redis-server */

static pid_t redis_pid;
static int redis_port;

static void stop_redis(void)
{
    if (redis_pid > 0) {
        kill(redis_pid, SIGTERM);
        waitpid(redis_pid, NULL, 0);
    }
}

static int connect_to(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 0;

    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &length) == 0)
        port = ntohs(address.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

static bool start_redis(void)
{
    char port[16];

    if (redis_pid != 0)
        return redis_pid > 0;
    redis_port = free_port();
    snprintf(port, sizeof(port), "%d", redis_port);
    redis_pid = fork();
    if (redis_pid == 0) {
        if (!freopen("/dev/null", "w", stdout))
            _exit(127);
        execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly",
               "no", "--dir", "/tmp", (char *)NULL);
        _exit(127);
    }
    atexit(stop_redis);
    for (int i = 0; i < 100 && redis_pid > 0; i++) {
        int fd = connect_to(redis_port);

        if (fd >= 0) {
            close(fd);
            return true;
        }
        if (waitpid(redis_pid, NULL, WNOHANG) == redis_pid)
            redis_pid = -1;
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    }
    return false;
}

/* One command and its answer, of which only the end of its first line is waited for. */
static bool redis_say(int fd, const struct text *command)
{
    char byte = 0;

    if (write(fd, command->bytes, command->length) != (ssize_t)command->length)
        return false;
    nanosleep(&(struct timespec){.tv_nsec = 2 * 1000 * 1000}, NULL);
    while (read(fd, &byte, 1) == 1 && byte != '\n')
        ;
    while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
        ;
    return true;
}

static void add_word(struct text *out, const char *word)
{
    text_printf(out, "$%zu\r\n%s\r\n", strlen(word), word);
}

static bool redis_setup(const struct tree *setup)
{
    int fd = connect_to(redis_port);
    struct text command;
    bool good = fd >= 0;

    text_init(&command, 1024 * 1024);
    text_add(&command, "*1\r\n$8\r\nFLUSHALL\r\n");
    good = good && redis_say(fd, &command);
    for (const struct tree *c = setup ? setup->first : NULL; c && good; c = c->next) {
        text_clear(&command);
        text_printf(&command, "*%zu\r\n", c->count);
        for (const struct tree *word = c->first; word; word = word->next)
            add_word(&command, tree_string(word) ? tree_string(word) : "");
        good = redis_say(fd, &command);
    }
    text_done(&command);
    if (fd >= 0)
        close(fd);
    return good;
}

/* ------------------------------------------------------------------ comparing */

static bool same_number(double a, double b)
{
    return fabs(a - b) <= 0.0005 + fabs(b) * 1e-12;
}

/* Where we differ on purpose: kinds of cases, each with its reason (TRIGGERS-FORMAT.md; DESIGN.md 3.5). */
static const char *deviation(const struct trigger_case *c, const struct tree *vector, bool failed)
{
    const char *body = tree_string(tree_get(tree_index(tree_get(vector, "exchanges"), 0), "body"));

    if (!failed && string_equal(tree_string(tree_get(c->input.metadata, "format")), "xml"))
        return "metrics-api: XML is read as its documentation promises; the original's decoder cannot fill a map and "
               "always fails";
    if (failed && strcmp(c->input.type, "prometheus") == 0 && body && strstr(body, "\"status\":\"error\""))
        return "prometheus: an answer that calls itself an error is a failure, not an empty result that counts as 0";
    if (failed && strcmp(c->input.type, "prometheus") == 0 &&
        string_equal(tree_string(tree_get(c->input.metadata, "ignoreNullValues")), "false"))
        return "prometheus: with ignoreNullValues false every way of having no value is a failure, a null included";
    return NULL;
}

static enum vector_outcome compare(const struct trigger_case *c, const struct polled *polled, const struct tree *vector,
                                   struct vector_result *result)
{
    const struct tree *expected = tree_index(tree_at(vector, "expect.results"), c->input.metric);
    const char *value = tree_string(tree_get(expected, "value"));
    double number = 0, published;
    char shown[64];
    bool error = case_bool(expected, "error"), failed, agrees;
    bool active = sample_is_active(&polled->sample, polled->sample.value, c->metric.activation);

    failed = !polled->done || polled->sample.state == SAMPLE_FAILED;
    quantity_format_double(polled->sample.value, shown, sizeof(shown));
    if (error)
        text_add(&result->expected, "an error");
    else
        text_printf(&result->expected, "%s %s", value ? value : "?",
                    case_bool(expected, "active") ? "active" : "inactive");
    text_printf(&result->got, "%s %s %s (%s)",
                !polled->done                       ? "no outcome"
                : failed                            ? "failed"
                : polled->sample.state == SAMPLE_OK ? "ok"
                                                    : "missing",
                shown, active ? "active" : "inactive", polled->why.text);
    agrees = error == failed &&
             (error || (quantity_parse_double(shown, &published) && value && quantity_parse_double(value, &number) &&
                        same_number(published, number) && active == case_bool(expected, "active")));
    if (agrees)
        return VECTOR_PASSED;
    result->rule = error != failed ? deviation(c, vector, failed) : NULL;
    if (!result->rule)
        result->rule = deviation_http(c, vector, &polled->sample);
    return result->rule ? VECTOR_DEVIATING : VECTOR_FAILED;
}

/* ------------------------------------------------------------------ a talk played back: a reply to each line, the last one again and again */

struct lines {
    const struct tree *reply;
};

static void reply_to_lines(void *arg, struct virtual_stream *stream, const char *bytes, size_t length, bool opened)
{
    struct lines *lines = arg;

    (void)opened;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != '\n' || !lines->reply)
            continue;
        virtual_stream_say(stream, lines->reply->text, lines->reply->length, 0);
        if (lines->reply->next)
            lines->reply = lines->reply->next;
    }
}

/* ------------------------------------------------------------------ running one */

static void run_virtual(const struct tree *vector, int64_t now_ms, struct trigger_case *c, struct polled *polled,
                        struct arena *arena, size_t metric)
{
    struct lines lines = {tree_index(tree_get(vector, "replies"), 0)};
    struct virtual_world *world = virtual_world_new(1, now_ms);
    struct kube kube = {{&kube_ops}, tree_get(vector, "objects")};
    struct playback playback = {.exchanges = tree_get(vector, "exchanges"), .arena = arena};
    struct trigger_engine *engine = trigger_engine_new(virtual_loop(world), virtual_transport(world), &kube.base);

    virtual_answer(world, "http://source:8080", answer, &playback);
    virtual_answer(world, "https://source:8080", answer, &playback);
    virtual_answer(world, "http://127.0.0.1:8080", answer,
                   &playback); /* where an answer names it with {{serverPort}} */
    virtual_talk(world, "source:8080", reply_to_lines, &lines);
    case_build_metric(c, tree_get(vector, "in"), tree_string(tree_get(vector, "type")), true, engine, metric);
    if (c->built) {
        trigger_poll_start(engine, c->trigger, on_sample, polled);
        for (int i = 0; i < STEPS_MAX && !polled->done && virtual_step(world); i++)
            ;
    }
    trigger_engine_free(engine);
    virtual_world_free(world);
}

static bool run_redis(const struct tree *vector, struct trigger_case *c, struct polled *polled,
                      struct vector_result *result)
{
    struct transport_options options = {.user_agent = NULL};
    struct transport *transport;
    struct trigger_engine *engine;
    struct error err;

    if (!start_redis() || !redis_setup(tree_get(vector, "setup"))) {
        text_add(&result->expected, "an answer");
        text_add(&result->got, "redis-server is not installed, or does not start");
        return false;
    }
    if (!loop_new_real(&polled->loop, &err) || !transport_new_real(polled->loop, &options, &transport, &err)) {
        text_add(&result->got, err.text);
        return false;
    }
    engine = trigger_engine_new(polled->loop, transport, NULL);
    case_build(c, tree_get(vector, "in"), tree_string(tree_get(vector, "type")), true, engine);
    if (c->built) {
        trigger_poll_start(engine, c->trigger, on_sample, polled);
        loop_run(polled->loop);
    }
    trigger_engine_free(engine);
    transport_free(transport);
    loop_free(polled->loop);
    return true;
}

static enum vector_outcome run_metric(const struct tree *vector, struct vector_result *result, size_t metric)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    const char *kind = tree_string(tree_get(vector, "kind")), *now = tree_string(tree_get(vector, "now"));
    bool redis = strcmp(kind, "redis") == 0;
    int64_t now_ms = START_S * INT64_C(1000);
    struct trigger_case c = {.built = false};
    struct polled polled = {.done = false};
    enum vector_outcome outcome = VECTOR_FAILED;
    char host_port[64] = "source:8080", url[64];

    if (redis && start_redis())
        snprintf(host_port, sizeof(host_port), "127.0.0.1:%d", redis_port);
    snprintf(url, sizeof(url), "%s://%s", case_bool(vector, "tls") ? "https" : "http", host_port);
    if (now)
        instant_parse(now, &now_ms);
    vector = place_server(vector, url, host_port, arena);
    if (!redis)
        run_virtual(vector, now_ms, &c, &polled, arena, metric);
    if (!redis || run_redis(vector, &c, &polled, result)) {
        if (c.built)
            outcome = compare(&c, &polled, vector, result);
        else if (case_bool(tree_get(vector, "expect"), "buildError") ||
                 case_bool(tree_index(tree_at(vector, "expect.results"), metric), "error"))
            outcome = VECTOR_PASSED;
        else
            text_printf(&result->got, "refused: %s", case_error(&c));
        case_done(&c);
    }
    arena_free(arena);
    return outcome;
}

/* Each metric of a trigger with several is a trigger of its own. */
static enum vector_outcome run_trigger(const struct tree *vector, struct vector_result *result)
{
    size_t count = trigger_metrics(tree_string(tree_get(vector, "type")), tree_at(vector, "in.triggerMetadata"));
    enum vector_outcome outcome = VECTOR_PASSED;

    for (size_t i = 0; i < count && outcome == VECTOR_PASSED; i++) {
        text_clear(&result->expected);
        text_clear(&result->got);
        outcome = run_metric(vector, result, i);
    }
    return outcome;
}

/* ------------------------------------------------------------------ names and quantities */

static enum vector_outcome run_metric_name(const struct tree *vector, struct vector_result *result)
{
    const struct tree *in = tree_get(vector, "in"), *expect = tree_get(vector, "expect");
    const char *name = tree_string(tree_get(in, "name")), *full = tree_string(tree_get(in, "metricName")), *rest = "";
    const char *expected = tree_string(tree_get(expect, "metricName"));
    int64_t index = 0;
    bool good;

    tree_integer(tree_get(in, "triggerIndex"), &index);
    if (name) {
        text_printf(&result->got, "s%lld-%s", (long long)index, name);
        good = string_equal(expected, result->got.bytes);
    } else {
        good = trigger_metric_strip((int)index, full, &rest) == !case_bool(expect, "error");
        good = good && (!expected || string_equal(expected, rest));
        text_add(&result->got, rest);
    }
    text_add(&result->expected, expected ? expected : "an error");
    return good ? VECTOR_PASSED : VECTOR_FAILED;
}

static enum vector_outcome run_quantity(const struct tree *vector, struct vector_result *result)
{
    const char *expected = tree_string(tree_at(vector, "expect.quantity"));
    double value = 0, wanted = 0, got = 0;
    char text[64];

    tree_number(tree_at(vector, "in.value"), &value);
    quantity_format_double(value, text, sizeof(text));
    text_add(&result->expected, expected);
    text_add(&result->got, text);
    return quantity_parse_double(expected, &wanted) && quantity_parse_double(text, &got) && same_number(got, wanted)
               ? VECTOR_PASSED
               : VECTOR_FAILED;
}

/* ------------------------------------------------------------------ calculations of single types */

static struct tree *with_member(struct arena *arena, const struct tree *map, const char *key, const char *value)
{
    struct tree *copy = arena_alloc(arena, sizeof(*copy)), *node = arena_alloc(arena, sizeof(*node));

    *copy = *map;
    *node = (struct tree){.type = TREE_STRING, .key = key, .text = value, .length = strlen(value), .next = map->first};
    copy->first = node;
    copy->count++;
    return copy;
}

/* The query for running workflows; a case names only the parameters that are in it. */
static enum vector_outcome run_temporal_query(const struct tree *vector, struct vector_result *result)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    const struct tree *expect = tree_get(vector, "expect");
    const char *expected = tree_string(tree_get(expect, "countQuery"));
    struct tree in = {.type = TREE_MAP}, *metadata;
    struct trigger_case c;
    bool good;

    metadata = with_member(arena, tree_at(vector, "in.triggerMetadata"), "includeRunningWorkflowCount", "true");
    metadata = with_member(arena, metadata, "endpoint", "temporal:7233");
    metadata->key = "triggerMetadata";
    metadata->next = NULL;
    in.first = metadata;
    in.count = 1;
    case_build(&c, &in, "temporal", false, NULL);
    if (c.built)
        temporal_count_query(trigger_config_of(c.trigger), &result->got);
    else
        text_add(&result->got, case_error(&c));
    text_add(&result->expected, expected ? expected : "an error");
    good = case_bool(expect, "error") ? !c.built : c.built && string_equal(result->got.bytes, expected);
    case_done(&c);
    arena_free(arena);
    return good ? VECTOR_PASSED : VECTOR_FAILED;
}

enum vector_outcome vector_responses(const struct tree *vector, const char *path, struct vector_result *result)
{
    const char *kind = tree_string(tree_get(vector, "kind")), *type = tree_string(tree_get(vector, "type"));

    (void)path;
    if (kind && strcmp(kind, "metric-name") == 0)
        return run_metric_name(vector, result);
    if (kind && strcmp(kind, "quantity") == 0)
        return run_quantity(vector, result);
    if (kind && strcmp(kind, "calc") == 0 && string_equal(type, "temporal"))
        return run_temporal_query(vector, result);
    if (kind && strcmp(kind, "calc") == 0 && string_equal(type, "kafka"))
        return vector_kafka_calc(vector, result);
    if (kind && strcmp(kind, "kafka") == 0 && trigger_driver_find(type))
        return vector_kafka(vector, result);
    if (!kind || strcmp(kind, "calc") == 0 || !trigger_driver_find(type)) {
        text_add(&result->expected, "an answer");
        text_printf(&result->got, "trigger type %s is not built in", type ? type : "");
        return kind && type && trigger_support(type) == TRIGGER_KNOWN ? VECTOR_SKIPPED : VECTOR_FAILED;
    }
    return run_trigger(vector, result);
}
