/*
 * fuzz_edit: a path, a value and a file, a line each for the first two. Whatever they are, an edit either says why not and leaves nothing, or
 * gives a file in which the same edit changes nothing more.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "manifest/edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *take_line(const uint8_t **data, size_t *size)
{
    const uint8_t *end = memchr(*data, '\n', *size);
    size_t length = end ? (size_t)(end - *data) : *size;
    char *line = strndup((const char *)*data, length);

    *data += length + (end ? 1 : 0);
    *size -= length + (end ? 1 : 0);
    return line;
}

static void check(const struct edit *edit, const char *bytes, size_t length)
{
    struct error err = {0};
    struct text once, twice;

    text_init(&once, MANIFEST_FILE_MAX_BYTES);
    text_init(&twice, MANIFEST_FILE_MAX_BYTES);
    if (!edit_apply("fuzz.yaml", bytes, length, edit, &once, &err)) {
        if (once.length > 0 || err.kind == ERROR_NONE || !err.text[0])
            abort();
    } else if (edit_apply("fuzz.yaml", once.bytes, once.length, edit, &twice, &err)) {
        if (once.length != twice.length || memcmp(once.bytes, twice.bytes, once.length) != 0)
            abort();
    }
    text_done(&once);
    text_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *path = take_line(&data, &size), *value = take_line(&data, &size);

    for (enum tree_type type = TREE_BOOL; type <= TREE_STRING; type++)
        check(&(struct edit){.document = 0, .path = path, .value = value, .type = type}, (const char *)data, size);
    free(path);
    free(value);
    return 0;
}
