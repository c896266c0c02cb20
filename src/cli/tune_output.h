/* tune_output: how weir tune shows what it found, as text and as JSON. */
#ifndef WEIR_CLI_TUNE_OUTPUT_H
#define WEIR_CLI_TUNE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "sim/tune.h"

struct tune_held {
    bool known; /* false: nothing was held out, or it was interrupted */
    struct tune_outcome outcome;
};
struct tune_shown { /* all borrowed */
    const char *policy;
    const struct tune_space *space;
    const struct tune_result *result;
    const struct tune_held *held; /* [0]: of the manifest as written; [i + 1]: of front[i] */
    double share, price;          /* price: of a replica's hour; 0: not asked for */
    int64_t tuned_on_ms, duration_ms;
    uint64_t seed;
};

void tune_write_text(const struct tune_shown *shown, struct text *out);
void tune_write_json(const struct tune_shown *shown, struct text *out);

#endif
