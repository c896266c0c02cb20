/*
 * implement: for who implements the seams loop.h and transport.h (the real ones here, the virtual ones in sim/), so that both
 * keep the same promises with the same code and say the same words. Nobody else includes this.
 *
 *     due heap   what happens when: a binary heap by (ms, order of setting)
 *     gate       how many may be under way, in all, for one destination and for one who asks; the rest waits in order, and may press
 *     http_call  a request that was checked and copied, its destination, and where a redirect leads
 *     failures   the sentences for what goes wrong between us and a destination
 *
 * Loop thread only, except where said.
 */
#ifndef WEIR_NET_IMPLEMENT_H
#define WEIR_NET_IMPLEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/transport.h"

/* From a member back to the struct it is part of. */
#define owner_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* ---- due heap ---- */
struct due { /* part of what is due; zeroed before its first use */
    int64_t at_ms;
    uint64_t order; /* equal times come in the order in which they were set */
    size_t place;   /* in the heap, counted from 1; 0: not in it */
};
struct due_heap { /* zeroed: empty */
    struct due **items;
    size_t count, room;
    uint64_t last_order;
};
void due_set(struct due_heap *heap, struct due *due, int64_t at_ms); /* replaces an earlier setting */
void due_clear(struct due_heap *heap, struct due *due);              /* nothing if it is not set */
struct due *due_first(const struct due_heap *heap);                  /* NULL: empty */
void due_heap_done(struct due_heap *heap); /* frees the heap's own memory, not what is in it */

/* ---- gate ---- */
struct gate;
struct gate_ticket { /* part of what passes; zeroed before */
    struct gate_lane *lane;
    struct gate_ticket *previous, *next;
    bool waiting, presses;
};
typedef void gate_admit(void *arg, struct gate_ticket *ticket);
/* admit is called, from inside gate_leave of another one, for a ticket whose turn has come. */
struct gate *gate_new(size_t all_max, size_t destination_max, gate_admit *admit, void *arg);
void gate_free(struct gate *gate); /* all tickets have left; NULL is fine */
/* true: go ahead. false: wait for admit, behind those of the same destination; destinations take turns. */
bool gate_enter(struct gate *gate, struct gate_ticket *ticket, const char *destination);
/* The same, counted by share too, whatever the destination: no share has more than share_max under way. NULL: it is not. */
bool gate_enter_as(struct gate *gate, struct gate_ticket *ticket, const char *destination, const char *share);
void gate_bound_shares(struct gate *gate, size_t share_max); /* without it: all_max */
/* Of one destination so many go ahead at once, below its bound; more only while somebody waits who presses. */
void gate_hold_back(struct gate *gate, size_t usual_max);
/* It has waited long enough: it goes up to the bound of the destination, and so do those that have waited longer. admit may be
   called from here. One that does not wait is fine. */
void gate_press(struct gate *gate, struct gate_ticket *ticket);
/* Gives the place back, or up. Exactly once for each ticket that entered. */
void gate_leave(struct gate *gate, struct gate_ticket *ticket);
size_t gate_under_way(const struct gate *gate);
size_t gate_waiting(const struct gate *gate);

/* ---- requests ---- */
struct http_call { /* one block: freed as a whole */
    struct http_request
        request;               /* all texts are copies; secrets are references; timeout and body limit are filled in */
    const char *place;         /* "prom:9090": for messages, and what is counted at the gate */
    const char *origin;        /* "http://prom:9090": what secrets are bound to */
    const char *scheme, *host; /* lower case; host of IPv6 without brackets; of http+unix the path of the socket */
    int port;
    const char *user; /* "name:password@" in request.url, user_length bytes of it */
    size_t user_length;
    const char *path; /* in request.url: what follows the port */
    int redirects;    /* followed so far */
};
/* NULL and *err (ERROR_INVALID) for a URL, method or header that cannot be sent. Nothing in err comes from a secret. */
struct http_call *http_call_new(const struct http_request *request, struct error *err);
void http_call_free(struct http_call *call); /* NULL is fine */
bool http_status_redirects(int status);
/* What to ask after a redirecting answer with this Location: secrets, cookies and the client certificate stay behind when the
   origin changes; POST becomes GET except for 307 and 308. NULL and *err: it must not be followed. `call` stays as it was. */
struct http_call *http_call_redirected(const struct http_call *call, int status, const char *location,
                                       struct error *err);

/* ---- failures: each sets *err ---- */
enum failure_phase { PHASE_QUEUED, PHASE_RESOLVING, PHASE_CONNECTING, PHASE_TLS, PHASE_WAITING, PHASE_READING };
void failure_timeout(struct error *err, const char *place, enum failure_phase phase, int64_t timeout_ms);
void failure_refused(struct error *err, const char *place);
void failure_connect(struct error *err, const char *place, int number); /* an errno */
void failure_body_limit(struct error *err, const char *place, const struct http_request *request);
void failure_header_limit(struct error *err, const char *place);
void failure_idle(struct error *err, const char *place, int64_t timeout_ms); /* of a stream, or an answer without end */
void failure_write_limit(struct error *err, const char *place);              /* of a stream */
void failure_broken(struct error *err, const char *place);
void failure_not_taken(struct error *err, const char *place); /* on_body said no */
/* "host:port" or the path of a Unix socket. */
void stream_place(const struct stream_request *request, char *out, size_t size);

#endif
