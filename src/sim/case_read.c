/*
 * case_read: a test file's YAML into struct case_file. Every key is known or refused with the nearest one that is; every value has its
 * place, so that what is wrong is shown where it stands. Nothing is opened here but what case_file_load is for.
 *
 *     file    policy, object, interval, start, duration, tests
 *     test    name, object, interval, start, duration, inputs, workload, expect, invariants, polls     -- two to five override the file's
 *     start   replicas, time, ready_after
 *     input   trigger, values | series | file, divided_by
 *     workload  trace, profile, startup, map, tokens, amplify, step, warmup, seed, slo
 *     expect  at, replicas, value, active, reason, says
 *     poll    running, pending, values, create
 */
#include "sim/case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "sim/case_internal.h"

struct reader {
    struct case_file *file;
    struct report *report;
    struct arena *arena;
    int64_t interval_ms, duration_ms; /* of the file, for tests that say nothing */
    struct case_start start;
    const char *object;
};
struct at { /* a node and what it is called: "tests[2].expect[0].at" */
    const struct tree *node;
    const char *field;
};
enum { INTERVAL_DEFAULT_MS = 60 * 1000 /* promtool's */ };

/* ------------------------------------------------------------------ complaints */

static struct place place_of(const struct reader *r, const struct tree *node, bool key)
{
    return (struct place){.file = r->file->name,
                          .line = key ? node->key_line : node->line,
                          .column = key ? node->key_column : node->column};
}

static void complain(struct reader *r, struct at at, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void complain(struct reader *r, struct at at, const char *remedy, const char *format, ...)
{
    struct place place = place_of(r, at.node, false);
    va_list args;

    va_start(args, format);
    case_complain(r->report, &place, at.field, remedy, "%s", arena_vprintf(r->arena, format, args));
    va_end(args);
    r->file->broken = true;
}

static void wrong_type(struct reader *r, struct at at, const char *due)
{
    complain(r, at, NULL, "this is %s; %s is due", tree_type_name(at.node->type), due);
}

/* ------------------------------------------------------------------ maps */

/* For one message; nobody reads more of them than are kept. */
static const char *all_of(struct reader *r, const char *const *keys)
{
    const char *list = keys[0];

    if (report_count(r->report) >= MANIFEST_FINDINGS_MAX)
        return "";

    for (size_t i = 1; keys[i]; i++)
        list = arena_printf(r->arena, "%s, %s", list, keys[i]);
    return list;
}

static void refuse_key(struct reader *r, struct at map, const struct tree *child, bool known, const char *const *keys,
                       size_t count)
{
    struct place place = place_of(r, child, true);
    const char *near = known ? NULL : string_nearest(child->key, keys, count);
    char remedy[300] = "leave one of them";

    r->file->broken = true;
    if (near)
        snprintf(remedy, sizeof(remedy), "did you mean '%s'?", near);
    else if (!known)
        snprintf(remedy, sizeof(remedy), "keys here are %s", all_of(r, keys));
    case_complain(r->report, &place, map.field, remedy,
                  known ? "the key '%.60s' is there twice" : "unknown key '%.60s'", child->key);
}

/* Is it a map of these keys (the list ends with NULL)? What else stands in it is reported, and not in the way. */
static bool is_map_of(struct reader *r, struct at at, const char *const *keys)
{
    size_t count = 0;

    while (keys[count])
        count++;
    if (at.node->type != TREE_MAP) {
        wrong_type(r, at, arena_printf(r->arena, "a map of %s", all_of(r, keys)));
        return false;
    }
    for (const struct tree *child = at.node->first; child; child = child->next) {
        bool known = false;

        for (size_t i = 0; i < count; i++)
            known |= strcmp(keys[i], child->key) == 0;
        if (!known || child->repeated_key)
            refuse_key(r, at, child, known, keys, count);
    }
    return true;
}

static struct at member(struct reader *r, struct at map, const char *key)
{
    return (struct at){tree_get(map.node, key),
                       arena_printf(r->arena, "%s%s%s", map.field, *map.field ? "." : "", key)};
}

static struct at item(struct reader *r, struct at list, const struct tree *node, size_t index)
{
    return (struct at){node, arena_printf(r->arena, "%s[%zu]", list.field, index)};
}

/* Absent is a list of none. */
static size_t list_of(struct reader *r, struct at at, const char *due)
{
    if (!at.node || at.node->type == TREE_NULL)
        return 0;
    if (at.node->type != TREE_LIST)
        wrong_type(r, at, due);
    else if (at.node->count <= CASE_ITEMS_MAX)
        return at.node->count;
    else
        complain(r, at, "divide it into several tests or files",
                 "there are %zu of these; %d are allowed (CASE_ITEMS_MAX)", at.node->count, CASE_ITEMS_MAX);
    return 0;
}

/* ------------------------------------------------------------------ single values; absent: as it was */

static const char *scalar(const struct tree *node)
{
    return node && (node->type == TREE_STRING || node->type == TREE_NUMBER) ? node->text : NULL;
}

static const char *read_text(struct reader *r, struct at at)
{
    if (!at.node)
        return NULL;
    if (!scalar(at.node) || !*scalar(at.node)) {
        wrong_type(r, at, "a text");
        return NULL;
    }
    if (strlen(scalar(at.node)) == at.node->length)
        return scalar(at.node);
    complain(r, at, NULL, "there is a 0 byte in this text");
    return NULL;
}

bool case_time_parse(const char *text, int64_t *ms)
{
    int64_t parsed;
    double seconds;

    if (number_parse(text, strlen(text), &seconds)) {
        if (!(seconds >= 0 && seconds <= (double)CASE_DURATION_MAX_S))
            return false;
        *ms = llround(seconds * 1000);
        return true;
    }
    if (!duration_parse_ms(text, &parsed) || parsed < 0 || parsed > CASE_DURATION_MAX_S * SECOND_MS)
        return false;
    *ms = parsed;
    return true;
}

static void read_time(struct reader *r, struct at at, int64_t *out)
{
    if (at.node && (!scalar(at.node) || !case_time_parse(scalar(at.node), out)))
        complain(r, at, arena_printf(r->arena, "at most %d days", CASE_DURATION_MAX_S / 86400),
                 "a time is due, such as 90s, 5m, 1h30m or a number of seconds");
}

static void read_count(struct reader *r, struct at at, int32_t *out)
{
    int64_t value;

    if (!at.node)
        return;
    if (tree_integer(at.node, &value) && value >= 0 && value <= REPLICAS_MAX)
        *out = (int32_t)value;
    else
        complain(r, at, NULL, "a whole number from 0 to %d is due", REPLICAS_MAX);
}

static bool read_number(struct reader *r, struct at at, double *out)
{
    if (at.node->type == TREE_NUMBER && tree_number(at.node, out) && isfinite(*out))
        return true;
    complain(r, at, NULL, "a number is due");
    return false;
}

static void read_range(struct reader *r, struct at at, struct case_range *out)
{
    static const char *const keys[] = {"min", "max", NULL};

    if (!at.node)
        return;
    *out = (struct case_range){true, -INFINITY, INFINITY};
    if (at.node->type != TREE_MAP) {
        if (read_number(r, at, &out->min))
            out->max = out->min;
        return;
    }
    if (!is_map_of(r, at, keys))
        return;
    if (tree_get(at.node, "min"))
        read_number(r, member(r, at, "min"), &out->min);
    if (tree_get(at.node, "max"))
        read_number(r, member(r, at, "max"), &out->max);
    if (at.node->count == 0 || out->min > out->max)
        complain(r, at, NULL, at.node->count == 0 ? "min or max is due" : "min is above max: nothing is in between");
}

static void read_truth(struct reader *r, struct at at, enum case_truth *out)
{
    bool value;

    if (!at.node)
        return;
    if (tree_bool(at.node, &value))
        *out = value ? CASE_YES : CASE_NO;
    else
        wrong_type(r, at, "true or false");
}

/* One text, or a list of them. */
static size_t read_words(struct reader *r, struct at at, const char *const **out)
{
    size_t count = at.node && at.node->type == TREE_LIST ? at.node->count : at.node != NULL, i = 0;
    const char **words = arena_array(r->arena, count ? count : 1, sizeof(*words));

    *out = words;
    if (!at.node || at.node->type != TREE_LIST) {
        words[0] = read_text(r, at);
        return words[0] != NULL;
    }
    for (const struct tree *node = at.node->first; node; node = node->next) {
        words[i] = read_text(r, item(r, at, node, i));
        i += words[i] != NULL;
    }
    return i;
}

static const char *read_choice(struct reader *r, struct at at, const char *const *words, size_t count, size_t *index)
{
    const char *text = read_text(r, at);

    for (size_t i = 0; text && i < count; i++)
        if (strcmp(words[i], text) == 0) {
            *index = i;
            return text;
        }
    if (!text)
        return NULL;
    const char *near = string_nearest(text, words, count), *list = words[0];
    for (size_t i = 1; i < count; i++)
        list = arena_printf(r->arena, "%s, %s", list, words[i]);
    complain(r, at, arena_printf(r->arena, "it is one of %s", list), "'%.60s' is not known here%s%s%s", text,
             near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

/* ------------------------------------------------------------------ what sources say */

bool case_value_read(const struct tree *node, struct input_value *out)
{
    const char *text = scalar(node);

    *out = (struct input_value){.kind = INPUT_OK};
    if (node->type == TREE_NULL || string_equal(text, "_"))
        out->kind = INPUT_MISSING;
    else if (string_equal(text, "failed"))
        out->kind = INPUT_FAILED;
    else if (string_equal(text, "stale"))
        out->kind = INPUT_STALE;
    else
        return text && number_parse(text, node->length, &out->value);
    return true;
}

static void check_series(struct reader *r, struct at at)
{
    int64_t before_ms = -1, at_ms = 0;
    struct input_value value;
    size_t i = 0;

    if (at.node->type != TREE_LIST || at.node->count == 0) {
        complain(r, at, "write [[0, 5], [10m, 40]]", "a list of times and values is due");
        return;
    }
    for (const struct tree *node = at.node->first; node; node = node->next, i++) {
        struct at point = item(r, at, node, i);

        if (node->type != TREE_LIST || node->count != 2 || !scalar(node->first) ||
            !case_time_parse(scalar(node->first), &at_ms))
            complain(r, point, "write [10m, 40]", "a time and a value are due");
        else if (at_ms <= before_ms)
            complain(r, point, "sort by time, and leave one of two at the same time", "times have to go up");
        else if (!case_value_read(tree_index(node, 1), &value))
            complain(r, point, NULL, "a value is a number, null for an answer without one, failed, or stale");
        before_ms = at_ms;
    }
}

static void read_input(struct reader *r, struct at at, void *item_out)
{
    struct case_input *out = item_out;
    static const char *const keys[] = {"trigger", "values", "series", "file", "divided_by", NULL};
    static const char *const shares[] = {"replicas", "ready"};
    size_t share;

    out->place = place_of(r, at.node, false);
    out->field = at.field;
    if (!is_map_of(r, at, keys))
        return;
    out->trigger = read_text(r, member(r, at, "trigger"));
    out->values = read_text(r, member(r, at, "values"));
    out->path = read_text(r, member(r, at, "file"));
    out->series = tree_get(at.node, "series");
    if (out->series)
        check_series(r, member(r, at, "series"));
    if (tree_get(at.node, "divided_by") && read_choice(r, member(r, at, "divided_by"), shares, 2, &share))
        out->share = share == 0 ? CASE_PER_REPLICA : CASE_PER_READY;
    int forms = (out->values != NULL) + (out->path != NULL) + (out->series != NULL);
    if (forms != 1)
        complain(r, at, "write values: \"0x10 5+1x20\", series: [[0, 5], [10m, 40]], or file: trace.csv",
                 forms == 0 ? "it is not said what the source says" : "this says it more than once");
    else if (!out->trigger && !out->path)
        complain(r, at, "write trigger: NAME", "it is not said which trigger reads this");
    else if (!out->trigger && out->share != CASE_WHOLE)
        complain(r, at, "write trigger: NAME", "it is not said which column is divided");
}

static void read_integer(struct reader *r, struct at at, int64_t *out)
{
    if (at.node && (!tree_integer(at.node, out) || *out < 0))
        complain(r, at, NULL, "a whole number from 0 on is due");
}

static void read_workload(struct reader *r, struct at at, struct case_workload *out)
{
    static const char *const keys[] = {"trace", "profile", "startup", "map", "tokens", "amplify",
                                       "step",  "warmup",  "seed",    "slo", NULL};

    *out = (struct case_workload){.amplify = -1, .step_ms = -1, .warmup_ms = -1, .seed = -1};
    if (!at.node || !is_map_of(r, at, keys))
        return;
    out->given = true;
    out->place = place_of(r, at.node, false);
    out->field = at.field;
    out->trace = read_text(r, member(r, at, "trace"));
    out->profile = read_text(r, member(r, at, "profile"));
    out->startup = read_text(r, member(r, at, "startup"));
    out->map = read_text(r, member(r, at, "map"));
    out->tokens = read_text(r, member(r, at, "tokens"));
    out->slo = read_text(r, member(r, at, "slo"));
    read_integer(r, member(r, at, "amplify"), &out->amplify);
    read_time(r, member(r, at, "step"), &out->step_ms);
    read_time(r, member(r, at, "warmup"), &out->warmup_ms);
    read_integer(r, member(r, at, "seed"), &out->seed);
    if (!tree_get(at.node, "trace"))
        complain(r, at, "write trace: FILE, seen from the test file", "it is not said what demand there is");
}

/* ------------------------------------------------------------------ what must come of it */

static void read_expect(struct reader *r, struct at at, void *item_out)
{
    struct case_expect *out = item_out;
    static const char *const keys[] = {"at", "replicas", "value", "active", "reason", "says", NULL};
    static const char *const reasons[] = {
#define REASON(name, text) text,
        DECISION_REASONS(REASON)
#undef REASON
    };
    size_t index;

    *out = (struct case_expect){.place = place_of(r, at.node, false), .field = at.field, .at_ms = -1};
    if (!is_map_of(r, at, keys))
        return;
    read_time(r, member(r, at, "at"), &out->at_ms);
    read_range(r, member(r, at, "replicas"), &out->replicas);
    read_range(r, member(r, at, "value"), &out->value);
    read_truth(r, member(r, at, "active"), &out->active);
    if (tree_get(at.node, "reason"))
        out->reason = read_choice(r, member(r, at, "reason"), reasons, REASON_COUNT, &index);
    out->say_count = read_words(r, member(r, at, "says"), &out->says);
    bool momentary = out->replicas.given || out->value.given || out->active != CASE_EITHER;
    if (!tree_get(at.node, "at") && momentary)
        complain(r, at, "write at: 5m", "it is not said when; only reason and says may be of any time");
    else if (!momentary && !tree_get(at.node, "reason") && !tree_get(at.node, "says"))
        complain(r, at, "write replicas: 3, value: 0.5, active: true, reason: above-target or says: \"words\"",
                 "nothing is expected here");
}

static void read_invariant(struct reader *r, struct at at, void *item_out)
{
    struct case_invariant *out = item_out;
    const char *text = read_text(r, at);
    struct error err;

    out->place = place_of(r, at.node, false);
    out->field = at.field;
    if (text && strlen(text) > CASE_INVARIANT_MAX_BYTES)
        complain(r, at, NULL, "an invariant has at most %d bytes (CASE_INVARIANT_MAX_BYTES)", CASE_INVARIANT_MAX_BYTES);
    else if (text && !case_invariant_parse(text, r->arena, out, &err))
        complain(r, at, NULL, "%s", err.text);
}

static void read_poll(struct reader *r, struct at at, void *item_out)
{
    struct case_poll *out = item_out;
    static const char *const keys[] = {"running", "pending", "values", "create", NULL};

    *out = (struct case_poll){.place = place_of(r, at.node, false), .field = at.field};
    if (!is_map_of(r, at, keys))
        return;
    read_count(r, member(r, at, "running"), &out->running);
    read_count(r, member(r, at, "pending"), &out->pending);
    read_range(r, member(r, at, "create"), &out->create);
    out->values = tree_get(at.node, "values");
    if (out->pending > out->running)
        complain(r, at, "jobs that wait count among those that run", "%d jobs wait, but only %d run", out->pending,
                 out->running);
    if (!out->create.given)
        complain(r, at, "write create: 3", "it is not said how many jobs are to be created");
    if (!out->values || out->values->type != TREE_MAP)
        complain(r, at, "write values: {queue: 12}", "it is not said what the sources say");
}

/* ------------------------------------------------------------------ tests */

static void read_start(struct reader *r, struct at at, struct case_start *out)
{
    static const char *const keys[] = {"replicas", "time", "ready_after", NULL};

    if (!at.node || !is_map_of(r, at, keys))
        return;
    struct at time = member(r, at, "time");
    read_count(r, member(r, at, "replicas"), &out->replicas);
    read_time(r, member(r, at, "ready_after"), &out->ready_after_ms);
    if (time.node && (!scalar(time.node) || !instant_parse(scalar(time.node), &out->at_ms) || out->at_ms < 0))
        complain(r, time, NULL, "an instant from 1970 on is due, such as 2026-01-31T12:00:00Z");
}

/* For each item of a list; absent is a list of none. */
typedef void read_item(struct reader *r, struct at at, void *out);
static void *read_list(struct reader *r, struct at at, const char *due, read_item *read, size_t size, size_t *count)
{
    size_t i = 0;

    *count = list_of(r, at, due);
    char *out = arena_array(r->arena, *count ? *count : 1, size);
    for (const struct tree *node = *count ? at.node->first : NULL; node; node = node->next, i++)
        read(r, item(r, at, node, i), out + i * size);
    return out;
}

static void read_lists(struct reader *r, struct at at, struct case_test *out, int64_t interval_ms)
{
    struct case_input *inputs =
        read_list(r, member(r, at, "inputs"), "a list of inputs", read_input, sizeof(*inputs), &out->input_count);
    out->expects = read_list(r, member(r, at, "expect"), "a list of expectations", read_expect, sizeof(*out->expects),
                             &out->expect_count);
    out->invariants = read_list(r, member(r, at, "invariants"), "a list of sentences", read_invariant,
                                sizeof(*out->invariants), &out->invariant_count);
    out->polls =
        read_list(r, member(r, at, "polls"), "a list of polls", read_poll, sizeof(*out->polls), &out->poll_count);
    for (size_t i = 0; i < out->input_count; i++)
        inputs[i].step_ms = interval_ms;
    out->inputs = inputs;
}

static void read_interval(struct reader *r, struct at at, int64_t *out)
{
    read_time(r, at, out);
    if (*out == 0) {
        complain(r, at, "write interval: 1m", "the interval between two values cannot be 0");
        *out = INTERVAL_DEFAULT_MS;
    }
}

/* Only requests have goals. */
static void check_goals(struct reader *r, const struct case_test *test)
{
    for (size_t i = 0; i < test->invariant_count && !test->workload.given; i++) {
        if (test->invariants[i].kind != INVARIANT_SLO)
            continue;
        case_complain(r->report, &test->invariants[i].place, test->invariants[i].field, "add workload: {trace: FILE}",
                      "only requests of a workload can be in slo, and there is none");
        r->file->broken = true;
    }
}

static void read_test(struct reader *r, struct at at, void *item_out)
{
    struct case_test *out = item_out;
    static const char *const keys[] = {"name",     "object", "interval",   "start", "duration", "inputs",
                                       "workload", "expect", "invariants", "polls", NULL};
    int64_t interval_ms = r->interval_ms;

    *out = (struct case_test){.place = place_of(r, at.node, false),
                              .object = r->object,
                              .start = r->start,
                              .duration_ms = r->duration_ms,
                              .name = at.field};
    if (!is_map_of(r, at, keys))
        return;
    const char *name = tree_get(at.node, "name") ? read_text(r, member(r, at, "name")) : NULL;
    if (name)
        out->name = name;
    if (tree_get(at.node, "object"))
        out->object = read_text(r, member(r, at, "object"));
    read_interval(r, member(r, at, "interval"), &interval_ms);
    read_start(r, member(r, at, "start"), &out->start);
    read_time(r, member(r, at, "duration"), &out->duration_ms);
    read_workload(r, member(r, at, "workload"), &out->workload);
    read_lists(r, at, out, interval_ms);
    check_goals(r, out);
    if (out->expect_count + out->invariant_count + out->poll_count == 0)
        complain(r, at, "add expect, invariants or polls", "this test expects nothing, so it could not fail");
    else if (out->poll_count > 0 &&
             out->expect_count + out->invariant_count + out->input_count + out->workload.given > 0)
        complain(r, at, "make it two tests",
                 "polls stand for themselves: a test has either them, or inputs or workload, expect and invariants");
}

/* ------------------------------------------------------------------ the file */

/* Manifests in the test file itself: a block of YAML, or maps; else the path of their file. */
static void read_policy(struct reader *r, struct at at)
{
    struct case_file *file = r->file;
    const char *text = scalar(at.node), *slash = strrchr(file->name, '/');
    struct text json;

    file->policy_place = place_of(r, at.node, false);
    file->policy_name = file->name;
    file->policy_inline = !text || strchr(text, '\n');
    if (text && file->policy_inline) {
        file->manifest = text;
        file->manifest_length = at.node->length;
    } else if (text) {
        bool beside = slash && *text != '/';
        file->policy_name = arena_printf(r->arena, "%.*s%s", beside ? (int)(slash + 1 - file->name) : 0, file->name,
                                         read_text(r, at) ? text : "");
    } else if (at.node->type == TREE_MAP || at.node->type == TREE_LIST) {
        text_init(&json, 2 * MANIFEST_FILE_MAX_BYTES);
        if (at.node->type == TREE_MAP)
            tree_write_json(at.node, &json);
        for (const struct tree *n = at.node->type == TREE_LIST ? at.node->first : NULL; n; n = n->next) {
            text_add(&json, "---\n");
            tree_write_json(n, &json);
            text_add(&json, "\n");
        }
        if (json.overflowed)
            complain(r, at, "put it into a file of its own", "the policy is too large");
        file->manifest = arena_copy_bytes(r->arena, json.bytes, json.length);
        file->manifest_length = json.length;
        text_done(&json);
    } else {
        wrong_type(r, at, "the path of a file of manifests, or manifests");
    }
}

static void read_root(struct reader *r, struct at at)
{
    static const char *const keys[] = {"policy", "object", "interval", "start", "duration", "tests", NULL};

    if (!is_map_of(r, at, keys))
        return;
    if (tree_get(at.node, "policy"))
        read_policy(r, member(r, at, "policy"));
    else
        complain(r, at, "write policy: shop.yaml, a path seen from this file", "the policy under test is missing");
    r->object = read_text(r, member(r, at, "object"));
    read_interval(r, member(r, at, "interval"), &r->interval_ms);
    read_start(r, member(r, at, "start"), &r->start);
    read_time(r, member(r, at, "duration"), &r->duration_ms);
    r->file->tests = read_list(r, member(r, at, "tests"), "a list of tests", read_test, sizeof(struct case_test),
                               &r->file->test_count);
    if (r->file->test_count == 0)
        complain(r, at, "write tests: and a list", "there are no tests in this file");
}

/* "file:line:column" */
static void read_where(const char *where, struct place *out)
{
    const char *column = strrchr(where, ':'), *line = column;

    while (line && line > where && line[-1] != ':')
        line--;
    if (!line || line == where)
        return;
    out->line = (int)strtol(line, NULL, 10);
    out->column = (int)strtol(column + 1, NULL, 10);
}

struct case_file *case_file_read(const char *name, const char *bytes, size_t length, struct report *report)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct case_file *file = arena_alloc(arena, sizeof(*file));
    struct reader r = {.file = file,
                       .report = report,
                       .arena = arena,
                       .interval_ms = INTERVAL_DEFAULT_MS,
                       .duration_ms = -1,
                       .start = {.replicas = -1, .at_ms = -1}};
    struct place top = {.line = 1, .column = 1};
    struct tree *documents;
    struct error err;

    file->arena = arena;
    file->name = arena_copy(arena, name);
    top.file = file->name;
    if (!tree_read_yaml(name, bytes, length, arena, &documents, &err)) {
        read_where(err.where, &top);
        case_complain(report, &top, "", NULL, "%s", err.text);
        file->broken = true;
    } else if (documents->count != 1) {
        case_complain(report, &top, "", "put each into a file of its own",
                      "a test file is one document, and this has %zu", documents->count);
        file->broken = true;
    } else {
        read_root(&r, (struct at){documents->first, ""});
    }
    return file;
}

void case_file_free(struct case_file *file)
{
    if (file)
        arena_free(file->arena);
}

bool case_file_load(struct case_file *file, struct report *report)
{
    struct text bytes;
    struct error err;

    if (file->broken || file->policy_inline)
        return !file->broken;
    text_init(&bytes, MANIFEST_FILE_MAX_BYTES);
    if (file_read(file->policy_name, &bytes, &err)) {
        file->manifest = arena_copy_bytes(file->arena, bytes.bytes, bytes.length);
        file->manifest_length = bytes.length;
    } else {
        case_complain(report, &file->policy_place, "policy", "paths are seen from the test file", "%s", err.text);
        file->broken = true;
    }
    text_done(&bytes);
    return !file->broken;
}

void case_complain(struct report *report, const struct place *place, const char *field, const char *remedy,
                   const char *format, ...)
{
    struct finding about = {.severity = FINDING_ERROR, .code = "test-file"};
    struct text sentence;
    va_list args;

    if (report_count_of(report, FINDING_ERROR) >= MANIFEST_FINDINGS_MAX)
        return; /* nobody reads more */
    about.place = *place;
    text_init(&sentence, 4096);
    va_start(args, format);
    text_vprintf(&sentence, format, args);
    va_end(args);
    report_add(report, &about, field, remedy, "%s", sentence.bytes);
    text_done(&sentence);
}
