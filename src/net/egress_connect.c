/*
 * egress_connect: connect() as the client libraries find it, and the calls that send a datagram to an address without one. Libraries resolve
 * names and connect by themselves, on our worker threads or on threads of their own; so the only place where every address passes is
 * here: this program defines these functions, and so every library it loads calls them. The resolver of the C library does not, and a
 * datagram to the port of name servers is let through: such questions are not asked by a tenant's leave.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "net/egress.h"

enum { NAME_SERVER_PORT = 53 };

/* What a thread has said of itself. */
static _Thread_local struct {
    struct egress *rules;
    const struct egress_caller *caller, *servers; /* servers: elsewhere */
    bool entered, trusted, elsewhere;
    const char *refused; /* why something was, since it entered; NULL: nothing */
} here;

static struct egress
    *default_rules; /* of threads that said nothing; under the lock, for those come and go when they like */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_datagram(int fd)
{
    int type = SOCK_STREAM;
    socklen_t size = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM;
}

static bool is_name_server(int fd, const struct sockaddr *address)
{
    struct sockaddr_in v4;

    if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
        return false;
    memcpy(&v4, address, sizeof(v4)); /* the port stands in the same place in both */
    return ntohs(v4.sin_port) == NAME_SERVER_PORT && is_datagram(fd);
}

/* As much of it as there is. */
static struct sockaddr_storage whole(const struct sockaddr *address, unsigned length)
{
    struct sockaddr_storage storage = {0};

    memcpy(&storage, address, length < sizeof(storage) ? length : sizeof(storage));
    return storage;
}

/* As whose an address is judged; unnamed: of the namespace. */
static const struct egress_caller *judged(const struct egress_caller *unnamed)
{
    return !here.elsewhere ? here.caller : here.servers ? here.servers : unnamed;
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

static bool may_go(int fd, const struct sockaddr *given, unsigned length)
{
    const struct egress_caller unnamed = {.ns = egress_namespace()};
    struct sockaddr_storage storage;
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&storage;

    if (here.trusted || !given || length < sizeof(given->sa_family))
        return true;
    storage = whole(given, length);
    if (is_name_server(fd, address))
        return true;
    if (!here.entered)
        return default_allows(address);
    return egress_allows(here.rules, judged(&unnamed), address, &here.refused);
}

static int connect_now(int fd, const struct sockaddr *address, unsigned length)
{
    return (int)syscall(SYS_connect, fd, address, length);
}

/* Under the names that all others call. The headers' own declarations have types of their own for the address. */
int egress_connect_for_all(int fd, const struct sockaddr *address, unsigned length) __asm__("connect");
int egress_connect_for_all(int fd, const struct sockaddr *address, unsigned length)
{
    if (may_go(fd, address, length))
        return connect_now(fd, address, length);
    errno = EACCES;
    return -1;
}

ssize_t egress_sendto_for_all(int fd, const void *bytes, size_t count, int flags, const struct sockaddr *address,
                              unsigned length) __asm__("sendto");
ssize_t egress_sendto_for_all(int fd, const void *bytes, size_t count, int flags, const struct sockaddr *address,
                              unsigned length)
{
    if (may_go(fd, address, length))
        return syscall(SYS_sendto, fd, bytes, count, flags, address, length);
    errno = EACCES;
    return -1;
}

ssize_t egress_sendmsg_for_all(int fd, const struct msghdr *message, int flags) __asm__("sendmsg");
ssize_t egress_sendmsg_for_all(int fd, const struct msghdr *message, int flags)
{
    if (may_go(fd, message->msg_name, message->msg_namelen))
        return syscall(SYS_sendmsg, fd, message, flags);
    errno = EACCES;
    return -1;
}

/* Of several as many as go before the first that may not. */
int egress_sendmmsg_for_all(int fd, struct mmsghdr *messages, unsigned count, int flags) __asm__("sendmmsg");
int egress_sendmmsg_for_all(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    unsigned fine = 0;

    while (fine < count && may_go(fd, messages[fine].msg_hdr.msg_name, messages[fine].msg_hdr.msg_namelen))
        fine++;
    if (fine > 0 || count == 0)
        return (int)syscall(SYS_sendmmsg, fd, messages, fine, flags);
    errno = EACCES;
    return -1;
}

void egress_enter(struct egress *rules, const struct egress_caller *caller)
{
    here.rules = rules;
    here.caller = caller;
    here.refused = NULL;
    here.elsewhere = false;
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

const char *egress_namespace(void)
{
    return here.caller ? here.caller->ns : NULL;
}

void egress_turn_elsewhere(const struct egress_caller *servers)
{
    here.elsewhere = true;
    here.servers = servers;
}

const char *egress_turn_back(void)
{
    const char *why = here.refused;

    here.elsewhere = false;
    here.servers = NULL;
    here.refused = NULL;
    return why;
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
    struct egress *rules;         /* a reference: threads of a library that hangs may outlive all else */
    struct egress_caller *caller; /* the first; they lie in one piece of memory, and their texts are copies */
    const char *refused;          /* by threads of the library */
};

static struct egress_caller *copy_callers(const struct egress_caller *from)
{
    struct egress_caller *copy = NULL;
    size_t count = 0;

    for (const struct egress_caller *c = from; c; c = c->next)
        count++;
    copy = mem_grow(NULL, count, sizeof(*copy));
    for (size_t i = 0; i < count; i++, from = from->next)
        copy[i] = (struct egress_caller){.ns = mem_copy(from->ns),
                                         .host = mem_copy(from->host),
                                         .port = from->port,
                                         .next = i + 1 < count ? &copy[i + 1] : NULL};
    return copy;
}

struct egress_guard *egress_guard_new(void)
{
    struct egress_guard *guard;

    if (!here.entered || !here.rules)
        return NULL;
    guard = mem_alloc(sizeof(*guard));
    guard->rules = egress_ref(here.rules);
    guard->caller = copy_callers(here.caller);
    return guard;
}

void egress_guard_free(struct egress_guard *guard)
{
    if (!guard)
        return;
    for (const struct egress_caller *c = guard->caller; c; c = c->next) {
        free((char *)(uintptr_t)c->ns);
        free((char *)(uintptr_t)c->host);
    }
    free(guard->caller);
    egress_unref(guard->rules);
    free(guard);
}

void egress_guard_enter(const struct egress_guard *guard)
{
    if (!guard)
        return;
    egress_enter(guard->rules, guard->caller);
    egress_turn_elsewhere(NULL);
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

    if (guard && !egress_allows(guard->rules, guard->caller, address, &why)) {
        __atomic_store_n(&guard->refused, why, __ATOMIC_RELAXED);
        return EACCES;
    }
    return connect_now(fd, given, length) == 0 ? 0 : errno;
}
