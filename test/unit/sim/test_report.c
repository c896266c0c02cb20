/* The page of simulations: nothing of note is lost where values and decisions are thinned, sentences come back whole, nothing can break out. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <openssl/evp.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "sim/report_internal.h"

/* ------------------------------------------------------------------ the grid */

static const struct {
    const char *title;
    double values[4]; /* one a millisecond, then joined into one row */
    double low, high;
    bool high_first, gap;
} joined[] = {
    {"up", {1, 2, 3, 4}, 1, 4, false, false},
    {"down", {4, 3, 2, 1}, 1, 4, true, false},
    {"a spike", {2, 9, 2, 3}, 2, 9, false, false},
    {"a dip", {2, 3, -1, 3}, -1, 3, true, false},
    {"both in the second half", {5, 5, 8, 1}, 1, 8, true, false},
    {"level", {7, 7, 7, 7}, 7, 7, false, false},
    {"a gap", {2, NAN, 3, 2}, 2, 3, false, true},
    {"infinite is a gap", {2, INFINITY, 3, 2}, 2, 3, false, true},
};

static void a_row_keeps_its_extremes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(joined) / sizeof(*joined); i++) {
        struct grid grid;
        grid_init(&grid);
        size_t column = grid_add_column(&grid);

        for (int k = 0; k < 4; k++)
            grid_put(&grid, column, k, joined[i].values[k]);
        grid_narrow(&grid, 1);
        const struct cell *cell = grid.columns[column].cells;
        if (grid.used != 1 || grid.width_ms != 4 || cell->low != joined[i].low || cell->high != joined[i].high ||
            cell->high_first != joined[i].high_first || cell->gap != joined[i].gap)
            fail_msg("%s: %g to %g", joined[i].title, cell->low, cell->high);
        grid_done(&grid);
    }
}

static void a_long_run_has_no_more_rows(void **state)
{
    struct grid grid;
    double low = 0, high = 0;

    (void)state;
    grid_init(&grid);
    size_t column = grid_add_column(&grid), late = grid_add_column(&grid), never = grid_add_column(&grid);
    for (int64_t tick = 0; tick < 100000; tick++)
        grid_put(&grid, column, tick * 15000, tick == 777 ? 1e6 : tick == 99998 ? -5 : 1);
    grid_put(&grid, late, INT64_C(99999) * 15000, 4);
    assert_true(grid.used <= SIM_REPORT_ROWS_MAX && grid.used > SIM_REPORT_ROWS_MAX / 2);
    for (size_t row = 0; row < grid.columns[column].used; row++) {
        low = fmin(low, grid.columns[column].cells[row].low);
        high = fmax(high, grid.columns[column].cells[row].high);
        assert_true(grid.first_ms[row] / grid.width_ms == (int64_t)row);
    }
    assert_true(low == -5 && high == 1e6);
    assert_true(grid.columns[late].cells[grid.used - 1].known && !grid.columns[late].cells[0].known);
    assert_int_equal(grid.columns[never].used, 0);
    grid_done(&grid);
}

/* ------------------------------------------------------------------ sentences */

static const struct {
    const char *sentence, *kept;
} sentences[] = {
    {"formula at 2.5 against a target of 10 asks for 3", "[0,2.5,10,3]"},
    {"formula at 0.25 against a target of 1 asks for 12", "[0,0.25,1,12]"},
    {"at 07:30", "[1,\"07\",30]"},         /* a script would print 7 */
    {"at 1.50", "[2,\"1.50\"]"},           /* and 1.5 */
    {"at 0.0000001", "[2,\"0.0000001\"]"}, /* and 1e-7 */
    {"at 12345678901234567890", "[2,\"12345678901234567890\"]"},
    {"at -3", "[3,3]"},
    {"0 -> 1", "[4,0,1]"},
    {"s0-x.2.y", "[5,0,2]"},
    {"no number", "[6]"},
    {"", "[7]"},
    {"\001 4", "\"\\u0001 4\""}, /* would be taken for a place */
};

static void sentences_are_kept_without_their_numbers(void **state)
{
    struct words words;
    struct text out;

    (void)state;
    words_init(&words);
    text_init(&out, 4096);
    for (size_t i = 0; i < sizeof(sentences) / sizeof(*sentences); i++) {
        text_clear(&out);
        words_add(&words, sentences[i].sentence, &out);
        assert_string_equal(out.bytes, sentences[i].kept);
    }
    assert_string_equal(words.skeletons[0], "formula at \001 against a target of \001 asks for \001");
    text_done(&out);
    words_done(&words);
}

static void more_kinds_of_sentences_than_kept_stand_as_they_are(void **state)
{
    struct words words;
    struct text out;
    char sentence[32];

    (void)state;
    words_init(&words);
    text_init(&out, 4096);
    for (int i = 0; i < 5000; i++) {
        for (int bit = 0; bit < 13; bit++)
            sentence[bit] = i >> bit & 1 ? 'b' : 'a';
        sentence[13] = '\0';
        text_clear(&out);
        words_add(&words, sentence, &out);
    }
    assert_int_equal(words.count, 4096);
    assert_string_equal(out.bytes, "\"bbbaaaabbbaab\""); /* 4999 */
    text_done(&out);
    words_done(&words);
}

/* ------------------------------------------------------------------ ticks */

static const char *const names[] = {"queue"};

struct tick { /* what matters here */
    int32_t replicas, after;
    enum decision_reason reason;
    enum sample_state state;
    double value;
};

static void feed(struct sim_report_run *run, int64_t at_ms, const struct tick *t)
{
    struct policy_trigger about = {.name = names[0], .type = "redis"};
    struct decide_trigger rules = {.target = 5};
    struct policy policy = {
        .kind = "ScaledObject", .ns = "shop", .name = "checkout", .triggers = &about, .trigger_count = 1};
    struct sample sample = {.state = t->state, .value = t->value};
    struct decision d = {.before = t->replicas,
                         .after = t->after,
                         .write = t->replicas != t->after,
                         .reason = t->reason,
                         .input_count = 1,
                         .step_count = 2};

    policy.rules = (struct decide_rules){.max = 10, .trigger_count = 1, .triggers = &rules};
    d.inputs[0] = (struct decision_input){.state = t->state, .value = t->value, .proposal = t->after};
    d.steps[0] = (struct decision_step){STEP_CURRENT, CAUSE_OBJECT, t->replicas, t->replicas, 0, 0};
    d.steps[1] = (struct decision_step){STEP_PROPOSED, 0, t->replicas, t->after, t->value, 5};
    sim_report_tick(run, &(struct simulation_tick){.at_ms = at_ms,
                                                   .decision = &d,
                                                   .names = &(struct decision_names){names, 1, NULL},
                                                   .samples = &sample,
                                                   .trigger_count = 1,
                                                   .replicas = t->replicas,
                                                   .ready = t->replicas,
                                                   .policy = &policy});
}

static struct sim_report_run *one_run(struct sim_report **report)
{
    *report = sim_report_new("weir simulate", "a test");
    return sim_report_run(*report, &(struct sim_report_run_options){.name = "a.yaml"});
}

static void equal_decisions_are_one_record(void **state)
{
    static const struct tick ticks[] = {
        {1, 3, REASON_ABOVE_TARGET, SAMPLE_OK, 15}, {3, 3, REASON_STEADY, SAMPLE_OK, 15},
        {3, 3, REASON_STEADY, SAMPLE_OK, 14},       {3, 3, REASON_HELD, SAMPLE_FAILED, 0},
        {3, 3, REASON_STEADY, SAMPLE_OK, 15},       {3, 2, REASON_BELOW_TARGET, SAMPLE_OK, 9},
    };
    static const int64_t expected[][4] = {/* at, until, decisions, moves */
                                          {0, 0, 1, 1},
                                          {1, 2, 2, 0},
                                          {3, 3, 1, 0},
                                          {4, 4, 1, 0},
                                          {5, 5, 1, 1}};
    struct sim_report *report;
    struct sim_report_run *run = one_run(&report);

    (void)state;
    for (size_t i = 0; i < sizeof(ticks) / sizeof(*ticks); i++)
        feed(run, (int64_t)i * 1000, &ticks[i]);
    assert_int_equal(run->record_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(run->records[i].at_ms, expected[i][0] * 1000);
        assert_int_equal(run->records[i].until_ms, expected[i][1] * 1000);
        assert_int_equal(run->records[i].decisions, expected[i][2]);
        assert_int_equal(run->records[i].moves, expected[i][3]);
    }
    assert_int_equal(run->move_count, 2);
    assert_true(run->grid.columns[run->first_trigger].cells[3000 / run->grid.width_ms].gap); /* failed is no value */
    sim_report_free(report);
}

static void who_moves_what_is_told_apart(void **state)
{
    struct sim_report *report;
    struct sim_report_run *run = one_run(&report);

    (void)state;
    feed(run, 0, &(struct tick){1, 3, REASON_ABOVE_TARGET, SAMPLE_OK, 15});
    feed(run, 1000, &(struct tick){1, 3, REASON_ABOVE_TARGET, SAMPLE_OK, 15}); /* still being written */
    feed(run, 2000, &(struct tick){3, 3, REASON_STEADY, SAMPLE_OK, 15});
    feed(run, 3000, &(struct tick){7, 7, REASON_STEADY, SAMPLE_OK, 35}); /* somebody else */
    assert_int_equal(run->move_count, 2);
    assert_true(run->moves[1].at_ms == 3000 && run->moves[1].before == 3 && run->moves[1].after == 7);
    sim_report_free(report);
}

static void check_sums(const struct sim_report_run *run, int64_t ticks, int64_t moves)
{
    int64_t decisions = 0, moved = 0, others = 0;

    for (size_t i = 0; i < run->record_count; i++) {
        decisions += run->records[i].decisions;
        moved += run->records[i].moves;
        others += run->records[i].others;
        if (i > 0)
            assert_true(run->records[i].at_ms > run->records[i - 1].until_ms);
    }
    assert_true(run->record_count <= SIM_REPORT_RECORDS_MAX);
    assert_int_equal(decisions, ticks);
    assert_int_equal(moved, moves);
    assert_true(others > 0);
}

/* Replicas rest, reasons change all the time, and twice something moves: both are still there. */
static void folding_spares_scale_events(void **state)
{
    struct sim_report *report;
    struct sim_report_run *run = one_run(&report);
    size_t moving = 0;

    (void)state;
    for (int i = 0; i < 40000; i++) {
        bool moves = i == 100 || i == 30000;
        int32_t replicas = i <= 100 ? 1 : i <= 30000 ? 2 : 3;

        feed(run, i * 15000,
             &(struct tick){replicas, replicas + moves, i % 2 ? REASON_STEADY : REASON_AT_MIN, SAMPLE_OK, i});
    }
    check_sums(run, 40000, 2);
    for (size_t i = 0; i < run->record_count; i++)
        moving += run->records[i].moves == 1 && run->records[i].others == 0;
    assert_int_equal(moving, 2);
    sim_report_free(report);
}

static void an_oscillating_run_stays_in_its_bounds(void **state)
{
    int64_t ticks = SIM_REPORT_EVENTS_MAX + 10;
    struct sim_report *report;
    struct sim_report_run *run = one_run(&report);

    (void)state;
    for (int64_t i = 0; i < ticks; i++)
        feed(run, i * 15000,
             &(struct tick){(int32_t)(1 + i % 2), (int32_t)(2 - i % 2), REASON_ABOVE_TARGET, SAMPLE_OK, 5});
    check_sums(run, ticks, ticks);
    assert_int_equal(run->move_count, SIM_REPORT_EVENTS_MAX);
    assert_int_equal(run->moves_left_out, 10);
    sim_report_free(report);
}

static void runs_share_what_a_page_may_weigh(void **state)
{
    struct sim_report *report;
    struct sim_report_run *run = one_run(&report);
    struct text out;

    (void)state;
    sim_report_run(report, &(struct sim_report_run_options){.name = "b.yaml"});
    for (int i = 0; i < 6000; i++)
        feed(run, i * 15000, &(struct tick){1 + i % 2, 2 - i % 2, REASON_ABOVE_TARGET, SAMPLE_OK, 5});
    assert_true(run->record_count > SIM_REPORT_RECORDS_MAX / 2 && run->grid.used > SIM_REPORT_ROWS_MAX / 2);
    text_init(&out, SIM_REPORT_PAGE_MAX_BYTES);
    sim_report_data(report, &out);
    assert_true(run->record_count <= SIM_REPORT_RECORDS_MAX / 2 && run->grid.used <= SIM_REPORT_ROWS_MAX / 2);
    check_sums(run, 6000, 6000);
    text_done(&out);
    sim_report_free(report);
}

static void too_many_of_anything_is_left_out(void **state)
{
    struct sim_report *report;
    struct sim_report_run *run = one_run(&report);
    uint16_t measure = 0;

    (void)state;
    for (int i = 0; i <= SIM_REPORT_LINES_MAX; i++) {
        sim_report_fact(run, "a", "b", i, SIM_REPORT_NEITHER);
        sim_report_finding(run, FINDING_ADVICE, "a", "b", NULL);
        sim_report_parting(report, i, i + 1, "a");
    }
    for (int i = 0; i <= SIM_REPORT_MEASURES_MAX; i++)
        measure = sim_report_measure(run, SIM_REPORT_BACKLOG, "waiting", NULL);
    assert_int_equal(measure, UINT16_MAX);
    sim_report_value(run, measure, 0, 1); /* harmless */
    sim_report_goal(run, measure, 1);
    for (int i = 1; i < SIM_REPORT_RUNS_MAX; i++)
        assert_non_null(sim_report_run(report, &(struct sim_report_run_options){.name = "more"}));
    assert_null(sim_report_run(report, &(struct sim_report_run_options){.name = "more"}));
    assert_int_equal(run->fact_count, SIM_REPORT_LINES_MAX);
    assert_int_equal(run->verdict_count, SIM_REPORT_LINES_MAX);
    assert_int_equal(report->parting_count, SIM_REPORT_LINES_MAX);
    sim_report_free(report);
}

/* ------------------------------------------------------------------ data and page */

#define EVIL "</script><!--\xe2\x80\xa8\xe2\x80\xa9\xe2\x82\xac&\"'{{style}}\xff"

static void data_of(struct sim_report *report, json_t **data)
{
    json_error_t error;
    struct text out;

    text_init(&out, SIM_REPORT_PAGE_MAX_BYTES);
    sim_report_data(report, &out);
    *data = json_loads(out.bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!*data)
        fail_msg("%s at %d: %.80s", error.text, error.position, out.bytes + error.position);
    text_done(&out);
}

static void data_say_what_was_fed(void **state)
{
    struct sim_report *report;
    struct sim_report_run *run = one_run(&report);
    json_t *data;

    (void)state;
    feed(run, 0, &(struct tick){1, 3, REASON_ABOVE_TARGET, SAMPLE_OK, 15});
    for (int i = 1; i < 10; i++)
        feed(run, i * 15000, &(struct tick){3, 3, REASON_STEADY, SAMPLE_OK, 15});
    feed(run, 150000, &(struct tick){3, 3, REASON_HELD, SAMPLE_MISSING, 0});
    sim_report_value(run, sim_report_measure(run, SIM_REPORT_SLO, "share", NULL), 0, 0.123456789);
    data_of(report, &data);
    const json_t *r = json_array_get(json_object_get(data, "runs"), 0);
    static const struct {
        const char *key, *is;
    } members[] = {
        {"times", "[0,15000,\"9\"]"},
        {"wanted", "[3,\"10\"]"},
        {"moves", "[0,1,3]"},
        {"triggers", "[{\"name\":\"queue\",\"type\":\"redis\",\"target\":5,\"targetType\":\"AverageValue\",\"values\":["
                     "15,\"9\",null]}]"},
        {"measures",
         "[{\"chart\":\"slo\",\"name\":\"share\",\"unit\":\"\",\"goal\":null,\"values\":[0.12346,[],\"9\"]}]"},
    };
    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
        char *is = json_dumps(json_object_get(r, members[i].key), JSON_COMPACT | JSON_REAL_PRECISION(5));

        assert_string_equal(is, members[i].is);
        free(is);
    }
    json_decref(data);
    sim_report_free(report);
}

/* The n-th script's or style's text. */
static void between(const char *page, const char *open, int n, const char *close, const char **from, size_t *length)
{
    for (; n >= 0; n--) {
        page = strstr(page, open);
        assert_non_null(page);
        page += strlen(open);
    }
    *from = page;
    *length = (size_t)(strstr(page, close) - page);
}

static void assert_in_policy(const char *page, const char *text, size_t length)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    char named[128] = "'sha256-";
    unsigned size;

    assert_int_equal(EVP_Digest(text, length, hash, &size, EVP_sha256(), NULL), 1);
    EVP_EncodeBlock((unsigned char *)named + strlen(named), hash, (int)size);
    strcat(named, "'");
    const char *found = strstr(page, named);
    assert_true(found && found < strstr(page, "<title>"));
}

static void nothing_breaks_out_of_the_page(void **state)
{
    struct sim_report *report = sim_report_new(EVIL, EVIL);
    struct sim_report_run *run =
        sim_report_run(report, &(struct sim_report_run_options){.name = EVIL, .currency = EVIL});
    struct text page;
    const char *from;
    size_t length;

    (void)state;
    if (!sim_report_available(NULL))
        skip();
    feed(run, 0, &(struct tick){1, 3, REASON_ABOVE_TARGET, SAMPLE_OK, 15});
    sim_report_fact(run, EVIL, EVIL, NAN, SIM_REPORT_NEITHER);
    sim_report_finding(run, FINDING_ERROR, EVIL, EVIL, EVIL);
    sim_report_parting(report, 0, 1, EVIL);
    sim_report_measure(run, SIM_REPORT_DEMAND, EVIL, EVIL);
    text_init(&page, SIM_REPORT_PAGE_MAX_BYTES);
    sim_report_write(report, &page);

    between(page.bytes, "<script>", 0, "</script>", &from, &length);
    assert_in_policy(page.bytes, from, length);
    between(page.bytes, "<script>", 1, "</script>", &from, &length);
    assert_in_policy(page.bytes, from, length);
    between(page.bytes, "<style>", 0, "</style>", &from, &length);
    assert_in_policy(page.bytes, from, length);
    between(page.bytes, "id=\"data\">", 0, "</script>", &from, &length);
    for (size_t i = 0; i < length; i++)
        if (strchr("<>&", from[i]))
            fail_msg("%.40s", from + i);
    assert_null(memmem(from, length, "\xe2\x80\xa8", 3));
    assert_non_null(memmem(from, length, "\xe2\x82\xac", 3)); /* the euro is no line separator */
    json_t *data = json_loadb(from, length, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(data, "title")),
                        "</script><!--\xe2\x80\xa8\xe2\x80\xa9\xe2\x82\xac&\"'{{style}}\xef\xbf\xbd");
    json_decref(data);
    text_done(&page);
    sim_report_free(report);
}

static void a_file_is_whole_or_not_there(void **state)
{
    struct sim_report *report;
    struct error err = {.kind = ERROR_NONE};
    struct text page, file;
    char folder[] = "/tmp/weir-report-XXXXXX", path[64];

    (void)state;
    if (!sim_report_available(NULL))
        skip();
    one_run(&report);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/out.html", folder);
    text_init(&page, SIM_REPORT_PAGE_MAX_BYTES);
    text_init(&file, SIM_REPORT_PAGE_MAX_BYTES);
    sim_report_write(report, &page);
    assert_true(sim_report_write_file(report, path, &err) && sim_report_write_file(report, path, &err));
    assert_true(file_read(path, &file, &err));
    assert_string_equal(file.bytes, page.bytes);
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left in it */
    assert_false(sim_report_write_file(report, path, &err));
    assert_non_null(strstr(err.text, "cannot be written: No such file or directory"));
    assert_string_equal(err.where, path);
    text_done(&page);
    text_done(&file);
    sim_report_free(report);
}

/* What stands there is somebody's, as /dev/null is everybody's. */
static void a_pipe_is_written_into(void **state)
{
    struct sim_report *report;
    struct text page;
    struct stat status;
    char folder[] = "/tmp/weir-report-XXXXXX", path[64], first[9];

    (void)state;
    if (!sim_report_available(NULL))
        skip();
    one_run(&report);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDWR);
    assert_true(reader >= 0);
    text_init(&page, SIM_REPORT_PAGE_MAX_BYTES);
    sim_report_write(report, &page);
    assert_true(fcntl(reader, F_SETPIPE_SZ, (int)page.length) >= (int)page.length);
    assert_true(sim_report_write_file(report, path, NULL));
    assert_int_equal(read(reader, first, sizeof(first)), sizeof(first));
    assert_memory_equal(first, page.bytes, sizeof(first));
    assert_true(lstat(path, &status) == 0 && S_ISFIFO(status.st_mode));
    close(reader);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
    text_done(&page);
    sim_report_free(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_keeps_its_extremes),
        cmocka_unit_test(a_long_run_has_no_more_rows),
        cmocka_unit_test(sentences_are_kept_without_their_numbers),
        cmocka_unit_test(more_kinds_of_sentences_than_kept_stand_as_they_are),
        cmocka_unit_test(equal_decisions_are_one_record),
        cmocka_unit_test(who_moves_what_is_told_apart),
        cmocka_unit_test(folding_spares_scale_events),
        cmocka_unit_test(an_oscillating_run_stays_in_its_bounds),
        cmocka_unit_test(runs_share_what_a_page_may_weigh),
        cmocka_unit_test(too_many_of_anything_is_left_out),
        cmocka_unit_test(data_say_what_was_fed),
        cmocka_unit_test(nothing_breaks_out_of_the_page),
        cmocka_unit_test(a_file_is_whole_or_not_there),
        cmocka_unit_test(a_pipe_is_written_into),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
