/*
 * external, external-push: a gRPC server of the user's own, which says how much there is, what one replica should carry of it, and whether
 * there is work at all (externalscaler.ExternalScaler; triggers/external.md, external-push.md).
 *
 *     GetMetricSpec --> a name and a target each --> GetMetrics of each, and IsActive, at once --> value, target, activity
 *
 * Several metrics are one value here: that of the metric which asks for most, as an autoscaler would take it. external-push besides has
 * streams: StreamIsActive (true: there is work, scale now; false means nothing) and StreamMetricSpec (the targets are others), which a
 * server need not have.
 *
 * Everything the metadata holds goes to the server with each call; so does the object's name, and that makes each object a question of
 * its own. The connection is one for all.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "base/wire.h"
#include "net/transport.h"
#include "trigger/driver.h"
#include "trigger/grpc.h"

enum { SPECS_MAX = 16 /* metrics of one server for one trigger; one is usual */ };

struct external {
    struct trigger_config common;
    const char *address, *ca, *certificate;
    const struct secret *key;
    bool enable_tls, unsafe;
    const char *ns, *name;             /* of the object */
    const struct param_list *metadata; /* as written: key, value, key, value ... */
    const struct param_map *from_env;  /* what <key>FromEnv stands for: may be secret */
};

#define PARAM_STRUCT struct external
static const struct param params[] = {
    {"scalerAddress", PARAM_TEXT(address), .required = true, .help = "of the gRPC server, host:port"},
    {"enableTLS", PARAM_BOOL(enable_tls), .fallback = "false",
     .help = "TLS; also on where caCert, or a client certificate, is given"},
    {"unsafeSsl", PARAM_BOOL(unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {"caCert", PARAM_TEXT(ca), .from = "A", .help = "certificates trusted besides the system's, PEM"},
    {"tlsClientCert", PARAM_TEXT(certificate), .from = "A", .help = "the client's certificate, PEM"},
    {"tlsClientKey", PARAM_SECRET(key), .from = "A", .help = "its key, PEM"},
    {"(namespace)", PARAM_TEXT(ns), .from = "", .hidden = true},
    {"(name)", PARAM_TEXT(name), .from = "", .hidden = true},
    {"(metadata)", PARAM_LIST(metadata), .from = "", .hidden = true},
    {"(environment)", PARAM_MAP(from_env), .from = "", .hidden = true},
    {0},
};
#undef PARAM_STRUCT

/* ------------------------------------------------------------------ what goes along with each call */

static bool is_from_env(const char *key)
{
    return string_ends(key, "FromEnv");
}

static void read_metadata(struct external *c, struct trigger_check *check)
{
    const struct trigger_input *input = check_input(check);
    struct arena *arena = check_scratch(check);
    size_t count = tree_count(input->metadata);
    struct param_list *plain = arena_alloc(arena, sizeof(*plain) + 2 * count * sizeof(plain->items[0]));
    struct param_map *from_env = arena_alloc(arena, sizeof(*from_env) + count * sizeof(from_env->pairs[0]));

    for (const struct tree *node = input->metadata ? input->metadata->first : NULL; node; node = node->next) {
        const char *value = tree_string(node);

        if (value && !is_from_env(node->key)) {
            plain->items[plain->count++] = node->key;
            plain->items[plain->count++] = value;
        } else if (value && input->env && (value = input->env(input->env_arg, value)) && *value) {
            from_env->pairs[from_env->count++] = (struct param_pair){node->key, arena_copy(arena, value)};
        }
    }
    c->metadata = plain;
    c->from_env = from_env;
}

static bool uses_tls(const struct external *c)
{
    return c->enable_tls || c->ca || (c->certificate && c->key);
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct external *c = config;
    const struct trigger_input *input = check_input(check);

    c->ns = input->ns ? input->ns : "";
    c->name = input->object_name ? input->object_name : "";
    read_metadata(c, check);
    if (c->unsafe && !uses_tls(c))
        check_warning(check, "unsafeSsl", "write enableTLS: \"true\" as well",
                      "unsafeSsl does not switch TLS on: what is sent can be read");
    if (!c->certificate != !c->key && !check_input(check)->credential_unknown)
        check_warning(check, c->certificate ? "tlsClientKey" : "tlsClientCert", "give both, or none",
                      "a client certificate needs its key: there is none of the two without the other");
    return grpc_check_address(check, "scalerAddress", c->address);
}

static bool destination(const void *config, char *out, size_t size)
{
    const struct external *c = config;

    return grpc_destination(c->address, out, size);
}

/* ------------------------------------------------------------------ calls */

static void write_entry(struct text *out, const char *key, const char *value)
{
    size_t entry = wire_begin(out, 3);

    wire_text(out, 1, key);
    wire_text(out, 2, value);
    wire_end(out, entry);
}

/* The fields of a ScaledObjectRef. */
static void write_object(const struct external *c, struct text *out)
{
    wire_text(out, 1, c->name);
    wire_text(out, 2, c->ns);
    for (size_t i = 0; i + 1 < c->metadata->count; i += 2)
        write_entry(out, c->metadata->items[i], c->metadata->items[i + 1]);
    for (size_t i = 0; i < c->from_env->count; i++)
        write_entry(out, c->from_env->pairs[i].key, c->from_env->pairs[i].value);
}

static struct request *call(const struct external *c, struct poll *poll, const char *method, struct text *message)
{
    const struct tls_identity identity = {.insecure = c->unsafe,
                                          .ca_pem = c->ca,
                                          .certificate_pem = c->key ? c->certificate : NULL,
                                          .key_pem = c->certificate ? c->key : NULL};

    return grpc_request(poll, &(struct grpc_peer){.address = c->address, .tls = uses_tls(c), .identity = &identity},
                        method, message);
}

/* Most calls ask about the object and nothing else. */
static struct request *call_for_object(const struct external *c, struct poll *poll, const char *method)
{
    struct text message;

    text_init(&message, GRPC_REQUEST_MAX_BYTES);
    write_object(c, &message);
    return call(c, poll, method, &message);
}

static struct request *call_metrics(const struct external *c, struct poll *poll, const char *metric)
{
    struct text message;
    size_t object;

    text_init(&message, GRPC_REQUEST_MAX_BYTES);
    object = wire_begin(&message, 1);
    write_object(c, &message);
    wire_end(&message, object);
    wire_text(&message, 2, metric);
    return call(c, poll, "/externalscaler.ExternalScaler/GetMetrics", &message);
}

/* ------------------------------------------------------------------ answers */

struct spec { /* what one metric is, and what came of it */
    const char *name;
    double target, value;
    bool has_value;
};
struct walk { /* of a poll, in its scratch */
    struct spec specs[SPECS_MAX];
    size_t count;
    bool active, failed;
};

static struct wire_reader reader_of(const void *bytes, size_t length)
{
    return (struct wire_reader){.at = bytes, .end = (const uint8_t *)bytes + length};
}

static double double_of(const struct wire_field *field)
{
    double value;

    memcpy(&value, &field->value, sizeof(value));
    return value;
}

/* MetricSpec and MetricValue are alike: a name, a whole number (deprecated), and a double that counts where it is above 0. */
static bool read_number(const struct wire_field *in, struct arena *arena, const char **name, double *out)
{
    struct wire_reader reader = reader_of(in->bytes, in->length);
    struct wire_field field;
    double whole = 0, exact = 0;

    *name = "";
    while (wire_next(&reader, &field)) {
        if (field.number == 1 && field.type == WIRE_BYTES)
            *name = arena_copy_bytes(arena, (const char *)field.bytes, field.length);
        else if (field.number == 2 && field.type == WIRE_VARINT)
            whole = (double)(int64_t)field.value;
        else if (field.number == 3 && field.type == WIRE_FIXED64)
            exact = double_of(&field);
    }
    *out = exact > 0 ? exact : whole;
    return !reader.broken;
}

/* false: it is no GetMetricSpecResponse. */
static bool read_specs(const char *message, size_t length, struct arena *arena, struct walk *walk)
{
    struct wire_reader reader = reader_of(message, length);
    struct wire_field field;

    walk->count = 0;
    while (wire_next(&reader, &field)) {
        if (field.number != 1 || field.type != WIRE_BYTES || walk->count == SPECS_MAX)
            continue;
        if (!read_number(&field, arena, &walk->specs[walk->count].name, &walk->specs[walk->count].target))
            return false;
        walk->count++;
    }
    return !reader.broken;
}

/* Several values of one metric are added up, as an autoscaler does it. */
static bool read_values(const char *message, size_t length, struct arena *arena, struct spec *spec)
{
    struct wire_reader reader = reader_of(message, length);
    struct wire_field field;
    const char *name; /* whatever it says: the answer is to the metric we asked for */
    double value;

    while (wire_next(&reader, &field)) {
        if (field.number != 1 || field.type != WIRE_BYTES)
            continue;
        if (!read_number(&field, arena, &name, &value))
            return false;
        spec->value += value;
        spec->has_value = true;
    }
    return !reader.broken;
}

static bool read_active(const char *message, size_t length, bool *active)
{
    struct wire_reader reader = reader_of(message, length);
    struct wire_field field;

    *active = false;
    while (wire_next(&reader, &field))
        if (field.number == 1 && field.type == WIRE_VARINT)
            *active = field.value != 0;
    return !reader.broken;
}

/* ------------------------------------------------------------------ a poll */

static const struct spec *greatest(const struct walk *walk)
{
    const struct spec *best = NULL;

    for (size_t i = 0; i < walk->count; i++) {
        const struct spec *spec = &walk->specs[i];

        if (spec->has_value && (!best || spec->value / spec->target > best->value / best->target))
            best = spec;
    }
    return best;
}

static enum poll_next on_all(const void *config, struct poll *poll, const struct reply *none)
{
    const struct walk *walk = poll_scratch(poll);
    const struct spec *best = greatest(walk);

    (void)config, (void)none;
    if (!best)
        return poll_missing(poll, SWITCH_UNSET, "the scaler gives no value for its metric %.100s", walk->specs[0].name);
    if (walk->count > 1)
        poll_note(poll, "of %zu metrics %.100s asks for most", walk->count, best->name);
    poll_target(poll, best->target);
    poll_activity(poll, walk->active);
    return poll_value(poll, best->value);
}

static void on_each(const void *config, struct poll *poll, const struct reply *reply)
{
    struct walk *walk = poll_scratch(poll);
    bool good;

    (void)config;
    if (walk->failed)
        return;
    if (reply->failed) {
        walk->failed = true;
        poll_fail_with(poll, &reply->error);
        return;
    }
    good = reply->index < walk->count
               ? read_values(reply->body, reply->length, poll_arena(poll), &walk->specs[reply->index])
               : read_active(reply->body, reply->length, &walk->active);
    walk->failed = !good;
    if (!good)
        poll_fail(poll, ERROR_NONSENSE, "the scaler's answer to %s cannot be read; is it built with another schema?",
                  reply->index < walk->count ? "GetMetrics" : "IsActive");
}

static enum poll_next on_specs(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct external *c = config;
    struct walk *walk = poll_scratch(poll);
    struct request *requests[SPECS_MAX + 1];

    if (!read_specs(reply->body, reply->length, poll_arena(poll), walk))
        return poll_fail(poll, ERROR_NONSENSE,
                         "the scaler's answer to GetMetricSpec cannot be read; is it built with another schema?");
    if (walk->count == 0)
        return poll_fail(poll, ERROR_NONSENSE, "the scaler's GetMetricSpec names no metric");
    for (size_t i = 0; i < walk->count; i++) {
        if (!(walk->specs[i].target > 0))
            return poll_fail(poll, ERROR_NONSENSE,
                             "the scaler's target for its metric %.100s is %g; it has to be more than 0",
                             walk->specs[i].name, walk->specs[i].target);
        requests[i] = call_metrics(c, poll, walk->specs[i].name);
    }
    requests[walk->count] = call_for_object(c, poll, "/externalscaler.ExternalScaler/IsActive");
    return poll_send_all(poll, requests, walk->count + 1, on_each, on_all);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    (void)none;
    return poll_send(poll, call_for_object(config, poll, "/externalscaler.ExternalScaler/GetMetricSpec"), on_specs);
}

/* ------------------------------------------------------------------ streams */

enum { STREAM_ACTIVE, STREAM_SPECS };

static struct request *open_stream(const void *config, struct poll *poll, size_t stream)
{
    struct request *request = NULL;

    if (stream == STREAM_ACTIVE)
        request = call_for_object(config, poll, "/externalscaler.ExternalScaler/StreamIsActive");
    if (stream == STREAM_SPECS) {
        request = call_for_object(config, poll, "/externalscaler.ExternalScaler/StreamMetricSpec");
        grpc_allow(request, GRPC_UNIMPLEMENTED); /* most servers are older than it */
    }
    return request;
}

static bool hear(const void *config, size_t stream, const char *message, size_t length, struct trigger_push *push)
{
    struct wire_reader reader = reader_of(message, length);
    struct wire_field field;

    (void)config;
    if (stream == STREAM_ACTIVE)
        return read_active(message, length, &push->active);
    while (wire_next(&reader, &field))
        ; /* what they are now the next poll asks for itself */
    push->changed = !reader.broken;
    return push->changed;
}

#define TLS_EXAMPLE                                                                                                    \
    "# with TLS, in a TriggerAuthentication: caCert, and tlsClientCert with tlsClientKey for mutual TLS\n"

TRIGGER(external) = {
    .type = "external",
    .summary = "whatever a gRPC server of your own says (KEDA's ExternalScaler)",
    .about = "The value is what the server's `GetMetrics` returns for the metric that its `GetMetricSpec` names, the "
             "target is that of the "
             "spec, and the object is active while `IsActive` says so: none of the three is in the manifest. Of "
             "several metrics the one "
             "that asks for most counts. A server that cannot be reached, answers with an error, or names no metric is "
             "a failure; one that "
             "gives no value for its metric has none (missing).",
    .example =
        "metadata:\n"
        "  scalerAddress: queue-scaler.shop.svc:6000\n"
        "  queue: orders        # everything else is for the server, which is sent it with each call\n" TLS_EXAMPLE,
    .locally = "pip install grpcio grpcio-tools      # then a server of KEDA's externalscaler.proto on 127.0.0.1:6000\n"
               "weir probe scaledobject.yaml",
    .metric = "external",
    .params = params,
    .config_size = sizeof(struct external),
    .scratch_size = sizeof(struct walk),
    .any_parameter = true,
    .prepare = prepare,
    .destination = destination,
    .poll = ask,
};

TRIGGER(external_push) = {
    .type = "external-push",
    .summary = "the same, and the server tells by itself when there is work",
    .about = "As external, and two streams stay open besides. Each true that comes on `StreamIsActive` scales the "
             "object from zero at once, and "
             "makes it be asked at once; false means nothing, the next poll says so. `StreamMetricSpec`, which a "
             "server need not have, says "
             "that targets are others now. A stream that ends is opened anew after two seconds, later after up to a "
             "minute; meanwhile polls "
             "go on as for external, and the values count all the same. One that says more than 10,000 messages or "
             "8 MiB in a second is closed, and opened anew as one that broke.",
    .example =
        "metadata:\n"
        "  scalerAddress: queue-scaler.shop.svc:6000\n"
        "  queue: orders        # everything else is for the server, which is sent it with each call\n" TLS_EXAMPLE,
    .locally =
        "pip install grpcio grpcio-tools      # then a server of KEDA's externalscaler.proto on 127.0.0.1:6000\n"
        "weir run scaledobject.yaml           # and let the server send true: the object is scaled within milliseconds",
    .metric = "external-push",
    .params = params,
    .config_size = sizeof(struct external),
    .scratch_size = sizeof(struct walk),
    .any_parameter = true,
    .prepare = prepare,
    .destination = destination,
    .poll = ask,
    .listen = open_stream,
    .heard = hear,
};
