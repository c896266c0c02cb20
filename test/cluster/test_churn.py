"""Many objects come, change and go at once; names come again at once; namespaces go with all that is in them. What is decided is what
the newest object says, and nothing of the old ones stays (failure-modes K7, K8, O1)."""
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from api import path_of
from namespace import Namespace
from support.waiting import wait_for
from witness import Ledger, descriptors, follower, memory_kib, replica_set, scale_writes, trigger

MANY, AGAIN = 1000, 300
NAMESPACES, EACH = 5, 100
GROWN_KIB = 6 * 1024  # what the second time may take on top of the first: arenas and buffers of another shape


def target(name):
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name}


@pytest.fixture
def ledger():
    made = Ledger()
    yield made
    made.close()


def all_of(work, items):
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(work, items))


def states(namespace):
    """Ready of all that are there; None: not said yet."""
    shown = []
    for item in namespace.list("scaledobjects"):
        conditions = {c["type"]: c["status"] for c in item.get("status", {}).get("conditions", [])}
        shown.append(conditions.get("Ready"))
    return shown


def known(w, *namespaces):
    """How many objects of these namespaces Weir has."""
    return sum(json.loads(w.get(f"/api/v1/objects?namespace={namespace.name}&limit=1"))["matched"] for namespace in namespaces)


def test_a_thousand_at_once(plane, namespace, weir, ledger):
    """Created, edited, deleted, and again with the same names: Ready in seconds, each edit counts, memory and descriptors as
    they were."""
    ledger.values["all"] = 0
    all_of(lambda i: namespace.create("replicasets", replica_set(f"app-{i}")), range(MANY))
    w = weir()
    used = []
    for turn, count in enumerate((MANY, AGAIN)):
        names = [f"app-{i}" for i in range(count)]
        manifests = [follower(name, ledger, 30, target(name), minReplicaCount=0, cooldownPeriod=0, triggers=[trigger(ledger.at("all"))])
                     for name in names]
        began = time.monotonic()
        all_of(lambda body: namespace.create("scaledobjects", body), manifests)
        created_s = time.monotonic() - began
        wait_for(lambda: states(namespace) == ["True"] * count, 90, 1)
        ready_s = time.monotonic() - began
        # Every tenth is edited to want one more; all others change in what makes no difference.
        mark = plane.audit_mark()
        edits = [({"spec": {"minReplicaCount": 1}} if i % 10 == 0 else {"spec": {"maxReplicaCount": 90 + turn}}) for i in range(count)]
        all_of(lambda pair: namespace.patch("scaledobjects", *pair), zip(names, edits))
        wait_for(lambda: len(scale_writes(plane, mark, namespace=namespace.name)) >= count // 10, 90, 1)
        writes = scale_writes(plane, mark, namespace=namespace.name)
        assert sorted((x.name, x.before, x.replicas) for x in writes) == sorted((name, 0, 1) for name in names[::10])
        assert known(w, namespace) == count
        began = time.monotonic()
        all_of(lambda name: namespace.delete("scaledobjects", name), names)
        wait_for(lambda: not namespace.list("scaledobjects") and known(w, namespace) == 0, 60, 0.2)
        print(f"created in {created_s:.1f} s, ready after {ready_s:.1f} s, gone after {time.monotonic() - began:.1f} s")
        all_of(lambda name: namespace.scale(name, 0, "replicasets"), names[::10])
        assert 'object="' not in "".join(line for line in w.get("/metrics").splitlines() if namespace.name in line)
        time.sleep(2)
        used.append((memory_kib(w.process.pid), descriptors(w.process.pid)))
    print(f"KiB and descriptors after each turn: {used}")
    assert used[1][0] < used[0][0] + GROWN_KIB and used[1][1] <= used[0][1] + 10


def test_the_same_name_again_and_again(plane, namespace, weir, ledger):
    """Deleted and created within a moment, each time with another target, trigger and bounds: what counts is the last."""
    for name in ("one", "two"):
        namespace.create("replicasets", replica_set(name, 1))
    for i in range(40):
        ledger.values[f"value-{i}"] = i + 100
    w = weir()
    for i in range(40):
        if i > 0:
            namespace.delete("scaledobjects", "app")
        namespace.create("scaledobjects", follower("app", ledger, target=target(("one", "two")[i % 2]), maxReplicaCount=20 + i // 2,
                                                   triggers=[trigger(ledger.at(f"value-{i}"))]))
        time.sleep(0.01 * (i % 8))
    last = time.time()
    wait_for(lambda: namespace.replicas("two", "replicasets") == 39)
    one = namespace.replicas("one", "replicasets")
    time.sleep(3)
    assert (namespace.replicas("one", "replicasets"), namespace.replicas("two", "replicasets")) == (one, 39)
    late = [str(x) for x in scale_writes(plane, 0, namespace=namespace.name) if x.at > last + 3 and (x.name, x.replicas) != ("two", 39)]
    assert late == [] and known(w, namespace) == 1


def furnished(plane, ledger, word):
    made = [Namespace(plane, f"{word}-{i}") for i in range(NAMESPACES)]

    def fill(namespace):
        for i in range(EACH):
            name = f"app-{i}"
            namespace.create("scaledobjects", follower(name, ledger, 30, target(name), triggers=[trigger(ledger.at("all"))]))
    with ThreadPoolExecutor(NAMESPACES) as pool:
        list(pool.map(fill, made))
    return made


def there(plane, namespaces):
    names = {n.name for n in namespaces}
    return [n["metadata"]["name"] for n in plane.api.get(path_of("namespaces"))["items"] if n["metadata"]["name"] in names]


@pytest.mark.parametrize("is_up", [True, False], ids=["weir is up", "weir is down"])
def test_namespaces_are_deleted(plane, weir, ledger, is_up):
    """Five hundred objects that Weir has taken up: no finalizer of ours holds them, whether Weir runs or not."""
    ledger.values["all"] = 0
    namespaces = furnished(plane, ledger, "ends-up" if is_up else "ends-down")
    w = weir()
    wait_for(lambda: all(None not in states(n) for n in namespaces), 30, 0.5)
    if not is_up:
        w.kill()
    began = time.monotonic()
    for namespace in namespaces:
        namespace.gone()
    wait_for(lambda: not there(plane, namespaces), 40, 0.2)
    print(f"gone after {time.monotonic() - began:.1f} s")
    if is_up:
        wait_for(lambda: known(w, *namespaces) == 0, 10)


def test_touched_all_the_time(plane, namespace, weir, ledger):
    """Objects that are edited all the time, by somebody who changes nothing that counts: flat, and no request for it."""
    names = [f"app-{i}" for i in range(50)]
    for name in names:
        ledger.values[name] = 2
        namespace.create("replicasets", replica_set(name, 2))
        namespace.create("scaledobjects", follower(name, ledger, 30, target(name)))
    w = weir()
    wait_for(lambda: states(namespace) == ["True"] * len(names), 20)
    time.sleep(2)

    def touch(turn):
        all_of(lambda name: namespace.annotate("scaledobjects", name, **{"example.com/touched": str(turn)}), names)

    touch("first")
    time.sleep(1)
    before, mark = (memory_kib(w.process.pid), descriptors(w.process.pid)), plane.audit_mark()
    for turn in range(10):
        touch(turn)
    time.sleep(1)
    assert [e["requestURI"] for e in plane.audit(mark, user="weir-a") if e["verb"] != "watch"] == []
    assert memory_kib(w.process.pid) < before[0] + 1024 and descriptors(w.process.pid) <= before[1] + 10  # connections to the source
