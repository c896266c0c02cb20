/*
 * admission_counts: keda_webhook_scaled_object_validations_total and .._validation_errors_total (keda-operator/06 4.1, 07 4.2). Each namespace
 * has its counters, up to ADMISSION_NAMESPACES_MAX; those that come later are counted together under an empty name.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "serve/admission_internal.h"

static const char *const labels[] = {
    "incorrect-replicas",         "name-too-long",           "hpa-name-too-long",
    "incorrect-fallback",         "incorrect-triggers",      "other-hpa",
    "other-scaled-object",        "scaling-modifiers",       "transfer-ownership-missing-hpa-name",
    "missing-requests",           "other-scaled-object-hpa", "scale-to-zero-requirements-not-met",
    "scaling-modifiers-fallback",
};
enum {
    LABELS = sizeof(labels) / sizeof(labels[0]),
    ACTIONS = 2,
    NAMESPACE_MAX_BYTES = 63, /* a DNS label; anybody may post a review that says otherwise, and names are kept */
};
static const char *const actions[ACTIONS] = {"create", "update"};

struct counts {
    uint64_t reviews[ACTIONS], errors[ACTIONS][LABELS];
};
struct admission_counts {
    struct map *namespaces; /* -> struct counts */
    struct counts rest;
};

struct admission_counts *admission_counts_new(void)
{
    struct admission_counts *c = mem_alloc(sizeof(*c));

    c->namespaces = map_new();
    return c;
}

void admission_counts_free(struct admission_counts *c)
{
    size_t cursor = 0;
    const char *ns;
    void *counts;

    if (!c)
        return;
    while (map_next(c->namespaces, &cursor, &ns, &counts))
        free(counts);
    map_free(c->namespaces);
    free(c);
}

static struct counts *counts_of(struct admission_counts *c, const char *ns)
{
    struct counts *counts = map_get(c->namespaces, ns);

    if (counts)
        return counts;
    if (map_count(c->namespaces) >= ADMISSION_NAMESPACES_MAX || strlen(ns) > NAMESPACE_MAX_BYTES)
        return &c->rest;
    counts = mem_alloc(sizeof(*counts));
    map_put(c->namespaces, ns, counts);
    return counts;
}

void admission_counts_add(struct admission_counts *c, const char *ns, bool update, const char *label)
{
    struct counts *counts = counts_of(c, ns);

    counts->reviews[update]++;
    for (size_t i = 0; label && i < LABELS; i++) {
        if (strcmp(labels[i], label) == 0)
            counts->errors[update][i]++;
    }
}

/* ------------------------------------------------------------------ the page */

#define REVIEWS "keda_webhook_scaled_object_validations_total"
#define ERRORS  "keda_webhook_scaled_object_validation_errors_total"

/* A namespace is a DNS label, or came from a review that says otherwise: then what would break the line is left out. */
static void add_labels(struct text *out, const char *name, const char *ns, int action)
{
    text_printf(out, "%s{namespace=\"", name);
    for (; *ns; ns++) {
        if (*ns != '"' && *ns != '\\' && (unsigned char)*ns >= ' ')
            text_add_char(out, *ns);
    }
    text_printf(out, "\",action=\"%s\"", actions[action]);
}

static void write_reviews(const struct counts *counts, const char *ns, struct text *out)
{
    for (int a = 0; a < ACTIONS; a++) {
        if (counts->reviews[a] == 0)
            continue;
        add_labels(out, REVIEWS, ns, a);
        text_printf(out, "} %llu\n", (unsigned long long)counts->reviews[a]);
    }
}

static void write_errors(const struct counts *counts, const char *ns, struct text *out)
{
    for (int a = 0; a < ACTIONS; a++) {
        for (size_t i = 0; i < LABELS; i++) {
            if (counts->errors[a][i] == 0)
                continue;
            add_labels(out, ERRORS, ns, a);
            text_printf(out, ",reason=\"%s\"} %llu\n", labels[i], (unsigned long long)counts->errors[a][i]);
        }
    }
}

static void write_family(const struct admission_counts *c, struct text *out,
                         void (*write)(const struct counts *, const char *, struct text *))
{
    size_t cursor = 0;
    const char *ns;
    void *counts;

    while (map_next(c->namespaces, &cursor, &ns, &counts))
        write(counts, ns, out);
    write(&c->rest, "", out);
}

void admission_counts_write(const struct admission_counts *c, struct text *out)
{
    text_add(out, "# HELP " REVIEWS " Reviews of ScaledObjects and ScaledJobs.\n# TYPE " REVIEWS " counter\n");
    write_family(c, out, write_reviews);
    text_add(out, "# HELP " ERRORS " Reviews that were refused, by reason.\n# TYPE " ERRORS " counter\n");
    write_family(c, out, write_errors);
}
