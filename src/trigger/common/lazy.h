/*
 * lazy: a client library that is loaded when the first trigger needs it. Few Weirs ask MongoDB, or SQL Server; the others would pay megabytes
 * for their libraries and for those that these bring along (ICU, the C++ runtime).
 *
 *     #define FUNCTIONS(X) X(mongoc_init) X(mongoc_uri_new)
 *     static struct { FUNCTIONS(LAZY_POINTER) } lib;                          -- lib.mongoc_init()
 *     static struct lazy library = LAZY(FUNCTIONS, "libmongoc-1.0.so.0", "libmongoc-1.0-0", &lib, begin);
 *     TRIGGER(mongodb) = {..., .library = &library, ...};                     -- loaded before anything of the driver runs
 *
 * The header of the library is compiled with as ever, so the pointers have its types; only linking is put off.
 */
#ifndef WEIR_TRIGGER_LAZY_H
#define WEIR_TRIGGER_LAZY_H

#include <stdbool.h>
#include <stddef.h>

struct error;

#define LAZY_POINTER(function) __typeof__(function) *function;
#define LAZY_NAME(function)    #function,
/* To begin a struct lazy with; its fields are below. */
#define LAZY(functions, soname, debian, struct_, begin_)                                                               \
    {                                                                                                                  \
        .file = (soname), .package = (debian), .names = (const char *const[]){functions(LAZY_NAME)},                   \
        .count = sizeof((const char *const[]){functions(LAZY_NAME)}) / sizeof(char *), .pointers = (struct_),          \
        .begin = (begin_)                                                                                              \
    }

struct lazy {
    const char *file;    /* its SONAME; tools/make-image-root finds it by this */
    const char *package; /* of Debian that has it */
    const char *const *names;
    size_t count;
    void *pointers;      /* one for each name, in that order */
    void (*begin)(void); /* called once, when all are there; NULL: nothing to do */
    void *handle;        /* NULL: not loaded yet */
};

/* At once where it is loaded. It stays until the end of the process. false: err says which file or function is not there. Loop thread, or
   the only thread; what it fills is read by any thread that is started, or given work, afterwards. */
bool lazy_load(struct lazy *library, struct error *err);

#endif
