/*
 * pages: pages of --report made from hand-written demand, for the tests in a browser and for the goldens of their data. The decisions are
 * real ones, by decide(); pods are ready a minute after they were asked for.
 *
 *     report-pages CASE >page.html
 *     report-pages --data CASE >data.json
 *     report-pages --check FOLDER                -- whether the data are those of FOLDER/CASE.json
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/time.h"
#include "sim/report.h"

enum { TRIGGERS = 2, STEP_S = 15, START_S = 60 };

static const int64_t start_at_ms = INT64_C(1767225600000); /* 2026-01-01T00:00:00Z */

struct play { /* one policy against one demand */
    struct sim_report_run *run;
    const char *names[TRIGGERS];
    const char *formula; /* NULL: each trigger against its own target */
    double target;
    enum target_type type;
    int32_t max;
    int64_t duration_s;
    double (*demand)(int64_t at_s);
    int64_t missing_from_s, missing_until_s, failed_from_s, failed_until_s;
    /* as it goes */
    int32_t replicas, ready;
    int64_t asked_at_s;
    double waiting;
};

/* ------------------------------------------------------------------ demand */

/* Between 0 and 1, the same for the same number. */
static double noise(int64_t n)
{
    uint64_t x = (uint64_t)n * UINT64_C(0x9e3779b97f4a7c15);

    x ^= x >> 31;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    return (double)(x >> 11) / 9007199254740992.0;
}

/* From 0 to 1 and back. No sine: its last bit differs from machine to machine, and goldens are compared byte for byte. */
static double wave(int64_t at_s, int64_t period_s)
{
    double x = (double)(at_s % period_s) / (double)period_s;

    return 16 * x * x * (1 - x) * (1 - x);
}

static double an_hour(int64_t at_s)
{
    return 80 * wave(at_s, 1800) + 10 * noise(at_s) + (at_s > 1500 && at_s < 1560 ? 90 : 0);
}

static double a_week(int64_t at_s)
{
    return 20 + 160 * wave(at_s, 86400) + 25 * noise(at_s / 60) + (at_s == 302400 ? 700 : 0);
}

/* ------------------------------------------------------------------ playing */

static struct sample sample_of(const struct play *p, int64_t at_s, size_t trigger, double value)
{
    struct sample sample = {.state = SAMPLE_OK, .value = value, .at_ms = start_at_ms + at_s * 1000};

    if (trigger == 0 && at_s >= p->missing_from_s && at_s < p->missing_until_s)
        sample.state = SAMPLE_MISSING;
    if (trigger == 1 && at_s >= p->failed_from_s && at_s < p->failed_until_s)
        sample.state = SAMPLE_FAILED;
    if (sample.state != SAMPLE_OK)
        sample.value = 0;
    return sample;
}

static void work(struct play *p, int64_t at_s, double demand)
{
    if (at_s - p->asked_at_s >= START_S || p->ready > p->replicas)
        p->ready = p->replicas;
    p->waiting = fmax(0, p->waiting + (demand - 10.0 * p->ready) * STEP_S);
}

static struct formula *compile(const struct play *p)
{
    struct formula_error err;
    struct formula *formula =
        formula_compile(p->formula, strlen(p->formula),
                        &(struct formula_options){
                            .names = p->names, .name_count = TRIGGERS, .wrap = FORMULA_WRAP_KEDA, .extensions = true},
                        &err);

    if (!formula) {
        fprintf(stderr, "%s: %s\n", p->formula, err.text);
        exit(2);
    }
    return formula;
}

static void play(struct play *p)
{
    struct decide_trigger triggers[TRIGGERS] = {{.target = 10, .formula_name = 0}, {.target = 100, .formula_name = 1}};
    struct policy_trigger about[TRIGGERS] = {{.name = p->names[0], .type = "metrics-api"},
                                             {.name = p->names[1], .type = "prometheus"}};
    struct policy policy = {
        .kind = "ScaledObject", .ns = "shop", .name = "checkout", .triggers = about, .trigger_count = TRIGGERS};
    struct decision_names names = {p->names, TRIGGERS, p->formula};
    uint16_t rate = sim_report_measure(p->run, SIM_REPORT_DEMAND, "requests", "per second");
    uint16_t waiting = sim_report_measure(p->run, SIM_REPORT_BACKLOG, "waiting", "requests");
    uint16_t slo = sim_report_measure(p->run, SIM_REPORT_SLO, "share in SLO", "of a minute's requests");
    struct decision d;

    policy.rules = (struct decide_rules){.max = p->max,
                                         .idle = -1,
                                         .cooldown_ms = 300000,
                                         .trigger_count = TRIGGERS,
                                         .triggers = triggers,
                                         .formula = p->formula ? compile(p) : NULL,
                                         .formula_target = p->target,
                                         .formula_type = p->type,
                                         .tolerance = 0.1,
                                         .downscale_stabilization_ms = 300000,
                                         .missing_hold_ms = 1800000};
    struct decide_memory *memory = decide_memory_new(&policy.rules);
    sim_report_goal(p->run, slo, 0.99);
    for (int64_t at_s = 0; at_s <= p->duration_s; at_s += STEP_S) {
        double demand = p->demand(at_s);

        work(p, at_s, demand);
        struct sample samples[TRIGGERS] = {sample_of(p, at_s, 0, demand), sample_of(p, at_s, 1, floor(p->waiting))};
        decide(&policy.rules,
               &(struct decide_facts){.now_ms = start_at_ms + at_s * 1000,
                                      .replicas = p->replicas,
                                      .status_replicas = p->replicas,
                                      .ready_replicas = p->ready,
                                      .samples = samples},
               memory, true, &d);
        sim_report_tick(p->run, &(struct simulation_tick){.at_ms = at_s * 1000,
                                                          .decision = &d,
                                                          .names = &names,
                                                          .samples = samples,
                                                          .trigger_count = TRIGGERS,
                                                          .replicas = p->replicas,
                                                          .ready = p->ready,
                                                          .pending = p->replicas - p->ready,
                                                          .policy = &policy});
        sim_report_value(p->run, rate, at_s * 1000, demand);
        sim_report_value(p->run, waiting, at_s * 1000, floor(p->waiting));
        if (at_s % 60 == 0)
            sim_report_value(p->run, slo, at_s * 1000, p->waiting > 0 ? fmax(0, 1 - p->waiting / 2000) : 1);
        if (d.write) {
            decide_applied(&policy.rules, memory, &d);
            p->replicas = d.after;
            p->asked_at_s = at_s;
        }
    }
    decide_memory_free(memory);
    formula_unref(policy.rules.formula);
}

static struct sim_report_run *add_run(struct sim_report *r, const char *name, double price)
{
    return sim_report_run(r, &(struct sim_report_run_options){
                                 .name = name, .start_at_ms = start_at_ms, .price_per_hour = price, .currency = "$"});
}

static void top(struct sim_report_run *run, double in_slo, double hours, int events)
{
    char words[64];

    snprintf(words, sizeof(words), "%.2f %%", 100 * in_slo);
    sim_report_fact(run, "share in SLO", words, in_slo, SIM_REPORT_MORE_IS_BETTER);
    snprintf(words, sizeof(words), "%.1f", hours);
    sim_report_fact(run, "replica-hours", words, hours, SIM_REPORT_LESS_IS_BETTER);
    snprintf(words, sizeof(words), "%d", events);
    sim_report_fact(run, "scale events", words, events, SIM_REPORT_LESS_IS_BETTER);
    sim_report_fact(run, "worst backlog", "412 requests", 412, SIM_REPORT_NEITHER);
}

/* ------------------------------------------------------------------ the cases */

static void case_hour(struct sim_report *r)
{
    struct play p = {.run = add_run(r, "checkout.yaml", 2.5),
                     .names = {"rate", "queue"},
                     .target = 10,
                     .formula = "queue > 50 ? rate + queue / 20 : max(rate, 1)",
                     .max = 20,
                     .duration_s = 3600,
                     .demand = an_hour,
                     .missing_from_s = 2000,
                     .missing_until_s = 2300,
                     .failed_from_s = 2900,
                     .failed_until_s = 3020};

    play(&p);
    top(p.run, 0.9931, 5.4, 23);
    sim_report_finding(p.run, FINDING_WARNING, "oscillates",
                       "replicas moved and moved back 3 times; the term `queue / 20` does it",
                       "smooth it: avg_over(queue, \"2m\")");
    sim_report_finding(p.run, FINDING_ADVICE, "unused-room", "replicas never came near the maximum of 20", NULL);
}

static void case_triggers(struct sim_report *r)
{
    struct play p = {.run = sim_report_run(r, &(struct sim_report_run_options){.name = "plain.yaml"}),
                     .names = {"rate", "queue"},
                     .max = 20,
                     .duration_s = 1800,
                     .demand = an_hour};

    play(&p);
}

/* No tolerance for noise, so that something moves nearly always. */
static void case_week(struct sim_report *r)
{
    struct play p = {.run = add_run(r, "week.yaml", 2.5),
                     .names = {"rate", "queue"},
                     .target = 4,
                     .formula = "queue > 50 ? rate + queue / 20 : max(rate, 1) + (rate > 100 ? 10 : 0)",
                     .max = 100,
                     .duration_s = 7 * 86400,
                     .demand = a_week};

    play(&p);
    top(p.run, 0.98, 5200, 4000);
}

static void case_compare(struct sim_report *r)
{
    struct play a = {.run = add_run(r, "old.yaml", 2.5),
                     .names = {"rate", "queue"},
                     .target = 10,
                     .formula = "rate + queue / 100",
                     .max = 20,
                     .duration_s = 3600,
                     .demand = an_hour};
    struct play b = a;

    b.run = add_run(r, "new.yaml", 2.5);
    b.target = 7;
    play(&a);
    play(&b);
    top(a.run, 0.971, 5.1, 19);
    top(b.run, 0.998, 6.2, 17);
    sim_report_finding(a.run, FINDING_ERROR, "too-late", "2.9 % of the requests waited longer than their goal", NULL);
    sim_report_parting(r, 240000, 900000,
                       "new.yaml has 2 replicas more: formula at 31 against a target of 7 asks for 5");
    sim_report_parting(r, 1515000, 1800000, "old.yaml waits 60 s longer for the spike");
}

#define EVIL                                                                                                           \
    "</script><script>document.title='owned'</script><img src=x "                                                      \
    "onerror=\"document.title='owned'\">\xe2\x80\xa8'\"&amp;{{data}}"

static void case_hostile(struct sim_report *r)
{
    struct play p = {.run = add_run(r, EVIL, 1),
                     .names = {"rate" EVIL "\001 12", "queue"},
                     .target = 10,
                     .formula = "queue > 50 && \""
                                "</script><script>document.title='owned'</script>"
                                "\" != \"\" ? queue / 20 : max(queue, 1)",
                     .max = 20,
                     .duration_s = 1800,
                     .demand = an_hour};

    struct play plain = p; /* its trigger is what decisions speak of */

    plain.run = add_run(r, "plain " EVIL, 1);
    plain.formula = NULL;
    play(&p);
    play(&plain);
    sim_report_fact(p.run, EVIL, EVIL, 1, SIM_REPORT_NEITHER);
    sim_report_finding(p.run, FINDING_ERROR, EVIL, EVIL, EVIL);
    sim_report_parting(r, 0, 60000, EVIL);
}

static void case_nothing(struct sim_report *r)
{
    add_run(r, "interrupted.yaml", 0);
}

/* ------------------------------------------------------------------ the program */

static const struct {
    const char *name, *subtitle;
    void (*make)(struct sim_report *report);
    bool golden;
} cases[] = {
    {"hour", "checkout.yaml against an hour with a spike, seed 1", case_hour, true},
    {"triggers", "plain.yaml, no formula, times relative", case_triggers, true},
    {"week", "week.yaml against a week of noise", case_week, false},
    {"compare", "old.yaml and new.yaml against an hour with a spike", case_compare, true},
    {"hostile", EVIL, case_hostile, true},
    {"nothing", "interrupted before the first decision", case_nothing, true},
};

static void make(size_t which, bool data, struct text *out)
{
    const char *command = strcmp(cases[which].name, "compare") == 0 ? "weir compare" : "weir simulate";
    struct sim_report *report = sim_report_new(command, cases[which].subtitle);

    text_init(out, SIM_REPORT_PAGE_MAX_BYTES);
    cases[which].make(report);
    (data ? sim_report_data : sim_report_write)(report, out);
    sim_report_free(report);
}

static bool is_golden(size_t which, const char *folder)
{
    struct text out, golden;
    struct error err;
    char path[4096];
    size_t same = 0;

    snprintf(path, sizeof(path), "%s/%s.json", folder, cases[which].name);
    text_init(&golden, SIM_REPORT_PAGE_MAX_BYTES);
    if (!file_read(path, &golden, &err))
        printf("%s: %s\n", path, err.text);
    make(which, true, &out);
    while (same < out.length && same < golden.length && out.bytes[same] == golden.bytes[same])
        same++;
    bool equal = out.length == golden.length && same == out.length;
    if (!equal)
        printf("%s: byte %zu: it should be\n...%.100s\nand is\n...%.100s\n(report-pages --data %s >%s takes it as it "
               "is)\n",
               path, same, golden.bytes + (same > 40 ? same - 40 : 0), out.bytes + (same > 40 ? same - 40 : 0),
               cases[which].name, path);
    text_done(&out);
    text_done(&golden);
    return equal;
}

static int check_goldens(const char *folder)
{
    int passed = 0, failed = 0;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (!cases[i].golden)
            continue;
        if (is_golden(i, folder))
            passed++;
        else
            failed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

int main(int argc, char **argv)
{
    bool data = argc == 3 && strcmp(argv[1], "--data") == 0;
    struct text out;

    if (argc == 3 && strcmp(argv[1], "--check") == 0)
        return check_goldens(argv[2]);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (argc != (data ? 3 : 2) || strcmp(argv[argc - 1], cases[i].name) != 0)
            continue;
        make(i, data, &out);
        fwrite(out.bytes, 1, out.length, stdout);
        text_done(&out);
        return 0;
    }
    fprintf(stderr, "report-pages [--data] CASE, or --check FOLDER; cases:");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        fprintf(stderr, " %s", cases[i].name);
    fprintf(stderr, "\n");
    return 2;
}
