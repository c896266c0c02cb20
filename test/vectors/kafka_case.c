/*
 * kafka_case: a Kafka cluster that is played. It stands where trigger/family/kafka_client.c stands elsewhere: the linker takes what is defined
 * here and leaves the library's client out, so the driver runs as it is, from its parameters to its lag. A case has several polls; what
 * the driver remembers lives through all of them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/quantity.h"
#include "kafka_case.h"
#include "trigger/family/kafka_client.h"
#include "trigger_case.h"

/* ------------------------------------------------------------------ the cluster */

static const struct tree *cluster; /* topic -> partition -> {committed, latest}: of the poll under way */

int64_t kafka_now_ms(void)
{
    return 0;
}

bool kafka_client_open(struct kafka_client *client, const struct kafka_access *access, struct error *err)
{
    (void)client, (void)access, (void)err;
    return true;
}

void kafka_client_close(struct kafka_client *client)
{
    (void)client;
}

bool kafka_partitions(struct kafka_client *client, const char *name, int64_t deadline_ms, int32_t *count,
                      struct error *err)
{
    const struct tree *topic = tree_get(cluster, name);

    (void)client, (void)deadline_ms;
    if (!topic)
        return error_set(err, ERROR_MISSING, "topic %s: unknown topic", name);
    *count = 0;
    for (const struct tree *p = topic->first; p; p = p->next)
        if (atoi(p->key) >= *count)
            *count = atoi(p->key) + 1;
    return true;
}

static void read_offset(const struct tree *partition, const char *name, int64_t *out)
{
    if (!tree_integer(tree_get(partition, name), out))
        *out = KAFKA_ABSENT;
}

bool kafka_offsets(struct kafka_client *client, const char *group, struct kafka_partition *partitions, size_t count,
                   int64_t deadline_ms, struct error *err)
{
    (void)client, (void)group, (void)deadline_ms, (void)err;
    for (size_t i = 0; i < count; i++) {
        char id[16];
        const struct tree *partition;

        snprintf(id, sizeof(id), "%d", (int)partitions[i].id);
        partition = tree_get(tree_get(cluster, partitions[i].topic), id);
        read_offset(partition, "committed", &partitions[i].committed);
        read_offset(partition, "latest", &partitions[i].end);
    }
    return true;
}

bool kafka_group_topics(struct kafka_client *client, const char *group, struct arena *arena, int64_t deadline_ms,
                        const char *const **topics, size_t *count, struct error *err)
{
    const char **names = arena_array(arena, tree_count(cluster) + 1, sizeof(*names));

    (void)client, (void)group, (void)deadline_ms, (void)err;
    *count = 0;
    for (const struct tree *t = cluster->first; t; t = t->next)
        names[(*count)++] = t->key;
    *topics = names;
    return true;
}

/* ------------------------------------------------------------------ comparing */

/* Where we differ on purpose, by kinds of cases. */
static const char *deviation(const struct trigger_case *c, const struct query *query)
{
    if (query->error.kind == ERROR_MISSING && strcmp(c->input.type, "apache-kafka") == 0)
        return "apache-kafka: a topic that is not there is a failure, not a lag of 0";
    if (query->error.kind == ERROR_INVALID && strcmp(c->input.type, "apache-kafka") == 0)
        return "apache-kafka: partition limits that leave nothing out of a topic are a failure, not a lag of 0";
    return NULL;
}

static bool agrees(const struct query *query, const struct tree *expected)
{
    const char *value = tree_string(tree_get(expected, "value"));
    double number, got = query->value < 0 ? 0 : query->value;

    return value && quantity_parse_double(value, &number) && fabs(got - number) <= 0.0005 &&
           (query->activity == ACTIVITY_ON) == case_bool(expected, "active");
}

static enum vector_outcome compare(const struct trigger_case *c, const struct query *query, const struct tree *expected,
                                   struct vector_result *result)
{
    bool failed = query->state != SAMPLE_OK, error = case_bool(expected, "error");

    if (error && failed)
        return VECTOR_PASSED;
    if (!error && !failed && agrees(query, expected))
        return VECTOR_PASSED;
    result->rule = failed && !error ? deviation(c, query) : NULL;
    if (result->rule)
        return VECTOR_DEVIATING;
    tree_write_json(expected, &result->expected);
    text_printf(&result->got, "%s %g %s %s", failed ? "failed" : "ok", query->value,
                query->activity == ACTIVITY_ON ? "active" : "inactive", query->error.text);
    return VECTOR_FAILED;
}

/* ------------------------------------------------------------------ running one */

static enum vector_outcome play(const struct trigger_case *c, const struct tree *vector, struct vector_result *result)
{
    const struct trigger_driver *driver = trigger_driver_of(c->trigger);
    const struct tree *expected = tree_at(vector, "expect.results");
    struct query query = {.memory = mem_alloc(driver->session_size), .own = mem_alloc(driver->memory_size)};
    enum vector_outcome outcome = VECTOR_PASSED;

    expected = expected ? expected->first : NULL;
    for (cluster = tree_get(vector, "polls")->first; cluster && outcome == VECTOR_PASSED; cluster = cluster->next) {
        query.state = SAMPLE_NONE;
        query.activity = ACTIVITY_BY_VALUE;
        query.value = 0;
        driver->query(trigger_config_of(c->trigger), &query);
        outcome = compare(c, &query, expected, result);
        expected = expected ? expected->next : NULL;
    }
    driver->forget(query.own);
    free(query.own);
    free(query.memory);
    return outcome;
}

enum vector_outcome vector_kafka(const struct tree *vector, struct vector_result *result)
{
    const char *type = tree_string(tree_get(vector, "type"));
    enum vector_outcome outcome = VECTOR_FAILED;
    struct trigger_case c;

    case_build(&c, tree_get(vector, "in"), type, true, NULL);
    if (c.built)
        outcome = play(&c, vector, result);
    else if (case_bool(tree_get(vector, "expect"), "buildError") ||
             case_bool(tree_index(tree_at(vector, "expect.results"), 0), "error"))
        outcome = VECTOR_PASSED;
    else
        text_printf(&result->got, "refused: %s", case_error(&c));
    case_done(&c);
    return outcome;
}

enum vector_outcome vector_kafka_calc(const struct tree *vector, struct vector_result *result)
{
    const struct tree *in = tree_get(vector, "in");
    double lag = 0, target = 0;
    int64_t partitions = 0, expected = -1, got;

    tree_number(tree_get(in, "totalLag"), &lag);
    tree_number(tree_get(in, "lagThreshold"), &target);
    tree_integer(tree_get(in, "partitions"), &partitions);
    tree_integer(tree_at(vector, "expect.consumers"), &expected);
    got = kafka_even_consumers(partitions, lag, target);
    text_printf(&result->expected, "%lld", (long long)expected);
    text_printf(&result->got, "%lld", (long long)got);
    return got == expected ? VECTOR_PASSED : VECTOR_FAILED;
}
