/*
 * stage_source: who answers a trigger on a stage. Given a trigger as its manifest has it, a source of that type is put into the
 * virtual world and says what it is told: a value, nothing, or that it failed.
 *
 *     stage_source(stage, &(struct stage_source_options){.ns = "default", .target = "app-a", .type = "prometheus",
 *                                                        .metadata = metadata, .say = say, .arg = me}, &err);
 *
 * What each type makes of the three:
 *
 *     type                 value                             nothing                 failure
 *     prometheus           one series (NaN, +Inf as text)    an empty result         503
 *     metrics-api          the number at valueLocation       null there              503
 *     redis, -streams      that many elements                0, or a lag of nil      -LOADING
 *     kubernetes-workload  that many pods of the selector    none                    none
 *     cpu, memory          the utilisation of all pods, in   no metrics              no metrics
 *                          percent of their requests
 *     cron                 the clock alone
 *
 * Triggers that ask the same address are told apart by what they ask for. postgresql speaks through a client library and so needs
 * a server: there is no source of it here.
 */
#ifndef WEIR_SIM_STAGE_SOURCE_H
#define WEIR_SIM_STAGE_SOURCE_H

#include <stdbool.h>

#include "sim/stage.h"

struct error;
struct tree;

struct stage_answer {
    enum { STAGE_VALUE, STAGE_NOTHING, STAGE_FAILURE } says;
    double value;
};
/* Called whenever the source is asked, at that instant of virtual time. */
typedef void stage_say(void *arg, struct stage_answer *answer);

struct stage_source_options {
    const char *ns, *target; /* of the object; target: name of the workload it scales (cpu and memory) */
    const char *type;
    const struct tree *metadata;
    stage_say *say;
    void *arg;
};
/* Everything is copied. false: there is no source of that type, or this trigger does not say where it is. */
/* false: nothing here can answer in its place, whatever its parameters. */
bool stage_source_exists(const char *type);
bool stage_source(struct stage *stage, const struct stage_source_options *options, struct error *err);

/* A test server's address for a parameter that comes from the environment, a Secret or a ConfigMap (stage_options.invent). */
const char *stage_invented(const char *name);

#endif
