/*
 * actions: pause, resume, refresh. The guard has let in who asks; who that is goes with the action, into its audit line. The answer
 * waits until it is done: in a cluster until the API server has the annotation.
 */
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "serve/guard.h"
#include "serve/serve_internal.h"

static bool read_action(const char *name, enum autoscaler_action *action, struct server_answer *answer)
{
    static const char *const names[] = {
        [ACTION_PAUSE] = "pause", [ACTION_RESUME] = "resume", [ACTION_REFRESH] = "refresh"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0) {
            *action = (enum autoscaler_action)i;
            return true;
        }
    answer_refuse(answer, 400, "there is no action '%.40s'; there are pause, resume and refresh", name);
    return false;
}

static int status_of(const struct error *err)
{
    switch (err->kind) {
    case ERROR_MISSING:
        return 404;
    case ERROR_DENIED:
        return 403;
    case ERROR_UNREACHABLE:
        return 503;
    default:
        return 409;
    }
}

static void on_done(void *pending, const struct error *err)
{
    struct server_answer answer = {.status = 200};
    struct text body;

    text_init(&body, SERVER_REFUSAL_MAX_BYTES);
    answer.body = &body;
    if (err)
        answer_refuse(&answer, status_of(err), "%s", err->text);
    else
        text_add(&body, "{\"done\":true}");
    server_complete(pending, &answer);
    text_done(&body);
}

void serve_action(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct serve_asker asker = serve_asker_of(request);
    const char *remote = server_remote(request);
    enum autoscaler_action action;
    struct error err;
    char key[QUERY_KEY_BYTES];
    struct server_pending *pending;

    if (!read_action(request->segments[2], &action, answer) || !query_object(arg, request, key, answer))
        return;
    pending = server_defer(request);
    if (!autoscaler_act(arg, key, action, asker.user, *remote ? remote : "socket", on_done, pending, &err))
        on_done(pending, &err);
}
