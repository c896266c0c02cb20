/*
 * tune_space: what of a policy can be changed. Either the author says so, with a comment on the line of a value,
 *
 *     threshold: "100"      # weir:tune 10..1000        a range
 *     cooldownPeriod: 300   # weir:tune                 a quarter to four times of what stands there
 *
 * and then only that is; or it is inferred from what the policy does: its target, the windows, tolerances, intervals and the minimum, with
 * ranges that are sane for autoscalers. What is inferred has to prove that it can be edited.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "manifest/edit.h"
#include "manifest/manifest.h"
#include "policy/policy.h"
#include "sim/tune.h"

#define BEHAVIOR    "spec.advanced.horizontalPodAutoscalerConfig.behavior."
#define FACTOR      4.0  /* around a value that nothing else is known of */
#define LOG_FROM    10.0 /* ranges that span that factor are searched by factors */
#define DIGITS_KEPT "%.3g"

enum {
    INTERVAL_LOW_S = 5,
    INTERVAL_HIGH_S = 60,
    COOLDOWN_LOW_S = 30,
    COOLDOWN_HIGH_S = 1800, /* half an hour idle costs more than most starts */
    WINDOW_HIGH_S = 900,    /* of scaling down: three times the default */
    UTILIZATION_LOW = 20,
    UTILIZATION_HIGH = 95,
    WHOLE_FROM = 20, /* targets from here on lose nothing without fractions */
};
#define TOLERANCE_HIGH 0.3

struct finding_space { /* while it is looked for */
    const char *file, *bytes;
    size_t length;
    const struct scaled_object *object;
    const struct policy *policy;
    const struct tree *document; /* the object's */
    struct tune_space *out;
    struct error *err;
};

/* ------------------------------------------------------------------ values */

static double rounded(double value)
{
    char digits[32];

    snprintf(digits, sizeof(digits), DIGITS_KEPT, value);
    return strtod(digits, NULL);
}

double tune_value(const struct tune_parameter *p, double place)
{
    double value =
        p->log ? exp(log(p->low) + place * (log(p->high) - log(p->low))) : p->low + place * (p->high - p->low);

    value = p->whole ? round(value) : rounded(value);
    return value < p->low ? p->low : value > p->high ? p->high : value;
}

void tune_write_value(const struct tune_parameter *parameter, double place, struct text *out)
{
    text_add_number(out, tune_value(parameter, place));
    text_add(out, parameter->duration ? "s" : "");
}

bool tune_manifest(const struct tune_space *space, const char *file, const char *bytes, size_t length,
                   const struct tune_candidate *candidate, struct text *out, struct error *err)
{
    struct edit edits[TUNE_PARAMETERS_MAX] = {0};
    struct text values[TUNE_PARAMETERS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < space->count && !candidate->as_written; i++) {
        const struct tune_parameter *p = &space->list[i];

        if (tune_value(p, candidate->point[i]) == p->now)
            continue; /* it stands as it is, or is the default */
        text_init(&values[count], 64);
        tune_write_value(p, candidate->point[i], &values[count]);
        edits[count] = (struct edit){space->document, p->path, values[count].bytes, p->type};
        count++;
    }
    bool fine = edit_apply_all(file, bytes, length, edits, count, out, err);
    for (size_t i = 0; i < count; i++)
        text_done(&values[i]);
    return fine;
}

/* ------------------------------------------------------------------ a parameter joins */

static const char *whole_path(struct finding_space *f, const char *field)
{
    return arena_printf(f->out->arena, "%s%s", f->object->meta.path_prefix, field);
}

/* Numbers and durations that stand in a file. */
static bool read_value(const char *text, size_t length, double *value, bool *duration)
{
    int64_t ns;

    *duration = false;
    if (number_parse(text, length, value) && isfinite(*value))
        return true;
    *duration = duration_parse_ns(text, length, &ns);
    *value = *duration ? (double)ns / 1e9 : 0;
    return *duration;
}

static bool can_be_edited(const struct finding_space *f, const struct tune_parameter *p)
{
    struct tune_space one = {.document = f->out->document, .list = {*p}, .count = 1};
    struct tune_candidate candidate = {.point = {0.5}};
    struct text out;

    text_init(&out, MANIFEST_FILE_MAX_BYTES);
    bool fine = tune_manifest(&one, f->file, f->bytes, f->length, &candidate, &out, f->err);
    text_done(&out);
    return fine;
}

static bool add(struct finding_space *f, struct tune_parameter p)
{
    if (f->out->count == TUNE_PARAMETERS_MAX)
        return error_set(f->err, ERROR_LIMIT, "more than %d values are to be tuned (TUNE_PARAMETERS_MAX); mark fewer",
                         TUNE_PARAMETERS_MAX);
    p.log = p.log && p.low > 0;
    f->out->list[f->out->count++] = p;
    return true;
}

/* What was inferred and cannot be edited is left out: nobody asked for it. */
static void infer(struct finding_space *f, const char *field, enum tree_type type, struct tune_parameter p)
{
    const struct tree *node = edit_find(f->document, p.path = whole_path(f, field));

    p.is_there = node && node->type != TREE_NULL;
    p.type = p.is_there && (node->type == TREE_STRING || node->type == TREE_NUMBER) ? node->type : type;
    if (p.high > p.low && can_be_edited(f, &p) && f->out->count < TUNE_PARAMETERS_MAX)
        add(f, p);
}

/* ------------------------------------------------------------------ inferred */

/* A quarter to four times; larger numbers stay whole, so that they look as people write them. */
static struct tune_parameter around(double now, bool whole)
{
    bool round_to = whole || (now >= WHOLE_FROM && now == floor(now));

    return (struct tune_parameter){.low = round_to ? ceil(now / FACTOR) : rounded(now / FACTOR),
                                   .high = round_to ? floor(now * FACTOR) : rounded(now * FACTOR),
                                   .now = now,
                                   .whole = round_to,
                                   .log = true};
}

static bool is_word_of(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

/* The parameter that is the target: named as targets are, and the number that policy/ took for it. */
static void infer_trigger(struct finding_space *f, size_t index)
{
    static const char *const targets[] = {"threshold",           "target",       "targetValue",
                                          "targetQueryValue",    "value",        "listLength",
                                          "pendingEntriesCount", "streamLength", "lagCount"};
    static const char *const counts[] = {"listLength", "pendingEntriesCount", "streamLength", "lagCount"};
    const struct trigger_spec *spec = &f->object->triggers[index];
    const struct decide_trigger *rule = &f->policy->rules.triggers[index];
    double value;

    if (!f->policy->triggers[index].trigger || rule->target <= 0 || strcmp(spec->type, "cron") == 0)
        return;
    for (const struct tree *m = spec->metadata ? spec->metadata->first : NULL; m; m = m->next) {
        const char *field = arena_printf(f->out->arena, "spec.triggers[%zu].metadata.%s", index, m->key);
        bool whole = is_word_of(m->key, counts, sizeof(counts) / sizeof(counts[0]));

        if (!is_word_of(m->key, targets, sizeof(targets) / sizeof(targets[0])) || !tree_number(m, &value) ||
            value != rule->target)
            continue;
        if (rule->target_type == TARGET_UTILIZATION)
            infer(
                f, field, TREE_STRING,
                (struct tune_parameter){.low = UTILIZATION_LOW, .high = UTILIZATION_HIGH, .now = value, .whole = true});
        else
            infer(f, field, TREE_STRING, around(value, whole));
    }
}

static void infer_targets(struct finding_space *f)
{
    const struct decide_rules *rules = &f->policy->rules;

    if (rules->formula && rules->formula_target > 0)
        infer(f, "spec.advanced.scalingModifiers.target", TREE_STRING, around(rules->formula_target, false));
    for (size_t i = 0; !rules->formula && i < rules->trigger_count; i++)
        infer_trigger(f, i);
}

static struct tune_parameter seconds(double low, double high, int64_t now_ms, bool log)
{
    return (struct tune_parameter){.low = low, .high = high, .now = (double)now_ms / 1000, .whole = true, .log = log};
}

static void infer_times(struct finding_space *f)
{
    const struct policy *p = f->policy;

    if (!p->polling_interval_fixed)
        infer(f, "spec.pollingInterval", TREE_NUMBER,
              seconds(INTERVAL_LOW_S, INTERVAL_HIGH_S, p->polling_interval_ms, true));
    if (p->rules.min == 0 || p->rules.idle >= 0)
        infer(f, "spec.cooldownPeriod", TREE_NUMBER,
              seconds(COOLDOWN_LOW_S, COOLDOWN_HIGH_S, p->rules.cooldown_ms, true));
}

/* From one up where it never is zero: whether it may be is not ours to say. At most half of the maximum, and always more than it was. */
static void infer_min(struct finding_space *f)
{
    const struct decide_rules *r = &f->policy->rules;
    int32_t high = r->max / 2 > r->min + 1 ? r->max / 2 : r->min + 1;

    infer(f, "spec.minReplicaCount", TREE_NUMBER,
          (struct tune_parameter){
              .low = r->min > 0 ? 1 : 0, .high = high < r->max ? high : r->max, .now = r->min, .whole = true});
}

static void infer_behavior(struct finding_space *f)
{
    const struct decide_rules *r = &f->policy->rules;
    const struct scaling_behavior *b = r->behavior;
    int64_t down_ms = b && b->down.window_s >= 0 ? b->down.window_s * SECOND_MS : r->downscale_stabilization_ms;
    struct tune_parameter tolerance = {.low = 0, .high = TOLERANCE_HIGH, .now = r->tolerance};

    infer(f, BEHAVIOR "scaleDown.stabilizationWindowSeconds", TREE_NUMBER, seconds(0, WINDOW_HIGH_S, down_ms, false));
    tolerance.now = b && b->up.tolerance >= 0 ? b->up.tolerance : r->tolerance;
    infer(f, BEHAVIOR "scaleUp.tolerance", TREE_STRING, tolerance);
    tolerance.now = b && b->down.tolerance >= 0 ? b->down.tolerance : r->tolerance;
    infer(f, BEHAVIOR "scaleDown.tolerance", TREE_STRING, tolerance);
}

static void infer_all(struct finding_space *f)
{
    infer_targets(f);
    infer_min(f);
    infer_times(f);
    infer_behavior(f);
}

/* ------------------------------------------------------------------ marked */

struct search_line { /* for the last scalar on a line of the object, and its path */
    int line;
    const struct tree *found;
    char path[1024], found_path[1024];
};

static void step_in(struct search_line *s, const struct tree *child, size_t index, bool list)
{
    size_t at = strlen(s->path);
    bool plain = !list && child->key && child->key[0] && !strpbrk(child->key, ".[]/");

    if (list)
        snprintf(s->path + at, sizeof(s->path) - at, "[%zu]", index);
    else
        snprintf(s->path + at, sizeof(s->path) - at, plain ? "%s%s" : "%s[%s]", plain && at > 0 ? "." : "",
                 child->key ? child->key : "");
}

/* Recursion is bounded by the depth of a tree (TREE_DEPTH_MAX). */
static void find_on_line(struct search_line *s, const struct tree *node)
{
    size_t at = strlen(s->path), index = 0;

    if ((node->type == TREE_STRING || node->type == TREE_NUMBER) && node->line == s->line) {
        s->found = node;
        memcpy(s->found_path, s->path, sizeof(s->found_path));
    }
    for (const struct tree *child = node->first; child; child = child->next, index++) {
        step_in(s, child, index, node->type == TREE_LIST);
        find_on_line(s, child);
        s->path[at] = '\0';
    }
}

static bool fail_line(struct finding_space *f, int line, const char *format, const char *word, int length)
{
    error_set(f->err, ERROR_INVALID, format, length, word);
    return error_add_place(f->err, "%s:%d", f->file, line);
}

/* "10..1000" behind the mark; nothing: around what stands there. */
static bool read_range(struct finding_space *f, int line, const char *text, size_t length, struct tune_parameter *p)
{
    const char *dots = memmem(text, length, "..", 2);
    bool low_duration, high_duration;

    if (length == 0) {
        bool duration = p->duration, whole = p->whole;

        *p = around(p->now, whole && p->type == TREE_NUMBER);
        p->duration = duration;
        return p->now > 0 ||
               fail_line(f, line, "%.*s around 0 is no range; write one, like weir:tune 1..10", "weir:tune", 9);
    }
    if (!dots || !read_value(text, (size_t)(dots - text), &p->low, &low_duration) ||
        !read_value(dots + 2, length - (size_t)(dots + 2 - text), &p->high, &high_duration) || !(p->high > p->low))
        return fail_line(f, line, "'%.*s' is no range for weir:tune; write LOW..HIGH, like 10..1000 or 1s..30s", text,
                         (int)length);
    if (p->duration != low_duration || p->duration != high_duration)
        return fail_line(f, line, "the range '%.*s' and the value it is for are not both numbers, or both durations",
                         text, (int)length);
    p->whole = p->whole && p->low == floor(p->low) && p->high == floor(p->high);
    p->log = p->low > 0 && p->high >= LOG_FROM * p->low;
    return true;
}

static bool add_mark(struct finding_space *f, int line, const char *text, size_t length)
{
    struct search_line s = {.line = line};
    struct tune_parameter p = {.is_there = true};

    find_on_line(&s, f->document);
    if (!s.found || strncmp(s.found_path, f->object->meta.path_prefix, strlen(f->object->meta.path_prefix)) != 0)
        return true; /* of another object, or of another document */
    if (!read_value(s.found->text, s.found->length, &p.now, &p.duration))
        return fail_line(f, line, "weir:tune stands beside '%.*s', which is no number and no duration", s.found->text,
                         (int)s.found->length);
    p.whole = !p.duration && p.now == floor(p.now);
    p.type = s.found->type;
    if (!read_range(f, line, text, length, &p))
        return false;
    p.is_there = true;
    p.type = s.found->type;
    p.path = arena_copy(f->out->arena, s.found_path);
    if (!add(f, p))
        return false;
    if (can_be_edited(f, &p))
        return true;
    f->err->where[0] = '\0'; /* the edit knows the file, the mark the line */
    return error_add_place(f->err, "%s:%d", f->file, line);
}

/* Behind a # that begins a comment. */
static const char *find_mark(const char *line, size_t length)
{
    static const char mark[] = "weir:tune";

    for (const char *at = line; (at = memchr(at, '#', length - (size_t)(at - line))); at++) {
        const char *word = at + 1, *end = line + length;

        while (word < end && (*word == ' ' || *word == '#'))
            word++;
        if ((at == line || at[-1] == ' ' || at[-1] == '\t') && (size_t)(end - word) >= strlen(mark) &&
            memcmp(word, mark, strlen(mark)) == 0)
            return word + strlen(mark);
    }
    return NULL;
}

static bool read_marks(struct finding_space *f)
{
    const char *at = f->bytes, *end = f->bytes + f->length;

    for (int line = 1; at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((stop ? stop : end) - at);
        const char *text = find_mark(at, length);

        if (text) {
            size_t left = length - (size_t)(text - at), blanks = 0;

            while (blanks < left && (text[blanks] == ' ' || text[blanks] == '\t'))
                blanks++;
            size_t word = 0;
            while (blanks + word < left && !strchr(" \t\r", text[blanks + word]))
                word++;
            if (!add_mark(f, line, text + blanks, word))
                return false;
        }
        at = stop ? stop + 1 : end;
    }
    f->out->marked = f->out->count > 0;
    return true;
}

/* ------------------------------------------------------------------ the object */

static bool is_named(const struct object_meta *meta, const char *object)
{
    const char *slash = object ? strchr(object, '/') : NULL;

    if (!object)
        return true;
    if (!slash)
        return strcmp(meta->name, object) == 0;
    return strlen(meta->ns) == (size_t)(slash - object) && strncmp(meta->ns, object, strlen(meta->ns)) == 0 &&
           strcmp(meta->name, slash + 1) == 0;
}

static bool find_object(struct finding_space *f, const struct manifest *m, const char *object)
{
    size_t found = 0;

    for (size_t i = 0; i < m->scaled_object_count; i++)
        if (is_named(&m->scaled_objects[i].meta, object)) {
            f->object = &m->scaled_objects[i];
            found++;
        }
    if (found == 1)
        return true;
    error_set(f->err, ERROR_INVALID,
              found == 0 ? "there is no ScaledObject%s%s to tune in the file"
                         : "there are several ScaledObjects%s%s in the file; say which with --object",
              object ? " " : "", object ? object : "");
    error_add_place(f->err, "%s", f->file);
    return false;
}

static bool fail_report(struct finding_space *f, const struct report *report)
{
    for (size_t i = 0; i < report_count(report); i++) {
        const struct finding *finding = report_at(report, i);

        if (finding->severity == FINDING_ERROR) {
            error_set(f->err, ERROR_INVALID, "%s", finding->text);
            return error_add_place(f->err, "%s:%d:%d", f->file, finding->place.line, finding->place.column);
        }
    }
    return error_set(f->err, ERROR_INVALID, "%s cannot be used; see `weir lint`", f->file);
}

static bool find_parameters(struct finding_space *f, const struct manifest *m, const char *object,
                            struct report *report)
{
    struct policy_settings settings;
    struct policy_context context = {.settings = &settings};
    struct policy *policy;

    policy_settings_default(&settings);
    if (!m->documents)
        return fail_report(f, report);
    if (!find_object(f, m, object))
        return false;
    f->policy = policy = policy_build_object(f->object, &context, report);
    if (!policy)
        return fail_report(f, report);
    f->out->document = (size_t)f->object->meta.place.doc;
    f->document = tree_index(m->documents, f->out->document);
    bool fine = read_marks(f);
    if (fine && !f->out->marked)
        infer_all(f);
    policy_unref(policy);
    return fine &&
           (f->out->count > 0 || error_set(f->err, ERROR_INVALID, "%s has nothing that could be tuned", f->file));
}

bool tune_find(const char *file, const char *bytes, size_t length, const char *object, struct tune_space *out,
               struct error *err)
{
    struct finding_space f = {.file = file, .bytes = bytes, .length = length, .out = out, .err = err};
    struct report *report = report_new();
    struct manifest *m;

    *out = (struct tune_space){.arena = arena_new(ARENA_USUAL)};
    manifest_read(file, bytes, length, NULL, report, &m);
    bool fine = find_parameters(&f, m, object, report);
    manifest_free(m);
    report_free(report);
    if (!fine)
        tune_space_done(out);
    return fine;
}

void tune_space_done(struct tune_space *space)
{
    arena_free(space->arena);
    *space = (struct tune_space){0};
}
