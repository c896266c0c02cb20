/* Whole files: what is read, what is refused and in which words; which names are those of manifests. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void a_file_is_read_whole_or_refused(void **state)
{
    char path[] = "/tmp/weir-test-file-XXXXXX";
    int fd = mkstemp(path);
    struct error err;
    struct text text;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a\0b\n", 4), 4);
    close(fd);
    text_init(&text, 4);
    assert_true(file_read(path, &text, &err));
    assert_int_equal(text.length, 4);
    assert_memory_equal(text.bytes, "a\0b\n", 4);
    text_done(&text);
    text_init(&text, 3);
    assert_false(file_read(path, &text, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_non_null(strstr(err.text, "larger than 3 bytes"));
    unlink(path);
    assert_false(file_read(path, &text, &err));
    assert_int_equal(err.kind, ERROR_MISSING);
    assert_non_null(strstr(err.text, path));
    assert_false(file_read("/tmp", &text, &err));
    assert_int_equal(err.kind, ERROR_INTERNAL);
    text_done(&text);
}

static void nobody_waits_for_a_pipe(void **state)
{
    char path[64];
    struct error err;
    struct text text;
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "/tmp/weir-file-pipe-%ld", (long)getpid());
    text_init(&text, 16);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(file_read_plain(path, &text, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    unlink(path);
    assert_false(file_read_plain("/dev/zero", &text, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_false(file_read_plain(path, &text, &err));
    assert_int_equal(err.kind, ERROR_MISSING);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "ab", 2), 2);
    close(fd);
    assert_true(file_read_plain(path, &text, &err));
    assert_string_equal(text.bytes, "ab");
    unlink(path);
    text_done(&text);
}

static void all_is_written_or_none_is_claimed(void **state)
{
    char path[64], back[8] = "";
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "/tmp/weir-file-all-%ld", (long)getpid());
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_true(file_write_all(fd, "a\0b", 3));
    assert_int_equal(pread(fd, back, sizeof(back), 0), 3);
    assert_memory_equal(back, "a\0b", 3);
    close(fd);
    unlink(path);
    fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_false(file_write_all(fd, "a", 1));
    close(fd);
}

static void names_of_manifests(void **state)
{
    static const struct {
        const char *name;
        bool is;
    } cases[] = {{"a.yaml", true}, {"a.yml", true},   {"a.json", true}, {".a.yaml", false},     {"a.yaml~", false},
                 {"yaml", false},  {"..data", false}, {"a.txt", false}, {"a.test.yaml", false}, {"test.yaml", true}};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (file_is_manifest(cases[i].name) != cases[i].is)
            fail_msg("%s", cases[i].name);
}

static void names_of_tests(void **state)
{
    (void)state;
    assert_true(file_is_test("shop.test.yaml"));
    assert_true(file_is_test("shop.test.yml"));
    assert_false(file_is_test("test.yaml"));
    assert_false(file_is_test(".shop.test.yaml"));
    assert_false(file_is_test("shop.test.json"));
}

/* What was there stays when the new does not fit; links and permissions stay in any case. */
static void a_file_is_replaced_whole_or_not_at_all(void **state)
{
    char folder[] = "/tmp/weir-file-XXXXXX", path[64], link[64], read[8] = "";
    struct stat status;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/a", folder);
    snprintf(link, sizeof(link), "%s/b", folder);
    assert_true(file_replace(path, "old", 3));
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(symlink("a", link), 0);
    assert_true(file_replace(link, "new", 3));
    assert_true(lstat(link, &status) == 0 && S_ISLNK(status.st_mode));
    assert_true(stat(path, &status) == 0 && (status.st_mode & 0777) == 0640);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, read, sizeof(read), 0), 3);
    assert_string_equal(read, "new");
    close(fd);
    assert_false(file_replace("/dev/full", "x", 1));
    assert_int_equal(errno, ENOSPC);
    assert_true(stat("/dev/full", &status) == 0 && S_ISCHR(status.st_mode));
    unlink(link);
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* nothing is left beside it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_replaced_whole_or_not_at_all),
        cmocka_unit_test(a_file_is_read_whole_or_refused),
        cmocka_unit_test(nobody_waits_for_a_pipe),
        cmocka_unit_test(all_is_written_or_none_is_claimed),
        cmocka_unit_test(names_of_manifests),
        cmocka_unit_test(names_of_tests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
