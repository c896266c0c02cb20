/*
 * recording_folder: which files of a folder are a recording's. Their names begin with a number that only rises, so that they are in order
 * whatever the clock did, and go on with the time for people.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"
#include "journal/recording_internal.h"

static const char prefix[] = "weir-", suffix[] = ".jsonl.gz";
enum { NUMBER_DIGITS_MAX = 15 };

void recording_file_name(int64_t number, int64_t at_ms, char *out, size_t size)
{
    struct civil c;

    civil_from_seconds(at_ms / 1000, &c);
    snprintf(out, size, "%s%06lld-%04lld%02d%02dT%02d%02d%02dZ%s", prefix, (long long)number, (long long)c.year,
             c.month, c.day, c.hour, c.minute, c.second, suffix);
}

static bool parse_name(const char *name, int64_t *number)
{
    size_t digits;

    if (!string_starts(name, prefix) || !string_ends(name, suffix))
        return false;
    name += strlen(prefix);
    digits = strspn(name, "0123456789");
    if (digits == 0 || digits > NUMBER_DIGITS_MAX || name[digits] != '-')
        return false;
    *number = strtoll(name, NULL, 10);
    return true;
}

static int by_number(const void *left, const void *right)
{
    const struct recording_file *a = left, *b = right;

    return (a->number > b->number) - (a->number < b->number);
}

void recording_files_free(struct recording_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(files[i].name);
    free(files);
}

static int64_t size_of(DIR *folder, const char *name)
{
    struct stat status;

    return fstatat(dirfd(folder), name, &status, 0) == 0 ? status.st_size : 0;
}

bool recording_list(const char *folder, struct recording_file **out, size_t *count, struct error *err)
{
    DIR *dir = opendir(folder);
    struct recording_file *files = NULL;
    const struct dirent *entry;
    size_t size = 0, n = 0;
    int64_t number;

    if (!dir)
        return error_set(err, ERROR_MISSING, "%s cannot be opened: %s", folder, strerror(errno));
    while ((entry = readdir(dir)) && n < RECORDING_FILES_MAX) {
        if (!parse_name(entry->d_name, &number))
            continue;
        if (n == size) {
            size = size ? size * 2 : 16;
            files = mem_grow(files, size, sizeof(*files));
        }
        files[n++] = (struct recording_file){number, size_of(dir, entry->d_name), mem_copy(entry->d_name)};
    }
    bool full = entry != NULL;
    closedir(dir);
    if (full) {
        recording_files_free(files, n);
        return error_set(err, ERROR_LIMIT, "%s has more than %d files (RECORDING_FILES_MAX); move old ones elsewhere",
                         folder, RECORDING_FILES_MAX);
    }
    if (n > 0)
        qsort(files, n, sizeof(*files), by_number);
    *out = files;
    *count = n;
    return true;
}
