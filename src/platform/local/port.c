/* port: see port.h. */
#include "platform/local/port.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static bool in_range(int port)
{
    return port >= PORT_FIRST && port <= PORT_LAST;
}

static uint8_t mask_of(int port)
{
    return (uint8_t)(1u << ((port - PORT_FIRST) % 8));
}

static bool is_taken(const struct port_set *set, int port)
{
    return (set->taken[(port - PORT_FIRST) / 8] & mask_of(port)) != 0;
}

/* Whether a server could listen on it on all addresses. Connections of an earlier one that time out are no hindrance. */
static bool can_bind(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0)
        return true; /* no descriptors left: the start that follows says so */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool free_port = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return free_port;
}

bool port_take_this(struct port_set *set, int port, bool listening)
{
    if (port <= 0 || port > 65535)
        return false;
    if (!in_range(port))
        return listening || can_bind(port);
    if (is_taken(set, port) || (!listening && !can_bind(port)))
        return false;
    set->taken[(port - PORT_FIRST) / 8] |= mask_of(port);
    return true;
}

int port_take(struct port_set *set, uint64_t hint)
{
    enum { COUNT = PORT_LAST - PORT_FIRST + 1 };

    for (int i = 0; i < COUNT; i++) {
        int port = PORT_FIRST + (int)((hint + (uint64_t)i) % COUNT);
        if (port_take_this(set, port, false))
            return port;
    }
    return 0;
}

void port_give_back(struct port_set *set, int port)
{
    if (in_range(port))
        set->taken[(port - PORT_FIRST) / 8] &= (uint8_t)~mask_of(port);
}
