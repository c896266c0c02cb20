/* Targets of trigger types that are not built in: the parameter, its default, its activation, and what is not known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/tree.h"
#include "policy/policy_internal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void targets_are_those_of_the_parameters(void **state)
{
    static const struct {
        const char *type, *metadata, *metric_type;
        double target, activation;
        enum target_type target_type;
    } cases[] = {
        {"kafka", "lagThreshold: '50'\nactivationLagThreshold: '3'", NULL, 50, 3, TARGET_AVERAGE_VALUE},
        {"kafka", "topic: a", "Value", 10, 0, TARGET_VALUE},
        {"azure-queue", "queueName: a", "AverageValue", 5, 0, TARGET_AVERAGE_VALUE},
        {"rabbitmq", "queueName: a", NULL, 20, 0, TARGET_AVERAGE_VALUE},
        {"rabbitmq", "queueLength: '7'", NULL, 7, 0, TARGET_AVERAGE_VALUE},
        {"rabbitmq", "mode: QueueLength\nvalue: '1'\nactivationValue: '2.5'", NULL, 1, 2.5, TARGET_AVERAGE_VALUE},
        {"redis-cluster-streams", "lagCount: '9'", NULL, 9, 0, TARGET_AVERAGE_VALUE},
        {"redis-sentinel-streams", "stream: s", NULL, 5, 0, TARGET_AVERAGE_VALUE},
        {"selenium-grid", "activationThreshold: '4'", NULL, 1, 4, TARGET_AVERAGE_VALUE},
        {"mysql", "queryValue: '4.4'", NULL, 4.4, 0, TARGET_AVERAGE_VALUE},
        {"mysql", "query: q", NULL, 0, 0, TARGET_AVERAGE_VALUE}, /* required, and not written */
        {"kafka", "lagThreshold: many", NULL, 10, 0, TARGET_AVERAGE_VALUE},
        {"kafka", "lagThreshold: '-1'", NULL, 10, 0, TARGET_AVERAGE_VALUE},
        {"external", "scalerAddress: a:1", "Value", 0, 0, TARGET_VALUE}, /* only the outsider knows */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        struct tree *documents;
        struct decide_trigger rule = {.target_type = TARGET_AVERAGE_VALUE};

        assert_true(tree_read_yaml("m", cases[i].metadata, strlen(cases[i].metadata), arena, &documents, NULL));
        known_target(&(struct trigger_spec){.type = cases[i].type,
                                            .metadata = tree_index(documents, 0),
                                            .metric_type = cases[i].metric_type},
                     &rule);
        if (rule.target != cases[i].target || rule.activation != cases[i].activation ||
            rule.target_type != cases[i].target_type)
            fail_msg("%s %s: %g %g", cases[i].type, cases[i].metadata, rule.target, rule.activation);
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(targets_are_those_of_the_parameters)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
