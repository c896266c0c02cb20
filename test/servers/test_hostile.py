"""Sources that hang, trickle, flood and lie, over HTTP, on a byte stream and through a client library: an error with the reason,
bounded memory, and nobody else is harmed. A thousand objects on one server that restarts: no storm, flat descriptors."""
import gzip
import json
import struct
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from conftest import probe, scaled_object, trigger, wait_for
from hostile_server import Hostile, always, closes, deaf, floods, hang, resets, says, trickles
from postgresql_server import postgresql  # noqa: F401
from redis_server import redis  # noqa: F401
from support.source import Source
from test_redis import seen_value

MEGABYTE = 1 << 20


def answer(body, *headers, length=None):
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def message(letter, body, length=None):
    """Of PostgreSQL's server."""
    return letter + struct.pack("!I", (len(body) if length is None else length) + 4) + body


BOMB = gzip.compress(b'{"v":"' + b"0" * (256 * MEGABYTE) + b'"}', 1)
HTTP = {  # what the server does, part of the reason
    "hang": (hang, "did not answer|time"), "deaf": (deaf, "did not answer|time"), "closes": (closes, "closed|empty|broke|ended"),
    "resets": (resets, "reset|broke|closed"),
    "trickle": (trickles(answer(b"", "Content-Type: application/json", length=100000), b" "), "did not answer|time"),
    "trickled-head": (trickles(b"HTTP/1.1 200 OK\r\nX-A: ", b"a"), "did not answer|time"),
    "ten-megabytes": (floods(answer(b"", length=10 * MEGABYTE), 10 * MEGABYTE), "HTTP_BODY_MAX_BYTES"),
    "no-end": (floods(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 1 << 40), "HTTP_BODY_MAX_BYTES"),
    "no-end-of-heads": (floods(b"HTTP/1.1 200 OK\r\n", 1 << 40, b"X-A: a\r\n" * 8192), "HTTP_HEADERS_MAX_BYTES|header"),
    "bomb": (says(answer(BOMB, "Content-Encoding: gzip")), "HTTP_BODY_MAX_BYTES"),
    "half": (says(answer(b'{"v":', length=100), end=True), "closed|end|incomplete|broke"),
    "truncated": (says(answer(b'{"v":')), "JSON"), "html": (says(answer(b"<html>sign in</html>", "Content-Type: text/html")), "JSON"),
    "empty": (says(answer(b"")), "JSON"), "bad-utf-8": (says(answer(b'{"v":"\xff\xfe"}')), "JSON|UTF-8|quantity"),
    "not-http": (says(b"-ERR what?\r\n", end=True), "HTTP"), "zero-bytes": (says(answer(b"\0" * 1000)), "JSON"),
    "deep": (says(answer(b"[" * 100000)), "JSON|deep|nest"), "huge-number": (says(answer(b'{"v":1e999}')), "JSON|number|infinite"),
}
REDIS = {
    "hang": (hang, "did not answer"), "deaf": (deaf, "did not answer"), "closes": (closes, "closed|broke"), "resets": (resets, "reset|broke"),
    "trickle": (trickles(b"$100000\r\n", b"a"), "did not answer"),
    "ten-megabytes": (floods(b"$1000000\r\n", 10 * MEGABYTE), "STREAM_REPLY_MAX_BYTES|should"),
    "long-line": (floods(b"+", 1 << 40), "STREAM_REPLY_MAX_BYTES"), "giant": (says(b"$9999999999\r\n"), "STREAM_REPLY_MAX_BYTES"),
    "many": (floods(b"*1000000000\r\n", 1 << 40, b":1\r\n" * 16384), "STREAM_REPLY_MAX_BYTES"),
    "deep": (says(b"*1\r\n" * 1000), "nested too deep"), "http": (says(answer(b"{}")), "not a Redis answer"),
    "bad-utf-8": (says(b"-ERR \xff\xfe\x1b[31m no\r\n"), "Redis says"), "number": (says(b":x\r\n"), "number"),
    "wrong": (says(b":1\r\n"), "something else"), "tls": (says(b"\x15\x03\x01\x00\x02\x02\x28"), "not a Redis answer"),
    "zero-bytes": (says(b"\0\0\0\0"), "not a Redis answer"),
}
LOGIN = message(b"R", struct.pack("!I", 0)) + message(b"Z", b"I")
POSTGRESQL = {
    "hang": (hang, "timeout|did not answer"), "deaf": (deaf, "timeout|did not answer"), "closes": (closes, "closed"), "resets": (resets, "reset|closed"),
    "trickle": (trickles(message(b"E", b"", 20000), b"S"), "timeout|did not answer|invalid"),
    "flood": (floods(message(b"E", b"", 20000), 1 << 34), "PostgreSQL cannot be reached"),
    "flood-when-asked": (floods(LOGIN, 1 << 34, message(b"D", struct.pack("!HI", 1, 100) + b"1" * 100) * 500), "STREAM_REPLY_MAX_BYTES|PostgreSQL"),
    "http": (says(answer(b"{}")), "PostgreSQL cannot be reached"), "unknown-login": (says(message(b"R", struct.pack("!I", 99))), "not supported"),
    "hangs-when-asked": (says(LOGIN), "did not answer|timeout"), "closes-when-asked": (says(LOGIN, end=True), "PostgreSQL"),
    "bad-utf-8": (says(message(b"E", b"SFATAL\0C28P01\0M\xff\xfe\x1b[31m no\0\0"), end=True), "PostgreSQL cannot be reached"),
}


def hostile_trigger(kind, port):
    if kind == "http":
        return trigger("metrics-api", {"url": f"http://127.0.0.1:{port}/value", "valueLocation": "v", "targetValue": 5})
    if kind == "redis":
        return trigger("redis", {"address": f"127.0.0.1:{port}", "listName": "jobs"}, {"password": "secret-word"})
    return trigger("postgresql", {"host": "127.0.0.1", "port": port, "userName": "u", "dbName": "d", "sslmode": "disable", "query": "SELECT 1",
                                  "targetQueryValue": 5}, {"password": "secret-word"})


CASES = [(kind, name, *case) for kind, table in (("http", HTTP), ("redis", REDIS), ("postgresql", POSTGRESQL)) for name, case in table.items()]


def memory(pid):
    return next(int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")) << 10


def descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


# ---- each does its worst

@pytest.fixture(scope="module")
def said():
    """All of them asked at once, by one probe: {(kind, name): what it says}."""
    with ExitStack() as stack:
        servers = {(kind, name): stack.enter_context(Hostile(act)) for kind, name, act, _ in CASES}
        text = "".join(scaled_object(hostile_trigger(kind, server.port), name=f"{kind}-{name}") for (kind, name), server in servers.items())
        began = time.monotonic()
        objects = probe(text)["objects"]
        assert time.monotonic() - began < 30
    return {one["object"].split("/")[-1]: one["triggers"][0] for one in objects}


@pytest.mark.parametrize("kind, name, act, words", CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_it_is_a_failure_with_a_reason(said, kind, name, act, words):
    seen = said[f"{kind}-{name}"]
    assert seen["state"] == "failed", seen
    assert any(word.lower() in seen["error"].lower() for word in words.split("|")), seen["error"]
    assert "secret-word" not in seen["error"] and seen["error"].isprintable(), seen["error"]


def test_others_are_unharmed(weir):
    """Every kind of harm at once, and again and again; an object beside them keeps its pace, and nothing grows."""
    source = Source()
    source.value = 3
    good = scaled_object(trigger("metrics-api", {"url": source.url, "valueLocation": "value", "targetValue": 5}),
                         name="good", pollingInterval=1)
    with ExitStack() as stack:
        text = "".join(scaled_object(hostile_trigger(kind, stack.enter_context(Hostile(act)).port), name=f"{kind}-{name}", pollingInterval=1)
                       for kind, name, act, _ in CASES)
        running = weir(good + text)
        pid = running.process.pid
        wait_for(lambda: all(seen_value(running, f"{kind}-{name}")[1] == "failed" for kind, name, _, _ in CASES), 60, 0.5)
        settled, most, longest = memory(pid), 0, 0
        end = time.monotonic() + 15
        while time.monotonic() < end:
            source.value += 1
            changed = time.monotonic()
            wait_for(lambda: seen_value(running, "good") == (source.value, "ok"), 10, 0.05)
            longest = max(longest, time.monotonic() - changed)
            most = max(most, descriptors(pid))
        assert longest < 3, longest
        assert most < 4 * len(CASES) + 60, most
        assert memory(pid) - settled < 48 * MEGABYTE, (settled, memory(pid))


# ---- a thousand objects on one server that restarts

COUNT = 1000


def thousand(make):
    """On one Deployment, whose replicas are nobody's business here."""
    parts = scaled_object(make(0), name="app-0", pollingInterval=5).split("---\n")
    parts = [part for part in parts if '"ScaledObject"' not in part]
    for number in range(COUNT):
        one = next(part for part in scaled_object(make(number), name="app-0", pollingInterval=5).split("---\n") if '"ScaledObject"' in part)
        manifest = json.loads(one)
        manifest["metadata"] = {"name": f"app-{number}", "annotations": {"weir.dev/mode": "observe"}}
        parts.append(json.dumps(manifest) + "\n")
    return "---\n".join(parts)


def all_are(running, state, value=None):
    counts = {}
    for number in range(0, COUNT, 37):
        seen = seen_value(running, f"app-{number}")
        counts[seen[1]] = counts.get(seen[1], 0) + 1
        if seen[1] != state or (value is not None and seen[0] != value):
            return False
    return True


def restart(weir, text, stop, start, value):
    """The most descriptors there were while it was away, and when it had come back; those before."""
    running = weir(text)
    pid = running.process.pid
    wait_for(lambda: all_are(running, "ok", value), 60, 0.5)
    before = descriptors(pid)
    stop()
    wait_for(lambda: all_are(running, "failed"), 60, 0.5)
    away = 0
    for _ in range(30):
        away = max(away, descriptors(pid))
        time.sleep(0.2)
    start()
    wait_for(lambda: all_are(running, "ok", value), 60, 0.5)
    time.sleep(6)
    return before, away, descriptors(pid)


def test_redis_restarts(redis, weir):
    if not redis.pid:
        redis.start()
    text = thousand(lambda number: trigger("redis", {"address": redis.address, "listName": f"list-{number}"}, {"password": "pw"}))
    before, away, after = restart(weir, text, redis.stop, redis.start, 0)
    assert away <= before and after <= before + 4, (before, away, after)
    assert redis.connections() < 60  # since it is back; redis-cli's of this test are in it


def test_postgresql_restarts(postgresql, weir):
    if not postgresql.pid:
        postgresql.start()
    text = thousand(lambda number: trigger("postgresql", postgresql.parts(query=f"SELECT 7 + 0 * {number}", targetQueryValue=5), {"password": "apppw"}))
    before, away, after = restart(weir, text, postgresql.stop, postgresql.start, 7)
    assert away <= before + 2 and after <= before + 4, (before, away, after)
    assert postgresql.connections("app") <= 2


@pytest.mark.parametrize("act", [closes, resets, hang], ids=["closes", "resets", "hangs"])
def test_no_storm(weir, act):
    """Nobody is served, a thousand ask every five seconds: so often is somebody at the door."""
    with Hostile(act) as server:
        running = weir(thousand(lambda number: trigger("redis", {"address": f"127.0.0.1:{server.port}", "listName": f"list-{number}"})))
        wait_for(lambda: all_are(running, "failed"), 60, 0.5)
        before, highest = server.accepted, 0
        for _ in range(50):
            highest = max(highest, server.open)
            time.sleep(0.2)
        assert server.accepted - before <= 20, f"{server.accepted - before} connections in ten seconds"
        assert highest <= 4


def test_an_http_source_restarts(weir):
    """Connections are bounded and flat, away and back."""
    made = [Hostile(always(answer(b'{"v":3}')))]
    made[0].__enter__()
    port = made[0].port
    text = thousand(lambda number: trigger("metrics-api", {"url": f"http://127.0.0.1:{port}/value?{number}", "valueLocation": "v",
                                                           "targetValue": 5}))

    def start():
        made.append(Hostile(always(answer(b'{"v":3}')), port))
        made[-1].__enter__()

    before, away, after = restart(weir, text, lambda: made[0].__exit__(), start, 3)
    made[-1].__exit__()
    assert away <= before + 130 and after <= before + 16, (before, away, after)
