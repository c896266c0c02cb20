/*
 * bench_sim: how quickly a policy is simulated. Prints one JSON line per figure:
 *     sim_ticks_per_s     decisions per second of CPU time, of the policy as it stands, over the trace
 *     sim_azure_week_s    CPU time of the whole trace with one decision every 15 s, from the manifest's bytes to the score
 *
 *     bench_sim POLICY.yaml WEEK.csv
 *
 * The trace's requests have 2048 prompt and 28 generated tokens (the mean of the same service's week of requests). Medians of ROUNDS.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "sim/simulation.h"
#include "sim/trace.h"

enum { ROUNDS = 5 };

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), by_size);
    return values[ROUNDS / 2];
}

struct figure { /* of one run */
    double new_s, run_s;
    int64_t ticks;
};

static bool run(const struct text *manifest, const struct trace_file *trace, struct figure *out, struct error *err)
{
    struct model_options model = {.profile = *serving_profile("h100-8b"),
                                  .startup = {.fixed_ns = INT64_C(60000000000)},
                                  .duration_ns = -1,
                                  .buckets = trace->buckets,
                                  .bucket_count = trace->bucket_count,
                                  .bucket_ns = trace->bucket_ns,
                                  .step_ns = INT64_C(15000000000)};
    struct simulation_options options = {.manifest_name = "policy.yaml",
                                         .manifest = manifest->bytes,
                                         .manifest_length = manifest->length,
                                         .model = &model,
                                         .duration_ms = -1,
                                         .initial = 1,
                                         .quick = true};
    struct score_goals goals = SCORE_GOALS_DEFAULT;
    struct simulation_result result;
    double start = cpu_s(), made;
    struct simulation *s = simulation_new(&options, NULL, err);

    if (!s)
        return false;
    made = cpu_s();
    simulation_run(s);
    out->run_s = cpu_s() - made;
    simulation_result(s, &goals, &result);
    simulation_free(s);
    out->new_s = cpu_s() - start - out->run_s;
    out->ticks = result.ticks;
    return true;
}

/* The same policy, asked every 15 s. */
static void slow_down(const struct text *manifest, struct text *out)
{
    const char *key = "weir.dev/polling-interval:", *at = strstr(manifest->bytes, key), *rest;

    if (!at) {
        text_append(out, manifest->bytes, manifest->length);
        return;
    }
    rest = strchr(at, '\n');
    text_append(out, manifest->bytes, (size_t)(at - manifest->bytes) + strlen(key));
    text_add(out, " 15s");
    text_add(out, rest ? rest : "");
}

static bool measure(const struct text *manifest, const struct trace_file *trace, struct error *err)
{
    double ticks[ROUNDS], week[ROUNDS];
    struct text slow;
    struct figure f;
    bool fine = true;

    text_init(&slow, MANIFEST_FILE_MAX_BYTES);
    slow_down(manifest, &slow);
    for (int i = 0; fine && i < ROUNDS; i++) {
        fine = run(manifest, trace, &f, err);
        ticks[i] = (double)f.ticks / f.run_s;
        fine = fine && run(&slow, trace, &f, err);
        week[i] = f.new_s + f.run_s;
    }
    text_done(&slow);
    if (fine)
        printf("{\"name\": \"sim_ticks_per_s\", \"value\": %.0f}\n{\"name\": \"sim_azure_week_s\", \"value\": %.6f}\n",
               median(ticks), median(week));
    return fine;
}

int main(int argc, char **argv)
{
    struct error err = {.kind = ERROR_NONE};
    struct trace_file trace;
    struct text manifest;
    bool fine = false;

    if (argc != 3) {
        fprintf(stderr, "usage: bench_sim POLICY.yaml WEEK.csv\n");
        return 2;
    }
    text_init(&manifest, MANIFEST_FILE_MAX_BYTES);
    if (file_read(argv[1], &manifest, &err) &&
        trace_read_file(argv[2], &(struct trace_shape){2048, 28}, &trace, &err)) {
        fine = measure(&manifest, &trace, &err);
        trace_file_free(&trace);
    }
    if (!fine)
        fprintf(stderr, "bench_sim: %s: %s\n", err.where, err.text);
    text_done(&manifest);
    return fine ? 0 : 1;
}
