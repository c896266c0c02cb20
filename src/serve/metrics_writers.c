/*
 * metrics_writers: what else runs in this process and has something to say on its page /metrics. Apart from the page, so that who only
 * registers needs nothing of it.
 */
#include <assert.h>

#include "serve/metrics_internal.h"
#include "serve/serve.h"

enum { METRICS_WRITERS_MAX = 8 };

static struct {
    metrics_writer *write;
    void *arg;
} writers[METRICS_WRITERS_MAX];
static size_t writer_count;

void metrics_writer_add(metrics_writer *write, void *arg)
{
    assert(writer_count < METRICS_WRITERS_MAX);
    writers[writer_count].write = write;
    writers[writer_count++].arg = arg;
}

void metrics_writer_remove(void *arg)
{
    for (size_t i = 0; i < writer_count; i++) {
        if (writers[i].arg == arg)
            writers[i--] = writers[--writer_count];
    }
}

void metrics_writers_write(struct text *out)
{
    for (size_t i = 0; i < writer_count; i++)
        writers[i].write(writers[i].arg, out);
}
