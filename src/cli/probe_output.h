/*
 * probe_output: what `weir probe` found out, object by object, for people and as JSON (docs/cli.md). Triggers that nobody wanted to be asked
 * are left out, and with them what would be decided: it would be a decision without them.
 */
#ifndef WEIR_CLI_PROBE_OUTPUT_H
#define WEIR_CLI_PROBE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object_status;
struct policy;
struct text;

struct probe_output {
    struct text *out;
    bool json;
    const char *only;              /* --trigger, or NULL: all */
    int64_t timeout_ms;            /* after which what had not answered was given up */
    bool from_files;               /* replicas are those of the files, or assumed */
    size_t objects, triggers, bad; /* counted: what was shown, and what of it is not ok */
};

/* Is it the one that is meant by --trigger: its name, sN, or the name of its metric? NULL: every trigger is. */
bool probe_is_meant(const struct policy *policy, size_t trigger, const char *only);

void probe_output_begin(struct probe_output *o);
void probe_output_object(struct probe_output *o, const struct object_status *status);
void probe_output_end(struct probe_output *o);

#endif
