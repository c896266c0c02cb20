/*
 * github-runner: how many queued or running jobs of GitHub Actions a runner with certain labels could take. Facts:
 * triggers/github-runner.md.
 *
 *     ask -> [app: token] -> repos given? ----------------------------v
 *                            no -> page 1, 2 ... until one is short -> runs of each repository, queued and in progress
 *                                                                   -> jobs of each run -> those that fit are counted
 *
 * How GitHub is asked, and how often, is github.c's. An object is active from the target on, not above it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/path.h"
#include "trigger/driver.h"
#include "trigger/family/github.h"

enum {
    REPOS_OF_PAGE = 30, /* GitHub's, where per_page is not said: a shorter page is the last one */
    LABELS_MAX = 256,   /* of a runner: each label of each job is looked for among them */
};

struct runner {
    struct trigger_config common;
    struct github account;
    const char *owner;
    const struct param_list *repos, *labels;
    int scope;
    bool no_default_labels, match_unlabeled;
};

struct run {
    const char *repo, *id;
};
struct runner_scratch {
    struct github_walk walk; /* first: github.c finds its own there */
    const char **repos;
    struct run *runs;
    size_t repo_count, repo_capacity, run_count, run_capacity;
    size_t without; /* answers about repositories that have no Actions, or are out of our sight */
    int page;
    bool named; /* by the manifest, not listed by GitHub */
    double jobs;
};

#define PARAM_STRUCT struct runner
static const struct param params[] = {
    {"githubApiURL", PARAM_URL(account.url), .from = "ME", .fallback = "https://api.github.com",
     .help = "of GitHub Enterprise: https://HOST/api/v3"},
    {"owner", PARAM_TEXT(owner), .from = "ME", .question = true, .required = true, .help = "organisation or user"},
    {"runnerScope", PARAM_CHOICE(scope, "org,ent,repo"), .from = "ME", .question = true, .required = true,
     .help = "of the runner: org, ent or repo"},
    {"personalAccessToken", PARAM_SECRET(account.token), .from = "A", .help = "or appKey"},
    {"repos", PARAM_LIST(repos), .from = "ME", .question = true,
     .help = "all of the owner unless given: fewer requests"},
    {"labels", PARAM_LIST(labels), .from = "ME", .question = true,
     .help = "of the runner, besides self-hosted, linux, x64"},
    {"noDefaultLabels", PARAM_BOOL(no_default_labels), .from = "ME", .question = true, .fallback = "false",
     .help = "the runner has not these three"},
    {"enableEtags", PARAM_BOOL(account.etags), .from = "ME", .question = true, .fallback = "false",
     .help = "ask only for what has changed: unchanged answers do not count against the rate limit"},
    {"matchUnlabeledJobsWithUnlabeledRunners", PARAM_BOOL(match_unlabeled), .from = "ME", .question = true,
     .fallback = "false", .help = "a job without labels counts only where labels is empty"},
    {"targetWorkflowQueueLength", PARAM_WHOLE(common.target), .from = "ME", .role = ROLE_TARGET, .fallback = "1",
     .help = "jobs for one replica; the object is active from so many on"},
    {"applicationID", PARAM_INTEGER(account.app), .from = "ME", .help = "of a GitHub App, with the next two"},
    {"installationID", PARAM_INTEGER(account.installation), .from = "ME", .help = "of that App for this owner"},
    {"appKey", PARAM_SECRET(account.key), .from = "A", .help = "its private key, PEM"},
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    const struct runner *c = config;

    if (c->labels && c->labels->count > LABELS_MAX)
        return check_error(check, "labels", "name those that jobs ask for", "a runner has no more than %d labels",
                           LABELS_MAX);
    return github_check(&c->account, check);
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct runner *c = config;

    (void)input;
    text_printf(out, "github-runner-%s", c->owner);
}

/* Active from the target on. Counts are whole, so that is: above the target less a half. */
static void target(const void *config, struct trigger_metric *metric)
{
    (void)config;
    metric->activation = metric->target - 0.5;
}

/* ------------------------------------------------------------------ what of an answer matters */

/* Lists and names that GitHub always sends: an answer without them is another one, and no word on what waits. */
static bool one_line(const char *word)
{
    return word && *word && !strpbrk(word, "\r\n ");
}

static bool is_list(const struct tree *node)
{
    return node && node->type == TREE_LIST;
}

/* A line for each repository: its name. */
static bool digest_repos(const struct tree *json, struct text *out, const void *config)
{
    (void)config;
    if (!is_list(json))
        return false;
    for (const struct tree *repo = json->first; repo; repo = repo->next) {
        const char *name = tree_string(tree_get_fold(repo, "name"));

        if (!one_line(name))
            return false;
        text_printf(out, "%s\n", name);
    }
    return true;
}

static bool is_open(const char *status)
{
    return string_equal(status, "queued") || string_equal(status, "in_progress");
}

/* A line for each run that is not over: its number and the name of its repository. */
static bool digest_runs(const struct tree *json, struct text *out, const void *config)
{
    const struct tree *runs = tree_get_fold(json, "workflow_runs");

    (void)config;
    if (!is_list(runs))
        return false;
    for (const struct tree *run = runs->first; run; run = run->next) {
        const char *name = tree_string(tree_get_fold(tree_get_fold(run, "repository"), "name"));
        const char *status = tree_string(tree_get_fold(run, "status"));
        int64_t id;

        if (status && !is_open(status))
            continue;
        if (!status || !tree_integer(tree_get_fold(run, "id"), &id) || !one_line(name))
            return false;
        text_printf(out, "%lld %s\n", (long long)id, name);
    }
    return true;
}

static bool has_label(const struct runner *c, const char *label)
{
    static const char *const usual[] = {"self-hosted", "linux", "x64"};

    for (size_t i = 0; !c->no_default_labels && i < sizeof(usual) / sizeof(usual[0]); i++)
        if (strcasecmp(usual[i], label) == 0)
            return true;
    for (size_t i = 0; c->labels && i < c->labels->count; i++)
        if (strcasecmp(c->labels->items[i], label) == 0)
            return true;
    return false;
}

static bool fits(const struct runner *c, const struct tree *labels)
{
    if (tree_count(labels) == 0 && c->match_unlabeled)
        return !c->labels || c->labels->count == 0;
    for (const struct tree *label = labels ? labels->first : NULL; label; label = label->next)
        if (!tree_string(label) || !has_label(c, tree_string(label)))
            return false;
    return true;
}

/* How many jobs are for us. */
static bool digest_jobs(const struct tree *json, struct text *out, const void *config)
{
    const struct tree *jobs = tree_get_fold(json, "jobs");
    int count = 0;

    if (!is_list(jobs))
        return false;
    for (const struct tree *job = jobs->first; job; job = job->next) {
        const char *status = tree_string(tree_get_fold(job, "status"));
        const struct tree *labels = tree_get_fold(job, "labels");

        if (!status || (labels && labels->type != TREE_NULL && labels->type != TREE_LIST))
            return false;
        count += is_open(status) && fits(config, labels);
    }
    return text_printf(out, "%d", count);
}

/* Room for one more in an array of the poll. */
static void *more(struct poll *poll, void *items, size_t count, size_t *capacity, size_t size)
{
    void *grown;

    if (count < *capacity)
        return items;
    *capacity = *capacity ? 2 * *capacity : 32;
    grown = arena_array(poll_arena(poll), *capacity, size);
    if (count > 0)
        memcpy(grown, items, count * size);
    return grown;
}

/* ------------------------------------------------------------------ jobs */

static void on_jobs(const void *config, struct poll *poll, const struct reply *reply)
{
    struct runner_scratch *scratch = poll_scratch(poll);
    const char *digest = github_digest(config, poll, reply, digest_jobs);

    if (digest)
        scratch->jobs += (double)strtol(digest, NULL, 10);
}

static enum poll_next finish(const void *config, struct poll *poll, const struct reply *none)
{
    const struct runner *c = config;
    const struct runner_scratch *scratch = poll_scratch(poll);

    (void)none;
    if (scratch->without == 2 * scratch->repo_count)
        return poll_fail(poll, ERROR_MISSING,
                         "GitHub answered 404 for the runs of all %zu repositories of %s: this token may not see them, "
                         "or they have no Actions",
                         scratch->repo_count, c->owner);
    return github_count(poll, scratch->jobs);
}

static enum poll_next ask_jobs(const void *config, struct poll *poll, const struct reply *none)
{
    const struct runner *c = config;
    const struct runner_scratch *scratch = poll_scratch(poll);
    struct arena *arena = poll_arena(poll);
    const char **asked = arena_array(arena, scratch->run_count + 1, sizeof(char *));

    if (scratch->run_count == 0)
        return finish(c, poll, none);
    if (2 * scratch->repo_count + scratch->run_count > POLL_FANOUT_MAX)
        return poll_fail(poll, ERROR_LIMIT,
                         "%zu runs of %s wait or are under way, more than one poll may ask for their jobs "
                         "(POLL_FANOUT_MAX); name fewer repos",
                         scratch->run_count, c->owner);
    for (size_t i = 0; i < scratch->run_count; i++)
        asked[i] = arena_printf(arena, "/repos/%s/%s/actions/runs/%s/jobs?per_page=100", path_part(arena, c->owner),
                                path_part(arena, scratch->runs[i].repo), scratch->runs[i].id);
    return github_get_all(c, poll, asked, scratch->run_count, on_jobs, finish);
}

/* ------------------------------------------------------------------ runs */

/* Of the repositories that an owner has, one without Actions has no jobs; one that the manifest names has to be there. */
static void no_runs(const struct runner *c, struct poll *poll, const struct reply *reply)
{
    struct runner_scratch *scratch = poll_scratch(poll);
    const char *repo = scratch->repos[(scratch->walk.asked_from + reply->index) / 2];

    github_pass(poll, reply);
    if (scratch->named)
        poll_fail(poll, ERROR_MISSING,
                  "GitHub answered 404 for the runs of %.100s/%.100s: it does not exist, has no Actions, or this token "
                  "may not see it",
                  c->owner, repo);
    scratch->without++;
}

static void on_runs(const void *config, struct poll *poll, const struct reply *reply)
{
    struct runner_scratch *scratch = poll_scratch(poll);
    const char *digest;
    char *save = NULL;

    if (reply->failed && reply->status == 404) {
        no_runs(config, poll, reply);
        return;
    }
    digest = github_digest(config, poll, reply, digest_runs);
    for (char *line = digest ? strtok_r(arena_copy(poll_arena(poll), digest), "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        char *name = strchr(line, ' ');

        *name = '\0';
        scratch->runs = more(poll, scratch->runs, scratch->run_count, &scratch->run_capacity, sizeof(struct run));
        scratch->runs[scratch->run_count++] = (struct run){.id = line, .repo = name + 1};
    }
}

static enum poll_next ask_runs(const struct runner *c, struct poll *poll)
{
    static const char *const states[] = {"queued", "in_progress"};
    const struct runner_scratch *scratch = poll_scratch(poll);
    struct arena *arena = poll_arena(poll);
    const char **asked = arena_array(arena, 2 * scratch->repo_count + 1, sizeof(char *));

    if (scratch->repo_count == 0)
        return poll_missing(poll, SWITCH_UNSET, "%s has no repository that this token may see", c->owner);
    if (2 * scratch->repo_count > POLL_FANOUT_MAX)
        return poll_fail(poll, ERROR_LIMIT,
                         "%s has %zu repositories, more than one poll may ask (POLL_FANOUT_MAX); name "
                         "those that matter with repos",
                         c->owner, scratch->repo_count);
    for (size_t i = 0; i < 2 * scratch->repo_count; i++)
        asked[i] = arena_printf(arena, "/repos/%s/%s/actions/runs?status=%s&per_page=100", path_part(arena, c->owner),
                                path_part(arena, scratch->repos[i / 2]), states[i % 2]);
    return github_get_all(c, poll, asked, 2 * scratch->repo_count, on_runs, ask_jobs);
}

/* ------------------------------------------------------------------ repositories */

static void add_repo(struct poll *poll, const char *name)
{
    struct runner_scratch *scratch = poll_scratch(poll);

    scratch->repos = more(poll, scratch->repos, scratch->repo_count, &scratch->repo_capacity, sizeof(char *));
    scratch->repos[scratch->repo_count++] = name;
}

static enum poll_next ask_page(const void *config, struct poll *poll, const struct reply *none);

static void on_page(const void *config, struct poll *poll, const struct reply *reply)
{
    struct runner_scratch *scratch = poll_scratch(poll);
    const char *digest = github_digest(config, poll, reply, digest_repos);
    size_t lines = 0;
    char *save = NULL;

    for (char *line = digest ? strtok_r(arena_copy(poll_arena(poll), digest), "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save), lines++)
        if (strcmp(line, ".") != 0)
            add_repo(poll, line);
    scratch->page = lines < REPOS_OF_PAGE ? 0 : scratch->page + 1;
}

static enum poll_next after_page(const void *config, struct poll *poll, const struct reply *none)
{
    const struct runner_scratch *scratch = poll_scratch(poll);

    return scratch->page == 0 ? ask_runs(config, poll) : ask_page(config, poll, none);
}

static enum poll_next ask_page(const void *config, struct poll *poll, const struct reply *none)
{
    const struct runner *c = config;
    const struct runner_scratch *scratch = poll_scratch(poll);
    struct arena *arena = poll_arena(poll);
    const char **asked = arena_array(arena, 1, sizeof(char *));

    (void)none;
    asked[0] = arena_printf(arena, "/%s/%s/repos?page=%d", c->scope == 2 ? "users" : "orgs", path_part(arena, c->owner),
                            scratch->page);
    return github_get_all(c, poll, asked, 1, on_page, after_page);
}

static enum poll_next ask_repos(const void *config, struct poll *poll, const struct reply *none)
{
    const struct runner *c = config;
    struct runner_scratch *scratch = poll_scratch(poll);

    (void)none;
    for (size_t i = 0; c->repos && i < c->repos->count; i++)
        if (c->repos->items[i][0])
            add_repo(poll, c->repos->items[i]);
    scratch->named = scratch->repo_count > 0;
    scratch->page = 1;
    return scratch->named ? ask_runs(c, poll) : ask_page(c, poll, NULL);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    (void)none;
    return github_begin(config, poll, &((const struct runner *)config)->account, ask_repos);
}

TRIGGER(github_runner) = {
    .type = "github-runner",
    .summary = "jobs of GitHub Actions that wait for a self-hosted runner with certain labels, or run on one",
    .about =
        "The value is the number of queued and running jobs whose labels the runner all has. Without `repos` every "
        "repository of "
        "the owner is looked at, which costs three and more requests each: name them, and use `enableEtags`. While "
        "GitHub's rate limit is used up every poll fails, and tells the last count with its age. A repository that is "
        "named and not there, or out of the token's sight, is a failure, and so is such an owner; of those that GitHub "
        "lists one without Actions has no jobs. An owner without repositories is missing. The object is active from "
        "the target on.",
    .example = "triggers:\n"
               "  - type: github-runner\n"
               "    metadata:\n"
               "      owner: example\n"
               "      repos: app,site\n"
               "      runnerScope: org\n"
               "      labels: large\n"
               "      enableEtags: \"true\"\n"
               "    authenticationRef:\n"
               "      name: github\n"
               "---\n"
               "kind: TriggerAuthentication\n"
               "metadata:\n"
               "  name: github\n"
               "spec:\n"
               "  secretTargetRef:\n"
               "    - parameter: personalAccessToken\n"
               "      name: github\n"
               "      key: token\n",
    .locally = "# a token that may read Actions of one repository will do; start a workflow with runs-on: "
               "[self-hosted, large]\n"
               "weir probe scaledobject.yaml\n",
    .params = params,
    .config_size = sizeof(struct runner),
    .memory_size = sizeof(struct github_memory),
    .scratch_size = sizeof(struct runner_scratch),
    .account_size = sizeof(struct github_account),
    .prepare = prepare,
    .metric_name = metric_name,
    .target = target,
    .forget = github_forget,
    .forget_account = github_forget_account,
    .poll = ask,
};
