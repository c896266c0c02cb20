/*
 * files_platform: see files_platform.h. Data and environment are those of the local platform, without its processes.
 */
#include "cli/files_platform.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/report.h"
#include "base/secret.h"
#include "base/text.h"
#include "manifest/manifest.h"
#include "platform/local/config.h"
#include "platform/local/environment.h"
#include "platform/local/spec.h"
#include "platform/platform.h"

struct files {
    struct platform platform; /* first */
    struct files_platform_options options;
    struct config_store *configs;
};
struct files_target { /* what struct target is here */
    int32_t replicas;
};

static struct files *files_of(struct platform *platform)
{
    return (struct files *)platform;
}

/* ------------------------------------------------------------------ data */

static enum lookup data_get(struct platform *platform, bool secret, const char *ns, const char *name, const char *key,
                            struct secret **out)
{
    const struct config_object *object = config_find(files_of(platform)->configs, secret, ns, name);
    struct secret *value = object ? config_value_of(object, key) : NULL;

    if (!value)
        return LOOKUP_ABSENT;
    *out = secret_ref(value);
    return LOOKUP_FOUND;
}

static enum lookup secret_get(struct platform *platform, const char *ns, const char *name, const char *key,
                              struct secret **out)
{
    return data_get(platform, true, ns, name, key, out);
}

static enum lookup config_get(struct platform *platform, const char *ns, const char *name, const char *key,
                              struct secret **out)
{
    return data_get(platform, false, ns, name, key, out);
}

/* ------------------------------------------------------------------ workloads and their environment */

static const struct workload *find_workload(const struct files *files, const struct target_key *key)
{
    for (size_t i = 0; i < files->options.count; i++)
        for (size_t j = 0; j < files->options.manifests[i]->workload_count; j++) {
            const struct workload *w = &files->options.manifests[i]->workloads[j];

            if (string_equal(w->meta.kind, key->kind) && string_equal(w->meta.ns, key->ns) &&
                string_equal(w->meta.name, key->name))
                return w;
        }
    return NULL;
}

static const struct scaled_job *find_job(const struct files *files, const struct target_key *key)
{
    for (size_t i = 0; i < files->options.count; i++)
        for (size_t j = 0; j < files->options.manifests[i]->scaled_job_count; j++) {
            const struct scaled_job *job = &files->options.manifests[i]->scaled_jobs[j];

            if (string_equal(job->meta.ns, key->ns) && string_equal(job->meta.name, key->name))
                return job;
        }
    return NULL;
}

static enum lookup variable_of(const struct files *files, const struct container *c, const char *ns,
                               const char *container, const char *name, struct secret **out)
{
    struct spec_env env = {.container = c->name,
                           .from = c->env_from,
                           .from_count = c->env_from_count,
                           .vars = c->env,
                           .var_count = c->env_count};

    if (container && *container && !string_equal(container, c->name))
        return LOOKUP_ABSENT;
    return environment_value(&env, ns, files->configs, name, out, NULL) ? LOOKUP_FOUND : LOOKUP_ABSENT;
}

static enum lookup variable_of_job(const struct files *files, const struct scaled_job *scaled_job,
                                   const char *container, const char *name, struct secret **out)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct job_spec spec;
    enum lookup found = LOOKUP_ABSENT;

    if (manifest_read_job_spec(scaled_job->job_template, arena, &spec, NULL))
        found = variable_of(files, &spec.template.main, scaled_job->meta.ns, container, name, out);
    arena_free(arena);
    return found;
}

bool variable_is_named(const char *names, const char *name)
{
    size_t length = strlen(name);

    for (; names && *names; names += strcspn(names, ","), names += *names == ',')
        if (strncmp(names, name, length) == 0 && (names[length] == ',' || names[length] == '\0'))
            return length > 0;
    return false;
}

static enum lookup variable_of_mine(const struct files *files, const char *name, struct secret **out)
{
    const char *value = variable_is_named(files->options.own_variables, name) ? getenv(name) : NULL;

    if (!value)
        return LOOKUP_ABSENT;
    *out = secret_new(value, strlen(value));
    return LOOKUP_FOUND;
}

static enum lookup target_env(struct platform *platform, const struct target_key *key, const char *container,
                              const char *name, struct secret **out)
{
    const struct files *files = files_of(platform);
    bool is_job = string_equal(key->kind, "ScaledJob");
    const struct scaled_job *job = is_job ? find_job(files, key) : NULL;
    const struct workload *workload = is_job ? NULL : find_workload(files, key);

    if (job)
        return variable_of_job(files, job, container, name, out);
    if (workload)
        return variable_of(files, &workload->template.main, key->ns, container, name, out);
    return variable_of_mine(files, name, out);
}

/* ------------------------------------------------------------------ replicas: a number, and no pods */

static struct target *target_watch(struct platform *platform, const struct target_key *key, platform_changed *changed,
                                   void *arg)
{
    const struct files *files = files_of(platform);
    const struct workload *workload = find_workload(files, key);
    struct files_target *target = mem_alloc(sizeof(*target));

    (void)changed, (void)arg; /* nothing changes */
    if (files->options.replicas >= 0)
        target->replicas = (int32_t)files->options.replicas;
    else if (workload)
        target->replicas = workload->replicas >= 0 ? workload->replicas : 1;
    return (struct target *)target;
}

static void target_unwatch(struct target *target)
{
    free(target);
}

static void target_view(struct target *target, struct target_view *out)
{
    int32_t replicas = ((const struct files_target *)target)->replicas;

    *out = (struct target_view){
        .known = true, .replicas = replicas, .status_replicas = replicas, .ready_replicas = replicas};
}

static size_t target_pods(struct target *target, const struct pod_view **out)
{
    (void)target;
    *out = NULL;
    return 0;
}

static enum lookup refuse_pods(struct error *err)
{
    error_set(err, ERROR_MISSING, "pods are not known from files; ask where they are, with --kubeconfig");
    return LOOKUP_DENIED;
}

static enum lookup target_usage(struct target *target, struct error *err)
{
    (void)target;
    return refuse_pods(err);
}

static enum lookup pods_known(struct platform *platform, const char *ns, struct error *err)
{
    (void)platform, (void)ns;
    return refuse_pods(err);
}

static size_t pods(struct platform *platform, const char *ns, const struct selector *selector, struct arena *arena,
                   const struct pod_view ***out)
{
    (void)platform, (void)ns, (void)selector, (void)arena;
    *out = NULL;
    return 0;
}

/* ------------------------------------------------------------------ jobs: none */

static struct job_owner *jobs_watch(struct platform *platform, const char *ns, const char *name, uint64_t generation,
                                    platform_changed *changed, void *arg)
{
    (void)ns, (void)name, (void)generation, (void)changed, (void)arg;
    return (struct job_owner *)platform;
}

static void jobs_unwatch(struct job_owner *jobs)
{
    (void)jobs; /* the platform itself */
}

static size_t list_jobs(struct job_owner *owner, const struct job_view **out)
{
    (void)owner;
    *out = NULL;
    return 0;
}

/* ------------------------------------------------------------------ the platform */

static bool may_write(struct platform *platform, const char *ns, const char *name)
{
    (void)platform, (void)ns, (void)name;
    return false;
}

static void files_free(struct platform *platform)
{
    config_store_free(files_of(platform)->configs);
    free(platform);
}

static void on_config_changed(void *arg, const char *ns, const char *name)
{
    (void)arg, (void)ns, (void)name; /* it is filled before anybody looks */
}

static const struct platform_ops ops = {
    .name = "files",
    .target_watch = target_watch,
    .target_unwatch = target_unwatch,
    .target_view = target_view,
    .target_pods = target_pods,
    .target_usage = target_usage,
    .pods_known = pods_known,
    .target_env = target_env,
    .pods = pods,
    .jobs_watch = jobs_watch,
    .jobs_unwatch = jobs_unwatch,
    .jobs = list_jobs,
    .secret_get = secret_get,
    .config_get = config_get,
    .may_write = may_write,
    .free = files_free,
};

struct platform *platform_new_files(const struct files_platform_options *options)
{
    struct files *files = mem_alloc(sizeof(*files));
    struct report *report = report_new(); /* a name that is there twice is `weir lint`'s to say */

    files->platform.ops = &ops;
    files->options = *options;
    files->configs = config_store_new(on_config_changed, NULL);
    for (size_t i = 0; i < options->count; i++)
        config_store_set(files->configs, options->manifests[i]->file, options->manifests[i], report);
    report_free(report);
    return &files->platform;
}
