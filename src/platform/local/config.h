/*
 * config: the Secrets and ConfigMaps of the manifests, by namespace and name. Values are kept as secrets, both kinds alike.
 *
 * A file replaces what it said before. The same name in two files: the first keeps it, the second is an error.
 */
#ifndef WEIR_PLATFORM_LOCAL_CONFIG_H
#define WEIR_PLATFORM_LOCAL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

struct config_store;
struct manifest;
struct report;
struct secret;

struct config_value {
    char *key;
    struct secret *value;
};
struct config_object {
    char *file, *ns, *name;
    bool secret;   /* a Secret, else a ConfigMap */
    bool released; /* its file is being read again: another may claim it, else it goes */
    struct config_value *values;
    size_t value_count;
};

typedef void config_changed(void *arg, const char *ns, const char *name);

struct config_store *config_store_new(config_changed *changed, void *arg);
void config_store_free(struct config_store *store);
/* manifest NULL: the file is gone. changed is called for each object that came, went or has other values. */
void config_store_set(struct config_store *store, const char *file, const struct manifest *manifest,
                      struct report *report);
/* Several files are set together: what this one named may go to another of them; at the end, what none named goes. */
void config_store_release(struct config_store *store, const char *file);
void config_store_settle(struct config_store *store);

const struct config_object *config_find(const struct config_store *store, bool secret, const char *ns,
                                        const char *name);
struct secret *config_value_of(const struct config_object *object, const char *key); /* borrowed; NULL: no such key */

#endif
