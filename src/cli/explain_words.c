/* explain_words: members of a view, and numbers for people. See explain_view.h and explain_output.h. */
#include <math.h>
#include <stdio.h>

#include "cli/explain_output.h"
#include "cli/explain_view.h"

const char *view_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

double view_number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

bool view_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

void explain_number(double value, char *out, size_t size)
{
    if (value == trunc(value) && fabs(value) < 1e15)
        snprintf(out, size, "%.0f", value == 0 ? 0.0 : value);
    else if (fabs(value) >= 1000 && fabs(value) < 1e15)
        snprintf(out, size, "%.1f", value);
    else
        snprintf(out, size, "%.4g", value);
}
