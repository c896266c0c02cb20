/* options: see options.h. Long options as --name VALUE or --name=VALUE, short ones as -n VALUE. */
#include "cli/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/time.h"

const char *program_name = "weir";

static const struct option_row help_row = {"help", 'h', OPTION_FLAG, NULL, NULL, "print this help"};

int usage_error(const struct command *command, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s %s: ", program_name, command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry '%s %s --help'.\n", program_name, command->name);
    return EXIT_USAGE;
}

static void print_row(const struct option_row *row)
{
    char left[80];

    snprintf(left, sizeof(left), "%c%c%s --%s%s%s", row->letter ? '-' : ' ', row->letter ? row->letter : ' ',
             row->letter ? "," : " ", row->name, row->form ? " " : "", row->form ? row->form : "");
    if (strlen(left) > 34)
        printf("  %s\n  %-34s %s\n", left, "", row->help);
    else
        printf("  %-34s %s\n", left, row->help);
}

void options_help(const struct command *command)
{
    printf("%s %s: %s\n\nusage: %s %s [OPTION...]%s%s\n", program_name, command->name, command->summary, program_name,
           command->name, *command->operands ? " " : "", command->operands);
    if (command->description)
        printf("\n%s\n", command->description);
    printf("\noptions:\n");
    for (const struct option_row *row = command->options; row && row->name; row++)
        print_row(row);
    print_row(&help_row);
}

static const struct option_row *find_long(const struct command *command, const char *name, size_t length)
{
    for (const struct option_row *row = command->options; row && row->name; row++)
        if (strlen(row->name) == length && memcmp(row->name, name, length) == 0)
            return row;
    return strlen(help_row.name) == length && memcmp(help_row.name, name, length) == 0 ? &help_row : NULL;
}

static const struct option_row *find_short(const struct command *command, char letter)
{
    for (const struct option_row *row = command->options; row && row->name; row++)
        if (row->letter == letter)
            return row;
    return letter == help_row.letter ? &help_row : NULL;
}

static bool is_choice(const char *form, const char *value)
{
    size_t length = strlen(value);

    for (const char *at = form; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strncmp(at, value, length) == 0 && (at[length] == '|' || at[length] == '\0'))
            return true;
    return false;
}

static int store(const struct command *command, const struct option_row *row, const char *value)
{
    char *end;

    switch (row->kind) {
    case OPTION_FLAG:
        if (value && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            return usage_error(command, "--%s is true or false, not '%s'", row->name, value);
        *(bool *)row->value = !value || strcmp(value, "true") == 0;
        return EXIT_FINE;
    case OPTION_CHOICE:
        if (!is_choice(row->form, value))
            return usage_error(command, "--%s is one of %s, not '%s'", row->name, row->form, value);
        *(const char **)row->value = value;
        return EXIT_FINE;
    case OPTION_TEXT:
        *(const char **)row->value = value;
        return EXIT_FINE;
    case OPTION_NUMBER:
        *(int64_t *)row->value = strtoll(value, &end, 10);
        if (end == value || *end)
            return usage_error(command, "--%s is a whole number, not '%s'", row->name, value);
        return EXIT_FINE;
    case OPTION_DURATION:
        if (!duration_parse_ms(value, row->value) || *(int64_t *)row->value < 0)
            return usage_error(command, "--%s is a duration like 30s, 5m or 1h30m, not '%s'", row->name, value);
        return EXIT_FINE;
    }
    return EXIT_FINE;
}

static int unknown_option(const struct command *command, const char *argument)
{
    const char *names[64];
    size_t count = 0;

    for (const struct option_row *row = command->options; row && row->name && count < 64; row++)
        names[count++] = row->name;
    const char *near = string_nearest(argument + strspn(argument, "-"), names, count);
    if (near)
        return usage_error(command, "unknown option %s, did you mean --%s?", argument, near);
    return usage_error(command, "unknown option %s", argument);
}

/* One option at argv[*at]; moves *at to its last word. */
static int take_option(const struct command *command, int argc, char **argv, int *at, bool *help)
{
    char *argument = argv[*at];
    const char *value = NULL;
    const struct option_row *row;

    if (argument[1] == '-') {
        value = strchr(argument, '=');
        row = find_long(command, argument + 2, value ? (size_t)(value - argument - 2) : strlen(argument + 2));
        value = value ? value + 1 : NULL;
    } else {
        row = find_short(command, argument[1]);
        if (argument[2])
            value = argument + 2 + (argument[2] == '=');
    }
    if (!row)
        return unknown_option(command, argument);
    if (row == &help_row) {
        *help = true;
        return EXIT_FINE;
    }
    if (!value && row->kind != OPTION_FLAG) {
        if (*at + 1 >= argc)
            return usage_error(command, "%s needs a value: %s", argument, row->form);
        value = argv[++*at];
    }
    return store(command, row, value);
}

bool options_parse(const struct command *command, int argc, char **argv, int *first, int *status)
{
    int operands = 0, at;
    bool help = false;
    char **list = mem_array((size_t)argc + 1, sizeof(*list));

    *status = EXIT_FINE;
    for (at = 1; at < argc && *status == EXIT_FINE && !help; at++) {
        if (strcmp(argv[at], "--") == 0) {
            for (at++; at < argc; at++)
                list[operands++] = argv[at];
        } else if (argv[at][0] == '-' && argv[at][1] && !(argv[at][1] >= '0' && argv[at][1] <= '9')) {
            *status = take_option(command, argc, argv, &at, &help);
        } else {
            list[operands++] = argv[at];
        }
    }
    *first = argc - operands;
    memcpy(argv + *first, list, (size_t)operands * sizeof(*list));
    free(list);
    if (help && *status == EXIT_FINE)
        options_help(command);
    return *status == EXIT_FINE && !help;
}
