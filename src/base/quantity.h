/*
 * quantity: Kubernetes' resource quantities ("500m", "2Gi", "1e3"), exactly. Rules: hpa-algorithm.md 2.1.
 */
#ifndef WEIR_BASE_QUANTITY_H
#define WEIR_BASE_QUANTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* To a count of 10^-digits (digits 0..9): rounded away from zero, saturating at the int64 limits.
   false: not a quantity. */
bool quantity_parse(const char *string, int digits, int64_t *out);
bool quantity_parse_milli(const char *string, int64_t *milli); /* digits = 3 */
bool quantity_parse_double(const char *string, double *value); /* mantissa x 10^exponent, as the HPA makes tolerances */
/* Canonical DecimalSI ("2500m", "2k", "0"); out holds at least 32 bytes. */
void quantity_format_milli(int64_t milli, char *out, size_t size);
/* A double as KEDA makes a metric of it: NaN, infinities and negatives are 0; "%.3f", then canonical (_common.md 3), at most
   10^28. out holds at least 32 bytes. */
void quantity_format_double(double value, char *out, size_t size);

#endif
