/* The selector of a metric request: what is none (400), what KEDA's server does not take (500), and the object it names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "serve/cluster_internal.h"

#define KEY "scaledobject.keda.sh/name"

static const struct {
    const char *selector;
    int code;         /* 200, 400, 500 */
    const char *text; /* the object, or what the error says */
} rows[] = {
    {KEY "=web", 200, "web"},
    {" " KEY " = web ", 200, "web"},
    {KEY "=web,type=queue", 200, "web"},
    {"type=queue, " KEY "=web", 200, "web"},
    {"type=," KEY "=web", 200, "web"},
    {KEY "=a," KEY "=b", 200, "b"},
    {KEY "=Web.1_x-y", 200, "Web.1_x-y"},
    {"", 500, "scaledObject name is not specified"},
    {"   ", 500, "scaledObject name is not specified"},
    {"type=queue", 500, "scaledObject name is not specified"},
    {KEY "=", 500, "scaledObject name is not specified"},
    {"scaledobject.keda.sh/names=web", 500, "scaledObject name is not specified"},
    {KEY "==web", 500, "invalid selector: [" KEY "==web]"},
    {KEY "!=web", 500, "invalid selector: [" KEY "!=web]"},
    {KEY " in (web)", 500, "invalid selector: [" KEY " in (web)]"},
    {KEY, 500, "invalid selector: [" KEY "]"},
    {"!" KEY, 500, "invalid selector: [!" KEY "]"},
    {KEY "=web,type", 500, "invalid selector: [type]"},
    {KEY "=web,n>5", 500, "invalid selector: [n>5]"},
    {KEY "=web,type in (a,b)", 500, "invalid selector: [type in (a]"},
    {KEY "=web,", 400, ""},
    {KEY "=web=x", 400, ""},
    {"=web", 400, ""},
    {KEY " in (web", 400, ""},
    {KEY "=-web", 400, ""},
    {KEY "=0123456789012345678901234567890123456789012345678901234567890123", 400, ""},
    {"a/b/c=web", 400, ""},
};

static void selectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char name[OBJECT_NAME_BYTES] = "untouched";
        struct error err = {0};
        int code = 0;
        bool good = external_selector_object(rows[i].selector, name, &code, &err);

        if (good != (rows[i].code == 200) || (!good && (code != rows[i].code || !strstr(err.text, rows[i].text))) ||
            strcmp(name, good ? rows[i].text : "untouched") != 0)
            fail_msg("%s: %d %s %s", rows[i].selector, code, name, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selectors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
