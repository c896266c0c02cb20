/* The local platform with real processes on a real loop: start, scale, probe, roll out, crash, kill -9, adopt, stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim_main.h"

#include "local_world.h"

#include <sys/resource.h>

#include "base/secret.h"
#include "base/selector.h"

static int setup(void **state)
{
    *state = world_new(own_path());
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

/* A Deployment of one container that runs a shell script; more: further lines of the container, indented by 10. */
static const char *manifest(const char *kind, const char *name, int replicas, const char *script, const char *more)
{
    static char text[4096];

    snprintf(text, sizeof text,
             "apiVersion: apps/v1\nkind: %s\nmetadata:\n  name: %s\nspec:\n  replicas: %d\n"
             "  selector:\n    matchLabels: {app: %s}\n  template:\n    metadata:\n      labels: {app: %s}\n"
             "    spec:\n      terminationGracePeriodSeconds: 1\n      containers:\n        - name: main\n"
             "          command: [\"/bin/sh\", \"-c\"]\n          args:\n            - |\n              %s\n%s",
             kind, name, replicas, name, name, script, more);
    return text;
}

static const char forever[] = "echo replica $WEIR_REPLICA port $PORT $WEIR_POD_NAME; exec sleep 600";

static int ready(struct world *w, struct target *t)
{
    return world_view(w, t).ready_replicas;
}

static size_t pod_count(struct world *w, struct target *t)
{
    const struct pod_view *pods;

    return world_pods(w, t, &pods);
}

static const char *note(struct world *w, struct target *t)
{
    const struct pod_view *pods;

    return world_pods(w, t, &pods) > 0 ? pods[0].note : "(no pod)";
}

static int restarts(struct world *w, struct target *t)
{
    const struct pod_view *pods;

    return world_pods(w, t, &pods) > 0 ? pods[0].restarts : -1;
}

/* ------------------------------------------------------------------ start and scale */

static void replicas_start_and_follow_the_scale(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "Deployment", "web");
    const struct pod_view *pods;
    char expected[128];

    assert_false(world_view(w, t).known);
    assert_int_equal(world_view(w, t).error.kind, ERROR_MISSING);
    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 2, forever, ""));
    world_no_findings(w);
    UNTIL(w, ready(w, t) == 2);
    assert_true(w->changes > 0);
    assert_int_equal(world_pods(w, t, &pods), 2);
    assert_string_equal(pods[1].name, "web-1");
    assert_int_equal(pods[1].phase, POD_RUNNING);
    assert_string_equal(pods[1].host, "127.0.0.1");
    assert_true(pods[0].port > 0 && pods[0].port != pods[1].port);
    assert_true(pods[1].start_at_ms > 0 && pods[1].ready_at_ms >= pods[1].start_at_ms - 1000);
    snprintf(expected, sizeof expected, "replica 1 port %d web-1\n", pods[1].port);
    UNTIL(w, strcmp(world_file(w, "Deployment.web", "1", "log"), expected) == 0);

    pid_t first = main_of(w, "Deployment.web", "0");
    world_scale(w, t, 4);
    UNTIL(w, ready(w, t) == 4);
    world_scale(w, t, 1);
    UNTIL(w, pod_count(w, t) == 1);
    assert_int_equal(main_of(w, "Deployment.web", "0"), first);
    assert_true(is_running(first));
    assert_int_equal(world_view(w, t).replicas, 1);
    assert_int_equal(world_view(w, t).status_replicas, 1);
    world_scale(w, t, 0);
    UNTIL(w, pod_count(w, t) == 0);
    assert_false(is_running(first));
    UNTIL(w, w->done == 3 && w->failed == 0);
    w->platform->ops->target_unwatch(t);
}

static void impossible_scales_are_refused(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "Deployment", "web"), *odd = world_watch(w, "Rollout", "web");

    assert_int_equal(world_view(w, odd).error.kind, ERROR_INVALID);
    world_scale(w, t, 1);
    assert_int_equal(w->done, 0); /* never inside the call */
    UNTIL(w, w->failed == 1);
    assert_int_equal(w->error.kind, ERROR_MISSING);
    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 0, forever, ""));
    world_scale(w, t, 5000);
    UNTIL(w, w->failed == 2);
    assert_int_equal(w->error.kind, ERROR_LIMIT);
    assert_non_null(strstr(w->error.text, "LOCAL_REPLICAS_MAX"));
    assert_int_equal(world_view(w, t).replicas, 0);
}

static void what_was_scaled_outlives_edits_and_restarts(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "Deployment", "web");

    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 1, forever, ""));
    UNTIL(w, ready(w, t) == 1);
    world_scale(w, t, 3);
    UNTIL(w, ready(w, t) == 3);
    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 1, forever, ""));
    world_turn(w, 50);
    assert_int_equal(world_view(w, t).replicas, 3);
    world_stop(w, false);
    assert_int_equal(processes_of(w), 0);
    world_open(w, own_path());
    t = world_watch(w, "Deployment", "web");
    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 1, forever, ""));
    UNTIL(w, ready(w, t) == 3);
}

static void a_removed_manifest_stops_its_replicas(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "Deployment", "web");
    char path[PATH_MAX];

    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 2, forever, ""));
    world_apply(w, "/tmp/other.yaml", manifest("Deployment", "other", 1, forever, ""));
    UNTIL(w, ready(w, t) == 2);
    world_apply(w, "/tmp/web.yaml", NULL);
    UNTIL(w, pod_count(w, t) == 0);
    assert_false(world_view(w, t).known);
    snprintf(path, sizeof path, "%s/local/default/Deployment.web", w->dir);
    UNTIL(w, access(path, F_OK) != 0);
    assert_int_equal(ready(w, world_watch(w, "Deployment", "other")), 1);
    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 1, forever, "")); /* and back again */
    UNTIL(w, ready(w, t) == 1);
}

/* Two files that change together, as the one who watches files tells it. NULL: gone. */
static void apply_both(struct world *w, const char *web, const char *other)
{
    static const char *const files[] = {"/tmp/web.yaml", "/tmp/other.yaml"};

    w->platform->ops->manifests_begin(w->platform, files, 2);
    world_apply(w, files[0], web);
    world_apply(w, files[1], other);
    w->platform->ops->manifests_end(w->platform);
}

static void what_moves_to_another_file_goes_on(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "Deployment", "web");
    const char *web = manifest("Deployment", "web", 1, forever, "");

    world_apply(w, "/tmp/web.yaml", web);
    world_scale(w, t, 2);
    UNTIL(w, ready(w, t) == 2);
    pid_t first = main_of(w, "Deployment.web", "0");
    apply_both(w, NULL, web); /* renamed */
    world_turn(w, 50);
    apply_both(w, web, "# moved back\n");
    world_turn(w, 50);
    assert_int_equal(world_view(w, t).replicas, 2);
    assert_int_equal(ready(w, t), 2);
    assert_int_equal(main_of(w, "Deployment.web", "0"), first);
    world_no_findings(w);
    apply_both(w, NULL, NULL);
    UNTIL(w, pod_count(w, t) == 0);
}

/* ------------------------------------------------------------------ crashes */

static void crashes_back_off(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "Deployment", "web");

    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 1, "echo run; exit 3", ""));
    UNTIL(w, restarts(w, t) == 2);
    assert_string_equal(note(w, t), "exited with status 3; starts again after 10 s");
    world_turn(w, 300);
    assert_int_equal(restarts(w, t), 2);
    assert_int_equal(count_of(world_file(w, "Deployment.web", "0", "log"), "run\n"), 2);
    assert_int_equal(ready(w, t), 0);
    assert_int_equal(world_view(w, t).status_replicas, 1);
    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 1, forever, "")); /* mended: no need to wait */
    UNTIL(w, ready(w, t) == 1);
}

static void what_cannot_start_says_why(void **state)
{
    static const struct {
        const char *command, *note;
    } cases[] = {
        {"[no-such-program]", "cannot find \"no-such-program\" in PATH; starts again after 10 s"},
        {"[./missing.sh]", "cannot execute \"./missing.sh\": No such file or directory; starts again after 10 s"},
        {"[/bin/true]\n          workingDir: nowhere", "cannot enter the working directory \"/tmp/nowhere\": "},
        {"[/bin/true]\n          env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]",
         "Secret default/s of variable A is in no manifest"},
    };
    struct world *w = *state;
    char name[16], text[2048];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(name, sizeof name, "bad%zu", i);
        snprintf(text, sizeof text,
                 "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s}\nspec:\n"
                 "  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec:\n      "
                 "containers:\n"
                 "        - name: c\n          command: %s\n",
                 name, cases[i].command);
        world_apply(w, name, text);
        world_no_findings(w);
        struct target *t = world_watch(w, "Deployment", name);
        UNTIL(w, strncmp(note(w, t), cases[i].note, strlen(cases[i].note)) == 0);
    }
    world_apply(w, "secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: v}\n");
    struct target *t = world_watch(w, "Deployment", "bad3"); /* tried again at once, not after the back-off */
    UNTIL(w, restarts(w, t) > 0);
}

static void a_killed_shim_is_noticed_and_nothing_is_left(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "Deployment", "web");

    world_apply(w, "/tmp/web.yaml",
                manifest("Deployment", "web", 1, "(setsid sh -c 'trap \"\" TERM; sleep 600' &); exec sleep 600", ""));
    UNTIL(w, ready(w, t) == 1);
    UNTIL(w, processes_of(w) >= 4); /* shim, main, daemon and its sleep */
    pid_t shim = shim_of(w, "Deployment.web", "0");
    kill(shim, SIGKILL);
    UNTIL(w, restarts(w, t) == 1 && ready(w, t) == 1);
    UNTIL(w, processes_of(w) <= 4);
    assert_int_not_equal(shim_of(w, "Deployment.web", "0"), shim);
}

/* ------------------------------------------------------------------ probes */

static void readiness_follows_its_probe(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *name, *script, *probe;
    } cases[] = {
        {"exec", "while :; do sleep 0.05; [ -e $WEIR_VOLUMES/go ] && touch /tmp/x$$ && rm /tmp/x$$; done",
         "exec: {command: [sh, -c, 'test -e $WEIR_VOLUMES/go']}"},
        {"http",
         "while ! [ -e $WEIR_VOLUMES/go ]; do sleep 0.05; done; cd $WEIR_VOLUMES; exec python3 -m http.server $PORT",
         "httpGet: {port: http, path: /go}"},
        {"tcp", "while ! [ -e $WEIR_VOLUMES/go ]; do sleep 0.05; done; exec python3 -m http.server $PORT",
         "tcpSocket: {port: http}"},
    };
    char more[400], volumes[PATH_MAX];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *name = cases[i].name;
        snprintf(more, sizeof more,
                 "          ports: [{name: http, containerPort: 8000}]\n          readinessProbe:\n"
                 "            periodSeconds: 1\n            failureThreshold: 1\n            %s\n",
                 cases[i].probe);
        world_apply(w, name, manifest("Deployment", name, 1, cases[i].script, more));
        world_no_findings(w);
        struct target *t = world_watch(w, "Deployment", name);
        UNTIL(w, strstr(note(w, t), "readiness probe: ") != NULL);
        assert_int_equal(ready(w, t), 0);
        snprintf(volumes, sizeof volumes, "%s/local/default/Deployment.%s/0/volumes", w->dir, name);
        assert_true(file_write(volumes, "go", "", 0, NULL));
        UNTIL(w, ready(w, t) == 1);
        assert_string_equal(note(w, t), "");
        strcat(volumes, "/go");
        unlink(volumes);
        if (strcmp(name, "tcp") != 0)
            UNTIL(w, ready(w, t) == 0);
        world_scale(w, t, 0);
    }
}

static void liveness_restarts_what_hangs(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "Deployment", "web");

    world_apply(
        w, "/tmp/web.yaml",
        manifest(
            "Deployment", "web", 1, "touch $WEIR_VOLUMES/alive; exec sleep 600",
            "          startupProbe: {periodSeconds: 1, exec: {command: [sh, -c, 'test -e $WEIR_VOLUMES/alive']}}\n"
            "          livenessProbe: {periodSeconds: 1, failureThreshold: 1, exec: {command: [sh, -c, 'test -e "
            "$WEIR_VOLUMES/alive']}}\n"));
    world_no_findings(w);
    UNTIL(w, ready(w, t) == 1);
    pid_t first = main_of(w, "Deployment.web", "0");
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/local/default/Deployment.web/0/volumes/alive", w->dir);
    assert_int_equal(unlink(path), 0);
    UNTIL(w, restarts(w, t) == 1 && ready(w, t) == 1);
    assert_int_not_equal(main_of(w, "Deployment.web", "0"), first);
}

/* ------------------------------------------------------------------ the end of a replica */

static void the_deaf_are_killed_after_the_grace_period(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "Deployment", "web");
    const struct pod_view *pods;

    world_apply(w, "/tmp/web.yaml",
                manifest("Deployment", "web", 1, "trap '' TERM; echo up; while :; do sleep 0.1; done", ""));
    UNTIL(w, strstr(world_file(w, "Deployment.web", "0", "log"), "up") != NULL && ready(w, t) == 1);
    int64_t before = loop_ticks_ms(w->loop);
    world_scale(w, t, 0);
    UNTIL(w, world_pods(w, t, &pods) == 1 && pods[0].deleted);
    assert_int_equal(world_view(w, t).status_replicas, 0);
    assert_int_equal(world_view(w, t).ready_replicas, 0);
    UNTIL(w, pod_count(w, t) == 0);
    assert_in_range(loop_ticks_ms(w->loop) - before, 900, 8000);
}

static void wanted_again_while_it_ends(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "Deployment", "web");

    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 1, "trap '' TERM; while :; do sleep 0.1; done", ""));
    UNTIL(w, ready(w, t) == 1);
    pid_t first = main_of(w, "Deployment.web", "0");
    world_scale(w, t, 0);
    UNTIL(w, ready(w, t) == 0);
    world_scale(w, t, 1);
    UNTIL(w, ready(w, t) == 1);
    assert_int_not_equal(main_of(w, "Deployment.web", "0"), first);
    assert_false(is_running(first));
}

/* ------------------------------------------------------------------ order */

static void a_new_template_rolls_one_by_one(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "Deployment", "web");
    int least = 3;

    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 3, "echo old; exec sleep 600", ""));
    UNTIL(w, ready(w, t) == 3);
    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 3, "echo new; exec sleep 600", ""));
    for (int i = 0; i < PATIENCE_TURNS && strstr(world_file(w, "Deployment.web", "2", "log"), "new") == NULL; i++) {
        world_turn(w, TURN_MS);
        least = ready(w, t) < least ? ready(w, t) : least;
    }
    UNTIL(w, ready(w, t) == 3);
    assert_int_equal(least, 2);
    assert_non_null(strstr(world_file(w, "Deployment.web", "0", "log"), "new"));
    assert_int_equal(restarts(w, t), 0);
    pid_t pid = main_of(w, "Deployment.web", "1");
    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 3, "echo new; exec sleep 600", ""));
    world_turn(w, 200);
    assert_int_equal(main_of(w, "Deployment.web", "1"), pid); /* nothing changed: nothing is restarted */
}

static void a_stateful_set_goes_in_order(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "StatefulSet", "db");
    const struct pod_view *pods;
    char volumes[PATH_MAX];

    world_apply(
        w, "/tmp/db.yaml",
        manifest(
            "StatefulSet", "db", 2, "trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.05; done",
            "          readinessProbe: {periodSeconds: 1, exec: {command: [sh, -c, 'test -e $WEIR_VOLUMES/go']}}\n"));
    UNTIL(w, pod_count(w, t) == 1 && strstr(note(w, t), "readiness") != NULL);
    world_turn(w, 200);
    assert_int_equal(pod_count(w, t), 1); /* the second waits for the first */
    snprintf(volumes, sizeof volumes, "%s/local/default/StatefulSet.db/0/volumes", w->dir);
    assert_true(file_write(volumes, "go", "", 0, NULL));
    UNTIL(w, pod_count(w, t) == 2);
    snprintf(volumes, sizeof volumes, "%s/local/default/StatefulSet.db/1/volumes", w->dir);
    UNTIL(w, access(volumes, F_OK) == 0);
    assert_true(file_write(volumes, "go", "", 0, NULL));
    UNTIL(w, ready(w, t) == 2);
    world_scale(w, t, 0);
    UNTIL(w, world_pods(w, t, &pods) == 2 && pods[1].deleted);
    assert_false(pods[0].deleted);
    UNTIL(w, pod_count(w, t) == 0);
}

/* ------------------------------------------------------------------ death of Weir */

/* A Weir of its own that applies a manifest, waits until all are ready, and is killed. */
static void live_and_be_killed(struct world *w, const char *text, int replicas)
{
    int alive[2];
    char byte;

    world_close(w);
    assert_int_equal(pipe(alive), 0);
    pid_t pid = fork();
    if (pid == 0) {
        world_open(w, own_path());
        struct target *t = world_watch(w, "Deployment", "web");
        world_apply(w, "/tmp/web.yaml", text);
        for (int i = 0; i < PATIENCE_TURNS && ready(w, t) != replicas; i++)
            world_turn(w, TURN_MS);
        if (write(alive[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            world_turn(w, 1000);
    }
    close(alive[1]);
    assert_int_equal(read(alive[0], &byte, 1), 1);
    close(alive[0]);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void replicas_are_adopted_and_never_doubled(void **state)
{
    struct world *w = *state;
    char text[4096];
    pid_t pids[3];

    snprintf(text, sizeof text, "%s", manifest("Deployment", "web", 3, "echo run; exec sleep 600", ""));
    live_and_be_killed(w, text, 3);
    for (int i = 0; i < 3; i++) {
        pids[i] = main_of(w, "Deployment.web", (char[]){(char)('0' + i), 0});
        assert_true(is_running(pids[i]));
    }
    kill(pids[1], SIGKILL); /* while nobody watches */
    while (strstr(world_file(w, "Deployment.web", "1", "exit"), "code 9") == NULL)
        usleep(10 * 1000);

    world_open(w, own_path());
    struct target *t = world_watch(w, "Deployment", "web");
    const struct pod_view *pods;
    world_apply(w, "/tmp/web.yaml", text);
    UNTIL(w, world_pods(w, t, &pods) == 3 && pods[1].restarts == 1 && ready(w, t) == 3);
    assert_int_equal(pods[0].restarts, 0);
    assert_int_equal(main_of(w, "Deployment.web", "0"), pids[0]);
    assert_int_equal(main_of(w, "Deployment.web", "2"), pids[2]);
    assert_int_equal(count_of(world_file(w, "Deployment.web", "0", "log"), "run"), 1);
    UNTIL(w, count_of(world_file(w, "Deployment.web", "1", "log"), "run") == 2);
    int port = pods[0].port;
    kill(pids[0], SIGKILL); /* the end of an adopted one is heard of */
    UNTIL(w, world_pods(w, t, &pods) == 3 && pods[0].restarts == 1 && ready(w, t) == 3);
    assert_int_equal(pods[0].port, port);
    world_scale(w, t, 0);
    UNTIL(w, pod_count(w, t) == 0);
}

static void an_end_is_counted_once_over_many_restarts(void **state)
{
    struct world *w = *state;
    char text[4096];

    snprintf(text, sizeof text, "%s", manifest("Deployment", "web", 1, "echo run; exit 1", ""));
    world_apply(w, "/tmp/web.yaml", text);
    struct target *t = world_watch(w, "Deployment", "web");
    UNTIL(w, restarts(w, t) == 2); /* now it backs off for 10 s */
    for (int i = 0; i < 3; i++) {
        world_stop(w, true);
        world_open(w, own_path());
        t = world_watch(w, "Deployment", "web");
        world_apply(w, "/tmp/web.yaml", text);
        world_turn(w, 100);
        assert_int_equal(restarts(w, t), 2);
    }
    assert_int_equal(count_of(world_file(w, "Deployment.web", "0", "log"), "run"), 2);
}

static void readiness_has_no_dip_at_adoption(void **state)
{
    struct world *w = *state;
    char text[4096];

    snprintf(text, sizeof text, "%s",
             manifest("Deployment", "web", 2, "exec sleep 600",
                      "          readinessProbe: {initialDelaySeconds: 1, exec: {command: [sh, -c, 'sleep 0.3']}}\n"));
    live_and_be_killed(w, text, 2);
    world_open(w, own_path());
    struct target *t = world_watch(w, "Deployment", "web");
    world_apply(w, "/tmp/web.yaml", text);
    for (int i = 0; i < 60; i++) {
        world_turn(w, TURN_MS);
        assert_int_equal(ready(w, t), 2);
    }
}

static void only_one_weir_works_in_a_directory(void **state)
{
    struct world *w = *state;
    struct platform *second;
    struct error err;
    struct local_options options = {.data_dir = w->dir, .shim = own_path()};

    assert_false(platform_new_local(w->loop, w->transport, &options, &second, &err));
    assert_non_null(strstr(err.text, "another weir (process "));
    assert_non_null(strstr(err.text, "--data-dir"));
    options.shim = "/no/weir-shim";
    assert_false(platform_new_local(w->loop, w->transport, &options, &second, &err));
    assert_non_null(strstr(err.text, "/no/weir-shim"));
    options = (struct local_options){.data_dir = "/proc/weir", .shim = own_path()};
    assert_false(platform_new_local(w->loop, w->transport, &options, &second, &err));
    assert_non_null(strstr(err.text, "/proc/weir"));
}

static void what_belongs_to_no_manifest_stays_or_goes_with_its_file(void **state)
{
    struct world *w = *state;
    char text[4096];

    snprintf(text, sizeof text, "%s", manifest("Deployment", "web", 1, "exec sleep 600", ""));
    live_and_be_killed(w, text, 1);
    pid_t pid = main_of(w, "Deployment.web", "0");
    world_open(w, own_path());
    world_apply(w, "/tmp/other.yaml", manifest("Deployment", "other", 0, forever, ""));
    world_turn(w, 200);
    assert_true(is_running(pid)); /* its file may be unreadable at the moment */
    world_apply(w, "/tmp/web.yaml",
                manifest("Deployment", "third", 0, forever, "")); /* it was read, and says otherwise */
    UNTIL(w, !is_running(pid));
}

static void an_unlaunched_disk_is_an_error_of_the_replica_only(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "Deployment", "web"), *other = world_watch(w, "Deployment", "other");
    char path[PATH_MAX];

    /* a file where the replica's directory belongs: what a full or broken disk looks like to it */
    snprintf(path, sizeof path, "%s/local/default/Deployment.web", w->dir);
    assert_true(dir_make(path, NULL));
    assert_true(file_write(path, "0", "", 0, NULL));
    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 1, forever, ""));
    world_apply(w, "/tmp/other.yaml", manifest("Deployment", "other", 1, forever, ""));
    UNTIL(w, ready(w, other) == 1);
    UNTIL(w, strstr(note(w, t), "/Deployment.web/0") != NULL);
    assert_int_equal(ready(w, t), 0);
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static bool some_want_descriptors(struct world *w, struct target *t)
{
    const struct pod_view *pods;
    size_t count = world_pods(w, t, &pods);

    for (size_t i = 0; i < count; i++) {
        if (strstr(pods[i].note, "Too many open files; raise the limit of open files (ulimit -n)") != NULL)
            return true;
    }
    return false;
}

static void too_few_descriptors_hold_some_back_and_harm_none(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "Deployment", "web");
    struct rlimit usual, low;

    getrlimit(RLIMIT_NOFILE, &usual);
    low = usual;
    low.rlim_cur = (rlim_t)open_descriptors() + 12;
    world_apply(w, "/tmp/web.yaml", manifest("Deployment", "web", 20, "exec sleep 600", ""));
    setrlimit(RLIMIT_NOFILE, &low);
    UNTIL(w, some_want_descriptors(w, t) && ready(w, t) >= 5);
    world_turn(w, 300);
    assert_in_range(ready(w, t), 5, 19);
    setrlimit(RLIMIT_NOFILE, &usual);
    world_scale(w, t, 0);
    UNTIL(w, pod_count(w, t) == 0);
    world_scale(w, t, 20);
    UNTIL(w, ready(w, t) == 20);
}

/* ------------------------------------------------------------------ usage, lookups */

static bool uses_cpu(struct world *w, struct target *t, int64_t at_least)
{
    const struct pod_view *pods;

    return world_pods(w, t, &pods) == 1 && pods[0].cpu.has_usage && pods[0].cpu.usage >= at_least;
}

static void usage_is_that_of_the_tree(void **state)
{
    struct world *w = *state;
    struct target *t = world_watch(w, "Deployment", "web");
    const struct pod_view *pods;

    world_apply(
        w, "/tmp/web.yaml",
        manifest(
            "Deployment", "web", 1,
            "sh -c 'while :; do :; done' & python3 -c 'x = bytearray(40000000); import time; time.sleep(600)'; wait",
            "          resources: {requests: {cpu: 500m, memory: 64Mi}}\n"));
    world_no_findings(w);
    UNTIL(w, uses_cpu(w, t, 50)); /* on a busy machine it gets little */
    UNTIL(w,
          world_pods(w, t, &pods) == 1 && pods[0].memory.has_usage && pods[0].memory.usage > INT64_C(40000000) * 1000);
    assert_true(pods[0].cpu.usage < 2500);
    assert_true(pods[0].cpu.has_request && pods[0].memory.has_request);
    assert_int_equal(pods[0].cpu.request, 500);
    assert_true(pods[0].memory.request == INT64_C(64) * 1024 * 1024 * 1000);
    assert_true(pods[0].memory.usage < INT64_C(200000000) * 1000);
    assert_true(pods[0].cpu.window_ms >= 900);
}

static void lookups_find_what_manifests_say(void **state)
{
    struct world *w = *state;
    struct platform *p = w->platform;
    struct secret *value;
    struct target_key key = {.ns = "default", .kind = "Deployment", .name = "web"};
    struct arena *arena = arena_new(ARENA_SMALL);
    struct selector *selector;
    const struct pod_view **pods;
    struct error err;

    world_apply(w, "/tmp/s.yaml",
                "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: v}\n---\n"
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n");
    world_apply(w, "/tmp/web.yaml",
                manifest("Deployment", "web", 2, forever,
                         "          env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: s, key: k}}}]\n"));
    UNTIL(w, ready(w, world_watch(w, "Deployment", "web")) == 2);
    assert_int_equal(p->ops->target_env(p, &key, NULL, "TOKEN", &value), LOOKUP_FOUND);
    assert_string_equal(secret_reveal(value), "v");
    secret_unref(value);
    assert_int_equal(p->ops->target_env(p, &key, "main", "NONE", &value), LOOKUP_ABSENT);
    assert_int_equal(p->ops->target_env(p, &key, "sidecar", "TOKEN", &value), LOOKUP_ABSENT);
    assert_int_equal(p->ops->secret_get(p, "default", "s", "k", &value), LOOKUP_FOUND);
    secret_unref(value);
    assert_int_equal(p->ops->config_get(p, "default", "c", "a", &value), LOOKUP_FOUND);
    secret_unref(value);
    assert_int_equal(p->ops->secret_get(p, "other", "s", "k", &value), LOOKUP_ABSENT);
    assert_int_equal(p->ops->config_get(p, "default", "s", "k", &value), LOOKUP_ABSENT);
    assert_true(selector_parse("app=web", arena, &selector, &err));
    assert_int_equal(p->ops->pods(p, "default", selector, arena, &pods), 2);
    assert_string_equal(pods[1]->name, "web-1");
    assert_int_equal(p->ops->pods(p, "elsewhere", selector, arena, &pods), 0);
    assert_true(selector_parse("app=db", arena, &selector, &err));
    assert_int_equal(p->ops->pods(p, "default", selector, arena, &pods), 0);
    arena_free(arena);
}

int main(int argc, char **argv)
{
    SHIM_OR_TESTS(argc, argv);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(replicas_start_and_follow_the_scale),
        TEST(impossible_scales_are_refused),
        TEST(what_was_scaled_outlives_edits_and_restarts),
        TEST(a_removed_manifest_stops_its_replicas),
        TEST(what_moves_to_another_file_goes_on),
        TEST(crashes_back_off),
        TEST(what_cannot_start_says_why),
        TEST(a_killed_shim_is_noticed_and_nothing_is_left),
        TEST(readiness_follows_its_probe),
        TEST(liveness_restarts_what_hangs),
        TEST(the_deaf_are_killed_after_the_grace_period),
        TEST(wanted_again_while_it_ends),
        TEST(a_new_template_rolls_one_by_one),
        TEST(a_stateful_set_goes_in_order),
        TEST(replicas_are_adopted_and_never_doubled),
        TEST(an_end_is_counted_once_over_many_restarts),
        TEST(readiness_has_no_dip_at_adoption),
        TEST(only_one_weir_works_in_a_directory),
        TEST(what_belongs_to_no_manifest_stays_or_goes_with_its_file),
        TEST(an_unlaunched_disk_is_an_error_of_the_replica_only),
        TEST(too_few_descriptors_hold_some_back_and_harm_none),
        TEST(usage_is_that_of_the_tree),
        TEST(lookups_find_what_manifests_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
