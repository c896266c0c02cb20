/* client: one GET to a running Weir, through the Unix socket in its data dir. */
#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/error.h"
#include "cli/cli.h"

enum { ANSWER_MAX_S = 10 };

void percent_encode(const char *string, char *out, size_t size)
{
    size_t at = 0;

    for (; *string && at + 4 < size; string++) {
        bool plain = isalnum((unsigned char)*string) || strchr("-_.~", *string);

        at += (size_t)snprintf(out + at, size - at, plain ? "%c" : "%%%02X", (unsigned char)*string);
    }
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

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    return text_append(arg, bytes, size * count) ? size * count : 0;
}

enum ask_result client_get(const char *data_dir, const char *path, struct text *body, struct error *err)
{
    CURL *curl;
    char socket[4200], url[PATH_MAX_BYTES + 32];
    long status = 0;

    data_dir_socket(data_dir, socket, sizeof(socket));
    if (strlen(socket) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        error_set(err, ERROR_INVALID,
                  "no Weir can be running there: the path of a Unix socket has at most %zu characters, and "
                  "%.200s... has more; use a shorter --data-dir",
                  sizeof(((struct sockaddr_un *)0)->sun_path) - 1, socket);
        return ASK_NOT_RUNNING;
    }
    curl = curl_easy_init();
    snprintf(url, sizeof(url), "http://weir%s", path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ANSWER_MAX_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (code == CURLE_COULDNT_CONNECT) {
        error_set(err, ERROR_UNREACHABLE,
                  "no Weir is running with the data dir %s; start one with 'weir run', or name its --data-dir",
                  data_dir);
        return ASK_NOT_RUNNING;
    }
    if (code != CURLE_OK) {
        error_set(err, ERROR_UNREACHABLE, "%s: %s", socket, curl_easy_strerror(code));
        return ASK_FAILED;
    }
    if (status != 200) {
        error_set(err, status == 404 ? ERROR_MISSING : ERROR_NONSENSE, "%s", body->bytes);
        return ASK_FAILED;
    }
    return ASK_OK;
}
