/*
 * asked: what a prometheus trigger of a manifest would ask, without asking it: where, with which query and parameters, signed in how. So the
 * same question can be asked about the past, and how a trigger signs in is known in one place only.
 *
 *     struct asked asked;
 *     if (asked_by(spec, &source, &asked, &err)) ...
 *     asked_done(&asked);
 */
#ifndef WEIR_CLI_ASKED_H
#define WEIR_CLI_ASKED_H

#include <stdbool.h>
#include <stddef.h>

#include "manifest/manifest.h"
#include "net/transport.h"

struct asked {
    struct arena *arena;
    char *server;     /* what stands before /api/v1/query */
    char *parameters; /* of its URL, but for the time */
    struct http_header *headers;
    size_t header_count;
    struct tls_identity *tls; /* NULL: nothing special */
};
struct asked_source {
    struct manifest *const *manifests; /* TriggerAuthentications, Secrets and ConfigMaps are looked up in them */
    size_t count;
    const char *ns;     /* of the object */
    const char *server; /* instead of the trigger's serverAddress, which then keeps its credentials; NULL: there */
};

/* false: its parameters are not right, or a credential is not there. */
bool asked_by(const struct trigger_spec *spec, const struct asked_source *source, struct asked *asked,
              struct error *err);
void asked_done(struct asked *asked);

#endif
