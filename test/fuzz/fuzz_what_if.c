/*
 * fuzz_what_if: the body of a what-if question. What is taken is within the bounds that docs/openapi.yaml names; what is refused says why
 * and leaves the answer as it was.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/time.h"
#include "serve/serve_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct what_if *w)
{
    if (w->value_count > WHAT_IF_VALUES_MAX || w->target < 0 || !isfinite(w->target) || w->later_ms < 0 ||
        w->later_ms > (int64_t)WHAT_IF_LATER_MAX_S * SECOND_MS || w->replicas < 0)
        abort();
    for (size_t i = 0; i < w->value_count; i++) {
        if (!w->values[i].trigger || !isfinite(w->values[i].value) || w->values[i].state == SAMPLE_NONE)
            abort();
        for (size_t j = 0; j < i; j++)
            if (strcmp(w->values[i].trigger, w->values[j].trigger) == 0)
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct what_if change = {.later_ms = -7};
    struct error err = {.kind = ERROR_NONE};

    if (what_if_read((const char *)data, size, arena, &change, &err))
        check(&change);
    else if (err.kind == ERROR_NONE || !err.text[0] || change.later_ms != -7)
        abort();
    arena_free(arena);
    return 0;
}
