/*
 * solace: the management hosts of a Solace broker, for the two types that ask one. They are tried in turn (nodes.h): whatever one of
 * them says instead of the figures, a standby may not be asked, and a broken one says anything.
 */
#ifndef WEIR_TRIGGER_SOLACE_H
#define WEIR_TRIGGER_SOLACE_H

#include "trigger/common/nodes.h"

enum { SOLACE_HOSTS_MAX = NODES_TRIES_MAX /* all are asked by one poll; a pair and its replica site are four */ };

struct solace { /* first member of a config */
    struct trigger_config common;
    struct http_auth auth;
    const char *urls, *vpn;
    bool unsafe;
    int64_t which; /* of the type's several metrics */
    size_t host_count;
    const char *hosts[SOLACE_HOSTS_MAX]; /* in the trigger's arena */
};
/* Takes `urls` apart; each has to be one. */
bool solace_prepare(struct solace *solace, struct trigger_check *check);
void solace_destinations(const void *config, struct destinations *out);

#endif
