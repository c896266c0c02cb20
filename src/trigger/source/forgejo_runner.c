/*
 * forgejo-runner: how many jobs of Forgejo Actions wait for a runner with these labels. Facts: triggers/forgejo-runner.md. The server
 * filters by label and state; each entry of its list is a job.
 */
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/path.h"
#include "trigger/driver.h"

struct runner {
    struct trigger_config common;
    const char *address, *labels, *owner, *org, *repo;
    const struct secret *token;
    bool global;
};

#define PARAM_STRUCT struct runner
static const struct param params[] = {
    {"token", PARAM_SECRET(token), .from = "AE", .required = true, .help = "of the API"},
    {"address", PARAM_URL(address), .required = true, .help = "such as https://forgejo.example.org"},
    {"labels", PARAM_TEXT(labels), .required = true, .help = "of the runner; several with commas"},
    {"owner", PARAM_TEXT(owner), .help = "with repo: jobs of that repository"},
    {"repo", PARAM_TEXT(repo), .help = "with owner"},
    {"org", PARAM_TEXT(org), .help = "else: jobs of that organisation"},
    {"global", PARAM_BOOL(global), .help = "else, with true: jobs of the whole instance; without: of the token's user"},
    {"name", PARAM_IGNORED("the runner's name is not asked for")},
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    const struct runner *c = config;

    if (!c->owner != !c->repo)
        check_warning(check, c->owner ? "owner" : "repo", "give both, or org", "%s has no effect without %s",
                      c->owner ? "owner" : "repo", c->owner ? "repo" : "owner");
    if (c->labels && strpbrk(c->labels, " \t"))
        check_warning(check, "labels", "write a,b", "labels have no blanks: every poll fails");
    return true;
}

static void target(const void *config, struct trigger_metric *metric)
{
    (void)config;
    metric->target = 1; /* a runner takes one job */
}

/* What has no number, or a state that is none, is an entry of another API's answer. */
static bool is_job(const struct tree *job)
{
    const struct tree *id = tree_get_fold(job, "id"), *status = tree_get_fold(job, "status");

    return id && id->type == TREE_NUMBER && (!status || status->type == TREE_STRING || status->type == TREE_NULL);
}

static enum poll_next on_answer(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct tree *jobs = reply->json;

    (void)config;
    if (jobs->type == TREE_NULL)
        return poll_value(poll, 0); /* how Forgejo writes an empty list */
    if (jobs->type != TREE_LIST)
        return poll_fail(poll, ERROR_NONSENSE, "the answer is %s, not a list of jobs", tree_type_name(jobs->type));
    for (const struct tree *job = jobs->first; job; job = job->next)
        if (!is_job(job))
            return poll_fail(poll, ERROR_NONSENSE, "the list holds something that is no job");
    return poll_value(poll, (double)tree_count(jobs));
}

static const char *path_of(const struct runner *c, struct arena *arena)
{
    if (c->owner && c->repo)
        return arena_printf(arena, "/api/v1/repos/%s/%s/actions/runners/jobs", path_part(arena, c->owner),
                            path_part(arena, c->repo));
    if (c->org)
        return arena_printf(arena, "/api/v1/orgs/%s/actions/runners/jobs", path_part(arena, c->org));
    return c->global ? "/api/v1/admin/runners/jobs" : "/api/v1/user/actions/runners/jobs";
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct runner *c = config;
    struct request *r;

    (void)none;
    if (strpbrk(c->labels, " \t"))
        return poll_fail(poll, ERROR_INVALID, "labels have no blanks: write a,b");
    /* Not escaped: a label may be written with %XX. */
    r = request_get(poll, c->address,
                    arena_printf(poll_arena(poll), "%s?labels=%s", path_of(c, poll_arena(poll)),
                                 path_tidy(poll_arena(poll), c->labels)));
    request_header_secret(r, "Authorization", "token ", c->token);
    request_status(r, 200, 200);
    return poll_send(poll, r, on_answer);
}

TRIGGER(forgejo_runner) = {
    .type = "forgejo-runner",
    .summary = "jobs of Forgejo Actions that wait for a runner with certain labels",
    .about = "The value is the number of jobs the server has for a runner with these labels: of a repository (`owner` "
             "and `repo`), an "
             "organisation (`org`), the instance (`global: \"true\"`), or else of the token's own user. The target is "
             "always 1.",
    .example = "triggers:\n"
               "  - type: forgejo-runner\n"
               "    metadata:\n"
               "      address: https://forgejo.example.org\n"
               "      labels: docker\n"
               "      org: example\n"
               "    authenticationRef:\n"
               "      name: forgejo\n"
               "---\n"
               "kind: TriggerAuthentication\n"
               "metadata:\n"
               "  name: forgejo\n"
               "spec:\n"
               "  secretTargetRef:\n"
               "    - {parameter: token, name: forgejo, key: token}\n",
    .locally = "docker run -p 127.0.0.1:3000:3000 codeberg.org/forgejo/forgejo:9\n"
               "# make a user, a token with read:admin, and a workflow with runs-on: docker; no runner\n"
               "weir probe scaledobject.yaml\n",
    .metric = "forgejo",
    .params = params,
    .config_size = sizeof(struct runner),
    .prepare = prepare,
    .target = target,
    .poll = ask,
};
