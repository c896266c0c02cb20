/*
 * kafka, apache-kafka: how far a consumer group is behind, summed over the partitions of a topic, or of all it has commits on. KEDA has
 * two scalers for this on two client libraries; here they are two tables of parameters on one implementation.
 * Facts: triggers/kafka.md, triggers/apache-kafka.md.
 *
 *     how many partitions -> [ what the group committed | where they end ] -> kafka_lag
 *
 * kafka_login.h says how to sign in, kafka_client.h asks and keeps its connections in a session, kafka_lag.h works it out. Where KEDA makes up an answer we fail instead:
 * a topic that is not there is no lag of 0, and a group without commits and without a topic to look at is not the whole cluster.
 */
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "trigger/common/dsn.h"
#include "trigger/driver.h"
#include "trigger/family/kafka_client.h"
#include "trigger/family/kafka_lag.h"
#include "trigger/family/kafka_login.h"

enum { KAFKA_PORT = 9092 };

struct kafka {
    struct trigger_config common;
    const struct param_list *brokers, *topics;
    const char *group, *topic, *limitation, *version;
    int64_t target, activation;
    int reset;
    bool allow_idle, skip_stuck, zero_on_never, lagging_only, even, full_metadata;
    struct kafka_login login;

    bool apache;                       /* which of the two */
    const struct kafka_limits *limits; /* NULL: all partitions */
};

#define PARAM_STRUCT struct kafka
/* What both have, in two groups: the question, and who asks. */
#define QUESTION                                                                                                       \
    {"consumerGroup",  PARAM_TEXT(group), .from = "ME",                                                                \
     .required = true, .question = true,  .help = "the group whose lag counts"},                                       \
        {"partitionLimitation", PARAM_TEXT(limitation), .question = true,                                              \
         .help = "partitions that count: 1-4,8; without a topic it has no effect"},                                    \
        {"lagThreshold", PARAM_INTEGER(target), .fallback = "10", .question = true,                                    \
         .help = "lag one replica should carry"},                                                                      \
        {"activationLagThreshold", PARAM_INTEGER(activation), .fallback = "0", .question = true,                       \
         .help = "above it the object is active"},                                                                     \
        {"offsetResetPolicy", PARAM_CHOICE(reset, "latest,earliest"), .fallback = "latest", .question = true,          \
         .help = "where the group begins on a partition it has no commit on: latest counts such a partition as 1"},    \
        {"allowIdleConsumers", PARAM_BOOL(allow_idle), .fallback = "false", .question = true,                          \
         .help = "more replicas than partitions"},                                                                     \
        {"excludePersistentLag", PARAM_BOOL(skip_stuck), .fallback = "false", .question = true,                        \
         .help = "a partition whose commit has not moved since the last poll keeps the object active, but wants no "   \
                 "replicas"},                                                                                          \
        {"scaleToZeroOnInvalidOffset", PARAM_BOOL(zero_on_never), .fallback = "false", .question = true,               \
         .help = "a partition without a commit has no lag"},                                                           \
        {"limitToPartitionsWithLag", PARAM_BOOL(lagging_only), .fallback = "false", .question = true,                  \
         .help = "no more replicas than partitions that have lag"},                                                    \
    {                                                                                                                  \
        "ensureEvenDistributionOfPartitions", PARAM_BOOL(even),                                                        \
            .fallback = "false", .question = true,                                                                     \
            .help = "only numbers of replicas that divide the number of partitions"                                    \
    }
#define ACCESS                                                                                                         \
    {"tls", PARAM_CHOICE(login.tls, "enable,disable"), .from = "MA", .fallback = "disable",                            \
     .help = "TLS to the brokers"},                                                                                    \
        {"ca", PARAM_TEXT(login.ca), .from = "A", .help = "PEM of an authority to trust beside the system's"},         \
        {"cert", PARAM_TEXT(login.certificate), .from = "A",                                                           \
         .help = "PEM of our certificate, for brokers that ask for one"},                                              \
        {"key", PARAM_SECRET(login.key), .from = "A", .help = "PEM of its key"},                                       \
        {"keyPassword", PARAM_SECRET(login.key_password), .from = "A", .help = "password of an encrypted key"},        \
        {"username", PARAM_TEXT(login.username), .from = "A", .help = "user, for oauthbearer the client id"},          \
    {                                                                                                                  \
        "password", PARAM_SECRET(login.password), .from = "A",                                                         \
                                                  .help = "its password, for oauthbearer the client secret"            \
    }

static const struct param kafka_params[] = {
    {"bootstrapServers", PARAM_LIST(brokers), .from = "ME", .required = true,
     .help = "host:port of one or more brokers, by commas"},
    {"topic", PARAM_TEXT(topic), .from = "ME", .question = true,
     .help = "the topic; without it all on which the group has commits"},
    QUESTION,
    {"fullMetadata", PARAM_BOOL(full_metadata), .fallback = "true", .question = true,
     .help = "has no effect: only what is needed is ever asked for"},
    {"version", PARAM_TEXT(version), .question = true, .help = "has no effect: versions are agreed with the broker"},
    {"sasl", PARAM_CHOICE(login.sasl_word, KAFKA_SASL_WORDS), .from = "MA", .fallback = "none",
     .help = "how to log in"},
    ACCESS,
    {"unsafeSsl", PARAM_BOOL(login.unsafe_ssl), .fallback = "false",
     .help = "true: the brokers' certificates are not checked"},
    {"saslTokenProvider", PARAM_CHOICE(login.provider, "bearer,aws_msk_iam"), .from = "MA", .fallback = "bearer",
     .help = "where oauthbearer gets its token"},
    {"scopes", PARAM_TEXT(login.scopes), .from = "A", .help = "of the token, by commas"},
    {"oauthTokenEndpointUri", PARAM_TEXT(login.token_url), .from = "A", .address = true,
     .help = "where tokens come from"},
    {"oauthExtensions", PARAM_TEXT(login.extensions), .from = "A", .help = "name=value,name=value, told to the broker"},
    {"keytab", PARAM_SECRET(login.keytab), .from = "A", .bytes = true,
     .help = "for gssapi: its keys, instead of a password"},
    {"realm", PARAM_TEXT(login.realm), .from = "A", .help = "for gssapi: of the user"},
    {"kerberosConfig", PARAM_SECRET(login.kerberos_config), .from = "A",
     .help = "for gssapi: a krb5.conf, of which realms, KDCs and how tickets are asked for count; nothing but a "
             "comment: that of Weir"},
    {"kerberosServiceName", PARAM_TEXT(login.service), .from = "A", .fallback = "kafka",
     .help = "for gssapi: the brokers' principals are this/host"},
    {"kerberosDisableFAST", PARAM_BOOL(login.no_fast), .from = "A", .fallback = "false",
     .help = "has no effect: FAST is never used"},
    {"awsRegion", PARAM_TEXT(login.region), .help = "for aws_msk_iam"},
    {0},
};

static const struct param apache_params[] = {
    {"bootstrapServers", PARAM_LIST(brokers), .from = "ME", .required = true,
     .help = "host:port of one or more brokers, by commas"},
    {"topic", PARAM_LIST(topics), .from = "ME", .question = true,
     .help = "topics, by commas; without it all on which the group has commits"},
    QUESTION,
    {"sasl", PARAM_CHOICE(login.sasl_word, KAFKA_APACHE_SASL_WORDS), .from = "MA", .fallback = "none",
     .help = "how to log in"},
    ACCESS,
    {"awsRegion", PARAM_TEXT(login.region), .help = "for aws_msk_iam"},
    {0},
};
#undef PARAM_STRUCT

/* ------------------------------------------------------------------ rules between parameters */

static bool has_topic(const struct kafka *c)
{
    return c->topic || (c->topics && c->topics->count > 0);
}

static bool check_numbers(const struct kafka *c, struct trigger_check *check)
{
    bool good = true;

    if (c->target <= 0)
        good = check_error(check, "lagThreshold", "write the lag one replica should carry",
                           "lagThreshold has to be above 0");
    if (c->activation < 0)
        good = check_error(check, "activationLagThreshold", "write 0 or more", "activationLagThreshold is negative");
    return good;
}

static bool check_switches(const struct kafka *c, struct trigger_check *check)
{
    bool good = true, topic = has_topic(c) || check_unknown(check, "topic");

    if (c->allow_idle && c->lagging_only)
        good = check_error(check, "limitToPartitionsWithLag", "keep one of them",
                           "allowIdleConsumers and limitToPartitionsWithLag exclude each other");
    if (c->lagging_only && c->even && !c->apache)
        good = check_error(check, "limitToPartitionsWithLag", "keep one of them",
                           "ensureEvenDistributionOfPartitions and limitToPartitionsWithLag exclude each other");
    if (c->lagging_only && !topic)
        good = check_error(check, "topic", "name the topic", "limitToPartitionsWithLag needs a topic");
    if (c->even && !topic && !c->apache)
        good = check_error(check, "topic", "name the topic", "ensureEvenDistributionOfPartitions needs a topic");
    if (!c->full_metadata && !topic && !c->apache)
        good = check_error(check, "topic", "name the topic", "fullMetadata: false needs a topic");
    return good;
}

/* 0.a.b.c or a.b.c */
static bool check_version(const struct kafka *c, struct trigger_check *check)
{
    int dots = 0, digits = 0;
    bool good = true;

    for (const char *v = c->version; v && *v; v++) {
        good = good && (*v == '.' ? digits > 0 : *v >= '0' && *v <= '9');
        dots += *v == '.';
        digits = *v == '.' ? 0 : digits + 1;
    }
    if (!c->version || (good && digits > 0 && dots == (string_starts(c->version, "0.") ? 3 : 2)))
        return true;
    return check_error(check, "version", "write a.b.c, or 0.a.b.c for the oldest",
                       "version %.40s is not one of Kafka's", c->version);
}

static bool read_limits(struct kafka *c, struct trigger_check *check)
{
    const char *bad = "";

    if (!c->limitation || (!c->apache && !has_topic(c)))
        return true;
    c->limits = kafka_limits_read(c->limitation, check_arena(check), &bad);
    if (!c->limits)
        return check_error(check, "partitionLimitation", "write numbers and ranges: 1-4,8",
                           "partitionLimitation: \"%.40s\" is neither a partition nor a range", bad);
    c->limits = has_topic(c) ? c->limits : NULL;
    return true;
}

/* The library takes more than places, PROTO://host:port/path, and ":port" for this machine: it would ask other hosts than those that are
   told. */
static bool check_brokers(const struct kafka *c, struct trigger_check *check)
{
    bool good = true;

    if (c->brokers && c->brokers->count == 0)
        good = check_error(check, "bootstrapServers", "write host:port", "bootstrapServers names no broker");
    for (size_t i = 0; c->brokers && i < c->brokers->count && good; i++)
        if (!dsn_is_place(c->brokers->items[i]))
            good = check_error(check, "bootstrapServers", "write host:port, and [address]:port in IPv6",
                               "bootstrapServers: an entry is no host with a port");
    return good;
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct kafka *c = config;
    bool good = check_numbers(c, check);

    c->apache = strcmp(check_input(check)->type, "apache-kafka") == 0;
    good = check_switches(c, check) && good;
    good = read_limits(c, check) && good;
    good = check_version(c, check) && good;
    good = kafka_login_check(&c->login, c->apache, check) && good;
    return check_brokers(c, check) && good;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct kafka *c = config;

    (void)input;
    text_add(out, "kafka-");
    if (c->topic)
        text_add(out, c->topic);
    for (size_t i = 0; c->topics && i < c->topics->count; i++)
        text_printf(out, "%s%s", i > 0 ? "," : "", c->topics->items[i]);
    if (!has_topic(c))
        text_printf(out, "%s-topics", c->group);
}

/* Lag is bounded by the threshold and weighed against the activation before it is a value: both are part of the question. */
static void target(const void *config, struct trigger_metric *metric)
{
    const struct kafka *c = config;

    metric->target = (double)c->target;
    metric->activation = (double)c->activation;
}

static void destinations(const void *config, struct destinations *out)
{
    const struct kafka *c = config;

    for (size_t i = 0; c->brokers && i < c->brokers->count; i++)
        destinations_add_list(out, c->brokers->items[i], KAFKA_PORT);
}

static bool token(const void *config, struct arena *arena, struct credential_client *out)
{
    const struct kafka *c = config;

    return kafka_login_token(&c->login, arena, out);
}

/* ------------------------------------------------------------------ on the worker thread */

struct asked { /* partitions of all topics */
    struct kafka_partition *partitions;
    size_t count;
};

static bool add_topic(const struct kafka *c, const char *topic, int32_t partitions, struct arena *arena,
                      struct asked *asked, struct error *err)
{
    struct kafka_partition *grown;
    size_t before = asked->count;

    if (asked->count + (size_t)partitions > KAFKA_PARTITIONS_MAX)
        return error_set(err, ERROR_LIMIT, "more than KAFKA_PARTITIONS_MAX (%d) partitions", KAFKA_PARTITIONS_MAX);
    grown = arena_array(arena, before + (size_t)partitions, sizeof(*grown));
    if (before > 0)
        memcpy(grown, asked->partitions, before * sizeof(*grown));
    asked->partitions = grown;
    for (int32_t id = 0; id < partitions; id++)
        if (kafka_limits_allow(c->limits, id))
            grown[asked->count++] = (struct kafka_partition){.topic = topic, .id = id};
    return asked->count > before ||
           error_set(err, ERROR_INVALID, "partitionLimitation leaves out all %d partitions of topic %s",
                     (int)partitions, topic);
}

static bool find_topics(const struct kafka *c, struct kafka_client *client, struct arena *arena, int64_t deadline_ms,
                        const char *const **topics, size_t *count, struct error *err)
{
    if (c->topic) {
        *topics = &c->topic;
        *count = 1;
    } else if (c->topics && c->topics->count > 0) {
        *topics = c->topics->items;
        *count = c->topics->count;
    } else if (!kafka_group_topics(client, c->group, arena, deadline_ms, topics, count, err)) {
        return false;
    } else if (*count == 0) {
        return error_set(err, ERROR_MISSING, "group %s has committed nothing: name the topic it is to read", c->group);
    }
    return *count <= KAFKA_TOPICS_MAX ||
           error_set(err, ERROR_LIMIT, "more than KAFKA_TOPICS_MAX (%d) topics: name those that count",
                     KAFKA_TOPICS_MAX);
}

static bool gather(const struct kafka *c, struct kafka_client *client, struct arena *arena, int64_t deadline_ms,
                   struct asked *asked, struct error *err)
{
    const char *const *topics;
    size_t count;

    if (!find_topics(c, client, arena, deadline_ms, &topics, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        int32_t partitions;

        if (!kafka_partitions(client, topics[i], deadline_ms, &partitions, err) ||
            !add_topic(c, topics[i], partitions, arena, asked, err))
            return false;
    }
    return kafka_offsets(client, c->group, asked->partitions, asked->count, deadline_ms, err);
}

static bool ask(const struct kafka *c, struct query *query, struct arena *arena)
{
    const struct kafka_rules rules = {
        .target = c->target,
        .earliest = c->reset == 1,
        .zero_on_never = c->zero_on_never,
        .allow_idle = c->allow_idle,
        .skip_stuck = c->skip_stuck,
        .lagging_only = c->lagging_only,
        .even = c->even,
        .absent_is_all = c->apache,
    };
    struct kafka_access access = kafka_login_access(&c->login);
    int64_t deadline_ms;
    struct asked asked = {0};
    struct kafka_sum sum;

    access.brokers = c->brokers;
    access.group = c->group;
    access.token = query->token;
    if (kafka_login_missing(&c->login))
        return error_set(&query->error, ERROR_INVALID, "%s", kafka_login_missing(&c->login));
    if (!kafka_client_open(query->memory, &access, &query->error)) /* a KDC takes time of its own */
        return false;
    deadline_ms = kafka_now_ms() + KAFKA_TIMEOUT_MS;
    if (!gather(c, query->memory, arena, deadline_ms, &asked, &query->error) ||
        !kafka_lag(&rules, query->own, asked.partitions, asked.count, &sum, &query->error))
        return false;
    query->value = sum.value;
    query->activity = sum.waiting > (double)c->activation ? ACTIVITY_ON : ACTIVITY_OFF;
    return true;
}

static void run(const void *config, struct query *query)
{
    struct arena *arena = arena_new(ARENA_USUAL);

    query->state = ask(config, query, arena) ? SAMPLE_OK : SAMPLE_FAILED;
    arena_free(arena);
}

static void hang_up(void *session)
{
    kafka_client_close(session);
}

static void forget(void *memory)
{
    kafka_memory_done(memory);
}

#define ABOUT                                                                                                          \
    "The messages that the group has not read yet: the end of each partition less what the group committed there. "    \
    "The sum is bounded "                                                                                              \
    "by lagThreshold times the number of partitions, unless allowIdleConsumers is true, because more consumers than "  \
    "partitions would "                                                                                                \
    "wait. A partition without a commit counts as one message (offsetResetPolicy: latest) or as all of them "          \
    "(earliest). A topic, a "                                                                                          \
    "partition or a broker that is not there is a failure, never a lag of 0."
#define SIGNING_IN                                                                                                     \
    "\n\nWith `sasl: oauthbearer` a token is had from oauthTokenEndpointUri by client credentials, used by all "       \
    "triggers "                                                                                                        \
    "of this client on these brokers, renewed before it ends, and replaced when the brokers refuse it. From Kafka 4 "  \
    "on "                                                                                                              \
    "SCRAM needs librdkafka 2.6.1; with an older one the error says so, and `plaintext` over TLS or a client "         \
    "certificate "                                                                                                     \
    "is the way.\n\n"                                                                                                  \
    "With `sasl: gssapi` a ticket for username@realm is had from a KDC with the password or the keytab, lies in "      \
    "memory for this "                                                                                                 \
    "client of these brokers alone, and is renewed before it ends. Realms and KDCs are those of kerberosConfig, a "    \
    "krb5.conf that is read as KEDA reads it: of [libdefaults] what says how tickets are asked for, of [realms] "      \
    "`kdc`, "                                                                                                          \
    "`primary_kdc` and `master_kdc` (eight of each at most), and [domain_realm]. All else in it has no effect: other " \
    "sections, files "                                                                                                 \
    "to include, "                                                                                                     \
    "modules, caches and keytabs; an `include` inside one of these sections is an error. A realm whose KDCs are in "   \
    "DNS needs "                                                                                                       \
    "`dns_lookup_kdc = true`, and a broker's principal has the name it is called by; if the KDC does not know that, "  \
    "the name DNS "                                                                                                    \
    "has for it, unless `dns_canonicalize_hostname = false`. Where kerberosConfig holds nothing but comments, the "    \
    "krb5.conf "                                                                                                       \
    "of whoever runs Weir counts (`KRB5_CONFIG`, else /etc/krb5.conf). A KDC has to be allowed by the namespace's "    \
    "egress rules, "                                                                                                   \
    "and is waited for 9 s at most, besides what DNS takes. Cyrus SASL's GSSAPI module for MIT Kerberos must be "      \
    "installed (Debian: "                                                                                              \
    "libsasl2-modules-gssapi-mit).\n\n"                                                                                \
    "`aws_msk_iam` is accepted, and every poll fails with the reason: credentials of AWS are not built in."
#define LOCALLY                                                                                                        \
    "# with the scripts of a Kafka archive:\n"                                                                         \
    "kafka-storage.sh format --standalone -t $(kafka-storage.sh random-uuid) -c config/server.properties\n"            \
    "kafka-server-start.sh config/server.properties &\n"                                                               \
    "kafka-topics.sh --bootstrap-server localhost:9092 --create --topic orders --partitions 3\n"                       \
    "seq 100 | kafka-console-producer.sh --bootstrap-server localhost:9092 --topic orders\n"                           \
    "kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic orders --group billing --max-messages "       \
    "1\n"                                                                                                              \
    "weir probe app.yaml"
/* One connection for each set of brokers and credential. A poll takes one round trip, every fourth two, so a thousand objects fit on
   one at 20 ms; each further one would cost a thread and a socket for every broker. */
#define COMMON                                                                                                         \
    .config_size = sizeof(struct kafka), .memory_size = sizeof(struct kafka_memory),                                   \
    .session_size = sizeof(struct kafka_client), .sessions_max = 1, .timeout_ms = KAFKA_QUEUE_MS,                      \
    .metric_name = metric_name, .target = target, .destinations = destinations, .forget = forget, .hang_up = hang_up,  \
    .prepare = prepare, .token = token, .query = run

TRIGGER(kafka) = {
    .type = "kafka",
    .summary = "lag of a Kafka consumer group",
    .about = ABOUT SIGNING_IN,
    .example = "metadata:\n"
               "  bootstrapServers: kafka.shop.svc:9092\n"
               "  consumerGroup: billing\n"
               "  topic: orders\n"
               "  lagThreshold: \"50\"\n"
               "  sasl: scram_sha512\n"
               "  tls: enable\n"
               "authentication:\n"
               "  username: weir\n"
               "  password: s3cret\n",
    .locally = LOCALLY,
    .params = kafka_params,
    COMMON,
};

TRIGGER(apache_kafka) = {
    .type = "apache-kafka",
    .summary = "lag of a Kafka consumer group, over several topics",
    .about = ABOUT,
    .example = "triggers:\n"
               "- type: apache-kafka\n"
               "  metadata:\n"
               "    bootstrapServers: kafka.shop:9092\n"
               "    consumerGroup: billing\n"
               "    topic: orders,returns\n"
               "    lagThreshold: \"50\"\n",
    .locally = LOCALLY,
    .params = apache_params,
    COMMON,
};
