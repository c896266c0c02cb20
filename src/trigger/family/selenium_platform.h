/*
 * selenium_platform: the names by which clients and nodes of a Selenium Grid call an operating system, and which mean the same one.
 */
#ifndef WEIR_TRIGGER_SELENIUM_PLATFORM_H
#define WEIR_TRIGGER_SELENIUM_PLATFORM_H

#include <stdbool.h>

/* NULL is as "": any. Letters of any case. */
bool selenium_platforms_match(const char *a, const char *b);

#endif
