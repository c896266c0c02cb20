/*
 * library_internal: what the files of the function library (lib_*.c) share and nobody else needs.
 */
#ifndef WEIR_FORMULA_LIBRARY_INTERNAL_H
#define WEIR_FORMULA_LIBRARY_INTERNAL_H

#include "formula/library.h"

/* ---- numbers ---- */

/* d.ddd x 10^exponent; the digits are not ended by a 0. */
struct decimal {
    char digits[20];
    int count, exponent;
};

/* Without an exponent while plain_from <= decimal exponent < plain_below. */
struct float_style {
    int plain_from, plain_below, exponent_width;
};

void lib_shortest(double x, struct decimal *d);                                    /* x finite and above 0 */
bool lib_add_decimal(struct text *out, double x, const struct float_style *style); /* x finite */

/* ---- code points, for regular expressions ---- */

/* The next in the ring of code points that differ in case only (k, K, the sign of kelvin); itself if it stands alone. */
uint32_t lib_point_other_case(uint32_t point);
/* Moves *point to the first code point at or after it that has another case. false: there is none. */
bool lib_next_cased(uint32_t *point);
/* The code points of a Unicode property, "Lu" or "Greek", in ascending runs. false: no such property. */
typedef void lib_add_range(void *arg, uint32_t first, uint32_t last);
bool lib_property_ranges(struct span name, lib_add_range *add, void *arg);

/* ---- instants ---- */

struct civil;

extern const char *const lib_months[12], *const lib_weekdays[7];

/* Seconds east of UTC and the zone's short name at the instant; "" where it has none. */
int lib_time_offset(const struct go_time *t, const char **name);
void lib_time_civil(const struct go_time *t, struct civil *out); /* what a clock in its zone shows */
/* The instant at which a clock in t's zone shows local_s (seconds since 1970-01-01 00:00 there). */
int64_t lib_civil_in_zone(const struct go_time *t, int64_t local_s);

#endif
