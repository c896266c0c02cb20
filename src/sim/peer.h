/*
 * peer: how other autoscalers with a loop of their own decide, to be compared with. Written from what their documentation says:
 *
 *     knative   the Knative Pod Autoscaler: https://knative.dev/docs/serving/autoscaling/kpa-specific/ and "Knative Serving Autoscaling
 *               System" in docs/scaling/SYSTEM.md of github.com/knative/serving
 *     aibrix    AIBrix' pod autoscaler: https://aibrix.readthedocs.io/latest/features/autoscaling/metric-based-autoscaling.html
 *
 *     struct peer *p = peer_new(&options);
 *     every peer_period_ms(p):  replicas = peer_decide(p, now_ms, &reading);
 *
 * What they are told is what their own collectors would report. Pure. Not for threads.
 */
#ifndef WEIR_SIM_PEER_H
#define WEIR_SIM_PEER_H

#include <stdbool.h>
#include <stdint.h>

enum peer_kind { PEER_KNATIVE, PEER_AIBRIX };

struct peer_options {
    enum peer_kind kind;
    double
        target; /* what a replica should carry: requests at a time (knative, its utilization share applied already); the metric (aibrix) */
    int32_t min, max;
};
#define PEER_KNATIVE_TARGET 70  /* container-concurrency-target-default 100, of which 70 % */
#define PEER_AIBRIX_TARGET  0.5 /* of the KV cache: its sample policy */

struct peer_reading {
    double in_flight; /* requests: running, waiting on replicas, and held before them */
    double kv_usage;  /* mean over the ready replicas, 0..1 */
    int32_t replicas, ready;
};

struct peer;
struct peer *peer_new(const struct peer_options *options);
void peer_free(struct peer *peer); /* NULL is fine */
int64_t peer_period_ms(const struct peer *peer);
/* How many there should be. Times must not go back. */
int32_t peer_decide(struct peer *peer, int64_t now_ms, const struct peer_reading *reading);

#endif
