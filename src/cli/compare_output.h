/* compare_output: how weir compare shows what it found, as text and as JSON. */
#ifndef WEIR_CLI_COMPARE_OUTPUT_H
#define WEIR_CLI_COMPARE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/text.h"
#include "cli/simulate_output.h"
#include "sim/compare.h"

struct compare_pair { /* the first run against another; owned, zeros are none */
    struct parting *partings;
    size_t count;
    char **words_a, **words_b; /* one each: what was said when they parted */
};
void compare_pair_done(struct compare_pair *pair);

struct compare_shown { /* all borrowed */
    const char *names[SIM_REPORT_RUNS_MAX];
    const struct simulate_figures *figures[SIM_REPORT_RUNS_MAX]; /* NULL: it did not run */
    const struct compare_pair *pairs;                            /* one each; of the first there is none */
    size_t count;
    const char *trace; /* NULL: none */
    int64_t start_at_ms;
    bool interrupted;
};

void compare_write_text(const struct compare_shown *shown, struct text *out);
void compare_write_json(const struct compare_shown *shown, struct text *out);
/* One sentence about a parting of run `index` from the first. */
void compare_write_parting(const struct compare_shown *shown, size_t index, size_t parting, struct text *out);

#endif
