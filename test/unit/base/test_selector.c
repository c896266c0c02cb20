/* Label selectors, as text and as manifests. triggers/kubernetes-workload.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/selector.h"
#include "base/tree.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct label labels[] = {
    {"app", "web"}, {"tier", "front"}, {"size", "5"}, {"empty", ""}, {"k8s.io/name", "v-1"}};

static void text_selects(void **state)
{
    static const struct {
        const char *selector;
        bool matches;
    } cases[] = {
        {"", true},
        {"  ", true},
        {"app=web", true},
        {"app==web", true},
        {" app = web , tier = front ", true},
        {"app=web,tier=back", false},
        {"app!=web", false},
        {"app!=api", true},
        {"absent!=x", true}, /* holds without the key, too */
        {"app in (api, web)", true},
        {"app in (api)", false},
        {"absent in (x)", false},
        {"app notin (api,db)", true},
        {"absent notin (x)", true},
        {"app", true},
        {"absent", false},
        {"!absent", true},
        {"! app", false},
        {"size>4", true},
        {"size>5", false},
        {"size<6", true},
        {"size > -1", true},
        {"absent>1", false},
        {"app>1", false}, /* no number: no match */
        {"empty=", true},
        {"empty in (,x)", true},
        {"app in (a,,b)", false},
        {"k8s.io/name=v-1", true},
        {"in in (a)", false}, /* a key may be called in */
        {"app in (in,web)", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena *arena = arena_new(ARENA_SMALL);
        struct selector *selector;
        struct error err = {0};
        assert_true(selector_parse(cases[i].selector, arena, &selector, &err));
        assert_int_equal(selector_matches(selector, labels, COUNT(labels)), cases[i].matches);
        arena_free(arena);
    }
}

static void wrong_text_is_refused(void **state)
{
    static const char *const cases[] = {",",
                                        "app=web,",
                                        ",app=web",
                                        "app=web tier=front",
                                        "app in",
                                        "app in (",
                                        "app in ()",
                                        "app in (a",
                                        "app in a",
                                        "=web",
                                        "!",
                                        "!!app",
                                        "!app=web",
                                        "app=(a)",
                                        "app>x",
                                        "app>",
                                        "size>5.5",
                                        "a b",
                                        "app===web",
                                        "app<=5",
                                        "-app=web",
                                        "app=-web",
                                        "a/b/c=d",
                                        "/app=web",
                                        "K8s.io/name=x",
                                        "k8s..io/name=x",
                                        "app=w$b",
                                        "(app=web)",
                                        "a123456789012345678901234567890123456789012345678901234567890123=x"};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena *arena = arena_new(ARENA_SMALL);
        struct selector *selector = NULL;
        struct error err = {0};
        assert_false(selector_parse(cases[i], arena, &selector, &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_null(selector);
        arena_free(arena);
    }
}

static struct selector *from_yaml(struct arena *arena, const char *yaml, struct error *err)
{
    struct tree *documents;
    struct selector *selector = NULL;

    assert_true(tree_read_yaml("test", yaml, strlen(yaml), arena, &documents, err));
    return selector_from_tree(tree_at(documents, "0"), arena, &selector, err) ? selector : NULL;
}

static void manifests_select(void **state)
{
    static const struct {
        const char *yaml;
        bool matches;
    } cases[] = {
        {"{}", true}, /* an empty selector selects everything */
        {"", false},  /* none at all, nothing */
        {"matchLabels: {app: web}", true},
        {"matchLabels: {app: web, tier: back}", false},
        {"matchExpressions: [{key: app, operator: In, values: [web, api]}]", true},
        {"matchExpressions: [{key: app, operator: NotIn, values: [web]}]", false},
        {"matchExpressions: [{key: app, operator: Exists}]", true},
        {"matchExpressions: [{key: app, operator: DoesNotExist}]", false},
        {"matchLabels: {app: web}\nmatchExpressions: [{key: tier, operator: Exists}, {key: x, operator: DoesNotExist}]",
         true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena *arena = arena_new(ARENA_SMALL);
        struct error err = {0};
        struct selector *selector = from_yaml(arena, cases[i].yaml, &err);
        assert_non_null(selector);
        assert_int_equal(selector_matches(selector, labels, COUNT(labels)), cases[i].matches);
        arena_free(arena);
    }
}

static void wrong_manifests_are_refused(void **state)
{
    static const char *const cases[] = {
        "[a]",
        "matchLabels: [app]",
        "matchLabels: {size: 5}", /* a number: needs quotes */
        "matchLabels: {-app: web}",
        "matchLabels: {app: -web}",
        "matchExpressions: [{operator: Exists}]",
        "matchExpressions: [{key: app}]",
        "matchExpressions: [{key: app, operator: in, values: [a]}]",
        "matchExpressions: [{key: app, operator: In}]",
        "matchExpressions: [{key: app, operator: Exists, values: [a]}]",
        "matchExpressions: [{key: app, operator: In, values: [1]}]",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena *arena = arena_new(ARENA_SMALL);
        struct error err = {0};
        assert_null(from_yaml(arena, cases[i], &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_selects),
        cmocka_unit_test(wrong_text_is_refused),
        cmocka_unit_test(manifests_select),
        cmocka_unit_test(wrong_manifests_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
