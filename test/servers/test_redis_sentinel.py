"""redis-sentinel and redis-sentinel-streams: a master, a replica and two sentinels; failovers, dead sentinels, both sides' passwords."""
import pytest

from conftest import ask, failed, scaled_object, trigger, value, wait_for
from redis_server import sentinel  # noqa: F401
from test_redis import seen_value

BOTH = {"password": "pw", "sentinelPassword": "spw"}


@pytest.fixture(autouse=True)
def empty(sentinel):
    for server in [*sentinel.redis, *sentinel.servers]:
        if not server.pid:
            server.start()
    sentinel.master().cli("FLUSHALL")


def jobs(sentinel, **more):
    return {"addresses": sentinel.addresses, "sentinelMaster": "mymaster", "listName": "jobs", "listLength": 2, **more}


def test_value_and_activation(sentinel):
    sentinel.master().cli("RPUSH", "jobs", "a", "b", "c")
    for threshold, active in (2, True), (3, False), (4, False):
        seen = ask("redis-sentinel", jobs(sentinel, activationListLength=threshold), BOTH)
        assert (seen["state"], seen["value"], seen["active"], seen["target"]) == ("ok", 3, active, 2)


def test_a_key_that_is_not_there(sentinel):
    assert value("redis-sentinel", jobs(sentinel), BOTH) == 0


def test_streams(sentinel):
    master = sentinel.master()
    master.cli("XGROUP", "CREATE", "orders", "workers", 0, "MKSTREAM")
    for _ in range(3):
        master.cli("XADD", "orders", "*", "a", 1)
    master.cli("XREADGROUP", "GROUP", "workers", "w1", "COUNT", 1, "STREAMS", "orders", ">")
    orders = {"addresses": sentinel.addresses, "sentinelMaster": "mymaster", "stream": "orders"}
    assert value("redis-sentinel-streams", orders, BOTH) == 3
    assert value("redis-sentinel-streams", {**orders, "consumerGroup": "workers"}, BOTH) == 1
    assert value("redis-sentinel-streams", {**orders, "consumerGroup": "workers", "lagCount": 5}, BOTH) == 2
    assert "NOGROUP" in failed("redis-sentinel-streams", {**orders, "consumerGroup": "others"}, BOTH)


def test_who_may_not(sentinel):
    assert "Sentinel refuses us: WRONGPASS" in failed("redis-sentinel", jobs(sentinel), {**BOTH, "sentinelPassword": "other"})
    assert "Sentinel says: NOAUTH" in failed("redis-sentinel", jobs(sentinel), {"password": "pw"})
    assert "Redis refuses us: WRONGPASS" in failed("redis-sentinel", jobs(sentinel), {**BOTH, "password": "other"})
    assert "Redis refuses us: NOAUTH" in failed("redis-sentinel", jobs(sentinel), {"sentinelPassword": "spw"})


def test_a_name_nobody_knows(sentinel):
    assert 'knows no master named "other"' in failed("redis-sentinel", jobs(sentinel, sentinelMaster="other"), BOTH)


def test_dead_sentinels(sentinel):
    sentinel.master().cli("RPUSH", "jobs", "a")
    sentinel.servers[0].stop()
    assert value("redis-sentinel", jobs(sentinel), BOTH) == 1
    sentinel.servers[0].start()
    sentinel.servers[0].pause()
    assert value("redis-sentinel", jobs(sentinel), BOTH) == 1
    sentinel.servers[0].resume()
    assert "refused" in failed("redis-sentinel", jobs(sentinel, addresses="127.0.0.1:1,127.0.0.1:2"), BOTH)


def test_failover(sentinel, weir):
    sentinel.master().cli("RPUSH", "jobs", *"abcd")
    running = weir(scaled_object(trigger("redis-sentinel", jobs(sentinel), BOTH), pollingInterval=1))
    wait_for(lambda: seen_value(running) == (4, "ok"), 20)
    sentinel.failover()
    sentinel.master().cli("RPUSH", "jobs", *"ef")
    wait_for(lambda: seen_value(running) == (6, "ok"), 20)
    # the master dies, and the sentinels name the other one
    gone = sentinel.master()
    wait_for(lambda: "connected_slaves:1" in gone.cli("INFO", "replication"), 30)
    wait_for(lambda: "master_link_status:up" in next(one for one in sentinel.redis if one is not gone).cli("INFO", "replication"), 30)
    gone.kill()
    wait_for(lambda: seen_value(running)[1] == "failed", 20)
    wait_for(lambda: seen_value(running) == (6, "ok"), 40)
