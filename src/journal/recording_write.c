/*
 * recording_write: entries into files.
 *
 *     entry -> line -> deflate -> write(2), at the latest when recorder_flush is called
 *
 * A file is opened by the first entry that needs one, and closed when it is full. Each begins with a line that says its number and which
 * file it goes on from. As files are deleted from the front, every one must do without those before: so an object's first tick in a file is
 * followed by all that a reader needs who begins there (its facts, its memory, what formulas look back at), marked as resumed; who has read
 * the file before skips that. After a failed write the next file does not go on from any.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "journal/recording_internal.h"
#include "series/series.h"

enum { OUT_BYTES = 64 * 1024, GZIP_WINDOW_BITS = 15 + 16, MEMORY_MAX_BYTES = 4 * 1024 * 1024 };

struct recorded {
    size_t index;
    struct recorded_object object; /* key is the map's, triggers are ours */
    char **triggers;
    struct recorded_state state;
    int64_t *series_at_ms; /* of the newest sample of each series that is written down */
    int64_t described_in;  /* the file that says what it is */
};
struct recorder {
    char *folder;
    int lock; /* the folder's descriptor, locked */
    int64_t file_bytes_max, folder_bytes_max;
    int fd; /* -1: no file is open */
    z_stream z;
    unsigned char out[OUT_BYTES];
    int64_t number;  /* of the last file */
    int64_t goes_on; /* the next file goes on from this one; -1: from none */
    bool dirty;      /* something was not flushed */
    bool failed;
    int64_t failed_at_ms;
    struct map *objects;
    struct text line;
};

/* ------------------------------------------------------------------ bytes */

static void close_file(struct recorder *r)
{
    if (r->fd < 0)
        return;
    deflateEnd(&r->z);
    close(r->fd);
    r->fd = -1;
    r->dirty = false;
}

/* Gives up this file; the next one begins anew. */
static bool fail(struct recorder *r, int64_t at_ms, struct error *err, const char *what, int number)
{
    close_file(r);
    r->failed = true;
    r->failed_at_ms = at_ms;
    r->goes_on = -1;
    return error_set(
        err, ERROR_INTERNAL,
        "the recording in %s cannot be %s: %s; nothing is recorded until that is mended, which is looked at "
        "every %d s",
        r->folder, what, strerror(number), RECORDING_RETRY_MS / 1000);
}

/* What is in the line, or nothing, and then as much as `flush` asks for. */
static bool compress_line(struct recorder *r, int flush, int64_t at_ms, struct error *err)
{
    r->z.next_in = (Bytef *)r->line.bytes;
    r->z.avail_in = (uInt)r->line.length;
    do {
        r->z.next_out = r->out;
        r->z.avail_out = OUT_BYTES;
        int result = deflate(&r->z, flush);
        assert(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
        if (!file_write_all(r->fd, r->out, OUT_BYTES - r->z.avail_out))
            return fail(r, at_ms, err, "written", errno);
    } while (r->z.avail_out == 0);
    r->dirty = flush == Z_NO_FLUSH;
    return true;
}

static bool end_file(struct recorder *r, int64_t at_ms, struct error *err)
{
    text_clear(&r->line);
    if (!compress_line(r, Z_FINISH, at_ms, err))
        return false;
    close_file(r);
    r->goes_on = r->number;
    return true;
}

static bool emit(struct recorder *r, int64_t at_ms, struct error *err)
{
    text_add_char(&r->line, '\n');
    if (r->line.overflowed)
        return fail(r, at_ms, err, "written: one entry has more than LINE_MAX_BYTES", EFBIG);
    return compress_line(r, Z_NO_FLUSH, at_ms, err);
}

/* ------------------------------------------------------------------ files */

/* The oldest files go until another one fits. One that cannot be deleted stays. */
static void make_room(const struct recorder *r)
{
    struct recording_file *files;
    int64_t bytes = r->file_bytes_max;
    size_t count;

    if (!recording_list(r->folder, &files, &count, NULL))
        return;
    for (size_t i = 0; i < count; i++)
        bytes += files[i].bytes;
    for (size_t i = 0; i < count && bytes > r->folder_bytes_max; i++)
        if (unlinkat(r->lock, files[i].name, 0) == 0)
            bytes -= files[i].bytes;
    recording_files_free(files, count);
}

static bool begin_file(struct recorder *r, int64_t at_ms, struct error *err)
{
    char name[80];

    make_room(r);
    recording_file_name(r->number + 1, at_ms, name, sizeof(name));
    r->fd = openat(r->lock, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (r->fd < 0)
        return fail(r, at_ms, err, "begun", errno);
    r->z = (z_stream){0};
    int result = deflateInit2(&r->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, 8, Z_DEFAULT_STRATEGY);
    assert(result == Z_OK);
    r->number++;
    r->failed = false;
    text_clear(&r->line);
    text_printf(&r->line, "{\"recording\":%d,\"weir\":\"%s\",\"number\":%lld,\"continues\":", RECORDING_FORMAT,
                WEIR_VERSION, (long long)r->number);
    if (r->goes_on >= 0)
        text_printf(&r->line, "%lld}", (long long)r->goes_on);
    else
        text_add(&r->line, "null}");
    r->goes_on = -1;
    return emit(r, at_ms, err);
}

/* false: *said is what the caller answers; nothing can be written now. */
static bool is_open(struct recorder *r, int64_t at_ms, bool *said, struct error *err)
{
    if (r->fd >= 0 && (int64_t)r->z.total_out > r->file_bytes_max && !end_file(r, at_ms, err)) {
        *said = false;
        return false;
    }
    if (r->fd >= 0)
        return true;
    *said = r->failed && at_ms >= r->failed_at_ms && at_ms - r->failed_at_ms < RECORDING_RETRY_MS;
    if (*said)
        return false;
    bool again = r->failed; /* it was said once */
    if (begin_file(r, at_ms, err))
        return true;
    *said = again;
    return false;
}

/* ------------------------------------------------------------------ objects */

static void free_triggers(struct recorded *object)
{
    for (size_t i = 0; i < object->object.trigger_count; i++)
        free(object->triggers[i]);
    free(object->triggers);
    free(object->series_at_ms);
}

static void keep_object(struct recorded *kept, const struct recorded_object *object)
{
    kept->object = *object;
    kept->triggers = mem_array(object->trigger_count + 1, sizeof(*kept->triggers));
    kept->series_at_ms = mem_array(object->trigger_count + 1, sizeof(*kept->series_at_ms));
    for (size_t i = 0; i < object->trigger_count; i++)
        kept->triggers[i] = mem_copy(object->triggers[i]);
    kept->object.memory = NULL;
    kept->object.series = NULL;
    kept->described_in = 0;
    recorded_state_init(&kept->state, object->trigger_count, object->resource_count);
}

static struct recorded *put_object(struct recorder *r, const struct recorded_object *object)
{
    struct recorded *kept = map_get(r->objects, object->key);

    if (kept) {
        free_triggers(kept);
        recorded_state_done(&kept->state);
    } else {
        kept = mem_alloc(sizeof(*kept));
        kept->index = map_count(r->objects);
        map_put(r->objects, object->key, kept);
    }
    keep_object(kept, object);
    kept->object.key = map_key(r->objects, object->key);
    return kept;
}

static void begin_line(struct recorder *r, const struct recorded *kept)
{
    text_clear(&r->line);
    text_printf(&r->line, "{\"o\":%zu", kept->index);
}

static void add_memory(struct text *out, const char *memory, size_t length)
{
    unsigned char *encoded = mem_array(4 * ((length + 2) / 3) + 1, 1);

    EVP_EncodeBlock(encoded, (const unsigned char *)memory, (int)length);
    text_printf(out, ",\"memory\":\"%s\"", (const char *)encoded);
    free(encoded);
}

static void add_object(struct text *out, const struct recorded *kept, const char *memory, size_t length)
{
    const struct recorded_object *o = &kept->object;

    text_add(out, ",\"key\":");
    text_add_json_string(out, o->key, strlen(o->key));
    text_printf(out, ",\"created\":%lld,\"generation\":\"%llu\",\"interval\":%lld", (long long)o->created_at_ms,
                (unsigned long long)o->generation, (long long)o->interval_ms);
    if (o->is_job)
        text_add(out, ",\"is_job\":true");
    text_add(out, ",\"triggers\":[");
    for (size_t i = 0; i < o->trigger_count; i++) {
        text_add(out, i ? "," : "");
        text_add_json_string(out, kept->triggers[i], strlen(kept->triggers[i]));
    }
    text_printf(out, "],\"resources\":%zu", o->resource_count);
    if (memory)
        add_memory(out, memory, length);
}

static bool write_sample(struct recorder *r, const struct recorded *kept, size_t trigger, const struct sample *sample,
                         bool resumed, int64_t at_ms, struct error *err)
{
    begin_line(r, kept);
    text_printf(&r->line, ",\"trigger\":%zu,\"sample\":[%lld,", trigger, (long long)sample->at_ms);
    recorded_sample_write(sample, &r->line);
    text_add_char(&r->line, ']');
    if (sample->weight > 1)
        text_printf(&r->line, ",\"weight\":%u", sample->weight);
    text_add(&r->line, resumed ? ",\"resumed\":true}" : "}");
    return emit(r, at_ms, err);
}

/* What a series has since it was looked at last, but for the sample that a tick says anyway. */
static bool write_series(struct recorder *r, struct recorded *kept, size_t trigger, const struct series *series,
                         const struct sample *except, bool resumed, int64_t at_ms, struct error *err)
{
    size_t count = series_count(series), first = count;

    while (first > 0 && series_at(series, first - 1)->at_ms > (resumed ? INT64_MIN : kept->series_at_ms[trigger]))
        first--;
    for (size_t i = first; i < count; i++) {
        const struct sample *sample = series_at(series, i);

        kept->series_at_ms[trigger] = sample->at_ms;
        if (except && sample->at_ms == except->at_ms)
            continue;
        if (!write_sample(r, kept, trigger, sample, resumed, at_ms, err))
            return false;
    }
    return true;
}

static bool write_all_series(struct recorder *r, struct recorded *kept, struct series *const *series,
                             const struct sample *except, bool resumed, int64_t at_ms, struct error *err)
{
    for (size_t i = 0; series && i < kept->object.trigger_count; i++)
        if (series[i] && !write_series(r, kept, i, series[i], except ? &except[i] : NULL, resumed, at_ms, err))
            return false;
    return true;
}

bool recorder_object(struct recorder *r, const struct recorded_object *object, struct error *err)
{
    struct recorded *kept = put_object(r, object);
    bool said;

    if (!is_open(r, object->at_ms, &said, err))
        return said;
    begin_line(r, kept);
    text_printf(&r->line, ",\"at\":%lld", (long long)object->at_ms);
    add_object(&r->line, kept, object->memory, object->memory_length);
    text_add_char(&r->line, '}');
    if (!emit(r, object->at_ms, err))
        return false;
    kept->described_in = r->number;
    return write_all_series(r, kept, object->series, NULL, false, object->at_ms, err);
}

/* For who begins to read in this file: what is so after the tick just written. */
static bool describe(struct recorder *r, struct recorded *kept, const struct recorded_tick *tick, struct error *err)
{
    int64_t at_ms = kept->state.at_ms;
    struct text memory;

    if (kept->described_in == r->number)
        return true;
    text_init(&memory, MEMORY_MAX_BYTES);
    if (tick && tick->memory)
        decide_memory_write(tick->memory, &memory);
    begin_line(r, kept);
    text_add(&r->line, ",\"resumed\":true");
    add_object(&r->line, kept, memory.length > 0 ? memory.bytes : NULL, memory.length);
    text_done(&memory);
    recorded_state_write_all(&kept->state, kept->object.is_job, &r->line);
    text_add_char(&r->line, '}');
    if (!emit(r, at_ms, err))
        return false;
    kept->described_in = r->number;
    return !tick || write_all_series(r, kept, tick->facts->series, NULL, true, at_ms, err);
}

/* ------------------------------------------------------------------ entries */

static struct recorded *object_of(struct recorder *r, const char *key)
{
    struct recorded *kept = map_get(r->objects, key);

    assert(kept); /* recorder_object came first */
    return kept;
}

bool recorder_tick(struct recorder *r, const struct recorded_tick *tick, struct error *err)
{
    struct recorded *kept = object_of(r, tick->key);
    bool said;

    if (!is_open(r, tick->at_ms, &said, err))
        return said;
    if (!write_all_series(r, kept, tick->facts->series, tick->facts->samples, false, tick->at_ms, err))
        return false;
    begin_line(r, kept);
    recorded_state_write_tick(&kept->state, tick, &r->line);
    text_add_char(&r->line, '}');
    return emit(r, tick->at_ms, err) && describe(r, kept, tick, err);
}

bool recorder_job_tick(struct recorder *r, const struct recorded_job_tick *tick, struct error *err)
{
    struct recorded *kept = object_of(r, tick->key);
    bool said;

    if (!is_open(r, tick->facts->now_ms, &said, err))
        return said;
    begin_line(r, kept);
    recorded_state_write_job(&kept->state, tick, &r->line);
    text_add_char(&r->line, '}');
    return emit(r, tick->facts->now_ms, err) && describe(r, kept, NULL, err);
}

bool recorder_applied(struct recorder *r, const char *key, int64_t at_ms, struct error *err)
{
    const struct recorded *kept = object_of(r, key);
    bool said;

    if (!is_open(r, at_ms, &said, err))
        return said;
    begin_line(r, kept);
    text_printf(&r->line, ",\"at\":%lld,\"applied\":true}", (long long)at_ms);
    return emit(r, at_ms, err);
}

bool recorder_flush(struct recorder *r, struct error *err)
{
    if (r->fd < 0 || !r->dirty)
        return true;
    text_clear(&r->line);
    return compress_line(r, Z_SYNC_FLUSH, r->failed_at_ms, err);
}

/* ------------------------------------------------------------------ life */

static bool make_folder(const char *path, struct error *err)
{
    char partial[4096];
    size_t length = strlen(path);

    if (length == 0 || length >= sizeof(partial))
        return error_set(err, ERROR_INVALID, "'%.100s' is no path of a folder for recordings", path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(partial, path, i);
        partial[i] = '\0';
        if (mkdir(partial, 0750) != 0 && errno != EEXIST)
            return error_set(err, ERROR_INTERNAL, "the folder %s cannot be made: %s; choose another one", partial,
                             strerror(errno));
    }
    return true;
}

static bool lock_folder(const char *path, int *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_set(err, ERROR_INTERNAL, "the folder %s cannot be opened: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return error_set(err, ERROR_INVALID, "another process records into %s: choose another folder", path);
    }
    if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        close(fd);
        return error_set(err, ERROR_INTERNAL, "the folder %s cannot be written: %s; choose another one", path,
                         strerror(errno));
    }
    *out = fd;
    return true;
}

struct recorder *recorder_open(const char *folder, const struct recorder_options *options, struct error *err)
{
    struct recording_file *files;
    size_t count;
    int lock = -1;

    if (!make_folder(folder, err) || !lock_folder(folder, &lock, err))
        return NULL;
    if (!recording_list(folder, &files, &count, err)) {
        close(lock);
        return NULL;
    }
    struct recorder *r = mem_alloc(sizeof(*r));
    r->folder = mem_copy(folder);
    r->lock = lock;
    r->fd = -1;
    r->number = count > 0 ? files[count - 1].number : 0;
    r->goes_on = -1;
    r->file_bytes_max = options && options->file_bytes_max ? options->file_bytes_max : RECORDING_FILE_MAX_BYTES;
    r->folder_bytes_max = options && options->folder_bytes_max ? options->folder_bytes_max : RECORDING_FOLDER_MAX_BYTES;
    r->objects = map_new();
    text_init(&r->line, LINE_MAX_BYTES);
    recording_files_free(files, count);
    return r;
}

void recorder_close(struct recorder *r)
{
    const char *key;
    void *value;

    if (!r)
        return;
    if (r->fd >= 0)
        end_file(r, r->failed_at_ms, NULL);
    close_file(r);
    for (size_t i = 0; map_next(r->objects, &i, &key, &value);) {
        struct recorded *kept = value;

        free_triggers(kept);
        recorded_state_done(&kept->state);
        free(kept);
    }
    map_free(r->objects);
    text_done(&r->line);
    close(r->lock);
    free(r->folder);
    free(r);
}
