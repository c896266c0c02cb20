/*
 * weir run: the running system, on this machine or in a cluster. Puts the parts together, in the order in which they need each
 * other, and takes them apart in the opposite one.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "autoscaler/autoscaler.h"
#include "autoscaler/record.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/quantity.h"
#include "base/time.h"
#include "cli/cli.h"
#include "cli/egress_options.h"
#include "cli/run_api.h"
#include "cli/run_cluster.h"
#include "cli/run_memory.h"
#include "cli/run_viewers.h"
#include "credential/credential.h"
#include "export/export.h"
#include "journal/journal.h"
#include "net/loop.h"
#include "net/server.h"
#include "net/transport.h"
#include "platform/local/local.h"
#include "serve/serve.h"
#include "trigger/trigger.h"

static const char *data_dir, *mode = "direct", *missing_hold, *log_format = "logfmt", *log_level = "info";
static const char *metrics_listen_at, *api_listen_at, *record_into;
static int64_t downscale_stabilization_ms = 5 * MINUTE_MS;
static const char *journal_max, *file_root, *vault_namespaces;
static int64_t journal_max_bytes = JOURNAL_MAX_BYTES;
static bool strict_activation, leave_running, in_kubernetes, no_apiservice_patch, read_only;
static struct run_api_options api = {.listen_at = "127.0.0.1:8642"};
static struct run_cluster_options in_cluster = {.service = "weir", .webhook_service = "weir-webhook"};

static struct export_options exported;
static struct egress_options egress;
static const char *otlp_signals;

static const struct option_row options[] = {
    {"listen", 0, OPTION_TEXT, &api.listen_at, "HOST:PORT",
     "API, metrics and dashboard (127.0.0.1:8642); 'none' for only the socket"},
    {"data-dir", 0, OPTION_TEXT, &data_dir, "DIR",
     "journal and local state ($XDG_STATE_HOME/weir; as root /var/lib/weir)"},
    {"journal-max-bytes", 0, OPTION_TEXT, &journal_max, "SIZE",
     "how much the journal may take: decisions, samples, and 30 days of history (384Mi)"},
    {"mode", 0, OPTION_CHOICE, &mode, "direct|hpa|observe",
     "scale, feed a HorizontalPodAutoscaler (in a cluster), or decide and record only; objects may say otherwise "
     "(direct)"},
    {"missing-hold", 0, OPTION_TEXT, &missing_hold, "DURATION",
     "how long a value that is missing lowers nothing, or 'forever' (30m)"},
    {"strict-activation", 0, OPTION_FLAG, &strict_activation, NULL,
     "activationTarget must be exceeded, as in KEDA, not reached"},
    {"downscale-stabilization", 0, OPTION_DURATION, &downscale_stabilization_ms, "DURATION",
     "the HPA controller's setting (5m)"},
    {"record", 0, OPTION_TEXT, &record_into, "DIR",
     "write what is measured and decided there, for weir simulate, test, compare and tune"},
    {"leave-running", 0, OPTION_FLAG, &leave_running, NULL,
     "keep the replicas when Weir stops; the next one adopts them"},
    {"kubernetes", 0, OPTION_FLAG, &in_kubernetes, NULL,
     "scale what the objects of a cluster describe: that of the pod's service account, else of the kubeconfig"},
    {"kubeconfig", 0, OPTION_TEXT, &in_cluster.kubeconfig, "FILE",
     "the cluster to scale, from here ($KUBECONFIG or ~/.kube/config); implies --kubernetes"},
    {"context", 0, OPTION_TEXT, &in_cluster.context, "NAME", "the context of the kubeconfig (its current-context)"},
    {"watch-namespace", 0, OPTION_TEXT, &in_cluster.namespaces, "NS[,NS]",
     "only these namespaces, which needs no cluster-wide rights ($WATCH_NAMESPACE; all)"},
    {"watch-label-selector", 0, OPTION_TEXT, &in_cluster.selector, "SELECTOR",
     "only ScaledObjects and ScaledJobs with these labels ($WATCH_LABEL_SELECTOR)"},
    {"read-only", 0, OPTION_FLAG, &read_only, NULL,
     "never write to the cluster, whatever the mode of an object says: no scale, no status, no event, no Lease"},
    {"leader-elect", 0, OPTION_FLAG, &in_cluster.leader_elect, NULL, "several may run: one acts, the others stand by"},
    {"leader-election-id", 0, OPTION_TEXT, &in_cluster.lease_name, "NAME", "the Lease they compete for (weir-leader)"},
    {"shards", 0, OPTION_NUMBER, &in_cluster.shards, "N",
     "several may run, about so many: objects are spread over those that live, instead of electing a leader"},
    {"external-metrics", 0, OPTION_TEXT, &in_cluster.external_at, "HOST:PORT",
     "serve external.metrics.k8s.io there, over TLS: what hpa mode needs"},
    {"webhook", 0, OPTION_TEXT, &in_cluster.webhook_at, "HOST:PORT", "serve KEDA's admission webhooks there, over TLS"},
    {"cert-dir", 0, OPTION_TEXT, &in_cluster.cert_dir, "DIR",
     "tls.crt, tls.key and ca.crt that somebody else makes; else Weir makes its own"},
    {"cert-secret-name", 0, OPTION_TEXT, &in_cluster.cert_secret, "NAME",
     "where Weir keeps those it makes (weir-certs)"},
    {"metrics-server-service-name", 0, OPTION_TEXT, &in_cluster.service, "NAME",
     "the Service in front of --external-metrics (weir)"},
    {"webhooks-service-name", 0, OPTION_TEXT, &in_cluster.webhook_service, "NAME",
     "the Service in front of --webhook (weir-webhook)"},
    {"k8s-cluster-domain", 0, OPTION_TEXT, &in_cluster.cluster_domain, "DOMAIN",
     "for names in certificates (cluster.local)"},
    {"validating-webhook-name", 0, OPTION_TEXT, &in_cluster.webhook_configuration, "NAME",
     "the ValidatingWebhookConfiguration whose caBundle is Weir's to write"},
    {"no-apiservice-patching", 0, OPTION_FLAG, &no_apiservice_patch, NULL,
     "do not write the caBundle of the external metrics' APIService"},
    {"token-file", 0, OPTION_TEXT, &api.token_file, "FILE",
     "who sends one of its tokens (lines of: token name) may ask at --listen; read again when it changes"},
    {"tls-cert", 0, OPTION_TEXT, &api.tls_cert, "FILE", "serve --listen over TLS with this certificate and its chain"},
    {"tls-key", 0, OPTION_TEXT, &api.tls_key, "FILE", "the key of --tls-cert"},
    {"client-ca", 0, OPTION_TEXT, &api.client_ca, "FILE",
     "who has a certificate of one of these authorities may ask at --listen; needs --tls-cert"},
    {"allow-actions", 0, OPTION_FLAG, &api.allow_actions, NULL,
     "who may ask may also pause, resume and refresh objects, and change log levels"},
    {"api-listen", 0, OPTION_TEXT, &api_listen_at, "HOST:PORT",
     "in a cluster: serve the API there too, over TLS, read-only, to accounts that RBAC allows: for kubectl weir"},
    {"metrics-listen", 0, OPTION_TEXT, &metrics_listen_at, "HOST:PORT",
     "/metrics, /healthz and /readyz, and nothing else, for others to ask"},
    {"otlp-endpoint", 0, OPTION_TEXT, &exported.otlp_endpoint, "URL",
     "send metrics, decisions and traces there by OpenTelemetry's OTLP over HTTP ($OTEL_EXPORTER_OTLP_ENDPOINT)"},
    {"otlp", 0, OPTION_TEXT, &otlp_signals, "metrics,logs,traces", "which of them are sent (all)"},
    EGRESS_OPTIONS(egress),
    {"filepath-auth-root-path", 0, OPTION_TEXT, &file_root, "DIR",
     "below it, and nowhere else, a ClusterTriggerAuthentication may name files by filePath (none)"},
    {"vault-namespaces", 0, OPTION_TEXT, &vault_namespaces, "NS[,NS]",
     "whose TriggerAuthentications may sign in at $VAULT_ADDR as Weir itself; team-*: all that begin so (none)"},
    {"k8s-cluster-name", 0, OPTION_TEXT, &exported.cluster_name, "NAME",
     "what the cluster is called in CloudEvents (kubernetes-default)"},
    {"log-format", 0, OPTION_CHOICE, &log_format, "logfmt|json", "form of log lines (logfmt)"},
    {"log-level", 0, OPTION_TEXT, &log_level, "LEVEL[,ROOM=LEVEL]",
     "least level that is logged: debug, info, warning, error; rooms are autoscaler, export, serve, cli (info)"},
    {0},
};

struct running {
    struct loop *loop;
    struct transport *transport;
    struct platform *platform;
    struct journal *journal;
    struct trigger_engine *engine;
    struct autoscaler_record *record; /* NULL: nothing is recorded */
    struct autoscaler *autoscaler;
    struct export *exporter;
    struct server *server, *metrics_server;
    struct run_api *api; /* closes the server */
    struct run_viewers *viewers;
    struct serve_live *live;
    struct serve_metrics *metrics;
    struct run_cluster *cluster; /* NULL: this machine */
    struct run_memory *memory;
    struct signal_watch *signals[3];
    bool stopping;
    int stops_left; /* what is still being ended */
};

static bool choose_journal_bound(const struct command *self, int *status)
{
    if (!journal_max ||
        (quantity_parse(journal_max, 0, &journal_max_bytes) && journal_max_bytes >= JOURNAL_LEAST_BYTES))
        return true;
    *status = usage_error(self, "--journal-max-bytes is a size like 512Mi, at least 16Mi, not '%s'", journal_max);
    return false;
}

static bool make_settings(const struct command *self, struct policy_settings *settings, int *status)
{
    if (!choose_journal_bound(self, status))
        return false;
    policy_settings_default(settings);
    settings->mode = strcmp(mode, "observe") == 0 ? DECIDE_OBSERVE
                     : strcmp(mode, "hpa") == 0   ? DECIDE_HPA
                                                  : DECIDE_DIRECT;
    settings->strict_activation = strict_activation;
    settings->downscale_stabilization_ms = downscale_stabilization_ms;
    settings->file_root = file_root;
    settings->vault_namespaces = vault_namespaces;
    if (missing_hold && strcmp(missing_hold, "forever") == 0)
        settings->missing_hold_ms = INT64_MAX;
    else if (missing_hold &&
             (!duration_parse_ms(missing_hold, &settings->missing_hold_ms) || settings->missing_hold_ms < 0)) {
        *status = usage_error(self, "--missing-hold is a duration like 30m, or forever, not '%s'", missing_hold);
        return false;
    }
    return true;
}

/* "metrics,logs": each word once or not. */
static bool choose_signals(const struct command *self, int *status)
{
    const struct {
        const char *name;
        bool *chosen;
    } signals[] = {{"metrics", &exported.metrics}, {"logs", &exported.logs}, {"traces", &exported.traces}};

    for (const char *word = otlp_signals; word; word = *word ? word + 1 : NULL) {
        size_t length = strcspn(word, ","), i = 0;

        while (i < 3 && (strlen(signals[i].name) != length || strncmp(signals[i].name, word, length) != 0))
            i++;
        if (i == 3) {
            *status = usage_error(self, "--otlp is a list of metrics, logs and traces, not '%s'", otlp_signals);
            return false;
        }
        *signals[i].chosen = true;
        word += length;
    }
    return true;
}

/* Sockets, pipes and logs of many replicas: take as many descriptors as we may. */
static void raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void on_stopped(void *arg, const struct error *err)
{
    struct running *r = arg;

    if (err)
        log_warning("not all replicas could be stopped", "error", err->text, NULL);
    if (--r->stops_left == 0)
        loop_stop(r->loop);
}

/* Of what is let go without a word about how: the last records are sent, what credentials were lent is given back. */
static void on_part_done(void *arg)
{
    struct running *r = arg;

    if (--r->stops_left == 0)
        loop_stop(r->loop);
}

static void write_exported(void *arg, struct text *out)
{
    export_write_metrics(arg, out);
}

static void close_servers(struct running *r)
{
    if (r->api)
        run_api_close(r->api);
    else
        server_free(r->server);
    if (r->metrics_server)
        server_free(r->metrics_server);
    r->server = r->metrics_server = NULL;
    r->api = NULL;
    run_viewers_close(r->viewers);
    r->viewers = NULL;
    serve_live_free(r->live);
    r->live = NULL;
    serve_metrics_free(r->metrics);
    r->metrics = NULL;
    if (r->cluster)
        run_cluster_stop_serving(r->cluster);
}

static void on_terminate(void *arg)
{
    struct running *r = arg;

    if (r->stopping) { /* a second signal: do not wait for grace periods */
        loop_stop(r->loop);
        return;
    }
    r->stopping = true;
    log_info("stopping", "replicas", leave_running || in_kubernetes ? "left running" : "stopped", NULL);
    close_servers(r);
    r->stops_left = 3;
    export_finish(r->exporter, on_part_done, r);
    autoscaler_free(r->autoscaler);
    r->autoscaler = NULL;
    credential_store_part(trigger_engine_credentials(r->engine), on_part_done, r);
    r->platform->ops->stop(r->platform, leave_running, on_stopped, r);
}

static void on_hangup(void *arg)
{
    struct running *r = arg;

    if (r->autoscaler)
        autoscaler_reload(r->autoscaler);
}

static bool listen_all(struct running *r, struct error *err)
{
    struct kube *kube = r->cluster ? run_cluster_kube(r->cluster) : NULL;

    if (!server_new(r->loop, &r->server, err))
        return false;
    r->metrics = serve_metrics_new(r->autoscaler);
    serve_routes(r->server, r->autoscaler);
    r->live = serve_live_new(r->server, r->autoscaler);
    serve_metrics_route(r->metrics, r->server);
    api.data_dir = data_dir;
    if (!run_api_open(&api, r->loop, r->server, kube, &r->api, err))
        return false;
    if (api_listen_at && !run_viewers_open(&(struct run_viewers_options){.address = api_listen_at,
                                                                         .data_dir = data_dir,
                                                                         .loop = r->loop,
                                                                         .kube = kube,
                                                                         .autoscaler = r->autoscaler,
                                                                         .live = r->live},
                                           &r->viewers, err))
        return false;
    if (!metrics_listen_at)
        return true;
    if (!server_new(r->loop, &r->metrics_server, err))
        return false;
    serve_metrics_routes(r->metrics_server, r->autoscaler, r->metrics);
    if (!server_listen_tcp(r->metrics_server, metrics_listen_at, err))
        return error_add_place(err, "--metrics-listen %s", metrics_listen_at);
    return true;
}

static bool make_platform(struct running *r, struct error *err)
{
    struct local_options local = {.data_dir = data_dir};

    if (!in_kubernetes)
        return platform_new_local(r->loop, r->transport, &local, &r->platform, err);
    in_cluster.write = !read_only;
    in_cluster.patch_apiservice = !no_apiservice_patch;
    in_cluster.data_dir = data_dir;
    r->cluster = run_cluster_new(&in_cluster);
    return run_cluster_platform(r->cluster, r->loop, r->transport, &r->platform, err);
}

/* Where objects come from: files, or the cluster. */
static bool watch(struct running *r, const struct policy_settings *settings, const char *const *paths, size_t count,
                  struct error *err)
{
    if (!in_kubernetes)
        return autoscaler_watch_paths(r->autoscaler, paths, count, err);
    if (!run_cluster_serve(r->cluster, r->loop, r->autoscaler, settings, err))
        return false;
    autoscaler_watch_cluster(r->autoscaler);
    return true;
}

static bool start(struct running *r, struct policy_settings *settings, const char *const *paths, size_t count,
                  struct error *err)
{
    char journal[4200];

    if (!data_dir_make(data_dir, err) || !loop_new_real(&r->loop, err) ||
        !transport_new_real(r->loop, &(struct transport_options){.egress = in_cluster.egress}, &r->transport, err) ||
        !make_platform(r, err))
        return false;
    if (r->cluster) {
        settings->cluster_namespace = run_cluster_namespace(r->cluster);
        settings->account_token_ms = run_cluster_account_token_ms(r->cluster);
    }
    snprintf(journal, sizeof(journal), "%s/journal.db", data_dir);
    if (!journal_open(journal, &r->journal, err))
        return false;
    journal_set_max_bytes(r->journal, journal_max_bytes);
    if (journal_moved_aside(r->journal))
        log_warning("the journal was damaged: a new one begins, without what the old one knew", "journal", journal,
                    "old", journal_moved_aside(r->journal), NULL);
    if (record_into && !(r->record = autoscaler_record_new(r->loop, record_into, err)))
        return error_add_place(err, "--record");
    r->engine = trigger_engine_new(r->loop, r->transport, r->platform);
    r->autoscaler = autoscaler_new(&(struct autoscaler_parts){r->loop, r->transport, r->platform, r->engine, r->journal,
                                                              autoscaler_record_hooks(r->record)},
                                   settings);
    if (r->cluster)
        exported.own_namespace = run_cluster_namespace(r->cluster);
    if (!export_new(&(struct export_parts){r->loop, r->transport, r->platform, r->autoscaler}, &exported, &r->exporter,
                    err))
        return false;
    metrics_writer_add(write_exported, r->exporter);
    if (!listen_all(r, err))
        return false;
    r->memory = run_memory_tend(r->loop);
    r->signals[0] = loop_on_signal(r->loop, SIGTERM, on_terminate, r);
    r->signals[1] = loop_on_signal(r->loop, SIGINT, on_terminate, r);
    r->signals[2] = loop_on_signal(r->loop, SIGHUP, on_hangup, r);
    return watch(r, settings, paths, count, err);
}

static void finish(struct running *r)
{
    for (size_t i = 0; i < 3; i++)
        if (r->signals[i])
            loop_signal_free(r->signals[i]);
    run_memory_free(r->memory);
    close_servers(r);
    metrics_writer_remove(r->exporter);
    export_free(r->exporter);
    autoscaler_free(r->autoscaler);
    autoscaler_record_free(r->record);
    if (r->engine)
        trigger_engine_free(r->engine);
    journal_close(r->journal);
    if (r->platform)
        r->platform->ops->free(r->platform);
    run_cluster_free(r->cluster);
    transport_free(r->transport);
    egress_unref(in_cluster.egress);
    if (r->loop)
        loop_free(r->loop);
}

static void log_started(const struct running *r)
{
    const char *address = server_address(r->server);
    struct text more;

    text_init(&more, LOG_LINE_MAX_BYTES);
    if (r->cluster)
        run_cluster_addresses(r->cluster, &more);
    log_info("started", "version", WEIR_VERSION, "listen", *address ? address : "socket only", "data", data_dir,
             more.length > 0 ? "serves" : NULL, more.bytes, NULL);
    text_done(&more);
}

static int run_run(const struct command *self, int argc, char **argv)
{
    struct policy_settings settings;
    struct running r = {.loop = NULL};
    struct error err = {.kind = ERROR_NONE};
    struct log_levels levels;
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status) || !make_settings(self, &settings, &status) ||
        !choose_signals(self, &status))
        return status;
    in_kubernetes |= in_cluster.kubeconfig || in_cluster.context;
    if (in_kubernetes && first < argc)
        return usage_error(self, "with --kubernetes the objects are those of the cluster: name no files");
    if (!in_kubernetes && first == argc)
        return usage_error(self, "name the files or folders with your manifests");
    if (run_api_complaint(&api))
        return usage_error(self, "%s", run_api_complaint(&api));
    if (in_cluster.shards > 0 && in_cluster.leader_elect)
        return usage_error(self, "--shards and --leader-elect are two ways to be several: choose one");
    if (in_cluster.shards > 0 && in_cluster.external_at)
        return usage_error(self,
                           "--external-metrics needs the one Weir that decides for all: use --leader-elect instead "
                           "of --shards");
    if (!in_kubernetes && api_listen_at)
        return usage_error(self, "--api-listen is for accounts of a cluster: add --kubernetes");
    if (!in_kubernetes && settings.mode == DECIDE_HPA)
        return usage_error(self, "--mode hpa needs a cluster: add --kubernetes");
    in_cluster.egress = egress_options_rules(&egress, &err);
    if (!in_cluster.egress)
        return usage_error(self, "%s", err.text);
    log_set_json(strcmp(log_format, "json") == 0);
    log_levels_get(&levels);
    if (!log_levels_parse(log_level, &levels, &err))
        return usage_error(self, "--log-level: %s", err.text);
    log_levels_set(&levels);
    if (!data_dir)
        data_dir = data_dir_default();
    raise_limits();
    if (!start(&r, &settings, (const char *const *)argv + first, (size_t)(argc - first), &err)) {
        fprintf(stderr, "weir run: %s%s%s\n", err.where, *err.where ? ": " : "", err.text);
        finish(&r);
        return err.kind == ERROR_MISSING ? EXIT_USAGE : EXIT_FOUND;
    }
    log_started(&r);
    loop_run(r.loop);
    finish(&r);
    return EXIT_FINE;
}

const struct command command_run = {
    .name = "run",
    .operands = "PATH... | --kubernetes",
    .summary = "scale what the manifests describe, on this machine or in a cluster",
    .description =
        "PATH is a file or a folder of *.yaml, *.yml and *.json files: ScaledObjects, ScaledJobs,\n"
        "TriggerAuthentications, and the Deployments, StatefulSets, Secrets and ConfigMaps they refer to.\n"
        "Files are watched: added, edited and removed objects are picked up while it runs.\n"
        "SIGTERM stops it and its replicas (but see --leave-running); SIGHUP looks at the files at once.\n\n"
        "With --kubernetes, or --kubeconfig from outside, it reads KEDA's objects from the cluster instead and\n"
        "scales its workloads; it leaves them running when it stops. See docs/kubernetes.md.\n\n"
        "Exit status: 0 after a signal; 1 if it cannot start; 2 for bad usage or a path that cannot be opened.",
    .options = options,
    .run = run_run,
};
