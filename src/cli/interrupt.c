/*
 * interrupt: see interrupt.h. Without SA_RESTART: whoever waits for workers has to tell them. Whoever ends a process and its group, as
 * timeout(1) does, sends two signals for one wish, so a second one counts only after a moment.
 */
#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

enum { SAME_WISH_MS = 500 };

bool interrupted;

static int64_t first_ms;

static int64_t clock_ms(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now); /* may be called in a handler */
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_signal(int number)
{
    if (!__atomic_exchange_n(&interrupted, true, __ATOMIC_RELAXED))
        first_ms = clock_ms();
    else if (clock_ms() - first_ms > SAME_WISH_MS)
        _exit(128 + number);
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigfillset(&action.sa_mask); /* one at a time */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}
