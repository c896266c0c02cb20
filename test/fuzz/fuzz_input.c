/*
 * Fuzzing of what simulations read: CSV, JSON lines, answers of query_range, the notation of tests, and traces of requests. The first
 * byte chooses. What is read has times that rise, and what is refused says why and leaves nothing behind.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "sim/input.h"
#include "sim/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_column(const struct input *input, uint16_t column)
{
    const struct input_value *values;
    size_t count = input_values(input, column, &values);
    struct input_value at;

    if (input_column(input, input_name(input, column)) != column)
        abort();
    bool said = false; /* what is stale was said once, whatever came between */

    for (size_t i = 0; i < count; i++) {
        if (values[i].at_ms < 0 || (i > 0 && values[i].at_ms <= values[i - 1].at_ms))
            abort();
        if (!input_at(input, column, values[i].at_ms, &at) || at.kind != values[i].kind)
            abort();
        said |= values[i].kind == INPUT_OK;
        if (values[i].kind == INPUT_STALE && !said)
            abort();
    }
    if (count > 0 && input_end_ms(input) < values[count - 1].at_ms)
        abort();
}

static void check_input(const struct input *input, bool good, const struct error *err)
{
    if (good == (err->kind != ERROR_NONE) || (!good && (input_columns(input) > 0 || !err->text[0])))
        abort();
    for (size_t i = 0; i < input_columns(input); i++)
        check_column(input, (uint16_t)i);
}

static void read_input(const char *bytes, size_t length, const char *column)
{
    struct input *input = input_new();
    struct error err = {.kind = ERROR_NONE};

    check_input(input, input_read(input, "fuzz", bytes, length, column, &err), &err);
    input_free(input);
}

static void read_notation(const char *bytes, size_t length)
{
    struct input *input = input_new();
    struct error err = {.kind = ERROR_NONE};
    char *copy = mem_array(length + 1, 1);
    unsigned digits = 0, most = 0; /* a count of many digits only costs time */

    memcpy(copy, bytes, length);
    for (size_t i = 0; i < length; i++) {
        digits = copy[i] >= '0' && copy[i] <= '9' ? digits + 1 : 0;
        most = digits > most ? digits : most;
    }
    if (most <= 3)
        check_input(input, input_read_notation(input, "q", copy, 1000, &err), &err);
    free(copy);
    input_free(input);
}

static void read_trace(const uint8_t *bytes, size_t length)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    struct trace_file file;
    struct error err = {.kind = ERROR_NONE};
    char path[40];

    if (fd < 0 || write(fd, bytes, length) != (ssize_t)length)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    trace_is_file(path);
    if (trace_read_file(path, &(struct trace_shape){100, 10}, &file, &err)) {
        for (size_t i = 1; i < file.requests.count; i++)
            if (file.requests.requests[i].at_ns < file.requests.requests[i - 1].at_ns)
                abort();
        for (size_t i = 0; i < file.bucket_count; i++)
            if (!isfinite(file.buckets[i].requests_per_s) || file.bucket_ns <= 0)
                abort();
        trace_file_free(&file);
    } else if (err.kind == ERROR_NONE || !err.text[0]) {
        abort();
    }
    close(fd);
}

/* One bucket may stand for millions of requests: that is slow, not wrong. */
static bool is_small(const uint8_t *bytes, size_t length)
{
    unsigned digits = 0;

    for (size_t i = 0; i < length; i++) {
        digits = (bytes[i] >= '0' && bytes[i] <= '9') || bytes[i] == 'e' || bytes[i] == 'E' ? digits + 1 : 0;
        if (digits > 4 || bytes[i] == 'e' || bytes[i] == 'E')
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data + 1;

    if (size == 0)
        return 0;
    switch (data[0] % 4) {
    case 0:
        read_input(bytes, size - 1, NULL);
        break;
    case 1:
        read_input(bytes, size - 1, "q");
        break;
    case 2:
        read_notation(bytes, size - 1);
        break;
    default:
        if (is_small(data + 1, size - 1) || memchr(data, 'T', size) || memchr(data, '{', size))
            read_trace(data + 1, size - 1);
        break;
    }
    return 0;
}
