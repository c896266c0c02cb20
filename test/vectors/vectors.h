/*
 * vectors: runs files of cases whose right answers are known. One kind, one file kind_<kind>.c with one function.
 */
#ifndef WEIR_TEST_VECTORS_H
#define WEIR_TEST_VECTORS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct tree;

enum vector_outcome {
    VECTOR_PASSED,
    VECTOR_FAILED,    /* expected and got say how */
    VECTOR_DEVIATING, /* differs on purpose; rule names the rule, written once in kind_<kind>.c with its reason */
    VECTOR_SKIPPED,   /* cannot be run by this build; got says why */
};
struct vector_result {
    struct text expected, got;
    const char *rule;
};
/* One line of a JSON-lines file. For kind `field`: path is the case's folder and c is its case.yaml. */
typedef enum vector_outcome vector_run(const struct tree *c, const char *path, struct vector_result *result);

/* clang-format off */
#define VECTOR_KINDS(KIND)                                                                                             \
    KIND(expr) KIND(formula) KIND(hpa) KIND(triggers) KIND(responses) KIND(fallback) KIND(scaledobject)                \
    KIND(scaledjob) KIND(webhook) KIND(field) KIND(sim)
/* clang-format on */

/* Weak: a kind whose file is not linked in fails every case and says so. */
#define KIND(name) vector_run vector_##name __attribute__((weak));
VECTOR_KINDS(KIND)
#undef KIND

#endif
