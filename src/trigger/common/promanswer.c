/*
 * promanswer: {"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[TIME,"TEXT"]}]}}. Facts:
 * triggers/prometheus.md, loki.md.
 */
#include "trigger/common/promanswer.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "base/tree.h"

/* [time, "text"] */
static enum poll_next read_pair(struct poll *poll, const struct tree *pair, enum param_switch said)
{
    const struct tree *text = tree_index(pair, 1);
    double value;

    if (tree_count(pair) == 0)
        return poll_missing(poll, said, "the query gives a range or no value, not an instant; drop the [...] selector");
    if (!text)
        return poll_fail(poll, ERROR_NONSENSE, "the value in the answer has no second part");
    if (text->type == TREE_NULL)
        return poll_missing(poll, said, "the query's value is null");
    if (text->type != TREE_STRING || !tree_number(text, &value))
        return poll_fail(poll, ERROR_NONSENSE, "the query's value is not a number");
    if (!isfinite(value))
        return poll_missing(poll, said, "the query gives %s: it divided by zero",
                            isnan(value) ? "NaN"
                            : value > 0  ? "+Inf"
                                         : "-Inf");
    return poll_value(poll, value);
}

/* Absent and null are the same to the original; anything else has to be of this type. */
static bool fits(const struct tree *node, enum tree_type type)
{
    return !node || node->type == TREE_NULL || node->type == type;
}

static enum poll_next read_series(struct poll *poll, const struct tree *series, enum param_switch said)
{
    const struct tree *pair = tree_get_fold(series, "value");

    if (!fits(series, TREE_MAP) || !fits(tree_get_fold(series, "metric"), TREE_MAP) || !fits(pair, TREE_LIST))
        return poll_fail(poll, ERROR_NONSENSE, "the result is not a list of series with a value each");
    return read_pair(poll, pair, said);
}

enum poll_next promanswer_value(struct poll *poll, const struct tree *json, enum param_switch said, const char *source)
{
    const struct tree *data = tree_get_fold(json, "data"), *result = tree_get_fold(data, "result");
    const char *why = tree_string(tree_get_fold(json, "error"));

    if (json->type != TREE_MAP || !fits(data, TREE_MAP))
        return poll_fail(poll, ERROR_NONSENSE, "the answer is not one of %s' query API", source);
    if (string_equal(tree_string(tree_get_fold(json, "status")), "error"))
        return poll_fail(poll, ERROR_NONSENSE, "%s reports an error: %.150s", source,
                         why ? why : "without saying which");
    if (string_equal(tree_string(tree_get_fold(data, "resultType")), "scalar"))
        return poll_fail(poll, ERROR_NONSENSE, "the query gives a scalar; write vector(...) around it");
    if (!fits(result, TREE_LIST))
        return poll_fail(poll, ERROR_NONSENSE, "the result is %s, not a list of series", tree_type_name(result->type));
    if (tree_count(result) == 0)
        return poll_missing(poll, said, "the query matched no series");
    if (tree_count(result) > 1)
        return poll_fail(poll, ERROR_NONSENSE, "the query gives %zu series; make it one, say with sum(...)",
                         tree_count(result));
    return read_series(poll, tree_index(result, 0), said);
}
