/* recording, inside: what both sides remember of an object's last entry, so that a line says only what changed. */
#ifndef WEIR_JOURNAL_RECORDING_INTERNAL_H
#define WEIR_JOURNAL_RECORDING_INTERNAL_H

#include "journal/recording.h"

struct arena;
struct text;
struct tree;

enum { RECORDING_FORMAT = 1 };

struct recorded_state { /* all zero but for the counts: before the first entry */
    size_t trigger_count, resource_count;
    int64_t at_ms;
    struct sample *samples;
    int64_t *good_at_ms;
    bool good_unknown; /* facts had no good_at_ms */
    int32_t replicas, status_replicas, ready_replicas;
    bool pods_failed;
    struct pod_fact *pods; /* in pod_arena */
    size_t pod_count;
    struct arena *pod_arena;
    int32_t before, after;
    bool write, active, has_value;
    enum decision_reason reason;
    double value;
    int32_t running, pending, create; /* of a job */
    int64_t created_last_at_ms;
    double queue_length;
};
void recorded_state_init(struct recorded_state *state, size_t trigger_count, size_t resource_count);
void recorded_state_done(struct recorded_state *state);

/* Members of a JSON object, each with a comma before it; the state is that of this entry afterwards. */
void recorded_state_write_tick(struct recorded_state *state, const struct recorded_tick *tick, struct text *out);
void recorded_state_write_job(struct recorded_state *state, const struct recorded_job_tick *tick, struct text *out);
/* All of the state, for a file that begins in the middle. */
void recorded_state_write_all(const struct recorded_state *state, bool is_job, struct text *out);
/* The other way; members that are not known are left alone. false: err has no place yet. */
bool recorded_state_read(struct recorded_state *state, const struct tree *line, struct error *err);

/* [value, "missing"], [5], [1, "stand-in"] within a list that is begun: state and value of a sample. */
void recorded_sample_write(const struct sample *sample, struct text *out);
bool recorded_sample_read(const struct tree *list, size_t first, struct sample *out, struct error *err);

/* ---- the files of a folder ---- */
struct recording_file {
    int64_t number, bytes;
    char *name; /* without the folder */
};
/* By number; what is called otherwise is nobody's. free with recording_files_free. */
bool recording_list(const char *folder, struct recording_file **out, size_t *count, struct error *err);
void recording_files_free(struct recording_file *files, size_t count);
/* "weir-000042-20260131T120000Z.jsonl.gz" */
void recording_file_name(int64_t number, int64_t at_ms, char *out, size_t size);

#endif
