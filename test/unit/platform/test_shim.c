/* weir-shim with real processes: what it writes, what it ends, and that it leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim_main.h"

#include <sys/file.h>

#include "platform/local/files.h"

enum { PATIENCE_MS = 10 * 1000 };

static char dir[PATH_MAX];

/* ------------------------------------------------------------------ helpers */

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static int new_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/weir-shim-test-XXXXXX");
    return mkdtemp(dir) == NULL || setenv("WEIR_TEST_DIR", dir, 1) != 0;
}

static int old_dir(void **state)
{
    (void)state;
    return !dir_remove(dir, NULL);
}

/* Starts the shim as Weir does, with the lock on 3 and the pipe on 4; *ready reads from the pipe. */
static pid_t start(int *ready, const char *const *options, const char *script)
{
    const char *argv[32] = {"weir-shim"};
    int n = 1, pipe_fds[2];

    assert_int_equal(pipe(pipe_fds), 0);
    for (; *options != NULL; options++)
        argv[n++] = *options;
    argv[n++] = "--";
    if (strncmp(script, "exec:", 5) == 0) {
        argv[n++] = script + 5;
    } else {
        argv[n++] = "/bin/sh";
        argv[n++] = "-c";
        argv[n++] = script;
    }
    pid_t pid = fork();
    if (pid == 0) {
        char lock[PATH_MAX + 8];
        snprintf(lock, sizeof lock, "%s/lock", dir);
        int fd = open(lock, O_RDWR | O_CREAT, 0600);
        flock(fd, LOCK_EX | LOCK_NB);
        int high = fcntl(pipe_fds[1], F_DUPFD, 20), low = fcntl(fd, F_DUPFD, 21);
        dup2(low, LOCK_FD);
        dup2(high, READY_FD);
        execv(own_path(), (char **)argv);
        _exit(99);
    }
    close(pipe_fds[1]);
    *ready = pipe_fds[0];
    return pid;
}

static int wait_for(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int run(const char *const *options, const char *script, bool *started)
{
    int ready;
    char byte;
    pid_t pid = start(&ready, options, script);
    int status = wait_for(pid);

    *started = read(ready, &byte, 1) == 1;
    close(ready);
    return status;
}

static bool log_has(const char *text)
{
    char path[PATH_MAX + 8], bytes[4096];

    snprintf(path, sizeof path, "%s/log", dir);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    size_t n = fread(bytes, 1, sizeof bytes - 1, file);
    bytes[n] = 0;
    fclose(file);
    return strstr(bytes, text) != NULL;
}

static void await_log(const char *text)
{
    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        if (log_has(text))
            return;
        pause_ms(10);
    }
    fail_msg("the log never said \"%s\"", text);
}

/* The number after "name=" in the log. */
static pid_t pid_in_log(const char *name)
{
    char path[PATH_MAX + 8], line[200];
    pid_t found = 0;

    snprintf(path, sizeof path, "%s/log", dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == '=')
            found = atoi(line + strlen(name) + 1);
    }
    fclose(file);
    assert_true(found > 0);
    return found;
}

static bool is_alive(pid_t pid)
{
    char path[64], line[512];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    bool alive = fgets(line, sizeof line, file) != NULL && strstr(line, ") Z") == NULL;
    fclose(file);
    return alive;
}

static void await_death(pid_t pid)
{
    for (int i = 0; i < PATIENCE_MS / 10 && is_alive(pid); i++)
        pause_ms(10);
    assert_false(is_alive(pid));
}

/* ------------------------------------------------------------------ ends */

static void ends_are_written_down(void **state)
{
    static const struct {
        const char *script;
        int status;
        bool starts;
        const char *how;
        int code;
        const char *text;
    } cases[] = {
        {"exit 0", 0, true, "exited", 0, ""},
        {"exit 7", 7, true, "exited", 7, ""},
        {"kill -9 $$", 137, true, "signalled", 9, ""},
        {"exec:no-such-program", 127, false, "unstartable", ENOENT, "cannot find \"no-such-program\" in PATH"},
        {"exec:/no/such/program", 127, false, "unstartable", ENOENT, "cannot execute \"/no/such/program\""},
        {"exec:/etc/passwd", 127, false, "unstartable", EACCES, "Permission denied"},
        {"exec:/etc", 127, false, "unstartable", EACCES, "cannot execute \"/etc\""},
        {"exec:", 127, false, "unstartable", ENOENT, "cannot find"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct record record;
        char how[32], text[400];
        bool started;
        int status = run((const char *[]){"--dir", dir, "--run", "5", NULL}, cases[i].script, &started);
        assert_int_equal(status, cases[i].status);
        assert_int_equal(started, cases[i].starts);
        assert_true(record_read(dir, "exit", &record));
        record_text(&record, "how", how, sizeof how);
        record_text(&record, "text", text, sizeof text);
        assert_string_equal(how, cases[i].how);
        assert_int_equal(record_integer(&record, "code", -1), cases[i].code);
        assert_int_equal(record_integer(&record, "run", -1), 5);
        assert_true(record_integer(&record, "at", 0) > 1600000000000);
        if (strstr(text, cases[i].text) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].script, text, cases[i].text);
    }
}

static void a_file_without_interpreter_is_refused_with_a_reason(void **state)
{
    char path[PATH_MAX + 16], text[400];
    struct record record;
    bool started;

    (void)state;
    snprintf(path, sizeof path, "exec:%s/script", dir);
    assert_true(file_write(dir, "script", "echo hello\n", 11, NULL));
    chmod(path + 5, 0755);
    assert_int_equal(run((const char *[]){"--dir", dir, "--run", "1", NULL}, path, &started), 127);
    assert_true(record_read(dir, "exit", &record));
    record_text(&record, "text", text, sizeof text);
    assert_non_null(strstr(text, "neither a program nor a script with a #! line"));
}

static void a_missing_working_directory_is_a_reason(void **state)
{
    struct record record;
    char text[400];
    bool started;

    (void)state;
    run((const char *[]){"--dir", dir, "--run", "1", "--cwd", "/no/where", NULL}, "exit 0", &started);
    assert_false(started);
    assert_true(record_read(dir, "exit", &record));
    record_text(&record, "text", text, sizeof text);
    assert_string_equal(text, "cannot enter the working directory \"/no/where\": No such file or directory");
}

static void the_process_file_identifies_both(void **state)
{
    struct record record;
    struct process_id id;
    char text[64];
    int ready, pid;
    unsigned long long started;

    (void)state;
    pid_t shim =
        start(&ready, (const char *[]){"--dir", dir, "--run", "3", "--cwd", "/tmp", NULL}, "pwd; exec sleep 60");
    await_log("/tmp");
    assert_true(record_read(dir, "process", &record));
    assert_true(record_text(&record, "shim", text, sizeof text));
    assert_int_equal(sscanf(text, "%d %llu", &pid, &started), 2);
    assert_int_equal(pid, shim);
    assert_true(process_read(shim, &id));
    assert_int_equal(id.start, started);
    assert_true(record_text(&record, "main", text, sizeof text));
    assert_int_equal(sscanf(text, "%d %llu", &pid, &started), 2);
    assert_true(process_read(pid, &id));
    assert_int_equal(id.start, started);
    assert_true(record_text(&record, "boot", text, sizeof text));
    assert_string_equal(text, boot_id());
    kill(shim, SIGTERM);
    wait_for(shim);
    close(ready);
    await_death(pid);
}

/* ------------------------------------------------------------------ trees */

static void what_the_command_leaves_behind_dies_with_it(void **state)
{
    bool started;

    (void)state;
    /* a daemon: forked twice, a session of its own, deaf to SIGTERM and SIGHUP */
    int status = run((const char *[]){"--dir", dir, "--run", "1", NULL},
                     "(setsid sh -c 'trap \"\" TERM HUP; echo daemon=$$; while :; do sleep 1; done' &); "
                     "while ! grep -qs daemon= \"$WEIR_TEST_DIR/log\"; do sleep 0.02; done; exit 4",
                     &started);
    assert_int_equal(status, 4);
    assert_false(is_alive(pid_in_log("daemon")));
}

static void term_reaches_the_tree_and_kill_follows(void **state)
{
    struct record record;
    int ready;

    (void)state;
    pid_t shim = start(&ready, (const char *[]){"--dir", dir, "--run", "1", "--grace-ms", "300", NULL},
                       "sh -c 'trap \"\" TERM; echo deaf=$$; while :; do sleep 1; done' & "
                       "sh -c 'trap \"echo polite; exit 0\" TERM; echo other=$$; while :; do sleep 0.05; done' & "
                       "echo main=$$; trap 'echo asked' TERM; while :; do wait; done");
    await_log("deaf=");
    await_log("other=");
    await_log("main=");
    pid_t deaf = pid_in_log("deaf"), other = pid_in_log("other"), main_pid = pid_in_log("main");
    int64_t before = clock_ms(CLOCK_MONOTONIC);
    kill(shim, SIGTERM);
    wait_for(shim);
    int64_t took = clock_ms(CLOCK_MONOTONIC) - before;
    close(ready);
    assert_true(log_has("polite"));
    assert_true(log_has("asked"));
    assert_in_range(took, 290, 5000);
    assert_false(is_alive(deaf) || is_alive(other) || is_alive(main_pid));
    assert_true(record_read(dir, "exit", &record));
    assert_int_equal(record_integer(&record, "forced", -1), 1);
}

static void a_polite_command_is_not_forced(void **state)
{
    struct record record;
    int ready;

    (void)state;
    pid_t shim = start(&ready, (const char *[]){"--dir", dir, "--run", "1", "--grace-ms", "20000", NULL},
                       "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    await_log("ready");
    kill(shim, SIGHUP); /* means nothing to it */
    kill(shim, SIGTERM);
    assert_int_equal(wait_for(shim), 3);
    close(ready);
    assert_true(log_has("bye"));
    assert_true(record_read(dir, "exit", &record));
    assert_int_equal(record_integer(&record, "forced", -1), 0);
}

static void the_grace_period_can_come_with_the_signal(void **state)
{
    int ready;

    (void)state;
    pid_t shim = start(&ready, (const char *[]){"--dir", dir, "--run", "1", "--grace-ms", "60000", NULL},
                       "trap '' TERM; echo ready; while :; do sleep 0.05; done");
    await_log("ready");
    int64_t before = clock_ms(CLOCK_MONOTONIC);
    sigqueue(shim, SIGTERM, (union sigval){.sival_int = 200});
    assert_int_equal(wait_for(shim), 137);
    assert_in_range(clock_ms(CLOCK_MONOTONIC) - before, 190, 5000);
    close(ready);
}

static void the_command_dies_with_a_killed_shim(void **state)
{
    int ready;

    (void)state;
    pid_t shim = start(&ready, (const char *[]){"--dir", dir, "--run", "1", NULL}, "echo main=$$; exec sleep 60");
    await_log("main=");
    pid_t main_pid = pid_in_log("main");
    kill(shim, SIGKILL);
    assert_int_equal(wait_for(shim), 1000 + SIGKILL);
    close(ready);
    await_death(main_pid);
}

/* ------------------------------------------------------------------ lock, log, probe */

static void the_lock_is_held_as_long_as_the_shim_lives(void **state)
{
    char path[PATH_MAX + 8];
    int ready;

    (void)state;
    snprintf(path, sizeof path, "%s/lock", dir);
    pid_t shim = start(&ready, (const char *[]){"--dir", dir, "--run", "1", NULL}, "echo ready; exec sleep 60");
    await_log("ready");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
    kill(shim, SIGTERM);
    wait_for(shim);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
    close(ready);
}

static long size_of(const char *name)
{
    char path[PATH_MAX + 16];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

static void the_log_is_bounded(void **state)
{
    bool started;

    (void)state;
    run((const char *[]){"--dir", dir, "--run", "1", "--log-bytes", "100000", NULL},
        "i=0; while [ $i -lt 100 ]; do head -c 9999 /dev/zero; i=$((i+1)); done; echo the end", &started);
    assert_true(size_of("log") >= 0 && size_of("log") <= 100000);
    assert_true(size_of("log.1") > 0 && size_of("log.1") <= 100000);
    char path[PATH_MAX + 8], tail[16] = "";
    snprintf(path, sizeof path, "%s/log", dir);
    FILE *file = fopen(path, "r");
    fseek(file, -8, SEEK_END);
    assert_int_equal(fread(tail, 1, 8, file), 8);
    fclose(file);
    assert_string_equal(tail, "the end\n");
}

static void a_probe_has_a_status_and_a_limit(void **state)
{
    static const struct {
        const char *script;
        int status;
    } cases[] = {
        {"exit 0", 0},
        {"exit 9", 9},
        {"exec:no-such-program", 127},
        {"sleep 30 & exit 2", 2},
        {"trap '' TERM; sleep 30", 124},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool started;
        assert_int_equal(run((const char *[]){"--probe", "--timeout-ms", "300", NULL}, cases[i].script, &started),
                         cases[i].status);
    }
}

static void wrong_use_is_refused(void **state)
{
    static const char *const uses[][8] = {
        {NULL}, {"--dir", "/tmp", NULL}, {"--run", "x", NULL}, {"--probe", NULL}, {"--unknown", "1", NULL},
    };
    struct options options;

    (void)state;
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        char *argv[16] = {(char *)"weir-shim"};
        int n = 1;
        for (; uses[i][n - 1] != NULL; n++)
            argv[n] = (char *)uses[i][n - 1];
        assert_false(parse_options(n, argv, &options)); /* no command either */
    }
    char *good[] = {(char *)"weir-shim", (char *)"--dir", dir, (char *)"--run", (char *)"1",
                    (char *)"--",        (char *)"true",  NULL};
    assert_true(parse_options(7, good, &options));
    assert_string_equal(options.command[0], "true");
}

int main(int argc, char **argv)
{
    SHIM_OR_TESTS(argc, argv);
#define TEST(name) cmocka_unit_test_setup_teardown(name, new_dir, old_dir)
    const struct CMUnitTest tests[] = {
        TEST(ends_are_written_down),
        TEST(a_file_without_interpreter_is_refused_with_a_reason),
        TEST(a_missing_working_directory_is_a_reason),
        TEST(the_process_file_identifies_both),
        TEST(what_the_command_leaves_behind_dies_with_it),
        TEST(term_reaches_the_tree_and_kill_follows),
        TEST(a_polite_command_is_not_forced),
        TEST(the_grace_period_can_come_with_the_signal),
        TEST(the_command_dies_with_a_killed_shim),
        TEST(the_lock_is_held_as_long_as_the_shim_lives),
        TEST(the_log_is_bounded),
        TEST(a_probe_has_a_status_and_a_limit),
        TEST(wrong_use_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
