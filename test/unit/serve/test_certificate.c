/* Certificates: where they are kept, who wins when several make them, when they are renewed, who is told, and caBundle. */
#include "cluster_stage.h"
#include "fake_server.h"

#include <dirent.h>
#include <sys/stat.h>

#include <openssl/evp.h>

#include "base/limits.h"
#include "serve/cluster_internal.h"
#include "serve/serve.h"

static const char secrets[] = "/api/v1/namespaces/ops/secrets";
static const char api_services[] = "/apis/apiregistration.k8s.io/v1/apiservices";
static const char webhooks[] = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
static const char *const services[] = {"weir"}, *const extra[] = {"localhost"};

struct room {
    struct cluster_stage stage;
    struct certificates *certificates;
    char folder[64];
};

static void room_init(struct room *r)
{
    *r = (struct room){.folder = "/tmp/weir-certificate-XXXXXX"};
    assert_non_null(mkdtemp(r->folder));
    cluster_stage_init(&r->stage);
    stage_put(&r->stage, secrets, "weir-certs", NULL);
}

static struct certificates_options options_of(const struct room *r)
{
    return (struct certificates_options){.loop = virtual_loop(r->stage.world),
                                         .kube = r->stage.kube,
                                         .ns = "ops",
                                         .services = services,
                                         .service_count = 1,
                                         .names = extra,
                                         .name_count = 1};
}

static struct certificates *open_with(struct room *r, const struct certificates_options *options)
{
    struct certificates *c;
    struct error err;

    if (!certificates_new(options, &c, &err))
        fail_msg("%s", err.text);
    stage_run(&r->stage, 100);
    return c;
}

static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    char path[400];

    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    closedir(dir);
    rmdir(folder);
}

static void room_done(struct room *r)
{
    certificates_free(r->certificates);
    cluster_stage_done(&r->stage);
    remove_folder(r->folder);
}

static struct certificates_view view(const struct certificates *c)
{
    struct certificates_view v;

    assert_true(certificates_view(c, &v));
    return v;
}

static char *encode(const char *pem)
{
    char *out = mem_alloc(2 * strlen(pem) + 8);

    EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)pem, (int)strlen(pem));
    return out;
}

/* A certificate of which so much remains. */
static struct pki_set made_earlier(int64_t remaining_ms)
{
    static const char *list[] = {"weir", "weir.ops", "weir.ops.svc", "weir.ops.svc.cluster.local", "localhost"};
    struct pki_set set;
    struct error err;

    assert_true(
        pki_set_renew(NULL, &(struct pki_names){list, 5}, STAGE_START_MS + remaining_ms - PKI_SERVER_MS, &set, &err));
    return set;
}

static void put_secret(struct room *r, int64_t remaining_ms)
{
    char members[STAGE_JSON_BYTES], *parts[4];
    struct pki_set set = made_earlier(remaining_ms);

    parts[0] = encode(set.ca);
    parts[1] = encode(secret_reveal(set.ca_key));
    parts[2] = encode(set.certificate);
    parts[3] = encode(secret_reveal(set.key));
    snprintf(members, sizeof(members),
             "\"data\":{\"ca.crt\":\"%s\",\"ca.key\":\"%s\",\"tls.crt\":\"%s\",\"tls.key\":\"%s\"}", parts[0], parts[1],
             parts[2], parts[3]);
    stage_put(&r->stage, secrets, "weir-certs", members);
    for (int i = 0; i < 4; i++)
        free(parts[i]);
    pki_set_done(&set);
}

/* ------------------------------------------------------------------ the Secret */

static void the_first_makes_it_and_the_second_uses_it(void **state)
{
    struct room r;
    struct certificates *second;

    (void)state;
    room_init(&r);
    struct certificates_options options = options_of(&r);
    r.certificates = open_with(&r, &options);
    assert_int_equal(stage_writes(&r.stage, secrets), 1);
    assert_string_equal(r.stage.writes[0].method, "POST");
    assert_int_equal(view(r.certificates).expires_at_ms / DAY_MS, STAGE_START_MS / DAY_MS + 365);
    second = open_with(&r, &options);
    assert_string_equal(view(second).certificate_pem, view(r.certificates).certificate_pem);
    assert_int_equal(stage_writes(&r.stage, secrets), 1);
    certificates_free(second);
    room_done(&r);
}

static void two_at_once_end_with_the_winners(void **state)
{
    struct room r;
    struct certificates *second;
    struct error err;

    (void)state;
    room_init(&r);
    struct certificates_options options = options_of(&r);
    assert_true(certificates_new(&options, &r.certificates, &err));
    assert_true(certificates_new(&options, &second, &err));
    stage_run(&r.stage, 1000);
    assert_int_equal(stage_writes(&r.stage, secrets), 2); /* both tried, one was told that it exists */
    assert_string_equal(view(second).certificate_pem, view(r.certificates).certificate_pem);
    assert_string_equal(view(second).ca_pem, view(r.certificates).ca_pem);
    certificates_free(second);
    room_done(&r);
}

/* Two installations with one Secret: neither is content with what the other makes. */
static void two_that_never_agree_do_so_slowly(void **state)
{
    static const char *const others[] = {"weir-two"};
    struct certificates *second;
    struct room r;

    (void)state;
    room_init(&r);
    struct certificates_options options = options_of(&r);
    r.certificates = open_with(&r, &options);
    options.services = others;
    second = open_with(&r, &options);
    stage_run(&r.stage, MINUTE_MS);
    assert_in_range(stage_writes(&r.stage, secrets), 4, 14); /* one in ten seconds each */
    certificates_free(second);
    room_done(&r);
}

/* As Helm makes it, so that no right to create Secrets is needed. */
static void an_empty_secret_is_filled(void **state)
{
    struct room r;

    (void)state;
    room_init(&r);
    stage_put(&r.stage, secrets, "weir-certs", "\"type\":\"Opaque\"");
    struct certificates_options options = options_of(&r);
    r.certificates = open_with(&r, &options);
    assert_string_equal(r.stage.writes[0].method, "PATCH");
    assert_true(strlen(view(r.certificates).ca_pem) > 0);
    room_done(&r);
}

static void it_is_renewed_without_a_restart(void **state)
{
    struct room r;
    char *first, *ca;

    (void)state;
    room_init(&r);
    put_secret(&r, 91 * DAY_MS);
    struct certificates_options options = options_of(&r);
    r.certificates = open_with(&r, &options);
    first = mem_copy(view(r.certificates).certificate_pem);
    ca = mem_copy(view(r.certificates).ca_pem);
    stage_run(&r.stage, 23 * HOUR_MS);
    assert_string_equal(view(r.certificates).certificate_pem, first);
    stage_run(&r.stage, 2 * HOUR_MS);
    assert_string_not_equal(view(r.certificates).certificate_pem, first);
    assert_string_equal(view(r.certificates).ca_pem, ca); /* nobody has to be told */
    assert_int_equal(stage_writes(&r.stage, secrets), 1);
    free(first);
    free(ca);
    room_done(&r);
}

static void a_deleted_secret_comes_back(void **state)
{
    struct room r;
    char *first, *ca;

    (void)state;
    room_init(&r);
    struct certificates_options options = options_of(&r);
    r.certificates = open_with(&r, &options);
    first = mem_copy(view(r.certificates).certificate_pem);
    ca = mem_copy(view(r.certificates).ca_pem);
    stage_run(&r.stage, MINUTE_MS);
    stage_put(&r.stage, secrets, "weir-certs", NULL);
    stage_run(&r.stage, 1000);
    assert_string_not_equal(view(r.certificates).certificate_pem, first);
    assert_string_equal(view(r.certificates).ca_pem, ca);
    free(first);
    free(ca);
    room_done(&r);
}

static void without_rights_there_is_one_that_nobody_else_hears_of(void **state)
{
    struct room r;

    (void)state;
    for (int lists = 0; lists < 2; lists++) {
        room_init(&r);
        stage_put(&r.stage, api_services, "v1beta1.external.metrics.k8s.io", "\"spec\":{}");
        r.stage.refuse_lists = lists;
        r.stage.refuse_status = lists ? 0 : 403;
        struct certificates_options options = options_of(&r);
        options.api_service = "v1beta1.external.metrics.k8s.io";
        r.certificates = open_with(&r, &options);
        view(r.certificates);
        assert_int_equal(stage_writes(&r.stage, api_services), 0);
        r.stage.refuse_status = 0; /* the rights come */
        r.stage.refuse_lists = false;
        stage_run(&r.stage, 2 * MINUTE_MS);
        assert_true(stage_writes(&r.stage, secrets) >= 1);
        assert_true(stage_writes(&r.stage, api_services) >= 1);
        room_done(&r);
    }
}

/* ------------------------------------------------------------------ caBundle */

static void the_bundle_goes_where_it_differs(void **state)
{
    struct room r;
    char members[STAGE_JSON_BYTES];
    char *bundle;

    (void)state;
    room_init(&r);
    stage_put(&r.stage, api_services, "v1beta1.external.metrics.k8s.io", "\"spec\":{\"service\":{\"name\":\"weir\"}}");
    stage_put(&r.stage, webhooks, "weir-admission",
              "\"webhooks\":[{\"name\":\"a.kb.io\",\"clientConfig\":{}},"
              "{\"name\":\"b.kb.io\",\"clientConfig\":{\"caBundle\":\"b2xk\"}},{\"name\":\"c.kb.io\"}]");
    struct certificates_options options = options_of(&r);
    options.api_service = "v1beta1.external.metrics.k8s.io";
    options.webhook_configuration = "weir-admission";
    r.certificates = open_with(&r, &options);
    bundle = encode(view(r.certificates).ca_pem);
    stage_run(&r.stage, 3000); /* what is somebody else's is replaced a moment later */
    assert_int_equal(stage_writes(&r.stage, api_services), 1);
    assert_int_equal(stage_writes(&r.stage, webhooks), 1);
    for (size_t i = 0; i < r.stage.write_count; i++) {
        const struct stage_write *w = &r.stage.writes[i];

        if (strstr(w->path, "apiservices")) {
            snprintf(members, sizeof(members), "{\"spec\":{\"caBundle\":\"%s\"}}", bundle);
            assert_string_equal(w->body, members);
        } else if (strstr(w->path, "webhook")) {
            snprintf(members, sizeof(members),
                     "[{\"op\":\"test\",\"path\":\"/webhooks/0/name\",\"value\":\"a.kb.io\"},"
                     "{\"op\":\"add\",\"path\":\"/webhooks/0/clientConfig/caBundle\",\"value\":\"%s\"},"
                     "{\"op\":\"test\",\"path\":\"/webhooks/1/name\",\"value\":\"b.kb.io\"},"
                     "{\"op\":\"add\",\"path\":\"/webhooks/1/clientConfig/caBundle\",\"value\":\"%s\"}]",
                     bundle, bundle);
            assert_string_equal(w->body, members);
        }
    }
    /* as it should be: nothing is written; taken out again: written again, at once */
    snprintf(members, sizeof(members), "\"spec\":{\"caBundle\":\"%s\"}", bundle);
    stage_put(&r.stage, api_services, "v1beta1.external.metrics.k8s.io", members);
    stage_run(&r.stage, 5000);
    assert_int_equal(stage_writes(&r.stage, api_services), 1);
    stage_put(&r.stage, api_services, "v1beta1.external.metrics.k8s.io", "\"spec\":{}");
    stage_run(&r.stage, 100);
    assert_int_equal(stage_writes(&r.stage, api_services), 2);
    free(bundle);
    room_done(&r);
}

static void who_wants_no_verification_keeps_none(void **state)
{
    struct room r;

    (void)state;
    room_init(&r);
    stage_put(&r.stage, api_services, "v1beta1.external.metrics.k8s.io", "\"spec\":{\"insecureSkipTLSVerify\":true}");
    struct certificates_options options = options_of(&r);
    options.api_service = "v1beta1.external.metrics.k8s.io";
    r.certificates = open_with(&r, &options);
    stage_run(&r.stage, MINUTE_MS);
    assert_int_equal(stage_writes(&r.stage, api_services), 0);
    room_done(&r);
}

/* ------------------------------------------------------------------ files and memory */

static void write_pair(const struct room *r, const char *certificate, const char *key, const char *ca)
{
    const struct {
        const char *name, *bytes;
    } files[] = {{"tls.crt", certificate}, {"tls.key", key}, {"ca.crt", ca}};
    char path[128];

    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", r->folder, files[i].name);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(files[i].bytes, file);
        fclose(file);
    }
}

static struct pki_set made_elsewhere(int64_t now_ms)
{
    static const char *list[] = {"elsewhere"};
    struct pki_set set;
    struct error err;

    assert_true(pki_set_renew(NULL, &(struct pki_names){list, 1}, now_ms, &set, &err));
    return set;
}

static void somebody_elses_files_are_waited_for_and_read_again(void **state)
{
    struct pki_set one = made_elsewhere(STAGE_START_MS), two = made_elsewhere(STAGE_START_MS);
    struct certificates_view none;
    struct room r;

    (void)state;
    room_init(&r);
    struct certificates_options options = options_of(&r);
    options.directory = r.folder;
    r.certificates = open_with(&r, &options);
    assert_false(certificates_view(r.certificates, &none));
    write_pair(&r, one.certificate, secret_reveal(one.key), one.ca);
    stage_run(&r.stage, 11 * SECOND_MS);
    assert_string_equal(view(r.certificates).certificate_pem, one.certificate);
    assert_string_equal(view(r.certificates).ca_pem, one.ca);
    write_pair(&r, two.certificate, secret_reveal(one.key), two.ca); /* in the middle of a change */
    stage_run(&r.stage, 11 * SECOND_MS);
    assert_string_equal(view(r.certificates).certificate_pem, one.certificate);
    write_pair(&r, two.certificate, secret_reveal(two.key), two.ca);
    stage_run(&r.stage, 11 * SECOND_MS);
    assert_string_equal(view(r.certificates).certificate_pem, two.certificate);
    stage_run(&r.stage, HOUR_MS); /* nothing is renewed here, nor anything asked of the cluster */
    assert_string_equal(view(r.certificates).certificate_pem, two.certificate);
    assert_int_equal(r.stage.write_count, 0);
    pki_set_done(&one);
    pki_set_done(&two);
    room_done(&r);
}

static void kept_in_a_folder_of_its_own(void **state)
{
    struct room r;
    char kept[128], path[160], *first;
    struct pki_set early;
    struct stat about;
    struct error err;

    (void)state;
    room_init(&r);
    snprintf(kept, sizeof(kept), "%s/tls", r.folder);
    struct certificates_options options = options_of(&r);
    options.kube = NULL;
    options.kept_in = kept;
    r.certificates = open_with(&r, &options);
    first = mem_copy(view(r.certificates).certificate_pem);
    snprintf(path, sizeof(path), "%s/ca.key", kept);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    certificates_free(r.certificates);
    r.certificates = open_with(&r, &options);
    assert_string_equal(view(r.certificates).certificate_pem, first);
    certificates_free(r.certificates);
    early = made_earlier(90 * DAY_MS + HOUR_MS);
    assert_true(certificate_files_write(kept, &early, &err));
    r.certificates = open_with(&r, &options);
    assert_string_equal(view(r.certificates).certificate_pem, early.certificate);
    stage_run(&r.stage, 2 * HOUR_MS);
    assert_string_not_equal(view(r.certificates).certificate_pem, early.certificate);
    assert_string_equal(view(r.certificates).ca_pem, early.ca);
    pki_set_done(&early);
    remove_folder(kept);
    free(first);
    room_done(&r);
}

static void a_folder_that_cannot_be_used(void **state)
{
    struct room r;
    struct error err;

    (void)state;
    room_init(&r);
    struct certificates_options options = options_of(&r);
    options.kube = NULL;
    options.kept_in = "/proc/nowhere";
    assert_false(certificates_new(&options, &r.certificates, &err));
    assert_non_null(strstr(err.text, "/proc/nowhere"));
    options.kept_in = NULL;
    const char *many[CERTIFICATE_NAMES_MAX];
    for (int i = 0; i < CERTIFICATE_NAMES_MAX; i++)
        many[i] = "name";
    options.names = many;
    options.name_count = CERTIFICATE_NAMES_MAX;
    assert_false(certificates_new(&options, &r.certificates, &err));
    assert_non_null(strstr(err.text, "CERTIFICATE_NAMES_MAX"));
    r.certificates = NULL;
    room_done(&r);
}

/* ------------------------------------------------------------------ the listener */

static void the_server_gets_every_change(void **state)
{
    struct server server = {0};
    struct serve_access *access;
    struct serve_secure *secure;
    struct room r;
    struct error err;
    char first[sizeof(server.certificate)];

    (void)state;
    room_init(&r);
    stage_put(&r.stage, "/api/v1/namespaces/kube-system/configmaps", "extension-apiserver-authentication",
              "\"data\":{\"requestheader-client-ca-file\":\"PROXY-CA\"}");
    put_secret(&r, 90 * DAY_MS + HOUR_MS);
    struct certificates_options options = options_of(&r);
    assert_true(certificates_new(&options, &r.certificates, &err));
    access = serve_access_new(&(struct serve_access_options){.kube = r.stage.kube, .client_ca_pem = "OWN-CLIENT-CA"});
    struct serve_secure_options secure_options = {
        .loop = options.loop, .certificates = r.certificates, .access = access, .address = "127.0.0.1:0"};
    assert_true(serve_secure_new(&server, &secure_options, &secure, &err));
    assert_false(serve_secure_listens(secure)); /* no certificate yet */
    stage_run(&r.stage, 1000);
    assert_true(serve_secure_listens(secure));
    assert_int_equal(server.listens, 1);
    assert_string_equal(server.client_cas[0], "PROXY-CA");
    assert_string_equal(server.client_cas[1], "OWN-CLIENT-CA");
    snprintf(first, sizeof(first), "%s", server.certificate);
    stage_run(&r.stage, 2 * HOUR_MS);
    assert_string_not_equal(server.certificate, first);
    assert_int_equal(server.listens, 1);
    serve_secure_free(secure);

    server.refuses_to_listen = true;
    assert_false(serve_secure_new(&server, &secure_options, &secure, &err));
    serve_access_free(access);
    room_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_makes_it_and_the_second_uses_it),
        cmocka_unit_test(two_at_once_end_with_the_winners),
        cmocka_unit_test(two_that_never_agree_do_so_slowly),
        cmocka_unit_test(an_empty_secret_is_filled),
        cmocka_unit_test(it_is_renewed_without_a_restart),
        cmocka_unit_test(a_deleted_secret_comes_back),
        cmocka_unit_test(without_rights_there_is_one_that_nobody_else_hears_of),
        cmocka_unit_test(the_bundle_goes_where_it_differs),
        cmocka_unit_test(who_wants_no_verification_keeps_none),
        cmocka_unit_test(somebody_elses_files_are_waited_for_and_read_again),
        cmocka_unit_test(kept_in_a_folder_of_its_own),
        cmocka_unit_test(a_folder_that_cannot_be_used),
        cmocka_unit_test(the_server_gets_every_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
