/*
 * kafka_client: see kafka_client.h.
 *
 * One handle of the library is one set of connections: a thread and a socket for each broker that is asked. It dials by itself, again
 * and again, and says nothing about it but in an error callback; a call then merely times out. So the first question of a poll is
 * asked in short slices until a broker is there, and what the callback was told meanwhile ends the waiting and becomes the error.
 * A handle whose connections do not work is closed at once: otherwise it would go on dialling, with a password that is refused.
 *
 * The group's commits and the ends of the partitions are under way at the same time. The library has no "list offsets" in this version,
 * but looks up offsets by time in one request a broker, and -1 is the time of the end.
 */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/text.h"
#include "net/egress.h"
#include "trigger/driver.h"
#include "trigger/kafka_client.h"

enum {
    SCRAM_MENDED = 0x02060100, /* before, the last message of SCRAM repeated a part, which Kafka takes up to 3.9 only */
    SLICE_MS = 200,            /* of waiting for a broker: so soon is a refused login seen */
    SURE_MS = 2 * SLICE_MS,    /* one of several brokers may refuse what the next one takes */
    ALL_DOWN_MS =
        1500, /* each address of each broker was tried by then: a name often has an IPv6 address that nobody serves */
};

/* ------------------------------------------------------------------ what the library says */

struct kafka_told {
    rd_kafka_resp_err_t code; /* the most telling one */
    int64_t at_ms;            /* when it came first; 0: nothing was said */
    bool all_down;
    char text[200];
    struct egress_guard *guard; /* its threads connect for whom the client was opened */
};

/* The guard stays: the library's threads look at it. */
static void forget_told(struct kafka_told *told)
{
    told->code = RD_KAFKA_RESP_ERR_NO_ERROR;
    told->at_ms = 0;
    told->all_down = false;
    told->text[0] = '\0';
}

int64_t kafka_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_refusal(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

static bool is_silence(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
           code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__WAIT_COORD ||
           code == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT || code == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE;
}

static int rank(rd_kafka_resp_err_t code)
{
    return is_refusal(code) ? 3 : code == RD_KAFKA_RESP_ERR__SSL ? 2 : code == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : 1;
}

/* "sasl_ssl://b:9093/bootstrap: SASL authentication error: ... (after 312ms in state AUTH_REQ)": without the end. */
static void on_error(rd_kafka_t *handle, int code, const char *reason, void *arg)
{
    struct kafka_told *told = arg;
    const char *end = strstr(reason, " (after ");

    (void)handle;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        told->all_down = true;
        return;
    }
    if (rank((rd_kafka_resp_err_t)code) <= rank(told->code))
        return;
    told->code = (rd_kafka_resp_err_t)code;
    told->at_ms = kafka_now_ms();
    snprintf(told->text, sizeof(told->text), "%.*s", end ? (int)(end - reason) : (int)strlen(reason), reason);
    for (char *c = told->text; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
}

static void on_log(const rd_kafka_t *handle, int level, const char *facility, const char *line)
{
    (void)handle, (void)level, (void)facility, (void)line; /* what matters comes as an error, too */
}

/* Nothing that is waited for will come. */
static bool is_hopeless(const struct kafka_client *client, int64_t since_ms)
{
    const struct kafka_told *told = client->told;
    int64_t now_ms = kafka_now_ms();

    return (rank(told->code) >= 2 && now_ms - told->at_ms >= SURE_MS) ||
           (told->all_down && now_ms - since_ms >= ALL_DOWN_MS);
}

/* ------------------------------------------------------------------ failing */

/* Of an answer about one topic or group. Neither UNREACHABLE nor DENIED: those are said of a connection, which others use as well. */
static enum error_kind kind_of(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return ERROR_MISSING;
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
        return ERROR_INVALID;
    default:
        return is_refusal(code) ? ERROR_INVALID : ERROR_NONSENSE;
    }
}

static bool fail(struct error *err, rd_kafka_resp_err_t code, const char *what)
{
    const char *why = rd_kafka_err2str(code);

    why = string_starts(why, "Broker: ") ? why + 8 : string_starts(why, "Local: ") ? why + 7 : why;
    return error_set(err, kind_of(code), "%s: %s", what, why);
}

/* The connections do not work: what is known of the reason, and an end to them. */
static bool fail_connection(struct kafka_client *client, struct error *err)
{
    const struct kafka_told *told = client->told;
    bool refused = is_refusal(told->code);

    rd_kafka_poll(client->handle, 0);
    if (egress_guard_refusal(told->guard))
        failure_egress(err, "a broker of Kafka", egress_guard_refusal(told->guard));
    else if (rank(told->code) > 0)
        error_set(err, refused ? ERROR_DENIED : ERROR_UNREACHABLE, "%s: %s%s",
                  refused                                ? "Kafka refuses the login"
                  : told->code == RD_KAFKA_RESP_ERR__SSL ? "no TLS connection to Kafka"
                                                         : "Kafka cannot be reached",
                  told->text,
                  refused && client->scram && rd_kafka_version() < SCRAM_MENDED
                      ? " (by SCRAM, librdkafka before 2.6.1 is refused by Kafka 4 whatever the password)"
                      : "");
    else
        error_set(err, ERROR_UNREACHABLE, "Kafka did not answer within %d s", KAFKA_TIMEOUT_MS / 1000);
    kafka_client_close(client);
    return false;
}

static int left_ms(int64_t deadline_ms)
{
    int64_t left = deadline_ms - kafka_now_ms();

    return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

/* ------------------------------------------------------------------ opening and closing */

struct setting {
    const char *name, *value; /* NULL: left alone */
};

static bool set_all(rd_kafka_conf_t *conf, const struct setting *settings, size_t count, struct error *err)
{
    char why[256];

    for (size_t i = 0; i < count; i++)
        if (settings[i].value &&
            rd_kafka_conf_set(conf, settings[i].name, settings[i].value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
            return error_set(err, ERROR_INVALID, "%s cannot be used: %.200s", settings[i].name, why);
    return true;
}

/* A broker that answers more than KAFKA_REPLY_MAX_BYTES is not read; what the library fetches (we do not) has to fit in, too. */
static bool set_usual(rd_kafka_conf_t *conf, struct error *err)
{
    char reply[24], fetch[24], patience[24];
    const struct setting usual[] = {
        {"client.id", "weir"},
        {"isolation.level", "read_uncommitted"}, /* an end that an open transaction does not hide, as KEDA counts */
        {"allow.auto.create.topics", "false"},
        {"topic.metadata.refresh.interval.ms", "-1"}, /* we ask ourselves, and for less */
        {"receive.message.max.bytes", reply},
        {"fetch.max.bytes", fetch},
        {"message.max.bytes", "1000"},
        {"socket.timeout.ms", patience},
        {"socket.connection.setup.timeout.ms", patience},
        {"api.version.request.timeout.ms", patience},
        {"reconnect.backoff.max.ms", "1000"}, /* a poll does not last longer than a few attempts */
        {"socket.nagle.disable", "true"},
        {"log.connection.close", "false"},
        {"log_level", "0"},
    };

    snprintf(reply, sizeof(reply), "%d", KAFKA_REPLY_MAX_BYTES);
    snprintf(fetch, sizeof(fetch), "%d", KAFKA_REPLY_MAX_BYTES - 512);
    snprintf(patience, sizeof(patience), "%d", KAFKA_TIMEOUT_MS);
    return set_all(conf, usual, sizeof(usual) / sizeof(usual[0]), err);
}

/* Trust: the system's certificates, and `ca` beside them. Where it is not given the library finds the former by itself. */
static bool set_tls(rd_kafka_conf_t *conf, const struct kafka_access *a, struct error *err)
{
    struct stat found;
    const char *system = X509_get_default_cert_dir();
    const struct setting tls[] = {
        {"ssl.ca.location", a->ca && stat(system, &found) == 0 ? system : NULL},
        {"ssl.ca.pem", a->ca},
        {"ssl.certificate.pem", a->certificate},
        {"ssl.key.pem", a->key ? secret_reveal(a->key) : NULL},
        {"ssl.key.password", a->key_password ? secret_reveal(a->key_password) : NULL},
        {"enable.ssl.certificate.verification", a->unsafe_ssl ? "false" : "true"},
        {"ssl.endpoint.identification.algorithm", a->unsafe_ssl ? "none" : "https"},
    };

    return !a->tls || set_all(conf, tls, sizeof(tls) / sizeof(tls[0]), err);
}

static bool set_access(rd_kafka_conf_t *conf, const struct kafka_access *a, struct error *err)
{
    struct text brokers;
    const struct setting login[] = {
        {"security.protocol", a->mechanism ? (a->tls ? "sasl_ssl" : "sasl_plaintext")
                              : a->tls     ? "ssl"
                                           : "plaintext"},
        {"sasl.mechanisms", a->mechanism},
        {"sasl.username", a->username},
        {"sasl.password", a->password ? secret_reveal(a->password) : NULL},
    };
    bool good;

    text_init(&brokers, KAFKA_BROKERS_MAX_BYTES);
    for (size_t i = 0; i < a->brokers->count; i++)
        text_printf(&brokers, "%s%s", i > 0 ? "," : "", a->brokers->items[i]);
    good = set_all(conf, &(struct setting){"bootstrap.servers", brokers.bytes}, 1, err) &&
           set_all(conf, login, sizeof(login) / sizeof(login[0]), err) && set_tls(conf, a, err);
    text_done(&brokers);
    return good;
}

/* On one of the library's threads. */
static int on_connect(int fd, const struct sockaddr *address, int length, const char *id, void *opaque)
{
    const struct kafka_told *told = opaque;
    int number = egress_guard_connect(told->guard, fd, address, (unsigned)length);

    (void)id;
    return number == EINPROGRESS ? 0 : number;
}

bool kafka_client_open(struct kafka_client *client, const struct kafka_access *access, struct error *err)
{
    rd_kafka_conf_t *conf;
    char why[256];

    if (client->handle)
        return true;
    conf = rd_kafka_conf_new();
    client->told = mem_alloc(sizeof(*client->told));
    client->told->guard = egress_guard_new();
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_opaque(conf, client->told);
    rd_kafka_conf_set_connect_cb(conf, on_connect);
    if (!set_usual(conf, err) || !set_access(conf, access, err)) {
        rd_kafka_conf_destroy(conf);
        kafka_client_close(client);
        return false;
    }
    /* A consumer without a group: it never creates topics, as a producer would by asking for one. */
    client->handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (!client->handle) {
        rd_kafka_conf_destroy(conf);
        kafka_client_close(client);
        return error_set(err, ERROR_INVALID, "the Kafka client cannot be set up: %.240s", why);
    }
    client->scram = access->mechanism && string_starts(access->mechanism, "SCRAM");
    client->answers = rd_kafka_queue_new(client->handle);
    client->topics = map_new();
    return true;
}

static void forget_topics(struct kafka_client *client)
{
    const char *name;
    void *known;

    for (size_t i = 0; client->topics && map_next(client->topics, &i, &name, &known);)
        free(known);
    map_free(client->topics);
    client->topics = NULL;
}

void kafka_client_close(struct kafka_client *client)
{
    forget_topics(client);
    if (client->answers)
        rd_kafka_queue_destroy(client->answers);
    if (client->handle)
        rd_kafka_destroy(client->handle);
    if (client->told)
        egress_guard_free(client->told->guard);
    free(client->told);
    memset(client, 0, sizeof(*client));
}

/* ------------------------------------------------------------------ how many partitions a topic has */

struct known_topic {
    int64_t until_ms;
    int32_t partitions;
};

static void forget_topic(struct kafka_client *client, const char *name)
{
    free(map_remove(client->topics, name));
}

static void know_topic(struct kafka_client *client, const char *name, int32_t partitions)
{
    struct known_topic *known = mem_alloc(sizeof(*known));

    if (map_count(client->topics) >= KAFKA_TOPICS_KEPT_MAX) {
        forget_topics(client);
        client->topics = map_new();
    }
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
        int left = left_ms(deadline_ms), slice = slow || left < SLICE_MS ? left : SLICE_MS;
        rd_kafka_resp_err_t code = rd_kafka_metadata(client->handle, 0, topic, out, slice);

        rd_kafka_poll(client->handle, 0);
        slow = code == RD_KAFKA_RESP_ERR__TIMED_OUT;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            forget_told(client->told); /* it was overcome */
        if ((!slow && code != RD_KAFKA_RESP_ERR__TRANSPORT) || left <= slice || is_hopeless(client, since_ms))
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
        return fail(err, answer->topics[0].err, what);
    if (answer->topics[0].partition_cnt <= 0)
        return error_set(err, ERROR_NONSENSE, "%s has no partitions", what);
    *count = answer->topics[0].partition_cnt;
    know_topic(client, name, *count);
    return true;
}

bool kafka_partitions(struct kafka_client *client, const char *name, int64_t deadline_ms, int32_t *count,
                      struct error *err)
{
    const struct known_topic *known = map_get(client->topics, name);
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
        return is_silence(code) ? fail_connection(client, err) : fail(err, code, "the list of partitions");
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
    if (is_silence(code))
        fail_connection(client, err);
    else
        fail(err, code, what);
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

/* Walks answer and partitions side by side, both sorted; each() gets what belongs together. */
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
            fail(err, said->err, what);
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
        good = is_silence(code) ? fail_connection(client, err) : fail(err, code, "the ends of the partitions");
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
