"""Several Weirs: one leader and those who stand by, or members that share the objects. Whatever is killed, paused or stolen, an object
has one writer at any time (failure-modes K5), and somebody always takes over.

The proof is the audit log: the Leases as the API server took them say who may write which object when; every write of a scale must
have been its owner's from the moment it came until it was answered."""
import functools
import random
import signal
import time

import pytest

from support.waiting import wait_for
from witness import Ledger, follower, moment, refused, replica_set, scale_writes, trigger, unexplained

LEASE_S, RENEW_S, RETRY_S, POLL_S = 3, 2, 0.5, 1
TAKEOVER_S = 2  # after the lease's end
USERS = ("weir-a", "weir-b", "weir-c", "weir-d")
NAMES = [f"app-{i}" for i in range(12)]
MASK = (1 << 64) - 1


@pytest.fixture(autouse=True)
def short_leases(monkeypatch):
    for name, seconds in (("LEASE_DURATION", LEASE_S), ("RENEW_DEADLINE", RENEW_S), ("RETRY_PERIOD", RETRY_S)):
        monkeypatch.setenv(f"KEDA_OPERATOR_LEADER_ELECTION_{name}", f"{int(seconds * 1000)}ms")


class Several:
    """Some Weirs, a user each, and objects whose values change all the time."""

    def __init__(self, plane, namespace, start, *options):
        self.plane, self.namespace, self.options, self.start = plane, namespace, options, start
        self.mark, self.ledger, self.members = plane.audit_mark(), Ledger(), {}
        for name in NAMES:
            self.ledger.values[name] = 1
            namespace.create("replicasets", replica_set(name, 1))
            namespace.create("scaledobjects", follower(name, self.ledger, POLL_S, {"apiVersion": "apps/v1", "kind": "ReplicaSet",
                                                                                  "name": name}))

    def add(self, *users):
        for user in users:
            self.members[user] = self.start(*self.options, user=user)

    def signal(self, user, number):
        self.members[user].process.send_signal(number)

    def move(self):
        """Other values for all, each at least twice or half of what it was: within the tolerance nothing would be written."""
        for name in NAMES:
            self.ledger.values[name] = random.choice([v for v in (1, 2, 4, 8) if v != self.ledger.values[name]])

    def settled(self):
        return all(self.namespace.replicas(name, "replicasets") == self.ledger.values[name] for name in NAMES)

    def all_follow(self, limit_s):
        self.move()
        began = time.monotonic()
        wait_for(self.settled, limit_s, 0.05)
        return time.monotonic() - began

    def keep_moving(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.move()
            time.sleep(POLL_S / 2)

    def writes(self):
        return scale_writes(self.plane, self.mark, namespace=self.namespace.name)

    def lease_writes(self):
        """All that changed a Lease, as (moment taken, who, verb, name, body)."""
        found = [(moment(e["stageTimestamp"]), e["user"]["username"], e["verb"], e["objectRef"].get("name") or
                  e["requestObject"]["metadata"]["name"], e.get("requestObject", {}))
                 for e in self.plane.audit(self.mark, resource="leases", verb={"create", "patch", "update", "delete"}) if not refused(e)]
        return sorted(found, key=lambda x: x[0])


def held(several):
    """Who held weir-leader: [(from, user or "")]; a Lease names its holder, and who wrote that is the holder."""
    changes = [(0, "")]
    for at, user, _, name, body in several.lease_writes():
        holder = body.get("spec", {}).get("holderIdentity")
        if name == "weir-leader" and holder is not None:
            changes.append((at, user if holder else ""))
    return changes


def leader(several):
    return held(several)[-1][1]


def not_by_leader(several):
    changes, wrong = held(several), []
    for write in several.writes():
        before = [user for at, user in changes if at <= write.at]
        meanwhile = [user for at, user in changes if write.at < at <= write.done_at]
        if {before[-1], *meanwhile} != {write.user}:
            wrong.append(f"{write}; leader: {before[-1]!r}, then {meanwhile}")
    return wrong


def last_renewal(several, user):
    """When that leader last said so: its Lease runs out LEASE_S later at the latest."""
    return max(at for at, who in held(several) if who == user)


@pytest.fixture
def pair(plane, namespace, weir):
    made = Several(plane, namespace, weir, "--leader-elect")
    made.add("weir-a", "weir-b")
    wait_for(lambda: made.settled() and leader(made))
    yield made
    made.ledger.close()


def both(pair):
    first = leader(pair)
    return first, next(user for user in pair.members if user != first)


def test_one_leads(pair):
    first, _ = both(pair)
    pair.all_follow(POLL_S + 2)
    assert {w.user for w in pair.writes()} == {first} and not_by_leader(pair) == []


def test_leader_killed(pair):
    """The other one leads within two seconds of the lease's end, and scales."""
    first, second = both(pair)
    pair.members[first].kill()
    pair.move()
    wait_for(lambda: leader(pair) == second, LEASE_S + TAKEOVER_S + 2)
    taken = next(at for at, user in held(pair) if user == second)
    assert taken <= last_renewal(pair, first) + LEASE_S + TAKEOVER_S
    wait_for(pair.settled, POLL_S + 2, 0.05)
    assert not_by_leader(pair) == [] and unexplained(pair.writes(), pair.ledger) == []


def test_leader_ends(pair):
    """SIGTERM: it says so, and the other one does not wait for the lease's end."""
    first, second = both(pair)
    pair.signal(first, signal.SIGTERM)
    began = time.time()
    wait_for(lambda: leader(pair) == second, LEASE_S + TAKEOVER_S, 0.05)
    assert next(at for at, user in held(pair) if user == second) < began + RETRY_S + 1
    pair.all_follow(POLL_S + 2)
    assert not_by_leader(pair) == [] and pair.members[first].process.wait(5) == 0


def test_leader_paused(pair):
    """SIGSTOP in the middle of its work; when it goes on, what it had decided is not written any more."""
    first, second = both(pair)
    pair.move()
    time.sleep(random.uniform(0, POLL_S))
    pair.signal(first, signal.SIGSTOP)
    wait_for(lambda: leader(pair) == second, LEASE_S + TAKEOVER_S + 1)
    pair.move()
    pair.signal(first, signal.SIGCONT)
    pair.keep_moving(2)
    wait_for(pair.settled, POLL_S + 2, 0.05)
    assert not_by_leader(pair) == [] and unexplained(pair.writes(), pair.ledger) == []
    assert all(member.process.poll() is None for member in pair.members.values())


def test_lease_stolen(plane, pair):
    """Somebody else's name is written into the Lease: nobody writes until that has run out; one of them leads then."""
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/weir-leader"
    pair.move()
    plane.api.patch(path, {"spec": {"holderIdentity": "thief"}})
    stolen = time.time()
    pair.keep_moving(LEASE_S - 1)
    assert [str(w) for w in pair.writes() if w.at > stolen + RETRY_S + 0.3] == []  # it looks that often
    wait_for(lambda: leader(pair).startswith("weir-"), LEASE_S + TAKEOVER_S)
    wait_for(pair.settled, POLL_S + 2, 0.05)
    plane.api.delete(path)
    pair.all_follow(LEASE_S + TAKEOVER_S + POLL_S)
    assert all(member.process.poll() is None for member in pair.members.values())


def test_leaders_in_disorder(pair):
    """Killed, paused and started again at random while values change."""
    random.seed(6)
    for turn in range(6):
        user = leader(pair) if turn % 2 == 0 and leader(pair) else random.choice(list(pair.members))
        if random.random() < 0.4:
            pair.members[user].kill()
            pair.keep_moving(random.uniform(0.2, 2))
            pair.members[user].start()
        else:
            pair.signal(user, signal.SIGSTOP)
            pair.keep_moving(random.uniform(0.5, LEASE_S + 1))
            pair.signal(user, signal.SIGCONT)
    pair.all_follow(LEASE_S + TAKEOVER_S + POLL_S)
    assert not_by_leader(pair) == [] and unexplained(pair.writes(), pair.ledger) == []
    assert len({w.user for w in pair.writes()}) == 2


# -- shards

def fold(a, b):
    product = a * b
    return product & MASK ^ product >> 64


def hash_of(seed, data):
    """src/base/hash.c: members of different releases must agree on it."""
    odd_a, odd_b = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
    value = fold(seed ^ odd_a, odd_b ^ len(data))
    for at in range(0, len(data), 8):
        value = (fold(value ^ int.from_bytes(data[at:at + 8], "little") ^ odd_a, odd_b) + odd_a) & MASK
    return fold(value ^ odd_b, odd_a)


@functools.lru_cache(100000)
def score(namespace, name, member):
    key = hash_of(hash_of(7, namespace.encode()), name.encode())
    return hash_of(key, hash_of(7, member.encode()).to_bytes(8, "little"))


class Claims:
    """Whose each object is, as the Leases of all members change: of those whose claim has it, that of the one who came first and has
    not given it up since. Who claims it too meanwhile must wait; so there is never more than one."""

    def __init__(self, namespace):
        self.namespace, self.users, self.claimants = namespace, {}, {name: [] for name in NAMES}

    def note(self, user, verb, lease, body):
        annotations = body.get("metadata", {}).get("annotations", {})
        claim = next((value for key, value in annotations.items() if key.endswith("claims")), None)
        if verb == "delete":
            claim = ""
        if claim is None:
            return
        if verb != "delete":
            self.users[lease] = user
        members = [member for member in claim.split(",") if member]
        for name, claimants in self.claimants.items():
            has = lease in members and max(members, key=lambda m: score(self.namespace, name, m)) == lease
            if has and lease not in claimants:
                claimants.append(lease)
            elif not has and lease in claimants:
                claimants.remove(lease)

    def owner(self, name):
        return self.users[self.claimants[name][0]] if self.claimants[name] else "nobody"


def not_by_owner(several):
    """Every write must have been its owner's, from when it came until it was answered."""
    steps = [(at, 1, change) for at, *change in several.lease_writes() if change[2] != "weir-leader"]
    for write in several.writes():
        steps += [(write.at, 2, write), (write.done_at, 0, write)]
    claims, wrong, under_way = Claims(several.namespace.name), [], []
    for at, kind, what in sorted(steps, key=lambda step: step[:2]):
        if kind == 0:
            under_way.remove(what)
            continue
        if kind == 1:
            claims.note(*what)
        else:
            under_way.append(what)
        wrong += [f"{w}; at {at:.3f} owned by {claims.owner(w.name)}" for w in under_way if claims.owner(w.name) != w.user]
    return wrong


@pytest.fixture
def three(plane, namespace, weir):
    made = Several(plane, namespace, weir, "--shards", "3")
    made.add(*USERS[:3])
    wait_for(made.settled)
    yield made
    made.ledger.close()


def in_order(several):
    assert not_by_owner(several) == []
    assert unexplained(several.writes(), several.ledger) == []


def test_shares(three):
    """Each of the three has some, and stays with them."""
    time.sleep(2)
    mark = time.time()
    for _ in range(3):
        three.all_follow(POLL_S + 2)
    owners = {}
    for write in three.writes():
        if write.at > mark:
            owners.setdefault(write.name, set()).add(write.user)
    assert all(len(users) == 1 for users in owners.values()) and len(set.union(*owners.values())) == 3
    in_order(three)


def test_users_of_an_authentication(three):
    """Its status names those of all members, also when one of them ends: who writes it is who has the authentication."""
    namespace = three.namespace
    namespace.create("triggerauthentications", {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": "login"},
                                                "spec": {"env": [{"parameter": "username", "name": "NOBODY"}]}})

    def use(name, reference):
        namespace.patch("scaledobjects", name, {"spec": {"triggers": [{**trigger(three.ledger.at(name)), **reference}]}})

    def users():
        return namespace.get("triggerauthentications", "login").get("status", {}).get("scaledobjects", "").split(",")

    for name in NAMES:
        use(name, {"authenticationRef": {"name": "login"}})
    wait_for(lambda: users() == sorted(NAMES), 60)  # who has it may have become the writer just now, and looks every 30 s
    three.members["weir-a"].kill()
    use(NAMES[0], {})
    wait_for(lambda: users() == sorted(NAMES[1:]), 60)


def test_members_come_and_go(three):
    """One killed: its objects are the others' when its Lease has run out. One more: it gets its share. One ends: at once."""
    three.members["weir-a"].kill()
    three.all_follow(LEASE_S + TAKEOVER_S + POLL_S)
    three.add("weir-d")
    time.sleep(2)
    for _ in range(3):
        three.all_follow(POLL_S + 2)
    assert "weir-d" in {w.user for w in three.writes()}
    three.signal("weir-b", signal.SIGTERM)
    assert three.all_follow(POLL_S + 3) < LEASE_S + POLL_S
    in_order(three)


def test_member_paused(three):
    """Longer than its Lease lasts, in the middle of its work; what it had decided is not written when it goes on."""
    three.move()
    time.sleep(random.uniform(0, POLL_S))
    three.signal("weir-a", signal.SIGSTOP)
    three.all_follow(LEASE_S + TAKEOVER_S + POLL_S)
    three.move()
    three.signal("weir-a", signal.SIGCONT)
    three.keep_moving(3)
    wait_for(three.settled, LEASE_S + TAKEOVER_S + POLL_S, 0.05)
    in_order(three)


def test_members_in_disorder(three):
    random.seed(7)
    for _ in range(5):
        user = random.choice(list(three.members))
        if random.random() < 0.4:
            three.members[user].kill()
            three.keep_moving(random.uniform(0.2, 2))
            three.members[user].start()
        else:
            three.signal(user, signal.SIGSTOP)
            three.keep_moving(random.uniform(0.5, LEASE_S + 1))
            three.signal(user, signal.SIGCONT)
    three.all_follow(2 * LEASE_S + TAKEOVER_S + POLL_S)
    in_order(three)
    assert len({w.user for w in three.writes()}) == 3
