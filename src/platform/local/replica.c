/*
 * replica: one process of a workload, from ordinal to process. What it does next stands in lifecycle.c; here is how it is done.
 *
 * Its directory keeps what the next Weir must know, in the record `replica`: template, port, restarts, back-off, and which run
 * was counted last, so that an end is counted once however often Weir dies.
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

static bool write_record(const struct replica *r, struct error *err)
{
    struct record record = {.bytes = ""};
    char hash[32];

    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r->hash);
    record_put(&record, "template", hash);
    record_put_integer(&record, "port", r->port);
    record_put_integer(&record, "restarts", r->restarts);
    record_put_integer(&record, "backoff", r->backoff_level);
    record_put_integer(&record, "number", r->number);
    record_put_integer(&record, "counted", r->counted);
    record_put_integer(&record, "grace", r->grace_ms);
    record_put_integer(&record, "next", r->next_start_at_ms);
    record_put_integer(&record, "ready", r->ready);
    record_put_integer(&record, "ready-at", r->ready_at_ms);
    return record_write(r->dir, "replica", &record, err);
}

static void read_record(struct replica *r)
{
    struct record record;
    char hash[32];

    if (!record_read(r->dir, "replica", &record))
        return;
    record_text(&record, "template", hash, sizeof hash);
    r->hash = strtoull(hash, NULL, 16);
    r->port = (int)record_integer(&record, "port", 0);
    r->restarts = (int)record_integer(&record, "restarts", 0);
    r->backoff_level = (int)record_integer(&record, "backoff", 0);
    r->number = record_integer(&record, "number", 0);
    r->counted = record_integer(&record, "counted", 0);
    r->grace_ms = record_integer(&record, "grace", DEFAULT_GRACE_PERIOD_S * SECOND_MS);
    r->next_start_at_ms = record_integer(&record, "next", 0);
    r->ready = record_integer(&record, "ready", 0) != 0;
    r->ready_at_ms = record_integer(&record, "ready-at", 0);
}

/* ------------------------------------------------------------------ readiness */

static void set_ready(struct replica *r, bool ready)
{
    if (r->ready == ready)
        return;
    r->ready = ready;
    r->ready_at_ms = local_now_ms(r->group->local);
    write_record(r, NULL); /* for the next Weir, which would else see a dip until it has probed */
    group_changed(r->group);
}

void replica_unready(struct replica *r)
{
    probing_stop(r->probing);
    r->probing = NULL;
    set_ready(r, false);
}

static void on_probing(void *arg, enum probing_news news)
{
    struct replica *r = arg;

    snprintf(r->note, sizeof r->note, "%s", probing_note(r->probing));
    if (news == PROBING_CHANGED) {
        set_ready(r, probing_ready(r->probing));
        group_changed(r->group);
        return;
    }
    local_event(r->group->local, r->group->ns, r->group->kind, r->group->name, true, "Unhealthy", r->note);
    if (probing_grace_s(r->probing) >= 0)
        r->grace_ms = probing_grace_s(r->probing) * SECOND_MS;
    replica_event(r, REPLICA_UNHEALTHY);
}

/* ------------------------------------------------------------------ spawning */

static void identify(const struct replica *r, char *ordinal, size_t size, char *volumes, size_t volumes_size,
                     struct replica_identity *out)
{
    snprintf(ordinal, size, "%d", r->ordinal);
    snprintf(volumes, volumes_size, "%s/volumes", r->dir);
    *out = (struct replica_identity){
        .ns = r->group->ns, .pod_name = r->name, .ordinal = ordinal, .volumes_dir = volumes, .port = r->port};
}

static bool make_image(const struct replica *r, struct arena *arena, struct process_image *out, struct error *err)
{
    struct replica_identity who;
    char ordinal[16], volumes[PATH_MAX];

    identify(r, ordinal, sizeof ordinal, volumes, sizeof volumes, &who);
    return environment_make(r->spec, &who, r->group->local->configs, arena, out, err);
}

static bool take_port(struct replica *r, struct error *err)
{
    struct port_set *ports = &r->group->local->ports;

    if (r->port != 0)
        port_give_back(ports, r->port);
    if (r->port == 0 || !port_take_this(ports, r->port, false))
        r->port = port_take(ports, hash_string((uint64_t)r->ordinal, r->group->dir));
    return r->port != 0 || error_set(err, ERROR_LIMIT, "no port between %d and %d is free for %s; stop what holds them",
                                     PORT_FIRST, PORT_LAST, r->name);
}

static bool start_process(struct replica *r, struct arena *arena, struct error *err)
{
    struct local *local = r->group->local;
    struct process_image image;
    char volumes[PATH_MAX];

    snprintf(volumes, sizeof volumes, "%s/volumes", r->dir);
    if (!dir_make(r->dir, err) || !volumes_write(volumes, r->spec, r->group->ns, local->configs, err) ||
        !make_image(r, arena, &image, err) || !write_record(r, err))
        return false;
    struct run_command command = {
        .shim = local->shim, .argv = image.argv, .envp = image.envp, .cwd = r->spec->cwd, .grace_ms = r->grace_ms};
    return run_start(&r->run, r->number, &command, err);
}

static void spawn(struct replica *r)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct error err = {0};

    if (r->spec != r->group->spec) {
        spec_unref(r->spec);
        r->spec = spec_ref(r->group->spec);
    }
    r->hash = r->spec->hash;
    r->grace_ms = r->spec->grace_ms;
    r->number++;
    r->next_start_at_ms = 0;
    r->start_at_ms = local_now_ms(r->group->local);
    bool started = take_port(r, &err) && start_process(r, arena, &err);
    arena_free(arena);
    if (started) {
        r->note[0] = 0;
        return;
    }
    r->start_at_ms = 0;
    snprintf(r->note, sizeof r->note, "%s", err.text);
    local_event(r->group->local, r->group->ns, r->group->kind, r->group->name, true, "FailedStart", r->note);
    replica_event(r, REPLICA_REFUSED);
}

/* The command runs. An adopted one of another template is not probed: its probes are not known any more. */
static void begin_probing(struct replica *r, bool adopted)
{
    struct local *local = r->group->local;
    struct arena *arena = arena_new(ARENA_USUAL);
    struct process_image image = {.envp = (char *[]){NULL}};
    struct error err;

    if (r->spec != NULL) {
        if (!make_image(r, arena, &image, &err)) /* a Secret went after the start: its commands must do without */
            image.envp = arena_array(arena, 1, sizeof *image.envp);
        struct probing_context context = {.loop = local->loop,
                                          .base = local->base,
                                          .transport = local->transport,
                                          .shim = local->shim,
                                          .spec = r->spec,
                                          .port = r->port,
                                          .envp = image.envp,
                                          .adopted = adopted,
                                          .was_ready = adopted && r->ready};
        r->probing = probing_start(&context, on_probing, r);
        set_ready(r, probing_ready(r->probing));
    }
    arena_free(arena);
    group_changed(r->group);
}

/* ------------------------------------------------------------------ ending */

static void terminate(struct replica *r)
{
    replica_unready(r);
    run_stop(&r->run, r->grace_ms);
    if (!r->unsure)
        loop_timer_set(r->timer, r->grace_ms + STOP_SLACK_MS);
}

/* Counts an end, once, and says how long to wait. */
static int64_t count_end(struct replica *r, const struct run_end *end)
{
    char words[400], wait[48];
    int64_t now_ms = local_now_ms(r->group->local), ended_at_ms = end->at_ms > 0 ? end->at_ms : now_ms;
    int64_t ran_ms = end->how == RUN_UNSTARTABLE ? -1 : end->started_at_ms > 0 ? ended_at_ms - end->started_at_ms : 0;

    int64_t delay_ms = backoff_after_end(&r->backoff_level, ran_ms < 0 && end->how != RUN_UNSTARTABLE ? 0 : ran_ms);
    r->next_start_at_ms = ended_at_ms + delay_ms;
    r->counted = end->number;
    r->restarts++;
    if (end->how == RUN_UNSTARTABLE)
        r->start_at_ms = 0;
    run_end_words(end, words, sizeof words);
    duration_format_words(delay_ms, wait, sizeof wait);
    snprintf(r->note, sizeof r->note, "%.300s; starts again %s%s", words, delay_ms > 0 ? "after " : "at once",
             delay_ms > 0 ? wait : "");
    return r->next_start_at_ms > now_ms ? r->next_start_at_ms - now_ms : 0;
}

static void on_ended(void *arg, const struct run_end *end)
{
    struct replica *r = arg;
    struct local *local = r->group->local;

    replica_unready(r);
    loop_timer_stop(r->timer);
    r->usage.root = 0;
    if (replica_state_ends(r->state) && r->state != REPLICA_FAILING) {
        r->counted = end->number; /* it was asked to */
    } else {
        int64_t wait_ms = count_end(r, end);
        loop_timer_set(r->timer, wait_ms);
        local_event(local, r->group->ns, r->group->kind, r->group->name, true, "BackOff", r->note);
    }
    if (r->state != REPLICA_LEAVING || local->stopping)
        write_record(r, NULL); /* should it fail: counted anew by the next Weir, no worse */
    replica_event(r, REPLICA_ENDED);
}

static void on_started(void *arg)
{
    struct replica *r = arg;

    if (r->run.started_at_ms > 0)
        r->start_at_ms = r->run.started_at_ms;
    replica_event(r, REPLICA_STARTED);
}

/* ------------------------------------------------------------------ events */

/* The back-off after a refused start; after an end it was set by count_end. */
static void delay_refused(struct replica *r)
{
    int64_t delay_ms = backoff_after_end(&r->backoff_level, -1);

    r->next_start_at_ms = local_now_ms(r->group->local) + delay_ms;
    loop_timer_set(r->timer, delay_ms);
}

static void act(struct replica *r, enum replica_action action, enum replica_event event)
{
    switch (action) {
    case ACTION_NONE:
        break;
    case ACTION_SPAWN:
        spawn(r);
        break;
    case ACTION_PROBE:
        begin_probing(r, false);
        break;
    case ACTION_TERMINATE:
        terminate(r);
        break;
    case ACTION_DELAY:
        if (event == REPLICA_REFUSED)
            delay_refused(r);
        break;
    case ACTION_FORGET:
        loop_timer_stop(r->timer);
        r->backoff_level = 0;
        r->next_start_at_ms = 0;
        break;
    case ACTION_DROP:
        group_drop(r->group, r); /* r is gone */
        break;
    }
}

void replica_event(struct replica *r, enum replica_event event)
{
    struct replica_step step = lifecycle_next(r->state, event);

    if (step.next == r->state && step.action == ACTION_NONE)
        return;
    r->state = step.next;
    group_changed(r->group);
    act(r, step.action, event);
}

static void look_again(struct replica *r);

static void on_timer(void *arg)
{
    struct replica *r = arg;

    if (r->unsure) {
        look_again(r);
    } else if (replica_state_ends(r->state)) {
        run_stop(&r->run, 0);
        loop_timer_set(r->timer, STOP_SLACK_MS);
    } else if (r->state == REPLICA_BACKOFF) {
        if (r->group->spec == NULL || r->group->local->stopping)
            loop_timer_set(r->timer, BACKOFF_FIRST_MS); /* nobody has said yet what to start */
        else
            replica_event(r, REPLICA_START);
    }
}

/* ------------------------------------------------------------------ adoption */

static void arm_backoff(struct replica *r)
{
    int64_t wait_ms = r->next_start_at_ms - local_now_ms(r->group->local);

    if (wait_ms > BACKOFF_MAX_MS) /* the wall clock was put back */
        wait_ms = BACKOFF_MAX_MS;
    loop_timer_set(r->timer, wait_ms > 0 ? wait_ms : 0);
}

static void on_found_over(struct replica *r, const struct run_end *end)
{
    r->state = REPLICA_BACKOFF;
    r->ready = false;
    if (end->number >= 0 && end->number > r->counted) {
        if (end->number > r->number)
            r->number = end->number;
        count_end(r, end);
        write_record(r, NULL);
    }
    arm_backoff(r);
}

static void on_found_live(struct replica *r)
{
    r->state = REPLICA_RUNNING;
    r->number = r->run.number;
    r->start_at_ms = r->run.started_at_ms;
    port_take_this(&r->group->local->ports, r->port, true);
    if (r->group->spec != NULL && r->group->spec->hash == r->hash)
        r->spec = spec_ref(r->group->spec);
    begin_probing(r, true);
}

static void look_again(struct replica *r)
{
    struct run_end end;

    r->unsure = false;
    switch (run_find(&r->run, &end, r->note, sizeof r->note)) {
    case RUN_NOTHING:
        r->state = REPLICA_IDLE;
        r->ready = false;
        break;
    case RUN_LIVE:
        on_found_live(r);
        break;
    case RUN_OVER:
        on_found_over(r, &end);
        break;
    case RUN_UNSURE:
        r->state = REPLICA_STARTING;
        r->unsure = true;
        loop_timer_set(r->timer, UNSURE_RETRY_MS);
        return;
    }
    group_changed(r->group);
}

void replica_adopt(struct replica *r)
{
    read_record(r);
    look_again(r);
}

void replica_recognize(struct replica *r)
{
    if (r->state == REPLICA_BACKOFF)
        arm_backoff(r);
    if (r->state != REPLICA_RUNNING || r->spec != NULL || r->hash != r->group->spec->hash)
        return;
    r->spec = spec_ref(r->group->spec);
    probing_stop(r->probing);
    begin_probing(r, true);
}

/* ------------------------------------------------------------------ views */

static enum pod_phase phase_of(const struct replica *r)
{
    if (r->state == REPLICA_IDLE || r->state == REPLICA_STARTING)
        return POD_PENDING;
    /* as a pod whose container crashes: it has run once, and its phase stays Running; one that never could is Pending */
    return r->state == REPLICA_BACKOFF && r->start_at_ms == 0 ? POD_PENDING : POD_RUNNING;
}

void replica_view(const struct replica *r, struct pod_view *out)
{
    const struct spec *spec = r->spec ? r->spec : r->group->spec;
    bool has_address = r->port != 0 && replica_state_lives(r->state);
    const char *probe_note = r->probing != NULL && !r->ready ? probing_note(r->probing) : "";

    *out = (struct pod_view){.name = r->name,
                             .labels = spec ? spec->labels : NULL,
                             .label_count = spec ? spec->label_count : 0,
                             .phase = phase_of(r),
                             .ready = r->ready ? POD_READY_TRUE : POD_READY_FALSE,
                             .deleted = replica_state_ends(r->state) && r->state != REPLICA_FAILING,
                             .start_at_ms = r->start_at_ms,
                             .ready_at_ms = r->ready_at_ms,
                             .host = has_address ? "127.0.0.1" : "",
                             .port = !has_address ? 0
                                     : spec       ? spec_port(spec, NULL, r->port)
                                                  : r->port,
                             .node = "localhost",
                             .restarts = r->restarts,
                             .note = probe_note[0] != 0 ? probe_note : r->note,
                             .cpu = r->usage.cpu,
                             .memory = r->usage.memory};
}

bool replica_is_current(const struct replica *r)
{
    return r->state == REPLICA_IDLE || (r->group->spec != NULL && r->hash == r->group->spec->hash);
}

void replica_write_volumes(struct replica *r)
{
    char volumes[PATH_MAX];
    struct error err = {0};

    if (r->spec == NULL || !replica_state_lives(r->state))
        return;
    snprintf(volumes, sizeof volumes, "%s/volumes", r->dir);
    if (!volumes_write(volumes, r->spec, r->group->ns, r->group->local->configs, &err))
        snprintf(r->note, sizeof r->note, "volumes keep their old content: %.350s", err.text);
}

/* ------------------------------------------------------------------ new, free */

struct replica *replica_new(struct group *group, int ordinal)
{
    struct replica *r = mem_alloc(sizeof *r);
    struct text path;

    text_init(&path, PATH_MAX);
    text_printf(&path, "%s/%d", group->dir, ordinal);
    *r = (struct replica){.group = group,
                          .ordinal = ordinal,
                          .state = REPLICA_IDLE,
                          .dir = text_take(&path),
                          .grace_ms = DEFAULT_GRACE_PERIOD_S * SECOND_MS};
    text_printf(&path, "%s-%d", group->name, ordinal);
    r->name = text_take(&path);
    text_done(&path);
    r->timer = loop_timer_new(group->local->loop, on_timer, r);
    run_init(&r->run, group->local->base, r->dir, on_started, on_ended, r);
    return r;
}

void replica_free(struct replica *r)
{
    probing_stop(r->probing);
    run_done(&r->run);
    loop_timer_free(r->timer);
    port_give_back(&r->group->local->ports, r->port);
    spec_unref(r->spec);
    free(r->name);
    free(r->dir);
    free(r);
}
