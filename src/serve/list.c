/*
 * list: objects in short, filtered, sorted, by pages; out of the catalogue. Where that has much to look at first (the first question for
 * minutes), the answer waits for it and the loop goes on.
 */
#include "serve/catalogue.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum {
    LIST_ROWS = 100,
    LIST_ROWS_MAX = 1000,
    LIST_OFFSET_MAX = 1000 * 1000,
    NAME_CHARACTERS_MAX = 253,
    TYPE_CHARACTERS_MAX = 63,
    CHARACTER_BYTES_MAX = 4, /* in UTF-8 */
};

struct list { /* a question, copied: it may have to wait */
    struct catalogue *catalogue;
    struct server_pending *pending; /* NULL: it is answered at once */
    char ns[CHARACTER_BYTES_MAX * NAME_CHARACTERS_MAX + 1], part[CHARACTER_BYTES_MAX * NAME_CHARACTERS_MAX + 1];
    char type[CHARACTER_BYTES_MAX * TYPE_CHARACTERS_MAX + 1];
    const char *kind; /* static; NULL: both */
    uint32_t states;  /* 0: any */
    size_t sort;
    long limit, offset;
};

/* ------------------------------------------------------------------ the question */

static const char *const kinds[] = {"ScaledObject", "ScaledJob", NULL};
static const char *const sorts[] = {[SORT_ATTENTION] = "attention",
                                    [SORT_NAME] = "name",
                                    [SORT_REPLICAS] = "replicas",
                                    [SORT_CHANGED] = "changed",
                                    NULL};
static const char *const states[] = {"attention", "bad",    "failed", "fallback", "held",
                                     "paused",    "active", "idle",   "unknown",  NULL};
static const uint32_t state_bits[] = {
    1u << ROW_BAD | 1u << ROW_FAILED | 1u << ROW_FALLBACK | 1u << ROW_HELD,
    1u << ROW_BAD,
    1u << ROW_FAILED,
    1u << ROW_FALLBACK,
    1u << ROW_HELD,
    1u << ROW_PAUSED,
    1u << ROW_ACTIVE,
    1u << ROW_IDLE,
    1u << ROW_UNKNOWN,
};
enum { ANY_KIND = 2, ANY_STATE = 9 };

static bool read_question(const struct server_request *request, struct list *out, struct server_answer *answer)
{
    size_t kind = ANY_KIND, state = ANY_STATE;

    *out = (struct list){.sort = SORT_ATTENTION, .limit = LIST_ROWS};
    if (!query_text(request, "namespace", NAME_CHARACTERS_MAX, out->ns, sizeof(out->ns), answer) ||
        !query_text(request, "type", TYPE_CHARACTERS_MAX, out->type, sizeof(out->type), answer) ||
        !query_text(request, "q", NAME_CHARACTERS_MAX, out->part, sizeof(out->part), answer) ||
        !query_choice(request, "kind", kinds, &kind, answer) ||
        !query_choice(request, "state", states, &state, answer) ||
        !query_choice(request, "sort", sorts, &out->sort, answer) ||
        !query_integer(request, "limit", 1, LIST_ROWS_MAX, &out->limit, answer) ||
        !query_integer(request, "offset", 0, LIST_OFFSET_MAX, &out->offset, answer))
        return false;
    out->kind = kinds[kind];
    out->states = state == ANY_STATE ? 0 : state_bits[state];
    for (char *at = out->part; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return true;
}

/* ------------------------------------------------------------------ the answer */

static void add_row(void *arg, const char *row, size_t length)
{
    struct text *body = arg;

    if (body->bytes[body->length - 1] != '[')
        text_add_char(body, ',');
    text_append(body, row, length);
}

static void write_list(const struct list *list, struct text *body)
{
    struct catalogue_filter filter = {.ns = *list->ns ? list->ns : NULL,
                                      .type = *list->type ? list->type : NULL,
                                      .part = list->part,
                                      .kind = list->kind,
                                      .states = list->states};
    struct entry **entries = mem_array((size_t)list->limit, sizeof(*entries));
    struct catalogue_totals totals;
    size_t matched, count = catalogue_find(list->catalogue, &filter, (enum catalogue_sort)list->sort,
                                           (size_t)list->offset, (size_t)list->limit, entries, &matched);

    catalogue_totals(list->catalogue, &totals);
    text_add(body, "{\"objects\":[");
    catalogue_rows(list->catalogue, entries, count, add_row, body);
    text_printf(body, "],\"total\":%u,\"matched\":%zu}", totals.objects, matched);
    free(entries);
}

static void on_fresh(void *arg, bool ended)
{
    struct list *list = arg;
    struct server_answer answer = {0};
    struct text body;

    if (!ended) {
        text_init(&body, SERVER_ANSWER_MAX_BYTES);
        write_list(list, &body);
        answer.body = &body;
        server_complete(list->pending, &answer);
        text_done(&body);
    }
    free(list);
}

void serve_objects(void *arg, const struct server_request *request, struct server_answer *answer)
{
    const struct serve_live *live = arg;
    struct list question;

    if (!read_question(request, &question, answer))
        return;
    question.catalogue = live->catalogue;
    if (catalogue_is_fresh(live->catalogue)) {
        write_list(&question, answer->body);
        return;
    }
    struct list *waiting = mem_alloc(sizeof(*waiting));
    *waiting = question;
    waiting->pending = server_defer(request);
    catalogue_when_fresh(live->catalogue, on_fresh, waiting);
}
