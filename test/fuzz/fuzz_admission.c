/*
 * fuzz_admission: any bytes as the body of a review. Whatever they are, there is an answer within its bounds, and it is JSON; what the
 * cluster is said to be comes from the first bytes, so that every rule is reached.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/tree.h"
#include "serve/admission_internal.h"

enum { OUT_MAX_BYTES = 64 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The cluster has whatever is in the way of the object. */
static void invent(const struct admission *a, uint8_t how, struct admission_scaler *scaler,
                   struct admission_other *other, struct admission_container *container, struct admission_facts *facts)
{
    *scaler = (struct admission_scaler){.name = "hpa", .target = a->target, .released = how & 1};
    *other = (struct admission_other){.name = how & 2 ? "other" : a->name, .target = a->target};
    *container = (struct admission_container){.name = "c", .cpu = how & 4, .memory = how & 8};
    *facts = (struct admission_facts){.unknown = how >> 4 & (how & 1 ? 31 : 0),
                                      .kind_missing = how & 16,
                                      .scalers = scaler,
                                      .scaler_count = how & 32 ? 1 : 0,
                                      .others = other,
                                      .other_count = how & 64 ? 1 : 0,
                                      .workload_missing = how & 128,
                                      .containers = container,
                                      .container_count = 1};
}

static void check(const struct admission_answer *answer, const struct text *out, struct arena *arena)
{
    struct tree *tree;

    if (answer->warning_count > ADMISSION_WARNINGS_MAX || answer->allowed == (answer->message != NULL))
        abort();
    for (size_t i = 0; i < answer->warning_count; i++) {
        if (strlen(answer->warnings[i]) > ADMISSION_WARNING_MAX_BYTES)
            abort();
    }
    if (!out->overflowed && !tree_read_json(out->bytes, out->length, false, arena, &tree, NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct admission_container container;
    struct admission_scaler scaler;
    struct admission_other other;
    struct admission_facts facts;
    struct admission_answer answer;
    struct policy_settings settings;
    struct review_input input;
    const struct admission *a;
    struct error err;
    struct text out;

    if (size >= 2 && review_read((const char *)data + 2, size - 2, (enum admission_kind)(data[0] % ADMIT_KINDS), arena,
                                 &input, &err)) {
        policy_settings_default(&settings);
        settings.mode = data[0] & 128 ? DECIDE_HPA : DECIDE_DIRECT;
        settings.keda_parity = data[0] & 64;
        a = admission_begin(arena, &input.review, &settings);
        invent(a, data[1], &scaler, &other, &container, &facts);
        (void)admission_needs_limits(a, &facts);
        admission_decide(a, &facts, &answer);
        text_init(&out, OUT_MAX_BYTES);
        review_write(input.uid, &answer, &out);
        check(&answer, &out, arena);
        text_done(&out);
    }
    arena_free(arena);
    return 0;
}
