/*
 * assets: the dashboard's files, which are part of the program (tools/embed): "/" is its page, "/assets/NAME" what that loads.
 *
 * Compressed where the one who asks takes it, as it was when Weir was built. A browser keeps what it has and asks each time whether that
 * still holds, by the digest of the bytes: a new Weir shows its own dashboard at once, an old one costs an answer of 304. Nothing here is
 * secret, so anybody who reaches the listener may have it; what the page then asks for is another matter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/asset.h"
#include "serve/serve_internal.h"
#include "sim/report.h"

enum { TAG_MAX = 80 };

/* Made by tools/embed, of the files that src/serve/meson.build lists. */
extern const struct asset dashboard_assets[];
extern const size_t dashboard_assets_count;

static const char page_name[] = "dashboard.html", chart_name[] = "chart.js";

static const char *type_of(const char *name)
{
    static const struct {
        const char *end, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".svg", "image/svg+xml"},
    };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (string_ends(name, types[i].end))
            return types[i].type;
    return "application/octet-stream";
}

static const struct asset *find_asset(const char *name)
{
    if (strcmp(name, chart_name) == 0)
        return asset_chart.length > 0 ? &asset_chart : NULL;
    for (size_t i = 0; i < dashboard_assets_count; i++)
        if (strcmp(dashboard_assets[i].name, name) == 0)
            return &dashboard_assets[i];
    return NULL;
}

/* ------------------------------------------------------------------ what the one who asks takes, and has */

/* "gzip;q=0.5" at the front of `item`: its weight; -1: that is something else. */
static double coding_weight(const char *item, size_t length, const char *coding)
{
    size_t name = strlen(coding), at = 0;

    while (at < length && strchr(" \t", item[at]))
        at++;
    if (length - at < name || strncasecmp(item + at, coding, name) != 0)
        return -1;
    at += name;
    if (at < length && !strchr(" \t;", item[at]))
        return -1;
    for (; at + 2 < length; at++)
        if (strncasecmp(item + at, "q=", 2) == 0)
            return strtod(item + at + 2, NULL);
    return 1;
}

bool serve_takes_gzip(const char *accept_encoding)
{
    double any = 0;

    for (const char *at = accept_encoding; at && *at;) {
        size_t length = strcspn(at, ",");
        double weight = coding_weight(at, length, "gzip");

        if (weight >= 0)
            return weight > 0;
        weight = coding_weight(at, length, "*");
        if (weight >= 0)
            any = weight;
        at += length + (at[length] == ',');
    }
    return any > 0;
}

/* If-None-Match is a list of quoted tags, some with W/ before them, or "*". */
bool serve_has_tag(const char *if_none_match, const char *tag)
{
    return if_none_match && (strcmp(if_none_match, "*") == 0 || strstr(if_none_match, tag));
}

/* ------------------------------------------------------------------ answers */

static void answer_with(const struct asset *asset, const char *type, const struct server_request *request,
                        struct server_answer *answer)
{
    bool gzip = asset->gzip && serve_takes_gzip(server_header(request, "Accept-Encoding"));
    char tag[TAG_MAX];

    snprintf(tag, sizeof(tag), "\"%s%s\"", asset->digest, gzip ? "-gzip" : "");
    answer->content_type = type;
    server_answer_header(request, "ETag", tag);
    server_answer_header(request, "Cache-Control", "no-cache");
    server_answer_header(request, "Vary", "Accept-Encoding");
    if (serve_has_tag(server_header(request, "If-None-Match"), tag)) {
        answer->status = 304;
        return;
    }
    if (gzip)
        server_answer_header(request, "Content-Encoding", "gzip");
    text_append(answer->body, (const char *)(gzip ? asset->gzip : asset->bytes),
                gzip ? asset->gzip_length : asset->length);
}

void serve_dashboard(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg;
    answer_with(find_asset(page_name), type_of(page_name), request, answer);
}

void serve_asset(void *arg, const struct server_request *request, struct server_answer *answer)
{
    const char *name = request->segments[0];
    const struct asset *asset = find_asset(name);

    (void)arg;
    if (asset) {
        answer_with(asset, type_of(name), request, answer);
        return;
    }
    answer->status = 404;
    answer->content_type = "text/plain; charset=utf-8";
    text_add(answer->body,
             strcmp(name, chart_name) == 0
                 ? "this weir was built without Chart.js; install Debian's libjs-chart.js and build again\n"
                 : "the dashboard has no such file\n");
}
