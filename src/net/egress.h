/*
 * egress: where manifests may make Weir connect to. A tenant who writes an address into a trigger speaks with Weir's place in the network,
 * so what only Weir can reach must be refused: the metadata services of clouds, which hand out the node's credentials, the cluster's own
 * API, and in a pod what listens on the pod's loopback.
 *
 *     struct egress *rules = egress_new();
 *     egress_protect_loopback(rules);                                     -- in a cluster
 *     egress_protect_server(rules, "https://10.96.0.1:443")               -- its API
 *     egress_allow(rules, "loopback,shop=10.1.0.0/16", &err)
 *     egress_deny(rules, "10.0.0.0/8,shop=*.internal", &err)
 *
 * Two questions, and both must be answered well. Is it protected (what stands above)? Then only a rule that allows that very address or
 * net, no larger one and no name, opens it. And what do the rules say? The most specific of those that match decides: one of the
 * namespace before one for all, then a name before an address, a smaller net before a larger one; of two equal ones the one that refuses.
 * Where none matches, it is allowed.
 *
 * What counts is the address that a name was resolved to, at the moment of connecting: no name, and no name that changes its address
 * meanwhile, gets around that. An IPv4 address is that address however it is written (mapped, NAT64, 127.1), and one that a tunnel or a
 * translator finds in an IPv6 address (6to4, Teredo, 64:ff9b:1::/48) is judged besides that.
 *
 * Rules are filled before anybody connects, and only read then, by any thread; so are references taken and given back.
 */
#ifndef WEIR_NET_EGRESS_H
#define WEIR_NET_EGRESS_H

#include <stdbool.h>

struct egress;
struct error;
struct sockaddr;

struct egress *egress_new(void); /* protects link-local addresses and metadata services, allows all else */
struct egress *egress_ref(struct egress *rules);
void egress_unref(struct egress *rules); /* NULL is fine */

void egress_protect_loopback(struct egress *rules); /* and Unix sockets */
/* A server that Weir signs in at by itself, by its URL: the cluster's API. Its port only. A name is protected as a name, and whatever
   address Weir was led to by it (egress_learn_server). */
void egress_protect_server(struct egress *rules, const char *url);
/*
 * Rules, separated by commas: [NAMESPACE=]WHAT[:PORT]. WHAT is an address, a net (10.0.0.0/8; with a port in brackets: [fd00::/8]:443), a
 * name (db.internal, *.internal), or a word: loopback, link-local, metadata, private, unix, all. false: err says which one is wrong.
 */
bool egress_allow(struct egress *rules, const char *list, struct error *err);
bool egress_deny(struct egress *rules, const char *list, struct error *err);

/* Who connects, and what it was told to connect to. */
struct egress_caller {
    const char *ns;   /* NULL: nobody's namespace in particular */
    const char *host; /* the name before it was resolved; NULL: not known */
    int port;         /* with host */
    const struct egress_caller
        *next; /* another host that it may be on the way to: a library with several does not tell to which */
};
/* *why: what refuses it, to follow "its address is" ("a loopback address"); lives as long as the rules. rules NULL: allowed. */
bool egress_allows(const struct egress *rules, const struct egress_caller *caller, const struct sockaddr *address,
                   const char **why);
/* Weir itself, by its own will, connects there. Rules NULL: nothing. */
void egress_learn_server(const struct egress *rules, const struct egress_caller *caller,
                         const struct sockaddr *address);
/* The same of an address in words ("10.0.0.1", "::1"), as libraries give it. */
bool egress_allows_text(const struct egress *rules, const struct egress_caller *caller, const char *address, int port,
                        const char **why);
/* Before the name is resolved: what can be said already. A literal address is judged as such. */
bool egress_allows_host(const struct egress *rules, const struct egress_caller *caller, const char **why);
/* What a refusal is as an error; place: "db:5432". */
void failure_egress(struct error *err, const char *place, const char *why);
/* Whether namespaces have the same rules, and may use one connection: NULL where ns has none of its own, else ns. */
const char *egress_scope(const struct egress *rules, const char *ns);

/* ---- libraries that connect by themselves (egress_connect.c) ----

   connect() of this program is our own, and so are sendto() and its kin, which need no connect(): what a library calls on a thread
   that has entered is judged as the caller's, and fails with EACCES where it is refused. A thread that has not entered, as libraries start them for themselves, is judged by the rules for all of
   the transport that was made last; the thread that made it is trusted, for there every address was looked at before. */
void egress_enter(struct egress *rules, const struct egress_caller *caller); /* both borrowed until leave */
/* true: something was refused since; *why as above. */
bool egress_leave(const char **why);
/* The namespace that this thread has entered for; NULL: none. */
const char *egress_namespace(void);
/* From here to egress_turn_back() this thread turns to other servers than those that the caller names (KDCs): such an address is judged for the
   namespace and by the names of these, borrowed till then; NULL: they have none that is known. Turning back tells why something was refused
   meanwhile, and egress_leave() says nothing of it; NULL: nothing was. */
void egress_turn_elsewhere(const struct egress_caller *servers);
const char *egress_turn_back(void);
/* For a library that connects on threads of its own, but lets us do it (librdkafka's connect_cb): what this thread has entered with, kept for
   whatever thread it will be; NULL where there are no rules. It holds a reference to them. */
struct egress_guard;
struct egress_guard *egress_guard_new(void);
void egress_guard_free(struct egress_guard *guard); /* NULL is fine */
/* Why it refused something last, as egress_leave says it; NULL: it never did. */
const char *egress_guard_refusal(const struct egress_guard *guard);
/* As connect(), judged as the guard's caller; NULL: not judged. 0, or an errno. On any thread. */
int egress_guard_connect(struct egress_guard *guard, int fd, const struct sockaddr *address, unsigned length);
/* On a thread of the library: what else it connects to by itself is judged for the guard's namespace, until the thread ends; the guard has to
   live as long. NULL: nothing changes. */
void egress_guard_enter(const struct egress_guard *guard);
void egress_set_default(struct egress *rules); /* transport_real.c; this thread is trusted from then on; NULL: none */
void egress_drop_default(const struct egress *rules); /* if it is still that */

#endif
