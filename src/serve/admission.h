/*
 * admission: the webhook. AdmissionReview (admission.k8s.io/v1) on KEDA's six paths, decided by policy/admission.h.
 *
 *     struct serve_admission *admission =
 *         serve_admission_new(server, &(struct serve_admission_options){.loop = loop, .kube = kube, .settings = &settings});
 *     ...
 *     serve_admission_free(admission);    -- answers what waits; then server_free, without a turn of the loop between them
 *
 * What others have (HorizontalPodAutoscalers, ScaledObjects) is kept at hand by two watches that only exist with the webhook: of each
 * object its name, its target and who it belongs to. So most reviews are answered at once. A target's containers, LimitRanges and kinds
 * that are not built in are asked for when a review needs them. Whatever does not come within ADMISSION_WAIT_MS is left out, and the
 * answer says so: an object is never refused for what could not be looked at.
 */
#ifndef WEIR_SERVE_ADMISSION_H
#define WEIR_SERVE_ADMISSION_H

#include <stddef.h>

#include "policy/policy.h"

struct kube;
struct loop;
struct server;

struct serve_admission;
struct serve_admission_options { /* copied; loop and kube outlive it */
    struct loop *loop;
    struct kube *kube; /* NULL: nothing of a cluster is looked at */
    const struct policy_settings *settings;
    const char *const *namespaces; /* only these are looked at (kubernetes_options.namespaces); none: all */
    size_t namespace_count;
};
struct serve_admission *serve_admission_new(struct server *server, const struct serve_admission_options *options);
void serve_admission_free(struct serve_admission *admission); /* NULL is fine */

/* What has been answered so far; also on the page of /metrics. */
struct serve_admission_stats {
    uint64_t allowed, refused;
    uint64_t unchecked; /* of the allowed: something could not be looked at */
    uint32_t pending;
    size_t objects, scalers; /* known of the cluster */
    size_t bytes;            /* that knowing them takes, about */
};
void serve_admission_stats(const struct serve_admission *admission, struct serve_admission_stats *out);

#endif
