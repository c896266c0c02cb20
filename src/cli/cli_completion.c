/* weir completion: completion for bash, zsh and fish, made from the tables of the commands. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static void print_options(const struct command *command, const char *separator)
{
    for (const struct option_row *row = command->options; row && row->name; row++)
        printf("--%s%s", row->name, separator);
    printf("--help");
}

static void print_bash(void)
{
    printf("_weir() {\n    local word=${COMP_WORDS[COMP_CWORD]} list\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        "
           "list=\"");
    for (size_t i = 0; commands[i]; i++)
        printf("%s ", commands[i]->name);
    printf("\"\n    else\n        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; commands[i]; i++) {
        printf("        %s) list=\"", commands[i]->name);
        print_options(commands[i], " ");
        printf("\" ;;\n");
    }
    printf("        esac\n        case $word in -*) ;; *) case ${COMP_WORDS[1]} in\n"
           "            triggers) list=$(weir triggers --built-in 2>/dev/null) ;;\n"
           "            run|lint) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
           "            esac ;; esac\n    fi\n    COMPREPLY=($(compgen -W \"$list\" -- \"$word\"))\n}\ncomplete -F "
           "_weir weir\n");
}

static void print_zsh(void)
{
    printf("#compdef weir\nautoload -U +X bashcompinit && bashcompinit\n");
    print_bash();
}

static void print_fish(void)
{
    printf("complete -c weir -f\n");
    for (size_t i = 0; commands[i]; i++) {
        printf("complete -c weir -n __fish_use_subcommand -a %s -d '%s'\n", commands[i]->name, commands[i]->summary);
        for (const struct option_row *row = commands[i]->options; row && row->name; row++)
            printf("complete -c weir -n '__fish_seen_subcommand_from %s' -l %s%s -d '%s'\n", commands[i]->name,
                   row->name, row->form ? " -r" : "", row->help);
    }
    printf("complete -c weir -n '__fish_seen_subcommand_from run lint' -F\n");
}

static int run_completion(const struct command *self, int argc, char **argv)
{
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (first + 1 != argc)
        return usage_error(self, "name one shell: bash, zsh or fish");
    if (strcmp(argv[first], "bash") == 0)
        print_bash();
    else if (strcmp(argv[first], "zsh") == 0)
        print_zsh();
    else if (strcmp(argv[first], "fish") == 0)
        print_fish();
    else
        return usage_error(self, "no completion for '%s': bash, zsh or fish", argv[first]);
    return EXIT_FINE;
}

const struct command command_completion = {
    .name = "completion",
    .operands = "bash|zsh|fish",
    .summary = "print a shell completion script",
    .description = "  source <(weir completion bash)",
    .run = run_completion,
};
