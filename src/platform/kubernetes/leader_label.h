/*
 * leader_label: the label by which a Service finds the leader among the Pods of a Deployment: weir.dev/leader: "true".
 *
 *     struct leader_label *label = leader_label_new(k, "weir-5d8f-x2k");   -- not the leader, until told
 *     leader_label_set(label, true);                                       -- asked for until it is so
 *
 * One who stands by knows nothing, and what asks for metrics must not be led to it. At the start the label goes, for the Pod may
 * have it from a process before this one. A leader that is cut off from the API server cannot take its own away, and neither can one that
 * was killed, so who leads after it takes it off all other Pods of the release (those with its app.kubernetes.io/name and
 * app.kubernetes.io/instance, as the chart's Service selects them).
 */
#ifndef WEIR_PLATFORM_KUBERNETES_LEADER_LABEL_H
#define WEIR_PLATFORM_KUBERNETES_LEADER_LABEL_H

#include <stdbool.h>

struct kubernetes;

#define LEADER_LABEL "weir.dev/leader"

struct leader_label;
struct leader_label *leader_label_new(struct kubernetes *k, const char *pod); /* in k's own namespace */
void leader_label_set(struct leader_label *label, bool leads);                /* NULL is fine in all of them */
bool leader_label_busy(const struct leader_label *label);                     /* it is not as it should be yet */
void leader_label_free(struct leader_label *label);

#endif
