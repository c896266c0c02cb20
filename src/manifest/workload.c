/*
 * workload: Deployment, StatefulSet and JobSpec, as far as a machine that runs them needs to know. The tables name all fields
 * of the structs they describe (Kubernetes 1.33), so that a misspelt one is found, but look into few: pod templates are large,
 * and what only a cluster reads is the cluster's business.
 */
#include <string.h>

#include "base/quantity.h"
#include "base/selector.h"
#include "manifest/manifest_internal.h"

/* ------------------------------------------------------------------ environment */

#define SCHEMA_STRUCT struct env_var
static const struct field secret_key_fields[] = {{"name", FIELD_TEXT(secret_name)},
                                                 {"key", FIELD_TEXT(key), .required = true},
                                                 {"optional", FIELD_BOOL(optional)},
                                                 {0}};
static const struct schema secret_key_schema = {.fields = secret_key_fields};
static const struct field config_key_fields[] = {{"name", FIELD_TEXT(config_name)},
                                                 {"key", FIELD_TEXT(key), .required = true},
                                                 {"optional", FIELD_BOOL(optional)},
                                                 {0}};
static const struct schema config_key_schema = {.fields = config_key_fields};
static const struct field field_ref_fields[] = {
    {"fieldPath", FIELD_TEXT(field_path), .required = true}, {"apiVersion", CHECK_TEXT()}, {0}};
static const struct schema field_ref_schema = {.fields = field_ref_fields};
static const struct field resource_ref_fields[] = {{"resource", FIELD_TEXT(resource), .required = true},
                                                   {"containerName", CHECK_TEXT()},
                                                   {"divisor", FIELD_ANY()},
                                                   {0}};
static const struct schema resource_ref_schema = {.fields = resource_ref_fields};
static const struct field value_from_fields[] = {
    {"secretKeyRef", FIELD_GROUP(&secret_key_schema)},
    {"configMapKeyRef", FIELD_GROUP(&config_key_schema)},
    {"fieldRef", FIELD_GROUP(&field_ref_schema)},
    {"resourceFieldRef", FIELD_GROUP(&resource_ref_schema)},
    {"fileKeyRef", FIELD_ANY()},
    {0},
};
static const struct schema value_from_schema = {.fields = value_from_fields};

static void check_env(struct reading *r, const struct path *path, void *out)
{
    struct path at = path_member(path, "valueFrom", tree_get(path->node, "valueFrom"));
    const char *value = tree_string(tree_get(path->node, "value"));

    (void)out; /* the same whether kept or not */
    if (value && value[0] && at.node && at.node->type == TREE_MAP && at.node->count > 0)
        complain(r, FINDING_ERROR, "conflict", &at, "keep one of the two", "value and valueFrom exclude each other");
}

static const struct field env_fields[] = {
    {"name", FIELD_TEXT(name), .required = true, .filled = true},
    {"value", FIELD_TEXT(value)},
    {"valueFrom", FIELD_GROUP(&value_from_schema)},
    {0},
};
static const struct schema env_schema = {.fields = env_fields, .size = sizeof(struct env_var), .check = check_env};
#undef SCHEMA_STRUCT

#define SCHEMA_STRUCT struct env_from
static const struct field secret_ref_fields[] = {
    {"name", FIELD_TEXT(secret_name)}, {"optional", FIELD_BOOL(optional)}, {0}};
static const struct schema secret_ref_schema = {.fields = secret_ref_fields};
static const struct field config_ref_fields[] = {
    {"name", FIELD_TEXT(config_name)}, {"optional", FIELD_BOOL(optional)}, {0}};
static const struct schema config_ref_schema = {.fields = config_ref_fields};
static const struct field env_from_fields[] = {
    {"prefix", FIELD_TEXT(prefix)},
    {"secretRef", FIELD_GROUP(&secret_ref_schema)},
    {"configMapRef", FIELD_GROUP(&config_ref_schema)},
    {0},
};
static const struct schema env_from_schema = {.fields = env_from_fields, .size = sizeof(struct env_from)};
#undef SCHEMA_STRUCT

/* ------------------------------------------------------------------ volumes */

#define SCHEMA_STRUCT struct volume
static const struct field secret_volume_fields[] = {{"secretName", FIELD_TEXT(secret_name)},
                                                    {"items", FIELD_NODE(items)},
                                                    {"optional", FIELD_BOOL(optional)},
                                                    {"defaultMode", FIELD_ANY()},
                                                    {0}};
static const struct schema secret_volume_schema = {.fields = secret_volume_fields};
static const struct field config_volume_fields[] = {{"name", FIELD_TEXT(config_name)},
                                                    {"items", FIELD_NODE(items)},
                                                    {"optional", FIELD_BOOL(optional)},
                                                    {"defaultMode", FIELD_ANY()},
                                                    {0}};
static const struct schema config_volume_schema = {.fields = config_volume_fields};

static void check_volume(struct reading *r, const struct path *path, void *out)
{
    struct volume *volume = out;

    (void)r; /* no findings: sources that only a cluster has are legal */
    if (volume)
        volume->empty_dir = tree_get(path->node, "emptyDir") || path->node->count == 1;
}

static const struct field volume_fields[] = {
    {"name", FIELD_TEXT(name), .required = true, .filled = true},
    {"secret", FIELD_GROUP(&secret_volume_schema)},
    {"configMap", FIELD_GROUP(&config_volume_schema)},
    {"emptyDir", FIELD_ANY()},
    {0},
};
static const struct schema volume_schema = {
    .fields = volume_fields, .open = true, .size = sizeof(struct volume), .check = check_volume};
#undef SCHEMA_STRUCT

/* ------------------------------------------------------------------ probes */

#define SCHEMA_STRUCT struct probe
static const struct field http_get_fields[] = {
    {"path", FIELD_TEXT(path)}, {"port", FIELD_PORT(port), .required = true}, {"scheme", FIELD_TEXT(scheme)},
    {"host", CHECK_TEXT()},     {"httpHeaders", FIELD_NODE(headers)},         {0},
};
static const struct schema http_get_schema = {.fields = http_get_fields};
static const struct field tcp_socket_fields[] = {
    {"port", FIELD_PORT(port), .required = true}, {"host", CHECK_TEXT()}, {0}};
static const struct schema tcp_socket_schema = {.fields = tcp_socket_fields};
static const struct field exec_fields[] = {{"command", FIELD_TEXTS(command)}, {0}};
static const struct schema exec_schema = {.fields = exec_fields};

enum { PROBE_PERIOD_S = 10, PROBE_FAILURES = 3 };

/* Kubernetes takes 0 for "not set" in these counts. */
static void check_probe(struct reading *r, const struct path *path, void *out)
{
    struct probe *probe = out;
    int handlers = 0;

    for (const struct tree *member = path->node->first; member; member = member->next)
        handlers += !strcmp(member->key, "httpGet") || !strcmp(member->key, "tcpSocket") ||
                    !strcmp(member->key, "exec") || !strcmp(member->key, "grpc");
    if (handlers != 1)
        complain(r, FINDING_ERROR, handlers ? "conflict" : "missing-required", path,
                 "keep exactly one of httpGet, tcpSocket, exec and grpc",
                 "a probe needs exactly one of httpGet, tcpSocket, exec and grpc, not %d", handlers);
    if (!probe)
        return;
    probe->kind = tree_get(path->node, "httpGet")     ? PROBE_HTTP
                  : tree_get(path->node, "tcpSocket") ? PROBE_TCP
                  : tree_get(path->node, "exec")      ? PROBE_EXEC
                                                      : PROBE_NONE;
    probe->period_s = probe->period_s ? probe->period_s : PROBE_PERIOD_S;
    probe->timeout_s = probe->timeout_s ? probe->timeout_s : 1;
    probe->success_threshold = probe->success_threshold ? probe->success_threshold : 1;
    probe->failure_threshold = probe->failure_threshold ? probe->failure_threshold : PROBE_FAILURES;
}

static const struct field probe_fields[] = {
    {"httpGet", FIELD_GROUP(&http_get_schema)},
    {"tcpSocket", FIELD_GROUP(&tcp_socket_schema)},
    {"exec", FIELD_GROUP(&exec_schema)},
    {"grpc", FIELD_ANY()},
    {"initialDelaySeconds", FIELD_INT(initial_delay_s), .seconds = true},
    {"periodSeconds", FIELD_INT(period_s), .unset = PROBE_PERIOD_S, .seconds = true},
    {"timeoutSeconds", FIELD_INT(timeout_s), .unset = 1, .seconds = true},
    {"successThreshold", FIELD_INT(success_threshold), .unset = 1},
    {"failureThreshold", FIELD_INT(failure_threshold), .unset = PROBE_FAILURES},
    {"terminationGracePeriodSeconds", FIELD_INT(grace_period_s), .min = 1, .unset = -1, .seconds = true},
    {0},
};
static const struct schema probe_schema = {.fields = probe_fields, .check = check_probe};
#undef SCHEMA_STRUCT

/* ------------------------------------------------------------------ containers */

/* One of resources.requests or .limits; -1: not there. */
static int64_t read_resource(struct reading *r, const struct path *resources, const char *part, const char *name)
{
    struct path list = path_member(resources, part, tree_get(resources->node, part));
    struct path at = path_member(&list, name, tree_get(list.node, name));
    int64_t milli;

    if (!at.node || at.node->type == TREE_NULL)
        return -1;
    if (at.node->text && quantity_parse_milli(at.node->text, &milli) && milli >= 0)
        return milli;
    complain(r, FINDING_ERROR, "bad-quantity", &at, "write a number with an optional unit, as 500m, 2, 1.5Gi",
             "%s is not a quantity%s%s", name, at.node->text ? ": " : "", at.node->text ? at.node->text : "");
    return -1;
}

/* A limit stands in for a request that is absent, as the API server has it. */
static int64_t read_request(struct reading *r, const struct path *resources, const char *name)
{
    int64_t request = read_resource(r, resources, "requests", name),
            limit = read_resource(r, resources, "limits", name);

    return request >= 0 ? request : limit;
}

static void check_container(struct reading *r, const struct path *path, void *out)
{
    struct container *container = out;
    struct path resources = path_member(path, "resources", tree_get(path->node, "resources"));
    int64_t cpu = read_request(r, &resources, "cpu"), memory = read_request(r, &resources, "memory");
    const struct tree *port;

    if (!container)
        return;
    container->cpu_request_milli = cpu;
    container->memory_request_milli = memory;
    port = tree_get(tree_index(container->ports, 0), "containerPort");
    if (port && port->type == TREE_NUMBER)
        container->first_port = port->text;
}

#define SCHEMA_STRUCT struct container
static const struct field container_fields[] = {
    {"name", FIELD_TEXT(name), .required = true, .filled = true},
    {"image", CHECK_TEXT()},
    {"command", FIELD_TEXTS(command)},
    {"args", FIELD_TEXTS(args)},
    {"workingDir", FIELD_TEXT(working_dir)},
    {"env", FIELD_LIST(env, env_count, &env_schema)},
    {"envFrom", FIELD_LIST(env_from, env_from_count, &env_from_schema)},
    {"ports", FIELD_NODE(ports)},
    {"readinessProbe", FIELD_STRUCT(readiness, &probe_schema)},
    {"livenessProbe", FIELD_STRUCT(liveness, &probe_schema)},
    {"startupProbe", FIELD_STRUCT(startup, &probe_schema)},
    {"resources", FIELD_ANY()},
    {"imagePullPolicy", FIELD_ANY()},
    {"lifecycle", FIELD_ANY()},
    {"resizePolicy", FIELD_ANY()},
    {"restartPolicy", FIELD_ANY()},
    {"restartPolicyRules", FIELD_ANY()},
    {"securityContext", FIELD_ANY()},
    {"stdin", FIELD_ANY()},
    {"stdinOnce", FIELD_ANY()},
    {"terminationMessagePath", FIELD_ANY()},
    {"terminationMessagePolicy", FIELD_ANY()},
    {"tty", FIELD_ANY()},
    {"volumeDevices", FIELD_ANY()},
    {"volumeMounts", FIELD_ANY()},
    {0},
};
static const struct schema container_schema = {
    .fields = container_fields, .size = sizeof(struct container), .check = check_container};
#undef SCHEMA_STRUCT

/* ------------------------------------------------------------------ pods */

static void check_pod(struct reading *r, const struct path *path, void *out)
{
    struct pod_template *template = out;
    struct path list = path_member(path, "containers", tree_get(path->node, "containers"));
    int index = 0;

    if (!list.node || list.node->type == TREE_NULL)
        return; /* that it is required was said */
    if (list.node->type != TREE_LIST || list.node->count == 0) {
        complain(r, FINDING_ERROR, list.node->type == TREE_LIST ? "missing-required" : "wrong-type", &list,
                 "add a container", "containers must be a list of at least one container");
        return;
    }
    for (const struct tree *node = list.node->first; node; node = node->next, index++) {
        struct path at = path_item(&list, index, node);

        if (node->type != TREE_MAP)
            complain(r, FINDING_ERROR, "wrong-type", &at, NULL, "a container must be a mapping, not %s",
                     tree_type_name(node->type));
        else
            schema_read(r, &container_schema, &at, template && index == 0 ? &template->main : NULL);
    }
    if (template)
        template->container_count = list.node->count;
}

#define SCHEMA_STRUCT struct pod_template
static const char *const restart_policies[] = {"Always", "OnFailure", "Never", NULL};
static const struct field pod_fields[] = {
    {"containers", .type = TYPE_LIST, .offset = NOWHERE, .schema = &container_schema, .required = true,
     .read_by_check = true},
    {"initContainers", CHECK_LIST(&container_schema)},
    {"volumes", FIELD_LIST(volumes, volume_count, &volume_schema)},
    {"terminationGracePeriodSeconds", FIELD_INT(grace_period_s), .unset = DEFAULT_GRACE_PERIOD_S, .seconds = true},
    {"restartPolicy", FIELD_TEXT(restart_policy), .words = restart_policies},
    {"activeDeadlineSeconds", FIELD_ANY()},
    {"affinity", FIELD_ANY()},
    {"automountServiceAccountToken", FIELD_ANY()},
    {"dnsConfig", FIELD_ANY()},
    {"dnsPolicy", FIELD_ANY()},
    {"enableServiceLinks", FIELD_ANY()},
    {"ephemeralContainers", FIELD_ANY()},
    {"hostAliases", FIELD_ANY()},
    {"hostIPC", FIELD_ANY()},
    {"hostNetwork", FIELD_ANY()},
    {"hostPID", FIELD_ANY()},
    {"hostUsers", FIELD_ANY()},
    {"hostname", FIELD_ANY()},
    {"hostnameOverride", FIELD_ANY()},
    {"imagePullSecrets", FIELD_ANY()},
    {"nodeName", FIELD_ANY()},
    {"nodeSelector", FIELD_ANY()},
    {"os", FIELD_ANY()},
    {"overhead", FIELD_ANY()},
    {"preemptionPolicy", FIELD_ANY()},
    {"priority", FIELD_ANY()},
    {"priorityClassName", FIELD_ANY()},
    {"readinessGates", FIELD_ANY()},
    {"resourceClaims", FIELD_ANY()},
    {"resources", FIELD_ANY()},
    {"runtimeClassName", FIELD_ANY()},
    {"schedulerName", FIELD_ANY()},
    {"schedulingGates", FIELD_ANY()},
    {"securityContext", FIELD_ANY()},
    {"serviceAccount", FIELD_ANY()},
    {"serviceAccountName", FIELD_ANY()},
    {"setHostnameAsFQDN", FIELD_ANY()},
    {"shareProcessNamespace", FIELD_ANY()},
    {"subdomain", FIELD_ANY()},
    {"tolerations", FIELD_ANY()},
    {"topologySpreadConstraints", FIELD_ANY()},
    {0},
};
static const struct schema pod_schema = {.fields = pod_fields, .check = check_pod};

static const struct field template_metadata_fields[] = {
    {"labels", FIELD_TEXT_MAP(labels)}, {"annotations", CHECK_TEXT_MAP()}, {"name", FIELD_ANY()}, {0}};
static const struct schema template_metadata_schema = {.fields = template_metadata_fields, .open = true};

static void check_template(struct reading *r, const struct path *path, void *out)
{
    struct pod_template *template = out;

    (void)r; /* nothing to find that the tables do not */
    if (template)
        template->tree = path->node;
}
static const struct field template_fields[] = {
    {"metadata", FIELD_GROUP(&template_metadata_schema)},
    {"spec", FIELD_GROUP(&pod_schema), .required = true},
    {0},
};
static const struct schema template_schema = {.fields = template_fields, .check = check_template};
#undef SCHEMA_STRUCT

/* ------------------------------------------------------------------ Deployment and StatefulSet */

static size_t labels_of(struct arena *arena, const struct tree *map, struct label **out)
{
    struct label *labels = arena_array(arena, tree_count(map) + 1, sizeof(*labels));
    size_t count = 0;

    for (const struct tree *member = map ? map->first : NULL; member; member = member->next)
        labels[count++] = (struct label){.key = member->key, .value = member->text};
    *out = labels;
    return count;
}

static void read_selector(struct reading *r, const struct path *spec, struct workload *w)
{
    struct path at = path_member(spec, "selector", tree_get(spec->node, "selector"));
    struct selector *selector;
    struct label *labels;
    struct error err;
    size_t count;

    if (!at.node || at.node->type == TREE_NULL)
        return; /* that it is required was said */
    if (!selector_from_tree(at.node, r->arena, &selector, &err)) {
        complain(r, FINDING_ERROR, "bad-selector", &at, NULL, "%s", err.text);
        return;
    }
    w->selector = selector;
    count = labels_of(r->arena, w->template.labels, &labels);
    if (!selector_matches(selector, labels, count))
        complain(r, FINDING_ERROR, "selector-mismatch", &at, "give the template the labels that the selector asks for",
                 "the selector does not match the labels of the template, so the replicas would never be found");
}

static void check_workload(struct reading *r, const struct path *root, void *out)
{
    struct workload *w = out;
    struct path spec = path_member(root, "spec", tree_get(root->node, "spec"));
    struct path template = path_member(&spec, "template", tree_get(spec.node, "template"));
    struct path pod = path_member(&template, "spec", tree_get(template.node, "spec"));
    struct path policy = path_member(&pod, "restartPolicy", tree_get(pod.node, "restartPolicy"));

    if (spec.node)
        read_selector(r, &spec, w);
    if (w->template.restart_policy && strcmp(w->template.restart_policy, restart_policies[0]) != 0)
        complain(r, FINDING_ERROR, "unknown-value", &policy, "use a ScaledJob for work that ends",
                 "restartPolicy can only be Always in a %s", w->meta.kind);
    w->template.restart_policy = restart_policies[0];
    if (r->options->local && w->template.container_count > 0) {
        check_local_template(r, &template, &w->template);
        check_local_volume_claims(r, &spec, &w->template);
    }
}

#define SCHEMA_STRUCT struct workload
#define WORKLOAD_FIELDS                                                                                                \
    {"replicas", FIELD_INT(replicas), .unset = -1}, {"selector", FIELD_ANY(), .required = true},                       \
        {"template", FIELD_STRUCT(template, &template_schema), .required = true}, {"minReadySeconds", FIELD_ANY()},    \
    {                                                                                                                  \
        "revisionHistoryLimit", FIELD_ANY()                                                                            \
    }

static const struct field deployment_spec_fields[] = {
    WORKLOAD_FIELDS, {"strategy", FIELD_ANY()}, {"paused", FIELD_ANY()}, {"progressDeadlineSeconds", FIELD_ANY()}, {0}};
static const struct schema deployment_spec_schema = {.fields = deployment_spec_fields};
static const struct field stateful_set_spec_fields[] = {
    WORKLOAD_FIELDS,
    {"serviceName", FIELD_ANY()},
    {"volumeClaimTemplates", FIELD_ANY()},
    {"podManagementPolicy", FIELD_ANY()},
    {"updateStrategy", FIELD_ANY()},
    {"persistentVolumeClaimRetentionPolicy", FIELD_ANY()},
    {"ordinals", FIELD_ANY()},
    {0},
};
static const struct schema stateful_set_spec_schema = {.fields = stateful_set_spec_fields};

static const struct field deployment_fields[] = {
    ROOT_FIELDS(struct workload), {"spec", FIELD_GROUP(&deployment_spec_schema), .implied = true}, {0}};
const struct schema deployment_schema = {
    .fields = deployment_fields, .size = sizeof(struct workload), .check = check_workload};
static const struct field stateful_set_fields[] = {
    ROOT_FIELDS(struct workload), {"spec", FIELD_GROUP(&stateful_set_spec_schema), .implied = true}, {0}};
const struct schema stateful_set_schema = {
    .fields = stateful_set_fields, .size = sizeof(struct workload), .check = check_workload};
#undef SCHEMA_STRUCT

/* ------------------------------------------------------------------ JobSpec */

static void check_job(struct reading *r, const struct path *path, void *out)
{
    struct job_spec *job = out;
    struct path template = path_member(path, "template", tree_get(path->node, "template"));
    struct path pod = path_member(&template, "spec", tree_get(template.node, "spec"));
    struct path policy = path_member(&pod, "restartPolicy", tree_get(pod.node, "restartPolicy"));

    if (!job)
        return;
    if (job->template.restart_policy && strcmp(job->template.restart_policy, restart_policies[0]) == 0)
        complain(r, FINDING_ERROR, "unknown-value", &policy, "write OnFailure or Never",
                 "a job's restartPolicy cannot be Always: it is OnFailure or Never");
    if (!job->template.restart_policy || !job->template.restart_policy[0])
        job->template.restart_policy = restart_policies[1]; /* as KEDA fills it in (keda-operator/04 6) */
    if (r->options->local && job->template.container_count > 0)
        check_local_template(r, &template, &job->template);
}

#define SCHEMA_STRUCT struct job_spec
static const struct field job_spec_fields[] = {
    {"template", FIELD_STRUCT(template, &template_schema), .required = true},
    {"parallelism", FIELD_INT(parallelism), .unset = -1},
    {"completions", FIELD_INT(completions), .unset = -1},
    {"backoffLimit", FIELD_INT(backoff_limit), .unset = -1},
    {"activeDeadlineSeconds", FIELD_LONG(active_deadline_s), .min = 1, .unset = -1, .seconds = true},
    {"ttlSecondsAfterFinished", FIELD_LONG(ttl_after_finished_s), .max = INT32_MAX, .unset = -1, .seconds = true},
    {"backoffLimitPerIndex", FIELD_ANY()},
    {"completionMode", FIELD_ANY()},
    {"managedBy", FIELD_ANY()},
    {"manualSelector", FIELD_ANY()},
    {"maxFailedIndexes", FIELD_ANY()},
    {"podFailurePolicy", FIELD_ANY()},
    {"podReplacementPolicy", FIELD_ANY()},
    {"selector", FIELD_ANY()},
    {"successPolicy", FIELD_ANY()},
    {"suspend", FIELD_ANY()},
    {0},
};
const struct schema job_spec_schema = {.fields = job_spec_fields, .size = sizeof(struct job_spec), .check = check_job};
#undef SCHEMA_STRUCT

bool manifest_read_job_spec(const struct tree *job_template, struct arena *arena, struct job_spec *out,
                            struct error *err)
{
    struct manifest manifest = {.arena = arena};
    struct manifest_options options = {.local = true};
    struct reading r = {
        .manifest = &manifest, .arena = arena, .report = report_new(), .options = &options, .prefix = ""};
    struct path root = {.node = job_template};
    struct job_spec job;
    bool ok = true;

    memset(&job, 0, sizeof(job));
    schema_read(&r, &job_spec_schema, &root, &job);
    for (size_t i = 0; ok && i < report_count(r.report); i++) {
        const struct finding *f = report_at(r.report, i);

        if (f->severity != FINDING_ERROR)
            continue;
        ok = error_set(err, ERROR_INVALID, "%s%s%s", f->text, f->remedy ? "; " : "", f->remedy ? f->remedy : "");
        error_add_place(err, "%s", f->field);
    }
    report_free(r.report);
    if (ok)
        *out = job;
    return ok;
}
