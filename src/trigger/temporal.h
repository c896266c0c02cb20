/* temporal: what of the driver is looked at from outside (the vectors have the text of its query). */
#ifndef WEIR_TRIGGER_TEMPORAL_H
#define WEIR_TRIGGER_TEMPORAL_H

struct text;

/* Which running workflows are counted; config: of a trigger of type temporal. */
void temporal_count_query(const void *config, struct text *out);

#endif
