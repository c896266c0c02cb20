/* Arenas, maps, atoms, hashes, secrets: what holds things. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/atom.h"
#include "base/map.h"
#include "base/secret.h"

static void an_arena_gives_zeroed_aligned_memory(void **state)
{
    struct arena *arena = arena_new(ARENA_SMALL);

    (void)state;
    for (size_t size = 0; size < 3000; size += 7) {
        unsigned char *bytes = arena_alloc(arena, size);
        assert_int_equal((uintptr_t)bytes % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(bytes[i], 0);
        memset(bytes, 0xff, size); /* the next one must not see it */
    }
    arena_reset(arena);
    unsigned char *again = arena_array(arena, 10, 100);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(again[i], 0);
    arena_free(arena);
    arena_free(NULL);
}

static void a_reset_keeps_the_largest_block(void **state)
{
    struct arena *arena = arena_new(ARENA_SMALL);

    (void)state;
    size_t empty = arena_bytes(arena);
    for (int i = 0; i < 100; i++)
        arena_alloc(arena, 100);
    size_t full = arena_bytes(arena);
    arena_reset(arena);
    size_t kept = arena_bytes(arena);
    assert_true(empty < kept && kept < full);
    for (int i = 0; i < 40; i++)
        arena_alloc(arena, 100);
    assert_int_equal(arena_bytes(arena), kept); /* a turn like the last one allocates nothing */
    arena_free(arena);
}

static void an_arena_copies_and_prints(void **state)
{
    struct arena *arena = arena_new(ARENA_SMALL);

    (void)state;
    assert_null(arena_copy(arena, NULL));
    assert_string_equal(arena_copy(arena, "checkout"), "checkout");
    assert_memory_equal(arena_copy_bytes(arena, "a\0b", 3), "a\0b", 4);
    assert_string_equal(arena_printf(arena, "%s-%d", "s", 7), "s-7");
    char *large = arena_printf(arena, "%10000d", 1);
    assert_int_equal(strlen(large), 10000);
    arena_free(arena);
}

static void a_map_finds_what_was_put(void **state)
{
    enum { MANY = 5000 };
    static int values[MANY];
    struct map *map = map_new();
    char key[32];

    (void)state;
    assert_null(map_get(map, "nothing yet"));
    assert_null(map_remove(map, "nothing yet"));
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        assert_null(map_put(map, key, &values[i]));
    }
    assert_int_equal(map_count(map), MANY);
    for (int i = 0; i < MANY; i += 2) {
        snprintf(key, sizeof key, "key-%d", i);
        assert_ptr_equal(map_remove(map, key), &values[i]);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        assert_ptr_equal(map_get(map, key), i % 2 ? &values[i] : NULL);
    }
    assert_ptr_equal(map_put(map, "key-1", &values[0]), &values[1]); /* hands back what it replaces */
    assert_ptr_equal(map_get_n(map, "key-1234", 5), &values[0]);
    assert_int_equal(map_count(map), MANY / 2);
    map_free(map);
    map_free(NULL);
}

static void a_map_is_walked_in_order_while_entries_go(void **state)
{
    static const char *const keys[] = {"c", "a", "b", "e", "d"};
    struct map *map = map_new();
    const char *key;
    void *value;
    size_t cursor = 0, met = 0;

    (void)state;
    for (size_t i = 0; i < 5; i++)
        map_put(map, keys[i], (void *)keys[i]);
    while (map_next(map, &cursor, &key, &value)) {
        assert_string_equal(key, keys[met++]);
        assert_ptr_equal(map_remove(map, (const char *)value), value);
    }
    assert_int_equal(met, 5);
    assert_int_equal(map_count(map), 0);
    map_free(map);
}

/* Entries that come and go must not make the map grow for ever. */
static void a_map_forgets_what_was_removed(void **state)
{
    struct map *map = map_new();
    char key[32];
    int value;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        snprintf(key, sizeof key, "object-%d", i);
        map_put(map, key, &value);
        if (i >= 3) {
            snprintf(key, sizeof key, "object-%d", i - 3);
            assert_ptr_equal(map_remove(map, key), &value);
        }
    }
    assert_int_equal(map_count(map), 3);
    map_free(map);
}

static void equal_texts_are_one_atom(void **state)
{
    char copy[] = "http://prom:9090";

    (void)state;
    assert_int_equal(atom_count(), 0);
    const char *a = atom_ref("http://prom:9090"), *b = atom_ref(copy), *c = atom_ref("other");
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_int_equal(atom_count(), 2);
    atom_unref(a);
    assert_string_equal(b, copy); /* still held */
    assert_ptr_equal(atom_again(b), b);
    atom_unref(b);
    atom_unref(b);
    assert_int_equal(atom_count(), 1);
    atom_unref(c);
    assert_int_equal(atom_count(), 0);
    assert_null(atom_ref(NULL));
    assert_null(atom_again(NULL));
    atom_unref(NULL);
}

static void many_atoms_come_and_go(void **state)
{
    enum { MANY = 1000 };
    static const char *atoms[MANY];
    char name[32];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "namespace-%d", i);
        atoms[i] = atom_ref(name);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "namespace-%d", i);
        const char *again = atom_ref(name);
        assert_ptr_equal(again, atoms[i]);
        atom_unref(again);
        atom_unref(again);
    }
    assert_int_equal(atom_count(), 0);
}

/* These values are kept in journals and spread polls: they may never change. */
static void hashes_are_stable(void **state)
{
    (void)state;
    assert_true(hash_string(0, "") == UINT64_C(0xb98b148f3731bb98));
    assert_true(hash_string(0, "shop/checkout") == UINT64_C(0x8869424c9c74ca5f));
    assert_true(hash_bytes(7, "\x01\x02\x03\x04\x05\x06\x07\x08\x09", 9) == UINT64_C(0xc000ae04718a8191));
    assert_true(hash_string(0, "ab") == hash_bytes(0, "abc", 2));
    assert_false(hash_bytes(0, "a\0", 2) == hash_bytes(0, "a", 1)); /* length counts */
    assert_false(hash_string(0, "a") == hash_string(1, "a"));
}

static void hashes_spread(void **state)
{
    enum { BUCKETS = 64, KEYS = 6400 };
    int load[BUCKETS] = {0};
    char key[32];

    (void)state;
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "ns/object-%d", i);
        load[hash_string(0, key) % BUCKETS]++;
    }
    for (int i = 0; i < BUCKETS; i++)
        assert_in_range(load[i], KEYS / BUCKETS / 2, KEYS / BUCKETS * 2);
}

static void secrets_are_counted_and_compared(void **state)
{
    struct secret *a = secret_new("p\0w", 3), *b = secret_new("p\0w", 3), *c = secret_new("p", 1);

    (void)state;
    assert_int_equal(secret_length(a), 3);
    assert_memory_equal(secret_reveal(a), "p\0w", 4); /* and a 0 byte */
    assert_true(secret_equal(a, b));
    assert_false(secret_equal(a, c));
    assert_false(secret_equal(a, NULL));
    assert_true(secret_equal(NULL, NULL));
    assert_true(secret_fingerprint(a) == secret_fingerprint(b));
    assert_false(secret_fingerprint(a) == secret_fingerprint(c));
    assert_ptr_equal(secret_ref(a), a);
    secret_unref(a);
    assert_int_equal(secret_length(a), 3); /* one reference is left */
    secret_unref(a);
    secret_unref(b);
    secret_unref(c);
    secret_unref(NULL);
    assert_null(secret_reveal(NULL));
    assert_int_equal(secret_length(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_gives_zeroed_aligned_memory),
        cmocka_unit_test(a_reset_keeps_the_largest_block),
        cmocka_unit_test(an_arena_copies_and_prints),
        cmocka_unit_test(a_map_finds_what_was_put),
        cmocka_unit_test(a_map_is_walked_in_order_while_entries_go),
        cmocka_unit_test(a_map_forgets_what_was_removed),
        cmocka_unit_test(equal_texts_are_one_atom),
        cmocka_unit_test(many_atoms_come_and_go),
        cmocka_unit_test(hashes_are_stable),
        cmocka_unit_test(hashes_spread),
        cmocka_unit_test(secrets_are_counted_and_compared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
