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

/* query.c: what a request asks for. false: the answer says what is wrong with it (400, 404). A parameter that is not there leaves what
   was. */
enum { QUERY_KEY_BYTES = 600 }; /* of an object, "ScaledObject/shop/checkout" */
void answer_refuse(struct server_answer *answer, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4))); /* {"error": "..."} */
bool query_integer(const struct server_request *request, const char *name, long least, long most, long *value,
                   struct server_answer *answer);
/* One of these, up to a NULL; *value is its index. */
bool query_choice(const struct server_request *request, const char *name, const char *const *choices, size_t *value,
                  struct server_answer *answer);
/* "" where it is not there. */
bool query_text(const struct server_request *request, const char *name, size_t most, char *out, size_t size,
                struct server_answer *answer);
/* An instant, or a span back from now. */
bool query_instant(const struct server_request *request, const char *name, int64_t now_ms, int64_t *at_ms,
                   struct server_answer *answer);
/* The object that the path names: of ?kind=, or the first that exists, ScaledObject before ScaledJob. */
bool query_object(struct autoscaler *a, const struct server_request *request, char key[QUERY_KEY_BYTES],
                  struct server_answer *answer);

/* row.c: an object in short. The state is the worst that is true of it. */
enum row_state {
    ROW_BAD,
    ROW_FAILED,
    ROW_FALLBACK,
    ROW_HELD,
    ROW_PAUSED,
    ROW_ACTIVE,
    ROW_IDLE,
    ROW_UNKNOWN, /* nothing was decided yet */
    ROW_STATES
};
const char *row_state_name(enum row_state state);
enum row_state row_state(const struct object_status *s);
int row_attention(const struct object_status *s);         /* how much it needs somebody to look: 0..100 */
void row_write_names(struct json *json, const char *key); /* kind, namespace, name */
void row_write_members(struct json *json, const struct object_status *s); /* within an object that is open */

/* what_if.c: also a handler; arg is the autoscaler. The body of a what-if question; texts are the arena's. */
server_handler serve_what_if, serve_outlook;
server_handler serve_openapi; /* openapi.c */
bool what_if_read(const char *body, size_t length, struct arena *arena, struct what_if *out, struct error *err);

/* object.c: an autoscaler_visit whose arg is a struct json, which gets the object in full. */
bool object_write(void *json, const struct object_status *s);
/* One of both, or neither: null. */
void json_put_decision(struct json *json, const char *key, const struct decision *decision,
                       const struct job_decision *job, const struct decision_names *names);

/* What the routes of one server share; the arg of those who say so. */
struct serve_live {
    struct autoscaler *autoscaler;
    struct catalogue *catalogue;
    struct streams *streams;
};
/* list.c, overview.c, stream.c: arg is the struct serve_live. */
server_handler serve_session, serve_action; /* session.c, actions.c */
server_handler serve_objects, serve_overview, serve_stream;

/* overview.c: of a catalogue that is fresh; an object in JSON. timed: with what differs each time it is measured. */
void overview_write(const struct serve_live *live, bool timed, struct text *out);

/* stream.c */
struct streams *streams_new(struct serve_live *live);
size_t streams_count(const struct streams *streams);
void streams_free(struct streams *streams); /* after the server, before the catalogue; NULL is fine */

/* object.c, decisions.c, process.c, log_levels.c: handlers; arg is the autoscaler. */
server_handler serve_object, serve_decisions, serve_findings, serve_version, serve_log_levels, serve_set_log_levels;

/* assets.c: the dashboard, its page and what that loads; no arg, nothing secret. */
server_handler serve_dashboard, serve_asset;

/* history.c; arg is the autoscaler. */
server_handler serve_history, serve_manifests;
bool serve_takes_gzip(const char *accept_encoding);             /* the header's value; NULL: not said, so no */
bool serve_has_tag(const char *if_none_match, const char *tag); /* the header's value, or NULL */

#endif
