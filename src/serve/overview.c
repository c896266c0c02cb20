/* overview: all objects in numbers, and which sources harm most of them; from the counts that the catalogue keeps. */
#include "serve/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"

/* ------------------------------------------------------------------ the first of many */

struct ranked {
    const void *item;
    const char *name;
    int64_t weight;
};

static bool comes_before(const struct ranked *a, const struct ranked *b)
{
    return a->weight != b->weight ? a->weight > b->weight : strcmp(a->name, b->name) < 0;
}

/* Keeps the `most` that weigh most, in their order; ties by name. */
static void rank_add(struct ranked *list, size_t *count, size_t most, struct ranked one)
{
    size_t at = *count;

    if (at == most && !comes_before(&one, &list[at - 1]))
        return;
    if (at == most)
        at--;
    else
        ++*count;
    for (; at > 0 && comes_before(&one, &list[at - 1]); at--)
        list[at] = list[at - 1];
    list[at] = one;
}

/* ------------------------------------------------------------------ parts */

static void write_states(struct json *json, const struct catalogue_totals *totals)
{
    json_put_open(json, "states", '{');
    for (int i = 0; i < ROW_STATES; i++)
        json_put_integer(json, row_state_name((enum row_state)i), totals->states[i]);
    json_put_close(json, '}');
}

/* Those with the most objects first. */
static void write_tallies(struct json *json, const char *key, const struct map *map, size_t most)
{
    struct ranked *list = mem_array(most, sizeof(*list));
    size_t count = 0;
    const char *name;
    void *value;

    for (size_t cursor = 0; map_next(map, &cursor, &name, &value);) {
        const struct tally *tally = value;

        rank_add(list, &count, most, (struct ranked){tally, name, tally->objects});
    }
    json_put_open(json, key, '[');
    for (size_t i = 0; i < count; i++) {
        json_put_open(json, NULL, '{');
        json_put_string(json, "name", list[i].name);
        json_put_integer(json, "objects", list[i].weight);
        json_put_close(json, '}');
    }
    json_put_close(json, ']');
    free(list);
}

static void write_source(struct json *json, const struct source *source, bool timed)
{
    json_put_open(json, NULL, '{');
    json_put_string(json, "source", source->name);
    json_put_string(json, "type", source->type->name);
    json_put_integer(json, "objects", source->objects);
    json_put_integer(json, "failing", source->failing);
    if (timed)
        json_put_integer(json, "tookMs", source->took_ms);
    if (source->why)
        json_put_string(json, "why", source->why);
    json_put_close(json, '}');
}

static void write_sources(struct json *json, const char *key, const struct map *sources, bool slowest, bool timed)
{
    struct ranked list[OVERVIEW_SOURCES_MAX];
    size_t count = 0;
    const char *name;
    void *value;

    for (size_t cursor = 0; map_next(sources, &cursor, &name, &value);) {
        const struct source *source = value;
        int64_t weight = slowest ? (int64_t)source->took_ms : (int64_t)source->failing;

        if (weight > 0)
            rank_add(list, &count, OVERVIEW_SOURCES_MAX, (struct ranked){source, name, weight});
    }
    json_put_open(json, key, '[');
    for (size_t i = 0; i < count; i++)
        write_source(json, list[i].item, timed);
    json_put_close(json, ']');
}

/* Over the last day. */
static void write_accounts(struct json *json, const struct catalogue_totals *totals)
{
    if (totals->slo_objects > 0 && totals->slo_known_s > 0) {
        json_put_open(json, "slo", '{');
        json_put_integer(json, "objects", totals->slo_objects);
        json_put_number(json, "held", totals->slo_held_s / totals->slo_known_s);
        json_put_close(json, '}');
    }
    if (totals->cost_objects > 0) {
        json_put_open(json, "cost", '{');
        json_put_integer(json, "objects", totals->cost_objects);
        json_put_number(json, "replicaHours", totals->replica_hours);
        json_put_number(json, "cost", totals->cost);
        json_put_close(json, '}');
    }
}

/* ------------------------------------------------------------------ the whole */

void overview_write(const struct serve_live *live, bool timed, struct text *out)
{
    struct json json = {.out = out};
    struct catalogue_totals totals;

    catalogue_totals(live->catalogue, &totals);
    json_put_open(&json, NULL, '{');
    json_put_integer(&json, "objects", totals.objects);
    write_states(&json, &totals);
    json_put_integer(&json, "replicas", totals.replicas);
    json_put_integer(&json, "namespaceCount", (int64_t)map_count(totals.namespaces));
    write_tallies(&json, "namespaces", totals.namespaces, OVERVIEW_TALLIES_MAX);
    write_tallies(&json, "triggerTypes", totals.types, OVERVIEW_TALLIES_MAX);
    write_sources(&json, "failingSources", totals.sources, false, timed);
    if (timed) {
        write_sources(&json, "slowestSources", totals.sources, true, timed);
        write_accounts(&json, &totals);
    }
    json_put_close(&json, '}');
}

struct asked { /* an overview that waits */
    const struct serve_live *live;
    struct server_pending *pending;
};

static void on_fresh(void *arg, bool ended)
{
    struct asked *asked = arg;
    struct server_answer answer = {0};
    struct text body;

    if (!ended) {
        text_init(&body, SERVER_ANSWER_MAX_BYTES);
        overview_write(asked->live, true, &body);
        answer.body = &body;
        server_complete(asked->pending, &answer);
        text_done(&body);
    }
    free(asked);
}

void serve_overview(void *arg, const struct server_request *request, struct server_answer *answer)
{
    const struct serve_live *live = arg;

    if (catalogue_is_fresh(live->catalogue)) {
        overview_write(live, true, answer->body);
        return;
    }
    struct asked *asked = mem_alloc(sizeof(*asked));
    *asked = (struct asked){live, server_defer(request)};
    catalogue_when_fresh(live->catalogue, on_fresh, asked);
}
