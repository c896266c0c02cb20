/*
 * running: a stage with one Prometheus whose queries answer what a test says, and short ways to look at objects.
 */
#ifndef WEIR_TEST_AUTOSCALER_RUNNING_H
#define WEIR_TEST_AUTOSCALER_RUNNING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "journal/journal.h"
#include "sim/stage.h"
#include "sim/virtual.h"

#define START_MS (INT64_C(1767225600) * SECOND_MS) /* 2026-01-01 */

enum prometheus_mode { PROM_VALUE, PROM_EMPTY, PROM_NAN, PROM_DOWN, PROM_HANGS, PROM_DENIES };
struct prometheus_says { /* to the query whose text contains `query` */
    const char *query;
    enum prometheus_mode mode;
    double value;
    unsigned asked;
};

struct running {
    struct stage *stage;
    struct prometheus_says prom[8];
    size_t prom_count;
    char body[256];
};

static inline void running_answer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    struct running *r = arg;
    struct prometheus_says *says = NULL;

    for (size_t i = 0; i < r->prom_count; i++)
        if (strstr(request->url, r->prom[i].query))
            says = &r->prom[i];
    if (!says) {
        reply->status = 404;
        return;
    }
    says->asked++;
    reply->content_type = "application/json";
    reply->body = r->body;
    switch (says->mode) {
    case PROM_VALUE:
        snprintf(r->body, sizeof(r->body), "{\"status\":\"success\",\"data\":{\"result\":[{\"value\":[0,\"%.17g\"]}]}}",
                 says->value);
        break;
    case PROM_NAN:
        snprintf(r->body, sizeof(r->body), "{\"status\":\"success\",\"data\":{\"result\":[{\"value\":[0,\"NaN\"]}]}}");
        break;
    case PROM_EMPTY:
        snprintf(r->body, sizeof(r->body), "{\"status\":\"success\",\"data\":{\"result\":[]}}");
        break;
    case PROM_DOWN:
        reply->status = 503;
        reply->body = "upstream is gone";
        break;
    case PROM_HANGS:
        reply->never = true;
        break;
    case PROM_DENIES:
        reply->status = 401;
        reply->body = "no";
        break;
    }
}

static inline void running_start(struct running *r, const struct stage_options *options)
{
    struct stage_options usual = {.seed = 1, .start_at_ms = START_MS};

    log_set_level(LOG_LEVEL_ERROR);
    r->stage = stage_new(options ? options : &usual);
    virtual_answer(stage_world(r->stage), "http://prom", running_answer, r);
}

static inline void running_stop(struct running *r)
{
    struct virtual_world *world = stage_world(r->stage);

    (void)world;
    stage_free(r->stage);
}

static inline void running_manifest(struct running *r, const char *file, const char *yaml)
{
    stage_manifest(r->stage, file, yaml, yaml ? strlen(yaml) : 0);
}

static inline void running_until(struct running *r, int64_t s)
{
    stage_run_until(r->stage, s * SECOND_MS);
}

/* ---- looking ---- */
struct looked {
    bool found, has_policy, has_decision;
    char problem[400], reason[32], ready[16], summary[400], why[400];
    int32_t after;
    bool active, held, fallback;
    uint64_t polls, decisions;
    size_t jobs;
    int64_t created_at_ms;
};

static inline bool look_visit(void *arg, const struct object_status *status)
{
    struct looked *out = arg;
    struct text text;

    out->found = true;
    out->has_policy = status->policy != NULL;
    out->has_decision = status->has_decision;
    snprintf(out->problem, sizeof(out->problem), "%s", status->problem ? status->problem : "");
    snprintf(out->ready, sizeof(out->ready), "%s", status->ready);
    out->polls = status->polls;
    out->decisions = status->decisions;
    out->jobs = status->job_count;
    out->created_at_ms = status->created_at_ms;
    if (status->trigger_count > 0)
        snprintf(out->why, sizeof(out->why), "%s", status->triggers[0].why);
    if (!status->decision)
        return true;
    text_init(&text, 64 * 1024);
    decision_write_summary(status->decision, &status->names, &text);
    snprintf(out->summary, sizeof(out->summary), "%s", text.bytes);
    text_done(&text);
    snprintf(out->reason, sizeof(out->reason), "%s", decision_reason_name(status->decision->reason));
    out->after = status->decision->after;
    out->active = status->decision->active;
    out->held = status->decision->held;
    out->fallback = status->decision->fallback;
    return true;
}

static inline struct looked look(struct running *r, const char *key)
{
    struct looked out = {.found = false};

    autoscaler_object(stage_autoscaler(r->stage), key, look_visit, &out);
    return out;
}

/* Number of decisions the journal has of an object. */
static inline bool count_entry(void *arg, const struct journal_entry *entry)
{
    (void)entry;
    ++*(size_t *)arg;
    return true;
}

static inline size_t journaled(struct running *r, const char *key)
{
    size_t count = 0;

    journal_decisions(autoscaler_journal(stage_autoscaler(r->stage)), key, 0, INT64_MAX, SIZE_MAX / 2, count_entry,
                      &count);
    return count;
}

#endif
