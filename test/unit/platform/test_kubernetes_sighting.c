/* What a watch told of objects that nobody looks at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "platform/kubernetes/sighting.h"

static void test_a_sighting_is_taken_once(void **state)
{
    struct sightings *s = sightings_new();
    struct sighting out = {.replicas = -1};

    (void)state;
    assert_false(sightings_take(s, "shop", "web", &out));
    assert_int_equal(out.replicas, -1);
    sightings_put(s, "shop", "web", &(struct sighting){.replicas = 1, .round = 1});
    sightings_put(s, "shop", "web", &(struct sighting){.replicas = 2, .ready = 1, .version = 9, .round = 1});
    assert_true(sightings_take(s, "shop", "web", &out));
    assert_int_equal(out.replicas, 2);
    assert_int_equal(out.version, 9);
    assert_false(sightings_take(s, "shop", "web", &out));
    sightings_free(s);
}

static void test_a_list_sweeps_what_it_did_not_tell(void **state)
{
    static const struct {
        const char *ns; /* of the list that ended */
        bool old, other, fresh;
    } cases[] = {{NULL, false, false, true}, {"shop", false, true, true}, {"sho", true, true, true}};
    struct sighting out;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sightings *s = sightings_new();
        sightings_put(s, "shop", "old", &(struct sighting){.round = 1});
        sightings_put(s, "bank", "other", &(struct sighting){.round = 1});
        sightings_put(s, "shop", "fresh", &(struct sighting){.round = 2});
        sightings_sweep(s, cases[i].ns, 2);
        assert_int_equal(sightings_take(s, "shop", "old", &out), cases[i].old);
        assert_int_equal(sightings_take(s, "bank", "other", &out), cases[i].other);
        assert_int_equal(sightings_take(s, "shop", "fresh", &out), cases[i].fresh);
        sightings_put(s, "shop", "last", &(struct sighting){.round = 2});
        sightings_clear(s);
        assert_false(sightings_take(s, "shop", "last", &out));
        sightings_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sighting_is_taken_once),
        cmocka_unit_test(test_a_list_sweeps_what_it_did_not_tell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
