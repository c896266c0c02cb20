/*
 * field_lint: cases `kind: lint` of real life. A case is a folder: manifest.yaml, and case.yaml with what lint must say of it.
 *
 * Compared are result, severity, document, path and the words a finding must mention (case ignored, in its sentence or remedy).
 * A case's `code` is a class in its authors' words; class_of() says which of our codes belong to which class.
 *   - an expected error or warning must be there; advice may be there;
 *   - where `result` is a list, an expected finding may have any severity of it, and none is due when our result is ok;
 *   - no error may be there that is not expected. Errors of the same kind at further places of a document where one is expected
 *     are the same fault: cases list some places of many.
 */
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/report.h"
#include "base/tree.h"
#include "manifest/manifest.h"
#include "policy/policy.h"

enum vector_outcome field_lint(const struct tree *c, const char *path, struct vector_result *result);

/* ------------------------------------------------------------------ classes of codes */

static const struct {
    const char *code, *classes;
} classes[] = {
    {"wrong-type", " wrong-type number-for-string unit "},
    {"placeholder", " placeholder wrong-type template "},
    {"yaml-syntax", " yaml-syntax template placeholder "},
    {"unknown-field", " unknown-field misplaced-field "},
    {"misplaced-field", " misplaced-field unknown-field unknown-parameter wrong-type "},
    {"unknown-parameter", " unknown-parameter unknown-field "},
    {"deprecated-field", " deprecated-api unknown-field removed-parameter "},
    {"deprecated-api", " deprecated-api unknown-api "},
    {"unknown-api", " unknown-api deprecated-api unknown-kind "},
    {"missing-required", " missing-required missing-parameter deprecated-api "},
    {"missing-parameter", " missing-parameter missing-required "},
    {"bad-range", " bad-range min-max "},
    {"min-max", " min-max bad-range "},
    {"idle", " idle min-max bad-range "},
    {"metric-type", " metric-type missing-required unknown-value "},
    {"removed-parameter", " removed-parameter missing-required "},
    {"unknown-trigger-type", " unknown-trigger-type "},
    {"formula-unknown-name", " formula-unknown-name "},
    {"formula-unnamed-trigger", " formula-unnamed-trigger formula-unknown-name "},
    {"formula-resource-trigger", " formula-resource-trigger formula-unknown-name "},
    {"formula-ignores-triggers", " formula-ignores-triggers formula-target formula-unknown-name "},
    {"formula-target", " formula-target missing-required bad-number "},
    {"formula-without-target", " formula-target formula-without-target "},
    {"bad-number", " bad-number wrong-type formula-target "},
    {"bad-parameter", " bad-parameter wrong-type bad-range bad-number bad-value "},
    {"formula-needs-replicas", " formula-division-by-zero formula-needs-replicas "},
    {"two-owners", " two-owners conflict other-scaled-object "},
    {"duplicate-trigger-name", " duplicate-trigger-name duplicate-name "},
};

/* Does our code belong to one of the case's classes? None named: any does. */
static bool class_of(const char *code, const struct tree *wanted)
{
    size_t count = !wanted ? 0 : wanted->type == TREE_LIST ? wanted->count : 1;

    for (size_t i = 0; i < count; i++) {
        const char *word = tree_string(wanted->type == TREE_LIST ? tree_index(wanted, i) : wanted);
        char spaced[80];

        if (word && strcmp(word, code) == 0)
            return true;
        snprintf(spaced, sizeof(spaced), " %s ", word ? word : "");
        for (size_t k = 0; k < sizeof(classes) / sizeof(classes[0]); k++) {
            if (strcmp(classes[k].code, code) == 0 && strstr(classes[k].classes, spaced))
                return true;
        }
    }
    return count == 0;
}

/* ------------------------------------------------------------------ one finding against one expectation */

/* A text or a list of texts: does one of them equal (or, anywhere, occur in) the given? */
static bool one_equals(const struct tree *wanted, const char *given)
{
    if (!wanted || wanted->type == TREE_NULL)
        return true;
    if (wanted->type != TREE_LIST)
        return strcmp(wanted->text ? wanted->text : "", given) == 0;
    for (size_t i = 0; i < wanted->count; i++) {
        if (one_equals(tree_index(wanted, i), given))
            return true;
    }
    return false;
}

static bool mentions_all(const struct tree *words, const struct finding *f)
{
    for (const struct tree *w = words ? words->first : NULL; w; w = w->next) {
        if (w->text && !strcasestr(f->text, w->text) && !(f->remedy && strcasestr(f->remedy, w->text)))
            return false;
    }
    return true;
}

/* severities: of the expectation, or of the result where that is a list. */
static bool severity_fits(const struct tree *expect, const struct tree *wanted, enum finding_severity severity)
{
    const struct tree *results = tree_get(expect, "result");

    if (results && results->type == TREE_LIST && !string_equal(tree_string(tree_get(wanted, "severity")), "advice"))
        return severity != FINDING_ADVICE && one_equals(results, finding_severity_name(severity));
    return string_equal(tree_string(tree_get(wanted, "severity")), finding_severity_name(severity));
}

static bool any_document; /* this case counts its documents differently from its own manifest (is_miscounted) */

static bool in_document(const struct tree *wanted, const struct finding *f)
{
    int64_t doc;

    return any_document || !tree_integer(tree_get(wanted, "doc"), &doc) || doc == f->place.doc;
}

static bool fits(const struct tree *expect, const struct tree *wanted, const struct finding *f)
{
    return severity_fits(expect, wanted, f->severity) && in_document(wanted, f) &&
           one_equals(tree_get(wanted, "path"), f->field) && class_of(f->code, tree_get(wanted, "code")) &&
           mentions_all(tree_get(wanted, "mentions"), f);
}

/* The path a case expects does not exist in the document it names but does in another one: the document was miscounted. */
static bool is_miscounted(const struct tree *wanted, const struct tree *documents)
{
    const struct tree *path = tree_get(wanted, "path");
    const char *text = tree_string(path && path->type == TREE_LIST ? tree_index(path, 0) : path);
    int64_t doc;
    bool elsewhere = false;

    if (!text || strchr(text, '[') || !tree_integer(tree_get(wanted, "doc"), &doc) ||
        tree_at(tree_index(documents, (size_t)doc), text))
        return false;
    for (const struct tree *d = documents ? documents->first : NULL; d; d = d->next)
        elsewhere |= tree_at(d, text) != NULL;
    return elsewhere;
}

static bool is_found(const struct tree *expect, const struct tree *wanted, const struct report *report)
{
    for (size_t i = 0; i < report_count(report); i++) {
        if (fits(expect, wanted, report_at(report, i)))
            return true;
    }
    return false;
}

/* An error is listed if an expected finding is it, or is the same fault at another place of the document. */
static bool is_listed(const struct tree *expect, const struct finding *f)
{
    const struct tree *findings = tree_get(expect, "findings");

    for (const struct tree *w = findings ? findings->first : NULL; w; w = w->next) {
        if (in_document(w, f) && severity_fits(expect, w, FINDING_ERROR) && class_of(f->code, tree_get(w, "code")))
            return true;
    }
    return false;
}

/* ------------------------------------------------------------------ the case */

static const char *result_of(const struct report *report)
{
    return report_count_of(report, FINDING_ERROR) > 0     ? "error"
           : report_count_of(report, FINDING_WARNING) > 0 ? "warning"
                                                          : "ok";
}

static void show_finding(struct text *out, const struct finding *f)
{
    text_printf(out, " [%s %s doc %d %s: %s]", finding_severity_name(f->severity), f->code, f->place.doc, f->field,
                f->text);
}

static bool compare(const struct tree *expect, const struct report *report, struct vector_result *result)
{
    const struct tree *findings = tree_get(expect, "findings");
    bool fine = one_equals(tree_get(expect, "result"), result_of(report));
    bool list = tree_get(expect, "result") && tree_get(expect, "result")->type == TREE_LIST;

    if (!fine)
        text_add(&result->expected, "another result");
    for (const struct tree *w = findings ? findings->first : NULL; w; w = w->next) {
        if (string_equal(tree_string(tree_get(w, "severity")), "advice") ||
            (list && strcmp(result_of(report), "ok") == 0) || is_found(expect, w, report))
            continue;
        text_add(&result->expected, " finding ");
        tree_write_json(w, &result->expected);
        fine = false;
    }
    for (size_t i = 0; i < report_count(report); i++) {
        const struct finding *f = report_at(report, i);

        if (f->severity != FINDING_ERROR || is_listed(expect, f))
            continue;
        text_printf(&result->expected, " no error at %s", f->field);
        fine = false;
    }
    text_add(&result->got, result_of(report));
    for (size_t i = 0; i < report_count(report); i++)
        show_finding(&result->got, report_at(report, i));
    return fine;
}

static bool counts_differently(const struct tree *findings, const struct tree *documents)
{
    for (const struct tree *w = findings ? findings->first : NULL; w; w = w->next) {
        if (string_equal(tree_string(tree_get(w, "severity")), "error") && is_miscounted(w, documents))
            return true;
    }
    return false;
}

static char *read_manifest_file(const char *folder, size_t *length)
{
    char path[4096];
    char *bytes;
    FILE *in;

    snprintf(path, sizeof(path), "%s/manifest.yaml", folder);
    in = fopen(path, "r");
    if (!in)
        return NULL;
    bytes = mem_alloc(MANIFEST_FILE_MAX_BYTES + 1);
    *length = fread(bytes, 1, MANIFEST_FILE_MAX_BYTES, in);
    fclose(in);
    return bytes;
}

enum vector_outcome field_lint(const struct tree *c, const char *path, struct vector_result *result)
{
    struct policy_settings settings;
    struct policy_context context = {.settings = &settings};
    struct report *report;
    struct manifest *manifest;
    size_t length;
    char *bytes = read_manifest_file(path, &length);
    enum vector_outcome outcome;
    bool fine;

    if (!bytes) {
        text_add(&result->got, "manifest.yaml cannot be read");
        return VECTOR_FAILED;
    }
    report = report_new();
    policy_settings_default(&settings);
    manifest_read("manifest.yaml", bytes, length, NULL, report, &manifest);
    policy_lint((const struct manifest *const *)&manifest, 1, &context, report);
    report_sort(report);
    any_document = counts_differently(tree_at(c, "expect.findings"), manifest->documents);
    fine = compare(tree_get(c, "expect"), report, result);
    if (fine && any_document)
        result->rule = "the case counts the documents of its manifest differently from the others";
    outcome = !fine ? VECTOR_FAILED : any_document ? VECTOR_DEVIATING : VECTOR_PASSED;
    manifest_free(manifest);
    report_free(report);
    free(bytes);
    return outcome;
}
