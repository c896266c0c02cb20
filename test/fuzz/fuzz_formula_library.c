/*
 * Fuzzing of the formula library: everything that reads bytes of a formula. The first byte chooses the function, a 0 byte
 * parts its two inputs. What was decoded must encode to something that decodes to the same; a date that was read must be
 * printed and read back as the same instant; parts of a string must make up the string.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"
#include "formula/library.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_regex(struct span pattern, struct span subject)
{
    struct lib_regex *regex;
    struct error err = {0};
    bool matched;

    if (!lib_regex_compile(pattern, &regex, &err)) {
        demand(err.kind == ERROR_INVALID || err.kind == ERROR_LIMIT);
        return;
    }
    demand(lib_regex_bytes(regex) <= 3 * 1024 * 1024);
    if (!lib_regex_match(regex, subject, &matched, &err))
        demand(err.kind == ERROR_LIMIT);
    lib_regex_free(regex);
}

static void check_base64(struct span s)
{
    struct text bytes, base64, again;

    text_init(&bytes, 1 << 20);
    text_init(&base64, 2 << 20);
    text_init(&again, 1 << 20);
    if (lib_base64_decode(s, &bytes, NULL)) {
        demand(lib_base64_encode((struct span){bytes.bytes, bytes.length}, &base64));
        demand(lib_base64_decode((struct span){base64.bytes, base64.length}, &again, NULL));
        demand(again.length == bytes.length && memcmp(again.bytes, bytes.bytes, bytes.length) == 0);
    }
    text_done(&bytes);
    text_done(&base64);
    text_done(&again);
}

static void check_json(struct span s)
{
    struct arena *arena = arena_new(ARENA_SMALL);
    struct text quoted;
    struct tree *tree;

    lib_json_read(s, arena, &tree, NULL);
    text_init(&quoted, 8 << 20);
    if (lib_json_add_string(&quoted, s))
        demand(lib_json_read((struct span){quoted.bytes, quoted.length}, arena, &tree, NULL));
    text_done(&quoted);
    arena_free(arena);
}

static void check_date(struct span layout, struct span value)
{
    static const char full[] = "2006-01-02T15:04:05.999999999Z07:00:00";
    struct go_time t, again;
    struct text text;

    text_init(&text, 1 << 20);
    if (lib_time_parse(layout, value, NULL, NULL, &t, NULL) || lib_date(value, NULL, NULL, &t, NULL)) {
        demand(lib_time_format(&t, span_of(full), &text));
        if (lib_time_parse(span_of(full), (struct span){text.bytes, text.length}, NULL, NULL, &again, NULL))
            demand(lib_time_compare(&t, &again) == 0);
        lib_time_format(&t, layout, &text);
    }
    text_done(&text);
}

static void check_strings(struct span s, struct span part)
{
    struct span parts[64], trimmed = lib_trim(s, part);
    size_t count = lib_split(s, part, -1, true, parts, 64), length = 0;
    int64_t first = lib_index_of(s, part), last = lib_last_index_of(s, part), integer;
    struct text out;
    double number;

    demand(trimmed.bytes >= s.bytes && trimmed.bytes + trimmed.length <= s.bytes + s.length);
    demand((first < 0) == (last < 0) && first <= last);
    for (size_t i = 0; i < count && i < 64; i++)
        length += parts[i].length;
    demand(count > 64 || length == s.length);
    text_init(&out, 8 << 20);
    lib_replace(s, part, part, -1, &out);
    demand(lib_equal(s, (struct span){out.bytes, out.length}));
    lib_upper(s, &out);
    lib_lower(s, &out);
    if (lib_parse_int(s, &integer))
        demand(lib_parse_float(s, &number));
    text_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data + 1, *zero;
    struct span all, first, second = {"", 0};

    if (size < 1)
        return 0;
    all = first = (struct span){bytes, size - 1};
    zero = memchr(bytes, 0, size - 1);
    if (zero) {
        first.length = (size_t)(zero - bytes);
        second = (struct span){zero + 1, size - 2 - first.length};
    }
    switch (data[0] % 5) {
    case 0:
        check_regex(first, second);
        break;
    case 1:
        check_base64(all);
        break;
    case 2:
        check_json(all);
        break;
    case 3:
        check_date(first, second);
        break;
    default:
        check_strings(first, second);
    }
    return 0;
}
