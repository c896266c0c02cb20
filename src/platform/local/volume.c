/* volume: see volume.h. The exchange is renameat2(RENAME_EXCHANGE), which file systems since 2014 have; else two renames. */
#include "platform/local/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"
#include "platform/local/config.h"
#include "platform/local/files.h"
#include "platform/local/spec.h"

/* A key is a file's name in Kubernetes too; what comes from elsewhere must not leave the directory. */
static bool good_key(const char *key)
{
    return key[0] != 0 && strchr(key, '/') == NULL && strcmp(key, ".") != 0 && strcmp(key, "..") != 0;
}

/* dir/path, where path may lead through directories of its own. */
static bool write_at(const char *dir, const char *path, const struct secret *value, struct error *err)
{
    char where[PATH_MAX];

    if (snprintf(where, sizeof where, "%s/%s", dir, path) >= (int)sizeof where)
        return error_set_machine(err, ENAMETOOLONG, "write", path);
    char *slash = strrchr(where, '/');
    *slash = 0;
    return dir_make(where, err) && file_write(where, slash + 1, secret_reveal(value), secret_length(value), err);
}

static bool fill(const char *dir, const struct spec_volume *v, const struct config_object *object, struct error *err)
{
    if (!dir_make(dir, err))
        return false;
    for (size_t i = 0; v->items == NULL && object != NULL && i < object->value_count; i++) {
        const struct config_value *value = &object->values[i];
        if (good_key(value->key) && !write_at(dir, value->key, value->value, err))
            return false;
    }
    for (size_t i = 0; v->items != NULL && object != NULL && i < v->item_count; i++) {
        struct secret *value = config_value_of(object, v->items[i].key);
        if (value == NULL && v->optional)
            continue;
        if (value == NULL)
            return error_set(err, ERROR_MISSING, "%s has no key \"%s\", which volume %s wants", object->name,
                             v->items[i].key, v->name);
        if (!write_at(dir, v->items[i].path, value, err))
            return false;
    }
    return true;
}

static bool put_in_place(const char *fresh, const char *place, struct error *err)
{
    if (rename(fresh, place) == 0) /* there was none, or an empty one */
        return true;
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, place, RENAME_EXCHANGE) == 0)
        return dir_remove(fresh, err);
    if (!dir_remove(place, err))
        return false;
    return rename(fresh, place) == 0 || error_set_machine(err, errno, "replace", place);
}

static bool write_volume(const char *dir, const struct spec_volume *v, const char *ns,
                         const struct config_store *configs, struct error *err)
{
    char place[PATH_MAX], fresh[PATH_MAX];
    bool secret = v->secret_name != NULL;
    const char *name = secret ? v->secret_name : v->config_name;

    if (snprintf(place, sizeof place, "%s/%s", dir, v->name) >= (int)sizeof place ||
        snprintf(fresh, sizeof fresh, "%s/.%s.new", dir, v->name) >= (int)sizeof fresh)
        return error_set_machine(err, ENAMETOOLONG, "make volume", v->name);
    if (name == NULL)
        return dir_make(place, err);
    const struct config_object *object = config_find(configs, secret, ns, name);
    if (object == NULL && !v->optional)
        return error_set(err, ERROR_MISSING, "%s %s/%s of volume %s is in no manifest", secret ? "Secret" : "ConfigMap",
                         ns, name, v->name);
    return dir_remove(fresh, err) && fill(fresh, v, object, err) && put_in_place(fresh, place, err);
}

bool volumes_write(const char *dir, const struct spec *spec, const char *ns, const struct config_store *configs,
                   struct error *err)
{
    if (!dir_make(dir, err))
        return false;
    for (size_t i = 0; i < spec->volume_count; i++) {
        if (!write_volume(dir, &spec->volumes[i], ns, configs, err))
            return false;
    }
    return true;
}

bool volumes_use(const struct spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->volume_count; i++) {
        const struct spec_volume *v = &spec->volumes[i];
        if (string_equal(v->secret_name, name) || string_equal(v->config_name, name))
            return true;
    }
    return false;
}
