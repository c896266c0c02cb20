/*
 * weir-shim: the parent of one process of the local platform, so small that it can outlive everything around it.
 *
 *     weir-shim --dir DIR --run N [--cwd DIR] [--grace-ms N] [--log-bytes N] -- COMMAND ARG...
 *     weir-shim --probe --timeout-ms N [--cwd DIR] -- COMMAND ARG...
 *
 * Weir starts one shim per replica or job; the shim starts the command and waits. When Weir dies the shim does not care; the
 * next Weir finds what it needs in DIR, where the shim writes (whole files, by rename):
 *
 *     process   run, boot, shim PID START, main PID START, started      right after the fork
 *     exit      run, how, code, at, forced, text                        when nothing of the process tree is left
 *     log       what the command wrote, and log.1, the piece before; each up to --log-bytes
 *
 * START is field 22 of /proc/PID/stat: with it and the boot's id, a process number used again is never taken for ours.
 *
 * Descriptors the shim is handed: 3, a lock (flock) on DIR/lock which it holds as long as it lives, which is how others
 * know that DIR is in use; 4, a pipe that gets one byte once the command runs. It closes everything else.
 *
 * The process tree: the shim is its sub-reaper, so whatever the command leaves behind becomes the shim's child. When the
 * command ends by itself the rest is killed at once, as a container dies with its first process. On SIGTERM the whole tree
 * is asked to end, and killed when the grace period is over: --grace-ms, or the value queued with the signal (sigqueue), in
 * milliseconds. The command itself dies with the shim (PR_SET_PDEATHSIG), should somebody kill that.
 *
 * With --probe there is no directory: the command runs for at most the time given, its tree is killed afterwards, its status
 * is the shim's, and 124 means the time was up. A probe dies with Weir.
 *
 * Needs Linux 5.9; uses no library but the C one, and no memory but what stands here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LOCK_FD = 3,
    READY_FD = 4,
    FIRST_OTHER_FD = 5,
    LOG_BYTES = 8 * 1024 * 1024, /* of each of the two pieces */
    PROCESSES_MAX = 32 * 1024,   /* looked at in one walk; what is beyond is found by the next one */
    SWEEP_MS = 20,               /* between two walks while something still has to die */
    GRACE_MS = 30 * 1000,        /* Kubernetes' default */
    STATUS_TIMEOUT = 124,        /* as timeout(1) */
    STATUS_UNSTARTABLE = 127,    /* as shells */
    STATUS_USAGE = 2,
};

struct options {
    const char *dir, *cwd;
    long long run, grace_ms, log_bytes, timeout_ms;
    bool probe;
    char **command;
};

enum failed_at { FAILED_NOWHERE, FAILED_CWD, FAILED_EXEC };
struct start_failure { /* what the child tells through a pipe that closes when exec succeeds */
    enum failed_at at;
    int number;
};

struct process {
    pid_t pid, parent;
    unsigned long long start;
    bool ours;
};

struct shim {
    struct options options;
    int dir_fd, log_fd, signal_fd, output_fd, failure_fd; /* -1: none */
    long long log_size;
    pid_t main;
    int status; /* of main, as waitpid gives it */
    bool main_ended, stopping, forced, timed_out;
    int64_t deadline_ms; /* monotonic; of the grace period or of a probe; -1: none */
    struct start_failure failure;
};

static struct process processes[PROCESSES_MAX];
static size_t process_count;
static char buffer[64 * 1024];

/* ------------------------------------------------------------------ time and /proc */

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reads parent (field 4) and start time (field 22). The name before them may hold blanks and brackets. */
static bool read_stat(pid_t pid, struct process *out)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, line, sizeof line - 1);
    close(fd);
    if (length <= 0)
        return false;
    line[length] = 0;

    char *at = strrchr(line, ')');
    if (at == NULL || strlen(at) < 4)
        return false;
    at += 3; /* behind the third field, a letter */
    *out = (struct process){.pid = pid};
    for (int field = 4; field <= 22; field++) {
        unsigned long long value = strtoull(at, &at, 10);
        if (field == 4)
            out->parent = (pid_t)value;
        else if (field == 22)
            out->start = value;
    }
    return out->start != 0;
}

static void list_processes(void)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;

    process_count = 0;
    if (proc == NULL)
        return;
    while (process_count < PROCESSES_MAX && (entry = readdir(proc)) != NULL) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        if (pid > 0 && *end == 0 && read_stat((pid_t)pid, &processes[process_count]))
            process_count++;
    }
    closedir(proc);
}

/* The kernel lists processes by ascending number. */
static bool is_ours(pid_t pid)
{
    size_t low = 0, high = process_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (processes[middle].pid < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < process_count && processes[low].pid == pid && processes[low].ours;
}

/* Marks the descendants of the shim. Children are marked in as many rounds as the tree is deep. */
static void mark_descendants(void)
{
    pid_t self = getpid();
    bool found = true;

    while (found) {
        found = false;
        for (size_t i = 0; i < process_count; i++) {
            struct process *p = &processes[i];
            if (!p->ours && p->pid != self && (p->parent == self || is_ours(p->parent))) {
                p->ours = true;
                found = true;
            }
        }
    }
}

/* The number may have passed to another process since the walk: hold it, look again, then signal. */
static void signal_process(const struct process *p, int signal_number)
{
    int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    struct process again;

    if (fd < 0)
        return;
    if (read_stat(p->pid, &again) && again.start == p->start)
        syscall(SYS_pidfd_send_signal, fd, signal_number, NULL, 0);
    close(fd);
}

static void signal_tree(int signal_number)
{
    list_processes();
    mark_descendants();
    for (size_t i = 0; i < process_count; i++) {
        if (processes[i].ours)
            signal_process(&processes[i], signal_number);
    }
}

/* ------------------------------------------------------------------ files */

static void write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* a full disk: nobody is there to be told */
        bytes += n;
        length -= (size_t)n;
    }
}

static void write_file(const struct shim *shim, const char *name, const char *text)
{
    char temporary[64];

    if (shim->dir_fd < 0)
        return;
    snprintf(temporary, sizeof temporary, ".%s.new", name);
    int fd = openat(shim->dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    write_all(fd, text, strlen(text));
    struct stat st;
    bool whole = fstat(fd, &st) == 0 && st.st_size == (off_t)strlen(text);
    close(fd);
    if (whole)
        renameat(shim->dir_fd, temporary, shim->dir_fd, name);
}

static void read_boot_id(char *out, size_t size)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1);

    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = 0;
    out[strcspn(out, "\n")] = 0;
}

static void write_process_file(const struct shim *shim)
{
    char boot[64], text[512];
    struct process self = {0}, main_process = {0};

    read_boot_id(boot, sizeof boot);
    read_stat(getpid(), &self);
    read_stat(shim->main, &main_process);
    snprintf(text, sizeof text, "run %lld\nboot %s\nshim %d %llu\nmain %d %llu\nstarted %lld\n", shim->options.run,
             boot, (int)getpid(), self.start, (int)shim->main, main_process.start, (long long)clock_ms(CLOCK_REALTIME));
    write_file(shim, "process", text);
}

static void start_failure_text(const struct shim *shim, char *out, size_t size)
{
    const char *command = shim->options.command[0], *why = strerror(shim->failure.number);

    if (shim->failure.at == FAILED_CWD)
        snprintf(out, size, "cannot enter the working directory \"%.900s\": %s", shim->options.cwd, why);
    else if (shim->failure.number == ENOEXEC)
        snprintf(out, size, "cannot execute \"%.900s\": neither a program nor a script with a #! line", command);
    else if (shim->failure.number == ENOENT && strchr(command, '/') == NULL)
        snprintf(out, size, "cannot find \"%.900s\" in PATH", command);
    else
        snprintf(out, size, "cannot execute \"%.900s\": %s", command, why);
    for (char *c = out; *c != 0; c++) {
        if (*c == '\n')
            *c = ' ';
    }
}

static void write_exit_file(const struct shim *shim)
{
    char text[1400], reason[1024] = "";
    const char *how = "exited";
    int code = WEXITSTATUS(shim->status);

    if (shim->failure.at != FAILED_NOWHERE) {
        how = "unstartable";
        code = shim->failure.number;
        start_failure_text(shim, reason, sizeof reason);
    } else if (WIFSIGNALED(shim->status)) {
        how = "signalled";
        code = WTERMSIG(shim->status);
    }
    snprintf(text, sizeof text, "run %lld\nhow %s\ncode %d\nat %lld\nforced %d\ntext %s\n", shim->options.run, how,
             code, (long long)clock_ms(CLOCK_REALTIME), shim->forced, reason);
    write_file(shim, "exit", text);
}

/* ------------------------------------------------------------------ what the command writes */

static void log_open(struct shim *shim)
{
    struct stat st;

    shim->log_fd = openat(shim->dir_fd, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    shim->log_size = shim->log_fd >= 0 && fstat(shim->log_fd, &st) == 0 ? (long long)st.st_size : 0;
}

static void log_append(struct shim *shim, const char *bytes, size_t length)
{
    if (shim->dir_fd < 0)
        return;
    if (shim->log_fd >= 0 && shim->log_size > 0 && shim->log_size + (long long)length > shim->options.log_bytes) {
        close(shim->log_fd);
        renameat(shim->dir_fd, "log", shim->dir_fd, "log.1");
        shim->log_fd = -1;
    }
    if (shim->log_fd < 0)
        log_open(shim);
    if (shim->log_fd < 0)
        return; /* the command must not stand still because its output cannot be kept */
    write_all(shim->log_fd, bytes, length);
    shim->log_size += (long long)length;
}

/* Takes what is there, but not for ever: a command that writes without pause must not keep signals waiting. */
static void pump_output(struct shim *shim)
{
    for (int i = 0; i < 16 && shim->output_fd >= 0; i++) {
        ssize_t n = read(shim->output_fd, buffer, sizeof buffer);
        if (n > 0) {
            log_append(shim, buffer, (size_t)n);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            close(shim->output_fd);
            shim->output_fd = -1;
        } else {
            return;
        }
    }
}

/* ------------------------------------------------------------------ the child */

static void execute(char **command)
{
    const char *path = getenv("PATH");
    char candidate[4096];
    int worst = ENOENT;

    if (strchr(command[0], '/') != NULL) {
        execv(command[0], command);
        return;
    }
    for (const char *at = path ? path : "/usr/local/bin:/usr/bin:/bin"; command[0][0] != 0; at++) {
        int length = (int)strcspn(at, ":");
        if (length > 0 &&
            snprintf(candidate, sizeof candidate, "%.*s/%s", length, at, command[0]) < (int)sizeof candidate) {
            execv(candidate, command);
            if (errno != ENOENT && errno != ENOTDIR)
                worst = errno; /* found, but not to be executed: the better thing to report */
        }
        at += length;
        if (*at == 0)
            break;
    }
    errno = worst;
}

static void be_the_child(const struct shim *shim, int output, int failure_pipe, pid_t parent)
{
    struct start_failure failure = {FAILED_NOWHERE, 0};
    sigset_t none;

    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(STATUS_UNSTARTABLE);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    if (output >= 0) {
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
    }
    if (shim->options.cwd != NULL && chdir(shim->options.cwd) != 0) {
        failure = (struct start_failure){FAILED_CWD, errno};
    } else {
        execute(shim->options.command);
        failure = (struct start_failure){FAILED_EXEC, errno};
    }
    write_all(failure_pipe, (const char *)&failure, sizeof failure);
    _exit(STATUS_UNSTARTABLE);
}

static void start_child(struct shim *shim)
{
    int output[2] = {-1, -1}, failure[2] = {-1, -1};
    pid_t self = getpid();

    if (shim->dir_fd >= 0 && pipe2(output, O_CLOEXEC) == 0)
        fcntl(output[0], F_SETFL, O_NONBLOCK); /* only our end: the command's writes may wait */
    if (pipe2(failure, O_CLOEXEC) != 0 || (shim->main = fork()) < 0) {
        shim->failure = (struct start_failure){FAILED_EXEC, errno};
        shim->main_ended = true;
        return;
    }
    if (shim->main == 0)
        be_the_child(shim, output[1], failure[1], self);
    close(failure[1]);
    if (output[1] >= 0)
        close(output[1]);
    shim->output_fd = output[0];
    shim->failure_fd = failure[0];
    write_process_file(shim);
}

/* The pipe of a child that could be started closes without a word. */
static void on_start_known(struct shim *shim)
{
    struct start_failure failure;

    if (read(shim->failure_fd, &failure, sizeof failure) == (ssize_t)sizeof failure)
        shim->failure = failure;
    else if (!shim->options.probe)
        write_all(READY_FD, "r", 1);
    close(shim->failure_fd);
    shim->failure_fd = -1;
    if (!shim->options.probe)
        close(READY_FD);
}

/* ------------------------------------------------------------------ waiting */

/* Returns false when no child is left. */
static bool reap(struct shim *shim)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == shim->main) {
            shim->main_ended = true;
            shim->status = status;
        }
    }
    return pid == 0;
}

static void begin_stop(struct shim *shim, int64_t grace_ms)
{
    int64_t deadline = clock_ms(CLOCK_MONOTONIC) + grace_ms;

    if (!shim->stopping || deadline < shim->deadline_ms)
        shim->deadline_ms = deadline;
    shim->stopping = true;
    signal_tree(SIGTERM);
}

static void take_signals(struct shim *shim)
{
    struct signalfd_siginfo info;

    while (read(shim->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            continue;
        int64_t grace_ms = info.ssi_code == SI_QUEUE ? info.ssi_int : shim->options.grace_ms;
        begin_stop(shim, grace_ms < 0 ? 0 : grace_ms);
    }
}

static int next_wake_ms(const struct shim *shim, bool killing)
{
    if (killing)
        return SWEEP_MS;
    if (shim->deadline_ms < 0)
        return -1;
    int64_t left = shim->deadline_ms - clock_ms(CLOCK_MONOTONIC);
    return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static bool deadline_passed(const struct shim *shim)
{
    return shim->deadline_ms >= 0 && clock_ms(CLOCK_MONOTONIC) >= shim->deadline_ms;
}

/* Whether what is left must die now: its time is up, or its first process ended without being asked to. */
static bool must_kill(struct shim *shim)
{
    if (deadline_passed(shim)) {
        shim->forced = true;
        shim->timed_out = shim->options.probe && !shim->stopping;
        return true;
    }
    return shim->main_ended && !shim->stopping;
}

static void wait_for_end(struct shim *shim)
{
    while (reap(shim)) {
        bool killing = must_kill(shim);
        if (killing)
            signal_tree(SIGKILL);
        struct pollfd fds[] = {
            {.fd = shim->signal_fd, .events = POLLIN},
            {.fd = shim->output_fd, .events = POLLIN},
            {.fd = shim->failure_fd, .events = POLLIN},
        };
        if (poll(fds, sizeof fds / sizeof fds[0], next_wake_ms(shim, killing)) <= 0)
            continue;
        if (fds[2].revents != 0)
            on_start_known(shim);
        if (fds[1].revents != 0)
            pump_output(shim);
        if (fds[0].revents != 0)
            take_signals(shim);
    }
    if (shim->failure_fd >= 0)
        on_start_known(shim);
    pump_output(shim);
}

/* ------------------------------------------------------------------ the start */

static bool parse_number(const char *text, long long *out)
{
    char *end;

    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == 0 && *out >= 0;
}

static bool parse_options(int argc, char **argv, struct options *out)
{
    struct options o = {.grace_ms = GRACE_MS, .log_bytes = LOG_BYTES, .timeout_ms = -1};
    int i = 1;

    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        bool good = true;
        if (strcmp(name, "--probe") == 0) {
            o.probe = true;
            continue;
        }
        if (strcmp(name, "--dir") == 0)
            o.dir = value;
        else if (strcmp(name, "--cwd") == 0)
            o.cwd = value;
        else if (strcmp(name, "--run") == 0)
            good = parse_number(value, &o.run);
        else if (strcmp(name, "--grace-ms") == 0)
            good = parse_number(value, &o.grace_ms);
        else if (strcmp(name, "--log-bytes") == 0)
            good = parse_number(value, &o.log_bytes);
        else if (strcmp(name, "--timeout-ms") == 0)
            good = parse_number(value, &o.timeout_ms);
        else
            good = false;
        if (!good)
            return false;
        i++;
    }
    if (i + 1 >= argc || (o.dir == NULL) != o.probe || (o.probe && o.timeout_ms < 0))
        return false;
    if (o.probe)
        o.grace_ms = 0;
    o.command = argv + i + 1;
    *out = o;
    return true;
}

/* Away from the terminal, the descriptors and the fate of whoever started us. */
static bool detach(struct shim *shim)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return false;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    if (shim->options.probe) {
        syscall(SYS_close_range, LOCK_FD, ~0u, 0);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    } else {
        syscall(SYS_close_range, FIRST_OTHER_FD, ~0u, 0);
        fcntl(LOCK_FD, F_SETFD, FD_CLOEXEC);
        fcntl(READY_FD, F_SETFD, FD_CLOEXEC);
        shim->dir_fd = open(shim->options.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (shim->dir_fd < 0)
            return false;
    }
    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return true;
}

static void arrange_signals(struct shim *shim)
{
    sigset_t set;

    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_SETMASK, &set, NULL);
    shim->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int exit_status(const struct shim *shim)
{
    if (shim->timed_out)
        return STATUS_TIMEOUT;
    if (shim->failure.at != FAILED_NOWHERE)
        return STATUS_UNSTARTABLE;
    return WIFSIGNALED(shim->status) ? 128 + WTERMSIG(shim->status) : WEXITSTATUS(shim->status);
}

int main(int argc, char **argv)
{
    struct shim shim = {
        .dir_fd = -1, .log_fd = -1, .signal_fd = -1, .output_fd = -1, .failure_fd = -1, .deadline_ms = -1};

    if (!parse_options(argc, argv, &shim.options)) {
        fprintf(stderr, "weir-shim: started by weir, not by hand (see ARCHITECTURE.md, \"The local platform\")\n");
        return STATUS_USAGE;
    }
    if (!detach(&shim))
        return STATUS_UNSTARTABLE;
    arrange_signals(&shim);
    if (shim.options.probe)
        shim.deadline_ms = clock_ms(CLOCK_MONOTONIC) + shim.options.timeout_ms;
    start_child(&shim);
    wait_for_end(&shim);
    write_exit_file(&shim);
    return exit_status(&shim);
}
