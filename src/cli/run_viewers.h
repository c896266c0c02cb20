/*
 * run_viewers: the API once more, of `weir run --kubernetes --api-listen`: for accounts of the cluster that RBAC lets look, over TLS, to read
 * and nothing else, whatever --listen and --allow-actions say. It is what kubectl weir asks through the API server (docs/kubectl.md).
 */
#ifndef WEIR_CLI_RUN_VIEWERS_H
#define WEIR_CLI_RUN_VIEWERS_H

#include <stdbool.h>

struct autoscaler;
struct error;
struct kube;
struct loop;
struct serve_live;

struct run_viewers_options {
    const char *address;  /* HOST:PORT */
    const char *data_dir; /* its certificate is kept there: nobody verifies it, so nobody else needs it */
    struct loop *loop;
    struct kube *kube; /* asked whose a token is, and what they may */
    struct autoscaler *autoscaler;
    struct serve_live *live;
};
struct run_viewers;
bool run_viewers_open(const struct run_viewers_options *options, struct run_viewers **out, struct error *err);
void run_viewers_close(
    struct run_viewers *viewers); /* before the live, the autoscaler and the kube end; NULL is fine */

#endif
