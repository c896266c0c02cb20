/*
 * kafka_client: see kafka_client.h. Here are the questions; kafka_handle.c opens and closes, kafka_told.c says what is wrong.
 *
 * The first question of a poll is asked in short slices until a broker is there, and what was told meanwhile ends the waiting.
 *
 * The group's commits and the ends of the partitions are under way at the same time. The library has no "list offsets" in this version,
 * but looks up offsets by time in one request a broker, and -1 is the time of the end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/map.h"
#include "trigger/family/kafka_client.h"
#include "trigger/family/kafka_told.h"

static int left_ms(int64_t deadline_ms)
{
    int64_t left = deadline_ms - kafka_now_ms();

    return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

/* ------------------------------------------------------------------ how many partitions a topic has */

struct known_topic {
    int64_t until_ms;
    int32_t partitions;
};

void kafka_topics_forget(struct kafka_client *client)
{
    const char *name;
    void *known;

    for (size_t i = 0; client->topics && map_next(client->topics, &i, &name, &known);)
        free(known);
    map_free(client->topics);
    client->topics = NULL;
}

static void forget_topic(struct kafka_client *client, const char *name)
{
    if (client->topics)
        free(map_remove(client->topics, name));
}

static void know_topic(struct kafka_client *client, const char *name, int32_t partitions)
{
    struct known_topic *known = mem_alloc(sizeof(*known));

    if (client->topics && map_count(client->topics) >= KAFKA_TOPICS_KEPT_MAX)
        kafka_topics_forget(client);
    if (!client->topics)
        client->topics = map_new();
    *known = (struct known_topic){kafka_now_ms() + KAFKA_TOPIC_KEPT_MS, partitions};
    free(map_put(client->topics, name, known));
}

/* Asks in slices while there is no broker yet, then once with all the time that is left. */
static rd_kafka_resp_err_t ask_patiently(struct kafka_client *client, rd_kafka_topic_t *topic,
                                         const struct rd_kafka_metadata **out, int64_t deadline_ms)
{
    int64_t since_ms = kafka_now_ms();
    bool slow = false;

    for (;;) {
        int left = left_ms(deadline_ms), slice = slow || left < KAFKA_SLICE_MS ? left : KAFKA_SLICE_MS;
        rd_kafka_resp_err_t code = rd_kafka_metadata(client->handle, 0, topic, out, slice);

        rd_kafka_poll(client->handle, 0);
        slow = code == RD_KAFKA_RESP_ERR__TIMED_OUT;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            kafka_told_forget(client->told); /* it was overcome */
        if ((!slow && code != RD_KAFKA_RESP_ERR__TRANSPORT) || left <= slice ||
            kafka_told_is_hopeless(client->told, since_ms))
            return code;
    }
}

static bool read_topic(struct kafka_client *client, const char *name, const struct rd_kafka_metadata *answer,
                       int32_t *count, struct error *err)
{
    char what[320];

    snprintf(what, sizeof(what), "topic %.250s", name);
    if (answer->topic_cnt != 1)
        return error_set(err, ERROR_NONSENSE, "Kafka did not say anything about %s", what);
    if (answer->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_fail(err, answer->topics[0].err, what);
    if (answer->topics[0].partition_cnt <= 0)
        return error_set(err, ERROR_NONSENSE, "%s has no partitions", what);
    *count = answer->topics[0].partition_cnt;
    know_topic(client, name, *count);
    return true;
}

bool kafka_partitions(struct kafka_client *client, const char *name, int64_t deadline_ms, int32_t *count,
                      struct error *err)
{
    const struct known_topic *known = client->topics ? map_get(client->topics, name) : NULL;
    const struct rd_kafka_metadata *answer = NULL;
    rd_kafka_topic_t *topic;
    rd_kafka_resp_err_t code;
    bool good;

    if (known && known->until_ms > kafka_now_ms()) {
        *count = known->partitions;
        return true;
    }
    topic = rd_kafka_topic_new(client->handle, name, NULL);
    if (!topic)
        return error_set(err, ERROR_INVALID, "%.250s cannot be the name of a topic", name);
    code = ask_patiently(client, topic, &answer, deadline_ms);
    rd_kafka_topic_destroy(topic);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_is_silence(code) ? kafka_client_fail(client, err)
                                      : kafka_fail(err, code, "the list of partitions");
    good = read_topic(client, name, answer, count, err);
    rd_kafka_metadata_destroy(answer);
    return good;
}

/* ------------------------------------------------------------------ what the group committed */

/* list NULL: everything it has. */
static void ask_group(struct kafka_client *client, const char *group, const rd_kafka_topic_partition_list_t *list,
                      int64_t deadline_ms)
{
    rd_kafka_ListConsumerGroupOffsets_t *question = rd_kafka_ListConsumerGroupOffsets_new(group, list);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client->handle, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    char why[64];

    rd_kafka_AdminOptions_set_request_timeout(options, left_ms(deadline_ms), why, sizeof(why));
    rd_kafka_ListConsumerGroupOffsets(client->handle, &question, 1, options, client->answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(question);
}

static rd_kafka_resp_err_t error_of_group(rd_kafka_event_t *event, const rd_kafka_topic_partition_list_t **list)
{
    const rd_kafka_ListConsumerGroupOffsets_result_t *result;
    const rd_kafka_group_result_t **groups;
    size_t count = 0;

    if (!event)
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return rd_kafka_event_error(event);
    result = rd_kafka_event_ListConsumerGroupOffsets_result(event);
    groups = result ? rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count) : NULL;
    if (count != 1)
        return RD_KAFKA_RESP_ERR__BAD_MSG;
    if (rd_kafka_group_result_error(groups[0]))
        return rd_kafka_error_code(rd_kafka_group_result_error(groups[0]));
    *list = rd_kafka_group_result_partitions(groups[0]);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* A copy of the answer, to be destroyed; NULL: *err says why. */
static rd_kafka_topic_partition_list_t *take_group(struct kafka_client *client, const char *group, int64_t deadline_ms,
                                                   struct error *err)
{
    const rd_kafka_topic_partition_list_t *list = NULL;
    rd_kafka_event_t *event = rd_kafka_queue_poll(client->answers, left_ms(deadline_ms));
    rd_kafka_resp_err_t code = error_of_group(event, &list);
    rd_kafka_topic_partition_list_t *copy = list ? rd_kafka_topic_partition_list_copy(list) : NULL;
    char what[320];

    if (event)
        rd_kafka_event_destroy(event);
    if (copy)
        return copy;
    snprintf(what, sizeof(what), "the offsets of group %.250s", group);
    if (kafka_is_silence(code))
        kafka_client_fail(client, err);
    else
        kafka_fail(err, code, what);
    return NULL;
}

/* ------------------------------------------------------------------ both together */

static int by_place(const void *a, const void *b)
{
    const struct kafka_partition *x = a, *y = b;
    int order = strcmp(x->topic, y->topic);

    return order ? order : (x->id > y->id) - (x->id < y->id);
}

static rd_kafka_topic_partition_list_t *list_of(const struct kafka_partition *partitions, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);

    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, partitions[i].topic, partitions[i].id)->offset = RD_KAFKA_OFFSET_END;
    return list;
}

/* Walks answer and partitions side by side, both sorted: each partition gets its end, or what was committed on it. */
static bool apply(struct kafka_client *client, rd_kafka_topic_partition_list_t *list,
                  struct kafka_partition *partitions, size_t count, bool ends, struct error *err)
{
    size_t i = 0;

    rd_kafka_topic_partition_list_sort(list, NULL, NULL);
    for (int j = 0; j < list->cnt; j++) {
        const rd_kafka_topic_partition_t *said = &list->elems[j];
        const struct kafka_partition wanted = {.topic = said->topic, .id = said->partition};
        char what[320];

        while (i < count && by_place(&partitions[i], &wanted) < 0)
            i++;
        if (i == count || by_place(&partitions[i], &wanted) != 0)
            continue;
        if (said->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            snprintf(what, sizeof(what), "partition %d of topic %.250s", (int)said->partition, said->topic);
            kafka_fail(err, said->err, what);
            forget_topic(client, said->topic); /* it may have gone, or have moved */
            return false;
        }
        if (ends)
            partitions[i].end = said->offset >= 0 ? said->offset : KAFKA_ABSENT;
        else
            partitions[i].committed = said->offset >= 0 ? said->offset : KAFKA_NEVER;
    }
    return true;
}

bool kafka_offsets(struct kafka_client *client, const char *group, struct kafka_partition *partitions, size_t count,
                   int64_t deadline_ms, struct error *err)
{
    rd_kafka_topic_partition_list_t *ends, *commits;
    rd_kafka_resp_err_t code;
    bool good;

    qsort(partitions, count, sizeof(*partitions), by_place);
    for (size_t i = 0; i < count; i++)
        partitions[i].committed = partitions[i].end = KAFKA_ABSENT;
    ends = list_of(partitions, count);
    ask_group(client, group, ends, deadline_ms);
    code = rd_kafka_offsets_for_times(client->handle, ends, left_ms(deadline_ms));
    commits = take_group(client, group, deadline_ms, err); /* always: the answer would be taken for the next poll's */
    good = commits && apply(client, commits, partitions, count, false, err);
    if (good && code != RD_KAFKA_RESP_ERR_NO_ERROR)
        good = kafka_is_silence(code) ? kafka_client_fail(client, err)
                                      : kafka_fail(err, code, "the ends of the partitions");
    good = good && apply(client, ends, partitions, count, true, err);
    if (commits)
        rd_kafka_topic_partition_list_destroy(commits);
    rd_kafka_topic_partition_list_destroy(ends);
    return good;
}

bool kafka_group_topics(struct kafka_client *client, const char *group, struct arena *arena, int64_t deadline_ms,
                        const char *const **topics, size_t *count, struct error *err)
{
    rd_kafka_topic_partition_list_t *commits;
    const char **names;

    ask_group(client, group, NULL, deadline_ms);
    commits = take_group(client, group, deadline_ms, err);
    if (!commits)
        return false;
    rd_kafka_topic_partition_list_sort(commits, NULL, NULL);
    names = arena_array(arena, (size_t)commits->cnt + 1, sizeof(*names));
    *count = 0;
    for (int i = 0; i < commits->cnt; i++)
        if (i == 0 || strcmp(commits->elems[i].topic, commits->elems[i - 1].topic) != 0)
            names[(*count)++] = arena_copy(arena, commits->elems[i].topic);
    *topics = names;
    rd_kafka_topic_partition_list_destroy(commits);
    return true;
}
