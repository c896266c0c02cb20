/*
 * test_faults: the whole running system under random faults, and what must hold after every turn of it.
 *
 *     test_faults              seeds one after the other for RUN_MS; prints the seed of whatever fails
 *     test_faults SEED         that one alone, with its writes
 *     test_faults SEED COUNT   so many from SEED on
 *
 * A run is a quarter of an hour of chaos and three quarters of calm:
 *
 *     chaos: sources lie, hang and vanish (faults_source.c); files are edited, broken, removed and come back; somebody else scales,
 *            workloads vanish, pods lose their readiness; writes fail or take long; the wall clock jumps; Weir is killed and started
 *     calm:  every source tells one truth for ever. In its last ten minutes nothing may move, a kill and a jump included
 *
 * What must hold is written at the functions must_...(); where it comes from: DESIGN.md 3, failure-modes M, F, B, Z, S, K and O.
 */
#include "faults.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/time.h"
#include "journal/journal.h"

enum {
    RUN_MS = 5000,
    OBJECTS_OF_RUN_MAX = 4,
    SLOT_S = 20, /* something may happen every so often */
    CALM_S = 15 * 60,
    WATCH_S = 50 * 60,
    END_S = 60 * 60,
    USED_MAX = 4096,
    STEPS_MAX = 400 * 1000,
};
#define START_MS (INT64_C(1767225600) * SECOND_MS)

struct object_under_test {
    struct run *run;
    unsigned index, version;
    bool neighbour, there;
    char name[32], file[32], key[64];
    struct written written;
    struct source sources[TRIGGERS_OF_POLICY_MAX];
    struct text yaml;
    uint64_t decisions, polls;
    int64_t polled_ms;                                /* when it was last seen to be asked */
    int64_t missing_since_ms[TRIGGERS_OF_POLICY_MAX]; /* -1: it is not */
    int64_t used[USED_MAX];                           /* decisions that explain a write */
    size_t used_count;
    unsigned late_writes;
};

struct run {
    uint64_t seed;
    struct stage *stage;
    struct object_under_test objects[OBJECTS_OF_RUN_MAX];
    size_t count;
    bool with_neighbour, jumped, jumped_late;
    uint64_t turns;
    struct text trace; /* the writes of all but the neighbour */
    struct text failure;
    uint64_t restart_at_step;
    bool with_jobs;
    struct jobs jobs;
};

static bool verbose;

static void broken(struct run *run, const struct object_under_test *o, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void broken(struct run *run, const struct object_under_test *o, const char *format, ...)
{
    va_list args;

    if (run->failure.length > 0)
        return; /* the first one is the one to look at */
    text_printf(&run->failure, "at %.3f s %s: ", (double)stage_now_ms(run->stage) / 1000, o ? o->name : "");
    va_start(args, format);
    text_vprintf(&run->failure, format, args);
    va_end(args);
}

static int64_t now_s(const struct run *run)
{
    return stage_now_ms(run->stage) / SECOND_MS;
}

/* ------------------------------------------------------------------ what must hold of a decision */

static void must_stay_in_bounds(struct object_under_test *o, const struct decide_rules *rules, const struct decision *d)
{
    int32_t low = rules->idle >= 0 && rules->idle < rules->min ? rules->idle : rules->min;

    if (!d->write || d->paused)
        return;
    if (d->after < 0 || (d->after > rules->max && !(rules->paused_scale_in && d->after >= d->before)))
        broken(o->run, o, "%d -> %d, beyond 0..%d", d->before, d->after, rules->max);
    if (d->after < d->before && d->after < low)
        broken(o->run, o, "%d -> %d, below %d", d->before, d->after, low);
}

/* Lowering, but not merely down to the maximum. */
static bool takes_away(const struct decide_rules *rules, const struct decision *d)
{
    return d->before >= 0 && d->after < d->before && d->after < rules->max && !d->paused;
}

/* M2, M3, F1, F5, B1: without fallback a failure takes nothing away. */
static void must_hold_failures(struct object_under_test *o, const struct decide_rules *rules, const struct decision *d)
{
    bool failed = rules->formula && d->formula_state == SAMPLE_FAILED;

    for (uint16_t i = 0; !rules->formula && i < d->input_count; i++)
        failed |= d->inputs[i].state == SAMPLE_FAILED;
    if (failed && !rules->has_fallback && takes_away(rules, d))
        broken(o->run, o, "a failure took %d -> %d", d->before, d->after);
}

/* M1: for as long as its hold lasts, so does no missing value. */
static void must_hold_missing(struct object_under_test *o, const struct decide_rules *rules, const struct decision *d)
{
    int64_t now_ms = stage_now_ms(o->run->stage);

    for (uint16_t i = 0; i < d->input_count && i < TRIGGERS_OF_POLICY_MAX; i++) {
        if (d->inputs[i].state != SAMPLE_MISSING)
            o->missing_since_ms[i] = -1;
        else if (o->missing_since_ms[i] < 0)
            o->missing_since_ms[i] = now_ms;
        bool missing = rules->formula ? d->formula_state == SAMPLE_MISSING : d->inputs[i].state == SAMPLE_MISSING;
        bool in_hold =
            d->inputs[i].state == SAMPLE_MISSING && now_ms - o->missing_since_ms[i] <= rules->missing_hold_ms;

        if (missing && in_hold && takes_away(rules, d) && !o->run->jumped)
            broken(o->run, o, "a missing value took %d -> %d", d->before, d->after);
    }
}

/* M1, M2: whatever it says, a source that lies is not believed. */
static void must_be_true(struct object_under_test *o, const struct object_status *status)
{
    for (size_t i = 0; i < o->written.source_count && i < status->trigger_count; i++) {
        const struct sample *sample = &status->triggers[i].sample;

        if (sample->state == SAMPLE_OK && !sample->stand_in && !source_said(&o->sources[i], sample->value))
            broken(o->run, o, "t%zu has the value %g, which its source never said", i, sample->value);
        if (sample->state == SAMPLE_OK && sample->stand_in && sample->value != 0)
            broken(o->run, o, "t%zu has %g in place of nothing", i, sample->value);
    }
}

/* Every poll comes: a source that hangs costs its object one poll, and no object another's. */
static void must_be_asked(struct object_under_test *o, const struct object_status *status)
{
    int64_t now_ms = stage_now_ms(o->run->stage), longest = 2 * status->policy->polling_interval_ms + 15 * SECOND_MS;

    if (status->polls != o->polls) {
        o->polls = status->polls;
        o->polled_ms = now_ms;
    }
    if (now_ms - o->polled_ms > longest)
        broken(o->run, o, "was not asked for %lld ms", (long long)(now_ms - o->polled_ms));
}

static bool examine(void *arg, const struct object_status *status)
{
    struct object_under_test *o = arg;
    const struct decide_rules *rules = status->policy ? &status->policy->rules : NULL;
    const struct decision *d = status->decision;

    if (!rules)
        return true;
    must_be_asked(o, status);
    if (!d || status->decisions == o->decisions)
        return true;
    o->decisions = status->decisions;
    if (verbose)
        printf("  %.3f %s %d -> %d %s\n", (double)stage_now_ms(o->run->stage) / 1000, o->name, d->before, d->after,
               decision_reason_name(d->reason));
    if (!decision_is_closed(d))
        broken(o->run, o, "the chain of a decision is not closed");
    if (d->input_count != rules->trigger_count)
        return true; /* of the version before */
    must_stay_in_bounds(o, rules, d);
    must_hold_failures(o, rules, d);
    must_hold_missing(o, rules, d);
    must_be_true(o, status);
    return true;
}

static void examine_all(struct run *run)
{
    for (size_t i = 0; i < run->count; i++)
        autoscaler_object(stage_autoscaler(run->stage), run->objects[i].key, examine, &run->objects[i]);
    const char *wrong = run->with_jobs ? jobs_examine(&run->jobs) : NULL;
    if (wrong)
        broken(run, NULL, "jobs: %s", wrong);
}

/* ------------------------------------------------------------------ what must hold of a write */

struct search { /* for the decision that explains a write */
    struct object_under_test *o;
    int32_t after;
    int64_t found;
};

static bool explains(void *arg, const struct journal_entry *entry)
{
    struct search *search = arg;

    if (!entry->decision->write || entry->decision->after != search->after)
        return true;
    for (size_t i = 0; i < search->o->used_count; i++)
        if (search->o->used[i] == entry->id)
            return true;
    search->found = entry->id;
    return false;
}

/* O3: one record for each write, written down before it. */
static void must_be_explained(struct object_under_test *o, int32_t before, int32_t after)
{
    struct search search = {.o = o, .after = after, .found = -1};
    struct journal *journal = autoscaler_journal(stage_autoscaler(o->run->stage));

    journal_decisions(journal, o->key, 0, INT64_MAX, 64, explains, &search);
    if (search.found < 0)
        broken(o->run, o, "no decision explains the write %d -> %d", before, after);
    else if (o->used_count < USED_MAX)
        o->used[o->used_count++] = search.found;
}

static void on_write(void *arg, const char *name, int32_t before, int32_t after, int64_t since_ms)
{
    struct run *run = arg;

    for (size_t i = 0; i < run->count; i++) {
        struct object_under_test *o = &run->objects[i];

        if (strcmp(o->name, name) != 0)
            continue;
        must_be_explained(o, before, after);
        if (!o->neighbour)
            text_printf(&run->trace, "%lld %s %d -> %d\n", (long long)since_ms, name, before, after);
        o->late_writes += since_ms > WATCH_S * SECOND_MS;
    }
}

static bool on_begin(void *arg, const char *name, int64_t *takes_ms)
{
    struct run *run = arg;
    int64_t s = now_s(run);
    struct dice d = {mix(mix(run->seed, (uint64_t)(s / 50)), mix(7, (uint64_t)name[4]))};

    if (s >= CALM_S)
        return false;
    if (chance(&d, 20))
        *takes_ms = (int64_t)roll(&d, 40) * SECOND_MS;
    return chance(&d, 15);
}

/* ------------------------------------------------------------------ what happens */

static void put_manifest(struct object_under_test *o)
{
    text_clear(&o->yaml);
    write_policy(o->run->seed, o->index, o->version, &o->yaml, &o->written);
    stage_manifest(o->run->stage, o->file, o->yaml.bytes, o->yaml.length);
    o->there = true;
    o->polled_ms = stage_now_ms(o->run->stage);
    for (size_t i = 0; i < TRIGGERS_OF_POLICY_MAX; i++)
        o->missing_since_ms[i] = -1;
}

static void break_manifest(struct object_under_test *o, struct dice *d)
{
    static const char *const bad[] = {"{", "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n  metadata: [",
                                      "\x01\x02", ""};
    struct text yaml;

    text_init(&yaml, 64 * 1024);
    if (chance(d, 50)) { /* cut somewhere in the middle */
        text_append(&yaml, o->yaml.bytes, roll(d, o->yaml.length + 1));
    } else {
        text_add(&yaml, bad[roll(d, 3)]);
    }
    stage_manifest(o->run->stage, o->file, yaml.bytes, yaml.length);
    text_done(&yaml);
    o->polled_ms = stage_now_ms(o->run->stage);
}

static void happen_to(struct object_under_test *o, struct dice *d)
{
    struct stage *stage = o->run->stage;
    bool workload = stage_replicas(stage, o->name) >= 0;

    if (!o->there && chance(d, 40))
        put_manifest(o);
    if (!workload && chance(d, 40))
        stage_workload(stage, "default", "Deployment", o->name, (int32_t)roll(d, 8));
    switch (roll(d, 40)) {
    case 0:
    case 1:
        o->version++;
        put_manifest(o);
        break;
    case 2:
        break_manifest(o, d);
        break;
    case 3:
        stage_manifest(stage, o->file, NULL, 0);
        o->there = false;
        break;
    case 4:
        stage_workload_remove(stage, o->name);
        break;
    case 5:
        if (workload)
            stage_scale(stage, o->name, (int32_t)roll(d, 25));
        break;
    case 6:
        stage_unready(stage, o->name);
        break;
    case 7:
        stage_workload_usage(stage, o->name, (double)roll(d, 30) / 10 - 0.2, (double)roll(d, 30) / 10);
        break;
    default:
        break;
    }
}

static void restart(struct run *run)
{
    stage_restart(run->stage);
    run->jobs.killed_ms = stage_now_ms(run->stage);
    for (size_t i = 0; i < run->count; i++) {
        run->objects[i].decisions = run->objects[i].polls = 0;
        run->objects[i].polled_ms = stage_now_ms(run->stage);
    }
    run->turns = 0;
}

static void happen_to_all(struct run *run, struct dice *d)
{
    if (chance(d, 3))
        restart(run);
    if (chance(d, 2)) {
        virtual_jump(stage_world(run->stage), ((int64_t)roll(d, 7200) - 3600) * SECOND_MS);
        run->jumped = true;
    }
}

static void begin_calm(struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct object_under_test *o = &run->objects[i];

        if (stage_replicas(run->stage, o->name) < 0)
            stage_workload(run->stage, "default", "Deployment", o->name, 1);
        stage_workload_usage(run->stage, o->name, 0.6, 0.6);
        o->version++;
        put_manifest(o);
    }
    if (run->with_jobs)
        jobs_calm(&run->jobs);
}

/* The neighbour's events lie between those of the others. */
static void happen(struct run *run, int64_t s)
{
    for (size_t i = 0; i < run->count; i++) {
        struct object_under_test *o = &run->objects[i];
        struct dice d = {mix(mix(run->seed, 100 + o->index), (uint64_t)s)};

        if (s > 0 && s < CALM_S && s % SLOT_S == (o->neighbour ? SLOT_S / 2 : 0))
            happen_to(o, &d);
    }
    struct dice d = {mix(run->seed + 5, (uint64_t)s)};
    if (s == 0 || s % SLOT_S != 0)
        return;
    if (s < CALM_S)
        happen_to_all(run, &d);
    if (s < CALM_S && run->with_jobs)
        jobs_happen(&run->jobs, &d);
    if (s == CALM_S)
        begin_calm(run);
    if (s == CALM_S + 600 && run->with_jobs)
        run->jobs.settled = 1 + stage_jobs(run->stage, "work", false);
    if (s == WATCH_S + 120 && chance(&d, 50))
        restart(run);
    if (s == WATCH_S + 240 && chance(&d, 30)) {
        virtual_jump(stage_world(run->stage), ((int64_t)roll(&d, 7200) - 3600) * SECOND_MS);
        run->jumped_late = true;
    }
}

/* ------------------------------------------------------------------ a run */

static void add_object(struct run *run, bool neighbour)
{
    struct object_under_test *o = &run->objects[run->count];
    char name[sizeof(o->name)];
    struct dice d = {mix(run->seed + 9, run->count)};

    o->run = run;
    o->index = neighbour ? OBJECTS_OF_RUN_MAX : (unsigned)run->count;
    o->neighbour = neighbour;
    run->count++;
    snprintf(name, sizeof(name), "app-%u", o->index);
    memcpy(o->name, name, sizeof(name));
    snprintf(o->file, sizeof(o->file), "%s-%u.yaml", neighbour ? "z" : "a", o->index);
    snprintf(o->key, sizeof(o->key), "ScaledObject/default/%s", name);
    text_init(&o->yaml, 64 * 1024);
    stage_workload(run->stage, "default", "Deployment", o->name, (int32_t)roll(&d, 8));
    put_manifest(o);
    for (size_t i = 0; i < o->written.source_count; i++) {
        struct source *source = &o->sources[i];

        *source = (struct source){.stage = run->stage,
                                  .seed = mix(mix(run->seed, o->index), 77 + i),
                                  .type = o->written.types[i],
                                  .calm_from_ms = CALM_S * SECOND_MS};
        snprintf(source->host, sizeof(source->host), "src-%u-%zu.local", o->index, i);
        source_begin(source);
    }
}

static void begin(struct run *run)
{
    struct dice d = {mix(run->seed, 3)};
    struct stage_options options = {.seed = run->seed, .start_at_ms = START_MS + (int64_t)roll(&d, 86400) * SECOND_MS};
    size_t count = 1 + roll(&d, 3);

    options.ready_after_ms = chance(&d, 10) ? DAY_MS : (int64_t)roll(&d, 90) * SECOND_MS;
    options.write_takes_ms = chance(&d, 50) ? 0 : (int64_t)roll(&d, 3000);
    text_init(&run->trace, 16 * 1024 * 1024);
    text_init(&run->failure, 4096);
    run->stage = stage_new(&options);
    stage_on_write(run->stage, on_write, run);
    stage_on_begin(run->stage, on_begin, run);
    for (size_t i = 0; i < count; i++)
        add_object(run, false);
    run->with_jobs = chance(&d, 30);
    if (run->with_jobs)
        jobs_begin(&run->jobs, run->stage, mix(run->seed, 4), CALM_S * SECOND_MS);
    if (run->with_neighbour)
        add_object(run, true);
}

static bool may_move(const struct object_under_test *o)
{
    return o->written.clockwork || (o->written.remembers && o->run->jumped_late);
}

/* S1, S4: constant input has settled, and neither a kill nor a jump of the clock moves anything. */
static void must_have_settled(struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct object_under_test *o = &run->objects[i];

        if (!may_move(o) && o->late_writes > 0)
            broken(run, o, "%u writes in the last ten minutes of constant input", o->late_writes);
    }
}

static void nothing(void *arg)
{
    (void)arg;
}

/* Between any two steps of the loop Weir may be killed (K4); otherwise the same steps as ever. */
static void step_until(struct run *run, int64_t until_ms, uint64_t *steps)
{
    struct autoscaler_stats stats;
    struct timer *limit = loop_timer_new(virtual_loop(stage_world(run->stage)), nothing, NULL);

    loop_timer_set(limit, until_ms - stage_now_ms(run->stage)); /* no step goes beyond that instant */
    while (run->failure.length == 0 && stage_now_ms(run->stage) < until_ms && virtual_step(stage_world(run->stage))) {
        if (++*steps == run->restart_at_step)
            restart(run);
        if (*steps > STEPS_MAX) {
            broken(run, NULL, "more than %d steps: something goes round", STEPS_MAX);
            break;
        }
        autoscaler_stats(stage_autoscaler(run->stage), &stats);
        if (stats.turns == run->turns || now_s(run) > CALM_S + 10 * 60)
            continue; /* later on a look every SLOT_S / 2 will do */
        run->turns = stats.turns;
        examine_all(run);
    }
    loop_timer_free(limit);
}

static void play(struct run *run)
{
    uint64_t steps = 0;

    begin(run);
    for (int64_t s = 0; s < END_S && run->failure.length == 0; s += SLOT_S / 2) {
        happen(run, s);
        step_until(run, (s + SLOT_S / 2) * SECOND_MS, &steps);
        stage_run_until(run->stage, (s + SLOT_S / 2) * SECOND_MS);
        examine_all(run);
    }
    if (run->failure.length == 0)
        must_have_settled(run);
}

static void end(struct run *run)
{
    stage_free(run->stage); /* asserts that nobody is waited for any more */
    for (size_t i = 0; i < run->count; i++)
        text_done(&run->objects[i].yaml);
    text_done(&run->trace);
    text_done(&run->failure);
    free(run);
}

static struct run *run_new(uint64_t seed, bool neighbour)
{
    struct run *run = mem_alloc(sizeof(*run));

    run->seed = seed;
    run->with_neighbour = neighbour;
    return run;
}

static bool report(const struct run *run)
{
    if (verbose)
        fputs(run->trace.bytes, stdout);
    if (run->failure.length == 0)
        return true;
    printf("seed %llu%s: %s\n", (unsigned long long)run->seed, run->with_neighbour ? " with neighbour" : "",
           run->failure.bytes);
    return false;
}

/* The same world twice: what a broken neighbour does changes nothing for the others. */
static bool compare(const struct run *alone, const struct run *together)
{
    size_t at = 0;

    if (strcmp(alone->trace.bytes, together->trace.bytes) == 0)
        return true;
    while (alone->trace.bytes[at] == together->trace.bytes[at])
        at++;
    while (at > 0 && alone->trace.bytes[at - 1] != '\n')
        at--;
    printf("seed %llu: a neighbour changes others: alone \"%.*s\", together \"%.*s\"\n",
           (unsigned long long)alone->seed, (int)strcspn(alone->trace.bytes + at, "\n"), alone->trace.bytes + at,
           (int)strcspn(together->trace.bytes + at, "\n"), together->trace.bytes + at);
    return false;
}

static bool run_seed(uint64_t seed)
{
    struct dice d = {mix(seed, 2)};
    bool twice = chance(&d, 30);
    struct run *run = run_new(seed, false), *other = NULL;
    bool good;

    if (!twice && chance(&d, 60))
        run->restart_at_step = 1 + roll(&d, 4000);
    play(run);
    good = report(run);
    if (twice && good) {
        other = run_new(seed, true);
        play(other);
        good = report(other) && compare(run, other);
        end(other);
    }
    end(run);
    return good;
}

static int64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_MS + now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, count = argc > 2   ? strtoull(argv[2], NULL, 10)
                                                                         : argc > 1 ? 1
                                                                                    : UINT64_MAX;
    int64_t until_ms = argc > 1 ? INT64_MAX : clock_ms() + RUN_MS;
    uint64_t done = 0, failed = 0;

    verbose = argc == 2;
    log_set_level(verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR + 1);
    while (done < count && clock_ms() < until_ms && failed < 10) {
        failed += !run_seed(first + done);
        done++;
    }
    printf("%llu seeds from %llu, %llu failed\n", (unsigned long long)done, (unsigned long long)first,
           (unsigned long long)failed);
    return failed > 0;
}
