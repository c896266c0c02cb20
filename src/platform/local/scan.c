/*
 * scan: what an earlier Weir left in the data directory: replicas and jobs that still run, or that ended meanwhile.
 *
 * Everything is adopted before any manifest is read, so that nothing is started twice. What no manifest of this run names is left
 * alone as long as the file it came from exists (that file may be broken at the moment, or belong to another set of paths);
 * when the file is gone, so is the workload.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "platform/local/local_internal.h"

bool local_name_is_good(const char *name)
{
    return name != NULL && name[0] != 0 && name[0] != '.' && strchr(name, '/') == NULL &&
           strlen(name) <= LOCAL_NAME_MAX_BYTES;
}

bool local_read_workload(const char *dir, char *kind, size_t kind_size, char *file, size_t file_size, int32_t *replicas)
{
    struct record record;

    if (!record_read(dir, "workload", &record) || !record_text(&record, "kind", kind, kind_size))
        return false;
    record_text(&record, "file", file, file_size);
    int64_t count = record_integer(&record, "replicas", -1);
    *replicas = count >= 0 && count <= INT32_MAX ? (int32_t)count : -1;
    return true;
}

static void adopt_group(struct local *local, const char *kind, const char *ns, const char *name, const char *file,
                        int32_t replicas)
{
    struct group *group = group_get(local, kind, ns, name);

    group->replicas = replicas;
    if (file[0] != 0)
        group->file = strdup(file);
    group_adopt(group);
}

static void adopt_jobset(struct local *local, const char *ns, const char *name, const char *file)
{
    struct jobset *set = jobset_get(local, ns, name);

    if (file[0] != 0)
        set->file = strdup(file);
    jobset_adopt(set);
}

/* entry: "<kind>.<name>" */
static void adopt_entry(struct local *local, const char *ns, const char *entry)
{
    char dir[PATH_MAX], kind[64], file[PATH_MAX];
    int32_t replicas;
    const char *dot = strchr(entry, '.');

    if (dot == NULL || dot == entry ||
        snprintf(dir, sizeof dir, "%s/%s/%s", local->root, ns, entry) >= (int)sizeof dir ||
        !local_read_workload(dir, kind, sizeof kind, file, sizeof file, &replicas))
        return;
    if (strlen(kind) != (size_t)(dot - entry) || strncmp(kind, entry, strlen(kind)) != 0)
        return; /* not written by us */
    if (strcmp(kind, "ScaledJob") == 0)
        adopt_jobset(local, ns, dot + 1, file);
    else
        adopt_group(local, kind, ns, dot + 1, file, replicas);
}

static void scan_namespace(struct local *local, const char *ns)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s", local->root, ns) >= (int)sizeof path)
        return;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.')
            adopt_entry(local, ns, entry->d_name);
    }
    closedir(dir);
}

void local_scan(struct local *local)
{
    DIR *dir = opendir(local->root);

    if (dir == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (local_name_is_good(entry->d_name) && entry->d_type != DT_REG)
            scan_namespace(local, entry->d_name);
    }
    closedir(dir);
}
