/*
 * The history: what is noted comes back as it was, whatever the clock does and however old it is. A naive reference goes over every
 * millisecond that counts; thirty days of a fleet are written to see how much space they take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <math.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/pack.h"
#include "base/time.h"
#include "journal/history.h"
#include "journal/history_chunk.h"
#include "journal/journal.h"
#include "series/series.h"

#define OBJECT "ScaledObject/shop/checkout"
#define START  (INT64_C(1767225600) * SECOND_MS) /* 2026-01-01, the begin of a day */

enum { SPAN = 5 * 60 * 1000, NOTES_MAX = 60 * 1000 };

static const char *const names[] = {"queue", "latency"};

static struct journal *open_at(const char *path)
{
    struct journal *journal;
    struct error err;

    if (!journal_open(path, &journal, &err))
        fail_msg("%s", err.text);
    return journal;
}

static void prune_all(struct journal *journal, int64_t now_ms)
{
    while (journal_prune(journal, now_ms))
        ;
}

/* ------------------------------------------------------------------ what is noted, and the reference */

struct noted {
    int64_t at_ms, hold_ms;
    int32_t wanted, ready;
    struct sample samples[2];
    bool has_slo, slo_held;
};
struct notes {
    struct noted *list;
    size_t count;
};

static void note(struct journal *journal, struct notes *notes, const struct noted *n)
{
    history_note(journal, OBJECT,
                 &(struct history_facts){.at_ms = n->at_ms,
                                         .hold_ms = n->hold_ms,
                                         .wanted = n->wanted,
                                         .ready = n->ready,
                                         .samples = n->samples,
                                         .triggers = names,
                                         .trigger_count = 2,
                                         .has_slo = n->has_slo,
                                         .slo_held = n->slo_held});
    if (notes) {
        assert_true(notes->count < NOTES_MAX);
        notes->list[notes->count++] = *n;
    }
}

struct naive {
    double sum, min, max, known_ms, missing_ms, failed_ms;
};

static void naive_value(struct naive *n, double value, double ms)
{
    n->min = n->known_ms > 0 && n->min < value ? n->min : value;
    n->max = n->known_ms > 0 && n->max > value ? n->max : value;
    n->sum += value * ms;
    n->known_ms += ms;
}

static void naive_sample(struct naive *n, const struct sample *sample, double ms)
{
    if (sample->state == SAMPLE_OK)
        naive_value(n, sample->value, ms);
    n->missing_ms += sample->state == SAMPLE_MISSING ? ms : 0;
    n->failed_ms += sample->state == SAMPLE_FAILED ? ms : 0;
}

struct reference {
    struct naive wanted, ready, values[2];
    double slo_known_ms, slo_held_ms;
};

/* Of (begin, end): a note counts until the next one, or as long as it may. */
static void reference(const struct notes *notes, int64_t begin_ms, int64_t end_ms, struct reference *out)
{
    *out = (struct reference){.slo_known_ms = 0};
    for (size_t i = 0; i + 1 < notes->count; i++) {
        const struct noted *n = &notes->list[i];
        int64_t from = n->at_ms, until = notes->list[i + 1].at_ms;

        until = until > from + n->hold_ms ? from + n->hold_ms : until;
        from = from > begin_ms ? from : begin_ms;
        until = until < end_ms ? until : end_ms;
        if (until <= from)
            continue;
        double ms = (double)(until - from);
        if (n->wanted >= 0)
            naive_value(&out->wanted, n->wanted, ms);
        if (n->ready >= 0)
            naive_value(&out->ready, n->ready, ms);
        for (int k = 0; k < 2; k++)
            naive_sample(&out->values[k], &n->samples[k], ms);
        out->slo_known_ms += n->has_slo ? ms : 0;
        out->slo_held_ms += n->has_slo && n->slo_held ? ms : 0;
    }
}

/* ------------------------------------------------------------------ comparing */

struct comparing {
    const struct notes *notes;
    size_t points;
};

static void same_number(const char *what, int64_t at_ms, double is, double shall, double tolerance)
{
    if (fabs(is - shall) > tolerance)
        fail_msg("%s at %lld min: %.9g, and the reference has %.9g", what, (long long)((at_ms - START) / MINUTE_MS), is,
                 shall);
}

static void same_range(const char *what, int64_t at_ms, const struct history_range *is, const struct naive *shall)
{
    double width = shall->max - shall->min, size = fmax(fabs(shall->min), fabs(shall->max));

    if (shall->known_ms == 0) {
        assert_true(isnan(is->min) && isnan(is->mean) && isnan(is->max));
        return;
    }
    same_number(what, at_ms, is->min, shall->min, fabs(shall->min) * 1.6e-5);
    same_number(what, at_ms, is->max, shall->max, fabs(shall->max) * 1.6e-5);
    same_number(what, at_ms, is->mean, shall->sum / shall->known_ms, width / 30000 + size * 2e-5);
}

static bool compare_point(void *arg, const struct history_point *p)
{
    struct comparing *c = arg;
    struct reference r;

    reference(c->notes, p->begin_ms, p->end_ms, &r);
    c->points++;
    same_range("wanted", p->begin_ms, &p->wanted, &r.wanted);
    same_range("ready", p->begin_ms, &p->ready, &r.ready);
    assert_int_equal(p->trigger_count, 2);
    for (size_t i = 0; i < 2; i++) {
        double asked = r.values[i].known_ms + r.values[i].missing_ms + r.values[i].failed_ms;

        assert_string_equal(p->triggers[i].name, names[i]);
        same_range(names[i], p->begin_ms, &p->triggers[i].value, &r.values[i]);
        same_number("missing", p->begin_ms, p->triggers[i].missing, asked > 0 ? r.values[i].missing_ms / asked : 0,
                    1e-5);
        same_number("failed", p->begin_ms, p->triggers[i].failed, asked > 0 ? r.values[i].failed_ms / asked : 0, 1e-5);
    }
    if (r.slo_known_ms > 0)
        same_number("slo", p->begin_ms, p->slo, r.slo_held_ms / r.slo_known_ms, 1e-5);
    else
        assert_true(isnan(p->slo));
    return true;
}

static size_t compare(struct journal *journal, const struct notes *notes, int64_t since_ms, int64_t until_ms,
                      size_t points, int64_t span_ms)
{
    struct comparing c = {.notes = notes};

    assert_int_equal(history_read(journal, OBJECT, since_ms, until_ms, points, compare_point, &c), span_ms);
    return c.points;
}

/* ------------------------------------------------------------------ days that are not like each other */

static uint32_t seed;

static double chance(void)
{
    seed = seed * 1664525 + 1013904223;
    return (double)(seed >> 8) / (1 << 24);
}

static struct sample some_sample(int64_t at_ms, double value)
{
    double c = chance();

    return (struct sample){.value = value,
                           .at_ms = at_ms,
                           .state = c < 0.02   ? SAMPLE_FAILED
                                    : c < 0.05 ? SAMPLE_MISSING
                                    : c < 0.06 ? SAMPLE_NONE
                                               : SAMPLE_OK};
}

static struct noted some_note(int64_t at_ms)
{
    int32_t wanted = (int32_t)(chance() * 9);

    return (struct noted){
        .at_ms = at_ms,
        .hold_ms = 2 * MINUTE_MS,
        .wanted = chance() < 0.01 ? -1 : wanted,
        .ready = chance() < 0.1 ? wanted / 2 : wanted,
        .samples = {some_sample(at_ms, floor(chance() * 1000)), some_sample(at_ms, chance() * chance() * 0.3 - 0.01)},
        .has_slo = chance() < 0.9,
        .slo_held = chance() < 0.95};
}

/* Polls every 20 to 100 s, now and then nothing for an hour. */
static void write_days(struct journal *journal, struct notes *notes, int64_t begin_ms, int64_t end_ms)
{
    int64_t hour = begin_ms / HOUR_MS;

    for (int64_t at = begin_ms; at < end_ms;) {
        struct noted n = some_note(at);

        note(journal, notes, &n);
        at += 20 * SECOND_MS + (int64_t)(chance() * 80 * SECOND_MS);
        if (chance() < 0.001)
            at += HOUR_MS;
        if (at / HOUR_MS != hour)
            prune_all(journal, at);
        hour = at / HOUR_MS;
    }
}

static struct notes no_notes(void)
{
    return (struct notes){.list = calloc(NOTES_MAX, sizeof(struct noted))};
}

static void as_the_reference_however_old(void **state)
{
    struct journal *journal = open_at(NULL);
    struct notes notes = no_notes();
    int64_t end = START + 33 * DAY_MS + 5 * HOUR_MS + 2 * MINUTE_MS;

    (void)state;
    seed = 1;
    write_days(journal, &notes, START, end);
    /* today: 5 minutes; a week ago: an hour; three weeks ago: four hours */
    assert_in_range(compare(journal, &notes, end - 20 * HOUR_MS, end, 1000, SPAN), 200, 241);
    assert_in_range(compare(journal, &notes, end - 7 * DAY_MS, end, 180, HOUR_MS), 160, 170);
    assert_in_range(compare(journal, &notes, START + 5 * DAY_MS, end, 180, 4 * HOUR_MS), 165, 171);
    assert_in_range(compare(journal, &notes, START + 6 * DAY_MS, START + 30 * DAY_MS, 6, 4 * DAY_MS), 6, 6);
    journal_close(journal);
    free(notes.list);
}

/* ------------------------------------------------------------------ clocks, restarts, changes */

static struct noted plain(int64_t at_ms, int32_t wanted)
{
    return (struct noted){.at_ms = at_ms,
                          .hold_ms = MINUTE_MS,
                          .wanted = wanted,
                          .ready = wanted,
                          .samples = {{.state = SAMPLE_OK, .value = wanted * 10, .at_ms = at_ms},
                                      {.state = SAMPLE_MISSING, .at_ms = at_ms}}};
}

static void put(struct journal *journal, int64_t at_ms, int32_t wanted)
{
    struct noted n = plain(at_ms, wanted);

    note(journal, NULL, &n);
}

static struct history_totals totals(struct journal *journal, int64_t since_ms, int64_t until_ms)
{
    struct history_totals t;

    history_totals(journal, OBJECT, since_ms, until_ms, &t);
    return t;
}

static void what_is_not_repeated_counts_for_a_while(void **state)
{
    struct journal *journal = open_at(NULL);

    (void)state;
    put(journal, START, 4);
    put(journal, START + HOUR_MS, 2); /* an hour later: 4 counted for its minute only */
    put(journal, START + HOUR_MS + 10 * SECOND_MS, 2);
    assert_float_equal(totals(journal, 0, START + DAY_MS).replica_s, 4 * 60 + 2 * 10, 0.01);
    assert_int_equal(totals(journal, 0, START + DAY_MS).scale_events, 1);
    assert_float_equal(totals(journal, START + HOUR_MS, START + DAY_MS).replica_s, 2 * 10, 0.01);
    journal_close(journal);
}

static void a_clock_that_goes_back_adds_to_what_is_there(void **state)
{
    struct journal *journal = open_at(NULL);

    (void)state;
    for (int i = 0; i <= 60; i++)
        put(journal, START + i * 10 * SECOND_MS, 3);
    put(journal, START - DAY_MS, 5); /* and once more from there */
    put(journal, START - DAY_MS + 20 * SECOND_MS, 5);
    put(journal, START + 100 * SECOND_MS, 3);
    put(journal, START + 110 * SECOND_MS, 3);
    assert_true(journal_commit(journal, NULL));
    assert_float_equal(totals(journal, START - DAY_MS, START - HOUR_MS).replica_s, 5 * (20 + 60), 0.01);
    /* seen twice, it does not count twice once it is stored: no span is longer than it is */
    put(journal, START + DAY_MS, 3);
    assert_float_equal(totals(journal, START - MINUTE_MS, START + HOUR_MS).replica_s, 3 * 600, 0.1);
    journal_close(journal);
}

static bool any(void *arg, const struct history_point *point)
{
    (void)point;
    return (*(int *)arg)++ < 1000;
}

static void no_clock_and_no_range_is_too_odd(void **state)
{
    static const int64_t odd[] = {INT64_MIN, -1, 0, 1, START, INT64_MAX - 1, INT64_MAX};
    struct journal *journal = open_at(NULL);

    (void)state;
    put(journal, START, 1);
    put(journal, START + 10 * SECOND_MS, 1);
    for (size_t i = 0; i < 7; i++)
        for (size_t k = 0; k < 7; k++) {
            int seen = 0;

            history_read(journal, OBJECT, odd[i], odd[k], i * 1000, any, &seen);
            assert_true(seen <= HISTORY_POINTS_MAX);
            totals(journal, odd[i], odd[k]);
        }
    journal_close(journal);
}

static void at_most_so_many_points(void **state)
{
    struct journal *journal = open_at(NULL);

    (void)state;
    for (int i = 0; i < 3000; i++)
        put(journal, START + i * 50 * SECOND_MS, i % 7);
    for (size_t points = 1; points <= HISTORY_POINTS_MAX; points = points * 3 / 2 + 1) {
        int seen = 0;
        int64_t span = history_read(journal, OBJECT, START + 1, START + 40 * HOUR_MS + 3, points, any, &seen);

        assert_in_range(seen, 1, points);
        assert_int_equal(span % SPAN, 0);
    }
    journal_close(journal);
}

struct names_seen {
    char text[200];
};

static bool list_names(void *arg, const struct history_point *point)
{
    struct names_seen *seen = arg;

    seen->text[0] = '\0';
    for (size_t i = 0; i < point->trigger_count; i++)
        snprintf(seen->text + strlen(seen->text), sizeof(seen->text) - strlen(seen->text), "%s=%.0f ",
                 point->triggers[i].name, point->triggers[i].value.mean);
    return true;
}

static void triggers_that_change_within_a_span(void **state)
{
    static const char *const others[] = {"gpus", "queue"};
    struct journal *journal = open_at(NULL);
    struct noted n = plain(START + 20 * SECOND_MS, 7);
    struct names_seen seen;

    (void)state;
    put(journal, START, 3);
    put(journal, START + 10 * SECOND_MS, 3);
    for (int i = 0; i < 2; i++, n.at_ms += 10 * SECOND_MS) {
        n.samples[1] = (struct sample){.state = SAMPLE_OK, .value = 40};
        history_note(journal, OBJECT,
                     &(struct history_facts){.at_ms = n.at_ms,
                                             .hold_ms = MINUTE_MS,
                                             .wanted = 3,
                                             .ready = 3,
                                             .samples = n.samples,
                                             .triggers = others,
                                             .trigger_count = 2});
    }
    history_read(journal, OBJECT, START, START + HOUR_MS, 10, list_names, &seen);
    assert_string_equal(seen.text, "queue=33 latency=nan gpus=70 ");
    assert_int_equal(totals(journal, START, START + HOUR_MS).scale_events, 0);
    journal_close(journal);
}

/* ------------------------------------------------------------------ files */

static char path[] = "/tmp/weir-history-XXXXXX", file[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(path, "/tmp/weir-history-XXXXXX");
    if (!mkdtemp(path))
        return 1;
    snprintf(file, sizeof(file), "%s/journal.db", path);
    return 0;
}

static int remove_folder(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", path);
    return system(command);
}

static void a_restart_loses_nothing(void **state)
{
    (void)state;
    for (int restart = 0; restart < 4; restart++) {
        struct journal *journal = open_at(file);

        for (int i = 0; i <= 5; i++)
            put(journal, START + (restart * 5 + i) * 10 * SECOND_MS, 2);
        journal_close(journal);
    }
    struct journal *journal = open_at(file);
    assert_float_equal(totals(journal, START, START + HOUR_MS).replica_s, 2 * 200, 0.01);
    journal_close(journal);
}

/* In a process of its own, which ends without a word. */
static void write_and_die(void)
{
    struct journal *journal = open_at(file);

    for (int i = 0; i <= 100; i++)
        put(journal, START + i * 10 * SECOND_MS, 2);
    journal_commit(journal, NULL);
    _exit(0);
}

static void a_kill_loses_the_span_of_now_at_most(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        write_and_die();
    assert_int_equal(waitpid(child, &status, 0), child);
    struct journal *journal = open_at(file);
    assert_float_equal(totals(journal, START, START + HOUR_MS).replica_s, 2 * 900, 0.01); /* three spans of 1000 s */
    journal_close(journal);
}

/* ------------------------------------------------------------------ space */

enum { FLEET = 16, FLEET_IN_FULL = 10000 };

/* An object that never rests: replicas that come and go by the hour of the day, two values that are new fractions at every poll. */
static void note_restless(struct journal *journal, int object, int64_t at_ms)
{
    double day = sin((double)(at_ms % DAY_MS) / (double)DAY_MS * 6.28 + object);
    int32_t wanted = 6 + (int32_t)(5 * day + 2 * chance());
    struct sample samples[2] = {{.state = SAMPLE_OK, .value = 500 + 400 * day + 50 * chance()},
                                {.state = SAMPLE_OK, .value = 0.2 + 0.1 * day + 0.05 * chance()}};
    char key[64];

    snprintf(key, sizeof(key), "ScaledObject/production/service-%d", object);
    history_note(journal, key,
                 &(struct history_facts){.at_ms = at_ms,
                                         .hold_ms = 3 * MINUTE_MS,
                                         .wanted = wanted,
                                         .ready = chance() < 0.2 ? wanted - 1 : wanted,
                                         .samples = samples,
                                         .triggers = names,
                                         .trigger_count = 2,
                                         .has_slo = true,
                                         .slo_held = chance() < 0.99});
}

static int64_t bytes_of(const struct journal *journal)
{
    struct journal_stats stats;

    journal_stats(journal, &stats);
    return stats.bytes;
}

static void thirty_days_of_a_fleet_fit(void **state)
{
    struct journal *journal = open_at(NULL);
    int64_t empty = bytes_of(journal), most = 0;

    (void)state;
    seed = 3;
    for (int64_t at = START; at < START + 36 * DAY_MS; at += 75 * SECOND_MS) {
        for (int i = 0; i < FLEET; i++)
            note_restless(journal, i, at);
        if (at % HOUR_MS < 75 * SECOND_MS) {
            prune_all(journal, at);
            most = bytes_of(journal) > most ? bytes_of(journal) : most;
        }
    }
    int64_t each = (most - empty) / FLEET;
    print_message("history: %lld bytes an object, %lld MB for %d\n", (long long)each,
                  (long long)(each * FLEET_IN_FULL / 1000000), FLEET_IN_FULL);
    assert_true(each * FLEET_IN_FULL < (int64_t)JOURNAL_MAX_BYTES * 3 / 4);
    journal_close(journal);
}

static void on_sample(void *arg, const char *trigger, const struct sample *sample)
{
    (void)trigger, (void)sample;
    (*(size_t *)arg)++;
}

static size_t count_samples(struct journal *journal, int64_t since_ms)
{
    size_t count = 0;

    journal_samples(journal, OBJECT, since_ms, on_sample, &count);
    return count;
}

static void add_samples(struct journal *journal, int64_t begin_ms, int64_t end_ms, int64_t step_ms)
{
    for (int64_t at = begin_ms; at < end_ms; at += step_ms)
        journal_sample(journal, OBJECT, "queue", &(struct sample){.state = SAMPLE_OK, .at_ms = at});
}

static void write_fleet(struct journal *journal, int64_t begin_ms, int64_t end_ms)
{
    seed = 7;
    for (int64_t at = begin_ms; at < end_ms; at += MINUTE_MS) {
        put(journal, at, 2);
        for (int i = 0; i < FLEET; i++)
            note_restless(journal, i, at);
    }
    journal_commit(journal, NULL);
    prune_all(journal, end_ms);
}

static void without_space_samples_go_before_spans(void **state)
{
    struct journal *journal = open_at(NULL);
    int64_t end = START + 3 * DAY_MS, empty = bytes_of(journal);

    (void)state;
    write_fleet(journal, START, end);
    int64_t history = bytes_of(journal);
    add_samples(journal, START, end, 10 * SECOND_MS);
    journal_set_max_bytes(journal, history + 200 * 1000);
    prune_all(journal, end);
    assert_in_range(bytes_of(journal), history, history + 200 * 1000);
    assert_int_equal(count_samples(journal, 0), count_samples(journal, end - 12 * HOUR_MS)); /* the oldest went */
    assert_int_equal(count_samples(journal, end - HOUR_MS), 359);
    assert_float_equal(totals(journal, START, end).replica_s, 2 * (3 * 86400 - 60), 1);
    journal_set_max_bytes(journal, empty + (history - empty) / 2); /* now there is not even space for the history */
    prune_all(journal, end);
    assert_true(bytes_of(journal) <= empty + (history - empty) / 2);
    assert_true(totals(journal, START, end).replica_s < 2 * 2 * 86400);
    assert_float_equal(totals(journal, end - 6 * HOUR_MS, end).replica_s, 2 * (6 * 3600 - 60), 1);
    journal_close(journal);
}

/* ------------------------------------------------------------------ bytes nobody wrote */

static void fill(struct chunk *chunk)
{
    for (size_t i = 0; i < chunk->spans; i++) {
        chunk->slots[i] = (struct slot){.used = chance() < 0.8, .slo_known_ms = 1000, .scale_events = 2};
        for (size_t k = 0; k < TRACK_TRIGGERS + chunk->name_count; k++)
            *chunk_track(chunk, k, i) = (struct track){.min = (float)chance(),
                                                       .max = 2,
                                                       .sum = 1.5 * 5000,
                                                       .known_ms = 5000,
                                                       .missing_ms = (uint32_t)(chance() * 9)};
    }
}

static void bytes_that_were_not_written_are_refused_or_read(void **state)
{
    struct coder packed = {.writing = true};
    struct chunk chunk;
    int refused = 0;

    (void)state;
    seed = 5;
    chunk_init(&chunk, START, SPAN, 12);
    chunk_trigger(&chunk, "queue");
    chunk_trigger(&chunk, "latency");
    fill(&chunk);
    chunk_write(&chunk, &packed);
    chunk_done(&chunk);
    for (int i = 0; i < 20000; i++) {
        size_t length = i % 3 ? packed.at : (size_t)(chance() * (double)packed.at);
        unsigned char *bytes = malloc(length + 1);

        memcpy(bytes, packed.bytes, length);
        for (int k = (int)(chance() * 4); k > 0 && length > 0; k--)
            bytes[(size_t)(chance() * (double)length)] = (unsigned char)(chance() * 256);
        chunk_init(&chunk, START, SPAN, 12);
        refused += !chunk_read(&chunk, bytes, length);
        chunk_done(&chunk);
        free(bytes);
    }
    assert_in_range(refused, 5000, 20000);
    free(packed.bytes);
}

/* ------------------------------------------------------------------ manifests */

struct manifests_seen {
    int count;
    uint64_t newest, oldest;
};

static bool on_manifest(void *arg, const struct history_manifest *manifest)
{
    struct manifests_seen *seen = arg;
    char text[32];

    snprintf(text, sizeof(text), "version: %d\n", (int)manifest->generation);
    assert_string_equal(manifest->yaml, text);
    if (seen->count++ == 0)
        seen->newest = manifest->generation;
    seen->oldest = manifest->generation;
    return true;
}

static void put_manifest(struct journal *journal, uint64_t generation, int64_t at_ms)
{
    char text[32];

    snprintf(text, sizeof(text), "version: %d\n", (int)generation);
    history_put_manifest(journal, OBJECT,
                         &(struct history_manifest){.at_ms = at_ms, .generation = generation, .yaml = text});
}

static struct manifests_seen manifests(struct journal *journal)
{
    struct manifests_seen seen = {0};

    history_manifests(journal, OBJECT, on_manifest, &seen);
    return seen;
}

static void the_last_versions_are_kept(void **state)
{
    struct journal *journal = open_at(NULL);
    struct manifests_seen seen;

    (void)state;
    assert_false(history_has_manifest(journal, OBJECT, 1));
    for (uint64_t i = 1; i <= 25; i++)
        put_manifest(journal, i, START - (int64_t)i); /* in their order, whatever the clock says */
    journal_commit(journal, NULL);
    seen = manifests(journal);
    assert_int_equal(seen.count, HISTORY_MANIFESTS_MAX);
    assert_int_equal(seen.newest, 25);
    assert_int_equal(seen.oldest, 26 - HISTORY_MANIFESTS_MAX);
    assert_true(history_has_manifest(journal, OBJECT, 25));
    assert_false(history_has_manifest(journal, OBJECT, 24)); /* there, but not what is in force */
    journal_close(journal);
}

static void versions_of_before_go_when_space_is_needed(void **state)
{
    struct journal *journal = open_at(NULL);
    struct manifests_seen seen;

    (void)state;
    for (uint64_t i = 1; i <= 3; i++)
        put_manifest(journal, i, START + (int64_t)i);
    journal_commit(journal, NULL);
    journal_set_max_bytes(journal, 1000);
    prune_all(journal, START + DAY_MS);
    seen = manifests(journal);
    assert_true(seen.count == 1 && seen.newest == 3);
    journal_delete_state(journal, OBJECT); /* the object is gone */
    journal_commit(journal, NULL);
    assert_true(history_has_manifest(journal, OBJECT, 3)); /* and is back as it was */
    journal_commit(journal, NULL);
    prune_all(journal, START + DAY_MS);
    assert_int_equal(manifests(journal).count, 1);
    journal_delete_state(journal, OBJECT);
    journal_commit(journal, NULL);
    prune_all(journal, START + DAY_MS);
    assert_int_equal(manifests(journal).count, 0);
    journal_close(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_reference_however_old),
        cmocka_unit_test(what_is_not_repeated_counts_for_a_while),
        cmocka_unit_test(a_clock_that_goes_back_adds_to_what_is_there),
        cmocka_unit_test(no_clock_and_no_range_is_too_odd),
        cmocka_unit_test(at_most_so_many_points),
        cmocka_unit_test(triggers_that_change_within_a_span),
        cmocka_unit_test_setup_teardown(a_restart_loses_nothing, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_kill_loses_the_span_of_now_at_most, make_folder, remove_folder),
        cmocka_unit_test(thirty_days_of_a_fleet_fit),
        cmocka_unit_test(without_space_samples_go_before_spans),
        cmocka_unit_test(bytes_that_were_not_written_are_refused_or_read),
        cmocka_unit_test(the_last_versions_are_kept),
        cmocka_unit_test(versions_of_before_go_when_space_is_needed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
