/*
 * simulation: puts the virtual world, the production autoscaler and what it acts on together, and lets time pass.
 *
 *     manifest --> the one object --> autoscaler on the virtual loop
 *                                       |  ^ samples (simulation_feed.c), replicas (simulation_platform.c)
 *                                       v  |
 *                            scale     the model, or pods that are ready after a while
 *
 * A tick is one decision. Polls stand at whole intervals from time 0 on. The model is told what time it is only when somebody looks, so that
 * what it does between two ticks costs one call (serving-model.md 2.7: whoever decides acts in phase 5 of its instant).
 */
#include "sim/simulation_internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "sim/virtual.h"
#include "trigger/trigger.h"

/* Policies share texts that are counted without a lock (atom.h): simulations may run side by side, but are made and ended one by one. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

/* ------------------------------------------------------------------ what the autoscaler asks */

static bool is_ours(const struct simulation *s, const struct policy *policy)
{
    return policy == s->policy;
}

static bool on_sample(void *arg, const char *key, const struct policy *policy, uint16_t trigger, struct sample *sample,
                      struct error *why)
{
    struct simulation *s = arg;

    (void)key;
    return is_ours(s, policy) && simulation_sample(s, trigger, sample, why);
}

/* Whole intervals from time 0. */
static int64_t on_next_poll(void *arg, const char *key, const struct policy *policy)
{
    struct simulation *s = arg;
    int64_t interval = s->interval_ms[s->spec > 0];

    (void)key, (void)policy;
    if (s->record)
        return simulation_replay_next_ms(s);
    return interval - simulation_now_ms(s) % interval;
}

static int64_t interval_at(const struct policy *policy, int32_t replicas)
{
    int64_t shortest = policy->polling_interval_ms;

    for (size_t i = 0; i < policy->trigger_count; i++) {
        int64_t interval = policy_interval_ms(policy, i, replicas);
        if (interval < shortest)
            shortest = interval;
    }
    return shortest > 0 ? shortest : SECOND_MS;
}

static void on_loaded(void *arg, const struct autoscaler_loaded *loaded)
{
    struct simulation *s = arg;

    policy_unref(s->policy);
    s->policy = policy_ref((struct policy *)(uintptr_t)loaded->policy);
    if (s->policy->formula && !s->options.quick)
        formula_keep_traced(s->policy->formula); /* every decision is traced */
    s->interval_ms[0] = interval_at(s->policy, 0);
    s->interval_ms[1] = interval_at(s->policy, 1);
    s->names = (struct decision_names){.triggers = s->policy->names,
                                       .trigger_count = s->policy->trigger_count,
                                       .formula = s->policy->formula ? formula_source(s->policy->formula) : NULL};
}

/* A decision before it is carried out. */
void simulation_decided(struct simulation *s, const struct decision *decision, const struct sample *samples)
{
    int64_t now = simulation_now_ms(s);

    if (s->result.stopped) /* in the middle of an instant with several decisions */
        return;
    simulation_look(s);
    if (now < s->duration_ms)
        s->result.ticks++;
    if (now < s->duration_ms && s->options.on_tick)
        s->options.on_tick(s->options.arg, &(struct simulation_tick){.at_ms = now,
                                                                     .decision = decision,
                                                                     .names = &s->names,
                                                                     .samples = samples,
                                                                     .trigger_count = s->policy->trigger_count,
                                                                     .replicas = s->counts.replicas,
                                                                     .ready = s->counts.ready,
                                                                     .pending = s->counts.pending,
                                                                     .policy = s->policy});
    if (s->options.stop && *s->options.stop && !s->result.stopped) {
        s->result.stopped = true;
        s->result.duration_ms = now < s->duration_ms ? now : s->duration_ms;
    }
}

static void on_facts(void *arg, struct policy *policy, struct decide_facts *facts, struct decide_memory **memory)
{
    simulation_replay_facts(arg, policy, facts, memory);
}

static void on_decided(void *arg, const struct autoscaler_decided *decided)
{
    struct simulation *s = arg;

    s->series = decided->facts->series;
    if (s->record)
        simulation_replay_decided(s, decided->decision);
    simulation_decided(s, decided->decision, decided->facts->samples);
    s->series = NULL;
    if (s->result.stopped || s->finished)
        loop_stop(s->loop);
}

/* ------------------------------------------------------------------ making one */

/* The first error of the object, in words. */
static bool refuse_object(const struct report *report, struct error *err)
{
    for (size_t i = 0; i < report_count(report); i++) {
        const struct finding *f = report_at(report, i);

        if (f->severity != FINDING_ERROR)
            continue;
        error_set(err, ERROR_INVALID, "%s%s%s%s%s", f->field, *f->field ? ": " : "", f->text, f->remedy ? "; " : "",
                  f->remedy ? f->remedy : "");
        return error_add_place(err, "%s:%d", f->place.file ? f->place.file : "", f->place.line);
    }
    return error_set(err, ERROR_INVALID, "no policy can be made of it");
}

static bool read_manifest(struct simulation *s, struct report *report, struct error *err)
{
    const struct simulation_options *o = &s->options;
    struct report *mine = report ? report : report_new();
    bool good;

    manifest_read(o->manifest_name, o->manifest, o->manifest_length, &(struct manifest_options){.local = false}, mine,
                  &s->manifest);
    if (s->manifest->documents)
        s->object = simulation_choose(s->manifest, o->object, err);
    else
        refuse_object(mine, err);
    good = s->object != NULL;
    if (!report)
        report_free(mine);
    return good;
}

static void name_object(struct simulation *s)
{
    struct text key;

    text_init(&key, 1024);
    text_printf(&key, "ScaledObject/%s/%s", s->object->meta.ns, s->object->meta.name);
    s->key = text_take(&key);
}

/* Of the pods: as the workload's template says, else as its name does. */
static void find_labels(struct simulation *s)
{
    const struct tree *labels;

    s->workload = simulation_workload(s->manifest, s->object);
    labels = s->workload ? s->workload->template.labels : NULL;
    s->labels = mem_array(tree_count(labels) + 1, sizeof(*s->labels));
    for (const struct tree *label = labels ? labels->first : NULL; label; label = label->next)
        if (label->key && tree_string(label))
            s->labels[s->label_count++] = (struct label){label->key, tree_string(label)};
    if (!s->workload)
        s->labels[s->label_count++] = (struct label){"app", s->object->target.name};
}

static int32_t initial_replicas(const struct simulation *s)
{
    if (s->options.initial >= 0)
        return s->options.initial;
    return s->object->min_replicas >= 0 ? s->object->min_replicas : DEFAULT_MIN_REPLICAS;
}

static bool make_model(struct simulation *s, struct error *err)
{
    struct model_options options;

    if (!s->options.model)
        return true;
    options = *s->options.model;
    options.initial = initial_replicas(s);
    if (s->options.duration_ms >= 0)
        options.duration_ns = s->options.duration_ms * NS_PER_MS;
    s->model = model_new(&options, err);
    s->model_at_ms = -1;
    return s->model != NULL;
}

static bool find_duration(struct simulation *s, struct error *err)
{
    s->duration_ms = s->options.duration_ms;
    if (s->model)
        s->duration_ms = model_duration_ns(s->model) / NS_PER_MS;
    else if (s->duration_ms < 0 && s->options.input)
        s->duration_ms = input_end_ms(s->options.input);
    s->result.duration_ms = s->duration_ms;
    return s->duration_ms > 0 ||
           error_set(err, ERROR_INVALID, "nothing says how long to simulate: give a trace or a duration");
}

static void start_world(struct simulation *s)
{
    s->hooks = (struct autoscaler_hooks){.arg = s,
                                         .rehearsal = true,
                                         .untraced = s->options.quick,
                                         .sample = on_sample,
                                         .next_poll_ms = on_next_poll,
                                         .facts = s->record ? on_facts : NULL,
                                         .loaded = on_loaded,
                                         .decided = on_decided};
    s->platform.ops = &simulation_platform_ops;
    s->world = virtual_world_new(s->options.seed, s->options.start_at_ms);
    s->loop = virtual_loop(s->world);
    s->start_ticks_ms = loop_ticks_ms(s->loop);
    s->engine = trigger_engine_new(s->loop, virtual_transport(s->world), &s->platform);
    s->autoscaler = autoscaler_new(&(struct autoscaler_parts){.loop = s->loop,
                                                              .transport = virtual_transport(s->world),
                                                              .platform = &s->platform,
                                                              .engine = s->engine,
                                                              .hooks = &s->hooks},
                                   &s->settings);
}

static void copy_findings(const struct report *from, struct report *to)
{
    for (size_t i = 0; to && i < report_count(from); i++) {
        const struct finding *f = report_at(from, i);

        report_add(to, f, f->field, f->remedy, "%s", f->text);
    }
}

static bool load_object(struct simulation *s, struct report *report, struct error *err)
{
    const struct report *findings;
    struct text one;

    text_init(&one, MANIFEST_FILE_MAX_BYTES);
    simulation_write_one(s->manifest, &s->object->meta, s->options.manifest, s->options.manifest_length, &one);
    autoscaler_apply(s->autoscaler, s->options.manifest_name, one.bytes, one.length);
    text_done(&one);
    findings = autoscaler_report(s->autoscaler);
    copy_findings(findings, report);
    if (!s->policy)
        return refuse_object(findings, err);
    if (s->policy->rules.mode == DECIDE_HPA && s->options.engine == ENGINE_WEIR)
        return error_set(err, ERROR_INVALID,
                         "weir.dev/mode: hpa leaves the number of replicas to a HorizontalPodAutoscaler; simulate it "
                         "with the engine "
                         "keda-hpa");
    return true;
}

static bool make(struct simulation *s, struct report *report, struct error *err)
{
    if (!read_manifest(s, report, err))
        return false;
    name_object(s);
    if (!simulation_read_record(s, err) || !make_model(s, err) || !find_duration(s, err))
        return false;
    find_labels(s);
    start_world(s);
    s->landing = loop_timer_new(s->loop, simulation_landed, s);
    simulation_start_pods(s, initial_replicas(s));
    if (!load_object(s, report, err) || !simulation_find_feeds(s, err))
        return false;
    simulation_replay_start(s);
    if (s->options.engine == ENGINE_KEDA_HPA) { /* it was needed for the policy only */
        autoscaler_free(s->autoscaler);
        s->autoscaler = NULL;
        s->parted = true;
    }
    return true;
}

static void free_simulation(struct simulation *s)
{
    autoscaler_free(s->autoscaler);
    if (s->landed) /* what was under way frees itself */
        s->landed(s->landed_arg, NULL);
    loop_timer_free(s->landing);
    trigger_engine_free(s->engine);
    simulation_replay_end(s);
    policy_unref(s->policy);
    virtual_world_free(s->world);
    model_free(s->model);
    manifest_free(s->manifest);
    free(s->key);
    free(s->feeds);
    free(s->labels);
    free(s->views);
    free(s->pods.created_ms);
    free(s->events);
    free(s);
}

struct simulation *simulation_new(const struct simulation_options *options, struct report *report, struct error *err)
{
    struct simulation *s = mem_alloc(sizeof(*s));
    bool good;

    s->options = *options;
    s->result.parted_ms = -1;
    policy_settings_default(&s->settings);
    if (options->settings)
        s->settings = *options->settings;
    pthread_mutex_lock(&making);
    good = make(s, report, err);
    if (!good)
        free_simulation(s);
    pthread_mutex_unlock(&making);
    return good ? s : NULL;
}

void simulation_free(struct simulation *simulation)
{
    if (!simulation)
        return;
    pthread_mutex_lock(&making);
    free_simulation(simulation);
    pthread_mutex_unlock(&making);
}

/* ------------------------------------------------------------------ time passes */

/* What is at the end is beyond it; what is then still open in the model is served, and the policy goes on meanwhile. */
static void run_weir(struct simulation *s)
{
    virtual_run_until(s->world, s->start_ticks_ms + s->duration_ms - 1);
    while (s->model && !s->finished && !s->result.stopped)
        virtual_run_until(s->world, s->start_ticks_ms + simulation_now_ms(s) + MINUTE_MS);
}

void simulation_run(struct simulation *s)
{
    if (s->options.engine == ENGINE_KEDA_HPA)
        simulation_run_keda(s);
    else
        run_weir(s);
    simulation_count_time(s, s->result.duration_ms);
    if (s->model && s->result.stopped)
        model_cut(s->model);
    if (s->model)
        model_finish(s->model);
}

/* ------------------------------------------------------------------ what came of it */

size_t simulation_events(const struct simulation *s, const struct serving_event **out)
{
    if (s->model)
        return model_events(s->model, out);
    *out = s->events;
    return s->event_count;
}

void simulation_result(const struct simulation *s, const struct score_goals *goals, struct simulation_result *out)
{
    struct score_span span = {.warmup_ns = s->model ? s->options.model->warmup_ns : 0,
                              .duration_ns = s->result.duration_ms * NS_PER_MS};
    const struct serving_event *events;
    size_t count = simulation_events(s, &events);

    *out = s->result;
    score_moves(&out->moves, events, count, &span);
    out->has_score = s->model != NULL;
    if (!s->model)
        return;
    model_score(s->model, goals, &out->score);
    out->replica_seconds = out->score.replica_hours * 3600;
}

const struct policy *simulation_policy(const struct simulation *s)
{
    return s->policy;
}

int64_t simulation_duration_ms(const struct simulation *s)
{
    return s->duration_ms;
}

int32_t simulation_initial(const struct simulation *s)
{
    return initial_replicas(s);
}

struct model *simulation_model(const struct simulation *s)
{
    return s->model;
}
