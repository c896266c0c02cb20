/* live: what lists, the overview and the stream share: a catalogue, and who wants to be told. */
#include <stdlib.h>

#include "base/arena.h"
#include "serve/catalogue.h"
#include "serve/metrics_internal.h"
#include "serve/serve.h"
#include "serve/serve_internal.h"

static void write_metrics(void *arg, struct text *out)
{
    const struct serve_live *live = arg;

    metrics_single(out, "weir_streams", "gauge", "Clients that are told of changes as they happen.",
                   (double)streams_count(live->streams));
}

struct serve_live *serve_live_new(struct server *server, struct autoscaler *autoscaler)
{
    struct serve_live *live = mem_alloc(sizeof(*live));

    live->autoscaler = autoscaler;
    live->catalogue = catalogue_new(autoscaler);
    live->streams = streams_new(live);
    server_route(server, "GET", "/api/v1/objects", serve_objects, live);
    server_route(server, "GET", "/api/v1/overview", serve_overview, live);
    server_route(server, "GET", "/api/v1/stream", serve_stream, live);
    metrics_writer_add(write_metrics, live);
    return live;
}

void serve_live_free(struct serve_live *live)
{
    if (!live)
        return;
    metrics_writer_remove(live);
    streams_free(live->streams);
    catalogue_free(live->catalogue);
    free(live);
}

/* No stream: through the proxies that ask there each would be a connection kept for hours. */
void serve_live_lists(struct serve_live *live, struct server *server)
{
    server_route(server, "GET", "/api/v1/objects", serve_objects, live);
    server_route(server, "GET", "/api/v1/overview", serve_overview, live);
}
