/*
 * promanswer: the one value in the answer of a query API as Prometheus has it. Loki answers in the same form.
 */
#ifndef WEIR_TRIGGER_PROMANSWER_H
#define WEIR_TRIGGER_PROMANSWER_H

#include "trigger/driver.h"

/* Ends the poll. said: ignoreNullValues, for the ways of having no value: no series, no pair, null, NaN, an infinity. source: its name. */
enum poll_next promanswer_value(struct poll *poll, const struct tree *json, enum param_switch said, const char *source);

#endif
