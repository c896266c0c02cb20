/*
 * range: what a query of Prometheus said over a span, asked with query_range. A long span is asked for in parts, a server that is not to be
 * reached or busy is asked again after a pause.
 *
 *     struct range_client *client = range_client_new(&err);
 *     range_ask(client, &server, &question, values, &err)       -- values[i] is that of from + i * step
 *     range_client_free(client);
 *
 * Blocks until the answer is there.
 */
#ifndef WEIR_CLI_RANGE_H
#define WEIR_CLI_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/transport.h"

struct range_client;

struct range_server {
    const char *url; /* before /api/v1/query_range */
    const struct http_header *headers;
    size_t header_count;
    const struct tls_identity *tls; /* NULL: nothing special */
};
struct range_question {
    const char *parameters; /* query=... and what else goes into the URL, escaped */
    int64_t from_ms, step_ms;
    size_t steps;
};
struct range_value {
    double value;
    bool there; /* false: the query had no value at that step */
};

struct range_client *range_client_new(struct error *err);
void range_client_free(struct range_client *client); /* NULL is fine */
/* values: one per step. */
bool range_ask(struct range_client *client, const struct range_server *server, const struct range_question *question,
               struct range_value *values, struct error *err);

#endif
