/*
 * beanstalkd: jobs in a tube. Facts: triggers/beanstalkd.md.
 *
 *     stats-tube NAME\r\n -> OK <bytes>\r\n --- key: value lines \r\n  |  NOT_FOUND\r\n  |  an error's name\r\n
 *
 * A tube exists only while there is something in it or somebody uses it, so one that is not found holds no jobs. Answers of a
 * beanstalkd in trouble are failures.
 *
 * KEDA's default of 30 for `timeout` means 30 ms, which its page calls seconds; whoever writes a bare number has the same in mind. So
 * less than TIMEOUT_LEAST_MS is not taken at its word: it would only make a busy server look dead.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "trigger/common/dsn.h"
#include "trigger/common/form.h"
#include "trigger/driver.h"

/* The protocol's port; its bound on a tube's name; an answer has some 350 bytes, a first line some 40. */
enum {
    BEANSTALKD_PORT = 11300,
    TUBE_MAX_BYTES = 200,
    STATS_MAX_BYTES = 16 * 1024,
    FIRST_LINE_MAX_BYTES = 256,
    TIMEOUT_LEAST_MS = 1000
};

struct beanstalkd {
    struct trigger_config common;
    const char *server, *tube;
    int64_t timeout_ms;
    bool delayed;
    const char *host; /* in the trigger's arena */
    int port;
};

#define PARAM_STRUCT struct beanstalkd
static const struct param params[] = {
    {"server", PARAM_TEXT(server), .required = true, .help = "host:port; 11300 where there is no port"},
    {"tube", PARAM_TEXT(tube), .required = true, .question = true, .help = "name of the tube"},
    {"value", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .required = true,
     .help = "jobs one replica should carry"},
    {"activationValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"includeDelayed", PARAM_BOOL(delayed), .fallback = "false", .question = true,
     .help = "count jobs that wait for their time, too"},
    {"timeout", PARAM_DURATION(timeout_ms), .fallback = "30", .question = true,
     .help = "of the whole question, like 30s; what is below a second counts as one"},
    {0},
};
#undef PARAM_STRUCT

/* What is sent is one line: a name that could end it, or begin another word, would ask something else. */
static bool is_tube(const char *name)
{
    size_t length = strlen(name);

    for (const char *c = name; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return false;
    return length > 0 && length <= TUBE_MAX_BYTES;
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct beanstalkd *c = config;
    char host[DSN_HOST_BYTES];

    if (c->server && dsn_host(c->server, 0, BEANSTALKD_PORT, host, sizeof(host), &c->port) && *host && c->port > 0)
        c->host = arena_copy(check_arena(check), host);
    else if (c->server)
        check_warning(check, "server", "write host:port", "server is not host:port: every poll fails");
    if (c->tube && !is_tube(c->tube))
        check_warning(check, "tube", "use up to 200 letters, digits and -+/;.$_()",
                      "there can be no tube of this name: every poll fails");
    return true;
}

static bool destination(const void *config, char *out, size_t size)
{
    const struct beanstalkd *c = config;

    return c->host && (size_t)snprintf(out, size, strchr(c->host, ':') ? "[%s]:%d" : "%s:%d", c->host, c->port) < size;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct beanstalkd *c = config;

    (void)input;
    text_add(out, "beanstalkd-");
    form_add(out, c->tube ? c->tube : "");
}

/* ------------------------------------------------------------------ the answer */

struct stats {
    double ready, reserved, delayed;
    bool any, bad;
};

static void take_line(struct stats *stats, const char *line, size_t length)
{
    const struct {
        const char *key;
        double *into;
    } keys[] = {{"current-jobs-ready: ", &stats->ready},
                {"current-jobs-reserved: ", &stats->reserved},
                {"current-jobs-delayed: ", &stats->delayed}};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        size_t key = strlen(keys[i].key), digits;

        if (length < key || memcmp(line, keys[i].key, key) != 0)
            continue;
        digits = strspn(line + key, "0123456789");
        stats->bad |= digits == 0 || digits > 18 || line[key + digits] != '\n';
        *keys[i].into = stats->bad ? 0 : (double)strtoll(line + key, NULL, 10);
        stats->any = true;
    }
}

/* Ends with a 0 byte behind its length, as all that a talk is shown. */
static enum poll_next take_stats(const struct beanstalkd *c, struct poll *poll, const char *body, size_t length)
{
    struct stats stats = {.any = false};

    for (size_t at = 0; at < length;) {
        const char *end = memchr(body + at, '\n', length - at);
        size_t line = end ? (size_t)(end - (body + at)) + 1 : length - at;

        take_line(&stats, body + at, line);
        at += line;
    }
    if (!stats.any || stats.bad)
        return poll_fail(poll, ERROR_NONSENSE, "the answer holds no counts of jobs");
    return poll_value(poll, stats.ready + stats.reserved + (c->delayed ? stats.delayed : 0));
}

static enum poll_next take_refusal(struct poll *poll, const char *line, size_t length)
{
    static const char *const trouble[] = {"OUT_OF_MEMORY", "INTERNAL_ERROR", "DRAINING"};
    char words[64];

    snprintf(words, sizeof(words), "%.*s", (int)length, line);
    for (char *w = words; *w; w++)
        if ((unsigned char)*w < ' ' || (unsigned char)*w > '~')
            *w = '?';
    for (size_t i = 0; i < sizeof(trouble) / sizeof(trouble[0]); i++)
        if (strcmp(words, trouble[i]) == 0)
            return poll_fail(poll, ERROR_UNREACHABLE, "beanstalkd is in trouble: %s", words);
    return poll_fail(poll, ERROR_NONSENSE, "beanstalkd answers %s", words);
}

/* The first line says what follows. */
static enum poll_next take_answer(const struct beanstalkd *c, struct poll *poll, const char *bytes, size_t length)
{
    const char *end = memchr(bytes, '\n', length);
    size_t line = end ? (size_t)(end - bytes) : length, digits;
    unsigned long body;

    if (!end || line == 0 || end[-1] != '\r') {
        if (end || length > FIRST_LINE_MAX_BYTES)
            return poll_fail(poll, ERROR_NONSENSE, "what answers is no beanstalkd");
        return talk_more(poll);
    }
    line--;
    if (line == strlen("NOT_FOUND") && memcmp(bytes, "NOT_FOUND", line) == 0) {
        talk_taken(poll, line + 2);
        return poll_value(poll, 0);
    }
    digits = line > 3 && memcmp(bytes, "OK ", 3) == 0 ? strspn(bytes + 3, "0123456789") : 0;
    if (digits == 0 || 3 + digits != line)
        return take_refusal(poll, bytes, line);
    body = strtoul(bytes + 3, NULL, 10);
    if (digits > 9 || body > STATS_MAX_BYTES)
        return poll_fail(poll, ERROR_LIMIT, "beanstalkd announces an answer of more than %d bytes", STATS_MAX_BYTES);
    if (length < line + 2 + body + 2)
        return talk_more(poll);
    if (memcmp(bytes + line + 2 + body, "\r\n", 2) != 0)
        return poll_fail(poll, ERROR_NONSENSE, "beanstalkd's answer does not end where it said");
    talk_taken(poll, line + 2 + body + 2);
    return take_stats(c, poll, bytes + line + 2, body);
}

static enum poll_next talk(const void *config, struct poll *poll, const char *bytes, size_t length)
{
    const struct beanstalkd *c = config;
    struct talk_address address = {.host = c->host, .port = c->port, .timeout_ms = c->timeout_ms};
    const char *question;

    if (!bytes) {
        if (!c->host || !is_tube(c->tube))
            return poll_fail(poll, ERROR_INVALID,
                             c->host ? "there can be no tube of this name" : "there is no host:port to ask");
        if (address.timeout_ms < TIMEOUT_LEAST_MS)
            address.timeout_ms = TIMEOUT_LEAST_MS;
        return talk_open(poll, &address);
    }
    if (length > 0)
        return take_answer(c, poll, bytes, length);
    question = arena_printf(poll_arena(poll), "stats-tube %s\r\n", c->tube);
    talk_write(poll, question, strlen(question));
    return talk_more(poll);
}

TRIGGER(beanstalkd) = {
    .type = "beanstalkd",
    .summary = "jobs in a beanstalkd tube",
    .about = "Jobs that are ready or reserved, with includeDelayed also those that wait for their time; buried ones "
             "never count. A "
             "tube that beanstalkd does not know holds no jobs: it forgets tubes that nobody uses.",
    .example = "metadata:\n"
               "  server: beanstalkd.jobs.svc:11300\n"
               "  tube: mails\n"
               "  value: \"20\"\n",
    .locally = "apt-get install beanstalkd netcat-openbsd\n"
               "beanstalkd -l 127.0.0.1 -p 11300 &\n"
               "printf 'use mails\\r\\nput 0 0 60 5\\r\\nhello\\r\\n' | nc -q 1 localhost 11300\n"
               "weir probe mails.yaml     # server: localhost:11300\n",
    .params = params,
    .config_size = sizeof(struct beanstalkd),
    .prepare = prepare,
    .metric_name = metric_name,
    .destination = destination,
    .talk = talk,
};
