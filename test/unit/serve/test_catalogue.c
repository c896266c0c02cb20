/*
 * The catalogue against a model: objects come, change and go at random, and every list, count and row must be what a full walk over the
 * model gives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/time.h"
#include "journal/history.h"
#include "serve/catalogue_internal.h"
#include "sim/virtual.h"

enum { OBJECTS = 700, TRIGGERS = 3, STEPS = 6000, NAMESPACES = 7 };
#define START_MS (INT64_C(1767225600) * SECOND_MS)

struct model { /* one object */
    char key[64];
    bool there, job, bad, error, held, active, known, slo, cost, failing[TRIGGERS];
    int32_t ready, wished;
    int type[TRIGGERS], server[TRIGGERS]; /* type: 0: the object has no such trigger */
    int64_t changed_at_ms;
    bool moved;        /* its row was given since the snapshot */
    char snapshot[96]; /* of what makes a change, when moved rows were taken last */
};

static struct model models[OBJECTS];
static struct virtual_world *world;
static struct autoscaler_listener *listener;
static size_t looks;
static uint64_t seed;

static const char *types[] = {NULL, "prometheus", "redis", "cron"};
static const char *const servers[] = {"", "http://a", "http://b", "c:6379"};

static uint32_t chance(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

/* ------------------------------------------------------------------ the autoscaler that the catalogue sees */

static struct policy policy, job_policy;
static struct decision decision;
static struct job_decision jobs;
static struct trigger_status triggers[TRIGGERS];

static struct object_status status_of(const struct model *m)
{
    struct object_status s = {.key = m->key,
                              .file = "",
                              .policy = m->job ? &job_policy : &policy,
                              .problem = m->bad ? "bad" : NULL,
                              .ready = "True",
                              .ready_reason = "",
                              .has_decision = true,
                              .changed_at_ms = m->changed_at_ms,
                              .triggers = triggers};

    policy = (struct policy){.rules = {.max = 10},
                             .slo = m->slo ? (struct formula *)&policy : NULL, /* only whether there is one counts */
                             .has_cost = m->cost,
                             .cost_per_replica_hour = 0.5};
    job_policy = (struct policy){.is_job = true, .job_rules = {.min = -1, .max = 10}};
    decision = (struct decision){.error = m->error, .held = m->held, .active = m->active, .wished = m->wished};
    jobs = (struct job_decision){.error = m->error, .active = m->active, .running = m->ready};
    s.decision = m->job ? NULL : &decision;
    s.job_decision = m->job ? &jobs : NULL;
    s.target.known = m->known;
    s.target.ready_replicas = m->ready;
    for (int i = 0; i < TRIGGERS; i++)
        if (m->type[i])
            triggers[s.trigger_count++] =
                (struct trigger_status){.type = types[m->type[i]],
                                        .destination = servers[m->server[i]],
                                        .why = m->failing[i] ? "refused" : "",
                                        .took_ms = m->server[i] * 10,
                                        .sample = {.state = m->failing[i] ? SAMPLE_FAILED : SAMPLE_OK}};
    return s;
}

static struct model *find(const char *key)
{
    for (size_t i = 0; i < OBJECTS; i++)
        if (models[i].there && strcmp(models[i].key, key) == 0)
            return &models[i];
    return NULL;
}

static char journal; /* stands for one */
static int asked;    /* sums of a day */

struct journal *autoscaler_journal(const struct autoscaler *a)
{
    (void)a;
    return (struct journal *)&journal;
}

/* Two replicas for a day, of which the objective held half of the time that is known. */
void history_totals(struct journal *j, const char *object, int64_t since_ms, int64_t until_ms,
                    struct history_totals *out)
{
    assert_ptr_equal(j, &journal);
    assert_non_null(find(object));
    assert_int_equal(until_ms - since_ms, DAY_MS);
    asked++;
    *out = (struct history_totals){.replica_s = 2 * 86400, .slo_held_s = 1000, .slo_known_s = 2000};
}

struct loop *autoscaler_loop(const struct autoscaler *a)
{
    (void)a;
    return virtual_loop(world);
}

void autoscaler_listen(struct autoscaler *a, struct autoscaler_listener *l)
{
    (void)a;
    assert_null(listener);
    listener = l;
}

void autoscaler_unlisten(struct autoscaler *a, struct autoscaler_listener *l)
{
    (void)a;
    assert_ptr_equal(l, listener);
    listener = NULL;
}

void autoscaler_keys(const struct autoscaler *a, struct text *out)
{
    (void)a;
    for (size_t i = 0; i < OBJECTS; i++)
        if (models[i].there)
            text_append(out, models[i].key, strlen(models[i].key) + 1);
}

void autoscaler_some_objects(struct autoscaler *a, const char *const *keys, size_t count, autoscaler_visit *visit,
                             void *arg)
{
    (void)a;
    looks++;
    assert_true(count <= CATALOGUE_SLICE || count <= 1000);
    for (size_t i = 0; i < count; i++) {
        const struct model *m = find(keys[i]);
        struct object_status s;

        if (!m)
            continue;
        s = status_of(m);
        visit(arg, &s);
    }
}

/* ------------------------------------------------------------------ what happens to the model */

static void randomize(struct model *m)
{
    m->bad = chance(20) == 0;
    m->error = chance(10) == 0;
    m->held = chance(10) == 0;
    m->active = chance(2);
    m->known = chance(8) > 0;
    m->slo = chance(8) == 0;
    m->cost = chance(8) == 0;
    m->ready = (int32_t)chance(12);
    m->wished = (int32_t)chance(14);
    m->changed_at_ms = START_MS + chance(1000) * SECOND_MS;
    for (int i = 0; i < TRIGGERS; i++) {
        m->type[i] = (int)chance(4);
        m->server[i] = (int)chance(4);
        m->failing[i] = chance(6) == 0;
    }
}

static void come(struct model *m, size_t i)
{
    static const char *const names[] = {"web", "Mail", "queue-worker", "a"};

    m->job = chance(4) == 0;
    snprintf(m->key, sizeof(m->key), "%s/ns-%u/%s-%zu", m->job ? "ScaledJob" : "ScaledObject", chance(NAMESPACES),
             names[chance(4)], i);
    m->there = true;
    *m->snapshot = '\0';
    randomize(m);
    if (listener)
        listener->changed(listener->arg, m->key);
}

static void step(void)
{
    size_t i = chance(OBJECTS);
    struct model *m = &models[i];

    if (!m->there) {
        come(m, i);
        return;
    }
    if (chance(10) == 0) {
        m->there = false;
        if (listener)
            listener->gone(listener->arg, m->key);
        return;
    }
    randomize(m);
    if (listener)
        listener->changed(listener->arg, m->key);
}

/* ------------------------------------------------------------------ lists */

struct question {
    struct catalogue_filter filter;
    enum catalogue_sort sort;
    size_t offset, most;
};

static struct question random_question(void)
{
    static const char *const parts[] = {"", "mail", "ns-3/", "worker-1", "nothing-has-this"};
    static const char *const spaces[] = {"ns-0", "ns-3", "nowhere"};
    struct question q = {.sort = (enum catalogue_sort)chance(SORTS), .offset = chance(60), .most = 1 + chance(100)};

    q.filter.ns = chance(3) == 0 ? spaces[chance(3)] : NULL;
    q.filter.type = chance(3) == 0 ? types[1 + chance(3)] : NULL;
    q.filter.part = chance(3) == 0 ? parts[chance(5)] : NULL;
    q.filter.kind = chance(4) == 0 ? (chance(2) ? "ScaledJob" : "ScaledObject") : NULL;
    q.filter.states = chance(3) == 0 ? 1u << chance(ROW_STATES) : 0;
    return q;
}

static bool model_fits(const struct model *m, const struct catalogue_filter *f)
{
    struct object_status s = status_of(m);
    bool of_type = !f->type;
    char folded[64], ns[80];

    if (!m->there)
        return false;
    for (size_t i = 0; i <= strlen(m->key); i++)
        folded[i] = (char)(m->key[i] >= 'A' && m->key[i] <= 'Z' ? m->key[i] + 32 : m->key[i]);
    snprintf(ns, sizeof(ns), "/%s/", f->ns ? f->ns : "");
    for (size_t i = 0; i < s.trigger_count; i++)
        of_type |= f->type && strcmp(s.triggers[i].type, f->type) == 0;
    return of_type && (!f->ns || strstr(m->key, ns)) && (!f->part || strstr(strchr(folded, '/') + 1, f->part)) &&
           (!f->kind || (strcmp(f->kind, "ScaledJob") == 0) == m->job) &&
           (f->states == 0 || f->states >> row_state(&s) & 1);
}

static enum catalogue_sort sorted_by;

static int64_t value_of(const struct model *m)
{
    struct object_status s = status_of(m);

    switch (sorted_by) {
    case SORT_ATTENTION:
        return row_attention(&s);
    case SORT_REPLICAS:
        return m->job || m->known ? m->ready : -1;
    case SORT_CHANGED:
        return m->changed_at_ms;
    default:
        return 0;
    }
}

static int by_question(const void *left, const void *right)
{
    const struct model *a = *(struct model *const *)left, *b = *(struct model *const *)right;
    int64_t first = value_of(a), second = value_of(b);

    if (first != second)
        return first > second ? -1 : 1;
    return strcmp(strchr(a->key, '/'), strchr(b->key, '/'));
}

static void check_list(struct catalogue *c, const struct question *q)
{
    static struct model *wanted[OBJECTS];
    struct entry *entries[100];
    size_t count = 0, matched, found;

    for (size_t i = 0; i < OBJECTS; i++)
        if (model_fits(&models[i], &q->filter))
            wanted[count++] = &models[i];
    sorted_by = q->sort;
    qsort(wanted, count, sizeof(wanted[0]), by_question);
    found = catalogue_find(c, &q->filter, q->sort, q->offset, q->most, entries, &matched);
    assert_int_equal(matched, count);
    assert_int_equal(found, count <= q->offset ? 0 : count - q->offset < q->most ? count - q->offset : q->most);
    for (size_t i = 0; i < found; i++)
        assert_string_equal(entries[i]->key, wanted[q->offset + i]->key);
}

/* ------------------------------------------------------------------ counts */

static void check_source(const struct source *source)
{
    uint32_t objects = 0, failing = 0;

    for (size_t i = 0; i < OBJECTS; i++) {
        struct object_status s = status_of(&models[i]);
        bool has = false, fails = false;

        for (size_t j = 0; models[i].there && j < s.trigger_count; j++)
            if (strcmp(s.triggers[j].type, source->type->name) == 0 &&
                strcmp(s.triggers[j].destination, source->name) == 0) {
                has = true;
                fails |= s.triggers[j].sample.state == SAMPLE_FAILED;
            }
        objects += has;
        failing += fails;
    }
    assert_int_equal(source->objects, objects);
    assert_int_equal(source->failing, failing);
    assert_int_equal(source->why != NULL, failing > 0);
    assert_true(objects > 0);
}

static void check_totals(struct catalogue *c)
{
    struct catalogue_totals t, wanted = {0};
    uint32_t by_ns = 0;
    const char *name;
    void *value;

    catalogue_totals(c, &t);
    for (size_t i = 0; i < OBJECTS; i++) {
        struct object_status s = status_of(&models[i]);

        if (!models[i].there)
            continue;
        wanted.objects++;
        wanted.states[row_state(&s)]++;
        wanted.replicas += !models[i].job && models[i].known ? models[i].ready : 0;
    }
    assert_int_equal(t.objects, wanted.objects);
    assert_memory_equal(t.states, wanted.states, sizeof(t.states));
    assert_int_equal(t.replicas, wanted.replicas);
    for (size_t cursor = 0; map_next(t.sources, &cursor, &name, &value);)
        check_source(value);
    for (size_t cursor = 0; map_next(t.namespaces, &cursor, &name, &value);)
        by_ns += ((const struct tally *)value)->objects;
    assert_int_equal(by_ns, wanted.objects);
    for (size_t cursor = 0; map_next(t.types, &cursor, &name, &value);) {
        size_t matched;
        struct entry *none[1];

        catalogue_find(c, &(struct catalogue_filter){.type = name}, SORT_NAME, 0, 1, none, &matched);
        assert_int_equal(((const struct tally *)value)->objects, matched);
    }
}

static void assert_near(double value, double wanted)
{
    assert_true(fabs(value - wanted) < 1e-3);
}

/* What is known by now; after some minutes it is known of all. */
static void check_accounts(struct catalogue *c, bool all)
{
    struct catalogue_totals t;
    uint32_t slo = 0, cost = 0;

    catalogue_totals(c, &t);
    for (size_t i = 0; i < OBJECTS; i++) {
        slo += models[i].there && !models[i].job && models[i].slo;
        cost += models[i].there && !models[i].job && models[i].cost;
    }
    assert_int_equal(t.cost_objects, cost);
    assert_true(t.slo_objects <= slo);
    assert_near(t.slo_held_s, t.slo_objects * 1000.0);
    assert_near(t.slo_known_s, t.slo_objects * 2000.0);
    assert_near(t.cost, t.replica_hours * 0.5);
    if (!all)
        return;
    assert_int_equal(t.slo_objects, slo);
    assert_near(t.replica_hours, cost * 48.0);
}

/* ------------------------------------------------------------------ rows that moved */

static void snapshot_of(const struct model *m, char out[96])
{
    struct object_status s = status_of(m);

    snprintf(out, 96, "%d %d %lld %d %d %d %d", (int)row_state(&s), row_attention(&s), (long long)m->changed_at_ms,
             m->known, m->known || m->job ? m->ready : -1, m->active, m->held);
}

static void on_moved(void *arg, const char *row, size_t length)
{
    char key[96], *name = strstr(row, "\"name\":\""), *ns = strstr(row, "\"namespace\":\"");

    (void)arg;
    assert_int_equal(strlen(row), length);
    snprintf(key, sizeof(key), "%s/%.*s/%.*s", strstr(row, "ScaledJob\"") ? "ScaledJob" : "ScaledObject",
             (int)strcspn(ns + 13, "\""), ns + 13, (int)strcspn(name + 8, "\""), name + 8);
    assert_non_null(find(key));
    assert_false(find(key)->moved);
    find(key)->moved = true;
}

static void check_moved(struct catalogue *c)
{
    while (catalogue_moved(c, 30, on_moved, NULL) > 0)
        ;
    for (size_t i = 0; i < OBJECTS; i++) {
        struct model *m = &models[i];
        char now[96];

        if (!m->there)
            continue;
        snapshot_of(m, now);
        if (strcmp(now, m->snapshot) != 0 && !m->moved)
            fail_msg("%s changed from %s to %s and was not told", m->key, m->snapshot, now);
        snprintf(m->snapshot, sizeof(m->snapshot), "%s", now);
        m->moved = false;
    }
}

static void take_snapshots(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        if (models[i].there)
            snapshot_of(&models[i], models[i].snapshot);
}

static void on_fresh(void *arg, bool ended)
{
    assert_false(ended);
    ++*(int *)arg;
}

static void make_fresh(struct catalogue *c)
{
    int fresh = 0, turns = 0;

    catalogue_when_fresh(c, on_fresh, &fresh);
    while (fresh == 0 && virtual_step(world))
        turns++;
    assert_int_equal(fresh, 1);
    assert_true(turns <= OBJECTS / CATALOGUE_SLICE + 1);
}

/* ------------------------------------------------------------------ tests */

static void begin(size_t objects)
{
    seed = 20260101;
    world = virtual_world_new(1, START_MS);
    memset(models, 0, sizeof(models));
    for (size_t i = 0; i < objects; i++)
        come(&models[i], i);
}

static void test_random_changes(void **state)
{
    struct catalogue *c;

    (void)state;
    begin(OBJECTS / 2);
    c = catalogue_new(NULL);
    catalogue_hold(c);
    make_fresh(c);
    take_snapshots();
    for (int i = 0; i < STEPS; i++) {
        step();
        if (chance(8) > 0)
            continue;
        make_fresh(c);
        for (uint32_t n = chance(4); n > 0; n--) {
            struct question q = random_question();
            check_list(c, &q);
        }
        if (chance(10) == 0)
            check_totals(c);
        check_accounts(c, false);
        if (chance(6) == 0)
            check_moved(c);
    }
    catalogue_release(c);
    catalogue_free(c);
    assert_null(listener);
    virtual_world_free(world);
}

/* Thousands at once are sorted anew instead of moved one by one. */
static void test_many_changes_at_once(void **state)
{
    struct catalogue *c;

    (void)state;
    begin(OBJECTS);
    c = catalogue_new(NULL);
    for (int round = 0; round < 40; round++) {
        for (uint32_t n = chance(400); n > 0; n--)
            step();
        make_fresh(c);
        for (int sort = 0; sort < SORTS; sort++)
            check_list(c, &(struct question){.sort = (enum catalogue_sort)sort, .most = 100});
        check_totals(c);
    }
    catalogue_free(c);
    virtual_world_free(world);
}

static void test_unchanged_rows_are_not_made_again(void **state)
{
    struct entry *entries[10];
    struct catalogue *c;
    size_t matched, before;

    (void)state;
    begin(10);
    c = catalogue_new(NULL);
    make_fresh(c);
    assert_int_equal(catalogue_find(c, &(struct catalogue_filter){0}, SORT_NAME, 0, 10, entries, &matched), 10);
    catalogue_rows(c, entries, 10, on_moved, NULL);
    for (size_t i = 0; i < 10; i++)
        models[i].moved = false;
    before = looks;
    catalogue_rows(c, entries, 10, on_moved, NULL);
    assert_int_equal(looks, before);
    listener->changed(listener->arg, entries[3]->key);
    listener->changed(listener->arg, entries[3]->key);
    assert_true(catalogue_is_fresh(c));
    assert_int_equal(looks, before + 1);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(entries[i]->row == NULL, i == 3);
    catalogue_free(c);
    virtual_world_free(world);
}

/* Nothing is kept and nothing is listened to while nobody asks; streams ask as long as they are open. */
static void test_idle(void **state)
{
    struct catalogue *c;

    (void)state;
    begin(10);
    c = catalogue_new(NULL);
    assert_null(listener);
    make_fresh(c);
    assert_non_null(listener);
    virtual_run_until(world, START_MS + 3 * CATALOGUE_IDLE_MS);
    assert_null(listener);
    models[0].there = false; /* nobody was told */
    make_fresh(c);
    check_totals(c);
    catalogue_hold(c);
    virtual_run_until(world, START_MS + 9 * CATALOGUE_IDLE_MS);
    assert_non_null(listener);
    catalogue_release(c);
    virtual_run_until(world, START_MS + 12 * CATALOGUE_IDLE_MS);
    assert_null(listener);
    catalogue_free(c);
    virtual_world_free(world);
}

/* Manifests may say what they like: a type longer than a tally's name is counted, and forgotten, all the same. */
static void test_a_type_of_any_length(void **state)
{
    const char *usual = types[1];
    char type[600];
    struct catalogue *c;

    (void)state;
    memset(type, 'x', sizeof(type) - 1);
    type[sizeof(type) - 1] = '\0';
    types[1] = type;
    begin(50);
    c = catalogue_new(NULL);
    make_fresh(c);
    for (size_t i = 0; i < 50; i += 2) {
        models[i].there = false;
        listener->gone(listener->arg, models[i].key);
    }
    make_fresh(c);
    virtual_run_until(world, START_MS + 3 * CATALOGUE_IDLE_MS); /* it asserts that no source is left */
    assert_null(listener);
    catalogue_free(c);
    virtual_world_free(world);
    types[1] = usual;
}

/* Objectives and costs of a day are asked for a few a second, and of each at most once a minute. */
static void test_accounts(void **state)
{
    struct catalogue *c;

    (void)state;
    begin(OBJECTS);
    c = catalogue_new(NULL);
    catalogue_hold(c);
    asked = 0;
    make_fresh(c);
    virtual_run_until(world, START_MS + 55 * SECOND_MS);
    check_accounts(c, true);
    int once = asked;
    virtual_run_until(world, START_MS + 59 * SECOND_MS);
    assert_int_equal(asked, once);
    virtual_run_until(world, START_MS + 100 * SECOND_MS);
    assert_int_equal(asked, 2 * once);
    catalogue_release(c);
    catalogue_free(c);
    virtual_world_free(world);
}

static void on_ended(void *arg, bool ended)
{
    assert_true(ended);
    ++*(int *)arg;
}

static void test_who_waits_is_told_of_the_end(void **state)
{
    struct catalogue *c;
    int ended = 0;

    (void)state;
    begin(OBJECTS); /* more than a slice */
    c = catalogue_new(NULL);
    catalogue_when_fresh(c, on_ended, &ended);
    catalogue_when_fresh(c, on_ended, &ended);
    assert_false(catalogue_is_fresh(c));
    catalogue_free(c);
    assert_int_equal(ended, 2);
    virtual_world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_many_changes_at_once),
        cmocka_unit_test(test_unchanged_rows_are_not_made_again),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_a_type_of_any_length),
        cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_who_waits_is_told_of_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
