/* openapi: what this API is, in its own words: docs/openapi.yaml, which is part of the program. */
#include "base/asset.h"
#include "serve/serve_internal.h"

extern const struct asset asset_openapi; /* made by tools/embed */

void serve_openapi(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg, (void)request;
    answer->content_type = "application/yaml";
    text_append(answer->body, (const char *)asset_openapi.bytes, asset_openapi.length);
}
