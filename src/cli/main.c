/*
 * weir: the commands. Each is one file cli_<name>.c with one struct command; this file only chooses.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/kubectl.h"

const struct command *const commands[] = {
    &command_run,     &command_lint,     &command_probe,    &command_test,       &command_eval,    &command_get,
    &command_explain, &command_top,      &command_simulate, &command_record,     &command_compare, &command_tune,
    &command_diff,    &command_triggers, &command_version,  &command_completion, &command_help,    NULL,
};

static void print_overview(FILE *to)
{
    fprintf(to, "Weir scales processes and workloads by KEDA's manifests, and says why.\n\nusage: weir COMMAND "
                "[OPTION...] [ARGUMENT...]\n\n");
    for (size_t i = 0; commands[i]; i++)
        fprintf(to, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(to, "\n'weir COMMAND --help' explains a command; the manual is 'man weir'.\n");
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[32];
    size_t count = 0;

    for (; commands[count] && count < 32; count++)
        names[count] = commands[count]->name;
    const char *near = string_nearest(name, names, count);
    fprintf(stderr, "weir: unknown command '%s'", name);
    if (near)
        fprintf(stderr, ", did you mean '%s'?", near);
    fprintf(stderr, "\nTry 'weir --help'.\n");
    return EXIT_USAGE;
}

static int run_help(const struct command *self, int argc, char **argv)
{
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (first == argc) {
        print_overview(stdout);
        return EXIT_FINE;
    }
    const struct command *command = find_command(argv[first]);
    if (!command)
        return unknown_command(argv[first]);
    options_help(command);
    return EXIT_FINE;
}

const struct command command_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .summary = "explain a command",
    .run = run_help,
};

static int run_version(const struct command *self, int argc, char **argv)
{
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    printf("weir " WEIR_VERSION "\n");
    return EXIT_FINE;
}

const struct command command_version = {
    .name = "version",
    .operands = "",
    .summary = "print the version",
    .run = run_version,
};

/* Whoever starts us with a standard descriptor closed would see the journal or a socket get its number, and our messages. What
   stands there instead cannot be written to, so that a command whose output is lost still fails. */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0)
            _exit(EXIT_FOUND);
}

/* A reader that went away (`weir get | head`) needs no message. */
static bool print_rest(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    if (errno != EPIPE)
        fprintf(stderr, "weir: not all could be printed: %s\n", errno ? strerror(errno) : "standard output failed");
    return false;
}

static int run_weir(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview(stdout);
        return EXIT_FINE;
    }
    if (strcmp(argv[1], "--version") == 0)
        return run_version(&command_version, 1, argv);
    const struct command *command = find_command(argv[1]);
    return command ? command->run(command, argc - 1, argv + 1) : unknown_command(argv[1]);
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    signal(SIGPIPE, SIG_IGN); /* `weir get | head` ends quietly through the failing write */
    int status = kubectl_is_name(argv[0]) ? kubectl_main(argc, argv) : run_weir(argc, argv);
    if (!print_rest() && status == EXIT_FINE)
        status = EXIT_FOUND;
    return status;
}
