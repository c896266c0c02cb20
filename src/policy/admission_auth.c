/*
 * admission_auth: what KEDA's webhook asks of TriggerAuthentications and of CloudEventSources (keda-operator/06 4.3, 4.4). Where KEDA stops
 * looking (oauth2 beside a pod identity that is not azure-workload or aws), lint goes on and warns.
 */
#include <string.h>

#include "base/text.h"
#include "base/tree.h"
#include "policy/admission_internal.h"

/* ------------------------------------------------------------------ pod identity */

/* A text that is there but empty. */
static bool is_blank(const struct tree *map, const char *key)
{
    const char *text = tree_string(tree_get(map, key));

    return text && !text[0];
}

static bool is_set(const struct tree *map, const char *key)
{
    return admission_text(map, key)[0] != 0;
}

static bool check_azure(struct judge *j, const struct tree *identity)
{
    if (is_blank(identity, "identityId"))
        return judge_refuse(j, NULL,
                            "identityId of PodIdentity should not be empty. If it's set, identityId has to be "
                            "different than \"\"");
    if (is_set(identity, "identityAuthorityHost") && !is_set(identity, "identityTenantId"))
        return judge_refuse(j, NULL,
                            "identityTenantID of PodIdentity should not be nil or empty when "
                            "identityAuthorityHost of PodIdentity is set");
    if (is_blank(identity, "identityTenantId"))
        return judge_refuse(j, NULL,
                            "identityTenantId of PodIdentity should not be empty. If it's set, "
                            "identityTenantId has to be different than \"\"");
    return true;
}

static bool check_aws(struct judge *j, const struct tree *identity)
{
    if (is_set(identity, "roleArn") && strcmp(admission_text(identity, "identityOwner"), "workload") == 0)
        return judge_refuse(j, NULL, "roleArn of PodIdentity can't be set if KEDA isn't identityOwner");
    if (is_set(identity, "externalID") && !is_set(identity, "roleArn"))
        return judge_refuse(j, NULL, "externalID of PodIdentity requires roleArn to be set");
    return true;
}

/* ------------------------------------------------------------------ OAuth2 */

static bool is_http_url(const char *url)
{
    const char *host = string_starts(url, "https://") ? url + 8 : string_starts(url, "http://") ? url + 7 : "";

    return host[0] && host[0] != '/' && host[0] != '?' && host[0] != '#' && !strpbrk(url, " \t\r\n\x7f");
}

static bool check_oauth2(struct judge *j, const struct tree *oauth2)
{
    const char *type = admission_text(oauth2, "type");

    if (strcmp(type, "clientCredentials") != 0)
        return judge_refuse(j, NULL, "oauth2.type must be 'clientCredentials', got '%.60s'", type);
    if (!is_set(oauth2, "clientId"))
        return judge_refuse(j, NULL, "oauth2.clientId is required when oauth2 is configured");
    if (!is_set(oauth2, "tokenUrl"))
        return judge_refuse(j, NULL, "oauth2.tokenUrl is required when oauth2 is configured");
    if (!is_http_url(admission_text(oauth2, "tokenUrl")))
        return judge_refuse(j, NULL, "oauth2.tokenUrl must be a valid http or https URL");
    return true;
}

bool judge_authentication(struct judge *j)
{
    const struct tree *spec = tree_get(j->o->review->object, "spec");
    const struct tree *identity = tree_get(spec, "podIdentity"), *oauth2 = tree_get(spec, "oauth2");
    bool azure = strcmp(admission_text(identity, "provider"), "azure-workload") == 0;
    bool aws = strcmp(admission_text(identity, "provider"), "aws") == 0;

    if (identity && identity->type == TREE_MAP && !azure && !aws)
        return true;
    if ((azure && !check_azure(j, identity)) || (aws && !check_aws(j, identity)))
        return false;
    return !oauth2 || oauth2->type != TREE_MAP || check_oauth2(j, oauth2);
}

/* ------------------------------------------------------------------ cloud events */

/* Of those there are, the webhook takes none about authentications (keda-operator/06 4.4). */
static bool is_event_type(const char *type)
{
    return !string_starts(type, "keda.authentication.") && event_type_index(type) >= 0;
}

static bool check_event_types(struct judge *j, const struct tree *list, const char *what)
{
    for (const struct tree *type = list && list->type == TREE_LIST ? list->first : NULL; type; type = type->next) {
        const char *name = type->text ? type->text : tree_type_name(type->type);

        if (!is_event_type(name))
            return judge_refuse(j, NULL, "%s: %.100s in %s spec is not supported", what, name,
                                j->o->review->kind == ADMIT_CLOUD_EVENT_SOURCE ? "cloudeventsource"
                                                                               : "clustercloudeventsource");
    }
    return true;
}

bool judge_cloud_events(struct judge *j)
{
    const struct tree *subscription = tree_at(j->o->review->object, "spec.eventSubscription");
    const struct tree *included = tree_get(subscription, "includedEventTypes");
    const struct tree *excluded = tree_get(subscription, "excludedEventTypes");

    if (included && included->type != TREE_NULL && excluded && excluded->type != TREE_NULL)
        return judge_refuse(j, NULL, "setting included types and excluded types at the same time is not supported");
    return check_event_types(j, excluded, "excludedEventType") && check_event_types(j, included, "includedEventType");
}
