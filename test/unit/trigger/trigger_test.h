/*
 * trigger_test: what the tests of the engine share: a virtual world with an engine in it, and a trigger from two texts.
 *
 *     cmocka_unit_test_setup_teardown(test_x, set_up, tear_down)   -- set_up calls test_world_begin(), tear_down test_world_end()
 *     struct trigger *t = test_trigger("redis", "{\"address\":\"r:1\"}", "{\"password\":\"pw\"}");
 */
#ifndef WEIR_TEST_TRIGGER_TEST_H
#define WEIR_TEST_TRIGGER_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/report.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "sim/virtual.h"
#include "trigger/trigger.h"

static struct virtual_world *world;
static struct trigger_engine *engine;

static inline void test_world_begin(int64_t start_at_ms)
{
    world = virtual_world_new(1, start_at_ms);
    engine = trigger_engine_new(virtual_loop(world), virtual_transport(world), NULL);
}

/* Nothing may be under way any more. */
static inline void test_world_end(void)
{
    trigger_engine_free(engine);
    assert_int_equal(virtual_pending(world), 0);
    virtual_world_free(world);
}

static inline void test_pass(int64_t ms)
{
    virtual_run_until(world, loop_ticks_ms(virtual_loop(world)) + ms);
}

/* secrets: NULL: no authentication. Of the namespace shop. NULL: refused; *why has the first finding. */
static inline struct trigger *test_try_trigger(const char *type, const char *metadata, const char *secrets,
                                               struct error *why)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct report *report = report_new();
    struct trigger_metric metric;
    struct trigger *trigger = NULL;
    struct tree *tree, *map;
    struct credential *credential = NULL;

    assert_true(tree_read_json(metadata, strlen(metadata), false, arena, &tree, NULL));
    if (secrets) {
        assert_true(tree_read_json(secrets, strlen(secrets), false, arena, &map, NULL));
        credential = credential_from_tree(map);
    }
    struct trigger_input input = {.type = type,
                                  .metadata = tree,
                                  .credential = credential,
                                  .direct = true,
                                  .ns = "shop",
                                  .as_metric_source = true};
    if (trigger_build(engine, &input, report, &trigger, &metric))
        trigger_metric_done(&metric);
    else
        error_set(why, ERROR_INVALID, "%s", report_at(report, 0)->text);
    credential_unref(credential);
    report_free(report);
    arena_free(arena);
    return trigger;
}

static inline struct trigger *test_trigger(const char *type, const char *metadata, const char *secrets)
{
    struct error why;
    struct trigger *trigger = test_try_trigger(type, metadata, secrets, &why);

    if (!trigger)
        fail_msg("%s", why.text);
    return trigger;
}

#endif
