"""redis and redis-streams on a real Redis: each kind of key, logins, TLS, what is not there, a server that goes and comes."""
import time

import pytest

from conftest import ask, failed, probe, scaled_object, trigger, value, wait_for
from redis_server import redis  # noqa: F401

PASSWORD = {"password": "pw"}


@pytest.fixture(autouse=True)
def empty(redis):
    if not redis.pid:
        redis.start()
    redis.cli("FLUSHALL")


def jobs(redis, **more):
    return {"address": redis.address, "listName": "jobs", "listLength": 2, **more}


def orders(redis, **more):
    return {"address": redis.address, "stream": "orders", **more}


# ---- values

@pytest.mark.parametrize("command, expected", [
    (("RPUSH", "jobs", "a", "b", "c"), 3), (("SADD", "jobs", "a", "b"), 2), (("ZADD", "jobs", 1, "a"), 1),
    (("HSET", "jobs", "a", 1, "b", 2), 2), (("PING",), 0)])
def test_each_kind_of_key(redis, command, expected):
    redis.cli(*command)
    assert value("redis", jobs(redis), PASSWORD) == expected


@pytest.mark.parametrize("threshold, active", [(2, True), (3, False), (4, False)])
def test_activation_is_strict(redis, threshold, active):
    redis.cli("RPUSH", "jobs", "a", "b", "c")
    seen = ask("redis", jobs(redis, activationListLength=threshold), PASSWORD)
    assert (seen["value"], seen["active"], seen["target"]) == (3, active, 2)


@pytest.mark.parametrize("command", [("SET", "jobs", "7"), ("XADD", "jobs", "*", "a", "1")])
def test_what_cannot_be_counted(redis, command):
    redis.cli(*command)
    assert "can be counted" in failed("redis", jobs(redis), PASSWORD)


def test_another_database(redis):
    redis.cli("-n", 3, "RPUSH", "jobs", "a")
    assert value("redis", jobs(redis, databaseIndex=3), PASSWORD) == 1
    assert value("redis", jobs(redis), PASSWORD) == 0
    assert "out of range" in failed("redis", jobs(redis, databaseIndex=99), PASSWORD)


def test_hosts_and_ports_from_the_environment(redis):
    redis.cli("RPUSH", "jobs", "a")
    answer = scaled_object(trigger("redis", {"hostFromEnv": "HOST", "portFromEnv": "PORT", "passwordFromEnv": "PW", "listName": "jobs"}),
                           env={"HOST": "127.0.0.1", "PORT": redis.port, "PW": "pw"})
    assert probe(answer)["objects"][0]["triggers"][0]["value"] == 1


# ---- streams

def test_length_of_a_stream(redis):
    assert value("redis-streams", orders(redis), PASSWORD) == 0
    for _ in range(4):
        redis.cli("XADD", "orders", "*", "a", 1)
    seen = ask("redis-streams", orders(redis, streamLength=2, activationLagCount=4), PASSWORD)
    assert (seen["value"], seen["target"], seen["active"]) == (4, 2, False)


def test_pending_and_lag(redis):
    redis.cli("XGROUP", "CREATE", "orders", "workers", 0, "MKSTREAM")
    for _ in range(5):
        redis.cli("XADD", "orders", "*", "a", 1)
    redis.cli("XREADGROUP", "GROUP", "workers", "w1", "COUNT", 2, "STREAMS", "orders", ">")
    assert value("redis-streams", orders(redis, consumerGroup="workers"), PASSWORD) == 2
    assert value("redis-streams", orders(redis, consumerGroup="workers", lagCount=5), PASSWORD) == 3
    assert value("redis-streams", orders(redis, consumerGroup="others", lagCount=5), PASSWORD) == 5  # what a new group had to read
    assert "NOGROUP" in failed("redis-streams", orders(redis, consumerGroup="others"), PASSWORD)
    assert "NOGROUP" in failed("redis-streams", orders(redis, stream="none", consumerGroup="workers"), PASSWORD)
    assert value("redis-streams", orders(redis, stream="none", consumerGroup="workers", lagCount=5), PASSWORD) == 0


def test_a_lag_that_redis_cannot_tell(redis):
    redis.cli("XGROUP", "CREATE", "orders", "workers", 0, "MKSTREAM")
    ids = [redis.cli("XADD", "orders", "*", "a", 1) for _ in range(5)]
    redis.cli("XREADGROUP", "GROUP", "workers", "w1", "COUNT", 1, "STREAMS", "orders", ">")
    redis.cli("XDEL", "orders", ids[3])
    seen = ask("redis-streams", orders(redis, consumerGroup="workers", lagCount=5), PASSWORD)
    assert seen["state"] == "missing" and "entries were deleted" in (seen.get("error") or seen.get("note"))


def test_no_stream_but_a_list(redis):
    redis.cli("RPUSH", "orders", "a")
    assert "WRONGTYPE" in failed("redis-streams", orders(redis), PASSWORD)


# ---- logins

@pytest.mark.parametrize("auth, words", [
    ({"password": "other"}, "WRONGPASS"), ({}, "NOAUTH"), ({"username": "bob", "password": "pw"}, "WRONGPASS"),
    ({"username": "nobody", "password": "pw"}, "WRONGPASS")])
def test_who_may_not(redis, auth, words):
    said = failed("redis", jobs(redis), auth)
    assert words in said and "other" not in said.replace("another", "")


def test_a_user_who_may_read(redis):
    redis.cli("RPUSH", "jobs", "a")
    bob = {"username": "bob", "password": "bobpw"}
    assert value("redis", jobs(redis), bob) == 1
    assert "NOPERM" in failed("redis-streams", {"address": redis.address, "stream": "s", "consumerGroup": "g", "lagCount": 5}, bob)


# ---- TLS

def test_tls(redis, pki):
    redis.cli("RPUSH", "jobs", "a", "b")
    secure = jobs(redis, address=redis.tls, enableTLS=True)
    assert value("redis", secure, {**PASSWORD, **pki.client()}) == 2
    assert value("redis", secure, {**PASSWORD, "ca": pki.text("ca.crt")}) == 2
    assert value("redis", {**secure, "unsafeSsl": True}, PASSWORD) == 2
    assert "certificate" in failed("redis", secure, {**PASSWORD, "ca": pki.text("wrong-ca.crt")})
    assert "certificate" in failed("redis", secure, PASSWORD)
    assert "TLS" in failed("redis", jobs(redis, enableTLS=True), {**PASSWORD, "ca": pki.text("ca.crt")})
    del secure["enableTLS"]
    assert redis.tls in failed("redis", secure, PASSWORD)  # it ends the connection


# ---- servers that go and come, in a Weir that runs

def quick(redis, auth=None, **more):
    return scaled_object(trigger("redis", jobs(redis, **more), auth or PASSWORD, name="jobs"), pollingInterval=1, cooldownPeriod=1)


def seen_value(running, name="app"):
    triggers = (running.object(name) or {}).get("triggers") or [{}]
    return triggers[0].get("value"), triggers[0].get("state")


def test_server_stops_and_comes_back(redis, weir):
    redis.cli("RPUSH", "jobs", *"abcd")
    running = weir(quick(redis))
    wait_for(lambda: seen_value(running) == (4, "ok"), 20)
    redis.stop()
    wait_for(lambda: seen_value(running)[1] == "failed", 20)
    redis.start()
    redis.cli("RPUSH", "jobs", *"abcdef")
    wait_for(lambda: seen_value(running) == (6, "ok"), 20)


def test_server_is_stuck_and_comes_back(redis, weir):
    redis.cli("RPUSH", "jobs", *"abcd")
    running = weir(quick(redis))
    wait_for(lambda: seen_value(running) == (4, "ok"), 20)
    redis.pause()
    try:
        wait_for(lambda: seen_value(running)[1] == "failed", 20)
    finally:
        redis.resume()
    wait_for(lambda: seen_value(running) == (4, "ok"), 20)


def test_password_is_rotated(redis, weir):
    redis.cli("RPUSH", "jobs", *"abc")
    running = weir(quick(redis))
    try:
        wait_for(lambda: seen_value(running) == (3, "ok"), 20)
        redis.rotate("new")
        wait_for(lambda: seen_value(running)[1] == "failed", 20)
        (running.arguments[0] / "app.yaml").write_text(quick(redis, {"password": "new"}))
        wait_for(lambda: seen_value(running) == (3, "ok"), 20)
    finally:
        redis.rotate("pw")


def test_connections_are_kept(redis, weir):
    """Forty objects with as many lists, asked each second: four connections, however long it takes."""
    objects = []
    for number in range(40):
        redis.cli("RPUSH", f"list-{number}", *"ab")
        objects.append(scaled_object(trigger("redis", jobs(redis, listName=f"list-{number}"), PASSWORD), name=f"app-{number}",
                                     pollingInterval=1))
    before = redis.connections()
    running = weir("".join(objects))
    wait_for(lambda: all(seen_value(running, f"app-{number}") == (2, "ok") for number in range(40)), 20, 0.5)
    time.sleep(3)
    asked = redis.connections() - before
    assert 1 <= asked <= 4 + 1, f"{asked} connections"  # the one that counts them
