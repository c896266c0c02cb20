/*
 * kubectl: weir under the name kubectl-weir, a plugin of kubectl: the commands that look, put to the Weir of a cluster.
 *
 *     $ kubectl weir explain checkout -n shop
 *
 * docs/kubectl.md says which way a question takes, and why that one.
 */
#ifndef WEIR_CLI_KUBECTL_H
#define WEIR_CLI_KUBECTL_H

#include <stdbool.h>

bool kubectl_is_name(const char *argv0);
int kubectl_main(int argc, char **argv);

#endif
