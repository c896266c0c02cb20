/*
 * inference: what the model servers of the request model would report themselves, as the trigger `inference` reads it: only replicas that
 * are ready, their own counters, times from when they were given a request (triggers/inference.md).
 *
 *     struct inference_history *h = inference_history_new();
 *     inference_snapshot(h, model);                       -- at every look
 *     if (inference_read(h, model, &query, &value)) ...
 *
 * A rate is taken per replica, between its newest snapshot and its oldest in the window (or the last before it), and added up; a replica seen
 * once has none yet. What is older than the longest window asked for, and at least INFERENCE_KEEP_NS, is forgotten. Pure. Not for threads.
 */
#ifndef WEIR_SIM_INFERENCE_H
#define WEIR_SIM_INFERENCE_H

#include "sim/model.h"

#define INFERENCE_KEEP_NS                                                                                              \
    (600 * INT64_C(1000000000)) /* windows are rarely longer, and a longer one says so when it is first asked for */

struct inference_history;
struct inference_history *inference_history_new(void);
void inference_history_free(struct inference_history *history);
/* The counters of the ready replicas at the model's instant; a second one at that instant replaces the first. */
void inference_snapshot(struct inference_history *history, const struct serving *model);
/* false: missing. */
bool inference_read(struct inference_history *history, const struct serving *model,
                    const struct model_inference_query *query, double *value);

#endif
