/*
 * credentials: what becomes of objects when their credentials change, and since when what a trigger's credentials supply has been in use.
 *
 *     a source refuses -> what was fetched for that trigger is fetched anew, and files are read again
 *     what was fetched is there, or another -> the objects that refer to it are built again, and asked soon
 *
 * Of the time of use: a new version of an object takes over that of every source that supplies what it did before; after a restart it
 * counts anew.
 */
#include "autoscaler/autoscaler_internal.h"

#include <string.h>

#include "credential/credential.h"

/* ------------------------------------------------------------------ they change */

static void on_change(void *arg, const char *key)
{
    struct autoscaler *a = arg;

    if (a->cluster)
        cluster_referred_changed(a->cluster, key);
    files_referred_changed(a->files, key);
}

void credentials_start(struct autoscaler *a)
{
    struct credential_settings settings = {.file_root = a->settings.file_root,
                                           .account_token_ms = a->settings.account_token_ms,
                                           .vault_namespaces = a->settings.vault_namespaces,
                                           .own_where_named = a->settings.own_where_named};

    if (!a->parts.engine)
        return;
    credential_store_configure(trigger_engine_credentials(a->parts.engine), &settings);
    credential_store_listen(trigger_engine_credentials(a->parts.engine), on_change, a);
}

void credentials_stop(struct autoscaler *a)
{
    if (a->parts.engine)
        credential_store_listen(trigger_engine_credentials(a->parts.engine), NULL, NULL);
}

void credentials_denied(const struct object *object, size_t trigger)
{
    const struct credential *used =
        object->policy && trigger < object->policy->trigger_count ? object->policy->triggers[trigger].credential : NULL;

    if (used)
        credential_denied(used);
    files_credentials_denied(object->a);
}

/* ------------------------------------------------------------------ since when they are in use */

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
