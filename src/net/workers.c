/*
 * workers: threads for client libraries that block. A job has two sides:
 *
 *     loop's thread     start --gate--> handed over . . . . . . . . . . returned --> done, release
 *                                           |   \ deadline: done(why)         ^
 *     a worker                              \--> work ----------------------/
 *
 * The gate lets no more jobs through than there may be threads, so each that passes gets one, and a destination that hangs
 * holds its share; so does a namespace. A job whose work does not return keeps its place and its memory, is counted, and is never waited for.
 *
 * A job has its time twice: to get a thread, and then, from the moment it has one, for its work. The first is not its library's fault.
 *
 * What both sides touch is in struct crew, under its lock: the queue, the list of jobs that returned, and `handed` of a job.
 * Everything else belongs to the loop's thread; `arg` belongs to the worker until the work returns. The crew outlives the
 * workers while a thread is stuck in it. Threads that are not stuck have ended when the workers are freed, with what libraries
 * keep for each: at the end of the process these libraries clean up, and nobody may be in them then.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/arena.h"
#include "base/limits.h"
#include "net/net_internal.h"

enum { GRACE_AT_EXIT_MS = 200 }; /* what is about to return may; what hangs is left */

struct job {
    struct workers *workers;
    struct job *previous, *next; /* all */
    struct gate_ticket ticket;
    struct timer *timer;
    int64_t timeout_ms;
    job_work *work;
    job_done *done; /* NULL: told already, or cancelled */
    void (*release)(void *arg);
    void *arg;
    bool is_over; /* nobody runs it or will; its timer lets it go */
    bool is_stuck;
    /* under the crew's lock */
    enum { JOB_HERE, JOB_QUEUED, JOB_RUNNING, JOB_BACK } handed;
    int64_t begun_ticks_ms; /* when it had a thread */
    struct job *next_handed;
};

struct worker {
    struct crew *crew;
    pthread_t thread;
    bool at_work; /* under the crew's lock */
};

struct crew {
    pthread_mutex_t lock;
    pthread_cond_t work_came, work_ended;
    struct job *first, *last; /* queued */
    struct job *returned;
    struct worker *threads; /* the first threads_begun of threads_max */
    int threads_begun, threads_max;
    int idle, running;
    int references; /* threads, and the workers */
    bool closed;
    int wake_fd;
};

struct workers {
    struct loop *loop;
    struct transport_stats *stats;
    struct crew *crew;
    struct event *wake;
    struct gate *gate;
    struct job *jobs;
};

static int64_t ticks_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the crew ---- */
static void crew_unref_and_unlock(struct crew *crew)
{
    bool is_last = --crew->references == 0;

    pthread_mutex_unlock(&crew->lock);
    if (!is_last)
        return;
    pthread_cond_destroy(&crew->work_came);
    pthread_cond_destroy(&crew->work_ended);
    pthread_mutex_destroy(&crew->lock);
    if (crew->wake_fd >= 0)
        close(crew->wake_fd);
    free(crew->threads);
    free(crew);
}

/* Under the lock. */
static struct job *take_job(struct crew *crew)
{
    struct job *job = crew->first;

    crew->first = job->next_handed;
    if (!crew->first)
        crew->last = NULL;
    job->handed = JOB_RUNNING;
    job->begun_ticks_ms = ticks_ms();
    crew->running++;
    return job;
}

/* Under the lock. A job that is no longer running here was left behind by the workers: it is the thread's. */
static void give_back(struct crew *crew, struct job *job)
{
    const uint64_t one = 1;

    crew->running--;
    pthread_cond_signal(&crew->work_ended);
    if (job->handed != JOB_RUNNING) {
        free(job);
        return;
    }
    job->handed = JOB_BACK;
    job->next_handed = crew->returned;
    crew->returned = job;
    while (write(crew->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void *work_on(void *arg)
{
    struct worker *worker = arg;
    struct crew *crew = worker->crew;

    pthread_mutex_lock(&crew->lock);
    while (!crew->closed) {
        struct job *job;

        if (!crew->first) {
            crew->idle++;
            pthread_cond_wait(&crew->work_came, &crew->lock);
            crew->idle--;
            continue;
        }
        job = take_job(crew);
        worker->at_work = true;
        pthread_mutex_unlock(&crew->lock);
        job->work(job->arg);
        pthread_mutex_lock(&crew->lock);
        worker->at_work = false;
        give_back(crew, job);
    }
    crew_unref_and_unlock(crew);
    return NULL;
}

/* Signals are the loop's: a worker blocks them all. Not those of a fault of its own: blocked, they end the process before a
   sanitizer could say where it was. */
static void block_signals(sigset_t *before)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigset_t blocked;

    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, before);
}

/* Under the lock. A thread that cannot be had now may be had for the next job; meanwhile this one's deadline runs. */
static void start_thread(struct crew *crew)
{
    struct worker *worker = &crew->threads[crew->threads_begun];
    sigset_t before;

    if (crew->threads_begun >= crew->threads_max)
        return;
    worker->crew = crew;
    block_signals(&before);
    if (pthread_create(&worker->thread, NULL, work_on, worker) == 0) {
        crew->threads_begun++;
        crew->references++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Under the lock of a closed crew, which it lets go of meanwhile. */
static void end_threads(struct crew *crew)
{
    for (int i = 0; i < crew->threads_begun; i++) {
        if (crew->threads[i].at_work) {
            pthread_detach(crew->threads[i].thread);
            continue;
        }
        pthread_mutex_unlock(&crew->lock);
        pthread_join(crew->threads[i].thread, NULL);
        pthread_mutex_lock(&crew->lock);
    }
}

static void hand_over(struct crew *crew, struct job *job)
{
    int queued = 1;

    pthread_mutex_lock(&crew->lock);
    job->handed = JOB_QUEUED;
    job->next_handed = NULL;
    for (const struct job *j = crew->first; j; j = j->next_handed)
        queued++;
    if (crew->last)
        crew->last->next_handed = job;
    else
        crew->first = job;
    crew->last = job;
    if (crew->idle < queued)
        start_thread(crew);
    pthread_cond_signal(&crew->work_came);
    pthread_mutex_unlock(&crew->lock);
}

/* True: no thread has it, and none will. */
static bool withdraw(struct crew *crew, struct job *job)
{
    struct job *previous = NULL;
    bool is_here;

    pthread_mutex_lock(&crew->lock);
    if (job->handed == JOB_QUEUED) {
        for (struct job *j = crew->first; j != job; j = j->next_handed)
            previous = j;
        if (previous)
            previous->next_handed = job->next_handed;
        else
            crew->first = job->next_handed;
        if (crew->last == job)
            crew->last = previous;
        job->handed = JOB_HERE;
    }
    is_here = job->handed == JOB_HERE;
    pthread_mutex_unlock(&crew->lock);
    return is_here;
}

/* ---- the loop's side ---- */
static void let_go(struct job *job)
{
    struct workers *workers = job->workers;

    loop_timer_free(job->timer);
    if (job->previous)
        job->previous->next = job->next;
    else
        workers->jobs = job->next;
    if (job->next)
        job->next->previous = job->previous;
    workers->stats->jobs_now--;
    if (job->is_stuck)
        workers->stats->stuck_jobs--;
    if (job->ticket.lane)
        gate_leave(workers->gate, &job->ticket);
    if (job->release)
        job->release(job->arg);
    free(job);
}

static void tell(struct job *job, enum job_end how)
{
    job_done *done = job->done;

    job->done = NULL;
    loop_timer_stop(job->timer);
    if (done)
        done(job->arg, how);
}

/* Of a job that a thread has: 0 or less when its time is over. */
static int64_t time_left(struct crew *crew, const struct job *job)
{
    int64_t begun;

    pthread_mutex_lock(&crew->lock);
    begun = job->begun_ticks_ms;
    pthread_mutex_unlock(&crew->lock);
    return begun + job->timeout_ms - ticks_ms();
}

static void on_timer(void *arg)
{
    struct job *job = arg;
    struct workers *workers = job->workers;
    int64_t left;

    if (!job->is_over && !withdraw(workers->crew, job)) {
        left = time_left(workers->crew, job);
        if (left > 0) { /* it waited first */
            loop_timer_set(job->timer, left);
            return;
        }
        job->is_stuck = true;
        workers->stats->stuck_jobs++;
        tell(job, JOB_HANGS);
        return;
    }
    if (!job->is_over)
        gate_leave(workers->gate, &job->ticket); /* before the callback, which may start others */
    job->is_over = true;
    tell(job, JOB_NOT_BEGUN);
    let_go(job);
}

static void on_returned(evutil_socket_t fd, short what, void *arg)
{
    struct workers *workers = arg;
    struct crew *crew = workers->crew;
    struct job *returned, *oldest_first = NULL;
    uint64_t count;

    (void)what;
    (void)!read(fd, &count, sizeof count);
    pthread_mutex_lock(&crew->lock);
    returned = crew->returned;
    crew->returned = NULL;
    pthread_mutex_unlock(&crew->lock);
    while (returned) {
        struct job *next = returned->next_handed;

        returned->next_handed = oldest_first;
        oldest_first = returned;
        returned = next;
    }
    while (oldest_first) {
        struct job *next = oldest_first->next_handed;

        tell(oldest_first, JOB_RETURNED);
        let_go(oldest_first);
        oldest_first = next;
    }
}

static void on_admit(void *arg, struct gate_ticket *ticket)
{
    struct job *job = owner_of(ticket, struct job, ticket);

    (void)arg;
    hand_over(job->workers->crew, job);
}

struct job *workers_start(struct workers *workers, const char *ns, const char *destination, int64_t timeout_ms,
                          job_work *work, job_done *done, void (*release)(void *arg), void *arg)
{
    struct job *job = mem_alloc(sizeof *job);

    job->workers = workers;
    job->timeout_ms = timeout_ms > 0 ? timeout_ms : HTTP_TIMEOUT_MS;
    job->work = work;
    job->done = done;
    job->release = release;
    job->arg = arg;
    job->next = workers->jobs;
    if (workers->jobs)
        workers->jobs->previous = job;
    workers->jobs = job;
    workers->stats->jobs_now++;
    job->timer = loop_timer_new(workers->loop, on_timer, job);
    loop_timer_set(job->timer, job->timeout_ms);
    if (gate_enter_as(workers->gate, &job->ticket, destination, ns))
        hand_over(workers->crew, job);
    else
        workers->stats->queued++;
    return job;
}

void workers_cancel(struct job *job)
{
    job->done = NULL;
    loop_timer_stop(job->timer);
    if (!withdraw(job->workers->crew, job))
        return; /* let go when it returns */
    job->is_over = true;
    gate_leave(job->workers->gate, &job->ticket);
    loop_timer_set(job->timer, 0); /* release comes in a later turn */
}

struct workers *workers_new(struct loop *loop, struct transport_stats *stats, int threads_max, int destination_max,
                            int namespace_max)
{
    struct workers *workers = mem_alloc(sizeof *workers);
    struct crew *crew = mem_alloc(sizeof *crew);
    pthread_condattr_t by_ticks;

    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->work_came, NULL);
    pthread_condattr_init(&by_ticks);
    pthread_condattr_setclock(&by_ticks, CLOCK_MONOTONIC);
    pthread_cond_init(&crew->work_ended, &by_ticks);
    pthread_condattr_destroy(&by_ticks);
    crew->threads = mem_array((size_t)threads_max, sizeof *crew->threads);
    crew->threads_max = threads_max;
    crew->references = 1;
    crew->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    workers->loop = loop;
    workers->stats = stats;
    workers->crew = crew;
    workers->gate = gate_new((size_t)threads_max, (size_t)destination_max, on_admit, workers);
    gate_bound_shares(workers->gate, (size_t)namespace_max);
    workers->wake = event_new(loop_event_base(loop), crew->wake_fd, EV_READ | EV_PERSIST, on_returned, workers);
    if (crew->wake_fd < 0 || !workers->wake || event_add(workers->wake, NULL) < 0) {
        workers_free(workers);
        return NULL;
    }
    return workers;
}

/* Under the lock. */
static void wait_for_running(struct crew *crew)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += GRACE_AT_EXIT_MS * 1000 * 1000;
    until.tv_sec += until.tv_nsec / (1000 * 1000 * 1000);
    until.tv_nsec %= 1000 * 1000 * 1000;
    while (crew->running > 0 && pthread_cond_timedwait(&crew->work_ended, &crew->lock, &until) == 0)
        ;
}

/* A job whose work is still running is left behind with its arg: the thread may be using it. */
void workers_free(struct workers *workers)
{
    struct crew *crew;

    if (!workers)
        return;
    crew = workers->crew;
    for (struct job *job = workers->jobs; job; job = job->next) {
        job->done = NULL;
        if (job->ticket.lane && job->ticket.waiting)
            gate_leave(workers->gate, &job->ticket);
    }
    if (workers->wake)
        event_free(workers->wake); /* before the crew may close its descriptor */
    pthread_mutex_lock(&crew->lock);
    crew->closed = true;
    crew->first = crew->last = NULL; /* what is queued never runs */
    pthread_cond_broadcast(&crew->work_came);
    wait_for_running(crew);
    for (struct job *job = workers->jobs, *next; job; job = next) {
        next = job->next;
        if (job->handed == JOB_RUNNING) {
            loop_timer_free(job->timer);
            gate_leave(workers->gate, &job->ticket);
            job->handed = JOB_HERE; /* tells the thread that nobody will look: it frees the job, but not arg */
            if (job->previous)
                job->previous->next = next;
            else
                workers->jobs = next;
            if (next)
                next->previous = job->previous;
        }
    }
    end_threads(crew);
    crew_unref_and_unlock(crew);
    while (workers->jobs)
        let_go(workers->jobs);
    gate_free(workers->gate);
    free(workers);
}
