/*
 * kafka_case: the responses of kind kafka, whose source is a cluster and not a conversation.
 */
#ifndef WEIR_TEST_KAFKA_CASE_H
#define WEIR_TEST_KAFKA_CASE_H

#include "vectors.h"

enum vector_outcome vector_kafka(const struct tree *vector, struct vector_result *result);
/* The divisor rule by itself: {totalLag, partitions, lagThreshold} -> consumers. */
enum vector_outcome vector_kafka_calc(const struct tree *vector, struct vector_result *result);

#endif
