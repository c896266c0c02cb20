/*
 * probe_cluster: the TriggerAuthentications that manifests refer to and do not have, as the cluster has them. They are looked up once, all at
 * the same time.
 *
 *     struct probe_cluster *cluster = probe_cluster_new(kube, manifests, count, on_known, arg);     -- on_known in a later turn, once
 *     probe_cluster_each(cluster, put, arg);
 *     probe_cluster_free(cluster);
 */
#ifndef WEIR_CLI_PROBE_CLUSTER_H
#define WEIR_CLI_PROBE_CLUSTER_H

#include <stddef.h>

struct kube;
struct manifest;
struct probe_cluster;
struct text;

struct probe_cluster *probe_cluster_new(struct kube *kube, struct manifest *const *manifests, size_t count,
                                        void (*known)(void *arg), void *arg);
void probe_cluster_free(struct probe_cluster *cluster); /* NULL is fine; cancels what is under way */
/* Each that is there: its name ("TriggerAuthentication/shop/redis"), and all of it as JSON. NULL is fine. */
void probe_cluster_each(const struct probe_cluster *cluster,
                        void (*each)(void *arg, const char *name, const char *json, size_t length), void *arg);
/* What could not be looked up, a line each; that it is not there is for whoever refers to it to say. */
void probe_cluster_write_troubles(const struct probe_cluster *cluster, struct text *out);

#endif
