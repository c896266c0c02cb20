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
#include "trigger/driver.h"
#include "trigger/github.h"
#include "trigger/path.h"

enum { REPOS_OF_PAGE = 30 /* GitHub's, where per_page is not said: a shorter page is the last one */ };

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
    int page;
    double jobs;
};

#define PARAM_STRUCT struct runner
static const struct param params[] = {
    {"githubApiURL", PARAM_URL(account.url), .from = "ME", .fallback = "https://api.github.com",
     .help = "of GitHub Enterprise: https://HOST/api/v3"},
    {"owner", PARAM_TEXT(owner), .from = "ME", .required = true, .help = "organisation or user"},
    {"runnerScope", PARAM_CHOICE(scope, "org,ent,repo"), .from = "ME", .required = true,
     .help = "of the runner: org, ent or repo"},
    {"personalAccessToken", PARAM_SECRET(account.token), .from = "A", .help = "or appKey"},
    {"repos", PARAM_LIST(repos), .from = "ME", .help = "all of the owner unless given: fewer requests"},
    {"labels", PARAM_LIST(labels), .from = "ME", .help = "of the runner, besides self-hosted, linux, x64"},
    {"noDefaultLabels", PARAM_BOOL(no_default_labels), .from = "ME", .fallback = "false",
     .help = "the runner has not these three"},
    {"enableEtags", PARAM_BOOL(account.etags), .from = "ME", .fallback = "false",
     .help = "ask only for what has changed: unchanged answers do not count against the rate limit"},
    {"matchUnlabeledJobsWithUnlabeledRunners", PARAM_BOOL(match_unlabeled), .from = "ME", .fallback = "false",
     .help = "a job without labels counts only where labels is empty"},
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
    return github_check(&((const struct runner *)config)->account, check);
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

static bool one_line(const char *word)
{
    return word && *word && !strpbrk(word, "\r\n ");
}

/* A line for each repository: its name. */
static bool digest_repos(const struct tree *json, struct text *out, const void *config)
{
    (void)config;
    if (json->type != TREE_LIST)
        return false;
    for (const struct tree *repo = json->first; repo; repo = repo->next) {
        const char *name = tree_string(tree_get_fold(repo, "name"));

        text_printf(out, "%s\n", one_line(name) ? name : ".");
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
    if (json->type != TREE_MAP || (runs && runs->type != TREE_LIST && runs->type != TREE_NULL))
        return false;
    for (const struct tree *run = runs ? runs->first : NULL; run; run = run->next) {
        const char *name = tree_string(tree_get_fold(tree_get_fold(run, "repository"), "name"));
        int64_t id;

        if (!is_open(tree_string(tree_get_fold(run, "status"))))
            continue;
        if (!tree_integer(tree_get_fold(run, "id"), &id) || !one_line(name))
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

    if (json->type != TREE_MAP || (jobs && jobs->type != TREE_LIST && jobs->type != TREE_NULL))
        return false;
    for (const struct tree *job = jobs ? jobs->first : NULL; job; job = job->next)
        count += is_open(tree_string(tree_get_fold(job, "status"))) && fits(config, tree_get_fold(job, "labels"));
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
    (void)config;
    (void)none;
    return github_count(poll, ((struct runner_scratch *)poll_scratch(poll))->jobs);
}

static enum poll_next ask_jobs(const void *config, struct poll *poll, const struct reply *none)
{
    const struct runner *c = config;
    const struct runner_scratch *scratch = poll_scratch(poll);
    struct arena *arena = poll_arena(poll);
    const char **asked = arena_array(arena, scratch->run_count + 1, sizeof(char *));

    if (scratch->run_count == 0)
        return finish(config, poll, none);
    for (size_t i = 0; i < scratch->run_count; i++)
        asked[i] = arena_printf(arena, "/repos/%s/%s/actions/runs/%s/jobs?per_page=100", path_part(arena, c->owner),
                                path_part(arena, scratch->runs[i].repo), scratch->runs[i].id);
    return github_get_all(c, poll, asked, scratch->run_count, on_jobs, finish);
}

/* ------------------------------------------------------------------ runs */

static void on_runs(const void *config, struct poll *poll, const struct reply *reply)
{
    struct runner_scratch *scratch = poll_scratch(poll);
    const char *digest;
    char *save = NULL;

    if (reply->failed && reply->status == 404) {
        github_pass(poll, reply);
        return; /* a repository without Actions, or out of our sight */
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
        return finish(c, poll, NULL);
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

    (void)none;
    ((struct runner_scratch *)poll_scratch(poll))->page = 1;
    if (!c->repos || c->repos->count == 0)
        return ask_page(c, poll, NULL);
    for (size_t i = 0; i < c->repos->count; i++)
        if (c->repos->items[i][0])
            add_repo(poll, c->repos->items[i]);
    return ask_runs(c, poll);
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
        "GitHub's rate limit is used up, the last count stands. The object is active from the target on. A "
        "repository that answers 404 is passed over; an owner that does is a failure.",
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
    .prepare = prepare,
    .metric_name = metric_name,
    .target = target,
    .forget = github_forget,
    .poll = ask,
};
