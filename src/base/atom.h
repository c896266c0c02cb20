/*
 * atom: a text kept once however many objects use it (server addresses, namespaces, trigger names, queries).
 * Two equal texts are the same pointer. Counted; not for threads other than the loop's.
 */
#ifndef WEIR_BASE_ATOM_H
#define WEIR_BASE_ATOM_H

#include <stddef.h>

const char *atom_ref(const char *string); /* NULL in, NULL out */
const char *atom_again(const char *atom); /* one more reference to an atom */
void atom_unref(const char *atom);        /* NULL is fine */
size_t atom_count(void);

#endif
