/*
 * files: what is asked for. Paths -> manifests -> objects, read again when a file changes.
 *
 * Files are looked at once a second (stat: device, inode, size, time), which works on every file system and for files that editors
 * replace or Kubernetes swaps behind links; with many files, less often. Loading has two passes over what changed: first
 * what others refer to (workloads, Secrets, ConfigMaps, TriggerAuthentications), then the objects. A change of
 * something that others refer to makes every file be applied again, for credentials are resolved when a policy is built.
 *
 * A bad edit takes nothing away: a file that cannot be read as YAML keeps all its objects, an object with an error keeps its last
 * good version, and both say so. An object is removed when its file says so without error or is gone itself. A folder that
 * cannot be listed, be it unmounted, forbidden or gone, and a file that cannot be looked at, take nothing away either.
 *
 * Files are changed by people, in many ways: a file that was rewritten in place is empty or half there for a moment, one that was
 * replaced is gone for a moment. So a change counts when two looks shortly after each other saw the same. And what moves from one
 * file to another, be it that the file was renamed, goes on without a break: a file of the same look may take over what
 * its old one does not name any more. A file that lost a name to another one is read again whenever something changed.
 */
#include "autoscaler/autoscaler_internal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atom.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/tree.h"
#include "manifest/manifest.h"

enum {
    LOOK_MS = 1000,
    LOOK_FILES_PER_S = 1000, /* above that many files, look less often: about 10 ms of CPU a second */
    SETTLE_MS = 250,         /* between two looks at a file that changes */
    SEVERAL_MS = 20,         /* what changed with what others refer to often comes together */
    SETTLE_LOOKS_MAX = 8,    /* a file that never rests is read as it is after so many */
};

struct stamp { /* by which a changed file is known */
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct file {
    const char *name;          /* atom */
    struct stamp read, newest; /* of what was read; of what the last look saw */
    int restless;              /* looks in a row that saw it change */
    struct report *report;     /* findings of its newest version */
    uint64_t shared_hash;      /* of what others refer to in it; 0: nothing */
    bool seen, given;          /* given: from autoscaler_apply, no file on disk */
    bool missed;               /* the last look did not see it */
    bool unread;               /* its bytes could not be had: tried again at every look */
    bool owner;                /* what it names is its own: it was applied, and named nothing that another file has */
    bool queued;               /* to be read in this look */
    bool again;                /* what an object of it refers to changed: to be applied again at the next look */
    bool batched;              /* being applied: what it does not name any more is free for the others of this look */
    char *bytes;               /* given files only: to be applied again */
    size_t length;
};

struct watched { /* a file or folder that was asked for */
    char *path;
    bool seen, failing; /* could be looked at once; could not last time */
};

struct files {
    struct autoscaler *a;
    struct watched *paths;
    size_t path_count;
    struct file **list;
    size_t count, size;
    bool report_stale;
    bool again;    /* credentials were refused: resolve them anew at the next look */
    bool some;     /* of some files that is so: their own again */
    bool restless; /* the last look saw files change */
};

static struct file *file_find(const struct files *files, const char *name)
{
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->list[i]->name, name) == 0)
            return files->list[i];
    return NULL;
}

/* ------------------------------------------------------------------ TriggerAuthentications */

/* false, and said: another file has it already. */
static bool auth_is_free(const struct files *files, const struct file *file, const struct trigger_auth *auth,
                         const char *key)
{
    const char *owner = auth_file(files->a, key);
    const struct file *other = owner ? file_find(files, owner) : NULL;

    if (!other || other == file || other->batched)
        return true;
    report_add(file->report,
               &(struct finding){
                   .severity = FINDING_ERROR, .code = "duplicate-object", .place = auth->meta.place, .object = key},
               "metadata.name", NULL, "%s also defines %s, which %s already does; keep one of them", file->name, key,
               other->name);
    return false;
}

static void auths_keep(struct files *files, const struct file *file, const struct manifest *manifest)
{
    auths_forget(files->a, file->name, manifest);
    for (size_t i = 0; i < manifest->trigger_auth_count; i++) {
        const struct trigger_auth *auth = &manifest->trigger_auths[i];
        char key[OBJECT_KEY_BYTES];

        if (auth->meta.broken)
            continue;
        auth_key(key, sizeof(key), auth->meta.kind, auth->meta.ns ? auth->meta.ns : "", auth->meta.name);
        if (auth_is_free(files, file, auth, key))
            auth_keep(files->a, file->name, auth);
    }
}

/* ------------------------------------------------------------------ one file's objects */

struct applying { /* one file being applied */
    struct files *files;
    struct file *file;
    struct arena *arena;
    bool again; /* also objects whose manifest did not change: what they refer to may have */
};

/* Its file is being applied too, and has not named it. */
static bool may_take_over(const struct files *files, const struct object *object)
{
    const struct file *other = file_find(files, object->file);

    return other && other->batched && !object->mark;
}

/* There will be no such object, or it stays what another file says. */
static void refuse(const struct applying *on, const struct object_meta *meta, const char *key, const char *code,
                   const char *problem)
{
    report_add(on->file->report,
               &(struct finding){.severity = FINDING_ERROR, .code = code, .place = meta->place, .object = key},
               "metadata.name", NULL, "%s", problem);
}

/* true: the object is this file's to change. */
static bool may_apply(struct applying *on, const struct object_meta *meta, const char *key)
{
    struct autoscaler *a = on->files->a;
    struct object *object = object_find(a, key);

    if (object && object->file != on->file->name && may_take_over(on->files, object)) {
        atom_unref(object->file);
        object->file = atom_ref(on->file->name);
    }
    if (object && object->file != on->file->name) {
        refuse(on, meta, key, "duplicate-object",
               arena_printf(on->arena, "%s also defines %s, which %s already does; keep one of them", on->file->name,
                            key, object->file));
        return false;
    }
    if (!object && map_count(a->objects) >= OBJECTS_MAX) {
        refuse(on, meta, key, "limit",
               arena_printf(on->arena, "there are %d objects already (OBJECTS_MAX); give %s to another Weir",
                            OBJECTS_MAX, key));
        return false;
    }
    return true;
}

static void apply_one(struct applying *on, const struct object_meta *meta, const struct scaled_object *scaled_object,
                      const struct scaled_job *scaled_job)
{
    struct autoscaler *a = on->files->a;
    struct application application = {.file = on->file->name,
                                      .meta = meta,
                                      .scaled_object = scaled_object,
                                      .scaled_job = scaled_job,
                                      .again = on->again,
                                      .report = on->file->report};
    struct object *object;
    char key[OBJECT_KEY_BYTES];

    if (!meta->name)
        return;
    object_key(key, sizeof(key), meta);
    if (!may_apply(on, meta, key))
        return;
    apply_object(a, key, &application);
    object = object_find(a, key);
    if (object)
        object->mark = true;
}

static void remove_unmarked(struct files *files, const char *file, bool keep_all)
{
    struct autoscaler *a = files->a;
    const char *key;
    void *value;

    for (size_t at = 0; map_next(a->objects, &at, &key, &value);) {
        struct object *object = value;

        if (object->file != file)
            continue;
        if (!object->mark && !keep_all)
            object_remove(object);
        else if (!object->mark)
            object_set_problem(a, object->key, file,
                               "the newest version of the file cannot be read; this one stays in force");
        else
            object->mark = false;
    }
}

static uint64_t shared_hash(const struct manifest *manifest)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < manifest->trigger_auth_count; i++)
        hash ^= hash_string(manifest->trigger_auths[i].meta.generation, manifest->trigger_auths[i].meta.name);
    for (size_t i = 0; i < manifest->config_count; i++)
        hash ^= hash_string(manifest->configs[i].meta.generation, manifest->configs[i].meta.name);
    for (size_t i = 0; i < manifest->workload_count; i++)
        hash ^= hash_string(manifest->workloads[i].meta.generation, manifest->workloads[i].meta.name);
    return hash;
}

/* First pass: what others refer to. true: it changed. */
static bool apply_shared(struct files *files, struct file *file, const struct manifest *manifest)
{
    struct platform *platform = files->a->parts.platform;
    uint64_t hash = manifest ? shared_hash(manifest) : 0;
    bool changed = hash != file->shared_hash;

    file->shared_hash = hash;
    if (manifest)
        auths_keep(files, file, manifest);
    else
        auths_forget(files->a, file->name, NULL);
    if (platform->ops->manifest_set)
        platform->ops->manifest_set(platform, file->name, manifest, file->report);
    return changed;
}

/* Second pass: the objects. */
static void apply_objects(struct files *files, struct file *file, const struct manifest *manifest, bool again)
{
    struct applying on = {.files = files, .file = file, .again = again, .arena = arena_new(ARENA_USUAL)};

    for (size_t i = 0; manifest && i < manifest->scaled_object_count; i++)
        apply_one(&on, &manifest->scaled_objects[i].meta, &manifest->scaled_objects[i], NULL);
    for (size_t i = 0; manifest && i < manifest->scaled_job_count; i++)
        apply_one(&on, &manifest->scaled_jobs[i].meta, NULL, &manifest->scaled_jobs[i]);
    arena_free(on.arena);
}

/* ------------------------------------------------------------------ reading */

struct reading { /* a file in the middle of its two passes */
    struct file *file;
    struct manifest *manifest; /* NULL: gone, or unreadable */
    bool gone, unreadable;
    bool known; /* unreadable as it was before: said already */
};

static void log_findings(const struct files *files, const struct file *file)
{
    if (is_rehearsal(files->a))
        return;
    for (size_t i = 0; i < report_count(file->report); i++) {
        const struct finding *f = report_at(file->report, i);
        char place[300];

        if (f->severity == FINDING_ADVICE)
            continue;
        snprintf(place, sizeof(place), "%s:%d", file->name, f->place.line);
        log_at(f->severity == FINDING_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, f->text, "at", place, "field",
               f->field, "code", f->code, NULL);
    }
}

static void read_file(struct files *files, struct reading *reading)
{
    struct file *file = reading->file;
    struct manifest_options options = {.local = files->a->parts.platform->ops->manifest_set != NULL};
    struct text bytes;
    struct error err = {.kind = ERROR_NONE};
    bool read = true;

    report_free(file->report);
    file->report = report_new();
    files->report_stale = true;
    if (reading->gone)
        return;
    text_init(&bytes, MANIFEST_FILE_MAX_BYTES);
    if (file->given)
        read = text_append(&bytes, file->bytes, file->length);
    else
        read = file_read(file->name, &bytes, &err);
    if (read && bytes.length == 0 && file->owner && !file->given)
        read = error_set(&err, ERROR_INVALID,
                         "%s is empty, which is more often an accident than meant; remove the file "
                         "to remove what it named",
                         file->name);
    if (read) {
        manifest_read(file->name, bytes.bytes, bytes.length, &options, file->report, &reading->manifest);
        reading->unreadable =
            report_count_of(file->report, FINDING_ERROR) > 0 && tree_count(reading->manifest->documents) == 0;
    } else {
        reading->unreadable = true;
        reading->known = file->unread;
        report_add(
            file->report,
            &(struct finding){.severity = FINDING_ERROR, .code = "unreadable-file", .place = {.file = file->name}}, "",
            NULL, "%s", err.text);
    }
    file->unread = !read;
    text_done(&bytes);
}

/* Those who have names already come first: nobody may take what they go on naming. */
static void owners_first(struct reading *readings, size_t count)
{
    struct reading *others = mem_array(count + 1, sizeof(*others));
    size_t owners = 0, other_count = 0;

    for (size_t i = 0; i < count; i++) {
        if (readings[i].file->owner)
            readings[owners++] = readings[i];
        else
            others[other_count++] = readings[i];
    }
    for (size_t i = 0; i < other_count; i++)
        readings[owners + i] = others[i];
    free(others);
}

/* First pass over all. true: something changed that others refer to. */
static bool apply_all_shared(struct files *files, struct reading *readings, size_t count)
{
    struct platform *platform = files->a->parts.platform;
    const char **names = mem_array(count + 1, sizeof(*names));
    size_t readable = 0;
    bool changed = false;

    for (size_t i = 0; i < count; i++)
        if (!readings[i].unreadable)
            names[readable++] = readings[i].file->name;
    if (platform->ops->manifests_begin)
        platform->ops->manifests_begin(platform, names, readable);
    for (size_t i = 0; i < count; i++)
        if (!readings[i].unreadable)
            changed |= apply_shared(files, readings[i].file, readings[i].manifest);
    if (platform->ops->manifests_end)
        platform->ops->manifests_end(platform);
    free(names);
    return changed;
}

static bool names_what_another_has(const struct file *file)
{
    for (size_t i = 0; i < report_count(file->report); i++)
        if (string_equal(report_at(file->report, i)->code, "duplicate-object") ||
            string_equal(report_at(file->report, i)->code, "duplicate"))
            return true;
    return false;
}

/* Second pass over all. */
static void apply_all_objects(struct files *files, struct reading *readings, size_t count, bool again)
{
    for (size_t i = 0; i < count; i++)
        apply_objects(files, readings[i].file, readings[i].manifest, again);
    for (size_t i = 0; i < count; i++) {
        struct file *file = readings[i].file;

        remove_unmarked(files, file->name, readings[i].unreadable);
        file->batched = false;
        if (!readings[i].unreadable)
            file->owner = !names_what_another_has(file);
        if (!readings[i].known)
            log_findings(files, file);
        manifest_free(readings[i].manifest);
    }
}

/* Applies files that changed; when something changed that others refer to, all others too. */
static void apply_readings(struct files *files, struct reading *readings, size_t count)
{
    bool shared = files->again;

    files->again = false;
    owners_first(readings, count);
    for (size_t i = 0; i < count; i++) {
        read_file(files, &readings[i]);
        readings[i].file->batched = !readings[i].unreadable;
    }
    shared |= apply_all_shared(files, readings, count);
    apply_all_objects(files, readings, count, shared || files->some);
    for (size_t i = 0; (shared || files->some) && i < files->count; i++) {
        struct reading again = {.file = files->list[i]};
        bool wanted = shared || again.file->again;

        again.file->again = false;
        if (!wanted || again.file->queued)
            continue;
        read_file(files, &again);
        again.known = true;
        apply_all_objects(files, &again, 1, true);
    }
    files->some = false;
}

/* ------------------------------------------------------------------ which files there are */

static struct file *file_add(struct files *files, const char *name)
{
    struct file *file = mem_alloc(sizeof(*file));

    file->name = atom_ref(name);
    file->report = report_new();
    if (files->count == files->size) {
        files->size = files->size ? files->size * 2 : 8;
        files->list = mem_grow(files->list, files->size, sizeof(*files->list));
    }
    files->list[files->count++] = file;
    return file;
}

static void file_drop(struct files *files, struct file *file)
{
    for (size_t i = 0; i < files->count; i++)
        if (files->list[i] == file)
            files->list[i] = files->list[--files->count];
    atom_unref(file->name);
    report_free(file->report);
    free(file->bytes);
    free(file);
}

struct look { /* one look at all paths */
    struct files *files;
    struct reading *readings;
    size_t count, size;
    bool patient;  /* a change waits until the file has come to rest */
    bool restless; /* some did not yet */
    bool changed;  /* a file did, or went; not only tried again */
};

static void look_add(struct look *look, struct file *file, bool gone)
{
    if (look->count == look->size) {
        look->size = look->size ? look->size * 2 : 16;
        look->readings = mem_grow(look->readings, look->size, sizeof(*look->readings));
    }
    look->readings[look->count++] = (struct reading){.file = file, .gone = gone};
    file->queued = true;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static bool has_come_to_rest(struct look *look, struct file *file, const struct stamp *now)
{
    bool rests = !look->patient || same_stamp(&file->newest, now) || ++file->restless >= SETTLE_LOOKS_MAX;

    file->newest = *now;
    if (rests)
        file->restless = 0;
    look->restless |= !rests;
    return rests;
}

static void look_at_file(struct look *look, const char *name, const struct stat *status)
{
    struct file *file = file_find(look->files, name);
    struct stamp now = {status->st_dev, status->st_ino, status->st_size, status->st_mtim};

    if (!file)
        file = file_add(look->files, name);
    file->seen = true;
    file->missed = false;
    if (file->queued || (!file->unread && same_stamp(&file->read, &now)) || !has_come_to_rest(look, file, &now))
        return;
    look->changed |= !same_stamp(&file->read, &now);
    file->read = now;
    look_add(look, file, false);
}

static void look_misses(struct look *look, struct file *file)
{
    if (look->patient && !file->missed) {
        file->missed = true; /* perhaps it is being replaced */
        look->restless = true;
    } else {
        look->changed = true;
        look_add(look, file, true);
    }
}

/* What they named may be free now. */
static void look_again_at_losers(struct look *look)
{
    if (!look->changed && !look->files->again)
        return;
    for (size_t i = 0; i < look->files->count; i++) {
        struct file *file = look->files->list[i];

        if (!file->queued && names_what_another_has(file))
            look_add(look, file, false);
    }
}

static void look_done(struct look *look)
{
    look_again_at_losers(look);
    if (look->count > 0 || look->files->again || look->files->some)
        apply_readings(look->files, look->readings, look->count);
    for (size_t i = 0; i < look->count; i++) {
        look->readings[i].file->queued = false;
        if (look->readings[i].gone)
            file_drop(look->files, look->readings[i].file);
    }
    free(look->readings);
}

static bool is_gone(int number)
{
    return number == ENOENT || number == ENOTDIR;
}

/* What stands in `folder` is kept as it is. */
static void keep_files_below(struct files *files, const char *folder)
{
    size_t length = strlen(folder);

    while (length > 0 && folder[length - 1] == '/')
        length--;
    for (size_t i = 0; i < files->count; i++)
        if (strncmp(files->list[i]->name, folder, length) == 0 && files->list[i]->name[length] == '/')
            files->list[i]->seen = true;
}

static void keep_file(struct files *files, const char *name)
{
    struct file *file = file_find(files, name);

    if (file)
        file->seen = true;
}

static void look_at_entry(struct look *look, const char *folder, const char *entry)
{
    char name[PATH_MAX];
    struct stat status;
    int length = snprintf(name, sizeof(name), "%s%s%s", folder, string_ends(folder, "/") ? "" : "/", entry);

    if (length >= (int)sizeof(name) || !file_is_manifest(entry))
        return;
    if (stat(name, &status) == 0) {
        if (S_ISREG(status.st_mode))
            look_at_file(look, name, &status);
    } else if (!is_gone(errno)) {
        keep_file(look->files, name);
    }
}

static bool look_at_path(struct look *look, const char *path, struct error *err)
{
    struct stat status;
    struct dirent **names;

    if (stat(path, &status) != 0) {
        int number = errno;

        keep_files_below(look->files, path);
        if (!is_gone(number))
            keep_file(look->files, path);
        return error_set(err, ERROR_MISSING, "%s cannot be opened: %s", path, strerror(number));
    }
    if (S_ISREG(status.st_mode)) {
        look_at_file(look, path, &status);
        return true;
    }
    if (!S_ISDIR(status.st_mode)) { /* a pipe can be read only once, and may never say anything */
        keep_file(look->files, path);
        return error_set(err, ERROR_MISSING, "%s is neither a file nor a folder; write the manifests to a file", path);
    }
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0) {
        error_set(err, ERROR_MISSING, "%s cannot be listed: %s", path, strerror(errno));
        keep_files_below(look->files, path);
        return false;
    }
    for (int i = 0; i < count; i++) {
        look_at_entry(look, path, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return true;
}

/* Says once that a path cannot be looked at, and once that it can again. */
static bool look_at_watched(struct look *look, struct watched *watched, struct error *err)
{
    bool fine = look_at_path(look, watched->path, err);

    if (!fine && watched->seen && !watched->failing)
        log_warning("a path cannot be looked at; what a folder had stays in force", "path", watched->path, "why",
                    err->text, NULL);
    else if (fine && watched->failing)
        log_info("a path can be looked at again", "path", watched->path, NULL);
    watched->seen |= fine;
    watched->failing = watched->seen && !fine;
    return fine;
}

static bool look_at_all(struct files *files, bool patient, struct error *err)
{
    struct look look = {.files = files, .patient = patient};
    bool all = true;

    for (size_t i = 0; i < files->count; i++)
        files->list[i]->seen = files->list[i]->given;
    for (size_t i = 0; i < files->path_count; i++)
        all &= look_at_watched(&look, &files->paths[i], err);
    for (size_t i = 0; i < files->count; i++)
        if (!files->list[i]->seen)
            look_misses(&look, files->list[i]);
    files->restless = look.restless;
    look_done(&look);
    return all;
}

static void on_look(void *arg)
{
    struct files *files = arg;
    int64_t every = LOOK_MS * (int64_t)(1 + files->count / LOOK_FILES_PER_S);
    struct error err; /* was logged */

    look_at_all(files, true, &err);
    loop_timer_set(files->a->file_timer, files->restless ? SETTLE_MS : every);
}

/* ------------------------------------------------------------------ for the other files, and the public */

struct files *files_new(struct autoscaler *a)
{
    struct files *files = mem_alloc(sizeof(*files));

    files->a = a;
    a->file_timer = loop_timer_new(a->parts.loop, on_look, files);
    return files;
}

void files_free(struct files *files)
{
    while (files->count > 0)
        file_drop(files, files->list[0]);
    for (size_t i = 0; i < files->path_count; i++)
        free(files->paths[i].path);
    free(files->paths);
    free(files->list);
    free(files);
}

bool autoscaler_watch_paths(struct autoscaler *a, const char *const *paths, size_t count, struct error *err)
{
    struct files *files = a->files;

    for (size_t i = 0; i < count; i++) {
        files->paths = mem_grow(files->paths, files->path_count + 1, sizeof(*files->paths));
        files->paths[files->path_count++] = (struct watched){.path = mem_copy(paths[i])};
    }
    if (!look_at_all(files, false, err))
        return false;
    loop_timer_set(a->file_timer, LOOK_MS);
    return true;
}

void autoscaler_reload(struct autoscaler *a)
{
    struct error err; /* was logged */

    look_at_all(a->files, false, &err);
}

void autoscaler_apply(struct autoscaler *a, const char *name, const char *bytes, size_t length)
{
    struct file *file = file_find(a->files, name);
    struct look look = {.files = a->files, .changed = true};

    if (!file && !bytes)
        return;
    if (!file)
        file = file_add(a->files, name);
    file->given = true;
    free(file->bytes);
    file->bytes = NULL;
    if (bytes) {
        file->bytes = mem_alloc(length + 1);
        memcpy(file->bytes, bytes, length);
        file->length = length;
    }
    look_add(&look, file, bytes == NULL);
    look_done(&look);
}

/* A source refused us: the credential may have been rotated. All files are applied again, which resolves credentials anew;
   equal credentials give the same question, so nothing else changes. */
void files_credentials_denied(struct autoscaler *a)
{
    int64_t ticks = loop_ticks_ms(a->parts.loop);

    if (a->denied_reload_ticks_ms != 0 && ticks - a->denied_reload_ticks_ms < DENIED_RELOAD_MS)
        return;
    a->denied_reload_ticks_ms = ticks;
    a->files->again = map_count(a->auths) > 0;
}

static bool refers_to(const struct policy *policy, const char *name)
{
    for (size_t i = 0; policy && i < policy->reference_count; i++)
        if (strcmp(policy->references_to[i], name) == 0)
            return true;
    return false;
}

void files_referred_changed(struct files *files, const char *name)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(files->a->objects, &at, &key, &value);) {
        struct object *object = value;
        struct file *file =
            object->standing || !refers_to(object->policy, name) ? NULL : file_find(files, object->file);

        if (file)
            file->again = files->some = true;
    }
    if (files->some)
        loop_timer_set(files->a->file_timer, SEVERAL_MS);
}

const struct report *autoscaler_report(const struct autoscaler *a)
{
    struct files *files = a->files;

    if (files->report_stale) {
        struct autoscaler *mine = (struct autoscaler *)a;

        report_free(mine->report);
        mine->report = report_new();
        for (size_t i = 0; i < files->count; i++)
            for (size_t j = 0; j < report_count(files->list[i]->report); j++)
                report_copy(mine->report, report_at(files->list[i]->report, j));
        report_sort(mine->report);
        files->report_stale = false;
    }
    return a->report;
}
