/*
 * egress_options: --allow-egress and --deny-egress, of the commands that connect where manifests say (docs/egress.md). What a cluster adds to the rules is
 * run_cluster.c's to say.
 *
 *     static struct egress_options egress;
 *     ... EGRESS_OPTIONS(egress), ...
 *     struct egress *rules = egress_options_rules(&egress, &err);       -- NULL: a rule is wrong
 */
#ifndef WEIR_CLI_EGRESS_OPTIONS_H
#define WEIR_CLI_EGRESS_OPTIONS_H

#include "net/egress.h"

struct egress_options {
    const char *allow, *deny;
};
#define EGRESS_OPTIONS(options)                                                                                        \
    {"allow-egress",                                                                                                   \
     0,                                                                                                                \
     OPTION_TEXT,                                                                                                      \
     &(options).allow,                                                                                                 \
     "RULE[,RULE]",                                                                                                    \
     "where triggers may connect to although it is refused: [NAMESPACE=]ADDRESS, net, name or loopback"},              \
    {                                                                                                                  \
        "deny-egress", 0, OPTION_TEXT, &(options).deny, "RULE[,RULE]",                                                 \
            "where triggers may not connect to: [NAMESPACE=]ADDRESS, net, name, private or all"                        \
    }

struct egress *egress_options_rules(const struct egress_options *options, struct error *err);

#endif
