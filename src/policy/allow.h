/*
 * allow: comments in a manifest that silence findings of lint.
 *
 *     # weir:allow CODE[,CODE...] reason
 *
 * On the line of a finding, on a line of its own before it (other comments may stand between), or at the head of a document,
 * where it holds for the whole document. A comment that silences nothing, cannot be read or gives no reason is a finding
 * itself, so that none outlives its cause.
 *
 *     struct allows *allows = allows_new();
 *     allows_read(allows, "a.yaml", bytes, length);
 *     allows_apply(allows, report);                      -- findings are silenced, others added
 */
#ifndef WEIR_POLICY_ALLOW_H
#define WEIR_POLICY_ALLOW_H

#include <stddef.h>

struct allows;
struct report;

struct allows *allows_new(void);
void allows_free(struct allows *allows);
void allows_read(struct allows *allows, const char *file, const char *bytes, size_t length);
void allows_apply(struct allows *allows, struct report *report);

#endif
