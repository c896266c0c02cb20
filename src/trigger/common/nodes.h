/*
 * nodes: of several servers that give the same answer, the next is asked while one cannot be reached; the one that answered is asked
 * first the next time.
 *
 *     struct place { struct nodes_walk walk; ... };           -- first in the poll's scratch
 *     struct memory { struct nodes_memory nodes; ... };       -- first in the trigger's memory
 *
 *     return nodes_send(c, poll, c->endpoints->count, ask_node, on_answer);
 *
 * A driver for which an answer, too, can be a reason to ask the next one (a standby that says so) goes on with nodes_next, and asks
 * the one that answered something more with nodes_ask.
 */
#ifndef WEIR_TRIGGER_NODES_H
#define WEIR_TRIGGER_NODES_H

#include "trigger/driver.h"

/* As many as a poll may wait for one after the other: of a larger cluster the rest is asked by the polls to come. */
enum { NODES_TRIES_MAX = 8, NODES_SAID_MAX_BYTES = 300 /* what all of them said has room in an error */ };

/* The same question for each: made anew, as each has an address of its own. */
typedef struct request *nodes_request(const void *config, struct poll *poll, size_t node);

struct nodes_memory {
    size_t node; /* that answered last */
};
struct nodes_walk {
    size_t count, tried;
    nodes_request *make;
    poll_step *then;
    char said[NODES_SAID_MAX_BYTES]; /* by those that were of no use */
};

/* then() is told of a failure, too, where it is not one of reaching a server, or none was reached: reply->failed and reply->error. */
enum poll_next nodes_send(const void *config, struct poll *poll, size_t count, nodes_request *make, poll_step *then);
/* Another question to the server that answered; then() is told of any failure. */
enum poll_next nodes_ask(const void *config, struct poll *poll, nodes_request *make, poll_step *then);
/* What the server answered is of no use: all that was asked with nodes_send and after it is asked of the next one. When all were asked
   the poll fails with what each of them said. */
enum poll_next nodes_next(const void *config, struct poll *poll, const struct error *why);

#endif
