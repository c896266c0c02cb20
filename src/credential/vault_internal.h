/* vault_internal: what the three files about Vault share. See vault.c. */
#ifndef WEIR_CREDENTIAL_VAULT_INTERNAL_H
#define WEIR_CREDENTIAL_VAULT_INTERNAL_H

#include "credential/credential_internal.h"

struct vault_server { /* which Vault, and whose part of it */
    const char *address, *ns;
    const char *of; /* whose manifest names it; NULL: who looks after the cluster */
    bool trusted;   /* it is the one that $VAULT_ADDR names */
};
bool vault_read_server(const struct tree *vault, struct vault_server *out, struct error *err);
bool vault_same_origin(const char *a, const char *b);
bool vault_is_path(const char *path); /* of names, none of which leads elsewhere */

struct vault_question {
    const char *method, *path;  /* path: behind /v1/ */
    const struct secret *token; /* or NULL */
    const struct text *body;    /* or NULL */
};
/* answered NULL: nobody waits, f is going. */
void vault_ask(struct fetched *f, const struct vault_server *server, const struct vault_question *question,
               fetch_answered *answered);
/* Names and values in turn. Ended by secret_text_done. */
void vault_write_body(struct text *body, const char *const pairs[][2], size_t count);

bool vault_is_fine(const struct fetch_answer *answer);
enum error_kind vault_status_kind(int status);
/* Why an answer to `what` is none; sent: a secret that may be in it, or NULL. Returns false. */
bool vault_explain(const struct vault_server *server, const struct fetch_answer *answer, const char *what,
                   const struct secret *sent, struct error *err);
int64_t vault_life_ms(const struct tree *seconds); /* 0: for ever */
bool vault_is_true(const struct tree *node);
bool vault_is_given(const char *text);

/* vault_login.c */
struct fetched *vault_login(const struct source_place *place, const struct tree *vault, struct vault_server *server,
                            struct error *err);
bool vault_login_is_lent(const struct fetched *login); /* by a token that somebody gave us: there is no other */

#endif
