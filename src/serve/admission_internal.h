/* What the files of the webhook share. */
#ifndef WEIR_SERVE_ADMISSION_INTERNAL_H
#define WEIR_SERVE_ADMISSION_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "policy/admission.h"
#include "serve/admission.h"

struct tree;

/* ---- admission_index.c: who scales what, in memory ---- */
/*
 * One claim per object: it scales a target, and has the name of an autoscaler (an object) or of an owner (an autoscaler). All texts are
 * atoms, so most are those of the running system already.
 */
struct claim_index;
struct claim { /* texts of the caller in claim_index_put; atoms when found */
    const char *ns, *name;
    struct admission_target target;
    const char *other; /* object: the autoscaler's configured name; autoscaler: the owning ScaledObject. NULL: none */
    bool released;     /* autoscaler: annotated as nobody's */
    uint16_t source;   /* which watch told of it */
};
/* by_scaler: also found by the name of the autoscaler an object has, or would have. */
struct claim_index *claim_index_new(bool by_scaler);
void claim_index_free(struct claim_index *index); /* NULL is fine */
/* false: ADMISSION_INDEX_MAX are there already. */
bool claim_index_put(struct claim_index *index, const struct claim *claim);
void claim_index_remove(struct claim_index *index, const char *ns, const char *name);
/* A list begins: what is not put until claim_index_sweep is gone. */
void claim_index_mark(struct claim_index *index, uint16_t source);
void claim_index_sweep(struct claim_index *index, uint16_t source);
size_t claim_index_count(const struct claim_index *index);
size_t claim_index_bytes(const struct claim_index *index); /* without the texts */
typedef void claim_found(void *arg, const struct claim *claim);
void claim_index_on_target(const struct claim_index *index, const char *ns, const struct admission_target *target,
                           claim_found *found, void *arg);
void claim_index_on_scaler(const struct claim_index *index, const char *ns, const char *scaler, claim_found *found,
                           void *arg);

/* ---- admission_watch.c: the index, kept up to date ---- */
enum watched_kind { WATCH_SCALERS, WATCH_OBJECTS };
struct cluster_watch;
/* changed is called when it has become complete, or cannot be. */
struct cluster_watch *cluster_watch_new(enum watched_kind kind, const struct serve_admission_options *options,
                                        void (*changed)(void *arg), void *arg);
void cluster_watch_free(struct cluster_watch *watch); /* NULL is fine */
enum watch_state { WATCH_COMPLETE, WATCH_WAITING, WATCH_FAILED /* *why says it */ };
enum watch_state cluster_watch_state(const struct cluster_watch *watch, const char *ns, const char **why);
const struct claim_index *cluster_watch_index(const struct cluster_watch *watch);
/* An object as the API gives it -> its claim, texts borrowed. */
void claim_read(enum watched_kind kind, const struct tree *object, struct claim *out);

/* ---- admission_counts.c: KEDA's metrics of the webhook ---- */
struct admission_counts;
struct admission_counts *admission_counts_new(void);
void admission_counts_free(struct admission_counts *counts);
/* A review of a ScaledObject or ScaledJob. label NULL: it was not refused, or for no reason KEDA counts. */
void admission_counts_add(struct admission_counts *counts, const char *ns, bool update, const char *label);
void admission_counts_write(const struct admission_counts *counts, struct text *out);

/* ---- admission_review.c: JSON in and out ---- */
struct review_input { /* texts and trees in the arena */
    const char *uid;
    bool asks; /* false: an operation nobody has to be asked about; it is allowed */
    struct admission_review review;
};
/* false: it is no AdmissionReview of v1; err->text says what is wrong. */
bool review_read(const char *body, size_t length, enum admission_kind kind, struct arena *arena,
                 struct review_input *out, struct error *err);
void review_write(const char *uid, const struct admission_answer *answer, struct text *out);

#endif
