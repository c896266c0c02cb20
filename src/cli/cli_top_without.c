/* weir top, where there was no ncurses when it was built: says so. */
#include <stdio.h>

#include "cli/cli.h"

static int run_top(const struct command *self, int argc, char **argv)
{
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
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
