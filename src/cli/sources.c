/*
 * sources: see sources.h. Revisions are read by running `git show`: no shell, no pager, and what it says of a revision or path that is not
 * there is our message.
 */
#include "cli/sources.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "manifest/manifest.h"

enum { GIT_MESSAGE_BYTES = 300 };

static void add_file(struct sources *sources, const char *name, struct text bytes)
{
    sources->files = mem_grow(sources->files, sources->count + 1, sizeof(*sources->files));
    sources->files[sources->count++] = (struct source_file){mem_copy(name), bytes};
}

/* ---- on disk ---- */

static bool read_file(struct sources *sources, const char *path, struct error *err)
{
    struct text bytes;

    text_init(&bytes, MANIFEST_FILE_MAX_BYTES);
    if (!file_read(path, &bytes, err)) {
        text_done(&bytes);
        return false;
    }
    add_file(sources, path, bytes);
    return true;
}

static bool read_entry(struct sources *sources, const char *folder, const char *entry, struct error *err)
{
    char path[PATH_MAX];
    struct stat status;

    if (!file_is_manifest(entry))
        return true;
    if (snprintf(path, sizeof(path), "%s/%s", folder, entry) >= (int)sizeof(path))
        return error_set(err, ERROR_LIMIT, "the path of %s in %.80s... is longer than PATH_MAX", entry, folder);
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) /* the running system does not read it either */
        return true;
    return read_file(sources, path, err);
}

static bool read_folder(struct sources *sources, const char *folder, struct error *err)
{
    struct dirent **names;
    int count = scandir(folder, &names, NULL, alphasort);
    bool fine = true;

    if (count < 0)
        return error_set(err, ERROR_MISSING, "%s cannot be listed: %s", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        fine = fine && read_entry(sources, folder, names[i]->d_name, err);
        free(names[i]);
    }
    free(names);
    return fine;
}

/* ---- in git ---- */

static void become_git(const char *object, int out, int errors)
{
    char *const arguments[] = {(char *)"git",
                               (char *)"--no-pager",
                               (char *)"show",
                               (char *)"--no-color",
                               (char *)"--end-of-options",
                               (char *)object,
                               NULL};
    int nothing = open("/dev/null", O_RDONLY);

    dup2(nothing, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    execvp("git", arguments);
    dprintf(STDERR_FILENO, "git cannot be run: %s", strerror(errno));
    _exit(127);
}

/* What does not fit is read, so that the other side does not wait, and lost. */
static void drain(int fd, struct text *out)
{
    char bytes[65536];

    for (;;) {
        ssize_t got = read(fd, bytes, sizeof(bytes));

        if (got > 0)
            text_append(out, bytes, (size_t)got);
        else if (got == 0 || errno != EINTR)
            return;
    }
}

/* Messages of git are short and written at once: they fit into a pipe, and are read when all else has been. */
static int run_git(const char *object, struct text *out, struct text *message)
{
    int outs[2], status = -1;
    int errors = memfd_create("git", MFD_CLOEXEC); /* no pipe: nobody reads it while the output is read */
    pid_t child;

    if (errors < 0)
        return -1;
    if (pipe2(outs, O_CLOEXEC) != 0) {
        close(errors);
        return -1;
    }
    child = fork();
    if (child == 0)
        become_git(object, outs[1], errors);
    close(outs[1]);
    drain(outs[0], out);
    close(outs[0]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (lseek(errors, 0, SEEK_SET) == 0)
        drain(errors, message);
    close(errors);
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool git_show(const char *object, struct text *out, struct error *err)
{
    struct text message;
    int status;

    text_init(&message, GIT_MESSAGE_BYTES);
    status = run_git(object, out, &message);
    message.bytes[strcspn(message.bytes, "\n")] = '\0';
    if (status != 0)
        error_set(err, ERROR_MISSING, "%s is no file here, and git does not show it: %s", object,
                  message.bytes[0] ? message.bytes : "it could not be run");
    else if (out->overflowed)
        status = error_set(err, ERROR_LIMIT, "%s has more than %d bytes (MANIFEST_FILE_MAX_BYTES)", object,
                           MANIFEST_FILE_MAX_BYTES) +
                 1;
    text_done(&message);
    return status == 0;
}

static bool read_revision(struct sources *sources, const char *object, struct error *err);

/* "tree REV:PATH", an empty line, and a name per line; folders end with "/". */
static bool read_tree(struct sources *sources, const char *object, char *listing, struct error *err)
{
    char *rest = NULL, *line = strtok_r(listing, "\n", &rest);
    bool fine = true;

    while (fine && (line = strtok_r(NULL, "\n", &rest))) {
        char name[PATH_MAX];
        size_t length = strlen(object);
        bool slash = length > 0 && object[length - 1] != '/' && object[length - 1] != ':';

        if (!file_is_manifest(line))
            continue;
        if (snprintf(name, sizeof(name), "%s%s%s", object, slash ? "/" : "", line) >= (int)sizeof(name))
            return error_set(err, ERROR_LIMIT, "the path of %s in %.80s... is longer than PATH_MAX", line, object);
        fine = read_revision(sources, name, err);
    }
    return fine;
}

/* A folder's listing names files only, so this calls itself once. */
static bool read_revision(struct sources *sources, const char *object, struct error *err)
{
    char head[PATH_MAX + 8];
    struct text bytes;
    bool fine;

    text_init(&bytes, MANIFEST_FILE_MAX_BYTES);
    fine = git_show(object, &bytes, err);
    snprintf(head, sizeof(head), "tree %s\n\n", object);
    if (fine && !string_starts(bytes.bytes, head)) {
        add_file(sources, object, bytes);
        return true;
    }
    fine = fine && read_tree(sources, object, bytes.bytes, err);
    text_done(&bytes);
    return fine;
}

bool sources_read(struct sources *sources, const char *operand, struct error *err)
{
    struct stat status;

    if (strcmp(operand, "-") == 0)
        return read_file(sources, operand, err);
    if (stat(operand, &status) == 0)
        return S_ISDIR(status.st_mode) ? read_folder(sources, operand, err) : read_file(sources, operand, err);
    if (strchr(operand, ':') && operand[0] != ':')
        return read_revision(sources, operand, err);
    return error_set(err, ERROR_MISSING, "%s cannot be opened: %s", operand, strerror(errno));
}

void sources_done(struct sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        free(sources->files[i].name);
        text_done(&sources->files[i].bytes);
    }
    free(sources->files);
    *sources = (struct sources){0};
}

struct manifest **sources_manifests(const struct sources *sources, struct report *report)
{
    struct manifest **manifests = mem_array(sources->count ? sources->count : 1, sizeof(*manifests));

    for (size_t i = 0; i < sources->count; i++)
        manifest_read(sources->files[i].name, sources->files[i].bytes.bytes, sources->files[i].bytes.length, NULL,
                      report, &manifests[i]);
    return manifests;
}
