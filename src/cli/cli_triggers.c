/* weir triggers: which trigger types there are, and the parameters of one. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"
#include "trigger/trigger.h"

static bool markdown, built_in;

static const struct option_row options[] = {
    {"markdown", 0, OPTION_FLAG, &markdown, NULL,
     "print the reference page, or the list of those built in, as Markdown"},
    {"built-in", 0, OPTION_FLAG, &built_in, NULL, "list only the types that are built in"},
    {0},
};

/* What a build may lack (meson_options.txt); NULL: no client library is needed for the type. */
static const char *library_of(const char *type)
{
    static const char *const libraries[][2] = {
        {"apache-kafka", "librdkafka"}, {"kafka", "librdkafka"}, {"mongodb", "libmongoc"},    {"mssql", "FreeTDS"},
        {"mysql", "libmariadb"},        {"postgresql", "libpq"}, {"rabbitmq", "librabbitmq"},
    };

    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++)
        if (strcmp(libraries[i][0], type) == 0)
            return libraries[i][1];
    return NULL;
}

static int list_types(void)
{
    size_t count;
    const char *const *types = trigger_types(&count);

    for (size_t i = 0; i < count; i++) {
        enum trigger_support support = trigger_support(types[i]);

        if (support == TRIGGER_BUILT_IN)
            printf("%s\n", types[i]);
        else if (!built_in && library_of(types[i]))
            printf("%-28s known, built without %s\n", types[i], library_of(types[i]));
        else if (!built_in)
            printf("%-28s known, not built in yet\n", types[i]);
    }
    return EXIT_FINE;
}

static int print_index(void)
{
    struct text text;

    text_init(&text, 1024 * 1024);
    trigger_describe_all(&text);
    fwrite(text.bytes, 1, text.length, stdout);
    text_done(&text);
    return EXIT_FINE;
}

static int run_triggers(const struct command *self, int argc, char **argv)
{
    int first, status;
    struct text text;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (first == argc && markdown)
        return print_index();
    if (first == argc)
        return list_types();
    if (first + 1 < argc)
        return usage_error(self, "one type at a time");
    if (trigger_support(argv[first]) != TRIGGER_BUILT_IN) {
        const char *near = trigger_nearest_type(argv[first]);
        bool known = trigger_support(argv[first]) == TRIGGER_KNOWN;

        if (known && library_of(argv[first])) {
            fprintf(stderr, "weir triggers: this Weir was built without %s, which '%s' needs\n",
                    library_of(argv[first]), argv[first]);
            return EXIT_FOUND;
        }
        fprintf(stderr, "weir triggers: %s '%s'%s%s%s\n",
                known ? "this type is known but not built in yet:" : "there is no trigger type", argv[first],
                !known && near ? ", did you mean '" : "", !known && near ? near : "", !known && near ? "'?" : "");
        return EXIT_FOUND;
    }
    text_init(&text, 1024 * 1024);
    trigger_describe(argv[first], markdown, &text);
    fwrite(text.bytes, 1, text.length, stdout);
    text_done(&text);
    return EXIT_FINE;
}

const struct command command_triggers = {
    .name = "triggers",
    .operands = "[TYPE]",
    .summary = "list trigger types, or the parameters of one",
    .options = options,
    .run = run_triggers,
};
