/*
 * catalogue_account: what objects cost and how well they held their objective over the last day, for those whose manifest says either
 * (weir.dev/slo, weir.dev/cost-per-replica-hour). Sums of a day come from the journal and take a tenth of a millisecond each, so they are
 * asked for one by one, a few a second, round and round; the overview adds up what is known.
 */
#include "serve/catalogue_internal.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/time.h"
#include "journal/history.h"
#include "net/loop.h"

enum {
    STEP_MS = 1000,
    IN_A_STEP = 20,
    AGAIN_MS = 60 * 1000,
    AGAIN_NEW_MS = 5 * 1000 /* where nothing is known yet: it may just have begun */
};

/* Adds what is known of it, or takes it back (by: 1, -1). */
static void count_account(struct catalogue_totals *totals, const struct account *account, int by)
{
    double replica_hours = account->replica_s * by / 3600;

    if (account->has_slo && account->slo_known_s > 0) {
        totals->slo_objects += (uint32_t)by;
        totals->slo_held_s += account->slo_held_s * by;
        totals->slo_known_s += account->slo_known_s * by;
    }
    if (account->has_cost) {
        totals->cost_objects += (uint32_t)by;
        totals->replica_hours += replica_hours;
        totals->cost += replica_hours * account->cost_per_hour;
    }
}

void account_set(struct catalogue *c, struct entry *entry, const struct policy *policy)
{
    bool wanted = policy && (policy->slo || policy->has_cost);
    struct account *account = entry->account;

    if (!wanted) {
        account_drop(c, entry);
        return;
    }
    if (!account) {
        account = entry->account = mem_alloc(sizeof(*account));
        account->next = c->accounts;
        account->entry = entry;
        if (c->accounts)
            c->accounts->previous = account;
        c->accounts = account;
        if (!account->next)
            loop_timer_set(c->account_timer, 0);
    } else {
        count_account(&c->totals, account, -1);
    }
    account->has_slo = policy->slo != NULL;
    account->has_cost = policy->has_cost;
    account->cost_per_hour = policy->cost_per_replica_hour;
    count_account(&c->totals, account, 1);
}

void account_drop(struct catalogue *c, struct entry *entry)
{
    struct account *account = entry->account;

    if (!account)
        return;
    count_account(&c->totals, account, -1);
    if (c->account_next == account)
        c->account_next = account->next;
    *(account->previous ? &account->previous->next : &c->accounts) = account->next;
    if (account->next)
        account->next->previous = account->previous;
    free(account);
    entry->account = NULL;
}

static void ask_account(struct catalogue *c, struct account *account, int64_t now_ms)
{
    struct history_totals sums = {0};

    history_totals(autoscaler_journal(c->a), account->entry->key, now_ms - DAY_MS, now_ms, &sums);
    count_account(&c->totals, account, -1);
    account->slo_held_s = sums.slo_held_s;
    account->slo_known_s = sums.slo_known_s;
    account->replica_s = sums.replica_s;
    account->known = true;
    account->asked_ticks_ms = loop_ticks_ms(autoscaler_loop(c->a));
    count_account(&c->totals, account, 1);
}

static bool is_due(const struct account *account, int64_t ticks_ms)
{
    bool is_new = (account->has_slo && account->slo_known_s == 0) || (account->has_cost && account->replica_s == 0);

    return !account->known || ticks_ms - account->asked_ticks_ms >= (is_new ? AGAIN_NEW_MS : AGAIN_MS);
}

/* The next few; those that were asked a moment ago end the round. */
void accounts_step(void *catalogue)
{
    struct catalogue *c = catalogue;
    int64_t now_ms = loop_now_ms(autoscaler_loop(c->a)), ticks_ms = loop_ticks_ms(autoscaler_loop(c->a));

    for (int i = 0; i < IN_A_STEP && c->accounts && autoscaler_journal(c->a); i++) {
        struct account *account = c->account_next ? c->account_next : c->accounts;

        if (!is_due(account, ticks_ms))
            break;
        ask_account(c, account, now_ms);
        c->account_next = account->next;
    }
    if (c->accounts)
        loop_timer_set(c->account_timer, STEP_MS);
}
