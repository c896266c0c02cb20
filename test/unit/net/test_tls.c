/* TLS: whom we trust, who we are, and that no connection serves two identities. A small authority signs all certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "helper.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include "base/secret.h"
#include "party.h"

/* ---- an authority ---- */
static struct party authority, stranger, server_party, client_party;

static int make_parties(void **state)
{
    (void)state;
    make_party(&authority, &(struct party_wish){.name = "weir test authority"});
    make_party(&stranger, &(struct party_wish){.name = "stranger"});
    make_party(
        &server_party,
        &(struct party_wish){.name = "server", .addresses = "IP:127.0.0.1,DNS:inner.example", .issuer = &authority});
    make_party(&client_party, &(struct party_wish){.name = "client", .issuer = &authority});
    return 0;
}

static int free_parties(void **state)
{
    struct party *all[] = {&authority, &stranger, &server_party, &client_party};

    (void)state;
    for (int i = 0; i < 4; i++)
        free_party(all[i]);
    return 0;
}

/* ---- a TLS server: answers every request with the client's name, if it has one ---- */
static struct raw_server raw;
static SSL_CTX *context;
static bool echoes; /* bytes instead of HTTP */

static bool tls_wait(struct raw_server *s, SSL *ssl, int fd)
{
    return SSL_pending(ssl) > 0 || raw_wait(s, fd, 5000);
}

static void answer_requests(struct raw_server *s, SSL *ssl, int fd)
{
    X509 *peer = SSL_get1_peer_certificate(ssl);
    char request[4096], name[64] = "nobody", answer[256];

    if (peer)
        X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, name, sizeof name);
    X509_free(peer);
    while (tls_wait(s, ssl, fd)) {
        int n = SSL_read(ssl, request, sizeof request - 1);

        if (n <= 0)
            return;
        request[n] = 0;
        snprintf(s->got, sizeof s->got, "%s|%s", SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) ?: "", request);
        if (echoes)
            snprintf(answer, sizeof answer, "%s:%.100s", name, request);
        else
            snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(name), name);
        SSL_write(ssl, answer, (int)strlen(answer));
    }
}

static void serve_tls(struct raw_server *s, int fd)
{
    SSL *ssl = SSL_new(context);
    struct timeval patience = {.tv_sec = 5};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        answer_requests(s, ssl, fd);
    } else { /* a reset would overtake the alert that says why */
        char rest[512];

        shutdown(fd, SHUT_WR);
        while (raw_wait(s, fd, 2000) && recv(fd, rest, sizeof rest, 0) > 0)
            ;
    }
    SSL_shutdown(ssl);
    SSL_free(ssl);
    ERR_clear_error();
}

static void start_server(bool wants_client, int max_version)
{
    context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, server_party.certificate);
    SSL_CTX_use_PrivateKey(context, server_party.key);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.certificate);
    if (wants_client)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    else
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"t", 1);
    if (max_version) {
        SSL_CTX_set_max_proto_version(context, max_version);
        SSL_CTX_set_security_level(context, 0);
    }
    echoes = false;
    raw_start(&raw, serve_tls, NULL);
}

static void stop_server(void)
{
    raw_stop(&raw);
    SSL_CTX_free(context);
}

static int set_up(void **state)
{
    (void)state;
    start_all(NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stop_all();
    return 0;
}

struct result {
    bool failed;
    struct error error;
    char body[256];
};

static void keep(void *arg, const struct http_reply *reply)
{
    struct result *result = arg;

    result->failed = reply->failed;
    result->error = reply->error;
    snprintf(result->body, sizeof result->body, "%s", reply->body ? reply->body : "");
    loop_stop(loop);
}

static struct result get(const struct tls_identity *identity)
{
    struct result result = {0};
    char url[64];

    snprintf(url, sizeof url, "https://127.0.0.1:%d/", raw.port);
    transport_http(transport, &(struct http_request){.method = "GET", .url = url, .tls = identity, .timeout_ms = 4000},
                   keep, &result);
    run_loop();
    return result;
}

static uint64_t connections_opened(void)
{
    struct transport_stats stats;

    transport_stats(transport, &stats);
    return stats.connections_opened;
}

/* ---- trust ---- */
static void whom_we_trust(void **state)
{
    const struct tls_identity ours = {.ca_pem = authority.pem}, wrong = {.ca_pem = stranger.pem},
                              any = {.insecure = true},
                              named = {.ca_pem = authority.pem, .server_name = "inner.example"},
                              misnamed = {.ca_pem = authority.pem, .server_name = "other.example"},
                              no_pem = {.ca_pem = "not a certificate"};
    const struct {
        const struct tls_identity *identity;
        enum error_kind kind;
        const char *error;
    } rows[] = {
        {&ours, ERROR_NONE, ""},
        {NULL, ERROR_UNREACHABLE, "TLS: SSL certificate problem: "}, /* a connection is there, but not for us */
        {&wrong, ERROR_UNREACHABLE, "give the CA that signed its certificate"},
        {&any, ERROR_NONE, ""},
        {&named, ERROR_NONE, ""},
        {&misnamed, ERROR_UNREACHABLE, "TLS: SSL: no alternative certificate subject name matches target host name "},
        {&no_pem, ERROR_INVALID, "the TLS ca has no certificate in PEM form"},
        {&ours, ERROR_NONE, ""},
        {NULL, ERROR_UNREACHABLE, "TLS: SSL certificate problem: "}, /* nor did trust leak into the shared pool */
    };

    (void)state;
    start_server(false, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct result result = get(rows[i].identity);

        if (result.failed ? !strstr(result.error.text, rows[i].error) : rows[i].kind != ERROR_NONE)
            fail_msg("row %zu: %s", i, result.error.text);
        assert_int_equal(result.failed ? result.error.kind : ERROR_NONE, rows[i].kind);
        if (rows[i].identity == &named) {
            char host[64];

            snprintf(host, sizeof host, "\r\nHost: 127.0.0.1:%d\r\n", raw.port);
            assert_memory_equal(raw.got, "inner.example|GET", 17);
            assert_non_null(strstr(raw.got, host));
        }
    }
    stop_server();
}

static void folders_of_authorities(void **state)
{
    char folder[] = "/tmp/weir-test-ca-XXXXXX", file[64], skipped[64];
    const char *folders[] = {"/nonexistent", folder, NULL};
    FILE *out;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/ca.crt", folder);
    snprintf(skipped, sizeof skipped, "%s/..data", folder);
    mkdir(skipped, 0700);
    out = fopen(file, "w");
    fputs(authority.pem, out);
    fclose(out);
    transport_free(transport);
    assert_true(transport_new_real(loop, &(struct transport_options){.ca_directories = folders}, &transport, NULL));
    start_server(false, 0);
    assert_false(get(NULL).failed);
    assert_false(get(&(struct tls_identity){.ca_pem = stranger.pem}).failed); /* added, not instead */
    stop_server();
    unlink(file);
    rmdir(skipped);
    rmdir(folder);
}

/* ---- identity ---- */
static void who_we_are(void **state)
{
    struct secret *key = secret_new(client_party.key_pem, strlen(client_party.key_pem));
    struct secret *other_key = secret_new(server_party.key_pem, strlen(server_party.key_pem));
    struct secret *no_key = secret_new("no key", 6);
    struct tls_identity identity = {.ca_pem = authority.pem, .certificate_pem = client_party.pem, .key_pem = key};
    struct result result;

    (void)state;
    start_server(true, 0);
    result = get(&identity);
    assert_string_equal(result.body, "client");
    identity.key_pem = NULL; /* not used without its key */
    result = get(&identity);
    assert_true(result.failed);
    if (!strstr(result.error.text, "TLS: ") || !strstr(result.error.text, "certificate required"))
        fail_msg("%s", result.error.text);
    identity.key_pem = other_key;
    assert_non_null(strstr(get(&identity).error.text, "the TLS client key does not belong to the client certificate"));
    identity.key_pem = no_key;
    assert_non_null(strstr(get(&identity).error.text, "the TLS client key cannot be read as PEM; if it is encrypted"));
    stop_server();
    secret_unref(key), secret_unref(other_key), secret_unref(no_key);
}

static void encrypted_keys(void **state)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char pem[4096];
    struct secret *key, *password = secret_new("open sesame", 11), *wrong = secret_new("x", 1);
    struct tls_identity identity = {.ca_pem = authority.pem, .certificate_pem = client_party.pem};

    (void)state;
    PEM_write_bio_PKCS8PrivateKey(bio, client_party.key, EVP_aes_256_cbc(), "open sesame", 11, NULL, NULL);
    pem[BIO_read(bio, pem, sizeof pem - 1)] = 0;
    BIO_free(bio);
    key = secret_new(pem, strlen(pem));
    start_server(true, 0);
    identity.key_pem = key;
    identity.key_password = password;
    assert_string_equal(get(&identity).body, "client");
    identity.key_password = wrong;
    assert_non_null(strstr(get(&identity).error.text, "its password is wrong"));
    identity.key_password = NULL;
    assert_non_null(strstr(get(&identity).error.text, "give the password"));
    stop_server();
    secret_unref(key), secret_unref(password), secret_unref(wrong);
}

/* The same content at other addresses is the same identity; any difference is another connection. */
static void connections_belong_to_one_identity(void **state)
{
    struct secret *key = secret_new(client_party.key_pem, strlen(client_party.key_pem));
    char *two_authorities = malloc(8192);
    const struct tls_identity plain = {.ca_pem = authority.pem}, any = {.insecure = true},
                              more = {.ca_pem = two_authorities},
                              client = {.ca_pem = authority.pem, .certificate_pem = client_party.pem, .key_pem = key};
    struct tls_identity copy = client;
    struct secret *same_key = secret_new(client_party.key_pem, strlen(client_party.key_pem));

    (void)state;
    copy.key_pem = same_key;
    snprintf(two_authorities, 8192, "%s%s", authority.pem, stranger.pem);
    start_server(false, 0);
    assert_string_equal(get(&plain).body, "nobody");
    assert_string_equal(get(&plain).body, "nobody");
    assert_int_equal(connections_opened(), 1);
    assert_string_equal(get(&client).body, "client");
    assert_string_equal(get(&copy).body, "client");
    assert_int_equal(connections_opened(), 2);
    assert_string_equal(get(&any).body, "nobody");
    assert_int_equal(connections_opened(), 3);
    assert_string_equal(get(&more).body, "nobody");
    assert_int_equal(connections_opened(), 4);
    assert_string_equal(get(&plain).body, "nobody"); /* each is still there */
    assert_string_equal(get(&client).body, "client");
    assert_int_equal(connections_opened(), 4);
    stop_server();
    secret_unref(key), secret_unref(same_key);
    free(two_authorities);
}

static void old_versions_are_refused(void **state)
{
    const struct tls_identity ours = {.ca_pem = authority.pem};
    static const struct {
        const char *minimum;
        int server_max;
        bool works;
    } rows[] = {{NULL, TLS1_1_VERSION, false},   {NULL, TLS1_2_VERSION, true},     {"TLS13", TLS1_2_VERSION, false},
                {"TLS13", TLS1_3_VERSION, true}, {"wrong", TLS1_1_VERSION, false}, {"TLS12", TLS1_2_VERSION, true}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct result result;

        if (rows[i].minimum)
            setenv("KEDA_HTTP_MIN_TLS_VERSION", rows[i].minimum, 1);
        else
            unsetenv("KEDA_HTTP_MIN_TLS_VERSION");
        transport_free(transport);
        assert_true(transport_new_real(loop, NULL, &transport, NULL));
        start_server(false, rows[i].server_max);
        result = get(&ours);
        if (result.failed == rows[i].works)
            fail_msg("row %zu: %s", i, result.error.text);
        if (!rows[i].works)
            assert_non_null(strstr(result.error.text, "TLS: "));
        stop_server();
    }
    unsetenv("KEDA_HTTP_MIN_TLS_VERSION");
}

static void serve_plain_silence(struct raw_server *s, int fd)
{
    char byte;

    if (raw_wait(s, fd, 2000))
        while (recv(fd, &byte, 1, 0) == 1 && raw_wait(s, fd, 2000))
            ;
}

static void a_handshake_that_hangs(void **state)
{
    struct result result = {0};
    char url[64];

    (void)state;
    raw_start(&raw, serve_plain_silence, NULL);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", raw.port);
    transport_http(transport, &(struct http_request){.method = "GET", .url = url, .timeout_ms = 200}, keep, &result);
    run_loop();
    assert_non_null(strstr(result.error.text,
                           "timed out after 200 ms: the TLS handshake did not finish; check that the port speaks TLS"));
    raw_stop(&raw);
}

/* ---- streams ---- */
struct heard {
    char text[512];
    bool ended;
    enum stream_end why;
};

static void on_open(void *arg, struct stream *stream)
{
    (void)arg;
    transport_stream_write(transport, stream, "PING", 4);
}

static void on_bytes(void *arg, struct stream *stream, const char *bytes, size_t length)
{
    struct heard *heard = arg;

    snprintf(heard->text, sizeof heard->text, "%.*s", (int)length, bytes);
    transport_stream_close(transport, stream);
    loop_stop(loop);
}

static void on_end(void *arg, struct stream *stream, enum stream_end why, const struct error *error)
{
    struct heard *heard = arg;

    (void)stream;
    heard->ended = true;
    heard->why = why;
    snprintf(heard->text, sizeof heard->text, "%s", error ? error->text : "");
    loop_stop(loop);
}

static struct heard talk(const char *host, const struct tls_identity *identity)
{
    struct heard heard = {0};

    transport_stream_open(transport, &(struct stream_request){.host = host,
                                                              .port = raw.port,
                                                              .tls = true,
                                                              .identity = identity,
                                                              .connect_timeout_ms = 3000,
                                                              .on_open = on_open,
                                                              .on_bytes = on_bytes,
                                                              .on_end = on_end,
                                                              .arg = &heard});
    run_loop();
    return heard;
}

static void streams_over_tls(void **state)
{
    struct secret *key = secret_new(client_party.key_pem, strlen(client_party.key_pem));
    struct tls_identity identity = {.ca_pem = authority.pem, .certificate_pem = client_party.pem, .key_pem = key};
    struct heard heard;

    (void)state;
    start_server(false, 0);
    echoes = true;
    heard = talk("127.0.0.1", &identity);
    assert_string_equal(heard.text, "client:PING");
    heard = talk("127.0.0.1", NULL);
    assert_true(heard.ended);
    assert_int_equal(heard.why, STREAM_FAILED);
    assert_non_null(strstr(heard.text, "TLS: self-signed certificate in certificate chain"));
    heard = talk("localhost", &identity); /* the certificate is not for that name */
    assert_non_null(strstr(heard.text, "TLS: hostname mismatch"));
    identity.server_name = "inner.example";
    assert_string_equal(talk("localhost", &identity).text, "client:PING");
    identity.ca_pem = NULL;
    identity.insecure = true;
    assert_string_equal(talk("127.0.0.1", &identity).text, "client:PING");
    identity.ca_pem = "x";
    heard = talk("127.0.0.1", &identity);
    assert_non_null(strstr(heard.text, "the TLS ca has no certificate in PEM form"));
    stop_server();
    secret_unref(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whom_we_trust, set_up, tear_down),
        cmocka_unit_test_setup_teardown(folders_of_authorities, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_we_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(encrypted_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_belong_to_one_identity, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_versions_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_handshake_that_hangs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(streams_over_tls, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, make_parties, free_parties);
}
