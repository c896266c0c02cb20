/*
 * exec: credential plugins. A program is run that writes an ExecCredential to its standard output: a token, or a client certificate
 * with its key, and until when it is good.
 *
 *     kube_exec_get --none, or run out--> run on a worker thread --> read here --> ready(arg)
 *
 * The program gets our environment, what the config adds, and KUBERNETES_EXEC_INFO, which says in which version it must answer (and,
 * when the config wants that, where the cluster is). It has no standard input: what must ask a person cannot be used by a service.
 * Output and time are bounded; one that takes longer is killed. What it wrote to standard error is shown when it fails, in quotes, its
 * first line, for that is where plugins say what is wrong: some of it, nothing that a terminal would obey, and nothing that it was given
 * as a secret or that looks like one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hide.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/time.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/client_internal.h"

extern char **environ;

enum {
    COMPLAINT_BYTES = 2048, /* looked at for secrets, which must not be cut before; more is thrown away as it comes */
    COMPLAINT_SHOWN_BYTES = 160,
    CREDENTIAL_MIN_BYTES =
        16,              /* of letters of both cases and digits without a blank: words and names are not made so */
    EARLY_MS = 10 * 1000 /* a request must still be good when it arrives */
};

/* ---- one run, on a worker thread ---- */
struct run {
    struct kube_exec *exec; /* for the loop's thread; nobody writes these two after the start */
    struct arena *arena;    /* of the texts below */
    char *command, **arguments, **variables;
    struct text output;
    char complaint[COMPLAINT_BYTES];
    int status;      /* as waitpid gives it */
    int spawn_error; /* errno; 0: it ran */
    bool too_slow, too_much;
};

struct kube_exec {
    struct arena *arena;
    const char *place, *api_version, *command, *hint, *info, *proxy_url;
    char **arguments, **variables;
    struct loop *loop;
    struct transport *transport;
    void (*ready)(void *arg);
    void *arg;
    struct job *job;
    /* what it gave */
    bool has_given, has_failed;
    struct secret *token, *certificate, *key;
    int64_t good_until_ms; /* wall clock; INT64_MAX: for good */
    int64_t ran_ms;        /* ticks, when it ended last */
    uint64_t generation;
    struct error error;
};

static int64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool take_output(struct run *run, int fd)
{
    char buffer[4096];
    ssize_t got = read(fd, buffer, sizeof buffer);

    if (got > 0 && !text_append(&run->output, buffer, (size_t)got))
        run->too_much = true;
    explicit_bzero(buffer, sizeof buffer);
    return (got > 0 && !run->too_much) || (got < 0 && errno == EINTR);
}

static bool take_complaint(struct run *run, int fd)
{
    char buffer[512];
    ssize_t got = read(fd, buffer, sizeof buffer);
    size_t has = strlen(run->complaint), room = sizeof run->complaint - 1 - has;

    if (got > 0)
        memcpy(run->complaint + has, buffer, (size_t)got < room ? (size_t)got : room);
    return got > 0 || (got < 0 && errno == EINTR);
}

/* Until both its outputs are closed. */
static void listen_to(struct run *run, int output, int complaints)
{
    int64_t end_ms = monotonic_ms() + KUBE_EXEC_TIMEOUT_MS;
    struct pollfd fds[2] = {{.fd = output, .events = POLLIN}, {.fd = complaints, .events = POLLIN}};

    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        int64_t left_ms = end_ms - monotonic_ms();

        if (left_ms <= 0) {
            run->too_slow = true;
            return;
        }
        if (poll(fds, 2, (int)left_ms) < 0 && errno != EINTR)
            return;
        if (fds[0].fd >= 0 && fds[0].revents && !take_output(run, output))
            fds[0].fd = -1;
        if (fds[1].fd >= 0 && fds[1].revents && !take_complaint(run, complaints))
            fds[1].fd = -1;
        if (run->too_much)
            return;
    }
}

/* Its outputs may be closed long before it ends. */
static void wait_for_end(struct run *run, pid_t pid)
{
    enum { STEP_MS = 10, ENDING_MS = 5000 };
    bool kill_now = run->too_slow || run->too_much;

    for (int waited_ms = 0; !kill_now; waited_ms += STEP_MS) {
        pid_t ended = waitpid(pid, &run->status, WNOHANG);

        if (ended == pid || (ended < 0 && errno != EINTR))
            return;
        poll(NULL, 0, STEP_MS);
        kill_now = run->too_slow = waited_ms >= ENDING_MS;
    }
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
    while (waitpid(pid, &run->status, 0) < 0 && errno == EINTR)
        ;
}

static int spawn(struct run *run, pid_t *pid, int output, int complaints)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int failure;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, complaints, STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0); /* so that what it starts can be killed with it */
    failure = posix_spawnp(pid, run->command, &actions, &attributes, run->arguments, run->variables);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

static void run_it(void *arg)
{
    struct run *run = arg;
    int output[2], complaints[2];
    pid_t pid;

    if (pipe2(output, O_CLOEXEC) != 0) {
        run->spawn_error = errno;
        return;
    }
    if (pipe2(complaints, O_CLOEXEC) != 0) {
        run->spawn_error = errno;
        close(output[0]), close(output[1]);
        return;
    }
    run->spawn_error = spawn(run, &pid, output[1], complaints[1]);
    close(output[1]), close(complaints[1]);
    if (run->spawn_error == 0) {
        listen_to(run, output[0], complaints[0]);
        wait_for_end(run, pid);
    }
    close(output[0]), close(complaints[0]);
}

static void free_run(void *arg)
{
    struct run *run = arg;

    explicit_bzero(run->output.bytes, run->output.length);
    text_done(&run->output);
    arena_free(run->arena);
    free(run);
}

static char **copy_list(struct arena *arena, char *const *list)
{
    size_t count = 0;
    char **copy;

    while (list[count])
        count++;
    copy = arena_array(arena, count + 1, sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = arena_copy(arena, list[i]);
    return copy;
}

/* A run has copies of everything: it may go on when the config is gone. */
static struct run *new_run(struct kube_exec *exec)
{
    struct run *run = mem_alloc(sizeof *run);

    run->exec = exec;
    run->arena = arena_new(ARENA_USUAL);
    run->command = arena_copy(run->arena, exec->command);
    run->arguments = copy_list(run->arena, exec->arguments);
    run->variables = copy_list(run->arena, exec->variables);
    text_init(&run->output, KUBE_EXEC_OUTPUT_MAX_BYTES);
    return run;
}

/* ---- what it said ---- */
static void forget(struct kube_exec *exec)
{
    secret_unref(exec->token);
    secret_unref(exec->certificate);
    secret_unref(exec->key);
    exec->token = exec->certificate = exec->key = NULL;
    exec->has_given = false;
}

static struct secret *secret_of(const struct tree *status, const char *key)
{
    const struct tree *node = tree_get(status, key);

    return tree_string(node) && node->length > 0 ? secret_new(node->text, node->length) : NULL;
}

static bool fail(struct kube_exec *exec, const char *what)
{
    return error_set(&exec->error, ERROR_DENIED, "%s: the credential plugin \"%s\" %s%s%s", exec->place, exec->command,
                     what, exec->hint ? "; " : "", exec->hint ? exec->hint : "");
}

#define DIGITS "0123456789"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool looks_like_credential(const char *word, size_t length)
{
    return length >= CREDENTIAL_MIN_BYTES && strcspn(word, DIGITS) < length && strcspn(word, LOWER) < length &&
           strcspn(word, UPPER) < length;
}

/* In place: tokens and keys that nobody told us of. */
static void hide_credentials(char *text)
{
    char *to = text;

    for (const char *from = text; *from;) {
        size_t word = strspn(from, DIGITS LOWER UPPER "+/_=-"), length = word > 0 ? word : 1;
        bool hidden = looks_like_credential(from, word);

        memmove(to, hidden ? "***" : from, hidden ? 3 : length);
        to += hidden ? 3 : length;
        from += length;
    }
    *to = 0;
}

/* "--password=x", "--password", "x". */
static void hide_arguments(char *text, char *const *arguments)
{
    struct text pair;

    text_init(&pair, KUBE_CERTIFICATE_MAX_BYTES);
    for (size_t i = 1; arguments[i]; i++) {
        hide_pair_secrets(text, arguments[i]);
        hide_address_secrets(text, arguments[i]);
        if (!arguments[i + 1])
            continue;
        text_clear(&pair);
        text_printf(&pair, "%s=%s", arguments[i], arguments[i + 1]);
        hide_pair_secrets(text, pair.bytes);
    }
    explicit_bzero(pair.bytes, pair.length);
    text_done(&pair);
}

/* What it was given as a secret. */
static void hide_given(char *text, const struct kube_exec *exec)
{
    for (size_t i = 0; exec->variables[i]; i++) {
        hide_pair_secrets(text, exec->variables[i]);
        hide_address_secrets(text, exec->variables[i]);
    }
    hide_arguments(text, exec->arguments);
    if (exec->proxy_url)
        hide_address_secrets(text, exec->proxy_url);
}

/* The first line that says something, made fit to be shown; "" where there is none. */
static void quote_complaint(const struct kube_exec *exec, const struct run *run, char *out, size_t size)
{
    const char *line = run->complaint + strspn(run->complaint, "\r\n\t ");
    struct text text;

    text_init(&text, COMPLAINT_BYTES);
    text_append(&text, line, strcspn(line, "\r\n"));
    text_tame(&text, false);
    hide_given(text.bytes, exec);
    hide_credentials(text.bytes);
    size_t length = strlen(text.bytes), shown = length;
    if (length > COMPLAINT_SHOWN_BYTES)
        shown = utf8_valid_prefix(text.bytes, COMPLAINT_SHOWN_BYTES);
    snprintf(out, size, "%s%.*s%s%s", length ? " and wrote \"" : "", (int)shown, text.bytes,
             shown < length ? "..." : "", length ? "\"" : "");
    text_done(&text);
}

static bool ended_well(struct kube_exec *exec, const struct run *run)
{
    char what[COMPLAINT_SHOWN_BYTES + 120], words[COMPLAINT_SHOWN_BYTES + 40];

    if (run->spawn_error != 0)
        snprintf(what, sizeof what, "cannot be started: %s", strerror(run->spawn_error));
    else if (run->too_slow)
        snprintf(what, sizeof what, "took longer than %d s (KUBE_EXEC_TIMEOUT_MS) and was killed",
                 KUBE_EXEC_TIMEOUT_MS / 1000);
    else if (run->too_much)
        snprintf(what, sizeof what, "wrote more than %d bytes (KUBE_EXEC_OUTPUT_MAX_BYTES)",
                 KUBE_EXEC_OUTPUT_MAX_BYTES);
    else if (WIFSIGNALED(run->status))
        snprintf(what, sizeof what, "was killed by signal %d", WTERMSIG(run->status));
    else if (WEXITSTATUS(run->status) != 0) {
        quote_complaint(exec, run, words, sizeof words);
        snprintf(what, sizeof what, "exited with status %d%s", WEXITSTATUS(run->status), words);
    } else
        return true;
    return fail(exec, what);
}

static bool take_credential(struct kube_exec *exec, const struct tree *answer)
{
    const struct tree *status = tree_get(answer, "status");
    const char *version = tree_string(tree_get(answer, "apiVersion")),
               *until = tree_string(tree_get(status, "expirationTimestamp"));
    char what[COMPLAINT_SHOWN_BYTES];

    if (!string_equal(tree_string(tree_get(answer, "kind")), "ExecCredential") ||
        !string_equal(version, exec->api_version)) {
        snprintf(what, sizeof what, "wrote no ExecCredential of %s; its apiVersion is \"%.80s\"", exec->api_version,
                 version ? version : "");
        return fail(exec, what);
    }
    exec->good_until_ms = INT64_MAX;
    if (until && !instant_parse(until, &exec->good_until_ms))
        return fail(exec, "wrote an expirationTimestamp that is no time");
    exec->token = secret_of(status, "token");
    exec->certificate = secret_of(status, "clientCertificateData");
    exec->key = secret_of(status, "clientKeyData");
    if (!exec->certificate != !exec->key)
        return fail(exec, "wrote a certificate or a key but not both");
    return exec->token || exec->certificate ? true : fail(exec, "wrote neither a token nor a certificate");
}

static bool read_output(struct kube_exec *exec, const struct run *run)
{
    struct arena *arena;
    struct tree *answer;
    bool fine;

    if (!ended_well(exec, run))
        return false;
    arena = arena_new(ARENA_USUAL);
    fine = tree_read_json(run->output.bytes, run->output.length, true, arena, &answer, NULL)
               ? take_credential(exec, answer)
               : fail(exec, "wrote something else than JSON");
    arena_free(arena);
    return fine;
}

static void ended(void *arg, enum job_end how)
{
    struct run *run = arg;
    struct kube_exec *exec = run->exec;

    exec->job = NULL;
    exec->ran_ms = loop_ticks_ms(exec->loop);
    exec->generation++;
    forget(exec);
    exec->error = (struct error){0};
    if (how == JOB_HANGS)
        fail(exec, "did not end in time"); /* then it may still be writing to the run */
    else if (how == JOB_NOT_BEGUN)
        fail(exec, "was not started: all worker threads are busy");
    else
        exec->has_given = read_output(exec, run);
    exec->has_failed = !exec->has_given;
    if (exec->has_failed)
        forget(exec);
    exec->ready(exec->arg);
}

/* ---- asking for it ---- */
static void start(struct kube_exec *exec)
{
    /* The worker's own deadline is a little later than the run's, so that what a killed program said is still heard. */
    exec->job = transport_work(exec->transport, NULL, exec->command, KUBE_EXEC_TIMEOUT_MS + 2 * EARLY_MS, run_it, ended,
                               free_run, new_run(exec));
}

enum kube_login_state kube_exec_get(struct kube_exec *exec, const struct secret **token,
                                    const struct secret **certificate, const struct secret **key, uint64_t *generation,
                                    struct error *err)
{
    bool is_good = exec->has_given &&
                   loop_now_ms(exec->loop) < exec->good_until_ms - (exec->good_until_ms == INT64_MAX ? 0 : EARLY_MS);
    bool has_just_run =
        (exec->has_given || exec->has_failed) && loop_ticks_ms(exec->loop) - exec->ran_ms < KUBE_LOGIN_RETRY_MS;

    if (exec->job)
        return KUBE_LOGIN_WAIT;
    if (exec->has_failed && has_just_run) {
        *err = exec->error;
        return KUBE_LOGIN_FAILED;
    }
    if (!is_good && !has_just_run) {
        start(exec);
        return KUBE_LOGIN_WAIT;
    }
    /* What was good for a moment only is given all the same: the API server's clock decides. */
    *token = exec->token;
    *certificate = exec->certificate;
    *key = exec->key;
    *generation = exec->generation;
    return KUBE_LOGIN_READY;
}

bool kube_exec_refused(struct kube_exec *exec)
{
    if (exec->job || (!exec->has_given && !exec->has_failed))
        return true;
    if (exec->has_failed || loop_ticks_ms(exec->loop) - exec->ran_ms < KUBE_LOGIN_RETRY_MS)
        return false;
    forget(exec);
    return true;
}

/* ---- from the config ---- */
static const char *word(const struct tree *map, const char *key)
{
    const struct tree *node = tree_get(map, key);

    return node && (node->type == TREE_STRING || node->type == TREE_NUMBER) && node->length > 0 ? node->text : NULL;
}

static void add_member(struct text *out, const char *key, const char *value)
{
    if (!value)
        return;
    text_printf(out, ",\"%s\":", key);
    text_add_json_string(out, value, strlen(value));
}

static void write_cluster(const struct kube_exec_cluster *cluster, struct text *out)
{
    text_add(out, ",\"cluster\":{\"server\":");
    text_add_json_string(out, cluster->server, strlen(cluster->server));
    add_member(out, "tls-server-name", cluster->server_name);
    add_member(out, "proxy-url", cluster->proxy_url);
    if (cluster->insecure)
        text_add(out, ",\"insecure-skip-tls-verify\":true");
    if (cluster->ca_pem) {
        text_add(out, ",\"certificate-authority-data\":\"");
        kube_base64_encode(cluster->ca_pem, cluster->ca_length, out);
        text_add(out, "\"");
    }
    if (cluster->config) {
        text_add(out, ",\"config\":");
        tree_write_json(cluster->config, out);
    }
    text_add(out, "}");
}

static const char *write_info(struct kube_exec *exec, const struct kube_exec_cluster *cluster)
{
    struct text out;
    const char *info;

    text_init(&out, 2 * KUBE_CERTIFICATE_MAX_BYTES);
    text_printf(
        &out, "KUBERNETES_EXEC_INFO={\"kind\":\"ExecCredential\",\"apiVersion\":\"%s\",\"spec\":{\"interactive\":false",
        exec->api_version);
    if (cluster)
        write_cluster(cluster, &out);
    text_add(&out, "}}");
    info = arena_copy(exec->arena, out.bytes);
    text_done(&out);
    return info;
}

static bool read_arguments(struct kube_exec *exec, const struct tree *args, struct error *err)
{
    size_t count = 0;

    exec->arguments = arena_array(exec->arena, tree_count(args) + 2, sizeof *exec->arguments);
    exec->arguments[count++] = arena_copy(exec->arena, exec->command);
    for (const struct tree *a = args && args->type == TREE_LIST ? args->first : NULL; a; a = a->next) {
        if (a->type != TREE_STRING && a->type != TREE_NUMBER)
            return error_set(err, ERROR_INVALID, "%s.exec.args has %s; put it in quotes", exec->place,
                             tree_type_name(a->type));
        exec->arguments[count++] = arena_copy(exec->arena, a->text);
    }
    return true;
}

static bool is_set_by(const char *variable, const struct tree *env)
{
    size_t length = strcspn(variable, "=");

    if (length == strlen("KUBERNETES_EXEC_INFO") && strncmp(variable, "KUBERNETES_EXEC_INFO", length) == 0)
        return true;
    for (const struct tree *e = env ? env->first : NULL; e; e = e->next) {
        const char *name = word(e, "name");

        if (name && strlen(name) == length && strncmp(name, variable, length) == 0)
            return true;
    }
    return false;
}

static bool read_variables(struct kube_exec *exec, const struct tree *env, struct error *err)
{
    size_t count = 0, inherited = 0;

    if (env && env->type != TREE_LIST && env->type != TREE_NULL)
        return error_set(err, ERROR_INVALID, "%s.exec.env is %s; make it a list of name and value", exec->place,
                         tree_type_name(env->type));
    while (environ[inherited])
        inherited++;
    exec->variables = arena_array(exec->arena, inherited + tree_count(env) + 2, sizeof *exec->variables);
    for (size_t i = 0; i < inherited; i++)
        if (!is_set_by(environ[i], env))
            exec->variables[count++] = arena_copy(exec->arena, environ[i]);
    for (const struct tree *e = env ? env->first : NULL; e; e = e->next) {
        const char *name = word(e, "name"), *value = word(e, "value");

        if (name)
            exec->variables[count++] = arena_printf(exec->arena, "%s=%s", name, value ? value : "");
    }
    exec->variables[count++] = arena_copy(exec->arena, exec->info);
    return true;
}

static bool read_exec(struct kube_exec *exec, const struct tree *node, const char *folder,
                      const struct kube_exec_cluster *cluster, struct error *err)
{
    static const char v1[] = "client.authentication.k8s.io/v1", v1beta1[] = "client.authentication.k8s.io/v1beta1";
    const char *command = word(node, "command"), *version = word(node, "apiVersion");
    bool about_cluster = false;

    if (!command)
        return error_set(err, ERROR_INVALID, "%s.exec has no command", exec->place);
    if (!string_equal(version, v1) && !string_equal(version, v1beta1))
        return error_set(err, ERROR_INVALID, "%s.exec.apiVersion is \"%.80s\"; this client speaks %s and v1beta1",
                         exec->place, version ? version : "", v1);
    if (string_equal(word(node, "interactiveMode"), "Always"))
        return error_set(err, ERROR_INVALID,
                         "%s.exec has interactiveMode Always, but nobody is there to ask; use another user",
                         exec->place);
    exec->api_version = arena_copy(exec->arena, version);
    exec->hint = arena_copy(exec->arena, word(node, "installHint"));
    exec->command = strchr(command, '/') && command[0] != '/' ? arena_printf(exec->arena, "%s/%s", folder, command)
                                                              : arena_copy(exec->arena, command);
    exec->proxy_url = arena_copy(exec->arena, cluster->proxy_url);
    exec->info = write_info(
        exec, tree_bool(tree_get(node, "provideClusterInfo"), &about_cluster) && about_cluster ? cluster : NULL);
    return read_arguments(exec, tree_get(node, "args"), err) && read_variables(exec, tree_get(node, "env"), err);
}

bool kube_exec_new(const struct tree *node, const char *place, const char *folder,
                   const struct kube_exec_cluster *cluster, struct kube_exec **out, struct error *err)
{
    struct kube_exec *exec = mem_alloc(sizeof *exec);

    exec->arena = arena_new(ARENA_USUAL);
    exec->place = arena_copy(exec->arena, place);
    if (!read_exec(exec, node, folder, cluster, err)) {
        kube_exec_free(exec);
        return false;
    }
    *out = exec;
    return true;
}

void kube_exec_free(struct kube_exec *exec)
{
    if (!exec)
        return;
    if (exec->job)
        transport_work_cancel(exec->transport, exec->job);
    forget(exec);
    arena_free(exec->arena);
    free(exec);
}

void kube_exec_attach(struct kube_exec *exec, struct loop *loop, struct transport *transport, void (*ready)(void *arg),
                      void *arg)
{
    exec->loop = loop;
    exec->transport = transport;
    exec->ready = ready;
    exec->arg = arg;
}
