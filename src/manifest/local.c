/*
 * local: what a workload asks for that the local platform cannot give. There replicas are plain processes of this machine
 * under weir-shim: no images, no mount points, no second container, no scheduler. What would change the meaning is an error
 * that names the field; what merely does not happen is a warning or advice; what only places pods on nodes goes without saying.
 */
#include <string.h>

#include "manifest/manifest_internal.h"

void check_local_target(struct reading *r, const struct path *target_path, const struct target_ref *target)
{
    struct path at = path_member(target_path, "kind", tree_get(target_path->node, "kind"));

    if (strcmp(target->kind, "Deployment") != 0 && strcmp(target->kind, "StatefulSet") != 0)
        complain(r, FINDING_ERROR, "local-unsupported", &at, "use a Deployment or a StatefulSet",
                 "this machine cannot run a %s", target->kind);
}

static bool is_mounted(const struct tree *container, const char *volume)
{
    const struct tree *mounts = tree_get(container, "volumeMounts");

    for (const struct tree *m = mounts && mounts->type == TREE_LIST ? mounts->first : NULL; m; m = m->next) {
        if (string_equal(tree_string(tree_get(m, "name")), volume))
            return true;
    }
    return false;
}

static void check_volumes(struct reading *r, const struct path *pod, const struct path *main,
                          const struct pod_template *template)
{
    struct path list = path_member(pod, "volumes", tree_get(pod->node, "volumes"));
    int index = 0;

    for (const struct tree *node = list.node && list.node->type == TREE_LIST ? list.node->first : NULL; node;
         node = node->next, index++) {
        struct path at = path_item(&list, index, node);
        const char *name = tree_string(tree_get(node, "name"));

        if (!name || !is_mounted(main->node, name))
            continue;
        if (tree_get(node, "secret") || tree_get(node, "configMap") || tree_get(node, "emptyDir") || node->count == 1)
            complain(r, FINDING_ADVICE, "local-volume", &at, "read the directory's name from the environment",
                     "there are no mount points on this machine: the files are in $WEIR_VOLUMES/%s", name);
        else
            complain(r, FINDING_ERROR, "local-unsupported", &at,
                     "use a secret, configMap or emptyDir volume, or a plain path of this machine",
                     "the volume %s cannot be mounted on this machine", name);
    }
    (void)template; /* the volumes that can be had were read */
}

void check_local_volume_claims(struct reading *r, const struct path *spec_path, const struct pod_template *template)
{
    struct path list =
        path_member(spec_path, "volumeClaimTemplates", tree_get(spec_path->node, "volumeClaimTemplates"));

    (void)template; /* claims exist to be mounted */
    if (list.node && list.node->type == TREE_LIST && list.node->count > 0)
        complain(r, FINDING_ERROR, "local-unsupported", &list,
                 "keep the data in a directory of this machine that the command knows",
                 "volume claims cannot be met on this machine");
}

static void check_probe(struct reading *r, const struct path *container, const char *name)
{
    struct path probe = path_member(container, name, tree_get(container->node, name));
    struct path at = path_member(&probe, "grpc", tree_get(probe.node, "grpc"));

    if (at.node)
        complain(r, FINDING_ERROR, "local-unsupported", &at, "use httpGet, tcpSocket or exec",
                 "gRPC probes cannot be asked on this machine");
}

static void check_command(struct reading *r, const struct path *main, const struct container *container)
{
    struct path at = path_member(main, "command", tree_get(main->node, "command"));

    if (!container->command || !container->command[0])
        complain(r, FINDING_ERROR, "local-no-command", &at,
                 "write the command that the image would run, e.g. command: [python3, server.py]",
                 "command is required on this machine: images are not run, so an image's own entry point is not known");
}

static void warn_ignored(struct reading *r, const struct path *up, const char *name, const char *why)
{
    struct path at = path_member(up, name, tree_get(up->node, name));

    if (at.node && at.node->type != TREE_NULL && (at.node->type == TREE_BOOL ? at.node->boolean : at.node->count > 0))
        complain_key(r, FINDING_WARNING, "local-ignored", &at, "remove it, or run this on Kubernetes", "%s", why);
}

void check_local_template(struct reading *r, const struct path *template_path, const struct pod_template *template)
{
    struct path pod = path_member(template_path, "spec", tree_get(template_path->node, "spec"));
    struct path list = path_member(&pod, "containers", tree_get(pod.node, "containers"));
    struct path main = path_item(&list, 0, tree_index(list.node, 0));
    struct path at = path_member(&pod, "initContainers", tree_get(pod.node, "initContainers"));

    check_command(r, &main, &template->main);
    check_volumes(r, &pod, &main, template);
    check_probe(r, &main, "readinessProbe");
    check_probe(r, &main, "livenessProbe");
    check_probe(r, &main, "startupProbe");
    if (at.node && at.node->type == TREE_LIST && at.node->count > 0)
        complain(r, FINDING_ERROR, "local-unsupported", &at, "do the preparation in the command of the first container",
                 "init containers are not run on this machine");
    for (int i = 1; i < (int)template->container_count; i++) {
        at = path_item(&list, i, tree_index(list.node, (size_t)i));
        complain(r, FINDING_WARNING, "local-ignored", &at, "start it as a Deployment of its own",
                 "only the first container is run on this machine");
    }
    warn_ignored(r, &main, "lifecycle", "lifecycle hooks are not run on this machine");
    warn_ignored(r, &main, "volumeDevices", "block devices cannot be attached on this machine");
    warn_ignored(r, &pod, "ephemeralContainers", "ephemeral containers are not run on this machine");
}
