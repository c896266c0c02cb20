/*
 * data: a value out of a Secret or ConfigMap of the object's namespace, for the one driver that measures it
 * (kubernetes-resource). The platform answers from what it last saw. In a cluster that is nothing at first: then the poll
 * is begun again, as with pods (engine.c).
 */
#include "base/secret.h"
#include "trigger/trigger_internal.h"

bool poll_data(struct poll *poll, bool secret, const char *name, const char *key, struct secret **value,
               struct error *err)
{
    struct flight *flight = flight_of(poll);
    struct platform *platform = flight->engine->platform;
    const char *ns = flight->trigger->ns, *kind = secret ? "Secret" : "ConfigMap";

    if (!platform || !platform->ops->secret_get || !platform->ops->config_get)
        return error_set(err, ERROR_INVALID, "there is no platform here that has Secrets and ConfigMaps");
    switch ((secret ? platform->ops->secret_get : platform->ops->config_get)(platform, ns, name, key, value)) {
    case LOOKUP_FOUND:
        return true;
    case LOOKUP_ABSENT:
        return error_set(err, ERROR_MISSING, "there is no %s %s with a key %s in namespace %s", kind, name, key, ns);
    case LOOKUP_DENIED:
        return error_set(err, ERROR_DENIED, "%s %s in namespace %s may not be read: grant get, list and watch of it",
                         kind, name, ns);
    case LOOKUP_PENDING:
        flight->pods_pending = true;
        return error_set(err, ERROR_UNREACHABLE, "%s %s is not known yet", kind, name);
    }
    return error_set(err, ERROR_INTERNAL, "%s %s: the platform gave no answer", kind, name);
}
