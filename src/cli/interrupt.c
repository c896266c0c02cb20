/* interrupt: see interrupt.h. Without SA_RESTART: whoever waits for workers has to tell them. */
#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

bool interrupted;

static void on_signal(int number)
{
    if (__atomic_exchange_n(&interrupted, true, __ATOMIC_RELAXED))
        _exit(128 + number);
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}
