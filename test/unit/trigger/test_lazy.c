/* A library that is loaded when it is needed: there, not there, and of another version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "trigger/common/lazy.h"

#define FUNCTIONS(X) X(zlibVersion) X(crc32)
static struct {
    FUNCTIONS(LAZY_POINTER)
} lib;
static const char *const names[] = {FUNCTIONS(LAZY_NAME)};
static int begun;

static void begin(void)
{
    begun++;
}

static void test_loaded_once(void **state)
{
    struct lazy library = {.file = "libz.so.1", .names = names, .count = 2, .pointers = &lib, .begin = begin};
    struct error err;

    (void)state;
    assert_true(lazy_load(&library, &err));
    assert_true(lazy_load(&library, &err));
    assert_int_equal(begun, 1);
    assert_string_equal(lib.zlibVersion(), zlibVersion());
    assert_int_equal(lib.crc32(0, (const unsigned char *)"123456789", 9), 0xcbf43926);
}

static void test_not_there(void **state)
{
    static const char *const wrong[] = {"zlibVersion", "no_such_function"};
    struct lazy missing = {.file = "libweir-none.so.7", .names = names, .count = 2, .pointers = &lib};
    struct lazy old = {.file = "libz.so.1", .names = wrong, .count = 2, .pointers = &lib, .begin = begin};
    struct error err;
    int before = begun;

    (void)state;
    assert_false(lazy_load(&missing, &err));
    assert_non_null(strstr(err.text, "libweir-none.so.7"));
    assert_false(lazy_load(&old, &err));
    assert_non_null(strstr(err.text, "libz.so.1 has no no_such_function"));
    assert_int_equal(begun, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_loaded_once), cmocka_unit_test(test_not_there)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
