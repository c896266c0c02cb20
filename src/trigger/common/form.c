/* form: see form.h. */
#include "trigger/common/form.h"

#include <string.h>

#include "base/text.h"

/* Go's url.QueryEscape, but for what is in `also`. */
void form_add_but(struct text *out, const char *value, const char *also)
{
    for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
        if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("-_.~", *c) ||
            strchr(also, *c))
            text_add_char(out, (char)*c);
        else if (*c == ' ')
            text_add_char(out, '+');
        else
            text_printf(out, "%%%02X", *c);
    }
}

void form_add(struct text *out, const char *value)
{
    form_add_but(out, value, "");
}
