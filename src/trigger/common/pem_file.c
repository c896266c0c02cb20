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

bool pem_file_open(struct pem_file *file, const char *const *texts, struct error *err)
{
    int fd = memfd_create("pem", MFD_CLOEXEC);
    bool good = fd >= 0 && fchmod(fd, S_IRUSR | S_IWUSR) == 0; /* libpq takes no key that others could read */

    for (; good && *texts; texts++)
        good = write_all(fd, *texts, strlen(*texts)) && write_all(fd, "\n", 1);
    if (!good) {
        error_set(err, ERROR_INTERNAL, "no memory file for a certificate: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    file->fd = fd;
    snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", fd);
    return true;
}

void pem_file_close(struct pem_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}
