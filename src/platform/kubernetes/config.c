/*
 * config: where the API server is and who we are.
 *
 *     --kubeconfig FILE, or
 *     the service account of the pod: /var/run/secrets/kubernetes.io/serviceaccount, $KUBERNETES_SERVICE_HOST and _PORT, or
 *     $KUBECONFIG (files between ':', the first to say something wins), or ~/.kube/config
 *
 * What a config says in place never changes; what it names as a file may be replaced while we run (tokens of service accounts are,
 * every hour, certificates by their managers). So each of the four (CA, certificate, key, token) is a source: bytes, and where they are
 * from. Before a request goes out, but at most every KUBE_LOGIN_CHECK_MS, files are looked at with a stat and read again when they
 * are others. A file that cannot be read, or is empty, in the middle of being replaced say, leaves what was read before.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/client_internal.h"

#define SERVICE_ACCOUNT_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"

enum { IMPERSONATION_HEADERS_MAX = 32, PLACE_BYTES = 256 };

struct source {
    const char *path; /* NULL: given in place */
    struct secret *bytes;
    struct stat seen;
};

struct kube_config {
    struct arena *arena;
    const char *server, *ns;
    bool insecure, plain_http;
    const char *server_name, *proxy; /* or NULL */
    struct source ca, certificate, key, token;
    struct kube_exec *exec;
    struct http_header headers[IMPERSONATION_HEADERS_MAX];
    size_t header_count;
    /* while a kube uses it */
    struct loop *loop;
    int64_t looked_ms; /* ticks; -1: never */
    uint64_t generation, exec_generation;
    struct tls_identity tls;
};

/* One file of those that make the kubeconfig. */
struct config_file {
    const char *path, *folder;
    const struct tree *root;
};
struct config_files {
    struct arena *arena;
    struct config_file files[KUBE_CONFIG_FILES_MAX];
    size_t count;
};

/* ---- base64 ---- */
bool kube_base64_decode(const char *string, size_t length, struct text *out)
{
    EVP_ENCODE_CTX *context = EVP_ENCODE_CTX_new();
    bool fine = context && length <= KUBE_CERTIFICATE_MAX_BYTES;
    unsigned char *bytes = mem_alloc(fine ? length + 3 : 1);
    int first = 0, last = 0;

    EVP_DecodeInit(context);
    fine = fine && EVP_DecodeUpdate(context, bytes, &first, (const unsigned char *)string, (int)length) >= 0 &&
           EVP_DecodeFinal(context, bytes + first, &last) == 1 &&
           text_append(out, (char *)bytes, (size_t)first + (size_t)last);
    EVP_ENCODE_CTX_free(context);
    free(bytes);
    return fine;
}

void kube_base64_encode(const char *bytes, size_t length, struct text *out)
{
    unsigned char piece[65];
    enum { STEP = 48 };

    for (size_t i = 0; i < length; i += STEP) {
        size_t part = length - i < STEP ? length - i : STEP;
        int made = EVP_EncodeBlock(piece, (const unsigned char *)bytes + i, (int)part);

        text_append(out, (char *)piece, (size_t)made);
    }
}

/* ---- sources ---- */
static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static size_t trimmed(const char *bytes, size_t length)
{
    while (length > 0 && strchr(" \t\r\n", bytes[length - 1]))
        length--;
    return length;
}

/* True: it says something else now. The stat comes first: what is replaced in between is seen the next time. */
static bool read_source(struct source *source, struct error *err)
{
    struct stat now;
    struct text bytes;
    bool fine, is_other = false;

    if (stat(source->path, &now) != 0)
        return error_set(err, ERROR_MISSING, "%s cannot be read: %s", source->path, strerror(errno));
    if (source->bytes && is_same_file(&now, &source->seen))
        return false;
    text_init(&bytes, KUBE_CERTIFICATE_MAX_BYTES);
    fine = file_read(source->path, &bytes, err);
    if (fine && trimmed(bytes.bytes, bytes.length) == 0)
        fine = error_set(err, ERROR_INVALID, "%s is empty", source->path);
    if (fine) {
        struct secret *fresh = secret_new(bytes.bytes, trimmed(bytes.bytes, bytes.length));

        is_other = !secret_equal(fresh, source->bytes);
        secret_unref(source->bytes);
        source->bytes = fresh;
        source->seen = now;
    }
    explicit_bzero(bytes.bytes, bytes.length);
    text_done(&bytes);
    return is_other;
}

static void look_again(struct kube_config *config)
{
    struct source *sources[] = {&config->ca, &config->certificate, &config->key, &config->token};
    bool is_other = false;

    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        if (sources[i]->path && read_source(sources[i], NULL))
            is_other = true;
    config->generation += is_other;
    config->looked_ms = loop_ticks_ms(config->loop);
}

/* ---- reading kubeconfigs ---- */
static const char *scalar(const struct tree *map, const char *key)
{
    const struct tree *node = tree_get(map, key);

    return node && (node->type == TREE_STRING || node->type == TREE_NUMBER) && node->length > 0 ? node->text : NULL;
}

static bool is_true(const struct tree *map, const char *key)
{
    bool value = false;

    return tree_bool(tree_get(map, key), &value) && value;
}

static const char *folder_of(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? arena_copy_bytes(arena, path, (size_t)(slash - path) + (slash == path)) : ".";
}

static const char *resolved(struct arena *arena, const char *folder, const char *path)
{
    return path[0] == '/' ? arena_copy(arena, path) : arena_printf(arena, "%s/%s", folder, path);
}

static bool read_config_file(struct config_files *all, const char *path, struct error *err)
{
    struct text bytes;
    struct tree *documents;
    bool fine;

    if (all->count == KUBE_CONFIG_FILES_MAX)
        return error_set(err, ERROR_LIMIT, "$KUBECONFIG names more than %d files (KUBE_CONFIG_FILES_MAX)",
                         KUBE_CONFIG_FILES_MAX);
    text_init(&bytes, MANIFEST_FILE_MAX_BYTES);
    fine = file_read(path, &bytes, err) && tree_read_yaml(path, bytes.bytes, bytes.length, all->arena, &documents, err);
    if (fine && tree_count(documents) > 0 && documents->first->type != TREE_MAP)
        fine = error_set(err, ERROR_INVALID,
                         "%s is not a kubeconfig: it is %s, not a map with clusters, users and contexts", path,
                         tree_type_name(documents->first->type));
    if (fine)
        all->files[all->count++] =
            (struct config_file){arena_copy(all->arena, path), folder_of(all->arena, path), tree_index(documents, 0)};
    explicit_bzero(bytes.bytes, bytes.length);
    text_done(&bytes);
    return fine;
}

/* Files of $KUBECONFIG that do not exist are passed over, as kubectl does; that all are missing is an error. */
static bool read_config_files(struct config_files *all, const char *paths, struct error *err)
{
    char *copy = arena_copy(all->arena, paths), *rest = NULL;

    for (char *path = strtok_r(copy, ":", &rest); path; path = strtok_r(NULL, ":", &rest))
        if (!read_config_file(all, path, err) && (err->kind != ERROR_MISSING || access(path, F_OK) == 0))
            return false;
    if (all->count > 0)
        return true;
    return error_set(err, ERROR_MISSING, "none of the files in $KUBECONFIG exists (%s); give one with --kubeconfig",
                     paths);
}

/* The entry `name` of a list of {name:, <what>:}; the first file that has one wins. */
static const struct tree *find_entry(const struct config_files *all, const char *list, const char *what,
                                     const char *name, const struct config_file **file)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct tree *entries = tree_get(all->files[i].root, list);

        for (const struct tree *e = entries && entries->type == TREE_LIST ? entries->first : NULL; e; e = e->next) {
            if (!string_equal(scalar(e, "name"), name))
                continue;
            *file = &all->files[i];
            return tree_get(e, what) ? tree_get(e, what) : e;
        }
    }
    return NULL;
}

/* <key>-data in place, or <key> as a file. */
static bool read_pem(struct kube_config *config, const struct tree *map, const char *key,
                     const struct config_file *file, const char *place, struct source *out, struct error *err)
{
    const char *data_key = arena_printf(config->arena, "%s-data", key);
    const char *data = scalar(map, data_key), *path = scalar(map, key);
    struct text bytes;

    if (!data && !path)
        return true;
    if (!data) {
        out->path = resolved(config->arena, file->folder, path);
        *err = (struct error){0};
        read_source(out, err);
        return out->bytes ? true : error_add_place(err, "%s.%s", place, key);
    }
    text_init(&bytes, KUBE_CERTIFICATE_MAX_BYTES);
    bool fine = kube_base64_decode(data, strlen(data), &bytes) && bytes.length > 0;
    if (fine)
        out->bytes = secret_new(bytes.bytes, bytes.length);
    else
        error_set(err, ERROR_INVALID, "%s.%s is not base64", place, data_key);
    explicit_bzero(bytes.bytes, bytes.length);
    text_done(&bytes);
    return fine;
}

/* "host:6443" is taken as Kubernetes does: https where TLS is spoken of, else http. */
static bool set_server(struct kube_config *config, const char *server, const char *place, struct error *err)
{
    size_t length = strlen(server);
    bool has_scheme = string_starts(server, "https://") || string_starts(server, "http://");

    while (length > 0 && server[length - 1] == '/')
        length--;
    if (strchr(server, '@')) /* not shown, here or in later errors: there may be a password in front of it */
        return error_set(err, ERROR_INVALID,
                         "%s.server has a user name in it; leave it out and use a token, a certificate or exec", place);
    if (strpbrk(server, " \t\r\n?#") || (!has_scheme && strstr(server, "://")) || length < 4)
        return error_set(err, ERROR_INVALID, "%s.server is \"%s\"; give a URL such as https://10.0.0.1:6443", place,
                         server);
    config->plain_http = string_starts(server, "http://") || (!has_scheme && !config->insecure && !config->ca.bytes);
    config->server = arena_printf(config->arena, "%s%.*s",
                                  has_scheme           ? ""
                                  : config->plain_http ? "http://"
                                                       : "https://",
                                  (int)length, server);
    return true;
}

/* Host names are the proxy's to resolve, as for kubectl. The value may hold a password, and is not shown. */
static bool set_proxy(struct kube_config *config, const char *proxy, const char *place, struct error *err)
{
    static const char socks[] = "socks5://";
    const char *rest = strstr(proxy, "://");
    bool known = string_starts(proxy, "http://") || string_starts(proxy, "https://") || string_starts(proxy, socks);

    if (!known || rest[3] == 0 || strpbrk(proxy, " \t\r\n"))
        return error_set(err, ERROR_INVALID,
                         "%s.proxy-url is not the URL of a proxy; give one that begins with http://, https:// or %s",
                         place, socks);
    config->proxy =
        string_starts(proxy, socks) ? arena_printf(config->arena, "socks5h%s", rest) : arena_copy(config->arena, proxy);
    return true;
}

static bool read_cluster(struct kube_config *config, const struct tree *cluster, const struct config_file *file,
                         const char *place, struct error *err)
{
    const char *server = scalar(cluster, "server"), *proxy = scalar(cluster, "proxy-url");

    if (!server)
        return error_set(err, ERROR_INVALID, "%s has no server; give the URL of the API server", place);
    if (proxy && !set_proxy(config, proxy, place, err))
        return false;
    config->insecure = is_true(cluster, "insecure-skip-tls-verify");
    config->server_name = arena_copy(config->arena, scalar(cluster, "tls-server-name"));
    if (!read_pem(config, cluster, "certificate-authority", file, place, &config->ca, err))
        return false;
    if (config->insecure && config->ca.bytes)
        return error_set(err, ERROR_INVALID,
                         "%s has both insecure-skip-tls-verify and a certificate-authority; remove one", place);
    return set_server(config, server, place, err);
}

/* ---- users ---- */
static bool add_header(struct kube_config *config, const char *name, const char *value, const char *place,
                       struct error *err)
{
    if (config->header_count == IMPERSONATION_HEADERS_MAX)
        return error_set(err, ERROR_LIMIT, "%s impersonates with more than %d groups and extra values", place,
                         IMPERSONATION_HEADERS_MAX);
    if (strpbrk(value, "\r\n"))
        return error_set(err, ERROR_INVALID, "%s has a line end in a value of its impersonation", place);
    config->headers[config->header_count++] =
        (struct http_header){.name = arena_copy(config->arena, name), .value = arena_copy(config->arena, value)};
    return true;
}

static bool read_extra(struct kube_config *config, const struct tree *extra, const char *place, struct error *err)
{
    for (const struct tree *values = extra && extra->type == TREE_MAP ? extra->first : NULL; values;
         values = values->next) {
        struct text name;
        bool fine = true;

        text_init(&name, KUBE_PATH_MAX_BYTES);
        text_add(&name, "Impersonate-Extra-");
        kube_escape(&name, values->key);
        for (const struct tree *v = values->type == TREE_LIST ? values->first : NULL; v && fine; v = v->next)
            fine = !tree_string(v) || add_header(config, name.bytes, tree_string(v), place, err);
        text_done(&name);
        if (!fine)
            return false;
    }
    return true;
}

static bool read_impersonation(struct kube_config *config, const struct tree *user, const char *place,
                               struct error *err)
{
    const char *as = scalar(user, "as"), *uid = scalar(user, "as-uid");
    const struct tree *groups = tree_get(user, "as-groups");

    if (as && !add_header(config, "Impersonate-User", as, place, err))
        return false;
    if (uid && !add_header(config, "Impersonate-Uid", uid, place, err))
        return false;
    for (const struct tree *g = groups && groups->type == TREE_LIST ? groups->first : NULL; g; g = g->next)
        if (tree_string(g) && !add_header(config, "Impersonate-Group", tree_string(g), place, err))
            return false;
    if (!read_extra(config, tree_get(user, "as-user-extra"), place, err))
        return false;
    if (config->header_count > 0 && !as)
        return error_set(err, ERROR_INVALID, "%s impersonates groups or a uid without a user; add \"as\"", place);
    return true;
}

static bool read_token(struct kube_config *config, const struct tree *user, const struct config_file *file,
                       const char *place, struct error *err)
{
    const char *path = scalar(user, "tokenFile"), *token = scalar(user, "token");

    if (path) {
        config->token.path = resolved(config->arena, file->folder, path);
        *err = (struct error){0};
        read_source(&config->token, err);
        return config->token.bytes ? true : error_add_place(err, "%s.tokenFile", place);
    }
    if (token)
        config->token.bytes = secret_new(token, trimmed(token, strlen(token)));
    return true;
}

static bool refuse_old_ways(const struct tree *user, const char *place, struct error *err)
{
    if (tree_get(user, "username") || tree_get(user, "password"))
        return error_set(err, ERROR_INVALID,
                         "%s has username and password, which Kubernetes 1.19 took out; use a token, a "
                         "certificate or exec",
                         place);
    if (tree_get(user, "auth-provider"))
        return error_set(err, ERROR_INVALID,
                         "%s has an auth-provider, which Kubernetes 1.26 took out; use exec with the "
                         "provider's plugin",
                         place);
    return true;
}

static bool read_exec(struct kube_config *config, const struct tree *user, const struct tree *cluster,
                      const struct config_file *file, const char *place, struct error *err)
{
    struct kube_exec_cluster about = {.server = config->server,
                                      .proxy_url = scalar(cluster, "proxy-url"),
                                      .server_name = config->server_name,
                                      .insecure = config->insecure,
                                      .ca_pem = secret_reveal(config->ca.bytes),
                                      .ca_length = secret_length(config->ca.bytes)};
    const struct tree *extensions = tree_get(cluster, "extensions");

    for (const struct tree *e = extensions && extensions->type == TREE_LIST ? extensions->first : NULL; e; e = e->next)
        if (string_equal(scalar(e, "name"), "client.authentication.k8s.io/exec"))
            about.config = tree_get(e, "extension");
    return kube_exec_new(tree_get(user, "exec"), place, file->folder, &about, &config->exec, err);
}

static bool read_user(struct kube_config *config, const struct tree *user, const struct tree *cluster,
                      const struct config_file *file, const char *place, struct error *err)
{
    if (!refuse_old_ways(user, place, err) ||
        !read_pem(config, user, "client-certificate", file, place, &config->certificate, err) ||
        !read_pem(config, user, "client-key", file, place, &config->key, err) ||
        !read_token(config, user, file, place, err) || !read_impersonation(config, user, place, err))
        return false;
    if (!config->certificate.bytes != !config->key.bytes)
        return error_set(err, ERROR_INVALID, "%s has a client-%s but no client-%s; give both", place,
                         config->key.bytes ? "key" : "certificate", config->key.bytes ? "certificate" : "key");
    if (!tree_get(user, "exec"))
        return true;
    if (config->token.bytes || config->certificate.bytes)
        return error_set(err, ERROR_INVALID, "%s has exec beside a token or a certificate; remove one", place);
    return read_exec(config, user, cluster, file, place, err);
}

/* ---- from a kubeconfig ---- */
static const char *current_context(const struct config_files *all)
{
    for (size_t i = 0; i < all->count; i++)
        if (scalar(all->files[i].root, "current-context"))
            return scalar(all->files[i].root, "current-context");
    return NULL;
}

static bool set_from_context(struct kube_config *config, const struct config_files *all, const char *name,
                             struct error *err)
{
    const struct config_file *file, *cluster_file, *user_file;
    const struct tree *context = find_entry(all, "contexts", "context", name, &file), *cluster, *user = NULL;
    const char *cluster_name = scalar(context, "cluster"), *user_name = scalar(context, "user"),
               *ns = scalar(context, "namespace");
    char place[PLACE_BYTES];

    if (!context)
        return error_set(err, ERROR_MISSING, "%s has no context \"%s\"; `kubectl config get-contexts` lists them",
                         all->files[0].path, name);
    cluster = cluster_name ? find_entry(all, "clusters", "cluster", cluster_name, &cluster_file) : NULL;
    if (!cluster)
        return error_set(err, ERROR_MISSING, "%s: context \"%s\" names the cluster \"%s\", which is not there",
                         file->path, name, cluster_name ? cluster_name : "");
    snprintf(place, sizeof place, "%s: clusters[%s]", cluster_file->path, cluster_name);
    if (!read_cluster(config, cluster, cluster_file, place, err))
        return false;
    config->ns = arena_copy(config->arena, ns ? ns : "default");
    if (!user_name)
        return true; /* an API server that asks nobody who they are */
    user = find_entry(all, "users", "user", user_name, &user_file);
    if (!user)
        return error_set(err, ERROR_MISSING, "%s: context \"%s\" names the user \"%s\", which is not there", file->path,
                         name, user_name);
    snprintf(place, sizeof place, "%s: users[%s]", user_file->path, user_name);
    return read_user(config, user, cluster, user_file, place, err);
}

static bool load_files(struct kube_config *config, struct config_files *all, const struct kube_config_options *options,
                       struct error *err)
{
    const char *environment = getenv("KUBECONFIG"), *home = getenv("HOME"), *context;
    bool fine;

    if (options->path)
        fine = read_config_file(all, options->path, err);
    else if (environment && environment[0])
        fine = read_config_files(all, environment, err);
    else
        fine = read_config_file(all, arena_printf(all->arena, "%s/.kube/config", home ? home : ""), err);
    if (!fine)
        return false;
    context = options->context ? options->context : current_context(all);
    if (!context)
        return error_set(err, ERROR_INVALID, "%s has no current-context; choose one with --context",
                         all->files[0].path);
    return set_from_context(config, all, context, err);
}

/* ---- from the pod ---- */
static bool is_in_cluster(void)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");

    return host && host[0] && access(SERVICE_ACCOUNT_FOLDER "/token", F_OK) == 0;
}

static bool load_pod(struct kube_config *config, struct error *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    struct source ns = {.path = SERVICE_ACCOUNT_FOLDER "/namespace"};

    if (!host || !host[0] || !port || !port[0])
        return error_set(err, ERROR_MISSING,
                         "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is no pod; "
                         "give a kubeconfig with --kubeconfig");
    config->server = arena_printf(config->arena, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
    config->ca.path = SERVICE_ACCOUNT_FOLDER "/ca.crt";
    config->token.path = SERVICE_ACCOUNT_FOLDER "/token";
    *err = (struct error){0};
    read_source(&config->token, err);
    if (!config->token.bytes)
        return error_add_place(err, "the pod's service account (is automountServiceAccountToken off?)");
    read_source(&config->ca, err);
    if (!config->ca.bytes)
        return error_add_place(err, "the pod's service account");
    read_source(&ns, NULL);
    config->ns = arena_copy(config->arena, ns.bytes ? secret_reveal(ns.bytes) : "default");
    secret_unref(ns.bytes);
    return true;
}

/* ---- the config ---- */
bool kube_config_load(const struct kube_config_options *options, struct kube_config **out, struct error *err)
{
    struct kube_config *config = mem_alloc(sizeof *config);
    struct config_files all = {.arena = arena_new(ARENA_USUAL)};
    struct error why = {0};
    bool fine;

    config->arena = arena_new(ARENA_USUAL);
    config->looked_ms = -1;
    if (options->in_cluster || (!options->path && !options->context && is_in_cluster()))
        fine = load_pod(config, &why);
    else
        fine = load_files(config, &all, options, &why);
    arena_free(all.arena);
    if (fine) {
        *out = config;
        return true;
    }
    if (err)
        *err = why;
    kube_config_free(config);
    return false;
}

void kube_config_free(struct kube_config *config)
{
    if (!config)
        return;
    kube_exec_free(config->exec);
    secret_unref(config->ca.bytes);
    secret_unref(config->certificate.bytes);
    secret_unref(config->key.bytes);
    secret_unref(config->token.bytes);
    arena_free(config->arena);
    free(config);
}

const char *kube_config_namespace(const struct kube_config *config)
{
    return config->ns;
}

const char *kube_config_server(const struct kube_config *config)
{
    return config->server;
}

bool kube_config_is_pod(char server[KUBE_POD_SERVER_BYTES])
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    bool told = host && host[0];

    server[0] = '\0';
    if (told)
        snprintf(server, KUBE_POD_SERVER_BYTES, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host,
                 port && port[0] ? port : "443");
    return told || access(SERVICE_ACCOUNT_FOLDER, F_OK) == 0;
}

const char *kube_config_url(const struct kube_config *config)
{
    return config->server;
}

/* ---- for requests ---- */
const char *kube_config_proxy(const struct kube_config *config)
{
    return config->proxy;
}

void kube_config_attach(struct kube_config *config, struct loop *loop, struct transport *transport,
                        void (*ready)(void *arg), void *arg)
{
    config->loop = loop;
    if (config->exec)
        kube_exec_attach(config->exec, loop, transport, ready, arg);
}

enum kube_login_state kube_config_login(struct kube_config *config, struct kube_login *out, struct error *err)
{
    const struct secret *token = config->token.bytes, *certificate = config->certificate.bytes,
                        *key = config->key.bytes;

    if (config->looked_ms < 0 || loop_ticks_ms(config->loop) - config->looked_ms >= KUBE_LOGIN_CHECK_MS) {
        look_again(config);
        token = config->token.bytes, certificate = config->certificate.bytes, key = config->key.bytes;
    }
    if (config->exec) {
        enum kube_login_state state =
            kube_exec_get(config->exec, &token, &certificate, &key, &config->exec_generation, err);

        if (state != KUBE_LOGIN_READY)
            return state;
    }
    config->tls = (struct tls_identity){.insecure = config->insecure,
                                        .only_ca = true,
                                        .ca_pem = secret_reveal(config->ca.bytes),
                                        .certificate_pem = secret_reveal(certificate),
                                        .key_pem = key,
                                        .server_name = config->server_name};
    *out = (struct kube_login){.token = token,
                               .tls = config->plain_http ? NULL : &config->tls,
                               .headers = config->headers,
                               .header_count = config->header_count,
                               .generation = config->generation + config->exec_generation};
    return KUBE_LOGIN_READY;
}

bool kube_config_refused(struct kube_config *config, uint64_t generation)
{
    if (config->generation + config->exec_generation != generation)
        return true; /* it has been renewed since */
    look_again(config);
    if (config->generation + config->exec_generation != generation)
        return true;
    return config->exec && kube_exec_refused(config->exec);
}
