/* certificate_files: a folder with ca.crt, tls.crt, tls.key and, where Weir makes them itself, ca.key; or files that somebody named. */
#include "serve/cluster_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"

enum { PATH_BYTES = 4096 };

/* ------------------------------------------------------------------ reading */

/* false: there is something that cannot be read. No file leaves out empty. */
static bool read_one(const char *path, struct text *out, struct error *err)
{
    text_clear(out);
    return !path || access(path, F_OK) != 0 || file_read_plain(path, out, err);
}

static bool read_pem(const char *path, char **out, struct error *err)
{
    struct text bytes;
    bool read;

    text_init(&bytes, CERTIFICATE_MAX_BYTES);
    read = read_one(path, &bytes, err);
    if (read && bytes.length > 0)
        *out = mem_copy(bytes.bytes);
    text_done(&bytes);
    return read;
}

static bool read_key(const char *path, struct secret **out, struct error *err)
{
    struct text bytes;
    bool read;

    text_init(&bytes, CERTIFICATE_MAX_BYTES);
    read = read_one(path, &bytes, err);
    if (read && bytes.length > 0)
        *out = secret_new(bytes.bytes, bytes.length);
    OPENSSL_cleanse(bytes.bytes, bytes.length);
    text_done(&bytes);
    return read;
}

bool certificate_files_read_named(const struct certificate_paths *paths, struct pki_set *out, struct error *err)
{
    struct pki_set set = {0};

    if (read_pem(paths->ca, &set.ca, err) && read_pem(paths->certificate, &set.certificate, err) &&
        read_key(paths->key, &set.key, err) && read_key(paths->ca_key, &set.ca_key, err)) {
        *out = set;
        return true;
    }
    pki_set_done(&set);
    return false;
}

bool certificate_files_read(const char *folder, bool with_ca_key, struct pki_set *out, struct error *err)
{
    static const char *const names[] = {"ca.crt", "tls.crt", "tls.key", "ca.key"};
    char paths[sizeof(names) / sizeof(names[0])][PATH_BYTES];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (snprintf(paths[i], PATH_BYTES, "%s/%s", folder, names[i]) >= PATH_BYTES)
            return error_set(err, ERROR_INVALID, "the path of %s is too long", names[i]);
    return certificate_files_read_named(
        &(struct certificate_paths){
            .ca = paths[0], .certificate = paths[1], .key = paths[2], .ca_key = with_ca_key ? paths[3] : NULL},
        out, err);
}

/* ------------------------------------------------------------------ writing */

static bool write_one(const char *folder, const char *name, const char *bytes, struct error *err)
{
    char path[PATH_BYTES], draft[PATH_BYTES];
    int fd;
    bool written;

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path) ||
        snprintf(draft, sizeof(draft), "%s/.%s.new", folder, name) >= (int)sizeof(draft))
        return error_set(err, ERROR_INVALID, "the path of %s is too long", name);
    fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(err, ERROR_INTERNAL, "%.200s cannot be written: %s", draft, strerror(errno));
    written = file_write_all(fd, bytes, strlen(bytes));
    written = close(fd) == 0 && written;
    if (written && rename(draft, path) == 0)
        return true;
    error_set(err, ERROR_INTERNAL, "%.200s cannot be written: %s", path, strerror(errno));
    unlink(draft);
    return false;
}

bool certificate_files_write(const char *folder, const struct pki_set *set, struct error *err)
{
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return error_set(err, ERROR_INTERNAL, "the folder %.200s cannot be made: %s", folder, strerror(errno));
    return write_one(folder, "ca.key", secret_reveal(set->ca_key), err) && write_one(folder, "ca.crt", set->ca, err) &&
           write_one(folder, "tls.key", secret_reveal(set->key), err) &&
           write_one(folder, "tls.crt", set->certificate, err);
}
