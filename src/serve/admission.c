/*
 * admission: the life of a review. It is read into an arena; most can be decided at once from what is at hand, and are answered inside the
 * handler. The others become jobs that wait for facts:
 *
 *     on_review -> gather --all there--> decide -> answer
 *                     |
 *                     +--> waits (list, kind, workload, limits) --last fact, or ADMISSION_WAIT_MS--> decide -> answer
 *
 * A job lives in the arena of its review. Jobs stand in the order in which they came, which is that of their deadlines, so one timer
 * serves all.
 */
#include "serve/admission.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/loop.h"
#include "net/server.h"
#include "platform/kubernetes/client.h"
#include "serve/admission_internal.h"
#include "serve/serve.h"
#include "serve/serve_internal.h"

enum { ARENA_KEPT_BYTES = 256 * 1024 }; /* between reviews; a usual one takes 30 KB */

struct route {
    struct serve_admission *service;
    enum admission_kind kind;
};
struct serve_admission {
    struct loop *loop;
    struct kube *kube;
    struct policy_settings settings;
    struct cluster_watch *scalers, *objects; /* NULL without a cluster */
    struct route routes[ADMIT_KINDS];
    struct arena *arena; /* of the review that is being read */
    struct job *first, **end;
    uint32_t pending;
    size_t pending_bytes;
    struct timer *timer; /* the first job's deadline */
    struct admission_counts *counts;
    uint64_t allowed[ADMIT_KINDS], refused[ADMIT_KINDS], unchecked;
};
struct job { /* in its arena */
    struct serve_admission *service;
    struct arena *arena;
    struct review_input input;
    struct admission *admission;
    struct admission_facts facts;
    struct admission_scaler scalers[ADMISSION_MATCHES_MAX];
    struct admission_other others[ADMISSION_MATCHES_MAX];
    unsigned waits; /* enum admission_fact */
    struct kube_ask *ask;
    struct server_pending *answer; /* NULL: still inside the handler */
    int64_t deadline_ms;           /* loop_ticks_ms */
    size_t bytes;                  /* of its arena, as it was put off */
    struct job *next, **link;
};

static const unsigned lists = ADMISSION_SCALERS | ADMISSION_OBJECTS;

/* ------------------------------------------------------------------ the answer */

static void count(struct serve_admission *s, const struct job *job, const struct admission_answer *answer)
{
    enum admission_kind kind = job->input.review.kind;

    if (answer->allowed)
        s->allowed[kind]++;
    else
        s->refused[kind]++;
    s->unchecked += answer->allowed && (job->facts.unknown & job->admission->needs) != 0;
    if (kind == ADMIT_SCALED_OBJECT || kind == ADMIT_SCALED_JOB)
        admission_counts_add(s->counts, job->admission->ns, job->input.review.update, answer->label);
}

static void answer_job(struct job *job, struct text *out)
{
    struct admission_answer answer;

    admission_decide(job->admission, &job->facts, &answer);
    count(job->service, job, &answer);
    review_write(job->input.uid, &answer, out);
}

static void set_timer(struct serve_admission *s)
{
    if (s->first)
        loop_timer_set(s->timer, s->first->deadline_ms - loop_ticks_ms(s->loop));
    else
        loop_timer_stop(s->timer);
}

static void unlink_job(struct job *job)
{
    struct serve_admission *s = job->service;

    *job->link = job->next;
    if (job->next)
        job->next->link = job->link;
    else
        s->end = job->link;
    s->pending--;
    s->pending_bytes -= job->bytes;
}

static void stop_asking(struct job *job)
{
    if (job->ask)
        kube_cancel(job->ask);
    job->ask = NULL;
    if (job->waits & ADMISSION_KIND)
        kube_discover_cancel(job->service->kube, job);
}

/* What it still waits for is left out. The job is gone afterwards. */
static void finish(struct job *job)
{
    struct server_answer answer = {.status = 200, .content_type = "application/json"};
    struct text body;

    stop_asking(job);
    job->facts.unknown |= job->waits;
    unlink_job(job);
    text_init(&body, SERVER_ANSWER_MAX_BYTES);
    answer_job(job, &body);
    answer.body = &body;
    server_complete(job->answer, &answer);
    text_done(&body);
    arena_free(job->arena);
}

/* ------------------------------------------------------------------ facts */

static void unknown(struct job *job, unsigned fact, const char *why)
{
    job->facts.unknown |= fact;
    job->waits &= ~fact;
    for (int i = 0; i < ADMISSION_FACTS; i++) {
        if (fact & 1U << i)
            job->facts.why[i] = arena_copy(job->arena, why);
    }
}

/* Something it waited for is here, or will not come. */
static void settle(struct job *job)
{
    struct serve_admission *s = job->service;

    if (job->waits || !job->answer)
        return;
    finish(job);
    set_timer(s);
}

/* Atoms may be gone when the job is decided later: copied. */
static struct admission_target copy_target(struct arena *arena, const struct admission_target *t)
{
    return (struct admission_target){arena_copy(arena, t->api_version), arena_copy(arena, t->kind),
                                     arena_copy(arena, t->name)};
}

static void add_scaler(void *arg, const struct claim *claim)
{
    struct job *job = arg;

    if (job->facts.scaler_count == ADMISSION_MATCHES_MAX)
        return;
    job->scalers[job->facts.scaler_count++] =
        (struct admission_scaler){.name = arena_copy(job->arena, claim->name),
                                  .target = copy_target(job->arena, &claim->target),
                                  .owner = arena_copy(job->arena, claim->other),
                                  .released = claim->released};
}

static void add_other(void *arg, const struct claim *claim)
{
    struct job *job = arg;

    if (job->facts.other_count == ADMISSION_MATCHES_MAX || strcmp(claim->name, job->admission->name) == 0)
        return;
    job->others[job->facts.other_count++] = (struct admission_other){.name = arena_copy(job->arena, claim->name),
                                                                     .target = copy_target(job->arena, &claim->target),
                                                                     .hpa_name = arena_copy(job->arena, claim->other)};
}

static void look_up(struct job *job, enum admission_fact fact, const struct cluster_watch *watch)
{
    const struct admission *a = job->admission;
    const struct claim_index *index = cluster_watch_index(watch);
    const char *why;

    switch (cluster_watch_state(watch, a->ns, &why)) {
    case WATCH_WAITING:
        job->waits |= fact;
        return;
    case WATCH_FAILED:
        unknown(job, fact, why);
        return;
    case WATCH_COMPLETE:
        break;
    }
    job->waits &= ~(unsigned)fact;
    claim_index_on_target(index, a->ns, &a->target, fact == ADMISSION_SCALERS ? add_scaler : add_other, job);
    if (fact == ADMISSION_OBJECTS)
        claim_index_on_scaler(index, a->ns, a->hpa_name, add_other, job);
}

/* A list has become complete, or cannot be. */
static void on_watch_changed(void *arg)
{
    struct serve_admission *s = arg;

    for (struct job *job = s->first, *next; job; job = next) {
        next = job->next;
        if (!(job->waits & lists))
            continue;
        if (job->waits & ADMISSION_SCALERS)
            look_up(job, ADMISSION_SCALERS, s->scalers);
        if (job->waits & ADMISSION_OBJECTS)
            look_up(job, ADMISSION_OBJECTS, s->objects);
        settle(job);
    }
}

static void on_kind(void *arg, const struct kube_resource *resource, const struct error *err)
{
    struct job *job = arg;

    job->waits &= ~(unsigned)ADMISSION_KIND;
    if (!resource && err && err->kind == ERROR_MISSING)
        job->facts.kind_missing = true;
    else if (!resource && err && err->kind == ERROR_INVALID) /* it is there, and has no /scale */
        job->facts.kind_note = arena_copy(job->arena, err->text);
    else if (!resource)
        unknown(job, ADMISSION_KIND, err ? err->text : NULL);
    settle(job);
}

static struct kube_ask *ask(struct job *job, const char *group, const char *version, const char *resource,
                            const char *name, kube_done *done)
{
    struct kube_request request = {.method = "GET", .priority = KUBE_READ, .timeout_ms = ADMISSION_WAIT_MS};
    struct kube_ask *under_way;
    struct text path;

    text_init(&path, 4096);
    kube_path(&path, group, version, job->admission->ns, resource, name, NULL);
    request.path = path.bytes;
    under_way = kube_ask(job->service->kube, &request, done, job);
    text_done(&path);
    return under_way;
}

static void on_limits(void *arg, const struct kube_reply *reply)
{
    struct job *job = arg;
    const struct tree *items = tree_get(reply->body, "items");

    job->ask = NULL;
    job->waits &= ~(unsigned)ADMISSION_LIMITS;
    if (reply->error.kind != ERROR_NONE)
        unknown(job, ADMISSION_LIMITS, reply->error.text);
    for (const struct tree *item = items && items->type == TREE_LIST ? items->first : NULL; item; item = item->next)
        admission_read_limits(item, &job->facts);
    settle(job);
}

static void on_workload(void *arg, const struct kube_reply *reply)
{
    struct job *job = arg;

    job->ask = NULL;
    job->waits &= ~(unsigned)ADMISSION_WORKLOAD;
    if (reply->status == 404)
        job->facts.workload_missing = true;
    else if (reply->error.kind != ERROR_NONE)
        unknown(job, ADMISSION_WORKLOAD, reply->error.text);
    else
        admission_read_workload(reply->body, job->arena, &job->facts);
    if (admission_needs_limits(job->admission, &job->facts)) {
        job->waits |= ADMISSION_LIMITS;
        job->ask = ask(job, "", "v1", "limitranges", NULL, on_limits);
    }
    settle(job);
}

static void gather_lists(struct job *job)
{
    struct serve_admission *s = job->service;

    if (job->admission->needs & ADMISSION_SCALERS)
        look_up(job, ADMISSION_SCALERS, s->scalers);
    if (job->admission->needs & ADMISSION_OBJECTS)
        look_up(job, ADMISSION_OBJECTS, s->objects);
}

static void gather(struct job *job)
{
    const struct admission *a = job->admission;
    bool deployment = strcmp(a->target.kind, "Deployment") == 0;

    gather_lists(job);
    if (a->needs & ADMISSION_KIND) {
        job->waits |= ADMISSION_KIND;
        kube_discover(job->service->kube, a->target.api_version, a->target.kind, on_kind, job);
    }
    if (a->needs & ADMISSION_WORKLOAD) {
        job->waits |= ADMISSION_WORKLOAD;
        job->ask = ask(job, "apps", "v1", deployment ? "deployments" : "statefulsets", a->target.name, on_workload);
    }
}

/* ------------------------------------------------------------------ requests */

static void on_deadline(void *arg)
{
    struct serve_admission *s = arg;

    while (s->first && s->first->deadline_ms <= loop_ticks_ms(s->loop))
        finish(s->first);
    set_timer(s);
}

static void put_off(struct job *job, const struct server_request *request)
{
    struct serve_admission *s = job->service;

    s->arena = arena_new(ARENA_USUAL); /* the job keeps the other */
    job->answer = server_defer(request);
    job->deadline_ms = loop_ticks_ms(s->loop) + ADMISSION_WAIT_MS;
    job->link = s->end;
    *s->end = job;
    s->end = &job->next;
    s->pending++;
    job->bytes = arena_bytes(job->arena);
    s->pending_bytes += job->bytes;
    if (s->first == job)
        set_timer(s);
}

static void allow_unasked(const struct review_input *input, struct text *out)
{
    review_write(input->uid, &(struct admission_answer){.allowed = true}, out);
}

static void begin(struct job *job, const struct server_request *request, struct server_answer *answer)
{
    struct serve_admission *s = job->service;

    job->admission = admission_begin(s->arena, &job->input.review, &s->settings);
    job->facts.scalers = job->scalers;
    job->facts.others = job->others;
    if (job->admission->needs && !s->kube)
        unknown(job, job->admission->needs, "Weir does not run on a cluster here");
    else if (job->admission->needs && s->pending >= ADMISSION_PENDING_MAX)
        unknown(job, job->admission->needs, "too many reviews wait (ADMISSION_PENDING_MAX)");
    else if (job->admission->needs && s->pending_bytes + arena_bytes(s->arena) > ADMISSION_PENDING_MAX_BYTES)
        unknown(job, job->admission->needs, "the reviews that wait are too large (ADMISSION_PENDING_MAX_BYTES)");
    else if (job->admission->needs)
        gather(job);
    if (job->waits)
        put_off(job, request);
    else
        answer_job(job, answer->body);
}

static void refuse_body(struct server_answer *answer, const struct error *err)
{
    struct json json = {.out = answer->body};

    answer->status = 400;
    json_put_open(&json, NULL, '{');
    json_put_string(&json, "error", err->text);
    json_put_close(&json, '}');
}

static void clear_arena(struct serve_admission *s)
{
    if (arena_bytes(s->arena) <= ARENA_KEPT_BYTES) {
        arena_reset(s->arena);
        return;
    }
    arena_free(s->arena);
    s->arena = arena_new(ARENA_USUAL);
}

static void on_review(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct route *route = arg;
    struct serve_admission *s = route->service;
    struct job *job = arena_alloc(s->arena, sizeof(*job));
    struct error err;

    job->service = s;
    job->arena = s->arena;
    if (!review_read(request->body, request->body_length, route->kind, s->arena, &job->input, &err))
        refuse_body(answer, &err);
    else if (!job->input.asks)
        allow_unasked(&job->input, answer->body);
    else
        begin(job, request, answer);
    if (s->arena == job->arena)
        clear_arena(s);
}

/* ------------------------------------------------------------------ metrics */

static void write_metrics(void *arg, struct text *out)
{
    const struct serve_admission *s = arg;

    admission_counts_write(s->counts, out);
    text_add(out, "# HELP weir_admissions_total Reviews answered.\n# TYPE weir_admissions_total counter\n");
    for (int kind = 0; kind < ADMIT_KINDS; kind++) {
        const char *name = admission_kind_name((enum admission_kind)kind);

        text_printf(out,
                    "weir_admissions_total{kind=\"%s\",outcome=\"allowed\"} %llu\n"
                    "weir_admissions_total{kind=\"%s\",outcome=\"refused\"} %llu\n",
                    name, (unsigned long long)s->allowed[kind], name, (unsigned long long)s->refused[kind]);
    }
    text_printf(out,
                "# HELP weir_admissions_unchecked_total Admitted although something could not be looked at.\n"
                "# TYPE weir_admissions_unchecked_total counter\nweir_admissions_unchecked_total %llu\n"
                "# HELP weir_admissions_pending Reviews that wait for facts of the cluster.\n"
                "# TYPE weir_admissions_pending gauge\nweir_admissions_pending %u\n",
                (unsigned long long)s->unchecked, s->pending);
}

void serve_admission_stats(const struct serve_admission *s, struct serve_admission_stats *out)
{
    *out = (struct serve_admission_stats){.unchecked = s->unchecked, .pending = s->pending};
    for (int kind = 0; kind < ADMIT_KINDS; kind++) {
        out->allowed += s->allowed[kind];
        out->refused += s->refused[kind];
    }
    if (!s->kube)
        return;
    out->objects = claim_index_count(cluster_watch_index(s->objects));
    out->scalers = claim_index_count(cluster_watch_index(s->scalers));
    out->bytes =
        claim_index_bytes(cluster_watch_index(s->objects)) + claim_index_bytes(cluster_watch_index(s->scalers));
}

/* ------------------------------------------------------------------ life */

struct serve_admission *serve_admission_new(struct server *server, const struct serve_admission_options *options)
{
    struct serve_admission *s = mem_alloc(sizeof(*s));

    s->loop = options->loop;
    s->kube = options->kube;
    s->settings = *options->settings;
    s->arena = arena_new(ARENA_USUAL);
    s->end = &s->first;
    s->timer = loop_timer_new(s->loop, on_deadline, s);
    s->counts = admission_counts_new();
    if (s->kube) {
        s->scalers = cluster_watch_new(WATCH_SCALERS, options, on_watch_changed, s);
        s->objects = cluster_watch_new(WATCH_OBJECTS, options, on_watch_changed, s);
    }
    for (int kind = 0; kind < ADMIT_KINDS; kind++) {
        s->routes[kind] = (struct route){s, (enum admission_kind)kind};
        server_route(server, "POST", admission_path((enum admission_kind)kind), on_review, &s->routes[kind]);
    }
    metrics_writer_add(write_metrics, s);
    return s;
}

void serve_admission_free(struct serve_admission *s)
{
    if (!s)
        return;
    while (s->first)
        finish(s->first);
    metrics_writer_remove(s);
    cluster_watch_free(s->scalers);
    cluster_watch_free(s->objects);
    loop_timer_free(s->timer);
    admission_counts_free(s->counts);
    arena_free(s->arena);
    free(s);
}
