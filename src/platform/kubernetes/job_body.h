/*
 * job_body: the Job that a ScaledJob asks for, as JSON (keda-operator/04 6). Pure.
 *
 *     job_body_read(scaled_job, &body, &err)               -- what all Jobs of it have in common
 *     job_body_write(body, name, sequence, &text)          -- one of them
 *
 * Names are chosen here and not by the API server: `<scaledjob>-` and five letters out of the ScaledJob's uid and a sequence number, so
 * that asking twice for the same one makes one. The number is kept in the Job's annotation weir.dev/sequence.
 */
#ifndef WEIR_PLATFORM_KUBERNETES_JOB_BODY_H
#define WEIR_PLATFORM_KUBERNETES_JOB_BODY_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct text;
struct tree;

#define JOB_NAME_LABEL            "scaledjob.keda.sh/name"
#define JOB_GENERATION_ANNOTATION "scaledjob.keda.sh/generation"
#define JOB_SEQUENCE_ANNOTATION   "weir.dev/sequence"

struct job_body {
    char *uid, *prefix; /* of the ScaledJob; "consumer-" */
    int64_t generation; /* metadata.generation */
    bool foreground;    /* rollout.propagationPolicy: how Jobs of earlier generations are deleted */
    char *metadata;     /* members of metadata, but for name and annotations */
    char *annotations;  /* members, each followed by a comma */
    char *spec;         /* the whole spec */
};
/* false: it has no jobTargetRef, is too large or being deleted. */
bool job_body_read(const struct tree *scaled_job, struct job_body **out, struct error *err);
void job_body_free(struct job_body *body); /* NULL is fine */
enum { JOB_NAME_BYTES = 64 };
void job_body_name(const struct job_body *body, uint64_t sequence, char out[JOB_NAME_BYTES]);
bool job_body_write(const struct job_body *body, const char *name, uint64_t sequence, struct text *out);

#endif
