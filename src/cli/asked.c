/*
 * asked: the trigger is built and polled as ever, on a transport that keeps the request instead of sending it.
 *
 *     manifest -> trigger_build -> trigger_poll_start -> http of this transport -> copied; then the poll is cancelled
 *
 * Credentials come from the same files. A server given by hand is another destination: what is the manifest's to sign in with is not sent
 * there.
 */
#include "cli/asked.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/report.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "cli/files_platform.h"
#include "credential/credential.h"
#include "net/loop.h"
#include "trigger/trigger.h"

static const char question[] = "/api/v1/query?";

/* ------------------------------------------------------------------ credentials */

static const struct trigger_auth *find_auth(const struct asked_source *source, const struct trigger_spec *spec)
{
    bool cluster = strcmp(spec->auth_kind, "ClusterTriggerAuthentication") == 0;

    for (size_t i = 0; i < source->count; i++)
        for (size_t j = 0; j < source->manifests[i]->trigger_auth_count; j++) {
            const struct trigger_auth *auth = &source->manifests[i]->trigger_auths[j];

            if (strcmp(auth->meta.kind, spec->auth_kind) == 0 && strcmp(auth->meta.name, spec->auth_name) == 0 &&
                (cluster || strcmp(auth->meta.ns, source->ns) == 0))
                return auth;
        }
    return NULL;
}

static bool get_credential(const struct trigger_spec *spec, const struct asked_source *source,
                           struct platform *platform, struct credential **out, struct error *err)
{
    static const struct target_key nobody = {.ns = "", .kind = "", .name = ""};
    const struct trigger_auth *auth;
    struct credential_request request;

    if (source->server || !spec->auth_name)
        return true;
    auth = find_auth(source, spec);
    if (!auth)
        return error_set(err, ERROR_MISSING,
                         "%s %s is not in the files: add it, or say with --prometheus where to ask without it",
                         spec->auth_kind, spec->auth_name);
    request = (struct credential_request){.spec = auth->spec,
                                          .annotations = auth->meta.annotations,
                                          .cluster_kind = strcmp(spec->auth_kind, "ClusterTriggerAuthentication") == 0,
                                          .ns = source->ns,
                                          .target = &nobody};
    if (credential_resolve(platform, &request, out, err) == LOOKUP_FOUND)
        return true;
    return error_add_place(err, "%s %s", spec->auth_kind, spec->auth_name);
}

/* ------------------------------------------------------------------ the transport */

struct catcher {
    struct transport transport; /* first */
    struct loop *loop;
    struct asked *asked;
    char *url;  /* NULL: nothing was asked yet */
    bool ended; /* the poll ended without asking */
    struct error why;
};

static struct tls_identity *copy_tls(struct arena *arena, const struct tls_identity *tls)
{
    struct tls_identity *copy = arena_alloc(arena, sizeof(*copy));

    *copy = *tls;
    copy->ca_pem = arena_copy(arena, tls->ca_pem);
    copy->certificate_pem = arena_copy(arena, tls->certificate_pem);
    copy->server_name = arena_copy(arena, tls->server_name);
    copy->key_pem = tls->key_pem ? secret_ref((struct secret *)(uintptr_t)tls->key_pem) : NULL;
    copy->key_password = tls->key_password ? secret_ref((struct secret *)(uintptr_t)tls->key_password) : NULL;
    return copy;
}

static struct exchange *catch_http(struct transport *transport, const struct http_request *request, http_done *done,
                                   void *arg)
{
    struct catcher *catcher = (struct catcher *)transport;
    struct asked *asked = catcher->asked;

    (void)done, (void)arg; /* the poll is cancelled */
    asked->headers = arena_array(asked->arena, request->header_count + 1, sizeof(*asked->headers));
    asked->header_count = request->header_count;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *h = &request->headers[i];

        asked->headers[i] =
            (struct http_header){.name = arena_copy(asked->arena, h->name),
                                 .value = arena_copy(asked->arena, h->value),
                                 .secret = h->secret ? secret_ref((struct secret *)(uintptr_t)h->secret) : NULL};
    }
    asked->tls = request->tls ? copy_tls(asked->arena, request->tls) : NULL;
    catcher->url = arena_copy(asked->arena, request->url);
    loop_stop(catcher->loop);
    return (struct exchange *)catcher;
}

static void cancel_http(struct exchange *exchange)
{
    (void)exchange; /* it never went out */
}

static const struct transport_ops catcher_ops = {.http = catch_http, .http_cancel = cancel_http};

static void on_end(void *arg, const struct sample *sample, const struct error *why, int64_t took_ms)
{
    struct catcher *catcher = arg;

    (void)sample, (void)took_ms;
    catcher->ended = true;
    catcher->why = *why;
    loop_stop(catcher->loop);
}

/* ------------------------------------------------------------------ the trigger */

/* The metadata as it is, or for another server: without what signs in at the trigger's own. */
static struct tree *metadata_for(const struct trigger_spec *spec, const char *server, struct arena *arena)
{
    static const char *const own[] = {"authModes", "authMode", "customHeaders", "awsRegion", "credentialsFromEnv"};
    struct tree *map = arena_alloc(arena, sizeof(*map)), **end = &map->first;

    *map = (struct tree){.type = TREE_MAP};
    for (const struct tree *member = spec->metadata ? spec->metadata->first : NULL; member; member = member->next) {
        bool left_out = false;

        for (size_t i = 0; server && i < sizeof(own) / sizeof(own[0]); i++)
            left_out |= strcmp(member->key, own[i]) == 0;
        if (left_out)
            continue;
        struct tree *copy = arena_alloc(arena, sizeof(*copy));
        *copy = *member;
        copy->next = NULL;
        if (server && strcmp(copy->key, "serverAddress") == 0) {
            copy->text = server;
            copy->length = strlen(server);
        }
        *end = copy;
        end = &copy->next;
        map->count++;
    }
    return map;
}

static bool first_error(const struct report *report, struct error *err)
{
    for (size_t i = 0; i < report_count(report); i++) {
        const struct finding *f = report_at(report, i);

        if (f->severity == FINDING_ERROR)
            return error_set(err, ERROR_INVALID, "%s%s%s%s%s", f->field, f->field[0] ? ": " : "", f->text,
                             f->remedy ? "; " : "", f->remedy ? f->remedy : "");
    }
    return error_set(err, ERROR_INVALID, "no trigger can be made of it");
}

static bool build(const struct trigger_spec *spec, const struct asked_source *source, struct trigger_engine *engine,
                  const struct credential *credential, struct arena *arena, struct trigger **out, struct error *err)
{
    struct trigger_input input = {.type = spec->type,
                                  .name = spec->name,
                                  .index = spec->index,
                                  .metadata = metadata_for(spec, source->server, arena),
                                  .credential = credential,
                                  .metric_type = spec->metric_type,
                                  .as_metric_source = true,
                                  .direct = true,
                                  .ns = source->ns,
                                  .object_name = "",
                                  .interval_ms = 1000,
                                  .place = spec->place,
                                  .object = "",
                                  .field = ""};
    struct trigger_metric metric;
    struct report *report = report_new();
    bool fine = trigger_build(engine, &input, report, out, &metric) || first_error(report, err);

    if (fine)
        trigger_metric_done(&metric);
    report_free(report);
    return fine;
}

/* http://host/prefix/api/v1/query?query=up&time=...&namespace=a */
static bool take_url(struct asked *asked, char *url, struct error *err)
{
    char *at = url ? strstr(url, question) : NULL, *time;

    if (!at)
        return error_set(err, ERROR_INTERNAL, "it does not ask %s", question);
    *at = '\0';
    asked->server = url;
    asked->parameters = at + strlen(question);
    time = strstr(asked->parameters, "&time=");
    if (time) {
        size_t length = strcspn(time + 1, "&") + 1;
        memmove(time, time + length, strlen(time + length) + 1);
    }
    return true;
}

static bool poll_once(struct trigger_engine *engine, struct trigger *trigger, struct catcher *catcher,
                      struct error *err)
{
    struct trigger_poll *poll = trigger_poll_start(engine, trigger, on_end, catcher);

    if (!catcher->url && !catcher->ended)
        loop_run(catcher->loop);
    if (catcher->ended) {
        *err = catcher->why;
        return false;
    }
    trigger_poll_cancel(poll);
    return take_url(catcher->asked, catcher->url, err);
}

bool asked_by(const struct trigger_spec *spec, const struct asked_source *source, struct asked *asked,
              struct error *err)
{
    struct platform *platform = platform_new_files(
        &(struct files_platform_options){.manifests = source->manifests, .count = source->count, .replicas = -1});
    struct catcher catcher = {.transport = {.ops = &catcher_ops}, .asked = asked};
    struct credential *credential = NULL;
    struct trigger *trigger = NULL;
    bool fine = false;

    *asked = (struct asked){.arena = arena_new(ARENA_USUAL)};
    if (!loop_new_real(&catcher.loop, err)) {
        platform->ops->free(platform);
        return false;
    }
    struct trigger_engine *engine = trigger_engine_new(catcher.loop, &catcher.transport, platform);
    fine = get_credential(spec, source, platform, &credential, err) &&
           build(spec, source, engine, credential, asked->arena, &trigger, err) &&
           poll_once(engine, trigger, &catcher, err);
    trigger_unref(trigger);
    trigger_engine_free(engine);
    credential_unref(credential);
    platform->ops->free(platform);
    loop_free(catcher.loop);
    return fine;
}

void asked_done(struct asked *asked)
{
    for (size_t i = 0; i < asked->header_count; i++)
        secret_unref((struct secret *)(uintptr_t)asked->headers[i].secret);
    if (asked->tls) {
        secret_unref((struct secret *)(uintptr_t)asked->tls->key_pem);
        secret_unref((struct secret *)(uintptr_t)asked->tls->key_password);
    }
    arena_free(asked->arena);
    *asked = (struct asked){0};
}
