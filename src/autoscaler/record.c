/* record: see record.h. */
#include "autoscaler/record.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "journal/recording.h"
#include "net/loop.h"

enum { MEMORY_MAX_BYTES = 4 * 1024 * 1024 };

struct autoscaler_record {
    struct autoscaler_hooks hooks;
    struct recorder *recorder;
    struct loop *loop;
    struct timer *flush;
    bool flush_set;
};

static void check(bool fine, const struct error *err)
{
    if (!fine)
        log_error("decisions are not recorded", "error", err->text, NULL);
}

static void on_flush(void *arg)
{
    struct autoscaler_record *record = arg;
    struct error err;

    record->flush_set = false;
    check(recorder_flush(record->recorder, &err), &err);
}

/* After an entry. */
static void flush_soon(struct autoscaler_record *record)
{
    if (record->flush_set)
        return;
    record->flush_set = true;
    loop_timer_set(record->flush, RECORDING_FLUSH_MS);
}

static size_t count_resources(const struct policy *policy)
{
    const struct decide_trigger *triggers = policy->is_job ? policy->job_rules.triggers : policy->rules.triggers;
    size_t resources = 0;

    for (size_t i = 0; i < policy->trigger_count; i++)
        resources += triggers[i].kind != METRIC_EXTERNAL;
    return resources;
}

static void on_loaded(void *arg, const struct autoscaler_loaded *loaded)
{
    struct autoscaler_record *record = arg;
    const struct policy *policy = loaded->policy;
    struct recorded_object object = {.key = loaded->key,
                                     .at_ms = loop_now_ms(record->loop),
                                     .created_at_ms = loaded->created_at_ms,
                                     .generation = policy->generation,
                                     .interval_ms = policy->polling_interval_ms,
                                     .is_job = policy->is_job,
                                     .triggers = policy->names,
                                     .trigger_count = policy->trigger_count,
                                     .resource_count = policy->is_job ? 0 : count_resources(policy),
                                     .series = loaded->series};
    struct error err;
    struct text memory;

    text_init(&memory, MEMORY_MAX_BYTES);
    if (loaded->memory) {
        decide_memory_write(loaded->memory, &memory);
        object.memory = memory.bytes;
        object.memory_length = memory.length;
    }
    check(recorder_object(record->recorder, &object, &err), &err);
    text_done(&memory);
    flush_soon(record);
}

static bool is_number(const struct formula_value *value)
{
    return value->type == FORMULA_BOOL || value->type == FORMULA_INT || value->type == FORMULA_NUMBER;
}

static void record_object(struct autoscaler_record *record, const struct autoscaler_decided *decided)
{
    const struct decision *d = decided->decision;
    struct error err;

    check(recorder_tick(record->recorder,
                        &(struct recorded_tick){.key = decided->key,
                                                .at_ms = decided->at_ms,
                                                .facts = decided->facts,
                                                .memory = decided->memory,
                                                .before = d->before,
                                                .after = d->after,
                                                .write = d->write,
                                                .active = d->active,
                                                .reason = d->reason,
                                                .has_value = d->has_formula && is_number(&d->formula),
                                                .value = d->formula.number},
                        &err),
          &err);
}

static void record_job(struct autoscaler_record *record, const struct autoscaler_decided *decided)
{
    struct error err;

    check(recorder_job_tick(record->recorder,
                            &(struct recorded_job_tick){.key = decided->key,
                                                        .facts = decided->job_facts,
                                                        .create = decided->job_decision->create,
                                                        .queue_length = decided->job_decision->queue_length},
                            &err),
          &err);
}

static void on_decided(void *arg, const struct autoscaler_decided *decided)
{
    struct autoscaler_record *record = arg;

    if (decided->decision)
        record_object(record, decided);
    else
        record_job(record, decided);
    flush_soon(record);
}

static void on_applied(void *arg, const char *key)
{
    struct autoscaler_record *record = arg;
    struct error err;

    check(recorder_applied(record->recorder, key, loop_now_ms(record->loop), &err), &err);
    flush_soon(record);
}

struct autoscaler_record *autoscaler_record_new(struct loop *loop, const char *folder, struct error *err)
{
    struct recorder *recorder = recorder_open(folder, NULL, err);

    if (!recorder)
        return NULL;
    struct autoscaler_record *record = mem_alloc(sizeof(*record));
    record->recorder = recorder;
    record->loop = loop;
    record->flush = loop_timer_new(loop, on_flush, record);
    record->hooks =
        (struct autoscaler_hooks){.arg = record, .loaded = on_loaded, .decided = on_decided, .applied = on_applied};
    return record;
}

const struct autoscaler_hooks *autoscaler_record_hooks(const struct autoscaler_record *record)
{
    return record ? &record->hooks : NULL;
}

void autoscaler_record_free(struct autoscaler_record *record)
{
    if (!record)
        return;
    loop_timer_free(record->flush);
    recorder_close(record->recorder);
    free(record);
}
