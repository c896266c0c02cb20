/* What the commands share. */
#ifndef WEIR_CLI_CLI_H
#define WEIR_CLI_CLI_H

#include <stdbool.h>

#include "base/text.h"
#include "cli/options.h"

struct error;

extern const struct command command_run, command_lint, command_test, command_eval, command_get, command_explain,
    command_triggers, command_record, command_version, command_completion, command_help, command_top;
extern const struct command command_probe;
extern const struct command command_diff, command_compare, command_tune;
extern const struct command command_simulate;
extern const struct command *const commands[]; /* ends with NULL */

/* --data-dir, or where the state of this user lives: $XDG_STATE_HOME/weir, ~/.local/state/weir, as root /var/lib/weir. */
const char *data_dir_default(void);
bool data_dir_make(const char *path, struct error *err);
void data_dir_socket(const char *data_dir, char *out, size_t size);

/* client.c: asks a running Weir through the socket in its data dir. */
enum ask_result { ASK_OK, ASK_NOT_RUNNING, ASK_FAILED };
enum ask_result client_get(const char *data_dir, const char *path, struct text *body, struct error *err);

/* Percent-encodes what is not plain in a URL. */
void percent_encode(const char *string, char *out, size_t size);
/* "/api/v1/objects/NS/NAME<tail>?kind=..."; kind "" leaves the query out. tail: "" or "/decisions". */
void object_path(const char *kind, const char *ns, const char *name, const char *tail, char *out, size_t size);

enum { NAME_MAX_BYTES = 300, PATH_MAX_BYTES = 8 * NAME_MAX_BYTES };

/* "checkout", "shop/checkout", "ScaledObject/shop/checkout" -> parts; kind NULL if not given. */
void split_name(const char *name, const char *default_ns, char *kind, char *ns, char *object, size_t size);

#endif
