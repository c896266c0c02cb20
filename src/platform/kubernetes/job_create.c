/*
 * job_create: new Jobs of a ScaledJob, several at once, and none twice.
 *
 *     jobs_create --> batch --> GET the ScaledJob --> POST, POST, POST ...   JOB_CREATIONS_MAX under way at once
 *                                                       └─ answered: made, or failed; the next is sent --> all are: done
 *
 * No Job twice, whatever fails: the Jobs of a ScaledJob are numbered, a Job's name comes from its number (job_body.h), and whoever
 * needs one more asks first for the numbers that were given and are not known to be there. "Already exists", with our uid and
 * number, means that the request of before had landed, and is success. What failed does not count any more, for asking again is
 * harmless. Numbers under way lie within JOB_CREATIONS_MAX of each other, so that a Weir that knows nothing of the one before (killed,
 * another leader) has the same few to ask for: those missing just below the highest there is, then the ones above it.
 *
 * A Job that is refused says nothing of the others, and each is tried, as KEDA does. Where nobody answers, or the API server is ill or
 * has too much to do, the rest of the batch is given up: it is decided anew, when more is known.
 *
 * Events are one for what was made and one for what was not, whatever their number: "KEDAJobsCreated" counts what is there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/job_internal.h"

enum {
    NAME_TRIES_MAX = 32, /* names that belong to other Jobs, in one batch */
};

struct job_creation { /* one that is under way */
    struct job_set *set;
    uint64_t number;
    struct kube_ask *ask;
    struct job_creation *next;
};

/* ------------------------------------------------------------------ numbers */

static void open_remove(struct job_set *set, uint32_t i)
{
    memmove(set->open + i, set->open + i + 1, (--set->open_count - i) * sizeof *set->open);
}

/* They lie within JOB_CREATIONS_MAX of each other and each is there once: there is room. */
static void open_add(struct job_set *set, uint64_t number)
{
    uint32_t i = set->open_count;

    if (set->open_count == JOB_CREATIONS_MAX)
        return;
    for (; i > 0 && set->open[i - 1] > number; i--)
        set->open[i] = set->open[i - 1];
    set->open[i] = number;
    set->open_count++;
}

void job_number_seen(struct job_set *set, uint64_t sequence)
{
    if (sequence > set->sequence && sequence < UINT64_MAX / 2)
        set->sequence = sequence;
    for (uint32_t i = 0; i < set->open_count; i++) {
        if (set->open[i] == sequence) {
            open_remove(set, i);
            return;
        }
    }
}

/* Nothing is known of who was before: what is missing just below the highest there is may be on its way still. */
static void find_open(struct job_set *set)
{
    bool there[JOB_CREATIONS_MAX] = {false};
    uint64_t highest = 0;
    void *value;

    for (size_t at = 0; map_next(set->jobs, &at, NULL, &value);) {
        uint64_t number = ((struct job_record *)value)->sequence;
        if (number > highest && number < UINT64_MAX / 2)
            highest = number;
    }
    for (size_t at = 0; map_next(set->jobs, &at, NULL, &value);) {
        uint64_t below = highest - ((struct job_record *)value)->sequence;
        if (below < JOB_CREATIONS_MAX)
            there[below] = true;
    }
    set->sequence = highest;
    set->open_count = 0;
    for (uint64_t below = JOB_CREATIONS_MAX; below-- > 0;)
        if (below < highest && !there[below])
            open_add(set, highest - below);
    set->numbered = true;
}

static uint64_t next_number(const struct job_set *set)
{
    return set->open_count > 0 ? set->open[0] : set->sequence + 1;
}

/* One that hangs holds back those far above it. */
static bool fits_window(const struct job_set *set, uint64_t number)
{
    for (const struct job_creation *c = set->creations; c != NULL; c = c->next)
        if (number >= c->number + JOB_CREATIONS_MAX)
            return false;
    return true;
}

static uint64_t take_number(struct job_set *set)
{
    uint64_t number = next_number(set);

    if (set->open_count > 0)
        open_remove(set, 0);
    else
        set->sequence = number;
    return number;
}

/* ------------------------------------------------------------------ the end of a batch */

static void begin_batch(struct job_set *set);
static void send_more(struct job_set *set);

static void say_created(struct job_set *set, const struct job_batch *batch)
{
    struct platform *platform = &set->sets->k->platform;
    struct text note;

    text_init(&note, LOG_LINE_MAX_BYTES);
    if (batch->failed > 0) {
        text_printf(&note, "Failed to create job %s: %s", set->prefix, batch->first.text);
        if (batch->failed > 1)
            text_printf(&note, " (%d jobs in all)", batch->failed);
        kubernetes_event(platform, set->ns, "ScaledJob", set->name, true, "KEDAJobCreateFailed", note.bytes);
    }
    text_done(&note);
    text_init(&note, LOG_LINE_MAX_BYTES);
    text_printf(&note, "Created %d jobs", batch->created);
    if (batch->created > 0)
        kubernetes_event(platform, set->ns, "ScaledJob", set->name, false, "KEDAJobsCreated", note.bytes);
    text_done(&note);
}

/* The caller is told last: it may end everything. */
static void end_batch(struct job_set *set)
{
    struct job_batch *batch = set->batches;
    struct error err = batch->first;

    say_created(set, batch);
    set->batches = batch->next;
    job_body_free(set->body);
    set->body = NULL;
    if (set->batches != NULL)
        begin_batch(set);
    job_set_changed(set);
    if (batch->failed > 0)
        error_add_place(&err, "ScaledJob %s/%s: %d of %d Jobs", set->ns, set->name, batch->failed,
                        batch->failed + batch->created);
    job_set_release(set);
    if (batch->done != NULL)
        batch->done(batch->arg, batch->failed > 0 ? &err : NULL);
    free(batch);
}

/* Decided for what is not so any more: nothing failed, and it is decided anew. */
static void drop_rest(struct job_batch *batch)
{
    batch->left = batch->under_way;
    batch->given_up = true;
}

static void fail_rest(struct job_batch *batch, const struct error *why)
{
    if (batch->failed == 0)
        batch->first = *why;
    batch->failed += batch->left - batch->under_way;
    drop_rest(batch);
}

static void go_on(struct job_set *set)
{
    struct job_batch *batch = set->batches;

    if (set->owners == NULL)
        drop_rest(batch); /* it is not looked after any more */
    send_more(set);
    if (batch->left == 0)
        end_batch(set);
}

/* ------------------------------------------------------------------ one creation */

static void creation_end(struct job_creation *creation)
{
    struct job_set *set = creation->set;

    for (struct job_creation **at = &set->creations; *at != NULL; at = &(*at)->next) {
        if (*at == creation) {
            *at = creation->next;
            break;
        }
    }
    set->batches->under_way--;
    free(creation);
}

static void confirm(struct job_creation *creation, const struct tree *object)
{
    struct job_set *set = creation->set;
    char name[JOB_NAME_BYTES];

    job_body_name(set->body, creation->number, name);
    struct job_record *job = job_record_get(set, name);
    if (object != NULL && !job->seen) /* else the watch was quicker, and may know more */
        job_record_read(job, object);
    job->made_ms = loop_ticks_ms(set->sets->k->loop);
    creation_end(creation);
    set->batches->left--;
    set->batches->created++;
    go_on(set);
}

/* Did the server look at it and say no? Else nobody knows whether it was made, and the others would fare no better. */
static bool is_refusal(const struct kube_reply *reply)
{
    return reply->status >= 400 && reply->status < 500 && reply->status != 429;
}

static void fail(struct job_creation *creation, const struct kube_reply *reply)
{
    struct job_set *set = creation->set;
    struct job_batch *batch = set->batches;
    char name[JOB_NAME_BYTES];

    job_body_name(set->body, creation->number, name);
    if (map_get(set->jobs, name) != NULL) { /* the watch has shown it meanwhile: only the answer was lost */
        confirm(creation, NULL);
        return;
    }
    open_add(set, creation->number);
    creation_end(creation);
    if (batch->failed++ == 0)
        batch->first = reply->error;
    batch->left--;
    if (!is_refusal(reply))
        fail_rest(batch, &reply->error);
    go_on(set);
}

static bool is_ours(const struct job_creation *creation, const struct tree *job)
{
    const char *uid = tree_string(tree_at(job, "metadata.ownerReferences.0.uid"));
    const struct tree *number = tree_get(tree_at(job, "metadata.annotations"), JOB_SEQUENCE_ANNOTATION);

    return string_equal(uid, creation->set->body->uid) &&
           tree_get(tree_at(job, "metadata"), "deletionTimestamp") == NULL && job_number(number) == creation->number;
}

/* The number is used up; another is asked for instead. */
static void pass_over(struct job_creation *creation)
{
    struct job_set *set = creation->set;
    struct job_batch *batch = set->batches;
    struct error err;

    creation_end(creation);
    if (++batch->names_tried > NAME_TRIES_MAX) {
        error_set(&err, ERROR_LIMIT, "%d names belong to other Jobs already", NAME_TRIES_MAX);
        fail_rest(batch, &err);
    }
    go_on(set);
}

/* Somebody has the name: we, with an answer that was lost; or another, whose Job it is. */
static void on_namesake(void *arg, const struct kube_reply *reply)
{
    struct job_creation *creation = arg;

    creation->ask = NULL;
    if (reply->error.kind != ERROR_NONE && reply->status != 404)
        fail(creation, reply);
    else if (reply->error.kind == ERROR_NONE && is_ours(creation, reply->body))
        confirm(creation, reply->body);
    else
        pass_over(creation);
}

static void on_created(void *arg, const struct kube_reply *reply)
{
    struct job_creation *creation = arg;
    struct job_set *set = creation->set;
    char name[JOB_NAME_BYTES];

    creation->ask = NULL;
    if (reply->error.kind == ERROR_NONE) {
        confirm(creation, reply->body);
    } else if (reply->status == 409 && string_equal(reply->reason, "AlreadyExists")) {
        job_body_name(set->body, creation->number, name);
        creation->ask = job_ask(set, "GET", name, NULL, on_namesake, creation);
    } else {
        fail(creation, reply);
    }
}

static void send(struct job_set *set)
{
    struct job_creation *creation = mem_alloc(sizeof *creation);
    char name[JOB_NAME_BYTES];
    struct text body;

    *creation = (struct job_creation){.set = set, .number = take_number(set), .next = set->creations};
    set->creations = creation;
    set->batches->under_way++;
    job_body_name(set->body, creation->number, name);
    text_init(&body, MANIFEST_FILE_MAX_BYTES);
    job_body_write(set->body, name, creation->number, &body);
    creation->ask = job_ask(set, "POST", NULL, &body, on_created, creation);
    text_done(&body);
}

static void send_more(struct job_set *set)
{
    const struct job_batch *batch = set->batches;

    while (!batch->given_up && batch->left > batch->under_way && batch->under_way < JOB_CREATIONS_MAX &&
           fits_window(set, next_number(set)))
        send(set);
}

/* ------------------------------------------------------------------ batches */

static void on_scaled_job(void *arg, const struct kube_reply *reply)
{
    struct job_set *set = arg;
    struct job_body *body = NULL;
    struct error err = reply->error;

    set->ask = NULL;
    if (err.kind == ERROR_NONE)
        job_body_read(reply->body, &body, &err);
    if (err.kind != ERROR_NONE)
        fail_rest(set->batches, &err);
    else if (body != NULL && (uint64_t)body->generation != set->batches->generation)
        drop_rest(set->batches);
    job_body_free(set->body);
    set->body = body;
    go_on(set);
}

static void begin_batch(struct job_set *set)
{
    if (!set->numbered)
        find_open(set);
    set->ask = job_ask_scaled_job(set, on_scaled_job);
}

void kubernetes_jobs_create(struct job_owner *owner, int32_t count, platform_done *done, void *arg)
{
    struct job_set *set = owner->set;
    struct kubernetes *k = set->sets->k;
    const struct job_watch *w = job_set_watch(set);
    struct job_batch **last = &set->batches;
    struct error err = {0};

    if (!k->write)
        error_set(&err, ERROR_DENIED, "nothing is written into this cluster (--read-only)");
    else if (w != NULL && !w->synced && w->trouble.kind != ERROR_NONE)
        err = w->trouble;
    else if (w == NULL)
        kubernetes_jobs_known(owner, &err);
    if (err.kind != ERROR_NONE || count <= 0 || w == NULL || !w->synced) { /* not known yet: it is decided anew */
        kubernetes_answer_later(k, done, arg, err.kind != ERROR_NONE ? &err : NULL);
        return;
    }
    while (*last != NULL)
        last = &(*last)->next;
    *last = mem_alloc(sizeof **last);
    **last = (struct job_batch){.generation = owner->generation, .left = count, .done = done, .arg = arg};
    if (set->batches->next == NULL)
        begin_batch(set);
}

void job_creations_abandon(struct job_set *set)
{
    struct error err;

    if (set->ask != NULL)
        kube_cancel(set->ask);
    set->ask = NULL;
    while (set->creations != NULL) {
        struct job_creation *creation = set->creations;
        if (creation->ask != NULL)
            kube_cancel(creation->ask);
        creation_end(creation);
    }
    while (set->batches != NULL) {
        struct job_batch *batch = set->batches;
        set->batches = batch->next;
        error_set(&err, ERROR_UNREACHABLE, "Weir stops, and whether the Jobs were created is not known");
        if (batch->done != NULL)
            batch->done(batch->arg, &err);
        free(batch);
    }
}
