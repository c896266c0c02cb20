/*
 * interrupt: long work ends early, with what there is, when somebody presses Ctrl-C or sends SIGTERM.
 *
 *     interrupt_catch();
 *     while (more && !interrupted)
 *         ...
 *
 * The second time, half a second later or more, it is meant: the process ends at once.
 */
#ifndef WEIR_CLI_INTERRUPT_H
#define WEIR_CLI_INTERRUPT_H

#include <stdbool.h>

extern bool interrupted; /* only the signal writes it; &interrupted is what simulations call `stop` */

void interrupt_catch(void);

#endif
