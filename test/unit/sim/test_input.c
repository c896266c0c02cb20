/* Inputs of simulations: what each form says, what is refused and where, and files laid over each other. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "decide/decide.h"
#include "journal/recording.h"
#include "sim/input.h"

/* "0:5 60:_ 120:failed 180:stale=5": seconds and what is said from then on. */
static void show(const struct input *input, uint16_t column, char *out, size_t size)
{
    const struct input_value *values;
    size_t count = input_values(input, column, &values), length = 0;

    *out = 0;
    for (size_t i = 0; i < count && length < size; i++) {
        static const char *const words[] = {"", "_", "failed", "stale="};
        char number[40] = "";

        if (values[i].kind == INPUT_OK || values[i].kind == INPUT_STALE)
            snprintf(number, sizeof(number), "%.17g", values[i].value);
        length += (size_t)snprintf(out + length, size - length, "%s%g:%s%s", i ? " " : "",
                                   (double)values[i].at_ms / 1000, words[values[i].kind], number);
    }
}

static const struct {
    const char *values, *shown; /* shown NULL: refused */
    const char *problem;
} notations[] = {
    {"5", "0:5", NULL},
    {"0x10", "0:0 1:0 2:0 3:0 4:0 5:0 6:0 7:0 8:0 9:0 10:0", NULL},
    {"5+1x2", "0:5 1:6 2:7", NULL},
    {"10-2x5", "0:10 1:8 2:6 3:4 4:2 5:0", NULL},
    {"1 _x3 2", "0:1 1:_ 2:_ 3:_ 4:2", NULL},
    {"3 failed failedx2 stale", "0:3 1:failed 2:failed 3:failed 4:stale=3", NULL},
    {"0 5+1x2 _x1 failed stale", "0:0 1:5 2:6 3:7 4:_ 5:failed 6:stale=7", NULL},
    {"_ failed stale", NULL, "write _ (missing) or failed"},
    {"3 stale stalex2 _", "0:3 1:stale=3 2:stale=3 3:stale=3 4:_", NULL},
    {"NaN +Inf -Inf Inf", "0:nan 1:inf 2:-inf 3:inf", NULL},
    {"-1.5e3 +2 1e-3", "0:-1500 1:2 2:0.001", NULL},
    {"-1-1x1", "0:-1 1:-2", NULL},
    {"0.1+0.1x2", "0:0.10000000000000001 1:0.20000000000000001 2:0.30000000000000004", NULL},
    {" 1\n 2\t3 ", "0:1 1:2 2:3", NULL},
    {"1 _x0 2", "0:1 1:2", NULL},
    {"", NULL, "there are no values"},
    {"5+1", NULL, "'5+1' is not understood"},
    {"5x", NULL, "'5x' is not understood"},
    {"5x1.5", NULL, "not understood"},
    {"5y3", NULL, "not understood"},
    {"stale", NULL, "has none before it"},
    {"failing", NULL, "'failing' is not understood"},
    {"__", NULL, "not understood"},
    {"1,2", NULL, "not understood"},
    {"0x99999999", NULL, "SIM_INPUT_VALUES_MAX"},
    {"0x999999999", NULL, "not understood"},
};

static void the_notation_says_what_prometheus_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(notations) / sizeof(notations[0]); i++) {
        struct input *input = input_new();
        struct error err = {.kind = ERROR_NONE};
        char shown[500];

        if (input_read_notation(input, "queue", notations[i].values, 1000, &err) != (notations[i].shown != NULL))
            fail_msg("%s: %s", notations[i].values, err.text);
        if (notations[i].shown) {
            show(input, input_column(input, "queue"), shown, sizeof(shown));
            assert_string_equal(shown, notations[i].shown);
        } else {
            assert_int_equal(input_columns(input), 0);
            if (!strstr(err.text, notations[i].problem))
                fail_msg("%s: %s", notations[i].values, err.text);
        }
        input_free(input);
    }
}

static void a_notation_says_where_it_is_wrong(void **state)
{
    struct input *input = input_new();
    struct error err;

    (void)state;
    assert_false(input_read_notation(input, "queue", "1 2 x", 1000, &err));
    assert_string_equal(err.where, "queue values:5");
    assert_false(input_read_notation(input, "queue", "1", 0, &err));
    assert_non_null(strstr(err.text, "1ms to 7 days"));
    input_free(input);
}

static const struct {
    const char *bytes;
    const char *column;
    const char *first; /* what the first column says */
    int64_t start_ms, end_ms;
} files[] = {
    {"time,queue\n0,5\n15,6\n", NULL, "0:5 15:6", 0, 30000},
    {"\xef\xbb\xbftime,queue\r\n0,5\r\n\r\n15,6", NULL, "0:5 15:6", 0, 30000},
    {"queue, T\n5,100\n_ , 101\n,102\nfailed,103\n", NULL, "0:5 1:_ 2:_ 3:failed", 0, 4000},
    {"t_s,queue\n100000000000,1\n100000000001,2\n", NULL, "0:1 1:2", 100000000000000, 2000},
    {"timestamp,\"a \"\"b\"\", c\",d\n1767225600,1,2\n1767225601.5,stale,3\n", NULL, "0:1 1.5:stale=1", 1767225600000,
     3000},
    {"time,q\n1767225600000,NaN\n1767225600250,+Inf\n", NULL, "0:nan 0.25:inf", 1767225600000, 500},
    {"time,q\n2026-01-01T00:00:00Z,1\n2026-01-01T01:00:10+01:00,\"2\"\n", NULL, "0:1 10:2", 1767225600000, 20000},
    /* without a pace nothing is missing between rows; with one, a pause that says what held in it is none */
    {"t,q\n0,1\n100,2\n103,3\n900,4\n901,5\n5000,6\n", NULL, "0:1 100:2 103:3 900:4 901:5 5000:6", 0, 9099000},
    {"t,q\n0,1\n1,2\n2,3\n3,4\n4,_\n50,5\n51,6\n", NULL, "0:1 1:2 2:3 3:4 4:_ 50:5 51:6", 0, 52000},
    {"{\"t\": 0, \"q\": 1.5, \"r\": \"failed\"}\n{\"t\": 60, \"q\": null, \"r\": 2}\n\n{\"r\": \"stale\", \"q\": "
     "\"NaN\", \"t\": 120}\n",
     NULL, "0:1.5 60:_ 120:nan", 0, 180000},
    {"{\"timestamp\": \"2026-01-01T00:00:00Z\", \"q\": 7}", NULL, "0:7", 1767225600000, 0},
    {"{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[1767225600,"
     "\"1\"],"
     "[1767225615,\"2\"],[1767225660.000,\"+Inf\"]]}]}}",
     "queue", "0:1 15:2 30:_ 60:inf", 1767225600000, 75000},
    {"{\n \"status\": \"success\",\n \"data\": {\"resultType\": \"matrix\", \"result\": [\n"
     "{\"metric\": {\"__name__\": \"a\"}, \"values\": [[120, \"1\"], [180, \"2\"]]},\n"
     "{\"metric\": {\"__name__\": \"b\", \"x\": \"y\"}, \"values\": [[60, \"1\"], [120, \"2\"]]}]}}\n",
     NULL, "0:_ 60:1 120:2", 60000, 180000},
};

static void every_form_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct input *input = input_new();
        struct error err = {.kind = ERROR_NONE};
        char shown[500];

        if (!input_read(input, "a.csv", files[i].bytes, strlen(files[i].bytes), files[i].column, &err))
            fail_msg("%s: %s: %s", files[i].bytes, err.where, err.text);
        show(input, 0, shown, sizeof(shown));
        if (strcmp(shown, files[i].first) != 0 || input_start_ms(input) != files[i].start_ms ||
            input_end_ms(input) != files[i].end_ms)
            fail_msg("%s\nis %s, from %lld to %lld", files[i].bytes, shown, (long long)input_start_ms(input),
                     (long long)input_end_ms(input));
        input_free(input);
    }
}

static const struct {
    const char *bytes;
    const char *column;
    const char *where, *problem;
} refused[] = {
    {"", NULL, "a.csv", "the file is empty"},
    {"\n \n", NULL, "a.csv", "the file is empty"},
    {"time,queue\n", NULL, "a.csv", "no row"},
    {"time\n0\n", NULL, "a.csv:1:1", "no column but the time"},
    {"when,queue\n0,5\n", NULL, "a.csv:1:6", "no column is called time"},
    {"time;queue\n0;5\n", NULL, "a.csv:1:1", "separated by commas"},
    {"0,5\n1,6\n", NULL, "a.csv:1:1", "must name the columns"},
    {"time,q,q\n0,5,6\n", NULL, "a.csv:1:8", "two columns 'q'"},
    {"time,q,\n0,5,6\n", NULL, "a.csv:1:8", "without a name"},
    {"time,q,,r\n0,5,6,1\n", NULL, "a.csv:1:8", "without a name"},
    {"time,q\n0,5\n15\n", NULL, "a.csv:3:1", "2 columns, this row 1"},
    {"time,q\n0,5,6\n", NULL, "a.csv:2:5", "is a comma too much"},
    {"q,time\n5\n", NULL, "a.csv:2:1", "ends before its time"},
    {"time,q\n0,five\n", NULL, "a.csv:2:3", "'five' of 'q' is nothing a source can say"},
    {"time,q\n0,\"5\n", NULL, "a.csv:2:3", "close it"},
    {"time,q\n0,\"5\"6\n", NULL, "a.csv:2:3", "comes a comma"},
    {"time,q\n0,stale\n", NULL, "a.csv:2:3", "has none before it"},
    {"time,q\n0001-01-01T00:00:00Z,5\n", NULL, "a.csv:2:1", "is before 1970"},
    {"time,q\nnoon,5\n", NULL, "a.csv:2:1", "'noon' is no time"},
    {"time,q\n-1,5\n", NULL, "a.csv:2:1", "out of range"},
    {"time,q\nNaN,5\n", NULL, "a.csv:2:1", "out of range"},
    {"time,q\n5,1\n5,2\n", NULL, "a.csv:3:1", "was in line 2 already"},
    {"time,q\n5,1\n4,2\n", NULL, "a.csv:3:1", "goes back by 1.000 s from line 2"},
    {"time,q\n0,1\n1767225600,2\n", NULL, "a.csv:3:1", "in one form"},
    {"time,q\n0,1\n2026-01-01T00:00:00Z,2\n", NULL, "a.csv:3:1", "in one form"},
    {"t,q\n0,1\n15,1\n30,1\n45,1\n60,1\n90,1\n105,2\n120,3\n135,4\n150,5\n165,6\n", NULL, "a.csv:7",
     "rows are 15 s apart, but 30 s lie between line 6 and this one"},
    {"{\"t\": 0, \"q\": }\n", NULL, "a.csv:1", ""},
    {"{\"t\": 0, \"q\": 1}\n{\"t\": 1}\n", NULL, "a.csv:2", "'q' is not in this line"},
    {"{\"t\": 0, \"q\": 1}\n{\"t\": 1, \"q\": 1, \"r\": 2}\n", NULL, "a.csv:2", "'r' was not in the first line"},
    {"{\"t\": 0, \"q\": 1, \"q\": 2}\n", NULL, "a.csv:1", "'q' is there twice"},
    {"{\"t\": 0, \"q\": true}\n", NULL, "a.csv:1", "'q' is a bool"},
    {"{\"t\": 0, \"q\": [1]}\n", NULL, "a.csv:1", "'q' is a list"},
    {"{\"q\": 1}\n", NULL, "a.csv:1", "no time in it"},
    {"{\"t\": 0}\n", NULL, "a.csv:1", "nothing but the time"},
    {"{\"t\": 0, \"q\": 1}\n[1]\n", NULL, "a.csv:2", "this is a list"},
    {"{\"status\": \"error\", \"error\": \"parse error\"}", NULL, "a.csv", "parse error"},
    {"{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[]}}", NULL, "a.csv",
     "is vector, not matrix"},
    {"{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}", NULL, "a.csv",
     "the answer is empty"},
    {"{\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[1,\"1\"]]}]}}", NULL,
     "a.csv data.result[0]", "name the column"},
    {"{\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"a\":\"b\"},\"values\":[[1,\"1\"]]},{\"metric\":{}"
     ",\"values\":[[1,"
     "\"1\"]]}]}}",
     "q", "a.csv", "2 series for the one column 'q'"},
    {"{\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[2,\"1\"],[1,\"1\"]]}]}}", "q",
     "a.csv data.result[0] values[1]", "not after the one before"},
    {"{\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[2]]}]}}", "q",
     "a.csv data.result[0] values[0]", "as query_range gives"},
    {"{\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"histograms\":[[2,{}]]}]}}", "q",
     "a.csv data.result[0]", "histogram_quantile"},
};

static void what_is_wrong_is_refused_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct input *input = input_new();
        struct error err = {.kind = ERROR_NONE};

        if (input_read(input, "a.csv", refused[i].bytes, strlen(refused[i].bytes), refused[i].column, &err) ||
            strcmp(err.where, refused[i].where) != 0 || !strstr(err.text, refused[i].problem))
            fail_msg("%s\nis: %s: %s", refused[i].bytes, err.where, err.text);
        assert_int_equal(input_columns(input), 0);
        input_free(input);
    }
}

static bool read_string(struct input *input, const char *bytes, struct error *err)
{
    return input_read(input, "b.csv", bytes, strlen(bytes), NULL, err);
}

static void files_lie_over_each_other_by_their_times(void **state)
{
    struct input *input = input_new();
    struct error err;
    char shown[200];

    (void)state;
    assert_true(input_read_notation(input, "n", "1 2", 60000, &err));
    assert_true(read_string(input, "time,a\n1767225660,1\n1767225720,2\n", &err));
    assert_int_equal(input_start_ms(input), 1767225660000);
    assert_true(read_string(input, "time,b\n2026-01-01T00:00:00Z,3\n", &err));
    assert_int_equal(input_start_ms(input), 1767225600000);
    assert_int_equal(input_end_ms(input), 180000);
    static const char *const wanted[] = {"0:1 60:2", "60:1 120:2", "0:3"};
    for (uint16_t i = 0; i < 3; i++) {
        show(input, i, shown, sizeof(shown));
        assert_string_equal(shown, wanted[i]);
    }
    assert_false(read_string(input, "time,a\n1767225600,3\n", &err));
    assert_non_null(strstr(err.text, "a column 'a' already"));
    assert_false(read_string(input, "time,c\n0,3\n", &err));
    assert_non_null(strstr(err.text, "cannot be laid over each other"));
    assert_int_equal(input_columns(input), 3);
    input_free(input);
}

static void a_value_holds_until_the_next(void **state)
{
    struct input *input = input_new();
    struct input_value value;

    (void)state;
    input_add(input, "q", &(struct input_value){.at_ms = 1000, .value = 5, .kind = INPUT_OK});
    input_add(input, "q", &(struct input_value){.at_ms = 3000, .kind = INPUT_FAILED});
    assert_false(input_at(input, 0, 999, &value));
    assert_true(input_at(input, 0, 1000, &value) && value.value == 5);
    assert_true(input_at(input, 0, 2999, &value) && value.value == 5 && value.at_ms == 1000);
    assert_true(input_at(input, 0, 3000, &value) && value.kind == INPUT_FAILED);
    assert_true(input_at(input, 0, INT64_MAX, &value) && value.kind == INPUT_FAILED);
    assert_int_equal(input_end_ms(input), 5000);
    assert_int_equal(input_column(input, "r"), INPUT_NONE);
    assert_string_equal(input_name(input, 0), "q");
    input_free(input);
}

/* ------------------------------------------------------------------ recordings */

static char folder[64];

static void record_ticks(struct recorder *r, const char *key, int64_t at_ms, const struct sample *samples, size_t count)
{
    static const char *const names[] = {"queue", "cpu"};
    struct decide_facts facts = {.now_ms = at_ms, .replicas = 1};

    assert_true(
        recorder_object(r,
                        &(struct recorded_object){
                            .key = key, .at_ms = at_ms, .interval_ms = 10000, .triggers = names, .trigger_count = 2},
                        NULL));
    for (size_t i = 0; i < count; i++) {
        struct sample two[2] = {samples[i]}; /* of cpu there are no samples */

        facts.samples = two;
        assert_true(recorder_tick(
            r, &(struct recorded_tick){.key = key, .at_ms = at_ms + (int64_t)i * 10000, .facts = &facts}, NULL));
    }
}

static void write_recording(void)
{
    struct recorder *r;
    struct sample first[] = {{.state = SAMPLE_NONE},
                             {.state = SAMPLE_OK, .value = 5, .at_ms = 1000010000},
                             {.state = SAMPLE_OK, .value = 5, .at_ms = 1000010000}, /* not asked again */
                             {.state = SAMPLE_MISSING, .value = 0, .at_ms = 1000030000},
                             {.state = SAMPLE_OK, .stand_in = true, .value = 7, .at_ms = 1000040000}};
    struct sample second[] = {{.state = SAMPLE_FAILED, .at_ms = 1000100000},
                              {.state = SAMPLE_OK, .value = 9, .at_ms = 1000110000},
                              {.state = SAMPLE_OK, .value = 8, .at_ms = 1000109000}}; /* a clock set back */

    r = recorder_open(folder, NULL, NULL);
    record_ticks(r, "ScaledObject/a/one", 1000000000, first, 5);
    record_ticks(r, "ScaledObject/a/two", 1000000000, second, 1);
    recorder_close(r);
    r = recorder_open(folder, NULL, NULL); /* after a pause */
    record_ticks(r, "ScaledObject/a/one", 1000100000, second, 3);
    recorder_close(r);
}

static void a_recording_is_read_by_object(void **state)
{
    struct input *input = input_new();
    struct error err;
    char shown[300];

    (void)state;
    write_recording();
    assert_false(input_read_file(input, folder, NULL, &err));
    assert_non_null(strstr(err.text, "several objects, as ScaledObject/a/one and ScaledObject/a/two"));
    assert_false(input_read_recording(input, folder, "ScaledObject/a/three", &err));
    assert_non_null(strstr(err.text, "no object ScaledObject/a/three"));
    assert_true(input_read_recording(input, folder, "ScaledObject/a/one", &err));
    assert_int_equal(input_columns(input), 1);
    show(input, 0, shown, sizeof(shown));
    assert_string_equal(shown, "0:5 20:_ 30:7 40:failed 90:failed 100:9");
    assert_int_equal(input_start_ms(input), 1000010000);
    assert_int_equal(input_end_ms(input), 120000);
    input_free(input);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/weir-input-%ld", (long)getpid());
    return 0;
}

static int remove_folder(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_notation_says_what_prometheus_says),
        cmocka_unit_test(a_notation_says_where_it_is_wrong),
        cmocka_unit_test(every_form_is_read),
        cmocka_unit_test(what_is_wrong_is_refused_with_its_place),
        cmocka_unit_test(files_lie_over_each_other_by_their_times),
        cmocka_unit_test(a_value_holds_until_the_next),
        cmocka_unit_test(a_recording_is_read_by_object),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
