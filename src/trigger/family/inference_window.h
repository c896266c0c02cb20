/*
 * inference_window: what counters and histograms of model servers did lately. Keeps the last reading of each replica, and
 * what was added since, over a window. A counter that fell was reset: its new value is the increase. Pure but for its
 * own memory.
 */
#ifndef WEIR_TRIGGER_INFERENCE_WINDOW_H
#define WEIR_TRIGGER_INFERENCE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trigger/family/inference_page.h"

struct window;

struct window *window_new(int64_t window_ms);
void window_free(struct window *window); /* NULL is fine */

/* A replica's counters, one for each series of the page. false: there are no two readings in the window yet; else the rates
   per second. */
bool window_counters(struct window *window, const char *replica, int64_t now_ms, const struct page *page,
                     double *rates);

/* A replica's histograms: added to those of all others. window_buckets gives what came within the window, as cumulative counts;
   false: nothing. */
void window_histograms(struct window *window, const char *replica, int64_t now_ms, const struct page *page);
void window_histograms_done(struct window *window, int64_t now_ms); /* all replicas of this poll were added */
bool window_buckets(const struct window *window, int64_t now_ms, size_t series, struct page_bucket *out, size_t *count);
/* Forgets replicas not seen for two windows. */
void window_prune(struct window *window, int64_t now_ms);

#endif
