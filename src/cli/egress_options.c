/* egress_options: see egress_options.h. */
#include "cli/egress_options.h"

#include <stddef.h>

struct egress *egress_options_rules(const struct egress_options *options, struct error *err)
{
    struct egress *rules = egress_new();

    if (egress_allow(rules, options->allow, err) && egress_deny(rules, options->deny, err))
        return rules;
    egress_unref(rules);
    return NULL;
}
