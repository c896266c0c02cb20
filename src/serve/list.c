/* list: objects in short. */
#include "serve/serve_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct listing {
    struct json json;
    const char *ns, *kind;
};

static bool on_listed(void *arg, const struct object_status *s)
{
    struct listing *listing = arg;
    const char *behind_kind = strchr(s->key, '/');
    char prefix[300];

    assert(behind_kind);
    snprintf(prefix, sizeof(prefix), "/%s/", listing->ns ? listing->ns : "");
    if ((listing->kind &&
         (strncmp(s->key, listing->kind, strlen(listing->kind)) != 0 || s->key[strlen(listing->kind)] != '/')) ||
        (listing->ns && strncmp(behind_kind, prefix, strlen(prefix)) != 0))
        return true;
    json_put_open(&listing->json, NULL, '{');
    row_write_members(&listing->json, s);
    json_put_close(&listing->json, '}');
    return !listing->json.out->overflowed;
}

void serve_objects(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct listing listing = {
        .json = {.out = answer->body}, .ns = server_query(request, "namespace"), .kind = server_query(request, "kind")};

    json_put_open(&listing.json, NULL, '{');
    json_put_open(&listing.json, "objects", '[');
    autoscaler_objects(arg, on_listed, &listing);
    json_put_close(&listing.json, ']');
    json_put_close(&listing.json, '}');
}
