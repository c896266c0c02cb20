/*
 * auth: the tables of TriggerAuthentication and ClusterTriggerAuthentication (keda-operator/01 3), and the webhook's rules for
 * them (06 4.3). Only checked here; credential/ reads the sources when a trigger is built.
 */
#include <string.h>

#include "manifest/manifest_internal.h"

static const char *const providers[] = {"azure-workload", "gcp", "aws", "aws-eks", "none", NULL};
static const char *const owners[] = {"keda", "workload", NULL};
static const char *const vault_logins[] = {"token", "kubernetes", NULL};
static const char *const vault_types[] = {"", "secretV2", "secret", "pki", NULL};
static const char *const oauth_types[] = {"clientCredentials", NULL};

/* ------------------------------------------------------------------ pod identity */

/* A text that is there but empty. */
static bool is_blank(const struct tree *map, const char *name)
{
    const char *text = tree_string(tree_get(map, name));

    return text && !text[0];
}

static bool is_set(const struct tree *map, const char *name)
{
    const char *text = tree_string(tree_get(map, name));

    return text && text[0];
}

static void check_azure(struct reading *r, const struct path *path)
{
    static const char *const names[] = {"identityId", "identityTenantId"};
    struct path host = path_member(path, "identityAuthorityHost", tree_get(path->node, "identityAuthorityHost"));

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct path at = path_member(path, names[i], tree_get(path->node, names[i]));

        if (is_blank(path->node, names[i]))
            complain(r, FINDING_ERROR, "missing-required", &at, "give it a value or leave it out",
                     "%s must not be empty when it is set", names[i]);
    }
    if (is_set(path->node, "identityAuthorityHost") && !is_set(path->node, "identityTenantId"))
        complain(r, FINDING_ERROR, "missing-required", &host, "set identityTenantId too",
                 "identityAuthorityHost needs identityTenantId");
}

static void check_aws(struct reading *r, const struct path *path)
{
    const char *owner = tree_string(tree_get(path->node, "identityOwner"));
    struct path role = path_member(path, "roleArn", tree_get(path->node, "roleArn"));
    struct path external = path_member(path, "externalID", tree_get(path->node, "externalID"));

    if (is_set(path->node, "roleArn") && owner && strcmp(owner, "workload") == 0)
        complain(r, FINDING_ERROR, "conflict", &role, "keep one of the two",
                 "roleArn and identityOwner: workload exclude each other");
    if (is_set(path->node, "externalID") && !is_set(path->node, "roleArn"))
        complain(r, FINDING_ERROR, "missing-required", &external, "set roleArn too", "externalID needs roleArn");
}

static const struct field pod_identity_fields[] = {
    {"provider", CHECK_TEXT(), .required = true, .words = providers},
    {"identityId", CHECK_TEXT()},
    {"identityTenantId", CHECK_TEXT()},
    {"identityAuthorityHost", CHECK_TEXT()},
    {"roleArn", CHECK_TEXT()},
    {"externalID", CHECK_TEXT()},
    {"identityOwner", CHECK_TEXT(), .words = owners},
    {0},
};
static const struct schema pod_identity_schema = {.fields = pod_identity_fields};

/* ------------------------------------------------------------------ sources */

static const struct field key_ref_fields[] = {
    {"name", CHECK_TEXT(), .required = true}, {"key", CHECK_TEXT(), .required = true}, {0}};
static const struct schema key_ref_schema = {.fields = key_ref_fields};
static const struct field value_from_fields[] = {{"secretKeyRef", CHECK_MAP(&key_ref_schema), .required = true}, {0}};
static const struct schema value_from_schema = {.fields = value_from_fields};
static const struct field secret_value_fields[] = {{"valueFrom", CHECK_MAP(&value_from_schema), .required = true}, {0}};
static const struct schema secret_value_schema = {.fields = secret_value_fields};

static const struct field parameter_key_fields[] = {
    {"parameter", CHECK_TEXT(), .required = true},
    {"name", CHECK_TEXT(), .required = true},
    {"key", CHECK_TEXT(), .required = true},
    {0},
};
static const struct schema parameter_key_schema = {.fields = parameter_key_fields};

static const struct field env_fields[] = {
    {"parameter", CHECK_TEXT(), .required = true},
    {"name", CHECK_TEXT(), .required = true},
    {"containerName", CHECK_TEXT()},
    {0},
};
static const struct schema env_schema = {.fields = env_fields};

static const struct field pki_fields[] = {
    {"commonName", CHECK_TEXT()}, {"altNames", CHECK_TEXT()}, {"ipSans", CHECK_TEXT()}, {"uriSans", CHECK_TEXT()},
    {"otherSans", CHECK_TEXT()},  {"ttl", CHECK_TEXT()},      {"format", CHECK_TEXT()}, {0},
};
static const struct schema pki_schema = {.fields = pki_fields};
static const struct field vault_secret_fields[] = {
    {"parameter", CHECK_TEXT(), .required = true}, {"path", CHECK_TEXT(), .required = true},
    {"key", CHECK_TEXT(), .required = true},       {"type", CHECK_TEXT(), .words = vault_types},
    {"pkiData", CHECK_MAP(&pki_schema)},           {0},
};
static const struct schema vault_secret_schema = {.fields = vault_secret_fields};
static const struct field vault_credential_fields[] = {
    {"token", CHECK_TEXT()}, {"serviceAccount", CHECK_TEXT()}, {"serviceAccountName", CHECK_TEXT()}, {0}};
static const struct schema vault_credential_schema = {.fields = vault_credential_fields};
static const struct field vault_fields[] = {
    {"address", CHECK_TEXT(), .required = true},
    {"authentication", CHECK_TEXT(), .required = true, .words = vault_logins},
    {"secrets", CHECK_LIST(&vault_secret_schema), .required = true},
    {"namespace", CHECK_TEXT()},
    {"credential", CHECK_MAP(&vault_credential_schema)},
    {"role", CHECK_TEXT()},
    {"mount", CHECK_TEXT()},
    {0},
};
static const struct schema vault_schema = {.fields = vault_fields};

static const struct field azure_secret_fields[] = {{"parameter", CHECK_TEXT(), .required = true},
                                                   {"name", CHECK_TEXT(), .required = true},
                                                   {"version", CHECK_TEXT()},
                                                   {0}};
static const struct schema azure_secret_schema = {.fields = azure_secret_fields};
static const struct field azure_credential_fields[] = {
    {"clientId", CHECK_TEXT(), .required = true},
    {"tenantId", CHECK_TEXT(), .required = true},
    {"clientSecret", CHECK_MAP(&secret_value_schema), .required = true},
    {0},
};
static const struct schema azure_credential_schema = {.fields = azure_credential_fields};
static const struct field azure_cloud_fields[] = {{"type", CHECK_TEXT(), .required = true},
                                                  {"keyVaultResourceURL", CHECK_TEXT()},
                                                  {"activeDirectoryEndpoint", CHECK_TEXT()},
                                                  {0}};
static const struct schema azure_cloud_schema = {.fields = azure_cloud_fields};
static const struct field azure_vault_fields[] = {
    {"vaultUri", CHECK_TEXT(), .required = true},
    {"secrets", CHECK_LIST(&azure_secret_schema), .required = true},
    {"credentials", CHECK_MAP(&azure_credential_schema)},
    {"podIdentity", CHECK_MAP(&pod_identity_schema)},
    {"cloud", CHECK_MAP(&azure_cloud_schema)},
    {0},
};
static const struct schema azure_vault_schema = {.fields = azure_vault_fields};

static const struct field gcp_secret_fields[] = {{"parameter", CHECK_TEXT(), .required = true},
                                                 {"id", CHECK_TEXT(), .required = true},
                                                 {"version", CHECK_TEXT()},
                                                 {0}};
static const struct schema gcp_secret_schema = {.fields = gcp_secret_fields};
static const struct field gcp_credential_fields[] = {
    {"clientSecret", CHECK_MAP(&secret_value_schema), .required = true}, {0}};
static const struct schema gcp_credential_schema = {.fields = gcp_credential_fields};
static const struct field gcp_manager_fields[] = {
    {"secrets", CHECK_LIST(&gcp_secret_schema), .required = true},
    {"credentials", CHECK_MAP(&gcp_credential_schema)},
    {"podIdentity", CHECK_MAP(&pod_identity_schema)},
    {0},
};
static const struct schema gcp_manager_schema = {.fields = gcp_manager_fields};

static const struct field aws_secret_fields[] = {
    {"parameter", CHECK_TEXT(), .required = true},
    {"name", CHECK_TEXT(), .required = true},
    {"versionId", CHECK_TEXT()},
    {"versionStage", CHECK_TEXT()},
    {"secretKey", CHECK_TEXT()},
    {0},
};
static const struct schema aws_secret_schema = {.fields = aws_secret_fields};
static const struct field aws_credential_fields[] = {
    {"accessKey", CHECK_MAP(&secret_value_schema), .required = true},
    {"accessSecretKey", CHECK_MAP(&secret_value_schema), .required = true},
    {"accessToken", CHECK_MAP(&secret_value_schema)},
    {0},
};
static const struct schema aws_credential_schema = {.fields = aws_credential_fields};
static const struct field aws_manager_fields[] = {
    {"secrets", CHECK_LIST(&aws_secret_schema), .required = true},
    {"credentials", CHECK_MAP(&aws_credential_schema)},
    {"podIdentity", CHECK_MAP(&pod_identity_schema)},
    {"region", CHECK_TEXT()},
    {0},
};
static const struct schema aws_manager_schema = {.fields = aws_manager_fields};

static const struct field bound_token_fields[] = {
    {"parameter", CHECK_TEXT(), .required = true}, {"serviceAccountName", CHECK_TEXT(), .required = true}, {0}};
static const struct schema bound_token_schema = {.fields = bound_token_fields};

/* ------------------------------------------------------------------ OAuth2 */

static void check_oauth2(struct reading *r, const struct path *path, void *out)
{
    const char *url = tree_string(tree_get(path->node, "tokenUrl"));
    struct path at = path_member(path, "tokenUrl", tree_get(path->node, "tokenUrl"));
    const char *host = url && string_starts(url, "https://")  ? url + 8
                       : url && string_starts(url, "http://") ? url + 7
                                                              : NULL;

    (void)out; /* checked, not kept */
    if (url && url[0] && (!host || !host[0] || host[0] == '/'))
        complain(r, FINDING_ERROR, "bad-url", &at, "write it as https://host/path",
                 "tokenUrl must be an absolute http or https URL");
}

static const struct field oauth2_fields[] = {
    {"type", CHECK_TEXT(), .words = oauth_types},
    {"clientId", CHECK_TEXT(), .required = true, .filled = true},
    {"clientSecret", CHECK_MAP(&secret_value_schema)},
    {"tokenUrl", CHECK_TEXT(), .required = true, .filled = true},
    {"scopes", CHECK_TEXTS()},
    {"tokenUrlParams", CHECK_TEXT_MAP()},
    {0},
};
static const struct schema oauth2_schema = {.fields = oauth2_fields, .check = check_oauth2};

/* ------------------------------------------------------------------ the kind */

static const struct field auth_spec_fields[] = {
    {"podIdentity", CHECK_MAP(&pod_identity_schema)},
    {"secretTargetRef", CHECK_LIST(&parameter_key_schema)},
    {"configMapTargetRef", CHECK_LIST(&parameter_key_schema)},
    {"env", CHECK_LIST(&env_schema)},
    {"filePath", CHECK_TEXT()},
    {"hashiCorpVault", CHECK_MAP(&vault_schema)},
    {"azureKeyVault", CHECK_MAP(&azure_vault_schema)},
    {"gcpSecretManager", CHECK_MAP(&gcp_manager_schema)},
    {"awsSecretManager", CHECK_MAP(&aws_manager_schema)},
    {"boundServiceAccountToken", CHECK_LIST(&bound_token_schema)},
    {"oauth2", CHECK_MAP(&oauth2_schema)},
    {0},
};

static void check_empty_lists(struct reading *r, const struct path *path)
{
    static const char *const stores[] = {"hashiCorpVault", "azureKeyVault", "gcpSecretManager", "awsSecretManager"};

    for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
        struct path store = path_member(path, stores[i], tree_get(path->node, stores[i]));
        struct path at = path_member(&store, "secrets", tree_get(store.node, "secrets"));

        if (at.node && at.node->type == TREE_LIST && at.node->count == 0)
            complain(r, FINDING_ERROR, "missing-required", &at, NULL, "secrets is empty: at least one is required");
    }
}

static void check_auth_spec(struct reading *r, const struct path *path, void *out)
{
    struct path identity = path_member(path, "podIdentity", tree_get(path->node, "podIdentity"));
    const char *provider = tree_string(tree_get(identity.node, "provider"));

    (void)out; /* checked, not kept */
    if (provider && strcmp(provider, "azure-workload") == 0)
        check_azure(r, &identity);
    else if (provider && strcmp(provider, "aws") == 0)
        check_aws(r, &identity);
    check_empty_lists(r, path);
}
static const struct schema auth_spec_schema = {.fields = auth_spec_fields, .check = check_auth_spec};

#define SCHEMA_STRUCT struct trigger_auth
static const struct field trigger_auth_fields[] = {
    ROOT_FIELDS(struct trigger_auth),
    {"spec", FIELD_TREE(spec, &auth_spec_schema), .required = true},
    {0},
};
const struct schema trigger_auth_schema = {.fields = trigger_auth_fields, .size = sizeof(struct trigger_auth)};
#undef SCHEMA_STRUCT
