/*
 * weir record: for who still runs KEDA: what the prometheus triggers of a manifest would have measured over a span of the past, asked of
 * Prometheus, as a file with a column per trigger that `weir simulate --trace` reads.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/report.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "cli/asked.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/range.h"
#include "cli/sources.h"

static const char *prometheus, *manifest_path, *from, *to, *out_folder, *only, *header, *token_file;
static int64_t step_ms = 15000;
static bool insecure;

static const struct option_row options[] = {
    {"manifest", 'f', OPTION_TEXT, &manifest_path, "PATH", "file or folder with the ScaledObjects or ScaledJobs"},
    {"prometheus", 0, OPTION_TEXT, &prometheus, "URL",
     "asked instead of the triggers' serverAddress, and without their credentials"},
    {"from", 0, OPTION_TEXT, &from, "TIME", "RFC 3339, seconds since 1970, or a duration ago, as in 24h"},
    {"to", 0, OPTION_TEXT, &to, "TIME", "the same (now)"},
    {"step", 0, OPTION_DURATION, &step_ms, "DURATION", "between two values (15s)"},
    {"out", 'o', OPTION_TEXT, &out_folder, "DIR", "where NAMESPACE-NAME.csv.gz is written, for each object"},
    {"object", 0, OPTION_TEXT, &only, "[NAMESPACE/]NAME", "only this one"},
    {"header", 0, OPTION_TEXT, &header, "NAME: VALUE", "sent with each question, as X-Scope-OrgID: shop"},
    {"bearer-token-file", 0, OPTION_TEXT, &token_file, "FILE", "sign in with the token in it"},
    {"insecure", 0, OPTION_FLAG, &insecure, NULL, "do not verify the server's certificate"},
    {0},
};

enum { TOKEN_MAX_BYTES = 64 * 1024, COLUMNS_MAX = TRIGGERS_MAX };

/* ------------------------------------------------------------------ the span */

struct span {
    int64_t from_ms;
    size_t steps;
};

static bool read_time(const struct command *self, const char *name, const char *text, int64_t now_ms, int64_t *at_ms)
{
    double seconds;
    int64_t ago_ms;

    if (instant_parse(text, at_ms))
        return true;
    if (number_parse(text, strlen(text), &seconds) && seconds >= 0 && seconds < 1e11) {
        *at_ms = (int64_t)(seconds * 1000);
        return true;
    }
    if (duration_parse_ms(text, &ago_ms) && ago_ms >= 0) {
        *at_ms = now_ms - ago_ms;
        return true;
    }
    usage_error(self, "--%s is RFC 3339 (2026-01-31T12:00:00Z), seconds since 1970, or how long ago (24h), not '%s'",
                name, text);
    return false;
}

/* Steps stand at whole multiples of the step, so that recordings of one step lie over each other. */
static bool read_span(const struct command *self, struct span *span)
{
    int64_t now_ms = (int64_t)time(NULL) * 1000, to_ms = now_ms;

    if (!read_time(self, "from", from, now_ms, &span->from_ms) || (to && !read_time(self, "to", to, now_ms, &to_ms)))
        return false;
    if (step_ms < 1) {
        usage_error(self, "--step is at least 1ms");
        return false;
    }
    span->from_ms -= span->from_ms % step_ms;
    if (to_ms <= span->from_ms) {
        usage_error(self, "--to is not after --from");
        return false;
    }
    int64_t steps = (to_ms - span->from_ms) / step_ms + 1;
    if (steps > RECORD_STEPS_MAX) {
        usage_error(self, "that is more than %d steps (RECORD_STEPS_MAX): a longer --step or a shorter span",
                    RECORD_STEPS_MAX);
        return false;
    }
    span->steps = (size_t)steps;
    return true;
}

/* ------------------------------------------------------------------ who is asked, and how we sign in */

struct login { /* of the command line */
    struct http_header headers[2];
    size_t count;
    struct secret *token, *value;
};

static bool read_token(struct login *login, struct error *err)
{
    struct text text;
    bool fine;

    text_init(&text, TOKEN_MAX_BYTES);
    fine = file_read(token_file, &text, err);
    while (text.length > 0 && isspace((unsigned char)text.bytes[text.length - 1]))
        text.length--;
    if (fine && text.length == 0)
        fine = error_set(err, ERROR_INVALID, "%s is empty: there is no token in it", token_file);
    if (fine) {
        login->token = secret_new(text.bytes, text.length);
        login->headers[login->count++] =
            (struct http_header){.name = "Authorization", .value = "Bearer ", .secret = login->token};
    }
    explicit_bzero(text.bytes, text.capacity);
    text_done(&text);
    return fine;
}

static bool read_header(struct login *login, struct error *err)
{
    static char name[256];
    size_t length = strcspn(header, ":");
    const char *value = header + length + (header[length] == ':');

    if (length == 0 || length >= sizeof(name) || header[length] != ':')
        return error_set(err, ERROR_INVALID, "--header is a name, a colon and a value, as in X-Scope-OrgID: shop");
    snprintf(name, sizeof(name), "%.*s", (int)length, header);
    value += strspn(value, " ");
    login->value = secret_new(value, strlen(value));
    login->headers[login->count++] = (struct http_header){.name = name, .value = "", .secret = login->value};
    return true;
}

/* What is given by hand comes instead of what the manifest says. */
static size_t merge_headers(const struct asked *asked, const struct login *login, struct http_header *out)
{
    size_t count = 0;

    for (size_t i = 0; i < asked->header_count; i++) {
        bool replaced = false;

        for (size_t j = 0; j < login->count; j++)
            replaced |= strcasecmp(asked->headers[i].name, login->headers[j].name) == 0;
        if (!replaced)
            out[count++] = asked->headers[i];
    }
    for (size_t j = 0; j < login->count; j++)
        out[count++] = login->headers[j];
    return count;
}

/* ------------------------------------------------------------------ one object */

struct column {
    char name[300];
    struct range_value *values;
    size_t missing;
};
struct subject { /* a ScaledObject or ScaledJob */
    const struct object_meta *meta;
    const struct trigger_spec *triggers;
    size_t trigger_count;
};
struct work {
    const struct sources *sources;
    const struct report *report;
    struct manifest **manifests;
    struct range_client *client;
    struct login login;
    struct span span;
    struct column columns[COLUMNS_MAX];
    size_t column_count;
};

static bool ask_trigger(struct work *w, const struct subject *s, const struct trigger_spec *spec, struct column *column,
                        struct error *err)
{
    struct asked_source source = {
        .manifests = w->manifests, .count = w->sources->count, .ns = s->meta->ns, .server = prometheus};
    struct range_question question = {.from_ms = w->span.from_ms, .step_ms = step_ms, .steps = w->span.steps};
    struct tls_identity unsafe = {.insecure = true};
    struct asked asked;

    bool fine = asked_by(spec, &source, &asked, err);
    if (fine) {
        struct http_header *headers =
            arena_array(asked.arena, asked.header_count + w->login.count + 1, sizeof(*headers));
        struct range_server server = {.url = asked.server, .headers = headers, .tls = asked.tls};

        server.header_count = merge_headers(&asked, &w->login, headers);
        if (asked.tls)
            asked.tls->insecure |= insecure;
        else if (insecure)
            server.tls = &unsafe;
        question.parameters = asked.parameters;
        fine =
            range_ask(w->client, &server, &question, column->values, err) || error_add_place(err, "%s", asked.server);
    }
    asked_done(&asked);
    for (size_t i = 0; fine && i < w->span.steps; i++)
        column->missing += !column->values[i].there;
    return fine;
}

static void name_column(const struct trigger_spec *spec, struct column *column)
{
    if (spec->name)
        snprintf(column->name, sizeof(column->name), "%s", spec->name);
    else
        snprintf(column->name, sizeof(column->name), "s%d", spec->index);
}

static bool ask_object(struct work *w, const struct subject *s, struct error *err)
{
    struct progress bar = progress_new(s->meta->name);
    bool fine = true;

    for (size_t i = 0; fine && i < s->trigger_count; i++) {
        const struct trigger_spec *spec = &s->triggers[i];
        struct column *column = &w->columns[w->column_count];

        progress_show(&bar, (double)i / (double)s->trigger_count);
        if (!string_equal(spec->type, "prometheus"))
            continue;
        *column = (struct column){.values = mem_array(w->span.steps, sizeof(*column->values))};
        w->column_count++;
        name_column(spec, column);
        fine = ask_trigger(w, s, spec, column, err) ||
               error_add_place(err, "%s:%d %s/%s, trigger %s:", spec->place.file ? spec->place.file : "",
                               spec->place.line, s->meta->ns, s->meta->name, column->name);
    }
    progress_end(&bar);
    return fine;
}

static void forget_columns(struct work *w)
{
    while (w->column_count > 0)
        free(w->columns[--w->column_count].values);
}

/* ------------------------------------------------------------------ the file */

static void write_cell(const char *text, struct text *out)
{
    if (!strpbrk(text, ",\"\n\r") && text[0] != ' ') {
        text_add(out, text);
        return;
    }
    text_add_char(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            text_add_char(out, '"');
        text_add_char(out, *text);
    }
    text_add_char(out, '"');
}

static void write_row(const struct work *w, size_t step, struct text *out)
{
    int64_t at_ms = w->span.from_ms + (int64_t)step * step_ms;

    text_printf(out, "%lld", (long long)(at_ms / 1000));
    if (step_ms % 1000)
        text_printf(out, ".%03lld", (long long)(at_ms % 1000));
    for (size_t i = 0; i < w->column_count; i++) {
        const struct range_value *value = &w->columns[i].values[step];

        text_add_char(out, ',');
        if (value->there)
            text_add_number(out, value->value);
        else
            text_add_char(out, '_');
    }
    text_add_char(out, '\n');
}

static bool write_rows(const struct work *w, gzFile out)
{
    struct text line;
    bool fine = true;

    text_init(&line, LINE_MAX_BYTES);
    text_add(&line, "time");
    for (size_t i = 0; i < w->column_count; i++) {
        text_add_char(&line, ',');
        write_cell(w->columns[i].name, &line);
    }
    text_add_char(&line, '\n');
    for (size_t step = 0; fine && step <= w->span.steps; step++) {
        fine = gzwrite(out, line.bytes, (unsigned)line.length) == (int)line.length;
        text_clear(&line);
        if (step < w->span.steps)
            write_row(w, step, &line);
    }
    text_done(&line);
    return fine;
}

static bool write_file(const struct work *w, const struct subject *s, struct error *err)
{
    char path[4400];

    snprintf(path, sizeof(path), "%s/%s-%s.csv.gz", out_folder, s->meta->ns, s->meta->name);
    gzFile out = gzopen(path, "wbxe");
    if (!out)
        return error_set(err, ERROR_INVALID, "%s cannot be made: %s; take it away, or choose another --out", path,
                         strerror(errno));
    bool fine = write_rows(w, out);
    fine = gzclose(out) == Z_OK && fine;
    if (!fine) {
        error_set(err, ERROR_INTERNAL, "%s cannot be written: %s", path, strerror(errno));
        unlink(path);
        return false;
    }
    printf("%s: %zu steps of", path, w->span.steps);
    for (size_t i = 0; i < w->column_count; i++)
        printf("%s %s%s", i ? "," : "", w->columns[i].name,
               w->columns[i].missing == w->span.steps ? " (never a value)" : "");
    printf("\n");
    for (size_t i = 0; i < w->column_count; i++)
        if (w->columns[i].missing > 0 && w->columns[i].missing < w->span.steps)
            printf("  %s had no value at %zu steps\n", w->columns[i].name, w->columns[i].missing);
    return true;
}

static void tell_left_out(const struct subject *s)
{
    for (size_t i = 0; i < s->trigger_count; i++)
        if (!string_equal(s->triggers[i].type, "prometheus"))
            fprintf(
                stderr,
                "weir record: %s/%s: trigger %s%s is of type %s, which Prometheus is not asked for: simulate needs its "
                "values from elsewhere\n",
                s->meta->ns, s->meta->name, s->triggers[i].name ? s->triggers[i].name : "without name at ",
                s->triggers[i].name ? "" : s->triggers[i].place.file, s->triggers[i].type);
}

/* ------------------------------------------------------------------ all of them */

static bool is_wanted(const struct object_meta *meta)
{
    const char *slash = only ? strchr(only, '/') : NULL;

    if (!only)
        return true;
    if (!slash)
        return strcmp(meta->name, only) == 0;
    return strlen(meta->ns) == (size_t)(slash - only) && strncmp(meta->ns, only, (size_t)(slash - only)) == 0 &&
           strcmp(meta->name, slash + 1) == 0;
}

/* *done counts those written. */
static bool record(struct work *w, const struct subject *s, size_t *done, struct error *err)
{
    if (!is_wanted(s->meta))
        return true;
    bool fine = ask_object(w, s, err);
    if (fine && w->column_count > 0) {
        fine = write_file(w, s, err);
        *done += fine;
    }
    if (fine)
        tell_left_out(s);
    forget_columns(w);
    return fine;
}

/* There was nothing to ask: because the files are wrong, or have no such object. */
static bool refuse_files(const struct work *w, struct error *err)
{
    for (size_t i = 0; i < report_count(w->report); i++) {
        const struct finding *f = report_at(w->report, i);

        if (f->severity != FINDING_ERROR)
            continue;
        error_set(err, ERROR_INVALID, "%s%s%s", f->text, f->remedy ? "; " : "", f->remedy ? f->remedy : "");
        return error_add_place(err, "%s:%d", f->place.file ? f->place.file : "", f->place.line);
    }
    return error_set(err, ERROR_MISSING, "%s has no %s with a trigger of type prometheus", manifest_path,
                     only ? only : "object");
}

static bool record_all(struct work *w, size_t *done, struct error *err)
{
    for (size_t i = 0; i < w->sources->count; i++) {
        const struct manifest *m = w->manifests[i];

        for (size_t j = 0; j < m->scaled_object_count; j++) {
            const struct scaled_object *o = &m->scaled_objects[j];
            if (!record(w, &(struct subject){&o->meta, o->triggers, o->trigger_count}, done, err))
                return false;
        }
        for (size_t j = 0; j < m->scaled_job_count; j++) {
            const struct scaled_job *o = &m->scaled_jobs[j];
            if (!record(w, &(struct subject){&o->meta, o->triggers, o->trigger_count}, done, err))
                return false;
        }
    }
    return *done > 0 || refuse_files(w, err);
}

static bool make_folder(struct error *err)
{
    if (mkdir(out_folder, 0777) == 0 || errno == EEXIST)
        return true;
    return error_set(err, ERROR_INVALID, "--out %s cannot be made: %s", out_folder, strerror(errno));
}

static bool run(struct work *w, struct error *err)
{
    size_t done = 0;

    if ((token_file && !read_token(&w->login, err)) || (header && !read_header(&w->login, err)) || !make_folder(err))
        return false;
    w->client = range_client_new(err);
    return w->client && record_all(w, &done, err);
}

static void free_work(struct work *w)
{
    range_client_free(w->client);
    secret_unref(w->login.token);
    secret_unref(w->login.value);
    free(w);
}

static bool run_on(const struct sources *sources, const struct span *span, struct error *err)
{
    struct report *report = report_new();
    struct work *w = mem_alloc(sizeof(*w));

    w->sources = sources;
    w->report = report;
    w->span = *span;
    w->manifests = sources_manifests(sources, report);
    bool fine = run(w, err);
    for (size_t i = 0; i < sources->count; i++)
        manifest_free(w->manifests[i]);
    free(w->manifests);
    free_work(w);
    report_free(report);
    return fine;
}

static int run_record(const struct command *self, int argc, char **argv)
{
    struct sources sources = {.count = 0};
    struct error err = {.kind = ERROR_NONE};
    struct span span;
    int first, status;

    if (!options_parse(self, argc, argv, &first, &status))
        return status;
    if (first < argc)
        return usage_error(self, "'%s' is too much: the manifest is named with --manifest", argv[first]);
    if (!manifest_path || !from || !out_folder)
        return usage_error(self, "--%s is missing", !manifest_path ? "manifest" : !from ? "from" : "out");
    if (!read_span(self, &span))
        return EXIT_USAGE;
    bool fine = sources_read(&sources, manifest_path, &err) && run_on(&sources, &span, &err);
    sources_done(&sources);
    if (!fine)
        fprintf(stderr, "weir record: %s%s%s\n", err.where, err.where[0] ? ": " : "", err.text);
    return fine ? EXIT_FINE : EXIT_FOUND;
}

const struct command command_record = {
    .name = "record",
    .operands = "--manifest PATH --from TIME --out DIR",
    .summary = "what a manifest's prometheus triggers would have measured, asked of Prometheus",
    .description =
        "Asks query_range for the query of each trigger of type prometheus, and writes a file per object with a "
        "column\n"
        "per trigger, which 'weir simulate --trace' reads: so a policy can be tried on last week before Weir ever "
        "ran.\n"
        "Credentials of a TriggerAuthentication are taken from the same files where they are there, and sent to the\n"
        "trigger's own serverAddress only. A running Weir records with 'weir run --record'.\n\n"
        "Exit status: 0 when all was written; 1 when Prometheus could not be asked; 2 for bad usage.",
    .options = options,
    .run = run_record,
};
