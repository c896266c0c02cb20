/*
 * lazy: see lazy.h. Names are looked for in the library itself and in those it needs, as the linker would.
 */
#include "trigger/common/lazy.h"

#include <dlfcn.h>
#include <string.h>

#include "base/error.h"

static bool find_functions(const struct lazy *library, void *handle, struct error *err)
{
    for (size_t i = 0; i < library->count; i++) {
        void *function = dlsym(handle, library->names[i]);

        if (!function)
            return error_set(err, ERROR_MISSING, "%s has no %s: it is of another version than this Weir was built with",
                             library->file, library->names[i]);
        /* dlsym() gives functions as void *, and C has no cast for that */
        memcpy((char *)library->pointers + i * sizeof(function), &function, sizeof(function));
    }
    return true;
}

bool lazy_load(struct lazy *library, struct error *err)
{
    void *handle;

    if (library->handle)
        return true;
    handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return error_set(err, ERROR_MISSING, "it needs a library that is not on this machine: %s", dlerror());
    if (!find_functions(library, handle, err)) {
        dlclose(handle);
        return false;
    }
    library->handle = handle;
    if (library->begin)
        library->begin();
    return true;
}
