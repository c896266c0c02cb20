/* http_internal: between the life of an exchange (http.c) and the library that carries it (http_curl.c, http_error.c). */
#ifndef WEIR_NET_HTTP_INTERNAL_H
#define WEIR_NET_HTTP_INTERNAL_H

#include <curl/curl.h>

#include "base/text.h"
#include "net/net_internal.h"

struct event;
struct http_slot;
struct socket_watch;

struct exchange {
    struct http_client *client;
    struct exchange *previous, *next; /* all under way */
    struct exchange *next_failing;
    struct gate_ticket ticket;
    struct http_call *call;
    struct tls_profile *profile;
    struct http_slot *slot;          /* while it is on the wire */
    struct timer *patience;          /* while it waits at the gate */
    int64_t started_ms, deadline_ms; /* ticks */
    http_done *done;                 /* NULL: cancelled */
    void *arg;
    bool failing; /* known to fail, and told in a later turn */
    bool opens;   /* HTTP/2 without TLS: it may open a connection (http_curl.c) */
    int tries_opening;
    bool ended; /* the library is through with it */
    struct error error;
    /* answers without end */
    int64_t heard_ms; /* ticks of the last bytes */
    bool flows;       /* the head of an answer without end is here: what follows goes to on_body */
    /* asked or cancelled while the library hands over bytes */
    struct exchange *next_later;
    bool starting, cancelled;
};

/* An easy handle and what it was told, so that the next exchange tells it only what differs. */
struct http_slot {
    struct http_client *client;
    struct http_slot *next_free;
    struct exchange *exchange;
    CURL *easy;
    /* as set */
    uint64_t profile_number;
    int64_t timeout_ms;
    long http_version;
    const char *proxy; /* of the environment */
    bool own_proxy;    /* that of the call is set */
    bool fresh, tunnel, plain_get, has_headers, has_connect_to, has_socket_path, has_connect_timeout;
    /* what stands behind pointers the library keeps */
    struct curl_slist *header_nodes;
    size_t header_room;
    struct text header_lines, url;
    struct curl_slist connect_to;
    char connect_to_text[300];
    /* the answer */
    struct text head, body;
    struct http_header *headers;
    size_t headers_room;
    int status; /* of the head that is read */
    bool head_overflows, body_overflows, not_taken, tls_began;
    bool lacks_connection;      /* it may not open one, and there was none */
    const char *egress_refusal; /* static text */
    int no_socket;              /* why the last attempt could not even make one; 0: it could */
    char why[CURL_ERROR_SIZE];
};

/* Where a connection could not be opened lately: who waited for it need not try in turn. */
struct lost_place {
    char origin[300];
    int64_t at_ms; /* ticks */
    struct error error;
};
enum { LOST_PLACES = 8 };

struct http_client {
    struct http_client_options options;
    CURLM *multi;
    struct gate *gate;
    struct exchange *exchanges;
    struct exchange *failing, *last_failing;
    struct http_slot *free_slots;
    size_t free_slot_count;
    /* The library calls on_body, and may not be called from there: what is to start and to stop waits until it is through. */
    bool handing_over;
    struct exchange *starting, *last_starting, *cancelled;
    struct event *kick; /* runs what was started in this turn, and tells of what is known to fail */
    bool kicked, curl_is_due;
    bool acting;                   /* libcurl is at work, and calls us */
    struct timer *timer;           /* the library's */
    struct timer *stuck;           /* looks for connections to reset */
    struct socket_watch **watches; /* by descriptor */
    size_t watch_room;
    struct lost_place lost[LOST_PLACES];
    size_t lost_next;
    char *http_proxy, *https_proxy, *no_proxy, *user_agent;
    bool keep_alive;
};

/* http_curl.c */
bool http_curl_open(struct http_client *client, struct error *err);
void http_curl_close(struct http_client *client);
void http_curl_start(struct exchange *exchange, int64_t timeout_ms); /* takes a slot */
void http_curl_stop(struct exchange *exchange);                      /* off the wire; the slot and its answer stay */
bool http_curl_is_busy(const struct exchange *exchange); /* cannot be stopped before the library is through */
/* It ended only because it may not open a connection, and there is none. */
bool http_curl_lacks_connection(const struct exchange *exchange);
/* Then: false, with exchange->error, if the one it waited for could not be opened; else it is to be started again, and who opens one is
   chosen. */
bool http_curl_begins_anew(struct exchange *exchange);
void http_curl_note_lost(const struct exchange *exchange); /* it failed, with exchange->error */
void http_slot_free(struct http_slot *slot);               /* back into the pool */
void http_client_kick(struct http_client *client);

/* http.c: the library is through with an exchange. Never called from inside one of its callbacks. */
void http_exchange_ended(struct exchange *exchange, CURLcode result);
void http_exchange_fail_later(struct exchange *exchange); /* with exchange->error */
void http_client_tell_failing(struct http_client *client);
void http_client_free_cancelled(struct http_client *client);
/* The same for an answer without end. From inside the library's callbacks. */
void http_exchange_begins(struct exchange *exchange);
/* May it connect there? And be sent over a connection that leads there? */
bool http_egress_allows(const struct exchange *exchange, const struct sockaddr *address, const char **why);
bool http_egress_allows_again(const struct exchange *exchange, const char *address, int port, const char **why);
bool http_exchange_hears(struct exchange *exchange, const char *bytes, size_t length);

/* http_error.c */
void http_explain(const struct http_slot *slot, CURLcode result, struct error *err);
enum failure_phase http_phase(const struct http_slot *slot);

#endif
