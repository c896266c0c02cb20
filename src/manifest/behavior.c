/*
 * behavior: the tables of an autoscaler's `behavior`, checked here and made into rules by policy/. Bounds are those of
 * autoscaling/v2 after defaulting (hpa-algorithm.md 13) and of KEDA's CRD (keda-operator/01).
 */
#include <stdint.h>

#include "base/quantity.h"
#include "manifest/manifest_internal.h"

enum { WINDOW_MAX_S = 3600, PERIOD_MAX_S = 1800 };

static const char *const policy_types[] = {"Pods", "Percent", NULL};
static const char *const select_policies[] = {"Max", "Min", "Disabled", NULL};

static const struct field policy_fields[] = {
    {"type", CHECK_TEXT(), .required = true, .words = policy_types},
    {"value", CHECK_INT(), .required = true, .min = 1},
    {"periodSeconds", CHECK_INT(), .required = true, .min = 1, .max = PERIOD_MAX_S, .seconds = true},
    {0},
};
static const struct schema policy_schema = {.fields = policy_fields};

static void check_rules(struct reading *r, const struct path *path, void *out)
{
    const struct tree *policies = tree_get(path->node, "policies"), *tolerance = tree_get(path->node, "tolerance");
    struct path at = path_member(path, "policies", policies);
    int64_t milli;

    (void)out; /* checked, not kept */
    if (policies && policies->type == TREE_LIST && policies->count == 0)
        complain(r, FINDING_ERROR, "missing-required", &at,
                 "leave policies out for the defaults, or write selectPolicy: Disabled",
                 "policies is empty: at least one is required");
    if (tolerance && tolerance->text && quantity_parse_milli(tolerance->text, &milli) && milli < 0) {
        at = path_member(path, "tolerance", tolerance);
        complain(r, FINDING_ERROR, "bad-range", &at, NULL, "tolerance must be at least 0, not %s", tolerance->text);
    }
}

static const struct field rules_fields[] = {
    {"stabilizationWindowSeconds", CHECK_INT(), .max = WINDOW_MAX_S, .seconds = true},
    {"selectPolicy", CHECK_TEXT(), .words = select_policies},
    {"policies", CHECK_LIST(&policy_schema)},
    {"tolerance", CHECK_QUANTITY()},
    {0},
};
static const struct schema rules_schema = {.fields = rules_fields, .check = check_rules};

static const struct field behavior_fields[] = {
    {"scaleUp", CHECK_MAP(&rules_schema)},
    {"scaleDown", CHECK_MAP(&rules_schema)},
    {0},
};
const struct schema behavior_schema = {.fields = behavior_fields};
