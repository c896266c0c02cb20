/*
 * object_change: the line of the log about a manifest that came, changed or went. Of a change it says what is different in what is decided
 * by, before and after; that something else is different (a threshold, a query), it says as such. Values are never those of triggers'
 * parameters: among them are credentials.
 */
#include "autoscaler/autoscaler_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

enum { CHANGE_MAX_BYTES = 2048 };

struct change {
    struct text from, to;
};

static void add_text(struct change *change, const char *name, const char *before, const char *after)
{
    if (string_equal(before, after))
        return;
    text_printf(&change->from, "%s%s=%s", change->from.length > 0 ? " " : "", name, before ? before : "none");
    text_printf(&change->to, "%s%s=%s", change->to.length > 0 ? " " : "", name, after ? after : "none");
}

static void add_number(struct change *change, const char *name, int64_t before, int64_t after)
{
    char words[2][32];

    snprintf(words[0], sizeof(words[0]), "%" PRId64, before);
    snprintf(words[1], sizeof(words[1]), "%" PRId64, after);
    add_text(change, name, words[0], words[1]);
}

static const char *pause_of(const struct policy *p)
{
    if (p->is_job)
        return p->job_rules.paused ? "yes" : "no";
    if (p->rules.paused || p->rules.has_paused_replicas)
        return "yes";
    return p->rules.paused_scale_in ? "scale-in" : p->rules.paused_scale_out ? "scale-out" : "no";
}

static const char *mode_of(const struct policy *p)
{
    static const char *const names[] = {"direct", "hpa", "observe"};

    return names[p->rules.mode];
}

static void compare_objects(struct change *change, const struct decide_rules *before, const struct decide_rules *after)
{
    add_number(change, "minReplicaCount", before->min, after->min);
    add_number(change, "maxReplicaCount", before->max, after->max);
    add_number(change, "idleReplicaCount", before->idle, after->idle);
    add_number(change, "cooldownPeriod", before->cooldown_ms / SECOND_MS, after->cooldown_ms / SECOND_MS);
    add_text(change, "formula", before->formula ? formula_source(before->formula) : NULL,
             after->formula ? formula_source(after->formula) : NULL);
    add_text(change, "fallback", before->has_fallback ? "yes" : "no", after->has_fallback ? "yes" : "no");
}

static void compare(struct change *change, const struct policy *before, const struct policy *after)
{
    add_text(change, "mode", mode_of(before), mode_of(after));
    add_text(change, "paused", pause_of(before), pause_of(after));
    add_number(change, "pollingIntervalMs", before->polling_interval_ms, after->polling_interval_ms);
    add_number(change, "triggers", (int64_t)before->trigger_count, (int64_t)after->trigger_count);
    add_text(change, "target", before->target.name, after->target.name);
    if (after->is_job) {
        add_number(change, "minReplicaCount", before->job_rules.min, after->job_rules.min);
        add_number(change, "maxReplicaCount", before->job_rules.max, after->job_rules.max);
    } else {
        compare_objects(change, &before->rules, &after->rules);
    }
    if (change->from.length == 0) {
        text_printf(&change->from, "generation=%" PRIx64, before->generation);
        text_printf(&change->to, "generation=%" PRIx64, after->generation);
    }
}

void object_log_put(const struct object *object, const struct policy *before)
{
    struct change change;

    if (is_rehearsal(object->a) || !log_enabled(LOG_LEVEL_INFO))
        return;
    if (!before || before->is_job != object->policy->is_job) {
        log_info("loaded", "object", object->key, "reason", "new", "file", object->file, NULL);
        return;
    }
    text_init(&change.from, CHANGE_MAX_BYTES);
    text_init(&change.to, CHANGE_MAX_BYTES);
    compare(&change, before, object->policy);
    log_info("changed", "object", object->key, "reason", "manifest", "from", change.from.bytes, "to", change.to.bytes,
             "file", object->file, NULL);
    text_done(&change.from);
    text_done(&change.to);
}
