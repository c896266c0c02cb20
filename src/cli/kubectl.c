/*
 * kubectl: see kubectl.h. Each command is the one that weir has, with other options: where it had the data dir it has what says which
 * cluster, and which Weir in it. client.c asks there once they are set.
 */
#include "cli/kubectl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "cli/cli.h"
#include "cli/client.h"

static struct client_cluster cluster = {.ns = "weir", .service = "https:weir-api:api", .account = "weir-viewer"};

static const struct option_row cluster_options[] = {
    {"kubeconfig", 0, OPTION_TEXT, &cluster.kubeconfig, "FILE", "the cluster to ask ($KUBECONFIG or ~/.kube/config)"},
    {"context", 0, OPTION_TEXT, &cluster.context, "NAME", "the context of the kubeconfig (its current-context)"},
    {"weir-namespace", 0, OPTION_TEXT, &cluster.ns, "NAMESPACE", "where Weir itself is (weir)"},
    {"weir-service", 0, OPTION_TEXT, &cluster.service, "[https:]NAME[:PORT]",
     "the Service of its API (https:weir-api:api)"},
    {"weir-account", 0, OPTION_TEXT, &cluster.account, "NAME",
     "the ServiceAccount whose token is shown to Weir (weir-viewer); '': none"},
};

static const struct command *const offered[] = {&command_get, &command_explain, &command_top, &command_version};

enum { OFFERED = sizeof(offered) / sizeof(offered[0]), OPTIONS_MAX = 32 };

bool kubectl_is_name(const char *argv0)
{
    const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
    const char *name = slash ? slash + 1 : argv0;

    return name && strcmp(name, "kubectl-weir") == 0;
}

static void print_overview(FILE *to)
{
    fprintf(to,
            "kubectl weir asks the Weir of a cluster what it does, and why.\n\nusage: kubectl weir COMMAND [OPTION...] "
            "[ARGUMENT...]\n\n");
    for (size_t i = 0; i < OFFERED; i++)
        fprintf(to, "  %-12s %s\n", offered[i]->name, offered[i]->summary);
    fprintf(to, "\n'kubectl weir COMMAND --help' explains a command.\n");
}

static const struct command *find_offered(const char *name)
{
    for (size_t i = 0; i < OFFERED; i++)
        if (strcmp(offered[i]->name, name) == 0)
            return offered[i];
    return NULL;
}

/* The rows of the command but --data-dir, then ours. */
static void merge_options(const struct option_row *own, struct option_row merged[OPTIONS_MAX])
{
    size_t count = 0;

    for (; own && own->name && count < OPTIONS_MAX - 1; own++)
        if (strcmp(own->name, "data-dir") != 0)
            merged[count++] = *own;
    for (size_t i = 0; i < sizeof(cluster_options) / sizeof(cluster_options[0]) && count < OPTIONS_MAX - 1; i++)
        merged[count++] = cluster_options[i];
}

static int run(const struct command *command, int argc, char **argv)
{
    struct option_row merged[OPTIONS_MAX] = {{.name = NULL}};
    struct command here = *command;

    if (command != &command_version) {
        merge_options(command->options, merged);
        here.options = merged;
    }
    client_use_cluster(&cluster);
    return command->run(&here, argc, argv);
}

int kubectl_main(int argc, char **argv)
{
    program_name = "kubectl weir";
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_overview(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_FINE;
    }
    const struct command *command = find_offered(argv[1]);
    if (command)
        return run(command, argc - 1, argv + 1);
    fprintf(stderr, "kubectl weir: there is no command '%s'; there are get, explain, top and version\n", argv[1]);
    return EXIT_USAGE;
}
