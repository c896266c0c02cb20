/*
 * shards: objects spread over the live members of a group, each with one writer at most at any time.
 *
 * Every member has a Lease. In it stands its claim: the membership (a list of members) by which it owns objects; an object belongs to
 * the member of that list with the highest hash of object and member (rendezvous hashing), so that a member that comes or goes moves
 * its own share only. A round is made of three steps, every retry_ms, and at once again while something is changing:
 *
 *     1 write   our Lease: renewed, with our claim
 *     2 read    all Leases of the group, as they are (no resourceVersion, so never from a cache that is behind)
 *     3 think   who lives -> the membership we want; claims of the others -> what we may write; those that ran out are deleted
 *
 * We write to an object only if all of these hold:
 *     a  our Lease lasts: counted from when its last renewal was asked for, less LEASE_MARGIN_MS (the fence of the kube)
 *     b  it is ours by the claim that stands in our Lease, by the one on its way, and by the membership we want
 *     c  that claim was read back: a read that began after the write was answered has shown no other claim by which it is another's
 *
 * Why two members, A and B, never both do:
 *   - Both have claims standing by which the object is theirs (b), each written before its owner's read began (c). The API server
 *     orders all writes. If A's claim came first, B's read, which began after B's own write, came later still and showed A's claim; so B
 *     fails (c), and goes on failing until a read shows that A has given it up. This needs no clock at all.
 *   - Giving up is in an order, too: the object is no longer ours by what we want at once (b); what was asked before is heard to its end,
 *     or its deadline and LEASE_MARGIN_MS have passed; only then is the smaller claim written, and only that lets another in.
 *   - A claim of somebody who is silent holds until his Lease is *deleted*, which others do only when they have seen the same version
 *     of it for its duration, and only at that version. The owner counts from the moment he asked for that version, which was before
 *     anybody could see it, so he has stopped (a). Should he come back, after SIGSTOP or a network that was cut, his fence is behind him;
 *     his renewal finds no Lease, and he joins anew with an empty claim. Had he renewed in time, the version would be another
 *     and the delete refused. Clocks need not agree: each measures spans by its own, and LEASE_MARGIN_MS makes up for their speed.
 *   - A Lease that is gone without our having seen it run out (deleted by a member whose clock is ahead, or by hand) leaves a ghost: its
 *     claim is honoured until we would have deleted it. (One who joins after a Lease was deleted by hand cannot know of it: deleting
 *     the Lease of a living member by hand is to be left alone.)
 *   - The API server is away: nobody renews, each stops at its fence, nobody owns anything. When it is back everybody's Lease looks
 *     old: after a time without a read all are watched for their whole duration again, and those who live renew meanwhile.
 *   - A write of ours whose answer was lost may or may not stand. Both claims are then ours to keep (b) until a read shows which.
 *   - A Lease that says nothing we understand claims everything.
 *
 * And why somebody always does, in the end: all read the same Leases, so all want the same membership as soon as nobody comes or goes;
 * then claims become equal in two rounds, and by equal claims every object has one owner.
 */
#include "platform/kubernetes/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/time.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/client_internal.h"
#include "platform/kubernetes/lease_object.h"

enum {
    DURATION_MS = 15 * 1000,
    RETRY_MS = 2 * 1000,
    HURRY_MS = 100,
    DRAIN_STEP_MS = 20,
    DRAIN_MS = 3 * 1000,
    ID_BYTES = 254,
    UID_BYTES = 64,
    HASH_SEED = 7
};

/* A set of members: their hashes, and the text that stands in a Lease: ids in order, with ',' between. */
struct claim {
    char *text;
    uint64_t *members;
    size_t count;
};

struct member { /* another one */
    char id[ID_BYTES], uid[UID_BYTES], version[LEASE_VERSION_BYTES];
    uint64_t hash;
    struct claim claim;
    bool claims_all;
    bool left;    /* it gave up everything itself */
    bool present; /* in the last read; else a ghost */
    bool expired; /* we saw it run out */
    int64_t seen_ms, lasts_ms;
};

struct shards {
    struct kube *kube;
    struct shards_options options;
    char *ns, *group, *path, *collection, *query, *id, *identity;
    int64_t hurry_ms; /* until the next round while something is changing */
    uint64_t hash;
    char nonce[LEASE_NONCE_BYTES], version[LEASE_VERSION_BYTES]; /* of our Lease; version "": there is none */
    struct timer *timer;
    struct kube_ask *ask, *delete_ask;
    struct claim standing, sent, wanted; /* sent.text NULL: none is on its way, or lost there */
    bool is_confirmed;                   /* a read began after what stands was written */
    bool is_settled;                     /* all claim what we want */
    bool is_overfull;
    uint64_t give_up_number; /* fenced writes below it must have ended before a new claim goes out */
    int64_t asked_ms, until_ms, read_ms, joined_at_ms;
    struct member members[SHARDS_MEMBERS_MAX];
    size_t member_count;
    bool is_leaving;
    int64_t leaving_since_ms;
    void (*left)(void *arg);
    void *left_arg;
};

static int64_t ticks(const struct shards *s)
{
    return loop_ticks_ms(kube_loop(s->kube));
}

static int64_t margin(const struct shards *s)
{
    return s->options.duration_ms / 4 < LEASE_MARGIN_MS ? s->options.duration_ms / 4 : LEASE_MARGIN_MS;
}

/* ---- claims ---- */
static void claim_done(struct claim *claim)
{
    free(claim->text);
    free(claim->members);
    *claim = (struct claim){0};
}

/* From its text; what is not an id is one that nobody has. */
static void claim_set(struct claim *claim, const char *text)
{
    struct claim fresh = {.text = mem_copy(text), .members = mem_array(SHARDS_MEMBERS_MAX, sizeof *fresh.members)};

    for (const char *at = text; *at && fresh.count < SHARDS_MEMBERS_MAX;) {
        size_t length = strcspn(at, ",");

        fresh.members[fresh.count++] = hash_bytes(HASH_SEED, at, length);
        at += length + (at[length] == ',');
    }
    claim_done(claim);
    *claim = fresh;
}

static bool claim_is(const struct claim *claim, const char *text)
{
    return claim->text && strcmp(claim->text, text) == 0;
}

static uint64_t score(uint64_t object, uint64_t member)
{
    return hash_bytes(object, &member, sizeof member);
}

/* Is the object that member's, by this claim? Scores of two are never equal but by a chance of 2^-64; then it is nobody's. */
static bool claim_gives(const struct claim *claim, uint64_t object, uint64_t member)
{
    uint64_t own = score(object, member);
    bool is_in = false;

    for (size_t i = 0; i < claim->count; i++) {
        if (claim->members[i] == member)
            is_in = true;
        else if (score(object, claim->members[i]) >= own)
            return false;
    }
    return is_in;
}

/* ---- who owns ---- */
static bool claimed_by_another(const struct shards *s, uint64_t object)
{
    for (size_t i = 0; i < s->member_count; i++) {
        const struct member *m = &s->members[i];

        if (!m->left && (m->claims_all || claim_gives(&m->claim, object, m->hash)))
            return true;
    }
    return false;
}

bool shards_own(const struct shards *shards, const char *ns, const char *name)
{
    uint64_t object = hash_string(hash_string(HASH_SEED, ns), name);

    if (!shards->is_confirmed || shards->is_leaving || shards->is_overfull || ticks(shards) >= shards->until_ms ||
        !kube_may_write(shards->kube))
        return false;
    if (!claim_gives(&shards->wanted, object, shards->hash))
        return false;
    if (shards->is_settled)
        return true;
    return claim_gives(&shards->standing, object, shards->hash) &&
           (!shards->sent.text || claim_gives(&shards->sent, object, shards->hash)) &&
           !claimed_by_another(shards, object);
}

static bool lives(const struct member *m)
{
    return m->present && !m->left && !m->expired;
}

size_t shards_members(const struct shards *shards)
{
    size_t count = 1;

    for (size_t i = 0; i < shards->member_count; i++)
        count += lives(&shards->members[i]);
    return count;
}

static void tell_changed(struct shards *s)
{
    if (s->options.changed)
        s->options.changed(s->options.arg);
}

/* ---- thinking ---- */
static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_membership(const struct shards *s, struct text *out)
{
    const char *ids[SHARDS_MEMBERS_MAX + 1];
    size_t count = 0;

    ids[count++] = s->id;
    for (size_t i = 0; i < s->member_count; i++)
        if (lives(&s->members[i]))
            ids[count++] = s->members[i].id;
    qsort(ids, count, sizeof ids[0], compare_ids);
    for (size_t i = 0; i < count; i++) {
        text_add(out, i > 0 ? "," : "");
        text_add(out, ids[i]);
    }
}

static bool all_agree(const struct shards *s)
{
    if (s->sent.text || !claim_is(&s->standing, s->wanted.text))
        return false;
    for (size_t i = 0; i < s->member_count; i++) {
        const struct member *m = &s->members[i];

        if (!m->left && (m->claims_all || !m->present || !claim_is(&m->claim, s->wanted.text)))
            return false;
    }
    return true;
}

static void want(struct shards *s)
{
    struct text membership;

    text_init(&membership, LEASE_BODY_MAX_BYTES);
    write_membership(s, &membership);
    if (!claim_is(&s->wanted, membership.bytes)) {
        s->hurry_ms = HURRY_MS;
        claim_set(&s->wanted, membership.bytes);
        s->give_up_number = kube_fence_number(s->kube);
    }
    text_done(&membership);
}

static struct member *find_member(struct shards *s, const char *id)
{
    for (size_t i = 0; i < s->member_count; i++)
        if (strcmp(s->members[i].id, id) == 0)
            return &s->members[i];
    return NULL;
}

static void note_member(struct shards *s, const struct lease_read *lease, bool was_blind)
{
    struct member *m = find_member(s, lease->name);

    if (!m && s->member_count == SHARDS_MEMBERS_MAX) {
        s->is_overfull = true;
        return;
    }
    if (!m) {
        m = &s->members[s->member_count++];
        *m = (struct member){.hash = hash_string(HASH_SEED, lease->name)};
        snprintf(m->id, sizeof m->id, "%s", lease->name);
    }
    if (strcmp(m->version, lease->version) != 0 || strcmp(m->uid, lease->uid) != 0 || was_blind) {
        m->seen_ms = ticks(s);
        m->expired = false;
    }
    snprintf(m->version, sizeof m->version, "%s", lease->version);
    snprintf(m->uid, sizeof m->uid, "%s", lease->uid);
    m->present = true;
    m->left = lease->holder[0] == 0;
    m->lasts_ms = lease->duration_ms;
    m->claims_all = lease->claims == NULL;
    if (!claim_is(&m->claim, lease->claims ? lease->claims : "")) {
        s->hurry_ms = HURRY_MS;
        claim_set(&m->claim, lease->claims ? lease->claims : "");
    }
    m->expired = m->expired || ticks(s) - m->seen_ms >= m->lasts_ms;
}

/* Those that are gone: at once where they had said so, else when we have seen, or would have seen, them run out. */
static void bury(struct shards *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->member_count; i++) {
        struct member *m = &s->members[i];

        if (!m->present && (m->left || ticks(s) - m->seen_ms >= m->lasts_ms)) {
            claim_done(&m->claim);
            continue;
        }
        if (kept != i)
            s->members[kept] = *m;
        kept++;
    }
    s->member_count = kept;
}

/* ---- our Lease ---- */
static void leave_group(struct shards *s)
{
    s->version[0] = 0;
    s->is_confirmed = s->is_settled = false;
    s->until_ms = 0;
    claim_done(&s->sent);
    claim_set(&s->standing, "");
    kube_set_fence(s->kube, 0);
}

static void note_own(struct shards *s, const struct lease_read *lease)
{
    const char *claims = lease->claims ? lease->claims : "";

    snprintf(s->version, sizeof s->version, "%s", lease->version);
    if (!claim_is(&s->standing, claims)) {
        claim_set(&s->standing, claims);
        s->is_confirmed = s->is_settled = false;
    }
    if (s->sent.text && claim_is(&s->sent, claims))
        claim_done(&s->sent);
}

static void again_after(struct shards *s, int64_t ms)
{
    if (!s->is_leaving)
        loop_timer_set(s->timer, kube_jitter(s->kube, ms));
}

/* Quickly at first: two rounds are enough where all live. What waits for a Lease to run out waits longer. */
static void next_round(struct shards *s)
{
    again_after(s, s->is_settled ? s->options.retry_ms : s->hurry_ms);
    s->hurry_ms = 2 * s->hurry_ms < s->options.retry_ms ? 2 * s->hurry_ms : s->options.retry_ms;
}

static void on_deleted(void *arg, const struct kube_reply *reply)
{
    struct shards *s = arg;

    (void)reply; /* the next read tells */
    s->delete_ask = NULL;
    if (!s->ask)
        again_after(s, 0);
}

/* One at a time, at the version that ran out; what a member left behind when everybody has seen it. */
static void delete_expired(struct shards *s)
{
    struct text path, body;
    struct kube_request request = {.method = "DELETE", .no_retry = true, .timeout_ms = s->options.duration_ms / 2};

    for (size_t i = 0; i < s->member_count && !s->delete_ask; i++) {
        const struct member *m = &s->members[i];

        if (!m->present || (m->left ? ticks(s) - m->seen_ms < s->options.duration_ms : !m->expired))
            continue;
        text_init(&path, KUBE_PATH_MAX_BYTES);
        text_init(&body, LEASE_BODY_MAX_BYTES);
        kube_path(&path, "coordination.k8s.io", "v1", s->ns, "leases", m->id, NULL);
        text_printf(&body,
                    "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"preconditions\":{\"uid\":\"%s\","
                    "\"resourceVersion\":\"%s\"}}",
                    m->uid, m->version);
        request.path = path.bytes;
        request.body = body.bytes;
        request.body_length = body.length;
        s->delete_ask = kube_ask(s->kube, &request, on_deleted, s);
        text_done(&path);
        text_done(&body);
    }
}

/* ---- reading ---- */
static bool note_all(struct shards *s, const struct tree *list)
{
    const struct tree *items = tree_get(list, "items");
    bool was_blind = s->asked_ms - s->read_ms > s->options.duration_ms / 2 + s->options.retry_ms, is_there = false;
    struct lease_read lease;

    s->is_overfull = false;
    for (size_t i = 0; i < s->member_count; i++)
        s->members[i].present = false;
    for (const struct tree *item = items ? items->first : NULL; item; item = item->next) {
        if (!lease_read(item, s->options.duration_ms, &lease))
            continue;
        if (strcmp(lease.name, s->id) != 0)
            note_member(s, &lease, was_blind);
        else if (strcmp(lease.nonce, s->nonce) == 0)
            is_there = true;
    }
    s->read_ms = s->asked_ms;
    return is_there;
}

static void on_read(void *arg, const struct kube_reply *reply)
{
    struct shards *s = arg;
    bool was_settled = s->is_settled;

    s->ask = NULL;
    if (reply->error.kind != ERROR_NONE || !tree_get(reply->body, "items")) {
        again_after(s, s->options.retry_ms);
        return;
    }
    if (!note_all(s, reply->body)) { /* deleted: by others, who took us for dead, or by hand */
        leave_group(s);
        tell_changed(s);
        again_after(s, HURRY_MS);
        return;
    }
    bury(s);
    want(s);
    s->is_confirmed = true;
    s->is_settled = all_agree(s);
    delete_expired(s);
    if (!was_settled || !s->is_settled)
        tell_changed(s);
    next_round(s);
}

static void read_all(struct shards *s)
{
    struct kube_request request = {.method = "GET",
                                   .path = s->query,
                                   .no_retry = true,
                                   .priority = KUBE_WRITE,
                                   .timeout_ms = s->options.duration_ms / 3};

    s->asked_ms = ticks(s);
    s->ask = kube_ask(s->kube, &request, on_read, s);
}

/* ---- writing ---- */
static void renewed(struct shards *s)
{
    int64_t until_ms = s->asked_ms + s->options.duration_ms - margin(s);

    if (ticks(s) >= until_ms)
        return; /* the answer took too long to be of use */
    if (ticks(s) >= s->until_ms)
        s->is_settled = false; /* what came meanwhile was taken for another's: the next read says that it is ours */
    s->until_ms = until_ms;
    kube_set_fence(s->kube, until_ms);
}

static void on_own(void *arg, const struct kube_reply *reply)
{
    struct shards *s = arg;
    struct lease_read lease;

    s->ask = NULL;
    if (reply->error.kind == ERROR_NONE && lease_read(reply->body, s->options.duration_ms, &lease) &&
        strcmp(lease.nonce, s->nonce) == 0) {
        note_own(
            s,
            &lease); /* a lost write has landed, or somebody labelled our Lease: it is written again at this version */
        again_after(s, 0);
        return;
    }
    if (reply->error.kind == ERROR_NONE || reply->error.kind == ERROR_MISSING) {
        leave_group(s);
        tell_changed(s);
    }
    again_after(s, s->options.retry_ms / 2);
}

static void read_own(struct shards *s)
{
    struct kube_request request = {.method = "GET",
                                   .path = s->path,
                                   .no_retry = true,
                                   .priority = KUBE_WRITE,
                                   .timeout_ms = s->options.duration_ms / 3};

    s->ask = kube_ask(s->kube, &request, on_own, s);
}

static void on_written(void *arg, const struct kube_reply *reply)
{
    struct shards *s = arg;
    struct lease_read lease;

    s->ask = NULL;
    if (reply->error.kind == ERROR_NONE && lease_read(reply->body, s->options.duration_ms, &lease)) {
        note_own(s, &lease);
        renewed(s);
        if (!s->is_leaving)
            read_all(s);
    } else if ((reply->conflict || reply->error.kind == ERROR_MISSING) && !s->is_leaving) {
        read_own(s);
    } else {
        /* It may stand, or not: what was sent stays in s->sent, and the next write at the old version tells. */
        again_after(s, s->options.retry_ms / 2);
    }
}

/* A new claim waits for what was asked under the old one. */
static bool may_claim_anew(const struct shards *s)
{
    return kube_fence_oldest(s->kube) >= s->give_up_number && ticks(s) >= kube_fence_doubt_ms(s->kube);
}

static void write_own(struct shards *s, const char *claims, const char *holder, kube_done *done)
{
    int64_t now_ms = loop_now_ms(kube_loop(s->kube));
    bool joins = !s->version[0];
    struct text body;
    struct kube_request request = {.method = joins ? "POST" : "PATCH",
                                   .path = joins ? s->collection : s->path,
                                   .content_type = joins ? NULL : "application/merge-patch+json",
                                   .no_retry = true,
                                   .priority = KUBE_WRITE,
                                   .timeout_ms = s->options.duration_ms / 3};

    if (joins)
        s->joined_at_ms = now_ms;
    text_init(&body, LEASE_BODY_MAX_BYTES);
    lease_write(&(struct lease_write){.name = s->id,
                                      .ns = s->ns,
                                      .version = joins ? NULL : s->version,
                                      .holder = holder,
                                      .nonce = s->nonce,
                                      .group = s->group,
                                      .claims = claims,
                                      .duration_ms = s->options.duration_ms,
                                      .acquired_at_ms = s->joined_at_ms,
                                      .renewed_at_ms = now_ms},
                &body);
    if (!claim_is(&s->standing, claims))
        claim_set(&s->sent, claims);
    request.body = body.bytes;
    request.body_length = body.length;
    s->asked_ms = ticks(s);
    s->ask = kube_ask(s->kube, &request, done, s);
    text_done(&body);
}

static void round_begins(void *arg)
{
    struct shards *s = arg;

    if (s->ask)
        return;
    if (!s->version[0])
        write_own(s, "", s->identity, on_written);
    else if (s->sent.text) /* lost: the same again, for it may stand already */
        write_own(s, s->sent.text, s->identity, on_written);
    else
        write_own(s, s->wanted.text && may_claim_anew(s) ? s->wanted.text : s->standing.text, s->identity, on_written);
}

/* ---- going ---- */
static void tell_left(struct shards *s)
{
    void (*left)(void *arg) = s->left;

    s->left = NULL;
    if (left)
        left(s->left_arg);
}

/* It stays for a while, saying that it claims nothing: had it gone, those who did not see that would wait for it to run out. */
static void on_given_up(void *arg, const struct kube_reply *reply)
{
    struct shards *s = arg;

    (void)reply; /* if it failed, it runs out by itself */
    s->ask = NULL;
    tell_left(s);
}

/* Our own Lease, whatever its version: nobody else writes to it. */
static void give_up(struct shards *s)
{
    int64_t now_ms = loop_now_ms(kube_loop(s->kube));
    struct text body;
    struct kube_request request = {.method = "PATCH",
                                   .path = s->path,
                                   .content_type = "application/merge-patch+json",
                                   .no_retry = true,
                                   .priority = KUBE_WRITE,
                                   .timeout_ms = DRAIN_MS};

    text_init(&body, LEASE_BODY_MAX_BYTES);
    lease_write(&(struct lease_write){.name = s->id,
                                      .ns = s->ns,
                                      .holder = "",
                                      .nonce = s->nonce,
                                      .group = s->group,
                                      .claims = "",
                                      .duration_ms = 1000,
                                      .acquired_at_ms = s->joined_at_ms,
                                      .renewed_at_ms = now_ms},
                &body);
    request.body = body.bytes;
    request.body_length = body.length;
    s->ask = kube_ask(s->kube, &request, on_given_up, s);
    text_done(&body);
}

/* What is under way ends first, so that the next owner does not meet it. */
static void drain(void *arg)
{
    struct shards *s = arg;
    bool is_quiet = !s->ask && kube_fence_oldest(s->kube) == UINT64_MAX && ticks(s) >= kube_fence_doubt_ms(s->kube);
    bool is_late = ticks(s) - s->leaving_since_ms >= DRAIN_MS;

    if (!is_quiet && !is_late) {
        loop_timer_set(s->timer, DRAIN_STEP_MS);
        return;
    }
    if (s->ask)
        kube_cancel(s->ask);
    s->ask = NULL;
    kube_set_fence(s->kube, 0);
    if (is_quiet && s->version[0])
        give_up(s);
    else
        tell_left(s);
}

void shards_leave(struct shards *shards, void (*done)(void *arg), void *arg)
{
    shards->is_leaving = true;
    shards->leaving_since_ms = ticks(shards);
    shards->left = done;
    shards->left_arg = arg;
    kube_hold_fence(shards->kube);
    loop_timer_free(shards->timer);
    shards->timer = loop_timer_new(kube_loop(shards->kube), drain, shards);
    loop_timer_set(shards->timer, 0);
}

/* ---- the group ---- */
static char *path_of(const char *ns, const char *name)
{
    struct text path;

    text_init(&path, KUBE_PATH_MAX_BYTES);
    kube_path(&path, "coordination.k8s.io", "v1", ns, "leases", name, NULL);
    return text_take(&path);
}

static char *query_of(const char *collection, const char *group)
{
    struct text path;

    text_init(&path, KUBE_PATH_MAX_BYTES);
    text_printf(&path, "%s?labelSelector=", collection);
    kube_escape(&path, LEASE_GROUP_LABEL "=");
    kube_escape(&path, group);
    return text_take(&path);
}

/* What a name in Kubernetes may consist of; at most `most` bytes, with no '-' or '.' at its ends. */
static char *plain_name(const char *string, size_t most)
{
    char *name = mem_copy(string);
    size_t length = 0;

    for (const char *c = string; *c && length < most; c++) {
        char lower = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
        bool fits = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9');

        if (fits || length > 0)
            name[length++] = fits || lower == '.' ? lower : '-';
    }
    while (length > 0 && (name[length - 1] == '-' || name[length - 1] == '.'))
        length--;
    name[length] = 0;
    return name;
}

/* A member that is started again is another member: what the former one has under way must run out first. */
static char *id_of(const char *group, const char *identity, const char *nonce)
{
    enum { GROUP_BYTES = 63, IDENTITY_BYTES = 160, NONCE_DIGITS = 8 };
    char *own_group = plain_name(group, GROUP_BYTES), *own = plain_name(identity, IDENTITY_BYTES);
    struct text id;

    text_init(&id, ID_BYTES - 1);
    text_printf(&id, "%s-%s-%.*s", own_group[0] ? own_group : "weir", own[0] ? own : "member", NONCE_DIGITS, nonce);
    for (char *c = id.bytes; *c; c++)
        if (c[0] == '.' && (c[1] == '-' || c[1] == '.' || (c > id.bytes && c[-1] == '-')))
            *c = '-';
    free(own_group);
    free(own);
    return text_take(&id);
}

struct shards *shards_new(struct kube *kube, const struct shards_options *options)
{
    struct shards *s = mem_alloc(sizeof *s);
    int64_t duration_ms = options->duration_ms > 0 ? options->duration_ms : DURATION_MS;

    s->kube = kube;
    s->options = *options;
    s->options.duration_ms =
        duration_ms < LEASE_DURATION_MAX_S * SECOND_MS ? duration_ms : LEASE_DURATION_MAX_S * SECOND_MS;
    s->options.retry_ms = options->retry_ms > 0 ? options->retry_ms : RETRY_MS;
    lease_nonce(s->nonce);
    s->ns = mem_copy(options->ns);
    s->group = plain_name(options->group, 63);
    s->identity = mem_copy(options->identity);
    s->id = id_of(options->group, options->identity, s->nonce);
    s->hash = hash_string(HASH_SEED, s->id);
    s->path = path_of(s->ns, s->id);
    s->collection = path_of(s->ns, NULL);
    s->query = query_of(s->collection, s->group);
    s->hurry_ms = HURRY_MS;
    claim_set(&s->standing, "");
    s->timer = loop_timer_new(kube_loop(kube), round_begins, s);
    kube_set_fence(kube, 0);
    loop_timer_set(s->timer, 0);
    return s;
}

static void ignore(void *arg, const struct kube_reply *reply)
{
    (void)arg;
    (void)reply;
}

/* Not left before: our Lease goes at once, and the others wait for what may still be under way. */
static void delete_own(struct shards *s)
{
    struct kube_request request = {.method = "DELETE", .path = s->path, .no_retry = true, .timeout_ms = DRAIN_MS};

    (void)kube_ask(s->kube, &request, ignore, NULL);
}

void shards_free(struct shards *shards)
{
    if (!shards)
        return;
    if (shards->ask)
        kube_cancel(shards->ask);
    if (shards->delete_ask)
        kube_cancel(shards->delete_ask);
    kube_set_fence(shards->kube, 0);
    if (!shards->is_leaving && shards->version[0])
        delete_own(shards);
    for (size_t i = 0; i < shards->member_count; i++)
        claim_done(&shards->members[i].claim);
    claim_done(&shards->standing);
    claim_done(&shards->sent);
    claim_done(&shards->wanted);
    loop_timer_free(shards->timer);
    free(shards->ns);
    free(shards->group);
    free(shards->path);
    free(shards->collection);
    free(shards->query);
    free(shards->id);
    free(shards->identity);
    free(shards);
}
