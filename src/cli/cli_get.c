/* weir get: what a running Weir does now, as a table. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"

static const char *data_dir, *output = "table", *ns;
static bool watch;

static const struct option_row options[] = {
    {"namespace", 'n', OPTION_TEXT, &ns, "NAMESPACE", "only this namespace"},
    {"output", 'o', OPTION_CHOICE, &output, "table|wide|json", "how to print (table); wide adds the reason in words"},
    {"watch", 'w', OPTION_FLAG, &watch, NULL, "print again whenever something changed, until interrupted"},
    {"data-dir", 0, OPTION_TEXT, &data_dir, "DIR", "the data dir of the Weir to ask"},
    {0},
};

enum { ANSWER_MAX_BYTES = 256 * 1024 * 1024, WATCH_US = 500 * 1000 };

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static void replicas_of(const json_t *object, char *out, size_t size)
{
    if (json_object_get(object, "readyReplicas"))
        snprintf(out, size, "%lld/%lld", (long long)json_integer_value(json_object_get(object, "readyReplicas")),
                 (long long)json_integer_value(json_object_get(object, "wantedReplicas")));
    else if (json_object_get(object, "running"))
        snprintf(out, size, "%lld jobs", (long long)json_integer_value(json_object_get(object, "running")));
    else
        snprintf(out, size, "?");
}

static bool row(const json_t *object, const char *wanted)
{
    char name[300], replicas[40], bounds[40] = "";

    snprintf(name, sizeof(name), "%s/%s", text_of(object, "namespace"), text_of(object, "name"));
    if (wanted && strcmp(wanted, name) != 0 && strcmp(wanted, text_of(object, "name")) != 0)
        return false;
    replicas_of(object, replicas, sizeof(replicas));
    if (json_object_get(object, "maxReplicas"))
        snprintf(bounds, sizeof(bounds), "%lld..%lld",
                 (long long)json_integer_value(json_object_get(object, "minReplicas")),
                 (long long)json_integer_value(json_object_get(object, "maxReplicas")));
    printf("%-32s %-12s %9s %8s %-6s %-6s %-14s", name, text_of(object, "kind"), replicas, bounds,
           json_is_true(json_object_get(object, "active")) ? "yes" : "no", text_of(object, "ready"),
           *text_of(object, "problem") ? "bad manifest" : text_of(object, "reason"));
    if (strcmp(output, "wide") == 0)
        printf(" %s", *text_of(object, "problem") ? text_of(object, "problem") : text_of(object, "summary"));
    putchar('\n');
    return true;
}

/* How many rows there were. */
static size_t print_table(const char *body, const char *wanted)
{
    json_t *answer = json_loads(body, 0, NULL);
    size_t i, rows = 0;
    json_t *object;

    printf("%-32s %-12s %9s %8s %-6s %-6s %-14s%s\n", "NAME", "KIND", "REPLICAS", "BOUNDS", "ACTIVE", "READY", "REASON",
           strcmp(output, "wide") == 0 ? " WHY" : "");
    json_array_foreach(json_object_get(answer, "objects"), i, object) rows += row(object, wanted);
    json_decref(answer);
    return rows;
}

/* The object named, as the API has it; every object without a name. */
static void list_path(const char *wanted, char *out, size_t size)
{
    char kind[NAME_MAX_BYTES], space[NAME_MAX_BYTES], name[NAME_MAX_BYTES], escaped[3 * NAME_MAX_BYTES];

    if (wanted && strcmp(output, "json") == 0) {
        split_name(wanted, ns ? ns : "default", kind, space, name, NAME_MAX_BYTES);
        object_path(kind, space, name, "", out, size);
        return;
    }
    percent_encode(ns ? ns : "", escaped, sizeof(escaped));
    snprintf(out, size, "/api/v1/objects%s%s", ns ? "?namespace=" : "", escaped);
}

static int get_once(const struct command *self, const char *wanted, struct text *last)
{
    struct text body;
    struct error err;
    char path[PATH_MAX_BYTES];
    int status = EXIT_FINE;

    list_path(wanted, path, sizeof(path));
    text_init(&body, ANSWER_MAX_BYTES);
    if (client_get(data_dir, path, &body, &err) != ASK_OK) {
        fprintf(stderr, "weir %s: %s\n", self->name, err.text);
        status = EXIT_FOUND;
    } else if (body.length != last->length || memcmp(body.bytes, last->bytes, body.length) != 0) {
        if (strcmp(output, "json") == 0) {
            printf("%s\n", body.bytes);
        } else if (print_table(body.bytes, wanted) == 0 && wanted) {
            fprintf(stderr, "weir %s: there is no object %s\n", self->name, wanted);
            status = EXIT_FOUND;
        }
        text_clear(last);
        text_append(last, body.bytes, body.length);
    }
    text_done(&body);
    return status;
}

static int run_get(const struct command *self, int argc, char **argv)
{
    struct text last;
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (first + 1 < argc)
        return usage_error(self, "one name at a time");
    if (!data_dir)
        data_dir = data_dir_default();
    text_init(&last, ANSWER_MAX_BYTES);
    do {
        status = get_once(self, first < argc ? argv[first] : NULL, &last);
        fflush(stdout);
    } while (watch && status == EXIT_FINE && usleep(WATCH_US) == 0);
    text_done(&last);
    return status;
}

const struct command command_get = {
    .name = "get",
    .operands = "[NAME]",
    .summary = "list the objects of a running Weir",
    .description = "REPLICAS are ready/wanted. NAME is checkout or shop/checkout.",
    .options = options,
    .run = run_get,
};
