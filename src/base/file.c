/* file: see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

static bool read_all(FILE *in, const char *path, struct text *out, struct error *err)
{
    char buffer[16384];
    size_t length;

    while ((length = fread(buffer, 1, sizeof(buffer), in)) > 0)
        if (!text_append(out, buffer, length))
            return error_set(err, ERROR_LIMIT, "%s is larger than %zu bytes (MANIFEST_FILE_MAX_BYTES); split it", path,
                             out->limit);
    if (ferror(in))
        return error_set(err, ERROR_INTERNAL, "%s cannot be read: %s", path, strerror(errno));
    return true;
}

bool file_read(const char *path, struct text *out, struct error *err)
{
    if (strcmp(path, "-") == 0)
        return read_all(stdin, path, out, err);
    FILE *in = fopen(path, "re");
    if (!in)
        return error_set(err, ERROR_MISSING, "%s cannot be opened: %s", path, strerror(errno));
    bool fine = read_all(in, path, out, err);
    fclose(in);
    return fine;
}

/* Not even the opening waits: a pipe's end may never come. */
static FILE *open_plain(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    FILE *in;

    if (fd < 0) {
        error_set(err, ERROR_MISSING, "%s cannot be opened: %s", path, strerror(errno));
        return NULL;
    }
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        in = fdopen(fd, "r");
        if (in)
            return in;
        error_set(err, ERROR_INTERNAL, "%s cannot be read: %s", path, strerror(errno));
    } else {
        error_set(err, ERROR_INVALID, "%s is a folder, a pipe or a device; put a file there", path);
    }
    close(fd);
    return NULL;
}

bool file_read_plain(const char *path, struct text *out, struct error *err)
{
    FILE *in = open_plain(path, err);

    if (!in)
        return false;
    bool fine = read_all(in, path, out, err);
    fclose(in);
    return fine;
}

bool file_write_all(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;

    while (length > 0) {
        ssize_t written = write(fd, at, length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        at += written;
        length -= (size_t)written;
    }
    return true;
}

static bool write_to(const char *path, const void *bytes, size_t length, int flags, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, mode);

    if (fd < 0)
        return false;
    if (file_write_all(fd, bytes, length))
        return close(fd) == 0;
    int number = errno;
    close(fd);
    errno = number;
    return false;
}

bool file_replace(const char *path, const void *bytes, size_t length)
{
    char real[PATH_MAX], beside[PATH_MAX + 32];
    struct stat status;
    bool there = stat(path, &status) == 0;
    const char *to = there && realpath(path, real) ? real : path;

    if (there && !S_ISREG(status.st_mode))
        return write_to(path, bytes, length, 0, 0);
    snprintf(beside, sizeof(beside), "%s.%ld.part", to, (long)getpid());
    if (write_to(beside, bytes, length, O_TRUNC, there ? status.st_mode & 0777 : 0666) && rename(beside, to) == 0)
        return true;
    int number = errno;
    unlink(beside);
    errno = number;
    return false;
}

bool file_is_test(const char *name)
{
    return name[0] != '.' && (string_ends(name, ".test.yaml") || string_ends(name, ".test.yml"));
}

bool file_is_manifest(const char *name)
{
    return name[0] != '.' && !file_is_test(name) &&
           (string_ends(name, ".yaml") || string_ends(name, ".yml") || string_ends(name, ".json"));
}
