/* status: refusals as Kubernetes' clients read them, objects of kind Status (meta/v1). */
#include "serve/cluster_internal.h"

#include "base/text.h"
#include "serve/serve_internal.h"

void answer_status(struct server_answer *answer, int code, const char *reason, const char *message)
{
    struct json json = {.out = answer->body};

    answer->status = code;
    answer->content_type = "application/json";
    text_clear(answer->body);
    json_put_open(&json, NULL, '{');
    json_put_string(&json, "kind", "Status");
    json_put_string(&json, "apiVersion", "v1");
    json_put_open(&json, "metadata", '{');
    json_put_close(&json, '}');
    json_put_string(&json, "status", "Failure");
    json_put_string(&json, "message", message);
    if (*reason)
        json_put_string(&json, "reason", reason);
    json_put_integer(&json, "code", code);
    json_put_close(&json, '}');
}
