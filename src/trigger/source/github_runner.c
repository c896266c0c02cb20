/*
 * github-runner: how many queued or running jobs of GitHub Actions a runner with certain labels could take. Facts:
 * triggers/github-runner.md.
 *
 *     ask -> [app: token] -> repos given? ----------------------------v
 *                            no -> page 1, 2 ... until one is short -> runs of each repository, queued and in progress
 *                                                                   -> jobs of each run -> those that fit are counted
 *
 * An answer is kept as a digest, one line for each thing that matters; with enableEtags digests outlive the poll, and an
 * answer "not modified" costs nothing of the rate limit. While GitHub's limit is used up nothing is asked: the last count
 * stands, with a note. An object is active from the target on, not above it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "trigger/driver.h"
#include "trigger/jwt.h"
#include "trigger/path.h"

enum {
    REPOS_OF_PAGE = 30,         /* GitHub's, where per_page is not said: a shorter page is the last one */
    CACHE_MAX = 5000,           /* digests kept from poll to poll, as many as KEDA keeps */
    JWT_BACK_S = 30,            /* their clock may be behind ours */
    JWT_FOR_S = 120,            /* it is used at once */
    TOKEN_EARLY_MS = 60 * 1000, /* a token is renewed so long before its end */
    AT_A_TIME = 8,              /* GitHub asks not to be asked many things at once */
};

struct runner {
    struct trigger_config common;
    const char *url, *owner;
    const struct param_list *repos, *labels;
    const struct secret *token, *key;
    int64_t app, installation;
    int scope;
    bool no_default_labels, etags, match_unlabeled;
};

struct digest { /* kept with its ETag */
    char *etag, *text;
    int64_t seen_ms; /* by the poll of that time */
};
struct runner_memory {
    struct map *digests; /* by path and query */
    struct secret *jwt, *token;
    int64_t token_until_ms;
    int64_t limited_until_ms; /* nothing is asked before */
    double count;
    bool has_count;
};

struct run {
    const char *repo, *id;
};
struct runner_scratch {
    const char **repos;
    struct run *runs;
    size_t repo_count, repo_capacity, run_count, run_capacity;
    const char **asked; /* path and query of each request of this step, which goes out in portions */
    size_t asked_count, asked_from, asked_to;
    poll_each *each;
    poll_step *then;
    int page;
    double jobs;
};

#define PARAM_STRUCT struct runner
static const struct param params[] = {
    {"githubApiURL", PARAM_URL(url), .from = "ME", .fallback = "https://api.github.com",
     .help = "of GitHub Enterprise: https://HOST/api/v3"},
    {"owner", PARAM_TEXT(owner), .from = "ME", .required = true, .help = "organisation or user"},
    {"runnerScope", PARAM_CHOICE(scope, "org,ent,repo"), .from = "ME", .required = true,
     .help = "of the runner: org, ent or repo"},
    {"personalAccessToken", PARAM_SECRET(token), .from = "A", .help = "or appKey"},
    {"repos", PARAM_LIST(repos), .from = "ME", .help = "all of the owner unless given: fewer requests"},
    {"labels", PARAM_LIST(labels), .from = "ME", .help = "of the runner, besides self-hosted, linux, x64"},
    {"noDefaultLabels", PARAM_BOOL(no_default_labels), .from = "ME", .fallback = "false",
     .help = "the runner has not these three"},
    {"enableEtags", PARAM_BOOL(etags), .from = "ME", .fallback = "false",
     .help = "ask only for what has changed: unchanged answers do not count against the rate limit"},
    {"matchUnlabeledJobsWithUnlabeledRunners", PARAM_BOOL(match_unlabeled), .from = "ME", .fallback = "false",
     .help = "a job without labels counts only where labels is empty"},
    {"targetWorkflowQueueLength", PARAM_WHOLE(common.target), .from = "ME", .role = ROLE_TARGET, .fallback = "1",
     .help = "jobs for one replica; the object is active from so many on"},
    {"applicationID", PARAM_INTEGER(app), .from = "ME", .help = "of a GitHub App, with the next two"},
    {"installationID", PARAM_INTEGER(installation), .from = "ME", .help = "of that App for this owner"},
    {"appKey", PARAM_SECRET(key), .from = "A", .help = "its private key, PEM"},
    {0},
};
#undef PARAM_STRUCT

static bool is_app(const struct runner *c)
{
    return c->app != 0 || c->installation != 0 || c->key;
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct runner *c = config;
    const char *missing = NULL;

    if (!is_app(c))
        return c->token || check_unknown(check, "personalAccessToken") ||
               check_error(check, "personalAccessToken", "put one of them into the TriggerAuthentication",
                           "there is neither a personalAccessToken nor an appKey");
    if (c->app == 0 && !check_unknown(check, "applicationID"))
        missing = "applicationID";
    else if (c->installation == 0 && !check_unknown(check, "installationID"))
        missing = "installationID";
    else if (!c->key && !check_unknown(check, "appKey"))
        missing = "appKey";
    if (missing)
        return check_error(check, missing, "give all three",
                           "applicationID, installationID and appKey go together: %s "
                           "is not there",
                           missing);
    if (c->key && !jwt_key_is_good(c->key))
        check_warning(check, "appKey", "put the file there that GitHub gave, PEM text with its lines",
                      "appKey is no RSA key in PEM form: every poll fails");
    return true;
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

/* ------------------------------------------------------------------ digests kept from poll to poll */

static void digest_free(struct digest *digest)
{
    free(digest->etag);
    free(digest->text);
    free(digest);
}

static void digest_keep(struct runner_memory *memory, const char *asked, const char *etag, const char *text,
                        int64_t now_ms)
{
    struct digest *digest;

    if (!memory->digests)
        memory->digests = map_new();
    digest = map_remove(memory->digests, asked);
    if (digest)
        digest_free(digest);
    if (!etag || map_count(memory->digests) >= CACHE_MAX)
        return;
    digest = mem_alloc(sizeof(*digest));
    *digest = (struct digest){mem_copy(etag), mem_copy(text), now_ms};
    map_put(memory->digests, asked, digest);
}

/* What this poll had no use for is of repositories and runs that are gone. */
static void digests_prune(struct runner_memory *memory, int64_t now_ms)
{
    const char *key;
    void *value;

    for (size_t i = 0; memory->digests && map_next(memory->digests, &i, &key, &value);) {
        struct digest *digest = value;

        if (digest->seen_ms != now_ms) {
            map_remove(memory->digests, key);
            digest_free(digest);
        }
    }
}

static void forget(void *of)
{
    struct runner_memory *memory = of;

    digests_prune(memory, -1);
    map_free(memory->digests);
    secret_unref(memory->jwt);
    secret_unref(memory->token);
}

/* ------------------------------------------------------------------ the rate limit */

static void note_limit(struct runner_memory *memory, const struct reply *reply, int64_t now_ms)
{
    const char *remaining = reply_header(reply, "x-ratelimit-remaining"),
               *reset = reply_header(reply, "x-ratelimit-reset");
    const char *after = reply_header(reply, "retry-after");

    if (!remaining)
        return;
    memory->limited_until_ms = strtoll(remaining, NULL, 10) == 0 && reset ? strtoll(reset, NULL, 10) * 1000 : 0;
    if (after && now_ms + strtoll(after, NULL, 10) * 1000 > memory->limited_until_ms)
        memory->limited_until_ms = now_ms + strtoll(after, NULL, 10) * 1000;
}

/* Ends the poll while GitHub has had enough of us: with the last count, where there is one. */
static enum poll_next stand_by(struct poll *poll)
{
    const struct runner_memory *memory = poll_memory(poll);
    long long left_s = (memory->limited_until_ms - poll_now_ms(poll) + 999) / 1000;

    if (!memory->has_count)
        return poll_fail(poll, ERROR_UNREACHABLE,
                         "GitHub's rate limit is used up for %lld s more; name the repos, or "
                         "use enableEtags",
                         left_s);
    poll_note(poll, "GitHub's rate limit is used up for %lld s more: this is the last count", left_s);
    return poll_value(poll, memory->count);
}

static bool is_limited(const struct runner_memory *memory, int64_t now_ms)
{
    return memory->limited_until_ms > now_ms;
}

static enum poll_next refused(struct poll *poll, const struct reply *reply)
{
    struct runner_memory *memory = poll_memory(poll);

    if (is_limited(memory, poll_now_ms(poll)))
        return stand_by(poll);
    if (reply->status == 401)
        memory->token_until_ms = 0; /* of an App: a new one is asked for next time */
    return poll_fail_with(poll, &reply->error);
}

/* ------------------------------------------------------------------ one answer */

typedef bool write_digest(const struct tree *json, struct text *out, const struct runner *c);

static bool one_line(const char *word)
{
    return word && *word && !strpbrk(word, "\r\n ");
}

/* A line for each repository: its name. */
static bool digest_repos(const struct tree *json, struct text *out, const struct runner *c)
{
    (void)c;
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
static bool digest_runs(const struct tree *json, struct text *out, const struct runner *c)
{
    const struct tree *runs = tree_get_fold(json, "workflow_runs");

    (void)c;
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
static bool digest_jobs(const struct tree *json, struct text *out, const struct runner *c)
{
    const struct tree *jobs = tree_get_fold(json, "jobs");
    int count = 0;

    if (json->type != TREE_MAP || (jobs && jobs->type != TREE_LIST && jobs->type != TREE_NULL))
        return false;
    for (const struct tree *job = jobs ? jobs->first : NULL; job; job = job->next)
        count += is_open(tree_string(tree_get_fold(job, "status"))) && fits(c, tree_get_fold(job, "labels"));
    return text_printf(out, "%d", count);
}

static const char *made(const struct runner *c, struct poll *poll, const struct reply *reply, write_digest *write)
{
    struct tree *json;
    struct text out;
    struct error err;
    const char *digest = NULL;

    if (!tree_read_json(reply->body, reply->length, false, poll_arena(poll), &json, &err))
        return NULL;
    text_init(&out, HTTP_BODY_MAX_BYTES);
    if (write(json, &out, c) && !out.overflowed)
        digest = arena_copy(poll_arena(poll), out.bytes);
    text_done(&out);
    return digest;
}

/* The digest of an answer, new or as it was; NULL: the poll has ended. */
static const char *digest_of(const struct runner *c, struct poll *poll, const struct reply *reply, write_digest *write)
{
    struct runner_memory *memory = poll_memory(poll);
    const struct runner_scratch *scratch = poll_scratch(poll);
    const char *asked = scratch->asked[scratch->asked_from + reply->index], *text;
    struct digest *kept = memory->digests ? map_get(memory->digests, asked) : NULL;

    note_limit(memory, reply, poll_now_ms(poll));
    if (reply->failed) {
        refused(poll, reply);
        return NULL;
    }
    if (reply->status == 304 && kept) {
        kept->seen_ms = poll_now_ms(poll);
        return arena_copy(poll_arena(poll), kept->text);
    }
    text = reply->status == 200 ? made(c, poll, reply, write) : NULL;
    if (!text) {
        poll_fail(poll, ERROR_NONSENSE, "GitHub answered %d%s to %.150s", reply->status,
                  reply->status == 200 ? " with something unexpected" : "", asked);
        return NULL;
    }
    if (c->etags)
        digest_keep(memory, asked, reply_header(reply, "etag"), text, poll_now_ms(poll));
    return text;
}

/* ------------------------------------------------------------------ asking */

static struct request *get(const struct runner *c, struct poll *poll, const char *asked)
{
    const struct runner_memory *memory = poll_memory(poll);
    const struct digest *kept = c->etags && memory->digests ? map_get(memory->digests, asked) : NULL;
    struct request *r = request_get(poll, c->url, asked);

    request_header(r, "Accept", "application/vnd.github.v3+json");
    request_header(r, "X-GitHub-Api-Version", "2022-11-28");
    request_header_secret(r, "Authorization", is_app(c) ? "token " : "Bearer ", is_app(c) ? memory->token : c->token);
    request_header(r, "If-None-Match", kept ? kept->etag : NULL);
    request_raw(r);
    request_status(r, 200, 304);
    return r;
}

static enum poll_next get_some(const void *config, struct poll *poll, const struct reply *none)
{
    struct runner_scratch *scratch = poll_scratch(poll);
    struct request *requests[AT_A_TIME];
    size_t count = 0;

    if (scratch->asked_to == scratch->asked_count)
        return scratch->then(config, poll, none);
    scratch->asked_from = scratch->asked_to;
    while (count < AT_A_TIME && scratch->asked_to < scratch->asked_count)
        requests[count++] = get(config, poll, scratch->asked[scratch->asked_to++]);
    return poll_send_all(poll, requests, count, scratch->each, get_some);
}

static enum poll_next get_all(const struct runner *c, struct poll *poll, const char **asked, size_t count,
                              poll_each *each, poll_step *then)
{
    struct runner_scratch *scratch = poll_scratch(poll);

    scratch->asked = asked;
    scratch->asked_count = count;
    scratch->asked_from = scratch->asked_to = 0;
    scratch->each = each;
    scratch->then = then;
    return get_some(c, poll, NULL);
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
    const char *digest = digest_of(config, poll, reply, digest_jobs);

    if (digest)
        scratch->jobs += (double)strtol(digest, NULL, 10);
}

static enum poll_next finish(const void *config, struct poll *poll, const struct reply *none)
{
    const struct runner_scratch *scratch = poll_scratch(poll);
    struct runner_memory *memory = poll_memory(poll);

    (void)config;
    (void)none;
    digests_prune(memory, poll_now_ms(poll));
    memory->count = scratch->jobs;
    memory->has_count = true;
    return poll_value(poll, scratch->jobs);
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
    return get_all(c, poll, asked, scratch->run_count, on_jobs, finish);
}

/* ------------------------------------------------------------------ runs */

static void on_runs(const void *config, struct poll *poll, const struct reply *reply)
{
    struct runner_scratch *scratch = poll_scratch(poll);
    const char *digest;
    char *save = NULL;

    if (reply->failed && reply->status == 404) {
        note_limit(poll_memory(poll), reply, poll_now_ms(poll));
        return; /* a repository without Actions, or out of our sight */
    }
    digest = digest_of(config, poll, reply, digest_runs);
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
    return get_all(c, poll, asked, 2 * scratch->repo_count, on_runs, ask_jobs);
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
    const char *digest = digest_of(config, poll, reply, digest_repos);
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
    return get_all(c, poll, asked, 1, on_page, after_page);
}

static enum poll_next ask_repos(const struct runner *c, struct poll *poll)
{
    ((struct runner_scratch *)poll_scratch(poll))->page = 1;
    if (!c->repos || c->repos->count == 0)
        return ask_page(c, poll, NULL);
    for (size_t i = 0; i < c->repos->count; i++)
        if (c->repos->items[i][0])
            add_repo(poll, c->repos->items[i]);
    return ask_runs(c, poll);
}

/* ------------------------------------------------------------------ a token for an App */

static enum poll_next on_token(const void *config, struct poll *poll, const struct reply *reply)
{
    struct runner_memory *memory = poll_memory(poll);
    const struct tree *token = tree_get_fold(reply->json, "token");
    const char *until = tree_string(tree_get_fold(reply->json, "expires_at"));

    if (!tree_string(token) || !until || !instant_parse(until, &memory->token_until_ms))
        return poll_fail(poll, ERROR_NONSENSE, "GitHub answered without a token for the App, or without its end");
    secret_unref(memory->token);
    memory->token = secret_new(token->text, token->length);
    return ask_repos(config, poll);
}

static enum poll_next ask_token(const struct runner *c, struct poll *poll)
{
    struct runner_memory *memory = poll_memory(poll);
    struct arena *arena = poll_arena(poll);
    long long now_s = poll_now_ms(poll) / 1000;
    const char *claims = arena_printf(arena, "{\"iss\":\"%lld\",\"iat\":%lld,\"exp\":%lld}", (long long)c->app,
                                      now_s - JWT_BACK_S, now_s + JWT_FOR_S);
    const char *jwt;
    struct request *r;
    struct error err;

    if (!jwt_sign_rs256(arena, c->key, claims, &jwt, &err))
        return poll_fail(poll, err.kind, "appKey: %s", err.text);
    secret_unref(memory->jwt);
    memory->jwt = secret_new(jwt, strlen(jwt));
    r = request_post(poll, c->url,
                     arena_printf(arena, "/app/installations/%lld/access_tokens", (long long)c->installation));
    request_header(r, "Accept", "application/vnd.github.v3+json");
    request_header_secret(r, "Authorization", "Bearer ", memory->jwt);
    return poll_send(poll, r, on_token);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct runner *c = config;
    const struct runner_memory *memory = poll_memory(poll);

    (void)none;
    if (is_limited(memory, poll_now_ms(poll)))
        return stand_by(poll);
    if (is_app(c) && memory->token_until_ms - TOKEN_EARLY_MS <= poll_now_ms(poll))
        return ask_token(c, poll);
    return ask_repos(c, poll);
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
    .memory_size = sizeof(struct runner_memory),
    .scratch_size = sizeof(struct runner_scratch),
    .prepare = prepare,
    .metric_name = metric_name,
    .target = target,
    .forget = forget,
    .poll = ask,
};
