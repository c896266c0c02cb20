/* Whole files of traces: requests, sums that become requests or means, rates with and without tokens; what is refused, and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "sim/model.h"

static char path[64];

static void write_file(const char *bytes)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    fputs(bytes, out);
    fclose(out);
}

static const struct trace_shape code = {2048, 28};

static const struct {
    const char *bytes;
    size_t requests, buckets;
    struct trace_request last;  /* of requests */
    struct model_bucket bucket; /* the last one */
    int64_t bucket_ns;
} files[] = {
    {"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0799600,1,2",
     2,
     0,
     {100000000, 1, 2},
     {0},
     0},
    {"{\"timestamp\": 10, \"input_length\": 6, \"output_length\": 5}\n{\"timestamp\": 12, \"input_length\": 7, "
     "\"output_length\": 1}\n",
     2,
     0,
     {2000000, 7, 1},
     {0},
     0},
    {"t_s,requests,prompt_tokens,generated_tokens\n0,1,10,2\n10,0,0,0\n20,3,11,7\n", 4, 0, {26666666666, 3, 2}, {0}, 0},
    {"t_s,requests,prompt_tokens,generated_tokens\n0,6,60,12\n60,120,6000,60\n", 0, 2, {0}, {2, 100, 1}, 60000000000},
    {"t_s,req_per_min_mid,req_per_min_low,req_per_min_high\n0,60,50,70\n600,120,1,1\n",
     0,
     2,
     {0},
     {2, 4096, 56},
     600000000000},
    {"t_s,req_per_s,active_clients,rate_weighted_cv,prompt_tokens_per_s,generated_tokens_per_s,token_coverage\r\n"
     "0,1,1,1,1,1,1\r\n600,14.5,21,1.63,17449.5,21796,1.000\r\n",
     0,
     2,
     {0},
     {14.5, 17449.5, 21796},
     600000000000},
};

static void every_form_becomes_demand(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct trace_file file;
        struct error err;

        write_file(files[i].bytes);
        assert_true(trace_is_file(path));
        if (!trace_read_file(path, &code, &file, &err))
            fail_msg("%s\nis %s: %s", files[i].bytes, err.where, err.text);
        assert_int_equal(file.requests.count, files[i].requests);
        assert_int_equal(file.bucket_count, files[i].buckets);
        assert_int_equal(file.bucket_ns, files[i].buckets ? files[i].bucket_ns : file.bucket_ns);
        if (files[i].requests > 0)
            assert_memory_equal(&file.requests.requests[files[i].requests - 1], &files[i].last, sizeof(files[i].last));
        else
            assert_memory_equal(&file.buckets[files[i].buckets - 1], &files[i].bucket, sizeof(files[i].bucket));
        trace_file_free(&file);
    }
}

static const struct {
    const char *bytes, *place, *problem;
} refused[] = {
    {"", "", "the file is empty"},
    {"TIMESTAMP,ContextTokens,GeneratedTokens\n", "", "no request"},
    {"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,4808\n", ":2", "no known form"},
    {"{\"timestamp\": 10, \"input_length\": 6, \"output_length\": 5}\nend\n", ":2", "neither a request nor the first"},
    {"{\"timestamp\": 12, \"input_length\": 6, \"output_length\": 5}\n"
     "{\"timestamp\": 10, \"input_length\": 6, \"output_length\": 5}\n",
     ":2", "goes back by 0.002 s"},
    {"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,4808,10\n2023-11-16 18:17:02,1,2\n", ":3",
     "goes back by 1.000 s"},
    {"t_s,requests,prompt_tokens\n0,1,1\n", ":1:14", "columns are missing"},
    {"t_s,req_per_s,req_per_min\n0,1,1\n", ":1:15", "columns are missing"},
    {"t_s,req_per_s,prompt_tokens_per_s\n0,1,1\n", ":1:15", "columns are missing"},
    {"t_s,req_per_s,mood\n0,1,1\n", ":1:15", "'mood' is none"},
    {"t_s,req_per_s,req_per_s\n0,1,1\n", ":1:15", "there twice"},
    {"t_s,req_per_s\n0,1\n", "", "two rows at least"},
    {"t_s,req_per_s\n0,1\n600\n", ":3:1", "columns, this row fewer"},
    {"t_s,req_per_s\n0,1\n600,1,1\n", ":3:7", "columns, this row more"},
    {"t_s,req_per_s\n0,1\n600,-1\n", ":3:5", "'-1' is no number from 0"},
    {"t_s,req_per_s\n0,1\n2e9,1\n", ":3:1", "no number from 0 to 1e+09"},
    {"t_s,req_per_s\n0,1\n600,NaN\n", ":3:5", "'NaN' is no number from 0"},
    {"t_s,req_per_s\n0,1\n600,\n", ":3:5", "'' is no number from 0"},
    {"t_s,req_per_s\n0,1\n600,1\n600,1\n", ":4:5", "it must rise"},
    {"t_s,req_per_s\n0,1\n600,1\n1800,1\n", ":4:6", "add rows of zeros"},
    {"t_s,req_per_s\n0,1\n600,1\n", "", "as 2048/28 for code"},
    {"t_s,requests,prompt_tokens,generated_tokens\n0,1.5,10,2\n10,0,0,0\n", "", "row 1: requests is 1.5"},
    {"t_s,requests,prompt_tokens,generated_tokens\n0,1e9,10,2\n10,0,0,0\n", "", "SIM_TRACE_REQUESTS_MAX"},
};

static void what_is_wrong_is_refused_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct trace_file file;
        struct error err = {.kind = ERROR_NONE};
        char where[128];

        write_file(refused[i].bytes);
        snprintf(where, sizeof(where), "%s%s", path, refused[i].place);
        if (trace_read_file(path, NULL, &file, &err) || strcmp(err.where, where) != 0 ||
            !strstr(err.text, refused[i].problem))
            fail_msg("%s\nis %s: %s", refused[i].bytes, err.where, err.text);
    }
}

static void other_files_are_none(void **state)
{
    static const char *const others[] = {
        "time,queue\n0,5\n", "t_s,queue\n0,5\n", "{\"t\": 0, \"queue\": 5}\n", "", "{", "5\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        write_file(others[i]);
        assert_false(trace_is_file(path));
    }
    assert_false(trace_is_file("/nowhere/at/all"));
}

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "/tmp/weir-trace-%ld", (long)getpid());
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_becomes_demand),
        cmocka_unit_test(what_is_wrong_is_refused_with_its_place),
        cmocka_unit_test(other_files_are_none),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
