/* The rules of others, as their documentation tells them: what they ask for while demand and replicas follow a small story. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/peer.h"

struct moment { /* the reading holds until `until_s`; what is asked for then */
    int64_t until_s;
    struct peer_reading reading;
    int32_t wanted;
};

static const struct story {
    const char *name;
    struct peer_options options;
    struct moment moments[6]; /* ends with until_s 0 */
} stories[] = {
    {"knative divides by the target and rounds up",
     {PEER_KNATIVE, 10, 0, 100},
     {{60, {.in_flight = 41, .replicas = 5, .ready = 5}, 5}}},
    {"knative panics at twice the ready replicas, and asks for what the short window says",
     {PEER_KNATIVE, 10, 0, 100},
     {{60, {.in_flight = 20, .replicas = 2, .ready = 2}, 2}, {68, {.in_flight = 80, .replicas = 2, .ready = 2}, 8}}},
    {"knative does not shrink in a panic, and halves at most after it",
     {PEER_KNATIVE, 10, 0, 100},
     {{6, {.in_flight = 80, .replicas = 2, .ready = 2}, 8},
      {60, {.in_flight = 0, .replicas = 8, .ready = 8}, 8},
      {70, {.in_flight = 0, .replicas = 8, .ready = 8}, 4}}},
    {"knative keeps the last one for a stable window and the grace",
     {PEER_KNATIVE, 10, 0, 100},
     {{20, {.in_flight = 5, .replicas = 1, .ready = 1}, 1},
      {78, {.in_flight = 0, .replicas = 1, .ready = 1}, 1},
      {108, {.in_flight = 0, .replicas = 1, .ready = 1}, 1},
      {110, {.in_flight = 0, .replicas = 1, .ready = 1}, 0}}},
    {"knative wakes for what is held",
     {PEER_KNATIVE, 10, 0, 100},
     {{0, {.in_flight = 0}, 0}, {2, {.in_flight = 3}, 1}}},
    {"aibrix acts only beyond its tolerances",
     {PEER_AIBRIX, 0.5, 1, 100},
     {{30, {.kv_usage = 0.54, .replicas = 4, .ready = 4}, 4}, {60, {.kv_usage = 0.41, .replicas = 4, .ready = 4}, 4}}},
    {"aibrix at most doubles",
     {PEER_AIBRIX, 0.1, 1, 100},
     {{30, {.kv_usage = 0.15, .replicas = 4, .ready = 4}, 6}, {60, {.kv_usage = 0.9, .replicas = 4, .ready = 4}, 8}}},
    {"aibrix waits five minutes before it goes down, then halves at most",
     {PEER_AIBRIX, 0.5, 1, 100},
     {{30, {.kv_usage = 0.5, .replicas = 8, .ready = 8}, 8},
      {320, {.kv_usage = 0.05, .replicas = 8, .ready = 8}, 8},
      {370, {.kv_usage = 0.05, .replicas = 8, .ready = 8}, 4}}},
    {"bounds hold", {PEER_KNATIVE, 1, 2, 6}, {{60, {.in_flight = 50, .replicas = 6, .ready = 6}, 6}}},
};

static void each_story_ends_as_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
        struct peer *p = peer_new(&stories[i].options);
        int64_t now_ms = 0;

        for (const struct moment *m = stories[i].moments; m->until_s > 0 || m == stories[i].moments; m++) {
            int32_t wanted = 0;

            for (; now_ms <= m->until_s * 1000; now_ms += peer_period_ms(p))
                wanted = peer_decide(p, now_ms, &m->reading);
            if (wanted != m->wanted)
                fail_msg("%s: %d at %d s, not %d", stories[i].name, (int)wanted, (int)m->until_s, (int)m->wanted);
        }
        peer_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_story_ends_as_told)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
