/*
 * client: asks a running Weir: through the Unix socket in its data dir or, where client_use_cluster was called, through the service proxy of
 * a Kubernetes API server.
 *
 *     text_init(&body, limit);
 *     if (client_get(data_dir, "/api/v1/objects", &body, &err) != ASK_OK)
 *         ...
 *
 * One thing at a time, and it waits; Ctrl-C ends the waiting where interrupt_catch() was called.
 */
#ifndef WEIR_CLI_CLIENT_H
#define WEIR_CLI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/cli.h"

struct client_cluster {               /* the Weir of a cluster, for kubectl-weir */
    const char *kubeconfig, *context; /* NULL: as kubectl finds them */
    const char *ns, *service, *account;
};

/* From now on every question goes this way, and data dirs mean nothing. Borrowed; read at the first question. */
void client_use_cluster(const struct client_cluster *cluster);
bool client_is_cluster(void);
/* The namespace of a bare name: "default", or that of the context of the kubeconfig. */
const char *client_namespace(void);

/* A bell that rings when something of an object changes: /api/v1/stream. What the events say is not looked at. NULL: there is no such
   stream here (a Weir that has none, or through a proxy that would keep a connection for each of us); ask from time to time instead. */
struct client_bell;
struct client_bell *client_bell_open(const char *data_dir, const char *kind, const char *ns, const char *name);
void client_bell_close(struct client_bell *bell); /* NULL is fine */
enum bell { BELL_QUIET, BELL_RANG, BELL_KEY, BELL_LOST };
/* Waits for it, for a byte on `fd` (-1: none) or for the time to pass. bell NULL: only for the others. */
enum bell client_bell_wait(struct client_bell *bell, int fd, int timeout_ms);

#endif
