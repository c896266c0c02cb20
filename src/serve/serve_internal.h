/* What the files of this room share. */
#ifndef WEIR_SERVE_INTERNAL_H
#define WEIR_SERVE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "autoscaler/autoscaler.h"
#include "base/text.h"
#include "net/server.h"

/* json.c: writes JSON into a text; commas are its business. key NULL inside lists. */
struct json {
    struct text *out;
    bool comma;
};
void json_put_open(struct json *json, const char *key, char bracket); /* '{' or '[' */
void json_put_close(struct json *json, char bracket);
void json_put_string(struct json *json, const char *key, const char *value); /* NULL: null */
void json_put_number(struct json *json, const char *key, double value);      /* not finite: null */
void json_put_integer(struct json *json, const char *key, int64_t value);
void json_put_bool(struct json *json, const char *key, bool value);
void json_put_time(struct json *json, const char *key, int64_t at_ms); /* RFC 3339; 0: null */
void json_put_raw(struct json *json, const char *key, const struct text *value);

/* metrics.c: who adds to the page of /metrics, until it says that it goes. Few: METRICS_WRITERS_MAX. */
enum { METRICS_WRITERS_MAX = 8 };
typedef void metrics_writer(void *arg, struct text *out);
void metrics_writer_add(metrics_writer *write, void *arg);
void metrics_writer_remove(void *arg);

/* api.c, metrics.c, page.c: handlers; arg is the autoscaler. */
server_handler serve_objects, serve_object, serve_decisions, serve_findings, serve_version, serve_metrics, serve_page;

#endif
