/* Lists that are kept up to date: what is told, what is asked, and how often, when things go wrong. */
#include "kube_world.h"

#define PODS  "/api/v1/pods"
#define LIST  "GET " PODS "?limit="
#define WATCH "GET " PODS "?watch=1"
#define META(name, version)                                                                                            \
    "\"metadata\":{\"name\":\"" name "\",\"namespace\":\"shop\",\"resourceVersion\":\"" version "\"}"
#define EVENT(type, name, version) "{\"type\":\"" type "\",\"object\":{" META(name, version) "}}\n"

static struct reflector *reflector;
static struct virtual_body *body;
static bool free_at_item;

static void on_begin(void *arg)
{
    (void)arg;
    text_add(&heard, "begin ");
}

static void on_item(void *arg, const struct tree *object)
{
    (void)arg;
    text_printf(&heard, "+%s ", tree_string(tree_at(object, "metadata.name")));
    if (free_at_item) {
        reflector_free(reflector);
        reflector = NULL;
    }
}

static void on_gone(void *arg, const char *ns, const char *name, const struct tree *last)
{
    (void)arg;
    assert_non_null(last);
    text_printf(&heard, "-%s/%s ", ns, name);
}

static void on_synced(void *arg)
{
    (void)arg;
    text_add(&heard, "synced ");
}

static struct error trouble;
static void on_trouble(void *arg, const struct error *err)
{
    (void)arg;
    if (err)
        trouble = *err;
    text_add(&heard, err ? "trouble " : "fine ");
}

static void reflect(const struct reflector_options *more)
{
    struct reflector_options options = *more;

    options.path = PODS;
    options.begin = on_begin;
    options.item = on_item;
    options.gone = on_gone;
    options.synced = on_synced;
    options.trouble = on_trouble;
    free_at_item = false;
    reflector = reflector_new(kube, &options);
}

static int stop(void **state)
{
    reflector_free(reflector);
    reflector = NULL;
    body = NULL;
    return tear_down(state);
}

static void list_of(const char *names, const char *version, const char *more, struct text *out)
{
    text_printf(out, "{\"kind\":\"PodList\",\"items\":[");
    for (const char *n = names; *n; n++)
        text_printf(out,
                    "%s{\"spec\":{\"x\":[1,\"]}\"]},\"metadata\":{\"name\":\"%c\",\"namespace\":\"shop\","
                    "\"resourceVersion\":\"1\"}}",
                    n == names ? "" : " , ", *n);
    text_printf(out, "],\"metadata\":{\"resourceVersion\":\"%s\"%s}}\n", version, more);
}

static struct text lists[8];
static size_t list_count;

static const char *made_list(const char *names, const char *version, const char *more)
{
    struct text *out = &lists[list_count++ % 8];

    if (out->bytes)
        text_done(out);
    text_init(out, 1024 * 1024);
    list_of(names, version, more, out);
    return out->bytes;
}

static void open_watch(void)
{
    answers(WATCH, 0, 200, "")->open = &body;
}

static void say(const char *bytes)
{
    virtual_body_say(body, bytes, strlen(bytes), 0);
    run_ms(10);
}

static void a_list_then_what_happens(void **state)
{
    (void)state;
    answers(LIST, 0, 200, made_list("ab", "7", ""));
    open_watch();
    reflect(&(struct reflector_options){.label_selector = "a=b,c", .field_selector = "x=y"});
    assert_string_equal(heard.bytes, "");
    run_ms(100);
    assert_string_equal(heard.bytes, "begin +a +b synced ");
    assert_true(reflector_is_synced(reflector));
    say(EVENT("ADDED", "c", "8") EVENT("MODIFIED", "a", "9") EVENT("DELETED", "b", "10"));
    say("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"11\"}}}\r\n\n");
    assert_string_equal(heard.bytes, "begin +a +b synced +c +a -shop/b ");
    assert_non_null(strstr(asked.bytes, "?labelSelector=a%3Db%2Cc&fieldSelector=x%3Dy&limit=500&resourceVersion=0\n"));
    assert_non_null(strstr(asked.bytes, "&resourceVersion=7\n"));
}

/* The answers above do not match a query that begins with selectors. */
static void any_query_answers(void)
{
    script_count = 0;
    answers("watch=1", 0, 200, "")->open = &body;
    answers("limit=", 0, 200, made_list("ab", "7", ""));
}

static void list_with_selectors(void **state)
{
    any_query_answers();
    a_list_then_what_happens(state);
}

static void pages_are_one_list(void **state)
{
    (void)state;
    answers("continue=t%2Fk", 1, 200, made_list("c", "7", ""));
    answers(LIST, 1, 200, made_list("ab", "7", ",\"continue\":\"t/k\""));
    open_watch();
    reflect(&(struct reflector_options){.exact = true});
    run_ms(100);
    assert_string_equal(heard.bytes, "begin +a +b +c synced ");
    assert_int_equal(count_of("resourceVersion=0"), 0);
}

static void a_list_without_end_is_refused(void **state)
{
    (void)state;
    answers(LIST, 0, 200, made_list("a", "7", ",\"continue\":\"again\""));
    reflect(&(struct reflector_options){0});
    run_ms(10000);
    assert_non_null(strstr(trouble.text, "KUBE_PAGES_MAX"));
    assert_in_range(count_of("limit="), 2, 20);
    assert_false(reflector_is_synced(reflector));
}

static void an_empty_list_is_one(void **state)
{
    (void)state;
    answers(LIST, 0, 200, "{\"metadata\":{\"resourceVersion\":\"3\"},\"items\":null}");
    open_watch();
    reflect(&(struct reflector_options){0});
    run_ms(100);
    assert_string_equal(heard.bytes, "begin synced ");
}

static void a_watch_that_ends_goes_on_without_a_list(void **state)
{
    (void)state;
    answers(LIST, 0, 200, made_list("a", "7", ""));
    open_watch();
    reflect(&(struct reflector_options){0});
    for (int i = 0; i < 20; i++) {
        run_ms(KUBE_STEADY_MS + 1000);
        say(EVENT("ADDED", "b", "8"));
        if (i % 2)
            virtual_body_end(body, 0);
        else
            virtual_body_break(body, 0);
        run_ms(5000);
    }
    assert_int_equal(count_of("limit="), 1);
    assert_in_range(count_of("watch=1"), 15, 25);
    assert_null(strstr(heard.bytes, "trouble"));
    assert_true(count_of("resourceVersion=8\n") >= 14);
}

static void a_silent_watch_is_given_up(void **state)
{
    (void)state;
    answers(LIST, 0, 200, made_list("a", "7", ""));
    open_watch();
    reflect(&(struct reflector_options){0});
    run_ms(KUBE_WATCH_SILENCE_MS + 3000);
    assert_int_equal(count_of("watch=1"), 2);
    assert_int_equal(count_of("limit="), 1);
}

static void short_watches_are_no_storm(void **state)
{
    (void)state;
    answers(LIST, 0, 200, made_list("a", "7", ""));
    answers(WATCH, 0, 200, "");
    reflect(&(struct reflector_options){0});
    run_ms(10 * 60 * 1000);
    assert_int_equal(count_of("limit="), 1);
    assert_in_range(count_of("watch=1"), 10, 45);
}

/* As an API server under load ends them. One that brings the same again and again is no progress. */
static void a_short_watch_with_news_goes_on_at_once(void **state)
{
    static const struct {
        bool news;
        int least, most;
    } rows[] = {{true, 15, 80}, {false, 2, 6}};
    char event[200];

    (void)state;
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        script_count = 0;
        text_clear(&asked);
        answers(LIST, 0, 200, made_list("a", "7", ""));
        open_watch();
        reflect(&(struct reflector_options){0});
        for (int i = 0; i < 30; i++) {
            run_ms(200);
            if (!body)
                continue;
            snprintf(event, sizeof event, EVENT("ADDED", "b", "%d"), rows[row].news ? 8 + i : 8);
            say(event);
            virtual_body_end(body, 0);
            body = NULL;
        }
        assert_in_range(count_of("watch=1"), rows[row].least, rows[row].most);
        assert_int_equal(count_of("limit="), 1);
        reflector_free(reflector);
        reflector = NULL;
    }
}

/* What makes a list anew, and that it is no storm. */
static void some_ends_list_anew(void **state)
{
    static const struct {
        int status;
        const char *body, *words;
    } rows[] = {
        {410, "{\"message\":\"too old\"}", "too old"},
        {200,
         "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"message\":\"too "
         "old (7)\"}}\n",
         "too old (7)"},
        {200, "<html>\n", "\"<html>"},
        {200, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"x\"}}}\n", "no resourceVersion"},
        {200, "{\"type\":\"SOMETHING\",\"object\":{" META("x", "9") "}}\n", "unknown type"},
        {200, "{\"type\":\"ERROR\",\"object\":{\"code\":500,\"message\":\"etcd is ill\"}}\n", "etcd is ill"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        script_count = 0;
        text_clear(&asked);
        text_clear(&heard);
        answers(LIST, 0, 200, made_list("a", "7", ""));
        answers(WATCH, 0, rows[i].status, rows[i].body);
        trouble = (struct error){0};
        reflect(&(struct reflector_options){0});
        run_ms(10 * 60 * 1000);
        assert_in_range(count_of("limit="), 10, 40); /* half a minute apart in the end */
        assert_int_equal(count_of("resourceVersion=0\n"), 1);
        if (!strstr(heard.bytes, "trouble") || !strstr(trouble.text, rows[i].words))
            fail_msg("row %zu: %s", i, trouble.text);
        assert_true(strstr(heard.bytes + strlen("begin +a synced "), "begin +a") != NULL);
        reflector_free(reflector);
        reflector = NULL;
    }
}

static void trouble_names_place_and_first_bytes(void **state)
{
    (void)state;
    answers(LIST, 0, 200, "<html><body>gateway");
    reflect(&(struct reflector_options){0});
    run_ms(5000);
    assert_int_equal(trouble.kind, ERROR_NONSENSE);
    assert_non_null(strstr(trouble.text, API PODS));
    assert_non_null(strstr(trouble.text, "<html><body>gateway"));
}

static void a_huge_line_is_refused(void **state)
{
    enum { STEP = 64 * 1024 };
    static char chunk[STEP];

    (void)state;
    memset(chunk, 'x', sizeof chunk);
    answers(LIST, 0, 200, made_list("a", "7", ""));
    open_watch();
    reflect(&(struct reflector_options){0});
    run_ms(100);
    say("{\"type\":\"ADDED\",\"object\":\"");
    for (int i = 0; i <= KUBE_OBJECT_MAX_BYTES / STEP; i++)
        virtual_body_say(body, chunk, sizeof chunk, 0);
    run_ms(10 * 1000);
    assert_non_null(strstr(trouble.text, "KUBE_OBJECT_MAX_BYTES"));
    assert_int_equal(count_of("limit="), 2);
}

static void a_list_cut_off_is_not_synced(void **state)
{
    (void)state;
    answers(LIST, 1, 200,
            "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[{" META("a", "1") "},{" META("b", "2") "}");
    answers(LIST, 0, 200, made_list("b", "9", ""));
    open_watch();
    reflect(&(struct reflector_options){0});
    run_ms(300);
    assert_string_equal(heard.bytes, "begin +a trouble ");
    assert_false(reflector_is_synced(reflector));
    run_ms(5000);
    assert_string_equal(heard.bytes, "begin +a trouble begin +b fine synced ");
}

static void rbac_is_said_once(void **state)
{
    (void)state;
    answers(LIST, 0, 403, "{\"message\":\"User x cannot list resource pods\"}");
    reflect(&(struct reflector_options){0});
    run_ms(5 * 60 * 1000);
    assert_string_equal(heard.bytes, "trouble ");
    assert_non_null(strstr(trouble.text, "resources: [\"pods\"], verbs: [\"list\"]"));
    assert_in_range(count_of("limit="), 8, 25);
    script_count = 0;
    answers(LIST, 0, 200, made_list("a", "7", ""));
    open_watch();
    run_ms(60 * 1000);
    assert_string_equal(heard.bytes, "trouble begin +a fine synced ");
}

static void a_watch_that_is_refused_and_then_not(void **state)
{
    (void)state;
    answers(LIST, 0, 200, made_list("a", "7", ""));
    answers(WATCH, 2, 403, "{\"message\":\"User x cannot watch resource pods\"}");
    open_watch();
    reflect(&(struct reflector_options){0});
    run_ms(60 * 1000);
    assert_string_equal(heard.bytes, "begin +a synced trouble fine ");
    assert_int_equal(count_of("limit="), 1);
}

static void ask_something(void *arg, const struct kube_reply *reply)
{
    (void)arg;
    (void)reply;
}

static void an_api_server_that_is_back_is_used_at_once(void **state)
{
    int64_t back_ms;

    (void)state;
    answers(LIST, 1, 200, made_list("a", "7", ""));
    open_watch();
    reflect(&(struct reflector_options){0});
    run_ms(1000);
    virtual_answer(world, API, NULL, NULL);
    virtual_body_break(body, 0);
    run_ms(10 * 60 * 1000);
    assert_string_equal(heard.bytes, "begin +a synced trouble ");
    virtual_answer(world, API, serve, NULL);
    text_clear(&asked);
    back_ms = elapsed_ms();
    kube_ask(kube, &(struct kube_request){.method = "GET", .path = "/any"}, ask_something, NULL);
    while (count_of("watch=1") == 0 && elapsed_ms() < back_ms + 60 * 1000)
        run_ms(10);
    assert_in_range(elapsed_ms() - back_ms, 0, 2100);
    assert_int_equal(count_of("limit="), 0);
}

static void an_object_too_deep_harms_no_other(void **state)
{
    struct text deep;

    (void)state;
    text_init(&deep, 1024 * 1024);
    text_add(&deep, "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[{" META("a", "1") "},{\"x\":");
    for (int i = 0; i < TREE_DEPTH_MAX + 50; i++)
        text_add(&deep, "[");
    for (int i = 0; i < TREE_DEPTH_MAX + 50; i++)
        text_add(&deep, "]");
    text_add(&deep, ",\"metadata\":{\"name\":\"d\"}},{" META("b", "1") "}]}");
    answers(LIST, 0, 200, deep.bytes);
    open_watch();
    reflect(&(struct reflector_options){0});
    run_ms(100);
    assert_string_equal(heard.bytes, "begin +a trouble +b synced ");
    assert_int_equal(trouble.kind, ERROR_LIMIT);
    text_done(&deep);
}

static const char *told_secret; /* in memory of the reflector, which reads the next one into it */

static void on_secret(void *arg, const struct tree *object)
{
    (void)arg;
    told_secret = tree_string(tree_at(object, "data.password"));
    text_printf(&heard, "%s ", told_secret);
}

static void what_secrets_say_is_wiped(void **state)
{
#define SECRET "{\"metadata\":{\"name\":\"s\",\"resourceVersion\":\"8\"},\"data\":{\"password\":\"aHVudGVyMg==\"}}"
    (void)state;
    answers("?limit=", 0, 200, "{\"items\":[" SECRET "],\"metadata\":{\"resourceVersion\":\"7\"}}");
    answers("watch=1", 0, 200, "")->open = &body;
    reflector =
        reflector_new(kube, &(struct reflector_options){
                                .path = "/api/v1/namespaces/shop/secrets", .item = on_secret, .trouble = on_trouble});
    run_ms(100);
    assert_string_equal(heard.bytes, "aHVudGVyMg== ");
    assert_int_equal(told_secret[0], 0);
    say("{\"type\":\"MODIFIED\",\"object\":" SECRET "}\n");
    assert_string_equal(heard.bytes, "aHVudGVyMg== aHVudGVyMg== ");
    assert_int_equal(told_secret[0], 0);
    say("aHVudGVyMg==\n");
    assert_int_equal(trouble.kind, ERROR_NONSENSE);
    assert_null(strstr(trouble.text, "aHVu"));
#undef SECRET
}

static void it_may_be_freed_in_a_callback(void **state)
{
    (void)state;
    answers(LIST, 0, 200, made_list("ab", "7", ""));
    reflect(&(struct reflector_options){0});
    free_at_item = true;
    run_ms(1000);
    assert_string_equal(heard.bytes, "begin +a ");
    assert_null(reflector);
}

static void it_may_be_freed_in_an_event(void **state)
{
    (void)state;
    answers(LIST, 0, 200, made_list("", "7", ""));
    open_watch();
    reflect(&(struct reflector_options){0});
    run_ms(100);
    free_at_item = true;
    say(EVENT("ADDED", "c", "8") EVENT("ADDED", "d", "9"));
    assert_string_equal(heard.bytes, "begin synced +c ");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(list_with_selectors),
        CASE(pages_are_one_list),
        CASE(a_list_without_end_is_refused),
        CASE(an_empty_list_is_one),
        CASE(a_watch_that_ends_goes_on_without_a_list),
        CASE(a_silent_watch_is_given_up),
        CASE(short_watches_are_no_storm),
        CASE(a_short_watch_with_news_goes_on_at_once),
        CASE(some_ends_list_anew),
        CASE(trouble_names_place_and_first_bytes),
        CASE(a_huge_line_is_refused),
        CASE(a_list_cut_off_is_not_synced),
        CASE(rbac_is_said_once),
        CASE(a_watch_that_is_refused_and_then_not),
        CASE(an_api_server_that_is_back_is_used_at_once),
        CASE(an_object_too_deep_harms_no_other),
        CASE(what_secrets_say_is_wiped),
        CASE(it_may_be_freed_in_a_callback),
        CASE(it_may_be_freed_in_an_event),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    for (size_t i = 0; i < 8; i++)
        if (lists[i].bytes)
            text_done(&lists[i]);
    return failed;
}
