/*
 * credentials: which sources the parameters of a trigger come from, so that it can be shown how long what they supply has been in use. Of
 * the values only a mark is kept, which is compared with that of the version before and shown to nobody.
 */
#include <string.h>

#include "base/map.h"
#include "base/secret.h"
#include "base/text.h"
#include "credential/credential.h"
#include "policy/policy_internal.h"

/* The sum of the marks is the same in any order. */
static void add_value(struct building *b, struct policy_trigger *slot, const char *kind, const char *name,
                      const char *param, const struct secret *value)
{
    uint64_t mark = hash_string(secret_fingerprint(value), param);
    size_t i = 0;

    while (i < slot->credential_count &&
           (strcmp(slot->credentials[i].kind, kind) != 0 || strcmp(slot->credentials[i].name, name) != 0))
        i++;
    if (i == slot->credential_count) {
        slot->credentials[i].kind = arena_copy(b->policy->arena, kind);
        slot->credentials[i].name = arena_copy(b->policy->arena, name);
        slot->credential_count++;
    }
    slot->credentials[i].mark += mark;
}

void note_credentials(struct building *b, const struct trigger_spec *spec, const struct credential *credential,
                      struct secret *const *variables, size_t variable_count, struct policy_trigger *slot)
{
    size_t params = credential ? credential->param_count : 0;

    if (!credential && variable_count == 0)
        return;
    slot->credentials = arena_array(b->policy->arena, params + 2, sizeof(*slot->credentials));
    if (credential) {
        slot->credentials[0] = (struct policy_credential){.kind = arena_copy(b->policy->arena, spec->auth_kind),
                                                          .name = arena_copy(b->policy->arena, spec->auth_name)};
        slot->credential_count = 1;
    }
    for (size_t i = 0; i < params; i++) {
        const struct credential_param *p = &credential->params[i];

        add_value(b, slot, spec->auth_kind, spec->auth_name, p->name, p->value);
        if (p->kind)
            add_value(b, slot, p->kind, p->source, p->name, p->value);
    }
    for (size_t i = 0; i < variable_count; i++)
        add_value(b, slot, "Environment", b->policy->is_job ? b->policy->name : b->policy->target.name, "",
                  variables[i]);
}
