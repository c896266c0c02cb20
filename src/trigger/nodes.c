/* nodes: see nodes.h. */
#include "trigger/nodes.h"

#include "base/arena.h"
#include "net/transport.h"

static const struct http_header *copy_headers(struct arena *arena, const struct reply *reply)
{
    struct http_header *copy = arena_array(arena, reply->header_count + 1, sizeof(*copy));

    for (size_t i = 0; i < reply->header_count; i++)
        copy[i] = (struct http_header){.name = arena_copy(arena, reply->headers[i].name),
                                       .value = arena_copy(arena, reply->headers[i].value)};
    return copy;
}

/* An answer is only lent: what may be needed after it is copied. */
static void on_reply(const void *config, struct poll *poll, const struct reply *reply)
{
    struct nodes_walk *walk = poll_scratch(poll);

    (void)config;
    walk->reply = *reply;
    walk->reply.body = arena_copy_bytes(poll_arena(poll), reply->body ? reply->body : "", reply->length);
    walk->reply.headers = copy_headers(poll_arena(poll), reply);
}

static enum poll_next ask_node(const void *config, struct poll *poll);

static enum poll_next after_node(const void *config, struct poll *poll, const struct reply *none)
{
    struct nodes_walk *walk = poll_scratch(poll);
    struct nodes_memory *memory = poll_memory(poll);

    (void)none;
    walk->tried++;
    if (walk->reply.failed && walk->reply.error.kind == ERROR_UNREACHABLE) {
        memory->node = (memory->node + 1) % walk->count;
        if (walk->tried < walk->count && walk->tried < NODES_TRIES_MAX)
            return ask_node(config, poll);
    }
    return walk->then(config, poll, &walk->reply);
}

static enum poll_next ask_node(const void *config, struct poll *poll)
{
    struct nodes_walk *walk = poll_scratch(poll);
    struct nodes_memory *memory = poll_memory(poll);
    struct request *request = walk->make(config, poll, memory->node);

    return poll_send_all(poll, &request, 1, on_reply, after_node);
}

enum poll_next nodes_send(const void *config, struct poll *poll, size_t count, nodes_request *make, poll_step *then)
{
    struct nodes_walk *walk = poll_scratch(poll);
    struct nodes_memory *memory = poll_memory(poll);

    walk->count = count;
    walk->tried = 0;
    walk->make = make;
    walk->then = then;
    memory->node %= count;
    return ask_node(config, poll);
}
