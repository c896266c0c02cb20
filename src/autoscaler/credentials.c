/*
 * credentials: since when what a trigger's credentials supply has been in use. A new version of an object takes over the time of every
 * source that supplies what it did before; after a restart it counts anew.
 */
#include "autoscaler/autoscaler_internal.h"

#include <string.h>

static const struct policy_credential *find(const struct policy_trigger *t, const struct policy_credential *wanted)
{
    for (size_t i = 0; i < t->credential_count; i++) {
        const struct policy_credential *c = &t->credentials[i];

        if (strcmp(c->kind, wanted->kind) == 0 && strcmp(c->name, wanted->name) == 0 && c->mark == wanted->mark)
            return c;
    }
    return NULL;
}

/* 0: it was not in use. */
static int64_t since_before(const struct policy *old, const struct object_trigger *from, const char *trigger,
                            const struct policy_credential *credential)
{
    for (size_t i = 0; old && i < old->trigger_count; i++) {
        const struct policy_credential *same =
            string_equal(old->names[i], trigger) ? find(&old->triggers[i], credential) : NULL;

        if (same)
            return from[i].credentials_since_ms[same - old->triggers[i].credentials];
    }
    return 0;
}

void credentials_note(struct object *object, const struct policy *old, const struct object_trigger *from,
                      int64_t now_ms)
{
    for (size_t i = 0; i < object->policy->trigger_count; i++) {
        const struct policy_trigger *t = &object->policy->triggers[i];

        if (t->credential_count == 0)
            continue;
        object->triggers[i].credentials_since_ms = mem_array(t->credential_count, sizeof(int64_t));
        for (size_t c = 0; c < t->credential_count; c++) {
            int64_t before_ms = since_before(old, from, t->name, &t->credentials[c]);

            object->triggers[i].credentials_since_ms[c] = before_ms > 0 ? before_ms : now_ms;
        }
    }
}

void credentials_view(const struct object *object, size_t i, struct arena *arena, int64_t now_ms,
                      struct trigger_status *out)
{
    const struct policy_trigger *t = &object->policy->triggers[i];
    struct credential_status *list = arena_array(arena, t->credential_count + 1, sizeof(*list));

    for (size_t c = 0; c < t->credential_count; c++) {
        int64_t age_ms = now_ms - object->triggers[i].credentials_since_ms[c];

        list[c] = (struct credential_status){
            .kind = t->credentials[c].kind, .name = t->credentials[c].name, .age_ms = age_ms < 0 ? 0 : age_ms};
    }
    out->credentials = list;
    out->credential_count = t->credential_count;
}
