/*
 * port: loopback ports for replicas, taken from below the range the kernel gives to outgoing connections, so that a free one
 * stays free while its replica restarts. Reserved here means: no other replica of this Weir gets it.
 */
#ifndef WEIR_PLATFORM_LOCAL_PORT_H
#define WEIR_PLATFORM_LOCAL_PORT_H

#include <stdbool.h>
#include <stdint.h>

enum { PORT_FIRST = 20000, PORT_LAST = 31999 };

struct port_set {
    uint8_t taken[(PORT_LAST - PORT_FIRST + 8) / 8];
};

/* A free port, the same one for the same hint as long as nobody else has it; 0: all are taken. */
int port_take(struct port_set *set, uint64_t hint);
/* Takes this port if it is free (or outside the range, where nobody else looks). listening: its replica already runs. */
bool port_take_this(struct port_set *set, int port, bool listening);
void port_give_back(struct port_set *set, int port);

#endif
