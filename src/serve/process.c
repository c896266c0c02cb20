/* process: what is said of this Weir as a whole: findings in its manifests, its version. */
#include "serve/serve_internal.h"

void serve_findings(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)request;
    report_write_json(autoscaler_report(arg), answer->body);
}

void serve_version(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct json json = {.out = answer->body};

    (void)arg, (void)request;
    json_put_open(&json, NULL, '{');
    json_put_string(&json, "version", WEIR_VERSION);
    json_put_close(&json, '}');
}
