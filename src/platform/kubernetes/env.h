/* env: what target.c tells env.c. */
#ifndef WEIR_PLATFORM_KUBERNETES_ENV_H
#define WEIR_PLATFORM_KUBERNETES_ENV_H

#include "platform/kubernetes/kubernetes_internal.h"

/* An object of this kind was read: its variables, should somebody have asked for some, are taken from here. */
void env_saw(struct kubernetes *k, const char *api_version, const char *kind, const struct tree *object);

#endif
