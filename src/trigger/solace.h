/*
 * solace: the management hosts of a Solace broker, tried in turn, for the two types that ask one.
 */
#ifndef WEIR_TRIGGER_SOLACE_H
#define WEIR_TRIGGER_SOLACE_H

#include "trigger/driver.h"

enum { SOLACE_HOSTS_MAX = 8 }; /* a pair and its replica site are four */

struct solace { /* first member of a config */
    struct trigger_config common;
    struct http_auth auth;
    const char *urls, *vpn;
    bool unsafe;
    int64_t which; /* of the type's several metrics */
    size_t host_count;
    const char *hosts[SOLACE_HOSTS_MAX]; /* in the trigger's arena */
};
struct solace_place { /* first member of a scratch */
    size_t host, tried;
    bool failed; /* the question just asked */
    struct error error;
    struct error errors[SOLACE_HOSTS_MAX];
};

/* Takes `urls` apart; each has to be one. */
bool solace_prepare(struct solace *solace, struct trigger_check *check);
void solace_destinations(const void *config, struct destinations *out);
/* Notes the failure of the host being asked; false: there is another one, and place->host is it. */
bool solace_next(const struct solace *solace, struct solace_place *place);
/* What all of them said. */
enum poll_next solace_fail(struct poll *poll, const struct solace_place *place);

#endif
