/* nodes: see nodes.h. */
#include "trigger/common/nodes.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "trigger/trigger_internal.h"

enum { SAID_BY_ONE_MAX = 120 /* so that what three say is seen */ };

/* Secrets go before the words are cut: of one that was cut, with others' words behind it, nobody could tell any more. */
static void add_said(struct poll *poll, const struct error *why)
{
    struct nodes_walk *walk = poll_scratch(poll);
    size_t used = strlen(walk->said);
    struct error said = *why;

    redact(&said, flight_of(poll)->trigger->driver, poll->config, poll->sent);
    snprintf(walk->said + used, sizeof(walk->said) - used, "%s(%zu) %.*s", used > 0 ? "; " : "", walk->tried,
             SAID_BY_ONE_MAX, said.text);
    walk->said[utf8_valid_prefix(walk->said, strlen(walk->said))] = '\0';
}

static bool all_tried(const struct nodes_walk *walk)
{
    return walk->tried >= walk->count || walk->tried >= NODES_TRIES_MAX;
}

/* From one that is of no use to the next. false: there is none, and *why becomes what all of them said. */
static bool turn_to_next(struct poll *poll, struct error *why)
{
    struct nodes_walk *walk = poll_scratch(poll);
    struct nodes_memory *memory = poll_memory(poll);

    if (all_tried(walk))
        return false; /* was said already */
    walk->tried++;
    memory->node = (memory->node + 1) % walk->count;
    add_said(poll, why);
    if (all_tried(walk) && walk->tried > 1)
        error_set(why, why->kind, "no server answers as it should: %s", walk->said);
    return !all_tried(walk);
}

static enum poll_next ask_node(const void *config, struct poll *poll);

static enum poll_next after_node(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct nodes_walk *walk = poll_scratch(poll);
    struct reply last = *reply;

    if (reply->failed && reply->error.kind == ERROR_UNREACHABLE && turn_to_next(poll, &last.error))
        return ask_node(config, poll);
    return walk->then(config, poll, &last);
}

static enum poll_next ask_node(const void *config, struct poll *poll)
{
    const struct nodes_walk *walk = poll_scratch(poll);

    return nodes_ask(config, poll, walk->make, after_node);
}

enum poll_next nodes_ask(const void *config, struct poll *poll, nodes_request *make, poll_step *then)
{
    return poll_try(poll, make(config, poll, ((struct nodes_memory *)poll_memory(poll))->node), then);
}

enum poll_next nodes_next(const void *config, struct poll *poll, const struct error *why)
{
    struct error error = *why;

    return turn_to_next(poll, &error) ? ask_node(config, poll) : poll_fail_with(poll, &error);
}

enum poll_next nodes_send(const void *config, struct poll *poll, size_t count, nodes_request *make, poll_step *then)
{
    struct nodes_walk *walk = poll_scratch(poll);
    struct nodes_memory *memory = poll_memory(poll);

    walk->count = count;
    walk->tried = 0;
    walk->make = make;
    walk->then = then;
    walk->said[0] = '\0';
    memory->node %= count;
    return ask_node(config, poll);
}
