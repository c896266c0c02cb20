/* Merge patches: put together, and compared with what is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "platform/kubernetes/patch.h"

static struct tree *read_json(struct arena *arena, const char *json)
{
    struct tree *tree = NULL;

    assert_true(tree_read_json(json, strlen(json), false, arena, &tree, NULL));
    return tree;
}

static void composes(void **state)
{
    static const struct {
        const char *first, *second, *both;
    } rows[] = {
        {"{}", "{}", "{}"},
        {"{\"a\":1}", "{\"b\":2}", "{\"a\":1,\"b\":2}"},
        {"{\"a\":1}", "{\"a\":2}", "{\"a\":2}"},
        {"{\"a\":1}", "{\"a\":null}", "{\"a\":null}"},
        {"{\"a\":null}", "{\"a\":1}", "{\"a\":1}"},
        {"{\"a\":{\"x\":1}}", "{\"a\":{\"y\":2}}", "{\"a\":{\"x\":1,\"y\":2}}"},
        {"{\"a\":{\"x\":1}}", "{\"a\":5}", "{\"a\":5}"},
        {"{\"a\":5}", "{\"a\":{\"x\":1}}", "{\"a\":{\"x\":1}}"},
        {"{\"a\":[1,2]}", "{\"a\":[3]}", "{\"a\":[3]}"},
        {"{\"a b\\n\":1}", "{}", "{\"a b\\n\":1}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        struct text out;
        text_init(&out, 1000);
        assert_true(patch_compose(read_json(arena, rows[i].first), read_json(arena, rows[i].second), &out));
        assert_string_equal(out.bytes, rows[i].both);
        text_clear(&out);
        out.limit = 1; /* and nothing is written past a bound */
        assert_false(patch_compose(read_json(arena, rows[i].first), read_json(arena, rows[i].second), &out));
        text_done(&out);
        arena_free(arena);
    }
}

static void tells_whether_it_changes_anything(void **state)
{
    static const struct {
        const char *now, *patch;
        bool changes;
    } rows[] = {
        {"{\"a\":1}", "{}", false},
        {"{\"a\":1}", "{\"a\":1}", false},
        {"{\"a\":1}", "{\"a\":2}", true},
        {"{\"a\":1}", "{\"a\":\"1\"}", true},
        {"{\"a\":1}", "{\"a\":null}", true},
        {"{\"a\":1}", "{\"b\":null}", false},
        {"{\"a\":1}", "{\"b\":1}", true},
        {"{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"y\":2}}", false},
        {"{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"y\":3}}", true},
        {"{\"a\":{\"x\":1}}", "{\"a\":null}", true},
        {"{\"a\":{\"x\":1}}", "{\"a\":{}}", false},
        {"{\"b\":1}", "{\"a\":{}}", true},
        {"{\"a\":{}}", "{\"a\":null}", true},
        {"{\"a\":{\"x\":1}}", "{\"a\":{\"x\":null}}", true},
        {"{\"a\":{\"x\":1}}", "{\"a\":{\"z\":null}}", false},
        {"{\"l\":[{\"p\":1,\"q\":2}]}", "{\"l\":[{\"q\":2,\"p\":1}]}", false},
        {"{\"l\":[1,2]}", "{\"l\":[2,1]}", true},
        {"{\"l\":[1,2]}", "{\"l\":[1]}", true},
        {"{\"t\":true}", "{\"t\":false}", true},
        {"null", "{\"a\":1}", true},
        {"null", "{\"a\":null}", false},
        {"null", "{}", false},
        {"{}", "{\"a\":{\"b\":1}}", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        struct leaves_draft draft = {0};
        leaves_add(&draft, "", read_json(arena, rows[i].now), 0);
        struct leaves *now = leaves_take(&draft);
        if (patch_changes(read_json(arena, rows[i].patch), now) != rows[i].changes)
            fail_msg("%s onto %s", rows[i].patch, rows[i].now);
        free(now);
        arena_free(arena);
    }
}

static void quantities_are_compared_by_what_they_mean(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"{\"value\":\"1000\"}", "{\"value\":\"1k\"}", true},
        {"{\"averageValue\":\"500m\"}", "{\"averageValue\":\"0.5\"}", true},
        {"{\"value\":\"1\"}", "{\"value\":\"2\"}", false},
        {"{\"name\":\"1000\"}", "{\"name\":\"1k\"}", false},
        {"{\"value\":\"x\"}", "{\"value\":\"y\"}", false},
        {"[{\"value\":\"2000m\"}]", "[{\"value\":\"2\"}]", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        bool same = tree_hash(read_json(arena, rows[i].a), LEAVES_QUANTITIES) ==
                    tree_hash(read_json(arena, rows[i].b), LEAVES_QUANTITIES);
        if (same != rows[i].same)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(composes),
        cmocka_unit_test(tells_whether_it_changes_anything),
        cmocka_unit_test(quantities_are_compared_by_what_they_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
