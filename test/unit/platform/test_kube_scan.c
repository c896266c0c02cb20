/* Lists and watches cut into objects, wherever the bytes are cut. */
#include "kube_world.h"

static bool keep(void *arg, const char *json, size_t length)
{
    (void)arg;
    text_add_char(&heard, '[');
    text_append(&heard, json, length);
    text_add_char(&heard, ']');
    return true;
}

static bool stop_at_first(void *arg, const char *json, size_t length)
{
    keep(arg, json, length);
    return false;
}

/* Fed whole, byte by byte, and in two parts at every place. */
static void feed_all_ways(const char *bytes, bool lines, const char *wanted, const char *envelope,
                          enum kube_scan_end end)
{
    size_t length = strlen(bytes);

    for (size_t cut = 0; cut <= length + 1; cut++) {
        struct kube_scan scan;
        enum kube_scan_end how;

        text_clear(&heard);
        kube_scan_init(&scan, lines, keep, NULL);
        if (cut <= length) {
            how = kube_scan_feed(&scan, bytes, cut);
            how = how == KUBE_SCAN_FINE ? kube_scan_feed(&scan, bytes + cut, length - cut) : how;
        } else {
            how = KUBE_SCAN_FINE;
            for (size_t i = 0; i < length && how == KUBE_SCAN_FINE; i++)
                how = kube_scan_feed(&scan, bytes + i, 1);
        }
        if (how == KUBE_SCAN_FINE && lines)
            how = kube_scan_finish(&scan);
        assert_int_equal(how, end);
        assert_string_equal(heard.bytes, wanted);
        if (!lines && envelope)
            assert_string_equal(kube_scan_envelope(&scan)->bytes, envelope);
        else if (!lines && end == KUBE_SCAN_FINE)
            assert_null(kube_scan_envelope(&scan));
        kube_scan_done(&scan);
    }
}

static void lists(void **state)
{
    static const struct {
        const char *bytes, *items, *envelope;
        enum kube_scan_end end;
    } rows[] = {
        {"{\"a\":1,\"items\":[{\"b\":\"],}\"},{\"c\":[1,2]}],\"m\":{\"items\":[7]}}",
         "[{\"b\":\"],}\"}][{\"c\":[1,2]}]", "{\"a\":1,\"items\":[],\"m\":{\"items\":[7]}}", KUBE_SCAN_FINE},
        {"{\"items\":[]}\n ", "", "{\"items\":[]}", KUBE_SCAN_FINE},
        {"{\"items\":null,\"x\":[1,2]}", "", "{\"items\":null,\"x\":[1,2]}", KUBE_SCAN_FINE},
        {"{\"items\":[{\"e\":\"\\\"\\\\\"}]}", "[{\"e\":\"\\\"\\\\\"}]", "{\"items\":[]}", KUBE_SCAN_FINE},
        {"{\"x\":\"items\",\"y\":[1]}", "", "{\"x\":\"items\",\"y\":[1]}", KUBE_SCAN_FINE},
        {"{\"items\":[{\"a\":1}", "", NULL, KUBE_SCAN_FINE},
        {"{\"items\":[{\"a\":1},", "[{\"a\":1}]", NULL, KUBE_SCAN_FINE},
        {"{}}", "", NULL, KUBE_SCAN_NONSENSE},
        {"]", "", NULL, KUBE_SCAN_NONSENSE},
        {"<html>", "", NULL, KUBE_SCAN_FINE}, /* too little to show: its end says so */
        {"", "", NULL, KUBE_SCAN_FINE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        feed_all_ways(rows[i].bytes, false, rows[i].items, rows[i].envelope, rows[i].end);
}

static void watches(void **state)
{
    static const struct {
        const char *bytes, *items;
    } rows[] = {
        {"{\"a\":1}\n{\"b\":2}\n", "[{\"a\":1}][{\"b\":2}]"},
        {"\n\r\n{\"a\":1}\r\n", "[{\"a\":1}\r]"},
        {"{\"a\":1}", "[{\"a\":1}]"},
        {"\n\n", ""},
        {"garbage\nmore", "[garbage][more]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        feed_all_ways(rows[i].bytes, true, rows[i].items, NULL, KUBE_SCAN_FINE);
}

static void it_stops_where_it_is_told(void **state)
{
    static const char *const inputs[] = {"{\"items\":[{},{}]}", "{}\n{}\n"};

    (void)state;
    for (int lines = 0; lines < 2; lines++) {
        struct kube_scan scan;

        text_clear(&heard);
        kube_scan_init(&scan, lines, stop_at_first, NULL);
        assert_int_equal(kube_scan_feed(&scan, inputs[lines], strlen(inputs[lines])), KUBE_SCAN_STOPPED);
        assert_string_equal(heard.bytes, "[{}]");
        kube_scan_done(&scan);
    }
}

static void what_is_too_long_is_refused(void **state)
{
    struct text long_one;

    (void)state;
    text_init(&long_one, 2 * KUBE_OBJECT_MAX_BYTES);
    text_add(&long_one, "{\"items\":[{\"x\":\"");
    while (long_one.length < KUBE_OBJECT_MAX_BYTES + 100)
        text_add(&long_one, "0123456789012345678901234567890123456789012345678901234567890123456789");
    text_add(&long_one, "\n");
    for (int lines = 0; lines < 2; lines++) {
        struct kube_scan scan;

        kube_scan_init(&scan, lines, keep, NULL);
        assert_int_equal(kube_scan_feed(&scan, long_one.bytes, long_one.length), KUBE_SCAN_TOO_LONG);
        kube_scan_done(&scan);
        kube_scan_init(&scan, lines, keep, NULL);
        assert_int_equal(kube_scan_feed(&scan, long_one.bytes, 100), KUBE_SCAN_FINE);
        assert_int_equal(kube_scan_feed(&scan, long_one.bytes + 100, long_one.length - 100), KUBE_SCAN_TOO_LONG);
        kube_scan_done(&scan);
    }
    text_done(&long_one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists),
        TEST(watches),
        TEST(it_stops_where_it_is_told),
        TEST(what_is_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
