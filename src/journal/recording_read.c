/*
 * recording_read: files into entries. The files of a folder are read in the order of their numbers. One that goes on from the file just read
 * keeps what is known of the objects; before any other, everything is forgotten. Lines about objects that are not known yet (who begins in
 * the middle) are passed over until their resumed description comes; who knows them passes over that. The last line of a file that was not
 * ended may be half a line: it is what a killed writer lost.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/lines.h"
#include "base/text.h"
#include "base/tree.h"
#include "journal/recording_internal.h"

struct known {
    bool described;
    struct recorded_object object; /* all of it ours */
    char *key, **triggers;
    struct recorded_state state;
    struct decide_facts facts;
    struct job_facts job_facts;
};
struct recording {
    char *path;                   /* as it was given */
    struct recording_file *files; /* NULL: path is the one file */
    size_t file_count, next_file;
    struct lines *in;
    char *file; /* that is read */
    int64_t number;
    struct known **known; /* by index */
    size_t known_count;
    struct arena *arena; /* of a line */
};

/* ------------------------------------------------------------------ objects */

static void forget(struct known *known)
{
    if (!known)
        return;
    for (size_t i = 0; i < known->object.trigger_count; i++)
        free(known->triggers[i]);
    free(known->triggers);
    free(known->key);
    recorded_state_done(&known->state);
    free(known);
}

static void forget_all(struct recording *in)
{
    for (size_t i = 0; i < in->known_count; i++)
        forget(in->known[i]);
    free(in->known);
    in->known = NULL;
    in->known_count = 0;
}

static bool read_memory(struct arena *arena, const struct tree *node, struct recorded_object *o, struct error *err)
{
    const char *text = tree_string(node);
    size_t length = node ? node->length : 0;

    if (!node)
        return true;
    if (!text || length % 4 != 0 || length > INT32_MAX / 2)
        return error_set(err, ERROR_NONSENSE, "its memory is no base64");
    unsigned char *bytes = arena_alloc(arena, length / 4 * 3 + 1);
    int count = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)length);
    if (count < 0)
        return error_set(err, ERROR_NONSENSE, "its memory is no base64");
    for (size_t i = 0; i < 2 && length > 0 && text[length - 1 - i] == '='; i++)
        count--;
    o->memory = (const char *)bytes;
    o->memory_length = (size_t)count;
    return true;
}

static bool read_number(const struct tree *line, const char *name, int64_t high, int64_t *out, struct error *err)
{
    if (!tree_integer(tree_get(line, name), out) || *out < 0 || *out > high)
        return error_set(err, ERROR_NONSENSE, "'%s' is missing or out of range", name);
    return true;
}

static bool read_triggers(struct known *known, const struct tree *list, struct error *err)
{
    size_t i = 0;

    if (!list || list->type != TREE_LIST || list->count > TRIGGERS_MAX)
        return error_set(err, ERROR_NONSENSE, "'triggers' is no list of at most %d names", TRIGGERS_MAX);
    known->triggers = mem_array(list->count + 1, sizeof(*known->triggers));
    for (const struct tree *name = list->first; name; name = name->next) {
        if (name->type != TREE_STRING)
            return error_set(err, ERROR_NONSENSE, "the name of trigger %zu is no text", i);
        known->triggers[i++] = mem_copy(name->text);
        known->object.trigger_count = i;
    }
    known->object.triggers = (const char *const *)known->triggers;
    return true;
}

static bool read_object(struct known *known, const struct tree *line, struct arena *arena, struct error *err)
{
    struct recorded_object *o = &known->object;
    const char *key = tree_string(tree_get(line, "key")), *generation = tree_string(tree_get(line, "generation"));
    int64_t resources;

    if (!key || !*key || !generation)
        return error_set(err, ERROR_NONSENSE, "an object has no key or no generation");
    known->key = mem_copy(key);
    o->key = known->key;
    o->generation = strtoull(generation, NULL, 10);
    tree_bool(tree_get(line, "is_job"), &o->is_job);
    if (!read_number(line, "at", INT64_MAX / 2, &o->at_ms, err) ||
        !read_number(line, "created", INT64_MAX / 2, &o->created_at_ms, err) ||
        !read_number(line, "interval", INT64_MAX / 2, &o->interval_ms, err) ||
        !read_triggers(known, tree_get(line, "triggers"), err) ||
        !read_number(line, "resources", (int64_t)o->trigger_count, &resources, err))
        return false;
    o->resource_count = (size_t)resources;
    recorded_state_init(&known->state, o->trigger_count, o->resource_count);
    return read_memory(arena, tree_get(line, "memory"), o, err);
}

static bool make_place(struct recording *in, size_t index, struct error *err)
{
    if (index < in->known_count)
        return true;
    if (index >= OBJECTS_MAX)
        return error_set(err, ERROR_LIMIT, "there are more than %d objects (OBJECTS_MAX)", OBJECTS_MAX);
    size_t count = index + 1 > 2 * in->known_count ? index + 1 : 2 * in->known_count;
    in->known = mem_grow(in->known, count, sizeof(*in->known));
    memset(in->known + in->known_count, 0, (count - in->known_count) * sizeof(*in->known));
    in->known_count = count;
    return true;
}

/* *said: it is an entry. */
static bool on_object(struct recording *in, size_t index, const struct tree *line, struct recording_entry *entry,
                      bool *said, struct error *err)
{
    bool resumed = false;

    tree_bool(tree_get(line, "resumed"), &resumed);
    if (!make_place(in, index, err) || (resumed && in->known[index]))
        return index < in->known_count;
    struct known *known = mem_alloc(sizeof(*known));
    if (!read_object(known, line, in->arena, err) || (resumed && !recorded_state_read(&known->state, line, err))) {
        forget(known);
        return false;
    }
    forget(in->known[index]);
    in->known[index] = known;
    entry->kind = RECORDING_OBJECT;
    entry->object = known->object;
    known->object.memory = NULL; /* of the line */
    *said = true;
    return true;
}

/* ------------------------------------------------------------------ entries */

static bool on_sample(const struct known *known, const struct tree *line, struct recording_entry *entry,
                      struct error *err)
{
    const struct tree *list = tree_get(line, "sample");
    int64_t trigger, at, weight = 1;

    if (!read_number(line, "trigger", (int64_t)known->object.trigger_count - 1, &trigger, err) ||
        (tree_get(line, "weight") && !read_number(line, "weight", UINT16_MAX, &weight, err)))
        return false;
    if (!tree_integer(tree_index(list, 0), &at))
        return error_set(err, ERROR_NONSENSE, "a sample is not [at, value]");
    entry->kind = RECORDING_SAMPLE;
    entry->key = known->key;
    entry->trigger = known->triggers[trigger];
    entry->sample = (struct sample){.at_ms = at, .weight = (uint16_t)weight};
    return recorded_sample_read(list, 1, &entry->sample, err);
}

static bool on_applied(const struct known *known, const struct tree *line, struct recording_entry *entry,
                       struct error *err)
{
    entry->kind = RECORDING_APPLIED;
    entry->key = known->key;
    return read_number(line, "at", INT64_MAX / 2, &entry->applied_at_ms, err);
}

static void fill_tick(struct known *known, struct recording_entry *entry)
{
    const struct recorded_state *s = &known->state;

    known->facts = (struct decide_facts){.now_ms = s->at_ms,
                                         .replicas = s->replicas,
                                         .status_replicas = s->status_replicas,
                                         .ready_replicas = s->ready_replicas,
                                         .samples = s->samples,
                                         .good_at_ms = s->good_unknown ? NULL : s->good_at_ms,
                                         .pods = s->pods,
                                         .pod_count = s->pod_count,
                                         .pods_failed = s->pods_failed};
    entry->kind = RECORDING_TICK;
    entry->tick = (struct recorded_tick){.key = known->key,
                                         .at_ms = s->at_ms,
                                         .facts = &known->facts,
                                         .before = s->before,
                                         .after = s->after,
                                         .write = s->write,
                                         .active = s->active,
                                         .reason = s->reason,
                                         .has_value = s->has_value,
                                         .value = s->value};
}

static void fill_job_tick(struct known *known, struct recording_entry *entry)
{
    const struct recorded_state *s = &known->state;

    known->job_facts = (struct job_facts){.now_ms = s->at_ms,
                                          .running = s->running,
                                          .pending = s->pending,
                                          .samples = s->samples,
                                          .created_last_at_ms = s->created_last_at_ms};
    entry->kind = RECORDING_JOB_TICK;
    entry->job_tick = (struct recorded_job_tick){
        .key = known->key, .facts = &known->job_facts, .create = s->create, .queue_length = s->queue_length};
}

static bool on_line(struct recording *in, const struct tree *line, struct recording_entry *entry, bool *said,
                    struct error *err)
{
    int64_t index;
    struct known *known;
    bool resumed = false;

    if (!read_number(line, "o", OBJECTS_MAX, &index, err))
        return false;
    if (tree_get(line, "key"))
        return on_object(in, (size_t)index, line, entry, said, err);
    known = (size_t)index < in->known_count ? in->known[index] : NULL;
    tree_bool(tree_get(line, "resumed"), &resumed);
    *said = known != NULL && !(resumed && known->described);
    if (!*said)
        return true;
    if (tree_get(line, "sample"))
        return on_sample(known, line, entry, err);
    known->described = true; /* what is resumed comes right after the description */
    if (tree_get(line, "applied"))
        return on_applied(known, line, entry, err);
    if (!recorded_state_read(&known->state, line, err))
        return false;
    if (known->object.is_job)
        fill_job_tick(known, entry);
    else
        fill_tick(known, entry);
    return true;
}

/* ------------------------------------------------------------------ files */

static bool close_lines(struct recording *in)
{
    lines_close(in->in);
    free(in->file);
    in->in = NULL;
    in->file = NULL;
    return false;
}

static bool check_heading(struct recording *in, const struct tree *line, struct error *err)
{
    int64_t format, number, from = -1;

    if (!tree_integer(tree_get(line, "recording"), &format) || !tree_integer(tree_get(line, "number"), &number))
        return error_set(err, ERROR_INVALID,
                         "this is no recording of Weir: it does not begin with {\"recording\":1,...}");
    if (format != RECORDING_FORMAT)
        return error_set(err, ERROR_INVALID,
                         "it has format %lld, this Weir reads format %d: use the version that wrote it",
                         (long long)format, RECORDING_FORMAT);
    tree_integer(tree_get(line, "continues"), &from);
    if (from < 0 || from != in->number)
        forget_all(in);
    in->number = number;
    return true;
}

static bool read_heading(struct recording *in, struct error *err)
{
    struct tree *tree;
    const char *line;
    size_t length;

    err->kind = ERROR_NONE; /* a line that was cut is none */
    if (!lines_next(in->in, &line, &length, err) || !lines_whole(in->in))
        return false;
    arena_reset(in->arena);
    if (!tree_read_json(line, length, false, in->arena, &tree, err))
        return error_set(err, ERROR_INVALID,
                         "this is no recording of Weir: it does not begin with {\"recording\":1,...}");
    return check_heading(in, tree, err);
}

/* false: there is none left (ERROR_NONE), or it cannot be read. A file in which nothing was written yet is passed over. */
static bool next_file(struct recording *in, struct error *err)
{
    while (in->next_file < in->file_count) {
        const struct recording_file *file = in->files ? &in->files[in->next_file] : NULL;
        char path[4400];

        in->next_file++;
        snprintf(path, sizeof(path), "%s%s%s", in->path, file ? "/" : "", file ? file->name : "");
        in->in = lines_open(path, err);
        if (!in->in)
            return false;
        lines_may_be_cut(in->in);
        in->file = mem_copy(path);
        if (read_heading(in, err))
            return true;
        if (err->kind != ERROR_NONE) {
            error_add_place(err, "%s", path);
            return close_lines(in);
        }
        close_lines(in);
    }
    err->kind = ERROR_NONE;
    return false;
}

/* *said: the line is an entry. false: the line is wrong. */
static bool read_line(struct recording *in, const char *line, size_t length, struct recording_entry *entry, bool *said,
                      struct error *err)
{
    struct tree *tree;

    *said = false;
    arena_reset(in->arena);
    *entry = (struct recording_entry){.kind = RECORDING_OBJECT};
    if (tree_read_json(line, length, false, in->arena, &tree, err) && on_line(in, tree, entry, said, err))
        return true;
    return error_add_place(err, "%s:%zu", in->file, lines_number(in->in));
}

bool recording_next(struct recording *in, struct recording_entry *entry, struct error *err)
{
    struct error own;
    const char *line;
    size_t length;
    bool said;

    err = err ? err : &own;
    for (;;) {
        if (!in->in && !next_file(in, err))
            return false;
        if (!lines_next(in->in, &line, &length, err)) {
            if (err->kind != ERROR_NONE)
                return error_add_place(err, "%s", in->file);
            close_lines(in);
        } else if (!lines_whole(in->in)) {
            continue; /* cut off: the end */
        } else if (!read_line(in, line, length, entry, &said, err)) {
            return false;
        } else if (said) {
            return true;
        }
    }
}

/* ------------------------------------------------------------------ life */

struct recording *recording_open(const char *path, struct error *err)
{
    struct recording_file *files = NULL;
    struct stat status;
    size_t count = 1;

    if (stat(path, &status) != 0) {
        error_set(err, ERROR_MISSING,
                  "%s is not there: name a folder that weir run --record wrote into, or a file of it", path);
        return NULL;
    }
    if (S_ISDIR(status.st_mode) && !recording_list(path, &files, &count, err))
        return NULL;
    if (count == 0) {
        error_set(err, ERROR_MISSING, "%s has no file of a recording (weir-*.jsonl.gz)", path);
        return NULL;
    }
    struct recording *in = mem_alloc(sizeof(*in));
    in->path = mem_copy(path);
    in->files = files;
    in->file_count = count;
    in->number = -1;
    in->arena = arena_new(ARENA_USUAL);
    return in;
}

void recording_close(struct recording *in)
{
    if (!in)
        return;
    close_lines(in);
    forget_all(in);
    if (in->files)
        recording_files_free(in->files, in->file_count);
    arena_free(in->arena);
    free(in->path);
    free(in);
}

bool recording_is(const char *path)
{
    struct stat status;
    const char *line;
    size_t length;

    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return true;
    struct lines *in = lines_open(path, NULL);
    bool is = in && lines_next(in, &line, &length, NULL) && string_starts(line, "{\"recording\":");
    lines_close(in);
    return is;
}
