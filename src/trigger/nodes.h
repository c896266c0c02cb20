/*
 * nodes: of several servers that give the same answer, the next is asked while one cannot be reached; the one that answered is asked
 * first the next time.
 *
 *     struct place { struct nodes_walk walk; ... };           -- first in the poll's scratch
 *     struct memory { struct nodes_memory nodes; ... };       -- first in the trigger's memory
 *
 *     return nodes_send(c, poll, c->endpoints->count, ask_node, on_answer);
 */
#ifndef WEIR_TRIGGER_NODES_H
#define WEIR_TRIGGER_NODES_H

#include "trigger/driver.h"

/* The same question for each: made anew, as each has an address of its own. */
typedef struct request *nodes_request(const void *config, struct poll *poll, size_t node);

struct nodes_memory {
    size_t node; /* that answered last */
};
struct nodes_walk {
    size_t count, tried;
    nodes_request *make;
    poll_step *then;
    struct reply reply;
};

/* then() is told of a failure, too: reply->failed and reply->error, of the last one asked. What it points to lives as long as the
   poll. At most NODES_TRIES_MAX are asked. */
enum { NODES_TRIES_MAX = 5 };
enum poll_next nodes_send(const void *config, struct poll *poll, size_t count, nodes_request *make, poll_step *then);

#endif
