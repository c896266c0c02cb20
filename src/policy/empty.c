/*
 * empty: fields and parameters that are there without a value. The API server takes them for absent, so that the default counts; most
 * often a template was rendered without the value it needed. Mappings without members (`advanced:` above comments) are
 * common and mean nothing, so only fields of a single value are looked at.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/tree.h"
#include "policy/policy_internal.h"

static const char *const spec_fields[] = {"pollingInterval",  "cooldownPeriod",  "initialCooldownPeriod",
                                          "idleReplicaCount", "minReplicaCount", "maxReplicaCount"};

struct looking {
    struct report *report;
    struct arena *arena;
    const char *file, *object, *prefix;
    int doc;
};

static void say(const struct looking *l, const struct tree *node, const char *field)
{
    struct finding about = {
        .severity = FINDING_ADVICE,
        .code = "empty-value",
        .place = {.file = l->file, .doc = l->doc, .line = node->key_line, .column = node->key_column},
        .object = l->object};

    report_add(l->report, &about, arena_printf(l->arena, "%s%s", l->prefix, field),
               "give it a value, or remove it; if a template made it, see why its value is missing",
               "%s has no value: it counts as absent", node->key);
}

static bool is_empty(const struct tree *node)
{
    return node->type == TREE_NULL || (node->type == TREE_STRING && node->length == 0);
}

static void look_at_metadata(const struct looking *l, const struct tree *triggers)
{
    int index = 0;

    for (const struct tree *t = triggers && triggers->type == TREE_LIST ? triggers->first : NULL; t;
         t = t->next, index++) {
        const struct tree *metadata = tree_get(t, "metadata");

        for (const struct tree *m = metadata && metadata->type == TREE_MAP ? metadata->first : NULL; m; m = m->next) {
            if (is_empty(m))
                say(l, m, arena_printf(l->arena, "spec.triggers[%d].metadata.%s", index, m->key));
        }
    }
}

static void look_at(struct looking *l, const struct tree *object)
{
    const struct tree *spec = tree_get(object, "spec");
    const char *kind = tree_string(tree_get(object, "kind")), *api = tree_string(tree_get(object, "apiVersion"));
    const char *name = tree_string(tree_at(object, "metadata.name")),
               *ns = tree_string(tree_at(object, "metadata.namespace"));

    if (!kind || !api || !string_starts(api, "keda.sh/") ||
        (strcmp(kind, "ScaledObject") != 0 && strcmp(kind, "ScaledJob") != 0))
        return;
    l->object = arena_printf(l->arena, "%s %s/%s", kind, ns ? ns : "default", name ? name : "");
    for (size_t i = 0; i < sizeof(spec_fields) / sizeof(spec_fields[0]); i++) {
        const struct tree *field = tree_get(spec, spec_fields[i]);

        if (field && field->type == TREE_NULL)
            say(l, field, arena_printf(l->arena, "spec.%s", spec_fields[i]));
    }
    look_at_metadata(l, tree_get(spec, "triggers"));
}

void check_empty(const struct manifest *manifest, struct arena *arena, struct report *report)
{
    struct looking l = {.report = report, .arena = arena, .file = manifest->file, .prefix = ""};
    const struct tree *documents = manifest->documents;

    for (const struct tree *d = documents ? documents->first : NULL; d; d = d->next, l.doc++) {
        const struct tree *items = tree_get(d, "items");
        int index = 0;

        l.prefix = "";
        look_at(&l, d);
        for (const struct tree *item = items && items->type == TREE_LIST ? items->first : NULL; item;
             item = item->next, index++) {
            l.prefix = arena_printf(arena, "items[%d].", index);
            look_at(&l, item);
        }
    }
}
