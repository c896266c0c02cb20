/* progress: see progress.h. The line is written again only when its percentage is another. */
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR_COLUMNS = 40, LINE_COLUMNS = 79 };

struct progress progress_new(const char *what)
{
    return (struct progress){what, isatty(STDERR_FILENO) ? 0 : -1};
}

void progress_show(struct progress *progress, double done_0_to_1)
{
    int percent = done_0_to_1 <= 0 ? 0 : done_0_to_1 >= 1 ? 100 : (int)(100 * done_0_to_1);

    if (progress->percent < 0 || percent == progress->percent)
        return;
    progress->percent = percent;
    fprintf(stderr, "\r%s [%-*.*s] %3d %%", progress->what, BAR_COLUMNS, percent * BAR_COLUMNS / 100,
            "########################################", percent);
}

void progress_end(struct progress *progress)
{
    if (progress->percent >= 0)
        fprintf(stderr, "\r%*s\r", LINE_COLUMNS, "");
}
