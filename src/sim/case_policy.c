/*
 * case_policy: the policy under test as lint sees it: nobody is asked, no secret is needed. From here a test knows what kind of object it is
 * about and what its triggers are called, before anything runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/text.h"
#include "manifest/manifest.h"
#include "sim/case_internal.h"
#include "trigger/trigger.h"

enum { NAMES_SHOWN_MAX_BYTES = 400, OBJECT_NAME_MAX_BYTES = 1024 };

struct candidate {
    const struct object_meta *meta;
    const struct scaled_object *object;
    const struct scaled_job *job;
};

static bool is_named(const struct object_meta *meta, const char *name)
{
    const char *slash = strchr(name, '/'), *second = slash ? strchr(slash + 1, '/') : NULL;

    if (second) { /* Kind/namespace/name */
        if (strncmp(meta->kind, name, (size_t)(slash - name)) != 0 || meta->kind[slash - name] != '\0')
            return false;
        name = slash + 1;
        slash = second;
    }
    if (!slash)
        return strcmp(meta->name, name) == 0;
    return strncmp(meta->ns, name, (size_t)(slash - name)) == 0 && meta->ns[slash - name] == '\0' &&
           strcmp(meta->name, slash + 1) == 0;
}

static bool candidate_at(const struct manifest *m, size_t index, struct candidate *out)
{
    *out = (struct candidate){NULL, NULL, NULL};
    if (index < m->scaled_object_count) {
        out->object = &m->scaled_objects[index];
        out->meta = &out->object->meta;
    } else if (index - m->scaled_object_count < m->scaled_job_count) {
        out->job = &m->scaled_jobs[index - m->scaled_object_count];
        out->meta = &out->job->meta;
    }
    return out->meta != NULL;
}

static void complain_of_choice(const struct case_file *file, const struct manifest *m, const char *wanted,
                               const struct case_test *test, struct report *report)
{
    struct candidate c;
    struct text names;

    text_init(&names, NAMES_SHOWN_MAX_BYTES);
    for (size_t i = 0; candidate_at(m, i, &c); i++)
        if (c.meta->name)
            text_printf(&names, "%s%s/%s", names.length ? ", " : "", c.meta->ns, c.meta->name);
    if (names.length == 0)
        case_complain(report, &file->policy_place, "policy", "name the file with the policy",
                      "there is no ScaledObject or ScaledJob in %s", file->policy_name);
    else if (wanted)
        case_complain(report, &test->place, "object", names.bytes, "there is no object %.100s in %s", wanted,
                      file->policy_name);
    else
        case_complain(report, &test->place, "object", "write object: NAME", "there are several objects in %s: %s",
                      file->policy_name, names.bytes);
    text_done(&names);
}

static bool choose(const struct case_file *file, const struct manifest *m, const struct case_test *test,
                   struct candidate *out, struct report *report)
{
    struct candidate c;
    size_t found = 0;

    for (size_t i = 0; candidate_at(m, i, &c); i++) {
        if (!c.meta->name || (test->object && !is_named(c.meta, test->object)))
            continue;
        if (found++ == 0)
            *out = c;
    }
    if (found == 1)
        return true;
    complain_of_choice(file, m, test->object, test, report);
    return false;
}

static bool is_said(const struct report *report, const struct finding *f)
{
    for (size_t i = 0; i < report_count(report); i++) {
        const struct finding *other = report_at(report, i);

        if (other->place.line == f->place.line && other->place.column == f->place.column &&
            string_equal(other->place.file, f->place.file) && strcmp(other->text, f->text) == 0)
            return true;
    }
    return false;
}

/* Errors of the file and of this object, each once for all tests of it. */
static bool pass_errors(const struct report *from, const struct object_meta *meta, struct report *to)
{
    char title[OBJECT_NAME_MAX_BYTES];
    bool fine = true;

    snprintf(title, sizeof(title), "%s %s/%s", meta ? meta->kind : "", meta ? meta->ns : "", meta ? meta->name : "");
    for (size_t i = 0; i < report_count(from); i++) {
        const struct finding *f = report_at(from, i);

        if (f->severity != FINDING_ERROR || (f->object && meta && strcmp(f->object, title) != 0))
            continue;
        fine = false;
        if (!is_said(to, f))
            report_add(to, f, f->field, f->remedy, "%s", f->text);
    }
    return fine;
}

/* Of a type that is not built in, only known parameters are read; and what a source itself says its target is, nobody can tell here. */
static bool has_targets(const struct policy *policy, const struct trigger_spec *specs, struct report *report)
{
    const struct decide_trigger *rules = policy->is_job ? policy->job_rules.triggers : policy->rules.triggers;
    bool all = true;

    for (size_t i = 0; i < policy->trigger_count && !policy->formula; i++) {
        bool told = policy->triggers[i].error || trigger_target_is_told(policy->triggers[i].trigger);

        if (!told || rules[i].target > 0)
            continue;
        case_complain(report, &specs[i].place, "",
                      "test it through a formula with a target, or with a trigger of another type",
                      "the target of this trigger of type %.60s is not known here", policy->triggers[i].type);
        all = false;
    }
    return all;
}

static void name_triggers(struct case_policy *out, const struct policy *policy, struct arena *arena)
{
    for (size_t i = 0; i < policy->trigger_count; i++)
        out->names[i] = policy->triggers[i].named ? policy->triggers[i].name : arena_printf(arena, "s%zu", i);
}

static bool build(struct case_policy *out, const struct case_file *file, const struct case_test *test,
                  const struct policy_settings *settings, struct report *found, struct report *report)
{
    struct policy_context context = {.settings = settings};
    struct candidate c = {NULL, NULL, NULL};

    manifest_read(file->policy_name, file->manifest, file->manifest_length, &(struct manifest_options){.local = false},
                  found, &out->manifest);
    if (!out->manifest->documents)
        return pass_errors(found, NULL, report);
    if (!choose(file, out->manifest, test, &c, report))
        return false;
    out->policy = c.object ? policy_build_object(c.object, &context, found) : policy_build_job(c.job, &context, found);
    if (!pass_errors(found, c.meta, report) || !out->policy)
        return false;
    text_printf(&out->object, "%s/%s", c.meta->ns, c.meta->name);
    out->specs = c.object ? c.object->triggers : c.job->triggers;
    name_triggers(out, out->policy, out->manifest->arena);
    return has_targets(out->policy, out->specs, report);
}

struct case_policy *case_policy_new(const struct case_file *file, const struct case_test *test,
                                    const struct policy_settings *settings, struct report *report)
{
    struct case_policy *policy = mem_alloc(sizeof(*policy));
    struct report *found = report_new();
    struct policy_settings usual;

    policy_settings_default(&usual);
    text_init(&policy->object, OBJECT_NAME_MAX_BYTES);
    bool fine = build(policy, file, test, settings ? settings : &usual, found, report);
    report_free(found);
    if (fine)
        return policy;
    case_policy_free(policy);
    return NULL;
}

void case_policy_free(struct case_policy *policy)
{
    if (!policy)
        return;
    policy_unref(policy->policy);
    manifest_free(policy->manifest);
    text_done(&policy->object);
    free(policy);
}

size_t case_policy_trigger(const struct case_policy *policy, const char *name, const struct place *place,
                           const char *field, struct report *report)
{
    size_t count = policy->policy->trigger_count;
    struct text list;
    char index[32];

    for (size_t i = 0; i < count; i++) {
        snprintf(index, sizeof(index), "s%zu", i);
        if (strcmp(name, policy->names[i]) == 0 || strcmp(name, policy->policy->names[i]) == 0 ||
            strcmp(name, index) == 0)
            return i;
    }
    const char *near = string_nearest(name, policy->names, count);
    text_init(&list, NAMES_SHOWN_MAX_BYTES);
    if (near)
        text_printf(&list, "did you mean '%s'?", near);
    for (size_t i = 0; i < count && !near; i++)
        text_printf(&list, "%s%s", i ? ", " : "its triggers are ", policy->names[i]);
    case_complain(report, place, field, list.bytes, "the policy has no trigger '%.100s'", name);
    text_done(&list);
    return TRIGGERS_MAX;
}
