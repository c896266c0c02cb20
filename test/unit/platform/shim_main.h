/*
 * shim_main: weir-shim inside the test program, so that a test needs no other program: started under the name weir-shim, it is
 * one. Include it in the file with main(), which begins with SHIM_OR_TESTS(argc, argv).
 */
#ifndef WEIR_TEST_SHIM_MAIN_H
#define WEIR_TEST_SHIM_MAIN_H

#include <limits.h>
#include <string.h>
#include <unistd.h>

int shim_main(int argc, char **argv);
#define main shim_main
#include "platform/local/shim/weir-shim.c"
#undef main

#define SHIM_OR_TESTS(argc, argv)                                                                                      \
    do {                                                                                                               \
        if (strcmp((argv)[0], "weir-shim") == 0)                                                                       \
            return shim_main(argc, argv);                                                                              \
    } while (0)

static inline const char *own_path(void)
{
    static char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    path[n > 0 ? n : 0] = 0;
    return path;
}

#endif
