/* page: the plain read-only status page: every object, its replicas, the last decision in words. Works without scripts. */
#include "serve/serve_internal.h"

#include <string.h>

#include "base/limits.h"
#include "formula/formula.h"

static const char top[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"2\">"
    "<meta name=\"viewport\" content=\"width=device-width\"><title>Weir</title><style>"
    ":root{color-scheme:light dark}body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 "
    "1rem}"
    "section{border:1px solid #8886;border-radius:8px;padding:.7rem 1rem;margin:1rem 0}h2{font-size:1.1rem;margin:0 0 "
    ".3rem}"
    "code{font-family:ui-monospace,monospace}table{border-collapse:collapse;margin:.4rem 0}td,th{padding:.1rem .9rem "
    ".1rem 0;"
    "text-align:left;vertical-align:top}.bad{color:#c33}.dim{opacity:.7}ol{margin:.3rem "
    "0}</style></head><body><h1>Weir</h1>";

static void add_triggers(struct text *out, const struct object_status *s)
{
    text_add(out, "<table><tr><th>trigger</th><th>type</th><th>value</th><th>age</th><th></th></tr>");
    for (size_t i = 0; i < s->trigger_count; i++) {
        const struct trigger_status *t = &s->triggers[i];

        text_add(out, "<tr><td>");
        text_add_html(out, t->name);
        text_add(out, "</td><td>");
        text_add_html(out, t->type);
        text_add(out, "</td><td>");
        if (t->sample.state == SAMPLE_OK)
            text_add_number(out, t->sample.value);
        else
            text_printf(out, "<span class=\"bad\">%s</span>",
                        t->resource ? "from its pods" : sample_state_name(t->sample.state));
        text_add(out, "</td><td>");
        if (t->age_ms >= 0)
            text_printf(out, "%.1f s", (double)t->age_ms / 1000);
        text_add(out, "</td><td class=\"bad\">");
        text_add_html(out, t->why);
        text_add(out, "</td></tr>");
    }
    text_add(out, "</table>");
}

static void add_steps(struct text *out, const struct object_status *s)
{
    struct text words;

    text_init(&words, LOG_LINE_MAX_BYTES);
    text_add(out, "<ol>");
    for (size_t i = 0; i < s->decision->step_count; i++) {
        text_clear(&words);
        decision_write_step(s->decision, i, &s->names, &words);
        text_add(out, "<li>");
        text_add_html(out, words.bytes);
        text_add(out, "</li>");
    }
    text_add(out, "</ol>");
    text_done(&words);
}

static bool on_object(void *arg, const struct object_status *s)
{
    struct text *out = arg;
    struct text words;

    text_add(out, "<section><h2>");
    text_add_html(out, s->key);
    text_add(out, "</h2>");
    if (s->problem) {
        text_add(out, "<p class=\"bad\">");
        text_add_html(out, s->problem);
        text_add(out, "</p>");
    }
    if (s->policy && s->has_decision) {
        text_init(&words, LOG_LINE_MAX_BYTES);
        if (s->decision)
            decision_write_summary(s->decision, &s->names, &words);
        else
            job_decision_write_summary(s->job_decision, &words);
        text_add(out, "<p><b>");
        text_add_html(out, words.bytes);
        text_add(out, "</b>");
        if (s->target.known)
            text_printf(out, " <span class=\"dim\">%d wanted, %d running, %d ready</span>", s->target.replicas,
                        s->target.status_replicas, s->target.ready_replicas);
        text_add(out, "</p>");
        if (s->policy->formula) {
            text_add(out, "<p><code>");
            text_add_html(out, formula_source(s->policy->formula));
            text_add(out, "</code></p>");
        }
        add_triggers(out, s);
        if (s->decision)
            add_steps(out, s);
        text_done(&words);
    }
    text_add(out, "</section>");
    return !out->overflowed;
}

void serve_page(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)request;
    answer->content_type = "text/html; charset=utf-8";
    text_add(answer->body, top);
    autoscaler_objects(arg, on_object, answer->body);
    text_add(answer->body,
             "<p class=\"dim\">Weir " WEIR_VERSION " &middot; <a href=\"/api/v1/objects\">API</a> &middot; "
             "<a href=\"/metrics\">metrics</a></p></body></html>");
}
