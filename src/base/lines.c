/*
 * lines: see lines.h. zlib reads plain files as they are, so one way serves both.
 */
#include "base/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"

enum { CHUNK_BYTES = 64 * 1024 };

struct lines {
    gzFile file; /* NULL: of bytes */
    const char *bytes;
    size_t left;  /* of bytes */
    char *buffer; /* [begin, end) is not given yet */
    size_t begin, end, size;
    size_t scanned; /* from begin: has no line end */
    size_t number;
    bool at_end, whole, may_be_cut;
};

static struct lines *lines_new(void)
{
    struct lines *lines = mem_alloc(sizeof(*lines));

    lines->size = CHUNK_BYTES;
    lines->buffer = mem_array(lines->size + 1, 1);
    return lines;
}

struct lines *lines_open(const char *path, struct error *err)
{
    gzFile file = strcmp(path, "-") == 0 ? gzdopen(dup(STDIN_FILENO), "r") : gzopen(path, "re");

    if (!file) {
        error_set(err, ERROR_MISSING, "%s cannot be opened: %s", path, strerror(errno ? errno : ENOMEM));
        return NULL;
    }
    gzbuffer(file, CHUNK_BYTES);
    struct lines *lines = lines_new();
    lines->file = file;
    return lines;
}

struct lines *lines_of_bytes(const char *bytes, size_t length)
{
    struct lines *lines = lines_new();

    lines->bytes = bytes;
    lines->left = length;
    return lines;
}

void lines_close(struct lines *lines)
{
    if (!lines)
        return;
    if (lines->file)
        gzclose(lines->file);
    free(lines->buffer);
    free(lines);
}

void lines_may_be_cut(struct lines *lines)
{
    lines->may_be_cut = true;
}

static bool make_room(struct lines *lines, struct error *err)
{
    if (lines->begin > 0) {
        memmove(lines->buffer, lines->buffer + lines->begin, lines->end - lines->begin);
        lines->end -= lines->begin;
        lines->begin = 0;
    }
    if (lines->size - lines->end >= CHUNK_BYTES)
        return true;
    if (lines->size >= LINE_MAX_BYTES) {
        error_set(err, ERROR_LIMIT, "a line has more than %d bytes (LINE_MAX_BYTES); is this the right file?",
                  LINE_MAX_BYTES);
        return error_add_place(err, "%zu", lines->number + 1);
    }
    lines->size *= 2;
    lines->buffer = mem_grow(lines->buffer, lines->size + 1, 1);
    return true;
}

/* zlib gives what there is, and only then says that there should be more. */
static bool check_end(const struct lines *lines, struct error *err)
{
    int code = Z_OK;

    if (lines->file && !lines->may_be_cut)
        gzerror(lines->file, &code);
    return code != Z_BUF_ERROR || error_set(err, ERROR_INVALID,
                                            "its compressed data end in the middle, after line %zu: it was not "
                                            "copied or written to its end",
                                            lines->number);
}

/* How many bytes came; 0 at the end; negative: err is set. */
static int take_more(struct lines *lines, struct error *err)
{
    char *to = lines->buffer + lines->end;
    int code, got = 0;

    if (!lines->file) {
        got = (int)(lines->left < CHUNK_BYTES ? lines->left : CHUNK_BYTES);
        if (got > 0)
            memcpy(to, lines->bytes, (size_t)got);
        lines->bytes += got;
        lines->left -= (size_t)got;
    } else if ((got = gzread(lines->file, to, CHUNK_BYTES)) < 0) {
        const char *why = gzerror(lines->file, &code);

        error_set(err, ERROR_INTERNAL, "it cannot be read after line %zu: %s", lines->number,
                  code == Z_ERRNO ? strerror(errno) : why);
        return -1;
    }
    lines->end += (size_t)got;
    return got > 0 || check_end(lines, err) ? got : -1;
}

static void give(struct lines *lines, const char *line, size_t taken, const char **out, size_t *length)
{
    size_t n = taken - lines->whole;

    if (lines->whole && n > 0 && line[n - 1] == '\r')
        n--;
    lines->buffer[lines->begin + n] = 0;
    lines->begin += taken;
    lines->scanned = 0;
    lines->number++;
    *out = line;
    *length = n;
}

bool lines_next(struct lines *lines, const char **line, size_t *length, struct error *err)
{
    for (;;) {
        char *from = lines->buffer + lines->begin;
        size_t have = lines->end - lines->begin;
        const char *newline = memchr(from + lines->scanned, '\n', have - lines->scanned);

        if (newline || (lines->at_end && have > 0)) {
            lines->whole = newline != NULL;
            give(lines, from, newline ? (size_t)(newline - from) + 1 : have, line, length);
            return true;
        }
        lines->scanned = have;
        if (lines->at_end) {
            if (err)
                err->kind = ERROR_NONE;
            return false;
        }
        int got = make_room(lines, err) ? take_more(lines, err) : -1;
        if (got < 0)
            return false;
        lines->at_end = got == 0;
    }
}

size_t lines_number(const struct lines *lines)
{
    return lines->number;
}

bool lines_whole(const struct lines *lines)
{
    return lines->whole;
}
