/*
 * options: the options of a command, as one table: parsing, --help and shell completion read it.
 *
 *     static const struct option_row options[] = {
 *         {"output", 'o', OPTION_CHOICE, &output, "text|json", "how to print"},
 *         {0},
 *     };
 *     int first = options_parse(&command, argc, argv);    -- index of the first operand, or -1: printed, exit with *status
 */
#ifndef WEIR_CLI_OPTIONS_H
#define WEIR_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
    OPTION_FLAG,     /* bool */
    OPTION_TEXT,     /* const char * */
    OPTION_CHOICE,   /* const char *; form lists what is allowed: "text|json" */
    OPTION_NUMBER,   /* int64_t */
    OPTION_DURATION, /* int64_t, ms; Go's syntax */
};
struct option_row {
    const char *name; /* without dashes; NULL ends the table */
    char letter;      /* 0: none */
    enum option_kind kind;
    void *value;
    const char *form; /* "FILE", "text|json"; NULL for flags */
    const char *help; /* one line; {default} in it needs no mention of its own */
};

struct command {
    const char *name, *operands; /* "PATH..." */
    const char *summary;         /* one line */
    const char *description;     /* paragraphs, or NULL */
    const struct option_row *options;
    int (*run)(const struct command *command, int argc, char **argv); /* the exit status */
};

extern const char *program_name; /* "weir", or what it was called as: before the name of a command in messages */

enum { EXIT_FINE = 0, EXIT_FOUND = 1, EXIT_USAGE = 2 };

/* Options may stand anywhere before "--". *first: the operands, moved to the end of argv. false: *status is the exit status
   (help was printed: 0; a bad option: 2, with a message). */
bool options_parse(const struct command *command, int argc, char **argv, int *first, int *status);
void options_help(const struct command *command);
/* "weir lint: text\nTry 'weir lint --help'." Returns EXIT_USAGE. */
int usage_error(const struct command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
