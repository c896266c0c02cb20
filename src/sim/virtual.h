/*
 * virtual: the loop and the transport without time and without sockets, for simulation and for tests. Time passes only when
 * nothing is left to do at this instant; the code above cannot tell the difference.
 *
 *     struct virtual_world *w = virtual_world_new(seed, start_at_ms);
 *     virtual_answer(w, "http://prom:9090", answer_prometheus, me);    -- who answers which destination
 *     ... build an autoscaler on virtual_loop(w) and virtual_transport(w) ...
 *     virtual_run_until(w, start_at_ms + HOUR_MS);
 *
 * Faults are injected by answering late, wrong or never, and by virtual_jump. Same seed, same run.
 *
 * What happens is a heap of events by (ticks, order of arranging). A step takes the first, moves the ticks to it and calls it.
 * Requests pass the same gate as real ones, are checked, redirected and refused by the same code, and fail with the same words.
 * loop_run() runs until loop_stop() or until nothing will ever happen. One thread: loop_post() too is for the loop's own.
 * Freeing the loop or the transport through its own table cancels what is under way; the memory goes with the world.
 */
#ifndef WEIR_SIM_VIRTUAL_H
#define WEIR_SIM_VIRTUAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"
#include "net/transport.h"

struct virtual_world;

struct virtual_world *virtual_world_new(uint64_t seed, int64_t start_at_ms);
void virtual_world_free(struct virtual_world *world);
struct loop *virtual_loop(struct virtual_world *world);
struct transport *virtual_transport(struct virtual_world *world);
uint64_t virtual_random(struct virtual_world *world); /* SplitMix64, from the seed */

/* What a source says to one request. Defaults: 200, empty body, at once. */
struct virtual_reply {
    int64_t after_ms; /* later than the request's timeout: the exchange times out, as it would */
    bool never;       /* no answer: times out */
    bool refused;     /* connection refused */
    int status;
    const char *content_type, *body; /* copied; body may hold 0 bytes when length is set */
    size_t length;
    const struct http_header *headers;
    size_t header_count;
    /* For who asked with on_body: the answer goes on after body. Once the answerer has returned, what to say more to stands here,
       and NULL from when the exchange is gone, whoever ended it. */
    struct virtual_body **open;
};
/* Called when the request arrives, in a turn of its own. What reply points to is copied before anything else is called, so a
   static buffer or one of the answerer's own serves. */
typedef void virtual_answerer(void *arg, const struct http_request *request, struct virtual_reply *reply);
/* prefix: of the URL ("http://prom:9090/api"); the longest wins; without one the connection is refused. */
void virtual_answer(struct virtual_world *world, const char *url_prefix, virtual_answerer *answer,
                    void *arg); /* NULL: nobody */

/* The rest of an answer without end. What is said arrives in the order in which it was said; its reader gets it, like the body
   that the answer began with, in pieces whose sizes come from the seed. NULL: nobody is there any more, and nothing happens. */
struct virtual_body;
void virtual_body_say(struct virtual_body *body, const void *bytes, size_t length, int64_t after_ms);
void virtual_body_end(struct virtual_body *body, int64_t after_ms);   /* that was all */
void virtual_body_break(struct virtual_body *body, int64_t after_ms); /* the connection breaks */

/* A byte stream server: called with everything the client wrote so far in this turn; writes with virtual_stream_say.
   opened: the client has just connected, and there are no bytes yet. What is said arrives in the order in which it was said. */
struct virtual_stream;
typedef void virtual_talker(void *arg, struct virtual_stream *stream, const char *bytes, size_t length, bool opened);
void virtual_talk(struct virtual_world *world, const char *host_port, virtual_talker *talk,
                  void *arg); /* NULL: refused */
/* From now on connections to it are neither accepted nor refused: they time out. */
void virtual_talk_silent(struct virtual_world *world, const char *host_port, bool silent);
void virtual_stream_say(struct virtual_stream *stream, const void *bytes, size_t length, int64_t after_ms);
void virtual_stream_hang_up(struct virtual_stream *stream, int64_t after_ms);

/* Blocking jobs run at once, in the turn after they were started, or this much later. VIRTUAL_NEVER: they hang. Holds for
   jobs that get their thread from now on. */
#define VIRTUAL_NEVER INT64_MAX
void virtual_work_delay(struct virtual_world *world, int64_t after_ms);

bool virtual_step(struct virtual_world *world); /* one callback; false: nothing will ever happen */
void virtual_run_until(struct virtual_world *world, int64_t ticks_at_ms); /* of virtual wall time without jumps */
void virtual_jump(struct virtual_world *world, int64_t by_ms);            /* the wall clock steps; ticks do not */
size_t virtual_pending(const struct virtual_world *world); /* exchanges, streams and jobs under way: leak tests */

#endif
