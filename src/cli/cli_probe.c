/*
 * weir probe: asks each trigger of a manifest once, and says what would be decided. The running system itself does it, on a platform that
 * may not be written to, until every object has decided once:
 *
 *     files --> autoscaler --> credentials, triggers, decide() --> printed
 *                  |  platform: the files (files_platform.h), or a cluster that is only read
 *
 * What a cluster still looks up when an object is read (its Secrets) is there a moment later; then all begins anew.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autoscaler/autoscaler.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/report.h"
#include "base/time.h"
#include "cli/cli.h"
#include "cli/egress_options.h"
#include "cli/files_platform.h"
#include "cli/probe_cluster.h"
#include "cli/probe_output.h"
#include "cli/run_cluster.h"
#include "cli/sources.h"
#include "credential/credential.h"
#include "manifest/manifest.h"
#include "net/loop.h"
#include "net/transport.h"
#include "trigger/trigger.h"

static const char *output = "text", *mode = "direct", *only, *kubeconfig, *context, *file_root, *vault_namespaces;
static const char *own_variables;
static int64_t timeout_ms = 30 * SECOND_MS, replicas = -1;
static bool in_kubernetes;
static struct egress_options egress;

static const struct option_row options[] = {
    {"trigger", 0, OPTION_TEXT, &only, "NAME", "ask only this one: its name, or s0, s1 ... (all)"},
    {"output", 'o', OPTION_CHOICE, &output, "text|json", "how to print (text)"},
    {"timeout", 0, OPTION_DURATION, &timeout_ms, "DURATION", "give up what has not answered by then (30s)"},
    {"replicas", 0, OPTION_NUMBER, &replicas, "N",
     "decide as if so many ran (those of the workload in the files, else 0)"},
    {"mode", 0, OPTION_CHOICE, &mode, "direct|hpa|observe", "the mode of objects that name none (direct)"},
    {"env", 0, OPTION_TEXT, &own_variables, "NAME[,NAME]",
     "variables of this environment that the manifests may have for containers that are not among them (none)"},
    EGRESS_OPTIONS(egress),
    {"filepath-auth-root-path", 0, OPTION_TEXT, &file_root, "DIR",
     "below it, and nowhere else, a ClusterTriggerAuthentication may name files by filePath (none)"},
    {"vault-namespaces", 0, OPTION_TEXT, &vault_namespaces, "NS[,NS]",
     "whose TriggerAuthentications may sign in at $VAULT_ADDR as Weir itself; team-*: all that begin so (none)"},
    {"kubernetes", 0, OPTION_FLAG, &in_kubernetes, NULL,
     "look up Secrets, ConfigMaps, pods and the scale in the cluster; nothing is written there"},
    {"kubeconfig", 0, OPTION_TEXT, &kubeconfig, "FILE",
     "the cluster ($KUBECONFIG or ~/.kube/config); implies --kubernetes"},
    {"context", 0, OPTION_TEXT, &context, "NAME", "the context of the kubeconfig (its current-context)"},
    {0},
};

enum { PROBE_OUTPUT_MAX_BYTES = 64 * 1024 * 1024, DATA_SETTLE_MS = 20 };

struct probing {
    struct sources sources;
    struct report *report;
    struct manifest **manifests;
    struct loop *loop;
    struct egress *egress;
    struct transport *transport;
    struct platform *platform;
    struct run_cluster_options cluster_options;
    struct run_cluster *cluster; /* NULL: the files are all there is */
    struct probe_cluster *looked_up;
    struct trigger_engine *engine;
    struct policy_settings settings;
    struct autoscaler_hooks hooks;
    struct autoscaler *autoscaler;
    struct timer *look, *again, *deadline;
};

/* ------------------------------------------------------------------ asking */

/* Instead of the source of one that is not to be asked. */
static bool leave_out(void *arg, const char *key, const struct policy *policy, uint16_t trigger, struct sample *sample,
                      struct error *why)
{
    (void)arg, (void)key, (void)why;
    if (probe_is_meant(policy, trigger, only))
        return false;
    sample->state = SAMPLE_NONE;
    return true;
}

static bool is_settled(void *arg, const struct object_status *status)
{
    bool *all = arg;

    if (status->policy && (!status->has_decision || policy_waits_for_data(status->policy)))
        *all = false;
    return *all;
}

static bool all_settled(struct probing *p)
{
    bool all = true;

    autoscaler_objects(p->autoscaler, is_settled, &all);
    return all;
}

static void on_look(void *arg)
{
    struct probing *p = arg;

    if (all_settled(p))
        loop_stop(p->loop);
}

/* In the middle of a turn: looked at after it. */
static void on_decided(void *arg, const struct autoscaler_decided *decided)
{
    struct probing *p = arg;

    (void)decided;
    loop_timer_set(p->look, 0);
}

static void on_deadline(void *arg)
{
    struct probing *p = arg;

    loop_stop(p->loop);
}

static void apply(void *arg, const char *name, const char *bytes, size_t length)
{
    struct probing *p = arg;

    autoscaler_apply(p->autoscaler, name, bytes, length);
}

static void begin(void *arg)
{
    struct probing *p = arg;

    autoscaler_free(p->autoscaler);
    p->autoscaler = autoscaler_new(&(struct autoscaler_parts){.loop = p->loop,
                                                              .transport = p->transport,
                                                              .platform = p->platform,
                                                              .engine = p->engine,
                                                              .hooks = &p->hooks},
                                   &p->settings);
    probe_cluster_each(p->looked_up, apply, p);
    for (size_t i = 0; i < p->sources.count; i++)
        apply(p, p->sources.files[i].name, p->sources.files[i].bytes.bytes, p->sources.files[i].bytes.length);
    loop_timer_set(p->look, 0); /* perhaps there is nothing to ask */
}

static void on_again(void *arg)
{
    struct probing *p = arg;

    if (p->autoscaler && !all_settled(p))
        begin(p);
}

static void on_data(void *arg, const char *ns, const char *name)
{
    struct probing *p = arg;

    (void)ns, (void)name;
    loop_timer_set(p->again, DATA_SETTLE_MS);
}

/* ------------------------------------------------------------------ the parts */

static bool make_platform(struct probing *p, struct error *err)
{
    if (!in_kubernetes) {
        p->platform = platform_new_files(&(struct files_platform_options){.manifests = p->manifests,
                                                                          .count = p->sources.count,
                                                                          .replicas = replicas,
                                                                          .own_variables = own_variables});
        return true;
    }
    p->cluster_options =
        (struct run_cluster_options){.kubeconfig = kubeconfig, .context = context, .egress = p->egress};
    p->cluster = run_cluster_new(&p->cluster_options);
    if (!run_cluster_platform(p->cluster, p->loop, p->transport, &p->platform, err))
        return false;
    p->settings.cluster_namespace = run_cluster_namespace(p->cluster);
    p->settings.account_token_ms = run_cluster_account_token_ms(p->cluster);
    p->platform->ops->on_data_change(p->platform, on_data, p);
    return true;
}

static bool start(struct probing *p, struct error *err)
{
    struct transport_options with = {.egress = p->egress};

    if (!loop_new_real(&p->loop, err) || !transport_new_real(p->loop, &with, &p->transport, err))
        return false;
    p->look = loop_timer_new(p->loop, on_look, p);
    p->again = loop_timer_new(p->loop, on_again, p);
    p->deadline = loop_timer_new(p->loop, on_deadline, p);
    if (!make_platform(p, err))
        return false;
    p->engine = trigger_engine_new(p->loop, p->transport, p->platform);
    p->hooks = (struct autoscaler_hooks){.arg = p, .untraced = true, .sample = leave_out, .decided = on_decided};
    loop_timer_set(p->deadline, timeout_ms);
    if (p->cluster)
        p->looked_up = probe_cluster_new(run_cluster_kube(p->cluster), p->manifests, p->sources.count, begin, p);
    else
        begin(p);
    return true;
}

static void on_parted(void *arg)
{
    struct probing *p = arg;

    loop_stop(p->loop);
}

/* What was lent for the asking (logins, leases) goes back. */
static void part(struct probing *p)
{
    loop_timer_stop(p->look);
    loop_timer_stop(p->again);
    loop_timer_stop(p->deadline);
    credential_store_part(trigger_engine_credentials(p->engine), on_parted, p);
    loop_run(p->loop);
}

static void finish(struct probing *p)
{
    autoscaler_free(p->autoscaler);
    p->autoscaler = NULL;
    probe_cluster_free(p->looked_up);
    if (p->engine) {
        part(p);
        trigger_engine_free(p->engine);
    }
    if (p->platform)
        p->platform->ops->free(p->platform);
    run_cluster_free(p->cluster);
    transport_free(p->transport);
    egress_unref(p->egress);
    loop_timer_free(p->look);
    loop_timer_free(p->again);
    loop_timer_free(p->deadline);
    if (p->loop)
        loop_free(p->loop);
    for (size_t i = 0; p->manifests && i < p->sources.count; i++)
        manifest_free(p->manifests[i]);
    free(p->manifests);
    report_free(p->report);
    sources_done(&p->sources);
}

/* ------------------------------------------------------------------ what came of it */

static bool show_object(void *arg, const struct object_status *status)
{
    probe_output_object(arg, status);
    return true;
}

static void print_errors(const struct report *report)
{
    struct report *errors = report_new();
    struct text text;

    for (size_t i = 0; i < report_count(report); i++) {
        const struct finding *f = report_at(report, i);

        if (f->severity == FINDING_ERROR)
            report_add(errors, f, f->field, f->remedy, "%s", f->text);
    }
    text_init(&text, PROBE_OUTPUT_MAX_BYTES);
    report_write_text(errors, &text);
    text_tame(&text, true);
    fputs(text.bytes, stderr);
    text_done(&text);
    report_free(errors);
}

static int nothing_to_ask(const struct command *self, const struct probing *p, const struct probe_output *o)
{
    if (report_count_of(autoscaler_report(p->autoscaler), FINDING_ERROR) > 0)
        return EXIT_FOUND; /* said already */
    if (o->only)
        fprintf(stderr, "weir %s: there is no trigger %s; give its name, or s0 for the first of an object\n",
                self->name, o->only);
    else
        fprintf(stderr, "weir %s: there is no ScaledObject or ScaledJob in what is named\n", self->name);
    return EXIT_USAGE;
}

static int print(const struct command *self, struct probing *p)
{
    struct text text;
    struct probe_output o = {.out = &text,
                             .json = strcmp(output, "json") == 0,
                             .only = only,
                             .timeout_ms = timeout_ms,
                             .from_files = !in_kubernetes};

    text_init(&text, PROBE_OUTPUT_MAX_BYTES);
    probe_output_begin(&o);
    autoscaler_objects(p->autoscaler, show_object, &o);
    probe_output_end(&o);
    print_errors(autoscaler_report(p->autoscaler));
    if (o.objects > 0)
        fwrite(text.bytes, 1, text.length, stdout);
    text_done(&text);
    if (o.objects == 0)
        return nothing_to_ask(self, p, &o);
    return o.bad > 0 || report_count_of(autoscaler_report(p->autoscaler), FINDING_ERROR) > 0 ? EXIT_FOUND : EXIT_FINE;
}

static void print_troubles(const struct command *self, const struct probing *p)
{
    struct text text;

    text_init(&text, PROBE_OUTPUT_MAX_BYTES);
    probe_cluster_write_troubles(p->looked_up, &text);
    if (!p->autoscaler)
        text_printf(&text, "the cluster did not answer in time (--timeout)\n");
    text_tame(&text, true);
    if (text.length > 0)
        fprintf(stderr, "weir %s: %s", self->name, text.bytes);
    text_done(&text);
}

static int probe(const struct command *self, char **paths, int count)
{
    struct probing p = {.report = report_new()};
    struct error err = {.kind = ERROR_NONE};
    bool fine;
    int status = EXIT_USAGE;

    policy_settings_default(&p.settings);
    p.settings.mode = strcmp(mode, "hpa") == 0       ? DECIDE_HPA
                      : strcmp(mode, "observe") == 0 ? DECIDE_OBSERVE
                                                     : DECIDE_DIRECT;
    p.settings.file_root = file_root;
    p.settings.vault_namespaces = vault_namespaces;
    p.settings.own_where_named = true; /* a manifest could send it to any server */
    p.egress = egress_options_rules(&egress, &err);
    if (!variable_is_named(own_variables, "VAULT_TOKEN"))
        unsetenv("VAULT_TOKEN"); /* nor that */
    fine = p.egress != NULL;
    for (int i = 0; fine && i < count; i++)
        fine = sources_read(&p.sources, paths[i], &err);
    if (fine) {
        p.manifests = sources_manifests(&p.sources, p.report);
        fine = start(&p, &err);
    }
    if (fine) {
        loop_run(p.loop);
        print_troubles(self, &p);
        status = p.autoscaler ? print(self, &p) : EXIT_FOUND;
    } else {
        fprintf(stderr, "weir %s: %s%s%s\n", self->name, err.where, *err.where ? ": " : "", err.text);
    }
    finish(&p);
    return status;
}

static int run_probe(const struct command *self, int argc, char **argv)
{
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (first == argc)
        return usage_error(self, "name a file, a folder or - for standard input");
    if (timeout_ms == 0)
        return usage_error(self, "--timeout has to be longer than nothing");
    if (replicas < -1 || replicas > REPLICAS_MAX)
        return usage_error(self, "--replicas is a number from 0 to %d", REPLICAS_MAX);
    in_kubernetes |= kubeconfig || context;
    if (in_kubernetes && replicas >= 0)
        return usage_error(self, "with --kubernetes the replicas are those of the cluster: leave out --replicas");
    log_set_level(LOG_LEVELS); /* what it has to say is printed */
    return probe(self, argv + first, argc - first);
}

const struct command command_probe = {
    .name = "probe",
    .operands = "PATH...",
    .summary = "ask each trigger of a manifest once, with its credentials, and say what would be decided",
    .description =
        "PATH is a file, a folder of *.yaml, *.yml and *.json files, - for standard input, or such of a revision\n"
        "of git. Secrets, ConfigMaps and TriggerAuthentications are looked up there; with --kubernetes or "
        "--kubeconfig\n"
        "Secrets, ConfigMaps, pods and the scale are those of the cluster, and so are TriggerAuthentications that the\n"
        "files do not have. Nothing is scaled, started or written.\n\n"
        "Of each trigger: its value, or why there is none, its target, and the time it took; of each object the\n"
        "replicas it would have, and why. A value is ok, missing (the source answered, without one) or failed.\n\n"
        "Exit status: 0 every trigger has a value; 1 one is missing or failed, or a manifest has errors; 2 for bad\n"
        "usage or a path that cannot be opened.",
    .options = options,
    .run = run_probe,
};
