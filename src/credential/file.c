/*
 * file: filePath of a ClusterTriggerAuthentication: one JSON object of texts, in a file that stands where Weir runs, below the folder
 * that --filepath-auth-root-path names. Read again every few seconds, for what mounts it (a Secret, a CSI driver) changes it in place.
 *
 * The path is a tenant's to nobody, and yet it is somebody's text: it stays below the root whatever it says, also through links, which
 * mounted Secrets are made of. The kernel resolves it so (openat2 with RESOLVE_BENEATH), not a check before or after the fact.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/tree.h"
#include "credential/credential_internal.h"

enum { LOOK_MS = 5 * 1000 };

/* ------------------------------------------------------------------ reading */

static bool has_dots(const char *path)
{
    while (*path) {
        size_t length = strcspn(path, "/");

        if (length == 2 && path[0] == '.' && path[1] == '.')
            return true;
        path += length + (path[length] == '/');
    }
    return false;
}

static bool explain_open(const char *path, int number, struct error *err)
{
    if (number == EXDEV || number == ELOOP)
        return error_set(err, ERROR_INVALID, "the file %s leads out of --filepath-auth-root-path", path);
    if (number == ENOSYS)
        return error_set(err, ERROR_INTERNAL,
                         "the file %s is not read: this kernel cannot keep a path below a folder (Linux 5.6 can)",
                         path);
    return error_set(err, number == EACCES ? ERROR_DENIED : ERROR_MISSING, "the file %s cannot be opened: %s", path,
                     strerror(number));
}

static int open_below(const char *root, const char *path, struct error *err)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

    if (folder < 0) {
        error_set(err, ERROR_MISSING, "--filepath-auth-root-path %s cannot be opened: %s", root, strerror(errno));
        return -1;
    }
    fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
    if (fd < 0)
        explain_open(path, errno, err);
    close(folder);
    return fd;
}

/* Neither a pipe, which would keep everybody waiting, nor a device. A file that grows meanwhile is read again later. */
static bool read_all(int fd, const char *path, struct text *out, struct error *err)
{
    struct stat status;
    ssize_t got;

    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return error_set(err, ERROR_INVALID, "%s is not a file", path);
    if (status.st_size > CREDENTIAL_FILE_MAX_BYTES)
        return error_set(err, ERROR_LIMIT, "the file %s is larger than %d bytes (CREDENTIAL_FILE_MAX_BYTES)", path,
                         CREDENTIAL_FILE_MAX_BYTES);
    secret_text_init(out, (size_t)status.st_size + 1);
    got = read(fd, out->bytes, (size_t)status.st_size);
    if (got < 0)
        return error_set(err, ERROR_INTERNAL, "the file %s cannot be read: %s", path, strerror(errno));
    out->bytes[got] = '\0';
    out->length = (size_t)got;
    return true;
}

bool file_read_below(const char *root, const char *path, struct text *out, struct error *err)
{
    bool fine;
    int fd;

    text_init(out, 0);
    if (path[0] == '/' || path[0] == '\0' || has_dots(path))
        return error_set(err, ERROR_INVALID, "the path %s has to be relative to --filepath-auth-root-path, without ..",
                         path);
    fd = open_below(root, path, err);
    if (fd < 0)
        return false;
    fine = read_all(fd, path, out, err);
    close(fd);
    return fine;
}

/* ------------------------------------------------------------------ its texts */

static bool take_texts(const char *path, const struct tree *json, struct map *values, struct error *err)
{
    if (json->type != TREE_MAP)
        return error_set(err, ERROR_NONSENSE, "the file %s has to hold one JSON object of texts, not %s", path,
                         tree_type_name(json->type));
    if (json->count > CREDENTIAL_PARAMS_MAX)
        return error_set(err, ERROR_LIMIT, "the file %s has %zu parameters; %d are allowed (CREDENTIAL_PARAMS_MAX)",
                         path, json->count, CREDENTIAL_PARAMS_MAX);
    for (const struct tree *m = json->first; m; m = m->next) {
        if (m->type != TREE_STRING)
            return error_set(err, ERROR_NONSENSE, "%s of the file %s has to be a text, not %s", m->key, path,
                             tree_type_name(m->type));
        secret_unref(map_put(values, m->key, secret_new(m->text, m->length)));
    }
    return true;
}

static bool read_texts(const char *root, const char *path, struct map *values, struct error *err)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *json = NULL;
    struct text bytes;
    struct error why;
    bool fine;

    fine = file_read_below(root, path, &bytes, err);
    if (fine && !tree_read_json(bytes.bytes, bytes.length, false, arena, &json, &why))
        fine = error_set(err, ERROR_NONSENSE, "the file %s is not JSON", path);
    if (fine)
        fine = take_texts(path, json, values, err);
    tree_wipe(json);
    arena_free(arena);
    secret_text_done(&bytes);
    return fine;
}

/* ------------------------------------------------------------------ the kind */

static void begin(struct fetched *f)
{
    const char *root = f->store->settings.file_root, *path = f->spec;
    struct map *values = map_new();
    struct error err;

    if (!root)
        error_set(&err, ERROR_INVALID,
                  "files are not read: start Weir with --filepath-auth-root-path FOLDER, below which %s then has to be",
                  path);
    if (root && read_texts(root, path, values, &err)) {
        fetched_found(f, values, 0, LOOK_MS);
        return;
    }
    values_free(values);
    fetched_failed(f, &err);
}

static const struct fetch_kind kind = {.what = "a file", .unused_ms = CREDENTIAL_UNUSED_MS, .begin = begin};

struct fetched *file_values(struct credential_store *store, const char *path, struct error *err)
{
    struct fetch_key key;
    struct fetched *f;
    bool is_new;

    if (!store->parts.loop) {
        error_set(err, ERROR_INVALID, "the file %s is read where Weir runs, not here", path);
        return NULL;
    }
    fetch_key_begin(&key, &kind, NULL);
    fetch_key_add(&key, path);
    f = fetch_key_end(&key, store, &kind, &is_new, err);
    if (f && is_new) {
        f->spec = arena_copy(f->arena, path);
        fetched_start(f);
    }
    return f;
}
