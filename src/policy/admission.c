/*
 * admission: from a review to an answer. The rules are in admission_object.c and admission_auth.c; here an object is begun, judged,
 * and given what lint has to say about it: an object that KEDA would admit is admitted, and whoever applies it reads at once what is
 * wrong with it.
 */
#include "policy/admission.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "policy/admission_internal.h"
#include "policy/policy_internal.h"

static const struct {
    const char *name, *path;
} kinds[ADMIT_KINDS] = {
    [ADMIT_SCALED_OBJECT] = {"ScaledObject", "/validate-keda-sh-v1alpha1-scaledobject"},
    [ADMIT_SCALED_JOB] = {"ScaledJob", "/validate-keda-sh-v1alpha1-scaledjob"},
    [ADMIT_TRIGGER_AUTHENTICATION] = {"TriggerAuthentication", "/validate-keda-sh-v1alpha1-triggerauthentication"},
    [ADMIT_CLUSTER_TRIGGER_AUTHENTICATION] = {"ClusterTriggerAuthentication",
                                              "/validate-keda-sh-v1alpha1-clustertriggerauthentication"},
    [ADMIT_CLOUD_EVENT_SOURCE] = {"CloudEventSource", "/validate-eventing-keda-sh-v1alpha1-cloudeventsource"},
    [ADMIT_CLUSTER_CLOUD_EVENT_SOURCE] = {"ClusterCloudEventSource",
                                          "/validate-eventing-keda-sh-v1alpha1-clustercloudeventsource"},
};

const char *admission_kind_name(enum admission_kind kind)
{
    return kinds[kind].name;
}

const char *admission_path(enum admission_kind kind)
{
    return kinds[kind].path;
}

bool admission_same_target(const struct admission_target *a, const struct admission_target *b)
{
    size_t group = strchr(a->api_version, '/') ? strcspn(a->api_version, "/") : 0;
    size_t other = strchr(b->api_version, '/') ? strcspn(b->api_version, "/") : 0;

    return strcmp(a->name, b->name) == 0 && strcmp(a->kind, b->kind) == 0 && group == other &&
           memcmp(a->api_version, b->api_version, group) == 0;
}

/* ------------------------------------------------------------------ refusing and warning */

bool judge_refuse(struct judge *j, const char *label, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    j->answer->message = arena_vprintf(j->o->arena, format, args);
    va_end(args);
    j->answer->allowed = false;
    j->answer->code = 403;
    j->answer->reason = "Forbidden";
    j->answer->label = label;
    return false;
}

/* Cut after a word where it is too long, and one line: kubectl prints it as it is. */
static char *shorten(char *text)
{
    static const char ellipsis[] = "...";
    size_t length = strlen(text), cut = ADMISSION_WARNING_MAX_BYTES - strlen(ellipsis);

    for (char *c = text; *c; c++)
        *c = (unsigned char)*c < ' ' ? ' ' : *c;
    if (length <= ADMISSION_WARNING_MAX_BYTES)
        return text;
    cut = utf8_valid_prefix(text, cut);
    for (size_t word = cut; word > cut / 2; word--) {
        if (text[word] == ' ') {
            cut = word;
            break;
        }
    }
    memcpy(text + cut, ellipsis, sizeof(ellipsis));
    return text;
}

void judge_warn(struct judge *j, const char *format, ...)
{
    struct admission_answer *answer = j->answer;
    va_list args;

    if (answer->warning_count == ADMISSION_WARNINGS_MAX)
        return;
    va_start(args, format);
    answer->warnings[answer->warning_count++] = shorten(arena_vprintf(j->o->arena, format, args));
    va_end(args);
}

/* ------------------------------------------------------------------ what lint says */

/* What KEDA's own warnings say already, and what only files that are read together can say. */
static bool is_said_elsewhere(const struct finding *f)
{
    return strcmp(f->code, "missing-authentication") == 0 || strcmp(f->code, "generated-name") == 0 ||
           (strcmp(f->code, "no-effect") == 0 &&
            (strcmp(f->field, "spec.pollingInterval") == 0 || strcmp(f->field, "spec.cooldownPeriod") == 0));
}

static void warn_of(struct judge *j, const struct report *report, enum finding_severity severity, size_t *left_out)
{
    for (size_t i = 0; i < report_count(report); i++) {
        const struct finding *f = report_at(report, i);

        if (f->severity != severity || is_said_elsewhere(f))
            continue;
        if (j->answer->warning_count + 1 < ADMISSION_WARNINGS_MAX)
            judge_warn(j, "%s%s%s", f->field, f->field[0] ? ": " : "", f->text);
        else
            ++*left_out;
    }
}

/* What would be an error of the object itself comes first. */
static void warn_of_findings(struct judge *j, const struct report *report)
{
    size_t left_out = 0;

    warn_of(j, report, FINDING_ERROR, &left_out);
    warn_of(j, report, FINDING_WARNING, &left_out);
    warn_of(j, report, FINDING_ADVICE, &left_out);
    if (left_out > 0)
        judge_warn(j, "%zu more findings; `weir lint` shows all", left_out);
}

static void lint(struct judge *j)
{
    const struct admission_object *o = j->o;
    struct policy_context context = {.settings = o->settings};
    struct manifest_options options = {.default_namespace = j->admission->ns[0] ? j->admission->ns : NULL};
    struct report *report = report_new();
    struct manifest *manifest;

    manifest_read_tree("", o->review->object, &options, report, &manifest);
    for (size_t i = 0; i < manifest->scaled_object_count; i++)
        policy_unref(build_object(&manifest->scaled_objects[i], &context, report));
    for (size_t i = 0; i < manifest->scaled_job_count; i++)
        policy_unref(build_job(&manifest->scaled_jobs[i], &context, report));
    warn_of_findings(j, report);
    manifest_free(manifest);
    report_free(report);
}

/* ------------------------------------------------------------------ what could not be looked at */

static void warn_of_unknown(struct judge *j)
{
    static const char *const what[ADMISSION_FACTS] = {
        "whether the kind of the target exists", "other HorizontalPodAutoscalers",   "other ScaledObjects",
        "the containers of the target",          "the LimitRanges of the namespace",
    };

    for (int i = 0; i < ADMISSION_FACTS; i++) {
        if (!(j->facts->unknown & 1U << i))
            continue;
        judge_warn(j, "not checked: %s (%s)", what[i], j->facts->why[i] ? j->facts->why[i] : "not known in time");
    }
}

/* ------------------------------------------------------------------ the whole */

struct admission *admission_begin(struct arena *arena, const struct admission_review *review,
                                  const struct policy_settings *settings)
{
    struct admission *a = arena_alloc(arena, sizeof(*a));
    struct admission_object *o = arena_alloc(arena, sizeof(*o));

    o->review = review;
    o->settings = settings;
    o->arena = arena;
    a->internal = o;
    admission_read(a, o);
    if (review->kind == ADMIT_SCALED_OBJECT && !o->unreadable && !o->settled)
        a->needs = scaled_object_needs(a, o);
    return a;
}

static bool judge(struct judge *j)
{
    switch (j->o->review->kind) {
    case ADMIT_SCALED_OBJECT:
        return judge_scaled_object(j);
    case ADMIT_SCALED_JOB:
        return judge_scaled_job(j);
    case ADMIT_TRIGGER_AUTHENTICATION:
    case ADMIT_CLUSTER_TRIGGER_AUTHENTICATION:
        return judge_authentication(j);
    default:
        return judge_cloud_events(j);
    }
}

void admission_decide(const struct admission *admission, const struct admission_facts *facts,
                      struct admission_answer *out)
{
    struct judge j = {.admission = admission, .o = admission->internal, .facts = facts, .answer = out};

    memset(out, 0, sizeof(*out));
    out->allowed = true;
    if (j.o->settled)
        return;
    if (j.o->unreadable) {
        judge_refuse(&j, NULL, "the object cannot be read: %s", j.o->unreadable);
        out->code = 400;
        out->reason = "BadRequest";
        return;
    }
    judge(&j);
    out->keda_warning_count = out->warning_count;
    warn_of_unknown(&j);
    if (j.o->review->kind <= ADMIT_CLUSTER_TRIGGER_AUTHENTICATION)
        lint(&j);
}
