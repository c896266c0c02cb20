/* virtual_internal: what the files of the virtual world share. */
#ifndef WEIR_SIM_VIRTUAL_INTERNAL_H
#define WEIR_SIM_VIRTUAL_INTERNAL_H

#include "net/implement.h"
#include "sim/virtual.h"

struct event;
typedef void event_fire(struct event *event);
struct event { /* part of whatever happens: a timer, a post, an exchange, a stream, a job */
    struct due due;
    event_fire *fire;
};

struct virtual_loop {
    struct loop loop; /* first */
    struct virtual_world *world;
};
struct virtual_transport {
    struct transport transport; /* first */
    struct virtual_world *world;
};

struct posted;
struct exchange;
struct stream;
struct job;

struct virtual_world {
    struct virtual_loop loop;
    struct virtual_transport transport;
    struct due_heap events;
    int64_t ticks_ms, jumped_ms; /* the wall clock is their sum */
    uint64_t random;
    bool stopping;
    struct posted *posted; /* all that wait */

    /* http */
    struct gate *gate;
    struct map *answerers;  /* by prefix */
    size_t *prefix_lengths; /* those in use, longest first */
    size_t prefix_length_count;
    struct exchange *exchanges; /* all under way */
    size_t exchange_count;

    /* streams */
    struct map *talkers; /* by "host:port" */
    struct stream *streams;
    size_t stream_count;

    /* jobs */
    struct gate *work_gate;
    int64_t work_delay_ms;
    struct job *jobs;
    size_t job_count;
};

void event_at(struct virtual_world *world, struct event *event, int64_t at_ms, event_fire *fire);
void event_after(struct virtual_world *world, struct event *event, int64_t after_ms, event_fire *fire); /* saturates */
void event_clear(struct virtual_world *world, struct event *event);

extern const struct loop_ops virtual_loop_ops;
void virtual_loop_done(struct virtual_world *world);

struct exchange *virtual_http(struct transport *transport, const struct http_request *request, http_done *done,
                              void *arg);
void virtual_http_cancel(struct exchange *exchange);
void virtual_http_init(struct virtual_world *world);
void virtual_http_cancel_all(struct virtual_world *world);
void virtual_http_done(struct virtual_world *world);

struct stream *virtual_stream_open(struct transport *transport, const struct stream_request *request);
void virtual_stream_write(struct stream *stream, const void *bytes, size_t length);
void virtual_stream_close(struct stream *stream);
void virtual_stream_init(struct virtual_world *world);
void virtual_stream_close_all(struct virtual_world *world);
void virtual_stream_done(struct virtual_world *world);

struct job *virtual_work(struct transport *transport, const char *ns, const char *destination, int64_t timeout_ms,
                         job_work *work, job_done *done, void (*release)(void *arg), void *arg);
void virtual_work_cancel(struct job *job);
void virtual_work_init(struct virtual_world *world);
void virtual_work_cancel_all(struct virtual_world *world);
void virtual_work_done(struct virtual_world *world);

#endif
