/* Which resource a kind is: asked once for all who wait, believed for a while, and what is missing not for long. */
#include "kube_world.h"

#define SHOP                                                                                                           \
    "{\"resources\":[{\"name\":\"carts\",\"kind\":\"Cart\",\"namespaced\":true},{\"name\":\"carts/"                    \
    "status\",\"kind\":\"Cart\"},"                                                                                     \
    "{\"name\":\"carts/scale\",\"kind\":\"Scale\"},{\"name\":\"malls\",\"kind\":\"Mall\",\"namespaced\":false}]}"

static const struct kube_resource *last;
static struct error last_error;
static bool asks_again;

static void found(void *arg, const struct kube_resource *resource, const struct error *err)
{
    text_printf(&heard, "%s:%s ", (const char *)arg, resource ? resource->plural : error_kind_name(err->kind));
    assert_true(!resource == !!err);
    last = resource;
    if (err)
        last_error = *err;
    if (asks_again)
        kube_discover(kube, "shop/v1", "Nope", found, arg);
}

static void discover(const char *api_version, const char *kind)
{
    kube_discover(kube, api_version, kind, found, (void *)kind);
}

static int begin(void **state)
{
    asks_again = false;
    last = NULL;
    return set_up(state);
}

static void some_are_known_without_asking(void **state)
{
    (void)state;
    discover("apps/v1", "Deployment");
    discover("apps/v1", "StatefulSet");
    assert_string_equal(heard.bytes, "");
    run_ms(10);
    assert_non_null(strstr(heard.bytes, "Deployment:deployments"));
    assert_non_null(strstr(heard.bytes, "StatefulSet:statefulsets"));
    assert_int_equal(asked.length, 0);
}

static void a_group_is_asked_for_once(void **state)
{
    (void)state;
    answers("GET /apis/shop/v1", 0, 200, SHOP);
    for (int i = 0; i < 100; i++)
        discover("shop/v1", "Cart");
    run_ms(100);
    assert_int_equal(count_of("/apis/shop/v1\n"), 1);
    assert_string_equal(last->group, "shop");
    assert_string_equal(last->version, "v1");
    assert_string_equal(last->kind, "Cart");
    assert_true(last->namespaced && last->has_scale);
    discover("shop/v1", "Cart");
    run_ms(KUBE_DISCOVERY_MS + 1000);
    assert_int_equal(count_of("/apis/shop/v1\n"), 1);
    discover("shop/v1", "Cart");
    run_ms(100);
    assert_int_equal(count_of("/apis/shop/v1\n"), 2);
}

static void what_is_missing_is_said_and_asked_again_soon(void **state)
{
    static const struct {
        const char *api_version, *kind;
        enum error_kind error;
        const char *words;
    } rows[] = {
        {"shop/v1", "Mall", ERROR_INVALID, "no /scale subresource"},
        {"shop/v1", "Crat", ERROR_MISSING, "is it \"Cart\"?"},
        {"nope/v1", "X", ERROR_MISSING, "has no \"nope/v1\""},
        {"", "X", ERROR_INVALID, "must be given"},
        {"a/b/c", "X", ERROR_INVALID, "<group>/<version>"},
        {"/v1", "X", ERROR_INVALID, "<group>/<version>"},
    };

    (void)state;
    answers("GET /apis/shop/v1", 0, 200, SHOP);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        discover(rows[i].api_version, rows[i].kind);
        run_ms(100);
        if (last_error.kind != rows[i].error || !strstr(last_error.text, rows[i].words))
            fail_msg("row %zu: %d %s", i, last_error.kind, last_error.text);
    }
    discover("nope/v1", "X");
    run_ms(100);
    assert_int_equal(count_of("/apis/nope/v1\n"), 1);
    answers("GET /apis/nope/v1", 0, 200, "{\"resources\":[{\"name\":\"xs\",\"kind\":\"X\"},{\"name\":\"xs/scale\"}]}");
    run_ms(KUBE_DISCOVERY_MISSING_MS);
    discover("nope/v1", "X");
    run_ms(100);
    assert_string_equal(last->plural, "xs");
}

static void an_api_server_that_is_away_makes_nothing_unknown(void **state)
{
    (void)state;
    answers("GET /apis/shop/v1", 1, 200, SHOP);
    answers("GET /apis/", 0, 500, "{}");
    discover("shop/v1", "Cart");
    run_ms(KUBE_DISCOVERY_MS + 1000);
    last = NULL;
    discover("shop/v1", "Cart");
    discover("other/v1", "Y");
    run_ms(KUBE_TIMEOUT_MS + 1000);
    assert_non_null(strstr(heard.bytes, "Y:unreachable"));
    assert_non_null(strstr(strstr(heard.bytes, "Cart:carts") + 1, "Cart:carts")); /* it is still known */
}

static void the_core_group_has_another_path(void **state)
{
    (void)state;
    answers("GET /api/v1", 0, 200,
            "{\"resources\":[{\"name\":\"replicationcontrollers\",\"kind\":\"ReplicationController\"},"
            "{\"name\":\"replicationcontrollers/scale\",\"kind\":\"Scale\"}]}");
    discover("v1", "ReplicationController");
    run_ms(100);
    assert_string_equal(last->plural, "replicationcontrollers");
    assert_string_equal(last->group, "");
}

static void one_that_is_cancelled_is_not_told(void **state)
{
    (void)state;
    answers("GET /apis/shop/v1", 0, 200, SHOP);
    discover("shop/v1", "Cart");
    discover("apps/v1", "Deployment");
    kube_discover(kube, "shop/v1", "Cart", found, "other");
    kube_discover_cancel(kube, (void *)"Cart");
    kube_discover_cancel(kube, (void *)"Deployment");
    run_ms(100);
    assert_string_equal(heard.bytes, "other:carts ");
}

static void asking_again_in_the_answer_does_not_spin(void **state)
{
    (void)state;
    answers("GET /apis/shop/v1", 0, 200, SHOP);
    asks_again = true;
    discover("shop/v1", "Cart");
    for (int i = 0; i < 1000; i++)
        virtual_step(world);
    assert_true(heard.length < 1000 * 20);
    asks_again = false;
    run_ms(1000);
}

static void nonsense_is_an_error(void **state)
{
    (void)state;
    answers("GET /apis/shop/v1", 0, 200, "{\"resources\":7}");
    discover("shop/v1", "Cart");
    run_ms(100);
    assert_int_equal(last_error.kind, ERROR_NONSENSE);
}

static void invented_groups_do_not_pile_up(void **state)
{
    char name[32];

    (void)state;
    for (int i = 0; i < 2 * KUBE_DISCOVERY_GROUPS_MAX; i++) {
        snprintf(name, sizeof name, "g%d/v1", i);
        discover(name, "X");
        run_ms(100);
        assert_int_equal(last_error.kind, ERROR_MISSING);
    }
}

static void it_may_be_freed_with_questions_open(void **state)
{
    (void)state;
    answers("GET /apis/shop/v1", 0, 200, SHOP)->never = true;
    discover("shop/v1", "Cart");
    discover("apps/v1", "Deployment");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(some_are_known_without_asking),
        CASE(a_group_is_asked_for_once),
        CASE(what_is_missing_is_said_and_asked_again_soon),
        CASE(an_api_server_that_is_away_makes_nothing_unknown),
        CASE(the_core_group_has_another_path),
        CASE(one_that_is_cancelled_is_not_told),
        CASE(asking_again_in_the_answer_does_not_spin),
        CASE(nonsense_is_an_error),
        CASE(invented_groups_do_not_pile_up),
        CASE(it_may_be_freed_with_questions_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
