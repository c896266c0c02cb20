/*
 * run_memory: gives back to the system what malloc keeps for later. Reading ten thousand manifests, or writing as many statuses, takes for
 * moments several times what is kept of them; without this Weir would look for ever as large as it was then.
 */
#ifndef WEIR_CLI_RUN_MEMORY_H
#define WEIR_CLI_RUN_MEMORY_H

struct loop;
struct run_memory;

struct run_memory *
run_memory_tend(struct loop *loop); /* looks every 15 s, and acts where the process has grown, or had the time before */
void run_memory_free(struct run_memory *memory); /* before the loop; NULL is fine */

#endif
