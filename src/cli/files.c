/* files: the data dir, and names of objects on the command line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "cli/cli.h"

const char *data_dir_default(void)
{
    static char path[4096];
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (state && *state == '/')
        snprintf(path, sizeof(path), "%s/weir", state);
    else if (geteuid() == 0)
        snprintf(path, sizeof(path), "/var/lib/weir");
    else if (home && *home == '/')
        snprintf(path, sizeof(path), "%s/.local/state/weir", home);
    else
        snprintf(path, sizeof(path), "/tmp/weir-%u", (unsigned)geteuid());
    return path;
}

bool data_dir_make(const char *path, struct error *err)
{
    char partial[4096];
    size_t length = strlen(path);
    struct stat status;

    if (length == 0 || length >= sizeof(partial))
        return error_set(err, ERROR_INVALID, "'%s' is no path for --data-dir", path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(partial, path, i);
        partial[i] = '\0';
        if (mkdir(partial, 0700) != 0 && errno != EEXIST)
            return error_set(err, ERROR_INTERNAL, "the data dir %s cannot be made: %s; choose another with --data-dir",
                             partial, strerror(errno));
    }
    if (stat(path, &status) == 0 && status.st_uid != geteuid() && status.st_uid != 0)
        return error_set(
            err, ERROR_INVALID,
            "the data dir %s belongs to another user (%u), who could make us signal any process; choose your own "
            "with --data-dir",
            path, (unsigned)status.st_uid);
    if (access(path, W_OK | X_OK) != 0)
        return error_set(err, ERROR_INTERNAL, "the data dir %s cannot be written: %s; choose another with --data-dir",
                         path, strerror(errno));
    return true;
}

void data_dir_socket(const char *data_dir, char *out, size_t size)
{
    snprintf(out, size, "%s/weir.sock", data_dir);
}

void split_name(const char *name, const char *default_ns, char *kind, char *ns, char *object, size_t size)
{
    const char *first = strchr(name, '/'), *second = first ? strchr(first + 1, '/') : NULL;

    kind[0] = '\0';
    snprintf(ns, size, "%s", default_ns);
    if (!first) {
        snprintf(object, size, "%s", name);
    } else if (!second) {
        snprintf(ns, size, "%.*s", (int)(first - name), name);
        snprintf(object, size, "%s", first + 1);
    } else {
        snprintf(kind, size, "%.*s", (int)(first - name), name);
        snprintf(ns, size, "%.*s", (int)(second - first - 1), first + 1);
        snprintf(object, size, "%s", second + 1);
    }
}
