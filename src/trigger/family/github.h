/*
 * github: the REST API of GitHub as a poll asks it: signing in (a token, or a GitHub App), many questions in a row, answers that are kept
 * with their ETags, and the limit on how much may be asked.
 *
 *     return github_begin(config, poll, &c->account, ask_repos);                     -- signed in, and not over the limit
 *     return github_get_all(config, poll, asked, count, on_answer, then);            -- asked: "/repos/..." with the query
 *     digest = github_digest(config, poll, reply, write_digest);                     -- in on_answer: what of it matters
 *     return github_count(poll, jobs);                                               -- the end
 *
 * A driver that uses it has a struct github_walk first in its scratch, a struct github_memory first in its memory, with
 * github_forget() as `forget`, and a struct github_account as its account, with github_forget_account().
 */
#ifndef WEIR_TRIGGER_GITHUB_H
#define WEIR_TRIGGER_GITHUB_H

#include "trigger/driver.h"

struct map;

struct github {
    const char *url;
    const struct secret *token, *key;
    int64_t app, installation;
    bool etags;
};
struct github_memory {
    struct map *digests; /* by path and query */
    size_t digests_bytes;
    struct secret *jwt;
    struct secret *token; /* that this poll goes out with */
    double count;
    int64_t counted_ms; /* when that was; 0: never */
};
struct github_account { /* of all triggers that come as the same */
    struct secret *token;
    int64_t token_until_ms;
    int64_t limited_until_ms; /* nothing is asked before */
};
struct github_walk {
    const struct github *account;
    const char **asked; /* of this step, which goes out in portions */
    size_t asked_count, asked_from, asked_to;
    poll_each *each;
    poll_step *then;
};
/* What of an answer matters, as text; false: it is another answer than it should be. */
typedef bool github_write(const struct tree *json, struct text *out, const void *config);

bool github_check(const struct github *account, struct trigger_check *check);
enum poll_next github_begin(const void *config, struct poll *poll, const struct github *account, poll_step *then);
enum poll_next github_get_all(const void *config, struct poll *poll, const char **asked, size_t count, poll_each *each,
                              poll_step *then);
/* The digest of an answer, new or as it was when it last changed; NULL: the poll has ended. */
const char *github_digest(const void *config, struct poll *poll, const struct reply *reply, github_write *write);
/* An answer that does not matter (404) still tells of the limit. */
void github_pass(struct poll *poll, const struct reply *reply);
enum poll_next github_count(struct poll *poll, double count);
void github_forget(void *memory);
void github_forget_account(void *account);

#endif
