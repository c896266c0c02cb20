/* Jobs on threads: done once, released once, stuck ones counted and never waited for. Run it under ThreadSanitizer too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "helper.h"

#include <signal.h>
#include <stdatomic.h>

#include "base/limits.h"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* stuck jobs hang here */
static _Atomic int begun, at_work, most_at_work;

struct task {
    int worked; /* the thread's until the work returns */
    int dones, timeouts, not_begun, releases;
    int work_ms;
    int *left;
};

static void count_in(void)
{
    int now = ++at_work, most = most_at_work;

    begun++;
    while (now > most && !atomic_compare_exchange_weak(&most_at_work, &most, now))
        ;
}

static void work(void *arg)
{
    struct task *task = arg;

    count_in();
    usleep((useconds_t)task->work_ms * 1000);
    task->worked++;
    at_work--;
}

static void hang(void *arg)
{
    (void)arg;
    count_in();
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void done(void *arg, enum job_end how)
{
    struct task *task = arg;

    task->not_begun += how == JOB_NOT_BEGUN;
    task->timeouts += how == JOB_HANGS;
    task->dones += how == JOB_RETURNED;
}

static void release(void *arg)
{
    struct task *task = arg;

    task->releases++;
    if (task->left && --*task->left == 0)
        loop_stop(loop);
}

static struct job *start_of(const char *ns, struct task *task, const char *destination, job_work *what,
                            int64_t timeout_ms)
{
    return transport_work(transport, ns, destination, timeout_ms, what, done, release, task);
}

static struct job *start(struct task *task, const char *destination, job_work *what, int64_t timeout_ms)
{
    return start_of(NULL, task, destination, what, timeout_ms);
}

/* A thread takes its time to start on a busy machine, where the first job may have ended before the next begins; time-outs are
 * measured from here. */
static void wait_for(int jobs_begun)
{
    for (int i = 0; i < 1000 && begun < jobs_begun; i++)
        usleep(5000);
    assert_int_equal(begun, jobs_begun);
}

static struct transport_stats stats(void)
{
    struct transport_stats now;

    transport_stats(transport, &now);
    return now;
}

static int set_up(void **state)
{
    (void)state;
    start_all(NULL);
    begun = at_work = most_at_work = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stop_all();
    return 0;
}

static void every_job_is_done_once(void **state)
{
    enum { ALL = 200 };
    static struct task tasks[ALL];
    char destination[16];
    int left = ALL;

    (void)state;
    memset(tasks, 0, sizeof tasks);
    for (int i = 0; i < ALL; i++) {
        tasks[i].left = &left;
        tasks[i].work_ms = i % 3;
        snprintf(destination, sizeof destination, "db%d:5432", i % 20);
        start(&tasks[i], destination, work, 15000);
        assert_int_equal(tasks[i].dones, 0);
    }
    run_loop();
    for (int i = 0; i < ALL; i++) {
        assert_int_equal(tasks[i].worked, 1);
        assert_int_equal(tasks[i].dones, 1);
        assert_int_equal(tasks[i].timeouts, 0);
        assert_int_equal(tasks[i].releases, 1);
    }
    assert_in_range(most_at_work, 2, WORKER_THREADS_MAX);
    assert_int_equal(stats().jobs_now, 0);
}

static void a_destination_has_a_quarter(void **state)
{
    static struct task tasks[10];
    int left = 10;

    (void)state;
    memset(tasks, 0, sizeof tasks);
    for (int i = 0; i < 10; i++) {
        tasks[i].left = &left;
        tasks[i].work_ms = 20;
        start(&tasks[i], "kafka:9092", work, 15000);
    }
    run_loop();
    assert_int_equal(most_at_work, WORKERS_PER_DESTINATION_MAX);
}

static void stuck_jobs(void **state)
{
    static struct task stuck[4], fine;
    int left = 1;

    (void)state;
    memset(stuck, 0, sizeof stuck);
    memset(&fine, 0, sizeof fine);
    pthread_mutex_lock(&gate);
    for (int i = 0; i < 4; i++)
        start(&stuck[i], "kafka:9092", hang, 100);
    wait_for(2);
    run_for(200);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(stuck[i].timeouts, i < 2);
        assert_int_equal(stuck[i].not_begun, i >= 2); /* never had a thread, and is not said to hang */
    }
    assert_int_equal(stats().stuck_jobs, WORKERS_PER_DESTINATION_MAX);
    assert_int_equal(stuck[0].releases + stuck[1].releases, 0);
    assert_int_equal(stuck[2].releases + stuck[3].releases, 2); /* never had a thread */
    fine.left = &left;
    start(&fine, "pg:5432", work, 5000); /* another destination does not notice */
    run_loop();
    assert_int_equal(fine.dones, 1);
    left = 2;
    stuck[0].left = stuck[1].left = &left;
    pthread_mutex_unlock(&gate);
    run_loop();
    assert_int_equal(stuck[0].dones + stuck[1].dones, 0); /* it was told that it timed out */
    assert_int_equal(stats().stuck_jobs, 0);
    assert_int_equal(stats().jobs_now, 0);
}

/* However many hosts of it hang. */
static void a_namespace_does_not_have_all(void **state)
{
    static struct task stuck[WORKER_THREADS_MAX], fine;
    char destination[16];
    int left = 1, others = WORKER_THREADS_MAX, begun_here = 0;

    (void)state;
    memset(stuck, 0, sizeof stuck);
    memset(&fine, 0, sizeof fine);
    pthread_mutex_lock(&gate);
    for (int i = 0; i < WORKER_THREADS_MAX; i++) {
        snprintf(destination, sizeof destination, "db%d:5432", i);
        stuck[i].left = &others;
        start_of("bad", &stuck[i], destination, hang, 100);
    }
    wait_for(WORKERS_PER_NAMESPACE_MAX);
    fine.left = &left;
    start_of("good", &fine, "db7:5432", work, 5000);
    run_loop();
    assert_int_equal(fine.dones, 1);
    run_for(200);
    for (int i = 0; i < WORKER_THREADS_MAX; i++) {
        begun_here += stuck[i].timeouts;
        assert_int_equal(stuck[i].timeouts + stuck[i].not_begun, 1);
    }
    assert_int_equal(begun_here, WORKERS_PER_NAMESPACE_MAX);
    pthread_mutex_unlock(&gate);
    run_loop();
    assert_int_equal(stats().jobs_now, 0);
}

/* What a job waited for a thread is not taken from its time. */
static void time_begins_with_a_thread(void **state)
{
    static struct task first[WORKERS_PER_DESTINATION_MAX], waited;
    int left = 1;

    (void)state;
    memset(first, 0, sizeof first);
    memset(&waited, 0, sizeof waited);
    for (int i = 0; i < WORKERS_PER_DESTINATION_MAX; i++) {
        first[i].work_ms = 2200;
        start(&first[i], "pg:5432", work, 15000);
    }
    waited.left = &left;
    waited.work_ms = 2200; /* together longer than its time */
    start(&waited, "pg:5432", work, 4000);
    run_loop();
    assert_int_equal(waited.dones, 1);
    assert_int_equal(waited.timeouts + waited.not_begun, 0);
}

static void cancelled_jobs(void **state)
{
    static struct task tasks[6];
    struct job *jobs[6];
    int left = 6;

    (void)state;
    memset(tasks, 0, sizeof tasks);
    for (int i = 0; i < 6; i++) {
        tasks[i].left = &left;
        tasks[i].work_ms = 50;
        jobs[i] = start(&tasks[i], "pg:5432", work, 5000);
    }
    wait_for(2); /* four have no place */
    for (int i = 0; i < 6; i++) {
        transport_work_cancel(transport, jobs[i]);
        assert_int_equal(tasks[i].releases, 0); /* in a later turn */
    }
    run_loop();
    for (int i = 0; i < 6; i++) {
        assert_int_equal(tasks[i].dones + tasks[i].timeouts, 0);
        assert_int_equal(tasks[i].releases, 1);
        assert_int_equal(tasks[i].worked, i < 2 ? 1 : 0);
    }
}

static void freeing_releases_what_it_can(void **state)
{
    static struct task quick[8], hung;

    (void)state;
    memset(quick, 0, sizeof quick);
    memset(&hung, 0, sizeof hung);
    for (int i = 0; i < 8; i++) {
        quick[i].work_ms = 50;
        start(&quick[i], i < 4 ? "a:1" : "b:1", work, 5000);
    }
    wait_for(4);
    transport_free(transport);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(quick[i].releases, 1);
        assert_int_equal(quick[i].dones, 0);
    }
    assert_true(transport_new_real(loop, NULL, &transport, NULL));
    pthread_mutex_lock(&gate);
    begun = at_work = most_at_work = 0;
    start(&hung, "c:1", hang, 20);
    wait_for(1);
    run_for(40);
    transport_free(transport); /* does not wait for it */
    transport = NULL;
    assert_int_equal(hung.releases, 0);
    pthread_mutex_unlock(&gate);
    run_for(20); /* it returns, and nobody is there any more */
    assert_int_equal(hung.releases, 0);
}

static sigset_t of_worker;

static void look_at_signals(void *arg)
{
    pthread_sigmask(SIG_SETMASK, NULL, &of_worker);
    work(arg);
}

static void signals_are_the_loop_s_but_faults(void **state)
{
    static struct task task;
    int left = 1;

    (void)state;
    memset(&task, 0, sizeof task);
    task.left = &left;
    start(&task, "pg:5432", look_at_signals, 5000);
    run_loop();
    assert_true(sigismember(&of_worker, SIGTERM) && sigismember(&of_worker, SIGCHLD));
    assert_false(sigismember(&of_worker, SIGSEGV) || sigismember(&of_worker, SIGBUS));
}

/* As a library has that keeps something for each thread: OpenSSL does. */
static pthread_key_t kept;
static _Atomic int ended;

static void thread_ends(void *value)
{
    (void)value;
    usleep(100 * 1000); /* long enough that who does not wait is seen */
    ended++;
}

static void keep(void *arg)
{
    pthread_setspecific(kept, arg);
    work(arg);
}

/* At the end of the process libraries clean up: no thread may be in them then. */
static void threads_end_before_the_transport(void **state)
{
    static struct task tasks[2];
    int left = 2;

    (void)state;
    memset(tasks, 0, sizeof tasks);
    ended = 0;
    assert_int_equal(pthread_key_create(&kept, thread_ends), 0);
    for (int i = 0; i < 2; i++) {
        tasks[i].left = &left;
        tasks[i].work_ms = 100; /* so that each has a thread of its own */
        start(&tasks[i], "pg:5432", keep, 5000);
    }
    run_loop();
    transport_free(transport);
    transport = NULL;
    assert_int_equal(ended, 2);
    pthread_key_delete(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_job_is_done_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_destination_has_a_quarter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stuck_jobs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_namespace_does_not_have_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(time_begins_with_a_thread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancelled_jobs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(freeing_releases_what_it_can, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signals_are_the_loop_s_but_faults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(threads_end_before_the_transport, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
