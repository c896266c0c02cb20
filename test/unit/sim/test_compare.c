/* Where two runs part ways: stretches, their extent, which of many are kept, and what was said there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim/compare.h"

struct tick {
    int64_t at_s;
    int32_t before, after;
};
enum { TICKS_MAX = 8, PARTINGS_MAX = 4 };

struct row {
    const char *name;
    struct tick a[TICKS_MAX], b[TICKS_MAX]; /* end with at_s -1 */
    int64_t end_s;
    size_t most;
    const char *partings; /* "from-until a/b widest area;" */
};
#define END                                                                                                            \
    {                                                                                                                  \
        -1, 0, 0                                                                                                       \
    }

static const struct row rows[] = {
    {"the same", {{0, 1, 1}, {15, 1, 3}, END}, {{0, 1, 1}, {15, 1, 3}, END}, 60, 4, ""},
    {"later", {{0, 1, 1}, {15, 1, 3}, END}, {{0, 1, 1}, {30, 1, 3}, END}, 60, 4, "15-30 3/1 3/1@15 -30;"},
    {"to the end", {{0, 1, 1}, END}, {{0, 1, 2}, END}, 60, 4, "0-60 1/2 1/2@0 60;"},
    {"wider as it goes on", {{0, 1, 1}, END}, {{10, 1, 2}, {20, 2, 5}, {30, 5, 1}, END}, 60, 4, "10-30 1/2 1/5@20 50;"},
    {"crosses over", {{0, 2, 2}, END}, {{0, 2, 3}, {10, 3, 1}, {20, 1, 2}, END}, 60, 4, "0-20 2/3 2/3@0 0;"},
    {"one begins later", {{0, 2, 2}, END}, {{30, 2, 3}, END}, 60, 4, "30-60 2/3 2/3@30 30;"},
    {"first and furthest",
     {{0, 1, 1}, END},
     {{5, 1, 2}, {6, 2, 1}, {10, 1, 2}, {12, 2, 1}, {20, 1, 5}, {30, 5, 1}, END},
     60,
     2,
     "5-6 1/2 1/2@5 1;20-30 1/5 1/5@20 40;"},
    {"none asked for", {{0, 1, 1}, END}, {{5, 1, 2}, END}, 60, 0, ""},
    {"the end comes before", {{0, 1, 1}, END}, {{90, 1, 2}, END}, 60, 4, ""},
};

static void play(void (*on_tick)(void *arg, const struct simulation_tick *tick), void *arg, const struct tick *ticks)
{
    static struct decision decision;

    for (; ticks->at_s >= 0; ticks++) {
        struct decision_names names = {0};
        struct simulation_tick tick = {
            .at_ms = ticks->at_s * 1000, .decision = &decision, .names = &names, .replicas = ticks->before};

        memset(&decision, 0, sizeof(decision));
        decision.before = ticks->before;
        decision.after = ticks->after;
        decision.write = ticks->after != ticks->before;
        on_tick(arg, &tick);
    }
}

static void path_tick(void *arg, const struct simulation_tick *tick)
{
    compare_path_tick(arg, tick);
}

static void witness_tick(void *arg, const struct simulation_tick *tick)
{
    compare_witness_tick(arg, tick);
}

static void test_partings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct compare_path *a = compare_path_new(), *b = compare_path_new();
        struct parting found[PARTINGS_MAX + 1];
        char text[400] = "";

        play(path_tick, a, rows[i].a);
        play(path_tick, b, rows[i].b);
        size_t count = compare_partings(a, b, rows[i].end_s * 1000, found, rows[i].most);
        for (size_t k = 0; k < count; k++)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%d-%d %d/%d %d/%d@%d %g;",
                     (int)(found[k].from_ms / 1000), (int)(found[k].until_ms / 1000), found[k].a, found[k].b,
                     found[k].widest_a, found[k].widest_b, (int)(found[k].widest_at_ms / 1000),
                     found[k].replica_seconds);
        if (strcmp(text, rows[i].partings) != 0)
            fail_msg("%s: is '%s', wanted '%s'", rows[i].name, text, rows[i].partings);
        compare_path_free(a);
        compare_path_free(b);
    }
}

static void test_path(void **state)
{
    static const struct tick ticks[] = {{10, 1, 1}, {20, 1, 4}, {30, 4, 4}, {40, 4, 2}, END};
    struct compare_path *path = compare_path_new();

    (void)state;
    play(path_tick, path, ticks);
    assert_int_equal(compare_path_at(path, 9999), -1);
    assert_int_equal(compare_path_at(path, 10000), 1);
    assert_int_equal(compare_path_at(path, 39999), 4);
    assert_int_equal(compare_path_at(path, 99999), 2);
    compare_path_free(path);
}

/* Each moment gets the words of the decision in force: of the last tick not after it. */
static void test_witness(void **state)
{
    static const struct tick ticks[] = {{10, 1, 1}, {20, 1, 4}, {30, 4, 2}, END};
    static const int64_t moments[] = {5000, 20000, 25000, 28000, 90000};
    static const char *const starts[] = {"", "1 -> 4", "1 -> 4", "1 -> 4", "4 -> 2"};
    struct compare_witness *w = compare_witness_new(moments, 5);

    (void)state;
    play(witness_tick, w, ticks);
    for (size_t i = 0; i < 5; i++)
        if (strncmp(compare_witness_words(w, i), starts[i], strlen(starts[i])) != 0 ||
            !starts[i][0] != !compare_witness_words(w, i)[0])
            fail_msg("at %d: '%s', wanted '%s'", (int)moments[i], compare_witness_words(w, i), starts[i]);
    compare_witness_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_partings), cmocka_unit_test(test_path),
                                       cmocka_unit_test(test_witness)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
