/* Recordings: every fact comes back bit for bit, whole or cut, from the start or the middle, and bounds are kept. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "decide/decide.h"
#include "journal/recording.h"
#include "series/series.h"

#define START_MS INT64_C(1767225600000)

enum { TRIGGERS = 3, RESOURCES = 1, PODS_MAX = 5 };

static char folder[64];
static const char *const names[TRIGGERS] = {"queue", "rate \"5m\"", "cpu"};
static const char key[] = "ScaledObject/shop/checkout";

/* ------------------------------------------------------------------ ticks, random but the same each time */

struct made { /* one tick with everything it points to */
    struct recorded_tick tick;
    struct decide_facts facts;
    struct sample samples[TRIGGERS];
    int64_t good[TRIGGERS];
    struct pod_fact pods[PODS_MAX];
    struct pod_usage usage[PODS_MAX];
    char pod_names[PODS_MAX][16];
};

static uint32_t seed;

static uint32_t dice(uint32_t sides)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % sides;
}

static double any_value(void)
{
    static const double odd[] = {0.1, -0.0, NAN, INFINITY, -INFINITY, 1e300, 5e-324, 1.0 / 3};

    return dice(3) ? (double)dice(1000) : odd[dice(sizeof(odd) / sizeof(odd[0]))];
}

static void change_samples(struct made *m, int64_t at_ms)
{
    for (size_t i = 0; i < TRIGGERS; i++) {
        if (dice(2))
            continue;
        m->samples[i] = (struct sample){
            .state = (enum sample_state)dice(4), .value = any_value(), .at_ms = at_ms - (int64_t)dice(300)};
        m->samples[i].stand_in = m->samples[i].state == SAMPLE_OK && dice(4) == 0;
        if (m->samples[i].state == SAMPLE_OK || dice(9) == 0)
            m->good[i] = m->samples[i].at_ms - (dice(5) == 0);
    }
}

static void change_pods(struct made *m, int64_t at_ms)
{
    m->facts.pod_count = dice(3) ? m->facts.pod_count : dice(PODS_MAX + 1);
    for (size_t i = 0; i < m->facts.pod_count; i++) {
        if (m->pods[i].name && dice(3))
            continue;
        snprintf(m->pod_names[i], sizeof(m->pod_names[i]), "pod-%u", dice(8));
        m->usage[i] = (struct pod_usage){.has_usage = dice(2),
                                         .has_request = dice(2),
                                         .usage = dice(1000),
                                         .request = 1000,
                                         .at_ms = at_ms - 5000,
                                         .window_ms = 15000};
        m->pods[i] = (struct pod_fact){.name = m->pod_names[i],
                                       .phase = (enum pod_phase)dice(5),
                                       .ready = (enum pod_ready)dice(4),
                                       .deleted = dice(5) == 0,
                                       .start_at_ms = at_ms - 60000,
                                       .ready_at_ms = at_ms - 50000,
                                       .usage = &m->usage[i]};
    }
}

static void change(struct made *m, int64_t at_ms)
{
    change_samples(m, at_ms);
    change_pods(m, at_ms);
    m->facts.now_ms = at_ms;
    m->facts.replicas = dice(4) ? m->facts.replicas : (int32_t)dice(9) - 1;
    m->facts.status_replicas = m->facts.ready_replicas = (int32_t)dice(3);
    m->facts.pods_failed = dice(6) == 0;
    m->facts.samples = m->samples;
    m->facts.good_at_ms = dice(8) ? m->good : NULL;
    m->facts.pods = m->pods;
    m->tick = (struct recorded_tick){.key = key,
                                     .at_ms = at_ms,
                                     .facts = &m->facts,
                                     .before = m->facts.replicas,
                                     .after = (int32_t)dice(3),
                                     .write = dice(2),
                                     .active = dice(2),
                                     .reason = (enum decision_reason)dice(REASON_COUNT),
                                     .has_value = dice(2),
                                     .value = any_value()};
}

static void check_same(const struct made *m, const struct recorded_tick *got)
{
    const struct decide_facts *f = got->facts;

    assert_string_equal(got->key, key);
    assert_int_equal(got->at_ms, m->tick.at_ms);
    assert_int_equal(f->now_ms, m->tick.at_ms);
    assert_int_equal(f->replicas, m->facts.replicas);
    assert_int_equal(f->status_replicas, m->facts.status_replicas);
    assert_int_equal(f->ready_replicas, m->facts.ready_replicas);
    assert_int_equal(f->pods_failed, m->facts.pods_failed);
    assert_int_equal(f->good_at_ms != NULL, m->facts.good_at_ms != NULL);
    for (size_t i = 0; i < TRIGGERS; i++) {
        assert_memory_equal(&f->samples[i].value, &m->samples[i].value, sizeof(double));
        assert_int_equal(f->samples[i].at_ms, m->samples[i].at_ms);
        assert_int_equal(f->samples[i].state, m->samples[i].state);
        assert_int_equal(f->samples[i].stand_in, m->samples[i].stand_in);
        if (f->good_at_ms)
            assert_int_equal(f->good_at_ms[i], m->good[i]);
    }
    assert_int_equal(f->pod_count, m->facts.pod_count);
    for (size_t i = 0; i < f->pod_count; i++) {
        assert_string_equal(f->pods[i].name, m->pods[i].name);
        assert_int_equal(f->pods[i].phase, m->pods[i].phase);
        assert_int_equal(f->pods[i].ready, m->pods[i].ready);
        assert_int_equal(f->pods[i].deleted, m->pods[i].deleted);
        assert_int_equal(f->pods[i].start_at_ms, m->pods[i].start_at_ms);
        assert_int_equal(f->pods[i].usage[0].has_usage, m->usage[i].has_usage);
        assert_int_equal(f->pods[i].usage[0].has_request, m->usage[i].has_request);
        assert_int_equal(f->pods[i].usage[0].usage, m->usage[i].usage);
        assert_int_equal(f->pods[i].usage[0].at_ms, m->usage[i].at_ms);
    }
    assert_int_equal(got->before, m->tick.before);
    assert_int_equal(got->after, m->tick.after);
    assert_int_equal(got->write, m->tick.write);
    assert_int_equal(got->active, m->tick.active);
    assert_int_equal(got->reason, m->tick.reason);
    assert_int_equal(got->has_value, m->tick.has_value);
    if (got->has_value)
        assert_memory_equal(&got->value, &m->tick.value, sizeof(double));
}

/* ------------------------------------------------------------------ folders */

static void empty_folder(void)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[400];

    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
            unlink(path);
        }
    if (dir)
        closedir(dir);
}

static size_t list_files(char paths[][400], size_t size, int64_t *bytes)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    size_t files = 0;
    struct stat status;

    *bytes = 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.' && files < size) {
            snprintf(paths[files], 400, "%s/%s", folder, entries[i]->d_name);
            assert_int_equal(stat(paths[files++], &status), 0);
            *bytes += status.st_size;
        }
        free(entries[i]);
    }
    free(entries);
    return files;
}

static struct recorder *open_recorder(int64_t file_max, int64_t folder_max)
{
    struct error err;
    struct recorder *r = recorder_open(folder, &(struct recorder_options){file_max, folder_max}, &err);

    if (!r)
        fail_msg("%s", err.text);
    return r;
}

static void put_object(struct recorder *r, int64_t at_ms, struct series *const *series)
{
    struct error err;

    assert_true(recorder_object(r,
                                &(struct recorded_object){.key = key,
                                                          .at_ms = at_ms,
                                                          .created_at_ms = at_ms - 5,
                                                          .generation = UINT64_MAX,
                                                          .interval_ms = 15000,
                                                          .triggers = names,
                                                          .trigger_count = TRIGGERS,
                                                          .resource_count = RESOURCES,
                                                          .memory = "\1\0remember",
                                                          .memory_length = 10,
                                                          .series = series},
                                &err));
}

/* Ticks from `first` on that are what was written; returns how many. */
static size_t check_ticks(const struct made *made, size_t first, size_t count, struct recording *in)
{
    struct recording_entry entry;
    struct error err;
    size_t ticks = 0;

    while (recording_next(in, &entry, &err)) {
        if (entry.kind != RECORDING_TICK)
            continue;
        assert_true(first + ticks < count);
        check_same(&made[first + ticks++], &entry.tick);
    }
    if (err.kind != ERROR_NONE)
        fail_msg("%s: %s", err.where, err.text);
    return ticks;
}

static struct made *make_ticks(size_t count)
{
    struct made *made = calloc(count, sizeof(*made));

    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            memcpy(&made[i], &made[i - 1], sizeof(made[i]));
        for (size_t j = 0; j < PODS_MAX && made[i].pods[j].name; j++) {
            made[i].pods[j].name = made[i].pod_names[j];
            made[i].pods[j].usage = &made[i].usage[j];
        }
        change(&made[i], START_MS + (int64_t)i * 1000);
    }
    return made;
}

/* ------------------------------------------------------------------ tests */

static void every_fact_comes_back(void **state)
{
    enum { COUNT = 2000 };
    struct made *made = make_ticks(COUNT);
    struct recorder *r = open_recorder(0, 0);
    struct recording_entry entry;
    struct error err;

    (void)state;
    put_object(r, START_MS, NULL);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(recorder_tick(r, &made[i].tick, &err));
    recorder_close(r);
    struct recording *in = recording_open(folder, &err);
    assert_true(recording_next(in, &entry, &err));
    assert_int_equal(entry.kind, RECORDING_OBJECT);
    assert_string_equal(entry.object.key, key);
    assert_true(entry.object.generation == UINT64_MAX);
    assert_int_equal(entry.object.created_at_ms, START_MS - 5);
    assert_int_equal(entry.object.interval_ms, 15000);
    assert_int_equal(entry.object.resource_count, RESOURCES);
    assert_string_equal(entry.object.triggers[1], names[1]);
    assert_int_equal(entry.object.memory_length, 10);
    assert_memory_equal(entry.object.memory, "\1\0remember", 10);
    assert_int_equal(check_ticks(made, 0, COUNT, in), COUNT);
    recording_close(in);
    free(made);
}

static void a_killed_writer_loses_what_was_not_flushed(void **state)
{
    enum { COUNT = 400, FLUSHED = 300 };
    struct made *made = make_ticks(COUNT);
    struct recorder *r = open_recorder(0, 0);
    char paths[4][400];
    struct error err;
    int64_t bytes;

    (void)state;
    put_object(r, START_MS, NULL);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(recorder_tick(r, &made[i].tick, &err));
        if (i + 1 == FLUSHED)
            assert_true(recorder_flush(r, &err));
    }
    struct recording *in = recording_open(folder, &err); /* as it lies there now */
    assert_in_range(check_ticks(made, 0, COUNT, in), FLUSHED, COUNT);
    recording_close(in);
    recorder_close(r);
    assert_int_equal(list_files(paths, 4, &bytes), 1);
    for (int64_t cut = bytes; cut > 0; cut -= 97) { /* wherever it ends */
        assert_int_equal(truncate(paths[0], cut), 0);
        in = recording_open(folder, &err);
        check_ticks(made, 0, COUNT, in);
        recording_close(in);
    }
    r = open_recorder(0, 0); /* and the next run goes on in a file of its own */
    put_object(r, START_MS, NULL);
    assert_true(recorder_tick(r, &made[0].tick, &err));
    recorder_close(r);
    in = recording_open(folder, &err);
    assert_int_equal(check_ticks(made, 0, COUNT, in), 1);
    recording_close(in);
    free(made);
}

static void files_are_rotated_and_the_oldest_go(void **state)
{
    enum { COUNT = 3000, FILE_MAX = 4000, FOLDER_MAX = 40000 };
    struct made *made = make_ticks(COUNT);
    struct recorder *r = open_recorder(FILE_MAX, FOLDER_MAX);
    char paths[64][400];
    struct error err;
    int64_t bytes;

    (void)state;
    put_object(r, START_MS, NULL);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(recorder_tick(r, &made[i].tick, &err));
        if (i % 10 == 0)
            assert_true(recorder_flush(r, &err));
    }
    recorder_close(r);
    size_t files = list_files(paths, 64, &bytes);
    assert_in_range(files, 3, 15);
    assert_in_range(bytes, FOLDER_MAX / 2, FOLDER_MAX + 2 * FILE_MAX);
    /* what is left is read without gaps to its end, from the middle of the run on */
    struct recording *in = recording_open(folder, &err);
    struct recording_entry entry;
    assert_true(recording_next(in, &entry, &err));
    assert_int_equal(entry.kind, RECORDING_OBJECT);
    size_t first = (size_t)((entry.object.at_ms - START_MS) / 1000) + 1;
    assert_in_range(first, 100, COUNT - 100);
    assert_int_equal(check_ticks(made, first, COUNT, in), COUNT - first);
    recording_close(in);
    /* and a file alone from where it describes the object */
    in = recording_open(paths[files - 1], &err);
    assert_true(recording_next(in, &entry, &err));
    assert_int_equal(entry.kind, RECORDING_OBJECT);
    first = (size_t)((entry.object.at_ms - START_MS) / 1000) + 1;
    assert_int_equal(check_ticks(made, first, COUNT, in), COUNT - first);
    recording_close(in);
    free(made);
}

static void a_file_missing_in_between_is_a_new_beginning(void **state)
{
    enum { COUNT = 600 };
    struct made *made = make_ticks(COUNT);
    struct recorder *r = open_recorder(3000, 0);
    char paths[64][400];
    struct recording_entry entry;
    struct error err;
    int64_t bytes, last_ms = 0;
    size_t objects = 0;

    (void)state;
    put_object(r, START_MS, NULL);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(recorder_tick(r, &made[i].tick, &err));
        if (i % 10 == 0)
            assert_true(recorder_flush(r, &err));
    }
    recorder_close(r);
    assert_in_range(list_files(paths, 64, &bytes), 3, 64);
    unlink(paths[1]);
    struct recording *in = recording_open(folder, &err);
    while (recording_next(in, &entry, &err)) {
        objects += entry.kind == RECORDING_OBJECT;
        if (entry.kind == RECORDING_TICK) {
            last_ms = entry.tick.at_ms;
            check_same(&made[(last_ms - START_MS) / 1000], &entry.tick);
        }
    }
    assert_int_equal(err.kind, ERROR_NONE);
    assert_int_equal(objects, 2);
    assert_int_equal(last_ms, made[COUNT - 1].tick.at_ms);
    recording_close(in);
    free(made);
}

static void series_and_writes_are_entries(void **state)
{
    struct series *series[TRIGGERS] = {series_new(600000, 100)};
    struct made *made = make_ticks(2);
    struct recorder *r;
    struct recording_entry entry;
    struct error err;
    static const enum recording_entry_kind wanted[] = {RECORDING_OBJECT, RECORDING_SAMPLE,  RECORDING_SAMPLE,
                                                       RECORDING_TICK,   RECORDING_APPLIED, RECORDING_SAMPLE,
                                                       RECORDING_TICK};
    static const int64_t times[] = {0, START_MS - 9000, START_MS - 3000, 0, START_MS + 20, START_MS + 500, 0};

    (void)state;
    series_add(series[0], &(struct sample){.state = SAMPLE_OK, .value = 1, .at_ms = START_MS - 9000});
    series_add(series[0], &(struct sample){.state = SAMPLE_FAILED, .at_ms = START_MS - 3000});
    r = open_recorder(0, 0);
    put_object(r, START_MS, series);
    made[0].facts.series = made[1].facts.series = series;
    made[0].samples[0] = (struct sample){.state = SAMPLE_OK, .value = 7, .at_ms = START_MS};
    series_add(series[0], &made[0].samples[0]); /* the tick has it */
    assert_true(recorder_tick(r, &made[0].tick, &err));
    assert_true(recorder_applied(r, key, START_MS + 20, &err));
    series_add(series[0], &(struct sample){.state = SAMPLE_OK, .value = 8, .at_ms = START_MS + 500});
    made[1].samples[0] = (struct sample){.state = SAMPLE_OK, .value = 9, .at_ms = START_MS + 900};
    series_add(series[0], &made[1].samples[0]);
    assert_true(recorder_tick(r, &made[1].tick, &err));
    recorder_close(r);
    struct recording *in = recording_open(folder, &err);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        assert_true(recording_next(in, &entry, &err));
        assert_int_equal(entry.kind, wanted[i]);
        if (entry.kind == RECORDING_SAMPLE) {
            assert_string_equal(entry.trigger, names[0]);
            assert_int_equal(entry.sample.at_ms, times[i]);
            assert_int_equal(entry.sample.state, i == 2 ? SAMPLE_FAILED : SAMPLE_OK);
        }
        if (entry.kind == RECORDING_APPLIED)
            assert_int_equal(entry.applied_at_ms, times[i]);
    }
    assert_false(recording_next(in, &entry, &err));
    recording_close(in);
    series_free(series[0]);
    free(made);
}

static void jobs_come_back(void **state)
{
    struct recorder *r = open_recorder(0, 0);
    struct sample samples[] = {{.state = SAMPLE_OK, .value = 3, .at_ms = START_MS}};
    struct job_facts facts = {
        .now_ms = START_MS + 5, .running = 2, .pending = 1, .samples = samples, .created_last_at_ms = 77};
    static const char *const one[] = {"queue"};
    struct recording_entry entry;
    struct error err;

    (void)state;
    assert_true(recorder_object(
        r,
        &(struct recorded_object){
            .key = "ScaledJob/a/b", .at_ms = START_MS, .is_job = true, .triggers = one, .trigger_count = 1},
        &err));
    for (int i = 0; i < 2; i++)
        assert_true(recorder_job_tick(
            r, &(struct recorded_job_tick){.key = "ScaledJob/a/b", .facts = &facts, .create = 4, .queue_length = 3},
            &err));
    recorder_close(r);
    struct recording *in = recording_open(folder, &err);
    assert_true(recording_next(in, &entry, &err));
    assert_true(entry.object.is_job);
    for (int i = 0; i < 2; i++) {
        assert_true(recording_next(in, &entry, &err));
        assert_int_equal(entry.kind, RECORDING_JOB_TICK);
        assert_int_equal(entry.job_tick.facts->running, 2);
        assert_int_equal(entry.job_tick.facts->pending, 1);
        assert_int_equal(entry.job_tick.facts->created_last_at_ms, 77);
        assert_int_equal(entry.job_tick.create, 4);
        assert_int_equal(entry.job_tick.facts->samples[0].value, 3);
    }
    recording_close(in);
}

static void a_full_disk_is_said_once_and_got_over(void **state)
{
    struct made *made = make_ticks(2000);
    struct recorder *r = open_recorder(0, 0);
    struct rlimit usual, small;
    struct error err;
    size_t failures = 0, i = 0;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &usual);
    small = usual;
    small.rlim_cur = 2000;
    put_object(r, START_MS, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (; i < 50; i++) { /* one second each; looked at again after a minute */
        failures += !recorder_tick(r, &made[i].tick, &err);
        failures += !recorder_flush(r, NULL);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
    for (; i < 200; i++)
        failures += !recorder_tick(r, &made[i].tick, &err);
    assert_int_equal(failures, 1);
    recorder_close(r);
    struct recording *in = recording_open(folder, &err);
    struct recording_entry entry;
    int64_t last_ms = 0;
    while (recording_next(in, &entry, &err))
        if (entry.kind == RECORDING_TICK) {
            last_ms = entry.tick.at_ms;
            check_same(&made[(last_ms - START_MS) / 1000], &entry.tick);
        }
    assert_int_equal(err.kind, ERROR_NONE);
    assert_int_equal(last_ms, made[199].tick.at_ms);
    recording_close(in);
    free(made);
}

static const struct {
    const char *line, *problem;
} wrong[] = {
    {"", ""},
    {"{", ""},
    {"[]", "'o' is missing"},
    {"{\"o\":-1}", "'o' is missing or out of range"},
    {"{\"o\":999999999,\"key\":\"a\"}", "'o' is missing or out of range"},
    {"{\"o\":1,\"key\":\"a\"}", "no generation"},
    {"{\"o\":1,\"key\":\"a\",\"generation\":\"1\",\"at\":1,\"created\":1,\"interval\":1,\"triggers\":[1],\"resources\":"
     "0}",
     "no text"},
    {"{\"o\":1,\"key\":\"a\",\"generation\":\"1\",\"at\":1,\"created\":1,\"interval\":1,\"triggers\":[],\"resources\":"
     "1}",
     "'resources'"},
    {"{\"o\":1,\"key\":\"a\",\"generation\":\"1\",\"at\":1,\"created\":1,\"interval\":1,\"triggers\":[],\"resources\":"
     "0,"
     "\"memory\":\"*\"}",
     "no base64"},
    {"{\"o\":0}", "a number is missing"},
    {"{\"o\":0,\"at\":1,\"samples\":{\"1\":[0,1]}}", "'1' is no trigger"},
    {"{\"o\":0,\"at\":1,\"samples\":{\"x\":[0,1]}}", "'x' is no trigger"},
    {"{\"o\":0,\"at\":1,\"samples\":{\"0\":[0,1,\"odd\"]}}", "'odd' is no state"},
    {"{\"o\":0,\"at\":1,\"samples\":[1]}", "a list"},
    {"{\"o\":0,\"at\":1,\"pods\":[0]}", "no pod 0 before"},
    {"{\"o\":0,\"at\":1,\"pods\":[[1]]}", "a pod is not"},
    {"{\"o\":0,\"at\":1,\"decision\":[1,2,\"why\",true,true]}", "a decision is not"},
    {"{\"o\":0,\"trigger\":3,\"sample\":[1,2]}", "'trigger'"},
};

static void wrong_lines_are_refused_with_their_place(void **state)
{
    char path[400], place[420];

    (void)state;
    snprintf(path, sizeof(path), "%s/weir-000001-x.jsonl.gz", folder);
    snprintf(place, sizeof(place), "%s:3", path);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        gzFile out = gzopen(path, "wb");
        struct recording_entry entry;
        struct error err = {.kind = ERROR_NONE};

        gzprintf(
            out,
            "{\"recording\":1,\"number\":1,\"continues\":null}\n"
            "{\"o\":0,\"key\":\"b\",\"generation\":\"1\",\"at\":1,\"created\":1,\"interval\":1,\"triggers\":[\"t\"],"
            "\"resources\":0}\n%s\n",
            wrong[i].line);
        gzclose(out);
        struct recording *in = recording_open(path, &err);
        assert_true(recording_next(in, &entry, &err));
        if (recording_next(in, &entry, &err) || err.kind == ERROR_NONE || strcmp(err.where, place) != 0 ||
            !strstr(err.text, wrong[i].problem))
            fail_msg("%s is: %s: %s", wrong[i].line, err.where, err.text);
        recording_close(in);
    }
}

static void what_is_no_recording_is_said_so(void **state)
{
    char path[400];
    struct recording_entry entry;
    struct error err;

    (void)state;
    assert_null(recording_open("/nowhere/at/all", &err));
    assert_null(recording_open(folder, &err));
    assert_non_null(strstr(err.text, "has no file of a recording"));
    snprintf(path, sizeof(path), "%s/a.csv", folder);
    FILE *out = fopen(path, "w");
    fputs("time,queue\n0,5\n", out);
    fclose(out);
    assert_false(recording_is(path));
    assert_true(recording_is(folder));
    struct recording *in = recording_open(path, &err);
    assert_false(recording_next(in, &entry, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "no recording of Weir"));
    recording_close(in);
    out = fopen(path, "w");
    fputs("{\"recording\":2,\"number\":1}\n", out);
    fclose(out);
    assert_true(recording_is(path));
    in = recording_open(path, &err);
    assert_false(recording_next(in, &entry, &err));
    assert_non_null(strstr(err.text, "it has format 2"));
    recording_close(in);
}

static void two_do_not_write_into_one_folder(void **state)
{
    struct recorder *r = open_recorder(0, 0);
    struct error err;

    (void)state;
    assert_null(recorder_open(folder, NULL, &err));
    assert_non_null(strstr(err.text, "another process records into"));
    recorder_close(r);
    recorder_close(open_recorder(0, 0));
    assert_null(recorder_open("/proc/none", NULL, &err));
    assert_non_null(strstr(err.text, "cannot be made"));
}

static int clean(void **state)
{
    (void)state;
    empty_folder();
    seed = 1;
    return 0;
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/weir-recording-%ld", (long)getpid());
    return mkdir(folder, 0700);
}

static int remove_folder(void **state)
{
    (void)state;
    empty_folder();
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_fact_comes_back, clean),
        cmocka_unit_test_setup(a_killed_writer_loses_what_was_not_flushed, clean),
        cmocka_unit_test_setup(files_are_rotated_and_the_oldest_go, clean),
        cmocka_unit_test_setup(a_file_missing_in_between_is_a_new_beginning, clean),
        cmocka_unit_test_setup(series_and_writes_are_entries, clean),
        cmocka_unit_test_setup(jobs_come_back, clean),
        cmocka_unit_test_setup(a_full_disk_is_said_once_and_got_over, clean),
        cmocka_unit_test_setup(wrong_lines_are_refused_with_their_place, clean),
        cmocka_unit_test_setup(what_is_no_recording_is_said_so, clean),
        cmocka_unit_test_setup(two_do_not_write_into_one_folder, clean),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
