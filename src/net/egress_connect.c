/*
 * egress_connect: connect() as the client libraries find it. They resolve names and connect by themselves, on our worker threads or on
 * threads of their own; so the only place where every address passes is this function, which this program defines and so every
 * library it loads calls. The resolver of the C library does not: questions to a name server are not asked by a tenant's leave.
 *
 * Datagrams are let through: name servers again, and nothing that a trigger speaks.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "net/egress.h"

/* What a thread has said of itself. */
static _Thread_local struct {
    const struct egress *rules;
    const struct egress_caller *caller;
    bool entered, trusted;
    const char *refused; /* why something was, since it entered; NULL: nothing */
} here;

static struct egress
    *default_rules; /* of threads that said nothing; under the lock, for those come and go when they like */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_stream(int fd)
{
    int type = SOCK_STREAM;
    socklen_t size = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_DGRAM;
}

/* As much of it as there is. */
static struct sockaddr_storage whole(const struct sockaddr *address, unsigned length)
{
    struct sockaddr_storage storage = {0};

    memcpy(&storage, address, length < sizeof(storage) ? length : sizeof(storage));
    return storage;
}

static bool default_allows(const struct sockaddr *address)
{
    const struct egress_caller nobody = {.ns = NULL};
    const char *why;
    bool allowed;

    pthread_mutex_lock(&lock);
    allowed = egress_allows(default_rules, &nobody, address, &why);
    pthread_mutex_unlock(&lock);
    return allowed;
}

static bool may_connect(int fd, const struct sockaddr *given, unsigned length)
{
    if (here.trusted || length < sizeof(given->sa_family) || !is_stream(fd))
        return true;
    struct sockaddr_storage storage = whole(given, length);
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&storage;
    if (!here.entered)
        return default_allows(address);
    return egress_allows(here.rules, here.caller, address, &here.refused);
}

static int connect_now(int fd, const struct sockaddr *address, unsigned length)
{
    return (int)syscall(SYS_connect, fd, address, length);
}

/* Under the name that all others call. The header's own declaration has a type of its own for the address. */
int egress_connect_for_all(int fd, const struct sockaddr *address, unsigned length) __asm__("connect");
int egress_connect_for_all(int fd, const struct sockaddr *address, unsigned length)
{
    if (may_connect(fd, address, length))
        return connect_now(fd, address, length);
    errno = EACCES;
    return -1;
}

void egress_enter(const struct egress *rules, const struct egress_caller *caller)
{
    here.rules = rules;
    here.caller = caller;
    here.refused = NULL;
    here.entered = true;
}

bool egress_leave(const char **why)
{
    *why = here.refused;
    here.rules = NULL;
    here.caller = NULL;
    here.entered = false;
    return *why != NULL;
}

void egress_set_default(struct egress *rules)
{
    struct egress *before;

    here.trusted = true;
    pthread_mutex_lock(&lock);
    before = default_rules;
    default_rules = rules ? egress_ref(rules) : NULL;
    pthread_mutex_unlock(&lock);
    egress_unref(before);
}

void egress_drop_default(const struct egress *rules)
{
    if (rules == default_rules)
        egress_set_default(NULL);
}

/* ------------------------------------------------------------------ on a library's own threads */

struct egress_guard {
    const struct egress *rules;
    struct egress_caller caller;
    char *ns, *host;
    const char *refused; /* by threads of the library */
};

struct egress_guard *egress_guard_new(void)
{
    struct egress_guard *guard;

    if (!here.entered || !here.rules)
        return NULL;
    guard = mem_alloc(sizeof(*guard));
    guard->rules = here.rules;
    guard->ns = mem_copy(here.caller->ns);
    guard->host = mem_copy(here.caller->host);
    guard->caller = (struct egress_caller){.ns = guard->ns, .host = guard->host, .port = here.caller->port};
    return guard;
}

void egress_guard_free(struct egress_guard *guard)
{
    if (!guard)
        return;
    free(guard->ns);
    free(guard->host);
    free(guard);
}

const char *egress_guard_refusal(const struct egress_guard *guard)
{
    return guard ? __atomic_load_n(&guard->refused, __ATOMIC_RELAXED) : NULL;
}

int egress_guard_connect(struct egress_guard *guard, int fd, const struct sockaddr *given, unsigned length)
{
    struct sockaddr_storage storage = whole(given, length);
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&storage;
    const char *why;

    if (guard && !egress_allows(guard->rules, &guard->caller, address, &why)) {
        __atomic_store_n(&guard->refused, why, __ATOMIC_RELAXED);
        return EACCES;
    }
    return connect_now(fd, given, length) == 0 ? 0 : errno;
}
