/*
 * progress: a bar on the terminal while something takes long; nothing where standard error is no terminal.
 *
 *     struct progress bar = progress_new("comparing");
 *     progress_show(&bar, 0.35);
 *     progress_end(&bar);                               -- the line is empty again
 */
#ifndef WEIR_CLI_PROGRESS_H
#define WEIR_CLI_PROGRESS_H

struct progress {
    const char *what;
    int percent; /* that stands there; -1: none is shown */
};

struct progress progress_new(const char *what);
void progress_show(struct progress *progress, double done_0_to_1);
void progress_end(struct progress *progress);

#endif
