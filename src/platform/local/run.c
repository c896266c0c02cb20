/*
 * run: see run.h. Ends are heard through a pidfd in the loop, the same way for our own children and for adopted ones.
 *
 * A shim that was itself killed (somebody's kill -9, the kernel's out-of-memory killer) writes no exit file. Its command died
 * with it; what that had started is found by its session and its WEIR_VOLUMES and killed here, so that nothing is left behind.
 */
#include "platform/local/run.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

enum {
    LOCK_FD = 3,
    READY_FD = 4, /* where the shim expects them */
    ABOVE_FIXED_FDS = 10,
    SWEEP_ROUNDS = 3, /* a process may fork while the list is read */
    SHIM_ARGUMENTS = 16,
};

/* ------------------------------------------------------------------ words */

void run_end_words(const struct run_end *end, char *out, size_t size)
{
    switch (end->how) {
    case RUN_EXITED:
        snprintf(out, size, "exited with status %d%s", end->code, end->forced ? ", killed after its grace period" : "");
        break;
    case RUN_SIGNALLED:
        snprintf(out, size, "killed by signal %d (%s)%s", end->code, strsignal(end->code),
                 end->forced ? " after its grace period" : "");
        break;
    case RUN_UNSTARTABLE:
        snprintf(out, size, "%s", end->text);
        break;
    case RUN_LOST:
        snprintf(out, size, "ended while nobody watched: its weir-shim was killed or the machine went down");
        break;
    }
}

bool run_end_succeeded(const struct run_end *end)
{
    return end->how == RUN_EXITED && end->code == 0;
}

/* ------------------------------------------------------------------ what a killed shim leaves behind */

static bool has_session(pid_t pid, pid_t session)
{
    return session > 0 && getsid(pid) == session;
}

static bool has_environment(pid_t pid, const char *entry)
{
    char path[64];
    struct text text;
    char bytes[4096];
    bool found = false;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    text_init(&text, 4 * 1024 * 1024); /* the kernel's own bound on arguments is below */
    for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) > 0 && text_append(&text, bytes, (size_t)n);)
        ;
    close(fd);
    for (size_t at = 0; at < text.length && !found; at += strlen(text.bytes + at) + 1)
        found = strcmp(text.bytes + at, entry) == 0;
    text_done(&text);
    return found;
}

static bool kill_leftovers_once(const char *entry, pid_t session)
{
    DIR *proc = opendir("/proc");
    bool found = false;

    if (proc == NULL)
        return false;
    for (struct dirent *e; (e = readdir(proc)) != NULL;) {
        char *end;
        long pid = strtol(e->d_name, &end, 10);
        if (pid <= 0 || *end != 0 || pid == getpid())
            continue;
        int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0); /* held first: the number cannot change hands below */
        if (fd < 0)
            continue;
        if (has_session((pid_t)pid, session) || has_environment((pid_t)pid, entry))
            found = syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0 || found;
        close(fd);
    }
    closedir(proc);
    return found;
}

/* session 0: long ago, so that the number may be another's by now; then only the environment tells. */
static void kill_leftovers(const char *dir, pid_t session)
{
    char entry[PATH_MAX + 32];

    snprintf(entry, sizeof entry, "WEIR_VOLUMES=%s/volumes", dir);
    for (int i = 0; i < SWEEP_ROUNDS && kill_leftovers_once(entry, session); i++)
        ;
}

/* ------------------------------------------------------------------ the directory */

static bool read_id(const struct record *record, const char *key, struct process_id *out)
{
    char text[64];
    int64_t numbers[2]; /* process number, start time */

    if (!record_text(record, key, text, sizeof text) || numbers_read(text, numbers, 2) != 2)
        return false;
    *out = (struct process_id){.pid = (pid_t)numbers[0], .start = (uint64_t)numbers[1]};
    return true;
}

/* false: there is no process file, or it is from before a restart of the machine. */
static bool read_process_file(struct run *run)
{
    struct record record;
    char boot[64];

    if (!record_read(run->dir, "process", &record) || !read_id(&record, "shim", &run->shim) ||
        !read_id(&record, "main", &run->main))
        return false;
    run->number = record_integer(&record, "run", -1);
    run->started_at_ms = record_integer(&record, "started", 0);
    record_text(&record, "boot", boot, sizeof boot);
    if (strcmp(boot, boot_id()) == 0)
        return true;
    run->shim = run->main = (struct process_id){0};
    return false;
}

static bool read_exit_file(const struct run *run, struct run_end *end)
{
    struct record record;
    char how[32];

    if (!record_read(run->dir, "exit", &record) || !record_text(&record, "how", how, sizeof how))
        return false;
    end->how = strcmp(how, "exited") == 0      ? RUN_EXITED
               : strcmp(how, "signalled") == 0 ? RUN_SIGNALLED
                                               : RUN_UNSTARTABLE;
    end->code = (int)record_integer(&record, "code", 0);
    end->number = record_integer(&record, "run", -1);
    end->at_ms = record_integer(&record, "at", 0);
    end->forced = record_integer(&record, "forced", 0) != 0;
    record_text(&record, "text", end->text, sizeof end->text);
    return true;
}

/* Descriptor of dir/lock, locked; -1: somebody holds it (errno EWOULDBLOCK), or another errno. */
static int take_lock(const char *dir)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/lock", dir) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int number = errno;
    close(fd);
    errno = number;
    return -1;
}

static void forget_file(const char *dir, const char *name)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path)
        unlink(path);
}

/* ------------------------------------------------------------------ watching */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void drop_event(struct event **event)
{
    if (*event != NULL)
        event_free(*event);
    *event = NULL;
}

static void let_go(struct run *run)
{
    drop_event(&run->exit_event);
    drop_event(&run->ready_event);
    close_fd(&run->pidfd);
    close_fd(&run->ready_fd);
}

int run_reap(int pidfd)
{
    siginfo_t info = {0};

    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return -1;
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

/* The shim is gone: how did its command end? */
static void find_end(struct run *run, int status, struct run_end *end)
{
    *end = (struct run_end){.how = RUN_LOST, .number = run->number};
    if (read_exit_file(run, end) && end->number == run->number) {
        end->started_at_ms = run->started_at_ms;
        return;
    }
    *end = (struct run_end){.how = RUN_LOST, .number = run->number, .started_at_ms = run->started_at_ms};
    kill_leftovers(run->dir, run->main.pid);
    if (status >= 0 && status < 128) { /* it ended well but could not write: a full disk */
        end->how = RUN_EXITED;
        end->code = status;
    }
}

static void on_exit_readable(evutil_socket_t fd, short what, void *arg)
{
    struct run *run = arg;
    struct run_end end;

    (void)what;
    int status = run->own ? run_reap((int)fd) : -1;
    if (run->main.pid == 0)
        read_process_file(run); /* it ended before it was heard of */
    find_end(run, status, &end);
    let_go(run);
    run->own = false;
    run->on_ended(run->arg, &end);
}

static void on_ready_readable(evutil_socket_t fd, short what, void *arg)
{
    struct run *run = arg;
    char byte;

    (void)what;
    bool started = read((int)fd, &byte, 1) == 1;
    drop_event(&run->ready_event);
    close_fd(&run->ready_fd);
    if (started) { /* else it is about to end, and the exit file says why */
        read_process_file(run);
        run->on_started(run->arg);
    }
}

static bool watch_fd(struct run *run, int fd, event_callback_fn callback, struct event **out)
{
    *out = event_new(run->base, fd, EV_READ, callback, run);
    if (*out != NULL && event_add(*out, NULL) == 0)
        return true;
    drop_event(out);
    return false;
}

/* ------------------------------------------------------------------ init, find */

void run_init(struct run *run, struct event_base *base, const char *dir, void (*on_started)(void *arg),
              void (*on_ended)(void *arg, const struct run_end *end), void *arg)
{
    *run = (struct run){.base = base,
                        .dir = mem_copy(dir),
                        .pidfd = -1,
                        .ready_fd = -1,
                        .number = -1,
                        .on_started = on_started,
                        .on_ended = on_ended,
                        .arg = arg};
}

void run_done(struct run *run)
{
    let_go(run);
    free(run->dir);
    run->dir = NULL;
}

bool run_lives(const struct run *run)
{
    return run->pidfd >= 0;
}

/* Nobody holds the directory. */
static enum run_found find_end_of_earlier(struct run *run, struct run_end *end)
{
    struct record record;

    bool had_process = record_read(run->dir, "process", &record);
    bool this_boot = read_process_file(run);
    *end = (struct run_end){.how = RUN_LOST, .number = run->number, .started_at_ms = run->started_at_ms};
    if (read_exit_file(run, end)) {
        end->started_at_ms = run->started_at_ms;
        return RUN_OVER;
    }
    if (this_boot)
        kill_leftovers(run->dir, 0);
    return had_process ? RUN_OVER : RUN_NOTHING;
}

static bool open_adopted(struct run *run)
{
    struct process_id now;

    run->pidfd = (int)syscall(SYS_pidfd_open, run->shim.pid, 0);
    if (run->pidfd < 0)
        return false;
    if (process_read(run->shim.pid, &now) && now.start == run->shim.start &&
        watch_fd(run, run->pidfd, on_exit_readable, &run->exit_event))
        return true;
    close_fd(&run->pidfd);
    errno = ESRCH;
    return false;
}

enum run_found run_find(struct run *run, struct run_end *end, char *note, size_t note_size)
{
    int lock = take_lock(run->dir);

    assert(!run_lives(run));
    note[0] = 0;
    if (lock >= 0) {
        close(lock);
        return find_end_of_earlier(run, end);
    }
    if (errno == ENOENT)
        return RUN_NOTHING;
    if (errno != EWOULDBLOCK) {
        snprintf(note, note_size, "cannot look into %.150s: %s", run->dir, strerror(errno));
        return RUN_UNSURE;
    }
    if (!read_process_file(run)) {
        snprintf(note, note_size, "its weir-shim has not said yet what it runs");
        return RUN_UNSURE;
    }
    if (open_adopted(run))
        return RUN_LIVE;
    snprintf(note, note_size, "cannot watch its weir-shim (process %d): %s", (int)run->shim.pid, strerror(errno));
    return RUN_UNSURE;
}

/* ------------------------------------------------------------------ start, stop */

static bool spawn(const struct run_command *command, char *const *argv, int lock, int ready, pid_t *pid,
                  struct error *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    if (lock >= 0) {
        posix_spawn_file_actions_adddup2(&actions, lock, LOCK_FD);
        posix_spawn_file_actions_adddup2(&actions, ready, READY_FD);
    }
    int number = posix_spawn(pid, command->shim, &actions, &attributes, argv, command->envp);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (number == 0)
        return true;
    if (number == ENOENT || number == EACCES)
        return error_set(err, ERROR_MISSING, "cannot start %s: %s; weir-shim belongs beside the weir program",
                         command->shim, strerror(number));
    return error_set_machine(err, number, "start", command->shim);
}

/* A copy that is out of the way of the numbers the shim wants, and closed on exec; fd itself is closed. */
static int move_up(int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE_FIXED_FDS);

    close(fd);
    return moved;
}

static char **shim_arguments(const struct run *run, const struct run_command *command, char **numbers)
{
    size_t count = 0, n = 0;

    while (command->argv[count] != NULL)
        count++;
    char **argv = mem_array(count + SHIM_ARGUMENTS, sizeof *argv);
    argv[n++] = (char *)"weir-shim";
    if (run != NULL) {
        argv[n++] = (char *)"--dir";
        argv[n++] = run->dir;
        argv[n++] = (char *)"--run";
        argv[n++] = numbers[0];
        argv[n++] = (char *)"--grace-ms";
        argv[n++] = numbers[1];
    } else {
        argv[n++] = (char *)"--probe";
        argv[n++] = (char *)"--timeout-ms";
        argv[n++] = numbers[0];
    }
    if (command->cwd != NULL) {
        argv[n++] = (char *)"--cwd";
        argv[n++] = (char *)command->cwd;
    }
    argv[n++] = (char *)"--";
    assert(n < SHIM_ARGUMENTS);
    for (size_t i = 0; i < count; i++)
        argv[n + i] = command->argv[i];
    return argv;
}

/* A shim that runs but cannot be watched would never be missed: end it and wait, which takes a few milliseconds. */
static bool give_up_on(pid_t pid, struct error *err, int number)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return error_set_machine(err, number, "watch", "a new process");
}

static bool watch_new(struct run *run, pid_t pid, struct error *err)
{
    run->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (run->pidfd < 0)
        return give_up_on(pid, err, errno);
    if (!watch_fd(run, run->pidfd, on_exit_readable, &run->exit_event) ||
        !watch_fd(run, run->ready_fd, on_ready_readable, &run->ready_event)) {
        let_go(run);
        return give_up_on(pid, err, ENOMEM);
    }
    run->own = true;
    run->shim.pid = pid;
    return true;
}

static bool start_with(struct run *run, const struct run_command *command, int lock, int ready, struct error *err)
{
    char number[32], grace[32], *numbers[] = {number, grace};
    pid_t pid;

    snprintf(number, sizeof number, "%lld", (long long)run->number);
    snprintf(grace, sizeof grace, "%lld", (long long)command->grace_ms);
    forget_file(run->dir, "process");
    forget_file(run->dir, "exit");
    char **argv = shim_arguments(run, command, numbers);
    bool spawned = spawn(command, argv, lock, ready, &pid, err);
    free(argv);
    return spawned && watch_new(run, pid, err);
}

bool run_start(struct run *run, int64_t number, const struct run_command *command, struct error *err)
{
    int ready[2] = {-1, -1};

    assert(!run_lives(run));
    if (!dir_make(run->dir, err))
        return false;
    int lock = take_lock(run->dir);
    if (lock < 0 && errno == EWOULDBLOCK)
        return error_set(err, ERROR_INTERNAL,
                         "%s is still held by an earlier process; it is taken over as soon as that says "
                         "what it is",
                         run->dir);
    if (lock < 0 || (lock = move_up(lock)) < 0)
        return error_set_machine(err, errno, "lock", run->dir);
    if (pipe2(ready, O_CLOEXEC) != 0 || (ready[1] = move_up(ready[1])) < 0) {
        error_set_machine(err, errno, "make a pipe for", run->dir);
        close_fd(&ready[0]);
        close(lock);
        return false;
    }
    run->number = number;
    run->shim = run->main = (struct process_id){0};
    run->started_at_ms = 0;
    run->ready_fd = ready[0];
    bool started = start_with(run, command, lock, ready[1], err);
    close(lock);
    close(ready[1]);
    if (!started)
        close_fd(&run->ready_fd);
    return started;
}

void run_stop(struct run *run, int64_t grace_ms)
{
    siginfo_t info = {0};

    if (!run_lives(run))
        return;
    info.si_signo = SIGTERM;
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = grace_ms > INT_MAX ? INT_MAX : (int)grace_ms;
    syscall(SYS_pidfd_send_signal, run->pidfd, SIGTERM, &info, 0);
}

bool run_probe(const struct run_command *command, int64_t timeout_ms, int *pidfd, struct error *err)
{
    char number[32], *numbers[] = {number};
    pid_t pid;

    snprintf(number, sizeof number, "%lld", (long long)timeout_ms);
    char **argv = shim_arguments(NULL, command, numbers);
    bool spawned = spawn(command, argv, -1, -1, &pid, err);
    free(argv);
    if (!spawned)
        return false;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return give_up_on(pid, err, errno);
    *pidfd = fd;
    return true;
}
