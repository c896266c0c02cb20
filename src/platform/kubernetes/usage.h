/* usage: cpu and memory of pods from metrics.k8s.io, for target.c. */
#ifndef WEIR_PLATFORM_KUBERNETES_USAGE_H
#define WEIR_PLATFORM_KUBERNETES_USAGE_H

#include "platform/kubernetes/pod.h"

/* Is the usage in the views of a selection good? Asking is needing: it is asked for from now on, again with the questions that come, at
   most every USAGE_PERIOD_MS. Each answer stands until the next one; one that failed makes what was before useless, as for the HPA. */
enum lookup usage_known(struct kubernetes *k, const struct pod_selection *selection, struct error *err);

#endif
