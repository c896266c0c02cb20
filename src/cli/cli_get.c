/* weir get: what a running Weir does now, as a table. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"

static const char *data_dir, *output = "table", *ns;
static bool watch;

static const struct option_row options[] = {
    {"namespace", 'n', OPTION_TEXT, &ns, "NAMESPACE", "only this namespace"},
    {"output", 'o', OPTION_CHOICE, &output, "table|wide|json", "how to print (table); wide adds the reason in words"},
    {"watch", 'w', OPTION_FLAG, &watch, NULL, "print again whenever something changed, until interrupted"},
    {"data-dir", 0, OPTION_TEXT, &data_dir, "DIR", "the data dir of the Weir to ask"},
    {0},
};

enum { ANSWER_MAX_BYTES = 64 * 1024 * 1024, PAGE_ROWS = 1000 /* the most a list gives */, WATCH_US = 500 * 1000 };

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
    struct text line;

    snprintf(name, sizeof(name), "%s/%s", text_of(object, "namespace"), text_of(object, "name"));
    if (wanted && strcmp(wanted, name) != 0 && strcmp(wanted, text_of(object, "name")) != 0)
        return false;
    replicas_of(object, replicas, sizeof(replicas));
    if (json_object_get(object, "maxReplicas"))
        snprintf(bounds, sizeof(bounds), "%lld..%lld",
                 (long long)json_integer_value(json_object_get(object, "minReplicas")),
                 (long long)json_integer_value(json_object_get(object, "maxReplicas")));
    text_init(&line, LOG_LINE_MAX_BYTES);
    text_printf(&line, "%-32s %-12s %9s %8s %-6s %-6s %-14s", name, text_of(object, "kind"), replicas, bounds,
                json_is_true(json_object_get(object, "active")) ? "yes" : "no", text_of(object, "ready"),
                *text_of(object, "problem") ? "bad manifest" : text_of(object, "reason"));
    if (strcmp(output, "wide") == 0)
        text_printf(&line, " %s",
                    *text_of(object, "problem") ? text_of(object, "problem") : text_of(object, "summary"));
    text_tame(&line, false);
    puts(line.bytes);
    text_done(&line);
    return true;
}

/* How many rows there were. */
static size_t print_table(const json_t *list, const char *wanted)
{
    size_t i, rows = 0;
    json_t *object;

    printf("%-32s %-12s %9s %8s %-6s %-6s %-14s%s\n", "NAME", "KIND", "REPLICAS", "BOUNDS", "ACTIVE", "READY", "REASON",
           strcmp(output, "wide") == 0 ? " WHY" : "");
    json_array_foreach(json_object_get(list, "objects"), i, object) rows += row(object, wanted);
    return rows;
}

/* ------------------------------------------------------------------ asking */

/* NULL: err says why. */
static json_t *ask(const char *path, struct error *err)
{
    json_t *answer = NULL;
    struct text body;

    text_init(&body, ANSWER_MAX_BYTES);
    if (client_get(data_dir, path, &body, err) == ASK_OK) {
        answer = json_loads(body.bytes, 0, NULL);
        if (!answer)
            error_set(err, ERROR_NONSENSE, "the answer is not JSON; is that a Weir of this version?");
    }
    text_done(&body);
    return answer;
}

static json_t *ask_object(const char *wanted, struct error *err)
{
    char kind[NAME_MAX_BYTES], space[NAME_MAX_BYTES], name[NAME_MAX_BYTES], path[PATH_MAX_BYTES];

    split_name(wanted, ns ? ns : client_namespace(), kind, space, name, NAME_MAX_BYTES);
    object_path(kind, space, name, "", path, sizeof(path));
    return ask(path, err);
}

static json_t *ask_page(const char *wanted, size_t offset, struct error *err)
{
    char space[3 * NAME_MAX_BYTES], part[3 * NAME_MAX_BYTES], path[PATH_MAX_BYTES];

    percent_encode(ns ? ns : "", space, sizeof(space));
    percent_encode(wanted ? wanted : "", part, sizeof(part));
    snprintf(path, sizeof(path), "/api/v1/objects?sort=name&limit=%d&offset=%zu%s%s%s%s", PAGE_ROWS, offset,
             ns ? "&namespace=" : "", space, wanted ? "&q=" : "", part);
    return ask(path, err);
}

/* Page by page, as one list. What comes or goes meanwhile may shift a page by one. */
static json_t *ask_list(const char *wanted, struct error *err)
{
    json_t *list = ask_page(wanted, 0, err);
    json_t *objects = json_object_get(list, "objects");
    size_t more = json_array_size(objects);

    while (more == PAGE_ROWS) {
        json_t *page = ask_page(wanted, json_array_size(objects), err);

        if (!page) {
            json_decref(list);
            return NULL;
        }
        more = json_array_size(json_object_get(page, "objects"));
        json_array_extend(objects, json_object_get(page, "objects"));
        json_decref(page);
    }
    return list;
}

/* *last: what was printed last; an answer that is the same is not printed again. */
static int get_once(const struct command *self, const char *wanted, char **last)
{
    bool as_json = strcmp(output, "json") == 0;
    struct error err;
    json_t *answer = wanted && as_json ? ask_object(wanted, &err) : ask_list(wanted, &err);
    char *text = answer ? json_dumps(answer, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    int status = EXIT_FINE;

    if (!answer) {
        fprintf(stderr, "%s %s: %s\n", program_name, self->name, err.text);
        status = EXIT_FOUND;
    } else if (!*last || strcmp(text, *last) != 0) {
        if (as_json) {
            printf("%s\n", text);
        } else if (print_table(answer, wanted) == 0 && wanted) {
            fprintf(stderr, "%s %s: there is no object %s\n", program_name, self->name, wanted);
            status = EXIT_FOUND;
        }
        free(*last);
        *last = text;
        text = NULL;
    }
    free(text);
    json_decref(answer);
    return status;
}

static int run_get(const struct command *self, int argc, char **argv)
{
    char *last = NULL;
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (first + 1 < argc)
        return usage_error(self, "one name at a time");
    if (!data_dir)
        data_dir = data_dir_default();
    do {
        status = get_once(self, first < argc ? argv[first] : NULL, &last);
        fflush(stdout);
    } while (watch && status == EXIT_FINE && usleep(WATCH_US) == 0);
    free(last);
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
