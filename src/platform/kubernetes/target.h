/* target: what other files ask of target.c. */
#ifndef WEIR_PLATFORM_KUBERNETES_TARGET_H
#define WEIR_PLATFORM_KUBERNETES_TARGET_H

#include "platform/kubernetes/kubernetes_internal.h"

/* Is it watched by somebody, so that its changes are seen (kubernetes_env_saw)? */
bool target_is_watched(struct kubernetes *k, const char *api_version, const char *kind, const char *ns,
                       const char *name);

#endif
