"""redis-cluster and redis-cluster-streams: three masters (and three replicas); keys everywhere, redirects, nodes that die."""
import pytest

from conftest import ask, failed, scaled_object, trigger, value, wait_for
from redis_server import Cluster, cluster, group  # noqa: F401
from test_redis import seen_value

PASSWORD = {"password": "pw"}


@pytest.fixture(scope="module")
def replicated(place):
    yield from group(Cluster, place, None, 1)


@pytest.fixture(scope="module")
def secure(place, pki):
    yield from group(Cluster, place, pki)


def lists(cluster, name, **more):
    return {"addresses": cluster.addresses, "listName": name, "listLength": 2, **more}


def key_of(cluster, node):
    return next(key for key in (f"key-{number}" for number in range(1000)) if cluster.owner(key) is node)


def test_a_key_on_each_master(cluster):
    for node in cluster.nodes:
        key = key_of(cluster, node)
        cluster.cli("RPUSH", key, "a", "b", "c")
        for address in [one.address for one in cluster.nodes]:
            assert value("redis-cluster", lists(cluster, key, addresses=address), PASSWORD) == 3


@pytest.mark.parametrize("threshold, active", [(2, True), (3, False), (4, False)])
def test_activation_is_strict(cluster, threshold, active):
    cluster.cli("DEL", "{a}jobs")
    cluster.cli("ZADD", "{a}jobs", 1, "a", 2, "b", 3, "c")
    seen = ask("redis-cluster", lists(cluster, "{a}jobs", activationListLength=threshold), PASSWORD)
    assert (seen["value"], seen["active"]) == (3, active)


def test_streams(cluster):
    for number in range(4):
        stream = f"orders-{number}"
        cluster.cli("XGROUP", "CREATE", stream, "workers", 0, "MKSTREAM")
        cluster.cli("XADD", stream, "*", "a", 1)
        cluster.cli("XADD", stream, "*", "a", 1)
        cluster.cli("XREADGROUP", "GROUP", "workers", "w1", "COUNT", 1, "STREAMS", stream, ">")
        asked = {"addresses": cluster.addresses, "stream": stream}
        assert value("redis-cluster-streams", asked, PASSWORD) == 2
        assert value("redis-cluster-streams", {**asked, "consumerGroup": "workers"}, PASSWORD) == 1
        assert value("redis-cluster-streams", {**asked, "consumerGroup": "workers", "lagCount": 5}, PASSWORD) == 1
        assert "NOGROUP" in failed("redis-cluster-streams", {**asked, "consumerGroup": "others"}, PASSWORD)
    assert value("redis-cluster-streams", {"addresses": cluster.addresses, "stream": "none"}, PASSWORD) == 0


def test_who_may_not(cluster):
    assert "WRONGPASS" in failed("redis-cluster", lists(cluster, "jobs"), {"password": "other"})
    assert "NOAUTH" in failed("redis-cluster", lists(cluster, "jobs"))


def test_dead_seeds(cluster):
    cluster.cli("RPUSH", "seeds", "a")
    assert value("redis-cluster", lists(cluster, "seeds", addresses=f"127.0.0.1:1,{cluster.addresses}"), PASSWORD) == 1
    assert "refused" in failed("redis-cluster", lists(cluster, "seeds", addresses="127.0.0.1:1,127.0.0.1:2"), PASSWORD)


def test_a_slot_that_moves(cluster):
    """ASK while a slot is on its way, MOVED when it has arrived."""
    key = "moving"
    cluster.cli("RPUSH", key, "a", "b")
    slot, old = cluster.nodes[0].cli("CLUSTER", "KEYSLOT", key), cluster.owner(key)
    new = next(node for node in cluster.nodes if node is not old)
    ids = {node: node.cli("CLUSTER", "MYID") for node in cluster.nodes}
    new.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[old])
    old.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[new])
    assert value("redis-cluster", lists(cluster, key), PASSWORD) == 2
    old.cli("MIGRATE", "127.0.0.1", new.port, "", 0, 5000, "AUTH", "pw", "KEYS", key)
    assert value("redis-cluster", lists(cluster, key, addresses=old.address), PASSWORD) == 2
    for node in cluster.nodes:
        node.cli("CLUSTER", "SETSLOT", slot, "NODE", ids[new])
    assert value("redis-cluster", lists(cluster, key, addresses=old.address), PASSWORD) == 2


def test_tls(secure, pki):
    for node in secure.nodes:
        key = key_of(secure, node)
        secure.cli("RPUSH", key, "a")
        asked = lists(secure, key, enableTLS=True)
        assert value("redis-cluster", asked, {**PASSWORD, "ca": pki.text("ca.crt")}) == 1
        assert "certificate" in failed("redis-cluster", asked, {**PASSWORD, "ca": pki.text("wrong-ca.crt")})


def test_failover_and_death(replicated, weir):
    replicated.cli("RPUSH", "jobs", *"abc")
    running = weir(scaled_object(trigger("redis-cluster", lists(replicated, "jobs"), PASSWORD), pollingInterval=1))
    wait_for(lambda: seen_value(running) == (3, "ok"), 20)
    owner = replicated.owner("jobs")
    me = owner.cli("CLUSTER", "MYID")
    replica = next(node for node in replicated.nodes if f"slave {me}" in "".join(
        line for line in node.cli("CLUSTER", "NODES").splitlines() if "myself" in line))
    wait_for(lambda: "master_link_status:up" in replica.cli("INFO", "replication"), 30)
    replica.cli("CLUSTER", "FAILOVER")
    wait_for(lambda: "role:master" in replica.cli("INFO", "replication"), 30)
    replicated.cli("RPUSH", "jobs", "d")
    wait_for(lambda: seen_value(running) == (4, "ok"), 20)
    # the new owner dies: its replica takes over by itself
    wait_for(lambda: "master_link_status:up" in owner.cli("INFO", "replication"), 30)
    replica.kill()
    wait_for(lambda: "role:master" in owner.cli("INFO", "replication"), 60)
    owner.cli("RPUSH", "jobs", "e")
    wait_for(lambda: seen_value(running) == (5, "ok"), 30)
