/* What a burst took goes back to the system; what is in use stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/run_memory.h"
#include "net/loop.h"
#include "sim/virtual.h"

enum { PIECES = 64 * 1024, PIECE_BYTES = 1000 };
#define START_MS INT64_C(1700000000000)

static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long size, pages;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &size, &pages), 2);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Pieces of which every 64th is kept: they lie between all the others, so that only whole free pages can go. */
static void test_burst(void **state)
{
    struct virtual_world *world = virtual_world_new(1, START_MS);
    struct run_memory *memory = run_memory_tend(virtual_loop(world));
    char **pieces = calloc(PIECES, sizeof(*pieces));
    long before = resident_kib(), full, after;

    (void)state;
    for (int i = 0; i < PIECES; i++) {
        pieces[i] = malloc(PIECE_BYTES);
        memset(pieces[i], i, PIECE_BYTES);
    }
    full = resident_kib();
    assert_true(full > before + PIECES / 8 * 7);
    virtual_run_until(world, START_MS + 16 * 1000); /* it looks in the middle of the burst, and once more after it */
    for (int i = 0; i < PIECES; i++)
        if (i % 64 != 0) {
            free(pieces[i]);
            pieces[i] = NULL;
        }
    virtual_run_until(world, START_MS + 31 * 1000);
    after = resident_kib();
#if !defined(__SANITIZE_ADDRESS__)
    assert_true(after < before + (full - before) / 4);
#else
    (void)after; /* its malloc keeps what is freed for a while on purpose */
#endif
    for (int i = 0; i < PIECES; i += 64)
        assert_int_equal(pieces[i][PIECE_BYTES - 1], (char)i);
    for (int i = 0; i < PIECES; i += 64)
        free(pieces[i]);
    free(pieces);
    run_memory_free(memory);
    virtual_world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_burst)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
