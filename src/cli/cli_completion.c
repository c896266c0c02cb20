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

static bool takes_files(const struct command *command)
{
    static const char *const words[] = {"PATH", "POLICY", "OLD"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strstr(command->operands, words[i]))
            return true;
    return false;
}

/* "explain:--output|explain:-o) list="text json" ;;" for each option that is one of a few words. */
static void print_choices(const struct command *command)
{
    for (const struct option_row *row = command->options; row && row->name; row++) {
        if (row->kind != OPTION_CHOICE)
            continue;
        printf("        %s:--%s", command->name, row->name);
        if (row->letter)
            printf("|%s:-%c", command->name, row->letter);
        printf(") list=\"");
        for (const char *at = row->form; *at; at++)
            putchar(*at == '|' ? ' ' : *at);
        printf("\" ;;\n");
    }
}

static void print_file_commands(void)
{
    const char *bar = "";

    printf("            ");
    for (size_t i = 0; commands[i]; i++)
        if (takes_files(commands[i])) {
            printf("%s%s", bar, commands[i]->name);
            bar = "|";
        }
    printf(") COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n");
}

static void print_bash(void)
{
    printf("_weir() {\n    local word=${COMP_WORDS[COMP_CWORD]} list=\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        "
           "list=\"");
    for (size_t i = 0; commands[i]; i++)
        printf("%s ", commands[i]->name);
    printf("\"\n    else\n        case ${COMP_WORDS[1]}:${COMP_WORDS[COMP_CWORD-1]} in\n");
    for (size_t i = 0; commands[i]; i++)
        print_choices(commands[i]);
    printf("        esac\n        [ -n \"$list\" ] || case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; commands[i]; i++) {
        printf("        %s) list=\"", commands[i]->name);
        print_options(commands[i], " ");
        printf("\" ;;\n");
    }
    printf("        esac\n        case $word in -*) ;; *) case ${COMP_WORDS[1]} in\n"
           "            triggers) list=$(weir triggers --built-in 2>/dev/null) ;;\n"
           "            explain) list=\"$list $(weir get 2>/dev/null | awk 'NR > 1 {print $1}')\" ;;\n");
    print_file_commands();
    printf("            esac ;; esac\n    fi\n    COMPREPLY=($(compgen -W \"$list\" -- \"$word\"))\n}\ncomplete -F "
           "_weir weir\n");
}

static void print_zsh(void)
{
    printf("#compdef weir\nautoload -U +X bashcompinit && bashcompinit\n");
    print_bash();
}

/* In single quotes of fish, where only they and a backslash mean something. */
static void print_quoted(const char *text, bool is_list)
{
    putchar('\'');
    for (; *text; text++) {
        if (strchr("'\\", *text))
            putchar('\\');
        putchar(is_list && *text == '|' ? ' ' : *text);
    }
    putchar('\'');
}

static void print_fish_option(const struct command *command, const struct option_row *row)
{
    printf("complete -c weir -n '__fish_seen_subcommand_from %s' -l %s%s", command->name, row->name,
           row->kind == OPTION_CHOICE ? " -x -a "
           : row->form                ? " -r"
                                      : "");
    if (row->kind == OPTION_CHOICE)
        print_quoted(row->form, true);
    printf(" -d ");
    print_quoted(row->help, false);
    putchar('\n');
}

static void print_fish(void)
{
    printf("complete -c weir -f\n");
    for (size_t i = 0; commands[i]; i++) {
        printf("complete -c weir -n __fish_use_subcommand -a %s -d ", commands[i]->name);
        print_quoted(commands[i]->summary, false);
        putchar('\n');
        for (const struct option_row *row = commands[i]->options; row && row->name; row++)
            print_fish_option(commands[i], row);
        if (takes_files(commands[i]))
            printf("complete -c weir -n '__fish_seen_subcommand_from %s' -F\n", commands[i]->name);
    }
    printf("complete -c weir -n '__fish_seen_subcommand_from explain' -a \"(weir get 2>/dev/null | awk 'NR > 1 {print "
           "\\$1}')\"\n");
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
