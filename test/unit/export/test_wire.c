/* Protocol buffers: what is written is what the format says, and reads back; what is broken is found to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "base/wire.h"
#include "export/message.h"

static void expect(const struct text *out, const char *hex)
{
    struct text got;

    text_init(&got, 10000);
    for (size_t i = 0; i < out->length; i++)
        text_printf(&got, "%02x", (unsigned char)out->bytes[i]);
    assert_string_equal(got.bytes, hex);
    text_done(&got);
}

/* Bytes as the documentation of the encoding has them. */
static void fields_are_written_as_the_format_has_it(void **state)
{
    static const struct {
        uint64_t value;
        const char *hex;
    } varints[] = {{0, "0800"},   {1, "0801"},     {150, "089601"},
                   {127, "087f"}, {128, "088001"}, {UINT64_MAX, "08ffffffffffffffffff01"}};
    struct text out;

    (void)state;
    text_init(&out, 1000);
    for (size_t i = 0; i < sizeof(varints) / sizeof(varints[0]); i++) {
        text_clear(&out);
        wire_varint(&out, 1, varints[i].value);
        expect(&out, varints[i].hex);
    }
    text_clear(&out);
    wire_text(&out, 2, "testing");
    expect(&out, "120774657374696e67");
    text_clear(&out);
    wire_fixed32(&out, 16, 1);
    expect(&out, "850101000000");
    text_clear(&out);
    wire_fixed64(&out, 3, 0x0102030405060708);
    expect(&out, "190807060504030201");
    text_clear(&out);
    wire_double(&out, 4, 1);
    expect(&out, "21000000000000f03f");
    text_done(&out);
}

static void messages_within_messages_have_their_length_in_front(void **state)
{
    struct text out;
    size_t outer, inner;

    (void)state;
    text_init(&out, 1000);
    outer = wire_begin(&out, 3);
    inner = wire_begin(&out, 1);
    wire_varint(&out, 1, 150);
    wire_end(&out, inner);
    inner = wire_begin(&out, 2);
    wire_end(&out, inner);
    wire_end(&out, outer);
    expect(&out, "1a070a030896011200");
    text_clear(&out);
    outer = wire_begin(&out, 1);
    for (int i = 0; i < 200; i++)
        text_add_char(&out, 'x');
    wire_end(&out, outer);
    assert_int_equal(out.length, 1 + 2 + 200);
    assert_memory_equal(out.bytes, "\x0a\xc8\x01xxx", 6);
    text_done(&out);
}

static void what_is_not_utf8_becomes_so(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {{"a\xff"
                 "b",
                 "a\xef\xbf\xbd"
                 "b"},
                {"\xc3", "\xef\xbf\xbd"},
                {"\xc3\xa9", "\xc3\xa9"},
                {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct text out;

        text_init(&out, 1000);
        wire_text(&out, 1, rows[i].in);
        assert_int_equal(out.length, 2 + strlen(rows[i].out));
        assert_int_equal(out.bytes[1], strlen(rows[i].out));
        assert_string_equal(out.bytes + 2, rows[i].out);
        text_done(&out);
    }
}

static void what_does_not_fit_is_known(void **state)
{
    struct text out;
    size_t mark;

    (void)state;
    text_init(&out, 10);
    mark = wire_begin(&out, 1);
    wire_text(&out, 1, "far more than ten bytes");
    wire_end(&out, mark);
    assert_true(out.overflowed);
    assert_true(out.length <= 10);
    text_done(&out);
}

/* ------------------------------------------------------------------ reading */

/* Deterministic: the same walk every time. */
static uint64_t next_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

struct written {
    unsigned number;
    enum wire_type type;
    uint64_t value;
};

static void write_random(struct text *out, struct written *w, uint64_t *random)
{
    static const enum wire_type types[] = {WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_FIXED32};

    w->number = 1 + (unsigned)(next_random(random) % ((1 << 29) - 1));
    w->type = types[next_random(random) % 4];
    w->value = next_random(random) >> next_random(random) % 64;
    if (w->type == WIRE_VARINT)
        wire_varint(out, w->number, w->value);
    else if (w->type == WIRE_FIXED64)
        wire_fixed64(out, w->number, w->value);
    else if (w->type == WIRE_FIXED32)
        wire_fixed32(out, w->number, (uint32_t)(w->value &= UINT32_MAX));
    else
        wire_bytes(out, w->number, "0123456789abcdef", (size_t)(w->value %= 17));
}

static void what_is_written_reads_back(void **state)
{
    uint64_t random = 1;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct written fields[8];
        struct wire_field field;
        struct text out;

        text_init(&out, 10000);
        for (int i = 0; i < 8; i++)
            write_random(&out, &fields[i], &random);
        struct wire_reader in = {(uint8_t *)out.bytes, (uint8_t *)out.bytes + out.length, false};
        for (int i = 0; i < 8; i++) {
            assert_true(wire_next(&in, &field));
            assert_int_equal(field.number, fields[i].number);
            assert_int_equal(field.type, fields[i].type);
            assert_true((field.type == WIRE_BYTES ? field.length : field.value) == fields[i].value);
        }
        assert_false(wire_next(&in, &field));
        assert_false(in.broken);
        text_done(&out);
    }
}

static void what_is_broken_is_found_so(void **state)
{
    static const char *const rows[] = {
        "\x08",                                         /* a key without a value */
        "\x08\x80",                                     /* a number that does not end */
        "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", /* of more than 64 bits */
        ("\x0a\x05"
         "ab"),                     /* shorter than it says */
        "\x0a\xff\xff\xff\xff\x0f", /* longer than anything */
        "\x09\x01\x02",             /* half a fixed64 */
        "\x0d\x01",                 /* a piece of a fixed32 */
        "\x0b",                     /* a group */
        "\x03\x01",                 /* field 0 ... of a group */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct wire_reader in = {(const uint8_t *)rows[i], (const uint8_t *)rows[i] + strlen(rows[i]), false};
        struct wire_field field;

        while (wire_next(&in, &field))
            ;
        if (!in.broken)
            fail_msg("row %zu was taken", i);
    }
}

/* Any bytes: it ends, and reads nothing that is not there (under AddressSanitizer). */
static void any_bytes_come_to_an_end(void **state)
{
    uint64_t random = 7;

    (void)state;
    for (int round = 0; round < 5000; round++) {
        size_t length = next_random(&random) % 64;
        char *bytes = malloc(length ? length : 1), why[32];
        int64_t rejected;

        for (size_t i = 0; i < length; i++)
            bytes[i] = (char)next_random(&random);
        message_read_partial(bytes, length, &rejected, why, sizeof(why));
        message_read_status(bytes, length, why, sizeof(why));
        assert_true(strlen(why) < sizeof(why));
        free(bytes);
    }
}

static void answers_are_read(void **state)
{
    struct text out;
    char why[64];
    int64_t rejected;
    size_t mark;

    (void)state;
    text_init(&out, 1000);
    assert_true(message_read_partial("", 0, &rejected, why, sizeof(why)));
    assert_int_equal(rejected, 0);
    mark = wire_begin(&out, 1);
    wire_varint(&out, 1, 3);
    wire_text(&out, 2, "too\nold");
    wire_end(&out, mark);
    assert_true(message_read_partial(out.bytes, out.length, &rejected, why, sizeof(why)));
    assert_int_equal(rejected, 3);
    assert_string_equal(why, "too old");
    text_clear(&out);
    wire_varint(&out, 1, 3);
    wire_text(&out, 2, "no such tenant");
    assert_true(message_read_status(out.bytes, out.length, why, sizeof(why)));
    assert_string_equal(why, "no such tenant");
    assert_false(message_read_status("<html>", 6, why, sizeof(why)));
    text_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_written_as_the_format_has_it),
        cmocka_unit_test(messages_within_messages_have_their_length_in_front),
        cmocka_unit_test(what_is_not_utf8_becomes_so),
        cmocka_unit_test(what_does_not_fit_is_known),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(what_is_broken_is_found_so),
        cmocka_unit_test(any_bytes_come_to_an_end),
        cmocka_unit_test(answers_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
