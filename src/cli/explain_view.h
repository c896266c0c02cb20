/*
 * explain_view: everything `weir explain` shows of an object, in one JSON object. Text, `--output json`, --watch and the object's page of
 * `weir top` are made of it, so they cannot differ.
 *
 *     the members of the decision record (docs/decisions.md), each input without a value with its `why`
 *     object      the object in full (docs/openapi.yaml, Object), without its decision; not of an earlier moment
 *     history     History, and `since`, `until` (Unix seconds); null: not known
 *     outlook     Outlook; null: not known
 *     decisions   those whose outcome was a new one, newest first: at, before, after, write, reason, summary
 *     from        "weir" or "journal"
 */
#ifndef WEIR_CLI_EXPLAIN_VIEW_H
#define WEIR_CLI_EXPLAIN_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/cli.h"

struct error;

struct explain_wish {
    const char *data_dir;
    const char *kind, *ns, *name; /* kind "": whichever there is */
    int64_t at_ms;                /* the decision in force then; 0: now */
    int64_t span_ms;              /* of history, and of decisions where `all` is set */
    bool all;                     /* every decision of the span, not the last few */
    int points;                   /* of history */
};
/* A running Weir is asked; where none runs, the journal in the data dir. On ASK_OK the caller json_decrefs *out. */
enum ask_result explain_view(const struct explain_wish *wish, json_t **out, struct error *err);

/* Members of JSON objects as text and numbers; "" and 0 where there is none. */
const char *view_text(const json_t *object, const char *key);
double view_number(const json_t *object, const char *key);
bool view_true(const json_t *object, const char *key);

#endif
