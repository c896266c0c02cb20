/*
 * case_jobs: polls of a ScaledJob, each on its own: so many jobs run, so many wait, this is what the sources say; how many are created?
 * A ScaledJob remembers nothing from poll to poll, so nothing has to run for that.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"
#include "manifest/manifest.h"
#include "sim/case_internal.h"
#include "sim/input.h"

enum { RECORD_MAX_BYTES = 64 * 1024 };

/* What the trigger makes of it: prometheus has a word to say about answers without a value. */
static struct sample sample_of(const struct case_policy *policy, size_t trigger, const struct input_value *value)
{
    const struct trigger_spec *spec = &policy->specs[trigger];
    const char *zero = tree_string(tree_get(spec->metadata, "ignoreNullValues"));
    bool prometheus = strcmp(spec->type, "prometheus") == 0;
    bool says_nothing = value->kind == INPUT_MISSING || !isfinite(value->value);
    struct sample sample = {.state = SAMPLE_MISSING};

    if (value->kind == INPUT_FAILED || (says_nothing && prometheus && string_equal(zero, "false")))
        sample.state = SAMPLE_FAILED;
    else if (!says_nothing)
        sample = (struct sample){.state = SAMPLE_OK, .value = value->value};
    else if (prometheus && string_equal(zero, "true"))
        sample = (struct sample){.state = SAMPLE_OK, .stand_in = true};
    return sample;
}

static bool take_value(struct case_run *run, const struct case_poll *poll, const struct tree *node,
                       struct sample samples[TRIGGERS_MAX])
{
    struct place place = {.file = run->file->name, .line = node->line, .column = node->column};
    size_t trigger = case_policy_trigger(run->policy, node->key, &place, poll->field, run->report);
    struct input_value value;

    if (trigger == TRIGGERS_MAX)
        return false;
    if (case_value_read(node, &value) && value.kind != INPUT_STALE) {
        samples[trigger] = sample_of(run->policy, trigger, &value);
        return true;
    }
    case_complain(run->report, &place, poll->field, NULL,
                  "a value is a number, null for an answer without one, or failed");
    return false;
}

static bool take_values(struct case_run *run, const struct case_poll *poll, struct sample samples[TRIGGERS_MAX])
{
    bool fine = true;

    for (const struct tree *node = poll->values->first; node; node = node->next)
        fine = take_value(run, poll, node, samples) && fine;
    for (size_t i = 0; fine && i < run->policy->policy->trigger_count; i++) {
        if (samples[i].state != SAMPLE_NONE)
            continue;
        case_complain(run->report, &poll->place, poll->field, "give it a value, or null for none",
                      "it is not said what the source of the trigger %s says", run->policy->names[i]);
        fine = false;
    }
    return fine;
}

static void compare(struct case_run *run, const struct case_poll *poll, const struct job_decision *decision)
{
    const struct decision_names names = {.triggers = run->policy->policy->names,
                                         .trigger_count = run->policy->policy->trigger_count};
    const struct case_range *range = &poll->create;
    char expected[64], got[32];
    struct text record;

    if (decision->create >= range->min && decision->create <= range->max)
        return;
    if (range->min == range->max)
        snprintf(expected, sizeof(expected), "create: %.0f", range->min);
    else
        snprintf(expected, sizeof(expected), "create: %.0f to %.0f", range->min, range->max);
    snprintf(got, sizeof(got), "%d", decision->create);
    text_init(&record, RECORD_MAX_BYTES);
    job_decision_write_summary(decision, &record);
    for (size_t i = 0; i < decision->input_count && i < names.trigger_count; i++) {
        bool known = decision->inputs[i].state == SAMPLE_OK;

        text_printf(&record, "\n%s%s", names.triggers[i], known ? " = " : ": ");
        if (known)
            text_add_number(&record, decision->inputs[i].value);
        else
            text_add(&record, sample_state_name(decision->inputs[i].state));
    }
    case_fail(run, &poll->place, poll->field, -1, record.bytes, expected, got);
    text_done(&record);
}

void case_run_polls(struct case_run *run)
{
    const struct policy *policy = run->policy->policy;
    int64_t now_ms = run->test->start.at_ms >= 0 ? run->test->start.at_ms : CASE_START_AT_S * 1000;

    for (size_t i = 0; i < run->test->poll_count; i++) {
        const struct case_poll *poll = &run->test->polls[i];
        struct sample samples[TRIGGERS_MAX] = {{.state = SAMPLE_NONE}};
        struct job_facts facts = {
            .now_ms = now_ms, .running = poll->running, .pending = poll->pending, .samples = samples};
        struct job_decision decision;

        if (!take_values(run, poll, samples))
            continue;
        for (size_t t = 0; t < policy->trigger_count; t++)
            samples[t].at_ms = now_ms;
        decide_jobs(&policy->job_rules, &facts, &decision);
        run->result->decisions++;
        compare(run, poll, &decision);
    }
}
