#ifndef WEIR_TEST_DEVIATION_HTTP_H
#define WEIR_TEST_DEVIATION_HTTP_H

#include "trigger_case.h"

/* Why this outcome may differ from the original's, or NULL. */
const char *deviation_http(const struct trigger_case *c, const struct tree *vector, const struct sample *sample);

#endif
