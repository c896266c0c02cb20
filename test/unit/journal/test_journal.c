/* The journal: what was written is read back, by time; what is old goes, thousands at a time; one that is damaged is moved aside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/error.h"
#include "base/limits.h"
#include "journal/journal.h"
#include "series/series.h"

#define OBJECT "ScaledObject/shop/checkout"

static const int64_t age_max_ms = (int64_t)JOURNAL_AGE_MAX_S * 1000;

static struct journal *in_memory(void)
{
    struct journal *journal;
    struct error err;

    assert_true(journal_open(NULL, &journal, &err));
    return journal;
}

static void add_sample(struct journal *journal, int64_t at_ms, double value)
{
    journal_sample(journal, OBJECT, "load", &(struct sample){.state = SAMPLE_OK, .value = value, .at_ms = at_ms});
}

struct seen {
    size_t count;
    double first, last;
};

static void on_sample(void *arg, const char *trigger, const struct sample *sample)
{
    struct seen *seen = arg;

    assert_string_equal(trigger, "load");
    if (seen->count++ == 0)
        seen->first = sample->value;
    seen->last = sample->value;
}

static struct seen samples_since(struct journal *journal, int64_t since_ms)
{
    struct seen seen = {0};

    journal_samples(journal, OBJECT, since_ms, on_sample, &seen);
    return seen;
}

static void samples_come_back_in_their_order(void **state)
{
    struct journal *journal = in_memory();
    struct seen seen;

    (void)state;
    for (int i = 1; i <= 5; i++)
        add_sample(journal, i * 1000, i);
    assert_true(journal_commit(journal, NULL));
    seen = samples_since(journal, 2000);
    assert_true(seen.count == 3 && seen.first == 3 && seen.last == 5);
    seen = (struct seen){0};
    journal_samples(journal, "ScaledObject/shop/other", 0, on_sample, &seen);
    assert_int_equal(seen.count, 0);
    journal_close(journal);
}

static bool on_decision(void *arg, const struct journal_entry *entry)
{
    struct seen *seen = arg;

    assert_non_null(entry->decision);
    assert_string_equal(entry->names.triggers[0], "load");
    assert_string_equal(entry->names.formula, "load * 2");
    assert_string_equal(entry->notes[0], "the source is away");
    if (seen->count++ == 0)
        seen->first = entry->decision->after;
    seen->last = entry->decision->after;
    return true;
}

static void put_decision(struct journal *journal, int64_t at_ms, int32_t after)
{
    static const char *const triggers[] = {"load"}, *const notes[] = {"the source is away"};
    const struct decision_names names = {.triggers = triggers, .trigger_count = 1, .formula = "load * 2"};
    struct decision *decision = calloc(1, sizeof(*decision));

    decision->at_ms = at_ms;
    decision->before = decision->after = after;
    decision->input_count = 1;
    decision->inputs[0].state = SAMPLE_FAILED;
    decision->step_count = 1;
    decision->steps[0] =
        (struct decision_step){.kind = STEP_CURRENT, .cause = CAUSE_OBJECT, .before = after, .after = after};
    assert_true(decision_is_closed(decision));
    journal_decision(journal, OBJECT, 7, decision, &names, notes);
    free(decision);
}

static void decisions_are_found_by_time(void **state)
{
    static const struct {
        int64_t since_ms, until_ms;
        size_t limit, count;
        int32_t first, last;
    } cases[] = {{0, 9000, 10, 3, 3, 1}, {0, 2999, 1, 1, 2, 2}, {1000, 3000, 10, 2, 3, 2}, {0, 999, 10, 0, 0, 0}};
    struct journal *journal = in_memory();

    (void)state;
    for (int i = 1; i <= 3; i++)
        put_decision(journal, i * 1000, i);
    assert_true(journal_commit(journal, NULL));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct seen seen = {0};

        journal_decisions(journal, OBJECT, cases[i].since_ms, cases[i].until_ms, cases[i].limit, on_decision, &seen);
        if (seen.count != cases[i].count || seen.first != cases[i].first || seen.last != cases[i].last)
            fail_msg("case %zu: %zu decisions, %g to %g", i, seen.count, seen.first, seen.last);
    }
    journal_close(journal);
}

static void state_is_replaced_and_forgotten(void **state)
{
    struct journal *journal = in_memory();
    struct journal_state found;

    (void)state;
    assert_false(journal_get_state(journal, OBJECT, &found));
    journal_put_state(journal, OBJECT, 1, 500, 3, "one", 3);
    journal_put_state(journal, OBJECT, 2, 500, 4, "second", 6);
    assert_true(journal_commit(journal, NULL));
    assert_true(journal_get_state(journal, OBJECT, &found));
    assert_true(found.generation == 2 && found.created_at_ms == 500 && found.original_replicas == 4);
    assert_int_equal(found.length, 6);
    assert_memory_equal(found.memory, "second", 6);
    free(found.memory);
    journal_delete_state(journal, OBJECT);
    assert_true(journal_commit(journal, NULL));
    assert_false(journal_get_state(journal, OBJECT, &found));
    journal_close(journal);
}

static void what_is_old_goes_however_much_it_is(void **state)
{
    enum { OLD = 5000, NEW = 10 };
    struct journal *journal = in_memory();
    int calls = 1;

    (void)state;
    for (int i = 0; i < OLD; i++)
        add_sample(journal, 1000 + i, 1);
    for (int i = 0; i < NEW; i++)
        add_sample(journal, 1000 + age_max_ms + i * 1000, 2);
    put_decision(journal, 1000, 1);
    put_decision(journal, 1000 + age_max_ms, 2);
    assert_true(journal_commit(journal, NULL));
    while (journal_prune(journal, 1000 + age_max_ms + OLD) && calls < 100)
        calls++;
    assert_in_range(calls, 2, 10); /* bounded work each, and an end */
    struct seen seen = samples_since(journal, 0);
    assert_true(seen.count == NEW && seen.first == 2);
    seen = (struct seen){0};
    journal_decisions(journal, OBJECT, 0, INT64_MAX, 10, on_decision, &seen);
    assert_true(seen.count == 1 && seen.first == 2);
    journal_close(journal);
}

static void a_damaged_journal_is_moved_aside(void **state)
{
    char folder[] = "/tmp/weir-test-journal-XXXXXX", path[64], aside[80], command[96];
    struct journal *journal;
    struct error err;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/journal.db", folder);
    assert_true(journal_open(path, &journal, &err));
    assert_null(journal_moved_aside(journal));
    journal_close(journal);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 5000; i++)
        fputs("no database ", file);
    fclose(file);
    assert_true(journal_open(path, &journal, &err));
    add_sample(journal, 1000, 1);
    assert_true(journal_commit(journal, &err));
    assert_int_equal(samples_since(journal, 0).count, 1);
    snprintf(aside, sizeof(aside), "%s.bad-1", path);
    assert_string_equal(journal_moved_aside(journal), aside);
    journal_close(journal);
    assert_int_equal(access(aside, R_OK), 0);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

/* All of the page of the file at which that index begins. */
static void ruin_index(const char *path, const char *index)
{
    enum { PAGE_BYTES = 4096 };
    static char garbage[PAGE_BYTES];
    sqlite3 *db;
    sqlite3_stmt *find;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT rootpage FROM sqlite_master WHERE name = ?1", -1, &find, NULL), 0);
    sqlite3_bind_text(find, 1, index, -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(find), SQLITE_ROW);
    long page = (long)sqlite3_column_int64(find, 0);
    sqlite3_finalize(find);
    sqlite3_close(db);
    memset(garbage, 'x', sizeof(garbage));
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, (page - 1) * PAGE_BYTES, SEEK_SET), 0);
    assert_int_equal(fwrite(garbage, 1, sizeof(garbage), file), sizeof(garbage));
    fclose(file);
}

/* A page that only pruning looks at is damaged: pruning would fail for ever, and the file grow. */
static void damage_is_found_by_pruning(void **state)
{
    char folder[] = "/tmp/weir-test-journal-XXXXXX", path[64], command[96];
    struct journal *journal;
    struct error err;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/journal.db", folder);
    assert_true(journal_open(path, &journal, &err));
    add_sample(journal, 1000, 1);
    assert_true(journal_commit(journal, &err));
    journal_close(journal);
    ruin_index(path, "samples_by_age");
    assert_true(journal_open(path, &journal, &err));
    assert_null(journal_moved_aside(journal));
    journal_prune(journal, 2000 + age_max_ms);
    assert_non_null(journal_moved_aside(journal));
    add_sample(journal, 3000, 3);
    assert_true(journal_commit(journal, &err));
    assert_int_equal(samples_since(journal, 0).count, 1);
    journal_close(journal);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_come_back_in_their_order), cmocka_unit_test(decisions_are_found_by_time),
        cmocka_unit_test(state_is_replaced_and_forgotten),  cmocka_unit_test(what_is_old_goes_however_much_it_is),
        cmocka_unit_test(a_damaged_journal_is_moved_aside), cmocka_unit_test(damage_is_found_by_pruning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
