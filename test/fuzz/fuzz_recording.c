/*
 * Fuzzing of the reader of recordings. The bytes are the lines after a good heading and a good description, so that most of the work is
 * done in the lines that say what changed. Every entry is read to its last pod; what is refused says why.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "journal/recording.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char head[] =
    "{\"recording\":1,\"number\":1,\"continues\":null}\n"
    "{\"o\":0,\"key\":\"ScaledObject/a/"
    "b\",\"generation\":\"1\",\"at\":1,\"created\":1,\"interval\":1,\"triggers\":[\"q\",\"cpu\"],"
    "\"resources\":1}\n"
    "{\"o\":1,\"key\":\"ScaledJob/a/"
    "c\",\"generation\":\"1\",\"at\":1,\"created\":1,\"interval\":1,\"is_job\":true,\"triggers\":[\"q\"],"
    "\"resources\":0}\n";

static uint64_t sum; /* of what was read, so that reading is not left out */

static void look(const void *bytes, size_t length)
{
    for (size_t i = 0; bytes && i < length; i++)
        sum += ((const unsigned char *)bytes)[i];
}

static void look_at_tick(const struct recorded_tick *tick, size_t triggers, size_t resources)
{
    const struct decide_facts *f = tick->facts;

    if (f->now_ms != tick->at_ms || tick->reason >= REASON_COUNT)
        abort();
    look(f->samples, triggers * sizeof(*f->samples));
    look(f->good_at_ms, triggers * sizeof(*f->good_at_ms));
    for (size_t i = 0; i < f->pod_count; i++) {
        look(f->pods[i].name, strlen(f->pods[i].name));
        look(f->pods[i].usage, resources * sizeof(*f->pods[i].usage));
    }
}

static void look_at(const struct recording_entry *entry, size_t *triggers, size_t *resources)
{
    switch (entry->kind) {
    case RECORDING_OBJECT:
        for (size_t i = 0; i < entry->object.trigger_count; i++)
            look(entry->object.triggers[i], strlen(entry->object.triggers[i]));
        look(entry->object.memory, entry->object.memory_length);
        if (strcmp(entry->object.key, "ScaledObject/a/b") == 0) {
            *triggers = entry->object.trigger_count;
            *resources = entry->object.resource_count;
        }
        break;
    case RECORDING_SAMPLE:
        look(entry->trigger, strlen(entry->trigger));
        break;
    case RECORDING_TICK:
        if (strcmp(entry->tick.key, "ScaledObject/a/b") == 0)
            look_at_tick(&entry->tick, *triggers, *resources);
        break;
    case RECORDING_JOB_TICK:
        look(entry->job_tick.facts, sizeof(*entry->job_tick.facts));
        break;
    case RECORDING_APPLIED:
        look(entry->key, strlen(entry->key));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    struct recording_entry entry;
    struct error err;
    size_t triggers = 0, resources = 0;
    char path[40];

    if (fd < 0 || write(fd, head, strlen(head)) < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct recording *in = recording_open(path, &err);
    if (!in)
        abort();
    while (recording_next(in, &entry, &err))
        look_at(&entry, &triggers, &resources);
    if (err.kind != ERROR_NONE && !err.text[0])
        abort();
    recording_close(in);
    close(fd);
    return 0;
}
