/*
 * metrics: the page /metrics. KEDA's names and labels, so that dashboards made for it work, and Weir's own as weir_*.
 *
 * With many objects a page takes a good part of a second to write, and decisions shall not wait for it: it is made in slices of
 * METRICS_OBJECTS_PER_TURN objects, a turn of the loop each, and the answer is deferred. Whoever asks for the same meanwhile gets that page,
 * too, so that two Prometheus cost as much as one. A page shows every object as it was at some moment while it was made.
 *
 *     few objects: made at once
 *     many: deferred; on_turn: objects ..., families ..., the process, whoever waits is answered
 */
#include "serve/serve.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "net/loop.h"
#include "net/server.h"
#include "serve/metrics_internal.h"
#include "serve/serve_internal.h"

enum { METRICS_KEYS_MAX_BYTES = OBJECTS_MAX * QUERY_KEY_BYTES };

struct page { /* one that is being made */
    char *only;
    struct text keys, body;
    size_t at;   /* in keys */
    double heap; /* before the page takes its own */
    struct metrics_families *families;
    struct metrics_totals *totals;
    struct server_pending *waiting[METRICS_WAITING_MAX];
    size_t waiting_count;
    struct page *next;
};

struct serve_metrics {
    struct autoscaler *autoscaler;
    struct timer *timer;
    struct page *pages; /* those under way: the first is worked on */
};

/* ------------------------------------------------------------------ a page */

static struct page *page_new(struct autoscaler *a, const char *only)
{
    struct page *page = mem_alloc(sizeof(*page));

    page->heap = metrics_heap_bytes();
    page->only = mem_copy(only);
    text_init(&page->keys, METRICS_KEYS_MAX_BYTES);
    text_init(&page->body, SERVER_ANSWER_MAX_BYTES);
    page->families = metrics_families_new(only);
    page->totals = metrics_totals_new();
    autoscaler_keys(a, &page->keys);
    return page;
}

static void page_free(struct page *page)
{
    metrics_families_free(page->families);
    metrics_totals_free(page->totals);
    text_done(&page->keys);
    text_done(&page->body);
    free(page->only);
    free(page);
}

static bool on_object(void *arg, const struct object_status *s)
{
    struct page *page = arg;

    metrics_totals_add(page->totals, s);
    if (s->policy && s->has_decision)
        metrics_families_add(page->families, s);
    return true;
}

/* One slice; false: all objects are shown. */
static bool page_objects(struct page *page, struct autoscaler *a)
{
    size_t before = metrics_families_bytes(page->families);

    for (int i = 0; i < METRICS_OBJECTS_PER_TURN && page->at < page->keys.length; i++) {
        const char *key = page->keys.bytes + page->at;

        page->at += strlen(key) + 1;
        autoscaler_object(a, key, on_object, page); /* not there: it went meanwhile */
        if (metrics_families_bytes(page->families) - before > METRICS_BYTES_PER_TURN)
            break;
    }
    return page->at < page->keys.length;
}

/* The families of `from` that were asked for. Each begins with its HELP. */
static void add_chosen(struct text *out, const struct text *from, const char *only)
{
    static const char mark[] = "# HELP ";
    const char *at = from->bytes;

    while (*at) {
        const char *end = strstr(at + 1, "\n# HELP ");
        size_t length = end ? (size_t)(end + 1 - at) : strlen(at);

        if (metrics_chosen(only, at + sizeof(mark) - 1))
            text_append(out, at, length);
        at += length;
    }
}

static void page_finish(struct page *page, struct autoscaler *a)
{
    struct text rest;

    text_init(&rest, SERVER_ANSWER_MAX_BYTES);
    metrics_write_process(a, page->totals, page->heap, &rest);
    metrics_writers_write(&rest);
    add_chosen(&page->body, &rest, page->only);
    text_done(&rest);
}

/* true: there is more to be done. */
static bool page_step(struct page *page, struct autoscaler *a)
{
    if (page_objects(page, a) || metrics_families_take(page->families, &page->body))
        return true;
    page_finish(page, a);
    return false;
}

/* ------------------------------------------------------------------ answers */

static const char content_type[] = "text/plain; version=0.0.4; charset=utf-8";

static void refuse_too_large(struct server_answer *answer)
{
    answer_refuse(answer, 500,
                  "the page is larger than SERVER_ANSWER_MAX_BYTES: ask for some of it, as by /metrics?family=keda_");
    answer->content_type = "application/json";
}

/* The last one who waits gets the page itself, the others copies. */
static void answer_all(struct page *page)
{
    for (size_t i = 0; i < page->waiting_count; i++) {
        struct server_answer answer = {.status = 200, .content_type = content_type};
        struct text copy;

        text_init(&copy, SERVER_ANSWER_MAX_BYTES);
        answer.body = i + 1 < page->waiting_count ? &copy : &page->body;
        if (page->body.overflowed)
            refuse_too_large(&answer);
        else if (answer.body == &copy)
            text_append(&copy, page->body.bytes, page->body.length);
        server_complete(page->waiting[i], &answer);
        text_done(&copy);
    }
}

static void on_turn(void *arg)
{
    struct serve_metrics *m = arg;
    struct page *page = m->pages;

    if (!page_step(page, m->autoscaler)) {
        m->pages = page->next;
        answer_all(page);
        page_free(page);
    }
    if (m->pages)
        loop_timer_set(m->timer, 0);
}

static void answer_now(struct serve_metrics *m, struct page *page, struct server_answer *answer)
{
    while (page_step(page, m->autoscaler))
        ;
    answer->content_type = content_type;
    if (page->body.overflowed)
        refuse_too_large(answer);
    else
        text_append(answer->body, page->body.bytes, page->body.length);
    page_free(page);
}

/* One under way that has the same on it, or a new one; NULL: there are too many. */
static struct page *page_to_wait_for(struct serve_metrics *m, const char *only)
{
    struct page **at = &m->pages;
    size_t count = 0;

    for (; *at; at = &(*at)->next, count++)
        if (strcmp((*at)->only, only) == 0 && (*at)->waiting_count < METRICS_WAITING_MAX)
            return *at;
    if (count == METRICS_PAGES_MAX)
        return NULL;
    *at = page_new(m->autoscaler, only);
    loop_timer_set(m->timer, 0);
    return *at;
}

static void serve_page_of_metrics(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct serve_metrics *m = arg;
    const char *only = server_query(request, "family");
    struct autoscaler_stats stats;

    only = only ? only : "";
    autoscaler_stats(m->autoscaler, &stats);
    if (stats.objects <= METRICS_OBJECTS_PER_TURN) {
        answer_now(m, page_new(m->autoscaler, only), answer);
        return;
    }
    struct page *page = page_to_wait_for(m, only);
    if (page)
        page->waiting[page->waiting_count++] = server_defer(request);
    else
        answer_refuse(answer, 503, "other pages of metrics are being made (METRICS_PAGES_MAX): ask again");
}

struct serve_metrics *serve_metrics_new(struct autoscaler *autoscaler)
{
    struct serve_metrics *m = mem_alloc(sizeof(*m));

    m->autoscaler = autoscaler;
    m->timer = loop_timer_new(autoscaler_loop(autoscaler), on_turn, m);
    return m;
}

void serve_metrics_free(struct serve_metrics *m)
{
    if (!m)
        return;
    while (m->pages) {
        struct page *page = m->pages;

        m->pages = page->next;
        page_free(page);
    }
    loop_timer_free(m->timer);
    free(m);
}

void serve_metrics_route(struct serve_metrics *metrics, struct server *server)
{
    server_route(server, "GET", "/metrics", serve_page_of_metrics, metrics);
}
