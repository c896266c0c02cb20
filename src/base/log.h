/*
 * log: one line an event, logfmt or JSON, to standard error. Only autoscaler/, serve/ and cli/ call it.
 *
 *     log_info("scaled", "object", "shop/checkout", "from", "1", "to", "3", "reason", "above-target", NULL);
 *
 * The message comes first, then pairs of C strings, then NULL. No secret can get in: a struct secret is not a string.
 * Values are quoted where they need it; a line over LOG_LINE_MAX_BYTES loses pairs and says cut=true. May be called from any
 * thread. The time of a line is the wall clock's: the one place beside net/loop.h that reads it.
 */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

void log_set_level(enum log_level level);
void log_set_json(bool json);
bool log_level_parse(const char *name, enum log_level *level);
bool log_enabled(enum log_level level);
void log_debug(const char *message, ...) __attribute__((sentinel));
void log_info(const char *message, ...) __attribute__((sentinel));
void log_warning(const char *message, ...) __attribute__((sentinel));
void log_error(const char *message, ...) __attribute__((sentinel));
/* How many lines of each level were written since the start (for /metrics). */
unsigned long log_count(enum log_level level);

#endif
