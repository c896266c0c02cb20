/*
 * run_api: where `weir run` serves its API and who may ask: the Unix socket of the data dir, --listen, TLS and the guard in front. Options
 * and their meaning stand in cli_run.c.
 */
#ifndef WEIR_CLI_RUN_API_H
#define WEIR_CLI_RUN_API_H

#include <stdbool.h>

struct error;
struct kube;
struct loop;
struct server;

struct run_api_options {
    const char *listen_at; /* HOST:PORT, or "none" */
    const char *data_dir;
    const char *token_file, *client_ca, *tls_cert, *tls_key; /* files, or NULL */
    bool allow_actions;
};
struct run_api;
/* What is wrong with the options by themselves; NULL: nothing. */
const char *run_api_complaint(const struct run_api_options *options);
/* Stands before the routes of the server and listens. kube: of the cluster it runs for, or NULL; outlives it. false: an address or a file
   cannot be used, or others than this machine could ask without being known. */
bool run_api_open(const struct run_api_options *options, struct loop *loop, struct server *server, struct kube *kube,
                  struct run_api **out, struct error *err);
/* Frees the server too: what waits is ended before, what its handlers need after. NULL is fine. */
void run_api_close(struct run_api *api);

#endif
