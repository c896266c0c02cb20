/*
 * quality: docs/quality.md, computed. `make quality` writes the page anew; the same source gives the same bytes.
 *
 *     build/quality                         -- all of it, to standard output
 *     build/quality --only mooncake         -- the section of one trace, as it stands in the page
 *     build/quality --try all FILE...       -- other manifests in place of ours: ratio and share of each, to work on one
 *
 * To be called in the root of the source.
 */
#include "quality.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

enum { STARTUP_S = 60, CONTENDERS_MAX = 16, DEMANDS_MAX = 16, OTHER_STARTUPS = 2 };
static const int64_t other_startups_s[OTHER_STARTUPS] = {30, 120};

struct result { /* of a contender on a demand */
    struct outcome published, tuned;
    bool has_published;
};

static void die(const struct error *err)
{
    fprintf(stderr, "quality: %s%s%s\n", err->where, err->where[0] ? ": " : "", err->text);
    exit(1);
}

static void open_demand(struct demand *w, size_t index, int64_t startup_s)
{
    struct error err = {0};

    if (!demand_open(w, &demand_sources[index], startup_s, &err))
        die(&err);
}

/* ------------------------------------------------------------------ running */

static void run(const struct contender *c, const struct demand *w, struct result *out)
{
    struct error err = {0};

    *out = (struct result){.has_published = c->as_published > 0};
    fprintf(stderr, "%s: %s\n", w->source->name, c->name);
    if (!tune(c, w, &out->tuned, &err) ||
        (out->has_published && !play(c, w, c->as_published, false, &out->published, &err)))
        die(&err);
}

static void run_all(const struct demand *w, struct result *out)
{
    for (size_t i = 0; i < contender_count; i++)
        run(&contenders[i], w, &out[i]);
}

struct trace_job { /* a thread's: all contenders on one trace, and ours with the other start-up times */
    size_t index;
    struct demand demand;
    struct result results[CONTENDERS_MAX];
    struct outcome others[OTHER_STARTUPS];
};

static void *run_job(void *arg)
{
    struct trace_job *job = arg;
    struct error err = {0};

    open_demand(&job->demand, job->index, STARTUP_S);
    run_all(&job->demand, job->results);
    for (size_t s = 0; s < OTHER_STARTUPS; s++) {
        struct demand w;

        open_demand(&w, job->index, other_startups_s[s]);
        if (!play(&contenders[contender_count - 1], &w, 0, true, &job->others[s], &err))
            die(&err);
        demand_close(&w);
    }
    return NULL;
}

/* ------------------------------------------------------------------ a trace's section */

static void print_outcome(const struct outcome *o, bool has_knob)
{
    if (has_knob)
        printf(" | %.4g", o->knob);
    else
        printf(" | ");
    printf(" | %.1f | %s%.2f%s | %.2f %% | %lld |", o->replica_hours, is_kept(o) ? "**" : "", o->ratio,
           is_kept(o) ? "**" : "", 100 * o->in_slo, (long long)o->events);
}

static void print_section(const struct demand *w, const struct result *results)
{
    const struct score *plan = &w->plan.score;

    printf("## %s\n\n", w->source->title);
    printf("`examples/traces/%s` on `%s`. The plan: %.1f replica hours, %.2f %% in their goals.\n\n", w->source->file,
           w->source->profile, plan->replica_hours, 100 * plan->in_slo);
    printf("| | knob | replica hours | of the plan's | in their goals | scale events |\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < contender_count; i++) {
        const struct contender *c = &contenders[i];

        if (results[i].has_published) {
            printf("| %s, as published", c->name);
            print_outcome(&results[i].published, true);
            printf("\n");
        }
        printf("| %s%s", c->name, c->knobs ? ", tuned" : "");
        print_outcome(&results[i].tuned, c->kind == CONTENDER_FIXED || c->knobs);
        printf("\n");
    }
    printf("\n");
}

/* ------------------------------------------------------------------ the summary */

static void print_ratio(const struct outcome *o)
{
    if (is_kept(o))
        printf(" %.2f |", o->ratio);
    else
        printf(" (%.1f %%) |", 100 * o->in_slo);
}

/* Of the traces on which the promise was kept; how many those are stands beside it. */
static void print_mean(const struct outcome *const *outcomes, size_t count)
{
    double sum = 0;
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (is_kept(outcomes[i])) {
            sum += log(outcomes[i]->ratio);
            kept++;
        }
    if (kept == count)
        printf(" **%.3f** |\n", exp(sum / (double)count));
    else
        printf(" fails on %zu |\n", count - kept);
}

static void print_row(const char *name, const char *how, const struct outcome *const *outcomes)
{
    printf("| %s%s |", name, how);
    for (size_t w = 0; w < demand_count; w++)
        print_ratio(outcomes[w]);
    print_mean(outcomes, demand_count);
}

static void print_heading(void)
{
    printf("| |");
    for (size_t w = 0; w < demand_count; w++)
        printf(" %s |", demand_sources[w].name);
    printf(" geometric mean |\n|---|");
    for (size_t w = 0; w < demand_count; w++)
        printf("---|");
    printf("---|\n");
}

static void print_summary(const struct trace_job *jobs)
{
    const struct outcome *outcomes[DEMANDS_MAX] = {NULL};

    print_heading();
    for (size_t c = 0; c < contender_count; c++) {
        for (size_t w = 0; w < demand_count; w++)
            outcomes[w] = &jobs[w].results[c].published;
        if (jobs[0].results[c].has_published)
            print_row(contenders[c].name, ", as published", outcomes);
        for (size_t w = 0; w < demand_count; w++)
            outcomes[w] = &jobs[w].results[c].tuned;
        print_row(contenders[c].name, contenders[c].knobs ? ", tuned" : "", outcomes);
    }
    printf("\n");
}

static void print_other_startups(const struct trace_job *jobs)
{
    const struct outcome *outcomes[DEMANDS_MAX] = {NULL};
    char how[64];

    print_heading();
    for (size_t s = 0; s < OTHER_STARTUPS; s++) {
        for (size_t w = 0; w < demand_count; w++)
            outcomes[w] = &jobs[w].others[s];
        snprintf(how, sizeof(how), ", start-up %lld s", (long long)other_startups_s[s]);
        print_row(contenders[contender_count - 1].name, how, outcomes);
    }
    printf("\n");
}

/* ------------------------------------------------------------------ the page */

static void print_preface(void)
{
    printf("# How good the decisions are\n\n"
           "<!-- written by `make quality` (tools/quality/) -->\n\n"
           "Replica hours of each policy, divided by those of a plan that knew all demand beforehand "
           "(`src/sim/oracle.h`), on real traces of\n"
           "language-model services, in the serving model of `weir simulate` (`src/sim/model.h`). A ratio counts only "
           "where at least 99 %% of the\n"
           "requests got their first token within 2 s (Mooncake: and 125 us for each token of the prompt) and the "
           "others 100 ms apart on average;\n"
           "elsewhere the table says in brackets how many did. Nothing here is measured on GPUs.\n\n");
}

static void print_rules(void)
{
    printf("- A replica needs 60 s to start. All begin with as many as the plan; the first 300 s are not scored.\n"
           "- *As published*: with the number its documentation or its authors give. *Tuned*: with the number that is "
           "cheapest on that very trace, of a grid,\n"
           "  among those that keep the promise; Knative and AIBrix keep at least one replica then. Nobody has such a "
           "number before the traffic comes; it is the\n"
           "  best the rule could do.\n"
           "- Weir has one manifest for all traces, [examples/serving/work-ahead.yaml](../examples/serving/). Only "
           "what an engine can do and what is promised\n"
           "  to users is set for each (ten numbers at its top). How it works: [its "
           "README](../examples/serving/README.md). Its other constants were chosen with\n"
           "  a view on these very traces at 60 s, as the peers' were when tuned: no trace was held out. That the "
           "formula reckons with "
           "the start-up time\n"
           "  at all comes from looking at 120 s; 30 s is what nobody looked at. Azure code hangs on how many "
           "run at the start:\n"
           "  with 2 to 10 it keeps 98.9 to 99.9 % (the plan has 10), with 12 and more 92.8 to 98.2 %.\n"
           "- The fixed fleet is the smallest that keeps the promise.\n"
           "- HPA, running + 10 x waiting and the two of llm-d are manifests in `tools/quality/peers/`, run by the "
           "engine `keda-hpa`: KEDA's polls, the\n"
           "  syncs and rules of the HPA. Token latency is run by Weir's own engine: KEDA cuts values to thousandths, "
           "so all it would see is 0.\n"
           "- Knative's and AIBrix' rules are written from their documentation, in `src/sim/peer.c`. In weeks of sums "
           "a loop turns once in a step of 15 s.\n"
           "- Traces, their licences and changes: [examples/traces/README.md](../examples/traces/README.md). Azure's "
           "requests are each sent eight times within a\n"
           "  second, so that one replica is not half of the answer; weeks of sums have a noise of 10 %% from minute "
           "to minute, which sums have lost.\n"
           "- `h100-8b` and `h100x2-70b`: an 8B model on one H100, a 70B one on two, as the model has them "
           "(`src/sim/serving.h`).\n\n");
}

static void print_page(void)
{
    static struct trace_job jobs[DEMANDS_MAX];
    pthread_t threads[DEMANDS_MAX];

    for (size_t w = 0; w < demand_count; w++) {
        jobs[w].index = w;
        if (pthread_create(&threads[w], NULL, run_job, &jobs[w]) != 0)
            die(&(struct error){.text = "no thread can be made"});
    }
    for (size_t w = 0; w < demand_count; w++)
        pthread_join(threads[w], NULL);
    print_preface();
    print_summary(jobs);
    print_rules();
    printf("Replicas that start in another time:\n\n");
    print_other_startups(jobs);
    for (size_t w = 0; w < demand_count; w++) {
        print_section(&jobs[w].demand, jobs[w].results);
        demand_close(&jobs[w].demand);
    }
}

static bool print_one(const char *name)
{
    struct result results[CONTENDERS_MAX];
    struct demand w;

    for (size_t i = 0; i < demand_count; i++) {
        if (strcmp(demand_sources[i].name, name) != 0)
            continue;
        open_demand(&w, i, STARTUP_S);
        run_all(&w, results);
        print_section(&w, results);
        demand_close(&w);
        return true;
    }
    return false;
}

/* Files are tried one after the other on each trace, so that the plan is made once. */
static void try_policies(const char *trace, char **files, size_t count)
{
    struct contender ours = contenders[contender_count - 1];
    struct error err = {0};

    for (size_t i = 0; i < demand_count; i++) {
        struct demand w;
        struct outcome o;

        if (strcmp(trace, "all") != 0 && strcmp(trace, demand_sources[i].name) != 0)
            continue;
        open_demand(&w, i, STARTUP_S);
        for (size_t f = 0; f < count; f++) {
            ours.file = files[f];
            if (!play(&ours, &w, 0, true, &o, &err))
                die(&err);
            printf("%s %s %.4f %.4f\n", files[f], w.source->name, o.ratio, o.in_slo);
            fflush(stdout);
        }
        demand_close(&w);
    }
}

int main(int argc, char **argv)
{
    if (argc == 1)
        print_page();
    else if (argc > 3 && strcmp(argv[1], "--try") == 0)
        try_policies(argv[2], argv + 3, (size_t)argc - 3);
    else if (argc != 3 || strcmp(argv[1], "--only") != 0 || !print_one(argv[2])) {
        fprintf(stderr, "usage: quality [--only TRACE | --try TRACE|all FILE...]\n");
        return 2;
    }
    return 0;
}
