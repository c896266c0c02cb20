/* explain_output: see explain_output.h. From the top: what is so, how it went, why, what comes next. */
#include "cli/explain_output.h"

#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "cli/explain_view.h"
#include "cli/paper.h"

enum {
    INDENT = 2,
    STEP_INDENT = 7,
    MORE_INDENT = 7, /* of what does not fit beside an input */
    LIST_INDENT = 24,
    NAME_WIDTH = 28,
    VALUE_WIDTH = 14,
    NARROW = 80, /* columns: below that names and values have less */
    NARROW_NAME = 16,
    NARROW_VALUE = 10,
};

static void put_heading(struct paper *paper, const char *heading)
{
    paper_end(paper);
    paper_put(paper, INK_HEAD, "%s", heading);
    paper_end(paper);
}

static void put_sentence(struct paper *paper, enum ink ink, const char *sentence)
{
    paper_to(paper, INDENT);
    paper_wrap(paper, ink, INDENT, sentence);
}

/* ------------------------------------------------------------------ what is so */

static enum ink ink_of_state(const char *state)
{
    static const struct {
        const char *state;
        enum ink ink;
    } inks[] = {{"bad", INK_BAD},     {"failed", INK_BAD},  {"fallback", INK_WARN}, {"held", INK_WARN},
                {"paused", INK_WARN}, {"active", INK_GOOD}, {"idle", INK_FAINT}};

    for (size_t i = 0; i < sizeof(inks) / sizeof(inks[0]); i++)
        if (strcmp(state, inks[i].state) == 0)
            return inks[i].ink;
    return INK_PLAIN;
}

static void put_age(struct paper *paper, const char *at, int64_t now_ms)
{
    char words[40];
    int64_t at_ms;

    if (now_ms == 0 || !instant_parse(at, &at_ms) || at_ms > now_ms)
        return;
    duration_format_words(now_ms - at_ms, words, sizeof(words));
    paper_join(paper, INK_FAINT, INDENT, ", %s ago", words);
}

static void put_title(struct paper *paper, const json_t *view, int64_t now_ms)
{
    const char *state = view_text(json_object_get(view, "object"), "state");

    paper_put(paper, INK_STRONG, "%s/%s", view_text(view, "namespace"), view_text(view, "name"));
    if (*view_text(view, "at")) {
        paper_join(paper, INK_PLAIN, INDENT, " at %s", view_text(view, "at"));
        put_age(paper, view_text(view, "at"), now_ms);
    }
    if (*state) {
        paper_put(paper, INK_PLAIN, ":");
        paper_join(paper, ink_of_state(state), INDENT, " %s", state);
    }
    if (strcmp(view_text(view, "from"), "journal") == 0)
        paper_join(paper, INK_WARN, INDENT, " (no Weir runs: from the journal)");
    paper_end(paper);
}

/* "Deployment checkout, 1..6 replicas: 3 wanted, 2 ready" */
static void put_target(struct paper *paper, const json_t *object)
{
    const json_t *target = json_object_get(object, "target");

    paper_to(paper, INDENT);
    if (json_is_object(target))
        paper_join(paper, INK_PLAIN, INDENT, "%s %s, %.0f..%.0f replicas, mode %s: ", view_text(target, "kind"),
                   view_text(target, "name"), view_number(object, "minReplicas"), view_number(object, "maxReplicas"),
                   view_text(object, "mode"));
    if (json_object_get(object, "running")) {
        paper_join(paper, INK_STRONG, INDENT, "%.0f jobs run, %.0f wait", view_number(object, "running"),
                   view_number(object, "pending"));
    } else if (json_object_get(object, "readyReplicas")) {
        bool all = view_number(object, "readyReplicas") >= view_number(object, "wantedReplicas");

        paper_join(paper, INK_STRONG, INDENT, "%.0f wanted", view_number(object, "wantedReplicas"));
        paper_join(paper, all ? INK_GOOD : INK_WARN, INDENT, ", %.0f ready", view_number(object, "readyReplicas"));
    } else {
        paper_join(paper, INK_WARN, INDENT, "%s",
                   *view_text(object, "targetError") ? view_text(object, "targetError") : "nothing is known of it yet");
    }
    paper_end(paper);
}

/* Until when, reckoned from now: the view may be some seconds old. */
static void put_countdown(struct paper *paper, const json_t *object, const char *key, const char *what, int64_t now_ms)
{
    char words[40];
    int64_t at_ms;

    if (now_ms == 0 || !instant_parse(view_text(object, key), &at_ms) || at_ms <= now_ms)
        return;
    duration_format_words(at_ms - now_ms, words, sizeof(words));
    paper_to(paper, INDENT);
    paper_join(paper, INK_WARN, INDENT, "%s %s", what, words);
    paper_join(paper, INK_FAINT, INDENT, ", at %s", view_text(object, key));
    paper_end(paper);
}

static void put_condition(struct paper *paper, const json_t *object, const char *key, const char *sentence)
{
    if (view_true(object, key))
        put_sentence(paper, INK_WARN, sentence);
}

static void put_object(struct paper *paper, const json_t *object, int64_t now_ms)
{
    char words[400];

    if (!json_is_object(object))
        return;
    if (*view_text(object, "problem")) {
        paper_to(paper, INDENT);
        paper_put(paper, INK_BAD, "problem: ");
        paper_wrap(paper, INK_BAD, INDENT, view_text(object, "problem"));
    }
    put_target(paper, object);
    put_countdown(paper, object, "cooldownEndsAt", "inactive: goes down when the cooldown ends in", now_ms);
    put_countdown(paper, object, "holdEndsAt", "a value is missing: held for another", now_ms);
    put_condition(paper, object, "paused", "paused");
    put_condition(paper, object, "fallback", "a fallback is in force");
    if (json_object_get(object, "nextPollInSeconds")) {
        duration_format_words((int64_t)(view_number(object, "nextPollInSeconds") * 1000), words, sizeof(words));
        paper_to(paper, INDENT);
        paper_put(paper, INK_FAINT, "next poll in %s", words);
        if (*view_text(object, "changedAt"))
            paper_join(paper, INK_FAINT, INDENT, "; the outcome is the same since %s", view_text(object, "changedAt"));
        paper_end(paper);
    }
}

/* ------------------------------------------------------------------ why */

static void value_of(const json_t *input, char *out, size_t size)
{
    const json_t *value = json_object_get(input, "value");

    if (json_is_number(value) && strcmp(view_text(input, "state"), "ok") == 0)
        snprintf(out, size, "%.10g", json_number_value(value));
    else
        snprintf(out, size, "-");
}

/* What the object knows beyond the record: the target, how long the question took, with whom the answer is shared. */
static void put_trigger(struct paper *paper, const json_t *trigger)
{
    char number[40];

    if (view_number(trigger, "target") != 0) {
        explain_number(view_number(trigger, "target"), number, sizeof(number));
        paper_join(paper, INK_PLAIN, MORE_INDENT, ", target %s", number);
    }
    if (view_number(trigger, "tookMs") > 0)
        paper_join(paper, INK_FAINT, MORE_INDENT, ", asked in %.0f ms", view_number(trigger, "tookMs"));
    if (view_number(trigger, "sharedWith") > 0)
        paper_join(paper, INK_FAINT, MORE_INDENT, ", shared with %.0f", view_number(trigger, "sharedWith"));
}

static void put_credentials(struct paper *paper, const json_t *trigger)
{
    json_t *credential;
    char age[40];
    size_t i;

    json_array_foreach(json_object_get(trigger, "credentials"), i, credential)
    {
        paper_join(paper, INK_FAINT, MORE_INDENT, ", %s %s", view_text(credential, "kind"),
                   view_text(credential, "name"));
        if (!json_object_get(credential, "ageSeconds"))
            continue;
        duration_format_words((int64_t)(view_number(credential, "ageSeconds") * 1000), age, sizeof(age));
        paper_join(paper, INK_FAINT, MORE_INDENT, " (read %s ago)", age);
    }
}

static enum ink ink_of_sample(const char *state)
{
    return strcmp(state, "ok") == 0 ? INK_GOOD : strcmp(state, "failed") == 0 ? INK_BAD : INK_WARN;
}

static void put_name_and_value(struct paper *paper, const json_t *input)
{
    bool narrow = paper->columns > 0 && paper->columns < NARROW;
    int value_column = INDENT + (narrow ? NARROW_NAME : NAME_WIDTH) + 1;
    char value[64];

    value_of(input, value, sizeof(value));
    paper_to(paper, INDENT);
    paper_put(paper, INK_PLAIN, "%s", view_text(input, "name"));
    paper_to(paper, value_column);
    paper_put(paper, INK_STRONG, "%s", value);
    paper_to(paper, value_column + (narrow ? NARROW_VALUE : VALUE_WIDTH) + 1);
}

static void put_input(struct paper *paper, const json_t *input, const json_t *trigger)
{
    const char *state = view_text(input, "state");

    put_name_and_value(paper, input);
    paper_put(paper, ink_of_sample(state), "%s", state);
    if (json_object_get(input, "age_s"))
        paper_join(paper, INK_PLAIN, MORE_INDENT, ", %.1f s old", view_number(input, "age_s"));
    if (view_true(input, "active"))
        paper_join(paper, INK_GOOD, MORE_INDENT, ", active");
    if (view_number(input, "failures") > 0)
        paper_join(paper, INK_BAD, MORE_INDENT, ", %.0f failures in a row", view_number(input, "failures"));
    put_trigger(paper, trigger);
    put_credentials(paper, trigger);
    if (*view_text(input, "why"))
        paper_join(paper, ink_of_sample(state), MORE_INDENT, ": %s", view_text(input, "why"));
    paper_end(paper);
}

static void put_inputs(struct paper *paper, const json_t *view)
{
    const json_t *inputs = json_object_get(view, "inputs"), *input;
    const json_t *triggers = json_object_get(json_object_get(view, "object"), "triggers");
    size_t i;

    if (json_array_size(inputs) == 0)
        return;
    put_heading(paper, "inputs");
    json_array_foreach(inputs, i, input) put_input(paper, input, json_array_get(triggers, i));
}

static void put_steps(struct paper *paper, const json_t *view)
{
    const json_t *steps = json_object_get(view, "steps"), *step;
    size_t i;

    if (json_array_size(steps) == 0)
        return;
    put_heading(paper, "steps");
    json_array_foreach(steps, i, step)
    {
        bool moves = view_number(step, "before") != view_number(step, "after");

        paper_put(paper, INK_FAINT, "  %2zu. ", i + 1);
        paper_wrap(paper, moves ? INK_STRONG : INK_PLAIN, STEP_INDENT, view_text(step, "text"));
    }
}

/* ------------------------------------------------------------------ next, and before */

static void put_outlook(struct paper *paper, const json_t *view)
{
    const json_t *sentences = json_object_get(json_object_get(view, "outlook"), "sentences"), *sentence;
    size_t i;

    if (json_array_size(sentences) == 0)
        return;
    put_heading(paper, "next");
    json_array_foreach(sentences, i, sentence)
        put_sentence(paper, INK_PLAIN, json_string_value(sentence) ? json_string_value(sentence) : "");
}

static void put_decision(struct paper *paper, const json_t *line)
{
    double before = view_number(line, "before"), after = view_number(line, "after");
    enum ink ink = after > before ? INK_GOOD : after < before ? INK_WARN : INK_PLAIN;
    char at[32];
    int64_t at_ms;

    if (instant_parse(view_text(line, "at"), &at_ms))
        instant_format(at_ms, at, sizeof(at));
    else
        snprintf(at, sizeof(at), "%s", view_text(line, "at"));
    paper_to(paper, INDENT);
    paper_put(paper, INK_FAINT, "%s", at);
    paper_to(paper, LIST_INDENT);
    paper_wrap(paper, ink, LIST_INDENT, view_text(line, "summary"));
}

static void put_decisions(struct paper *paper, const json_t *view, bool list)
{
    const json_t *decisions = json_object_get(view, "decisions"), *line;
    size_t i;

    if (json_array_size(decisions) == 0 && !list)
        return;
    put_heading(paper, list ? "decisions with a new outcome, the newest first" : "last decisions with a new outcome");
    if (json_array_size(decisions) == 0)
        put_sentence(paper, INK_FAINT, "none in this time: the one before it stood");
    json_array_foreach(decisions, i, line) put_decision(paper, line);
}

void explain_put(struct paper *paper, const json_t *view, bool list, int64_t now_ms)
{
    put_title(paper, view, now_ms);
    if (*view_text(view, "summary"))
        put_sentence(paper, INK_STRONG, view_text(view, "summary"));
    put_object(paper, json_object_get(view, "object"), now_ms);
    explain_put_history(paper, view);
    if (!list) {
        put_inputs(paper, view);
        explain_put_formula(paper, view);
        put_steps(paper, view);
        put_outlook(paper, view);
    }
    put_decisions(paper, view, list);
}
