/*
 * http_curl: libcurl's multi interface on our loop. It carries one request and one answer at a time and knows nothing of gates
 * and redirects.
 *
 * What it costs is what polls cost, so:
 *   - easy handles are kept and told only what differs from the last exchange;
 *   - a socket stays in epoll while its connection lives: libcurl takes it out after each answer and puts it in again with the
 *     next question, and both would be system calls. Bytes that come while nobody waits (a server that closes) take it out;
 *   - all exchanges that start in a turn are sent in one go, by one event that costs no system call;
 *   - libcurl's one timer is a timer of the loop.
 *
 * An answer without end goes to its reader from inside libcurl's write callback. libcurl must not be told of exchanges there
 * (CURLM_RECURSIVE_API_CALL), so what the reader starts and cancels is put aside and done by settle(), before anything else is.
 *
 * Uncounted exchanges over TLS offer HTTP/2, and gRPC speaks nothing else: where the server takes it, all of them share one connection (the
 * others wait for the first to learn that, PIPEWAIT). A connection that many share must be found out when it is dead, for each time-out would
 * leave it in place: so the kernel is told when to give up on it (TCP_USER_TIMEOUT), and to try it when nothing is said. And what a
 * request whose time is over had sent must not arrive later, when the way is free again: a connection on which bytes are sent
 * again and again then is reset, which also throws them away.
 *
 * HTTP/2 without TLS (gRPC) has to be known beforehand, and libcurl 7.88 that is told so (PRIOR_KNOWLEDGE) greets the server anew on a connection
 * it has already, which breaks that connection for all. So only who opens a connection says so, and takes no other (FRESH_CONNECT). All begin
 * without: there is a connection, or one that is being opened (PIPEWAIT), or libcurl wants a socket, does not get it, and the exchange
 * begins anew as one that opens. Nothing was sent by then. Where that one fails, all that waited for it fail with it: a
 * server that is away is tried once, not by each of them.
 *
 * TLS: trust and client certificate are set in SSL_CTX_FUNCTION from a profile (tls.c). What libcurl tells connections apart by
 * does not include that, so each profile also gets a CAPATH of its own that cannot exist: libcurl compares it, and
 * OpenSSL finds nothing there. Giving one at all also keeps libcurl from putting its own cached store in place of ours.
 */
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/crypto.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "net/http_internal.h"

enum {
    SLOTS_KEPT = 24,             /* easy handles that wait for work; each about 10 KB */
    BODY_KEPT_BYTES = 16 * 1024, /* a larger answer's buffer is given back */
    WAITS_FOR_ANOTHER_MAX = 100, /* for a connection that another exchange opens, which may be full when it is there */
    HTTP2_EXCHANGES_MAX = 1000,  /* on one connection, if the server allows as many; libcurl's own: 100 */
    STUCK_LOOK_MS = 500,         /* the kernel sends again after 200 ms at the latest, on most networks */
    LIBRARY_CONNECT_TIMEOUT_MS = 300 * 1000, /* its own for connecting, if it is told nothing */
};

struct socket_watch {
    struct event read, write;
    struct http_client *client;
    int fd;
    int wanted;         /* CURL_CSELECT_IN | CURL_CSELECT_OUT */
    bool reads, writes; /* in epoll */
    bool ours;          /* opened by us, and so closed by us too: may stay in epoll between exchanges */
    bool connected;     /* an answer was waited for */
    bool shared;        /* many exchanges at once, over HTTP/2 */
};

/* ---- what is done ---- */
static void drain(struct http_client *client)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(client->multi, &left))) {
        struct http_slot *slot = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&slot);
        assert(slot && slot->exchange);
        http_exchange_ended(slot->exchange, message->data.result);
    }
}

static void add_to_wire(struct exchange *exchange)
{
    CURLMcode added = curl_multi_add_handle(exchange->client->multi, exchange->slot->easy);

    assert(added == CURLM_OK);
}

/* What was asked and cancelled while bytes were handed over. */
static void settle(struct http_client *client)
{
    assert(!client->handing_over);
    http_client_free_cancelled(client);
    while (client->starting) {
        struct exchange *exchange = client->starting;

        client->starting = exchange->next_later;
        exchange->starting = false;
        add_to_wire(exchange);
    }
    client->last_starting = NULL;
}

static void act(struct http_client *client, curl_socket_t fd, int events)
{
    int running;

    client->acting = true;
    curl_multi_socket_action(client->multi, fd, events, &running);
    client->acting = false;
    settle(client);
    drain(client);
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
    struct http_client *client = arg;
    bool is_due = client->curl_is_due;

    (void)fd, (void)what;
    client->kicked = client->curl_is_due = false;
    http_client_tell_failing(client);
    if (is_due)
        act(client, CURL_SOCKET_TIMEOUT, 0);
}

void http_client_kick(struct http_client *client)
{
    if (client->kicked)
        return;
    client->kicked = true;
    event_active(client->kick, EV_TIMEOUT, 0);
}

/* ---- the library's timer ---- */
static void on_timer(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* "At once" while it reads means that a server sends faster than we take: others have their turn first. */
static int on_timer_change(CURLM *multi, long timeout_ms, void *arg)
{
    struct http_client *client = arg;

    (void)multi;
    if (timeout_ms > 0 || (timeout_ms == 0 && client->acting)) {
        loop_timer_set(client->timer, timeout_ms);
        return 0;
    }
    loop_timer_stop(client->timer);
    if (timeout_ms == 0) {
        client->curl_is_due = true;
        http_client_kick(client);
    }
    return 0;
}

/* ---- sockets ---- */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct socket_watch *watch = arg;

    (void)what;
    if (watch->wanted & CURL_CSELECT_IN) {
        act(watch->client, fd, CURL_CSELECT_IN);
        return;
    }
    event_del(
        &watch->read); /* nobody waits: the server closed, which is found out when the connection is wanted again */
    watch->reads = false;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct socket_watch *watch = arg;

    (void)what;
    act(watch->client, fd, CURL_CSELECT_OUT);
}

static struct socket_watch *watch_for(struct http_client *client, int fd)
{
    struct socket_watch *watch;

    assert(fd >= 0);
    if ((size_t)fd >= client->watch_room) {
        size_t room = (size_t)fd + 64;

        client->watches = mem_grow(client->watches, room, sizeof(struct socket_watch *));
        memset(&client->watches[client->watch_room], 0, (room - client->watch_room) * sizeof(struct socket_watch *));
        client->watch_room = room;
    }
    watch = client->watches[fd];
    if (watch)
        return watch;
    watch = mem_alloc(sizeof *watch);
    watch->client = client;
    watch->fd = fd;
    event_assign(&watch->read, loop_event_base(client->options.loop), fd, EV_READ | EV_PERSIST, on_readable, watch);
    event_assign(&watch->write, loop_event_base(client->options.loop), fd, EV_WRITE | EV_PERSIST, on_writable, watch);
    return client->watches[fd] = watch;
}

static void turn_watch(struct event *event, bool *is_on, bool on)
{
    if (*is_on == on)
        return;
    if (on)
        event_add(event, NULL);
    else
        event_del(event);
    *is_on = on;
}

static void forget_watch(struct http_client *client, int fd)
{
    struct socket_watch *watch = (size_t)fd < client->watch_room ? client->watches[fd] : NULL;

    if (!watch)
        return;
    turn_watch(&watch->read, &watch->reads, false);
    turn_watch(&watch->write, &watch->writes, false);
    client->watches[fd] = NULL;
    free(watch);
}

/* libcurl waits for an answer: it is connected. A number that we opened may meanwhile be one end of a pair of libcurl's own, by
   which it hears of names looked up: that is no TCP socket, and must not stay in epoll when libcurl lets go of it. */
static void note_connected(struct socket_watch *watch)
{
    int domain = AF_UNSPEC;
    socklen_t size = sizeof domain;

    if (watch->connected)
        return;
    watch->connected = true;
    if (!watch->ours)
        return;
    getsockopt(watch->fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    watch->ours = domain == AF_INET || domain == AF_INET6;
    if (watch->ours)
        watch->client->options.stats->connections_now++;
}

static int on_socket_change(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    struct http_client *client = arg;
    struct socket_watch *watch;

    (void)easy, (void)unused;
    if (what == CURL_POLL_REMOVE) {
        watch = (size_t)fd < client->watch_room ? client->watches[fd] : NULL;
        if (!watch)
            return 0;
        watch->wanted = 0;
        turn_watch(&watch->write, &watch->writes, false);
        if (!watch->ours || !watch->connected)
            forget_watch(client, fd);
        return 0;
    }
    watch = watch_for(client, fd);
    watch->wanted = (what & CURL_POLL_IN ? CURL_CSELECT_IN : 0) | (what & CURL_POLL_OUT ? CURL_CSELECT_OUT : 0);
    if (what & CURL_POLL_IN) {
        note_connected(watch);
        turn_watch(&watch->read, &watch->reads, true);
    }
    turn_watch(&watch->write, &watch->writes, (what & CURL_POLL_OUT) != 0);
    return 0;
}

/* libcurl 7.88 closes a socket that did not get connected without telling us, neither before nor by our function, and may open
   the next one, to the next address of a name, under the same number without asking for events: it thinks them asked for.
   True if that is so. */
static bool take_over(struct http_client *client, int fd)
{
    const struct socket_watch *watch = (size_t)fd < client->watch_room ? client->watches[fd] : NULL;
    bool wanted_write = watch && watch->writes;

    forget_watch(client, fd);
    return wanted_write;
}

/* Many exchanges at once have one connection, over HTTP/2. */
static bool is_shared(const struct http_request *request)
{
    return request->uncounted || request->http2;
}

static bool is_plain_http2(const struct http_call *call)
{
    return call->request.http2 && strcmp(call->scheme, "https") != 0;
}

/* Best effort: a socket that cannot do this is used all the same. */
static void watch_over_peer(int fd)
{
    const int on = 1, dead_ms = HTTP_DEAD_CONNECTION_MS, silent_s = HTTP_DEAD_CONNECTION_MS / 1000, again_s = 5;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &silent_s, sizeof silent_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &again_s, sizeof again_s);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof dead_ms);
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_slot *slot = arg;
    struct http_client *client = slot->client;
    struct socket_watch *watch;
    bool wanted_write;
    int fd;

    (void)purpose;
    if (is_plain_http2(slot->exchange->call) && !slot->exchange->opens) {
        slot->lacks_connection = true;
        return CURL_SOCKET_BAD;
    }
    if (!http_egress_allows(slot->exchange, &address->addr, &slot->egress_refusal))
        return CURL_SOCKET_BAD;
    fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    slot->no_socket = fd < 0 ? errno : 0;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    if (is_shared(&slot->exchange->call->request))
        watch_over_peer(fd);
    wanted_write = take_over(client, fd);
    watch = watch_for(client, fd);
    watch->ours = true;
    watch->shared = is_shared(&slot->exchange->call->request);
    watch->wanted = wanted_write ? CURL_CSELECT_OUT : 0;
    turn_watch(&watch->write, &watch->writes, wanted_write);
    client->options.stats->connections_opened++;
    return fd;
}

/* There is a connection, new or kept, and nothing was sent yet. One that is kept may have been opened for a namespace with other rules. */
static int on_connection(void *arg, char *address, char *own_address, int port, int own_port)
{
    struct http_slot *slot = arg;

    (void)own_address, (void)own_port;
    if (http_egress_allows_again(slot->exchange, address, port, &slot->egress_refusal))
        return CURL_PREREQFUNC_OK;
    return CURL_PREREQFUNC_ABORT;
}

static int on_close_socket(void *arg, curl_socket_t fd)
{
    struct http_client *client = arg;
    const struct socket_watch *watch = (size_t)fd < client->watch_room ? client->watches[fd] : NULL;

    if (watch && watch->ours && watch->connected)
        client->options.stats->connections_now--;
    forget_watch(client, fd);
    return close(fd);
}

/* ---- the answer comes in ---- */
static bool hand_over(struct exchange *exchange, const char *bytes, size_t length)
{
    struct http_client *client = exchange->client;
    bool more;

    client->handing_over = true;
    more = http_exchange_hears(exchange, bytes, length);
    client->handing_over = false;
    return more;
}

static size_t on_body(char *bytes, size_t one, size_t length, void *arg)
{
    struct http_slot *slot = arg;

    (void)one;
    if (slot->exchange->cancelled)
        return 0; /* by another reader, a moment ago */
    if (slot->exchange->flows)
        return hand_over(slot->exchange, bytes, length) ? length : 0;
    if (text_append(&slot->body, bytes, length))
        return length;
    slot->body_overflows = true;
    return 0;
}

static int read_status(const char *line, size_t length)
{
    const char *blank = memchr(line, ' ', length);

    /* The library has read it already: three digits follow. */
    return blank && line + length - blank > 3 ? (blank[1] - '0') * 100 + (blank[2] - '0') * 10 + (blank[3] - '0') : 0;
}

/* A status line starts over: of "100 Continue" and the answer only the latter counts. Trailers come after the body. */
static size_t on_head(char *bytes, size_t one, size_t length, void *arg)
{
    struct http_slot *slot = arg;

    (void)one;
    if (length >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        text_clear(&slot->head);
        slot->status = read_status(bytes, length);
        return length;
    }
    if ((bytes[0] == '\r' || bytes[0] == '\n') && slot->status / 100 == 2 && slot->exchange->call->request.on_body &&
        !slot->exchange->cancelled)
        http_exchange_begins(slot->exchange);
    if (text_append(&slot->head, bytes, length))
        return length;
    slot->head_overflows = true;
    return 0;
}

static CURLcode on_tls(CURL *easy, void *context, void *arg)
{
    struct http_slot *slot = arg;

    (void)easy;
    slot->tls_began = true;
    return tls_profile_apply(slot->exchange->profile, context) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

/* ---- slots ---- */
static void tell_lasting_options(struct http_slot *slot)
{
    struct http_client *client = slot->client;
    CURL *easy = slot->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT,
                     1L); /* a name that is still looked up is left to its thread, not waited for */
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, slot->why);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, client->user_agent);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, client->no_proxy);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, client->keep_alive ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, slot);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, slot);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connection);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, slot);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client);
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, slot);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    slot->http_version = CURL_HTTP_VERSION_1_1;
    slot->plain_get = true;
    slot->proxy = "";
}

static struct http_slot *take_slot(struct http_client *client)
{
    struct http_slot *slot = client->free_slots;

    if (slot) {
        client->free_slots = slot->next_free;
        client->free_slot_count--;
        return slot;
    }
    slot = mem_alloc(sizeof *slot);
    slot->client = client;
    slot->easy = curl_easy_init();
    assert(slot->easy);
    text_init(&slot->head, HTTP_HEADERS_MAX_BYTES);
    text_init(&slot->body, HTTP_BODY_MAX_BYTES);
    text_init(&slot->header_lines, REQUEST_HEADERS_MAX_BYTES);
    text_init(&slot->url, REQUEST_HEADERS_MAX_BYTES);
    tell_lasting_options(slot);
    return slot;
}

static void destroy_slot(struct http_slot *slot)
{
    curl_easy_cleanup(slot->easy);
    text_done(&slot->head);
    text_done(&slot->body);
    text_done(&slot->header_lines);
    text_done(&slot->url);
    free(slot->header_nodes);
    free(slot->headers);
    free(slot);
}

void http_slot_free(struct http_slot *slot)
{
    struct http_client *client = slot->client;

    if (slot->exchange && slot->exchange->call->request.secret && slot->body.capacity > 0)
        OPENSSL_cleanse(slot->body.bytes, slot->body.capacity);
    slot->exchange = NULL;
    OPENSSL_cleanse(slot->header_lines.bytes, slot->header_lines.length);
    text_clear(&slot->header_lines);
    if (client->free_slot_count >= SLOTS_KEPT) {
        destroy_slot(slot);
        return;
    }
    if (slot->body.capacity > BODY_KEPT_BYTES) {
        text_done(&slot->body);
        text_init(&slot->body, HTTP_BODY_MAX_BYTES);
    }
    slot->next_free = client->free_slots;
    client->free_slots = slot;
    client->free_slot_count++;
}

/* ---- the question goes out ---- */
static bool add_line(struct http_slot *slot, const char *name, const char *value, const struct secret *secret)
{
    struct text *lines = &slot->header_lines;
    bool empty = !(value && *value) && !(secret && secret_length(secret));

    return text_add(lines, name) && text_add(lines, empty ? ";" : ": ") && text_add(lines, value) &&
           (!secret || text_append(lines, secret_reveal(secret), secret_length(secret))) && text_add_char(lines, 0);
}

static bool has_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, name) == 0)
            return true;
    return false;
}

static bool write_lines(struct http_slot *slot, const struct http_call *call, size_t *count)
{
    const struct http_request *request = &call->request;

    text_clear(&slot->header_lines);
    *count = request->header_count;
    for (size_t i = 0; i < request->header_count; i++)
        if (!add_line(slot, request->headers[i].name, request->headers[i].value, request->headers[i].secret))
            return false;
    if ((request->body || strcmp(request->method, "POST") == 0) && !has_header(request, "content-type")) {
        /* libcurl would call it a form. A name with a bare colon leaves the header out. */
        if (!text_append(&slot->header_lines, "Content-Type:", sizeof "Content-Type:"))
            return false;
        ++*count;
    }
    if (request->body && request->body_length > 1024 * 1024) {
        if (!text_append(&slot->header_lines, "Expect:", sizeof "Expect:"))
            return false;
        ++*count;
    }
    if (tls_profile_server_name(slot->exchange->profile) && !has_header(request, "host")) {
        if (!add_line(slot, "Host", call->place, NULL))
            return false;
        ++*count;
    }
    return true;
}

static bool tell_headers(struct http_slot *slot, const struct http_call *call)
{
    size_t count;
    char *line;

    if (!write_lines(slot, call, &count))
        return false;
    if (count == 0 && !slot->has_headers)
        return true;
    if (count > slot->header_room) {
        slot->header_room = count + 8;
        slot->header_nodes = mem_grow(slot->header_nodes, slot->header_room, sizeof *slot->header_nodes);
    }
    line = slot->header_lines.bytes;
    for (size_t i = 0; i < count; i++) {
        slot->header_nodes[i].data = line;
        slot->header_nodes[i].next = i + 1 < count ? &slot->header_nodes[i + 1] : NULL;
        line += strlen(line) + 1;
    }
    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, count ? slot->header_nodes : NULL);
    slot->has_headers = count > 0;
    return true;
}

static void tell_method(struct http_slot *slot, const struct http_request *request)
{
    CURL *easy = slot->easy;
    bool plain_get = !request->body && strcmp(request->method, "GET") == 0;

    if (plain_get && slot->plain_get)
        return;
    slot->plain_get = plain_get;
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL); /* makes it a POST, so first */
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);      /* undoes that, and NOBODY */
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
    if (plain_get)
        return;
    if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (request->body || strcmp(request->method, "POST") == 0) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static void tell_profile(struct http_slot *slot, const struct tls_profile *profile)
{
    uint64_t number = tls_profile_number(profile);
    bool verify = !tls_profile_insecure(profile);
    char path[64];

    if (slot->profile_number == number)
        return;
    slot->profile_number = number;
    snprintf(path, sizeof path, "/dev/null/tls-profile-%llu", (unsigned long long)number);
    curl_easy_setopt(slot->easy, CURLOPT_CAPATH, path);
    curl_easy_setopt(slot->easy, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
    curl_easy_setopt(slot->easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
}

static void tell_proxy(struct http_slot *slot, const struct http_call *call)
{
    bool tunnel = is_plain_http2(call); /* no proxy reads it */
    bool own = call->request.proxy != NULL;
    const char *proxy = "";

    if (own)
        proxy = call->request.proxy;
    else if (strcmp(call->scheme, "https") == 0)
        proxy = slot->client->https_proxy;
    else if (strcmp(call->scheme, "http") == 0)
        proxy = tunnel ? slot->client->https_proxy : slot->client->http_proxy;
    if (slot->tunnel != tunnel)
        curl_easy_setopt(slot->easy, CURLOPT_HTTPPROXYTUNNEL, tunnel ? 1L : 0L);
    slot->tunnel = tunnel;
    if (slot->own_proxy != own)
        curl_easy_setopt(slot->easy, CURLOPT_NOPROXY, own ? "" : slot->client->no_proxy);
    slot->own_proxy = own;
    if (slot->proxy == proxy)
        return;
    slot->proxy = own ? NULL : proxy; /* the call's text ends with it */
    curl_easy_setopt(slot->easy, CURLOPT_PROXY, proxy);
}

/* The library checks certificates against the URL's host. For another name that goes into the URL, and the connection to the
   real host. */
static bool tell_url(struct http_slot *slot, const struct http_call *call)
{
    const char *name = strcmp(call->scheme, "https") == 0 ? tls_profile_server_name(slot->exchange->profile) : NULL;
    bool socket = strcmp(call->scheme, "http+unix") == 0;
    struct text *url = &slot->url;

    if (slot->has_connect_to && !name)
        curl_easy_setopt(slot->easy, CURLOPT_CONNECT_TO, NULL);
    if (slot->has_socket_path && !socket)
        curl_easy_setopt(slot->easy, CURLOPT_UNIX_SOCKET_PATH, NULL);
    slot->has_connect_to = name != NULL;
    slot->has_socket_path = socket;
    if (!name && !socket)
        return curl_easy_setopt(slot->easy, CURLOPT_URL, call->request.url) == CURLE_OK;
    text_clear(url);
    if (socket) {
        if (!text_printf(url, "http://localhost%s", call->path) ||
            curl_easy_setopt(slot->easy, CURLOPT_UNIX_SOCKET_PATH, call->host) != CURLE_OK)
            return false;
        return curl_easy_setopt(slot->easy, CURLOPT_URL, url->bytes) == CURLE_OK;
    }
    if (!text_printf(url, "https://%.*s%s:%d%s", (int)call->user_length, call->user, name, call->port, call->path))
        return false;
    if (snprintf(slot->connect_to_text, sizeof slot->connect_to_text, "::%s", call->place) >=
        (int)sizeof slot->connect_to_text)
        return false;
    slot->connect_to = (struct curl_slist){.data = slot->connect_to_text};
    curl_easy_setopt(slot->easy, CURLOPT_CONNECT_TO, &slot->connect_to);
    return curl_easy_setopt(slot->easy, CURLOPT_URL, url->bytes) == CURLE_OK;
}

static void tell_version_and_time(struct http_slot *slot, const struct http_call *call, int64_t timeout_ms)
{
    bool tls = strcmp(call->scheme, "https") == 0, opens = is_plain_http2(call) && slot->exchange->opens;
    int64_t whole_ms = call->request.on_body ? 0 : timeout_ms; /* an answer without end is timed by http.c */
    int64_t connect_ms = call->request.connect_timeout_ms > 0 ? call->request.connect_timeout_ms : timeout_ms;
    long version = CURL_HTTP_VERSION_1_1;

    if (opens)
        version = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    else if (call->request.http2 || (tls && call->request.uncounted))
        version = CURL_HTTP_VERSION_2TLS;
    if (slot->fresh != opens)
        curl_easy_setopt(slot->easy, CURLOPT_FRESH_CONNECT, opens ? 1L : 0L);
    slot->fresh = opens;
    if (slot->http_version != version)
        curl_easy_setopt(slot->easy, CURLOPT_HTTP_VERSION, version);
    slot->http_version = version;
    if (slot->timeout_ms != whole_ms)
        curl_easy_setopt(slot->easy, CURLOPT_TIMEOUT_MS, (long)whole_ms);
    slot->timeout_ms = whole_ms;
    if (connect_ms > LIBRARY_CONNECT_TIMEOUT_MS || call->request.connect_timeout_ms > 0 ||
        slot->has_connect_timeout) { /* one more timer for each: only if needed */
        slot->has_connect_timeout = connect_ms > LIBRARY_CONNECT_TIMEOUT_MS || call->request.connect_timeout_ms > 0;
        curl_easy_setopt(slot->easy, CURLOPT_CONNECTTIMEOUT_MS, slot->has_connect_timeout ? (long)connect_ms : 0L);
    }
}

static void start_later(struct exchange *exchange)
{
    struct http_client *client = exchange->client;

    exchange->starting = true;
    exchange->next_later = NULL;
    if (client->last_starting)
        client->last_starting->next_later = exchange;
    else
        client->starting = exchange;
    client->last_starting = exchange;
}

static void forget_start(struct exchange *exchange)
{
    struct http_client *client = exchange->client;
    struct exchange *previous = NULL;

    for (struct exchange *e = client->starting; e != exchange; e = e->next_later)
        previous = e;
    if (previous)
        previous->next_later = exchange->next_later;
    else
        client->starting = exchange->next_later;
    if (client->last_starting == exchange)
        client->last_starting = previous;
    exchange->starting = false;
}

void http_curl_start(struct exchange *exchange, int64_t timeout_ms)
{
    struct http_slot *slot = take_slot(exchange->client);
    const struct http_call *call = exchange->call;

    exchange->slot = slot;
    slot->exchange = exchange;
    slot->head_overflows = slot->body_overflows = slot->not_taken = slot->tls_began = slot->lacks_connection = false;
    slot->status = 0;
    exchange->flows = false;
    slot->egress_refusal = NULL;
    slot->no_socket = 0;
    slot->why[0] = 0;
    text_clear(&slot->head);
    text_clear(&slot->body);
    slot->body.limit = call->request.body_max_bytes;
    tell_profile(slot, exchange->profile);
    tell_proxy(slot, call);
    tell_version_and_time(slot, call, timeout_ms);
    tell_method(slot, &call->request);
    if (!tell_headers(slot, call) || !tell_url(slot, call)) {
        slot->exchange = NULL; /* never on the wire */
        exchange->slot = NULL;
        http_slot_free(slot);
        error_set(&exchange->error, ERROR_LIMIT,
                  "%.200s: URL and header lines of the question are larger than %d bytes (REQUEST_HEADERS_MAX_BYTES)",
                  call->place, REQUEST_HEADERS_MAX_BYTES);
        http_exchange_fail_later(exchange);
        return;
    }
    if (exchange->client->handing_over)
        start_later(exchange);
    else
        add_to_wire(exchange);
}

static bool is_connected(const struct exchange *exchange)
{
    curl_off_t sent_us = 0;

    curl_easy_getinfo(exchange->slot->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
    return sent_us > 0;
}

/* Somebody is connecting to the same place, and what waits for that can have the same connection. */
static bool another_opens(const struct exchange *exchange)
{
    for (const struct exchange *e = exchange->client->exchanges; e; e = e->next)
        if (e != exchange && e->slot && e->opens && !is_connected(e) &&
            strcmp(e->call->origin, exchange->call->origin) == 0)
            return true;
    return false;
}

bool http_curl_lacks_connection(const struct exchange *exchange)
{
    return exchange->slot->lacks_connection && !exchange->opens;
}

bool http_curl_begins_anew(struct exchange *exchange)
{
    for (size_t i = 0; i < LOST_PLACES; i++) {
        const struct lost_place *lost = &exchange->client->lost[i];

        if (lost->error.kind != ERROR_NONE && lost->at_ms >= exchange->started_ms &&
            strcmp(lost->origin, exchange->call->origin) == 0) {
            exchange->error = lost->error;
            return false;
        }
    }
    exchange->opens = exchange->tries_opening++ == WAITS_FOR_ANOTHER_MAX || !another_opens(exchange);
    return true;
}

void http_curl_note_lost(const struct exchange *exchange)
{
    struct http_client *client = exchange->client;
    struct lost_place *lost = &client->lost[client->lost_next];

    if (!exchange->opens || is_connected(exchange) || strlen(exchange->call->origin) >= sizeof lost->origin)
        return;
    client->lost_next = (client->lost_next + 1) % LOST_PLACES;
    strcpy(lost->origin, exchange->call->origin);
    lost->at_ms = loop_ticks_ms(client->options.loop);
    lost->error = exchange->error;
}

bool http_curl_is_busy(const struct exchange *exchange)
{
    return exchange->client->handing_over && !exchange->starting;
}

/* Bytes of ours that the peer did not acknowledge even when they, or a probe, were sent again. */
static bool is_stuck(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    int unacknowledged = 0;

    return ioctl(fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged > 0 &&
           getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           (info.tcpi_retransmits > 0 || info.tcpi_probes > 0);
}

/* Dissolving the association resets the connection; its users are told by an error of the socket. */
static void reset_stuck(void *arg)
{
    const struct http_client *client = arg;
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

    for (size_t fd = 0; fd < client->watch_room; fd++) {
        const struct socket_watch *watch = client->watches[fd];

        if (watch && watch->shared && is_stuck(watch->fd))
            (void)connect(watch->fd, &nobody, sizeof nobody); /* a socket that is gone already is as good */
    }
}

/* Nothing was heard of it. A question that changes nothing may arrive late, if it was only cancelled. */
static bool may_be_stuck(const struct exchange *exchange)
{
    return is_shared(&exchange->call->request) && exchange->slot->status == 0 &&
           (strcmp(exchange->call->request.method, "GET") != 0 ||
            loop_ticks_ms(exchange->client->options.loop) >= exchange->deadline_ms);
}

/* libcurl tells the server of a stream that is given up only with the next thing it sends on the connection. Where nothing else goes on
   there is none, so the connection ends with its last stream (FORBID_REUSE), and the server learns of it by that. */
void http_curl_stop(struct exchange *exchange)
{
    CURLMcode removed;

    if (exchange->starting) {
        forget_start(exchange);
        return;
    }
    assert(!exchange->client->handing_over);
    if (may_be_stuck(exchange)) { /* and what was sent just now is not sent again yet */
        reset_stuck(exchange->client);
        loop_timer_set(exchange->client->stuck, STUCK_LOOK_MS);
    }
    if (exchange->call->request.http2 && !exchange->ended)
        curl_easy_setopt(exchange->slot->easy, CURLOPT_FORBID_REUSE, 1L);
    removed = curl_multi_remove_handle(exchange->client->multi, exchange->slot->easy);
    assert(removed == CURLM_OK);
    if (exchange->call->request.http2 && !exchange->ended)
        curl_easy_setopt(exchange->slot->easy, CURLOPT_FORBID_REUSE, exchange->client->keep_alive ? 0L : 1L);
    exchange->ended = false;
}

/* ---- the client ---- */

/* libcurl brings GnuTLS along for protocols that Weir does not speak (RTMP, LDAP), and its constructor would take 0.8 MB of every Weir. This
   function, which it looks up by its name (GNUTLS_SKIP_GLOBAL_INIT in gnutls.h), keeps it from that. The one
   that does speak with it, SQL Server's client library, starts it itself. */
int _gnutls_global_init_skip(void);

int _gnutls_global_init_skip(void)
{
    return 1;
}
static char *from_environment(const char *lower_case, const char *upper_case)
{
    const char *value = getenv(lower_case);

    if (!value || !*value)
        value = getenv(upper_case);
    return mem_copy(value && *value ? value : "");
}

/* As Go reads them (_common.md 8): either case, and never for this machine. */
static void read_environment(struct http_client *client)
{
    char *no_proxy = from_environment("no_proxy", "NO_PROXY");
    const char *keep_alive = getenv("KEDA_HTTP_DISABLE_KEEP_ALIVE");
    struct text all;

    client->http_proxy = from_environment("http_proxy", "HTTP_PROXY");
    client->https_proxy = from_environment("https_proxy", "HTTPS_PROXY");
    text_init(&all, REQUEST_HEADERS_MAX_BYTES);
    text_printf(&all, "localhost,127.0.0.0/8,::1%s%s", *no_proxy ? "," : "", no_proxy);
    client->no_proxy = strcmp(no_proxy, "*") == 0 ? mem_copy("*") : text_take(&all);
    text_done(&all);
    free(no_proxy);
    client->keep_alive = !(string_equal(keep_alive, "true") || string_equal(keep_alive, "1"));
}

bool http_curl_open(struct http_client *client, struct error *err)
{
    client->user_agent = mem_copy(client->options.user_agent ? client->options.user_agent : "weir/" WEIR_VERSION);
    read_environment(client);
    client->timer = loop_timer_new(client->options.loop, on_timer, client);
    client->stuck = loop_timer_new(client->options.loop, reset_stuck, client);
    client->kick = event_new(loop_event_base(client->options.loop), -1, 0, on_kick, client);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(client->multi = curl_multi_init()) || !client->kick)
        return error_set(err, ERROR_INTERNAL, "libcurl cannot be started");
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket_change);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer_change);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    curl_multi_setopt(client->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)HTTP2_EXCHANGES_MAX);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)POLLS_IN_FLIGHT_MAX);
    return true;
}

void http_curl_close(struct http_client *client)
{
    while (client->free_slots) {
        struct http_slot *slot = client->free_slots;

        client->free_slots = slot->next_free;
        destroy_slot(slot);
    }
    if (client->multi)
        curl_multi_cleanup(client->multi); /* closes the connections kept */
    loop_timer_free(client->timer);
    loop_timer_free(client->stuck);
    if (client->kick)
        event_free(client->kick);
    for (size_t fd = 0; fd < client->watch_room; fd++)
        forget_watch(client, (int)fd);
    free(client->watches);
    free(client->http_proxy);
    free(client->https_proxy);
    free(client->no_proxy);
    free(client->user_agent);
}
