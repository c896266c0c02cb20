/*
 * kind_field: cases of real life. A case is a folder: manifest.yaml as a user would write it, case.yaml with what must come of it.
 * `kind: lint` is field_lint.c. `kind: replicas` has to come out right twice: as a test of policies, where samples enter below the network
 * (field_replicas.c); and here, where the manifest runs on a stage and its series are what the sources answer, if each of its types has a
 * source there.
 *
 *     series: waiting: [[0, 4], [60, 9]]  ->  stage_source  ->  the trigger `waiting` of the running system
 *     expect: replicas: - {at: 75, is: 3} ->  stage_replicas at that second
 *
 * A ScaledJob's `create` are single polls, each on a stage of its own. `only: stage` leaves out the first way.
 */
#include "vectors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "manifest/manifest.h"
#include "sim/stage.h"
#include "sim/stage_source.h"
#include "sim/virtual.h"
#include "trigger/trigger.h"

enum vector_outcome field_lint(const struct tree *c, const char *path, struct vector_result *result);
enum vector_outcome field_replicas(const struct tree *c, const char *path, struct vector_result *result);

enum { START_AT_S = 1772409600 /* 2026-03-02, a Monday */, WORDS_MAX = 16, TEXT_MAX_BYTES = 1024 * 1024 };

struct field_run {
    const struct tree *c, *object; /* the case; the ScaledObject or ScaledJob */
    const char *bytes;
    size_t length;
    struct arena *arena;
    struct vector_result *result;
    struct stage *stage;
    const char *ns, *name, *target;
    bool good;
    bool word_seen[WORDS_MAX];
};

struct told { /* what one source says */
    struct field_run *run;
    const struct tree *series, *divided_by; /* a step function; NULL: it fails */
    const struct tree *constant;            /* instead of a series */
};

/* ------------------------------------------------------------------ what sources say */

static struct stage_answer value_of(const struct tree *node)
{
    struct stage_answer answer = {.says = STAGE_FAILURE};

    if (!node || node->type == TREE_NULL)
        answer.says = STAGE_NOTHING;
    else if (node->text && number_parse(node->text, node->length, &answer.value))
        answer.says = STAGE_VALUE;
    return answer;
}

/* The last entry that has begun. */
static const struct tree *value_at(const struct tree *series, double now_s)
{
    const struct tree *value = NULL;

    for (const struct tree *entry = series ? series->first : NULL; entry; entry = entry->next) {
        double from_s = 0;

        if (tree_number(tree_index(entry, 0), &from_s) && from_s <= now_s)
            value = tree_index(entry, 1);
    }
    return value;
}

static void say(void *arg, struct stage_answer *answer)
{
    const struct told *told = arg;
    struct stage *stage = told->run->stage;

    if (told->constant || told->series)
        *answer =
            value_of(told->constant ? told->constant : value_at(told->series, (double)stage_now_ms(stage) / 1000));
    else
        answer->says = STAGE_FAILURE;
    if (!told->divided_by || answer->says != STAGE_VALUE)
        return;
    int32_t pods = string_equal(tree_string(told->divided_by), "ready") ? stage_ready(stage, told->run->target)
                                                                        : stage_replicas(stage, told->run->target);
    answer->value /= pods;
}

/* ------------------------------------------------------------------ the manifest */

static bool is_kind(const struct tree *doc, const char *kind)
{
    return string_equal(tree_string(tree_get(doc, "kind")), kind);
}

/* The object of the case: in the documents, or in a List. */
static const struct tree *find_object(const struct tree *list, int depth)
{
    for (const struct tree *doc = list ? list->first : NULL; doc; doc = doc->next) {
        const struct tree *inner = depth == 0 ? find_object(tree_get(doc, "items"), 1) : NULL;

        if (is_kind(doc, "ScaledObject") || is_kind(doc, "ScaledJob"))
            return doc;
        if (inner)
            return inner;
    }
    return NULL;
}

static bool fail(struct field_run *run, const char *what)
{
    text_printf(&run->result->got, "%s ", what);
    run->good = false;
    return false;
}

static bool read_manifest_bytes(struct field_run *run, const char *folder)
{
    char path[4096], *bytes = arena_alloc(run->arena, MANIFEST_FILE_MAX_BYTES);
    struct tree *documents;
    struct error err;
    FILE *in;

    snprintf(path, sizeof(path), "%s/manifest.yaml", folder);
    in = fopen(path, "r");
    if (!in)
        return fail(run, "no manifest.yaml");
    run->length = fread(bytes, 1, MANIFEST_FILE_MAX_BYTES, in);
    run->bytes = bytes;
    fclose(in);
    if (!tree_read_yaml("manifest.yaml", bytes, run->length, run->arena, &documents, &err))
        return fail(run, err.text);
    run->object = find_object(documents, 0);
    if (!run->object)
        return fail(run, "no object in manifest.yaml");
    run->ns = tree_string(tree_at(run->object, "metadata.namespace"));
    run->ns = run->ns ? run->ns : "default";
    run->name = tree_string(tree_at(run->object, "metadata.name"));
    run->target = tree_string(tree_at(run->object, "spec.scaleTargetRef.name"));
    return true;
}

static bool says_kind(const struct tree *documents, const char *kind, const char *name)
{
    for (const struct tree *doc = documents ? documents->first : NULL; doc; doc = doc->next)
        if (is_kind(doc, kind) && string_equal(tree_string(tree_at(doc, "metadata.name")), name))
            return true;
    return false;
}

/* Cases name TriggerAuthentications they do not show. Any will do: the parameters of all ways of the built-in types. */
static void add_missing_auths(struct field_run *run, struct text *out)
{
    static const char *const parameters[] = {"username", "password",         "bearerToken",
                                             "apiKey",   "customAuthHeader", "customAuthValue"};
    struct tree *documents;
    const struct tree *triggers = tree_at(run->object, "spec.triggers");

    tree_read_yaml("manifest.yaml", run->bytes, run->length, run->arena, &documents, NULL);
    for (const struct tree *t = triggers ? triggers->first : NULL; t; t = t->next) {
        const struct tree *ref = tree_get(t, "authenticationRef");
        const char *kind = tree_string(tree_get(ref, "kind")), *name = tree_string(tree_get(ref, "name"));
        bool redis = string_starts(tree_string(tree_get(t, "type")), "redis");

        kind = kind ? kind : "TriggerAuthentication";
        if (!name || says_kind(documents, kind, name))
            continue;
        text_printf(out,
                    "\n---\napiVersion: keda.sh/v1alpha1\nkind: %s\nmetadata: {name: %s, namespace: %s}\nspec:\n  "
                    "secretTargetRef:\n",
                    kind, name, run->ns);
        for (size_t i = redis ? 1 : 0; i < (redis ? 2 : sizeof(parameters) / sizeof(parameters[0])); i++)
            text_printf(out, "  - {parameter: %s, name: invented, key: %s}\n", parameters[i], parameters[i]);
    }
}

static void apply(struct field_run *run)
{
    struct text manifest;

    text_init(&manifest, 2 * MANIFEST_FILE_MAX_BYTES);
    text_append(&manifest, run->bytes, run->length);
    add_missing_auths(run, &manifest);
    stage_manifest(run->stage, "manifest.yaml", manifest.bytes, manifest.length);
    text_done(&manifest);
}

/* ------------------------------------------------------------------ sources of the triggers */

static const struct tree *by_name_or_index(const struct tree *map, const struct tree *trigger, size_t index)
{
    const char *name = tree_string(tree_get(trigger, "name"));
    char place[32];

    snprintf(place, sizeof(place), "s%zu", index);
    return name && tree_get(map, name) ? tree_get(map, name) : tree_get(map, place);
}

/* What has no source on a stage is decided upon without asking it (field_replicas.c). */
static bool can_be_played(const struct field_run *run)
{
    const struct tree *triggers = tree_at(run->object, "spec.triggers");
    bool all = true;

    for (const struct tree *t = triggers ? triggers->first : NULL; t; t = t->next) {
        const char *type = tree_string(tree_get(t, "type"));

        all = all && type && stage_source_exists(type);
    }
    return all;
}

/* values: of one single poll; NULL: the case's series. */
static bool add_source(struct field_run *run, const struct tree *trigger, size_t index, const struct tree *values)
{
    struct told *told = arena_alloc(run->arena, sizeof(*told));
    const char *type = tree_string(tree_get(trigger, "type"));
    const struct tree *series = by_name_or_index(tree_get(run->c, "series"), trigger, index);
    struct error err;

    told->run = run;
    told->series = tree_get(series, "total") ? tree_get(series, "total") : series;
    told->divided_by = tree_get(series, "divided_by");
    told->constant = by_name_or_index(values, trigger, index);
    return stage_source(run->stage,
                        &(struct stage_source_options){.ns = run->ns,
                                                       .target = run->target,
                                                       .type = type,
                                                       .metadata = tree_get(trigger, "metadata"),
                                                       .say = say,
                                                       .arg = told},
                        &err) ||
           fail(run, err.text);
}

static bool add_sources(struct field_run *run, const struct tree *values)
{
    const struct tree *triggers = tree_at(run->object, "spec.triggers");
    size_t index = 0;

    for (const struct tree *t = triggers ? triggers->first : NULL; t; t = t->next)
        if (!add_source(run, t, index++, values))
            return false;
    return true;
}

/* ------------------------------------------------------------------ comparing */

static void differ(struct field_run *run, const char *what, int64_t at_s, int64_t limit, int32_t got)
{
    text_printf(&run->result->expected, "%s %lld at %lld s; ", what, (long long)limit, (long long)at_s);
    text_printf(&run->result->got, "%d at %lld s; ", got, (long long)at_s);
    run->good = false;
}

static void compare_bound(struct field_run *run, const struct tree *bounds, const char *key, int64_t at_s, int32_t got)
{
    int64_t limit;

    if (!tree_integer(tree_get(bounds, key), &limit))
        return;
    bool broken = strcmp(key, "is") == 0                                 ? got != limit
                  : strcmp(key, "min") == 0 || strcmp(key, "below") == 0 ? got < limit
                                                                         : got > limit;
    if (broken)
        differ(run, key, at_s, limit, got);
}

static int64_t integer_of(const struct tree *map, const char *key, int64_t otherwise)
{
    int64_t value = otherwise;

    tree_integer(tree_get(map, key), &value);
    return value;
}

static bool within(const struct tree *never, int64_t now_s)
{
    return now_s >= integer_of(never, "from", 0) && now_s <= integer_of(never, "to", INT64_MAX);
}

static void compare_at(struct field_run *run, int64_t now_s)
{
    const struct tree *points = tree_at(run->c, "expect.replicas"), *never = tree_at(run->c, "expect.never");
    int32_t got = stage_replicas(run->stage, run->target);

    for (const struct tree *p = points ? points->first : NULL; p; p = p->next)
        if (integer_of(p, "at", -1) == now_s) {
            compare_bound(run, p, "is", now_s, got);
            compare_bound(run, p, "min", now_s, got);
            compare_bound(run, p, "max", now_s, got);
        }
    for (const struct tree *n = never && never->type == TREE_LIST ? never->first : never; n;
         n = never->type == TREE_LIST ? n->next : NULL)
        if (within(n, now_s)) {
            compare_bound(run, n, "below", now_s, got);
            compare_bound(run, n, "above", now_s, got);
        }
}

static int64_t last_second(const struct tree *c)
{
    const struct tree *points = tree_at(c, "expect.replicas"), *never = tree_at(c, "expect.never");
    int64_t last = 0;

    for (const struct tree *p = points ? points->first : NULL; p; p = p->next)
        if (integer_of(p, "at", 0) > last)
            last = integer_of(p, "at", 0);
    for (const struct tree *n = never && never->type == TREE_LIST ? never->first : never; n;
         n = never->type == TREE_LIST ? n->next : NULL)
        if (integer_of(n, "to", 0) > last)
            last = integer_of(n, "to", 0);
    return last;
}

/* ------------------------------------------------------------------ why */

static bool note_words(void *arg, const struct object_status *status)
{
    struct field_run *run = arg;
    const struct tree *why = tree_at(run->c, "expect.why");
    struct text words;
    size_t at = 0;

    text_init(&words, TEXT_MAX_BYTES);
    if (status->decision) {
        decision_write_summary(status->decision, &status->names, &words);
        for (size_t i = 0; i < status->decision->step_count; i++) {
            text_add_char(&words, '\n');
            decision_write_step(status->decision, i, &status->names, &words);
        }
        decision_write_json(status->decision, &status->names, &words);
    }
    if (status->job_decision) {
        job_decision_write_summary(status->job_decision, &words);
        job_decision_write_json(status->job_decision, &status->names, &words);
    }
    for (size_t i = 0; i < status->trigger_count; i++)
        text_printf(&words, "\n%s", status->triggers[i].why);
    for (const struct tree *w = why ? why->first : NULL; w && at < WORDS_MAX; w = w->next, at++)
        run->word_seen[at] |= w->text && strcasestr(words.bytes, w->text);
    text_done(&words);
    return true;
}

static const char *object_key(const struct field_run *run)
{
    return arena_printf(run->arena, "%s/%s/%s", tree_string(tree_get(run->object, "kind")), run->ns, run->name);
}

static void compare_words(struct field_run *run)
{
    const struct tree *why = tree_at(run->c, "expect.why");
    size_t at = 0;

    for (const struct tree *w = why ? why->first : NULL; w && at < WORDS_MAX; w = w->next, at++)
        if (!run->word_seen[at]) {
            text_printf(&run->result->expected, "the word \"%s\" in a reason; ", w->text ? w->text : "");
            fail(run, "no such word;");
        }
}

/* ------------------------------------------------------------------ the two ways a case runs */

static int64_t start_at_ms(const struct tree *c)
{
    int64_t at_ms = START_AT_S * SECOND_MS;
    const char *clock = tree_string(tree_get(c, "clock"));

    if (clock)
        instant_parse(clock, &at_ms);
    return at_ms;
}

static bool has_policy(void *arg, const struct object_status *status)
{
    struct field_run *run = arg;

    if (!status->policy)
        fail(run, status->problem ? status->problem : "the object has no policy");
    return true;
}

static bool begin(struct field_run *run, const struct tree *values)
{
    int64_t ready_after_s = integer_of(tree_get(run->c, "pods"), "ready_after_s", 0);
    const char *kind = tree_string(tree_at(run->object, "spec.scaleTargetRef.kind"));

    run->stage = stage_new(&(struct stage_options){
        .seed = 1, .start_at_ms = start_at_ms(run->c), .ready_after_ms = ready_after_s * SECOND_MS, .invent = true});
    if (run->target)
        stage_workload(run->stage, run->ns, kind ? kind : "Deployment", run->target,
                       (int32_t)integer_of(tree_get(run->c, "start"), "replicas", 0));
    return add_sources(run, values);
}

static void play(struct field_run *run)
{
    const char *key = object_key(run);

    if (!begin(run, NULL))
        return;
    apply(run);
    if (!autoscaler_object(stage_autoscaler(run->stage), key, has_policy, run))
        fail(run, "the object is not there");
    for (int64_t s = 0; run->good && s <= last_second(run->c); s++) {
        stage_run_until(run->stage, s * SECOND_MS);
        compare_at(run, s);
        if (tree_at(run->c, "expect.why"))
            autoscaler_object(stage_autoscaler(run->stage), key, note_words, run);
    }
    compare_words(run);
}

/* One poll of a ScaledJob among the jobs there are. */
static void play_create(struct field_run *run, const struct tree *poll)
{
    int32_t running = (int32_t)integer_of(poll, "running", 0), pending = (int32_t)integer_of(poll, "pending", 0);
    int64_t jobs = integer_of(poll, "jobs", 0);

    if (!begin(run, tree_get(poll, "values")))
        return;
    stage_put_jobs(run->stage, run->name, running > pending ? running - pending : 0, pending);
    size_t before = stage_jobs(run->stage, run->name, false);
    apply(run);
    if (!autoscaler_object(stage_autoscaler(run->stage), object_key(run), has_policy, run))
        fail(run, "the object is not there");
    stage_run_until(run->stage, 999);
    int64_t created = (int64_t)stage_jobs(run->stage, run->name, false) - (int64_t)before;
    if (created == jobs)
        return;
    text_printf(&run->result->expected, "%lld jobs with %d running; ", (long long)jobs, running);
    text_printf(&run->result->got, "%lld; ", (long long)created);
    run->good = false;
}

static void play_all(struct field_run *run)
{
    const struct tree *create = tree_at(run->c, "expect.create");

    if (!create) {
        play(run);
        return;
    }
    for (const struct tree *poll = create->first; run->good && poll; poll = poll->next) {
        play_create(run, poll);
        stage_free(run->stage);
        run->stage = NULL;
    }
}

enum vector_outcome vector_field(const struct tree *c, const char *path, struct vector_result *result)
{
    struct field_run run = {.c = c, .result = result, .good = true};

    if (string_equal(tree_string(tree_get(c, "kind")), "lint"))
        return field_lint(c, path, result);
    bool on_stage = string_equal(tree_string(tree_get(c, "only")), "stage"); /* what the platform does of it matters */
    if (!on_stage && field_replicas(c, path, result) != VECTOR_PASSED)
        return VECTOR_FAILED;
    log_set_level(LOG_LEVEL_ERROR);
    run.arena = arena_new(ARENA_USUAL);
    if (read_manifest_bytes(&run, path) && can_be_played(&run))
        play_all(&run);
    stage_free(run.stage);
    arena_free(run.arena);
    return run.good ? VECTOR_PASSED : VECTOR_FAILED;
}
