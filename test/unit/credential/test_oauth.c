/* Tokens by OAuth2 client credentials: where id and secret stand, how long one lasts, what a refusal does, and who shares. */
#include "store.h"

struct issuer { /* a server of tokens */
    struct scene scene;
    int asked, made;
    bool form_only, refuses, silent, forwards;
    int life_s; /* 0: it says nothing of it */
    char last_form[500], last_basic[200];
    int told;
};

static void issue(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static const struct http_header elsewhere = {.name = "location", .value = "http://evil/token"};
    static char body[300];
    struct issuer *i = arg;
    const char *basic = scene_header(request, "Authorization");

    assert_true(request->no_redirects && request->secret);
    i->asked++;
    snprintf(i->last_form, sizeof(i->last_form), "%.*s", (int)request->body_length, (const char *)request->body);
    snprintf(i->last_basic, sizeof(i->last_basic), "%s", basic);
    reply->refused = i->silent;
    reply->body = body;
    if (i->forwards) {
        reply->status = 307;
        reply->headers = &elsewhere;
        reply->header_count = 1;
    } else if (i->silent) {
        body[0] = '\0';
    } else if (i->refuses || (i->form_only && !strstr(i->last_form, "client_secret="))) {
        reply->status = 401;
        snprintf(body, sizeof(body), "{\"error\":\"invalid_client\",\"error_description\":\"no s3cret+ here\"}");
    } else {
        int length =
            snprintf(body, sizeof(body), "{\"access_token\":\"token-%d\",\"token_type\":\"bearer\"", ++i->made);

        snprintf(body + length, sizeof(body) - (size_t)length, i->life_s ? ",\"expires_in\":%d}" : "}", i->life_s);
    }
}

static void on_told(void *arg)
{
    ((struct issuer *)arg)->told++;
}

static void begin(struct issuer *i)
{
    *i = (struct issuer){.life_s = 300};
    scene_begin(&i->scene);
    virtual_answer(i->scene.world, "http://issuer/", issue, i);
}

static enum lookup get(struct issuer *i, const char *destination, const struct secret *refused, struct secret **token)
{
    struct secret *secret = secret_new("s3cret+", 7);
    struct credential_client client = {.token_url = "http://issuer/token",
                                       .id = "me:you",
                                       .secret = secret,
                                       .scopes = "read write",
                                       .params = "audience=api",
                                       .destination = destination};
    struct credential_waiter waiter = {.told = on_told, .arg = i};
    enum lookup found = credential_store_token(i->scene.store, &client, refused, token, &i->scene.err, &waiter);

    for (int n = 0; n < 100 && found == LOOKUP_PENDING; n++) {
        int told = i->told;

        scene_pass(&i->scene, 100);
        if (i->told > told)
            found = credential_store_token(i->scene.store, &client, refused, token, &i->scene.err, &waiter);
    }
    credential_wait_end(&waiter);
    secret_unref(secret);
    return found;
}

static void expect(struct issuer *i, const char *destination, const struct secret *refused, const char *wanted)
{
    struct secret *token = NULL;

    assert_int_equal(get(i, destination, refused, &token), LOOKUP_FOUND);
    assert_string_equal(secret_reveal(token), wanted);
    secret_unref(token);
}

static void test_styles(void **state)
{
    struct issuer i;

    (void)state;
    begin(&i);
    expect(&i, "api:80", NULL, "token-1");
    assert_string_equal(i.last_form, "grant_type=client_credentials&scope=read+write&audience=api");
    assert_string_equal(i.last_basic, "bWUlM0F5b3U6czNjcmV0JTJC"); /* me%3Ayou:s3cret%2B */
    assert_int_equal(i.asked, 1);
    scene_end(&i.scene);

    begin(&i);
    i.form_only = true;
    expect(&i, "api:80", NULL, "token-1");
    assert_string_equal(i.last_form, "grant_type=client_credentials&scope=read+write&client_id=me%3Ayou&"
                                     "client_secret=s3cret%2B&audience=api");
    assert_string_equal(i.last_basic, "-");
    assert_int_equal(i.asked, 2);
    scene_pass(&i.scene, 250 * 1000); /* renewed, and it was remembered how */
    assert_int_equal(i.asked, 3);
    scene_end(&i.scene);
}

static void test_life(void **state)
{
    struct issuer i;

    (void)state;
    begin(&i);
    expect(&i, "api:80", NULL, "token-1");
    scene_pass(&i.scene, 200 * 1000);
    expect(&i, "api:80", NULL, "token-1");
    scene_pass(&i.scene, 45 * 1000); /* at four fifths */
    expect(&i, "api:80", NULL, "token-2");
    i.silent = true;
    scene_pass(&i.scene, 260 * 1000); /* nobody renews it: good for all its life but ten seconds */
    expect(&i, "api:80", NULL, "token-2");
    scene_pass(&i.scene, 40 * 1000);
    struct secret *token;
    assert_int_equal(get(&i, "api:80", NULL, &token), LOOKUP_DENIED);
    assert_int_equal(i.scene.err.kind, ERROR_UNREACHABLE);
    i.silent = false;
    scene_pass(&i.scene, 70 * 1000);
    expect(&i, "api:80", NULL, "token-3");
    scene_pass(&i.scene, 3600 * 1000); /* nobody asks any more */
    assert_int_equal(scene_kept(&i.scene), 0);
    scene_end(&i.scene);
}

static void test_refusal(void **state)
{
    struct issuer i;
    struct secret *token;

    (void)state;
    begin(&i);
    i.life_s = 0;
    assert_int_equal(get(&i, "api:80", NULL, &token), LOOKUP_FOUND);
    scene_pass(&i.scene, 60 * 1000);
    expect(&i, "api:80", token, "token-2"); /* the first of those who were refused asks, the others get its answer */
    expect(&i, "api:80", token, "token-2");
    assert_int_equal(i.asked, 2);
    secret_unref(token);
    assert_int_equal(get(&i, "api:80", NULL, &token), LOOKUP_FOUND);
    struct secret *none = NULL;
    assert_int_equal(get(&i, "api:80", token, &none),
                     LOOKUP_DENIED); /* made a moment ago: a third one would not help */
    assert_int_equal(i.scene.err.kind, ERROR_DENIED);
    assert_int_equal(i.asked, 2);
    /* it goes down just when it is needed: the refused one is not given out for want of a better one */
    scene_pass(&i.scene, 60 * 1000);
    i.silent = true;
    assert_int_equal(get(&i, "api:80", token, &none), LOOKUP_DENIED);
    assert_int_equal(i.scene.err.kind, ERROR_UNREACHABLE);
    secret_unref(token);
    scene_end(&i.scene);
}

/* What is asked for on behalf of many counts for who needed it first: one namespace cannot take all the room. */
static void test_owner(void **state)
{
    struct issuer i;
    struct credential_waiter waiter = {.told = on_told, .arg = &i};
    struct secret *token;
    enum lookup found = LOOKUP_PENDING;
    char id[20];
    int asked = 0;

    (void)state;
    begin(&i);
    while (found == LOOKUP_PENDING && asked < 4000) {
        struct credential_client client = {
            .token_url = "http://issuer/token", .id = id, .destination = "api:80", .owner = "shop"};

        snprintf(id, sizeof(id), "client-%d", asked++);
        found = credential_store_token(i.scene.store, &client, NULL, &token, &i.scene.err, &waiter);
    }
    assert_int_equal(asked, 2501);
    assert_non_null(strstr(i.scene.err.text, "namespace shop (CREDENTIAL_FETCHED_IN_NAMESPACE_MAX)"));
    expect(&i, "api:80", NULL, "token-2501");
    credential_wait_end(&waiter);
    scene_end(&i.scene);
}

/* However short the life that it says a token has. */
static void test_short_life(void **state)
{
    struct issuer i;

    (void)state;
    begin(&i);
    i.life_s = 1;
    expect(&i, "api:80", NULL, "token-1");
    scene_pass(&i.scene, 45 * 1000);
    assert_in_range(i.asked, 2, 11);
    scene_end(&i.scene);
}

static void test_destinations(void **state)
{
    struct issuer i;

    (void)state;
    begin(&i);
    expect(&i, "api:80", NULL, "token-1");
    expect(&i, "other:80", NULL, "token-2"); /* what one has seen is of no use to the other */
    expect(&i, "api:80", NULL, "token-1");
    assert_int_equal(i.asked, 2);
    scene_end(&i.scene);
}

static void test_no_token(void **state)
{
    struct issuer i;
    struct secret *token;

    (void)state;
    begin(&i);
    i.refuses = true;
    assert_int_equal(get(&i, "api:80", NULL, &token), LOOKUP_DENIED);
    assert_int_equal(i.scene.err.kind, ERROR_DENIED);
    assert_string_equal(
        i.scene.err.text,
        "issuer gives no token, it answered 401: check clientID and clientSecret: invalid_client, no *** here");
    i.refuses = false;
    scene_end(&i.scene);

    begin(&i);
    i.forwards = true;
    assert_int_equal(get(&i, "api:80", NULL, &token), LOOKUP_DENIED);
    assert_non_null(strstr(i.scene.err.text, "where no credential may follow"));
    assert_int_equal(i.asked, 1);
    scene_end(&i.scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_styles),       cmocka_unit_test(test_life),     cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_destinations), cmocka_unit_test(test_no_token), cmocka_unit_test(test_owner),
        cmocka_unit_test(test_short_life),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
