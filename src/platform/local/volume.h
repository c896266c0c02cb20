/*
 * volume: Secrets and ConfigMaps as files. A replica's volumes lie below its own directory:
 *
 *     <replica>/volumes/<volume>/<key>          mode 0600
 *
 * When the data changes the directory is exchanged as a whole, so that a reader never sees half of a change.
 */
#ifndef WEIR_PLATFORM_LOCAL_VOLUME_H
#define WEIR_PLATFORM_LOCAL_VOLUME_H

#include <stdbool.h>

struct config_store;
struct error;
struct spec;

/* Makes or updates all volumes below dir. Fails with MISSING when a Secret, ConfigMap or key that is not optional is absent. */
bool volumes_write(const char *dir, const struct spec *spec, const char *ns, const struct config_store *configs,
                   struct error *err);
/* Whether the object is part of a volume. */
bool volumes_use(const struct spec *spec, const char *name);

#endif
