/*
 * fuzz_manifest: any bytes as a file of manifests. Whatever they are, reading ends, stays within its bounds, and leaves objects
 * whose fields may be looked at.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/report.h"
#include "manifest/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct manifest *m)
{
    for (size_t i = 0; i < m->scaled_object_count; i++) {
        const struct scaled_object *o = &m->scaled_objects[i];

        if (!o->meta.name || !o->meta.ns || (o->trigger_count > 0 && !o->triggers))
            abort();
        for (size_t t = 0; t < o->trigger_count; t++) {
            if (!o->triggers[t].unclear && (!o->triggers[t].type || !o->triggers[t].metadata))
                abort();
        }
    }
    for (size_t i = 0; i < m->config_count; i++) {
        for (size_t k = 0; k < m->configs[i].entry_count; k++) {
            if (m->configs[i].entries[k].bytes[m->configs[i].entries[k].length] != 0)
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct report *report = report_new();
    struct manifest_options options = {.local = size > 0 && data[0] % 2};
    struct manifest *manifest;

    manifest_read("fuzz.yaml", (const char *)data, size, &options, report, &manifest);
    if (report_count(report) > MANIFEST_FINDINGS_MAX + 2)
        abort();
    look(manifest);
    manifest_free(manifest);
    report_free(report);
    return 0;
}
