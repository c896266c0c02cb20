/* explain_journal: what the journal in a data dir knows of an object, where no Weir runs, in the form of explain_view.h. */
#ifndef WEIR_CLI_EXPLAIN_JOURNAL_H
#define WEIR_CLI_EXPLAIN_JOURNAL_H

#include "cli/explain_view.h"

bool explain_journal(const struct explain_wish *wish, json_t *view, struct error *err);

/* explain_view.c: entries are those of GET .../decisions: {at, decision, notes}. */
void view_take_entry(json_t *view, const json_t *entry); /* the decision that is explained */
void view_take_decisions(json_t *view, const json_t *entries);
void view_take_history(json_t *view, json_t *history, const struct explain_wish *wish); /* takes history over */

#endif
