/*
 * client: see client.h. Requests are made by libcurl, with a handle of their own each; those to a cluster by the client of the Kubernetes
 * platform (service_proxy.h), which knows kubeconfigs, and is made at the first question.
 */
#include "cli/client.h"

#include <curl/curl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/interrupt.h"
#include "platform/kubernetes/service_proxy.h"

enum { ANSWER_MAX_S = 10 };

static const struct client_cluster *cluster; /* NULL: this machine */
static struct service_proxy *proxy;          /* of the cluster, once something was asked */

/* ------------------------------------------------------------------ paths */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-_.~", c);
}

void percent_encode(const char *string, char *out, size_t size)
{
    size_t at = 0;

    for (; *string && at + 4 < size; string++)
        at += (size_t)snprintf(out + at, size - at, is_plain(*string) ? "%c" : "%%%02X", (unsigned char)*string);
    out[at] = '\0';
}

void object_path(const char *kind, const char *ns, const char *name, const char *tail, char *out, size_t size)
{
    char parts[3][3 * NAME_MAX_BYTES];

    percent_encode(kind, parts[0], sizeof(parts[0]));
    percent_encode(ns, parts[1], sizeof(parts[1]));
    percent_encode(name, parts[2], sizeof(parts[2]));
    snprintf(out, size, "/api/v1/objects/%s/%s%s%s%s", parts[1], parts[2], tail, *kind ? "?kind=" : "", parts[0]);
}

/* ------------------------------------------------------------------ through an API server */

void client_use_cluster(const struct client_cluster *chosen)
{
    cluster = chosen;
}

bool client_is_cluster(void)
{
    return cluster != NULL;
}

static bool connect_cluster(struct error *err)
{
    return proxy || service_proxy_new(&(struct service_proxy_options){.kubeconfig = cluster->kubeconfig,
                                                                      .context = cluster->context,
                                                                      .ns = cluster->ns,
                                                                      .service = cluster->service,
                                                                      .account = cluster->account,
                                                                      .stop = &interrupted},
                                      &proxy, err);
}

/* A kubeconfig that cannot be read is told by the question that follows. */
const char *client_namespace(void)
{
    struct error ignored;

    return cluster && connect_cluster(&ignored) ? service_proxy_namespace(proxy) : "default";
}

/* Whose errors have a place, which is told with them: the file of the kubeconfig, the path that was refused. */
static enum ask_result get_from_cluster(const char *path, struct text *body, struct error *err)
{
    struct error why;

    if (connect_cluster(&why) && service_proxy_get(proxy, path, body, &why))
        return ASK_OK;
    error_set(err, why.kind, "%s%s%s", why.where, *why.where ? ": " : "", why.text);
    return ASK_FAILED;
}

/* ------------------------------------------------------------------ on this machine */

static bool socket_path(const char *data_dir, char *socket, size_t size, struct error *err)
{
    data_dir_socket(data_dir, socket, size);
    if (strlen(socket) < sizeof(((struct sockaddr_un *)0)->sun_path))
        return true;
    return error_set(err, ERROR_INVALID,
                     "no Weir can be running there: the path of a Unix socket has at most %zu characters, and "
                     "%.200s... has more; use a shorter --data-dir",
                     sizeof(((struct sockaddr_un *)0)->sun_path) - 1, socket);
}

static CURL *request_new(const char *socket, const char *path)
{
    CURL *curl = curl_easy_init();
    char url[PATH_MAX_BYTES + 32];

    snprintf(url, sizeof(url), "http://weir%s", path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    return curl;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    return text_append(arg, bytes, size * count) ? size * count : 0;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)arg, (void)a, (void)b, (void)c, (void)d;
    return interrupted; /* not 0: given up */
}

static CURLcode ask(const char *socket, const char *path, struct text *body, long *status)
{
    CURL *curl = request_new(socket, path);

    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ANSWER_MAX_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_cleanup(curl);
    return code;
}

/* In Weir's words, where it has some: {"error": "..."}. */
static void refused(long status, const struct text *body, struct error *err)
{
    json_t *answer = json_loads(body->bytes, 0, NULL);
    const char *words = json_string_value(json_object_get(answer, "error"));

    error_set(err, status == 404 ? ERROR_MISSING : ERROR_NONSENSE, "%s", words ? words : body->bytes);
    json_decref(answer);
}

enum ask_result client_get(const char *data_dir, const char *path, struct text *body, struct error *err)
{
    char socket[4200];
    long status = 0;

    if (cluster)
        return get_from_cluster(path, body, err);
    if (!socket_path(data_dir, socket, sizeof(socket), err))
        return ASK_NOT_RUNNING;
    CURLcode code = ask(socket, path, body, &status);
    if (code == CURLE_COULDNT_CONNECT) {
        error_set(err, ERROR_UNREACHABLE,
                  "no Weir is running with the data dir %s; start one with 'weir run', or name its --data-dir",
                  data_dir);
        return ASK_NOT_RUNNING;
    }
    if (code != CURLE_OK) {
        error_set(err, ERROR_UNREACHABLE, "%s: %s", socket,
                  body->overflowed ? "the answer is longer than is read here" : curl_easy_strerror(code));
        return ASK_FAILED;
    }
    if (status != 200) {
        refused(status, body, err);
        return ASK_FAILED;
    }
    return ASK_OK;
}

/* ------------------------------------------------------------------ the bell */

struct client_bell {
    CURLM *multi;
    CURL *curl;
    bool rang;
};

/* An event begins with its name; what is said of the object is asked for anew anyway. */
static size_t on_event(char *bytes, size_t size, size_t count, void *arg)
{
    struct client_bell *bell = arg;

    (void)size;
    if (memmem(bytes, count, "event: object", strlen("event: object")) ||
        memmem(bytes, count, "event: gone", strlen("event: gone")))
        bell->rang = true;
    return count;
}

struct client_bell *client_bell_open(const char *data_dir, const char *kind, const char *ns, const char *name)
{
    char socket[4200], object[2 * NAME_MAX_BYTES], escaped[3 * sizeof(object)], path[PATH_MAX_BYTES];
    struct error ignored;

    if (cluster || !socket_path(data_dir, socket, sizeof(socket), &ignored))
        return NULL;
    struct client_bell *bell = mem_alloc(sizeof(*bell));
    snprintf(object, sizeof(object), "%s/%s/%s", *kind ? kind : "ScaledObject", ns, name);
    percent_encode(object, escaped, sizeof(escaped));
    snprintf(path, sizeof(path), "/api/v1/stream?object=%s", escaped);
    bell->multi = curl_multi_init();
    bell->curl = request_new(socket, path);
    curl_easy_setopt(bell->curl, CURLOPT_WRITEFUNCTION, on_event);
    curl_easy_setopt(bell->curl, CURLOPT_WRITEDATA, bell);
    curl_easy_setopt(bell->curl, CURLOPT_FAILONERROR, 1L);
    curl_multi_add_handle(bell->multi, bell->curl);
    return bell;
}

void client_bell_close(struct client_bell *bell)
{
    if (!bell)
        return;
    curl_multi_remove_handle(bell->multi, bell->curl);
    curl_easy_cleanup(bell->curl);
    curl_multi_cleanup(bell->multi);
    free(bell);
}

/* false: it has ended. */
static bool turn(struct client_bell *bell)
{
    int running = 0;

    return curl_multi_perform(bell->multi, &running) == CURLM_OK && running > 0;
}

enum bell client_bell_wait(struct client_bell *bell, int fd, int timeout_ms)
{
    struct curl_waitfd key = {.fd = fd, .events = CURL_WAIT_POLLIN};
    struct pollfd alone = {.fd = fd, .events = POLLIN};

    if (!bell)
        return poll(&alone, fd >= 0, timeout_ms) > 0 ? BELL_KEY : BELL_QUIET;
    bell->rang = false;
    if (!turn(bell))
        return BELL_LOST;
    if (!bell->rang)
        curl_multi_poll(bell->multi, &key, fd >= 0, timeout_ms, NULL);
    if (!turn(bell))
        return BELL_LOST;
    return bell->rang ? BELL_RANG : key.revents ? BELL_KEY : BELL_QUIET;
}
