/* files: see files.h. Temporary names start with a dot and lie beside what they become, so that rename stays in one disk. */
#include "platform/local/files.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

/* ------------------------------------------------------------------ errors of the machine */

static const char *remedy_of(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return "; free space on that disk, or choose another with --data-dir";
    case EROFS:
    case EACCES:
    case EPERM:
        return "; make it writable for this user, or choose another with --data-dir";
    case EMFILE:
    case ENFILE:
        return "; raise the limit of open files (ulimit -n)";
    case EAGAIN:
    case ENOMEM:
        return "; the machine has no room for more processes (ulimit -u, memory)";
    case E2BIG:
        return "; arguments and environment together are too long for the kernel";
    default:
        return "";
    }
}

bool error_set_machine(struct error *err, int number, const char *doing, const char *what)
{
    return error_set(err, number == EMFILE || number == ENFILE ? ERROR_LIMIT : ERROR_INTERNAL, "cannot %s %s: %s%s",
                     doing, what, strerror(number), remedy_of(number));
}

/* ------------------------------------------------------------------ records */

static bool join(char *out, size_t size, const char *dir, const char *name)
{
    return snprintf(out, size, "%s/%s", dir, name) < (int)size;
}

bool record_read(const char *dir, const char *name, struct record *out)
{
    char path[PATH_MAX];

    out->bytes[0] = 0;
    if (!join(path, sizeof path, dir, name))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, out->bytes, sizeof out->bytes - 1);
    close(fd);
    out->bytes[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* Start of the value and its length; NULL when there is no such line. */
static const char *find_line(const struct record *record, const char *key, size_t *length)
{
    size_t key_length = strlen(key);

    for (const char *line = record->bytes; *line != 0;) {
        size_t line_length = strcspn(line, "\n");
        if (line_length > key_length && strncmp(line, key, key_length) == 0 && line[key_length] == ' ') {
            *length = line_length - key_length - 1;
            return line + key_length + 1;
        }
        line += line_length + (line[line_length] == '\n');
    }
    return NULL;
}

bool record_text(const struct record *record, const char *key, char *out, size_t size)
{
    size_t length;
    const char *value = find_line(record, key, &length);

    out[0] = 0;
    if (value == NULL)
        return false;
    if (length >= size)
        length = size - 1;
    memcpy(out, value, length);
    out[length] = 0;
    return true;
}

int64_t record_integer(const struct record *record, const char *key, int64_t fallback)
{
    char text[32], *end;

    if (!record_text(record, key, text, sizeof text))
        return fallback;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == 0 ? value : fallback;
}

bool record_put(struct record *record, const char *key, const char *value)
{
    size_t used = strlen(record->bytes), left = sizeof record->bytes - used;
    int n = snprintf(record->bytes + used, left, "%s %s", key, value);

    if (n < 0 || (size_t)n + 1 >= left) {
        record->bytes[used] = 0;
        return false;
    }
    for (char *c = record->bytes + used; *c != 0; c++) {
        if (*c == '\n')
            *c = ' ';
    }
    strcat(record->bytes + used, "\n"); /* there is room: checked above */
    return true;
}

bool record_put_integer(struct record *record, const char *key, int64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)value);
    return record_put(record, key, text);
}

bool record_write(const char *dir, const char *name, const struct record *record, struct error *err)
{
    return file_write(dir, name, record->bytes, strlen(record->bytes), err);
}

/* ------------------------------------------------------------------ files and directories */

bool file_write(const char *dir, const char *name, const void *bytes, size_t length, struct error *err)
{
    char path[PATH_MAX], temporary[PATH_MAX];

    if (!join(path, sizeof path, dir, name) ||
        snprintf(temporary, sizeof temporary, "%s/.%s.new", dir, name) >= (int)sizeof temporary)
        return error_set_machine(err, ENAMETOOLONG, "write", name);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_machine(err, errno, "write", path);
    bool written = file_write_all(fd, bytes, length);
    int number = errno;
    close(fd);
    if (written && rename(temporary, path) == 0)
        return true;
    if (written)
        number = errno;
    unlink(temporary);
    return error_set_machine(err, number, "write", path);
}

bool dir_make(const char *path, struct error *err)
{
    char part[PATH_MAX];

    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return error_set_machine(err, ENAMETOOLONG, "make directory", path);
    for (char *c = part + 1;; c++) {
        char here = *c;
        if (here != '/' && here != 0)
            continue;
        *c = 0;
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return error_set_machine(err, errno, "make directory", part);
        if (here == 0)
            return true;
        *c = '/';
    }
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *place)
{
    (void)st;
    (void)type;
    (void)place;
    return remove(path) != 0 && errno != ENOENT ? errno : 0;
}

bool dir_remove(const char *path, struct error *err)
{
    enum { OPEN_DIRECTORIES = 8 };
    int result = nftw(path, remove_entry, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);

    if (result == 0 || (result == -1 && errno == ENOENT))
        return true;
    return error_set_machine(err, result == -1 ? errno : result, "remove", path);
}

/* ------------------------------------------------------------------ processes */

size_t numbers_read(const char *text, int64_t *out, size_t max)
{
    size_t n = 0;

    for (char *end; n < max; n++) {
        long long value = strtoll(text, &end, 10);
        if (end == text)
            break;
        out[n] = value;
        text = end;
    }
    return n;
}

/* The second field is the process's name in brackets, which may itself hold blanks and brackets; the third is a letter. */
bool process_fields(pid_t pid, int64_t *out, size_t count)
{
    char path[64], line[1024];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, line, sizeof line - 1);
    close(fd);
    line[n > 0 ? n : 0] = 0;
    const char *name_end = strrchr(line, ')');
    return name_end != NULL && strlen(name_end) > 3 && numbers_read(name_end + 3, out, count) == count;
}

bool process_read(pid_t pid, struct process_id *out)
{
    int64_t fields[PROCESS_START - PROCESS_PARENT + 1];

    if (!process_fields(pid, fields, PROCESS_START - PROCESS_PARENT + 1))
        return false;
    *out = (struct process_id){.pid = pid, .start = (uint64_t)fields[PROCESS_START - PROCESS_PARENT]};
    return true;
}

const char *boot_id(void)
{
    static char id[64];

    if (id[0] == 0) {
        int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, id, sizeof id - 1);
        if (fd >= 0)
            close(fd);
        id[n > 0 ? n : 0] = 0;
        id[strcspn(id, "\n")] = 0;
    }
    return id;
}
