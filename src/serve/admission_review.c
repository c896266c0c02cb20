/*
 * admission_review: AdmissionReview of admission.k8s.io/v1 as the API server sends it, and the answer. The uid is echoed; the Status of a
 * refusal has the code, reason and message that whoever applied the object gets to see.
 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/tree.h"
#include "serve/admission_internal.h"
#include "serve/serve_internal.h"

enum { UID_MAX_BYTES = 256 }; /* a UUID has 36 */

static const char *text_of(const struct tree *map, const char *key)
{
    const char *text = tree_string(tree_get(map, key));

    return text ? text : "";
}

bool review_read(const char *body, size_t length, enum admission_kind kind, struct arena *arena,
                 struct review_input *out, struct error *err)
{
    const struct tree *request;
    const char *operation;
    struct tree *root;

    if (!tree_read_json(body, length, false, arena, &root, err))
        return false;
    if (strcmp(text_of(root, "kind"), "AdmissionReview") != 0 ||
        strcmp(text_of(root, "apiVersion"), "admission.k8s.io/v1") != 0)
        return error_set(
            err, ERROR_INVALID,
            "an AdmissionReview of admission.k8s.io/v1 is wanted here; set admissionReviewVersions to [v1]");
    request = tree_get(root, "request");
    memset(out, 0, sizeof(*out));
    out->uid = text_of(request, "uid");
    if (!out->uid[0] || strlen(out->uid) > UID_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "the AdmissionReview has no request.uid that could be answered to");
    operation = text_of(request, "operation");
    out->review.kind = kind;
    out->review.update = strcmp(operation, "UPDATE") == 0;
    out->review.ns = text_of(request, "namespace");
    out->review.object = tree_get(request, "object");
    out->review.old_object = tree_get(request, "oldObject");
    tree_bool(tree_get(request, "dryRun"), &out->review.dry_run);
    out->asks = (out->review.update || strcmp(operation, "CREATE") == 0) && !text_of(request, "subResource")[0];
    return true;
}

void review_write(const char *uid, const struct admission_answer *answer, struct text *out)
{
    struct json json = {.out = out};

    json_put_open(&json, NULL, '{');
    json_put_string(&json, "kind", "AdmissionReview");
    json_put_string(&json, "apiVersion", "admission.k8s.io/v1");
    json_put_open(&json, "response", '{');
    json_put_string(&json, "uid", uid);
    json_put_bool(&json, "allowed", answer->allowed);
    if (!answer->allowed) {
        json_put_open(&json, "status", '{');
        json_put_string(&json, "status", "Failure");
        json_put_string(&json, "message", answer->message);
        json_put_string(&json, "reason", answer->reason);
        json_put_integer(&json, "code", answer->code);
        json_put_close(&json, '}');
    }
    if (answer->warning_count > 0) {
        json_put_open(&json, "warnings", '[');
        for (size_t i = 0; i < answer->warning_count; i++)
            json_put_string(&json, NULL, answer->warnings[i]);
        json_put_close(&json, ']');
    }
    json_put_close(&json, '}');
    json_put_close(&json, '}');
}
