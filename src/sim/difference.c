/*
 * difference: see difference.h. Objects of both sides are listed, matched, and handed in pairs to difference_policy.c; here is also how a list
 * of differences is shown.
 */
#include "sim/difference_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"

struct sides {
    struct side *list;
    size_t count;
    const struct policy_settings *settings;
    struct report *report; /* findings are not ours to show */
};

/* ---- the list ---- */

static const char *fill(struct arena *arena, const char *sentence, const char *before, const char *after)
{
    struct text text;
    const char *words;

    text_init(&text, SIZE_MAX);
    while (*sentence) {
        bool is_before = string_starts(sentence, "{before}"), is_after = string_starts(sentence, "{after}");

        if (is_before || is_after) {
            text_add(&text, is_before ? before : after);
            sentence = strchr(sentence, '}') + 1;
        } else {
            text_add_char(&text, *sentence++);
        }
    }
    words = arena_copy(arena, text.bytes);
    text_done(&text);
    return words;
}

static const char *title_of(struct arena *arena, const struct object_meta *meta)
{
    return arena_printf(arena, "%s %s%s%s", meta->kind, meta->ns, meta->ns[0] ? "/" : "", meta->name);
}

void difference_add(struct differences *d, enum difference_kind kind, const struct object_meta *meta, const char *field,
                    const char *before, const char *after, const char *sentence)
{
    struct difference one = {.kind = kind,
                             .object = title_of(d->arena, meta),
                             .field = arena_printf(d->arena, "%s%s", field[0] ? meta->path_prefix : "", field),
                             .before = arena_copy(d->arena, before),
                             .after = arena_copy(d->arena, after)};

    one.text = fill(d->arena, sentence, one.before, one.after);
    if ((d->count & (d->count - 1)) == 0) /* at every power of two */
        d->list = mem_grow(d->list, d->count ? 2 * d->count : 1, sizeof(*d->list));
    d->list[d->count++] = one;
}

/* ---- the objects ---- */

static void add_side(struct sides *sides, struct side side)
{
    struct policy_context context = {.settings = sides->settings};

    if (side.object) {
        side.triggers = side.object->triggers;
        side.trigger_count = side.object->trigger_count;
        side.policy = policy_build_object(side.object, &context, sides->report);
    } else if (side.job) {
        side.triggers = side.job->triggers;
        side.trigger_count = side.job->trigger_count;
        side.policy = policy_build_job(side.job, &context, sides->report);
    }
    sides->list = mem_grow(sides->list, sides->count + 1, sizeof(*sides->list));
    sides->list[sides->count++] = side;
}

static void add_manifest(struct sides *sides, const struct manifest *m)
{
    for (size_t i = 0; i < m->scaled_object_count; i++)
        add_side(sides, (struct side){.meta = &m->scaled_objects[i].meta, .object = &m->scaled_objects[i]});
    for (size_t i = 0; i < m->scaled_job_count; i++)
        add_side(sides, (struct side){.meta = &m->scaled_jobs[i].meta, .job = &m->scaled_jobs[i]});
    for (size_t i = 0; i < m->trigger_auth_count; i++)
        add_side(sides, (struct side){.meta = &m->trigger_auths[i].meta});
    for (size_t i = 0; i < m->workload_count; i++)
        add_side(sides, (struct side){.meta = &m->workloads[i].meta});
    for (size_t i = 0; i < m->config_count; i++)
        add_side(sides, (struct side){.meta = &m->configs[i].meta});
}

static void read_sides(struct sides *sides, const struct manifest *const *manifests, size_t count,
                       const struct policy_settings *settings)
{
    *sides = (struct sides){.settings = settings, .report = report_new()};
    for (size_t i = 0; i < count; i++)
        add_manifest(sides, manifests[i]);
}

static void sides_done(struct sides *sides)
{
    for (size_t i = 0; i < sides->count; i++)
        policy_unref(sides->list[i].policy);
    free(sides->list);
    report_free(sides->report);
}

static const struct side *find_side(const struct sides *sides, const struct object_meta *meta)
{
    for (size_t i = 0; i < sides->count; i++) {
        const struct object_meta *other = sides->list[i].meta;

        if (strcmp(other->kind, meta->kind) == 0 && strcmp(other->ns, meta->ns) == 0 &&
            strcmp(other->name, meta->name) == 0)
            return &sides->list[i];
    }
    return NULL;
}

/* ---- what is said of an object as a whole ---- */

static const char *triggers_of(struct arena *arena, const struct side *side)
{
    const char *words = "nothing";

    for (size_t i = 0; i < side->trigger_count; i++) {
        const char *one = trigger_title(arena, &side->triggers[i]);

        words = i == 0 ? one : arena_printf(arena, "%s%s%s", words, i + 1 < side->trigger_count ? ", " : " and ", one);
    }
    return words;
}

static const char *describe(struct arena *arena, const struct side *side)
{
    const struct policy *p = side->policy;

    if (!p)
        return "";
    if (p->is_job)
        return arena_printf(arena, ": it makes jobs by %s", triggers_of(arena, side));
    return arena_printf(arena, ": it scales %s %s between %d and %d replicas by %s", p->target.kind, p->target.name,
                        p->rules.min, p->rules.max, triggers_of(arena, side));
}

static void say_added(struct differences *d, const struct side *side)
{
    difference_add(d, DIFFERENCE_ADDED, side->meta, "", NULL, NULL,
                   arena_printf(d->arena, "is new%s", describe(d->arena, side)));
}

static void say_removed(struct differences *d, const struct side *side)
{
    const struct policy *p = side->policy;
    const char *what = "";

    if (p && p->is_job)
        what = ": no more jobs are made";
    else if (p)
        what = arena_printf(d->arena, ": nobody scales %s %s any more, and it %s", p->target.kind, p->target.name,
                            p->restore_to_original ? "gets back the replicas it had at first" : "keeps what runs");
    difference_add(d, DIFFERENCE_REMOVED, side->meta, "", NULL, NULL, arena_printf(d->arena, "is gone%s", what));
}

/* Of what is scaled and what is secret only that it changes. */
static void say_changed(struct differences *d, const struct side *before, const struct side *after)
{
    const char *kind = after->meta->kind;
    bool config = strcmp(kind, "Secret") == 0 || strcmp(kind, "ConfigMap") == 0;
    bool auth = strstr(kind, "TriggerAuthentication") != NULL;

    if (before->meta->generation != after->meta->generation)
        difference_add(
            d, DIFFERENCE_CHANGED, after->meta, config ? "data" : "spec", NULL, NULL,
            config ? "holds other data"
            : auth ? "takes credentials from elsewhere"
                   : "is specified otherwise: its pods or processes are replaced where their template is another");
}

static void compare_objects(struct differences *d, const struct sides *before, const struct sides *after)
{
    for (size_t i = 0; i < after->count; i++) {
        const struct side *now = &after->list[i], *was = find_side(before, now->meta);

        if (!was)
            say_added(d, now);
        else if (was->policy && now->policy)
            difference_of_policies(d, was, now);
        else
            say_changed(d, was, now);
    }
    for (size_t i = 0; i < before->count; i++)
        if (!find_side(after, before->list[i].meta))
            say_removed(d, &before->list[i]);
}

struct differences *differences_new(const struct manifest *const *before, size_t before_count,
                                    const struct manifest *const *after, size_t after_count,
                                    const struct policy_settings *settings)
{
    struct differences *d = mem_alloc(sizeof(*d));
    struct sides was, is;

    d->arena = arena_new(ARENA_USUAL);
    read_sides(&was, before, before_count, settings);
    read_sides(&is, after, after_count, settings);
    compare_objects(d, &was, &is);
    sides_done(&was);
    sides_done(&is);
    return d;
}

void differences_free(struct differences *differences)
{
    if (!differences)
        return;
    arena_free(differences->arena);
    free(differences->list);
    free(differences);
}

size_t differences_count(const struct differences *differences)
{
    return differences->count;
}

/* ---- how they are shown ---- */

const char *differences_sentence(const struct differences *differences, size_t index)
{
    return differences->list[index].text;
}

void differences_write_text(const struct differences *differences, struct text *out)
{
    const char *object = "";

    for (size_t i = 0; i < differences->count; i++) {
        const struct difference *d = &differences->list[i];

        if (d->kind != DIFFERENCE_CHANGED)
            text_printf(out, "%s %s\n", d->object, d->text);
        else if (strcmp(object, d->object) != 0)
            text_printf(out, "%s changes:\n", d->object);
        if (d->kind == DIFFERENCE_CHANGED)
            text_printf(out, "  %s\n    %s\n", d->text, d->field);
        object = d->object;
    }
}

static void write_member(struct text *out, const char *name, const char *value)
{
    text_printf(out, ",\"%s\":", name);
    text_add_json_string(out, value, strlen(value));
}

void differences_write_json(const struct differences *differences, struct text *out)
{
    static const char *const kinds[] = {"added", "removed", "changed"};

    text_add_char(out, '[');
    for (size_t i = 0; i < differences->count; i++) {
        const struct difference *d = &differences->list[i];

        text_printf(out, "%s\n{\"change\":\"%s\"", i ? "," : "", kinds[d->kind]);
        write_member(out, "object", d->object);
        if (d->field[0])
            write_member(out, "field", d->field);
        if (d->before)
            write_member(out, "before", d->before);
        if (d->after)
            write_member(out, "after", d->after);
        write_member(out, "text", d->text);
        text_add_char(out, '}');
    }
    text_add(out, differences->count ? "\n]\n" : "]\n");
}
