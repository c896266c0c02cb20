/*
 * promtext: the text exposition format of Prometheus (`/metrics`), read sample by sample without copying.
 *
 *     promtext_read(body, length, on_sample, me, &err);
 *
 * Pure; one pass over the bytes; nothing is allocated but the names of histograms and summaries. Strict: a fault anywhere is
 * an error that names the line, because half a page is no answer.
 */
#ifndef WEIR_TRIGGER_PROMTEXT_H
#define WEIR_TRIGGER_PROMTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { PROMTEXT_LABELS_MAX = 64, PROMTEXT_FAMILIES_MAX = 4096 };

enum promtext_type { PROMTEXT_UNTYPED, PROMTEXT_COUNTER, PROMTEXT_GAUGE, PROMTEXT_HISTOGRAM, PROMTEXT_SUMMARY };

struct promtext_label {
    const char *name, *value; /* not terminated; value with its escapes */
    size_t name_length, value_length;
};
struct promtext_sample { /* points into the body; valid during the call */
    const char *name;
    size_t name_length;
    const struct promtext_label *labels;
    size_t label_count;
    double value;
    enum promtext_type
        type; /* of the histogram or summary that it is a part of; else of the last TYPE line that names it */
};
/* false: enough, the rest is only checked. */
typedef bool promtext_each(void *arg, const struct promtext_sample *sample);
bool promtext_read(const char *body, size_t length, promtext_each *each, void *arg, struct error *err);

bool promtext_named(const struct promtext_sample *sample, const char *name);
/* The label, or NULL. */
const struct promtext_label *promtext_label(const struct promtext_sample *sample, const char *name);
bool promtext_label_equals(const struct promtext_label *label, const char *value);

#endif
