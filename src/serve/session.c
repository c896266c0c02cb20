/* session: who is asking, and what may be done: the first thing a dashboard wants to know. */
#include "autoscaler/autoscaler.h"
#include "serve/guard.h"
#include "serve/serve_internal.h"

void session_write_members(struct json *json, const struct autoscaler *autoscaler, const struct server_request *request)
{
    struct serve_asker asker = serve_asker_of(request);
    struct autoscaler_stats stats;

    autoscaler_stats(autoscaler, &stats);
    json_put_string(json, "version", WEIR_VERSION);
    json_put_string(json, "user", asker.user);
    json_put_bool(json, "canAct", asker.can_act);
    json_put_string(json, "platform", autoscaler_platform(autoscaler));
    json_put_time(json, "startedAt", stats.started_at_ms);
}

void serve_session(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct json json = {.out = answer->body};

    json_put_open(&json, NULL, '{');
    session_write_members(&json, arg, request);
    json_put_close(&json, '}');
}
