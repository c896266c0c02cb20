/* pem_file: see pem_file.h. */
#include "trigger/common/pem_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

static int make(void)
{
    int fd = memfd_create("pem", MFD_CLOEXEC);

    if (fd < 0 || fchmod(fd, S_IRUSR | S_IWUSR) == 0) /* libpq takes no key that others could read */
        return fd;
    close(fd);
    return -1;
}

/* written: whether the file is whole. */
static bool keep(struct pem_file *file, int fd, bool written, const char *what, struct error *err)
{
    if (!written) {
        error_set(err, ERROR_INTERNAL, "no memory file for a %s: %s", what, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    file->fd = fd;
    snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", fd);
    return true;
}

bool pem_file_open(struct pem_file *file, const char *const *texts, struct error *err)
{
    int fd = make();
    bool good = fd >= 0;

    for (; good && *texts; texts++)
        good = write_all(fd, *texts, strlen(*texts)) && write_all(fd, "\n", 1);
    return keep(file, fd, good, "certificate", err);
}

bool pem_file_open_bytes(struct pem_file *file, const void *bytes, size_t length, const char *what, struct error *err)
{
    int fd = make();

    return keep(file, fd, fd >= 0 && write_all(fd, bytes, length), what, err);
}

void pem_file_close(struct pem_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}
