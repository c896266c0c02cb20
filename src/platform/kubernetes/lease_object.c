/* lease_object: see lease_object.h. */
#include "platform/kubernetes/lease_object.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/limits.h"
#include "base/time.h"
#include "base/tree.h"

static void add_string(struct text *out, const char *before, const char *value)
{
    text_add(out, before);
    text_add_json_string(out, value, strlen(value));
}

/* The API wants six digits. */
static void add_time(struct text *out, const char *before, int64_t at_ms)
{
    char whole[40];

    instant_format_ms(at_ms, whole, sizeof whole);
    text_printf(out, "%s\"%.*s000Z\"", before, (int)strcspn(whole, "Z"), whole);
}

static void write_metadata(const struct lease_write *lease, struct text *out)
{
    add_string(out, "\"metadata\":{\"name\":", lease->name);
    add_string(out, ",\"namespace\":", lease->ns);
    if (lease->version)
        add_string(out, ",\"resourceVersion\":", lease->version);
    if (lease->group)
        add_string(out, ",\"labels\":{\"" LEASE_GROUP_LABEL "\":", lease->group);
    text_add(out, lease->group ? "}" : "");
    add_string(out, ",\"annotations\":{\"" LEASE_NONCE_ANNOTATION "\":", lease->nonce);
    if (lease->claims)
        add_string(out, ",\"" LEASE_CLAIMS_ANNOTATION "\":", lease->claims);
    text_add(out, "}}");
}

void lease_write(const struct lease_write *lease, struct text *out)
{
    text_add(out, "{");
    if (!lease->version)
        text_add(out, "\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",");
    write_metadata(lease, out);
    add_string(out, ",\"spec\":{\"holderIdentity\":", lease->holder);
    text_printf(out, ",\"leaseDurationSeconds\":%lld",
                (long long)((lease->duration_ms + 999) / 1000)); /* never shorter than we hold it for */
    add_time(out, ",\"acquireTime\":", lease->acquired_at_ms);
    add_time(out, ",\"renewTime\":", lease->renewed_at_ms);
    text_printf(out, ",\"leaseTransitions\":%lld}}", (long long)lease->transitions);
}

static const char *text_at(const struct tree *map, const char *key)
{
    const char *text = tree_string(tree_get(map, key));

    return text ? text : "";
}

bool lease_read(const struct tree *object, int64_t otherwise_ms, struct lease_read *out)
{
    const struct tree *metadata = tree_get(object, "metadata"), *spec = tree_get(object, "spec");
    const struct tree *annotations = tree_get(metadata, "annotations");
    int64_t seconds = 0;

    *out = (struct lease_read){.name = text_at(metadata, "name"),
                               .version = text_at(metadata, "resourceVersion"),
                               .uid = text_at(metadata, "uid"),
                               .holder = text_at(spec, "holderIdentity"),
                               .nonce = text_at(annotations, LEASE_NONCE_ANNOTATION),
                               .claims = tree_string(tree_get(annotations, LEASE_CLAIMS_ANNOTATION)),
                               .duration_ms = otherwise_ms};
    if (tree_integer(tree_get(spec, "leaseDurationSeconds"), &seconds) && seconds > 0)
        out->duration_ms = (seconds < LEASE_DURATION_MAX_S ? seconds : LEASE_DURATION_MAX_S) * SECOND_MS;
    tree_integer(tree_get(spec, "leaseTransitions"), &out->transitions);
    if (out->transitions < 0 || out->transitions >= INT32_MAX)
        out->transitions = 0;
    return out->name[0] && out->version[0] && strlen(out->version) < LEASE_VERSION_BYTES;
}

void lease_nonce(char out[LEASE_NONCE_BYTES])
{
    uint64_t number;

    if (getrandom(&number, sizeof number, 0) != sizeof number)
        number = (uint64_t)time(NULL) ^ (uint64_t)(uintptr_t)&number;
    snprintf(out, LEASE_NONCE_BYTES, "%016llx", (unsigned long long)number);
}
