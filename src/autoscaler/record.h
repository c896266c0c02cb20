/*
 * record: hooks that write what an autoscaler is told and decides into a recording (journal/recording.h).
 *
 *     struct autoscaler_record *record = autoscaler_record_new(loop, "/var/lib/weir/recording", &err);
 *     autoscaler_new(&(struct autoscaler_parts){..., .hooks = autoscaler_record_hooks(record)}, &settings);
 *     ... autoscaler_free ...
 *     autoscaler_record_free(record);
 *
 * Only looks on: a disk that is full costs the recording, not a decision. What is written reaches the system within RECORDING_FLUSH_MS.
 * Loop thread only.
 */
#ifndef WEIR_AUTOSCALER_RECORD_H
#define WEIR_AUTOSCALER_RECORD_H

#include "autoscaler/autoscaler.h"

struct error;
struct autoscaler_record;

/* NULL: the folder cannot be used. */
struct autoscaler_record *autoscaler_record_new(struct loop *loop, const char *folder, struct error *err);
const struct autoscaler_hooks *
autoscaler_record_hooks(const struct autoscaler_record *record); /* of NULL: NULL, no hooks */
void autoscaler_record_free(struct autoscaler_record *record);   /* NULL is fine */

#endif
