/* The pure parts that both transports share: the gate's order and bounds, and the heap of what is due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/text.h"
#include "net/implement.h"

struct visitor {
    struct gate_ticket ticket;
    char name[8];
};

static struct text heard;

static void admit(void *arg, struct gate_ticket *ticket)
{
    (void)arg;
    text_printf(&heard, "%s ", owner_of(ticket, struct visitor, ticket)->name);
}

/* A script: "+a1" a1 enters for destination a; "-a1" it leaves; "!a1" it presses. Heard: who was let in later. usual: below the bound. */
static void visits_in_order(void **state)
{
    static const struct {
        const char *script, *heard;
        size_t usual;
    } rows[] = {
        {"+a1 +a2 +b1", ""},
        {"+a1 +a2 +a3 +a4 -a1 -a2", "a3 a4 "},             /* a's bound is 2; first come, first served */
        {"+a1 +a2 +a3 +b1 +b2 -a1", "a3 "},                /* 4 places in all: b has its two though a waits */
        {"+a1 +a2 +b1 +b2 +c1 +a3 +c2 -b1 -b2", "c1 c2 "}, /* a3 may not, c may */
        {"+a1 +a2 +b1 +b2 +b3 +c1 +c2 -a1 -a2 -b1", "c1 c2 b3 "},
        {"+a1 +a2 +a3 +a4 -a3 -a1", "a4 "},                                  /* a3 gave up */
        {"+a1 +b1 +c1 +d1 +a2 +a3 +b2 +b3 -a1 -b1 -c1 -d1", "a2 b2 a3 b3 "}, /* destinations take turns */
        {"+a1 +a2 +a3 -a3 -a1 -a2 +a4 +a5 +a6 -a4", "a6 "},
        {"+a1 +a2 -a1", "a2 ", 1},
        {"+a1 +a2 !a2", "a2 ", 1},
        {"+a1 +a2 +a3 !a3", "a2 ", 1},        /* who has waited longer goes first, up to the bound */
        {"+a1 +a2 +a3 !a3 -a1", "a2 a3 ", 1}, /* and a3 still presses */
        {"+a1 +a2 +a3 !a2 -a2", "a2 ", 1},    /* nobody does any more: as few as usual */
        {"+a1 +a2 +a3 !a2 -a2 -a1", "a2 a3 ", 1},
        {"+a1 +a2 +a3 !a2 -a2 !a1 !a3", "a2 a3 ", 1},      /* a1 does not wait */
        {"+a1 +a2 +a3 !a2 +a4 !a3 -a3 -a1", "a2 ", 1},     /* who gives up presses no longer: a2 is one already */
        {"+a1 +b1 +c1 +d1 +a2 !a2 +b2 !b2 -c1", "a2 ", 1}, /* the bound of all holds */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gate *gate = gate_new(4, 2, admit, NULL);
        struct visitor visitors[4][8] = {0};
        char destination[2] = "";
        size_t under_way;

        if (rows[i].usual > 0)
            gate_hold_back(gate, rows[i].usual);
        text_init(&heard, 1024);
        for (const char *c = rows[i].script; *c; c += c[3] ? 4 : 3) {
            struct visitor *v = &visitors[c[1] - 'a'][c[2] - '0'];

            destination[0] = c[1];
            snprintf(v->name, sizeof v->name, "%c%c", c[1], c[2]);
            if (c[0] == '+')
                gate_enter(gate, &v->ticket, destination);
            else if (c[0] == '!')
                gate_press(gate, &v->ticket);
            else
                gate_leave(gate, &v->ticket);
            assert_true(gate_under_way(gate) <= 4);
        }
        assert_string_equal(heard.bytes, rows[i].heard);
        under_way = gate_under_way(gate) + gate_waiting(gate);
        for (int d = 0; d < 4; d++)
            for (int n = 0; n < 8; n++)
                if (visitors[d][n].ticket.lane) {
                    gate_leave(gate, &visitors[d][n].ticket);
                    under_way--;
                }
        assert_int_equal(under_way, 0);
        gate_free(gate);
        text_done(&heard);
    }
}

/* "+ax1": 1 enters for destination a as share x. */
static void shares_have_their_bound(void **state)
{
    static const struct {
        const char *script, *heard;
    } rows[] = {
        {"+ax1 +bx2 +cx3 +cy4", ""},                   /* x has 2 of 4; y goes on to the host x waits for */
        {"+ax1 +bx2 +cx3 +cx4 -ax1 -cx3", "x3 x4 "},   /* first come, first served */
        {"+ax1 +bx2 +cx3 +dy4 +ay5 +ay6 -bx2", "x3 "}, /* y has its two, and waits for its own */
        {"+ax1 +ay2 +ay3 +ax4 -ax1", "y3 "},           /* a is full; both wait there, y first */
        {"+ax1 +ay2 +ax3 +ay4 -ax1", "x3 "},           /* and x first */
        {"+ax1 +bx2 +cx3 +ay4 +by5 +cy6 -ay4", "y6 "}, /* y's turn: x is at its bound */
        {"+ax1 +bx2 +cx3 -cx3 +cx4 -ax1", "x4 "},      /* who gives up holds nothing */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gate *gate = gate_new(4, 2, admit, NULL);
        struct visitor visitors[8] = {0};

        gate_bound_shares(gate, 2);
        text_init(&heard, 1024);
        for (const char *c = rows[i].script; *c; c += c[4] ? 5 : 4) {
            struct visitor *v = &visitors[c[3] - '0'];

            snprintf(v->name, sizeof v->name, "%c%c", c[2], c[3]);
            if (c[0] == '+')
                gate_enter_as(gate, &v->ticket, (char[]){c[1], '\0'}, (char[]){c[2], '\0'});
            else
                gate_leave(gate, &v->ticket);
        }
        if (strcmp(heard.bytes, rows[i].heard) != 0)
            fail_msg("row %zu: %s", i, heard.bytes);
        for (int n = 0; n < 8; n++)
            if (visitors[n].ticket.lane)
                gate_leave(gate, &visitors[n].ticket);
        assert_int_equal(gate_under_way(gate) + gate_waiting(gate), 0);
        gate_free(gate);
        text_done(&heard);
    }
}

static void many_destinations_do_not_pile_up(void **state)
{
    struct gate *gate = gate_new(4, 2, admit, NULL);
    struct visitor visitor = {0};
    char destination[32];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        snprintf(destination, sizeof destination, "host-%d:80", i);
        assert_true(gate_enter(gate, &visitor.ticket, destination));
        gate_leave(gate, &visitor.ticket);
    }
    gate_free(gate);
}

/* Against the obvious way: after any mix of setting, moving and clearing, the first is the smallest by (time, order). */
static void the_first_is_always_the_smallest(void **state)
{
    enum { COUNT = 200, STEPS = 20000 };
    static struct due dues[COUNT];
    struct due_heap heap = {0};
    unsigned random = 1;

    (void)state;
    for (int step = 0; step < STEPS; step++) {
        const struct due *smallest = NULL;
        struct due *due;

        random = random * 1103515245 + 12345;
        due = &dues[(random >> 16) % COUNT];
        if ((random >> 8) % 3)
            due_set(&heap, due, (random >> 12) % 50);
        else
            due_clear(&heap, due);
        for (int i = 0; i < COUNT; i++)
            if (dues[i].place && (!smallest || dues[i].at_ms < smallest->at_ms ||
                                  (dues[i].at_ms == smallest->at_ms && dues[i].order < smallest->order)))
                smallest = &dues[i];
        assert_ptr_equal(due_first(&heap), smallest);
    }
    due_heap_done(&heap);
}

static void urls(void **state)
{
    static const struct {
        const char *url, *place, *origin, *path;
    } rows[] = {
        {"http://Prom/x?y#z", "prom:80", "http://prom:80", "/x?y#z"},
        {"HTTPS://user:pa%40ss@Prom.example", "prom.example:443", "https://prom.example:443", ""},
        {"http://prom:9090?q=@a", "prom:9090", "http://prom:9090", "?q=@a"},
        {"http://[FE80::1]:8080/", "[fe80::1]:8080", "http://[fe80::1]:8080", "/"},
        {"http://[::1]", "[::1]:80", "http://[::1]:80", ""},
        {"http://h:/", "h:80", "http://h:80", "/"},
        {"http+unix://%2Frun%2Fa.sock/v1", "/run/a.sock", "http+unix:///run/a.sock", "/v1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err;
        struct http_call *call = http_call_new(&(struct http_request){.method = "GET", .url = rows[i].url}, &err);

        assert_non_null(call);
        assert_string_equal(call->place, rows[i].place);
        assert_string_equal(call->origin, rows[i].origin);
        assert_string_equal(call->path, rows[i].path);
        http_call_free(call);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(visits_in_order),
        cmocka_unit_test(shares_have_their_bound),
        cmocka_unit_test(many_destinations_do_not_pile_up),
        cmocka_unit_test(the_first_is_always_the_smallest),
        cmocka_unit_test(urls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
