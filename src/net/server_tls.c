/*
 * server_tls: the server's side of TLS. One SSL_CTX is one setting: certificate, key, oldest version, and the CAs of clients. A new
 * setting is a new SSL_CTX; connections keep the one they were made with, so rotation disturbs nobody.
 *
 * Clients are asked for a certificate and let in whatever they show. Who they are is found out when a handler first asks, against
 * each bundle of CAs by itself: a proxy's CA must not vouch for users, nor the other way round (Kubernetes has one for requestheader
 * and one for clients). The verdict is kept with the connection until the first certificate of the chain expires. Sessions are not resumed,
 * for a resumed one has only the client's own certificate and not those between it and the CA.
 *
 * A certificate counts if its chain ends at any certificate of the bundle (it need not be self-signed, as in Go), it may be used
 * for clients, and nothing in the chain has expired.
 *
 * Requests over TLS may be large, and anybody may send them. So what comes in is counted for each connection and request; only
 * SERVER_LARGE_REQUESTS_MAX at once may be above the usual bound, and who would be one more is closed.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/net_internal.h"
#include "net/server_internal.h"

enum {
    CHAIN_DEPTH_MAX = 10,
    SIGNATURE_LEVEL = 1 /* OpenSSL's: nothing signed with MD5 or SHA-1, no RSA below 1024 bits */
};

struct client_cas { /* belongs to the SSL_CTX */
    X509_STORE *stores[SERVER_CLIENT_CAS];
};

struct identity { /* belongs to the SSL */
    int verified_by;
    time_t until;
    char *common_name;
    const char **organizations;
    size_t organization_count;
};

struct intake {      /* belongs to the SSL */
    size_t received; /* of the request being read */
    bool large, refused;
};

/* Of the process, not of a server: an SSL may live on for some moments after its server. */
static size_t large_now;

/* ---- what belongs to OpenSSL's objects ---- */
static void free_client_cas(void *parent, void *arg, CRYPTO_EX_DATA *data, int index, long number, void *none)
{
    struct client_cas *cas = arg;

    (void)parent, (void)data, (void)index, (void)number, (void)none;
    for (int i = 0; cas && i < SERVER_CLIENT_CAS; i++)
        X509_STORE_free(cas->stores[i]);
    free(cas);
}

static void free_identity(void *parent, void *arg, CRYPTO_EX_DATA *data, int index, long number, void *none)
{
    struct identity *identity = arg;

    (void)parent, (void)data, (void)index, (void)number, (void)none;
    if (!identity)
        return;
    for (size_t i = 0; i < identity->organization_count; i++)
        free((char *)identity->organizations[i]);
    free(identity->organizations);
    free(identity->common_name);
    free(identity);
}

static void stop_being_large(struct intake *intake)
{
    if (intake->large)
        large_now--;
    intake->large = false;
}

static void free_intake(void *parent, void *arg, CRYPTO_EX_DATA *data, int index, long number, void *none)
{
    struct intake *intake = arg;

    (void)parent, (void)data, (void)index, (void)number, (void)none;
    if (intake)
        stop_being_large(intake);
    free(intake);
}

static int intake_index(void)
{
    static int index = -1;

    if (index < 0)
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_intake);
    return index;
}

static int client_cas_index(void)
{
    static int index = -1;

    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_client_cas);
    return index;
}

static int identity_index(void)
{
    static int index = -1;

    if (index < 0)
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_identity);
    return index;
}

/* ---- a setting ---- */
static bool set_version(SSL_CTX *context, const char *wanted, struct error *err)
{
    int version = TLS1_3_VERSION;

    if (wanted && strcmp(wanted, "TLS12") == 0)
        version = TLS1_2_VERSION;
    else if (wanted && strcmp(wanted, "TLS13") != 0)
        return error_set(err, ERROR_INVALID, "'%.20s' is no TLS version for the server; write TLS12 or TLS13", wanted);
    return SSL_CTX_set_min_proto_version(context, version) == 1 ||
           error_set(err, ERROR_INTERNAL, "the TLS library does not speak %s", wanted ? wanted : "TLS13");
}

static bool use_chain(SSL_CTX *context, const STACK_OF(X509) * chain)
{
    if (SSL_CTX_use_certificate(context, sk_X509_value(chain, 0)) != 1)
        return false;
    for (int i = 1; i < sk_X509_num(chain); i++)
        if (SSL_CTX_add1_chain_cert(context, sk_X509_value(chain, i)) != 1)
            return false;
    return true;
}

static bool set_certificate(SSL_CTX *context, const struct server_tls *tls, struct error *err)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    EVP_PKEY *key = tls->key_pem ? tls_read_key(tls->key_pem, NULL) : NULL;
    bool fine = false;

    if (!tls->certificate_pem || tls_read_certificates(tls->certificate_pem, strlen(tls->certificate_pem), chain) == 0)
        error_set(err, ERROR_INVALID,
                  "the server's TLS certificate has no certificate in PEM form; it starts with "
                  "-----BEGIN CERTIFICATE-----");
    else if (!key)
        error_set(err, ERROR_INVALID, "the server's TLS key cannot be read as PEM; it must not be encrypted");
    else if (X509_check_private_key(sk_X509_value(chain, 0), key) != 1)
        error_set(err, ERROR_INVALID,
                  "the server's TLS key does not belong to its certificate; take both from the same Secret");
    else if (!use_chain(context, chain) || SSL_CTX_use_PrivateKey(context, key) != 1)
        error_set(err, ERROR_INVALID,
                  "the server's TLS certificate cannot be used: its key is too weak; make a new pair with RSA of 2048 "
                  "bits or more, or ECDSA P-256");
    else
        fine = true;
    ERR_clear_error();
    EVP_PKEY_free(key);
    sk_X509_pop_free(chain, X509_free);
    return fine;
}

/* Their names are told to clients, who look for a certificate that one of them signed. */
static X509_STORE *read_client_ca(const char *pem, STACK_OF(X509_NAME) * names, struct error *err)
{
    STACK_OF(X509) *certificates = sk_X509_new_null();
    X509_STORE *store = NULL;

    if (tls_read_certificates(pem, strlen(pem), certificates) == 0) {
        error_set(err, ERROR_INVALID,
                  "a CA for clients of the server has no certificate in PEM form; it starts with "
                  "-----BEGIN CERTIFICATE-----");
    } else {
        store = X509_STORE_new();
        assert(store);
        for (int i = 0; i < sk_X509_num(certificates); i++) {
            X509 *certificate = sk_X509_value(certificates, i);

            X509_STORE_add_cert(store, certificate);
            sk_X509_NAME_push(names, X509_NAME_dup(X509_get_subject_name(certificate)));
        }
        ERR_clear_error();
    }
    sk_X509_pop_free(certificates, X509_free);
    return store;
}

/* Whoever it is may come in: see the head of this file. */
static int let_in(X509_STORE_CTX *context, void *none)
{
    (void)context, (void)none;
    return 1;
}

static bool set_client_cas(SSL_CTX *context, const struct server_tls *tls, struct error *err)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    struct client_cas *cas = mem_alloc(sizeof *cas);

    SSL_CTX_set_ex_data(context, client_cas_index(), cas);
    for (int i = 0; i < SERVER_CLIENT_CAS; i++) {
        if (!tls->client_cas[i])
            continue;
        cas->stores[i] = read_client_ca(tls->client_cas[i], names, err);
        if (!cas->stores[i]) {
            sk_X509_NAME_pop_free(names, X509_NAME_free);
            return false;
        }
    }
    if (sk_X509_NAME_num(names) > 0) { /* else nobody's certificate could say anything, and none is asked for */
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_cert_verify_callback(context, let_in, NULL);
    }
    SSL_CTX_set_client_CA_list(context, names); /* takes them over */
    return true;
}

/* We speak HTTP/1.1 only. Who offers something else gets no answer to that, and what they do then is theirs to decide. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
                           unsigned in_length, void *none)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;

    (void)ssl, (void)none;
    if (SSL_select_next_proto(&chosen, out_length, ours, sizeof ours - 1, in, in_length) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

SSL_CTX *server_tls_context(const struct server_tls *tls, struct error *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    assert(context);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);             /* most connections wait most of the time */
    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20"); /* of TLS 1.2: those that keep the past secret */
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    if (!set_version(context, tls->min_version, err) || !set_certificate(context, tls, err) ||
        !set_client_cas(context, tls, err)) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

/* ---- a connection ---- */
static void on_received(struct evbuffer *buffer, const struct evbuffer_cb_info *change, void *arg)
{
    struct bufferevent *connection = arg;
    struct intake *intake = SSL_get_ex_data(bufferevent_openssl_get_ssl(connection), intake_index());

    (void)buffer;
    intake->received += change->n_added;
    if (intake->large || intake->refused || intake->received <= SERVER_REQUEST_MAX_BYTES)
        return;
    if (large_now < SERVER_LARGE_REQUESTS_MAX) {
        intake->large = true;
        large_now++;
        return;
    }
    intake->refused = true;
    bufferevent_trigger_event(connection, BEV_EVENT_READING | BEV_EVENT_ERROR, BEV_TRIG_DEFER_CALLBACKS);
}

struct bufferevent *server_tls_connection(struct event_base *base, SSL_CTX *context)
{
    SSL *ssl = SSL_new(context);
    struct bufferevent *connection;

    assert(ssl);
    SSL_set_ex_data(ssl, intake_index(), mem_alloc(sizeof(struct intake)));
    connection = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    assert(connection);
    bufferevent_openssl_set_allow_dirty_shutdown(connection, 1);
    evbuffer_add_cb(bufferevent_get_input(connection), on_received, connection);
    return connection;
}

void server_tls_request_read(SSL *ssl)
{
    struct intake *intake = SSL_get_ex_data(ssl, intake_index());

    intake->received = 0;
    stop_being_large(intake);
}

/* ---- who is there ---- */
static time_t first_end(const STACK_OF(X509) * chain)
{
    time_t first = 0;

    for (int i = 0; i < sk_X509_num(chain); i++) {
        struct tm parts;
        time_t end;

        if (ASN1_TIME_to_tm(X509_get0_notAfter(sk_X509_value(chain, i)), &parts) != 1)
            return 0;
        end = timegm(&parts);
        if (i == 0 || end < first)
            first = end;
    }
    return first;
}

static bool verifies(X509_STORE *store, X509 *certificate, STACK_OF(X509) * sent, time_t *until)
{
    X509_STORE_CTX *verification = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *param;
    bool verified = false;

    assert(verification);
    if (X509_STORE_CTX_init(verification, store, certificate, sent) == 1) {
        X509_STORE_CTX_set_default(verification, "ssl_client");
        param = X509_STORE_CTX_get0_param(verification);
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
        X509_VERIFY_PARAM_set_depth(param, CHAIN_DEPTH_MAX);
        X509_VERIFY_PARAM_set_auth_level(param, SIGNATURE_LEVEL);
        verified = X509_verify_cert(verification) == 1;
    }
    if (verified)
        *until = first_end(X509_STORE_CTX_get0_chain(verification));
    X509_STORE_CTX_free(verification);
    ERR_clear_error();
    return verified;
}

/* NULL: it cannot be a text, or has a 0 byte, behind which something else might stand than what we compare. */
static char *read_entry(const X509_NAME_ENTRY *entry)
{
    unsigned char *utf8 = NULL;
    int length = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
    char *copy = NULL;

    if (length >= 0 && !memchr(utf8, 0, (size_t)length)) {
        copy = mem_alloc((size_t)length + 1);
        memcpy(copy, utf8, (size_t)length);
    }
    OPENSSL_free(utf8);
    return copy;
}

static bool read_names(struct identity *identity, X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int count = X509_NAME_entry_count(subject);

    identity->organizations = mem_array((size_t)count + 1, sizeof *identity->organizations);
    for (int i = 0; i < count; i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, i);
        int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
        char *value;

        if (nid != NID_commonName && nid != NID_organizationName)
            continue;
        value = read_entry(entry);
        if (!value)
            return false;
        if (nid == NID_organizationName) {
            identity->organizations[identity->organization_count++] = value;
            continue;
        }
        free(identity->common_name); /* the last one counts, as in Go, which the API server reads certificates with */
        identity->common_name = value;
    }
    return true;
}

static struct identity *find_out(SSL *ssl)
{
    const struct client_cas *cas = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), client_cas_index());
    struct identity *identity = mem_alloc(sizeof *identity);
    X509 *certificate = SSL_get0_peer_certificate(ssl);

    identity->verified_by = -1;
    for (int i = 0; certificate && identity->verified_by < 0 && i < SERVER_CLIENT_CAS; i++)
        if (cas->stores[i] && verifies(cas->stores[i], certificate, SSL_get_peer_cert_chain(ssl), &identity->until))
            identity->verified_by = i;
    if (identity->verified_by >= 0 && !read_names(identity, certificate))
        identity->verified_by = -1;
    ERR_clear_error();
    SSL_set_ex_data(ssl, identity_index(), identity);
    return identity;
}

void server_tls_peer(SSL *ssl, struct server_peer *out)
{
    const struct identity *identity = SSL_get_ex_data(ssl, identity_index());

    if (!identity)
        identity = find_out(ssl);
    *out = (struct server_peer){.encrypted = true, .verified_by = -1};
    if (identity->verified_by < 0 || time(NULL) > identity->until)
        return;
    out->verified_by = identity->verified_by;
    out->common_name = identity->common_name ? identity->common_name : "";
    out->organizations = identity->organizations;
    out->organization_count = identity->organization_count;
}
