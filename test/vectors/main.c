/*
 * vectors KIND FILE...: one line per failing case, one per reason why cases cannot be run by this build, then
 * "N passed, M failed[, K deviating][, S skipped]". Exit 1 if M > 0, 2 for usage.
 * FILE holds one JSON object a line; for kind `field` it is a case's folder or a folder of such folders.
 */
#include "vectors.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/tree.h"

static const struct {
    const char *name;
    vector_run *run;
} kinds[] = {
#define KIND(name) {#name, vector_##name},
    VECTOR_KINDS(KIND)
#undef KIND
};
enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]), SHOWN_MAX_BYTES = 2000 };

static unsigned long passed, failed, deviating, skipped;
static struct {
    char why[200]; /* of those that are skipped now */
    unsigned long count;
} skipping;
static bool show_deviating;

static void skip_case(const char *why)
{
    if (strcmp(why, skipping.why) != 0 && skipping.count > 0) {
        printf("%s: %lu skipped\n", skipping.why, skipping.count);
        skipping.count = 0;
    }
    snprintf(skipping.why, sizeof(skipping.why), "%s", why);
    skipping.count += *why != '\0';
    skipped += *why != '\0';
}

static void run_case(vector_run *run, const struct tree *c, const char *path, const char *label)
{
    struct vector_result result = {.rule = NULL};
    enum vector_outcome outcome = VECTOR_FAILED;

    text_init(&result.expected, SHOWN_MAX_BYTES);
    text_init(&result.got, SHOWN_MAX_BYTES);
    if (run)
        outcome = run(c, path, &result);
    else
        text_add(&result.got, "this kind is not built yet");
    if (outcome == VECTOR_PASSED)
        passed++;
    else if (outcome == VECTOR_DEVIATING)
        deviating++;
    else if (outcome == VECTOR_SKIPPED)
        skip_case(result.got.bytes);
    else
        failed++;
    if (outcome == VECTOR_FAILED)
        printf("%s: expected %s, got %s\n", label, result.expected.bytes, result.got.bytes);
    else if (outcome == VECTOR_DEVIATING && show_deviating)
        printf("%s: deviates: %s\n", label, result.rule ? result.rule : "");
    text_done(&result.expected);
    text_done(&result.got);
}

static void run_line(vector_run *run, const char *file, unsigned long number, const char *line, size_t length)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *c;
    struct error err;
    char label[300];

    snprintf(label, sizeof(label), "%s:%lu", file, number);
    if (!tree_read_json(line, length, false, arena, &c, &err)) {
        printf("%s: expected a case, got no JSON: %s\n", label, err.text);
        failed++;
    } else {
        const char *id = tree_string(tree_get(c, "id"));

        if (id)
            snprintf(label, sizeof(label), "%s:%lu %s", file, number, id);
        run_case(run, c, file, label);
    }
    arena_free(arena);
}

static bool run_lines(vector_run *run, const char *file)
{
    FILE *in = fopen(file, "r");
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    unsigned long number = 0;

    if (!in) {
        perror(file);
        return false;
    }
    while ((length = getline(&line, &size, in)) >= 0) {
        number++;
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            length--;
        if (length > 0)
            run_line(run, file, number, line, (size_t)length);
    }
    free(line);
    fclose(in);
    return true;
}

static char *read_file(const char *path, size_t *length)
{
    FILE *in = fopen(path, "r");
    struct text text;

    if (!in)
        return NULL;
    text_init(&text, 16 * 1024 * 1024);
    for (char buffer[8192]; !feof(in) && !ferror(in);)
        text_append(&text, buffer, fread(buffer, 1, sizeof(buffer), in));
    fclose(in);
    *length = text.length;
    return text_take(&text);
}

static bool run_folder(vector_run *run, const char *folder)
{
    char path[4096];
    size_t length;
    struct dirent **names;

    snprintf(path, sizeof(path), "%s/case.yaml", folder);
    char *bytes = read_file(path, &length);
    if (bytes) {
        struct arena *arena = arena_new(ARENA_USUAL);
        struct tree *documents;
        struct error err;

        if (!tree_read_yaml(path, bytes, length, arena, &documents, &err)) {
            printf("%s: expected a case, got no YAML: %s\n", path, err.text);
            failed++;
        } else {
            run_case(run, tree_index(documents, 0), folder, folder);
        }
        arena_free(arena);
        free(bytes);
        return true;
    }
    int count = scandir(folder, &names, NULL, alphasort);
    if (count < 0) {
        perror(folder);
        return false;
    }
    for (int i = 0; i < count; i++) {
        struct stat status;

        snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
            run_folder(run, path);
        free(names[i]);
    }
    free(names);
    return true;
}

static int usage(void)
{
    fprintf(stderr, "usage: vectors [--deviating] KIND FILE...\n  KIND: one of");
    for (int i = 0; i < KIND_COUNT; i++)
        fprintf(stderr, " %s", kinds[i].name);
    fprintf(stderr, "\n  --deviating also lists the cases that differ on purpose, each with its rule\n");
    return 2;
}

int main(int argc, char **argv)
{
    bool readable = true;
    int first = 1;

    if (argc > 1 && strcmp(argv[1], "--deviating") == 0) {
        show_deviating = true;
        first++;
    }
    if (argc < first + 2)
        return usage();
    for (int k = 0; k < KIND_COUNT; k++) {
        if (strcmp(argv[first], kinds[k].name) != 0)
            continue;
        for (int i = first + 1; i < argc; i++)
            readable &= strcmp(kinds[k].name, "field") == 0 ? run_folder(kinds[k].run, argv[i])
                                                            : run_lines(kinds[k].run, argv[i]);
        skip_case(""); /* no more of them */
        printf("%lu passed, %lu failed", passed, failed);
        if (deviating > 0)
            printf(", %lu deviating", deviating);
        if (skipped > 0)
            printf(", %lu skipped", skipped);
        printf("\n");
        return !readable ? 2 : failed > 0;
    }
    return usage();
}
