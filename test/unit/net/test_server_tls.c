/* The server behind TLS: who is let in and who they are said to be, rotation, bounds; and answers that wait. Most is asked with our own
   transport on the same loop; what it would not do is done with OpenSSL on a blocking socket in a second thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "helper.h"

#include <errno.h>
#include <signal.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "net/server.h"
#include "party.h"

static struct party users_ca, proxies_ca, stranger_ca, servers_ca, other_servers_ca;
static struct party server_party, other_server_party;
static struct server *server;
static struct error err;

/* ---- handlers ---- */
static void say_who(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct server_peer peer;

    (void)arg;
    server_peer(request, &peer);
    text_printf(answer->body, "%s %d", peer.encrypted ? "tls" : "plain", peer.verified_by);
    if (peer.verified_by < 0) {
        assert_null(peer.common_name);
        assert_int_equal(peer.organization_count, 0);
        return;
    }
    text_printf(answer->body, " %s", peer.common_name);
    for (size_t i = 0; i < peer.organization_count; i++)
        text_printf(answer->body, " O=%s", peer.organizations[i]);
}

static void say_length(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg;
    text_printf(answer->body, "%zu %d", request->body_length, request->body[request->body_length]);
}

static struct server_pending *pending;

static void wait_for_it(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg;
    text_add(answer->body, "nobody sees this");
    pending = server_defer(request);
}

static void answer_pending(const char *text, int status)
{
    struct server_answer answer = {.status = status};
    struct text body;

    text_init(&body, 1000);
    text_add(&body, text);
    answer.body = &body;
    server_complete(pending, &answer);
    pending = NULL;
    text_done(&body);
}

static void answer_at_once(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg, (void)answer;
    pending = server_defer(request);
    answer_pending("at once", 201);
}

static struct timer *answering;

static void answer_now(void *arg)
{
    (void)arg;
    if (pending)
        answer_pending("later", 0);
    else
        loop_timer_set(answering, 50); /* the question is not here yet */
}

/* ---- the server ---- */
static bool set_tls(struct party *party, const char *first_ca, const char *second_ca, const char *min_version)
{
    struct secret *key = secret_new(party->key_pem, strlen(party->key_pem));
    bool fine = server_set_tls(server,
                               &(struct server_tls){.certificate_pem = party->pem,
                                                    .key_pem = key,
                                                    .client_cas = {first_ca, second_ca},
                                                    .min_version = min_version},
                               &err);

    secret_unref(key);
    return fine;
}

static int make_parties(void **state)
{
    (void)state;
    make_party(&users_ca, &(struct party_wish){.name = "users"});
    make_party(&proxies_ca, &(struct party_wish){.name = "proxies"});
    make_party(&stranger_ca, &(struct party_wish){.name = "stranger"});
    make_party(&servers_ca, &(struct party_wish){.name = "servers"});
    make_party(&other_servers_ca, &(struct party_wish){.name = "other servers"});
    make_party(&server_party,
               &(struct party_wish){.name = "server", .addresses = "IP:127.0.0.1", .issuer = &servers_ca});
    make_party(&other_server_party,
               &(struct party_wish){.name = "server", .addresses = "IP:127.0.0.1", .issuer = &other_servers_ca});
    return 0;
}

static int free_parties(void **state)
{
    struct party *all[] = {&users_ca,         &proxies_ca,   &stranger_ca,       &servers_ca,
                           &other_servers_ca, &server_party, &other_server_party};

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free_party(all[i]);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    start_all(NULL);
    assert_true(server_new(loop, &server, &err));
    server_route(server, "GET", "/who", say_who, NULL);
    server_route(server, "POST", "/length", say_length, NULL);
    server_route(server, "GET", "/wait", wait_for_it, NULL);
    server_route(server, "POST", "/wait", wait_for_it, NULL);
    server_route(server, "GET", "/at-once", answer_at_once, NULL);
    assert_true(set_tls(&server_party, users_ca.pem, proxies_ca.pem, NULL));
    assert_true(server_listen_tls(server, "127.0.0.1:0", &err));
    assert_true(server_listen_tcp(server, "127.0.0.1:0", &err));
    pending = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server_free(server);
    stop_all();
    return 0;
}

/* ---- asking ---- */
struct result {
    bool failed;
    int status, *left;
    struct error error;
    char body[128];
};

static void keep(void *arg, const struct http_reply *reply)
{
    struct result *result = arg;

    result->failed = reply->failed;
    result->status = reply->status;
    result->error = reply->error;
    snprintf(result->body, sizeof result->body, "%s", reply->body ? reply->body : "");
    if (!result->left || --*result->left == 0)
        loop_stop(loop);
}

static struct exchange *start(struct result *result, const char *method, const char *path, size_t body_length,
                              const struct tls_identity *identity)
{
    char url[128], *body = mem_alloc(body_length + 1);
    struct exchange *exchange;

    snprintf(url, sizeof url, "https://%s%s", server_address_at(server, 0), path);
    exchange = transport_http(transport,
                              &(struct http_request){.method = method,
                                                     .url = url,
                                                     .body = body_length ? body : NULL,
                                                     .body_length = body_length,
                                                     .tls = identity,
                                                     .timeout_ms = 10000,
                                                     .uncounted = true},
                              keep, result);
    free(body);
    return exchange;
}

static struct result ask(const char *method, const char *path, size_t body_length, const struct tls_identity *identity)
{
    struct result result = {0};

    start(&result, method, path, body_length, identity);
    run_loop();
    return result;
}

static const struct tls_identity *nobody(void)
{
    static struct tls_identity identity;

    identity.ca_pem = servers_ca.pem;
    return &identity;
}

static struct result get(const char *path)
{
    return ask("GET", path, 0, nobody());
}

static uint64_t connections_opened(void)
{
    struct transport_stats stats;

    transport_stats(transport, &stats);
    return stats.connections_opened;
}

/* ---- who they are ---- */
static struct result ask_as(struct party *party, const char *between)
{
    struct secret *key = secret_new(party->key_pem, strlen(party->key_pem));
    char chain[8192];
    struct tls_identity identity = {.ca_pem = servers_ca.pem, .certificate_pem = chain, .key_pem = key};
    struct result result;

    snprintf(chain, sizeof chain, "%s%s", party->pem, between ? between : "");
    result = ask("GET", "/who", 0, &identity);
    secret_unref(key);
    return result;
}

static void who_they_are_said_to_be(void **state)
{
    struct party between;
    const struct {
        struct party_wish wish;
        bool has_between;
        const char *who;
    } rows[] = {
        {{.name = "jane", .issuer = &users_ca}, false, "tls 0 jane"},
        {{.name = "jane", .organizations = {"shop", "system:masters"}, .issuer = &users_ca},
         false,
         "tls 0 jane O=shop O=system:masters"},
        {{.name = "front-proxy-client", .issuer = &proxies_ca}, false, "tls 1 front-proxy-client"},
        {{.name = "front-proxy-client", .issuer = &stranger_ca}, false, "tls -1"},
        {{.name = "self-made"}, false, "tls -1"},
        {{.name = "late", .issuer = &users_ca, .ends_in_s = -60}, false, "tls -1"},
        {{.name = "jane", .issuer = &users_ca, .extended_usage = "clientAuth"}, false, "tls 0 jane"},
        {{.name = "jane", .issuer = &users_ca, .extended_usage = "serverAuth,clientAuth"}, false, "tls 0 jane"},
        {{.name = "web", .issuer = &users_ca, .extended_usage = "serverAuth"}, false, "tls -1"},
        {{.name = "deep", .issuer = &between}, true, "tls 0 deep"},
        {{.name = "deep", .issuer = &between}, false, "tls -1"}, /* what stands between was not sent */
    };

    (void)state;
    make_party(&between, &(struct party_wish){.name = "between", .issuer = &users_ca, .authority = true});
    assert_string_equal(get("/who").body, "tls -1");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct party client;
        struct result result;

        make_party(&client, &rows[i].wish);
        result = ask_as(&client, rows[i].has_between ? between.pem : NULL);
        if (result.failed || strcmp(result.body, rows[i].who) != 0)
            fail_msg("row %zu: %s %s", i, result.body, result.error.text);
        free_party(&client);
    }
    free_party(&between);
}

/* A CA of clients may itself be signed by one that is not trusted here. */
static void a_bundle_may_end_anywhere(void **state)
{
    struct party between, client;
    char both[8192];

    (void)state;
    make_party(&between, &(struct party_wish){.name = "between", .issuer = &stranger_ca, .authority = true});
    make_party(&client, &(struct party_wish){.name = "jane", .issuer = &between});
    snprintf(both, sizeof both, "%s%s", users_ca.pem, between.pem);
    assert_true(set_tls(&server_party, NULL, both, NULL));
    assert_string_equal(ask_as(&client, NULL).body, "tls 1 jane");
    free_party(&between), free_party(&client);
}

static void a_verdict_ends_with_the_certificate(void **state)
{
    struct party client;

    (void)state;
    make_party(&client, &(struct party_wish){.name = "soon", .issuer = &users_ca, .ends_in_s = 2});
    assert_string_equal(ask_as(&client, NULL).body, "tls 0 soon");
    run_for(3200);
    assert_string_equal(ask_as(&client, NULL).body, "tls -1");
    assert_int_equal(connections_opened(), 1);
    free_party(&client);
}

static void the_same_routes_without_tls(void **state)
{
    struct result result = {0};
    char url[128];

    (void)state;
    snprintf(url, sizeof url, "http://%s/who", server_address_at(server, 1));
    transport_http(transport, &(struct http_request){.method = "GET", .url = url}, keep, &result);
    run_loop();
    assert_string_equal(result.body, "plain -1");
    assert_string_equal(server_address(server), server_address_at(server, 0));
    assert_null(server_address_at(server, 2));
}

/* ---- settings ---- */
static void connections_are_kept(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++)
        assert_string_equal(get("/who").body, "tls -1");
    assert_int_equal(connections_opened(), 1);
}

static void rotation(void **state)
{
    const struct tls_identity identity = {.ca_pem = other_servers_ca.pem};

    (void)state;
    assert_int_equal(get("/who").status, 200);
    assert_true(set_tls(&other_server_party, NULL, NULL, "TLS12"));
    assert_int_equal(get("/who").status, 200); /* on the connection made before */
    assert_int_equal(connections_opened(), 1);
    assert_int_equal(ask("GET", "/who", 0, &identity).status, 200);
    transport_free(transport);
    assert_true(transport_new_real(loop, NULL, &transport, &err));
    assert_non_null(strstr(get("/who").error.text, "give the CA that signed its certificate"));
}

static void settings_that_cannot_be_used(void **state)
{
    const struct {
        const char *certificate, *key, *ca, *version, *error;
    } rows[] = {
        {"x", server_party.key_pem, NULL, NULL, "the server's TLS certificate has no certificate in PEM form"},
        {NULL, server_party.key_pem, NULL, NULL, "the server's TLS certificate has no certificate in PEM form"},
        {server_party.pem, "x", NULL, NULL, "the server's TLS key cannot be read as PEM; it must not be encrypted"},
        {server_party.pem, other_server_party.key_pem, NULL, NULL, "does not belong to its certificate"},
        {server_party.pem, server_party.key_pem, "x", NULL, "a CA for clients of the server has no certificate"},
        {server_party.pem, server_party.key_pem, NULL, "TLS11", "'TLS11' is no TLS version for the server; write"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct secret *key = secret_new(rows[i].key, strlen(rows[i].key));

        assert_false(server_set_tls(server,
                                    &(struct server_tls){.certificate_pem = rows[i].certificate,
                                                         .key_pem = key,
                                                         .client_cas = {NULL, rows[i].ca},
                                                         .min_version = rows[i].version},
                                    &err));
        if (err.kind != ERROR_INVALID || !strstr(err.text, rows[i].error))
            fail_msg("row %zu: %s", i, err.text);
        secret_unref(key);
    }
    assert_int_equal(get("/who").status, 200); /* the one before is still used */
}

/* ---- handshakes ---- */
static int connect_to(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)(void *)&to, sizeof to) < 0)
        abort();
    return fd;
}

struct hand {
    int max_version;
    const char *protocols; /* as ALPN wants them */
    size_t protocols_length;
    bool shaken;
    char protocol[16];
    char answer[1024];
};

static void *shake_main(void *arg)
{
    static const char request[] = "GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    struct hand *hand = arg;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    const unsigned char *protocol;
    unsigned length = 0;
    int fd = connect_to(server_address_at(server, 0)), n, got = 0;

    if (hand->max_version)
        SSL_set_max_proto_version(ssl, hand->max_version);
    if (hand->protocols)
        SSL_set_alpn_protos(ssl, (const unsigned char *)hand->protocols, (unsigned)hand->protocols_length);
    SSL_set_fd(ssl, fd);
    hand->shaken = SSL_connect(ssl) == 1;
    if (hand->shaken) {
        SSL_get0_alpn_selected(ssl, &protocol, &length);
        snprintf(hand->protocol, sizeof hand->protocol, "%.*s", (int)length, length ? (const char *)protocol : "");
        SSL_write(ssl, request, sizeof request - 1);
        while ((n = SSL_read(ssl, hand->answer + got, (int)sizeof hand->answer - 1 - got)) > 0)
            got += n;
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    ERR_clear_error();
    loop_post(loop, stop_loop, NULL);
    return NULL;
}

static void versions_and_protocols(void **state)
{
    static const struct {
        const char *min_version;
        int client_max;
        const char *protocols;
        size_t protocols_length;
        bool works;
        const char *protocol;
    } rows[] = {
        {NULL, 0, NULL, 0, true, ""},
        {NULL, TLS1_2_VERSION, NULL, 0, false, ""},
        {"TLS13", TLS1_2_VERSION, NULL, 0, false, ""},
        {"TLS12", TLS1_2_VERSION, NULL, 0, true, ""},
        {"TLS12", TLS1_1_VERSION, NULL, 0, false, ""},
        {NULL, 0, "\x02h2\x08http/1.1", 12, true, "http/1.1"},
        {"TLS12", TLS1_2_VERSION, "\x02h2\x08http/1.1", 12, true, "http/1.1"},
        {NULL, 0, "\x02h2", 3, true, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hand hand = {.max_version = rows[i].client_max,
                            .protocols = rows[i].protocols,
                            .protocols_length = rows[i].protocols_length};
        pthread_t thread;

        assert_true(set_tls(&server_party, users_ca.pem, NULL, rows[i].min_version));
        pthread_create(&thread, NULL, shake_main, &hand);
        run_loop();
        pthread_join(thread, NULL);
        if (hand.shaken != rows[i].works || strcmp(hand.protocol, rows[i].protocol) != 0 ||
            (rows[i].works && !strstr(hand.answer, "HTTP/1.1 200 OK")))
            fail_msg("row %zu: %d '%s' %s", i, hand.shaken, hand.protocol, hand.answer);
    }
}

/* Who only connects, or says what is no TLS, takes a place like everybody, and gives it back. */
static void places_are_bounded(void **state)
{
    static int fds[SERVER_CONNECTIONS_MAX + 20];
    const int all = SERVER_CONNECTIONS_MAX + 20;
    int before, held;

    (void)state;
    get("/who");
    before = count_fds();
    for (int i = 0; i < all; i++) {
        fds[i] = connect_to(server_address_at(server, i % 2));
        if (i % 32 == 0)
            run_for(5);
    }
    run_for(150);
    held = count_fds() - before - all;
    assert_in_range(held, SERVER_CONNECTIONS_MAX - 3, SERVER_CONNECTIONS_MAX);
    for (int i = 0; i < all - 10; i++)
        close(fds[i]);
    for (int i = all - 10; i < all; i++)
        raw_say(fds[i], "GET /who HTTP/1.1\r\n\r\n", 21);
    run_for(300);
    assert_string_equal(get("/who").body, "tls -1");
    for (int i = all - 10; i < all; i++)
        close(fds[i]);
    run_for(300);
    assert_true(count_fds() <= before + 2);
}

/* ---- large requests ---- */
static void reviews_are_large(void **state)
{
    static const struct {
        size_t length;
        int status;
        const char *body;
    } rows[] = {
        {1, 200, "1 0"},
        {SERVER_REQUEST_MAX_BYTES + 1, 200, "65537 0"},
        {3 * 1024 * 1024, 200, "3145728 0"},
        {SERVER_REVIEW_MAX_BYTES, 200, ""},
        {SERVER_REVIEW_MAX_BYTES + 1, 0, ""}, /* 413, or closed while we still send */
    };

    (void)state;
    for (int round = 0; round < 5; round++) /* more in all than may be large at once */
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            struct result result = ask("POST", "/length", rows[i].length, nobody());

            if (rows[i].status ? result.status != rows[i].status || !strstr(result.body, rows[i].body)
                               : !result.failed && result.status != 413)
                fail_msg("%zu bytes: %d %s %s", rows[i].length, result.status, result.body, result.error.text);
        }
}

static void *send_half(void *arg)
{
    static const char head[] = "POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n";
    static char bytes[SERVER_REQUEST_MAX_BYTES + 1];
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL **ssl = arg;

    for (int i = 0; i < SERVER_LARGE_REQUESTS_MAX + 4; i++) {
        ssl[i] = SSL_new(context);
        SSL_set_fd(ssl[i], connect_to(server_address_at(server, 0)));
        if (SSL_connect(ssl[i]) == 1) {
            SSL_write(ssl[i], head, sizeof head - 1);
            SSL_write(ssl[i], bytes, sizeof bytes);
        }
    }
    SSL_CTX_free(context);
    ERR_clear_error();
    loop_post(loop, stop_loop, NULL);
    return NULL;
}

/* Those that would be one too many are closed; the others go on, and small requests always do. */
static void large_requests_are_bounded(void **state)
{
    enum { ALL = SERVER_LARGE_REQUESTS_MAX + 4 };
    SSL *ssl[ALL];
    pthread_t thread;
    int closed = 0;
    char byte;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    pthread_create(&thread, NULL, send_half, ssl);
    run_loop();
    pthread_join(thread, NULL);
    run_for(200);
    assert_string_equal(get("/who").body, "tls -1");
    for (int i = 0; i < ALL; i++)
        closed += recv(SSL_get_fd(ssl[i]), &byte, 1, MSG_DONTWAIT) >= 0 || errno == ECONNRESET;
    assert_int_equal(closed, 4);
    assert_true(ask("POST", "/length", 100000, nobody()).failed);
    for (int i = 0; i < ALL; i++) {
        close(SSL_get_fd(ssl[i]));
        SSL_free(ssl[i]);
    }
    run_for(200);
    assert_string_equal(ask("POST", "/length", 100000, nobody()).body, "100000 0");
}

/* ---- answers that wait ---- */
static void an_answer_may_wait(void **state)
{
    struct result result;

    (void)state;
    answering = loop_timer_new(loop, answer_now, NULL);
    for (int i = 0; i < 3; i++) {
        static const char *const methods[] = {"GET", "POST", "HEAD"};

        loop_timer_set(answering, 100);
        result = ask(methods[i], "/wait", i == 1 ? 100 : 0, nobody());
        assert_int_equal(result.status, 200);
        assert_string_equal(result.body, i == 2 ? "" : "later");
        result = get("/at-once");
        assert_int_equal(result.status, 201);
        assert_string_equal(result.body, "at once");
    }
    assert_int_equal(connections_opened(), 1);
    loop_timer_free(answering);
}

static void a_client_that_does_not_wait(void **state)
{
    struct result result = {0};
    struct exchange *exchange;

    (void)state;
    for (int i = 0; i < 2; i++) {
        exchange = start(&result, "GET", "/wait", 0, nobody());
        while (!pending)
            run_for(20);
        transport_http_cancel(transport, exchange); /* closes the connection */
        run_for(i * 100);
        answer_pending("to nobody", 200);
        run_for(50);
        assert_string_equal(get("/who").body, "tls -1");
    }
}

static void a_server_that_does_not_wait(void **state)
{
    struct result stays = {0}, goes = {0};
    struct exchange *exchange;

    (void)state;
    exchange = start(&goes, "GET", "/wait", 0, nobody());
    while (!pending)
        run_for(20);
    pending = NULL;
    start(&stays, "GET", "/wait", 0, nobody());
    while (!pending)
        run_for(20);
    transport_http_cancel(transport, exchange);
    run_for(50);
    server_free(server);
    run_loop();
    assert_true(stays.failed);
    assert_true(server_new(loop, &server, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_they_are_said_to_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bundle_may_end_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_verdict_ends_with_the_certificate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_routes_without_tls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rotation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(settings_that_cannot_be_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(versions_and_protocols, set_up, tear_down),
        cmocka_unit_test_setup_teardown(places_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reviews_are_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_requests_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_may_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_does_not_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_does_not_wait, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, make_parties, free_parties);
}
