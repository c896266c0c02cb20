/*
 * job: one job process of a ScaledJob: runs its command until it succeeds, or has failed more often than backoffLimit, or its
 * deadline is over. One process at a time (completions and parallelism of 1).
 *
 *     WAITING --start--> STARTING --> RUNNING --succeeded, failed too often--> DONE
 *        ^                               |    \--deadline--> STOPPING --------> DONE
 *        +---- failed: back-off ---------+
 *
 * The record `job` in its directory keeps all that counts, among it the last run whose end was counted. A job that Weir stopped
 * itself (SIGTERM) has neither succeeded nor failed: it starts again with Weir.
 */
#include "platform/local/local_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/text.h"
#include "base/time.h"
#include "net/loop.h"
#include "platform/local/volume.h"

/* ------------------------------------------------------------------ record */

bool job_write(const struct job_process *job, struct error *err)
{
    struct record record = {.bytes = ""};
    char generation[32];

    snprintf(generation, sizeof generation, "%016llx", (unsigned long long)job->generation);
    record_put(&record, "generation", generation);
    record_put_integer(&record, "created", job->created_at_ms);
    record_put_integer(&record, "started", job->started_at_ms);
    record_put_integer(&record, "finished", job->finished_at_ms);
    record_put_integer(&record, "succeeded", job->succeeded);
    record_put_integer(&record, "deleted", job->deleted);
    record_put_integer(&record, "failures", job->failures);
    record_put_integer(&record, "backoff", job->backoff_level);
    record_put_integer(&record, "number", job->number);
    record_put_integer(&record, "counted", job->counted);
    record_put_integer(&record, "port", job->port);
    record_put_integer(&record, "grace", job->grace_ms);
    record_put_integer(&record, "backoff-limit", job->backoff_limit);
    record_put_integer(&record, "deadline-s", job->active_deadline_s);
    record_put_integer(&record, "ttl-s", job->ttl_s);
    record_put_integer(&record, "restart-never", job->restart_never);
    return dir_make(job->dir, err) && record_write(job->dir, "job", &record, err);
}

static bool read_record(struct job_process *job)
{
    struct record record;
    char generation[32];

    if (!record_read(job->dir, "job", &record))
        return false;
    record_text(&record, "generation", generation, sizeof generation);
    job->generation = strtoull(generation, NULL, 16);
    job->created_at_ms = record_integer(&record, "created", 0);
    job->started_at_ms = record_integer(&record, "started", 0);
    job->finished_at_ms = record_integer(&record, "finished", 0);
    job->succeeded = record_integer(&record, "succeeded", 0) != 0;
    job->deleted = record_integer(&record, "deleted", 0) != 0;
    job->failures = (int)record_integer(&record, "failures", 0);
    job->backoff_level = (int)record_integer(&record, "backoff", 0);
    job->number = record_integer(&record, "number", 0);
    job->counted = record_integer(&record, "counted", 0);
    job->port = (int)record_integer(&record, "port", 0);
    job->grace_ms = record_integer(&record, "grace", DEFAULT_GRACE_PERIOD_S * SECOND_MS);
    job->backoff_limit = (int32_t)record_integer(&record, "backoff-limit", 0);
    job->active_deadline_s = record_integer(&record, "deadline-s", -1);
    job->ttl_s = record_integer(&record, "ttl-s", -1);
    job->restart_never = record_integer(&record, "restart-never", 0) != 0;
    return true;
}

/* ------------------------------------------------------------------ the end */

static void arm_ttl(struct job_process *job)
{
    int64_t left_ms = job->finished_at_ms + job->ttl_s * SECOND_MS - local_now_ms(job->set->local);

    if (job->ttl_s >= 0)
        loop_timer_set(job->timer, left_ms > 0 ? left_ms : 0);
}

static void finish(struct job_process *job, bool succeeded, int64_t at_ms)
{
    job->phase = JOB_DONE;
    job->succeeded = succeeded;
    job->finished_at_ms = at_ms;
    loop_timer_stop(job->deadline);
    port_give_back(&job->set->local->ports, job->port);
    job->port = 0;
    arm_ttl(job);
}

static void back_off(struct job_process *job, int64_t delay_ms)
{
    job->phase = JOB_WAITING;
    job->backing_off = true;
    loop_timer_set(job->timer, delay_ms > 0 ? delay_ms : 0);
}

static void wait_to_retry(struct job_process *job, int64_t ended_at_ms)
{
    if (job->restart_never && job->backoff_level == 0)
        job->backoff_level = 1; /* a new pod each time: the Job controller waits from the first failure on */
    int64_t delay_ms = backoff_after_end(&job->backoff_level, 0);
    int64_t left_ms = ended_at_ms + delay_ms - local_now_ms(job->set->local);

    back_off(job, left_ms);
}

/* Decides what an end means, once: the run's number is remembered. */
static void count_end(struct job_process *job, const struct run_end *end)
{
    int64_t at_ms = end->at_ms > 0 ? end->at_ms : local_now_ms(job->set->local);
    char words[400];

    run_end_words(end, words, sizeof words);
    snprintf(job->note, sizeof job->note, "%.390s", words);
    job->counted = end->number;
    if (job->overdue) {
        snprintf(job->note, sizeof job->note, "stopped: it ran longer than activeDeadlineSeconds");
        finish(job, false, at_ms);
    } else if (run_end_succeeded(end)) {
        finish(job, true, at_ms);
    } else if (++job->failures > job->backoff_limit) {
        finish(job, false, at_ms);
    } else {
        wait_to_retry(job, at_ms);
    }
}

static void on_ended(void *arg, const struct run_end *end)
{
    struct job_process *job = arg;
    struct jobset *set = job->set;

    loop_timer_stop(job->timer);
    job->usage.root = 0;
    if (set->local->stopping && !run_end_succeeded(end)) {
        job->counted = end->number;
        job->phase = JOB_WAITING;
    } else {
        count_end(job, end);
    }
    jobset_changed(set);
    if (job->deleted)
        jobset_drop(set, job);
    else
        job_write(job, NULL); /* should it fail: the next Weir reads the same end from the shim's file */
    local_check_stopped(set->local);
}

/* ------------------------------------------------------------------ the start */

static void arm_deadline(struct job_process *job)
{
    if (job->active_deadline_s < 0 || job->started_at_ms == 0)
        return;
    int64_t left_ms = job->started_at_ms + job->active_deadline_s * SECOND_MS - local_now_ms(job->set->local);
    loop_timer_set(job->deadline, left_ms > 0 ? left_ms : 0);
}

static void on_started(void *arg)
{
    struct job_process *job = arg;

    if (job->phase == JOB_STARTING)
        job->phase = JOB_RUNNING;
    jobset_changed(job->set);
}

static bool start_process(struct job_process *job, struct arena *arena, struct error *err)
{
    struct local *local = job->set->local;
    struct process_image image;
    char volumes[PATH_MAX];
    struct replica_identity who = {
        .ns = job->set->ns, .pod_name = job->name, .ordinal = "0", .volumes_dir = volumes, .port = job->port};

    snprintf(volumes, sizeof volumes, "%s/volumes", job->dir);
    if (!volumes_write(volumes, job->spec, job->set->ns, local->configs, err) ||
        !environment_make(job->spec, &who, local->configs, arena, &image, err) || !job_write(job, err))
        return false;
    struct run_command command = {
        .shim = local->shim, .argv = image.argv, .envp = image.envp, .cwd = job->spec->cwd, .grace_ms = job->grace_ms};
    return run_start(&job->run, job->number, &command, err);
}

static void make_labels(struct job_process *job)
{
    size_t n = job->spec ? job->spec->label_count : 0;

    free(job->labels);
    job->labels = mem_array(n + 2, sizeof *job->labels);
    for (size_t i = 0; i < n; i++)
        job->labels[i] = job->spec->labels[i];
    job->labels[n] = (struct label){"job-name", job->name};
    job->labels[n + 1] = (struct label){"scaledjob.keda.sh/name", job->set->name};
    job->label_count = n + 2;
}

void job_take_spec(struct job_process *job, struct spec *spec)
{
    job->spec = spec_ref(spec);
    make_labels(job);
}

static void take_spec(struct job_process *job)
{
    if (job->spec == NULL)
        job_take_spec(job, job->set->spec);
    job->grace_ms = job->spec->grace_ms;
    if (job->port == 0 || !port_take_this(&job->set->local->ports, job->port, false))
        job->port = port_take(&job->set->local->ports, hash_string(0, job->name));
}

void job_start(struct job_process *job)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct error err = {0};

    port_give_back(&job->set->local->ports, job->port);
    take_spec(job);
    job->number++;
    if (job->started_at_ms == 0)
        job->started_at_ms = local_now_ms(job->set->local);
    job->phase = JOB_STARTING;
    job->refused = !start_process(job, arena, &err);
    if (!job->refused) {
        job->note[0] = 0;
        arm_deadline(job);
    } else { /* the machine's fault or a missing Secret: no failure of the job */
        snprintf(job->note, sizeof job->note, "%s", err.text);
        local_event(job->set->local, job->set->ns, "Job", job->name, true, "FailedStart", job->note);
        back_off(job, backoff_after_end(&job->backoff_level, -1));
    }
    arena_free(arena);
    jobset_changed(job->set);
}

/* ------------------------------------------------------------------ timers */

static void look_again(struct job_process *job);

static void stop_run(struct job_process *job)
{
    run_stop(&job->run, job->grace_ms);
    loop_timer_set(job->timer, job->grace_ms + STOP_SLACK_MS);
}

static void on_timer(void *arg)
{
    struct job_process *job = arg;

    if (job->unsure) {
        look_again(job);
    } else if (run_lives(&job->run)) {
        run_stop(&job->run, 0);
        loop_timer_set(job->timer, STOP_SLACK_MS);
    } else if (job->phase == JOB_DONE) {
        job_delete(job); /* its time to live is over */
    } else if (job->phase == JOB_WAITING && !job->set->local->stopping) {
        job->backing_off = false;
        jobset_changed(job->set); /* starts it when a start is free */
    }
}

static void on_deadline(void *arg)
{
    struct job_process *job = arg;

    job->overdue = true;
    if (job->unsure) {
        loop_timer_set(job->deadline, UNSURE_RETRY_MS);
        return;
    }
    if (run_lives(&job->run)) {
        job->phase = JOB_STOPPING;
        stop_run(job);
        return;
    }
    snprintf(job->note, sizeof job->note, "stopped: it ran longer than activeDeadlineSeconds");
    loop_timer_stop(job->timer);
    finish(job, false, local_now_ms(job->set->local));
    job_write(job, NULL);
    jobset_changed(job->set);
}

/* ------------------------------------------------------------------ delete, stop, adopt */

void job_delete(struct job_process *job)
{
    job->deleted = true;
    job_write(job, NULL);
    if (run_lives(&job->run))
        stop_run(job);
    jobset_changed(job->set); /* which removes it, when no process is left */
}

void job_write_volumes(struct job_process *job)
{
    char volumes[PATH_MAX];

    snprintf(volumes, sizeof volumes, "%s/volumes", job->dir);
    volumes_write(volumes, job->spec, job->set->ns, job->set->local->configs,
                  NULL); /* else they keep their old content */
}

void job_stop(struct job_process *job)
{
    if (run_lives(&job->run))
        stop_run(job);
}

static void on_found_live(struct job_process *job)
{
    job->phase = JOB_RUNNING;
    job->number = job->run.number;
    port_take_this(&job->set->local->ports, job->port, true);
    arm_deadline(job);
    if (job->deleted)
        stop_run(job);
}

static void on_found_over(struct job_process *job, const struct run_end *end)
{
    job->phase = JOB_WAITING;
    if (end->number > job->counted) {
        if (end->number > job->number)
            job->number = end->number;
        count_end(job, end);
        job_write(job, NULL);
    } else {
        wait_to_retry(job, end->at_ms);
    }
}

static void look_again(struct job_process *job)
{
    struct run_end end;

    job->unsure = false;
    switch (run_find(&job->run, &end, job->note, sizeof job->note)) {
    case RUN_NOTHING:
        job->phase = JOB_WAITING;
        break;
    case RUN_LIVE:
        on_found_live(job);
        break;
    case RUN_OVER:
        on_found_over(job, &end);
        break;
    case RUN_UNSURE:
        job->phase = JOB_STARTING;
        job->unsure = true;
        loop_timer_set(job->timer, UNSURE_RETRY_MS);
        return;
    }
    jobset_changed(job->set);
}

void job_adopt(struct job_process *job)
{
    if (!read_record(job)) { /* Weir died before it was written: nothing was started */
        jobset_drop(job->set, job);
    } else if (job->finished_at_ms != 0) {
        job->phase = JOB_DONE;
        arm_ttl(job);
        jobset_changed(job->set);
    } else {
        look_again(job);
    }
}

/* ------------------------------------------------------------------ views, new, free */

void job_view(const struct job_process *job, struct pod_view *out)
{
    bool lives = run_lives(&job->run);

    *out = (struct pod_view){.name = job->name,
                             .labels = job->labels,
                             .label_count = job->label_count,
                             .phase = job->phase == JOB_DONE ? (job->succeeded ? POD_SUCCEEDED : POD_FAILED)
                                      : job->phase == JOB_RUNNING || job->phase == JOB_STOPPING ? POD_RUNNING
                                                                                                : POD_PENDING,
                             .ready = job->phase == JOB_RUNNING ? POD_READY_TRUE : POD_READY_FALSE,
                             .deleted = job->deleted || job->phase == JOB_STOPPING,
                             .start_at_ms = job->started_at_ms,
                             .ready_at_ms = job->run.started_at_ms,
                             .host = lives ? "127.0.0.1" : "",
                             .port = lives ? job->port : 0,
                             .node = "localhost",
                             .restarts = job->failures,
                             .note = job->note,
                             .cpu = job->usage.cpu,
                             .memory = job->usage.memory};
}

struct job_process *job_new(struct jobset *set, const char *name)
{
    struct job_process *job = mem_alloc(sizeof *job);
    struct text path;

    text_init(&path, PATH_MAX);
    text_printf(&path, "%s/%s", set->dir, name);
    *job = (struct job_process){.set = set,
                                .name = mem_copy(name),
                                .dir = text_take(&path),
                                .phase = JOB_WAITING,
                                .grace_ms = DEFAULT_GRACE_PERIOD_S * SECOND_MS};
    text_done(&path);
    job->backoff_limit = set->backoff_limit;
    job->active_deadline_s = set->active_deadline_s;
    job->ttl_s = set->ttl_s;
    job->restart_never = set->spec != NULL && set->spec->restart_never;
    make_labels(job);
    job->timer = loop_timer_new(set->local->loop, on_timer, job);
    job->deadline = loop_timer_new(set->local->loop, on_deadline, job);
    run_init(&job->run, set->local->base, job->dir, on_started, on_ended, job);
    return job;
}

void job_free(struct job_process *job)
{
    run_done(&job->run);
    loop_timer_free(job->timer);
    loop_timer_free(job->deadline);
    port_give_back(&job->set->local->ports, job->port);
    spec_unref(job->spec);
    free(job->labels);
    free(job->name);
    free(job->dir);
    free(job);
}
