/*
 * config: what is sent where, from the command line and from the environment that OpenTelemetry's own libraries read, so that whoever
 * runs a collector has nothing new to learn.
 *
 * Of two ways to say the same the more precise one counts: OTEL_EXPORTER_OTLP_LOGS_ENDPOINT over --otlp-endpoint, and that over
 * OTEL_EXPORTER_OTLP_ENDPOINT. A variable that is empty is not there. A value that means nothing is an error, not a guess: a word
 * misspelt here would otherwise show weeks later, as the logs that are missing.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "export/export_internal.h"
#include "export/message.h"

static const struct {
    const char *name, *word, *path;
} signals[OTLP_SIGNALS] = {
    [OTLP_METRICS] = {"metrics", "METRICS", "v1/metrics"},
    [OTLP_LOGS] = {"logs", "LOGS", "v1/logs"},
    [OTLP_TRACES] = {"traces", "TRACES", "v1/traces"},
};

const char *otlp_signal_name(enum otlp_signal signal)
{
    return signals[signal].name;
}

struct reading { /* the configuration in the making */
    const struct export_options *options;
    struct otlp_config *config;
    struct error *err;
};

/* ------------------------------------------------------------------ variables */

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

enum { NAME_BYTES = 80 };

/* OTEL_EXPORTER_OTLP_LOGS_<what>, else OTEL_EXPORTER_OTLP_<what>; name: which of them it was. */
static const char *of_signal(enum otlp_signal signal, const char *what, char name[NAME_BYTES])
{
    const char *value;

    snprintf(name, NAME_BYTES, "OTEL_EXPORTER_OTLP_%s_%s", signals[signal].word, what);
    value = variable(name);
    if (value)
        return value;
    snprintf(name, NAME_BYTES, "OTEL_EXPORTER_OTLP_%s", what);
    return variable(name);
}

static bool number_of(struct reading *r, const char *name, const char *value, int64_t least, int64_t most, int64_t *out)
{
    char *end;
    long long number;

    if (!value)
        return true;
    errno = 0;
    number = strtoll(value, &end, 10);
    if (errno != 0 || *end || number < least || number > most)
        return error_set(r->err, ERROR_INVALID, "$%s is '%.60s'; write a whole number from %lld to %lld", name, value,
                         (long long)least, (long long)most);
    *out = number;
    return true;
}

static bool size_variable(struct reading *r, const char *name, int64_t most, size_t *out)
{
    int64_t number = (int64_t)*out;

    if (!number_of(r, name, variable(name), 1, most, &number))
        return false;
    *out = (size_t)number;
    return true;
}

/* ------------------------------------------------------------------ key=value,key=value */

/* In place; a percent sign that begins no escape stays. */
static void decode_percent(char *text)
{
    char *out = text;

    for (const char *c = text; *c; c++) {
        if (*c == '%' && hex_digit(c[1]) >= 0 && hex_digit(c[2]) >= 0) {
            *out++ = (char)(hex_digit(c[1]) << 4 | hex_digit(c[2]));
            c += 2;
        } else {
            *out++ = *c;
        }
    }
    *out = 0;
}

typedef bool take_pair(struct reading *r, char *key, char *value, void *arg);

/* The values may be secrets: an error says which entry is wrong, not what it is. */
static bool read_pairs(struct reading *r, const char *name, const char *list, take_pair *take, void *arg)
{
    char *rest = arena_copy(r->config->arena, list), *part;

    for (int n = 1; (part = strsep(&rest, ",")); n++) {
        char *equals = strchr(part, '='), *key;

        if (!*string_trim(part, " \t"))
            continue;
        if (equals)
            *equals = 0;
        key = string_trim(part, " \t");
        if (!equals || !*key)
            return error_set(r->err, ERROR_INVALID, "entry %d of $%s has no name; write name=value,name=value", n,
                             name);
        part = string_trim(equals + 1, " \t");
        decode_percent(part);
        if (!take(r, key, part, arg))
            return false;
    }
    return true;
}

static bool take_header(struct reading *r, char *key, char *value, void *arg)
{
    struct otlp_target *target = arg;

    if (target->header_count == EXPORT_HEADERS_MAX)
        return error_set(r->err, ERROR_LIMIT, "there are more than %d headers (EXPORT_HEADERS_MAX)",
                         EXPORT_HEADERS_MAX);
    target->headers[target->header_count++] =
        (struct http_header){.name = key, .value = "", .secret = secret_new(value, strlen(value))};
    explicit_bzero(value, strlen(value));
    return true;
}

static bool read_headers(struct reading *r, enum otlp_signal signal, struct otlp_target *target)
{
    char name[NAME_BYTES];
    const char *list = of_signal(signal, "HEADERS", name);

    if (!list)
        return true;
    target->headers = arena_array(r->config->arena, EXPORT_HEADERS_MAX, sizeof(*target->headers));
    return read_pairs(r, name, list, take_header, target);
}

/* ------------------------------------------------------------------ the resource */

struct resource {
    const char *keys[EXPORT_ATTRIBUTES_MAX], *values[EXPORT_ATTRIBUTES_MAX];
    size_t count;
};

/* What comes later counts. */
static bool put_attribute(struct reading *r, struct resource *resource, const char *key, const char *value)
{
    size_t i = 0;

    while (i < resource->count && strcmp(resource->keys[i], key) != 0)
        i++;
    if (i == EXPORT_ATTRIBUTES_MAX)
        return error_set(r->err, ERROR_LIMIT,
                         "there are more than %d attributes of the resource (EXPORT_ATTRIBUTES_MAX)",
                         EXPORT_ATTRIBUTES_MAX);
    resource->keys[i] = key;
    resource->values[i] = value;
    resource->count += i == resource->count;
    return true;
}

static bool take_attribute(struct reading *r, char *key, char *value, void *arg)
{
    return put_attribute(r, arg, key, value);
}

static const char *instance_id(struct arena *arena)
{
    unsigned char b[16];

    random_bytes(b, sizeof(b));
    return arena_printf(arena, "%02x%02x%02x%02x-%02x%02x-4%01x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
                        b[2], b[3], b[4], b[5], b[6] & 15, b[7], (b[8] & 0x3f) | 0x80, b[9], b[10], b[11], b[12], b[13],
                        b[14], b[15]);
}

static bool put_own_attributes(struct reading *r, struct resource *resource)
{
    struct arena *arena = r->config->arena;
    char host[256] = "";

    gethostname(host, sizeof(host) - 1);
    return put_attribute(r, resource, "service.name", "weir") &&
           put_attribute(r, resource, "service.version", WEIR_VERSION) &&
           put_attribute(r, resource, "service.instance.id", instance_id(arena)) &&
           put_attribute(r, resource, "host.name", arena_copy(arena, host)) &&
           put_attribute(r, resource, "k8s.cluster.name",
                         r->options->own_namespace ? r->options->cluster_name : NULL) &&
           put_attribute(r, resource, "k8s.namespace.name", variable("POD_NAMESPACE")) &&
           put_attribute(r, resource, "k8s.pod.name", variable("POD_NAME"));
}

static bool read_resource(struct reading *r)
{
    const char *list = variable("OTEL_RESOURCE_ATTRIBUTES"), *service = variable("OTEL_SERVICE_NAME");
    struct resource *resource = arena_alloc(r->config->arena, sizeof(*resource));
    struct text *out = &r->config->resource;

    if (!put_own_attributes(r, resource) ||
        (list && !read_pairs(r, "OTEL_RESOURCE_ATTRIBUTES", list, take_attribute, resource)) ||
        (service && !put_attribute(r, resource, "service.name", service)))
        return false;
    for (size_t i = 0; i < resource->count; i++)
        attribute_text(out, ATTRIBUTES_OF_RESOURCE, resource->keys[i], resource->values[i]);
    attribute_integer(out, ATTRIBUTES_OF_RESOURCE, "process.pid", getpid());
    return !out->overflowed || error_set(r->err, ERROR_LIMIT,
                                         "$OTEL_RESOURCE_ATTRIBUTES is longer than %d bytes "
                                         "(EXPORT_RESOURCE_MAX_BYTES)",
                                         EXPORT_RESOURCE_MAX_BYTES);
}

/* ------------------------------------------------------------------ TLS */

static bool read_pem(struct reading *r, enum otlp_signal signal, const char *what, const char **out, size_t *length)
{
    char name[NAME_BYTES];
    const char *path = of_signal(signal, what, name);
    struct text bytes;
    bool good;

    *out = NULL;
    if (!path)
        return true;
    text_init(&bytes, CERTIFICATE_MAX_BYTES);
    good = file_read(path, &bytes, r->err);
    if (good) {
        *length = bytes.length;
        *out = arena_copy_bytes(r->config->arena, bytes.bytes, bytes.length);
    } else {
        error_add_place(r->err, "$%s", name);
    }
    explicit_bzero(bytes.bytes, bytes.length);
    text_done(&bytes);
    return good;
}

static bool read_tls(struct reading *r, enum otlp_signal signal, struct otlp_target *target)
{
    const char *ca, *certificate, *key;
    struct tls_identity *tls;
    size_t length = 0;

    if (!read_pem(r, signal, "CERTIFICATE", &ca, &length) ||
        !read_pem(r, signal, "CLIENT_CERTIFICATE", &certificate, &length) ||
        !read_pem(r, signal, "CLIENT_KEY", &key, &length))
        return false;
    if (!certificate != !key)
        return error_set(r->err, ERROR_INVALID,
                         "a client certificate for %s needs both $OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and "
                         "$OTEL_EXPORTER_OTLP_CLIENT_KEY",
                         signals[signal].name);
    if (!ca && !certificate)
        return true;
    tls = arena_alloc(r->config->arena, sizeof(*tls));
    *tls = (struct tls_identity){.only_ca = ca != NULL, .ca_pem = ca, .certificate_pem = certificate};
    if (key) {
        tls->key_pem = secret_new(key, length);
        explicit_bzero((char *)(uintptr_t)key, length); /* the arena's */
    }
    target->tls = tls;
    return true;
}

/* ------------------------------------------------------------------ one signal */

static bool is_http_url(const char *url)
{
    const char *host = string_starts(url, "https://") ? url + 8 : string_starts(url, "http://") ? url + 7 : "";

    return *host && *host != '/' && !strpbrk(url, " \t\r\n?#@"); /* no name:password@, for addresses are logged */
}

static bool read_url(struct reading *r, enum otlp_signal signal, struct otlp_target *target)
{
    char name[NAME_BYTES];
    const char *own, *base = r->options->otlp_endpoint, *from = "--otlp-endpoint";

    snprintf(name, sizeof(name), "OTEL_EXPORTER_OTLP_%s_ENDPOINT", signals[signal].word);
    own = variable(name);
    if (!base) {
        base = variable("OTEL_EXPORTER_OTLP_ENDPOINT");
        from = "$OTEL_EXPORTER_OTLP_ENDPOINT";
    }
    if (!own && !base)
        return true;
    if (!is_http_url(own ? own : base))
        return error_set(r->err, ERROR_INVALID,
                         "%s%s is no address to send to; write it like http://collector:4318, and a password into "
                         "$OTEL_EXPORTER_OTLP_HEADERS",
                         own ? "$" : "", own ? name : from);
    target->url =
        own ? arena_copy(r->config->arena, own)
            : arena_printf(r->config->arena, "%s%s%s", base, string_ends(base, "/") ? "" : "/", signals[signal].path);
    return true;
}

static bool read_protocol(struct reading *r, enum otlp_signal signal)
{
    char name[NAME_BYTES];
    const char *protocol = of_signal(signal, "PROTOCOL", name);

    if (!protocol || strcmp(protocol, "http/protobuf") == 0)
        return true;
    return error_set(r->err, ERROR_INVALID,
                     "$%s is '%.40s'; Weir speaks http/protobuf, which collectors take on port 4318: leave it out",
                     name, protocol);
}

static bool read_compression(struct reading *r, enum otlp_signal signal, struct otlp_target *target)
{
    char name[NAME_BYTES];
    const char *word = of_signal(signal, "COMPRESSION", name);

    target->gzip = word && strcmp(word, "gzip") == 0;
    if (!word || target->gzip || strcmp(word, "none") == 0)
        return true;
    return error_set(r->err, ERROR_INVALID, "$%s is '%.40s'; write gzip or none", name, word);
}

/* Chosen by --otlp, else by OTEL_LOGS_EXPORTER and the like: otlp, which is usual, or none. */
static bool is_wanted(struct reading *r, enum otlp_signal signal, bool *wanted)
{
    const struct export_options *o = r->options;
    const bool chosen[OTLP_SIGNALS] = {o->metrics, o->logs, o->traces};
    char name[NAME_BYTES];
    const char *word;

    *wanted = chosen[signal];
    if (o->metrics || o->logs || o->traces)
        return true;
    snprintf(name, sizeof(name), "OTEL_%s_EXPORTER", signals[signal].word);
    word = variable(name);
    *wanted = !word || strcmp(word, "otlp") == 0;
    if (*wanted || strcmp(word, "none") == 0)
        return true;
    return error_set(r->err, ERROR_INVALID, "$%s is '%.40s'; write otlp or none", name, word);
}

static bool read_signal(struct reading *r, enum otlp_signal signal)
{
    struct otlp_target *target = &r->config->targets[signal];
    char name[NAME_BYTES];
    const char *timeout;
    bool wanted;

    if (!is_wanted(r, signal, &wanted) || !wanted)
        return !wanted && r->err->kind == ERROR_NONE;
    if (!read_url(r, signal, target))
        return false;
    if (!target->url)
        return true;
    target->timeout_ms = EXPORT_TIMEOUT_MS;
    timeout = of_signal(signal, "TIMEOUT", name);
    return number_of(r, name, timeout, 1, HTTP_TIMEOUT_MAX_MS, &target->timeout_ms) && read_protocol(r, signal) &&
           read_compression(r, signal, target) && read_headers(r, signal, target) && read_tls(r, signal, target);
}

/* ------------------------------------------------------------------ how much, how often */

static bool read_batching(struct reading *r)
{
    struct otlp_target *logs = &r->config->targets[OTLP_LOGS], *traces = &r->config->targets[OTLP_TRACES];

    r->config->targets[OTLP_METRICS].queue_max = EXPORT_QUEUE_MAX;
    r->config->targets[OTLP_METRICS].batch_max = EXPORT_QUEUE_MAX;
    *logs = (struct otlp_target){.delay_ms = 1000, .queue_max = 2048, .batch_max = 512}; /* as libraries have it */
    *traces = (struct otlp_target){.delay_ms = 5000, .queue_max = 2048, .batch_max = 512};
    r->config->interval_ms = 60 * 1000;
    return number_of(r, "OTEL_METRIC_EXPORT_INTERVAL", variable("OTEL_METRIC_EXPORT_INTERVAL"), EXPORT_INTERVAL_MIN_MS,
                     DAY_MS, &r->config->interval_ms) &&
           number_of(r, "OTEL_BLRP_SCHEDULE_DELAY", variable("OTEL_BLRP_SCHEDULE_DELAY"), 0, HOUR_MS,
                     &logs->delay_ms) &&
           size_variable(r, "OTEL_BLRP_MAX_QUEUE_SIZE", EXPORT_QUEUE_MAX, &logs->queue_max) &&
           size_variable(r, "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", EXPORT_QUEUE_MAX, &logs->batch_max) &&
           number_of(r, "OTEL_BSP_SCHEDULE_DELAY", variable("OTEL_BSP_SCHEDULE_DELAY"), 0, HOUR_MS,
                     &traces->delay_ms) &&
           size_variable(r, "OTEL_BSP_MAX_QUEUE_SIZE", EXPORT_QUEUE_MAX, &traces->queue_max) &&
           size_variable(r, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", EXPORT_QUEUE_MAX, &traces->batch_max);
}

static bool read_sampler(struct reading *r)
{
    const char *sampler = variable("OTEL_TRACES_SAMPLER"), *argument = variable("OTEL_TRACES_SAMPLER_ARG");
    const char *word = sampler && string_starts(sampler, "parentbased_") ? sampler + strlen("parentbased_") : sampler;

    r->config->trace_ratio = 1; /* a decision's trace has no parent, so what is parent-based is not */
    if (!word || strcmp(word, "always_on") == 0)
        return true;
    if (strcmp(word, "always_off") == 0) {
        r->config->trace_ratio = 0;
        return true;
    }
    if (strcmp(word, "traceidratio") != 0)
        return error_set(r->err, ERROR_INVALID,
                         "$OTEL_TRACES_SAMPLER is '%.40s'; write always_on, always_off or traceidratio", sampler);
    if (argument && (!number_parse(argument, strlen(argument), &r->config->trace_ratio) ||
                     !(r->config->trace_ratio >= 0 && r->config->trace_ratio <= 1)))
        return error_set(r->err, ERROR_INVALID, "$OTEL_TRACES_SAMPLER_ARG is '%.40s'; write a share from 0 to 1",
                         argument);
    return true;
}

static bool read_temporality(struct reading *r)
{
    const char *word = variable("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE");

    if (!word || strcasecmp(word, "cumulative") == 0)
        return true;
    return error_set(
        r->err, ERROR_INVALID,
        "$OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE is '%.40s'; Weir sends cumulative sums: leave it "
        "out, and let the collector's cumulativetodelta make deltas",
        word);
}

/* ------------------------------------------------------------------ the whole */

static bool is_disabled(struct reading *r, bool *disabled)
{
    const char *word = variable("OTEL_SDK_DISABLED");

    *disabled = word && strcasecmp(word, "true") == 0;
    if (!word || *disabled || strcasecmp(word, "false") == 0)
        return true;
    return error_set(r->err, ERROR_INVALID, "$OTEL_SDK_DISABLED is '%.40s'; write true or false", word);
}

static bool read_all(struct reading *r)
{
    bool any = false, disabled;

    if (!is_disabled(r, &disabled))
        return false;
    if (disabled)
        return true;
    if (!read_batching(r))
        return false;
    for (int i = 0; i < OTLP_SIGNALS; i++) {
        if (!read_signal(r, (enum otlp_signal)i))
            return false;
        any |= r->config->targets[i].url != NULL;
    }
    return !any || (read_resource(r) && read_sampler(r) && read_temporality(r));
}

bool otlp_config_read(const struct export_options *options, struct otlp_config **out, struct error *err)
{
    struct error mine = {.kind = ERROR_NONE};
    struct reading r = {.options = options, .config = mem_alloc(sizeof(*r.config)), .err = &mine};
    bool good, any = false;

    *out = NULL;
    r.config->arena = arena_new(ARENA_USUAL);
    text_init(&r.config->resource, EXPORT_RESOURCE_MAX_BYTES);
    good = read_all(&r);
    for (int i = 0; i < OTLP_SIGNALS; i++)
        any |= r.config->targets[i].url != NULL;
    if (good && any) {
        *out = r.config;
        return true;
    }
    otlp_config_free(r.config);
    if (!good && err)
        *err = mine;
    return good;
}

void otlp_config_free(struct otlp_config *config)
{
    if (!config)
        return;
    for (int i = 0; i < OTLP_SIGNALS; i++) {
        const struct otlp_target *target = &config->targets[i];

        for (size_t h = 0; h < target->header_count; h++)
            secret_unref((struct secret *)(uintptr_t)target->headers[h].secret); /* ours: made in take_header */
        if (target->tls)
            secret_unref((struct secret *)(uintptr_t)target->tls->key_pem);
    }
    text_done(&config->resource);
    arena_free(config->arena);
    free(config);
}
