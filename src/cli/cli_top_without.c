/* weir top, where there was no ncurses when it was built: says so. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* Its options are not looked at: whatever they say, there is nothing to be seen. */
static int run_top(const struct command *self, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            options_help(self);
            return EXIT_FINE;
        }
    fprintf(
        stderr,
        "%s %s: this weir was built without ncurses; install libncurses-dev and build it again, or use '%s get -w'\n",
        program_name, self->name, program_name);
    return EXIT_FOUND;
}

const struct command command_top = {
    .name = "top",
    .operands = "",
    .summary = "watch all objects on the whole screen (built without ncurses: not here)",
    .run = run_top,
};
