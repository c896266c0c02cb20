/*
 * keystone: signing in to OpenStack (Identity API v3), for the types that ask one of its services.
 *
 *     return keystone_send(config, poll, &c->account, make_request, on_answer);
 *
 * The token is kept from poll to poll, for all triggers of the driver with this account, and renewed before it ends, or when the service
 * no longer takes it (401). A driver that uses it has a struct keystone_walk first in its scratch, a struct keystone_memory first in its
 * memory, with keystone_forget() as `forget`, and a struct keystone_account as its account, with keystone_forget_account().
 */
#ifndef WEIR_TRIGGER_KEYSTONE_H
#define WEIR_TRIGGER_KEYSTONE_H

#include "trigger/driver.h"

struct keystone {
    const char *url, *user, *project, *app, *region;
    const struct secret *password, *app_secret;
    int64_t timeout_s;
    bool by_password;   /* by user and password, where both are given */
    bool wants_storage; /* the address of the object store is looked for among the services */
};
struct keystone_memory {
    struct secret *token;    /* that this poll goes out with */
    struct secret *question; /* for a token: the password is in it */
};
struct keystone_account { /* of all triggers that come as the same */
    struct secret *token;
    int64_t until_ms;
    char *storage_url; /* NULL: not in the catalogue */
};
typedef struct request *keystone_make(const void *config, struct poll *poll);
struct keystone_walk {
    const struct keystone *account;
    keystone_make *make;
    poll_step *then;
    bool fresh; /* the token was got by this poll */
};

/* make() builds the request, without the token; it may fail the poll and return NULL. then() sees a good answer. */
enum poll_next keystone_send(const void *config, struct poll *poll, const struct keystone *account, keystone_make *make,
                             poll_step *then);
/* In make(): of the object store, for an account that wants_storage; NULL: the catalogue has none. */
const char *keystone_storage(struct poll *poll);
void keystone_forget(void *memory);
void keystone_forget_account(void *account);
/* The rule for where tokens are got from. */
bool keystone_check_url(const struct keystone *account, struct trigger_check *check);

#endif
