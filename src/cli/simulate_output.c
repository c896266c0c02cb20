/*
 * simulate_output: see simulate_output.h. A moment is a decision that moved replicas, or after which something is not as it was: active or
 * not, held, failing. The summary's facts are made once, for the text, the JSON and the page.
 */
#include "cli/simulate_output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/time.h"
#include "sim/report.h"

enum { SHOWN_MAX = 60 /* moments that the text shows, unless all are asked for */ };

struct moment {
    int64_t at_ms;
    int32_t before, after, ready;
    bool active, held, error, fallback;
    enum decision_reason reason;
    char *why;
};
struct simulate_output {
    struct simulate_subject subject;
    struct moment *moments;
    size_t count, size, left_out; /* left_out: over SIM_MOMENTS_MAX */
    struct moment last;           /* of all ticks; why is not kept */
    bool any;
};

struct simulate_output *simulate_output_new(const struct simulate_subject *subject)
{
    struct simulate_output *o = mem_alloc(sizeof(*o));

    o->subject = *subject;
    return o;
}

void simulate_output_free(struct simulate_output *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->count; i++)
        free(o->moments[i].why);
    free(o->moments);
    free(o);
}

/* ------------------------------------------------------------------ moments */

static bool is_moment(const struct simulate_output *o, const struct moment *m)
{
    return !o->any || m->after != m->before || m->active != o->last.active || m->held != o->last.held ||
           m->error != o->last.error || m->fallback != o->last.fallback;
}

static char *words_of(const struct simulation_tick *tick)
{
    struct text why;

    text_init(&why, LOG_LINE_MAX_BYTES);
    decision_write_summary(tick->decision, tick->names, &why);
    return text_take(&why);
}

static void keep(struct simulate_output *o, const struct moment *m, const struct simulation_tick *tick)
{
    if (o->count == SIM_MOMENTS_MAX) {
        o->left_out++;
        return;
    }
    if (o->count == o->size) {
        o->size = o->size ? 2 * o->size : 64;
        o->moments = mem_grow(o->moments, o->size, sizeof(*o->moments));
    }
    o->moments[o->count] = *m;
    o->moments[o->count++].why = words_of(tick);
}

void simulate_output_tick(struct simulate_output *o, const struct simulation_tick *tick)
{
    const struct decision *d = tick->decision;
    struct moment m = {.at_ms = tick->at_ms,
                       .before = d->before,
                       .after = d->write ? d->after : d->before,
                       .ready = tick->ready,
                       .active = d->active,
                       .held = d->held,
                       .error = d->error,
                       .fallback = d->fallback,
                       .reason = d->reason};

    if (is_moment(o, &m))
        keep(o, &m, tick);
    o->last = m;
    o->any = true;
}

/* ------------------------------------------------------------------ facts */

struct facts {
    simulate_fact *fact;
    void *arg;
};

static void say(const struct facts *f, const char *name, const char *key, double number, int better, const char *format,
                ...) __attribute__((format(printf, 6, 7)));
static void say(const struct facts *f, const char *name, const char *key, double number, int better, const char *format,
                ...)
{
    char words[160];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    f->fact(f->arg, name, key, words, number, better);
}

static void say_score(const struct facts *f, const struct simulate_figures *figures)
{
    const struct score *s = &figures->result.score;
    char span[32];

    say(f, "requests", "requests", s->requests, SIM_REPORT_NEITHER, "%.0f", s->requests);
    say(f, "share in SLO", "in_slo", s->in_slo, SIM_REPORT_MORE_IS_BETTER,
        "%.2f %% (first token %.2f %%, the rest %.2f %%)", 100 * s->in_slo, 100 * s->ttft_ok, 100 * s->itl_ok);
    if (s->attainable >= 0 && s->attainable < 1)
        say(f, "attainable by any policy", "attainable", s->attainable, SIM_REPORT_NEITHER, "%.2f %%",
            100 * s->attainable);
    say(f, "worst backlog", "worst_waiting", s->worst.waiting, SIM_REPORT_LESS_IS_BETTER, "%.0f requests, %.0f tokens",
        s->worst.waiting, s->worst.waiting_tokens);
    f->fact(f->arg, NULL, "worst_waiting_tokens", "", s->worst.waiting_tokens, SIM_REPORT_LESS_IS_BETTER);
    duration_format_words((int64_t)(s->recovery_s * 1000), span, sizeof(span));
    say(f, "longest time out of SLO", "recovery_s", s->recovery_s, SIM_REPORT_LESS_IS_BETTER, "%s", span);
    if (s->ttft_p99_ns >= 0) {
        say(f, "first token", "ttft_p50_s", (double)s->ttft_p50_ns / 1e9, SIM_REPORT_LESS_IS_BETTER,
            "%.3g s in half of the requests, %.3g s in 99 %%", (double)s->ttft_p50_ns / 1e9,
            (double)s->ttft_p99_ns / 1e9);
        f->fact(f->arg, NULL, "ttft_p99_s", "", (double)s->ttft_p99_ns / 1e9, SIM_REPORT_LESS_IS_BETTER);
    }
}

static void say_oracle(const struct facts *f, const struct simulate_figures *figures, double hours)
{
    if (figures->has_plan && figures->plan.replica_hours > 0)
        say(f, "to the all-knowing plan", "plan_ratio", hours / figures->plan.replica_hours, SIM_REPORT_LESS_IS_BETTER,
            "%.2f times its %.2f replica-hours (%.2f %% in SLO)", hours / figures->plan.replica_hours,
            figures->plan.replica_hours, 100 * figures->plan.in_slo);
    if (figures->has_oracle && figures->bound_hours > 0)
        say(f, "to what nobody can beat", "bound_ratio", hours / figures->bound_hours, SIM_REPORT_LESS_IS_BETTER,
            "%.2f times %.2f replica-hours", hours / figures->bound_hours, figures->bound_hours);
}

void simulate_facts(const struct simulate_figures *figures, simulate_fact *fact, void *arg)
{
    const struct simulation_result *r = &figures->result;
    struct facts f = {fact, arg};
    double hours = r->replica_seconds / 3600;

    if (r->has_score)
        say_score(&f, figures);
    say(&f, "replica-hours", "replica_hours", hours, SIM_REPORT_LESS_IS_BETTER, "%.2f", hours);
    if (figures->price > 0)
        say(&f, "money", "money", hours * figures->price, SIM_REPORT_LESS_IS_BETTER, "%.2f", hours * figures->price);
    say(&f, "replicas", "highest", r->highest, SIM_REPORT_NEITHER, "%d to %d", r->lowest, r->highest);
    f.fact(f.arg, NULL, "lowest", "", r->lowest, SIM_REPORT_NEITHER);
    say(&f, "scale events", "events", (double)r->moves.events, SIM_REPORT_LESS_IS_BETTER, "%lld (%lld up, %lld down)",
        (long long)r->moves.events, (long long)r->moves.ups, (long long)r->moves.downs);
    f.fact(f.arg, NULL, "ups", "", (double)r->moves.ups, SIM_REPORT_NEITHER);
    f.fact(f.arg, NULL, "downs", "", (double)r->moves.downs, SIM_REPORT_NEITHER);
    say(&f, "moved and moved back", "oscillation", (double)r->moves.oscillation, SIM_REPORT_LESS_IS_BETTER,
        "%lld replicas", (long long)r->moves.oscillation);
    say_oracle(&f, figures, hours);
}

/* ------------------------------------------------------------------ text */

static void add_clock(int64_t ms, struct text *out)
{
    int64_t s = ms / 1000;

    if (s >= 86400)
        text_printf(out, "%lldd ", (long long)(s / 86400));
    text_printf(out, "%02d:%02d:%02d", (int)(s / 3600 % 24), (int)(s / 60 % 60), (int)(s % 60));
    if (ms % 1000 != 0)
        text_printf(out, ".%03d", (int)(ms % 1000));
}

static void add_moment(const struct moment *m, struct text *out)
{
    struct text clock;
    char move[40];

    text_init(&clock, sizeof(move));
    add_clock(m->at_ms, &clock);
    if (m->before == m->after)
        snprintf(move, sizeof(move), "%d", m->after);
    else
        snprintf(move, sizeof(move), "%d -> %d", m->before, m->after);
    text_printf(out, "%12s  %-12s %6d  %-15s %s\n", clock.bytes, move, m->ready, decision_reason_name(m->reason),
                m->why);
    text_done(&clock);
}

static void add_moments(const struct simulate_output *o, bool all, struct text *out)
{
    size_t shown = all || o->count <= SHOWN_MAX ? o->count : SHOWN_MAX;

    text_printf(out, "%12s  %-12s %6s  %-15s %s\n", "time", "replicas", "ready", "reason", "why");
    for (size_t i = 0; i < o->count; i++) {
        if (shown < o->count && i == shown / 2) {
            text_printf(out, "%12s  (%zu more moments; --all shows them)\n", "...", o->count - shown);
            i = o->count - shown / 2;
        }
        add_moment(&o->moments[i], out);
    }
    if (o->left_out > 0)
        text_printf(out, "%12s  (%zu more were not kept: SIM_MOMENTS_MAX)\n", "...", o->left_out);
}

static void add_fact(void *arg, const char *name, const char *key, const char *words, double number, int better)
{
    (void)key, (void)number, (void)better;
    if (name)
        text_printf(arg, "%-26s %s\n", name, words);
}

void simulate_output_text(const struct simulate_output *o, const struct simulate_figures *figures, bool all,
                          struct text *out)
{
    char span[32];

    text_printf(out, "%s (%s) under %s", o->subject.object, o->subject.policy, o->subject.engine);
    if (o->subject.trace)
        text_printf(out, ", against %s", o->subject.trace);
    if (o->subject.model)
        text_printf(out, " on %s", o->subject.model);
    text_add(out, "\n\n");
    add_moments(o, all, out);
    duration_format_words(figures->result.duration_ms, span, sizeof(span));
    text_printf(out, "\n%-26s %s, %lld decisions%s\n", "simulated", span, (long long)figures->result.ticks,
                figures->result.stopped ? " (interrupted: what follows is of this part only)" : "");
    simulate_facts(figures, add_fact, out);
    if (o->subject.recorded && figures->result.parted_ms < 0)
        text_add(out, "every decision is the recorded one\n");
    else if (o->subject.recorded) {
        duration_format_words(figures->result.parted_ms, span, sizeof(span));
        text_printf(out, "%-26s %s: from then on what runs is simulated\n", "as recorded until", span);
    }
    text_add_char(out, '\n');
    judge_write_text(figures->judge, out);
}

/* ------------------------------------------------------------------ JSON */

static void key(const char *name, struct text *out)
{
    char last = out->length ? out->bytes[out->length - 1] : '\0';

    if (last != '{' && last != '[')
        text_add_char(out, ',');
    text_add_json_string(out, name, strlen(name));
    text_add_char(out, ':');
}

static void put_number(const char *name, double value, struct text *out)
{
    key(name, out);
    if (isfinite(value))
        text_add_number(out, value);
    else
        text_add(out, "null");
}

static void put_string(const char *name, const char *value, struct text *out)
{
    key(name, out);
    if (value)
        text_add_json_string(out, value, strlen(value));
    else
        text_add(out, "null");
}

static void put_bool(const char *name, bool value, struct text *out)
{
    key(name, out);
    text_add(out, value ? "true" : "false");
}

static void put_moment(const struct moment *m, struct text *out)
{
    if (out->bytes[out->length - 1] != '[')
        text_add_char(out, ',');
    text_add_char(out, '{');
    put_number("at_s", (double)m->at_ms / 1000, out);
    put_number("before", m->before, out);
    put_number("after", m->after, out);
    put_number("ready", m->ready, out);
    put_string("reason", decision_reason_name(m->reason), out);
    put_bool("active", m->active, out);
    put_bool("held", m->held, out);
    put_bool("error", m->error, out);
    put_bool("fallback", m->fallback, out);
    put_string("why", m->why, out);
    text_add_char(out, '}');
}

static void put_fact(void *arg, const char *name, const char *word, const char *words, double number, int better)
{
    (void)name, (void)words, (void)better;
    put_number(word, number, arg);
}

static void put_oracle(const struct simulate_figures *figures, struct text *out)
{
    key("oracle", out);
    if (!figures->has_oracle) {
        text_add(out, "null");
        return;
    }
    text_add_char(out, '{');
    put_number("bound_replica_hours", figures->bound_hours, out);
    put_number("plan_replica_hours", figures->has_plan ? figures->plan.replica_hours : NAN, out);
    put_number("plan_in_slo", figures->has_plan ? figures->plan.in_slo : NAN, out);
    text_add_char(out, '}');
}

static void put_subject(const struct simulate_output *o, const struct simulate_figures *figures, struct text *out)
{
    char start[32];

    instant_format(o->subject.start_at_ms, start, sizeof(start));
    put_string("policy", o->subject.policy, out);
    put_string("object", o->subject.object, out);
    put_string("engine", o->subject.engine, out);
    put_string("trace", o->subject.trace, out);
    put_string("model", o->subject.model, out);
    put_string("start", start, out);
    put_number("duration_s", (double)figures->result.duration_ms / 1000, out);
    put_number("ticks", (double)figures->result.ticks, out);
    put_bool("interrupted", figures->result.stopped, out);
    if (o->subject.recorded)
        put_number("parted_s", figures->result.parted_ms < 0 ? NAN : (double)figures->result.parted_ms / 1000, out);
}

void simulate_output_json(const struct simulate_output *o, const struct simulate_figures *figures, struct text *out)
{
    text_add_char(out, '{');
    put_subject(o, figures, out);
    key("summary", out);
    text_add_char(out, '{');
    simulate_facts(figures, put_fact, out);
    text_add_char(out, '}');
    put_oracle(figures, out);
    key("findings", out);
    judge_write_json(figures->judge, out);
    key("moments", out);
    text_add_char(out, '[');
    for (size_t i = 0; i < o->count; i++)
        put_moment(&o->moments[i], out);
    text_add_char(out, ']');
    put_number("moments_left_out", (double)o->left_out, out);
    text_add(out, "}\n");
}
