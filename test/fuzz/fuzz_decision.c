/*
 * Fuzzing of what the journal hands back. The first byte chooses: even a packed decision, odd a memory. A decision
 * that is accepted must be closed, and its words must be JSON; a memory that is accepted must be good to decide with.
 * Refusing is always fine.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "base/tree.h"
#include "decide/decide.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"queue", "rate"};

static void check_decision(const uint8_t *data, size_t size)
{
    static const struct decision_names words = {.triggers = names, .trigger_count = 2, .formula = "queue / rate"};
    struct decision d;
    struct text out;
    struct tree *json;
    struct error err;

    if (!decision_unpack(data, size, &d))
        return;
    if (!decision_is_closed(&d))
        abort();
    struct arena *arena = arena_new(ARENA_USUAL);
    text_init(&out, 1 << 20);
    decision_write_json(&d, &words, &out);
    if (!out.overflowed && !tree_read_json(out.bytes, out.length, false, arena, &json, &err))
        abort();
    text_done(&out);
    arena_free(arena);
}

static void check_memory(const uint8_t *data, size_t size)
{
    static const struct decide_trigger triggers[2] = {{.target = 10, .formula_name = -1},
                                                      {.target = 5, .formula_name = -1}};
    struct scaling_behavior behavior;
    struct decide_rules rules = {.max = 50,
                                 .idle = -1,
                                 .cooldown_ms = 300000,
                                 .trigger_count = 2,
                                 .triggers = triggers,
                                 .tolerance = 0.1,
                                 .downscale_stabilization_ms = 300000,
                                 .missing_hold_ms = 1800000,
                                 .behavior = &behavior};
    struct sample samples[2] = {{.state = SAMPLE_OK, .value = 40, .at_ms = 5}, {.state = SAMPLE_MISSING, .at_ms = 5}};
    struct decide_memory *memory;
    struct decision d;

    scaling_behavior_default(&behavior);
    if (!decide_memory_read(&rules, (const char *)data, size, &memory))
        return;
    for (int64_t now_ms = 1000; now_ms < INT64_C(4000000000000); now_ms *= 7) {
        decide(&rules,
               &(struct decide_facts){.now_ms = now_ms, .replicas = 3, .status_replicas = 3, .samples = samples},
               memory, false, &d);
        decide_applied(&rules, memory, &d);
    }
    decide_memory_free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] % 2 == 0)
        check_decision(data + 1, size - 1);
    else if (size > 0)
        check_memory(data + 1, size - 1);
    return 0;
}
