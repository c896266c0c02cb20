/*
 * temporal: what is said to Temporal and what its answers mean: messages of WorkflowService, without the calls that carry them
 * (source/temporal.c). Numbers of fields are those of temporal.api.
 *
 *     text_init(&message, GRPC_REQUEST_MAX_BYTES);
 *     temporal_write_type(c, TEMPORAL_ACTIVITY, &message);      -- DescribeTaskQueue; its answer:
 *     temporal_read_type(body, length, &backlog)                -- false: it cannot be read, and no part of it counts
 *
 * A backlog is the approximate one that Temporal tells. Pure.
 */
#ifndef WEIR_TRIGGER_TEMPORAL_H
#define WEIR_TRIGGER_TEMPORAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trigger/driver.h"

struct text;

enum temporal_type { TEMPORAL_WORKFLOW = 1, TEMPORAL_ACTIVITY, TEMPORAL_NEXUS, TEMPORAL_TYPES }; /* of a task queue */

struct temporal { /* parameters of the trigger */
    struct trigger_config common;
    const char *endpoint, *ns, *queue, *build_id, *deployment, *deployment_build, *count_queue;
    const struct param_list *type_words;
    const struct secret *api_key, *key, *key_password;
    const char *certificate, *ca, *server_name;
    bool all_active, unversioned, count_running, enable_tls, unsafe;
    int64_t connect_timeout_s;

    unsigned types; /* which are asked for, by bit; 0: a word among them is none */
};

/* ---- questions ---- */
void temporal_write_version(const struct temporal *c, struct text *message); /* DescribeWorkerDeploymentVersion */
void temporal_write_builds(const struct temporal *c,
                           struct text *message); /* DescribeTaskQueue, in its enhanced form */
void temporal_write_type(const struct temporal *c, enum temporal_type type,
                         struct text *message);                            /* DescribeTaskQueue */
void temporal_write_count(const struct temporal *c, struct text *message); /* CountWorkflowExecutions */
/* Which running workflows are counted; config: of a trigger of type temporal. */
void temporal_count_query(const void *config, struct text *out);

/* ---- answers ---- */
struct temporal_version {
    double backlog;   /* of the queues with our name and types */
    bool serves;      /* it gets new work: it is the current one, or ramping up */
    bool is_draining; /* what it has begun it shall end */
};
bool temporal_read_version(const struct temporal *c, const void *bytes, size_t length, struct temporal_version *out);
/* too_old: the answer has the older form, which does not tell builds apart. */
bool temporal_read_builds(const void *bytes, size_t length, double *backlog, bool *too_old);
bool temporal_read_type(const void *bytes, size_t length, double *backlog);
bool temporal_read_count(const void *bytes, size_t length, uint64_t *count);

#endif
