/* workers: see workers.h. Worker w of n does w, w + n, w + 2n ...; all write into one pipe, each result with its index at once. */
#include "cli/workers.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

struct record {
    size_t index;
    char bytes[WORKERS_RESULT_MAX_BYTES];
};

static void be_worker(const struct workers *w, size_t first, size_t count, int out)
{
    size_t bytes = offsetof(struct record, bytes) + w->result_bytes;
    struct record record;

    for (size_t i = first; i < count; i += w->processes) {
        memset(&record, 0, sizeof(record));
        record.index = i;
        w->work(w->arg, i, record.bytes);
        if (*w->stop || write(out, &record, bytes) != (ssize_t)bytes)
            _exit(1);
    }
    _exit(0);
}

static void tell(const pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        kill(pids[i], SIGTERM);
}

/* Until all ends of the pipe are closed. Returns how many results came. */
static size_t collect(const struct workers *w, int in, const pid_t *pids, size_t processes, void *results)
{
    size_t bytes = offsetof(struct record, bytes) + w->result_bytes, filled = 0, got = 0;
    struct record record;
    bool told = false;

    for (;;) {
        ssize_t n = read(in, (char *)&record + filled, bytes - filled);

        if (n == 0)
            return got;
        if (*w->stop && !told)
            tell(pids, processes);
        told = *w->stop;
        if (n < 0 && errno != EINTR)
            return got;
        filled += n > 0 ? (size_t)n : 0;
        if (filled < bytes)
            continue;
        memcpy((char *)results + record.index * w->result_bytes, record.bytes, w->result_bytes);
        filled = 0;
        got++;
        if (w->done)
            w->done(w->arg, got);
    }
}

static size_t start(const struct workers *w, size_t count, const int ends[2], pid_t *pids)
{
    for (size_t i = 0; i < w->processes && i < count; i++) {
        pids[i] = fork();
        if (pids[i] < 0)
            return i;
        if (pids[i] == 0) {
            close(ends[0]);
            be_worker(w, i, count, ends[1]);
        }
    }
    return w->processes < count ? w->processes : count;
}

bool workers_run(const struct workers *workers, size_t count, void *results, struct error *err)
{
    pid_t pids[WORKERS_MAX] = {0};
    size_t wanted = workers->processes < count ? workers->processes : count, started, got;
    int ends[2], status;

    assert(workers->result_bytes <= WORKERS_RESULT_MAX_BYTES && workers->processes > 0 &&
           workers->processes <= WORKERS_MAX);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_set(err, ERROR_INTERNAL, "no pipe to worker processes: %s", strerror(errno));
    started = start(workers, count, ends, pids);
    if (started < wanted) {
        error_set(err, ERROR_INTERNAL, "worker processes cannot be started: %s; try fewer with --workers",
                  strerror(errno));
        tell(pids, started);
    }
    close(ends[1]);
    got = collect(workers, ends[0], pids, started, results);
    close(ends[0]);
    for (size_t i = 0; i < started; i++)
        while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR)
            ;
    if (started < wanted)
        return false;
    if (*workers->stop) {
        error_set(err, ERROR_NONE, "stopped");
        return false;
    }
    return got == count || error_set(err, ERROR_INTERNAL, "a worker process died; with --workers 1 it may say more");
}

size_t workers_usual(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);

    return online < 1 ? 1 : online > WORKERS_MAX ? WORKERS_MAX : (size_t)online;
}
