/*
 * elastic: an Elasticsearch or OpenSearch cluster, for the types that ask one: where its nodes are, how to sign in, and which node to
 * ask next when one does not answer. What is asked, and what the answer means, is the driver's.
 *
 *     return elastic_send(poll, &c->cluster, path, body, on_answer);
 *
 * A driver that uses it has a struct elastic_walk first in its scratch and a struct nodes_memory first in its memory.
 */
#ifndef WEIR_TRIGGER_ELASTIC_H
#define WEIR_TRIGGER_ELASTIC_H

#include "trigger/common/nodes.h"

struct elastic {
    const struct param_list *addresses;
    const char *username, *cloud_id;
    const char *cloud_url; /* what cloud_id means; in the trigger's arena */
    const char *ca, *certificate;
    const struct secret *password, *key, *api_key;
    bool unsafe, by_certificate;
};

struct elastic_walk {
    struct nodes_walk nodes; /* first: nodes.c finds its own there */
    const struct elastic *cluster;
    const char *path, *body;
    poll_step *then;
    bool failures_too;
};

/* Rules between the parameters of a cluster that is either a list of addresses with a user or a cloud ID with a key. */
bool elastic_check(struct elastic *cluster, struct trigger_check *check);
/* driver.destinations: all nodes. */
void elastic_destinations(const struct elastic *cluster, struct destinations *out);

/* POST of a JSON body; then() sees a good answer. Node after node is tried while none can be reached (nodes.h). */
enum poll_next elastic_send(struct poll *poll, const struct elastic *cluster, const char *path, const char *body,
                            poll_step *then);
/* The same, but then() is told of a failure too: reply->failed and reply->error. */
enum poll_next elastic_try(struct poll *poll, const struct elastic *cluster, const char *path, const char *body,
                           poll_step *then);
/* Ends the poll with the number that a GJSON path leads to; said: ignoreNullValues, for a null and for nothing. */
enum poll_next elastic_value(struct poll *poll, const struct tree *answer, const char *location,
                             enum param_switch said);

#endif
