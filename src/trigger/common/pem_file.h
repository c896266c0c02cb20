/*
 * pem_file: certificates and keys as a file without a name, for client libraries that take file names only.
 *
 *     struct pem_file file = {.fd = -1};
 *     if (!pem_file_open(&file, (const char *const[]){certificate, key, NULL}, &err)) ...
 *     library_set_certificate(client, file.path);
 *     pem_file_close(&file);                       -- once the library has no more use for the name
 *
 * The bytes are in memory (memfd), seen by this process and its user alone, and gone with the descriptor. For worker threads.
 */
#ifndef WEIR_TRIGGER_PEM_FILE_H
#define WEIR_TRIGGER_PEM_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct error;

struct pem_file {
    int fd; /* -1: none */
    char path[32];
};

/* The texts, up to a NULL, one after the other; false: *file stays as it was, closed. */
bool pem_file_open(struct pem_file *file, const char *const *texts, struct error *err);
/* These bytes and no more: a keytab. what: for the error. */
bool pem_file_open_bytes(struct pem_file *file, const void *bytes, size_t length, const char *what, struct error *err);
void pem_file_close(struct pem_file *file);

#endif
